/* tests/emulator/stream.h - one connection's bytes: TLS, or plain when there is no session.
 * Reads go through a buffer of our own, one system call per record. Every wait has an end and is cut short when the
 * other side leaves or the server stops (it shuts the descriptor down). */
#ifndef EMULATOR_STREAM_H
#define EMULATOR_STREAM_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct stream {
	int fd;
	gnutls_session_t tls; /* NULL = plain */
	bool is_reset;        /* no goodbye */
	bool is_impatient;    /* a read that would have to wait says STREAM_LATER */
	size_t in_at, in_len;
	unsigned char in[17 * 1024];
};

/* Give the stream a TLS session (taken over) and do the server's handshake. */
bool stream_handshake(struct stream *s, gnutls_session_t session);

void stream_patience(struct stream *s, int seconds); /* how long one read may wait */

enum { STREAM_LATER = -1 };
ssize_t stream_read(struct stream *s, void *at, size_t size); /* 0 = the other side is done, gone or too slow */
bool stream_write(struct stream *s, const void *at, size_t len);

/* Let ms pass; false as soon as the other side leaves. */
bool stream_wait(struct stream *s, long ms);

void stream_reset(struct stream *s); /* from now on closing sends RST */
void stream_goodbye(struct stream *s); /* the TLS close message, unless reset */
void stream_done(struct stream *s); /* frees the session; the descriptor stays the caller's */

#endif
