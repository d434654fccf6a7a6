#include "agent/call.h"
#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail

static unsigned delivered;

static void on_deliver(struct call *call)
{
	(void)call;
	delivered++;
}

static int open_arena(void **state)
{
	struct error err;
	(void)state;
	return secret_arena_open(SECRET_ARENA_SMALL, &err) ? 0 : -1;
}

static bool parse(struct call *call, const char *target)
{
	struct error err = { .code = ERR_NONE };
	*call = (struct call){ .deliver = on_deliver };
	bool is_fine = call_parse_target(call, target, &err);
	if (!is_fine)
		assert_int_equal(err.code, ERR_USAGE);
	return is_fine;
}

static void call__a_target_comes_apart(void **state)
{
	struct call call;
	(void)state;
	assert_true(parse(&call, "/v1/pixels/A%42C/token?version=3&label=a%3Db+c&label=d&empty="));
	assert_int_equal(call.segment_count, 4);
	assert_string_equal(call.segments[0], "v1");
	assert_string_equal(call.segments[2], "ABC");
	assert_string_equal(call.segments[3], "token");
	assert_string_equal(call_param(&call, "version"), "3");
	assert_string_equal(call_param(&call, "label"), "a=b c");
	assert_int_equal(call_param_count(&call, "label"), 2);
	assert_string_equal(call_param(&call, "empty"), "");
	assert_null(call_param(&call, "other"));
	call_reset(&call);
}

/* What was decoded is not taken apart again. */
static void call__an_escaped_slash_and_question_mark_divide_nothing(void **state)
{
	struct call call;
	(void)state;
	assert_true(parse(&call, "/v1/a%2Fb%3Fc?x=1%26y=2"));
	assert_int_equal(call.segment_count, 2);
	assert_string_equal(call.segments[1], "a/b?c");
	assert_int_equal(call.param_count, 1);
	assert_string_equal(call_param(&call, "x"), "1&y=2");
	call_reset(&call);
	assert_true(parse(&call, "/a+b"));
	assert_string_equal(call.segments[0], "a+b");
	call_reset(&call);
}

static void call__what_is_no_target_is_refused(void **state)
{
	static const char *const wrong[] = { "",	  "v1",	    "*",     "http://x/v1", "/%",     "/%4",  "/%zz",
					     "/a%00b", "/?a=%0", "/?%=1", "/?a=%00",     "/1/2/3/4/5/6" };
	struct call call;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_false(parse(&call, wrong[i]));
		call_reset(&call);
	}
}

static void call__long_targets_and_many_parameters_fit(void **state)
{
	static char target[CALL_TARGET_MAX + 2];
	struct call call;
	(void)state;
	strcpy(target, "/v1/pixels?");
	for (size_t i = 0; i < 500; i++)
		strcat(target, "pixel=C0U2T02IU8J6B9GC2B90&");
	assert_true(parse(&call, target));
	assert_int_equal(call_param_count(&call, "pixel"), 500);
	call_reset(&call);
	memset(target, 'a', sizeof target - 1);
	target[0] = '/';
	assert_false(parse(&call, target));
	call_reset(&call);
}

static void call__a_problem_holds_the_error_and_nothing_else(void **state)
{
	struct call call;
	struct error err;
	const char *why;
	struct bytes raw;
	(void)state;
	assert_true(parse(&call, "/x"));
	(void)!fail_class(&err, ERR_EXPIRED, "revoked", "it is %s", "do \"this\"", "gone");
	delivered = 0;
	call_answer_problem(&call, 0, &err);
	assert_int_equal(delivered, 1);
	assert_int_equal(call.status, 422);
	assert_string_equal(call.type, "application/problem+json");
	struct bytes body = buf_bytes(&call.buf);
	assert_true(json_check(body, (struct json_limits){ 3, 20 }, &why));
	assert_true(json_find_raw(body, "type", &raw) && bytes_equal(raw, bytes_of_text("\"expired\"")));
	assert_true(json_find_raw(body, "class", &raw) && bytes_equal(raw, bytes_of_text("\"revoked\"")));
	assert_true(json_find_raw(body, "detail", &raw) && bytes_equal(raw, bytes_of_text("\"it is gone\"")));
	assert_true(json_find_raw(body, "exit", &raw) && bytes_equal(raw, bytes_of_text("10")));
	call_reset(&call);
}

static void call__every_code_has_its_status(void **state)
{
	static const int statuses[ERR_COUNT] = { 500, 500, 400, 404, 503, 403, 500, 500, 409,
						 502, 422, 422, 500, 400, 500, 400, 502, 500 };
	(void)state;
	for (int code = 0; code < ERR_COUNT; code++)
		assert_int_equal(call_status_of((enum error_code)code), statuses[code]);
}

static void call__a_body_that_found_no_room_becomes_an_error(void **state)
{
	struct call call;
	struct buf out = BUF_INIT(4);
	(void)state;
	assert_true(parse(&call, "/x"));
	buf_append_text(&out, "too long");
	call_answer_buf(&call, 200, "text/plain", &out);
	assert_int_equal(call.status, 500);
	call_reset(&call);
}

static void call__headers_that_do_not_fit_are_left_out(void **state)
{
	struct call call;
	(void)state;
	assert_true(parse(&call, "/x"));
	call_header(&call, "X-Long", "%0600d", 1);
	assert_int_equal(call.header_count, 0);
	for (int i = 0; i < CALL_HEADERS_MAX + 3; i++)
		call_header(&call, "X-Many", "%d", i);
	assert_int_equal(call.header_count, CALL_HEADERS_MAX);
	assert_string_equal(call.headers[3].value, "3");
	call_reset(&call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call__a_target_comes_apart),
		cmocka_unit_test(call__an_escaped_slash_and_question_mark_divide_nothing),
		cmocka_unit_test(call__what_is_no_target_is_refused),
		cmocka_unit_test(call__long_targets_and_many_parameters_fit),
		cmocka_unit_test(call__a_problem_holds_the_error_and_nothing_else),
		cmocka_unit_test(call__every_code_has_its_status),
		cmocka_unit_test(call__a_body_that_found_no_room_becomes_an_error),
		cmocka_unit_test(call__headers_that_do_not_fit_are_left_out),
	};
	return cmocka_run_group_tests(tests, open_arena, NULL);
}
