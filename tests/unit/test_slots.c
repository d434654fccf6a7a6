/* Argon2id takes 256 MiB and about half a second a run: there are few of them here. */
#include "core/clock.h"
#include "vault/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define PASSPHRASE "correct horse battery staple"

static const uint8_t vault_id[VAULT_ID_LEN] = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
						0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f };

struct slots {
	uint8_t bytes[SLOTS_VALUE_MAX];
	size_t len;
};

static struct bytes value(const struct slots *s)
{
	return bytes_of(s->bytes, s->len);
}

static void add(struct slots *s, const uint8_t slot[SLOT_LEN])
{
	if (s->len == 0)
		s->len = 4;
	memcpy(s->bytes + s->len, slot, SLOT_LEN);
	s->len += SLOT_LEN;
	s->bytes[0]++;
}

static void make(struct slots *s, enum slot_kind kind, const struct secret *holder, const struct secret *root_key)
{
	struct slot_secret h = { kind, holder };
	struct error err;
	uint8_t slot[SLOT_LEN];
	assert_true(slot_make(vault_id, &h, root_key, slot, &err));
	add(s, slot);
}

/* ERR_NONE when it opens, and then to root_key. */
static enum error_code open_with(const struct slots *s, enum slot_kind kind, const struct secret *holder,
				 const struct secret *root_key, struct error *err)
{
	struct slot_secret h = { kind, holder };
	scoped(secret_freep) struct secret *found = NULL;
	memset(err, 0, sizeof *err);
	if (!slots_open(value(s), vault_id, &h, &found, err)) {
		assert_null(found);
		assert_true(err->code != ERR_NONE && err->message[0] && err->hint[0]);
		return err->code;
	}
	assert_true(secret_equal(found, root_key));
	return ERR_NONE;
}

static void slot__each_kind_of_32_bytes_opens_and_only_as_its_kind(void **state)
{
	(void)state;
	static const enum slot_kind kinds[] = { SLOT_KEY_FILE, SLOT_CREDENTIAL, SLOT_RECOVERY };
	struct error err;
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2), *wrong = key_of(3);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct slots s = { .len = 0 };
		make(&s, kinds[i], holder, root_key);
		for (size_t k = 0; k < COUNT_OF(kinds); k++) {
			assert_int_equal(open_with(&s, kinds[k], holder, root_key, &err),
					 i == k ? ERR_NONE : ERR_WRONG_KEY);
			assert_int_equal(open_with(&s, kinds[k], wrong, root_key, &err), ERR_WRONG_KEY);
		}
		assert_int_equal(slots_kind(value(&s), 0), kinds[i]);
	}
}

static void slot__a_passphrase_opens_and_a_near_miss_does_not(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = secret_of_text(PASSPHRASE);
	scoped(secret_freep) struct secret *near = secret_of(bytes_of(PASSPHRASE, sizeof PASSPHRASE)); /* and a NUL */
	make(&s, SLOT_PASSPHRASE, holder, root_key);
	assert_int_equal(s.bytes[4 + 12], SLOT_DEFAULT_OPS);
	assert_memory_equal(s.bytes + 4 + 16, "\0\0\4\0", 4); /* 256 MiB in KiB */
	assert_int_equal(open_with(&s, SLOT_PASSPHRASE, holder, root_key, &err), ERR_NONE);
	assert_int_equal(open_with(&s, SLOT_PASSPHRASE, near, root_key, &err), ERR_WRONG_KEY);
}

