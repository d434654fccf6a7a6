/* agent/lists.h - what the list of a listing token says about stored Pixels. Pure.
 *
 * A list is read page by page; only a whole one concludes anything. A Pixel that it holds is proven for the token it
 * was read with: healthy, where that is the Pixel's own current token, and a note beside the own verdict where it is
 * another. One that it holds no longer, or as lent no more, is suspected, and its own probe is asked. Where that probe
 * can prove nothing (dry), a second reading that says the same decides. A list that lost most of what it held is not
 * believed before the third: an app whose rights were cut shows the same picture as a hundred withdrawn Pixels. */
#ifndef AGENT_LISTS_H
#define AGENT_LISTS_H

#include "agent/pixel_map.h"
#include "agent/settings.h"
#include "agent/tiktok.h"
#include "vault/health.h"

struct list_reading {
	char name[LIST_NAME_MAX + 1];
	uint8_t fingerprint[FINGERPRINT_LEN]; /* of the token it is read with */
	struct pixel_map map;                 /* struct list_row, by Pixel */
	uint32_t page, pages, total;          /* of the page read last */
	uint32_t rows, unreadable;
	bool has_moved; /* it was changed while it was read: what is missing may have been passed over */
	/* what it means for what is stored: lists_count of every Pixel, before any lists_apply */
	size_t stored, kept, lost;
	struct evidence evidence; /* of the whole; its time is when it ended */
};

void lists_begin(struct list_reading *r, const char *name, const uint8_t fingerprint[FINGERPRINT_LEN]);
void lists_done(struct list_reading *r);
must_check bool lists_take_page(struct list_reading *r, const struct list_page *page, struct error *err);
bool lists_is_at_end(const struct list_reading *r);
/* Everything there is was read and understood: from now on absence means something. */
bool lists_is_whole(const struct list_reading *r);

/* True: lists_apply will have something to say of this Pixel. */
bool lists_count(struct list_reading *r, const struct credential *c, const struct health *h);
/* The evidence of what it says of Pixels: pages, Pixels, how many are stored. */
void lists_describe(struct list_reading *r, const struct answer *last);

/* What it says is written into h. False: nothing. */
bool lists_apply(const struct list_reading *r, const struct credential *c, struct health *h,
		 const struct settings *settings);

#endif
