/* tests/support/stepper.c - kill a program at one of its system calls, or hold it still at each.
 *
 *     stepper [-x LOOK] COUNT-FILE N PROGRAM ARG...
 *     stepper COUNT-FILE ask=FD PROGRAM ARG...
 *
 * Runs PROGRAM under ptrace, with everything it forks, and kills the whole tree with SIGKILL at the N-th syscall stop
 * (each call stops twice, at its entry and at its exit; N = 0: never). The number of stops seen goes to COUNT-FILE.
 * With ask=FD it kills nothing: at each stop it writes a byte to the socket FD and waits there for one back, while all
 * of the tree that has come to a stop stands still. A `q`, or the end of the socket: ask no more.
 * With -x, each process that ends is held while LOOK PID runs: all its memory is still there.
 * Exit status: the program's; 137 when it was killed here; 125 when the stepper itself failed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TREE_MAX = 256, FAILED = 125, KILLED = 137 };

static pid_t tree[TREE_MAX];
static size_t tree_count;
static const char *look_with; /* at the end of each process; NULL = at none */

static void remember(pid_t pid)
{
	for (size_t i = 0; i < tree_count; i++)
		if (tree[i] == pid)
			return;
	if (tree_count < TREE_MAX)
		tree[tree_count++] = pid;
}

static void forget(pid_t pid)
{
	for (size_t i = 0; i < tree_count; i++)
		if (tree[i] == pid)
			tree[i] = tree[--tree_count];
}

static void kill_tree(void)
{
	int status;
	pid_t pid;

	for (size_t i = 0; i < tree_count; i++)
		(void)kill(tree[i], SIGKILL);
	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
		if (pid > 0 && WIFSTOPPED(status)) /* born in this moment: not remembered yet */
			(void)kill(pid, SIGKILL);
}

static int child(char **argv)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
		return FAILED;
	execvp(argv[0], argv);
	return FAILED;
}

/* False: not again. */
static bool ask(int fd)
{
	char answer = 'q';
	return write(fd, "?", 1) == 1 && read(fd, &answer, 1) == 1 && answer != 'q';
}

static int look_at(pid_t pid)
{
	char number[16];
	int status = 0;
	pid_t looker;

	if (syscall(SYS_tgkill, pid, pid, 0) != 0)
		return 1; /* a thread that ends while its process goes on */
	snprintf(number, sizeof number, "%ld", (long)pid);
	looker = fork();
	if (looker == 0) {
		execl(look_with, look_with, number, (char *)NULL);
		_exit(FAILED);
	}
	return looker > 0 && waitpid(looker, &status, 0) == looker && status == 0;
}

/* Every stop of every process until the tree is gone; the first child's status. */
static int follow(pid_t first, long kill_at, int asked, long *ret_stops)
{
	int first_status = FAILED, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int signal = 0;

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			forget(pid);
			if (pid == first)
				first_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		remember(pid);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (++*ret_stops == kill_at) {
				kill_tree();
				return KILLED;
			}
			if (asked >= 0 && !ask(asked))
				asked = -1;
		} else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			if (!look_at(pid))
				return FAILED;
		} else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			signal = WSTOPSIG(status); /* a real one: hand it on */
		}
		(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signal);
	}
	return first_status;
}

int main(int argc, char **argv)
{
	long stops = 0;
	int status, asked = -1;
	pid_t first;
	FILE *file;

	if (argc > 2 && strcmp(argv[1], "-x") == 0) {
		look_with = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 4) {
		fputs("usage: stepper [-x LOOK] COUNT-FILE N|ask=FD PROGRAM ARG...\n", stderr);
		return FAILED;
	}
	if (strncmp(argv[2], "ask=", 4) == 0 &&
	    (asked = (int)strtol(argv[2] + 4, NULL, 10), fcntl(asked, F_SETFD, FD_CLOEXEC) != 0))
		return FAILED;
	first = fork();
	if (first == 0)
		_exit(child(argv + 3));
	if (first < 0 || waitpid(first, &status, __WALL) != first || !WIFSTOPPED(status))
		return FAILED;
	remember(first);
	if (ptrace(PTRACE_SETOPTIONS, first, NULL,
		   (void *)(long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | (look_with ? PTRACE_O_TRACEEXIT : 0))) ||
	    ptrace(PTRACE_SYSCALL, first, NULL, NULL))
		return FAILED;
	status = follow(first, asked < 0 ? strtol(argv[2], NULL, 10) : 0, asked, &stops);
	file = fopen(argv[1], "we");
	if (!file || fprintf(file, "%ld\n", stops) < 0 || fclose(file))
		return FAILED;
	return status;
}
