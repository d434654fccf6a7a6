/* Every request, answered from memory or by an errand that the test finishes in the worker's place. */
#include "agent/api_own.h"
#include "agent/credentials.h"
#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/api_kit.h"

#include <sys/resource.h>

static const char rules[] = "[access reader]\nuser = 1001\npixels = " A "\nverbs = meta read\n"
			    "[access putter]\nuser = 1002\npixels = " A "\nverbs = put report\n"
			    "[access pair]\nuser = 1004\npixels = " A " " B "\nverbs = put\n";
#define READER 1001
#define PUTTER 1002
#define PAIR 1004
#define STRANGER 1009

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

static void expect_problem(struct fake *f, int status, const char *type)
{
	char wanted[64];
	const char *why, *body = body_of(f);
	assert_true(f->call.is_answered);
	assert_int_equal(f->delivered, 1);
	assert_int_equal(f->call.status, status);
	assert_string_equal(f->call.type, "application/problem+json");
	assert_true(json_check(bytes_of_text(body), (struct json_limits){ 4, 60 }, &why));
	snprintf(wanted, sizeof wanted, "\"type\":\"%s\"", type);
	if (!strstr(body, wanted))
		fail_msg("no %s in %s", wanted, body);
	assert_null(strstr(body, TOKEN_A));
}

static void expect_json(struct fake *f, int status)
{
	const char *why, *body = body_of(f);
	assert_int_equal(f->call.status, status);
	assert_string_equal(f->call.type, "application/json");
	if (!json_check(bytes_of_text(body), (struct json_limits){ 8, 4096 }, &why))
		fail_msg("%s: %s", why, body);
}

static void expect_in(struct fake *f, const char *text)
{
	const char *body = body_of(f);
	if (!strstr(body, text))
		fail_msg("no %s in %s", text, body);
}

/* Shorthand: one request of root's, with what it comes to. */
static void refuses(const char *method, const char *target, const char *body, int status, const char *type)
{
	struct fake f;
	fake_init(&f, 0);
	ask(&f, method, target, body);
	expect_problem(&f, status, type);
	assert_null(kit.errands);
	fake_done(&f);
}

/* ---- reads ---- */

static void api__a_get_gives_exactly_the_token_and_what_is_known_of_it(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, READER);
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	assert_int_equal(f.call.status, 200);
	assert_int_equal(f.delivered, 1);
	assert_string_equal(body_of(&f), TOKEN_A);
	assert_string_equal(answer_header(&f, "ETag"), "\"1\"");
	assert_string_equal(answer_header(&f, "X-Version"), "1");
	assert_string_equal(answer_header(&f, "X-Verdict"), "unchecked");
	assert_non_null(answer_header(&f, "X-Fingerprint"));
	assert_null(answer_header(&f, "X-Proven-At"));
	fake_done(&f);
}

static void api__a_get_as_json_is_the_object_of_get(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, READER);
	with_header(&f, "Accept", "application/json");
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	expect_json(&f, 200);
	expect_in(&f, "{\"schema\":1,\"pixel\":\"" A "\",\"version\":1,\"token\":\"" TOKEN_A "\",\"fingerprint\":\"tk-");
	fake_done(&f);
}

static void api__weights_in_accept_count(void **state)
{
	static const char *const bytes_wanted[] = { "application/json;q=0", "application/json;q=0.5, text/plain", "*/*" };
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bytes_wanted); i++) {
		fake_init(&f, READER);
		with_header(&f, "Accept", bytes_wanted[i]);
		ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
		assert_string_equal(body_of(&f), TOKEN_A);
		fake_done(&f);
	}
	fake_init(&f, READER);
	with_header(&f, "Accept", "text/plain;q=0, */*;q=0.1");
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	expect_json(&f, 200);
	fake_done(&f);
}

static void api__a_known_version_is_304_and_written_down_too(void **state)
{
	static const char *const same[] = { "\"1\"", "W/\"1\"", "\"7\", \"1\"", "*" };
	static const char *const other[] = { "\"2\"", "\"11\"", "1", "" };
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(same); i++) {
		fake_init(&f, READER);
		with_header(&f, "If-None-Match", same[i]);
		ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
		assert_int_equal(f.call.status, 304);
		assert_string_equal(body_of(&f), "");
		fake_done(&f);
	}
	for (size_t i = 0; i < COUNT_OF(other); i++) {
		fake_init(&f, READER);
		with_header(&f, "If-None-Match", other[i]);
		ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
		assert_int_equal(f.call.status, 200);
		fake_done(&f);
	}
}

/* Lines of the audit log that hold this text. */
static size_t lines_with(const char *text)
{
	static char log[1 << 20];
	char path[PATH_MAX];
	size_t count = 0;
	snprintf(path, sizeof path, "%s", anchor_path);
	char *end_at = strstr(path, ".anchor");
	assert_non_null(end_at);
	memcpy(end_at, ".audit.log", 11);
	size_t len = file_bytes(path, (uint8_t *)log, sizeof log - 1);
	log[len] = '\0';
	for (char *line = log, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		count += strstr(line, text) != NULL;
	}
	return count;
}

static void read_as_root(int status)
{
	struct fake f;
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	assert_int_equal(f.call.status, status);
	if (status != 200)
		expect_problem(&f, 500, "storage");
	fake_done(&f);
}

static void api__each_read_and_each_denial_is_one_line(void **state)
{
	struct fake f;
	(void)state;
	size_t before = lines_with("\"get\"");
	read_as_root(200);
	assert_int_equal(lines_with("\"get\""), before + 1);
	fake_init(&f, STRANGER);
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	expect_problem(&f, 403, "denied");
	assert_int_equal(lines_with("\"denied\""), 1);
	fake_done(&f);
}

/* The id that came with the holding is the one that the log makes of the code itself. */
static void api__a_read_stands_in_the_log_by_the_id_of_its_pixel(void **state)
{
	uint8_t id[PIXEL_ID_LEN];
	char of_a[64], of_b[64], hex[PIXEL_ID_LEN * 2 + 1];
	(void)state;
	vault_log_id(kit.vault, A, id);
	snprintf(of_a, sizeof of_a, "\"pixel\":\"%s\"", sodium_bin2hex(hex, sizeof hex, id, sizeof id));
	vault_log_id(kit.vault, B, id);
	snprintf(of_b, sizeof of_b, "\"pixel\":\"%s\"", sodium_bin2hex(hex, sizeof hex, id, sizeof id));
	size_t lines_of_a = lines_with(of_a), lines_of_b = lines_with(of_b);
	assert_true(lines_of_a > 0 && lines_of_b > 0); /* of their puts, for which no id was given */
	read_as_root(200);
	assert_int_equal(lines_with(of_a), lines_of_a + 1);
	assert_int_equal(lines_with(of_b), lines_of_b);
}

/* A read in a round of the loop of its own, so many milliseconds behind the last one. */
static void read_behind(int64_t ms, int status)
{
	kit.now_ms += ms;
	api_begin_turn(kit.api, kit.now_ms);
	read_as_root(status);
	api_end_turn(kit.api, kit.now_ms);
}

static void api__a_lone_read_lets_go_of_the_log_at_once_and_steady_ones_share_a_turn(void **state)
{
	(void)state;
	kit_turn(1000);
	read_behind(500, 200);
	assert_false(kit.api->is_in_turn);
	assert_int_equal(api_wait_ms(kit.api, 250), 250);
	for (int round = 0; round < 3; round++) {
		read_behind(1, 200);
		assert_true(kit.api->is_in_turn);
		assert_int_equal(api_wait_ms(kit.api, 250), 2);
		assert_int_equal(api_wait_ms(kit.api, 0), 0);
		read_behind(1, 200);
		assert_true(kit.api->is_in_turn);
		assert_int_equal(api_wait_ms(kit.api, 250), 1);
		kit_turn(1); /* nobody came */
		assert_false(kit.api->is_in_turn);
		for (int i = 0; i < 4; i++) { /* others get in between */
			read_behind(0, 200);
			assert_false(kit.api->is_in_turn);
		}
	}
	read_behind(10, 200);
	assert_false(kit.api->is_in_turn);
}

