/* What TikTok sends, from bytes to verdict: strict check, cJSON, cleaning, decision table. */
#include "agent/tiktok.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define TOKEN "0123456789abcdef0123456789abcdef01234567"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void demand_clean(const char *text, size_t size)
{
	demand(strnlen(text, size) < size);
	demand(strstr(text, TOKEN) == NULL);
	for (; *text; text++)
		demand(*text >= 0x20 && *text < 0x7f);
}

static void demand_sane(const struct answer *a, struct bytes body, enum probe_kind kind)
{
	struct finding f = verdict_judge(a, &(struct question_context){ .kind = kind });
	demand(f.row && (unsigned)f.outcome < OUTCOME_COUNT);
	demand((a->body == BODY_CODE) == (a->code != NO_CODE));
	demand(a->code == NO_CODE || (a->code > -1000000000 && a->code < 1000000000));
	if (f.outcome == VERDICT_HEALTHY)
		demand(kind != PROBE_DRY && (a->code == 0 || a->code == 20001));
	if (!verdict_is_transient(f.outcome))
		demand(a->body == BODY_CODE && memmem(body.at, body.len, "\"code\"", 6) != NULL);
}

static void demand_page(struct bytes body)
{
	static struct list_page page;
	struct answer a = { .http = 200 };
	page = (struct list_page){ .page = 0 };
	bool is_page = tiktok_read_page(body, bytes_of_text(TOKEN), 1, &a, &page);
	demand_clean(a.text, sizeof a.text);
	demand(is_page == (a.body == BODY_CODE && a.code == 0));
	demand(!is_page || (page.page == 1 && page.pages <= LIST_PAGES_MAX && page.count <= LIST_ROWS_MAX));
	for (size_t i = 0; is_page && i < page.count; i++) {
		struct error unused;
		demand(strnlen(page.rows[i].pixel, sizeof page.rows[i].pixel) <= PIXEL_CODE_MAX);
		demand(pixel_check(page.rows[i].pixel, &unused) && page.rows[i].kind < SIGHT_KIND_COUNT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const int32_t statuses[] = { 0, 200, 302, 404, 429, 500 };
	struct bytes body = bytes_of(data, len);
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		struct answer a = { .http = statuses[i], .text = "old", .request_id = "old" };
		tiktok_read(body, bytes_of_text(TOKEN), &a);
		demand_clean(a.text, sizeof a.text);
		demand_clean(a.request_id, sizeof a.request_id);
		for (int kind = PROBE_DRY; kind <= PROBE_LIVE; kind++)
			demand_sane(&a, body, (enum probe_kind)kind);
	}
	demand_page(body);
	return 0;
}
