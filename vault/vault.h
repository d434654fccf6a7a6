/* vault/vault.h - credentials kept sealed in a store that is not trusted.
 *
 * The public face of this layer. Opening reads; unlocking proves: slots, the root record's MAC, and that the store is
 * not older than this host's anchor. Each read is proven along its own path to the root; each change is one commit or
 * none, and durable when it returns. The network is never touched. Not thread-safe.
 *
 * Errors: ERR_NOT_FOUND no vault / no such Pixel; ERR_WRONG_KEY every slot is well-formed and none opens; ERR_DAMAGED
 * with class damaged, format, tampered, limit, rolled-back, forked, anchor, anchor-missing or audit; ERR_CONFLICT the
 * write lock was not to be had within 5 s; ERR_STORAGE full, read-only, I/O (class audit: of the log). */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "core/buf.h"
#include "core/error.h"
#include "core/secret.h"
#include "vault/audit.h"
#include "vault/credential.h"
#include "vault/health.h"
#include "vault/slots.h"

struct vault;
struct change;

struct vault_place {
	const char *path;      /* the store file, absolute or not */
	const char *state_dir; /* where the anchor lies; never inside the vault's folder */
	bool is_adopting;      /* unlock without an anchor, for vault_adopt only: nothing older could be noticed */
	bool is_mending;       /* open although slots were damaged, for vault_mend_slots only */
	bool is_doubting;      /* unlock whatever the audit log is like; then nothing is handed out and nothing changed */
	bool is_copy;  /* nobody's yet: no anchor, no log; only to be walked, proven and restored (vault/backup.h) */
	bool is_still; /* nobody writes it: only read, wherever it lies */
};

/* Make a new vault with one slot per secret given (at least one). ERR_CONFLICT when there is something at the path. */
must_check bool vault_create(const struct vault_place *place, const struct slot_secret *secrets, size_t count,
			     struct error *err);

/* ERR_NOT_FOUND when there is nothing at the path. Reads head and slots; nothing is proven yet. */
must_check bool vault_open(const struct vault_place *place, struct vault **ret, struct error *err);
bool vault_has_slot(const struct vault *v, enum slot_kind kind);

/* Try every slot of the secret's kind; then prove root and anchor. ERR_WRONG_KEY leaves the vault sealed, to be tried
 * with another secret. */
must_check bool vault_unlock(struct vault *v, const struct slot_secret *secret, struct error *err);

/* The same with the root key itself, for an agent whose key work was done elsewhere (POST /v1/unlock). */
must_check bool vault_unlock_root(struct vault *v, const struct secret *root_key, struct error *err);
/* The root key of an unlocked vault, borrowed: only to be handed to an agent, and for the key
 * pair of vault/bundle.h. */
const struct secret *vault_root_key(const struct vault *v);

/* ---- the slots of an unlocked vault (vault/rekey.c) ---- */

/* As they are stored; of a vault that was only opened: unproven. ret holds SLOTS_MAX; returns how many. */
size_t vault_slots(const struct vault *v, struct slot_info *ret);
/* The id of the one that opened it; NULL when the root key was given. */
const uint8_t *vault_opened_by(const struct vault *v);
/* Which slot a secret opens, whatever opened the vault. ERR_WRONG_KEY: none. */
must_check bool vault_try_secret(const struct vault *v, const struct slot_secret *secret, struct slot_info *ret,
				 struct error *err);
/* Each is one commit, and a new slot is opened once before it. ERR_NOT_FOUND: no slot has this id. ERR_CONFLICT: 16 are
 * there; the secret opens one already; or the one to be removed is the one that opened the vault: what stays was seen
 * working. passes as in slot_make_as. */
must_check bool vault_add_slot(struct vault *v, const struct slot_secret *holder, uint32_t passes, struct slot_info *ret,
			       struct error *err);
must_check bool vault_remove_slot(struct vault *v, const uint8_t id[SLOT_ID_LEN], struct error *err);
/* Another secret, or the same at another cost, in the place of this one. */
must_check bool vault_replace_slot(struct vault *v, const uint8_t id[SLOT_ID_LEN], const struct slot_secret *holder,
				   uint32_t passes, struct slot_info *ret, struct error *err);
/* Of a vault unlocked with is_mending: what is left of the slots becomes what the root names. ERR_CONFLICT when they
 * are whole. */
must_check bool vault_mend_slots(struct vault *v, struct error *err);

