/* rekey and rotate-key: the same root key wrapped anew, and a new root key. */
#include "agent/text.h"
#include "cli/key_work.h"
#include "cli/new_key.h"
#include "cli/output.h"
#include "cli/term.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RENEWAL_WAIT_MS 60000

/* ---- rekey ---- */

static bool choose_slot(struct invocation *inv, struct slot_info *ret, struct error *err)
{
	if (inv->arg_count)
		return slot_named(inv->vault, inv->args[0], ret, err);
	if (!slot_that_opened(inv->vault, ret, err))
		return false;
	/* Who came in by the recovery key lost another one, and wants that one replaced. */
	return ret->kind != SLOT_RECOVERY || option_is_given(inv, "recovery") ? true : fail(err, ERR_USAGE, TXT_REKEY_WHICH);
}

static bool choose_secret(struct invocation *inv, const struct slot_info *slot, struct unlock_key *opener,
			  struct new_key *k, struct error *err)
{
	bool is_given;
	if (option_is_given(inv, "same")) {
		if (memcmp(slot->id, vault_opened_by(inv->vault), SLOT_ID_LEN) != 0)
			return fail(err, ERR_USAGE, TXT_REKEY_SAME);
		k->kind = opener->kind;
		k->secret = take(opener->secret);
		return true;
	}
	if (option_is_given(inv, "recovery"))
		return term_may_ask(&inv->globals) ? new_key_recovery(k, err)
						   : fail(err, ERR_LOCKED, TXT_RECOVERY_NO_TERMINAL);
	if (!new_key_from_options(inv, k, &is_given, err))
		return false;
	return is_given || new_key_ask(inv, k, err);
}

/* One secret in two slots would outlive the removal of one of them. */
static bool is_free(struct invocation *inv, const struct slot_info *slot, const struct new_key *k, struct error *err)
{
	struct slot_secret holder = { k->kind, k->secret };
	struct slot_info found;
	struct error why;
	if (vault_try_secret(inv->vault, &holder, &found, &why))
		return memcmp(found.id, slot->id, SLOT_ID_LEN) == 0 ? true
			: fail(err, ERR_CONFLICT, TXT_REKEY_TAKEN, slot_kind_text(k->kind));
	if (why.code == ERR_WRONG_KEY)
		return true;
	*err = why;
	return false;
}

static void print_rekeyed(struct invocation *inv, const struct slot_info *slot)
{
	struct json j = JSON_INIT(&inv->out);
	char id[SLOT_ID_TEXT_MAX];
	if (!inv->globals.json)
		return;
	output_json_begin(&j);
	json_text(&j, "id", slot_id_text(slot->id, id));
	json_text(&j, "kind", slot_kind_name(slot->kind));
	output_json_end(inv, &j);
}

bool cmd_rekey(struct invocation *inv, struct error *err)
{
	scoped(unlock_key_done) struct unlock_key opener = { .secret = NULL };
	scoped(new_key_done) struct new_key k = { .secret = NULL };
	struct slot_info slot;
	uint32_t passes;
	char name[SLOT_NAME_MAX];
	bool is_same = option_is_given(inv, "same");
	if (!key_work_open(inv, false, &opener, err) || !choose_slot(inv, &slot, err) ||
	    !choose_secret(inv, &slot, &opener, &k, err) || (!is_same && !is_free(inv, &slot, &k, err)) ||
	    !key_work_passes(k.kind, &passes, err) || !new_key_write(&k, err))
		return false;
	struct slot_secret holder = { k.kind, k.secret };
	if (!vault_replace_slot(inv->vault, slot.id, &holder, passes, &slot, err)) {
		if (k.is_key_file_new && key_work_is_unused(inv, &k, k.key_file, err))
			new_key_undo(&k);
		return false;
	}
	say(inv, is_same ? SAY_REKEYED_SAME : SAY_REKEYED, slot_name(&slot, name));
	if (k.is_key_file_new)
		say(inv, SAY_INIT_KEY_MADE, k.key_file);
	if (!is_same)
		say(inv, SAY_SLOT_NOT_UNDONE);
	print_rekeyed(inv, &slot);
	return true;
}

/* ---- rotate-key ---- */

/* The slots whose secrets are at hand, and so open the vault under its new root key too. */
struct survivors {
	struct slot_info slots[SLOTS_MAX]; /* all there are */
	size_t slot_count;
	struct slot_holder at[SLOTS_MAX];
	struct secret *secrets[SLOTS_MAX];
	size_t count;
};

static void survivors_done(struct survivors *s)
{
	for (size_t i = 0; i < s->count; i++)
		secret_free(s->secrets[i]);
}

static bool survives(const struct survivors *s, const uint8_t id[SLOT_ID_LEN])
{
	for (size_t i = 0; i < s->count; i++)
		if (memcmp(s->at[i].id, id, SLOT_ID_LEN) == 0)
			return true;
	return false;
}

