#include "agent/tiktok.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/version.h"
#include "core/wipe.h"
#include "vault/credential.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define USER_HASH "190b1d0e63f01a6993b195d10513f391bf4ae6c2d3e51ab7e1ced6c5fe1d1b1c" /* SHA-256 of "pixelvault" */

#define TOKEN_PREFIX_MIN 8 /* a shorter piece of a token gives nothing away, and would match words */
#define CODE_DIGITS_MAX 9

static const struct json_limits answer_limits = { .depth = 32, .nodes = 4096 };
static const struct json_limits page_limits = { .depth = 32, .nodes = 200000 };

/* --- the question --- */

/* Written as TikTok gets them, so that what we send can be read here. The holes are filled with a Pixel code, a test
 * code, numbers and times; the first two come from people and are escaped. */
#define REQUEST_HEAD "{\"event_source\":\"web\",\"event_source_id\":\"%s\","
#define REQUEST_TEST_CODE "\"test_event_code\":\"%s\","
#define REQUEST_NO_EVENT "\"data\":[]}"
#define REQUEST_EVENT                                                                                                  \
	"\"data\":[{\"event\":\"PixelvaultCheck\",\"event_time\":%" PRId64 ",\"event_id\":\"%s\","                     \
	"\"user\":{\"external_id\":\"" USER_HASH "\",\"ip\":\"203.0.113.1\","                                          \
	"\"user_agent\":\"pixelvault/" PIXELVAULT_VERSION "\"},"                                                       \
	"\"page\":{\"url\":\"https://example.com/pixelvault-check\"}}]}"

#define ESCAPED_MAX (2 * (PIXEL_CODE_MAX > TEST_CODE_MAX ? PIXEL_CODE_MAX : TEST_CODE_MAX) + 1)

/* For printable ASCII, which is all that Pixel and test codes may hold; anything else becomes '?'. */
static const char *escaped(const char *text, char ret[ESCAPED_MAX])
{
	size_t put = 0;
	for (; *text && put + 2 < ESCAPED_MAX; text++) {
		if (*text == '"' || *text == '\\')
			ret[put++] = '\\';
		ret[put++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
	}
	ret[put] = '\0';
	return ret;
}

static void put_event(const struct probe *probe, const char *pixel, int64_t now, struct buf *ret)
{
	char id[ESCAPED_MAX + 64], when[CLOCK_TEXT_MAX];
	clock_format(now, when);
	if (probe->kind == PROBE_LIVE)
		snprintf(id, sizeof id, "pixelvault-%.10s-%s", when, pixel);
	else
		snprintf(id, sizeof id, "pixelvault-%s-%" PRIu64, when, probe->id);
	buf_printf(ret, REQUEST_EVENT, now, id);
}

void tiktok_request(const struct probe *probe, int64_t now, struct buf *ret)
{
	char pixel[ESCAPED_MAX], test_code[ESCAPED_MAX];
	buf_printf(ret, REQUEST_HEAD, escaped(probe->pixel, pixel));
	if (probe->kind == PROBE_TEST)
		buf_printf(ret, REQUEST_TEST_CODE, escaped(probe->test_code, test_code));
	if (probe->kind == PROBE_TEST || probe->kind == PROBE_LIVE)
		put_event(probe, pixel, now, ret);
	else
		buf_append_text(ret, REQUEST_NO_EVENT);
}

/* --- a refresh --- */

static void put_json_text(struct buf *ret, const char *key, struct bytes text)
{
	buf_append_text(ret, ",\"");
	buf_append_text(ret, key);
	buf_append_text(ret, "\":\"");
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\')
			buf_append(ret, "\\", 1);
		buf_append(ret, &text.at[i], 1);
	}
	buf_append_text(ret, "\"");
}

static void put_form_field(struct buf *ret, const char *key, struct bytes text)
{
	static const char digits[] = "0123456789ABCDEF";
	buf_append_text(ret, "&");
	buf_append_text(ret, key);
	buf_append_text(ret, "=");
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.at[i];
		char coded[3] = { '%', digits[c >> 4], digits[c & 15] };
		bool is_plain = isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
		buf_append(ret, is_plain ? (const void *)&c : coded, is_plain ? 1 : sizeof coded);
	}
}

