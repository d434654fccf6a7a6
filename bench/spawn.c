/* spawn [-r ROUNDS] [-n RUNS] FILE: times whole processes from outside, all commands of FILE interleaved round robin,
 * and judges each against another one of the same rounds.
 *
 * A line of FILE: LABEL <tab> BASE or - <tab> MARKS or - <tab> WORD WORD ...   (words split at blanks, 'quotes' group;
 * leading NAME=value words go to the environment; a last word <FILE is standard input; %i is the run's number).
 * Marks (bench/table.h) of the metrics ms, a ratio to the base, and mib, the peak itself: T3:ms<=1.25,T3:mib<=2
 * Prints: label, median ms, p90 ms, CPU ms, peak MiB, then the ratio to the base: median over rounds (lowest-highest),
 * and whether it keeps the mark. A base "A + B" is the sum of two. When a mark is missed everything runs once more; what
 * is missed then is MISSED. Absolute times carry over to no other machine, ratios of one run do. Keep this binary
 * static: a child's peak memory cannot read below its parent's. */
#include "bench/table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMANDS_MAX 64
#define WORDS_MAX 64

struct command {
	char label[64], base[64], marks[64];
	char *words[WORDS_MAX + 1], *input;
	double *wall, *cpu, round_median[ROUNDS_MAX];
	long rss_kib;
	int count, failures;
};

static struct command commands[COMMANDS_MAX];
static int command_count;

static void number_words(char *const *words, char *out[WORDS_MAX + 1], int number)
{
	static char text[WORDS_MAX][512];
	int i = 0;
	for (; words[i]; i++) {
		const char *mark = strstr(words[i], "%i");
		out[i] = words[i];
		if (mark) {
			snprintf(text[i], sizeof text[i], "%.*s%d%s", (int)(mark - words[i]), words[i], number,
				 mark + 2);
			out[i] = text[i];
		}
	}
	out[i] = NULL;
}

