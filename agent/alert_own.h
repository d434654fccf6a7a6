/* agent/alert_own.h - the inside of the book of alerts: shared by alert*.c, included by nobody else. */
#ifndef AGENT_ALERT_OWN_H
#define AGENT_ALERT_OWN_H

#include "agent/alert.h"

#define NO_CAUSE UINT32_MAX
#define ALERT_CAUSES_ROOM (ALERT_CAUSES_MAX + ALERT_KIND_COUNT)

/* A Pixel in trouble, of this look. */
struct found {
	char pixel[PIXEL_CODE_MAX + 1];
	enum alert_kind kind;
	enum verdict verdict;
	int64_t step, since;
	uint32_t version, weight;
	uint32_t cause;   /* it is in that one already, or was and it ended; NO_CAUSE = neither */
	size_t member;    /* its place there */
	bool is_fresh;    /* it is to be told */
	size_t labels_at; /* its labels in look.labels ... */
	size_t label_count;
};

struct tally {
	struct label label;
	uint32_t total; /* Pixels that have it, in trouble or not */
	uint32_t here;  /* of those looked at just now */
};

struct look {
	struct found *found;
	size_t found_count, found_room;
	struct tally *tallies;
	size_t tally_count, tally_room;
	uint32_t *index; /* a hash table of places in tallies, +1 */
	size_t index_room;
	uint32_t *labels; /* places in tallies */
	size_t labels_count, labels_room;
	size_t pixels;
	bool is_incomplete;
};

must_check bool look_add_labels(struct look *l, const struct alert_fact *fact, bool is_kept, size_t *ret_at,
				size_t *ret_count, struct error *err);
must_check bool look_add_found(struct look *l, const struct found *f, struct error *err);
void look_free(struct look *l);

struct choice {
	const struct tally *tally; /* NULL = nothing */
	size_t count;              /* so many of them have it */
};
/* A label worth a cause of its own: of all of them, or of a good part of them, which is then a good part of those that
 * have the label. chosen: places in found. */
struct choice look_common(struct look *l, const size_t *chosen, size_t count);
bool look_has(const struct look *l, const struct found *f, const struct label *label);

must_check bool alerts_group(struct alerts *a, alert_draw_fn *draw, int64_t now, struct error *err);

static inline bool cause_matches(const struct cause *c, enum alert_kind kind, int64_t step)
{
	return c->kind == kind && (!alert_kind_is_due(kind) || c->step == step);
}

/* A clock that was set back far makes nobody wait for it; one that is read twice may seem to have gone back a little. */
#define CLOCK_SLACK_S 300
static inline bool is_over(int64_t since, int64_t span_s, int64_t now)
{
	return now - since >= span_s || since - now > CLOCK_SLACK_S;
}

#endif
