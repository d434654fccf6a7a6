/* Reading many Pixels at one instant: the whole inventory proven from the top, and beside it the records of each Pixel
 * it names, in the same order. What was changed since an earlier instant is found by the store's own numbers, which are
 * not trusted with more than that: each record that is given away is proven along its own path. */
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_NAMES_BYTES_MAX ((size_t)16 << 20)
#define PORTION_OF_ONE_DIGIT 128
#define READS_MAX 5 /* of one instant that other writers outran, before it is an error */

static bool view_root(struct vault *v, struct store_view *view, struct error *err)
{
	struct store_cursor *cursor;
	struct store_record found;
	if (store_cursor_open(v->store, view, "root", &cursor, err) != STORE_OK)
		return false;
	enum store_class class = store_cursor_next(v->store, cursor, &found, err);
	bool ok = class == STORE_OK || class == STORE_NOT_FOUND;
	if (ok) {
		found.is_found = class == STORE_OK && strcmp(found.key, "root") == 0;
		ok = vault_meet_root(v, &found, err);
	}
	store_cursor_close(v->store, cursor);
	return ok;
}

bool view_open(struct vault *v, struct store_view **ret, struct error *err)
{
	for (unsigned tries = 1;; tries++) {
		struct store_view *view;
		if (store_view_open(v->store, &view, err) != STORE_OK)
			return false;
		if (view_root(v, view, err)) {
			*ret = view;
			return true;
		}
		/* Judged outside the view, which shows nothing but its own instant. */
		store_view_close(v->store, view);
		if (tries == READS_MAX || !vault_clear_suspicion(v, err))
			return false;
	}
}

/* Nodes as they lie in the store, found again by prefix: "" is none, else 16^depth places per level. */
struct node_set {
	struct buf bytes;
	struct {
		size_t at, len;
	} node[16 + 256 + 4096];
};

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool node_place(const char *prefix, size_t *ret)
{
	size_t value = 0, depth = strlen(prefix);
	if (depth < 1 || depth > NODE_DEPTH)
		return false;
	for (const char *p = prefix; *p; p++) {
		if (hex_value(*p) < 0)
			return false;
		value = value * 16 + (size_t)hex_value(*p);
	}
	*ret = value + (depth == 1 ? 0 : depth == 2 ? 16 : 272);
	return true;
}

static void place_prefix(size_t place, char ret[NODE_DEPTH + 1])
{
	size_t depth = place < 16 ? 1 : place < 272 ? 2 : 3, value = place - (depth == 1 ? 0 : depth == 2 ? 16 : 272);
	for (size_t i = depth; i-- > 0; value /= 16)
		ret[i] = "0123456789abcdef"[value % 16];
	ret[depth] = '\0';
}

static bool collect_nodes(struct vault *v, struct store_view *view, struct node_set *set, struct error *err)
{
	char start[KEY_TEXT_MAX];
	uint8_t none[PIXEL_ID_LEN] = { 0 };
	struct store_cursor *cursor;
	struct store_record found;
	enum store_class class;
	key_for_node(v->root.epoch, none, 0, start);
	if (store_cursor_open(v->store, view, start, &cursor, err) != STORE_OK)
		return false;
	while ((class = store_cursor_next(v->store, cursor, &found, err)) == STORE_OK) {
		size_t place;
		if (!node_place(found.key + strlen(start), &place))
			continue; /* verify names it; nothing else looks there */
		set->node[place].at = set->bytes.len;
		set->node[place].len = found.value.len;
		buf_append(&set->bytes, found.value.at, found.value.len);
	}
	store_cursor_close(v->store, cursor);
	return class == STORE_NOT_FOUND && buf_ok(&set->bytes, err);
}

static const uint8_t *expected_digest(const struct vault *v, const struct node_set *set, size_t place)
{
	if (place < 16)
		return v->root.top[place];
	size_t value = place < 272 ? place - 16 : place - 272, parent = place < 272 ? value / 16 : 16 + value / 16;
	return set->node[parent].len ? set->bytes.at + set->node[parent].at + value % 16 * DIGEST_LEN : NULL;
}

