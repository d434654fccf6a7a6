#include "agent/settings.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SOMEONE 54321 /* a user id without an account */

static char folder[] = "/tmp/test_settings.XXXXXX";

/* What a child that took on a user id and an environment got from settings_load. */
struct outcome {
	bool is_loaded;
	struct error err;
	struct settings settings; /* its config is gone with the child */
	char shown[8192];
};

static struct outcome *outcome;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(chown(path, geteuid() == 0 ? 0 : geteuid(), (gid_t)-1), 0);
}

/* NAME=VALUE, separated by newlines; '@' stands for the test's folder. */
static void set_environment(const char *variables)
{
	char text[4096], *rest = NULL;
	size_t len = 0;
	for (const char *p = variables; *p; p++)
		len += (size_t)snprintf(text + len, sizeof text - len, *p == '@' ? "%s" : "%.1s",
					*p == '@' ? folder : p);
	text[len] = '\0';
	clearenv();
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *equals = strchr(line, '=');
		*equals = '\0';
		setenv(line, equals + 1, 1);
	}
}

static void load_in_child(const struct settings_flags *flags)
{
	struct settings *s = &outcome->settings;
	struct buf text = BUF_INIT(sizeof outcome->shown - 1);
	outcome->is_loaded = settings_load(flags, s, &outcome->err);
	if (outcome->is_loaded) {
		settings_show(s, &text);
		memcpy(outcome->shown, text.at, text.len);
		settings_done(s);
	}
	buf_done(&text);
}

