/* Each allocation of crypto, codec, inventory, policy and audit fails once, and from there on; so does each file call
 * beneath a vault. What happens then is told, nothing stored is lost, and the same works once more. */
#include "tests/support/failing.h"

#include "agent/access.h"
#include "agent/accounts.h"
#include "agent/settings.h"
#include "core/wipe.h"
#include "vault/bundle.h"
#include "vault/grant.h"
#include "vault/seal.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define PAIR                                                                                                           \
	"{\"client_id\": \"7012345678901234567\", \"client_secret\": \"secretsecretsecretsecret\","                    \
	" \"refresh_token\": \"rft.0123456789abcdef0123456789abcdef\","                                                \
	" \"access_token\": \"0123456789abcdef0123456789abcdef01234567\", \"expires_in\": 86400}"

/* ---- what has no files ---- */

typedef bool work_fn(struct error *err);

static void assert_told(const struct error *err, const char *what, size_t n)
{
	if (err->code == ERR_NONE || !err->message[0] || !err->hint[0])
		fail_msg("%s, point %zu: code %d, \"%s\", hint \"%s\"", what, n, err->code, err->message, err->hint);
}

/* Every call of the kind fails, alone and from there on, until the work needs no more of them. */
static void without(enum failing_kind kind, const char *what, work_fn *work)
{
	struct error err;
	size_t n = 0, failed = 1;
	while (failed) {
		n++;
		for (int is_ever = 0; is_ever < 2; is_ever++) {
			memset(&err, 0, sizeof err);
			failing_from(kind, kind == FAIL_MEMORY ? ENOMEM : EIO, n, is_ever ? FAIL_EVER : n);
			bool good = work(&err);
			failed = failing_stop();
			if (good == (failed > 0))
				fail_msg("%s, point %zu: %s with %zu failed: %s", what, n,
					 good ? "worked" : "did not work", failed, err.message);
			if (!good)
				assert_told(&err, what, n);
		}
	}
	assert_true(n > 1);
	assert_true(work(&err));
}

static struct secret *root_key, *packed, *pasted, *phrase, *log_keys;
static struct keys *keys;
static struct config *rules;

static bool keys_are_made(struct error *err)
{
	scoped(keys_freep) struct keys *k = NULL;
	return keys_derive(root_key, &k, err);
}

static bool keys_are_copied(struct error *err)
{
	scoped(keys_freep) struct keys *k = NULL;
	return keys_copy_some(keys, 1u << KEY_MAC, &k, err);
}

static bool keys_go_to_the_log(struct error *err)
{
	scoped(secret_freep) struct secret *saved = NULL;
	return keys_save_log(keys, &saved, err);
}

static bool keys_come_from_the_log(struct error *err)
{
	scoped(keys_freep) struct keys *k = NULL;
	return keys_load_log(log_keys, &k, err);
}

static bool a_mac_is_begun(struct error *err)
{
	scoped(secret_freep) struct secret *start = NULL;
	return keys_mac_start(keys, KEY_MAC, "pxtest01", &start, err);
}

static bool a_record_is_sealed(struct error *err)
{
	static const uint8_t vault_id[VAULT_ID_LEN];
	struct seal_context context = { .vault_id = vault_id, .epoch = 1, .kind = 'm', .what = bytes_of_text("k") };
	struct buf out = BUF_INIT(4096);
	bool good = seal(keys, &context, bytes_of_text("plain"), &out, err) && buf_ok(&out, err);
	buf_done(&out);
	return good;
}

static bool a_pair_is_packed(struct error *err)
{
	struct grant g = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text("rft.token") };
	scoped(secret_freep) struct secret *s = NULL;
	return grant_pack(&g, &s, err);
}

static bool a_pair_is_renewed(struct error *err)
{
	scoped(secret_freep) struct secret *s = NULL;
	return grant_renewed(packed, bytes_of_text("rft.another"), &s, err);
}

static bool a_pair_is_read(struct error *err)
{
	struct grant_document d = { 0 };
	bool good = grant_document_read(pasted, FAMILY_ACCOUNTS, &d, err);
	grant_document_done(&d);
	return good;
}

static bool rules_are_read(struct error *err)
{
	scoped(access_freep) struct access *a = NULL;
	struct access_caller caller = { .uid = 1001, .gid = 1001 };
	struct access_view *view = NULL;
	if (!access_new(rules, 990, NULL, &a, err) || !access_view_new(a, &caller, &view, err))
		return false;
	access_view_free(view);
	return true;
}

