#include "vault/seal.h"

#include "core/wipe.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KDF_CONTEXT "pxvault1"

struct keys {
	struct secret *all; /* subkey n at (n - 1) * 32 */
};

static const uint8_t *subkey(const struct keys *k, enum subkey which)
{
	return secret_reveal(k->all).at + (size_t)(which - 1) * 32;
}

bool keys_derive(const struct secret *root_key, struct keys **ret, struct error *err)
{
	struct keys *k = calloc(1, sizeof *k);
	if (!k)
		return fail_no_memory(err);
	if (!secret_new((KEY_COUNT_PLUS_1 - 1) * 32, &k->all, err)) {
		free(k);
		return false;
	}
	for (unsigned which = KEY_MAC; which < KEY_COUNT_PLUS_1; which++)
		crypto_kdf_derive_from_key(secret_room(k->all) + (size_t)(which - 1) * 32, 32, which, KDF_CONTEXT,
					   secret_reveal(root_key).at);
	wipe_stack();
	*ret = k;
	return true;
}

bool keys_copy_some(const struct keys *k, unsigned which, struct keys **ret, struct error *err)
{
	struct keys *copy = calloc(1, sizeof *copy);
	if (!copy)
		return fail_no_memory(err);
	if (!secret_new(secret_len(k->all), &copy->all, err)) {
		free(copy);
		return false;
	}
	for (unsigned i = KEY_MAC; i < KEY_COUNT_PLUS_1; i++)
		if (which & 1u << i)
			memcpy(secret_room(copy->all) + (size_t)(i - 1) * 32, subkey(k, i), 32);
	*ret = copy;
	return true;
}

bool keys_save_log(const struct keys *k, struct secret **ret, struct error *err)
{
	if (!secret_new(LOG_KEYS_LEN, ret, err))
		return false;
	memcpy(secret_room(*ret), subkey(k, KEY_INDEX), 32);
	memcpy(secret_room(*ret) + 32, subkey(k, KEY_AUDIT), 32);
	return true;
}

bool keys_load_log(const struct secret *saved, struct keys **ret, struct error *err)
{
	struct keys *k = calloc(1, sizeof *k);
	if (!k)
		return fail_no_memory(err);
	if (!secret_new((KEY_COUNT_PLUS_1 - 1) * 32, &k->all, err)) {
		free(k);
		return false;
	}
	memcpy(secret_room(k->all) + (size_t)(KEY_INDEX - 1) * 32, secret_reveal(saved).at, 32);
	memcpy(secret_room(k->all) + (size_t)(KEY_AUDIT - 1) * 32, secret_reveal(saved).at + 32, 32);
	*ret = k;
	return true;
}

void keys_freep(struct keys **k)
{
	keys_free(*k);
	*k = NULL;
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	secret_free(k->all);
	free(k);
}

void keys_mac(const struct keys *k, enum subkey which, const char domain[9], struct bytes a, struct bytes b,
	      uint8_t ret[DIGEST_LEN])
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, subkey(k, which), 32, DIGEST_LEN);
	crypto_generichash_update(&state, (const uint8_t *)domain, 8);
	crypto_generichash_update(&state, a.at, a.len);
	crypto_generichash_update(&state, b.at, b.len);
	crypto_generichash_final(&state, ret, DIGEST_LEN);
	wipe(&state, sizeof state);
}

bool keys_mac_start(const struct keys *k, enum subkey which, const char domain[9], struct secret **ret,
		    struct error *err)
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, subkey(k, which), 32, DIGEST_LEN);
	crypto_generichash_update(&state, (const uint8_t *)domain, 8);
	bool ok = secret_copy(bytes_of(&state, sizeof state), ret, err);
	wipe(&state, sizeof state);
	return ok;
}

void keys_mac_finish(const struct secret *start, struct bytes a, uint8_t ret[DIGEST_LEN])
{
	crypto_generichash_state state;
	memcpy(&state, secret_reveal(start).at, sizeof state);
	crypto_generichash_update(&state, a.at, a.len);
	crypto_generichash_final(&state, ret, DIGEST_LEN);
	wipe(&state, sizeof state);
}

void keys_pixel_id(const struct keys *k, const char *pixel, uint8_t ret[PIXEL_ID_LEN])
{
	crypto_generichash(ret, PIXEL_ID_LEN, (const uint8_t *)pixel, strlen(pixel), subkey(k, KEY_INDEX), 32);
}

void keys_fingerprint(const struct keys *k, struct bytes token, uint8_t ret[FINGERPRINT_LEN])
{
	crypto_generichash(ret, FINGERPRINT_LEN, token.at, token.len, subkey(k, KEY_FINGERPRINT), 32);
	wipe_stack();
}

/* Sizes a value may have inside: a thief of the file learns only the size class. A duplicate hint has one size of its
 * own, as there is one for each token and all of them fit. */
static const uint32_t buckets[] = { 192, 512, 1024, 2048, 4096, 8192, SEAL_PLAIN_MAX };

/* Tokens, and what renews them. */
static bool is_secret(char kind)
{
	return kind == 't' || kind == 'g';
}

static bool bucket_serves(uint32_t bucket, char kind)
{
	return kind == 'd' ? bucket == 192 : bucket >= 512 && bucket <= (is_secret(kind) ? 4096u : 16384u);
}