/* From the top down: a node counts only when its proven parent names it. */
static bool prove_nodes(struct vault *v, struct node_set *set, struct buf *ret_entries, uint64_t *ret_nodes,
			struct error *err)
{
	for (size_t place = 0; place < COUNT_OF(set->node); place++) {
		const uint8_t *expected = expected_digest(v, set, place);
		char prefix[NODE_DEPTH + 1];
		struct store_record node = { .value = bytes_of(set->bytes.at + set->node[place].at,
							       set->node[place].len),
					     .is_found = set->node[place].len > 0 };
		if (!expected || digest_is_zero(expected)) {
			set->node[place].len = 0;
			continue;
		}
		place_prefix(place, prefix);
		if (!node_is_sound(v, prefix, strlen(prefix), &node, expected, err))
			return false;
		if (place >= 272)
			buf_append(ret_entries, node.value.at, node.value.len);
		++*ret_nodes;
	}
	return buf_ok(ret_entries, err);
}

bool inventory_load(struct vault *v, struct store_view *view, struct buf *ret_entries, uint64_t *ret_nodes,
		    struct error *err)
{
	struct node_set *set = calloc(1, sizeof *set);
	if (!set)
		return fail_no_memory(err);
	set->bytes.max = SIZE_MAX / 4;
	*ret_nodes = 0;
	bool ok = collect_nodes(v, view, set, err) && prove_nodes(v, set, ret_entries, ret_nodes, err);
	buf_done(&set->bytes);
	free(set);
	return ok;
}

/* ---- walking: records of several kinds lie in the same order as the inventory ---- */

struct lane {
	struct store_cursor *cursor;
	struct store_record record;
	bool has;
};

struct walk {
	struct vault *v;
	struct store_view *view;
	struct lane meta, health, token;
	struct buf sealed; /* current and previous token of the Pixel at hand */
};

static bool lane_next(struct walk *w, struct lane *l, struct error *err)
{
	enum store_class class = store_cursor_next(w->v->store, l->cursor, &l->record, err);
	l->has = class == STORE_OK;
	return class == STORE_OK || class == STORE_NOT_FOUND;
}

/* The records whose ids begin with as many hexadecimal digits of id. */
static bool lane_open_at(struct walk *w, char kind, const uint8_t *id, size_t digits, struct lane *l, struct error *err)
{
	char prefix[KEY_TEXT_MAX];
	key_for_pixel(w->v->root.epoch, kind, id, prefix);
	prefix[strlen(prefix) - (size_t)PIXEL_ID_LEN * 2 + digits] = '\0';
	return store_cursor_open(w->v->store, w->view, prefix, &l->cursor, err) == STORE_OK && lane_next(w, l, err);
}

static bool lane_open(struct walk *w, char kind, struct lane *l, struct error *err)
{
	static const uint8_t none[PIXEL_ID_LEN];
	return lane_open_at(w, kind, none, 0, l, err);
}

/* Move to key or past it. *ret is what lies exactly there, or not found. */
static bool lane_seek(struct walk *w, struct lane *l, const char *key, struct store_record *ret, struct error *err)
{
	while (l->has && strcmp(l->record.key, key) < 0)
		if (!lane_next(w, l, err))
			return false;
	*ret = l->has && strcmp(l->record.key, key) == 0 ? l->record : (struct store_record){ .is_found = false };
	return true;
}

static void walk_done(struct walk *w)
{
	store_cursor_close(w->v->store, w->meta.cursor);
	store_cursor_close(w->v->store, w->health.cursor);
	store_cursor_close(w->v->store, w->token.cursor);
	store_view_close(w->v->store, w->view);
	buf_done(&w->sealed);
}

static bool walk_metadata(struct walk *w, const uint8_t *entry, struct credential *ret, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record record;
	key_for_pixel(w->v->root.epoch, 'm', entry, key);
	return lane_seek(w, &w->meta, key, &record, err) &&
	       metadata_open(w->v, entry, &record, entry + PIXEL_ID_LEN, strrchr(key, '/') + 1, ret, err);
}

static bool walk_health(struct walk *w, const uint8_t *entry, const struct credential *c, struct health *ret,
			struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record record;
	key_for_pixel(w->v->root.epoch, 'h', entry, key);
	if (!lane_seek(w, &w->health, key, &record, err))
		return false;
	health_open(w->v, entry, record.is_found ? record.value : bytes_of("", 0), c, ret);
	return true;
}

struct each {
	bool with_health, want_deleted;
	vault_each_fn *fn; /* NULL: only the lists' names are wanted */
	void *context;
};

