/* load [-r ROUNDS] [-s SECONDS] FILE: closed-loop load on servers behind Unix sockets, all rows of FILE interleaved, each
 * judged against another one of the same rounds. One thread and one epoll for all clients of a row, each client on a
 * connection it keeps; the agent, the bare echo and Redis are driven by the same code. With apart=1 each client is a
 * process of its own, as consumers are: then every reply has to wake somebody up, also the echo's, which a single busy
 * thread saves a fast server.
 * load -z FILE: one exchange a row; prints label, bytes of the request, bytes of the reply.
 * load -e FILE: each row's Pixels are read twice, without haste: of the first read of a day is also stored who read.
 *
 * A row: LABEL <tab> BASE or - <tab> MARKS or - <tab> NAME=VALUE ...
 *   MARKS   T1:rate>=0.75,T2:cpu<=1.6 (bench/table.h): ratios to the base's rate, p50, p99 and cpu
 *   speak   get (HTTP), put (HTTP, a new token each, not checked), redis, memcached, postgres, echo
 *   socket  where; request, reply: the echo's sizes
 *   pixels  the file of bench/fill; a random one is asked for, and the answer must be its token ...
 *   loose   ... with loose=1: any 40 bytes (something else puts tokens)
 *   apart   each client in a process of its own
 *   clients how many (1); pace: at most so many requests a second by each
 *   pid     of the server: CPU time is read of it and all its descendants, all threads
 *   cpu     both sides are pinned to this processor while the row runs
 *   while   a shell command that runs beside the row; ended with SIGTERM; settle: seconds before it counts
 * Prints requests a second (lowest-highest round), p50 and p99 in microseconds, the server's CPU time a request. A row
 * that misses its mark makes everything run once more; what is missed then is MISSED. */
#include "bench/postgres.h"
#include "bench/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS_MAX 32
#define CLIENTS_MAX 256
#define PIDS_MAX 64
#define MESSAGE_MAX 16384
#define TOKEN_LEN 40

enum metric { RATE, P50, P99, CPU, METRIC_COUNT };
static const char *const metric_names[METRIC_COUNT] = { "rate", "p50", "p99", "cpu" };

struct pixel {
	char code[24], token[TOKEN_LEN + 1];
};

struct row {
	char label[64], base[64], marks[128];
	const char *speak, *socket, *during;
	size_t clients, request_size, reply_size;
	double pace, settle_s;
	int pid, cpu;
	int is_loose, is_apart;
	const struct pixel *pixels;
	size_t pixel_count;
	double value[METRIC_COUNT][ROUNDS_MAX];
	unsigned long asked, failed;
	size_t last_request, last_reply;
};

struct client {
	int fd, is_waiting;
	size_t got, request_len;
	const struct pixel *pixel;
	double started, next_at; /* ms */
	char reply[MESSAGE_MAX + 1];
};

static struct row rows[ROWS_MAX];
static int row_count;
static struct client clients[CLIENTS_MAX];
static double *took; /* microseconds of each request of this round */
static size_t took_count, took_room;

/* ---- rows ---- */

static void read_pixels(const char *path, struct row *row)
{
	FILE *f = fopen(path, "r");
	struct pixel *all = NULL;
	size_t count = 0, room = 0;
	for (char line[256]; f && fgets(line, sizeof line, f); count++) {
		if (count == room)
			all = realloc(all, (room = room ? 2 * room : 1024) * sizeof *all);
		if (sscanf(line, "token %40s pixels=%23s", all[count].token, all[count].code) != 2)
			break;
	}
	if (f)
		fclose(f);
	row->pixels = all;
	row->pixel_count = count;
}

static int set_word(struct row *r, const char *name, char *value)
{
	double number = strtod(value, NULL);
	if (strcmp(name, "speak") == 0)
		r->speak = value;
	else if (strcmp(name, "socket") == 0)
		r->socket = value;
	else if (strcmp(name, "while") == 0)
		r->during = value;
	else if (strcmp(name, "pixels") == 0)
		read_pixels(value, r);
	else if (strcmp(name, "clients") == 0)
		r->clients = (size_t)number;
	else if (strcmp(name, "request") == 0)
		r->request_size = (size_t)number;
	else if (strcmp(name, "reply") == 0)
		r->reply_size = (size_t)number;
	else if (strcmp(name, "pace") == 0)
		r->pace = number;
	else if (strcmp(name, "settle") == 0)
		r->settle_s = number;
	else if (strcmp(name, "pid") == 0)
		r->pid = (int)number;
	else if (strcmp(name, "cpu") == 0)
		r->cpu = (int)number;
	else if (strcmp(name, "apart") == 0)
		r->is_apart = number != 0;
	else if (strcmp(name, "loose") == 0)
		r->is_loose = number != 0;
	else
		return 0;
	return 1;
}

