/* tests/emulator/world.h - what this TikTok knows and what it saw: pixels, tokens, knobs, faults, counters and the log.
 * One mutex: every function here expects it to be held (world_lock) unless it says otherwise. Things are never
 * removed, only marked, so a pointer into the world stays good until world_free. Opens no sockets. */
#ifndef EMULATOR_WORLD_H
#define EMULATOR_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/emulator/knob.h"
#include "tests/emulator/table.h"
#include "tests/emulator/text.h"

enum { ID_MAX = 40, FAULT_RULE_MAX = 64, JOURNAL_MAX = 100000, NAME_MAX_SEEN = 200 };

struct pixel {
	char *code;
	uint32_t number;            /* place in world->pixels, the order of creation */
	bool exists;                /* false: only counted, because somebody asked for this code */
	char id[ID_MAX], advertiser[ID_MAX], bc[ID_MAX];
	char relation[ID_MAX];      /* BOUND UNBOUND PENDING REJECTED */
	char status[ID_MAX];        /* null TRANSFERRED SHARED UNBOUND */
	uint64_t events, test, dry, refused;
};

enum token_kind { TOKEN_EVENTS, TOKEN_MARKETING, TOKEN_TT_USER, TOKEN_LOGIN, TOKEN_REFRESH, TOKEN_AUTH_CODE, TOKEN_KIND_COUNT };
extern const char *const token_kind_names[TOKEN_KIND_COUNT];

struct token {
	char *value;
	enum token_kind kind;
	enum token_kind mints;      /* refresh tokens and auth codes: the kind they are exchanged for */
	int64_t expires_at;         /* Unix seconds, 0 = never */
	bool is_revoked, is_expired;
	char scopes[ID_MAX];        /* "1,2,8": the numbers of tiktok-api.md §4.1 */
	uint32_t *pixels;           /* numbers, ascending */
	size_t pixel_count, pixel_cap;
};

struct fault_row;
struct fault_rule {
	const struct fault_row *row;
	int code;                   /* of code-NNNNN */
	long times;                 /* left; -1 = for ever */
	long after;                 /* matching requests still let through */
	bool works;                 /* do what was asked, then spoil the answer */
	char path[NAME_MAX_SEEN], pixel[NAME_MAX_SEEN]; /* "" = any */
};

struct totals {
	uint64_t requests, connections, handshakes_failed, bad_cert_bytes, other_connections, other_requests, other_tokens;
	long in_flight, max_in_flight;
};

struct world {
	pthread_mutex_t mutex;
	struct table pixels_by_code, tokens;
	struct pixel **pixels;
	size_t pixel_count, pixel_cap;
	struct knob knobs[KNOB_COUNT];
	struct fault_rule faults[FAULT_RULE_MAX]; /* newest last */
	size_t fault_count;
	struct totals totals;
	char **journal;             /* ring of JOURNAL_MAX lines */
	uint64_t journal_count;
	struct text line;           /* where the log line is built */
	struct text last_head, last_body;
	int64_t throttle_started_ms;
	long throttle_seen;
	int64_t started_ms;
	_Atomic uint64_t ids;       /* state of the request ids and minted tokens */
	char other_base_url[128];   /* set before the first connection, then constant */
};

struct world *world_new(void);
void world_free(struct world *w);
void world_lock(struct world *w);
void world_unlock(struct world *w);

int64_t monotonic_ms(void);                                   /* no lock needed */
void world_hex(struct world *w, char *ret, size_t digits);    /* upper-case hex digits and a NUL; no lock needed */

/* Pixels. world_pixel makes a missing one (real: it exists from now on); a made one has ids derived from its code. */
struct pixel *world_pixel(struct world *w, const char *code, bool real);
struct pixel *world_find_pixel(struct world *w, const char *code); /* NULL unless it exists */

/* Tokens. world_token makes or empties one. */
struct token *world_token(struct world *w, const char *value, enum token_kind kind);
struct token *world_find_token(struct world *w, const char *value);
void token_grant(struct token *t, uint32_t pixel);
void token_ungrant(struct token *t, uint32_t pixel);
bool token_reaches(const struct token *t, uint32_t pixel);
bool token_has_scope(const struct token *t, const char *scope);
void token_copy_rights(struct token *to, const struct token *from);

/* Has this request used up the throttle's window? Counts it. */
bool world_is_throttled(struct world *w, int *ret_code);

/* The fault for this request, used up by one, or false. `path` NULL: a new connection, where only `refuse` counts. */
bool world_take_fault(struct world *w, const char *path, const char *pixel, struct fault_rule *ret);

/* Append a line to the log. */
void world_note(struct world *w, const char *line);

/* Knobs to their defaults; counters, log and faults forgotten. Pixels and tokens stay. */
void world_reset(struct world *w);

#endif
