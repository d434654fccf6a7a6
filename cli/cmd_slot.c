/* slot: the keys that open the vault, looked at, added, tried, removed and mended. */
#include "cli/credential.h"
#include "cli/key_work.h"
#include "cli/new_key.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void slot_json(struct json *j, const char *name, const struct slot_info *slot)
{
	char id[SLOT_ID_TEXT_MAX];
	json_object(j, name);
	json_text(j, "id", slot_id_text(slot->id, id));
	json_text(j, "kind", slot_kind_name(slot->kind));
	if (slot->kind == SLOT_PASSPHRASE) {
		json_int(j, "passes", slot->passes);
		json_int(j, "memory_kib", slot->mem_kib);
	} else {
		json_null(j, "passes");
		json_null(j, "memory_kib");
	}
	json_bool(j, "below_policy", slot->is_below_policy);
	json_end_object(j);
}

static void print_one(struct invocation *inv, const char *what, const struct slot_info *slot)
{
	struct json j = JSON_INIT(&inv->out);
	if (!inv->globals.json)
		return;
	output_json_begin(&j);
	slot_json(&j, what, slot);
	output_json_end(inv, &j);
}

/* ---- list: needs no key ---- */

static const char *cost_text(const struct slot_info *slot, char *ret, size_t size)
{
	if (slot->kind != SLOT_PASSPHRASE)
		return "256 random bits";
	snprintf(ret, size, "%" PRIu32 " passes over %" PRIu32 " MiB", slot->passes, slot->mem_kib / 1024);
	return ret;
}

static bool print_table(struct invocation *inv, const struct slot_info *slots, size_t count, struct error *err)
{
	static const char *const headings[] = { "ID", "KIND", "A GUESS COSTS" };
	struct table table;
	char id[SLOT_ID_TEXT_MAX], cost[64];
	table_init(&table, headings, COUNT_OF(headings));
	for (size_t i = 0; i < count; i++) {
		table_row(&table, 0);
		table_cell(&table, slot_id_text(slots[i].id, id), TINT_NONE);
		table_cell(&table, slot_kind_text(slots[i].kind), TINT_NONE);
		table_cell(&table, cost_text(&slots[i], cost, sizeof cost),
			   slots[i].is_below_policy ? TINT_WARN : TINT_NONE);
	}
	bool ok = table_print(&table, term_wants_colour(inv->globals.colour, STDOUT_FILENO), 0, &inv->out, err);
	table_done(&table);
	return ok;
}

static void print_slots(struct invocation *inv, const struct slot_info *slots, size_t count)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_array(&j, "slots");
	for (size_t i = 0; i < count; i++)
		slot_json(&j, NULL, &slots[i]);
	json_end_array(&j);
	output_json_end(inv, &j);
}

static bool list(struct invocation *inv, struct error *err)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	struct slot_info slots[SLOTS_MAX];
	char name[SLOT_NAME_MAX];
	if (!vault_open(&place, &inv->vault, err))
		return false;
	size_t count = vault_slots(inv->vault, slots);
	for (size_t i = 0; i < count; i++)
		if (slots[i].is_below_policy)
			say(inv, SAY_SLOT_CHEAP, slot_name(&slots[i], name));
	if (count == 1)
		say(inv, SAY_SLOT_ONLY);
	if (!inv->globals.json)
		return print_table(inv, slots, count, err);
	print_slots(inv, slots, count);
	return true;
}

/* ---- add ---- */

/* Whatever seals the credential may lose it (new firmware, new mainboard), so another kind of key must be there. */
static bool has_other_than_credential(const struct vault *v)
{
	return vault_has_slot(v, SLOT_PASSPHRASE) || vault_has_slot(v, SLOT_KEY_FILE) ||
	       vault_has_slot(v, SLOT_RECOVERY);
}

