#include "agent/listener.h"

#include "agent/fast_path.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/wipe.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024u
#define PER_USER_MAX 256u
#define WEB_MAX 32u /* all browsers together; they count as one user, whom the kernel never names */
#define WEB_UID ((uid_t)-1)
#define SOCKETS_MAX 4
#define ACCEPTS_A_TURN 8 /* newcomers hold up who is here already */
#define HEAD_MS 2000
#define REQUEST_MS 5000
#define WRITE_MS 5000
#define IDLE_MS 30000
#define TICK_MS 250
#define PAUSE_MS 200 /* without accepting, after descriptors ran out */
/* libmicrohttpd zeroes all of a connection's memory behind each request, so it is as small as a long query allows. */
#define POOL_SIZE ((size_t)8 * 1024)
#define PIECE_MAX ((size_t)256 * 1024)
/* Bodies lie in locked memory, which reads need too. What is not even a request of ours is read and dropped up to
 * DROP_MAX, so that its sender sees the answer. */
#define UPLOADS_MAX ((size_t)384 * 1024)
#define UPLOADS_PER_USER_MAX ((size_t)128 * 1024)
#define DROP_MAX ((size_t)256 * 1024)
#define GROUPS_FEW 64
#define TAGS 64
#define FAST_ROOM ((size_t)24 * 1024) /* of an answer: a token in JSON is the longest */
#define UNREAD_MAX ((size_t)1024)     /* and FAST_HEAD_MAX more are left lying in a connection's buffer */
#define BATCH 4

enum phase {
	PHASE_IDLE,
	PHASE_HEAD,    /* its first byte came */
	PHASE_BODY,    /* the head is there */
	PHASE_HELD,    /* the api has it; suspended */
	PHASE_SENDING, /* somebody must read */
	PHASE_WAITING, /* a stream without news; suspended */
	PHASE_CLOSING,
};

struct connection {
	/* what is looked at for each tick lies together */
	struct connection *prev, *next;
	enum phase phase;
	int fd;
	int64_t since_ms; /* of the phase */
	int64_t began_ms; /* the request's first byte */
	struct peer peer;

	struct listener *l;
	struct user *user;
	struct connection *user_prev, *user_next;
	size_t upload; /* bytes of locked memory that its body holds */
	struct MHD_Connection *mhd;
	struct access_view *view;
	gid_t *groups;
	size_t group_count;
	bool is_armed;    /* the next byte is told to us by `watch` */
	bool is_suspended, is_in_handler, is_lost, has_begun, has_ended;
	size_t body_max, body_len, dropped;
	struct error body_err; /* why the body is not taken; ERR_NONE = it is */
	int body_status;
	struct buf piece; /* of a stream */
	size_t piece_at;
	/* Until a request comes that is not of the usual kind, the library knows nothing of a connection. */
	bool is_fast, is_watched, is_ready, is_answered;
	bool has_more;    /* something came that was not looked at yet */
	bool is_half_closed; /* by the peer, who may still wait for an answer */
	bool is_peeking;  /* SO_PEEK_OFF is set: the next look begins behind what was seen */
	size_t unread;    /* bytes that were served and still lie in the kernel's buffer */
	struct connection *next_ready, *next_answered, *next_ended;
	struct fast_head head;
	struct call call;
	char unnamed[CONSUMER_NAME_MAX + 1];
};

/* Who holds connections. They stand in the order in which they last became idle, those that are closing left out. */
struct user {
	struct user *next;
	uid_t uid;
	size_t refs;  /* connections, closing ones as well */
	size_t count; /* of the list */
	size_t uploads;
	struct connection *first, *last;
};

struct socket {
	int fd;
	bool is_raw, is_web, is_ready, is_polled;
};

struct listener {
	struct listener_setup setup;
	struct MHD_Daemon *daemon;
	int mhd_fd, watch;
	struct socket sockets[SOCKETS_MAX];
	size_t socket_count;
	struct connection *first;
	size_t count;
	struct user *users;
	size_t open, uploads; /* of all of them */
	unsigned most, most_per_user;
	int64_t now_ms, ticked_ms, paused_until_ms;
	bool is_mhd_ready, is_watch_ready, has_resumed, is_stopping;
	struct connection *ready, **last_ready; /* on the fast path: bytes came */
	struct connection *answered;            /* and not sent yet */
	struct connection *ended;               /* and over */
	struct secret *room;                    /* in which an answer is put together and sent */
	struct connection *arriving;            /* inside MHD_add_connection */
};

/* ---- users ---- */

static struct user *find_user(struct listener *l, uid_t uid)
{
	struct user *u = l->users;
	while (u && u->uid != uid)
		u = u->next;
	if (u || !(u = calloc(1, sizeof *u)))
		return u;
	u->uid = uid;
	u->next = l->users;
	l->users = u;
	return u;
}

