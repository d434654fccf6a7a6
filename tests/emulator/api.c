#include "tests/emulator/api.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/call.h"
#include "tests/emulator/code.h"
#include "tests/emulator/fault.h"

static const struct knob *knob(const struct call *call, enum knob_id id)
{
	return &call->world->knobs[id];
}

/* One event of the batch. */
static bool event_is_good(struct call *call, const cJSON *event, bool is_web)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(event, "event"), *time_of = cJSON_GetObjectItemCaseSensitive(event, "event_time"),
		    *id = cJSON_GetObjectItemCaseSensitive(event, "event_id"), *page = cJSON_GetObjectItemCaseSensitive(event, "page"),
		    *user = cJSON_GetObjectItemCaseSensitive(event, "user");
	const char *url = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(page, "url"));

	if (!cJSON_IsObject(event))
		call_fail(call, 40002, "Invalid value for data: not a valid object.");
	else if (!cJSON_IsString(name) || !*name->valuestring)
		call_fail(call, 40002, "Invalid value for event: not a valid string.");
	else if (!cJSON_IsNumber(time_of) || time_of->valuedouble < 0 || time_of->valuedouble > 1e11 ||
		 time_of->valuedouble - (double)(long long)time_of->valuedouble > 0)
		call_fail(call, 40002, "Invalid value for event_time: not a valid integer.");
	else if (id && !cJSON_IsString(id))
		call_fail(call, 40002, "Invalid value for event_id: not a valid string.");
	else if (user && !cJSON_IsObject(user))
		call_fail(call, 40002, "Invalid value for user: not a valid object.");
	else if (is_web && (!url || !*url))
		call_fail(call, 40002, "Invalid value for page.url: not a valid string.");
	else
		return true;
	return false;
}

static bool data_is_good(struct call *call, bool is_web)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(call->body, "data"), *event;

	if (!data || cJSON_IsNull(data))
		call_fail(call, 40002, "Invalid value for data: Missing data for required field.");
	else if (!cJSON_IsArray(data))
		call_fail(call, 40002, "Invalid value for data: not a valid list.");
	else if (!data->child && knob(call, KNOB_EMPTY_DATA)->number)
		call_fail(call, 40002, "%s", knob(call, KNOB_EMPTY_DATA_TEXT)->text);
	else if (call->event_count > 1000)
		call_fail(call, 40002, "Invalid value for data: Longer than maximum length 1000.");
	else {
		cJSON_ArrayForEach(event, data)
			if (!event_is_good(call, event, is_web))
				return false;
		return true;
	}
	return false;
}

static bool event_track_params(struct call *call)
{
	const char *source = call_string(call, "event_source");
	const cJSON *test = cJSON_GetObjectItemCaseSensitive(call->body, "test_event_code");

	if (!cJSON_IsObject(call->body))
		call_fail(call, 40002, "Invalid request body: not a valid JSON object.");
	else if (!source || (strcmp(source, "web") && strcmp(source, "app") && strcmp(source, "offline") && strcmp(source, "crm")))
		call_fail(call, 40002, "Invalid value for event_source: must be web, app or offline.");
	else if (!call->pixel || !*call->pixel)
		call_fail(call, 40002, "Invalid value for event_source_id: not a valid string.");
	else if (test && !cJSON_IsString(test) && !cJSON_IsNull(test))
		call_fail(call, 40002, "Invalid value for test_event_code: not a valid string.");
	else if (call->kind == CALL_TEST && knob(call, KNOB_TEST_CODE)->choice == TEST_CODE_40002)
		call_fail(call, 40002, "Invalid value for test_event_code: the code does not exist or has expired.");
	else
		return data_is_good(call, !strcmp(source, "web"));
	return false;
}

static void refuse_pixel(struct call *call, int code)
{
	const char *pairs[] = { "pixel", call->pixel, NULL };
	scoped(text_free) struct text message = { 0 };

	text_expand(&message, TXT_NO_PIXEL_RIGHT, pairs);
	call_fail(call, code, "%s", message.at);
}

static void event_track(struct call *call)
{
	struct pixel *p = world_find_pixel(call->world, call->pixel);
	long unknown = knob(call, KNOB_UNKNOWN_PIXEL)->number;

	if (!p && unknown == 40007)
		call_fail_code(call, 40007);
	else if (!p)
		refuse_pixel(call, (int)unknown);
	else if (!token_reaches(call->token, p->number))
		refuse_pixel(call, (int)knob(call, KNOB_MISMATCH_CODE)->number);
	else if (call->kind == CALL_TEST && knob(call, KNOB_TEST_CODE)->choice == TEST_CODE_40001)
		call_fail(call, 40001, "No permission to use this test_event_code.");
	else {
		call->recorded = true;
		call_succeed(call, NULL);
	}
}

