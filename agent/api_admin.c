/* Unlocking and locking, who may do what, and how the agent is. */
#include "agent/api_own.h"

#include "agent/metrics.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DELAY_STEP_MS 100
#define DELAY_MOST_MS 10000
#define FAILURES_MOST 100
#define WAITING_MOST 2
#define SPAN_MOST_S (90 * 86400)
#define GROUPS_MOST 1024

/* ---- unlock: whoever guesses waits longer each time, and nobody else does ---- */

static struct guesser *guesser_of(struct api *api, uid_t uid)
{
	struct guesser *least = NULL;
	for (size_t i = 0; i < GUESSERS_KEPT; i++) {
		struct guesser *g = &api->guessers[i];
		if ((g->failures || g->is_trying) && g->uid == uid)
			return g;
		if (!g->is_trying && (!least || g->failures < least->failures))
			least = g;
	}
	/* All places taken by guessers who wait: they share the last one's fate. */
	if (!least)
		return &api->guessers[GUESSERS_KEPT - 1];
	*least = (struct guesser){ .uid = uid };
	return least;
}

static bool take_span(const struct call *call, int64_t *ret, struct error *err)
{
	const char *text = call_param(call, "for");
	uint32_t seconds = 0;
	if (text && (!api_number(text, &seconds) || !seconds || seconds > SPAN_MOST_S))
		return fail(err, ERR_USAGE, TXT_API_SPAN);
	*ret = seconds;
	return true;
}

static void refuse(struct call *call, struct errand *e, int status, const struct error *err)
{
	errand_free(e);
	call_answer_problem(call, status, err);
}

static bool may_guess(const struct api *api, const struct guesser *g, uid_t uid, struct error *err)
{
	size_t waiting = g->is_trying;
	for (const struct ticket *t = api->unlockers; t; t = t->next)
		waiting += t->call->peer->uid == uid;
	if (g->failures >= FAILURES_MOST)
		return fail(err, ERR_DENIED, TXT_API_UNLOCK_OUT, FAILURES_MOST);
	return waiting < WAITING_MOST ? true : fail(err, ERR_DENIED, TXT_API_UNLOCK_BUSY);
}

void api_serve_unlock(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_UNLOCK);
	if (!e)
		return;
	e->secret = take(call->body);
	if (e->secret && secret_len(e->secret) != 32) {
		(void)!fail(&err, ERR_USAGE, TXT_API_UNLOCK_BODY);
		refuse(call, e, 0, &err);
		return;
	}
	if (!take_span(call, &e->span_s, &err)) {
		refuse(call, e, 0, &err);
		return;
	}
	const struct guesser *g = guesser_of(api, call->peer->uid);
	if (!may_guess(api, g, call->peer->uid, &err)) {
		refuse(call, e, 429, &err);
		return;
	}
	struct ticket *t = ticket_new(api, call, &api->unlockers);
	if (!t) {
		errand_free(e);
		return;
	}
	t->unsent = e;
	t->until_ms = g->next_ms;
	e->context = t;
	api_admin_tick(api);
}

void api_admin_tick(struct api *api)
{
	struct ticket *next;
	for (struct ticket *t = api->unlockers; t; t = next) {
		next = t->next;
		struct guesser *g = guesser_of(api, t->call->peer->uid);
		if (api->now_ms < t->until_ms || api->now_ms < g->next_ms || g->is_trying)
			continue; /* one try at a time */
		g->is_trying = true;
		struct errand *e = take(t->unsent);
		t->errand = e;
		ticket_move(t, &api->erranders);
		api_post(api, e);
	}
}

void api_admin_stop(struct api *api)
{
	while (api->unlockers)
		api_answer_closed(api, ticket_redeem(api->unlockers));
}

static void judge_guess(struct api *api, const struct errand *e)
{
	struct guesser *g = guesser_of(api, e->who.uid);
	g->is_trying = false;
	if (e->err.code == ERR_WRONG_KEY && e->secret) {
		int64_t delay_ms = (int64_t)++g->failures * DELAY_STEP_MS;
		g->next_ms = api->now_ms + (delay_ms > DELAY_MOST_MS ? DELAY_MOST_MS : delay_ms);
	} else if (!e->err.code) {
		*g = (struct guesser){ .failures = 0 };
	}
}

void api_admin_unlocked(struct api *api, struct ticket *t, const struct errand *e)
{
	struct buf out = BUF_INIT(1024);
	struct json j = JSON_INIT(&out);
	judge_guess(api, e);
	struct call *call = t ? ticket_redeem(t) : NULL;
	if (!call)
		return;
	if (e->err.code) {
		call_answer_problem(call, 0, &e->err);
		return;
	}
	api_json_begin(&j);
	json_bool(&j, "locked", false);
	api_json_end(&j);
	call_answer_buf(call, 200, API_JSON, &out);
}

