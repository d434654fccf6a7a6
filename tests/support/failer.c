/* tests/support/failer.c - make a program's file calls fail.
 *
 *     failer REPORT CALLS ERROR FIRST LAST PROGRAM ARG...
 *
 * Runs PROGRAM under ptrace, with everything it forks, and makes the FIRST-th to the LAST-th of the CALLS (names, with
 * commas between, or "all") fail with ERROR (EIO, ENOSPC, ...). A call that fails is not made, but for close, which is:
 * so does the kernel. ERROR "short": the call is made, for half of the bytes; "none": it is made as ever. FIRST = 0:
 * none fails. What the loader does to libraries is not counted, nor what goes to stderr: nobody could say then what
 * failed. REPORT gets a line for each call that failed, its name and its file, and then the number of calls seen. Exit
 * status: the program's, 128 + its signal, 125 when failer itself failed.
 *
 * FAILER_FILE=TEXT: only calls about files with this text in their name count. FAILER_WHILE=FILE: they fail only while
 * FILE is there. FAILER_ONLY=WORD: only those of processes with this word among their arguments.
 *
 * FAILER_CONTROL=FILE: a struct control, which a test writes and reads while the program runs, says all this instead of
 * ERROR, FIRST and LAST; CALLS are those among which it chooses.
 *
 * The kernel hands over nothing but these calls (seccomp, SECCOMP_RET_TRACE). For x86-64. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 125 };

#ifdef __x86_64__

/* Which argument says what the call is about. */
enum about { FD, PATH, PATH_AT, LOCK };

static const struct call {
	const char *name;
	long number;
	enum about about;
} table[] = {
	{ "open", SYS_open, PATH },
	{ "openat", SYS_openat, PATH_AT },
	{ "read", SYS_read, FD },
	{ "pread64", SYS_pread64, FD },
	{ "write", SYS_write, FD },
	{ "writev", SYS_writev, FD },
	{ "pwrite64", SYS_pwrite64, FD },
	{ "fsync", SYS_fsync, FD },
	{ "fdatasync", SYS_fdatasync, FD },
	{ "ftruncate", SYS_ftruncate, FD },
	{ "fallocate", SYS_fallocate, FD },
	{ "close", SYS_close, FD },
	{ "flock", SYS_flock, FD },
	{ "fcntl", SYS_fcntl, LOCK },
	{ "rename", SYS_rename, PATH },
	{ "renameat", SYS_renameat, PATH_AT },
	{ "renameat2", SYS_renameat2, PATH_AT },
	{ "link", SYS_link, PATH },
	{ "linkat", SYS_linkat, PATH_AT },
	{ "unlink", SYS_unlink, PATH },
	{ "unlinkat", SYS_unlinkat, PATH_AT },
	{ "mkdir", SYS_mkdir, PATH },
	{ "fchmod", SYS_fchmod, FD },
	{ "fstat", SYS_fstat, FD },
	{ "newfstatat", SYS_newfstatat, PATH_AT },
	{ "getdents64", SYS_getdents64, FD },
};
enum { CALLS = sizeof table / sizeof *table };

static const struct {
	const char *name;
	int number;
} errors[] = { { "EIO", EIO },       { "ENOSPC", ENOSPC }, { "EROFS", EROFS },
	       { "EDQUOT", EDQUOT }, { "EINTR", EINTR },   { "EACCES", EACCES },
	       { "EMFILE", EMFILE }, { "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN } };

/* All of them numbers of 8 bytes, in the machine's order; which: bits, in the order of the table. */
static struct control {
	int64_t seen, failed, error, first, last;
	uint64_t which, has_failed;
	char file[256], synced[256]; /* whose call failed first, and of those the first that was to make something durable */
} own, *now = &own;

enum { UNKNOWN = -2, NONE, SHORT };
static FILE *report;
static const char *only_file, *only_while, *only_word;
static struct {
	pid_t pid;
	long rc;
} leaving[16]; /* calls that are made and whose answer is changed at their exit */

static int is_wanted(const char *calls, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = calls; (at = strstr(at, name)); at += len)
		if ((at == calls || at[-1] == ',') && (at[len] == ',' || !at[len]))
			return 1;
	return strcmp(calls, "all") == 0;
}

static int hand_over(const char *calls)
{
	struct sock_filter filter[2 * CALLS + 2] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							      offsetof(struct seccomp_data, nr)) };
	unsigned short n = 1;
	for (size_t i = 0; i < CALLS; i++) {
		if (!is_wanted(calls, table[i].name))
			continue;
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)table[i].number, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | (unsigned)i);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { n, filter };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int child(const char *calls, char **argv)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP) || hand_over(calls))
		return FAILED;
	execvp(argv[0], argv);
	return FAILED;
}

