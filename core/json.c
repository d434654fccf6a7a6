#include "core/json.h"

#include "core/clock.h"
#include "core/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* --- writer --- */

static void put_char(struct json *j, uint32_t c, struct bytes as_written)
{
	static const char short_names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	for (const char *p = short_names; *p; p += 2)
		if (c == (unsigned char)*p) {
			buf_printf(j->out, "\\%c", p[1]);
			return;
		}
	/* 7f-9f are controls too; U+2028 and U+2029 end a line in older JavaScript. */
	if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029)
		buf_printf(j->out, "\\u%04" PRIx32, c);
	else
		buf_append(j->out, as_written.at, as_written.len);
}

static void put_text(struct json *j, struct bytes text)
{
	buf_append_text(j->out, "\"");
	while (text.len) {
		uint32_t c;
		struct bytes was = text;
		bool is_text = utf8_take(&text, &c) && c != 0;
		if (text.len == was.len)
			text = bytes_of(text.at + 1, text.len - 1);
		if (is_text)
			put_char(j, c, bytes_of(was.at, was.len - text.len));
		else
			buf_append_text(j->out, "\xef\xbf\xbd");
	}
	buf_append_text(j->out, "\"");
}

/* What stands in front of every value: the comma after the one before, and the key. */
static void begin(struct json *j, const char *key)
{
	if (j->needs_comma)
		buf_append_text(j->out, ",");
	j->needs_comma = true;
	if (key) {
		put_text(j, bytes_of_text(key));
		buf_append_text(j->out, ":");
	}
}

static void open_with(struct json *j, const char *key, const char *bracket)
{
	begin(j, key);
	buf_append_text(j->out, bracket);
	j->depth++;
	j->needs_comma = false;
}

static void close_with(struct json *j, const char *bracket)
{
	assert(j->depth > 0);
	buf_append_text(j->out, bracket);
	j->depth--;
	j->needs_comma = true;
}

void json_object(struct json *j, const char *key)
{
	open_with(j, key, "{");
}

void json_array(struct json *j, const char *key)
{
	open_with(j, key, "[");
}

void json_end_object(struct json *j)
{
	close_with(j, "}");
}

void json_end_array(struct json *j)
{
	close_with(j, "]");
}

void json_text(struct json *j, const char *key, const char *text)
{
	if (text)
		json_text_n(j, key, bytes_of_text(text));
	else
		json_null(j, key);
}