/* A new root key: everything is sealed anew and the old epoch deleted, in one commit. Only these slots open the vault
 * from then on, each with its id. v is left open under the new key. Killed anywhere, the old key is in force or the new
 * one. ERR_DAMAGED: a record that the inventory names does not open; nothing was changed. */
struct slot_holder {
	uint8_t id[SLOT_ID_LEN];
	struct slot_secret secret;
};
struct rotate_key_report {
	uint64_t pixels, tokens, records;
	uint32_t epoch; /* the new one */
};
must_check bool vault_rotate_key(struct vault *v, const struct slot_holder *holders, size_t count, uint32_t passes,
				 struct rotate_key_report *ret, struct error *err);

/* Keys that were tried and opened nothing are counted in the state folder until one opens: then they are noted in the
 * audit log, and told (*ret_count is 0 otherwise). Whoever can write there can forget them. */
void vault_note_wrong_key(const struct vault *v);
void vault_tell_wrong_keys(struct vault *v, uint32_t *ret_count, int64_t *ret_last);

/* On whose behalf what follows is read and changed; it stands in the audit log. Until said otherwise: this process. */
void vault_set_who(struct vault *v, const struct audit_who *who);
/* The log of an unlocked vault, borrowed, for readers of its own records (the agent's event loop). */
struct audit *vault_audit(struct vault *v);
/* True when a write of it or of its log could not be made durable, which err says. Nothing is written any more then until it
 * is opened anew: a second try would report success over what the disk has lost. */
bool vault_has_lost(const struct vault *v, struct error *err);
/* Write the log's head into the anchor: each minute and at the end of a process that reads much. */
must_check bool vault_anchor_audit(struct vault *v, struct error *err);
/* Read the whole log and prove it, entry by entry and against the anchor. False when it cannot be read, or the reader's
 * entry function said so; ret->faults says whether it is whole. Works on a vault unlocked with is_doubting. */
must_check bool vault_audit_walk(struct vault *v, const struct audit_reader *reader, struct audit_report *ret,
				 struct error *err);
/* Go on with a log that is damaged or lost: an entry that stays says so. ERR_CONFLICT when it is whole. Close the vault
 * and open it again to read or change. */
must_check bool vault_accept_loss(struct vault *v, struct error *err);
/* What stands for a Pixel in the store. */
void vault_pixel_id(const struct vault *v, const char *pixel, uint8_t ret[PIXEL_ID_LEN]);
/* And in the log, where it outlives rotate-key. */
void vault_log_id(const struct vault *v, const char *pixel, uint8_t ret[PIXEL_ID_LEN]);

/* Take the vault as this host finds it: a new lineage, so that no copy of the old history is ever taken for it again,
 * and a new anchor. For a vault that was moved here, or whose anchor was lost. */
must_check bool vault_adopt(struct vault *v, struct error *err);
void vault_close(struct vault *v); /* NULL is fine; wipes the keys; leaves a file that can be copied whole */
void vault_closep(struct vault **v);
void vault_leavep(struct vault **v); /* the same for a process that is about to end or to become another */

/* ---- reading; each call sees one instant ---- */

/* ERR_NOT_FOUND also for a deleted Pixel unless want_deleted. */
must_check bool vault_find(struct vault *v, const char *pixel, bool want_deleted, struct credential *ret,
			   struct error *err);
/* A line in the audit log with this verb (a literal) is written first; without it no token comes. */
must_check bool vault_token(struct vault *v, const struct credential *c, const struct version *version,
			    const char *verb, struct secret **ret, struct error *err);
/* The same for many that are needed together: one look into the store and one write of the log for all of them. */
#define VAULT_TOKENS_MAX 32
struct token_reading {
	const struct credential *credential;
	const struct version *version;
	struct secret *token; /* the caller's; NULL: there is none, and err says why */
	struct error err;
};
/* False: none was read, whatever the readings say. */
must_check bool vault_tokens(struct vault *v, struct token_reading *readings, size_t count, const char *verb,
			     struct error *err);
/* What renews a token (vault/grant.h), for a refresh, a move to another Pixel, and to look where else it lies. Noted in
 * the log with this verb. ERR_NOT_FOUND when the version has none any more. */
must_check bool vault_grant(struct vault *v, const struct credential *c, const struct version *version,
			    const char *verb, struct secret **ret, struct error *err);
/* Missing or unreadable health is all zero: it is disposable. Aligned to c. */
must_check bool vault_health(struct vault *v, const struct credential *c, struct health *ret, struct error *err);

/* Every Pixel that is not deleted, proven, in store order (keyed ids: random to people). The callback returns false
 * with err filled to stop. health is NULL unless with_health. The callback must not call back into the vault. */
