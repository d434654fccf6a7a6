/* core/config.h - INI files, read by inih behind a strict pre-check.
 *
 * inih forgives too much for a program of this kind: it cuts long lines and reads the tail as a new line, joins
 * indented lines, cuts values at " ;" and goes on after errors. So a file is refused before inih sees it when it is
 * over 64 KiB, not UTF-8, holds NUL, CR or other control characters (tab excepted), a byte order mark, a line over 190
 * bytes, a leading blank before text, or " ;"/" #" inside a value; and afterwards when a section or key is unknown or
 * given twice. Every refusal names file and line, and the nearest valid name. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "core/bytes.h"
#include "core/error.h"

/* What may stand in a file: one row per key. A section that takes a name is written [alert ops]; its rows say
 * is_named. */
struct config_key {
	const char *section, *key;
	bool is_named;
};

struct config_entry {
	char section[32], name[50], key[32];
	char value[200];
	const char *file; /* as given; belongs to the config */
	unsigned line;
};

struct config;

/* Read path and add what it holds to *c (made when NULL). Keys of a file read later never replace keys of one read
 * earlier: read the stronger file first. A missing file is fine when is_optional. ERR_CONFIG otherwise; also for a file
 * that is not regular, is writable by group or others, or belongs to neither root nor the caller. */
must_check bool config_read(struct config **c, const char *path, bool is_optional, const struct config_key *known,
			    size_t known_count, struct error *err);

/* The same for text already in memory (tests, fuzzing); file is used in messages. */
must_check bool config_parse(struct config **c, struct bytes text, const char *file, const struct config_key *known,
			     size_t known_count, struct error *err);
void config_free(struct config *c);
void config_freep(struct config **c);

size_t config_count(const struct config *c);
const struct config_entry *config_at(const struct config *c, size_t i);
const struct config_entry *config_find(const struct config *c, const char *section, const char *name, const char *key);

/* fail() with "FILE:LINE: " in front, ERR_CONFIG. what is one sentence about entry's value. */
must_check bool config_refuse(const struct config_entry *entry, const char *what, const char *hint, struct error *err);

/* The nearest of the candidates to word, at most two edits away, or NULL. Serves command names too. */
const char *config_nearest(const char *word, const char *const *candidates, size_t count);

#endif
