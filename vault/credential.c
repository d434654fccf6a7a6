#include "vault/credential.h"

#include "core/utf8.h"
#include "vault/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- what a person types ---- */

#define PIXEL_ECHO_MAX 24
#define DIGITS "0123456789"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SMALL "abcdefghijklmnopqrstuvwxyz"

bool pixel_check(const char *text, struct error *err)
{
	size_t len = strlen(text);
	if (len == 0)
		return fail(err, ERR_MALFORMED, TXT_PIXEL_EMPTY);
	if (len >= 17 && len <= 20 && text_is_only_of(text, DIGITS))
		return fail(err, ERR_MALFORMED, TXT_PIXEL_NUMERIC, text);
	if (len >= PIXEL_CODE_MIN && len <= PIXEL_CODE_MAX && text_is_only_of(text, DIGITS CAPITALS))
		return true;
	/* Longer than any code seen so far: it may be a token in the wrong place, so it is not repeated. */
	if (len > PIXEL_ECHO_MAX)
		return fail(err, ERR_MALFORMED, TXT_PIXEL_LONG, len);
	if (len >= PIXEL_CODE_MIN && text_is_only_of(text, DIGITS CAPITALS SMALL)) {
		char upper[PIXEL_CODE_MAX + 1];
		for (size_t i = 0; i <= len; i++)
			upper[i] = (char)toupper((unsigned char)text[i]);
		return fail(err, ERR_MALFORMED, TXT_PIXEL_LOWER, text, upper);
	}
	return fail(err, ERR_MALFORMED, TXT_PIXEL_BAD, text);
}

bool pixel_has_known_shape(const char *text)
{
	size_t len = strlen(text);
	return len == 20 && text_is_only_of(text, DIGITS "ABCDEFGHIJKLMNOPQRSTUV") && (text[19] == '0' || text[19] == 'G');
}

#define LIST_CENTER "bc:"
#define LIST_ACCOUNT "advertiser:"
#define LIST_ID_MIN 4
#define LIST_ID_MAX 20

bool list_is_center(const char *name)
{
	return strncmp(name, LIST_CENTER, sizeof LIST_CENTER - 1) == 0;
}

bool name_is_list(const char *name)
{
	return strchr(name, ':') != NULL;
}

const char *list_id(const char *name)
{
	return name + strcspn(name, ":") + 1;
}

bool list_check(const char *text, struct error *err)
{
	bool is_known = list_is_center(text) || strncmp(text, LIST_ACCOUNT, sizeof LIST_ACCOUNT - 1) == 0;
	size_t len = is_known ? strlen(list_id(text)) : 0;
	if (len >= LIST_ID_MIN && len <= LIST_ID_MAX && text_is_only_of(list_id(text), DIGITS))
		return true;
	return fail(err, ERR_MALFORMED, TXT_LIST_NAME, error_repeatable(text));
}

bool test_code_check(const char *text, struct error *err)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f)
			len = 0;
	if (len == 0 || len > TEST_CODE_MAX)
		return fail(err, ERR_USAGE, TXT_TEST_CODE_BAD);
	return true;
}

static bool is_plain_text(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < 0x20 || text.at[i] == 0x7f)
			return false;
	return utf8_is_valid(text);
}

bool label_parse(const char *text, struct label *ret, struct error *err)
{
	const char *equals = strchr(text, '=');
	size_t key_len = equals ? (size_t)(equals - text) : 0, value_len = equals ? strlen(equals + 1) : 0;
	if (!equals || key_len == 0 || key_len > LABEL_KEY_MAX || value_len > LABEL_VALUE_MAX ||
	    strspn(text, SMALL DIGITS "_.-") != key_len || !is_plain_text(bytes_of(equals + 1, value_len)))
		return fail(err, ERR_USAGE, TXT_LABEL_BAD, error_repeatable(text));
	memcpy(ret->key, text, key_len);
	ret->key[key_len] = '\0';
	memcpy(ret->value, equals + 1, value_len + 1);
	return true;
}

bool consumer_name_check(const char *text, struct error *err)
{
	size_t len = strlen(text);
	if (len == 0 || len > CONSUMER_NAME_MAX || !text_is_only_of(text, DIGITS CAPITALS SMALL "_.@:/-"))
		return fail(err, ERR_USAGE, TXT_NAME_BAD, error_repeatable(text));
	if (strncasecmp(text, "uid:", 4) == 0 || strncasecmp(text, "unit:", 5) == 0)
		return fail(err, ERR_USAGE, TXT_NAME_RESERVED, error_repeatable(text));
	return true;
}

