/* spawn [-r ROUNDS] [-n RUNS] FILE: times whole processes from outside, all commands of FILE interleaved round robin,
 * and judges each against another one of the same rounds.
 *
 * A line of FILE: LABEL <tab> BASE or - <tab> MARK or - <tab> WORD WORD ...   (words split at blanks, 'quotes' group;
 * leading NAME=value words go to the environment; a last word <FILE is standard input; %i is the run's number).
 * Prints: label, median ms, p90 ms, CPU ms, peak MiB, then the ratio to the base: median over rounds (lowest-highest),
 * and whether it keeps the mark. Absolute times carry over to no other machine, ratios of one run do. Keep this binary
 * static: a child's peak memory cannot read below its parent's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 32
#define WORDS_MAX 64
#define ROUNDS_MAX 64

struct command {
	char label[64], base[64];
	double mark;
	char *words[WORDS_MAX + 1], *input;
	double *wall, *cpu, round_median[ROUNDS_MAX];
	long rss_kib;
	int count, failures;
};

static struct command commands[COMMANDS_MAX];
static int command_count;

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double at_share(const double *values, int count, double share)
{
	double sorted[4096];
	int n = count < 4096 ? count : 4096;
	memcpy(sorted, values, (size_t)n * sizeof *sorted);
	qsort(sorted, (size_t)n, sizeof *sorted, by_value);
	return sorted[(int)((double)(n - 1) * share)];
}

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

static char *next_word(char **text)
{
	char *p = *text + strspn(*text, " \n");
	if (!*p)
		return NULL;
	char quote = *p == '\'' ? *p++ : 0, *word = p;
	p += quote ? strcspn(p, "'") : strcspn(p, " \n");
	if (*p)
		*p++ = '\0';
	*text = p;
	return word;
}

static void parse_line(char *line, int runs)
{
	struct command *c = &commands[command_count];
	char *label = strtok(line, "\t"), *base = strtok(NULL, "\t"), *mark = strtok(NULL, "\t"),
	     *rest = strtok(NULL, "");
	if (!label || !base || !mark || !rest || command_count == COMMANDS_MAX)
		return;
	snprintf(c->label, sizeof c->label, "%s", label);
	snprintf(c->base, sizeof c->base, "%s", base);
	c->mark = strtod(mark, NULL);
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

static void print_ratio(const struct command *c, int rounds)
{
	const struct command *base = named(c->base);
	double ratio[ROUNDS_MAX];
	if (!base) {
		printf("\n");
		return;
	}
	for (int r = 0; r < rounds; r++)
		ratio[r] = c->round_median[r] / base->round_median[r];
	double median = at_share(ratio, rounds, 0.5);
	printf("  %5.2fx (%.2f-%.2f) of %s", median, at_share(ratio, rounds, 0), at_share(ratio, rounds, 1), c->base);
	if (c->mark > 0)
		printf("  mark %.2fx: %s", c->mark, median <= c->mark ? "kept" : "MISSED");
	printf("\n");
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
	for (int i = 0; i < command_count; i++)
		run_once(&commands[i], 1000000, 0);
	for (int r = 0; r < rounds; r++) {
		for (int n = 0; n < runs; n++)
			for (int i = 0; i < command_count; i++)
				run_once(&commands[i], r * runs + n, 1);
		for (int i = 0; i < command_count; i++)
			commands[i].round_median[r] = at_share(commands[i].wall + commands[i].count - runs, runs, 0.5);
	}
	for (int i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];
		printf("  %-34s %9.3f ms  p90 %9.3f  cpu %8.2f  %5.1f MiB%s", c->label,
		       at_share(c->wall, c->count, 0.5), at_share(c->wall, c->count, 0.9),
		       at_share(c->cpu, c->count, 0.5), (double)c->rss_kib / 1024.0,
		       c->failures ? "  FAILED RUNS" : "");
		print_ratio(c, rounds);
	}
	return 0;
}