/* All three are printable ASCII (vault/grant.h). */
void tiktok_refresh_request(enum family family, const struct grant *grant, struct buf *ret)
{
	bool is_form = family == FAMILY_LOGIN;
	void (*put)(struct buf *, const char *, struct bytes) = is_form ? put_form_field : put_json_text;
	buf_append_text(ret, is_form ? "grant_type=refresh_token" : "{\"grant_type\":\"refresh_token\"");
	put(ret, is_form ? "client_key" : "client_id", grant->client_id);
	put(ret, "client_secret", grant->client_secret);
	put(ret, "refresh_token", grant->refresh_token);
	buf_append_text(ret, is_form ? "" : "}");
}

bool tiktok_token_is_sendable(struct bytes token)
{
	for (size_t i = 0; i < token.len; i++)
		if (token.at[i] <= 0x20 || token.at[i] >= 0x7f)
			return false;
	return token.len > 0;
}

/* --- the answer --- */

/* How many bytes of text at its front are the token or the beginning of it; 0 when too few to matter. */
static size_t token_run(struct bytes text, struct bytes token)
{
	size_t run = 0, least = token.len < TOKEN_PREFIX_MIN ? token.len : TOKEN_PREFIX_MIN;
	while (run < text.len && run < token.len && text.at[run] == token.at[run])
		run++;
	return run && run >= least ? run : 0;
}

void tiktok_clean(struct bytes text, struct bytes token, char *ret, size_t size)
{
	static const char instead[] = "[token]";
	size_t put = 0;
	for (size_t i = 0; i < text.len && put + 1 < size;) {
		uint8_t c = text.at[i];
		size_t run = token.len && c == token.at[0] ? token_run(bytes_of(text.at + i, text.len - i), token) : 0;
		if (run == 0) {
			ret[put++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
			i++;
			continue;
		}
		for (const char *from = instead; *from && put + 1 < size; from++)
			ret[put++] = *from;
		i += run;
	}
	ret[put] = '\0';
}

/* Exactly one spelling of a number is taken: no sign but a leading minus, no point, no exponent. "-0" is not 0. */
static bool read_code(struct bytes raw, int32_t *ret)
{
	int32_t value = 0;
	bool is_negative = raw.len > 1 && raw.at[0] == '-';
	struct bytes digits = is_negative ? bytes_of(raw.at + 1, raw.len - 1) : raw;
	if (digits.len == 0 || digits.len > CODE_DIGITS_MAX || (digits.at[0] == '0' && (digits.len > 1 || is_negative)))
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.at[i] < '0' || digits.at[i] > '9')
			return false;
		value = value * 10 + (digits.at[i] - '0');
	}
	*ret = is_negative ? -value : value;
	return true;
}

static void put_member_text(const cJSON *root, const char *name, struct bytes token, char *ret, size_t size)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(root, name);
	if (cJSON_IsString(member) && member->valuestring)
		tiktok_clean(bytes_of_text(member->valuestring), token, ret, size);
}

/* NULL on success, else what is odd about it. */
static const char *read_envelope(struct bytes body, struct bytes token, struct json_limits limits, struct answer *ret)
{
	const char *why = NULL;
	struct bytes raw;
	int32_t code;
	if (!json_check(body, limits, &why))
		return why;
	if (!json_find_raw(body, "code", &raw))
		return "no code in it";
	if (!read_code(raw, &code))
		return "its code is no plain integer";
	cJSON *root = cJSON_ParseWithLength((const char *)body.at, body.len);
	const cJSON *again = cJSON_GetObjectItemCaseSensitive(root, "code");
	if (!cJSON_IsNumber(again) || again->valueint != code) {
		cJSON_Delete(root);
		return "its code reads in two ways";
	}
	put_member_text(root, "message", token, ret->text, sizeof ret->text);
	put_member_text(root, "request_id", token, ret->request_id, sizeof ret->request_id);
	cJSON_Delete(root);
	ret->code = code;
	return NULL;
}

/* Login Kit names its errors instead: "invalid_grant: Refresh token is expired." False when it did not. */
static bool read_named_error(struct bytes body, struct answer *ret)
{
	const char *why;
	struct bytes raw;
	char name[64], words[256] = "", text[sizeof name + sizeof words + 2];
	if (!json_check(body, answer_limits, &why) || !json_find_raw(body, "error", &raw) ||
	    !json_as_text(raw, name, sizeof name) || !name[0])
		return false;
	if (json_find_raw(body, "error_description", &raw) && !json_as_text(raw, words, sizeof words))
		words[0] = '\0';
	snprintf(text, sizeof text, "%s%s%s", name, words[0] ? ": " : "", words);
	tiktok_clean(bytes_of_text(text), bytes_of("", 0), ret->text, sizeof ret->text);
	wipe(text, sizeof text); /* what we sent may be quoted in it */
	if (json_find_raw(body, "log_id", &raw) && json_as_text(raw, words, sizeof words))
		tiktok_clean(bytes_of_text(words), bytes_of("", 0), ret->request_id, sizeof ret->request_id);
	wipe(words, sizeof words);
	ret->body = BODY_NAMED;
	return true;
}

