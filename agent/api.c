#include "agent/api_own.h"

#include "agent/accept.h"
#include "agent/text.h"
#include "core/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define DENIAL_LINES 200 /* at once; then ten a second: somebody who is refused must not fill the disk */
#define DENIAL_LINES_A_SECOND 10

/* ---- the requests ---- */

#define TOKEN "v1", "pixels", "*", "token"
#define TOKEN_BODY TOKEN_INPUT_MAX
#define JSON_BODY ((size_t)16 * 1024)

const struct route api_routes[] = {
	/* clang-format off */
	{ "get",      METHOD_GET,    { TOKEN },                           ACCESS_READ,   ROUTE_UNLOCKED, "version previous healthy", 0, api_serve_token },
	{ "put",      METHOD_PUT,    { TOKEN },                           ACCESS_PUT,    ROUTE_UNLOCKED, "label+ check test-code expires as standby own family", TOKEN_BODY, api_serve_put },
	{ "list",     METHOD_GET,    { "v1", "pixels" },                  ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY, "label+ pixel+", 0, api_serve_pixels },
	{ "status",   METHOD_GET,    { "v1", "pixels", "*" },             ACCESS_META,   ROUTE_UNLOCKED, "", 0, api_serve_pixel },
	{ "remove",   METHOD_DELETE, { "v1", "pixels", "*" },             ACCESS_ADMIN,  ROUTE_UNLOCKED, "destroy", 0, api_serve_delete },
	{ "history",  METHOD_GET,    { "v1", "pixels", "*", "history" },  ACCESS_META,   ROUTE_UNLOCKED, "", 0, api_serve_history },
	{ "rollout",  METHOD_GET,    { "v1", "pixels", "*", "rollout" },  ACCESS_META,   ROUTE_UNLOCKED, "", 0, api_serve_rollout },
	{ "check",    METHOD_POST,   { "v1", "pixels", "*", "check" },    ACCESS_PUT,    ROUTE_UNLOCKED, "probe", JSON_BODY, api_serve_check },
	{ "check",    METHOD_POST,   { "v1", "check" },                   ACCESS_PUT,    ROUTE_UNLOCKED | ROUTE_PIXELS, "label+ pixel+ probe", JSON_BODY, api_serve_check },
	{ "report",   METHOD_POST,   { "v1", "pixels", "*", "report" },   ACCESS_REPORT, ROUTE_UNLOCKED, "", JSON_BODY, api_serve_report },
	{ "ack",      METHOD_POST,   { "v1", "pixels", "*", "ack" },      ACCESS_REPORT, ROUTE_UNLOCKED, "", JSON_BODY, api_serve_ack },
	{ "rollback", METHOD_POST,   { "v1", "pixels", "*", "rollback" }, ACCESS_PUT,    ROUTE_UNLOCKED, "", JSON_BODY, api_serve_rollback },
	{ "swap",     METHOD_POST,   { "v1", "pixels", "*", "swap" },     ACCESS_PUT,    ROUTE_UNLOCKED, "check", JSON_BODY, api_serve_swap },
	{ "move",     METHOD_POST,   { "v1", "pixels", "*", "move" },     ACCESS_PUT,    ROUTE_UNLOCKED, "check", JSON_BODY, api_serve_move },
	{ "retire",   METHOD_POST,   { "v1", "pixels", "*", "retire" },   ACCESS_PUT,    ROUTE_UNLOCKED, "force", JSON_BODY, api_serve_retire },
	{ "label",    METHOD_POST,   { "v1", "pixels", "*", "labels" },   ACCESS_PUT,    ROUTE_UNLOCKED, "label+", JSON_BODY, api_serve_labels },
	{ "rotate",   METHOD_POST,   { "v1", "rotate" },                  ACCESS_PUT,    ROUTE_UNLOCKED | ROUTE_BODY, "", JSON_BODY, api_serve_rotate },
	{ "listings", METHOD_GET,    { "v1", "listings" },                ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY, "", 0, api_serve_listings },
	{ "listing-put", METHOD_PUT, { "v1", "listings", "*", "token" },  ACCESS_PUT,    ROUTE_UNLOCKED | ROUTE_LIST, "check", TOKEN_BODY, api_serve_listing_put },
	{ "listing-remove", METHOD_DELETE, { "v1", "listings", "*" },     ACCESS_ADMIN,  ROUTE_UNLOCKED | ROUTE_LIST, "destroy", 0, api_serve_listing_delete },
	{ "restore",  METHOD_POST,   { "v1", "pixels", "*", "restore" },  ACCESS_ADMIN,  ROUTE_UNLOCKED, "", JSON_BODY, api_serve_restore },
	{ "plan",     METHOD_GET,    { "v1", "plan" },                    ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY | ROUTE_PIXELS, "label+ pixel+ for", 0, api_serve_plan },
	{ "levels",   METHOD_GET,    { "v1", "levels" },                  ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY | ROUTE_PIXELS, "label+ pixel+ since until month", 0, api_serve_levels },
	{ "match",    METHOD_POST,   { "v1", "match" },                   ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY, "", TOKEN_BODY, api_serve_match },
	{ "verify",   METHOD_POST,   { "v1", "verify" },                  ACCESS_ADMIN,  ROUTE_UNLOCKED, "", JSON_BODY, api_serve_verify },
	{ "alerts",   METHOD_GET,    { "v1", "alerts" },                  ACCESS_ADMIN,  ROUTE_UNLOCKED, "", 0, api_serve_alerts },
	{ "alert-ack", METHOD_POST,  { "v1", "alerts", "ack" },           ACCESS_ADMIN,  ROUTE_UNLOCKED, "", JSON_BODY, api_serve_alert_ack },
	{ "alert-test", METHOD_POST, { "v1", "alerts", "test" },          ACCESS_ADMIN,  ROUTE_UNLOCKED, "", JSON_BODY, api_serve_alert_test },
	{ "unlock",   METHOD_POST,   { "v1", "unlock" },                  ACCESS_ADMIN,  0, "for", 64, api_serve_unlock },
	{ "lock",     METHOD_POST,   { "v1", "lock" },                    ACCESS_ADMIN,  0, "", 64, api_serve_lock },
	{ "access",   METHOD_GET,    { "v1", "access" },                  ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY, "group+ uid gid pixel", 0, api_serve_access },
	{ "events",   METHOD_GET,    { "v1", "events" },                  ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY, "", 0, api_serve_events },
	{ "board",    METHOD_GET,    { "v1", "board" },                   ACCESS_META,   ROUTE_UNLOCKED | ROUTE_MANY, "label+", 0, api_serve_board },
	{ "metrics",  METHOD_GET,    { "metrics" },                       ACCESS_META,   ROUTE_MANY, "", 0, api_serve_metrics },
	{ "health",   METHOD_GET,    { "healthz" },                       ACCESS_META,   ROUTE_ANYONE, "ready", 0, api_serve_health },
	/* clang-format on */
};
const size_t api_route_count = COUNT_OF(api_routes);