static uint32_t bucket_for(size_t len, char kind)
{
	for (size_t i = 0; i < COUNT_OF(buckets); i++)
		if (bucket_serves(buckets[i], kind) && len < buckets[i]) /* at least one byte of padding */
			return buckets[i];
	return 0;
}

static uint32_t bucket_of_sealed(size_t len, char kind)
{
	for (size_t i = 0; i < COUNT_OF(buckets); i++)
		if (bucket_serves(buckets[i], kind) && len == SEAL_NONCE_LEN + buckets[i] + SEAL_TAG_LEN)
			return buckets[i];
	return 0;
}

#define AAD_MAX (4 + VAULT_ID_LEN + 4 + 1 + 4 + 255 + 4 + 4)

static void put_u32(uint8_t *at, uint32_t value)
{
	for (size_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static size_t build_aad(const struct seal_context *context, uint32_t bucket, uint8_t ret[AAD_MAX])
{
	size_t what_len = context->what.len <= 255 ? context->what.len : 255;
	uint8_t *p = ret;
	put_u32(p, FORMAT_VERSION), p += 4;
	memcpy(p, context->vault_id, VAULT_ID_LEN), p += VAULT_ID_LEN;
	put_u32(p, context->epoch), p += 4;
	*p++ = (uint8_t)context->kind;
	put_u32(p, (uint32_t)what_len), p += 4;
	memcpy(p, context->what.at, what_len), p += what_len;
	put_u32(p, context->version), p += 4;
	put_u32(p, bucket), p += 4;
	return (size_t)(p - ret);
}

static const uint8_t *key_for(const struct keys *k, char kind)
{
	return subkey(k, is_secret(kind) ? KEY_TOKEN : KEY_META);
}

bool seal(const struct keys *k, const struct seal_context *context, struct bytes plain, struct buf *out,
	  struct error *err)
{
	uint32_t bucket = bucket_for(plain.len, context->kind);
	if (!bucket)
		return fail(err, ERR_USAGE, "a value of %zu bytes is too long to be sealed",
			    "use fewer or shorter labels; nothing was changed", plain.len);
	scoped(secret_freep) struct secret *padded = NULL;
	if (!secret_new(bucket, &padded, err))
		return false;
	uint8_t *p = secret_room(padded), aad[AAD_MAX];
	if (plain.len)
		memcpy(p, plain.at, plain.len);
	p[plain.len] = 0x80; /* ISO 7816-4: the rest is zero already */
	uint8_t *room = buf_room(out, SEAL_NONCE_LEN + bucket + SEAL_TAG_LEN);
	if (!room)
		return buf_ok(out, err);
	randombytes_buf(room, SEAL_NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(room + SEAL_NONCE_LEN, NULL, p, bucket, aad,
						   build_aad(context, bucket, aad), NULL, room,
						   key_for(k, context->kind));
	out->len += SEAL_NONCE_LEN + bucket + SEAL_TAG_LEN;
	return true;
}

static bool open_into(const struct keys *k, const struct seal_context *context, struct bytes sealed, uint32_t bucket,
		      uint8_t *plain, size_t *ret_len)
{
	uint8_t aad[AAD_MAX];
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
		    plain, NULL, NULL, sealed.at + SEAL_NONCE_LEN, sealed.len - SEAL_NONCE_LEN, aad,
		    build_aad(context, bucket, aad), sealed.at, key_for(k, context->kind)) != 0)
		return false;
	size_t len = bucket;
	uint64_t last;
	/* Most of a bucket is padding: eight bytes at a time, as far as they are nothing else. */
	while (len >= sizeof last && (memcpy(&last, plain + len - sizeof last, sizeof last), last == 0))
		len -= sizeof last;
	while (len > 0 && plain[len - 1] == 0)
		len--;
	if (len == 0 || plain[len - 1] != 0x80)
		return false;
	*ret_len = len - 1;
	return true;
}

bool unseal(const struct keys *k, const struct seal_context *context, struct bytes sealed, struct buf *ret)
{
	uint32_t bucket = bucket_of_sealed(sealed.len, context->kind);
	uint8_t *room = bucket ? buf_room(ret, bucket) : NULL;
	size_t len;
	if (!room || !open_into(k, context, sealed, bucket, room, &len))
		return false;
	ret->len += len;
	return true;
}

bool unseal_secret(const struct keys *k, const struct seal_context *context, struct bytes sealed, struct secret **ret,
		   struct error *err)
{
	uint32_t bucket = bucket_of_sealed(sealed.len, context->kind);
	scoped(secret_freep) struct secret *plain = NULL;
	size_t len;
	if (!secret_new(bucket, &plain, err))
		return false;
	if (!bucket || !open_into(k, context, sealed, bucket, secret_room(plain), &len))
		return fail_class(err, ERR_DAMAGED, "tampered", "a sealed value does not open", "run: vault verify");
	secret_cut(plain, len);
	*ret = take(plain);
	return true;
}

void seal_digest(struct bytes sealed, uint8_t ret[DIGEST_LEN])
{
	crypto_generichash(ret, DIGEST_LEN, sealed.at, sealed.len, NULL, 0);
}
