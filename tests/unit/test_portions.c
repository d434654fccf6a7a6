/* A vault read in portions, with other things done between; and what checks leave for each other beside it. */
#include "agent/head_start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#define MANY 3000 /* portions by two digits of the id */
#define FEW 300   /* by one */
#define BATCH 500
#define LIST "bc:7012345678901234567"

static void numbered(unsigned i, char ret[PIXEL_CODE_MAX + 1])
{
	snprintf(ret, PIXEL_CODE_MAX + 1, "D%018u0", i);
}

struct range {
	unsigned from, to;
};

static bool put_range(void *context, struct change *ch, struct error *err)
{
	const struct range *r = context;
	for (unsigned i = r->from; i < r->to; i++) {
		char pixel[PIXEL_CODE_MAX + 1], token[64];
		numbered(i, pixel);
		snprintf(token, sizeof token, "token-of-the-pixel-number-%06u", i);
		struct put_job job = { .pixel = pixel, .token = token, .is_promoted = true };
		struct health h = { .failures = i };
		if (!put_one(&job, ch, err) || !change_store_health(ch, pixel, &h, err))
			return false;
	}
	return true;
}

static void put_many(struct vault *v, unsigned from, unsigned to)
{
	struct error err;
	for (unsigned at = from; at < to; at += BATCH) {
		struct range r = { at, at + BATCH < to ? at + BATCH : to };
		if (!vault_change(v, put_range, &r, &err))
			fail_msg("put from %u: %s", at, err.message);
	}
}

static bool remove_one(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	if (!change_find(ch, context, &c, &exists, err))
		return false;
	c.deleted_at = 1700000001;
	change_note(ch, "rm", c.pixel, 0);
	return change_store(ch, &c, err);
}

/* ---- met ---- */

struct met {
	unsigned count, in_portion, most, wrong;
	uint8_t times[2 * MANY];
	char order[2 * MANY][PIXEL_CODE_MAX + 1];
	unsigned ends_at; /* 0 = nobody ends it */
};

static bool meet(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct met *m = context;
	unsigned i = 0;
	sscanf(c->pixel + 1, "%18u", &i);
	assert_true(i < COUNT_OF(m->times) && m->count < COUNT_OF(m->order));
	m->times[i]++;
	m->wrong += h->failures != i || c->version_count != 1;
	memcpy(m->order[m->count++], c->pixel, sizeof c->pixel);
	if (++m->in_portion > m->most)
		m->most = m->in_portion;
	return m->count != m->ends_at ? true : fail(err, ERR_UNCLEAR, "enough", "of this");
}

static struct met *met_new(void)
{
	struct met *m = calloc(1, sizeof *m);
	assert_non_null(m);
	return m;
}

static struct vault_walk *begin(struct vault *v)
{
	struct vault_walk *walk;
	struct error err;
	assert_true(vault_walk_new(v, &walk, &err));
	return walk;
}

/* Whether it is over. */
static bool step(struct vault_walk *walk, struct met *m)
{
	struct error err;
	bool is_over;
	m->in_portion = 0;
	if (!vault_walk_some(walk, meet, m, &is_over, &err))
		fail_msg("%s", err.message);
	return is_over;
}

static void finish(struct vault_walk *walk, struct met *m)
{
	for (int i = 0; !step(walk, m); i++)
		assert_true(i < 1000);
	vault_walk_freep(&walk);
	assert_null(walk);
}

static void portions__together_are_everybody_once_and_in_order(void **state)
{
	static const struct {
		unsigned count, most;
	} rows[] = { { 0, 0 }, { 1, 1 }, { FEW, 60 }, { MANY, 60 } };
	struct error err;
	unsigned before = 0;
	(void)state;
	struct vault *v = open_it();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct met *whole = met_new(), *some = met_new();
		put_many(v, before, rows[i].count);
		before = rows[i].count;
		assert_true(vault_each(v, true, false, meet, whole, &err));
		finish(begin(v), some);
		assert_int_equal(some->count, rows[i].count);
		assert_int_equal(some->wrong, 0);
		assert_memory_equal(some->order, whole->order, sizeof some->order);
		assert_true(some->most <= rows[i].most);
		free(whole);
		free(some);
	}
	vault_close(v);
}

