/* page_maker COUNT [SEED [hostile]]: the real page (agent/page.h) of COUNT Pixels that are made up, on stdout; the same
 * for the same numbers. For what needs more of them, or a longer history, than a test can put and check. Of four in
 * five all is well. hostile: their labels try to become part of the page.
 *
 * page_maker loader: what stands at / of status-listen. */
#include "agent/page.h"

#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY INT64_C(86400)
#define PAGE_MAX ((size_t)256 << 20)

struct made {
	uint64_t place;
	struct credential c;
	struct health h;
};

static const struct settings settings = { .interval_s = 21600, .expiry_warning_s = { 30 * DAY, 7 * DAY, DAY } };

static uint64_t state;
static bool is_hostile;

/* splitmix64 */
static uint64_t next(uint64_t below)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

static void add_label(struct credential *c, const char *key, const char *value)
{
	struct label *l = &c->labels[c->label_count++];
	snprintf(l->key, sizeof l->key, "%s", key);
	snprintf(l->value, sizeof l->value, "%s", value);
}

static void make_credential(struct credential *c, unsigned number, int64_t now)
{
	static const char *const shops[] = { "berlin", "paris", "lyon", "oslo", "porto" };
	static const char *const owners[] = { "anna", "ben", "carla" };
	static const char *const weights[] = { "0.5", "2.5", "40" };
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
	c->pixel[0] = 'C';
	for (int i = 1; i < 19; i++)
		c->pixel[i] =
			i < 12 ? digits[next(32)] : digits[(number >> (5 * (18 - i) > 30 ? 30 : 5 * (18 - i))) & 31];
	c->pixel[19] = 'G';
	add_label(c, "owner", owners[next(3)]);
	add_label(c, "shop", shops[next(5)]);
	if (next(3) == 0)
		add_label(c, "weight", weights[next(3)]);
	if (is_hostile) {
		add_label(c, "x", "<img src=x onerror=\"pwned=1\">");
		add_label(c, "y", "</script><script>pwned=1</script>");
		add_label(c, "z", "'\" onfocus=pwned=1 autofocus <!--<script>");
	}
	c->last_number = (uint32_t)(1 + next(4));
	c->version_count = 1;
	c->versions[0] = (struct version){ .number = c->last_number,
					   .stage = STAGE_CURRENT,
					   .stored_at = now - (int64_t)(2 + next(200)) * DAY };
	for (size_t i = 0; i < FINGERPRINT_LEN; i++)
		c->versions[0].fingerprint[i] = (uint8_t)next(256);
	if (next(8) == 0)
		c->versions[0].expires_at = now + (int64_t)(1 + next(60)) * DAY;
}

static void add_change(struct health *h, int64_t at, enum verdict verdict, int32_t code)
{
	h->history[h->history_count++] = (struct health_change){
		.at = at, .version = h->current.version, .verdict = verdict, .probe = PROBE_TEST, .code = code
	};
}

static void make_health(struct health *h, const struct credential *c, int64_t now)
{
	static const enum verdict others[] = { VERDICT_UNPROVEN, VERDICT_REVOKED, VERDICT_EXPIRED, VERDICT_MISMATCHED,
					       VERDICT_NO_PERMISSION };
	static const int32_t codes[] = { 0, 40105, 40102, 40002, 40001 };
	size_t which = next(5);
	struct judgement *j = &h->current;
	enum verdict verdict = next(5) ? VERDICT_HEALTHY : others[which];
	int32_t code = verdict == VERDICT_HEALTHY ? 0 : codes[which];
	int64_t since = now - (int64_t)(3600 + next(20 * (uint64_t)DAY));
	*j = (struct judgement){ .version = c->last_number, .verdict = verdict, .last_outcome = verdict };
	j->evidence = (struct evidence){ .probe = PROBE_TEST, .code = code, .http = 200, .at = since };
	snprintf(j->evidence.text, sizeof j->evidence.text, "%s",
		 verdict_is_bad(verdict) ? "Access token is incorrect or has been revoked." : "OK");
	snprintf(j->evidence.request_id, sizeof j->evidence.request_id, "202611%08u0A1B2C3D4E5F60718293",
		 (unsigned)next(100000000));
	j->attempted_at = j->checked_at = now - (int64_t)next(21600);
	j->proven_at = verdict == VERDICT_HEALTHY ? j->checked_at : verdict_is_bad(verdict) ? since - 600 : 0;
	h->next_check_at = j->checked_at + 21600;
	add_change(h, since - 25 * DAY, VERDICT_HEALTHY, 0);
	if (verdict != VERDICT_HEALTHY) {
		add_change(h, since, verdict, code);
	} else if (next(4) == 0) {
		add_change(h, since - 3 * DAY, VERDICT_REVOKED, 40105);
		add_change(h, since - DAY, VERDICT_HEALTHY, 0);
	}
	h->pending.evidence.code = NO_CODE;
}

static int by_place(const void *a, const void *b)
{
	const struct made *x = a, *y = b;
	return x->place != y->place ? (x->place < y->place ? -1 : 1) : strcmp(x->c.pixel, y->c.pixel);
}

static void make_page(struct buf *out, struct made *rows, size_t count, int64_t now)
{
	struct page_counts counts = { .states = { 0 } };
	struct status_row row;
	for (size_t i = 0; i < count; i++) {
		make_credential(&rows[i].c, (unsigned)i, now);
		make_health(&rows[i].h, &rows[i].c, now);
		status_of(&rows[i].c, &rows[i].h, &settings, now, &row);
		rows[i].place = gravity_place_of(&row);
		page_count(&counts, &row);
	}
	qsort(rows, count, sizeof *rows, by_place);
	page_begin(out, &counts, now);
	for (size_t i = 0; i < count; i++) {
		status_of(&rows[i].c, &rows[i].h, &settings, now, &row);
		page_fold(out, i);
		page_row(out, &row, now);
	}
	page_end(out, count);
}

int main(int argc, char **argv)
{
	struct buf out = BUF_INIT(PAGE_MAX);
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	is_hostile = argc > 3;
	if (argc > 1 && strcmp(argv[1], "loader") == 0) {
		page_loader(&out);
	} else {
		struct made *rows = calloc(count + 1, sizeof *rows);
		if (!rows)
			return 1;
		make_page(&out, rows, count, clock_wall());
		free(rows);
	}
	bool is_written = !out.is_bad && fwrite(out.at, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
	buf_done(&out);
	return is_written ? 0 : 1;
}
