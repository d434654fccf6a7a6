/* What proven metadata names is opened and handed out here: tokens, and what renews them. */
#include "vault/internal.h"
#include "vault/text.h"
#include "vault/vault.h"

#include <assert.h>
#include <sodium.h>

bool token_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct credential *c,
		const struct version *version, const struct store_record *record, struct secret **ret,
		struct error *err)
{
	uint8_t digest[DIGEST_LEN];
	struct error why = { .code = ERR_DAMAGED };
	struct seal_context context = vault_context(v, 't', bytes_of(id, PIXEL_ID_LEN), version->number);
	seal_digest(record->value, digest);
	if (sodium_memcmp(digest, version->digest, DIGEST_LEN) == 0 &&
	    unseal_secret(v->keys, &context, record->value, ret, &why))
		return true;
	if (why.code == ERR_DAMAGED)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_TOKEN_TAMPERED, (unsigned)version->number,
				  c->pixel);
	*err = why;
	return false;
}

bool grant_record_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct credential *c,
		       const struct version *version, const struct store_record *record, struct secret **ret,
		       struct error *err)
{
	uint8_t digest[DIGEST_LEN];
	struct error why = { .code = ERR_DAMAGED };
	struct seal_context context = vault_context(v, 'g', bytes_of(id, PIXEL_ID_LEN), version->number);
	if (record->is_found)
		seal_digest(record->value, digest);
	if (record->is_found && sodium_memcmp(digest, version->renewal.digest, DIGEST_LEN) == 0 &&
	    unseal_secret(v->keys, &context, record->value, ret, &why))
		return true;
	if (why.code == ERR_DAMAGED)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_GRANT_TAMPERED, (unsigned)version->number, c->pixel);
	*err = why;
	return false;
}

/* Dropped by a later change, or deleted by somebody else: the metadata as it is now tells which. */
static bool token_is_gone(struct vault *v, const struct credential *c, const struct version *version, struct error *err)
{
	struct credential now;
	uint64_t generation = v->root.generation;
	if (!vault_find(v, c->pixel, true, &now, err))
		return false;
	if (!credential_numbered(&now, version->number))
		return fail(err, ERR_NOT_FOUND, TXT_NO_VERSION, c->pixel, (unsigned)version->number);
	if (v->root.generation != generation)
		return fail(err, ERR_CONFLICT, TXT_ROOT_MOVED);
	return fail_class(err, ERR_DAMAGED, "tampered", TXT_TOKEN_MISSING, (unsigned)version->number, c->pixel);
}

static bool grant_is_gone(struct vault *v, const struct credential *c, const struct version *version, struct error *err)
{
	struct credential now;
	uint64_t generation = v->root.generation;
	if (!vault_find(v, c->pixel, true, &now, err))
		return false;
	const struct version *found = credential_numbered(&now, version->number);
	if (!found || !version_has_grant(found))
		return fail(err, ERR_NOT_FOUND, TXT_GRANT_GONE, (unsigned)version->number, c->pixel);
	if (v->root.generation != generation)
		return fail(err, ERR_CONFLICT, TXT_ROOT_MOVED);
	return fail_class(err, ERR_DAMAGED, "tampered", TXT_GRANT_TAMPERED, (unsigned)version->number, c->pixel);
}

static struct audit_event reading_of(const struct credential *c, const struct version *version, const char *verb,
				     const char *result)
{
	return (struct audit_event){ .verb = verb,
				     .pixel = c->pixel,
				     .version = version->number,
				     .fingerprint = version->fingerprint,
				     .result = result };
}

/* What somebody changed in the store is worth an entry even when nothing is handed out. */
static bool note_reading(struct vault *v, const struct credential *c, const struct version *version, const char *verb,
			 const char *result, enum audit_weight weight, struct error *err)
{
	struct audit_event event = reading_of(c, version, verb, result);
	return audit_append(v->audit, &v->who, &event, 1, weight, false, err);
}

/* Where one of them lies. */
struct look {
	struct token_reading *reading;
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
};

