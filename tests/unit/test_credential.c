#include "vault/credential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define TOKEN "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"

/* ---- Pixel codes ---- */

static void pixel__eight_to_forty_capitals_and_digits_are_taken(void **state)
{
	(void)state;
	static const char *const good[] = { "C0U2T02IU8J6B9GC2B90",
					    "ABCDEFGH",
					    "12345678",
					    "1234567890123456",
					    "123456789012345678901",
					    "ZZZZZZZZZZZZZZZZZZZZ",
					    "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJ" };
	struct error err = { .code = ERR_NONE };
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(pixel_check(good[i], &err));
	assert_int_equal(err.code, ERR_NONE);
}

static void pixel__what_is_not_one_is_refused_with_the_hint_that_fits(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "missing" },
		{ "12345678901234567", "numeric" },
		{ "7012345678901234567", "numeric" },
		{ "70123456789012345678", "numeric" },
		{ "c0u2t02iu8j6b9gc2b90", "lower case" },
		{ "C0U2T02IU8J6B9GC2b90", "C0U2T02IU8J6B9GC2B90" },
		{ "ABCDEFG", "not a Pixel code" },
		{ "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJA", "41 characters long" },
		{ "abcdefg", "not a Pixel code" },
		{ "ABCD EFGH", "not a Pixel code" },
		{ " ABCDEFGH", "not a Pixel code" },
		{ "ABCDEFGH ", "not a Pixel code" },
		{ "ABCDEFGH\n", "not a Pixel code" },
		{ "ABCD-EFGH", "not a Pixel code" },
		{ "ABCDEFG\xc3\x84", "not a Pixel code" },
		{ "../../etc/passwd", "not a Pixel code" },
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct error err = { 0 };
		assert_false(pixel_check(bad[i].text, &err));
		assert_int_equal(err.code, ERR_MALFORMED);
		if (!strstr(err.message, bad[i].says))
			fail_msg("'%s': %s", bad[i].text, err.message);
		assert_true(err.hint[0]);
	}
}

/* It may be a token on the command line: nothing of it is repeated. */
static void pixel__what_is_longer_than_any_code_is_not_shown(void **state)
{
	(void)state;
	static const char *const tokens[] = { TOKEN, "abcdefghijklmnopqrstuvwxy", TOKEN TOKEN TOKEN,
					      "s3cr3tZ-0123456789-0123456789" };
	for (size_t i = 0; i < COUNT_OF(tokens); i++) {
		struct error err = { 0 };
		char part[9] = "";
		assert_false(pixel_check(tokens[i], &err));
		assert_int_equal(err.code, ERR_MALFORMED);
		for (size_t at = 0; at + 8 <= strlen(tokens[i]); at++) {
			memcpy(part, tokens[i] + at, 8);
			assert_null(strstr(err.message, part));
			assert_null(strstr(err.hint, part));
		}
	}
}

static void pixel__the_known_shape_is_twenty_of_0_to_v_ending_in_0_or_g(void **state)
{
	(void)state;
	assert_true(pixel_has_known_shape("C0U2T02IU8J6B9GC2B90"));
	assert_true(pixel_has_known_shape("C0U2T02IU8J6B9GC2B9G"));
	assert_false(pixel_has_known_shape("C0U2T02IU8J6B9GC2B91"));
	assert_false(pixel_has_known_shape("W0U2T02IU8J6B9GC2B90"));
	assert_false(pixel_has_known_shape("C0U2T02IU8J6B9GC2B0"));
	assert_false(pixel_has_known_shape("C0U2T02IU8J6B9GC2B900"));
	assert_false(pixel_has_known_shape("c0u2t02iu8j6b9gc2b90"));
	assert_false(pixel_has_known_shape(""));
}

/* ---- test codes, labels, consumers ---- */

static void test_code__is_one_to_64_printable_characters_without_blanks(void **state)
{
	(void)state;
	struct error err;
	char longest[66];
	memset(longest, 'T', sizeof longest);
	longest[65] = '\0';
	assert_false(test_code_check(longest, &err));
	longest[64] = '\0';
	assert_true(test_code_check(longest, &err));
	assert_true(test_code_check("TEST12345", &err));
	assert_true(test_code_check("!", &err));
	assert_true(test_code_check("~", &err));
	static const char *const bad[] = { "", "TEST 1", " TEST", "TEST\t", "TEST\n", "T\x7f", "T\x1b[m", "T\xc3\xa4" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		memset(&err, 0, sizeof err);
		assert_false(test_code_check(bad[i], &err));
		assert_int_equal(err.code, ERR_USAGE);
	}
}

static void label__is_a_key_and_a_value_of_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *key, *value;
	} good[] = {
		{ "a=b", "a", "b" },
		{ "team_1.eu-x=Shop & Söhne", "team_1.eu-x", "Shop & Söhne" },
		{ "k=", "k", "" },
		{ "k=a=b", "k", "a=b" },
		{ "k= padded ", "k", " padded " },
		{ "abcdefghijklmnopqrstuvwxyz012345=v", "abcdefghijklmnopqrstuvwxyz012345", "v" },
		{ "k=0123456789012345678901234567890123456789012345678901234567890123", "k",
		  "0123456789012345678901234567890123456789012345678901234567890123" },
	};
	struct error err;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct label label;
		assert_true(label_parse(good[i].text, &label, &err));
		assert_string_equal(label.key, good[i].key);
		assert_string_equal(label.value, good[i].value);
	}
	static const char *const bad[] = { "",
					   "=",
					   "=v",
					   "k",
					   "K=v",
					   "k k=v",
					   "k:=v",
					   "k\n=v",
					   "abcdefghijklmnopqrstuvwxyz0123456=v",
					   "k=a\nb",
					   "k=a\tb",
					   "k=\x7f",
					   "k=\xff",
					   "k=\xc3",
					   "k=\xed\xa0\x80",
					   "k=01234567890123456789012345678901234567890123456789012345678901234" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct label label = { "old", "old" };
		memset(&err, 0, sizeof err);
		assert_false(label_parse(bad[i], &label, &err));
		assert_int_equal(err.code, ERR_USAGE);
		assert_string_equal(label.key, "old");
	}
}

static void consumer__is_a_name_of_64_plain_characters(void **state)
{
	(void)state;
	struct error err;
	char longest[66];
	memset(longest, 'n', sizeof longest);
	longest[65] = '\0';
	assert_false(consumer_name_check(longest, &err));
	longest[64] = '\0';
	assert_true(consumer_name_check(longest, &err));
	static const char *const reserved[] = { "uid:", "uid:0", "UID:1001", "unit:shop.service@uid:1001", "Unit:x", "unit:" };
	for (size_t i = 0; i < COUNT_OF(reserved); i++) {
		assert_false(consumer_name_check(reserved[i], &err));
		assert_non_null(strstr(err.message, "no name to choose"));
	}
	assert_true(consumer_name_check("uid", &err));
	assert_true(consumer_name_check("unit-shop", &err));
	assert_true(consumer_name_check("my-uid:1", &err));
	assert_true(consumer_name_check("shop@eu-1:sender/2_x.y", &err));
	static const char *const bad[] = { "", "a b", "a\n", "a\xc3\xa4", "a=b", "a*", "a%", "\"a\"" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		memset(&err, 0, sizeof err);
		assert_false(consumer_name_check(bad[i], &err));
		assert_int_equal(err.code, ERR_USAGE);
	}
}

