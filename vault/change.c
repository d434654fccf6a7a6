/* How a change becomes one commit: what fn stages is kept beside the store, then the inventory path of every Pixel it
 * touched is rewritten up to the root, and all of it is committed on the condition that the root is still, byte for
 * byte, the one it was based on. The write lock is held from before the root is read until the anchor is written. */
#include "core/clock.h"
#include "core/wipe.h"
#include "vault/internal.h"
#include "vault/text.h"

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

struct note {
	char verb[VERB_MAX];
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t version;
};

struct change {
	struct vault *v;
	struct buf notes; /* of struct note */
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
	return buf_ok(&staged->value, err);
}

static bool stage_delete(struct change *ch, const char *key, struct error *err)
{
	struct staged *staged;
	if (!stage(ch, key, &staged, err))
		return false;
	buf_done(&staged->value);
	staged->is_there = false;
	staged->is_dirty = true;
	return true;
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

static struct staged *leaf_of(struct change *ch, const uint8_t id[PIXEL_ID_LEN])
{
	char key[KEY_TEXT_MAX];
	key_for_node(ch->v->root.epoch, id, NODE_DEPTH, key);
	return find_staged(ch, key);
}

/* From the staged set, else from the store, copied into the vault's room. */
static bool read_key(struct change *ch, const char *key, struct store_record *ret, struct error *err)
{
	struct staged *staged = find_staged(ch, key);
	if (staged) {
		*ret = staged_record(staged);
		return true;
	}
	return store_get_many(ch->v->store, &key, 1, &ch->v->room, ret, err) == STORE_OK;
}

bool change_find(struct change *ch, const char *pixel, struct credential *ret, bool *ret_exists, struct error *err)
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

bool change_put_token(struct change *ch, struct credential *c, uint32_t number, const struct secret *token,
		      struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct version *version = NULL;
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].number == number)
			version = &c->versions[i];
	if (!version)
		return fail(err, ERR_NOT_FOUND, TXT_NO_VERSION, c->pixel, (unsigned)number);
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

/* The Pixel no longer holds this token: the hint goes with it, the row with the last Pixel. */
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

static bool forget_token(struct change *ch, const struct credential *c, uint32_t number, struct error *err)
{
	struct credential stored;
	bool exists;
	if (!change_find(ch, c->pixel, &stored, &exists, err))
		return false;
	const struct version *dropped = exists ? credential_numbered(&stored, number) : NULL;
	if (!dropped)
		return true;
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].number != number &&
		    memcmp(c->versions[i].fingerprint, dropped->fingerprint, FINGERPRINT_LEN) == 0)
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

static bool seal_health(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct health *h, struct buf *sealed,
			struct error *err)
{
	struct seal_context context = vault_context(v, 'h', bytes_of(id, PIXEL_ID_LEN), 0);
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	bool ok = health_encode(h, &plain, err) && seal(v->keys, &context, buf_bytes(&plain), sealed, err);
	buf_done(&plain);
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
	bool ok = seal_health(ch->v, id, &next, &sealed, err) && stage_value(ch, key, buf_bytes(&sealed), true, err);
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

void change_note(struct change *ch, const char *verb, const char *pixel, uint32_t version)
{
	struct note note = { .version = version };
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
	next->generation++;
	randombytes_buf(next->commit_id, sizeof next->commit_id);
	memmove(next->past[1], next->past[0], sizeof next->past - sizeof next->past[0]);
	memcpy(next->past[0], ch->base.mac, DIGEST_LEN);
	return root_seal(ch->v->keys, next, out, err);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct store_op *)a)->key, ((const struct store_op *)b)->key);
}

/* In key order, so that a large commit fills the store's pages one after the other. */
static void sort_ops(struct store_op *ops, size_t count)
{
	qsort(ops, count, sizeof *ops, by_key);
}

static size_t collect_ops(const struct change *ch, struct store_op *ops)
{
	size_t count = 0;
	for (size_t i = 0; i < ch->room; i++)
		if (ch->at[i] && ch->at[i]->is_dirty)
			ops[count++] = (struct store_op){ .key = ch->at[i]->key,
							  .value = buf_bytes(&ch->at[i]->value),
							  .is_delete = !ch->at[i]->is_there };
	sort_ops(ops, count);
	return count;
}

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_FAILED };