/* ---- cleaning a pasted token ---- */

/* What editors, browsers and chats leave around a pasted value. */
static const struct {
	const char *bytes;
	enum removed what;
} surroundings[] = {
	{ " ", REMOVED_BLANKS },
	{ "\t", REMOVED_BLANKS },
	{ "\v", REMOVED_BLANKS },
	{ "\f", REMOVED_BLANKS },
	{ "\xc2\xa0", REMOVED_BLANKS },     /* no-break space */
	{ "\xe1\x9a\x80", REMOVED_BLANKS }, /* ogham space mark */
	{ "\xe2\x80\x80", REMOVED_BLANKS }, /* en quad ... hair space */
	{ "\xe2\x80\x81", REMOVED_BLANKS },
	{ "\xe2\x80\x82", REMOVED_BLANKS },
	{ "\xe2\x80\x83", REMOVED_BLANKS },
	{ "\xe2\x80\x84", REMOVED_BLANKS },
	{ "\xe2\x80\x85", REMOVED_BLANKS },
	{ "\xe2\x80\x86", REMOVED_BLANKS },
	{ "\xe2\x80\x87", REMOVED_BLANKS },
	{ "\xe2\x80\x88", REMOVED_BLANKS },
	{ "\xe2\x80\x89", REMOVED_BLANKS },
	{ "\xe2\x80\x8a", REMOVED_BLANKS },
	{ "\xe2\x80\xaf", REMOVED_BLANKS }, /* narrow no-break space */
	{ "\xe2\x81\x9f", REMOVED_BLANKS }, /* mathematical space */
	{ "\xe3\x80\x80", REMOVED_BLANKS }, /* ideographic space */
	{ "\n", REMOVED_LINE_ENDS },
	{ "\r", REMOVED_LINE_ENDS },
	{ "\xc2\x85", REMOVED_LINE_ENDS },     /* next line */
	{ "\xe2\x80\xa8", REMOVED_LINE_ENDS }, /* line separator */
	{ "\xe2\x80\xa9", REMOVED_LINE_ENDS }, /* paragraph separator */
	{ "\xc2\xad", REMOVED_ZERO_WIDTH },    /* soft hyphen */
	{ "\xe1\xa0\x8e", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\x8b", REMOVED_ZERO_WIDTH }, /* zero-width space, joiners, marks of direction */
	{ "\xe2\x80\x8c", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\x8d", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\x8e", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\x8f", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\xaa", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\xab", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\xac", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\xad", REMOVED_ZERO_WIDTH },
	{ "\xe2\x80\xae", REMOVED_ZERO_WIDTH },
	{ "\xe2\x81\xa0", REMOVED_ZERO_WIDTH }, /* word joiner */
	{ "\xe2\x81\xa6", REMOVED_ZERO_WIDTH },
	{ "\xe2\x81\xa7", REMOVED_ZERO_WIDTH },
	{ "\xe2\x81\xa8", REMOVED_ZERO_WIDTH },
	{ "\xe2\x81\xa9", REMOVED_ZERO_WIDTH },
	{ "\xef\xbb\xbf", REMOVED_BOM },
};

static const char *const quotes[] = {
	"\"",
	"'",
	"`",
	"\xe2\x80\x9c",
	"\xe2\x80\x9d",
	"\xe2\x80\x9e",
	"\xe2\x80\x9f",
	"\xe2\x80\x98",
	"\xe2\x80\x99",
	"\xe2\x80\x9a",
	"\xe2\x80\x9b",
	"\xc2\xab",
	"\xc2\xbb",
	"\xe2\x80\xb9",
	"\xe2\x80\xba",
	"\xc2\xb4",
};

static bool starts_with(struct bytes in, const char *what, size_t *ret_len)
{
	*ret_len = strlen(what);
	return in.len >= *ret_len && memcmp(in.at, what, *ret_len) == 0;
}

static bool ends_with(struct bytes in, const char *what, size_t *ret_len)
{
	*ret_len = strlen(what);
	return in.len >= *ret_len && memcmp(in.at + in.len - *ret_len, what, *ret_len) == 0;
}

static bool strip_one(struct bytes *in, unsigned *removed)
{
	size_t len;
	for (size_t i = 0; i < COUNT_OF(surroundings); i++) {
		bool at_start = starts_with(*in, surroundings[i].bytes, &len);
		if (!at_start && !ends_with(*in, surroundings[i].bytes, &len))
			continue;
		if (at_start)
			in->at += len;
		in->len -= len;
		*removed |= (unsigned)surroundings[i].what;
		return true;
	}
	return false;
}

static void strip(struct bytes *in, unsigned *removed)
{
	while (in->len && strip_one(in, removed))
		;
}

static bool strip_quotes(struct bytes *in, unsigned *removed)
{
	size_t open = 0, close = 0;
	bool opens = false, closes = false;
	for (size_t i = 0; i < COUNT_OF(quotes) && !opens; i++)
		opens = starts_with(*in, quotes[i], &open);
	for (size_t i = 0; i < COUNT_OF(quotes) && !closes; i++)
		closes = ends_with(*in, quotes[i], &close);
	if (!opens || !closes || in->len < open + close)
		return false;
	in->at += open;
	in->len -= open + close;
	*removed |= REMOVED_QUOTES;
	return true;
}

static bool strip_word(struct bytes *in, const char *word, enum removed what, unsigned *removed)
{
	size_t len = strlen(word);
	if (in->len < len || strncasecmp((const char *)in->at, word, len) != 0)
		return false;
	in->at += len;
	in->len -= len;
	*removed |= (unsigned)what;
	return true;
}

/* Only with a blank of any kind behind it: a token may begin with these letters. */
static void strip_bearer(struct bytes *in, unsigned *removed)
{
	struct bytes rest = *in;
	unsigned with = *removed;
	if (!strip_word(&rest, "Bearer", REMOVED_BEARER, &with))
		return;
	size_t len = rest.len;
	strip(&rest, &with);
	if (rest.len == len)
		return;
	*in = rest;
	*removed = with;
}

/* Quotes may stand around the header line or around the token in it, but only one pair is taken. */
static struct bytes clean(struct bytes in, unsigned *removed)
{
	strip(&in, removed);
	bool unquoted = strip_quotes(&in, removed);
	strip(&in, removed);
	if (strip_word(&in, "Access-Token:", REMOVED_HEADER_NAME, removed))
		strip(&in, removed);
	strip_bearer(&in, removed);
	if (!unquoted && strip_quotes(&in, removed))
		strip(&in, removed);
	return in;
}

static bool is_all(struct bytes in, const char *allowed)
{
	for (size_t i = 0; i < in.len; i++)
		if (!in.at[i] || !strchr(allowed, in.at[i]))
			return false;
	return true;
}

static bool contains(struct bytes in, const char *what)
{
	return memmem(in.at, in.len, what, strlen(what)) != NULL;
}

bool paste_clean(const char *what, struct bytes pasted, size_t least, size_t most, struct secret **ret,
		 unsigned *ret_removed, struct error *err)
{
	unsigned removed = 0;
	struct bytes in = clean(pasted, &removed);
	for (size_t i = 0; i < in.len; i++)
		if (in.at[i] <= 0x20 || in.at[i] >= 0x7f)
			return fail(err, ERR_MALFORMED, TXT_PASTE_CHARACTERS, what);
	if (in.len == 0)
		return fail(err, ERR_MALFORMED, TXT_PASTE_EMPTY, what);
	if (in.len < least || in.len > most)
		return fail(err, ERR_MALFORMED, TXT_PASTE_LENGTH, what, in.len, least, most);
	if (!secret_copy(in, ret, err))
		return false;
	*ret_removed |= removed;
	return true;
}

static bool check_characters(struct bytes token, struct error *err)
{
	for (size_t i = 0; i < token.len; i++) {
		if (token.at[i] <= 0x20 || token.at[i] == 0x7f)
			return fail(err, ERR_MALFORMED, TXT_TOKEN_BLANK);
		if (token.at[i] >= 0x80)
			return fail(err, ERR_MALFORMED, TXT_TOKEN_ASCII);
	}
	return true;
}

static bool check_token(struct bytes token, struct error *err)
{
	size_t ignored;
	if (token.len == 0)
		return fail(err, ERR_MALFORMED, TXT_TOKEN_EMPTY);
	if (token.at[0] == '{' || token.at[0] == '[')
		return fail(err, ERR_MALFORMED, TXT_TOKEN_IS_JSON);
	if (contains(token, "://"))
		return fail(err, ERR_MALFORMED, TXT_TOKEN_IS_URL);
	if (!check_characters(token, err))
		return false;
	if (starts_with(token, "rft.", &ignored))
		return fail(err, ERR_MALFORMED, TXT_TOKEN_IS_REFRESH);
	if (token.len >= 17 && token.len <= 20 && is_all(token, DIGITS))
		return fail(err, ERR_MALFORMED, TXT_TOKEN_IS_ID);
	if (token.len == 20 && is_all(token, DIGITS "ABCDEFGHIJKLMNOPQRSTUV"))
		return fail(err, ERR_MALFORMED, TXT_TOKEN_IS_PIXEL);
	if (token.len < TOKEN_MIN)
		return fail(err, ERR_MALFORMED, TXT_TOKEN_SHORT, token.len);
	if (token.len > TOKEN_MAX)
		return fail(err, ERR_MALFORMED, TXT_TOKEN_LONG);
	return true;
}

bool token_clean(const struct secret *pasted, struct secret **ret, unsigned *ret_removed, struct error *err)
{
	unsigned removed = 0;
	struct bytes token = clean(secret_reveal(pasted), &removed);
	if (!check_token(token, err) || !secret_copy(token, ret, err))
		return false;
	*ret_removed = removed;
	return true;
}

const char *removed_name(enum removed one)
{
	switch (one) {
	case REMOVED_BLANKS:
		return "blanks";
	case REMOVED_LINE_ENDS:
		return "line-ends";
	case REMOVED_ZERO_WIDTH:
		return "zero-width";
	case REMOVED_BOM:
		return "byte-order-mark";
	case REMOVED_QUOTES:
		return "quotes";
	case REMOVED_BEARER:
		return "bearer";
	case REMOVED_HEADER_NAME:
		break;
	}
	return "header-name";
}

/* ---- families ---- */

static const char *const families[FAMILY_COUNT] = { "plain", "accounts", "login" };

const char *family_name(enum family f)
{
	return (unsigned)f < FAMILY_COUNT ? families[f] : "plain";
}

bool family_by_name(const char *name, enum family *ret)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		if (strcmp(families[i], name) == 0) {
			*ret = (enum family)i;
			return true;
		}
	return false;
}

static bool is_zero(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i])
			return false;
	return true;
}

