#include "cli/twins.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

struct twin {
	uint8_t fingerprint[FINGERPRINT_LEN];
	char pixel[PIXEL_CODE_MAX + 1]; /* "" = free */
};

void twins_done(struct twins *t)
{
	free(t->at);
	*t = (struct twins){ 0 };
}

/* A fingerprint is a keyed hash: its bytes are as good as random. */
static struct twin *place_of(const struct twins *t, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	uint64_t hash;
	memcpy(&hash, fingerprint, sizeof hash);
	size_t i = (size_t)hash & (t->room - 1);
	while (t->at[i].pixel[0] && memcmp(t->at[i].fingerprint, fingerprint, FINGERPRINT_LEN) != 0)
		i = (i + 1) & (t->room - 1);
	return &t->at[i];
}

static bool grow(struct twins *t, struct error *err)
{
	struct twins bigger = { .used = t->used, .room = t->room ? t->room * 2 : ROOM_FIRST };
	bigger.at = calloc(bigger.room, sizeof *bigger.at);
	if (!bigger.at)
		return fail_no_memory(err);
	for (size_t i = 0; i < t->room; i++)
		if (t->at[i].pixel[0])
			*place_of(&bigger, t->at[i].fingerprint) = t->at[i];
	free(t->at);
	*t = bigger;
	return true;
}

bool twins_note(struct twins *t, const struct credential *c, char ret_other[PIXEL_CODE_MAX + 1], struct error *err)
{
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING };
	ret_other[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		const struct version *v = credential_staged(c, stages[i]);
		if (!v)
			continue;
		if (t->used * 2 >= t->room && !grow(t, err))
			return false;
		struct twin *twin = place_of(t, v->fingerprint);
		if (!twin->pixel[0]) {
			memcpy(twin->fingerprint, v->fingerprint, FINGERPRINT_LEN);
			memcpy(twin->pixel, c->pixel, sizeof twin->pixel);
			t->used++;
		} else if (!ret_other[0] && strcmp(twin->pixel, c->pixel) != 0) {
			memcpy(ret_other, twin->pixel, sizeof twin->pixel);
		}
	}
	return true;
}