static const struct route routes[] = {
	{ "/event/track/", "POST", NEEDS_EVENTS, event_track_params, event_track, false },
	{ "/pixel/list/", "GET", NEEDS_PIXELS, pixel_list_params, pixel_list, false },
	{ "/bc/asset/get/", "GET", NEEDS_BC, bc_asset_get_params, bc_asset_get, false },
	{ "/bc/pixel/link/get/", "GET", NEEDS_BC, bc_pixel_link_get_params, bc_pixel_link_get, false },
	{ "/pixel/event/stats/", "GET", NEEDS_PIXELS, pixel_event_stats_params, pixel_event_stats, false },
	{ "/user/info/", "GET", NEEDS_TOKEN, NULL, user_info, false },
	{ "/oauth2/advertiser/get/", "GET", NEEDS_TOKEN, advertiser_get_params, advertiser_get, false },
	{ "/oauth2/access_token/", "POST", NEEDS_NOTHING, NULL, access_token, false },
	{ "/oauth2/revoke_token/", "POST", NEEDS_NOTHING, NULL, revoke_token, false },
	{ "/tt_user/oauth2/token/", "POST", NEEDS_NOTHING, NULL, tt_user_token, false },
	{ "/tt_user/oauth2/refresh_token/", "POST", NEEDS_NOTHING, NULL, tt_user_refresh, false },
	{ "/tt_user/oauth2/revoke/", "POST", NEEDS_NOTHING, NULL, tt_user_revoke, false },
	{ "/tt_user/token_info/get/", "POST", NEEDS_NOTHING, NULL, tt_user_info, false },
};

static const char root[] = "/open_api/v1.3";

static const struct route *route_of(const char *path)
{
	static const struct route login = { "/v2/oauth/token/", "POST", NEEDS_NOTHING, NULL, login_token, true };

	if (!strcmp(path, login.path))
		return &login;
	if (strncmp(path, root, sizeof root - 1))
		return NULL;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (!strcmp(routes[i].path, path + sizeof root - 1))
			return &routes[i];
	return NULL;
}

static bool token_is_good(struct call *call)
{
	const char *value = call->request->token;
	struct token *t = value && *value ? world_find_token(call->world, value) : NULL;

	if (!value || !*value)
		call_fail_code(call, 40104);
	else if (!t || t->is_revoked || t->kind == TOKEN_REFRESH || t->kind == TOKEN_AUTH_CODE)
		call_fail_code(call, 40105);
	else if (t->is_expired || (t->expires_at && t->expires_at <= (int64_t)time(NULL)))
		call_fail_code(call, 40102);
	else {
		call->token = t;
		return true;
	}
	return false;
}

static bool scope_is_good(struct call *call)
{
	const struct token *t = call->token;
	bool good = false;

	switch (call->route->needs) {
	case NEEDS_NOTHING: good = true; break;
	case NEEDS_TOKEN: good = t->kind == TOKEN_EVENTS || t->kind == TOKEN_MARKETING; break;
	case NEEDS_EVENTS: good = t->kind == TOKEN_EVENTS || token_has_scope(t, "5") || token_has_scope(t, "8"); break;
	case NEEDS_PIXELS: good = token_has_scope(t, "8"); break;
	case NEEDS_BC: good = token_has_scope(t, "15"); break;
	}
	if (!good)
		call_fail(call, 40001, "advertiser does not grant you %s:%s permission", call->route->path, call->route->method);
	return good;
}

/* The order of TikTok's checks is not known; see the knob. */
static void run_route(struct call *call)
{
	const struct route *route = call->route;
	bool is_open = route->needs == NEEDS_NOTHING, params_first = knob(call, KNOB_ORDER)->choice == ORDER_PARAMS_FIRST;

	if (params_first && route->params && !route->params(call))
		return;
	if (!is_open && (!token_is_good(call) || !scope_is_good(call)))
		return;
	if (!params_first && route->params && !route->params(call))
		return;
	route->work(call);
}

static void answer_without_route(struct call *call)
{
	const char *path = call->request->path;

	if (strncmp(path, "/open_api/", 10) || path[strlen(path) - 1] != '/')
		call_plain(call, 404, "text/plain; charset=utf-8", "404 page not found");
	else if (strncmp(path, root, sizeof root - 1) || path[sizeof root - 1] != '/')
		call_fail_code(call, 40051);
	else
		call_fail_code(call, 40400);
}

