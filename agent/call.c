#include "agent/call.h"

#include "agent/text.h"
#include "core/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum call_method call_method_of(const char *text)
{
	static const char *const names[] = { [METHOD_GET] = "GET",
					     [METHOD_HEAD] = "HEAD",
					     [METHOD_PUT] = "PUT",
					     [METHOD_POST] = "POST",
					     [METHOD_DELETE] = "DELETE" };
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum call_method)i;
	return METHOD_OTHER;
}

static void free_answer(struct call *call)
{
	secret_freep(&call->secret);
	buf_done(&call->buf);
	if (call->stream.free)
		call->stream.free(call->stream.context);
	call->stream = (struct call_stream){ .fill = NULL };
}

void call_reset(struct call *call)
{
	secret_freep(&call->body);
	free_answer(call);
	if (call->target != call->target_room)
		free(call->target);
	if (call->params != call->param_room)
		free(call->params);
	call->target = NULL;
	call->params = NULL;
	call->segment_count = call->param_count = call->header_count = call->value_used = 0;
	call->status = 0;
	call->type = NULL;
	call->kind = ANSWER_EMPTY;
	call->is_answered = false;
	call->route = NULL;
	call->tally = NULL;
	call->keeper = NULL;
	call->gone = NULL;
}

/* ---- the target ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False for a bad escape and for a NUL, which would end the text early. */
static bool decode(char *text, bool plus_is_blank)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from == '+' && plus_is_blank ? ' ' : *from;
			continue;
		}
		int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || (high | low) == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	return true;
}

/* Cuts at the first `mark` and returns what is behind it; NULL when there is none. */
static char *cut(char *text, char mark)
{
	char *at = strchr(text, mark);
	if (at)
		*at++ = '\0';
	return at;
}

static bool take_path(struct call *call, char *path)
{
	if (*path++ != '/')
		return false;
	while (path) {
		char *next = cut(path, '/');
		if (call->segment_count == CALL_SEGMENTS_MAX || !decode(path, false))
			return false;
		call->segments[call->segment_count++] = path;
		path = next;
	}
	return true;
}

static bool make_room_for_params(struct call *call, const char *query)
{
	size_t count = 1;
	for (const char *at = query; (at = strchr(at, '&')); at++)
		count++;
	call->params = count > CALL_PARAMS_FEW ? calloc(count, sizeof *call->params) : call->param_room;
	return call->params != NULL;
}

static bool take_query(struct call *call, char *query, struct error *err)
{
	if (!make_room_for_params(call, query))
		return fail_no_memory(err);
	while (query) {
		char *next = cut(query, '&'), *value = cut(query, '=');
		if (!decode(query, true) || (value && !decode(value, true)))
			return fail(err, ERR_USAGE, TXT_API_TARGET);
		if (*query || value)
			call->params[call->param_count++] = (struct call_param){ query, value ? value : "" };
		query = next;
	}
	return true;
}

bool call_parse_target(struct call *call, const char *target, struct error *err)
{
	size_t len = strlen(target);
	if (len > CALL_TARGET_MAX)
		return fail(err, ERR_USAGE, TXT_API_TARGET);
	call->target = len < sizeof call->target_room ? call->target_room : malloc(len + 1);
	if (!call->target)
		return fail_no_memory(err);
	memcpy(call->target, target, len + 1);
	char *query = cut(call->target, '?');
	if (!take_path(call, call->target))
		return fail(err, ERR_USAGE, TXT_API_TARGET);
	return !query || take_query(call, query, err);
}

const char *call_param(const struct call *call, const char *name)
{
	for (size_t i = 0; i < call->param_count; i++)
		if (strcmp(call->params[i].name, name) == 0)
			return call->params[i].value;
	return NULL;
}

size_t call_param_count(const struct call *call, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < call->param_count; i++)
		count += strcmp(call->params[i].name, name) == 0;
	return count;
}

/* ---- the answer ---- */

