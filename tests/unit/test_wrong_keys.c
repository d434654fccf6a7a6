/* A thousand wrong keys: none opens, none is told from another, and each costs what a right one costs. Argon2id is
 * counted, and but for a few runs replaced by a quick hash of all that it is given. */
#include "vault/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#include <sodium.h>
#include <time.h>

#define PASSPHRASE "correct horse battery staple"
#define POLICY_WORK ((uint64_t)SLOT_DEFAULT_OPS * SLOT_DEFAULT_MEM_KIB)

static const uint8_t vault_id[VAULT_ID_LEN] = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
						0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f };
static size_t runs;   /* of Argon2id */
static uint64_t work; /* their passes times KiB */

/* In place of libsodium's, which this program does not link then. */
int crypto_pwhash(unsigned char *const out, unsigned long long out_len, const char *const text, unsigned long long len,
		  const unsigned char *const salt, unsigned long long ops, size_t mem, int algorithm)
{
	crypto_generichash_state state;
	assert_int_equal(algorithm, crypto_pwhash_ALG_ARGON2ID13);
	assert_int_equal(out_len, 64);
	runs++;
	work += ops * (mem / 1024);
	crypto_generichash_init(&state, salt, 16, 64);
	crypto_generichash_update(&state, (const uint8_t *)&ops, sizeof ops);
	crypto_generichash_update(&state, (const uint8_t *)&mem, sizeof mem);
	crypto_generichash_update(&state, (const uint8_t *)text, len);
	return crypto_generichash_final(&state, out, 64);
}

struct slots {
	uint8_t bytes[SLOTS_VALUE_MAX];
	size_t len;
};

static void add(struct slots *s, const uint8_t slot[SLOT_LEN])
{
	if (s->len == 0)
		s->len = 4;
	memcpy(s->bytes + s->len, slot, SLOT_LEN);
	s->len += SLOT_LEN;
	s->bytes[0]++;
}

static void make(struct slots *s, enum slot_kind kind, struct bytes key, const struct secret *root_key)
{
	scoped(secret_freep) struct secret *holder = secret_of(key);
	struct slot_secret h = { kind, holder };
	struct error err;
	uint8_t slot[SLOT_LEN];
	assert_true(slot_make(vault_id, &h, root_key, slot, &err));
	add(s, slot);
}

static bool opens(const struct slots *s, enum slot_kind kind, struct bytes key, struct error *err)
{
	scoped(secret_freep) struct secret *holder = secret_of(key), *found = NULL;
	struct slot_secret h = { kind, holder };
	memset(err, 0, sizeof *err);
	runs = 0;
	work = 0;
	bool is_opened = slots_open(bytes_of(s->bytes, s->len), vault_id, &h, &found, err);
	assert_int_equal(is_opened, found != NULL);
	return is_opened;
}

/* The same answer and the same work for each of them. */
static void assert_wrong(const struct slots *s, struct bytes key, size_t slots_tried)
{
	static char first[sizeof((struct error *)0)->message];
	struct error err;
	assert_false(opens(s, SLOT_PASSPHRASE, key, &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_null(err.class);
	if (!first[0])
		memcpy(first, err.message, sizeof first);
	assert_string_equal(err.message, first);
	assert_int_equal(runs, slots_tried);
	assert_int_equal(work, slots_tried * POLICY_WORK);
}

static void make_two_of_a_kind(struct slots *s, const struct secret *root_key)
{
	make(s, SLOT_PASSPHRASE, bytes_of_text(PASSPHRASE), root_key);
	make(s, SLOT_PASSPHRASE, bytes_of_text("another passphrase of fifteen"), root_key);
}

static void passphrase__a_thousand_wrong_ones_are_alike(void **state)
{
	(void)state;
	struct slots s = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1);
	make_two_of_a_kind(&s, root_key);
	for (uint32_t seed = 0; seed < 1000; seed++) {
		uint8_t text[64];
		uint8_t seeds[randombytes_SEEDBYTES] = { 0 };
		memcpy(seeds, &seed, sizeof seed);
		randombytes_buf_deterministic(text, sizeof text, seeds);
		assert_wrong(&s, bytes_of(text, 1 + seed % sizeof text), 2);
	}
}

static void passphrase__near_misses_are_wrong(void **state)
{
	(void)state;
	struct slots s = { .len = 0 };
	struct error err;
	char text[64];
	const size_t len = sizeof PASSPHRASE - 1;
	scoped(secret_freep) struct secret *root_key = key_of(1);
	make_two_of_a_kind(&s, root_key);
	assert_true(opens(&s, SLOT_PASSPHRASE, bytes_of_text(PASSPHRASE), &err));
	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(text, PASSPHRASE, sizeof PASSPHRASE);
		text[bit / 8] ^= (char)(1 << bit % 8);
		assert_wrong(&s, bytes_of(text, len), 2);
	}
	for (size_t i = 0; i < len; i++) {
		assert_wrong(&s, bytes_of(PASSPHRASE, i ? i : 1), 2);
		memcpy(text, PASSPHRASE, i);
		text[i] = '\0'; /* what follows a NUL counts */
		memcpy(text + i + 1, &PASSPHRASE[i], len - i);
		assert_wrong(&s, bytes_of(text, len + 1), 2);
		assert_wrong(&s, bytes_of(text, i + 1), 2);
	}
	static const char *const ends[] = { " ", "\n", "\r\n", "\t", "." };
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		snprintf(text, sizeof text, "%s%s", PASSPHRASE, ends[i]);
		assert_wrong(&s, bytes_of_text(text), 2);
		snprintf(text, sizeof text, "%s%s", ends[i], PASSPHRASE);
		assert_wrong(&s, bytes_of_text(text), 2);
	}
	assert_wrong(&s, bytes_of(PASSPHRASE, sizeof PASSPHRASE), 2);
}

