#include "vault/grant.h"

#include "core/json.h"
#include "vault/text.h"

#include <stdio.h>
#include <string.h>

/* ---- as it lies in the vault ---- */

static uint8_t *put_counted(uint8_t *at, struct bytes text)
{
	*at++ = (uint8_t)text.len;
	*at++ = (uint8_t)(text.len >> 8);
	memcpy(at, text.at, text.len);
	return at + text.len;
}

bool grant_pack(const struct grant *g, struct secret **ret, struct error *err)
{
	struct secret *packed;
	if (!secret_new(6 + g->client_id.len + g->client_secret.len + g->refresh_token.len, &packed, err))
		return false;
	uint8_t *at = put_counted(secret_room(packed), g->client_id);
	at = put_counted(at, g->client_secret);
	(void)put_counted(at, g->refresh_token);
	*ret = packed;
	return true;
}

static bool take_counted(struct bytes *from, size_t most, struct bytes *ret)
{
	uint16_t len;
	return bytes_take_u16(from, &len) && len > 0 && len <= most && bytes_take(from, len, ret);
}

bool grant_open(struct bytes packed, struct grant *ret)
{
	return take_counted(&packed, CLIENT_ID_MAX, &ret->client_id) &&
	       take_counted(&packed, CLIENT_SECRET_MAX, &ret->client_secret) &&
	       take_counted(&packed, REFRESH_TOKEN_MAX, &ret->refresh_token) && packed.len == 0;
}

bool grant_renewed(const struct secret *packed, struct bytes refresh_token, struct secret **ret, struct error *err)
{
	struct grant g;
	if (!grant_open(secret_reveal(packed), &g))
		return fail(err, ERR_UNEXPECTED, TXT_GRANT_JSON, "it was stored by another program");
	g.refresh_token = refresh_token;
	return grant_pack(&g, ret, err);
}

/* ---- as a person gives it ---- */

static const struct json_limits limits = { .depth = 2, .nodes = 32 };
static const char members[] = "client_id client_key client_secret refresh_token access_token expires_in "
			      "refresh_token_expires_in refresh_expires_in open_id scope token_type";

static bool check_members(struct bytes text, struct error *err)
{
	const char *why;
	struct bytes other;
	char name[64];
	if (!json_check(text, limits, &why))
		return why == json_no_memory ? fail_no_memory(err) : fail(err, ERR_MALFORMED, TXT_GRANT_JSON, why);
	while (strchr(" \t\r\n", text.at[0]))
		text = bytes_of(text.at + 1, text.len - 1);
	if (text.at[0] != '{')
		return fail(err, ERR_MALFORMED, TXT_GRANT_JSON, "it is another kind of value");
	if (!json_find_other(text, members, &other))
		return true;
	/* A key that is a value pasted in the wrong place must not be repeated. */
	snprintf(name, sizeof name, "%.*s", (int)(other.len < 24 ? other.len : 24), (const char *)other.at);
	return fail(err, ERR_MALFORMED, TXT_GRANT_MEMBER, other.len > 24 ? "a long name" : error_repeatable(name));
}

static bool begins_with(struct bytes in, const char *what)
{
	return in.len >= strlen(what) && memcmp(in.at, what, strlen(what)) == 0;
}

struct field {
	const char *name, *other_name; /* the latter NULL when it has one name only */
	size_t least, most;
	bool is_needed;
};

static bool clean_field(const struct field *f, const char *name, const struct secret *text, struct secret **ret,
			unsigned *removed, struct error *err)
{
	scoped(secret_freep) struct secret *cleaned = NULL;
	if (!paste_clean(name, secret_reveal(text), f->least, f->most, &cleaned, removed, err))
		return false;
	struct bytes in = secret_reveal(cleaned);
	if (begins_with(in, "rft.") && strcmp(f->name, "refresh_token") != 0)
		return fail(err, ERR_MALFORMED, TXT_GRANT_SWAPPED, name, "a refresh token");
	if (begins_with(in, "act.") && strcmp(f->name, "access_token") != 0)
		return fail(err, ERR_MALFORMED, TXT_GRANT_SWAPPED, name, "an access token");
	*ret = take(cleaned);
	return true;
}

