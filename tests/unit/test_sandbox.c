/* What a process can no longer do once it is inside: each attempt is made in a child of its own, and the errno it met
 * is the answer. The source is taken in whole, so that a test may let it know fewer landlock ABIs than it does. */
static int known_abi = 7;
#define LANDLOCK_ABI_KNOWN known_abi
#include "agent/sandbox.c"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define KILLED 1000      /* + signal */
#define NOT_INSIDE 250   /* sandbox_enter failed */
#define ANSWERED_ODD 251 /* an attempt that failed in no way it should */

static struct {
	uint16_t right_port, wrong_port;
	int right, wrong, abstract;
	char inside[100], outside[100], readable[100]; /* files, all of them there */
} world;

static char abstract_name[64];

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* --- the attempts: 0 = it was allowed --- */

static int answer_of(bool is_done)
{
	return is_done ? 0 : errno ? errno : ANSWERED_ODD;
}

static int open_as(const char *path, int flags)
{
	return answer_of(open(path, flags | O_CLOEXEC, 0600) >= 0);
}

static int read_passwd(void)
{
	return open_as("/etc/passwd", O_RDONLY);
}

static int read_outside(void)
{
	return open_as(world.outside, O_RDONLY);
}

static int write_outside(void)
{
	return open_as(world.outside, O_WRONLY);
}

static int truncate_outside(void)
{
	return open_as(world.outside, O_WRONLY | O_TRUNC);
}

static int truncate_by_name(void)
{
	return answer_of(truncate(world.outside, 0) == 0);
}

static int create_outside(void)
{
	return open_as("/tmp/pixelvault-sandbox-test", O_WRONLY | O_CREAT | O_EXCL);
}

static int list_root(void)
{
	return open_as("/", O_RDONLY | O_DIRECTORY);
}

static int read_readable(void)
{
	return open_as(world.readable, O_RDONLY);
}

static int write_readable(void)
{
	return open_as(world.readable, O_RDWR);
}

static int move_outside(void)
{
	return answer_of(rename(world.inside, world.outside) == 0);
}

static int remove_outside(void)
{
	return answer_of(unlink(world.outside) == 0);
}