static void passphrase__of_nothing_or_of_too_much_costs_nothing(void **state)
{
	(void)state;
	static uint8_t text[PASSPHRASE_MAX + 1];
	struct slots s = { .len = 0 };
	struct error err;
	scoped(secret_freep) struct secret *root_key = key_of(1);
	memset(text, 'x', sizeof text);
	make_two_of_a_kind(&s, root_key);
	assert_false(opens(&s, SLOT_PASSPHRASE, bytes_of_text(""), &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_int_equal(runs, 0);
	assert_false(opens(&s, SLOT_PASSPHRASE, bytes_of(text, PASSPHRASE_MAX + 1), &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_int_equal(runs, 0);
	assert_wrong(&s, bytes_of(text, PASSPHRASE_MAX), 2);
	make(&s, SLOT_PASSPHRASE, bytes_of(text, PASSPHRASE_MAX), root_key);
	assert_true(opens(&s, SLOT_PASSPHRASE, bytes_of(text, PASSPHRASE_MAX), &err));
	assert_wrong(&s, bytes_of(text, PASSPHRASE_MAX - 1), 3);
}

/* Slots of other kinds cost nothing; those of its kind are tried in order, as far as the one that opens. */
static void passphrase__costs_as_many_runs_as_slots_are_tried(void **state)
{
	(void)state;
	static const uint8_t file[KEY_FILE_LEN] = { 1 };
	struct slots s = { .len = 0 };
	struct error err;
	char text[64];
	scoped(secret_freep) struct secret *root_key = key_of(1);
	make(&s, SLOT_KEY_FILE, bytes_of(file, sizeof file), root_key);
	for (size_t i = 1; i < SLOTS_MAX; i++) {
		snprintf(text, sizeof text, "passphrase of holder %zu", i);
		make(&s, SLOT_PASSPHRASE, bytes_of_text(text), root_key);
		assert_wrong(&s, bytes_of_text(PASSPHRASE), i);
	}
	for (size_t i = 1; i < SLOTS_MAX; i++) {
		snprintf(text, sizeof text, "passphrase of holder %zu", i);
		assert_true(opens(&s, SLOT_PASSPHRASE, bytes_of_text(text), &err));
		assert_int_equal(runs, i);
	}
	assert_true(opens(&s, SLOT_KEY_FILE, bytes_of(file, sizeof file), &err));
	assert_int_equal(runs, 0);
}

static int64_t spent_ns(void)
{
	struct timespec t;
	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Argon2id runs as often and as long for all of them, half a second a run; a hundredth of that is what all the rest may
 * take. The least of five counts, on a machine that does other things too. */
static void passphrase__what_is_not_argon2_takes_no_time_to_speak_of(void **state)
{
	(void)state;
	static const char *const texts[] = { PASSPHRASE, "x", "correct horse battery staplf" };
	struct slots s = { .len = 0 };
	struct error err;
	scoped(secret_freep) struct secret *root_key = key_of(1);
	make_two_of_a_kind(&s, root_key);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		int64_t least = INT64_MAX;
		for (size_t round = 0; round < 5; round++) {
			int64_t began = spent_ns();
			(void)opens(&s, SLOT_PASSPHRASE, bytes_of_text(texts[i]), &err);
			int64_t took = spent_ns() - began;
			least = took < least ? took : least;
		}
		assert_in_range(least, 0, getenv("UNDER_VALGRIND") ? 500000000 : 5000000);
	}
}

/* Every slot is looked at before the first one is tried: one that costs too much keeps all others from being tried. */
static void kdf__never_runs_for_costs_out_of_limits(void **state)
{
	(void)state;
	static const struct {
		uint32_t ops, mem_kib;
	} rows[] = { { 0, 262144 },  { 11, 262144 },     { 0xffffffff, 262144 }, { 3, 8191 },
		     { 3, 1048577 }, { 3, 0 },           { 3, 0xffffffff },      { 0x01000003, 8192 },
		     { 0, 0 },       { 10, 0x80100000 }, { 0x80000001, 8192 },   { 256, 0x00004000 << 8 } };
	struct error err;
	scoped(secret_freep) struct secret *root_key = key_of(1);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t place = 0; place < 2; place++) {
			struct slots s = { .len = 0 };
			make_two_of_a_kind(&s, root_key);
			uint8_t *slot = s.bytes + 4 + place * SLOT_LEN;
			for (size_t b = 0; b < 4; b++) {
				slot[12 + b] = (uint8_t)(rows[i].ops >> 8 * b);
				slot[16 + b] = (uint8_t)(rows[i].mem_kib >> 8 * b);
			}
			assert_false(opens(&s, SLOT_PASSPHRASE, bytes_of_text(PASSPHRASE), &err));
			assert_int_equal(err.code, ERR_DAMAGED);
			assert_string_equal(err.class, "limit");
			assert_int_equal(runs, 0);
		}
}

/* ---- one ciphertext for many keys ---- */

/* Made by tests/support/two_key_slot.py: both keys decrypt it, and its commitment is the first one's. */
static const char two_keys[] = "74776f206b657973020200000000000000000000a0a1a2a3a4a5a6a7a8a9aaabacadaeafc0c1c2c3"
			       "c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d71fb0ae711daec4aa3cd033572b5c4686635da555"
			       "27355efdfbfcb6995fdb948c0200000000000000000000000000000016b870b5f6d4169db2897251"
			       "006e4d6c272cf685831ececff2c42d38f953374e0000000000000000000000000000000000000000";

static void slot__that_two_keys_decrypt_opens_for_the_one_it_commits_to(void **state)
{
	(void)state;
	struct slots s = { .len = 0 };
	uint8_t slot[SLOT_LEN], head[64], derived[64], plain[ROOT_KEY_LEN];
	struct error err;
	hex_to(two_keys, slot, sizeof slot);
	add(&s, slot);
	memcpy(head, "pxslot01\1\0\0\0", 12);
	memcpy(head + 12, vault_id, sizeof vault_id);
	memcpy(head + 28, slot, 36);
	for (uint8_t seed = 2; seed < 5; seed++) {
		scoped(secret_freep) struct secret *key = key_of(seed);
		crypto_generichash_state hash;
		crypto_generichash_init(&hash, secret_reveal(key).at, 32, 64);
		crypto_generichash_update(&hash, head, 8);
		crypto_generichash_update(&hash, vault_id, sizeof vault_id);
		crypto_generichash_update(&hash, slot, 9);
		crypto_generichash_update(&hash, slot + 20, 16);
		crypto_generichash_final(&hash, derived, sizeof derived);
		bool is_decrypted = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, slot + 92, 48, head,
									       sizeof head, slot + 36, derived) == 0;
		assert_int_equal(is_decrypted, seed < 4);
		assert_int_equal(opens(&s, SLOT_KEY_FILE, secret_reveal(key), &err), seed == 2);
		assert_int_equal(err.code, seed == 2 ? ERR_NONE : ERR_WRONG_KEY);
	}
}

/* Sixteen slots made to try sixteen passphrases at once tell nothing, and cost sixteen runs. */
static void slots__sixteen_with_one_ciphertext_open_for_nobody(void **state)
{
	(void)state;
	struct slots s = { .len = 0 }, good = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1);
	struct error err;
	char text[64];
	make(&good, SLOT_PASSPHRASE, bytes_of_text(PASSPHRASE), root_key);
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		uint8_t slot[SLOT_LEN];
		memcpy(slot, good.bytes + 4, sizeof slot);
		slot[0] = (uint8_t)(slot[0] + i + 1); /* its own id, and so its own key */
		add(&s, slot);
	}
	assert_wrong(&s, bytes_of_text(PASSPHRASE), SLOTS_MAX);
	for (size_t i = 0; i < 60; i++) {
		snprintf(text, sizeof text, "one of the guesses %zu", i);
		assert_wrong(&s, bytes_of_text(text), SLOTS_MAX);
	}
	memcpy(s.bytes + 4 + 7 * SLOT_LEN, good.bytes + 4, SLOT_LEN);
	assert_true(opens(&s, SLOT_PASSPHRASE, bytes_of_text(PASSPHRASE), &err));
	assert_int_equal(runs, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passphrase__a_thousand_wrong_ones_are_alike),
		cmocka_unit_test(passphrase__near_misses_are_wrong),
		cmocka_unit_test(passphrase__of_nothing_or_of_too_much_costs_nothing),
		cmocka_unit_test(passphrase__costs_as_many_runs_as_slots_are_tried),
		cmocka_unit_test(passphrase__what_is_not_argon2_takes_no_time_to_speak_of),
		cmocka_unit_test(kdf__never_runs_for_costs_out_of_limits),
		cmocka_unit_test(slot__that_two_keys_decrypt_opens_for_the_one_it_commits_to),
		cmocka_unit_test(slots__sixteen_with_one_ciphertext_open_for_nobody),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
