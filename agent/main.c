/* vault-agent: keeps the tokens at hand and proves them. Without an option it stays (agent/supervisor.h), and starts
 * itself again as `--keeper` and `--courier`; `--once` is one sweep and an exit code, made for cron. `--courier` is also
 * how our other programs start the process that talks to TikTok (agent/courier.h). */
#include "agent/alert_round.h"
#include "agent/courier.h"
#include "agent/keeper.h"
#include "agent/levels.h"
#include "agent/messenger.h"
#include "agent/metrics.h"
#include "agent/problem.h"
#include "agent/service.h"
#include "agent/supervisor.h"
#include "agent/sweep_note.h"
#include "agent/text.h"
#include "agent/unlock.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/process.h"
#include "core/version.h"

#include <stdio.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define ALERTS_MOST_MS 70000 /* for messages under way; each sink has its own limit below it */
#define STRAYS_BYTES_MAX ((size_t)1 << 24)
#define NOTABLE_BYTES_MAX ((size_t)1 << 28)
#define CODE_ROOM (PIXEL_CODE_MAX + 1) /* of a code that lies behind others */
#define FEW 8 /* one in as many: then it costs less to look at each than at all */

enum mode { MODE_STAY, MODE_ONCE, MODE_HELP, MODE_VERSION };

struct command_line {
	enum mode mode;
	bool is_quiet;
	const char *config;
	const char *metrics_file; /* NULL = only the one in the state folder */
	int64_t splay_s, deadline_s; /* 0 = none */
	const char **pixels;
	size_t pixel_count;
};

static const char usage[] =
	"usage: vault-agent [--config FILE]\n"
	"       vault-agent --once [PIXEL...] [-q] [--splay T] [--deadline T] [--metrics-file F] [--config FILE]\n"
	"\n"
	"Without --once it stays in the foreground: hands tokens to services over a Unix socket, asks TikTok about each of\n"
	"them by a schedule, and says on standard error what turned bad. SIGHUP reads the configuration again, SIGTERM\n"
	"ends it. Who may do what stands in [access NAME] of the configuration; the agent's own user and root may all.\n"
	"\n"
	"With --once it asks about every stored token (or those of the Pixels named), once, says what is wrong, sends the\n"
	"alerts that are due, and pings the dead man's switch: [alert NAME] in the configuration.\n"
	"\n"
	"It never prompts: the vault is opened by a key file, a systemd credential or (--once) a passphrase file; a\n"
	"vault that opens with a passphrase stays locked until somebody says 'vault unlock'.\n"
	"\n"
	"  --once         one sweep, then exit\n"
	"  -q, --quiet    with --once: problems only, on a terminal too; elsewhere good news is never told\n"
	"  --splay T      with --once: begin at a random moment within T (90s, 10m), so that many hosts do not ask at once\n"
	"  --deadline T   with --once: ask nothing more and end when T is over; what was answered is kept\n"
	"  --metrics-file F\n"
	"                 with --once: write the numbers also to F, for Prometheus' textfile collector; replaced whole\n"
	"  --config FILE  read this configuration and no other\n"
	"  --version      print the version\n"
	"  --help         print this\n"
	"\n"
	"Exit status of --once: 0 all is well; 10 expired or revoked, 11 mismatched or no permission, 15 malformed,\n"
	"16 unclear, 9 unreachable or throttled, 14 due soon (the gravest of these, in this order); others: vault\n"
	"exit-codes.\n";

static void print_error(const struct error *err)
{
	fprintf(stderr, "vault-agent: %s\n", err->message);
	if (err->hint[0])
		fprintf(stderr, "  hint: %s\n", err->hint);
}

/* --- the command line --- */

/* "--config FILE" and "--config=FILE". True when argv[*i] was that option; *value is NULL when its value is missing. */
static bool take_value(const char *name, int argc, char *const argv[], int *i, const char **value)
{
	size_t len = strlen(name);
	if (strncmp(argv[*i], name, len) != 0 || (argv[*i][len] != '\0' && argv[*i][len] != '='))
		return false;
	if (argv[*i][len] == '=')
		*value = argv[*i] + len + 1;
	else
		*value = *i + 1 < argc ? argv[++*i] : NULL;
	return true;
}

