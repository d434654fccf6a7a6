#include "agent/verdict.h"

#include "agent/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Source: docs/tiktok.md, "Decision table". TikTok documents neither the order of its own checks nor the texts, so
 * codes decide and texts only tell apart what shares a code. */

/* Codes from `from` to before `end`; an empty one ends a list, so {0} is "whatever the code". */
struct span {
	int32_t from, end;
};
#define ONE(code)                                                                                                      \
	{                                                                                                              \
		(code), (code) + 1                                                                                     \
	}
#define FROM_TO(first, last)                                                                                           \
	{                                                                                                              \
		(first), (last) + 1                                                                                    \
	}

enum history { HISTORY_ANY = 0, HISTORY_PROVEN };
enum listing { LISTING_ANY = 0, LISTING_HOLDS, LISTING_UNBOUND, LISTING_LACKS, LISTING_ITSELF };

/* Sets of small enums; 0 is "any". */
#define IN(x) (1u << (x))

#define JSON_CODE IN(BODY_CODE)
#define NO_JSON_CODE (IN(BODY_NONE) | IN(BODY_ODD_JSON) | IN(BODY_OTHER))
#define EVENTS IN(ENDPOINT_EVENT_TRACK)
#define LISTS IN(ENDPOINT_PIXEL_LIST)
#define REFRESH IN(ENDPOINT_REFRESH)
#define PROVING (IN(PROBE_TEST) | IN(PROBE_LIVE) | IN(PROBE_REPORT))

struct row {
	const char *name;
	unsigned transports, bodies, endpoints, kinds;
	struct span http, codes[10];
	bool (*text)(const char *text); /* NULL = whatever the text */
	enum history history;
	enum listing listing;
	enum verdict outcome;
	unsigned flags;
	const char *advice;
};

#define NEW_TOKEN                                                                                                      \
	"generate a new token (Events Manager > data source > Settings > Events API > Generate access token) and "     \
	"'put' it"

#define ADVICE_OFFLINE                                                                                                 \
	"TikTok could not be asked; the verdict stands and the next check asks again: is this host online?"
#define ADVICE_NAME "the name of TikTok's host has no address: check DNS on this host, and base-url in [tiktok]"
#define ADVICE_TLS                                                                                                     \
	"no token was sent: check this host's clock and CA certificates (ca-file), and for a proxy that opens TLS"
#define ADVICE_COURIER "our own helper process died before an answer came: check again; if it dies again, report a bug"
#define ADVICE_SERVER "TikTok's servers have trouble; the verdict stands and the next check asks again"
#define ADVICE_STRANGER                                                                                                \
	"something other than TikTok's API answered (proxy, login page, outage?); the verdict stands: check base-url " \
	"in [tiktok]"
#define ADVICE_CLIENT                                                                                                  \
	"TikTok no longer knows this call: check base-url in [tiktok], then update pixelvault; no token is to blame"
#define ADVICE_THROTTLED "TikTok asks us to slow down; checks wait by themselves: if it goes on, lower rate in [check]"
#define ADVICE_LEAK                                                                                                    \
	"this Pixel is called too often: unless your own senders did that the token has leaked; generate a new one "   \
	"in "                                                                                                          \
	"Events Manager and 'put' it"
#define ADVICE_UNPROVEN                                                                                                \
	"not refuted, not proven: store a test code (Events Manager > data source > Test events) with 'put "           \
	"--test-code' "                                                                                                \
	"to have it proven"
#define ADVICE_ALIVE "the token is alive, but nothing says that it fits this Pixel: check it with a test code"
#define ADVICE_MALFORMED "TikTok saw no usable token: copy it again and 'put' it, or " NEW_TOKEN
#define ADVICE_REVOKED "the token is wrong or was revoked: " NEW_TOKEN
#define ADVICE_EXPIRED "the token has run out: " NEW_TOKEN
#define ADVICE_MISMATCHED                                                                                              \
	"the token works, but not for this Pixel: open this very Pixel in Events Manager > Settings > Events API, "    \
	"generate "                                                                                                    \
	"its token and 'put' it"
