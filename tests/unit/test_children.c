/* What the agent starts, courier and messenger, spoken to by hand: over the descriptor that the agent would hold, with
 * words that it never says, and with memory that fails. Each runs as a child of this program. */
#include "tests/support/failing.h"

#include "agent/courier.h"
#include "agent/courier_wire.h"
#include "agent/deliver_wire.h"
#include "agent/messenger.h"
#include "agent/text.h"
#include "core/log.h"
#include "vault/grant.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define TOKEN "0123456789abcdef0123456789abcdef01234567"

/* ---- a child ---- */

struct child {
	pid_t pid;
	int fd; /* the agent's end */
	char said[PATH_MAX]; /* a file with what it wrote to standard error */
};

struct start {
	int socket_type;
	size_t fails_at; /* its allocations from this one to fails_until fail; 0: none */
	size_t fails_until;
	enum failing_kind kind;
	const char *hostname; /* NULL: as it is */
};

typedef int child_fn(const char *config);

static int be_courier(const char *config)
{
	(void)config;
	return courier_main();
}

static struct child start(child_fn *fn, const char *config, struct start how)
{
	struct child c;
	int pair[2];
	in_scratch(c.said, "said");
	assert_int_equal(socketpair(AF_UNIX, (how.socket_type ? how.socket_type : SOCK_STREAM) | SOCK_CLOEXEC, 0, pair), 0);
	c.pid = fork_child();
	if (c.pid == 0) {
		int said = open(c.said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (dup2(said, 2) < 0 || dup2(pair[1], COURIER_FD) < 0 || close_range(COURIER_FD + 1, ~0u, 0) != 0 ||
		    (how.hostname && sethostname(how.hostname, strlen(how.hostname)) != 0))
			_exit(99);
		for (const int *fatal = (const int[]){ SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, 0 }; *fatal; fatal++)
			(void)signal(*fatal, SIG_DFL); /* cmocka's are not for it */
		secret_arena_close();
		if (how.fails_at)
			failing_from(how.kind, ENOMEM, how.fails_at, how.fails_until);
		int code = fn(config);
		_exit(how.fails_at && !failing_stop() ? 98 : code);
	}
	close(pair[1]);
	c.fd = pair[0];
	/* One that never answers is a failure, and no test that never ends. */
	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 60 }, sizeof(struct timeval)), 0);
	return c;
}

static const char *said(const struct child *c)
{
	static char text[4096];
	text[file_bytes(c->said, (uint8_t *)text, sizeof text - 1)] = '\0';
	return text;
}

static void say(const struct child *c, const void *at, size_t len)
{
	(void)!send(c->fd, at, len, MSG_NOSIGNAL); /* one that has gone hears nothing */
}

static int end(struct child *c)
{
	close(c->fd);
	return ended(c->pid);
}

/* A port that takes connections and never says a word, and one that nobody listens at, nor can. */
static int silent_fd, closed_fd;
static int silent_port, closed_port;

static int port_of(int *ret_fd, bool does_listen)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof at;
	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(*ret_fd >= 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&at, &len), 0);
	if (does_listen)
		assert_int_equal(listen(*ret_fd, 64), 0);
	return ntohs(at.sin_port);
}

static int make(void **state)
{
	(void)state;
	if (scratch_make(NULL) != 0)
		return -1;
	silent_port = port_of(&silent_fd, true);
	closed_port = port_of(&closed_fd, false);
	return 0;
}

static int drop(void **state)
{
	close(silent_fd);
	close(closed_fd);
	return scratch_remove(state);
}

/* ---- the courier ---- */

static struct courier_config config_of(int port)
{
	struct courier_config c = {
		.version = COURIER_VERSION, .in_flight = 4, .connect_timeout_ms = 2000, .timeout_ms = 2000
	};
	snprintf(c.base_url, sizeof c.base_url, "https://127.0.0.1:%d", port);
	snprintf(c.login_url, sizeof c.login_url, "https://127.0.0.1:%d", closed_port);
	return c;
}

