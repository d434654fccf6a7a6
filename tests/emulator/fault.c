#include "tests/emulator/fault.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEALTHY "{\"code\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"
#define JSON_TYPE "application/json"
enum { BIG = 64 * 1024 * 1024, SLOW_MS = 500 };

static void put_body(struct text *out, const struct fault_talk *talk, const char *pattern)
{
	const char *pairs[] = { "id", talk->logid, NULL };

	text_expand(out, pattern, pairs);
}

/* A 200 JSON head. */
static void put_head(struct text *out, const struct fault_talk *talk, const char *extra, long length)
{
	const struct answer a = { .status = 200, .type = JSON_TYPE, .extra = extra };

	http_head(out, &a, *talk->keep_alive, talk->logid, length);
}

/* A whole 200 JSON answer around `body`, which is freed. */
static bool send_whole(struct fault_talk *talk, const char *extra, struct text *body)
{
	scoped(text_free) struct text out = { 0 };

	put_head(&out, talk, extra, (long)body->len);
	text_add(&out, body->at, body->len);
	text_free(body);
	return stream_write(talk->stream, out.at, out.len);
}

static bool send_last(struct fault_talk *talk, const struct text *out)
{
	*talk->keep_alive = false;
	(void)stream_write(talk->stream, out->at, out->len);
	return false;
}

static bool send_nothing(struct fault_talk *talk)
{
	(void)talk;
	return false;
}

static bool send_reset(struct fault_talk *talk)
{
	stream_reset(talk->stream);
	return false;
}

static bool send_silence(struct fault_talk *talk)
{
	(void)stream_wait(talk->stream, 60000);
	return false;
}

/* The first `quick` bytes at once, the rest byte by byte until `slow` are out, then what is left. */
static bool dribble(struct fault_talk *talk, const struct text *out, size_t quick, size_t slow)
{
	if (!stream_write(talk->stream, out->at, quick))
		return false;
	for (size_t i = quick; i < slow; i++)
		if (!stream_wait(talk->stream, SLOW_MS) || !stream_write(talk->stream, out->at + i, 1))
			return false;
	return stream_write(talk->stream, out->at + slow, out->len - slow);
}

static bool send_slow_head(struct fault_talk *talk)
{
	scoped(text_free) struct text out = { 0 };
	scoped(text_free) struct text body = { 0 };
	size_t head;

	put_body(&body, talk, HEALTHY);
	put_head(&out, talk, "", (long)body.len);
	head = out.len;
	text_add(&out, body.at, body.len);
	return dribble(talk, &out, 0, head);
}

static bool send_slow_body(struct fault_talk *talk)
{
	scoped(text_free) struct text out = { 0 };
	scoped(text_free) struct text body = { 0 };
	size_t head;

	put_body(&body, talk, HEALTHY);
	put_head(&out, talk, "", (long)body.len);
	head = out.len;
	text_add(&out, body.at, body.len);
	return dribble(talk, &out, head, out.len);
}

static bool send_half_body(struct fault_talk *talk)
{
	scoped(text_free) struct text out = { 0 };
	scoped(text_free) struct text body = { 0 };

	put_body(&body, talk, HEALTHY);
	put_head(&out, talk, "", (long)body.len);
	text_add(&out, body.at, body.len / 2);
	return send_last(talk, &out);
}

/* The harder half: what arrives is valid JSON, only the length says that more was meant. */
static bool send_cut_body(struct fault_talk *talk)
{
	scoped(text_free) struct text out = { 0 };
	scoped(text_free) struct text body = { 0 };

	put_body(&body, talk, HEALTHY);
	put_head(&out, talk, "", (long)body.len + 100);
	text_add(&out, body.at, body.len);
	return send_last(talk, &out);
}

static bool send_chunked(struct fault_talk *talk, const char *size_format_end)
{
	scoped(text_free) struct text out = { 0 };
	scoped(text_free) struct text body = { 0 };

	put_body(&body, talk, HEALTHY);
	put_head(&out, talk, "Transfer-Encoding: chunked\r\n", -1);
	text_printf(&out, "%zx\r\n", body.len);
	text_add(&out, body.at, body.len);
	text_puts(&out, size_format_end);
	return send_last(talk, &out);
}

