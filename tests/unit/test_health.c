#include "vault/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static struct judgement judged(uint32_t version, enum verdict verdict)
{
	struct judgement j = { .version = version,
			       .verdict = verdict,
			       .evidence = { .probe = PROBE_TEST, .code = 40105, .http = 200, .at = 1700000000 },
			       .last_outcome = OUTCOME_THROTTLED,
			       .attempted_at = 1700000100,
			       .checked_at = 1700000050,
			       .proven_at = 1690000000,
			       .suspected = VERDICT_EXPIRED,
			       .suspected_at = 1700000060 };
	strcpy(j.evidence.text, "Access token is incorrect or has been revoked. \xc3\xa4");
	strcpy(j.evidence.request_id, "2026112300000000010102");
	strcpy(j.belongs_to, "C0U2T02IU8J6B9GC2B90");
	strcpy(j.attempt_text, "too many requests");
	return j;
}

static struct health full(void)
{
	struct health h = { .counter = UINT64_MAX - 1, .failures = 7, .next_check_at = 1800000000 };
	h.current = judged(3, VERDICT_REVOKED);
	h.pending = judged(4, VERDICT_HEALTHY);
	h.pending.evidence.code = NO_CODE;
	h.pending.evidence.http = 0;
	h.pending.checked_at = -1;
	for (uint32_t i = 0; i < HEALTH_HISTORY_MAX; i++)
		h.history[h.history_count++] = (struct health_change){ .at = (int64_t)i * 1000,
								       .version = i,
								       .verdict = (enum verdict)(i % OUTCOME_COUNT),
								       .probe = (enum probe_kind)(i % 6),
								       .code = (int32_t)i - 8 };
	return h;
}

static struct health with_fading(void)
{
	struct health h = full();
	h.reported_at = 1700000001;
	for (uint32_t i = 0; i < FADING_MAX; i++)
		h.fading[h.fading_count++] = (struct fading){ i + 1, VERDICT_REVOKED, -1, INT64_MAX, 1700000000 + i };
	return h;
}

static struct health with_sights(void)
{
	struct health h = with_fading();
	health_see(&h, "bc:99999999999999999999", SIGHT_ABSENT, false, 5);
	health_see(&h, "advertiser:99999999999999999999", SIGHT_LISTED, true, 6);
	health_see(&h, "advertiser:1000", SIGHT_UNBOUND, true, 7);
	health_see(&h, "bc:1000", SIGHT_REJECTED, true, 8);
	return h;
}

static void judgement__assert_equal(const struct judgement *a, const struct judgement *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->evidence.probe, b->evidence.probe);
	assert_int_equal(a->evidence.code, b->evidence.code);
	assert_int_equal(a->evidence.http, b->evidence.http);
	assert_int_equal(a->evidence.at, b->evidence.at);
	assert_string_equal(a->evidence.text, b->evidence.text);
	assert_string_equal(a->evidence.request_id, b->evidence.request_id);
	assert_int_equal(a->last_outcome, b->last_outcome);
	assert_int_equal(a->attempted_at, b->attempted_at);
	assert_string_equal(a->attempt_text, b->attempt_text);
	assert_int_equal(a->checked_at, b->checked_at);
	assert_int_equal(a->proven_at, b->proven_at);
	assert_int_equal(a->suspected, b->suspected);
	assert_int_equal(a->suspected_at, b->suspected_at);
	assert_string_equal(a->belongs_to, b->belongs_to);
}

static void encoded(const struct health *h, struct buf *out)
{
	struct error err;
	assert_true(health_encode(h, out, &err));
}