static void file_of_fd(pid_t pid, int fd, char ret[PATH_MAX])
{
	char link[64];
	(void)snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
	ssize_t len = readlink(link, ret, PATH_MAX - 1);
	ret[len > 0 ? len : 0] = '\0';
}

/* A text in the program, read up to the end of a page each: the next may not be there. */
static void text_at(pid_t pid, size_t at, char ret[PATH_MAX])
{
	size_t got = 0;
	memset(ret, 0, PATH_MAX);
	while (got < PATH_MAX - 1) {
		size_t len = 4096 - (at + got) % 4096;
		struct iovec to = { ret + got, len < PATH_MAX - 1 - got ? len : PATH_MAX - 1 - got };
		struct iovec from = { (char *)at + got, to.iov_len };
		ssize_t n = process_vm_readv(pid, &to, 1, &from, 1, 0);
		if (n <= 0 || memchr(ret + got, '\0', (size_t)n))
			return;
		got += (size_t)n;
	}
}

/* The file that a call is about, as far as it can be told. */
static void file_of(pid_t pid, const struct call *call, const struct user_regs_struct *regs, char ret[PATH_MAX])
{
	ret[0] = '\0';
	if (call->about == PATH || call->about == PATH_AT)
		text_at(pid, call->about == PATH ? regs->rdi : regs->rsi, ret);
	if (!ret[0])
		file_of_fd(pid, (int)regs->rdi, ret);
}

/* Locks are taken by these; that one is given back does not fail. */
static int takes_lock(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	int command = (int)regs->rsi;
	struct flock range = { 0 };
	struct iovec to = { &range, sizeof range }, from = { (void *)(size_t)regs->rdx, sizeof range };

	if (call->number == SYS_flock)
		return !(command & LOCK_UN);
	if (command != F_SETLK && command != F_SETLKW && command != F_OFD_SETLK && command != F_OFD_SETLKW)
		return 0;
	return process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)sizeof range && range.l_type != F_UNLCK;
}

static int is_counted(pid_t pid, const struct call *call, const struct user_regs_struct *regs, const char *file)
{
	if ((call->about == LOCK || call->number == SYS_flock) && !takes_lock(pid, call, regs))
		return 0;
	if ((call->number == SYS_write || call->number == SYS_writev) && (int)regs->rdi == STDERR_FILENO)
		return 0;
	if (only_file && !strstr(file, only_file))
		return 0;
	return !strstr(file, ".so") && strncmp(file, "/etc/ld", 7) != 0;
}

static int is_of_interest(pid_t pid)
{
	char path[64], words[4096] = "";
	(void)snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	FILE *f = only_word ? fopen(path, "re") : NULL;
	size_t len = f ? fread(words, 1, sizeof words - 1, f) : 0;
	if (f)
		(void)fclose(f);
	for (size_t i = 0; i < len; i += strlen(words + i) + 1)
		if (strcmp(words + i, only_word) == 0)
			return 1;
	return !only_word;
}

static void keep_name(char to[256], const char *file)
{
	if (!to[0])
		(void)snprintf(to, 256, "%.255s", file);
}

static void note(unsigned long which, const char *file)
{
	now->failed++;
	now->has_failed |= 1ULL << which;
	keep_name(now->file, file);
	if (table[which].number == SYS_fsync || table[which].number == SYS_fdatasync)
		keep_name(now->synced, file);
	(void)fprintf(report, "%s %s\n", table[which].name, file);
}

