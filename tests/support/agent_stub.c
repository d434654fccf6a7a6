/* agent_stub SOCKET: what an agent costs a client at the least. Answers every request at once with one and the same
 * token, as the protocol says an agent would; for timing whole processes of `vault get`. Ends with its parent. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char answer[] =
	"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nETag: \"3\"\r\nX-Version: 3\r\nX-Verdict: healthy\r\n"
	"X-Fingerprint: tk-7Q2M-9FKD\r\nX-Proven-At: 2026-11-23T04:05:06Z\r\nContent-Type: text/plain\r\n"
	"Content-Length: 40\r\n\r\n0123456789abcdef0123456789abcdef01234567";

static void serve(int fd)
{
	char request[4096];
	size_t len = 0;
	ssize_t got;
	while ((got = read(fd, request + len, sizeof request - 1 - len)) > 0) {
		len += (size_t)got;
		request[len] = '\0';
		if (!strstr(request, "\r\n\r\n"))
			continue;
		if (write(fd, answer, sizeof answer - 1) < 0)
			return;
		len = 0;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
		return 2;
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		int one = accept(fd, NULL, NULL);
		if (one >= 0) {
			serve(one);
			close(one);
		}
	}
}
