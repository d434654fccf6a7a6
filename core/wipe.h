/* core/wipe.h - the wiping allocator.
 *
 * Same contract as malloc and friends, but every block is overwritten before it goes back to the heap, also when it
 * moves. It is given to the libraries through which a token or its key passes: libcurl, cJSON and SQLite (libcurl was
 * measured to leave two copies of a header in freed memory, cJSON one). Thread-safe, as libcurl resolves names in a
 * thread. */
#ifndef CORE_WIPE_H
#define CORE_WIPE_H

#include <stddef.h>

void wipe(void *at, size_t len); /* never optimised away; NULL with 0 is fine */
/* What a function that has returned left below the caller's frame: libsodium's hash spills words of its input there. */
void wipe_stack(void);

void *wipe_malloc(size_t len);
void *wipe_calloc(size_t count, size_t len);
void *wipe_realloc(void *at, size_t len);
char *wipe_strdup(const char *text);
void wipe_free(void *at);
void wipe_freep(void *pointer_to_pointer); /* for scoped() */
size_t wipe_size(const void *at);          /* the usable length of a block */

#endif
