#include "agent/syslog.h"

#include "agent/render.h"
#include "core/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL "/run/systemd/journal/socket"
#define DEV_LOG "/dev/log"
#define FACILITY_DAEMON 3
#define DATAGRAM_MAX 8192 /* what every log daemon takes */

/* As in syslog(3). */
static unsigned level_of(const struct alert_message *m)
{
	static const unsigned levels[] = { 6, 4, 2 };
	return m->event == ALERT_RECOVERY || m->event == ALERT_TEST ? 5 : levels[m->severity];
}

static bool is_journal(const char *path)
{
	static const char end[] = "journal/socket";
	size_t len = strlen(path);
	return len >= sizeof end - 1 && strcmp(path + len - (sizeof end - 1), end) == 0;
}

/* Source: systemd.io/JOURNAL_NATIVE_PROTOCOL. No value of ours holds a line end, so the simple form serves. */
static void put_for_journal(const struct alert_message *m, struct bytes line, struct buf *out)
{
	buf_printf(out,
		   "PRIORITY=%u\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=pixelvault\nPIXELVAULT_EVENT=%s\n"
		   "PIXELVAULT_SEVERITY=%s\nPIXELVAULT_ID=%s\nMESSAGE=%.*s\n",
		   level_of(m), FACILITY_DAEMON, alert_event_name(m->event), alert_severity_name(m->severity), m->id,
		   (int)line.len, (const char *)line.at);
}

/* What syslog(3) writes but for the time, which every daemon of today takes from its own clock. */
static void put_for_daemon(const struct alert_message *m, struct bytes line, struct buf *out)
{
	buf_printf(out, "<%u>pixelvault: %.*s", FACILITY_DAEMON * 8 + level_of(m), (int)line.len,
		   (const char *)line.at);
}

/* A log has room for few lines at a time, by Linux' default ten, and reads on meanwhile. */
static bool send_in_time(int fd, const struct buf *datagram, int64_t until_ms)
{
	while (send(fd, datagram->at, datagram->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		struct pollfd event = { .fd = fd, .events = POLLOUT };
		int64_t left_ms = until_ms - clock_boot_ms();
		if (!error_is_passing(errno) || left_ms <= 0)
			return false;
		(void)poll(&event, 1, (int)left_ms);
	}
	return true;
}

static bool send_lines(int fd, bool to_journal, const struct alert_message *m, struct bytes lines, int64_t until_ms)
{
	struct buf datagram = BUF_INIT(DATAGRAM_MAX);
	bool is_sent = true;
	while (is_sent && lines.len) {
		const uint8_t *end = memchr(lines.at, '\n', lines.len);
		struct bytes line;
		if (!end || !bytes_take(&lines, (size_t)(end - lines.at) + 1, &line))
			break;
		line.len--;
		(to_journal ? put_for_journal : put_for_daemon)(m, line, &datagram);
		is_sent = send_in_time(fd, &datagram, until_ms);
		buf_clear(&datagram);
	}
	int why = errno;
	buf_done(&datagram);
	errno = why;
	return is_sent;
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	int why = errno;
	if (fd >= 0)
		close(fd);
	errno = why;
	return -1;
}

void syslog_send(const char *socket, int64_t time_limit_s, const struct alert_message *m, struct delivery_result *ret)
{
	int64_t until_ms = clock_boot_ms() + time_limit_s * 1000;
	const char *path = socket[0] ? socket : access(JOURNAL, W_OK) == 0 ? JOURNAL : DEV_LOG;
	struct buf lines = BUF_INIT(RENDER_MAX);
	int fd = connect_to(path);
	*ret = (struct delivery_result){ .outcome = DELIVERY_DONE };
	render_log(m, &lines);
	if (fd < 0 || lines.is_bad || !send_lines(fd, is_journal(path), m, buf_bytes(&lines), until_ms)) {
		ret->outcome = DELIVERY_LATER;
		snprintf(ret->reason, sizeof ret->reason, "the log at '%.80s' does not take it: %s", path,
			 strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	buf_done(&lines);
}
