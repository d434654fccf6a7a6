#include "agent/mend.h"

#include <string.h>

static bool is_stored(const struct holder *of)
{
	const struct credential *c = of->credential;
	return c && !c->deleted_at && !c->is_destroyed;
}

/* The judgement of current, then that of pending; NULL where there is no such version. */
static const struct judgement *judgement_at(const struct holder *of, size_t i)
{
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING };
	const struct version *v = credential_staged(of->credential, stages[i]);
	const struct judgement *j = stages[i] == STAGE_CURRENT ? &of->health->current : &of->health->pending;
	return v && j->version == v->number ? j : NULL;
}

/* Refused as another Pixel's: of `owner`, or ("") of nobody who is known. */
static const struct version *refused_version(const struct holder *of, const char *owner)
{
	for (size_t i = 0; i < 2; i++) {
		const struct judgement *j = judgement_at(of, i);
		if (j && j->verdict == VERDICT_MISMATCHED && strcmp(j->belongs_to, owner) == 0)
			return credential_numbered(of->credential, j->version);
	}
	return NULL;
}

const struct version *mend_stray(const struct holder *of, const char *other)
{
	return is_stored(of) ? refused_version(of, other) : NULL;
}

static const struct version *speaking_version(const struct credential *c)
{
	const struct version *v = credential_staged(c, STAGE_CURRENT);
	return v ? v : credential_staged(c, STAGE_PENDING);
}

const struct version *mend_given(const struct holder *of, const char *other)
{
	if (!is_stored(of))
		return NULL;
	const struct version *v = refused_version(of, other);
	if (!v)
		v = refused_version(of, "");
	return v ? v : speaking_version(of->credential);
}

bool mend_is_proven(const struct holder *of, const struct version *v)
{
	const struct judgement *j = &of->health->current;
	return v && v->stage == STAGE_CURRENT && j->version == v->number && j->verdict == VERDICT_HEALTHY;
}

static enum verdict verdict_on(const struct holder *of, const struct version *v)
{
	for (size_t i = 0; i < 2; i++) {
		const struct judgement *j = judgement_at(of, i);
		if (j && j->version == v->number)
			return j->verdict;
	}
	return VERDICT_UNCHECKED;
}

bool mend_is_accepted(const struct holder *of, const struct version *v)
{
	enum verdict verdict = verdict_on(of, v);
	return verdict == VERDICT_HEALTHY || verdict == VERDICT_UNPROVEN;
}

bool mend_is_refused(const struct holder *of, const struct version *v)
{
	return verdict_is_bad(verdict_on(of, v));
}

const struct version *mend_unjudged(const struct holder *of)
{
	const struct version *v = credential_staged(of->credential, STAGE_PENDING);
	const struct judgement *j = v ? judgement_at(of, 1) : NULL;
	return j && verdict_is_bad(j->verdict) ? NULL : v;
}

bool mend_can_spare(const struct holder *of, const struct version *v)
{
	return v->stage == STAGE_PENDING && credential_staged(of->credential, STAGE_CURRENT);
}

const struct version *mend_held(const struct holder *of, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING, STAGE_PREVIOUS, STAGE_STANDBY };
	for (size_t i = 0; is_stored(of) && i < COUNT_OF(stages); i++) {
		const struct version *v = credential_staged(of->credential, stages[i]);
		if (v && memcmp(v->fingerprint, fingerprint, FINGERPRINT_LEN) == 0)
			return v;
	}
	return NULL;
}

const struct version *mend_used(const struct holder *of, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	const struct version *v = mend_held(of, fingerprint);
	const struct fading *faded = v ? health_fading(of->health, v->number) : NULL;
	for (size_t i = 0; v && i < 2; i++) {
		const struct judgement *j = judgement_at(of, i);
		if (j && j->version == v->number && verdict_is_bad(j->verdict))
			return NULL;
	}
	return faded && faded->verdict == VERDICT_MISMATCHED ? NULL : v;
}

enum mend mend_of(const struct holder *of, const struct holder *other)
{
	const char *owner = other->credential ? other->credential->pixel : "";
	const struct version *v = owner[0] ? mend_stray(of, owner) : NULL;
	if (!v)
		return MEND_NONE;
	if (!is_stored(other))
		return MEND_PUT;
	if (mend_held(other, v->fingerprint))
		return mend_can_spare(of, v) ? MEND_MOVE : MEND_PUT;
	return mend_stray(other, of->credential->pixel) ? MEND_SWAP : MEND_MOVE;
}

static const char *const names[] = { [MEND_SWAP] = "swap", [MEND_MOVE] = "move", [MEND_PUT] = "put" };

const char *mend_name(enum mend m)
{
	return (unsigned)m < COUNT_OF(names) ? names[m] : NULL;
}

enum mend mend_by_name(const char *name)
{
	for (size_t i = MEND_SWAP; i < COUNT_OF(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum mend)i;
	return MEND_NONE;
}