bool version_has_token(const struct version *v)
{
	return v->renewal.family == FAMILY_PLAIN || !is_zero(v->digest, DIGEST_LEN);
}

bool version_has_grant(const struct version *v)
{
	return v->renewal.family != FAMILY_PLAIN && !is_zero(v->renewal.digest, DIGEST_LEN);
}

int64_t version_ends_at(const struct version *v)
{
	return v->expires_at ? v->expires_at : v->renewal.access_until;
}

const struct version *credential_renewable(const struct credential *c)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	if (!current)
		return pending && version_has_grant(pending) ? pending : NULL;
	if (current->renewal.family == FAMILY_PLAIN || version_has_grant(current))
		return current->renewal.family == FAMILY_PLAIN ? NULL : current;
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	return previous && version_has_grant(previous) && previous->renewal.family == current->renewal.family ? previous
													       : NULL;
}

enum stage credential_stage_of(const struct credential *c, uint32_t number)
{
	const struct version *v = credential_numbered(c, number);
	return v ? v->stage : STAGE_RETIRED;
}

const struct version *credential_unfetched(const struct credential *c)
{
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	return pending && !version_has_token(pending) && version_has_grant(pending) ? pending : NULL;
}

/* ---- versions and their stages ---- */

const struct version *credential_staged(const struct credential *c, enum stage stage)
{
	for (size_t i = c->version_count; i-- > 0;)
		if (c->versions[i].stage == stage)
			return &c->versions[i];
	return NULL;
}

