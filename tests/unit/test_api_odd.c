/* What nobody asks who reads the protocol, and what comes only with many: parameters said wrong, damage, floods, browsers. */
#include "agent/api_own.h"
#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/api_kit.h"

#define PIXEL_A "/v1/pixels/" A
#define LACKING "C7U2T02IU8J6B9GC2B90"
static const char rules[] = "[access reader]\nuser = 1001\npixels = " A "\nverbs = meta read\n";

static int start(void **state)
{
	if (vault_make(state) != 0)
		return -1;
	kit_start(rules);
	kit_open();
	return 0;
}

static int start_locked(void **state)
{
	if (vault_make(state) != 0)
		return -1;
	kit_start(rules);
	return 0;
}

static int end(void **state)
{
	kit_end();
	return scratch_remove(state);
}

static void drop_errands(void)
{
	while (kit.errands) {
		struct errand *e = kit.errands;
		kit.errands = e->next;
		errand_free(e);
	}
}

/* What the listener does when a peer hangs up. */
static void hang_up(struct fake *f)
{
	if (f->call.gone)
		f->call.gone(f->call.keeper);
	fake_done(f);
}

/* ---- said wrong ---- */

static void parameters__said_wrong_are_refused_and_nothing_is_done(void **state)
{
	static const struct {
		const char *method, *target, *body;
	} wrong[] = {
		{ "GET", PIXEL_A "/token?previous=2", NULL },
		{ "GET", PIXEL_A "/token?healthy=yes", NULL },
		{ "GET", PIXEL_A "/token?version=0", NULL },
		{ "GET", PIXEL_A "/token?version=99999999999", NULL },
		{ "GET", PIXEL_A "/token?version=4294967296", NULL },
		{ "GET", PIXEL_A "/token?version=1&previous=1", NULL },
		{ "PUT", PIXEL_A "/token?family=cousins", "token" },
		{ "PUT", PIXEL_A "/token?family=plain", "token" },
		{ "PUT", PIXEL_A "/token?standby=2", "token" },
		{ "PUT", PIXEL_A "/token?own=yes", "token" },
		{ "POST", PIXEL_A "/check?probe=hard", NULL },
		{ "POST", PIXEL_A "/check?probe=", NULL },
		{ "POST", "/v1/check?label=nothing", NULL },
		{ "POST", PIXEL_A "/retire?force=2", NULL },
		{ "POST", PIXEL_A "/labels?label=nothing", NULL },
		{ "DELETE", PIXEL_A "?destroy=2", NULL },
		{ "POST", PIXEL_A "/swap", "  {\"with\":\"C1U2T02IU8J6B9\\u0047C2B9G\"}" },
		{ "POST", PIXEL_A "/swap", "{\"with\":\"" B B B "\"}" },
		{ "POST", PIXEL_A "/swap", "{\"with\":7777}" },
		{ "POST", PIXEL_A "/swap", "[\"with\"]" },
		{ "POST", PIXEL_A "/report", "{\"code\":1,\"request_id\":\"\xc3\xa9\"}" },
		{ "POST", PIXEL_A "/report", "{\"code\":1234567890123456789012345678901234567890}" },
		{ "POST", PIXEL_A "/ack", "{\"version\":1.0,\"as\":\"x\"}" },
		{ "GET", "/v1/levels?since=soon", NULL },
		{ "GET", "/v1/levels?until=soon", NULL },
		{ "GET", "/v1/levels?label=nothing", NULL },
		{ "GET", "/v1/board?label=nothing", NULL },
		{ "GET", "/v1/pixels?label=nothing", NULL },
		{ "GET", "/healthz?ready=2", NULL },
		{ "POST", "/v1/unlock?for=0", NULL },
		{ "POST", "/v1/unlock?for=99999999", NULL },
		{ "POST", "/v1/unlock?for=soon", NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct fake f;
		fake_init(&f, 0);
		ask(&f, wrong[i].method, wrong[i].target, wrong[i].body);
		if (f.call.status != 400 || !strstr(body_of(&f), "\"detail\":"))
			fail_msg("%s %s: %d %s", wrong[i].method, wrong[i].target, f.call.status, body_of(&f));
		assert_null(kit.errands);
		fake_done(&f);
	}
}

static void headers__said_wrong_are_refused_or_passed_over(void **state)
{
	static const struct {
		int status;
		const char *method, *target, *body, *header, *value;
	} rows[] = {
		{ 400, "PUT", PIXEL_A "/token", "token", "If-Match", "\"1" },
		{ 400, "PUT", PIXEL_A "/token", "token", "If-Match", "1\"" },
		{ 400, "PUT", PIXEL_A "/token", "token", "If-Match", "\"123456789012345\"" },
		{ 400, "PUT", PIXEL_A "/token", "token", "If-Match", "\"12345678901\"" },
		{ 400, "POST", PIXEL_A "/report", "{\"code\":1}", "X-Consumer", "a b" },
		/* RFC 7240: a preference that is not understood is none. With one that is, it would wait. */
		{ 304, "GET", PIXEL_A "/token", NULL, "Prefer", "wait=soon" },
		{ 304, "GET", PIXEL_A "/token", NULL, "Prefer", "wait=-1" },
		{ 304, "GET", PIXEL_A "/token", NULL, "Prefer", "wait=:" },
		{ 304, "GET", PIXEL_A "/token", NULL, "Prefer", "respond-async, , return=minimal" },
		{ 0, "GET", PIXEL_A "/token", NULL, "Prefer", "return=minimal, wait=99999999999" },
		/* A version asked for by its number is there or not: nothing is waited for. */
		{ 304, "GET", PIXEL_A "/token?version=1", NULL, "Prefer", "wait=30" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fake f;
		fake_init(&f, 0);
		with_header(&f, rows[i].header, rows[i].value);
		with_header(&f, "If-None-Match", "\"1\"");
		ask(&f, rows[i].method, rows[i].target, rows[i].body);
		if (f.call.status != rows[i].status)
			fail_msg("%s: %s: %d", rows[i].header, rows[i].value, f.call.status);
		fake_done(&f);
		drop_errands();
	}
}

static void access__of_somebody_in_too_many_groups_is_refused(void **state)
{
	static char target[64 * 1024];
	struct fake f;
	(void)state;
	size_t used = (size_t)snprintf(target, sizeof target, "/v1/access?uid=1001");
	for (int i = 0; i < 1025; i++)
		used += (size_t)snprintf(target + used, sizeof target - used, "&group=%d", i);
	fake_init(&f, 0);
	ask(&f, "GET", target, NULL);
	assert_int_equal(f.call.status, 400);
	fake_done(&f);
}

/* ---- many ---- */

/* As systemd asks (agent/credentials.h): like any read, with its line, and only of what is there. */
static void credential__is_a_read_like_any_other(void **state)
{
	struct error err;
	struct secret *token = NULL;
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	memset(&err, 0, sizeof err);
	assert_true(api_credential(kit.api, &f.peer, A, "unit.service", &token, &err));
	assert_true(bytes_equal(secret_reveal(token), bytes_of_text(TOKEN_A)));
	secret_free(token);
	struct errand *e = kit_errand(ERRAND_MARK);
	assert_non_null(e);
	assert_string_equal(e->who.as, "unit.service");
	api_finish(kit.api, e);
	assert_false(api_credential(kit.api, &f.peer, LACKING, "unit.service", &token, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	api_stop(kit.api);
	assert_false(api_credential(kit.api, &f.peer, A, "unit.service", &token, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	fake_done(&f);
}

/* Lines of the audit log with this text. */
static size_t lines_with(const char *text)
{
	static char log[4 << 20];
	char path[PATH_MAX];
	size_t count = 0;
	snprintf(path, sizeof path, "%.*s.audit.log", (int)(strstr(anchor_path, ".anchor") - anchor_path), anchor_path);
	size_t len = file_bytes(path, (uint8_t *)log, sizeof log - 1);
	log[len] = '\0';
	for (const char *at = log; (at = strstr(at, text)); at++)
		count++;
	return count;
}

static void denials__in_a_flood_do_not_fill_the_disk(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 1009);
	for (int i = 0; i < 1000; i++)
		api_denied(kit.api, &f.peer, "get", A);
	size_t lines = lines_with("\"denied\"");
	assert_true(lines >= 200 && lines < 1000);
	kit_turn(1000);
	api_denied(kit.api, &f.peer, "get", A); /* and a second later there is room for some */
	assert_int_equal(lines_with("\"denied\""), lines + 1);
	fake_done(&f);
}

static void reads__more_than_a_turn_holds_are_all_answered(void **state)
{
	enum { MANY = COLLECTED_MAX * 2 + 3 };
	static struct fake fakes[MANY];
	struct error err;
	size_t body_max;
	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		fake_init(&fakes[i], 1001);
		fakes[i].call.method = METHOD_GET;
		assert_true(call_parse_target(&fakes[i].call, PIXEL_A "/token", &err));
		api_begin(kit.api, &fakes[i].call, &body_max);
		api_serve(kit.api, &fakes[i].call);
	}
	hang_up(&fakes[MANY - 1]); /* this one has gone before anything was written */
	api_settle(kit.api);
	for (size_t i = 0; i < MANY - 1; i++) {
		assert_int_equal(fakes[i].call.status, 200);
		assert_string_equal(body_of(&fakes[i]), TOKEN_A);
		fake_done(&fakes[i]);
	}
	drop_errands();
}

/* For so many Pixels the table of who reads what grows, and whoever was in it stays. */
static void readers__of_many_pixels_are_all_remembered(void **state)
{
	struct error err;
	struct fake f;
	struct credential c = { .pixel = "", .last_number = 1, .version_count = 1 };
	const struct health well = { .counter = 0 };
	(void)state;
	fake_init(&f, 1001);
	ask(&f, "GET", PIXEL_A "/token", NULL);
	fake_done(&f);
	drop_errands();
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT, .digest = { 1 } };
	for (size_t i = 0; i < 5000; i++) {
		struct holding *h, *before;
		snprintf(c.pixel, sizeof c.pixel, "C%019zu", i);
		assert_true(holding_new(&c, &well, false, bytes_of_text("sealed"), bytes_of("", 0), &h, &err));
		assert_true(holdings_put(kit.holdings, h, &before, &err));
	}
	size_t groups = kit.api->noted_groups;
	fake_init(&f, 0);
	ask(&f, "GET", PIXEL_A "/token", NULL);
	fake_done(&f);
	assert_true(kit.api->noted_groups > groups);
	drop_errands();
	fake_init(&f, 1001);
	ask(&f, "GET", PIXEL_A "/token", NULL);
	assert_int_equal(f.call.status, 200);
	fake_done(&f);
	assert_null(kit.errands); /* it was noted before the table grew */
}

static void events__are_kept_to_a_number_and_who_comes_late_is_told_to_begin_anew(void **state)
{
	struct holding *h, *other;
	struct error err;
	struct credential c = { .pixel = A, .last_number = 2, .version_count = 1 };
	const struct health well = { .counter = 0 };
	struct fake f;
	(void)state;
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT, .digest = { 1 } };
	assert_true(holding_new(&c, &well, false, bytes_of_text("sealed"), bytes_of("", 0), &h, &err));
	c.versions[0].number = 2;
	assert_true(holding_new(&c, &well, false, bytes_of_text("sealed"), bytes_of("", 0), &other, &err));
	for (int i = 0; i < EVENTS_KEPT + 10; i++)
		api_on_change(kit.api, i % 2 ? h : other, i % 2 ? other : h);
	fake_init(&f, 0);
	with_header(&f, "Last-Event-ID", "1");
	ask(&f, "GET", "/v1/events", NULL);
	assert_int_equal(f.call.stream.fill(f.call.stream.context, &f.streamed), STREAM_MORE);
	buf_append(&f.streamed, "", 1);
	assert_non_null(strstr((const char *)f.streamed.at, "event: reset"));
	fake_done(&f);
	for (const char *const *odd = (const char *const[]){ "x", "", "12x", "123456789012345678901", NULL }; *odd; odd++) {
		fake_init(&f, 0);
		with_header(&f, "Last-Event-ID", *odd);
		ask(&f, "GET", "/v1/events", NULL);
		(void)f.call.stream.fill(f.call.stream.context, &f.streamed);
		buf_append(&f.streamed, "", 1);
		assert_non_null(strstr((const char *)f.streamed.at, "event: reset"));
		fake_done(&f);
	}
	holding_free(h);
	holding_free(other);
}

/* A Pixel that lost its token has no version; it is told as null. */
static void events__of_a_pixel_that_is_gone_have_no_version(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/events", NULL);
	struct holding *gone = holdings_remove(kit.holdings, A);
	api_on_change(kit.api, gone, NULL);
	(void)f.call.stream.fill(f.call.stream.context, &f.streamed);
	buf_append(&f.streamed, "", 1);
	assert_non_null(strstr((const char *)f.streamed.at, "\"version\":null"));
	holding_free(gone);
	fake_done(&f);
}

/* ---- damage ---- */

static void damage__ends_a_list_as_a_direct_read_would(void **state)
{
	static const uint8_t id[PIXEL_ID_LEN] = { 7 };
	static const char *const whole[] = { "/v1/pixels", "/v1/levels?since=2026-01-01", "/v1/board" };
	static const char *const some[] = { "/v1/pixels?pixel=" LACKING, "/v1/levels?since=2026-01-01&pixel=" LACKING,
					    "/v1/pixels/" LACKING, "/v1/pixels/" LACKING "/token" };
	struct error damage, err;
	struct fake f;
	(void)state;
	struct holding *held = NULL;
	(void)!fail_class(&damage, ERR_DAMAGED, "damaged", "a record is damaged", "restore it");
	assert_true(holdings_note_damage(kit.holdings, id, &damage, &held, &err));
	assert_null(held);
	for (size_t i = 0; i < COUNT_OF(whole); i++) {
		fake_init(&f, 0);
		ask(&f, "GET", whole[i], NULL);
		if (!f.call.is_answered || f.call.status < 500)
			fail_msg("%s: %d", whole[i], f.call.status);
		assert_non_null(strstr(body_of(&f), "a record is damaged"));
		fake_done(&f);
	}
	for (size_t i = 0; i < COUNT_OF(some); i++) { /* it may be this one: the worker looks */
		fake_init(&f, 0);
		ask(&f, "GET", some[i], NULL);
		struct errand *e = kit_errand(ERRAND_LOOK);
		if (!e)
			fail_msg("%s: %d", some[i], f.call.status);
		assert_string_equal(e->pixel, LACKING);
		(void)!fail(&e->err, ERR_NOT_FOUND, "there is none", "put one");
		api_finish(kit.api, e);
		assert_int_equal(f.call.status, 404);
		fake_done(&f);
	}
	fake_init(&f, 0); /* whoever is there is told of as ever */
	ask(&f, "GET", "/v1/levels?since=2026-01-01&pixel=" A, NULL);
	assert_int_equal(f.call.status, 200);
	assert_non_null(strstr(body_of(&f), "\"schema\":1"));
	fake_done(&f);
}

/* The vault was closed while it was being told: a half answer must not look like a whole one. */
static void lists__that_are_cut_short_by_a_lock_are_broken_off(void **state)
{
	static const char *const targets[] = { "/v1/levels?since=2026-01-01", "/v1/board", "/v1/pixels" };
	struct fake f[COUNT_OF(targets)];
	struct error why = { .code = ERR_NONE };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		fake_init(&f[i], 0);
		ask(&f[i], "GET", targets[i], NULL);
		assert_int_equal(f[i].call.kind, ANSWER_STREAM);
	}
	api_closed(kit.api, &why);
	holdings_clear(kit.holdings);
	kit.opener = NULL;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		enum stream_step step = f[i].call.stream.fill(f[i].call.stream.context, &f[i].streamed);
		assert_int_equal(step, STREAM_FAIL);
		fake_done(&f[i]);
	}
}

