/* agent/head_start.h - what a check of everything leaves for the next one, so that this one asks while it still reads the
 * vault: the generation of which it is known that nothing in it comes before the Pixels, neither a listing token nor a
 * renewable pair. A vault that was changed since then is of another generation, and is read first. */
#ifndef AGENT_HEAD_START_H
#define AGENT_HEAD_START_H

#include "vault/vault.h"

struct head_start {
	uint64_t generation; /* 0 = nothing is known */
	uint32_t pairs;      /* there are as many to ask about */
};

/* Missing or unreadable: all zero. */
must_check bool head_start_read(struct vault *v, struct head_start *ret, struct error *err);
must_check bool head_start_store(struct vault *v, const struct head_start *h, struct error *err);

#endif
