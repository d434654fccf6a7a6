#include "agent/objects.h"
#include "agent/unlock.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "vault/bundle.h"

#include <inttypes.h>
#include <string.h>

static void say_fault(void *context, const char *sentence)
{
	struct invocation *inv = context;
	say_problem(inv, NULL, "%s", sentence);
}

static void print_json(struct invocation *inv, const struct verify_report *r)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	verify_json(&j, r);
	output_json_end(inv, &j);
}

static bool verify_file(struct invocation *inv, struct verify_report *ret, struct error *err)
{
	struct vault_place place = {
		.path = inv->args[0], .state_dir = inv->settings->state_dir, .is_copy = true, .is_still = true
	};
	return bundle_refuse(inv->args[0], err) && vault_open(&place, &inv->vault, err) &&
	       unlock_with_any(inv->vault, inv->settings, term_ask_passphrase, inv, err) &&
	       vault_verify(inv->vault, say_fault, inv, ret, err);
}

static bool verify_vault(struct invocation *inv, struct verify_report *ret, struct error *err)
{
	bool is_open = inv->agent || unlock_open(inv->settings, term_ask_passphrase, inv, &inv->vault, err);
	if (is_open && source_verify(inv, say_fault, inv, ret, err))
		return true;
	if (is_open && err->class && strcmp(err->class, "tampered") == 0)
		text_copy(err->hint, sizeof err->hint, HINT_VERIFY_MEND);
	return false;
}

bool cmd_verify(struct invocation *inv, struct error *err)
{
	struct verify_report report = { .faults = 0 };
	if (inv->arg_count ? !verify_file(inv, &report, err) : !verify_vault(inv, &report, err))
		return false;
	if (inv->globals.json) {
		print_json(inv, &report);
		return true;
	}
	if (!inv->globals.quiet)
		buf_printf(&inv->out,
			   "proven: %" PRIu64 " Pixels, %" PRIu64 " tokens, %" PRIu64 " nodes, %" PRIu64
			   " disposable records, at generation %" PRIu64 "\n",
			   report.pixels, report.tokens, report.nodes, report.disposable, report.generation);
	return true;
}
