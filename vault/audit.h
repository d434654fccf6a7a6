/* vault/audit.h - who got, changed, probed or was denied what: a chained, keyed, append-only file of JSON lines.
 *
 * The file lies in the state folder, beside the anchor and named like it. Each line carries a sequence number and a MAC
 * over itself and the MAC before it (Kaud0), so that a line that was edited, dropped, repeated or moved is noticed by
 * whoever has the key; the anchor remembers sequence and head, so that a tail that was cut off, and a log that was
 * deleted or replaced, are noticed too. Pixels stand in it by their keyed id, tokens by their fingerprint: a stolen log
 * names neither.
 *
 * Fail closed: a change is durable here before it is made, a read is written here before the token leaves. When a line
 * cannot be written, the caller refuses what the line was about (ERR_STORAGE, class "audit"). 4 MiB are kept allocated
 * ahead, for lines that say that something was refused.
 *
 * Thread-safe. Several processes append to one file, each line under <log>.lock. */
#ifndef VAULT_AUDIT_H
#define VAULT_AUDIT_H

#include "core/bytes.h"
#include "core/clock.h"
#include "core/error.h"
#include "vault/credential.h"
#include "vault/seal.h"

#include <sys/types.h>

#define AUDIT_NAME_MAX 64

/* On whose behalf. All zero: this process's own ids, no consumer. */
struct audit_who {
	bool is_known; /* false: uid, gid and pid are this process's own, as they were when the log was made */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	char as[AUDIT_NAME_MAX + 1]; /* the consumer's name: --as, X-Consumer, a systemd unit; "" = none */
};

struct audit_event {
	const char *verb;           /* a literal: "get", "run", "put", "promote", "label", "remove", "probe", "unlock" ... */
	const char *pixel;          /* code, or NULL */
	uint32_t version;           /* 0 = none */
	const uint8_t *fingerprint; /* FINGERPRINT_LEN bytes, or NULL */
	const char *result;         /* a literal: "ok", "intent", "done", "denied", or the name of an error code */
	const uint8_t *pixel_id;    /* PIXEL_ID_LEN bytes, as vault_log_id makes them of pixel; NULL = made of it now */
};

struct audit;

enum audit_weight {
	AUDIT_ORDINARY, /* refused when the 4 MiB ahead cannot be kept */
	AUDIT_RESERVE,  /* a refusal, lock, stop: may use them up */
};

/* Append one line per event, all in one write. is_durable: fdatasync before returning. */
must_check bool audit_append(struct audit *a, const struct audit_who *who, const struct audit_event *events,
			     size_t count, enum audit_weight weight, bool is_durable, struct error *err);

/* Make durable what was appended so far (audit-reads = durable, many reads at once). */
must_check bool audit_sync(struct audit *a, struct error *err);

/* For a process that appends often: between audit_begin_turn and audit_end_turn the file lock, once taken, is kept, and
 * the proof that the file is still the one at the path is made once. A turn is short, a millisecond or two and the round
 * of the loop that is under way: others wait. */
void audit_begin_turn(struct audit *a);
void audit_end_turn(struct audit *a);
/* Within a turn: lines that go out in one write. audit_collect takes one in, under the file lock; not one of those taken
 * in counts as written before audit_settle said so, for all of them at once. Lines of audit_append come behind them. */
must_check bool audit_collect(struct audit *a, const struct audit_who *who, const struct audit_event *event,
			      struct error *err);
must_check bool audit_settle(struct audit *a, struct error *err);

/* ---- an entry as it stands in the file ---- */

#define AUDIT_WORD_MAX 16 /* of a verb, of a result */
#define AUDIT_LINE_MAX 1280

enum audit_extra {
	AUDIT_PLAIN,
	AUDIT_OF_COMMIT, /* commit, base: intent and outcome of a change */
	AUDIT_TORN,      /* moved: so many bytes behind the last whole line went into a file of their own */
	AUDIT_SCAR,      /* anchored, digest: all before this entry, whatever its state, was accepted by somebody */
};

struct audit_entry {
	uint64_t sequence;
	char at[CLOCK_TEXT_MAX];
	char boot[37]; /* the kernel's boot id */
	uint64_t boot_ms;
	uint32_t uid, gid, pid;
	char as[AUDIT_NAME_MAX + 1];
	char verb[AUDIT_WORD_MAX + 1];
	bool has_pixel;
	uint8_t pixel[PIXEL_ID_LEN];
	uint32_t version;
	char fingerprint[FINGERPRINT_TEXT_MAX]; /* "" = none */
	char result[AUDIT_WORD_MAX + 1];
	uint64_t generation, segment;
	enum audit_extra extra;
	uint8_t commit[16];
	uint64_t base, moved, anchored;
	uint8_t digest[DIGEST_LEN];
	uint8_t mac[DIGEST_LEN];
};

/* One whole line with its newline, into at least AUDIT_LINE_MAX bytes; returns its length. The MAC is written as the
 * entry has it. ret_covered is how many of the bytes the MAC covers. */
