/* vault/seal.h - sealing values, and the keys it is done with. Pure but for randomness.
 *
 * Every sealed value is a random 24-byte nonce and XChaCha20-Poly1305 over the padded plaintext. The associated data is
 * built from what the reader expects (vault, epoch, kind, Pixel id or key, version, size class), never from what the
 * value says; so a value moved anywhere else does not open. Format: docs/format.md. */
#ifndef VAULT_SEAL_H
#define VAULT_SEAL_H

#include "core/buf.h"
#include "core/secret.h"
#include "vault/credential.h"
#include "vault/slots.h"

#define FORMAT_VERSION 1
#define PIXEL_ID_LEN 16
#define SEAL_NONCE_LEN 24
#define SEAL_TAG_LEN 16
#define SEAL_PLAIN_MAX 16384 /* what unseal gives at most */

/* The numbers are part of the format. */
enum subkey { KEY_MAC = 1, KEY_META, KEY_TOKEN, KEY_INDEX, KEY_FINGERPRINT, KEY_ANCHOR, KEY_AUDIT, KEY_COUNT_PLUS_1 };

struct keys; /* the subkeys of one root key, in locked memory */
must_check bool keys_derive(const struct secret *root_key, struct keys **ret, struct error *err);
/* A copy that holds only the subkeys named by bit (1u << KEY_TOKEN ...); the others are zero. */
must_check bool keys_copy_some(const struct keys *k, unsigned which, struct keys **ret, struct error *err);
/* What the audit log of a vault was begun with, KEY_INDEX and KEY_AUDIT, as 64 bytes and back: it outlives its root key. */
#define LOG_KEYS_LEN 64
must_check bool keys_save_log(const struct keys *k, struct secret **ret, struct error *err);
must_check bool keys_load_log(const struct secret *saved, struct keys **ret, struct error *err);
void keys_free(struct keys *k);
void keys_freep(struct keys **k);

/* BLAKE2b-256 keyed with the subkey over an 8-byte domain prefix and up to two parts. */
void keys_mac(const struct keys *k, enum subkey which, const char domain[9], struct bytes a, struct bytes b,
	      uint8_t ret[DIGEST_LEN]);
/* The same in two steps, for one who does it often: what the key and the domain come to is kept, in locked memory. */
must_check bool keys_mac_start(const struct keys *k, enum subkey which, const char domain[9], struct secret **ret,
			       struct error *err);
void keys_mac_finish(const struct secret *start, struct bytes a, uint8_t ret[DIGEST_LEN]);
void keys_pixel_id(const struct keys *k, const char *pixel, uint8_t ret[PIXEL_ID_LEN]);
void keys_fingerprint(const struct keys *k, struct bytes token, uint8_t ret[FINGERPRINT_LEN]);

/* What a value is: kind 'm' metadata, 't' token, 'g' what renews one, 'h' health, 'c' consumer's mark, 'a' note, 'd' duplicate hint,
 * 'k' keys of the log. `what` is the Pixel id for m, t, g and h, the full key for the rest. */
struct seal_context {
	const uint8_t *vault_id; /* VAULT_ID_LEN */
	uint32_t epoch;
	char kind;
	struct bytes what;
	uint32_t version;
};

/* Appends nonce and ciphertext to out. At most 16383 bytes, tokens at most 4095. */
must_check bool seal(const struct keys *k, const struct seal_context *context, struct bytes plain, struct buf *out,
		     struct error *err);

/* False: not this value, or damaged. Where a token goes, room is the locked memory of a secret. */
must_check bool unseal(const struct keys *k, const struct seal_context *context, struct bytes sealed, struct buf *ret);
must_check bool unseal_secret(const struct keys *k, const struct seal_context *context, struct bytes sealed,
			      struct secret **ret, struct error *err);

/* Unkeyed, of a sealed value: what inventory leaves and metadata name. */
void seal_digest(struct bytes sealed, uint8_t ret[DIGEST_LEN]);

#endif
