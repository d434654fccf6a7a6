#include "vault/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static void fill(void *at, size_t len, uint8_t seed)
{
	uint8_t *p = at;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 13);
}

/* Bytes of exactly this length on the heap, so that a sanitizer sees a read too far. */
static uint8_t *exactly(struct bytes from)
{
	uint8_t *at = malloc(from.len ? from.len : 1);
	assert_non_null(at);
	if (from.len)
		memcpy(at, from.at, from.len);
	return at;
}

/* ---- root ---- */

static struct root some_root(void)
{
	struct root r;
	memset(&r, 0, sizeof r);
	fill(r.vault_id, sizeof r.vault_id, 1);
	fill(r.lineage, sizeof r.lineage, 2);
	r.epoch = 0x01020304;
	r.generation = 0x1122334455667788;
	fill(r.commit_id, sizeof r.commit_id, 3);
	fill(r.past, sizeof r.past, 4);
	fill(r.slots_digest, sizeof r.slots_digest, 5);
	fill(r.log_keys_digest, sizeof r.log_keys_digest, 6);
	fill(r.top, sizeof r.top, 7);
	fill(r.mac, sizeof r.mac, 8);
	return r;
}

static void encode_root(const struct root *r, struct buf *out)
{
	root_encode(r, out);
	buf_append(out, r->mac, sizeof r->mac);
	assert_int_equal(out->len, ROOT_LEN);
}

static void root__comes_back_as_it_was_and_encodes_to_the_same_bytes(void **state)
{
	(void)state;
	struct root r = some_root(), back;
	struct buf out = BUF_INIT(4096), again = BUF_INIT(4096);
	encode_root(&r, &out);
	assert_memory_equal(out.at, "pxvault\n\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 24);
	memset(&back, 0, sizeof back);
	assert_int_equal(root_decode(buf_bytes(&out), &back), ROOT_FINE);
	assert_memory_equal(back.vault_id, r.vault_id, sizeof r.vault_id);
	assert_memory_equal(back.lineage, r.lineage, sizeof r.lineage);
	assert_int_equal(back.epoch, r.epoch);
	assert_int_equal(back.generation, r.generation);
	assert_memory_equal(back.commit_id, r.commit_id, sizeof r.commit_id);
	assert_memory_equal(back.past, r.past, sizeof r.past);
	assert_memory_equal(back.slots_digest, r.slots_digest, sizeof r.slots_digest);
	assert_memory_equal(back.log_keys_digest, r.log_keys_digest, sizeof r.log_keys_digest);
	assert_memory_equal(back.top, r.top, sizeof r.top);
	assert_memory_equal(back.mac, r.mac, sizeof r.mac);
	encode_root(&back, &again);
	assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
	buf_done(&out);
	buf_done(&again);
}

static void root__cut_short_or_with_a_byte_more_is_malformed_and_leaves_the_result_alone(void **state)
{
	(void)state;
	struct root r = some_root(), back, untouched;
	struct buf out = BUF_INIT(4096);
	memset(&back, 0xa5, sizeof back);
	untouched = back;
	encode_root(&r, &out);
	for (size_t len = 0; len < out.len; len++) {
		uint8_t *exact = exactly(bytes_of(out.at, len));
		assert_int_equal(root_decode(bytes_of(exact, len), &back), ROOT_MALFORMED);
		free(exact);
	}
	buf_append(&out, "", 1);
	assert_int_equal(root_decode(buf_bytes(&out), &back), ROOT_MALFORMED);
	assert_memory_equal(&back, &untouched, sizeof back);
	buf_done(&out);
}

static void root__of_another_format_is_malformed_or_too_new(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
		enum root_fault expected;
	} rows[] = {
		{ 0, 'q', ROOT_MALFORMED }, { 7, 0, ROOT_MALFORMED },   { 8, 0, ROOT_MALFORMED },
		{ 12, 2, ROOT_TOO_NEW },    { 15, 1, ROOT_TOO_NEW },    { 12, 0, ROOT_MALFORMED },
		{ 16, 1, ROOT_TOO_NEW },    { 23, 0x80, ROOT_TOO_NEW },
	};
	struct root r = some_root(), back;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf out = BUF_INIT(4096);
		encode_root(&r, &out);
		out.at[rows[i].at] = rows[i].value;
		assert_int_equal(root_decode(buf_bytes(&out), &back), rows[i].expected);
		buf_done(&out);
	}
	for (int which = 0; which < 2; which++) { /* no epoch 0 and no generation 0 */
		struct buf out = BUF_INIT(4096);
		struct root zero = r;
		if (which)
			zero.epoch = 0;
		else
			zero.generation = 0;
		encode_root(&zero, &out);
		assert_int_equal(root_decode(buf_bytes(&out), &back), ROOT_MALFORMED);
		buf_done(&out);
	}
}

