/* agent/renewals.h - when pairs of tokens are to be renewed. Pure: the time comes in as an argument.
 *
 * A pair is due at half of the life that TikTok gave its access token; where it gave none, an interval after it came. One
 * that TikTok renews no more is never due: a person must authorise the app again. */
#ifndef AGENT_RENEWALS_H
#define AGENT_RENEWALS_H

#include "agent/settings.h"
#include "vault/health.h"

/* When the pair that renews this Pixel's token is due; 0 = never. */
int64_t renewal_due_at(const struct credential *c, const struct settings *settings);

/* TikTok said that it renews the Pixel's token no more; *ret_was_lost: after an answer of its own had been lost. */
bool renewal_is_refused(const struct credential *c, bool *ret_was_lost);

/* When a person has to bring something at the latest: the end of the token, or of that which renews it. 0 = unknown. */
int64_t renewal_person_at(const struct credential *c);

enum renewal_need {
	RENEWAL_NONE,
	RENEWAL_DUE, /* half of its life is over */
	RENEWAL_OVER /* the access token is of no use any more, or there is none yet */
};
enum renewal_need renewal_need(const struct credential *c, const struct health *h, const struct settings *settings,
			       int64_t now);

/* The pending version that waits for its first token, and may still be given one; NULL = none. */
const struct version *renewal_unfetched(const struct credential *c, const struct health *h);

/* After an attempt that brought nothing the next one waits as long. */
int64_t renewal_retry_s(const struct settings *settings);

/* ---- of all Pixels, for the worker of a long-lived agent ---- */

struct renewals;
must_check bool renewals_new(struct renewals **ret, struct error *err);
void renewals_free(struct renewals *r);
void renewals_clear(struct renewals *r);
/* What is known of a Pixel now; a plain one is forgotten. */
must_check bool renewals_note(struct renewals *r, const struct credential *c, const struct health *h,
			      const struct settings *settings, int64_t now, int64_t now_ms, struct error *err);
void renewals_forget(struct renewals *r, const char *pixel);
/* One that is due, the longest overdue first; NULL = none. Good until the next note. */
const char *renewals_due(const struct renewals *r, int64_t now_ms);
void renewals_postpone(struct renewals *r, const char *pixel, int64_t not_before_ms);

#endif