static void health__comes_back_as_it_was_and_encodes_to_the_same_bytes(void **state)
{
	(void)state;
	struct health all[] = { with_sights(), with_fading(), full(), { .counter = 0 }, { .reported_at = 1 }, { .counter = 1 } };
	health_see(&all[5], "bc:1000", SIGHT_PENDING, false, 9);
	memset(all[0].current.evidence.text, 'e', EVIDENCE_TEXT_MAX);
	memset(all[0].current.evidence.request_id, 'r', REQUEST_ID_MAX);
	memset(all[0].current.belongs_to, 'B', PIXEL_CODE_MAX);
	memset(all[0].current.attempt_text, 'a', ATTEMPT_TEXT_MAX);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct buf first = BUF_INIT(16384), second = BUF_INIT(16384);
		struct health back;
		encoded(&all[i], &first);
		assert_true(first.len <= 4095);
		assert_true(health_decode(buf_bytes(&first), &back));
		assert_int_equal(back.counter, all[i].counter);
		judgement__assert_equal(&back.current, &all[i].current);
		judgement__assert_equal(&back.pending, &all[i].pending);
		assert_int_equal(back.failures, all[i].failures);
		assert_int_equal(back.next_check_at, all[i].next_check_at);
		assert_int_equal(back.history_count, all[i].history_count);
		for (size_t k = 0; k < back.history_count; k++) {
			assert_int_equal(back.history[k].at, all[i].history[k].at);
			assert_int_equal(back.history[k].version, all[i].history[k].version);
			assert_int_equal(back.history[k].verdict, all[i].history[k].verdict);
			assert_int_equal(back.history[k].probe, all[i].history[k].probe);
			assert_int_equal(back.history[k].code, all[i].history[k].code);
		}
		assert_int_equal(back.reported_at, all[i].reported_at);
		assert_int_equal(back.fading_count, all[i].fading_count);
		for (size_t k = 0; k < back.fading_count; k++) {
			assert_int_equal(back.fading[k].version, all[i].fading[k].version);
			assert_int_equal(back.fading[k].verdict, all[i].fading[k].verdict);
			assert_int_equal(back.fading[k].proven_at, all[i].fading[k].proven_at);
			assert_int_equal(back.fading[k].checked_at, all[i].fading[k].checked_at);
			assert_int_equal(back.fading[k].refused_at, all[i].fading[k].refused_at);
		}
		assert_int_equal(back.sight_count, all[i].sight_count);
		assert_memory_equal(back.sights, all[i].sights, sizeof back.sights);
		encoded(&back, &second);
		assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		buf_done(&first);
		buf_done(&second);
	}
}

static void health__cut_short_or_with_a_byte_more_is_not_ours_and_leaves_the_result_alone(void **state)
{
	(void)state;
	struct health h = full(), back, untouched;
	struct buf out = BUF_INIT(16384);
	memset(&back, 0xa5, sizeof back);
	untouched = back;
	encoded(&h, &out);
	for (size_t len = 0; len < out.len; len++) {
		uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a read too far */
		assert_non_null(exact);
		memcpy(exact, out.at, len);
		assert_false(health_decode(bytes_of(exact, len), &back));
		free(exact);
	}
	buf_append(&out, "", 1);
	assert_false(health_decode(buf_bytes(&out), &back));
	assert_memory_equal(&back, &untouched, sizeof back);
	buf_done(&out);
}

/* Whatever decodes at all encodes to the very bytes: there is no second way to write it. */
static void health__every_change_of_a_byte_is_refused_or_is_another_health(void **state)
{
	(void)state;
	struct health h = full();
	struct buf out = BUF_INIT(16384);
	unsigned refused = 0, taken = 0;
	encoded(&h, &out);
	for (size_t i = 0; i < out.len; i++) {
		static const uint8_t values[] = { 0, 1, 0x7f, 0xff };
		uint8_t before = out.at[i];
		for (size_t k = 0; k < COUNT_OF(values); k++) {
			struct health back;
			struct buf again = BUF_INIT(16384);
			out.at[i] = values[k];
			if (health_decode(buf_bytes(&out), &back)) {
				encoded(&back, &again);
				assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
				taken++;
			} else {
				refused++;
			}
			buf_done(&again);
		}
		out.at[i] = before;
	}
	assert_true(refused > 50 && taken > 50);
	out.at[0] = 2; /* a format to come */
	struct health back;
	assert_false(health_decode(buf_bytes(&out), &back));
	buf_done(&out);
}

/* ---- following the versions ---- */

static struct credential with(uint32_t current, uint32_t pending)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .last_number = 9 };
	if (current)
		c.versions[c.version_count++] = (struct version){ .number = current, .stage = STAGE_CURRENT };
	if (pending)
		c.versions[c.version_count++] = (struct version){ .number = pending, .stage = STAGE_PENDING };
	return c;
}

