#include "agent/render.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define CHAT_ENTRIES 20 /* a chat cuts longer texts itself, and nobody reads them */

void render_id(const struct alert_message *m, char ret[RENDER_ID_MAX])
{
	if (m->id[0])
		snprintf(ret, RENDER_ID_MAX, "%s.%u", m->id, (unsigned)m->number);
	else
		snprintf(ret, RENDER_ID_MAX, "test.%lld", (long long)m->at);
}

/* --- JSON --- */

static void put_labels(struct json *j, const struct label *labels, size_t count)
{
	json_object(j, "labels");
	for (size_t i = 0; i < count; i++)
		json_text(j, labels[i].key, labels[i].value);
	json_end_object(j);
}

/* "" is null. */
static void put_text(struct json *j, const char *key, const char *text)
{
	json_text(j, key, text[0] ? text : NULL);
}

static void put_entry(struct json *j, const struct alert_entry *e)
{
	json_object(j, NULL);
	json_text(j, "pixel", e->pixel);
	put_labels(j, e->labels, e->label_count);
	json_text(j, "verdict", verdict_name(e->verdict));
	json_time(j, "since", e->since);
	json_time(j, "expires_at", e->expires_at);
	put_text(j, "fingerprint", e->fingerprint);
	put_text(j, "advice", e->advice);
	json_end_object(j);
}

/* {"key": "minted-by", "value": "anna"} or null */
static void put_common_label(struct json *j, const struct alert_message *m)
{
	if (!m->has_label) {
		json_null(j, "label");
		return;
	}
	json_object(j, "label");
	json_text(j, "key", m->label.key);
	json_text(j, "value", m->label.value);
	json_end_object(j);
}

void render_json(const struct alert_message *m, const char *host, struct buf *out)
{
	struct json j = JSON_INIT(out);
	char id[RENDER_ID_MAX];
	render_id(m, id);
	json_object(&j, NULL);
	json_int(&j, "schema", 1);
	json_text(&j, "event", alert_event_name(m->event));
	put_text(&j, "id", m->id);
	json_text(&j, "message_id", id);
	json_int(&j, "number", m->number);
	json_text(&j, "severity", alert_severity_name(m->severity));
	json_text(&j, "kind", alert_kind_name(m->kind));
	json_text(&j, "verdict", alert_kind_has_verdict(m->kind) ? verdict_name(m->verdict) : NULL);
	json_text(&j, "title", m->title);
	put_text(&j, "advice", m->advice);
	json_text(&j, "host", host);
	json_time(&j, "at", m->at);
	json_time(&j, "since", m->since);
	json_time(&j, "ended_at", m->ended_at);
	json_int(&j, "again", m->again);
	json_int(&j, "count", (int64_t)m->count);
	json_int(&j, "ever", (int64_t)m->ever);
	json_int(&j, "added", (int64_t)m->added);
	put_common_label(&j, m);
	json_array(&j, "pixels");
	for (size_t i = 0; i < m->entry_count; i++)
		put_entry(&j, &m->entries[i]);
	json_end_array(&j);
	json_int(&j, "more", (int64_t)m->more);
	json_end_object(&j);
}

/* --- words that mail, chat and log share --- */

/* What acts on a terminal, or turns text around, becomes a mark; `kept` does not. */
static void put_harmless(struct bytes from, char kept, struct buf *out)
{
	while (from.len) {
		struct bytes before = from;
		uint32_t c = 0xfffd;
		if (!utf8_take(&from, &c))
			from = bytes_of(from.at + 1, from.len - 1);
		if (utf8_is_harmful(c) && c != (uint32_t)kept)
			buf_append_text(out, "\xef\xbf\xbd");
		else
			buf_append(out, before.at, before.len - from.len);
	}
}

static const char *word_of(const struct alert_message *m)
{
	switch (m->event) {
	case ALERT_RECOVERY:
		return "well again";
	case ALERT_REMINDER:
		return "reminder";
	case ALERT_TEST:
		return "test";
	default:
		return alert_severity_name(m->severity);
	}
}

