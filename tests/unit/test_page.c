#include "agent/page.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(86400)
#define NOW INT64_C(1795406706) /* 2026-11-23T04:05:06Z */

static const struct settings settings = { .interval_s = 21600, .expiry_warning_s = { 30 * DAY, 7 * DAY, DAY } };

static struct buf out = BUF_INIT((size_t)1 << 24);

static const char *text(void)
{
	buf_append(&out, "", 1);
	assert_false(out.is_bad);
	out.len--;
	return (const char *)out.at;
}

static int begin(void **state)
{
	(void)state;
	buf_clear(&out);
	return 0;
}

static struct credential stored(void)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .version_count = 1, .last_number = 1 };
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT, .stored_at = NOW - DAY };
	return c;
}

static void make_row(const struct credential *c, const struct health *h)
{
	struct status_row row;
	status_of(c, h, &settings, NOW, &row);
	page_row(&out, &row, NOW);
}

static void page__no_text_becomes_markup_or_turns_the_line_around(void **state)
{
	struct credential c = stored();
	struct health h = { .current = { .version = 1, .verdict = VERDICT_REVOKED, .last_outcome = OUTCOME_UNKNOWN } };
	(void)state;
	c.label_count = 1;
	strcpy(c.labels[0].key, "k");
	strcpy(c.labels[0].value, "<i>&\"'\xe2\x80\xae\xff\x1b[31m");
	h.current.attempted_at = NOW - 60;
	h.current.evidence = (struct evidence){ .probe = PROBE_DRY, .code = 40105, .http = 200, .at = NOW - 60 };
	strcpy(h.current.evidence.text, "</dl><script>");
	strcpy(h.current.evidence.request_id, "<r>");
	strcpy(h.current.attempt_text, "<a>");
	make_row(&c, &h);
	assert_non_null(strstr(text(), "k=&lt;i&gt;&amp;&quot;&#39;\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[31m</bdi>"));
	assert_non_null(strstr(text(), "&lt;/dl&gt;&lt;script&gt;"));
	assert_non_null(strstr(text(), "request &lt;r&gt;"));
	assert_non_null(strstr(text(), "unknown: &lt;a&gt;"));
	assert_null(strstr(text(), "<i>"));
	assert_null(strstr(text(), "<script"));
	assert_true(strchr(text(), '\n') == text() + out.len - 1); /* a row is a line: the page's script counts on it */
}

/* Of the piece between two marks, as the rules of the page have it. */
static void expect_allowed(const char *opens, const char *closes, const char *rule)
{
	const char *from = strstr(text(), opens) + strlen(opens), *to = strstr(from, closes);
	uint8_t hash[crypto_hash_sha256_BYTES];
	char coded[64], source[96];
	crypto_hash_sha256(hash, (const uint8_t *)from, (size_t)(to - from));
	sodium_bin2base64(coded, sizeof coded, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
	snprintf(source, sizeof source, "'sha256-%s'", coded);
	const char *rules = strstr(text(), rule), *end = strchr(rules, '>');
	const char *found = strstr(rules, source);
	assert_true(found && found < end);
}

static void page__allows_exactly_its_own_style_and_script(void **state)
{
	struct page_counts counts = { .states = { 0 } };
	(void)state;
	page_begin(&out, &counts, NOW);
	page_end(&out, 0);
	expect_allowed("<style>", "</style>", "style-src");
	expect_allowed("<script>", "</script>", "script-src");
	assert_non_null(strstr(text(), "default-src 'none'"));
	assert_null(strstr(text(), "unsafe"));
	assert_null(strstr(text(), "connect-src"));
	buf_clear(&out);
	page_loader(&out);
	expect_allowed("<script>", "</script>", "script-src");
	assert_non_null(strstr(text(), "connect-src 'self'"));
}

static void page__the_strip_says_what_it_draws(void **state)
{
	struct credential c = stored();
	struct health h = { .current = { .version = 1, .verdict = VERDICT_HEALTHY, .last_outcome = VERDICT_HEALTHY } };
	(void)state;
	h.current.attempted_at = h.current.proven_at = NOW - 60;
	h.history_count = 3;
	h.history[0] = (struct health_change){ .at = NOW - 90 * DAY, .verdict = VERDICT_UNPROVEN };
	h.history[1] = (struct health_change){ .at = NOW - 20 * DAY, .verdict = VERDICT_EXPIRED };
	h.history[2] = (struct health_change){ .at = NOW - 15 * DAY, .verdict = VERDICT_HEALTHY };
	make_row(&c, &h);
	assert_non_null(
		strstr(text(), "aria-label=\"Last 30 days: unproven for 10d, expired for 5d, healthy for 15d\""));
	assert_non_null(strstr(text(), "<path class=u d=\"M0 5h120V12h-120z\"/>"));
	assert_non_null(strstr(text(), "<path class=b d=\"M120 9h60V12h-60z\"/>"));
	assert_non_null(strstr(text(), "<path class=g d=\"M180 0h180V12h-180z\"/>"));
}

/* A clock that was ahead leaves changes in the future. */
static void page__a_history_from_the_future_is_no_strip(void **state)
{
	struct credential c = stored();
	struct health h = { .history_count = 2 };
	(void)state;
	h.history[0] = (struct health_change){ .at = NOW + DAY, .verdict = VERDICT_HEALTHY };
	h.history[1] = (struct health_change){ .at = NOW - DAY, .verdict = VERDICT_REVOKED };
	make_row(&c, &h);
	assert_non_null(strstr(text(), "revoked for 1d"));
	assert_null(strstr(text(), "h-0z"));
	assert_null(strstr(text(), "V12h--"));
}

static void page__rows_behind_the_first_lie_in_text(void **state)
{
	struct page_counts counts = { .states = { [PAGE_GOOD] = PAGE_ROWS_SHOWN + 1 } };
	(void)state;
	page_begin(&out, &counts, NOW);
	for (size_t i = 0; i <= PAGE_ROWS_SHOWN; i++) {
		page_fold(&out, i);
		buf_printf(&out, "row %zu\n", i);
	}
	page_end(&out, PAGE_ROWS_SHOWN + 1);
	const char *fold = strstr(text(), "</main>"), *rest = strstr(text(), "<script type=\"text/plain\" id=rest>");
	assert_true(strstr(text(), "row 199\n") < fold && fold < rest && rest < strstr(text(), "row 200\n"));
	assert_null(strstr(fold + 1, "</main>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(page__no_text_becomes_markup_or_turns_the_line_around, begin),
		cmocka_unit_test_setup(page__allows_exactly_its_own_style_and_script, begin),
		cmocka_unit_test_setup(page__the_strip_says_what_it_draws, begin),
		cmocka_unit_test_setup(page__a_history_from_the_future_is_no_strip, begin),
		cmocka_unit_test_setup(page__rows_behind_the_first_lie_in_text, begin),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_done(&out);
	return failed;
}