void api_serve_lock(struct api *api, struct call *call)
{
	struct errand *e = api_errand(api, call, ERRAND_LOCK);
	if (e)
		api_send(api, call, e);
}

/* ---- access explain ---- */

/* Whose rights are asked about. Who somebody is, is found out by who asks: the sources of names may take their time, and
 * cannot be reached from here. */
struct person {
	uid_t uid;
	struct access_view *view; /* to be freed; NULL = the caller */
};

static bool take_groups(const struct call *call, gid_t groups[GROUPS_MOST], size_t *ret_count, struct error *err)
{
	uint32_t number;
	*ret_count = 0;
	for (size_t i = 0; i < call->param_count; i++) {
		if (strcmp(call->params[i].name, "group") != 0)
			continue;
		if (*ret_count == GROUPS_MOST || !api_number(call->params[i].value, &number))
			return fail(err, ERR_USAGE, TXT_API_WHO);
		groups[(*ret_count)++] = number;
	}
	return true;
}

static bool take_person(struct api *api, const struct call *call, struct person *ret, struct error *err)
{
	const char *uid = call_param(call, "uid"), *gid = call_param(call, "gid");
	gid_t groups[GROUPS_MOST];
	struct access_caller caller = { .gid = (gid_t)-1, .groups = groups };
	uint32_t number;
	if (!take_groups(call, groups, &caller.group_count, err))
		return false;
	if ((uid && !api_number(uid, &number)) || (gid && !api_number(gid, &caller.gid)) ||
	    (!uid && (gid || caller.group_count)))
		return fail(err, ERR_USAGE, TXT_API_WHO);
	ret->uid = caller.uid = uid ? number : call->peer->uid;
	/* Of oneself the kernel's word counts. */
	return ret->uid == call->peer->uid || access_view_new(api->setup.access, &caller, &ret->view, err);
}

static void answer_access(struct api *api, struct call *call, const struct person *person, const char *pixel)
{
	struct buf out = BUF_INIT(API_BODY_MAX), text = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	const struct access_view *view = person->view ? person->view : call->peer->view;
	struct access_subject subject = api_subject(api, pixel);
	access_explain(view, &subject, &text);
	api_json_begin(&j);
	json_int(&j, "uid", person->uid);
	json_text(&j, "pixel", pixel);
	json_array(&j, "allowed");
	for (int verb = 0; verb < ACCESS_VERB_COUNT; verb++)
		if (access_may(view, (enum access_verb)verb, &subject))
			json_text(&j, NULL, access_verb_name((enum access_verb)verb));
	json_end_array(&j);
	json_text_n(&j, "text", buf_bytes(&text));
	api_json_end(&j);
	buf_done(&text);
	call_answer_buf(call, 200, API_JSON, &out);
}

void api_serve_access(struct api *api, struct call *call)
{
	struct error err;
	struct person person = { .view = NULL };
	if (!take_person(api, call, &person, &err))
		call_answer_problem(call, 0, &err);
	else if (person.view && !api_may(api, call->peer, ACCESS_ADMIN, NULL))
		api_deny(api, call, NULL);
	else
		answer_access(api, call, &person, call_param(call, "pixel"));
	access_view_free(person.view);
}

/* ---- numbers ---- */

static void counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
	buf_printf(out,
		   "# HELP pixelvault_%s %s\n# TYPE pixelvault_%s counter\npixelvault_%s %" PRIu64 "\n", name, help, name,
		   name, value);
}

static void gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP pixelvault_%s %s\n# TYPE pixelvault_%s gauge\npixelvault_%s %" PRIu64 "\n", name, help,
		   name, name, value);
}

static void print_requests(const struct api *api, struct buf *out)
{
	buf_append_text(out, "# HELP pixelvault_requests_total Requests answered.\n"
			     "# TYPE pixelvault_requests_total counter\n");
	for (size_t i = 0; i <= api_route_count; i++)
		for (size_t k = 0; k < STATUSES_COUNTED; k++) {
			uint64_t count = api->requests[i * STATUSES_COUNTED + k];
			/* The two rows of check are one. */
			bool is_again = i && i < api_route_count && api_routes[i].name == api_routes[i - 1].name;
			bool is_twice = i + 1 < api_route_count && api_routes[i].name == api_routes[i + 1].name;
			if (is_twice)
				count += api->requests[(i + 1) * STATUSES_COUNTED + k];
			if (!count || is_again)
				continue;
			buf_printf(out, "pixelvault_requests_total{request=\"%s\",status=\"",
				   i < api_route_count ? api_routes[i].name : "other");
			if (api_status_in(k))
				buf_printf(out, "%d", api_status_in(k));
			else
				buf_append_text(out, "other");
			buf_printf(out, "\"} %" PRIu64 "\n", count);
		}
}

