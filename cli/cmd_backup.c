/* backup and checkpoint: a copy of the vault, and a line that stands for it. */
#include "agent/unlock.h"
#include "cli/output.h"
#include "cli/own_file.h"
#include "cli/term.h"
#include "cli/text.h"
#include "vault/backup.h"

/* Without a key the bytes can still be copied. */
static bool open_perhaps_sealed(struct invocation *inv, struct error *err)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	if (unlock_open(inv->settings, term_ask_passphrase, inv, &inv->vault, err))
		return true;
	return err->code == ERR_LOCKED && vault_open(&place, &inv->vault, err);
}

static void print_json(struct invocation *inv, const struct backup_report *r)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_text(&j, "file", inv->args[0]);
	json_bool(&j, "proven", r->is_proven);
	if (r->is_proven) {
		json_int(&j, "generation", (int64_t)r->proof.generation);
		json_int(&j, "pixels", (int64_t)r->proof.pixels);
		json_int(&j, "tokens", (int64_t)r->proof.tokens);
	}
	json_text(&j, "checkpoint", r->is_proven ? r->checkpoint : NULL);
	output_json_end(inv, &j);
}

bool cmd_backup(struct invocation *inv, struct error *err)
{
	struct backup_report report;
	const char *file = inv->args[0];
	if (!own_file_spare(inv->settings, file, err) || !open_perhaps_sealed(inv, err) ||
	    !vault_backup(inv->vault, file, option_is_given(inv, "force"), &report, err))
		return false;
	if (inv->globals.json) {
		print_json(inv, &report);
		return true;
	}
	if (!report.is_proven) {
		say_problem(inv, NULL, SAY_BACKUP_NOT_PROVEN, file, file);
		return true;
	}
	say(inv, SAY_BACKUP_DONE, file, (unsigned long long)report.proof.generation,
	    (unsigned long long)report.proof.pixels, (unsigned long long)report.proof.tokens);
	buf_printf(&inv->out, "checkpoint %s\n", report.checkpoint);
	return true;
}

bool cmd_checkpoint(struct invocation *inv, struct error *err)
{
	char text[CHECKPOINT_TEXT_MAX];
	(void)err;
	vault_checkpoint(inv->vault, text);
	if (inv->globals.json) {
		struct json j = JSON_INIT(&inv->out);
		output_json_begin(&j);
		json_text(&j, "checkpoint", text);
		json_int(&j, "generation", (int64_t)vault_generation(inv->vault));
		output_json_end(inv, &j);
		return true;
	}
	buf_printf(&inv->out, "checkpoint %s\n", text);
	return true;
}
