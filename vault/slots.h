/* vault/slots.h - ways to unwrap the root key. Pure but for randomness and Argon2id.
 *
 * A slot is a commitment first and a ciphertext second: XChaCha20-Poly1305 lets one ciphertext open under many keys, so
 * a crafted slot could test many passphrases at once; 32 bytes of keyed BLAKE2b checked first end that. Limits on cost
 * are checked before any key derivation runs. Format: docs/format.md. */
#ifndef VAULT_SLOTS_H
#define VAULT_SLOTS_H

#include "core/bytes.h"
#include "core/error.h"
#include "core/secret.h"

#define SLOT_LEN 160
#define SLOTS_MAX 16
#define SLOTS_VALUE_MAX (4 + SLOTS_MAX * SLOT_LEN)
#define SLOT_ID_LEN 8
#define ROOT_KEY_LEN 32
#define KEY_FILE_LEN 32
#define VAULT_ID_LEN 16
#define PASSPHRASE_MAX 4096
#define PASSPHRASE_MIN_CHARS 15u

/* Stored numbers: only add. */
enum slot_kind { SLOT_PASSPHRASE = 1, SLOT_KEY_FILE = 2, SLOT_CREDENTIAL = 3, SLOT_RECOVERY = 4 };

/* What a person or machine holds. For SLOT_PASSPHRASE the bytes as typed, for the others exactly 32 random bytes. */
struct slot_secret {
	enum slot_kind kind;
	const struct secret *secret;
};

/* Policy for new passphrase slots: Argon2id v1.3, 3 passes, 256 MiB. */
#define SLOT_DEFAULT_OPS 3
#define SLOT_DEFAULT_MEM_KIB (256u * 1024)

/* How many passes over the policy's memory take about a second on this machine: never fewer than the policy, nor more than
 * any reader takes. Runs the derivation once. */
must_check bool slot_calibrate(uint32_t *ret_passes, struct error *err);

/* An encoded slot that wraps the root key, at the policy's cost. */
must_check bool slot_make(const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder,
			  const struct secret *root_key, uint8_t ret[SLOT_LEN], struct error *err);

/* The same at this number of passes (passphrases only; 0 = the policy's) and, unless id is NULL, with this id: for a slot
 * that is wrapped anew. */
must_check bool slot_make_as(const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder,
			     const struct secret *root_key, uint32_t passes, const uint8_t *id, uint8_t ret[SLOT_LEN],
			     struct error *err);

/* value is the store's `slots`: count (u32), then slots. ERR_DAMAGED class format or limit for anything that is not
 * exactly well-formed. */
must_check bool slots_check(struct bytes value, size_t *ret_count, struct error *err);
enum slot_kind slots_kind(struct bytes value, size_t i);
const char *slot_kind_text(enum slot_kind kind); /* for people: "key file" */

struct slot_info {
	uint8_t id[SLOT_ID_LEN]; /* stays for as long as its holder can open it, also when it is wrapped anew */
	enum slot_kind kind;
	uint32_t passes, mem_kib; /* 0 for what is 256 random bits */
	bool is_below_policy;
};
void slots_info(struct bytes value, size_t i, struct slot_info *ret);

/* Try each slot of the holder's kind. ERR_WRONG_KEY when none opens. */
must_check bool slots_open(struct bytes value, const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder,
			   struct secret **ret_root_key, struct error *err);
/* The same, and which slot it was. */
must_check bool slots_open_at(struct bytes value, const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder,
			      struct secret **ret_root_key, size_t *ret_index, struct error *err);

/* The slots of a damaged value that still are in a form this program knows, as a value of their own; false when there is
 * none. */
must_check bool slots_salvage(struct bytes value, uint8_t ret[SLOTS_VALUE_MAX], size_t *ret_len);

/* The recovery key as people copy it: eight groups with a checksum. decode is false for a mistyped one. */
#define RECOVERY_TEXT_MAX 80
void recovery_encode(const struct secret *key, char ret[RECOVERY_TEXT_MAX]);
must_check bool recovery_decode(struct bytes typed, struct secret **ret, struct error *err);

#endif