static bool an_arena_opens(struct error *err)
{
	secret_arena_close();
	return secret_arena_open(SECRET_ARENA_LARGE, err);
}

static bool a_bundle_has_a_key(struct error *err)
{
	uint8_t key[BUNDLE_KEY_LEN];
	return bundle_public_key(root_key, key, err);
}

static bool bundle_opens(const struct bundle_lock *lock, const struct bundle_key *key, struct error *err)
{
	scoped(secret_freep) struct secret *plain = NULL, *file = NULL;
	struct buf sealed = BUF_INIT(BUNDLE_FILE_MAX);
	bool good = secret_new(BUNDLE_ROOM, &plain, err) && bundle_seal(plain, 100, lock, &sealed, err) &&
		    buf_ok(&sealed, err) && secret_copy(buf_bytes(&sealed), &file, err) && bundle_open(file, key, err);
	buf_done(&sealed);
	return good;
}

static bool a_bundle_is_sealed_to_a_key(struct error *err)
{
	uint8_t public_key[BUNDLE_KEY_LEN];
	struct bundle_lock lock = { .public_key = public_key };
	struct bundle_key key = { .root_key = root_key };
	return bundle_public_key(root_key, public_key, err) && bundle_opens(&lock, &key, err);
}

static bool a_recovery_code_is_read(struct error *err)
{
	char text[RECOVERY_TEXT_MAX];
	scoped(secret_freep) struct secret *key = NULL;
	recovery_encode(root_key, text);
	return recovery_decode(bytes_of_text(text), &key, err);
}

static bool a_slot_opens(struct error *err)
{
	static const uint8_t vault_id[VAULT_ID_LEN] = { 1 };
	uint8_t value[4 + SLOT_LEN] = { 1 };
	struct slot_secret holder = { SLOT_KEY_FILE, phrase };
	scoped(secret_freep) struct secret *opened = NULL;
	return slot_make(vault_id, &holder, root_key, value + 4, err) &&
	       slots_open(bytes_of(value, sizeof value), vault_id, &holder, &opened, err);
}

static bool a_secret_is_read(struct error *err)
{
	scoped(secret_freep) struct secret *s = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool good = secret_read(fd, 40, &s, err);
	close(fd);
	return good;
}

static int make_things(void **state)
{
	(void)state;
	struct config_key known[SETTINGS_KEYS_MAX];
	struct error err;
	static const char text[] = "[access one]\nuser = 1001\npixels = " A "\nlabels = shop=x\nverbs = meta read\n"
				   "[access team]\ngroup = 2001\npixels = " A " " B "\nverbs = report\n";
	if (!secret_arena_open(2 * SECRET_ARENA_BULK, &err))
		return -1;
	root_key = key_of(1);
	phrase = key_of(2);
	pasted = secret_of_text(PAIR);
	return keys_derive(root_key, &keys, &err) && keys_save_log(keys, &log_keys, &err) &&
			       config_parse(&rules, bytes_of_text(text), "test.ini", known, settings_keys(known), &err)
		       ? 0
		       : -1;
}

static int free_things(void **state)
{
	secret_free(root_key);
	secret_free(phrase);
	secret_free(pasted);
	secret_free(packed);
	secret_free(log_keys);
	root_key = phrase = pasted = packed = log_keys = NULL;
	keys_freep(&keys);
	config_free(rules);
	rules = NULL;
	return close_arena(state);
}

static void memory__is_missed_and_told_by_keys_seals_and_slots(void **state)
{
	(void)state;
	without(FAIL_MEMORY, "keys_derive", keys_are_made);
	without(FAIL_MEMORY, "keys_copy_some", keys_are_copied);
	without(FAIL_MEMORY, "keys_save_log", keys_go_to_the_log);
	without(FAIL_MEMORY, "keys_load_log", keys_come_from_the_log);
	without(FAIL_MEMORY, "keys_mac_start", a_mac_is_begun);
	without(FAIL_MEMORY, "seal", a_record_is_sealed);
	without(FAIL_MEMORY, "slot", a_slot_opens);
	without(FAIL_MEMORY, "recovery", a_recovery_code_is_read);
	without(FAIL_MEMORY, "secret_read", a_secret_is_read);
}