static void api__a_lock_that_was_not_to_be_had_is_tried_again_by_the_next_read(void **state)
{
	char log[PATH_MAX], lock[PATH_MAX + 8];
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	(void)state;
	snprintf(log, sizeof log, "%s", anchor_path);
	memcpy(strstr(log, ".anchor"), ".audit.log", sizeof ".audit.log");
	snprintf(lock, sizeof lock, "%s.lock", log);
	read_behind(500, 200);
	int fd = open(lock, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	read_behind(1, 500);
	assert_false(kit.api->is_in_turn);
	close(fd);
	read_behind(1, 200);
}

static void api__without_a_line_there_is_no_token(void **state)
{
	struct rlimit was, none;
	(void)state;
	read_as_root(200);
	kit_turn(1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = was;
	none.rlim_cur = 1;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	read_as_root(500);
	kit_turn(1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	read_as_root(200);
}

static void api__a_denied_caller_cannot_tell_whether_the_pixel_is_stored(void **state)
{
	struct fake there, nowhere;
	(void)state;
	fake_init(&there, READER);
	fake_init(&nowhere, READER);
	ask(&there, "GET", "/v1/pixels/" B "/token", NULL);
	ask(&nowhere, "GET", "/v1/pixels/C9U2T02IU8J6B9GC2B9G/token", NULL);
	expect_problem(&there, 403, "denied");
	expect_problem(&nowhere, 403, "denied");
	assert_int_equal(there.call.buf.len, nowhere.call.buf.len);
	fake_done(&there);
	fake_done(&nowhere);
}

static void api__what_is_not_there_is_404_and_says_why(void **state)
{
	(void)state;
	refuses("GET", "/v1/pixels/C9U2T02IU8J6B9GC2B9G/token", NULL, 404, "not-found");
	refuses("GET", "/v1/pixels/" A "/token?previous=1", NULL, 404, "not-found");
	refuses("GET", "/v1/pixels/" A "/token?version=9", NULL, 404, "not-found");
	refuses("GET", "/v1/pixels/C9U2T02IU8J6B9GC2B9G", NULL, 404, "not-found");
	refuses("GET", "/nowhere", NULL, 404, "not-found");
	refuses("GET", "/", NULL, 404, "not-found");
	refuses("GET", "/v1/pixels/" A "/token/", NULL, 404, "not-found");
}

static void api__a_pending_token_is_named(void **state)
{
	struct put_job job = { .pixel = "C5U2T02IU8J6B9GC2B9G", .token = TOKEN_A, .now = 1700000000 };
	struct fake f;
	struct error err;
	(void)state;
	assert_true(vault_change(kit.vault, put_one, &job, &err));
	kit_load();
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels/C5U2T02IU8J6B9GC2B9G/token", NULL);
	expect_problem(&f, 404, "not-found");
	expect_in(&f, "version 1 waits as pending");
	fake_done(&f);
}

static void api__what_cannot_be_meant_is_refused(void **state)
{
	static const char *const targets[] = {
		"/v1/pixels/" A "/token?x=1",	    "/v1/pixels/" A "/token?version=0", "/v1/pixels/" A "/token?version=a",
		"/v1/pixels/" A "/token?version=-1", "/v1/pixels/" A "/token?version=1&version=1",
		"/v1/pixels/" A "/token?version=4294967296", "/v1/pixels/" A "/token?healthy=yes",
		"/v1/pixels/" A "/token?version=1&previous=1", "/v1/pixels/" A "/token?%", "/v1/pixels?label=nonsense",
		"/v1/pixels/" A "?probe=dry", "/v1/access?pixel=" A "&pixel=" B
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(targets); i++)
		refuses("GET", targets[i], NULL, 400, "usage");
	refuses("GET", "/v1/pixels/lower/token", NULL, 400, "malformed");
	refuses("GET", "/v1/pixels?pixel=short", NULL, 400, "malformed");
}

static void api__a_consumers_bad_name_is_refused(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	with_header(&f, "X-Consumer", "two words");
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	assert_int_equal(f.call.status, 400);
	fake_done(&f);
}

static void api__a_method_that_is_not_taken_is_405_and_says_which_are(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	ask(&f, "POST", "/v1/pixels/" A "/token", NULL);
	expect_problem(&f, 405, "usage");
	assert_string_equal(answer_header(&f, "Allow"), "GET, HEAD, PUT");
	fake_done(&f);
	refuses("PATCH", "/v1/pixels", NULL, 405, "usage");
}

static void api__every_request_but_health_asks_for_a_rule(void **state)
{
	static const char *const requests[][2] = {
		{ "GET", "/v1/pixels/" A "/token" },	   { "PUT", "/v1/pixels/" A "/token" },
		{ "GET", "/v1/pixels" },		   { "GET", "/v1/pixels/" A },
		{ "GET", "/v1/pixels/" A "/history" },	   { "DELETE", "/v1/pixels/" A },
		{ "POST", "/v1/pixels/" A "/check" },	   { "POST", "/v1/check" },
		{ "POST", "/v1/check?pixel=" A },	   { "POST", "/v1/pixels/" A "/report" },
		{ "POST", "/v1/pixels/" A "/ack" },	   { "POST", "/v1/pixels/" A "/rollback" },
		{ "POST", "/v1/pixels/" A "/swap" },	   { "POST", "/v1/pixels/" A "/move" },
		{ "POST", "/v1/pixels/" A "/retire" },	   { "POST", "/v1/pixels/" A "/labels" },
		{ "POST", "/v1/rotate" },
		{ "GET", "/v1/alerts" },		   { "POST", "/v1/alerts/ack" },
		{ "POST", "/v1/alerts/test" },
		{ "POST", "/v1/pixels/" A "/restore" },	   { "POST", "/v1/verify" },
		{ "POST", "/v1/unlock" },		   { "POST", "/v1/lock" },
		{ "GET", "/v1/access" },		   { "GET", "/v1/events" },
		{ "GET", "/metrics" },			   { "GET", "/v1/board" },
	};
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		fake_init(&f, STRANGER);
		ask(&f, requests[i][0], requests[i][1], "{}");
		expect_problem(&f, 403, "denied");
		fake_done(&f);
	}
	fake_init(&f, STRANGER);
	ask(&f, "GET", "/healthz", NULL);
	expect_json(&f, 200);
	expect_in(&f, "\"ready\":true,\"locked\":false");
	fake_done(&f);
	assert_null(kit.errands);
}

static void api__a_check_of_some_asks_for_a_rule_for_each(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/check?pixel=" A "&pixel=" B, NULL);
	expect_problem(&f, 403, "denied");
	fake_done(&f);
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/check?pixel=" A, NULL);
	assert_false(f.call.is_answered);
	struct errand *e = kit_errand(ERRAND_CHECK);
	assert_int_equal(e->pixel_count, 1);
	api_finish(kit.api, e);
	expect_json(&f, 200);
	fake_done(&f);
}

/* ---- waiting ---- */

static void wait_for(struct fake *f, uid_t uid, const char *prefer)
{
	fake_init(f, uid);
	with_header(f, "If-None-Match", "\"1\"");
	with_header(f, "Prefer", prefer);
	ask(f, "GET", "/v1/pixels/" A "/token", NULL);
	assert_false(f->call.is_answered);
}

static void api__who_waits_gets_the_new_version_when_it_comes(void **state)
{
	struct fake f;
	(void)state;
	wait_for(&f, READER, "respond-async, wait=30");
	kit_turn(29000);
	assert_false(f.call.is_answered);
	put_token(kit.vault, A, "cccccccccccccccccccccccccccccccccccccccc");
	kit_load();
	assert_int_equal(f.call.status, 200);
	assert_string_equal(body_of(&f), "cccccccccccccccccccccccccccccccccccccccc");
	assert_string_equal(answer_header(&f, "Preference-Applied"), "wait=30");
	assert_string_equal(answer_header(&f, "ETag"), "\"2\"");
	fake_done(&f);
}

static void api__who_waits_in_vain_gets_304(void **state)
{
	struct fake f;
	(void)state;
	wait_for(&f, READER, "wait=2");
	kit_turn(1900);
	assert_false(f.call.is_answered);
	kit_turn(200);
	assert_int_equal(f.call.status, 304);
	assert_string_equal(answer_header(&f, "Preference-Applied"), "wait=2");
	fake_done(&f);
}

static void api__who_waited_and_went_is_forgotten(void **state)
{
	struct fake f;
	(void)state;
	wait_for(&f, READER, "wait=300");
	assert_non_null(f.call.gone);
	f.call.gone(f.call.keeper);
	put_token(kit.vault, A, "cccccccccccccccccccccccccccccccccccccccc");
	kit_load();
	kit_turn(400000);
	assert_int_equal(f.delivered, 0);
	fake_done(&f);
}

static void api__locking_answers_who_waits(void **state)
{
	struct fake f;
	struct error none = { .code = ERR_NONE };
	(void)state;
	wait_for(&f, READER, "wait=300");
	api_closed(kit.api, &none);
	expect_problem(&f, 503, "locked");
	fake_done(&f);
}

static void api__an_agent_that_ends_tells_who_waits_to_come_back(void **state)
{
	struct fake f, late;
	(void)state;
	wait_for(&f, READER, "wait=300");
	api_stop(kit.api);
	expect_problem(&f, 503, "conflict");
	assert_string_equal(answer_header(&f, "Retry-After"), "1");
	fake_done(&f);
	refuses("GET", "/v1/pixels/" A "/token", NULL, 503, "conflict");
	refuses("PUT", "/v1/pixels/" A "/token", "token", 503, "conflict");
	refuses("POST", "/v1/lock", NULL, 503, "conflict");
	fake_init(&late, READER);
	ask(&late, "GET", "/healthz?ready=1", NULL);
	expect_json(&late, 503);
	expect_in(&late, "\"ready\":false");
	expect_in(&late, "\"reason\":\"the agent is ending\"");
	fake_done(&late);
	assert_null(kit.errands);
}

static void api__what_was_begun_is_answered_while_the_agent_ends(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/pixels/" A "/ack", "{\"version\":1,\"as\":\"shop\"}");
	api_stop(kit.api);
	kit_turn(1);
	assert_false(f.call.is_answered);
	api_finish(kit.api, kit_errand(ERRAND_ACK));
	expect_json(&f, 200);
	fake_done(&f);
}

/* ---- what is not in memory ---- */

static void api__an_old_version_comes_from_the_worker(void **state)
{
	struct fake f;
	(void)state;
	put_token(kit.vault, A, "cccccccccccccccccccccccccccccccccccccccc");
	put_token(kit.vault, A, "dddddddddddddddddddddddddddddddddddddddd");
	kit_load();
	fake_init(&f, READER);
	ask(&f, "GET", "/v1/pixels/" A "/token?previous=1", NULL);
	assert_string_equal(body_of(&f), "cccccccccccccccccccccccccccccccccccccccc");
	fake_done(&f);
	fake_init(&f, READER);
	ask(&f, "GET", "/v1/pixels/" A "/token?version=1", NULL);
	assert_false(f.call.is_answered);
	struct errand *e = kit_errand(ERRAND_TOKEN);
	assert_int_equal(e->number, 1);
	assert_int_equal(e->who.uid, READER);
	e->secret = secret_of_text(TOKEN_A);
	api_finish(kit.api, e);
	assert_int_equal(f.call.status, 200);
	assert_string_equal(body_of(&f), TOKEN_A);
	assert_string_equal(answer_header(&f, "ETag"), "\"1\"");
	fake_done(&f);
}

static void api__an_answer_for_nobody_is_dropped(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	ask(&f, "POST", "/v1/verify", NULL);
	f.call.gone(f.call.keeper);
	api_finish(kit.api, kit_errand(ERRAND_VERIFY));
	assert_int_equal(f.delivered, 0);
	fake_done(&f);
}

static void api__durable_reads_of_a_turn_share_one_sync(void **state)
{
	struct fake one, two;
	(void)state;
	kit.settings.audit_reads_durable = true;
	fake_init(&one, 0);
	fake_init(&two, READER);
	ask(&one, "GET", "/v1/pixels/" A "/token", NULL);
	ask(&two, "GET", "/v1/pixels/" A "/token", NULL);
	assert_false(one.call.is_answered || two.call.is_answered);
	kit_turn(1);
	struct errand *e = kit_errand(ERRAND_SYNC);
	assert_non_null(e);
	assert_null(kit_errand(ERRAND_SYNC));
	api_finish(kit.api, e);
	assert_string_equal(body_of(&one), TOKEN_A);
	assert_string_equal(body_of(&two), TOKEN_A);
	fake_done(&one);
	fake_done(&two);
}

static void api__a_sync_that_fails_keeps_the_token_back(void **state)
{
	struct fake f;
	(void)state;
	kit.settings.audit_reads_durable = true;
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	kit_turn(1);
	struct errand *e = kit_errand(ERRAND_SYNC);
	(void)!fail_class(&e->err, ERR_STORAGE, "audit", "no", "way");
	api_finish(kit.api, e);
	expect_problem(&f, 500, "storage");
	fake_done(&f);
}

/* ---- who reads what ---- */

static void read_as(const char *name, uid_t uid, const char *prefer, char *unnamed)
{
	struct fake f;
	fake_init(&f, uid);
	f.call.unnamed = unnamed;
	if (prefer)
		with_header(&f, "Prefer", prefer);
	if (name)
		with_header(&f, "X-Consumer", name);
	ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
	assert_int_equal(f.call.status, 200);
	fake_done(&f);
}

static void read_named(const char *name)
{
	read_as(name, 0, NULL, NULL);
}

static void expect_mark(const char *name, uid_t uid)
{
	struct errand *e = kit_errand(ERRAND_MARK);
	assert_string_equal(e->who.as, name);
	assert_int_equal(e->who.uid, uid);
	api_finish(kit.api, e);
	assert_null(kit.errands);
}

static void api__who_has_no_name_is_looked_up_once_a_connection(void **state)
{
	char first[CONSUMER_NAME_MAX + 1] = "", second[CONSUMER_NAME_MAX + 1] = "unit:shop.service@uid:1001";
	(void)state;
	read_as(NULL, READER, NULL, first);
	assert_string_equal(first, "uid:1001"); /* kept with the connection */
	expect_mark("uid:1001", READER);
	read_as(NULL, READER, NULL, first);
	assert_null(kit.errands);
	read_as(NULL, READER, NULL, second); /* what is kept there is taken, and nothing asked again */
	expect_mark("unit:shop.service@uid:1001", READER);
	read_as("shop", READER, NULL, second);
	expect_mark("shop", READER);
	assert_string_equal(second, "unit:shop.service@uid:1001");
	read_as(NULL, READER, NULL, NULL);
	assert_null(kit.errands);
}

static void api__who_connects_anew_each_time_is_looked_up_now_and_then(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		char unnamed[CONSUMER_NAME_MAX + 1] = "";
		read_as(NULL, READER, NULL, unnamed);
		assert_string_equal(unnamed, "uid:1001");
	}
	expect_mark("uid:1001", READER);
	struct process_name *known = &kit.api->processes[NO_PID % PROCESSES_KEPT];
	assert_string_equal(known->name, "uid:1001");
	snprintf(known->name, sizeof known->name, "unit:a.service@uid:1001");
	read_as(NULL, READER, NULL, NULL);
	expect_mark("unit:a.service@uid:1001", READER);
	read_as(NULL, 0, NULL, NULL); /* the same number in another's hands */
	expect_mark("uid:0", 0);
	assert_string_equal(known->name, "uid:0");
	snprintf(known->name, sizeof known->name, "unit:b.service@uid:1001");
	known->uid = READER;
	known->until_ms = kit.api->now_ms;
	read_as(NULL, READER, NULL, NULL);
	assert_string_equal(known->name, "uid:1001");
	assert_null(kit.errands);
}

static void api__a_person_who_looks_is_not_noted(void **state)
{
	(void)state;
	read_as(NULL, READER, "unnoted", NULL);
	read_as(NULL, READER, "wait=0, unnoted;q=1", NULL);
	assert_null(kit.errands);
	read_as("shop", READER, "unnoted", NULL); /* a name was given to be noted */
	expect_mark("shop", READER);
	read_as(NULL, READER, "unnoted-x, xunnoted", NULL);
	expect_mark("uid:1001", READER);
}

static void api__names_of_those_who_chose_none_cannot_be_chosen(void **state)
{
	static const char *const names[] = { "uid:0", "unit:shop.service@uid:1001", "UID:0" };
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		fake_init(&f, READER);
		with_header(&f, "X-Consumer", names[i]);
		ask(&f, "GET", "/v1/pixels/" A "/token", NULL);
		expect_problem(&f, 400, "usage");
		expect_in(&f, "no name to choose");
		assert_null(kit.errands);
		fake_done(&f);
	}
}

