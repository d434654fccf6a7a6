/* Where the agent listens: a path that is ours and free, a port of this machine, and the token that the page asks for. */
#include "agent/board_listen.h"
#include "agent/socket_path.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static char path[PATH_MAX];

static int make(void **state)
{
	int failed = scratch_make(state);
	in_scratch(path, "sock");
	return failed;
}

static int bound(gid_t group)
{
	int fd = -1;
	struct error err;
	if (!socket_path_bind(path, 0660, group, &fd, &err))
		fail_msg("%s", err.message);
	return fd;
}

static void assert_refused(const char *where, enum error_code code, const char *why)
{
	int fd = -1;
	struct error err;
	if (socket_path_bind(where, 0600, (gid_t)-1, &fd, &err))
		fail_msg("%s was taken", where);
	if (err.code != code || !strstr(err.message, why))
		fail_msg("code %d, \"%s\", where \"%s\" was to be said", err.code, err.message, why);
	assert_int_equal(fd, -1);
}

static void path__is_taken_where_nobody_answers(void **state)
{
	struct stat st;
	(void)state;
	int fd = bound((gid_t)-1);
	assert_true(socket_path_leads_to(path, fd));
	assert_refused(path, ERR_CONFLICT, path);
	assert_int_equal(unlink(path), 0);
	assert_false(socket_path_leads_to(path, fd));
	close(fd);
	fd = bound((gid_t)-1);
	close(fd); /* whoever had it ended, and left it behind */
	fd = bound(getegid());
	int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_false(socket_path_leads_to(path, other)); /* which is no socket at all */
	close(other);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	close(fd);
}

static void path__that_is_something_else_is_left_alone(void **state)
{
	char inner[PATH_MAX];
	(void)state;
	write_bytes(path, "mine", 4);
	assert_refused(path, ERR_CONFLICT, path);
	in_scratch(inner, "sock/sock");
	assert_refused(inner, ERR_CONFIG, strerror(ENOTDIR));
	in_scratch(inner, "nothing/sock");
	assert_refused(inner, ERR_CONFIG, strerror(ENOENT));
	char text[8];
	assert_int_equal(file_bytes(path, (uint8_t *)text, sizeof text), 4);
}

static void path__too_long_for_a_socket_is_told(void **state)
{
	char name[200];
	(void)state;
	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = '\0';
	in_scratch(path, name);
	assert_refused(path, ERR_CONFIG, strerror(ENAMETOOLONG));
	assert_false(socket_path_leads_to(path, 0));
}

static void path__in_a_folder_that_others_write_to_is_refused(void **state)
{
	(void)state;
	assert_int_equal(chmod(scratch, 0770), 0);
	assert_refused(path, ERR_CONFIG, scratch);
	assert_int_equal(chmod(scratch, 0700), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(scratch, 12345, (gid_t)-1), 0);
	assert_refused(path, ERR_CONFIG, scratch);
	assert_int_equal(chown(scratch, 0, (gid_t)-1), 0);
}

/* What another account may and may not do, in a child. */
static void as_another(void (*fn)(void))
{
	pid_t pid = fork_child();
	if (pid == 0) {
		if (setresgid(12345, 12345, 12345) != 0 || setresuid(12345, 12345, 12345) != 0)
			_exit(99);
		fn();
		_exit(0);
	}
	assert_int_equal(ended(pid), 0);
}

static void meet_a_stale_one(void)
{
	assert_refused(path, ERR_CONFIG, strerror(EACCES)); /* it may not be taken away */
}

static void give_to_a_group(void)
{
	int fd = -1;
	struct error err;
	snprintf(path, sizeof path, "%s/own/sock", scratch);
	assert_false(socket_path_bind(path, 0660, 0, &fd, &err));
	assert_non_null(strstr(err.message, strerror(EPERM)));
}

static void path__that_may_not_be_changed_is_told(void **state)
{
	char own[PATH_MAX];
	(void)state;
	if (geteuid() != 0)
		skip();
	close(bound((gid_t)-1));
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(scratch, 0755), 0);
	as_another(meet_a_stale_one);
	in_scratch(own, "own");
	assert_int_equal(mkdir(own, 0700), 0);
	assert_int_equal(chown(own, 12345, 12345), 0);
	as_another(give_to_a_group);
}

