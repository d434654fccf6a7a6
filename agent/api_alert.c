/* Alerts on the socket: what stands open, somebody who sees to one, a try of a sink. */
#include "agent/api_own.h"

#include "agent/text.h"

#define NODES 16
#define SPAN_MAX_S (10LL * 366 * 86400) /* as settings and options have it */

void api_serve_alerts(struct api *api, struct call *call)
{
	struct errand *e = api_errand(api, call, ERRAND_ALERTS);
	if (e)
		api_send(api, call, e);
}

static void send_or_refuse(struct api *api, struct call *call, struct errand *e, bool is_fine, const struct error *err)
{
	if (is_fine) {
		api_send(api, call, e);
		return;
	}
	errand_free(e);
	call_answer_problem(call, 0, err);
}

static bool take_name(const struct call *call, const char *members, const char *key, struct errand *e,
		      struct bytes *ret_body, struct error *err)
{
	struct bytes raw;
	if (!api_body(call, members, NODES, ret_body, err))
		return false;
	if (!json_find_raw(*ret_body, key, &raw) || !json_as_text(raw, e->name, sizeof e->name) || !e->name[0])
		return fail(err, ERR_USAGE, TXT_API_ALERT, key);
	return true;
}

static bool take_ack(const struct call *call, struct errand *e, struct error *err)
{
	struct bytes body, raw;
	if (!take_name(call, "id for", "id", e, &body, err))
		return false;
	if (json_find_raw(body, "for", &raw) && !bytes_equal(raw, bytes_of_text("null")) &&
	    !api_member_number(body, "for", 1, SPAN_MAX_S, &e->span_s))
		return fail(err, ERR_USAGE, TXT_API_ALERT_FOR);
	return true;
}

void api_serve_alert_ack(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_ALERT_ACK);
	if (e)
		send_or_refuse(api, call, e, take_ack(call, e, &err), &err);
}

void api_serve_alert_test(struct api *api, struct call *call)
{
	struct error err;
	struct bytes body;
	struct errand *e = api_errand(api, call, ERRAND_ALERT_TEST);
	if (e)
		send_or_refuse(api, call, e, take_name(call, "sink", "sink", e, &body, &err), &err);
}

void api_alert_finish(struct call *call, struct errand *e)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	if (e->kind == ERRAND_ALERTS) {
		call_answer_buf(call, 200, API_JSON, &e->text);
		return;
	}
	api_json_begin(&j);
	if (e->kind == ERRAND_ALERT_ACK)
		alert_ack_json(&j, e->name, e->span_s);
	else
		alert_test_json(&j, e->name, &e->delivery);
	api_json_end(&j);
	call_answer_buf(call, 200, API_JSON, &out);
}

void api_take_alert_metrics(struct api *api, struct buf *lines)
{
	buf_done(&api->alert_metrics);
	api->alert_metrics = *lines;
	*lines = (struct buf){ .max = 0 };
}