static void add_mark(struct errand *e, const char *name, uint32_t version, int64_t at, bool is_acked)
{
	struct read_mark mark = { .version = version, .at = at, .is_acked = is_acked };
	snprintf(mark.name, sizeof mark.name, "%s", name);
	buf_append(&e->marks, &mark, sizeof mark);
}

/* As if the last note were so many seconds older; below 0, as if the clock had gone back since. */
static void age_notes(int32_t seconds)
{
	for (size_t i = 0; i < kit.api->noted_groups * NOTED_WAYS; i++)
		kit.api->noted[i].at -= (uint32_t)seconds;
}

static void api__a_reader_is_noted_again_a_day_later_and_when_the_note_is_to_be_forgotten(void **state)
{
	(void)state;
	read_named("here");
	expect_mark("here", 0);
	age_notes(24 * 3600 - 60);
	read_named("here");
	assert_null(kit.errands);
	age_notes(-48 * 3600);
	read_named("here");
	assert_null(kit.errands);
	age_notes(48 * 3600 + 120);
	read_named("here");
	expect_mark("here", 0);
	read_named("here");
	assert_null(kit.errands);
	api_forget_reader(kit.api, "other", A);
	read_named("here");
	assert_null(kit.errands);
	api_forget_reader(kit.api, "here", A);
	read_named("here");
	expect_mark("here", 0);
}