static void align__a_promoted_version_brings_its_judgement_along(void **state)
{
	(void)state;
	struct health h = full(), before = h;
	struct credential c = with(4, 0);
	health_align(&h, &c);
	judgement__assert_equal(&h.current, &before.pending);
	assert_int_equal(h.pending.version, 0);
	assert_int_equal(h.pending.verdict, VERDICT_UNCHECKED);
	assert_int_equal(h.pending.checked_at, 0);
	assert_int_equal(h.history_count, before.history_count);
	c = with(4, 5); /* and a newer one waits already */
	h = before;
	health_align(&h, &c);
	judgement__assert_equal(&h.current, &before.pending);
	assert_int_equal(h.pending.version, 5);
	assert_int_equal(h.pending.verdict, VERDICT_UNCHECKED);
}

static void align__what_still_stands_is_left_alone(void **state)
{
	(void)state;
	struct health h = full(), before = h;
	struct credential c = with(3, 4);
	health_align(&h, &c);
	judgement__assert_equal(&h.current, &before.current);
	judgement__assert_equal(&h.pending, &before.pending);
}

static void align__what_was_current_fades_and_its_verdict_counts(void **state)
{
	(void)state;
	struct health h = full();
	struct credential c = with(4, 0);
	c.versions[c.version_count++] = (struct version){ .number = 3, .stage = STAGE_PREVIOUS };
	health_align(&h, &c);
	const struct fading *f = health_fading(&h, 3);
	assert_non_null(f);
	assert_int_equal(h.fading_count, 1);
	assert_int_equal(f->verdict, VERDICT_REVOKED);
	assert_int_equal(f->proven_at, 1690000000);
	assert_true(f->refused_at > 0);
	health_align(&h, &c); /* once */
	assert_int_equal(h.fading_count, 1);
	/* Back in its place: it is judged again as current. */
	c.versions[0].stage = STAGE_PREVIOUS;
	c.versions[1].stage = STAGE_CURRENT;
	health_align(&h, &c);
	assert_null(health_fading(&h, 3));
	f = health_fading(&h, 4);
	assert_non_null(f);
	assert_int_equal(f->verdict, VERDICT_HEALTHY);
	assert_int_equal(f->refused_at, 0);
	/* Deleted: nothing is known of it. */
	c.version_count = 2;
	c.versions[0].number = 7;
	health_align(&h, &c);
	assert_int_equal(h.fading_count, 0);
}

static void align__what_was_put_aside_takes_its_judgement_along(void **state)
{
	(void)state;
	struct health h = full();
	struct credential c = with(3, 0);
	c.versions[c.version_count++] = (struct version){ .number = 4, .stage = STAGE_STANDBY };
	health_align(&h, &c);
	const struct fading *f = health_fading(&h, 4);
	assert_non_null(f);
	assert_int_equal(f->verdict, VERDICT_HEALTHY);
	assert_int_equal(h.pending.version, 0);
	assert_int_equal(h.current.verdict, VERDICT_REVOKED);
}

static void fading__the_oldest_gives_way(void **state)
{
	(void)state;
	struct health h = { 0 };
	for (uint32_t i = 1; i <= FADING_MAX + 1; i++)
		health_fade(&h, i)->checked_at = i;
	assert_int_equal(h.fading_count, FADING_MAX);
	assert_null(health_fading(&h, 1));
	assert_int_equal(health_fading(&h, 2)->checked_at, 2);
	assert_int_equal(health_fade(&h, 3)->checked_at, 3);
	assert_int_equal(h.fading_count, FADING_MAX);
}

static void align__what_is_gone_or_new_is_as_never_asked(void **state)
{
	(void)state;
	static const uint32_t pairs[][2] = { { 0, 0 }, { 8, 9 }, { 8, 0 }, { 0, 9 }, { 3, 9 }, { 0, 4 } };
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct health h = full();
		struct credential c = with(pairs[i][0], pairs[i][1]);
		health_align(&h, &c);
		assert_int_equal(h.current.version, pairs[i][0]);
		assert_int_equal(h.pending.version, pairs[i][1]);
		assert_int_equal(h.current.verdict, pairs[i][0] == 3 ? VERDICT_REVOKED : VERDICT_UNCHECKED);
		assert_int_equal(h.pending.verdict, pairs[i][1] == 4 ? VERDICT_HEALTHY : VERDICT_UNCHECKED);
		if (pairs[i][0] != 3) {
			assert_int_equal(h.current.evidence.code, NO_CODE);
			assert_int_equal(h.current.suspected, VERDICT_UNCHECKED);
			assert_string_equal(h.current.belongs_to, "");
		}
	}
}

