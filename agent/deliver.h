/* agent/deliver.h - one message to one sink, seen from the process that holds the keys.
 *
 * Each delivery has a process of its own, vault-agent started as a messenger (agent/messenger.h), which reads the sink
 * in the configuration by its name, and its secrets; so who sends here can reach only what the administrator named. A
 * sink that hangs, or brings its messenger down, delays and fails nobody else; probes never wait. The keeper may start
 * no process, so there the supervisor does (LINK_MESSENGER); other programs fork.
 *
 * Nothing here blocks but deliver_next, as long as it is told to. Not thread-safe: one thread has it. */
#ifndef AGENT_DELIVER_H
#define AGENT_DELIVER_H

#include "agent/alert_message.h"
#include "agent/sinks.h"

#define DELIVER_OPEN_MAX 6 /* at a time; ask deliver_has_room */
#define DELIVERY_REASON_MAX 160
#define DELIVER_MOST_MS 70000 /* whatever a sink or its messenger does, its outcome is there by then */

struct delivery {
	uint64_t id; /* yours, comes back with the outcome */
	enum sink_type type;
	const char *sink;                    /* NAME of [alert NAME] */
	const struct alert_message *message; /* copied; NULL of a SINK_PING, else needed */
};

enum delivery_outcome {
	DELIVERY_DONE,   /* the sink took it */
	DELIVERY_LATER,  /* not now: it did not answer, is busy, or something on this host has to be put right */
	DELIVERY_REFUSED /* for good: the same again will not be taken either */
};

struct delivery_result {
	uint64_t id;
	enum delivery_outcome outcome;
	int64_t retry_after_s;                /* the sink asked for this pause; 0 = it did not */
	char reason[DELIVERY_REASON_MAX + 1]; /* printable ASCII, never holds a secret; "" when done */
};

struct deliver;

/* config is --config or NULL; link the supervisor's socket (agent/link.h), or -1 where we start processes ourselves. */
must_check bool deliver_new(const char *config, int link, struct deliver **ret, struct error *err);
void deliver_free(struct deliver *d); /* ends what is open; it may or may not have arrived */
void deliver_freep(struct deliver **d);

bool deliver_has_room(const struct deliver *d);
size_t deliver_open(const struct deliver *d); /* sent, and not yet told by deliver_next */
/* Only while there is room. Cannot fail: trouble becomes the outcome. */
void deliver_send(struct deliver *d, const struct delivery *what);

/* The next outcome; waits at most wait_ms (0 = only look). False when none came in time. */
must_check bool deliver_next(struct deliver *d, int64_t wait_ms, struct delivery_result *ret);
/* For a loop of the caller's: readable when deliver_next has something to do; and how long to wait at most until a
 * delivery's time is over (INT64_MAX: none is open). */
int deliver_fd(const struct deliver *d);
int64_t deliver_wait_ms(const struct deliver *d);

#endif