static void api__rollout_tells_who_was_here_since_the_mark_was_written(void **state)
{
	struct fake f;
	char today[] = "\"at\":\"20";
	(void)state;
	read_named("here");
	expect_mark("here", 0);
	read_named("moved");
	expect_mark("moved", 0);
	for (size_t i = 0; i < kit.api->noted_groups * NOTED_WAYS; i++)
		kit.api->noted[i].seen_at = 500;
	read_named("here");
	assert_null(kit.errands);
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels/" A "/rollout", NULL);
	struct errand *e = kit_errand(ERRAND_ROLLOUT);
	e->marks = (struct buf)BUF_INIT(4096);
	add_mark(e, "here", 1, 1000, false);
	add_mark(e, "moved", 7, 1000, true);
	add_mark(e, "gone", 1, 1000, false);
	api_finish(kit.api, e);
	expect_json(&f, 200);
	char wanted[64];
	snprintf(wanted, sizeof wanted, "{\"as\":\"here\",\"version\":1,%s", today);
	expect_in(&f, wanted);
	expect_in(&f, "{\"as\":\"moved\",\"version\":7,\"at\":\"1970-01-01T00:16:40Z\",\"acked\":true}");
	expect_in(&f, "{\"as\":\"gone\",\"version\":1,\"at\":\"1970-01-01T00:16:40Z\",\"acked\":false}");
	fake_done(&f);
}

static void api__a_reader_is_noted_once_a_version(void **state)
{
	(void)state;
	read_named("checkout");
	struct errand *e = kit_errand(ERRAND_MARK);
	assert_string_equal(e->who.as, "checkout");
	assert_string_equal(e->pixel, A);
	assert_int_equal(e->number, 1);
	api_finish(kit.api, e);
	read_named("checkout");
	assert_null(kit.errands);
	read_named(NULL);
	e = kit_errand(ERRAND_MARK);
	assert_string_equal(e->who.as, "uid:0");
	api_finish(kit.api, e);
	put_token(kit.vault, A, "cccccccccccccccccccccccccccccccccccccccc");
	kit_load();
	read_named("checkout");
	e = kit_errand(ERRAND_MARK);
	assert_int_equal(e->number, 2);
	api_finish(kit.api, e);
}

static void api__made_up_names_do_not_flood_the_worker(void **state)
{
	char name[32];
	size_t given = 0;
	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "name-%d", i);
		read_named(name);
	}
	for (struct errand *e = kit.errands; e; e = e->next)
		given++;
	assert_true(given > 0 && given <= 64);
}

/* ---- listings ---- */

static void api__a_list_holds_what_the_caller_may_see(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, READER);
	ask(&f, "GET", "/v1/pixels", NULL);
	expect_json(&f, 200);
	assert_true(f.has_ended);
	assert_non_null(strstr((const char *)f.streamed.at, A));
	assert_null(strstr((const char *)f.streamed.at, B));
	fake_done(&f);
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels?pixel=" B, NULL);
	expect_json(&f, 200);
	assert_null(strstr((const char *)f.streamed.at, A));
	assert_non_null(strstr((const char *)f.streamed.at, B));
	fake_done(&f);
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels?label=shop%3Dberlin", NULL);
	assert_string_equal(body_of(&f), "{\"schema\":1,\"pixels\":[]}\n");
	fake_done(&f);
}

static void api__lists_say_by_what_clock_they_were_judged(void **state)
{
	static const char *const targets[] = { "/v1/pixels", "/v1/pixels/" A };
	struct fake f;
	(void)state;
	kit.clock = 1798859045;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		fake_init(&f, READER);
		ask(&f, "GET", targets[i], NULL);
		assert_string_equal(answer_header(&f, "X-Judged-At"), "2027-01-02T03:04:05Z");
		fake_done(&f);
	}
}

static void api__records_are_the_bytes_that_are_stored(void **state)
{
	struct fake f;
	uint64_t end_mark;
	struct bytes magic, part;
	(void)state;
	fake_init(&f, 0);
	with_header(&f, "Accept", "application/x-pixelvault-records");
	ask(&f, "GET", "/v1/pixels", NULL);
	(void)body_of(&f);
	assert_string_equal(f.call.type, "application/x-pixelvault-records");
	struct bytes rest = buf_bytes(&f.streamed);
	assert_true(bytes_take(&rest, 8, &magic));
	assert_memory_equal(magic.at, "PVREC\0\0\1", 8);
	for (const char *const *pixel = (const char *const[]){ A, B, NULL }; *pixel; pixel++) {
		uint32_t len;
		struct credential c;
		struct health h;
		assert_true(bytes_take_u32(&rest, &len) && bytes_take(&rest, len, &part) && credential_decode(part, &c));
		assert_string_equal(c.pixel, *pixel);
		assert_true(bytes_take_u32(&rest, &len) && bytes_take(&rest, len, &part) && health_decode(part, &h));
	}
	assert_true(bytes_take_uint(&rest, 4, &end_mark));
	assert_int_equal(end_mark, 0xffffffff);
	assert_int_equal(rest.len, 0);
	fake_done(&f);
}

static void api__a_list_that_locking_cuts_short_is_broken_off(void **state)
{
	struct fake f;
	struct error none = { .code = ERR_NONE };
	(void)state;
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/pixels", NULL);
	api_closed(kit.api, &none);
	assert_int_equal(f.call.stream.fill(f.call.stream.context, &f.streamed), STREAM_FAIL);
	fake_done(&f);
}