/* Many newcomers, or no descriptor left, are no sign of somebody else at this path. */
static void path__at_which_others_crowd_is_still_ours(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct rlimit none, was;
	int crowd[64];
	size_t count = 0;
	(void)state;
	int fd = bound((gid_t)-1);
	strcpy(at.sun_path, path);
	assert_int_equal(listen(fd, 1), 0);
	do {
		crowd[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	} while (connect(crowd[count++], (struct sockaddr *)&at, sizeof at) == 0 && count < 64);
	assert_int_equal(errno, EAGAIN);
	assert_true(socket_path_leads_to(path, fd));
	while (count)
		close(crowd[--count]);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 0, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	bool leads = socket_path_leads_to("/nonexistent", fd);
	int board = -1;
	struct error err;
	bool listens = board_listen("127.0.0.1:0", &board, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(leads);
	assert_false(listens);
	assert_non_null(strstr(err.message, strerror(EMFILE)));
	close(fd);
}

static void board__listens_on_this_machine_alone(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof at;
	char taken[32];
	struct error err;
	int fd = -1, other = -1;
	(void)state;
	assert_true(board_listen("127.0.0.1:0", &fd, &err));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(at.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	snprintf(taken, sizeof taken, "127.0.0.1:%d", ntohs(at.sin_port));
	assert_false(board_listen(taken, &other, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, strerror(EADDRINUSE)));
	close(fd);
	if (!board_listen("[::1]:0", &fd, &err)) { /* a machine may have none */
		assert_non_null(strstr(err.message, "[::1]:0"));
		return;
	}
	len = sizeof six;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&six, &len), 0);
	assert_int_equal(memcmp(&six.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback), 0);
	close(fd);
}

static void board_token__is_made_once_and_read_as_written(void **state)
{
	char at[PATH_MAX], text[80];
	scoped(secret_freep) struct secret *made = NULL, *again = NULL, *with_end = NULL;
	struct error err;
	(void)state;
	assert_false(board_token_read(scratch, &made, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(board_token_make(scratch, &made, &err));
	assert_int_equal(secret_len(made), 64);
	assert_true(board_token_make(scratch, &again, &err));
	assert_true(secret_equal(made, again));
	in_scratch(at, "board-token");
	size_t len = file_bytes(at, (uint8_t *)text, sizeof text);
	assert_int_equal(len, 64);
	text[len] = '\n';
	write_bytes(at, text, len + 1);
	assert_true(board_token_read(scratch, &with_end, &err));
	assert_true(secret_equal(made, with_end));
}

static void board_token__that_is_none_is_told_and_not_replaced(void **state)
{
	static const char good[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const struct {
		size_t from, len; /* of what is written in its place */
		char text[8];
	} changes[] = { { 63, 1, "g" }, { 0, 1, "A" }, { 5, 1, "\0" }, { 63, 0, "" } };
	char at[PATH_MAX], bad[80], longest[PATH_MAX];
	struct secret *token = NULL;
	struct error err;
	(void)state;
	in_scratch(at, "board-token");
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		memcpy(bad, good, sizeof good);
		memcpy(bad + changes[i].from, changes[i].text, changes[i].len);
		write_bytes(at, bad, changes[i].from + changes[i].len > 60 ? changes[i].from + changes[i].len : 64);
		if (board_token_make(scratch, &token, &err))
			fail_msg("change %zu was taken", i);
		assert_int_equal(err.code, ERR_CONFIG);
	}
	write_bytes(at, "", 0);
	assert_false(board_token_make(scratch, &token, &err));
	memset(bad, 'a', sizeof bad);
	write_bytes(at, bad, sizeof bad);
	assert_false(board_token_make(scratch, &token, &err));
	write_bytes(at, good, 64);
	assert_int_equal(chmod(at, 0644), 0);
	assert_false(board_token_make(scratch, &token, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_false(board_token_make(at, &token, &err)); /* a file in the place of the folder */
	in_scratch(at, "nothing");
	assert_false(board_token_make(at, &token, &err));
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_false(board_token_make(longest, &token, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_null(token);
}

int main(void)
{
#define TESTED(name) cmocka_unit_test_setup_teardown(name, make, scratch_remove)
	const struct CMUnitTest tests[] = {
		TESTED(path__is_taken_where_nobody_answers),
		TESTED(path__that_is_something_else_is_left_alone),
		TESTED(path__too_long_for_a_socket_is_told),
		TESTED(path__in_a_folder_that_others_write_to_is_refused),
		TESTED(path__that_may_not_be_changed_is_told),
		TESTED(path__at_which_others_crowd_is_still_ours),
		TESTED(board__listens_on_this_machine_alone),
		TESTED(board_token__is_made_once_and_read_as_written),
		TESTED(board_token__that_is_none_is_told_and_not_replaced),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
