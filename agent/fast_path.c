#include "agent/fast_path.h"

#include "core/secret.h"
#include "core/wipe.h"

#include <string.h>
#include <strings.h>

#define TARGET_BEGINS "/v1/pixels/"
#define TARGET_ENDS "/token"
#define REQUEST_BEGINS "GET " TARGET_BEGINS
#define REQUEST_ENDS TARGET_ENDS " HTTP/1.1"

/* ---- requests ---- */

static bool is_code(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((at[i] >= 'A' && at[i] <= 'Z') || (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= '0' && at[i] <= '9')))
			return false;
	return len > 0;
}

static bool take_request_line(struct fast_head *h, char *line, size_t len)
{
	const size_t begins = sizeof REQUEST_BEGINS - 1, ends = sizeof REQUEST_ENDS - 1;
	if (len <= begins + ends || memcmp(line + len - ends, REQUEST_ENDS, ends) != 0 ||
	    !is_code(line + begins, len - begins - ends))
		return false;
	line[len - (sizeof " HTTP/1.1" - 1)] = '\0';
	h->target = line + sizeof "GET" /* and its blank */;
	return true;
}

/* Those that say nothing about how this request is to be understood. */
static bool is_harmless(const char *name, size_t len)
{
	static const struct {
		const char *name;
		size_t len;
	} known[] = {
		{ "Host", 4 },           { "X-Consumer", 10 },      { "User-Agent", 10 },      { "Accept", 6 },
		{ "If-None-Match", 13 }, { "Accept-Encoding", 15 }, { "Accept-Language", 15 },
	};
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (known[i].len == len && strncasecmp(name, known[i].name, len) == 0)
			return true;
	return false;
}

static bool is_about_the_connection(struct fast_head *h, const char *name, size_t len, const char *value)
{
	if (len != sizeof "Connection" - 1 || strncasecmp(name, "Connection", len) != 0)
		return false;
	h->is_last = strcasecmp(value, "close") == 0;
	return h->is_last || strcasecmp(value, "keep-alive") == 0;
}

/* Ends the value with a NUL. */
static bool take_value(char *value, size_t len)
{
	if (!len || value[0] == ' ' || value[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~')
			return false;
	value[len] = '\0';
	return true;
}

static bool take_header(struct fast_head *h, char *line, size_t len)
{
	char *colon = memchr(line, ':', len);
	size_t name_len = colon ? (size_t)(colon - line) : 0;
	if (!name_len || h->header_count == FAST_HEADERS_MAX)
		return false;
	char *value = colon + 1;
	value += value < line + len && *value == ' ';
	if (!take_value(value, (size_t)(line + len - value)) ||
	    (!is_harmless(line, name_len) && !is_about_the_connection(h, line, name_len, value)))
		return false;
	*colon = '\0';
	if (fast_head_find(h, line))
		return false;
	h->headers[h->header_count].name = line;
	h->headers[h->header_count++].value = value;
	return true;
}

static bool take_lines(struct fast_head *h, size_t len)
{
	char *line = h->text, *end = h->text + len;
	h->header_count = 0;
	h->is_last = false;
	h->target = NULL;
	while (line < end) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline || newline == line || newline[-1] != '\r')
			return false;
		size_t line_len = (size_t)(newline - 1 - line);
		if (!line_len) /* the head's end: and the request's? */
			return newline + 1 == end && h->target && fast_head_find(h, "Host");
		if (h->target ? !take_header(h, line, line_len) : !take_request_line(h, line, line_len))
			return false;
		line = newline + 1;
	}
	return false;
}

bool fast_head_parse(struct fast_head *h, struct bytes request)
{
	const size_t begins = sizeof REQUEST_BEGINS - 1;
	if (request.len <= begins || request.len > sizeof h->text || memcmp(request.at, REQUEST_BEGINS, begins) != 0)
		return false;
	memcpy(h->text, request.at, request.len);
	if (take_lines(h, request.len))
		return true;
	wipe(h->text, request.len); /* behind a GET a put may lie, with its token */
	return false;
}

const char *fast_head_find(const struct fast_head *h, const char *name)
{
	for (size_t i = 0; i < h->header_count; i++)
		if (strcasecmp(h->headers[i].name, name) == 0)
			return h->headers[i].value;
	return NULL;
}

/* ---- answers ---- */

struct writer {
	uint8_t *at, *end;
	bool is_full;
};

static void put(struct writer *w, const void *at, size_t len)
{
	w->is_full = w->is_full || (size_t)(w->end - w->at) < len;
	if (w->is_full || !len)
		return;
	memcpy(w->at, at, len);
	w->at += len;
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void put_number(struct writer *w, size_t number)
{
	char digits[20];
	put(w, digits, (size_t)(text_number(digits, number) - digits));
}

static void put_header(struct writer *w, const char *name, const char *value)
{
	put_text(w, name);
	put(w, ": ", 2);
	put_text(w, value);
	put(w, "\r\n", 2);
}

static struct bytes body_of(const struct call *call)
{
	switch (call->kind) {
	case ANSWER_SECRET:
		return secret_reveal(call->secret); /* into the locked room it is sent from */
	case ANSWER_BUF:
		return buf_bytes(&call->buf);
	case ANSWER_EMPTY:
	case ANSWER_STREAM:
		break;
	}
	return bytes_of(NULL, 0);
}

size_t fast_answer(const struct call *call, bool is_last, const char *reason, uint8_t *room, size_t size)
{
	struct writer w = { .at = room, .end = room + size, .is_full = call->kind == ANSWER_STREAM };
	struct bytes body = body_of(call);
	put_text(&w, "HTTP/1.1 ");
	put_number(&w, (size_t)call->status);
	put(&w, " ", 1);
	put_text(&w, reason);
	put_text(&w, is_last ? "\r\nConnection: close" : "");
	put_text(&w, "\r\nCache-Control: no-store\r\n");
	if (call->type)
		put_header(&w, "Content-Type", call->type);
	for (size_t i = 0; i < call->header_count; i++)
		put_header(&w, call->headers[i].name, call->headers[i].value);
	put_text(&w, "Content-Length: ");
	put_number(&w, body.len);
	put(&w, "\r\n\r\n", 4);
	put(&w, body.at, body.len);
	return w.is_full ? 0 : (size_t)(w.at - room);
}
