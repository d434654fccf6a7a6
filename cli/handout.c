#include "cli/handout.h"

#include "agent/decoy.h"
#include "agent/text.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

#define MARK_REFRESH_S (24 * 3600)

void handout_done(struct handout *h)
{
	secret_freep(&h->token);
}

static bool explain_no_current(struct invocation *inv, const struct credential *c, struct error *err)
{
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	struct health h;
	if (!pending)
		return fail(err, ERR_NOT_FOUND, TXT_NO_TOKEN, c->pixel);
	if (!vault_health(inv->vault, c, &h, err))
		return false;
	if (verdict_is_bad(h.pending.verdict))
		return fail(err, ERR_NOT_FOUND, TXT_ONLY_PENDING_BAD, c->pixel, pending->number,
			    verdict_name(h.pending.verdict));
	return fail(err, ERR_NOT_FOUND, TXT_ONLY_PENDING, c->pixel, pending->number,
		    h.pending.attempted_at ? verdict_name(h.pending.last_outcome) : "never asked");
}

static bool choose_version(struct invocation *inv, const struct handout_request *r, struct handout *h,
			   struct error *err)
{
	const struct credential *c = &h->credential;
	if (r->has_number) {
		h->version = credential_numbered(c, r->number);
		if (h->version && vault_is_withheld(inv->vault, c, h->version))
			return fail(err, ERR_NOT_FOUND, TXT_GET_TAKEN, r->number, c->pixel);
		return h->version ? true : fail(err, ERR_NOT_FOUND, TXT_GET_NO_VERSION, c->pixel, r->number);
	}
	h->version = credential_staged(c, r->is_previous ? STAGE_PREVIOUS : STAGE_CURRENT);
	if (h->version)
		return true;
	return r->is_previous ? fail(err, ERR_NOT_FOUND, TXT_NO_PREVIOUS, c->pixel) : explain_no_current(inv, c, err);
}

/* Of a version that is neither current nor pending only the history knows. */
static void find_verdict(const struct health *health, struct handout *h)
{
	uint32_t number = h->version->number;
	const struct judgement *j = health->current.version == number   ? &health->current
				    : health->pending.version == number ? &health->pending
									: NULL;
	if (j) {
		h->verdict = j->verdict;
		h->proven_at = j->proven_at;
	}
	for (size_t i = 0; !j && i < health->history_count; i++)
		if (health->history[i].version == number)
			h->verdict = health->history[i].verdict;
}

/* A write only when it says something new. A failure stops nobody: the token matters more than the note. Whoever asked
 * for it by giving a name is told, and waits for other writers; all others read as they did before anybody took notes. */
static void mark_reader(struct invocation *inv, const struct handout *h, const char *reader)
{
	struct error err;
	struct read_mark last;
	bool is_found;
	const char *pixel = h->credential.pixel;
	struct audit_who who = source_who(reader);
	struct read_mark mark = {
		.version = h->version->number, .at = clock_wall(), .has_uid = true, .uid = who.uid
	};
	text_copy(mark.name, sizeof mark.name, who.as);
	bool is_done = vault_find_mark(inv->vault, pixel, mark.name, &last, &is_found, &err);
	bool is_fresh = is_done && is_found && last.version == mark.version && last.at <= mark.at &&
			mark.at - last.at < MARK_REFRESH_S;
	if (is_done && !is_fresh)
		is_done = reader || decoy_is(&h->credential)
				 ? vault_mark_read(inv->vault, pixel, &mark, &err)
				 : vault_try_mark(inv->vault, pixel, &mark, &err);
	if (!is_done && reader)
		say(inv, SAY_MARK_FAILED, err.message);
}

bool handout_take(struct invocation *inv, const struct handout_request *r, struct handout *ret, struct error *err)
{
	struct health health;
	if (!vault_find(inv->vault, r->pixel, false, &ret->credential, err) || !choose_version(inv, r, ret, err) ||
	    !vault_health(inv->vault, &ret->credential, &health, err))
		return false;
	find_verdict(&health, ret);
	bool is_bad = verdict_is_bad(ret->verdict);
	if (is_bad && r->must_be_healthy)
		return fail_class(err, verdict_exit(ret->verdict), verdict_name(ret->verdict), TXT_NOT_HEALTHY,
				  r->pixel, ret->version->number, verdict_name(ret->verdict));
	struct audit_who who = { .is_known = false };
	snprintf(who.as, sizeof who.as, "%s", r->reader ? r->reader : "");
	vault_set_who(inv->vault, &who);
	if (!vault_token(inv->vault, &ret->credential, ret->version, r->verb, &ret->token, err))
		return false;
	if (is_bad)
		say(inv, SAY_NOT_HEALTHY, r->pixel, ret->version->number, verdict_name(ret->verdict), r->pixel);
	if (!r->is_look || decoy_is(&ret->credential))
		mark_reader(inv, ret, r->reader);
	return true;
}