struct version *credential_at_stage(struct credential *c, enum stage stage)
{
	for (size_t i = c->version_count; i-- > 0;)
		if (c->versions[i].stage == stage)
			return &c->versions[i];
	return NULL;
}

const struct version *credential_numbered(const struct credential *c, uint32_t number)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].number == number)
			return &c->versions[i];
	return NULL;
}

const struct version *credential_with_fingerprint(const struct credential *c,
						  const uint8_t fingerprint[FINGERPRINT_LEN])
{
	/* Newest first: the same token may have been retired long ago and put again since. */
	for (size_t i = c->version_count; i-- > 0;)
		if (memcmp(c->versions[i].fingerprint, fingerprint, FINGERPRINT_LEN) == 0)
			return &c->versions[i];
	return NULL;
}

static void move_stage(struct version *v, enum stage stage, int64_t now)
{
	v->stage = stage;
	v->staged_at = now;
	v->retire_by = 0;
	v->is_aside = false;
}

/* Pushed out by a newer one. What was promised to its readers, and of it, stays: taken from everybody by its deadline. */
static void push_out(struct version *v, int64_t now)
{
	int64_t retire_by = v->retire_by;
	move_stage(v, STAGE_RETIRED, now);
	v->retire_by = retire_by;
}

static void remove_version(struct credential *c, size_t i)
{
	memmove(&c->versions[i], &c->versions[i + 1], (c->version_count - i - 1) * sizeof c->versions[0]);
	c->version_count--;
}

