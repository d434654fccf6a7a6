/* A new root key: every record is opened with the old one, sealed with the new one under the next epoch's names, and
 * all of it becomes the vault in one commit that deletes the old epoch. Nothing of it is stored before: whoever is
 * killed leaves the old key in force, or the new one.
 *
 * The anchor is sealed with the root key too. Before the commit its spare block is written under the new key,
 * remembering the root as it still is: so either key finds a block that its root grew out of. The audit log keeps the
 * keys that it was begun with, sealed in a record that the root names. */
#include "core/clock.h"
#include "core/wipe.h"
#include "vault/grant.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ALL_MAX (SIZE_MAX / 4)
#define STACK_OF_A_KDF 4096

/* One write of the commit; its value lies in `values`. */
struct item {
	char key[KEY_TEXT_MAX];
	size_t at, len;
	bool is_delete;
};

/* Who holds a secret, for the duplicate hints. */
struct held {
	uint8_t fingerprint[FINGERPRINT_LEN];
	int64_t since;
	uint8_t id[PIXEL_ID_LEN];
};

struct new_epoch {
	struct vault *v;    /* as it is */
	struct vault *next; /* nothing but keys and root of what it will be */
	struct buf items, values, holders, entries;
	struct buf sealed; /* of the record at hand */
	struct rotate_key_report *report;
};

static bool keep(struct new_epoch *r, const char *key, struct bytes value, struct error *err)
{
	struct item item = { .at = r->values.len, .len = value.len };
	memcpy(item.key, key, strlen(key) + 1);
	buf_append(&r->values, value.at, value.len);
	buf_append(&r->items, &item, sizeof item);
	r->report->records++;
	return buf_ok(&r->values, err) && buf_ok(&r->items, err);
}

/* Sealed for the next epoch under this key; r->sealed is what was kept. */
static bool keep_sealed(struct new_epoch *r, const char *key, char kind, struct bytes what, uint32_t version,
			struct bytes plain, struct error *err)
{
	struct seal_context context = vault_context(r->next, kind, what, version);
	buf_clear(&r->sealed);
	return seal(r->next->keys, &context, plain, &r->sealed, err) && keep(r, key, buf_bytes(&r->sealed), err);
}

/* ---- one Pixel ---- */

struct pixel {
	uint8_t old_id[PIXEL_ID_LEN], id[PIXEL_ID_LEN];
	struct credential c;
};

static bool read_one(struct new_epoch *r, const char *key, struct store_record *ret, struct error *err)
{
	const char *const keys[] = { key };
	return store_get_many(r->v->store, keys, 1, &r->v->room, ret, err) == STORE_OK;
}

static bool hold(struct new_epoch *r, const uint8_t fingerprint[FINGERPRINT_LEN], const struct pixel *p,
		 const struct version *version, struct error *err)
{
	struct held held = { .since = version->stored_at };
	memcpy(held.fingerprint, fingerprint, FINGERPRINT_LEN);
	memcpy(held.id, p->id, PIXEL_ID_LEN);
	buf_append(&r->holders, &held, sizeof held);
	return buf_ok(&r->holders, err);
}

static bool move_token(struct new_epoch *r, struct pixel *p, struct version *version, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	scoped(secret_freep) struct secret *token = NULL;
	key_for_token(r->v->root.epoch, p->old_id, version->number, key);
	if (!read_one(r, key, &found, err))
		return false;
	if (!found.is_found)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_TOKEN_MISSING, (unsigned)version->number,
				  p->c.pixel);
	if (!token_open(r->v, p->old_id, &p->c, version, &found, &token, err))
		return false;
	key_for_token(r->next->root.epoch, p->id, version->number, key);
	if (!keep_sealed(r, key, 't', bytes_of(p->id, PIXEL_ID_LEN), version->number, secret_reveal(token), err))
		return false;
	seal_digest(buf_bytes(&r->sealed), version->digest);
	vault_fingerprint(r->next, token, version->fingerprint);
	r->report->tokens++;
	return hold(r, version->fingerprint, p, version, err);
}

