/* scan: where do tokens of this vault lie in clear? Reads files and environments, asks nobody, shows no token. The
 * vault is opened directly: an agent gives tokens to whom they are for, one at a time, and not all of them to a search.
 */
#include "cli/output.h"
#include "cli/scanner.h"
#include "cli/text.h"
#include "core/file.h"
#include "vault/grant.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fts.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PLACES_PER_STREAM 100 /* more of one file are counted only */
#define NAMES_BYTES_MAX ((size_t)64 << 20)
#define VARIABLE_MAX 128

enum what { WHAT_TOKEN, WHAT_REFRESH_TOKEN, WHAT_CLIENT_SECRET };

struct target {
	char pixel[PIXEL_CODE_MAX + 1]; /* or a listing's name */
	uint32_t version;
	enum stage stage;
	enum what what;
};

struct scan {
	struct invocation *inv;
	struct scanner *scanner;
	struct buf targets; /* struct target */
	struct buf pixels;  /* codes and names of listings, while they are collected */
	struct buf secrets; /* fingerprints of client secrets: an app has one for all of its pairs */
	struct json json;
	const char *path; /* of the stream that is looked at */
	bool is_environment;
	size_t places; /* in it */
	uint64_t found, files, bytes, unreadable, foreign;
	struct buf unread, git; /* paths, each with its NUL */
};

static void scan_done(struct scan *s)
{
	scanner_freep(&s->scanner);
	buf_done(&s->targets);
	buf_done(&s->pixels);
	buf_done(&s->secrets);
	buf_done(&s->unread);
	buf_done(&s->git);
}

/* ---- the tokens ---- */

static bool note_pixel(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct scan *s = context;
	(void)h;
	if (!c->is_destroyed)
		buf_append(&s->pixels, c->pixel, sizeof c->pixel);
	return buf_ok(&s->pixels, err);
}

static bool add_target(struct scan *s, const struct credential *c, const struct version *v, enum what what,
		       const struct secret *secret, struct error *err)
{
	struct target target = { .version = v->number, .stage = v->stage, .what = what };
	uint32_t tag = (uint32_t)(s->targets.len / sizeof target);
	memcpy(target.pixel, c->pixel, sizeof target.pixel);
	buf_append(&s->targets, &target, sizeof target);
	return buf_ok(&s->targets, err) && scanner_add(s->scanner, secret, tag, err);
}

static bool add_token(struct scan *s, const struct credential *c, const struct version *v, struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL;
	return vault_token(s->inv->vault, c, v, "scan", &token, err) && add_target(s, c, v, WHAT_TOKEN, token, err);
}

static bool is_new_secret(struct scan *s, struct bytes secret)
{
	uint8_t own[FINGERPRINT_LEN];
	vault_fingerprint_bytes(s->inv->vault, secret, own);
	for (size_t at = 0; at < s->secrets.len; at += sizeof own)
		if (memcmp(s->secrets.at + at, own, sizeof own) == 0)
			return false;
	buf_append(&s->secrets, own, sizeof own);
	return true;
}

/* What renews a token is worth more than the token. */
static bool add_grant(struct scan *s, const struct credential *c, const struct version *v, struct error *err)
{
	scoped(secret_freep) struct secret *packed = NULL, *refresh_token = NULL, *client_secret = NULL;
	struct grant grant;
	if (!vault_grant(s->inv->vault, c, v, "scan", &packed, err))
		return false;
	if (!grant_open(secret_reveal(packed), &grant))
		return true; /* verify tells of it */
	if (!secret_copy(grant.refresh_token, &refresh_token, err) ||
	    !secret_copy(grant.client_secret, &client_secret, err) ||
	    !add_target(s, c, v, WHAT_REFRESH_TOKEN, refresh_token, err))
		return false;
	return !is_new_secret(s, grant.client_secret) || add_target(s, c, v, WHAT_CLIENT_SECRET, client_secret, err);
}

static bool add_pixel(struct scan *s, const char *pixel, struct error *err)
{
	struct credential c;
	if (!vault_find(s->inv->vault, pixel, true, &c, err))
		return false;
	for (size_t i = 0; i < c.version_count; i++)
		if ((version_has_token(&c.versions[i]) && !add_token(s, &c, &c.versions[i], err)) ||
		    (version_has_grant(&c.versions[i]) && !add_grant(s, &c, &c.versions[i], err)))
			return false;
	return true;
}