typedef bool vault_each_fn(void *context, const struct credential *c, const struct health *h, struct error *err);
must_check bool vault_each(struct vault *v, bool with_health, bool want_deleted, vault_each_fn *fn, void *context,
			   struct error *err);

/* The same with health, a portion at a time, each at an instant of its own, so that other things are done between: whoever is
 * there all the while is met once, as it is when its portion comes. Listing tokens and what is deleted are passed over. What
 * the callback must not do, it must not do here either; after an error a walk is only freed. */
struct vault_walk;
must_check bool vault_walk_new(struct vault *v, struct vault_walk **ret, struct error *err);
must_check bool vault_walk_some(struct vault_walk *w, vault_each_fn *fn, void *context, bool *ret_is_over,
				struct error *err);
void vault_walk_freep(struct vault_walk **w);

/* The same for the listing tokens, with health: whatever else walks over Pixels, loads them or catches up with them passes
 * these over. By name they are found as a Pixel is. Costs a walk over all metadata only when something was changed since the
 * last one. The callback must not call back into the vault. */
must_check bool vault_each_list(struct vault *v, vault_each_fn *fn, void *context, struct error *err);
/* Their names, each PIXEL_CODE_MAX + 1 bytes, also of those that are removed. */
must_check bool vault_list_names(struct vault *v, struct buf *ret, struct error *err);

/* Rises whenever catching up, or a change of this handle's, meets a listing token: time to look at them again. */
uint64_t vault_list_changes(const struct vault *v);

/* One Pixel with all that a keeper holds in memory. Proven. Soft-deleted and destroyed ones come too: see credential.
 * The sealed tokens are borrowed; empty where there is no such version, or where it is damaged.
 *
 * Damage of one Pixel's own records stays its own: damage says what it is, and the others come all the same. credential
 * and health are NULL when it is the metadata: then nothing but the id is known. */
struct vault_item {
	uint8_t id[PIXEL_ID_LEN];
	const struct error *damage; /* NULL = sound */
	const struct credential *credential;
	const struct health *health;
	struct bytes sealed_current, sealed_previous;
};
typedef bool vault_item_fn(void *context, const struct vault_item *item, struct error *err);

/* Every Pixel, proven, at one instant; *ret_at is that instant. */
struct vault_position {
	uint8_t incarnation[16];
	uint64_t rev;
};
must_check bool vault_load(struct vault *v, vault_item_fn *fn, void *context, struct vault_position *ret_at,
			   struct error *err);
/* Where the store stands now; any commit by anybody moves it on, one of ours by 1. */
must_check bool vault_position(struct vault *v, struct vault_position *ret, struct error *err);
/* Every Pixel that was changed by anybody since *at, which moves on; cheap when there was nothing. */
must_check bool vault_catch_up(struct vault *v, vault_item_fn *fn, void *context, struct vault_position *at,
			       struct error *err);
/* What this handle changes is given to fn as soon as it is committed, and *at moves on, so that the next catching up finds
 * nothing; where that cannot be, catching up finds it. fn must not call back into the vault.
 *
 * Who follows also settles, before it answers: only then is it written into the audit log that changes were done, for all
 * of them together. Without it the log would say the same, once somebody changes something else. */
void vault_follow(struct vault *v, vault_item_fn *fn, void *context, struct vault_position *at);
void vault_settle(struct vault *v);
/* Was it given all that the last change read or wrote? Otherwise what is said of it is only true once caught up. */
bool vault_is_in_step(const struct vault *v);

/* Tokens in the memory of a process that hands them out: sealed once more, each as short as it is, under a key that only
 * this opener has and that ends with it. So one is opened in a microsecond, by another thread, without the vault. One
 * thread wraps, any may open. */
struct vault_opener;
must_check bool vault_opener_new(const struct vault *v, struct vault_opener **ret, struct error *err);
void vault_opener_free(struct vault_opener *o); /* wipes: what it wrapped is rubbish from then on */
/* sealed is as an item has it; what is wrapped is appended to ret. ERR_DAMAGED when it is not that Pixel's version. */
must_check bool vault_opener_wrap(struct vault_opener *o, const char *pixel, uint32_t number, struct bytes sealed,
				  struct buf *ret, struct error *err);
/* The caller has written the audit line before. ERR_DAMAGED when it is not that Pixel's version. */
must_check bool vault_opener_open(const struct vault_opener *o, const char *pixel, uint32_t number,
				  struct bytes wrapped, struct secret **ret, struct error *err);

