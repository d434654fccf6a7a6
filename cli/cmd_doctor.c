/* doctor: looks at everything around the vault that commonly goes wrong, and says what to do about each. It changes
 * nothing and asks for no passphrase. More of it: cli/doctor_machine.c, cli/doctor_service.c. */
#include "agent/hook.h"
#include "agent/sinks.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCKED_BYTES_WANTED (1024u * 1024) /* the agent's arena */
#define CLOCK_LEAST INT64_C(1767225600)    /* 2026-01-01: this program is younger */
#define CLOCK_MOST INT64_C(4102444800)     /* 2100-01-01 */

void find(struct doctor *d, enum weight state, const char *about, const char *format, const char *fix, ...)
{
	static const char *const words[] = { [FINE] = "ok", [NOTE] = "note", [PROBLEM] = "problem" };
	char message[640];
	struct buf *out = &d->inv->out;
	va_list args;
	va_start(args, fix);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (state == FINE)
		fix = NULL;
	d->problems += state == PROBLEM;
	if (d->inv->globals.json) {
		json_object(&d->json, NULL);
		json_text(&d->json, "about", about);
		json_text(&d->json, "state", words[state]);
		json_text(&d->json, "message", message);
		json_text(&d->json, "fix", fix && *fix ? fix : NULL);
		json_end_object(&d->json);
		return;
	}
	if (state == FINE && d->inv->globals.quiet)
		return;
	buf_printf(out, "%-8s %s: %s\n", words[state], about, message);
	if (fix && *fix)
		buf_printf(out, "         fix: %s\n", fix);
}

void find_error(struct doctor *d, const char *about, const struct error *err)
{
	find(d, PROBLEM, about, "%s", err->hint, err->message);
}

/* ---- files ---- */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() || st->st_uid == 0;
}