#define ADVICE_LOST_RIGHT                                                                                              \
	"the token's user lost the right to this Pixel: make them admin or operator of the ad account again, or "      \
	"'put' a "                                                                                                     \
	"token generated by someone who is"
#define ADVICE_SCOPE                                                                                                   \
	"the token was granted too few rights: grant the app Pixel management again, or 'put' a token generated in "   \
	"Events "                                                                                                      \
	"Manager"
#define ADVICE_UNBOUND                                                                                                 \
	"the Pixel is no longer shared with this ad account: have its owner share it again in Business Center"
#define ADVICE_ADVERTISER                                                                                              \
	"the ad account behind the token is gone or not its own: check the advertiser in Business Center"
#define ADVICE_SUSPICIOUS                                                                                              \
	"TikTok refused the token for account data only: check it against its Pixel before you replace it"
#define ADVICE_APP "TikTok refuses the app, not the token: check app id, secret and approval in the developer portal"
#define ADVICE_NO_PIXEL "TikTok does not know what was asked for: look whether the Pixel was deleted in Events Manager"
#define ADVICE_REQUEST "TikTok found fault with our question, not with the token; if it goes on, report the text shown"
#define ADVICE_COUNTRY "TikTok bars this host's IP address or its country: let pixelvault ask from another address"
#define ADVICE_UNKNOWN "TikTok's answer could not be judged; the verdict stands: look at code and text, and check again"

/* ---- texts ---- */

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* "user.data" and "data.0.event" are paths to some other field; "... data." ends a sentence. */
static bool stands_alone(const char *start, const char *word, size_t len)
{
	const char *end = word + len;
	if (word > start && (is_word_char(word[-1]) || word[-1] == '.'))
		return false;
	return !is_word_char(*end) && !(*end == '.' && is_word_char(end[1]));
}

/* The phrase is TikTok's way to say that *another* field is missing: "advertiser_ids: Missing data for required field."
 */
static bool names_data(const char *text)
{
	static const char missing[] = "missing ", rest[] = "data for required field", word[] = "data";
	for (const char *at = text; (at = strcasestr(at, word)); at += sizeof word - 1) {
		bool is_phrase = at - text >= (ptrdiff_t)(sizeof missing - 1) &&
				 strncasecmp(at - (sizeof missing - 1), missing, sizeof missing - 1) == 0 &&
				 strncasecmp(at, rest, sizeof rest - 1) == 0;
		if (!is_phrase && stands_alone(text, at, sizeof word - 1))
			return true;
	}
	return false;
}

/* "invalid_grant" alone, or what Login Kit says of it behind a colon. */
static bool names_error(const char *text, const char *error)
{
	size_t len = strlen(error);
	return strncmp(text, error, len) == 0 && (text[len] == ':' || text[len] == '\0');
}

static bool refuses_pair(const char *text)
{
	return strcasestr(text, "operate pixel code") != NULL;
}

static bool lacks_scope(const char *text)
{
	return strcasestr(text, "does not grant you") != NULL;
}

static bool lacks_advertiser(const char *text)
{
	const char *advertiser = strcasestr(text, "advertiser");
	return advertiser && (strcasestr(advertiser, "doesn't exist") || strcasestr(advertiser, "does not exist"));
}

static bool is_invalid_grant(const char *text)
{
	return names_error(text, "invalid_grant");
}

static bool is_invalid_client(const char *text)
{
	return names_error(text, "invalid_client") || names_error(text, "unauthorized_client");
}

/* ---- the table ---- */