static void speaking__is_current_else_pending_else_nobody(void **state)
{
	(void)state;
	struct health h = full();
	struct credential c = with(3, 4);
	assert_ptr_equal(health_speaking(&h, &c), &h.current);
	c = with(3, 0);
	assert_ptr_equal(health_speaking(&h, &c), &h.current);
	c = with(0, 4);
	assert_ptr_equal(health_speaking(&h, &c), &h.pending);
	c = with(0, 0);
	assert_null(health_speaking(&h, &c));
}

/* ---- history ---- */

static void history__grows_only_when_the_verdict_of_that_version_changed(void **state)
{
	(void)state;
	struct health h = { 0 };
	struct judgement j = judged(1, VERDICT_HEALTHY), other = judged(2, VERDICT_HEALTHY);
	health_remember(&h, &j);
	assert_int_equal(h.history_count, 1);
	assert_int_equal(h.history[0].at, j.evidence.at);
	assert_int_equal(h.history[0].version, 1);
	assert_int_equal(h.history[0].verdict, VERDICT_HEALTHY);
	assert_int_equal(h.history[0].probe, PROBE_TEST);
	assert_int_equal(h.history[0].code, 40105);
	j.evidence.at++;
	health_remember(&h, &j);
	assert_int_equal(h.history_count, 1);
	health_remember(&h, &other);
	assert_int_equal(h.history_count, 2);
	health_remember(&h, &j); /* its own last entry counts, not the other version's */
	assert_int_equal(h.history_count, 2);
	j.verdict = VERDICT_REVOKED;
	health_remember(&h, &j);
	j.verdict = VERDICT_HEALTHY;
	health_remember(&h, &j);
	assert_int_equal(h.history_count, 4);
	assert_int_equal(h.history[3].verdict, VERDICT_HEALTHY);
}

static void history__keeps_the_newest_sixteen(void **state)
{
	(void)state;
	struct health h = { 0 };
	for (uint32_t i = 1; i <= 40; i++) {
		struct judgement j = judged(i, VERDICT_HEALTHY);
		j.evidence.at = i;
		health_remember(&h, &j);
		assert_int_equal(h.history_count, i < HEALTH_HISTORY_MAX ? i : HEALTH_HISTORY_MAX);
	}
	for (uint32_t i = 0; i < HEALTH_HISTORY_MAX; i++)
		assert_int_equal(h.history[i].version, 25 + i);
}

/* ---- names ---- */

/* What is in force is remembered when the last line of the history is not it, though an older one may be. */
static void history__gets_what_is_in_force_once(void **state)
{
	(void)state;
	struct health h = { .counter = 0 };
	struct judgement one = { .version = 1, .verdict = VERDICT_HEALTHY }, two = { .version = 2, .verdict = VERDICT_HEALTHY };
	const struct judgement *steps[] = { &one, &one, &two, &one, &one };
	static const size_t counts[] = { 1, 1, 2, 3, 3 };
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		health_remember_in_force(&h, steps[i]);
		assert_int_equal(h.history_count, counts[i]);
		assert_int_equal(h.history[h.history_count - 1].version, steps[i]->version);
	}
	one.verdict = VERDICT_REVOKED;
	health_remember_in_force(&h, &one);
	assert_int_equal(h.history_count, 4);
	assert_int_equal(h.history[3].verdict, VERDICT_REVOKED);
}

