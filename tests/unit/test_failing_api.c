/* Each allocation of every request fails once, and from there on: while it is asked, and while what the worker brought
 * is told. It is answered all the same, exactly once, as ever or with a problem; no token is in an answer that is none;
 * and the same request is answered as ever afterwards. */
#include "tests/support/failing.h"

#include "agent/api_own.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/api_kit.h"

#define PIXEL_A "/v1/pixels/" A
#define LIST "/v1/listings/bc:7123456789"
static const char rules[] = "[access reader]\nuser = 1001\npixels = " A "\nverbs = meta read\n"
			    "[access some]\nuser = 1002\nlabels = shop=berlin\nverbs = meta\n";

/* errand: it goes on with the worker. */
struct request {
	int status;
	const char *method, *target, *body;
	enum errand_kind errand;
	const char *header, *value;
	uid_t uid;
};
#define AT_ONCE ERRAND_KIND_COUNT

static const struct request requests[] = {
	{ 200, "GET", PIXEL_A "/token", NULL, AT_ONCE, NULL, NULL, 1001 },
	{ 200, "GET", PIXEL_A "/token", NULL, AT_ONCE, "Accept", "application/json", 0 },
	{ 200, "GET", PIXEL_A "/token", NULL, AT_ONCE, "X-Consumer", "shop", 0 },
	{ 200, "GET", PIXEL_A "/token?version=1", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 404, "GET", PIXEL_A "/token?version=7", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 304, "GET", PIXEL_A "/token", NULL, AT_ONCE, "If-None-Match", "\"1\"", 0 },
	{ 403, "GET", "/v1/pixels/" B "/token", NULL, AT_ONCE, NULL, NULL, 1001 },
	{ 200, "GET", "/v1/pixels", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 200, "GET", "/v1/pixels?label=shop%3Dberlin", NULL, AT_ONCE, NULL, NULL, 1002 },
	{ 200, "GET", "/v1/pixels?pixel=" A "&pixel=" B, NULL, AT_ONCE, "Accept", "application/x-pixelvault-records", 0 },
	{ 200, "GET", PIXEL_A, NULL, AT_ONCE, NULL, NULL, 0 },
	{ 200, "GET", PIXEL_A "/history", NULL, ERRAND_HISTORY, NULL, NULL, 0 },
	{ 200, "GET", PIXEL_A "/rollout", NULL, ERRAND_ROLLOUT, NULL, NULL, 0 },
	{ 200, "PUT", PIXEL_A "/token?check=no&label=a%3Db&test-code=T1&expires=2030-01-01", "token-that-is-long-enough", ERRAND_PUT, "If-Match", "\"1\"", 0 },
	{ 200, "POST", PIXEL_A "/check", NULL, ERRAND_CHECK, NULL, NULL, 0 },
	{ 200, "POST", "/v1/check?label=shop%3Dberlin", NULL, ERRAND_CHECK, NULL, NULL, 0 },
	{ 202, "POST", PIXEL_A "/report", "{\"code\":40105,\"request_id\":\"abc\"}", ERRAND_REPORT, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/ack", "{\"version\":1,\"as\":\"shop\"}", ERRAND_ACK, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/rollback", NULL, ERRAND_ROLLBACK, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/swap", "{\"with\":\"" B "\"}", ERRAND_SWAP, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/move?check=no", "{\"to\":\"" B "\"}", ERRAND_MOVE, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/retire?force=1", NULL, ERRAND_RETIRE, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/labels?label=a%3Db", NULL, ERRAND_LABEL, NULL, NULL, 0 },
	{ 200, "POST", "/v1/rotate", "{\"pixels\":[\"" A "\"],\"labels\":[\"a=b\"],\"max_age\":60}", ERRAND_ROTATE, NULL, NULL, 0 },
	{ 200, "GET", "/v1/listings", NULL, ERRAND_LISTINGS, NULL, NULL, 0 },
	{ 200, "PUT", LIST "/token?check=no", "token-that-is-long-enough", ERRAND_LIST_PUT, NULL, NULL, 0 },
	{ 200, "DELETE", LIST, NULL, ERRAND_LIST_REMOVE, NULL, NULL, 0 },
	{ 200, "DELETE", PIXEL_A, NULL, ERRAND_REMOVE, NULL, NULL, 0 },
	{ 200, "POST", PIXEL_A "/restore", NULL, ERRAND_RESTORE, NULL, NULL, 0 },
	{ 200, "GET", "/v1/plan?for=3600&pixel=" A, NULL, ERRAND_PLAN, NULL, NULL, 0 },
	{ 200, "GET", "/v1/levels?since=2026-01-01&pixel=" A, NULL, AT_ONCE, NULL, NULL, 0 },
	{ 404, "POST", "/v1/match", "token-that-is-long-enough", ERRAND_MATCH, NULL, NULL, 0 },
	{ 200, "POST", "/v1/verify", NULL, ERRAND_VERIFY, NULL, NULL, 0 },
	{ 200, "GET", "/v1/alerts", NULL, ERRAND_ALERTS, NULL, NULL, 0 },
	{ 200, "POST", "/v1/alerts/ack", "{\"id\":\"7Q2M-9FKD\",\"for\":3600}", ERRAND_ALERT_ACK, NULL, NULL, 0 },
	{ 200, "POST", "/v1/alerts/test", "{\"sink\":\"ops\"}", ERRAND_ALERT_TEST, NULL, NULL, 0 },
	{ 200, "GET", "/v1/access?uid=1001&gid=1001&group=7&pixel=" A, NULL, AT_ONCE, NULL, NULL, 0 },
	{ 200, "GET", "/v1/board?label=shop%3Dberlin", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 200, "GET", "/v1/board", NULL, AT_ONCE, NULL, NULL, 1001 },
	{ 200, "GET", "/metrics", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 200, "GET", "/healthz", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 404, "GET", "/v1/nothing", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 405, "DELETE", "/v1/pixels", NULL, AT_ONCE, NULL, NULL, 0 },
	{ 400, "GET", "/v1/pixels?colour=red", NULL, AT_ONCE, NULL, NULL, 0 },
};

static int start(void **state)
{
	if (vault_make(state) != 0)
		return -1;
	kit_start(rules);
	put_label(kit.vault, A, "shop=berlin");
	kit_open();
	return 0;
}

static int end(void **state)
{
	kit_end();
	return scratch_remove(state);
}

static void begin(struct fake *f, const struct request *r)
{
	fake_init(f, r->uid);
	if (r->header)
		with_header(f, r->header, r->value);
}

/* As ask() does, but the body is there before anything can fail. */
static void serve(struct fake *f, const struct request *r, struct secret *body)
{
	struct error err;
	size_t body_max = 0;
	f->call.method = call_method_of(r->method);
	if (!call_parse_target(&f->call, r->target, &err))
		call_answer_problem(&f->call, 0, &err);
	if (!f->call.is_answered)
		api_begin(kit.api, &f->call, &body_max);
	if (f->call.is_answered) {
		secret_free(body);
		return;
	}
	f->call.body = body;
	api_serve(kit.api, &f->call);
	api_settle(kit.api);
}

static struct secret *body_for(const struct request *r)
{
	return r->body ? secret_of_text(r->body) : NULL;
}

/* What a worker might have brought. */
static void fill(struct errand *e)
{
	struct error err;
	struct read_mark mark = { .name = "shop", .version = 1, .at = 1700000000 };
	e->put = (struct put_result){ .pixel = A, .version = 2, .stage = STAGE_CURRENT, .verdict = VERDICT_HEALTHY };
	e->swap = (struct swap_result){ .is_move = e->kind == ERRAND_MOVE, .from = e->put, .to = e->put };
	e->list.stage = STAGE_CURRENT;
	if (e->kind == ERRAND_ROLLOUT) {
		e->marks = (struct buf)BUF_INIT(4096);
		buf_append(&e->marks, &mark, sizeof mark);
	}
	if (e->kind == ERRAND_PLAN) {
		static const struct settings settings = { .rate = 5, .in_flight = 4, .interval_s = 21600 };
		struct forecast_row row = { .pixel = A, .at = 1800000000, .questions = 1 };
		e->forecast = (struct forecast)FORECAST_INIT;
		forecast_begin(&e->forecast, &settings, 1700000000, 86400 * 2000);
		assert_true(forecast_add(&e->forecast, &row, &err));
	}
	if (e->kind == ERRAND_ALERTS) {
		e->text = (struct buf)BUF_INIT(4096);
		buf_append_text(&e->text, "{\"schema\":1,\"alerts\":[],\"sinks\":[]}");
	}
	if (e->kind == ERRAND_HISTORY)
		assert_true(vault_find(kit.vault, A, true, &e->credential, &err) &&
			    vault_health(kit.vault, &e->credential, &e->health, &err));
}

/* Reads what comes in pieces: memory may fail there as well. */
static void read_answer(struct fake *f)
{
	if (f->call.is_answered && f->call.kind == ANSWER_STREAM)
		drain(f);
}

/* The marks that readers leave, nobody waits for. */
static void drop_errands(void)
{
	while (kit.errands) {
		struct errand *e = kit.errands;
		kit.errands = e->next;
		errand_free(e);
	}
}

static void assert_answered(const struct request *r, struct fake *f, size_t n, const char *when)
{
	int status = f->call.status;
	if (!f->call.is_answered || f->delivered != 1)
		fail_msg("%s %s, %s, point %zu: answered %u times", r->method, r->target, when, n, f->delivered);
	if (status != r->status && status != 500 && status != 503 && status != 507)
		fail_msg("%s %s, %s, point %zu: status %d", r->method, r->target, when, n, status);
	if (f->call.kind != ANSWER_STREAM && status != 200 && strstr(body_of(f), TOKEN_A))
		fail_msg("%s %s, %s, point %zu: a token in %d", r->method, r->target, when, n, status);
}

static void assert_works(const struct request *r)
{
	struct fake f;
	begin(&f, r);
	serve(&f, r, body_for(r));
	if (r->errand != AT_ONCE) {
		struct errand *e = kit_errand(r->errand);
		if (!e)
			fail_msg("%s %s: no errand, status %d: %s", r->method, r->target, f.call.status, body_of(&f));
		fill(e);
		api_finish(kit.api, e);
	}
	read_answer(&f);
	if (f.call.status != r->status)
		fail_msg("%s %s: status %d: %s", r->method, r->target, f.call.status, body_of(&f));
	fake_done(&f);
	drop_errands();
	kit_turn(1000);
}

static size_t try_asking(const struct request *r, size_t n, size_t last)
{
	struct fake f;
	begin(&f, r);
	struct secret *body = body_for(r);
	failing_from(FAIL_MEMORY, ENOMEM, n, last);
	serve(&f, r, body);
	read_answer(&f);
	size_t failed = failing_stop();
	struct errand *e = r->errand == AT_ONCE ? NULL : kit_errand(r->errand);
	if (e) {
		fill(e);
		api_finish(kit.api, e);
	}
	assert_answered(r, &f, n, "asked");
	fake_done(&f);
	drop_errands();
	return failed;
}

static size_t try_telling(const struct request *r, size_t n, size_t last)
{
	struct fake f;
	begin(&f, r);
	serve(&f, r, body_for(r));
	struct errand *e = kit_errand(r->errand);
	assert_non_null(e);
	fill(e);
	failing_from(FAIL_MEMORY, ENOMEM, n, last);
	api_finish(kit.api, e);
	read_answer(&f);
	size_t failed = failing_stop();
	assert_answered(r, &f, n, "told");
	fake_done(&f);
	drop_errands();
	return failed;
}

static void sweep(const struct request *r, size_t (*try_one)(const struct request *, size_t, size_t))
{
	for (size_t n = 1, failed = 1; failed; n++) {
		(void)try_one(r, n, FAIL_EVER);
		kit_turn(1000);
		failed = try_one(r, n, n);
		kit_turn(1000);
		assert_works(r);
	}
}

static void request__without_memory_is_answered_once_and_works_afterwards(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		assert_works(&requests[i]);
		sweep(&requests[i], try_asking);
		if (requests[i].errand != AT_ONCE)
			sweep(&requests[i], try_telling);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(request__without_memory_is_answered_once_and_works_afterwards, start, end),
	};
#ifdef IS_SANITIZED
	puts("1..0 # SKIP under a sanitizer nothing can be made to fail");
	return 0;
#endif
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