static void drop_user(struct listener *l, struct user *user)
{
	struct user **at = &l->users;
	if (--user->refs)
		return;
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	free(user);
}

static void append_to_user(struct connection *c)
{
	struct user *u = c->user;
	c->user_prev = u->last;
	c->user_next = NULL;
	*(u->last ? &u->last->user_next : &u->first) = c;
	u->last = c;
}

static void remove_from_user(struct connection *c)
{
	struct user *u = c->user;
	*(c->user_prev ? &c->user_prev->user_next : &u->first) = c->user_next;
	*(c->user_next ? &c->user_next->user_prev : &u->last) = c->user_prev;
}

/* Behind whatever gave the body memory, or took it. */
static void count_upload(struct connection *c)
{
	size_t upload = c->call.body ? secret_len(c->call.body) : 0;
	c->l->uploads += upload - c->upload;
	c->user->uploads += upload - c->upload;
	c->upload = upload;
}

/* ---- connections ---- */

static void enter(struct connection *c, enum phase phase)
{
	c->since_ms = c->l->now_ms;
	if (c->phase == phase)
		return;
	if (phase == PHASE_CLOSING) {
		remove_from_user(c);
		c->user->count--;
		c->l->open--;
	} else if (phase == PHASE_IDLE && c->user->last != c) {
		remove_from_user(c);
		append_to_user(c);
	}
	c->phase = phase;
}

static void watch(struct connection *c, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = c };
	if (epoll_ctl(c->l->watch, EPOLL_CTL_MOD, c->fd, &event) != 0 && errno == ENOENT)
		(void)epoll_ctl(c->l->watch, EPOLL_CTL_ADD, c->fd, &event);
	c->is_armed = events & EPOLLIN;
}

static void suspend(struct connection *c, enum phase phase)
{
	enter(c, phase);
	MHD_suspend_connection(c->mhd);
	c->is_suspended = true;
	watch(c, 0); /* only that the peer went away */
}

static void resume(struct connection *c)
{
	if (!c->is_suspended)
		return;
	c->is_suspended = false;
	c->l->has_resumed = true;
	enter(c, PHASE_SENDING);
	MHD_resume_connection(c->mhd);
}

/* Whoever keeps the call must forget it. */
static void tell_gone(struct connection *c)
{
	void (*gone)(void *) = c->call.gone;
	void *keeper = c->call.keeper;
	c->call.gone = NULL;
	c->call.keeper = NULL;
	if (gone)
		gone(keeper);
}

/* It lies there until the turn is over. */
static void end_fast(struct connection *c)
{
	enter(c, PHASE_CLOSING);
	c->next_ended = c->l->ended;
	c->l->ended = c;
}

static void lose(struct connection *c)
{
	if (c->phase == PHASE_CLOSING)
		return;
	c->is_lost = true;
	tell_gone(c);
	if (c->is_fast) {
		end_fast(c);
		return;
	}
	resume(c);
	enter(c, PHASE_CLOSING);
	(void)shutdown(c->fd, SHUT_RDWR); /* the library notices, and closes */
	c->l->is_mhd_ready = true;
}

static void unlink_connection(struct connection *c)
{
	enter(c, PHASE_CLOSING);
	call_reset(&c->call);
	count_upload(c);
	drop_user(c->l, c->user);
	*(c->prev ? &c->prev->next : &c->l->first) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->l->count--;
}

static void connection_free(struct connection *c)
{
	call_reset(&c->call);
	buf_done(&c->piece);
	access_view_free(c->view);
	free(c->groups);
	free(c);
}

/* ---- answers ---- */

static void free_secret(void *secret)
{
	secret_free(secret);
}

static void free_bytes(void *at)
{
	wipe_free(at);
}

static ssize_t next_bytes(struct connection *c, char *to, size_t max)
{
	size_t len = c->piece.len - c->piece_at;
	if (len > max)
		len = max;
	memcpy(to, c->piece.at + c->piece_at, len);
	c->piece_at += len;
	if (c->piece_at == c->piece.len) {
		buf_clear(&c->piece);
		c->piece_at = 0;
	}
	enter(c, PHASE_SENDING);
	return (ssize_t)len;
}

/* Ends the connection, not just the answer, so that half of one is never taken for a whole. The library's own way for
 * that leaves the connection lying about; one that cannot be written to it cleans away. */
static ssize_t break_off(struct connection *c)
{
	(void)shutdown(c->fd, SHUT_RDWR);
	enter(c, PHASE_CLOSING);
	return MHD_CONTENT_READER_END_OF_STREAM;
}

