/* The board as a page: for who may see it on the agent's socket, and for browsers on status-listen, who prove
 * themselves by a token. Made piece by piece, as other listings are. */
#include "agent/api_own.h"

#include "agent/page.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES 4096u
#define PIECE_PIXELS 64u
#define SPOTS_BYTES_MAX ((size_t)64 << 20)
#define GUESSES 10 /* at once; then one a second */
#define GUESS_MS 1000
#define TELL_MS 60000
#define SCHEME "Bearer "

struct spot {
	uint64_t place;
	char pixel[PIXEL_CODE_MAX + 1];
};

/* First every Pixel is given its place, then rows are made in that order. */
struct board {
	struct api *api;
	const struct peer *peer;
	int64_t now;
	struct label labels[LABELS_MAX];
	size_t label_count;
	bool has_begun, is_sorted;
	char after[PIXEL_CODE_MAX + 1];
	struct buf spots; /* struct spot */
	struct page_counts counts;
	size_t next, rows;
};

static void board_free(void *context)
{
	struct board *b = context;
	buf_done(&b->spots);
	free(b);
}

/* Who has the token of status-listen sees all of it. */
static bool may_see(const struct board *b, const char *pixel)
{
	return b->peer->is_web || api_may(b->api, b->peer, ACCESS_META, pixel);
}

static bool find_list(const struct board *b, const char *name, struct credential *c, struct health *health)
{
	struct bytes from = buf_bytes(&b->api->lists);
	while (api_next_list(&from, c, health))
		if (strcmp(c->pixel, name) == 0)
			return true;
	return false;
}

static bool find_record(const struct board *b, const char *name, struct credential *c, struct health *health)
{
	if (name_is_list(name))
		return find_list(b, name, c, health);
	const struct holding *h = holdings_find(b->api->setup.holdings, name);
	return h && holding_decode(h, c, health);
}

static bool make_row(const struct board *b, const char *name, struct credential *c, struct health *health,
		     struct status_row *row)
{
	if (!may_see(b, name) || !find_record(b, name, c, health) ||
	    !status_matches(c, NULL, 0, b->labels, b->label_count))
		return false;
	status_of(c, health, b->api->setup.settings, b->now, row);
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;
	return x->place != y->place ? (x->place < y->place ? -1 : 1) : strcmp(x->pixel, y->pixel);
}

static size_t spot_count(const struct board *b)
{
	return b->spots.len / sizeof(struct spot);
}

static void place(struct board *b, const char *name)
{
	struct credential c;
	struct health health;
	struct status_row row;
	if (!make_row(b, name, &c, &health, &row))
		return;
	struct spot spot = { .place = gravity_place_of(&row) };
	memcpy(spot.pixel, c.pixel, sizeof spot.pixel);
	buf_append(&b->spots, &spot, sizeof spot);
	page_count(&b->counts, &row);
}

/* Who asks for a label asks for Pixels. */
static void place_lists(struct board *b)
{
	struct bytes from = buf_bytes(&b->api->lists);
	struct credential c;
	struct health unused;
	if (b->label_count)
		return;
	while (api_next_list(&from, &c, &unused))
		place(b, c.pixel);
}

/* False: all have one. */
static bool place_some(struct board *b)
{
	for (unsigned i = 0; i < PIECE_PIXELS; i++) {
		const struct holding *h = holdings_after(b->api->setup.holdings, b->after);
		if (!h)
			return false;
		memcpy(b->after, h->pixel, sizeof b->after);
		place(b, h->pixel);
	}
	return true;
}

/* Of another Pixel nothing is told to one who may not know of it. */
static void advise_on_owner(const struct board *b, struct status_row *row)
{
	const char *owner = status_owner(row);
	const struct holding *h = owner ? holdings_find(b->api->setup.holdings, owner) : NULL;
	struct credential c;
	struct health health;
	if (h && may_see(b, owner) && holding_decode(h, &c, &health))
		status_advise(row, &c, &health);
}

static void add_row(struct board *b, struct buf *out)
{
	struct credential c;
	struct health health;
	struct status_row row;
	struct spot spot;
	memcpy(&spot, b->spots.at + b->next++ * sizeof spot, sizeof spot);
	if (!make_row(b, spot.pixel, &c, &health, &row))
		return; /* gone meanwhile */
	advise_on_owner(b, &row);
	page_fold(out, b->rows++);
	page_row(out, &row, b->now);
}

static enum stream_step fill(void *context, struct buf *out)
{
	struct board *b = context;
	size_t before = out->len;
	/* A half page must not look like a whole one. */
	if (!b->api->opener || b->spots.is_bad)
		return STREAM_FAIL;
	if (!b->is_sorted && place_some(b)) {
		buf_append_text(out, "\n"); /* the turn is over; in front of a page it means nothing */
		return STREAM_MORE;
	}
	if (!b->is_sorted) {
		place_lists(b);
		if (spot_count(b) > 1)
			qsort(b->spots.at, spot_count(b), sizeof(struct spot), by_place);
		b->is_sorted = true;
		page_begin(out, &b->counts, b->now);
		return STREAM_MORE;
	}
	for (unsigned i = 0; i < PIECE_PIXELS && out->len - before < PIECE_BYTES; i++) {
		if (b->next == spot_count(b)) {
			page_end(out, b->rows);
			return STREAM_END;
		}
		add_row(b, out);
	}
	if (out->len == before)
		buf_append_text(out, "\n");
	return STREAM_MORE;
}

