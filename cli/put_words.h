/* cli/put_words.h - what became of a token that was put, or retired, in words. Pure. */
#ifndef CLI_PUT_WORDS_H
#define CLI_PUT_WORDS_H

#include "agent/service.h"

/* "blanks, quotes": what cleaning took away. */
#define REMOVED_WORDS_MAX 160
const char *removed_words(unsigned removed, char ret[REMOVED_WORDS_MAX]);

/* One sentence about a token that is current now; for others see put_refusal. */
#define PUT_WORDS_MAX 512
const char *put_words(const struct put_result *r, char ret[PUT_WORDS_MAX]);

/* A previous version that was taken from everybody. */
#define RETIRE_WORDS_MAX 256
const char *retire_words(const char *pixel, const struct retire_result *r, char ret[RETIRE_WORDS_MAX]);

#endif