static bool move_grant(struct new_epoch *r, struct pixel *p, struct version *version, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	struct grant inside;
	scoped(secret_freep) struct secret *grant = NULL;
	key_for_grant(r->v->root.epoch, p->old_id, version->number, key);
	if (!read_one(r, key, &found, err) || !grant_record_open(r->v, p->old_id, &p->c, version, &found, &grant, err))
		return false;
	if (!grant_open(secret_reveal(grant), &inside))
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_GRANT_TAMPERED, (unsigned)version->number,
				  p->c.pixel);
	key_for_grant(r->next->root.epoch, p->id, version->number, key);
	if (!keep_sealed(r, key, 'g', bytes_of(p->id, PIXEL_ID_LEN), version->number, secret_reveal(grant), err))
		return false;
	seal_digest(buf_bytes(&r->sealed), version->renewal.digest);
	vault_fingerprint_bytes(r->next, inside.refresh_token, version->renewal.fingerprint);
	return hold(r, version->renewal.fingerprint, p, version, err);
}

static bool move_metadata(struct new_epoch *r, const struct pixel *p, struct error *err)
{
	char key[KEY_TEXT_MAX];
	uint8_t entry[ENTRY_LEN];
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	key_for_pixel(r->next->root.epoch, 'm', p->id, key);
	bool ok = credential_encode(&p->c, &plain, err) &&
		  keep_sealed(r, key, 'm', bytes_of(p->id, PIXEL_ID_LEN), 0, buf_bytes(&plain), err);
	buf_done(&plain);
	if (!ok)
		return false;
	memcpy(entry, p->id, PIXEL_ID_LEN);
	seal_digest(buf_bytes(&r->sealed), entry + PIXEL_ID_LEN);
	buf_append(&r->entries, entry, sizeof entry);
	return buf_ok(&r->entries, err);
}

static bool move_health(struct new_epoch *r, const struct pixel *p, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	struct health h;
	key_for_pixel(r->v->root.epoch, 'h', p->old_id, key);
	if (!read_one(r, key, &found, err))
		return false;
	if (!found.is_found)
		return true;
	health_open(r->v, p->old_id, found.value, &p->c, &h);
	key_for_pixel(r->next->root.epoch, 'h', p->id, key);
	buf_clear(&r->sealed);
	return health_seal(r->next, p->id, &h, &r->sealed, err) && keep(r, key, buf_bytes(&r->sealed), err);
}

struct marking {
	struct new_epoch *r;
	const char *pixel;
};

static bool move_mark(void *context, const struct read_mark *mark, struct error *err)
{
	const struct marking *m = context;
	char key[KEY_TEXT_MAX];
	buf_clear(&m->r->sealed);
	return mark_seal(m->r->next, m->pixel, mark, key, &m->r->sealed, err) &&
	       keep(m->r, key, buf_bytes(&m->r->sealed), err);
}

static bool move_pixel(struct new_epoch *r, const uint8_t *entry, struct error *err)
{
	struct pixel p;
	char key[KEY_TEXT_MAX];
	struct store_record found;
	key_for_pixel(r->v->root.epoch, 'm', entry, key);
	if (!read_one(r, key, &found, err) ||
	    !metadata_open(r->v, entry, &found, entry + PIXEL_ID_LEN, strrchr(key, '/') + 1, &p.c, err))
		return false;
	memcpy(p.old_id, entry, PIXEL_ID_LEN);
	vault_pixel_id(r->next, p.c.pixel, p.id);
	/* Health is aligned to the versions, whose numbers stay; it is opened before their fingerprints change. */
	if (!move_health(r, &p, err))
		return false;
	for (size_t i = 0; i < p.c.version_count; i++) {
		struct version *version = &p.c.versions[i];
		if (version_has_token(version) && !move_token(r, &p, version, err))
			return false;
		if (version_has_grant(version) && !move_grant(r, &p, version, err))
			return false;
	}
	struct marking m = { r, p.c.pixel };
	r->report->pixels += !name_is_list(p.c.pixel);
	return move_metadata(r, &p, err) && vault_each_mark(r->v, p.c.pixel, move_mark, &m, err);
}

