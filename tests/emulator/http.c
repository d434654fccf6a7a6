#include "tests/emulator/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 64 * 1024, BODY_MAX = 16 * 1024 * 1024 };

struct framing {
	size_t length;
	bool is_chunked, expects;
};

/* More bytes into r->in; false when there are none. */
static bool more(struct http_reader *r)
{
	char buffer[16 * 1024];
	ssize_t got = stream_read(r->stream, buffer, sizeof buffer);

	r->is_dry = got == STREAM_LATER;
	if (got <= 0)
		return false;
	text_add(&r->in, buffer, (size_t)got);
	r->received += (size_t)got;
	return true;
}

/* A method starts with a capital; a TLS hello on the plain port does not, and must not be waited for. */
static bool starts_badly(const struct http_reader *r)
{
	return r->in.len && (*r->in.at < 'A' || *r->in.at > 'Z');
}

/* Length of the head at the start of r->in with its blank line; 0 = it never got complete. */
static size_t read_head(struct http_reader *r)
{
	size_t looked = 0;

	for (;;) {
		size_t from = looked > 3 ? looked - 3 : 0;
		const char *end = r->in.len > from ? memmem(r->in.at + from, r->in.len - from, "\r\n\r\n", 4) : NULL;

		if (end)
			return (size_t)(end - r->in.at) + 4;
		looked = r->in.len;
		if (r->in.len > HEAD_MAX || starts_badly(r) || !more(r))
			return 0;
	}
}

static char *trimmed(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		s[--len] = '\0';
	return s;
}

static bool read_header(char *line, struct request *ret, struct framing *framing)
{
	char *value = strchr(line, ':');

	if (!value || value == line)
		return false;
	*value = '\0';
	value = trimmed(value + 1);
	if (!strcasecmp(line, "access-token"))
		ret->token = ret->token ? ret->token : value;
	else if (!strcasecmp(line, "authorization"))
		ret->has_authorization = true;
	else if (!strcasecmp(line, "connection"))
		ret->keep_alive = ret->keep_alive && strcasecmp(value, "close");
	else if (!strcasecmp(line, "expect"))
		framing->expects = !strcasecmp(value, "100-continue");
	else if (!strcasecmp(line, "transfer-encoding"))
		framing->is_chunked = !strcasecmp(value, "chunked");
	else if (!strcasecmp(line, "content-length"))
		framing->length = strspn(value, "0123456789") == strlen(value) && strlen(value) < 10 ? strtoul(value, NULL, 10) : BODY_MAX + 1;
	return true;
}

static bool read_request_line(char *line, struct request *ret)
{
	char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL, *query;

	if (!version || (strcmp(version + 1, "HTTP/1.1") && strcmp(version + 1, "HTTP/1.0")))
		return false;
	*target = *version = '\0';
	ret->method = line;
	ret->path = target + 1;
	ret->keep_alive = version[8] == '1';
	ret->query = "";
	query = strchr(target + 1, '?');
	if (query) {
		*query = '\0';
		ret->query = query + 1;
	}
	return *target == '\0' && *ret->path == '/';
}

/* Cut a copy of the head into strings: the caller's pointers must survive the growth of r->in. */
static bool parse_head(struct http_reader *r, size_t head_len, struct request *ret, struct framing *framing)
{
	char *line, *end;
	bool is_first = true;

	text_clear(&r->words);
	text_add(&r->words, r->in.at, head_len);
	if (memchr(r->words.at, '\0', head_len))
		return false;
	for (line = r->words.at; (end = strstr(line, "\r\n")) && end != line; line = end + 2, is_first = false) {
		*end = '\0';
		if (is_first ? !read_request_line(line, ret) : !read_header(line, ret, framing))
			return false;
	}
	return !is_first;
}

/* Take the chunks that start at `at` together, in place; the body then starts at `at`. ret_used: raw bytes behind `at`. */
static bool read_chunks(struct http_reader *r, size_t at, size_t *ret_len, size_t *ret_used)
{
	size_t raw = at, len = 0;

	for (;;) {
		const char *end;
		size_t size;

		while (!(end = r->in.len > raw ? memmem(r->in.at + raw, r->in.len - raw, "\r\n", 2) : NULL))
			if (r->in.len - raw > 100 || !more(r))
				return false;
		size = strtoul(r->in.at + raw, NULL, 16);
		raw = (size_t)(end - r->in.at) + 2;
		if (size > BODY_MAX || len + size > BODY_MAX)
			return false;
		while (r->in.len < raw + size + 2)
			if (!more(r))
				return false;
		memmove(r->in.at + at + len, r->in.at + raw, size);
		len += size;
		raw += size + 2;
		if (!size)
			break;
	}
	*ret_len = len;
	*ret_used = raw - at;
	return true;
}

