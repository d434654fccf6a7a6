#include "tests/emulator/tls.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/knob.h"

struct tls {
	struct text ca_pem;
	gnutls_priority_t modern, one_one;
	gnutls_certificate_credentials_t credentials[CERT_COUNT];
};

struct signer {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t cert;
};

/* A certificate for tests may be looked at under a shifted clock: good ones hold from 2001 to 2049. */
enum { LONG_AGO = 1000000000 };
static const time_t far_ahead = 2500000000;

static bool good(int result, const char *what)
{
	if (result < 0)
		fprintf(stderr, "tiktok-emulator: %s: %s\n", what, gnutls_strerror(result));
	return result >= 0;
}

static void signer_done(struct signer *s)
{
	if (s->cert)
		gnutls_x509_crt_deinit(s->cert);
	if (s->key)
		gnutls_x509_privkey_deinit(s->key);
}

static bool make_key(gnutls_x509_privkey_t *ret)
{
	return good(gnutls_x509_privkey_init(ret), "private key") &&
	       good(gnutls_x509_privkey_generate(*ret, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), "private key");
}

/* What every certificate has. */
static bool make_plain(gnutls_x509_crt_t *ret, gnutls_x509_privkey_t key, const char *dn, time_t from, time_t to)
{
	unsigned char serial[16], id[20];
	size_t id_len = sizeof id;

	if (!good(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial), "random"))
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40); /* positive, and no leading zero */
	return good(gnutls_x509_crt_init(ret), "certificate") && good(gnutls_x509_crt_set_version(*ret, 3), "version") &&
	       good(gnutls_x509_crt_set_serial(*ret, serial, sizeof serial), "serial") &&
	       good(gnutls_x509_crt_set_dn(*ret, dn, NULL), "name") &&
	       good(gnutls_x509_crt_set_activation_time(*ret, from), "time") &&
	       good(gnutls_x509_crt_set_expiration_time(*ret, to), "time") &&
	       good(gnutls_x509_crt_set_key(*ret, key), "key") &&
	       good(gnutls_x509_crt_get_key_id(*ret, 0, id, &id_len), "key id") &&
	       good(gnutls_x509_crt_set_subject_key_id(*ret, id, id_len), "key id");
}

static bool make_ca(struct signer *ca, const char *dn)
{
	return make_key(&ca->key) && make_plain(&ca->cert, ca->key, dn, LONG_AGO, far_ahead) &&
	       good(gnutls_x509_crt_set_basic_constraints(ca->cert, 1, -1), "constraints") &&
	       good(gnutls_x509_crt_set_key_usage(ca->cert, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN), "usage") &&
	       good(gnutls_x509_crt_sign2(ca->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0), "signature");
}

static bool add_names(gnutls_x509_crt_t cert, const char *name, bool with_address)
{
	static const unsigned char loopback[4] = { 127, 0, 0, 1 };

	return good(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_SET), "host name") &&
	       (!with_address ||
		good(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, loopback, sizeof loopback, GNUTLS_FSAN_APPEND), "address"));
}

static bool make_leaf(int kind, const struct signer *ca, gnutls_x509_privkey_t key, gnutls_x509_crt_t *ret)
{
	const time_t day = 86400, now = time(NULL);
	time_t from = kind == CERT_NOT_YET ? now + 30 * day : LONG_AGO, to = kind == CERT_EXPIRED ? now - day : far_ahead;
	bool is_other = kind == CERT_WRONG_HOST;

	if (!make_plain(ret, key, is_other ? "CN=another-host.example" : "CN=localhost", from, to) ||
	    !good(gnutls_x509_crt_set_basic_constraints(*ret, 0, -1), "constraints") ||
	    !good(gnutls_x509_crt_set_key_usage(*ret, GNUTLS_KEY_DIGITAL_SIGNATURE), "usage") ||
	    !good(gnutls_x509_crt_set_key_purpose_oid(*ret, GNUTLS_KP_TLS_WWW_SERVER, 0), "purpose"))
		return false;
	if (kind != CERT_CN_ONLY && !add_names(*ret, is_other ? "another-host.example" : "localhost", !is_other))
		return false;
	return good(gnutls_x509_crt_sign2(*ret, kind == CERT_SELF_SIGNED ? *ret : ca->cert, kind == CERT_SELF_SIGNED ? key : ca->key,
					  GNUTLS_DIG_SHA256, 0), "signature");
}

static bool make_credentials(struct tls *t, int kind, const struct signer *ca, gnutls_x509_privkey_t key)
{
	gnutls_x509_crt_t leaf = NULL;
	bool done = make_leaf(kind, ca, key, &leaf) &&
		    good(gnutls_certificate_allocate_credentials(&t->credentials[kind]), "credentials") &&
		    good(gnutls_certificate_set_x509_key(t->credentials[kind], &leaf, 1, key), "credentials");

	if (leaf)
		gnutls_x509_crt_deinit(leaf);
	return done;
}

static bool make_all(struct tls *t, struct signer *ca, struct signer *foreign, gnutls_x509_privkey_t *key)
{
	gnutls_datum_t pem = { 0 };

	if (!make_ca(ca, "CN=pixelvault emulator CA") || !make_ca(foreign, "CN=pixelvault foreign CA") || !make_key(key) ||
	    !good(gnutls_x509_crt_export2(ca->cert, GNUTLS_X509_FMT_PEM, &pem), "export"))
		return false;
	text_add(&t->ca_pem, pem.data, pem.size);
	gnutls_free(pem.data);
	for (int kind = 0; kind < CERT_COUNT; kind++)
		if (!make_credentials(t, kind, kind == CERT_FOREIGN_CA ? foreign : ca, *key))
			return false;
	return good(gnutls_priority_init(&t->modern, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL), "priorities") &&
	       good(gnutls_priority_init(&t->one_one, "NORMAL:-VERS-ALL:+VERS-TLS1.1:+SIGN-ECDSA-SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1", NULL), "priorities");
}

struct tls *tls_new(void)
{
	struct tls *t = must_alloc(sizeof *t);
	scoped(signer_done) struct signer ca = { 0 };
	scoped(signer_done) struct signer foreign = { 0 };
	gnutls_x509_privkey_t key = NULL;
	bool done = make_all(t, &ca, &foreign, &key);

	if (key)
		gnutls_x509_privkey_deinit(key);
	if (!done) {
		tls_free(t);
		return NULL;
	}
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	for (int i = 0; i < CERT_COUNT; i++)
		if (t->credentials[i])
			gnutls_certificate_free_credentials(t->credentials[i]);
	if (t->modern)
		gnutls_priority_deinit(t->modern);
	if (t->one_one)
		gnutls_priority_deinit(t->one_one);
	text_free(&t->ca_pem);
	free(t);
}

const char *tls_ca_pem(const struct tls *t)
{
	return t->ca_pem.at;
}

gnutls_session_t tls_session(const struct tls *t, int cert, int version)
{
	gnutls_session_t session = NULL;

	if (!good(gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_TICKETS), "session"))
		return NULL;
	if (good(gnutls_priority_set(session, version == TLS_ONE_ONE ? t->one_one : t->modern), "session") &&
	    good(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, t->credentials[cert]), "session"))
		return session;
	gnutls_deinit(session);
	return NULL;
}
