/* ask SOCKET REQUEST REPLY [PROGRAM ...]: the yardstick of `get` and `run`: what any client of a server behind a Unix socket
 * costs. Connects, writes REQUEST bytes, reads REPLY bytes, and writes those out, or becomes PROGRAM. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char bytes[65536];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t request = argc > 3 ? strtoul(argv[2], NULL, 10) : 0, reply = argc > 3 ? strtoul(argv[3], NULL, 10) : 0, got = 0;
	if (!request || request > sizeof bytes || reply > sizeof bytes || strlen(argv[1]) >= sizeof at.sun_path)
		return 2;
	memcpy(at.sun_path, argv[1], strlen(argv[1]));
	if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || write(fd, bytes, request) != (ssize_t)request)
		return 1;
	while (got < reply) {
		ssize_t n = read(fd, bytes + got, sizeof bytes - got);
		if (n <= 0)
			return 1;
		got += (size_t)n;
	}
	if (argc == 4)
		return write(1, bytes, got) != (ssize_t)got;
	execvp(argv[4], argv + 4);
	return 127;
}