/* Called once a turn for each stream that may write, so no listing holds up anybody. */
static ssize_t read_stream(void *context, uint64_t position, char *to, size_t max)
{
	struct connection *c = context;
	(void)position;
	if (c->is_lost)
		return break_off(c);
	while (!c->piece.len && !c->has_ended) {
		switch (c->call.stream.fill(c->call.stream.context, &c->piece)) {
		case STREAM_MORE:
			break;
		case STREAM_WAIT:
			if (c->piece.len)
				break;
			suspend(c, PHASE_WAITING);
			return 0;
		case STREAM_END:
			c->has_ended = true;
			break;
		case STREAM_FAIL:
			return break_off(c);
		}
		if (c->piece.is_bad)
			return break_off(c);
	}
	return c->piece.len ? next_bytes(c, to, max) : MHD_CONTENT_READER_END_OF_STREAM;
}

static struct MHD_Response *make_response(struct connection *c)
{
	struct call *call = &c->call;
	switch (call->kind) {
	case ANSWER_SECRET: {
		struct bytes token = secret_reveal(call->secret); /* leaves by sendmsg, from locked memory */
		struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback_cls(
			token.len, (void *)(uintptr_t)token.at, free_secret, call->secret);
		if (r)
			call->secret = NULL;
		return r;
	}
	case ANSWER_BUF: {
		struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback_cls(
			call->buf.len, call->buf.at, free_bytes, call->buf.at);
		if (r)
			call->buf = (struct buf)BUF_INIT(call->buf.max);
		return r;
	}
	case ANSWER_STREAM:
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, c, NULL);
	case ANSWER_EMPTY:
		break;
	}
	return MHD_create_response_from_buffer_with_free_callback_cls(0, NULL, free_bytes, NULL);
}

static bool add_headers(struct MHD_Response *r, const struct call *call)
{
	bool is_fine = MHD_add_response_header(r, "Cache-Control", "no-store") == MHD_YES;
	if (call->type)
		is_fine = is_fine && MHD_add_response_header(r, "Content-Type", call->type) == MHD_YES;
	for (size_t i = 0; i < call->header_count; i++)
		is_fine = is_fine &&
			  MHD_add_response_header(r, call->headers[i].name, call->headers[i].value) == MHD_YES;
	return is_fine;
}

static enum MHD_Result send_answer(struct connection *c)
{
	const struct call *call = &c->call;
	enter(c, PHASE_SENDING);
	struct MHD_Response *r = make_response(c);
	if (!r)
		return MHD_NO;
	enum MHD_Result result =
		add_headers(r, call) ? MHD_queue_response(c->mhd, (unsigned)call->status, r) : MHD_NO;
	MHD_destroy_response(r);
	return result;
}

/* call->deliver: at once when the handler runs, else by waking the connection. */
static void deliver(struct call *call)
{
	struct connection *c = call->owner;
	if (c->is_fast) {
		c->next_answered = c->l->answered;
		c->l->answered = c;
		c->is_answered = true;
	} else if (!c->is_in_handler) {
		resume(c);
	}
}

static void wake(struct call *call)
{
	struct connection *c = call->owner;
	if (c->phase == PHASE_WAITING)
		resume(c);
}

/* ---- requests ---- */

static const char *find_header(const struct call *call, const char *name)
{
	const struct connection *c = call->owner;
	if (c->is_fast)
		return fast_head_find(&c->head, name);
	return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info->socket_context;
}

/* The request line is there: the target as it was sent, before anybody decoded it. */
static void *on_target(void *context, const char *target, struct MHD_Connection *mhd)
{
	struct connection *c = connection_of(mhd);
	struct error err;
	(void)context;
	if (c->phase == PHASE_IDLE) {
		c->began_ms = c->l->now_ms;
		enter(c, PHASE_HEAD);
	}
	c->is_in_handler = true;
	if (!call_parse_target(&c->call, target, &err))
		call_answer_problem(&c->call, 0, &err);
	c->is_in_handler = false;
	return c;
}

static size_t keep_as_it_is(void *context, struct MHD_Connection *mhd, char *text)
{
	(void)context, (void)mhd;
	return strlen(text);
}

/* The length of the body that is announced; 0 = none, ULLONG_MAX = chunked, or no number. */
static unsigned long long announced_body(const struct connection *c)
{
	const char *length = find_header(&c->call, "Content-Length");
	if (find_header(&c->call, "Transfer-Encoding"))
		return ULLONG_MAX;
	if (!length)
		return 0;
	size_t digits = strspn(length, "0123456789");
	return digits && digits < 19 && !length[digits] ? strtoull(length, NULL, 10) : ULLONG_MAX;
}