/* The inventory of this instant: other writers are held out. */
static bool move_pixels(struct new_epoch *r, struct error *err)
{
	struct store_view *view;
	struct buf entries = BUF_INIT(ALL_MAX);
	uint64_t nodes;
	if (!view_open(r->v, &view, err))
		return false;
	bool ok = inventory_load(r->v, view, &entries, &nodes, err);
	store_view_close(r->v->store, view);
	for (size_t at = 0; ok && at < entries.len; at += ENTRY_LEN)
		ok = move_pixel(r, entries.at + at, err);
	buf_done(&entries);
	return ok;
}

/* ---- what belongs to no Pixel ---- */

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, PIXEL_ID_LEN);
}

/* Leaves, and the nodes above them, of the sorted entries; depth is that of the nodes to make. */
static bool build_nodes(struct new_epoch *r, size_t depth, size_t from, size_t to, uint8_t ret_mac[DIGEST_LEN],
			struct error *err)
{
	char prefix[NODE_DEPTH + 1], key[KEY_TEXT_MAX];
	const uint8_t *entries = r->entries.at;
	uint8_t node[(size_t)NODE_FANOUT * DIGEST_LEN] = { 0 };
	const uint8_t *id = entries + from;
	struct bytes value = bytes_of(entries + from, to - from);
	if (depth < NODE_DEPTH) {
		for (size_t at = from, end; at < to; at = end) {
			unsigned nibble = id_nibble(entries + at, depth);
			for (end = at; end < to && id_nibble(entries + end, depth) == nibble;)
				end += ENTRY_LEN;
			uint8_t *mac = depth ? node + (size_t)nibble * DIGEST_LEN : r->next->root.top[nibble];
			if (!build_nodes(r, depth + 1, at, end, mac, err))
				return false;
		}
		value = bytes_of(node, sizeof node);
	}
	if (depth == 0)
		return true;
	if (depth == NODE_DEPTH && value.len > (size_t)LEAF_ENTRIES_MAX * ENTRY_LEN)
		return fail(err, ERR_STORAGE, TXT_LEAF_FULL);
	prefix_of(id, depth, prefix);
	node_mac(r->next->keys, prefix, value, ret_mac);
	key_for_node(r->next->root.epoch, id, depth, key);
	return keep(r, key, value, err);
}

static bool build_inventory(struct new_epoch *r, struct error *err)
{
	memset(r->next->root.top, 0, sizeof r->next->root.top);
	if (r->entries.len)
		qsort(r->entries.at, r->entries.len / ENTRY_LEN, ENTRY_LEN, by_id);
	return build_nodes(r, 0, 0, r->entries.len, NULL, err);
}

static int by_fingerprint(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	int order = memcmp(x->fingerprint, y->fingerprint, FINGERPRINT_LEN);
	return order ? order : (x->since > y->since) - (x->since < y->since);
}

static void add_to_hint(struct hint *hint, const uint8_t id[PIXEL_ID_LEN])
{
	for (size_t i = 0; i < hint->count; i++)
		if (memcmp(hint->ids[i], id, PIXEL_ID_LEN) == 0)
			return;
	if (hint->count < HINT_PIXELS_MAX)
		memcpy(hint->ids[hint->count++], id, PIXEL_ID_LEN);
}

static bool build_hints(struct new_epoch *r, struct error *err)
{
	struct held *at = (struct held *)r->holders.at;
	size_t count = r->holders.len / sizeof *at;
	char key[KEY_TEXT_MAX];
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	bool ok = true;
	if (count)
		qsort(at, count, sizeof *at, by_fingerprint);
	for (size_t i = 0, end; ok && i < count; i = end) {
		struct hint hint = { .count = 0 };
		for (end = i; end < count && memcmp(at[end].fingerprint, at[i].fingerprint, FINGERPRINT_LEN) == 0;
		     end++)
			add_to_hint(&hint, at[end].id);
		key_for_hint(r->next->root.epoch, at[i].fingerprint, key);
		buf_clear(&plain);
		hint_encode(&hint, &plain);
		ok = buf_ok(&plain, err) && keep_sealed(r, key, 'd', bytes_of_text(key), 0, buf_bytes(&plain), err);
	}
	buf_done(&plain);
	return ok;
}

