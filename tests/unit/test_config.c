/* Everything a configuration can get wrong, told with file and line (security.md, T33). Each row is written to a real
 * file and read by settings_load, as the programs do; what fails must leave everything as it was. */
#include "core/config.h"

#include "agent/settings.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_config.XXXXXX";
static char path[64];
static char doing[256]; /* what a failure in a table is about */

static void put_file(struct bytes text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.at, text.len), (ssize_t)text.len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* The file at path must be refused, and nothing of it applied. */
static void assert_file_refused(struct error *err)
{
	static struct settings settings, before;
	memset(&settings, 0x5a, sizeof settings);
	memset(&before, 0x5a, sizeof before);
	memset(err, 0, sizeof *err);
	if (settings_load(&(struct settings_flags){ .config = path }, &settings, err))
		fail_msg("accepted: %s", doing);
	assert_memory_equal(&settings, &before, sizeof settings);
	assert_int_equal(err->code, ERR_CONFIG);
	assert_true(err->message[0] && err->hint[0]);
}

static void assert_refused_at(struct bytes text, unsigned line, const char *what, const char *hint)
{
	struct error err;
	char start[96];
	put_file(text, 0600);
	assert_file_refused(&err);
	snprintf(start, sizeof start, "%s:%u: ", path, line);
	if (line && strncmp(err.message, start, strlen(start)) != 0)
		fail_msg("%s: '%s' is not about line %u", doing, err.message, line);
	if (!strstr(err.message, what))
		fail_msg("'%s' does not say '%s'", err.message, what);
	if (!strstr(err.hint, hint))
		fail_msg("'%s' does not hint '%s'", err.hint, hint);
}

/* --- rows written by hand --- */

struct bad {
	const char *name;
	struct bytes text;
	unsigned line;
	const char *what, *hint;
};

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define BAD(name_, text_, line_, what_, hint_)                                                                         \
	{                                                                                                              \
		name_, { (const uint8_t *)(text_), sizeof(text_) - 1 }, line_, what_, hint_                            \
	}

