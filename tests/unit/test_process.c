/* What a process owes its secrets where the system gives little, and how helpers are started. Each in a child of its own,
 * which may lose descriptors and limits. */
#include "core/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static void in_a_child(int (*work)(void))
{
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(work());
	assert_int_equal(ended(pid), 0);
}

static bool limit(int what, rlim_t most)
{
	struct rlimit l = { most, most };
	return setrlimit((__rlimit_resource_t)what, &l) == 0;
}

static int harden_with_closed_fds(void)
{
	struct error err;
	struct rlimit core;
	close(0);
	close(2);
	if (!process_harden(&err) || fcntl(0, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0)
		return 1;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || prctl(PR_GET_DUMPABLE) != 0 || umask(0) != 077)
		return 2;
	raise(SIGPIPE);
	raise(SIGXFSZ); /* would end us */
	process_restore();
	raise(SIGPIPE);
	return 3;
}

static void harden__opens_what_was_closed_and_takes_back_what_others_must_not_inherit(void **state)
{
	(void)state;
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(harden_with_closed_fds());
	assert_int_equal(ended(pid), 1000 + SIGPIPE); /* as it was before */
}

static int harden_without_descriptors(void)
{
	struct error err = { .code = ERR_NONE };
	close(0);
	return limit(RLIMIT_NOFILE, 0) && !process_harden(&err) && err.code == ERR_UNEXPECTED && err.hint[0] ? 0 : 1;
}

static void harden__is_refused_where_a_standard_descriptor_cannot_be_had(void **state)
{
	(void)state;
	in_a_child(harden_without_descriptors);
}

/* Nothing else of ours: 17 is gone. */
static const char *const say_it[] = { "sh", "-c", "test ! -e /proc/$$/fd/17 && echo it >&3", NULL };

static int spawn_on_descriptor(int own)
{
	int ends[2];
	pid_t pid;
	char said[8] = "";
	struct error err;
	if (pipe(ends) != 0 || dup2(ends[0], 20) != 20 || dup2(ends[1], 21) != 21 || dup2(21, own) != own)
		return 1;
	struct process_plan plan = { .path = "/bin/sh", .argv = say_it, .fd = own };
	if (!process_spawn(&plan, &pid, &err))
		return 2;
	if (ended(pid) != 0)
		return 3;
	return read(20, said, sizeof said) == 3 && memcmp(said, "it\n", 3) == 0 ? 0 : 4;
}

static int spawn_on_3(void)
{
	return spawn_on_descriptor(3);
}

static int spawn_on_another(void)
{
	return spawn_on_descriptor(17);
}

static void spawn__gives_its_descriptor_as_the_third_whichever_it_was(void **state)
{
	(void)state;
	in_a_child(spawn_on_another);
	in_a_child(spawn_on_3);
}

static int spawn_nothing(void)
{
	static const char *const argv[] = { "none", NULL };
	pid_t pid;
	int fd;
	struct error err;
	if (!process_start("/no/such/program", argv, &pid, &fd, &err))
		return 1;
	close(fd);
	if (ended(pid) != 127)
		return 2;
	struct process_plan plan = { .path = "/bin/true", .argv = argv, .fd = 900 }; /* not open */
	return process_spawn(&plan, &pid, &err) && ended(pid) == 127 ? 0 : 3;
}

static void spawn__of_what_is_not_there_or_on_what_is_not_open_ends_at_once(void **state)
{
	(void)state;
	in_a_child(spawn_nothing);
}

static int start_without_processes(void)
{
	static const char *const argv[] = { "true", NULL };
	pid_t pid;
	int fd, before = dup(0);
	struct error err = { .code = ERR_NONE };
	close(before);
	if ((geteuid() == 0 && (setresgid(65531, 65531, 65531) != 0 || setresuid(65531, 65531, 65531) != 0)) ||
	    !limit(RLIMIT_NPROC, 0))
		return 1;
	if (process_start("/bin/true", argv, &pid, &fd, &err) || err.code != ERR_UNEXPECTED || !err.hint[0])
		return 2;
	return dup(0) == before ? 0 : 3; /* nothing of it is left open */
}

static int start_without_descriptors(void)
{
	static const char *const argv[] = { "true", NULL };
	pid_t pid;
	int fd;
	struct error err = { .code = ERR_NONE };
	return limit(RLIMIT_NOFILE, 3) && !process_start("/bin/true", argv, &pid, &fd, &err) && err.code == ERR_UNEXPECTED ? 0 : 1;
}

static void start__that_cannot_be_is_told(void **state)
{
	(void)state;
	in_a_child(start_without_processes);
	in_a_child(start_without_descriptors);
}

static void end__waits_for_who_ends_and_kills_who_does_not(void **state)
{
	(void)state;
	static const char *const quick[] = { "true", NULL }, *const slow[] = { "sleep", "600", NULL };
	pid_t pid;
	int fd;
	struct error err;
	assert_true(process_start("/bin/true", quick, &pid, &fd, &err));
	close(fd);
	process_end(pid, 60000);
	assert_int_equal(kill(pid, 0), -1);
	assert_true(process_start("/bin/sleep", slow, &pid, &fd, &err));
	close(fd);
	process_end(pid, 10);
	assert_int_equal(kill(pid, 0), -1);
}

static void sibling__lies_beside_this_program_or_is_missing(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	assert_true(process_sibling("test_process", path, sizeof path, &err));
	assert_int_equal(access(path, X_OK), 0);
	assert_false(process_sibling("no such program", path, sizeof path, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_false(process_sibling("test_process", path, 5, &err));
}

static void piece__is_told_when_it_is_not_there(void **state)
{
	(void)state;
	struct error err;
	char *argv[] = { "x", NULL };
	pid_t pid = fork();
	if (pid == 0) { /* what becomes of a process that tried is its own affair */
		bool is_told = !process_become_piece("no such piece", argv, &err) && err.code == ERR_UNEXPECTED &&
			       strstr(err.message, "/no such piece: No such file or directory");
		_exit(!is_told);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harden__opens_what_was_closed_and_takes_back_what_others_must_not_inherit),
		cmocka_unit_test(harden__is_refused_where_a_standard_descriptor_cannot_be_had),
		cmocka_unit_test(spawn__gives_its_descriptor_as_the_third_whichever_it_was),
		cmocka_unit_test(spawn__of_what_is_not_there_or_on_what_is_not_open_ends_at_once),
		cmocka_unit_test(start__that_cannot_be_is_told),
		cmocka_unit_test(end__waits_for_who_ends_and_kills_who_does_not),
		cmocka_unit_test(sibling__lies_beside_this_program_or_is_missing),
		cmocka_unit_test(piece__is_told_when_it_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