static int parse_row(char *line)
{
	struct row *r = &rows[row_count];
	char *label = strtok(line, "\t"), *base = strtok(NULL, "\t"), *marks = strtok(NULL, "\t"),
	     *rest = strtok(NULL, "");
	if (!rest || row_count == ROWS_MAX)
		return 0;
	*r = (struct row){ .speak = "get", .clients = 1, .cpu = -1 };
	snprintf(r->label, sizeof r->label, "%s", label);
	snprintf(r->base, sizeof r->base, "%s", base);
	snprintf(r->marks, sizeof r->marks, "%s", marks);
	for (char *word; (word = next_word(&rest));) {
		char *value = strchr(word, '=');
		if (!value)
			return 0;
		*value = '\0';
		if (!set_word(r, word, value + 1))
			return 0;
	}
	int is_echo = strcmp(r->speak, "echo") == 0;
	row_count++;
	return r->socket && r->clients >= 1 && r->clients <= CLIENTS_MAX && (is_echo || r->pixel_count > 0) &&
	       r->request_size <= MESSAGE_MAX && r->reply_size <= MESSAGE_MAX;
}

static struct row *named(const char *label)
{
	for (int i = 0; i < row_count; i++)
		if (strcmp(rows[i].label, label) == 0)
			return &rows[i];
	return NULL;
}

/* ---- the server's processes ---- */

static int parent_of(int pid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	int parent = 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	char *end = strrchr(text, ')');
	return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* The process and all below it. */
static size_t family_of(int pid, int ret[PIDS_MAX])
{
	size_t count = 0;
	if (!pid)
		return 0;
	ret[count++] = pid;
	for (size_t at = 0; at < count; at++) {
		DIR *d = opendir("/proc");
		for (struct dirent *e; d && (e = readdir(d));) {
			int other = (int)strtol(e->d_name, NULL, 10);
			if (other > 0 && count < PIDS_MAX && parent_of(other) == ret[at])
				ret[count++] = other;
		}
		if (d)
			closedir(d);
	}
	return count;
}

/* Calls do(thread's id) for each thread. */
static double over_threads(const int *pids, size_t count, double (*each)(int pid, int thread, const void *context),
			   const void *context)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/task", pids[i]);
		DIR *d = opendir(path);
		for (struct dirent *e; d && (e = readdir(d));)
			if (*e->d_name != '.')
				sum += each(pids[i], (int)strtol(e->d_name, NULL, 10), context);
		if (d)
			closedir(d);
	}
	return sum;
}