static enum MHD_Result begin(struct connection *c, const char *method)
{
	c->has_begun = true;
	c->call.method = call_method_of(method);
	enter(c, PHASE_BODY);
	if (!c->call.is_answered)
		c->l->setup.begin(c->l->setup.context, &c->call, &c->body_max);
	/* What comes with a GET is nothing to us, and the library drops it. */
	if (c->call.method == METHOD_GET || c->call.method == METHOD_HEAD)
		return MHD_YES;
	unsigned long long announced = announced_body(c);
	if (!c->call.is_answered && announced != ULLONG_MAX && announced > c->body_max) {
		(void)!fail(&c->body_err, ERR_USAGE, TXT_API_BODY_LONG, c->body_max);
		call_answer_problem(&c->call, 413, &c->body_err);
	}
	/* An answer before the body ends the connection. So a body that is not wanted is read and dropped, for its sender to
	 * see why; but not one that is too long for that, or that waits for our word. */
	bool is_short = announced == ULLONG_MAX || announced <= DROP_MAX;
	if (!c->call.is_answered || !announced || (is_short && !find_header(&c->call, "Expect")))
		return MHD_YES;
	return send_answer(c);
}

static bool grow_body(struct connection *c, size_t needed, struct error *err)
{
	size_t room = needed < 1024 ? 1024 : needed * 2;
	scoped(secret_freep) struct secret *grown = NULL;
	if (c->l->uploads + room > UPLOADS_MAX || c->user->uploads + room > UPLOADS_PER_USER_MAX)
		return fail(err, ERR_CONFLICT, TXT_API_UPLOADS);
	if (!secret_new(room, &grown, err))
		return false;
	if (c->call.body)
		memcpy(secret_room(grown), secret_room(c->call.body), c->body_len);
	secret_freep(&c->call.body);
	c->call.body = take(grown);
	count_upload(c);
	return true;
}

static bool take_body(struct connection *c, const char *at, size_t len, struct error *err)
{
	if (len > c->body_max - c->body_len) {
		c->body_status = 413;
		return fail(err, ERR_USAGE, TXT_API_BODY_LONG, c->body_max);
	}
	size_t needed = c->body_len + len;
	if ((!c->call.body || secret_len(c->call.body) < needed) && !grow_body(c, needed, err)) {
		c->body_status = err->code == ERR_CONFLICT ? 503 : 0;
		return false;
	}
	memcpy(secret_room(c->call.body) + c->body_len, at, len);
	c->body_len = needed;
	return true;
}

/* The library's own copy is wiped: it may be a token, and its memory is not zeroed when the connection ends. */
static enum MHD_Result receive(struct connection *c, const char *at, size_t *len)
{
	bool is_wanted = !c->call.is_answered && !c->body_err.code;
	if (is_wanted && !take_body(c, at, *len, &c->body_err)) {
		secret_freep(&c->call.body);
		count_upload(c);
		is_wanted = false;
	}
	if (!is_wanted)
		c->dropped += *len;
	wipe((void *)(uintptr_t)at, *len);
	*len = 0;
	return c->dropped > DROP_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result serve(struct connection *c)
{
	struct call *call = &c->call;
	if (call->body)
		secret_cut(call->body, c->body_len);
	if (!call->is_answered && c->body_err.code)
		call_answer_problem(call, c->body_status, &c->body_err);
	if (!call->is_answered) {
		c->l->setup.serve(c->l->setup.context, call);
		c->l->setup.settle(c->l->setup.context);
		count_upload(c);
	}
	if (call->is_answered)
		return send_answer(c);
	suspend(c, PHASE_HELD);
	return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_len, void **request)
{
	struct connection *c = *request;
	enum MHD_Result result;
	(void)context, (void)mhd, (void)url, (void)version;
	if (c->is_lost)
		return MHD_NO;
	c->is_in_handler = true;
	if (!c->has_begun)
		result = begin(c, method);
	else if (*upload_len)
		result = receive(c, upload, upload_len);
	else
		result = serve(c);
	c->is_in_handler = false;
	return result;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode how)
{
	struct connection *c = *request;
	(void)context, (void)mhd, (void)how;
	if (!c)
		return;
	tell_gone(c);
	call_reset(&c->call);
	count_upload(c);
	buf_clear(&c->piece);
	c->piece_at = c->body_len = c->body_max = c->dropped = 0;
	c->has_begun = c->has_ended = false;
	c->body_err.code = ERR_NONE;
	c->body_status = 0;
	if (c->phase != PHASE_CLOSING)
		enter(c, PHASE_IDLE);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct listener *l = context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		l->arriving->mhd = mhd;
		*socket_context = l->arriving;
		return;
	}
	struct connection *c = *socket_context;
	if (c == l->arriving)
		l->arriving = NULL;
	unlink_connection(c);
	connection_free(c);
}

/* ---- newcomers ---- */

static bool ask_groups(int fd, struct connection *c)
{
	gid_t few[GROUPS_FEW];
	socklen_t len = sizeof few;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &len) == 0) {
		c->groups = malloc(len ? len : 1);
		if (c->groups && len)
			memcpy(c->groups, few, len);
	} else if (errno == ERANGE) {
		c->groups = malloc(len);
		if (c->groups && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c->groups, &len) != 0)
			return false;
	}
	c->group_count = len / sizeof(gid_t);
	return c->groups != NULL;
}