static const struct bad form[] = {
	BAD("a_line_over_190_bytes_is_refused_with_its_number",
	    "[check]\nrate = 5\n#" FIFTY FIFTY FIFTY TEN TEN TEN TEN "\n", 3, "190 bytes", "shorten"),
	BAD("a_long_line_at_the_end_without_a_newline", "[vault]\npath = /" FIFTY FIFTY FIFTY TEN TEN TEN TEN, 2,
	    "190 bytes", ""),
	BAD("the_tail_of_a_long_line_is_no_line",
	    "[tiktok]\nca-file = /" FIFTY FIFTY FIFTY TEN TEN TEN TEN "timeout = 9s\n", 2, "190 bytes", ""),
	BAD("a_carriage_return", "[check]\r\nrate = 5\r\n", 1, "carriage return", "sed"),
	BAD("a_carriage_return_in_the_last_line", "[check]\nrate = 5\r", 2, "carriage return", ""),
	BAD("a_carriage_return_in_a_comment", "# a\rb\n[check]\n", 1, "carriage return", ""),
	BAD("a_nul", "[check]\nrate = 5\0\n", 2, "control character", ""),
	BAD("a_nul_in_a_comment", "#\0\n", 1, "control character", ""),
	BAD("a_nul_alone", "\0", 1, "control character", ""),
	BAD("an_escape", "[check]\nrate = \x1b[1m5\n", 2, "control character", ""),
	BAD("a_form_feed", "[check]\n\f\n", 2, "control character", ""),
	BAD("a_vertical_tab", "[check]\nrate\v= 5\n", 2, "control character", ""),
	BAD("a_delete", "[check]\nrate = 5\x7f\n", 2, "control character", ""),
	BAD("a_c1_control", "[check]\n# \xc2\x9b\n", 2, "control character", ""),
	BAD("a_byte_order_mark", "\xef\xbb\xbf[check]\nrate = 5\n", 1, "byte order mark", ""),
	BAD("utf_16", "\xff\xfe[\0c\0", 1, "not UTF-8", "UTF-8"),
	BAD("latin_1", "[check]\nrate = 5\n# M\xfcller\n", 3, "not UTF-8", ""),
	BAD("an_overlong_slash",
	    "[vault]\npath = \xc0\xaf"
	    "a\n",
	    2, "not UTF-8", ""),
	BAD("a_surrogate", "# \xed\xa0\x80\n", 1, "not UTF-8", ""),
	BAD("a_character_cut_by_the_end_of_its_line", "# \xe2\x82\n", 1, "not UTF-8", ""),
	BAD("a_character_cut_by_the_end_of_the_file", "# \xe2\x82", 1, "not UTF-8", ""),
	BAD("a_key_after_a_blank", "[check]\nrate = 5\n interval = 1h\n", 3, "blank before", "first column"),
	BAD("a_key_after_a_tab", "[check]\nrate = 5\n\tinterval = 1h\n", 3, "blank before", ""),
	BAD("a_section_after_a_blank", " [check]\nrate = 5\n", 1, "blank before", ""),
	BAD("a_comment_after_a_blank", "[check]\n  # x\n", 2, "blank before", ""),
	BAD("a_continued_value", "[check]\nexpiry-warning = 30d\n   14d\n", 3, "blank before", "continued"),
	BAD("a_comment_behind_a_value", "[check]\nrate = 5 ; five\n", 2, "';' or '#'", "own"),
	BAD("a_hash_behind_a_value", "[check]\nrate = 5 # five\n", 2, "';' or '#'", "own"),
	BAD("a_semicolon_after_a_tab", "[check]\nrate = 5\t;five\n", 2, "';' or '#'", ""),
	BAD("a_value_that_is_a_comment", "[check]\nrate = ;5\n", 2, "';' or '#'", ""),
	BAD("a_value_cut_by_a_semicolon", "[vault]\npath = /srv/a ;b/vault.db\n", 2, "';' or '#'", ""),
	BAD("a_comment_behind_a_section", "[check] ; x\nrate = 5\n", 1, "';' or '#'", ""),
	BAD("a_comment_within_a_section", "[check ;x]\nrate = 5\n", 1, "';' or '#'", ""),
	BAD("a_section_without_its_bracket", "[check\nrate = 5\n", 1, "without ']'", "[check]"),
	BAD("a_bracket_alone", "[", 1, "without ']'", ""),
	BAD("text_behind_a_section", "[check] rate = 5\n", 1, "behind ']'", "line of its own"),
	BAD("two_sections_on_a_line", "[check][vault]\n", 1, "behind ']'", ""),
	BAD("a_section_in_two_brackets", "[[check]]\n", 1, "behind ']'", ""),
	BAD("a_section_over_49_bytes", "[alert " FIFTY "]\ntype = syslog\n", 1, "49 bytes", "shorter"),
	BAD("two_long_sections_that_inih_would_join",
	    "[alert 0123456789012345678901234567890123456789012]\ntype = syslog\n"
	    "[alert 01234567890123456789012345678901234567890123]\ntype = syslog\n",
	    3, "49 bytes", ""),
	BAD("an_empty_section", "[]\nrate = 5\n", 1, "unknown section", "sections are"),
	BAD("an_unknown_section", "[checks]\nrate = 5\n", 1, "unknown section [checks]", "did you mean [check]?"),
	BAD("an_unknown_section_without_keys", "[check]\nrate = 5\n[tictok]\n", 3, "unknown section [tictok]",
	    "[tiktok]"),
	BAD("an_unknown_section_like_no_other", "[database]\nurl = x\n", 1, "unknown section [database]",
	    "vault, agent, check, tiktok, alert, access"),
	BAD("a_section_in_capitals", "[CHECK]\nrate = 5\n", 1, "unknown section [CHECK]", "sections are"),
	BAD("a_section_with_blanks_inside", "[ check ]\nrate = 5\n", 1, "unknown section", ""),
	BAD("a_section_that_may_be_a_token_is_not_repeated", "[0123456789abcdef0123456789abcdef01234567]\n", 1,
	    "unknown section", ""),
	BAD("a_section_given_twice", "[check]\nrate = 5\n[vault]\npath = /a/v\n[check]\ninterval = 1h\n", 5,
	    "section [check] given twice", "join"),
	BAD("a_named_section_given_twice", "[alert a]\ntype = syslog\n[alert a]\nremind = 1d\n", 3,
	    "section [alert a] given twice", ""),
	BAD("an_alert_without_a_name", "[alert]\ntype = syslog\n", 1, "[alert] needs a name", "[alert ops]"),
	BAD("an_alert_with_a_blank_for_a_name", "[alert ]\ntype = syslog\n", 1, "[alert] needs a name", ""),
	BAD("an_access_rule_without_a_name", "[access]\nuser = a\n", 1, "[access] needs a name", ""),
	BAD("a_name_with_a_slash", "[alert ../x]\ntype = syslog\n", 1, "needs a name", "letters"),
	BAD("a_name_with_a_blank", "[alert a b]\ntype = syslog\n", 1, "needs a name", ""),
	BAD("a_name_after_two_blanks", "[alert  a]\ntype = syslog\n", 1, "needs a name", ""),
	BAD("a_name_where_none_belongs", "[check daily]\nrate = 5\n", 1, "[check] takes no name", "leave"),
	BAD("an_alert_without_keys", "[alert a]\n[check]\nrate = 5\n", 1, "[alert a] holds no key", "remove"),
	BAD("an_access_rule_without_keys_at_the_end", "[check]\nrate = 5\n\n[access a]\n# nothing\n", 4,
	    "[access a] holds no key", ""),
	BAD("text_outside_a_section", "rate = 5\n", 1, "outside a section", "[check]"),
	BAD("text_outside_a_section_after_comments", "# x\n\n; y\nrate = 5\n[check]\n", 4, "outside a section", ""),
	BAD("a_key_without_equals", "[check]\nrate\n", 2, "without '='", "interval = 6h"),
	BAD("a_key_with_a_colon", "[check]\nrate: 5\n", 2, "without '='", ""),
	BAD("a_key_with_a_colon_before_equals", "[check]\nrate:5=6\n", 2, "without '='", ""),
	BAD("a_value_without_a_key", "[check]\n= 5\n", 2, "without a key", ""),
	BAD("equals_alone", "[check]\n=\n", 2, "without a key", ""),
	BAD("a_key_without_a_value", "[check]\nrate =\n", 2, "without a value", "default"),
	BAD("a_key_with_blanks_for_a_value", "[check]\nrate = \t \n", 2, "without a value", ""),
	BAD("a_key_misspelled", "[check]\nintervall = 6h\n", 2, "unknown key 'intervall' in [check]",
	    "did you mean 'interval'?"),
	BAD("a_key_with_an_underscore", "[check]\nin_flight = 4\n", 2, "unknown key 'in_flight' in [check]",
	    "did you mean 'in-flight'?"),
	BAD("a_key_with_two_letters_swapped", "[tiktok]\ntimeuot = 5s\n", 2, "unknown key 'timeuot'",
	    "did you mean 'timeout'?"),
	BAD("a_key_in_capitals", "[check]\nRATE = 5\n", 2, "unknown key 'RATE' in [check]",
	    "interval, rate, in-flight"),
	BAD("a_key_of_another_section", "[vault]\ninterval = 6h\n", 2, "unknown key 'interval' in [vault]",
	    "belongs into [check]"),
	BAD("a_key_with_blanks", "[check]\nin flight = 4\n", 2, "unknown key 'in flight'", "in-flight"),
	BAD("a_key_in_quotes", "[check]\n\"rate\" = 5\n", 2, "unknown key", "did you mean 'rate'?"),
	BAD("a_key_that_may_be_a_token_is_not_repeated", "[check]\n0123456789abcdef0123456789abcdef01234567 = x\n", 2,
	    "unknown key in [check]", "no secret"),
	BAD("a_token", "[tiktok]\ntoken = abc\n", 2, "unknown key 'token' in [tiktok]",
	    "no secret belongs into this file"),
	BAD("an_access_token", "[tiktok]\naccess-token = abc\n", 2, "unknown key 'access-token'", "no secret"),
	BAD("an_access_token_in_capitals", "[tiktok]\nACCESS_TOKEN = abc\n", 2, "unknown key 'ACCESS_TOKEN'",
	    "no secret"),
	BAD("a_secret", "[alert a]\ntype = syslog\nsecret = abc\n", 3, "unknown key 'secret'", "no secret"),
	BAD("a_password", "[alert a]\ntype = syslog\nsmtp-password = abc\n", 3, "unknown key 'smtp-password'",
	    "no secret"),
	BAD("a_passphrase", "[vault]\npassphrase = correct horse\n", 2, "unknown key 'passphrase'", "no secret"),
	BAD("a_passphrase_file", "[vault]\npassphrase-file = /a/b\n", 2, "unknown key 'passphrase-file'", "no secret"),
	BAD("a_second_mistake_is_not_told_first", "[check]\nrate = 0\nfoo = 1\n", 3, "unknown key 'foo'", ""),
	BAD("a_good_line_after_a_bad_one_does_not_heal_it", "[check]\nfoo = 1\nrate = 5\n", 2, "unknown key 'foo'", ""),
	BAD("a_good_line_before_a_bad_one_does_not_count", "[vault]\npath = /srv/a/v.db\n[check]\nrate = x\n", 4,
	    "'rate' in [check]", ""),
};