/* ---- cleaning ---- */

static bool clean_text(struct bytes pasted, char ret[TOKEN_INPUT_MAX + 1], unsigned *ret_removed, struct error *err)
{
	struct secret *in = secret_of(pasted), *out = NULL;
	bool ok = token_clean(in, &out, ret_removed, err);
	assert_true(bytes_equal(secret_reveal(in), pasted)); /* the pasted text is left as it was */
	if (ok) {
		memcpy(ret, secret_reveal(out).at, secret_len(out));
		ret[secret_len(out)] = '\0';
		assert_ptr_not_equal(in, out);
	} else {
		assert_null(out);
	}
	secret_free(in);
	secret_free(out);
	return ok;
}

static void token__what_stands_around_a_pasted_one_is_taken_away_and_named(void **state)
{
	(void)state;
	static const struct {
		const char *pasted;
		unsigned removed;
	} rows[] = {
		{ TOKEN, 0 },
		{ TOKEN "\n", REMOVED_LINE_ENDS },
		{ TOKEN "\r\n", REMOVED_LINE_ENDS },
		{ "\n\n" TOKEN "\r\n\n", REMOVED_LINE_ENDS },
		{ TOKEN "\xc2\x85", REMOVED_LINE_ENDS },
		{ "\xe2\x80\xa8" TOKEN "\xe2\x80\xa9", REMOVED_LINE_ENDS },
		{ "  \t" TOKEN " \v\f", REMOVED_BLANKS },
		{ "\xc2\xa0" TOKEN "\xe2\x80\xaf", REMOVED_BLANKS },
		{ "\xe1\x9a\x80" TOKEN "\xe3\x80\x80", REMOVED_BLANKS },
		{ "\xe2\x80\x80\xe2\x80\x81\xe2\x80\x82\xe2\x80\x83\xe2\x80\x84\xe2\x80\x85" TOKEN
		  "\xe2\x80\x86\xe2\x80\x87\xe2\x80\x88\xe2\x80\x89\xe2\x80\x8a\xe2\x81\x9f",
		  REMOVED_BLANKS },
		{ "\xe2\x80\x8b" TOKEN "\xe2\x80\x8d", REMOVED_ZERO_WIDTH },
		{ "\xc2\xad\xe1\xa0\x8e" TOKEN "\xe2\x80\x8c\xe2\x80\x8e\xe2\x80\x8f\xe2\x81\xa0", REMOVED_ZERO_WIDTH },
		{ "\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae" TOKEN
		  "\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9",
		  REMOVED_ZERO_WIDTH },
		{ "\xef\xbb\xbf" TOKEN, REMOVED_BOM },
		{ "\"" TOKEN "\"", REMOVED_QUOTES },
		{ "'" TOKEN "'", REMOVED_QUOTES },
		{ "`" TOKEN "\xc2\xb4", REMOVED_QUOTES },
		{ "\xe2\x80\x9c" TOKEN "\xe2\x80\x9d", REMOVED_QUOTES },
		{ "\xe2\x80\x9e" TOKEN "\xe2\x80\x9c", REMOVED_QUOTES },
		{ "\xe2\x80\x98" TOKEN "\xe2\x80\x99", REMOVED_QUOTES },
		{ "\xe2\x80\x9a" TOKEN "\xe2\x80\x9b", REMOVED_QUOTES },
		{ "\xc2\xab" TOKEN "\xc2\xbb", REMOVED_QUOTES },
		{ "\xe2\x80\xb9" TOKEN "\xe2\x80\xba", REMOVED_QUOTES },
		{ "Bearer " TOKEN, REMOVED_BEARER },
		{ "bearer\t" TOKEN, REMOVED_BEARER },
		{ "Bearer\xc2\xa0" TOKEN, REMOVED_BEARER },
		{ "BEARER   " TOKEN, REMOVED_BEARER | REMOVED_BLANKS },
		{ "Access-Token:" TOKEN, REMOVED_HEADER_NAME },
		{ "access-token: " TOKEN, REMOVED_HEADER_NAME | REMOVED_BLANKS },
		{ "Access-Token: Bearer " TOKEN, REMOVED_HEADER_NAME | REMOVED_BLANKS | REMOVED_BEARER },
		{ "Access-Token: \"" TOKEN "\"", REMOVED_HEADER_NAME | REMOVED_BLANKS | REMOVED_QUOTES },
		{ "\"Access-Token: " TOKEN "\"", REMOVED_HEADER_NAME | REMOVED_BLANKS | REMOVED_QUOTES },
		{ "\"Bearer " TOKEN "\"\r\n", REMOVED_BEARER | REMOVED_QUOTES | REMOVED_LINE_ENDS },
		{ "\xef\xbb\xbf \"\t" TOKEN "\xe2\x80\x8b\" \r\n",
		  REMOVED_BOM | REMOVED_BLANKS | REMOVED_QUOTES | REMOVED_ZERO_WIDTH | REMOVED_LINE_ENDS },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char cleaned[TOKEN_INPUT_MAX + 1];
		unsigned removed = 0xffff;
		struct error err;
		if (!clean_text(bytes_of_text(rows[i].pasted), cleaned, &removed, &err))
			fail_msg("row %zu: %s", i, err.message);
		assert_string_equal(cleaned, TOKEN);
		if (rows[i].removed & REMOVED_BEARER) /* the blank that belongs to the word may be named or not */
			removed = (removed & ~(unsigned)REMOVED_BLANKS) | (rows[i].removed & REMOVED_BLANKS);
		if (removed != rows[i].removed)
			fail_msg("row %zu: removed %#x, expected %#x", i, removed, rows[i].removed);
	}
}

static void token__only_one_pair_of_quotes_goes_and_a_single_quote_stays(void **state)
{
	(void)state;
	static const struct {
		const char *pasted, *cleaned;
	} rows[] = {
		{ "''" TOKEN "''", "'" TOKEN "'" },
		{ "\"'" TOKEN "'\"", "'" TOKEN "'" },
		{ "\"" TOKEN, "\"" TOKEN },
		{ TOKEN "'", TOKEN "'" },
		{ "ab\"cd\\ef/<>&'gh", "ab\"cd\\ef/<>&'gh" },
		{ "Bearer" TOKEN, "Bearer" TOKEN },
		{ "Bearers " TOKEN, NULL }, /* a blank inside */
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char cleaned[TOKEN_INPUT_MAX + 1];
		unsigned removed;
		struct error err;
		assert_int_equal(clean_text(bytes_of_text(rows[i].pasted), cleaned, &removed, &err),
				 rows[i].cleaned != NULL);
		if (rows[i].cleaned)
			assert_string_equal(cleaned, rows[i].cleaned);
	}
}