static bool make_view(const struct access *access, struct connection *c)
{
	struct error err;
	struct access_caller caller = {
		.uid = c->peer.uid, .gid = c->peer.gid, .groups = c->groups, .group_count = c->group_count
	};
	struct access_view *view;
	if (!access_view_new(access, &caller, &view, &err))
		return false;
	access_view_free(c->view);
	c->peer.view = c->view = view;
	return true;
}

/* The kernel's word on who called connect, asked once. */
static bool ask_peer(struct listener *l, int fd, struct connection *c)
{
	struct ucred who;
	socklen_t len = sizeof who;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 || len != sizeof who)
		return false;
	c->peer = (struct peer){ .uid = who.uid, .gid = who.gid, .pid = who.pid };
	return ask_groups(fd, c) && make_view(l->setup.access, c);
}

/* Who has been idle longest: of those between two requests, else of all. */
static struct connection *idlest_of(const struct user *u)
{
	struct connection *idlest = u->first;
	for (struct connection *c = u->first; c; c = c->user_next) {
		if (c->phase == PHASE_IDLE)
			return c;
		if (c->since_ms < idlest->since_ms)
			idlest = c;
	}
	return idlest;
}

/* When all places are taken, it is the user with the most of them who gives one up. */
static const struct user *who_makes_room(const struct listener *l, const struct user *newcomer)
{
	const struct user *most = newcomer;
	if (newcomer->count >= (newcomer->uid == WEB_UID ? WEB_MAX : l->most_per_user))
		return newcomer;
	if (l->open < l->most)
		return NULL;
	for (const struct user *u = l->users; u; u = u->next)
		if (u->count > most->count)
			most = u;
	return most;
}

static void make_room(struct listener *l, const struct user *newcomer)
{
	const struct user *user = who_makes_room(l, newcomer);
	if (user && user->first)
		lose(idlest_of(user));
}

static void link_connection(struct connection *c)
{
	struct listener *l = c->l;
	c->next = l->first;
	if (c->next)
		c->next->prev = c;
	l->first = c;
	l->count++;
	c->user->refs++;
	c->user->count++;
	l->open++;
	append_to_user(c);
}

/* What lies in the kernel's buffer, and all that follows, is the library's to read. */
static void give_to_library(struct connection *c)
{
	struct listener *l = c->l;
	struct sockaddr_un nobody = { .sun_family = AF_UNIX };
	if (c->is_watched)
		(void)epoll_ctl(l->setup.epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	c->is_fast = false;
	c->began_ms = l->now_ms;
	enter(c, PHASE_HEAD);
	watch(c, 0);
	l->is_mhd_ready = true;
	l->arriving = c;
	/* Closes the descriptor when it fails, and has then perhaps told us of the connection's end. */
	if (MHD_add_connection(l->daemon, c->fd, (struct sockaddr *)&nobody, sizeof nobody.sun_family) != MHD_YES &&
	    l->arriving) {
		unlink_connection(c);
		connection_free(c);
	}
	l->arriving = NULL;
}

/* ---- the fast path ---- */

/* Each arrival is told once: what lies unread is no news. */
static bool expect(struct connection *c)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = (uintptr_t)c };
	if (!c->is_watched)
		c->is_watched = epoll_ctl(c->l->setup.epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0;
	return c->is_watched;
}

static void make_ready(struct connection *c)
{
	if (c->is_ready)
		return;
	c->is_ready = true;
	c->next_ready = NULL;
	*c->l->last_ready = c;
	c->l->last_ready = &c->next_ready;
}

/* Takes out of the kernel's buffer what was served. Whoever closes without that looks to the peer as if it had broken
 * off. A descriptor that came along ends a piece, and is closed by the kernel. */
static bool drop_unread(struct connection *c)
{
	while (c->unread) {
		ssize_t len = recv(c->fd, secret_room(c->l->room), c->unread, MSG_DONTWAIT);
		if (len <= 0)
			return false;
		c->unread -= (size_t)len;
	}
	return true;
}

/* Reading a request costs a quarter of serving it; looking at it, half of that. So from the second on, requests are only
 * looked at, one behind the other, and taken away many at a time. */
static bool leave_lying(struct connection *c, size_t len)
{
	const int from_here = 0;
	bool is_first = !c->is_watched;
	c->unread += len;
	if (!c->is_peeking && !is_first)
		c->is_peeking = drop_unread(c) && setsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &from_here,
							      sizeof from_here) == 0;
	return (c->is_peeking && c->unread < UNREAD_MAX) || drop_unread(c);
}

enum arrival { ARRIVAL_NONE, ARRIVAL_REQUEST, ARRIVAL_OTHER, ARRIVAL_END };

/* Looks whether what came is a request for here; what is not stays there for the library. It is looked at in locked
 * memory: it may be a put with its token. */
