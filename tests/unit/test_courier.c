/* The keeper's side of the courier against the real courier process and the real emulator; and against couriers that
 * lie, which this program itself plays when it is started with --courier. */
#include "agent/courier.h"
#include "agent/courier_wire.h"
#include "core/clock.h"

#include <dirent.h>
#include <errno.h>
#include <linux/landlock.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define TOKEN "tok-good-0123456789abcdef0123456789abcdef"

static struct {
	char folder[PATH_MAX]; /* of this program: its own below build/tests/unit, or that */
	char agent[PATH_MAX];  /* the real vault-agent */
	char emulator[PATH_MAX], dir[64];
	char base_url[512], login_url[512], ca_file[128];
	pid_t pid;
	int stdin_fd;
} emu;

/* --- the emulator --- */

/* One command; its answer in out, which may be NULL. */
__attribute__((format(printf, 3, 4))) static void ctl(char *out, size_t size, const char *format, ...)
{
	char command[PATH_MAX + 600], words[400];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	snprintf(command, sizeof command, "'%s' ctl %s %s", emu.emulator, emu.dir, words);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	char ignored[4096];
	size_t got = fread(out ? out : ignored, 1, out ? size - 1 : sizeof ignored, f);
	if (out)
		out[got] = '\0';
	assert_int_equal(pclose(f), 0);
}

static long total(const char *name)
{
	char text[4096], wanted[64];
	ctl(text, sizeof text, "totals");
	snprintf(wanted, sizeof wanted, "%s=", name);
	char *at = strstr(text, wanted);
	assert_non_null(at);
	return strtol(at + strlen(wanted), NULL, 10);
}

static void read_line(const char *name, char *ret, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", emu.dir, name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(ret, (int)size, f));
	fclose(f);
	ret[strcspn(ret, "\n")] = '\0';
}

/* The courier is looked for beside the program that starts it. */
static void use_courier(const char *target)
{
	char link[PATH_MAX + 16];
	snprintf(link, sizeof link, "%s/vault-agent", emu.folder);
	(void)unlink(link);
	assert_int_equal(symlink(target, link), 0);
}

/* What lies beside this program lies beside all of them; what we put there is for nobody else to find. */
#define OWN_FOLDER "courier-XXXXXX"

static bool is_in_own_folder(void)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (len <= 0)
		return false;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	return strncmp(strrchr(self, '/') + 1, OWN_FOLDER, sizeof "courier-" - 1) == 0;
}

static void find_programs(void)
{
	ssize_t len = readlink("/proc/self/exe", emu.folder, sizeof emu.folder - 1);
	assert_true(len > 0);
	emu.folder[len] = '\0';
	*strrchr(emu.folder, '/') = '\0';
	const char *up = is_in_own_folder() ? "/../../.." : "/../..";
	snprintf(emu.emulator, sizeof emu.emulator, "%.*s%s/tests/tiktok-emulator", PATH_MAX - 64, emu.folder, up);
	snprintf(emu.agent, sizeof emu.agent, "%.*s%s/vault-agent", PATH_MAX - 64, emu.folder, up);
}

