/* tests/emulator/text.h - a growing string, and the three ways we quote one.
 * Always NUL-terminated once something was added. Running out of memory ends the emulator with a message:
 * it is a test program, and a half-made world would make tests lie. */
#ifndef EMULATOR_TEXT_H
#define EMULATOR_TEXT_H

#include <stddef.h>

#define scoped(f) __attribute__((cleanup(f)))

struct text {
	char *at;
	size_t len, cap;
};

void text_add(struct text *t, const void *at, size_t len);
void text_puts(struct text *t, const char *s);
void text_fill(struct text *t, char c, size_t count);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As a JSON string, quotes included; bytes from 0x80 up go through as they are. */
void text_json(struct text *t, const char *s);

/* For one line of a log: blanks, control characters, backslashes and bytes from 0x7f up become \xNN; NULL becomes "-". */
void text_word(struct text *t, const char *s);

/* `pattern` with each {name} replaced by the value after it in `pairs` (name, value, ..., NULL). */
void text_expand(struct text *t, const char *pattern, const char *const *pairs);

void text_clear(struct text *t); /* empty, memory kept */
void text_free(struct text *t);

/* malloc and strdup that do not come back empty-handed. */
void *must_alloc(size_t size);
void *must_grow(void *at, size_t size);
char *must_copy(const char *s);

#endif
