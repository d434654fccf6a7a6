#include "cli/watch.h"

#include "cli/board.h"
#include "cli/output.h"
#include "cli/screen.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/utf8.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 2000  /* without events */
#define AGES_MS 30000 /* with them: "proven 5m" must not stand still */
#define GATHER_MS 200 /* a sweep changes many at once */
#define EVENTS_BYTES_MAX ((size_t)1 << 20)
#define ADVICE_SHARE 3 /* of the room, one part in so many */

struct watch {
	struct invocation *inv;
	const struct selection *which;
	struct client *events; /* NULL: none, or none now */
	struct buf board;      /* the last one that could be read */
	size_t pixels;
	struct error trouble;
	bool is_agent;
};

/* ---- looking ---- */

static void listen(struct watch *w)
{
	const struct settings *s = w->inv->settings;
	struct client_request request = { .method = "GET", .target = "/v1/events" };
	struct reply reply;
	struct error unused;
	client_freep(&w->events);
	if (!client_open(s->socket, s->user, s->socket_is_told, &w->events, &unused) || !w->events)
		return;
	if (!client_demand(w->events, &request, &reply, &unused))
		client_freep(&w->events);
}

/* What was not told while nobody listened is in the board that is read afterwards: so events first. */
static bool look(struct watch *w, struct error *err)
{
	struct board_request request = { .face = BOARD_TABLE, .exit_member = -1, .is_silent = true };
	if (w->is_agent && !w->events)
		listen(w);
	buf_clear(&w->inv->out);
	if (w->is_agent)
		client_freep(&w->inv->agent); /* it may be another one by now */
	if ((w->is_agent && !source_demand_agent(w->inv, err)) ||
	    !board_show(w->inv, w->which, &request, &w->pixels, err) || !buf_ok(&w->inv->out, err))
		return false;
	buf_clear(&w->board);
	buf_append(&w->board, w->inv->out.at, w->inv->out.len);
	buf_clear(&w->inv->out);
	return buf_ok(&w->board, err);
}

static void look_again(struct watch *w)
{
	struct error err;
	w->trouble.code = ERR_NONE;
	if (!look(w, &err))
		w->trouble = err;
	buf_clear(&w->inv->out);
}

/* Comments keep the connection alive, and are no news. */
static bool has_news(struct watch *w)
{
	struct buf said = BUF_INIT(EVENTS_BYTES_MAX);
	struct error unused;
	bool is_end = false;
	bool is_there = client_some(w->events, &said, &is_end, &unused) && !is_end;
	buf_append(&said, "", 1);
	bool is_news = !is_there || said.is_bad || strstr((const char *)said.at, "event:");
	buf_done(&said);
	if (!is_there)
		client_freep(&w->events);
	return is_news;
}

/* ---- drawing ---- */

static size_t count_lines(struct bytes text)
{
	size_t count = 0;
	for (size_t i = 0; i < text.len; i++)
		count += text.at[i] == '\n';
	return count;
}

static struct bytes first_lines(struct bytes text, size_t max)
{
	size_t len = 0;
	while (len < text.len && max)
		max -= text.at[len++] == '\n';
	return bytes_of(text.at, len);
}

static void add_head(const struct watch *w, unsigned width, size_t hidden, struct buf *out)
{
	char now[CLOCK_TEXT_MAX], line[400], more[40] = "";
	clock_format(clock_wall(), now);
	if (hidden)
		snprintf(more, sizeof more, ", %zu lines do not fit", hidden);
	if (w->trouble.code)
		snprintf(line, sizeof line, SAY_WATCH_TROUBLE, now, w->trouble.message);
	else
		snprintf(line, sizeof line, SAY_WATCH_HEAD, now, w->is_agent && w->events ? "live" : "every 2 s", more);
	utf8_defang(line);
	buf_printf(out, "%.*s\n", (int)width - 1, line);
}

