#include "agent/client.h"

#include "agent/text.h"
#include "core/clock.h"
#include "core/file.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define INBOX_BYTES 1024 /* a head of ours with a token behind it fits */
#define CONNECT_MS 5000
#define PROBLEM_BYTES_MAX 65536

struct client {
	int fd;
	int64_t wait_ms; /* of the request; 0 = for ever */
	bool has_waited;
	int64_t deadline_ms; /* 0 = none yet */
	struct secret *inbox;
	size_t from, len; /* what lies unread in it */
	struct reply reply;
	struct chunks chunks;
	uint64_t left; /* of a body with a length */
};

/* ---- the connection ---- */

static bool uid_of(const char *user, uid_t *ret)
{
	uint64_t number;
	if (text_take_number(user, UINT32_MAX - 1, &number)) {
		*ret = (uid_t)number;
		return true;
	}
	const struct passwd *account = *user ? getpwnam(user) : NULL;
	if (account)
		*ret = account->pw_uid;
	return account != NULL;
}

/* Names are looked up last: mostly there is no need. */
static bool is_trusted(uid_t uid, const char *user)
{
	uid_t agent;
	return uid == 0 || uid == geteuid() || (uid_of(user, &agent) && uid == agent);
}

static bool check_other_side(int fd, const char *path, const char *user, struct error *err)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	struct stat st;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || lstat(path, &st) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_FAILED, path, strerror(errno));
	if (!is_trusted(st.st_uid, user))
		return fail(err, ERR_DENIED, TXT_CLIENT_STRANGER, path, (unsigned)st.st_uid);
	if (!is_trusted(peer.uid, user))
		return fail(err, ERR_DENIED, TXT_CLIENT_STRANGER, path, (unsigned)peer.uid);
	return true;
}

/* A queue of callers that is full for a moment answers EAGAIN, and there is nothing to poll for. */
static int connect_patiently(int fd, const struct sockaddr_un *address)
{
	int64_t until = 0;
	while (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
		if (!error_is_passing(errno))
			return errno;
		if (!until)
			until = clock_boot_ms() + CONNECT_MS;
		if (clock_boot_ms() >= until)
			return EAGAIN;
		clock_sleep_ms(5);
	}
	return 0;
}

bool client_open(const char *path, const char *user, bool is_told, struct client **ret, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	*ret = NULL;
	if (len >= sizeof address.sun_path)
		return true;
	memcpy(address.sun_path, path, len + 1);
	scoped(file_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_FAILED, path, strerror(errno));
	int why = connect_patiently(fd, &address);
	if (why == ENOENT || why == ENOTDIR || why == ECONNREFUSED || (why == EACCES && !is_told))
		return true;
	if (why == EACCES)
		return fail(err, ERR_DENIED, TXT_CLIENT_CLOSED_TO_US, path);
	if (why)
		return fail(err, why == EAGAIN ? ERR_CONFLICT : ERR_UNEXPECTED, TXT_CLIENT_FAILED, path, strerror(why));
	if (!check_other_side(fd, path, user, err) || !client_adopt(fd, ret, err))
		return false;
	fd = -1;
	return true;
}

bool client_adopt(int fd, struct client **ret, struct error *err)
{
	struct client *c = calloc(1, sizeof *c);
	if (!c)
		return fail_no_memory(err);
	c->fd = fd;
	*ret = c;
	return true;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	file_closep(&c->fd);
	secret_free(c->inbox);
	free(c);
}

void client_freep(struct client **c)
{
	client_free(*c);
	*c = NULL;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

/* ---- bytes ---- */

/* Most answers come in one piece: the first wait needs no clock, and what follows it is given the same time again. */
static int time_left_ms(struct client *c)
{
	if (!c->wait_ms)
		return -1;
	bool is_first = !c->has_waited;
	c->has_waited = true;
	if (is_first)
		return (int)c->wait_ms;
	if (!c->deadline_ms)
		c->deadline_ms = clock_boot_ms() + c->wait_ms;
	int64_t left = c->deadline_ms - clock_boot_ms();
	return left > 0 ? (int)left : 0;
}

static bool wait_for(struct client *c, short events, struct error *err)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	for (;;) {
		int ready = poll(&p, 1, time_left_ms(c));
		if (ready > 0)
			return true;
		if (ready == 0)
			return fail(err, ERR_CONFLICT, TXT_CLIENT_SILENT);
		if (errno != EINTR)
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_BROKEN, strerror(errno));
	}
}