static void secret__whose_file_cannot_be_read_is_told_and_an_interruption_is_none(void **state)
{
	(void)state;
	struct error err;
	without(FAIL_READS, "secret_read", a_secret_is_read);
	failing_from(FAIL_READS, EIO, 1, 1);
	assert_false(a_secret_is_read(&err));
	assert_int_equal(failing_stop(), 1);
	assert_int_equal(err.code, ERR_STORAGE);
	failing_from(FAIL_READS, EINTR, 1, 2);
	assert_true(a_secret_is_read(&err));
	assert_int_equal(failing_stop(), 2);
}

/* What Argon2 works in is asked for at each run. */
static void passphrases__without_the_memory_they_cost_are_told_to_take_it(void **state)
{
	(void)state;
	static const uint8_t vault_id[VAULT_ID_LEN];
	scoped(secret_freep) struct secret *plain = NULL;
	struct slot_secret holder = { SLOT_PASSPHRASE, pasted };
	struct bundle_lock lock = { .passphrase = pasted };
	struct buf file = BUF_INIT(BUNDLE_FILE_MAX);
	struct error errors[3];
	uint8_t slot[SLOT_LEN];
	uint32_t passes;
	memset(errors, 0, sizeof errors);
	assert_true(secret_new(BUNDLE_ROOM, &plain, &errors[0]));
	failing_from(FAIL_MAPS, ENOMEM, 1, FAIL_EVER);
	bool is_made = slot_make(vault_id, &holder, root_key, slot, &errors[0]);
	bool is_calibrated = slot_calibrate(&passes, &errors[1]);
	bool is_sealed = bundle_seal(plain, 8, &lock, &file, &errors[2]);
	assert_true(failing_stop() >= 3);
	assert_false(is_made || is_calibrated || is_sealed);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(errors[i].code, ERR_UNEXPECTED);
		assert_non_null(strstr(errors[i].message, "256")); /* MiB */
		assert_told(&errors[i], "argon2", i);
	}
	assert_int_equal(file.len, 0);
}

/* What wipes itself behaves as the C library's does then: no block, and the old one as it was. */
static void blocks__that_wipe_themselves_are_none_without_memory(void **state)
{
	(void)state;
	char *old = wipe_strdup("as it was");
	assert_non_null(old);
	failing_from(FAIL_MEMORY, ENOMEM, 1, FAIL_EVER);
	void *blocks[] = { wipe_malloc(8), wipe_calloc(2, 8), wipe_strdup("text"), wipe_realloc(old, 4000),
			   wipe_realloc(NULL, 8) };
	assert_int_equal(failing_stop(), 5);
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		assert_null(blocks[i]);
	assert_string_equal(old, "as it was");
	wipe_free(old);
}

static void memory__is_missed_and_told_by_pairs_rules_and_bundles(void **state)
{
	(void)state;
	struct error err;
	struct grant g = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text("rft.token") };
	assert_true(grant_pack(&g, &packed, &err));
	without(FAIL_MEMORY, "grant_pack", a_pair_is_packed);
	without(FAIL_MEMORY, "grant_renewed", a_pair_is_renewed);
	without(FAIL_MEMORY, "grant_document_read", a_pair_is_read);
	without(FAIL_MEMORY, "access", rules_are_read);
	without(FAIL_MEMORY, "bundle_public_key", a_bundle_has_a_key);
	without(FAIL_MEMORY, "bundle", a_bundle_is_sealed_to_a_key);
}

static void arena__that_gets_no_memory_is_told(void **state)
{
	(void)state;
	without(FAIL_MEMORY, "arena", an_arena_opens);
	without(FAIL_MAPS, "arena, pages", an_arena_opens);
	without(FAIL_FENCES, "arena, fences", an_arena_opens);
	without(FAIL_MUTEXES, "libsodium, its first lock", an_arena_opens);
}

/* ---- a vault ---- */

#define TOKEN_LEN 40
static char current[TOKEN_LEN + 1]; /* of A, as the vault must hand it out */
static unsigned token_number;

static void next_token(char ret[TOKEN_LEN + 1])
{
	snprintf(ret, TOKEN_LEN + 1, "%040x", ++token_number);
}

/* A vault that opens, a work with it, and what holds afterwards whatever it said. */
struct vault_work {
	const char *name;
	bool (*run)(struct vault *v, struct error *err);
	bool is_opening; /* opening it is the work */
};

static char wanted[TOKEN_LEN + 1];