static bool send_chunked_cut(struct fault_talk *talk)
{
	return send_chunked(talk, "\r\n"); /* the last chunk never comes */
}

static bool send_chunked_lie(struct fault_talk *talk)
{
	return send_chunked(talk, "\r\nzz\r\nnot a chunk size\r\n0\r\n\r\n");
}

static bool send_deep(struct fault_talk *talk)
{
	struct text body = { 0 };

	put_body(&body, talk, "{\"code\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":");
	text_fill(&body, '[', 100000);
	text_fill(&body, ']', 100000);
	text_puts(&body, "}");
	return send_whole(talk, "", &body);
}

static bool send_nodes(struct fault_talk *talk)
{
	struct text body = { 0 };

	put_body(&body, talk, "{\"code\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":[0");
	for (int i = 1; i < 1000000; i++)
		text_add(&body, ",0", 2);
	text_puts(&body, "]}");
	return send_whole(talk, "", &body);
}

static bool send_huge(struct fault_talk *talk)
{
	struct text body = { 0 };

	put_body(&body, talk, "{\"code\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{\"filler\":\"");
	text_fill(&body, 'a', 10 * 1024 * 1024);
	text_puts(&body, "\"}}");
	return send_whole(talk, "", &body);
}

/* `piece` again and again until `limit` bytes went out or nobody listens. */
static bool flood(struct fault_talk *talk, const struct text *piece, size_t limit)
{
	for (size_t sent = 0; sent < limit; sent += piece->len)
		if (!stream_write(talk->stream, piece->at, piece->len))
			return false;
	return true;
}

static bool send_huge_chunked(struct fault_talk *talk)
{
	scoped(text_free) struct text start = { 0 };
	scoped(text_free) struct text body = { 0 };
	scoped(text_free) struct text piece = { 0 };

	put_body(&body, talk, "{\"code\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{\"filler\":\"");
	put_head(&start, talk, "Transfer-Encoding: chunked\r\n", -1);
	text_printf(&start, "%zx\r\n%s\r\n", body.len, body.at);
	text_puts(&piece, "4000\r\n");
	text_fill(&piece, 'a', 0x4000);
	text_puts(&piece, "\r\n");
	if (!stream_write(talk->stream, start.at, start.len) || !flood(talk, &piece, BIG))
		return false;
	text_clear(&start);
	text_puts(&start, "3\r\n\"}}\r\n0\r\n\r\n");
	return stream_write(talk->stream, start.at, start.len);
}

static bool send_endless_head(struct fault_talk *talk)
{
	static const char start[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
	scoped(text_free) struct text piece = { 0 };

	for (int i = 0; i < 16; i++) {
		text_printf(&piece, "X-Filler-%d: ", i);
		text_fill(&piece, 'a', 1000);
		text_puts(&piece, "\r\n");
	}
	(void)(stream_write(talk->stream, start, sizeof start - 1) && flood(talk, &piece, BIG));
	return false;
}

static bool send_continue_flood(struct fault_talk *talk)
{
	scoped(text_free) struct text piece = { 0 };
	struct text body = { 0 };

	for (int i = 0; i < 100; i++)
		text_puts(&piece, "HTTP/1.1 100 Continue\r\n\r\n");
	if (!flood(talk, &piece, piece.len * 100))
		return false;
	put_body(&body, talk, HEALTHY);
	return send_whole(talk, "", &body);
}

static bool send_http09(struct fault_talk *talk)
{
	scoped(text_free) struct text out = { 0 };

	put_body(&out, talk, HEALTHY);
	return send_last(talk, &out);
}

static bool send_garbage(struct fault_talk *talk)
{
	scoped(text_free) struct text out = { 0 };
	uint32_t state = 2463534242;

	for (int i = 0; i < 4096; i++) {
		char c;

		state ^= state << 13; /* xorshift: the same garbage each time */
		state ^= state >> 17;
		state ^= state << 5;
		c = (char)(state >> 8);
		text_add(&out, &c, 1);
	}
	return send_last(talk, &out);
}

static uint32_t crc32_of(uint32_t crc, const char *at, size_t len)
{
	static const uint32_t half[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	crc = ~crc;
	for (; len; len--) {
		crc ^= (unsigned char)*at++;
		crc = half[crc & 15] ^ crc >> 4;
		crc = half[crc & 15] ^ crc >> 4;
	}
	return ~crc;
}

static void put_le(struct text *out, uint32_t value, int bytes)
{
	for (; bytes; bytes--, value >>= 8) {
		char c = (char)(value & 0xff);

		text_add(out, &c, 1);
	}
}

static const char gzip_start[10] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };

static bool send_gzip(struct fault_talk *talk)
{
	scoped(text_free) struct text plain = { 0 };
	struct text body = { 0 };

	put_body(&plain, talk, HEALTHY);
	text_add(&body, gzip_start, sizeof gzip_start);
	put_le(&body, 1, 1); /* the last block, stored */
	put_le(&body, (uint32_t)plain.len, 2);
	put_le(&body, ~(uint32_t)plain.len, 2);
	text_add(&body, plain.at, plain.len);
	put_le(&body, crc32_of(0, plain.at, plain.len), 4);
	put_le(&body, (uint32_t)plain.len, 4);
	return send_whole(talk, "Content-Encoding: gzip\r\n", &body);
}

/* Deflate's bits, lowest first; Huffman codes come with their highest bit first. */
struct bits {
	struct text *out;
	uint32_t hold;
	unsigned count;
};

static void put_bit(struct bits *b, uint32_t bit)
{
	b->hold |= bit << b->count;
	if (++b->count == 8) {
		put_le(b->out, b->hold, 1);
		b->hold = b->count = 0;
	}
}

static void put_code(struct bits *b, uint32_t code, int len)
{
	while (len--)
		put_bit(b, code >> len & 1);
}

static void put_literal(struct bits *b, const char *s)
{
	for (; *s; s++)
		put_code(b, 0x30U + (unsigned char)*s, 8); /* the fixed code of bytes below 144 */
}

/* 160 KiB on the wire, 24 MiB of valid JSON when unpacked: one 'a', then "258 bytes from 1 back" many times. */
static bool send_gzip_bomb(struct fault_talk *talk)
{
	static const char start[] = "{\"code\":0,\"message\":\"a", end[] = "\"}";
	enum { REPEATS = 100000, RUN = 258 };
	scoped(text_free) struct text run = { 0 };
	struct text body = { 0 };
	struct bits b = { .out = &body };
	uint32_t crc = crc32_of(0, start, sizeof start - 1);

	text_add(&body, gzip_start, sizeof gzip_start);
	put_bit(&b, 1); /* the last block ... */
	put_bit(&b, 1); /* ... with the fixed codes (01, lowest bit first) */
	put_bit(&b, 0);
	put_literal(&b, start);
	text_fill(&run, 'a', RUN);
	for (int i = 0; i < REPEATS; i++) {
		put_code(&b, 0xc5, 8); /* length 258 */
		put_code(&b, 0, 5); /* distance 1 */
		crc = crc32_of(crc, run.at, RUN);
	}
	put_literal(&b, end);
	put_code(&b, 0, 7); /* end of block */
	while (b.count)
		put_bit(&b, 0);
	put_le(&body, crc32_of(crc, end, sizeof end - 1), 4);
	put_le(&body, sizeof start - 1 + REPEATS * RUN + sizeof end - 1, 4);
	return send_whole(talk, "Content-Encoding: gzip\r\n", &body);
}

static bool send_bad_utf8(struct fault_talk *talk)
{
	struct text body = { 0 };

	put_body(&body, talk, "{\"code\":0,\"message\":\"O\xff\xc0\x80\xed\xa0\x80K\",\"request_id\":\"{id}\",\"data\":{}}");
	return send_whole(talk, "", &body);
}

static bool send_echo_token(struct fault_talk *talk)
{
	scoped(text_free) struct text message = { 0 };
	struct text body = { 0 };

	text_printf(&message, "Access token %s is incorrect or has been revoked.\n\x1b[2J\x1b[31mcredential ok\x1b[0m\r\x1b]0;owned\a\b\x7f"
		    "\xc2\x9b" "1m \xe2\x80\xae%s\xe2\x80\xac\n", talk->token, talk->token);
	text_puts(&body, "{\"code\":40105,\"message\":");
	text_json(&body, message.at);
	put_body(&body, talk, ",\"request_id\":\"{id}\",\"data\":{}}");
	return send_whole(talk, "", &body);
}

static bool redirect(struct fault_talk *talk, int status, const char *to, const char *rest)
{
	scoped(text_free) struct text extra = { 0 };
	struct answer a = { .status = status, .type = "text/html" };
	bool sent;

	text_printf(&extra, "Location: %s%s\r\n", to, rest);
	a.extra = extra.at;
	text_puts(&a.body, "<html>moved</html>");
	sent = http_write(talk->stream, &a, *talk->keep_alive, talk->logid);
	text_free(&a.body);
	return sent;
}

static bool send_redirect(struct fault_talk *talk)
{
	return redirect(talk, talk->row->status, talk->other_base_url, "/event/track/");
}

static bool send_redirect_http(struct fault_talk *talk)
{
	scoped(text_free) struct text plain = { 0 };

	text_printf(&plain, "http%s", talk->other_base_url + strlen("https"));
	return redirect(talk, talk->row->status, plain.at, "/event/track/");
}

static bool send_redirect_file(struct fault_talk *talk)
{
	return redirect(talk, talk->row->status, "file:///etc/passwd", "");
}

#define BAD_GATEWAY "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n" \
		    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
#define TALKS(name, help, status, send) { name, help, status, -1, false, NULL, NULL, send }
#define ANSWERS(name, help, status, code) { name, help, status, code, false, NULL, NULL, NULL }
#define JSON(name, body) { name, body, 200, -1, false, JSON_TYPE, body, NULL }
#define CANNED(name, help, status, type, body) { name, help, status, -1, false, type, body, NULL }

const struct fault_row fault_rows[] = {
	{ "refuse", "close a new connection at once (times= then counts connections); on an old one, when a request comes",
	  0, -1, true, NULL, NULL, send_nothing },
	TALKS("close", "close after the request, no answer", 0, send_nothing),
	TALKS("reset", "RST after the request", 0, send_reset),
	TALKS("silence", "read the request, say nothing for 60 s, close", 0, send_silence),
	TALKS("slow-head", "a byte of the head per 500 ms", 200, send_slow_head),
	TALKS("slow-body", "a byte of the body per 500 ms", 200, send_slow_body),
	TALKS("half-body", "half of the body that Content-Length promised, then close", 200, send_half_body),
	TALKS("cut-body", "a valid JSON body, but Content-Length promised 100 bytes more, then close", 200, send_cut_body),
	TALKS("chunked-cut", "valid JSON in one chunk, closed before the last chunk", 200, send_chunked_cut),
	TALKS("chunked-lie", "valid JSON in one chunk, then a chunk size that is none", 200, send_chunked_lie),
	CANNED("empty", "200 with length 0", 200, JSON_TYPE, ""),
	CANNED("502-html", "nginx page", 502, "text/html", BAD_GATEWAY),
	CANNED("503", "text", 503, "text/plain", "Service Unavailable"),
	ANSWERS("500-json", "HTTP 500 with code 50000", 500, 50000),
	ANSWERS("51012", "pixel service down", 200, 51012),
	ANSWERS("51039", "auth service down", 200, 51039),
	ANSWERS("60001", "maintenance", 200, 60001),
	ANSWERS("41000", "caller's country is barred", 200, 41000),
	ANSWERS("unknown-code", "code 49999", 200, 49999),
	ANSWERS("code-NNNNN", "any return code, with the documented text when there is one", 200, 0),
	CANNED("404-text", "404 page not found", 404, "text/plain", "404 page not found"),
	CANNED("405-html", "small page", 405, "text/html", "<html><head><title>405</title></head><body>405 Method Not Allowed</body></html>"),
	CANNED("html-200", "200 with a page", 200, "text/html", "<html><body>Please wait ...</body></html>"),
	CANNED("array", "[{\"code\":0}]", 200, JSON_TYPE, "[" HEALTHY "]"),
	TALKS("deep", "code 0 and data nested 100,000 deep, valid", 200, send_deep),
	TALKS("nodes", "code 0 and data of 1,000,000 numbers", 200, send_nodes),
	TALKS("huge", "10 MiB of valid JSON, code 0 at its start", 200, send_huge),
	TALKS("huge-chunked", "64 MiB of valid JSON in chunks, code 0 at its start", 200, send_huge_chunked),
	TALKS("endless-head", "64 MiB of header lines, then close", 200, send_endless_head),
	TALKS("continue-flood", "10,000 times 100 Continue, then code 0", 200, send_continue_flood),
	TALKS("http09", "a body without a head, code 0", 0, send_http09),
	TALKS("garbage", "4096 bytes of noise", 0, send_garbage),
	TALKS("gzip", "code 0, gzip-encoded though nobody asked", 200, send_gzip),
	TALKS("gzip-bomb", "160 KiB that unpack to 24 MiB, gzip-encoded though nobody asked", 200, send_gzip_bomb),
	CANNED("bom", "code 0 after a byte order mark", 200, JSON_TYPE, "\xef\xbb\xbf" HEALTHY),
	TALKS("bad-utf8", "code 0 and a message that is no UTF-8", 200, send_bad_utf8),
	JSON("nul-key", "{\"code\\u0000x\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-string", "{\"code\":\"0\",\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-float", "{\"code\":0.0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-float-bad", "{\"code\":40105.5,\"message\":\"x\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-exp", "{\"code\":4e4,\"message\":\"x\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-huge", "{\"code\":1e999,\"message\":\"x\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-big", "{\"code\":7644201699552690194,\"message\":\"x\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-missing", "{\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-null", "{\"code\":null,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"),
	JSON("code-twice", "{\"code\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{},\"code\":40105}"),
	JSON("code-case", "{\"CODE\":0,\"code\":40105,\"message\":\"Access token is incorrect or has been revoked.\",\"data\":{}}"),
	JSON("case-only", "{\"CODE\":0,\"message\":\"OK\",\"request_id\":\"{id}\",\"data\":{}}"),
	TALKS("echo-token", "40105 whose message holds the token, ESC sequences, newlines, bidi marks", 200, send_echo_token),
	TALKS("redirect", "302 to the other host", 302, send_redirect),
	TALKS("redirect-307", "307 to the other host", 307, send_redirect),
	TALKS("redirect-http", "302 to http://, same port as the other host", 302, send_redirect_http),
	TALKS("redirect-file", "302 to file:///etc/passwd", 302, send_redirect_file),
	{ 0 },
};

const struct fault_row *fault_find(const char *name, int *ret_code)
{
	bool is_code = !strncmp(name, "code-", 5) && name[5] && strlen(name) < 15 && strspn(name + 5, "0123456789") == strlen(name + 5);

	if (!strcmp(name, "code-NNNNN"))
		return NULL; /* the pattern is not a name */
	for (const struct fault_row *row = fault_rows; row->name; row++)
		if (!strcmp(row->name, is_code ? "code-NNNNN" : name)) {
			*ret_code = is_code ? (int)(strtoul(name + 5, NULL, 10) % 1000000000) : row->code;
			return row;
		}
	return NULL;
}

bool fault_send(struct fault_talk *talk)
{
	struct answer a = { .status = talk->row->status, .type = talk->row->type };
	bool sent;

	if (talk->row->send)
		return talk->row->send(talk);
	put_body(&a.body, talk, talk->row->body);
	sent = http_write(talk->stream, &a, *talk->keep_alive, talk->logid);
	text_free(&a.body);
	return sent;
}
