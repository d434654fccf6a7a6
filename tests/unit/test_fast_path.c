/* The fast path: which requests it takes, the many that look like it and are left to the library, and what it sends. */
#include "agent/fast_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail
#undef fail_msg
#define fail_msg(...)                                                                                                  \
	do {                                                                                                           \
		print_error("ERROR: " __VA_ARGS__);                                                                    \
		print_error("\n");                                                                                     \
		_fail(__FILE__, __LINE__);                                                                             \
	} while (0)

#define CODE "C0U2T02IU8J6B9GC2B90"
#define TARGET "/v1/pixels/" CODE "/token"
#define LINE "GET " TARGET " HTTP/1.1\r\n"
#define HOST "Host: x\r\n"
#define END "\r\n"
#define PLAIN LINE HOST END
#define ALL_NAMES                                                                                                       \
	"Host: localhost\r\nX-Consumer: shop@eu\r\nUser-Agent: curl/8.5.0\r\nAccept: application/json\r\n"             \
	"If-None-Match: \"1\", W/\"2\"\r\nAccept-Encoding: gzip, br\r\nAccept-Language: de\r\nConnection: keep-alive\r\n"

static int open_arena(void **state)
{
	struct error err;
	(void)state;
	return secret_arena_open(SECRET_ARENA_SMALL, &err) ? 0 : -1;
}

/* A heap block of exactly that length, so that a sanitizer sees a read behind it. */
static bool takes(struct fast_head *h, const char *at, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, at, len);
	memset(h, 0x5a, sizeof *h);
	bool is_one = fast_head_parse(h, bytes_of(exact, len));
	free(exact);
	return is_one;
}

static bool takes_text(struct fast_head *h, const char *request)
{
	return takes(h, request, strlen(request));
}

/* ---- what is taken ---- */

static void taken__the_usual_request_comes_apart(void **state)
{
	struct fast_head h;
	(void)state;
	assert_true(takes_text(&h, PLAIN));
	assert_string_equal(h.target, TARGET);
	assert_int_equal(h.header_count, 1);
	assert_string_equal(fast_head_find(&h, "Host"), "x");
	assert_null(fast_head_find(&h, "Accept"));
}

static void taken__every_header_of_the_list_once_and_in_any_case(void **state)
{
	static const char *const names[][3] = { { "Host", "HOST", "localhost" },
						{ "X-Consumer", "x-consumer", "shop@eu" },
						{ "User-Agent", "uSER-aGENT", "curl/8.5.0" },
						{ "Accept", "accept", "application/json" },
						{ "If-None-Match", "if-none-match", "\"1\", W/\"2\"" },
						{ "Accept-Encoding", "ACCEPT-encoding", "gzip, br" },
						{ "Accept-Language", "accept-language", "de" },
						{ "Connection", "connection", "keep-alive" } };
	struct fast_head h;
	char request[FAST_HEAD_MAX + 1] = LINE;
	(void)state;
	assert_true(takes_text(&h, LINE ALL_NAMES END));
	assert_int_equal(h.header_count, COUNT_OF(names));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_string_equal(fast_head_find(&h, names[i][0]), names[i][2]);
		assert_string_equal(fast_head_find(&h, names[i][1]), names[i][2]);
	}
	for (size_t i = COUNT_OF(names); i-- > 0;) {
		strcat(request, names[i][1]);
		strcat(strcat(strcat(request, ":"), names[i][2]), "\r\n");
	}
	assert_true(takes_text(&h, strcat(request, END)));
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_string_equal(fast_head_find(&h, names[i][0]), names[i][2]);
}

static void taken__whether_the_connection_goes_on(void **state)
{
	struct fast_head h;
	(void)state;
	assert_true(takes_text(&h, LINE HOST "Connection: close\r\n" END));
	assert_true(h.is_last);
	assert_true(takes_text(&h, LINE HOST "connection:CLOSE\r\n" END));
	assert_true(h.is_last);
	assert_true(takes_text(&h, LINE HOST "Connection: Keep-Alive\r\n" END));
	assert_false(h.is_last);
	assert_true(takes_text(&h, LINE HOST END));
	assert_false(h.is_last);
}

