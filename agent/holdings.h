/* agent/holdings.h - what the keeper has in memory: of every Pixel the sealed current and previous token, its metadata and its
 * health, so that a read touches no disk. Belongs to the keeper's event loop alone: no locks.
 *
 * Filled by the worker (agent/worker.h), which proves each record before it hands it over. Tokens are sealed, under a key of
 * this process's own (vault_opener_wrap); they are opened for one reply. */
#ifndef AGENT_HOLDINGS_H
#define AGENT_HOLDINGS_H

#include "core/bytes.h"
#include "core/error.h"
#include "core/secret.h"
#include "vault/vault.h"

/* One Pixel, in one block of memory, never changed once made: a change replaces it. */
struct holding {
	/* What every read looks at comes first, and `sealed` right behind the struct: of many thousand Pixels few are in a
	 * processor's cache. */
	char pixel[PIXEL_CODE_MAX + 1];
	bool is_decoy, is_due;
	bool names_another; /* its health says which other Pixel a token of it belongs to */
	bool has_log_id;
	uint32_t current; /* version numbers; 0 = none */
	enum verdict current_verdict;
	int64_t proven_at, expires_at; /* of current */
	uint8_t fingerprint[FINGERPRINT_LEN];
	uint8_t log_id[PIXEL_ID_LEN]; /* what stands for it in the audit log; filled by who made it, as id is */
	struct bytes sealed;          /* the token, as vault_opener_wrap made it; empty = none */
	/* and what they do not */
	uint32_t previous, pending;
	enum verdict verdict; /* the one that speaks for the Pixel */
	uint8_t previous_fingerprint[FINGERPRINT_LEN];
	uint8_t id[PIXEL_ID_LEN]; /* what stands for it in the store; filled by who made it, before it is put */
	struct bytes credential, health; /* as credential_encode and health_encode write them */
	struct bytes previous_sealed;
};

/* All that is known, decoded. */
must_check bool holding_decode(const struct holding *h, struct credential *ret_credential, struct health *ret_health);
/* Does it carry this label? Without decoding all. Fits struct access_subject. */
bool holding_has_label(const void *holding, const struct label *label);

struct holdings;
must_check bool holdings_new(struct holdings **ret, struct error *err);
void holdings_free(struct holdings *hs);

/* Make one from proven records. sealed tokens may be empty. The caller frees it with holding_free unless it is put. */
must_check bool holding_new(const struct credential *c, const struct health *h, bool is_due, struct bytes sealed,
			    struct bytes previous_sealed, struct holding **ret, struct error *err);
void holding_free(struct holding *h);

/* Takes the holding over; *ret_before is what it replaces (NULL = new), to be freed by the caller. */
must_check bool holdings_put(struct holdings *hs, struct holding *h, struct holding **ret_before, struct error *err);
/* Before the whole vault is read in: order is made when it is first asked for. */
void holdings_expect_many(struct holdings *hs);
struct holding *holdings_remove(struct holdings *hs, const char *pixel); /* the caller frees; NULL = was not there */
void holdings_clear(struct holdings *hs);

/* Pixels whose metadata are damaged: nothing but the id is known, so nobody can say of an unknown code that it is not
 * stored. What is held of one is dropped (returned, to be freed by the caller). */
must_check bool holdings_note_damage(struct holdings *hs, const uint8_t id[PIXEL_ID_LEN], const struct error *damage,
				     struct holding **ret_before, struct error *err);
void holdings_forget_damage(struct holdings *hs, const uint8_t id[PIXEL_ID_LEN]);
size_t holdings_damaged(const struct holdings *hs);
/* Of the first one in the store's order, as whoever reads all of the vault meets it; NULL = none. */
const struct error *holdings_damage(const struct holdings *hs);

const struct holding *holdings_find(const struct holdings *hs, const char *pixel); /* NULL = none */
size_t holdings_count(const struct holdings *hs);
size_t holdings_with_verdict(const struct holdings *hs, enum verdict v);
size_t holdings_due(const struct holdings *hs);

/* In order of Pixel code: the first one behind `after` ("" = from the start); NULL at the end. Good across changes, so
 * that a long listing can be written piece by piece. */
const struct holding *holdings_after(struct holdings *hs, const char *after);

#endif
