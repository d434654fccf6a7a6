/* agent/render: what people typed never breaks out of what it is written into, and nothing grows without end. What the
 * texts say to those who read them is in tests/e2e/test_delivery.py, decoded by other programs than ours. */
#include "agent/render.h"

#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define UMLAUT "\xc3\xa4"

static struct alert_message m;
static struct buf out = BUF_INIT(RENDER_MAX);
static const struct mail_ends ends = { "vault@example.com", "a@example.com  b@example.com" };

static int begin(void **state)
{
	(void)state;
	memset(&m, 0, sizeof m);
	m.event = ALERT_RAISED;
	m.severity = SEVERITY_WARNING;
	m.kind = ALERT_KIND_REFUSED;
	m.verdict = VERDICT_EXPIRED;
	m.number = 1;
	m.at = 1700000000;
	snprintf(m.id, sizeof m.id, "7Q2M-9FKD");
	buf_clear(&out);
	return 0;
}

static int end(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static const char *text(void)
{
	assert_false(out.is_bad);
	buf_append(&out, "", 1);
	return (const char *)out.at;
}

/* The lines of the header with this name, unfolded. */
static void header_of(const char *mail, const char *name, char *ret, size_t size)
{
	size_t len = 0;
	char start[40];
	snprintf(start, sizeof start, "\r\n%s: ", name);
	const char *at = strstr(mail, start);
	assert_non_null(at);
	for (at += strlen(start); strncmp(at, "\r\n", 2) != 0 || at[2] == ' '; at++) {
		assert_true(len + 1 < size);
		if (strncmp(at, "\r\n", 2) == 0)
			at += 2;
		ret[len++] = *at;
	}
	ret[len] = '\0';
}

static void assert_short_lines(const char *mail)
{
	for (const char *at = mail, *next; (next = strstr(at, "\r\n")); at = next + 2)
		assert_in_range(next - at, 0, 78);
	for (const char *at = mail; *at; at++)
		assert_true(*at != '\n' || (at > mail && at[-1] == '\r'));
}

static void render__a_long_plain_subject_is_folded_and_says_the_same(void **state)
{
	(void)state;
	char subject[400], wanted[400];
	for (size_t i = 0; i + 8 < sizeof m.title; i += 6)
		snprintf(m.title + i, sizeof m.title - i, "word%zu ", i % 10);
	m.title[strlen(m.title) - 1] = '.';
	render_mail(&m, "host", &ends, &out);
	header_of(text(), "Subject", subject, sizeof subject);
	snprintf(wanted, sizeof wanted, "[pixelvault] warning: %s", m.title);
	assert_string_equal(subject, wanted);
	assert_short_lines((const char *)out.at);
}

static void render__no_text_ends_a_header(void **state)
{
	(void)state;
	char subject[400];
	snprintf(m.title, sizeof m.title, "x\r\nBcc: all@example.com\r\n\r\n<html>");
	render_mail(&m, "host", &ends, &out);
	const char *mail = text(), *bcc = strstr(mail, "\r\nBcc");
	assert_true(!bcc || bcc > strstr(mail, "\r\n\r\n"));
	header_of(mail, "Subject", subject, sizeof subject);
	assert_memory_equal(subject, "=?UTF-8?B?", 10);
}

static bool shows(const char *what)
{
	return strstr(text(), what) != NULL;
}

/* What turns text around, and the control characters that some terminals obey (U+009B is ESC [ in one). */
static void render__what_people_read_holds_no_character_that_acts(void **state)
{
	(void)state;
	snprintf(m.title, sizeof m.title, "1 Pixel: revoked; by=a\xc2\x9b" "31m\xe2\x80\xae" "b");
	m.entry_count = 1;
	snprintf(m.entries[0].pixel, sizeof m.entries[0].pixel, "C9ABCDEFGHIJKLMN0001");
	m.entries[0].label_count = 1;
	snprintf(m.entries[0].labels[0].key, sizeof m.entries[0].labels[0].key, "by");
	snprintf(m.entries[0].labels[0].value, sizeof m.entries[0].labels[0].value, "a\xc2\x9b" "31m\xe2\x80\xae" "b");
	render_log(&m, &out);
	assert_false(shows("\xc2\x9b"));
	assert_false(shows("\xe2\x80\xae"));
	assert_true(shows("by=a\xef\xbf\xbd" "31m\xef\xbf\xbd" "b"));
	buf_clear(&out);
	render_slack(&m, "host", &out);
	assert_false(shows("\xc2\x9b"));
	assert_false(shows("\xe2\x80\xae"));
	buf_clear(&out);
	render_mail(&m, "host", &ends, &out);
	assert_false(shows("=C2=9B"));
	assert_false(shows("=E2=80=AE"));
	buf_clear(&out);
	render_json(&m, "host", &out); /* a program gets what was stored */
	assert_true(shows("\xe2\x80\xae") || shows("\\u202e"));
}

static void render__an_encoded_word_ends_between_characters(void **state)
{
	(void)state;
	for (size_t i = 0; i + 2 < sizeof m.title; i += 2)
		memcpy(m.title + i, UMLAUT, 2);
	render_mail(&m, "host", &ends, &out);
	const char *mail = text(), *at = mail;
	size_t words = 0;
	for (; (at = strstr(at, "=?UTF-8?B?")); words++) {
		at += 10;
		size_t len = strcspn(at, "?");
		assert_in_range(len, 4, 52);
		assert_int_equal(len % 4, 0);
		/* All but the first begin with a whole character: C3 A4 C3 is "w6TD". */
		if (words > 0)
			assert_memory_equal(at, "w6T", 3);
	}
	assert_in_range(words, 6, 10);
	assert_short_lines(mail);
}

static void render__bytes_that_are_no_utf8_pass_through_a_mail_and_end(void **state)
{
	(void)state;
	snprintf(m.title, sizeof m.title, "\xff\xfe\xc3");
	snprintf(m.advice, sizeof m.advice, "tail \xc3 = and a blank ");
	render_mail(&m, "host", &ends, &out);
	assert_non_null(strstr(text(), "=FF=FE=C3"));
	assert_non_null(strstr((const char *)out.at, "=C3 =3D and a blank=20\r\n"));
}

static void render__what_looks_encoded_is_encoded_once_more(void **state)
{
	(void)state;
	char subject[400];
	snprintf(m.title, sizeof m.title, "brand =?UTF-8?Q?free_money?=");
	render_mail(&m, "host", &ends, &out);
	header_of(text(), "Subject", subject, sizeof subject);
	assert_null(strstr(subject, "free_money"));
}

static void render__recipients_are_parted_by_commas(void **state)
{
	(void)state;
	char to[100];
	render_mail(&m, "host", &ends, &out);
	header_of(text(), "To", to, sizeof to);
	assert_string_equal(to, "a@example.com, b@example.com");
}

static void fill_to_the_brim(void)
{
	memset(m.title, '"', ALERT_TITLE_MAX);
	memset(m.advice, '\\', ALERT_ADVICE_MAX);
	m.entry_count = ALERT_ENTRIES_MAX;
	for (size_t i = 0; i < m.entry_count; i++) {
		struct alert_entry *e = &m.entries[i];
		memset(e->pixel, 'C', PIXEL_CODE_MAX);
		memset(e->advice, '"', ALERT_ADVICE_MAX);
		e->label_count = LABELS_MAX;
		for (size_t l = 0; l < LABELS_MAX; l++) {
			memset(e->labels[l].key, 'a' + (int)l, LABEL_KEY_MAX);
			memset(e->labels[l].value, '&', LABEL_VALUE_MAX);
		}
	}
}

static void render__the_largest_message_fits_in_every_form(void **state)
{
	(void)state;
	const char *why;
	fill_to_the_brim();
	render_json(&m, "host", &out);
	assert_false(out.is_bad);
	assert_true(json_check(buf_bytes(&out), (struct json_limits){ 8, 100000 }, &why));
	buf_clear(&out);
	render_slack(&m, "host", &out);
	assert_false(out.is_bad);
	assert_in_range(out.len, 1, 256 * 1024);
	buf_clear(&out);
	render_mail(&m, "host", &ends, &out);
	assert_false(out.is_bad);
	assert_short_lines(text());
	buf_clear(&out);
	render_log(&m, &out);
	assert_false(out.is_bad);
}

static void render__a_chat_sees_three_signs_and_no_other_escaped(void **state)
{
	(void)state;
	snprintf(m.title, sizeof m.title, "<!here> & <https://evil.example|bank> \"'%%s");
	render_slack(&m, "host", &out);
	assert_non_null(strstr(text(), "&lt;!here&gt; &amp; &lt;https://evil.example|bank&gt; \\\"'%s"));
	assert_null(strchr((const char *)out.at, '<'));
}

static void render__each_message_has_one_name(void **state)
{
	(void)state;
	char id[RENDER_ID_MAX];
	m.number = UINT32_MAX;
	render_id(&m, id);
	assert_string_equal(id, "7Q2M-9FKD.4294967295");
	m.id[0] = '\0';
	render_id(&m, id);
	assert_string_equal(id, "test.1700000000");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(render__##name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_long_plain_subject_is_folded_and_says_the_same),
		TEST(no_text_ends_a_header),
		TEST(what_people_read_holds_no_character_that_acts),
		TEST(an_encoded_word_ends_between_characters),
		TEST(bytes_that_are_no_utf8_pass_through_a_mail_and_end),
		TEST(what_looks_encoded_is_encoded_once_more),
		TEST(recipients_are_parted_by_commas),
		TEST(the_largest_message_fits_in_every_form),
		TEST(a_chat_sees_three_signs_and_no_other_escaped),
		TEST(each_message_has_one_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
