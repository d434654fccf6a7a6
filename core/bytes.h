/* core/bytes.h - borrowed views that carry their length.
 *
 * A parser takes from the front: a short input is a false, never a read too far. Integers are little-endian, as in
 * every format of ours. */
#ifndef CORE_BYTES_H
#define CORE_BYTES_H

#include "core/scoped.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *at;
	size_t len;
};

static inline struct bytes bytes_of(const void *at, size_t len)
{
	return (struct bytes){ at, len };
}

static inline struct bytes bytes_of_text(const char *text)
{
	return bytes_of(text, strlen(text));
}

must_check static inline bool bytes_take(struct bytes *from, size_t len, struct bytes *ret)
{
	if (from->len < len)
		return false;
	*ret = bytes_of(from->at, len);
	from->at += len;
	from->len -= len;
	return true;
}

must_check static inline bool bytes_take_copy(struct bytes *from, void *to, size_t len)
{
	struct bytes part;
	if (!bytes_take(from, len, &part))
		return false;
	if (len)
		memcpy(to, part.at, len);
	return true;
}

must_check static inline bool bytes_take_uint(struct bytes *from, size_t width, uint64_t *ret)
{
	struct bytes part;
	if (!bytes_take(from, width, &part))
		return false;
	*ret = 0;
	for (size_t i = width; i-- > 0;)
		*ret = *ret << 8 | part.at[i];
	return true;
}

#define BYTES_TAKE_INT(name, type)                                                                                     \
	must_check static inline bool bytes_take_##name(struct bytes *from, type *ret)                                 \
	{                                                                                                              \
		uint64_t value;                                                                                        \
		if (!bytes_take_uint(from, sizeof(type), &value))                                                      \
			return false;                                                                                  \
		*ret = (type)value;                                                                                    \
		return true;                                                                                           \
	}
BYTES_TAKE_INT(u8, uint8_t)
BYTES_TAKE_INT(u16, uint16_t)
BYTES_TAKE_INT(u32, uint32_t)
BYTES_TAKE_INT(u64, uint64_t)
BYTES_TAKE_INT(i64, int64_t)
#undef BYTES_TAKE_INT

/* Text behind its length in `width` bytes, copied with a terminator; false when it does not fit cap or holds a NUL. */
must_check static inline bool bytes_take_counted(struct bytes *from, size_t width, char *ret, size_t cap)
{
	uint64_t len;
	struct bytes text;
	if (!bytes_take_uint(from, width, &len) || len >= cap || !bytes_take(from, (size_t)len, &text) ||
	    (text.len && memchr(text.at, 0, text.len)))
		return false;
	if (text.len)
		memcpy(ret, text.at, text.len);
	ret[text.len] = '\0';
	return true;
}

/* What snprintf("%s") and strspn would do. They lie far off in libc and cost a short-lived process several page faults,
 * which is more than all else that `vault get` through an agent does with texts. */
static inline void text_copy(char *ret, size_t size, const char *text)
{
	size_t len = strlen(text);
	if (len >= size)
		len = size - 1;
	memcpy(ret, text, len);
	ret[len] = '\0';
}

/* Decimal, without a NUL, into at most 20 bytes; returns the end. */
static inline char *text_number(char *ret, uint64_t number)
{
	char digits[20];
	size_t len = 0;
	do
		digits[len++] = (char)('0' + number % 10);
	while (number /= 10);
	while (len)
		*ret++ = digits[--len];
	return ret;
}

static inline bool text_is_only_of(const char *text, const char *letters)
{
	while (*text && strchr(letters, *text))
		text++;
	return !*text;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

#endif
