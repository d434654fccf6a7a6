/* vault/credential.h - what we keep for a Pixel, and the moves a token may make. Pure: no store, no clock, no network.
 *
 * A Pixel has versions: one token each, numbered from 1, never reused. A version has a stage:
 *
 *     pending ──promote──▶ current ──next promote──▶ previous ──next promote, or retire──▶ retired
 *        │                    ◀──────rollback──────▶                                        ▲
 *        └──────────────────── a newer put ─────────────────────────────────────────────────┘
 *
 * A pending one that was put aside (is_aside) is not promoted to current but to standby: proven, and given to nobody until
 * the current one is found dead (agent/upkeep.h). A newer standby retires it.
 *
 * At most one version is pending, one current, one previous, one standby. Consumers are only ever given `current` (or what they ask
 * for by number), so a new token never takes a working one away before it was judged.
 *
 * A rotation is not a second state beside these moves, it is read from them, so it is resumed wherever it was left:
 *
 *     due ──a token is put──▶ captured ──TikTok does not refuse it──▶ promoted ──▶ acked ──▶ retired ──▶ gone
 *
 * due: somebody asked for a new token (rotate_since); captured: it is pending; promoted: it is current, and the old one
 * previous; acked: no consumer was last seen with the old one; retired: the old one is given to nobody any more
 * (taken_at); gone: its token was deleted, once TikTok no longer took it or after a time, and a line of it stays.
 *
 * Formats: the Pixel code is what TikTok shows in Events Manager (20 characters 0-9A-V in all seen so far;
 * undocumented, so the strict shape only warns), the token is opaque. Source: TikTok's Events API documents and public
 * integrations, read 2026-11-22. */
#ifndef VAULT_CREDENTIAL_H
#define VAULT_CREDENTIAL_H

#include "core/error.h"
#include "core/secret.h"

#include <stdint.h>

#define PIXEL_CODE_MIN 8
#define PIXEL_CODE_MAX 40
#define TOKEN_MIN 8
#define TOKEN_MAX 4095
#define TOKEN_INPUT_MAX 16384 /* what we read before cleaning */
#define LABELS_MAX 16
#define LABEL_KEY_MAX 32
#define LABEL_VALUE_MAX 64
#define TEST_CODE_MAX 64
#define VERSIONS_MAX 16
#define GONE_MAX 8
#define FINGERPRINT_LEN 16
#define DIGEST_LEN 32

/* How a token is renewed: by a person only, or by a refresh token of TikTok's Accounts API or Login Kit. Numbers are
 * stored: only add. */
enum family { FAMILY_PLAIN = 0, FAMILY_ACCOUNTS, FAMILY_LOGIN, FAMILY_COUNT };

/* What is known, in clear metadata, of that which renews a token. The secrets of it, refresh token, client id and client
 * secret, lie in a record of their own (vault/grant.h), which no read path opens. All zero for a plain token. */
struct renewal {
	enum family family;
	int64_t issued_at;    /* when TikTok gave the pair, or a person brought it */
	int64_t access_until; /* 0 = unknown */
	int64_t refresh_until;
	int64_t asked_at;   /* a new pair was asked for and no answer is known of: it may have been lost; 0 = nothing is open */
	int64_t refused_at; /* TikTok renews it no more; 0 = it was not said */
	uint8_t fingerprint[FINGERPRINT_LEN]; /* of the refresh token; stays when the record is gone */
	uint8_t digest[DIGEST_LEN];           /* of the sealed record; zero = it was replaced by a newer version's */
};

enum stage { STAGE_PENDING = 1, STAGE_CURRENT, STAGE_PREVIOUS, STAGE_RETIRED, STAGE_STANDBY };

struct version {
	uint32_t number;
	enum stage stage;
	int64_t stored_at;
	int64_t staged_at;  /* when it came to its present stage */
	int64_t expires_at; /* what the person told us, 0 = unknown */
	int64_t retire_by;  /* of previous, and when that was pushed out: taken away at the latest then; 0 = nobody asked for it */
	bool is_aside;      /* of pending: it shall be standby */
	int64_t taken_at;   /* of retired: given to nobody since then; 0 = pushed out by newer ones, still given by number */
	uint8_t fingerprint[FINGERPRINT_LEN];
	uint8_t digest[DIGEST_LEN]; /* of the sealed token: proves it through the metadata */
	struct renewal renewal;
};

/* A version whose token was deleted. */
struct gone {
	uint32_t number;
	int64_t stored_at, taken_at, gone_at;
	bool is_dead; /* TikTok took it no longer; else its time was over */
	uint8_t fingerprint[FINGERPRINT_LEN];
};