static void taken__values_stand_as_they_were_sent(void **state)
{
	static const char *const values[] = { "~", "!", "a:b", ":", "a  b", "a,b;c=\"d\"", "%41", "\\", "GET / HTTP/1.1" };
	struct fast_head h;
	char request[256];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		snprintf(request, sizeof request, LINE "Host: x\r\nUser-Agent: %s\r\n\r\n", values[i]);
		assert_true(takes_text(&h, request));
		assert_string_equal(fast_head_find(&h, "user-agent"), values[i]);
	}
}

static void taken__codes_of_any_length_are_for_others_to_judge(void **state)
{
	struct fast_head h;
	(void)state;
	assert_true(takes_text(&h, "GET /v1/pixels/a/token HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_string_equal(h.target, "/v1/pixels/a/token");
	assert_true(takes_text(&h, "GET /v1/pixels/token/token HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_string_equal(h.target, "/v1/pixels/token/token");
	assert_true(takes_text(&h, "GET /v1/pixels/azAZ09/token HTTP/1.1\r\nHost: x\r\n\r\n"));
}

static void taken__up_to_the_last_byte_of_the_room(void **state)
{
	struct fast_head h;
	char request[FAST_HEAD_MAX + 2] = LINE HOST "User-Agent: ";
	size_t len = strlen(request);
	(void)state;
	memset(request + len, 'a', sizeof request - len);
	memcpy(request + FAST_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_true(takes(&h, request, FAST_HEAD_MAX));
	assert_int_equal(strlen(fast_head_find(&h, "User-Agent")), FAST_HEAD_MAX - 4 - len);
	memcpy(request + FAST_HEAD_MAX - 4, "aaa\r\n\r\n", 5);
	memcpy(request + FAST_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_false(takes(&h, request, FAST_HEAD_MAX + 1)); /* the same, one longer */
}

/* ---- what is not ---- */

struct odd {
	const char *what, *request;
};

static const struct odd odds[] = {
	/* the method: RFC 9110 9.1, case counts */
	{ "HEAD", "HEAD " TARGET " HTTP/1.1\r\n" HOST END },
	{ "PUT", "PUT " TARGET " HTTP/1.1\r\n" HOST END },
	{ "get in small letters", "get " TARGET " HTTP/1.1\r\n" HOST END },
	{ "another word", "GETS " TARGET " HTTP/1.1\r\n" HOST END },
	{ "no method", TARGET " HTTP/1.1\r\n" HOST END },
	/* the request line: RFC 9112 3 */
	{ "an empty line before", "\r\n" PLAIN },
	{ "a blank before", " " PLAIN },
	{ "two blanks behind the method", "GET  " TARGET " HTTP/1.1\r\n" HOST END },
	{ "a tab behind the method", "GET\t" TARGET " HTTP/1.1\r\n" HOST END },
	{ "two blanks before the version", "GET " TARGET "  HTTP/1.1\r\n" HOST END },
	{ "a tab before the version", "GET " TARGET "\tHTTP/1.1\r\n" HOST END },
	{ "a blank behind the version", "GET " TARGET " HTTP/1.1 \r\n" HOST END },
	{ "HTTP/1.0", "GET " TARGET " HTTP/1.0\r\n" HOST END },
	{ "HTTP/1.2", "GET " TARGET " HTTP/1.2\r\n" HOST END },
	{ "HTTP/2.0", "GET " TARGET " HTTP/2.0\r\n" HOST END },
	{ "HTTP/1.11", "GET " TARGET " HTTP/1.11\r\n" HOST END },
	{ "http/1.1", "GET " TARGET " http/1.1\r\n" HOST END },
	{ "HTTP/0.9", "GET " TARGET "\r\n" },
	{ "HTTP/0.9 with headers", "GET " TARGET "\r\n" HOST END },
	/* the target: RFC 9112 3.2 */
	{ "absolute form", "GET http://x" TARGET " HTTP/1.1\r\n" HOST END },
	{ "authority form", "GET x:80 HTTP/1.1\r\n" HOST END },
	{ "asterisk form", "GET * HTTP/1.1\r\n" HOST END },
	{ "a query", "GET " TARGET "?version=1 HTTP/1.1\r\n" HOST END },
	{ "an empty query", "GET " TARGET "? HTTP/1.1\r\n" HOST END },
	{ "a fragment", "GET " TARGET "#a HTTP/1.1\r\n" HOST END },
	{ "an escape in the code", "GET /v1/pixels/%430U2T02IU8J6B9GC2B90/token HTTP/1.1\r\n" HOST END },
	{ "an escape in the route", "GET /v1/pixels/" CODE "/toke%6E HTTP/1.1\r\n" HOST END },
	{ "an escaped slash", "GET /v1/pixels/a%2Ftoken HTTP/1.1\r\n" HOST END },
	{ "no code", "GET /v1/pixels//token HTTP/1.1\r\n" HOST END },
	{ "no code and no slash", "GET /v1/pixels/token HTTP/1.1\r\n" HOST END },
	{ "a dot in the code", "GET /v1/pixels/a.b/token HTTP/1.1\r\n" HOST END },
	{ "dots for a code", "GET /v1/pixels/../token HTTP/1.1\r\n" HOST END },
	{ "a part more", "GET /v1/pixels/a/b/token HTTP/1.1\r\n" HOST END },
	{ "a slash more", "GET /v1/pixels/a//token HTTP/1.1\r\n" HOST END },
	{ "a slash behind", "GET " TARGET "/ HTTP/1.1\r\n" HOST END },
	{ "two slashes", "GET //v1/pixels/a/token HTTP/1.1\r\n" HOST END },
	{ "in large letters", "GET /V1/pixels/a/token HTTP/1.1\r\n" HOST END },
	{ "another route", "GET /v1/pixels/a/history HTTP/1.1\r\n" HOST END },
	{ "the list", "GET /v1/pixels HTTP/1.1\r\n" HOST END },
	{ "a longer name", "GET /v1/pixels/a/tokens HTTP/1.1\r\n" HOST END },
	{ "a blank in the code", "GET /v1/pixels/a b/token HTTP/1.1\r\n" HOST END },
	{ "plus for a blank", "GET /v1/pixels/a+b/token HTTP/1.1\r\n" HOST END },
	{ "8 bits in the code", "GET /v1/pixels/a\xc3\xa4/token HTTP/1.1\r\n" HOST END },
	{ "a request line in the code", "GET /v1/pixels/a/token HTTP/1.1 GET /v1/pixels/a/token HTTP/1.1\r\n" HOST END },
	/* ends of lines: RFC 9112 2.2 */
	{ "a bare LF behind the request line", "GET " TARGET " HTTP/1.1\n" HOST END },
	{ "a bare LF behind a header", LINE "Host: x\n" END },
	{ "a bare LF at the end", LINE HOST "\n" },
	{ "bare LFs only", "GET " TARGET " HTTP/1.1\nHost: x\n\n" },
	{ "a bare CR behind the request line", "GET " TARGET " HTTP/1.1\r" HOST END },
	{ "a bare CR in the request line", "GET " TARGET "\r HTTP/1.1\r\n" HOST END },
	{ "a bare CR in a value", LINE "Host: x\ry\r\n" END },
	{ "two CRs behind a value", LINE "Host: x\r\r\n" END },
	{ "two CRs at the end", LINE HOST "\r\r\n" },
	{ "a bare CR at the end", LINE HOST "\r" },
	{ "LF CR", LINE "Host: x\n\r" END },
	/* headers: RFC 9112 5 */
	{ "a header folded by a blank", LINE HOST "Accept: a\r\n b\r\n" END },
	{ "a header folded by a tab", LINE HOST "Accept: a\r\n\tb\r\n" END },
	{ "a line of blanks", LINE HOST "  \r\n" END },
	{ "folded before the first header", LINE " Host: x\r\n" END },
	{ "a blank before the colon", LINE "Host : x\r\n" END },
	{ "a tab before the colon", LINE "Host\t: x\r\n" END },
	{ "a blank before the name", LINE HOST " Accept: a\r\n" END },
	{ "no colon", LINE HOST "Accept\r\n" END },
	{ "no name", LINE HOST ": a\r\n" END },
	{ "only a colon", LINE HOST ":\r\n" END },
	{ "no value", LINE HOST "Accept:\r\n" END },
	{ "a blank for a value", LINE HOST "Accept: \r\n" END },
	{ "two blanks before the value", LINE HOST "Accept:  a\r\n" END },
	{ "a tab before the value", LINE HOST "Accept:\ta\r\n" END },
	{ "a blank behind the value", LINE HOST "Accept: a \r\n" END },
	{ "a tab behind the value", LINE HOST "Accept: a\t\r\n" END },
	{ "a tab in the value", LINE HOST "Accept: a\tb\r\n" END },
	{ "a control byte in the value", LINE HOST "Accept: a\x01\r\n" END },
	{ "DEL in the value", LINE HOST "Accept: a\x7f\r\n" END },
	{ "8 bits in the value", LINE HOST "Accept: a\xe4\r\n" END },
	{ "a control byte in the name", LINE HOST "Acc\x01pt: a\r\n" END },
	{ "8 bits in the name", LINE HOST "Acc\xe9pt: a\r\n" END },
	{ "a dot behind the name", LINE HOST "Accept.: a\r\n" END },
	/* Host: RFC 9112 3.2 */
	{ "no Host", LINE END },
	{ "no Host but others", LINE "Accept: a\r\nUser-Agent: b\r\n" END },
	{ "two Hosts", LINE HOST HOST END },
	{ "two Hosts that differ", LINE HOST "hOST: y\r\n" END },
	{ "an empty Host", LINE "Host:\r\n" END },
	{ "Hos", LINE "Hos: x\r\n" END },
	{ "Hostt", LINE "Hostt: x\r\n" END },
	/* what comes twice */
	{ "two X-Consumers", LINE HOST "X-Consumer: a\r\nX-Consumer: b\r\n" END },
	{ "two Accepts", LINE HOST "Accept: a\r\nAccept: a\r\n" END },
	{ "two If-None-Matches", LINE HOST "If-None-Match: \"1\"\r\nif-none-match: \"2\"\r\n" END },
	{ "two Connections", LINE HOST "Connection: keep-alive\r\nConnection: keep-alive\r\n" END },
	/* how the body, and the message, are to be understood: RFC 9112 6 */
	{ "Content-Length", LINE HOST "Content-Length: 0\r\n" END },
	{ "Transfer-Encoding", LINE HOST "Transfer-Encoding: chunked\r\n" END },
	{ "both", LINE HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n" END },
	{ "Expect", LINE HOST "Expect: 100-continue\r\n" END },
	{ "Upgrade", LINE HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n" END },
	{ "Upgrade alone", LINE HOST "Upgrade: h2c\r\n" END },
	{ "TE", LINE HOST "TE: trailers\r\n" END },
	{ "Trailer", LINE HOST "Trailer: X\r\n" END },
	{ "Connection: closed", LINE HOST "Connection: closed\r\n" END },
	{ "Connection with both", LINE HOST "Connection: keep-alive, close\r\n" END },
	{ "Connection with a name", LINE HOST "Connection: keep-alive, Host\r\n" END },
	{ "Connection: keep", LINE HOST "Connection: keep\r\n" END },
	{ "Connection: keep-alives", LINE HOST "Connection: keep-alives\r\n" END },
	{ "Keep-Alive", LINE HOST "Keep-Alive: timeout=5\r\n" END },
	{ "Prefer", LINE HOST "Prefer: wait=5\r\n" END },
	{ "Range", LINE HOST "Range: bytes=0-3\r\n" END },
	{ "If-Match", LINE HOST "If-Match: \"1\"\r\n" END },
	{ "If-Modified-Since", LINE HOST "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n" END },
	{ "Authorization", LINE HOST "Authorization: Basic eDp5\r\n" END },
	{ "Cookie", LINE HOST "Cookie: a=b\r\n" END },
	{ "a header nobody knows", LINE HOST "X-Other: 1\r\n" END },
	{ "a name that begins like one", LINE HOST "X-Consume: a\r\n" END },
	{ "a name that goes on", LINE HOST "X-Consumers: a\r\n" END },
	{ "with an underscore", LINE HOST "X_Consumer: a\r\n" END },
	{ "nine headers", LINE ALL_NAMES "X-Other: 1\r\n" END },
	{ "nine of the list", LINE ALL_NAMES "Accept: a\r\n" END },
	/* what is behind it */
	{ "the same again", PLAIN PLAIN },
	{ "a byte behind", PLAIN "x" },
	{ "an empty line behind", PLAIN "\r\n" },
	{ "a put behind", PLAIN "PUT " TARGET " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" },
	{ "nothing", "" },
	{ "the beginning alone", "GET /v1/pixels/" },
};

static void left__whatever_is_odd(void **state)
{
	struct fast_head h;
	(void)state;
	assert_true(takes_text(&h, PLAIN));
	for (size_t i = 0; i < COUNT_OF(odds); i++)
		if (takes_text(&h, odds[i].request))
			fail_msg("taken: %s", odds[i].what);
}

/* At every place of the largest usual request. */
static void left__whatever_is_not_whole(void **state)
{
	static const char all[] = LINE ALL_NAMES END;
	struct fast_head h;
	(void)state;
	for (size_t len = 0; len < sizeof all - 1; len++)
		if (takes(&h, all, len))
			fail_msg("taken: the first %zu bytes", len);
	for (size_t cut = 1; cut < sizeof all - 1; cut++)
		if (takes(&h, all + cut, sizeof all - 1 - cut))
			fail_msg("taken: without the first %zu bytes", cut);
}

/* Every byte of the request in turn becomes one that no token, no value and no line may have. */
static void left__bytes_that_are_no_text_wherever_they_stand(void **state)
{
	static const char all[] = LINE ALL_NAMES END;
	static const char bad[] = { '\0', '\x01', '\t', '\n', '\v', '\f', '\r', '\x1b', '\x7f', '\x80', '\xa0', '\xff' };
	struct fast_head h;
	char request[sizeof all];
	(void)state;
	for (size_t at = 0; at < sizeof all - 1; at++)
		for (size_t i = 0; i < sizeof bad; i++) {
			memcpy(request, all, sizeof all);
			if (request[at] == bad[i])
				continue;
			request[at] = bad[i];
			if (takes(&h, request, sizeof all - 1))
				fail_msg("taken: byte %zu is 0x%02x", at, (unsigned char)bad[i]);
			memmove(request + at + 1, all + at, sizeof all - 1 - at); /* and put in between */
			if (takes(&h, request, sizeof all))
				fail_msg("taken: 0x%02x before byte %zu", (unsigned char)bad[i], at);
		}
}

/* A byte that is missing makes another request, or none: never one with another target than it says. */
static void left__or_understood_when_a_byte_is_missing(void **state)
{
	static const char all[] = LINE ALL_NAMES END;
	struct fast_head h;
	char request[sizeof all];
	(void)state;
	for (size_t at = 0; at < sizeof all - 1; at++) {
		memcpy(request, all, at);
		memcpy(request + at, all + at + 1, sizeof all - 1 - at);
		if (!takes(&h, request, sizeof all - 2))
			continue;
		assert_memory_equal(h.target, request + 4, strlen(h.target));
		assert_memory_equal(request + 4 + strlen(h.target), " HTTP/1.1\r\n", 11);
		assert_int_equal(h.header_count, 8);
	}
}

static void left__longer_than_the_room(void **state)
{
	static char request[70000];
	struct fast_head h;
	(void)state;
	for (size_t len = FAST_HEAD_MAX + 1; len < sizeof request; len += 1 + len / 50) {
		memset(request, 'a', len);
		memcpy(request, LINE HOST "User-Agent: ", strlen(LINE HOST "User-Agent: "));
		memcpy(request + len - 4, "\r\n\r\n", 4);
		assert_false(takes(&h, request, len));
	}
}

/* What is behind a request may be a put with its token: not a byte of it may lie where nobody wipes. */
static void left__nothing_of_what_is_behind_is_kept(void **state)
{
#define TOKEN "0123456789abcdef0123456789abcdef01234567"
	static const char *const requests[] = { PLAIN "PUT " TARGET " HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" TOKEN,
						LINE "Host: x\r\nContent-Length: 40\r\n\r\n" TOKEN,
						LINE "Host: x\r\nContent-Length: 44\r\n\r\n" TOKEN "\r\n\r\n",
						LINE "Content-Length: 40\n\n" TOKEN };
	struct fast_head h;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		assert_false(takes_text(&h, requests[i]));
		if (memmem(&h, sizeof h, TOKEN, 8))
			fail_msg("the token of request %zu is left", i);
	}
}

/* ---- answers ---- */

static void on_deliver(struct call *call)
{
	(void)call;
}

static void begin(struct call *call)
{
	struct error err;
	*call = (struct call){ .deliver = on_deliver };
	assert_true(call_parse_target(call, TARGET, &err));
}

/* The room is exactly as large as is said, and all around it stays as it was. */
static size_t answer_in(const struct call *call, const char *reason, char *ret, size_t size)
{
	uint8_t room[32768];
	assert_true(size + 64 <= sizeof room);
	memset(room, 0xa5, sizeof room);
	size_t len = fast_answer(call, false, reason, room + 32, size);
	assert_true(len <= size);
	for (size_t i = 0; i < sizeof room; i++)
		if ((i < 32 || i >= 32 + size) && room[i] != 0xa5)
			fail_msg("of %zu bytes: byte %zd was written", size, (ssize_t)i - 32);
	memcpy(ret, room + 32, len);
	ret[len] = '\0';
	return len;
}

static void answers_with(struct call *call, const char *reason, const char *expected)
{
	static char got[32768];
	size_t len = strlen(expected);
	assert_int_equal(answer_in(call, reason, got, 16384), len);
	assert_string_equal(got, expected);
	assert_int_equal(answer_in(call, reason, got, len), len); /* just enough */
	assert_string_equal(got, expected);
	for (size_t size = 0; size < len; size++)
		if (answer_in(call, reason, got, size) != 0)
			fail_msg("an answer of %zu bytes in a room of %zu", len, size);
	call_reset(call);
}

static void answer__a_token(void **state)
{
	struct call call;
	struct error err;
	struct secret *token = NULL;
	(void)state;
	begin(&call);
	assert_true(secret_copy(bytes_of_text("abc"), &token, &err));
	call_header_text(&call, "ETag", "\"7\"");
	call_header_copy(&call, "X-Version", "7");
	call_answer_secret(&call, 200, "text/plain; charset=us-ascii", token);
	answers_with(&call, "OK",
		     "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/plain; charset=us-ascii\r\n"
		     "ETag: \"7\"\r\nX-Version: 7\r\nContent-Length: 3\r\n\r\nabc");
}

static void answer__a_token_is_sent_by_its_length(void **state)
{
	struct call call;
	struct error err;
	struct secret *token = NULL;
	char got[512];
	(void)state;
	begin(&call);
	assert_true(secret_copy(bytes_of("a\0b\xff", 4), &token, &err));
	call_answer_secret(&call, 200, "application/json", token);
	size_t len = answer_in(&call, "OK", got, sizeof got - 1);
	assert_memory_equal(got + len - 8, "\r\n\r\na\0b\xff", 8);
	assert_non_null(strstr(got, "Content-Length: 4\r\n"));
	call_reset(&call);
}

static void answer__nothing_has_changed(void **state)
{
	struct call call;
	(void)state;
	begin(&call);
	call_header_text(&call, "ETag", "\"7\"");
	call_answer(&call, 304);
	answers_with(&call, "Not Modified",
		     "HTTP/1.1 304 Not Modified\r\nCache-Control: no-store\r\nETag: \"7\"\r\nContent-Length: 0\r\n\r\n");
}

static void answer__a_problem(void **state)
{
	struct call call;
	struct buf body = BUF_INIT(64);
	(void)state;
	begin(&call);
	buf_append_text(&body, "{\"type\":\"denied\"}\n");
	call_answer_buf(&call, 403, "application/problem+json", &body);
	answers_with(&call, "Forbidden",
		     "HTTP/1.1 403 Forbidden\r\nCache-Control: no-store\r\nContent-Type: application/problem+json\r\n"
		     "Content-Length: 18\r\n\r\n{\"type\":\"denied\"}\n");
}

static void answer__an_empty_body_of_a_buffer(void **state)
{
	struct call call;
	struct buf body = BUF_INIT(64);
	(void)state;
	begin(&call);
	call_answer_buf(&call, 200, "text/plain", &body);
	answers_with(&call, "OK",
		     "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
}

static void answer__with_all_headers_that_fit(void **state)
{
	struct call call;
	char expected[1024] = "HTTP/1.1 503 Service Unavailable\r\nCache-Control: no-store\r\n";
	(void)state;
	begin(&call);
	for (int i = 0; i < CALL_HEADERS_MAX; i++) {
		call_header(&call, "X-Many", "%d", i);
		snprintf(expected + strlen(expected), 32, "X-Many: %d\r\n", i);
	}
	call_answer(&call, 503);
	answers_with(&call, "Service Unavailable", strcat(expected, "Content-Length: 0\r\n\r\n"));
}

static void answer__the_longest_body(void **state)
{
	static char got[32768], large[12345];
	struct call call;
	struct error err;
	struct secret *token = NULL;
	(void)state;
	memset(large, 'x', sizeof large);
	begin(&call);
	assert_true(secret_copy(bytes_of(large, sizeof large), &token, &err));
	call_answer_secret(&call, 200, "application/json", token);
	size_t len = answer_in(&call, "OK", got, 16384);
	assert_non_null(strstr(got, "\r\nContent-Length: 12345\r\n\r\nxxx"));
	assert_int_equal(answer_in(&call, "OK", got, len), len);
	assert_int_equal(answer_in(&call, "OK", got, len - 1), 0);
	call_reset(&call);
}

static enum stream_step fill(void *context, struct buf *out)
{
	(void)context, (void)out;
	return STREAM_END;
}

static void answer__a_stream_is_none(void **state)
{
	struct call call;
	struct call_stream stream = { .fill = fill };
	char got[512];
	(void)state;
	begin(&call);
	call_answer_stream(&call, 200, "text/event-stream", &stream);
	assert_int_equal(answer_in(&call, "OK", got, sizeof got - 1), 0);
	call_reset(&call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken__the_usual_request_comes_apart),
		cmocka_unit_test(taken__every_header_of_the_list_once_and_in_any_case),
		cmocka_unit_test(taken__whether_the_connection_goes_on),
		cmocka_unit_test(taken__values_stand_as_they_were_sent),
		cmocka_unit_test(taken__codes_of_any_length_are_for_others_to_judge),
		cmocka_unit_test(taken__up_to_the_last_byte_of_the_room),
		cmocka_unit_test(left__whatever_is_odd),
		cmocka_unit_test(left__whatever_is_not_whole),
		cmocka_unit_test(left__bytes_that_are_no_text_wherever_they_stand),
		cmocka_unit_test(left__or_understood_when_a_byte_is_missing),
		cmocka_unit_test(left__longer_than_the_room),
		cmocka_unit_test(left__nothing_of_what_is_behind_is_kept),
		cmocka_unit_test(answer__a_token),
		cmocka_unit_test(answer__a_token_is_sent_by_its_length),
		cmocka_unit_test(answer__nothing_has_changed),
		cmocka_unit_test(answer__a_problem),
		cmocka_unit_test(answer__an_empty_body_of_a_buffer),
		cmocka_unit_test(answer__with_all_headers_that_fit),
		cmocka_unit_test(answer__the_longest_body),
		cmocka_unit_test(answer__a_stream_is_none),
	};
	return cmocka_run_group_tests(tests, open_arena, NULL);
}
