#include "agent/reply.h"

#include "agent/text.h"
#include "core/json.h"
#include "core/utf8.h"
#include "vault/codec.h"

#include <stdio.h>
#include <string.h>

/* ---- head ---- */

/* A line without its end; false when there is no end. A bare line feed ends no line of HTTP's. */
static bool take_line(struct bytes *from, struct bytes *ret)
{
	for (size_t i = 0; i + 1 < from->len; i++)
		if (from->at[i] == '\r' && from->at[i + 1] == '\n') {
			*ret = bytes_of(from->at, i);
			*from = bytes_of(from->at + i + 2, from->len - i - 2);
			return true;
		}
	return false;
}

static bool is_plain(struct bytes line)
{
	for (size_t i = 0; i < line.len; i++)
		if ((line.at[i] < 0x20 && line.at[i] != '\t') || line.at[i] == 0x7f)
			return false;
	return true;
}

static struct bytes trim(struct bytes text)
{
	while (text.len && (text.at[0] == ' ' || text.at[0] == '\t'))
		text = bytes_of(text.at + 1, text.len - 1);
	while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_word(struct bytes text, const char *word)
{
	for (size_t i = 0; i < text.len; i++)
		if (!word[i] || fold((char)text.at[i]) != fold(word[i]))
			return false;
	return !word[text.len];
}

/* "HTTP/1.1 200 OK". Interim answers are for requests that we do not make. */
static bool read_status(struct bytes line, int *ret)
{
	if (line.len < 12 || memcmp(line.at, "HTTP/1.1 ", 9) != 0 || (line.len > 12 && line.at[12] != ' '))
		return false;
	int status = 0;
	for (size_t i = 9; i < 12; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return false;
		status = status * 10 + (line.at[i] - '0');
	}
	*ret = status;
	return status >= 200 && status <= 599;
}

static bool split_header(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
	const uint8_t *colon = line.len ? memchr(line.at, ':', line.len) : NULL;
	if (!colon || colon == line.at || !is_plain(line))
		return false;
	*ret_name = bytes_of(line.at, (size_t)(colon - line.at));
	/* A blank before the colon, or at the front of a line that goes on with the one before: never ours. */
	for (size_t i = 0; i < ret_name->len; i++)
		if (ret_name->at[i] <= ' ')
			return false;
	*ret_value = trim(bytes_of(colon + 1, line.len - ret_name->len - 1));
	return true;
}

static bool read_length(struct bytes text, uint64_t *ret)
{
	uint64_t value = 0;
	if (text.len == 0 || text.len > 15)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.at[i] - '0');
	}
	*ret = value;
	return true;
}

static bool read_header(struct bytes line, struct reply *r)
{
	struct bytes name, value;
	if (!split_header(line, &name, &value))
		return false;
	bool is_length = is_word(name, "Content-Length"), is_coding = is_word(name, "Transfer-Encoding");
	if ((is_length || is_coding) && r->framing != REPLY_NO_BODY)
		return false;
	if (is_length) {
		r->framing = REPLY_LENGTH;
		return read_length(value, &r->length);
	}
	if (is_coding) {
		r->framing = REPLY_CHUNKED;
		return is_word(value, "chunked");
	}
	if (is_word(name, "Connection") && is_word(value, "close"))
		r->is_last = true;
	return true;
}

static bool has_body(int status)
{
	return status != 204 && status != 304;
}