/* " brand=acme shop=berlin" */
static void put_label_words(const struct alert_entry *e, struct buf *out)
{
	for (size_t i = 0; i < e->label_count; i++)
		buf_printf(out, " %s=%s", e->labels[i].key, e->labels[i].value);
}

/* "revoked since 2026-11-28T20:00:00Z, tk-7Q2M-9FKD" */
static void put_state(const struct alert_entry *e, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];
	buf_append_text(out, verdict_name(e->verdict));
	if (e->since)
		buf_printf(out, " since %s", clock_format(e->since, text));
	if (e->expires_at)
		buf_printf(out, ", token ends %s", clock_format(e->expires_at, text));
	if (e->fingerprint[0])
		buf_printf(out, ", %s", e->fingerprint);
}

static bool says_more(const struct alert_message *m, const struct alert_entry *e)
{
	return e->advice[0] && strcmp(e->advice, m->advice) != 0;
}

/* "Since 2026-11-28T20:00:00Z, 40 Pixels, on host." */
static void put_frame(const struct alert_message *m, const char *host, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];
	size_t pixels = m->event == ALERT_RECOVERY ? m->ever : m->count;
	if (m->since)
		buf_printf(out, "%s %s. ", m->event == ALERT_RECOVERY ? "It began" : "Since",
			   clock_format(m->since, text));
	if (m->ended_at)
		buf_printf(out, "It ended %s. ", clock_format(m->ended_at, text));
	if (pixels)
		buf_printf(out, "%zu %s. ", pixels, pixels == 1 ? "Pixel" : "Pixels");
	if (m->again)
		buf_printf(out, "It was well in between %u %s. ", (unsigned)m->again, m->again == 1 ? "time" : "times");
	buf_printf(out, "Host: %s.", host);
}

static void put_how_to_ack(const struct alert_message *m, struct buf *out)
{
	if (m->id[0] && m->event != ALERT_RECOVERY)
		buf_printf(out, "To be reminded no more: vault alert ack %s", m->id);
}

/* --- chat --- */

/* Slack's own rule: these three and no other. So no label can hide where a link leads, or call everybody in the room.
 */
static void put_slack_text(struct bytes from, struct buf *out)
{
	for (size_t i = 0; i < from.len; i++) {
		char c = (char)from.at[i];
		if (c == '&')
			buf_append_text(out, "&amp;");
		else if (c == '<')
			buf_append_text(out, "&lt;");
		else if (c == '>')
			buf_append_text(out, "&gt;");
		else
			buf_append(out, &c, 1);
	}
}

static void put_chat_words(const struct alert_message *m, const char *host, struct buf *out)
{
	static const char *const marks[] = { ":information_source:", ":warning:", ":rotating_light:" };
	size_t shown = m->entry_count < CHAT_ENTRIES ? m->entry_count : CHAT_ENTRIES;
	size_t hidden = m->entry_count - shown + m->more;
	buf_printf(out, "%s %s: %s\n", m->event == ALERT_RECOVERY ? ":white_check_mark:" : marks[m->severity],
		   word_of(m), m->title);
	if (m->advice[0])
		buf_printf(out, "%s\n", m->advice);
	for (size_t i = 0; i < shown; i++) {
		const struct alert_entry *e = &m->entries[i];
		buf_printf(out, "\xe2\x80\xa2 %s", e->pixel);
		put_label_words(e, out);
		buf_append_text(out, ": ");
		put_state(e, out);
		if (says_more(m, e))
			buf_printf(out, ". %s", e->advice);
		buf_append_text(out, "\n");
	}
	if (hidden)
		buf_printf(out, "and %zu more: vault status\n", hidden);
	put_frame(m, host, out);
	if (m->id[0] && m->event != ALERT_RECOVERY) {
		buf_append_text(out, "\n");
		put_how_to_ack(m, out);
	}
}

