/* agent/courier.h - the process that talks to the Internet, seen from the process that holds the keys.
 *
 * The courier is vault-agent started by fork+exec with an empty environment and a socketpair. It holds no root key and
 * no store; it is given one token per question and gives back one fixed-size answer. What TikTok sends is parsed there,
 * so a fault in a TLS, HTTP or JSON library is that process's death, answered here as TRANSPORT_NO_COURIER, never ours.
 * A dead courier is started again by the next question.
 *
 * Messages are fixed-size and versioned (agent/courier_wire.h). */
#ifndef AGENT_COURIER_H
#define AGENT_COURIER_H

#include "agent/settings.h"
#include "agent/verdict.h"
#include "core/secret.h"

/* As many times in_flight may be unanswered while TikTok answers quickly: see courier_room. What waits with the courier is its work
 * while its caller commits, or empties the store's log. It cannot be called back, and what comes after it waits for it: an agent,
 * which does more than to sweep, hands over less. */
#define COURIER_AHEAD 4u
#define COURIER_AHEAD_GIVEN 2u

struct courier;

struct question {
	uint64_t id;
	enum probe_kind kind; /* dry, test, live, refresh, listing; none: is the host there and proven? Asked without a token */
	bool is_fresh;        /* on a connection of its own: a confirmation */
	const char *pixel; /* or the name of a list */
	uint32_t page;     /* of a list */
	const char *test_code; /* "" unless kind is test */
	enum family family;    /* of a refresh; with kind none login = Login Kit's host, else the Events API's */
	const struct secret *token; /* of a refresh: what vault/grant.h packs */
};

struct token_pair;
struct list_page;

struct reply {
	uint64_t id;
	struct answer answer;
	/* What a refresh brought, in locked memory; NULL = nothing. The courier's, until the next question or
	 * courier_forget_pair. */
	const struct token_pair *pair;
	/* A page of a list; NULL = it brought none. The courier's, until the next question of that kind. */
	const struct list_page *page;
};

/* Starts nothing yet. The settings' [tiktok] part and in_flight are copied. */
must_check bool courier_new(const struct settings *settings, struct courier **ret, struct error *err);

/* For a process that may start none: somebody else does, and hands over the sockets to them. */
must_check bool courier_new_given(const struct settings *settings, struct courier **ret, struct error *err);
void courier_give(struct courier *c, int fd); /* takes fd; one given earlier is let go, its questions answered */
/* Is there one to ask, or was none given for so long (5 s) that asking shall be answered with NO_COURIER? */
bool courier_is_ready(const struct courier *c);
/* One was let go because it did not answer: whoever started it should end it. Asking clears it. */
bool courier_was_stuck(struct courier *c);

/* For a loop of the caller's: readable when an answer came, or a wish to make room, which courier_next hears (-1: none runs); what
 * was gathered is written out; and how long to wait at most until a question's time is over (INT64_MAX: none is open). */
int courier_fd(const struct courier *c);
void courier_flush(struct courier *c);
int64_t courier_wait_ms(const struct courier *c);
/* Nothing more will be asked (doing so is a bug), and what is unanswered is dropped: a process of our own, if one runs, is told
 * so and ends while the caller goes on; one that was given is let be. May be said twice. */
void courier_dismiss(struct courier *c);
void courier_free(struct courier *c); /* dismisses, and waits for the end of a process of our own */
void courier_freep(struct courier **c);

/* Of refreshes and lists one is under way at a time: may one of this kind be asked? */
bool courier_takes(const struct courier *c, enum probe_kind kind);

/* How many questions may be asked now: in_flight, or COURIER_AHEAD times as many (of a given courier COURIER_AHEAD_GIVEN times)
 * while answers take so short (20 ms) that the courier would have nothing to do whenever its caller stores some of them, less
 * those unanswered; none while one that makes room for another answers what it was asked. Never more than in_flight are under way
 * to TikTok; one asked ahead waits with the courier. */
size_t courier_room(const struct courier *c);

/* Start the process now rather than with the first question: it gets ready while the caller does. */
void courier_wake(struct courier *c);

/* Hand over a question, of which there is room for (asking more is a bug). The token is copied into the
 * message and wiped from it after writing. While other questions are unanswered, several may be gathered and written in
 * one go, at the latest when courier_next has to wait. Cannot fail: trouble becomes the answer. */
void courier_ask(struct courier *c, const struct question *q);
size_t courier_unanswered(const struct courier *c);

/* Wait for the next answer, at most wait_ms (0 = only look). False when none came in time. */
must_check bool courier_next(struct courier *c, int64_t wait_ms, struct reply *ret);

/* Wipe what the last refresh brought: it was stored. */
void courier_forget_pair(struct courier *c);

/* Both at once. */
void courier_ask_one(struct courier *c, const struct question *q, struct answer *ret);

/* The other side: main of a process started as a courier, speaking on descriptor 3 until it closes. */
int courier_main(void);

#endif
