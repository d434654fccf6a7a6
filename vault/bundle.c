#include "vault/bundle.h"

#include "core/file.h"
#include "core/wipe.h"
#include "vault/slots.h"
#include "vault/text.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The head, 152 bytes: magic 8, format u32, kind u8, reserved 3, passes u32, KiB u32, salt or ephemeral key 32,
 * recipient 32, nonce 24, length of the rest u64, commitment 32. All of it is associated data of what follows. */
#define MAGIC "pxexprt\n"
#define AT_FORMAT 8
#define AT_KIND 12
#define AT_PASSES 16
#define AT_MEM 20
#define AT_SALT 24
#define AT_RECIPIENT 56
#define AT_NONCE 88
#define AT_LENGTH 112
#define AT_COMMITMENT 120
#define HEAD_LEN 152
#define SALT_LEN crypto_pwhash_SALTBYTES
#define COMMITMENT_LEN 32
#define TAG_LEN crypto_aead_xchacha20poly1305_ietf_ABYTES
#define BUNDLE_FORMAT 1
#define PASSES_MAX 10u
#define MEM_KIB_MIN (8u * 1024)
#define MEM_KIB_MAX (1024u * 1024)
#define BUCKET_MIN ((size_t)512)
#define BUCKET_STEP ((size_t)65536)

static uint64_t get_uint(const uint8_t *at, size_t width)
{
	uint64_t value = 0;
	for (size_t i = width; i-- > 0;)
		value = value << 8 | at[i];
	return value;
}

