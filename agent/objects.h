/* agent/objects.h - the JSON objects that both faces print, CLI and socket, so that they cannot disagree. Pure.
 *
 * Each adds the members to an object that is open: {"schema":1 stands before, the end comes behind. */
#ifndef AGENT_OBJECTS_H
#define AGENT_OBJECTS_H

#include "agent/service.h"
#include "core/json.h"

/* put: pixel, version, stage, verdict, fingerprint, removed, belongs_to. */
void put_json(struct json *j, const struct put_result *r);

/* swap: swapped, two objects of put; move: from (pixel, version, stage), moved, an object of put. */
void swap_json(struct json *j, const struct swap_result *r);

/* What became of a token that TikTok refused or did not judge, put or (stage previous) about to come back by a rollback, as a
 * failure of r->exit: message and what to do.
 * current: the version that consumers get meanwhile, 0 = none. */
must_check bool put_refusal(const struct put_result *r, uint32_t current, struct error *err);

/* history: pixel, created_at, deleted_at, destroyed, rotation, versions, verdicts. */
void history_json(struct json *j, const struct credential *c, const struct health *h);

/* verify: generation, pixels, tokens, nodes, disposable, rubbish, faults. */
/* The whole object of `match --json`: struct match, one behind the other. */
void matches_json(struct json *j, struct bytes matches);
void verify_json(struct json *j, const struct verify_report *r);

/* get: pixel, version, token, fingerprint, verdict, proven_at, expires_at. The buf behind j then holds the token. */
struct token_facts {
	const char *pixel;
	uint32_t version;
	const uint8_t *fingerprint;
	enum verdict verdict;
	int64_t proven_at, expires_at;
};
void token_json(struct json *j, const struct token_facts *facts, const struct secret *token);

/* What became of a listing token that was put: listing, version, stage, verdict, fingerprint, removed, unchanged, pages,
 * listed, stored, outcome, message, advice. */
void list_put_json(struct json *j, const struct list_result *r);
/* It was refused, or not judged beside one that works. Always false. */
bool list_refusal(const struct list_result *r, struct error *err);

#endif
