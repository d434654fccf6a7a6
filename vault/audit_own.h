/* vault/audit_own.h - what the log's files share; nobody else includes it. */
#ifndef VAULT_AUDIT_OWN_H
#define VAULT_AUDIT_OWN_H

#include "core/buf.h"
#include "vault/audit.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define AUDIT_TAIL 4096      /* of the log that is read when it is opened */
#define AUDIT_PIECE (256u << 10) /* read at once; so much without a newline is no torn line, whoever looks */
#define AUDIT_TAIL_MAX 65536 /* at most, and of what others appended */
#define AUDIT_NO_BOOT "00000000-0000-0000-0000-000000000000"
#define AUDIT_OPEN_MAX 64 /* intents without an outcome that are remembered */
#define AUDIT_IDS_CACHED 1024
#define AUDIT_IDS_ROW 16

struct audit_id {
	char pixel[PIXEL_CODE_MAX + 1];
	uint8_t id[PIXEL_ID_LEN];
};

struct audit {
	char path[PATH_MAX], lock_path[PATH_MAX + 8];
	struct audit_who self; /* this process, asked once: nobody changes user, or forks and appends, with a vault open */
	struct keys *keys; /* index only */
	struct secret *mac_start;
	_Atomic uint64_t generation;
	atomic_bool is_failed; /* a sync failed: final */

	pthread_mutex_t mutex; /* of all below */
	int fd, lock_fd;
	struct stat opened, lock_opened; /* which files these are; only device and inode stay true */
	int denied; /* errno why fd is read-only; 0 = it can be written */
	bool is_locked, is_in_turn;
	bool is_proven; /* the place, since the lock was taken */
	bool has_turn_error; /* the lock was not to be had in this turn, or the file is not ours: once said, said for
				the turn */
	struct error turn_error;
	bool is_refusing;
	struct error refusal;

	/* the end of the log as we know it: all up to `size` are whole lines */
	uint64_t size, allocated;
	struct audit_position last, durable, anchored;
	bool may_be_cut; /* the last entry is of an earlier boot: a power cut may have lost some of what lies behind it */
	uint64_t segment;
	bool has_no_room; /* this file system cannot allocate ahead */
	bool is_scanned;  /* for intents that were left */
	size_t open_count;
	struct audit_commit open[AUDIT_OPEN_MAX];

	struct buf out;
	size_t collected; /* lines in `out` that wait for audit_settle, or for whoever else writes first */
	struct audit_position before_collected;
	bool has_lost; /* such lines could not be written; `lost` says why, audit_settle tells it */
	struct error lost;
	char boot[37];
	int64_t at;
	char at_text[CLOCK_TEXT_MAX];
	/* Row by row on first need: all of it at once would be 16 pages for a command that writes one line. */
	struct audit_id *ids[AUDIT_IDS_CACHED / AUDIT_IDS_ROW];
	struct audit_id spare_id; /* where there is no memory for a row */
};

/* Take the mutex and the file lock, and prove the place unless that was done in this turn. */
must_check bool audit_enter(struct audit *a, struct error *err);
void audit_leave(struct audit *a);
/* The lock alone: for what mends a log whose place cannot be proven. Mutex held. */
must_check bool audit_lock(struct audit *a, struct error *err);

void audit_begin(struct audit *a); /* empties a->out */
/* Fill in everything but sequence, extra and MAC. */
void audit_fill(struct audit *a, const struct audit_who *who, const struct audit_event *event, struct audit_entry *ret);
/* Give the entry its place in the chain and append it to a->out. a->last moves on: a caller whose write fails puts it
 * back. */
void audit_chain(struct audit *a, struct audit_entry *e, const uint8_t before[DIGEST_LEN]);
/* Write a->out behind the log's end; nothing of it stays when it fails. */
must_check bool audit_write(struct audit *a, enum audit_weight weight, struct error *err);
/* Make durable all that is written; outside of mutex and lock. */
must_check bool audit_flush(struct audit *a, const struct audit_position *upto, struct error *err);

/* A piece of the file, up to some end. */
struct audit_tail {
	struct buf bytes;
	uint64_t at;  /* where in the file they begin */
	size_t whole; /* of the bytes, up to and with the last newline */
};
must_check bool audit_tail_read(struct audit *a, uint64_t size, size_t len, struct audit_tail *t, struct error *err);
/* Where the line that ends before `end` begins; SIZE_MAX when that is not in the tail. */
size_t audit_tail_line(const struct audit_tail *t, size_t end);
must_check bool audit_tail_decode(const struct audit_tail *t, size_t from, size_t end, struct audit_entry *ret,
				  struct bytes *ret_covered);

/* What others appended since: followed, or proven. *ret_torn: bytes behind the last good line, for audit_mend_torn, which
 * moves them aside and says so in the log. */
must_check bool audit_catch_up(struct audit *a, uint64_t size, uint64_t *ret_torn, struct error *err);
must_check bool audit_mend_torn(struct audit *a, uint64_t len, struct error *err);
/* Is this line one that a power cut may have left: with zero bytes in it? */
bool audit_is_cut(struct bytes line);

/* The kernel's boot id; AUDIT_NO_BOOT where there is none. */
const char *audit_boot(struct audit *a);
void audit_remember_intent(struct audit *a, const struct audit_entry *e);

/* Does e follow from what is before it? A scar follows from anything. */
bool audit_follows(const struct audit *a, const struct audit_entry *e, struct bytes covered,
		   const struct audit_position *before, uint64_t segment);
must_check bool audit_open_file(struct audit *a, bool may_create, struct error *err);

#endif
