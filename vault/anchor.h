/* vault/anchor.h - what this host remembers of a vault, outside the vault's folder: the last generation.
 *
 * A file of two 512-byte blocks written in turn, each with a MAC; the valid block of the higher generation counts, so a
 * torn write loses at most one generation, which the root's own memory bridges. It is bound to the vault's path:
 * another vault's file put in its place is noticed, and so is an older copy of the right one. */
#ifndef VAULT_ANCHOR_H
#define VAULT_ANCHOR_H

#include "vault/codec.h"

#include <limits.h>
#include <sys/stat.h>

#define ANCHOR_BLOCK 512

struct anchor {
	uint8_t vault_id[VAULT_ID_LEN];
	uint8_t lineage[16];
	uint32_t epoch;
	uint64_t generation;
	uint8_t root_mac[DIGEST_LEN];
	uint64_t audit_sequence;
	uint8_t audit_head[DIGEST_LEN];
	int64_t wall_clock; /* the latest ever seen: it does not go back, but for vault_adopt */
};

/* The raw file, read before the store and proven once the keys are there. */
struct anchor_file {
	char path[PATH_MAX];
	uint8_t blocks[2][ANCHOR_BLOCK];
	bool is_there;
	bool is_open; /* fd, since anchor_hold; which file that is */
	int fd;
	struct stat opened;
};

/* Where the anchor of the vault at this absolute path lies in state_dir. */
must_check bool anchor_place(const char *state_dir, const char *vault_path, struct anchor_file *ret, struct error *err);
/* A missing or short file is not an error: is_there is false. */
must_check bool anchor_read(struct anchor_file *file, struct error *err);
/* The same, with other writers held out, for the anchor_advance that follows. The file stays open for as long as it is the
 * one at its path: to open it again takes longer than to read and write it. */
must_check bool anchor_hold(struct anchor_file *file, struct error *err);
void anchor_let_go(struct anchor_file *file);
/* The valid block of the higher generation, then of the higher audit sequence; false when there is none. ret_block says
 * which. */
must_check bool anchor_prove(const struct anchor_file *file, const struct keys *keys, struct anchor *ret,
			     unsigned *ret_block);
/* The same for a root of this lineage: while a restore is under way the blocks speak of two histories, and then the block
 * of this one counts. */
must_check bool anchor_prove_for(const struct anchor_file *file, const struct keys *keys, const uint8_t lineage[16],
				 struct anchor *ret, unsigned *ret_block);
/* The latest wall clock in either block, unproven; 0 = none. */
int64_t anchor_glance_at_clock(const struct anchor_file *file);
/* Does a block, unproven, speak of this vault under a later root key? Only to tell why nothing of it could be proven. */
bool anchor_is_of_later_epoch(const struct anchor_file *file, const uint8_t vault_id[VAULT_ID_LEN], uint32_t epoch);
/* Do the blocks that can be read, unproven, all speak of another vault? Likewise. */
bool anchor_is_of_another_vault(const struct anchor_file *file, const uint8_t vault_id[VAULT_ID_LEN]);
/* Make a new file holding just this. */
must_check bool anchor_create(const struct anchor_file *file, const struct keys *keys, const struct anchor *a,
			      struct error *err);
/* The same with this block of another history kept beside it. */
must_check bool anchor_create_beside(const struct anchor_file *file, const struct keys *keys, const struct anchor *a,
				     const uint8_t kept[ANCHOR_BLOCK], struct error *err);
/* The newest block, unproven, of this history and root key; NULL when there is none. */
const uint8_t *anchor_block_of(const struct anchor_file *file, const struct root *root);
/* Write the block that is not `valid_block`, durably. */
must_check bool anchor_advance(struct anchor_file *file, const struct keys *keys, const struct anchor *a,
			       unsigned valid_block, struct error *err);

enum descent {
	DESCENT_SAME,    /* exactly what we remember */
	DESCENT_NEWER,   /* grew out of it: other writers, or a crash before the anchor */
	DESCENT_OLDER,   /* rolled back */
	DESCENT_FORKED,  /* another history or another vault */
	DESCENT_TOO_FAR, /* newer than the root's memory can prove */
};
/* How a proven root relates to what we remember. Pure. */
enum descent anchor_judge(const struct anchor *remembered, const struct root *now);

#endif
