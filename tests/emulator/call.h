/* tests/emulator/call.h - a request on its way through the endpoints: what it asks for, and the envelope of its answer.
 * Shared by api.c (routes, event/track), listing.c and oauth.c. The world's lock is held while an endpoint runs. */
#ifndef EMULATOR_CALL_H
#define EMULATOR_CALL_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "tests/emulator/api.h"

enum call_kind { CALL_OTHER, CALL_DRY, CALL_TEST, CALL_LIVE };
enum needs { NEEDS_NOTHING, NEEDS_TOKEN, NEEDS_EVENTS, NEEDS_PIXELS, NEEDS_BC };
enum { QUERY_MAX = 32 };

struct call;
struct route {
	const char *path;                       /* behind /open_api/v1.3 */
	const char *method;
	enum needs needs;
	bool (*params)(struct call *call);      /* NULL = takes none; false = has answered */
	void (*work)(struct call *call);        /* rights, then the deed; always answers */
	bool takes_form;                        /* its body is read as a query is */
};

struct call {
	struct world *world;
	const struct request *request;
	struct reply *reply;
	const struct route *route;              /* NULL = no such endpoint for this path and method */
	cJSON *body;                            /* NULL = none, or not a JSON object */
	struct text query_text;
	struct { const char *name, *value; } query[QUERY_MAX];
	size_t query_count;
	struct token *token;                    /* set once it passed the checks */
	enum call_kind kind;
	const char *pixel, *event, *event_id;   /* NULL = not said */
	size_t event_count;
	bool recorded;                          /* the events were accepted and counted */
	long page, page_size;
};

void call_read(struct call *call); /* query and body; needs no lock */
void call_done(struct call *call);

const char *call_query(const struct call *call, const char *name);       /* NULL = absent */
const char *call_string(const struct call *call, const char *name);      /* from the body; NULL = absent or no string */

/* Answers. `data` is JSON, NULL = nothing to carry (the knob `data` decides). */
void call_succeed(struct call *call, const char *data);
void call_fail(struct call *call, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void call_fail_code(struct call *call, int code);                        /* with the documented text */
void call_plain(struct call *call, int status, const char *type, const char *body);

/* listing.c */
bool pixel_list_params(struct call *call);
void pixel_list(struct call *call);
bool bc_asset_get_params(struct call *call);
void bc_asset_get(struct call *call);
bool bc_pixel_link_get_params(struct call *call);
void bc_pixel_link_get(struct call *call);
bool pixel_event_stats_params(struct call *call);
void pixel_event_stats(struct call *call);

/* oauth.c */
#define EMULATOR_APP_ID "7012345678901234567"
#define EMULATOR_APP_SECRET "emulator-app-secret"
void put_advertisers(struct text *out, const struct world *w, const struct token *t, const char *format_of_each);
void user_info(struct call *call);
bool advertiser_get_params(struct call *call);
void advertiser_get(struct call *call);
void access_token(struct call *call);
void revoke_token(struct call *call);
void tt_user_token(struct call *call);
void tt_user_refresh(struct call *call);
void login_token(struct call *call);
void tt_user_revoke(struct call *call);
void tt_user_info(struct call *call);

#endif