/* The processor's time: the machine may do other things. */
static int64_t spent_ms(void)
{
	struct timespec t;
	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void slot__a_passphrase_out_of_bounds_is_refused_before_any_work(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	uint8_t slot[SLOT_LEN] = { 0 };
	static uint8_t text[PASSPHRASE_MAX + 1];
	scoped(secret_freep) struct secret *root_key = key_of(1), *empty = secret_of_text("");
	scoped(secret_freep) struct secret *too_long = secret_of(bytes_of(text, sizeof text));
	slot[8] = SLOT_PASSPHRASE;
	slot[9] = 1;
	slot[12] = 3;
	slot[18] = 4;
	add(&s, slot);
	int64_t begun = spent_ms();
	assert_int_equal(open_with(&s, SLOT_PASSPHRASE, empty, root_key, &err), ERR_WRONG_KEY);
	assert_int_equal(open_with(&s, SLOT_PASSPHRASE, too_long, root_key, &err), ERR_WRONG_KEY);
	assert_true(spent_ms() - begun < 100);
	struct slot_secret h = { SLOT_PASSPHRASE, empty };
	memset(slot, 0xa5, sizeof slot);
	assert_false(slot_make(vault_id, &h, root_key, slot, &err));
	assert_int_equal(slot[0], 0xa5);
}

static void slot__a_key_of_another_length_is_a_wrong_key(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	uint8_t bytes[64] = { 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	make(&s, SLOT_KEY_FILE, holder, root_key);
	static const size_t lengths[] = { 0, 1, 31, 33, 64 };
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		memcpy(bytes, secret_reveal(holder).at, 32);
		scoped(secret_freep) struct secret *cut = secret_of(bytes_of(bytes, lengths[i]));
		assert_int_equal(open_with(&s, SLOT_KEY_FILE, cut, root_key, &err), ERR_WRONG_KEY);
	}
}

static void slot__every_near_miss_of_a_key_file_is_a_wrong_key(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	make(&s, SLOT_KEY_FILE, holder, root_key);
	for (size_t bit = 0; bit < 256; bit++) {
		scoped(secret_freep) struct secret *near = key_of(2);
		secret_room(near)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(open_with(&s, SLOT_KEY_FILE, near, root_key, &err), ERR_WRONG_KEY);
	}
}

static void slot__of_another_vault_is_a_wrong_key(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2), *found = NULL;
	make(&s, SLOT_KEY_FILE, holder, root_key);
	for (size_t bit = 0; bit < VAULT_ID_LEN * 8; bit++) {
		struct slot_secret h = { SLOT_KEY_FILE, holder };
		uint8_t other[VAULT_ID_LEN];
		memcpy(other, vault_id, sizeof other);
		other[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(slots_open(value(&s), other, &h, &found, &err));
		assert_int_equal(err.code, ERR_WRONG_KEY);
	}
}

static void slot__made_by_an_independent_program_opens(void **state)
{
	(void)state;
	static const char made[] = "736c6f742d696421020200000000000000000000606162636465666768696a6b6c6d6e6fa0a1a2a3a4a"
				   "5a6a7a8a9aaabacadaeafb0b1"
				   "b2b3b4b5b6b782de33c14d6a9db7c788a117b9f3db431379198a0cb65b4d7ce1808797d0daca1b1d42f"
				   "08b9f388beb740be4392063829"
				   "9151bc076e88e3ceaafd5ae4c098df8b7bddcda26814524464c8978ba2022b100000000000000000000"
				   "00000000000000000000";
	struct error err;
	struct slots s = { .len = 0 };
	uint8_t slot[SLOT_LEN], bytes[32];
	assert_int_equal(strlen(made), 2 * SLOT_LEN);
	hex_to(made, slot, sizeof slot);
	add(&s, slot);
	for (size_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(0x40 + i);
	scoped(secret_freep) struct secret *holder = secret_of(bytes_of(bytes, 32));
	for (size_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	scoped(secret_freep) struct secret *root_key = secret_of(bytes_of(bytes, 32));
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, holder, root_key, &err), ERR_NONE);
}

/* What class a change of this byte of a slot may have. */
static bool class_fits(size_t at, const struct error *err)
{
	bool is_format = err->code == ERR_DAMAGED && strcmp(err->class, "format") == 0;
	bool is_limit = err->code == ERR_DAMAGED && strcmp(err->class, "limit") == 0;
	bool is_wrong = err->code == ERR_WRONG_KEY;
	if (at == 8) /* the kind: none that we know, or one that we do not hold */
		return is_format || is_wrong;
	if (at == 9 || at == 10 || at == 11 || at >= 140)
		return is_format;
	if (at >= 12 && at < 20)
		return is_limit; /* these kinds have no cost */
	return is_wrong;
}

static void slot__every_bit_changed_is_refused_by_the_class_of_its_place(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	make(&s, SLOT_KEY_FILE, holder, root_key);
	for (size_t bit = 0; bit < SLOT_LEN * 8; bit++) {
		s.bytes[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		open_with(&s, SLOT_KEY_FILE, holder, root_key, &err);
		if (!class_fits(bit / 8, &err))
			fail_msg("bit %zu of byte %zu: code %d, class %s", bit % 8, bit / 8, err.code,
				 err.class ? err.class : "-");
		/* nor does it open as the kind that it was changed to */
		assert_int_not_equal(open_with(&s, SLOT_CREDENTIAL, holder, root_key, &err), ERR_NONE);
		assert_int_not_equal(open_with(&s, SLOT_RECOVERY, holder, root_key, &err), ERR_NONE);
		s.bytes[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, holder, root_key, &err), ERR_NONE);
}

static void slot__limits_are_checked_before_any_key_derivation(void **state)
{
	(void)state;
	static const struct {
		uint32_t ops, mem_kib;
		bool is_allowed;
	} rows[] = {
		{ 0, 262144, false },     { 11, 262144, false },       { 0xffffffff, 262144, false },
		{ 3, 8191, false },       { 3, 1048577, false },       { 3, 0, false },
		{ 3, 0xffffffff, false }, { 0x01000003, 8192, false }, { 1, 8192, true },
		{ 10, 1048576, true },    { 3, 262144, true },
	};
	struct error err;
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = secret_of_text(PASSPHRASE);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slots s = { .len = 0 };
		uint8_t slot[SLOT_LEN] = { 0 };
		size_t count;
		slot[8] = SLOT_PASSPHRASE;
		slot[9] = 1;
		for (size_t b = 0; b < 4; b++) {
			slot[12 + b] = (uint8_t)(rows[i].ops >> 8 * b);
			slot[16 + b] = (uint8_t)(rows[i].mem_kib >> 8 * b);
		}
		add(&s, slot);
		memset(&err, 0, sizeof err);
		assert_int_equal(slots_check(value(&s), &count, &err), rows[i].is_allowed);
		if (rows[i].is_allowed)
			continue;
		assert_int_equal(err.code, ERR_DAMAGED);
		assert_string_equal(err.class, "limit");
		int64_t begun = spent_ms();
		assert_int_equal(open_with(&s, SLOT_PASSPHRASE, holder, root_key, &err), ERR_DAMAGED);
		assert_true(spent_ms() - begun < 100);
	}
}

static void slots__the_cheapest_allowed_cost_is_one_that_argon2_takes(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	uint8_t slot[SLOT_LEN] = { 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = secret_of_text(PASSPHRASE);
	slot[8] = SLOT_PASSPHRASE;
	slot[9] = 1;
	slot[12] = 1;
	slot[17] = 0x20; /* 8192 KiB */
	add(&s, slot);
	assert_int_equal(open_with(&s, SLOT_PASSPHRASE, holder, root_key, &err), ERR_WRONG_KEY);
}

static void slots__counts_and_lengths_must_agree_exactly(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	size_t count = 77;
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		make(&s, SLOT_KEY_FILE, holder, root_key);
		assert_true(slots_check(value(&s), &count, &err));
		assert_int_equal(count, i + 1);
	}
	assert_int_equal(s.len, SLOTS_VALUE_MAX);
	count = 77;
	for (size_t len = 0; len < s.len; len++) {
		uint8_t *exact = malloc(len ? len : 1);
		assert_non_null(exact);
		memcpy(exact, s.bytes, len);
		memset(&err, 0, sizeof err);
		assert_false(slots_check(bytes_of(exact, len), &count, &err));
		assert_string_equal(err.class, "format");
		free(exact);
	}
	static const uint8_t counts[] = { 0, 15, 17, 255 };
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		s.bytes[0] = counts[i];
		assert_false(slots_check(value(&s), &count, &err));
	}
	s.bytes[0] = 16;
	s.bytes[3] = 0x80;
	assert_false(slots_check(value(&s), &count, &err));
	assert_int_equal(count, 77);
}