static void token__what_cannot_be_one_is_refused_and_none_of_it_shown(void **state)
{
	(void)state;
	static const struct {
		struct bytes pasted;
		const char *says;
	} rows[] = {
#define ROW(text, says) { { (const uint8_t *)(text), sizeof(text) - 1 }, says }
		ROW("", "empty"),
		ROW("  \r\n\t\xc2\xa0\xe2\x80\x8b\xef\xbb\xbf", "empty"),
		ROW("\"\"", "empty"),
		ROW("Bearer ", "Bearer"), /* see below: what is left is said, whatever it is */
		ROW("Access-Token:", "empty"),
		ROW("s3cr3t7", "too short: 7"),
		ROW("s3cr3tZ 0123456789", "blank, line break or control"),
		ROW("s3cr3tZ0\n0123456789", "blank, line break or control"),
		ROW("s3cr3tZ0\0000123456789", "blank, line break or control"),
		ROW("s3cr3tZ0\0010123456789", "blank, line break or control"),
		ROW("s3cr3tZ0\0330123456789", "blank, line break or control"),
		ROW("s3cr3tZ0\1770123456789", "blank, line break or control"),
		ROW("s3cr3tZ0\xc3\xa4"
		    "0123456789",
		    "plain ASCII"),
		ROW("s3cr3tZ0\xe2\x80\x8b"
		    "0123456789",
		    "plain ASCII"),
		ROW("s3cr3tZ0\xff"
		    "0123456789",
		    "plain ASCII"),
		ROW("C0U2T02IU8J6B9GC2B90", "Pixel code"),
		ROW("70123456789012345", "number"),
		ROW("7012345678901234567", "number"),
		ROW("70123456789012345678", "number"),
		ROW("rft.s3cr3tZ0123456789", "refresh token"),
		ROW("https://s3cr3tZ.example/?access_token=1", "web address"),
		ROW("{\"access_token\":\"s3cr3tZ0123456789\"}", "JSON"),
		ROW("[\"s3cr3tZ0123456789\"]", "JSON"),
		ROW("\"{\"access_token\": \"s3cr3tZ0123456789\"}\"", "JSON"),
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char cleaned[TOKEN_INPUT_MAX + 1];
		unsigned removed = 77;
		struct error err = { 0 };
		assert_false(clean_text(rows[i].pasted, cleaned, &removed, &err));
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_int_equal(removed, 77);
		assert_true(err.hint[0]);
		assert_null(strstr(err.message, "s3cr3t"));
		assert_null(strstr(err.hint, "s3cr3t"));
		assert_null(strstr(err.message, "0123456789"));
		if (strcmp(rows[i].says, "Bearer") != 0 && !strstr(err.message, rows[i].says))
			fail_msg("row %zu: %s", i, err.message);
	}
}

static void token__is_8_to_4095_characters_long(void **state)
{
	(void)state;
	static char pasted[TOKEN_MAX + 2], cleaned[TOKEN_INPUT_MAX + 1];
	unsigned removed;
	struct error err;
	memset(pasted, 'k', sizeof pasted);
	assert_false(clean_text(bytes_of(pasted, 7), cleaned, &removed, &err));
	assert_true(clean_text(bytes_of(pasted, 8), cleaned, &removed, &err));
	assert_true(clean_text(bytes_of(pasted, TOKEN_MAX), cleaned, &removed, &err));
	assert_int_equal(strlen(cleaned), TOKEN_MAX);
	memset(&err, 0, sizeof err);
	assert_false(clean_text(bytes_of(pasted, TOKEN_MAX + 1), cleaned, &removed, &err));
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_non_null(strstr(err.message, "longer than 4095"));
}

static void token__a_number_or_code_of_another_length_is_taken(void **state)
{
	(void)state;
	static const char *const good[] = { "1234567890123456",      "123456789012345678901", "C0U2T02IU8J6B9GC2B9",
					    "C0U2T02IU8J6B9GC2B901", "W0U2T02IU8J6B9GC2B90",  "c0u2t02iu8j6b9gc2b90",
					    "rft_0123456789",        "xrft.0123456789" };
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		char cleaned[TOKEN_INPUT_MAX + 1];
		unsigned removed;
		struct error err;
		assert_true(clean_text(bytes_of_text(good[i]), cleaned, &removed, &err));
		assert_string_equal(cleaned, good[i]);
	}
}

static void removed_name__is_there_for_each(void **state)
{
	(void)state;
	static const char *const names[] = { "blanks", "line-ends", "zero-width", "byte-order-mark",
					     "quotes", "bearer",    "header-name" };
	for (unsigned i = 0; i < COUNT_OF(names); i++)
		assert_string_equal(removed_name((enum removed)(1u << i)), names[i]);
}

/* ---- versions ---- */

static struct credential fresh(void)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90" };
	return c;
}

static uint32_t add(struct credential *c, int64_t now, uint32_t *ret_dropped)
{
	struct version v = { .expires_at = now + 1000, .stage = STAGE_RETIRED, .number = 999 };
	struct error err;
	uint32_t number = 0, dropped = 99;
	v.fingerprint[0] = (uint8_t)now;
	assert_true(credential_add(c, &v, now, &number, &dropped, &err));
	if (ret_dropped)
		*ret_dropped = dropped;
	return number;
}

static enum stage stage_of(const struct credential *c, uint32_t number)
{
	const struct version *v = credential_numbered(c, number);
	return v ? v->stage : (enum stage)0;
}

static void version__a_new_one_is_pending_and_retires_an_earlier_pending_one(void **state)
{
	(void)state;
	struct credential c = fresh();
	uint32_t dropped;
	assert_null(credential_staged(&c, STAGE_PENDING));
	assert_null(credential_at_stage(&c, STAGE_CURRENT));
	assert_int_equal(add(&c, 100, &dropped), 1);
	assert_int_equal(dropped, 0);
	const struct version *v = credential_staged(&c, STAGE_PENDING);
	assert_int_equal(v->number, 1);
	assert_int_equal(v->stored_at, 100);
	assert_int_equal(v->staged_at, 100);
	assert_int_equal(v->expires_at, 1100);
	assert_int_equal(add(&c, 200, NULL), 2);
	assert_int_equal(stage_of(&c, 1), STAGE_RETIRED);
	assert_int_equal(credential_numbered(&c, 1)->staged_at, 200);
	assert_int_equal(credential_numbered(&c, 1)->stored_at, 100);
	assert_int_equal(stage_of(&c, 2), STAGE_PENDING);
	assert_int_equal(credential_stage_of(&c, 2), STAGE_PENDING);
	assert_null(credential_numbered(&c, 3));
	assert_int_equal(credential_stage_of(&c, 3), STAGE_RETIRED);
	assert_null(credential_numbered(&c, 0));
}

