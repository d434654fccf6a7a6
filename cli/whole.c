#include "cli/whole.h"

#include "agent/sweep_note.h"
#include "agent/unlock.h"
#include "cli/key_work.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/process.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define OUTPUT_BYTES_MAX ((size_t)1 << 30)
#define HELD_BYTES_MAX 65536

static bool open_vault(struct invocation *inv, unsigned flags, struct error *err)
{
	if ((flags & NEEDS_UNLOCK) != NEEDS_UNLOCK || inv->agent)
		return true;
	if ((flags & NEEDS_ADOPTION) == NEEDS_ADOPTION)
		return unlock_adopting(inv->settings, term_ask_passphrase, inv, &inv->vault, err);
	if ((flags & NEEDS_DOUBT) == NEEDS_DOUBT)
		return unlock_doubting(inv->settings, term_ask_passphrase, inv, &inv->vault, err);
	if (!unlock_open(inv->settings, term_ask_passphrase, inv, &inv->vault, err))
		return false;
	say_wrong_keys(inv);
	say_cheap_key(inv);
	return true;
}

/* Through an agent a token is only handed on: nothing is read, initialised or proven for it that is not needed. */
static bool prepare(struct invocation *inv, struct error *err)
{
	/* Large, and mostly paths that a command through an agent never touches: static, so that nobody clears it. */
	static struct settings settings;
	unsigned flags = inv->command->flags;
	struct settings_flags given = { .vault = inv->globals.vault, .config = inv->globals.config };
	if (!(flags & NEEDS_SETTINGS))
		return true;
	inv->settings = &settings;
	if (!settings_begin(&given, inv->settings, err) || ((flags & THROUGH_AGENT) && !source_connect(inv, err)))
		return false;
	size_t arena = flags & MANY_SECRETS ? SECRET_ARENA_BULK : SECRET_ARENA_SMALL;
	bool is_bare = inv->agent && (flags & BARE_WITH_AGENT) == BARE_WITH_AGENT;
	if (is_bare ? !secret_arena_open_bare(SECRET_ARENA_SMALL, err)
		    : !settings_finish(&given, inv->settings, err) || !secret_arena_open(arena, err))
		return false;
	if (!secret_arena_is_locked())
		say(inv, SAY_NOT_LOCKED);
	return open_vault(inv, flags, err);
}

/* Help and version come before everything else: they must work where nothing else does. */
static bool tell_about(struct invocation *inv)
{
	if (inv->globals.version)
		buf_append_text(&inv->out, "pixelvault " PIXELVAULT_VERSION "\n");
	else if (inv->globals.help && inv->command)
		help_command(inv->command, &inv->out);
	else if (inv->globals.help)
		help_program(&inv->out, false);
	else
		return false;
	return true;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Nobody notices by himself that cron runs no more. Commands that hand out tokens do not stop for it. */
static void say_missed(struct invocation *inv)
{
	static const char *const tell[] = { "status", "list", "alert", "put", "rotate", "label", "history", "rollout" };
	char ago[CLOCK_TEXT_MAX], interval[CLOCK_TEXT_MAX];
	int64_t last, now = clock_wall();
	struct error unused;
	if (inv->agent || !inv->vault || !is_one_of(inv->command->name, tell, COUNT_OF(tell)) ||
	    !sweep_note_last(inv->vault, &last, &unused) ||
	    !sweep_is_missed(last, inv->settings->interval_s, now))
		return;
	say(inv, SAY_MISSED, clock_format_span(now - last, ago), clock_format_span(inv->settings->interval_s, interval));
}

static void help_on_stderr(void)
{
	struct buf help = BUF_INIT(OUTPUT_BYTES_MAX);
	struct error unused;
	help_program(&help, true);
	if (!file_write_all(STDERR_FILENO, buf_bytes(&help), "standard error", &unused))
		buf_clear(&help);
	buf_done(&help);
}

static bool run(struct invocation *inv, int argc, char **argv, struct error *err)
{
	if (!options_parse(inv, commands, command_count, argc, argv, err))
		return false;
	if (tell_about(inv))
		return true;
	if (inv->command) {
		if (!prepare(inv, err))
			return false;
		say_missed(inv);
		return inv->command->run(inv, err);
	}
	if (inv->style != STYLE_TEXT)
		return fail(err, ERR_USAGE, TXT_NO_COMMAND);
	help_on_stderr();
	inv->exit = ERR_USAGE;
	return true;
}

/* In lists of processes it has the name that was typed, and not that of the file. */
static void take_name(const char *typed)
{
	const char *slash = typed ? strrchr(typed, '/') : NULL;
	const char *name = slash ? slash + 1 : typed;
	if (name && *name)
		(void)prctl(PR_SET_NAME, name);
}

int vault_main(int argc, char **argv)
{
	struct error err = { .code = ERR_NONE };
	struct invocation inv = { .out = BUF_INIT(OUTPUT_BYTES_MAX), .held = BUF_INIT(HELD_BYTES_MAX) };
	inv.is_stdout_closed = output_is_closed();
	take_name(argv[0]);
	bool is_done = process_harden(&err) && run(&inv, argc, argv, &err);
	/* The vault goes before the last word: its closing may take a moment and must not follow an answer. */
	vault_leavep(&inv.vault);
	int status = output_finish(&inv, is_done, &err);
	invocation_done(&inv);
	secret_arena_close();
	return status;
}
