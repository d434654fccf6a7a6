#include "agent/credentials.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Everything up to `mark`; false when it is not there. */
static bool take_until(struct bytes *from, char mark, struct bytes *ret)
{
	const uint8_t *at = from->len ? memchr(from->at, mark, from->len) : NULL;
	struct bytes behind;
	return at && bytes_take(from, (size_t)(at - from->at), ret) && bytes_take(from, 1, &behind);
}

static bool copy_name(struct bytes from, char *ret, size_t size)
{
	if (!from.len || from.len >= size)
		return false;
	for (size_t i = 0; i < from.len; i++)
		if (from.at[i] <= ' ' || from.at[i] > '~')
			return false;
	memcpy(ret, from.at, from.len);
	ret[from.len] = '\0';
	return true;
}

bool credentials_parse(struct bytes address, char unit[CREDENTIALS_UNIT_MAX + 1], char pixel[PIXEL_CODE_MAX + 1])
{
	struct bytes zero, random, word, name = bytes_of(NULL, 0);
	struct error unused;
	if (!bytes_take(&address, 1, &zero) || zero.at[0] || !take_until(&address, '/', &random) || !random.len ||
	    !take_until(&address, '/', &word) || !bytes_equal(word, bytes_of_text("unit")) ||
	    !take_until(&address, '/', &name))
		return false;
	return copy_name(name, unit, CREDENTIALS_UNIT_MAX + 1) && copy_name(address, pixel, PIXEL_CODE_MAX + 1) &&
	       pixel_check(pixel, &unused);
}

/* The audit log's names are shorter than systemd's, and have fewer characters. */
static void name_reader(const char *unit, char ret[AUDIT_NAME_MAX + 1])
{
	snprintf(ret, AUDIT_NAME_MAX + 1, "unit:%.59s", unit);
	for (char *at = ret; *at; at++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@:/-", *at))
			*at = '_';
}

static void send_token(int fd, const struct secret *token)
{
	/* A fresh socket takes a token whole; whoever does not read gets nothing more. */
	struct bytes bytes = secret_reveal(token);
	(void)!send(fd, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void credentials_serve(struct api *api, int fd, const struct peer *peer)
{
	struct sockaddr_un address = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof address;
	char unit[CREDENTIALS_UNIT_MAX + 1], pixel[PIXEL_CODE_MAX + 1], reader[AUDIT_NAME_MAX + 1];
	scoped(secret_freep) struct secret *token = NULL;
	struct error err;
	size_t head = offsetof(struct sockaddr_un, sun_path);
	if (peer->uid != 0 || getpeername(fd, (struct sockaddr *)&address, &len) != 0 || len <= head ||
	    !credentials_parse(bytes_of(address.sun_path, len - head), unit, pixel)) {
		api_denied(api, peer, "credential", NULL);
	} else {
		name_reader(unit, reader);
		if (api_credential(api, peer, pixel, reader, &token, &err))
			send_token(fd, token);
		else
			api_denied(api, peer, "credential", pixel);
	}
	close(fd);
}
