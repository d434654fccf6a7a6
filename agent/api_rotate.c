/* POST /v1/rotate: who shall get a new token. Pixels that are named are refused one by one, as everywhere; of what is
 * selected by label or age only those are meant that the caller may put. So a selection is an errand of its own, and
 * comes back here before anything is changed. */
#include "agent/api_own.h"

#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>

#define MANY_NODES 4096
#define SPAN_MAX_S (10LL * 366 * 86400) /* as settings and options have it */
#define ANSWER_MAX ((size_t)64 << 20)

typedef bool take_fn(struct errand *e, const char *text, struct error *err);

/* The length of the text at the front of a checked document, with its quotes; 0: there is none. */
static size_t text_length(struct bytes from)
{
	size_t len = 1;
	if (!from.len || from.at[0] != '"')
		return 0;
	while (len < from.len && from.at[len] != '"')
		len += from.at[len] == '\\' ? 2 : 1;
	return len + 1 <= from.len ? len + 1 : 0;
}

/* Each text of an array of texts, of a checked document. */
static bool each_text(struct bytes raw, take_fn *fn, struct errand *e, struct error *err)
{
	char text[LABEL_KEY_MAX + LABEL_VALUE_MAX + 4];
	if (!raw.len || raw.at[0] != '[')
		return fail(err, ERR_USAGE, TXT_API_ROTATE);
	for (size_t at = 1; at < raw.len;) {
		struct bytes rest = bytes_of(raw.at + at, raw.len - at);
		size_t len = text_length(rest);
		if (!len && !memchr(" \t\r\n,]", rest.at[0], 6))
			return fail(err, ERR_USAGE, TXT_API_ROTATE);
		if (len && !json_as_text(bytes_of(rest.at, len), text, sizeof text))
			return fail(err, ERR_USAGE, TXT_API_ROTATE);
		if (len && !fn(e, text, err))
			return false;
		at += len ? len : 1;
	}
	return true;
}

static bool take_pixel(struct errand *e, const char *text, struct error *err)
{
	if (!pixel_check(text, err))
		return false;
	snprintf(e->pixels[e->pixel_count++], sizeof *e->pixels, "%s", text);
	return true;
}

static bool take_label(struct errand *e, const char *text, struct error *err)
{
	if (e->label_count == LABELS_MAX)
		return fail(err, ERR_USAGE, TXT_API_LABELS, (size_t)LABELS_MAX);
	return label_parse(text, &e->labels[e->label_count++], err);
}

static bool is_null(struct bytes raw)
{
	return bytes_equal(raw, bytes_of_text("null"));
}

static bool take_body(const struct call *call, struct errand *e, struct error *err)
{
	struct bytes body, raw;
	if (!api_body(call, "pixels labels max_age cancel", MANY_NODES, &body, err))
		return false;
	/* A code is at least as long as its quotes and a comma. */
	e->pixels = calloc(body.len / PIXEL_CODE_MIN + 1, sizeof *e->pixels);
	if (!e->pixels)
		return fail_no_memory(err);
	if (json_find_raw(body, "pixels", &raw) && !is_null(raw) && !each_text(raw, take_pixel, e, err))
		return false;
	if (json_find_raw(body, "labels", &raw) && !is_null(raw) && !each_text(raw, take_label, e, err))
		return false;
	if (json_find_raw(body, "max_age", &raw) && !is_null(raw) &&
	    !api_member_number(body, "max_age", 1, SPAN_MAX_S, &e->span_s))
		return fail(err, ERR_USAGE, TXT_API_ROTATE);
	if (json_find_raw(body, "cancel", &raw) && !is_null(raw) && !json_as_bool(raw, &e->is_cancel))
		return fail(err, ERR_USAGE, TXT_API_ROTATE);
	return true;
}

void api_serve_rotate(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_ROTATE);
	if (!e)
		return;
	if (!take_body(call, e, &err)) {
		errand_free(e);
		call_answer_problem(call, 0, &err);
		return;
	}
	for (size_t i = 0; i < e->pixel_count; i++)
		if (!api_may(api, call->peer, ACCESS_PUT, e->pixels[i])) {
			api_deny(api, call, e->pixels[i]);
			errand_free(e);
			return;
		}
	bool is_selection = !e->pixel_count && (e->label_count || e->span_s || e->is_cancel);
	if (is_selection)
		e->kind = ERRAND_SELECT;
	api_send(api, call, e);
}

/* Those of the selection that the caller may put, asked for by name. */
static void ask_for(struct api *api, struct call *call, const struct errand *selected)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_ROTATE);
	if (!e)
		return;
	e->pixels = calloc(selected->pixel_count + 1, sizeof *e->pixels);
	if (!e->pixels) {
		(void)!fail_no_memory(&err);
		errand_free(e);
		call_answer_problem(call, 0, &err);
		return;
	}
	for (size_t i = 0; i < selected->pixel_count; i++)
		if (api_may(api, call->peer, ACCESS_PUT, selected->pixels[i]))
			memcpy(e->pixels[e->pixel_count++], selected->pixels[i], sizeof *e->pixels);
	e->is_cancel = selected->is_cancel;
	if (e->pixel_count) {
		api_send(api, call, e);
		return;
	}
	api_rotate_finish(api, call, e);
	errand_free(e);
}

void api_rotate_finish(struct api *api, struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(ANSWER_MAX);
	struct json j = JSON_INIT(&out);
	if (e->kind == ERRAND_SELECT) {
		ask_for(api, call, e);
		return;
	}
	api_json_begin(&j);
	json_bool(&j, "cancel", e->is_cancel);
	json_int(&j, "changed", e->number);
	json_array(&j, "pixels");
	for (size_t i = 0; i < e->pixel_count; i++)
		json_text(&j, NULL, e->pixels[i]);
	json_end_array(&j);
	api_json_end(&j);
	call_answer_buf(call, 200, API_JSON, &out);
}