struct label {
	char key[LABEL_KEY_MAX + 1];
	char value[LABEL_VALUE_MAX + 1];
};

struct credential {
	char pixel[PIXEL_CODE_MAX + 1];
	int64_t created_at;
	int64_t deleted_at;                /* soft delete; 0 = alive */
	bool is_destroyed;                 /* tokens gone for good; the record stays so that numbers are never reused */
	char test_code[TEST_CODE_MAX + 1]; /* "" = none */
	uint32_t last_number;              /* highest number ever given; only grows */
	size_t label_count;
	struct label labels[LABELS_MAX]; /* sorted by key */
	size_t version_count;
	struct version versions[VERSIONS_MAX]; /* ascending by number */
	uint32_t rotate_from;                  /* the version that shall be replaced; 0 = there was none */
	int64_t rotate_since;                  /* 0 = nobody asked for a new token */
	size_t gone_count;
	struct gone gone[GONE_MAX]; /* oldest first */
};

/* ERR_MALFORMED with the hint that fits the mistake (lower case, the numeric id, a token in the wrong place). */
must_check bool pixel_check(const char *text, struct error *err);
bool pixel_has_known_shape(const char *text); /* else warn: 20 characters 0-9A-V ending in 0 or G */

/* A listing token is stored as a Pixel's is, under a name that no Pixel code can be: "bc:" or "advertiser:" and the
 * numeric id of the Business Center or ad account whose Pixels it lists. Whatever walks over Pixels passes it over. */
#define LIST_NAME_MAX 31
must_check bool list_check(const char *text, struct error *err);
bool name_is_list(const char *name);
/* Behind the colon. */
const char *list_id(const char *name);
bool list_is_center(const char *name); /* a Business Center's, else an ad account's */

must_check bool test_code_check(const char *text, struct error *err);
must_check bool label_parse(const char *text, struct label *ret, struct error *err); /* "key=value"; "key=" is empty */

/* ---- consumers ---- */

#define CONSUMER_NAME_MAX 64
/* A name that somebody chose, --as: 1-64 of [A-Za-z0-9_.@:/-]. uid: and unit: begin the names of those who chose none
 * (agent/consumer.h). */
must_check bool consumer_name_check(const char *text, struct error *err);

/* A consumer, and which version it was last seen with. */
struct read_mark {
	char name[CONSUMER_NAME_MAX + 1];
	uint32_t version;
	int64_t at;
	bool is_acked; /* it said itself that it uses this version */
	bool has_uid;  /* older programs wrote none */
	uint32_t uid;  /* whose process it was */
};

const char *family_name(enum family f);                    /* "plain", "accounts", "login" */
must_check bool family_by_name(const char *name, enum family *ret);

/* A pending version of a family may wait for its first token: it was stored so that the refresh token is safe. */
bool version_has_token(const struct version *v);
bool version_has_grant(const struct version *v);
/* STAGE_RETIRED when there is none of this number (any more). */
enum stage credential_stage_of(const struct credential *c, uint32_t number);
/* When its token ends, as far as anybody said: the person, else TikTok. 0 = unknown. */
int64_t version_ends_at(const struct version *v);
/* The version whose refresh token renews what consumers get: current's, or, where current is an older token of the same
 * family that came back, the newest that has one; without a current one the pending. NULL = none. */
const struct version *credential_renewable(const struct credential *c);
/* The pending version, while it waits for its first token. NULL = none. */
const struct version *credential_unfetched(const struct credential *c);

/* What cleaning took away; each bit has a name for people and JSON. */
enum removed {
	REMOVED_BLANKS = 1 << 0,
	REMOVED_LINE_ENDS = 1 << 1,
	REMOVED_ZERO_WIDTH = 1 << 2,
	REMOVED_BOM = 1 << 3,
	REMOVED_QUOTES = 1 << 4,
	REMOVED_BEARER = 1 << 5,
	REMOVED_HEADER_NAME = 1 << 6,
};
const char *removed_name(enum removed one); /* "blanks", "line-ends", "zero-width", "byte-order-mark", "quotes",
					       "bearer", "header-name" */

/* Clean what somebody pasted: surrounding blanks of any kind, line ends, byte order mark, one pair of plain or
 * typographic quotes, a leading "Bearer " or "Access-Token:". *ret is a new secret. ERR_MALFORMED says what is wrong
 * without showing any of it. */
must_check bool token_clean(const struct secret *pasted, struct secret **ret, unsigned *ret_removed, struct error *err);

/* The same for another secret that is pasted; what names it in messages. Refused: empty, blanks inside, anything but
 * printable ASCII, shorter than least or longer than most. */
