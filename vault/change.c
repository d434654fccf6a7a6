/* How a change becomes one commit: what fn stages is kept beside the store, then the inventory path of every Pixel it
 * touched is rewritten up to the root, and all of it is committed on the condition that the root is still, byte for
 * byte, the one it was based on. The write lock is held from before the root is read until the anchor is written. */
#include "core/clock.h"
#include "core/wipe.h"
#include "vault/grant.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct staged {
	char key[KEY_TEXT_MAX];
	struct buf value;
	bool is_there; /* false: known to be absent */
	bool is_dirty; /* differs from the store */
	size_t depth;  /* of a node; 0 = not a node */
};

#define VERB_MAX 16
#define NOTES_MAX (16u << 20)
#define READ_MAX 8

struct note {
	size_t item; /* whose change this is */
	char verb[VERB_MAX];
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t version;
};

struct change {
	struct vault *v;
	size_t item;      /* whose function runs */
	bool is_touched;  /* by it: something was staged */
	struct buf notes; /* of struct note */
	bool has_slots;   /* the root is to name others: slots_digest */
	uint8_t slots_digest[DIGEST_LEN];
	bool has_found; /* what was found last, until it is changed: `found` and `found_exists` */
	bool found_exists;
	struct credential found;
	struct root base;
	struct buf base_bytes;
	struct staged **at; /* open addressing by key; NULL = free */
	size_t used, room;
};

/* ---- the staged set ---- */

static size_t slot_of(const struct change *ch, const char *key)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (const char *p = key; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
	size_t i = (size_t)(hash & (ch->room - 1));
	while (ch->at[i] && strcmp(ch->at[i]->key, key) != 0)
		i = (i + 1) & (ch->room - 1);
	return i;
}

static struct staged *find_staged(const struct change *ch, const char *key)
{
	return ch->room ? ch->at[slot_of(ch, key)] : NULL;
}

static bool grow(struct change *ch, struct error *err)
{
	struct change bigger = *ch;
	bigger.room = ch->room ? ch->room * 2 : 64;
	bigger.at = calloc(bigger.room, sizeof(struct staged *));
	if (!bigger.at)
		return fail_no_memory(err);
	for (size_t i = 0; i < ch->room; i++)
		if (ch->at[i])
			bigger.at[slot_of(&bigger, ch->at[i]->key)] = ch->at[i];
	free(ch->at);
	*ch = bigger;
	return true;
}

static bool stage(struct change *ch, const char *key, struct staged **ret, struct error *err)
{
	if (ch->used * 2 >= ch->room && !grow(ch, err))
		return false;
	size_t i = slot_of(ch, key);
	if (!ch->at[i]) {
		struct staged *fresh = calloc(1, sizeof *fresh);
		if (!fresh)
			return fail_no_memory(err);
		memcpy(fresh->key, key, strlen(key) + 1);
		fresh->value.max = STORE_VALUE_MAX;
		ch->at[i] = fresh;
		ch->used++;
	}
	*ret = ch->at[i];
	return true;
}

static bool stage_value(struct change *ch, const char *key, struct bytes value, bool is_dirty, struct error *err)
{
	struct staged *staged;
	if (!stage(ch, key, &staged, err))
		return false;
	struct buf fresh = BUF_INIT(STORE_VALUE_MAX);
	buf_append(&fresh, value.at, value.len);
	buf_done(&staged->value);
	staged->value = fresh;
	staged->is_there = true;
	staged->is_dirty |= is_dirty;
	ch->is_touched |= is_dirty;
	return buf_ok(&staged->value, err);
}

static bool stage_delete(struct change *ch, const char *key, struct error *err)
{
	struct staged *staged;
	if (!stage(ch, key, &staged, err))
		return false;
	buf_done(&staged->value);
	staged->is_there = false;
	staged->is_dirty = ch->is_touched = true;
	return true;
}

bool change_drop_row(struct change *ch, const char *key, struct error *err)
{
	return stage_delete(ch, key, err);
}

static void forget_staged(struct change *ch)
{
	for (size_t i = 0; i < ch->room; i++)
		if (ch->at[i]) {
			buf_done(&ch->at[i]->value);
			free(ch->at[i]);
		}
	free(ch->at);
	ch->at = NULL;
	ch->used = ch->room = 0;
	ch->has_found = ch->has_slots = false;
}

