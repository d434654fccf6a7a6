#include "core/log.h"

#include "core/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The one mutable global the style allows. */
static struct {
	char program[32];
	enum log_level most_detailed;
	bool is_journal;
} sink = { .program = "pixelvault", .most_detailed = LOG_INFO };

/* The journal gives each service device and inode of the stream it reads; stderr may have been redirected since.
 * Source: systemd.exec(5), $JOURNAL_STREAM. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;
	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

void log_open(const char *program, enum log_level most_detailed)
{
	snprintf(sink.program, sizeof sink.program, "%s", program);
	sink.most_detailed = most_detailed;
	sink.is_journal = stderr_is_journal();
}

/* One write a line, so that the lines of several processes do not mix. A stranger's text must not start a line of its
 * own nor reach a terminal as an escape. */
static void put_line(enum log_level level, const char *head, const char *text)
{
	char line[1024];
	char prefix[8] = "";
	if (sink.is_journal)
		snprintf(prefix, sizeof prefix, "<%d>", (int)level);
	snprintf(line, sizeof line - 1, "%s%s%s", prefix, head, text);
	utf8_defang(line);
	size_t end = strlen(line);
	line[end++] = '\n';
	while (write(STDERR_FILENO, line, end) < 0 && errno == EINTR)
		;
}

void log_line(enum log_level level, const char *format, ...)
{
	char head[40], text[960];
	va_list args;
	if (level > sink.most_detailed)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(head, sizeof head, "%s: ", sink.program);
	put_line(level, head, text);
}

void log_error(const struct error *err)
{
	log_line(LOG_ERROR, "%s", err->message);
	if (err->hint[0])
		put_line(LOG_ERROR, "  hint: ", err->hint);
}
