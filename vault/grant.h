/* vault/grant.h - what renews a token: client id, client secret and refresh token of TikTok's Accounts API or Login Kit.
 *
 * As a person gives it, a document; as it lies in the vault and goes to the courier, one secret of three counted texts.
 * Only a refresh, and a move to another Pixel, open it (vault_grant): nothing that hands out tokens knows of it. Pure.
 *
 * Source: TikTok's Accounts API and Login Kit documents, as restated in docs/tiktok.md. */
#ifndef VAULT_GRANT_H
#define VAULT_GRANT_H

#include "vault/credential.h"

#define CLIENT_ID_MAX 128
#define CLIENT_SECRET_MAX 256
#define REFRESH_TOKEN_MIN 8
#define REFRESH_TOKEN_MAX 2048
#define GRANT_LEN_MAX (6 + CLIENT_ID_MAX + CLIENT_SECRET_MAX + REFRESH_TOKEN_MAX)
#define LIFE_MAX_S (3650LL * 86400) /* what is said to live longer is taken as unknown */

/* Borrowed from the secret it was read from. */
struct grant {
	struct bytes client_id, client_secret, refresh_token;
};
must_check bool grant_pack(const struct grant *g, struct secret **ret, struct error *err);
/* False: these are not exactly three texts within their limits. */
must_check bool grant_open(struct bytes packed, struct grant *ret);
/* The same with another refresh token. */
must_check bool grant_renewed(const struct secret *packed, struct bytes refresh_token, struct secret **ret,
			      struct error *err);

/* A JSON object: client_id (or client_key), client_secret, refresh_token; perhaps access_token, expires_in,
 * refresh_token_expires_in (or refresh_expires_in). What else TikTok's own answers hold (open_id, scope, token_type) may
 * stand there too; any other member is refused by name. Each field is cleaned and looked at. */
struct grant_document {
	struct secret *grant, *access_token; /* the latter NULL when there is none */
	int64_t life_s, refresh_life_s;      /* 0 = unknown */
	unsigned removed;
};
must_check bool grant_document_read(const struct secret *pasted, enum family family, struct grant_document *ret,
				    struct error *err);
void grant_document_done(struct grant_document *d);

#endif
