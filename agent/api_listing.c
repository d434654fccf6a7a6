/* Listing tokens over the socket: put, shown, removed. Who may see or change one must have the right to every Pixel, as
 * nobody knows which ones it lists. */
#include "agent/api_own.h"

#include "agent/objects.h"
#include "agent/status.h"
#include "agent/text.h"
#include "core/clock.h"
#include "vault/codec.h"

#define RECORDS "application/x-pixelvault-records"
#define RECORDS_MAGIC "PVREC\0\0\1"
#define RECORDS_END 0xffffffffu
#define ANSWER_MAX ((size_t)64 << 20)

void api_serve_listings(struct api *api, struct call *call)
{
	struct errand *e = api_errand(api, call, ERRAND_LISTINGS);
	if (e)
		api_send(api, call, e);
}

void api_serve_listing_put(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_LIST_PUT);
	if (!e)
		return;
	e->secret = take(call->body);
	if (api_no_check(call, &e->no_check, &err) && (e->secret || secret_new(0, &e->secret, &err))) {
		api_send(api, call, e);
		return;
	}
	errand_free(e);
	call_answer_problem(call, 0, &err);
}

void api_serve_listing_delete(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_LIST_REMOVE);
	if (!e)
		return;
	if (api_flag(call, "destroy", &e->is_forced, &err)) {
		api_send(api, call, e);
		return;
	}
	errand_free(e);
	call_answer_problem(call, 0, &err);
}

/* ---- what the worker told of all of them ---- */

void api_take_lists(struct api *api, struct buf *records)
{
	buf_done(&api->lists);
	api->lists = *records;
	*records = (struct buf){ .max = 0 };
}

static bool take_counted(struct bytes *from, struct bytes *ret)
{
	uint32_t len;
	return bytes_take_u32(from, &len) && bytes_take(from, len, ret);
}

bool api_next_list(struct bytes *from, struct credential *c, struct health *h)
{
	struct bytes credential, health;
	while (take_counted(from, &credential) && take_counted(from, &health))
		if (credential_decode(credential, c) && health_decode(health, h))
			return true;
	return false;
}

/* ---- answers ---- */

static void answer_put(struct call *call, const struct list_result *r)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	struct error err;
	bool is_refused = verdict_is_bad(r->verdict);
	int status = r->stage == STAGE_PENDING ? 202 : 200;
	api_json_begin(&j);
	if (is_refused) {
		(void)!list_refusal(r, &err);
		status = call_status_of(err.code);
		call_problem_json(&j, status, &err);
	}
	list_put_json(&j, r);
	if (!is_refused)
		json_int(&j, "exit", r->exit);
	api_json_end(&j);
	call_answer_buf(call, status, is_refused ? "application/problem+json" : API_JSON, &out);
}

static void answer_removed(struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	api_json_begin(&j);
	json_text(&j, "listing", e->pixel);
	json_text(&j, "state", e->is_forced ? "destroyed" : "removed");
	json_bool(&j, "unchanged", e->was_nothing);
	api_json_end(&j);
	call_answer_buf(call, 200, API_JSON, &out);
}

static void add_object(const struct api *api, struct json *j, const struct credential *c, const struct health *h,
		       int64_t now)
{
	struct status_row row;
	status_of(c, h, api->setup.settings, now, &row);
	status_list_json(j, &row);
}

static void answer_all(struct api *api, struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(ANSWER_MAX);
	struct json j = JSON_INIT(&out);
	struct bytes from = buf_bytes(&e->records), credential, health;
	bool is_records = api_prefers(call, RECORDS, API_JSON);
	int64_t now = api->setup.clock(api->setup.worker);
	char text[CLOCK_TEXT_MAX];
	struct credential c;
	struct health h;
	if (is_records) {
		buf_append(&out, RECORDS_MAGIC, 8);
	} else {
		api_json_begin(&j);
		json_array(&j, "listings");
	}
	while (take_counted(&from, &credential) && take_counted(&from, &health)) {
		if (!credential_decode(credential, &c) || !health_decode(health, &h) ||
		    !api_may(api, call->peer, ACCESS_META, c.pixel))
			continue;
		if (is_records)
			buf_append(&out, credential.at - 4, credential.len + health.len + 8);
		else
			add_object(api, &j, &c, &h, now);
	}
	if (is_records) {
		buf_append_uint(&out, 4, RECORDS_END);
	} else {
		json_end_array(&j);
		api_json_end(&j);
	}
	call_header(call, "X-Judged-At", "%s", clock_format(now, text));
	call_answer_buf(call, 200, is_records ? RECORDS : API_JSON, &out);
}

void api_listing_finish(struct api *api, struct call *call, struct errand *e)
{
	if (e->kind == ERRAND_LIST_PUT)
		answer_put(call, &e->list);
	else if (e->kind == ERRAND_LIST_REMOVE)
		answer_removed(call, e);
	else
		answer_all(api, call, e);
}
