#include "cli/output.h"
#include "cli/text.h"
#include "core/file.h"
#include "vault/backup.h"

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
	const char *checkpoint = option_text(inv, "checkpoint");
	bool is_followed = true;
	if (!checkpoint && !option_is_given(inv, "first-use"))
		return fail(err, ERR_USAGE, TXT_ADOPT_HOW);
	if (!file_make_folder(inv->settings->state_dir, err)) /* it may be what was lost */
		return false;
	if (checkpoint ? !vault_adopt_checkpoint(inv->vault, checkpoint, &is_followed, err) : !vault_adopt(inv->vault, err))
		return false;
	if (!is_followed)
		say_problem(inv, NULL, SAY_ADOPTED_COUNTED);
	if (inv->globals.json)
		print_json(inv);
	else if (checkpoint)
		say(inv, SAY_ADOPTED_CHECKPOINT, vault_path(inv->vault), (unsigned long long)vault_generation(inv->vault));
	else
		say(inv, SAY_ADOPTED, vault_path(inv->vault), (unsigned long long)vault_generation(inv->vault));
	return true;
}