static bool fits(const struct route *route, const struct call *call)
{
	size_t i;
	for (i = 0; i < call->segment_count; i++)
		if (!route->pattern[i] ||
		    (route->pattern[i][0] != '*' && strcmp(route->pattern[i], call->segments[i]) != 0))
			return false;
	return !route->pattern[i];
}

static void answer_no_route(struct call *call, bool is_known, const char *allow)
{
	struct error err;
	if (is_known) {
		call_header(call, "Allow", "%s", allow);
		(void)!fail(&err, ERR_USAGE, TXT_API_METHOD, allow);
		call_answer_problem(call, 405, &err);
		return;
	}
	(void)!fail(&err, ERR_NOT_FOUND, TXT_API_NO_ROUTE);
	call_answer_problem(call, 0, &err);
}

static const struct route *find_route(struct call *call)
{
	static const char *const names[] = { "GET, HEAD", "", "PUT", "POST", "DELETE" };
	enum call_method method = call->method == METHOD_HEAD ? METHOD_GET : call->method;
	char allow[64] = "";
	size_t used = 0;
	for (size_t i = 0; i < api_route_count; i++) {
		const struct route *route = &api_routes[i];
		if (!fits(route, call))
			continue;
		if (route->method == method)
			return route;
		used += (size_t)snprintf(allow + used, sizeof allow - used, "%s%s", used ? ", " : "",
					 names[route->method]);
	}
	answer_no_route(call, used > 0, allow);
	return NULL;
}

