/* vault/internal.h - what the files of a vault share; nobody else includes it. */
#ifndef VAULT_INTERNAL_H
#define VAULT_INTERNAL_H

#include "vault/anchor.h"
#include "vault/codec.h"
#include "vault/store.h"
#include "vault/vault.h"

struct vault {
	struct store *store;
	char path[PATH_MAX];
	struct stat opened; /* the file that lay there */
	bool is_adopting, is_doubting, is_copy;
	bool is_mending; /* the slots are what was left of them, until vault_mend_slots */
	bool has_foreign_slots; /* those in the store are not what the root names; only while is_mending */
	bool is_opener_known;   /* not where the root key itself was given */
	uint8_t opened_by[SLOT_ID_LEN];
	bool is_suspect; /* what was read last looks rolled back or forked; to be judged with writers held out */
	bool is_proven; /* root was proven once: from then on it is a memory that nothing may go behind */
	struct anchor_file anchor_file;
	int64_t latest_wall; /* the latest wall clock that a proven anchor remembers */
	struct buf root_bytes; /* the root last proven (before unlocking: last read) */
	struct root root;
	struct buf slots;
	struct secret *root_key; /* NULL while sealed */
	struct keys *keys;
	struct keys *log_keys; /* of the root key that the audit log was begun under; NULL while sealed */
	struct audit *audit;  /* NULL while sealed */
	struct audit_who who; /* on whose behalf, until said otherwise */
	struct buf room;  /* what the store's answers are copied into */
	struct buf plain; /* what metadata is opened into */
	struct follower {
		vault_item_fn *fn; /* NULL = none */
		void *context;
		struct vault_position *at;
	} follower;
	/* The lists' names, as the last walk over all metadata met them; good while nothing is changed. */
	struct buf list_names;
	bool has_list_names;
	uint64_t list_generation;
	uint64_t list_changes;
	bool is_in_step; /* the follower was given all that a change last read or wrote */
	/* The last change in the audit log: intents written, outcome not yet. */
	struct buf promises;
	struct audit_commit promised;
	const char *outcome; /* NULL = nothing is to be written */
};

/* A Pixel's proven place in the inventory. */
struct path_proof {
	struct bytes node[NODE_DEPTH]; /* the nodes that exist, from the top */
	size_t depth;                  /* how many do */
	const uint8_t *digest;         /* of the metadata; NULL: proven absent */
};

/* Decode and prove these root bytes; v is untouched. */
must_check bool root_prove(const struct vault *v, struct bytes bytes, struct root *ret, struct error *err);

/* The store answered with these root bytes: prove that they are ours and no older than what we know, and take them
 * over. Cheap when nothing changed. */
must_check bool vault_meet_root(struct vault *v, const struct store_record *record, struct error *err);

/* After a refusal that only said "rolled back" or "forked": judged again with other writers held out, as a reader that
 * was outrun by them sees the same. True: all is well, read once more. False: err stands. */
must_check bool vault_clear_suspicion(struct vault *v, struct error *err);

/* Another value of `slots` goes with this change; the root names it. */
must_check bool change_slots(struct change *ch, struct bytes value, struct error *err);

/* A vault with nothing in it, not even a store. */
struct vault *vault_new(void);

/* A read mark as v stores it: its key, and its sealed value appended. */
must_check bool mark_seal(struct vault *v, const char *pixel, const struct read_mark *mark, char ret_key[KEY_TEXT_MAX],
			  struct buf *ret_sealed, struct error *err);

/* This root is the vault's from now on. */
must_check bool vault_take_root(struct vault *v, const struct root *root, struct bytes bytes, struct error *err);

/* Read root and anchor anew, with other writers held out, and judge them; the anchor found goes to ret. */
must_check bool vault_judge_held(struct vault *v, struct anchor *ret, unsigned *ret_block, struct error *err);

/* MAC of a node as its parent names it; prefix is its hexadecimal digits. */
void node_mac(const struct keys *keys, const char *prefix, struct bytes node, uint8_t ret[DIGEST_LEN]);

/* Is this record the node that its parent names by this MAC? */
must_check bool node_is_sound(const struct vault *v, const char *prefix, size_t depth,
			      const struct store_record *record, const uint8_t *expected, struct error *err);

/* Prove the nodes read for id, given as records from the top, down from top digests. */
must_check bool path_prove(const struct vault *v, const struct root *root, const uint8_t id[PIXEL_ID_LEN],
			   const struct store_record nodes[NODE_DEPTH], struct path_proof *ret, struct error *err);

/* Open one metadata record that the inventory names by digest. name is for messages. */
must_check bool metadata_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct store_record *record,
			      const uint8_t *digest, const char *name, struct credential *ret, struct error *err);