/* What a vault does to its folder. */
static int keep_a_vault(void)
{
	char other[120], folder[120];
	snprintf(other, sizeof other, "%s.new", world.inside);
	snprintf(folder, sizeof folder, "%s.folder", world.inside);
	int fd = open(other, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	void *map = fd < 0 || ftruncate(fd, 4096) != 0 ? MAP_FAILED
						       : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return answer_of(map != MAP_FAILED && pwrite(fd, "x", 1, 0) == 1 && fsync(fd) == 0 &&
			 rename(other, world.inside) == 0 && mkdir(folder, 0700) == 0 && rmdir(folder) == 0 &&
			 unlink(world.inside) == 0);
}

/* Between two folders: landlock allows it from ABI 2 on. */
static int move_between_folders(void)
{
	char folder[120], to[140];
	snprintf(folder, sizeof folder, "%s.d", world.inside);
	snprintf(to, sizeof to, "%s/moved", folder);
	if (mkdir(folder, 0700) != 0)
		return ANSWERED_ODD;
	int answer = answer_of(rename(world.inside, to) == 0);
	return answer;
}

static int execute(void)
{
	char *const argv[] = { "true", NULL }, *const none[] = { NULL };
	return answer_of(execve("/bin/true", argv, none) == 0);
}

static int fork_one(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return answer_of(pid > 0);
}

static int be_traced(void)
{
	return answer_of(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
}

static int read_parents_memory(void)
{
	char byte;
	struct iovec ours = { &byte, 1 }, theirs = { &world, 1 };
	return answer_of(process_vm_readv(getppid(), &ours, 1, &theirs, 1, 0) == 1);
}

static int kill_parent(void)
{
	return answer_of(kill(getppid(), SIGCONT) == 0);
}

static int die_by_abort(void)
{
	abort();
}

static int clone_the_new_way(void)
{
	return answer_of(syscall(SYS_clone3, NULL, 0) == 0);
}

static int become_dumpable(void)
{
	return answer_of(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static int stay_undumpable(void)
{
	return answer_of(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
}

static int map_write_and_exec(void)
{
	return answer_of(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
			 MAP_FAILED);
}

static int make_executable(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? ANSWERED_ODD : answer_of(mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int map_a_library(void)
{
	int fd = open(world.readable, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? ANSWERED_ODD
		      : answer_of(mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED);
}

static int raise_a_limit(void)
{
	struct rlimit now;
	if (getrlimit(RLIMIT_NOFILE, &now) != 0)
		return ANSWERED_ODD;
	return answer_of(setrlimit(RLIMIT_NOFILE, &now) == 0);
}

static int type_into_the_terminal(void)
{
	return answer_of(ioctl(STDIN_FILENO, TIOCSTI, "x") == 0);
}

static int change_owner(void)
{
	return answer_of(chown(world.inside, geteuid(), getegid()) == 0);
}

static int open_socket(int family, int type, int protocol)
{
	return answer_of(socket(family, type | SOCK_CLOEXEC, protocol) >= 0);
}

static int socket_unix(void)
{
	return open_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int socket_inet(void)
{
	return open_socket(AF_INET, SOCK_STREAM, 0);
}

static int socket_inet_raw(void)
{
	return open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int socket_netlink_route(void)
{
	return open_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static int socket_netlink_other(void)
{
	return open_socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

static int socket_packet(void)
{
	return open_socket(AF_PACKET, SOCK_RAW, 0);
}

static int socket_vsock(void)
{
	return open_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int socket_crypto(void)
{
	return open_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in at = local(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? ANSWERED_ODD : answer_of(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
}

static int connect_right_port(void)
{
	return connect_to(world.right_port);
}

static int connect_wrong_port(void)
{
	return connect_to(world.wrong_port);
}

static int bind_tcp(void)
{
	struct sockaddr_in at = local(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? ANSWERED_ODD : answer_of(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
}

static int connect_abstract(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(abstract_name);
	memcpy(at.sun_path + 1, abstract_name, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? ANSWERED_ODD
		      : answer_of(connect(fd, (struct sockaddr *)&at,
					  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) == 0);
}

static int resolve_localhost(void)
{
	struct addrinfo *found = NULL, wanted = { .ai_socktype = SOCK_STREAM };
	int answer = getaddrinfo("localhost", "443", &wanted, &found);
	if (answer == 0)
		freeaddrinfo(found);
	return answer == 0 ? 0 : ANSWERED_ODD;
}

static void *read_in_thread(void *answer)
{
	*(int *)answer = read_outside();
	return NULL;
}

static int read_outside_in_a_thread(void)
{
	pthread_t thread;
	int answer = 0;
	if (pthread_create(&thread, NULL, read_in_thread, &answer) != 0 || pthread_join(thread, NULL) != 0)
		return ANSWERED_ODD;
	return answer;
}

/* --- a child that enters and tries --- */

static struct sandbox_plan plan_for(enum sandbox_role role)
{
	static const char *writable[] = { scratch, "/no/such/folder", NULL };
	static const char *readable[] = { world.readable, "/etc/hosts", "/etc/nsswitch.conf", "/no/such/file", NULL };
	return (struct sandbox_plan){ .role = role,
				      .writable = role == SANDBOX_KEEPER ? writable : NULL,
				      .readable = readable,
				      .port = world.right_port };
}

static int status_of_child(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static int tried(enum sandbox_role role, int (*attempt)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sandbox_plan plan = plan_for(role);
		struct sandbox_report report;
		struct error err;
		bool is_inside = sandbox_enter(&plan, &report, &err);
		errno = 0;
		_exit(is_inside ? attempt() : NOT_INSIDE);
	}
	return status_of_child(pid);
}

static struct sandbox_report report_as(const char *user, enum sandbox_role role)
{
	struct sandbox_report report = { 0 };
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_plan plan = plan_for(role);
		struct error err;
		_exit(sandbox_drop_to(user, "", &err) && sandbox_enter(&plan, &report, &err) &&
				      write(pipes[1], &report, sizeof report) == sizeof report
			      ? 0
			      : NOT_INSIDE);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &report, sizeof report), sizeof report);
	close(pipes[0]);
	assert_int_equal(status_of_child(pid), 0);
	return report;
}

/* Only where this kernel (or this build) has the layer can it be tried. */
static bool has_landlock(int abi)
{
	return landlock_abi() >= abi;
}

#define NEEDS_SECCOMP()                                                                                                \
	do {                                                                                                           \
		(void)state;                                                                                           \
		if (IS_SANITIZED || getenv("UNDER_VALGRIND") || !kernel_has_seccomp())                                 \
			skip();                                                                                        \
	} while (0)
#define NEEDS_LANDLOCK(abi)                                                                                            \
	do {                                                                                                           \
		(void)state;                                                                                           \
		if (getenv("UNDER_VALGRIND") || !has_landlock(abi))                                                    \
			skip();                                                                                        \
	} while (0)

/* --- files --- */

static void sandbox__files_outside_are_out_of_reach(void **state)
{
	NEEDS_LANDLOCK(3);
	static int (*const attempts[])(
		void) = { read_passwd,    read_outside, write_outside,  truncate_outside,
			  create_outside, list_root,    remove_outside, read_outside_in_a_thread };
	for (size_t i = 0; i < COUNT_OF(attempts); i++)
		assert_int_equal(tried(SANDBOX_KEEPER, attempts[i]), EACCES);
	assert_int_not_equal(tried(SANDBOX_KEEPER, truncate_by_name), 0);
	assert_int_not_equal(tried(SANDBOX_KEEPER, move_outside), 0);
	for (size_t i = 0; i < COUNT_OF(attempts); i++)
		assert_int_not_equal(tried(SANDBOX_COURIER, attempts[i]), 0);
	assert_int_equal(access("/tmp/pixelvault-sandbox-test", F_OK), -1);
	assert_int_equal(access(world.outside, F_OK), 0);
}

static void sandbox__a_readable_file_is_only_that(void **state)
{
	NEEDS_LANDLOCK(1);
	assert_int_equal(tried(SANDBOX_KEEPER, read_readable), 0);
	assert_int_equal(tried(SANDBOX_COURIER, read_readable), 0);
	assert_int_equal(tried(SANDBOX_KEEPER, write_readable), EACCES);
	assert_int_not_equal(tried(SANDBOX_COURIER, write_readable), 0);
}

static void sandbox__the_keeper_keeps_its_vault(void **state)
{
	NEEDS_LANDLOCK(2);
	assert_int_equal(tried(SANDBOX_KEEPER, move_between_folders), 0);
	write_file(world.inside, "inside");
	assert_int_equal(tried(SANDBOX_KEEPER, keep_a_vault), 0);
	assert_int_equal(access(world.inside, F_OK), -1);
}

static void sandbox__the_courier_writes_nothing_even_without_landlock(void **state)
{
	NEEDS_SECCOMP();
	known_abi = 0;
	assert_int_equal(tried(SANDBOX_COURIER, read_outside), 0);
	assert_int_equal(tried(SANDBOX_COURIER, write_outside), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, truncate_outside), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, create_outside), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, remove_outside), EPERM);
}

/* --- processes and memory --- */

static void sandbox__calls_that_only_an_intruder_makes_kill(void **state)
{
	NEEDS_SECCOMP();
	static const enum sandbox_role roles[] = { SANDBOX_KEEPER, SANDBOX_COURIER };
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		assert_int_equal(tried(roles[i], execute), KILLED + SIGSYS);
		assert_int_equal(tried(roles[i], be_traced), KILLED + SIGSYS);
		assert_int_equal(tried(roles[i], read_parents_memory), KILLED + SIGSYS);
	}
}

static const char *deadly_name;

static int call_deadly(void)
{
	return answer_of(syscall(seccomp_syscall_resolve_name(deadly_name), 0, 0, 0, 0, 0, 0) == 0);
}

static void sandbox__each_deadly_call_kills(void **state)
{
	NEEDS_SECCOMP();
	static const char *const promised[] = {
		"execve", "execveat",       "ptrace",      "process_vm_readv", "process_vm_writev", "mount",
		"bpf",    "io_uring_setup", "userfaultfd", "keyctl",           "pidfd_getfd",       "perf_event_open"
	};
	for (size_t i = 0; i < COUNT_OF(promised); i++) {
		deadly_name = promised[i];
		assert_int_equal(tried(SANDBOX_KEEPER, call_deadly), KILLED + SIGSYS);
		assert_int_equal(tried(SANDBOX_COURIER, call_deadly), KILLED + SIGSYS);
	}
}

static void sandbox__no_process_is_made_and_none_is_signalled(void **state)
{
	NEEDS_SECCOMP();
	assert_int_equal(tried(SANDBOX_KEEPER, fork_one), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, fork_one), EPERM);
	assert_int_equal(tried(SANDBOX_KEEPER, clone_the_new_way), ENOSYS);
	assert_int_equal(tried(SANDBOX_KEEPER, kill_parent), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, kill_parent), EPERM);
	assert_int_equal(tried(SANDBOX_KEEPER, die_by_abort), KILLED + SIGABRT);
}

static void sandbox__memory_stays_private_and_is_never_code(void **state)
{
	NEEDS_SECCOMP();
	static const enum sandbox_role roles[] = { SANDBOX_KEEPER, SANDBOX_COURIER };
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		assert_int_equal(tried(roles[i], become_dumpable), EPERM);
		assert_int_equal(tried(roles[i], stay_undumpable), 0);
		assert_int_equal(tried(roles[i], map_write_and_exec), EPERM);
		assert_int_equal(tried(roles[i], make_executable), EPERM);
	}
	assert_int_equal(tried(SANDBOX_KEEPER, map_a_library), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, map_a_library), 0); /* name service modules */
}

static void sandbox__what_is_on_no_list_fails_softly(void **state)
{
	NEEDS_SECCOMP();
	assert_int_equal(tried(SANDBOX_KEEPER, raise_a_limit), EPERM);
	assert_int_equal(tried(SANDBOX_KEEPER, type_into_the_terminal), EPERM);
	assert_int_equal(tried(SANDBOX_KEEPER, change_owner), EPERM);
}

/* --- the network --- */

static void sandbox__sockets_are_of_few_kinds(void **state)
{
	NEEDS_SECCOMP();
	static const struct {
		int (*attempt)(void);
		int keeper, courier;
	} rows[] = {
		{ socket_unix, 0, 0 },
		{ socket_inet, EPERM, 0 },
		{ socket_inet_raw, EPERM, EPERM },
		{ socket_netlink_route, EPERM, 0 },
		{ socket_netlink_other, EPERM, EPERM },
		{ socket_packet, EPERM, EPERM },
		{ socket_vsock, EPERM, EPERM },
		{ socket_crypto, EPERM, EPERM },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(tried(SANDBOX_KEEPER, rows[i].attempt), rows[i].keeper);
		assert_int_equal(tried(SANDBOX_COURIER, rows[i].attempt), rows[i].courier);
	}
}

static void sandbox__the_courier_reaches_one_port(void **state)
{
	NEEDS_LANDLOCK(4);
	assert_int_equal(tried(SANDBOX_COURIER, connect_right_port), 0);
	assert_int_equal(tried(SANDBOX_COURIER, connect_wrong_port), EACCES);
	assert_int_not_equal(tried(SANDBOX_COURIER, bind_tcp), 0);
	known_abi = 3;
	assert_int_equal(tried(SANDBOX_COURIER, connect_wrong_port), 0);
}

static void sandbox__no_tcp_is_bound_even_without_landlock(void **state)
{
	NEEDS_SECCOMP();
	known_abi = 0;
	assert_int_equal(tried(SANDBOX_COURIER, bind_tcp), EPERM);
}

static void sandbox__abstract_sockets_of_others_are_out_of_reach(void **state)
{
	NEEDS_LANDLOCK(6);
	assert_int_equal(tried(SANDBOX_KEEPER, connect_abstract), EPERM);
	assert_int_equal(tried(SANDBOX_COURIER, connect_abstract), EPERM);
	known_abi = 5;
	assert_int_equal(tried(SANDBOX_COURIER, connect_abstract), 0);
}

static void sandbox__names_can_still_be_resolved(void **state)
{
	NEEDS_LANDLOCK(1);
	assert_int_equal(tried(SANDBOX_COURIER, resolve_localhost), 0);
}

/* --- less of a kernel --- */

static void sandbox__an_older_landlock_protects_what_it_can(void **state)
{
	NEEDS_LANDLOCK(2);
	known_abi = 0;
	assert_int_equal(tried(SANDBOX_KEEPER, read_outside), 0);
	known_abi = 1;
	assert_int_equal(tried(SANDBOX_KEEPER, read_outside), EACCES);
	assert_int_equal(tried(SANDBOX_KEEPER, write_outside), EACCES);
	assert_int_equal(tried(SANDBOX_KEEPER, move_between_folders), EXDEV);
	char folder[120];
	snprintf(folder, sizeof folder, "%s.d", world.inside);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(tried(SANDBOX_KEEPER, keep_a_vault), 0);
	known_abi = 2;
	write_file(world.inside, "inside");
	assert_int_equal(tried(SANDBOX_KEEPER, read_outside), EACCES);
	assert_int_equal(tried(SANDBOX_KEEPER, move_between_folders), 0);
}

static void assert_says(const struct sandbox_report *r, const char *wanted)
{
	char text[SANDBOX_TEXT_MAX];
	sandbox_text(r, text);
	if (!strstr(text, wanted))
		fail_msg("'%s' does not say '%s'", text, wanted);
}

static void sandbox__the_report_says_what_holds_and_what_is_missing(void **state)
{
	(void)state;
	if (getenv("UNDER_VALGRIND"))
		skip();
	int abi = landlock_abi();
	struct sandbox_report r = report_as("", SANDBOX_KEEPER);
	assert_true(r.is_undumpable);
	assert_int_equal(r.landlock_abi, abi);
	assert_int_equal(r.has_ports, abi >= 4);
	assert_int_equal(r.has_scopes, abi >= 6);
	assert_int_equal(r.has_seccomp, !IS_SANITIZED && kernel_has_seccomp());
	assert_int_equal(r.is_unprivileged, geteuid() != 0);
	if (geteuid() == 0)
		assert_true(report_as("nobody", SANDBOX_KEEPER).is_unprivileged);
	known_abi = 0;
	r = report_as("", SANDBOX_COURIER);
	assert_int_equal(r.landlock_abi, 0);
	assert_says(&r, "no landlock (this kernel has none)");
	r = (struct sandbox_report){ .is_undumpable = true,
				     .is_locked = true,
				     .landlock_abi = 6,
				     .has_ports = true,
				     .has_scopes = true,
				     .has_seccomp = true,
				     .has_no_exec_memory = true,
				     .is_unprivileged = true };
	char text[SANDBOX_TEXT_MAX];
	sandbox_text(&r, text);
	assert_string_equal(text,
			    "undumpable, memory locked, landlock 6 (files, ports, scopes), seccomp, no exec memory");
	r = (struct sandbox_report){ .landlock_abi = 2 };
	assert_says(&r, "dumpable, memory not locked, landlock 2 (files), no seccomp (");
	assert_says(&r, "exec memory possible, still root or with capabilities");
}

/* --- entering --- */

static void *wait_for_ever(void *nothing)
{
	pause();
	return nothing;
}

static void sandbox__is_not_entered_once_threads_run(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_plan plan = plan_for(SANDBOX_KEEPER);
		struct sandbox_report report;
		struct error err = { 0 };
		pthread_t thread;
		if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
			_exit(ANSWERED_ODD);
		_exit(sandbox_enter(&plan, &report, &err) ? 0 : (int)err.code);
	}
	assert_int_equal(status_of_child(pid), ERR_UNEXPECTED);
}

static void sandbox__root_goes_on_without_its_powers(void **state)
{
	(void)state;
	if (geteuid() != 0 || getenv("UNDER_VALGRIND"))
		skip();
	assert_int_equal(tried(SANDBOX_COURIER, read_readable), 0);
	assert_int_equal(chown(world.readable, 54321, 54321), 0);
	assert_int_equal(tried(SANDBOX_COURIER, read_readable), EACCES);
	assert_int_equal(tried(SANDBOX_KEEPER, read_readable), EACCES);
}

static void sandbox__a_supervisor_still_starts_programs(void **state)
{
	NEEDS_SECCOMP();
	static int (*const attempts[])(void) = { execute, be_traced };
	static const int wanted[] = { 0, KILLED + SIGSYS };
	for (size_t i = 0; i < COUNT_OF(attempts); i++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct error err;
			_exit(sandbox_supervise(&err) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? attempts[i]()
												     : NOT_INSIDE);
		}
		assert_int_equal(status_of_child(pid), wanted[i]);
	}
}

/* --- becoming another user --- */

/* 0, or the code of the error. */
static int dropped_to(const char *user, const char *group, uid_t wanted_uid, gid_t wanted_gid)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct error err = { 0 };
		uid_t r, e, s;
		gid_t gr, ge, gs;
		if (!sandbox_drop_to(user, group, &err))
			_exit((int)err.code);
		bool is_there = getresuid(&r, &e, &s) == 0 && r == wanted_uid && e == wanted_uid && s == wanted_uid &&
				getresgid(&gr, &ge, &gs) == 0 && gr == wanted_gid && ge == wanted_gid &&
				gs == wanted_gid && getgroups(0, NULL) == 0 && setuid(0) != 0 &&
				prctl(PR_GET_DUMPABLE) == 0;
		_exit(is_there ? 0 : ANSWERED_ODD);
	}
	return status_of_child(pid);
}

static void sandbox__root_becomes_another_user_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	const struct passwd *nobody = getpwnam("nobody");
	assert_non_null(nobody);
	uid_t uid = nobody->pw_uid;
	gid_t gid = nobody->pw_gid;
	char number[16];
	snprintf(number, sizeof number, "%u", (unsigned)uid);
	assert_int_equal(dropped_to("nobody", "", uid, gid), 0);
	assert_int_equal(dropped_to(number, "", uid, gid), 0);
	assert_int_equal(dropped_to("nobody", "12345", uid, 12345), 0);
	assert_int_equal(dropped_to("54321", "12345", 54321, 12345), 0);
	assert_int_equal(dropped_to("54321", "", 54321, 0), ERR_CONFIG); /* its group would stay root's */
	assert_int_equal(dropped_to("no-such-user", "", 0, 0), ERR_CONFIG);
	assert_int_equal(dropped_to("nobody", "no-such-group", 0, 0), ERR_CONFIG);
}

static int drop_as_nobody(const char *user, const char *group)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct error err = { 0 };
		gid_t groups[] = { 777 };
		if (geteuid() == 0 && (setgroups(1, groups) != 0 || setresgid(12345, 12345, 12345) != 0 ||
				       setresuid(54321, 54321, 54321) != 0))
			_exit(NOT_INSIDE);
		_exit(sandbox_drop_to(user, group, &err) ? 0 : (int)err.code);
	}
	return status_of_child(pid);
}

static void sandbox__others_may_only_stay_who_they_are(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(drop_as_nobody("", ""), 0);
	assert_int_equal(drop_as_nobody("54321", "12345"), 0);
	assert_int_equal(drop_as_nobody("54321", "777"), 0); /* a group we are in */
	assert_int_equal(drop_as_nobody("54321", "778"), ERR_DENIED);
	assert_int_equal(drop_as_nobody("nobody", ""), ERR_DENIED);
	assert_int_equal(drop_as_nobody("root", ""), ERR_DENIED);
}

/* --- the world around it --- */

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in at = local(0);
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static int make_world(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	if (scratch_make(state) != 0)
		return -1;
	known_abi = 7;
	snprintf(world.inside, sizeof world.inside, "%s/inside", scratch);
	snprintf(world.outside, sizeof world.outside, "%s-outside", scratch);
	snprintf(world.readable, sizeof world.readable, "%s-readable", scratch);
	for (const char **path = (const char *[]){ world.inside, world.outside, world.readable, NULL }; *path; path++)
		write_file(*path, "here");
	world.right = listen_on(&world.right_port);
	world.wrong = listen_on(&world.wrong_port);
	snprintf(abstract_name, sizeof abstract_name, "pixelvault-test-%d", (int)getpid());
	memcpy(at.sun_path + 1, abstract_name, strlen(abstract_name));
	world.abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract_name));
	assert_int_equal(bind(world.abstract, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(world.abstract, 64), 0);
	return 0;
}