static int moves_bytes(long number)
{
	return number == SYS_read || number == SYS_write || number == SYS_pread64 || number == SYS_pwrite64;
}

static void remember(pid_t pid, long rc)
{
	for (size_t i = 0; i < sizeof leaving / sizeof *leaving; i++)
		if (!leaving[i].pid) {
			leaving[i].pid = pid;
			leaving[i].rc = rc;
			return;
		}
}

/* A call is about to be made; is its exit to be seen as well? */
static int meet(pid_t pid, unsigned long which)
{
	const struct call *call = &table[which];
	struct user_regs_struct regs;
	char file[PATH_MAX];

	int error = (int)now->error;

	if (which >= CALLS || !(now->which >> which & 1) || ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		return 0;
	file_of(pid, call, &regs, file);
	if (!is_counted(pid, call, &regs, file) || !is_of_interest(pid) || (error == SHORT && (!moves_bytes(call->number) || regs.rdx < 2)))
		return 0;
	if (++now->seen < now->first || now->seen > now->last || !now->first ||
	    (only_while && access(only_while, F_OK) != 0))
		return 0;
	note(which, file);
	if (error == NONE)
		return 0;
	if (error != SHORT && call->number == SYS_close) {
		remember(pid, -error);
		return 1;
	}
	if (error != SHORT) {
		regs.orig_rax = (unsigned long long)-1;
		regs.rax = (unsigned long long)(long long)-error;
	} else {
		regs.rdx /= 2;
	}
	(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
	return 0;
}

static void leave(pid_t pid)
{
	struct user_regs_struct regs;
	for (size_t i = 0; i < sizeof leaving / sizeof *leaving; i++)
		if (leaving[i].pid == pid) {
			leaving[i].pid = 0;
			if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0) {
				regs.rax = (unsigned long long)leaving[i].rc;
				(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
			}
		}
}

/* Every stop of every process until the tree is gone; the first child's status. */
static int follow(pid_t root)
{
	int root_status = FAILED, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int signal = 0, sees_exit = 0;
		unsigned long which = 0;

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == root)
				root_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
			if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &which) == 0)
				sees_exit = meet(pid, which);
		} else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			leave(pid);
		} else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			signal = WSTOPSIG(status); /* a real one: hand it on */
		}
		(void)ptrace(sees_exit ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, (void *)(long)signal);
	}
	return root_status;
}

static int error_called(const char *name)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].number;
	return strcmp(name, "short") == 0 ? SHORT : strcmp(name, "none") == 0 ? NONE : UNKNOWN;
}

static int run(char **argv)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP;
	int status;
	pid_t root = fork();

	if (root == 0)
		_exit(child(argv[2], argv + 6));
	if (root < 0 || waitpid(root, &status, __WALL) != root || !WIFSTOPPED(status))
		return FAILED;
	if (ptrace(PTRACE_SETOPTIONS, root, NULL, (void *)options) || ptrace(PTRACE_CONT, root, NULL, NULL))
		return FAILED;
	return follow(root);
}

static int open_control(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		now = at;
	return at != MAP_FAILED;
}

int main(int argc, char **argv)
{
	if (argc < 7 || (own.error = error_called(argv[3])) == UNKNOWN) {
		fputs("usage: failer REPORT CALLS ERROR FIRST LAST PROGRAM ARG...\n", stderr);
		return FAILED;
	}
	own.first = strtol(argv[4], NULL, 10);
	own.last = strtol(argv[5], NULL, 10);
	own.which = ~0ULL;
	only_word = getenv("FAILER_ONLY");
	only_file = getenv("FAILER_FILE");
	only_while = getenv("FAILER_WHILE");
	report = fopen(argv[1], "we");
	const char *control = getenv("FAILER_CONTROL");
	if (!report || (control && !open_control(control)))
		return FAILED;
	int status = run(argv);
	if (fprintf(report, "%lld\n", (long long)now->seen) < 0 || fclose(report))
		return FAILED;
	return status;
}

#else

int main(void)
{
	fputs("failer: only for x86-64\n", stderr);
	return FAILED;
}

#endif
