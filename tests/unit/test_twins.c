#include "cli/twins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct credential holding(unsigned pixel, uint32_t current, uint32_t pending)
{
	struct credential c = { .version_count = 0 };
	const uint32_t tokens[] = { current, pending };
	snprintf(c.pixel, sizeof c.pixel, "C%019u", pixel);
	for (size_t i = 0; i < 2; i++) {
		if (!tokens[i])
			continue;
		struct version *v = &c.versions[c.version_count++];
		*v = (struct version){ .number = (uint32_t)i + 1, .stage = i ? STAGE_PENDING : STAGE_CURRENT };
		memcpy(v->fingerprint, &tokens[i], sizeof tokens[i]);
	}
	return c;
}

static void expect(struct twins *t, struct credential c, const char *other)
{
	char found[PIXEL_CODE_MAX + 1];
	struct error err;
	assert_true(twins_note(t, &c, found, &err));
	assert_string_equal(found, other);
}

static void twins__the_first_with_the_same_token_is_named(void **state)
{
	struct twins t = { 0 };
	(void)state;
	expect(&t, holding(1, 10, 11), "");
	expect(&t, holding(2, 20, 20), ""); /* twice under one Pixel is nobody else's */
	expect(&t, holding(3, 30, 11), "C0000000000000000001");
	expect(&t, holding(4, 11, 20), "C0000000000000000001");
	expect(&t, holding(5, 0, 0), "");
	twins_done(&t);
}

static void twins__old_versions_do_not_count(void **state)
{
	struct twins t = { 0 };
	struct credential c = holding(1, 10, 11);
	(void)state;
	c.versions[0].stage = STAGE_PREVIOUS;
	c.versions[1].stage = STAGE_RETIRED;
	expect(&t, c, "");
	expect(&t, holding(2, 10, 11), "");
	twins_done(&t);
}

static void twins__many_are_kept_apart(void **state)
{
	struct twins t = { 0 };
	char other[PIXEL_CODE_MAX + 1];
	(void)state;
	for (unsigned i = 1; i <= 5000; i++)
		expect(&t, holding(i, i * 64, 0), "");
	for (unsigned i = 1; i <= 5000; i++) {
		snprintf(other, sizeof other, "C%019u", i);
		expect(&t, holding(i + 10000, i * 64, 0), other);
	}
	twins_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twins__the_first_with_the_same_token_is_named),
		cmocka_unit_test(twins__old_versions_do_not_count),
		cmocka_unit_test(twins__many_are_kept_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