static double cpu_us(int pid, int thread, const void *context)
{
	char path[96];
	double ns = 0;
	(void)context;
	snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, thread);
	FILE *f = fopen(path, "r");
	if (!f || fscanf(f, "%lf", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns / 1e3;
}

static double pin(int pid, int thread, const void *context)
{
	(void)pid;
	(void)sched_setaffinity(thread, sizeof(cpu_set_t), context);
	return 0;
}

static void pin_all(const int *pids, size_t count, const cpu_set_t *to)
{
	(void)sched_setaffinity(0, sizeof *to, to);
	(void)over_threads(pids, count, pin, to);
}

/* ---- one exchange ---- */

static int dial(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(path) >= sizeof at.sun_path)
		return -1;
	memcpy(at.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

static uint64_t dice_state; /* 0 = not begun */

static uint64_t dice(void)
{
	if (!dice_state && getrandom(&dice_state, sizeof dice_state, 0) != sizeof dice_state)
		dice_state = 1;
	dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
	return dice_state >> 16;
}

static int is_in_order; /* Pixels are asked for one behind the other */
static size_t asked_for;

static size_t write_request(const struct row *r, struct client *c, char *out)
{
	c->pixel = r->pixel_count ? &r->pixels[(is_in_order ? asked_for++ : dice()) % r->pixel_count] : NULL;
	int n = 0;
	if (!c->pixel) {
		memset(out, 'x', r->request_size);
		return r->request_size;
	}
	const char *code = c->pixel->code;
	if (strcmp(r->speak, "postgres") == 0)
		return postgres_request(out, code);
	if (strcmp(r->speak, "memcached") == 0)
		n = snprintf(out, MESSAGE_MAX, "get %s\r\n", code);
	else if (strcmp(r->speak, "redis") == 0)
		n = snprintf(out, MESSAGE_MAX, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(code), code);
	else if (strcmp(r->speak, "put") == 0)
		n = snprintf(out, MESSAGE_MAX,
			     "PUT /v1/pixels/%s/token?check=no HTTP/1.1\r\nHost: localhost\r\nX-Consumer: bench\r\n"
			     "Content-Length: %d\r\n\r\n%012llx%012llx%016llx",
			     code, TOKEN_LEN, (unsigned long long)dice(), (unsigned long long)dice(),
			     (unsigned long long)dice());
	else
		n = snprintf(out, MESSAGE_MAX,
			     "GET /v1/pixels/%s/token HTTP/1.1\r\nHost: localhost\r\nX-Consumer: bench\r\n\r\n", code);
	return (size_t)n;
}

/* Where the body begins and how long it is; 0 while the head is not whole. */
static size_t read_http_head(const char *text, size_t *ret_body_len)
{
	const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");
	*ret_body_len = length && length <= end ? strtoul(length + 17, NULL, 10) : 0;
	return end ? (size_t)(end - text) + 4 : 0;
}

/* The same of Redis ("$40") and memcached ("VALUE key 0 40"). */
static size_t read_line_head(const char *text, size_t *ret_body_len)
{
	const char *end = strstr(text, "\r\n"), *digits = end;
	while (digits && digits > text && digits[-1] >= '0' && digits[-1] <= '9')
		digits--;
	*ret_body_len = end ? strtoul(digits, NULL, 10) : 0;
	return end ? (size_t)(end - text) + 2 : 0;
}

/* Where the reply ends; 0 while that cannot be told. Its body is at *ret_at. */
static size_t find_end(const struct row *r, const struct client *c, size_t *ret_at, size_t *ret_len)
{
	int is_redis = strcmp(r->speak, "redis") == 0, is_memcached = strcmp(r->speak, "memcached") == 0;
	if (strcmp(r->speak, "postgres") == 0)
		return postgres_reply(c->reply, c->got, ret_at, ret_len);
	*ret_at = is_redis || is_memcached ? read_line_head(c->reply, ret_len) : read_http_head(c->reply, ret_len);
	return *ret_at ? *ret_at + *ret_len + (is_redis ? 2 : is_memcached ? strlen("\r\nEND\r\n") : 0) : 0;
}

static int is_good(const struct row *r, const struct client *c, const char *body, size_t len)
{
	if (strcmp(r->speak, "put") == 0)
		return strncmp(c->reply, "HTTP/1.1 200 ", 13) == 0 || strncmp(c->reply, "HTTP/1.1 202 ", 13) == 0;
	if (strcmp(r->speak, "get") == 0 && strncmp(c->reply, "HTTP/1.1 200 ", 13) != 0)
		return 0;
	return len == TOKEN_LEN && (r->is_loose || memcmp(body, c->pixel->token, len) == 0);
}

/* 1: the whole answer is there and right; 0: more must come; -1: wrong. */
static int judge_reply(const struct row *r, struct client *c)
{
	size_t body_at, body_len;
	if (!c->pixel)
		return c->got < r->reply_size ? 0 : c->got == r->reply_size ? 1 : -1;
	c->reply[c->got] = '\0';
	size_t end = find_end(r, c, &body_at, &body_len);
	if (end == 0 || c->got < end)
		return c->got < MESSAGE_MAX ? 0 : -1;
	return c->got == end && is_good(r, c, c->reply + body_at, body_len) ? 1 : -1;
}

static int ask(struct row *r, struct client *c)
{
	char request[MESSAGE_MAX];
	c->request_len = write_request(r, c, request);
	c->got = 0;
	c->is_waiting = 1;
	c->started = now_ms();
	c->next_at = r->pace > 0 ? c->started + 1e3 / r->pace : 0;
	return write(c->fd, request, c->request_len) == (ssize_t)c->request_len;
}

/* Something came: 1 when the exchange is over, well; -1: over, badly. */
static int listen_to(struct row *r, struct client *c)
{
	ssize_t n = read(c->fd, c->reply + c->got, MESSAGE_MAX - c->got);
	if (n <= 0)
		return -1;
	c->got += (size_t)n;
	int over = judge_reply(r, c);
	if (over > 0) {
		r->last_request = c->request_len;
		r->last_reply = c->got;
	}
	return over;
}

/* ---- a round ---- */

static void note(double us)
{
	if (took_count == took_room)
		took = realloc(took, (took_room = took_room ? 2 * took_room : 65536) * sizeof *took);
	took[took_count++] = us;
}

static int begin_client(struct row *r, size_t i, int epoll)
{
	struct client *c = &clients[i];
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };
	*c = (struct client){ .fd = dial(r->socket) };
	if (c->fd >= 0 && strcmp(r->speak, "postgres") == 0 && !postgres_greet(c->fd))
		return 0;
	return c->fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

/* A client whose exchange went wrong starts over on a new connection. */
static int begin_again(struct row *r, size_t i, int epoll)
{
	r->failed++;
	close(clients[i].fd);
	usleep(1000);
	return begin_client(r, i, epoll);
}

/* How long the loop may sleep: until the next paced client wants to ask. Asks for those whose time has come. */
static int ask_all_due(struct row *r, double end)
{
	double now = now_ms(), soonest = end;
	for (size_t i = 0; i < r->clients; i++) {
		struct client *c = &clients[i];
		if (!c->is_waiting && c->next_at <= now)
			(void)ask(r, c); /* a failure shows as the end of the stream */
		if (!c->is_waiting && c->next_at < soonest)
			soonest = c->next_at;
	}
	return soonest <= now ? 0 : (int)(soonest - now) + 1;
}

/* Exchanges until `end`; 0 when the server is gone. */
static int exchange(struct row *r, int epoll, double end)
{
	struct epoll_event events[CLIENTS_MAX];
	while (now_ms() < end) {
		int count = epoll_wait(epoll, events, CLIENTS_MAX, ask_all_due(r, end));
		for (int i = 0; i < count; i++) {
			struct client *c = &clients[events[i].data.u64];
			int over = listen_to(r, c);
			if (over == 0)
				continue;
			c->is_waiting = 0;
			r->asked++;
			note((now_ms() - c->started) * 1e3);
			if (over < 0 && !begin_again(r, events[i].data.u64, epoll))
				return 0;
			if (over > 0 && r->pace <= 0)
				(void)ask(r, c);
		}
	}
	return 1;
}

/* What a client in a process of its own has to tell. */
#define TOOK_MAX 400000
struct told {
	unsigned long asked, failed;
	int is_served;
	size_t count;
	double took[TOOK_MAX];
};

static void be_client(struct row *r, struct told *told, double end)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	r->clients = 1;
	r->asked = r->failed = 0;
	dice_state = 0;
	told->is_served = begin_client(r, 0, epoll) && exchange(r, epoll, end);
	told->asked = r->asked;
	told->failed = r->failed;
	told->count = took_count < TOOK_MAX ? took_count : TOOK_MAX;
	memcpy(told->took, took, told->count * sizeof *took);
}

/* As `exchange`, each client in a process of its own. */
static int exchange_apart(struct row *r, double end)
{
	size_t size = r->clients * sizeof(struct told);
	struct told *told = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[CLIENTS_MAX];
	int ok = told != MAP_FAILED;
	for (size_t i = 0; ok && i < r->clients; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			be_client(r, &told[i], end);
			_exit(0);
		}
	}
	for (size_t i = 0; ok && i < r->clients; i++)
		waitpid(pids[i], NULL, 0);
	for (size_t i = 0; ok && i < r->clients; i++) {
		r->asked += told[i].asked;
		r->failed += told[i].failed;
		for (size_t k = 0; k < told[i].count; k++)
			note(told[i].took[k]);
		ok &= told[i].is_served;
	}
	if (told != MAP_FAILED)
		munmap(told, size);
	return ok;
}