static void look_at_folder(struct doctor *d, const char *about, const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		find(d, errno == ENOENT ? NOTE : PROBLEM, about, DOC_FOLDER_MISSING, path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		find(d, PROBLEM, about, DOC_NO_FOLDER, path);
	else if (!is_ours(&st))
		find(d, NOTE, about, DOC_FOLDER_FOREIGN, path, (unsigned)st.st_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		find_open(d, about, "chmod go-w", path, &st);
	else
		find(d, FINE, about, "%s", NULL, path);
}

static void look_at_vault(struct doctor *d)
{
	const char *path = d->settings->vault_path;
	char folder[PATH_MAX];
	struct stat st;
	struct error err;
	if (file_folder_of(path, folder, sizeof folder, &err))
		look_at_folder(d, "folder of the vault", folder);
	if (lstat(path, &st) != 0)
		find(d, errno == ENOENT ? PROBLEM : NOTE, "vault", DOC_NO_VAULT, path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		find(d, PROBLEM, "vault", DOC_VAULT_NO_FILE, path);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		find_open(d, "vault", "chmod 600", path, &st);
	else if (!is_ours(&st))
		find(d, NOTE, "vault", DOC_VAULT_FOREIGN, path, (unsigned)st.st_uid);
	else if (st.st_mtime > clock_wall() + 60)
		find(d, PROBLEM, "vault", DOC_VAULT_FUTURE, path);
	else
		find(d, FINE, "vault", "%s", NULL, path);
}

static void look_at_key(struct doctor *d)
{
	const char *path = d->settings->key_file;
	scoped(file_closep) int fd = -1;
	struct error err;
	struct stat st;
	if (!path[0]) {
		find(d, FINE, "key file", "%s", NULL, "none is configured");
	} else if (!file_open_trusted(path, true, ERR_LOCKED, &fd, &err)) {
		find_error(d, "key file", &err);
	} else if (fstat(fd, &st) != 0 || st.st_size != KEY_FILE_LEN) {
		find(d, PROBLEM, "key file", DOC_KEY_LENGTH, path, KEY_FILE_LEN);
	} else {
		find(d, FINE, "key file", "%s", NULL, path);
	}
}

/* ---- where alerts go: what is only found when one is sent ---- */

static bool file_is_good(const char *path, bool is_secret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	return !path[0] || file_open_trusted(path, is_secret, ERR_CONFIG, &fd, err);
}

static bool sink_is_good(const struct sink *s, struct error *err)
{
	char program[PATH_MAX];
	if (s->type == SINK_EXEC)
		return hook_find(s->command, program, err);
	return file_is_good(s->url_file, true, err) && file_is_good(s->secret_file, true, err) &&
	       file_is_good(s->password_file, true, err) &&
	       (!s->ca_file[0] || access(s->ca_file, R_OK) == 0 ||
		fail(err, ERR_CONFIG, TXT_DOCTOR_CA_FILE, s->ca_file, strerror(errno)));
}

static void look_at_sinks(struct doctor *d)
{
	struct sink *sinks = NULL;
	size_t count = 0;
	struct error err;
	if (!sinks_load(d->settings->config, &sinks, &count, &err)) {
		find_error(d, "alerts", &err);
		return;
	}
	if (!count)
		find(d, NOTE, "alerts", DOC_NOBODY_TOLD);
	for (size_t i = 0; i < count; i++) {
		char about[SINK_NAME_MAX + 8];
		snprintf(about, sizeof about, "alert %s", sinks[i].name);
		if (sink_is_good(&sinks[i], &err))
			find(d, FINE, about, "%s", NULL, sink_type_name(sinks[i].type));
		else
			find_error(d, about, &err);
	}
	free(sinks);
}

/* ---- the machine ---- */

bool read_small(const char *path, char ret[SMALL_FILE_MAX])
{
	scoped(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, ret, SMALL_FILE_MAX - 1);
	ret[got > 0 ? got : 0] = '\0';
	return got > 0;
}

static void look_at_memory(struct doctor *d)
{
	char text[SMALL_FILE_MAX];
	struct rlimit limit;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < LOCKED_BYTES_WANTED)
		find(d, geteuid() == 0 ? NOTE : PROBLEM, "locked memory", DOC_MEMLOCK,
		     (unsigned long)limit.rlim_cur / 1024);
	else
		find(d, FINE, "locked memory", "%s", NULL, "the limit is high enough");
	if (read_small("/proc/sys/kernel/core_pattern", text) && text[0] == '|')
		find(d, NOTE, "core dumps", DOC_CORE_PIPE);
	else
		find(d, FINE, "core dumps", "%s", NULL, "programs of ours leave none");
	doctor_look_at_machine(d);
}

static void look_at_clock(struct doctor *d)
{
	char text[CLOCK_TEXT_MAX], span[CLOCK_TEXT_MAX];
	int64_t now = clock_wall(), behind_s = 0;
	struct vault_place place = { .path = d->settings->vault_path, .state_dir = d->settings->state_dir };
	struct error ignored;
	/* Where there is no vault yet nothing is remembered; that it is missing is another finding. */
	if (place.path[0] && !vault_glance_at_clock(&place, &behind_s, &ignored))
		behind_s = 0;
	if (now < CLOCK_LEAST || now > CLOCK_MOST)
		find(d, PROBLEM, "clock", DOC_CLOCK, clock_format(now, text));
	else if (behind_s)
		find(d, PROBLEM, "clock", DOC_CLOCK_SUSPECT, clock_format(now, text), clock_format_span(behind_s, span));
	else
		find(d, FINE, "clock", "%s", NULL, clock_format(now, text));
}

/* Another product has a command of this name; whoever installs both should know which one answers. */
static void look_at_path(struct doctor *d)
{
	const char *rest = getenv("PATH");
	bool is_found = false;
	char ours[PATH_MAX];
	struct error unused;
	bool has_front = process_sibling("vault", ours, sizeof ours, &unused);
	while (rest && *rest) {
		char path[PATH_MAX];
		size_t len = strcspn(rest, ":");
		int put = snprintf(path, sizeof path, "%.*s/vault", (int)len, rest);
		if (len && put > 0 && (size_t)put < sizeof path && access(path, X_OK) == 0 && !(has_front && file_is_same(ours, path))) {
			find(d, NOTE, "other program", DOC_OTHER_VAULT, path);
			is_found = true;
		}
		rest += len + (rest[len] == ':');
	}
	if (!is_found)
		find(d, FINE, "other program", "%s", NULL, "no other 'vault' on PATH");
}

/* ---- the agent ---- */

static void look_at_health(struct doctor *d, struct bytes object)
{
	char layers[256], reason[320], version[32];
	member_text(object, "layers", layers, sizeof layers);
	member_text(object, "reason", reason, sizeof reason);
	member_text(object, "version", version, sizeof version);
	if (member_bool(object, "locked"))
		find(d, PROBLEM, "agent", DOC_AGENT_LOCKED, reason[0] ? ": " : "", reason);
	else if (member_bool(object, "degraded"))
		find(d, PROBLEM, "agent", DOC_AGENT_DEGRADED, reason[0] ? ": " : "", reason);
	else if (!member_bool(object, "ready"))
		find(d, PROBLEM, "agent", DOC_AGENT_NOT_READY, reason[0] ? ": " : "", reason);
	else
		find(d, FINE, "agent", "version %s at %s, %lld Pixels", NULL, version, d->settings->socket,
		     (long long)member_int(object, "pixels"));
	if (layers[0])
		find(d, strstr(layers, "no ") ? NOTE : FINE, "agent's protection", "%s", NULL, layers);
}

static void look_at_agent(struct doctor *d)
{
	const struct settings *s = d->settings;
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	struct error err;
	if (!client_open(s->socket, s->user, s->socket_is_told, &d->inv->agent, &err)) {
		find_error(d, "agent", &err);
		return;
	}
	if (!d->inv->agent) {
		find(d, s->socket_is_told ? NOTE : FINE, "agent", DOC_NO_AGENT, s->socket);
		return;
	}
	buf_append_text(&target, "/healthz");
	if (remote_order(d->inv->agent, "GET", &target, NULL, &body, &err))
		look_at_health(d, buf_bytes(&body));
	else
		find_error(d, "agent", &err);
	buf_done(&body);
	if (s->vault_is_explicit)
		find(d, NOTE, "agent", DOC_AGENT_PASSED_OVER);
}

/* ---- all of it ---- */

/* With a configuration that cannot be read there is no telling where things are. */
static bool load(struct doctor *d)
{
	struct settings_flags given = { .vault = d->inv->globals.vault, .config = d->inv->globals.config };
	struct error err;
	if (!settings_load(&given, d->settings, &err)) {
		find_error(d, "configuration", &err);
		return false;
	}
	find(d, FINE, "configuration", "%s", NULL, "in order");
	return true;
}

static void look_at_all(struct doctor *d)
{
	struct error err;
	bool is_loaded = load(d);
	if (is_loaded) {
		look_at_vault(d);
		look_at_folder(d, "state folder", d->settings->state_dir);
		look_at_key(d);
		look_at_sinks(d);
		doctor_look_at_files(d);
		doctor_look_at_backup(d);
		doctor_look_at_disks(d);
	}
	look_at_memory(d);
	look_at_clock(d);
	look_at_path(d);
	if (is_loaded && secret_arena_open(SECRET_ARENA_SMALL, &err)) {
		look_at_agent(d);
		doctor_look_at_plan(d);
		doctor_look_at_tiktok(d);
	}
}

bool cmd_doctor(struct invocation *inv, struct error *err)
{
	struct doctor d = { .inv = inv, .settings = calloc(1, sizeof *d.settings), .json = JSON_INIT(&inv->out) };
	if (!d.settings)
		return fail_no_memory(err);
	if (inv->globals.json) {
		output_json_begin(&d.json);
		json_array(&d.json, "findings");
	}
	look_at_all(&d);
	if (inv->globals.json) {
		json_end_array(&d.json);
		json_int(&d.json, "problems", (int64_t)d.problems);
		output_json_end(inv, &d.json);
	}
	settings_done(d.settings);
	free(d.settings);
	inv->exit = d.problems ? ERR_UNEXPECTED : 0;
	return true;
}
