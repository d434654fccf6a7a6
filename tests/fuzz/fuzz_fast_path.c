/* Any bytes as a request: whatever the fast path takes must say the same when it is put together again from what was
 * understood, in the one spelling that has no oddities, and nothing of what it leaves may stay. */
#include "agent/fast_path.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const names[] = { "Host",          "X-Consumer",      "User-Agent",      "Accept",
				     "If-None-Match", "Accept-Encoding", "Accept-Language", "Connection" };

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void check_line(struct bytes *rest, const char *text)
{
	struct bytes part;
	expect(bytes_take(rest, strlen(text), &part) && bytes_equal(part, bytes_of_text(text)));
}

/* In the very order of the request; only the blank behind a colon may be missing there. */
static void check_same(const struct fast_head *h, struct bytes rest)
{
	check_line(&rest, "GET ");
	check_line(&rest, h->target);
	check_line(&rest, " HTTP/1.1\r\n");
	for (size_t i = 0; i < h->header_count; i++) {
		check_line(&rest, h->headers[i].name);
		check_line(&rest, ":");
		if (rest.len && rest.at[0] == ' ')
			check_line(&rest, " ");
		check_line(&rest, h->headers[i].value);
		check_line(&rest, "\r\n");
	}
	check_line(&rest, "\r\n");
	expect(rest.len == 0);
}

static void check_meaning(const struct fast_head *h)
{
	const char *code = h->target + strlen("/v1/pixels/"), *connection = fast_head_find(h, "Connection");
	size_t code_len = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
	expect(strncmp(h->target, "/v1/pixels/", strlen("/v1/pixels/")) == 0);
	expect(code_len > 0 && strcmp(code + code_len, "/token") == 0);
	expect(fast_head_find(h, "Host") && h->header_count <= COUNT_OF(names));
	expect(!connection || strcasecmp(connection, "close") == 0 || strcasecmp(connection, "keep-alive") == 0);
	expect(h->is_last == (connection && strcasecmp(connection, "close") == 0));
	for (size_t i = 0; i < h->header_count; i++) {
		const char *value = h->headers[i].value;
		size_t known = 0;
		for (size_t k = 0; k < COUNT_OF(names); k++)
			known += strcasecmp(h->headers[i].name, names[k]) == 0;
		expect(known == 1);
		expect(fast_head_find(h, h->headers[i].name) == value); /* the only one of that name */
		expect(value[0] && value[0] != ' ' && value[strlen(value) - 1] != ' ');
		for (const char *at = value; *at; at++)
			expect(*at >= ' ' && *at <= '~');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fast_head h;
	memset(&h, 0, sizeof h);
	if (fast_head_parse(&h, bytes_of(data, len))) {
		check_same(&h, bytes_of(data, len));
		check_meaning(&h);
		return 0;
	}
	for (size_t i = 0; i < sizeof h.text; i++)
		expect(h.text[i] == 0);
	return 0;
}
