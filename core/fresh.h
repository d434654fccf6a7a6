/* core/fresh.h - names for files that are made beside the one whose place they will take.
 *
 * Whoever is killed leaves such a file. The name tells whose it was, so that the next one who makes a file for that
 * place takes away what is nobody's any more. */
#ifndef CORE_FRESH_H
#define CORE_FRESH_H

#include "core/error.h"

#include <stddef.h>

/* ret = path.WHAT-<process>-<8 random hexadecimal digits>. Files of ours beside path with such a name whose process has
 * ended are deleted, with SQLite's beside them; a folder that cannot be looked through is left as it is. */
must_check bool fresh_name(const char *path, const char *what, char *ret, size_t size, struct error *err);

/* Only takes away what is nobody's any more, of names that fresh_name gave for this path and WHAT. */
void fresh_sweep(const char *path, const char *what);

#endif