static const struct outcome *load_as(uid_t uid, const char *variables, const struct settings_flags *flags)
{
	memset(outcome, 0, sizeof *outcome);
	pid_t pid = fork();
	if (pid == 0) {
		set_environment(variables);
		if (geteuid() != uid && setresuid(uid, uid, uid) != 0)
			_exit(1);
		load_in_child(flags);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return outcome;
}

static uid_t a_user(void)
{
	return geteuid() == 0 ? SOMEONE : geteuid();
}

static const struct settings *loaded(const char *variables)
{
	const struct outcome *o = load_as(a_user(), variables, NULL);
	if (!o->is_loaded)
		fail_msg("%s", o->err.message);
	return &o->settings;
}

static void assert_refused(const struct outcome *o, enum error_code code, const char *what)
{
	assert_false(o->is_loaded);
	assert_int_equal(o->err.code, code);
	if (!strstr(o->err.message, what))
		fail_msg("'%s' does not say '%s'", o->err.message, what);
	assert_true(o->err.hint[0]);
}

static const char *in_folder(const char *rest)
{
	static char paths[4][PATH_MAX];
	static size_t turn;
	char *path = paths[turn++ % 4];
	snprintf(path, PATH_MAX, "%s%s", folder, rest);
	return path;
}

#define QUIET "PIXELVAULT_CONFIG=@/empty.ini\n"

static void settings__without_anything_said_the_documented_values_hold(void **state)
{
	(void)state;
	const struct settings *s = loaded(QUIET "HOME=/h\n");
	assert_false(s->vault_is_explicit);
	assert_string_equal(s->key_file, "");
	assert_string_equal(s->credential, "");
	assert_string_equal(s->passphrase_file, "");
	assert_false(s->audit_reads_durable);
	assert_string_equal(s->user, "");
	assert_string_equal(s->group, "");
	assert_true(s->require_locked_memory);
	assert_string_equal(s->status_listen, "");
	assert_int_equal(s->interval_s, 6 * 3600);
	assert_int_equal(s->rate, 5);
	assert_int_equal(s->in_flight, 4);
	assert_int_equal(s->confirm_delay_s, -1);
	static const int64_t steps[SETTINGS_EXPIRY_STEPS] = { 2592000, 1209600, 604800, 259200, 86400 };
	assert_memory_equal(s->expiry_warning_s, steps, sizeof steps);
	assert_int_equal(s->max_age_s, 0);
	assert_int_equal(s->probe, PROBE_CHOICE_AUTO);
	assert_string_equal(s->base_url, "https://business-api.tiktok.com/open_api/v1.3");
	assert_string_equal(s->ca_file, "");
	assert_int_equal(s->connect_timeout_ms, 5000);
	assert_int_equal(s->timeout_ms, 15000);
}

static void settings__paths_of_a_user_follow_home(void **state)
{
	(void)state;
	const struct settings *s = loaded(QUIET "HOME=/h\n");
	assert_string_equal(s->vault_path, "/h/.local/share/pixelvault/vault.db");
	assert_string_equal(s->state_dir, "/h/.local/state/pixelvault");
	assert_string_equal(s->socket, "/run/pixelvault/agent.sock");
}

static void settings__paths_of_a_user_follow_xdg(void **state)
{
	(void)state;
	const struct settings *s = loaded(QUIET "HOME=/h\nXDG_DATA_HOME=/d\nXDG_STATE_HOME=/s\nXDG_RUNTIME_DIR=/r\n");
	assert_string_equal(s->vault_path, "/d/pixelvault/vault.db");
	assert_string_equal(s->state_dir, "/s/pixelvault");
	assert_string_equal(s->socket, "/r/pixelvault/agent.sock");
}

static void settings__xdg_values_that_are_empty_or_not_absolute_are_ignored(void **state)
{
	(void)state;
	const struct settings *s = loaded(QUIET "HOME=/h\nXDG_DATA_HOME=d\nXDG_STATE_HOME=\nXDG_RUNTIME_DIR=./r\n");
	assert_string_equal(s->vault_path, "/h/.local/share/pixelvault/vault.db");
	assert_string_equal(s->state_dir, "/h/.local/state/pixelvault");
	assert_string_equal(s->socket, "/run/pixelvault/agent.sock");
}

static void settings__without_a_home_the_paths_must_be_said(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_refused(load_as(SOMEONE, QUIET, NULL), ERR_CONFIG, "no home folder is known for uid 54321");
	assert_refused(load_as(SOMEONE, QUIET "HOME=relative\n", NULL), ERR_CONFIG, "no home folder");
	const struct settings *s = loaded("PIXELVAULT_VAULT=/v/v.db\nPIXELVAULT_STATE=/s\n");
	assert_string_equal(s->vault_path, "/v/v.db");
	assert_string_equal(s->state_dir, "/s");
}

static void settings__paths_of_root_are_the_systems(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	const struct outcome *o = load_as(
		0, QUIET "HOME=/h\nXDG_DATA_HOME=/d\nXDG_STATE_HOME=/s\nXDG_RUNTIME_DIR=/r\nXDG_CONFIG_HOME=@/config\n",
		NULL);
	assert_true(o->is_loaded);
	assert_string_equal(o->settings.vault_path, "/var/lib/pixelvault/vault.db");
	assert_string_equal(o->settings.state_dir, "/var/lib/pixelvault-state");
	assert_string_equal(o->settings.socket, "/run/pixelvault/agent.sock");
}

static void settings__the_users_file_is_read_from_xdg_or_home(void **state)
{
	(void)state;
	assert_int_equal(loaded("HOME=/h\nXDG_CONFIG_HOME=@/config\n")->rate, 71);
	assert_int_equal(loaded("HOME=@/home\n")->rate, 72);
	assert_int_equal(loaded("HOME=@/home\nXDG_CONFIG_HOME=config\n")->rate, 72);
}

static void settings__root_reads_no_users_file(void **state)
{
	(void)state;
	if (geteuid() != 0 || access("/etc/pixelvault/pixelvault.ini", F_OK) == 0)
		skip();
	const struct outcome *o = load_as(0, "HOME=@/home\nXDG_CONFIG_HOME=@/config\n", NULL);
	assert_true(o->is_loaded);
	assert_int_equal(o->settings.rate, 5);
}

static void settings__a_file_that_was_named_is_required_and_read_alone(void **state)
{
	(void)state;
	static const char everything[] = "HOME=@/home\nXDG_CONFIG_HOME=@/config\nPIXELVAULT_CONFIG=@/some.ini\n";
	const struct settings *s = loaded(everything);
	assert_int_equal(s->rate, 73);
	assert_int_equal(s->in_flight, 4); /* the user's file says 99 */
	struct settings_flags flags = { .config = in_folder("/other.ini") };
	const struct outcome *o = load_as(a_user(), everything, &flags);
	assert_true(o->is_loaded);
	assert_int_equal(o->settings.rate, 74);
	assert_refused(load_as(a_user(), "HOME=@/home\nPIXELVAULT_CONFIG=@/missing.ini\n", NULL), ERR_CONFIG,
		       "/missing.ini' cannot be read: No such file");
	flags.config = in_folder("/missing.ini");
	assert_refused(load_as(a_user(), everything, &flags), ERR_CONFIG, "No such file");
	flags.config = "";
	assert_refused(load_as(a_user(), everything, &flags), ERR_USAGE, "'--config' got no value");
	assert_int_equal(loaded("HOME=@/home\nPIXELVAULT_CONFIG=\n")->rate, 72);
}

static void settings__a_flag_is_stronger_than_environment_than_file_than_default(void **state)
{
	(void)state;
	struct settings_flags flags = { .vault = "/flag/v.db" };
	const struct outcome *o =
		load_as(a_user(), "HOME=/h\nPIXELVAULT_CONFIG=@/paths.ini\nPIXELVAULT_VAULT=/env/v.db\n", &flags);
	assert_true(o->is_loaded);
	assert_string_equal(o->settings.vault_path, "/flag/v.db");
	assert_true(o->settings.vault_is_explicit);
	const struct settings *s = loaded("HOME=/h\nPIXELVAULT_CONFIG=@/paths.ini\nPIXELVAULT_VAULT=/env/v.db\n");
	assert_string_equal(s->vault_path, "/env/v.db");
	assert_true(s->vault_is_explicit);
	s = loaded("HOME=/h\nPIXELVAULT_CONFIG=@/paths.ini\nPIXELVAULT_VAULT=\n");
	assert_string_equal(s->vault_path, "/file/v.db");
	assert_false(s->vault_is_explicit);
	s = loaded("HOME=/h\n" QUIET);
	assert_string_equal(s->vault_path, "/h/.local/share/pixelvault/vault.db");
}

static void settings__each_variable_is_stronger_than_the_file(void **state)
{
	(void)state;
	const struct settings *s = loaded("PIXELVAULT_CONFIG=@/paths.ini\nPIXELVAULT_STATE=/env/state/\n"
					  "PIXELVAULT_KEY_FILE=/env/key\nPIXELVAULT_SOCKET=/env/sock\n"
					  "PIXELVAULT_PASSPHRASE_FILE=/env/pass\n");
	assert_string_equal(s->state_dir, "/env/state");
	assert_string_equal(s->key_file, "/env/key");
	assert_string_equal(s->socket, "/env/sock");
	assert_string_equal(s->passphrase_file, "/env/pass");
	s = loaded("PIXELVAULT_CONFIG=@/paths.ini\nPIXELVAULT_STATE=\nPIXELVAULT_KEY_FILE=\nPIXELVAULT_SOCKET=\n");
	assert_string_equal(s->state_dir, "/file-state");
	assert_string_equal(s->key_file, "/file/key");
	assert_string_equal(s->socket, "/file/sock");
}

static void settings__relative_paths_of_flag_and_environment_start_here(void **state)
{
	(void)state;
	struct settings_flags flags = { .vault = "sub/v.db" };
	const struct outcome *o =
		load_as(a_user(), QUIET "HOME=/h\nPIXELVAULT_STATE=state\nPIXELVAULT_KEY_FILE=../key\n", &flags);
	assert_true(o->is_loaded);
	assert_string_equal(o->settings.vault_path, in_folder("/sub/v.db"));
	assert_string_equal(o->settings.state_dir, in_folder("/state"));
	assert_string_equal(o->settings.key_file, in_folder("/../key"));
}

static void settings__a_vault_that_is_a_folder_or_nothing_is_refused(void **state)
{
	(void)state;
	static const char *const folders[] = { "sub", "sub/", ".", "..", "sub/.", "sub/..", "/", "sub/missing/" };
	struct settings_flags flags = { .vault = "" };
	assert_refused(load_as(a_user(), QUIET "HOME=/h\n", &flags), ERR_USAGE, "'--vault' got no value");
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		char variables[256];
		flags.vault = folders[i];
		assert_refused(load_as(a_user(), QUIET "HOME=/h\n", &flags), ERR_USAGE, "--vault: ");
		snprintf(variables, sizeof variables, QUIET "HOME=/h\nPIXELVAULT_VAULT=%s\n", folders[i]);
		assert_refused(load_as(a_user(), variables, NULL), ERR_CONFIG, "PIXELVAULT_VAULT: ");
	}
	put(in_folder("/folder.ini"), "[vault]\npath = /tmp\n");
	assert_refused(load_as(a_user(), "HOME=/h\nPIXELVAULT_CONFIG=@/folder.ini\n", NULL), ERR_CONFIG,
		       "/folder.ini:2: the vault's path names a folder");
}

