#include "agent/sinks.h"

#include "core/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY 86400

static const char *const type_names[SINK_TYPE_COUNT] = { "webhook", "slack", "email", "exec", "syslog", "ping" };

const char *sink_type_name(enum sink_type type)
{
	return type_names[type];
}

static const struct text_key {
	const char *key;
	size_t field;
} text_keys[] = {
	{ "url", offsetof(struct sink, url) },         { "url-file", offsetof(struct sink, url_file) },
	{ "ca-file", offsetof(struct sink, ca_file) }, { "secret-file", offsetof(struct sink, secret_file) },
	{ "from", offsetof(struct sink, from) },       { "to", offsetof(struct sink, to) },
	{ "user", offsetof(struct sink, user) },       { "password-file", offsetof(struct sink, password_file) },
	{ "command", offsetof(struct sink, command) }, { "socket", offsetof(struct sink, socket) },
};

static const char *value_of(const struct config *c, const char *name, const char *key)
{
	const struct config_entry *e = config_find(c, "alert", name, key);
	return e ? e->value : NULL;
}

static int64_t span_of(const struct config *c, const char *name, const char *key, int64_t fallback)
{
	const char *value = value_of(c, name, key);
	int64_t span_s;
	return value && clock_parse_span(value, &span_s) ? span_s : fallback;
}

bool sink_find(const struct config *c, const char *name, struct sink *ret)
{
	const char *type = c ? value_of(c, name, "type") : NULL;
	struct sink s = { .min_severity = SEVERITY_WARNING };
	while (type && s.type < SINK_TYPE_COUNT && strcmp(type, type_names[s.type]) != 0)
		s.type++;
	if (!type || s.type == SINK_TYPE_COUNT)
		return false;
	snprintf(s.name, sizeof s.name, "%s", name);
	for (size_t i = 0; i < COUNT_OF(text_keys); i++) {
		const char *value = value_of(c, name, text_keys[i].key);
		if (value)
			snprintf((char *)&s + text_keys[i].field, SINK_VALUE_SIZE, "%s", value);
	}
	const char *severity = value_of(c, name, "min-severity"), *tls = value_of(c, name, "tls");
	if (severity && !alert_severity_by_name(severity, &s.min_severity))
		return false;
	s.remind_s = span_of(c, name, "remind", DAY);
	s.time_limit_s = span_of(c, name, "time-limit", SINK_TIME_LIMIT_S);
	s.is_plain_mail = s.type == SINK_EMAIL && (tls ? strcmp(tls, "none") == 0 : !s.url[0]);
	if (s.type == SINK_EMAIL && !s.url[0])
		snprintf(s.url, sizeof s.url, "smtp://localhost");
	*ret = s;
	return true;
}

bool sinks_load(const struct config *c, struct sink **ret, size_t *ret_count, struct error *err)
{
	size_t count = 0, most = c ? config_count(c) : 0;
	struct sink *sinks = NULL;
	for (size_t i = 0; i < most; i++) {
		const struct config_entry *e = config_at(c, i);
		if (strcmp(e->section, "alert") != 0 || strcmp(e->key, "type") != 0)
			continue;
		struct sink *more = realloc(sinks, (count + 1) * sizeof *sinks);
		if (!more) {
			free(sinks);
			return fail_no_memory(err);
		}
		sinks = more;
		count += sink_find(c, e->name, &sinks[count]);
	}
	*ret = sinks;
	*ret_count = count;
	return true;
}