struct asked {
	struct courier_probe probe;
	uint8_t token[COURIER_ROOM_LONG];
};

static struct asked question_of(int32_t kind, uint64_t id, const char *token)
{
	struct asked q = { .probe = { .version = COURIER_VERSION,
					 .token_len = (uint16_t)strlen(token),
					 .id = id,
					 .kind = kind,
					 .pixel = PIXEL,
					 .page = 1 } };
	if (kind == PROBE_LISTING)
		strcpy(q.probe.pixel, "bc:7123456789");
	memcpy(q.token, token, strlen(token));
	return q;
}

static struct asked renewal_of(uint64_t id)
{
	struct error err;
	scoped(secret_freep) struct secret *packed = NULL;
	struct asked q = question_of(PROBE_REFRESH, id, "");
	struct grant g = { bytes_of_text("7012345678901234567"), bytes_of_text("secretsecretsecretsecret"),
			   bytes_of_text("rft.0123456789abcdef0123456789abcdef") };
	assert_true(grant_pack(&g, &packed, &err));
	q.probe.family = FAMILY_ACCOUNTS;
	q.probe.token_len = (uint16_t)secret_len(packed);
	memcpy(q.token, secret_reveal(packed).at, secret_len(packed));
	return q;
}

static void ask(const struct child *c, const struct asked *q)
{
	say(c, &q->probe, sizeof q->probe);
	say(c, q->token, courier_token_room(q->probe.token_len));
}

static bool hear(const struct child *c, struct courier_answer *ret)
{
	return recv(c->fd, ret, sizeof *ret, MSG_WAITALL) == (ssize_t)sizeof *ret;
}

static void assert_stranger(struct child *c, const char *what)
{
	int code = ended(c->pid);
	close(c->fd);
	if (code != ERR_UNEXPECTED || !strstr(said(c), "is of another version"))
		fail_msg("%s: status %d, said: %s", what, code, said(c));
}

static void fill_up(char *text, size_t size)
{
	memset(text, 'x', size);
}

