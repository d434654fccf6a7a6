#include "tests/emulator/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "tests/emulator/text.h"

static ssize_t fill(struct stream *s)
{
	ssize_t got;

	do
		got = recv(s->fd, s->in, sizeof s->in, s->is_impatient ? MSG_DONTWAIT : 0);
	while (got < 0 && errno == EINTR);
	s->in_at = 0;
	s->in_len = got > 0 ? (size_t)got : 0;
	return got;
}

static ssize_t pull(gnutls_transport_ptr_t at, void *to, size_t size)
{
	struct stream *s = at;
	ssize_t got;

	if (s->in_at == s->in_len && (got = fill(s)) <= 0)
		return got;
	if (size > s->in_len - s->in_at)
		size = s->in_len - s->in_at;
	memcpy(to, s->in + s->in_at, size);
	s->in_at += size;
	return (ssize_t)size;
}

static int pull_timeout(gnutls_transport_ptr_t at, unsigned int ms)
{
	struct stream *s = at;
	struct pollfd wait = { .fd = s->fd, .events = POLLIN };

	return s->in_at < s->in_len ? 1 : poll(&wait, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms);
}

static ssize_t push(gnutls_transport_ptr_t at, const giovec_t *parts, int count)
{
	struct stream *s = at;
	struct iovec out[16];
	struct msghdr message = { .msg_iov = out };

	for (; message.msg_iovlen < 16 && message.msg_iovlen < (size_t)count; message.msg_iovlen++)
		out[message.msg_iovlen] = (struct iovec){ parts[message.msg_iovlen].iov_base, parts[message.msg_iovlen].iov_len };
	return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

bool stream_handshake(struct stream *s, gnutls_session_t session)
{
	int result;

	s->tls = session;
	gnutls_transport_set_ptr(session, s);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_pull_timeout_function(session, pull_timeout);
	gnutls_transport_set_vec_push_function(session, push);
	do
		result = gnutls_handshake(session);
	while (result < 0 && result != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(result));
	if (result < 0 && result != GNUTLS_E_AGAIN)
		(void)gnutls_alert_send_appropriate(session, result);
	return result == GNUTLS_E_SUCCESS;
}

void stream_patience(struct stream *s, int seconds)
{
	struct timeval patience = { .tv_sec = seconds };

	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

ssize_t stream_read(struct stream *s, void *at, size_t size)
{
	ssize_t got;
	bool would_wait;

	if (s->tls) {
		do
			got = gnutls_record_recv(s->tls, at, size);
		while (got == GNUTLS_E_INTERRUPTED || got == GNUTLS_E_WARNING_ALERT_RECEIVED);
		would_wait = got == GNUTLS_E_AGAIN;
	} else {
		got = pull(s, at, size);
		would_wait = got < 0 && errno == EAGAIN;
	}
	if (would_wait && s->is_impatient)
		return STREAM_LATER;
	return got > 0 ? got : 0;
}

bool stream_write(struct stream *s, const void *at, size_t len)
{
	const char *from = at;
	ssize_t sent;

	while (len) {
		if (s->tls)
			sent = gnutls_record_send(s->tls, from, len);
		else
			sent = send(s->fd, from, len, MSG_NOSIGNAL);
		if (s->tls ? sent == GNUTLS_E_INTERRUPTED : sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		from += sent;
		len -= (size_t)sent;
	}
	return true;
}

bool stream_wait(struct stream *s, long ms)
{
	struct pollfd wait = { .fd = s->fd, .events = POLLRDHUP };
	int result;

	if (ms <= 0)
		return true;
	do
		result = poll(&wait, 1, (int)ms);
	while (result < 0 && errno == EINTR);
	return result == 0;
}

void stream_reset(struct stream *s)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	s->is_reset = true;
}

void stream_goodbye(struct stream *s)
{
	if (s->tls && !s->is_reset)
		(void)gnutls_bye(s->tls, GNUTLS_SHUT_WR);
}

void stream_done(struct stream *s)
{
	if (s->tls)
		gnutls_deinit(s->tls);
	s->tls = NULL;
}