static void api__numbers_that_locking_cuts_short_are_neither_told_nor_kept(void **state)
{
	struct fake f;
	struct error none = { .code = ERR_NONE };
	(void)state;
	fake_init(&f, 0);
	ask(&f, "GET", "/metrics", NULL);
	assert_non_null(f.call.stream.fill);
	assert_int_equal(f.call.stream.fill(f.call.stream.context, &f.streamed), STREAM_MORE);
	api_closed(kit.api, &none);
	assert_int_equal(f.call.stream.fill(f.call.stream.context, &f.streamed), STREAM_FAIL);
	fake_done(&f);
}

/* ---- changes ---- */

static struct errand *put(struct fake *f, const char *query, const char *body)
{
	char target[512];
	snprintf(target, sizeof target, "/v1/pixels/" A "/token%s", query);
	ask(f, "PUT", target, body);
	return kit_errand(ERRAND_PUT);
}

static void api__a_put_carries_everything_that_was_said(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	with_header(&f, "If-Match", "\"1\"");
	struct errand *e = put(&f,
			       "?check=no&test-code=TEST1&expires=2027-01-02T03:04:05Z&label=a%3Db&label=c%3D&as=me", " x ");
	assert_non_null(e);
	assert_true(e->no_check && e->has_test_code && e->has_if_version);
	assert_string_equal(e->test_code, "TEST1");
	assert_int_equal(e->if_version, 1);
	assert_int_equal(e->label_count, 2);
	assert_string_equal(e->labels[1].value, "");
	assert_string_equal(e->who.as, "me");
	assert_int_equal(e->expires_at, 1798859045);
	assert_true(bytes_equal(secret_reveal(e->secret), bytes_of_text(" x ")));
	assert_null(f.call.body);
	errand_free(e);
	fake_done(&f);
}

static void finish_put(enum error_code exit, enum stage stage, enum verdict outcome, int status)
{
	struct fake f;
	fake_init(&f, PUTTER);
	struct errand *e = put(&f, "", "token-that-is-long-enough");
	strcpy(e->put.pixel, A);
	e->put.version = 2;
	e->put.stage = stage;
	e->put.verdict = outcome;
	e->put.outcome = outcome;
	e->put.was_asked = true;
	e->put.exit = exit;
	strcpy(e->put.evidence.text, "said so");
	api_finish(kit.api, e);
	const char *why, *body = body_of(&f);
	assert_int_equal(f.call.status, status);
	assert_true(json_check(bytes_of_text(body), (struct json_limits){ 4, 60 }, &why));
	expect_in(&f, "\"version\":2");
	expect_in(&f, "\"message\":\"said so\"");
	if (status >= 400) {
		assert_string_equal(f.call.type, "application/problem+json");
		expect_in(&f, "consumers still get version 1");
	}
	fake_done(&f);
}

static void api__a_put_is_answered_by_what_tiktok_said(void **state)
{
	(void)state;
	finish_put(ERR_NONE, STAGE_CURRENT, VERDICT_HEALTHY, 200);
	finish_put(ERR_UNREACHABLE, STAGE_PENDING, OUTCOME_THROTTLED, 202);
	finish_put(ERR_UNREACHABLE, STAGE_CURRENT, OUTCOME_THROTTLED, 200);
	finish_put(ERR_EXPIRED, STAGE_PENDING, VERDICT_REVOKED, 422);
	finish_put(ERR_MISMATCHED, STAGE_PENDING, VERDICT_MISMATCHED, 422);
	finish_put(ERR_MALFORMED, STAGE_PENDING, VERDICT_MALFORMED, 400);
}

static void api__a_put_that_asked_nothing_has_no_outcome(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	struct errand *e = put(&f, "", "token-that-is-long-enough");
	e->put = (struct put_result){
		.pixel = A, .version = 1, .stage = STAGE_CURRENT, .is_unchanged = true, .verdict = VERDICT_HEALTHY
	};
	api_finish(kit.api, e);
	expect_json(&f, 200);
	expect_in(&f, "\"verdict\":\"healthy\"");
	expect_in(&f, "\"outcome\":null");
	expect_in(&f, "\"unchanged\":true");
	fake_done(&f);
}

static void api__a_put_that_failed_is_a_problem(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	struct errand *e = put(&f, "", "token");
	(void)!fail(&e->err, ERR_CONFLICT, "busy", "later");
	api_finish(kit.api, e);
	expect_problem(&f, 409, "conflict");
	fake_done(&f);
}

static void api__a_put_said_wrong_gives_no_errand(void **state)
{
	static const char *const queries[] = { "?check=yes", "?label=x", "?as=a%20b", "?expires=soon", "?test-code=a%20b" };
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(queries); i++) {
		fake_init(&f, PUTTER);
		assert_null(put(&f, queries[i], "token"));
		assert_int_equal(f.call.status, 400);
		fake_done(&f);
	}
	fake_init(&f, PUTTER);
	with_header(&f, "If-Match", "1");
	assert_null(put(&f, "", "token"));
	assert_int_equal(f.call.status, 400);
	fake_done(&f);
}

static void api__reports_and_acknowledgements_are_strict_json(void **state)
{
	static const char *const wrong[] = { "", "{", "[]", "{}", "{\"code\":\"1\"}", "{\"code\":1.5}", "{\"code\":99999999999}",
					     "{\"code\":1,\"request_id\":5}", "{\"code\":1,\"request_id\":\"a b\"}",
					     "{\"code\":1,\"code\":2}" };
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		refuses("POST", "/v1/pixels/" A "/report", wrong[i], 400, "usage");
	refuses("POST", "/v1/pixels/" A "/ack", "{\"version\":0,\"as\":\"x\"}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/ack", "{\"as\":\"x\"}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/ack", "{\"version\":1,\"as\":5}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/ack", "{\"version\":1,\"as\":\"\"}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/ack", "{\"version\":1,\"as\":\"uid:1001\"}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/ack", "{\"version\":1,\"as\":\"x\",\"pixel\":\"" A "\"}", 400, "usage");
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/pixels/" A "/report", "{\"code\":40105,\"requestid\":\"abc\"}");
	expect_problem(&f, 400, "usage");
	expect_in(&f, "'requestid'");
	fake_done(&f);
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/pixels/" A "/report", "{\"code\":40105,\"request_id\":\"abc\"}");
	struct errand *e = kit_errand(ERRAND_REPORT);
	assert_int_equal(e->code, 40105);
	assert_string_equal(e->request_id, "abc");
	api_finish(kit.api, e);
	expect_json(&f, 202);
	expect_in(&f, "\"probe\":\"started\"");
	fake_done(&f);
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/pixels/" A "/ack", "{\"version\":1,\"as\":\"shop\"}");
	e = kit_errand(ERRAND_ACK);
	assert_int_equal(e->number, 1);
	api_finish(kit.api, e);
	expect_in(&f, "{\"schema\":1,\"pixel\":\"" A "\",\"version\":1,\"as\":\"shop\"}");
	fake_done(&f);
}

static void api__a_change_of_two_pixels_needs_the_right_to_both(void **state)
{
	static const struct {
		const char *target, *body;
		enum errand_kind kind;
		const char *says;
	} changes[] = {
		{ "/v1/pixels/" A "/swap", "{\"with\":\"" B "\"}", ERRAND_SWAP,
		  "{\"schema\":1,\"swapped\":[{\"pixel\":\"" A "\"" },
		{ "/v1/pixels/" A "/move?check=no", "{\"to\":\"" B "\"}", ERRAND_MOVE,
		  "{\"schema\":1,\"from\":{\"pixel\":\"" A "\",\"version\":2,\"stage\":\"retired\"},\"moved\":{\"pixel\":\"" B
		  "\"" },
	};
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		fake_init(&f, PUTTER);
		ask(&f, "POST", changes[i].target, changes[i].body);
		expect_problem(&f, 403, "denied");
		assert_null(kit.errands);
		fake_done(&f);
		fake_init(&f, PAIR);
		ask(&f, "POST", changes[i].target, changes[i].body);
		struct errand *e = kit_errand(changes[i].kind);
		assert_non_null(e);
		assert_string_equal(e->pixel, A);
		assert_string_equal(e->other, B);
		assert_int_equal(e->no_check, i == 1);
		e->swap = (struct swap_result){ .is_move = i == 1, .from = { .pixel = A }, .to = { .pixel = B } };
		e->swap.from.version = 2;
		e->swap.from.stage = STAGE_RETIRED;
		api_finish(kit.api, e);
		expect_json(&f, 200);
		expect_in(&f, changes[i].says);
		fake_done(&f);
	}
	refuses("POST", "/v1/pixels/" A "/swap", "{\"to\":\"" B "\"}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/swap", "{\"with\":1}", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/swap", "{\"with\":\"c1u2t02iu8j6b9gc2b9g\"}", 400, "malformed");
	refuses("POST", "/v1/pixels/" A "/move", "", 400, "usage");
	refuses("POST", "/v1/pixels/" A "/move?check=yes", "{\"to\":\"" B "\"}", 400, "usage");
}