static void slots__each_of_many_opens_and_a_broken_one_does_not_hide_the_next(void **state)
{
	(void)state;
	struct error err;
	struct slots s = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *a = key_of(2), *b = key_of(3), *c = key_of(4);
	make(&s, SLOT_KEY_FILE, a, root_key);
	make(&s, SLOT_RECOVERY, b, root_key);
	make(&s, SLOT_KEY_FILE, c, root_key);
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, a, root_key, &err), ERR_NONE);
	assert_int_equal(open_with(&s, SLOT_RECOVERY, b, root_key, &err), ERR_NONE);
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, c, root_key, &err), ERR_NONE);
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, b, root_key, &err), ERR_WRONG_KEY);
	s.bytes[4 + 100] ^= 1;
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, a, root_key, &err), ERR_WRONG_KEY);
	assert_int_equal(open_with(&s, SLOT_KEY_FILE, c, root_key, &err), ERR_NONE);
}

static void slot__no_salt_nonce_or_id_comes_twice(void **state)
{
	(void)state;
	static uint8_t made[300][SLOT_LEN];
	struct error err;
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	struct slot_secret h = { SLOT_KEY_FILE, holder };
	for (size_t i = 0; i < COUNT_OF(made); i++) {
		assert_true(slot_make(vault_id, &h, root_key, made[i], &err));
		for (size_t k = 0; k < i; k++) {
			assert_memory_not_equal(made[i], made[k], SLOT_ID_LEN);
			assert_memory_not_equal(made[i] + 20, made[k] + 20, 16);
			assert_memory_not_equal(made[i] + 36, made[k] + 36, 24);
			assert_memory_not_equal(made[i] + 92, made[k] + 92, 48);
		}
	}
}

