/* Which Pixels in trouble belong together, and what they have in common. */
#include "agent/alert_own.h"
#include "agent/decoy.h"
#include "agent/gravity.h"

#include <stdlib.h>

#define TALLIES_MAX 65536 /* different labels that are counted */
#define GROUPS_MAX 8      /* causes that one look makes of one kind of trouble by label */
#define JOIN_S 3600       /* what comes later is another cause, unless it has its label */
#define SMALL_GROUP 3

/* ---- labels ---- */

static uint64_t hash_label(const struct label *label)
{
	uint64_t h = 1469598103934665603u;
	for (const char *p = label->key; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	h = (h ^ '=') * 1099511628211u;
	for (const char *p = label->value; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	return h ^ h >> 29;
}

static bool is_same_label(const struct label *a, const struct label *b)
{
	return strcmp(a->key, b->key) == 0 && strcmp(a->value, b->value) == 0;
}

/* The place in the index where the label is, or would be. */
static size_t index_place(const struct look *l, const struct label *label)
{
	size_t at = (size_t)hash_label(label) & (l->index_room - 1);
	while (l->index[at] && !is_same_label(&l->tallies[l->index[at] - 1].label, label))
		at = (at + 1) & (l->index_room - 1);
	return at;
}

static bool grow_index(struct look *l, struct error *err)
{
	size_t room = l->index_room ? l->index_room * 2 : 64;
	if (l->tally_count * 2 < l->index_room)
		return true;
	uint32_t *index = calloc(room, sizeof *index);
	if (!index)
		return fail_no_memory(err);
	free(l->index);
	l->index = index;
	l->index_room = room;
	for (size_t i = 0; i < l->tally_count; i++)
		l->index[index_place(l, &l->tallies[i].label)] = (uint32_t)i + 1;
	return true;
}

/* Room for one more; NULL: no memory. */
static void *grown(void *at, size_t count, size_t *room, size_t size, struct error *err)
{
	size_t more = *room ? *room * 2 : 64;
	if (count < *room)
		return at;
	void *ret = realloc(at, more * size);
	if (!ret) {
		(void)!fail_no_memory(err);
		return NULL;
	}
	*room = more;
	return ret;
}

/* *ret is NO_CAUSE for a label too many. */
static bool tally_of(struct look *l, const struct label *label, uint32_t *ret, struct error *err)
{
	if (!grow_index(l, err))
		return false;
	size_t place = index_place(l, label);
	*ret = l->index[place] ? l->index[place] - 1 : NO_CAUSE;
	if (l->index[place] || l->tally_count == TALLIES_MAX)
		return true;
	struct tally *tallies = grown(l->tallies, l->tally_count, &l->tally_room, sizeof *tallies, err);
	if (!tallies)
		return false;
	l->tallies = tallies;
	l->tallies[l->tally_count++] = (struct tally){ .label = *label };
	l->index[place] = (uint32_t)l->tally_count;
	*ret = (uint32_t)l->tally_count - 1;
	return true;
}

/* Its weight says nothing about why, and that decoys are some goes without saying. */
static bool tells_why(const struct label *label)
{
	return strcmp(label->key, WEIGHT_LABEL) != 0 && strcmp(label->key, DECOY_LABEL) != 0;
}

bool look_add_labels(struct look *l, const struct alert_fact *fact, bool is_kept, size_t *ret_at, size_t *ret_count,
		     struct error *err)
{
	*ret_at = l->labels_count;
	for (size_t i = 0; i < fact->label_count; i++) {
		uint32_t tally;
		if (!tells_why(&fact->labels[i]))
			continue;
		if (!tally_of(l, &fact->labels[i], &tally, err))
			return false;
		if (tally == NO_CAUSE)
			continue;
		l->tallies[tally].total++;
		if (!is_kept)
			continue;
		uint32_t *labels = grown(l->labels, l->labels_count, &l->labels_room, sizeof *labels, err);
		if (!labels)
			return false;
		l->labels = labels;
		l->labels[l->labels_count++] = tally;
	}
	*ret_count = l->labels_count - *ret_at;
	return true;
}

bool look_add_found(struct look *l, const struct found *f, struct error *err)
{
	struct found *found = grown(l->found, l->found_count, &l->found_room, sizeof *found, err);
	if (!found)
		return false;
	l->found = found;
	l->found[l->found_count++] = *f;
	return true;
}

void look_free(struct look *l)
{
	if (!l)
		return;
	free(l->found);
	free(l->tallies);
	free(l->index);
	free(l->labels);
	free(l);
}

bool look_has(const struct look *l, const struct found *f, const struct label *label)
{
	for (size_t i = 0; i < f->label_count; i++)
		if (is_same_label(&l->tallies[l->labels[f->labels_at + i]].label, label))
			return true;
	return false;
}

static void count_here(struct look *l, const size_t *chosen, size_t count, uint32_t by)
{
	for (size_t i = 0; i < count; i++) {
		const struct found *f = &l->found[chosen[i]];
		for (size_t k = 0; k < f->label_count; k++) {
			struct tally *t = &l->tallies[l->labels[f->labels_at + k]];
			t->here = by ? t->here + by : 0;
		}
	}
}

/* How many of them it explains, and how well: 40 dead of the 40 that anna made say more than 40 of the 100 in the EU.
 */
static double score(const struct tally *t)
{
	return (double)t->here * t->here / t->total;
}

static bool is_telling(const struct look *l, const struct tally *t, size_t count)
{
	double share = (double)t->here / t->total, usual = (double)count / (double)(l->pixels ? l->pixels : 1);
	if (t->here == count)
		return count > 1;
	return t->here >= SMALL_GROUP && t->here * 10 >= count && share >= 0.5 && share >= 2 * usual;
}

struct choice look_common(struct look *l, const size_t *chosen, size_t count)
{
	struct choice best = { NULL, 0 };
	count_here(l, chosen, count, 1);
	for (size_t i = 0; i < count; i++) {
		const struct found *f = &l->found[chosen[i]];
		for (size_t k = 0; k < f->label_count; k++) {
			const struct tally *t = &l->tallies[l->labels[f->labels_at + k]];
			if (is_telling(l, t, count) && (!best.tally || score(t) > score(best.tally)))
				best = (struct choice){ t, t->here };
		}
	}
	count_here(l, chosen, count, 0);
	return best;
}

/* ---- causes ---- */

static struct cause *newest_of(const struct alerts *a, const struct found *f)
{
	struct cause *ret = NULL;
	for (size_t i = 0; i < a->cause_count; i++) {
		struct cause *c = &a->causes[i];
		if (!c->ended_at && cause_matches(c, f->kind, f->step) && (!ret || c->opened_at >= ret->opened_at))
			ret = c;
	}
	return ret;
}

static struct cause *open_cause(struct alerts *a, const struct found *f, const struct tally *common,
				alert_draw_fn *draw, int64_t now)
{
	if (a->cause_count >= ALERT_CAUSES_MAX) {
		struct cause *newest = newest_of(a, f);
		if (newest || a->cause_count >= ALERT_CAUSES_ROOM)
			return newest;
	}
	struct cause *c = &a->causes[a->cause_count++];
	*c = (struct cause){ .key = draw() & 0xffffffffffu,
			     .kind = f->kind,
			     .verdict = f->verdict,
			     .step = f->step,
			     .since = f->since,
			     .opened_at = now };
	if (common) {
		c->has_label = true;
		c->label = common->label;
	}
	return c;
}

static bool add_member(struct alerts *a, const struct cause *c, const struct found *f, struct error *err)
{
	struct member *members = grown(a->members, a->member_count, &a->member_room, sizeof *members, err);
	if (!members)
		return false;
	a->members = members;
	struct member *m = &a->members[a->member_count++];
	*m = (struct member){ .cause = (uint32_t)(c - a->causes),
			      .is_bad = true,
			      .since = f->since,
			      .version = f->version,
			      .weight = f->weight,
			      .is_seen = true };
	memcpy(m->pixel, f->pixel, sizeof m->pixel);
	return true;
}

/* Where the clock went back it has grown since the last message all the same. */
static void note_growth(struct cause *c, int64_t now)
{
	c->grown_at = now > c->released_at ? now : c->released_at;
}

static bool join(struct alerts *a, struct cause *c, struct found *f, int64_t now, struct error *err)
{
	f->cause = (uint32_t)(c - a->causes);
	f->is_fresh = false;
	note_growth(c, now);
	if (f->since && f->since < c->since)
		c->since = f->since;
	return add_member(a, c, f, err);
}

/* It ended, and here it is again. */
static void reopen(struct cause *c, int64_t since, int64_t now)
{
	c->again++;
	c->ended_at = c->well_at = c->released_at = c->acked_at = c->acked_until = 0;
	c->since = since;
	c->opened_at = c->grown_at = now;
	c->has_recovered = false;
	c->told_count = 0;
}

/* The Pixel is a member of a cause that ended. */
static void bring_back(struct alerts *a, struct found *f, int64_t now)
{
	struct cause *c = &a->causes[f->cause];
	if (c->ended_at)
		reopen(c, f->since, now);
	note_growth(c, now);
	struct member *m = &a->members[f->member];
	m->is_bad = true;
	m->since = f->since;
	m->version = f->version;
	f->is_fresh = false;
}

static struct cause *fitting(const struct alerts *a, const struct found *f, int64_t now)
{
	for (size_t i = a->cause_count; i-- > 0;) {
		struct cause *c = &a->causes[i];
		bool is_same = !c->ended_at && cause_matches(c, f->kind, f->step) && c->verdict == f->verdict;
		if (is_same && (c->has_label ? look_has(a->look, f, &c->label)
					     : !c->acked_at && !is_over(c->grown_at, JOIN_S, now)))
			return c;
	}
	return NULL;
}

static size_t choose_alike(const struct look *l, const struct found *like, size_t *ret)
{
	size_t count = 0;
	for (size_t i = 0; i < l->found_count; i++) {
		const struct found *f = &l->found[i];
		if (f->is_fresh && f->kind == like->kind && f->verdict == like->verdict && f->step == like->step)
			ret[count++] = i;
	}
	return count;
}

/* Those alike become causes: by label as far as labels explain them, the rest together. */
static bool divide(struct alerts *a, const struct found *like, size_t *chosen, alert_draw_fn *draw, int64_t now,
		   struct error *err)
{
	struct look *l = a->look;
	for (size_t made = 0;; made++) {
		size_t count = choose_alike(l, like, chosen);
		if (!count)
			return true;
		struct choice common = made < GROUPS_MAX ? look_common(l, chosen, count) : (struct choice){ NULL, 0 };
		struct cause *c = open_cause(a, like, common.tally, draw, now);
		if (!c)
			return true; /* as many causes as can be: it is told once there is room */
		for (size_t i = 0; i < count; i++) {
			struct found *f = &l->found[chosen[i]];
			bool is_in = !common.tally || look_has(l, f, &common.tally->label);
			if (is_in && !join(a, c, f, now, err))
				return false;
		}
	}
}

/* A cause that grew one by one shows only later what its Pixels have in common. */
static void learn_labels(struct alerts *a, size_t *chosen, int64_t now)
{
	struct look *l = a->look;
	for (size_t i = 0; i < a->cause_count; i++) {
		struct cause *c = &a->causes[i];
		size_t count = 0;
		if (c->has_label || c->ended_at || c->grown_at < now || c->opened_at == now)
			continue;
		for (size_t k = 0; k < l->found_count; k++)
			if (l->found[k].cause == i)
				chosen[count++] = k;
		struct choice common = look_common(l, chosen, count);
		if (common.tally && common.count == count) {
			c->has_label = true;
			c->label = common.tally->label;
		}
	}
}

bool alerts_group(struct alerts *a, alert_draw_fn *draw, int64_t now, struct error *err)
{
	struct look *l = a->look;
	bool is_done = true;
	size_t *chosen = calloc(l->found_count + 1, sizeof *chosen);
	if (!chosen)
		return fail_no_memory(err);
	for (size_t i = 0; i < l->found_count; i++) {
		struct found *f = &l->found[i];
		if (f->is_fresh && f->cause != NO_CAUSE)
			bring_back(a, f, now);
	}
	for (size_t i = 0; is_done && i < l->found_count; i++) {
		struct found *f = &l->found[i];
		struct cause *c = f->is_fresh ? fitting(a, f, now) : NULL;
		if (c)
			is_done = join(a, c, f, now, err);
	}
	for (size_t i = 0; is_done && i < l->found_count; i++)
		if (l->found[i].is_fresh)
			is_done = divide(a, &l->found[i], chosen, draw, now, err);
	if (is_done)
		learn_labels(a, chosen, now);
	free(chosen);
	return is_done;
}
