#include "cli/front.h"

#include "agent/text.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "cli/text.h"
#include "core/file.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* ---- both ---- */

bool handout_fetch(struct invocation *inv, const struct handout_request *r, bool as_json, struct secret **ret,
		   struct error *err)
{
	struct remote_token told = { .body = NULL };
	/* Numbers begin at 1, and the protocol knows no other. */
	if (r->has_number && r->number == 0)
		return fail(err, ERR_NOT_FOUND, TXT_GET_NO_VERSION, r->pixel, r->number);
	if (!remote_get(inv->agent, r, as_json, &told, err))
		return false;
	if (verdict_is_bad(told.verdict))
		say(inv, SAY_NOT_HEALTHY, r->pixel, told.version, verdict_name(told.verdict), r->pixel);
	*ret = told.body;
	return true;
}

/* ---- get ---- */

struct handout_request get_request(const struct invocation *inv)
{
	const struct given *number = option_find(inv, "version");
	const char *reader = option_text(inv, "as");
	return (struct handout_request){ .pixel = inv->args[0],
					 .has_number = number != NULL,
					 .number = number ? (uint32_t)number->number : 0,
					 .is_previous = option_is_given(inv, "previous"),
					 .must_be_healthy = option_is_given(inv, "healthy"),
					 .reader = reader,
					 .is_look = !reader && isatty(STDOUT_FILENO),
					 .verb = "get",
					 .is_last = true };
}

bool get_print(struct invocation *inv, const struct secret *token, struct error *err)
{
	return output_write(inv, secret_reveal(token), err) &&
	       (!isatty(STDOUT_FILENO) || output_write(inv, bytes_of("\n", 1), err));
}

/* An object goes out as the agent wrote it, ended as all of ours are. */
bool get_fetch(struct invocation *inv, struct error *err)
{
	scoped(secret_freep) struct secret *body = NULL;
	struct handout_request request = get_request(inv);
	if (!handout_fetch(inv, &request, inv->globals.json, &body, err))
		return false;
	if (!inv->globals.json)
		return get_print(inv, body, err);
	struct bytes text = secret_reveal(body);
	bool is_ended = text.len && text.at[text.len - 1] == '\n';
	return output_write(inv, text, err) && (is_ended || output_write(inv, bytes_of("\n", 1), err));
}

/* ---- run ---- */

void bindings_done(struct bindings *b)
{
	for (size_t i = 0; i < b->count; i++) {
		secret_free(b->at[i].line);
		file_closep(&b->at[i].fd);
	}
	free(b->at);
	*b = (struct bindings){ .at = NULL };
}

/* The pieces joined, and the zero that ends an environment entry. */
static bool join_line(const char *name, struct bytes value, struct secret **ret, struct error *err)
{
	size_t name_len = strlen(name);
	if (!secret_new(name_len + 1 + value.len + 1, ret, err))
		return false;
	uint8_t *room = secret_room(*ret);
	memcpy(room, name, name_len);
	room[name_len] = '=';
	memcpy(room + name_len + 1, value.at, value.len);
	room[name_len + 1 + value.len] = '\0';
	return true;
}

