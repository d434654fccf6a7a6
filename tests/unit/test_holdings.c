#include "agent/holdings.h"
#include "agent/pixel_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 5000

static void code_of(int i, char ret[PIXEL_CODE_MAX + 1])
{
	snprintf(ret, PIXEL_CODE_MAX + 1, "C9%017d0", (i * 7919) % COUNT);
}

static struct holding *make(const char *code, uint32_t version, enum verdict verdict, const char *sealed)
{
	struct credential c = { .version_count = 2,
				.last_number = version,
				.label_count = 1,
				.labels = { { "shop", "berlin" } },
				.versions = { { .number = version - 1, .stage = STAGE_PREVIOUS },
					      { .number = version, .stage = STAGE_CURRENT, .expires_at = 77 } } };
	struct health h = { .current = { .version = version, .verdict = verdict, .proven_at = 55 },
			    .counter = 3 };
	struct holding *ret;
	struct error err;
	snprintf(c.pixel, sizeof c.pixel, "%s", code);
	assert_true(holding_new(&c, &h, version % 2, bytes_of_text(sealed), bytes_of_text("older"), &ret, &err));
	return ret;
}

static void put(struct holdings *hs, struct holding *h)
{
	struct holding *before = NULL;
	struct error err;
	assert_true(holdings_put(hs, h, &before, &err));
	holding_free(before);
}

static void holding__keeps_all_that_is_known(void **state)
{
	(void)state;
	struct holding *h = make("C0U2T02IU8J6B9GC2B90", 7, VERDICT_HEALTHY, "sealed bytes");
	struct credential c;
	struct health health;
	assert_true(holding_decode(h, &c, &health));
	assert_string_equal(c.pixel, "C0U2T02IU8J6B9GC2B90");
	assert_int_equal(c.versions[1].number, 7);
	assert_int_equal(health.counter, 3);
	assert_int_equal(h->current, 7);
	assert_int_equal(h->previous, 6);
	assert_int_equal(h->pending, 0);
	assert_int_equal(h->verdict, VERDICT_HEALTHY);
	assert_int_equal(h->proven_at, 55);
	assert_int_equal(h->expires_at, 77);
	assert_true(bytes_equal(h->sealed, bytes_of_text("sealed bytes")));
	assert_true(bytes_equal(h->previous_sealed, bytes_of_text("older")));
	assert_true(holding_has_label(h, &(struct label){ "shop", "berlin" }));
	assert_false(holding_has_label(h, &(struct label){ "shop", "paris" }));
	holding_free(h);
}

static void assert_sorted(struct holdings *hs, size_t count)
{
	const struct holding *h;
	char after[PIXEL_CODE_MAX + 1] = "";
	size_t seen = 0;
	while ((h = holdings_after(hs, after))) {
		assert_true(strcmp(after, h->pixel) < 0);
		memcpy(after, h->pixel, sizeof after);
		seen++;
	}
	assert_int_equal(seen, count);
	assert_int_equal(holdings_count(hs), count);
}

static void holdings__find_replace_remove_and_keep_order(void **state)
{
	(void)state;
	struct holdings *hs;
	struct error err;
	char code[PIXEL_CODE_MAX + 1];
	assert_true(holdings_new(&hs, &err));
	holdings_expect_many(hs);
	for (int i = 0; i < COUNT; i++) {
		code_of(i, code);
		put(hs, make(code, 2, VERDICT_HEALTHY, "a"));
	}
	assert_sorted(hs, COUNT);
	assert_int_equal(holdings_with_verdict(hs, VERDICT_HEALTHY), COUNT);
	for (int i = 0; i < COUNT; i += 3) {
		code_of(i, code);
		put(hs, make(code, 3, VERDICT_REVOKED, "b"));
		assert_int_equal(holdings_find(hs, code)->current, 3);
	}
	assert_int_equal(holdings_with_verdict(hs, VERDICT_REVOKED), (COUNT + 2) / 3);
	assert_int_equal(holdings_due(hs), (COUNT + 2) / 3);
	for (int i = 0; i < COUNT; i += 2) {
		code_of(i, code);
		struct holding *gone = holdings_remove(hs, code);
		assert_non_null(gone);
		assert_string_equal(gone->pixel, code);
		holding_free(gone);
		assert_null(holdings_find(hs, code));
		assert_null(holdings_remove(hs, code));
	}
	assert_sorted(hs, COUNT / 2);
	for (int i = 1; i < COUNT; i += 2) {
		code_of(i, code);
		assert_non_null(holdings_find(hs, code));
	}
	/* One by one, into their places. */
	put(hs, make("A0000000", 1 + 1, VERDICT_HEALTHY, "c"));
	put(hs, make("C9000000000000000005X", 2, VERDICT_HEALTHY, "c"));
	put(hs, make("Z0000000", 2, VERDICT_HEALTHY, "c"));
	assert_sorted(hs, COUNT / 2 + 3);
	holdings_clear(hs);
	assert_sorted(hs, 0);
	assert_null(holdings_find(hs, "A0000000"));
	put(hs, make("A0000000", 2, VERDICT_HEALTHY, "c"));
	assert_sorted(hs, 1);
	holdings_free(hs);
}

static void pixel_map__agrees_with_a_plain_list_through_any_sequence(void **state)
{
	(void)state;
	static char codes[300][8];
	bool is_in[300] = { false };
	struct pixel_map m = { 0 };
	struct error err;
	size_t count = 0;
	srand(7);
	for (int i = 0; i < 300; i++)
		snprintf(codes[i], sizeof codes[i], "P%d", i);
	for (int step = 0; step < 20000; step++) {
		int i = rand() % 300;
		const char *before = NULL;
		if (rand() % 2) {
			assert_true(pixel_map_put(&m, codes[i], &before, &err));
			assert_ptr_equal(before, is_in[i] ? codes[i] : NULL);
			count += !is_in[i];
			is_in[i] = true;
		} else {
			assert_ptr_equal(pixel_map_remove(&m, codes[i]), is_in[i] ? codes[i] : NULL);
			count -= is_in[i];
			is_in[i] = false;
		}
		assert_int_equal(m.count, count);
	}
	for (int i = 0; i < 300; i++)
		assert_ptr_equal(pixel_map_find(&m, codes[i]), is_in[i] ? codes[i] : NULL);
	pixel_map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holding__keeps_all_that_is_known),
		cmocka_unit_test(holdings__find_replace_remove_and_keep_order),
		cmocka_unit_test(pixel_map__agrees_with_a_plain_list_through_any_sequence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