/* --- rows of one value --- */

static const struct {
	const char *section, *key, *values[12];
} bad_values[] = {
	{ "vault",
	  "path",
	  { "vault.db", "./vault.db", "~/vault.db", "$HOME/vault.db", "/srv/vault/", "/", "\"/srv/v.db\"" } },
	{ "vault", "state-dir", { "state", "~/state", "'/srv/state'" } },
	{ "vault", "key-file", { "key", "../key", "/srv/" } },
	{ "vault", "credential", { "/etc/key", "a/b", "..", ".", "a b" } },
	{ "vault", "audit-reads", { "yes", "Written", "write", "written durable", "0" } },
	{ "agent", "socket", { "agent.sock", "/run/", "@abstract", "/run/" FIFTY FIFTY "/ab" } },
	{ "agent", "user", { "-x", "a b", "a/b", "4294967295", "99999999999", "0123456789" FIFTY TEN } },
	{ "agent", "group", { "a:b", "@x", "x\\y" } },
	{ "agent", "require-locked-memory", { "on", "1", "YES", "True", "y", "yes no" } },
	{ "agent",
	  "status-listen",
	  { "9187", ":9187", "localhost", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "::1:9187x", "[::1:9187",
	    "http://127.0.0.1:9187", "127.0.0.1:9187/metrics", "127.0.0.1:" } },
	{ "check",
	  "interval",
	  { "0", "0s", "91d", "2161h", "7776001s", "-1s", "6", "6 h", "1h30m", "6H", "often", "1.5h" } },
	{ "check",
	  "rate",
	  { "0", "100001", "-1", "+5", "5/s", "five", "5.0", "0x5", "4294967301", "18446744073709551621" } },
	{ "check", "in-flight", { "0", "257", "-4", "4 4", "many", "00000000004", "4294967300" } },
	{ "check", "confirm-delay", { "86401s", "25h", "2d", "-1s", "10", "soon" } },
	{ "check",
	  "expiry-warning",
	  { "30", "30d,14d", "0s", "30d 0", "0 0", "3651d", "30d 30d", "1d 24h", "9d 8d 7d 6d 5d 4d 3d 2d 1d",
	    "never" } },
	{ "check", "max-age", { "3651d", "90", "-1d", "off" } },
	{ "check", "probe", { "auto", "Dry", "dry test", "none" } },
	{ "tiktok",
	  "base-url",
	  { "http://business-api.tiktok.com/open_api/v1.3", "https://business-api.tiktok.com/open_api/v1.3/",
	    "https://business-api.tiktok.com/open_api", "https://business-api.tiktok.com", "https:///open_api/v1.3",
	    "https://user@host/v1.3", "https://user:pw@host/v1.3", "https://host/v1.3?x=1", "https://host/v1.3#x",
	    "https://host:0/v1.3", "https://host:65536/v1.3", "https://host:/v1.3" } },
	{ "tiktok",
	  "base-url",
	  { "host/v1.3", "HTTPS://host/v1.3", "https://host//v1.3", "https://host/../v1.3", "https://host/a/./v1.3",
	    "https://.host/v1.3", "https://-host/v1.3", "https://ho st/v1.3", "https://host/v1.3/event/track",
	    "https://host/v", "https://host/v1.", "https://[::1/v1.3" } },
	{ "tiktok",
	  "base-url",
	  { "https://host/%76/v1.3", "https://host\\@evil/v1.3", "https://h\xc3\xb6st/v1.3", "https://host:1a/v1.3",
	    "https://host:000443/v1.3", "https://:443/v1.3", "ftp://host/v1.3", "https://host/V1.3", "https:/host/v1.3",
	    "https://[]/v1.3", "https://host/1.3", "https://host/v1..3" } },
	{ "tiktok", "ca-file", { "ca.pem", "/etc/ssl/" } },
	{ "tiktok", "connect-timeout", { "0", "61s", "2m", "500ms", "5" } },
	{ "tiktok", "timeout", { "0s", "61s", "1h", "-15s", "15 s" } },
	{ "alert a", "type", { "pager", "Webhook", "email slack" } },
	{ "alert a",
	  "url",
	  { "http://host/x", "host/x", "https://", "https://user:pw@host/", "https://host/a b", "https://host/#x",
	    "file:///etc/passwd", "smtp://", "https://host:99999/" } },
	{ "alert a",
	  "to",
	  { "ops", "@example.com", "ops@", "ops@exa mple.com", "<ops@example.com>", "a@b.com,c@d.com", "a@b@c.com" } },
	{ "alert a", "command", { "page", "./page", "page /bin/x", "/usr/bin/" } },
	{ "alert a", "url-file", { "slack.url", "~/url", "/etc/" } },
	{ "alert a", "from", { "pixelvault", "a@b c@d", "Vault <a@b>", "a\xc3\xa9@b" } },
	{ "alert a", "user", { "a b", "\xc3\xa9" } },
	{ "alert a", "tls", { "no", "STARTTLS", "try" } },
	{ "alert a", "socket", { "log", "/dev/" } },
	{ "alert a", "time-limit", { "0", "61s", "2m", "5" } },
	{ "alert a", "min-severity", { "high", "Warning", "2" } },
	{ "alert a", "remind", { "59s", "91d", "1", "daily" } },
	{ "access a", "user", { "a b", "", "-1", "4294967295" } },
	{ "access a", "group", { "a,b", "%wheel" } },
	{ "access a", "pixels", { "c9abcdefghijklmnopqr", "C9", "C9ABCDEF,C9ABCDEG", "C9AB*", "**", "C9ABCDEF -" } },
	{ "access a",
	  "labels",
	  { "brand", "=acme", "Brand=acme", "brand=", "brand acme", "brand=a x",
	    "a23456789012345678901234567890123=x" } },
	{ "access a", "verbs", { "write", "Read", "meta,read", "read all", "*", "meta readd" } },
};

