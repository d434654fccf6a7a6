#include "tests/emulator/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/emulator/api.h"
#include "tests/emulator/control.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/http.h"
#include "tests/emulator/stream.h"

enum role { ROLE_API, ROLE_OTHER, ROLE_CONTROL, ROLE_COUNT };
enum { HANDSHAKE_S = 10, IDLE_S = 120, SEND_S = 20, STACK_SIZE = 1024 * 1024, QUICK_MAX = 16 * 1024 };

struct connection {
	struct server *server;
	struct connection *before, *after;
	enum role role;
	uint64_t number;
	bool is_bad; /* made while `cert` or `tls` was not good: no token should ever come here */
	struct stream stream;
	struct http_reader reader;
	struct request request;
	struct reply reply;
	bool owes;   /* reply is decided and not sent */
};

struct server {
	struct world *world;
	struct tls *tls;
	int listeners[ROLE_COUNT];
	int stop_fd, signal_fd;
	int epoll_fd, worker_fd; /* the quiet connections, and what ends the worker */
	pthread_t worker;
	pthread_attr_t thread_attr;
	pthread_mutex_t mutex; /* the fields below */
	pthread_cond_t ended;
	struct connection *connections;
	size_t connection_count;
};

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, (struct sockaddr *)&address, sizeof address) ||
	    listen(fd, 1024)) {
		perror("tiktok-emulator: cannot listen on 127.0.0.1");
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in address = { 0 };
	socklen_t len = sizeof address;

	(void)getsockname(fd, (struct sockaddr *)&address, &len);
	return ntohs(address.sin_port);
}

struct server *server_new(struct world *world, struct tls *tls, uint16_t port)
{
	struct server *s = must_alloc(sizeof *s);
	sigset_t signals;

	*s = (struct server){ .world = world, .tls = tls, .listeners = { -1, -1, -1 } };
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->worker_fd = eventfd(0, EFD_CLOEXEC);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	(void)pthread_mutex_init(&s->mutex, NULL);
	(void)pthread_cond_init(&s->ended, NULL);
	(void)pthread_attr_init(&s->thread_attr);
	(void)pthread_attr_setdetachstate(&s->thread_attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&s->thread_attr, STACK_SIZE);
	s->listeners[ROLE_API] = listen_on(port);
	s->listeners[ROLE_OTHER] = listen_on(0);
	if (s->signal_fd >= 0 && s->stop_fd >= 0 && s->worker_fd >= 0 && s->epoll_fd >= 0 && s->listeners[ROLE_API] >= 0 &&
	    s->listeners[ROLE_OTHER] >= 0)
		return s;
	server_free(s);
	return NULL;
}

void server_free(struct server *s)
{
	const int others[] = { s ? s->signal_fd : -1, s ? s->stop_fd : -1, s ? s->worker_fd : -1, s ? s->epoll_fd : -1 };

	if (!s)
		return;
	for (int i = 0; i < ROLE_COUNT; i++)
		if (s->listeners[i] >= 0)
			(void)close(s->listeners[i]);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (others[i] >= 0)
			(void)close(others[i]);
	(void)pthread_attr_destroy(&s->thread_attr);
	(void)pthread_cond_destroy(&s->ended);
	(void)pthread_mutex_destroy(&s->mutex);
	free(s);
}

uint16_t server_port(const struct server *s)
{
	return port_of(s->listeners[ROLE_API]);
}

uint16_t server_other_port(const struct server *s)
{
	return port_of(s->listeners[ROLE_OTHER]);
}

