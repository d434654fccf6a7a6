/* What is only looked at: the plan, and whose token somebody has found. The worker collects it; what the caller may not
 * see is left out here. */
#include "agent/api_own.h"

#include "agent/objects.h"
#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 4096u
#define PIECE_ROWS 64u

/* ---- plan ---- */

static bool take_plan_span(const struct call *call, int64_t *ret, struct error *err)
{
	const char *text = call_param(call, "for");
	uint32_t seconds = FORECAST_SPAN_S;
	if (text && (!api_number(text, &seconds) || !seconds || seconds > FORECAST_SPAN_MAX_S))
		return fail(err, ERR_USAGE, TXT_API_PLAN_SPAN);
	*ret = seconds;
	return true;
}

static bool take_plan_pixels(const struct call *call, struct errand *e, struct error *err)
{
	e->pixels = calloc(call_param_count(call, "pixel") + 1, sizeof *e->pixels);
	if (!e->pixels)
		return fail_no_memory(err);
	for (size_t i = 0; i < call->param_count; i++)
		if (strcmp(call->params[i].name, "pixel") == 0)
			snprintf(e->pixels[e->pixel_count++], sizeof *e->pixels, "%s", call->params[i].value);
	return true;
}

void api_serve_plan(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_PLAN);
	if (!e)
		return;
	if (take_plan_span(call, &e->span_s, &err) && take_plan_pixels(call, e, &err) &&
	    api_labels(call, e->labels, LABELS_MAX, &e->label_count, &err)) {
		api_send(api, call, e);
		return;
	}
	errand_free(e);
	call_answer_problem(call, 0, &err);
}

struct telling {
	const struct api *api;
	const struct peer *peer;
	struct forecast forecast;
	struct forecast_sums sums;
	struct json json;
	size_t next;
	bool has_begun;
};

static void telling_free(void *context)
{
	struct telling *t = context;
	forecast_done(&t->forecast);
	free(t);
}

static enum stream_step tell_plan(void *context, struct buf *out)
{
	struct telling *t = context;
	t->json.out = out;
	if (!t->has_begun)
		forecast_json_begin(&t->json, &t->forecast);
	t->has_begun = true;
	for (unsigned i = 0; i < PIECE_ROWS && out->len < PIECE_BYTES; i++) {
		if (t->next == forecast_count(&t->forecast)) {
			forecast_json_end(&t->json, &t->forecast, &t->sums);
			return STREAM_END;
		}
		const struct forecast_row *row = forecast_at(&t->forecast, t->next++);
		if (api_may(t->api, t->peer, ACCESS_META, row->pixel))
			forecast_json_add(&t->json, &t->forecast, row, &t->sums);
	}
	return STREAM_MORE;
}

void api_look_finish_plan(struct api *api, struct call *call, struct errand *e)
{
	struct error err;
	struct telling *t = calloc(1, sizeof *t);
	if (!t) {
		(void)!fail_no_memory(&err);
		call_answer_problem(call, 0, &err);
		return;
	}
	t->api = api;
	t->peer = call->peer;
	t->forecast = e->forecast; /* the rows are ours from here on */
	e->forecast = (struct forecast)FORECAST_INIT;
	struct call_stream stream = { .fill = tell_plan, .free = telling_free, .context = t };
	call_answer_stream(call, 200, API_JSON, &stream);
}

/* ---- match ---- */

void api_serve_match(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_MATCH);
	if (!e)
		return;
	e->secret = take(call->body);
	if (e->secret || secret_new(0, &e->secret, &err)) {
		api_send(api, call, e);
		return;
	}
	errand_free(e);
	call_answer_problem(call, 0, &err);
}

void api_look_finish_match(const struct api *api, struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(MATCHES_BYTES_MAX), seen = BUF_INIT(MATCHES_BYTES_MAX);
	struct json j = JSON_INIT(&out);
	struct error err;
	for (size_t at = 0; at < e->marks.len; at += sizeof(struct match)) {
		const char *pixel = (const char *)e->marks.at + at + offsetof(struct match, pixel);
		if (api_may(api, call->peer, ACCESS_META, pixel))
			buf_append(&seen, e->marks.at + at, sizeof(struct match));
	}
	if (!buf_ok(&seen, &err) || !seen.len) {
		if (!seen.is_bad)
			(void)!fail(&err, ERR_NOT_FOUND, TXT_MATCH_NONE);
		buf_done(&seen);
		call_answer_problem(call, 0, &err);
		return;
	}
	matches_json(&j, buf_bytes(&seen));
	buf_done(&seen);
	call_answer_buf(call, 200, API_JSON, &out);
}
