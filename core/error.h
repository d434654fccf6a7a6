/* core/error.h - failing is an answer.
 *
 * A function that can fail returns bool and fills the caller's struct error once, where the cause is known. The code
 * steers the program (it is the exit status), the class tells a script which kind of that failure it was, the message
 * tells a person what failed and the hint what to do next. By value: cannot leak, cannot fail. On failure results are
 * untouched, on success the error is. Failing is cold: the compiler lays it apart from the way that is mostly taken. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include "core/scoped.h"

#include <stdbool.h>
#include <string.h>

/* The numbers are the exit codes users script against: never renumber, only add. */
enum error_code {
	ERR_NONE = 0,
	ERR_UNEXPECTED = 1,
	ERR_USAGE = 2,
	ERR_NOT_FOUND = 3,
	ERR_LOCKED = 4,
	ERR_DENIED = 5,
	ERR_WRONG_KEY = 6,
	ERR_DAMAGED = 7,
	ERR_CONFLICT = 8,
	ERR_UNREACHABLE = 9,
	ERR_EXPIRED = 10,
	ERR_MISMATCHED = 11,
	ERR_PARTIAL = 12,
	ERR_CONFIG = 13,
	ERR_DUE = 14,
	ERR_MALFORMED = 15,
	ERR_UNCLEAR = 16,
	ERR_STORAGE = 17,
	ERR_COUNT
};

struct error {
	enum error_code code;
	const char *class; /* a literal such as "rolled-back", or NULL where the code says it all */
	char message[320];
	char hint[240];
};

/* Fill err and return false, so that `return fail(...)` is the whole error path. message is a printf format for the
 * arguments, hint is printed as it is. Control characters that arguments bring along become '?'. */
must_check bool fail(struct error *err, enum error_code code, const char *message, const char *hint, ...)
	__attribute__((cold, format(printf, 3, 5)));
must_check bool fail_class(struct error *err, enum error_code code, const char *class, const char *message,
			   const char *hint, ...) __attribute__((cold, format(printf, 4, 6)));

must_check bool fail_no_memory(struct error *err) __attribute__((cold));

/* Of a call that does not wait: nothing can be had at the moment, or a signal came in between. The same is tried again. */
bool error_is_passing(int number);

/* The name of a code in JSON ("not-found") and its meaning in one line ("no such Pixel or version"). */
const char *error_name(enum error_code code);
const char *error_meaning(enum error_code code);

/* For texts that repeat what was given: it might be a token in the wrong place, so only what is too short for one is
 * said again. */
static inline const char *error_repeatable(const char *given)
{
	return strlen(given) < 32 ? given : "(too long to repeat)";
}

#endif
