/* Nonces, salts and ids are drawn from the system's generator, one draw each, and none comes twice. */
#include "vault/seal.h"
#include "vault/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#include <seccomp.h>
#include <sys/random.h>

#define SEALS 90000
#define SLOTS 10000
#define DRAWN_MAX (4 * (SEALS + SLOTS))

/* ---- the recorder ---- */

struct draw {
	uint8_t at[32];
	size_t len;
};

static struct draw *drawn; /* what was asked for since begin_recording, in its order */
static size_t drawn_count;
static bool is_repeating; /* a broken generator, to see that the tests notice one */

static const char *name_of_recorder(void)
{
	return "recorder";
}

static void record(void *const at, const size_t len)
{
	if (is_repeating)
		memset(at, 7, len);
	else
		assert_int_equal(getrandom(at, len, 0), len);
	if (len > sizeof drawn->at || len < 8)
		return;
	assert_true(drawn_count < DRAWN_MAX);
	drawn[drawn_count].len = len;
	memcpy(drawn[drawn_count++].at, at, len);
}

static uint32_t record_one(void)
{
	uint32_t ret;
	record(&ret, sizeof ret);
	return ret;
}

static randombytes_implementation recorder = { .implementation_name = name_of_recorder,
					       .random = record_one,
					       .buf = record };

static int begin_recording(void **state)
{
	(void)state;
	drawn = calloc(DRAWN_MAX, sizeof *drawn);
	drawn_count = 0;
	is_repeating = false;
	return drawn && randombytes_set_implementation(&recorder) == 0 ? 0 : -1;
}

static int end_recording(void **state)
{
	(void)state;
	free(drawn);
	drawn = NULL;
	return randombytes_set_implementation(&randombytes_sysrandom_implementation);
}

static int by_content(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct draw));
}

static size_t repeats(struct draw *list, size_t count)
{
	size_t ret = 0;
	qsort(list, count, sizeof *list, by_content);
	for (size_t i = 1; i < count; i++)
		ret += by_content(&list[i - 1], &list[i]) == 0;
	return ret;
}

/* The last draw but `back` was this. */
static void assert_drawn(size_t back, const uint8_t *at, size_t len)
{
	assert_true(drawn_count > back);
	const struct draw *d = &drawn[drawn_count - 1 - back];
	assert_int_equal(d->len, len);
	assert_memory_equal(d->at, at, len);
}

/* ---- sealing ---- */

static const uint8_t vault_id[VAULT_ID_LEN] = { 1, 2, 3 };

static void seal_one(const struct keys *keys, uint32_t i, struct buf *out)
{
	static const char kinds[] = "mtghcadk";
	const struct seal_context context = { .vault_id = vault_id,
					      .epoch = 1,
					      .kind = kinds[i % (sizeof kinds - 1)],
					      .what = bytes_of_text("e1/c/0123456789abcdef"),
					      .version = 1 };
	struct error err;
	out->len = 0;
	assert_true(seal(keys, &context, bytes_of_text("the same each time"), out, &err));
}

static void seal_many(uint32_t count)
{
	scoped(secret_freep) struct secret *root_key = key_of(1);
	scoped(keys_freep) struct keys *keys = NULL;
	struct buf out = BUF_INIT(1 << 16);
	struct error err;
	assert_true(keys_derive(root_key, &keys, &err));
	for (uint32_t i = 0; i < count; i++) {
		size_t before = drawn_count;
		seal_one(keys, i, &out);
		assert_int_equal(drawn_count, before + 1);
		assert_drawn(0, out.at, SEAL_NONCE_LEN);
	}
	buf_done(&out);
}

static void make_slots(size_t count)
{
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	struct slot_secret h = { SLOT_KEY_FILE, holder };
	struct error err;
	for (size_t i = 0; i < count; i++) {
		uint8_t slot[SLOT_LEN];
		size_t before = drawn_count;
		assert_true(slot_make(vault_id, &h, root_key, slot, &err));
		assert_int_equal(drawn_count, before + 3);
		assert_drawn(2, slot, SLOT_ID_LEN);
		assert_drawn(1, slot + 20, 16);
		assert_drawn(0, slot + 36, 24);
	}
}

static void random__no_nonce_salt_or_id_of_a_hundred_thousand_comes_twice(void **state)
{
	(void)state;
	seal_many(SEALS);
	make_slots(SLOTS);
	assert_int_equal(drawn_count, SEALS + 3 * SLOTS);
	assert_int_equal(repeats(drawn, drawn_count), 0);
}

static void random__a_generator_that_repeats_itself_is_noticed_here(void **state)
{
	(void)state;
	is_repeating = true;
	seal_many(10);
	make_slots(10);
	assert_int_equal(repeats(drawn, drawn_count), 19 + 9 + 9); /* nonces, salts, ids */
}

/* ---- whole vaults ---- */

