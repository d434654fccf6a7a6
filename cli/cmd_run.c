#include "cli/handout.h"
#include "cli/output.h"
#include "cli/text.h"
#include "core/file.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define NAME_ROOM 128

/* One variable of the child: "NAME=token" in locked memory, or "NAME=/proc/self/fd/N". */
struct binding {
	char name[NAME_ROOM];
	struct secret *line;
	int fd; /* -1: the token itself is in line */
};

struct bindings {
	struct binding *at;
	size_t count;
};

static void bindings_done(struct bindings *b)
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

static bool take_token(struct invocation *inv, const struct handout_request *request, struct secret **ret,
		       struct error *err)
{
	scoped(handout_done) struct handout h = { .token = NULL };
	if (inv->agent)
		return handout_fetch(inv, request, false, ret, err);
	if (!handout_take(inv, request, &h, err))
		return false;
	*ret = take(h.token);
	return true;
}

static bool bind_one(struct invocation *inv, const struct given *g, struct binding *b, struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL;
	struct handout_request request = { .verb = "run" };
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

static bool bind_all(struct invocation *inv, struct bindings *ret, struct error *err)
{
	ret->at = calloc(inv->given_count + 1, sizeof *ret->at);
	if (!ret->at)
		return fail_no_memory(err);
	for (size_t i = 0; i < inv->given_count; i++) {
		if (inv->given[i].option->kind != OPTION_BINDING)
			continue;
		const char *text = inv->given[i].text;
		size_t len = strcspn(text, "=");
		if (is_bound(ret, text, len))
			return fail(err, ERR_USAGE, TXT_BINDING_TWICE, (int)len, text);
		struct binding *b = &ret->at[ret->count++];
		b->fd = -1;
		if (!bind_one(inv, &inv->given[i], b, err))
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
		if (!is_withheld(environ[i]) && !is_bound(b, environ[i], strcspn(environ[i], "=")))
			ret[kept++] = environ[i];
	for (size_t i = 0; ret && i < b->count; i++)
		ret[kept++] = (char *)secret_room(b->at[i].line);
	return ret;
}

bool cmd_run(struct invocation *inv, struct error *err)
{
	scoped(bindings_done) struct bindings bound = { .at = NULL };
	if (!bind_all(inv, &bound, err))
		return false;
	char **environment = make_environment(&bound);
	if (!environment)
		return fail_no_memory(err);
	/* From here on this process holds only the tokens asked for: no key, no store. */
	vault_closep(&inv->vault);
	client_freep(&inv->agent);
	output_release(inv);
	process_restore();
	char **ours = environ;
	environ = environment;
	execvp(inv->args[0], inv->args);
	int why = errno;
	environ = ours;
	free(environment);
	inv->exit = why == ENOENT ? 127 : 126;
	return fail(err, ERR_UNEXPECTED, TXT_EXEC, inv->args[0], strerror(why));
}