/* ---- the recovery key ---- */

static const char known[] = "000G40R-40M30E2-09185GR-38E1W81-24GK2GA-HC5RR34-D1P70X3-RFPSYKH"; /* independent */

static bool decodes_to(const char *typed, const struct secret *key)
{
	scoped(secret_freep) struct secret *found = NULL;
	struct error err = { 0 };
	if (recovery_decode(bytes_of_text(typed), &found, &err))
		return secret_equal(found, key);
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_null(found);
	return false;
}

static struct secret *counting_key(void)
{
	uint8_t bytes[32];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	return secret_of(bytes_of(bytes, sizeof bytes));
}

static void recovery__is_eight_groups_that_decode_back(void **state)
{
	(void)state;
	char text[RECOVERY_TEXT_MAX];
	scoped(secret_freep) struct secret *key = counting_key();
	recovery_encode(key, text);
	assert_string_equal(text, known);
	for (unsigned seed = 0; seed < 256; seed++) {
		scoped(secret_freep) struct secret *other = key_of((uint8_t)seed);
		recovery_encode(other, text);
		assert_int_equal(strlen(text), 63);
		assert_null(strpbrk(text, "ILOU"));
		for (size_t i = 7; i < 63; i += 8)
			assert_int_equal(text[i], '-');
		assert_true(decodes_to(text, other));
	}
}

