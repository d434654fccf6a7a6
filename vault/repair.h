/* vault/repair.h - single Pixels brought back from a backup; everything else of the vault stays as it is.
 *
 * What the vault's own inventory proves to be the newest is taken first, wherever it lies: an inventory node or a
 * record of the Pixel's that the backup has byte for byte, a token or what renews it that the backup has as well. Only
 * what is in neither is given up. The Pixel as a whole becomes what it was in the backup only where its record cannot
 * be read any more, or where a person wants it so. */
#ifndef VAULT_REPAIR_H
#define VAULT_REPAIR_H

#include "vault/vault.h"

enum repair_kind {
	REPAIR_NOTHING, /* it is whole, and holds what the backup holds */
	REPAIR_MENDED,
	REPAIR_RETURNED, /* it becomes what it was in the backup */
};
const char *repair_kind_name(enum repair_kind kind); /* "whole", "mended", "returned" */

/* What is to be done to one Pixel. All of it is compared between plan and deed. */
struct repair {
	char pixel[PIXEL_CODE_MAX + 1];
	enum repair_kind kind;
	bool is_unreadable; /* nobody can say what the vault had of it: its record is damaged, and newer than the
			       backup's */
	bool is_step_back;  /* a good token would give way to an older one, or nobody can say that none would */
	uint32_t now, then; /* the current version, before and afterwards; 0 = none, or unreadable */
	int64_t now_at, then_at;
	uint32_t newer;   /* the newest whole version that the backup has not; 0 = none */
	int64_t newer_at; /* 0 = not known */
	size_t mended_count, lost_count;
	uint32_t mended[VERSIONS_MAX],
		lost[VERSIONS_MAX]; /* versions whose secrets the backup brings, or that nobody has */
	size_t ending_count;
	uint32_t ending[VERSIONS_MAX]; /* versions that stay, but what renews them nobody has */
	size_t others;              /* of the Pixel's other records, and inventory nodes, that are put right */
};

struct repair_wish {
	struct vault *from; /* a backup, unlocked and proven */
	const char *const
		*pixels; /* codes, names of lists, or ids as vault_verify gives them where a name cannot be read */
	size_t count;
	bool may_step_back; /* a plan may be followed that is_step_back */
};

/* What would be done; ret holds wish->count. ERR_NOT_FOUND: the backup has no such Pixel, or no token of it.
 * ERR_CONFLICT: another vault's backup, or one Pixel twice. ERR_DAMAGED: the inventory above a Pixel cannot be put
 * right from this backup. */
must_check bool vault_plan_repair(struct vault *v, const struct repair_wish *wish, struct repair *ret,
				  struct error *err);
/* One commit, of exactly this plan. ERR_CONFLICT: it is not what would be done now, or is a step back. */
must_check bool vault_repair(struct vault *v, const struct repair_wish *wish, const struct repair *plan,
			     struct error *err);

#endif
