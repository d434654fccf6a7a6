#include "tests/emulator/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_grow(void *at, size_t size)
{
	void *ret = realloc(at, size ? size : 1);

	if (!ret) {
		fputs("tiktok-emulator: out of memory\n", stderr);
		abort();
	}
	return ret;
}

void *must_alloc(size_t size)
{
	return memset(must_grow(NULL, size), 0, size);
}

char *must_copy(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(must_grow(NULL, size), s, size);
}

static char *text_room(struct text *t, size_t len)
{
	if (t->cap - t->len <= len) {
		t->cap = (t->len + len + 1) * 2;
		t->at = must_grow(t->at, t->cap);
	}
	return t->at + t->len;
}

void text_add(struct text *t, const void *at, size_t len)
{
	char *end = text_room(t, len);

	if (len)
		memcpy(end, at, len);
	end[len] = '\0';
	t->len += len;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_fill(struct text *t, char c, size_t count)
{
	char *end = text_room(t, count);

	memset(end, c, count);
	end[count] = '\0';
	t->len += count;
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	(void)text_room(t, 200);
	len = vsnprintf(t->at + t->len, t->cap - t->len, format, args);
	if (len > 0 && (size_t)len >= t->cap - t->len) {
		(void)text_room(t, (size_t)len);
		len = vsnprintf(t->at + t->len, t->cap - t->len, format, again);
	}
	if (len > 0)
		t->len += (size_t)len;
	va_end(again);
	va_end(args);
}

void text_json(struct text *t, const char *s)
{
	const char *plain = s;

	text_add(t, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_add(t, plain, (size_t)(s - plain));
		if (c < 0x20)
			text_printf(t, "\\u%04x", c);
		else
			text_printf(t, "\\%c", c);
		plain = s + 1;
	}
	text_add(t, plain, (size_t)(s - plain));
	text_add(t, "\"", 1);
}

void text_word(struct text *t, const char *s)
{
	const char *plain = s ? s : "-";

	for (s = plain; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c > 0x20 && c < 0x7f && c != '\\')
			continue;
		text_add(t, plain, (size_t)(s - plain));
		text_printf(t, "\\x%02x", c);
		plain = s + 1;
	}
	text_add(t, plain, (size_t)(s - plain));
}

static const char *value_of(const char *name, size_t len, const char *const *pairs)
{
	for (; pairs[0]; pairs += 2)
		if (strlen(pairs[0]) == len && !memcmp(pairs[0], name, len))
			return pairs[1];
	return NULL;
}

void text_expand(struct text *t, const char *pattern, const char *const *pairs)
{
	while (*pattern) {
		size_t plain = strcspn(pattern, "{");
		size_t name = pattern[plain] ? strcspn(pattern + plain + 1, "{}\"") : 0;
		const char *value = name && pattern[plain + 1 + name] == '}' ? value_of(pattern + plain + 1, name, pairs) : NULL;

		text_add(t, pattern, plain);
		pattern += plain;
		if (value) {
			text_puts(t, value);
			pattern += name + 2;
		} else if (*pattern) {
			text_add(t, pattern++, 1);
		}
	}
}

void text_clear(struct text *t)
{
	text_add(t, "", 0);
	t->len = 0;
	t->at[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}