/* ---- browsers ---- */

static struct secret *board_token;

static void web_ask(struct fake *f, const char *method, const char *target, const char *host, const char *given)
{
	fake_init(f, 0);
	f->peer.is_web = true;
	f->peer.view = NULL;
	if (host)
		with_header(f, "Host", host);
	if (given)
		with_header(f, "Authorization", given);
	ask(f, method, target, NULL);
}

static void expect_web(const char *method, const char *target, const char *host, const char *given, int status)
{
	struct fake f;
	web_ask(&f, method, target, host, given);
	if (f.call.status != status)
		fail_msg("%s %s, host %s: %d", method, target, host ? host : "none", f.call.status);
	if (status != 200)
		assert_null(strstr(body_of(&f), A));
	fake_done(&f);
}

#define RIGHT "Bearer 0123456789abcdef0123456789abcdef"

static void browsers__get_the_board_with_its_token_and_nothing_else(void **state)
{
	static const char *const hosts[] = { "127.0.0.1:80", "localhost:80", "localhost", "[::1]", "127.0.0.1" };
	static const char *const strangers[] = { NULL, "", "evil.example", "evil.example:80", "localhost:81", "localhost.evil" };
	(void)state;
	board_token = secret_of_text("0123456789abcdef0123456789abcdef");
	kit.api->setup.board_token = board_token;
	snprintf(kit.settings.status_listen, sizeof kit.settings.status_listen, "127.0.0.1:80");
	for (size_t i = 0; i < COUNT_OF(hosts); i++)
		expect_web("GET", "/v1/board", hosts[i], RIGHT, 200);
	for (size_t i = 0; i < COUNT_OF(strangers); i++)
		expect_web("GET", "/v1/board", strangers[i], RIGHT, 421);
	expect_web("GET", "/", "localhost", NULL, 200);
	expect_web("HEAD", "/v1/board", "localhost", RIGHT, 200);
	expect_web("POST", "/", "localhost", RIGHT, 405);
	expect_web("GET", "/v1/pixels", "localhost", RIGHT, 404);
	expect_web("GET", "/v2/board", "localhost", RIGHT, 404);
	expect_web("GET", "/v1", "localhost", RIGHT, 404);
	snprintf(kit.settings.status_listen, sizeof kit.settings.status_listen, "127.0.0.1:9187");
	expect_web("GET", "/v1/board", "localhost:9187", RIGHT, 200);
	expect_web("GET", "/v1/board", "localhost", RIGHT, 421);
	snprintf(kit.settings.status_listen, sizeof kit.settings.status_listen, "%s", "");
	expect_web("GET", "/v1/board", "localhost", RIGHT, 421);
	secret_free(board_token);
}

