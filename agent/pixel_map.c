#include "agent/pixel_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

void pixel_map_done(struct pixel_map *m)
{
	free(m->at);
	*m = (struct pixel_map){ 0 };
}

/* FNV-1a; what is stored is chosen by people with the right to put, so nobody gains from making it slow. */
static size_t hash_of(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return (size_t)(hash ^ hash >> 32);
}

static size_t place_of(const struct pixel_map *m, const char *pixel)
{
	size_t i = hash_of(pixel) & (m->room - 1);
	while (m->at[i] && strcmp(m->at[i], pixel) != 0)
		i = (i + 1) & (m->room - 1);
	return i;
}

const char *pixel_map_find(const struct pixel_map *m, const char *pixel)
{
	return m->room ? m->at[place_of(m, pixel)] : NULL;
}

static bool grow(struct pixel_map *m, struct error *err)
{
	struct pixel_map bigger = { .count = m->count, .room = m->room ? m->room * 2 : ROOM_FIRST };
	bigger.at = calloc(bigger.room, sizeof *bigger.at);
	if (!bigger.at)
		return fail_no_memory(err);
	for (size_t i = 0; i < m->room; i++)
		if (m->at[i])
			bigger.at[place_of(&bigger, m->at[i])] = m->at[i];
	free(m->at);
	*m = bigger;
	return true;
}

bool pixel_map_put(struct pixel_map *m, const char *thing, const char **ret_before, struct error *err)
{
	if (m->count * 2 >= m->room && !grow(m, err))
		return false;
	size_t i = place_of(m, thing);
	*ret_before = m->at[i];
	m->count += m->at[i] == NULL;
	m->at[i] = thing;
	return true;
}

/* What stood behind the hole because its own place was taken moves up. */
static void close_hole(struct pixel_map *m, size_t hole)
{
	for (size_t i = (hole + 1) & (m->room - 1); m->at[i]; i = (i + 1) & (m->room - 1)) {
		size_t home = hash_of(m->at[i]) & (m->room - 1);
		bool is_home_behind_hole = ((i - home) & (m->room - 1)) < ((i - hole) & (m->room - 1));
		if (is_home_behind_hole)
			continue;
		m->at[hole] = m->at[i];
		hole = i;
	}
	m->at[hole] = NULL;
}

const char *pixel_map_remove(struct pixel_map *m, const char *pixel)
{
	if (!m->room)
		return NULL;
	size_t i = place_of(m, pixel);
	const char *found = m->at[i];
	if (found) {
		close_hole(m, i);
		m->count--;
	}
	return found;
}

void *pixel_map_make(struct pixel_map *m, const char *pixel, size_t size, struct error *err)
{
	char *found = (char *)(uintptr_t)pixel_map_find(m, pixel);
	const char *none;
	if (found)
		return found;
	found = calloc(1, size);
	if (!found) {
		(void)!fail_no_memory(err);
		return NULL;
	}
	memcpy(found, pixel, strlen(pixel) + 1);
	if (pixel_map_put(m, found, &none, err))
		return found;
	free(found);
	return NULL;
}

void pixel_map_drop(struct pixel_map *m, const char *pixel)
{
	free((void *)(uintptr_t)pixel_map_remove(m, pixel));
}

void pixel_map_empty(struct pixel_map *m)
{
	for (size_t i = 0; i < m->room; i++)
		free((void *)(uintptr_t)m->at[i]);
	pixel_map_done(m);
}
