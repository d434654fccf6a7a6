#include "agent/lists.h"

#include "agent/ruling.h"

#include <stdio.h>
#include <string.h>

#define READINGS_AGREE 2
#define READINGS_AGREE_OF_MANY 3 /* most of what it held is gone */
#define MANY 3
#define CONFIRM_DELAY_S 5

void lists_begin(struct list_reading *r, const char *name, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	*r = (struct list_reading){ .page = 0 };
	snprintf(r->name, sizeof r->name, "%s", name);
	memcpy(r->fingerprint, fingerprint, FINGERPRINT_LEN);
}

void lists_done(struct list_reading *r)
{
	pixel_map_empty(&r->map);
}

/* A Pixel may be there twice, as owned and as lent: the better word counts. */
static bool take_row(struct list_reading *r, const struct list_row *row, struct error *err)
{
	struct list_row *to = pixel_map_make(&r->map, row->pixel, sizeof *to, err);
	if (!to)
		return false;
	if (to->kind != SIGHT_LISTED)
		to->kind = row->kind;
	return true;
}

bool lists_take_page(struct list_reading *r, const struct list_page *page, struct error *err)
{
	r->has_moved = r->has_moved || (r->page && (page->total != r->total || page->pages != r->pages));
	r->page = page->page;
	r->pages = page->pages;
	r->total = page->total;
	r->rows += page->count;
	r->unreadable += page->unreadable;
	for (uint32_t i = 0; i < page->count; i++)
		if (!take_row(r, &page->rows[i], err))
			return false;
	return true;
}

bool lists_is_at_end(const struct list_reading *r)
{
	return r->page && r->page >= r->pages;
}

bool lists_is_whole(const struct list_reading *r)
{
	return lists_is_at_end(r) && !r->has_moved && !r->unreadable && r->rows == r->total;
}

/* 0: nothing follows for this Pixel. */
static enum sight_kind word_for(const struct list_reading *r, const char *pixel)
{
	const struct list_row *row = (const void *)pixel_map_find(&r->map, pixel);
	if (row)
		return (enum sight_kind)row->kind;
	return lists_is_whole(r) ? SIGHT_ABSENT : (enum sight_kind)0;
}

static bool is_own(const struct list_reading *r, const struct credential *c)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	return current && version_has_token(current) &&
	       memcmp(current->fingerprint, r->fingerprint, FINGERPRINT_LEN) == 0;
}

/* That a Pixel is not on a list which never held it says nothing, unless its token is the very one that made the list.
 */
static bool concerns(const struct list_reading *r, const struct credential *c, const struct health *h)
{
	enum sight_kind word = word_for(r, c->pixel);
	return word && (word != SIGHT_ABSENT || is_own(r, c) || health_sight(h, r->name));
}

bool lists_count(struct list_reading *r, const struct credential *c, const struct health *h)
{
	enum sight_kind word = word_for(r, c->pixel);
	const struct sight *known = health_sight(h, r->name);
	r->stored += pixel_map_find(&r->map, c->pixel) != NULL;
	if (word && (is_own(r, c) || (known && known->kind == SIGHT_LISTED))) {
		r->kept += word == SIGHT_LISTED;
		r->lost += word != SIGHT_LISTED;
	}
	return concerns(r, c, h);
}

void lists_describe(struct list_reading *r, const struct answer *last)
{
	r->evidence = evidence_of(last, PROBE_LISTING);
	snprintf(r->evidence.text, sizeof r->evidence.text,
		 "it lists %u Pixel%s on %u page%s, %zu of them stored here%s", r->rows, r->rows == 1 ? "" : "s",
		 r->page, r->page == 1 ? "" : "s", r->stored,
		 lists_is_whole(r) ? "" : "; it was changed while it was read, or not all of it was understood");
}

static bool is_listed_elsewhere(const struct list_reading *r, const struct health *h, const struct settings *settings)
{
	for (size_t i = 0; i < h->sight_count; i++) {
		const struct sight *s = &h->sights[i];
		if (strcmp(s->list, r->name) != 0 && s->is_own && s->kind == SIGHT_LISTED &&
		    r->evidence.at - s->at <= settings->interval_s)
			return true;
	}
	return false;
}

/* So many readings, far enough apart, and a probe that would not know better. */
static bool is_sure(const struct list_reading *r, const struct credential *c, const struct sight *s,
		    const struct settings *settings)
{
	bool is_landslide = r->lost >= MANY && r->lost > r->kept;
	int64_t delay_s = settings->confirm_delay_s >= 0 ? settings->confirm_delay_s : CONFIRM_DELAY_S;
	bool can_prove = settings->probe != PROBE_CHOICE_DRY && c->test_code[0];
	return !can_prove && s->times >= (is_landslide ? READINGS_AGREE_OF_MANY : READINGS_AGREE) &&
	       s->at - s->since >= delay_s;
}

static void judge(const struct list_reading *r, const struct credential *c, struct health *h,
		  const struct settings *settings)
{
	const struct sight *s = health_sight(h, r->name);
	struct judgement *j = ruling_place(h, c, credential_staged(c, STAGE_CURRENT)->number);
	struct evidence evidence = r->evidence;
	enum verdict outcome = s->kind == SIGHT_LISTED   ? VERDICT_HEALTHY
			       : s->kind == SIGHT_ABSENT ? VERDICT_MISMATCHED
							 : VERDICT_NO_PERMISSION;
	snprintf(evidence.text, sizeof evidence.text, "%s: %s", r->name, sight_name(s->kind));
	if (outcome == VERDICT_HEALTHY || is_sure(r, c, s, settings)) {
		/* A proof of its own that is newer than the first such reading outweighs them all. */
		bool is_outweighed =
			outcome != VERDICT_HEALTHY && (j->proven_at > s->since || is_listed_elsewhere(r, h, settings));
		if (!is_outweighed)
			(void)ruling_write(h, c, j->version, RULING_VERDICT, outcome, &evidence, settings);
		return;
	}
	bool is_new = s->times == 1 && !verdict_is_bad(j->verdict) && !j->suspected;
	if (is_new && !is_listed_elsewhere(r, h, settings) && !(r->lost >= MANY && r->lost > r->kept))
		(void)ruling_write(h, c, j->version, RULING_SUSPECT, outcome, &evidence, settings);
}

bool lists_apply(const struct list_reading *r, const struct credential *c, struct health *h,
		 const struct settings *settings)
{
	bool own = is_own(r, c);
	if (!concerns(r, c, h))
		return false;
	health_see(h, r->name, word_for(r, c->pixel), own, r->evidence.at);
	if (own)
		judge(r, c, h, settings);
	return true;
}