enum reply_state reply_head(struct bytes from, struct reply *ret, size_t *ret_len)
{
	struct reply r = { .status = 0 };
	struct bytes rest = from, line;
	if (!take_line(&rest, &line))
		return from.len >= REPLY_HEAD_MAX ? REPLY_NONSENSE : REPLY_CUT;
	if (!is_plain(line) || !read_status(line, &r.status))
		return REPLY_NONSENSE;
	const uint8_t *first = rest.at;
	while (take_line(&rest, &line)) {
		size_t len = from.len - rest.len;
		if (len > REPLY_HEAD_MAX)
			return REPLY_NONSENSE;
		if (line.len == 0) {
			r.headers = bytes_of(first, (size_t)(line.at - first));
			if (r.framing == REPLY_NO_BODY && has_body(r.status))
				return REPLY_NONSENSE;
			if (!has_body(r.status))
				r.framing = REPLY_NO_BODY;
			*ret = r;
			*ret_len = len;
			return REPLY_WHOLE;
		}
		if (!read_header(line, &r))
			return REPLY_NONSENSE;
	}
	return from.len >= REPLY_HEAD_MAX ? REPLY_NONSENSE : REPLY_CUT;
}

bool reply_header(const struct reply *r, const char *name, struct bytes *ret)
{
	struct bytes rest = r->headers, line, found, value;
	while (take_line(&rest, &line))
		if (split_header(line, &found, &value) && is_word(found, name)) {
			*ret = value;
			return true;
		}
	return false;
}

int64_t reply_number(const struct reply *r, const char *name)
{
	struct bytes text;
	uint64_t value;
	return reply_header(r, name, &text) && read_length(text, &value) ? (int64_t)value : 0;
}

/* ---- chunks ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Sizes need no extension behind them, and no more than 40 bits. */
static bool read_size(const char *line, size_t len, uint64_t *ret)
{
	uint64_t value = 0;
	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(line[i]);
		if (digit < 0)
			return false;
		value = value << 4 | (uint64_t)digit;
	}
	*ret = value;
	return true;
}

/* One byte of a line; *ret_whole when it was the last one. Trailers are short here: we send none. */
static bool add_to_line(struct chunks *c, uint8_t byte, bool *ret_whole)
{
	bool has_cr = c->line_len && c->line[c->line_len - 1] == '\r';
	*ret_whole = has_cr && byte == '\n';
	if (*ret_whole) {
		c->line_len--;
		return true;
	}
	if (has_cr || byte == '\n' || c->line_len == sizeof c->line)
		return false;
	c->line[c->line_len++] = (char)byte;
	return true;
}

static bool end_line(struct chunks *c)
{
	size_t len = c->line_len;
	c->line_len = 0;
	switch (c->state) {
	case CHUNK_SIZE:
		if (!read_size(c->line, len, &c->left))
			return false;
		c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
		return true;
	case CHUNK_DATA_END:
		c->state = CHUNK_SIZE;
		return len == 0;
	default:
		c->state = CHUNK_DONE;
		return len == 0;
	}
}

bool chunks_take(struct chunks *c, struct bytes *from, struct buf *out)
{
	struct bytes part;
	while (from->len && c->state != CHUNK_DONE) {
		bool is_whole = false;
		size_t len = c->state != CHUNK_DATA ? 1 : c->left < from->len ? (size_t)c->left : from->len;
		if (!bytes_take(from, len, &part))
			return false;
		if (c->state != CHUNK_DATA) {
			if (!add_to_line(c, part.at[0], &is_whole) || (is_whole && !end_line(c)))
				return false;
			continue;
		}
		buf_append(out, part.at, part.len);
		c->left -= part.len;
		if (c->left == 0)
			c->state = CHUNK_DATA_END;
	}
	return true;
}

/* ---- events ---- */

/* Ours end each line with a line feed alone. */
static bool take_event_line(struct bytes *from, struct bytes *ret)
{
	const uint8_t *end = from->len ? memchr(from->at, '\n', from->len) : NULL;
	if (!end)
		return false;
	*ret = bytes_of(from->at, (size_t)(end - from->at));
	*from = bytes_of(end + 1, from->len - ret->len - 1);
	if (ret->len && ret->at[ret->len - 1] == '\r')
		ret->len--;
	return true;
}