/* No byte is ignored: each one changed is refused or gives another root that encodes to those bytes. */
static void root__ignores_no_byte(void **state)
{
	(void)state;
	struct root r = some_root();
	struct buf out = BUF_INIT(4096);
	encode_root(&r, &out);
	for (size_t i = 0; i < out.len; i++) {
		struct root back;
		struct buf again = BUF_INIT(4096);
		out.at[i] ^= 0x10;
		if (root_decode(buf_bytes(&out), &back) == ROOT_FINE) {
			encode_root(&back, &again);
			assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
		} else {
			assert_true(i < 24);
		}
		out.at[i] ^= 0x10;
		buf_done(&again);
	}
	buf_done(&out);
}

/* ---- metadata ---- */

static struct credential full(void)
{
	struct credential c = { .created_at = 1700000000, .deleted_at = -1, .is_destroyed = true, .last_number = 40 };
	memset(c.pixel, 'P', PIXEL_CODE_MAX);
	memset(c.test_code, 'T', TEST_CODE_MAX);
	for (size_t i = 0; i < LABELS_MAX; i++) {
		struct label *l = &c.labels[c.label_count++];
		memset(l->key, (int)('a' + i), LABEL_KEY_MAX);
		memset(l->value, (int)('A' + i), LABEL_VALUE_MAX);
	}
	for (uint32_t i = 0; i < VERSIONS_MAX; i++) {
		struct version *v = &c.versions[c.version_count++];
		*v = (struct version){ .number = 10 + 2 * i,
				       .stage = STAGE_RETIRED,
				       .stored_at = i * 1000,
				       .staged_at = INT64_MIN,
				       .expires_at = INT64_MAX };
		fill(v->fingerprint, sizeof v->fingerprint, (uint8_t)i);
		fill(v->digest, sizeof v->digest, (uint8_t)(i + 100));
	}
	c.versions[13].stage = STAGE_PREVIOUS;
	c.versions[14].stage = STAGE_CURRENT;
	c.versions[15].stage = STAGE_PENDING;
	return c;
}

static struct credential moving(void)
{
	struct credential c = full();
	c.rotate_from = 34;
	c.rotate_since = 1800000000;
	c.versions[12].taken_at = INT64_MIN;
	c.versions[13].retire_by = INT64_MAX;
	c.versions[15].is_aside = true;
	c.versions[0].stage = STAGE_STANDBY;
	for (uint32_t i = 0; i < GONE_MAX; i++) {
		struct gone *g = &c.gone[c.gone_count++];
		*g = (struct gone){ .number = i + 1, .stored_at = i, .taken_at = 2 * i, .gone_at = 3 * i, .is_dead = i % 2 };
		fill(g->fingerprint, sizeof g->fingerprint, (uint8_t)(i + 50));
	}
	return c;
}

static struct credential renewing(void)
{
	struct credential c = moving();
	for (uint32_t i = 0; i < VERSIONS_MAX; i += 3) {
		struct renewal *r = &c.versions[i].renewal;
		*r = (struct renewal){ i % 2 ? FAMILY_LOGIN : FAMILY_ACCOUNTS, i, INT64_MAX, INT64_MIN, 4 * i, 5, { 0 }, { 0 } };
		fill(r->fingerprint, sizeof r->fingerprint, (uint8_t)(i + 7));
		fill(r->digest, sizeof r->digest, (uint8_t)(i + 70));
	}
	return c;
}

static void encode_credential(const struct credential *c, struct buf *out)
{
	struct error err;
	assert_true(credential_encode(c, out, &err));
}