static bool is_leaving(const struct version *v)
{
	return v->taken_at || v->retire_by;
}

static const struct version *oldest_retired(const struct credential *c, bool are_leaving)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].stage == STAGE_RETIRED && is_leaving(&c->versions[i]) == are_leaving)
			return &c->versions[i];
	return NULL;
}

/* One that was or shall be taken away waits for its end at TikTok: it goes last, and a line of it stays. */
static bool drop_oldest_retired(struct credential *c, int64_t now, uint32_t *ret_dropped)
{
	const struct version *oldest = oldest_retired(c, false);
	if (!oldest)
		oldest = oldest_retired(c, true);
	if (!oldest)
		return false;
	*ret_dropped = oldest->number;
	if (is_leaving(oldest))
		return credential_forget(c, oldest->number, false, now);
	remove_version(c, (size_t)(oldest - c->versions));
	return true;
}

/* At a stage that nobody holds after `outgoing` (NULL = nobody held it) is retired. */
static bool add_at(struct credential *c, enum stage stage, struct version *outgoing, const struct version *v, int64_t now,
		   uint32_t *ret_dropped, struct error *err)
{
	if (c->last_number == UINT32_MAX)
		return fail(err, ERR_UNEXPECTED, TXT_VERSIONS_FULL, c->pixel);
	if (outgoing)
		move_stage(outgoing, STAGE_RETIRED, now);
	*ret_dropped = 0;
	if (c->version_count == VERSIONS_MAX && !drop_oldest_retired(c, now, ret_dropped))
		return fail(err, ERR_UNEXPECTED, TXT_VERSIONS_FULL, c->pixel);
	/* The same token again is wanted again: nobody is to take it away, or to revoke it. */
	for (size_t i = 0; i < c->version_count; i++)
		if (memcmp(c->versions[i].fingerprint, v->fingerprint, FINGERPRINT_LEN) == 0)
			c->versions[i].retire_by = 0;
	struct version *added = &c->versions[c->version_count++];
	*added = *v;
	added->number = ++c->last_number;
	added->stored_at = now;
	move_stage(added, stage, now);
	return true;
}

bool credential_add(struct credential *c, const struct version *v, int64_t now, uint32_t *ret_number,
		    uint32_t *ret_dropped, struct error *err)
{
	if (!add_at(c, STAGE_PENDING, credential_at_stage(c, STAGE_PENDING), v, now, ret_dropped, err))
		return false;
	c->versions[c->version_count - 1].is_aside = v->is_aside;
	*ret_number = c->last_number;
	return true;
}

bool credential_replace(struct credential *c, const struct version *v, int64_t now, uint32_t *ret_number,
			uint32_t *ret_dropped, struct error *err)
{
	if (!add_at(c, STAGE_CURRENT, credential_at_stage(c, STAGE_CURRENT), v, now, ret_dropped, err))
		return false;
	credential_want_new(c, false, now);
	*ret_number = c->last_number;
	return true;
}

bool credential_renew(struct credential *c, uint32_t old, const struct version *v, int64_t now, uint32_t *ret_number,
		      uint32_t *ret_dropped)
{
	struct version *current = credential_at_stage(c, STAGE_CURRENT);
	struct version *previous = credential_at_stage(c, STAGE_PREVIOUS);
	if (!current || current->number != old || c->last_number == UINT32_MAX)
		return false;
	if (previous)
		push_out(previous, now);
	move_stage(current, STAGE_PREVIOUS, now);
	struct error ignored;
	if (!add_at(c, STAGE_CURRENT, NULL, v, now, ret_dropped, &ignored))
		return false;
	*ret_number = c->last_number;
	return true;
}