static void settings__bad_values_of_the_environment_are_refused(void **state)
{
	(void)state;
	char variables[8192] = QUIET "HOME=/h\nPIXELVAULT_SOCKET=/", deep[4300];
	memset(variables + strlen(variables), 'x', 107);
	assert_refused(load_as(a_user(), variables, NULL), ERR_CONFIG,
		       "PIXELVAULT_SOCKET: must be an absolute path of at most 107");
	assert_refused(load_as(a_user(), QUIET "HOME=/h\nPIXELVAULT_KEY_FILE=/k/\n", NULL), ERR_CONFIG,
		       "PIXELVAULT_KEY_FILE: ");
	memset(deep, 'x', sizeof deep - 1);
	deep[0] = '/';
	deep[sizeof deep - 1] = '\0';
	struct settings_flags flags = { .vault = deep };
	assert_refused(load_as(a_user(), QUIET "HOME=/h\n", &flags), ERR_CONFIG, "too long");
}

static void settings__the_state_folder_stays_out_of_the_vaults_folder(void **state)
{
	(void)state;
	static const struct {
		const char *vault, *state;
		bool is_fine;
	} rows[] = {
		{ "@/sub/v.db", "@/sub", false },
		{ "@/sub/v.db", "@/sub/", false },
		{ "@/sub/v.db", "@/sub/state", false },
		{ "@/sub/v.db", "@/sub/not/yet/there", false },
		{ "@/sub/v.db", "@/other/../sub/state", false },
		{ "@/sub/v.db", "@/missing/../sub/./state", false },
		{ "@/sub/v.db", "@/link", false },
		{ "@/sub/v.db", "@/link/state", false },
		{ "@/link/v.db", "@/sub/state", false },
		{ "@/missing/v.db", "@/missing", false },
		{ "@/missing/v.db", "@/missing/state", false },
		{ "@/missing/a/../v.db", "@/missing/state", false },
		{ "/v.db", "/state", false },
		{ "sub/v.db", "sub/state", false },
		{ "@/sub/v.db", "@/sub-state", true },
		{ "@/sub/v.db", "@/state", true },
		{ "@/sub/v.db", "@", true },
		{ "@/sub/v.db", "/", true },
		{ "@/sub/v.db", "@/sub/../state", true },
		{ "@/link/v.db", "@/link-state", true },
		{ "@/missing/v.db", "@/missin", true },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char variables[512];
		snprintf(variables, sizeof variables, QUIET "HOME=/h\nPIXELVAULT_VAULT=%s\nPIXELVAULT_STATE=%s\n",
			 rows[i].vault, rows[i].state);
		const struct outcome *o = load_as(a_user(), variables, NULL);
		if (o->is_loaded != rows[i].is_fine)
			fail_msg("vault %s, state %s", rows[i].vault, rows[i].state);
		if (!rows[i].is_fine)
			assert_refused(o, ERR_CONFIG, "PIXELVAULT_STATE: the state folder lies inside");
	}
	put(in_folder("/inside.ini"), "[check]\nrate = 1\n[vault]\npath = /a/v.db\nstate-dir = /a/state\n");
	assert_refused(load_as(a_user(), "PIXELVAULT_CONFIG=@/inside.ini\n", NULL), ERR_CONFIG,
		       "/inside.ini:5: the state folder");
	struct settings_flags flags = { .vault = "/h/v.db" };
	assert_refused(load_as(a_user(), QUIET "HOME=/h\n", &flags), ERR_CONFIG, "--vault: the state folder");
}