static void version__promotion_without_and_with_a_previous_one(void **state)
{
	(void)state;
	struct credential c = fresh();
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 10));
	assert_int_equal(stage_of(&c, 1), STAGE_CURRENT);
	assert_int_equal(credential_numbered(&c, 1)->staged_at, 10);
	assert_null(credential_staged(&c, STAGE_PREVIOUS));
	add(&c, 20, NULL);
	assert_int_equal(stage_of(&c, 1), STAGE_CURRENT); /* a new token takes no working one away */
	assert_true(credential_promote(&c, 2, 30));
	assert_int_equal(stage_of(&c, 1), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 2), STAGE_CURRENT);
	add(&c, 40, NULL);
	assert_true(credential_promote(&c, 3, 50));
	assert_int_equal(stage_of(&c, 1), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 2), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 3), STAGE_CURRENT);
	assert_int_equal(credential_numbered(&c, 1)->staged_at, 50);
	assert_int_equal(credential_at_stage(&c, STAGE_CURRENT)->number, 3);
}

static void version__only_the_pending_one_can_be_promoted(void **state)
{
	(void)state;
	struct credential c = fresh();
	assert_false(credential_promote(&c, 1, 1));
	assert_false(credential_promote(&c, 0, 1));
	add(&c, 1, NULL);
	assert_false(credential_promote(&c, 2, 5));
	assert_int_equal(stage_of(&c, 1), STAGE_PENDING);
	assert_true(credential_promote(&c, 1, 5));
	assert_false(credential_promote(&c, 1, 6)); /* current already */
	add(&c, 7, NULL);
	add(&c, 8, NULL);
	struct credential before = c;
	assert_false(credential_promote(&c, 2, 9)); /* retired */
	assert_memory_equal(&c, &before, sizeof c);
}

static void version__rollback_swaps_current_and_previous(void **state)
{
	(void)state;
	struct credential c = fresh();
	assert_false(credential_rollback(&c, 1));
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 5));
	struct credential before = c;
	assert_false(credential_rollback(&c, 6)); /* nothing to go back to */
	assert_memory_equal(&c, &before, sizeof c);
	add(&c, 7, NULL);
	assert_true(credential_promote(&c, 2, 8));
	add(&c, 9, NULL);
	assert_true(credential_rollback(&c, 10));
	assert_int_equal(stage_of(&c, 1), STAGE_CURRENT);
	assert_int_equal(stage_of(&c, 2), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 3), STAGE_PENDING);
	assert_int_equal(c.versions[0].staged_at, 10);
	assert_int_equal(c.versions[1].staged_at, 10);
	assert_true(credential_rollback(&c, 11)); /* and forth again */
	assert_int_equal(stage_of(&c, 2), STAGE_CURRENT);
}

static void version__retire_takes_the_previous_one_away_and_no_other(void **state)
{
	(void)state;
	struct credential c = fresh();
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 2));
	assert_false(credential_retire(&c, 1, 3)); /* current */
	add(&c, 4, NULL);
	assert_false(credential_retire(&c, 2, 5)); /* pending */
	assert_true(credential_promote(&c, 2, 6));
	assert_false(credential_retire(&c, 2, 7));
	assert_false(credential_retire(&c, 9, 7));
	assert_true(credential_retire(&c, 1, 8));
	assert_int_equal(stage_of(&c, 1), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 2), STAGE_CURRENT);
	assert_int_equal(c.versions[0].staged_at, 8);
	assert_int_equal(c.versions[0].taken_at, 8);
	assert_false(credential_retire(&c, 1, 9)); /* once */
	assert_false(credential_rollback(&c, 9));
}

static void version__replaces_current_alone_when_a_token_changes_hands(void **state)
{
	(void)state;
	struct credential c = fresh();
	struct version v = { .expires_at = 77 };
	uint32_t number, dropped;
	struct error err;
	for (uint32_t i = 1; i <= 2; i++) {
		add(&c, i, NULL);
		assert_true(credential_promote(&c, i, i));
	}
	add(&c, 3, NULL);
	credential_want_new(&c, true, 4);
	assert_true(credential_replace(&c, &v, 5, &number, &dropped, &err));
	assert_int_equal(number, 4);
	assert_int_equal(dropped, 0);
	assert_int_equal(stage_of(&c, 1), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 2), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 3), STAGE_PENDING);
	assert_int_equal(stage_of(&c, 4), STAGE_CURRENT);
	assert_int_equal(credential_numbered(&c, 4)->expires_at, 77);
	assert_int_equal(credential_numbered(&c, 2)->staged_at, 5);
	assert_int_equal(credential_numbered(&c, 2)->taken_at, 0); /* it lives on elsewhere: nothing to revoke */
	assert_int_equal(c.rotate_since, 0);
	for (uint32_t i = 0; i < VERSIONS_MAX; i++)
		assert_true(credential_replace(&c, &v, 6 + i, &number, &dropped, &err));
	assert_int_equal(c.version_count, VERSIONS_MAX);
	assert_int_not_equal(dropped, 0);
	assert_int_equal(stage_of(&c, 1), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 3), STAGE_PENDING);
	c.last_number = UINT32_MAX;
	struct credential before = c;
	assert_false(credential_replace(&c, &v, 99, &number, &dropped, &err));
	assert_memory_equal(&c, &before, sizeof c);
}

static void version__only_a_pending_one_is_withdrawn(void **state)
{
	(void)state;
	struct credential c = fresh();
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 2));
	add(&c, 3, NULL);
	assert_false(credential_withdraw(&c, 1, 4));
	assert_false(credential_withdraw(&c, 9, 4));
	assert_true(credential_withdraw(&c, 2, 5));
	assert_int_equal(stage_of(&c, 2), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 1), STAGE_CURRENT);
	assert_false(credential_withdraw(&c, 2, 6));
}

static void version__of_one_that_is_forgotten_a_line_stays(void **state)
{
	(void)state;
	struct credential c = fresh();
	for (uint32_t i = 1; i <= GONE_MAX + 2; i++) {
		add(&c, i, NULL);
		assert_true(credential_promote(&c, i, i));
		assert_false(credential_forget(&c, i, true, i)); /* current */
		if (i < 2)
			continue;
		assert_false(credential_forget(&c, i - 1, true, i)); /* previous */
		assert_true(credential_retire(&c, i - 1, 100 + i));
		assert_true(credential_forget(&c, i - 1, i % 2, 200 + i));
		assert_false(credential_forget(&c, i - 1, true, i)); /* once */
		assert_int_equal(c.version_count, 1);
	}
	assert_int_equal(c.gone_count, GONE_MAX);
	for (size_t i = 0; i < GONE_MAX; i++) {
		assert_int_equal(c.gone[i].number, i + 2); /* the first fell out */
		assert_int_equal(c.gone[i].stored_at, i + 2);
		assert_int_equal(c.gone[i].taken_at, 103 + i);
		assert_int_equal(c.gone[i].gone_at, 203 + i);
		assert_int_equal(c.gone[i].is_dead, (i + 3) % 2);
		assert_int_equal(c.gone[i].fingerprint[0], i + 2);
	}
	assert_int_equal(add(&c, 50, NULL), GONE_MAX + 3); /* no number comes back */
}