static void recovery__is_read_as_people_type_it(void **state)
{
	(void)state;
	char typed[128];
	scoped(secret_freep) struct secret *key = counting_key();
	strcpy(typed, known);
	for (char *p = typed; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	assert_true(decodes_to(typed, key));
	strcpy(typed, known);
	for (char *p = typed; *p; p++)
		*p = *p == '0' ? 'o' : *p == '1' ? 'l' : *p;
	assert_true(decodes_to(typed, key));
	for (char *p = typed; *p; p++)
		*p = *p == 'o' ? 'O' : *p == 'l' ? 'I' : *p == '-' ? ' ' : *p;
	assert_true(decodes_to(typed, key));
	size_t len = 0; /* without groups, with a line end */
	for (const char *p = known; *p; p++)
		if (*p != '-')
			typed[len++] = *p;
	typed[len++] = '\n';
	typed[len] = '\0';
	assert_true(decodes_to(typed, key));
}

static void recovery__every_single_wrong_character_is_noticed(void **state)
{
	(void)state;
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZU!\x80\x01";
	scoped(secret_freep) struct secret *key = counting_key();
	for (size_t i = 0; known[i]; i++) {
		if (known[i] == '-')
			continue;
		for (const char *c = alphabet; *c; c++) {
			char typed[64];
			strcpy(typed, known);
			typed[i] = *c;
			assert_int_equal(decodes_to(typed, key), *c == known[i]);
		}
	}
}

static void recovery__swapped_missing_and_added_characters_are_noticed(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *key = counting_key();
	for (size_t i = 0; known[i + 1]; i++) {
		char typed[160];
		strcpy(typed, known);
		typed[i] = known[i + 1];
		typed[i + 1] = known[i];
		if (known[i] != known[i + 1] && known[i] != '-' && known[i + 1] != '-')
			assert_false(decodes_to(typed, key));
		strcpy(typed, known);
		memmove(typed + i, typed + i + 1, strlen(typed) - i);
		assert_int_equal(decodes_to(typed, key), known[i] == '-');
		snprintf(typed, sizeof typed, "%.*s0%s", (int)i, known, known + i);
		assert_false(decodes_to(typed, key));
	}
	assert_false(decodes_to("", key));
	assert_false(decodes_to("-", key));
	struct error err;
	struct secret *found = NULL;
	char with_nul[64];
	strcpy(with_nul, known);
	with_nul[5] = '\0';
	assert_false(recovery_decode(bytes_of(with_nul, 63), &found, &err));
	assert_false(recovery_decode(bytes_of(known, sizeof known), &found, &err)); /* a NUL behind */
	assert_null(found);
}

static void slot__told_of_without_a_key_and_wrapped_anew_under_its_id(void **state)
{
	(void)state;
	struct slots s = { .len = 0 };
	struct slot_info info;
	struct error err;
	uint8_t slot[SLOT_LEN];
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2), *phrase = secret_of_text(PASSPHRASE);
	struct slot_secret h = { SLOT_RECOVERY, holder };
	static const uint8_t id[SLOT_ID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	assert_true(slot_make_as(vault_id, &h, root_key, 9, id, slot, &err));
	add(&s, slot);
	make(&s, SLOT_PASSPHRASE, phrase, root_key);
	slots_info(value(&s), 0, &info);
	assert_memory_equal(info.id, id, sizeof id);
	assert_int_equal(info.kind, SLOT_RECOVERY);
	assert_int_equal(info.passes, 0);
	assert_false(info.is_below_policy);
	slots_info(value(&s), 1, &info);
	assert_int_equal(info.passes, SLOT_DEFAULT_OPS);
	assert_false(info.is_below_policy);
	s.bytes[4 + SLOT_LEN + 12] = SLOT_DEFAULT_OPS - 1;
	slots_info(value(&s), 1, &info);
	assert_true(info.is_below_policy);
	s.bytes[4 + SLOT_LEN + 12] = SLOT_DEFAULT_OPS;
	s.bytes[4 + SLOT_LEN + 18] = 3; /* 192 MiB: passes do not make up for memory */
	slots_info(value(&s), 1, &info);
	assert_int_equal(info.mem_kib, 192 * 1024);
	assert_true(info.is_below_policy);
}

static void calibration__stays_between_the_policy_and_what_readers_take(void **state)
{
	(void)state;
	uint32_t passes;
	struct error err;
	assert_true(slot_calibrate(&passes, &err));
	assert_in_range(passes, SLOT_DEFAULT_OPS, 10);
}

static void slots__what_is_left_of_damaged_ones(void **state)
{
	(void)state;
	struct slots s = { .len = 0 }, left = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *first = key_of(2), *second = key_of(3);
	struct error err;
	make(&s, SLOT_KEY_FILE, first, root_key);
	make(&s, SLOT_KEY_FILE, second, root_key);
	s.bytes[4 + 8] = 77; /* no kind */
	assert_true(slots_salvage(value(&s), left.bytes, &left.len));
	assert_int_equal(left.len, 4 + SLOT_LEN);
	assert_int_equal(open_with(&left, SLOT_KEY_FILE, second, root_key, &err), ERR_NONE);
	assert_int_equal(open_with(&left, SLOT_KEY_FILE, first, root_key, &err), ERR_WRONG_KEY);
	s.len -= 1; /* cut */
	assert_false(slots_salvage(value(&s), left.bytes, &left.len));
	assert_false(slots_salvage(bytes_of(s.bytes, 0), left.bytes, &left.len));
}

static void slots__salvaged_of_more_than_a_vault_has_are_as_many_as_it_takes(void **state)
{
	(void)state;
	static uint8_t many[4 + (SLOTS_MAX + 2) * SLOT_LEN];
	struct slots one = { .len = 0 }, left = { .len = 0 };
	scoped(secret_freep) struct secret *root_key = key_of(1), *holder = key_of(2);
	struct error err;
	make(&one, SLOT_KEY_FILE, holder, root_key);
	for (size_t i = 0; i < SLOTS_MAX + 2; i++)
		memcpy(many + 4 + i * SLOT_LEN, one.bytes + 4, SLOT_LEN);
	assert_true(slots_salvage(bytes_of(many, sizeof many), left.bytes, &left.len));
	assert_int_equal(left.len, SLOTS_VALUE_MAX);
	assert_int_equal(left.bytes[0], SLOTS_MAX);
	assert_int_equal(open_with(&left, SLOT_KEY_FILE, holder, root_key, &err), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slot__each_kind_of_32_bytes_opens_and_only_as_its_kind),
		cmocka_unit_test(slot__a_passphrase_opens_and_a_near_miss_does_not),
		cmocka_unit_test(slot__a_passphrase_out_of_bounds_is_refused_before_any_work),
		cmocka_unit_test(slot__a_key_of_another_length_is_a_wrong_key),
		cmocka_unit_test(slot__every_near_miss_of_a_key_file_is_a_wrong_key),
		cmocka_unit_test(slot__of_another_vault_is_a_wrong_key),
		cmocka_unit_test(slot__made_by_an_independent_program_opens),
		cmocka_unit_test(slot__every_bit_changed_is_refused_by_the_class_of_its_place),
		cmocka_unit_test(slot__limits_are_checked_before_any_key_derivation),
		cmocka_unit_test(slots__the_cheapest_allowed_cost_is_one_that_argon2_takes),
		cmocka_unit_test(slots__counts_and_lengths_must_agree_exactly),
		cmocka_unit_test(slots__each_of_many_opens_and_a_broken_one_does_not_hide_the_next),
		cmocka_unit_test(slot__told_of_without_a_key_and_wrapped_anew_under_its_id),
		cmocka_unit_test(calibration__stays_between_the_policy_and_what_readers_take),
		cmocka_unit_test(slots__what_is_left_of_damaged_ones),
		cmocka_unit_test(slots__salvaged_of_more_than_a_vault_has_are_as_many_as_it_takes),
		cmocka_unit_test(slot__no_salt_nonce_or_id_comes_twice),
		cmocka_unit_test(recovery__is_eight_groups_that_decode_back),
		cmocka_unit_test(recovery__is_read_as_people_type_it),
		cmocka_unit_test(recovery__every_single_wrong_character_is_noticed),
		cmocka_unit_test(recovery__swapped_missing_and_added_characters_are_noticed),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
