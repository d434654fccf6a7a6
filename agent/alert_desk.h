/* agent/alert_desk.h - the hands of the book of alerts (agent/alert.h): looks at the vault, keeps the book in it, and
 * has messages sent.
 *
 * Of all programs that have the vault open one keeps the book, by a lock: an agent as long as it runs, else whoever
 * makes a check. Who does not get the lock leaves it to the other, which sees in the vault what was found. */
#ifndef AGENT_ALERT_DESK_H
#define AGENT_ALERT_DESK_H

#include "agent/alert.h"
#include "agent/deliver.h"
#include "vault/vault.h"

struct alert_desk;

/* Borrows all; deliver may be NULL: nothing is sent. is_lasting: the lock is kept for as long as the desk; otherwise it
 * is waited for a moment. */
must_check bool alert_desk_new(struct vault *v, const struct settings *settings, struct deliver *deliver,
			       struct alert_desk **ret, struct error *err);
void alert_desk_free(struct alert_desk *d); /* what is on its way is sent again by the next one */
void alert_desk_freep(struct alert_desk **d);
/* Waits at most wait_ms for the lock, and reads the book. *ret: it is ours to keep. */
must_check bool alert_desk_claim(struct alert_desk *d, int64_t wait_ms, bool *ret, struct error *err);
bool alert_desk_is_ours(const struct alert_desk *d);

/* Copied. settings_check saw to it that there are not too many. */
must_check bool alert_desk_set_sinks(struct alert_desk *d, const struct sink *sinks, size_t count, struct error *err);
void alert_desk_set_settings(struct alert_desk *d, const struct settings *settings);

/* Is this Pixel's state another one than the book has? Asks nobody. */
bool alert_desk_is_news(const struct alert_desk *d, const struct credential *c, const struct health *h);
/* Has the book this Pixel as one in trouble? */
bool alert_desk_knows(const struct alert_desk *d, const char *pixel);
/* Was it a decoy at the last look? */
bool alert_desk_is_decoy(const struct alert_desk *d, const char *pixel);
/* The same for the listing tokens, which it looks at; damage is news. */
bool alert_desk_has_list_news(const struct alert_desk *d);
/* Some record was found damaged: from now on looks tell which. */
void alert_desk_doubt(struct alert_desk *d);
/* Is a look of any use where nothing is wrong now? */
bool alert_desk_is_quiet(const struct alert_desk *d);

/* One pass over the vault: what is new is noted in the book, and the book is stored. */
must_check bool alert_desk_look(struct alert_desk *d, struct error *err);
/* Sends what is due, takes in what became of the rest. Returns the milliseconds after which it wants to be called
 * again; earlier when deliver_fd is readable. */
int64_t alert_desk_turn(struct alert_desk *d);
/* Until all that may go now has gone, or the time is up. */
void alert_desk_drain(struct alert_desk *d, int64_t until_ms);
/* Only waits for what is on its way: who ends now would else have it sent again. */
void alert_desk_finish(struct alert_desk *d, int64_t until_ms);
/* To each sink of the type ping. */
void alert_desk_ping(struct alert_desk *d);

/* A message to this sink, now. done is told what became of it, or that there is no such sink (ERR_NOT_FOUND). */
typedef void alert_test_fn(void *context, const struct delivery_result *result, const struct error *err);
void alert_desk_test(struct alert_desk *d, const char *sink, alert_test_fn *done, void *context);
/* until INT64_MAX: until it ends. ERR_NOT_FOUND, ERR_CONFLICT when the book is another program's. */
must_check bool alert_desk_ack(struct alert_desk *d, const char *id, int64_t for_s, struct error *err);

/* {"alerts":[...],"sinks":[...]}, members of an open object. Reads the book where it is another program's. */
must_check bool alert_desk_json(struct alert_desk *d, struct json *j, struct error *err);
/* For metrics. */
void alert_desk_metrics(const struct alert_desk *d, struct buf *out);
/* What went wrong and nobody was told yet; false: nothing. */
bool alert_desk_trouble(struct alert_desk *d, struct error *ret);

#endif