/* The keyed fingerprint of a token. */
void vault_fingerprint(const struct vault *v, const struct secret *token, uint8_t ret[FINGERPRINT_LEN]);
void vault_fingerprint_bytes(const struct vault *v, struct bytes secret, uint8_t ret[FINGERPRINT_LEN]);

/* Is this version given to nobody: taken from everybody, or retired here while another Pixel holds its token? */
bool vault_is_withheld(struct vault *v, const struct credential *c, const struct version *version);
/* Another live Pixel that holds this token as pending, current or previous; "" when none is known. Never fails: it is a
 * hint, proven before it is given. */
void vault_find_duplicate(struct vault *v, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel,
			  char ret_pixel[PIXEL_CODE_MAX + 1]);
/* The one behind the first `skipped` of them. */
void vault_nth_duplicate(struct vault *v, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel, size_t skipped,
			 char ret_pixel[PIXEL_CODE_MAX + 1]);

/* ---- changing: fn decides on what it reads through the change, stages, and returns true to commit ----
 * fn may run again from the start when another writer was faster (for up to 5 s, then ERR_CONFLICT); returning false
 * with err filled abandons everything. Returning true with nothing staged commits nothing. */
typedef bool change_fn(void *context, struct change *change, struct error *err);
must_check bool vault_change(struct vault *v, change_fn *fn, void *context, struct error *err);

/* Many changes in one commit: each is done or has its own error, as if it had come alone. */
struct change_item {
	change_fn *fn;
	void *context;
	struct audit_who who;
	bool is_done;
	struct error err;
};
void vault_change_all(struct vault *v, struct change_item *items, size_t count);

/* What this change is called in the audit log: verb is a literal ("put", "promote", "remove" ...). At least once in each
 * fn that stages something; several notes are several lines. */
void change_note(struct change *ch, const char *verb, const char *pixel, uint32_t version);

/* ret_exists false: *ret is a fresh credential for this Pixel. Deleted and destroyed ones are found too. */
must_check bool change_find(struct change *ch, const char *pixel, struct credential *ret, bool *ret_exists,
			    struct error *err);
/* The Pixel's health as it is in this instant, aligned to c: what is changed must be read here, not before. */
must_check bool change_health(struct change *ch, const struct credential *c, struct health *ret, struct error *err);
/* Seal the token as version->number of the Pixel and fill version->digest and ->fingerprint of c's own row for it. */
must_check bool change_put_token(struct change *ch, struct credential *c, uint32_t number, const struct secret *token,
				 struct error *err);
/* The same for what renews it: fills the version's renewal.digest and .fingerprint. */
must_check bool change_put_grant(struct change *ch, struct credential *c, uint32_t number, const struct secret *grant,
				 struct error *err);
must_check bool change_drop_grant(struct change *ch, struct credential *c, uint32_t number, struct error *err);
/* Before change_store, with c no longer listing the version. What renews it goes too. */
must_check bool change_drop_token(struct change *ch, const struct credential *c, uint32_t number, struct error *err);
must_check bool change_store(struct change *ch, const struct credential *c, struct error *err);
/* Health written with the change that it speaks of. */
must_check bool change_store_health(struct change *ch, const char *pixel, const struct health *h, struct error *err);
must_check bool change_drop_health(struct change *ch, const char *pixel, struct error *err);

/* ---- beside the inventory: sealed, disposable ---- */

struct health_update {
	char pixel[PIXEL_CODE_MAX + 1];
	struct health health; /* as last loaded and changed; its counter is raised here */
};
/* All in one durable commit. Health of a Pixel deleted meanwhile is stored for nobody, which does no harm. */
must_check bool vault_store_health(struct vault *v, const struct health_update *updates, size_t count,
				   struct error *err);

/* The Pixel with the token that was proven last: kept with vault_store_health, so that nobody has to look for it. What a
 * change of the inventory proves, a put or a promotion, is not noted: who needs to know looks at all Pixels once after
 * such a change, and stores whom he found. */
struct proven {
	int64_t at; /* 0 = it is not known */
	char pixel[PIXEL_CODE_MAX + 1];
};
must_check bool vault_proven_last(struct vault *v, struct proven *ret, struct error *err);
must_check bool vault_store_proven(struct vault *v, const struct proven *p, struct error *err);

/* Keep other writers out while health is read, changed and stored; at most 5 s of waiting, else ERR_CONFLICT. */
must_check bool vault_hold(struct vault *v, struct error *err);
void vault_release(struct vault *v);