static bool is_either(const char *text, const char *one, const char *other)
{
	return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

/* "--splay 10m". *ret_is_it: argv[*i] was that option. */
static bool take_span(const char *name, int64_t *to, int argc, char *const argv[], int *i, bool *ret_is_it,
		      struct error *err)
{
	const char *value;
	*ret_is_it = take_value(name, argc, argv, i, &value);
	if (!*ret_is_it)
		return true;
	if (!value)
		return fail(err, ERR_USAGE, TXT_AGENT_NO_VALUE, name);
	return clock_parse_span(value, to) ? true : fail(err, ERR_USAGE, TXT_AGENT_BAD_SPAN, name);
}

static bool take_once_option(struct command_line *ret, int argc, char *const argv[], int *i, bool *ret_is_it,
			     struct error *err)
{
	*ret_is_it = take_value("--metrics-file", argc, argv, i, &ret->metrics_file);
	if (*ret_is_it)
		return ret->metrics_file && ret->metrics_file[0] ? true
								 : fail(err, ERR_USAGE, TXT_AGENT_NO_VALUE, "--metrics-file");
	return take_span("--splay", &ret->splay_s, argc, argv, i, ret_is_it, err) &&
	       (*ret_is_it || take_span("--deadline", &ret->deadline_s, argc, argv, i, ret_is_it, err));
}

static bool take_option(struct command_line *ret, int argc, char *const argv[], int *i, struct error *err)
{
	const char *option = argv[*i];
	bool is_it;
	if (!take_once_option(ret, argc, argv, i, &is_it, err))
		return false;
	if (is_it)
		return true;
	if (take_value("--config", argc, argv, i, &ret->config))
		return ret->config ? true : fail(err, ERR_USAGE, TXT_AGENT_NO_VALUE, "--config");
	if (is_either(option, "-q", "--quiet"))
		ret->is_quiet = true;
	else if (strcmp(option, "--once") == 0)
		ret->mode = MODE_ONCE;
	else if (strcmp(option, "--courier") == 0 || strcmp(option, "--keeper") == 0 ||
		 strcmp(option, "--messenger") == 0)
		return fail(err, ERR_USAGE, TXT_AGENT_STANDS_ALONE, option);
	else
		return fail(err, ERR_USAGE, TXT_AGENT_BAD_OPTION, option);
	return true;
}

/* Help and version win over everything else, also over mistakes elsewhere on the line. */
static bool asks_for(int argc, char *const argv[], const char *one, const char *other)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (is_either(argv[i], one, other))
			return true;
	return false;
}

/* ret->pixels has room for argc. */
static bool parse(int argc, char *const argv[], struct command_line *ret, struct error *err)
{
	bool only_pixels = false;
	if (asks_for(argc, argv, "--help", "-h") || asks_for(argc, argv, "--version", "-V")) {
		ret->mode = asks_for(argc, argv, "--help", "-h") ? MODE_HELP : MODE_VERSION;
		return true;
	}
	for (int i = 1; i < argc; i++) {
		if (!only_pixels && strcmp(argv[i], "--") == 0)
			only_pixels = true;
		else if ((only_pixels || argv[i][0] != '-') && !pixel_check(argv[i], err))
			return false;
		else if (only_pixels || argv[i][0] != '-')
			ret->pixels[ret->pixel_count++] = argv[i];
		else if (!take_option(ret, argc, argv, &i, err))
			return false;
	}
	bool is_once_only = ret->mode == MODE_STAY && (ret->pixel_count || ret->is_quiet || ret->metrics_file ||
						       ret->splay_s || ret->deadline_s);
	return is_once_only ? fail(err, ERR_USAGE, TXT_AGENT_ONLY_ONCE) : true;
}

/* --- one sweep --- */

/* Cron mails every word, and good news is for whoever sits there. */
static bool tells_good_news(const struct command_line *line)
{
	return !line->is_quiet && isatty(STDERR_FILENO);
}

/* Good news only: what is wrong is listed at the end, whether it is new or not. */
static void print_changed(void *context, const char *pixel, enum verdict was, const struct judgement *now)
{
	const struct command_line *line = context;
	if (tells_good_news(line) && !verdict_is_bad(now->verdict))
		fprintf(stderr, "vault-agent: %s: %s (was %s)\n", pixel, verdict_name(now->verdict), verdict_name(was));
}