/* A note that does not open is disposable: the agent makes a new one. */
static bool move_note(struct new_epoch *r, const struct store_record *record, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct seal_context context = vault_context(r->v, 'a', bytes_of_text(record->key), 0);
	buf_clear(&r->v->plain);
	if (!unseal(r->v->keys, &context, record->value, &r->v->plain))
		return true;
	key_for_note(r->next->root.epoch, strrchr(record->key, '/') + 1, key);
	return keep_sealed(r, key, 'a', bytes_of_text(key), 0, buf_bytes(&r->v->plain), err);
}

static bool forget(struct new_epoch *r, const char *key, struct error *err)
{
	struct item item = { .is_delete = true };
	if (strlen(key) >= sizeof item.key)
		return true; /* no name of ours; verify tells of it */
	memcpy(item.key, key, strlen(key) + 1);
	buf_append(&r->items, &item, sizeof item);
	return buf_ok(&r->items, err);
}

/* Whatever lies under an epoch goes, also what nothing names any more. */
static bool sweep_old(struct new_epoch *r, struct error *err)
{
	char notes[KEY_TEXT_MAX];
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record found;
	enum store_class class = STORE_OK;
	key_for_note(r->v->root.epoch, "", notes);
	if (!view_open(r->v, &view, err))
		return false;
	bool ok = store_cursor_open(r->v->store, view, "e", &cursor, err) == STORE_OK;
	if (ok) {
		while (ok && (class = store_cursor_next(r->v->store, cursor, &found, err)) == STORE_OK)
			ok = (strncmp(found.key, notes, strlen(notes)) != 0 || move_note(r, &found, err)) &&
			     forget(r, found.key, err);
		store_cursor_close(r->v->store, cursor);
		ok = ok && class == STORE_NOT_FOUND;
	}
	store_view_close(r->v->store, view);
	return ok;
}

static bool keep_log_keys(struct new_epoch *r, struct error *err)
{
	char key[KEY_TEXT_MAX];
	scoped(secret_freep) struct secret *saved = NULL;
	key_for_log_keys(r->next->root.epoch, key);
	if (!keys_save_log(r->v->log_keys, &saved, err) ||
	    !keep_sealed(r, key, 'k', bytes_of_text(key), 0, secret_reveal(saved), err))
		return false;
	seal_digest(buf_bytes(&r->sealed), r->next->root.log_keys_digest);
	return true;
}

/* ---- the new head ---- */

/* Each is opened once with the secret that it is for, before there is no way back. */
static bool wrap(struct vault *next, const struct slot_holder *holders, size_t count, uint32_t passes,
		 struct error *err)
{
	size_t which;
	buf_append_uint(&next->slots, 4, count);
	for (size_t i = 0; i < count; i++) {
		uint8_t slot[SLOT_LEN], alone[4 + SLOT_LEN] = { 1 };
		scoped(secret_freep) struct secret *found = NULL;
		if (!slot_make_as(next->root.vault_id, &holders[i].secret, next->root_key, passes, holders[i].id, slot,
				  err))
			return false;
		memcpy(alone + 4, slot, SLOT_LEN);
		if (!slots_open_at(bytes_of(alone, sizeof alone), next->root.vault_id, &holders[i].secret, &found,
				   &which, err) ||
		    !secret_equal(found, next->root_key))
			return fail(err, ERR_UNEXPECTED, TXT_SLOT_UNPROVEN);
		buf_append(&next->slots, slot, SLOT_LEN);
	}
	sodium_stackzero(STACK_OF_A_KDF);
	return buf_ok(&next->slots, err);
}

