/* agent/decoy.h - Pixels that nobody has a reason to read. Pure.
 *
 * One that carries the label `decoy`, whatever its value, holds a made-up token. TikTok is not asked about it unless
 * somebody names it, and nothing of it is renewed, tried in place of another token, or tidied up. Whoever is given its
 * token, or is refused it, is noted like any consumer, and for two days that is an alert: a process that goes through
 * what it finds gives itself away. `export` and `scan`, which take all tokens with the key itself, note nobody. */
#ifndef AGENT_DECOY_H
#define AGENT_DECOY_H

#include "vault/credential.h"

#define DECOY_LABEL "decoy"
#define DECOY_ALARM_S (2 * 86400) /* after the last one was noted; each is noted once a day, so one that goes on does not end */

bool decoy_is(const struct credential *c);

#endif