/* Whoever walks over Pixels notes the lists it passes over: looking for them costs as much as all else. */
static void begin_noting(struct vault *v)
{
	v->list_names.max = LIST_NAMES_BYTES_MAX;
	v->has_list_names = false;
	buf_clear(&v->list_names);
}

static void end_noting(struct vault *v, bool is_complete)
{
	v->has_list_names = is_complete && !v->list_names.is_bad;
	v->list_generation = v->root.generation;
}

static bool note_list(struct buf *names, const struct credential *c)
{
	if (!name_is_list(c->pixel))
		return false;
	buf_append(names, c->pixel, sizeof c->pixel);
	return true;
}

static bool each_one(struct walk *w, const uint8_t *entry, const void *context, struct error *err)
{
	const struct each *e = context;
	struct credential c;
	struct health h;
	if (!walk_metadata(w, entry, &c, err))
		return false;
	if (note_list(&w->v->list_names, &c) || !e->fn)
		return true;
	if ((c.deleted_at || c.is_destroyed) && !e->want_deleted)
		return true;
	return (!e->with_health || walk_health(w, entry, &c, &h, err)) &&
	       e->fn(e->context, &c, e->with_health ? &h : NULL, err);
}

typedef bool walk_fn(struct walk *w, const uint8_t *entry, const void *context, struct error *err);

static bool walk_inventory(struct walk *w, walk_fn *fn, const void *context, struct error *err)
{
	struct buf entries = BUF_INIT(SIZE_MAX / 4);
	uint64_t nodes;
	bool ok = inventory_load(w->v, w->view, &entries, &nodes, err);
	for (size_t at = 0; ok && at < entries.len; at += ENTRY_LEN)
		ok = fn(w, entries.at + at, context, err);
	buf_done(&entries);
	return ok;
}

static bool each(struct vault *v, const struct each *e, struct error *err)
{
	struct walk w = { .v = v };
	if (!vault_is_open(v, err) || !view_open(v, &w.view, err))
		return false;
	begin_noting(v);
	bool ok = lane_open(&w, 'm', &w.meta, err) && (!e->with_health || lane_open(&w, 'h', &w.health, err)) &&
		  walk_inventory(&w, each_one, e, err);
	end_noting(v, ok);
	walk_done(&w);
	return ok;
}

bool vault_each(struct vault *v, bool with_health, bool want_deleted, vault_each_fn *fn, void *context,
		struct error *err)
{
	struct each e = { .with_health = with_health, .want_deleted = want_deleted, .fn = fn, .context = context };
	return each(v, &e, err);
}

/* ---- in portions ---- */

struct vault_walk {
	struct vault *v;
	bool has_begun, has_moved; /* the inventory, while it was walked over */
	uint64_t generation;       /* whose inventory it is */
	struct buf entries, lists; /* the lists' names, as in struct vault */
	size_t at, digits;
	uint8_t last[PIXEL_ID_LEN]; /* the id that was passed last */
};

bool vault_walk_new(struct vault *v, struct vault_walk **ret, struct error *err)
{
	struct vault_walk *x = calloc(1, sizeof *x);
	if (!x)
		return fail_no_memory(err);
	x->v = v;
	x->entries.max = SIZE_MAX / 4;
	x->lists.max = LIST_NAMES_BYTES_MAX;
	*ret = x;
	return true;
}

void vault_walk_freep(struct vault_walk **x)
{
	if (*x) {
		buf_done(&(*x)->entries);
		buf_done(&(*x)->lists);
	}
	free(*x);
	*x = NULL;
}

/* The inventory as it is now, from behind the last one that was passed. */
static bool learn_inventory(struct vault_walk *x, struct walk *w, struct error *err)
{
	uint64_t nodes;
	x->has_moved = x->has_begun;
	buf_clear(&x->entries);
	if (!inventory_load(x->v, w->view, &x->entries, &nodes, err))
		return false;
	x->generation = x->v->root.generation;
	x->digits = x->entries.len / ENTRY_LEN > PORTION_OF_ONE_DIGIT * 16 ? 2 : 1;
	x->at = 0;
	while (x->has_begun && x->at < x->entries.len && memcmp(x->entries.at + x->at, x->last, PIXEL_ID_LEN) <= 0)
		x->at += ENTRY_LEN;
	return true;
}

