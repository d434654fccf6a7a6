/* bench/table.h - what the timing programs share: tables of what to measure, medians, marks, and the file of results. A
 * header only, so that each stays one small program.
 *
 * A mark is PROMISE:METRIC<=LIMIT or >=: "T2:cpu<=1.6". PROMISE is the name of a sentence in bench/summary.py.
 * With BENCH_RESULTS=file in the environment, each measured row and each judged mark becomes a line of JSON there. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdint.h>
#include <stdio.h>
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

struct mark {
	char promise[12], metric[8];
	int is_least; /* >= */
	double limit;
};

/* The next of marks that commas part; 0 at the end. */
static inline int next_mark(const char **text, struct mark *ret)
{
	char sign;
	int len = 0;
	if (sscanf(*text, " %11[A-Za-z0-9-]:%7[a-z0-9]%c=%lf%n", ret->promise, ret->metric, &sign, &ret->limit, &len) !=
	    4)
		return 0;
	*text += len + ((*text)[len] == ',');
	ret->is_least = sign == '>';
	return 1;
}

/* value: median, lowest, highest */
static inline int is_kept(const struct mark *m, const double value[3])
{
	return m->is_least ? value[0] >= m->limit : value[0] <= m->limit;
}

/* NULL when nobody asked for results. Labels come from our own scripts and hold nothing that JSON would have to escape.
 */
static inline FILE *results_open(void)
{
	const char *path = getenv("BENCH_RESULTS");
	return path && *path ? fopen(path, "a") : NULL;
}

static inline const char *results_table(void)
{
	const char *name = getenv("BENCH_TABLE");
	return name ? name : "";
}

/* A mark whose runs failed is missed. */
static inline void results_mark(const struct mark *m, const char *label, const char *base, const double value[3],
				int is_failed)
{
	FILE *f = results_open();
	if (!f)
		return;
	fprintf(f,
		"{\"promise\":\"%s\",\"what\":\"%s\",\"metric\":\"%s\",\"base\":\"%s\",\"value\":%.4f,\"low\":%.4f,"
		"\"high\":%.4f,\"sign\":\"%s\",\"limit\":%g,\"kept\":%s}\n",
		m->promise, label, m->metric, base, value[0], value[1], value[2], m->is_least ? ">=" : "<=", m->limit,
		!is_failed && is_kept(m, value) ? "true" : "false");
	fclose(f);
}

/* "name":[...], one value a round */
static inline void results_rounds(FILE *f, const char *name, const double *values, int rounds)
{
	fprintf(f, ",\"%s\":[", name);
	for (int i = 0; i < rounds; i++)
		fprintf(f, "%s%.4f", i ? "," : "", values[i]);
	fputc(']', f);
}

#endif