/* Of this Pixel a token, promoted, and a label, without a check that may not hold. */
static bool put_anew(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct version v = { .number = 0 };
	struct label label;
	bool exists;
	uint32_t number = 0, dropped = 0;
	scoped(secret_freep) struct secret *token = NULL;
	if (!secret_copy(bytes_of_text(wanted), &token, err) || !change_find(ch, context, &c, &exists, err) ||
	    !credential_add(&c, &v, 1700000000, &number, &dropped, err) ||
	    !change_put_token(ch, &c, number, token, err) || (dropped && !change_drop_token(ch, &c, dropped, err)) ||
	    !credential_promote(&c, number, 1700000000) || !label_parse("shop=x", &label, err) ||
	    !credential_label(&c, &label, err))
		return false;
	change_note(ch, "put", context, number);
	return change_store(ch, &c, err);
}

static bool label_it(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct label label;
	bool exists;
	char text[32];
	snprintf(text, sizeof text, "shop=%u", ++token_number);
	if (!change_find(ch, context, &c, &exists, err) || !label_parse(text, &label, err) ||
	    !credential_label(&c, &label, err))
		return false;
	change_note(ch, "label", context, 0);
	return change_store(ch, &c, err);
}

static bool put_it(struct vault *v, struct error *err)
{
	char pixel[] = A;
	next_token(wanted);
	return vault_change(v, put_anew, pixel, err);
}

static bool put_some(struct vault *v, struct error *err)
{
	char pixel[] = A, other[] = B;
	struct change_item items[2] = { { .fn = put_anew, .context = pixel }, { .fn = label_it, .context = other } };
	next_token(wanted);
	vault_change_all(v, items, 2);
	*err = items[0].is_done ? items[1].err : items[0].err;
	return items[0].is_done && items[1].is_done;
}

static bool get_it(struct vault *v, struct error *err)
{
	char text[TOKEN_MAX + 1];
	if (!token_text(v, A, 0, text, err))
		return false;
	assert_string_equal(text, current);
	return true;
}

static bool prove_it(struct vault *v, struct error *err)
{
	struct verify_report report;
	return vault_verify(v, NULL, NULL, &report, err);
}

static bool any_entry(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	(void)context, (void)e, (void)is_proven, (void)err;
	return true;
}

static bool prove_log(struct vault *v, struct error *err)
{
	struct audit_reader reader = { .entry = any_entry };
	struct audit_report report;
	return vault_audit_walk(v, &reader, &report, err);
}

static bool any_item(void *context, const struct vault_item *item, struct error *err)
{
	(void)context, (void)item, (void)err;
	return true;
}

static bool any_pixel(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	(void)context, (void)c, (void)h, (void)err;
	return true;
}

static bool load_it(struct vault *v, struct error *err)
{
	struct vault_position at;
	return vault_load(v, any_item, NULL, &at, err) && vault_each(v, true, true, any_pixel, NULL, err) &&
	       vault_catch_up(v, any_item, NULL, &at, err);
}

static bool mark_it(struct vault *v, struct error *err)
{
	struct read_mark mark = { .name = "shop", .version = 1, .at = ++token_number };
	return vault_mark_read(v, A, &mark, err);
}

static bool note_it(struct vault *v, struct error *err)
{
	struct health_update update = { .pixel = A };
	update.health.reported_at = ++token_number;
	struct book book = { .name = "book", .value = bytes_of_text("what is in it") };
	return vault_store_health(v, &update, 1, err) && vault_store_books(v, &book, 1, err) &&
	       vault_store_note(v, "note", bytes_of_text("text"), err);
}

static bool rotate_it(struct vault *v, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	struct rotate_key_report report;
	uint8_t bytes[32];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(KEY_SEED + i * 7);
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &key, err))
		return false;
	struct slot_holder holder = { .secret = { SLOT_KEY_FILE, key } };
	memcpy(holder.id, vault_opened_by(v), SLOT_ID_LEN);
	return vault_rotate_key(v, &holder, 1, 0, &report, err);
}

/* What renews B's token is stored, and dropped again. */
static bool put_pair(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct version v = { .renewal = { .family = FAMILY_ACCOUNTS, .issued_at = 5 } };
	struct grant g = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text("rft.token") };
	bool exists;
	uint32_t number = 0, dropped = 0;
	scoped(secret_freep) struct secret *token = NULL, *grant = NULL;
	if (!secret_copy(bytes_of_text("fedcba9876543210fedcba9876543210fedcba97"), &token, err) ||
	    !grant_pack(&g, &grant, err) || !change_find(ch, context, &c, &exists, err) ||
	    !credential_add(&c, &v, 7, &number, &dropped, err) || !change_put_token(ch, &c, number, token, err) ||
	    !change_put_grant(ch, &c, number, grant, err) || (dropped && !change_drop_token(ch, &c, dropped, err)) ||
	    !credential_promote(&c, number, 7))
		return false;
	change_note(ch, "put", context, number);
	return change_store(ch, &c, err);
}

