/* agent/alert.h - who is to be told what, and when. Pure: no clock, no store, no network.
 *
 * The book of alerts is kept by comparing what is wrong now (a fact a Pixel, all of them in one look) with what was
 * known before. So it makes no difference who found it, in which order, or who was killed in between.
 *
 *     facts that are new ── grouped by kind, verdict and the label they share ──▶ a cause
 *     a cause            ── new, grown, standing for long, all well again     ──▶ a message for each sink
 *
 * A Pixel that turns bad again belongs to the cause it belonged to. A cause that grows is told again after 5 minutes,
 * then 10, 20, 40 and at most 60. One that comes back within a day is the same one, and is called well only when it has
 * been so for 10 minutes, the next time for 20, and so on up to 6 hours. So whatever flaps, messages come ever more
 * rarely, and the last one tells the truth.
 *
 * Of a cause a sink is owed one message at most: the newest. Once a sink is owed or was told an alert it is owed the
 * recovery too. A sink gets one message at a time; one that does not take it is tried again after 1 minute, 2, 4, up to
 * an hour, and keeps nobody else waiting. The number of a message is stored before it is sent: sent twice, it has the
 * same. */
#ifndef AGENT_ALERT_H
#define AGENT_ALERT_H

#include "agent/alert_fact.h"
#include "core/buf.h"

#define ALERT_SINK_NAME_MAX 49
#define ALERT_CAUSES_MAX 256       /* beside each other; what comes beyond joins one of its kind */
#define ALERT_KEEP_S 86400         /* a cause that ended is known as long, in case it comes back */
#define ALERT_PIXEL_BLIND "*blind" /* what stands for no Pixel */
#define ALERT_PIXEL_CLOCK "*clock"
#define ALERT_PIXEL_UNREADABLE "*damaged"

struct alert_sink {
	char name[ALERT_SINK_NAME_MAX + 1];
	enum alert_severity least;
	int64_t remind_s; /* 0 = never */
};

/* What one sink knows of a cause. */
struct alert_slot {
	bool was_told;         /* something, at any time */
	enum alert_event told; /* what it was told last ... */
	int64_t told_at;       /* ... and when */
	bool is_owed;          /* a message waits */
	enum alert_event owed;
	uint32_t number; /* of that message */
};

struct cause {
	uint64_t key; /* random, 40 bits */
	enum alert_kind kind;
	enum verdict verdict;
	int64_t step;
	bool has_label;
	struct label label;
	int64_t since; /* the earliest of its Pixels */
	int64_t opened_at, grown_at;
	int64_t released_at; /* the last alert; 0 = none yet */
	uint32_t releases;   /* since it was opened or came back */
	uint32_t number;     /* the last that was given to a message */
	uint32_t again;
	int64_t well_at;               /* since when no Pixel of it is in trouble; 0 = some are */
	int64_t ended_at;              /* 0 = open */
	int64_t acked_at, acked_until; /* 0 = not; INT64_MAX: until it ends */
	size_t told_count, added;      /* Pixels in trouble when it was last told; so many more than the time before */
	bool has_recovered;            /* a Pixel of it became well, not worse */
	struct alert_slot slots[ALERT_SINKS_MAX];
	size_t bad, ever; /* counted at each look; not stored */
};

struct member {
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t cause; /* its place; moves when causes are forgotten */
	bool is_bad;
	int64_t since;
	uint32_t version;
	uint32_t weight; /* as last seen; not stored */
	bool is_seen;
};

/* How a sink takes what it is sent. */
struct alert_line {
	struct alert_sink sink;
	uint32_t tries; /* in vain, in a row */
	int64_t next_at;
	bool is_busy;      /* a message is on its way; not stored */
	bool is_absent;    /* the configuration does not name it; not stored */
	char trouble[160]; /* why it took nothing; not stored */
};

struct alerts {
	struct alert_line lines[ALERT_SINKS_MAX];
	size_t line_count;
	struct cause *causes;
	size_t cause_count;
	struct member *members; /* sorted by code between two looks */
	size_t member_count, member_room;
	struct look *look; /* while one is made */
	double at_risk;    /* weight times hours in trouble, of the last look */
	int64_t looked_at;
};

must_check bool alerts_new(struct alerts **ret, struct error *err);
void alerts_free(struct alerts *a);
void alerts_freep(struct alerts **a);

/* Of what was known of a sink before by this name, all stays; also of one that is not among them, as long as causes that
 * it was told of are remembered. */
void alerts_set_sinks(struct alerts *a, const struct alert_sink *sinks, size_t count);

/* ---- a look ---- */

must_check bool alerts_begin(struct alerts *a, struct error *err);
/* Each Pixel and listing token once, also when all is well with it. */
must_check bool alerts_note(struct alerts *a, const struct alert_fact *fact, struct error *err);
/* What concerns no Pixel: ALERT_KIND_BLIND, ALERT_KIND_CLOCK. */
must_check bool alerts_note_general(struct alerts *a, enum alert_kind kind, int64_t since, struct error *err);
/* Some Pixel's record does not open, so that not even its code is known: nobody who is missing counts as removed. */
must_check bool alerts_note_unreadable(struct alerts *a, int64_t since, struct error *err);
/* Puts together what was noted. draw gives 40 random bits for a new cause. *ret_changed: something is to be stored. */
typedef uint64_t alert_draw_fn(void);
must_check bool alerts_end(struct alerts *a, alert_draw_fn *draw, int64_t now, bool *ret_changed, struct error *err);
/* The look is given up. */
void alerts_drop(struct alerts *a);

/* Would this fact change anything? Cheap: a look costs more. */
bool alerts_is_news(const struct alerts *a, const struct alert_fact *fact);
/* Is anything remembered that a look might end? */
bool alerts_is_quiet(const struct alerts *a);

/* Releases what is due by time alone: growth, reminders, recoveries. */
bool alerts_tick(struct alerts *a, int64_t now);
/* When alerts_tick or a sink has something to do next; INT64_MAX = nothing. */
int64_t alerts_next_at(const struct alerts *a, int64_t now);

/* ---- sending ---- */

/* The next message that may go now; its sink is busy from then on. */
struct alert_due {
	size_t line;
	uint64_t key; /* of the cause */
	enum alert_event event;
	uint32_t number;
};
bool alerts_next(struct alerts *a, int64_t now, struct alert_due *ret);
enum alert_outcome { ALERT_DELIVERED, ALERT_LATER, ALERT_REFUSED };
struct alert_answer {
	enum alert_outcome outcome;
	int64_t pause_s;    /* the sink asked for it; 0 = it did not */
	const char *reason; /* cleaned, short; "" = none */
};
void alerts_done(struct alerts *a, const struct alert_due *due, const struct alert_answer *answer, int64_t now);

/* ---- for people ---- */

struct cause *alerts_find(const struct alerts *a, uint64_t key); /* NULL = none */
const char *alert_id(uint64_t key, char ret[ALERT_ID_MAX]);
must_check bool alert_id_parse(const char *text, uint64_t *ret);
void alerts_ack(struct cause *cause, int64_t now, int64_t until);
bool cause_is_acked(const struct cause *cause, int64_t now);

/* ---- as bytes ---- */

must_check bool alerts_encode(const struct alerts *a, struct buf *ret_causes, struct buf *ret_members,
			      struct error *err);
/* False: not ours, or damaged; a is empty then, as if nothing had ever been told. */
must_check bool alerts_decode(struct alerts *a, struct bytes causes, struct bytes members);

#endif