/* Takes the secret. */
static void add_survivor(struct survivors *s, const uint8_t id[SLOT_ID_LEN], enum slot_kind kind, struct secret *secret)
{
	if (s->count == SLOTS_MAX || survives(s, id)) {
		secret_free(secret);
		return;
	}
	struct slot_holder *holder = &s->at[s->count];
	memcpy(holder->id, id, SLOT_ID_LEN);
	holder->secret = (struct slot_secret){ kind, secret };
	s->secrets[s->count++] = secret;
}

static bool has_left(const struct survivors *s, bool (*is_of)(enum slot_kind kind))
{
	for (size_t i = 0; i < s->slot_count; i++)
		if (is_of(s->slots[i].kind) && !survives(s, s->slots[i].id))
			return true;
	return false;
}

static bool is_typed(enum slot_kind kind)
{
	return kind == SLOT_PASSPHRASE || kind == SLOT_RECOVERY;
}

/* Which slot this secret opens, as this kind or as the other one that 32 bytes may be of. ERR_WRONG_KEY: none. */
static bool offer(struct invocation *inv, struct survivors *s, enum slot_kind kind, struct secret *secret,
		  struct error *err)
{
	enum slot_kind other = kind == SLOT_KEY_FILE ? SLOT_CREDENTIAL : kind == SLOT_CREDENTIAL ? SLOT_KEY_FILE : kind;
	struct slot_secret as = { kind, secret }, as_other = { other, secret };
	struct slot_info found;
	struct error why;
	bool is_found =
		vault_try_secret(inv->vault, &as, &found, err) ||
		(other != kind && err->code == ERR_WRONG_KEY && vault_try_secret(inv->vault, &as_other, &found, &why));
	if (!is_found) {
		secret_free(secret);
		return false;
	}
	add_survivor(s, found.id, found.kind, secret);
	return true;
}

/* What the settings name may be missing, or of another vault: then it is among those that are lost. */
static void offer_configured(struct invocation *inv, struct survivors *s)
{
	struct secret *secret = NULL;
	struct error ignored;
	bool is_there;
	if (inv->settings->key_file[0] && unlock_read_key_file(inv->settings->key_file, &secret, &ignored))
		(void)!offer(inv, s, SLOT_KEY_FILE, secret, &ignored);
	secret = NULL;
	if (unlock_read_credential(inv->settings, &secret, &is_there, &ignored))
		(void)!offer(inv, s, SLOT_CREDENTIAL, secret, &ignored);
}

static bool offer_typed(struct invocation *inv, struct survivors *s, struct secret *typed, struct error *err)
{
	struct unlock_key key = { .secret = NULL };
	return slot_secret_of_typed(inv->vault, typed, &key, err) && offer(inv, s, key.kind, key.secret, err);
}

static bool offer_given(struct invocation *inv, struct survivors *s, struct error *err)
{
	const char *file = option_text(inv, "passphrase-file");
	const struct given *fd = option_find(inv, "passphrase-fd"), *g;
	size_t at = 0;
	while ((g = option_next(inv, "key-file", &at))) {
		struct secret *secret = NULL;
		if (!unlock_read_key_file(g->text, &secret, err) || !offer(inv, s, SLOT_KEY_FILE, secret, err))
			return false;
	}
	scoped(new_key_done) struct new_key from_file = { .secret = NULL }, from_fd = { .secret = NULL };
	if (file && (!new_key_passphrase_file(file, &from_file, err) || !offer_typed(inv, s, from_file.secret, err)))
		return false;
	return !fd || (new_key_passphrase_fd(fd->number, &from_fd, err) && offer_typed(inv, s, from_fd.secret, err));
}

/* Until nothing is entered, or nothing is left to ask for. A wrong one is asked again. */
static bool ask_for_others(struct invocation *inv, struct survivors *s, struct error *err)
{
	while (has_left(s, is_typed)) {
		scoped(secret_freep) struct secret *typed = NULL;
		struct question_on_tty q = { .prompt = ASK_OTHER_KEY,
					     .echo = ECHO_OFF,
					     .max = PASSPHRASE_MAX,
					     .may_be_empty = true,
					     .is_fresh = true };
		if (!term_ask(&q, &typed, err))
			return false;
		if (secret_len(typed) == 0)
			return true;
		if (!offer_typed(inv, s, typed, err)) {
			if (err->code != ERR_WRONG_KEY)
				return false;
			vault_note_wrong_key(inv->vault);
			if (!term_show(SHOW_OTHER_KEY_WRONG, err))
				return false;
		}
	}
	return true;
}

