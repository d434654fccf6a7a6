/* cli/twins.h - which Pixels hold the same token? Told by fingerprints, as the board walks over the Pixels. */
#ifndef CLI_TWINS_H
#define CLI_TWINS_H

#include "vault/credential.h"

struct twins {
	struct twin *at; /* open addressing by fingerprint */
	size_t used, room;
};

void twins_done(struct twins *t);
/* Note what the Pixel holds as current and pending. *ret_other: the first Pixel that was noted with one of these, or
 * "". */
must_check bool twins_note(struct twins *t, const struct credential *c, char ret_other[PIXEL_CODE_MAX + 1],
			   struct error *err);

#endif