/* One that holds for each key; a key without one fails the test below. */
static const struct {
	const char *section, *key, *good;
} good_values[] = {
	{ "vault", "path", "/srv/pv/v.db" },
	{ "vault", "state-dir", "/srv/pv-state" },
	{ "vault", "key-file", "/srv/key" },
	{ "vault", "credential", "vault-key" },
	{ "vault", "audit-reads", "durable" },
	{ "agent", "socket", "/run/x/agent.sock" },
	{ "agent", "user", "pixelvault" },
	{ "agent", "group", "clients" },
	{ "agent", "require-locked-memory", "no" },
	{ "agent", "status-listen", "127.0.0.1:9187" },
	{ "check", "interval", "1h" },
	{ "check", "rate", "7" },
	{ "check", "in-flight", "9" },
	{ "check", "confirm-delay", "10m" },
	{ "check", "expiry-warning", "30d 1d" },
	{ "check", "max-age", "90d" },
	{ "check", "probe", "test" },
	{ "check", "failover", "yes" },
	{ "check", "grace", "7d" },
	{ "check", "purge-after", "30d" },
	{ "tiktok", "base-url", "https://localhost:8443/open_api/v1.3" },
	{ "tiktok", "login-url", "https://localhost:8443/v2" },
	{ "tiktok", "ca-file", "/srv/ca.pem" },
	{ "tiktok", "connect-timeout", "2s" },
	{ "tiktok", "timeout", "9s" },
	{ "alert", "type", "webhook" },
	{ "alert", "url", "https://host/x" },
	{ "alert", "to", "ops@example.com" },
	{ "alert", "command", "/usr/bin/page" },
	{ "alert", "url-file", "/srv/url" },
	{ "alert", "secret-file", "/srv/hmac" },
	{ "alert", "ca-file", "/srv/ca.pem" },
	{ "alert", "from", "pixelvault@example.com" },
	{ "alert", "user", "pixelvault" },
	{ "alert", "password-file", "/srv/password" },
	{ "alert", "tls", "none" },
	{ "alert", "socket", "/dev/log" },
	{ "alert", "time-limit", "30s" },
	{ "alert", "min-severity", "warning" },
	{ "alert", "remind", "1d" },
	{ "access", "user", "app" },
	{ "access", "group", "apps" },
	{ "access", "pixels", "*" },
	{ "access", "labels", "brand=acme" },
	{ "access", "verbs", "read" },
};