static void start_emulator(void)
{
	int in[2], out[2];
	char ready[6] = "";
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	emu.pid = fork();
	if (emu.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execl(emu.emulator, "tiktok-emulator", "--dir", emu.dir, "--until-stdin-closes", "--die-with-parent",
		      NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	emu.stdin_fd = in[1];
	for (size_t len = 0; len < 5;) {
		ssize_t got = read(out[0], ready + len, 5 - len);
		assert_true(got > 0);
		len += (size_t)got;
	}
	close(out[0]);
	assert_string_equal(ready, "ready");
}

static int set_up(void **state)
{
	(void)state;
	struct error err;
	assert_true(secret_arena_open(SECRET_ARENA_LARGE, &err));
	find_programs();
	if (access(emu.emulator, X_OK) != 0)
		return 0;
	snprintf(emu.dir, sizeof emu.dir, "/tmp/test-courier-XXXXXX");
	assert_non_null(mkdtemp(emu.dir));
	start_emulator();
	read_line("base-url", emu.base_url, sizeof emu.base_url);
	const char *path = strstr(emu.base_url, "/open_api");
	assert_non_null(path);
	snprintf(emu.login_url, sizeof emu.login_url, "%.*s/v2", (int)(path - emu.base_url), emu.base_url);
	snprintf(emu.ca_file, sizeof emu.ca_file, "%s/ca.pem", emu.dir);
	ctl(NULL, 0, "token %s pixels=%s", TOKEN, PIXEL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[PATH_MAX + 128];
	if (emu.pid) {
		close(emu.stdin_fd);
		waitpid(emu.pid, NULL, 0);
		snprintf(command, sizeof command, "rm -rf %s", emu.dir);
		assert_int_equal(system(command), 0);
	}
	snprintf(command, sizeof command, is_in_own_folder() ? "rm -rf '%s'" : "rm -f '%s/vault-agent'", emu.folder);
	assert_int_equal(system(command), 0);
	secret_arena_close();
	return 0;
}

static int before_each(void **state)
{
	(void)state;
	if (emu.pid) {
		ctl(NULL, 0, "reset");
		use_courier(emu.agent);
	}
	return 0;
}

#define NEEDS_EMULATOR()                                                                                               \
	do {                                                                                                           \
		(void)state;                                                                                           \
		if (!emu.pid)                                                                                          \
			skip();                                                                                        \
	} while (0)

/* --- asking --- */

static struct courier *courier_for(const char *base_url, unsigned in_flight, int64_t timeout_ms)
{
	struct courier *c = NULL;
	struct error err;
	struct settings *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->in_flight = in_flight;
	s->connect_timeout_ms = 5000;
	s->timeout_ms = timeout_ms;
	snprintf(s->base_url, sizeof s->base_url, "%s", base_url);
	snprintf(s->login_url, sizeof s->login_url, "%s", emu.login_url);
	snprintf(s->ca_file, sizeof s->ca_file, "%s", emu.ca_file);
	assert_true(courier_new(s, &c, &err));
	free(s);
	return c;
}

static struct secret *secret_of(const char *text)
{
	struct secret *s = NULL;
	struct error err;
	assert_true(secret_copy(bytes_of_text(text), &s, &err));
	return s;
}

static struct answer ask(struct courier *c, enum probe_kind kind, const char *token, bool is_fresh)
{
	scoped(secret_freep) struct secret *secret = secret_of(token);
	struct question q = {
		.id = 1, .kind = kind, .is_fresh = is_fresh, .pixel = PIXEL, .test_code = "TEST1", .token = secret
	};
	struct answer a;
	courier_ask_one(c, &q, &a);
	return a;
}

static void ask_many(struct courier *c, struct secret *token, size_t count)
{
	for (size_t i = 0; i < count; i++)
		courier_ask(
			c, &(struct question){
				   .id = 100 + i, .kind = PROBE_DRY, .pixel = PIXEL, .test_code = "", .token = token });
}

static const char *row_of(const struct answer *a, enum probe_kind kind)
{
	return verdict_judge(a, &(struct question_context){ .kind = kind }).row;
}

/* The process id of our courier, 0 when there is none. */
static pid_t courier_pid(void)
{
	pid_t found = 0;
	DIR *proc = opendir("/proc");
	assert_non_null(proc);
	for (struct dirent *entry; (entry = readdir(proc));) {
		char path[300], line[256] = "", name[64] = "";
		int parent = 0;
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(line, sizeof line, f) && sscanf(line, "%*d (%63[^)]) %*c %d", name, &parent) == 2 &&
		    parent == getpid() && strcmp(name, "vault-agent") == 0)
			found = (pid_t)strtol(entry->d_name, NULL, 10);
		fclose(f);
	}
	closedir(proc);
	return found;
}

/* It is gone when this returns: what is written to one that only dies soon would be lost too. */
static void kill_courier(void)
{
	siginfo_t info;
	pid_t pid = courier_pid();
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void wait_for_requests(long count)
{
	for (int i = 0; i < 500 && total("requests") < count; i++)
		clock_sleep_ms(10);
	assert_true(total("requests") >= count);
}

/* --- the ordinary --- */

static void courier__asks_what_it_is_told_to(void **state)
{
	NEEDS_EMULATOR();
	char count[256];
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	assert_int_equal(courier_pid(), 0); /* starts nothing yet */
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	assert_int_equal(a.http, 200);
	assert_true(a.at > 0 && a.took_ms >= 0 && a.request_id[0]);
	a = ask(c, PROBE_TEST, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_TEST), "6");
	a = ask(c, PROBE_LIVE, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_LIVE), "6");
	a = ask(c, PROBE_TEST, "tok-unknown-1", false);
	assert_string_equal(row_of(&a, PROBE_TEST), "10");
	courier_free(c);
	assert_int_equal(courier_pid(), 0);
	ctl(count, sizeof count, "count %s", PIXEL);
	assert_non_null(strstr(count, "events=1 test=1 dry=1"));
}

static void courier__a_dry_probe_leaves_no_trace(void **state)
{
	NEEDS_EMULATOR();
	char count[256];
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	ctl(NULL, 0, "knob empty-data 0");
	(void)ask(c, PROBE_DRY, TOKEN, false);
	courier_free(c);
	ctl(count, sizeof count, "count %s", PIXEL);
	assert_non_null(strstr(count, "events=0 test=0"));
}

static void courier__many_in_flight_all_come_back_once(void **state)
{
	NEEDS_EMULATOR();
	enum { COUNT = 500, IN_FLIGHT = 8 };
	bool is_answered[COUNT] = { false };
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct courier *c = courier_for(emu.base_url, IN_FLIGHT, 15000);
	struct reply reply;
	size_t asked = 0, answered = 0, ahead = 0;
	ctl(NULL, 0, "knob delay-ms 5");
	while (answered < COUNT) {
		for (; asked < COUNT && courier_room(c); asked++)
			courier_ask(c, &(struct question){ .id = asked,
							   .kind = PROBE_TEST,
							   .pixel = PIXEL,
							   .test_code = "T",
							   .token = token });
		ahead += courier_unanswered(c) > IN_FLIGHT;
		assert_true(courier_next(c, 20000, &reply));
		assert_true(reply.id < COUNT && !is_answered[reply.id]);
		assert_string_equal(row_of(&reply.answer, PROBE_TEST), "6");
		is_answered[reply.id] = true;
		answered++;
	}
	assert_true(ahead > 0);
	assert_int_equal(courier_unanswered(c), 0);
	assert_false(courier_next(c, 0, &reply));
	courier_free(c);
	assert_in_range(total("max-in-flight"), 2, IN_FLIGHT);
	assert_in_range(total("connections"), 1, IN_FLIGHT);
}

static void courier__is_asked_ahead_only_while_answers_come_quickly(void **state)
{
	NEEDS_EMULATOR();
	enum { IN_FLIGHT = 4 };
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct courier *c = courier_for(emu.base_url, IN_FLIGHT, 15000);
	struct reply reply;
	assert_int_equal(courier_room(c), IN_FLIGHT); /* nothing is known of TikTok's speed yet */
	ctl(NULL, 0, "knob delay-ms 100");
	ask_many(c, token, IN_FLIGHT);
	assert_int_equal(courier_room(c), 0);
	for (size_t left = IN_FLIGHT; left > 0; left--) {
		assert_true(courier_next(c, 20000, &reply));
		assert_true(courier_room(c) + courier_unanswered(c) == IN_FLIGHT);
	}
	courier_free(c);
}

static void courier__woken_is_there_before_the_first_question(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	courier_wake(c);
	pid_t pid = 0;
	for (int i = 0; i < 500 && !pid; i++) { /* a moment passes before it has the program's name */
		clock_sleep_ms(10);
		pid = courier_pid();
	}
	assert_true(pid > 0);
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	assert_int_equal(courier_pid(), pid);
	courier_free(c);
}

static void courier__dismissed_ends_while_its_caller_goes_on(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	siginfo_t info = { 0 };
	pid_t pid = courier_pid();
	assert_true(pid > 0);
	courier_dismiss(c);
	for (int i = 0; i < 500 && !info.si_pid; i++) {
		clock_sleep_ms(10);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	}
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, 0);
	courier_free(c);
}

static void courier__that_was_asked_nothing_is_not_waited_for(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	siginfo_t info = { 0 };
	courier_wake(c);
	courier_dismiss(c);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_KILLED);
	assert_int_equal(info.si_status, SIGKILL);
	courier_dismiss(c);
	courier_free(c);
}

static void courier__woken_where_none_is_installed_is_an_answer_all_the_same(void **state)
{
	NEEDS_EMULATOR();
	use_courier("/nowhere/vault-agent");
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	courier_wake(c);
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(a.transport, TRANSPORT_NO_COURIER);
	courier_free(c);
}

/* A megabyte of questions before the first answer is fetched: more than both sockets hold. */
static void courier__neither_side_waits_for_the_other_for_ever(void **state)
{
	NEEDS_EMULATOR();
	char longest[TOKEN_MAX + 1];
	struct reply reply;
	memset(longest, 'x', TOKEN_MAX);
	longest[TOKEN_MAX] = '\0';
	scoped(secret_freep) struct secret *token = secret_of(longest);
	struct courier *c = courier_for(emu.base_url, COURIER_IN_FLIGHT_MAX, 15000);
	ask_many(c, token, COURIER_IN_FLIGHT_MAX);
	assert_int_equal(courier_unanswered(c), COURIER_IN_FLIGHT_MAX);
	for (size_t i = 0; i < COURIER_IN_FLIGHT_MAX; i++) {
		assert_true(courier_next(c, 30000, &reply));
		assert_string_equal(row_of(&reply.answer, PROBE_DRY), "10");
	}
	courier_free(c);
}

static void courier__tokens_of_all_lengths_arrive_whole(void **state)
{
	NEEDS_EMULATOR();
	static const size_t lengths[] = { 8, 123, 124, 125, 1000, 4094, 4095 };
	struct courier *c = courier_for(emu.base_url, 2, 15000);
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		char text[TOKEN_MAX + 1], head[8192];
		for (size_t at = 0; at < lengths[i]; at++)
			text[at] = (char)('a' + at % 26);
		text[lengths[i]] = '\0';
		struct answer a = ask(c, PROBE_DRY, text, false);
		assert_string_equal(row_of(&a, PROBE_DRY), "10");
		ctl(head, sizeof head, "last-head");
		char *sent = strstr(head, "Access-Token: ");
		assert_non_null(sent);
		sent += strlen("Access-Token: ");
		assert_int_equal(strcspn(sent, "\r\n"), lengths[i]);
		assert_memory_equal(sent, text, lengths[i]);
	}
	courier_free(c);
}

static void courier__a_token_that_no_header_may_carry_is_not_sent(void **state)
{
	NEEDS_EMULATOR();
	static const char *const tokens[] = { "", "two words", "line\r\nX-Evil: 1", "caf\xc3\xa9", "tab\there" };
	struct courier *c = courier_for(emu.base_url, 2, 15000);
	for (size_t i = 0; i < COUNT_OF(tokens); i++) {
		struct answer a = ask(c, PROBE_DRY, tokens[i], false);
		assert_int_equal(a.transport, TRANSPORT_OTHER);
	}
	assert_int_equal(total("requests"), 0);
	courier_free(c);
}