static void become_current(struct credential *c, struct version *v, int64_t now)
{
	struct version *current = credential_at_stage(c, STAGE_CURRENT);
	struct version *previous = credential_at_stage(c, STAGE_PREVIOUS);
	if (current && previous)
		push_out(previous, now);
	if (current)
		move_stage(current, STAGE_PREVIOUS, now);
	move_stage(v, STAGE_CURRENT, now);
}

bool credential_promote(struct credential *c, uint32_t number, int64_t now)
{
	struct version *pending = credential_at_stage(c, STAGE_PENDING);
	struct version *current = credential_at_stage(c, STAGE_CURRENT);
	struct version *standby = credential_at_stage(c, STAGE_STANDBY);
	if (!pending || pending->number != number || !version_has_token(pending))
		return false;
	if (!pending->is_aside || !current) {
		become_current(c, pending, now);
		credential_want_new(c, false, now);
		return true;
	}
	if (standby)
		move_stage(standby, STAGE_RETIRED, now);
	move_stage(pending, STAGE_STANDBY, now);
	return true;
}

void credential_recall(struct credential *c, bool is_aside, int64_t now)
{
	struct version *standby = credential_at_stage(c, STAGE_STANDBY);
	struct version *pending = credential_at_stage(c, STAGE_PENDING);
	if (!standby)
		return;
	if (pending)
		move_stage(pending, STAGE_RETIRED, now);
	move_stage(standby, STAGE_PENDING, now);
	standby->is_aside = is_aside;
}

bool credential_bring_in(struct credential *c, uint32_t number, int64_t now)
{
	struct version *standby = credential_at_stage(c, STAGE_STANDBY);
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	if (previous && previous->number == number)
		return credential_rollback(c, now);
	if (!standby || standby->number != number)
		return false;
	become_current(c, standby, now);
	return true;
}

bool credential_rollback(struct credential *c, int64_t now)
{
	struct version *current = credential_at_stage(c, STAGE_CURRENT);
	struct version *previous = credential_at_stage(c, STAGE_PREVIOUS);
	if (!previous)
		return false;
	if (current)
		move_stage(current, STAGE_PREVIOUS, now);
	move_stage(previous, STAGE_CURRENT, now);
	return true;
}

bool credential_retire(struct credential *c, uint32_t number, int64_t now)
{
	struct version *v = NULL;
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].number == number)
			v = &c->versions[i];
	if (!v || (v->stage != STAGE_PREVIOUS && !v->retire_by))
		return false;
	move_stage(v, STAGE_RETIRED, now);
	v->taken_at = now;
	return true;
}

bool credential_withdraw(struct credential *c, uint32_t number, int64_t now)
{
	struct version *pending = credential_at_stage(c, STAGE_PENDING);
	if (!pending || pending->number != number)
		return false;
	move_stage(pending, STAGE_RETIRED, now);
	return true;
}

bool credential_forget(struct credential *c, uint32_t number, bool is_dead, int64_t now)
{
	size_t i = 0;
	while (i < c->version_count && c->versions[i].number != number)
		i++;
	if (i == c->version_count || c->versions[i].stage != STAGE_RETIRED)
		return false;
	if (c->gone_count == GONE_MAX) {
		memmove(c->gone, c->gone + 1, (GONE_MAX - 1) * sizeof c->gone[0]);
		c->gone_count--;
	}
	const struct version *v = &c->versions[i];
	struct gone *gone = &c->gone[c->gone_count++];
	*gone = (struct gone){ v->number, v->stored_at, v->taken_at, now, is_dead, { 0 } };
	memcpy(gone->fingerprint, v->fingerprint, FINGERPRINT_LEN);
	remove_version(c, i);
	return true;
}

void credential_give_up(struct credential *c, uint32_t number, int64_t now)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].number == number && c->versions[i].stage != STAGE_RETIRED)
			move_stage(&c->versions[i], STAGE_RETIRED, now);
	(void)!credential_forget(c, number, false, now);
}

