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

/* One bit per unit lies outside the arena, so that a stray write into a secret cannot derail the allocator. */
static struct {
	uint8_t *at;
	uint8_t *used;
	size_t units;
	bool is_locked;
	pthread_mutex_t mutex; /* of used */
} arena = { .mutex = PTHREAD_MUTEX_INITIALIZER };

bool secret_arena_open(size_t len, struct error *err)
{
	if (arena.at)
		return true;
	if (sodium_init() < 0)
		return fail(err, ERR_UNEXPECTED, "libsodium could not be initialised",
			    "the system gives no randomness; check /dev/urandom");
	size_t units = len / UNIT;
	uint8_t *used = calloc(units, 1);
	uint8_t *at = used ? sodium_malloc(units * UNIT) : NULL;
	if (!at) {
		free(used);
		return fail_no_memory(err);
	}
	arena.at = at;
	arena.used = used;
	arena.units = units;
	/* sodium_malloc locks too but swallows the failure; asking again tells the truth. */
	arena.is_locked = sodium_mlock(at, units * UNIT) == 0;
	/* A helper forked before its exec sees zeros; where the kernel cannot, the exec comes at once all the same. */
	(void)madvise(at, units * UNIT, MADV_WIPEONFORK);
	memset(at, 0, units * UNIT);
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
	sodium_free(arena.at); /* wipes and unlocks */
	free(arena.used);
	arena.at = arena.used = NULL;
	arena.units = 0;
	arena.is_locked = false;
}

static bool take_units(size_t count, size_t *ret)
{
	size_t run = 0;
	pthread_mutex_lock(&arena.mutex);
	for (size_t i = 0; i < arena.units && run < count; i++) {
		run = arena.used[i] ? 0 : run + 1;
		*ret = i + 1 - run;
	}
	if (run == count)
		memset(arena.used + *ret, 1, count);
	pthread_mutex_unlock(&arena.mutex);
	return run == count;
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
			return fail(err, ERR_USAGE, "the secret could not be read: %s",
				    "check that the file or descriptor is open for reading", strerror(errno));
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