/* ---- reading through a change ---- */

static struct store_record staged_record(const struct staged *staged)
{
	return (struct store_record){ .key = staged->key,
				      .value = buf_bytes(&staged->value),
				      .is_found = staged->is_there };
}

/* The nodes on id's path, from the staged set or, proven, from the store. A child that is not staged yet is still named
 * by its parent's old digest, as parents are rewritten only when the change ends. */
static bool load_path(struct change *ch, const uint8_t id[PIXEL_ID_LEN], struct error *err)
{
	char node[NODE_DEPTH][KEY_TEXT_MAX];
	struct store_record records[NODE_DEPTH + 1];
	struct path_proof proof;
	size_t known = 0;
	for (size_t i = 0; i < NODE_DEPTH; i++) {
		key_for_node(ch->v->root.epoch, id, i + 1, node[i]);
		known += find_staged(ch, node[i]) != NULL;
	}
	if (known == NODE_DEPTH)
		return true;
	const char *const keys[] = { "root", node[0], node[1], node[2] };
	if (store_get_many(ch->v->store, keys, COUNT_OF(keys), &ch->v->room, records, err) != STORE_OK)
		return false;
	/* Nodes staged earlier may be dirty; the store's own path is what the unmoved root proves. */
	if (!records[0].is_found || !bytes_equal(records[0].value, buf_bytes(&ch->base_bytes)))
		return fail(err, ERR_CONFLICT, TXT_ROOT_MOVED);
	if (!path_prove(ch->v, &ch->base, id, records + 1, &proof, err))
		return false;
	for (size_t i = 0; i < NODE_DEPTH; i++) {
		struct staged *staged = find_staged(ch, node[i]);
		if (staged)
			continue;
		if (!stage(ch, node[i], &staged, err))
			return false;
		staged->depth = i + 1;
		staged->is_there = i < proof.depth;
		if (staged->is_there)
			buf_append(&staged->value, proof.node[i].at, proof.node[i].len);
		if (!buf_ok(&staged->value, err))
			return false;
	}
	return true;
}

bool change_has_node(const struct change *ch, const uint8_t id[PIXEL_ID_LEN], size_t depth, struct buf *ret)
{
	char key[KEY_TEXT_MAX];
	key_for_node(ch->v->root.epoch, id, depth, key);
	const struct staged *staged = find_staged(ch, key);
	if (staged && staged->is_there)
		buf_append(ret, staged->value.at, staged->value.len);
	return staged != NULL;
}

bool change_keep_node(struct change *ch, const uint8_t id[PIXEL_ID_LEN], size_t depth, const struct buf *node, bool is_dirty,
		      struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct staged *staged;
	key_for_node(ch->v->root.epoch, id, depth, key);
	if (!stage(ch, key, &staged, err))
		return false;
	staged->depth = depth;
	staged->is_there = node != NULL;
	staged->is_dirty = is_dirty;
	ch->is_touched |= is_dirty;
	if (node)
		buf_append(&staged->value, node->at, node->len);
	return buf_ok(&staged->value, err);
}

static struct staged *leaf_of(struct change *ch, const uint8_t id[PIXEL_ID_LEN])
{
	char key[KEY_TEXT_MAX];
	key_for_node(ch->v->root.epoch, id, NODE_DEPTH, key);
	return find_staged(ch, key);
}

bool change_read(const struct change *ch, const char *const *keys, size_t count, struct store_record *ret,
		 struct error *err)
{
	const char *unstaged[READ_MAX];
	struct store_record found[READ_MAX];
	size_t place[READ_MAX], missing = 0;
	assert(count <= READ_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct staged *staged = find_staged(ch, keys[i]);
		if (staged) {
			ret[i] = staged_record(staged);
		} else {
			place[missing] = i;
			unstaged[missing++] = keys[i];
		}
	}
	if (missing && store_get_many(ch->v->store, unstaged, missing, &ch->v->room, found, err) != STORE_OK)
		return false;
	for (size_t i = 0; i < missing; i++)
		ret[place[i]] = found[i];
	return true;
}

static bool read_key(const struct change *ch, const char *key, struct store_record *ret, struct error *err)
{
	return change_read(ch, &key, 1, ret, err);
}

