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

#include "core/error.h"
#include "vault/credential.h"
#include "vault/seal.h"

#include <sys/types.h>

#define AUDIT_NAME_MAX 64

/* On whose behalf. All zero: this process's own ids, no consumer. */
struct audit_who {
	bool is_known; /* false: uid, gid and pid are this process's own */
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
 * the proof that the file is still the one at the path is made once. A turn is short: one round of an event loop. */
void audit_begin_turn(struct audit *a);
void audit_end_turn(struct audit *a);

#endif