static bool begin_alike(const uint8_t *a, const uint8_t *b, size_t digits)
{
	return digits == 1 ? a[0] >> 4 == b[0] >> 4 : a[0] == b[0];
}

static bool give_one(struct vault_walk *x, struct walk *w, const uint8_t *entry, vault_each_fn *fn, void *context,
		     struct error *err)
{
	struct credential c;
	struct health h;
	if (!walk_metadata(w, entry, &c, err))
		return false;
	if (note_list(&x->lists, &c) || c.deleted_at || c.is_destroyed)
		return true;
	return walk_health(w, entry, &c, &h, err) && fn(context, &c, &h, err);
}

static bool give_portion(struct vault_walk *x, struct walk *w, vault_each_fn *fn, void *context, struct error *err)
{
	const uint8_t *first = x->entries.at + x->at;
	if (x->at == x->entries.len)
		return true;
	bool ok = lane_open_at(w, 'm', first, x->digits, &w->meta, err) &&
		  lane_open_at(w, 'h', first, x->digits, &w->health, err);
	while (ok && x->at < x->entries.len && begin_alike(x->entries.at + x->at, first, x->digits)) {
		const uint8_t *entry = x->entries.at + x->at;
		ok = give_one(x, w, entry, fn, context, err);
		memcpy(x->last, entry, PIXEL_ID_LEN);
		x->at += ENTRY_LEN;
	}
	return ok;
}

bool vault_walk_some(struct vault_walk *x, vault_each_fn *fn, void *context, bool *ret_is_over, struct error *err)
{
	struct walk w = { .v = x->v };
	if (!vault_is_open(x->v, err) || !view_open(x->v, &w.view, err))
		return false;
	bool is_same = x->has_begun && x->generation == x->v->root.generation;
	bool ok = (is_same || learn_inventory(x, &w, err)) && give_portion(x, &w, fn, context, err);
	walk_done(&w);
	x->has_begun = true;
	*ret_is_over = x->at == x->entries.len;
	if (ok && *ret_is_over && !x->has_moved) {
		begin_noting(x->v);
		buf_append(&x->v->list_names, x->lists.at, x->lists.len);
		end_noting(x->v, !x->lists.is_bad);
	}
	return ok;
}

/* ---- the lists ---- */

static bool know_lists(struct vault *v, struct error *err)
{
	struct each names = { .fn = NULL };
	return (v->has_list_names && v->list_generation == v->root.generation) || each(v, &names, err);
}

bool vault_list_names(struct vault *v, struct buf *ret, struct error *err)
{
	if (!know_lists(v, err))
		return false;
	buf_append(ret, v->list_names.at, v->list_names.len);
	return buf_ok(ret, err);
}

bool vault_each_list(struct vault *v, vault_each_fn *fn, void *context, struct error *err)
{
	struct credential c;
	struct health h;
	if (!know_lists(v, err))
		return false;
	for (size_t at = 0; at < v->list_names.len; at += PIXEL_CODE_MAX + 1) {
		if (!vault_find(v, (const char *)v->list_names.at + at, false, &c, err)) {
			if (err->code == ERR_NOT_FOUND)
				continue;
			return false;
		}
		if (!vault_health(v, &c, &h, err) || !fn(context, &c, &h, err))
			return false;
	}
	return true;
}

/* ---- loading: with the sealed tokens ---- */

/* Of what was read for one Pixel; the store's own damage and the inventory's are of other classes or met elsewhere. */
static bool is_local(const struct error *err)
{
	return err->code == ERR_DAMAGED && err->class && strcmp(err->class, "tampered") == 0;
}

static uint32_t number_at(const struct credential *c, enum stage stage)
{
	const struct version *version = credential_staged(c, stage);
	return version ? version->number : 0;
}

/* The sealed token, proven by the digest that the proven metadata name. */
static bool token_is_sound(const struct credential *c, uint32_t number, const struct store_record *record,
			   struct error *err)
{
	uint8_t digest[DIGEST_LEN];
	if (!record->is_found)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_TOKEN_MISSING, (unsigned)number, c->pixel);
	seal_digest(record->value, digest);
	if (sodium_memcmp(digest, credential_numbered(c, number)->digest, DIGEST_LEN) != 0)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_TOKEN_TAMPERED, (unsigned)number, c->pixel);
	return true;
}

/* Versions of one Pixel lie in the order of their numbers' digits, so 10 before 2: all of them are walked. A damaged one
 * stays empty, and ret_damage says why. */
