/* What systemd would hear, on a socket of our own. */
#include "agent/notify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct listener {
	int fd;
	char folder[64], address[108];
};

static struct listener listen_at(bool is_abstract)
{
	struct listener l = { .folder = "/tmp/pixelvault-notify-XXXXXX" };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	assert_non_null(mkdtemp(l.folder));
	snprintf(l.address, sizeof l.address, "%s%s/notify", is_abstract ? "@" : "", l.folder);
	size_t len = strlen(l.address);
	memcpy(at.sun_path, l.address, len);
	if (is_abstract)
		at.sun_path[0] = '\0';
	l.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !is_abstract);
	assert_int_equal(bind(l.fd, (struct sockaddr *)&at, size), 0);
	setenv("NOTIFY_SOCKET", l.address, 1);
	return l;
}

static void listener_done(struct listener *l)
{
	close(l->fd);
	if (l->address[0] == '/')
		unlink(l->address);
	rmdir(l->folder);
	for (const char **name = (const char *[]){ "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", NULL }; *name;
	     name++)
		unsetenv(*name);
}

/* "" when nothing came. */
static const char *heard(const struct listener *l)
{
	static char text[1024];
	ssize_t got = recv(l->fd, text, sizeof text - 1, MSG_DONTWAIT);
	text[got < 0 ? 0 : got] = '\0';
	return text;
}

static void says_everything_at(bool is_abstract)
{
	__attribute__((cleanup(listener_done))) struct listener l = listen_at(is_abstract);
	struct notify n;
	long long usec = 0;
	notify_open(&n);
	assert_true(n.fd >= 0);
	assert_int_equal(fcntl(n.fd, F_GETFD), FD_CLOEXEC);
	notify_ready(&n, "9 Pixels");
	assert_string_equal(heard(&l), "READY=1\nSTATUS=9 Pixels");
	notify_status(&n, "8 Pixels");
	assert_string_equal(heard(&l), "STATUS=8 Pixels");
	notify_reloading(&n);
	assert_int_equal(sscanf(heard(&l), "RELOADING=1\nMONOTONIC_USEC=%lld", &usec), 1);
	assert_true(usec > 0);
	notify_stopping(&n);
	assert_string_equal(heard(&l), "STOPPING=1");
	notify_close(&n);
	notify_stopping(&n);
	assert_string_equal(heard(&l), "");
}

static void notify__says_everything_to_a_path(void **state)
{
	(void)state;
	says_everything_at(false);
}

static void notify__says_everything_to_an_abstract_name(void **state)
{
	(void)state;
	says_everything_at(true);
}

static void notify__a_status_line_is_one_line(void **state)
{
	(void)state;
	__attribute__((cleanup(listener_done))) struct listener l = listen_at(false);
	struct notify n;
	notify_open(&n);
	notify_status(&n, "fine\nMAINPID=1\r\x1b[2J");
	assert_string_equal(heard(&l), "STATUS=fine?MAINPID=1??[2J");
	notify_close(&n);
}

static void notify__without_systemd_nothing_happens(void **state)
{
	(void)state;
	static const char *const none[] = { NULL, "", "/", "@", "relative", "vsock:2:1", "/no/such/folder/notify" };
	struct notify n;
	setenv("WATCHDOG_USEC", "1000000", 1);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		if (none[i])
			setenv("NOTIFY_SOCKET", none[i], 1);
		else
			unsetenv("NOTIFY_SOCKET");
		notify_open(&n);
		notify_ready(&n, "ready");
		notify_alive(&n, 1000);
		notify_close(&n);
	}
	char longest[200];
	memset(longest, 'a', sizeof longest);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	notify_open(&n);
	assert_int_equal(n.fd, -1);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
}

static int64_t watchdog_of(const char *usec, const char *pid)
{
	__attribute__((cleanup(listener_done))) struct listener l = listen_at(false);
	struct notify n;
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	notify_open(&n);
	notify_close(&n);
	assert_string_equal(heard(&l), "");
	return n.watchdog_ms;
}

static void notify__the_watchdog_is_ours_or_off(void **state)
{
	(void)state;
	char me[24], other[24];
	snprintf(me, sizeof me, "%d", (int)getpid());
	snprintf(other, sizeof other, "%d", (int)getppid());
	assert_int_equal(watchdog_of("30000000", NULL), 30000);
	assert_int_equal(watchdog_of("30000000", me), 30000);
	assert_int_equal(watchdog_of("30000000", other), 0);
	assert_int_equal(watchdog_of("30000000", "me"), 0);
	assert_int_equal(watchdog_of(NULL, me), 0);
	static const char *const wrong[] = { "", "0", "-1", "30s", " 1000000", "99999999999999999999999" };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(watchdog_of(wrong[i], NULL), 0);
}

static void notify__pings_no_more_than_the_watchdog_needs(void **state)
{
	(void)state;
	__attribute__((cleanup(listener_done))) struct listener l = listen_at(false);
	struct notify n;
	int pings = 0;
	setenv("WATCHDOG_USEC", "4000000", 1);
	notify_open(&n);
	for (int64_t now = 1; now <= 10001; now += 100)
		notify_alive(&n, now);
	while (strcmp(heard(&l), "WATCHDOG=1") == 0)
		pings++;
	assert_in_range(pings, 10, 12);
	notify_close(&n);
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(notify__says_everything_to_a_path),   TEST(notify__says_everything_to_an_abstract_name),
		TEST(notify__a_status_line_is_one_line),   TEST(notify__without_systemd_nothing_happens),
		TEST(notify__the_watchdog_is_ours_or_off), TEST(notify__pings_no_more_than_the_watchdog_needs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