static void verdict__names_exits_and_groups(void **state)
{
	(void)state;
	static const struct {
		enum verdict v;
		const char *name;
		enum error_code exit;
		bool bad, transient;
	} rows[] = {
		{ VERDICT_UNCHECKED, "unchecked", ERR_NONE, false, false },
		{ VERDICT_HEALTHY, "healthy", ERR_NONE, false, false },
		{ VERDICT_UNPROVEN, "unproven", ERR_NONE, false, false },
		{ VERDICT_EXPIRED, "expired", ERR_EXPIRED, true, false },
		{ VERDICT_REVOKED, "revoked", ERR_EXPIRED, true, false },
		{ VERDICT_MISMATCHED, "mismatched", ERR_MISMATCHED, true, false },
		{ VERDICT_NO_PERMISSION, "no-permission", ERR_MISMATCHED, true, false },
		{ VERDICT_MALFORMED, "malformed", ERR_MALFORMED, true, false },
		{ OUTCOME_THROTTLED, "throttled", ERR_UNREACHABLE, false, true },
		{ OUTCOME_UNREACHABLE, "unreachable", ERR_UNREACHABLE, false, true },
		{ OUTCOME_UNKNOWN, "unknown", ERR_UNCLEAR, false, true },
	};
	assert_int_equal(COUNT_OF(rows), OUTCOME_COUNT);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(rows[i].v, i); /* stored numbers */
		assert_string_equal(verdict_name(rows[i].v), rows[i].name);
		assert_int_equal(verdict_exit(rows[i].v), rows[i].exit);
		assert_int_equal(verdict_is_bad(rows[i].v), rows[i].bad);
		assert_int_equal(verdict_is_transient(rows[i].v), rows[i].transient);
	}
	assert_string_equal(verdict_name(OUTCOME_COUNT), "unknown");
	assert_int_equal(verdict_exit(OUTCOME_COUNT), ERR_UNCLEAR);
}

static void probe__names(void **state)
{
	(void)state;
	static const char *const names[] = { "dry", "test", "live", "listing", "report" };
	assert_null(probe_name(PROBE_NONE));
	for (int i = 0; i < 5; i++)
		assert_string_equal(probe_name((enum probe_kind)(i + 1)), names[i]);
	assert_null(probe_name((enum probe_kind)7));
}

static void sight__readings_that_say_the_same_are_counted(void **state)
{
	(void)state;
	struct health h = { .counter = 0 };
	for (int64_t at = 1; at <= 300; at++)
		health_see(&h, "bc:1000", SIGHT_UNBOUND, true, at);
	const struct sight *s = health_sight(&h, "bc:1000");
	assert_int_equal(s->times, 255);
	assert_int_equal(s->since, 1);
	assert_int_equal(s->at, 300);
	health_see(&h, "bc:1000", SIGHT_UNBOUND, false, 301); /* with another token */
	assert_int_equal(s->times, 1);
	assert_int_equal(s->since, 301);
	health_see(&h, "bc:1000", SIGHT_LISTED, false, 302);
	assert_int_equal(s->since, 302);
	health_unsee(&h, "bc:1001");
	health_unsee(&h, "bc:1000");
	assert_int_equal(h.sight_count, 0);
}

static void sight__the_oldest_gives_way(void **state)
{
	(void)state;
	struct health h = { .counter = 0 };
	char name[LIST_NAME_MAX + 1] = "bc:1000";
	for (int i = 0; i < SIGHTS_MAX; i++) {
		name[6] = (char)('0' + i);
		health_see(&h, name, SIGHT_LISTED, true, i == 2 ? 1 : 10 + i);
	}
	health_see(&h, "bc:0999", SIGHT_LISTED, true, 20);
	assert_int_equal(h.sight_count, SIGHTS_MAX);
	assert_null(health_sight(&h, "bc:1002"));
	assert_string_equal(h.sights[0].list, "bc:0999");
}

/* Cut before what faded, or between that and what lists say, it is another health; cut anywhere else it is none. */
static void health__what_faded_and_what_lists_say_cut_short_is_not_ours(void **state)
{
	(void)state;
	struct health parts[] = { full(), with_fading(), with_sights() }, back;
	size_t lens[3];
	struct buf out = BUF_INIT(16384);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		buf_clear(&out);
		encoded(&parts[i], &out);
		lens[i] = out.len;
	}
	for (size_t len = lens[0]; len < lens[2]; len++) {
		uint8_t *exact = malloc(len);
		assert_non_null(exact);
		memcpy(exact, out.at, len);
		assert_int_equal(health_decode(bytes_of(exact, len), &back), len == lens[0] || len == lens[1]);
		free(exact);
	}
	out.at[lens[0] + 8] = FADING_MAX + 1;
	assert_false(health_decode(buf_bytes(&out), &back));
	out.at[lens[0] + 8] = FADING_MAX;
	out.at[lens[1]] = 0; /* no list: then the part is not there */
	assert_false(health_decode(buf_bytes(&out), &back));
	out.at[lens[1]] = SIGHTS_MAX + 1;
	assert_false(health_decode(buf_bytes(&out), &back));
	buf_done(&out);
}