static void api__an_acknowledgement_without_a_name_is_its_callers_own(void **state)
{
	static const char *const bodies[] = { "{\"version\":1}", "{\"version\":1,\"as\":null}" };
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		fake_init(&f, PUTTER);
		ask(&f, "POST", "/v1/pixels/" A "/ack", bodies[i]);
		struct errand *e = kit_errand(ERRAND_ACK);
		assert_string_equal(e->who.as, "uid:1002");
		assert_int_equal(e->who.uid, PUTTER);
		api_finish(kit.api, e);
		expect_in(&f, "\"as\":\"uid:1002\"}");
		fake_done(&f);
	}
}

static void api__every_simple_change_has_its_errand_and_its_answer(void **state)
{
	static const struct {
		const char *method, *target;
		enum errand_kind kind;
		const char *says;
	} changes[] = {
		{ "DELETE", "/v1/pixels/" A, ERRAND_REMOVE, "\"state\":\"removed\",\"unchanged\":false" },
		{ "DELETE", "/v1/pixels/" A "?destroy=1", ERRAND_DESTROY, "\"state\":\"destroyed\"" },
		{ "POST", "/v1/pixels/" A "/restore", ERRAND_RESTORE, "\"state\":\"stored\"" },
		{ "POST", "/v1/pixels/" A "/labels?label=a%3Db", ERRAND_LABEL, "\"labels\":{}" },
		{ "POST", "/v1/pixels/" A "/retire?force=1", ERRAND_RETIRE, "\"stage\":\"retired\"" },
		{ "POST", "/v1/pixels/" A "/rollback", ERRAND_ROLLBACK, "\"exit\":0" },
		{ "POST", "/v1/verify", ERRAND_VERIFY, "\"faults\":0" },
		{ "POST", "/v1/lock", ERRAND_LOCK, "\"locked\":true" },
		{ "GET", "/v1/pixels/" A "/history", ERRAND_HISTORY, "\"versions\":[]" },
	};
	struct fake f;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		fake_init(&f, 0);
		ask(&f, changes[i].method, changes[i].target, NULL);
		struct errand *e = kit_errand(changes[i].kind);
		assert_non_null(e);
		assert_false(f.call.is_answered);
		e->put.stage = STAGE_CURRENT;
		api_finish(kit.api, e);
		expect_json(&f, 200);
		expect_in(&f, changes[i].says);
		fake_done(&f);
	}
}

/* ---- rotate ---- */

static void api__a_rotation_of_some_asks_for_a_rule_for_each(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/rotate", "{\"pixels\":[\"" A "\",\"" B "\"]}");
	expect_problem(&f, 403, "denied");
	assert_null(kit.errands);
	fake_done(&f);
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/rotate", "{\"pixels\":[\"" A "\"],\"labels\":[\"a=b\", \"c=\\u00e9\"],\"max_age\":60}");
	struct errand *e = kit_errand(ERRAND_ROTATE);
	assert_int_equal(e->pixel_count, 1);
	assert_string_equal(e->pixels[0], A);
	assert_int_equal(e->label_count, 2);
	assert_string_equal(e->labels[1].value, "\xc3\xa9");
	assert_int_equal(e->span_s, 60);
	assert_false(e->is_cancel);
	e->number = 1;
	api_finish(kit.api, e);
	expect_json(&f, 200);
	expect_in(&f, "{\"schema\":1,\"cancel\":false,\"changed\":1,\"pixels\":[\"" A "\"]}");
	fake_done(&f);
}

/* The worker selects, and of what it found the caller gets what the caller may put to. */
static void api__a_rotation_by_label_is_only_of_what_one_may_put_to(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/rotate", "{\"labels\":[\"a=b\"],\"cancel\":true}");
	struct errand *e = kit_errand(ERRAND_SELECT);
	free(e->pixels);
	e->pixels = calloc(2, sizeof *e->pixels);
	assert_non_null(e->pixels);
	snprintf(e->pixels[0], sizeof e->pixels[0], "%s", B);
	snprintf(e->pixels[1], sizeof e->pixels[1], "%s", A);
	e->pixel_count = 2;
	api_finish(kit.api, e);
	assert_false(f.call.is_answered);
	e = kit_errand(ERRAND_ROTATE);
	assert_int_equal(e->pixel_count, 1);
	assert_string_equal(e->pixels[0], A);
	assert_true(e->is_cancel);
	api_finish(kit.api, e);
	expect_in(&f, "\"cancel\":true,\"changed\":0,\"pixels\":[\"" A "\"]");
	fake_done(&f);
	fake_init(&f, PUTTER);
	ask(&f, "POST", "/v1/rotate", "{\"max_age\":60}");
	e = kit_errand(ERRAND_SELECT);
	api_finish(kit.api, e);
	expect_json(&f, 200);
	expect_in(&f, "\"changed\":0,\"pixels\":[]");
	fake_done(&f);
}

static void api__a_rotation_that_makes_no_sense_is_refused(void **state)
{
	static const char *const bodies[] = { "{\"pixels\":\"" A "\"}", "{\"pixels\":[1]}",	"{\"labels\":[\"a\"]}",
					      "{\"max_age\":0}",	   "{\"max_age\":\"1h\"}", "{\"cancel\":1}",
					      "{\"pixel\":[]}",	   "[]",		    "" };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++)
		refuses("POST", "/v1/rotate", bodies[i], 400, "usage");
	refuses("POST", "/v1/rotate", "{\"pixels\":[\"short\"]}", 400, "malformed");
	refuses("POST", "/v1/rotate?pixel=" A, "{}", 400, "usage");
}

/* ---- events ---- */

static const char *read_events(struct fake *f)
{
	buf_clear(&f->streamed);
	drain(f);
	buf_append(&f->streamed, "", 1);
	f->streamed.len--;
	return (const char *)f->streamed.at;
}

static void api__events_tell_what_changed_to_who_may_know(void **state)
{
	struct fake root, reader;
	(void)state;
	fake_init(&root, 0);
	fake_init(&reader, READER);
	ask(&root, "GET", "/v1/events", NULL);
	ask(&reader, "GET", "/v1/events", NULL);
	assert_string_equal(read_events(&root), "");
	assert_false(root.has_ended);
	put_token(kit.vault, B, "cccccccccccccccccccccccccccccccccccccccc");
	kit_load();
	assert_true(root.woken > 0);
	const char *text = read_events(&root);
	assert_non_null(strstr(text, "event: version\ndata: {\"pixel\":\"" B "\",\"version\":2,\"verdict\":\"unchecked\",\"at\":\""));
	assert_string_equal(read_events(&reader), "");
	fake_done(&root);
	fake_done(&reader);
}