static int end_world(void **state)
{
	close(world.right);
	close(world.wrong);
	close(world.abstract);
	unlink(world.outside);
	unlink(world.readable);
	return scratch_remove(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sandbox__files_outside_are_out_of_reach),
		TEST(sandbox__a_readable_file_is_only_that),
		TEST(sandbox__the_keeper_keeps_its_vault),
		TEST(sandbox__the_courier_writes_nothing_even_without_landlock),
		TEST(sandbox__calls_that_only_an_intruder_makes_kill),
		TEST(sandbox__each_deadly_call_kills),
		TEST(sandbox__no_process_is_made_and_none_is_signalled),
		TEST(sandbox__memory_stays_private_and_is_never_code),
		TEST(sandbox__what_is_on_no_list_fails_softly),
		TEST(sandbox__sockets_are_of_few_kinds),
		TEST(sandbox__the_courier_reaches_one_port),
		TEST(sandbox__no_tcp_is_bound_even_without_landlock),
		TEST(sandbox__abstract_sockets_of_others_are_out_of_reach),
		TEST(sandbox__names_can_still_be_resolved),
		TEST(sandbox__an_older_landlock_protects_what_it_can),
		TEST(sandbox__the_report_says_what_holds_and_what_is_missing),
		TEST(sandbox__is_not_entered_once_threads_run),
		TEST(sandbox__root_goes_on_without_its_powers),
		TEST(sandbox__a_supervisor_still_starts_programs),
		TEST(sandbox__root_becomes_another_user_for_good),
		TEST(sandbox__others_may_only_stay_who_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