static bool learn_tokens(struct scan *s, struct error *err)
{
	if (!scanner_new(&s->scanner, err) || !vault_each(s->inv->vault, false, true, note_pixel, s, err) ||
	    !vault_list_names(s->inv->vault, &s->pixels, err))
		return false;
	for (size_t at = 0; at < s->pixels.len; at += PIXEL_CODE_MAX + 1)
		if (!add_pixel(s, (const char *)s->pixels.at + at, err))
			return false;
	return scanner_prepare(s->scanner, err);
}

/* ---- what is found ---- */

/* "NAME" of the NAME=value that the find lies in; "" where it is too far back. */
static void variable_of(struct bytes before, char ret[VARIABLE_MAX])
{
	const uint8_t *start = before.len ? memrchr(before.at, '\0', before.len) : NULL;
	start = start ? start + 1 : before.at;
	size_t len = before.len - (size_t)(start - before.at);
	const uint8_t *equals = len ? memchr(start, '=', len) : NULL;
	size_t name = equals ? (size_t)(equals - start) : 0;
	ret[0] = '\0';
	if (!name || name >= VARIABLE_MAX)
		return;
	memcpy(ret, start, name);
	ret[name] = '\0';
	/* A name is of letters; anything else may be the value of another, and is not repeated. */
	for (size_t i = 0; i < name; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", ret[i]))
			ret[0] = '\0';
}

static const char *form_name(enum scan_form form)
{
	static const char *const names[] = {
		[SCAN_PLAIN] = "plain", [SCAN_URL] = "url", [SCAN_BASE64] = "base64", [SCAN_UTF16] = "utf-16"
	};
	return names[form];
}

static const char *what_name(enum what what)
{
	static const char *const names[] = {
		[WHAT_TOKEN] = "token", [WHAT_REFRESH_TOKEN] = "refresh-token", [WHAT_CLIENT_SECRET] = "client-secret"
	};
	return names[what];
}

static const char *what_words(enum what what)
{
	static const char *const words[] = { [WHAT_TOKEN] = "",
					     [WHAT_REFRESH_TOKEN] = ", its refresh token",
					     [WHAT_CLIENT_SECRET] = ", its client secret" };
	return words[what];
}

static void add_object(struct scan *s, const struct scan_found *f, const struct target *t, const char *variable)
{
	json_object(&s->json, NULL);
	json_text(&s->json, "path", s->path);
	if (s->is_environment)
		json_null(&s->json, "line");
	else
		json_int(&s->json, "line", (int64_t)f->line);
	json_int(&s->json, "offset", (int64_t)f->offset);
	json_text(&s->json, "variable", variable[0] ? variable : NULL);
	json_text(&s->json, "pixel", name_is_list(t->pixel) ? NULL : t->pixel);
	json_text(&s->json, "listing", name_is_list(t->pixel) ? t->pixel : NULL);
	json_text(&s->json, "what", what_name(t->what));
	json_int(&s->json, "version", t->version);
	json_text(&s->json, "stage", stage_name(t->stage));
	json_text(&s->json, "form", form_name(f->form));
	json_end_object(&s->json);
}

/* A name is data of strangers: what a terminal would act on becomes '?'. */
static void print_path(struct buf *out, const char *path)
{
	for (; *path; path++) {
		char c = (unsigned char)*path < ' ' || *path == 127 ? '?' : *path;
		buf_append(out, &c, 1);
	}
}

static void on_found(void *context, const struct scan_found *f)
{
	struct scan *s = context;
	char variable[VARIABLE_MAX] = "";
	const struct target *t = (const struct target *)(const void *)s->targets.at + f->tag;
	s->found++;
	if (s->places++ >= PLACES_PER_STREAM)
		return;
	if (s->is_environment)
		variable_of(f->before, variable);
	if (s->inv->globals.json) {
		add_object(s, f, t, variable);
		return;
	}
	print_path(&s->inv->out, s->path);
	if (s->is_environment)
		buf_printf(&s->inv->out, "%s%s", variable[0] ? ":" : "", variable);
	else
		buf_printf(&s->inv->out, ":%llu", (unsigned long long)f->line);
	buf_printf(&s->inv->out, ": %s v%u %s%s%s%s\n", t->pixel, t->version, stage_name(t->stage), what_words(t->what),
		   f->form == SCAN_PLAIN ? "" : ", as ", f->form == SCAN_PLAIN ? "" : form_name(f->form));
}

/* ---- streams ---- */

static void note_unread(struct scan *s, const char *path, const char *why)
{
	s->unreadable++;
	say_problem(s->inv, NULL, SAY_SCAN_UNREAD, path, why);
	if (s->inv->globals.json)
		buf_append(&s->unread, path, strlen(path) + 1);
}

/* False: it could not be read to its end; errno says why. */
static bool scan_fd(struct scan *s, int fd, const char *path)
{
	s->path = path;
	s->places = 0;
	scanner_begin(s->scanner);
	for (;;) {
		size_t room;
		uint8_t *at = scanner_room(s->scanner, &room);
		ssize_t got = read(fd, at, room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			s->path = NULL;
			return got == 0;
		}
		s->bytes += (uint64_t)got;
		scanner_take(s->scanner, (size_t)got, on_found, s);
	}
}

static void tell_more(struct scan *s, const char *path)
{
	if (s->places > PLACES_PER_STREAM)
		say_problem(s->inv, NULL, SAY_SCAN_MORE, path, s->places - PLACES_PER_STREAM);
}

/* A link is followed only where it was named on the command line. */
static void scan_file(struct scan *s, const char *path, const char *access_path, bool is_named)
{
	struct stat st;
	scoped(file_closep) int fd =
		open(access_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (is_named ? 0 : O_NOFOLLOW));
	if (fd < 0 || fstat(fd, &st) != 0) {
		note_unread(s, path, strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode))
		return;
	s->files++;
	if (!scan_fd(s, fd, path))
		note_unread(s, path, strerror(errno));
	tell_more(s, path);
}

/* ---- folders ---- */

static bool is_excluded(const struct invocation *inv, const FTSENT *e)
{
	size_t i = 0;
	for (const struct given *g; (g = option_next(inv, "exclude", &i));)
		if (fnmatch(g->text, e->fts_name, 0) == 0 || fnmatch(g->text, e->fts_path, 0) == 0)
			return true;
	return false;
}

/* What git keeps is compressed: its folder of objects, beside HEAD. */
static bool is_git(const FTSENT *e)
{
	char head[PATH_MAX];
	if (strcmp(e->fts_name, "objects") != 0)
		return false;
	int len = snprintf(head, sizeof head, "%s/../HEAD", e->fts_accpath);
	return len > 0 && (size_t)len < sizeof head && access(head, F_OK) == 0;
}

/* The kernel's own files are no place where a token lies, and some of them never end. */
static bool is_of_kernel(const FTSENT *e)
{
	struct statfs fs;
	if (e->fts_level > 0 && e->fts_parent->fts_dev == e->fts_dev)
		return false;
	return statfs(e->fts_accpath, &fs) == 0 && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC);
}

