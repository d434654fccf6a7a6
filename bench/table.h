/* bench/table.h - what the timing programs share: tables of what to measure, and medians. A header only, so that each
 * stays one small program. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 64

static inline double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* The value below which that share of them lies; sorts the values. */
static inline double sorted_share(double *values, size_t count, double share)
{
	qsort(values, count, sizeof *values, by_value);
	return values[(size_t)((double)(count - 1) * share)];
}

/* The same, of at most 4096 values that keep their order. */
static inline double at_share(const double *values, int count, double share)
{
	double sorted[4096];
	size_t n = count < 4096 ? (size_t)count : 4096;
	memcpy(sorted, values, n * sizeof *sorted);
	return sorted_share(sorted, n, share);
}

/* The next word of a line: words are split at blanks, 'quotes' group, also inside a word (a='b c'). NULL at the end. */
static inline char *next_word(char **text)
{
	char *from = *text + strspn(*text, " \n"), *word = from, *to = from, quote = 0;
	if (!*from)
		return NULL;
	for (; *from && (quote || !strchr(" \n", *from)); from++) {
		if (*from == '\'')
			quote = !quote;
		else
			*to++ = *from;
	}
	*text = from + (*from != '\0');
	*to = '\0';
	return word;
}

#endif