static bool find_pixel(struct change *ch, const char *pixel, struct credential *ret, bool *ret_exists, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct store_record record;
	keys_pixel_id(ch->v->keys, pixel, id);
	if (!load_path(ch, id, err))
		return false;
	const struct staged *leaf = leaf_of(ch, id);
	const uint8_t *digest = leaf->is_there ? leaf_find(buf_bytes(&leaf->value), id) : NULL;
	if (!digest) {
		*ret = (struct credential){ .created_at = clock_wall() };
		memcpy(ret->pixel, pixel, strlen(pixel) + 1);
		*ret_exists = false;
		return true;
	}
	key_for_pixel(ch->v->root.epoch, 'm', id, key);
	if (!read_key(ch, key, &record, err) || !metadata_open(ch->v, id, &record, digest, pixel, ret, err))
		return false;
	*ret_exists = true;
	return true;
}

bool change_find(struct change *ch, const char *pixel, struct credential *ret, bool *ret_exists, struct error *err)
{
	if (!ch->has_found || strcmp(ch->found.pixel, pixel) != 0)
		ch->has_found = find_pixel(ch, pixel, &ch->found, &ch->found_exists, err);
	if (!ch->has_found)
		return false;
	*ret = ch->found;
	*ret_exists = ch->found_exists;
	return true;
}

/* ---- staging ---- */

static bool read_hint(struct change *ch, const uint8_t fingerprint[FINGERPRINT_LEN], char ret_key[KEY_TEXT_MAX],
		      struct hint *ret, struct error *err)
{
	struct store_record record;
	key_for_hint(ch->v->root.epoch, fingerprint, ret_key);
	if (!read_key(ch, ret_key, &record, err))
		return false;
	struct seal_context context = vault_context(ch->v, 'd', bytes_of_text(ret_key), 0);
	buf_clear(&ch->v->plain);
	if (!record.is_found || !unseal(ch->v->keys, &context, record.value, &ch->v->plain) ||
	    !hint_decode(buf_bytes(&ch->v->plain), ret))
		ret->count = 0;
	return true;
}

static bool stage_hint(struct change *ch, const char *key, const struct hint *hint, struct error *err)
{
	struct seal_context context = vault_context(ch->v, 'd', bytes_of_text(key), 0);
	struct buf plain = BUF_INIT(STORE_VALUE_MAX), sealed = BUF_INIT(STORE_VALUE_MAX);
	hint_encode(hint, &plain);
	bool ok = buf_ok(&plain, err) && seal(ch->v->keys, &context, buf_bytes(&plain), &sealed, err) &&
		  stage_value(ch, key, buf_bytes(&sealed), true, err);
	buf_done(&plain);
	buf_done(&sealed);
	return ok;
}

static bool note_holder(struct change *ch, const uint8_t fingerprint[FINGERPRINT_LEN], const char *pixel,
			struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct hint hint;
	uint8_t id[PIXEL_ID_LEN];
	keys_pixel_id(ch->v->keys, pixel, id);
	if (!read_hint(ch, fingerprint, key, &hint, err))
		return false;
	for (size_t i = 0; i < hint.count; i++)
		if (memcmp(hint.ids[i], id, PIXEL_ID_LEN) == 0)
			return true;
	if (hint.count == HINT_PIXELS_MAX) {
		memmove(hint.ids[0], hint.ids[1], sizeof hint.ids - sizeof hint.ids[0]);
		hint.count--;
	}
	memcpy(hint.ids[hint.count++], id, PIXEL_ID_LEN);
	return stage_hint(ch, key, &hint, err);
}

/* The Pixel no longer holds this secret: the hint goes with it, the row with the last Pixel. */
static bool forget_holder(struct change *ch, const uint8_t fingerprint[FINGERPRINT_LEN], const char *pixel,
			  struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct hint hint;
	uint8_t id[PIXEL_ID_LEN];
	size_t kept = 0;
	if (!read_hint(ch, fingerprint, key, &hint, err))
		return false;
	keys_pixel_id(ch->v->keys, pixel, id);
	for (size_t i = 0; i < hint.count; i++)
		if (memcmp(hint.ids[i], id, PIXEL_ID_LEN) != 0) {
			if (kept != i)
				memcpy(hint.ids[kept], hint.ids[i], PIXEL_ID_LEN);
			kept++;
		}
	if (kept == hint.count)
		return true;
	hint.count = kept;
	return kept ? stage_hint(ch, key, &hint, err) : stage_delete(ch, key, err);
}