/* Where the log ends for sure, for whoever keeps such numbers elsewhere: a log that was cut, with its anchor, has fewer. */
static void print_audit_head(const struct api *api, struct buf *out)
{
	struct audit_position head = { .sequence = 0 };
	if (api->audit)
		audit_durable(api->audit, &head);
	buf_printf(out,
		   "# HELP pixelvault_audit_head Sequence of the last durable entry of the audit log, and its MAC's start.\n"
		   "# TYPE pixelvault_audit_head gauge\n");
	if (head.sequence)
		buf_printf(out, "pixelvault_audit_head{mac=\"%02x%02x%02x%02x\"} %llu\n", head.mac[0], head.mac[1], head.mac[2],
			   head.mac[3], (unsigned long long)head.sequence);
}

static void print_lists(const struct api *api, struct buf *out)
{
	struct metrics_lists lists = { .count = 0 };
	struct bytes from = buf_bytes(&api->lists);
	struct credential c;
	struct health h;
	struct error ignored;
	while (api_next_list(&from, &c, &h))
		(void)!metrics_count_list(&lists, &c, &h, &ignored);
	metrics_print_lists(&lists, out);
}

static bool is_degraded(const struct api *api)
{
	return api->is_degraded || api->is_silent || (api->opener && api->has_lost);
}

void api_serve_metrics(struct api *api, struct call *call)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	size_t verdicts[OUTCOME_COUNT] = { 0 };
	for (enum verdict v = VERDICT_UNCHECKED; !verdict_is_transient(v); v++)
		verdicts[v] = holdings_with_verdict(api->setup.holdings, v);
	metrics_print_pixels(verdicts, holdings_due(api->setup.holdings), &out);
	print_lists(api, &out);
	counter(&out, "reads_total", "Tokens handed out.", api->reads);
	counter(&out, "denied_total", "Requests that no rule allows.", api->denied);
	print_requests(api, &out);
	counter(&out, "audit_failures_total", "Lines that the audit log did not take.", api->audit_failures);
	print_audit_head(api, &out);
	if (api->setup.connections)
		gauge(&out, "connections", "Open connections.", api->setup.connections(api->setup.listener));
	gauge(&out, "locked", "1 while the vault is locked.", !api->opener);
	gauge(&out, "degraded", "1 when the store or the audit log cannot be written.", is_degraded(api));
	buf_append_text(&out, "# HELP pixelvault_build_info Which version runs.\n# TYPE pixelvault_build_info gauge\n"
			      "pixelvault_build_info{version=\"" PIXELVAULT_VERSION "\"} 1\n");
	if (api->swept_at)
		metrics_print_sweep(&api->swept, api->swept_at, &out);
	buf_append(&out, api->alert_metrics.at, api->alert_metrics.len);
	api_answer_metrics(api, call, &out);
}

void api_serve_health(struct api *api, struct call *call)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	const char *wanted = call_param(call, "ready");
	struct error err, why_not;
	bool is_ready = api_is_open(api, &why_not) && !api->is_silent;
	if (wanted && strcmp(wanted, "1") != 0) {
		(void)!fail(&err, ERR_USAGE, TXT_API_FLAG, "ready");
		call_answer_problem(call, 0, &err);
		return;
	}
	const char *reason = api->is_stopping                    ? why_not.message
			     : !api->opener && api->why_closed.code ? api->why_closed.message
			     : api->opener && api->is_silent      ? api->silence.message
			     : api->opener && api->has_lost	   ? api->loss.message
			     : api->is_degraded			   ? api->trouble.message
								   : NULL;
	api_json_begin(&j);
	json_bool(&j, "live", true);
	json_bool(&j, "ready", is_ready);
	json_bool(&j, "locked", !api->opener);
	json_bool(&j, "degraded", is_degraded(api));
	json_text(&j, "version", PIXELVAULT_VERSION);
	json_int(&j, "pixels", (int64_t)holdings_count(api->setup.holdings));
	json_text(&j, "layers", api->setup.layers);
	json_text(&j, "reason", reason);
	api_json_end(&j);
	call_answer_buf(call, wanted && !is_ready ? 503 : 200, API_JSON, &out);
}