static const char *good_value_of(const struct settings_row *row)
{
	for (size_t i = 0; i < COUNT_OF(good_values); i++)
		if (strcmp(good_values[i].key, row->key) == 0 && strcmp(good_values[i].section, row->section) == 0)
			return good_values[i].good;
	fail_msg("no good value for '%s' in [%s]", row->key, row->section);
	return NULL;
}

/* --- tests --- */

static void check_bad(void **state)
{
	const struct bad *b = *state;
	assert_refused_at(b->text, b->line, b->what, b->hint);
}

static void config__each_value_out_of_shape_or_range_is_refused_with_its_line(void **state)
{
	(void)state;
	size_t count = 0;
	for (size_t i = 0; i < COUNT_OF(bad_values); i++)
		for (size_t n = 0; n < COUNT_OF(bad_values[i].values) && bad_values[i].values[n]; n++) {
			char text[512], section[16];
			const char *value = bad_values[i].values[n];
			if (!*value)
				continue;
			snprintf(section, sizeof section, "%.*s", (int)strcspn(bad_values[i].section, " "),
				 bad_values[i].section);
			int len = snprintf(text, sizeof text, "# a comment\n\n[%s]\n%s = %s\n", bad_values[i].section,
					   bad_values[i].key, value);
			struct error err;
			char start[160];
			put_file(bytes_of(text, (size_t)len), 0600);
			snprintf(doing, sizeof doing, "%s = %s", bad_values[i].key, value);
			assert_file_refused(&err);
			snprintf(start, sizeof start, "%s:4: '%s' in [%s] must be ", path, bad_values[i].key, section);
			if (strncmp(err.message, start, strlen(start)) != 0)
				fail_msg("%s: %s", doing, err.message);
			count++;
		}
	assert_in_range(count, 150, 1000);
}

/* Six mistakes with each key there is, so that a new key cannot escape them. */
static void config__each_key_is_refused_when_given_twice_misspelled_misplaced_or_misshapen(void **state)
{
	(void)state;
	size_t count;
	const struct settings_row *rows = settings_rows(&count);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].is_never_in_file)
			continue;
		const char *good = good_value_of(&rows[i]), *key = rows[i].key, *name = rows[i].is_named ? " a" : "";
		const char *section = rows[i].section;
		char text[512], what[96], hint[96];
		snprintf(doing, sizeof doing, "%s in [%s]", key, section);

#define TEXT(...) bytes_of(text, (size_t)snprintf(text, sizeof text, __VA_ARGS__))
		snprintf(what, sizeof what, "key '%s' given twice in [%s]", key, section);
		assert_refused_at(TEXT("[%s%s]\n%s = %s\n%s=%s\n", section, name, key, good, key, good), 3, what,
				  "remove");
		snprintf(what, sizeof what, "unknown key '%sz' in [%s]", key, section);
		snprintf(hint, sizeof hint, "did you mean '%s'?", key);
		assert_refused_at(TEXT("[%s%s]\n%sz = %s\n", section, name, key, good), 2, what, hint);
		assert_refused_at(TEXT("[%s%s]\n\t%s = %s\n", section, name, key, good), 2, "a blank before", "");
		assert_refused_at(TEXT("[%s%s]\n%s =\n", section, name, key), 2, "without a value", "");
		assert_refused_at(TEXT("[%s%s]\n%s x\n", section, name, key), 2, "without '='", "");
		assert_refused_at(TEXT("[%s%s]\n%s = %s ;x\n", section, name, key, good), 2, "';' or '#'", "");
		assert_refused_at(TEXT("%s = %s\n", key, good), 1, "outside a section", "");
		snprintf(what, sizeof what, "'%s' in [%s] must be %s", key, section, rows[i].wanted);
		assert_refused_at(TEXT("[%s%s]\n%s = \xe2\x82\xac!\n", section, name, key), 2, what, rows[i].hint);
#undef TEXT
	}
}

static void config__a_bad_value_is_never_repeated(void **state)
{
	(void)state;
	static const char token[] = "0123456789abcdef0123456789abcdef01234567!";
	size_t count;
	const struct settings_row *rows = settings_rows(&count);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].is_never_in_file)
			continue;
		struct error err;
		char text[256];
		int len = snprintf(text, sizeof text, "[%s%s]\n%s = %s\n", rows[i].section,
				   rows[i].is_named ? " a" : "", rows[i].key, token);
		put_file(bytes_of(text, (size_t)len), 0600);
		assert_file_refused(&err);
		assert_null(strstr(err.message, "0123456"));
		assert_null(strstr(err.hint, "0123456"));
	}
}

