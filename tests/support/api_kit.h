/* tests/support/api_kit.h - the api without a socket and without a worker: a real vault with two Pixels, calls made by
 * hand, and errands that wait in a list until the test finishes them. */
#ifndef TESTS_SUPPORT_API_KIT_H
#define TESTS_SUPPORT_API_KIT_H

#include "tests/support/vault_kit.h"

#include "agent/api.h"
#include "agent/settings.h"
#include "core/clock.h"

#include <strings.h>

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define TOKEN_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct {
	struct vault *vault;
	struct holdings *holdings;
	struct settings settings;
	struct config *config;
	struct access *access;
	struct api *api;
	struct vault_opener *opener; /* the api's, once it was told */
	struct errand *errands;	     /* the newest first */
	int64_t now_ms;
	int64_t clock; /* what expiry is judged by; 0 = this machine's */
} kit;

/* ---- what the keeper does ---- */

UNUSED static void kit_give(void *context, struct errand *e)
{
	(void)context;
	e->next = kit.errands;
	kit.errands = e;
}

UNUSED static int64_t kit_clock(void *context)
{
	(void)context;
	return kit.clock ? kit.clock : clock_wall();
}

UNUSED static bool kit_wrap(const struct credential *c, enum stage stage, struct bytes sealed, struct buf *ret,
			    struct error *err)
{
	const struct version *v = credential_staged(c, stage);
	return !v || !sealed.len || vault_opener_wrap(kit.opener, c->pixel, v->number, sealed, ret, err);
}

UNUSED static bool kit_take_item(void *context, const struct vault_item *item, struct error *err)
{
	struct holding *h, *before = NULL;
	struct buf current = BUF_INIT(8192), previous = BUF_INIT(8192);
	(void)context;
	assert_true(kit_wrap(item->credential, STAGE_CURRENT, item->sealed_current, &current, err));
	assert_true(kit_wrap(item->credential, STAGE_PREVIOUS, item->sealed_previous, &previous, err));
	assert_true(holding_new(item->credential, item->health, false, buf_bytes(&current), buf_bytes(&previous), &h, err));
	vault_log_id(kit.vault, h->pixel, h->log_id);
	h->has_log_id = true;
	assert_true(holdings_put(kit.holdings, h, &before, err));
	api_on_change(kit.api, before, h);
	holding_free(before);
	buf_done(&current);
	buf_done(&previous);
	return true;
}

UNUSED static void kit_load(void)
{
	struct vault_position at;
	struct error err;
	if (!vault_load(kit.vault, kit_take_item, NULL, &at, &err))
		fail_msg("load: %s", err.message);
}

UNUSED static void kit_open(void)
{
	struct error err;
	assert_true(vault_opener_new(kit.vault, &kit.opener, &err));
	kit_load();
	api_opened(kit.api, kit.opener, vault_audit(kit.vault));
}

UNUSED static void kit_turn(int64_t ms)
{
	kit.now_ms += ms;
	api_begin_turn(kit.api, kit.now_ms);
	api_end_turn(kit.api, kit.now_ms);
}

/* rules: [access ...] sections, NULL = none. */
UNUSED static void kit_start(const char *rules)
{
	struct config_key known[SETTINGS_KEYS_MAX];
	struct error err;
	memset(&kit, 0, sizeof kit);
	if (rules)
		assert_true(config_parse(&kit.config, bytes_of_text(rules), "test.ini", known, settings_keys(known), &err) &&
			    settings_check(kit.config, &err));
	kit.vault = open_it();
	put_token(kit.vault, A, TOKEN_A);
	put_token(kit.vault, B, TOKEN_B);
	assert_true(holdings_new(&kit.holdings, &err) && access_new(kit.config, 990, NULL, &kit.access, &err));
	struct api_setup setup = { .holdings = kit.holdings,
				   .settings = &kit.settings,
				   .access = kit.access,
				   .layers = "none",
				   .give = kit_give,
				   .clock = kit_clock };
	kit.now_ms = clock_boot_ms();
	assert_true(api_new(&setup, &kit.api, &err));
	kit_turn(1);
}

UNUSED static void kit_end(void)
{
	while (kit.errands) {
		struct errand *e = kit.errands;
		kit.errands = e->next;
		errand_free(e);
	}
	api_free(kit.api);
	holdings_free(kit.holdings);
	access_free(kit.access);
	config_free(kit.config);
	vault_close(kit.vault);
	memset(&kit, 0, sizeof kit);
}

