#include "vault/grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct error err;
	(void)state;
	return secret_arena_open(SECRET_ARENA_LARGE, &err) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	secret_arena_close();
	return 0;
}

static struct secret *secret_of(struct bytes from)
{
	struct secret *s;
	struct error err;
	assert_true(secret_copy(from, &s, &err));
	return s;
}

static void grant__comes_back_as_it_was_packed(void **state)
{
	(void)state;
	static char id[CLIENT_ID_MAX], text[CLIENT_SECRET_MAX], token[REFRESH_TOKEN_MAX];
	memset(id, '1', sizeof id);
	memset(text, 's', sizeof text);
	memset(token, 'r', sizeof token);
	struct grant in = { bytes_of(id, sizeof id), bytes_of(text, sizeof text), bytes_of(token, sizeof token) }, out;
	scoped(secret_freep) struct secret *packed = NULL;
	scoped(secret_freep) struct secret *renewed = NULL;
	struct error err;
	assert_true(grant_pack(&in, &packed, &err));
	assert_int_equal(secret_len(packed), GRANT_LEN_MAX);
	assert_true(GRANT_LEN_MAX <= TOKEN_MAX); /* it is sealed, and asked with, in a token's place */
	assert_true(grant_open(secret_reveal(packed), &out));
	assert_true(bytes_equal(in.client_id, out.client_id) && bytes_equal(in.client_secret, out.client_secret) &&
		    bytes_equal(in.refresh_token, out.refresh_token));
	assert_true(grant_renewed(packed, bytes_of_text("rft.another"), &renewed, &err));
	assert_true(grant_open(secret_reveal(renewed), &out));
	assert_true(bytes_equal(in.client_secret, out.client_secret));
	assert_true(bytes_equal(out.refresh_token, bytes_of_text("rft.another")));
}

static void grant__cut_short_or_longer_is_none(void **state)
{
	(void)state;
	struct grant in = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text("rft.token") }, out;
	scoped(secret_freep) struct secret *packed = NULL;
	struct error err;
	uint8_t longer[64] = { 0 };
	assert_true(grant_pack(&in, &packed, &err));
	struct bytes whole = secret_reveal(packed);
	for (size_t len = 0; len < whole.len; len++)
		assert_false(grant_open(bytes_of(whole.at, len), &out));
	memcpy(longer, whole.at, whole.len);
	assert_false(grant_open(bytes_of(longer, whole.len + 1), &out));
	in.client_secret = bytes_of("", 0);
	secret_freep(&packed);
	assert_true(grant_pack(&in, &packed, &err));
	assert_false(grant_open(secret_reveal(packed), &out));
}

static void grant__any_bytes_are_read_without_going_too_far(void **state)
{
	(void)state;
	uint32_t seed = 7;
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[24];
		struct grant out;
		for (size_t k = 0; k < sizeof bytes; k++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[k] = (uint8_t)(k % 2 ? seed >> 30 : seed >> 28);
		}
		if (grant_open(bytes_of(bytes, (size_t)(seed % sizeof bytes)), &out))
			assert_true(out.refresh_token.len > 0);
	}
}

static bool reads(enum family family, const char *text, struct grant_document *ret, struct error *err)
{
	scoped(secret_freep) struct secret *pasted = secret_of(bytes_of_text(text));
	return grant_document_read(pasted, family, ret, err);
}

#define NEEDED "\"client_id\":\"701\",\"client_secret\":\"s3cret\",\"refresh_token\":\"rft.0123456789\""

static void document__of_all_members(void **state)
{
	(void)state;
	struct grant_document d;
	struct grant g;
	struct error err;
	assert_true(reads(FAMILY_LOGIN,
			  "\n{" NEEDED ",\"access_token\":\"act.abcdefgh\",\"expires_in\":\"7200\",\"refresh_expires_in\":15552000,"
			  "\"open_id\":\"o\",\"scope\":\"a\",\"token_type\":\"Bearer\"}\n",
			  &d, &err));
	assert_true(grant_open(secret_reveal(d.grant), &g));
	assert_true(bytes_equal(g.client_secret, bytes_of_text("s3cret")));
	assert_true(bytes_equal(secret_reveal(d.access_token), bytes_of_text("act.abcdefgh")));
	assert_int_equal(d.life_s, 7200);
	assert_int_equal(d.refresh_life_s, 15552000);
	assert_int_equal(d.removed, 0);
	grant_document_done(&d);
}