static void courier__takes_no_configuration_that_no_agent_writes(void **state)
{
	struct child c;
	struct courier_config config;
	(void)state;
#define WITH(change)                                                                                                   \
	do {                                                                                                           \
		config = config_of(closed_port);                                                                       \
		change;                                                                                                \
		c = start(be_courier, NULL, (struct start){ .socket_type = 0 });                                       \
		say(&c, &config, sizeof config);                                                                       \
		assert_stranger(&c, #change);                                                                          \
	} while (0)
	WITH(config.version++);
	WITH(config.in_flight = 0);
	WITH(config.in_flight = COURIER_IN_FLIGHT_MAX + 1);
	WITH(config.timeout_ms = 0);
	WITH(config.connect_timeout_ms = -1);
	WITH(fill_up(config.base_url, sizeof config.base_url));
	WITH(fill_up(config.login_url, sizeof config.login_url));
	WITH(fill_up(config.ca_file, sizeof config.ca_file));
#undef WITH
}

/* It ends, rather than to ask TikTok what nobody meant; what stood before in the same breath is asked. */
static void courier__takes_no_question_that_no_agent_asks(void **state)
{
	struct child c;
	struct courier_config config = config_of(closed_port);
	struct asked q;
	(void)state;
#define WITH(kind, change)                                                                                             \
	do {                                                                                                           \
		q = question_of(kind, 1, TOKEN);                                                                       \
		change;                                                                                                \
		c = start(be_courier, NULL, (struct start){ .socket_type = 0 });                                       \
		say(&c, &config, sizeof config);                                                                       \
		ask(&c, &q);                                                                                           \
		assert_stranger(&c, #change);                                                                          \
	} while (0)
	WITH(PROBE_DRY, q.probe.version++);
	WITH(PROBE_DRY, q.probe.token_len = TOKEN_MAX + 1);
	WITH(PROBE_DRY, fill_up(q.probe.pixel, sizeof q.probe.pixel));
	WITH(PROBE_DRY, fill_up(q.probe.test_code, sizeof q.probe.test_code));
	WITH(PROBE_NONE, q.probe.token_len = 1);
	WITH(PROBE_REFRESH, q.probe.family = FAMILY_PLAIN);
	WITH(PROBE_LISTING, strcpy(q.probe.pixel, "bc:"));
	WITH(PROBE_LISTING, q.probe.page = 0);
	WITH(PROBE_LISTING, q.probe.page = LIST_PAGES_MAX + 1);
	WITH(-1, q.probe.id = 1);
	WITH(100, q.probe.id = 1);
#undef WITH
}

static void courier__is_started_by_an_agent_alone(void **state)
{
	(void)state;
	struct child c = start(be_courier, NULL, (struct start){ .socket_type = SOCK_SEQPACKET });
	assert_int_equal(end(&c), ERR_USAGE);
	assert_non_null(strstr(said(&c), "--courier is not for people"));
	c = start(be_courier, NULL, (struct start){ .socket_type = 0 });
	say(&c, "half", 4);
	assert_int_equal(end(&c), 0); /* whose agent went away before a word was said */
}

static void assert_not_sent(const struct child *c, uint64_t id, const char *why)
{
	struct courier_answer a;
	assert_true(hear(c, &a));
	if (a.id != id || a.transport != TRANSPORT_OTHER || !strstr(a.text, why))
		fail_msg("question %llu: transport %d, \"%s\"", (unsigned long long)a.id, a.transport, a.text);
}

static void courier__has_one_renewal_and_one_list_under_way(void **state)
{
	struct courier_config config = config_of(silent_port);
	struct asked q;
	(void)state;
	struct child c = start(be_courier, NULL, (struct start){ .socket_type = 0 });
	say(&c, &config, sizeof config);
	q = question_of(PROBE_LISTING, 1, TOKEN);
	ask(&c, &q);
	q = question_of(PROBE_LISTING, 2, TOKEN);
	ask(&c, &q);
	assert_not_sent(&c, 2, "not sent: it could not be taken up");
	q = question_of(PROBE_REFRESH, 3, "no grant at all");
	q.probe.family = FAMILY_ACCOUNTS;
	ask(&c, &q);
	assert_not_sent(&c, 3, "not sent: it could not be taken up");
	q = renewal_of(4);
	ask(&c, &q);
	q.probe.id = 5;
	ask(&c, &q);
	assert_not_sent(&c, 5, "not sent: it could not be taken up");
	assert_int_equal(end(&c), 0); /* with two on their way */
}

/* Asked for nothing else while that list is under way, it tells the two apart. */
static void courier__whose_list_is_under_way_answers_other_questions(void **state)
{
	struct courier_config config = config_of(silent_port);
	struct courier_answer a;
	(void)state;
	struct child c = start(be_courier, NULL, (struct start){ .socket_type = 0 });
	say(&c, &config, sizeof config);
	struct asked list = question_of(PROBE_LISTING, 1, TOKEN), knock = question_of(PROBE_NONE, 2, "");
	ask(&c, &list);
	knock.probe.family = FAMILY_LOGIN; /* there nobody listens */
	ask(&c, &knock);
	assert_true(hear(&c, &a));
	assert_int_equal(a.id, 2);
	assert_int_equal(a.transport, TRANSPORT_CONNECT);
	assert_int_equal(end(&c), 0);
}

/* It cannot ask anything: each question gets to know why, until one comes that no agent asks, or nobody hears. */
static void courier__that_cannot_ask_says_so_to_each_question(void **state)
{
	struct courier_config config = config_of(closed_port);
	struct asked q = question_of(PROBE_DRY, 1, TOKEN);
	(void)state;
	strcpy(config.ca_file, "/nonexistent/ca.pem");
	struct child c = start(be_courier, NULL, (struct start){ .socket_type = 0 });
	say(&c, &config, sizeof config);
	ask(&c, &q);
	assert_not_sent(&c, 1, "/nonexistent/ca.pem");
	q.probe.id = 2;
	ask(&c, &q);
	assert_not_sent(&c, 2, "/nonexistent/ca.pem");
	q.probe.kind = 100;
	ask(&c, &q);
	assert_int_equal(ended(c.pid), 0);
	close(c.fd);
	c = start(be_courier, NULL, (struct start){ .socket_type = 0 });
	assert_int_equal(shutdown(c.fd, SHUT_RD), 0);
	q.probe.kind = PROBE_DRY;
	say(&c, &config, sizeof config);
	ask(&c, &q);
	assert_int_equal(ended(c.pid), 0);
	close(c.fd);
}

#ifndef IS_SANITIZED
/* From now on the N-th allocation and those that follow fail in the child that gets this signal; 0: none any more. */
static void arm(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	int n = info->si_value.sival_int;
	if (n)
		failing_from(FAIL_MEMORY, ENOMEM, (size_t)n, FAIL_EVER);
	else
		(void)failing_stop();
}

static int be_armed_courier(const char *config)
{
	struct sigaction on_arm = { .sa_sigaction = arm, .sa_flags = SA_SIGINFO | SA_RESTART };
	assert_int_equal(sigaction(SIGUSR1, &on_arm, NULL), 0);
	return be_courier(config);
}

static void tell_to_fail(const struct child *c, int from)
{
	assert_int_equal(sigqueue(c->pid, SIGUSR1, (union sigval){ .sival_int = from }), 0);
}

/* False: it died, as libcurl may without memory; the agent answers for it then, and starts another one. */
static bool is_answered(const struct child *c, const struct asked *q, struct courier_answer *ret)
{
	ask(c, q);
	bool is = hear(c, ret);
	if (is && ret->id != q->probe.id)
		fail_msg("question %llu is answered in the place of %llu", (unsigned long long)ret->id, (unsigned long long)q->probe.id);
	return is;
}

static struct child start_armed(void)
{
	struct courier_config config = config_of(closed_port);
	config.in_flight = 1;
	config.connect_timeout_ms = config.timeout_ms = 200;
	struct child c = start(be_armed_courier, NULL, (struct start){ .socket_type = 0 });
	struct asked knock = question_of(PROBE_NONE, 9, "");
	struct courier_answer a;
	say(&c, &config, sizeof config);
	assert_true(is_answered(&c, &knock, &a)); /* from now on it is at work */
	return c;
}

/* While it is short of memory each question is answered, and none is said to have been asked that was not; when there is
 * memory again, it asks as before. */
static void courier__without_memory_answers_all_the_same(void **state)
{
	static const char *const why = "not sent: ";
	struct courier_answer a;
	size_t refused[4] = { 0 }, died = 0, tried = 0;
	(void)state;
	struct asked kinds[] = { question_of(PROBE_DRY, 1, TOKEN), question_of(PROBE_NONE, 2, ""),
				 question_of(PROBE_LISTING, 3, TOKEN), renewal_of(4) };
	struct child c = start_armed();
	for (int n = 1; n < 60; n += n < 12 ? 1 : 9)
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
			tried++;
			tell_to_fail(&c, n);
			bool lives = is_answered(&c, &kinds[i], &a);
			if (lives) {
				assert_int_not_equal(a.transport, TRANSPORT_OK);
				refused[i] += strncmp(a.text, why, strlen(why)) == 0;
				tell_to_fail(&c, 0);
				lives = is_answered(&c, &kinds[i], &a);
			}
			if (lives) {
				assert_int_equal(a.transport, TRANSPORT_CONNECT);
			} else {
				died++;
				int code = end(&c); /* by SIGFPE in libcurl 7.88; a call that its sandbox forbids it is no excuse */
				assert_true(code > 1000 && code != 1000 + SIGSYS);
				c = start_armed();
			}
		}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		assert_true(refused[i] > 0);
	if (died * 4 > tried)
		fail_msg("of %zu it died %zu times", tried, died);
	assert_int_equal(end(&c), 0);
}

/* Too little to begin with: it says so and ends, and the agent starts another one. */
static void courier__that_has_no_memory_to_begin_with_says_so(void **state)
{
	struct courier_config config = config_of(closed_port);
	(void)state;
	for (size_t n = 1; n < 6; n++) {
		struct child c = start(be_courier, NULL, (struct start){ .fails_at = n, .fails_until = FAIL_EVER });
		struct asked q = question_of(PROBE_DRY, n, TOKEN);
		struct courier_answer a;
		say(&c, &config, sizeof config);
		ask(&c, &q);
		bool has_answer = hear(&c, &a);
		int code = end(&c);
		if (has_answer ? a.transport == TRANSPORT_OK || a.id != n : code == 0 || !strstr(said(&c), "hint: "))
			fail_msg("allocation %zu: status %d, said: %s", n, code, said(&c));
	}
}
#endif

/* ---- the messenger ---- */

static char config_path[PATH_MAX], command_path[PATH_MAX], heard_path[PATH_MAX], secret_path[PATH_MAX];

static void put_text(const char *path, const char *text, size_t len, mode_t mode)
{
	write_bytes(path, text, len);
	assert_int_equal(chmod(path, mode), 0);
}

__attribute__((format(printf, 1, 2))) static void configure(const char *format, ...)
{
	char text[4 * PATH_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	in_scratch(config_path, "pixelvault.ini");
	in_scratch(secret_path, "secret");
	put_text(config_path, text, (size_t)len, 0600);
}

static struct parcel parcel_of(enum sink_type type)
{
	struct parcel p = { .version = PARCEL_VERSION, .has_message = type != SINK_PING, .type = (int32_t)type, .sink = "ops" };
	p.message.event = ALERT_TEST;
	strcpy(p.message.title, "a test");
	return p;
}

static struct receipt delivered(const struct parcel *p, struct start how)
{
	struct receipt r = { .version = 0 };
	struct child c = start(messenger_main, config_path, how);
	say(&c, p, sizeof *p);
	ssize_t got = recv(c.fd, &r, sizeof r, MSG_WAITALL);
	int code = end(&c);
	if (code != 0 || got != (ssize_t)sizeof r || r.version != PARCEL_VERSION)
		fail_msg("status %d, %zd bytes, said: %s", code, got, said(&c));
	return r;
}

static void assert_later(const struct parcel *p, const char *why)
{
	struct receipt r = delivered(p, (struct start){ .socket_type = 0 });
	if (r.outcome != DELIVERY_LATER || !strstr(r.reason, why))
		fail_msg("outcome %d, \"%s\", where \"%s\" was to be said", r.outcome, r.reason, why);
}

static void messenger__takes_no_parcel_that_no_agent_packs(void **state)
{
	static const char why[] = "are of two versions";
	struct parcel p;
	(void)state;
	configure("%s", "");
#define WITH(type, change)                                                                                             \
	do {                                                                                                           \
		p = parcel_of(type);                                                                                   \
		change;                                                                                                \
		assert_later(&p, why);                                                                                 \
	} while (0)
	WITH(SINK_EXEC, p.version++);
	WITH(SINK_EXEC, fill_up(p.sink, sizeof p.sink));
	WITH(SINK_EXEC, p.has_message = 0);
	WITH(SINK_PING, p.has_message = 1);
	WITH(SINK_EXEC, p.message.entry_count = ALERT_ENTRIES_MAX + 1);
	WITH(SINK_EXEC, p.message.event = ALERT_EVENT_COUNT);
	WITH(SINK_EXEC, p.message.severity = SEVERITY_COUNT);
#undef WITH
}

static void messenger__is_started_by_an_agent_alone_and_heard_to_the_end(void **state)
{
	struct receipt r;
	(void)state;
	configure("%s", "");
	struct child c = start(messenger_main, config_path, (struct start){ .socket_type = SOCK_SEQPACKET });
	assert_int_equal(end(&c), ERR_USAGE);
	assert_non_null(strstr(said(&c), "--messenger is not for people"));
	c = start(messenger_main, config_path, (struct start){ .socket_type = 0 });
	say(&c, "half a parcel", 13);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	assert_int_equal(recv(c.fd, &r, sizeof r, MSG_WAITALL), 0); /* nobody is answered who did not end his sentence */
	assert_int_equal(end(&c), 0);
}

#define HOOK "[alert ops]\ntype = webhook\nurl = https://127.0.0.1:%d/\nsecret-file = %s\n"

/* One line, whose end does not count: with 16 bytes or more it is a key. */
static void messenger__reads_one_line_as_a_secret(void **state)
{
	static char long_one[4098];
	struct parcel p = parcel_of(SINK_WEBHOOK);
	static const struct {
		const char *text;
		size_t len;
		const char *why; /* "": it is a key; then nobody answers */
	} secrets[] = {
		{ "0123456789abcdef", 16, "" },
		{ "0123456789abcdef\n", 17, "" },
		{ "0123456789abcdef\r\n", 18, "" },
		{ "0123456789abcde\n", 16, "is shorter than 16 bytes" },
		{ "0123456789abcde\r\n", 17, "is shorter than 16 bytes" },
		{ "", 0, "holds no secret" },
		{ "\n", 1, "holds no secret" },
		{ "\r\n", 2, "holds no secret" },
		{ long_one, sizeof long_one, "holds no secret" },
	};
	(void)state;
	fill_up(long_one, sizeof long_one);
	in_scratch(secret_path, "secret");
	configure(HOOK, closed_port, secret_path);
	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
		put_text(secret_path, secrets[i].text, secrets[i].len, 0600);
		if (secrets[i].why[0])
			assert_later(&p, secrets[i].why);
		else
			assert_later(&p, "onnect");
	}
	assert_int_equal(unlink(secret_path), 0);
	assert_later(&p, "secret");
}

/* What stands in a file in the place of an address or a password has to be one. */
static void messenger__believes_no_file_that_holds_no_address(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = { { "https://127.0.0.1/\0x", 20 }, { "http://127.0.0.1/", 17 }, { "not an address", 14 } };
	struct parcel p = parcel_of(SINK_SLACK), mail = parcel_of(SINK_EMAIL);
	(void)state;
	in_scratch(secret_path, "secret");
	configure("[alert ops]\ntype = slack\nurl-file = %s\n", secret_path);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put_text(secret_path, bad[i].text, bad[i].len, 0600);
		assert_later(&p, "does not hold one https address");
	}
	put_text(secret_path, "https://127.0.0.1:99999/", 24, 0600);
	assert_later(&p, "");
	configure("[alert ops]\ntype = email\nurl = smtps://127.0.0.1:%d\nto = a@example.com\nuser = me\npassword-file = %s\n",
		  closed_port, secret_path);
	put_text(secret_path, "pass\0word", 9, 0600);
	assert_later(&mail, "holds no secret");
	put_text(secret_path, "password", 8, 0600);
	assert_later(&mail, "onnect");
}