static enum arrival look_at(struct connection *c)
{
	uint8_t *room = secret_room(c->l->room);
	ssize_t len = recv(c->fd, room, FAST_HEAD_MAX, MSG_PEEK | MSG_DONTWAIT);
	if (len < 0 && error_is_passing(errno))
		return expect(c) ? ARRIVAL_NONE : ARRIVAL_END;
	if (len <= 0)
		return ARRIVAL_END;
	bool is_one = !c->peer.is_web && fast_head_parse(&c->head, bytes_of(room, (size_t)len));
	wipe(room, (size_t)len);
	c->has_more = len == FAST_HEAD_MAX || c->is_half_closed; /* told once, and not again */
	if (is_one)
		return leave_lying(c, (size_t)len) && (c->head.is_last || expect(c)) ? ARRIVAL_REQUEST : ARRIVAL_END;
	return drop_unread(c) ? ARRIVAL_OTHER : ARRIVAL_END;
}

static void serve_fast(struct connection *c)
{
	struct call *call = &c->call;
	struct error err;
	size_t no_body;
	c->began_ms = c->l->now_ms;
	enter(c, PHASE_HELD);
	call->method = METHOD_GET;
	if (!call_parse_target(call, c->head.target, &err))
		call_answer_problem(call, 0, &err);
	if (!call->is_answered)
		c->l->setup.begin(c->l->setup.context, call, &no_body);
	if (!call->is_answered)
		c->l->setup.serve(c->l->setup.context, call);
}

/* The api has the call: has the peer gone, or only sent more? */
static void look_behind(struct connection *c)
{
	struct pollfd peer = { .fd = c->fd };
	c->has_more = true;
	if (poll(&peer, 1, 0) != 0)
		lose(c);
}

/* Some of what came at once is served before any of it is answered: one write of the audit log is enough for it. Not all
 * of it: those who are answered go on meanwhile, on another processor. */
static void serve_some(struct listener *l, struct connection **ready)
{
	struct connection *c, *served[BATCH];
	size_t count = 0;
	while (count < BATCH && (c = *ready)) {
		*ready = c->next_ready;
		c->is_ready = false;
		if (c->phase == PHASE_CLOSING)
			continue;
		if (c->phase == PHASE_HELD) {
			look_behind(c);
			continue;
		}
		switch (look_at(c)) {
		case ARRIVAL_NONE:
			break;
		case ARRIVAL_REQUEST:
			serve_fast(served[count++] = c);
			break;
		case ARRIVAL_OTHER:
			give_to_library(c);
			break;
		case ARRIVAL_END:
			lose(c);
			break;
		}
	}
	l->setup.settle(l->setup.context);
	for (size_t i = 0; i < count; i++)
		if (!served[i]->is_answered && !expect(served[i]))
			lose(served[i]);
}

/* A reply is shorter than what the kernel keeps for a reader. Whoever has let so many of them lie that this one does not
 * fit gets no more. */
static void send_fast(struct connection *c)
{
	struct call *call = &c->call;
	uint8_t *room = secret_room(c->l->room);
	size_t len = fast_answer(call, c->head.is_last, MHD_get_reason_phrase_for((unsigned)call->status), room, FAST_ROOM);
	bool is_sent = len && send(c->fd, room, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
	wipe(room, len);
	call_reset(call);
	enter(c, PHASE_IDLE);
	if (!is_sent || c->head.is_last)
		end_fast(c);
	else if (c->has_more)
		make_ready(c);
	c->has_more = false;
}

static void send_answered(struct listener *l)
{
	struct connection *c;
	while ((c = l->answered)) {
		l->answered = c->next_answered;
		c->is_answered = false;
		if (c->phase != PHASE_CLOSING)
			send_fast(c);
	}
}

static void bury_ended(struct listener *l)
{
	struct connection *c;
	while ((c = l->ended)) {
		l->ended = c->next_ended;
		(void)drop_unread(c);
		close(c->fd); /* takes it out of the epoll set as well */
		unlink_connection(c);
		connection_free(c);
	}
}

/* Whoever has sent more meanwhile waits for the next turn, behind all others: nobody keeps the loop busy alone. */
static void turn_fast(struct listener *l)
{
	struct connection *ready = take(l->ready);
	l->last_ready = &l->ready;
	while (ready || l->answered) {
		serve_some(l, &ready);
		send_answered(l);
	}
}

static void take_in(struct listener *l, int fd, const struct socket *s)
{
	struct connection *c = calloc(1, sizeof *c);
	if (c && s->is_web)
		c->peer = (struct peer){ .uid = WEB_UID, .gid = (gid_t)-1, .is_web = true };
	bool is_known = c && (s->is_web || ask_peer(l, fd, c));
	if (!is_known || (!s->is_raw && !(c->user = find_user(l, c->peer.uid)))) {
		if (c)
			connection_free(c);
		close(fd);
		return;
	}
	if (s->is_raw) {
		l->setup.raw(l->setup.context, fd, &c->peer);
		connection_free(c);
		return;
	}
	c->l = l;
	c->fd = fd;
	c->is_fast = true;
	c->piece = (struct buf)BUF_INIT(PIECE_MAX);
	c->call.peer = &c->peer;
	c->call.unnamed = c->unnamed;
	c->call.owner = c;
	c->call.header = find_header;
	c->call.deliver = deliver;
	c->call.wake = wake;
	c->since_ms = l->now_ms;
	make_room(l, c->user);
	link_connection(c);
	make_ready(c); /* most have already asked when they are taken in */
}

static void poll_socket(struct listener *l, struct socket *s, bool is_polled)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = l->setup.tag + 2 + (uint64_t)(s - l->sockets) };
	if (s->is_polled == is_polled)
		return;
	s->is_polled = epoll_ctl(l->setup.epoll_fd, is_polled ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->fd, &event) == 0
			       ? is_polled
			       : s->is_polled;
}