static pid_t start_beside(const struct row *r)
{
	pid_t pid = r->during ? fork() : 0;
	if (r->during && pid == 0) {
		setpgid(0, 0);
		execl("/bin/sh", "sh", "-c", r->during, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		setpgid(pid, pid);
	if (r->settle_s > 0)
		usleep((useconds_t)(r->settle_s * 1e6));
	return pid;
}

static void end_beside(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(-pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

static int run_round(struct row *r, int round, double seconds)
{
	int pids[PIDS_MAX], epoll = epoll_create1(EPOLL_CLOEXEC), ok = 1;
	size_t begun = 0;
	cpu_set_t all, one;
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	CPU_SET((size_t)(r->cpu < 0 ? 0 : r->cpu), &one);
	pid_t beside = start_beside(r);
	size_t family = family_of(r->pid, pids);
	if (r->cpu >= 0)
		pin_all(pids, family, &one);
	while (ok && !r->is_apart && begun < r->clients)
		ok = begin_client(r, begun++, epoll);
	double start = now_ms(), used = over_threads(pids, family, cpu_us, NULL);
	took_count = 0;
	double end = start + seconds * 1e3;
	ok = ok && (r->is_apart ? exchange_apart(r, end) : exchange(r, epoll, end));
	if (ok && took_count == 0) { /* not one answer in all that time: as bad as it can be measured */
		r->asked++;
		r->failed++;
		note(seconds * 1e6);
	}
	double wall_s = (now_ms() - start) / 1e3;
	used = over_threads(pids, family, cpu_us, NULL) - used;
	if (r->cpu >= 0)
		pin_all(pids, family, &all);
	for (size_t i = 0; i < begun; i++)
		close(clients[i].fd);
	close(epoll);
	end_beside(beside);
	if (!ok)
		return 0;
	r->value[RATE][round] = (double)took_count / wall_s;
	r->value[CPU][round] = family ? used / (double)took_count : 0;
	r->value[P50][round] = sorted_share(took, took_count, 0.5);
	r->value[P99][round] = sorted_share(took, took_count, 0.99);
	return 1;
}

static int run_all(int rounds, double seconds)
{
	for (int round = -1; round < rounds; round++)
		for (int i = 0; i < row_count; i++) {
			/* The first time around only warms up, and is not written anywhere that stays. */
			int ok = run_round(&rows[i], round < 0 ? 0 : round, round < 0 ? 0.1 : seconds);
			if (!ok) {
				fprintf(stderr, "load: nothing answers '%s' at %s\n", rows[i].label, rows[i].socket);
				return 0;
			}
			if (round < 0)
				rows[i].asked = rows[i].failed = 0;
		}
	return 1;
}

/* ---- the verdict ---- */

/* The ratio of each round to the base's; ret: median, lowest, highest. */
static void compare(const struct row *r, const struct row *base, enum metric metric, int rounds, double ret[3])
{
	double ratio[ROUNDS_MAX];
	for (int i = 0; i < rounds; i++)
		ratio[i] = r->value[metric][i] / base->value[metric][i];
	ret[0] = at_share(ratio, rounds, 0.5);
	ret[1] = at_share(ratio, rounds, 0);
	ret[2] = at_share(ratio, rounds, 1);
}

/* METRIC_COUNT when the name is none. */
static enum metric metric_of(const struct mark *m)
{
	enum metric metric = RATE;
	while (metric < METRIC_COUNT && strcmp(m->metric, metric_names[metric]) != 0)
		metric++;
	return metric;
}

/* The next mark and what it is about; 0 at the end. */
static int next_judged(const struct row *r, const char **text, int rounds, struct mark *m, double ratio[3])
{
	const struct row *base = named(r->base);
	if (!base || !next_mark(text, m) || metric_of(m) == METRIC_COUNT)
		return 0;
	compare(r, base, metric_of(m), rounds, ratio);
	return 1;
}

/* How many marks are missed, failed requests included. */
static int count_misses(int rounds, int is_said)
{
	int misses = 0;
	for (int i = 0; i < row_count; i++) {
		const struct row *r = &rows[i];
		const char *text = r->marks;
		struct mark m;
		double ratio[3];
		misses += r->failed > 0;
		while (next_judged(r, &text, rounds, &m, ratio)) {
			if (is_kept(&m, ratio))
				continue;
			misses++;
			if (is_said)
				printf("  missed once, so everything again: %s, %s %.2fx (%.2f-%.2f)\n", r->label,
				       m.metric, ratio[0], ratio[1], ratio[2]);
		}
	}
	return misses;
}

static void report(const struct row *r, int rounds)
{
	const struct row *base = named(r->base);
	const char *text = r->marks;
	struct mark m;
	double ratio[3];
	printf("  %-34s %9.0f/s (%.0f-%.0f)  p50 %7.1f us  p99 %8.1f", r->label, at_share(r->value[RATE], rounds, 0.5),
	       at_share(r->value[RATE], rounds, 0), at_share(r->value[RATE], rounds, 1),
	       at_share(r->value[P50], rounds, 0.5), at_share(r->value[P99], rounds, 0.5));
	if (r->pid)
		printf("  cpu %6.2f", at_share(r->value[CPU], rounds, 0.5));
	if (r->failed)
		printf("  FAILED: %lu of %lu", r->failed, r->asked);
	printf("\n");
	for (int metric = 0; base && metric < METRIC_COUNT; metric++) {
		if (metric == CPU && (!r->pid || !base->pid))
			continue;
		compare(r, base, (enum metric)metric, rounds, ratio);
		printf("%s %s %.2fx (%.2f-%.2f)", metric ? "," : "     ", metric_names[metric], ratio[0], ratio[1],
		       ratio[2]);
	}
	if (base)
		printf(" of %s\n", base->label);
	while (next_judged(r, &text, rounds, &m, ratio)) {
		printf("      mark %s %s %.2fx: %s\n", m.metric, m.is_least ? ">=" : "<=", m.limit,
		       r->failed || !is_kept(&m, ratio) ? "MISSED" : "kept");
		results_mark(&m, r->label, r->base, ratio, r->failed > 0);
	}
}

static void keep_result(const struct row *r, int rounds)
{
	FILE *f = results_open();
	if (!f)
		return;
	fprintf(f, "{\"table\":\"%s\",\"row\":\"%s\",\"base\":\"%s\",\"failed\":%lu", results_table(), r->label, r->base,
		r->failed);
	for (int metric = 0; metric < METRIC_COUNT; metric++)
		results_rounds(f, metric_names[metric], r->value[metric], rounds);
	fprintf(f, "}\n");
	fclose(f);
}

/* A put is given more time: an agent's first behind many gets also stores what is known of those. */
static int print_sizes(void)
{
	for (int i = 0; i < row_count; i++) {
		double seconds = strcmp(rows[i].speak, "put") == 0 ? 0.5 : 0.02;
		if (!run_round(&rows[i], 0, seconds) || rows[i].failed)
			return 1;
		printf("%s\t%zu\t%zu\n", rows[i].label, rows[i].last_request, rows[i].last_reply);
	}
	return 0;
}

#define FIRST_CLIENTS 8
#define FIRST_PACE 250 /* by each: a server that stores each first read keeps up */

#define FIRST_PATIENCE_MS 60000 /* and as much again for each 10,000 Pixels */

/* 0 when the server is gone, answers wrongly or takes too long. */
static int read_all_of(struct row *r, int epoll)
{
	double end = now_ms() + FIRST_PATIENCE_MS * (1 + (double)r->pixel_count / 10000);
	for (took_count = 0; took_count < 2 * r->pixel_count;)
		if (now_ms() > end || !exchange(r, epoll, now_ms() + 100) || r->failed)
			return 0;
	return 1;
}

static int read_each(void)
{
	is_in_order = 1;
	for (int i = 0; i < row_count; i++) {
		struct row *r = &rows[i];
		int epoll = epoll_create1(EPOLL_CLOEXEC), ok = 1;
		size_t begun = 0;
		r->clients = FIRST_CLIENTS;
		r->pace = FIRST_PACE;
		while (ok && begun < r->clients)
			ok = begin_client(r, begun++, epoll);
		ok = ok && read_all_of(r, epoll);
		for (size_t k = 0; k < begun; k++)
			close(clients[k].fd);
		close(epoll);
		if (!ok) {
			fprintf(stderr, "load: '%s' at %s did not give each of its Pixels\n", r->label, r->socket);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char lines[ROWS_MAX][4096];
	int rounds = 5, is_sizes = 0, is_each = 0, option;
	double seconds = 1;
	while ((option = getopt(argc, argv, "r:s:ze")) != -1) {
		rounds = option == 'r' ? (int)strtol(optarg, NULL, 10) : rounds;
		seconds = option == 's' ? strtod(optarg, NULL) : seconds;
		is_sizes |= option == 'z';
		is_each |= option == 'e';
	}
	FILE *file = optind < argc ? fopen(argv[optind], "r") : NULL;
	if (!file || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	for (int i = 0; i < ROWS_MAX && fgets(lines[i], sizeof lines[i], file); i++)
		if (!parse_row(lines[i])) {
			fprintf(stderr, "load: row %d says nothing sensible\n", i + 1);
			return 2;
		}
	fclose(file);
	signal(SIGPIPE, SIG_IGN);
	if (is_sizes)
		return print_sizes();
	if (is_each)
		return read_each();
	if (!run_all(rounds, seconds) || (count_misses(rounds, 1) > 0 && !run_all(rounds, seconds)))
		return 1;
	for (int i = 0; i < row_count; i++) {
		report(&rows[i], rounds);
		keep_result(&rows[i], rounds);
	}
	return 0;
}