static const struct bad whole_sections[] = {
	BAD("an_alert_without_a_type", "[alert a]\nurl = https://h/\n", 2, "[alert a] has no type", "type = webhook"),
	BAD("a_webhook_without_url", "[alert a]\ntype = webhook\nremind = 1d\n", 2, "needs 'url'", ""),
	BAD("a_slack_alert_without_url", "[alert a]\nremind = 1d\ntype = slack\n", 3, "needs 'url'", ""),
	BAD("an_email_without_to", "[alert a]\ntype = email\n", 2, "needs 'to'", ""),
	BAD("an_exec_without_command", "[alert a]\ntype = exec\n", 2, "needs 'command'", ""),
	BAD("a_webhook_with_a_command", "[alert a]\ntype = webhook\nurl = https://h/\ncommand = /bin/x\n", 4,
	    "does not use 'command'", ""),
	BAD("a_syslog_alert_with_a_url", "[alert a]\ntype = syslog\nurl = https://h/\n", 3, "does not use 'url'", ""),
	BAD("an_exec_with_to", "[alert a]\nto = a@b.c\ntype = exec\ncommand = /bin/x\n", 2, "does not use 'to'", ""),
	BAD("a_webhook_that_mails", "[alert a]\ntype = webhook\nurl = smtp://h\n", 3, "url of another type", "https"),
	BAD("a_ping_that_mails", "[alert a]\ntype = ping\nurl = smtp://h\n", 3, "url of another type", "https"),
	BAD("a_slack_alert_with_two_urls", "[alert a]\ntype = slack\nurl = https://h/\nurl-file = /x\n", 4,
	    "both 'url' and 'url-file'", "remove one"),
	BAD("a_slack_alert_with_a_key", "[alert a]\ntype = slack\nurl-file = /x\nsecret-file = /y\n", 4,
	    "does not use 'secret-file'", ""),
	BAD("a_user_without_a_password", "[alert a]\ntype = email\nto = a@b.c\nurl = smtp://h\nuser = u\n", 5,
	    "only one of 'user' and 'password-file'", ""),
	BAD("a_password_for_no_server",
	    "[alert a]\ntype = email\nto = a@b.c\nuser = u\npassword-file = /x\n", 4, "which server", "url ="),
	BAD("plain_mail_to_another_host", "[alert a]\ntype = email\nto = a@b.c\nurl = smtp://h\ntls = none\n", 5,
	    "unencrypted", "localhost"),
	BAD("plain_mail_to_what_begins_like_loopback",
	    "[alert a]\ntype = email\nto = a@b.c\nurl = smtp://127.evil.example\ntls = none\n", 5, "unencrypted", ""),
	BAD("plain_mail_with_a_password",
	    "[alert a]\ntype = email\nto = a@b.c\nurl = smtp://localhost\nuser = u\npassword-file = /x\ntls = none\n",
	    7, "unencrypted", ""),
	BAD("an_email_over_https", "[alert a]\ntype = email\nto = a@b.c\nurl = https://h/\n", 4, "url of another type",
	    "smtp"),
	BAD("a_rule_for_user_and_group", "[access a]\nuser = x\ngroup = y\nverbs = read\npixels = *\n", 3, "not both",
	    "two rules"),
	BAD("a_rule_for_no_one", "[access a]\nverbs = read\npixels = *\n", 2, "must name a user or a group", ""),
	BAD("a_rule_for_nobody", "[access a]\nuser = nobody\nverbs = read\npixels = *\n", 2, "nobody",
	    "cannot tell apart"),
	BAD("a_rule_for_nogroup", "[access a]\nverbs = read\npixels = *\ngroup = nogroup\n", 4, "nogroup", ""),
	BAD("a_rule_for_uid_65534", "[access a]\nuser = 65534\nverbs = read\npixels = *\n", 2, "65534", ""),
	BAD("a_rule_for_gid_65534_with_zeros", "[access a]\ngroup = 0000065534\nverbs = read\npixels = *\n", 2, "65534",
	    ""),
	BAD("a_rule_without_verbs", "[access a]\nuser = x\npixels = *\n", 2, "grants nothing", "verbs = meta read"),
	BAD("a_rule_without_pixels", "[access a]\nuser = x\nverbs = read\n", 2, "names no Pixels", "*"),
	BAD("the_second_rule_of_two",
	    "[access a]\nuser = x\nverbs = read\npixels = *\n[access b]\nuser = nobody\nverbs = read\npixels = *\n", 6,
	    "[access b]", ""),
};

static void config__a_file_that_others_could_change_is_refused(void **state)
{
	(void)state;
	static const mode_t modes[] = { 0620, 0602, 0666, 0664 };
	struct error err;
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		put_file(bytes_of_text("[check]\nrate = 5\n"), modes[i]);
		assert_file_refused(&err);
		assert_non_null(strstr(err.message, path));
		assert_non_null(strstr(err.message, "changed by others"));
	}
	if (geteuid() != 0)
		return;
	put_file(bytes_of_text("[check]\nrate = 5\n"), 0600);
	assert_int_equal(chown(path, 12345, 0), 0);
	assert_file_refused(&err);
	assert_non_null(strstr(err.message, "12345"));
}

