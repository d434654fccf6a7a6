#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct vault_opener {
	struct keys *keys; /* tokens and ids only */
	uint8_t vault_id[VAULT_ID_LEN];
	uint32_t epoch;
	struct secret *own_key;
	uint64_t wrapped; /* how many; each is a nonce of its own */
};

#define WRAP_NONCE_LEN crypto_aead_chacha20poly1305_ietf_NPUBBYTES
#define WRAP_TAG_LEN crypto_aead_chacha20poly1305_ietf_ABYTES
#define WRAP_AAD_MAX (PIXEL_CODE_MAX + sizeof(uint32_t))

bool vault_opener_new(const struct vault *v, struct vault_opener **ret, struct error *err)
{
	if (!vault_is_open(v, err))
		return false;
	struct vault_opener *o = calloc(1, sizeof *o);
	if (!o)
		return fail_no_memory(err);
	if (!keys_copy_some(v->keys, 1u << KEY_TOKEN | 1u << KEY_INDEX, &o->keys, err) ||
	    !secret_new(crypto_aead_chacha20poly1305_ietf_KEYBYTES, &o->own_key, err)) {
		vault_opener_free(o);
		return false;
	}
	crypto_aead_chacha20poly1305_ietf_keygen(secret_room(o->own_key));
	memcpy(o->vault_id, v->root.vault_id, sizeof o->vault_id);
	o->epoch = v->root.epoch;
	*ret = o;
	return true;
}

void vault_opener_free(struct vault_opener *o)
{
	if (!o)
		return;
	keys_free(o->keys);
	secret_free(o->own_key);
	free(o);
}

static bool refuse_token(const char *pixel, uint32_t number, struct error *err)
{
	return fail_class(err, ERR_DAMAGED, "tampered", TXT_TOKEN_TAMPERED, (unsigned)number, pixel);
}

static bool unseal_token(const struct vault_opener *o, const char *pixel, uint32_t number, struct bytes sealed,
			 struct secret **ret, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	struct error why = { .code = ERR_DAMAGED };
	keys_pixel_id(o->keys, pixel, id);
	struct seal_context context = { .vault_id = o->vault_id,
					.epoch = o->epoch,
					.kind = 't',
					.what = bytes_of(id, sizeof id),
					.version = number };
	if (unseal_secret(o->keys, &context, sealed, ret, &why))
		return true;
	if (why.code == ERR_DAMAGED)
		return refuse_token(pixel, number, err);
	*err = why;
	return false;
}

static size_t wrap_aad(const char *pixel, uint32_t number, uint8_t ret[WRAP_AAD_MAX])
{
	size_t len = strlen(pixel);
	memcpy(ret, pixel, len);
	memcpy(ret + len, &number, sizeof number);
	return len + sizeof number;
}

bool vault_opener_wrap(struct vault_opener *o, const char *pixel, uint32_t number, struct bytes sealed, struct buf *ret,
		       struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL;
	uint8_t aad[WRAP_AAD_MAX], nonce[WRAP_NONCE_LEN] = { 0 };
	if (!unseal_token(o, pixel, number, sealed, &token, err))
		return false;
	struct bytes plain = secret_reveal(token);
	o->wrapped++;
	memcpy(nonce, &o->wrapped, sizeof o->wrapped);
	buf_append(ret, nonce, sizeof nonce);
	uint8_t *room = buf_room(ret, plain.len + WRAP_TAG_LEN);
	if (!room)
		return buf_ok(ret, err);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(room, NULL, plain.at, plain.len, aad,
							wrap_aad(pixel, number, aad), NULL, nonce,
							secret_reveal(o->own_key).at);
	ret->len += plain.len + WRAP_TAG_LEN;
	return true;
}

bool vault_opener_open(const struct vault_opener *o, const char *pixel, uint32_t number, struct bytes wrapped,
		       struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL;
	uint8_t aad[WRAP_AAD_MAX];
	if (wrapped.len < WRAP_NONCE_LEN + WRAP_TAG_LEN)
		return refuse_token(pixel, number, err);
	if (!secret_new(wrapped.len - WRAP_NONCE_LEN - WRAP_TAG_LEN, &token, err))
		return false;
	if (crypto_aead_chacha20poly1305_ietf_decrypt(secret_room(token), NULL, NULL, wrapped.at + WRAP_NONCE_LEN,
						      wrapped.len - WRAP_NONCE_LEN, aad, wrap_aad(pixel, number, aad),
						      wrapped.at, secret_reveal(o->own_key).at) != 0)
		return refuse_token(pixel, number, err);
	*ret = take(token);
	return true;
}