/* Mostly a newcomer comes alone, and the kernel makes a socket and a file before it finds that nobody else waits. */
static bool has_newcomer(int fd)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	return poll(&waiting, 1, 0) > 0;
}

static void accept_from(struct listener *l, struct socket *s)
{
	s->is_ready = false;
	for (unsigned i = 0; i < ACCEPTS_A_TURN && (i == 0 || has_newcomer(s->fd)); i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_in(l, fd, s);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* No descriptors: the loop must not spin on a newcomer it cannot take in. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			l->paused_until_ms = l->now_ms + PAUSE_MS;
			for (size_t k = 0; k < l->socket_count; k++)
				poll_socket(l, &l->sockets[k], false);
		}
		return;
	}
}

/* ---- time ---- */

/* What lies unread counts against the peer, whose buffer may be too small for its next request; and what came behind a
 * passed descriptor was not seen. */
static void look_again(struct connection *c)
{
	if (drop_unread(c))
		make_ready(c);
	else
		lose(c);
}

static bool is_overdue(const struct connection *c, int64_t now)
{
	switch (c->phase) {
	case PHASE_IDLE:
		return now - c->since_ms >= IDLE_MS;
	case PHASE_HEAD:
		return now - c->began_ms >= HEAD_MS;
	case PHASE_BODY:
		return now - c->began_ms >= REQUEST_MS;
	case PHASE_SENDING:
		return now - c->since_ms >= WRITE_MS;
	default:
		return false;
	}
}

/* A connection that is used all the time never comes here between two requests; so the first byte behind a pause costs a
 * system call, and the others none. */
static void tick(struct listener *l)
{
	struct connection *next;
	l->ticked_ms = l->now_ms;
	for (struct connection *c = l->first; c; c = next) {
		next = c->next;
		if (c->phase == PHASE_CLOSING && !c->is_fast)
			l->is_mhd_ready = true;
		if (is_overdue(c, l->now_ms) || (l->is_stopping && c->phase == PHASE_IDLE))
			lose(c);
		else if (c->is_fast && c->unread && c->phase == PHASE_IDLE)
			look_again(c);
		else if (c->phase == PHASE_IDLE && !c->is_fast && !c->is_armed && l->now_ms - c->since_ms >= TICK_MS)
			watch(c, EPOLLIN);
	}
	if (l->paused_until_ms && l->now_ms >= l->paused_until_ms) {
		l->paused_until_ms = 0;
		for (size_t i = 0; i < l->socket_count && !l->is_stopping; i++)
			poll_socket(l, &l->sockets[i], true);
	}
}

static void look_at_watch(struct listener *l)
{
	struct epoll_event events[64];
	l->is_watch_ready = false;
	int count = epoll_wait(l->watch, events, COUNT_OF(events), 0);
	for (int i = 0; i < count; i++) {
		struct connection *c = events[i].data.ptr;
		c->is_armed = false;
		if (c->is_suspended && events[i].events & (EPOLLHUP | EPOLLERR)) {
			lose(c);
		} else if (c->phase == PHASE_IDLE) {
			c->began_ms = l->now_ms;
			enter(c, PHASE_HEAD);
		}
	}
}

/* ---- the loop's side ---- */

static void note_arrival(struct connection *c, uint32_t events)
{
	c->is_half_closed = c->is_half_closed || events & EPOLLRDHUP;
	make_ready(c);
}

void listener_event(struct listener *l, uint64_t tag, uint32_t events)
{
	uint64_t which = tag - l->setup.tag;
	if (which >= TAGS)
		note_arrival((struct connection *)(uintptr_t)tag, events);
	else if (which == 0)
		l->is_mhd_ready = true;
	else if (which == 1)
		l->is_watch_ready = true;
	else if (which - 2 < l->socket_count)
		l->sockets[which - 2].is_ready = true;
}