static void browsers__that_guess_are_slowed_down_and_keep_out_nobody(void **state)
{
	static const char *const wrong[] = { NULL, "", "Basic 0123456789abcdef0123456789abcdef", "Bearer 0123",
					     "Bearer 0123456789abcdef0123456789abcdeF" };
	(void)state;
	board_token = secret_of_text("0123456789abcdef0123456789abcdef");
	snprintf(kit.settings.status_listen, sizeof kit.settings.status_listen, "127.0.0.1:9187");
	expect_web("GET", "/v1/board", "localhost:9187", RIGHT, 401); /* there is no token yet: nobody has it */
	kit.api->setup.board_token = board_token;
	kit_turn(60000);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < COUNT_OF(wrong); i++)
			expect_web("GET", "/v1/board", "localhost:9187", wrong[i], 401);
	expect_web("GET", "/v1/board", "localhost:9187", wrong[0], 429);
	expect_web("GET", "/v1/board", "localhost:9187", RIGHT, 200);
	kit_turn(2000); /* one more each second */
	expect_web("GET", "/v1/board", "localhost:9187", wrong[0], 401);
	expect_web("GET", "/v1/board", "localhost:9187", wrong[0], 401);
	expect_web("GET", "/v1/board", "localhost:9187", wrong[0], 429);
	kit_turn(600000);
	for (size_t i = 0; i < 10; i++)
		expect_web("GET", "/v1/board", "localhost:9187", wrong[0], 401);
	secret_free(board_token);
}