/* Where it has one form only: no part that says nothing, nothing behind the last one, and 0 or 1 where that is all. */
static void health__written_another_way_is_not_ours(void **state)
{
	(void)state;
	struct health plain = full(), sights = with_sights(), back;
	struct buf out = BUF_INIT(16384);
	encoded(&plain, &out);
	for (size_t i = 0; i < 9; i++)
		buf_append_uint(&out, 1, 0); /* never reported, nothing faded */
	assert_false(health_decode(buf_bytes(&out), &back));
	buf_clear(&out);
	encoded(&sights, &out);
	buf_append_uint(&out, 1, 0);
	assert_false(health_decode(buf_bytes(&out), &back));
	out.len--;
	assert_true(health_decode(buf_bytes(&out), &back));
	const struct sight *last = &sights.sights[sights.sight_count - 1];
	uint8_t *own = out.at + out.len - 8 - 8 - 1 - 1; /* before times and two moments */
	assert_int_equal(*own, last->is_own);
	*own = 2;
	assert_false(health_decode(buf_bytes(&out), &back));
	buf_done(&out);
}

static bool is_taken(const struct sight *s, size_t count)
{
	struct health h = { .reported_at = 1, .sight_count = count }, back;
	struct buf out = BUF_INIT(16384);
	memcpy(h.sights, s, count * sizeof *s);
	encoded(&h, &out);
	bool good = health_decode(buf_bytes(&out), &back);
	buf_done(&out);
	return good;
}

static void health__what_no_list_says_is_not_ours(void **state)
{
	(void)state;
	const struct sight good = { .list = "bc:1000", .kind = SIGHT_LISTED, .times = 1, .since = 1, .at = 1 };
	struct sight s = good, two[2] = { good, good };
	assert_true(is_taken(&s, 1));
	s.kind = (enum sight_kind)0;
	assert_false(is_taken(&s, 1));
	s.kind = SIGHT_KIND_COUNT;
	assert_false(is_taken(&s, 1));
	s = good;
	s.times = 0;
	assert_false(is_taken(&s, 1));
	strcpy(s.list, "bc:nowhere");
	assert_false(is_taken(&s, 1));
	assert_false(is_taken(two, 2)); /* the same list twice */
	strcpy(two[0].list, "bc:1001");
	assert_false(is_taken(two, 2)); /* out of order */
	strcpy(two[1].list, "bc:1002");
	assert_true(is_taken(two, 2));
	assert_null(sight_name(SIGHT_KIND_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health__what_faded_and_what_lists_say_cut_short_is_not_ours),
		cmocka_unit_test(health__what_no_list_says_is_not_ours),
		cmocka_unit_test(health__written_another_way_is_not_ours),
		cmocka_unit_test(health__comes_back_as_it_was_and_encodes_to_the_same_bytes),
		cmocka_unit_test(health__cut_short_or_with_a_byte_more_is_not_ours_and_leaves_the_result_alone),
		cmocka_unit_test(health__every_change_of_a_byte_is_refused_or_is_another_health),
		cmocka_unit_test(sight__readings_that_say_the_same_are_counted),
		cmocka_unit_test(sight__the_oldest_gives_way),
		cmocka_unit_test(align__a_promoted_version_brings_its_judgement_along),
		cmocka_unit_test(align__what_still_stands_is_left_alone),
		cmocka_unit_test(align__what_was_current_fades_and_its_verdict_counts),
		cmocka_unit_test(align__what_was_put_aside_takes_its_judgement_along),
		cmocka_unit_test(fading__the_oldest_gives_way),
		cmocka_unit_test(align__what_is_gone_or_new_is_as_never_asked),
		cmocka_unit_test(speaking__is_current_else_pending_else_nobody),
		cmocka_unit_test(history__grows_only_when_the_verdict_of_that_version_changed),
		cmocka_unit_test(history__keeps_the_newest_sixteen),
		cmocka_unit_test(history__gets_what_is_in_force_once),
		cmocka_unit_test(verdict__names_exits_and_groups),
		cmocka_unit_test(probe__names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
