/* agent/upkeep.h - what is to be done about the versions of a Pixel that stand by or are on their way out. Pure.
 *
 *     current refused, confirmed       -> the standby one is asked about, else the previous one, and takes its place
 *                                         (failover = yes)
 *     standby                          -> asked about once an interval, so that one that died is known before it is needed
 *     previous, somebody said retire   -> taken from everybody when all consumers moved on, at the latest at retire_by,
 *                                         also when a newer one has pushed it out meanwhile
 *     taken from everybody             -> asked about once an interval, until TikTok takes it no longer, twice in a row
 *                                         with confirm-delay between, or until purge-after is over: then its token is
 *                                         deleted
 *
 * Who was taken out by a failover is never brought back by one: what was found about it stays with it (struct fading). */
#ifndef AGENT_UPKEEP_H
#define AGENT_UPKEEP_H

#include "agent/settings.h"
#include "vault/health.h"

/* The version that a failover would bring back; NULL = none, or nothing calls for it. Whatever the setting says. One that
 * was refused when it was asked about may come again; one that was current and confirmed dead never. */
const struct version *upkeep_stand_in(const struct credential *c, const struct health *h);
/* The newer version in whose place the current one serves: confirmed dead before that took its place. NULL = there is none.
 * A token that a person took out while it worked, and revoked later, is refused too; but that was meant. */
const struct fading *upkeep_refused_newer(const struct credential *c, const struct health *h);
/* When it may be asked about: at once, or an interval after it was refused. */
int64_t upkeep_stand_in_at(const struct version *stand_in, const struct health *h, const struct settings *settings,
			   int64_t now);
/* Is the current token refused, or under suspicion? Then the previous one may be needed, whatever was asked for. */
bool upkeep_is_needed(const struct credential *c, const struct health *h);
/* Has nobody asked about the current token yet? */
bool upkeep_is_unjudged(const struct credential *c, const struct health *h);
/* The version that shall be taken from everybody, of several the one whose deadline is first; NULL = none. It is the
 * previous one, or was when somebody said so. */
const struct version *upkeep_retiring(const struct credential *c);

enum upkeep_end { UPKEEP_LEAVE, UPKEEP_ASK, UPKEEP_DELETE };
/* What a version that nobody is given is due for at `now`; what cannot be undone goes by sure_now (agent/sure_clock.h). */
enum upkeep_end upkeep_of_idle(const struct version *v, const struct health *h, const struct settings *settings,
			       int64_t now, int64_t sure_now);

/* TikTok answered about a version on its way out. True: it is dead, as far as two answers can tell; never while the
 * Pixel's current token is refused too, which would rather be TikTok's trouble. */
bool upkeep_note_answer(struct health *h, const struct version *v, enum verdict outcome, const struct settings *settings,
			int64_t now);

/* When there is something to do next: at most `now` = already; INT64_MAX = never. */
int64_t upkeep_at(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now);

#endif