/* First row that fits. Row 1 (a token or Pixel broken by local rules) makes no call and so has no answer to judge. */
static const struct row rows[] = {
	/* 429 comes first, whatever its body says: the edge throttles in front of all that could know the token. */
	{ "4", .http = ONE(429), .outcome = OUTCOME_THROTTLED, .advice = ADVICE_THROTTLED },

	{ "2", .transports = IN(TRANSPORT_NAME), .outcome = OUTCOME_UNREACHABLE, .advice = ADVICE_NAME },
	{ "2", .transports = IN(TRANSPORT_TLS), .outcome = OUTCOME_UNREACHABLE, .advice = ADVICE_TLS },
	{ "2", .transports = IN(TRANSPORT_NO_COURIER), .outcome = OUTCOME_UNREACHABLE, .advice = ADVICE_COURIER },
	{ "2", .transports = ~IN(TRANSPORT_OK), .outcome = OUTCOME_UNREACHABLE, .advice = ADVICE_OFFLINE },

	{ "3", .http = ONE(404), .bodies = IN(BODY_OTHER), .outcome = OUTCOME_UNKNOWN, .flags = FINDING_NOT_THE_PAIR,
	  .advice = ADVICE_CLIENT },
	{ "3", .http = ONE(405), .bodies = IN(BODY_OTHER), .outcome = OUTCOME_UNKNOWN, .flags = FINDING_NOT_THE_PAIR,
	  .advice = ADVICE_CLIENT },
	{ "2", .http = FROM_TO(500, 599), .bodies = NO_JSON_CODE, .outcome = OUTCOME_UNREACHABLE,
	  .advice = ADVICE_SERVER },
	{ "2", .http = FROM_TO(300, 399), .bodies = NO_JSON_CODE, .outcome = OUTCOME_UNREACHABLE,
	  .advice = ADVICE_STRANGER },
	{ "2", .bodies = IN(BODY_NONE) | IN(BODY_OTHER), .outcome = OUTCOME_UNREACHABLE, .advice = ADVICE_STRANGER },
	{ "24", .bodies = IN(BODY_ODD_JSON), .outcome = OUTCOME_UNKNOWN, .advice = ADVICE_UNKNOWN },

	{ "3", .bodies = JSON_CODE, .codes = { ONE(40006), ONE(40008), ONE(40010), ONE(40051), ONE(40400), ONE(41001) },
	  .outcome = OUTCOME_UNKNOWN, .flags = FINDING_NOT_THE_PAIR, .advice = ADVICE_CLIENT },
	{ "4", .bodies = JSON_CODE, .codes = { ONE(40100), ONE(40016), ONE(40133), ONE(61000), ONE(51021) },
	  .outcome = OUTCOME_THROTTLED, .advice = ADVICE_THROTTLED },
	{ "5", .bodies = JSON_CODE, .codes = { ONE(40132) }, .outcome = OUTCOME_THROTTLED, .flags = FINDING_LEAK_HINT,
	  .advice = ADVICE_LEAK },
	{ "6", .bodies = JSON_CODE, .endpoints = EVENTS, .kinds = PROVING, .codes = { ONE(0), ONE(20001) },
	  .outcome = VERDICT_HEALTHY },
	{ "7", .bodies = JSON_CODE, .endpoints = LISTS, .codes = { ONE(0) }, .listing = LISTING_ITSELF,
	  .outcome = VERDICT_HEALTHY },
	{ "7", .bodies = JSON_CODE, .endpoints = LISTS, .codes = { ONE(0) }, .listing = LISTING_HOLDS,
	  .outcome = VERDICT_HEALTHY },
	{ "8", .bodies = JSON_CODE, .endpoints = IN(ENDPOINT_USER_INFO), .codes = { ONE(0) },
	  .outcome = VERDICT_UNPROVEN, .advice = ADVICE_ALIVE },
	{ "9", .bodies = JSON_CODE, .codes = { ONE(40104) }, .outcome = VERDICT_MALFORMED, .advice = ADVICE_MALFORMED },
	{ "10", .bodies = JSON_CODE, .endpoints = EVENTS, .codes = { ONE(40105) }, .outcome = VERDICT_REVOKED,
	  .advice = ADVICE_REVOKED },
	{ "11", .bodies = JSON_CODE, .codes = { ONE(40105) }, .outcome = OUTCOME_UNKNOWN, .advice = ADVICE_SUSPICIOUS },
	{ "12", .bodies = JSON_CODE, .codes = { ONE(40102) }, .outcome = VERDICT_EXPIRED, .advice = ADVICE_EXPIRED },
	{ "13", .bodies = JSON_CODE, .codes = { ONE(40103), ONE(40107) }, .outcome = VERDICT_EXPIRED,
	  .advice = ADVISE_CONSENT },
	{ "13", .bodies = IN(BODY_NAMED), .endpoints = REFRESH, .text = is_invalid_grant, .outcome = VERDICT_EXPIRED,
	  .advice = ADVISE_CONSENT },
	{ "14", .bodies = JSON_CODE, .codes = { FROM_TO(40001, 40002) }, .text = refuses_pair,
	  .history = HISTORY_PROVEN, .outcome = VERDICT_NO_PERMISSION, .advice = ADVICE_LOST_RIGHT },
	{ "14", .bodies = JSON_CODE, .codes = { FROM_TO(40001, 40002) }, .text = refuses_pair,
	  .outcome = VERDICT_MISMATCHED, .advice = ADVICE_MISMATCHED },
	{ "15", .bodies = JSON_CODE, .codes = { ONE(40001) }, .text = lacks_scope, .outcome = VERDICT_NO_PERMISSION,
	  .advice = ADVICE_SCOPE },
	{ "15", .bodies = JSON_CODE, .codes = { ONE(40130), ONE(40118), ONE(40125) }, .outcome = VERDICT_NO_PERMISSION,
	  .advice = ADVICE_SCOPE },
	{ "16", .bodies = JSON_CODE, .endpoints = LISTS, .codes = { ONE(0) }, .listing = LISTING_LACKS,
	  .outcome = VERDICT_MISMATCHED, .advice = ADVICE_MISMATCHED },
	{ "17", .bodies = JSON_CODE, .endpoints = LISTS, .codes = { ONE(0) }, .listing = LISTING_UNBOUND,
	  .outcome = VERDICT_NO_PERMISSION, .advice = ADVICE_UNBOUND },
	{ "18", .bodies = JSON_CODE, .codes = { ONE(40106), ONE(40114), ONE(40119), ONE(40300), ONE(40301) },
	  .outcome = VERDICT_NO_PERMISSION, .advice = ADVICE_ADVERTISER },
	{ "18", .bodies = JSON_CODE, .codes = { ONE(40001) }, .text = lacks_advertiser, .outcome = VERDICT_NO_PERMISSION,
	  .advice = ADVICE_ADVERTISER },
	{ "19", .bodies = JSON_CODE,
	  .codes = { ONE(40101), ONE(40110), ONE(40113), ONE(40115), ONE(40116), ONE(40124) },
	  .outcome = OUTCOME_UNKNOWN, .flags = FINDING_NOT_THE_PAIR, .advice = ADVICE_APP },
	{ "19", .bodies = IN(BODY_NAMED), .endpoints = REFRESH, .text = is_invalid_client, .outcome = OUTCOME_UNKNOWN,
	  .flags = FINDING_NOT_THE_PAIR, .advice = ADVICE_APP },
	{ "20", .bodies = JSON_CODE, .codes = { ONE(40007) }, .outcome = OUTCOME_UNKNOWN,
	  .flags = FINDING_ABOUT_THE_PAIR, .advice = ADVICE_NO_PIXEL },
	{ "20b", .bodies = JSON_CODE, .endpoints = EVENTS, .kinds = IN(PROBE_DRY), .codes = { ONE(0), ONE(20001) },
	  .outcome = VERDICT_UNPROVEN, .advice = ADVICE_UNPROVEN },
	{ "20b", .bodies = JSON_CODE, .endpoints = EVENTS, .kinds = IN(PROBE_DRY), .codes = { ONE(40002) },
	  .text = names_data, .outcome = VERDICT_UNPROVEN, .advice = ADVICE_UNPROVEN },
	{ "21", .bodies = JSON_CODE, .codes = { ONE(40000), ONE(40002), ONE(40062), ONE(40063) },
	  .outcome = OUTCOME_UNKNOWN, .flags = FINDING_ABOUT_THE_PAIR, .advice = ADVICE_REQUEST },
	{ "22", .bodies = JSON_CODE, .codes = { ONE(41000) }, .outcome = OUTCOME_UNREACHABLE,
	  .flags = FINDING_NOT_THE_PAIR, .advice = ADVICE_COUNTRY },
	{ "23", .bodies = JSON_CODE, .codes = { FROM_TO(50000, 53103), ONE(60001) }, .outcome = OUTCOME_UNREACHABLE,
	  .advice = ADVICE_SERVER },
	{ "23", .http = FROM_TO(500, 599), .bodies = IN(BODY_NAMED), .outcome = OUTCOME_UNREACHABLE,
	  .advice = ADVICE_SERVER },
	{ "24", .outcome = OUTCOME_UNKNOWN, .advice = ADVICE_UNKNOWN },
};