static bool walk_tokens(struct walk *w, const uint8_t *entry, const struct credential *c, struct bytes ret[2],
			struct error *ret_damage, struct error *err)
{
	const uint32_t wanted[2] = { number_at(c, STAGE_CURRENT), number_at(c, STAGE_PREVIOUS) };
	char start[KEY_TEXT_MAX], key[2][KEY_TEXT_MAX];
	struct store_record record;
	size_t at[2] = { 0 }, len[2] = { 0 };
	bool is_there[2] = { false };
	key_for_pixel(w->v->root.epoch, 't', entry, start);
	for (size_t i = 0; i < 2; i++)
		key_for_token(w->v->root.epoch, entry, wanted[i], key[i]);
	buf_clear(&w->sealed);
	bool ok = lane_seek(w, &w->token, start, &record, err);
	while (ok && w->token.has && strncmp(w->token.record.key, start, strlen(start)) == 0) {
		for (size_t i = 0; i < 2; i++)
			if (wanted[i] && strcmp(w->token.record.key, key[i]) == 0) {
				is_there[i] = true;
				if (!token_is_sound(c, wanted[i], &w->token.record, ret_damage))
					continue;
				at[i] = w->sealed.len;
				len[i] = w->token.record.value.len;
				buf_append(&w->sealed, w->token.record.value.at, len[i]);
			}
		ok = lane_next(w, &w->token, err);
	}
	if (!ok || !buf_ok(&w->sealed, err))
		return false;
	for (size_t i = 0; i < 2; i++) {
		if (wanted[i] && !is_there[i])
			(void)!token_is_sound(c, wanted[i], &(struct store_record){ .is_found = false }, ret_damage);
		ret[i] = bytes_of(len[i] ? w->sealed.at + at[i] : (const uint8_t *)"", len[i]);
	}
	return true;
}

struct load {
	vault_item_fn *fn;
	void *context;
};

static bool give_unreadable(const uint8_t id[PIXEL_ID_LEN], vault_item_fn *fn, void *context, struct error *err)
{
	struct error damage = *err;
	struct vault_item item = { .damage = &damage };
	memcpy(item.id, id, sizeof item.id);
	return fn(context, &item, err);
}

static bool load_one(struct walk *w, const uint8_t *entry, const void *context, struct error *err)
{
	const struct load *l = context;
	struct credential c;
	struct health h;
	struct bytes sealed[2];
	struct error damage = { .code = ERR_NONE };
	if (!walk_metadata(w, entry, &c, err))
		return is_local(err) && give_unreadable(entry, l->fn, l->context, err);
	if (note_list(&w->v->list_names, &c))
		return true;
	if (!walk_health(w, entry, &c, &h, err) || !walk_tokens(w, entry, &c, sealed, &damage, err))
		return false;
	struct vault_item item = { .damage = damage.code ? &damage : NULL,
				   .credential = &c,
				   .health = &h,
				   .sealed_current = sealed[0],
				   .sealed_previous = sealed[1] };
	memcpy(item.id, entry, sizeof item.id);
	return l->fn(l->context, &item, err);
}

static bool position_now(struct vault *v, struct vault_position *ret, struct error *err)
{
	struct store_pos now;
	if (store_head(v->store, &now, err) != STORE_OK)
		return false;
	memcpy(ret->incarnation, now.incarnation, sizeof ret->incarnation);
	ret->rev = now.rev;
	return true;
}

bool vault_load(struct vault *v, vault_item_fn *fn, void *context, struct vault_position *ret_at, struct error *err)
{
	struct walk w = { .v = v, .sealed = BUF_INIT(STORE_VALUE_MAX) };
	struct load l = { fn, context };
	struct vault_position at;
	if (!vault_is_open(v, err) || !view_open(v, &w.view, err))
		return false;
	begin_noting(v);
	bool ok = position_now(v, &at, err) && lane_open(&w, 'm', &w.meta, err) && lane_open(&w, 'h', &w.health, err) &&
		  lane_open(&w, 't', &w.token, err) && walk_inventory(&w, load_one, &l, err);
	end_noting(v, ok);
	walk_done(&w);
	if (ok)
		*ret_at = at;
	return ok;
}

/* ---- catching up ---- */