static void standby__is_promoted_beside_the_current_one(void **state)
{
	(void)state;
	struct credential c = fresh();
	struct version aside = { .is_aside = true };
	uint32_t number, dropped;
	struct error err;
	/* Where there is no current one, a token is needed at once. */
	assert_true(credential_add(&c, &aside, 1, &number, &dropped, &err));
	assert_true(credential_promote(&c, 1, 2));
	assert_int_equal(stage_of(&c, 1), STAGE_CURRENT);
	credential_want_new(&c, true, 3);
	assert_true(credential_add(&c, &aside, 4, &number, &dropped, &err));
	assert_int_equal(credential_rotation(&c), ROTATION_DUE); /* not by this one */
	assert_true(credential_promote(&c, 2, 5));
	assert_int_equal(stage_of(&c, 1), STAGE_CURRENT);
	assert_int_equal(stage_of(&c, 2), STAGE_STANDBY);
	assert_false(c.versions[1].is_aside);
	assert_int_equal(c.rotate_since, 3);
	/* A newer one takes its place; a usual put leaves it. */
	assert_true(credential_add(&c, &aside, 6, &number, &dropped, &err));
	assert_true(credential_promote(&c, 3, 7));
	assert_int_equal(stage_of(&c, 2), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 3), STAGE_STANDBY);
	add(&c, 8, NULL);
	assert_true(credential_promote(&c, 4, 9));
	assert_int_equal(stage_of(&c, 1), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 3), STAGE_STANDBY);
	/* It comes in, and what was current is previous. */
	assert_false(credential_bring_in(&c, 2, 10));
	assert_true(credential_bring_in(&c, 3, 10));
	assert_int_equal(stage_of(&c, 3), STAGE_CURRENT);
	assert_int_equal(stage_of(&c, 4), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 1), STAGE_RETIRED);
	assert_true(credential_bring_in(&c, 4, 11)); /* as a rollback does */
	assert_int_equal(stage_of(&c, 3), STAGE_PREVIOUS);
}

static void standby__put_again_is_judged_anew(void **state)
{
	(void)state;
	struct credential c = fresh();
	struct version aside = { .is_aside = true };
	uint32_t number, dropped;
	struct error err;
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 1));
	credential_recall(&c, true, 2); /* there is none */
	assert_true(credential_add(&c, &aside, 2, &number, &dropped, &err));
	assert_true(credential_promote(&c, 2, 2));
	add(&c, 3, NULL);
	credential_recall(&c, false, 4);
	assert_int_equal(stage_of(&c, 3), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 2), STAGE_PENDING);
	assert_true(credential_promote(&c, 2, 5));
	assert_int_equal(stage_of(&c, 2), STAGE_CURRENT);
}

static void version__one_that_was_taken_is_pushed_out_last_and_leaves_a_line(void **state)
{
	(void)state;
	struct credential c = fresh();
	uint32_t dropped = 0;
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 1));
	add(&c, 2, NULL);
	assert_true(credential_promote(&c, 2, 2));
	assert_true(credential_retire(&c, 1, 3));
	for (uint32_t i = 3; i <= VERSIONS_MAX + 1; i++) {
		add(&c, i, &dropped);
		assert_true(credential_promote(&c, i, i));
	}
	assert_int_equal(dropped, 2); /* not the first, which was taken */
	assert_int_equal(stage_of(&c, 1), STAGE_RETIRED);
	for (size_t i = 0; i < c.version_count; i++)
		if (c.versions[i].stage == STAGE_RETIRED)
			c.versions[i].taken_at = 50;
	add(&c, 60, &dropped);
	assert_int_equal(dropped, 1);
	assert_int_equal(c.gone_count, 1);
	assert_int_equal(c.gone[0].number, 1);
	assert_false(c.gone[0].is_dead);
}

static void version__that_waits_to_be_taken_keeps_its_deadline_when_it_is_pushed_out(void **state)
{
	(void)state;
	struct credential c = fresh();
	uint32_t dropped = 0;
	for (uint32_t i = 1; i <= 3; i++) {
		add(&c, i, NULL);
		assert_true(credential_promote(&c, i, i));
		if (i == 2)
			c.versions[0].retire_by = 99;
	}
	assert_int_equal(stage_of(&c, 1), STAGE_RETIRED);
	assert_int_equal(c.versions[0].retire_by, 99);
	for (uint32_t i = 4; i <= VERSIONS_MAX + 1; i++) {
		add(&c, i, &dropped);
		assert_true(credential_promote(&c, i, i));
	}
	assert_int_equal(dropped, 2); /* not the one that waits */
	assert_true(credential_retire(&c, 1, 50));
	assert_int_equal(c.versions[0].taken_at, 50);
	assert_int_equal(c.versions[0].retire_by, 0);
	assert_false(credential_retire(&c, 1, 51));
	assert_false(credential_retire(&c, 3, 51)); /* nobody asked for it */
}

static void version__that_waits_to_be_taken_stays_when_its_token_comes_again(void **state)
{
	(void)state;
	struct credential c = fresh();
	add(&c, 1, NULL);
	assert_true(credential_promote(&c, 1, 1));
	c.versions[0].retire_by = 99;
	add(&c, 2, NULL);
	c.versions[1].fingerprint[0] = 1; /* another one changes nothing */
	c.versions[0].retire_by = 99;
	struct version again = { .expires_at = 0 };
	uint32_t number, dropped;
	struct error err;
	again.fingerprint[0] = 2;
	assert_true(credential_add(&c, &again, 3, &number, &dropped, &err));
	assert_int_equal(c.versions[0].retire_by, 99);
	memcpy(again.fingerprint, c.versions[0].fingerprint, FINGERPRINT_LEN);
	assert_true(credential_add(&c, &again, 4, &number, &dropped, &err));
	assert_int_equal(c.versions[0].retire_by, 0);
}