static void add_to(struct draw *list, size_t *count, const uint8_t *at)
{
	list[*count] = (struct draw){ .len = 16 };
	memcpy(list[(*count)++].at, at, 16);
}

/* Its id and lineage when it is made, and the id of the commit each time. */
static void random__each_vault_and_each_commit_has_ids_of_its_own(void **state)
{
	(void)state;
	enum { VAULTS = 5, COMMITS = 20 };
	static struct draw ids[VAULTS * (2 + COMMITS)];
	size_t count = 0;
	struct error err;
	char folder[16], token[64];
	for (size_t n = 0; n < VAULTS; n++) {
		snprintf(folder, sizeof folder, "place%zu", n);
		set_place(folder);
		assert_true(create_at(&place, &err));
		for (size_t i = 0; i < COMMITS; i++) {
			scoped(vault_closep) struct vault *v = open_it();
			snprintf(token, sizeof token, "token-%zu", i);
			put_token(v, "D0123456789ABCDEFGH0", token);
			sqlite3 *db = sql_open();
			struct rows rows = rows_read(db);
			struct root root;
			const struct row *row = row_of(&rows, "root");
			assert_int_equal(root_decode(bytes_of(row->value, row->len), &root), ROOT_FINE);
			if (i == 0) {
				add_to(ids, &count, root.vault_id);
				add_to(ids, &count, root.lineage);
			}
			add_to(ids, &count, root.commit_id);
			rows_free(&rows);
			sqlite3_close(db);
		}
	}
	assert_int_equal(count, COUNT_OF(ids));
	assert_int_equal(repeats(ids, count), 0);
}

/* ---- forks and failures ---- */

static void seal_into(struct draw *list, uint32_t count)
{
	scoped(secret_freep) struct secret *root_key = key_of(1);
	scoped(keys_freep) struct keys *keys = NULL;
	struct buf out = BUF_INIT(1 << 16);
	struct error err;
	assert_true(keys_derive(root_key, &keys, &err));
	for (uint32_t i = 0; i < count; i++) {
		seal_one(keys, i, &out);
		list[i] = (struct draw){ .len = SEAL_NONCE_LEN };
		memcpy(list[i].at, out.at, SEAL_NONCE_LEN);
	}
	buf_done(&out);
}

/* With libsodium's own generator, used before the fork: a state that both go on from would be seen. */
static void random__parent_and_children_draw_different_ones(void **state)
{
	(void)state;
	enum { EACH = 1000, CHILDREN = 3 };
	static struct draw all[EACH * (CHILDREN + 2)];
	seal_into(all, EACH);
	for (size_t n = 0; n < CHILDREN; n++) {
		int ends[2];
		struct draw *to = all + EACH * (n + 1);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		pid_t pid = fork_child();
		if (pid == 0) {
			seal_into(to, EACH);
			FILE *f = fdopen(ends[1], "wb");
			_exit(f && fwrite(to, sizeof *to, EACH, f) == EACH && fclose(f) == 0 ? 0 : 1);
		}
		close(ends[1]);
		FILE *f = fdopen(ends[0], "rb");
		assert_non_null(f);
		assert_int_equal(fread(to, sizeof *to, EACH, f), EACH);
		fclose(f);
		assert_int_equal(ended(pid), 0);
	}
	seal_into(all + EACH * (CHILDREN + 1), EACH);
	assert_int_equal(repeats(all, COUNT_OF(all)), 0);
}

static int status_without_randomness;

static void deny(scmp_filter_ctx filter, int call, uint32_t error)
{
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(error), call, 0) != 0)
		_exit(90);
}

/* Before anything of ours has asked for randomness: where the system has none, a program ends there and then. */
static void start_without_randomness(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct error err;
		scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
		if (!filter)
			_exit(90);
		deny(filter, SCMP_SYS(getrandom), ENOSYS);
		deny(filter, SCMP_SYS(open), ENOENT);
		deny(filter, SCMP_SYS(openat), ENOENT);
		if (seccomp_load(filter) != 0)
			_exit(90);
		_exit(secret_arena_open(SECRET_ARENA_SMALL, &err) ? 0 : 1);
	}
	status_without_randomness = ended(pid);
}

static void random__without_a_source_nothing_starts(void **state)
{
	(void)state;
	if (status_without_randomness == 90 || getenv("UNDER_VALGRIND"))
		skip();
	assert_int_equal(status_without_randomness, 1000 + SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random__without_a_source_nothing_starts),
		cmocka_unit_test_setup_teardown(random__no_nonce_salt_or_id_of_a_hundred_thousand_comes_twice,
						begin_recording, end_recording),
		cmocka_unit_test_setup_teardown(random__a_generator_that_repeats_itself_is_noticed_here,
						begin_recording, end_recording),
		cmocka_unit_test_setup_teardown(random__each_vault_and_each_commit_has_ids_of_its_own, scratch_make,
						scratch_remove),
		cmocka_unit_test(random__parent_and_children_draw_different_ones),
	};
	start_without_randomness();
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
