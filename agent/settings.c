#include "agent/settings.h"

#include "agent/sinks.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/utf8.h"

#include <assert.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEM_FILE "/etc/pixelvault/pixelvault.ini"
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

typedef const struct settings_row row_t;

/* --- words and numbers --- */

struct word {
	char text[200];
};

static bool next_word(const char **from, struct word *ret)
{
	*from += text_span(*from, " \t");
	size_t len = strcspn(*from, " \t");
	if (len == 0 || len >= sizeof ret->text)
		return false;
	memcpy(ret->text, *from, len);
	ret->text[len] = '\0';
	*from += len;
	return true;
}

/* A list: one word or more, all of which hold. */
static bool each_word(const char *value, bool (*holds)(const char *word))
{
	struct word word;
	size_t count = 0;
	while (next_word(&value, &word)) {
		if (!holds(word.text))
			return false;
		count++;
	}
	return count > 0;
}

static bool only_of(const char *text, const char *letters)
{
	return *text && text_is_only_of(text, letters);
}

static bool index_of(const char *value, const char *const *choices, size_t count, size_t *ret)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(value, choices[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

/* --- parsers --- */

static bool parse_file(row_t *row, const char *value, void *field)
{
	(void)row;
	size_t len = strlen(value);
	if (value[0] != '/' || value[len - 1] == '/' || len >= PATH_MAX)
		return false;
	if (field)
		memcpy(field, value, len + 1);
	return true;
}

static bool parse_folder(row_t *row, const char *value, void *field)
{
	(void)row;
	size_t len = strlen(value);
	if (value[0] != '/' || len >= PATH_MAX)
		return false;
	while (len > 1 && value[len - 1] == '/')
		len--;
	if (field)
		snprintf(field, PATH_MAX, "%.*s", (int)len, value);
	return true;
}

static bool parse_socket(row_t *row, const char *value, void *field)
{
	return strlen(value) < sizeof((struct sockaddr_un *)NULL)->sun_path && parse_file(row, value, field);
}

static bool parse_credential(row_t *row, const char *value, void *field)
{
	(void)row;
	if (!only_of(value, LETTERS DIGITS "_.-@:") || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return false;
	if (field)
		snprintf(field, sizeof((struct settings *)NULL)->credential, "%s", value);
	return true;
}

static bool parse_account(row_t *row, const char *value, void *field)
{
	uint64_t number;
	(void)row;
	if (!only_of(value, LETTERS DIGITS "_.-@$") || strchr("-.@$", value[0]) || strlen(value) > 63)
		return false;
	if (only_of(value, DIGITS) && (strlen(value) > 10 || !text_take_number(value, UINT32_MAX - 1, &number)))
		return false;
	if (field)
		text_copy(field, sizeof((struct settings *)NULL)->user, value);
	return true;
}

static bool parse_yes_no(row_t *row, const char *value, void *field)
{
	static const char *const choices[] = { "no", "yes", "false", "true" };
	size_t i;
	(void)row;
	if (!index_of(value, choices, COUNT_OF(choices), &i))
		return false;
	if (field)
		*(bool *)field = i % 2;
	return true;
}

static bool parse_audit_reads(row_t *row, const char *value, void *field)
{
	static const char *const choices[] = { "written", "durable" };
	size_t i;
	(void)row;
	if (!index_of(value, choices, COUNT_OF(choices), &i))
		return false;
	if (field)
		*(bool *)field = i == 1;
	return true;
}

static bool parse_probe(row_t *row, const char *value, void *field)
{
	/* No "live": a probe that leaves a trace is asked for by hand each time, never by a schedule. */
	static const char *const choices[] = { "dry", "test" };
	static const enum probe_choice meant[] = { PROBE_CHOICE_DRY, PROBE_CHOICE_TEST };
	size_t i;
	(void)row;
	if (!index_of(value, choices, COUNT_OF(choices), &i))
		return false;
	if (field)
		*(enum probe_choice *)field = meant[i];
	return true;
}

static bool parse_span(row_t *row, const char *value, void *field)
{
	int64_t span_s;
	if (!clock_parse_span(value, &span_s) || span_s < row->least || span_s > row->most)
		return false;
	if (field)
		*(int64_t *)field = span_s;
	return true;
}

/* 0 switches off; everything else keeps the row's range. */
static bool parse_span_or_0(row_t *row, const char *value, void *field)
{
	int64_t span_s;
	if (!clock_parse_span(value, &span_s) || (span_s != 0 && !parse_span(row, value, NULL)))
		return false;
	if (field)
		*(int64_t *)field = span_s;
	return true;
}

static bool parse_span_ms(row_t *row, const char *value, void *field)
{
	int64_t span_s;
	if (!clock_parse_span(value, &span_s) || span_s * 1000 < row->least || span_s * 1000 > row->most)
		return false;
	if (field)
		*(int64_t *)field = span_s * 1000;
	return true;
}

static bool parse_number(row_t *row, const char *value, void *field)
{
	uint64_t number;
	if (strlen(value) > 9 || !text_take_number(value, (uint64_t)row->most, &number) ||
	    number < (uint64_t)row->least)
		return false;
	if (field)
		*(unsigned *)field = (unsigned)number;
	return true;
}

/* Put span_s where it belongs in a descending list; false when it is full or holds it already. */
static bool insert_step(int64_t steps[SETTINGS_EXPIRY_STEPS], size_t count, int64_t span_s)
{
	size_t at = count;
	if (count == SETTINGS_EXPIRY_STEPS)
		return false;
	while (at > 0 && steps[at - 1] <= span_s) {
		if (steps[at - 1] == span_s)
			return false;
		at--;
	}
	for (size_t i = count; i > at; i--)
		steps[i] = steps[i - 1];
	steps[at] = span_s;
	return true;
}

static bool parse_steps(row_t *row, const char *value, void *field)
{
	int64_t steps[SETTINGS_EXPIRY_STEPS] = { 0 }, span_s;
	struct word word;
	size_t count = 0;
	bool is_none = strcmp(value, "0") == 0;
	while (!is_none && next_word(&value, &word)) {
		if (!clock_parse_span(word.text, &span_s) || span_s < row->least || span_s > row->most ||
		    !insert_step(steps, count, span_s))
			return false;
		count++;
	}
	if (!is_none && count == 0)
		return false;
	if (field)
		memcpy(field, steps, sizeof steps);
	return true;
}

/* --- addresses --- */

static bool take_text(const char **from, const char *text)
{
	size_t len = strlen(text);
	if (strncmp(*from, text, len) != 0)
		return false;
	*from += len;
	return true;
}

static bool take_span(const char **from, const char *letters)
{
	size_t len = text_span(*from, letters);
	*from += len;
	return len > 0;
}

static bool take_host(const char **from)
{
	if (take_text(from, "["))
		return take_span(from, DIGITS "abcdefABCDEF:.") && take_text(from, "]");
	return !strchr(".-", **from) && take_span(from, LETTERS DIGITS ".-");
}

static bool take_port(const char **from)
{
	char digits[6];
	uint64_t port;
	size_t len = text_span(*from, DIGITS);
	if (len >= sizeof digits)
		return false;
	memcpy(digits, *from, len);
	digits[len] = '\0';
	*from += len;
	return text_take_number(digits, 65535, &port) && port >= 1;
}

static bool take_host_and_port(const char **from)
{
	return take_host(from) && (!take_text(from, ":") || take_port(from));
}

/* v1.3: what a version looks like, so that a base-url cannot end too early or too late. */
static bool is_version(const char *segment)
{
	if (!take_text(&segment, "v") || !take_span(&segment, DIGITS))
		return false;
	while (take_text(&segment, "."))
		if (!take_span(&segment, DIGITS))
			return false;
	return *segment == '\0';
}

static bool parse_base_url(row_t *row, const char *value, void *field)
{
	const char *at = value, *segment = value;
	(void)row;
	if (!take_text(&at, "https://") || !take_host_and_port(&at))
		return false;
	while (take_text(&at, "/")) {
		segment = at;
		if (!take_span(&at, LETTERS DIGITS "._~-") || segment[text_span(segment, ".")] == '/')
			return false;
	}
	if (*at || !is_version(segment))
		return false;
	if (field)
		snprintf(field, sizeof((struct settings *)NULL)->base_url, "%s", value);
	return true;
}

static bool parse_listen(row_t *row, const char *value, void *field)
{
	const char *at = value;
	(void)row;
	/* The page says what a stranger may not know, and goes through no rule: this machine only. */
	bool is_loopback = take_text(&at, "127.0.0.1:") || take_text(&at, "[::1]:") || take_text(&at, "localhost:");
	if (!is_loopback || !take_port(&at) || *at ||
	    strlen(value) >= sizeof((struct settings *)NULL)->status_listen)
		return false;
	if (field)
		snprintf(field, sizeof((struct settings *)NULL)->status_listen, "%s", value);
	return true;
}

/* --- values of [alert NAME] and [access NAME]: only checked, they stay in the configuration --- */

static bool parse_alert_type(row_t *row, const char *value, void *field)
{
	size_t i = 0;
	(void)row, (void)field;
	while (i < SINK_TYPE_COUNT && strcmp(value, sink_type_name((enum sink_type)i)) != 0)
		i++;
	return i < SINK_TYPE_COUNT;
}

bool settings_url_is_good(const char *value)
{
	const char *at = value;
	if (!take_text(&at, "https://") && !take_text(&at, "smtp://") && !take_text(&at, "smtps://"))
		return false;
	if (!take_host_and_port(&at) || (*at && !strchr("/?", *at)))
		return false;
	for (; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '#')
			return false;
	return true;
}

static bool is_mail_address(const char *word)
{
	const char *sign = strchr(word, '@');
	return sign && sign != word && only_of(sign + 1, LETTERS DIGITS ".-") && strlen(word) <= 190 &&
	       only_of(word, LETTERS DIGITS ".-_+@!#$%&'*/=?^`{|}~");
}

static bool parse_alert_to(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	return each_word(value, is_mail_address);
}

static bool parse_alert_from(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	return is_mail_address(value);
}

static bool parse_alert_user(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~')
			return false;
	return true;
}

static bool parse_alert_tls(row_t *row, const char *value, void *field)
{
	static const char *const choices[] = { "starttls", "none" };
	size_t i;
	(void)row, (void)field;
	return index_of(value, choices, COUNT_OF(choices), &i);
}

static bool parse_alert_command(row_t *row, const char *value, void *field)
{
	struct word program;
	(void)field;
	return next_word(&value, &program) && parse_file(row, program.text, NULL);
}

static bool parse_severity(row_t *row, const char *value, void *field)
{
	static const char *const choices[] = { "info", "warning", "critical" };
	size_t i;
	(void)row, (void)field;
	return index_of(value, choices, COUNT_OF(choices), &i);
}

static bool is_pixel(const char *word)
{
	size_t len = strlen(word);
	return strcmp(word, "*") == 0 || (len >= 8 && len <= 40 && only_of(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS));
}

static bool parse_pixels(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	return each_word(value, is_pixel);
}

static bool is_label(const char *word)
{
	size_t key_len = strspn(word, "abcdefghijklmnopqrstuvwxyz" DIGITS "_.-");
	return key_len >= 1 && key_len <= 32 && word[key_len] == '=' && word[key_len + 1] &&
	       strlen(word + key_len + 1) <= 64;
}

static bool parse_labels(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	return each_word(value, is_label);
}

static bool is_verb(const char *word)
{
	static const char *const verbs[] = { "meta", "read", "report", "put", "admin" };
	size_t i;
	return index_of(word, verbs, COUNT_OF(verbs), &i);
}

static bool parse_verbs(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	return each_word(value, is_verb);
}

static bool parse_alert_url(row_t *row, const char *value, void *field)
{
	(void)row, (void)field;
	return settings_url_is_good(value);
}

/* --- the table --- */

#define MINUTE 60
#define DAY 86400
#define FIELD(name) .field = offsetof(struct settings, name)
#define NAMED(section_, key_, parse_) .section = (section_), .key = (key_), .is_named = true, .parse = (parse_)
#define PLAIN(section_, key_, parse_, field_) .section = (section_), .key = (key_), .parse = (parse_), FIELD(field_)
#define SAYS(...) SAYS_(__VA_ARGS__)
#define SAYS_(wanted_, ...) .wanted = (wanted_), .hint = __VA_ARGS__

/* The rows that code below asks for by name come first, in this order. */
enum { ROW_VAULT, ROW_STATE, ROW_SOCKET, ROW_USER };

static const struct settings_row rows[] = {
	[ROW_VAULT] = { PLAIN("vault", "path", parse_file, vault_path), .environment = "PIXELVAULT_VAULT",
			SAYS(TXT_SET_FILE) },
	[ROW_STATE] = { PLAIN("vault", "state-dir", parse_folder, state_dir), .environment = "PIXELVAULT_STATE",
			SAYS(TXT_SET_FOLDER) },
	[ROW_SOCKET] = { PLAIN("agent", "socket", parse_socket, socket), .environment = "PIXELVAULT_SOCKET",
			 SAYS(TXT_SET_SOCKET) },
	[ROW_USER] = { PLAIN("agent", "user", parse_account, user), SAYS(TXT_SET_ACCOUNT) },
	{ PLAIN("vault", "key-file", parse_file, key_file), .environment = "PIXELVAULT_KEY_FILE", SAYS(TXT_SET_FILE) },
	{ PLAIN("vault", "passphrase-file", parse_file, passphrase_file), .environment = "PIXELVAULT_PASSPHRASE_FILE",
	  .is_never_in_file = true, SAYS(TXT_SET_FILE) },
	{ PLAIN("vault", "credential", parse_credential, credential), SAYS(TXT_SET_CREDENTIAL) },
	{ PLAIN("vault", "audit-reads", parse_audit_reads, audit_reads_durable), .fallback = "written",
	  SAYS(TXT_SET_AUDIT_READS) },
	{ PLAIN("agent", "group", parse_account, group), SAYS(TXT_SET_ACCOUNT) },
	{ PLAIN("agent", "require-locked-memory", parse_yes_no, require_locked_memory), .fallback = "yes",
	  SAYS(TXT_SET_YES_NO) },
	{ PLAIN("agent", "status-listen", parse_listen, status_listen), SAYS(TXT_SET_LISTEN) },
	{ PLAIN("check", "interval", parse_span, interval_s), .least = 1, .most = 90 * DAY, .fallback = "6h",
	  SAYS(TXT_SET_INTERVAL) },
	{ PLAIN("check", "rate", parse_number, rate), .least = 1, .most = 100000, .fallback = "5", SAYS(TXT_SET_RATE) },
	{ PLAIN("check", "in-flight", parse_number, in_flight), .least = 1, .most = 256, .fallback = "4",
	  SAYS(TXT_SET_IN_FLIGHT) },
	{ PLAIN("check", "confirm-delay", parse_span, confirm_delay_s), .least = 0, .most = DAY,
	  SAYS(TXT_SET_CONFIRM_DELAY) },
	{ PLAIN("check", "expiry-warning", parse_steps, expiry_warning_s), .least = 1, .most = 3650LL * DAY,
	  .fallback = "30d 14d 7d 3d 1d", SAYS(TXT_SET_EXPIRY_WARNING) },
	{ PLAIN("check", "max-age", parse_span_or_0, max_age_s), .least = 1, .most = 3650LL * DAY, .fallback = "0",
	  SAYS(TXT_SET_MAX_AGE) },
	{ PLAIN("check", "failover", parse_yes_no, failover), .fallback = "no", SAYS(TXT_SET_YES_NO) },
	{ PLAIN("check", "grace", parse_span_or_0, grace_s), .least = 1, .most = 3650LL * DAY, .fallback = "7d",
	  SAYS(TXT_SET_GRACE) },
	{ PLAIN("check", "purge-after", parse_span_or_0, purge_after_s), .least = 1, .most = 3650LL * DAY, .fallback = "30d",
	  SAYS(TXT_SET_PURGE_AFTER) },
	{ PLAIN("check", "probe", parse_probe, probe), SAYS(TXT_SET_PROBE) },
	{ PLAIN("tiktok", "base-url", parse_base_url, base_url), .fallback = SETTINGS_DEFAULT_BASE_URL,
	  SAYS(TXT_SET_BASE_URL) },
	{ PLAIN("tiktok", "login-url", parse_base_url, login_url), .fallback = SETTINGS_DEFAULT_LOGIN_URL,
	  SAYS(TXT_SET_LOGIN_URL) },
	{ PLAIN("tiktok", "ca-file", parse_file, ca_file), SAYS(TXT_SET_FILE) },
	{ PLAIN("tiktok", "connect-timeout", parse_span_ms, connect_timeout_ms), .least = 1000, .most = 60000,
	  .fallback = "5s", SAYS(TXT_SET_TIMEOUT) },
	{ PLAIN("tiktok", "timeout", parse_span_ms, timeout_ms), .least = 1000, .most = 60000, .fallback = "15s",
	  SAYS(TXT_SET_TIMEOUT) },
	{ NAMED("alert", "type", parse_alert_type), SAYS(TXT_SET_ALERT_TYPE) },
	{ NAMED("alert", "url", parse_alert_url), SAYS(TXT_SET_ALERT_URL) },
	{ NAMED("alert", "to", parse_alert_to), SAYS(TXT_SET_ALERT_TO) },
	{ NAMED("alert", "command", parse_alert_command), SAYS(TXT_SET_ALERT_COMMAND) },
	{ NAMED("alert", "url-file", parse_file), SAYS(TXT_SET_FILE) },
	{ NAMED("alert", "secret-file", parse_file), SAYS(TXT_SET_FILE) },
	{ NAMED("alert", "ca-file", parse_file), SAYS(TXT_SET_FILE) },
	{ NAMED("alert", "from", parse_alert_from), SAYS(TXT_SET_ALERT_FROM) },
	{ NAMED("alert", "user", parse_alert_user), SAYS(TXT_SET_ALERT_USER) },
	{ NAMED("alert", "password-file", parse_file), SAYS(TXT_SET_FILE) },
	{ NAMED("alert", "tls", parse_alert_tls), SAYS(TXT_SET_ALERT_TLS) },
	{ NAMED("alert", "socket", parse_socket), SAYS(TXT_SET_SOCKET) },
	{ NAMED("alert", "time-limit", parse_span), .least = 1, .most = SINK_TIME_LIMIT_MAX_S,
	  SAYS(TXT_SET_ALERT_TIME_LIMIT) },
	{ NAMED("alert", "min-severity", parse_severity), SAYS(TXT_SET_SEVERITY) },
	{ NAMED("alert", "remind", parse_span_or_0), .least = MINUTE, .most = 90 * DAY, SAYS(TXT_SET_REMIND) },
	{ NAMED("access", "user", parse_account), SAYS(TXT_SET_ACCOUNT) },
	{ NAMED("access", "group", parse_account), SAYS(TXT_SET_ACCOUNT) },
	{ NAMED("access", "pixels", parse_pixels), SAYS(TXT_SET_PIXELS) },
	{ NAMED("access", "labels", parse_labels), SAYS(TXT_SET_LABELS) },
	{ NAMED("access", "verbs", parse_verbs), SAYS(TXT_SET_VERBS) },
};

_Static_assert(COUNT_OF(rows) <= SETTINGS_KEYS_MAX, "settings_keys has room for all");
_Static_assert(COUNT_OF(rows) <= 64, "by_flag has a bit a row");

const struct settings_row *settings_rows(size_t *ret_count)
{
	*ret_count = COUNT_OF(rows);
	return rows;
}

size_t settings_keys(struct config_key ret[SETTINGS_KEYS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!rows[i].is_never_in_file)
			ret[count++] = (struct config_key){ rows[i].section, rows[i].key, rows[i].is_named };
	return count;
}

/* --- checking a configuration --- */

static row_t *row_of(const struct config_entry *e)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (strcmp(rows[i].key, e->key) == 0 && strcmp(rows[i].section, e->section) == 0)
			return &rows[i];
	return NULL;
}

__attribute__((format(printf, 2, 5))) static bool refuse(const struct config_entry *e, const char *format,
							 const char *hint, struct error *err, ...)
{
	char what[200];
	va_list args;
	va_start(args, err);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return config_refuse(e, what, hint, err);
}

/* What one type of alert needs (one of two), and may have besides min-severity, remind and time-limit; blank-separated. */
static const struct alert_type {
	const char *needs, *or_else, *may_have;
} alert_types[SINK_TYPE_COUNT] = {
	[SINK_WEBHOOK] = { "url", "url-file", "ca-file secret-file" },
	[SINK_SLACK] = { "url", "url-file", "ca-file" },
	[SINK_EMAIL] = { "to", NULL, "url ca-file from user password-file tls" },
	[SINK_EXEC] = { "command", NULL, "" },
	[SINK_SYSLOG] = { NULL, NULL, "socket" },
	[SINK_PING] = { "url", "url-file", "ca-file" },
};

static bool is_key(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

static bool is_among(const char *words, const char *key)
{
	struct word word;
	while (next_word(&words, &word))
		if (strcmp(word.text, key) == 0)
			return true;
	return false;
}

static bool uses_key(const struct alert_type *type, const char *key)
{
	return is_among("type min-severity remind time-limit", key) || is_key(type->needs, key) ||
	       is_key(type->or_else, key) || is_among(type->may_have, key);
}

/* smtp://localhost, 127.x.x.x or [::1]: what is sent there does not leave this host. */
static bool is_loopback_url(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t len = strcspn(host, *host == '[' ? "]" : ":/?");
	return (len == 9 && strncmp(host, "localhost", 9) == 0) || strncmp(host, "[::1]", 5) == 0 ||
	       (strncmp(host, "127.", 4) == 0 && text_span(host, DIGITS ".") == len);
}

static bool check_mail(const struct config *c, const char *name, struct error *err)
{
	const struct config_entry *url = config_find(c, "alert", name, "url");
	const struct config_entry *user = config_find(c, "alert", name, "user");
	const struct config_entry *password = config_find(c, "alert", name, "password-file");
	const struct config_entry *tls = config_find(c, "alert", name, "tls");
	bool is_plain = tls && strcmp(tls->value, "none") == 0;
	if (!user != !password)
		return refuse(user ? user : password, TXT_SET_ALERT_LOGIN, err, name);
	if (user && !url)
		return refuse(user, TXT_SET_ALERT_LOGIN_WHERE, err, name);
	if (is_plain && ((url && (!is_loopback_url(url->value) || strncmp(url->value, "smtps:", 6) == 0)) || user))
		return refuse(tls, TXT_SET_ALERT_PLAIN, err, name);
	return true;
}

static bool check_alert_needs(const struct config *c, const struct config_entry *type_entry,
			      const struct alert_type *type, struct error *err)
{
	const char *name = type_entry->name;
	const struct config_entry *needed = type->needs ? config_find(c, "alert", name, type->needs) : NULL;
	const struct config_entry *other = type->or_else ? config_find(c, "alert", name, type->or_else) : NULL;
	if (needed && other)
		return refuse(other, TXT_SET_ALERT_BOTH, err, name, type->needs, type->or_else);
	if (type->needs && !needed && !other)
		return type->or_else ? refuse(type_entry, TXT_SET_ALERT_NEEDS_ONE, err, name, type->needs, type->or_else)
				     : refuse(type_entry, TXT_SET_ALERT_NEEDS, err, name, type->needs);
	return true;
}

static bool check_alert(const struct config *c, const struct config_entry *first, struct error *err)
{
	const char *name = first->name;
	const struct config_entry *type_entry = config_find(c, "alert", name, "type");
	struct sink sink;
	if (!type_entry || !sink_find(c, name, &sink))
		return refuse(first, TXT_SET_ALERT_NO_TYPE, err, name);
	const struct alert_type *type = &alert_types[sink.type];
	if (!check_alert_needs(c, type_entry, type, err))
		return false;
	for (size_t i = 0; i < config_count(c); i++) {
		const struct config_entry *e = config_at(c, i);
		if (strcmp(e->section, "alert") == 0 && strcmp(e->name, name) == 0 && !uses_key(type, e->key))
			return refuse(e, TXT_SET_ALERT_UNUSED, err, name, e->key);
	}
	const struct config_entry *url = config_find(c, "alert", name, "url");
	if (url && (strncmp(url->value, "https:", 6) == 0) == (sink.type == SINK_EMAIL))
		return refuse(url, TXT_SET_ALERT_SCHEME, err, name);
	return sink.type != SINK_EMAIL || check_mail(c, name, err);
}

/* 65534 is what the kernel shows for every identity it cannot map. */
static bool is_nobody(const char *account)
{
	uint64_t number;
	return strcmp(account, "nobody") == 0 || strcmp(account, "nogroup") == 0 ||
	       (text_take_number(account, UINT32_MAX, &number) && number == 65534);
}

static bool check_access(const struct config *c, const struct config_entry *first, struct error *err)
{
	const char *name = first->name;
	const struct config_entry *user = config_find(c, "access", name, "user");
	const struct config_entry *group = config_find(c, "access", name, "group");
	const struct config_entry *who = user ? user : group;
	if (!who || (user && group))
		return refuse(who ? group : first, TXT_SET_ACCESS_WHO, err, name);
	if (is_nobody(who->value))
		return refuse(who, TXT_SET_ACCESS_NOBODY, err, name);
	if (!config_find(c, "access", name, "verbs"))
		return refuse(first, TXT_SET_ACCESS_VERBS, err, name);
	if (!config_find(c, "access", name, "pixels") && !config_find(c, "access", name, "labels"))
		return refuse(first, TXT_SET_ACCESS_WHAT, err, name);
	return true;
}

static bool is_first_of_section(const struct config *c, size_t i)
{
	const struct config_entry *e = config_at(c, i);
	if (i == 0)
		return true;
	const struct config_entry *before = config_at(c, i - 1);
	return strcmp(before->section, e->section) != 0 || strcmp(before->name, e->name) != 0;
}

/* An agent has so many places for what each of them was told. */
static bool check_alert_count(const struct config *c, struct error *err)
{
	size_t sinks = 0, pings = 0;
	for (size_t i = 0; i < config_count(c); i++) {
		const struct config_entry *e = config_at(c, i);
		if (strcmp(e->section, "alert") != 0 || strcmp(e->key, "type") != 0)
			continue;
		bool is_ping = strcmp(e->value, "ping") == 0;
		size_t *count = is_ping ? &pings : &sinks;
		if (++*count > (is_ping ? ALERT_PINGS_MAX : ALERT_SINKS_MAX))
			return refuse(e, TXT_ALERT_SINKS, err, is_ping ? ALERT_PINGS_MAX : ALERT_SINKS_MAX,
				      is_ping ? "pings" : "sinks");
	}
	return true;
}

bool settings_check(const struct config *c, struct error *err)
{
	for (size_t i = 0; i < config_count(c); i++) {
		const struct config_entry *e = config_at(c, i);
		row_t *row = row_of(e);
		assert(row);
		if (!row->parse(row, e->value, NULL))
			return refuse(e, TXT_WHAT_SET_VALUE, row->hint, err, row->key, row->section, row->wanted);
	}
	for (size_t i = 0; i < config_count(c); i++) {
		const struct config_entry *e = config_at(c, i);
		if (!is_first_of_section(c, i))
			continue;
		if (strcmp(e->section, "alert") == 0 && !check_alert(c, e, err))
			return false;
		if (strcmp(e->section, "access") == 0 && !check_access(c, e, err))
			return false;
	}
	return check_alert_count(c, err);
}

/* --- where things are when nobody says --- */

static bool is_root(void)
{
	return geteuid() == 0;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static const char *home_folder(void)
{
	const char *home = environment("HOME");
	if (home && home[0] == '/')
		return home;
	const struct passwd *me = getpwuid(geteuid());
	return me && me->pw_dir && me->pw_dir[0] == '/' ? me->pw_dir : NULL;
}

/* A value that is not absolute is ignored, as the XDG base directory specification demands. */
static const char *xdg_folder(const char *variable)
{
	const char *folder = environment(variable);
	return folder && folder[0] == '/' ? folder : NULL;
}

static bool join(const char *a, const char *b, const char *c, char *ret, struct error *err)
{
	size_t a_len = strlen(a), b_len = strlen(b), c_len = strlen(c);
	if (a_len >= PATH_MAX || b_len >= PATH_MAX || c_len >= PATH_MAX || a_len + b_len + c_len >= PATH_MAX)
		return fail(err, ERR_CONFIG, TXT_SET_PATH_TOO_LONG, c);
	memcpy(ret, a, a_len);
	memcpy(ret + a_len, b, b_len);
	memcpy(ret + a_len + b_len, c, c_len + 1);
	return true;
}

static bool in_home(const char *variable, const char *below_home, const char *rest, char *ret, struct error *err)
{
	const char *folder = xdg_folder(variable);
	if (folder)
		return join(folder, "", rest, ret, err);
	const char *home = home_folder();
	if (!home)
		return fail(err, ERR_CONFIG, TXT_SET_NO_HOME, (unsigned)geteuid());
	return join(home, below_home, rest, ret, err);
}

static bool default_vault(char *ret, struct error *err)
{
	if (is_root())
		return join("/var/lib/pixelvault/vault.db", "", "", ret, err);
	return in_home("XDG_DATA_HOME", "/.local/share", "/pixelvault/vault.db", ret, err);
}

static bool default_state(char *ret, struct error *err)
{
	if (is_root())
		return join("/var/lib/pixelvault-state", "", "", ret, err);
	return in_home("XDG_STATE_HOME", "/.local/state", "/pixelvault", ret, err);
}

static bool default_socket(char *ret, struct error *err)
{
	const char *folder = is_root() ? NULL : xdg_folder("XDG_RUNTIME_DIR");
	return join(folder ? folder : "/run", "", "/pixelvault/agent.sock", ret, err);
}

static bool set_default(size_t i, struct settings *s, struct error *err)
{
	row_t *row = &rows[i];
	if (i == ROW_VAULT)
		return default_vault(s->vault_path, err);
	if (i == ROW_STATE)
		return default_state(s->state_dir, err);
	if (i == ROW_SOCKET)
		return default_socket(s->socket, err);
	bool is_fine = !row->fallback || row->parse(row, row->fallback, (char *)s + row->field);
	assert(is_fine);
	return is_fine;
}

/* --- reading --- */

bool settings_knows_home(const struct settings_flags *flags)
{
	return flags->config || environment("PIXELVAULT_CONFIG") || is_root() || xdg_folder("XDG_CONFIG_HOME") || home_folder();
}

/* Without a home there is none; only a default path below it would be missed, and says so. */
__attribute__((noinline)) static bool read_users_file(struct config **c, const struct config_key *known, size_t count,
						      struct error *err)
{
	char path[PATH_MAX]; /* not in the frame of who needs none: a large frame is a page more to fault in */
	struct error no_home;
	return !in_home("XDG_CONFIG_HOME", "/.config", "/pixelvault/pixelvault.ini", path, &no_home) ||
	       config_read(c, path, true, known, count, err);
}

static bool read_files(const struct settings_flags *flags, struct config **c, struct error *err)
{
	struct config_key known[SETTINGS_KEYS_MAX];
	size_t count = settings_keys(known);
	const char *alone = flags->config ? flags->config : environment("PIXELVAULT_CONFIG");
	if (flags->config && !*flags->config)
		return fail(err, ERR_USAGE, TXT_SET_FLAG_EMPTY, "--config");
	if (alone)
		return config_read(c, alone, false, known, count, err);
	if (!is_root() && !read_users_file(c, known, count, err))
		return false;
	return config_read(c, SYSTEM_FILE, true, known, count, err);
}

/* Say what is wrong with row i's value, and where that value came from. */
static bool refuse_source(size_t i, const struct settings *s, const char *what, const char *hint, enum error_code code,
			  struct error *err)
{
	const struct config_entry *e = config_find(s->config, rows[i].section, "", rows[i].key);
	if (s->by_flag >> i & 1)
		return fail(err, code, "--%s: %s", hint, rows[i].section, what);
	if (s->by_environment >> i & 1)
		return fail(err, ERR_CONFIG, "%s: %s", hint, rows[i].environment, what);
	if (e)
		return config_refuse(e, what, hint, err);
	return fail(err, ERR_CONFIG, "%s", hint, what);
}

/* A path from flag or environment: from the current folder unless absolute. */
__attribute__((noinline)) static bool set_from_here(size_t i, const char *value, struct settings *s, struct error *err)
{
	row_t *row = &rows[i];
	char here[PATH_MAX], path[PATH_MAX], what[200];
	if (value[0] != '/' && !getcwd(here, sizeof here))
		return fail(err, ERR_CONFIG, TXT_SET_NO_CURRENT_FOLDER, strerror(errno));
	if (!join(value[0] == '/' ? "" : here, value[0] == '/' ? "" : "/", value, path, err))
		return false;
	snprintf(what, sizeof what, TXT_WHAT_SET_VALUE_HERE, row->wanted);
	if (!row->parse(row, path, (char *)s + row->field))
		return refuse_source(i, s, what, row->hint, ERR_USAGE, err);
	return true;
}

static bool set_row(size_t i, const struct settings_flags *flags, struct settings *s, struct error *err)
{
	row_t *row = &rows[i];
	const char *flag = i == ROW_VAULT ? flags->vault : NULL;
	const char *variable = row->environment ? environment(row->environment) : NULL;
	if (flag)
		s->by_flag |= UINT64_C(1) << i;
	else if (variable)
		s->by_environment |= UINT64_C(1) << i;
	if (flag || variable)
		return set_from_here(i, flag ? flag : variable, s, err);
	const struct config_entry *e = config_find(s->config, row->section, "", row->key);
	if (!e)
		return set_default(i, s, err);
	bool is_fine = row->parse(row, e->value, (char *)s + row->field);
	assert(is_fine); /* settings_check saw it */
	return is_fine;
}

/* --- the state folder stays out of the vault's folder --- */

/* Add the parts of rest to path, "." and ".." resolved; path is absolute and "" stands for the root. */
static bool add_parts(char path[PATH_MAX], const char *rest)
{
	while (*rest) {
		rest += strspn(rest, "/");
		size_t len = strcspn(rest, "/"), old = strlen(path);
		char *slash = strrchr(path, '/');
		if (len == 2 && memcmp(rest, "..", 2) == 0) {
			if (slash)
				*slash = '\0';
		} else if (len && !(len == 1 && *rest == '.')) {
			if (old + 1 + len >= PATH_MAX)
				return false;
			path[old] = '/';
			memcpy(path + old + 1, rest, len);
			path[old + 1 + len] = '\0';
		}
		rest += len;
	}
	return true;
}

/* Links resolved as far as the path exists, the rest taken by its letters. */
static bool real_path(const char *path, char ret[PATH_MAX])
{
	char front[PATH_MAX];
	snprintf(front, sizeof front, "%s", path);
	while (front[0] && !realpath(front, ret))
		*strrchr(front, '/') = '\0';
	if (!front[0] || strcmp(ret, "/") == 0)
		ret[0] = '\0';
	return add_parts(ret, path + strlen(front));
}

static bool check_state_outside(const struct settings *s, struct error *err)
{
	static const struct {
		const char *what, *hint;
	} inside = { TXT_SET_STATE_INSIDE };
	char vault[PATH_MAX], state[PATH_MAX], folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%s", s->vault_path);
	*strrchr(folder, '/') = '\0';
	if (!real_path(folder, vault) || !real_path(s->state_dir, state))
		return fail(err, ERR_CONFIG, TXT_SET_PATH_TOO_LONG, rows[ROW_STATE].key);
	size_t len = strlen(vault);
	if (strncmp(vault, state, len) != 0 || (state[len] != '/' && state[len] != '\0'))
		return true;
	bool is_state_told = (s->by_environment >> ROW_STATE & 1) || config_find(s->config, "vault", "", "state-dir");
	return refuse_source(is_state_told ? ROW_STATE : ROW_VAULT, s, inside.what, inside.hint, ERR_CONFIG, err);
}

static bool check_vault_path(const struct settings *s, struct error *err)
{
	static const struct {
		const char *what, *hint;
	} folder = { TXT_SET_VAULT_IS_FOLDER };
	const char *base = strrchr(s->vault_path, '/') + 1;
	struct stat st;
	bool is_folder = strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ||
			 (stat(s->vault_path, &st) == 0 && S_ISDIR(st.st_mode));
	return is_folder ? refuse_source(ROW_VAULT, s, folder.what, folder.hint, ERR_USAGE, err) : true;
}

static bool is_told(const struct settings *s, size_t i)
{
	return ((s->by_flag | s->by_environment) >> i & 1) || config_find(s->config, rows[i].section, "", rows[i].key);
}

bool settings_name_vault(const struct settings_flags *flags)
{
	return flags->vault || environment(rows[ROW_VAULT].environment);
}

bool settings_begin(const struct settings_flags *flags, struct settings *s, struct error *err)
{
	if (flags->vault && !*flags->vault)
		return fail(err, ERR_USAGE, TXT_SET_FLAG_EMPTY, "--vault");
	if (!read_files(flags, &s->config, err) || !settings_check(s->config, err) ||
	    !set_row(ROW_SOCKET, flags, s, err) || !set_row(ROW_USER, flags, s, err))
		return false;
	s->socket_is_told = is_told(s, ROW_SOCKET);
	s->vault_is_explicit = settings_name_vault(flags);
	return true;
}

bool settings_finish(const struct settings_flags *flags, struct settings *s, struct error *err)
{
	s->confirm_delay_s = -1;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!rows[i].is_named && !set_row(i, flags, s, err))
			return false;
	return check_vault_path(s, err) && check_state_outside(s, err);
}

bool settings_load(const struct settings_flags *flags, struct settings *ret, struct error *err)
{
	static const struct settings_flags none;
	scoped(settings_done) struct settings s = { .config = NULL };
	if (!flags)
		flags = &none;
	if (!settings_begin(flags, &s, err) || !settings_finish(flags, &s, err))
		return false;
	*ret = s;
	s.config = NULL;
	return true;
}

void settings_done(struct settings *s)
{
	config_freep(&s->config);
}

/* --- showing --- */

struct shown {
	const char *value; /* NULL = not set */
	char source[PATH_MAX + 16];
};

static void show_source(const struct config_entry *e, struct shown *ret)
{
	snprintf(ret->source, sizeof ret->source, "%s:%u", e->file, e->line);
}

static void look_up(const struct settings *s, size_t i, struct shown *ret)
{
	row_t *row = &rows[i];
	const struct config_entry *e = config_find(s->config, row->section, "", row->key);
	bool is_path = row->environment != NULL;
	ret->value = is_path ? (const char *)s + row->field : e ? e->value : row->fallback;
	if (ret->value && !*ret->value)
		ret->value = NULL;
	if (s->by_flag >> i & 1)
		snprintf(ret->source, sizeof ret->source, "--%s", row->section);
	else if (s->by_environment >> i & 1)
		snprintf(ret->source, sizeof ret->source, "%s", row->environment);
	else if (e)
		show_source(e, ret);
	else
		snprintf(ret->source, sizeof ret->source, "%s", ret->value ? "default" : "not set");
}

/* The value of an [alert] or [access] row; of an address only scheme and host. */
static const char *shown_value(const struct config_entry *e, char room[sizeof e->value + 8])
{
	const char *host = strstr(e->value, "://");
	size_t len = host ? (size_t)(host + 3 - e->value) + strcspn(host + 3, "/?") : 0;
	if (strcmp(e->key, "url") != 0 || !host || !e->value[len])
		return e->value;
	snprintf(room, sizeof e->value + 8, "%.*s/...", (int)len, e->value);
	return room;
}

static bool is_named_entry(const struct config_entry *e)
{
	return e->name[0] != '\0';
}

void settings_show(const struct settings *s, struct buf *out)
{
	struct shown shown;
	char room[sizeof((struct config_entry *)NULL)->value + 8];
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].is_named)
			continue;
		look_up(s, i, &shown);
		buf_printf(out, "%s.%s =%s%s  # %s\n", rows[i].section, rows[i].key, shown.value ? " " : "",
			   shown.value ? shown.value : "", shown.source);
	}
	for (size_t i = 0; i < config_count(s->config); i++) {
		const struct config_entry *e = config_at(s->config, i);
		show_source(e, &shown);
		if (is_named_entry(e))
			buf_printf(out, "%s.%s.%s = %s  # %s\n", e->section, e->name, e->key, shown_value(e, room),
				   shown.source);
	}
}

static void show_json_row(struct json *j, const char *section, const char *name, const char *key, const char *value,
			  const char *source)
{
	json_object(j, NULL);
	json_text(j, "section", section);
	json_text(j, "name", name);
	json_text(j, "key", key);
	json_text(j, "value", value);
	json_text(j, "source", source);
	json_end_object(j);
}

void settings_show_json(const struct settings *s, struct json *j)
{
	struct shown shown;
	char room[sizeof((struct config_entry *)NULL)->value + 8];
	json_array(j, "settings");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].is_named)
			continue;
		look_up(s, i, &shown);
		show_json_row(j, rows[i].section, NULL, rows[i].key, shown.value, shown.source);
	}
	for (size_t i = 0; i < config_count(s->config); i++) {
		const struct config_entry *e = config_at(s->config, i);
		show_source(e, &shown);
		if (is_named_entry(e))
			show_json_row(j, e->section, e->name, e->key, shown_value(e, room), shown.source);
	}
	json_end_array(j);
}
