#include "core/error.h"

#include "core/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name, *meaning;
} codes[ERR_COUNT] = {
	[ERR_NONE] = { "ok", "done, or nothing to do" },
	[ERR_UNEXPECTED] = { "unexpected", "unexpected error" },
	[ERR_USAGE] = { "usage", "wrong usage" },
	[ERR_NOT_FOUND] = { "not-found", "no such Pixel or version" },
	[ERR_LOCKED] = { "locked", "locked, and may not prompt" },
	[ERR_DENIED] = { "denied", "denied" },
	[ERR_WRONG_KEY] = { "wrong-key", "wrong passphrase or key" },
	[ERR_DAMAGED] = { "damaged", "vault damaged, tampered with or rolled back" },
	[ERR_CONFLICT] = { "conflict", "busy, or in conflict with another change" },
	[ERR_UNREACHABLE] = { "unreachable", "TikTok unreachable or throttling, try later" },
	[ERR_EXPIRED] = { "expired", "token expired or revoked" },
	[ERR_MISMATCHED] = { "mismatched", "token belongs to another Pixel, or has no permission" },
	[ERR_PARTIAL] = { "partial", "partly done" },
	[ERR_CONFIG] = { "bad-config", "bad configuration" },
	[ERR_DUE] = { "due", "a token is due soon" },
	[ERR_MALFORMED] = { "malformed", "malformed token or Pixel code" },
	[ERR_UNCLEAR] = { "unclear", "TikTok's answer could not be judged" },
	[ERR_STORAGE] = { "storage", "storage full, read-only or failing" },
};

const char *error_name(enum error_code code)
{
	return (unsigned)code < ERR_COUNT ? codes[code].name : codes[ERR_UNEXPECTED].name;
}

const char *error_meaning(enum error_code code)
{
	return (unsigned)code < ERR_COUNT ? codes[code].meaning : codes[ERR_UNEXPECTED].meaning;
}

__attribute__((format(printf, 4, 0))) static void fill(struct error *err, enum error_code code, const char *class,
						       const char *message, const char *hint, va_list args)
{
	err->code = code;
	err->class = class;
	vsnprintf(err->message, sizeof err->message, message, args);
	snprintf(err->hint, sizeof err->hint, "%s", hint);
	/* An argument may be a label or a path of a stranger's choosing; a terminal must not act on it. */
	utf8_defang(err->message);
}

bool fail(struct error *err, enum error_code code, const char *message, const char *hint, ...)
{
	va_list args;
	va_start(args, hint);
	fill(err, code, NULL, message, hint, args);
	va_end(args);
	return false;
}

bool fail_class(struct error *err, enum error_code code, const char *class, const char *message, const char *hint, ...)
{
	va_list args;
	va_start(args, hint);
	fill(err, code, class, message, hint, args);
	va_end(args);
	return false;
}

bool fail_no_memory(struct error *err)
{
	return fail(err, ERR_UNEXPECTED, "out of memory", "free some memory, then look what is stored and try again");
}

bool error_is_passing(int number)
{
	return number == EAGAIN || number == EINTR;
}
