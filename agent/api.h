/* agent/api.h - what the agent answers: every route of docs/protocol.md, one row each.
 *
 * Knows no socket: calls come from the listener or from a test. Reads are answered from memory, everything else becomes
 * an errand. Belongs to the keeper's event loop alone; never waits.
 *
 * What the keeper tells it, besides calls:
 *
 *     NEWS_HOLDING   holdings_put(hs, n->holding, &before, &err); api_on_change(api, before, now_there); holding_free(before)
 *     NEWS_GONE      before = holdings_remove(hs, n->pixel);      api_on_change(api, before, NULL);      holding_free(before)
 *     NEWS_OPENED    api_opened(api, n->opener, n->audit)   the opener belongs to the api from now on
 *     NEWS_CLOSED    api_closed(api, &n->err); holdings_clear(hs); worker_let_go(w, n->closing)   in this order
 *     NEWS_DONE      api_finish(api, n->errand)             takes it over
 *     NEWS_PROGRESS  api_progress(api, n)
 *     NEWS_TROUBLE   api_trouble(api, &n->err, n->is_degraded)
 *     NEWS_LOSS      api_lost(api, &n->err)
 *     each turn      api_begin_turn(api, now_ms), and when all of the above is done api_end_turn(api, now_ms); at least
 *                    every 250 ms
 */
#ifndef AGENT_API_H
#define AGENT_API_H

#include "agent/access.h"
#include "agent/call.h"
#include "agent/holdings.h"
#include "agent/worker.h"

struct api;

struct api_setup {
	struct holdings *holdings;       /* borrowed, as all of this */
	const struct settings *settings; /* until api_reload */
	const struct access *access;     /* until api_reload */
	const char *layers;              /* sandbox_text; shown by /healthz */
	const struct secret *board_token; /* of status-listen; NULL = it is off */
	void (*give)(void *context, struct errand *e); /* worker_give */
	int64_t (*clock)(void *worker); /* worker_clock */
	void *worker;
	size_t (*connections)(void *context); /* listener_count; may be NULL */
	void *listener;
};

must_check bool api_new(const struct api_setup *setup, struct api **ret, struct error *err);
void api_free(struct api *api); /* after the listener; errands that come back later are freed with errand_free */

/* For listener_setup; context is the api. */
void api_begin(void *api, struct call *call, size_t *ret_body_max);
void api_serve(void *api, struct call *call);
/* Behind one or more api_serve: the audit lines of all reads among them are written at once, and the reads answered. */
void api_settle(void *api);

void api_opened(struct api *api, struct vault_opener *opener, struct audit *audit);
void api_closed(struct api *api, const struct error *why);
void api_finish(struct api *api, struct errand *e);
void api_progress(struct api *api, const struct news *n);
/* before NULL: it is new; after NULL: it is gone; never both. Both are only looked at. */
void api_on_change(struct api *api, const struct holding *before, const struct holding *after);
void api_trouble(struct api *api, const struct error *err, bool is_degraded);
void api_lost(struct api *api, const struct error *err);
/* The last sweep of all Pixels, for /metrics. */
void api_swept(struct api *api, const struct check_result *result, int64_t now);
/* The lines about alerts, for /metrics; takes them over. */
void api_take_alert_metrics(struct api *api, struct buf *lines);
void api_take_lists(struct api *api, struct buf *records);
void api_begin_turn(struct api *api, int64_t now_ms); /* when what is served now came */
void api_end_turn(struct api *api, int64_t now_ms);
/* For how long the loop may wait, which would wait for wait_ms, before it calls api_end_turn again. */
int api_wait_ms(const struct api *api, int wait_ms);
/* The agent is ending: whoever only waits is told to come back, and nothing is taken up any more. What the worker still
 * brings is answered. The audit log is not used from here on. */
void api_stop(struct api *api);
void api_reload(struct api *api, const struct settings *settings, const struct access *access);

/* One token for systemd (agent/credentials.h): audited like every read. NULL with err filled. Names the reader. */
must_check bool api_credential(struct api *api, const struct peer *peer, const char *pixel, const char *reader,
			       struct secret **ret, struct error *err);
/* A line in the audit log about somebody who got nothing. */
void api_denied(struct api *api, const struct peer *peer, const char *verb, const char *pixel);

#endif