/* An agent that refuses a request half-way answers and hangs up: then there is something to read. */
static bool send_all(struct client *c, struct bytes head, struct bytes body, struct error *err)
{
	while (head.len || body.len) {
		struct iovec parts[2] = { { (void *)(uintptr_t)head.at, head.len },
					  { (void *)(uintptr_t)body.at, body.len } };
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = body.len ? 2 : 1 };
		ssize_t put = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put < 0 && (errno == EPIPE || errno == ECONNRESET))
			return true;
		if (put < 0 && errno == EAGAIN && !wait_for(c, POLLOUT, err))
			return false;
		if (put < 0 && !error_is_passing(errno))
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_BROKEN, strerror(errno));
		size_t done = put > 0 ? (size_t)put : 0, of_head = done < head.len ? done : head.len;
		head = bytes_of(head.at + of_head, head.len - of_head);
		body = bytes_of(body.at + (done - of_head), body.len - (done - of_head));
	}
	return true;
}

static bool receive(struct client *c, uint8_t *to, size_t len, size_t *ret, struct error *err)
{
	for (;;) {
		if (!wait_for(c, POLLIN, err))
			return false;
		ssize_t got = recv(c->fd, to, len, MSG_DONTWAIT);
		if (got > 0) {
			*ret = (size_t)got;
			return true;
		}
		if (got == 0 || errno == ECONNRESET)
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_GONE);
		if (!error_is_passing(errno))
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_BROKEN, strerror(errno));
	}
}

static struct bytes unread(const struct client *c)
{
	return bytes_of(secret_reveal(c->inbox).at + c->from, c->len);
}

/* What is unread moves to the front of an inbox of at least this size. */
static bool make_inbox(struct client *c, size_t size, struct error *err)
{
	scoped(secret_freep) struct secret *larger = NULL;
	if (c->inbox && secret_len(c->inbox) >= size) {
		memmove(secret_room(c->inbox), unread(c).at, c->len);
		c->from = 0;
		return true;
	}
	if (!secret_new(size, &larger, err))
		return false;
	if (c->len)
		memcpy(secret_room(larger), unread(c).at, c->len);
	secret_free(c->inbox);
	c->inbox = take(larger);
	c->from = 0;
	return true;
}

static bool fill_inbox(struct client *c, struct error *err)
{
	size_t end = c->from + c->len, got;
	if (!receive(c, secret_room(c->inbox) + end, secret_len(c->inbox) - end, &got, err))
		return false;
	c->len += got;
	return true;
}

/* ---- requests and heads ---- */

static bool send_request(struct client *c, const struct client_request *r, struct error *err)
{
	struct buf head = BUF_INIT(1u << 20);
	buf_append_text(&head, r->method);
	buf_append_text(&head, " ");
	buf_append_text(&head, r->target);
	buf_append_text(&head, " HTTP/1.1\r\nHost: localhost\r\n");
	buf_append_text(&head, r->headers ? r->headers : "");
	buf_append_text(&head, r->is_last ? "Connection: close\r\n" : "");
	if (r->has_body)
		buf_printf(&head, "Content-Length: %zu\r\n", r->body.len);
	buf_append_text(&head, "\r\n");
	bool is_sent = buf_ok(&head, err) && send_all(c, buf_bytes(&head), r->body, err);
	buf_done(&head);
	return is_sent;
}