static void courier__keeps_connections_and_opens_fresh_ones_when_asked(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	for (int i = 0; i < 5; i++)
		(void)ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(total("connections"), 1);
	for (int i = 0; i < 3; i++)
		(void)ask(c, PROBE_DRY, TOKEN, true);
	assert_int_equal(total("connections"), 4);
	(void)ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(total("connections"), 4);
	courier_free(c);
}

static void courier__a_kept_connection_that_died_is_replaced(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	(void)ask(c, PROBE_DRY, TOKEN, false);
	ctl(NULL, 0, "drop");
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	courier_free(c);
}

static void courier__waiting_without_a_question_is_only_waiting(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	struct reply reply;
	int64_t start = clock_boot_ms();
	assert_false(courier_next(c, 60, &reply));
	assert_in_range(clock_boot_ms() - start, 60, 2000);
	courier_free(c);
}

/* --- a courier that dies --- */

static void courier__killed_in_mid_question_is_answered_for_and_started_again(void **state)
{
	NEEDS_EMULATOR();
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	struct reply reply;
	for (int round = 0; round < 3; round++) {
		ctl(NULL, 0, "reset");
		ctl(NULL, 0, "fault silence");
		ask_many(c, token, 3);
		assert_false(courier_next(c, 0, &reply));
		wait_for_requests(3);
		kill_courier();
		for (size_t i = 0; i < 3; i++) {
			assert_true(courier_next(c, 5000, &reply));
			assert_int_equal(reply.answer.transport, TRANSPORT_NO_COURIER);
			assert_string_equal(row_of(&reply.answer, PROBE_DRY), "2");
		}
		assert_int_equal(courier_unanswered(c), 0);
		ctl(NULL, 0, "fault off");
		struct answer a = ask(c, PROBE_DRY, TOKEN, false);
		assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	}
	courier_free(c);
	assert_int_equal(courier_pid(), 0);
}

static void courier__killed_while_idle_costs_no_question(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	(void)ask(c, PROBE_DRY, TOKEN, false);
	kill_courier();
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	courier_free(c);
}

/* The one question that was written is lost with the process; those still gathered go to the next. */
static void courier__killed_while_questions_are_gathered_loses_only_what_was_written(void **state)
{
	NEEDS_EMULATOR();
	enum { COUNT = 8 };
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct courier *c = courier_for(emu.base_url, 32, 15000);
	struct reply reply;
	size_t lost = 0;
	ctl(NULL, 0, "fault silence times=1");
	ask_many(c, token, COUNT);
	wait_for_requests(1);
	kill_courier();
	for (size_t i = 0; i < COUNT; i++) {
		assert_true(courier_next(c, 20000, &reply));
		lost += reply.answer.transport == TRANSPORT_NO_COURIER;
	}
	assert_int_equal(lost, 1);
	assert_int_equal(courier_unanswered(c), 0);
	courier_free(c);
}

/* What is gathered must not overtake, be lost, or be sent twice when long tokens go between. */
static void courier__short_and_long_tokens_mix(void **state)
{
	NEEDS_EMULATOR();
	enum { COUNT = 200, IN_FLIGHT = 32 };
	bool is_answered[COUNT] = { false };
	char text[1001];
	memset(text, 'y', 1000);
	text[1000] = '\0';
	scoped(secret_freep) struct secret *small = secret_of(TOKEN);
	scoped(secret_freep) struct secret *large = secret_of(text);
	struct courier *c = courier_for(emu.base_url, IN_FLIGHT, 15000);
	struct reply reply;
	for (size_t asked = 0, answered = 0; answered < COUNT; answered++) {
		for (; asked < COUNT && courier_unanswered(c) < IN_FLIGHT; asked++)
			courier_ask(c, &(struct question){ .id = asked,
							   .kind = PROBE_TEST,
							   .pixel = PIXEL,
							   .test_code = "T",
							   .token = asked % 7 == 3 ? large : small });
		assert_true(courier_next(c, 20000, &reply));
		assert_true(reply.id < COUNT && !is_answered[reply.id]);
		assert_string_equal(row_of(&reply.answer, PROBE_TEST), reply.id % 7 == 3 ? "10" : "6");
		is_answered[reply.id] = true;
	}
	courier_free(c);
	assert_int_equal(total("requests"), COUNT);
}

static void courier__one_that_hangs_is_killed_when_its_time_is_over(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 4, 1000);
	(void)ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(kill(courier_pid(), SIGSTOP), 0);
	int64_t start = clock_boot_ms();
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(a.transport, TRANSPORT_NO_COURIER);
	assert_in_range(clock_boot_ms() - start, 3500, 9000);
	assert_int_equal(courier_pid(), 0);
	a = ask(c, PROBE_DRY, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_DRY), "20b");
	courier_free(c);
}

/* Longer than the guard alone: those asked ahead get their own time when the first ones' is over. */
static void courier__asked_ahead_before_silence_each_has_its_time(void **state)
{
	NEEDS_EMULATOR();
	enum { IN_FLIGHT = 2, TIMEOUT_MS = 3500 };
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct courier *c = courier_for(emu.base_url, IN_FLIGHT, TIMEOUT_MS);
	struct reply reply;
	for (int tries = 0; courier_room(c) == IN_FLIGHT && tries < 50; tries++)
		(void)ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(courier_room(c), COURIER_AHEAD * IN_FLIGHT);
	ctl(NULL, 0, "fault silence");
	ask_many(c, token, COURIER_AHEAD * IN_FLIGHT);
	for (size_t i = 0; i < COURIER_AHEAD * IN_FLIGHT; i++) {
		assert_true(courier_next(c, 20000, &reply));
		assert_int_equal(reply.answer.transport, TRANSPORT_TIMEOUT);
	}
	assert_int_equal(courier_room(c), IN_FLIGHT);
	courier_free(c);
}

static void courier__freed_in_mid_question_ends_its_process(void **state)
{
	NEEDS_EMULATOR();
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	struct reply reply;
	ctl(NULL, 0, "fault silence");
	ask_many(c, token, 4);
	assert_false(courier_next(c, 0, &reply));
	wait_for_requests(4);
	courier_free(c);
	assert_int_equal(courier_pid(), 0);
}

static void courier__one_that_is_not_installed_is_an_answer(void **state)
{
	NEEDS_EMULATOR();
	char link[PATH_MAX + 16];
	snprintf(link, sizeof link, "%s/vault-agent", emu.folder);
	assert_int_equal(unlink(link), 0);
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	struct answer a = ask(c, PROBE_DRY, TOKEN, false);
	assert_int_equal(a.transport, TRANSPORT_NO_COURIER);
	assert_non_null(strstr(a.text, "vault-agent"));
	courier_free(c);
}

static void courier__settings_that_cannot_work_are_an_answer(void **state)
{
	NEEDS_EMULATOR();
	static const char *const urls[] = { "http://localhost/x",
					    "https://u:p@localhost/x",
					    "https://localhost/x?a=1",
					    "file:///etc/passwd",
					    "",
					    "https://" };
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		struct courier *c = courier_for(urls[i], 4, 15000);
		struct answer a = ask(c, PROBE_DRY, TOKEN, false);
		assert_int_equal(a.transport, TRANSPORT_OTHER);
		assert_non_null(strstr(a.text, "base-url"));
		a = ask(c, PROBE_DRY, TOKEN, false);
		assert_int_equal(a.transport, TRANSPORT_OTHER);
		courier_free(c);
	}
}

