/* core/buf.h - owned bytes with a ceiling from birth, wiped when they go.
 *
 * Appending never fails half-way: what does not fit, or finds no memory, sets `is_bad` and every later append is
 * ignored; the caller asks buf_ok() once at the end. Not for secrets at rest (see core/secret.h), but no byte that
 * passed through a buf is left behind in freed memory. */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include "core/bytes.h"
#include "core/error.h"

struct buf {
	uint8_t *at;
	size_t len, cap, max;
	bool is_bad;
};

#define BUF_INIT(ceiling)                                                                                              \
	{                                                                                                              \
		.max = (ceiling)                                                                                       \
	}

void buf_done(struct buf *b);  /* wipes and frees; the buf may be used again */
void buf_clear(struct buf *b); /* empties and wipes, keeps the room */

void buf_append(struct buf *b, const void *at, size_t len);
void buf_append_text(struct buf *b, const char *text);
void buf_append_uint(struct buf *b, size_t width, uint64_t value);
/* Text behind its length in `width` bytes. */
void buf_append_counted(struct buf *b, size_t width, const char *text);
void buf_append_zeros(struct buf *b, size_t len);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for at least len more bytes, to be filled by the caller who then adds to b->len. NULL when there is none. */
uint8_t *buf_room(struct buf *b, size_t len);

must_check bool buf_ok(const struct buf *b, struct error *err);

static inline struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->at, b->len);
}

#endif