/* ---- guessing the key ---- */

static void guessers__of_one_user_too_many_at_once_are_refused(void **state)
{
	struct fake f[3];
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fake_init(&f[i], 0);
		ask(&f[i], "POST", "/v1/unlock", "0123456789abcdef0123456789abcdef");
	}
	assert_int_equal(f[2].call.status, 429);
	assert_int_equal(f[1].call.status, 0);
	struct errand *e = kit_errand(ERRAND_UNLOCK);
	hang_up(&f[0]); /* it has gone before it was told */
	(void)!fail(&e->err, ERR_WRONG_KEY, "wrong", "another");
	api_finish(kit.api, e);
	api_stop(kit.api);
	assert_int_equal(f[1].call.status, 503);
	fake_done(&f[1]);
	fake_done(&f[2]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parameters__said_wrong_are_refused_and_nothing_is_done),
		TEST(headers__said_wrong_are_refused_or_passed_over),
		TEST(access__of_somebody_in_too_many_groups_is_refused),
		TEST(credential__is_a_read_like_any_other),
		TEST(denials__in_a_flood_do_not_fill_the_disk),
		TEST(reads__more_than_a_turn_holds_are_all_answered),
		TEST(readers__of_many_pixels_are_all_remembered),
		TEST(events__are_kept_to_a_number_and_who_comes_late_is_told_to_begin_anew),
		TEST(events__of_a_pixel_that_is_gone_have_no_version),
		TEST(damage__ends_a_list_as_a_direct_read_would),
		TEST(lists__that_are_cut_short_by_a_lock_are_broken_off),
		TEST(browsers__get_the_board_with_its_token_and_nothing_else),
		TEST(browsers__that_guess_are_slowed_down_and_keep_out_nobody),
		cmocka_unit_test_setup_teardown(guessers__of_one_user_too_many_at_once_are_refused, start_locked, end),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