/* --- faults on the way --- */

static void courier__every_fault_has_its_row(void **state)
{
	NEEDS_EMULATOR();
	static const struct {
		const char *fault, *row;
		enum transport transport;
	} rows[] = {
		{ "refuse", "2", TRANSPORT_TLS },
		{ "close", "2", TRANSPORT_CUT },
		{ "reset", "2", TRANSPORT_CUT },
		{ "silence", "2", TRANSPORT_TIMEOUT },
		{ "slow-head", "2", TRANSPORT_TIMEOUT },
		{ "slow-body", "2", TRANSPORT_TIMEOUT },
		{ "half-body", "2", TRANSPORT_CUT },
		{ "cut-body", "2", TRANSPORT_CUT },
		{ "chunked-cut", "2", TRANSPORT_CUT },
		{ "chunked-lie", "2", TRANSPORT_CUT },
		{ "empty", "2", TRANSPORT_OK },
		{ "502-html", "2", TRANSPORT_OK },
		{ "503", "2", TRANSPORT_OK },
		{ "500-json", "23", TRANSPORT_OK },
		{ "51012", "23", TRANSPORT_OK },
		{ "51039", "23", TRANSPORT_OK },
		{ "60001", "23", TRANSPORT_OK },
		{ "41000", "22", TRANSPORT_OK },
		{ "unknown-code", "24", TRANSPORT_OK },
		{ "code-40102", "12", TRANSPORT_OK },
		{ "code-40132", "5", TRANSPORT_OK },
		{ "404-text", "3", TRANSPORT_OK },
		{ "405-html", "3", TRANSPORT_OK },
		{ "html-200", "2", TRANSPORT_OK },
		{ "array", "24", TRANSPORT_OK },
		{ "deep", "2", TRANSPORT_TOO_BIG },
		{ "nodes", "2", TRANSPORT_TOO_BIG },
		{ "huge", "2", TRANSPORT_TOO_BIG },
		{ "huge-chunked", "2", TRANSPORT_TOO_BIG },
		{ "endless-head", "2", TRANSPORT_TOO_BIG },
		{ "continue-flood", "2", TRANSPORT_TOO_BIG },
		{ "http09", "2", TRANSPORT_OTHER },
		{ "garbage", "2", TRANSPORT_OTHER },
		{ "gzip", "2", TRANSPORT_OK },
		{ "gzip-bomb", "2", TRANSPORT_TOO_BIG },
		{ "bom", "24", TRANSPORT_OK },
		{ "bad-utf8", "24", TRANSPORT_OK },
		{ "nul-key", "24", TRANSPORT_OK },
		{ "code-string", "24", TRANSPORT_OK },
		{ "code-float", "24", TRANSPORT_OK },
		{ "code-float-bad", "24", TRANSPORT_OK },
		{ "code-exp", "24", TRANSPORT_OK },
		{ "code-huge", "24", TRANSPORT_OK },
		{ "code-big", "24", TRANSPORT_OK },
		{ "code-missing", "24", TRANSPORT_OK },
		{ "code-null", "24", TRANSPORT_OK },
		{ "code-twice", "24", TRANSPORT_OK },
		{ "code-case", "24", TRANSPORT_OK },
		{ "case-only", "24", TRANSPORT_OK },
		{ "echo-token", "10", TRANSPORT_OK },
		{ "redirect", "2", TRANSPORT_OK },
		{ "redirect-307", "2", TRANSPORT_OK },
		{ "redirect-http", "2", TRANSPORT_OK },
		{ "redirect-file", "2", TRANSPORT_OK },
	};
	/* Only what is to be too late has little time: a busy machine may need more for a big answer. */
	struct courier *c = courier_for(emu.base_url, 1, 15000), *hasty = courier_for(emu.base_url, 1, 1200);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		ctl(NULL, 0, "fault %s", rows[i].fault);
		struct answer a = ask(rows[i].transport == TRANSPORT_TIMEOUT ? hasty : c, PROBE_TEST, TOKEN, true);
		if (strcmp(row_of(&a, PROBE_TEST), rows[i].row) != 0 || a.transport != rows[i].transport)
			fail_msg("%s: row %s, transport %d, '%s'", rows[i].fault, row_of(&a, PROBE_TEST),
				 (int)a.transport, a.text);
		assert_null(strstr(a.text, TOKEN));
		assert_true(a.text[0]);
	}
	courier_free(c);
	courier_free(hasty);
	assert_int_equal(total("other-host-connections"), 0);
	assert_int_equal(total("other-host-tokens"), 0);
}

static void courier__no_byte_is_sent_to_a_host_that_cannot_prove_itself(void **state)
{
	NEEDS_EMULATOR();
	static const char *const knobs[] = { "cert expired",    "cert not-yet", "cert wrong-host", "cert self-signed",
					     "cert foreign-ca", "cert cn-only", "tls 1.1-only",    "tls plaintext" };
	struct courier *c = courier_for(emu.base_url, 4, 5000);
	for (size_t i = 0; i < COUNT_OF(knobs); i++) {
		ctl(NULL, 0, "reset");
		ctl(NULL, 0, "knob %s", knobs[i]);
		ctl(NULL, 0, "drop");
		for (int is_fresh = 0; is_fresh < 2; is_fresh++) {
			struct answer a = ask(c, PROBE_TEST, TOKEN, is_fresh);
			assert_int_equal(a.transport, TRANSPORT_TLS);
			assert_string_equal(row_of(&a, PROBE_TEST), "2");
		}
		assert_int_equal(total("requests"), 0);
		assert_int_equal(total("app-bytes-with-bad-cert"), 0);
	}
	ctl(NULL, 0, "reset");
	struct answer a = ask(c, PROBE_TEST, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_TEST), "6");
	courier_free(c);
}

static void courier__an_authority_it_was_not_given_proves_nothing(void **state)
{
	NEEDS_EMULATOR();
	char given[sizeof emu.ca_file];
	memcpy(given, emu.ca_file, sizeof given);
	emu.ca_file[0] = '\0'; /* the system's bundle */
	struct courier *c = courier_for(emu.base_url, 1, 5000);
	memcpy(emu.ca_file, given, sizeof given);
	struct answer a = ask(c, PROBE_TEST, TOKEN, false);
	assert_true(a.transport == TRANSPORT_TLS || a.transport == TRANSPORT_OTHER /* no bundle here */);
	assert_int_equal(total("requests"), 0);
	courier_free(c);
}

static void courier__the_environment_has_no_say(void **state)
{
	NEEDS_EMULATOR();
	char keys[128];
	snprintf(keys, sizeof keys, "%s/keys", emu.dir);
	setenv("SSLKEYLOGFILE", keys, 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	setenv("CURL_CA_BUNDLE", "/dev/null", 1);
	struct courier *c = courier_for(emu.base_url, 1, 5000);
	struct answer a = ask(c, PROBE_TEST, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_TEST), "6");
	courier_free(c);
	assert_int_equal(access(keys, F_OK), -1);
	unsetenv("SSLKEYLOGFILE");
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	unsetenv("CURL_CA_BUNDLE");
}

static void courier__unreachable_hosts_are_told_apart(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for("https://127.0.0.1:1/x", 1, 5000);
	struct answer a = ask(c, PROBE_TEST, TOKEN, false);
	assert_int_equal(a.transport, TRANSPORT_CONNECT);
	courier_free(c);
	c = courier_for("https://no-such-host.invalid/x", 1, 5000);
	a = ask(c, PROBE_TEST, TOKEN, false);
	assert_int_equal(a.transport, TRANSPORT_NAME);
	courier_free(c);
}