void render_slack(const struct alert_message *m, const char *host, struct buf *out)
{
	struct buf words = BUF_INIT(RENDER_MAX), clean = BUF_INIT(RENDER_MAX), escaped = BUF_INIT(RENDER_MAX);
	struct json j = JSON_INIT(out);
	put_chat_words(m, host, &words);
	put_harmless(buf_bytes(&words), '\n', &clean);
	put_slack_text(buf_bytes(&clean), &escaped);
	json_object(&j, NULL);
	json_text_n(&j, "text", buf_bytes(&escaped));
	json_end_object(&j);
	out->is_bad = out->is_bad || words.is_bad || clean.is_bad || escaped.is_bad;
	buf_done(&words);
	buf_done(&clean);
	buf_done(&escaped);
}

/* --- mail --- */

#define WORD_BYTES 39 /* of an encoded word: 52 letters of base64, so that "=?UTF-8?B?...?=" keeps below 75 */
#define QP_LINE 72
#define WORD_MAX 50 /* of a plain header: where a blank does not come sooner, no line can be ended */

/* May stand in a header as it is: printable ASCII, nothing that a reader would decode, no word too long to fold. */
static bool is_plain(const char *text)
{
	size_t word = 0;
	bool is_decoded = strstr(text, "=?") != NULL;
	for (; *text; text++) {
		word = *text == ' ' ? 0 : word + 1;
		if (*text < ' ' || *text > '~' || word > WORD_MAX)
			return false;
	}
	return !is_decoded;
}

static void put_base64(struct bytes from, struct buf *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < from.len; i += 3) {
		size_t left = from.len - i;
		uint32_t bits = (uint32_t)from.at[i] << 16 | (left > 1 ? (uint32_t)from.at[i + 1] << 8 : 0) |
				(left > 2 ? from.at[i + 2] : 0);
		char four[4] = { letters[bits >> 18], letters[bits >> 12 & 63],
				 left > 1 ? letters[bits >> 6 & 63] : '=', left > 2 ? letters[bits & 63] : '=' };
		buf_append(out, four, sizeof four);
	}
}

/* As many whole characters as one encoded word takes; what is no UTF-8 goes byte by byte. */
static size_t next_part(struct bytes from)
{
	struct bytes rest = from;
	size_t len = 0;
	uint32_t c;
	while (rest.len) {
		if (!utf8_take(&rest, &c))
			rest = bytes_of(rest.at + 1, rest.len - 1);
		if (from.len - rest.len > WORD_BYTES)
			break;
		len = from.len - rest.len;
	}
	return len;
}

/* The value of a header: RFC 2047 when it is more than printable ASCII, else folded at blanks. No line end of the
 * text's own gets through either way. */