static void settings__everything_a_file_can_say_is_read(void **state)
{
	(void)state;
	put(in_folder("/all.ini"), "[vault]\npath = /srv/pv/v.db\nstate-dir = /srv/pv-state\nkey-file = /srv/key\n"
				   "credential = pv-key\naudit-reads = durable\n"
				   "[agent]\nsocket = /run/x.sock\nuser = pixelvault\ngroup = 1001\n"
				   "require-locked-memory = false\nstatus-listen = [::1]:9187\n"
				   "[check]\ninterval = 1s\nrate = 100000\nin-flight = 256\nconfirm-delay = 0s\n"
				   "expiry-warning = 1d 2h 3650d 5m 6s 7d\t8h 9d\nmax-age = 90d\nprobe = test\n"
				   "[tiktok]\nbase-url = https://localhost:65535/a-b/~c/v2\nca-file = /srv/ca.pem\n"
				   "connect-timeout = 1s\ntimeout = 60s\n");
	const struct settings *s = loaded("PIXELVAULT_CONFIG=@/all.ini\n");
	assert_string_equal(s->vault_path, "/srv/pv/v.db");
	assert_string_equal(s->state_dir, "/srv/pv-state");
	assert_string_equal(s->key_file, "/srv/key");
	assert_string_equal(s->credential, "pv-key");
	assert_true(s->audit_reads_durable);
	assert_string_equal(s->socket, "/run/x.sock");
	assert_string_equal(s->user, "pixelvault");
	assert_string_equal(s->group, "1001");
	assert_false(s->require_locked_memory);
	assert_string_equal(s->status_listen, "[::1]:9187");
	assert_int_equal(s->interval_s, 1);
	assert_int_equal(s->rate, 100000);
	assert_int_equal(s->in_flight, 256);
	assert_int_equal(s->confirm_delay_s, 0);
	static const int64_t steps[SETTINGS_EXPIRY_STEPS] = { 315360000, 777600, 604800, 86400, 28800, 7200, 300, 6 };
	assert_memory_equal(s->expiry_warning_s, steps, sizeof steps);
	assert_int_equal(s->max_age_s, 7776000);
	assert_int_equal(s->probe, PROBE_CHOICE_TEST);
	assert_string_equal(s->base_url, "https://localhost:65535/a-b/~c/v2");
	assert_string_equal(s->ca_file, "/srv/ca.pem");
	assert_int_equal(s->connect_timeout_ms, 1000);
	assert_int_equal(s->timeout_ms, 60000);
}