void api_serve_board(struct api *api, struct call *call)
{
	struct error err;
	const struct error *damage = holdings_damage(api->setup.holdings);
	if (damage) {
		call_answer_problem(call, 0, damage);
		return;
	}
	struct board *b = calloc(1, sizeof *b);
	if (!b || !api_labels(call, b->labels, COUNT_OF(b->labels), &b->label_count, &err)) {
		if (!b)
			(void)!fail_no_memory(&err);
		free(b);
		call_answer_problem(call, 0, &err);
		return;
	}
	b->api = api;
	b->peer = call->peer;
	b->now = api->setup.clock(api->setup.worker);
	b->spots = (struct buf)BUF_INIT(SPOTS_BYTES_MAX);
	struct call_stream stream = { .fill = fill, .free = board_free, .context = b };
	call_answer_stream(call, 200, PAGE_TYPE, &stream);
}

/* ---- browsers ---- */

/* A page of somebody else's, whose name was made to lead to us, names itself in Host. */
static bool is_our_name(const struct api *api, const char *host)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
	const char *listen = api->setup.settings->status_listen;
	const char *port = strrchr(listen, ':');
	char name[sizeof api->setup.settings->status_listen];
	if (!host || !port)
		return false;
	if (strcmp(host, listen) == 0)
		return true;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(name, sizeof name, "%s%.6s", names[i], port);
		if (strcmp(host, name) == 0 || (strcmp(port, ":80") == 0 && strcmp(host, names[i]) == 0))
			return true;
	}
	return false;
}

static bool is_the_token(const struct api *api, const char *given)
{
	const struct secret *token = api->setup.board_token;
	size_t len = strlen(SCHEME);
	if (!token || !given || strncmp(given, SCHEME, len) != 0 || strlen(given) - len != secret_len(token))
		return false;
	return sodium_memcmp(given + len, secret_reveal(token).at, secret_len(token)) == 0;
}

/* Told once a minute at most, and never what was given. */
static void note_guess(struct api *api)
{
	api->web.refused++;
	if (api->web.told_ms && api->now_ms - api->web.told_ms < TELL_MS)
		return;
	api->web.told_ms = api->now_ms;
	log_line(LOG_WARNING, "status-listen: the board was asked for without its token, %llu times so far",
		 (unsigned long long)api->web.refused);
}

/* Who knows the token is let in whatever others try: of 2^256 nobody finds it by asking. The others are slowed down. */
static bool has_token(struct api *api, struct call *call)
{
	struct error err;
	int64_t passed_ms = api->now_ms - api->web.guessed_ms;
	if (is_the_token(api, call->header(call, "Authorization")))
		return true;
	if (passed_ms >= GUESS_MS) {
		int64_t more = passed_ms / GUESS_MS;
		api->web.guesses -= more < api->web.guesses ? (int)more : api->web.guesses;
		api->web.guessed_ms = api->now_ms;
	}
	if (api->web.guesses >= GUESSES) {
		call_header(call, "Retry-After", "%d", GUESS_MS / 1000);
		(void)!fail(&err, ERR_DENIED, TXT_API_WEB_GUESSES);
		call_answer_problem(call, 429, &err);
		return false;
	}
	api->web.guesses++;
	note_guess(api);
	call_header(call, "WWW-Authenticate", "Bearer");
	(void)!fail(&err, ERR_DENIED, TXT_API_WEB_TOKEN);
	call_answer_problem(call, 401, &err);
	return false;
}

static void answer_loader(struct call *call)
{
	struct buf page = BUF_INIT(API_BODY_MAX);
	page_loader(&page);
	call_answer_buf(call, 200, PAGE_TYPE, &page);
}

bool api_admit_web(struct api *api, struct call *call)
{
	struct error err;
	bool is_root = call->segment_count == 0 || (call->segment_count == 1 && !call->segments[0][0]);
	bool is_board = call->segment_count == 2 && strcmp(call->segments[0], "v1") == 0 &&
			strcmp(call->segments[1], "board") == 0;
	call_header_text(call, "X-Content-Type-Options", "nosniff");
	call_header_text(call, "X-Frame-Options", "DENY");
	call_header_text(call, "Referrer-Policy", "no-referrer");
	call_header_text(call, "Cross-Origin-Resource-Policy", "same-origin");
	if (!is_our_name(api, call->header(call, "Host"))) {
		(void)!fail(&err, ERR_DENIED, TXT_API_WEB_HOST);
		call_answer_problem(call, 421, &err);
	} else if (!is_root && !is_board) {
		(void)!fail(&err, ERR_NOT_FOUND, TXT_API_WEB_PLACE);
		call_answer_problem(call, 404, &err);
	} else if (call->method != METHOD_GET && call->method != METHOD_HEAD) {
		call_header_text(call, "Allow", "GET, HEAD");
		(void)!fail(&err, ERR_USAGE, TXT_API_METHOD, "GET, HEAD");
		call_answer_problem(call, 405, &err);
	} else if (is_root) {
		answer_loader(call);
	} else {
		return has_token(api, call);
	}
	return false;
}
