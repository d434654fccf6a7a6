/* agent/pixel_map.h - things found by Pixel code. Each thing is a struct of the user's that begins with the code as text;
 * the map holds pointers, and owns only what it made (pixel_map_make). Open addressing; grows, never shrinks. */
#ifndef AGENT_PIXEL_MAP_H
#define AGENT_PIXEL_MAP_H

#include "core/error.h"

#include <stddef.h>

struct pixel_map {
	const char **at; /* NULL = free */
	size_t count, room;
};

void pixel_map_done(struct pixel_map *m);
const char *pixel_map_find(const struct pixel_map *m, const char *pixel);
/* *ret_before is what stood there under the same code, or NULL. */
must_check bool pixel_map_put(struct pixel_map *m, const char *thing, const char **ret_before, struct error *err);
const char *pixel_map_remove(struct pixel_map *m, const char *pixel); /* NULL = was not there */
/* The thing under this code, or a new one of `size` zero bytes behind its code, which goes with pixel_map_drop or
 * pixel_map_empty. NULL: no memory, err is filled. */
void *pixel_map_make(struct pixel_map *m, const char *pixel, size_t size, struct error *err);
void pixel_map_drop(struct pixel_map *m, const char *pixel);
void pixel_map_empty(struct pixel_map *m);

/* For i from 0 to room - 1: the thing in this place, or NULL. */
static inline const char *pixel_map_at(const struct pixel_map *m, size_t i)
{
	return m->at[i];
}

#endif
