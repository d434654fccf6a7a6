#include "tests/emulator/table.h"

#include <stdlib.h>
#include <string.h>

#include "tests/emulator/text.h"

static uint64_t hash_of(const char *key)
{
	uint64_t hash = 14695981039346656037U; /* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211U;
	return hash ^ hash >> 29;
}

/* The slot that holds the key, or the free one where it belongs. */
static struct table_slot *slot_of(const struct table *t, const char *key, uint64_t hash)
{
	size_t i = (size_t)hash & (t->cap - 1);

	while (t->slots[i].key && (t->slots[i].hash != hash || strcmp(t->slots[i].key, key)))
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

void *table_get(const struct table *t, const char *key)
{
	return t->cap ? slot_of(t, key, hash_of(key))->value : NULL;
}

static void double_size(struct table *t)
{
	struct table old = *t;

	t->cap = old.cap ? old.cap * 2 : 64;
	t->slots = must_alloc(t->cap * sizeof *t->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key)
			*slot_of(t, old.slots[i].key, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void table_put(struct table *t, const char *key, void *value)
{
	uint64_t hash = hash_of(key);
	struct table_slot *slot;

	if (t->count * 2 >= t->cap)
		double_size(t);
	slot = slot_of(t, key, hash);
	t->count += !slot->key;
	*slot = (struct table_slot){ .key = slot->key ? slot->key : key, .hash = hash, .value = value };
}

void table_free(struct table *t)
{
	free(t->slots);
	*t = (struct table){ 0 };
}
