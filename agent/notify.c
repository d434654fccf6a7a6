#include "agent/notify.h"

#include "core/utf8.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SEND_MS 1000 /* a busy systemd is waited for; a stopped one is not waited for without end */
#define STATUS_MAX 512

static bool parse_number(const char *text, int64_t *ret)
{
	char *end;
	errno = 0;
	long long value = text && *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : -1;
	if (value < 0 || errno || *end)
		return false;
	*ret = value;
	return true;
}

static int64_t watchdog_ms(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	int64_t of_pid, usec;
	if (pid && (!parse_number(pid, &of_pid) || of_pid != getpid()))
		return 0;
	return parse_number(getenv("WATCHDOG_USEC"), &usec) && usec >= 1000 ? usec / 1000 : 0;
}

/* '/' begins a path, '@' an abstract name. */
static bool parse_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_len)
{
	size_t len = text ? strlen(text) : 0;
	if (len < 2 || len >= sizeof ret->sun_path || (*text != '/' && *text != '@'))
		return false;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, text, len);
	if (*text == '@')
		ret->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*text == '/'));
	return true;
}

void notify_open(struct notify *ret)
{
	struct timeval wait = { .tv_usec = SEND_MS % 1000 * 1000, .tv_sec = SEND_MS / 1000 };
	*ret = (struct notify){ .fd = -1 };
	if (!parse_address(getenv("NOTIFY_SOCKET"), &ret->to, &ret->to_len))
		return;
	ret->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ret->fd < 0)
		return;
	(void)setsockopt(ret->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	ret->watchdog_ms = watchdog_ms();
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* Nobody to tell when it fails, and nothing to do about it: systemd notices by its own time limits. */
static void tell(const struct notify *n, const char *text)
{
	if (n->fd < 0)
		return;
	while (sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->to_len) < 0 &&
	       errno == EINTR)
		;
}

static void tell_status(const struct notify *n, const char *before, const char *status)
{
	char clean[STATUS_MAX], text[STATUS_MAX + 64];
	snprintf(clean, sizeof clean, "%s", status);
	utf8_defang(clean);
	snprintf(text, sizeof text, "%sSTATUS=%s", before, clean);
	tell(n, text);
}

void notify_ready(struct notify *n, const char *status)
{
	tell_status(n, "READY=1\n", status);
}

void notify_status(struct notify *n, const char *status)
{
	tell_status(n, "", status);
}

void notify_reloading(struct notify *n)
{
	struct timespec now;
	char text[96];
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	tell(n, text);
}

void notify_stopping(struct notify *n)
{
	tell(n, "STOPPING=1");
}

void notify_alive(struct notify *n, int64_t now_boot_ms)
{
	if (n->watchdog_ms == 0 || (n->pinged_ms && now_boot_ms - n->pinged_ms < n->watchdog_ms / 4))
		return;
	n->pinged_ms = now_boot_ms;
	tell(n, "WATCHDOG=1");
}
