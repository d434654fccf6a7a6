/* core/log.h - lines on stderr for programs that run unattended (vault-agent and the courier).
 *
 * One line an event, "vault-agent: text" with the syslog prefix <N> when stderr is the journal. Library code below
 * never logs: it returns errors. There is no way to log a secret: no printer takes one. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/error.h"

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_INFO = 6 };

void log_open(const char *program, enum log_level most_detailed);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const struct error *err); /* message, then "  hint: ..." */

#endif
