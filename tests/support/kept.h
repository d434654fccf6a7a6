/* tests/support/kept.h - all files below the scratch folder, kept in memory and put back: what a test does to them many times
 * over begins at the same each time. Include it behind cmocka.h. */
#ifndef TESTS_SUPPORT_KEPT_H
#define TESTS_SUPPORT_KEPT_H

#include "tests/support/scratch.h"

#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 64

static struct {
	size_t count;
	struct {
		char path[PATH_MAX];
		mode_t mode;
		uint8_t *bytes;
		size_t len;
	} at[FILES_MAX];
} kept;

static inline int keep_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)type, (void)walk;
	if (strcmp(path, scratch) == 0 || S_ISSOCK(st->st_mode))
		return 0;
	assert_true(kept.count < FILES_MAX);
	size_t i = kept.count++;
	strcpy(kept.at[i].path, path);
	kept.at[i].mode = st->st_mode;
	kept.at[i].len = S_ISREG(st->st_mode) ? (size_t)st->st_size : 0;
	kept.at[i].bytes = malloc(kept.at[i].len + 1);
	assert_non_null(kept.at[i].bytes);
	if (S_ISREG(st->st_mode))
		assert_int_equal(file_bytes(path, kept.at[i].bytes, kept.at[i].len + 1), kept.at[i].len);
	return 0;
}

static inline void forget_kept(void)
{
	for (size_t i = 0; i < kept.count; i++)
		free(kept.at[i].bytes);
	kept.count = 0;
}

static inline void keep_all(void)
{
	forget_kept();
	assert_int_equal(nftw(scratch, keep_one, 16, FTW_PHYS), 0); /* folders before what is in them */
}

static inline int remove_below(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st, (void)type;
	return walk->level == 0 ? 0 : remove(path);
}

static inline void put_all_back(void)
{
	assert_int_equal(nftw(scratch, remove_below, 16, FTW_DEPTH | FTW_PHYS), 0);
	for (size_t i = 0; i < kept.count; i++) {
		if (S_ISDIR(kept.at[i].mode))
			assert_int_equal(mkdir(kept.at[i].path, kept.at[i].mode & 07777), 0);
		else
			write_bytes(kept.at[i].path, kept.at[i].bytes, kept.at[i].len);
	}
}

#endif