size_t audit_entry_encode(const struct audit_entry *e, char *ret, size_t *ret_covered);
/* The line with or without its newline. False: not exactly what encoding gives. */
must_check bool audit_entry_decode(struct bytes line, struct audit_entry *ret, size_t *ret_covered);
/* Over segment, length, the covered bytes and the MAC of the entry before. start: audit_mac_start's. */
void audit_entry_mac(const struct secret *start, uint64_t segment, struct bytes covered,
		     const uint8_t before[DIGEST_LEN], uint8_t ret[DIGEST_LEN]);
must_check bool audit_mac_start(const struct keys *keys, struct secret **ret, struct error *err);

/* ---- for the vault: where the log is, and what the anchor remembers of it ---- */

struct audit_position {
	uint64_t sequence; /* 0 = no entry */
	uint8_t mac[DIGEST_LEN];
};

/* A position as people keep it outside of this host: SEQUENCE:MAC, the MAC in hexadecimal. It gives nothing away. */
#define AUDIT_HEAD_TEXT_MAX 88
const char *audit_head_text(const struct audit_position *at, char ret[AUDIT_HEAD_TEXT_MAX]);
must_check bool audit_head_parse(const char *text, struct audit_position *ret);

struct audit_commit {
	uint8_t id[16];
	uint64_t base;
};

/* An entry to be written. */
struct audit_line {
	const struct audit_who *who;
	struct audit_event event;
};

/* No file is touched yet. It has its own copy of the keys it needs. anchor_path names the place. */
must_check bool audit_new(const char *anchor_path, const struct keys *keys, struct audit **ret, struct error *err);
void audit_free(struct audit *a);
/* Open the log and compare its end with what the anchor remembers. ERR_DAMAGED, class "audit", when it is missing,
 * shorter, or another one. Reads only the end: audit_walk reads all. */
must_check bool audit_prove(struct audit *a, const struct audit_position *anchored, struct error *err);
/* The anchor, by another process's doing, remembers more by now: less will not do from now on. */
void audit_expect(struct audit *a, const struct audit_position *anchored);
/* For a vault whose anchor knows nothing: a log that is sound goes on, another one is moved aside under `name`. */
must_check bool audit_take_over(struct audit *a, const char *name, struct error *err);
/* Nothing is appended from now on, with this answer. */
void audit_refuse(struct audit *a, const struct error *why);
/* Stands in every entry from now on. */
void audit_set_generation(struct audit *a, uint64_t generation);

/* As audit_append; commit may be NULL. */
must_check bool audit_append_lines(struct audit *a, const struct audit_line *lines, size_t count,
				   const struct audit_commit *commit, enum audit_weight weight, bool is_durable,
				   struct error *err);
/* Up to where the log is known to be durable: what the anchor may remember. */
void audit_durable(struct audit *a, struct audit_position *ret);
/* True when an entry could not be made durable, which err says: nothing is appended any more. */
bool audit_has_lost(const struct audit *a, struct error *err);

/* With other writers of the vault held out: an intent without an outcome is of a process that died. One entry each says
 * what became of it. root_commit and generation are the vault's. */
must_check bool audit_explain(struct audit *a, const uint8_t root_commit[16], uint64_t generation, struct error *err);
/* That, and then the intents of a commit that is based on that root; all of it durable. */
must_check bool audit_intend(struct audit *a, const uint8_t root_commit[16], uint64_t generation,
			     const struct audit_line *lines, size_t count, const struct audit_commit *commit,
			     struct error *err);
/* The outcomes of those intents, unless somebody else found out first and wrote it. */
must_check bool audit_conclude(struct audit *a, const struct audit_line *lines, size_t count,
			       const struct audit_commit *commit, struct error *err);

/* ---- reading all of it ---- */

struct audit_report {
	uint64_t entries, last, segments, faults, accepted, clock_reversals, unexplained;
	uint64_t first_bad;   /* sequence; 0 = none */
	uint64_t torn;        /* bytes behind the last whole line */
	uint64_t best, best_segment; /* the highest sequence that is proven */
	char first[240];      /* the first fault, for people */
	bool lacks_noted;           /* one of the faults is that */
	struct audit_position head; /* the last entry, when nothing is at fault */
};
/* is_proven: the entry follows from the one before it. on_fault gets a sentence per fault. Either may be NULL.
 * noted: a head that was kept outside of this host, or NULL; a log without that entry is at fault, accepted losses or
 * not. */
typedef bool audit_entry_fn(void *context, const struct audit_entry *e, bool is_proven, struct error *err);
typedef void audit_fault_fn(void *context, const char *sentence);
struct audit_reader {
	audit_entry_fn *entry;
	audit_fault_fn *fault;
	void *context;
	const struct audit_position *noted;
};
/* One pass over the file as it is now. False only when it cannot be read, or entry said so. */
must_check bool audit_walk(struct audit *a, const struct audit_position *anchored, const struct audit_reader *reader,
			   struct audit_report *ret, struct error *err);
/* The log as it lies there, faults and all, becomes the past: a scar is appended, in a new segment. ERR_CONFLICT when
 * nothing is wrong with it. */
must_check bool audit_accept_loss(struct audit *a, const struct audit_position *anchored, const struct audit_who *who,
				  struct error *err);

const char *audit_path(const struct audit *a);

#endif