/* Cut to the width. */
static void add_lines(struct bytes lines, size_t max, unsigned width, struct buf *out)
{
	struct bytes rest = first_lines(lines, max);
	while (rest.len) {
		struct bytes line = first_lines(rest, 1);
		size_t len = line.len && line.at[line.len - 1] == '\n' ? line.len - 1 : line.len;
		size_t shown = len < width ? len : width - 1;
		while (shown < len && shown && (line.at[shown] & 0xc0) == 0x80)
			shown--; /* not in the middle of a character */
		buf_append(out, line.at, shown);
		buf_append_text(out, "\n");
		rest = bytes_of(rest.at + line.len, rest.len - line.len);
	}
}

/* The gravest of the table, and below it what to do about the gravest. */
static void draw(const struct watch *w)
{
	struct buf out = BUF_INIT((size_t)1 << 20);
	unsigned width = term_width(STDOUT_FILENO);
	size_t height = screen_height(), room = height > 4 ? height - 2 : 2;
	struct bytes board = buf_bytes(&w->board), table = board, advice = bytes_of(board.at, 0);
	uint8_t *gap = board.len ? memmem(board.at, board.len, "\n\n", 2) : NULL;
	if (gap) {
		table = bytes_of(board.at, (size_t)(gap - board.at) + 1);
		advice = bytes_of(gap + 2, board.len - table.len - 1);
	}
	size_t rows = count_lines(table), lines = count_lines(advice), share = room / ADVICE_SHARE;
	size_t shown_rows = rows + lines <= room ? rows : rows < room - share ? rows : room - share;
	if (lines < share && rows > shown_rows)
		shown_rows = rows < room - lines ? rows : room - lines;
	size_t shown_lines = lines < room - shown_rows ? lines : room - shown_rows;
	add_head(w, width, rows + lines - shown_rows - shown_lines, &out);
	/* The first line is no row, and not cut yet. */
	struct bytes first = first_lines(table, 1), top = first_lines(table, shown_rows);
	add_lines(first, 1, width, &out);
	buf_append(&out, top.at + first.len, top.len - first.len);
	if (!w->pixels && !w->trouble.code)
		buf_printf(&out, "%s\n", w->which->label_count ? SAY_NONE_MATCH : SAY_EMPTY);
	if (shown_lines) {
		buf_append_text(&out, "\n");
		add_lines(advice, shown_lines, width, &out);
	}
	screen_draw(buf_bytes(&out));
	buf_done(&out);
}

/* ---- the loop ---- */

static void keep_watch(struct watch *w)
{
	int64_t look_at_ms = clock_boot_ms() + LOOK_MS;
	for (;;) {
		int64_t now = clock_boot_ms(), left = look_at_ms - now;
		enum screen_event event = screen_wait(w->events ? client_fd(w->events) : -1, left > 0 ? left : 0);
		if (event == SCREEN_LEAVE)
			return;
		if (event == SCREEN_OTHER) {
			int64_t soon = clock_boot_ms() + GATHER_MS;
			if (has_news(w) && soon < look_at_ms)
				look_at_ms = soon;
			continue;
		}
		/* A table is made for a width: another one is another table. */
		look_again(w);
		look_at_ms = clock_boot_ms() + (w->events && !w->trouble.code ? AGES_MS : LOOK_MS);
		draw(w);
	}
}

bool watch_board(struct invocation *inv, const struct selection *which, struct error *err)
{
	struct watch w = {
		.inv = inv, .which = which, .board = BUF_INIT(inv->out.max), .is_agent = inv->agent != NULL
	};
	if (inv->globals.json)
		return fail(err, ERR_USAGE, TXT_WATCH_AND_JSON);
	/* What is wrong from the start is told as everywhere else. */
	bool is_fine = look(&w, err) && screen_open(err);
	if (is_fine) {
		draw(&w);
		keep_watch(&w);
		buf_clear(&inv->out);
		screen_close();
	}
	client_freep(&w.events);
	buf_done(&w.board);
	return is_fine;
}
