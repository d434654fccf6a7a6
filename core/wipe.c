#include "core/wipe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The size stands in front of the block, as long as the strictest alignment so that the block keeps it. */
union head {
	size_t len;
	max_align_t align;
};

void wipe(void *at, size_t len)
{
	/* libc's: libsodium's would bring much of that library into the small program that `get` is. */
	if (len)
		explicit_bzero(at, len);
}

__attribute__((noinline)) void wipe_stack(void)
{
	uint8_t below[4096];
	wipe(below, sizeof below);
}

static union head *head_of(const void *at)
{
	return (union head *)((uintptr_t)at - sizeof(union head));
}

void *wipe_malloc(size_t len)
{
	if (len > SIZE_MAX - sizeof(union head))
		return NULL;
	union head *head = malloc(sizeof *head + len);
	if (!head)
		return NULL;
	head->len = len;
	return head + 1;
}

void *wipe_calloc(size_t count, size_t len)
{
	if (len && count > SIZE_MAX / len)
		return NULL;
	void *at = wipe_malloc(count * len);
	if (at)
		memset(at, 0, count * len);
	return at;
}

void *wipe_realloc(void *at, size_t len)
{
	if (!at)
		return wipe_malloc(len);
	size_t old = head_of(at)->len;
	if (len <= old && len >= old / 2)
		return at;
	void *moved = wipe_malloc(len);
	if (!moved)
		return NULL;
	memcpy(moved, at, old < len ? old : len);
	wipe_free(at);
	return moved;
}

char *wipe_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = wipe_malloc(len);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}

void wipe_free(void *at)
{
	if (!at)
		return;
	union head *head = head_of(at);
	wipe(at, head->len);
	free(head);
}

void wipe_freep(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;
	wipe_free(*p);
	*p = NULL;
}

size_t wipe_size(const void *at)
{
	return at ? head_of(at)->len : 0;
}
