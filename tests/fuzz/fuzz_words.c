/* Short texts that people, files and other processes hand over, by the first byte: times, spans, the head of a log, the
 * id of an alert, the state of the breaker, names in rules, the address of a unit. What is written again is the same.
 */
#include "agent/accounts.h"
#include "agent/alert.h"
#include "agent/credentials.h"
#include "agent/schedule.h"
#include "core/utf8.h"
#include "tests/fuzz/common.h"
#include "vault/audit.h"

static void read_time(const char *text)
{
	char again[CLOCK_TEXT_MAX];
	struct error err;
	int64_t at, same;
	if (!clock_parse(text, &at, &err))
		return;
	clock_format(at, again);
	expect(clock_parse(again, &same, &err) && same == at);
}

static void read_span(const char *text)
{
	int64_t seconds = 0;
	if (clock_parse_span(text, &seconds))
		expect(seconds >= 0);
}

static void read_head(const char *text)
{
	char again[AUDIT_HEAD_TEXT_MAX];
	struct audit_position at, same;
	if (audit_head_parse(text, &at))
		expect(audit_head_parse(audit_head_text(&at, again), &same) && same.sequence == at.sequence &&
		       memcmp(same.mac, at.mac, DIGEST_LEN) == 0);
}

static void read_id(const char *text)
{
	char id[ALERT_ID_MAX];
	uint64_t key, same;
	if (alert_id_parse(text, &key))
		expect(alert_id_parse(alert_id(key, id), &same) && same == key);
}

static void read_breaker(struct bytes from)
{
	struct breaker b;
	uint8_t again[24];
	if (!breaker_decode(from, &b))
		return;
	breaker_encode(&b, again);
	expect(bytes_equal(bytes_of(again, sizeof again), from));
	expect(breaker_pause_s(&b, 0) >= 0);
}

static void read_accounts(struct bytes table)
{
	uint32_t number;
	if (accounts_find(&table, false, "checkout", &number))
		expect(memmem(table.at, table.len, "checkout", 8) != NULL);
	(void)accounts_find(&table, true, "checkout", &number);
	expect(accounts_find(&table, false, "1000", &number) && number == 1000);
}

static void read_address(struct bytes address)
{
	char unit[CREDENTIALS_UNIT_MAX + 1], pixel[PIXEL_CODE_MAX + 1];
	struct error unused;
	if (credentials_parse(address, unit, pixel))
		expect(unit[0] && memchr(unit, 0, sizeof unit) && memchr(pixel, 0, sizeof pixel) &&
		       pixel_check(pixel, &unused));
}

static void read_utf8(struct bytes text, char *copy)
{
	struct bytes rest = text, part;
	char again[4];
	uint32_t point;
	bool is_valid = utf8_is_valid(text);
	while (rest.len) {
		struct bytes before = rest;
		if (!utf8_take(&rest, &point))
			break;
		expect(point <= 0x10ffff && (point < 0xd800 || point > 0xdfff));
		size_t len = utf8_put(point, again);
		expect(bytes_take(&before, len, &part) && bytes_equal(part, bytes_of(again, len)) &&
		       before.len == rest.len);
	}
	expect(is_valid == (rest.len == 0));
	utf8_defang(copy);
	expect(utf8_is_valid(bytes_of_text(copy)));
	for (const char *at = copy; *at; at++)
		expect((uint8_t)*at >= 0x20 && *at != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes rest = bytes_of(data, len);
	uint8_t choice = take_byte(&rest);
	char *text = malloc(rest.len + 1);
	expect(text != NULL);
	if (rest.len)
		memcpy(text, rest.at, rest.len);
	text[rest.len] = '\0';
	switch (choice) {
	case 't':
		read_time(text);
		break;
	case 's':
		read_span(text);
		break;
	case 'h':
		read_head(text);
		break;
	case 'i':
		read_id(text);
		break;
	case 'b':
		read_breaker(rest);
		break;
	case 'n':
		read_accounts(rest);
		break;
	case 'u':
		read_address(rest);
		break;
	case '8':
		read_utf8(rest, text);
		break;
	}
	free(text);
	return 0;
}
