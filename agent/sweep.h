/* agent/sweep.h - one sweep over many (token, Pixel) pairs, as decisions. Pure: no clock, no network, no vault.
 *
 * Whoever drives it asks sweep_next what to do, does it, and tells sweep_answer what came back; the answer's ruling
 * says what to write down. So the whole of it - canary, pace, confirmation, breaker, outage rule - runs in a test at
 * any speed, and serves a one-shot check as well as the agent.
 *
 * The walk: the canary alone (the pair proven last: if that one gets no verdict, nobody would), then the rest in
 * parallel; a refused pair queues for a second look, which is due confirm_delay_ms after its first. A pair refused
 * twice that was not bad before is held until the sweep can tell an outage from a loss (sweep_settle). */
#ifndef AGENT_SWEEP_H
#define AGENT_SWEEP_H

#include "agent/pace.h"
#include "agent/ruling.h"
#include "agent/schedule.h"
#include "agent/service.h"

#include <stddef.h>

#define SWEEP_PAUSE_MAX_S 5  /* longer pauses of the breaker end the sweep */
#define SWEEP_CANARIES 3     /* as many that were refused or not understood, and the rest is asked all the same */
#define SWEEP_SILENCE_MAX 32 /* as many unreachable answers in a row, and nobody is there any more */
#define SWEEP_OUTAGES_AGREE 3

enum pair_state { PAIR_WAITING = 0, PAIR_ASKED, PAIR_SUSPECT, PAIR_CONFIRMING, PAIR_HELD, PAIR_DONE };

struct pair {
	uint32_t target;  /* the driver's number for the Pixel */
	uint32_t version; /* whose token */
	/* what was held before the sweep */
	enum verdict was, suspected;
	int64_t suspected_at, proven_at;
	bool was_unclear; /* TikTok's last answer about it could not be judged */
	/* the machine's */
	enum pair_state state;
	enum verdict first, outcome; /* of the first look; of the last */
	int64_t asked_at;            /* wall clock: what the breaker counts by */
	int64_t confirm_at_ms;       /* boot clock */
	size_t next_suspect;
};

struct sweep_limits {
	unsigned rate, in_flight;
	int64_t confirm_delay_ms;
	uint32_t outages; /* sweeps in a row before this one that looked like an outage */
	/* A refused pair is not looked at again in this sweep: a later one confirms it, when confirm_delay_ms is over. As
	 * such a sweep is small and ends before anything is confirmed, a first refusal counts for the outage rule too. */
	bool confirms_later;
};

struct sweep {
	struct pair *pairs; /* borrowed */
	size_t count;
	struct sweep_limits limits;
	struct breaker breaker; /* set by the driver before the first step, kept by it after each answer */
	struct pace pace;
	size_t next, in_flight, canaries;
	bool is_canary_done, is_ended;
	bool is_growing; /* more pairs come */
	enum sweep_end end;
	size_t suspect_head, suspect_tail;
	size_t asked, answered, proven, transient, turned, silence;
	bool is_outage; /* after sweep_settle: most turned bad, and nothing speaks for TikTok being well */
};

/* Pairs in the order in which they shall be asked; the pairs most fit for a canary are brought to the front: here, and once
 * more when the last have come to a sweep that grows, if it has not found its canary by then. */
void sweep_init(struct sweep *s, struct pair *pairs, size_t count, const struct sweep_limits *limits, int64_t now_ms);

/* The same pairs and behind them further ones, in the order in which they shall be asked; from sweep_init on is_growing was set.
 * Nothing is over before is_all. */
void sweep_grow(struct sweep *s, struct pair *pairs, size_t count, bool is_all);

enum sweep_act { SWEEP_ACT_ASK, SWEEP_ACT_WAIT, SWEEP_ACT_DONE };
struct sweep_step {
	enum sweep_act act;
	size_t pair;     /* ASK: this one ... */
	bool is_fresh;   /* ... on a connection of its own */
	int64_t wait_ms; /* WAIT: for an answer, at most this long */
};

/* now_ms is boot time, now wall time. */
struct sweep_step sweep_next(struct sweep *s, int64_t now_ms, int64_t now);

/* Does the finding refute, prove or say nothing of pairs[i]? is_reply: an HTTP answer came at all.
 * RULING_NONE: keep the evidence, sweep_settle will speak. */
enum ruling sweep_answer(struct sweep *s, size_t i, const struct finding *finding, bool is_reply, int64_t now_ms,
			 int64_t now);

/* The question could not be put: the pair is gone. */
void sweep_drop(struct sweep *s, size_t i);

/* Ask nothing more. */
void sweep_stop(struct sweep *s, enum sweep_end why);

/* When all is answered: what about those held? ret_outages is to be kept for the next sweep's limits. */
void sweep_settle(struct sweep *s, uint32_t *ret_outages);
enum ruling sweep_held_ruling(const struct sweep *s, const struct pair *p);

#endif