static void portions__who_is_there_all_the_while_is_met_once(void **state)
{
	struct error err;
	struct met *m = met_new();
	char gone[PIXEL_CODE_MAX + 1];
	unsigned removed = 0;
	(void)state;
	struct vault *v = open_it(), *other = open_it();
	put_many(v, 0, FEW);
	struct vault_walk *walk = begin(v);
	assert_false(step(walk, m));
	put_many(v, FEW, MANY); /* so many that the portions get smaller */
	assert_false(step(walk, m));
	for (unsigned i = 0; i < FEW; i++)
		if (!m->times[i])
			removed = i;
	numbered(removed, gone);
	assert_true(vault_change(other, remove_one, gone, &err)); /* another program does it */
	finish(walk, m);
	for (unsigned i = 0; i < FEW; i++)
		assert_int_equal(m->times[i], i != removed);
	for (unsigned i = FEW; i < MANY; i++)
		assert_true(m->times[i] <= 1);
	assert_int_equal(m->wrong, 0);
	free(m);
	vault_close(other);
	vault_close(v);
}

static void assert_lists(struct vault *v, size_t count)
{
	struct buf names = BUF_INIT(4096);
	struct error err;
	assert_true(vault_list_names(v, &names, &err));
	assert_int_equal(names.len, count * (PIXEL_CODE_MAX + 1));
	for (size_t at = 0; at < names.len; at += PIXEL_CODE_MAX + 1)
		assert_true(name_is_list((const char *)names.at + at));
	buf_done(&names);
}

static void damage_all(void)
{
	sqlite3 *db = sql_open();
	sql_do(db, "update kv set v = zeroblob(length(v)) where k like 'e1/m/%'");
	sqlite3_close(db);
}

static void portions__pass_lists_over_and_know_them_then(void **state)
{
	struct met *m = met_new();
	(void)state;
	struct vault *v = open_it();
	put_many(v, 0, FEW);
	put_token(v, LIST, "a-token-that-lists-pixels");
	vault_close(v);
	v = open_it();
	finish(begin(v), m);
	assert_int_equal(m->count, FEW);
	damage_all(); /* whoever walked once more would meet it */
	assert_lists(v, 1);
	free(m);
	vault_close(v);
}

static void portions__between_which_something_changed_say_nothing_of_lists(void **state)
{
	struct met *m = met_new();
	(void)state;
	struct vault *v = open_it();
	put_many(v, 0, FEW);
	assert_lists(v, 0);
	struct vault_walk *walk = begin(v);
	size_t count = 0;
	for (; !step(walk, m); count++) { /* most of them lie in portions that were passed */
		char list[PIXEL_CODE_MAX + 1];
		snprintf(list, sizeof list, "bc:70123456789012345%02zu", count);
		put_token(v, list, "a-token-that-lists-pixels");
	}
	vault_walk_freep(&walk);
	assert_true(count > 8);
	assert_lists(v, count);
	free(m);
	vault_close(v);
}

static void portions__end_where_the_callback_ends_them(void **state)
{
	struct met *m = met_new();
	struct error err;
	bool is_over;
	(void)state;
	struct vault *v = open_it();
	put_many(v, 0, FEW);
	struct vault_walk *walk = begin(v);
	m->ends_at = 3;
	assert_false(vault_walk_some(walk, meet, m, &is_over, &err));
	assert_int_equal(err.code, ERR_UNCLEAR);
	assert_int_equal(m->count, 3);
	vault_walk_freep(&walk);
	free(m);
	vault_close(v);
}

static void portions__with_damage_in_them_are_refused(void **state)
{
	struct met *m = met_new();
	struct error err;
	bool is_over = false, is_read = true;
	(void)state;
	struct vault *v = open_it();
	put_many(v, 0, FEW);
	damage_all();
	struct vault_walk *walk = begin(v);
	while (is_read && !is_over)
		is_read = vault_walk_some(walk, meet, m, &is_over, &err);
	assert_false(is_read);
	assert_refused(&err, ERR_DAMAGED, "tampered");
	vault_walk_freep(&walk);
	free(m);
	vault_close(v);
}