static void look_at_folder(struct scan *s, FTS *tree, FTSENT *e)
{
	if (is_excluded(s->inv, e) || is_of_kernel(e)) {
		fts_set(tree, e, FTS_SKIP);
	} else if (is_git(e)) {
		fts_set(tree, e, FTS_SKIP);
		buf_append(&s->git, e->fts_path, strlen(e->fts_path) + 1);
		say(s->inv, SAY_SCAN_GIT, e->fts_path, e->fts_path);
	}
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Named on the command line, so somebody thinks that it was looked into. */
static void note_odd(struct scan *s, const FTSENT *e)
{
	if (e->fts_info == FTS_SLNONE || e->fts_info == FTS_SL)
		note_unread(s, e->fts_path, "the link leads nowhere");
	else if (e->fts_info == FTS_DEFAULT)
		note_unread(s, e->fts_path, "it is no plain file and no folder; '-' reads standard input");
}

static bool scan_tree(struct scan *s, char *path, struct error *err)
{
	char *const roots[] = { path, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	if (!tree)
		return fail_no_memory(err);
	for (FTSENT *e; errno = 0, (e = fts_read(tree));) {
		if (e->fts_info == FTS_D)
			look_at_folder(s, tree, e);
		else if (e->fts_info == FTS_F && !is_excluded(s->inv, e))
			scan_file(s, e->fts_path, e->fts_accpath, e->fts_level == 0);
		else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			note_unread(s, e->fts_path, strerror(e->fts_errno));
		else if (e->fts_level == 0)
			note_odd(s, e);
	}
	int why = errno; /* 0: at its end */
	fts_close(tree);
	if (why == ENOMEM)
		return fail_no_memory(err);
	if (why)
		note_unread(s, path, strerror(why));
	return true;
}

/* ---- environments ---- */

static void scan_process(struct scan *s, const char *pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
	scoped(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Others' environments are closed to all but root, and a process may end any time. */
	if (fd < 0 || !scan_fd(s, fd, path))
		s->foreign += errno == EACCES || errno == EPERM;
	else
		tell_more(s, path);
}

static bool scan_environments(struct scan *s, struct error *err)
{
	DIR *folder = opendir("/proc");
	if (!folder)
		return fail(err, ERR_UNEXPECTED, TXT_SCAN_PROC, strerror(errno));
	s->is_environment = true;
	for (const struct dirent *e; (e = readdir(folder));)
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			scan_process(s, e->d_name);
	s->is_environment = false;
	closedir(folder);
	if (s->foreign)
		say(s->inv, SAY_SCAN_FOREIGN, (unsigned long long)s->foreign, s->foreign == 1 ? "" : "es",
		    geteuid() == 0 ? SAY_SCAN_NOT_ROOT_EITHER : SAY_SCAN_AS_ROOT);
	return true;
}

/* ---- all of it ---- */

static bool scan_all(struct scan *s, struct error *err)
{
	for (size_t i = 0; i < s->inv->arg_count; i++) {
		char *path = s->inv->args[i];
		bool is_stdin = strcmp(path, "-") == 0;
		if (is_stdin && !scan_fd(s, STDIN_FILENO, path))
			note_unread(s, path, strerror(errno));
		if (is_stdin)
			tell_more(s, path);
		else if (!scan_tree(s, path, err))
			return false;
	}
	return !option_is_given(s->inv, "environ") || scan_environments(s, err);
}

static void add_names(struct json *j, const char *key, const struct buf *names)
{
	json_array(j, key);
	for (size_t at = 0; at < names->len; at += strlen((const char *)names->at + at) + 1)
		json_text(j, NULL, (const char *)names->at + at);
	json_end_array(j);
}

static void end_json(struct scan *s)
{
	struct json *j = &s->json;
	json_end_array(j);
	json_int(j, "places", (int64_t)s->found);
	json_int(j, "files", (int64_t)s->files);
	json_int(j, "bytes", (int64_t)s->bytes);
	add_names(j, "unreadable", &s->unread);
	add_names(j, "compressed", &s->git);
	json_int(j, "foreign_processes", (int64_t)s->foreign);
	output_json_end(s->inv, j);
}

bool cmd_scan(struct invocation *inv, struct error *err)
{
	scoped(scan_done) struct scan s = { .inv = inv,
					    .targets = BUF_INIT(NAMES_BYTES_MAX),
					    .pixels = BUF_INIT(NAMES_BYTES_MAX),
					    .secrets = BUF_INIT(NAMES_BYTES_MAX),
					    .unread = BUF_INIT(NAMES_BYTES_MAX),
					    .git = BUF_INIT(NAMES_BYTES_MAX),
					    .json = JSON_INIT(&inv->out) };
	if (!inv->arg_count && !option_is_given(inv, "environ"))
		return fail(err, ERR_USAGE, TXT_SCAN_NOTHING);
	if (!learn_tokens(&s, err))
		return false;
	if (inv->globals.json) {
		output_json_begin(&s.json);
		json_array(&s.json, "found");
	}
	if (!scan_all(&s, err))
		return false;
	if (inv->globals.json)
		end_json(&s);
	else if (s.found)
		say_problem(inv, HINT_SCAN_FOUND, SAY_SCAN_FOUND, (unsigned long long)s.found, s.found == 1 ? "" : "s");
	inv->exit = s.found ? ERR_DUE : s.unreadable ? ERR_PARTIAL : 0;
	return true;
}
