/* cli/handout.h - a token on its way to whoever asked: which version, may it go, who is told. Shared by get and run. */
#ifndef CLI_HANDOUT_H
#define CLI_HANDOUT_H

#include "cli/command.h"

struct handout_request {
	const char *pixel;
	bool has_number, is_previous; /* neither: current */
	uint32_t number;
	bool must_be_healthy;
	const char *reader; /* --as; NULL = known by user and unit */
	bool is_look;       /* a person looks: that is no consumer */
	const char *verb;   /* what the audit log calls this: a literal */
	bool is_last;       /* nothing else is asked of an agent after it */
};

struct handout {
	struct credential credential;
	const struct version *version; /* inside credential */
	enum verdict verdict;
	int64_t proven_at;
	struct secret *token;
};

/* Finds the token and says on stderr when TikTok refuses it: a false alarm must never stop a sender, so the verdict
 * only refuses when must_be_healthy. ERR_NOT_FOUND names a token that waits as pending, and why. */
must_check bool handout_take(struct invocation *inv, const struct handout_request *request, struct handout *ret,
			     struct error *err);
void handout_done(struct handout *h);

/* Through an agent instead, with the same words on stderr: the token, or (as_json) the object of `get --json`. */
must_check bool handout_fetch(struct invocation *inv, const struct handout_request *request, bool as_json,
			      struct secret **ret, struct error *err);

#endif
