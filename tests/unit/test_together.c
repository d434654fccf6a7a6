/* Many changes in one commit, all Pixels at once, what changed since, and opening without the vault. */
#include "core/clock.h"
#include "vault/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B90"
#define C "C2U2T02IU8J6B9GC2B90"
#define TOKEN_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TOKEN_C "cccccccccccccccccccccccccccccccccccccccc"

/* ---- many changes, one commit ---- */

struct poke {
	struct put_job job;
	bool fails_before, fails_behind;
	unsigned runs;
};

static bool poke(void *context, struct change *ch, struct error *err)
{
	struct poke *p = context;
	p->runs++;
	if (p->fails_before)
		return fail(err, ERR_NOT_FOUND, "not this one", "as asked");
	if (!put_one(&p->job, ch, err))
		return false;
	return p->fails_behind ? fail(err, ERR_CONFLICT, "nor this one", "as asked") : true;
}

#define PUT(p, t)                                                                                                      \
	{                                                                                                              \
		.job = {.pixel = (p), .token = (t), .is_promoted = true, .now = 1700000000 }                           \
	}

static void change_all__makes_one_commit_of_many(void **state)
{
	(void)state;
	struct vault *v = open_it();
	struct poke pokes[] = { PUT(A, TOKEN_A), PUT(B, TOKEN_B), PUT(A, TOKEN_C) };
	struct change_item items[3] = { { 0 } };
	for (size_t i = 0; i < 3; i++)
		items[i] = (struct change_item){ .fn = poke, .context = &pokes[i] };
	vault_change_all(v, items, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(items[i].is_done);
	assert_int_equal(vault_generation(v), 2);
	assert_token(v, A, 1, TOKEN_A);
	assert_token(v, A, 0, TOKEN_C); /* the later one on top of the earlier */
	assert_token(v, B, 0, TOKEN_B);
	vault_close(v);
}

static void change_all__drops_what_fails_and_does_the_rest_as_if_it_had_come_alone(void **state)
{
	(void)state;
	struct vault *v = open_it();
	struct poke pokes[] = { PUT(A, TOKEN_A), PUT(A, TOKEN_B), PUT(B, TOKEN_B), PUT(C, TOKEN_C) };
	struct change_item items[4] = { { 0 } };
	pokes[1].fails_behind = true; /* it had staged something */
	pokes[2].fails_before = true;
	for (size_t i = 0; i < 4; i++)
		items[i] = (struct change_item){ .fn = poke, .context = &pokes[i] };
	vault_change_all(v, items, 4);
	assert_true(items[0].is_done);
	assert_false(items[1].is_done);
	assert_int_equal(items[1].err.code, ERR_CONFLICT);
	assert_false(items[2].is_done);
	assert_int_equal(items[2].err.code, ERR_NOT_FOUND);
	assert_true(items[3].is_done);
	assert_int_equal(vault_generation(v), 2);
	struct credential c;
	struct error err;
	assert_true(vault_find(v, A, false, &c, &err));
	assert_int_equal(c.version_count, 1); /* nothing of the dropped one is left */
	assert_token(v, A, 0, TOKEN_A);
	assert_token(v, C, 0, TOKEN_C);
	assert_false(vault_find(v, B, false, &c, &err));
	assert_int_equal(pokes[2].runs, 1); /* nothing was staged by it: nothing had to be done anew */
	assert_int_equal(pokes[0].runs, 2);
	vault_close(v);
}

static void change_all__of_failures_only_commits_nothing(void **state)
{
	(void)state;
	struct vault *v = open_it();
	struct poke pokes[] = { PUT(A, TOKEN_A), PUT(B, TOKEN_B) };
	struct change_item items[2] = { { .fn = poke, .context = &pokes[0] }, { .fn = poke, .context = &pokes[1] } };
	pokes[0].fails_behind = pokes[1].fails_behind = true;
	vault_change_all(v, items, 2);
	assert_false(items[0].is_done || items[1].is_done);
	assert_int_equal(vault_generation(v), 1);
	vault_change_all(v, items, 0);
	vault_close(v);
}

/* ---- the log around a change ---- */

struct seen_entries {
	struct audit_entry at[64];
	size_t count;
};

static bool see(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	struct seen_entries *s = context;
	(void)err;
	assert_true(is_proven);
	assert_true(s->count < COUNT_OF(s->at));
	s->at[s->count++] = *e;
	return true;
}

static struct audit_report read_log(struct vault *v, struct seen_entries *s)
{
	struct audit_reader reader = { .entry = see, .context = s };
	struct audit_report report;
	struct error err;
	memset(s, 0, sizeof *s);
	assert_true(vault_audit_walk(v, &reader, &report, &err));
	return report;
}

static void log_is(const struct audit_entry *e, const char *verb, const char *result, uint32_t uid)
{
	assert_string_equal(e->verb, verb);
	assert_string_equal(e->result, result);
	assert_int_equal(e->uid, uid);
}

static void log__of_each_change_has_who_asked_intent_and_outcome(void **state)
{
	(void)state;
	static struct seen_entries s;
	struct vault *v = open_it();
	struct poke pokes[] = { PUT(A, TOKEN_A), PUT(B, TOKEN_B) };
	struct change_item items[2] = { { .fn = poke, .context = &pokes[0] }, { .fn = poke, .context = &pokes[1] } };
	for (size_t i = 0; i < 2; i++)
		items[i].who = (struct audit_who){ .is_known = true, .uid = (uid_t)(100 + i), .pid = 5 };
	vault_change_all(v, items, 2);
	struct audit_report r = read_log(v, &s);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.unexplained, 0);
	assert_int_equal(s.count, 5);
	log_is(&s.at[0], "init", "ok", getuid());
	log_is(&s.at[1], "put", "intent", 100);
	log_is(&s.at[2], "put", "intent", 101);
	log_is(&s.at[3], "put", "done", 100);
	log_is(&s.at[4], "put", "done", 101);
	assert_memory_equal(s.at[1].commit, s.at[3].commit, 16);
	assert_int_equal(s.at[1].base, 1);
	assert_int_equal(s.at[3].generation, 2);
	uint8_t id[PIXEL_ID_LEN];
	vault_pixel_id(v, B, id);
	assert_memory_equal(s.at[2].pixel, id, sizeof id);
	vault_close(v);
}

