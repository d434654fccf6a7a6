/* cli/new_key.h - a key that is to open a vault: from a file, a descriptor or a person, or made here. */
#ifndef CLI_NEW_KEY_H
#define CLI_NEW_KEY_H

#include "cli/command.h"

struct new_key {
	enum slot_kind kind;
	struct secret *secret;
	const char *key_file;        /* NULL: none */
	bool is_key_file_new;        /* still to be written: new_key_write */
	const char *passphrase_file; /* NULL: typed, or from a descriptor */
};
void new_key_done(struct new_key *k);

/* A passphrase; of a new one at least PASSPHRASE_MIN_CHARS, and it is typed twice. Before asking: term_may_ask. */
must_check bool passphrase_file(const char *path, bool is_new, struct secret **ret, struct error *err);
must_check bool passphrase_fd(int64_t fd, bool is_new, struct secret **ret, struct error *err);
must_check bool passphrase_ask_new(const char *prompt, struct secret **ret, struct error *err);

/* The 32 bytes in a file, or 32 new ones where there is none at this path. */
must_check bool new_key_file(const char *path, struct new_key *k, struct error *err);
must_check bool new_key_passphrase_file(const char *path, struct new_key *k, struct error *err);
must_check bool new_key_passphrase_fd(int64_t fd, struct new_key *k, struct error *err);
/* Typed twice. Without a terminal: no_terminal's failure. */
must_check bool new_key_ask(struct invocation *inv, struct new_key *k, struct error *err);
/* A recovery key, shown once and typed back. */
must_check bool new_key_recovery(struct new_key *k, struct error *err);

/* The options --key-file, --passphrase-fd and --passphrase-file; *ret_is_given is false when there was none. */
must_check bool new_key_from_options(const struct invocation *inv, struct new_key *k, bool *ret_is_given,
				     struct error *err);

/* The key file, and its folder, unless it was there; before a vault depends on it. new_key_undo: it does not. */
must_check bool new_key_write(const struct new_key *k, struct error *err);
void new_key_undo(const struct new_key *k);

must_check bool make_folder_of(const char *path, bool must_be_private, struct error *err);
const char *absolute_path(const char *path, char room[PATH_MAX]);
/* Do these absolute paths lie in one folder? */
bool lies_beside(const char *one, const char *other);

#endif
