/* tests/emulator/tls.h - our own certificate authority, made afresh at each start: one good certificate for
 * localhost and 127.0.0.1, and one of each bad kind of the knob `cert`. ECDSA P-256. No session tickets: a resumed
 * session would let a client pass a certificate it should refuse. */
#ifndef EMULATOR_TLS_H
#define EMULATOR_TLS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "tests/emulator/text.h"

struct tls;

/* NULL, with the reason on stderr, when GnuTLS refuses something. */
struct tls *tls_new(void);
void tls_free(struct tls *t);

const char *tls_ca_pem(const struct tls *t); /* borrowed */

/* A server's session that shows certificate `cert` (CERT_...) and speaks `version` (TLS_...); NULL when it cannot be made. */
gnutls_session_t tls_session(const struct tls *t, int cert, int version);

#endif
