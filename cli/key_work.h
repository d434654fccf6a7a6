/* cli/key_work.h - opening a vault to change what opens it: on the file itself, never through an agent, which has the root
 * key but not the secrets that wrap it. */
#ifndef CLI_KEY_WORK_H
#define CLI_KEY_WORK_H

#include "agent/unlock.h"
#include "cli/command.h"

/* inv->vault opened, with what --ask or --with-key say instead of the settings; kept is what opened it. */
must_check bool key_work_open(struct invocation *inv, bool is_mending, struct unlock_key *kept, struct error *err);

/* Passes for new passphrase slots, calibrated; 0 where there is none among these kinds. */
must_check bool key_work_passes(enum slot_kind kind, uint32_t *ret, struct error *err);

#define SLOT_ID_TEXT_MAX (SLOT_ID_LEN * 2 + 1)
const char *slot_id_text(const uint8_t id[SLOT_ID_LEN], char ret[SLOT_ID_TEXT_MAX]);
/* The slot that this text names: an id or the beginning of just one, at least 4 digits. ERR_NOT_FOUND. */
must_check bool slot_named(const struct vault *v, const char *text, struct slot_info *ret, struct error *err);
/* The one that opened the vault. */
must_check bool slot_that_opened(const struct vault *v, struct slot_info *ret, struct error *err);
/* A new key whose slot could not be stored: is it certain that nothing opens with it? A change may be in the file although
 * what follows it failed, and a disk that failed may give back later what it does not show now. If not, that is said:
 * the file it lies in stays. */
struct new_key;
bool key_work_is_unused(struct invocation *inv, const struct new_key *k, const char *file, const struct error *why);
const char *slot_kind_name(enum slot_kind kind); /* for programs: "key-file" */
/* "passphrase 1f2e3d4c5b6a7988" */
#define SLOT_NAME_MAX 64
const char *slot_name(const struct slot_info *slot, char ret[SLOT_NAME_MAX]);

/* A question with yes or no, on the terminal. */
must_check bool key_work_confirm(struct invocation *inv, const char *prompt, bool *ret_is_yes, struct error *err);

/* What opens a slot, from what a person typed: a recovery key, where it is one and this vault has such a slot, else a
 * passphrase. */
must_check bool slot_secret_of_typed(const struct vault *v, struct secret *typed, struct unlock_key *ret,
				     struct error *err);

/* Wrong keys that were tried since the last time; said once, by the first command that opens the vault. */
void say_wrong_keys(struct invocation *inv);
/* Is the passphrase that opened the vault cheaper to guess than a new one? Then how to change that. */
void say_cheap_key(struct invocation *inv);

#endif
