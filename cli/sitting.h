/* cli/sitting.h - the guided rotation: one person, one terminal, many Pixels. What is shown goes to /dev/tty.
 *
 * Nothing is kept in the process: a token that was pasted is stored before TikTok is asked, and who needs one is read from
 * the vault. So a sitting may end at any moment, and the next one goes on there. */
#ifndef CLI_SITTING_H
#define CLI_SITTING_H

#include "agent/status.h"
#include "cli/command.h"

enum item_end {
	ITEM_LEFT, /* not reached */
	ITEM_ROTATED,
	ITEM_SKIPPED,
	ITEM_REFUSED,  /* what was pasted is none of its tokens */
	ITEM_UNJUDGED, /* pasted, and waits to be proven */
	ITEM_END_COUNT
};

#define WHY_WORDS_MAX 160

/* One Pixel that needs a new token. */
struct item {
	char pixel[PIXEL_CODE_MAX + 1];
	enum need need;
	char why[WHY_WORDS_MAX]; /* for people */
	int64_t expires_at;
	uint32_t current; /* when it was found, 0 = none */
	char user[LABEL_VALUE_MAX + 1], center[LABEL_VALUE_MAX + 1];
	enum item_end end;
};

/* Asks for each of them in turn; false with what stands in the way of all that is left. */
must_check bool sitting_hold(struct invocation *inv, struct item *items, size_t count, bool wants_retire,
			     struct error *err);

#endif