struct listing {
	const struct settings *settings;
	const struct command_line *line;
	int64_t asked_since, now;
	struct buf notable; /* codes of those that the check found worth a second look */
	bool are_few;       /* else everybody is looked at */
	struct buf strays;  /* codes of Pixels, one behind the other: what to do depends on another one */
};

/* A line a problem, with what to do about it. */
static void print_row(const struct listing *listing, const struct status_row *row)
{
	char text[512];
	if (problem_of(row, listing->asked_since, listing->now, text, sizeof text))
		fprintf(stderr, "vault-agent: %s; %s\n", text, problem_hint(row));
}

static bool print_problem(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct listing *listing = context;
	struct status_row row;
	if (!status_matches(c, (const char *const *)listing->line->pixels, listing->line->pixel_count, NULL, 0))
		return true;
	status_of(c, h, listing->settings, listing->now, &row);
	if (!status_owner(&row)) {
		print_row(listing, &row);
		return true;
	}
	buf_append(&listing->strays, c->pixel, sizeof c->pixel);
	return buf_ok(&listing->strays, err);
}

static bool print_stray(const struct listing *listing, struct vault *v, const char *pixel, struct error *err)
{
	struct credential c, owner;
	struct health h, of_owner;
	struct status_row row;
	struct error unknown;
	if (!vault_find(v, pixel, false, &c, err) || !vault_health(v, &c, &h, err))
		return err->code == ERR_NOT_FOUND; /* removed meanwhile */
	status_of(&c, &h, listing->settings, listing->now, &row);
	const char *code = status_owner(&row);
	if (code && vault_find(v, code, false, &owner, &unknown) && vault_health(v, &owner, &of_owner, &unknown))
		status_advise(&row, &owner, &of_owner);
	print_row(listing, &row);
	return true;
}

static bool each_notable(struct listing *listing, struct vault *v, struct error *err)
{
	struct credential c;
	struct health h;
	if (!listing->are_few)
		return vault_each(v, true, false, print_problem, listing, err);
	for (size_t at = 0; at < listing->notable.len; at += CODE_ROOM) {
		bool is_found = vault_find(v, (const char *)listing->notable.at + at, false, &c, err);
		if (!is_found && err->code == ERR_NOT_FOUND)
			continue; /* removed meanwhile */
		if (!is_found || !vault_health(v, &c, &h, err) || !print_problem(listing, &c, &h, err))
			return false;
	}
	return true;
}

