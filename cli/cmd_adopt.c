#include "cli/output.h"
#include "cli/text.h"

static void print_json(struct invocation *inv)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_text(&j, "vault", vault_path(inv->vault));
	json_int(&j, "generation", (int64_t)vault_generation(inv->vault));
	output_json_end(inv, &j);
}

bool cmd_adopt(struct invocation *inv, struct error *err)
{
	if (!option_is_given(inv, "first-use"))
		return fail(err, ERR_USAGE, TXT_ADOPT_HOW);
	if (!vault_adopt(inv->vault, err))
		return false;
	if (inv->globals.json)
		print_json(inv);
	else
		say(inv, SAY_ADOPTED, vault_path(inv->vault), (unsigned long long)vault_generation(inv->vault));
	return true;
}