static bool build_head(struct new_epoch *r, struct error *err)
{
	struct root *root = &r->next->root;
	const struct root *base = &r->v->root;
	memcpy(root->lineage, base->lineage, sizeof root->lineage);
	memcpy(root->past[1], base->past[0], sizeof root->past - sizeof root->past[0]);
	memcpy(root->past[0], base->mac, DIGEST_LEN);
	root->generation = base->generation + 1;
	randombytes_buf(root->commit_id, sizeof root->commit_id);
	seal_digest(buf_bytes(&r->next->slots), root->slots_digest);
	return root_seal(r->next->keys, root, &r->next->root_bytes, err) &&
	       keep(r, "slots", buf_bytes(&r->next->slots), err) &&
	       keep(r, "root", buf_bytes(&r->next->root_bytes), err);
}

/* ---- becoming the vault ---- */

static bool commit_items(struct new_epoch *r, struct error *err)
{
	const struct item *items = (const struct item *)r->items.at;
	size_t count = r->items.len / sizeof *items;
	scoped(wipe_freep) struct store_op *ops = wipe_calloc(count, sizeof *ops);
	if (!ops)
		return fail_no_memory(err);
	for (size_t i = 0; i < count; i++)
		ops[i] = (struct store_op){ .key = items[i].key,
					    .value = bytes_of(r->values.at + items[i].at, items[i].len),
					    .is_delete = items[i].is_delete };
	ops_sort(ops, count);
	struct store_condition unmoved = { .kind = STORE_IF_VALUE,
					   .key = "root",
					   .value = buf_bytes(&r->v->root_bytes) };
	struct store_why why = { 0 };
	enum store_class class = store_commit(r->v->store, &unmoved, 1, ops, count, NULL, &why, err);
	return class == STORE_OK || (class == STORE_CONFLICT && why.is_mine);
}

/* What v was is in r->next afterwards, and wiped with it. */
static void change_places(struct new_epoch *r)
{
	struct vault *v = r->v, *next = r->next;
	struct secret *root_key = v->root_key;
	struct keys *keys = v->keys;
	struct buf slots = v->slots, root_bytes = v->root_bytes;
	v->root = next->root;
	v->root_key = next->root_key;
	v->keys = next->keys;
	v->slots = next->slots;
	v->root_bytes = next->root_bytes;
	next->root_key = root_key;
	next->keys = keys;
	next->slots = slots;
	next->root_bytes = root_bytes;
	audit_set_generation(v->audit, v->root.generation);
}

/* The spare block of the anchor, as the new key finds it: it remembers the root that the new one grows out of. */
static bool bridge(struct new_epoch *r, const struct anchor *remembered, unsigned block, struct anchor *ret,
		   struct error *err)
{
	struct audit_position at;
	struct anchor now = anchor_of_root(&r->v->root);
	*ret = *remembered;
	ret->generation = now.generation;
	memcpy(ret->root_mac, now.root_mac, DIGEST_LEN);
	audit_durable(r->v->audit, &at);
	if (at.sequence > ret->audit_sequence) {
		ret->audit_sequence = at.sequence;
		memcpy(ret->audit_head, at.mac, DIGEST_LEN);
	}
	struct error why;
	return anchor_advance(&r->v->anchor_file, r->next->keys, ret, block, &why) ? true
		: fail(err, ERR_STORAGE, TXT_ROTATE_ANCHOR, r->v->anchor_file.path);
}