static void messenger__needs_the_sink_that_was_meant(void **state)
{
	struct parcel p = parcel_of(SINK_EXEC);
	(void)state;
	configure("[alert ops]\ntype = slack\nurl = https://127.0.0.1/\n");
	assert_later(&p, "of another type by now");
	configure("[alert other]\ntype = slack\nurl = https://127.0.0.1/\n");
	assert_int_equal(delivered(&p, (struct start){ .socket_type = 0 }).outcome, DELIVERY_REFUSED);
	configure("[nonsense");
	assert_later(&p, "");
	char odd[PATH_MAX];
	in_scratch(odd, "\xc3\xa4.ini"); /* a receipt is plain ASCII, whatever it speaks of */
	assert_int_equal(rename(config_path, odd), 0);
	strcpy(config_path, odd);
	assert_later(&p, "??.ini");
}

static void make_command(void)
{
	char script[3 * PATH_MAX];
	in_scratch(command_path, "command");
	in_scratch(heard_path, "heard");
	int len = snprintf(script, sizeof script, "#!/bin/sh\ncat >%s\n", heard_path);
	put_text(command_path, script, (size_t)len, 0700);
	configure("[alert ops]\ntype = exec\ncommand = %s\n", command_path);
}

static const char *heard(void)
{
	static char text[1 << 16];
	text[file_bytes(heard_path, (uint8_t *)text, sizeof text - 1)] = '\0';
	return text;
}