static void portions__of_a_vault_that_is_locked_are_refused(void **state)
{
	struct vault *v = NULL;
	struct error err;
	struct met *m = met_new();
	bool is_over;
	(void)state;
	assert_true(vault_open(&place, &v, &err));
	struct vault_walk *walk = begin(v);
	assert_false(vault_walk_some(walk, meet, m, &is_over, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	vault_walk_freep(&walk);
	free(m);
	vault_close(v);
}

/* ---- who was proven last ---- */

static void store_proven(struct vault *v, unsigned i, int64_t current, int64_t pending)
{
	struct health_update update = { .health = { .current = { .version = 1, .proven_at = current },
						    .pending = { .version = 2, .proven_at = pending } } };
	struct error err;
	numbered(i, update.pixel);
	assert_true(vault_store_health(v, &update, 1, &err));
}

static void assert_proven(struct vault *v, unsigned i, int64_t at)
{
	struct proven last;
	struct error err;
	char pixel[PIXEL_CODE_MAX + 1] = "";
	if (at)
		numbered(i, pixel);
	assert_true(vault_proven_last(v, &last, &err));
	assert_int_equal(last.at, at);
	assert_string_equal(last.pixel, pixel);
}

static void proven__is_kept_of_whoever_was_so_last(void **state)
{
	struct error err;
	(void)state;
	struct vault *v = open_it();
	put_many(v, 0, 4);
	assert_proven(v, 0, 0);
	store_proven(v, 0, 0, 0);
	assert_proven(v, 0, 0);
	store_proven(v, 1, 1700000100, 0);
	assert_proven(v, 1, 1700000100);
	store_proven(v, 2, 1700000099, 0); /* known for longer, and only stored again */
	assert_proven(v, 1, 1700000100);
	store_proven(v, 3, 1, 1700000101);
	assert_proven(v, 3, 1700000101);
	struct health_update both[2] = { { .health = { .current = { .version = 1, .proven_at = 1700000103 } } },
					 { .health = { .current = { .version = 1, .proven_at = 1700000102 } } } };
	numbered(0, both[0].pixel);
	numbered(1, both[1].pixel);
	assert_true(vault_store_health(v, both, 2, &err));
	assert_proven(v, 0, 1700000103);
	struct proven ahead = { .at = INT64_C(1) << 40 };
	numbered(3, ahead.pixel);
	assert_true(vault_store_proven(v, &ahead, &err)); /* while the clock was ahead */
	store_proven(v, 3, 0, 0);
	assert_proven(v, 3, ahead.at);
	store_proven(v, 1, 1700000104, 0);
	assert_proven(v, 1, 1700000104);
	struct proven chosen = { .at = 5 };
	numbered(2, chosen.pixel);
	assert_true(vault_store_proven(v, &chosen, &err));
	assert_proven(v, 2, 5);
	vault_close(v);
}

static void store_text(struct vault *v, const char *name, const char *text)
{
	struct error err;
	assert_true(vault_store_note(v, name, bytes_of(text, strlen(text)), &err));
}

static void proven__that_is_cut_short_is_nobody(void **state)
{
	(void)state;
	struct vault *v = open_it();
	store_text(v, "proven", "12345678and half a Pixel");
	assert_proven(v, 0, 0);
	store_text(v, "proven", "1234");
	assert_proven(v, 0, 0);
	vault_close(v);
}

/* ---- a head start ---- */

static void head_start__is_as_it_was_stored_or_nothing(void **state)
{
	struct error err;
	struct head_start h = { 9, 9 };
	(void)state;
	struct vault *v = open_it();
	assert_true(head_start_read(v, &h, &err));
	assert_true(h.generation == 0 && h.pairs == 0);
	assert_true(head_start_store(v, &(struct head_start){ UINT64_C(1) << 40, 100000 }, &err));
	assert_true(head_start_read(v, &h, &err));
	assert_true(h.generation == UINT64_C(1) << 40 && h.pairs == 100000);
	store_text(v, "start", "12345678901");
	assert_true(head_start_read(v, &h, &err));
	assert_true(h.generation == 0 && h.pairs == 0);
	store_text(v, "start", "");
	assert_true(head_start_read(v, &h, &err));
	assert_true(h.generation == 0 && h.pairs == 0);
	vault_close(v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, vault_make_in_memory, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(portions__together_are_everybody_once_and_in_order),
		T(portions__who_is_there_all_the_while_is_met_once),
		T(portions__pass_lists_over_and_know_them_then),
		T(portions__between_which_something_changed_say_nothing_of_lists),
		T(portions__end_where_the_callback_ends_them),
		T(portions__with_damage_in_them_are_refused),
		T(portions__of_a_vault_that_is_locked_are_refused),
		T(proven__is_kept_of_whoever_was_so_last),
		T(proven__that_is_cut_short_is_nobody),
		T(head_start__is_as_it_was_stored_or_nothing),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
