/* tests/support/agent_by_clock.c - makes of vault-agent's own objects an agent whose clocks a test can move while it runs.
 *
 * Linked in front of the C library, so that nothing has to get past the empty environment and the sandbox of the
 * agent's processes. PIXELVAULT_TEST_CLOCK names a file of two numbers (struct moved, in the machine's order), which
 * the test writes: by how much wall and boot clock are ahead of the true ones. It is mapped before main, and so before
 * there is a sandbox. The courier, whose environment is empty, has the true clocks. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct moved {
	_Atomic int64_t wall_s, boot_s;
};

static const struct moved nowhere;
static const struct moved *moved = &nowhere;

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv("PIXELVAULT_TEST_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (!path)
		return;
	void *at = mmap(NULL, sizeof *moved, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		perror(path);
		_exit(125);
	}
	moved = at;
	close(fd);
}

static int64_t ahead_s(clockid_t clock)
{
	return clock == CLOCK_REALTIME ? moved->wall_s : clock == CLOCK_BOOTTIME ? moved->boot_s : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (syscall(SYS_clock_gettime, clock, ret) != 0)
		return -1;
	ret->tv_sec += ahead_s(clock);
	return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
	struct timespec there = *until;
	if (flags & TIMER_ABSTIME)
		there.tv_sec -= ahead_s(clock);
	return syscall(SYS_clock_nanosleep, clock, flags, &there, left) == 0 ? 0 : errno;
}
