/* What several targets need: a check that ends the run, keys that are always the same, a folder that goes away. */
#ifndef TESTS_FUZZ_COMMON_H
#define TESTS_FUZZ_COMMON_H

#include "core/secret.h"
#include "vault/seal.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static inline void expect_at(bool holds, const char *file, int line, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}
#define expect(holds) expect_at((holds), __FILE__, __LINE__, #holds)

/* 32 zero bytes, as the key of a vault that only exists here. */
static inline struct secret *zero_key(void)
{
	static const uint8_t zeros[ROOT_KEY_LEN];
	struct secret *key = NULL;
	struct error err;
	expect(secret_arena_open(SECRET_ARENA_LARGE, &err) && secret_copy(bytes_of(zeros, sizeof zeros), &key, &err));
	return key;
}

static inline struct keys *zero_keys(void)
{
	static struct keys *keys;
	struct error err;
	if (!keys) {
		struct secret *root = zero_key();
		expect(keys_derive(root, &keys, &err));
		secret_free(root);
	}
	return keys;
}

/* Takes the first byte of the input, or 0. */
static inline uint8_t take_byte(struct bytes *from)
{
	struct bytes one;
	return bytes_take(from, 1, &one) ? one.at[0] : 0;
}

/* ---- a folder in memory, where there is one ---- */

static char fuzz_folder[64];

static inline int fuzz_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st, (void)type, (void)walk;
	return remove(path);
}

static inline void fuzz_remove_folder(void)
{
	(void)nftw(fuzz_folder, fuzz_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void fuzz_make_folder(void)
{
	if (fuzz_folder[0])
		return;
	snprintf(fuzz_folder, sizeof fuzz_folder, "%s/pixelvault-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	expect(mkdtemp(fuzz_folder) != NULL);
	atexit(fuzz_remove_folder);
}

#endif
