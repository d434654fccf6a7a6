#include "core/secret.h"

#include "core/wipe.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNIT 64u

struct secret {
	size_t len, units;
	uint8_t *at;
};

/* One byte per unit lies outside the arena, so that a stray write into a secret cannot derail the allocator. */
static struct {
	uint8_t *at;
	uint8_t *used;
	size_t units, len; /* len: whole pages, without the two fences */
	bool is_locked;
	pthread_mutex_t mutex; /* of used */
} arena = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static size_t page_size(void)
{
	return (size_t)getpagesize();
}

/* Pages nobody may touch lie before and behind: a run over the end is a crash, never a neighbour's bytes. */
static uint8_t *map_fenced(size_t len)
{
	size_t page = page_size();
	uint8_t *at = mmap(NULL, len + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (mprotect(at + page, len, PROT_READ | PROT_WRITE) == 0)
		return at + page;
	munmap(at, len + 2 * page);
	return NULL;
}

bool secret_arena_open_bare(size_t len, struct error *err)
{
	if (arena.at)
		return true;
	size_t page = page_size(), whole = (len + page - 1) / page * page;
	uint8_t *used = calloc(whole / UNIT, 1);
	uint8_t *at = used ? map_fenced(whole) : NULL;
	if (!at) {
		free(used);
		return fail_no_memory(err);
	}
	arena.at = at;
	arena.used = used;
	arena.units = whole / UNIT;
	arena.len = whole;
	/* A page is locked when it is first touched: a command that holds one token pays for one page. */
	arena.is_locked = mlock2(at, whole, MLOCK_ONFAULT) == 0 || mlock(at, whole) == 0;
	return true;
}

bool secret_arena_open(size_t len, struct error *err)
{
	if (sodium_init() < 0)
		return fail(err, ERR_UNEXPECTED, "libsodium could not be initialised",
			    "the system gives no randomness; check /dev/urandom");
	if (!secret_arena_open_bare(len, err))
		return false;
	(void)madvise(arena.at, arena.len, MADV_DONTDUMP);
	/* A helper forked before its exec sees zeros; where the kernel cannot, the exec comes at once all the same. */
	(void)madvise(arena.at, arena.len, MADV_WIPEONFORK);
	return true;
}

bool secret_arena_is_locked(void)
{
	return arena.is_locked;
}

void secret_arena_close(void)
{
	if (!arena.at)
		return;
	/* What was freed is wiped already, and what was never used is zero. */
	for (size_t i = 0; i < arena.units; i++)
		if (arena.used[i])
			wipe(arena.at + i * UNIT, UNIT);
	munmap(arena.at - page_size(), arena.len + 2 * page_size());
	free(arena.used);
	arena.at = arena.used = NULL;
	arena.units = 0;
	arena.is_locked = false;
}

static bool take_units(size_t count, size_t *ret)
{
	uint8_t *end = arena.used + arena.units, *free_from = NULL, *used_from = arena.used;
	pthread_mutex_lock(&arena.mutex);
	while ((free_from = memchr(used_from, 0, (size_t)(end - used_from)))) {
		used_from = memchr(free_from, 1, (size_t)(end - free_from));
		if (!used_from)
			used_from = end;
		if ((size_t)(used_from - free_from) >= count)
			break;
	}
	if (free_from) {
		memset(free_from, 1, count);
		*ret = (size_t)(free_from - arena.used);
	}
	pthread_mutex_unlock(&arena.mutex);
	return free_from != NULL;
}

static void give_units(size_t first, size_t count)
{
	pthread_mutex_lock(&arena.mutex);
	memset(arena.used + first, 0, count);
	pthread_mutex_unlock(&arena.mutex);
}

bool secret_new(size_t len, struct secret **ret, struct error *err)
{
	size_t units = len ? (len + UNIT - 1) / UNIT : 1, first;
	if (units > arena.units || !take_units(units, &first))
		return fail(err, ERR_UNEXPECTED, "no room for another secret in locked memory",
			    "raise the limit of locked memory (ulimit -l) or ask for fewer tokens at once");
	struct secret *s = malloc(sizeof *s);
	if (!s) {
		give_units(first, units);
		return fail_no_memory(err);
	}
	*s = (struct secret){ .len = len, .units = units, .at = arena.at + first * UNIT };
	*ret = s;
	return true;
}

bool secret_copy(struct bytes from, struct secret **ret, struct error *err)
{
	struct secret *s;
	if (!secret_new(from.len, &s, err))
		return false;
	if (from.len)
		memcpy(s->at, from.at, from.len);
	*ret = s;
	return true;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	if (arena.at) {
		wipe(s->at, s->units * UNIT);
		give_units((size_t)(s->at - arena.at) / UNIT, s->units);
	}
	free(s);
}

void secret_freep(struct secret **s)
{
	secret_free(*s);
	*s = NULL;
}

struct bytes secret_reveal(const struct secret *s)
{
	return bytes_of(s->at, s->len);
}

uint8_t *secret_room(struct secret *s)
{
	return s->at;
}

size_t secret_len(const struct secret *s)
{
	return s->len;
}

void secret_cut(struct secret *s, size_t len)
{
	if (len >= s->len)
		return;
	wipe(s->at + len, s->len - len);
	s->len = len;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && sodium_memcmp(a->at, b->at, a->len) == 0;
}

bool secret_read(int fd, size_t max, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *s = NULL;
	if (!secret_new(max + 1, &s, err))
		return false;
	size_t len = 0;
	while (len <= max) {
		ssize_t got = read(fd, s->at + len, max + 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(err, errno == EBADF || errno == EISDIR ? ERR_USAGE : ERR_STORAGE,
				    "the secret could not be read: %s",
				    "check the disk, and that the file or descriptor is open for reading", strerror(errno));
		if (got == 0)
			break;
		len += (size_t)got;
	}
	if (len > max)
		return fail(err, ERR_USAGE, "more than %zu bytes where a secret was expected",
			    "give just the secret: is this the right file?", max);
	secret_cut(s, len);
	*ret = take(s);
	return true;
}
