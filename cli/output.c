#include "cli/output.h"

#include "cli/text.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 768

bool output_is_closed(void)
{
	return fcntl(STDOUT_FILENO, F_GETFD) < 0 && errno == EBADF;
}

static void write_stderr(struct bytes text)
{
	struct error unused;
	/* Where stderr itself is gone there is nobody left to tell. */
	if (!file_write_all(STDERR_FILENO, text, "standard error", &unused))
		return;
}

static void emit(struct invocation *inv, const char *text, size_t len)
{
	if (inv->style == STYLE_TEXT)
		write_stderr(bytes_of(text, len));
	else
		buf_append(&inv->held, text, len);
}

/* A label or TikTok's own words may hold what a terminal would act on. */
static void defang(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

__attribute__((format(printf, 3, 0))) static void say_line(struct invocation *inv, const char *before,
							   const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	size_t at = (size_t)snprintf(line, sizeof line, "%s", before);
	vsnprintf(line + at, sizeof line - at - 1, format, args);
	defang(line + at);
	size_t len = strlen(line);
	line[len++] = '\n';
	emit(inv, line, len);
}

void say(struct invocation *inv, const char *format, ...)
{
	va_list args;
	if (inv->globals.quiet)
		return;
	va_start(args, format);
	say_line(inv, "vault: ", format, args);
	va_end(args);
}

__attribute__((format(printf, 3, 4))) static void say_plain(struct invocation *inv, const char *before,
							    const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say_line(inv, before, format, args);
	va_end(args);
}

void say_problem(struct invocation *inv, const char *hint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say_line(inv, "vault: ", format, args);
	va_end(args);
	if (hint && *hint)
		say_plain(inv, "  hint: ", "%s", hint);
}

bool output_write(struct invocation *inv, struct bytes data, struct error *err)
{
	if (!data.len)
		return true;
	if (inv->is_stdout_closed)
		return fail(err, ERR_STORAGE, TXT_OUTPUT_CLOSED);
	inv->is_output_begun = true;
	while (data.len) {
		ssize_t put = write(STDOUT_FILENO, data.at, data.len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return fail(err, put < 0 && errno == EPIPE ? ERR_UNEXPECTED : ERR_STORAGE, TXT_OUTPUT_FAILED,
				    strerror(put < 0 ? errno : ENOSPC));
		data.at += put;
		data.len -= (size_t)put;
	}
	return true;
}

/* Some file systems (NFS, quotas) say only at close that what was written is lost. */
static bool close_stdout(struct invocation *inv, struct error *err)
{
	if (!inv->is_output_begun || inv->is_stdout_closed)
		return true;
	inv->is_stdout_closed = true;
	if (close(STDOUT_FILENO) == 0 || errno == EINTR)
		return true;
	return fail(err, ERR_STORAGE, TXT_OUTPUT_FAILED, strerror(errno));
}

static void tell_text(const struct error *err)
{
	char text[sizeof err->message + sizeof err->hint + 32];
	int len = snprintf(text, sizeof text, "vault: %s\n%s%s%s", err->message, *err->hint ? "  hint: " : "",
			   err->hint, *err->hint ? "\n" : "");
	write_stderr(bytes_of(text, (size_t)len));
}

static void append_json_error(struct invocation *inv, const struct error *err, int status)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_object(&j, "error");
	json_text(&j, "code", error_name(err->code));
	json_int(&j, "exit", status);
	if (err->class)
		json_text(&j, "class", err->class);
	json_text(&j, "message", err->message);
	json_text(&j, "hint", *err->hint ? err->hint : NULL);
	json_end_object(&j);
	output_json_end(inv, &j);
}

/* What monitoring reads: one line, in which a bar would begin performance data. */
static void append_nagios_error(struct invocation *inv, const struct error *err)
{
	size_t at = inv->out.len;
	buf_printf(&inv->out, "PIXELVAULT UNKNOWN - %s", err->message);
	for (size_t i = at; i < inv->out.len; i++)
		if (inv->out.at[i] == '|')
			inv->out.at[i] = '/';
	buf_append_text(&inv->out, "\n");
}

static int tell(struct invocation *inv, const struct error *err)
{
	struct error second = { .code = ERR_NONE };
	int status = inv->exit ? inv->exit : (int)err->code;
	buf_clear(&inv->out);
	/* Half an object on stdout is not made better by another one. */
	if (inv->style == STYLE_TEXT || inv->is_output_begun) {
		tell_text(err);
		return status;
	}
	if (inv->style == STYLE_JSON) {
		append_json_error(inv, err, status);
	} else {
		append_nagios_error(inv, err);
		status = 3;
	}
	/* No room for an object: the words are told all the same. */
	if (!buf_ok(&inv->out, &second) || !output_write(inv, buf_bytes(&inv->out), &second))
		tell_text(err);
	return status;
}

void output_release(struct invocation *inv)
{
	write_stderr(buf_bytes(&inv->held));
	buf_clear(&inv->held);
}

int output_finish(struct invocation *inv, bool is_done, struct error *err)
{
	if (!is_done || !buf_ok(&inv->out, err))
		return tell(inv, err);
	if (!output_write(inv, buf_bytes(&inv->out), err) || !close_stdout(inv, err)) {
		inv->exit = 0;
		return tell(inv, err);
	}
	if (inv->exit == 0)
		output_release(inv);
	return inv->exit;
}

void output_json_begin(struct json *j)
{
	json_object(j, NULL);
	json_int(j, "schema", 1);
}

void output_json_end(struct invocation *inv, struct json *j)
{
	json_end_object(j);
	buf_append_text(&inv->out, "\n");
}
