/* What speaks to the Internet is made without memory, without descriptors and with addresses that are none: it says so,
 * and is made the next time. */
#include "tests/support/failing.h"

#include "agent/http.h"
#include "agent/post.h"
#include "core/secret.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define CA "/etc/ssl/certs/ca-certificates.crt"

static struct http_settings settings_for(const char *base_url)
{
	return (struct http_settings){ .targets = { { base_url, "/event/track/" } },
				       .target_count = 1,
				       .ca_file = CA,
				       .connect_timeout_ms = 1000,
				       .timeout_ms = 1000,
				       .in_flight = 2 };
}

static bool make(const char *base_url, struct error *err)
{
	struct http_settings settings = settings_for(base_url);
	struct http *h = NULL;
	memset(err, 0, sizeof *err);
	bool is_made = http_new(&settings, &h, err);
	http_free(h);
	return is_made;
}

static void http__is_made_for_nothing_but_https_addresses(void **state)
{
	static const char *const good[] = { "https://host", "https://host/", "https://host:444/open_api/v1.3", "https://[::1]:1/x/" };
	static const char *const bad[] = { "",	"host",		   "http://host",	   "ftp://host",	 "https://",
					   "https://host?a=b",	   "https://host#part",	   "https://user@host", "https://user:word@host",
					   "https://host:0",	   "https://host:99999", "https://ho st" };
	static char far[2048] = "https://host/";
	struct error err;
	(void)state;
	if (access(CA, R_OK) != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (!make(good[i], &err))
			fail_msg("%s: %s", good[i], err.message);
	memset(far + strlen(far), 'x', sizeof far - strlen(far) - 1);
	for (size_t i = 0; i <= COUNT_OF(bad); i++) {
		const char *url = i < COUNT_OF(bad) ? bad[i] : far;
		assert_false(make(url, &err));
		if (err.code != ERR_CONFIG || !err.hint[0])
			fail_msg("%s: %d %s", url, err.code, err.message);
	}
}

static void http__without_a_list_of_authorities_is_not_made(void **state)
{
	struct http_settings settings = settings_for("https://host");
	struct http *h = NULL;
	struct error err;
	(void)state;
	settings.ca_file = "/nowhere/ca.pem";
	assert_false(http_new(&settings, &h, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "/nowhere/ca.pem"));
}

#ifndef IS_SANITIZED
static void http__without_memory_or_descriptors_says_so_and_is_made_the_next_time(void **state)
{
	static const struct {
		enum failing_kind kind;
		int error;
	} faults[] = { { FAIL_MEMORY, ENOMEM }, { FAIL_OPENS, EMFILE }, { FAIL_FENCES, ENOMEM } };
	struct error err;
	(void)state;
	if (access(CA, R_OK) != 0)
		skip();
	assert_true(make("https://host", &err));
	for (size_t k = 0; k < COUNT_OF(faults); k++)
		for (size_t n = 1, failed = 1; failed; n++) {
			failing_from(faults[k].kind, faults[k].error, n, n % 2 ? n : FAIL_EVER);
			bool is_made = make("https://host", &err);
			failed = failing_stop();
			if (!is_made && !failed)
				fail_msg("point %zu of fault %zu: %s", n, k, err.message);
			assert_true(is_made || (err.code != ERR_NONE && err.message[0] && err.hint[0]));
			assert_true(make("https://host", &err));
		}
}
#endif

static void post__goes_to_ports_that_there_are(void **state)
{
	static const struct {
		const char *url;
		uint16_t port;
	} rows[] = { { "https://host/x", 443 }, { "https://host:8443", 8443 }, { "smtps://host", 465 }, { "smtp://host", 25 },
		     { "https://host:0/", 0 },	{ "https://host:70000/", 0 },  { "", 0 },		{ "https://", 0 } };
	struct error err;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint16_t port = 0;
		if (post_port(rows[i].url, &port, &err) != (rows[i].port != 0) || port != rows[i].port)
			fail_msg("%s: %u", rows[i].url, port);
		assert_true(rows[i].port || (err.code == ERR_CONFIG && err.hint[0]));
	}
}

#ifndef IS_SANITIZED
static bool is_outcome(const struct delivery_result *r)
{
	return r->outcome != DELIVERY_DONE && r->reason[0] && memchr(r->reason, '\0', sizeof r->reason);
}

/* Nobody listens at the other end: whatever is lacking besides, it is to be tried again later, and why is said. */
static void post__without_memory_is_for_later_and_says_why(void **state)
{
	const struct post posts[] = {
		{ .url = "https://127.0.0.1:1/", .ca_file = "", .time_limit_s = 2, .body = bytes_of_text("{}"), .headers = { "A: b", NULL } },
		{ .url = "smtps://127.0.0.1:1", .ca_file = "", .time_limit_s = 2, .body = bytes_of_text("x\r\n"), .from = "a@x", .to = "b@x c@x",
		  .user = "u", .password = "p" },
		{ .url = "smtp://127.0.0.1:1", .ca_file = "", .time_limit_s = 2, .body = bytes_of_text("x\r\n"), .from = "a@x", .to = "b@x",
		  .is_plain = true },
		{ .url = "https://127.0.0.1:1/", .ca_file = "/nowhere/ca.pem", .time_limit_s = 2 },
	};
	struct error err;
	(void)state;
	assert_true(post_open(&err));
	for (size_t i = 0; i < COUNT_OF(posts); i++)
		for (size_t n = 1, failed = 1; failed; n++) {
			struct delivery_result r = { .id = 7 };
			failing_from(FAIL_MEMORY, ENOMEM, n, n % 2 ? n : FAIL_EVER);
			post_send(&posts[i], &r);
			failed = failing_stop();
			if (!is_outcome(&r) || r.id != 7)
				fail_msg("post %zu, point %zu: %d '%s'", i, n, r.outcome, r.reason);
		}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http__is_made_for_nothing_but_https_addresses),
		cmocka_unit_test(http__without_a_list_of_authorities_is_not_made),
		cmocka_unit_test(post__goes_to_ports_that_there_are),
#ifndef IS_SANITIZED
		cmocka_unit_test(http__without_memory_or_descriptors_says_so_and_is_made_the_next_time),
		cmocka_unit_test(post__without_memory_is_for_later_and_says_why),
#endif
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
