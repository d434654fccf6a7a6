/* agent/tiktok.h - what is asked of TikTok, and how its answer is read. Bytes in, bytes out: no network.
 *
 * A probe is the least intrusive call that can tell whether a token may send events for a Pixel:
 *   dry    a request whose list of events is empty: it cannot record anything
 *   test   one event of a name of our own, marked with the Pixel's test code
 *   live   the same without test code; its id is fixed for a day, so that repeats fall under TikTok's deduplication
 * The user in it is made up (a hash of a constant, an address from TEST-NET-3), the page lies on example.com.
 *
 * The answer is read only when a strict check passes; what the strict check refuses is BODY_ODD_JSON, never a verdict.
 *
 * A refresh asks the Accounts API or Login Kit for another pair of tokens: it has bodies and answers of its own.
 *
 * Source: TikTok Events API 2.0, "Report web events"; Accounts API and Login Kit, refreshing; as restated in
 * docs/tiktok.md. */
#ifndef AGENT_TIKTOK_H
#define AGENT_TIKTOK_H

#include "agent/verdict.h"
#include "core/buf.h"
#include "vault/grant.h"

#define TIKTOK_EVENT_TRACK "/event/track/" /* appended to base-url; without the last slash TikTok answers 404 */
#define TIKTOK_ACCOUNTS_REFRESH "/tt_user/oauth2/refresh_token/" /* likewise */
#define TIKTOK_LOGIN_TOKEN "/oauth/token/" /* appended to login-url */
#define TIKTOK_ASSETS "/bc/asset/get/" /* of base-url, as the first two: the Pixels of a Business Center ... */
#define TIKTOK_PIXELS "/pixel/list/"   /* ... and of an ad account */
#define TIKTOK_REQUEST_MAX 1024
#define TIKTOK_REFRESH_MAX 8192
#define TIKTOK_ANSWER_MAX 65536
#define TIKTOK_QUERY_MAX 160
#define TIKTOK_PAGE_MAX ((size_t)1 << 20) /* twenty Pixels come with their scripts and rules */

struct probe {
	enum probe_kind kind; /* dry, test, live */
	const char *pixel;
	const char *test_code; /* only looked at for test */
	uint64_t id;           /* makes the event of a test unlike that of any other */
};

/* The body of the request, appended to ret. No token in it. */
void tiktok_request(const struct probe *probe, int64_t now, struct buf *ret);

/* Fill body, code, text and request_id of ret from a complete body and ret->http. token (may be empty) is what was
 * sent: wherever it stands in the answer, whole or from its start on, "[token]" is written instead. Text is printable
 * ASCII, everything else in it becomes '?'. */
void tiktok_read(struct bytes body, struct bytes token, struct answer *ret);

/* The body of a refresh, appended to ret: JSON for the Accounts API, a form for Login Kit. All of it is secret. */
void tiktok_refresh_request(enum family family, const struct grant *grant, struct buf *ret);

/* What a refresh brought. Kept in locked memory by whoever holds one. */
struct token_pair {
	uint32_t access_len, refresh_len; /* the latter 0: the refresh token stays the one that was sent */
	int64_t life_s, refresh_life_s;   /* 0 = not said */
	uint8_t access[TOKEN_MAX + 1];
	uint8_t refresh[REFRESH_TOKEN_MAX];
};
/* Like tiktok_read, for the answer to a refresh; grant is what was sent, and nothing of it is left in texts. True: it
 * brought a pair, and *ret_pair (zeroed before) is filled. */
must_check bool tiktok_read_pair(enum family family, struct bytes body, const struct grant *grant, struct answer *ret,
				 struct token_pair *ret_pair);

/* One page of a list. What is not understood in it is counted, never guessed: then nothing follows from a Pixel's absence. */
#define LIST_ROWS_MAX 50
struct list_row {
	char pixel[PIXEL_CODE_MAX + 1];
	uint8_t kind; /* enum sight_kind; 0 = a relation we do not know */
};
struct list_page {
	uint32_t page, pages; /* this one's number, and how many there are */
	uint32_t total;       /* Pixels on all of them */
	uint32_t count, unreadable;
	struct list_row rows[LIST_ROWS_MAX];
};
#define LIST_PAGES_MAX 20000u

/* The query for a page of this list (vault/credential.h: list_check), appended to ret. */
void tiktok_list_query(const char *list, uint32_t page, struct buf *ret);

/* Like tiktok_read, for the answer to it. True: *ret_page (zeroed before) holds the page. Code 0 without one is no answer
 * that can be judged. */
must_check bool tiktok_read_page(struct bytes body, struct bytes token, uint32_t page, struct answer *ret,
				 struct list_page *ret_page);

/* The same cleaning for other foreign text, such as libcurl's reasons. size counts the NUL. */
void tiktok_clean(struct bytes text, struct bytes token, char *ret, size_t size);

/* May these bytes stand in a header line? Printable ASCII without blanks, at least one. */
bool tiktok_token_is_sendable(struct bytes token);

#endif
