/* agent/unlock.h - open a vault with whatever the settings say opens it.
 *
 * In this order: key file, systemd credential, passphrase (file, then prompt; a recovery key is accepted where a
 * passphrase is asked for). A key file that is configured but missing, unreadable or too open is ERR_LOCKED with the
 * reason, and nothing else is tried; a key that opens no slot is ERR_WRONG_KEY. */
#ifndef AGENT_UNLOCK_H
#define AGENT_UNLOCK_H

#include "agent/settings.h"
#include "vault/vault.h"

/* Ask a person; false with err (ERR_LOCKED) when there is nobody to ask. NULL = never ask. */
typedef bool ask_passphrase_fn(void *context, struct secret **ret, struct error *err);

must_check bool unlock_open(const struct settings *settings, ask_passphrase_fn *ask, void *context, struct vault **ret,
			    struct error *err);

/* The same without an anchor, for vault_adopt. */
must_check bool unlock_adopting(const struct settings *settings, ask_passphrase_fn *ask, void *context,
				struct vault **ret, struct error *err);

/* The same whatever the audit log is like, for looking at it: no token comes from a vault opened so. */
must_check bool unlock_doubting(const struct settings *settings, ask_passphrase_fn *ask, void *context,
				struct vault **ret, struct error *err);

/* The same, and what opened it, for who wraps the root key anew. is_mending as in struct vault_place. */
struct unlock_key {
	enum slot_kind kind;
	struct secret *secret;
};
void unlock_key_done(struct unlock_key *key);
must_check bool unlock_keeping(const struct settings *settings, bool is_mending, ask_passphrase_fn *ask, void *context,
			       struct unlock_key *kept, struct vault **ret, struct error *err);

/* The file of the configured credential; false when none is, or systemd gave none to this process. */
must_check bool unlock_read_credential(const struct settings *settings, struct secret **ret, bool *ret_is_there,
				       struct error *err);

/* Open a vault that somebody else has opened, such as a backup. */
must_check bool unlock_with_any(struct vault *v, const struct settings *settings, ask_passphrase_fn *ask, void *context,
				struct error *err);

/* A key file: exactly 32 bytes, private. ERR_LOCKED otherwise. */
must_check bool unlock_read_key_file(const char *path, struct secret **ret, struct error *err);

/* A passphrase from a file or descriptor: one line end at the close is not part of it. */
must_check bool unlock_read_passphrase(int fd, struct secret **ret, struct error *err);

#endif
