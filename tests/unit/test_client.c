/* The client against a scripted server on a real socket: what it sends, how it reads answers cut anywhere, and what it
 * refuses. */
#include "tests/support/failing.h"

#include "agent/client.h"
#include "core/clock.h"
#include "core/json.h"
#include "vault/codec.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define TOKEN "0123456789abcdef0123456789abcdef01234567"

/* --- the other side: for each answer it waits for one request --- */

struct script {
	int fd;
	const char *const *answers; /* NULL-terminated; an empty one hangs up */
	size_t piece;               /* so many bytes at a time; 0 = all at once */
	char seen[65536];           /* every request */
	size_t seen_len;
};

static bool read_request(struct script *s)
{
	size_t start = s->seen_len;
	for (;;) {
		s->seen[s->seen_len] = '\0';
		const char *end = strstr(s->seen + start, "\r\n\r\n");
		const char *length = strstr(s->seen + start, "Content-Length: ");
		size_t body = end && length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		if (end && s->seen_len >= (size_t)(end - s->seen) + 4 + body)
			return true;
		ssize_t got = read(s->fd, s->seen + s->seen_len, sizeof s->seen - 1 - s->seen_len);
		if (got <= 0)
			return false;
		s->seen_len += (size_t)got;
	}
}

static void *serve(void *context)
{
	struct script *s = context;
	for (size_t i = 0; s->answers[i] && s->answers[i][0] && read_request(s); i++) {
		const char *text = s->answers[i];
		for (size_t len = strlen(text), at = 0; at < len;) {
			size_t piece = s->piece && s->piece < len - at ? s->piece : len - at;
			if (send(s->fd, text + at, piece, MSG_NOSIGNAL) < 0)
				break;
			at += piece;
			if (s->piece)
				usleep(200);
		}
	}
	shutdown(s->fd, SHUT_RDWR);
	return NULL;
}

struct talk {
	struct script script;
	struct client *client;
	pthread_t thread;
};

static void begin(struct talk *t, const char *const *answers, size_t piece)
{
	int pair[2];
	struct error err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*t = (struct talk){ .script = { .fd = pair[1], .answers = answers, .piece = piece } };
	assert_true(client_adopt(pair[0], &t->client, &err));
	assert_int_equal(pthread_create(&t->thread, NULL, serve, &t->script), 0);
}

static void end(struct talk *t)
{
	client_freep(&t->client);
	pthread_join(t->thread, NULL);
	close(t->script.fd);
}

static const struct client_request get = { .method = "GET", .target = "/v1/pixels/P/token", .wait_ms = 5000 };

/* --- requests and answers --- */