/* Small notes of the agent's: name is [a-z0-9-]{1,32} such as "breaker". Missing or unreadable: ret->len is 0. */
#define NOTE_MAX 2048
must_check bool vault_note(struct vault *v, const char *name, struct buf *ret, struct error *err);
must_check bool vault_store_note(struct vault *v, const char *name, struct bytes value, struct error *err);

/* What is too long for one note, in parts (<name>-0, <name>-1 ...); name is [a-z0-9-]{1,24}. All in one commit. */
#define BOOK_MAX ((size_t)16 << 20)
struct book {
	const char *name;
	struct bytes value;
	size_t parts_before; /* as vault_book found them: what is not needed any more is deleted */
};
/* Missing, or damaged in any part: ret->len is 0. */
must_check bool vault_book(struct vault *v, const char *name, struct buf *ret, size_t *ret_parts, struct error *err);
must_check bool vault_store_books(struct vault *v, const struct book *books, size_t count, struct error *err);
size_t vault_book_parts(size_t len);

/* Which consumers read which version. A mark that says that version was acknowledged stays so while the consumer reads
 * that version. A Pixel keeps MARKS_PER_PIXEL marks, MARKS_PER_UID of one user's consumers: whoever makes up names only
 * pushes out his own, the one longest not seen first. Who was not seen for MARK_AGE_S while others were is forgotten. */
#define MARKS_PER_PIXEL 256
#define MARKS_PER_UID 64
#define MARK_AGE_S ((int64_t)90 * 24 * 3600)
must_check bool vault_mark_read(struct vault *v, const char *pixel, const struct read_mark *mark, struct error *err);
/* The same for who would rather go without than wait for another writer: ERR_CONFLICT. */
must_check bool vault_try_mark(struct vault *v, const char *pixel, const struct read_mark *mark, struct error *err);
/* Many in one commit. Of several of one Pixel and name the last counts. */
struct mark_update {
	char pixel[PIXEL_CODE_MAX + 1];
	struct read_mark mark;
};
must_check bool vault_mark_reads(struct vault *v, const struct mark_update *updates, size_t count, struct error *err);
/* For who would rather try again later: ERR_CONFLICT. */
must_check bool vault_try_marks(struct vault *v, const struct mark_update *updates, size_t count, struct error *err);
/* The mark of one consumer, without a look at the others. */
must_check bool vault_find_mark(struct vault *v, const char *pixel, const char *name, struct read_mark *ret,
				bool *ret_is_found, struct error *err);
typedef bool vault_mark_fn(void *context, const struct read_mark *mark, struct error *err);
must_check bool vault_each_mark(struct vault *v, const char *pixel, vault_mark_fn *fn, void *context,
				struct error *err);

/* One sweep at a time across processes: ERR_CONFLICT after wait_ms. Freed by the kernel when we die. */
struct vault_lock;
must_check bool vault_lock(struct vault *v, const char *name, int64_t wait_ms, struct vault_lock **ret,
			   struct error *err);
void vault_unlockp(struct vault_lock **lock);
#define VAULT_LOCK_REFRESH "refresh" /* held by whoever asks TikTok for a pair of tokens, until it is stored */

/* ---- proof of everything ---- */

struct verify_report {
	uint64_t pixels, tokens, nodes, disposable, rubbish, generation;
	uint64_t faults;
	char first[320]; /* the first fault, for people */
};
/* Proves each record, node and token, the exact set of them, the database's own structure, and every disposable
 * record's seal. on_fault (may be NULL) is called with one sentence per fault. ERR_DAMAGED with the first fault when
 * there was any; the report is filled either way. */
typedef void verify_fault_fn(void *context, const char *sentence);
must_check bool vault_verify(struct vault *v, verify_fault_fn *on_fault, void *context, struct verify_report *ret,
			     struct error *err);

/* How many seconds this machine's wall clock lies behind the latest that this host's anchor remembers; 0 = no reason to
 * suspect it. Known once the vault is unlocked. */
int64_t vault_clock_suspect(const struct vault *v);
/* The later of the two: what expiry is judged by, so that a clock set back makes no token fresh. */
int64_t vault_later_clock(const struct vault *v);
/* The same as vault_clock_suspect from what somebody else's vault_later_clock said. */
int64_t vault_clock_behind(int64_t later_clock);
/* The same as vault_clock_suspect without any key, so that nothing is proven: for advice only. */
must_check bool vault_glance_at_clock(const struct vault_place *place, int64_t *ret_behind_s, struct error *err);

uint64_t vault_generation(const struct vault *v);
const char *vault_path(const struct vault *v); /* absolute */

#endif