/* --- couriers that lie --- */

/* How; told in the host's name, since a courier's environment is empty. */
static const char *const lies[] = {
	"version",    "transport",    "no-courier", "body",      "body-of-a-failure",
	"http",       "code-missing", "code-huge",  "code-none", "took",
	"text-open",  "text-control", "text-high",  "id-open",   "id-control",
	"id-unknown", "twice",        "half",       "exit",      "deaf",
	"pair",       "pair-odd",     "leaves-odd", "leaves-version", "leaves-twice",
};

/* Of what follows the answer to a refresh. */
static const char *const pair_lies[] = { "none",	  "short",    "version",     "zero",	   "id",   "access-long", "access-none",
					 "access-blank", "refresh-long", "refresh-odd", "life-minus", "life-long", "half", "two" };

static void spoil_pair(struct courier_pair *p, const char *lie)
{
	struct token_pair *t = &p->pair;
	if (strcmp(lie, "version") == 0)
		p->version++;
	if (strcmp(lie, "zero") == 0)
		p->zero++;
	if (strcmp(lie, "id") == 0)
		p->id++;
	if (strcmp(lie, "access-long") == 0)
		t->access_len = UINT32_MAX;
	if (strcmp(lie, "access-none") == 0)
		t->access_len = 0;
	if (strcmp(lie, "access-blank") == 0)
		t->access[3] = ' ';
	if (strcmp(lie, "refresh-long") == 0)
		t->refresh_len = REFRESH_TOKEN_MAX + 1;
	if (strcmp(lie, "refresh-odd") == 0)
		t->refresh[0] = 0x80;
	if (strcmp(lie, "life-minus") == 0)
		t->life_s = -1;
	if (strcmp(lie, "life-long") == 0)
		t->refresh_life_s = LIFE_MAX_S + 1;
}

/* False: that was all of it. */
static bool lie_about_a_pair(struct courier_answer *a, const char *lie)
{
	static struct courier_pair p;
	p = (struct courier_pair){ .version = COURIER_VERSION, .id = a->id };
	p.pair.access_len = p.pair.refresh_len = 12;
	memcpy(p.pair.access, "act.11112222", 12);
	memcpy(p.pair.refresh, "rft.33334444", 12);
	a->behind = strcmp(lie, "none") != 0;
	spoil_pair(&p, lie);
	size_t len = strcmp(lie, "half") == 0 ? sizeof p / 2 : strcmp(lie, "short") == 0 ? 0 : sizeof p;
	if (write(COURIER_FD, a, sizeof *a) != sizeof *a || write(COURIER_FD, &p, len) != (ssize_t)len)
		return false;
	return len == sizeof p && (strcmp(lie, "two") != 0 || write(COURIER_FD, &p, len) == (ssize_t)len);
}

/* Of what follows the answer about a list. */
static const char *const page_lies[] = { "true", "none", "pair", "version", "zero", "id", "page", "pages", "total", "count", "code", "open", "kind", "half" };

static void spoil_page(struct courier_page *p, const char *lie)
{
	struct list_page *l = &p->page;
	p->version += strcmp(lie, "version") == 0;
	p->zero += strcmp(lie, "zero") == 0;
	p->id += strcmp(lie, "id") == 0;
	l->page += strcmp(lie, "page") == 0;
	if (strcmp(lie, "pages") == 0)
		l->pages = LIST_PAGES_MAX + 1;
	if (strcmp(lie, "total") == 0)
		l->total = UINT32_MAX;
	if (strcmp(lie, "count") == 0)
		l->count = LIST_ROWS_MAX + 1;
	if (strcmp(lie, "code") == 0)
		l->rows[1].pixel[0] = ':';
	if (strcmp(lie, "open") == 0)
		memset(l->rows[1].pixel, 'A', sizeof l->rows[1].pixel);
	if (strcmp(lie, "kind") == 0)
		l->rows[1].kind = SIGHT_KIND_COUNT;
}

static bool lie_about_a_page(struct courier_answer *a, uint32_t page, const char *lie)
{
	struct courier_page p = { .version = COURIER_VERSION, .id = a->id };
	p.page = (struct list_page){ .page = page, .pages = 9, .total = 2, .count = 2 };
	strcpy(p.page.rows[0].pixel, PIXEL);
	strcpy(p.page.rows[1].pixel, PIXEL);
	a->behind = strcmp(lie, "none") == 0 ? BEHIND_NOTHING : strcmp(lie, "pair") == 0 ? BEHIND_PAIR : BEHIND_PAGE;
	spoil_page(&p, lie);
	size_t len = strcmp(lie, "half") == 0 ? sizeof p / 2 : strcmp(lie, "none") == 0 ? 0 : sizeof p;
	return write(COURIER_FD, a, sizeof *a) == sizeof *a && write(COURIER_FD, &p, len) == (ssize_t)len &&
	       strcmp(lie, "half") != 0;
}

static void spoil(struct courier_answer *a, const char *lie)
{
	if (strcmp(lie, "version") == 0)
		a->version++;
	if (strcmp(lie, "transport") == 0)
		a->transport = -1;
	if (strcmp(lie, "no-courier") == 0)
		a->transport = TRANSPORT_COUNT;
	if (strcmp(lie, "body") == 0)
		a->body = 9;
	if (strcmp(lie, "body-of-a-failure") == 0)
		a->transport = TRANSPORT_TIMEOUT;
	if (strcmp(lie, "http") == 0)
		a->http = 1000;
	if (strcmp(lie, "code-missing") == 0)
		a->code = NO_CODE;
	if (strcmp(lie, "code-huge") == 0)
		a->code = INT32_MAX;
	if (strcmp(lie, "code-none") == 0)
		a->body = BODY_NONE;
	if (strcmp(lie, "took") == 0)
		a->took_ms = -5;
	if (strcmp(lie, "text-open") == 0)
		memset(a->text, 'x', sizeof a->text);
	if (strcmp(lie, "text-control") == 0)
		a->text[0] = '\033';
	if (strcmp(lie, "text-high") == 0)
		a->text[0] = '\xc3';
	if (strcmp(lie, "id-open") == 0)
		memset(a->request_id, 'x', sizeof a->request_id);
	if (strcmp(lie, "id-control") == 0)
		a->request_id[0] = '\n';
	if (strcmp(lie, "id-unknown") == 0)
		a->id++;
	if (strcmp(lie, "pair") == 0)
		a->behind = 1; /* nobody asked for one */
	if (strcmp(lie, "pair-odd") == 0)
		a->behind = 2;
	if (strcmp(lie, "leaves-odd") == 0)
		a->leaves = 2;
	if (strcmp(lie, "leaves-version") == 0)
		a->leaves = 1, a->version++;
}

static const struct courier_answer a_wish = { .version = COURIER_VERSION, .leaves = 1 };

/* That it would make room, before its first answer. */
static bool wish_to_leave(const char *lie)
{
	static bool was_said;
	int times = strcmp(lie, "leaves") == 0 ? 1 : strcmp(lie, "leaves-twice") == 0 ? 2 : 0;
	bool is_said = true;
	for (int i = 0; i < times && !was_said; i++)
		is_said = is_said && write(COURIER_FD, &a_wish, sizeof a_wish) == sizeof a_wish;
	was_said = true;
	return is_said;
}

