/* vault/bundle.h - an export file: one sealed document for whoever has a passphrase, or the key of another vault. Pure
 * but for randomness and Argon2id.
 *
 * A vault's key pair is derived from its root key, so nothing more is stored, and whoever opens the vault opens what
 * was sealed to it. The whole file is one ciphertext: nothing of it is seen before all of it is proven. As with slots,
 * a commitment is compared before anything is decrypted, and limits on cost before any key derivation runs. Who made a
 * file is not proven: anybody may seal to a public key. Format: docs/format.md. */
#ifndef VAULT_BUNDLE_H
#define VAULT_BUNDLE_H

#include "core/buf.h"
#include "core/secret.h"

#define BUNDLE_KEY_LEN 32
#define BUNDLE_PLAIN_MAX ((size_t)4 << 20)
#define BUNDLE_FILE_MAX (BUNDLE_PLAIN_MAX + 2 * 65536)

/* Stored numbers: only add. */
enum bundle_kind { BUNDLE_PASSPHRASE = 1, BUNDLE_PUBLIC_KEY = 2 };

/* One of the two is not NULL. */
struct bundle_lock {
	const struct secret *passphrase;
	const uint8_t *public_key;
};

/* The first len bytes of plain are sealed for the lock into *ret, the whole file. Plain is padded where it lies, and so
 * has BUNDLE_ROOM bytes. */
#define BUNDLE_ROOM (BUNDLE_PLAIN_MAX + 65536)
must_check bool bundle_seal(struct secret *plain, size_t len, const struct bundle_lock *lock, struct buf *ret,
			    struct error *err);

bool bundle_is(struct bytes file); /* it begins like one */
/* ERR_USAGE for a file that is one, where a vault or a backup is wanted. */
must_check bool bundle_refuse(const char *path, struct error *err);
/* ERR_DAMAGED class format or limit for what is not well-formed. */
must_check bool bundle_check(struct bytes file, enum bundle_kind *ret, struct error *err);

/* Opens it where it lies: file holds the document then, and no more. ERR_WRONG_KEY: another passphrase, or sealed to
 * another vault; ERR_DAMAGED: it was changed. Of the keys that of its kind is used. */
struct bundle_key {
	const struct secret *passphrase, *root_key;
};
must_check bool bundle_open(struct secret *file, const struct bundle_key *key, struct error *err);

/* The public key of the vault with this root key. */
must_check bool bundle_public_key(const struct secret *root_key, uint8_t ret[BUNDLE_KEY_LEN], struct error *err);
/* "pxk1-", 64 digits, "-", 8 digits of checksum. */
#define BUNDLE_KEY_TEXT_MAX 80
void bundle_key_encode(const uint8_t key[BUNDLE_KEY_LEN], char ret[BUNDLE_KEY_TEXT_MAX]);
must_check bool bundle_key_decode(const char *text, uint8_t ret[BUNDLE_KEY_LEN], struct error *err);

#endif
