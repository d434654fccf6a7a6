/* agent/syslog.h - a message to this host's log: to the journal in its own protocol, or to a syslog daemon. */
#ifndef AGENT_SYSLOG_H
#define AGENT_SYSLOG_H

#include "agent/deliver.h"

/* socket "" = the journal's, or where there is none /dev/log. A path that ends in journal/socket is taken for the
 * journal. A log that does not read in time is DELIVERY_LATER. */
void syslog_send(const char *socket, int64_t time_limit_s, const struct alert_message *m, struct delivery_result *ret);

#endif