static bool add_credential(struct invocation *inv, struct new_key *k, const char *file, struct error *err)
{
	const char *name = inv->settings->credential[0] ? inv->settings->credential : CREDENTIAL_NAME;
	bool has_tpm;
	if (!has_other_than_credential(inv->vault))
		return fail(err, ERR_CONFLICT, TXT_CREDENTIAL_ALONE);
	if (!credential_make(file, name, &k->secret, &has_tpm, err))
		return false;
	k->kind = SLOT_CREDENTIAL;
	say(inv, has_tpm ? SAY_CREDENTIAL_TPM : SAY_CREDENTIAL_HOST, file);
	say(inv, SAY_CREDENTIAL_USE, name, file, name);
	return true;
}

static bool choose_new(struct invocation *inv, struct new_key *k, struct error *err)
{
	const char *credential = option_text(inv, "credential");
	bool is_given;
	if (credential)
		return add_credential(inv, k, credential, err);
	if (option_is_given(inv, "recovery"))
		return term_may_ask(&inv->globals) ? new_key_recovery(k, err)
						   : fail(err, ERR_LOCKED, TXT_RECOVERY_NO_TERMINAL);
	if (!new_key_from_options(inv, k, &is_given, err))
		return false;
	return is_given || new_key_ask(inv, k, err);
}

/* Whatever was written for a slot that is not there. */
static void take_back(struct invocation *inv, const struct new_key *k, const struct error *why)
{
	const char *credential = option_text(inv, "credential"), *file = credential ? credential : k->key_file;
	if ((credential || k->is_key_file_new) && key_work_is_unused(inv, k, file, why))
		unlink(file);
}

static bool add(struct invocation *inv, struct error *err)
{
	scoped(unlock_key_done) struct unlock_key opener = { .secret = NULL };
	scoped(new_key_done) struct new_key k = { .secret = NULL };
	struct slot_info slot;
	uint32_t passes;
	char name[SLOT_NAME_MAX];
	if (!key_work_open(inv, false, &opener, err) || !choose_new(inv, &k, err) ||
	    !key_work_passes(k.kind, &passes, err) || !new_key_write(&k, err))
		return false;
	struct slot_secret holder = { k.kind, k.secret };
	if (!vault_add_slot(inv->vault, &holder, passes, &slot, err)) {
		take_back(inv, &k, err);
		return false;
	}
	say(inv, SAY_SLOT_ADDED, slot_name(&slot, name));
	if (k.is_key_file_new)
		say(inv, SAY_INIT_KEY_MADE, k.key_file);
	print_one(inv, "added", &slot);
	return true;
}

/* ---- remove ---- */

static bool remove_slot(struct invocation *inv, struct error *err)
{
	scoped(unlock_key_done) struct unlock_key opener = { .secret = NULL };
	struct slot_info slot;
	char name[SLOT_NAME_MAX], prompt[sizeof ASK_SLOT_REMOVE + SLOT_NAME_MAX];
	bool is_meant;
	if (inv->arg_count != 2)
		return fail(err, ERR_USAGE, TXT_SLOT_WHICH);
	if (!key_work_open(inv, false, &opener, err) || !slot_named(inv->vault, inv->args[1], &slot, err))
		return false;
	const uint8_t *by = vault_opened_by(inv->vault);
	bool is_refused = by && memcmp(by, slot.id, SLOT_ID_LEN) == 0; /* no need to ask: it cannot be done */
	slot_name(&slot, name);
	snprintf(prompt, sizeof prompt, ASK_SLOT_REMOVE, name);
	if (!is_refused && !key_work_confirm(inv, prompt, &is_meant, err))
		return false;
	if (!is_refused && !is_meant)
		return fail(err, ERR_USAGE, TXT_SLOT_NOT_REMOVED);
	if (!vault_remove_slot(inv->vault, slot.id, err))
		return false;
	say(inv, SAY_SLOT_REMOVED, name);
	say(inv, SAY_SLOT_NOT_UNDONE);
	print_one(inv, "removed", &slot);
	return true;
}

/* ---- test ---- */