static bool is_in(unsigned set, unsigned member)
{
	return set == 0 || (member < 32 && (set & IN(member)));
}

static bool spans_hold(const struct span *spans, size_t count, int32_t number)
{
	if (spans[0].from >= spans[0].end)
		return true;
	for (size_t i = 0; i < count && spans[i].from < spans[i].end; i++)
		if (number >= spans[i].from && number < spans[i].end)
			return true;
	return false;
}

static bool listing_is(enum listing wanted, const struct question_context *asked)
{
	enum listing found = asked->is_list ? LISTING_ITSELF : !asked->lists_pixel ? LISTING_LACKS : asked->is_unbound ? LISTING_UNBOUND : LISTING_HOLDS;
	return wanted == LISTING_ANY || wanted == found;
}

static bool row_fits(const struct row *row, const struct answer *answer, const struct question_context *asked)
{
	return is_in(row->transports, answer->transport) && is_in(row->bodies, answer->body) &&
	       is_in(row->endpoints, asked->endpoint) && is_in(row->kinds, asked->kind) &&
	       spans_hold(&row->http, 1, answer->http) && spans_hold(row->codes, COUNT_OF(row->codes), answer->code) &&
	       (row->history == HISTORY_ANY || asked->was_healthy) && listing_is(row->listing, asked) &&
	       (!row->text || row->text(answer->text));
}