static void rotation__is_read_from_the_versions(void **state)
{
	(void)state;
	struct credential c = fresh();
	assert_int_equal(credential_rotation(&c), ROTATION_NONE);
	credential_want_new(&c, true, 5);
	assert_int_equal(credential_rotation(&c), ROTATION_DUE);
	assert_int_equal(c.rotate_from, 0);
	credential_want_new(&c, false, 6);
	assert_int_equal(credential_rotation(&c), ROTATION_NONE);
	add(&c, 1, NULL);
	assert_int_equal(credential_rotation(&c), ROTATION_CAPTURED);
	assert_true(credential_promote(&c, 1, 2));
	assert_int_equal(credential_rotation(&c), ROTATION_NONE); /* nothing to take away */
	credential_want_new(&c, true, 7);
	assert_int_equal(c.rotate_from, 1);
	assert_int_equal(c.rotate_since, 7);
	add(&c, 8, NULL);
	assert_int_equal(credential_rotation(&c), ROTATION_CAPTURED);
	assert_true(credential_promote(&c, 2, 9));
	assert_int_equal(c.rotate_since, 0); /* answered */
	assert_int_equal(credential_rotation(&c), ROTATION_PROMOTED);
	c.versions[0].retire_by = 99;
	assert_true(credential_rollback(&c, 10));
	assert_int_equal(c.versions[0].retire_by, 0); /* it is current again */
	assert_true(credential_rollback(&c, 11));
	assert_true(credential_retire(&c, 1, 12));
	assert_int_equal(credential_rotation(&c), ROTATION_RETIRED);
	assert_true(credential_forget(&c, 1, true, 13));
	assert_int_equal(credential_rotation(&c), ROTATION_NONE);
	assert_string_equal(rotation_name(ROTATION_RETIRED), "retired");
	assert_null(rotation_name(ROTATION_NONE));
}

static void version__the_seventeenth_drops_the_oldest_retired_one_and_no_number_comes_back(void **state)
{
	(void)state;
	struct credential c = fresh();
	uint32_t dropped;
	for (int64_t i = 1; i <= VERSIONS_MAX; i++) {
		assert_int_equal(add(&c, i, &dropped), i);
		assert_int_equal(dropped, 0);
		if (i == 1 || i == 2)
			assert_true(credential_promote(&c, (uint32_t)i, i)); /* 1 previous, 2 current: not retired */
	}
	assert_int_equal(c.version_count, VERSIONS_MAX);
	assert_int_equal(add(&c, 17, &dropped), 17);
	assert_int_equal(dropped, 3);
	assert_int_equal(c.version_count, VERSIONS_MAX);
	assert_null(credential_numbered(&c, 3));
	assert_int_equal(stage_of(&c, 1), STAGE_PREVIOUS);
	assert_int_equal(stage_of(&c, 2), STAGE_CURRENT);
	assert_int_equal(stage_of(&c, 16), STAGE_RETIRED);
	assert_int_equal(stage_of(&c, 17), STAGE_PENDING);
	for (size_t i = 1; i < c.version_count; i++)
		assert_true(c.versions[i].number > c.versions[i - 1].number);
	for (int64_t i = 18; i < 40; i++) {
		assert_int_equal(add(&c, i, &dropped), i);
		assert_int_equal(dropped, i - 14);
	}
	assert_int_equal(c.last_number, 39);
	c.version_count = 0; /* destroyed: the counter stays */
	assert_int_equal(add(&c, 50, NULL), 40);
}