static bool read_tested(struct invocation *inv, struct unlock_key *ret, struct error *err)
{
	scoped(new_key_done) struct new_key k = { .secret = NULL };
	scoped(secret_freep) struct secret *typed = NULL;
	const char *file = option_text(inv, "key-file");
	bool is_given;
	if (file) {
		ret->kind = SLOT_KEY_FILE;
		return unlock_read_key_file(file, &ret->secret, err);
	}
	if (!new_key_from_options(inv, &k, &is_given, err))
		return false;
	if (is_given)
		return slot_secret_of_typed(inv->vault, k.secret, ret, err);
	return term_ask_passphrase(inv, &typed, err) && slot_secret_of_typed(inv->vault, typed, ret, err);
}

/* A key file may be of a slot that was made for a credential. */
static bool try_tested(struct invocation *inv, const struct unlock_key *key, struct error *err)
{
	struct slot_secret holder = { key->kind, key->secret }, sealed = { SLOT_CREDENTIAL, key->secret };
	struct error why;
	if (vault_unlock(inv->vault, &holder, err) ||
	    (key->kind == SLOT_KEY_FILE && err->code == ERR_WRONG_KEY && vault_unlock(inv->vault, &sealed, &why)))
		return true;
	if (err->code == ERR_WRONG_KEY)
		vault_note_wrong_key(inv->vault);
	return false;
}

static bool test(struct invocation *inv, struct error *err)
{
	scoped(unlock_key_done) struct unlock_key key = { .secret = NULL };
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	struct slot_info slot;
	char name[SLOT_NAME_MAX];
	if (!vault_open(&place, &inv->vault, err) || !read_tested(inv, &key, err) || !try_tested(inv, &key, err) ||
	    !slot_that_opened(inv->vault, &slot, err))
		return false;
	say(inv, SAY_SLOT_WORKS, slot_name(&slot, name));
	say_cheap_key(inv);
	print_one(inv, "opened", &slot);
	return true;
}

/* ---- repair ---- */

static bool repair(struct invocation *inv, struct error *err)
{
	scoped(unlock_key_done) struct unlock_key opener = { .secret = NULL };
	struct slot_info slots[SLOTS_MAX];
	if (!key_work_open(inv, true, &opener, err) || !vault_mend_slots(inv->vault, err))
		return false;
	size_t count = vault_slots(inv->vault, slots);
	say(inv, SAY_SLOT_REPAIRED, count, count == 1 ? "" : "s");
	if (inv->globals.json)
		print_slots(inv, slots, count);
	return true;
}

/* ---- */

struct action {
	const char *name;
	bool (*run)(struct invocation *inv, struct error *err);
	const char *options; /* that make sense with it, each followed by a blank */
};

static const struct action actions[] = {
	{ "list", list, "" },
	{ "add", add, "key-file passphrase-fd passphrase-file credential recovery ask with-key " },
	{ "remove", remove_slot, "ask with-key yes " },
	{ "test", test, "key-file passphrase-fd passphrase-file " },
	{ "repair", repair, "ask with-key " },
};

static bool takes(const struct action *a, const char *option)
{
	char word[32];
	int len = snprintf(word, sizeof word, "%s ", option);
	const char *at = strstr(a->options, word);
	return len > 0 && at && (at == a->options || at[-1] == ' ');
}

bool cmd_slot(struct invocation *inv, struct error *err)
{
	for (size_t i = 0; i < COUNT_OF(actions); i++) {
		if (strcmp(inv->args[0], actions[i].name) != 0)
			continue;
		for (size_t o = 0; o < inv->command->option_count; o++)
			if (option_is_given(inv, inv->command->options[o].name) &&
			    !takes(&actions[i], inv->command->options[o].name))
				return fail(err, ERR_USAGE, TXT_SLOT_OPTION, actions[i].name,
					    inv->command->options[o].name);
		if (inv->arg_count > 1 && actions[i].run != remove_slot)
			return fail(err, ERR_USAGE, TXT_SLOT_SURPLUS, actions[i].name);
		return actions[i].run(inv, err);
	}
	return fail(err, ERR_USAGE, TXT_SLOT_ACTION, error_repeatable(inv->args[0]));
}