static void metadata__assert_equal(const struct credential *a, const struct credential *b)
{
	assert_string_equal(a->pixel, b->pixel);
	assert_int_equal(a->created_at, b->created_at);
	assert_int_equal(a->deleted_at, b->deleted_at);
	assert_int_equal(a->is_destroyed, b->is_destroyed);
	assert_string_equal(a->test_code, b->test_code);
	assert_int_equal(a->last_number, b->last_number);
	assert_int_equal(a->label_count, b->label_count);
	for (size_t i = 0; i < a->label_count; i++) {
		assert_string_equal(a->labels[i].key, b->labels[i].key);
		assert_string_equal(a->labels[i].value, b->labels[i].value);
	}
	assert_int_equal(a->version_count, b->version_count);
	for (size_t i = 0; i < a->version_count; i++) {
		assert_int_equal(a->versions[i].number, b->versions[i].number);
		assert_int_equal(a->versions[i].stage, b->versions[i].stage);
		assert_int_equal(a->versions[i].stored_at, b->versions[i].stored_at);
		assert_int_equal(a->versions[i].staged_at, b->versions[i].staged_at);
		assert_int_equal(a->versions[i].expires_at, b->versions[i].expires_at);
		assert_memory_equal(a->versions[i].fingerprint, b->versions[i].fingerprint, FINGERPRINT_LEN);
		assert_memory_equal(a->versions[i].digest, b->versions[i].digest, DIGEST_LEN);
		assert_int_equal(a->versions[i].retire_by, b->versions[i].retire_by);
		assert_int_equal(a->versions[i].taken_at, b->versions[i].taken_at);
		const struct renewal *x = &a->versions[i].renewal, *y = &b->versions[i].renewal;
		assert_int_equal(x->family, y->family);
		assert_int_equal(x->issued_at, y->issued_at);
		assert_int_equal(x->access_until, y->access_until);
		assert_int_equal(x->refresh_until, y->refresh_until);
		assert_int_equal(x->asked_at, y->asked_at);
		assert_int_equal(x->refused_at, y->refused_at);
		assert_memory_equal(x->fingerprint, y->fingerprint, FINGERPRINT_LEN);
		assert_memory_equal(x->digest, y->digest, DIGEST_LEN);
		assert_int_equal(a->versions[i].is_aside, b->versions[i].is_aside);
	}
	assert_int_equal(a->rotate_from, b->rotate_from);
	assert_int_equal(a->rotate_since, b->rotate_since);
	assert_int_equal(a->gone_count, b->gone_count);
	for (size_t i = 0; i < a->gone_count; i++) {
		assert_int_equal(a->gone[i].number, b->gone[i].number);
		assert_int_equal(a->gone[i].stored_at, b->gone[i].stored_at);
		assert_int_equal(a->gone[i].taken_at, b->gone[i].taken_at);
		assert_int_equal(a->gone[i].gone_at, b->gone[i].gone_at);
		assert_int_equal(a->gone[i].is_dead, b->gone[i].is_dead);
		assert_memory_equal(a->gone[i].fingerprint, b->gone[i].fingerprint, FINGERPRINT_LEN);
	}
}

static void metadata__comes_back_as_it_was_and_encodes_to_the_same_bytes(void **state)
{
	(void)state;
	struct credential all[] = { full(),
				    moving(),
				    renewing(),
				    { .pixel = "ABCDEFGH", .rotate_since = 1 },
				    { .pixel = "C0U2T02IU8J6B9GC2B90", .last_number = 1 } };
	all[4].versions[all[4].version_count++] = (struct version){ .number = 1, .stage = STAGE_PENDING };
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct credential back;
		struct buf out = BUF_INIT(16384), again = BUF_INIT(16384);
		encode_credential(&all[i], &out);
		assert_true(out.len <= 16383); /* the fullest one still can be sealed */
		assert_true(credential_decode(buf_bytes(&out), &back));
		metadata__assert_equal(&back, &all[i]);
		encode_credential(&back, &again);
		assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
		buf_done(&out);
		buf_done(&again);
	}
}

static void metadata__cut_short_or_with_a_byte_more_is_refused_and_leaves_the_result_alone(void **state)
{
	(void)state;
	struct credential c = full(), back, untouched;
	struct buf out = BUF_INIT(16384);
	memset(&back, 0xa5, sizeof back);
	untouched = back;
	encode_credential(&c, &out);
	for (size_t len = 0; len < out.len; len++) {
		uint8_t *exact = exactly(bytes_of(out.at, len));
		assert_false(credential_decode(bytes_of(exact, len), &back));
		free(exact);
	}
	buf_append(&out, "", 1);
	assert_false(credential_decode(buf_bytes(&out), &back));
	assert_memory_equal(&back, &untouched, sizeof back);
	buf_done(&out);
}