static void log__has_a_line_for_each_token_and_no_token_comes_without(void **state)
{
	(void)state;
	static struct seen_entries s;
	char path[PATH_MAX], aside[PATH_MAX];
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	struct audit_who who = { .is_known = true, .uid = 7, .as = "shop" };
	vault_set_who(v, &who);
	assert_token(v, A, 0, TOKEN_A);
	read_log(v, &s);
	log_is(&s.at[s.count - 1], "get", "ok", 7);
	assert_string_equal(s.at[s.count - 1].as, "shop");
	snprintf(path, sizeof path, "%s", audit_path(vault_audit(v)));
	snprintf(aside, sizeof aside, "%.4000s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	struct credential c;
	struct error err;
	struct secret *token = NULL;
	assert_true(vault_find(v, A, false, &c, &err)); /* looking is not reading a token */
	assert_false(vault_token(v, &c, &c.versions[0], "get", &token, &err));
	assert_null(token);
	assert_string_equal(err.class, "audit");
	struct put_job job = { .pixel = B, .token = TOKEN_B };
	assert_false(vault_change(v, put_one, &job, &err));
	assert_string_equal(err.class, "audit");
	assert_int_equal(vault_generation(v), 2); /* nothing was changed */
	assert_int_equal(rename(aside, path), 0);
	assert_token(v, A, 0, TOKEN_A);
	vault_close(v);
}

static void log__is_known_to_the_anchor_after_each_change(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	snprintf(path, sizeof path, "%s", audit_path(vault_audit(v)));
	vault_close(v);
	static uint8_t bytes[1 << 16];
	size_t len = file_bytes(path, bytes, sizeof bytes);
	size_t lines = 0, cut = 0;
	for (size_t i = 0; i < len; i++)
		if (bytes[i] == '\n' && ++lines == 1)
			cut = i + 1;
	assert_int_equal(lines, 3); /* init, intent, done */
	write_bytes(path, bytes, cut);
	assert_false(try_open(&v, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "audit");
	unlink(path);
	assert_false(try_open(&v, &err));
	assert_string_equal(err.class, "audit");
	place.is_doubting = true; /* to look at it, and to go on */
	v = open_it();
	assert_true(vault_accept_loss(v, &err));
	vault_close(v);
	place.is_doubting = false;
	v = open_it();
	assert_token(v, A, 0, TOKEN_A);
	vault_close(v);
}

static void log__anchored_by_hand_notices_a_cut_among_reads(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct stat st;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	assert_token(v, A, 0, TOKEN_A);
	snprintf(path, sizeof path, "%s", audit_path(vault_audit(v)));
	assert_int_equal(stat(path, &st), 0);
	assert_token(v, A, 0, TOKEN_A);
	assert_true(vault_anchor_audit(v, &err));
	assert_true(vault_anchor_audit(v, &err)); /* nothing new */
	vault_close(v);
	vault_close(open_it());
	assert_int_equal(truncate(path, st.st_size), 0);
	assert_false(try_open(&v, &err));
	assert_string_equal(err.class, "audit");
}

/* Another process's entries cut off, down to the very end that we know. */
static void log__cut_to_what_a_running_process_knows_is_noticed_by_its_next_change(void **state)
{
	(void)state;
	struct error err;
	struct stat st;
	struct vault *v = open_it(), *other;
	put_token(v, A, TOKEN_A);
	assert_int_equal(stat(audit_path(vault_audit(v)), &st), 0);
	other = open_it();
	put_token(other, B, TOKEN_B);
	vault_close(other);
	assert_int_equal(truncate(audit_path(vault_audit(v)), st.st_size), 0);
	struct put_job job = { .pixel = C, .token = TOKEN_C };
	assert_false(vault_change(v, put_one, &job, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "audit");
	vault_close(v);
}

static void log__of_a_vault_that_is_adopted_goes_on_or_is_moved_aside(void **state)
{
	(void)state;
	char path[PATH_MAX];
	static struct seen_entries s;
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	snprintf(path, sizeof path, "%s", audit_path(vault_audit(v)));
	vault_close(v);
	for (int round = 0; round < 2; round++) {
		static const char rubbish[] = "{\"seq\":1}\n";
		if (round == 1)
			write_bytes(path, rubbish, sizeof rubbish - 1);
		place.is_adopting = true;
		v = open_it();
		assert_true(vault_adopt(v, &err));
		vault_close(v);
		place.is_adopting = false;
		v = open_it();
		assert_token(v, A, 0, TOKEN_A);
		assert_int_equal(read_log(v, &s).faults, 0);
		assert_int_equal(s.count, round ? 2 : 5); /* init, intent, done, adopt, get */
		assert_string_equal(s.at[s.count - 2].verb, "adopt");
		vault_close(v);
	}
}

/* ---- the root key ---- */

static void root_key__opens_the_vault_and_a_wrong_one_is_a_wrong_key(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = open_it(), *w = NULL;
	put_token(v, A, TOKEN_A);
	scoped(secret_freep) struct secret *right = NULL, *wrong = key_of(99), *short_one = secret_of_text("short");
	assert_true(secret_copy(secret_reveal(vault_root_key(v)), &right, &err));
	vault_close(v);
	assert_true(vault_open(&place, &w, &err));
	assert_false(vault_unlock_root(w, wrong, &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_false(vault_unlock_root(w, short_one, &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_null(vault_root_key(w));
	assert_true(vault_unlock_root(w, right, &err)); /* sealed as before, and to be tried again */
	assert_token(w, A, 0, TOKEN_A);
	vault_close(w);
}

/* ---- all at once, and what changed ---- */

struct items {
	size_t count;
	struct {
		char pixel[PIXEL_CODE_MAX + 1];
		uint32_t current, previous, failures;
		bool is_deleted;
		char token[2][TOKEN_MAX + 1];
	} at[64];
	size_t damaged;
	struct error damage; /* of the last one */
	uint8_t damaged_id[PIXEL_ID_LEN];
	bool is_unreadable;
	struct vault_opener *opener;
};

static void open_sealed(struct items *items, const struct credential *c, enum stage stage, struct bytes sealed,
			char ret[TOKEN_MAX + 1])
{
	const struct version *version = credential_staged(c, stage);
	scoped(secret_freep) struct secret *token = NULL;
	struct error err;
	ret[0] = '\0';
	assert_int_equal(version != NULL, sealed.len != 0);
	if (!version)
		return;
	struct buf room = BUF_INIT(65536);
	assert_false(vault_opener_wrap(items->opener, c->pixel, version->number + 1, sealed, &room, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_int_equal(room.len, 0);
	assert_true(vault_opener_wrap(items->opener, c->pixel, version->number, sealed, &room, &err));
	struct bytes wrapped = buf_bytes(&room);
	assert_true(vault_opener_open(items->opener, c->pixel, version->number, wrapped, &token, &err));
	memcpy(ret, secret_reveal(token).at, secret_len(token));
	ret[secret_len(token)] = '\0';
	token = (secret_free(token), NULL);
	assert_false(vault_opener_open(items->opener, c->pixel, version->number + 1, wrapped, &token, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_false(vault_opener_open(items->opener, "C9U2T02IU8J6B9GC2B90", version->number, wrapped, &token, &err));
	for (size_t i = 0; i < room.len; i++) {
		room.at[i] ^= 1;
		assert_false(vault_opener_open(items->opener, c->pixel, version->number, wrapped, &token, &err));
		room.at[i] ^= 1;
		assert_false(vault_opener_open(items->opener, c->pixel, version->number, bytes_of(room.at, i), &token,
					       &err));
	}
	buf_done(&room);
}

static bool take_item(void *context, const struct vault_item *item, struct error *err)
{
	struct items *items = context;
	(void)err;
	if (item->damage) {
		items->damaged++;
		items->damage = *item->damage;
		memcpy(items->damaged_id, item->id, sizeof items->damaged_id);
		items->is_unreadable = !item->credential;
		return true;
	}
	assert_true(items->count < COUNT_OF(items->at));
	size_t i = items->count++;
	const struct credential *c = item->credential;
	snprintf(items->at[i].pixel, sizeof items->at[i].pixel, "%s", c->pixel);
	items->at[i].is_deleted = c->deleted_at != 0;
	items->at[i].failures = item->health->failures;
	open_sealed(items, c, STAGE_CURRENT, item->sealed_current, items->at[i].token[0]);
	open_sealed(items, c, STAGE_PREVIOUS, item->sealed_previous, items->at[i].token[1]);
	return true;
}

static struct items *new_items(const struct vault *v)
{
	struct items *items = calloc(1, sizeof *items);
	struct error err;
	assert_true(vault_opener_new(v, &items->opener, &err));
	return items;
}

static void free_items(struct items *items)
{
	vault_opener_free(items->opener);
	free(items);
}

static size_t index_of(const struct items *items, const char *pixel)
{
	for (size_t i = 0; i < items->count; i++)
		if (strcmp(items->at[i].pixel, pixel) == 0)
			return i;
	fail_msg("%s did not come", pixel);
	return 0;
}

static size_t catch_up(struct vault *v, struct items *items, struct vault_position *at)
{
	struct error err;
	items->count = 0;
	if (!vault_catch_up(v, take_item, items, at, &err))
		fail_msg("%s", err.message);
	return items->count;
}

static void load__gives_every_pixel_with_its_sealed_tokens(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it();
	struct items *items = new_items(v);
	for (unsigned i = 0; i < 11; i++) { /* versions 10 and 11 lie between 1 and 2 */
		char token[64];
		snprintf(token, sizeof token, "token-number-%06u-of-pixel-a", i);
		put_token(v, A, token);
	}
	put_token(v, B, TOKEN_B);
	struct put_job pending = { .pixel = C, .token = TOKEN_C };
	assert_true(vault_change(v, put_one, &pending, &err));
	assert_true(vault_load(v, take_item, items, &at, &err));
	assert_int_equal(items->count, 3);
	size_t a = index_of(items, A), b = index_of(items, B), c = index_of(items, C);
	assert_string_equal(items->at[a].token[0], "token-number-000010-of-pixel-a");
	assert_string_equal(items->at[a].token[1], "token-number-000009-of-pixel-a");
	assert_string_equal(items->at[b].token[0], TOKEN_B);
	assert_string_equal(items->at[b].token[1], "");
	assert_string_equal(items->at[c].token[0], "");
	assert_int_equal(catch_up(v, items, &at), 0);
	free_items(items);
	vault_close(v);
}

static bool soft_delete(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	(void)context;
	if (!change_find(ch, B, &c, &exists, err))
		return false;
	c.deleted_at = 1700000001;
	change_note(ch, "remove", B, 0);
	return change_store(ch, &c, err);
}

static void catch_up__gives_just_what_others_changed(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it(), *other = open_it();
	struct items *items = new_items(v);
	put_token(other, A, TOKEN_A);
	put_token(other, B, TOKEN_B);
	assert_true(vault_load(v, take_item, items, &at, &err));
	assert_int_equal(items->count, 2);
	put_token(other, A, TOKEN_C);
	assert_int_equal(catch_up(v, items, &at), 1);
	assert_string_equal(items->at[0].token[0], TOKEN_C);
	assert_string_equal(items->at[0].token[1], TOKEN_A);
	struct health_update update = { .pixel = B, .health.failures = 9 };
	assert_true(vault_store_health(other, &update, 1, &err)); /* beside the inventory: the root stays */
	assert_int_equal(catch_up(v, items, &at), 1);
	assert_string_equal(items->at[0].pixel, B);
	assert_int_equal(items->at[0].failures, 9);
	assert_true(vault_change(other, soft_delete, NULL, &err));
	assert_int_equal(catch_up(v, items, &at), 1);
	assert_true(items->at[0].is_deleted);
	assert_int_equal(catch_up(v, items, &at), 0);
	vault_close(other);
	free_items(items);
	vault_close(v);
}

/* A put that pushes an old version out deletes a row: no reason to load all anew. */
static void catch_up__after_a_deletion_gives_that_pixel_only(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it(), *other = open_it();
	struct items *items = new_items(v);
	put_token(other, B, TOKEN_B);
	for (unsigned i = 0; i < VERSIONS_MAX; i++)
		put_token(other, A, TOKEN_A);
	assert_true(vault_load(v, take_item, items, &at, &err));
	put_token(other, A, TOKEN_C);
	assert_int_equal(catch_up(v, items, &at), 1);
	assert_string_equal(items->at[0].pixel, A);
	assert_string_equal(items->at[0].token[0], TOKEN_C);
	vault_close(other);
	free_items(items);
	vault_close(v);
}

static void follow__gives_what_the_vault_itself_changes_at_once(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it(), *other = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	assert_true(vault_load(v, take_item, items, &at, &err));
	vault_follow(v, take_item, items, &at);
	items->count = 0;
	put_token(v, A, TOKEN_B);
	assert_int_equal(items->count, 1);
	assert_string_equal(items->at[0].token[0], TOKEN_B);
	assert_string_equal(items->at[0].token[1], TOKEN_A); /* not part of the change: from the store */
	for (unsigned i = 0; i < VERSIONS_MAX; i++) {
		items->count = 0;
		put_token(v, A, TOKEN_C); /* the last ones drop a version */
		assert_int_equal(items->count, 1);
	}
	put_token(v, B, TOKEN_B);
	items->count = 0;
	assert_true(vault_change(v, soft_delete, NULL, &err));
	assert_int_equal(items->count, 1);
	assert_true(items->at[0].is_deleted);
	assert_int_equal(catch_up(v, items, &at), 0); /* nothing is left to be found */
	vault_close(other);
	free_items(items);
	vault_close(v);
}

static void follow__leaves_it_to_the_next_look_when_others_changed_something_too(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it(), *other = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	assert_true(vault_load(v, take_item, items, &at, &err));
	vault_follow(v, take_item, items, &at);
	put_token(other, B, TOKEN_B);
	items->count = 0;
	put_token(v, A, TOKEN_C);
	assert_int_equal(items->count, 0);
	assert_false(vault_is_in_step(v));
	assert_int_equal(catch_up(v, items, &at), 2);
	assert_true(vault_is_in_step(v));
	assert_string_equal(items->at[index_of(items, A)].token[0], TOKEN_C);
	assert_string_equal(items->at[index_of(items, B)].token[0], TOKEN_B);
	items->count = 0;
	put_token(v, A, TOKEN_A);
	assert_int_equal(items->count, 1);
	assert_true(vault_is_in_step(v));
	struct health_update update = { .pixel = B, .health.failures = 9 };
	assert_true(vault_store_health(v, &update, 1, &err)); /* beside the inventory: nobody is given that */
	assert_false(vault_is_in_step(v));
	assert_int_equal(catch_up(v, items, &at), 1);
	vault_follow(v, NULL, NULL, NULL);
	put_token(v, A, TOKEN_B);
	assert_int_equal(items->count, 1);
	assert_int_equal(catch_up(v, items, &at), 1);
	vault_close(other);
	free_items(items);
	vault_close(v);
}

static size_t count_results(const struct seen_entries *s, const char *result)
{
	size_t count = 0;
	for (size_t i = 0; i < s->count; i++)
		count += strcmp(s->at[i].result, result) == 0;
	return count;
}

static void follow__the_outcome_is_written_when_settled_and_only_once(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct seen_entries s;
	struct vault *v = open_it(), *other = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	assert_true(vault_load(v, take_item, items, &at, &err));
	vault_follow(v, take_item, items, &at);
	put_token(v, A, TOKEN_B);
	assert_int_equal(read_log(other, &s).unexplained, 1);
	vault_settle(v);
	vault_settle(v);
	assert_int_equal(read_log(other, &s).unexplained, 0);
	assert_int_equal(count_results(&s, "intent"), 2);
	assert_int_equal(count_results(&s, "done"), 2);
	put_token(v, A, TOKEN_C);
	put_token(v, B, TOKEN_B); /* settles the one before */
	assert_int_equal(read_log(other, &s).unexplained, 1);
	assert_int_equal(count_results(&s, "done"), 3);
	put_token(other, C, TOKEN_C); /* somebody else finds it out first */
	vault_settle(v);
	struct audit_report report = read_log(other, &s);
	assert_int_equal(report.unexplained, 0);
	assert_int_equal(report.faults, 0);
	assert_int_equal(count_results(&s, "intent"), 5);
	assert_int_equal(count_results(&s, "done"), 5);
	put_token(v, A, TOKEN_A);
	free_items(items);
	vault_close(v); /* so does the end */
	assert_int_equal(read_log(other, &s).unexplained, 0);
	vault_close(other);
}

static void catch_up__without_news_is_cheap(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	assert_true(vault_load(v, take_item, items, &at, &err));
	struct timespec a, b;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(catch_up(v, items, &at), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	double us = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e6;
	print_message("catching up with nothing: %.1f us\n", us);
	assert_true(us < 500);
	free_items(items);
	vault_close(v);
}

static void write_sql(const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(vault_file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void catch_up__notices_a_store_that_went_back(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	write_sql("CREATE TABLE old AS SELECT * FROM kv; CREATE TABLE oldmeta AS SELECT * FROM meta");
	put_token(v, A, TOKEN_B);
	assert_true(vault_load(v, take_item, items, &at, &err));
	write_sql("DELETE FROM kv; INSERT INTO kv SELECT * FROM old; DELETE FROM meta; INSERT INTO meta SELECT * FROM "
		  "oldmeta");
	assert_false(vault_catch_up(v, take_item, items, &at, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "rolled-back");
	free_items(items);
	vault_close(v);
}

static void assert_damaged(const struct vault *v, const struct items *items, const char *pixel, bool is_unreadable)
{
	uint8_t id[PIXEL_ID_LEN];
	vault_pixel_id(v, pixel, id);
	assert_int_equal(items->damaged, 1);
	assert_memory_equal(items->damaged_id, id, sizeof id);
	assert_int_equal(items->damage.code, ERR_DAMAGED);
	assert_string_equal(items->damage.class, "tampered");
	assert_int_equal(items->is_unreadable, is_unreadable);
}

static void load(struct vault *v, struct items *items, struct vault_position *at)
{
	struct error err;
	items->count = items->damaged = 0;
	if (!vault_load(v, take_item, items, at, &err))
		fail_msg("%s", err.message);
}

/* B's records of this kind, as the store names them. */
static void write_to_b(const struct vault *v, char kind, const char *what)
{
	uint8_t id[PIXEL_ID_LEN];
	char hex[PIXEL_ID_LEN * 2 + 1], sql[512];
	vault_pixel_id(v, B, id);
	sodium_bin2hex(hex, sizeof hex, id, sizeof id);
	snprintf(sql, sizeof sql, "%s WHERE k LIKE 'e1/%c/%s%%'", what, kind, hex);
	write_sql(sql);
}

static void damage_of_one_pixel_stays_its_own(char kind, bool is_unreadable)
{
	struct vault_position at;
	struct vault *v = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	put_token(v, C, TOKEN_C);
	load(v, items, &at);
	put_token(v, B, TOKEN_B);
	write_sql("CREATE TABLE IF NOT EXISTS good AS SELECT * FROM kv");
	write_to_b(v, kind, "UPDATE kv SET v = zeroblob(length(v))");
	put_token(v, A, TOKEN_B);
	assert_int_equal(catch_up(v, items, &at), 1); /* A */
	assert_string_equal(items->at[0].token[0], TOKEN_B);
	assert_damaged(v, items, B, is_unreadable);
	items->damaged = 0;
	assert_int_equal(catch_up(v, items, &at), 0); /* told once */
	assert_int_equal(items->damaged, 0);
	load(v, items, &at);
	assert_int_equal(items->count, 2);
	assert_damaged(v, items, B, is_unreadable);
	write_to_b(v, kind, "DELETE FROM kv");
	load(v, items, &at);
	assert_int_equal(items->count, 2);
	assert_damaged(v, items, B, is_unreadable);
	write_sql("INSERT OR IGNORE INTO kv SELECT k, v, (SELECT max(mod) + 1 FROM kv) FROM good WHERE k LIKE 'e1/m/%' OR "
		  "k LIKE 'e1/t/%'; DROP TABLE good");
	load(v, items, &at);
	assert_int_equal(items->count, 3);
	assert_int_equal(items->damaged, 0);
	free_items(items);
	vault_close(v);
}

static void load__damaged_metadata_are_that_pixels_own(void **state)
{
	(void)state;
	damage_of_one_pixel_stays_its_own('m', true);
}

static void load__a_damaged_token_is_that_pixels_own(void **state)
{
	(void)state;
	damage_of_one_pixel_stays_its_own('t', false);
}

static void load__a_damaged_inventory_fails_whole(void **state)
{
	(void)state;
	struct error err;
	struct vault_position at;
	struct vault *v = open_it();
	struct items *items = new_items(v);
	put_token(v, A, TOKEN_A);
	put_token(v, B, TOKEN_B);
	write_sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/n/%'");
	assert_false(vault_load(v, take_item, items, &at, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "tampered");
	free_items(items);
	vault_close(v);
}

/* ---- read marks ---- */

static bool count_mark(void *context, const struct read_mark *mark, struct error *err)
{
	(void)err;
	*(uint32_t *)context = *(uint32_t *)context * 10 + mark->version;
	return true;
}

static void marks__many_are_one_commit_and_the_last_of_a_name_counts(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = open_it();
	uint32_t seen = 0;
	struct mark_update updates[] = { { A, { .name = "shop", .version = 1, .at = 10 } },
					 { B, { .name = "shop", .version = 2, .at = 10 } },
					 { A, { .name = "shop", .version = 3, .at = 11 } } };
	assert_true(vault_mark_reads(v, updates, 3, &err));
	assert_true(vault_mark_reads(v, updates, 0, &err));
	assert_true(vault_each_mark(v, A, count_mark, &seen, &err));
	assert_int_equal(seen, 3);
	seen = 0;
	assert_true(vault_each_mark(v, B, count_mark, &seen, &err));
	assert_int_equal(seen, 2);
	assert_int_equal(vault_generation(v), 1);
	vault_close(v);
}

static int unset(void **state)
{
	place.is_doubting = place.is_adopting = false;
	return scratch_remove(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, vault_make, unset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(change_all__makes_one_commit_of_many),
		T(change_all__drops_what_fails_and_does_the_rest_as_if_it_had_come_alone),
		T(change_all__of_failures_only_commits_nothing),
		T(log__of_each_change_has_who_asked_intent_and_outcome),
		T(log__has_a_line_for_each_token_and_no_token_comes_without),
		T(log__is_known_to_the_anchor_after_each_change),
		T(log__anchored_by_hand_notices_a_cut_among_reads),
		T(log__cut_to_what_a_running_process_knows_is_noticed_by_its_next_change),
		T(log__of_a_vault_that_is_adopted_goes_on_or_is_moved_aside),
		T(root_key__opens_the_vault_and_a_wrong_one_is_a_wrong_key),
		T(load__gives_every_pixel_with_its_sealed_tokens),
		T(catch_up__gives_just_what_others_changed),
		T(catch_up__after_a_deletion_gives_that_pixel_only),
		T(follow__gives_what_the_vault_itself_changes_at_once),
		T(follow__leaves_it_to_the_next_look_when_others_changed_something_too),
		T(follow__the_outcome_is_written_when_settled_and_only_once),
		T(catch_up__without_news_is_cheap),
		T(catch_up__notices_a_store_that_went_back),
		T(load__damaged_metadata_are_that_pixels_own),
		T(load__a_damaged_token_is_that_pixels_own),
		T(load__a_damaged_inventory_fails_whole),
		T(marks__many_are_one_commit_and_the_last_of_a_name_counts),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
