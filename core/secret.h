/* core/secret.h - a secret is a type.
 *
 * Opaque, so "%s" with one does not compile; its bytes live in one arena that is locked into memory, left out of core
 * dumps, fenced by guard pages and wiped on free. Nothing prints, logs or compares a secret by hand; it leaves by
 * secret_reveal, and each call of that is a line for the reviewer.
 *
 * Different secrets may be made, used and freed by different threads.
 *
 * The arena is the one piece of process-wide state besides the log level: memory locks are per process, and libsodium's
 * allocator hides a failed lock, so there is exactly one place that locks and asks whether it worked. Making and freeing
 * secrets is thread-safe; a secret itself belongs to one thread at a time. */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include "core/bytes.h"
#include "core/error.h"

struct secret;

#define SECRET_ARENA_SMALL (64u * 1024)   /* one-shot commands */
#define SECRET_ARENA_LARGE (1024u * 1024) /* processes that hold many tokens in flight */
#define SECRET_ARENA_BULK (6u * 1024 * 1024) /* a file of many tokens at once; fits the usual limit of locked memory */

/* Must come first; initialises libsodium as well. Fails only when there is no memory at all: whether the pages could
 * be locked is told by secret_arena_is_locked, and the caller decides (the CLI warns, the agent refuses). */
must_check bool secret_arena_open(size_t len, struct error *err);
/* The same for a process that only hands secrets on: no library is initialised, and what protects from core dumps and
 * forks is left to the process (undumpable, starts no helper). secret_arena_open may still follow, for the rest. */
must_check bool secret_arena_open_bare(size_t len, struct error *err);
bool secret_arena_is_locked(void);
void secret_arena_close(void); /* wipes everything; secrets still held become invalid */

must_check bool secret_new(size_t len, struct secret **ret, struct error *err); /* zeroed; len 0 is fine */
must_check bool secret_copy(struct bytes from, struct secret **ret, struct error *err);
void secret_free(struct secret *s); /* NULL is fine */
void secret_freep(struct secret **s);

struct bytes secret_reveal(const struct secret *s); /* borrowed */
uint8_t *secret_room(struct secret *s);             /* to fill a new one */
size_t secret_len(const struct secret *s);
void secret_cut(struct secret *s, size_t len);                     /* shorter only; the tail is wiped */
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time for equal lengths */

/* Everything that fd gives until its end, at most max bytes (ERR_USAGE when there is more, or fd is not for reading; ERR_STORAGE
 * when reading fails). read(2) only: stdio would keep a copy. */
must_check bool secret_read(int fd, size_t max, struct secret **ret, struct error *err);

#endif