static struct bytes without_blanks(struct bytes text)
{
	while (text.len && memchr(" \t\r\n", text.at[0], 4))
		text = bytes_of(text.at + 1, text.len - 1);
	return text;
}

static bool begins_like_json(struct bytes text)
{
	if (text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
		text = without_blanks(bytes_of(text.at + 3, text.len - 3));
	return text.len && (text.at[0] == '{' || text.at[0] == '[');
}

static enum body_kind kind_of_odd(struct bytes body)
{
	const char *why;
	if (without_blanks(body).len == 0)
		return BODY_NONE;
	return begins_like_json(without_blanks(body)) || json_check(body, answer_limits, &why) ? BODY_ODD_JSON
											       : BODY_OTHER;
}

static void read_answer(struct bytes body, struct bytes token, struct json_limits limits, struct answer *ret)
{
	static cJSON_Hooks hooks = { .malloc_fn = wipe_malloc, .free_fn = wipe_free };
	cJSON_InitHooks(&hooks);
	ret->code = NO_CODE;
	ret->text[0] = ret->request_id[0] = '\0';
	ret->body = BODY_CODE;
	const char *odd = read_envelope(body, token, limits, ret);
	if (!odd)
		return;
	ret->body = kind_of_odd(body);
	if (ret->body == BODY_NONE)
		snprintf(ret->text, sizeof ret->text, "HTTP %d with an empty body", ret->http);
	else if (ret->body == BODY_OTHER)
		snprintf(ret->text, sizeof ret->text, "HTTP %d with a body that is not JSON", ret->http);
	else
		snprintf(ret->text, sizeof ret->text, "HTTP %d with JSON that cannot be judged: %s", ret->http, odd);
}

void tiktok_read(struct bytes body, struct bytes token, struct answer *ret)
{
	read_answer(body, token, answer_limits, ret);
}

/* --- a page of a list --- */

void tiktok_list_query(const char *list, uint32_t page, struct buf *ret)
{
	bool is_center = list_is_center(list);
	buf_printf(ret, "%s=%s%s&page=%u&page_size=%u", is_center ? "bc_id" : "advertiser_id", list_id(list),
		   is_center ? "&asset_type=PIXEL" : "", page, is_center ? 50u : 20u);
}

static const cJSON *member(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The relation that a list tells of a Pixel: of a Business Center it is a word, of an ad account null where it was never
 * lent or moved. */
static uint8_t relation_of(const cJSON *row)
{
	static const struct {
		const char *word;
		enum sight_kind kind;
	} words[] = { { "BOUND", SIGHT_LISTED },    { "UNBOUND", SIGHT_UNBOUND },     { "PENDING", SIGHT_PENDING },
		      { "REJECTED", SIGHT_REJECTED }, { "TRANSFERRED", SIGHT_LISTED }, { "SHARED", SIGHT_LISTED } };
	const cJSON *owned = member(row, "asset_ownership");
	const cJSON *status = owned ? member(owned, "asset_relation_status") : member(row, "relation_status");
	if (owned && cJSON_IsNull(status))
		return SIGHT_LISTED;
	for (size_t i = 0; cJSON_IsString(status) && i < COUNT_OF(words); i++)
		if (strcmp(status->valuestring, words[i].word) == 0)
			return (uint8_t)words[i].kind;
	return 0;
}

static void read_row(const cJSON *row, struct list_page *ret)
{
	const cJSON *code = member(row, "pixel_code");
	struct error unused;
	if (ret->count == LIST_ROWS_MAX || !cJSON_IsString(code) || !pixel_check(code->valuestring, &unused)) {
		ret->unreadable++;
		return;
	}
	struct list_row *to = &ret->rows[ret->count++];
	snprintf(to->pixel, sizeof to->pixel, "%s", code->valuestring);
	to->kind = relation_of(row);
}

/* Whole numbers may come quoted. */
static bool read_count(const cJSON *object, const char *key, uint32_t most, uint32_t *ret)
{
	const cJSON *number = member(object, key);
	int32_t value;
	if (cJSON_IsString(number)) {
		if (!read_code(bytes_of_text(number->valuestring), &value) || value < 0 || (uint32_t)value > most)
			return false;
		*ret = (uint32_t)value;
		return true;
	}
	if (!cJSON_IsNumber(number) || number->valuedouble < 0 || number->valuedouble > most ||
	    number->valuedouble != (double)number->valueint)
		return false;
	*ret = (uint32_t)number->valueint;
	return true;
}

static bool read_rows(const cJSON *data, uint32_t page, struct list_page *ret)
{
	const cJSON *rows = member(data, "list"), *info = member(data, "page_info"), *row;
	if (!rows)
		rows = member(data, "pixels");
	if (!cJSON_IsArray(rows) || !read_count(info, "page", LIST_PAGES_MAX, &ret->page) || ret->page != page ||
	    !read_count(info, "total_page", LIST_PAGES_MAX, &ret->pages) ||
	    !read_count(info, "total_number", LIST_PAGES_MAX * LIST_ROWS_MAX, &ret->total))
		return false;
	for (row = rows->child; row; row = row->next)
		read_row(row, ret);
	return true;
}

bool tiktok_read_page(struct bytes body, struct bytes token, uint32_t page, struct answer *ret,
		      struct list_page *ret_page)
{
	read_answer(body, token, page_limits, ret);
	if (ret->body != BODY_CODE || ret->code != 0)
		return false;
	cJSON *root = cJSON_ParseWithLength((const char *)body.at, body.len);
	bool is_page = read_rows(member(root, "data"), page, ret_page);
	cJSON_Delete(root);
	if (is_page)
		return true;
	ret->body = BODY_ODD_JSON;
	ret->code = NO_CODE;
	snprintf(ret->text, sizeof ret->text, "HTTP %d with a list that cannot be read", ret->http);
	return false;
}

/* --- the answer to a refresh --- */

/* Printable ASCII without blanks, copied to room; its length, 0 when it is none of that or does not fit. */
static uint32_t read_token(struct bytes object, const char *key, uint8_t *room, size_t size)
{
	struct bytes raw;
	if (!json_find_raw(object, key, &raw) || !json_as_text(raw, (char *)room, size))
		return 0;
	size_t len = strlen((const char *)room);
	return tiktok_token_is_sendable(bytes_of(room, len)) ? (uint32_t)len : 0;
}

/* Numbers may come quoted. */
static int64_t read_life(struct bytes object, const char *key)
{
	struct bytes raw;
	int64_t seconds;
	if (!json_find_raw(object, key, &raw))
		return 0;
	if (raw.len > 2 && raw.at[0] == '"')
		raw = bytes_of(raw.at + 1, raw.len - 2);
	return json_as_int(raw, &seconds) && seconds > 0 && seconds <= LIFE_MAX_S ? seconds : 0;
}

/* Without an access token there is no pair. A refresh token that cannot be read is no reason to throw it away: it is
 * taken as one that stays. */
static bool read_tokens(struct bytes object, const char *refresh_life, struct token_pair *ret)
{
	ret->access_len = read_token(object, "access_token", ret->access, sizeof ret->access);
	ret->refresh_len = read_token(object, "refresh_token", ret->refresh, sizeof ret->refresh);
	ret->life_s = read_life(object, "expires_in");
	ret->refresh_life_s = read_life(object, refresh_life);
	return ret->access_len >= TOKEN_MIN;
}

static bool find_tokens(enum family family, struct bytes body, const struct answer *a, struct token_pair *ret)
{
	const char *why;
	struct bytes data;
	if (!json_check(body, answer_limits, &why))
		return false;
	if (family == FAMILY_LOGIN)
		return a->body != BODY_NAMED && read_tokens(body, "refresh_expires_in", ret);
	return a->body == BODY_CODE && a->code == 0 && json_find_raw(body, "data", &data) &&
	       read_tokens(data, "refresh_token_expires_in", ret);
}

/* Nothing of what was sent may stand in a text. */
static void hide_grant(const struct grant *g, struct answer *a)
{
	char once[sizeof a->text] = "";
	tiktok_clean(bytes_of_text(a->text), g->refresh_token, once, sizeof once);
	tiktok_clean(bytes_of_text(once), g->client_secret, a->text, sizeof a->text);
	wipe(once, sizeof once);
}

bool tiktok_read_pair(enum family family, struct bytes body, const struct grant *grant, struct answer *ret,
		      struct token_pair *ret_pair)
{
	tiktok_read(body, grant->refresh_token, ret);
	if (ret->body != BODY_CODE && family == FAMILY_LOGIN && read_named_error(body, ret))
		ret->code = NO_CODE;
	bool is_found = find_tokens(family, body, ret, ret_pair);
	hide_grant(grant, ret);
	return is_found;
}
