/* The book of alerts as it lies in the vault, two documents: the first two bytes say how long the first is. What
 * decodes is written again to what decodes to the same, and messages may be taken from it. */
#include "agent/alert.h"
#include "tests/fuzz/common.h"

static void write_again(const struct alerts *a, struct buf *causes, struct buf *members)
{
	struct error err;
	expect(alerts_encode(a, causes, members, &err));
}

static void use(struct alerts *a)
{
	char id[ALERT_ID_MAX];
	struct alert_due due;
	uint64_t key;
	for (size_t i = 0; i < a->cause_count; i++) {
		if (a->causes[i].key >> 40)
			continue;
		expect(alert_id_parse(alert_id(a->causes[i].key, id), &key) && key == a->causes[i].key);
		expect(alerts_find(a, key) != NULL);
		(void)cause_is_acked(&a->causes[i], 1000);
	}
	(void)alerts_tick(a, 1000);
	(void)alerts_next_at(a, 1000);
	for (int i = 0; i < 3 && alerts_next(a, 2000, &due); i++) {
		struct alert_answer answer = { .outcome = (enum alert_outcome)i, .pause_s = 5, .reason = "busy" };
		expect(due.line < a->line_count && alerts_find(a, due.key) && (unsigned)due.event < ALERT_EVENT_COUNT);
		alerts_done(a, &due, &answer, 2000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes rest = bytes_of(data, len), first;
	struct buf causes = BUF_INIT(1 << 24), members = BUF_INIT(1 << 24);
	struct buf causes_too = BUF_INIT(1 << 24), members_too = BUF_INIT(1 << 24);
	struct alerts *a = NULL;
	struct error err;
	uint64_t cut;
	if (!bytes_take_uint(&rest, 2, &cut))
		return 0;
	expect(bytes_take(&rest, cut < rest.len ? (size_t)cut : rest.len, &first) && alerts_new(&a, &err));
	if (alerts_decode(a, first, rest)) {
		write_again(a, &causes, &members);
		expect(bytes_equal(buf_bytes(&members), rest));
		expect(alerts_decode(a, buf_bytes(&causes), buf_bytes(&members)));
		write_again(a, &causes_too, &members_too);
		expect(bytes_equal(buf_bytes(&causes), buf_bytes(&causes_too)));
		use(a);
	} else {
		expect(a->line_count == 0 && a->cause_count == 0 && a->member_count == 0);
	}
	alerts_free(a);
	buf_done(&causes);
	buf_done(&members);
	buf_done(&causes_too);
	buf_done(&members_too);
	return 0;
}
