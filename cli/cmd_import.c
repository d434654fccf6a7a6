#include "agent/intake.h"
#include "cli/bundle_passphrase.h"
#include "cli/import_words.h"
#include "cli/output.h"
#include "cli/shred.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/wipe.h"
#include "vault/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAPS_MAX 64
#define AGENT_WAIT_MS 2000

static void work_done(struct import_work *w)
{
	sheet_done(&w->sheet);
	intake_done(&w->intake);
	wipe_free(w->rows);
	secret_freep(&w->file);
}

/* ---- the file ---- */

static bool is_stdin(const struct import_work *w)
{
	return strcmp(w->path, "-") == 0;
}

static bool read_fd(struct import_work *w, int fd, struct error *err)
{
	if (fstat(fd, &w->as_read) != 0 || S_ISDIR(w->as_read.st_mode))
		return fail(err, ERR_USAGE, TXT_FROM_FILE, w->path,
			    strerror(S_ISDIR(w->as_read.st_mode) ? EISDIR : errno));
	if (secret_read(fd, BUNDLE_FILE_MAX, &w->file, err))
		return true;
	return err->code == ERR_USAGE ? fail(err, ERR_USAGE, TXT_IMPORT_LARGE, w->path, BUNDLE_FILE_MAX) : false;
}

static bool read_source(struct import_work *w, struct error *err)
{
	if (is_stdin(w) && isatty(STDIN_FILENO))
		return fail(err, ERR_USAGE, TXT_IMPORT_TERMINAL);
	if (is_stdin(w))
		return read_fd(w, STDIN_FILENO, err);
	scoped(file_closep) int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? fail(err, ERR_USAGE, TXT_FROM_FILE, w->path, strerror(errno)) : read_fd(w, fd, err);
}

static bool unseal_source(struct import_work *w, struct error *err)
{
	struct invocation *inv = w->inv;
	enum bundle_kind kind;
	scoped(secret_freep) struct secret *passphrase = NULL;
	if (!bundle_check(secret_reveal(w->file), &kind, err) ||
	    (kind == BUNDLE_PASSPHRASE && !bundle_passphrase(inv, false, &passphrase, err)))
		return false;
	struct bundle_key key = { .passphrase = passphrase, .root_key = vault_root_key(inv->vault) };
	w->is_sealed = true;
	return bundle_open(w->file, &key, err);
}

static bool read_sheet(struct import_work *w, struct error *err)
{
	const struct given *wanted = option_find(w->inv, "format");
	static const enum sheet_format formats[] = { SHEET_ENV, SHEET_CSV, SHEET_JSON };
	if (!read_source(w, err) || (bundle_is(secret_reveal(w->file)) && !unseal_source(w, err)))
		return false;
	if (secret_len(w->file) > SHEET_BYTES_MAX)
		return fail(err, ERR_USAGE, TXT_IMPORT_LARGE, w->path, SHEET_BYTES_MAX);
	enum sheet_format format = w->is_sealed ? SHEET_JSON
				   : wanted     ? formats[wanted->number]
						: sheet_guess(secret_reveal(w->file));
	return sheet_read(w->file, format, &w->sheet, err);
}

static bool read_rows(struct import_work *w, struct error *err)
{
	const char *maps[MAPS_MAX];
	struct intake_request request = { .maps = maps, .allow_shared = option_is_given(w->inv, "allow-shared") };
	size_t i = 0;
	for (const struct given *g; (g = option_next(w->inv, "map", &i));) {
		if (request.map_count == MAPS_MAX)
			return fail(err, ERR_USAGE, TXT_IMPORT_MAPS, MAPS_MAX);
		maps[request.map_count++] = g->text;
	}
	/* Who sealed it knew that one token stands under two of his Pixels. */
	request.allow_shared = request.allow_shared || w->is_sealed;
	return intake_read(&w->sheet, &request, &w->intake, err);
}

/* ---- storing ---- */

static bool make_rows(struct import_work *w, struct error *err)
{
	w->count = intake_count(&w->intake);
	w->rows = wipe_calloc(w->count + 1, sizeof *w->rows);
	if (!w->rows)
		return fail_no_memory(err);
	for (size_t i = 0; i < w->count; i++) {
		const struct intake_entry *e = intake_entry_at(&w->intake, i);
		w->rows[i] = (struct import_row){ .pixel = e->pixel,
						  .token = e->token,
						  .labels = intake_labels(&w->intake, e),
						  .label_count = e->label_count,
						  .expires_at = e->expires_at,
						  .test_code = e->test_code[0] ? e->test_code : NULL };
	}
	return true;
}

static void show_asked(void *context, size_t done, size_t total, const struct import_row *row)
{
	struct progress *p = context;
	progress_show(p, done, total, row->pixel);
}

static bool store(struct import_work *w, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct progress progress;
	bool is_checked = option_is_given(w->inv, "check");
	struct import_request request = {
		.rows = w->rows,
		.count = w->count,
		.mode = is_checked                            ? IMPORT_CHECK
			: option_is_given(w->inv, "no-check") ? IMPORT_NO_CHECK
							      : IMPORT_LATER,
		.is_dry_run = w->is_dry_run,
		.asked = show_asked,
		.context = &progress,
	};
	if (is_checked)
		say(w->inv, SAY_IMPORT_ASKING, w->count, w->inv->settings->rate);
	progress_begin(&progress, &w->inv->globals);
	bool is_done = service_new(w->inv->vault, w->inv->settings, &service, err) &&
		       service_import(service, &request, &w->result, err);
	progress_end(&progress);
	return is_done;
}