static void client__a_token_comes_in_pieces_and_the_connection_is_kept(void **state)
{
	(void)state;
	static const char *const answers[] = {
		OK_HEAD "Content-Length: 40\r\nX-Version: 3\r\nx-verdict:  expired \r\n\r\n" TOKEN,
		OK_HEAD "Content-Length: 2\r\n\r\nhi", NULL
	};
	for (size_t piece = 0; piece <= 7; piece++) {
		struct talk t;
		struct reply reply;
		struct error err;
		struct bytes verdict;
		scoped(secret_freep) struct secret *token = NULL, *second = NULL;
		begin(&t, answers, piece);
		assert_true(client_ask(t.client, &get, &reply, &err));
		assert_int_equal(reply.status, 200);
		assert_int_equal(reply_number(&reply, "X-Version"), 3);
		assert_true(reply_header(&reply, "X-Verdict", &verdict));
		assert_true(bytes_equal(verdict, bytes_of_text("expired")));
		assert_true(client_secret(t.client, 4096, &token, &err));
		assert_true(bytes_equal(secret_reveal(token), bytes_of_text(TOKEN)));
		assert_true(client_ask(t.client, &get, &reply, &err));
		assert_true(client_secret(t.client, 4096, &second, &err));
		assert_int_equal(secret_len(second), 2);
		end(&t);
		assert_non_null(strstr(t.script.seen, "GET /v1/pixels/P/token HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	}
}

static void client__a_last_request_asks_the_agent_to_hang_up(void **state)
{
	(void)state;
	static const char *const answers[] = { OK_HEAD "Connection: close\r\nContent-Length: 40\r\n\r\n" TOKEN, "", NULL };
	struct client_request last = { .method = "GET", .target = "/t", .is_last = true, .wait_ms = 5000 };
	scoped(secret_freep) struct secret *token = NULL;
	struct talk t;
	struct reply reply;
	struct error err;
	begin(&t, answers, 7);
	assert_true(client_ask(t.client, &last, &reply, &err));
	assert_true(reply.is_last);
	assert_true(client_secret(t.client, 40, &token, &err));
	assert_memory_equal(secret_reveal(token).at, TOKEN, 40);
	end(&t);
	assert_string_equal(t.script.seen, "GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}

static void client__a_body_is_sent_from_where_it_lies(void **state)
{
	(void)state;
	static const char *const answers[] = { OK_HEAD "Content-Length: 0\r\n\r\n", NULL };
	struct client_request put = { .method = "PUT",
				      .target = "/t",
				      .headers = "If-Match: \"3\"\r\n",
				      .body = bytes_of_text(TOKEN),
				      .has_body = true,
				      .wait_ms = 5000 };
	struct talk t;
	struct reply reply;
	struct error err;
	begin(&t, answers, 0);
	assert_true(client_ask(t.client, &put, &reply, &err));
	end(&t);
	assert_string_equal(t.script.seen, "PUT /t HTTP/1.1\r\nHost: localhost\r\nIf-Match: \"3\"\r\nContent-Length: 40\r\n"
					   "\r\n" TOKEN);
}

static void client__a_chunked_body_is_put_together(void **state)
{
	(void)state;
	static const char *const answers[] = {
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n",
		OK_HEAD "Content-Length: 3\r\n\r\nend", NULL
	};
	for (size_t piece = 0; piece <= 3; piece++) {
		struct talk t;
		struct reply reply;
		struct error err;
		struct buf body = BUF_INIT(1000);
		begin(&t, answers, piece);
		assert_true(client_ask(t.client, &get, &reply, &err));
		assert_true(client_body(t.client, &body, &err));
		assert_true(bytes_equal(buf_bytes(&body), bytes_of_text("hello, world!!!")));
		assert_true(client_ask(t.client, &get, &reply, &err));
		assert_true(client_body(t.client, &body, &err));
		assert_true(bytes_equal(buf_bytes(&body), bytes_of_text("hello, world!!!end")));
		buf_done(&body);
		end(&t);
	}
}

static void client__an_error_is_told_as_the_agent_told_it(void **state)
{
	(void)state;
	static const char problem[] =
		"{\"type\":\"damaged\",\"title\":\"x\",\"status\":500,\"detail\":\"it is \\u00e4ged \\\"badly\\\"\\n\","
		"\"hint\":\"restore it\",\"exit\":7,\"class\":\"rolled-back\"}";
	char answer[600];
	const char *answers[] = { answer, NULL };
	struct talk t;
	struct reply reply;
	struct error err;
	snprintf(answer, sizeof answer, "HTTP/1.1 500 x\r\nContent-Length: %zu\r\n\r\n%s", strlen(problem), problem);
	begin(&t, answers, 0);
	assert_false(client_demand(t.client, &get, &reply, &err));
	end(&t);
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "rolled-back");
	assert_string_equal(err.message, "it is \xc3\xa4ged \"badly\"?");
	assert_string_equal(err.hint, "restore it");
}

static void client__what_no_agent_says_is_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n",
		OK_HEAD "\r\n",
		OK_HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		OK_HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
		OK_HEAD "Transfer-Encoding: gzip\r\n\r\nx",
		OK_HEAD "Content-Length: -1\r\n\r\nx",
		OK_HEAD "Content-Length: 0x1\r\n\r\nx",
		OK_HEAD "Content-Length : 1\r\n\r\nx",
		OK_HEAD "X: a\r\n b\r\nContent-Length: 1\r\n\r\nx",
		OK_HEAD "no colon\r\nContent-Length: 1\r\n\r\nx",
		OK_HEAD "X: \x01\r\nContent-Length: 1\r\n\r\nx",
		OK_HEAD "Content-Length: 5000\r\n\r\nx",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *answers[] = { rows[i], NULL };
		struct talk t;
		struct reply reply;
		struct error err = { .code = ERR_NONE };
		scoped(secret_freep) struct secret *body = NULL;
		begin(&t, answers, 0);
		if (client_ask(t.client, &get, &reply, &err) && client_secret(t.client, 4096, &body, &err))
			fail_msg("taken: %s", rows[i]);
		assert_int_equal(err.code, ERR_UNEXPECTED);
		assert_null(strstr(err.message, "hello"));
		end(&t);
	}
}

static void client__a_head_without_end_is_refused(void **state)
{
	(void)state;
	char *answer = malloc(REPLY_HEAD_MAX * 2);
	const char *answers[] = { answer, NULL };
	struct talk t;
	struct reply reply;
	struct error err;
	size_t at = (size_t)sprintf(answer, OK_HEAD);
	while (at < REPLY_HEAD_MAX + 4000)
		at += (size_t)sprintf(answer + at, "X-Some-Header-%zu: and what it says\r\n", at);
	begin(&t, answers, 0);
	assert_false(client_ask(t.client, &get, &reply, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	end(&t);
	free(answer);
}

static void client__a_long_head_is_read_whole(void **state)
{
	(void)state;
	char *answer = malloc(REPLY_HEAD_MAX * 2);
	const char *answers[] = { answer, NULL };
	struct talk t;
	struct reply reply;
	struct error err;
	scoped(secret_freep) struct secret *body = NULL;
	size_t at = (size_t)sprintf(answer, OK_HEAD);
	while (at < REPLY_HEAD_MAX - 200)
		at += (size_t)sprintf(answer + at, "X-Some-Header-%zu: and what it says\r\n", at);
	sprintf(answer + at, "Content-Length: 4\r\n\r\nbody");
	begin(&t, answers, 0);
	assert_true(client_ask(t.client, &get, &reply, &err));
	assert_true(client_secret(t.client, 4, &body, &err));
	assert_true(bytes_equal(secret_reveal(body), bytes_of_text("body")));
	end(&t);
	free(answer);
}

static void client__an_agent_that_hangs_up_or_says_nothing_is_told(void **state)
{
	(void)state;
	static const char *const gone[] = { "", NULL };
	static const char *const cut[] = { OK_HEAD "Content-Length: 9\r\n\r\nfour", NULL };
	struct client_request quick = get;
	struct talk t;
	struct reply reply;
	struct error err;
	struct buf body = BUF_INIT(100);
	begin(&t, gone, 0);
	assert_false(client_ask(t.client, &get, &reply, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	end(&t);
	begin(&t, cut, 0);
	assert_true(client_ask(t.client, &get, &reply, &err));
	assert_false(client_body(t.client, &body, &err));
	end(&t);
	buf_done(&body);

	int pair[2];
	struct client *c = NULL;
	quick.wait_ms = 60;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(client_adopt(pair[0], &c, &err));
	int64_t started = clock_boot_ms();
	assert_false(client_ask(c, &quick, &reply, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(clock_boot_ms() - started >= 60);
	client_freep(&c);
	close(pair[1]);
}

/* --- finding one --- */

static void client__no_listener_is_no_agent_and_no_error(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-client-XXXXXX", path[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct client *c = NULL;
	struct error err;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sock", dir);
	assert_true(client_open(path, "", true, &c, &err));
	assert_null(c);
	/* Stale: the name is there, and nobody behind it. */
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_true(client_open(path, "", true, &c, &err));
	assert_null(c);
	assert_int_equal(listen(fd, 1), 0);
	assert_true(client_open(path, "", true, &c, &err));
	assert_non_null(c);
	client_freep(&c);
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void client__a_strangers_socket_is_told_nothing(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-client-XXXXXX", path[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct client *c = NULL;
	struct error err;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sock", dir);
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_false(client_open(path, "", true, &c, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(c);
	assert_false(client_open(path, "12346", true, &c, &err));
	assert_true(client_open(path, "12345", true, &c, &err));
	client_freep(&c);
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* Lets our connection wait in a full queue for a while, then takes all. */
static void *accept_late(void *context)
{
	int listening = *(int *)context;
	clock_sleep_ms(60);
	for (int i = 0; i < 8; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		clock_sleep_ms(20);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static void client__a_full_queue_is_waited_for_and_other_paths_are_told(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-client-XXXXXX", path[64], below[80], far[200];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct client *c = NULL;
	struct error err;
	pthread_t thread;
	int waiting[4];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sock", dir);
	snprintf(below, sizeof below, "%s/more", path);
	memset(far, 'x', sizeof far);
	far[sizeof far - 1] = '\0';
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < 4; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(waiting[i], (struct sockaddr *)&address, sizeof address);
	}
	assert_int_equal(pthread_create(&thread, NULL, accept_late, &fd), 0);
	assert_true(client_open(path, "", true, &c, &err));
	assert_non_null(c);
	client_freep(&c);
	pthread_join(thread, NULL);
	assert_true(client_open(below, "", true, &c, &err)); /* under a socket there is none */
	assert_null(c);
	assert_true(client_open(far, "", true, &c, &err)); /* and no socket can be as far as that */
	assert_null(c);
	for (size_t i = 0; i < 4; i++)
		close(waiting[i]);
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* As another user: where the path was told, that it is closed to us is told; a guess was wrong. */
static void client__a_socket_that_is_closed_to_us_is_told_unless_it_was_a_guess(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-client-XXXXXX", path[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof path, "%s/sock", dir);
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(chmod(path, 0600), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct client *c = NULL;
		struct error err;
		bool is_fine = setuid(12345) == 0 && client_open(path, "", false, &c, &err) && !c &&
			       !client_open(path, "", true, &c, &err) && err.code == ERR_DENIED && err.hint[0];
		_exit(is_fine ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* Names are looked up too, and one that is nobody's trusts nobody. */
static void client__a_socket_of_the_agents_user_is_trusted_by_its_name(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-client-XXXXXX", path[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct client *c = NULL;
	struct error err;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sock", dir);
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(chown(path, 1, 1), 0);
	assert_false(client_open(path, "no-such-user", true, &c, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_true(client_open(path, "daemon", true, &c, &err));
	assert_non_null(c);
	client_freep(&c);
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* --- what is large, what is cut, what lacks memory --- */

struct slow_reader {
	int fd;
	size_t wanted, got;
};

static void *read_slowly(void *context)
{
	struct slow_reader *r = context;
	static char bytes[65536];
	static const char answer[] = OK_HEAD "Content-Length: 2\r\n\r\nok";
	clock_sleep_ms(30);
	while (r->got < r->wanted) {
		ssize_t got = read(r->fd, bytes, sizeof bytes);
		if (got <= 0)
			return NULL;
		r->got += (size_t)got;
	}
	(void)!write(r->fd, answer, sizeof answer - 1);
	return NULL;
}

static void client__a_body_larger_than_what_a_socket_holds_arrives_whole(void **state)
{
	(void)state;
	enum { LEN = 4 << 20 };
	struct client_request put = { .method = "PUT", .target = "/v1/x", .wait_ms = 20000, .has_body = true };
	struct client *c = NULL;
	struct reply reply;
	struct error err;
	pthread_t thread;
	int pair[2];
	uint8_t *body = calloc(1, LEN);
	assert_non_null(body);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct slow_reader reader = { .fd = pair[1], .wanted = LEN };
	assert_true(client_adopt(pair[0], &c, &err));
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
	put.body = bytes_of(body, LEN);
	if (!client_ask(c, &put, &reply, &err))
		fail_msg("%s", err.message);
	assert_int_equal(reply.status, 200);
	pthread_join(thread, NULL);
	assert_true(reader.got >= LEN);
	client_freep(&c);
	close(pair[1]);
	/* Nobody reads: its time is over. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(client_adopt(pair[0], &c, &err));
	put.wait_ms = 50;
	assert_false(client_ask(c, &put, &reply, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	client_freep(&c);
	/* Nobody is there: told as gone. */
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	assert_true(client_adopt(pair[0], &c, &err));
	assert_false(client_ask(c, &put, &reply, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	client_freep(&c);
	free(body);
}

static bool talk_whole(struct client *c, struct error *err)
{
	struct reply reply;
	struct buf body = BUF_INIT(4096);
	scoped(secret_freep) struct secret *token = NULL;
	bool is_end = false, is_done = client_ask(c, &get, &reply, err) && client_secret(c, 4096, &token, err) &&
				       client_demand(c, &get, &reply, err);
	while (is_done && !is_end)
		is_done = client_some(c, &body, &is_end, err);
	is_done = is_done && client_ask(c, &get, &reply, err) && client_body(c, &body, err);
	buf_done(&body);
	return is_done;
}

static void client__without_memory_says_so(void **state)
{
	(void)state;
	static char head[3000];
	size_t failed = 1;
#ifdef IS_SANITIZED
	skip();
#endif
	size_t used = (size_t)snprintf(head, sizeof head, OK_HEAD "Content-Length: 2\r\nX-Long: ");
	memset(head + used, 'x', sizeof head - used - 8);
	snprintf(head + sizeof head - 8, 8, "\r\n\r\nhi");
	const char *const answers[] = { OK_HEAD "Content-Length: 40\r\n\r\n" TOKEN,
					OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", head, NULL };
	for (size_t n = 1; failed; n++) {
		struct talk t;
		struct error err = { .code = ERR_NONE };
		begin(&t, answers, 0);
		failing_from(FAIL_MEMORY, ENOMEM, n, n % 2 ? n : FAIL_EVER);
		bool is_done = talk_whole(t.client, &err);
		failed = failing_stop();
		end(&t);
		if (is_done == (failed > 0))
			fail_msg("point %zu: %s with %zu failed", n, is_done ? "worked" : err.message, failed);
		assert_true(is_done || (err.message[0] && err.hint[0]));
	}
}

/* --- pure parts --- */

static void reply__a_head_cut_short_anywhere_is_not_whole(void **state)
{
	(void)state;
	static const char text[] = OK_HEAD "ETag: \"3\"\r\nContent-Length: 40\r\n\r\n";
	struct reply reply;
	size_t len;
	for (size_t cut = 0; cut < sizeof text - 1; cut++)
		assert_int_equal(reply_head(bytes_of(text, cut), &reply, &len), REPLY_CUT);
	assert_int_equal(reply_head(bytes_of_text(text), &reply, &len), REPLY_WHOLE);
	assert_int_equal(len, sizeof text - 1);
	assert_int_equal(reply.length, 40);
}

static void reply__a_length_is_no_small_number_that_only_ends_like_it(void **state)
{
	(void)state;
	static const struct {
		const char *said;
		uint64_t meant; /* UINT64_MAX: nonsense */
	} rows[] = { { "2147483653", 2147483653 },   { "4294967301", 4294967301 },  { "281474976710661", 281474976710661 },
		     { "18446744073709551621", UINT64_MAX }, { "-5", UINT64_MAX }, { "+5", UINT64_MAX },
		     { "5 5", UINT64_MAX },	     { "0x5", UINT64_MAX },	    { "", UINT64_MAX } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[256];
		struct reply reply = { .length = UINT64_MAX };
		size_t len;
		snprintf(text, sizeof text, "%sContent-Length: %s\r\n\r\n", OK_HEAD, rows[i].said);
		enum reply_state got = reply_head(bytes_of_text(text), &reply, &len);
		assert_int_equal(got, rows[i].meant == UINT64_MAX ? REPLY_NONSENSE : REPLY_WHOLE);
		assert_true(reply.length == rows[i].meant);
	}
}

static void reply__events_are_taken_whole_and_comments_passed_over(void **state)
{
	(void)state;
	static const char text[] = ": still here\n\nevent: progress\ndata: {\"done\":1}\n\nevent: result\ndata: {}\n\nevent: x";
	struct bytes rest = bytes_of_text(text);
	struct event e;
	assert_true(event_take(&rest, &e));
	assert_true(bytes_equal(e.name, bytes_of_text("progress")));
	assert_true(bytes_equal(e.data, bytes_of_text("{\"done\":1}")));
	assert_true(event_take(&rest, &e));
	assert_true(bytes_equal(e.name, bytes_of_text("result")));
	assert_false(event_take(&rest, &e));
	assert_true(bytes_equal(rest, bytes_of_text("event: x")));
}

static void reply__a_problem_that_is_none_says_the_status(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"", "not json", "{}", "[]", "{\"type\":\"denied\",\"detail\":\"x\",\"exit\":4}",
		"{\"type\":\"denied\",\"detail\":\"x\",\"exit\":99}", "{\"type\":\"ok\",\"detail\":\"x\",\"exit\":0}",
		"{\"type\":5,\"detail\":\"x\",\"exit\":5}", "{\"type\":\"denied\",\"exit\":5}", "{\"type\":\"denied\",\"detail\":\"\",\"exit\":5}"
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct error err = { .code = ERR_NONE };
		assert_false(reply_fail(418, bytes_of_text(rows[i]), &err));
		assert_int_equal(err.code, ERR_UNEXPECTED);
		assert_non_null(strstr(err.message, "418"));
	}
}

static void append_counted(struct buf *to, const struct buf *from)
{
	buf_append_uint(to, 4, from->len);
	buf_append(to, from->at, from->len);
}

static void reply__records_come_back_as_they_were_and_cut_ones_are_refused(void **state)
{
	(void)state;
	struct buf all = BUF_INIT(100000), meta = BUF_INIT(50000), health = BUF_INIT(50000);
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .created_at = 5 }, found;
	struct health h = { .next_check_at = 77 }, found_health;
	struct error err;
	bool is_end = false;
	assert_true(credential_encode(&c, &meta, &err) && health_encode(&h, &health, &err));
	buf_append(&all, "PVREC\0\0\1", 8);
	append_counted(&all, &meta);
	append_counted(&all, &health);
	buf_append_uint(&all, 4, 0xffffffff);
	for (size_t cut = 0; cut <= all.len; cut++) {
		struct bytes rest = bytes_of(all.at, cut);
		bool is_good = records_begin(&rest) && records_take(&rest, &found, &found_health, &is_end) &&
			       records_take(&rest, &found, &found_health, &is_end) && is_end;
		assert_int_equal(is_good, cut == all.len);
	}
	assert_string_equal(found.pixel, c.pixel);
	assert_int_equal(found_health.next_check_at, 77);
	buf_done(&all);
	buf_done(&meta);
	buf_done(&health);
}

static void target__what_is_special_is_encoded(void **state)
{
	(void)state;
	struct buf target = BUF_INIT(1000);
	buf_append_text(&target, "/v1/pixels");
	target_query(&target, "label", "a=b c&d");
	target_query(&target, "x", "\xc3\xa4%");
	assert_string_equal(target_text(&target), "/v1/pixels?label=a%3Db%20c%26d&x=%C3%A4%25");
	buf_done(&target);
}

static int open_arena(void **state)
{
	(void)state;
	struct error err;
	return secret_arena_open(SECRET_ARENA_SMALL, &err) ? 0 : -1;
}

static int close_arena(void **state)
{
	(void)state;
	secret_arena_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client__a_token_comes_in_pieces_and_the_connection_is_kept),
		cmocka_unit_test(client__a_last_request_asks_the_agent_to_hang_up),
		cmocka_unit_test(client__a_body_is_sent_from_where_it_lies),
		cmocka_unit_test(client__a_chunked_body_is_put_together),
		cmocka_unit_test(client__an_error_is_told_as_the_agent_told_it),
		cmocka_unit_test(client__what_no_agent_says_is_refused),
		cmocka_unit_test(client__a_head_without_end_is_refused),
		cmocka_unit_test(client__a_long_head_is_read_whole),
		cmocka_unit_test(client__an_agent_that_hangs_up_or_says_nothing_is_told),
		cmocka_unit_test(client__no_listener_is_no_agent_and_no_error),
		cmocka_unit_test(client__a_strangers_socket_is_told_nothing),
		cmocka_unit_test(client__a_full_queue_is_waited_for_and_other_paths_are_told),
		cmocka_unit_test(client__a_socket_that_is_closed_to_us_is_told_unless_it_was_a_guess),
		cmocka_unit_test(client__a_socket_of_the_agents_user_is_trusted_by_its_name),
		cmocka_unit_test(client__a_body_larger_than_what_a_socket_holds_arrives_whole),
		cmocka_unit_test(client__without_memory_says_so),
		cmocka_unit_test(reply__a_head_cut_short_anywhere_is_not_whole),
		cmocka_unit_test(reply__a_length_is_no_small_number_that_only_ends_like_it),
		cmocka_unit_test(reply__events_are_taken_whole_and_comments_passed_over),
		cmocka_unit_test(reply__a_problem_that_is_none_says_the_status),
		cmocka_unit_test(reply__records_come_back_as_they_were_and_cut_ones_are_refused),
		cmocka_unit_test(target__what_is_special_is_encoded),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