/* Its name goes into headers and addresses. */
static void messenger__names_the_machine_with_letters_that_may_stand_anywhere(void **state)
{
	static const struct {
		const char *name, *named;
	} hosts[] = { { "Az09.example-host", "Az09.example-host" }, { "my_host {x}[y]:/@`", "my-host--x--y-----" }, { "", "localhost" } };
	struct parcel p = parcel_of(SINK_EXEC);
	char wanted[64];
	(void)state;
	if (unshare(CLONE_NEWUTS) != 0)
		skip();
	make_command();
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		assert_int_equal(delivered(&p, (struct start){ .hostname = hosts[i].name }).outcome, DELIVERY_DONE);
		snprintf(wanted, sizeof wanted, "\"host\":\"%s\"", hosts[i].named);
		if (!strstr(heard(), wanted))
			fail_msg("%s is not in %s", wanted, heard());
	}
}

#ifndef IS_SANITIZED
/* What it could not do is for later, or, without the memory for the parcel itself, not even answered: the agent takes
 * that for later, too. */
static void messenger__without_memory_lets_the_message_wait(void **state)
{
	struct parcel p = parcel_of(SINK_EXEC);
	size_t later = 0;
	int code = 0;
	(void)state;
	make_command();
	for (size_t n = 1; code != 98; n += failing_all() || n < 4 ? 1 : 5)
		for (int is_ever = 0; is_ever < 2 && code != 98; is_ever++) {
			struct receipt r;
			struct child c = start(messenger_main, config_path,
					       (struct start){ .fails_at = n, .fails_until = is_ever ? FAIL_EVER : n });
			say(&c, &p, sizeof p);
			ssize_t got = recv(c.fd, &r, sizeof r, MSG_WAITALL);
			code = end(&c);
			if (code == 98)
				break;
			later += got > 0 && r.outcome == DELIVERY_LATER;
			if (code != 0 || (got <= 0 && n != 1) ||
			    (got > 0 && r.outcome != DELIVERY_DONE && (r.outcome != DELIVERY_LATER || !r.reason[0])))
				fail_msg("allocation %zu: status %d, %zd bytes: \"%s\", said: %s", n, code, got, r.reason, said(&c));
		}
	assert_true(later > 0);
}