/* An intent that is durable, the anchor for the new key, the commit, the anchor, the outcome. */
static bool become(struct new_epoch *r, const struct anchor *remembered, unsigned block, struct error *err)
{
	struct vault *v = r->v;
	struct error ignored;
	struct anchor bridged;
	struct audit_line line = { &v->who, { .verb = "rotate-key", .result = "intent" } };
	struct audit_commit commit = { .base = v->root.generation };
	memcpy(commit.id, r->next->root.commit_id, sizeof commit.id);
	if (!audit_intend(v->audit, v->root.commit_id, v->root.generation, &line, 1, &commit, err) ||
	    !bridge(r, remembered, block, &bridged, err))
		return false;
	if (!commit_items(r, err))
		return false; /* whoever changes something next says in the log what became of it */
	change_places(r);
	if (!vault_advance_anchor(v, &bridged, 1 - block, err))
		return false;
	line.event.result = "done";
	(void)!audit_conclude(v->audit, &line, 1, &commit, &ignored);
	return true;
}

/* Whom the new key is wrapped for was decided before others had to wait. */
static bool slots_are_unmoved(const struct vault *v, struct error *err)
{
	uint8_t digest[DIGEST_LEN];
	seal_digest(buf_bytes(&v->slots), digest);
	return sodium_memcmp(digest, v->root.slots_digest, DIGEST_LEN) == 0 ? true : fail(err, ERR_CONFLICT, TXT_ROTATE_SLOTS);
}

static bool rotate_held(struct new_epoch *r, struct error *err)
{
	struct anchor remembered;
	unsigned block;
	if (!vault_judge_held(r->v, &remembered, &block, err) || !slots_are_unmoved(r->v, err))
		return false;
	struct audit_position known = anchored_position(&remembered);
	audit_expect(r->v->audit, &known);
	struct error why;
	if (!move_pixels(r, &why) || !sweep_old(r, &why)) {
		*err = why;
		return why.code != ERR_DAMAGED
			       ? false
			       : fail_class(err, ERR_DAMAGED, why.class, TXT_ROTATE_DAMAGED, why.message);
	}
	return build_hints(r, err) && build_inventory(r, err) && keep_log_keys(r, err) && build_head(r, err) &&
	       become(r, &remembered, block, err);
}

static void epoch_done(struct new_epoch *r)
{
	buf_done(&r->items);
	buf_done(&r->values);
	buf_done(&r->holders);
	buf_done(&r->entries);
	buf_done(&r->sealed);
}

/* Nothing but keys, the root to be and its slots: made before other writers have to wait. */
static bool prepare(const struct vault *v, struct vault *next, const struct slot_holder *holders, size_t count,
		    uint32_t passes, struct error *err)
{
	memcpy(next->root.vault_id, v->root.vault_id, VAULT_ID_LEN);
	next->root.epoch = v->root.epoch + 1;
	if (!secret_new(ROOT_KEY_LEN, &next->root_key, err))
		return false;
	crypto_kdf_keygen(secret_room(next->root_key));
	return keys_derive(next->root_key, &next->keys, err) && wrap(next, holders, count, passes, err);
}

static void next_free(struct vault **next)
{
	struct vault *n = *next;
	if (!n)
		return;
	keys_free(n->keys);
	secret_free(n->root_key);
	buf_done(&n->slots);
	buf_done(&n->root_bytes);
	buf_done(&n->plain);
	buf_done(&n->room);
	free(n);
}

bool vault_rotate_key(struct vault *v, const struct slot_holder *holders, size_t count, uint32_t passes,
		      struct rotate_key_report *ret, struct error *err)
{
	scoped(next_free) struct vault *next = vault_new();
	struct rotate_key_report report = { .epoch = v->root.epoch + 1 };
	struct new_epoch r = { .v = v,
			       .next = next,
			       .items = BUF_INIT(ALL_MAX),
			       .values = BUF_INIT(ALL_MAX),
			       .holders = BUF_INIT(ALL_MAX),
			       .entries = BUF_INIT(ALL_MAX),
			       .sealed = BUF_INIT(STORE_VALUE_MAX),
			       .report = &report };
	if (!next)
		return fail_no_memory(err);
	if (!vault_is_open(v, err) || !prepare(v, next, holders, count, passes, err))
		return false;
	vault_settle(v);
	if (store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return false;
	bool ok = rotate_held(&r, err);
	store_release(v->store);
	epoch_done(&r);
	if (ok)
		*ret = report;
	return ok;
}