static bool read_all(void *at, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t got = read(COURIER_FD, (uint8_t *)at + have, len - have);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

static int lie_as_courier(void)
{
	static struct courier_config config;
	struct courier_probe probe;
	uint8_t room[COURIER_ROOM_LONG];
	if (!read_all(&config, sizeof config))
		return 0;
	const char *lie = config.base_url + strlen("https://");
	if (strcmp(lie, "deaf") == 0)
		return close(COURIER_FD);
	while (read_all(&probe, sizeof probe) && read_all(room, courier_token_room(probe.token_len))) {
		struct courier_answer a = { .version = COURIER_VERSION,
					    .body = BODY_CODE,
					    .http = 200,
					    .id = probe.id,
					    .text = "OK",
					    .request_id = "1" };
		if (probe.kind == PROBE_REFRESH) {
			if (!lie_about_a_pair(&a, lie))
				return 0;
			continue;
		}
		if (probe.kind == PROBE_LISTING) {
			if (!lie_about_a_page(&a, probe.page, lie))
				return 0;
			continue;
		}
		if (!wish_to_leave(lie))
			return 1;
		spoil(&a, lie);
		size_t len = strcmp(lie, "half") == 0 ? sizeof a / 2 : strcmp(lie, "exit") == 0 ? 0 : sizeof a;
		if (write(COURIER_FD, &a, len) != (ssize_t)len)
			return 1;
		if (strcmp(lie, "twice") == 0 && write(COURIER_FD, &a, len) != (ssize_t)len)
			return 1;
		if (len < sizeof a)
			return 0;
	}
	return 0;
}

/* This program in the courier's place. */
static struct courier *liar(const char *lie, int64_t timeout_ms)
{
	char url[64], self[PATH_MAX + 32];
	snprintf(self, sizeof self, "%s/test_courier", emu.folder);
	use_courier(self);
	snprintf(url, sizeof url, "https://%s", lie);
	return courier_for(url, 2, timeout_ms);
}

static void courier__a_lie_is_never_believed(void **state)
{
	NEEDS_EMULATOR();
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		struct courier *c = liar(lies[i], 1000);
		struct answer a = ask(c, PROBE_TEST, TOKEN, false);
		if (strcmp(lies[i], "twice") != 0) {
			assert_int_equal(a.transport, TRANSPORT_NO_COURIER);
			assert_int_equal(a.code, NO_CODE);
		}
		assert_int_equal(courier_unanswered(c), 0);
		a = ask(c, PROBE_TEST, TOKEN, false); /* and the next question finds a new one */
		assert_int_equal(courier_unanswered(c), 0);
		courier_free(c);
		assert_int_equal(courier_pid(), 0);
	}
}

static void courier__the_liar_without_a_lie_is_believed(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = liar("honest", 1000);
	struct answer a = ask(c, PROBE_TEST, TOKEN, false);
	assert_string_equal(row_of(&a, PROBE_TEST), "6");
	assert_string_equal(a.text, "OK");
	courier_free(c);
}

static void courier__that_would_make_room_answers_what_was_on_its_way(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = liar("leaves", 5000);
	struct answer a = ask(c, PROBE_TEST, TOKEN, false);
	assert_string_equal(a.text, "OK");
	assert_int_equal(courier_pid(), 0); /* nothing was open: it was let go */
	a = ask(c, PROBE_TEST, TOKEN, false);
	assert_string_equal(a.text, "OK");
	struct reply r;
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	ask_many(c, token, 2);
	for (int i = 0; i < 2; i++) { /* while one was open it stayed */
		assert_true(courier_next(c, 5000, &r));
		assert_string_equal(r.answer.text, "OK");
	}
	assert_int_equal(courier_pid(), 0);
	courier_free(c);
}

/* In its own time, and it waits to be let go. */
static void assert_it_wishes_to_leave(const struct courier *c)
{
	struct courier_answer seen;
	struct pollfd wish = { .fd = courier_fd(c), .events = POLLIN };
	assert_int_equal(poll(&wish, 1, 20000), 1);
	assert_int_equal(wish.revents & POLLHUP, 0);
	assert_int_equal(recv(courier_fd(c), &seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT), sizeof seen);
	assert_memory_equal(&seen, &a_wish, sizeof seen);
}

static void courier__that_would_make_room_is_followed_before_the_next_question(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 1, 15000);
	ctl(NULL, 0, "fault garbage");
	int64_t began = clock_boot_ms();
	struct answer a = ask(c, PROBE_TEST, TOKEN, true);
	assert_int_equal(a.transport, TRANSPORT_OTHER);
	pid_t first = courier_pid();
	assert_it_wishes_to_leave(c);
	assert_true(clock_boot_ms() - began > 4000);
	ctl(NULL, 0, "fault off");
	a = ask(c, PROBE_TEST, TOKEN, false);
	assert_int_equal(a.transport, TRANSPORT_OK);
	assert_int_not_equal(courier_pid(), first);
	assert_int_not_equal(courier_pid(), 0); /* the question went to the next one already */
	courier_free(c);
}

static void copy_file(const char *from, const char *to)
{
	char text[65536];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	assert_true(in && out);
	size_t len = fread(text, 1, sizeof text, in);
	assert_in_range(len, 1, sizeof text - 1);
	assert_int_equal(fwrite(text, 1, len, out), len);
	assert_int_equal(fclose(in) | fclose(out), 0);
}