/* *ret stays NULL when it is not there and need not be. */
static bool read_field(struct bytes text, const struct field *f, struct secret **ret, unsigned *removed,
		       struct error *err)
{
	struct bytes raw;
	const char *name = f->name;
	scoped(secret_freep) struct secret *value = NULL;
	bool is_there = json_find_raw(text, name, &raw);
	if (!is_there && f->other_name) {
		name = f->other_name;
		is_there = json_find_raw(text, name, &raw);
	}
	if (!is_there || bytes_equal(raw, bytes_of_text("null")))
		return f->is_needed ? fail(err, ERR_MALFORMED, TXT_GRANT_MISSING, f->name) : true;
	if (!secret_new(raw.len + 1, &value, err))
		return false;
	char *room = (char *)secret_room(value);
	if (!json_as_text(raw, room, raw.len + 1))
		return fail(err, ERR_MALFORMED, TXT_GRANT_NO_TEXT, name);
	secret_cut(value, strlen(room));
	return clean_field(f, name, value, ret, removed, err);
}

/* Seconds may come quoted, as ids do. */
static bool read_seconds(struct bytes text, const char *name, const char *other_name, int64_t *ret, struct error *err)
{
	struct bytes raw;
	int64_t seconds;
	if (!json_find_raw(text, name, &raw) && !(other_name && json_find_raw(text, other_name, &raw)))
		return true;
	if (bytes_equal(raw, bytes_of_text("null")))
		return true;
	if (raw.len > 2 && raw.at[0] == '"')
		raw = bytes_of(raw.at + 1, raw.len - 2);
	if (!json_as_int(raw, &seconds) || seconds < 0)
		return fail(err, ERR_MALFORMED, TXT_GRANT_SECONDS, name);
	*ret = seconds <= LIFE_MAX_S ? seconds : 0;
	return true;
}

static bool is_number(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
	return true;
}

struct fields {
	struct secret *client_id, *client_secret, *refresh_token;
};

static void fields_done(struct fields *f)
{
	secret_free(f->client_id);
	secret_free(f->client_secret);
	secret_free(f->refresh_token);
}

static bool read_access_token(struct bytes text, struct grant_document *d, struct error *err)
{
	static const struct field field = { "access_token", NULL, TOKEN_MIN, TOKEN_MAX, false };
	scoped(secret_freep) struct secret *token = NULL;
	unsigned removed = 0;
	if (!read_field(text, &field, &token, &d->removed, err))
		return false;
	/* And whatever is said of any token. */
	return !token || token_clean(token, &d->access_token, &removed, err);
}

static bool read_document(struct bytes text, enum family family, struct grant_document *d, struct error *err)
{
	static const struct field id = { "client_id", "client_key", 1, CLIENT_ID_MAX, true };
	static const struct field secret = { "client_secret", NULL, 1, CLIENT_SECRET_MAX, true };
	static const struct field refresh = { "refresh_token", NULL, REFRESH_TOKEN_MIN, REFRESH_TOKEN_MAX, true };
	scoped(fields_done) struct fields f = { NULL, NULL, NULL };
	if (!check_members(text, err) || !read_field(text, &id, &f.client_id, &d->removed, err) ||
	    !read_field(text, &secret, &f.client_secret, &d->removed, err) ||
	    !read_field(text, &refresh, &f.refresh_token, &d->removed, err) || !read_access_token(text, d, err) ||
	    !read_seconds(text, "expires_in", NULL, &d->life_s, err) ||
	    !read_seconds(text, "refresh_token_expires_in", "refresh_expires_in", &d->refresh_life_s, err))
		return false;
	if (family == FAMILY_ACCOUNTS && !is_number(secret_reveal(f.client_id)))
		return fail(err, ERR_MALFORMED, TXT_GRANT_CLIENT);
	if (d->access_token && secret_equal(d->access_token, f.refresh_token))
		return fail(err, ERR_MALFORMED, TXT_GRANT_SAME);
	struct grant g = { secret_reveal(f.client_id), secret_reveal(f.client_secret), secret_reveal(f.refresh_token) };
	return grant_pack(&g, &d->grant, err);
}

bool grant_document_read(const struct secret *pasted, enum family family, struct grant_document *ret, struct error *err)
{
	struct grant_document d = { NULL, NULL, 0, 0, 0 };
	if (!read_document(secret_reveal(pasted), family, &d, err)) {
		grant_document_done(&d);
		return false;
	}
	*ret = d;
	return true;
}

void grant_document_done(struct grant_document *d)
{
	secret_freep(&d->grant);
	secret_freep(&d->access_token);
}