/* Tokens need no look of their own: a token that is written or dropped is named by metadata that are written with it. */
void note_pixel_of(const char *key, uint32_t epoch, struct buf *ids)
{
	static const char kinds[] = { 'm', 'h' };
	const char *hex = strrchr(key, '/');
	uint8_t id[PIXEL_ID_LEN];
	size_t len = 0;
	if (!hex || strlen(hex + 1) != (size_t)PIXEL_ID_LEN * 2 ||
	    sodium_hex2bin(id, sizeof id, hex + 1, (size_t)PIXEL_ID_LEN * 2, NULL, &len, NULL) != 0)
		return;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		char expected[KEY_TEXT_MAX];
		key_for_pixel(epoch, kinds[i], id, expected);
		if (strcmp(key, expected) == 0)
			buf_append(ids, id, sizeof id);
	}
}

bool vault_position(struct vault *v, struct vault_position *ret, struct error *err)
{
	return vault_is_open(v, err) && position_now(v, ret, err);
}

/* The ids of the Pixels whose metadata or health were written after `at`. */
static bool collect_ids(struct vault *v, struct store_view *view, const struct vault_position *at, struct buf *ids,
			struct error *err)
{
	struct store_pos after = { .rev = at->rev };
	struct store_cursor *cursor;
	struct store_record found;
	enum store_class class;
	memcpy(after.incarnation, at->incarnation, sizeof after.incarnation);
	if (store_cursor_since(v->store, view, "", &after, &cursor, err) != STORE_OK)
		return false;
	while ((class = store_cursor_next(v->store, cursor, &found, err)) == STORE_OK)
		note_pixel_of(found.key, v->root.epoch, ids);
	store_cursor_close(v->store, cursor);
	return class == STORE_NOT_FOUND && buf_ok(ids, err);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, PIXEL_ID_LEN);
}

/* What ch staged was committed; without ch all is read. */
static bool read_records(struct vault *v, const struct change *ch, const char *const *keys, size_t count,
			 struct store_record *ret, struct error *err)
{
	if (ch)
		return change_read(ch, keys, count, ret, err);
	return store_get_many(v->store, keys, count, &v->room, ret, err) == STORE_OK;
}

/* False in *ret_is_named: a row that the inventory does not name is nobody's. *ret_is_unreadable: it failed for the
 * metadata alone. */
static bool read_named(struct vault *v, const struct change *ch, const uint8_t id[PIXEL_ID_LEN], struct credential *c,
		       struct health *h, bool *ret_is_named, bool *ret_is_unreadable, struct error *err)
{
	char node[NODE_DEPTH][KEY_TEXT_MAX], meta[KEY_TEXT_MAX], health[KEY_TEXT_MAX];
	struct store_record found[2 + NODE_DEPTH];
	struct path_proof proof;
	for (size_t i = 0; i < NODE_DEPTH; i++)
		key_for_node(v->root.epoch, id, i + 1, node[i]);
	key_for_pixel(v->root.epoch, 'm', id, meta);
	key_for_pixel(v->root.epoch, 'h', id, health);
	const char *const keys[] = { meta, health, node[0], node[1], node[2] };
	if (!read_records(v, ch, keys, COUNT_OF(keys), found, err) ||
	    !path_prove(v, &v->root, id, &found[2], &proof, err))
		return false;
	*ret_is_named = proof.digest != NULL;
	if (!proof.digest)
		return true;
	*ret_is_unreadable = !metadata_open(v, id, &found[0], proof.digest, strrchr(meta, '/') + 1, c, err);
	if (*ret_is_unreadable)
		return false;
	health_open(v, id, found[1].is_found ? found[1].value : bytes_of("", 0), c, h);
	return true;
}