/* The newest errand, which the test must finish. */
UNUSED static struct errand *kit_errand(enum errand_kind kind)
{
	for (struct errand **at = &kit.errands; *at; at = &(*at)->next)
		if ((*at)->kind == kind) {
			struct errand *e = *at;
			*at = e->next;
			e->next = NULL;
			return e;
		}
	return NULL;
}

/* ---- calls ---- */

#define NO_PID 4194305 /* above all that Linux gives away, so that /proc says nothing of it */

struct fake {
	struct call call;
	struct peer peer;
	struct access_view *view;
	const char *headers[8][2];
	size_t header_count;
	unsigned delivered, woken;
	struct buf streamed;
	bool has_ended;
};

UNUSED static const char *fake_header(const struct call *call, const char *name)
{
	const struct fake *f = call->owner;
	for (size_t i = 0; i < f->header_count; i++)
		if (strcasecmp(f->headers[i][0], name) == 0)
			return f->headers[i][1];
	return NULL;
}

UNUSED static void fake_deliver(struct call *call)
{
	((struct fake *)call->owner)->delivered++;
}

UNUSED static void fake_wake(struct call *call)
{
	((struct fake *)call->owner)->woken++;
}

/* The headers that make f are set by the caller before it asks. */
UNUSED static void fake_init(struct fake *f, uid_t uid)
{
	struct access_caller caller = { .uid = uid, .gid = uid };
	struct error err;
	memset(f, 0, sizeof *f);
	assert_true(access_view_new(kit.access, &caller, &f->view, &err));
	f->peer = (struct peer){ .uid = uid, .gid = uid, .pid = NO_PID, .view = f->view };
	f->streamed = (struct buf)BUF_INIT(16 << 20);
	f->call.peer = &f->peer;
	f->call.owner = f;
	f->call.header = fake_header;
	f->call.deliver = fake_deliver;
	f->call.wake = fake_wake;
}

UNUSED static void fake_done(struct fake *f)
{
	call_reset(&f->call);
	access_view_free(f->view);
	buf_done(&f->streamed);
}

UNUSED static void with_header(struct fake *f, const char *name, const char *value)
{
	f->headers[f->header_count][0] = name;
	f->headers[f->header_count++][1] = value;
}

/* What the listener does with a request. */
UNUSED static void ask(struct fake *f, const char *method, const char *target, const char *body)
{
	struct error err;
	size_t body_max = 0;
	f->call.method = call_method_of(method);
	if (!call_parse_target(&f->call, target, &err))
		call_answer_problem(&f->call, 0, &err);
	if (!f->call.is_answered)
		api_begin(kit.api, &f->call, &body_max);
	if (f->call.is_answered)
		return;
	if (body && strlen(body) <= body_max)
		assert_true(secret_copy(bytes_of_text(body), &f->call.body, &err));
	api_serve(kit.api, &f->call);
	api_settle(kit.api);
}

UNUSED static void drain(struct fake *f)
{
	for (enum stream_step step = STREAM_MORE; step == STREAM_MORE;) {
		step = f->call.stream.fill(f->call.stream.context, &f->streamed);
		f->has_ended = step == STREAM_END;
	}
}

/* The body of the answer with a NUL, whatever kind it is. */
UNUSED static const char *body_of(struct fake *f)
{
	switch (f->call.kind) {
	case ANSWER_SECRET:
		buf_clear(&f->streamed);
		buf_append(&f->streamed, secret_reveal(f->call.secret).at, secret_len(f->call.secret));
		break;
	case ANSWER_BUF:
		buf_clear(&f->streamed);
		buf_append(&f->streamed, f->call.buf.at, f->call.buf.len);
		break;
	case ANSWER_STREAM:
		drain(f);
		break;
	case ANSWER_EMPTY:
		buf_clear(&f->streamed);
	}
	buf_append(&f->streamed, "", 1);
	f->streamed.len--;
	return (const char *)f->streamed.at;
}

UNUSED static const char *answer_header(const struct fake *f, const char *name)
{
	for (size_t i = 0; i < f->call.header_count; i++)
		if (strcmp(f->call.headers[i].name, name) == 0)
			return f->call.headers[i].value;
	return NULL;
}

#endif
