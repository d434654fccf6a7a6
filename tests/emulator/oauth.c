/* tests/emulator/oauth.c - who a token is, and how tokens are made, refreshed and ended (tiktok-api.md §4).
 * There is one app: EMULATOR_APP_ID with EMULATOR_APP_SECRET. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/call.h"

enum { ACCESS_LIFE_S = 86400, REFRESH_LIFE_S = 31536000, LOGIN_REFRESH_LIFE_S = 15552000 };

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void put_advertisers(struct text *out, const struct world *w, const struct token *t, const char *pattern)
{
	const char **ids = must_alloc((t->pixel_count + 1) * sizeof *ids);
	const char *comma = "";

	for (size_t i = 0; i < t->pixel_count; i++)
		ids[i] = w->pixels[t->pixels[i]]->advertiser;
	qsort(ids, t->pixel_count, sizeof *ids, by_text);
	for (size_t i = 0; i < t->pixel_count; i++) {
		const char *pairs[] = { "advertiser", ids[i], NULL };

		if (i && !strcmp(ids[i], ids[i - 1]))
			continue;
		text_puts(out, comma);
		text_expand(out, pattern, pairs);
		comma = ",";
	}
	free(ids);
}

void user_info(struct call *call)
{
	int code = (int)call->world->knobs[KNOB_USER_INFO].number;

	if (call->token->kind == TOKEN_EVENTS && code == 40001)
		call_fail(call, 40001, "advertiser does not grant you /user/info/:GET permission");
	else if (call->token->kind == TOKEN_EVENTS && code)
		call_fail_code(call, code);
	else
		call_succeed(call, "{\"display_name\":\"emulated\",\"email\":\"e***d@example.com\",\"core_user_id\":\"7000000000000000003\","
				   "\"create_time\":1700000000,\"avatar_url\":\"https://example.com/avatar.png\"}");
}

bool advertiser_get_params(struct call *call)
{
	static const char *const needed[] = { "app_id", "secret" };

	for (size_t i = 0; i < 2; i++)
		if (!call_query(call, needed[i])) {
			call_fail(call, 40002, "Missing required field(s): %s.", needed[i]);
			return false;
		}
	return true;
}

void advertiser_get(struct call *call)
{
	scoped(text_free) struct text out = { 0 };

	if (strcmp(call_query(call, "app_id"), EMULATOR_APP_ID)) {
		call_fail_code(call, 40113);
		return;
	}
	if (strcmp(call_query(call, "secret"), EMULATOR_APP_SECRET)) {
		call_fail_code(call, 40101);
		return;
	}
	text_puts(&out, "{\"list\":[");
	put_advertisers(&out, call->world, call->token, "{\"advertiser_id\":\"{advertiser}\",\"advertiser_name\":\"Advertiser {advertiser}\"}");
	text_puts(&out, "]}");
	call_succeed(call, out.at);
}

/* Every name in `names` (ends with NULL) must be a string of the body. */
static bool has_all(struct call *call, const char *const *names)
{
	if (!cJSON_IsObject(call->body)) {
		call_fail(call, 40002, "Invalid request body: not a valid JSON object.");
		return false;
	}
	for (; *names; names++)
		if (!call_string(call, *names)) {
			call_fail(call, 40002, "Missing required field(s): %s.", *names);
			return false;
		}
	return true;
}

static bool app_is_ours(struct call *call, const char *id_name, const char *secret_name)
{
	const char *id = call_string(call, id_name), *secret = call_string(call, secret_name);

	if (!*id || strspn(id, "0123456789") != strlen(id))
		call_fail(call, 40002, "strconv.ParseInt: parsing \"%.100s\": invalid syntax", id);
	else if (strcmp(id, EMULATOR_APP_ID) || (secret && strcmp(secret, EMULATOR_APP_SECRET)))
		call_fail_code(call, 40101);
	else
		return true;
	return false;
}

static bool is_over(const struct token *t)
{
	return t->is_expired || (t->expires_at && t->expires_at <= (int64_t)time(NULL));
}

/* The code is good for one exchange. */
static struct token *take_auth_code(struct call *call, bool is_marketing)
{
	struct token *code = world_find_token(call->world, call_string(call, "auth_code"));

