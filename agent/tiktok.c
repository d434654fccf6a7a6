#include "agent/tiktok.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/version.h"
#include "core/wipe.h"
#include "vault/credential.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define USER_HASH "190b1d0e63f01a6993b195d10513f391bf4ae6c2d3e51ab7e1ced6c5fe1d1b1c" /* SHA-256 of "pixelvault" */

#define TOKEN_PREFIX_MIN 8 /* a shorter piece of a token gives nothing away, and would match words */
#define CODE_DIGITS_MAX 9

static const struct json_limits answer_limits = { .depth = 32, .nodes = 4096 };

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
