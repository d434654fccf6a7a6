/* vault/backup.h - a copy of a vault, and the way back from one.
 *
 * A backup is a vault file like any other: sealed records and the root that names them, of one instant, with no key in
 * it but the wrapped one. So what proves a vault proves a backup. It brings no memory of a host: to restore it begins a
 * new lineage, and this host's anchor follows. */
#ifndef VAULT_BACKUP_H
#define VAULT_BACKUP_H

#include "vault/vault.h"

#include <limits.h>

#define CHECKPOINT_TEXT_MAX 128

/* One line that stands for what the vault is now, to be kept elsewhere: vault id, generation, MAC of the root. */
void vault_checkpoint(const struct vault *v, char ret[CHECKPOINT_TEXT_MAX]);

/* Take the vault as this host finds it, as vault_adopt, but only if it is the one that the checkpoint stands for or came
 * out of it; its history goes on. ERR_DAMAGED rolled-back: it is older. ERR_CONFLICT: another vault, or one whose history
 * parted before. *ret_is_followed: the way from there to here was seen, not only that it is longer. v was unlocked
 * adopting. ERR_USAGE for what is no checkpoint. */
must_check bool vault_adopt_checkpoint(struct vault *v, const char *text, bool *ret_is_followed, struct error *err);

struct backup_report {
	bool is_proven;              /* false: v is sealed, the bytes were only copied */
	struct verify_report proof;  /* of the copy */
	char checkpoint[CHECKPOINT_TEXT_MAX]; /* of the copy; "" when it is not proven */
};
/* Write one instant of v to a new file at `to`. It has its name only when it is whole, durable and, if v is unlocked,
 * proven record by record. ERR_CONFLICT when something lies there, unless may_replace. */
must_check bool vault_backup(struct vault *v, const char *to, bool may_replace, struct backup_report *ret,
			     struct error *err);

/* What this host remembers of the last one that was made here: for advice only, as nothing proves it. False: none is
 * known of. Needs no key. */
struct backup_note {
	int64_t at;
	char checkpoint[CHECKPOINT_TEXT_MAX]; /* "" = it was not proven */
};
bool vault_last_backup(const struct vault_place *place, struct backup_note *ret);

/* ---- the way back: stage, unlock, verify, compare, install ---- */

/* A copy of the file `from` beside the vault at place, sealed. Nothing of the vault's is touched. */
must_check bool vault_stage(const char *from, const struct vault_place *place, struct vault **ret, struct error *err);
/* Remove what is left of it; the vault is closed. Fine after vault_install. */
void vault_unstage(struct vault *staged);
void vault_unstagep(struct vault **staged);

struct holdings_count {
	uint64_t generation, pixels;
	int64_t newest_at; /* when its latest token was stored; 0 = none */
};
struct restore_plan {
	struct holdings_count backup, now;
	bool is_now_known; /* false: the present vault cannot be read, and `why` says why */
	bool is_now_there; /* a file lies at its place */
	struct error why;
	uint64_t lost_pixels, lost_versions; /* of the present vault's, those that the backup has not */
};
/* What an unlocked and proven backup would change. on_loss (may be NULL) is called for each Pixel that loses something.
 * ERR_CONFLICT when the present vault is another one. */
typedef void restore_loss_fn(void *context, const char *pixel, uint64_t versions, bool is_whole);
must_check bool vault_plan_restore(struct vault *staged, const struct vault_place *place, restore_loss_fn *on_loss,
				   void *context, struct restore_plan *ret, struct error *err);
/* Make it the vault, with a history of its own. The one that was there is kept, ret_kept is its name ("" = none was). */
must_check bool vault_install(struct vault *staged, const struct vault_place *place, char ret_kept[PATH_MAX],
			      struct error *err);

#endif