static void command__that_cannot_be_started_is_for_later(void **state)
{
	struct parcel p = parcel_of(SINK_EXEC);
	(void)state;
	make_command();
	/* What it opens while it starts: the configuration, and in the command's own process what swallows its output. */
	for (size_t n = 1;; n++) {
		struct receipt r = { .version = 0 };
		struct child c = start(messenger_main, config_path, (struct start){ .kind = FAIL_OPENS, .fails_at = n, .fails_until = n });
		say(&c, &p, sizeof p);
		ssize_t got = recv(c.fd, &r, sizeof r, MSG_WAITALL);
		int code = end(&c);
		assert_int_equal(got, sizeof r);
		if (r.outcome == DELIVERY_DONE) {
			assert_int_equal(code, 98);
			assert_true(n > 2);
			break;
		}
		assert_int_equal(r.outcome, DELIVERY_LATER);
		assert_true(r.reason[0]);
	}
}
#endif

static void command__is_run_where_nobody_else_can_replace_it(void **state)
{
	struct parcel p = parcel_of(SINK_EXEC);
	char folder[PATH_MAX], link[PATH_MAX], inner[PATH_MAX + 8];
	(void)state;
	make_command();
	assert_int_equal(chmod(command_path, 0720), 0);
	assert_later(&p, "command");
	assert_int_equal(chmod(command_path, 0600), 0);
	assert_later(&p, "command");
	in_scratch(folder, "folder");
	assert_int_equal(mkdir(folder, 0700), 0);
	configure("[alert ops]\ntype = exec\ncommand = %s\n", folder);
	assert_later(&p, "folder");
	configure("[alert ops]\ntype = exec\ncommand = %s/nothing\n", folder);
	assert_later(&p, "nothing");
	/* A way that others may bend, to a program that is ours alone. */
	assert_int_equal(chmod(command_path, 0700), 0);
	snprintf(inner, sizeof inner, "%s/link", folder);
	assert_int_equal(symlink(command_path, inner), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	configure("[alert ops]\ntype = exec\ncommand = %s\n", inner);
	assert_later(&p, "folder");
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(delivered(&p, (struct start){ .socket_type = 0 }).outcome, DELIVERY_DONE);
	in_scratch(link, "command");
	if (geteuid() != 0)
		return;
	/* Somebody else's. */
	assert_int_equal(chown(folder, 12345, (gid_t)-1), 0);
	assert_later(&p, "folder");
	assert_int_equal(chown(command_path, 12345, (gid_t)-1), 0);
	assert_later(&p, "command");
}

static void command__is_called_with_all_the_words_there_is_room_for(void **state)
{
	struct parcel p = parcel_of(SINK_EXEC);
	char script[3 * PATH_MAX], words[160] = "";
	(void)state;
	make_command();
	int len = snprintf(script, sizeof script, "#!/bin/sh\necho \"$#\" >%s\nprintf 'a\\001\\377b\\nmore\\n' >&2\nexit 3\n", heard_path);
	put_text(command_path, script, (size_t)len, 0700);
	for (int i = 0; i < 70; i++)
		strcat(words, " w");
	configure("[alert ops]\ntype = exec\ncommand = %s%s\n", command_path, words);
	assert_later(&p, "ended with status 3: a??b");
	assert_true(strtol(heard(), NULL, 10) > 8);
}

int main(void)
{
#define TESTED(name) cmocka_unit_test_setup_teardown(name, make, drop)
	const struct CMUnitTest tests[] = {
		TESTED(courier__takes_no_configuration_that_no_agent_writes),
		TESTED(courier__takes_no_question_that_no_agent_asks),
		TESTED(courier__is_started_by_an_agent_alone),
		TESTED(courier__has_one_renewal_and_one_list_under_way),
		TESTED(courier__whose_list_is_under_way_answers_other_questions),
		TESTED(courier__that_cannot_ask_says_so_to_each_question),
#ifndef IS_SANITIZED
		TESTED(courier__without_memory_answers_all_the_same),
		TESTED(courier__that_has_no_memory_to_begin_with_says_so),
		TESTED(messenger__without_memory_lets_the_message_wait),
		TESTED(command__that_cannot_be_started_is_for_later),
#endif
		TESTED(messenger__takes_no_parcel_that_no_agent_packs),
		TESTED(messenger__is_started_by_an_agent_alone_and_heard_to_the_end),
		TESTED(messenger__reads_one_line_as_a_secret),
		TESTED(messenger__believes_no_file_that_holds_no_address),
		TESTED(messenger__needs_the_sink_that_was_meant),
		TESTED(messenger__names_the_machine_with_letters_that_may_stand_anywhere),
		TESTED(command__is_run_where_nobody_else_can_replace_it),
		TESTED(command__is_called_with_all_the_words_there_is_room_for),
	};
	if (getenv("UNDER_VALGRIND")) {
		puts("1..0 # SKIP valgrind's own system calls are not on the lists of these programs");
		return 0;
	}
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