	if (!code || code->kind != TOKEN_AUTH_CODE || code->is_revoked || is_over(code) || (code->mints == TOKEN_MARKETING) != is_marketing) {
		call_fail_code(call, 40110);
		return NULL;
	}
	code->is_revoked = true;
	return code;
}

static struct token *mint(struct call *call, const char *prefix, enum token_kind kind, const struct token *rights, int64_t life_s)
{
	char value[64];
	size_t start = strlen(prefix);
	struct token *t;

	(void)snprintf(value, sizeof value, "%s", prefix);
	world_hex(call->world, value + start, 40);
	for (char *c = value + start; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	t = world_token(call->world, value, kind);
	token_copy_rights(t, rights);
	t->expires_at = life_s ? (int64_t)time(NULL) + life_s : 0;
	return t;
}

void access_token(struct call *call)
{
	static const char *const names[] = { "app_id", "secret", "auth_code", NULL };
	const struct token *code, *t;
	scoped(text_free) struct text out = { 0 };

	if (!has_all(call, names) || !app_is_ours(call, "app_id", "secret") || !(code = take_auth_code(call, true)))
		return;
	t = mint(call, "", TOKEN_MARKETING, code, 0);
	text_printf(&out, "{\"access_token\":\"%s\",\"advertiser_ids\":[", t->value);
	put_advertisers(&out, call->world, t, "\"{advertiser}\"");
	text_printf(&out, "],\"scope\":[%s]}", t->scopes);
	call_succeed(call, out.at);
}

/* The access token in the body, live or already ended; NULL = answered. */
static struct token *body_token(struct call *call)
{
	struct token *t = world_find_token(call->world, call_string(call, "access_token"));

	if (t && !t->is_revoked && t->kind != TOKEN_REFRESH && t->kind != TOKEN_AUTH_CODE)
		return t;
	call_fail_code(call, 40105);
	return NULL;
}

void revoke_token(struct call *call)
{
	static const char *const names[] = { "app_id", "secret", "access_token", NULL };
	struct token *t;
	scoped(text_free) struct text out = { 0 };

	if (!has_all(call, names) || !app_is_ours(call, "app_id", "secret") || !(t = body_token(call)))
		return;
	t->is_revoked = true;
	text_puts(&out, "{\"app_id\":\"" EMULATOR_APP_ID "\",\"advertiser_ids\":[");
	put_advertisers(&out, call->world, t, "\"{advertiser}\"");
	text_puts(&out, "]}");
	call_succeed(call, out.at);
}

static int64_t access_life(const struct call *call, const struct token *refresh)
{
	const struct knob *knobs = call->world->knobs;

	if (strcmp(knobs[KNOB_ACCESS_LIFE].text, "off"))
		return knobs[KNOB_ACCESS_LIFE].number;
	return refresh->mints == TOKEN_LOGIN ? knobs[KNOB_LOGIN_LIFE].number : ACCESS_LIFE_S;
}

static void put_life(const struct call *call, struct text *out, const char *name, long long seconds)
{
	int choice = call->world->knobs[KNOB_EXPIRES_IN].choice;

	if (choice != EXPIRES_IN_OFF)
		text_printf(out, choice == EXPIRES_IN_ON ? ",\"%s\":%lld" : ",\"%s\":\"%lld\"", name, seconds);
}

/* A new access token of refresh->mints next to `refresh`. */
static void answer_pair(struct call *call, const struct token *refresh)
{
	bool is_login = call->request->path[1] == 'v';
	int64_t life = access_life(call, refresh);
	const struct token *access = mint(call, "act.", refresh->mints, refresh, life);
	long long left = refresh->expires_at ? (long long)(refresh->expires_at - (int64_t)time(NULL)) : REFRESH_LIFE_S;
	scoped(text_free) struct text out = { 0 };

	text_printf(&out, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"refresh_token\":", access->value);
	text_json(&out, refresh->value);
	put_life(call, &out, "expires_in", (long long)life);
	put_life(call, &out, is_login ? "refresh_expires_in" : "refresh_token_expires_in", left);
	text_puts(&out, ",\"open_id\":\"emulated-open-id\",\"scope\":\"user.info.basic,video.list\"}");
	if (is_login)
		call_plain(call, 200, "application/json", out.at);
	else
		call_succeed(call, out.at);
}

static struct token *mint_refresh(struct call *call, const struct token *rights)
{
	enum token_kind mints = rights->mints;
	bool is_short = mints == TOKEN_LOGIN && call->world->knobs[KNOB_LOGIN_LIFE].number == 7200;
	struct token *refresh = mint(call, "rft.", TOKEN_REFRESH, rights, is_short ? LOGIN_REFRESH_LIFE_S : REFRESH_LIFE_S);