/* Open one token that proven metadata names. ERR_DAMAGED only when it is not that token. */
must_check bool token_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct credential *c,
			   const struct version *version, const struct store_record *record, struct secret **ret,
			   struct error *err);

/* The same for what renews it. */
must_check bool grant_record_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct credential *c,
				  const struct version *version, const struct store_record *record, struct secret **ret,
				  struct error *err);

/* Open h/<id>; all zero when it is missing, damaged or not aligned with c. */
void health_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], struct bytes sealed, const struct credential *c,
		 struct health *ret);

/* Appends h, sealed for the Pixel with this id, to ret_sealed. */
must_check bool health_seal(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct health *h,
			    struct buf *ret_sealed, struct error *err);
/* In key order, so that a large commit fills the store's pages one after the other. */
void ops_sort(struct store_op *ops, size_t count);
/* What is disposable: in key order, without a condition on the root. */
must_check bool commit_sides(struct vault *v, const struct store_op *ops, size_t count, struct error *err);

/* Put v's root and the log's durable end in place of the anchor last read. */
must_check bool vault_advance_anchor(struct vault *v, const struct anchor *last, unsigned block, struct error *err);
struct audit_position anchored_position(const struct anchor *a);

/* Where key is a Pixel's metadata or health, its id is appended to ids. */
void note_pixel_of(const char *key, uint32_t epoch, struct buf *ids);
/* Each Pixel once, proven by v's root: as it lies in the store, or as ch, which was committed, has left it there. */
must_check bool give_pixels(struct vault *v, const struct change *ch, struct buf *ids, vault_item_fn *fn, void *context,
			    struct error *err);
/* At most 8 keys: each from what ch staged, else from the store. */
must_check bool change_read(const struct change *ch, const char *const *keys, size_t count, struct store_record *ret,
			    struct error *err);

/* For who puts the inventory itself right (vault/repair.c): the node above id at this depth that the change has in hand, whose
 * value is appended to ret, nothing where it is known to be absent. False: none yet. */
bool change_has_node(const struct change *ch, const uint8_t id[PIXEL_ID_LEN], size_t depth, struct buf *ret);
/* Proven by the caller to be the one that its parent names; NULL: that there is none. is_dirty: it is to be written. */
must_check bool change_keep_node(struct change *ch, const uint8_t id[PIXEL_ID_LEN], size_t depth, const struct buf *node,
				 bool is_dirty, struct error *err);
must_check bool change_drop_row(struct change *ch, const char *key, struct error *err);

/* The root of a history of its own, made from the one that lies in the store. */
struct lineage {
	struct root root;
	struct buf base, bytes; /* the one it grows out of; itself */
};
#define LINEAGE_INIT { .base = BUF_INIT(STORE_VALUE_MAX), .bytes = BUF_INIT(STORE_VALUE_MAX) }
must_check bool lineage_begin(struct vault *v, struct lineage *ret, struct error *err);
must_check bool lineage_commit(struct vault *v, const struct lineage *l, struct error *err);
void lineage_done(struct lineage *l);
/* The log that belongs to the anchor's place, under the keys that the root names for it; not looked at yet. */
must_check bool vault_name_log(struct vault *v, struct error *err);
/* This host's log and memory of a history that begins here. */
must_check bool vault_begin_log(struct vault *v, const char *verb, const uint8_t name_from[8], struct error *err);
must_check bool vault_create_anchor(struct vault *v, const struct root *root, struct error *err);
/* With a block of the history that ends beside it, unless that is NULL. */
must_check bool vault_create_anchor_beside(struct vault *v, const struct root *root, const uint8_t *kept,
					   struct error *err);

/* Encode r with its MAC, which is left in r too. */
must_check bool root_seal(const struct keys *keys, struct root *r, struct buf *out, struct error *err);
struct anchor anchor_of_root(const struct root *r);

struct seal_context vault_context(const struct vault *v, char kind, struct bytes what, uint32_t version);
void prefix_of(const uint8_t id[PIXEL_ID_LEN], size_t depth, char ret[NODE_DEPTH + 1]);
bool digest_is_zero(const uint8_t digest[DIGEST_LEN]);
must_check bool vault_is_open(const struct vault *v, struct error *err);

/* The whole inventory of one view, proven from the top: the sorted entries of every leaf, one after the other. */
must_check bool inventory_load(struct vault *v, struct store_view *view, struct buf *ret_entries, uint64_t *ret_nodes,
			       struct error *err);
/* A view whose root is proven and taken over as v's. */
must_check bool view_open(struct vault *v, struct store_view **ret, struct error *err);

#endif
