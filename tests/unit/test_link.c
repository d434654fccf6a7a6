/* What supervisor and keeper say to each other, over real socket pairs; the liar's messages are made by hand. */
#include "agent/link.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	int ours, theirs;
};

static struct pair pair_open(void)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ fds[0], fds[1] };
}

static void pair_done(struct pair *p)
{
	close(p->ours);
	if (p->theirs >= 0)
		close(p->theirs);
}

static size_t open_fds(void)
{
	size_t count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* As many descriptors and bytes as asked for, as no program of ours sends them. */
static void send_raw(int link, const void *at, size_t len, size_t fds)
{
	union {
		struct cmsghdr aligned;
		char room[CMSG_SPACE(64 * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)at, .iov_len = len };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fds) {
		int passed[64];
		for (size_t i = 0; i < fds; i++)
			passed[i] = STDERR_FILENO;
		head.msg_control = control.room;
		head.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(c), passed, fds * sizeof(int));
	}
	assert_int_equal(sendmsg(link, &head, MSG_NOSIGNAL), len);
}

/* A message as ours are, to be spoilt. */
static struct link_message sound(enum link_kind kind)
{
	scoped(pair_done) struct pair p = pair_open();
	struct link_message m;
	assert_true(link_send(p.theirs, kind, "text", -1));
	assert_int_equal(recv(p.ours, &m, sizeof m, 0), sizeof m);
	return m;
}

static void link__brings_kind_and_text(void **state)
{
	(void)state;
	scoped(pair_done) struct pair p = pair_open();
	struct link_message m;
	int fd;
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_NOTHING);
	assert_true(link_send(p.theirs, LINK_STATUS, "9 Pixels", -1));
	assert_true(link_send(p.theirs, LINK_ALIVE, NULL, -1));
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_MESSAGE);
	assert_int_equal(m.kind, LINK_STATUS);
	assert_string_equal(m.text, "9 Pixels");
	assert_int_equal(fd, -1);
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_MESSAGE);
	assert_int_equal(m.kind, LINK_ALIVE);
	assert_string_equal(m.text, "");
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_NOTHING);
}

static void link__brings_one_descriptor_that_no_child_inherits(void **state)
{
	(void)state;
	scoped(pair_done) struct pair p = pair_open();
	struct link_message m;
	int pipes[2], fd;
	char got = 0;
	assert_int_equal(pipe(pipes), 0);
	assert_true(link_send(p.theirs, LINK_SOCKET, "agent", pipes[1]));
	close(pipes[1]);
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_MESSAGE);
	assert_string_equal(m.text, "agent");
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(pipes[0], &got, 1), 1);
	assert_int_equal(got, 'x');
	close(fd);
	close(pipes[0]);
}

static void link__text_that_is_too_long_is_cut(void **state)
{
	(void)state;
	scoped(pair_done) struct pair p = pair_open();
	struct link_message m;
	char text[1000];
	int fd;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_true(link_send(p.theirs, LINK_READY, text, -1));
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_MESSAGE);
	assert_int_equal(strlen(m.text), LINK_TEXT_MAX - 1);
}

static void link__ends_when_the_other_side_is_gone(void **state)
{
	(void)state;
	scoped(pair_done) struct pair p = pair_open();
	struct link_message m;
	int fd;
	assert_true(link_send(p.theirs, LINK_GO, NULL, -1));
	close(p.theirs);
	p.theirs = -1;
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_MESSAGE);
	assert_int_equal(link_receive(p.ours, &m, &fd), LINK_GOT_END);
	assert_false(link_send(p.ours, LINK_STOP, NULL, -1));
}

static void link__one_that_does_not_read_is_not_waited_for(void **state)
{
	(void)state;
	scoped(pair_done) struct pair p = pair_open();
	int sent = 0;
	while (sent < 100000 && link_send(p.theirs, LINK_ALIVE, NULL, -1))
		sent++;
	assert_in_range(sent, 1, 99999);
}

/* Each of these is the end, and none leaves a descriptor behind. */
static void refuse(const struct link_message *m, size_t len, size_t fds)
{
	scoped(pair_done) struct pair p = pair_open();
	struct link_message got = { .kind = 4711 };
	char longer[sizeof *m + 1] = { 0 };
	size_t before = open_fds();
	int fd = 99;
	memcpy(longer, m, sizeof *m);
	send_raw(p.theirs, longer, len, fds);
	assert_int_equal(link_receive(p.ours, &got, &fd), LINK_GOT_END);
	assert_int_equal(fd, -1);
	assert_int_equal(got.kind, 4711);
	assert_int_equal(open_fds(), before);
}

static void link__what_is_no_message_of_ours_is_the_end(void **state)
{
	(void)state;
	struct link_message m = sound(LINK_COURIER), other = m;
	scoped(pair_done) struct pair p = pair_open();
	int fd;
	send_raw(p.theirs, &m, sizeof m, 1); /* the same by hand is fine */
	assert_int_equal(link_receive(p.ours, &other, &fd), LINK_GOT_MESSAGE);
	close(fd);

	refuse(&m, sizeof m - 1, 1);
	refuse(&m, sizeof m + 1, 1);
	refuse(&m, sizeof m, 0); /* a courier without its socket */
	refuse(&m, sizeof m, 2);
	refuse(&m, sizeof m, 16);
	refuse(&m, sizeof m, 17); /* more than are taken in */
	refuse(&m, sizeof m, 64);
	other = m;
	other.version++;
	refuse(&other, sizeof other, 1);
	for (uint32_t i = 0; i < 2; i++) {
		other = m;
		other.kind = i ? LINK_KIND_COUNT : 0;
		refuse(&other, sizeof other, 0);
		refuse(&other, sizeof other, 1);
	}
	other = m;
	memset(other.text, 'a', sizeof other.text);
	refuse(&other, sizeof other, 1);
	m = sound(LINK_ACCOUNTS);
	refuse(&m, sizeof m, 0);
	m = sound(LINK_GO);
	refuse(&m, sizeof m, 1); /* a descriptor where none belongs */
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(link__brings_kind_and_text),
		TEST(link__brings_one_descriptor_that_no_child_inherits),
		TEST(link__text_that_is_too_long_is_cut),
		TEST(link__ends_when_the_other_side_is_gone),
		TEST(link__one_that_does_not_read_is_not_waited_for),
		TEST(link__what_is_no_message_of_ours_is_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