/* Those that have a token, in ret; returns how many. */
static size_t look_for(const struct vault *v, struct token_reading *readings, size_t count,
		       struct look ret[VAULT_TOKENS_MAX])
{
	size_t wanted = 0;
	for (size_t i = 0; i < count; i++) {
		struct token_reading *r = &readings[i];
		r->token = NULL;
		if (!version_has_token(r->version)) {
			(void)!fail(&r->err, ERR_NOT_FOUND, TXT_NO_TOKEN_YET, (unsigned)r->version->number,
				    r->credential->pixel);
			continue;
		}
		struct look *look = &ret[wanted++];
		look->reading = r;
		keys_pixel_id(v->keys, r->credential->pixel, look->id);
		key_for_token(v->root.epoch, look->id, r->version->number, look->key);
	}
	return wanted;
}

static bool open_tokens(struct vault *v, const struct look *looks, size_t count, struct error *err)
{
	const char *keys[VAULT_TOKENS_MAX];
	struct store_record found[VAULT_TOKENS_MAX];
	for (size_t i = 0; i < count; i++)
		keys[i] = looks[i].key;
	if (count && store_get_many(v->store, keys, count, &v->room, found, err) != STORE_OK)
		return false;
	/* The proven metadata names the digest; that proves the token, whenever it is read. */
	for (size_t i = 0; i < count; i++) {
		struct token_reading *r = looks[i].reading;
		if (found[i].is_found)
			(void)!token_open(v, looks[i].id, r->credential, r->version, &found[i], &r->token, &r->err);
	}
	/* Only now: that looks into the store as well, and what was found lies in the same room. */
	for (size_t i = 0; i < count; i++) {
		struct token_reading *r = looks[i].reading;
		if (!found[i].is_found)
			(void)!token_is_gone(v, r->credential, r->version, &r->err);
	}
	return true;
}

static void forget_tokens(struct token_reading *readings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		secret_freep(&readings[i].token);
}

static bool note_tokens(struct vault *v, const struct token_reading *readings, size_t count, const char *verb,
			struct error *err)
{
	struct audit_event events[VAULT_TOKENS_MAX];
	size_t opened = 0;
	struct error ignored;
	for (size_t i = 0; i < count; i++) {
		const struct token_reading *r = &readings[i];
		if (r->token)
			events[opened++] = reading_of(r->credential, r->version, verb, "ok");
		else if (r->err.code == ERR_DAMAGED)
			(void)!note_reading(v, r->credential, r->version, verb, error_name(ERR_DAMAGED),
					    AUDIT_RESERVE, &ignored);
	}
	return !opened || audit_append(v->audit, &v->who, events, opened, AUDIT_ORDINARY, false, err);
}

bool vault_tokens(struct vault *v, struct token_reading *readings, size_t count, const char *verb, struct error *err)
{
	struct look looks[VAULT_TOKENS_MAX];
	assert(count <= VAULT_TOKENS_MAX);
	if (!vault_is_open(v, err))
		return false;
	size_t wanted = look_for(v, readings, count, looks);
	if (!open_tokens(v, looks, wanted, err))
		return false;
	if (note_tokens(v, readings, count, verb, err))
		return true;
	forget_tokens(readings, count);
	return false;
}

bool vault_token(struct vault *v, const struct credential *c, const struct version *version, const char *verb,
		 struct secret **ret, struct error *err)
{
	struct token_reading one = { .credential = c, .version = version };
	if (!vault_tokens(v, &one, 1, verb, err))
		return false;
	if (!one.token) {
		*err = one.err;
		return false;
	}
	*ret = one.token;
	return true;
}

bool vault_grant(struct vault *v, const struct credential *c, const struct version *version, const char *verb,
		 struct secret **ret, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct store_record found;
	scoped(secret_freep) struct secret *grant = NULL;
	if (!vault_is_open(v, err))
		return false;
	if (!version_has_grant(version))
		return fail(err, ERR_NOT_FOUND, TXT_GRANT_GONE, (unsigned)version->number, c->pixel);
	keys_pixel_id(v->keys, c->pixel, id);
	key_for_grant(v->root.epoch, id, version->number, key);
	const char *const keys[] = { key };
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	if (!found.is_found)
		return grant_is_gone(v, c, version, err);
	if (!grant_record_open(v, id, c, version, &found, &grant, err) ||
	    !note_reading(v, c, version, verb, "ok", AUDIT_ORDINARY, err))
		return false;
	*ret = take(grant);
	return true;
}