static void settings__values_at_the_ends_of_their_range_are_accepted(void **state)
{
	(void)state;
	static const struct {
		const char *section, *key, *values[8];
	} rows[] = {
		{ "agent", "require-locked-memory", { "yes", "no", "true", "false" } },
		{ "agent", "status-listen", { "localhost:1", "127.0.0.1:65535", "[::1]:80" } },
		{ "check", "interval", { "1s", "90d", "7776000s", "2160h", "1m" } },
		{ "check", "rate", { "1", "100000" } },
		{ "check", "in-flight", { "1", "256" } },
		{ "check", "confirm-delay", { "0", "0s", "1d", "86400s", "24h" } },
		{ "check", "expiry-warning", { "0", "1s", "3650d", "8d 7d 6d 5d 4d 3d 2d 1d" } },
		{ "check", "max-age", { "0", "1s", "3650d" } },
		{ "check", "probe", { "dry", "test" } },
		{ "vault", "audit-reads", { "written", "durable" } },
		{ "tiktok", "connect-timeout", { "1s", "60s", "1m" } },
		{ "tiktok", "timeout", { "1s", "60s" } },
		{ "tiktok",
		  "base-url",
		  { "https://h/v1", "https://h:1/v1.3", "https://127.0.0.1:8443/open_api/v1.3",
		    "https://[::1]:8443/v1.3", "https://a.b-c.example/x/y/z/v10.20.30" } },
		{ "alert a", "type = syslog\nremind", { "0", "1m", "90d" } },
		{ "alert a", "type = syslog\nmin-severity", { "info", "warning", "critical" } },
		{ "alert a",
		  "type = webhook\nurl",
		  { "https://h", "https://h/", "https://h:1/x?y=z@w", "https://h?x" } },
		{ "alert a",
		  "type = email\nurl = smtps://mail.example:465\nto",
		  { "a@b", "ops+pv@example.com x@y.z" } },
		{ "alert a", "type = email\nto = a@b\nurl = smtp://127.0.0.1:2525\ntls", { "starttls", "none" } },
		{ "alert a", "type = slack\nurl-file", { "/etc/pixelvault/slack.url" } },
		{ "alert a", "type = webhook\nurl = https://h/\nsecret-file", { "/etc/pixelvault/hmac" } },
		{ "alert a", "type = ping\nca-file = /x\nurl", { "https://hc-ping.com/uuid" } },
		{ "alert a", "type = syslog\nsocket", { "/dev/log", "/run/systemd/journal/socket" } },
		{ "alert a", "type = exec\ncommand = /bin/true\ntime-limit", { "1s", "60s", "1m" } },
		{ "alert a", "type = exec\ncommand", { "/bin/true", "/usr/bin/page --team ops x" } },
		{ "access a", "verbs = read\npixels = *\nuser", { "app", "app-1", "www_data", "0", "65533", "65535" } },
		{ "access a", "verbs = read\nuser = x\npixels", { "*", "C9ABCDEF", "C9ABCDEF 0123456789ABCDEFGHIJ" } },
		{ "access a", "verbs = read\nuser = x\nlabels", { "a=b", "brand=M\xc3\xbcller team.x_y-1=2" } },
		{ "access a", "pixels = *\nuser = x\nverbs", { "meta", "read", "meta read report put admin" } },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t n = 0; n < COUNT_OF(rows[i].values) && rows[i].values[n]; n++) {
			char text[512];
			snprintf(text, sizeof text, "[%s]\n%s = %s\n", rows[i].section, rows[i].key, rows[i].values[n]);
			put(in_folder("/ends.ini"), text);
			const struct outcome *o = load_as(a_user(), "HOME=/h\nPIXELVAULT_CONFIG=@/ends.ini\n", NULL);
			if (!o->is_loaded)
				fail_msg("%s: %s", text, o->err.message);
		}
}