static void raise_event(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void server_stop(struct server *s)
{
	raise_event(s->stop_fd);
}

/* Shutting the descriptor down wakes whatever its thread waits in; the thread closes it. */
static void shut_all(struct server *s, bool only_api)
{
	(void)pthread_mutex_lock(&s->mutex);
	for (struct connection *c = s->connections; c; c = c->after)
		if (!only_api || c->role == ROLE_API)
			(void)shutdown(c->stream.fd, SHUT_RDWR);
	(void)pthread_mutex_unlock(&s->mutex);
}

void server_drop(struct server *s)
{
	shut_all(s, true);
}

static void stop_hook(void *server)
{
	server_stop(server);
}

static void drop_hook(void *server)
{
	server_drop(server);
}

static void enter(struct connection *c)
{
	struct server *s = c->server;

	(void)pthread_mutex_lock(&s->mutex);
	c->after = s->connections;
	if (c->after)
		c->after->before = c;
	s->connections = c;
	s->connection_count++;
	(void)pthread_mutex_unlock(&s->mutex);
}

static void leave(struct connection *c)
{
	struct server *s = c->server;

	(void)pthread_mutex_lock(&s->mutex);
	*(c->before ? &c->before->after : &s->connections) = c->after;
	if (c->after)
		c->after->before = c->before;
	(void)close(c->stream.fd); /* under the lock, so that shut_all never meets a reused number */
	free(c);
	s->connection_count--;
	(void)pthread_cond_signal(&s->ended);
	(void)pthread_mutex_unlock(&s->mutex);
}

/* Requests to the API that wait for their answer. */
static void in_flight(const struct connection *c, int change)
{
	struct world *w = c->server->world;

	if (c->role != ROLE_API)
		return;
	world_lock(w);
	w->totals.in_flight += change;
	if (w->totals.in_flight > w->totals.max_in_flight)
		w->totals.max_in_flight = w->totals.in_flight;
	world_unlock(w);
}

/* The other host says yes to everything and remembers what it was shown. */
static void think_as_other(struct connection *c)
{
	struct world *w = c->server->world;

	world_lock(w);
	w->totals.other_requests++;
	w->totals.other_tokens += c->request.token || c->request.has_authorization;
	world_unlock(w);
	c->reply.answer.status = 200;
	c->reply.answer.type = "application/json";
	(void)snprintf(c->reply.request_id, sizeof c->reply.request_id, "%s", "20260101000000AAAAAAAAAAAAAAAAAAAA");
	text_puts(&c->reply.answer.body, "{\"code\":0,\"message\":\"OK\",\"request_id\":\"20260101000000AAAAAAAAAAAAAAAAAAAA\",\"data\":{}}");
}

/* Decide what c->request gets; from here on a reply is owed. */
static void think(struct connection *c)
{
	c->reply = (struct reply){ 0 };
	c->owes = true;
	in_flight(c, 1);
	if (c->role == ROLE_API)
		api_handle(c->server->world, &c->request, c->number, &c->reply);
	else
		think_as_other(c);
}

/* Send it; false = close. */
static bool deliver(struct connection *c)
{
	bool keep_alive = c->request.keep_alive, goes_on = false;
	struct fault_talk talk = { .stream = &c->stream, .row = c->reply.fault.row, .logid = c->reply.request_id, .keep_alive = &keep_alive,
				   .token = c->request.token ? c->request.token : "", .other_base_url = c->server->world->other_base_url };

	if (stream_wait(&c->stream, c->reply.delay_ms)) {
		if (c->reply.is_spoilt)
			goes_on = fault_send(&talk);
		else if (c->reply.answer.status)
			goes_on = http_write(&c->stream, &c->reply.answer, keep_alive, c->reply.request_id);
	}
	reply_done(&c->reply);
	c->owes = false;
	in_flight(c, -1);
	return goes_on && keep_alive;
}

static bool takes_time(const struct reply *r)
{
	return r->is_spoilt || r->delay_ms || r->answer.body.len > QUICK_MAX;
}

static void answer_nonsense(struct connection *c)
{
	struct answer a = { .status = 400, .type = "text/html" };

	text_puts(&a.body, "<html><head><title>400 Bad Request</title></head><body>400 Bad Request</body></html>");
	(void)http_write(&c->stream, &a, false, "-");
	text_free(&a.body);
}

static void note_bad_bytes(struct connection *c, size_t bytes)
{
	if (!c->is_bad || !bytes)
		return;
	world_lock(c->server->world);
	c->server->world->totals.bad_cert_bytes += bytes;
	world_unlock(c->server->world);
}

static enum http_read read_request(struct connection *c)
{
	enum http_read what = http_read(&c->reader, &c->request);

	note_bad_bytes(c, c->reader.received);
	c->reader.received = 0;
	return what;
}

/* The end of a connection, by whoever has it. */
static void finish(struct connection *c)
{
	http_reader_done(&c->reader);
	stream_goodbye(&c->stream);
	stream_done(&c->stream);
	leave(c);
}

enum turn { TURN_REST, TURN_LONG, TURN_OVER };

/* Answer all that has come and can be answered at once. LONG: it goes on with attend(), which may wait. */
static enum turn take_turn(struct connection *c)
{
	c->stream.is_impatient = true;
	for (;;) {
		enum http_read what = read_request(c);

		if (what == HTTP_LATER)
			return TURN_REST;
		if (what == HTTP_PARTIAL)
			return TURN_LONG;
		if (what == HTTP_NONSENSE)
			answer_nonsense(c);
		if (what != HTTP_REQUEST)
			return TURN_OVER;
		think(c);
		if (takes_time(&c->reply))
			return TURN_LONG;
		if (!deliver(c))
			return TURN_OVER;
	}
}

/* Read the rest of a request if there is one to read, and answer, however long it takes; false = close. */
static bool attend(struct connection *c)
{
	enum http_read what = HTTP_REQUEST;

	c->stream.is_impatient = false;
	if (!c->owes) {
		what = read_request(c);
		if (what == HTTP_REQUEST)
			think(c);
		else if (what == HTTP_NONSENSE)
			answer_nonsense(c);
	}
	return what == HTTP_REQUEST && deliver(c);
}

/* Let the worker watch for more. The connection is the worker's from here on. */
static void park(struct connection *c)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = c };

	if (epoll_ctl(c->server->epoll_fd, EPOLL_CTL_ADD, c->stream.fd, &event))
		finish(c);
}

