/* agent/ruling.h - what one answer does to what we hold true. Pure.
 *
 * The sweep and put decide how an answer is to be taken (a ruling); here is what that means for the stored judgement.
 * The rule behind it: an answer that proves nothing changes nothing but "last attempt". */
#ifndef AGENT_RULING_H
#define AGENT_RULING_H

#include "agent/settings.h"
#include "agent/verdict.h"
#include "vault/health.h"

enum ruling {
	RULING_NONE,      /* nothing to write yet */
	RULING_TRANSIENT, /* last attempt only */
	RULING_SUSPECT,   /* refused once: verdict as before, a second look is outstanding */
	RULING_VERDICT,   /* it stands */
	RULING_DISAGREED, /* the second look did not agree with the first: verdict as before, nothing outstanding */
	RULING_OUTAGE,    /* refused, as were most others: taken for TikTok's fault, so unreachable */
};

struct evidence evidence_of(const struct answer *answer, enum probe_kind kind);

/* Where the judgement of this version belongs in h (which speaks of c), made new when it is not there yet. NULL when
 * the version is neither current nor pending any more: nobody is interested in the answer then. */
struct judgement *ruling_place(struct health *h, const struct credential *c, uint32_t version);

/* Unproven never takes `healthy` away, but ends a bad verdict. */
void ruling_apply(struct judgement *j, enum ruling ruling, enum verdict outcome, const struct evidence *evidence);

/* Place, apply, remember, and plan the next check. False when the version is gone. */
bool ruling_write(struct health *h, const struct credential *c, uint32_t version, enum ruling ruling,
		  enum verdict outcome, const struct evidence *evidence, const struct settings *settings);

/* When the Pixel is due next, after something happened to it at `now`: by the schedule, or when a suspicion that is
 * outstanding may be looked at again. */
void ruling_plan(struct health *h, const struct credential *c, const struct settings *settings, int64_t now);

#endif