static enum attempt commit_staged(struct change *ch, struct error *err)
{
	struct root next;
	struct buf root_bytes = BUF_INIT(STORE_VALUE_MAX);
	struct store_why why = { 0 };
	scoped(wipe_freep) struct store_op *ops = wipe_calloc(ch->used + 1, sizeof *ops);
	if (!ops) {
		(void)!fail_no_memory(err);
		return ATTEMPT_FAILED;
	}
	enum store_class class = STORE_INVALID;
	if (build_root(ch, &next, &root_bytes, err)) {
		size_t count = collect_ops(ch, ops);
		ops[count++] = (struct store_op){ .key = "root", .value = buf_bytes(&root_bytes) };
		struct store_condition unmoved = { .kind = STORE_IF_VALUE,
						   .key = "root",
						   .value = buf_bytes(&ch->base_bytes) };
		class = store_commit(ch->v->store, &unmoved, 1, ops, count, NULL, &why, err);
	}
	/* A conflict with our own bytes is our own commit whose answer was lost. */
	bool is_done = class == STORE_OK || (class == STORE_CONFLICT && why.is_mine);
	if (is_done) {
		ch->v->root = next;
		buf_clear(&ch->v->root_bytes);
		buf_append(&ch->v->root_bytes, root_bytes.at, root_bytes.len);
	}
	buf_done(&root_bytes);
	return is_done ? ATTEMPT_DONE : class == STORE_CONFLICT ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
}

static bool advance_anchor(struct vault *v, const struct anchor *last, unsigned block, struct error *err)
{
	struct anchor a = *last;
	a.generation = v->root.generation;
	a.epoch = v->root.epoch;
	memcpy(a.lineage, v->root.lineage, sizeof a.lineage);
	memcpy(a.root_mac, v->root.mac, DIGEST_LEN);
	a.wall_clock = clock_wall();
	return anchor_advance(&v->anchor_file, v->keys, &a, block, err);
}

static enum attempt attempt(struct change *ch, change_fn *fn, void *context, struct error *err)
{
	struct anchor remembered;
	unsigned block;
	struct vault *v = ch->v;
	if (!vault_judge_held(v, &remembered, &block, err))
		return ATTEMPT_FAILED;
	ch->base = v->root;
	buf_clear(&ch->base_bytes);
	buf_append(&ch->base_bytes, v->root_bytes.at, v->root_bytes.len);
	if (!buf_ok(&ch->base_bytes, err) || !fn(context, ch, err))
		return ATTEMPT_FAILED;
	bool has_work = false;
	for (size_t i = 0; i < ch->room; i++)
		has_work |= ch->at[i] && ch->at[i]->is_dirty;
	if (!has_work)
		return ATTEMPT_DONE;
	enum attempt outcome = commit_staged(ch, err);
	if (outcome == ATTEMPT_DONE && !advance_anchor(v, &remembered, block, err))
		return ATTEMPT_FAILED;
	return outcome;
}