static bool read_body(struct http_reader *r, size_t at, const struct framing *framing, size_t *ret_len, size_t *ret_used)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (framing->length > BODY_MAX)
		return false;
	if (framing->expects && !stream_write(r->stream, go_on, sizeof go_on - 1))
		return false;
	if (framing->is_chunked)
		return read_chunks(r, at, ret_len, ret_used);
	while (r->in.len - at < framing->length)
		if (!more(r))
			return false;
	*ret_len = *ret_used = framing->length;
	return true;
}

enum http_read http_read(struct http_reader *r, struct request *ret)
{
	struct framing framing = { 0 };
	size_t head_len, body_used;

	*ret = (struct request){ 0 };
	if (r->used) {
		memmove(r->in.at, r->in.at + r->used, r->in.len - r->used);
		r->in.len -= r->used;
		r->used = 0;
	}
	r->is_dry = false;
	head_len = read_head(r);
	if (!head_len && r->is_dry)
		return r->in.len ? HTTP_PARTIAL : HTTP_LATER;
	if (!head_len)
		return r->in.len > HEAD_MAX || starts_badly(r) ? HTTP_NONSENSE : HTTP_END;
	if (!parse_head(r, head_len, ret, &framing))
		return HTTP_NONSENSE;
	if (r->stream->is_impatient && (framing.is_chunked || framing.expects))
		return HTTP_PARTIAL; /* these cannot be begun twice */
	if (!read_body(r, head_len, &framing, &ret->body_len, &body_used))
		return r->is_dry ? HTTP_PARTIAL : framing.length > BODY_MAX || framing.is_chunked ? HTTP_NONSENSE : HTTP_END;
	ret->head = r->in.at;
	ret->head_len = head_len;
	ret->body = r->in.at + head_len;
	r->used = head_len + body_used;
	return HTTP_REQUEST;
}

void http_reader_done(struct http_reader *r)
{
	text_free(&r->in);
	text_free(&r->words);
}

static const char *reason_of(int status)
{
	static const struct { int status; const char *reason; } rows[] = {
		{ 200, "OK" }, { 302, "Found" }, { 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 429, "Too Many Requests" }, { 500, "Internal Server Error" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].status == status)
			return rows[i].reason;
	return "Unknown";
}

/* Formatting the time is dear at 20,000 answers a second, so each thread does it once a second. */
const struct http_clock *http_now(void)
{
	static _Thread_local struct http_clock clock;
	time_t second = time(NULL);
	struct tm utc;

	if (clock.second != second) {
		clock.second = second;
		(void)gmtime_r(&second, &utc);
		(void)strftime(clock.date, sizeof clock.date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
		(void)strftime(clock.digits, sizeof clock.digits, "%Y%m%d%H%M%S", &utc);
	}
	return &clock;
}

void http_head(struct text *out, const struct answer *a, bool keep_alive, const char *logid, long length)
{
	text_printf(out, "HTTP/1.1 %d %s\r\nServer: nginx\r\nDate: %s\r\nX-TT-LOGID: %s\r\n%s", a->status, reason_of(a->status), http_now()->date,
		    logid, a->extra ? a->extra : "");
	if (a->type)
		text_printf(out, "Content-Type: %s\r\n", a->type);
	if (length >= 0)
		text_printf(out, "Content-Length: %ld\r\n", length);
	text_printf(out, "Connection: %s\r\n\r\n", keep_alive ? "keep-alive" : "close");
}

bool http_write(struct stream *s, const struct answer *a, bool keep_alive, const char *logid)
{
	scoped(text_free) struct text out = { 0 };

	http_head(&out, a, keep_alive, logid, (long)a->body.len);
	text_add(&out, a->body.at, a->body.len);
	return stream_write(s, out.at, out.len);
}
