#include "cli/key_work.h"
#include "cli/new_key.h"
#include "cli/output.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/file.h"

#include <string.h>
#include <sys/stat.h>

/* What the new vault will open with. */
struct keys {
	struct new_key main, recovery;
};

static void keys_done(struct keys *k)
{
	new_key_done(&k->main);
	new_key_done(&k->recovery);
}

/* Flag before setting before question. */
static bool choose_key(struct invocation *inv, struct new_key *k, struct error *err)
{
	bool is_given;
	if (!new_key_from_options(inv, k, &is_given, err))
		return false;
	if (is_given)
		return true;
	if (inv->settings->key_file[0])
		return new_key_file(inv->settings->key_file, k, err);
	if (inv->settings->passphrase_file[0])
		return new_key_passphrase_file(inv->settings->passphrase_file, k, err);
	return new_key_ask(inv, k, err);
}

static bool make_recovery(struct invocation *inv, struct new_key *k, struct error *err)
{
	if (option_is_given(inv, "no-recovery"))
		return true;
	if (term_may_ask(&inv->globals))
		return new_key_recovery(k, err);
	say(inv, SAY_INIT_NO_RECOVERY);
	return true;
}

static bool make_vault(struct invocation *inv, struct keys *k, struct error *err)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	struct stat st;
	struct slot_secret slots[2] = { { k->main.kind, k->main.secret }, { SLOT_RECOVERY, k->recovery.secret } };
	if (!make_folder_of(place.path, true, err) || !file_make_folder(place.state_dir, err) ||
	    !new_key_write(&k->main, err))
		return false;
	if (vault_create(&place, slots, k->recovery.secret ? 2 : 1, err))
		return true;
	bool is_there = lstat(place.path, &st) == 0;
	if (k->main.is_key_file_new && (!is_there || key_work_is_unused(inv, &k->main, k->main.key_file, err)))
		new_key_undo(&k->main);
	return false;
}

/* How later commands find what they need, unless the settings say it already. */
static void tell_done(struct invocation *inv, const struct new_key *k)
{
	char key[PATH_MAX] = "", vault[PATH_MAX];
	const char *file = k->key_file ? k->key_file : k->passphrase_file;
	const char *configured = k->key_file ? inv->settings->key_file : inv->settings->passphrase_file;
	const char *variable = k->key_file ? " PIXELVAULT_KEY_FILE=" : " PIXELVAULT_PASSPHRASE_FILE=";
	absolute_path(inv->settings->vault_path, vault);
	say(inv, SAY_INIT_DONE, vault);
	if (file)
		absolute_path(file, key);
	bool names_vault = inv->globals.vault != NULL,
	     names_key = file && strcmp(file, configured) != 0 && strcmp(key, configured) != 0;
	if (k->is_key_file_new)
		say(inv, SAY_INIT_KEY_MADE, key);
	if (k->key_file && lies_beside(key, vault))
		say(inv, SAY_INIT_BESIDE);
	if (names_vault || names_key)
		say(inv, SAY_INIT_FIND, names_vault ? " PIXELVAULT_VAULT=" : "", names_vault ? vault : "",
		    names_key ? variable : "", names_key ? key : "");
}

static void print_json(struct invocation *inv, const struct new_key *k, bool has_recovery)
{
	static const char *const kinds[] = { [SLOT_PASSPHRASE] = "passphrase", [SLOT_KEY_FILE] = "key-file" };
	char vault[PATH_MAX], key[PATH_MAX];
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_text(&j, "vault", absolute_path(inv->settings->vault_path, vault));
	json_text(&j, "key_file", k->key_file ? absolute_path(k->key_file, key) : NULL);
	json_array(&j, "slots");
	json_text(&j, NULL, kinds[k->kind]);
	if (has_recovery)
		json_text(&j, NULL, "recovery");
	json_end_array(&j);
	output_json_end(inv, &j);
}

bool cmd_init(struct invocation *inv, struct error *err)
{
	scoped(keys_done) struct keys keys = { .main = { .secret = NULL } };
	struct stat st;
	/* Before anything is asked or written. */
	if (lstat(inv->settings->vault_path, &st) == 0)
		return fail(err, ERR_CONFLICT, TXT_VAULT_EXISTS, inv->settings->vault_path);
	if (!choose_key(inv, &keys.main, err) || !make_recovery(inv, &keys.recovery, err) || !make_vault(inv, &keys, err))
		return false;
	tell_done(inv, &keys.main);
	if (inv->globals.json)
		print_json(inv, &keys.main, keys.recovery.secret != NULL);
	return true;
}
