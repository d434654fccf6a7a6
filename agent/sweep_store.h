/* agent/sweep_store.h - a sweep's results on their way into the vault: many in one commit, and none told before it. */
#ifndef AGENT_SWEEP_STORE_H
#define AGENT_SWEEP_STORE_H

#include "agent/sweep_targets.h"

#define SWEEP_BATCH_MAX 256 /* with 64 in flight a commit takes no longer than what the courier has ahead of it */
#define SWEEP_BATCH_AGE_MS 500

struct known {
	struct {
		uint32_t version;
		enum verdict verdict;
		int64_t checked_at;
	} current, pending;
};

struct sweep_store {
	struct service *service;
	const struct check_request *request;
	struct check_result *result; /* newly_bad and promoted are counted here */
	struct targets *targets;
	struct health_update *updates; /* SWEEP_BATCH_MAX */
	uint32_t *owners;              /* whose they are */
	struct known *known;           /* what was held of them before: tells whether somebody else judged them since */
	size_t count;
	int64_t since_ms;
	/* While nobody else writes to the vault, what was collected behind this position holds. Set before it is. */
	struct vault_position at;
	bool has_moved;
};

must_check bool sweep_store_init(struct sweep_store *st, struct error *err); /* the first four are set */
void sweep_store_done(struct sweep_store *st);

/* One ruling. belongs_to is NULL or "" when it is not known. A good verdict on a pending token promotes it at once. */
must_check bool sweep_store_ruling(struct sweep_store *st, const struct pair *pair, enum ruling ruling,
				   const struct evidence *evidence, const char *belongs_to, struct error *err);

must_check bool sweep_store_flush(struct sweep_store *st, struct error *err);
must_check bool sweep_store_flush_old(struct sweep_store *st, int64_t now_ms, struct error *err);

#endif