static bool decodes(const struct credential *c)
{
	struct credential back;
	struct buf out = BUF_INIT(65536);
	encode_credential(c, &out);
	bool ok = credential_decode(buf_bytes(&out), &back);
	buf_done(&out);
	return ok;
}

/* A state of all zero has no block, so one that says so is a second spelling; and a moment belongs to its stage. */
static void metadata__moves_under_way_have_one_spelling(void **state)
{
	(void)state;
	struct credential c = moving(), back;
	struct buf out = BUF_INIT(16384);
	assert_true(decodes(&c));
	c.versions[13].taken_at = 1; /* previous */
	assert_false(decodes(&c));
	c = moving();
	c.versions[14].retire_by = 1; /* current */
	assert_false(decodes(&c));
	c = moving();
	c.versions[14].is_aside = true; /* current */
	assert_false(decodes(&c));
	c = moving();
	c.versions[1].stage = STAGE_STANDBY; /* a second one */
	assert_false(decodes(&c));
	c = moving();
	c.gone[3].number = 0;
	assert_false(decodes(&c));
	c = (struct credential){ .pixel = "ABCDEFGH" };
	encode_credential(&c, &out);
	assert_true(credential_decode(buf_bytes(&out), &back));
	size_t len = out.len;
	buf_append_uint(&out, 1, 1);
	buf_append_uint(&out, 4, 0);
	buf_append_uint(&out, 8, 0);
	buf_append_uint(&out, 1, 0);
	assert_false(credential_decode(buf_bytes(&out), &back));
	out.at[len + 5] = 1; /* asked for since: a state */
	assert_true(credential_decode(buf_bytes(&out), &back));
	buf_append_uint(&out, 1, 9); /* a block that nobody knows */
	assert_false(credential_decode(buf_bytes(&out), &back));
	buf_done(&out);
}

/* Without a family the block is not there, and nothing in it is said of a plain version. */
static void metadata__families_have_one_spelling(void **state)
{
	(void)state;
	struct credential c = { .pixel = "ABCDEFGH", .last_number = 1, .version_count = 1 }, back;
	struct buf out = BUF_INIT(16384);
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT };
	c.versions[0].renewal.asked_at = 5; /* of a plain one: not written */
	encode_credential(&c, &out);
	assert_true(credential_decode(buf_bytes(&out), &back));
	assert_int_equal(back.versions[0].renewal.asked_at, 0);
	size_t len = out.len;
	buf_append_uint(&out, 1, 2);
	buf_append_uint(&out, 1, FAMILY_PLAIN);
	assert_false(credential_decode(buf_bytes(&out), &back)); /* all plain: no block */
	out.at[len + 1] = FAMILY_COUNT;
	assert_false(credential_decode(buf_bytes(&out), &back));
	out.at[len + 1] = FAMILY_LOGIN;
	assert_false(credential_decode(buf_bytes(&out), &back)); /* cut short */
	buf_append_zeros(&out, 5 * 8 + FINGERPRINT_LEN + DIGEST_LEN);
	assert_true(credential_decode(buf_bytes(&out), &back));
	assert_int_equal(back.versions[0].renewal.family, FAMILY_LOGIN);
	assert_false(version_has_token(&back.versions[0]));
	assert_false(version_has_grant(&back.versions[0]));
	buf_done(&out);
}

static void metadata__whatever_decodes_encodes_to_the_same_bytes(void **state)
{
	(void)state;
	struct credential c = renewing();
	struct buf out = BUF_INIT(16384);
	unsigned refused = 0;
	encode_credential(&c, &out);
	for (size_t i = 0; i < out.len; i++) {
		static const uint8_t values[] = { 0, 1, 5, 0x7f, 0xff };
		uint8_t before = out.at[i];
		for (size_t k = 0; k < COUNT_OF(values); k++) {
			struct credential back;
			struct buf again = BUF_INIT(16384);
			out.at[i] = values[k];
			if (credential_decode(buf_bytes(&out), &back)) {
				encode_credential(&back, &again);
				assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
			} else {
				refused++;
			}
			buf_done(&again);
		}
		out.at[i] = before;
	}
	assert_true(refused > 100);
	buf_done(&out);
}

