/* hostile SOCKET IDLE DRIP: IDLE connections that say nothing and DRIP connections that send a request one byte at a
 * time, from ten processes of ten other users (when started by root; of this one otherwise). What the server closes is
 * opened again, 20 times a second. Runs until it is killed; says once how many connections stood. */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 10
#define FIRST_UID 20000
#define STEP_MS 50 /* between two bytes, and between two attempts to connect again */

static int dial(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(path) >= sizeof at.sun_path)
		return -1;
	memcpy(at.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Another user, who may still connect: the socket's group. */
static int become(int number, const char *path)
{
	struct stat st;
	if (geteuid() != 0)
		return 1;
	return stat(path, &st) == 0 && setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 &&
	       setuid((uid_t)(FIRST_UID + number)) == 0;
}

struct crowd {
	size_t count, idle;
	struct pollfd *ends;
	size_t *sent;
};

/* A byte of the head's beginning, then of a header line without end. */
static void drip_byte(struct crowd *c, size_t i)
{
	static const char head[] = "GET /v1/pixels/CB0000000000000001G0/token HTTP/1.1\r\nHost: localhost\r\nX-Drip: ";
	char byte = c->sent[i] < sizeof head - 1 ? head[c->sent[i]] : 'x';
	c->sent[i] += send(c->ends[i].fd, &byte, 1, MSG_NOSIGNAL) == 1;
}

static void take_turn(struct crowd *c, const char *path)
{
	(void)poll(c->ends, (nfds_t)c->count, 0);
	for (size_t i = 0; i < c->count; i++) {
		struct pollfd *end = &c->ends[i];
		if (end->fd >= 0 && end->revents) {
			close(end->fd);
			end->fd = -1;
		}
		if (end->fd < 0) {
			*end = (struct pollfd){ .fd = dial(path), .events = POLLIN };
			c->sent[i] = 0;
		} else if (i >= c->idle) {
			drip_byte(c, i);
		}
	}
}

static void pester(const char *path, size_t idle, size_t drip)
{
	struct crowd c = { .count = idle + drip, .idle = idle };
	c.ends = calloc(c.count, sizeof *c.ends);
	c.sent = calloc(c.count, sizeof *c.sent);
	for (size_t i = 0; c.ends && i < c.count; i++)
		c.ends[i].fd = -1;
	for (size_t turn = 0; c.ends && c.sent; turn++) {
		take_turn(&c, path);
		if (turn == 15) {
			size_t open = 0;
			for (size_t i = 0; i < c.count; i++)
				open += c.ends[i].fd >= 0;
			fprintf(stderr, "uid %d holds %zu of %zu connections\n", (int)getuid(), open, c.count);
		}
		poll(NULL, 0, STEP_MS);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	size_t idle = strtoul(argv[2], NULL, 10) / PROCESSES, drip = strtoul(argv[3], NULL, 10) / PROCESSES;
	struct rlimit files = { 4096, 4096 };
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (!become(i, argv[1]))
				_exit(1);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pester(argv[1], idle, drip);
			_exit(1);
		}
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 1;
}