struct finding verdict_judge(const struct answer *answer, const struct question_context *asked)
{
	const struct row *row = rows, *last = rows + COUNT_OF(rows) - 1;
	while (row < last && !row_fits(row, answer, asked))
		row++;
	return (struct finding){ row->outcome, row->flags, row->name, row->advice };
}

size_t verdict_row_count(void)
{
	return COUNT_OF(rows);
}

const char *verdict_row_name(size_t i)
{
	return i < COUNT_OF(rows) ? rows[i].name : NULL;
}

const char *verdict_advice(enum verdict v)
{
	static const char *const advice[OUTCOME_COUNT] = {
		[VERDICT_UNCHECKED] = "TikTok was not asked about this token yet: run 'check'",
		[VERDICT_UNPROVEN] = ADVICE_UNPROVEN,
		[VERDICT_EXPIRED] = ADVICE_EXPIRED,
		[VERDICT_REVOKED] = ADVICE_REVOKED,
		[VERDICT_MISMATCHED] = ADVICE_MISMATCHED,
		[VERDICT_NO_PERMISSION] = ADVICE_LOST_RIGHT,
		[VERDICT_MALFORMED] = ADVICE_MALFORMED,
		[OUTCOME_THROTTLED] = ADVICE_THROTTLED,
		[OUTCOME_UNREACHABLE] = ADVICE_OFFLINE,
		[OUTCOME_UNKNOWN] = ADVICE_UNKNOWN,
	};
	return (unsigned)v < OUTCOME_COUNT ? advice[v] : ADVICE_UNKNOWN;
}

const char *transport_text(enum transport t)
{
	static const char *const texts[TRANSPORT_COUNT] = {
		[TRANSPORT_OK] = "an answer came",
		[TRANSPORT_NAME] = "the name of the host has no address",
		[TRANSPORT_CONNECT] = "the host takes no connection",
		[TRANSPORT_TLS] = "the certificate of the host could not be proven, or it speaks no TLS we trust",
		[TRANSPORT_TIMEOUT] = "no answer came in time",
		[TRANSPORT_CUT] = "the connection ended inside the answer",
		[TRANSPORT_TOO_BIG] = "the answer was larger than an answer of TikTok's can be",
		[TRANSPORT_OTHER] = "the exchange failed",
		[TRANSPORT_NO_COURIER] = "our own process for the network died or could not start",
	};
	return (unsigned)t < TRANSPORT_COUNT ? texts[t] : "the exchange failed";
}