bool listener_has_more(const struct listener *l)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	return l->ready || l->answered || l->ended || l->has_resumed || (MHD_get_timeout(l->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
}

void listener_turn(struct listener *l, int64_t now_ms)
{
	l->now_ms = now_ms;
	turn_fast(l);
	for (size_t i = 0; i < l->socket_count; i++)
		if (l->sockets[i].is_ready)
			accept_from(l, &l->sockets[i]);
	turn_fast(l);
	bury_ended(l);
	if (l->is_watch_ready)
		look_at_watch(l);
	if (l->is_mhd_ready || listener_has_more(l)) {
		l->is_mhd_ready = l->has_resumed = false;
		(void)MHD_run(l->daemon);
	}
	if (now_ms - l->ticked_ms >= TICK_MS)
		tick(l);
}

static bool poll_own(struct listener *l, int fd, uint64_t which, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = l->setup.tag + which };
	if (epoll_ctl(l->setup.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_LISTEN_FAILED, strerror(errno));
}

static bool start_library(struct listener *l, struct error *err)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
			 MHD_USE_SUPPRESS_DATE_NO_CLOCK;
	/* No error log is set, and the flag for one is not either: the library never prints. */
	l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, l, MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_SIZE,
				     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX * 2, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, l, MHD_OPTION_NOTIFY_CONNECTION,
				     on_connection, l, MHD_OPTION_URI_LOG_CALLBACK, on_target, l,
				     MHD_OPTION_UNESCAPE_CALLBACK, keep_as_it_is, l, MHD_OPTION_END);
	const union MHD_DaemonInfo *info = l->daemon ? MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return fail(err, ERR_UNEXPECTED, TXT_LISTEN_FAILED, "libmicrohttpd did not start");
	l->mhd_fd = info->epoll_fd;
	return true;
}

static unsigned lower_of(unsigned wanted, unsigned limit)
{
	return wanted && wanted < limit ? wanted : limit;
}

bool listener_new(const struct listener_setup *setup, struct listener **ret, struct error *err)
{
	struct listener *l = calloc(1, sizeof *l);
	if (!l)
		return fail_no_memory(err);
	l->setup = *setup;
	l->last_ready = &l->ready;
	l->most = lower_of(setup->limits.connections, CONNECTIONS_MAX);
	l->most_per_user = lower_of(setup->limits.per_user, PER_USER_MAX);
	l->now_ms = l->ticked_ms = clock_boot_ms();
	l->watch = epoll_create1(EPOLL_CLOEXEC);
	if (l->watch < 0 || !secret_new(FAST_ROOM, &l->room, err) || !start_library(l, err) || !poll_own(l, l->mhd_fd, 0, err) ||
	    !poll_own(l, l->watch, 1, err)) {
		if (l->watch < 0)
			(void)!fail(err, ERR_UNEXPECTED, TXT_LISTEN_FAILED, strerror(errno));
		listener_free(l);
		return false;
	}
	*ret = l;
	return true;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	/* The library must not end with suspended connections. */
	for (struct connection *c = l->first; c; c = c->next)
		lose(c);
	bury_ended(l);
	secret_freep(&l->room);
	if (l->daemon) {
		(void)MHD_run(l->daemon);
		MHD_stop_daemon(l->daemon);
	}
	for (size_t i = 0; i < l->socket_count; i++)
		close(l->sockets[i].fd);
	if (l->watch >= 0)
		close(l->watch);
	free(l);
}

static bool add(struct listener *l, const struct socket *socket, struct error *err)
{
	if (l->socket_count == SOCKETS_MAX)
		return fail(err, ERR_UNEXPECTED, TXT_LISTEN_FAILED, "too many sockets");
	struct socket *s = &l->sockets[l->socket_count++];
	*s = *socket;
	poll_socket(l, s, true);
	return s->is_polled ? true : fail(err, ERR_UNEXPECTED, TXT_LISTEN_FAILED, strerror(errno));
}

bool listener_add(struct listener *l, int fd, struct error *err)
{
	return add(l, &(struct socket){ .fd = fd }, err);
}

bool listener_add_raw(struct listener *l, int fd, struct error *err)
{
	return add(l, &(struct socket){ .fd = fd, .is_raw = true }, err);
}

bool listener_add_web(struct listener *l, int fd, struct error *err)
{
	return add(l, &(struct socket){ .fd = fd, .is_web = true }, err);
}

void listener_reload(struct listener *l, const struct access *access)
{
	l->setup.access = access;
	for (struct connection *c = l->first; c; c = c->next)
		if (!c->peer.is_web && !make_view(access, c)) {
			/* Nothing of the old rules may be used any more. */
			access_view_free(c->view);
			c->peer.view = c->view = NULL;
			lose(c);
		}
}

void listener_stop(struct listener *l)
{
	l->is_stopping = true;
	for (size_t i = 0; i < l->socket_count; i++)
		poll_socket(l, &l->sockets[i], false);
	tick(l);
}

size_t listener_count(const struct listener *l)
{
	return l->count;
}