static bool takes_param(const struct route *route, const char *name, bool *ret_repeats)
{
	size_t len = strlen(name);
	for (const char *at = route->params; *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (len && strncmp(at, name, len) == 0 && (at[len] == '\0' || at[len] == ' ' || at[len] == '+')) {
			*ret_repeats = at[len] == '+';
			return true;
		}
	return false;
}

static bool check_params(const struct route *route, const struct call *call, struct error *err)
{
	bool repeats;
	for (size_t i = 0; i < call->param_count; i++) {
		const char *name = call->params[i].name;
		if (!takes_param(route, name, &repeats))
			return fail(err, ERR_USAGE, TXT_API_PARAM, error_repeatable(name));
		if (!repeats && call_param_count(call, name) > 1)
			return fail(err, ERR_USAGE, TXT_API_PARAM_TWICE, name);
	}
	return true;
}

/* ---- is there a vault? ---- */

bool api_is_open(const struct api *api, struct error *err)
{
	if (api->is_stopping)
		return fail(err, ERR_CONFLICT, TXT_API_STOPPING);
	if (api->opener)
		return true;
	if (api->why_closed.code != ERR_NOT_FOUND)
		return fail(err, ERR_LOCKED, TXT_API_LOCKED);
	*err = api->why_closed; /* there is none, and nothing to unlock: as whoever opens it directly is told */
	return false;
}

void api_answer_closed(const struct api *api, struct call *call)
{
	struct error err;
	(void)!api_is_open(api, &err);
	if (api->is_stopping)
		call_header(call, "Retry-After", "1");
	call_answer_problem(call, 503, &err);
}

/* An agent that is ending takes no orders either; how it is, it tells. */
static bool can_serve(const struct api *api, const struct route *route)
{
	struct error unused;
	bool needs_agent = !(route->flags & ROUTE_ANYONE), needs_vault = route->flags & ROUTE_UNLOCKED;
	return needs_vault ? api_is_open(api, &unused) : !needs_agent || !api->is_stopping;
}

/* ---- may they? ---- */

struct audit_who api_who(const struct call *call, const char *as)
{
	struct audit_who who = {
		.is_known = true, .uid = call->peer->uid, .gid = call->peer->gid, .pid = call->peer->pid
	};
	if (as)
		text_copy(who.as, sizeof who.as, as);
	return who;
}

struct access_subject api_subject(const struct api *api, const char *pixel)
{
	const struct holding *h = pixel ? holdings_find(api->setup.holdings, pixel) : NULL;
	return (struct access_subject){ .pixel = pixel, .has_label = h ? holding_has_label : NULL, .context = h };
}

bool api_may(const struct api *api, const struct peer *peer, enum access_verb verb, const char *pixel)
{
	struct access_subject subject = api_subject(api, pixel);
	return access_may(peer->view, verb, &subject);
}

static void begin_audit_turn(struct api *api)
{
	if (api->is_in_turn)
		return;
	audit_begin_turn(api->audit);
	api->is_in_turn = true;
	bool is_steady = api->now_ms - api->turn_ended_ms <= STEADY_MS;
	api->turn_lasts_ms = is_steady && !api->short_turns ? TURN_MS : 0;
	api->short_turns = api->turn_lasts_ms ? SHORT_TURNS : is_steady ? api->short_turns - 1 : 0;
	api->turn_ms = api->now_ms;
}

static bool fall_silent(struct api *api, const struct error *why)
{
	api->is_silent = true;
	api->silence = *why;
	api->silence_ms = api->now_ms;
	api->audit_failures++;
	return false;
}

bool api_audit(struct api *api, const struct audit_who *who, const struct audit_event *event, enum audit_weight weight,
	       struct error *err)
{
	begin_audit_turn(api);
	bool is_written = audit_append(api->audit, who, event, 1, weight, false, err);
	if (is_written && weight == AUDIT_ORDINARY)
		api->is_silent = false;
	return is_written || fall_silent(api, err);
}

bool api_audit_collect(struct api *api, const struct audit_who *who, const struct audit_event *event, struct error *err)
{
	begin_audit_turn(api);
	return audit_collect(api->audit, who, event, err) || fall_silent(api, err);
}

bool api_audit_settle(struct api *api, struct error *err)
{
	bool is_written = audit_settle(api->audit, err);
	if (is_written)
		api->is_silent = false;
	return is_written || fall_silent(api, err);
}

/* Whoever asks about our health may keep readers away because of what it hears: we try ourselves whether lines are taken
 * again. */
static void try_audit_again(struct api *api)
{
	static const struct audit_who us = { .is_known = false };
	struct audit_event event = { .verb = "resume", .result = "ok" };
	struct error unused;
	if (api->is_silent && api->audit && api->now_ms - api->silence_ms >= SILENCE_MS)
		(void)!api_audit(api, &us, &event, AUDIT_ORDINARY, &unused);
}

static void note_denial(struct api *api, const struct audit_who *who, const char *verb, const char *pixel)
{
	struct error unused;
	struct audit_event event = { .verb = verb, .pixel = pixel, .result = "denied" };
	api->denied++;
	double more = (double)(api->now_ms - api->denial_ms) * DENIAL_LINES_A_SECOND / 1000;
	api->denial_ms = api->now_ms;
	api->denial_lines = api->denial_lines + more > DENIAL_LINES ? DENIAL_LINES : api->denial_lines + more;
	if (!api->audit || api->denial_lines < 1)
		return;
	api->denial_lines -= 1;
	(void)!api_audit(api, who, &event, AUDIT_RESERVE, &unused);
}

void api_deny(struct api *api, struct call *call, const char *pixel)
{
	struct error err;
	const struct route *route = call->route;
	struct audit_who who = api_who(call, NULL);
	note_denial(api, &who, route->name, pixel);
	if (pixel && route->verb == ACCESS_READ)
		api_note_asking(api, &who, call->unnamed, pixel);
	if (pixel)
		(void)!fail(&err, ERR_DENIED, TXT_API_DENIED_PIXEL, access_verb_name(route->verb), pixel);
	else
		(void)!fail(&err, ERR_DENIED, TXT_API_DENIED, access_verb_name(route->verb));
	call_answer_problem(call, 0, &err);
}

void api_denied(struct api *api, const struct peer *peer, const char *verb, const char *pixel)
{
	struct audit_who who = { .is_known = true, .uid = peer->uid, .gid = peer->gid, .pid = peer->pid };
	note_denial(api, &who, verb, pixel);
	if (pixel)
		api_note_asking(api, &who, NULL, pixel);
}

/* The Pixel in the path; NULL = it names none. */
static const char *pixel_of(const struct route *route, const struct call *call)
{
	bool has_one = route->pattern[1] && route->pattern[2] && route->pattern[2][0] == '*';
	return has_one ? call->segments[2] : NULL;
}

static bool check_access(struct api *api, const struct route *route, struct call *call)
{
	const char *pixel = pixel_of(route, call);
	size_t named = 0;
	if (route->flags & ROUTE_ANYONE)
		return true;
	for (size_t i = 0; route->flags & ROUTE_PIXELS && i < call->param_count; i++) {
		if (strcmp(call->params[i].name, "pixel") != 0)
			continue;
		named++;
		if (!api_may(api, call->peer, route->verb, call->params[i].value)) {
			api_deny(api, call, call->params[i].value);
			return false;
		}
	}
	if (route->flags & ROUTE_BODY ? access_may_some(call->peer->view, route->verb)
				      : named || api_may(api, call->peer, route->verb, pixel))
		return true;
	api_deny(api, call, pixel);
	return false;
}

static bool check_codes(const struct route *route, const struct call *call, struct error *err)
{
	const char *name = pixel_of(route, call);
	if (name && !(route->flags & ROUTE_LIST ? list_check : pixel_check)(name, err))
		return false;
	for (size_t i = 0; i < call->param_count; i++)
		if (strcmp(call->params[i].name, "pixel") == 0 && !pixel_check(call->params[i].value, err))
			return false;
	return true;
}

/* ---- numbers ---- */

static const int counted[STATUSES_COUNTED - 1] = { 200, 202, 304, 400, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503, 0 };

size_t api_status_slot(int status)
{
	for (size_t i = 0; i < COUNT_OF(counted) - 1; i++)
		if (counted[i] == status)
			return i;
	return COUNT_OF(counted) - 1;
}

int api_status_in(size_t slot)
{
	return slot < COUNT_OF(counted) ? counted[slot] : 0;
}

static void count_answer(struct call *call)
{
	struct api *api = call->tallies;
	const struct route *route = call->route;
	size_t row = route ? (size_t)(route - api_routes) : api_route_count;
	api->requests[row * STATUSES_COUNTED + api_status_slot(call->status)]++;
}

/* ---- a request's way ---- */

/* All that can be known from the head. True = to be served. */
static bool admit(struct api *api, struct call *call)
{
	struct error err;
	call->tally = count_answer;
	call->tallies = api;
	if (call->peer->is_web && !api_admit_web(api, call))
		return false;
	const struct route *route = find_route(call);
	if (!route)
		return false;
	call->route = route;
	if (!can_serve(api, route)) {
		api_answer_closed(api, call);
		return false;
	}
	if (!check_params(route, call, &err) || !check_codes(route, call, &err)) {
		call_answer_problem(call, 0, &err);
		return false;
	}
	return call->peer->is_web || check_access(api, route, call);
}

void api_begin(void *context, struct call *call, size_t *ret_body_max)
{
	struct api *api = context;
	*ret_body_max = 0;
	/* Without a body all of it is looked at in one go, when it is served. */
	if (call->method == METHOD_GET || call->method == METHOD_HEAD)
		return;
	if (admit(api, call))
		*ret_body_max = ((const struct route *)call->route)->body_max;
}

void api_serve(void *context, struct call *call)
{
	struct api *api = context;
	if (!call->route && !admit(api, call))
		return;
	const struct route *route = call->route;
	/* Locked while the body came? */
	if (can_serve(api, route))
		route->serve(api, call);
	else
		api_answer_closed(api, call);
}

void api_settle(void *context)
{
	api_read_settle(context);
}

/* ---- tickets ---- */

static void unlink_ticket(struct ticket *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else if (t->list)
		*t->list = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = t->next = NULL;
	t->list = NULL;
}

void ticket_move(struct ticket *t, struct ticket **list)
{
	unlink_ticket(t);
	t->list = list;
	t->next = *list;
	if (t->next)
		t->next->prev = t;
	*list = t;
}

/* The peer is gone. Who only waits goes too; an errand comes back and finds nobody. */
static void on_gone(void *keeper)
{
	struct ticket *t = keeper;
	t->call = NULL;
	if (t->list == &t->api->waiters || t->list == &t->api->syncing || t->list == &t->api->unlockers)
		ticket_free(t);
}

struct ticket *ticket_new(struct api *api, struct call *call, struct ticket **list)
{
	struct ticket *t = calloc(1, sizeof *t);
	struct error err;
	if (!t) {
		(void)!fail_no_memory(&err);
		call_answer_problem(call, 0, &err);
		return NULL;
	}
	t->api = api;
	t->call = call;
	t->text = (struct buf)BUF_INIT(API_BODY_MAX);
	ticket_move(t, list);
	call_keep(call, t, on_gone);
	return t;
}

void ticket_free(struct ticket *t)
{
	unlink_ticket(t);
	secret_freep(&t->token);
	errand_free(t->unsent);
	buf_done(&t->text);
	free(t);
}

struct call *ticket_redeem(struct ticket *t)
{
	struct call *call = t->call;
	if (call)
		call_keep(call, NULL, NULL);
	ticket_free(t);
	return call;
}

/* ---- errands ---- */

struct errand *api_errand(struct api *api, struct call *call, enum errand_kind kind)
{
	struct errand *e = NULL;
	struct error err;
	(void)api;
	if (!errand_new(kind, &e, &err)) {
		call_answer_problem(call, 0, &err);
		return NULL;
	}
	const struct route *route = call->route;
	e->who = api_who(call, NULL);
	const char *pixel = pixel_of(route, call);
	if (pixel)
		text_copy(e->pixel, sizeof e->pixel, pixel);
	return e;
}

void api_post(struct api *api, struct errand *e)
{
	api->setup.give(api->setup.worker, e);
}

void api_send(struct api *api, struct call *call, struct errand *e)
{
	struct ticket *t = ticket_new(api, call, &api->erranders);
	if (!t) {
		errand_free(e);
		return;
	}
	e->context = t;
	t->errand = e;
	api_post(api, e);
}

void api_finish(struct api *api, struct errand *e)
{
	struct ticket *t = e->context;
	switch (e->kind) {
	case ERRAND_MARK:
		api->notes_under_way -= api->notes_under_way > 0;
		break;
	case ERRAND_SYNC:
		api_read_synced(api, e);
		break;
	case ERRAND_TOKEN:
		api_read_finish(api, t, e);
		break;
	case ERRAND_UNLOCK:
		api_admin_unlocked(api, t, e);
		break;
	default:
		if (t)
			api_change_finish(api, t, e);
	}
	errand_free(e);
}

/* ---- what happens ---- */

void api_opened(struct api *api, struct vault_opener *opener, struct audit *audit)
{
	vault_opener_free(api->opener);
	api->opener = opener;
	api->audit = api->is_stopping ? NULL : audit;
	api->why_closed.code = ERR_NONE;
	api->has_lost = false;
}

static void end_audit_turn(struct api *api)
{
	if (!api->is_in_turn)
		return;
	audit_end_turn(api->audit);
	api->is_in_turn = false;
	api->turn_ended_ms = api->now_ms;
}

void api_closed(struct api *api, const struct error *why)
{
	api_read_settle(api);
	end_audit_turn(api);
	vault_opener_free(api->opener);
	api->opener = NULL;
	api->audit = NULL;
	buf_done(&api->lists);
	api->why_closed = *why;
	api_read_closed(api);
}

void api_stop(struct api *api)
{
	api_read_settle(api);
	end_audit_turn(api);
	api->audit = NULL;
	api->is_stopping = true;
	api_read_stop(api);
	api_admin_stop(api);
}

void api_on_change(struct api *api, const struct holding *before, const struct holding *after)
{
	/* What is read in while the vault opens is no news. */
	if (!api->opener)
		return;
	api_events_add(api, before, after);
	api_read_changed(api, after ? after->pixel : before->pixel);
}

void api_trouble(struct api *api, const struct error *err, bool is_degraded)
{
	api->is_degraded = is_degraded;
	api->trouble = *err;
}

void api_lost(struct api *api, const struct error *err)
{
	api->has_lost = true;
	api->loss = *err;
}

void api_swept(struct api *api, const struct check_result *result, int64_t now)
{
	api->swept = *result;
	api->swept_at = now;
}

int api_wait_ms(const struct api *api, int wait_ms)
{
	int64_t left_ms = api->collected_count ? 0 : api->turn_ms + api->turn_lasts_ms - api->now_ms;
	return api->is_in_turn && left_ms < wait_ms ? left_ms > 0 ? (int)left_ms : 0 : wait_ms;
}

void api_begin_turn(struct api *api, int64_t now_ms)
{
	api->now_ms = now_ms;
}

void api_end_turn(struct api *api, int64_t now_ms)
{
	api->now_ms = now_ms;
	api_read_tick(api);
	api_events_tick(api);
	api_admin_tick(api);
	try_audit_again(api);
	/* Taking the log's lock and proving its place costs as much as a read: where they come one behind the other, one turn
	 * serves all that come within a millisecond or two. Longer would keep others from the log. One that takes no lines is
	 * asked anew by each. */
	if (api->is_silent || now_ms - api->turn_ms >= api->turn_lasts_ms)
		end_audit_turn(api);
}

void api_reload(struct api *api, const struct settings *settings, const struct access *access)
{
	api->setup.settings = settings;
	api->setup.access = access;
}

bool api_new(const struct api_setup *setup, struct api **ret, struct error *err)
{
	struct api *api = calloc(1, sizeof *api);
	if (!api)
		return fail_no_memory(err);
	api->setup = *setup;
	api->now_ms = api->denial_ms = clock_boot_ms();
	api->denial_lines = DENIAL_LINES;
	api->events = calloc(EVENTS_KEPT, sizeof *api->events);
	api->noted_groups = NOTED_GROUPS;
	api->noted = calloc(NOTED_GROUPS * NOTED_WAYS, sizeof *api->noted);
	api->requests = calloc((api_route_count + 1) * STATUSES_COUNTED, sizeof *api->requests);
	/* Numbers of an earlier life are all lower. */
	api->first_id = api->next_id = (uint64_t)clock_wall() * 1000;
	randombytes_buf(api->noted_key, sizeof api->noted_key);
	if (!api->events || !api->noted || !api->requests) {
		api_free(api);
		return fail_no_memory(err);
	}
	*ret = api;
	return true;
}

static void free_all(struct ticket **list)
{
	while (*list)
		ticket_free(*list);
}

void api_free(struct api *api)
{
	if (!api)
		return;
	end_audit_turn(api);
	free_all(&api->erranders);
	free_all(&api->waiters);
	free_all(&api->readers);
	free_all(&api->syncing);
	free_all(&api->unlockers);
	vault_opener_free(api->opener);
	buf_done(&api->alert_metrics);
	buf_done(&api->level_metrics);
	buf_done(&api->lists);
	free(api->events);
	free(api->noted);
	free(api->requests);
	free(api);
}

/* ---- small things that all handlers need ---- */

void api_json_begin(struct json *j)
{
	json_object(j, NULL);
	json_int(j, "schema", 1);
}

void api_json_end(struct json *j)
{
	json_end_object(j);
	buf_append_text(j->out, "\n");
}

bool api_number(const char *text, uint32_t *ret)
{
	size_t len = strspn(text, "0123456789");
	unsigned long long number = len && len < 11 && !text[len] ? strtoull(text, NULL, 10) : UINT64_MAX;
	if (number > UINT32_MAX)
		return false;
	*ret = (uint32_t)number;
	return true;
}

bool api_etag(const char *text, uint32_t *ret)
{
	char digits[12];
	size_t len = strlen(text);
	if (len < 3 || len > sizeof digits || text[0] != '"' || text[len - 1] != '"')
		return false;
	memcpy(digits, text + 1, len - 2);
	digits[len - 2] = '\0';
	return api_number(digits, ret);
}

bool api_prefers(const struct call *call, const char *type, const char *usual)
{
	return accept_prefers(call->header(call, "Accept"), type, usual);
}

bool api_labels(const struct call *call, struct label *ret, size_t max, size_t *ret_count, struct error *err)
{
	size_t count = 0;
	for (size_t i = 0; i < call->param_count; i++) {
		if (strcmp(call->params[i].name, "label") != 0)
			continue;
		if (count == max)
			return fail(err, ERR_USAGE, TXT_API_LABELS, max);
		if (!label_parse(call->params[i].value, &ret[count++], err))
			return false;
	}
	*ret_count = count;
	return true;
}
