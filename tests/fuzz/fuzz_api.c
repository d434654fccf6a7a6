/* Any request at all, to the real routes over an open vault: it is answered once, by JSON that holds together, and a token
 * goes out by a good read only. Input: the method's first letter, the target up to a line end, headers "Name: value" a
 * line each, a blank line, the body. */
#include "agent/api.h"
#include "core/clock.h"
#include "core/json.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define TOKEN "abcdef0123456789abcdef0123456789abcdef01"
#define TEXT_MAX 4096
#define HEADERS_MAX 8

static struct {
	struct vault *vault;
	struct holdings *holdings;
	struct access *access;
	struct settings settings;
	struct api *api;
	struct vault_opener *opener;
	struct errand *errands;
	int64_t now_ms;
	char folder[64];
} world;

struct request {
	char text[TEXT_MAX + 1];
	const char *target;
	struct {
		const char *name, *value;
	} headers[HEADERS_MAX];
	size_t header_count;
	struct bytes body;
	unsigned delivered;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

/* ---- a vault with one Pixel ---- */

static bool put(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct version v = { .number = 0 };
	bool exists;
	uint32_t number, dropped;
	struct secret *token = NULL;
	(void)context;
	bool is_done = secret_copy(bytes_of_text(TOKEN), &token, err) && change_find(ch, PIXEL, &c, &exists, err) &&
		       credential_add(&c, &v, 1, &number, &dropped, err) && change_put_token(ch, &c, number, token, err) &&
		       credential_promote(&c, number, 1) && change_store(ch, &c, err);
	change_note(ch, "put", PIXEL, 1);
	secret_free(token);
	return is_done;
}

static bool load(void *context, const struct vault_item *item, struct error *err)
{
	struct buf wrapped = BUF_INIT(8192);
	struct holding *h = NULL, *before = NULL;
	(void)context;
	must(vault_opener_wrap(world.opener, PIXEL, 1, item->sealed_current, &wrapped, err) &&
	     holding_new(item->credential, item->health, false, buf_bytes(&wrapped), bytes_of("", 0), &h, err) &&
	     holdings_put(world.holdings, h, &before, err));
	buf_done(&wrapped);
	return true;
}

static void give(void *context, struct errand *e)
{
	(void)context;
	e->next = world.errands;
	world.errands = e;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st, (void)type, (void)walk;
	return remove(path);
}

static void clean_up(void)
{
	api_free(world.api);
	holdings_free(world.holdings);
	access_free(world.access);
	vault_close(world.vault);
	(void)nftw(world.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int64_t ask_clock(void *context)
{
	(void)context;
	return clock_wall();
}

static void make_world(void)
{
	static char file[96], state[96];
	struct vault_place place = { .path = file, .state_dir = state };
	struct vault_position at;
	struct secret *key = NULL;
	struct error err;
	strcpy(world.folder, "/tmp/pixelvault-fuzz-XXXXXX");
	must(mkdtemp(world.folder) && secret_arena_open(SECRET_ARENA_LARGE, &err) && secret_new(32, &key, &err));
	snprintf(file, sizeof file, "%s/vault.db", world.folder);
	snprintf(state, sizeof state, "%s/state", world.folder);
	struct slot_secret slot = { SLOT_KEY_FILE, key };
	must(vault_create(&place, &slot, 1, &err) && vault_open(&place, &world.vault, &err) &&
	     vault_unlock(world.vault, &slot, &err) && vault_change(world.vault, put, NULL, &err));
	secret_free(key);
	must(holdings_new(&world.holdings, &err) && access_new(NULL, 990, NULL, &world.access, &err) &&
	     vault_opener_new(world.vault, &world.opener, &err));
	struct api_setup setup = { .holdings = world.holdings,
				   .settings = &world.settings,
				   .access = world.access,
				   .layers = "none",
				   .give = give,
				   .clock = ask_clock };
	must(vault_load(world.vault, load, NULL, &at, &err) && api_new(&setup, &world.api, &err));
	api_opened(world.api, world.opener, vault_audit(world.vault));
	world.now_ms = clock_boot_ms();
	atexit(clean_up);
}

/* ---- one request ---- */

static const char *find_header(const struct call *call, const char *name)
{
	const struct request *r = call->owner;
	for (size_t i = 0; i < r->header_count; i++)
		if (strcasecmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

static void deliver(struct call *call)
{
	((struct request *)call->owner)->delivered++;
}

static void wake(struct call *call)
{
	(void)call;
}

static char *take_line(char **from)
{
	char *line = *from, *end = strchr(line, '\n');
	*from = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	return line;
}

static void read_request(const uint8_t *data, size_t len, struct request *r)
{
	len = len < TEXT_MAX ? len : TEXT_MAX;
	memcpy(r->text, data, len);
	r->text[len] = '\0';
	char *at = r->text;
	r->target = take_line(&at);
	for (char *line = take_line(&at); *line && r->header_count < HEADERS_MAX; line = take_line(&at)) {
		char *colon = strstr(line, ": ");
		if (!colon)
			continue;
		*colon = '\0';
		r->headers[r->header_count].name = line;
		r->headers[r->header_count++].value = colon + 2;
	}
	r->body = bytes_of_text(at);
}

static void finish_errands(bool do_fail)
{
	while (world.errands) {
		struct errand *e = world.errands;
		world.errands = e->next;
		if (do_fail)
			(void)!fail(&e->err, ERR_CONFLICT, "%s", "later", "busy");
		api_finish(world.api, e);
	}
}

static void judge(struct call *call, bool knows_token)
{
	struct buf out = BUF_INIT(1 << 20);
	const char *why;
	bool is_read = call->kind == ANSWER_SECRET;
	must(call->is_answered && call->status >= 200 && call->status < 600);
	for (enum stream_step step = STREAM_MORE; call->kind == ANSWER_STREAM && step == STREAM_MORE;)
		step = call->stream.fill(call->stream.context, &out);
	if (call->kind == ANSWER_BUF)
		buf_append(&out, call->buf.at, call->buf.len);
	must(is_read == (is_read && call->status == 200));
	must(knows_token || !out.len || !memmem(out.at, out.len, TOKEN, strlen(TOKEN)));
	if (call->type && strstr(call->type, "json") && !is_read)
		must(json_check(buf_bytes(&out), (struct json_limits){ 16, 100000 }, &why));
	if (call->status >= 400 && call->status != 503)
		must(strcmp(call->type, "application/problem+json") == 0);
	buf_done(&out);
}

static void serve(struct call *call, const struct request *r)
{
	struct error err;
	size_t body_max = 0;
	if (!call_parse_target(call, r->target + (*r->target != '\0'), &err))
		call_answer_problem(call, 0, &err);
	if (!call->is_answered)
		api_begin(world.api, call, &body_max);
	if (call->is_answered)
		return;
	if (r->body.len && r->body.len <= body_max)
		must(secret_copy(r->body, &call->body, &err));
	api_serve(world.api, call);
	api_settle(world.api);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char letters[] = "GHPOD";
	struct request r = { .header_count = 0 };
	struct access_view *view;
	struct access_caller caller = { .uid = 990 };
	struct error err;
	if (!world.api)
		make_world();
	read_request(data, len, &r);
	const char *letter = r.text[0] ? strchr(letters, r.text[0]) : NULL;
	must(access_view_new(world.access, &caller, &view, &err));
	struct peer peer = { .uid = 990, .view = view };
	struct call call = { .method = letter ? (enum call_method)(letter - letters) : METHOD_OTHER,
			     .peer = &peer,
			     .owner = &r,
			     .header = find_header,
			     .deliver = deliver,
			     .wake = wake };
	serve(&call, &r);
	world.now_ms += 400000;
	api_end_turn(world.api, world.now_ms);
	finish_errands(len % 2);
	must(r.delivered == 1);
	/* Who brings the token along may get it back in the error about it. */
	judge(&call, len && memmem(data, len, TOKEN, strlen(TOKEN)));
	call_reset(&call);
	finish_errands(false);
	api_end_turn(world.api, ++world.now_ms);
	access_view_free(view);
	return 0;
}