static void config__what_is_no_plain_file_is_refused(void **state)
{
	(void)state;
	struct error err;
	char target[80];
	put_file(bytes_of_text("[check]\nrate = 5\n"), 0600);
	snprintf(target, sizeof target, "%s.target", path);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_file_refused(&err);
	assert_non_null(strstr(err.message, "not a regular file"));
	assert_int_equal(unlink(path), 0);
	alarm(10);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_file_refused(&err);
	assert_non_null(strstr(err.message, "not a regular file"));
	alarm(0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_file_refused(&err);
	assert_non_null(strstr(err.message, "not a regular file"));
	assert_int_equal(rmdir(path), 0);
	assert_file_refused(&err);
	assert_non_null(strstr(err.message, "No such file"));
}

static void config__a_file_over_64_kib_is_refused_and_one_of_64_kib_is_not(void **state)
{
	(void)state;
	struct error err;
	struct settings settings;
	struct buf text = BUF_INIT(70000);
	while (text.len < 65536 - 64)
		buf_append_text(&text, "# 4567890123456789012345678901234567890123456789012345678901234\n");
	while (text.len < 65536)
		buf_append_text(&text, "\n");
	put_file(buf_bytes(&text), 0600);
	assert_true(settings_load(&(struct settings_flags){ .config = path }, &settings, &err));
	settings_done(&settings);
	buf_append_text(&text, "\n");
	put_file(buf_bytes(&text), 0600);
	assert_file_refused(&err);
	assert_non_null(strstr(err.message, "longer than 65536 bytes"));
	struct config *c = NULL;
	assert_false(config_parse(&c, buf_bytes(&text), "x", NULL, 0, &err));
	assert_null(c);
	buf_done(&text);
}

static void config__more_than_512_sections_are_refused(void **state)
{
	(void)state;
	struct buf text = BUF_INIT(65536);
	for (int i = 0; i < 513; i++)
		buf_printf(&text, "[alert n%d]\ntype = syslog\n", i);
	assert_refused_at(buf_bytes(&text), 1025, "512 sections", "");
	buf_done(&text);
}

/* --- the container --- */

static const struct config_key known[] = {
	{ "check", "rate", false },
	{ "check", "interval", false },
	{ "alert", "type", true },
	{ "alert", "to", true },
};

static bool parse(struct config **c, const char *text, const char *file, struct error *err)
{
	return config_parse(c, bytes_of_text(text), file, known, COUNT_OF(known), err);
}

static void config__entries_carry_section_name_key_value_file_and_line(void **state)
{
	(void)state;
	scoped(config_freep) struct config *c = NULL;
	struct error err;
	assert_true(
		parse(&c,
		      "# c\n; d ; e\n\n[check]\n \t\nrate=5\ninterval\t=  6h \t\n[alert ops.1]\ntype = a=b:c \"d\"\n"
		      "to = M\xc3\xbcller",
		      "some.ini", &err));
	static const struct config_entry expected[] = {
		{ "check", "", "rate", "5", NULL, 6 },
		{ "check", "", "interval", "6h", NULL, 7 },
		{ "alert", "ops.1", "type", "a=b:c \"d\"", NULL, 9 },
		{ "alert", "ops.1", "to", "M\xc3\xbcller", NULL, 10 },
	};
	assert_int_equal(config_count(c), COUNT_OF(expected));
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		const struct config_entry *e = config_at(c, i);
		assert_string_equal(e->section, expected[i].section);
		assert_string_equal(e->name, expected[i].name);
		assert_string_equal(e->key, expected[i].key);
		assert_string_equal(e->value, expected[i].value);
		assert_string_equal(e->file, "some.ini");
		assert_int_equal(e->line, expected[i].line);
		assert_ptr_equal(config_find(c, e->section, e->name, e->key), e);
	}
	assert_ptr_equal(config_find(c, "check", NULL, "rate"), config_at(c, 0));
	assert_null(config_find(c, "alert", "other", "type"));
	assert_null(config_find(c, "check", "", "type"));
}

static void config__an_empty_file_is_an_empty_configuration(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "\n", "\n\n# x", "[check]", "[check]\n\n" };
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		scoped(config_freep) struct config *c = NULL;
		struct error err;
		assert_true(parse(&c, texts[i], "f", &err));
		assert_non_null(c);
		assert_int_equal(config_count(c), 0);
	}
	assert_int_equal(config_count(NULL), 0);
	assert_null(config_find(NULL, "check", "", "rate"));
	config_free(NULL);
}

static void config__a_line_of_190_bytes_and_a_section_of_49_are_whole(void **state)
{
	(void)state;
	scoped(config_freep) struct config *c = NULL;
	struct error err;
	char text[512], value[184];
	memset(value, 'v', sizeof value);
	value[183] = '\0';
	snprintf(text, sizeof text, "[alert 0123456789012345678901234567890123456789012]\ntype = %s\n", value);
	assert_true(parse(&c, text, "f", &err));
	assert_string_equal(config_at(c, 0)->name, "0123456789012345678901234567890123456789012");
	assert_string_equal(config_at(c, 0)->value, value);
}

static void config__what_was_read_first_is_stronger_key_by_key(void **state)
{
	(void)state;
	scoped(config_freep) struct config *c = NULL;
	struct error err;
	assert_true(parse(&c, "[check]\nrate = 1\n[alert a]\ntype = x\n", "strong.ini", &err));
	assert_true(parse(&c, "[check]\nrate = 2\ninterval = 2h\n[alert a]\ntype = y\nto = z\n[alert b]\ntype = w\n",
			  "weak.ini", &err));
	assert_int_equal(config_count(c), 5);
	assert_string_equal(config_find(c, "check", "", "rate")->value, "1");
	assert_string_equal(config_find(c, "check", "", "rate")->file, "strong.ini");
	assert_string_equal(config_find(c, "check", "", "interval")->file, "weak.ini");
	assert_string_equal(config_find(c, "alert", "a", "type")->value, "x");
	assert_string_equal(config_find(c, "alert", "a", "to")->value, "z");
	assert_string_equal(config_find(c, "alert", "b", "type")->value, "w");
}

