/* doctor: what the vault and TikTok say, as far as that can be known without a person. */
#include "agent/reach.h"
#include "agent/unlock.h"
#include "cli/doctor.h"
#include "cli/source.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

#define LATE_INTERVALS 3

static int64_t moment_of(struct bytes object, const char *key)
{
	char text[CLOCK_TEXT_MAX];
	struct error unused;
	int64_t at = 0;
	member_text(object, key, text, sizeof text);
	return text[0] && clock_parse(text, &at, &unused) ? at : 0;
}

static void look_at_breaker(struct doctor *d, struct bytes plan)
{
	struct bytes breaker;
	char until[CLOCK_TEXT_MAX];
	if (!json_find_raw(plan, "breaker", &breaker))
		return;
	member_text(breaker, "open_until", until, sizeof until);
	if (until[0])
		find(d, PROBLEM, "breaker", DOC_BREAKER, until);
	else
		find(d, FINE, "breaker", "%s", NULL, "closed: TikTok does not throttle us");
}

static void look_at_last_check(struct doctor *d, struct bytes plan)
{
	char span[CLOCK_TEXT_MAX], interval[CLOCK_TEXT_MAX];
	int64_t asked_at = moment_of(plan, "last_asked_at"), interval_s = member_int(plan, "interval_s");
	int64_t late_s = clock_wall() - asked_at;
	if (!asked_at)
		find(d, member_int(plan, "probes") ? NOTE : FINE, "last check", DOC_NEVER_CHECKED);
	else if (late_s > LATE_INTERVALS * interval_s)
		find(d, PROBLEM, "last check", DOC_CHECKED_LATE, clock_format_span(late_s, span),
		     clock_format_span(interval_s, interval));
	else
		find(d, FINE, "last check", "%s ago", NULL, clock_format_span(late_s > 0 ? late_s : 0, span));
}

/* The agent's, where one answers; else the vault is opened, if that needs no person. */
static bool get_plan(struct doctor *d, struct buf *ret, struct error *err)
{
	struct invocation *inv = d->inv;
	struct plan_request request = { .span_s = FORECAST_SPAN_S };
	inv->settings = d->settings;
	bool is_direct = !inv->agent || d->settings->vault_is_explicit;
	struct client *agent = is_direct ? inv->agent : NULL;
	if (is_direct)
		inv->agent = NULL;
	bool is_done = (!is_direct || unlock_open(d->settings, NULL, NULL, &inv->vault, err)) &&
		       source_plan(inv, &request, ret, err);
	if (is_direct)
		inv->agent = agent;
	vault_closep(&inv->vault);
	inv->settings = NULL;
	return is_done;
}

void doctor_look_at_plan(struct doctor *d)
{
	struct buf plan = BUF_INIT(SOURCE_PLAN_BYTES_MAX);
	struct error err;
	if (get_plan(d, &plan, &err)) {
		look_at_breaker(d, buf_bytes(&plan));
		look_at_last_check(d, buf_bytes(&plan));
	} else if (err.code == ERR_DAMAGED || err.code == ERR_WRONG_KEY || err.code == ERR_STORAGE) {
		find_error(d, "inside the vault", &err);
	} else {
		find(d, FINE, "inside the vault", "not looked at: %s", NULL, err.message);
	}
	buf_done(&plan);
}

/* ---- TikTok ---- */

static void knock(struct doctor *d, enum family family, const char *about, const char *url, const char *setting)
{
	struct error err;
	struct answer answer;
	char fix[700];
	if (!reach(d->settings, family, &answer, &err)) {
		find_error(d, about, &err);
		return;
	}
	snprintf(fix, sizeof fix, DOC_TIKTOK_FIX, url, setting);
	if (answer.transport == TRANSPORT_OK || answer.transport == TRANSPORT_TOO_BIG)
		find(d, FINE, about, "'%s' answers, and its certificate is proven", NULL, url);
	else
		find(d, family == FAMILY_LOGIN ? NOTE : PROBLEM, about, DOC_TIKTOK, fix, url,
		     transport_text(answer.transport), answer.text[0] ? ": " : "", answer.text);
}

void doctor_look_at_tiktok(struct doctor *d)
{
	knock(d, FAMILY_PLAIN, "TikTok", d->settings->base_url, "base-url");
	knock(d, FAMILY_LOGIN, "TikTok's Login Kit", d->settings->login_url, "login-url");
}