static bool find_version(struct credential *c, uint32_t number, struct version **ret, struct error *err)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].number == number) {
			*ret = &c->versions[i];
			return true;
		}
	return fail(err, ERR_NOT_FOUND, TXT_NO_VERSION, c->pixel, (unsigned)number);
}

bool change_put_grant(struct change *ch, struct credential *c, uint32_t number, const struct secret *grant,
		      struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct version *version;
	struct grant inside;
	if (!find_version(c, number, &version, err))
		return false;
	if (!grant_open(secret_reveal(grant), &inside))
		return fail(err, ERR_UNEXPECTED, TXT_CHANGE_SILENT);
	keys_pixel_id(ch->v->keys, c->pixel, id);
	key_for_grant(ch->v->root.epoch, id, number, key);
	struct seal_context context = vault_context(ch->v, 'g', bytes_of(id, PIXEL_ID_LEN), number);
	struct buf sealed = BUF_INIT(STORE_VALUE_MAX);
	bool ok = seal(ch->v->keys, &context, secret_reveal(grant), &sealed, err) &&
		  stage_value(ch, key, buf_bytes(&sealed), true, err);
	if (ok) {
		seal_digest(buf_bytes(&sealed), version->renewal.digest);
		vault_fingerprint_bytes(ch->v, inside.refresh_token, version->renewal.fingerprint);
		ok = note_holder(ch, version->renewal.fingerprint, c->pixel, err);
	}
	buf_done(&sealed);
	return ok;
}

static bool delete_grant(struct change *ch, const char *pixel, const struct version *of, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	keys_pixel_id(ch->v->keys, pixel, id);
	key_for_grant(ch->v->root.epoch, id, of->number, key);
	return stage_delete(ch, key, err) && forget_holder(ch, of->renewal.fingerprint, pixel, err);
}

bool change_drop_grant(struct change *ch, struct credential *c, uint32_t number, struct error *err)
{
	struct version *version;
	if (!find_version(c, number, &version, err))
		return false;
	if (!version_has_grant(version))
		return true;
	memset(version->renewal.digest, 0, DIGEST_LEN);
	return delete_grant(ch, c->pixel, version, err);
}

bool change_put_token(struct change *ch, struct credential *c, uint32_t number, const struct secret *token,
		      struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct version *version;
	if (!find_version(c, number, &version, err))
		return false;
	keys_pixel_id(ch->v->keys, c->pixel, id);
	key_for_token(ch->v->root.epoch, id, number, key);
	struct seal_context context = vault_context(ch->v, 't', bytes_of(id, PIXEL_ID_LEN), number);
	struct buf sealed = BUF_INIT(STORE_VALUE_MAX);
	bool ok = seal(ch->v->keys, &context, secret_reveal(token), &sealed, err) &&
		  stage_value(ch, key, buf_bytes(&sealed), true, err);
	if (ok) {
		seal_digest(buf_bytes(&sealed), version->digest);
		vault_fingerprint(ch->v, token, version->fingerprint);
		ok = note_holder(ch, version->fingerprint, c->pixel, err);
	}
	buf_done(&sealed);
	return ok;
}

static bool forget_token(struct change *ch, const struct credential *c, uint32_t number, struct error *err)
{
	struct credential stored;
	bool exists;
	if (!change_find(ch, c->pixel, &stored, &exists, err))
		return false;
	const struct version *dropped = exists ? credential_numbered(&stored, number) : NULL;
	if (!dropped)
		return true;
	if (version_has_grant(dropped) && !delete_grant(ch, c->pixel, dropped, err))
		return false;
	for (size_t i = 0; i < c->version_count; i++)
		if (memcmp(c->versions[i].fingerprint, dropped->fingerprint, FINGERPRINT_LEN) == 0)
			return true;
	return forget_holder(ch, dropped->fingerprint, c->pixel, err);
}