/* Sealed: neither the child nor its children can change what they were given. Not close-on-exec, on purpose. */
static bool make_memory_file(const char *name, const struct secret *token, int *ret_fd, struct error *err)
{
	scoped(file_closep) int fd = memfd_create("pixelvault", MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("pixelvault", MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail(err, ERR_UNEXPECTED, TXT_MEMFD, name, strerror(errno));
	if (!file_write_all(fd, secret_reveal(token), name, err))
		return false;
	if (lseek(fd, 0, SEEK_SET) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_MEMFD, name, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return true;
}

static bool bind_one(struct invocation *inv, const struct given *g, bool is_last, token_fn *take_token,
		     struct binding *b, struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL;
	struct handout_request request = { .verb = "run", .is_last = is_last };
	char path[32];
	if (!option_split_binding(g->text, b->name, sizeof b->name, &request.pixel, err) ||
	    !take_token(inv, &request, &token, err))
		return false;
	if (strcmp(g->option->name, "file") != 0)
		return join_line(b->name, secret_reveal(token), &b->line, err);
	if (!make_memory_file(b->name, token, &b->fd, err))
		return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
	return join_line(b->name, bytes_of_text(path), &b->line, err);
}

static bool is_bound(const struct bindings *b, const char *name, size_t len)
{
	for (size_t i = 0; i < b->count; i++)
		if (strlen(b->at[i].name) == len && strncmp(b->at[i].name, name, len) == 0)
			return true;
	return false;
}

static size_t count_bindings(const struct invocation *inv)
{
	size_t count = 0;
	for (size_t i = 0; i < inv->given_count; i++)
		count += inv->given[i].option->kind == OPTION_BINDING;
	return count;
}

bool run_bind(struct invocation *inv, token_fn *take_token, struct bindings *ret, struct error *err)
{
	size_t wanted = count_bindings(inv);
	ret->at = calloc(wanted + 1, sizeof *ret->at);
	if (!ret->at)
		return fail_no_memory(err);
	for (size_t i = 0; i < inv->given_count; i++) {
		if (inv->given[i].option->kind != OPTION_BINDING)
			continue;
		const char *text = inv->given[i].text;
		size_t len = text_until(text, '=');
		if (is_bound(ret, text, len))
			return fail(err, ERR_USAGE, TXT_BINDING_TWICE, (int)len, text);
		struct binding *b = &ret->at[ret->count++];
		b->fd = -1;
		if (!bind_one(inv, &inv->given[i], ret->count == wanted, take_token, b, err))
			return false;
	}
	return true;
}

/* Ways to our own keys are none of the child's business. */
static bool is_withheld(const char *entry)
{
	static const char *const ours[] = { "PIXELVAULT_PASSPHRASE_FILE=", "PIXELVAULT_KEY_FILE=" };
	for (size_t i = 0; i < COUNT_OF(ours); i++)
		if (strncmp(entry, ours[i], strlen(ours[i])) == 0)
			return true;
	return false;
}

/* The tokens stay in the arena: execve copies them from there, and no heap ever holds one. */
static char **make_environment(const struct bindings *b)
{
	size_t count = 0, kept = 0;
	while (environ[count])
		count++;
	char **ret = calloc(count + b->count + 1, sizeof *ret);
	for (size_t i = 0; ret && i < count; i++)
		if (!is_withheld(environ[i]) && !is_bound(b, environ[i], text_until(environ[i], '=')))
			ret[kept++] = environ[i];
	for (size_t i = 0; ret && i < b->count; i++)
		ret[kept++] = (char *)secret_room(b->at[i].line);
	return ret;
}

bool run_fetch(struct invocation *inv, const struct handout_request *request, struct secret **ret, struct error *err)
{
	return handout_fetch(inv, request, false, ret, err);
}

/* A script that does not say what it is to be read by is the shell's. */
static void become_file(char *path, char **argv)
{
	execv(path, argv);
	if (errno != ENOEXEC)
		return;
	size_t count = 1;
	while (argv[count])
		count++;
	char **words = calloc(count + 2, sizeof *words);
	if (!words)
		return;
	words[0] = (char[]){ "/bin/sh" };
	words[1] = path;
	memcpy(words + 2, argv + 1, count * sizeof *words);
	execv(words[0], words);
	free(words);
}

static bool is_elsewhere(int why)
{
	return why == ENOENT || why == ENOTDIR || why == EACCES || why == ESTALE || why == ENODEV || why == ETIMEDOUT;
}

/* What POSIX says of execvp, which no libc does quite like another: an empty part of PATH is the current folder, what cannot
 * be run is passed over, and a script without an interpreter is handed to the shell. Returns when nothing was found. */
static void become_program(char **argv)
{
	char path[PATH_MAX];
	const char *folders = getenv("PATH"), *next = folders ? folders : "/bin:/usr/bin";
	bool was_refused = false;
	if (strchr(argv[0], '/')) {
		become_file(argv[0], argv);
		return;
	}
	bool is_long = strlen(argv[0]) > NAME_MAX;
	errno = is_long ? ENAMETOOLONG : ENOENT;
	while (next && argv[0][0] && !is_long) {
		const char *folder = next;
		size_t len = strcspn(folder, ":");
		next = folder[len] ? folder + len + 1 : NULL;
		int put = snprintf(path, sizeof path, "%.*s/%s", len ? (int)len : 1, len ? folder : ".", argv[0]);
		if (put < 0 || (size_t)put >= sizeof path)
			continue;
		become_file(path, argv);
		was_refused = was_refused || errno == EACCES;
		if (!is_elsewhere(errno))
			return;
	}
	if (was_refused)
		errno = EACCES;
}

bool run_become(struct invocation *inv, const struct bindings *bound, struct error *err)
{
	char **environment = make_environment(bound);
	if (!environment)
		return fail_no_memory(err);
	client_freep(&inv->agent);
	output_release(inv);
	process_restore();
	char **ours = environ;
	environ = environment;
	become_program(inv->args);
	int why = errno;
	environ = ours;
	free(environment);
	inv->exit = why == ENOENT ? 127 : 126;
	return fail(err, ERR_UNEXPECTED, TXT_EXEC, inv->args[0], strerror(why));
}