static void put_header_text(const char *text, struct buf *out)
{
	struct bytes left = bytes_of_text(text);
	if (is_plain(text)) {
		for (size_t column = 20; *text; text++, column++) {
			bool is_fold = *text == ' ' && column + 1 + strcspn(text + 1, " ") > QP_LINE && text[1] &&
				       text[1] != ' ';
			buf_append(out, is_fold ? "\r\n " : text, is_fold ? 3 : 1);
			column = is_fold ? 0 : column;
		}
		return;
	}
	for (size_t len; (len = next_part(left)) > 0; left = bytes_of(left.at + len, left.len - len)) {
		buf_append_text(out, left.at == (const uint8_t *)text ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
		put_base64(bytes_of(left.at, len), out);
		buf_append_text(out, "?=");
	}
}

/* Quoted-printable (RFC 2045), which stays readable where nothing decodes it. */
static void put_quoted(struct bytes from, struct buf *out)
{
	size_t column = 0;
	for (size_t i = 0; i < from.len; i++) {
		uint8_t c = from.at[i];
		bool is_end = i + 1 == from.len || from.at[i + 1] == '\n';
		bool is_kept = (c > ' ' && c <= '~' && c != '=') || (c == ' ' && !is_end);
		if (c == '\n') {
			buf_append_text(out, "\r\n");
			column = 0;
			continue;
		}
		if (column > QP_LINE) {
			buf_append_text(out, "=\r\n");
			column = 0;
		}
		if (is_kept)
			buf_append(out, &c, 1);
		else
			buf_printf(out, "=%02X", c);
		column += is_kept ? 1 : 3;
	}
}

static void put_date(int64_t at, struct buf *out)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t when = (time_t)at;
	struct tm t;
	if (gmtime_r(&when, &t))
		buf_printf(out, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * t.tm_wday, t.tm_mday,
			   months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void put_recipients(const char *to, struct buf *out)
{
	buf_append_text(out, "To: ");
	for (bool is_first = true; *to; is_first = false) {
		size_t len = strcspn(to, " \t");
		buf_printf(out, "%s%.*s", is_first ? "" : ",\r\n ", (int)len, to);
		to += len + strspn(to + len, " \t");
	}
	buf_append_text(out, "\r\n");
}

static void put_mail_head(const struct alert_message *m, const char *host, const struct mail_ends *ends,
			  struct buf *out)
{
	char id[RENDER_ID_MAX];
	struct buf subject = BUF_INIT(8 * ALERT_TITLE_MAX);
	render_id(m, id);
	buf_printf(&subject, "[pixelvault] %s: ", word_of(m));
	put_harmless(bytes_of_text(m->title), '\0', &subject);
	buf_append(&subject, "", 1);
	put_date(m->at, out);
	buf_printf(out, "From: %s\r\n", ends->from);
	put_recipients(ends->to, out);
	buf_append_text(out, "Subject: ");
	put_header_text(subject.is_bad ? "[pixelvault]" : (const char *)subject.at, out);
	buf_done(&subject);
	buf_printf(out, "\r\nMessage-ID: <%s@%s>\r\n", id, host);
	if (m->id[0])
		buf_printf(out, "In-Reply-To: <%s@%s>\r\nReferences: <%s@%s>\r\n", m->id, host, m->id, host);
	buf_append_text(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n"
			     "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
}

static void put_mail_words(const struct alert_message *m, const char *host, struct buf *out)
{
	buf_printf(out, "%s\n\n", m->title);
	if (m->advice[0])
		buf_printf(out, "What to do: %s\n\n", m->advice);
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct alert_entry *e = &m->entries[i];
		buf_append_text(out, e->pixel);
		put_label_words(e, out);
		buf_append_text(out, "\n    ");
		put_state(e, out);
		if (says_more(m, e))
			buf_printf(out, "\n    %s", e->advice);
		buf_append_text(out, "\n");
	}
	if (m->more)
		buf_printf(out, "and %zu more: vault status\n", m->more);
	if (m->entry_count)
		buf_append_text(out, "\n");
	put_frame(m, host, out);
	buf_append_text(out, "\n");
	put_how_to_ack(m, out);
	buf_append_text(out, "\n");
}

void render_mail(const struct alert_message *m, const char *host, const struct mail_ends *ends, struct buf *out)
{
	struct buf words = BUF_INIT(RENDER_MAX), clean = BUF_INIT(RENDER_MAX);
	put_mail_head(m, host, ends, out);
	put_mail_words(m, host, &words);
	put_harmless(buf_bytes(&words), '\n', &clean);
	put_quoted(buf_bytes(&clean), out);
	out->is_bad = out->is_bad || words.is_bad || clean.is_bad;
	buf_done(&words);
	buf_done(&clean);
}

/* --- log --- */

static void put_log_words(const struct alert_message *m, struct buf *out)
{
	char id[RENDER_ID_MAX];
	render_id(m, id);
	buf_printf(out, "%s: %s", word_of(m), m->title);
	if (m->advice[0])
		buf_printf(out, "; %s", m->advice);
	buf_printf(out, " (%s)\n", id);
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct alert_entry *e = &m->entries[i];
		buf_printf(out, "%s: Pixel %s", word_of(m), e->pixel);
		put_label_words(e, out);
		buf_append_text(out, ": ");
		put_state(e, out);
		if (says_more(m, e))
			buf_printf(out, "; %s", e->advice);
		buf_printf(out, " (%s)\n", id);
	}
}

void render_log(const struct alert_message *m, struct buf *out)
{
	struct buf words = BUF_INIT(RENDER_MAX);
	put_log_words(m, &words);
	put_harmless(buf_bytes(&words), '\n', out);
	out->is_bad = out->is_bad || words.is_bad;
	buf_done(&words);
}