bool change_drop_token(struct change *ch, const struct credential *c, uint32_t number, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	if (!forget_token(ch, c, number, err))
		return false;
	keys_pixel_id(ch->v->keys, c->pixel, id);
	key_for_token(ch->v->root.epoch, id, number, key);
	return stage_delete(ch, key, err);
}

static bool set_entry(struct change *ch, const uint8_t id[PIXEL_ID_LEN], const uint8_t digest[DIGEST_LEN],
		      struct error *err)
{
	struct staged *leaf = leaf_of(ch, id);
	struct buf with = BUF_INIT(STORE_VALUE_MAX);
	ch->is_touched = true;
	leaf_with(leaf->is_there ? buf_bytes(&leaf->value) : bytes_of("", 0), id, digest, &with);
	if (!buf_ok(&with, err)) {
		buf_done(&with);
		return false;
	}
	buf_done(&leaf->value);
	leaf->value = with;
	leaf->is_there = leaf->is_dirty = true;
	return true;
}

bool change_store(struct change *ch, const struct credential *c, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN], digest[DIGEST_LEN];
	char key[KEY_TEXT_MAX];
	ch->has_found = false;
	keys_pixel_id(ch->v->keys, c->pixel, id);
	key_for_pixel(ch->v->root.epoch, 'm', id, key);
	struct seal_context context = vault_context(ch->v, 'm', bytes_of(id, PIXEL_ID_LEN), 0);
	struct buf plain = BUF_INIT(STORE_VALUE_MAX), sealed = BUF_INIT(STORE_VALUE_MAX);
	bool ok = load_path(ch, id, err) && credential_encode(c, &plain, err) &&
		  seal(ch->v->keys, &context, buf_bytes(&plain), &sealed, err) &&
		  stage_value(ch, key, buf_bytes(&sealed), true, err);
	if (ok) {
		seal_digest(buf_bytes(&sealed), digest);
		ok = set_entry(ch, id, digest, err);
	}
	buf_done(&plain);
	buf_done(&sealed);
	return ok;
}

bool change_store_health(struct change *ch, const char *pixel, const struct health *h, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct health next = *h;
	struct buf sealed = BUF_INIT(STORE_VALUE_MAX);
	next.counter++;
	keys_pixel_id(ch->v->keys, pixel, id);
	key_for_pixel(ch->v->root.epoch, 'h', id, key);
	bool ok = health_seal(ch->v, id, &next, &sealed, err) && stage_value(ch, key, buf_bytes(&sealed), true, err);
	buf_done(&sealed);
	return ok;
}

bool change_health(struct change *ch, const struct credential *c, struct health *ret, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct store_record record;
	keys_pixel_id(ch->v->keys, c->pixel, id);
	key_for_pixel(ch->v->root.epoch, 'h', id, key);
	if (!read_key(ch, key, &record, err))
		return false;
	health_open(ch->v, id, record.is_found ? record.value : bytes_of("", 0), c, ret);
	return true;
}

bool change_drop_health(struct change *ch, const char *pixel, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	keys_pixel_id(ch->v->keys, pixel, id);
	key_for_pixel(ch->v->root.epoch, 'h', id, key);
	return stage_delete(ch, key, err);
}

bool change_slots(struct change *ch, struct bytes value, struct error *err)
{
	seal_digest(value, ch->slots_digest);
	ch->has_slots = true;
	return stage_value(ch, "slots", value, true, err);
}

void change_note(struct change *ch, const char *verb, const char *pixel, uint32_t version)
{
	struct note note = { .item = ch->item, .version = version };
	snprintf(note.verb, sizeof note.verb, "%s", verb);
	snprintf(note.pixel, sizeof note.pixel, "%s", pixel);
	buf_append(&ch->notes, &note, sizeof note);
}

/* ---- committing ---- */