static bool drop_pair(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	if (!change_find(ch, context, &c, &exists, err) || !change_drop_grant(ch, &c, c.last_number, err))
		return false;
	change_note(ch, "refresh", context, c.last_number);
	return change_store(ch, &c, err);
}

static bool pair_it(struct vault *v, struct error *err)
{
	char pixel[] = B;
	return vault_change(v, put_pair, pixel, err) && vault_change(v, drop_pair, pixel, err);
}

/* All of B's versions go, and come again. */
static bool destroy_one(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	if (!change_find(ch, context, &c, &exists, err))
		return false;
	while (c.version_count) {
		uint32_t number = c.versions[c.version_count - 1].number;
		c.version_count--;
		if (!change_drop_token(ch, &c, number, err))
			return false;
	}
	change_note(ch, "destroy", context, 0);
	return change_drop_health(ch, context, err) && change_store(ch, &c, err);
}

static bool destroy_it(struct vault *v, struct error *err)
{
	char pixel[] = B;
	return vault_change(v, put_pair, pixel, err) && vault_change(v, destroy_one, pixel, err);
}

static bool list_it(struct vault *v, struct error *err)
{
	char list[] = "bc:1000";
	struct buf names = BUF_INIT(65536);
	bool good = vault_change(v, label_it, list, err) && vault_list_names(v, &names, err) &&
		    vault_each_list(v, any_pixel, NULL, err);
	buf_done(&names);
	return good;
}

static bool portion_it(struct vault *v, struct error *err)
{
	struct vault_walk *walk = NULL;
	bool is_over = false;
	bool good = vault_walk_new(v, &walk, err);
	while (good && !is_over)
		good = vault_walk_some(walk, any_pixel, NULL, &is_over, err);
	vault_walk_freep(&walk);
	return good;
}

static bool open_again(struct vault *v, struct error *err)
{
	(void)v;
	struct secret *key = NULL;
	struct vault *again = NULL;
	uint8_t bytes[32];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(KEY_SEED + i * 7);
	bool good = secret_copy(bytes_of(bytes, sizeof bytes), &key, err);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	good = good && vault_open(&place, &again, err) && vault_unlock(again, &holder, err);
	secret_free(key);
	vault_close(again);
	return good;
}

/* The token is the one before or, and surely when it was said to be stored, the one wanted. */
static void assert_state(const char *name, size_t n, bool good)
{
	char text[TOKEN_MAX + 1];
	struct error err;
	struct verify_report report;
	struct vault *v = NULL;
	if (!try_open(&v, &err))
		fail_msg("%s, point %zu: does not open afterwards: %s", name, n, err.message);
	if (!token_text(v, A, 0, text, &err))
		fail_msg("%s, point %zu: no token afterwards: %s", name, n, err.message);
	bool is_new = wanted[0] && strcmp(text, wanted) == 0;
	if (!is_new && (strcmp(text, current) != 0 || (good && wanted[0])))
		fail_msg("%s, point %zu: the token is lost", name, n);
	if (is_new)
		strcpy(current, wanted);
	wanted[0] = '\0';
	if (!vault_verify(v, NULL, NULL, &report, &err) || report.faults)
		fail_msg("%s, point %zu: verify: %s %s", name, n, err.message, report.first);
	vault_close(v);
}

/* Every step-th point, another one of them first in each run, alone and from there on. Once: only alone. Nothing: it
 * must be as if nothing had been. */
struct fault {
	enum failing_kind kind;
	int error;
	size_t step;
	bool is_once, is_nothing;
};

static void try_point(const struct fault *f, const struct vault_work *w, size_t n, size_t last, size_t *ret_failed)
{
	struct error err;
	struct vault *v = w->is_opening ? NULL : open_it();
	memset(&err, 0, sizeof err);
	failing_from(f->kind, f->error, n, last);
	bool good = w->run(v, &err);
	*ret_failed = failing_stop();
	vault_close(v);
	if (!good && (!*ret_failed || f->is_nothing))
		fail_msg("%s, point %zu of error %d does not work: %s", w->name, n, f->error, err.message);
	if (!good)
		assert_told(&err, w->name, n);
	assert_state(w->name, n, good);
}

