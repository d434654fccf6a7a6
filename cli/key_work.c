#include "cli/key_work.h"

#include "cli/new_key.h"
#include "cli/output.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS_MIN 4

static bool choose_source(struct invocation *inv, struct error *err)
{
	const char *file = option_text(inv, "with-key");
	if (!file && !option_is_given(inv, "ask"))
		return true;
	inv->settings->key_file[0] = inv->settings->credential[0] = inv->settings->passphrase_file[0] = '\0';
	if (file && strlen(file) >= sizeof inv->settings->key_file)
		return fail(err, ERR_USAGE, TXT_PATH_LONG);
	if (file)
		memcpy(inv->settings->key_file, file, strlen(file) + 1);
	return true;
}

bool key_work_open(struct invocation *inv, bool is_mending, struct unlock_key *kept, struct error *err)
{
	if (!choose_source(inv, err) ||
	    !unlock_keeping(inv->settings, is_mending, term_ask_passphrase, inv, kept, &inv->vault, err))
		return false;
	say_wrong_keys(inv);
	return true;
}

bool key_work_passes(enum slot_kind kind, uint32_t *ret, struct error *err)
{
	*ret = 0;
	return kind != SLOT_PASSPHRASE || slot_calibrate(ret, err);
}

const char *slot_id_text(const uint8_t id[SLOT_ID_LEN], char ret[SLOT_ID_TEXT_MAX])
{
	return sodium_bin2hex(ret, SLOT_ID_TEXT_MAX, id, SLOT_ID_LEN);
}

bool slot_named(const struct vault *v, const char *text, struct slot_info *ret, struct error *err)
{
	struct slot_info slots[SLOTS_MAX];
	char id[SLOT_ID_TEXT_MAX];
	size_t count = vault_slots(v, slots), len = strlen(text), found = 0;
	for (size_t i = 0; len >= ID_DIGITS_MIN && i < count; i++)
		if (strncmp(slot_id_text(slots[i].id, id), text, len) == 0) {
			*ret = slots[i];
			found++;
		}
	if (found > 1)
		return fail(err, ERR_USAGE, TXT_SLOT_ID_SHORT, text);
	return found ? true : fail(err, ERR_NOT_FOUND, TXT_SLOT_NO_ID, error_repeatable(text));
}

bool slot_that_opened(const struct vault *v, struct slot_info *ret, struct error *err)
{
	char id[SLOT_ID_TEXT_MAX];
	return slot_named(v, slot_id_text(vault_opened_by(v), id), ret, err);
}

bool key_work_is_unused(struct invocation *inv, const struct new_key *k, const char *file, const struct error *why)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	struct slot_secret holder = { k->kind, k->secret };
	scoped(vault_closep) struct vault *again = NULL;
	struct slot_info found;
	struct error ignored;
	if (why->code != ERR_STORAGE && vault_open(&place, &again, &ignored) &&
	    !vault_try_secret(again, &holder, &found, &ignored) && ignored.code == ERR_WRONG_KEY)
		return true;
	say_problem(inv, HINT_KEY_STAYS, SAY_KEY_STAYS, file);
	return false;
}

const char *slot_kind_name(enum slot_kind kind)
{
	static const char *const names[] = { [SLOT_PASSPHRASE] = "passphrase",
					     [SLOT_KEY_FILE] = "key-file",
					     [SLOT_CREDENTIAL] = "credential",
					     [SLOT_RECOVERY] = "recovery" };
	return names[kind];
}

const char *slot_name(const struct slot_info *slot, char ret[SLOT_NAME_MAX])
{
	char id[SLOT_ID_TEXT_MAX];
	snprintf(ret, SLOT_NAME_MAX, "%s %s", slot_kind_text(slot->kind), slot_id_text(slot->id, id));
	return ret;
}

bool key_work_confirm(struct invocation *inv, const char *prompt, bool *ret_is_yes, struct error *err)
{
	scoped(secret_freep) struct secret *typed = NULL;
	struct question_on_tty q = {
		.prompt = prompt, .echo = ECHO_ON, .max = 16, .may_be_empty = true, .is_fresh = true
	};
	*ret_is_yes = option_is_given(inv, "yes");
	if (*ret_is_yes)
		return true;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_NEEDS_YES);
	if (!term_ask(&q, &typed, err))
		return false;
	*ret_is_yes = bytes_equal(secret_reveal(typed), bytes_of_text("yes"));
	return true;
}

bool slot_secret_of_typed(const struct vault *v, struct secret *typed, struct unlock_key *ret, struct error *err)
{
	struct error not_one;
	if (vault_has_slot(v, SLOT_RECOVERY) && recovery_decode(secret_reveal(typed), &ret->secret, &not_one)) {
		ret->kind = SLOT_RECOVERY;
		return true;
	}
	ret->kind = SLOT_PASSPHRASE;
	if (!vault_has_slot(v, SLOT_PASSPHRASE))
		return fail(err, ERR_WRONG_KEY, TXT_TYPED_NO_RECOVERY);
	return secret_copy(secret_reveal(typed), &ret->secret, err);
}

void say_wrong_keys(struct invocation *inv)
{
	uint32_t count;
	int64_t last;
	char at[CLOCK_TEXT_MAX];
	vault_tell_wrong_keys(inv->vault, &count, &last);
	if (count)
		say(inv, SAY_WRONG_KEYS, count, count == 1 ? "" : "s", clock_format(last, at));
}

void say_cheap_key(struct invocation *inv)
{
	struct slot_info slot;
	struct error ignored;
	char name[SLOT_NAME_MAX];
	if (slot_that_opened(inv->vault, &slot, &ignored) && slot.is_below_policy)
		say(inv, SAY_SLOT_CHEAP, slot_name(&slot, name));
}
