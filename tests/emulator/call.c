#include "tests/emulator/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/code.h"

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		char hex[3] = { 0 };

		if (*s == '%' && strspn(s + 1, "0123456789abcdefABCDEF") >= 2) {
			memcpy(hex, s + 1, 2);
			*to++ = (char)strtoul(hex, NULL, 16);
			s += 2;
		} else {
			*to++ = (char)(*s == '+' ? ' ' : *s);
		}
	}
	*to = '\0';
}

static void read_query(struct call *call, const char *from, size_t len)
{
	char *at, *next;

	text_add(&call->query_text, from, len);
	for (at = call->query_text.at; at && *at && call->query_count < QUERY_MAX; at = next) {
		char *value;

		next = strchr(at, '&');
		if (next)
			*next++ = '\0';
		value = strchr(at, '=');
		if (value)
			*value++ = '\0';
		unescape(at);
		if (value)
			unescape(value);
		call->query[call->query_count].name = at;
		call->query[call->query_count++].value = value ? value : "";
	}
}

static const char *string_of(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* What the log and the counters want to know about an event/track body. */
static void read_events(struct call *call)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(call->body, "data"), *first;
	const char *test = string_of(call->body, "test_event_code");

	call->pixel = string_of(call->body, "event_source_id");
	call->kind = CALL_DRY;
	if (!cJSON_IsArray(data) || !data->child)
		return;
	first = data->child;
	call->kind = test && *test ? CALL_TEST : CALL_LIVE;
	call->event = string_of(first, "event");
	call->event_id = string_of(first, "event_id");
	call->event_count = (size_t)cJSON_GetArraySize(data);
}

void call_read(struct call *call)
{
	if (*call->request->query)
		read_query(call, call->request->query, strlen(call->request->query));
	if (call->route && call->route->takes_form && call->request->body_len && !*call->request->query)
		read_query(call, call->request->body, call->request->body_len);
	else if (call->request->body_len)
		call->body = cJSON_ParseWithLength(call->request->body, call->request->body_len);
	if (call->route && call->route->needs == NEEDS_EVENTS) {
		read_events(call);
		return;
	}
	call->pixel = call_query(call, "pixel_code");
	if (!call->pixel)
		call->pixel = call_query(call, "code");
}

void call_done(struct call *call)
{
	cJSON_Delete(call->body);
	text_free(&call->query_text);
}

const char *call_query(const struct call *call, const char *name)
{
	for (size_t i = 0; i < call->query_count; i++)
		if (!strcmp(call->query[i].name, name))
			return call->query[i].value;
	return NULL;
}

const char *call_string(const struct call *call, const char *name)
{
	return string_of(call->body, name);
}

static void envelope(struct call *call, int code, const char *message, const char *data)
{
	const struct knob *knobs = call->world->knobs;
	struct answer *a = &call->reply->answer;

	a->status = code ? (int)knobs[KNOB_ERROR_STATUS].number : 200;
	a->type = "application/json";
	a->has_code = true;
	a->code = code;
	text_clear(&a->body);
	text_printf(&a->body, "{\"code\":%d,\"message\":", code);
	text_json(&a->body, message);
	if (knobs[KNOB_REQUEST_ID].choice == REQUEST_ID_ON)
		text_printf(&a->body, ",\"request_id\":\"%s\"", call->reply->request_id);
	if (data || knobs[KNOB_DATA].choice != DATA_ABSENT) {
		text_puts(&a->body, ",\"data\":");
		text_puts(&a->body, data ? data : knobs[KNOB_DATA].choice == DATA_NULL ? "null" : "{}");
	}
	text_puts(&a->body, "}");
}

void call_succeed(struct call *call, const char *data)
{
	envelope(call, 0, "OK", data);
}

void call_fail(struct call *call, int code, const char *format, ...)
{
	char message[2000];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof message, format, args);
	va_end(args);
	envelope(call, code, message, NULL);
}

void call_fail_code(struct call *call, int code)
{
	const struct pixel *p = call->pixel ? world_find_pixel(call->world, call->pixel) : NULL;
	const char *pairs[] = { "pixel", call->pixel ? call->pixel : "", "advertiser", p ? p->advertiser : "7000000000000000001", NULL };
	scoped(text_free) struct text message = { 0 };

	text_expand(&message, code_text(code), pairs);
	envelope(call, code, message.at, NULL);
}

void call_plain(struct call *call, int status, const char *type, const char *body)
{
	struct answer *a = &call->reply->answer;

	a->status = status;
	a->type = type;
	a->has_code = false;
	text_clear(&a->body);
	text_puts(&a->body, body);
}