static void version__when_numbers_are_used_up_nothing_is_changed(void **state)
{
	(void)state;
	struct credential c = fresh();
	struct version v = { .expires_at = 1 };
	struct error err = { 0 };
	uint32_t number = 7, dropped = 8;
	add(&c, 1, NULL);
	c.last_number = UINT32_MAX;
	struct credential before = c;
	assert_false(credential_add(&c, &v, 2, &number, &dropped, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_int_equal(number, 7);
	assert_memory_equal(&c, &before, sizeof c);
}

static void version__is_found_by_fingerprint_newest_first(void **state)
{
	(void)state;
	struct credential c = fresh();
	uint8_t wanted[FINGERPRINT_LEN] = { 5 }, other[FINGERPRINT_LEN] = { 5, 1 };
	add(&c, 5, NULL);
	add(&c, 6, NULL);
	add(&c, 5, NULL);
	assert_int_equal(credential_with_fingerprint(&c, wanted)->number, 3);
	assert_null(credential_with_fingerprint(&c, other));
	c.version_count = 2;
	assert_int_equal(credential_with_fingerprint(&c, wanted)->number, 1);
}

/* ---- labels of a credential ---- */

static bool label(struct credential *c, const char *text, struct error *err)
{
	struct label l;
	assert_true(label_parse(text, &l, err));
	return credential_label(c, &l, err);
}

static void labels__are_sorted_replaced_and_removed(void **state)
{
	(void)state;
	struct credential c = fresh();
	struct error err;
	struct label wanted;
	assert_true(label(&c, "m=1", &err));
	assert_true(label(&c, "z=1", &err));
	assert_true(label(&c, "a=1", &err));
	assert_true(label(&c, "m=2", &err));
	assert_int_equal(c.label_count, 3);
	assert_string_equal(c.labels[0].key, "a");
	assert_string_equal(c.labels[1].key, "m");
	assert_string_equal(c.labels[1].value, "2");
	assert_string_equal(c.labels[2].key, "z");
	assert_true(label_parse("m=2", &wanted, &err));
	assert_true(credential_has_label(&c, &wanted));
	assert_true(label_parse("m=1", &wanted, &err));
	assert_false(credential_has_label(&c, &wanted));
	assert_true(label_parse("b=1", &wanted, &err));
	assert_false(credential_has_label(&c, &wanted));
	assert_true(label(&c, "a=", &err));
	assert_true(label(&c, "never-there=", &err));
	assert_int_equal(c.label_count, 2);
	assert_string_equal(c.labels[0].key, "m");
	assert_true(label(&c, "z=", &err));
	assert_true(label(&c, "m=", &err));
	assert_int_equal(c.label_count, 0);
}

static void labels__are_at_most_sixteen(void **state)
{
	(void)state;
	struct credential c = fresh();
	struct error err = { 0 };
	for (int i = 0; i < LABELS_MAX; i++) {
		char text[16];
		snprintf(text, sizeof text, "k%02d=v", i);
		assert_true(label(&c, text, &err));
	}
	struct credential before = c;
	assert_false(label(&c, "k99=v", &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_memory_equal(&c, &before, sizeof c);
	assert_true(label(&c, "k05=w", &err)); /* replacing and removing still work */
	assert_true(label(&c, "k99=", &err));
	assert_true(label(&c, "k00=", &err));
	assert_true(label(&c, "k99=v", &err));
	assert_int_equal(c.label_count, LABELS_MAX);
}

/* ---- names ---- */

static struct credential of_stages(enum stage first, enum stage second)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .last_number = 2, .version_count = 2 };
	c.versions[0] = (struct version){ .number = 1, .stage = first, .digest = { 1 } };
	c.versions[1] = (struct version){ .number = 2, .stage = second, .digest = { 1 } };
	return c;
}

static void renew__the_new_token_is_current_and_the_old_one_previous(void **state)
{
	(void)state;
	struct credential c = of_stages(STAGE_PREVIOUS, STAGE_CURRENT);
	struct version v = { .digest = { 9 } };
	uint32_t number = 0, dropped = 7;
	assert_true(credential_renew(&c, 2, &v, 500, &number, &dropped));
	assert_int_equal(number, 3);
	assert_int_equal(dropped, 0);
	assert_int_equal(credential_staged(&c, STAGE_CURRENT)->number, 3);
	assert_int_equal(credential_staged(&c, STAGE_PREVIOUS)->number, 2);
	assert_int_equal(credential_numbered(&c, 1)->stage, STAGE_RETIRED);
}

static void renew__not_when_another_token_became_current_meanwhile(void **state)
{
	(void)state;
	struct credential c = of_stages(STAGE_CURRENT, STAGE_PENDING), before = c;
	struct version v = { .digest = { 9 } };
	uint32_t number, dropped;
	assert_false(credential_renew(&c, 2, &v, 500, &number, &dropped));
	c.last_number = before.last_number = UINT32_MAX; /* numbers are never given twice */
	assert_false(credential_renew(&c, 1, &v, 500, &number, &dropped));
	assert_memory_equal(&c, &before, sizeof c);
	c = of_stages(STAGE_PREVIOUS, STAGE_PENDING);
	assert_false(credential_renew(&c, 1, &v, 500, &number, &dropped));
}

static void version__no_number_is_left_and_none_is_added(void **state)
{
	(void)state;
	struct credential c = of_stages(STAGE_PREVIOUS, STAGE_CURRENT), before;
	struct version v = { .digest = { 9 } };
	struct error err;
	uint32_t number, dropped;
	c.last_number = UINT32_MAX;
	before = c;
	assert_false(credential_add(&c, &v, 500, &number, &dropped, &err));
	assert_true(err.hint[0]);
	assert_false(credential_replace(&c, &v, 500, &number, &dropped, &err));
	assert_memory_equal(&c, &before, sizeof c);
}

static void family__is_known_by_its_name_and_by_no_other(void **state)
{
	(void)state;
	enum family f;
	for (int i = FAMILY_PLAIN; i < FAMILY_COUNT; i++) {
		assert_true(family_by_name(family_name((enum family)i), &f));
		assert_int_equal(f, i);
	}
	assert_false(family_by_name("", &f));
	assert_false(family_by_name("Accounts", &f));
	assert_string_equal(family_name(FAMILY_COUNT), "plain");
}

static void stage_name__is_there_for_each_and_for_none(void **state)
{
	(void)state;
	assert_string_equal(stage_name(STAGE_PENDING), "pending");
	assert_string_equal(stage_name(STAGE_CURRENT), "current");
	assert_string_equal(stage_name(STAGE_PREVIOUS), "previous");
	assert_string_equal(stage_name(STAGE_RETIRED), "retired");
	assert_string_equal(stage_name((enum stage)0), "?");
	assert_string_equal(stage_name((enum stage)99), "?");
}

static void fingerprint__as_text_is_the_first_40_bits_and_has_no_mistakable_characters(void **state)
{
	(void)state;
	char text[FINGERPRINT_TEXT_MAX];
	uint8_t zero[FINGERPRINT_LEN] = { 0 }, ones[FINGERPRINT_LEN], f[FINGERPRINT_LEN];
	memset(ones, 0xff, sizeof ones);
	assert_string_equal(fingerprint_text(zero, text), "tk-2222-2222");
	assert_string_equal(fingerprint_text(ones, text), "tk-ZZZZ-ZZZZ");
	hex_to("0e8e206a5119127ad0d3ccdd2675f406", f, sizeof f); /* by the independent reader */
	assert_string_equal(fingerprint_text(f, text), "tk-3U94-2ULK");
	f[5] ^= 1;
	assert_string_equal(fingerprint_text(f, text), "tk-3U94-2ULK");
	f[4] ^= 1;
	assert_string_not_equal(fingerprint_text(f, text), "tk-3U94-2ULK");
	for (unsigned i = 0; i < 256; i++) {
		memset(f, (int)i, sizeof f);
		assert_null(strpbrk(fingerprint_text(f, text) + 3, "IO01"));
	}
}

static void list__is_a_business_center_or_ad_account_by_its_number(void **state)
{
	(void)state;
	struct error err;
	static const char *const bad[] = { "", "bc:", "bc:123", "bc:12345678901234567890x", "bc:123456789012345678901", "BC:12345",
					   "advertiser:", "advertiser 12345", "pixel:12345", "bc:12 345", "12345", "C0U2T02IU8J6B9GC2B90" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_false(list_check(bad[i], &err));
		assert_int_equal(err.code, ERR_MALFORMED);
	}
	assert_true(list_check("bc:1234", &err));
	assert_true(list_check("advertiser:12345678901234567890", &err));
	assert_true(strlen("advertiser:12345678901234567890") <= LIST_NAME_MAX && LIST_NAME_MAX <= PIXEL_CODE_MAX);
	assert_string_equal(list_id("advertiser:77"), "77");
	assert_true(list_is_center("bc:1234"));
	assert_false(list_is_center("advertiser:1234"));
	assert_true(name_is_list("bc:1234"));
	assert_false(name_is_list("C0U2T02IU8J6B9GC2B90"));
	assert_false(pixel_check("bc:7012345678901234567", &err));
}

static struct credential of_each_stage(size_t count, const enum stage *stages)
{
	struct credential c = { .pixel = "ABCDEFGH", .last_number = 40 };
	for (size_t i = 0; i < count; i++)
		c.versions[c.version_count++] = (struct version){ .number = 10 + 2 * (uint32_t)i, .stage = stages[i] };
	return c;
}

static void repair__what_is_lost_leaves_the_list_and_is_remembered(void **state)
{
	(void)state;
	static const enum stage stages[] = { STAGE_RETIRED, STAGE_PREVIOUS, STAGE_CURRENT };
	struct credential c = of_each_stage(3, stages);
	credential_give_up(&c, 14, 7);
	assert_null(credential_staged(&c, STAGE_CURRENT));
	assert_int_equal(c.version_count, 2);
	assert_int_equal(c.gone[0].number, 14);
	assert_int_equal(c.gone[0].gone_at, 7);
	credential_give_up(&c, 10, 8); /* a retired one */
	assert_int_equal(c.gone_count, 2);
	credential_give_up(&c, 11, 9); /* none of it */
	assert_int_equal(c.gone_count, 2);
	assert_int_equal(c.version_count, 1);
}

static void repair__falls_back_only_where_there_is_no_current(void **state)
{
	(void)state;
	static const enum stage stages[] = { STAGE_RETIRED, STAGE_PREVIOUS, STAGE_CURRENT };
	struct credential c = of_each_stage(3, stages);
	assert_false(credential_fall_back(&c, 7));
	credential_give_up(&c, 14, 7);
	c.versions[1].renewal.family = FAMILY_LOGIN; /* waits for its first token */
	assert_false(credential_fall_back(&c, 8));
	c.versions[1].renewal.family = FAMILY_PLAIN;
	assert_true(credential_fall_back(&c, 8));
	assert_int_equal(credential_staged(&c, STAGE_CURRENT)->number, 12);
	credential_give_up(&c, 12, 9);
	assert_false(credential_fall_back(&c, 9)); /* no previous */
}

static void repair__calls_up_a_retired_one_that_was_taken_from_nobody(void **state)
{
	(void)state;
	static const enum stage stages[] = { STAGE_RETIRED, STAGE_RETIRED, STAGE_CURRENT, STAGE_PREVIOUS };
	struct credential c = of_each_stage(4, stages);
	assert_false(credential_call_up(&c, 10, 7)); /* there is a current one */
	credential_give_up(&c, 14, 7);
	assert_false(credential_call_up(&c, 16, 7)); /* previous */
	assert_false(credential_call_up(&c, 99, 7));
	c.versions[1].taken_at = 5;
	assert_false(credential_call_up(&c, 12, 7));
	c.versions[0].renewal.family = FAMILY_LOGIN;
	assert_false(credential_call_up(&c, 10, 7));
	c.versions[0].renewal.family = FAMILY_PLAIN;
	assert_true(credential_call_up(&c, 10, 7));
	assert_int_equal(credential_staged(&c, STAGE_CURRENT)->number, 10);
}

static void repair__inserts_by_number_what_was_given_once(void **state)
{
	(void)state;
	static const enum stage stages[] = { STAGE_RETIRED, STAGE_CURRENT };
	struct credential c = of_each_stage(2, stages);
	struct version v = { .number = 11, .stage = STAGE_PREVIOUS };
	assert_true(credential_insert(&c, &v));
	assert_int_equal(c.versions[1].number, 11);
	assert_false(credential_insert(&c, &v)); /* there already */
	v.number = 41;
	assert_false(credential_insert(&c, &v)); /* never given */
	for (v.number = 20; c.version_count < VERSIONS_MAX; v.number++)
		assert_true(credential_insert(&c, &v));
	assert_false(credential_insert(&c, &v));
}

/* No stage is held twice, so this is no list of ours; all the same nothing is written over. */
static void add__where_nothing_can_leave_is_refused(void **state)
{
	(void)state;
	enum stage stages[VERSIONS_MAX];
	struct version v = { .number = 0 };
	uint32_t number, dropped;
	struct error err;
	for (size_t i = 0; i < VERSIONS_MAX; i++)
		stages[i] = STAGE_STANDBY;
	struct credential c = of_each_stage(VERSIONS_MAX, stages);
	assert_false(credential_add(&c, &v, 7, &number, &dropped, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_int_equal(c.version_count, VERSIONS_MAX);
	c.versions[15].stage = STAGE_CURRENT;
	assert_false(credential_renew(&c, c.versions[15].number, &v, 7, &number, &dropped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repair__what_is_lost_leaves_the_list_and_is_remembered),
		cmocka_unit_test(repair__falls_back_only_where_there_is_no_current),
		cmocka_unit_test(repair__calls_up_a_retired_one_that_was_taken_from_nobody),
		cmocka_unit_test(repair__inserts_by_number_what_was_given_once),
		cmocka_unit_test(add__where_nothing_can_leave_is_refused),
		cmocka_unit_test(list__is_a_business_center_or_ad_account_by_its_number),
		cmocka_unit_test(pixel__eight_to_forty_capitals_and_digits_are_taken),
		cmocka_unit_test(pixel__what_is_not_one_is_refused_with_the_hint_that_fits),
		cmocka_unit_test(pixel__what_is_longer_than_any_code_is_not_shown),
		cmocka_unit_test(pixel__the_known_shape_is_twenty_of_0_to_v_ending_in_0_or_g),
		cmocka_unit_test(test_code__is_one_to_64_printable_characters_without_blanks),
		cmocka_unit_test(label__is_a_key_and_a_value_of_text),
		cmocka_unit_test(consumer__is_a_name_of_64_plain_characters),
		cmocka_unit_test(token__what_stands_around_a_pasted_one_is_taken_away_and_named),
		cmocka_unit_test(token__only_one_pair_of_quotes_goes_and_a_single_quote_stays),
		cmocka_unit_test(token__what_cannot_be_one_is_refused_and_none_of_it_shown),
		cmocka_unit_test(token__is_8_to_4095_characters_long),
		cmocka_unit_test(token__a_number_or_code_of_another_length_is_taken),
		cmocka_unit_test(removed_name__is_there_for_each),
		cmocka_unit_test(version__a_new_one_is_pending_and_retires_an_earlier_pending_one),
		cmocka_unit_test(version__promotion_without_and_with_a_previous_one),
		cmocka_unit_test(version__only_the_pending_one_can_be_promoted),
		cmocka_unit_test(version__rollback_swaps_current_and_previous),
		cmocka_unit_test(version__replaces_current_alone_when_a_token_changes_hands),
		cmocka_unit_test(version__only_a_pending_one_is_withdrawn),
		cmocka_unit_test(version__retire_takes_the_previous_one_away_and_no_other),
		cmocka_unit_test(version__of_one_that_is_forgotten_a_line_stays),
		cmocka_unit_test(standby__is_promoted_beside_the_current_one),
		cmocka_unit_test(standby__put_again_is_judged_anew),
		cmocka_unit_test(version__one_that_was_taken_is_pushed_out_last_and_leaves_a_line),
		cmocka_unit_test(rotation__is_read_from_the_versions),
		cmocka_unit_test(version__that_waits_to_be_taken_keeps_its_deadline_when_it_is_pushed_out),
		cmocka_unit_test(version__that_waits_to_be_taken_stays_when_its_token_comes_again),
		cmocka_unit_test(version__the_seventeenth_drops_the_oldest_retired_one_and_no_number_comes_back),
		cmocka_unit_test(version__when_numbers_are_used_up_nothing_is_changed),
		cmocka_unit_test(version__is_found_by_fingerprint_newest_first),
		cmocka_unit_test(labels__are_sorted_replaced_and_removed),
		cmocka_unit_test(labels__are_at_most_sixteen),
		cmocka_unit_test(renew__the_new_token_is_current_and_the_old_one_previous),
		cmocka_unit_test(renew__not_when_another_token_became_current_meanwhile),
		cmocka_unit_test(version__no_number_is_left_and_none_is_added),
		cmocka_unit_test(family__is_known_by_its_name_and_by_no_other),
		cmocka_unit_test(stage_name__is_there_for_each_and_for_none),
		cmocka_unit_test(fingerprint__as_text_is_the_first_40_bits_and_has_no_mistakable_characters),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