must_check bool paste_clean(const char *what, struct bytes pasted, size_t least, size_t most, struct secret **ret,
			    unsigned *ret_removed, struct error *err);

/* NULL when there is none. */
struct version *credential_at_stage(struct credential *c, enum stage stage);
const struct version *credential_staged(const struct credential *c, enum stage stage);
const struct version *credential_numbered(const struct credential *c, uint32_t number);
const struct version *credential_with_fingerprint(const struct credential *c,
						  const uint8_t fingerprint[FINGERPRINT_LEN]);

/* Add a version as pending, retiring an earlier pending one. When all places are taken the oldest retired one is
 * dropped and its number given in *ret_dropped (0 = none), so that its token can be deleted in the same commit. */
must_check bool credential_add(struct credential *c, const struct version *v, int64_t now, uint32_t *ret_number,
			       uint32_t *ret_dropped, struct error *err);

/* pending -> current, current -> previous, previous -> retired; one that was put aside, while there is a current one:
 * pending -> standby, an earlier standby -> retired. False when `number` is not pending, or has no
 * token. */
must_check bool credential_promote(struct credential *c, uint32_t number, int64_t now);
/* standby -> pending, to be judged anew; an earlier pending one -> retired. */
void credential_recall(struct credential *c, bool is_aside, int64_t now);

/* A refresh brought a token: it is current at once, the old current previous, the old previous retired; a pending one
 * stays. False when `old` is not current any more: what was brought belongs to a pair that was replaced. */
must_check bool credential_renew(struct credential *c, uint32_t old, const struct version *v, int64_t now,
				 uint32_t *ret_number, uint32_t *ret_dropped);

/* previous -> current, current -> previous. False when there is no previous. */
must_check bool credential_rollback(struct credential *c, int64_t now);
/* standby -> current, current -> previous, previous -> retired; or, where `number` is previous, credential_rollback. */
must_check bool credential_bring_in(struct credential *c, uint32_t number, int64_t now);
/* previous -> retired, and given to nobody any more; also one that was pushed out while it waited for that. False when
 * `number` is neither. */
must_check bool credential_retire(struct credential *c, uint32_t number, int64_t now);
/* v takes the place of the current version, whose token turned out to be another Pixel's: that one is retired, previous
 * and pending stay what they are. ret_dropped as of credential_add. */
must_check bool credential_replace(struct credential *c, const struct version *v, int64_t now, uint32_t *ret_number,
				   uint32_t *ret_dropped, struct error *err);
/* pending -> retired: it waits no longer. False when `number` is not pending. */
must_check bool credential_withdraw(struct credential *c, uint32_t number, int64_t now);
/* A retired version leaves the list; what is known of it stays, of the last GONE_MAX. False when it is not retired. */
must_check bool credential_forget(struct credential *c, uint32_t number, bool is_dead, int64_t now);

/* A version whose token is lost leaves the list, whatever its stage; what is known of it stays, as above. */
void credential_give_up(struct credential *c, uint32_t number, int64_t now);
/* previous -> current where there is no current any more. False when there is no previous, or it has no token. */
must_check bool credential_fall_back(struct credential *c, int64_t now);
/* The same of a retired one that was not taken from anybody. */
must_check bool credential_call_up(struct credential *c, uint32_t number, int64_t now);
/* v with its own number and stage. False when the number is taken, or was never given, or all places are. */
must_check bool credential_insert(struct credential *c, const struct version *v);

/* The newest version that was taken from everybody and is kept still; NULL = none. */
const struct version *credential_taken(const struct credential *c);

/* Ask for a new token in place of the current one, or take that back. What promotes one answers it. */
void credential_want_new(struct credential *c, bool is_wanted, int64_t now);

/* How far a rotation has come, as far as the credential alone can tell: captured, promoted and retired also without
 * anybody having asked for it. */
enum rotation { ROTATION_NONE, ROTATION_DUE, ROTATION_CAPTURED, ROTATION_PROMOTED, ROTATION_ACKED, ROTATION_RETIRED };
enum rotation credential_rotation(const struct credential *c);
const char *rotation_name(enum rotation r); /* "due", ...; NULL for none */

/* Set or (empty value) remove. ERR_USAGE when there would be more than LABELS_MAX. */
must_check bool credential_label(struct credential *c, const struct label *label, struct error *err);
bool credential_has_label(const struct credential *c, const struct label *label);

const char *stage_name(enum stage stage);

#define FINGERPRINT_TEXT_MAX 16
/* "tk-7Q2M-9FKD": the first 40 bits, for people; decides nothing. */
const char *fingerprint_text(const uint8_t fingerprint[FINGERPRINT_LEN], char text[FINGERPRINT_TEXT_MAX]);

#endif