static void metadata__versions_must_ascend_stay_below_the_counter_and_hold_each_stage_once(void **state)
{
	(void)state;
	struct credential c = full();
	assert_true(decodes(&c));
	c.versions[3].number = c.versions[4].number;
	assert_false(decodes(&c));
	c = full();
	c.versions[3].number = c.versions[4].number + 1;
	assert_false(decodes(&c));
	c = full();
	c.versions[0].number = 0;
	assert_false(decodes(&c));
	c = full();
	c.last_number = c.versions[15].number;
	assert_true(decodes(&c));
	c.last_number--;
	assert_false(decodes(&c));
	static const enum stage stages[] = { STAGE_PENDING, STAGE_CURRENT, STAGE_PREVIOUS };
	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		c = full();
		c.versions[0].stage = stages[i];
		assert_false(decodes(&c));
	}
	c = full();
	c.versions[0].stage = (enum stage)0;
	assert_false(decodes(&c));
	c.versions[0].stage = (enum stage)6;
	assert_false(decodes(&c));
}

/* One encoding per state: labels are sorted by key, each key once, and an empty value is no label. */
static void metadata__labels_out_of_order_twice_or_empty_are_refused(void **state)
{
	(void)state;
	struct credential c = { .pixel = "ABCDEFGH", .label_count = 2, .labels = { { "a", "1" }, { "b", "2" } } };
	assert_true(decodes(&c));
	struct credential swapped = { .pixel = "ABCDEFGH", .label_count = 2, .labels = { { "b", "2" }, { "a", "1" } } };
	struct credential twice = { .pixel = "ABCDEFGH", .label_count = 2, .labels = { { "a", "1" }, { "a", "2" } } };
	struct credential empty = { .pixel = "ABCDEFGH", .label_count = 1, .labels = { { "a", "" } } };
	assert_false(decodes(&swapped));
	assert_false(decodes(&twice));
	assert_false(decodes(&empty));
	struct credential nameless = { .pixel = "ABCDEFGH", .label_count = 1, .labels = { { "", "1" } } };
	assert_false(decodes(&nameless));
}

static void metadata__counts_and_lengths_beyond_the_limits_are_refused(void **state)
{
	(void)state;
	struct credential c = { .pixel = "ABCDEFGH" }, back;
	struct buf out = BUF_INIT(4096);
	encode_credential(&c, &out);
	/* pixel 1+8, created 8, deleted 8, destroyed 1, test code 1, last number 4, labels 1, versions 1 */
	assert_int_equal(out.len, 33);
	static const size_t counts[] = { 0, 25, 26, 31, 32 };
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		static const uint8_t values[] = { 17, 41, 65, 128, 255 };
		for (size_t k = 0; k < COUNT_OF(values); k++) {
			struct buf changed = BUF_INIT(4096);
			buf_append(&changed, out.at, out.len);
			changed.at[counts[i]] = values[k];
			uint8_t *exact = exactly(buf_bytes(&changed));
			assert_false(credential_decode(bytes_of(exact, changed.len), &back));
			free(exact);
			buf_done(&changed);
		}
	}
	out.at[3] = 0; /* a NUL inside text */
	assert_false(credential_decode(buf_bytes(&out), &back));
	buf_done(&out);
}

/* ---- leaves ---- */

static void make_entry(uint8_t entry[ENTRY_LEN], const char *prefix, uint8_t rest)
{
	memset(entry, rest, ENTRY_LEN);
	hex_to((const char[]){ prefix[0], prefix[1], prefix[2], '0', 0 }, entry, 2);
	entry[1] |= rest & 15;
}

static void leaf__entries_are_sorted_and_found(void **state)
{
	(void)state;
	static const uint8_t order[] = { 9, 3, 7, 1, 5, 14, 3 };
	struct buf leaf = BUF_INIT(65536);
	for (size_t i = 0; i < COUNT_OF(order); i++) {
		struct buf with = BUF_INIT(65536);
		uint8_t entry[ENTRY_LEN], digest[DIGEST_LEN];
		make_entry(entry, "abc", order[i]);
		memset(digest, (int)(i + 100), sizeof digest);
		leaf_with(buf_bytes(&leaf), entry, digest, &with);
		buf_done(&leaf);
		leaf = with;
		assert_true(leaf_check(buf_bytes(&leaf), "abc"));
		assert_memory_equal(leaf_find(buf_bytes(&leaf), entry), digest, DIGEST_LEN);
	}
	assert_int_equal(leaf.len, 6 * ENTRY_LEN); /* the second 3 took the first one's place */
	for (uint8_t i = 0; i < 16; i++) {
		uint8_t entry[ENTRY_LEN];
		make_entry(entry, "abc", i);
		const uint8_t *found = leaf_find(buf_bytes(&leaf), entry);
		bool expected = i == 9 || i == 3 || i == 7 || i == 1 || i == 5 || i == 14;
		assert_int_equal(found != NULL, expected);
		if (i == 3)
			assert_int_equal(found[0], 106);
	}
	uint8_t none[PIXEL_ID_LEN] = { 0 };
	assert_null(leaf_find(bytes_of("", 0), none));
	buf_done(&leaf);
}