bool vault_change(struct vault *v, change_fn *fn, void *context, struct error *err)
{
	int64_t until = clock_boot_ms() + STORE_WAIT_MS;
	if (!vault_is_open(v, err))
		return false;
	for (;;) {
		struct change ch = { .v = v, .notes = BUF_INIT(NOTES_MAX), .base_bytes = BUF_INIT(STORE_VALUE_MAX) };
		if (store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
			return false;
		enum attempt outcome = attempt(&ch, fn, context, err);
		store_release(v->store);
		forget_staged(&ch);
		buf_done(&ch.notes);
		buf_done(&ch.base_bytes);
		if (outcome != ATTEMPT_AGAIN)
			return outcome == ATTEMPT_DONE;
		if (clock_boot_ms() >= until)
			return fail(err, ERR_CONFLICT, TXT_CHANGE_LOST);
		clock_sleep_ms(1 + randombytes_uniform(20));
	}
}

static bool adopt_held(struct vault *v, struct error *err)
{
	static const char *const keys[] = { "root" };
	struct store_record found;
	struct root next;
	struct buf base = BUF_INIT(STORE_VALUE_MAX), bytes = BUF_INIT(STORE_VALUE_MAX);
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	if (!found.is_found)
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	if (!root_prove(v, found.value, &next, err))
		return false;
	buf_append(&base, found.value.at, found.value.len);
	randombytes_buf(next.lineage, sizeof next.lineage);
	randombytes_buf(next.commit_id, sizeof next.commit_id);
	memmove(next.past[1], next.past[0], sizeof next.past - sizeof next.past[0]);
	memcpy(next.past[0], next.mac, DIGEST_LEN);
	next.generation++;
	bool ok = buf_ok(&base, err) && root_seal(v->keys, &next, &bytes, err);
	if (ok) {
		struct store_condition unmoved = { .kind = STORE_IF_VALUE, .key = "root", .value = buf_bytes(&base) };
		struct store_op op = { .key = "root", .value = buf_bytes(&bytes) };
		struct anchor a = anchor_of_root(&next);
		ok = store_commit(v->store, &unmoved, 1, &op, 1, NULL, NULL, err) == STORE_OK &&
		     anchor_create(&v->anchor_file, v->keys, &a, err);
	}
	if (ok) {
		v->root = next;
		buf_clear(&v->root_bytes);
		buf_append(&v->root_bytes, bytes.at, bytes.len);
		v->is_adopting = false;
	}
	buf_done(&base);
	buf_done(&bytes);
	return ok;
}

bool vault_adopt(struct vault *v, struct error *err)
{
	if (!vault_is_open(v, err) || store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return false;
	bool ok = adopt_held(v, err);
	store_release(v->store);
	return ok;
}

/* ---- beside the inventory ---- */

bool vault_hold(struct vault *v, struct error *err)
{
	return vault_is_open(v, err) && store_hold(v->store, STORE_WAIT_MS, err) == STORE_OK;
}

void vault_release(struct vault *v)
{
	store_release(v->store);
}

static bool commit_sides(struct vault *v, const struct store_op *ops, size_t count, struct error *err)
{
	return store_commit(v->store, NULL, 0, ops, count, NULL, NULL, err) == STORE_OK;
}

struct health_batch {
	char (*keys)[KEY_TEXT_MAX];
	struct store_op *ops;
	struct buf *sealed;
};

static bool seal_batch(struct vault *v, struct health_batch *b, const struct health_update *updates, size_t count,
		       struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t id[PIXEL_ID_LEN];
		struct health next = updates[i].health;
		/* Whoever saw a higher counter knows an older record that is put back. */
		next.counter++;
		keys_pixel_id(v->keys, updates[i].pixel, id);
		key_for_pixel(v->root.epoch, 'h', id, b->keys[i]);
		b->sealed[i].max = STORE_VALUE_MAX;
		if (!seal_health(v, id, &next, &b->sealed[i], err))
			return false;
		b->ops[i] = (struct store_op){ .key = b->keys[i], .value = buf_bytes(&b->sealed[i]) };
	}
	return true;
}

bool vault_store_health(struct vault *v, const struct health_update *updates, size_t count, struct error *err)
{
	if (!vault_is_open(v, err))
		return false;
	if (count == 0)
		return true;
	struct health_batch b = { calloc(count, sizeof *b.keys), calloc(count, sizeof *b.ops),
				  calloc(count, sizeof *b.sealed) };
	bool ok = b.keys && b.ops && b.sealed ? true : fail_no_memory(err);
	ok = ok && seal_batch(v, &b, updates, count, err);
	if (ok)
		sort_ops(b.ops, count);
	ok = ok && commit_sides(v, b.ops, count, err);
	for (size_t i = 0; b.sealed && i < count; i++)
		buf_done(&b.sealed[i]);
	free(b.keys);
	free(b.ops);
	free(b.sealed);
	return ok;
}

static bool store_side(struct vault *v, char kind, const char *key, struct bytes value, struct error *err)
{
	struct seal_context context = vault_context(v, kind, bytes_of_text(key), 0);
	struct buf sealed = BUF_INIT(STORE_VALUE_MAX);
	bool ok = seal(v->keys, &context, value, &sealed, err);
	struct store_op op = { .key = key, .value = buf_bytes(&sealed) };
	ok = ok && commit_sides(v, &op, 1, err);
	buf_done(&sealed);
	return ok;
}

bool vault_note(struct vault *v, const char *name, struct buf *ret, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	if (!vault_is_open(v, err))
		return false;
	key_for_note(v->root.epoch, name, key);
	const char *const keys[] = { key };
	struct seal_context context = vault_context(v, 'a', bytes_of_text(key), 0);
	buf_clear(ret);
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	buf_clear(&v->plain);
	if (found.is_found && unseal(v->keys, &context, found.value, &v->plain))
		buf_append(ret, v->plain.at, v->plain.len);
	return buf_ok(ret, err);
}

bool vault_store_note(struct vault *v, const char *name, struct bytes value, struct error *err)
{
	char key[KEY_TEXT_MAX];
	size_t len = strlen(name);
	if (!vault_is_open(v, err))
		return false;
	if (len < 1 || len > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len || value.len > NOTE_MAX)
		return fail(err, ERR_UNEXPECTED, TXT_STORE_KEY, name);
	key_for_note(v->root.epoch, name, key);
	return store_side(v, 'a', key, value, err);
}

/* c/<Pixel id>/<keyed hash of the name>: the store learns neither. */
static void mark_key(const struct vault *v, const char *pixel, const char *name, char ret[KEY_TEXT_MAX])
{
	uint8_t id[PIXEL_ID_LEN], hash[DIGEST_LEN];
	keys_pixel_id(v->keys, pixel, id);
	key_for_pixel(v->root.epoch, 'c', id, ret);
	size_t len = strlen(ret);
	ret[len++] = '/';
	if (!name) {
		ret[len] = '\0';
		return;
	}
	keys_mac(v->keys, KEY_INDEX, "pxmark01", bytes_of(id, sizeof id), bytes_of_text(name), hash);
	sodium_bin2hex(ret + len, KEY_TEXT_MAX - len, hash, 16);
}

bool vault_mark_read(struct vault *v, const char *pixel, const struct read_mark *mark, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	if (!vault_is_open(v, err))
		return false;
	mark_key(v, pixel, mark->name, key);
	read_mark_encode(mark->name, mark->version, mark->at, &plain);
	bool ok = buf_ok(&plain, err) && store_side(v, 'c', key, buf_bytes(&plain), err);
	buf_done(&plain);
	return ok;
}

static bool give_marks(struct vault *v, struct store_cursor *cursor, vault_mark_fn *fn, void *context,
		       struct error *err)
{
	struct store_record found;
	enum store_class class;
	while ((class = store_cursor_next(v->store, cursor, &found, err)) == STORE_OK) {
		struct read_mark mark;
		struct seal_context seal_context = vault_context(v, 'c', bytes_of_text(found.key), 0);
		buf_clear(&v->plain);
		if (unseal(v->keys, &seal_context, found.value, &v->plain) &&
		    read_mark_decode(buf_bytes(&v->plain), mark.name, &mark.version, &mark.at) &&
		    !fn(context, &mark, err))
			return false;
	}
	return class == STORE_NOT_FOUND;
}

bool vault_each_mark(struct vault *v, const char *pixel, vault_mark_fn *fn, void *context, struct error *err)
{
	char prefix[KEY_TEXT_MAX];
	struct store_view *view;
	struct store_cursor *cursor;
	if (!vault_is_open(v, err) || store_view_open(v->store, &view, err) != STORE_OK)
		return false;
	mark_key(v, pixel, NULL, prefix);
	bool ok = store_cursor_open(v->store, view, prefix, &cursor, err) == STORE_OK;
	if (ok) {
		ok = give_marks(v, cursor, fn, context, err);
		store_cursor_close(v->store, cursor);
	}
	store_view_close(v->store, view);
	return ok;
}

struct vault_lock {
	struct store *store;
	struct store_lock *lock;
};

bool vault_lock(struct vault *v, const char *name, int64_t wait_ms, struct vault_lock **ret, struct error *err)
{
	uint8_t who[16];
	uint64_t fence;
	int64_t until = clock_boot_ms() + wait_ms;
	struct vault_lock *lock = calloc(1, sizeof *lock);
	if (!lock)
		return fail_no_memory(err);
	lock->store = v->store;
	randombytes_buf(who, sizeof who);
	for (;;) {
		enum store_class class =
			store_lock_try(v->store, name, bytes_of(who, sizeof who), &lock->lock, &fence, err);
		if (class == STORE_OK) {
			*ret = lock;
			return true;
		}
		if (class != STORE_CONFLICT || clock_boot_ms() >= until) {
			free(lock);
			return false;
		}
		clock_sleep_ms(20);
	}
}

void vault_unlockp(struct vault_lock **lock)
{
	if (*lock)
		store_lock_release((*lock)->store, (*lock)->lock);
	free(*lock);
	*lock = NULL;
}
