/* Asking for new tokens: which Pixels are meant, and the wish stored with each of them. The rotation itself needs nothing
 * more: a put answers the wish, and its step is read from the versions (credential_rotation). */
#include "agent/service_own.h"
#include "agent/status.h"
#include "agent/text.h"
#include "core/clock.h"

#include <string.h>

struct selecting {
	const struct rotate_request *request;
	int64_t now;
	struct buf *found;
};

static bool is_meant(const struct rotate_request *r, const struct credential *c, int64_t now)
{
	if (c->deleted_at || c->is_destroyed || !status_matches(c, NULL, 0, r->labels, r->label_count))
		return false;
	/* Without a name a cancel speaks of the wishes that there are. */
	if (r->is_cancel && !r->pixel_count && !c->rotate_since)
		return false;
	return !r->max_age_s || status_is_older(c, r->max_age_s, now);
}

static bool select_one(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	const struct selecting *s = context;
	(void)h;
	if (!is_meant(s->request, c, s->now))
		return true;
	buf_append(s->found, c->pixel, sizeof c->pixel);
	return buf_ok(s->found, err);
}

bool service_rotate_select(struct service *s, const struct rotate_request *r, struct buf *ret, struct error *err)
{
	struct selecting selecting = { .request = r, .now = vault_later_clock(s->vault), .found = ret };
	struct credential c;
	if (!r->pixel_count)
		return vault_each(s->vault, false, false, select_one, &selecting, err);
	for (size_t i = 0; i < r->pixel_count; i++)
		if (!vault_find(s->vault, r->pixels[i], false, &c, err) || !select_one(&selecting, &c, NULL, err))
			return false;
	return true;
}

/* ---- the wish ---- */

struct wishing {
	const struct rotate_request *request;
	int64_t now;
	struct bytes pixels;
	size_t changed;
};

/* Removed, or labelled otherwise, since it was selected: no longer meant. */
static bool wish_one(struct wishing *w, struct change *change, const char *pixel, struct error *err)
{
	bool is_wanted = !w->request->is_cancel, exists;
	struct credential c;
	if (!change_find(change, pixel, &c, &exists, err))
		return false;
	if (!exists || !is_meant(w->request, &c, w->now) || (c.rotate_since != 0) == is_wanted)
		return true;
	credential_want_new(&c, is_wanted, clock_wall());
	w->changed++;
	change_note(change, is_wanted ? "due" : "not-due", pixel, 0);
	return change_store(change, &c, err);
}

static bool wish(void *context, struct change *change, struct error *err)
{
	struct wishing *w = context;
	w->changed = 0;
	for (size_t at = 0; at < w->pixels.len; at += PIXEL_CODE_MAX + 1)
		if (!wish_one(w, change, (const char *)w->pixels.at + at, err))
			return false;
	return true;
}

bool service_rotate(struct service *s, const struct rotate_request *r, struct buf *ret, size_t *ret_changed,
		    struct error *err)
{
	struct wishing w = { .request = r, .now = vault_later_clock(s->vault) };
	if (!r->is_cancel && !r->pixel_count && !r->label_count && !r->max_age_s)
		return fail(err, ERR_USAGE, TXT_ROTATE_WHOM);
	if (!service_rotate_select(s, r, ret, err))
		return false;
	w.pixels = buf_bytes(ret);
	if (w.pixels.len && !vault_change(s->vault, wish, &w, err))
		return false;
	*ret_changed = w.changed;
	return true;
}