static _Noreturn void become(char **words, const char *input)
{
	int in = open(input ? input : "/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);
	for (; *words && strchr(*words, '=') && **words != '/'; words++)
		putenv(*words);
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	execvp(words[0], words);
	_exit(127);
}

static void run_once(struct command *c, int number, int is_counted)
{
	char *words[WORDS_MAX + 1];
	struct rusage used;
	int status;
	number_words(c->words, words, number);
	double start = now_ms();
	pid_t pid = fork();
	if (pid == 0)
		become(words, c->input);
	wait4(pid, &status, 0, &used);
	double wall = now_ms() - start;
	if (!is_counted)
		return;
	c->wall[c->count] = wall;
	c->cpu[c->count] = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
			   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
	c->count++;
	c->failures += status != 0;
	if (used.ru_maxrss > c->rss_kib)
		c->rss_kib = used.ru_maxrss;
}

static void parse_line(char *line, int runs)
{
	struct command *c = &commands[command_count];
	char *label = strtok(line, "\t"), *base = strtok(NULL, "\t"), *marks = strtok(NULL, "\t"),
	     *rest = strtok(NULL, "");
	if (!label || !base || !marks || !rest || command_count == COMMANDS_MAX)
		return;
	snprintf(c->label, sizeof c->label, "%s", label);
	snprintf(c->base, sizeof c->base, "%s", base);
	snprintf(c->marks, sizeof c->marks, "%s", marks);
	int count = 0;
	for (char *word; count < WORDS_MAX && (word = next_word(&rest));)
		c->words[count++] = word;
	if (count > 1 && c->words[count - 1][0] == '<') {
		c->input = c->words[--count] + 1;
		c->words[count] = NULL;
	}
	c->wall = calloc((size_t)runs, sizeof(double));
	c->cpu = calloc((size_t)runs, sizeof(double));
	command_count++;
}

static const struct command *named(const char *label)
{
	for (int i = 0; i < command_count; i++)
		if (strcmp(commands[i].label, label) == 0)
			return &commands[i];
	return NULL;
}

/* The base's median in that round; 0 when there is no base. */
static double base_of(const struct command *c, int round)
{
	char first[sizeof c->base];
	const char *plus = strstr(c->base, " + ");
	snprintf(first, sizeof first, "%.*s", plus ? (int)(plus - c->base) : (int)sizeof first - 1, c->base);
	const struct command *a = named(first), *b = plus ? named(plus + 3) : NULL;
	return a && (b || !plus) ? a->round_median[round] + (b ? b->round_median[round] : 0) : 0;
}

/* Median, lowest and highest ratio to the base; false when there is none. */
static int ratio_of(const struct command *c, int rounds, double ret[3])
{
	double ratio[ROUNDS_MAX];
	for (int r = 0; r < rounds; r++) {
		double base = base_of(c, r);
		if (base <= 0)
			return 0;
		ratio[r] = c->round_median[r] / base;
	}
	for (int i = 0; i < 3; i++)
		ret[i] = at_share(ratio, rounds, i == 0 ? 0.5 : i - 1);
	return 1;
}

/* What the mark is about; 0 when it cannot be told. */
static int value_of(const struct command *c, const struct mark *m, int rounds, double ret[3])
{
	if (strcmp(m->metric, "mib") != 0)
		return ratio_of(c, rounds, ret);
	for (int i = 0; i < 3; i++)
		ret[i] = (double)c->rss_kib / 1024.0;
	return 1;
}

static void print_ratio(const struct command *c, int rounds)
{
	const char *text = c->marks;
	struct mark m;
	double ratio[3];
	if (ratio_of(c, rounds, ratio))
		printf("  %5.2fx (%.2f-%.2f) of %s", ratio[0], ratio[1], ratio[2], c->base);
	while (next_mark(&text, &m)) {
		int is_size = strcmp(m.metric, "mib") == 0;
		if (!value_of(c, &m, rounds, ratio))
			continue;
		printf("  mark %.2f%s: %s", m.limit, is_size ? " MiB" : "x",
		       c->failures || !is_kept(&m, ratio) ? "MISSED" : "kept");
		results_mark(&m, c->label, is_size ? "" : c->base, ratio, c->failures > 0);
	}
	printf("\n");
}

static void keep_result(const struct command *c, int rounds)
{
	FILE *f = results_open();
	if (!f)
		return;
	fprintf(f, "{\"table\":\"%s\",\"row\":\"%s\",\"base\":\"%s\",\"p90\":%.4f,\"cpu\":%.4f,\"mib\":%.2f,\"failed\":%d",
		results_table(), c->label, c->base, at_share(c->wall, c->count, 0.9), at_share(c->cpu, c->count, 0.5),
		(double)c->rss_kib / 1024.0, c->failures);
	results_rounds(f, "ms", c->round_median, rounds);
	fprintf(f, "}\n");
	fclose(f);
}

static int is_any_missed(int rounds)
{
	int missed = 0;
	double ratio[3];
	for (int i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];
		const char *text = c->marks;
		struct mark m;
		while (next_mark(&text, &m)) {
			if (!value_of(c, &m, rounds, ratio) || is_kept(&m, ratio))
				continue;
			printf("  missed once, so everything again: %s, %s %.2f (%.2f-%.2f)\n", c->label, m.metric, ratio[0],
			       ratio[1], ratio[2]);
			missed = 1;
		}
	}
	return missed;
}

static void run_all(int rounds, int runs)
{
	for (int i = 0; i < command_count; i++) {
		commands[i].count = commands[i].failures = 0;
		run_once(&commands[i], 1000000, 0);
	}
	for (int r = 0; r < rounds; r++) {
		for (int n = 0; n < runs; n++)
			for (int i = 0; i < command_count; i++)
				run_once(&commands[i], r * runs + n, 1);
		for (int i = 0; i < command_count; i++)
			commands[i].round_median[r] = at_share(commands[i].wall + commands[i].count - runs, runs, 0.5);
	}
}

int main(int argc, char **argv)
{
	int rounds = 5, runs = 20, option;
	while ((option = getopt(argc, argv, "r:n:")) != -1)
		*(option == 'r' ? &rounds : &runs) = (int)strtol(optarg, NULL, 10);
	FILE *file = optind < argc ? fopen(argv[optind], "r") : NULL;
	if (!file || rounds < 1 || rounds > ROUNDS_MAX || runs < 1)
		return 2;
	static char lines[COMMANDS_MAX][4096];
	for (int i = 0; i < COMMANDS_MAX && fgets(lines[i], sizeof lines[i], file); i++)
		parse_line(lines[i], rounds * runs);
	fclose(file);
	run_all(rounds, runs);
	if (is_any_missed(rounds))
		run_all(rounds, runs);
	for (int i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];
		printf("  %-34s %9.3f ms  p90 %9.3f  cpu %8.2f  %5.1f MiB%s", c->label,
		       at_share(c->wall, c->count, 0.5), at_share(c->wall, c->count, 0.9),
		       at_share(c->cpu, c->count, 0.5), (double)c->rss_kib / 1024.0,
		       c->failures ? "  FAILED RUNS" : "");
		print_ratio(c, rounds);
		keep_result(c, rounds);
	}
	return 0;
}