/* Every dirty node of this depth tells its parent its new digest. */
static bool lift(struct change *ch, size_t depth, struct root *next, struct error *err)
{
	for (size_t i = 0; i < ch->room; i++) {
		struct staged *node = ch->at[i];
		if (!node || node->depth != depth || !node->is_dirty)
			continue;
		const char *prefix = strrchr(node->key, '/') + 1;
		char last = prefix[depth - 1];
		size_t place = (size_t)(last <= '9' ? last - '0' : last - 'a' + 10);
		uint8_t mac[DIGEST_LEN];
		node_mac(ch->v->keys, prefix, buf_bytes(&node->value), mac);
		if (depth == 1) {
			memcpy(next->top[place], mac, DIGEST_LEN);
			continue;
		}
		char parent_key[KEY_TEXT_MAX];
		memcpy(parent_key, node->key, sizeof parent_key);
		parent_key[strlen(parent_key) - 1] = '\0';
		struct staged *parent = find_staged(ch, parent_key);
		if (!parent->is_there)
			buf_append_zeros(&parent->value, (size_t)NODE_FANOUT * DIGEST_LEN);
		if (!buf_ok(&parent->value, err))
			return false;
		memcpy(parent->value.at + place * DIGEST_LEN, mac, DIGEST_LEN);
		parent->is_there = parent->is_dirty = true;
	}
	return true;
}

static bool build_root(struct change *ch, struct root *next, struct buf *out, struct error *err)
{
	*next = ch->base;
	for (size_t depth = NODE_DEPTH; depth > 0; depth--)
		if (!lift(ch, depth, next, err))
			return false;
	if (ch->has_slots)
		memcpy(next->slots_digest, ch->slots_digest, DIGEST_LEN);
	next->generation++;
	randombytes_buf(next->commit_id, sizeof next->commit_id);
	memmove(next->past[1], next->past[0], sizeof next->past - sizeof next->past[0]);
	memcpy(next->past[0], ch->base.mac, DIGEST_LEN);
	return root_seal(ch->v->keys, next, out, err);
}

static size_t collect_ops(const struct change *ch, struct store_op *ops)
{
	size_t count = 0;
	for (size_t i = 0; i < ch->room; i++)
		if (ch->at[i] && ch->at[i]->is_dirty)
			ops[count++] = (struct store_op){ .key = ch->at[i]->key,
							  .value = buf_bytes(&ch->at[i]->value),
							  .is_delete = !ch->at[i]->is_there };
	ops_sort(ops, count);
	return count;
}

enum attempt {
	ATTEMPT_DONE,
	ATTEMPT_AGAIN,   /* another writer was faster */
	ATTEMPT_ALONE,   /* too much for one commit: one by one they may fit */
	ATTEMPT_UNKNOWN, /* it may be there or not */
	ATTEMPT_FAILED,
};

static enum attempt attempt_of(enum store_class class, const struct store_why *why)
{
	/* A conflict with our own bytes is our own commit whose answer was lost. */
	if (class == STORE_OK || (class == STORE_CONFLICT && why->is_mine))
		return ATTEMPT_DONE;
	if (class == STORE_CONFLICT)
		return ATTEMPT_AGAIN;
	if (class == STORE_UNKNOWN)
		return ATTEMPT_UNKNOWN;
	return class == STORE_FULL || class == STORE_TOO_BIG ? ATTEMPT_ALONE : ATTEMPT_FAILED;
}

static enum attempt commit_root(struct change *ch, const struct root *next, struct bytes root_bytes,
				struct store_pos *ret_at, struct error *err)
{
	struct store_why why = { 0 };
	scoped(wipe_freep) struct store_op *ops = wipe_calloc(ch->used + 1, sizeof *ops);
	if (!ops) {
		(void)!fail_no_memory(err);
		return ATTEMPT_FAILED;
	}
	size_t count = collect_ops(ch, ops);
	ops[count++] = (struct store_op){ .key = "root", .value = root_bytes };
	struct store_condition unmoved = { .kind = STORE_IF_VALUE, .key = "root", .value = buf_bytes(&ch->base_bytes) };
	enum attempt outcome = attempt_of(store_commit(ch->v->store, &unmoved, 1, ops, count, ret_at, &why, err), &why);
	return outcome == ATTEMPT_DONE && !vault_take_root(ch->v, next, root_bytes, err) ? ATTEMPT_FAILED : outcome;
}

/* One entry per note, on behalf of whoever asked for that change: first an intent, then an outcome. */
struct promise {
	struct audit_who who;
	struct note note;
};

