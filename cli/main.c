/* vault - the command line program. `get` and `run` are served here when an agent answers; for everything else it becomes
 * the whole program (cli/whole.c), which begins anew. Nothing is written, asked or said before it is clear who serves. */
#include "cli/front.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "cli/source.h"
#include "cli/text.h"
#include "cli/whole.h"
#include "core/process.h"

#define OUTPUT_BYTES_MAX ((size_t)1 << 30)
#define HELD_BYTES_MAX 65536

static bool serve_run(struct invocation *inv, struct error *err)
{
	scoped(bindings_done) struct bindings bound = { .at = NULL };
	return run_bind(inv, run_fetch, &bound, err) && run_become(inv, &bound, err);
}

static const struct command served[] = { ROW_GET(get_fetch), ROW_RUN(serve_run) };

/* What is wrong with the words or the configuration the whole program finds again, and tells with all it knows. */
static bool is_ours(struct invocation *inv, int argc, char **argv)
{
	struct error unused;
	struct settings_flags given;
	if (!options_parse(inv, served, COUNT_OF(served), argc, argv, &unused) || !inv->command || inv->globals.help ||
	    inv->globals.version)
		return false;
	given = (struct settings_flags){ .vault = inv->globals.vault, .config = inv->globals.config };
	return !settings_name_vault(&given) && settings_knows_home(&given) && settings_begin(&given, inv->settings, &unused);
}

/* Through an agent a token is only handed on: nothing is read, initialised or proven for it that is not needed. */
static bool serve(struct invocation *inv, struct error *err)
{
	if (!secret_arena_open_bare(SECRET_ARENA_SMALL, err))
		return false;
	if (!secret_arena_is_locked())
		say(inv, SAY_NOT_LOCKED);
	return inv->command->run(inv, err);
}

/* false: the whole program is to serve. It knows more users than those of /etc/passwd, among which a static program looks
 * for the agent's. */
static bool is_served(struct invocation *inv, int argc, char **argv, bool *ret_is_done, struct error *err)
{
	if (!is_ours(inv, argc, argv))
		return false;
	*ret_is_done = source_connect(inv, err) && (!inv->agent || serve(inv, err));
	return inv->agent || (!*ret_is_done && err->code != ERR_DENIED);
}

/* Large, and mostly paths that a command through an agent never touches: not on the stack, so that nobody clears it,
 * and common, so that it lies behind the small variables and these share a page. */
__attribute__((common)) struct settings front_settings;

int main(int argc, char **argv)
{
	struct error err = { .code = ERR_NONE };
	struct invocation inv = { .settings = &front_settings,
				  .out = BUF_INIT(OUTPUT_BYTES_MAX),
				  .held = BUF_INIT(HELD_BYTES_MAX) };
	inv.is_stdout_closed = output_is_closed();
	bool is_done = process_harden(&err);
	if (is_done && !is_served(&inv, argc, argv, &is_done, &err))
		is_done = process_become_piece(WHOLE_FILE, argv, &err);
	/* The arena stays mapped: what was in it is wiped, and the end of the process is at hand. */
	int status = output_finish(&inv, is_done, &err);
	invocation_done(&inv);
	return status;
}
