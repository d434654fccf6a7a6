/* agent/mend.h - a token lies under a Pixel that is not its own: which version is it, and which command puts it right?
 * Pure.
 *
 * Whatever names such a command (a refused put, the board, a check) asks here, and so do the commands themselves: what
 * is advised is what they do. */
#ifndef AGENT_MEND_H
#define AGENT_MEND_H

#include "vault/credential.h"
#include "vault/health.h"

/* One Pixel as it is stored. */
struct holder {
	const struct credential *credential; /* NULL, or removed: there is no such Pixel */
	const struct health *health;         /* aligned to it */
};

/* The version, current before pending, that was refused for this Pixel and found to work for `other`; NULL = none. */
const struct version *mend_stray(const struct holder *of, const char *other);

/* The version that a swap with `other` gives away: the stray; else one whose owner is not known; else the one that
 * speaks for the Pixel. NULL = it has none. */
const struct version *mend_given(const struct holder *of, const char *other);

/* Is this the current token, and proven for its Pixel? Then no other takes its place but one that is proven too. */
bool mend_is_proven(const struct holder *of, const struct version *v);

/* Was it asked about, and not refused for its Pixel? */
bool mend_is_accepted(const struct holder *of, const struct version *v);

/* Was it refused for its Pixel? */
bool mend_is_refused(const struct holder *of, const struct version *v);

/* The pending version that nobody has judged yet, and that another one in its place would push out; NULL = none. */
const struct version *mend_unjudged(const struct holder *of);

/* Does another version speak for the Pixel when this one is gone? */
bool mend_can_spare(const struct holder *of, const struct version *v);

/* current, pending, previous or standby with this token; NULL = none. */
const struct version *mend_held(const struct holder *of, const uint8_t fingerprint[FINGERPRINT_LEN]);

/* The same, where TikTok did not refuse it for this Pixel: then somebody may rely on it here. */
const struct version *mend_used(const struct holder *of, const uint8_t fingerprint[FINGERPRINT_LEN]);

enum mend {
	MEND_NONE, /* no token of `of` is known to be `other`'s */
	MEND_SWAP, /* each has the other's: vault swap */
	MEND_MOVE, /* it belongs there, and is wanted there or not needed here: vault move */
	MEND_PUT,  /* it is where it belongs already, or that Pixel is not stored: this one needs its own: vault put */
};
enum mend mend_of(const struct holder *of, const struct holder *other);

const char *mend_name(enum mend m);       /* the command's; NULL for none */
enum mend mend_by_name(const char *name); /* MEND_NONE for what is no name */

#endif