static bool list_promises(struct change *ch, const struct change_item *items, const struct root *next, struct error *err)
{
	static const struct note unnamed = { .verb = "change" };
	struct vault *v = ch->v;
	size_t count = ch->notes.len / sizeof(struct note);
	const struct note *notes = count ? (const struct note *)ch->notes.at : &unnamed;
	v->promised = (struct audit_commit){ .base = ch->base.generation };
	memcpy(v->promised.id, next->commit_id, sizeof v->promised.id);
	buf_clear(&v->promises);
	for (size_t i = 0; i == 0 || i < count; i++) {
		struct promise p = { items[notes[i].item].who, notes[i] };
		buf_append(&v->promises, &p, sizeof p);
	}
	return buf_ok(&v->promises, err);
}

/* As entries with this result, to be freed; NULL without memory. */
static struct audit_line *lines_of(const struct vault *v, const char *result, size_t *ret_count)
{
	const struct promise *p = (const struct promise *)v->promises.at;
	size_t count = v->promises.len / sizeof *p;
	struct audit_line *lines = wipe_calloc(count, sizeof *lines);
	for (size_t i = 0; lines && i < count; i++)
		lines[i] = (struct audit_line){ &p[i].who,
						{ .verb = p[i].note.verb,
						  .pixel = p[i].note.pixel[0] ? p[i].note.pixel : NULL,
						  .version = p[i].note.version,
						  .result = result } };
	*ret_count = count;
	return lines;
}

/* They come behind an answer to what an earlier change, of a process that died, left open. */
static bool write_intents(struct change *ch, struct error *err)
{
	size_t count;
	scoped(wipe_freep) struct audit_line *lines = lines_of(ch->v, "intent", &count);
	if (!lines)
		return fail_no_memory(err);
	return audit_intend(ch->v->audit, ch->base.commit_id, ch->base.generation, lines, count, &ch->v->promised, err);
}

/* One that cannot be written is found out by whoever changes something next. */
void vault_settle(struct vault *v)
{
	size_t count;
	struct error ignored;
	if (!v->outcome)
		return;
	scoped(wipe_freep) struct audit_line *lines = lines_of(v, v->outcome, &count);
	if (lines)
		(void)!audit_conclude(v->audit, lines, count, &v->promised, &ignored);
	v->outcome = NULL;
}

static const char *result_of(enum attempt outcome)
{
	switch (outcome) {
	case ATTEMPT_DONE:
		return "done";
	case ATTEMPT_UNKNOWN:
		return "unknown";
	default:
		return "not-done";
	}
}

/* What was changed goes to the follower at once: nobody need look for it. Not when somebody else committed since the
 * follower last looked, nor when it cannot be read; then it looks. */
static void give_on(struct change *ch, const struct store_pos *at)
{
	const struct follower *f = &ch->v->follower;
	struct buf ids = BUF_INIT(SIZE_MAX / 4);
	struct error ignored;
	if (!f->fn || at->rev != f->at->rev + 1 || memcmp(at->incarnation, f->at->incarnation, sizeof at->incarnation) != 0)
		return;
	for (size_t i = 0; i < ch->room; i++)
		if (ch->at[i] && ch->at[i]->is_dirty)
			note_pixel_of(ch->at[i]->key, ch->v->root.epoch, &ids);
	ch->v->is_in_step = give_pixels(ch->v, ch, &ids, f->fn, f->context, &ignored);
	if (ch->v->is_in_step)
		f->at->rev = at->rev;
	buf_done(&ids);
}

/* An intent that is durable, the commit, the anchor, the outcome. */
static enum attempt commit_staged(struct change *ch, const struct change_item *items, const struct anchor *remembered,
				  unsigned block, struct error *err)
{
	struct root next;
	struct buf root_bytes = BUF_INIT(STORE_VALUE_MAX);
	struct store_pos at = { 0 };
	enum attempt outcome = ATTEMPT_FAILED;
	if (build_root(ch, &next, &root_bytes, err) && list_promises(ch, items, &next, err) && write_intents(ch, err)) {
		outcome = commit_root(ch, &next, buf_bytes(&root_bytes), &at, err);
		bool is_anchored = outcome != ATTEMPT_DONE || vault_advance_anchor(ch->v, remembered, block, err);
		ch->v->outcome = result_of(outcome);
		if (!ch->v->follower.fn)
			vault_settle(ch->v);
		if (outcome == ATTEMPT_DONE && is_anchored)
			give_on(ch, &at);
		outcome = is_anchored ? outcome : ATTEMPT_FAILED;
	}
	buf_done(&root_bytes);
	return outcome;
}