/* A thread's stay with a connection: until it is quiet again, or over. */
static void *stay(void *at)
{
	struct connection *c = at;
	enum turn turn = TURN_LONG;

	while (turn == TURN_LONG)
		turn = attend(c) ? take_turn(c) : TURN_OVER;
	if (turn == TURN_REST)
		park(c);
	else
		finish(c);
	return NULL;
}

static void give_to_thread(struct connection *c, void *(*body)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, &c->server->thread_attr, body, c))
		finish(c);
}

static void *work(void *at)
{
	struct server *s = at;
	struct epoll_event ready[64];

	for (;;) {
		int count = epoll_wait(s->epoll_fd, ready, 64, -1);

		for (int i = 0; i < count; i++) {
			struct connection *c = ready[i].data.ptr;
			enum turn turn;

			if (!c) /* worker_fd */
				return NULL;
			turn = take_turn(c);
			if (turn != TURN_REST)
				(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->stream.fd, NULL);
			if (turn == TURN_LONG)
				give_to_thread(c, stay);
			else if (turn == TURN_OVER)
				finish(c);
		}
	}
}

/* Does the client start with a TLS hello? (Only asked where plain HTTP may come.) */
static bool speaks_tls(struct connection *c)
{
	unsigned char first = 0;

	return recv(c->stream.fd, &first, 1, MSG_PEEK) != 1 || first == 0x16;
}

static bool start_tls(struct connection *c)
{
	struct world *w = c->server->world;
	int cert = CERT_GOOD, version = TLS_MODERN;
	gnutls_session_t session;

	if (c->role == ROLE_OTHER && !speaks_tls(c))
		return true;
	world_lock(w);
	if (c->role == ROLE_API) {
		cert = w->knobs[KNOB_CERT].choice;
		version = w->knobs[KNOB_TLS].choice;
	}
	world_unlock(w);
	c->is_bad = cert != CERT_GOOD || version != TLS_MODERN;
	if (version == TLS_PLAINTEXT) {
		c->is_bad = !speaks_tls(c); /* a hello is no secret */
		return true;
	}
	session = tls_session(c->server->tls, cert, version);
	if (session && stream_handshake(&c->stream, session))
		return true;
	world_lock(w);
	w->totals.handshakes_failed++;
	world_unlock(w);
	return false;
}