static void throttled(struct call *call, int code)
{
	static const char page[] = "<html><head><title>Too Many Requests</title></head><body>Too Many Requests</body></html>";
	int edge = knob(call, KNOB_THROTTLE_EDGE)->choice;

	if (edge == EDGE_OFF)
		call_fail_code(call, code);
	else
		call_plain(call, edge == EDGE_429 ? 429 : 200, "text/html", page);
}

static void run(struct call *call)
{
	const struct knob *all = knob(call, KNOB_ALL);
	int code;

	if (world_is_throttled(call->world, &code))
		throttled(call, code);
	else if (!call->route)
		answer_without_route(call);
	else if (strcmp(call->route->method, call->request->method))
		call_plain(call, 405, "text/html", "<html><head><title>405 Method Not Allowed</title></head><body>405 Method Not Allowed</body></html>");
	else if (call->kind != CALL_OTHER && strcmp(all->text, "off"))
		call_fail_code(call, (int)all->number);
	else
		run_route(call);
}

static void count(struct call *call)
{
	struct pixel *p;

	if (call->kind == CALL_OTHER || !call->pixel || strlen(call->pixel) > 100)
		return;
	p = world_pixel(call->world, call->pixel, false);
	if (call->kind == CALL_DRY)
		p->dry++;
	else if (!call->recorded)
		p->refused++;
	else if (call->kind == CALL_TEST)
		p->test += call->event_count;
	else
		p->events += call->event_count;
}

static void put_field(struct text *line, const char *name, const char *value)
{
	text_puts(line, name);
	text_word(line, value);
}

static void note(const struct call *call, uint64_t connection, const struct fault_rule *fault)
{
	static const char *const kinds[] = { "other", "dry", "test", "live" };
	const struct reply *reply = call->reply;
	struct text *line = &call->world->line;
	int status = reply->is_spoilt ? fault->row->status : reply->answer.status;

	text_clear(line);
	text_printf(line, "ms=%lld conn=%llu ", (long long)(monotonic_ms() - call->world->started_ms), (unsigned long long)connection);
	text_word(line, call->request->method);
	text_puts(line, " ");
	text_word(line, call->request->path);
	if (status)
		text_printf(line, " http=%d", status);
	else
		text_puts(line, " http=-");
	if (!reply->is_spoilt && status && reply->answer.has_code)
		text_printf(line, " code=%d", reply->answer.code);
	else
		text_puts(line, " code=-");
	put_field(line, " pixel=", call->pixel);
	put_field(line, " kind=", kinds[call->kind]);
	put_field(line, " event=", call->event);
	put_field(line, " event_id=", call->event_id);
	put_field(line, " token=", call->request->token);
	put_field(line, " fault=", fault ? fault->row->name : NULL);
	world_note(call->world, line->at);
}

static void remember(struct world *w, const struct request *request)
{
	w->totals.requests++;
	text_clear(&w->last_head);
	text_add(&w->last_head, request->head, request->head_len);
	text_clear(&w->last_body);
	text_add(&w->last_body, request->body, request->body_len);
}

static void make_request_id(struct world *w, char ret[REQUEST_ID_MAX])
{
	memcpy(ret, http_now()->digits, 14);
	world_hex(w, ret + 14, 20);
}

/* An answer by return code takes the ordinary way; everything else is sent by fault.c. */
static void spoil(struct call *call, const struct fault_rule *fault)
{
	if (fault->row->code < 0) {
		call->reply->is_spoilt = true;
		call->reply->fault = *fault;
		return;
	}
	call_fail_code(call, fault->code);
	if (fault->row->status != 200)
		call->reply->answer.status = fault->row->status;
}

void api_handle(struct world *w, const struct request *request, uint64_t connection, struct reply *ret)
{
	struct call call = { .world = w, .request = request, .reply = ret, .route = route_of(request->path) };
	struct fault_rule fault;
	bool has_fault;

	make_request_id(w, ret->request_id);
	if (call.route && call.route->needs == NEEDS_EVENTS)
		call.kind = CALL_DRY;
	call_read(&call);
	world_lock(w);
	remember(w, request);
	has_fault = world_take_fault(w, request->path, call.pixel, &fault);
	if (!has_fault || fault.works)
		run(&call);
	if (has_fault)
		spoil(&call, &fault);
	count(&call);
	note(&call, connection, has_fault ? &fault : NULL);
	ret->delay_ms = w->knobs[KNOB_DELAY_MS].number;
	world_unlock(w);
	call_done(&call);
}

void reply_done(struct reply *r)
{
	text_free(&r->answer.body);
}