/* Each function on top of what those before it staged. One that fails is dropped with its own error; when it had staged
 * something already, all begins anew without it. */
static void run_items(struct change *ch, struct change_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t notes = ch->notes.len;
		if (items[i].err.code != ERR_NONE)
			continue;
		ch->item = i;
		ch->is_touched = false;
		if (items[i].fn(items[i].context, ch, &items[i].err)) {
			items[i].err.code = ERR_NONE;
			continue;
		}
		if (items[i].err.code == ERR_NONE)
			(void)!fail(&items[i].err, ERR_UNEXPECTED, TXT_CHANGE_SILENT);
		ch->notes.len = notes;
		if (ch->is_touched) {
			forget_staged(ch);
			ch->notes.len = 0;
			i = SIZE_MAX; /* the next is the first */
		}
	}
}

static bool has_work(const struct change *ch)
{
	for (size_t i = 0; i < ch->room; i++)
		if (ch->at[i] && ch->at[i]->is_dirty)
			return true;
	return false;
}

static enum attempt attempt(struct change *ch, struct change_item *items, size_t count, struct error *err)
{
	struct anchor remembered;
	unsigned block;
	struct vault *v = ch->v;
	if (!vault_judge_held(v, &remembered, &block, err))
		return ATTEMPT_FAILED;
	struct audit_position known = anchored_position(&remembered);
	audit_expect(v->audit, &known);
	ch->base = v->root;
	buf_append(&ch->base_bytes, v->root_bytes.at, v->root_bytes.len);
	if (!buf_ok(&ch->base_bytes, err))
		return ATTEMPT_FAILED;
	run_items(ch, items, count);
	if (!has_work(ch))
		return ATTEMPT_DONE;
	return commit_staged(ch, items, &remembered, block, err);
}

static enum attempt attempt_held(struct vault *v, struct change_item *items, size_t count, struct error *err)
{
	struct change ch = { .v = v, .notes = BUF_INIT(NOTES_MAX), .base_bytes = BUF_INIT(STORE_VALUE_MAX) };
	vault_settle(v);
	v->is_in_step = false;
	if (store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return ATTEMPT_FAILED;
	enum attempt outcome = attempt(&ch, items, count, err);
	store_release(v->store);
	forget_staged(&ch);
	buf_done(&ch.notes);
	buf_done(&ch.base_bytes);
	return outcome;
}

static size_t count_alive(const struct change_item *items, size_t count)
{
	size_t alive = 0;
	for (size_t i = 0; i < count; i++)
		alive += items[i].err.code == ERR_NONE;
	return alive;
}

static enum attempt change_until(struct vault *v, struct change_item *items, size_t count, struct error *err)
{
	int64_t until = clock_boot_ms() + STORE_WAIT_MS;
	if (!vault_is_open(v, err))
		return ATTEMPT_FAILED;
	enum attempt outcome;
	/* One that was overtaken has said so: that is the answer when the time is over. */
	while ((outcome = attempt_held(v, items, count, err)) == ATTEMPT_AGAIN && clock_boot_ms() < until)
		clock_sleep_ms(1 + randombytes_uniform(20));
	return outcome;
}

void vault_change_all(struct vault *v, struct change_item *items, size_t count)
{
	struct error err;
	for (size_t i = 0; i < count; i++) {
		items[i].is_done = false;
		items[i].err.code = ERR_NONE;
	}
	enum attempt outcome = change_until(v, items, count, &err);
	bool is_alone = count_alive(items, count) == 1;
	for (size_t i = 0; i < count; i++) {
		if (items[i].err.code != ERR_NONE)
			continue;
		if (outcome == ATTEMPT_DONE)
			items[i].is_done = true;
		else if (outcome == ATTEMPT_ALONE && !is_alone)
			vault_change_all(v, &items[i], 1);
		else
			items[i].err = err;
	}
}

bool vault_change(struct vault *v, change_fn *fn, void *context, struct error *err)
{
	struct change_item item = { .fn = fn, .context = context, .who = v->who };
	vault_change_all(v, &item, 1);
	if (!item.is_done)
		*err = item.err;
	return item.is_done;
}
