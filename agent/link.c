#include "agent/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINK_VERSION 1
#define FDS_MAX 16 /* how many of a liar's descriptors we take in to close them; the kernel drops the rest */

union control {
	struct cmsghdr aligned;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static bool carries_fd(uint32_t kind)
{
	return kind == LINK_COURIER || kind == LINK_SOCKET || kind == LINK_ACCOUNTS || kind == LINK_MESSENGER;
}

bool link_send(int link, enum link_kind kind, const char *text, int fd)
{
	struct link_message message = { .version = LINK_VERSION, .kind = (uint32_t)kind };
	struct iovec part = { .iov_base = &message, .iov_len = sizeof message };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control = { .room = { 0 } };
	snprintf(message.text, sizeof message.text, "%s", text ? text : "");
	if (fd >= 0) {
		head.msg_control = control.room;
		head.msg_controllen = CMSG_SPACE(sizeof fd);
		struct cmsghdr *c = CMSG_FIRSTHDR(&head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	ssize_t sent;
	do
		sent = sendmsg(link, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof message;
}

/* The first descriptor is kept, all others are closed. Returns how many came. */
static size_t take_fds(struct msghdr *head, int *ret_fd)
{
	size_t count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (count++ == 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	return count;
}

static bool is_sound(const struct link_message *m, const struct msghdr *head, ssize_t got, size_t fds)
{
	return got == (ssize_t)sizeof *m && !(head->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	       m->version == LINK_VERSION && m->kind >= LINK_COURIER && m->kind < LINK_KIND_COUNT &&
	       fds == (carries_fd(m->kind) ? 1 : 0) && memchr(m->text, '\0', sizeof m->text);
}

enum link_got link_receive(int link, struct link_message *ret, int *ret_fd)
{
	struct link_message message = { 0 };
	struct iovec part = { .iov_base = &message, .iov_len = sizeof message };
	union control control = { .room = { 0 } };
	struct msghdr head = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
	};
	int fd = -1;
	ssize_t got;
	*ret_fd = -1;
	do
		got = recvmsg(link, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? LINK_GOT_NOTHING : LINK_GOT_END;
	size_t fds = take_fds(&head, &fd);
	if (!is_sound(&message, &head, got, fds)) {
		if (fd >= 0)
			close(fd);
		return LINK_GOT_END;
	}
	*ret = message;
	*ret_fd = fd;
	return LINK_GOT_MESSAGE;
}