static void settings__each_row_has_what_reader_show_and_manual_need(void **state)
{
	(void)state;
	size_t count;
	const struct settings_row *rows = settings_rows(&count);
	struct config_key keys[SETTINGS_KEYS_MAX];
	size_t key_count = settings_keys(keys), in_file = 0;
	assert_int_equal(count, 46);
	for (size_t i = 0; i < count; i++) {
		assert_true(rows[i].wanted && rows[i].hint && rows[i].parse);
		assert_true(strlen(rows[i].hint) < sizeof((struct error *)NULL)->hint);
		assert_true(!rows[i].fallback || rows[i].parse(&rows[i], rows[i].fallback, NULL));
		assert_false(rows[i].parse(&rows[i], "\x01", NULL));
		in_file += !rows[i].is_never_in_file;
	}
	assert_int_equal(key_count, in_file);
	for (size_t i = 0; i < key_count; i++)
		assert_string_not_equal(keys[i].key, "passphrase-file");
}

static void settings__what_is_shown_names_each_value_and_where_it_came_from(void **state)
{
	(void)state;
	put(in_folder("/shown.ini"), "[check]\n\nrate = 7\n[alert ops]\ntype = slack\n"
				     "url = https://hooks.slack.com/services/T0/B0/verysecret\n"
				     "[access app]\nuser = app\nverbs = read\npixels = *\n");
	struct settings_flags flags = { .vault = "/flag/v.db" };
	const struct outcome *o =
		load_as(a_user(), "HOME=/h\nPIXELVAULT_CONFIG=@/shown.ini\nPIXELVAULT_KEY_FILE=/env/key\n", &flags);
	assert_true(o->is_loaded);
	static const char *const lines[] = {
		"vault.path = /flag/v.db  # --vault\n",
		"vault.state-dir = /h/.local/state/pixelvault  # default\n",
		"vault.key-file = /env/key  # PIXELVAULT_KEY_FILE\n",
		"vault.credential =  # not set\n",
		"check.interval = 6h  # default\n",
		"check.confirm-delay =  # not set\n",
		"alert.ops.url = https://hooks.slack.com/...  # ",
		"access.app.verbs = read  # ",
	};
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		if (!strstr(o->shown, lines[i]))
			fail_msg("no line %s in\n%s", lines[i], o->shown);
	char line[256];
	snprintf(line, sizeof line, "check.rate = 7  # %s:3\n", in_folder("/shown.ini"));
	assert_non_null(strstr(o->shown, line));
	assert_null(strstr(o->shown, "verysecret"));
}