static void api__the_board_shows_the_pixels_that_one_may_see(void **state)
{
	struct fake root, reader;
	(void)state;
	fake_init(&root, 0);
	fake_init(&reader, READER);
	ask(&root, "GET", "/v1/board", NULL);
	ask(&reader, "GET", "/v1/board", NULL);
	assert_int_equal(reader.call.status, 200);
	const char *text = read_events(&root);
	assert_true(root.has_ended);
	assert_non_null(strstr(text, "<code>" A "<"));
	assert_non_null(strstr(text, "<code>" B "<"));
	text = read_events(&reader);
	assert_true(reader.has_ended);
	assert_non_null(strstr(text, "<code>" A "<"));
	assert_null(strstr(text, B));
	assert_non_null(strstr(text, "of 1 Pixel "));
	fake_done(&root);
	fake_done(&reader);
}

static void api__events_are_resumed_and_a_reset_comes_first_when_they_cannot_be(void **state)
{
	struct fake f;
	char id[32];
	(void)state;
	put_token(kit.vault, A, "cccccccccccccccccccccccccccccccccccccccc");
	put_token(kit.vault, B, "dddddddddddddddddddddddddddddddddddddddd");
	kit_load();
	fake_init(&f, 0);
	with_header(&f, "Last-Event-ID", "5");
	ask(&f, "GET", "/v1/events", NULL);
	const char *text = read_events(&f);
	assert_memory_equal(text, "event: reset\n", 13);
	const char *first = strstr(text, "id: ");
	assert_non_null(first);
	assert_true(strstr(text, A) && strstr(text, B));
	snprintf(id, sizeof id, "%.*s", (int)strcspn(first + 4, "\n"), first + 4);
	fake_done(&f);
	fake_init(&f, 0);
	with_header(&f, "Last-Event-ID", id);
	ask(&f, "GET", "/v1/events", NULL);
	text = read_events(&f);
	assert_null(strstr(text, "reset"));
	assert_non_null(strstr(text, "id: "));
	fake_done(&f);
	fake_init(&f, 0);
	with_header(&f, "Last-Event-ID", "99999999999999999");
	ask(&f, "GET", "/v1/events", NULL);
	assert_non_null(strstr(read_events(&f), "event: reset"));
	fake_done(&f);
}

static void api__a_silent_stream_shows_life(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/events", NULL);
	assert_string_equal(read_events(&f), "");
	kit_turn(14000);
	assert_string_equal(read_events(&f), "");
	kit_turn(1500);
	assert_memory_equal(read_events(&f), ":", 1);
	fake_done(&f);
}

static void api__a_check_tells_its_progress_and_its_end(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	with_header(&f, "Accept", "text/event-stream");
	ask(&f, "POST", "/v1/check", NULL);
	assert_string_equal(f.call.type, "text/event-stream");
	struct errand *e = kit_errand(ERRAND_CHECK);
	assert_true(e->wants_progress);
	struct news n = { .kind = NEWS_PROGRESS, .errand = e, .done = 1, .total = 9, .outcome = VERDICT_HEALTHY };
	strcpy(n.pixel, A);
	api_progress(kit.api, &n);
	assert_string_equal(read_events(&f), "event: progress\ndata: {\"done\":1,\"total\":9,\"pixel\":\"" A
					     "\",\"outcome\":\"healthy\"}\n\n");
	e->check.exit = ERR_EXPIRED;
	api_finish(kit.api, e);
	assert_non_null(strstr(read_events(&f), "event: result\ndata: {\"exit\":10,"));
	assert_true(f.has_ended);
	fake_done(&f);
}

static void api__a_check_goes_on_when_nobody_looks_any_more(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, 0);
	with_header(&f, "Accept", "text/event-stream");
	ask(&f, "POST", "/v1/check", NULL);
	struct errand *e = kit_errand(ERRAND_CHECK);
	fake_done(&f);
	struct news n = { .kind = NEWS_PROGRESS, .errand = e, .done = 1, .total = 9 };
	api_progress(kit.api, &n);
	api_finish(kit.api, e);
}

/* ---- locked, unlock ---- */

static void api__while_locked_almost_everything_is_503(void **state)
{
	struct fake f;
	(void)state;
	refuses("GET", "/v1/pixels/" A "/token", NULL, 503, "locked");
	refuses("GET", "/v1/pixels", NULL, 503, "locked");
	refuses("PUT", "/v1/pixels/" A "/token", "token", 503, "locked");
	fake_init(&f, 0);
	ask(&f, "GET", "/healthz", NULL);
	expect_json(&f, 200);
	expect_in(&f, "\"ready\":false,\"locked\":true");
	fake_done(&f);
	fake_init(&f, 0);
	ask(&f, "GET", "/healthz?ready=1", NULL);
	expect_json(&f, 503);
	fake_done(&f);
	fake_init(&f, 0);
	ask(&f, "GET", "/metrics", NULL);
	assert_int_equal(f.call.status, 200);
	expect_in(&f, "pixelvault_locked 1\n");
	fake_done(&f);
}

static void unlock_wrongly(int status)
{
	struct fake f;
	fake_init(&f, 0);
	ask(&f, "POST", "/v1/unlock", "12345678901234567890123456789012");
	if (status != 429) {
		struct errand *e = kit_errand(ERRAND_UNLOCK);
		assert_non_null(e);
		assert_int_equal(secret_len(e->secret), 32);
		(void)!fail(&e->err, ERR_WRONG_KEY, "wrong", "try");
		api_finish(kit.api, e);
	}
	expect_problem(&f, status, status == 429 ? "denied" : "wrong-key");
	fake_done(&f);
}

static void api__each_wrong_key_makes_its_user_wait_longer(void **state)
{
	struct fake f, other;
	(void)state;
	unlock_wrongly(500);
	fake_init(&f, 0);
	ask(&f, "POST", "/v1/unlock", "12345678901234567890123456789012");
	assert_null(kit.errands);
	kit_turn(90);
	assert_null(kit.errands);
	kit_turn(20);
	struct errand *e = kit_errand(ERRAND_UNLOCK);
	assert_non_null(e);
	/* The agent's own user is somebody else. */
	fake_init(&other, 990);
	ask(&other, "POST", "/v1/unlock", NULL);
	struct errand *theirs = kit_errand(ERRAND_UNLOCK);
	assert_non_null(theirs);
	api_finish(kit.api, theirs);
	expect_json(&other, 200);
	api_finish(kit.api, e); /* right at last: all is forgiven */
	expect_json(&f, 200);
	fake_done(&f);
	fake_done(&other);
	unlock_wrongly(500);
}

static void api__after_a_hundred_wrong_keys_no_more_are_taken(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		kit_turn(11000);
		unlock_wrongly(500);
	}
	kit_turn(11000);
	unlock_wrongly(429);
}

static void api__two_tries_at_a_time_are_enough(void **state)
{
	struct fake f[3];
	(void)state;
	for (int i = 0; i < 3; i++) {
		fake_init(&f[i], 0);
		ask(&f[i], "POST", "/v1/unlock", NULL);
	}
	expect_problem(&f[2], 429, "denied");
	struct errand *e = kit_errand(ERRAND_UNLOCK);
	assert_non_null(e);
	assert_null(kit_errand(ERRAND_UNLOCK));
	f[1].call.gone(f[1].call.keeper); /* leaves the queue */
	api_finish(kit.api, e);
	kit_turn(1);
	assert_null(kit.errands);
	for (int i = 0; i < 3; i++)
		fake_done(&f[i]);
}

static void api__a_key_of_another_length_is_no_key(void **state)
{
	(void)state;
	refuses("POST", "/v1/unlock", "short", 400, "usage");
	refuses("POST", "/v1/unlock?for=0", NULL, 400, "usage");
	refuses("POST", "/v1/unlock?for=1h", NULL, 400, "usage");
}

/* ---- the rest ---- */