static void put_uint(uint8_t *at, size_t width, uint64_t value)
{
	for (size_t i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* ---- the key pair ---- */

static bool derive_private(const struct secret *root_key, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *private_key = NULL;
	if (!secret_new(BUNDLE_KEY_LEN, &private_key, err))
		return false;
	crypto_kdf_derive_from_key(secret_room(private_key), BUNDLE_KEY_LEN, 1, "pxexport", secret_reveal(root_key).at);
	*ret = take(private_key);
	return true;
}

bool bundle_public_key(const struct secret *root_key, uint8_t ret[BUNDLE_KEY_LEN], struct error *err)
{
	scoped(secret_freep) struct secret *private_key = NULL;
	if (!derive_private(root_key, &private_key, err))
		return false;
	crypto_scalarmult_base(ret, secret_reveal(private_key).at);
	return true;
}

static void key_checksum(const uint8_t key[BUNDLE_KEY_LEN], char ret[9])
{
	static const char domain[] = "pixelvault public key 1";
	uint8_t sum[16];
	crypto_generichash(sum, sizeof sum, key, BUNDLE_KEY_LEN, (const uint8_t *)domain, sizeof domain - 1);
	sodium_bin2hex(ret, 9, sum, 4);
}

void bundle_key_encode(const uint8_t key[BUNDLE_KEY_LEN], char ret[BUNDLE_KEY_TEXT_MAX])
{
	char digits[BUNDLE_KEY_LEN * 2 + 1], sum[9];
	sodium_bin2hex(digits, sizeof digits, key, BUNDLE_KEY_LEN);
	key_checksum(key, sum);
	snprintf(ret, BUNDLE_KEY_TEXT_MAX, "pxk1-%s-%s", digits, sum);
}

bool bundle_key_decode(const char *text, uint8_t ret[BUNDLE_KEY_LEN], struct error *err)
{
	char again[BUNDLE_KEY_TEXT_MAX];
	size_t len;
	const char *end;
	if (strncmp(text, "pxk1-", 5) != 0 ||
	    sodium_hex2bin(ret, BUNDLE_KEY_LEN, text + 5, strnlen(text + 5, BUNDLE_KEY_LEN * 2), NULL, &len, &end) !=
		    0 ||
	    len != BUNDLE_KEY_LEN)
		return fail(err, ERR_USAGE, TXT_BUNDLE_KEY_FORM);
	bundle_key_encode(ret, again);
	return strcmp(again, text) == 0 ? true : fail(err, ERR_USAGE, TXT_BUNDLE_KEY_SUM);
}

/* ---- 64 bytes: what encrypts, then what commits ---- */

static bool derive_of_passphrase(const uint8_t head[HEAD_LEN], const struct secret *passphrase, struct secret *out,
				 struct error *err)
{
	struct bytes in = secret_reveal(passphrase);
	uint64_t mem = get_uint(head + AT_MEM, 4);
	if (in.len == 0 || in.len > PASSPHRASE_MAX)
		return fail(err, ERR_WRONG_KEY, TXT_PASSPHRASE_LENGTH);
	if (crypto_pwhash(secret_room(out), 64, (const char *)in.at, in.len, head + AT_SALT,
			  get_uint(head + AT_PASSES, 4), (size_t)mem * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_KDF_FAILED, (unsigned)(mem / 1024));
	return true;
}

/* Both sides come to the same: the private key of the one and the public key of the other. */
static bool derive_of_keys(const uint8_t head[HEAD_LEN], const struct secret *private_key, const uint8_t *public_key,
			   struct secret *out, struct error *err)
{
	scoped(secret_freep) struct secret *shared = NULL;
	crypto_generichash_state state;
	if (!secret_new(crypto_scalarmult_BYTES, &shared, err))
		return false;
	if (crypto_scalarmult(secret_room(shared), secret_reveal(private_key).at, public_key) != 0)
		return fail(err, ERR_USAGE, TXT_BUNDLE_KEY_WEAK);
	crypto_generichash_init(&state, secret_reveal(shared).at, crypto_scalarmult_BYTES, 64);
	crypto_generichash_update(&state, (const uint8_t *)"pxexpt01", 8);
	crypto_generichash_update(&state, head + AT_SALT, BUNDLE_KEY_LEN);
	crypto_generichash_update(&state, head + AT_RECIPIENT, BUNDLE_KEY_LEN);
	crypto_generichash_final(&state, secret_room(out), 64);
	wipe(&state, sizeof state);
	return true;
}

static void commitment_of(const struct secret *keys, const uint8_t head[HEAD_LEN], uint8_t ret[COMMITMENT_LEN])
{
	crypto_generichash(ret, COMMITMENT_LEN, head, AT_COMMITMENT, secret_reveal(keys).at + 32, 32);
}

/* ---- sealing ---- */

static size_t bucket_of(size_t len)
{
	size_t bucket = BUCKET_MIN;
	while (bucket <= len)
		bucket += bucket < BUCKET_STEP ? bucket : BUCKET_STEP;
	return bucket;
}

static bool begin_head(const struct bundle_lock *lock, uint8_t head[HEAD_LEN], struct secret *keys, struct error *err)
{
	scoped(secret_freep) struct secret *ephemeral = NULL;
	memset(head, 0, HEAD_LEN);
	memcpy(head, MAGIC, 8);
	put_uint(head + AT_FORMAT, 4, BUNDLE_FORMAT);
	randombytes_buf(head + AT_NONCE, AT_LENGTH - AT_NONCE);
	if (lock->passphrase) {
		head[AT_KIND] = BUNDLE_PASSPHRASE;
		put_uint(head + AT_PASSES, 4, SLOT_DEFAULT_OPS);
		put_uint(head + AT_MEM, 4, SLOT_DEFAULT_MEM_KIB);
		randombytes_buf(head + AT_SALT, SALT_LEN);
		return derive_of_passphrase(head, lock->passphrase, keys, err);
	}
	if (!secret_new(BUNDLE_KEY_LEN, &ephemeral, err))
		return false;
	head[AT_KIND] = BUNDLE_PUBLIC_KEY;
	randombytes_buf(secret_room(ephemeral), BUNDLE_KEY_LEN);
	crypto_scalarmult_base(head + AT_SALT, secret_reveal(ephemeral).at);
	memcpy(head + AT_RECIPIENT, lock->public_key, BUNDLE_KEY_LEN);
	return derive_of_keys(head, ephemeral, lock->public_key, keys, err);
}

bool bundle_seal(struct secret *plain, size_t len, const struct bundle_lock *lock, struct buf *ret, struct error *err)
{
	scoped(secret_freep) struct secret *keys = NULL;
	uint8_t head[HEAD_LEN];
	size_t bucket = bucket_of(len);
	if (len > BUNDLE_PLAIN_MAX || bucket > secret_len(plain))
		return fail(err, ERR_USAGE, TXT_BUNDLE_LARGE, BUNDLE_PLAIN_MAX);
	if (!secret_new(64, &keys, err) || !begin_head(lock, head, keys, err))
		return false;
	memset(secret_room(plain) + len, 0, bucket - len);
	secret_room(plain)[len] = 0x80;
	put_uint(head + AT_LENGTH, 8, bucket + TAG_LEN);
	commitment_of(keys, head, head + AT_COMMITMENT);
	buf_append(ret, head, HEAD_LEN);
	uint8_t *room = buf_room(ret, bucket + TAG_LEN);
	if (!room)
		return buf_ok(ret, err);
	crypto_aead_xchacha20poly1305_ietf_encrypt(room, NULL, secret_reveal(plain).at, bucket, head, HEAD_LEN, NULL,
						   head + AT_NONCE, secret_reveal(keys).at);
	ret->len += bucket + TAG_LEN;
	return true;
}

/* ---- opening ---- */

bool bundle_is(struct bytes file)
{
	return file.len >= 8 && memcmp(file.at, MAGIC, 8) == 0;
}

bool bundle_refuse(const char *path, struct error *err)
{
	uint8_t magic[sizeof MAGIC - 1];
	scoped(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 || read(fd, magic, sizeof magic) != (ssize_t)sizeof magic ||
	       !bundle_is(bytes_of(magic, sizeof magic)) ? true : fail(err, ERR_USAGE, TXT_BUNDLE_NO_VAULT, path);
}

static bool is_zero(const uint8_t *at, size_t len)
{
	return sodium_is_zero(at, len) == 1;
}

static bool has_form(const uint8_t *head, size_t len)
{
	uint64_t rest = get_uint(head + AT_LENGTH, 8);
	if (get_uint(head + AT_FORMAT, 4) != BUNDLE_FORMAT || !is_zero(head + 13, 3) || rest != len - HEAD_LEN ||
	    rest <= TAG_LEN || rest - TAG_LEN > BUNDLE_ROOM || bucket_of(rest - TAG_LEN - 1) != rest - TAG_LEN)
		return false;
	if (head[AT_KIND] == BUNDLE_PASSPHRASE)
		return is_zero(head + AT_SALT + SALT_LEN, AT_NONCE - AT_SALT - SALT_LEN);
	return head[AT_KIND] == BUNDLE_PUBLIC_KEY && is_zero(head + AT_PASSES, 8);
}

bool bundle_check(struct bytes file, enum bundle_kind *ret, struct error *err)
{
	if (file.len < HEAD_LEN || !bundle_is(file) || !has_form(file.at, file.len))
		return fail_class(err, ERR_DAMAGED, "format", TXT_BUNDLE_FORM);
	*ret = (enum bundle_kind)file.at[AT_KIND];
	uint64_t passes = get_uint(file.at + AT_PASSES, 4), mem = get_uint(file.at + AT_MEM, 4);
	if (*ret == BUNDLE_PASSPHRASE && (passes < 1 || passes > PASSES_MAX || mem < MEM_KIB_MIN || mem > MEM_KIB_MAX))
		return fail_class(err, ERR_DAMAGED, "limit", TXT_BUNDLE_LIMIT);
	return true;
}

static bool derive_to_open(const uint8_t *head, enum bundle_kind kind, const struct bundle_key *key,
			   struct secret *keys, struct error *err)
{
	scoped(secret_freep) struct secret *private_key = NULL;
	uint8_t own[BUNDLE_KEY_LEN];
	if (kind == BUNDLE_PASSPHRASE)
		return derive_of_passphrase(head, key->passphrase, keys, err);
	if (!bundle_public_key(key->root_key, own, err) || !derive_private(key->root_key, &private_key, err))
		return false;
	if (memcmp(own, head + AT_RECIPIENT, sizeof own) != 0)
		return fail(err, ERR_WRONG_KEY, TXT_BUNDLE_OTHER_VAULT);
	return derive_of_keys(head, private_key, head + AT_SALT, keys, err);
}

/* The padding ends in one 0x80 and zeros. */
static bool unpad(const uint8_t *at, size_t *len)
{
	while (*len && at[*len - 1] == 0)
		--*len;
	return *len && at[--*len] == 0x80;
}

static bool decrypt(struct secret *file, const struct secret *keys, const uint8_t head[HEAD_LEN], struct error *err)
{
	uint8_t *body = secret_room(file) + HEAD_LEN;
	size_t sealed = secret_len(file) - HEAD_LEN, len = sealed - TAG_LEN, bucket = len;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, body, sealed, head, HEAD_LEN, head + AT_NONCE,
						       secret_reveal(keys).at) != 0 ||
	    !unpad(body, &len) || bucket_of(len) != bucket)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_BUNDLE_TAMPERED);
	memmove(secret_room(file), body, len);
	secret_cut(file, len);
	return true;
}

bool bundle_open(struct secret *file, const struct bundle_key *key, struct error *err)
{
	scoped(secret_freep) struct secret *keys = NULL;
	uint8_t head[HEAD_LEN], commitment[COMMITMENT_LEN];
	enum bundle_kind kind;
	if (!bundle_check(secret_reveal(file), &kind, err) || !secret_new(64, &keys, err))
		return false;
	memcpy(head, secret_reveal(file).at, HEAD_LEN);
	if (!derive_to_open(head, kind, key, keys, err))
		return false;
	commitment_of(keys, head, commitment);
	if (sodium_memcmp(commitment, head + AT_COMMITMENT, COMMITMENT_LEN) != 0)
		return kind == BUNDLE_PASSPHRASE ? fail(err, ERR_WRONG_KEY, TXT_BUNDLE_PASSPHRASE)
						 : fail_class(err, ERR_DAMAGED, "tampered", TXT_BUNDLE_TAMPERED);
	return decrypt(file, keys, head, err);
}