	refresh->mints = mints;
	return refresh;
}

/* The pair changes as the knobs say. */
static void renew(struct call *call, struct token *old)
{
	const struct knob *knobs = call->world->knobs;

	if (knobs[KNOB_REFRESH].choice == REFRESH_ROTATES) {
		old->is_revoked = true;
		old = mint_refresh(call, old);
	}
	answer_pair(call, old);
	if (knobs[KNOB_REFRESH_LOST].choice == REFRESH_LOST_ON)
		call->reply->answer.status = 0;
}

static bool grant_is(struct call *call, const char *wanted)
{
	const char *grant = call_string(call, "grant_type");

	if (!strcmp(grant, wanted))
		return true;
	call_fail(call, 40108, "Invalid value for grant_type: %.100s is not supported.", grant);
	return false;
}

void tt_user_token(struct call *call)
{
	static const char *const names[] = { "client_id", "client_secret", "grant_type", "auth_code", NULL };
	const struct token *code;

	if (has_all(call, names) && app_is_ours(call, "client_id", "client_secret") && grant_is(call, "authorization_code") &&
	    (code = take_auth_code(call, false)))
		answer_pair(call, mint_refresh(call, code));
}

void tt_user_refresh(struct call *call)
{
	static const char *const names[] = { "client_id", "client_secret", "grant_type", "refresh_token", NULL };
	struct token *old;

	if (!has_all(call, names) || !app_is_ours(call, "client_id", "client_secret") || !grant_is(call, "refresh_token"))
		return;
	old = world_find_token(call->world, call_string(call, "refresh_token"));
	if (!old || old->kind != TOKEN_REFRESH || old->is_revoked) {
		call_fail_code(call, 40107);
		return;
	}
	if (is_over(old)) {
		call_fail_code(call, 40103);
		return;
	}
	renew(call, old);
}

static void fail_login(struct call *call, const char *error, const char *description)
{
	scoped(text_free) struct text out = { 0 };

	text_printf(&out, "{\"error\":\"%s\",\"error_description\":\"%s\",\"log_id\":\"20261122000000AB\"}", error, description);
	call_plain(call, 400, "application/json", out.at);
}

/* Login Kit: a form in, a flat object out, errors by name. */
void login_token(struct call *call)
{
	const char *id = call_query(call, "client_key"), *secret = call_query(call, "client_secret"),
		   *grant = call_query(call, "grant_type"), *value = call_query(call, "refresh_token");
	struct token *old = value ? world_find_token(call->world, value) : NULL;

	if (!id || !secret || !grant || !value)
		fail_login(call, "invalid_request", "The request is missing a required parameter.");
	else if (strcmp(id, EMULATOR_APP_ID) || strcmp(secret, EMULATOR_APP_SECRET))
		fail_login(call, "invalid_client", "Client key or secret is incorrect.");
	else if (strcmp(grant, "refresh_token"))
		fail_login(call, "unsupported_grant_type", "The grant type is not supported.");
	else if (!old || old->kind != TOKEN_REFRESH || old->mints != TOKEN_LOGIN || old->is_revoked || is_over(old))
		fail_login(call, "invalid_grant", "Refresh token is invalid or expired.");
	else
		renew(call, old);
}

void tt_user_revoke(struct call *call)
{
	static const char *const names[] = { "client_id", "client_secret", "access_token", NULL };
	struct token *t;

	if (!has_all(call, names) || !app_is_ours(call, "client_id", "client_secret") || !(t = body_token(call)))
		return;
	t->is_revoked = true;
	call_succeed(call, NULL);
}

void tt_user_info(struct call *call)
{
	static const char *const names[] = { "app_id", "access_token", NULL };

	if (!has_all(call, names) || !app_is_ours(call, "app_id", "") || !body_token(call))
		return;
	call_succeed(call, "{\"app_id\":\"" EMULATOR_APP_ID "\",\"creator_id\":\"emulated-open-id\",\"scope\":\"user.info.basic,video.list\"}");
}