bool credential_fall_back(struct credential *c, int64_t now)
{
	struct version *previous = credential_at_stage(c, STAGE_PREVIOUS);
	if (!previous || !version_has_token(previous) || credential_at_stage(c, STAGE_CURRENT))
		return false;
	move_stage(previous, STAGE_CURRENT, now);
	return true;
}

bool credential_call_up(struct credential *c, uint32_t number, int64_t now)
{
	for (size_t i = 0; i < c->version_count; i++) {
		struct version *v = &c->versions[i];
		if (v->number != number)
			continue;
		if (v->stage != STAGE_RETIRED || v->taken_at || !version_has_token(v) || credential_at_stage(c, STAGE_CURRENT))
			return false;
		move_stage(v, STAGE_CURRENT, now);
		return true;
	}
	return false;
}

bool credential_insert(struct credential *c, const struct version *v)
{
	size_t i = 0;
	if (c->version_count == VERSIONS_MAX || v->number > c->last_number || credential_numbered(c, v->number))
		return false;
	while (i < c->version_count && c->versions[i].number < v->number)
		i++;
	memmove(&c->versions[i + 1], &c->versions[i], (c->version_count - i) * sizeof c->versions[0]);
	c->versions[i] = *v;
	c->version_count++;
	return true;
}

const struct version *credential_taken(const struct credential *c)
{
	for (size_t i = c->version_count; i-- > 0;)
		if (c->versions[i].taken_at)
			return &c->versions[i];
	return NULL;
}

/* ---- rotation ---- */

void credential_want_new(struct credential *c, bool is_wanted, int64_t now)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	c->rotate_from = is_wanted && current ? current->number : 0;
	c->rotate_since = is_wanted ? now : 0;
}

enum rotation credential_rotation(const struct credential *c)
{
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	if (pending && !pending->is_aside)
		return ROTATION_CAPTURED;
	if (c->rotate_since)
		return ROTATION_DUE;
	if (previous)
		return ROTATION_PROMOTED;
	return credential_taken(c) ? ROTATION_RETIRED : ROTATION_NONE;
}

const char *rotation_name(enum rotation r)
{
	static const char *const names[] = { NULL, "due", "captured", "promoted", "acked", "retired" };
	return (unsigned)r < COUNT_OF(names) ? names[r] : NULL;
}

/* ---- labels ---- */

bool credential_label(struct credential *c, const struct label *label, struct error *err)
{
	size_t i = 0;
	while (i < c->label_count && strcmp(c->labels[i].key, label->key) < 0)
		i++;
	bool is_there = i < c->label_count && strcmp(c->labels[i].key, label->key) == 0;
	if (!label->value[0]) {
		if (is_there) {
			memmove(&c->labels[i], &c->labels[i + 1], (c->label_count - i - 1) * sizeof c->labels[0]);
			c->label_count--;
		}
		return true;
	}
	if (!is_there) {
		if (c->label_count == LABELS_MAX)
			return fail(err, ERR_USAGE, TXT_LABELS_MANY, c->pixel);
		memmove(&c->labels[i + 1], &c->labels[i], (c->label_count - i) * sizeof c->labels[0]);
		c->label_count++;
	}
	c->labels[i] = *label;
	return true;
}

bool credential_has_label(const struct credential *c, const struct label *label)
{
	for (size_t i = 0; i < c->label_count; i++)
		if (strcmp(c->labels[i].key, label->key) == 0)
			return strcmp(c->labels[i].value, label->value) == 0;
	return false;
}

const char *stage_name(enum stage stage)
{
	static const char *const names[] = { "?", "pending", "current", "previous", "retired", "standby" };
	return (unsigned)stage < COUNT_OF(names) ? names[stage] : "?";
}

const char *fingerprint_text(const uint8_t fingerprint[FINGERPRINT_LEN], char text[FINGERPRINT_TEXT_MAX])
{
	/* No I, O, 0 or 1: read over a telephone. 40 bits are eight characters. */
	static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
	uint64_t bits = 0;
	for (size_t i = 0; i < 5; i++)
		bits = bits << 8 | fingerprint[i];
	char *p = text;
	memcpy(p, "tk-", 3), p += 3;
	for (size_t i = 0; i < 8; i++) {
		if (i == 4)
			*p++ = '-';
		*p++ = alphabet[bits >> (35 - 5 * i) & 31];
	}
	*p = '\0';
	return text;
}
