/* agent/reach.h - can TikTok be reached, and is it TikTok? Asked by a courier of its own, without a token. */
#ifndef AGENT_REACH_H
#define AGENT_REACH_H

#include "agent/settings.h"
#include "agent/verdict.h"

/* The host of base-url, and with FAMILY_LOGIN that of login-url. True: it was asked; ret->transport says how that went, and
 * whatever was answered over HTTP is TRANSPORT_OK. */
must_check bool reach(const struct settings *settings, enum family family, struct answer *ret, struct error *err);

#endif
