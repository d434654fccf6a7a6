#include "cli/board.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <unistd.h>

static void show_progress(void *context, size_t done, size_t total, const char *pixel, enum verdict outcome)
{
	char what[PIXEL_CODE_MAX + 32];
	snprintf(what, sizeof what, "%s %s", pixel ? pixel : "", pixel ? verdict_name(outcome) : "");
	progress_show(context, done, total, what);
}

/* Bars of the plugin interface: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; a warning is graver than not knowing. */
static int nagios_state(const struct check_result *r)
{
	if (r->exit == ERR_EXPIRED || r->exit == ERR_MISMATCHED || r->exit == ERR_MALFORMED)
		return 2;
	if (r->due || r->exit == ERR_DUE)
		return 1;
	return r->exit == ERR_NONE ? 0 : 3;
}

static void append_nagios_head(struct buf *out, const struct check_result *r, size_t pixels)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	buf_printf(out, "PIXELVAULT %s - %zu Pixel%s, %zu bad, %zu due, %zu without an answer", words[nagios_state(r)],
		   pixels, pixels == 1 ? "" : "s", r->bad, r->due, r->transient);
	buf_printf(out, " | pixels=%zu;;;0 asked=%zu;;;0 bad=%zu;;0;0 due=%zu;0;;0 unanswered=%zu;;;0\n", pixels,
		   r->asked, r->bad, r->due, r->transient);
}

/* Good news is for people who look on; cron would make a mail of it. */
static void say_result(struct invocation *inv, const struct check_result *r)
{
	char until[CLOCK_TEXT_MAX];
	bool is_watched = isatty(STDERR_FILENO);
	if (r->promoted && is_watched)
		say(inv, "%zu new token%s took over", r->promoted, r->promoted == 1 ? "" : "s");
	if (r->end == SWEEP_BREAKER && r->resume_at)
		say_problem(inv, NULL, "TikTok throttles us; it may be asked again at %s",
			    clock_format(r->resume_at, until));
	else if (r->notice)
		say_problem(inv, NULL, "%s", r->notice);
}

/* The status line comes first, and counts what comes behind it. */
static bool show_nagios(struct invocation *inv, const struct selection *which, const struct check_result *r,
			struct board_request *request, struct error *err)
{
	struct buf head = BUF_INIT(inv->out.max);
	size_t pixels;
	request->face = BOARD_NAGIOS;
	inv->exit = nagios_state(r);
	if (!board_show(inv, which, request, &pixels, err))
		return false;
	append_nagios_head(&head, r, pixels);
	buf_append(&head, inv->out.at, inv->out.len);
	buf_done(&inv->out);
	inv->out = head;
	return true;
}

/* What people, cron, scripts or monitoring get to see of it. */
static bool show_result(struct invocation *inv, const struct selection *which, const struct check_result *r,
			int64_t started_at, struct error *err)
{
	struct board_request request = { .face = BOARD_PROBLEM,
					 .asked_since = started_at,
					 .exit_member = (int)r->exit };
	size_t pixels;
	if (inv->style == STYLE_NAGIOS)
		return show_nagios(inv, which, r, &request, err);
	inv->exit = (int)r->exit;
	if (inv->globals.json) {
		request.face = BOARD_JSON;
		return board_show(inv, which, &request, &pixels, err);
	}
	say_result(inv, r);
	if (!inv->globals.quiet && isatty(STDOUT_FILENO))
		request.face = BOARD_TABLE;
	if (!board_show(inv, which, &request, &pixels, err))
		return false;
	if (!pixels && isatty(STDERR_FILENO))
		say(inv, "%s", which->label_count ? SAY_NONE_MATCH : SAY_EMPTY);
	return true;
}

bool cmd_check(struct invocation *inv, struct error *err)
{
	struct selection which;
	struct progress bar;
	struct remote_check told;
	const struct given *probe = option_find(inv, "probe");
	if (!select_read(inv, &which, err))
		return false;
	/* The choices of --probe stand in the order of the enumeration, without its first. */
	struct check_request request = { .pixels = which.pixels,
					 .pixel_count = which.pixel_count,
					 .labels = which.labels,
					 .label_count = which.label_count,
					 .probe = probe ? (enum probe_choice)(probe->number + PROBE_CHOICE_DRY)
							: PROBE_CHOICE_AUTO,
					 .progress = show_progress,
					 .context = &bar };
	if (request.probe == PROBE_CHOICE_LIVE)
		say(inv, SAY_LIVE);
	progress_begin(&bar, &inv->globals);
	if (inv->style == STYLE_NAGIOS)
		bar.is_on = false;
	int64_t started_at = clock_wall();
	bool is_done = source_check(inv, &request, &told, err);
	progress_end(&bar);
	if (!is_done || !show_result(inv, &which, &told.result, started_at, err) ||
	    !source_upkeep(inv, which.pixels, which.pixel_count, err))
		return false;
	/* That nobody could be told is no failure of the check. */
	if (!source_alerts(inv, &request, &told.result, err))
		say_problem(inv, err->hint, "%s", err->message);
	return true;
}
