/* tests/emulator/table.h - names to things, found in constant time (100,000 tokens are loaded for `make bench`).
 * Keys are borrowed and must outlive the table; nothing is ever taken out. Not thread-safe. */
#ifndef EMULATOR_TABLE_H
#define EMULATOR_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table {
	struct table_slot {
		const char *key; /* NULL = free */
		uint64_t hash;
		void *value;
	} *slots;
	size_t count, cap;
};

void *table_get(const struct table *t, const char *key); /* NULL = not there */
void table_put(struct table *t, const char *key, void *value);
void table_free(struct table *t); /* the slots only */

#endif