static void *welcome(void *at)
{
	struct connection *c = at;
	struct timeval patience = { .tv_sec = SEND_S };
	enum turn turn = TURN_OVER;
	int on = 1;

	(void)setsockopt(c->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(c->stream.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	stream_patience(&c->stream, HANDSHAKE_S);
	if (start_tls(c)) {
		stream_patience(&c->stream, IDLE_S);
		turn = take_turn(c); /* the first request may have come with the handshake */
	}
	if (turn == TURN_LONG)
		return stay(c);
	if (turn == TURN_REST)
		park(c);
	else
		finish(c);
	return NULL;
}

static void *obey(void *at)
{
	struct connection *c = at;
	const struct control_hooks hooks = { .context = c->server, .drop = drop_hook, .stop = stop_hook };

	control_serve(c->stream.fd, c->server->world, &hooks);
	finish(c);
	return NULL;
}

/* Count it; does a `refuse` fault want it closed at once? */
static bool greet(struct world *w, enum role role, uint64_t *ret_number)
{
	struct fault_rule fault;
	bool refused = false;

	if (role == ROLE_CONTROL)
		return true;
	world_lock(w);
	if (role == ROLE_OTHER) {
		w->totals.other_connections++;
	} else {
		*ret_number = ++w->totals.connections;
		refused = world_take_fault(w, NULL, NULL, &fault);
	}
	world_unlock(w);
	return !refused;
}

static void accept_one(struct server *s, enum role role)
{
	int fd = accept4(s->listeners[role], NULL, NULL, SOCK_CLOEXEC);
	struct connection *c;
	uint64_t number = 0;

	if (fd < 0)
		return;
	if (!greet(s->world, role, &number)) {
		(void)close(fd);
		return;
	}
	c = must_alloc(sizeof *c);
	c->server = s;
	c->role = role;
	c->number = number;
	c->stream.fd = fd;
	c->reader.stream = &c->stream;
	enter(c);
	give_to_thread(c, role == ROLE_CONTROL ? obey : welcome);
}

static bool is_full(struct server *s)
{
	bool full;

	(void)pthread_mutex_lock(&s->mutex);
	full = s->connection_count >= CONNECTION_MAX;
	(void)pthread_mutex_unlock(&s->mutex);
	return full;
}

static bool all_ended(struct server *s)
{
	struct timespec until;
	bool done;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 3;
	(void)pthread_mutex_lock(&s->mutex);
	while (s->connection_count && !pthread_cond_timedwait(&s->ended, &s->mutex, &until))
		;
	done = !s->connection_count;
	(void)pthread_mutex_unlock(&s->mutex);
	return done;
}

static bool stdin_ended(void)
{
	char sink[256];

	return read(STDIN_FILENO, sink, sizeof sink) <= 0;
}

static bool start_worker(struct server *s)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->worker_fd, &event) && !pthread_create(&s->worker, NULL, work, s))
		return true;
	fputs("tiktok-emulator: cannot start the worker\n", stderr);
	return false;
}

bool server_run(struct server *s, int control, bool watch_stdin)
{
	struct pollfd wait[ROLE_COUNT + 3] = { 0 };

	s->listeners[ROLE_CONTROL] = control;
	if (!start_worker(s))
		return false;
	for (;;) {
		bool full = is_full(s);

		for (int i = 0; i < ROLE_COUNT; i++)
			wait[i] = (struct pollfd){ .fd = full && i != ROLE_CONTROL ? -1 : s->listeners[i], .events = POLLIN };
		wait[ROLE_COUNT] = (struct pollfd){ .fd = s->stop_fd, .events = POLLIN };
		wait[ROLE_COUNT + 1] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
		wait[ROLE_COUNT + 2] = (struct pollfd){ .fd = watch_stdin ? STDIN_FILENO : -1, .events = POLLIN };
		if (poll(wait, ROLE_COUNT + 3, full ? 20 : -1) < 0 && errno != EINTR)
			break;
		if (wait[ROLE_COUNT].revents || wait[ROLE_COUNT + 1].revents || (wait[ROLE_COUNT + 2].revents && stdin_ended()))
			break;
		for (int i = 0; i < ROLE_COUNT; i++)
			if (wait[i].revents)
				accept_one(s, (enum role)i);
	}
	for (int i = 0; i < ROLE_COUNT; i++) {
		(void)close(s->listeners[i]);
		s->listeners[i] = -1;
	}
	shut_all(s, false);
	if (!all_ended(s))
		return false;
	raise_event(s->worker_fd);
	(void)pthread_join(s->worker, NULL);
	return true;
}
