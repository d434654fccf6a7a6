/* agent/detective.h - whose token is this? A token refused for one Pixel is tried with the other stored Pixels.
 *
 * The commonest accident is two tokens swapped, the next a token pasted twice. Each try is a real call, so there is a
 * budget, and whoever is most likely comes first: Pixels that lack a working token.
 *
 * What a try proves: a test probe that is accepted proves the pair. A dry probe that is not refused names a Pixel only
 * when a dry probe refused the first pair - then TikTok looks at the pair before it looks at the parameters. */
#ifndef AGENT_DETECTIVE_H
#define AGENT_DETECTIVE_H

#include "agent/service_own.h"

#define DETECTIVE_BUDGET_PUT 16
#define DETECTIVE_BUDGET_SWEEP 64

/* Refused in this very sweep; refused before; without a proven token; served well. */
enum likeliness { LIKELY_NOW = 0, LIKELY_SWAPPED, LIKELY_IN_NEED, LIKELY_NOT, LIKELY_COUNT };

struct candidate {
	char pixel[PIXEL_CODE_MAX + 1];
	char test_code[TEST_CODE_MAX + 1];
};

struct detective {
	size_t budget; /* calls left */
	bool is_over;  /* TikTok has other worries, or we were told to stop: no more calls */
	size_t counts[LIKELY_COUNT];
	struct candidate candidates[LIKELY_COUNT][DETECTIVE_BUDGET_SWEEP + 1];
};

/* Pure: remember a Pixel as one a stray token may belong to. */
void detective_consider(struct detective *d, const struct credential *c, const struct health *h);

/* Pure: this one first, it was just refused for a Pixel that is not its own. */
void detective_point(struct detective *d, const char *pixel, const char *test_code);

/* Pure: no candidates any more; the budget stays. */
void detective_forget(struct detective *d);

/* Pure: does this answer of a try name the Pixel? */
bool detective_convicts(enum probe_kind refuted_by, enum probe_kind tried_by, enum verdict outcome);

/* Reads the candidates from the vault. */
must_check bool detective_new(struct service *s, size_t budget, struct detective **ret, struct error *err);
void detective_freep(struct detective **d);

/* Another Pixel that holds the same token and was not refuted with it; no calls. "" when there is none. */
void detective_twin(struct service *s, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel,
		    char ret_pixel[PIXEL_CODE_MAX + 1]);

/* One token's search, a question at a time. Borrows the token, not_pixel and, between question and answer, the
 * detective's candidates. */
struct search {
	const struct secret *token;
	const char *not_pixel;
	enum probe_kind refuted_by, tried_by;
	size_t calls; /* left for this token */
	size_t tried; /* calls made */
	size_t likely, at;
	const struct candidate *asked;
	char found[PIXEL_CODE_MAX + 1]; /* "" = nobody yet */
};
void search_begin(struct search *s, const struct secret *token, const char *not_pixel, enum probe_kind refuted_by,
		  size_t calls);
/* Asks about the next candidate (job_ask). False: the search is over, see `found`. */
bool search_ask(struct search *s, struct detective *d, struct job *job);
void search_answer(struct search *s, struct detective *d, const struct asked *asked);

#endif