static void settings__the_same_is_shown_as_json(void **state)
{
	(void)state;
	struct settings s;
	struct error err;
	const char *why = "";
	struct buf text = BUF_INIT(65536);
	struct json j = JSON_INIT(&text);
	put(in_folder("/json.ini"), "[check]\nrate = 7\n[alert ops]\ntype = webhook\nurl = https://h/secret?x\n");
	struct settings_flags flags = { .vault = "/flag/v.db", .config = in_folder("/json.ini") };
	setenv("HOME", "/h", 1);
	assert_true(settings_load(&flags, &s, &err));
	json_object(&j, NULL);
	settings_show_json(&s, &j);
	json_end_object(&j);
	assert_true(buf_ok(&text, &err));
	assert_true(json_check(buf_bytes(&text), (struct json_limits){ 4, 1000 }, &why));
	buf_append(&text, "", 1);
	assert_non_null(strstr((char *)text.at, "{\"section\":\"vault\",\"name\":null,\"key\":\"path\","
						"\"value\":\"/flag/v.db\",\"source\":\"--vault\"}"));
	assert_non_null(strstr((char *)text.at, "\"key\":\"credential\",\"value\":null,\"source\":\"not set\"}"));
	assert_non_null(strstr((char *)text.at,
			       "{\"section\":\"alert\",\"name\":\"ops\",\"key\":\"url\",\"value\":\"https://h/...\""));
	assert_null(strstr((char *)text.at, "secret"));
	buf_done(&text);
	settings_done(&s);
}

static void make_folder(const char *rest)
{
	assert_int_equal(mkdir(in_folder(rest), 0755), 0);
}

static int enter(void **state)
{
	(void)state;
	umask(022);
	outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED || !mkdtemp(folder) || chmod(folder, 0755) != 0 || chdir(folder) != 0)
		return -1;
	static const char *const folders[] = {
		"/sub", "/other", "/config", "/config/pixelvault", "/home", "/home/.config", "/home/.config/pixelvault"
	};
	for (size_t i = 0; i < COUNT_OF(folders); i++)
		make_folder(folders[i]);
	put(in_folder("/empty.ini"), "");
	put(in_folder("/config/pixelvault/pixelvault.ini"), "[check]\nrate = 71\nin-flight = 99\n");
	put(in_folder("/home/.config/pixelvault/pixelvault.ini"), "[check]\nrate = 72\n");
	put(in_folder("/some.ini"), "[check]\nrate = 73\n");
	put(in_folder("/other.ini"), "[check]\nrate = 74\n");
	put(in_folder("/paths.ini"), "[vault]\npath = /file/v.db\nstate-dir = /file-state\nkey-file = /file/key\n"
				     "[agent]\nsocket = /file/sock\n");
	return symlink("sub", "link");
}

static int leave(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings__without_anything_said_the_documented_values_hold),
		cmocka_unit_test(settings__paths_of_a_user_follow_home),
		cmocka_unit_test(settings__paths_of_a_user_follow_xdg),
		cmocka_unit_test(settings__xdg_values_that_are_empty_or_not_absolute_are_ignored),
		cmocka_unit_test(settings__without_a_home_the_paths_must_be_said),
		cmocka_unit_test(settings__paths_of_root_are_the_systems),
		cmocka_unit_test(settings__the_users_file_is_read_from_xdg_or_home),
		cmocka_unit_test(settings__root_reads_no_users_file),
		cmocka_unit_test(settings__a_file_that_was_named_is_required_and_read_alone),
		cmocka_unit_test(settings__a_flag_is_stronger_than_environment_than_file_than_default),
		cmocka_unit_test(settings__each_variable_is_stronger_than_the_file),
		cmocka_unit_test(settings__relative_paths_of_flag_and_environment_start_here),
		cmocka_unit_test(settings__a_vault_that_is_a_folder_or_nothing_is_refused),
		cmocka_unit_test(settings__bad_values_of_the_environment_are_refused),
		cmocka_unit_test(settings__the_state_folder_stays_out_of_the_vaults_folder),
		cmocka_unit_test(settings__everything_a_file_can_say_is_read),
		cmocka_unit_test(settings__values_at_the_ends_of_their_range_are_accepted),
		cmocka_unit_test(settings__each_row_has_what_reader_show_and_manual_need),
		cmocka_unit_test(settings__what_is_shown_names_each_value_and_where_it_came_from),
		cmocka_unit_test(settings__the_same_is_shown_as_json),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