void call_header(struct call *call, const char *name, const char *format, ...)
{
	va_list args;
	size_t room = sizeof call->value_room - call->value_used;
	char *value = call->value_room + call->value_used;
	va_start(args, format);
	int len = vsnprintf(value, room, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= room || call->header_count == CALL_HEADERS_MAX)
		return;
	call->headers[call->header_count].name = name;
	call->headers[call->header_count++].value = value;
	call->value_used += (size_t)len + 1;
}

void call_header_copy(struct call *call, const char *name, const char *value)
{
	size_t len = strlen(value);
	char *copy = call->value_room + call->value_used;
	if (len >= sizeof call->value_room - call->value_used)
		return;
	memcpy(copy, value, len + 1);
	call->value_used += len + 1;
	call_header_text(call, name, copy);
}

void call_header_text(struct call *call, const char *name, const char *value)
{
	if (call->header_count == CALL_HEADERS_MAX)
		return;
	call->headers[call->header_count].name = name;
	call->headers[call->header_count++].value = value;
}

static void answer(struct call *call, int status, const char *type, enum call_answer_kind kind)
{
	call->status = status;
	call->type = type;
	call->kind = kind;
	call->is_answered = true;
	call->keeper = NULL;
	call->gone = NULL;
	if (call->tally)
		call->tally(call);
	call->deliver(call);
}

void call_answer(struct call *call, int status)
{
	answer(call, status, NULL, ANSWER_EMPTY);
}

void call_answer_secret(struct call *call, int status, const char *type, struct secret *body)
{
	call->secret = body;
	answer(call, status, type, ANSWER_SECRET);
}

void call_answer_buf(struct call *call, int status, const char *type, struct buf *body)
{
	struct error err;
	if (!buf_ok(body, &err)) {
		buf_done(body);
		call_answer_problem(call, 0, &err);
		return;
	}
	call->buf = *body;
	*body = (struct buf)BUF_INIT(body->max);
	answer(call, status, type, ANSWER_BUF);
}

void call_answer_stream(struct call *call, int status, const char *type, const struct call_stream *stream)
{
	call->stream = *stream;
	answer(call, status, type, ANSWER_STREAM);
}

int call_status_of(enum error_code code)
{
	static const int statuses[ERR_COUNT] = {
		[ERR_USAGE] = 400,      [ERR_CONFIG] = 400,  [ERR_MALFORMED] = 400,   [ERR_DENIED] = 403,
		[ERR_NOT_FOUND] = 404,  [ERR_CONFLICT] = 409, [ERR_EXPIRED] = 422,    [ERR_MISMATCHED] = 422,
		[ERR_UNREACHABLE] = 502, [ERR_UNCLEAR] = 502, [ERR_LOCKED] = 503,
	};
	int status = (unsigned)code < ERR_COUNT ? statuses[code] : 0;
	return status ? status : 500;
}

void call_problem_json(struct json *j, int status, const struct error *err)
{
	json_text(j, "type", error_name(err->code));
	json_text(j, "title", error_meaning(err->code));
	json_int(j, "status", status);
	json_text(j, "detail", err->message);
	json_text(j, "hint", err->hint[0] ? err->hint : NULL);
	json_int(j, "exit", err->code);
	if (err->class)
		json_text(j, "class", err->class);
}

void call_answer_problem(struct call *call, int status, const struct error *err)
{
	struct buf out = BUF_INIT(8192);
	struct json j = JSON_INIT(&out);
	if (!status)
		status = call_status_of(err->code);
	json_object(&j, NULL);
	call_problem_json(&j, status, err);
	json_end_object(&j);
	buf_append_text(&out, "\n");
	if (out.is_bad) { /* no memory even for that */
		buf_done(&out);
		call_answer(call, status);
		return;
	}
	call_answer_buf(call, status, "application/problem+json", &out);
}

void call_keep(struct call *call, void *keeper, void (*gone)(void *keeper))
{
	call->keeper = keeper;
	call->gone = gone;
}