static bool confirm(struct import_work *w, const char *prompt, bool *ret, struct error *err)
{
	scoped(secret_freep) struct secret *answer = NULL;
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_ON, .max = 255, .may_be_empty = true };
	if (!term_ask(&q, &answer, err))
		return false;
	(void)w;
	*ret = bytes_equal(secret_reveal(answer), bytes_of_text("yes"));
	return true;
}

/* Columns that were told apart by their content alone are a person's to confirm. */
static bool may_go_on(struct import_work *w, struct error *err)
{
	char prompt[sizeof ASK_IMPORT + 20];
	bool is_yes;
	if (!w->intake.is_guessed || w->is_dry_run || option_is_given(w->inv, "yes") || !term_may_ask(&w->inv->globals))
		return true;
	snprintf(prompt, sizeof prompt, ASK_IMPORT, w->count);
	return confirm(w, prompt, &is_yes, err) && (is_yes ? true : fail(err, ERR_UNEXPECTED, TXT_IMPORT_NOT_CONFIRMED));
}

/* ---- afterwards ---- */

/* 0: the agent has not seen it yet; -1: it will not tell us. */
static int has_seen(struct client *agent, const struct import_row *row)
{
	struct credential c;
	struct error err;
	if (!remote_find(agent, row->pixel, false, &c, NULL, &err))
		return err.code == ERR_NOT_FOUND ? 0 : -1;
	const struct version *v = credential_numbered(&c, row->version);
	return v && v->stage == row->stage;
}

/* An agent looks for what others changed five times a second. Whoever imports and then reads through it reads what was
 * imported; one that is slow, or has another vault, is not waited for. */
static void await_agent(struct import_work *w)
{
	struct error unused;
	int64_t until = clock_boot_ms() + AGENT_WAIT_MS;
	if (!source_connect(w->inv, &unused) || !w->inv->agent)
		return;
	for (size_t i = 0; i < w->count && clock_boot_ms() < until; i++) {
		int seen = 0;
		while ((seen = has_seen(w->inv->agent, &w->rows[i])) == 0 && clock_boot_ms() < until)
			clock_sleep_ms(20);
		if (seen < 0)
			return;
	}
}

static bool wants_shredding(struct import_work *w)
{
	char prompt[sizeof ASK_SHRED + PATH_MAX];
	struct error unused;
	bool is_yes = false;
	if (is_stdin(w) || w->is_sealed || w->is_dry_run || !S_ISREG(w->as_read.st_mode))
		return false;
	if (option_is_given(w->inv, "shred"))
		return true;
	if (w->intake.unused || w->inv->globals.json || w->inv->globals.quiet || !term_may_ask(&w->inv->globals)) {
		say(w->inv, SAY_SOURCE_STAYS, w->path);
		return false;
	}
	snprintf(prompt, sizeof prompt, ASK_SHRED, w->path);
	return confirm(w, prompt, &is_yes, &unused) && is_yes;
}

/* The tokens are stored whatever becomes of the file. */
static void shred(struct import_work *w)
{
	struct error err;
	if (!wants_shredding(w))
		return;
	w->is_shredded = shred_file(w->path, &w->as_read, &err);
	if (w->is_shredded) {
		say(w->inv, SAY_SHREDDED, w->path);
		return;
	}
	say_problem(w->inv, err.hint, "%s", err.message);
	w->inv->exit = ERR_PARTIAL;
}

/* A link would stay, and what it leads to as well: said before anything is stored. */
static bool check_options(struct import_work *w, struct error *err)
{
	struct stat st;
	if (!option_is_given(w->inv, "shred"))
		return true;
	if (is_stdin(w))
		return fail(err, ERR_USAGE, TXT_SHRED_STDIN);
	return lstat(w->path, &st) != 0 || !S_ISLNK(st.st_mode) ? true : fail(err, ERR_USAGE, TXT_SHRED_LINK, w->path);
}

/* Who shreds a file means the tokens, and may not think of what else stands in it. */
static bool spares_the_rest(const struct import_work *w, struct error *err)
{
	size_t unused = w->is_sealed ? 0 : w->intake.unused;
	const char *what = w->sheet.format == SHEET_ENV ? "variable" : "column";
	return !unused || !option_is_given(w->inv, "shred") ? true
		: fail(err, ERR_USAGE, TXT_SHRED_REST, w->path, unused, what, unused == 1 ? "" : "s");
}

bool cmd_import(struct invocation *inv, struct error *err)
{
	scoped(work_done) struct import_work w = { .inv = inv,
						   .path = inv->args[0],
						   .is_dry_run = option_is_given(inv, "dry-run") };
	if (!check_options(&w, err) || !read_sheet(&w, err) || !read_rows(&w, err))
		return false;
	import_show_columns(&w);
	if (w.intake.wrong_rows)
		return import_tell_wrong(&w, err);
	if (!spares_the_rest(&w, err) || !make_rows(&w, err) || !may_go_on(&w, err) || !store(&w, err))
		return false;
	if (w.result.is_stored) {
		await_agent(&w);
		shred(&w);
	}
	return import_tell(&w, err);
}