static void leaf__order_duplicates_foreign_prefix_and_odd_lengths_are_refused(void **state)
{
	(void)state;
	uint8_t bytes[3 * ENTRY_LEN + 1];
	make_entry(bytes, "abc", 1);
	make_entry(bytes + ENTRY_LEN, "abc", 2);
	make_entry(bytes + 2 * ENTRY_LEN, "abc", 3);
	bytes[3 * ENTRY_LEN] = 0;
	assert_true(leaf_check(bytes_of(bytes, 3 * ENTRY_LEN), "abc"));
	for (size_t len = 0; len <= 3 * ENTRY_LEN + 1; len++)
		assert_int_equal(leaf_check(bytes_of(bytes, len), "abc"), len != 0 && len % ENTRY_LEN == 0);
	static const char *const foreign[] = { "abd", "acc", "bbc", "000", "ABC" };
	for (size_t i = 0; i < COUNT_OF(foreign); i++)
		assert_false(leaf_check(bytes_of(bytes, 3 * ENTRY_LEN), foreign[i]));
	make_entry(bytes + ENTRY_LEN, "abc", 1); /* twice */
	assert_false(leaf_check(bytes_of(bytes, 3 * ENTRY_LEN), "abc"));
	make_entry(bytes + ENTRY_LEN, "abc", 4); /* out of order */
	assert_false(leaf_check(bytes_of(bytes, 3 * ENTRY_LEN), "abc"));
	make_entry(bytes + ENTRY_LEN, "abd", 2); /* one that belongs elsewhere */
	assert_false(leaf_check(bytes_of(bytes, 3 * ENTRY_LEN), "abc"));
	make_entry(bytes + ENTRY_LEN, "abc", 2);
	memset(bytes + ENTRY_LEN + PIXEL_ID_LEN, 0, DIGEST_LEN); /* digests are not ordered */
	assert_true(leaf_check(bytes_of(bytes, 3 * ENTRY_LEN), "abc"));
}

static void leaf__holds_no_more_than_a_value_can(void **state)
{
	(void)state;
	size_t count = LEAF_ENTRIES_MAX + 1;
	uint8_t *bytes = calloc(count, ENTRY_LEN);
	assert_non_null(bytes);
	for (size_t i = 0; i < count; i++) {
		bytes[i * ENTRY_LEN + 14] = (uint8_t)(i >> 8);
		bytes[i * ENTRY_LEN + 15] = (uint8_t)i;
	}
	assert_true(leaf_check(bytes_of(bytes, LEAF_ENTRIES_MAX * ENTRY_LEN), "000"));
	assert_false(leaf_check(bytes_of(bytes, count * ENTRY_LEN), "000"));
	free(bytes);
}

/* ---- hints and read marks ---- */

static void hint__round_trip_truncations_and_trailing_bytes(void **state)
{
	(void)state;
	for (size_t count = 0; count <= HINT_PIXELS_MAX; count++) {
		struct hint h = { .count = count }, back, untouched;
		struct buf out = BUF_INIT(4096), again = BUF_INIT(4096);
		for (size_t i = 0; i < count; i++)
			fill(h.ids[i], PIXEL_ID_LEN, (uint8_t)(i + 1));
		hint_encode(&h, &out);
		assert_true(out.len < 192); /* fits its size class */
		assert_true(hint_decode(buf_bytes(&out), &back));
		assert_int_equal(back.count, count);
		assert_memory_equal(back.ids, h.ids, count * PIXEL_ID_LEN + 1 - 1);
		hint_encode(&back, &again);
		assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
		memset(&back, 0xa5, sizeof back);
		untouched = back;
		for (size_t len = 0; len < out.len; len++) {
			uint8_t *exact = exactly(bytes_of(out.at, len));
			assert_false(hint_decode(bytes_of(exact, len), &back));
			free(exact);
		}
		buf_append(&out, "", 1);
		assert_false(hint_decode(buf_bytes(&out), &back));
		assert_memory_equal(&back, &untouched, sizeof back);
		buf_done(&out);
		buf_done(&again);
	}
	uint8_t many[1 + 9 * PIXEL_ID_LEN] = { 9 };
	struct hint back;
	assert_false(hint_decode(bytes_of(many, sizeof many), &back));
}