static void api__access_of_others_is_for_admins(void **state)
{
	struct fake f;
	(void)state;
	fake_init(&f, READER);
	ask(&f, "GET", "/v1/access?pixel=" A, NULL);
	expect_json(&f, 200);
	expect_in(&f, "\"uid\":1001,\"pixel\":\"" A "\",\"allowed\":[\"meta\",\"read\"]");
	fake_done(&f);
	fake_init(&f, READER);
	ask(&f, "GET", "/v1/access?uid=0", NULL);
	expect_problem(&f, 403, "denied");
	fake_done(&f);
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/access?uid=1002&pixel=" A, NULL);
	expect_in(&f, "\"allowed\":[\"report\",\"put\"]");
	fake_done(&f);
	refuses("GET", "/v1/access?gid=5", NULL, 400, "usage");
	refuses("GET", "/v1/access?uid=web", NULL, 400, "usage");
	fake_init(&f, 0);
	ask(&f, "GET", "/v1/access?uid=1001&gid=1001&group=5&group=6&pixel=" B, NULL);
	expect_in(&f, "\"uid\":1001");
	expect_in(&f, "\"allowed\":[]");
	fake_done(&f);
}

static void api__numbers_name_no_pixel(void **state)
{
	struct fake f;
	(void)state;
	read_as_root(200);
	api_finish(kit.api, kit_errand(ERRAND_MARK));
	refuses("GET", "/nowhere", NULL, 404, "not-found");
	fake_init(&f, 0);
	ask(&f, "GET", "/metrics", NULL);
	expect_in(&f, "pixelvault_reads_total 1\n");
	expect_in(&f, "pixelvault_requests_total{request=\"get\",status=\"200\"} 1\n");
	expect_in(&f, "pixelvault_requests_total{request=\"other\",status=\"404\"} 1\n");
	expect_in(&f, "pixelvault_pixels{verdict=\"unchecked\"} 2\n");
	assert_null(strstr(body_of(&f), "C0U2"));
	fake_done(&f);
}

static void credentials__an_address_names_unit_and_pixel(void **state)
{
	static const struct {
		const char *address;
		size_t len;
		bool is_fine;
	} cases[] = {
#define ADDRESS(text, fine) { text, sizeof(text) - 1, fine }
		ADDRESS("\0f00ba4/unit/shop.service/" A, true),
		ADDRESS("\0f00ba4/unit/shop@1.service/" A, true),
		ADDRESS("f00ba4/unit/shop.service/" A, false),
		ADDRESS("\0/unit/shop.service/" A, false),
		ADDRESS("\0f00ba4/user/shop.service/" A, false),
		ADDRESS("\0f00ba4/unit//" A, false),
		ADDRESS("\0f00ba4/unit/shop.service/", false),
		ADDRESS("\0f00ba4/unit/shop.service/lower", false),
		ADDRESS("\0f00ba4/unit/shop.service/" A "/x", false),
		ADDRESS("\0f00ba4/unit/shop service/" A, false),
		ADDRESS("\0f00ba4/unit", false),
		ADDRESS("\0f00ba4", false),
		ADDRESS("\0f00ba4/unit/shop.service", false),
		ADDRESS("\0f00ba4/unit/shop\x7f/" A, false),
		ADDRESS("", false),
	};
	char unit[CREDENTIALS_UNIT_MAX + 1], pixel[PIXEL_CODE_MAX + 1];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(credentials_parse(bytes_of(cases[i].address, cases[i].len), unit, pixel),
				 cases[i].is_fine);
	assert_true(credentials_parse(bytes_of(cases[0].address, cases[0].len), unit, pixel));
	assert_string_equal(unit, "shop.service");
	assert_string_equal(pixel, A);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
#define TEST_LOCKED(name) cmocka_unit_test_setup_teardown(name, start_locked, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(api__a_get_gives_exactly_the_token_and_what_is_known_of_it),
		TEST(api__a_get_as_json_is_the_object_of_get),
		TEST(api__weights_in_accept_count),
		TEST(api__a_known_version_is_304_and_written_down_too),
		TEST(api__each_read_and_each_denial_is_one_line),
		TEST(api__a_read_stands_in_the_log_by_the_id_of_its_pixel),
		TEST(api__a_lone_read_lets_go_of_the_log_at_once_and_steady_ones_share_a_turn),
		TEST(api__a_lock_that_was_not_to_be_had_is_tried_again_by_the_next_read),
		TEST(api__without_a_line_there_is_no_token),
		TEST(api__a_denied_caller_cannot_tell_whether_the_pixel_is_stored),
		TEST(api__what_is_not_there_is_404_and_says_why),
		TEST(api__a_pending_token_is_named),
		TEST(api__what_cannot_be_meant_is_refused),
		TEST(api__a_consumers_bad_name_is_refused),
		TEST(api__a_method_that_is_not_taken_is_405_and_says_which_are),
		TEST(api__every_request_but_health_asks_for_a_rule),
		TEST(api__a_check_of_some_asks_for_a_rule_for_each),
		TEST(api__who_waits_gets_the_new_version_when_it_comes),
		TEST(api__who_waits_in_vain_gets_304),
		TEST(api__who_waited_and_went_is_forgotten),
		TEST(api__locking_answers_who_waits),
		TEST(api__an_agent_that_ends_tells_who_waits_to_come_back),
		TEST(api__what_was_begun_is_answered_while_the_agent_ends),
		TEST(api__an_old_version_comes_from_the_worker),
		TEST(api__an_answer_for_nobody_is_dropped),
		TEST(api__durable_reads_of_a_turn_share_one_sync),
		TEST(api__a_sync_that_fails_keeps_the_token_back),
		TEST(api__a_reader_is_noted_once_a_version),
		TEST(api__who_has_no_name_is_looked_up_once_a_connection),
		TEST(api__who_connects_anew_each_time_is_looked_up_now_and_then),
		TEST(api__a_person_who_looks_is_not_noted),
		TEST(api__names_of_those_who_chose_none_cannot_be_chosen),
		TEST(api__a_reader_is_noted_again_a_day_later_and_when_the_note_is_to_be_forgotten),
		TEST(api__rollout_tells_who_was_here_since_the_mark_was_written),
		TEST(api__made_up_names_do_not_flood_the_worker),
		TEST(api__a_list_holds_what_the_caller_may_see),
		TEST(api__lists_say_by_what_clock_they_were_judged),
		TEST(api__records_are_the_bytes_that_are_stored),
		TEST(api__a_list_that_locking_cuts_short_is_broken_off),
		TEST(api__numbers_that_locking_cuts_short_are_neither_told_nor_kept),
		TEST(api__a_put_carries_everything_that_was_said),
		TEST(api__a_put_is_answered_by_what_tiktok_said),
		TEST(api__a_put_that_asked_nothing_has_no_outcome),
		TEST(api__a_put_that_failed_is_a_problem),
		TEST(api__a_put_said_wrong_gives_no_errand),
		TEST(api__reports_and_acknowledgements_are_strict_json),
		TEST(api__a_change_of_two_pixels_needs_the_right_to_both),
		TEST(api__an_acknowledgement_without_a_name_is_its_callers_own),
		TEST(api__every_simple_change_has_its_errand_and_its_answer),
		TEST(api__a_rotation_of_some_asks_for_a_rule_for_each),
		TEST(api__a_rotation_by_label_is_only_of_what_one_may_put_to),
		TEST(api__a_rotation_that_makes_no_sense_is_refused),
		TEST(api__events_tell_what_changed_to_who_may_know),
		TEST(api__the_board_shows_the_pixels_that_one_may_see),
		TEST(api__events_are_resumed_and_a_reset_comes_first_when_they_cannot_be),
		TEST(api__a_silent_stream_shows_life),
		TEST(api__a_check_tells_its_progress_and_its_end),
		TEST(api__a_check_goes_on_when_nobody_looks_any_more),
		TEST_LOCKED(api__while_locked_almost_everything_is_503),
		TEST_LOCKED(api__each_wrong_key_makes_its_user_wait_longer),
		TEST_LOCKED(api__after_a_hundred_wrong_keys_no_more_are_taken),
		TEST_LOCKED(api__two_tries_at_a_time_are_enough),
		TEST_LOCKED(api__a_key_of_another_length_is_no_key),
		TEST(api__access_of_others_is_for_admins),
		TEST(api__numbers_name_no_pixel),
		cmocka_unit_test(credentials__an_address_names_unit_and_pixel),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