static size_t list_lost(const struct survivors *s, char *ret, size_t size)
{
	size_t lost = 0, len = 0;
	char name[SLOT_NAME_MAX];
	ret[0] = '\0';
	for (size_t i = 0; i < s->slot_count; i++) {
		if (survives(s, s->slots[i].id))
			continue;
		int put = snprintf(ret + len, size - len, "%s%s", lost++ ? ", " : "", slot_name(&s->slots[i], name));
		len = put > 0 && len + (size_t)put < size ? len + (size_t)put : size - 1;
	}
	return lost;
}

/* Whoever holds a key that is not at hand could not get in any more: that is said, and must be meant. */
static bool confirm_lost(struct invocation *inv, const struct survivors *s, struct error *err)
{
	char lost[SLOTS_MAX * SLOT_NAME_MAX], prompt[sizeof lost + sizeof ASK_DROP];
	bool is_meant = option_is_given(inv, "drop-others");
	if (!list_lost(s, lost, sizeof lost))
		return true;
	if (!is_meant && !term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_ROTATE_LOST, lost);
	snprintf(prompt, sizeof prompt, ASK_DROP, lost);
	if (!is_meant && !key_work_confirm(inv, prompt, &is_meant, err))
		return false;
	if (!is_meant)
		return fail(err, ERR_USAGE, TXT_ROTATE_LOST, lost);
	say(inv, SAY_ROTATE_DROPS, lost);
	return true;
}

static bool gather(struct invocation *inv, struct unlock_key *opener, struct survivors *s, struct error *err)
{
	s->slot_count = vault_slots(inv->vault, s->slots);
	add_survivor(s, vault_opened_by(inv->vault), opener->kind, take(opener->secret));
	offer_configured(inv, s);
	if (!offer_given(inv, s, err))
		return false;
	if (!option_is_given(inv, "drop-others") && term_may_ask(&inv->globals) && !ask_for_others(inv, s, err))
		return false;
	return confirm_lost(inv, s, err);
}

static bool choose_passes(const struct survivors *s, uint32_t *ret, struct error *err)
{
	*ret = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->at[i].secret.kind == SLOT_PASSPHRASE)
			return slot_calibrate(ret, err);
	return true;
}

static void print_rotated(struct invocation *inv, const struct survivors *s, const struct rotate_key_report *r)
{
	struct json j = JSON_INIT(&inv->out);
	char id[SLOT_ID_TEXT_MAX];
	output_json_begin(&j);
	json_int(&j, "epoch", r->epoch);
	json_int(&j, "pixels", (int64_t)r->pixels);
	json_int(&j, "tokens", (int64_t)r->tokens);
	json_array(&j, "slots");
	for (size_t i = 0; i < s->count; i++)
		json_text(&j, NULL, slot_id_text(s->at[i].id, id));
	json_end_array(&j);
	json_array(&j, "dropped");
	for (size_t i = 0; i < s->slot_count; i++)
		if (!survives(s, s->slots[i].id))
			json_text(&j, NULL, slot_id_text(s->slots[i].id, id));
	json_end_array(&j);
	output_json_end(inv, &j);
}

/* Whoever is being given a pair of tokens could not store it under the old key any more, and TikTok gives it once. */
static bool keep_renewals_out(struct invocation *inv, struct vault_lock **ret, struct error *err)
{
	if (vault_lock(inv->vault, VAULT_LOCK_REFRESH, 0, ret, err))
		return true;
	if (err->code != ERR_CONFLICT)
		return false;
	say(inv, SAY_ROTATE_WAITS);
	if (vault_lock(inv->vault, VAULT_LOCK_REFRESH, RENEWAL_WAIT_MS, ret, err))
		return true;
	return err->code == ERR_CONFLICT ? fail(err, ERR_CONFLICT, TXT_REFRESH_BUSY) : false;
}

bool cmd_rotate_key(struct invocation *inv, struct error *err)
{
	scoped(vault_unlockp) struct vault_lock *renewals = NULL;
	scoped(unlock_key_done) struct unlock_key opener = { .secret = NULL };
	scoped(survivors_done) struct survivors s = { .count = 0 };
	struct rotate_key_report report;
	uint32_t passes;
	if (!key_work_open(inv, false, &opener, err) || !gather(inv, &opener, &s, err) ||
	    !choose_passes(&s, &passes, err) || !keep_renewals_out(inv, &renewals, err) ||
	    !vault_rotate_key(inv->vault, s.at, s.count, passes, &report, err))
		return false;
	say(inv, SAY_ROTATED_KEY, report.pixels, report.pixels == 1 ? "" : "s", report.tokens,
	    report.tokens == 1 ? "" : "s", s.count, s.count == 1 ? " opens" : "s open");
	say(inv, SAY_ROTATE_NOT_UNDONE);
	if (inv->globals.json)
		print_rotated(inv, &s, &report);
	return true;
}