static struct read_mark mark_named(const char *name, bool is_acked, bool has_uid)
{
	struct read_mark ret = { .version = 0xfffffffe, .at = INT64_MIN, .is_acked = is_acked, .has_uid = has_uid };
	ret.uid = has_uid ? 0xfffffffd : 0;
	snprintf(ret.name, sizeof ret.name, "%s", name);
	return ret;
}

static void expect_mark(struct bytes from, const struct read_mark *wanted)
{
	struct read_mark got;
	memset(&got, 0xaa, sizeof got);
	assert_true(read_mark_decode(from, &got));
	assert_string_equal(got.name, wanted->name);
	assert_int_equal(got.version, wanted->version);
	assert_true(got.at == wanted->at);
	assert_int_equal(got.is_acked, wanted->is_acked);
	assert_int_equal(got.has_uid, wanted->has_uid);
	assert_int_equal(got.uid, wanted->uid);
}

/* What older programs wrote, without the last byte and uid, is itself a whole mark. */
static void read_mark__round_trip_truncations_and_trailing_bytes(void **state)
{
	(void)state;
	char longest[65];
	struct read_mark unused;
	memset(longest, 'n', 64);
	longest[64] = '\0';
	const char *const names[] = { "", "shop@eu-1", longest };
	for (size_t i = 0; i < COUNT_OF(names) * 4; i++) {
		struct buf out = BUF_INIT(256);
		struct read_mark mark = mark_named(names[i / 4], i & 1, i & 2);
		size_t old_len = 1 + strlen(mark.name) + 4 + 8;
		read_mark_encode(&mark, &out);
		assert_int_equal(out.len, old_len + (i % 4 > 0) + (i & 2 ? 4 : 0));
		expect_mark(buf_bytes(&out), &mark);
		for (size_t len = 0; len < out.len; len++) {
			uint8_t *exact = exactly(bytes_of(out.at, len));
			assert_int_equal(read_mark_decode(bytes_of(exact, len), &unused), len == old_len);
			free(exact);
		}
		buf_append(&out, "\3", 1);
		assert_false(read_mark_decode(buf_bytes(&out), &unused));
		buf_done(&out);
	}
	uint8_t long_name[80];
	memset(long_name, 'n', sizeof long_name);
	long_name[0] = 65;
	assert_false(read_mark_decode(bytes_of(long_name, 1 + 65 + 12), &unused));
}

static void read_mark__has_one_encoding_and_no_bit_nobody_knows(void **state)
{
	(void)state;
	struct read_mark unused, mark = mark_named("shop", true, false);
	struct buf out = BUF_INIT(256);
	read_mark_encode(&mark, &out);
	for (unsigned flags = 0; flags < 256; flags++) {
		out.at[out.len - 1] = (uint8_t)flags;
		assert_int_equal(read_mark_decode(buf_bytes(&out), &unused), flags == 1);
	}
	buf_done(&out);
}

static void read_mark__that_does_not_decode_leaves_the_results_alone(void **state)
{
	(void)state;
	struct buf out = BUF_INIT(256);
	struct read_mark mark = mark_named("new", false, false), got = { .name = "old", .version = 7, .at = 8 };
	read_mark_encode(&mark, &out);
	buf_append(&out, "", 1);
	bool decoded = read_mark_decode(buf_bytes(&out), &got);
	buf_done(&out);
	assert_false(decoded);
	assert_string_equal(got.name, "old");
	assert_int_equal(got.version, 7);
	assert_int_equal(got.at, 8);
}

/* ---- names of keys ---- */