static bool give_changed(struct vault *v, const struct change *ch, const uint8_t id[PIXEL_ID_LEN], vault_item_fn *fn,
			 void *context, struct error *err)
{
	struct credential c;
	struct health h;
	bool is_named = false, is_unreadable = false;
	struct error damage = { .code = ERR_NONE };
	if (!read_named(v, ch, id, &c, &h, &is_named, &is_unreadable, err))
		return is_unreadable && is_local(err) && give_unreadable(id, fn, context, err);
	v->list_changes += is_named && name_is_list(c.pixel);
	if (!is_named || name_is_list(c.pixel))
		return true;
	const uint32_t wanted[2] = { number_at(&c, STAGE_CURRENT), number_at(&c, STAGE_PREVIOUS) };
	char key[2][KEY_TEXT_MAX];
	struct store_record found[2];
	struct bytes sealed[2] = { bytes_of("", 0), bytes_of("", 0) };
	for (size_t i = 0; i < 2; i++)
		key_for_token(v->root.epoch, id, wanted[i], key[i]);
	const char *const keys[] = { key[0], key[1] };
	if (!read_records(v, ch, keys, 2, found, err))
		return false;
	for (size_t i = 0; i < 2; i++)
		if (wanted[i] && token_is_sound(&c, wanted[i], &found[i], &damage))
			sealed[i] = found[i].value;
	struct vault_item item = { .damage = damage.code ? &damage : NULL,
				   .credential = &c,
				   .health = &h,
				   .sealed_current = sealed[0],
				   .sealed_previous = sealed[1] };
	memcpy(item.id, id, sizeof item.id);
	return fn(context, &item, err);
}

bool give_pixels(struct vault *v, const struct change *ch, struct buf *ids, vault_item_fn *fn, void *context,
		 struct error *err)
{
	size_t count = ids->len / PIXEL_ID_LEN;
	bool ok = buf_ok(ids, err);
	if (ok && count)
		qsort(ids->at, count, PIXEL_ID_LEN, by_id);
	for (size_t i = 0; ok && i < count; i++) {
		const uint8_t *id = ids->at + i * PIXEL_ID_LEN;
		if (i == 0 || memcmp(id - PIXEL_ID_LEN, id, PIXEL_ID_LEN) != 0)
			ok = give_changed(v, ch, id, fn, context, err);
	}
	return ok;
}

static bool give_all_changed(struct vault *v, struct store_view *view, vault_item_fn *fn, void *context,
			     struct vault_position *at, struct error *err)
{
	struct buf ids = BUF_INIT(SIZE_MAX / 4);
	struct vault_position now;
	bool ok = position_now(v, &now, err) && collect_ids(v, view, at, &ids, err) &&
		  give_pixels(v, NULL, &ids, fn, context, err);
	buf_done(&ids);
	if (ok)
		*at = now;
	return ok;
}

/* What was renamed onto the path is never seen through the file that is open; nor is what is then written into that one
 * ever seen by others. A file that is gone leaves us with what there is. */
static bool is_at_its_place(const struct vault *v, struct error *err)
{
	struct stat now;
	if (lstat(v->path, &now) != 0 || (now.st_dev == v->opened.st_dev && now.st_ino == v->opened.st_ino))
		return true;
	return fail_class(err, ERR_DAMAGED, "forked", TXT_REPLACED, v->path);
}

/* The number tells of changes outside the inventory, the root of those inside, and of a file that was written over:
 * both are looked at. */
static bool is_unmoved(struct vault *v, const struct vault_position *at, bool *ret, struct error *err)
{
	static const char *const keys[] = { "root" };
	struct store_view *view;
	struct vault_position now;
	struct store_record found;
	if (store_view_open(v->store, &view, err) != STORE_OK)
		return false;
	bool ok = position_now(v, &now, err) && store_get_many(v->store, keys, 1, &v->room, &found, err) == STORE_OK;
	*ret = ok && now.rev == at->rev && memcmp(now.incarnation, at->incarnation, sizeof now.incarnation) == 0 &&
	       found.is_found && bytes_equal(found.value, buf_bytes(&v->root_bytes));
	store_view_close(v->store, view);
	return ok;
}

bool vault_catch_up(struct vault *v, vault_item_fn *fn, void *context, struct vault_position *at, struct error *err)
{
	struct store_view *view;
	bool is_same;
	if (!vault_is_open(v, err) || !is_at_its_place(v, err) || !is_unmoved(v, at, &is_same, err))
		return false;
	v->is_in_step = is_same;
	if (is_same)
		return true;
	if (!view_open(v, &view, err))
		return false;
	bool ok = give_all_changed(v, view, fn, context, at, err);
	store_view_close(v->store, view);
	v->is_in_step = ok;
	return ok;
}

uint64_t vault_list_changes(const struct vault *v)
{
	return v->list_changes;
}

bool vault_is_in_step(const struct vault *v)
{
	return v->is_in_step;
}

void vault_follow(struct vault *v, vault_item_fn *fn, void *context, struct vault_position *at)
{
	v->follower = (struct follower){ fn, context, at };
}
