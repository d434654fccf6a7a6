#include "core/buf.h"

#include "core/wipe.h"

#include <stdarg.h>
#include <stdio.h>

void buf_done(struct buf *b)
{
	wipe_free(b->at);
	*b = (struct buf)BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
	if (b->at)
		wipe(b->at, b->len);
	b->len = 0;
	b->is_bad = false;
}

uint8_t *buf_room(struct buf *b, size_t len)
{
	if (b->is_bad)
		return NULL;
	if (b->at && len <= b->cap - b->len)
		return b->at + b->len;
	if (len > b->max - b->len) {
		b->is_bad = true;
		return NULL;
	}
	size_t cap = b->cap ? b->cap : b->max < 256 ? b->max : 256;
	while (cap - b->len < len)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	uint8_t *at = wipe_realloc(b->at, cap ? cap : 1);
	if (!at) {
		b->is_bad = true;
		return NULL;
	}
	b->at = at;
	b->cap = cap;
	return b->at + b->len;
}

void buf_append(struct buf *b, const void *at, size_t len)
{
	uint8_t *room = len ? buf_room(b, len) : NULL;
	if (!room)
		return;
	memcpy(room, at, len);
	b->len += len;
}

void buf_append_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_append_uint(struct buf *b, size_t width, uint64_t value)
{
	uint8_t *room = buf_room(b, width);
	if (!room)
		return;
	for (size_t i = 0; i < width; i++)
		room[i] = (uint8_t)(value >> (8 * i));
	b->len += width;
}

void buf_append_counted(struct buf *b, size_t width, const char *text)
{
	size_t len = strlen(text);
	buf_append_uint(b, width, len);
	buf_append(b, text, len);
}

void buf_append_zeros(struct buf *b, size_t len)
{
	uint8_t *room = len ? buf_room(b, len) : NULL;
	if (!room)
		return;
	memset(room, 0, len);
	b->len += len;
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	uint8_t *room = len < 0 ? NULL : buf_room(b, (size_t)len + 1);
	if (room) {
		vsnprintf((char *)room, (size_t)len + 1, format, again);
		b->len += (size_t)len;
	} else {
		b->is_bad = true;
	}
	va_end(again);
}

bool buf_ok(const struct buf *b, struct error *err)
{
	if (!b->is_bad)
		return true;
	return fail(err, ERR_UNEXPECTED, "out of room: more than %zu bytes, or no memory",
		    "this is more data than pixelvault handles at once; nothing was changed", b->max);
}