/* Landlock's right is the old file's: the new one could not be read. */
static void courier__whose_files_were_replaced_would_make_room(void **state)
{
	NEEDS_EMULATOR();
	if (getenv("UNDER_VALGRIND") || syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
		skip();
	char given[sizeof emu.ca_file], fresh[sizeof emu.dir + 32];
	memcpy(given, emu.ca_file, sizeof given);
	snprintf(emu.ca_file, sizeof emu.ca_file, "%s/own-ca.pem", emu.dir);
	snprintf(fresh, sizeof fresh, "%s/new-ca.pem", emu.dir);
	copy_file(given, emu.ca_file);
	copy_file(given, fresh);
	struct courier *c = courier_for(emu.base_url, 1, 15000);
	assert_int_equal(ask(c, PROBE_TEST, TOKEN, false).transport, TRANSPORT_OK);
	pid_t first = courier_pid();
	assert_int_equal(rename(fresh, emu.ca_file), 0);
	memcpy(emu.ca_file, given, sizeof given);
	assert_it_wishes_to_leave(c);
	assert_int_equal(ask(c, PROBE_TEST, TOKEN, false).transport, TRANSPORT_OK);
	assert_int_not_equal(courier_pid(), first);
	courier_free(c);
}

/* For the next one may find what this one lacked; not sooner than in five seconds, or each question would start one. */
static void courier__that_could_not_begin_makes_room_behind_its_excuse(void **state)
{
	NEEDS_EMULATOR();
	char given[sizeof emu.ca_file];
	memcpy(given, emu.ca_file, sizeof given);
	snprintf(emu.ca_file, sizeof emu.ca_file, "%s/no-such-ca.pem", emu.dir);
	struct courier *c = courier_for(emu.base_url, 1, 15000);
	memcpy(emu.ca_file, given, sizeof given);
	assert_int_equal(ask(c, PROBE_TEST, TOKEN, false).transport, TRANSPORT_OTHER);
	assert_int_not_equal(courier_pid(), 0);
	sleep(6);
	assert_int_equal(ask(c, PROBE_TEST, TOKEN, false).transport, TRANSPORT_OTHER);
	assert_int_equal(courier_pid(), 0);
	courier_free(c);
}

/* A courier that somebody else started, with us in its place; what it is asked. */
static struct courier *given_courier(unsigned in_flight, int *ret_peer)
{
	int pair[2];
	struct courier *c = NULL;
	struct error err;
	struct settings *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->in_flight = in_flight;
	s->connect_timeout_ms = s->timeout_ms = 5000;
	snprintf(s->base_url, sizeof s->base_url, "https://nobody.example");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(courier_new_given(s, &c, &err));
	free(s);
	courier_give(c, pair[0]);
	*ret_peer = pair[1];
	struct courier_config config;
	assert_int_equal(recv(pair[1], &config, sizeof config, MSG_WAITALL), sizeof config);
	return c;
}

static uint64_t asked_of(int peer)
{
	uint8_t room[COURIER_ROOM_SHORT];
	struct courier_probe probe;
	assert_int_equal(recv(peer, &probe, sizeof probe, MSG_WAITALL), sizeof probe);
	assert_int_equal(recv(peer, room, sizeof room, MSG_WAITALL), sizeof room);
	return probe.id;
}

static void say_as_courier(int peer, const struct courier_answer *a)
{
	assert_int_equal(send(peer, a, sizeof *a, MSG_NOSIGNAL), sizeof *a);
}

static struct courier_answer good_answer(uint64_t id)
{
	return (struct courier_answer){
		.version = COURIER_VERSION, .body = BODY_CODE, .http = 200, .id = id, .text = "OK", .request_id = "1"
	};
}

/* There is no other one yet: while it waits to be let go it answers what comes. */
static void courier__given_that_would_make_room_is_asked_until_it_is_let_go(void **state)
{
	(void)state;
	int peer;
	struct courier *c = given_courier(2, &peer);
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct reply r;
	say_as_courier(peer, &a_wish);
	ask_many(c, token, 1);
	struct courier_answer a = good_answer(asked_of(peer));
	assert_false(courier_next(c, 0, &r)); /* hears the wish */
	assert_true(courier_fd(c) >= 0);
	assert_int_equal(courier_room(c), 0); /* no more, or it would be asked for ever */
	say_as_courier(peer, &a);
	assert_true(courier_next(c, 5000, &r));
	assert_int_equal(r.answer.transport, TRANSPORT_OK);
	assert_int_equal(courier_fd(c), -1);
	assert_int_equal(courier_room(c), 2 * COURIER_AHEAD_GIVEN);
	assert_int_equal(recv(peer, &a, sizeof a, 0), 0);
	close(peer);
	courier_free(c);
}

static void courier__that_would_make_room_is_let_go_behind_a_page(void **state)
{
	(void)state;
	int peer;
	struct courier *c = given_courier(2, &peer);
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	struct reply r;
	courier_ask(c, &(struct question){ .id = 5, .kind = PROBE_LISTING, .pixel = "7012345678901234567", .page = 1,
					   .test_code = "", .token = token });
	struct courier_answer a = good_answer(asked_of(peer));
	struct courier_page p = { .version = COURIER_VERSION, .id = a.id, .page = { .page = 1, .pages = 1 } };
	a.behind = BEHIND_PAGE;
	say_as_courier(peer, &a_wish);
	say_as_courier(peer, &a);
	assert_int_equal(send(peer, &p, sizeof p, MSG_NOSIGNAL), sizeof p);
	assert_true(courier_next(c, 5000, &r));
	assert_non_null(r.page);
	assert_int_equal(courier_fd(c), -1);
	close(peer);
	courier_free(c);
}

/* One question right behind the other, while it would leave in each pause. */
static void courier__that_would_make_room_loses_no_question(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 1, 15000);
	ctl(NULL, 0, "fault garbage");
	for (int64_t until = clock_boot_ms() + 12000; clock_boot_ms() < until;) {
		struct answer a = ask(c, PROBE_TEST, TOKEN, true);
		if (a.transport != TRANSPORT_OTHER)
			fail_msg("transport %d, '%s'", (int)a.transport, a.text);
	}
	courier_free(c);
}

/* --- refreshes --- */

#define APP "7012345678901234567"
#define APP_SECRET "emulator-app-secret"

static struct secret *grant_with(const char *client_secret, const char *refresh_token)
{
	struct secret *packed;
	struct error err;
	struct grant g = { bytes_of_text(APP), bytes_of_text(client_secret), bytes_of_text(refresh_token) };
	assert_true(grant_pack(&g, &packed, &err));
	return packed;
}

static struct reply refresh(struct courier *c, uint64_t id, enum family family, const struct secret *grant)
{
	struct reply r;
	struct question q = { .id = id, .kind = PROBE_REFRESH, .is_fresh = true, .pixel = PIXEL, .test_code = "", .family = family,
			      .token = grant };
	courier_ask(c, &q);
	assert_true(courier_next(c, 20000, &r));
	assert_int_equal(r.id, id);
	return r;
}

static void courier__a_refresh_brings_a_pair_of_either_family(void **state)
{
	NEEDS_EMULATOR();
	static const struct {
		enum family family;
		const char *kind, *token;
	} rows[] = { { FAMILY_ACCOUNTS, "tt_user", "rft.of-the-accounts-api" }, { FAMILY_LOGIN, "login", "rft.of-login-kit" } };
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		scoped(secret_freep) struct secret *grant = grant_with(APP_SECRET, rows[i].token);
		ctl(NULL, 0, "token act.%zu.0123456789 kind=%s pixels=%s refresh=%s", i, rows[i].kind, PIXEL, rows[i].token);
		struct reply r = refresh(c, 7 + i, rows[i].family, grant);
		assert_int_equal(r.answer.transport, TRANSPORT_OK);
		assert_non_null(r.pair);
		assert_int_equal(r.pair->access_len, 44);
		assert_memory_equal(r.pair->access, "act.", 4);
		assert_memory_equal(r.pair->refresh, "rft.", 4);
		assert_int_equal(r.pair->life_s, 86400);
		courier_forget_pair(c);
		assert_int_equal(r.pair->access_len, 0);
		r = refresh(c, 9, rows[i].family, grant); /* it was replaced */
		assert_null(r.pair);
		assert_string_equal(verdict_judge(&r.answer, &(struct question_context){ .endpoint = ENDPOINT_REFRESH,
											   .kind = PROBE_REFRESH })
					    .row,
				    "13");
	}
	courier_free(c);
}

static void courier__a_refresh_goes_along_with_probes(void **state)
{
	NEEDS_EMULATOR();
	struct courier *c = courier_for(emu.base_url, 32, 15000);
	scoped(secret_freep) struct secret *token = secret_of(TOKEN);
	scoped(secret_freep) struct secret *grant = grant_with(APP_SECRET, "rft.among-others");
	struct question q = { .id = 1, .kind = PROBE_REFRESH, .pixel = PIXEL, .test_code = "", .family = FAMILY_ACCOUNTS,
			      .token = grant };
	struct reply r;
	size_t pairs = 0, refused = 0;
	ctl(NULL, 0, "token act.among-others kind=tt_user refresh=rft.among-others");
	ask_many(c, token, 15);
	courier_ask(c, &q);
	q.id = 2; /* one at a time */
	courier_ask(c, &q);
	for (size_t i = 0; i < 14; i++)
		courier_ask(c, &(struct question){
				       .id = 200 + i, .kind = PROBE_DRY, .pixel = PIXEL, .test_code = "", .token = token });
	for (size_t i = 0; i < 31; i++) {
		assert_true(courier_next(c, 20000, &r));
		pairs += r.pair != NULL;
		refused += r.answer.transport == TRANSPORT_NO_COURIER;
		assert_true((r.pair != NULL) == (r.id == 1));
		assert_true((r.answer.transport == TRANSPORT_NO_COURIER) == (r.id == 2));
	}
	assert_int_equal(pairs, 1);
	assert_int_equal(refused, 1);
	assert_int_equal(courier_unanswered(c), 0);
	courier_free(c);
}