static void wreck(const struct fault *f, const struct vault_work *w)
{
	size_t step = failing_all() ? 1 : f->step, failed = 1;
	for (size_t n = 1 + failing_sample() % step; failed; n += step) {
		try_point(f, w, n, n, &failed);
		if (!f->is_once)
			try_point(f, w, n, FAIL_EVER, &failed);
	}
}

static const struct vault_work works[] = {
	{ "open", open_again, true },       { "put", put_it, false },      { "put many", put_some, false },
	{ "get", get_it, false },           { "verify", prove_it, false }, { "log", prove_log, false },
	{ "load", load_it, false },         { "mark", mark_it, false },    { "health", note_it, false },
	{ "rotate-key", rotate_it, false }, { "pair", pair_it, false },    { "destroy", destroy_it, false },
	{ "lists", list_it, false },        { "portions", portion_it, false },
};

static int make_vault(void **state)
{
	if (vault_make_in_memory(state) != 0)
		return -1;
	struct vault *v = open_it();
	next_token(current);
	wanted[0] = '\0';
	put_token(v, A, current);
	put_token(v, B, "fedcba9876543210fedcba9876543210fedcba98");
	vault_close(v);
	return 0;
}

/* In a test run a sample: FAILING=all tries every point. */
static void wreck_all(const struct fault *faults, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < sizeof works / sizeof *works; k++)
			wreck(&faults[i], &works[k]);
}
#define WRECK_ALL(faults) wreck_all(faults, sizeof(faults) / sizeof *(faults))

static void vault__without_memory_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_MEMORY, ENOMEM, 37, false, false } };
	(void)state;
	WRECK_ALL(faults);
}

static void vault__whose_files_cannot_be_read_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_READS, EIO, 2, false, false },
					       { FAIL_STATS, EIO, 3, false, false },
					       { FAIL_OPENS, EACCES, 2, false, false } };
	(void)state;
	WRECK_ALL(faults);
}

static void vault__whose_files_cannot_be_written_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_WRITES, ENOSPC, 5, false, false },
					       { FAIL_WRITES, EIO, 5, false, false },
					       { FAIL_SYNCS, EIO, 5, false, false },
					       { FAIL_ROOM, EDQUOT, 1, false, false },
					       { FAIL_ROOM, EIO, 1, false, false } };
	(void)state;
	WRECK_ALL(faults);
}

static void vault__whose_locks_fail_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_LOCKS, EIO, 5, true, false } };
	(void)state;
	WRECK_ALL(faults);
}

static void vault__interrupted_or_on_a_disk_that_gives_no_room_ahead_works_as_ever(void **state)
{
	static const struct fault faults[] = { { FAIL_READS, EINTR, 2, true, true },
					       { FAIL_WRITES, EINTR, 5, true, true },
					       { FAIL_ROOM, EINTR, 1, true, true },
					       { FAIL_ROOM, EOPNOTSUPP, 1, true, true } };
	(void)state;
	WRECK_ALL(faults);
}

#define V(test) cmocka_unit_test_setup_teardown(test, make_vault, scratch_remove)
#define T(test) cmocka_unit_test_setup_teardown(test, make_things, free_things)

int main(void)
{
	const struct CMUnitTest things[] = {
		T(memory__is_missed_and_told_by_keys_seals_and_slots),
		T(memory__is_missed_and_told_by_pairs_rules_and_bundles),
		T(secret__whose_file_cannot_be_read_is_told_and_an_interruption_is_none),
		T(passphrases__without_the_memory_they_cost_are_told_to_take_it),
		cmocka_unit_test(blocks__that_wipe_themselves_are_none_without_memory),
		cmocka_unit_test(arena__that_gets_no_memory_is_told),
	};
	const struct CMUnitTest vaults[] = {
		V(vault__without_memory_loses_nothing),
		V(vault__whose_files_cannot_be_read_loses_nothing),
		V(vault__whose_files_cannot_be_written_loses_nothing),
		V(vault__whose_locks_fail_loses_nothing),
		V(vault__interrupted_or_on_a_disk_that_gives_no_room_ahead_works_as_ever),
	};
#ifdef IS_SANITIZED
	puts("1..0 # SKIP under a sanitizer nothing can be made to fail");
	return 0;
#endif
	int failed = cmocka_run_group_tests(things, NULL, close_arena);
	return failed + cmocka_run_group_tests(vaults, open_arena, close_arena);
}
