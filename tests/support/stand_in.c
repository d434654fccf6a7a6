/* The supervisor with a keeper and a courier that only write down what happens to them, for
 * tests/e2e/test_supervisor.py.
 *
 *   stand_in [--config FILE]   the real supervisor, which starts this program again as
 *   stand_in --keeper ...      writes what it is told to the file log in its folder; SIGUSR1: hangs; SIGUSR2: ends
 *                              with 42; stops as it starts while there is a file keeper-stops, which it takes away;
 *                              PIXELVAULT_TEST_STUBBORN: does not end when told to; _NONSENSE: speaks another language
 *   stand_in --courier         lives until its socket closes; while there is a file courier-dies, it writes down that
 *                              it dies, and dies
 */
#include "agent/link.h"
#include "agent/supervisor.h"
#include "core/clock.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t hangs, is_told_to_leave;

static void on_signal(int number)
{
	*(number == SIGUSR1 ? &hangs : &is_told_to_leave) = 1;
}

static void note(const char *what, const char *text)
{
	char line[512];
	int fd = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int len =
		snprintf(line, sizeof line, "%lld %s%s%s\n", (long long)clock_boot_ms(), what, *text ? " " : "", text);
	if (fd < 0 || write(fd, line, (size_t)len) != len)
		_exit(99);
	close(fd);
}

static bool is_listening(int fd)
{
	int listens = 0;
	socklen_t len = sizeof listens;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
	       fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/* The courier's end is given back once the courier is heard: it says hello. */
static void note_courier(int fd)
{
	char hello[16] = "";
	struct pollfd event = { .fd = fd, .events = POLLIN };
	ssize_t got = poll(&event, 1, 5000) > 0 ? read(fd, hello, sizeof hello - 1) : 0;
	note("courier", got > 0 ? hello : "dead");
}

/* False: the end. */
static bool hear(const struct link_message *m, int fd, int *courier)
{
	static const char *const names[] = { [LINK_GO] = "go", [LINK_RELOAD] = "reload", [LINK_STOP] = "stop" };
	if (m->kind == LINK_COURIER) {
		note_courier(fd);
		if (*courier >= 0)
			close(*courier);
		*courier = fd;
		return true;
	}
	if (m->kind == LINK_SOCKET) {
		note(is_listening(fd) ? "socket" : "no-socket", m->text);
		close(fd);
		return true;
	}
	if (m->kind == LINK_ACCOUNTS) {
		char table[256] = "";
		ssize_t len = read(fd, table, sizeof table - 1);
		for (char *end = table; (end = strchr(end, '\n'));)
			*end = ' '; /* a note is one line */
		if (len > 0)
			note("accounts", table);
		close(fd);
		return true;
	}
	note(names[m->kind], "");
	if (m->kind == LINK_GO || m->kind == LINK_RELOAD)
		(void)!link_send(LINK_FD, LINK_READY, m->kind == LINK_GO ? "3 Pixels" : "3 Pixels, reloaded", -1);
	return m->kind != LINK_STOP || getenv("PIXELVAULT_TEST_STUBBORN");
}

static int keep(void)
{
	struct link_message m;
	int fd, courier = -1;
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	if (unlink("keeper-stops") == 0)
		(void)raise(SIGSTOP);
	if (getenv("PIXELVAULT_TEST_NONSENSE"))
		(void)!send(LINK_FD, "hello", 5, 0);
	for (;;) {
		struct pollfd event = { .fd = LINK_FD, .events = POLLIN };
		(void)poll(&event, 1, 100);
		while (hangs)
			pause();
		if (is_told_to_leave)
			return 42;
		enum link_got got = link_receive(LINK_FD, &m, &fd);
		if (got == LINK_GOT_END)
			note("end", "");
		if (got == LINK_GOT_END || (got == LINK_GOT_MESSAGE && !hear(&m, fd, &courier)))
			return 7;
		(void)!link_send(LINK_FD, LINK_ALIVE, NULL, -1); /* that it ended is noted above */
		if (access("courier-hangs", F_OK) == 0 && unlink("courier-hangs") == 0 &&
		    !link_send(LINK_FD, LINK_HANGS, NULL, -1))
			return 9;
	}
}

static int carry(void)
{
	char byte;
	if (access("courier-dies", F_OK) == 0) {
		note("dies", "");
		return 1;
	}
	if (send(LINK_FD, "hello", 5, MSG_NOSIGNAL) != 5)
		return 2;
	while (read(LINK_FD, &byte, 1) > 0)
		;
	return 0;
}

int main(int argc, char *argv[])
{
	struct error err;
	if (!process_harden(&err))
		return 98;
	if (argc > 1 && strcmp(argv[1], "--keeper") == 0)
		return keep();
	if (argc > 1 && strcmp(argv[1], "--courier") == 0)
		return carry();
	return supervisor_main(argc == 3 ? argv[2] : NULL);
}