/* The first that is started finds the courier dead only when it writes. */
static void courier__killed_while_idle_costs_no_refresh(void **state)
{
	NEEDS_EMULATOR();
	scoped(secret_freep) struct secret *grant = grant_with(APP_SECRET, "rft.after-a-death");
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	ctl(NULL, 0, "token act.after-a-death kind=tt_user refresh=rft.after-a-death");
	(void)ask(c, PROBE_DRY, TOKEN, false);
	kill_courier();
	struct reply r = refresh(c, 2, FAMILY_ACCOUNTS, grant);
	assert_int_equal(r.answer.transport, TRANSPORT_OK);
	assert_non_null(r.pair);
	courier_free(c);
}

static void courier__a_refresh_that_no_courier_was_there_for_holds_up_none_that_follows(void **state)
{
	NEEDS_EMULATOR();
	scoped(secret_freep) struct secret *grant = grant_with(APP_SECRET, "rft.after-an-absence");
	struct courier *c = courier_for(emu.base_url, 4, 15000);
	ctl(NULL, 0, "token act.after-an-absence kind=tt_user refresh=rft.after-an-absence");
	use_courier("nowhere");
	struct reply r = refresh(c, 1, FAMILY_ACCOUNTS, grant);
	assert_int_equal(r.answer.transport, TRANSPORT_NO_COURIER);
	assert_true(courier_takes(c, PROBE_REFRESH));
	assert_true(courier_takes(c, PROBE_LISTING));
	use_courier(emu.agent);
	r = refresh(c, 2, FAMILY_ACCOUNTS, grant);
	assert_non_null(r.pair);
	courier_free(c);
}

static void courier__a_pair_that_cannot_be_is_never_taken(void **state)
{
	NEEDS_EMULATOR();
	scoped(secret_freep) struct secret *grant = grant_with(APP_SECRET, "rft.whatever-it-is");
	for (size_t i = 0; i < COUNT_OF(pair_lies); i++) {
		struct courier *c = liar(pair_lies[i], 1000);
		struct reply r = refresh(c, 3, FAMILY_LOGIN, grant);
		bool is_true = strcmp(pair_lies[i], "two") == 0;
		assert_true((r.pair != NULL) == is_true);
		if (!is_true && strcmp(pair_lies[i], "none") != 0)
			assert_int_equal(r.answer.transport, TRANSPORT_NO_COURIER);
		r = refresh(c, 4, FAMILY_LOGIN, grant); /* and the next question finds a new one */
		assert_int_equal(courier_unanswered(c), 0);
		courier_free(c);
		assert_int_equal(courier_pid(), 0);
	}
}

static void courier__a_page_that_cannot_be_is_never_taken(void **state)
{
	NEEDS_EMULATOR();
	scoped(secret_freep) struct secret *token = NULL;
	struct error err;
	assert_true(secret_copy(bytes_of_text(TOKEN), &token, &err));
	for (size_t i = 0; i < COUNT_OF(page_lies); i++) {
		struct courier *c = liar(page_lies[i], 1000);
		struct question q = { .id = 3, .kind = PROBE_LISTING, .pixel = "bc:7123", .page = 4, .test_code = "", .token = token };
		struct reply r;
		assert_true(courier_takes(c, PROBE_LISTING));
		courier_ask(c, &q);
		assert_false(courier_takes(c, PROBE_LISTING));
		assert_false(courier_takes(c, PROBE_REFRESH));
		assert_true(courier_takes(c, PROBE_DRY));
		assert_true(courier_next(c, 20000, &r));
		assert_true((r.page != NULL) == (i == 0));
		assert_int_equal(r.answer.transport, i < 2 ? TRANSPORT_OK : TRANSPORT_NO_COURIER);
		if (i == 0)
			assert_int_equal(r.page->page, 4);
		assert_true(courier_takes(c, PROBE_LISTING));
		courier_free(c);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, before_each)

static void move_to_own_folder(char **argv)
{
	char self[PATH_MAX], folder[PATH_MAX + 32], moved[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (len <= 0)
		exit(1);
	self[len] = '\0';
	snprintf(folder, sizeof folder, "%.*s/" OWN_FOLDER, (int)(strrchr(self, '/') - self), self);
	if (!mkdtemp(folder))
		exit(1);
	snprintf(moved, sizeof moved, "%s/test_courier", folder);
	if (link(self, moved) == 0)
		execv(moved, argv);
	perror(moved);
	exit(1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(courier__asks_what_it_is_told_to),
		TEST(courier__a_dry_probe_leaves_no_trace),
		TEST(courier__many_in_flight_all_come_back_once),
		TEST(courier__is_asked_ahead_only_while_answers_come_quickly),
		TEST(courier__woken_is_there_before_the_first_question),
		TEST(courier__dismissed_ends_while_its_caller_goes_on),
		TEST(courier__that_was_asked_nothing_is_not_waited_for),
		TEST(courier__woken_where_none_is_installed_is_an_answer_all_the_same),
		TEST(courier__neither_side_waits_for_the_other_for_ever),
		TEST(courier__tokens_of_all_lengths_arrive_whole),
		TEST(courier__a_token_that_no_header_may_carry_is_not_sent),
		TEST(courier__keeps_connections_and_opens_fresh_ones_when_asked),
		TEST(courier__a_kept_connection_that_died_is_replaced),
		TEST(courier__waiting_without_a_question_is_only_waiting),
		TEST(courier__killed_in_mid_question_is_answered_for_and_started_again),
		TEST(courier__killed_while_idle_costs_no_question),
		TEST(courier__killed_while_questions_are_gathered_loses_only_what_was_written),
		TEST(courier__short_and_long_tokens_mix),
		TEST(courier__one_that_hangs_is_killed_when_its_time_is_over),
		TEST(courier__asked_ahead_before_silence_each_has_its_time),
		TEST(courier__freed_in_mid_question_ends_its_process),
		TEST(courier__one_that_is_not_installed_is_an_answer),
		TEST(courier__settings_that_cannot_work_are_an_answer),
		TEST(courier__every_fault_has_its_row),
		TEST(courier__no_byte_is_sent_to_a_host_that_cannot_prove_itself),
		TEST(courier__an_authority_it_was_not_given_proves_nothing),
		TEST(courier__the_environment_has_no_say),
		TEST(courier__unreachable_hosts_are_told_apart),
		TEST(courier__a_lie_is_never_believed),
		TEST(courier__that_would_make_room_answers_what_was_on_its_way),
		TEST(courier__that_would_make_room_is_followed_before_the_next_question),
		TEST(courier__that_would_make_room_loses_no_question),
		TEST(courier__whose_files_were_replaced_would_make_room),
		TEST(courier__that_could_not_begin_makes_room_behind_its_excuse),
		TEST(courier__given_that_would_make_room_is_asked_until_it_is_let_go),
		TEST(courier__that_would_make_room_is_let_go_behind_a_page),
		TEST(courier__the_liar_without_a_lie_is_believed),
		TEST(courier__a_refresh_brings_a_pair_of_either_family),
		TEST(courier__a_refresh_goes_along_with_probes),
		TEST(courier__killed_while_idle_costs_no_refresh),
		TEST(courier__a_refresh_that_no_courier_was_there_for_holds_up_none_that_follows),
		TEST(courier__a_pair_that_cannot_be_is_never_taken),
		TEST(courier__a_page_that_cannot_be_is_never_taken),
	};
	if (argc == 2 && strcmp(argv[1], "--courier") == 0)
		return lie_as_courier();
	if (!is_in_own_folder() && !getenv("UNDER_VALGRIND")) /* which runs one after the other, and follows nobody */
		move_to_own_folder(argv);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