static void read_field(struct bytes line, const char *field, struct bytes *ret)
{
	size_t len = strlen(field);
	if (ret->len == 0 && line.len > len && memcmp(line.at, field, len) == 0)
		*ret = trim(bytes_of(line.at + len, line.len - len));
}

bool event_take(struct bytes *from, struct event *ret)
{
	struct bytes rest = *from, line;
	struct event e = { .data = { .len = 0 } };
	while (take_event_line(&rest, &line)) {
		read_field(line, "event:", &e.name);
		read_field(line, "data:", &e.data);
		if (line.len)
			continue;
		*from = rest;
		if (e.data.len == 0)
			continue;
		*ret = e;
		return true;
	}
	return false;
}

/* ---- problems ---- */

/* A class is a literal in every error, so the ones that exist are listed. */
static const char *class_by_name(const char *name)
{
	static const char *const classes[] = { "damaged",   "format", "tampered", "limit",	    "rolled-back",
					       "forked",    "anchor", "audit",	  "anchor-missing", "expired",
					       "revoked",   "mismatched",	  "no-permission",  "malformed",
					       "throttled", "unreachable",	  "unknown" };
	for (size_t i = 0; i < COUNT_OF(classes); i++)
		if (strcmp(classes[i], name) == 0)
			return classes[i];
	return NULL;
}

bool reply_fail(int status, struct bytes body, struct error *err)
{
	static const struct json_limits limits = { .depth = 8, .nodes = 512 };
	struct bytes type, message, hint, class, number;
	struct error told = { .code = ERR_NONE };
	char name[32];
	const char *why;
	int64_t code;
	if (!json_check(body, limits, &why) || !json_find_raw(body, "type", &type) ||
	    !json_find_raw(body, "detail", &message) || !json_find_raw(body, "exit", &number) ||
	    !json_as_text(type, name, sizeof name) || !json_as_int(number, &code) || code <= ERR_NONE ||
	    code >= ERR_COUNT || strcmp(error_name((enum error_code)code), name) != 0 ||
	    !json_as_text(message, told.message, sizeof told.message) || !told.message[0])
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_STATUS, status);
	told.code = (enum error_code)code;
	if (json_find_raw(body, "hint", &hint) && !json_as_text(hint, told.hint, sizeof told.hint))
		told.hint[0] = '\0';
	if (json_find_raw(body, "class", &class) && json_as_text(class, name, sizeof name))
		told.class = class_by_name(name);
	utf8_defang(told.message);
	utf8_defang(told.hint);
	*err = told;
	return false;
}

int verdict_by_name(struct bytes name)
{
	for (int i = 0; i < OUTCOME_COUNT; i++)
		if (bytes_equal(name, bytes_of_text(verdict_name((enum verdict)i))))
			return i;
	return -1;
}

int stage_by_name(struct bytes name)
{
	for (int i = STAGE_PENDING; i <= STAGE_STANDBY; i++)
		if (bytes_equal(name, bytes_of_text(stage_name((enum stage)i))))
			return i;
	return -1;
}

/* ---- records ---- */

#define RECORDS_END 0xffffffffu

bool records_begin(struct bytes *from)
{
	struct bytes mark;
	return bytes_take(from, 8, &mark) && memcmp(mark.at, "PVREC\0\0\1", 8) == 0;
}

bool records_take(struct bytes *from, struct credential *c, struct health *h, bool *ret_end)
{
	uint32_t len;
	struct bytes part;
	if (!bytes_take_u32(from, &len))
		return false;
	*ret_end = len == RECORDS_END;
	if (*ret_end)
		return from->len == 0;
	if (!bytes_take(from, len, &part) || !credential_decode(part, c))
		return false;
	/* Health is disposable: none, or one of a later format, reads as never asked. */
	if (!bytes_take_u32(from, &len) || !bytes_take(from, len, &part))
		return false;
	if (!health_decode(part, h))
		*h = (struct health){ .counter = 0 };
	health_align(h, c);
	return true;
}
