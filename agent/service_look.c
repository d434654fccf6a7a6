/* What is only looked at: which Pixel is asked about when, and whose token somebody has found. */
#include "agent/plan.h"
#include "agent/service_own.h"
#include "agent/status.h"
#include "core/clock.h"
#include "vault/grant.h"

#include <string.h>

/* ---- the plan ---- */

struct forecasting {
	const struct plan_request *request;
	const struct settings *settings;
	const struct plan *plan;
	struct plan *own; /* where no agent has one */
	struct forecast *ret;
	int64_t now, now_ms;
};

static bool is_meant(const struct plan_request *r, const struct credential *c)
{
	return status_matches(c, NULL, 0, r->labels, r->label_count);
}

static bool forecast_one(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	const struct forecasting *f = context;
	struct forecast_row row;
	int64_t at_ms;
	if (!is_meant(f->request, c))
		return true;
	if (f->own && !plan_note(f->own, c, h, f->settings, f->now, f->now_ms, err))
		return false;
	bool is_planned = plan_look(f->plan, c->pixel, &at_ms);
	if (is_planned && at_ms < f->request->not_before_ms)
		at_ms = f->request->not_before_ms;
	if (is_planned && at_ms < f->now_ms)
		at_ms = f->now_ms;
	/* Up, so that the moment that is shown is not one before it happens. */
	int64_t first_at = is_planned ? f->now + (at_ms - f->now_ms + 999) / 1000 : 0;
	return !forecast_row_of(c, h, f->settings, first_at, f->now, &row) || forecast_add(f->ret, &row, err);
}

static bool forecast_named(struct service *s, struct forecasting *f, struct error *err)
{
	struct credential c;
	struct health h;
	for (size_t i = 0; i < f->request->pixel_count; i++)
		if (!vault_find(s->vault, f->request->pixels[i], false, &c, err) ||
		    !vault_health(s->vault, &c, &h, err) || !forecast_one(f, &c, &h, err))
			return false;
	return true;
}

bool service_forecast(struct service *s, const struct plan_request *r, struct forecast *ret, struct error *err)
{
	struct forecasting f = { .request = r,
				 .settings = s->settings,
				 .plan = r->plan,
				 .ret = ret,
				 .now = clock_wall(),
				 .now_ms = clock_boot_ms() };
	if (!r->plan && !plan_new(&f.own, err))
		return false;
	if (f.own)
		f.plan = f.own;
	forecast_begin(ret, s->settings, f.now, r->span_s);
	bool is_done = service_read_breaker(s, &ret->breaker, err) &&
		       (r->pixel_count ? forecast_named(s, &f, err)
				       : vault_each(s->vault, true, false, forecast_one, &f, err));
	/* A service that has asked knows it itself, also where it could not be written down. */
	if (s->breaker.open_until > ret->breaker.open_until)
		ret->breaker = s->breaker;
	plan_free(f.own);
	forecast_sort(ret);
	return is_done;
}

/* ---- whose token ---- */

struct matching {
	uint8_t fingerprint[FINGERPRINT_LEN];
	struct buf *ret;
};

static void add_match(const struct matching *m, const struct credential *c, const struct match *found)
{
	struct match match = *found;
	match.is_deleted |= c->is_destroyed;
	match.is_removed = c->deleted_at || c->is_destroyed;
	memcpy(match.pixel, c->pixel, sizeof match.pixel);
	buf_append(m->ret, &match, sizeof match);
}

static bool is_it(const struct matching *m, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	return memcmp(fingerprint, m->fingerprint, FINGERPRINT_LEN) == 0;
}

static bool match_one(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	const struct matching *m = context;
	(void)h;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		struct match found = { .version = v->number, .stage = v->stage };
		if (is_it(m, v->fingerprint))
			add_match(m, c, &found);
		found.is_refresh_token = true;
		found.is_deleted = !version_has_grant(v);
		if (v->renewal.family != FAMILY_PLAIN && is_it(m, v->renewal.fingerprint))
			add_match(m, c, &found);
	}
	for (size_t i = 0; i < c->gone_count; i++)
		if (is_it(m, c->gone[i].fingerprint))
			add_match(m, c,
				  &(struct match){
					  .version = c->gone[i].number, .stage = STAGE_RETIRED, .is_deleted = true });
	return buf_ok(m->ret, err);
}

static bool match_lists(struct service *s, struct matching *m, struct error *err)
{
	scoped(buf_done) struct buf names = BUF_INIT(MATCHES_BYTES_MAX);
	struct credential c;
	bool ok = vault_list_names(s->vault, &names, err);
	for (size_t at = 0; ok && at < names.len; at += PIXEL_CODE_MAX + 1) {
		ok = vault_find(s->vault, (const char *)names.at + at, true, &c, err) && match_one(m, &c, NULL, err);
		ok = ok || err->code == ERR_NOT_FOUND;
	}
	return ok;
}

/* A put would refuse it, and yet somebody found it: a refresh token. What is none is refused as a put would. */
static bool clean_found(const struct secret *pasted, struct secret **ret, struct error *err)
{
	unsigned removed;
	struct error why;
	if (token_clean(pasted, ret, &removed, err))
		return true;
	return err->code == ERR_MALFORMED &&
	       paste_clean("token", secret_reveal(pasted), REFRESH_TOKEN_MIN, REFRESH_TOKEN_MAX, ret, &removed, &why) &&
	       secret_len(*ret) > 4 && memcmp(secret_reveal(*ret).at, "rft.", 4) == 0;
}

bool service_match(struct service *s, const struct secret *pasted, struct buf *ret, struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL;
	struct matching m = { .ret = ret };
	if (!clean_found(pasted, &token, err))
		return false;
	vault_fingerprint(s->vault, token, m.fingerprint);
	return vault_each(s->vault, false, true, match_one, &m, err) && match_lists(s, &m, err);
}
