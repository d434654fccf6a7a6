/* agent/sinks.h - the [alert NAME] sections of the configuration: where messages can go.
 *
 * Secrets (a signing key, a password, an address that is one) stand in files that the configuration names; they are
 * read by the process that sends (agent/messenger.h) and by no other. */
#ifndef AGENT_SINKS_H
#define AGENT_SINKS_H

#include "agent/alert_message.h"
#include "core/config.h"

#define SINK_NAME_MAX (sizeof((struct config_entry *)NULL)->name - 1)
#define SINK_VALUE_SIZE sizeof((struct config_entry *)NULL)->value
#define SINK_TIME_LIMIT_S 20
#define SINK_TIME_LIMIT_MAX_S 60

enum sink_type {
	SINK_WEBHOOK,
	SINK_SLACK,
	SINK_EMAIL,
	SINK_EXEC,
	SINK_SYSLOG,
	SINK_PING, /* gets no messages: asked for its url after each good sweep, so that silence is noticed elsewhere */
	SINK_TYPE_COUNT
};

struct sink {
	char name[SINK_NAME_MAX + 1];
	enum sink_type type;
	enum alert_severity min_severity; /* default warning; of no meaning for a ping */
	int64_t remind_s;                 /* default a day; 0 = never */
	int64_t time_limit_s;
	bool is_plain_mail; /* tls = none, or no url: a mail server on this host */
	/* "" when not set. Exactly one of url and url_file, unless the type uses none. */
	char url[SINK_VALUE_SIZE], url_file[SINK_VALUE_SIZE], ca_file[SINK_VALUE_SIZE];
	char secret_file[SINK_VALUE_SIZE]; /* webhook */
	char from[SINK_VALUE_SIZE], to[SINK_VALUE_SIZE], user[SINK_VALUE_SIZE], password_file[SINK_VALUE_SIZE];
	char command[SINK_VALUE_SIZE];
	char socket[SINK_VALUE_SIZE]; /* syslog */
};

/* All of a configuration that passed settings_check, in its order; c may be NULL (no file). The array is the caller's
 * to free(), NULL when there is none. */
must_check bool sinks_load(const struct config *c, struct sink **ret, size_t *ret_count, struct error *err);
/* The one of this name; false when there is none. */
must_check bool sink_find(const struct config *c, const char *name, struct sink *ret);

const char *sink_type_name(enum sink_type type); /* "webhook", ... */

#endif
