#include "agent/detective.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum likeliness likeliness_of(const struct credential *c, const struct health *h)
{
	const struct judgement *j = health_speaking(h, c);
	if (j && j->verdict == VERDICT_MISMATCHED)
		return LIKELY_SWAPPED;
	bool is_served = credential_staged(c, STAGE_CURRENT) && j && j->verdict == VERDICT_HEALTHY;
	return is_served ? LIKELY_NOT : LIKELY_IN_NEED;
}

static void add(struct detective *d, enum likeliness likely, const char *pixel, const char *test_code)
{
	if (d->counts[likely] == COUNT_OF(d->candidates[likely]))
		return;
	struct candidate *candidate = &d->candidates[likely][d->counts[likely]++];
	snprintf(candidate->pixel, sizeof candidate->pixel, "%s", pixel);
	snprintf(candidate->test_code, sizeof candidate->test_code, "%s", test_code);
}

void detective_consider(struct detective *d, const struct credential *c, const struct health *h)
{
	add(d, likeliness_of(c, h), c->pixel, c->test_code);
}

void detective_point(struct detective *d, const char *pixel, const char *test_code)
{
	/* Nobody is asked twice: a candidate without a name is passed over. */
	for (size_t likely = 0; likely < LIKELY_COUNT; likely++)
		for (size_t i = 0; i < d->counts[likely]; i++)
			if (strcmp(d->candidates[likely][i].pixel, pixel) == 0)
				d->candidates[likely][i].pixel[0] = '\0';
	add(d, LIKELY_NOW, pixel, test_code);
}

void detective_forget(struct detective *d)
{
	memset(d->counts, 0, sizeof d->counts);
}

bool detective_convicts(enum probe_kind refuted_by, enum probe_kind tried_by, enum verdict outcome)
{
	if (outcome == VERDICT_HEALTHY)
		return true;
	return outcome == VERDICT_UNPROVEN && refuted_by == PROBE_DRY && tried_by == PROBE_DRY;
}

static bool consider(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	(void)err;
	detective_consider(context, c, h);
	return true;
}

bool detective_new(struct service *s, size_t budget, struct detective **ret, struct error *err)
{
	scoped(detective_freep) struct detective *d = calloc(1, sizeof *d);
	if (!d)
		return fail_no_memory(err);
	d->budget = budget;
	if (!vault_each(s->vault, true, false, consider, d, err))
		return false;
	*ret = take(d);
	return true;
}

void detective_freep(struct detective **d)
{
	free(*d);
	*d = NULL;
}

/* The verdict of the version of c that holds this very token. */
static enum verdict verdict_with(const struct credential *c, const struct health *h,
				 const uint8_t fingerprint[FINGERPRINT_LEN])
{
	const struct judgement *both[] = { &h->current, &h->pending };
	for (size_t i = 0; i < COUNT_OF(both); i++) {
		const struct version *v = credential_numbered(c, both[i]->version);
		if (v && memcmp(v->fingerprint, fingerprint, FINGERPRINT_LEN) == 0)
			return both[i]->verdict;
	}
	return VERDICT_UNCHECKED;
}

void detective_twin(struct service *s, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel,
		    char ret_pixel[PIXEL_CODE_MAX + 1])
{
	char twin[PIXEL_CODE_MAX + 1];
	struct credential c;
	struct health h;
	struct error ignored;
	ret_pixel[0] = '\0';
	for (size_t n = 0; !ret_pixel[0]; n++) {
		vault_nth_duplicate(s->vault, fingerprint, not_pixel, n, twin);
		if (!twin[0])
			return;
		if (!vault_find(s->vault, twin, false, &c, &ignored) || !vault_health(s->vault, &c, &h, &ignored))
			continue;
		enum verdict verdict = verdict_with(&c, &h, fingerprint);
		/* Nobody asked about it there: nothing is known. */
		if (verdict == VERDICT_HEALTHY || verdict == VERDICT_UNPROVEN)
			memcpy(ret_pixel, twin, sizeof twin);
	}
}

/* ---- one search ---- */

void search_begin(struct search *s, const struct secret *token, const char *not_pixel, enum probe_kind refuted_by,
		  size_t calls)
{
	*s = (struct search){ .token = token, .not_pixel = not_pixel, .refuted_by = refuted_by, .calls = calls };
}

/* The candidate at the cursor, which moves on; NULL behind the last. */
static const struct candidate *next_candidate(struct search *s, const struct detective *d)
{
	for (; s->likely < LIKELY_COUNT; s->likely++, s->at = 0)
		if (s->at < d->counts[s->likely])
			return &d->candidates[s->likely][s->at++];
	return NULL;
}

bool search_ask(struct search *s, struct detective *d, struct job *job)
{
	const struct candidate *candidate;
	while (!s->found[0] && (candidate = next_candidate(s, d))) {
		/* A dry try after a refusal by a proving probe could tell nothing. */
		if (!candidate->pixel[0] || strcmp(candidate->pixel, s->not_pixel) == 0 ||
		    (!candidate->test_code[0] && s->refuted_by != PROBE_DRY))
			continue;
		if (d->is_over || d->budget == 0 || s->calls == 0)
			return false;
		d->budget--;
		s->calls--;
		s->tried++;
		s->asked = candidate;
		s->tried_by = candidate->test_code[0] ? PROBE_TEST : PROBE_DRY;
		job_ask(job,
			&(struct question){ .kind = s->tried_by,
					    .pixel = candidate->pixel,
					    .test_code = candidate->test_code,
					    .token = s->token },
			false);
		return true;
	}
	return false;
}

void search_answer(struct search *s, struct detective *d, const struct asked *asked)
{
	d->is_over = d->is_over || verdict_is_transient(asked->finding.outcome);
	if (detective_convicts(s->refuted_by, s->tried_by, asked->finding.outcome))
		memcpy(s->found, s->asked->pixel, sizeof s->found);
}
