#include "agent/tiktok.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/version.h"
#include "core/wipe.h"
#include "vault/credential.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define EVENT_NAME "PixelvaultCheck"
#define PAGE_URL "https://example.com/pixelvault-check"
#define USER_ADDRESS "203.0.113.1"
#define USER_HASH "190b1d0e63f01a6993b195d10513f391bf4ae6c2d3e51ab7e1ced6c5fe1d1b1c" /* SHA-256 of "pixelvault" */

#define TOKEN_PREFIX_MIN 8 /* a shorter piece of a token gives nothing away, and would match words */
#define CODE_DIGITS_MAX 9

static const struct json_limits answer_limits = { .depth = 32, .nodes = 4096 };

/* --- the question --- */

static void put_event_id(struct json *j, const struct probe *probe, int64_t now)
{
	char id[96], when[CLOCK_TEXT_MAX];
	clock_format(now, when);
	if (probe->kind == PROBE_LIVE)
		snprintf(id, sizeof id, "pixelvault-%.10s-%.*s", when, PIXEL_CODE_MAX, probe->pixel);
	else
		snprintf(id, sizeof id, "pixelvault-%s-%llu", when, (unsigned long long)probe->id);
	json_text(j, "event_id", id);
}

static void put_event(struct json *j, const struct probe *probe, int64_t now)
{
	json_object(j, NULL);
	json_text(j, "event", EVENT_NAME);
	json_int(j, "event_time", now);
	put_event_id(j, probe, now);
	json_object(j, "user");
	json_text(j, "external_id", USER_HASH);
	json_text(j, "ip", USER_ADDRESS);
	json_text(j, "user_agent", "pixelvault/" PIXELVAULT_VERSION);
	json_end_object(j);
	json_object(j, "page");
	json_text(j, "url", PAGE_URL);
	json_end_object(j);
	json_end_object(j);
}

void tiktok_request(const struct probe *probe, int64_t now, struct buf *ret)
{
	struct json j = JSON_INIT(ret);
	bool is_dry = probe->kind != PROBE_TEST && probe->kind != PROBE_LIVE;
	json_object(&j, NULL);
	json_text(&j, "event_source", "web");
	json_text(&j, "event_source_id", probe->pixel);
	if (probe->kind == PROBE_TEST)
		json_text(&j, "test_event_code", probe->test_code);
	json_array(&j, "data");
	if (!is_dry)
		put_event(&j, probe, now);
	json_end_array(&j);
	json_end_object(&j);
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
	while (text.len && put + 1 < size) {
		size_t run = token_run(text, token);
		const char *from = run ? instead : (const char *)text.at;
		size_t len = run ? sizeof instead - 1 : 1;
		for (size_t i = 0; i < len && put + 1 < size; i++)
			ret[put++] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
		run = run ? run : 1;
		text = bytes_of(text.at + run, text.len - run);
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
static const char *read_envelope(struct bytes body, struct bytes token, struct answer *ret)
{
	const char *why = NULL;
	struct bytes raw;
	int32_t code;
	if (!json_check(body, answer_limits, &why))
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

void tiktok_read(struct bytes body, struct bytes token, struct answer *ret)
{
	static cJSON_Hooks hooks = { .malloc_fn = wipe_malloc, .free_fn = wipe_free };
	cJSON_InitHooks(&hooks);
	ret->code = NO_CODE;
	ret->text[0] = ret->request_id[0] = '\0';
	ret->body = BODY_CODE;
	const char *odd = read_envelope(body, token, ret);
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