static void key__names_are_the_formats(void **state)
{
	(void)state;
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	hex_to("a4a10ba32234ac760e2c5971633ea17a", id, sizeof id);
	key_for_node(1, id, 1, key);
	assert_string_equal(key, "e1/n/a");
	key_for_node(1, id, 2, key);
	assert_string_equal(key, "e1/n/a4");
	key_for_node(4294967295u, id, 3, key);
	assert_string_equal(key, "e4294967295/n/a4a");
	key_for_pixel(2, 'm', id, key);
	assert_string_equal(key, "e2/m/a4a10ba32234ac760e2c5971633ea17a");
	key_for_pixel(2, 'h', id, key);
	assert_string_equal(key, "e2/h/a4a10ba32234ac760e2c5971633ea17a");
	key_for_token(4294967295u, id, 4294967295u, key);
	assert_string_equal(key, "e4294967295/t/a4a10ba32234ac760e2c5971633ea17a/4294967295");
	key_for_hint(1, id, key);
	assert_string_equal(key, "e1/d/a4a10ba32234ac760e2c5971633ea17a");
	key_for_note(1, "breaker", key);
	assert_string_equal(key, "e1/a/breaker");
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(id_nibble(id, i),
				 (unsigned)strtoul((char[]){ "a4a10ba32234ac760e2c5971633ea17a"[i], 0 }, NULL, 16));
}

static size_t length_of(const struct credential *c)
{
	struct buf out = BUF_INIT(65536);
	encode_credential(c, &out);
	size_t len = out.len;
	buf_done(&out);
	return len;
}

/* Without the blocks, and with the first of them, it is another credential; cut anywhere else it is none. */
static void metadata__blocks_cut_short_are_refused(void **state)
{
	(void)state;
	struct credential plain = full(), lifecycle = moving(), both = renewing(), back;
	struct buf out = BUF_INIT(65536);
	size_t first = length_of(&plain), second = length_of(&lifecycle);
	encode_credential(&both, &out);
	assert_true(first < second && second < out.len);
	for (size_t len = first; len < out.len; len++) {
		uint8_t *exact = exactly(bytes_of(out.at, len));
		assert_int_equal(credential_decode(bytes_of(exact, len), &back), len == first || len == second);
		free(exact);
	}
	buf_done(&out);
}

static void metadata__what_is_gone_is_a_state_of_its_own(void **state)
{
	(void)state;
	struct credential c = full(), back;
	struct buf out = BUF_INIT(65536);
	c.gone[c.gone_count++] = (struct gone){ .number = 3, .gone_at = 5, .is_dead = true };
	encode_credential(&c, &out);
	assert_true(credential_decode(buf_bytes(&out), &back));
	assert_int_equal(back.gone_count, 1);
	assert_true(back.gone[0].is_dead);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata__blocks_cut_short_are_refused),
		cmocka_unit_test(metadata__what_is_gone_is_a_state_of_its_own),
		cmocka_unit_test(root__comes_back_as_it_was_and_encodes_to_the_same_bytes),
		cmocka_unit_test(root__cut_short_or_with_a_byte_more_is_malformed_and_leaves_the_result_alone),
		cmocka_unit_test(root__of_another_format_is_malformed_or_too_new),
		cmocka_unit_test(root__ignores_no_byte),
		cmocka_unit_test(metadata__comes_back_as_it_was_and_encodes_to_the_same_bytes),
		cmocka_unit_test(metadata__cut_short_or_with_a_byte_more_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(metadata__moves_under_way_have_one_spelling),
		cmocka_unit_test(metadata__families_have_one_spelling),
		cmocka_unit_test(metadata__whatever_decodes_encodes_to_the_same_bytes),
		cmocka_unit_test(metadata__versions_must_ascend_stay_below_the_counter_and_hold_each_stage_once),
		cmocka_unit_test(metadata__labels_out_of_order_twice_or_empty_are_refused),
		cmocka_unit_test(metadata__counts_and_lengths_beyond_the_limits_are_refused),
		cmocka_unit_test(leaf__entries_are_sorted_and_found),
		cmocka_unit_test(leaf__order_duplicates_foreign_prefix_and_odd_lengths_are_refused),
		cmocka_unit_test(leaf__holds_no_more_than_a_value_can),
		cmocka_unit_test(hint__round_trip_truncations_and_trailing_bytes),
		cmocka_unit_test(read_mark__round_trip_truncations_and_trailing_bytes),
		cmocka_unit_test(read_mark__has_one_encoding_and_no_bit_nobody_knows),
		cmocka_unit_test(read_mark__that_does_not_decode_leaves_the_results_alone),
		cmocka_unit_test(key__names_are_the_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
