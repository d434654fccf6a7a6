/* agent/sweep_targets.h - what a sweep is about: the Pixels that match, kept small (300 bytes each, for a hundred
 * thousand of them), and the pairs to ask about. */
#ifndef AGENT_SWEEP_TARGETS_H
#define AGENT_SWEEP_TARGETS_H

#include "agent/service_own.h"
#include "agent/sweep.h"

#define NO_SLOT UINT32_MAX

/* What a sweep needs of a version: half of a struct version. */
struct target_version {
	uint32_t number; /* 0 = none */
	uint8_t stage, family;
	bool is_refused; /* TikTok renews it no more */
	int64_t stored_at, staged_at, expires_at;
	uint8_t fingerprint[FINGERPRINT_LEN], digest[DIGEST_LEN];
};

struct target {
	char pixel[PIXEL_CODE_MAX + 1];
	char test_code[TEST_CODE_MAX + 1];
	struct target_version current, pending;
	enum verdict spoke;              /* the Pixel's verdict as stored */
	enum verdict transient;          /* what this sweep got instead of a verdict; VERDICT_UNCHECKED = nothing */
	bool is_due;
	bool may_need_upkeep; /* whatever the sweep finds */
	uint8_t renewal; /* enum renewal_need */
	uint32_t slot; /* its place in the batch to be stored, or NO_SLOT */
	/* Its health as it was found, encoded (a third of a KiB, not one and a half); NULL = read it from the vault.
	 * Reading ten thousand of them a second time costs a tenth of a whole sweep. */
	uint8_t *health;
	uint32_t health_len;
};

struct targets {
	struct target *at;
	struct pair *pairs;
	size_t count, room, pair_count, pair_room;
	size_t listed; /* left out, as a list judged them a moment ago */
	size_t decoys; /* left out: nobody named them */
	struct vault_walk *walk; /* NULL = nobody is left to be collected */
	char first[PIXEL_CODE_MAX + 1]; /* "" or who was collected ahead of all others */
};

/* One pass over the vault, or a look at each Pixel named: ERR_NOT_FOUND for one that is not stored. Pairs come out in
 * the order of the store, that is of keyed ids: fixed for a Pixel, random to everybody else, and what lies side by side
 * is read and written side by side. Asked are the current tokens, and the pending ones that nobody refused yet. */
must_check bool targets_collect(struct service *s, const struct check_request *request, struct targets *ret,
				struct error *err);
void targets_done(struct targets *t);

/* The same of everything, a portion at a time: first one Pixel by name, then with each call some of the others, until
 * t->walk is NULL. What grows moves. Whoever was put meanwhile is among them or is not; of a family, he is not. */
must_check bool targets_begin(struct service *s, const struct check_request *request, const char *first, struct targets *ret,
			      struct error *err);
must_check bool targets_more(struct service *s, const struct check_request *request, struct targets *t, struct error *err);

/* As much of the credential as health and tokens need. */
void target_credential(const struct target *t, struct credential *ret);

/* The Pixel's versions as they are now. */
void target_learn(struct target *t, const struct credential *c);

/* The health found with it; false when it has to be read again, as it has after target_forget_health. */
must_check bool target_health(const struct target *t, struct health *ret);
void target_forget_health(struct target *t);

/* Does this version speak for the Pixel? */
bool target_speaks(const struct target *t, uint32_t version);

#endif