static void document__lives_that_cannot_be_are_unknown_or_refused(void **state)
{
	(void)state;
	struct grant_document d;
	struct error err;
	assert_true(reads(FAMILY_LOGIN, "{" NEEDED ",\"expires_in\":99999999999}", &d, &err));
	assert_int_equal(d.life_s, 0);
	grant_document_done(&d);
	assert_true(reads(FAMILY_LOGIN, "{" NEEDED ",\"expires_in\":null,\"access_token\":null}", &d, &err));
	assert_null(d.access_token);
	grant_document_done(&d);
	assert_false(reads(FAMILY_LOGIN, "{" NEEDED ",\"expires_in\":-1}", &d, &err));
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_false(reads(FAMILY_LOGIN, "{" NEEDED ",\"expires_in\":1.5}", &d, &err));
}

static void document__a_refusal_repeats_no_value(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"client_id\":\"s3cret s3cret\",\"client_secret\":\"x\",\"refresh_token\":\"rft.0123456789\"}",
		"{\"s3cretThatIsUsedAsAKeyByMistake\":\"x\"}",
		"{" NEEDED ",\"access_token\":\"rft.s3cret00\"}",
		"{\"client_id\":\"701\",\"client_secret\":\"act.s3cret\",\"refresh_token\":\"rft.0123456789\"}",
		"{\"client_id\":\"701\",\"client_secret\":[\"s3cret\"],\"refresh_token\":\"rft.0123456789\"}",
		"s3cret",
		"{\"client_secret\":\"s3cret",
	};
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct grant_document d;
		struct error err;
		assert_false(reads(FAMILY_ACCOUNTS, texts[i], &d, &err));
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_null(strstr(err.message, "s3cret"));
		assert_null(strstr(err.hint, "s3cret"));
		assert_true(err.hint[0]);
	}
}

static void document__says_what_is_missing_or_no_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "{\"client_secret\":\"x\",\"refresh_token\":\"rft.0123456789\"}", "client_id" },
		{ "{\"client_id\":\"701\",\"refresh_token\":\"rft.0123456789\"}", "client_secret" },
		{ "{\"client_id\":\"701\",\"client_secret\":null,\"refresh_token\":\"rft.0123456789\"}",
		  "client_secret" },
		{ "{\"client_id\":\"701\",\"client_secret\":\"a\\u0000b\",\"refresh_token\":\"rft.0123456789\"}",
		  "client_secret" },
		{ "{" NEEDED ",\"refresh_token_expires_in\":-1}", "refresh_token_expires_in" },
		{ "{" NEEDED ",\"refresh_expires_in\":\"x\"}", "refresh_token_expires_in" },
		{ "{" NEEDED ",\"expires_in\":\"\"}", "expires_in" },
		{ "{" NEEDED ",\"access_token\":\"rft.0123456789\"}", "access_token" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct grant_document d;
		struct error err;
		assert_false(reads(FAMILY_ACCOUNTS, rows[i].text, &d, &err));
		assert_int_equal(err.code, ERR_MALFORMED);
		if (!strstr(err.message, rows[i].says) && !strstr(err.hint, rows[i].says))
			fail_msg("%zu: %s; %s", i, err.message, err.hint);
	}
}

/* Of the accounts family the id is a number; and no token stands in two places. */
static void document__a_client_id_is_a_number_and_no_token_comes_twice(void **state)
{
	(void)state;
	static const char *const ids[] = { "70/1", "70:1", "70a" };
	struct grant_document d;
	struct error err;
	char text[200];
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		snprintf(text, sizeof text,
			 "{\"client_id\":\"%s\",\"client_secret\":\"x\",\"refresh_token\":\"0123456789\"}", ids[i]);
		assert_false(reads(FAMILY_ACCOUNTS, text, &d, &err));
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_true(reads(FAMILY_LOGIN, text, &d, &err));
		grant_document_done(&d);
	}
	assert_false(reads(FAMILY_LOGIN,
			   "{\"client_key\":\"701\",\"client_secret\":\"x\",\"refresh_token\":\"0123456789abcdef\","
			   "\"access_token\":\"0123456789abcdef\"}",
			   &d, &err));
	assert_int_equal(err.code, ERR_MALFORMED);
}

static void grant__of_another_program_is_not_renewed(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *packed = secret_of(bytes_of_text("no pair")), *renewed = NULL;
	struct error err;
	assert_false(grant_renewed(packed, bytes_of_text("rft.another"), &renewed, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_true(err.hint[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document__says_what_is_missing_or_no_text),
		cmocka_unit_test(document__a_client_id_is_a_number_and_no_token_comes_twice),
		cmocka_unit_test(grant__of_another_program_is_not_renewed),
		cmocka_unit_test(grant__comes_back_as_it_was_packed),
		cmocka_unit_test(grant__cut_short_or_longer_is_none),
		cmocka_unit_test(grant__any_bytes_are_read_without_going_too_far),
		cmocka_unit_test(document__of_all_members),
		cmocka_unit_test(document__lives_that_cannot_be_are_unknown_or_refused),
		cmocka_unit_test(document__a_refusal_repeats_no_value),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