static bool read_head(struct client *c, struct error *err)
{
	size_t len;
	for (;;) {
		enum reply_state state = c->len ? reply_head(unread(c), &c->reply, &len) : REPLY_CUT;
		if (state == REPLY_NONSENSE)
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
		if (state == REPLY_WHOLE)
			break;
		size_t end = c->from + c->len;
		if (end == secret_len(c->inbox) && !make_inbox(c, c->len < REPLY_HEAD_MAX / 4 ? c->len * 4 : REPLY_HEAD_MAX, err))
			return false;
		if (!fill_inbox(c, err))
			return false;
	}
	c->from += len;
	c->len -= len;
	c->left = c->reply.framing == REPLY_LENGTH ? c->reply.length : 0;
	c->chunks = (struct chunks){ .left = 0 };
	return true;
}

bool client_ask(struct client *c, const struct client_request *request, struct reply *ret, struct error *err)
{
	c->wait_ms = request->wait_ms < INT32_MAX ? request->wait_ms : INT32_MAX;
	c->has_waited = false;
	c->deadline_ms = 0;
	if (!make_inbox(c, INBOX_BYTES, err) || !send_request(c, request, err) || !read_head(c, err))
		return false;
	*ret = c->reply;
	return true;
}

/* ---- bodies ---- */

bool client_secret(struct client *c, size_t max, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *body = NULL;
	if (c->reply.framing != REPLY_LENGTH || c->left > max)
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
	size_t len = (size_t)c->left, have = c->len < len ? c->len : len, got;
	if (!secret_new(len, &body, err))
		return false;
	if (have)
		memcpy(secret_room(body), unread(c).at, have);
	c->from += have;
	c->len -= have;
	for (; have < len; have += got)
		if (!receive(c, secret_room(body) + have, len - have, &got, err))
			return false;
	c->left = 0;
	*ret = take(body);
	return true;
}

static bool body_is_done(const struct client *c)
{
	return c->reply.framing == REPLY_CHUNKED ? c->chunks.state == CHUNK_DONE : c->left == 0;
}

static bool take_from_inbox(struct client *c, struct buf *ret)
{
	struct bytes from = unread(c), part;
	size_t before = from.len;
	if (c->reply.framing == REPLY_CHUNKED) {
		if (!chunks_take(&c->chunks, &from, ret))
			return false;
	} else {
		if (!bytes_take(&from, c->left < from.len ? (size_t)c->left : from.len, &part))
			return false;
		buf_append(ret, part.at, part.len);
		c->left -= part.len;
	}
	c->from += before - from.len;
	c->len = from.len;
	return true;
}

bool client_some(struct client *c, struct buf *ret, bool *ret_end, struct error *err)
{
	size_t before = ret->len;
	for (;;) {
		if (!take_from_inbox(c, ret))
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
		*ret_end = body_is_done(c);
		if (*ret_end || ret->len > before)
			return buf_ok(ret, err);
		/* Nothing is left unread here, so the whole inbox is room. */
		if (!make_inbox(c, REPLY_HEAD_MAX, err) || !fill_inbox(c, err))
			return false;
	}
}

bool client_body(struct client *c, struct buf *ret, struct error *err)
{
	bool is_end = c->reply.framing == REPLY_NO_BODY;
	while (!is_end)
		if (!client_some(c, ret, &is_end, err))
			return false;
	return true;
}

bool client_demand(struct client *c, const struct client_request *request, struct reply *ret, struct error *err)
{
	struct buf body = BUF_INIT(PROBLEM_BYTES_MAX);
	if (!client_ask(c, request, ret, err))
		return false;
	if (ret->status < 300)
		return true;
	int status = ret->status;
	if (client_body(c, &body, err))
		(void)!reply_fail(status, buf_bytes(&body), err);
	buf_done(&body);
	return false;
}

/* ---- targets ---- */

static void append_encoded(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	for (; *text; text++) {
		if (strchr(plain, *text))
			buf_append(out, text, 1);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

void target_query(struct buf *target, const char *key, const char *value)
{
	bool is_first = !target->len || !memchr(target->at, '?', target->len);
	buf_append_text(target, is_first ? "?" : "&");
	append_encoded(target, key);
	buf_append_text(target, "=");
	append_encoded(target, value);
}

const char *target_text(struct buf *target)
{
	buf_append(target, "", 1);
	return target->is_bad ? NULL : (const char *)target->at;
}
