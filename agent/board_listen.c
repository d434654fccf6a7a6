#include "agent/board_listen.h"

#include "agent/text.h"
#include "core/file.h"
#include "core/wipe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOKEN_BYTES 32
#define TOKEN_DIGITS ((size_t)TOKEN_BYTES * 2)
#define BACKLOG 16

/* ---- the socket ---- */

static socklen_t address_of(const char *where, struct sockaddr_storage *ret)
{
	in_port_t port = htons((uint16_t)strtoul(strrchr(where, ':') + 1, NULL, 10));
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_port = port,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (where[0] == '[')
		memcpy(ret, &six, sizeof six);
	else
		memcpy(ret, &four, sizeof four);
	return where[0] == '[' ? sizeof six : sizeof four;
}

bool board_listen(const char *where, int *ret_fd, struct error *err)
{
	const int yes = 1;
	struct sockaddr_storage address = { 0 };
	socklen_t len = address_of(where, &address);
	scoped(file_closep) int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Without the option a port is taken for a minute behind an agent that has ended. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    bind(fd, (const struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0)
		return fail(err, ERR_CONFIG, TXT_BOARD_LISTEN, where, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return true;
}

/* ---- the token ---- */

static bool path_of(const char *state_dir, char *ret, size_t size, struct error *err)
{
	int len = snprintf(ret, size, "%s/board-token", state_dir);
	return len > 0 && (size_t)len < size ? true : fail(err, ERR_CONFIG, TXT_SET_PATH_TOO_LONG, state_dir);
}

static bool is_token(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789abcdef", text.at[i]) || !text.at[i])
			return false;
	return text.len == TOKEN_DIGITS;
}

bool board_token_read(const char *state_dir, struct secret **ret, struct error *err)
{
	char path[PATH_MAX];
	scoped(file_closep) int fd = -1;
	scoped(secret_freep) struct secret *token = NULL;
	if (!path_of(state_dir, path, sizeof path, err))
		return false;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return fail(err, ERR_NOT_FOUND, TXT_BOARD_NO_TOKEN, path);
	if (!file_open_trusted(path, true, ERR_DENIED, &fd, err) || !secret_read(fd, TOKEN_DIGITS + 1, &token, err))
		return false;
	struct bytes text = secret_reveal(token);
	if (text.len && text.at[text.len - 1] == '\n')
		secret_cut(token, text.len - 1);
	if (!is_token(secret_reveal(token)))
		return fail(err, ERR_CONFIG, TXT_BOARD_BAD_TOKEN, path);
	*ret = take(token);
	return true;
}

static bool make_new(const char *path, struct error *err)
{
	uint8_t bytes[TOKEN_BYTES];
	char text[TOKEN_DIGITS + 1];
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(text, sizeof text, bytes, sizeof bytes);
	bool is_made = file_create(path, bytes_of_text(text), 0600, err);
	wipe(bytes, sizeof bytes);
	wipe(text, sizeof text);
	return is_made;
}

bool board_token_make(const char *state_dir, struct secret **ret, struct error *err)
{
	char path[PATH_MAX];
	if (board_token_read(state_dir, ret, err))
		return true;
	return err->code == ERR_NOT_FOUND && path_of(state_dir, path, sizeof path, err) && make_new(path, err) &&
	       board_token_read(state_dir, ret, err);
}