static bool print_problems(struct listing *listing, struct vault *v, struct error *err)
{
	bool is_done = each_notable(listing, v, err) && vault_each_list(v, print_problem, listing, err);
	for (size_t at = 0; is_done && at < listing->strays.len; at += CODE_ROOM)
		is_done = print_stray(listing, v, (const char *)listing->strays.at + at, err);
	buf_done(&listing->strays);
	return is_done;
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static void print_result(const struct check_result *r, const struct command_line *line)
{
	if (r->notice)
		fprintf(stderr, "vault-agent: %s\n", r->notice);
	if (r->exit != ERR_NONE && !r->notice && !r->bad && !r->transient && !r->due)
		fprintf(stderr, "vault-agent: %s\n", error_meaning(r->exit));
	if (r->exit == ERR_NONE && tells_good_news(line))
		fprintf(stderr, "vault-agent: %zu Pixel%s, all is well\n", r->pixels, plural(r->pixels));
}

struct upkeep_told {
	const struct command_line *line;
	bool has_news;
};

static void print_upkeep(void *context, const struct upkeep_news *news)
{
	struct upkeep_told *told = context;
	char text[256];
	bool is_warning;
	told->has_news = true;
	upkeep_sentence(news, text, sizeof text, &is_warning);
	if (is_warning || tells_good_news(told->line))
		fprintf(stderr, "vault-agent: %s\n", text);
}

/* Of some Pixels only, the numbers would say nothing about the rest. */
static void write_metrics(const struct settings *settings, const struct command_line *line, const struct check_result *r,
			  const struct buf *alerts)
{
	struct error why;
	if (line->pixel_count)
		return;
	if (!metrics_write(settings->state_dir, r, clock_wall(), buf_bytes(alerts), &why))
		print_error(&why);
	if (line->metrics_file && !metrics_write_to(line->metrics_file, r, clock_wall(), buf_bytes(alerts), &why))
		print_error(&why);
}

struct levels_count {
	struct levels_sums sums;
	struct levels_period period;
};

static bool count_levels(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct levels_count *count = context;
	struct levels l;
	return !levels_of(c, h, &count->period, &l) || levels_add(&count->sums, &l, &count->period, err);
}

/* A walk of its own, for whoever has the numbers collected. */
static void print_levels(struct vault *v, struct buf *out)
{
	int64_t now = vault_later_clock(v);
	struct levels_count count = { .sums = LEVELS_SUMS_INIT,
				      .period = { .from = now - LEVELS_METRICS_S, .until = now, .now = now } };
	struct error why;
	if (vault_each(v, true, false, count_levels, &count, &why))
		levels_metrics(&count.sums, out);
	else
		print_error(&why);
	levels_sums_done(&count.sums);
}

/* Alerts, numbers and the sign of life: none of them changes what the check found. */
static void tell_the_world(struct vault *v, const struct settings *settings, const struct command_line *line,
			   const struct check_result *r, bool has_news, int64_t until_ms)
{
	struct buf metrics = BUF_INIT(METRICS_MAX);
	struct error why;
	bool was_answered = r->end == SWEEP_COMPLETE && (r->transient < r->pixels || !r->pixels);
	struct alert_round round = { .config = line->config,
				     .has_news = has_news || r->bad || r->due || r->transient || r->decoys,
				     .pings = was_answered && !line->pixel_count,
				     .until_ms = until_ms,
				     .metrics = &metrics };
	struct metrics_lists lists = { .count = 0 };
	if (vault_each_list(v, metrics_count_list, &lists, &why))
		metrics_print_lists(&lists, &metrics);
	if (!line->pixel_count && !sweep_note_done(v, clock_wall(), &why))
		print_error(&why);
	if (!alert_round(v, settings, &round, &why))
		print_error(&why);
	if (line->metrics_file && !line->pixel_count)
		print_levels(v, &metrics);
	write_metrics(settings, line, r, &metrics);
	buf_done(&metrics);
}

static bool see_to_versions(struct service *s, const struct listing *listing, struct upkeep_told *told, struct error *err)
{
	size_t count = listing->notable.len / CODE_ROOM;
	if (!listing->are_few)
		return service_upkeep(s, listing->line->pixels, listing->line->pixel_count, print_upkeep, told, err);
	if (!count)
		return true;
	const char **codes = calloc(count, sizeof *codes);
	if (!codes)
		return fail_no_memory(err);
	for (size_t i = 0; i < count; i++)
		codes[i] = (const char *)listing->notable.at + i * CODE_ROOM;
	bool is_done = service_upkeep(s, codes, count, print_upkeep, told, err);
	free(codes);
	return is_done;
}

static bool sweep_with(struct service *service, struct vault *vault, struct listing *listing,
		       const struct check_request *request, struct courier **ending, struct check_result *ret, struct error *err)
{
	struct command_line *line = request->context;
	struct upkeep_told told = { .line = line };
	if (!service_check(service, request, ret, err))
		return false;
	listing->now = vault_later_clock(vault);
	/* An outage is one problem: what came of each question is not one of its own. */
	if (ret->end == SWEEP_OUTAGE)
		listing->asked_since = INT64_MAX;
	listing->are_few = !listing->notable.is_bad && listing->notable.len / CODE_ROOM * FEW <= ret->pixels;
	bool is_done = (ret->exit == ERR_NONE || print_problems(listing, vault, err)) &&
		       see_to_versions(service, listing, &told, err);
	*ending = service_dismiss_courier(service);
	int64_t most_ms = clock_boot_ms() + ALERTS_MOST_MS;
	tell_the_world(vault, listing->settings, line, ret, told.has_news,
		       request->until_ms && request->until_ms < most_ms ? request->until_ms : most_ms);
	return is_done;
}

static bool sweep(const struct settings *settings, struct command_line *line, struct check_result *ret,
		  struct error *err)
{
	/* Freed last: it gets ready while the vault is opened, and ends while it is closed. */
	scoped(courier_freep) struct courier *courier = NULL;
	scoped(vault_closep) struct vault *vault = NULL;
	scoped(service_freep) struct service *service = NULL;
	int64_t began_ms = clock_boot_ms(), deadline_ms = line->deadline_s ? began_ms + line->deadline_s * 1000 : 0;
	struct check_request request = { .pixels = line->pixels,
					 .pixel_count = line->pixel_count,
					 .probe = PROBE_CHOICE_AUTO,
					 .renews_early = true,
					 .until_ms = deadline_ms,
					 .changed = print_changed,
					 .context = line };
	struct listing listing = { .settings = settings,
				   .line = line,
				   .asked_since = clock_wall(),
				   .notable = BUF_INIT(NOTABLE_BYTES_MAX),
				   .strays = BUF_INIT(STRAYS_BYTES_MAX) };
	request.notable = &listing.notable;
	if (!courier_new(settings, &courier, err))
		return false;
	courier_wake(courier);
	if (!unlock_open(settings, NULL, NULL, &vault, err) || !service_new(vault, settings, &service, err))
		return false;
	service_bring_courier(service, take(courier));
	bool is_done = sweep_with(service, vault, &listing, &request, &courier, ret, err);
	buf_done(&listing.notable);
	return is_done;
}

/* Many hosts with the same line in their crontab would ask TikTok in the same second. */
static void wait_a_while(const struct command_line *line)
{
	if (line->splay_s > 0)
		clock_sleep_ms((int64_t)randombytes_uniform((uint32_t)(line->splay_s < 86400 ? line->splay_s : 86400)) * 1000 +
			       randombytes_uniform(1000));
}

static bool once(struct command_line *line, struct check_result *ret, struct error *err)
{
	struct settings_flags flags = { .config = line->config };
	scoped(settings_done) struct settings settings = { 0 };
	if (!secret_arena_open(SECRET_ARENA_LARGE, err) || !settings_load(&flags, &settings, err))
		return false;
	if (settings.require_locked_memory && !secret_arena_is_locked())
		return fail(err, ERR_UNEXPECTED, TXT_AGENT_NOT_LOCKED);
	log_open("vault-agent", LOG_WARNING);
	wait_a_while(line);
	return sweep(&settings, line, ret, err);
}

static int run(struct command_line *line, struct error *err)
{
	struct check_result result = { 0 };
	switch (line->mode) {
	case MODE_HELP:
		return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
	case MODE_VERSION:
		return puts("vault-agent " PIXELVAULT_VERSION) < 0 || fflush(stdout) != 0;
	case MODE_STAY:
		return supervisor_main(line->config);
	case MODE_ONCE:
		break;
	}
	if (!once(line, &result, err)) {
		print_error(err);
		return (int)err->code;
	}
	print_result(&result, line);
	return (int)result.exit;
}

/* The courier's environment came empty from process_start; this is for one started in any other way. */
static int run_courier(void)
{
	return clearenv() == 0 && setenv("LANG", "C", 1) == 0 ? courier_main() : (int)ERR_UNEXPECTED;
}

/* The supervisor's own child: it chose the environment, and gives --config FILE or nothing. */
static int run_keeper(int argc, char *argv[])
{
	return keeper_main(argc == 4 && strcmp(argv[2], "--config") == 0 ? argv[3] : NULL);
}

/* As the keeper; or another program of ours, which passes on no more than where the configuration is. */
static int run_messenger(int argc, char *argv[])
{
	return messenger_main(argc == 4 && strcmp(argv[2], "--config") == 0 ? argv[3] : NULL);
}

int main(int argc, char *argv[])
{
	struct error err;
	struct command_line line = { 0 };
	if (!process_harden(&err)) {
		print_error(&err);
		return (int)err.code;
	}
	if (argc >= 2 && strcmp(argv[1], "--messenger") == 0)
		return run_messenger(argc, argv);
	if (argc == 2 && strcmp(argv[1], "--courier") == 0)
		return run_courier();
	if (argc >= 2 && strcmp(argv[1], "--keeper") == 0)
		return run_keeper(argc, argv);
	line.pixels = calloc((size_t)argc + 1, sizeof *line.pixels);
	int status;
	if (line.pixels ? parse(argc, argv, &line, &err) : fail_no_memory(&err)) {
		status = run(&line, &err);
	} else {
		print_error(&err);
		status = (int)err.code;
	}
	free(line.pixels);
	secret_arena_close();
	return status;
}