void json_text_n(struct json *j, const char *key, struct bytes text)
{
	begin(j, key);
	put_text(j, text);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	begin(j, key);
	buf_printf(j->out, "%" PRId64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin(j, key);
	buf_append_text(j->out, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	begin(j, key);
	buf_append_text(j->out, "null");
}

void json_time(struct json *j, const char *key, int64_t at)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(at, text);
	json_text(j, key, at == 0 || text[0] == '-' ? NULL : text);
}

/* --- strict check --- */

#define KEYS_PER_OBJECT 256
#define NUMBER_LEN_MAX 63 /* cJSON copies as much and forgets the rest */

/* A key seen in an object still open: its text between the quotes, and a hash that spares most comparisons. */
struct seen_key {
	struct bytes text;
	uint32_t hash;
};

struct check {
	struct bytes rest;
	struct json_limits limits;
	size_t nodes, keys_max;
	struct buf keys; /* struct seen_key of all open objects, innermost last */
	const char *why;
};

const char json_no_memory[] = "out of memory";

static bool refuse(struct check *c, const char *why)
{
	c->why = why;
	return false;
}

static bool peek_is(const struct check *c, char wanted)
{
	return c->rest.len && c->rest.at[0] == (uint8_t)wanted;
}

static bool take_if(struct check *c, char wanted)
{
	if (!peek_is(c, wanted))
		return false;
	c->rest = bytes_of(c->rest.at + 1, c->rest.len - 1);
	return true;
}

static void skip_blanks(struct check *c)
{
	while (take_if(c, ' ') || take_if(c, '\t') || take_if(c, '\n') || take_if(c, '\r'))
		;
}

static bool take_hex4(struct bytes *from, uint32_t *ret)
{
	struct bytes digits;
	uint32_t value = 0;
	if (!bytes_take(from, 4, &digits))
		return false;
	for (size_t i = 0; i < 4; i++) {
		uint8_t d = digits.at[i], low = d | 0x20;
		if (d >= '0' && d <= '9')
			value = value << 4 | (uint32_t)(d - '0');
		else if (low >= 'a' && low <= 'f')
			value = value << 4 | (uint32_t)(low - 'a' + 10);
		else
			return false;
	}
	*ret = value;
	return true;
}

static bool take_u_escape(struct bytes *from, uint32_t *ret, const char **why)
{
	uint32_t high, low;
	uint8_t mark[2];
	*why = "a \\u escape without four hex digits";
	if (!take_hex4(from, &high))
		return false;
	*why = "a \\u0000 escape";
	if (high == 0)
		return false;
	*why = "an unpaired surrogate";
	if (high >= 0xdc00 && high <= 0xdfff)
		return false;
	if (high >= 0xd800 && high <= 0xdbff) {
		if (!bytes_take_copy(from, mark, 2) || mark[0] != '\\' || mark[1] != 'u' || !take_hex4(from, &low) ||
		    low < 0xdc00 || low > 0xdfff)
			return false;
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret = high;
	return true;
}

/* What stands for itself, as nearly all does that anybody sends. */
static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '\\';
}

/* One character of a string, escapes resolved. */
static bool take_string_char(struct bytes *from, uint32_t *ret, const char **why)
{
	static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	uint32_t c;
	if (from->len && is_plain(from->at[0])) {
		*ret = from->at[0];
		*from = bytes_of(from->at + 1, from->len - 1);
		return true;
	}
	*why = "text that is not UTF-8";
	if (!utf8_take(from, &c))
		return false;
	*why = "a control character in a string";
	if (c < 0x20)
		return false;
	if (c != '\\') {
		*ret = c;
		return true;
	}
	*why = "an escape that JSON does not know";
	if (!utf8_take(from, &c))
		return false;
	if (c == 'u')
		return take_u_escape(from, ret, why);
	for (const char *p = escapes; *p; p += 2)
		if (c == (unsigned char)*p) {
			*ret = (unsigned char)p[1];
			return true;
		}
	return false;
}

static uint32_t fold(uint32_t c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* A string from its opening quote; ret is what stands between the quotes, ret_hash that of its folded characters. */
static bool check_string(struct check *c, struct bytes *ret, uint32_t *ret_hash)
{
	uint32_t hash = 2166136261u, one;
	if (!take_if(c, '"'))
		return refuse(c, "no string where a key belongs");
	struct bytes start = c->rest;
	while (!peek_is(c, '"')) {
		const char *why;
		if (c->rest.len == 0)
			return refuse(c, "a string without end");
		if (!take_string_char(&c->rest, &one, &why))
			return refuse(c, why);
		hash = (hash ^ fold(one)) * 16777619u;
	}
	*ret = bytes_of(start.at, start.len - c->rest.len);
	*ret_hash = hash;
	return take_if(c, '"');
}

static bool key_equal(struct bytes a, struct bytes b)
{
	const char *why;
	while (a.len && b.len) {
		uint32_t x, y;
		if (!take_string_char(&a, &x, &why) || !take_string_char(&b, &y, &why) || fold(x) != fold(y))
			return false;
	}
	return a.len == b.len;
}

/* At most 256 keys an object make this linear: each new key meets at most 255 others. */
static bool check_key(struct check *c, size_t first_key)
{
	struct seen_key new;
	if (!check_string(c, &new.text, &new.hash))
		return false;
	const struct seen_key *seen = (const struct seen_key *)(const void *)c->keys.at;
	size_t count = c->keys.len / sizeof *seen;
	if (count - first_key >= c->keys_max)
		return refuse(c, "too many keys in one object");
	for (size_t i = first_key; i < count; i++)
		if (seen[i].hash == new.hash && key_equal(seen[i].text, new.text))
			return refuse(c, "a key given twice");
	buf_append(&c->keys, &new, sizeof new);
	return c->keys.is_bad ? refuse(c, json_no_memory) : true;
}

static size_t take_digits(struct check *c)
{
	size_t count = 0;
	while (c->rest.len && c->rest.at[0] >= '0' && c->rest.at[0] <= '9') {
		c->rest = bytes_of(c->rest.at + 1, c->rest.len - 1);
		count++;
	}
	return count;
}

static bool check_number(struct check *c)
{
	size_t start = c->rest.len;
	(void)take_if(c, '-');
	if (!take_if(c, '0') && take_digits(c) == 0)
		return refuse(c, "something that is no JSON value");
	if (take_if(c, '.') && take_digits(c) == 0)
		return refuse(c, "a number without digits behind its point");
	if (take_if(c, 'e') || take_if(c, 'E')) {
		if (!take_if(c, '+'))
			(void)take_if(c, '-');
		if (take_digits(c) == 0)
			return refuse(c, "a number without digits in its exponent");
	}
	if (start - c->rest.len > NUMBER_LEN_MAX)
		return refuse(c, "a number too long");
	return true;
}

static bool check_word(struct check *c, const char *word)
{
	struct bytes text;
	if (!bytes_take(&c->rest, strlen(word), &text) || !bytes_equal(text, bytes_of_text(word)))
		return refuse(c, "something that is no JSON value");
	return true;
}

static bool check_value(struct check *c, size_t depth);

static bool check_members(struct check *c, size_t depth)
{
	size_t first_key = c->keys.len / sizeof(struct seen_key);
	skip_blanks(c);
	if (take_if(c, '}'))
		return true;
	do {
		skip_blanks(c);
		if (!check_key(c, first_key))
			return false;
		skip_blanks(c);
		if (!take_if(c, ':'))
			return refuse(c, "a key without colon");
		if (!check_value(c, depth))
			return false;
	} while (take_if(c, ','));
	c->keys.len = first_key * sizeof(struct seen_key);
	return take_if(c, '}') ? true : refuse(c, "an object without end");
}

static bool check_elements(struct check *c, size_t depth)
{
	skip_blanks(c);
	if (take_if(c, ']'))
		return true;
	do {
		if (!check_value(c, depth))
			return false;
	} while (take_if(c, ','));
	return take_if(c, ']') ? true : refuse(c, "an array without end");
}

static bool check_scalar(struct check *c)
{
	struct bytes text;
	uint32_t hash;
	if (peek_is(c, '"'))
		return check_string(c, &text, &hash);
	if (peek_is(c, 't'))
		return check_word(c, "true");
	if (peek_is(c, 'f'))
		return check_word(c, "false");
	if (peek_is(c, 'n'))
		return check_word(c, "null");
	return check_number(c);
}

/* Calls itself once a nesting level, and so at most limits.depth deep. */
static bool check_value(struct check *c, size_t depth)
{
	skip_blanks(c);
	bool is_object = peek_is(c, '{'), is_array = peek_is(c, '[');
	if (++c->nodes > c->limits.nodes)
		return refuse(c, "too many values");
	if ((is_object || is_array) && depth >= c->limits.depth)
		return refuse(c, "nested too deeply");
	bool is_good = take_if(c, '{')   ? check_members(c, depth + 1)
		       : take_if(c, '[') ? check_elements(c, depth + 1)
					 : check_scalar(c);
	skip_blanks(c);
	return is_good;
}

bool json_check(struct bytes text, struct json_limits limits, const char **why)
{
	return json_check_wide(text, limits, KEYS_PER_OBJECT, why);
}

bool json_check_wide(struct bytes text, struct json_limits limits, size_t keys, const char **why)
{
	struct check c = { .rest = text, .limits = limits, .keys_max = keys, .keys = BUF_INIT(SIZE_MAX / 2) };
	if (c.limits.depth > JSON_DEPTH_MAX)
		c.limits.depth = JSON_DEPTH_MAX;
	bool is_good = check_value(&c, 0);
	if (is_good && c.rest.len)
		is_good = refuse(&c, "something behind the value");
	if (text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
		c.why = "a byte order mark";
	buf_done(&c.keys);
	if (!is_good)
		*why = c.why;
	return is_good;
}

/* --- look-up in a checked document --- */

/* From an opening quote to behind the closing one. */
static bool skip_string(struct bytes *from)
{
	for (size_t i = 1; i < from->len; i++) {
		if (from->at[i] == '\\') {
			i++;
		} else if (from->at[i] == '"') {
			*from = bytes_of(from->at + i + 1, from->len - i - 1);
			return true;
		}
	}
	return false;
}

static bool skip_space(struct bytes *from)
{
	while (from->len && memchr(" \t\n\r", from->at[0], 4))
		*from = bytes_of(from->at + 1, from->len - 1);
	return from->len > 0;
}

/* To the comma or bracket that ends the value at the front. In a checked document brackets match, so counting is
 * enough. */
static bool skip_value(struct bytes *from)
{
	size_t depth = 0;
	while (from->len) {
		uint8_t one = from->at[0];
		if (one == '"') {
			if (!skip_string(from))
				return false;
			continue;
		}
		if (depth == 0 && (one == ',' || one == '}' || one == ']'))
			return true;
		if (one == '{' || one == '[')
			depth++;
		if (one == '}' || one == ']')
			depth--;
		*from = bytes_of(from->at + 1, from->len - 1);
	}
	return false;
}

static struct bytes without_space_behind(struct bytes text)
{
	while (text.len && memchr(" \t\n\r", text.at[text.len - 1], 4))
		text.len--;
	return text;
}

static bool take_member(struct bytes *from, struct bytes *ret_key, struct bytes *ret_value)
{
	if (!skip_space(from) || from->at[0] != '"')
		return false;
	struct bytes start = *from;
	if (!skip_string(from))
		return false;
	*ret_key = bytes_of(start.at + 1, start.len - from->len - 2);
	struct bytes colon;
	if (!skip_space(from) || !bytes_take(from, 1, &colon) || colon.at[0] != ':' || !skip_space(from))
		return false;
	start = *from;
	if (!skip_value(from))
		return false;
	*ret_value = without_space_behind(bytes_of(start.at, start.len - from->len));
	return true;
}

static bool take_mark(struct bytes *from, char opening)
{
	struct bytes mark;
	return skip_space(from) && bytes_take(from, 1, &mark) && (mark.at[0] == (uint8_t)opening || mark.at[0] == ',');
}

bool json_next_member(struct bytes *walk, struct bytes *ret_key, struct bytes *ret_value)
{
	return take_mark(walk, '{') && take_member(walk, ret_key, ret_value);
}

bool json_next_element(struct bytes *walk, struct bytes *ret_value)
{
	if (!take_mark(walk, '[') || !skip_space(walk))
		return false;
	struct bytes start = *walk;
	if (!skip_value(walk) || walk->at == start.at)
		return false;
	*ret_value = without_space_behind(bytes_of(start.at, start.len - walk->len));
	return true;
}

/* The member that comes next in an object; bracket what stands before it. */
static bool next_member(struct bytes *from, char bracket, struct bytes *ret_key, struct bytes *ret_value)
{
	struct bytes mark;
	return skip_space(from) && bytes_take(from, 1, &mark) && mark.at[0] == (uint8_t)bracket &&
	       take_member(from, ret_key, ret_value);
}

bool json_find_raw(struct bytes text, const char *key, struct bytes *ret)
{
	struct bytes name, value, wanted = bytes_of_text(key);
	if (memchr(key, '\\', wanted.len))
		return false;
	for (char before = '{'; next_member(&text, before, &name, &value); before = ',')
		if (bytes_equal(name, wanted)) {
			*ret = value;
			return true;
		}
	return false;
}

static bool is_among(struct bytes word, const char *list)
{
	for (size_t len; *list; list += len, list += *list == ' ') {
		len = strcspn(list, " ");
		if (bytes_equal(word, bytes_of(list, len)))
			return true;
	}
	return false;
}

bool json_find_other(struct bytes text, const char *known, struct bytes *ret_key)
{
	struct bytes name, value;
	for (char before = '{'; next_member(&text, before, &name, &value); before = ',')
		if (!is_among(name, known)) {
			*ret_key = name;
			return true;
		}
	return false;
}

/* --- what a raw value says --- */

bool json_as_text(struct bytes raw, char *ret, size_t size)
{
	const char *why;
	size_t len = 0;
	uint32_t c;
	if (raw.len < 2 || raw.at[0] != '"' || raw.at[raw.len - 1] != '"')
		return false;
	struct bytes text = bytes_of(raw.at + 1, raw.len - 2);
	while (text.len) {
		char one[4];
		if (!take_string_char(&text, &c, &why))
			return false;
		size_t room = utf8_put(c, one);
		if (len + room >= size)
			return false;
		memcpy(ret + len, one, room);
		len += room;
	}
	if (len >= size)
		return false;
	ret[len] = '\0';
	return true;
}

bool json_as_int(struct bytes raw, int64_t *ret)
{
	int64_t value = 0;
	bool is_negative = raw.len && raw.at[0] == '-';
	size_t at = is_negative ? 1 : 0;
	if (at == raw.len || raw.len - at > 18)
		return false;
	for (; at < raw.len; at++) {
		if (raw.at[at] < '0' || raw.at[at] > '9')
			return false;
		value = value * 10 + (raw.at[at] - '0');
	}
	*ret = is_negative ? -value : value;
	return true;
}

bool json_as_bool(struct bytes raw, bool *ret)
{
	bool is_true = bytes_equal(raw, bytes_of_text("true"));
	if (!is_true && !bytes_equal(raw, bytes_of_text("false")))
		return false;
	*ret = is_true;
	return true;
}