static void config__a_second_file_that_fails_adds_nothing(void **state)
{
	(void)state;
	scoped(config_freep) struct config *c = NULL;
	struct error err;
	assert_true(parse(&c, "[check]\nrate = 1\n", "a", &err));
	assert_false(parse(&c, "[check]\ninterval = 2h\nfoo = 1\n", "b", &err));
	assert_false(parse(&c, "[check]\ninterval = 2h\ninterval = 3h\n", "b", &err));
	assert_false(parse(&c, "[check]\ninterval = 2h\n[check", "b", &err));
	assert_int_equal(config_count(c), 1);
	assert_null(config_find(c, "check", "", "interval"));
}

static void config__a_missing_optional_file_is_fine(void **state)
{
	(void)state;
	scoped(config_freep) struct config *c = NULL;
	struct error err;
	assert_true(config_read(&c, "/nowhere/at/all.ini", true, known, COUNT_OF(known), &err));
	assert_null(c);
	assert_false(config_read(&c, "/nowhere/at/all.ini", false, known, COUNT_OF(known), &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_null(c);
}

static void config__a_long_path_leaves_room_for_what_is_wrong(void **state)
{
	(void)state;
	struct config *c = NULL;
	struct error err;
	char file[1000];
	memset(file, 'p', sizeof file);
	memcpy(file + sizeof file - 10, "/end.ini\0", 9);
	file[sizeof file - 1] = '\0';
	assert_false(parse(&c, "[check]\nfoo = 1\n", file, &err));
	assert_non_null(strstr(err.message, "/end.ini:2: unknown key 'foo' in [check]"));
}

static void config__refusing_an_entry_names_its_file_and_line(void **state)
{
	(void)state;
	struct error err;
	struct config_entry e = { .file = "some.ini", .line = 7 };
	assert_false(config_refuse(&e, "100%s", "hint %d", &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.message, "some.ini:7: 100%s");
	assert_string_equal(err.hint, "hint %d");
}

static void config__the_nearest_word_is_at_most_two_edits_away(void **state)
{
	(void)state;
	static const char *const words[] = { "interval", "rate", "to", "status", "check" };
	static const struct {
		const char *word, *nearest;
	} rows[] = {
		{ "interval", "interval" },
		{ "intervall", "interval" },
		{ "nterval", "interval" },
		{ "itnerval", "interval" },
		{ "int-rval", "interval" },
		{ "itnervla", "interval" },
		{ "intervalsss", NULL },
		{ "rte", "rate" },
		{ "ear", NULL },
		{ "xy", NULL },
		{ "t", NULL },
		{ "too", "to" },
		{ "", NULL },
		{ "chekc", "check" },
		{ "stats", "status" },
		{ "CHECK", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *nearest = config_nearest(rows[i].word, words, COUNT_OF(words));
		if (!!nearest != !!rows[i].nearest || (nearest && strcmp(nearest, rows[i].nearest) != 0))
			fail_msg("'%s' is nearest to '%s'", rows[i].word, nearest ? nearest : "nothing");
	}
	char endless[5000];
	memset(endless, 'a', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	assert_null(config_nearest(endless, words, COUNT_OF(words)));
	assert_null(config_nearest("rate", words, 0));
}

static int enter(void **state)
{
	(void)state;
	static const char *const variables[] = { "VAULT", "CONFIG", "SOCKET", "STATE", "PASSPHRASE_FILE", "KEY_FILE" };
	for (size_t i = 0; i < COUNT_OF(variables); i++) {
		char name[64];
		snprintf(name, sizeof name, "PIXELVAULT_%s", variables[i]);
		unsetenv(name);
	}
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/pv.ini", folder);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? 0 : -1;
}

/* Each row of a table is a test of its own name. */
static void add_rows(struct CMUnitTest *tests, const struct bad *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){ rows[i].name, check_bad, NULL, NULL, (void *)(uintptr_t)&rows[i] };
}

static struct CMUnitTest row_tests[COUNT_OF(form) + COUNT_OF(whole_sections)];

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config__each_value_out_of_shape_or_range_is_refused_with_its_line),
		cmocka_unit_test(config__each_key_is_refused_when_given_twice_misspelled_misplaced_or_misshapen),
		cmocka_unit_test(config__a_bad_value_is_never_repeated),
		cmocka_unit_test(config__a_file_that_others_could_change_is_refused),
		cmocka_unit_test(config__what_is_no_plain_file_is_refused),
		cmocka_unit_test(config__a_file_over_64_kib_is_refused_and_one_of_64_kib_is_not),
		cmocka_unit_test(config__more_than_512_sections_are_refused),
		cmocka_unit_test(config__entries_carry_section_name_key_value_file_and_line),
		cmocka_unit_test(config__an_empty_file_is_an_empty_configuration),
		cmocka_unit_test(config__a_line_of_190_bytes_and_a_section_of_49_are_whole),
		cmocka_unit_test(config__what_was_read_first_is_stronger_key_by_key),
		cmocka_unit_test(config__a_second_file_that_fails_adds_nothing),
		cmocka_unit_test(config__a_missing_optional_file_is_fine),
		cmocka_unit_test(config__a_long_path_leaves_room_for_what_is_wrong),
		cmocka_unit_test(config__refusing_an_entry_names_its_file_and_line),
		cmocka_unit_test(config__the_nearest_word_is_at_most_two_edits_away),
	};
	add_rows(row_tests, form, COUNT_OF(form));
	add_rows(row_tests + COUNT_OF(form), whole_sections, COUNT_OF(whole_sections));
	int failed = cmocka_run_group_tests_name("config: one bad thing each", row_tests, enter, NULL);
	return failed + cmocka_run_group_tests_name("config", tests, NULL, leave);
}
