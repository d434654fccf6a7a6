/* agent/accept.h - which of two forms of an answer somebody would rather have: the Accept header. Pure.
 *
 * source  RFC 9110, 12.4.2 (weights) and 12.5.1 (Accept) */
#ifndef AGENT_ACCEPT_H
#define AGENT_ACCEPT_H

#include <stdbool.h>

/* Is `type` wanted rather than `usual`, the form given to who does not say? Where both are wanted alike, it is if `type`
 * itself is named. Parameters of a type other than q are not looked at. accept NULL: no. */
bool accept_prefers(const char *accept, const char *type, const char *usual);

#endif
