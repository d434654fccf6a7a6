/* Plan and deed are the same walk through a change: the first stages nothing, the second compares what it finds with
 * the plan before it stages anything. */
#include "vault/repair.h"

#include "core/clock.h"
#include "vault/grant.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX ((size_t)1 << 20) /* bytes of names of one Pixel's rows */

const char *repair_kind_name(enum repair_kind kind)
{
	static const char *const names[] = { "whole", "mended", "returned" };
	return names[kind];
}

struct repairing {
	struct vault *v;
	const struct repair_wish *wish;
	struct repair *found;
	const struct repair *plan; /* NULL: only to be found */
};

/* One Pixel under repair. */
struct patient {
	struct repairing *r;
	struct change *ch;
	const char *pixel;
	uint8_t id[PIXEL_ID_LEN], then_id[PIXEL_ID_LEN];
	struct credential now, then, result;
	bool is_there, is_readable;  /* now */
	bool is_whole[VERSIONS_MAX]; /* of now.versions: the token */
	bool has_whole_grant[VERSIONS_MAX];
	uint8_t fingerprint[VERSIONS_MAX][FINGERPRINT_LEN]; /* of then.versions, as the vault's own keys make them */
	uint8_t grant_fingerprint[VERSIONS_MAX][FINGERPRINT_LEN];
	uint32_t highest;  /* number that a whole row of the vault's has */
	struct buf strays; /* names of rows that the result does not name, KEY_TEXT_MAX bytes each */
	struct repair found;
};

static bool is_damage(const struct error *err)
{
	return err->code == ERR_DAMAGED && err->class && strcmp(err->class, "tampered") == 0;
}

/* What is no damage is no business of ours. */
static bool is_only_damage(const struct error *why, struct error *err)
{
	if (is_damage(why))
		return true;
	*err = *why;
	return false;
}

static bool read_backup(const struct patient *p, const char *key, struct store_record *ret, struct error *err)
{
	struct vault *from = p->r->wish->from;
	return store_get_many(from->store, &key, 1, &from->room, ret, err) == STORE_OK;
}

/* ---- the inventory above a Pixel ---- */

static size_t place_of(char digit)
{
	return (size_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* A row below the node, as the node would name it. */
static void name_below(const struct vault *v, size_t depth, const char *rest, const struct store_record *row,
		       struct buf *ret)
{
	uint8_t entry[ENTRY_LEN];
	size_t len = 0;
	if (depth == NODE_DEPTH) {
		if (strlen(rest) != (size_t)PIXEL_ID_LEN * 2 ||
		    sodium_hex2bin(entry, PIXEL_ID_LEN, rest, (size_t)PIXEL_ID_LEN * 2, NULL, &len, NULL) != 0)
			return;
		seal_digest(row->value, entry + PIXEL_ID_LEN);
		buf_append(ret, entry, sizeof entry);
	} else if (strlen(rest) == depth + 1 && strchr("0123456789abcdef", rest[depth])) {
		node_mac(v->keys, rest, row->value, ret->at + place_of(rest[depth]) * DIGEST_LEN);
	}
}

/* A node names what lies below it and nothing else, so it can be made anew; whether it is the one, its parent says. */
static bool make_node(struct vault *v, const char *prefix, size_t depth, struct buf *ret, struct error *err)
{
	char start[KEY_TEXT_MAX];
	const uint8_t none[PIXEL_ID_LEN] = { 0 };
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record row;
	enum store_class class;
	if (depth < NODE_DEPTH)
		buf_append_zeros(ret, (size_t)NODE_FANOUT * DIGEST_LEN);
	key_for_pixel(v->root.epoch, depth < NODE_DEPTH ? 'n' : 'm', none, start);
	size_t stem = strlen(start) - (size_t)PIXEL_ID_LEN * 2;
	memcpy(start + stem, prefix, depth + 1);
	if (!buf_ok(ret, err) || store_view_open(v->store, &view, err) != STORE_OK)
		return false;
	bool ok = store_cursor_open(v->store, view, start, &cursor, err) == STORE_OK;
	if (ok) {
		while ((class = store_cursor_next(v->store, cursor, &row, err)) == STORE_OK)
			name_below(v, depth, row.key + stem, &row, ret);
		store_cursor_close(v->store, cursor);
		ok = class == STORE_NOT_FOUND && buf_ok(ret, err);
	}
	store_view_close(v->store, view);
	return ok;
}

/* The node that its parent names by this digest: from the vault, made anew, or from the backup. */
static bool find_node(struct patient *p, size_t depth, const uint8_t *expected, struct buf *ret, bool *ret_is_new,
		      struct error *err)
{
	char key[KEY_TEXT_MAX], prefix[NODE_DEPTH + 1];
	const char *const keys[] = { key };
	struct vault *v = p->r->v;
	struct store_record row;
	struct error why;
	key_for_node(v->root.epoch, p->id, depth, key);
	prefix_of(p->id, depth, prefix);
	*ret_is_new = false;
	if (!change_read(p->ch, keys, 1, &row, err))
		return false;
	if (!node_is_sound(v, prefix, depth, &row, expected, &why)) {
		*ret_is_new = true;
		if (!make_node(v, prefix, depth, ret, err))
			return false;
		row = (struct store_record){ .value = buf_bytes(ret), .is_found = true };
		if (node_is_sound(v, prefix, depth, &row, expected, &why))
			return true;
		buf_clear(ret);
		if (!read_backup(p, key, &row, err))
			return false;
		if (!node_is_sound(v, prefix, depth, &row, expected, &why))
			return fail_class(err, ERR_DAMAGED, "tampered", TXT_REPAIR_NODE, p->pixel, prefix);
	}
	buf_append(ret, row.value.at, row.value.len);
	return buf_ok(ret, err);
}

/* The way from the root to the Pixel, whole again. Its nodes are kept in the change, so that what follows finds them.
 */
static bool mend_path(struct patient *p, struct error *err)
{
	uint8_t expected[DIGEST_LEN];
	bool is_below = true;
	memcpy(expected, p->r->v->root.top[id_nibble(p->id, 0)], DIGEST_LEN);
	for (size_t depth = 1; depth <= NODE_DEPTH; depth++) {
		struct buf node = BUF_INIT(STORE_VALUE_MAX);
		bool is_new = false, is_kept = change_has_node(p->ch, p->id, depth, &node);
		is_below = is_below && (is_kept || !digest_is_zero(expected));
		bool ok = is_kept || !is_below || find_node(p, depth, expected, &node, &is_new, err);
		ok = ok && buf_ok(&node, err) &&
		     (is_kept ||
		      change_keep_node(p->ch, p->id, depth, is_below ? &node : NULL, is_new && p->r->plan, err));
		p->found.others += is_new;
		if (ok && is_below && depth < NODE_DEPTH && node.len == (size_t)NODE_FANOUT * DIGEST_LEN)
			memcpy(expected, node.at + (size_t)id_nibble(p->id, depth) * DIGEST_LEN, DIGEST_LEN);
		buf_done(&node);
		if (!ok)
			return false;
	}
	return true;
}

/* ---- what the backup has ---- */

static bool open_then_token(const struct patient *p, const struct version *version, struct secret **ret,
			    struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record row;
	struct vault *from = p->r->wish->from;
	key_for_token(from->root.epoch, p->then_id, version->number, key);
	return read_backup(p, key, &row, err) && token_open(from, p->then_id, &p->then, version, &row, ret, err);
}

static bool open_then_grant(const struct patient *p, const struct version *version, struct secret **ret,
			    struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record row;
	struct vault *from = p->r->wish->from;
	key_for_grant(from->root.epoch, p->then_id, version->number, key);
	return read_backup(p, key, &row, err) && grant_record_open(from, p->then_id, &p->then, version, &row, ret, err);
}

/* Its root key may be an earlier one, and fingerprints are made with that. */
static bool take_fingerprints(struct patient *p, size_t i, struct error *err)
{
	const struct version *version = &p->then.versions[i];
	scoped(secret_freep) struct secret *token = NULL, *grant = NULL;
	struct grant inside;
	if (version_has_token(version)) {
		if (!open_then_token(p, version, &token, err))
			return false;
		vault_fingerprint(p->r->v, token, p->fingerprint[i]);
	}
	if (version_has_grant(version)) {
		if (!open_then_grant(p, version, &grant, err))
			return false;
		if (grant_open(secret_reveal(grant), &inside))
			vault_fingerprint_bytes(p->r->v, inside.refresh_token, p->grant_fingerprint[i]);
	}
	return true;
}

static bool look_at_backup(struct patient *p, struct error *err)
{
	struct error why;
	if (!vault_find(p->r->wish->from, p->pixel, true, &p->then, &why)) {
		*err = why;
		return why.code == ERR_NOT_FOUND ? fail(err, ERR_NOT_FOUND, TXT_REPAIR_NOT_THERE, p->pixel) : false;
	}
	if (p->then.is_destroyed)
		return fail(err, ERR_NOT_FOUND, TXT_REPAIR_NOT_THERE, p->pixel);
	keys_pixel_id(p->r->wish->from->keys, p->pixel, p->then_id);
	for (size_t i = 0; i < p->then.version_count; i++)
		if (!take_fingerprints(p, i, err))
			return false;
	return true;
}

static const struct version *then_with(const struct patient *p, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	for (size_t i = 0; i < p->then.version_count; i++)
		if (version_has_token(&p->then.versions[i]) &&
		    memcmp(p->fingerprint[i], fingerprint, FINGERPRINT_LEN) == 0)
			return &p->then.versions[i];
	return NULL;
}

static const struct version *then_with_grant(const struct patient *p, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	for (size_t i = 0; i < p->then.version_count; i++)
		if (version_has_grant(&p->then.versions[i]) &&
		    memcmp(p->grant_fingerprint[i], fingerprint, FINGERPRINT_LEN) == 0)
			return &p->then.versions[i];
	return NULL;
}

/* ---- what the vault has ---- */

/* The Pixel's record as the inventory names it, from the vault or, byte for byte, from the backup. */
static bool read_record(struct patient *p, struct error *err)
{
	char key[KEY_TEXT_MAX];
	const char *const keys[] = { key };
	uint8_t digest[DIGEST_LEN];
	struct store_record row;
	struct error why;
	struct vault *v = p->r->v;
	struct buf leaf = BUF_INIT(STORE_VALUE_MAX);
	bool has_leaf = change_has_node(p->ch, p->id, NODE_DEPTH, &leaf) && leaf.len;
	const uint8_t *named = has_leaf ? leaf_find(buf_bytes(&leaf), p->id) : NULL;
	p->is_there = named != NULL;
	if (named)
		memcpy(digest, named, sizeof digest);
	bool ok = buf_ok(&leaf, err);
	buf_done(&leaf);
	if (!ok || !p->is_there)
		return ok;
	key_for_pixel(v->root.epoch, 'm', p->id, key);
	if (!change_read(p->ch, keys, 1, &row, err))
		return false;
	p->is_readable = metadata_open(v, p->id, &row, digest, p->pixel, &p->now, &why);
	if (p->is_readable)
		return true;
	p->found.others++;
	if (!is_only_damage(&why, err) || !read_backup(p, key, &row, err))
		return false;
	p->is_readable = metadata_open(v, p->id, &row, digest, p->pixel, &p->now, &why);
	if (!p->is_readable)
		memset(&p->now, 0, sizeof p->now);
	return p->is_readable || is_only_damage(&why, err);
}

static bool judge_token(struct patient *p, size_t i, struct error *err)
{
	char key[KEY_TEXT_MAX];
	const char *const keys[] = { key };
	struct store_record row;
	struct error why;
	scoped(secret_freep) struct secret *token = NULL;
	const struct version *version = &p->now.versions[i];
	p->is_whole[i] = !version_has_token(version);
	if (p->is_whole[i])
		return true;
	key_for_token(p->r->v->root.epoch, p->id, version->number, key);
	if (!change_read(p->ch, keys, 1, &row, err))
		return false;
	p->is_whole[i] = row.is_found && token_open(p->r->v, p->id, &p->now, version, &row, &token, &why);
	return p->is_whole[i] || !row.is_found || is_only_damage(&why, err);
}

static bool judge_grant(struct patient *p, size_t i, struct error *err)
{
	char key[KEY_TEXT_MAX];
	const char *const keys[] = { key };
	struct store_record row;
	struct error why;
	scoped(secret_freep) struct secret *grant = NULL;
	const struct version *version = &p->now.versions[i];
	p->has_whole_grant[i] = !version_has_grant(version);
	if (p->has_whole_grant[i])
		return true;
	key_for_grant(p->r->v->root.epoch, p->id, version->number, key);
	if (!change_read(p->ch, keys, 1, &row, err))
		return false;
	p->has_whole_grant[i] = grant_record_open(p->r->v, p->id, &p->now, version, &row, &grant, &why);
	return p->has_whole_grant[i] || is_only_damage(&why, err);
}

/* Of a Pixel whose record cannot be read: a row that opens is a token that it had, and tells nothing of its stage. */
static bool meet_token_row(struct patient *p, const struct store_record *row, uint32_t number, struct error *err)
{
	struct seal_context context = vault_context(p->r->v, 't', bytes_of(p->id, PIXEL_ID_LEN), number);
	scoped(secret_freep) struct secret *token = NULL;
	uint8_t fingerprint[FINGERPRINT_LEN];
	struct error why;
	if (!unseal_secret(p->r->v->keys, &context, row->value, &token, &why)) {
		if (why.code != ERR_DAMAGED)
			*err = why;
		return why.code == ERR_DAMAGED;
	}
	vault_fingerprint(p->r->v, token, fingerprint);
	if (number > p->highest)
		p->highest = number;
	if (!p->is_readable && !then_with(p, fingerprint) && number > p->found.newer)
		p->found.newer = number;
	return true;
}

static bool names_row(const struct credential *c, char kind, uint32_t number)
{
	const struct version *version = credential_numbered(c, number);
	return version && (kind == 't' ? version_has_token(version) : version_has_grant(version));
}

static bool meet_row(struct patient *p, char kind, const struct store_record *row, struct error *err)
{
	char canonical[KEY_TEXT_MAX], name[KEY_TEXT_MAX] = "";
	uint32_t number = (uint32_t)strtoul(strrchr(row->key, '/') + 1, NULL, 10);
	if (kind == 't')
		key_for_token(p->r->v->root.epoch, p->id, number, canonical);
	else
		key_for_grant(p->r->v->root.epoch, p->id, number, canonical);
	bool is_ours = strcmp(canonical, row->key) == 0;
	if (is_ours && kind == 't' && !meet_token_row(p, row, number, err))
		return false;
	if ((is_ours && names_row(&p->now, kind, number)) || strlen(row->key) >= sizeof name)
		return true;
	memcpy(name, row->key, strlen(row->key) + 1);
	buf_append(&p->strays, name, sizeof name);
	return buf_ok(&p->strays, err);
}

/* All rows of a kind that lie under the Pixel's id. Those that its record does not name are strays. */
static bool walk_rows(struct patient *p, char kind, struct error *err)
{
	char start[KEY_TEXT_MAX];
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record row;
	enum store_class class = STORE_OK;
	key_for_pixel(p->r->v->root.epoch, kind, p->id, start);
	memcpy(start + strlen(start), "/", 2);
	if (store_view_open(p->r->v->store, &view, err) != STORE_OK)
		return false;
	bool ok = store_cursor_open(p->r->v->store, view, start, &cursor, err) == STORE_OK;
	if (ok) {
		while (ok && (class = store_cursor_next(p->r->v->store, cursor, &row, err)) == STORE_OK)
			ok = meet_row(p, kind, &row, err);
		store_cursor_close(p->r->v->store, cursor);
		ok = ok && class == STORE_NOT_FOUND;
	}
	store_view_close(p->r->v->store, view);
	return ok;
}

/* Disposable, so it is only to be got rid of. */
static bool has_damaged_health(struct patient *p, bool *ret, struct error *err)
{
	char key[KEY_TEXT_MAX];
	const char *const keys[] = { key };
	struct store_record row;
	struct vault *v = p->r->v;
	struct seal_context context = vault_context(v, 'h', bytes_of(p->id, PIXEL_ID_LEN), 0);
	key_for_pixel(v->root.epoch, 'h', p->id, key);
	if (!change_read(p->ch, keys, 1, &row, err))
		return false;
	buf_clear(&v->plain);
	*ret = row.is_found && !unseal(v->keys, &context, row.value, &v->plain);
	return true;
}

static bool look_at_vault(struct patient *p, bool *ret_has_damaged_health, struct error *err)
{
	if (!read_record(p, err))
		return false;
	for (size_t i = 0; p->is_readable && i < p->now.version_count; i++)
		if (!judge_token(p, i, err) || !judge_grant(p, i, err))
			return false;
	if (!walk_rows(p, 't', err) || !walk_rows(p, 'g', err) || !has_damaged_health(p, ret_has_damaged_health, err))
		return false;
	p->found.others += p->strays.len / KEY_TEXT_MAX + *ret_has_damaged_health;
	return true;
}

/* ---- what is to be done ---- */

static void note(uint32_t *list, size_t *count, uint32_t number)
{
	for (size_t i = 0; i < *count; i++)
		if (list[i] == number)
			return;
	list[(*count)++] = number;
}

/* Would a good token give way to one that is older? The retired ones are nobody's. */
static void weigh_step_back(struct patient *p)
{
	const struct version *then = credential_staged(&p->then, STAGE_CURRENT);
	int64_t then_at = then ? then->stored_at : 0;
	for (size_t i = 0; i < p->now.version_count; i++) {
		const struct version *version = &p->now.versions[i];
		if (version->stage == STAGE_RETIRED || !version_has_token(version) || !p->is_whole[i])
			continue;
		const struct version *same = then_with(p, version->fingerprint);
		if (version->stored_at < then_at || (same && (version->stage != STAGE_CURRENT || same == then)))
			continue;
		p->found.is_step_back = true;
		p->found.newer = version->number;
		p->found.newer_at = version->stored_at;
	}
}

/* It becomes what the backup has; no number is given twice. */
static void plan_return(struct patient *p)
{
	p->found.kind = REPAIR_RETURNED;
	p->result = p->then;
	if (p->result.last_number < p->now.last_number)
		p->result.last_number = p->now.last_number;
	if (p->result.last_number < p->highest)
		p->result.last_number = p->highest;
	for (size_t i = 0; i < p->then.version_count; i++)
		if (version_has_token(&p->then.versions[i]) || version_has_grant(&p->then.versions[i]))
			note(p->found.mended, &p->found.mended_count, p->then.versions[i].number);
}

/* The current one is lost: the one before it goes on, else what was current in the backup. */
static void plan_current(struct patient *p, int64_t now)
{
	const struct version *then = credential_staged(&p->then, STAGE_CURRENT);
	if (credential_fall_back(&p->result, now) || !then)
		return;
	for (size_t i = 0; i < p->result.version_count; i++)
		if (then_with(p, p->result.versions[i].fingerprint) == then) {
			(void)!credential_call_up(&p->result, p->result.versions[i].number, now);
			return;
		}
	if (credential_insert(&p->result, then))
		note(p->found.mended, &p->found.mended_count, then->number);
}

/* Each secret from where it still is; a token that is nowhere is given up, and what renews one with it. */
static void plan_mending(struct patient *p)
{
	int64_t now = clock_wall();
	p->result = p->now;
	for (size_t i = 0; i < p->now.version_count; i++) {
		const struct version *version = &p->now.versions[i];
		if (!p->is_whole[i] && !then_with(p, version->fingerprint)) {
			note(p->found.lost, &p->found.lost_count, version->number);
			credential_give_up(&p->result, version->number, now);
			continue;
		}
		bool is_ending = !p->has_whole_grant[i] && !then_with_grant(p, version->renewal.fingerprint);
		if (is_ending)
			note(p->found.ending, &p->found.ending_count, version->number);
		if (!p->is_whole[i] || (!p->has_whole_grant[i] && !is_ending))
			note(p->found.mended, &p->found.mended_count, version->number);
	}
	if (credential_staged(&p->now, STAGE_CURRENT) && !credential_staged(&p->result, STAGE_CURRENT))
		plan_current(p, now);
	if (p->found.mended_count || p->found.lost_count || p->found.ending_count || p->found.others)
		p->found.kind = REPAIR_MENDED;
}

static bool holds_the_same(const struct patient *p)
{
	const struct version *now = credential_staged(&p->now, STAGE_CURRENT),
			     *then = credential_staged(&p->then, STAGE_CURRENT);
	return now && then ? then_with(p, now->fingerprint) == then : !now && !then;
}

static void plan_patient(struct patient *p)
{
	const struct version *now = credential_staged(&p->now, STAGE_CURRENT);
	p->found.is_unreadable = p->is_there && !p->is_readable;
	p->found.now = now ? now->number : 0;
	p->found.now_at = now ? now->stored_at : 0;
	if (p->is_readable)
		plan_mending(p);
	if (p->found.is_unreadable || !p->is_there) {
		p->found.is_step_back = p->found.is_unreadable;
		plan_return(p);
	} else if (p->found.kind == REPAIR_NOTHING && !holds_the_same(p)) {
		weigh_step_back(p);
		plan_return(p);
	}
	const struct version *then = credential_staged(&p->result, STAGE_CURRENT);
	p->found.then = then ? then->number : 0;
	p->found.then_at = then ? then->stored_at : 0;
}

/* ---- doing it ---- */

static bool put_version(struct patient *p, const struct version *then, uint32_t number, bool want_token,
			bool want_grant, struct error *err)
{
	scoped(secret_freep) struct secret *token = NULL, *grant = NULL;
	if (want_token &&
	    (!open_then_token(p, then, &token, err) || !change_put_token(p->ch, &p->result, number, token, err)))
		return false;
	return !want_grant ||
	       (open_then_grant(p, then, &grant, err) && change_put_grant(p->ch, &p->result, number, grant, err));
}

static bool put_all_of_backup(struct patient *p, struct error *err)
{
	for (size_t i = 0; i < p->then.version_count; i++) {
		const struct version *then = &p->then.versions[i];
		if (!put_version(p, then, then->number, version_has_token(then), version_has_grant(then), err))
			return false;
	}
	return true;
}

static bool put_missing(struct patient *p, struct error *err)
{
	for (size_t i = 0; i < p->now.version_count; i++) {
		const struct version *version = &p->now.versions[i];
		if (!credential_numbered(&p->result, version->number))
			continue;
		const struct version *token = p->is_whole[i] ? NULL : then_with(p, version->fingerprint);
		const struct version *grant =
			p->has_whole_grant[i] ? NULL : then_with_grant(p, version->renewal.fingerprint);
		if (token && !put_version(p, token, version->number, true, false, err))
			return false;
		if (grant && !put_version(p, grant, version->number, false, true, err))
			return false;
		if (!grant && !p->has_whole_grant[i] && !change_drop_grant(p->ch, &p->result, version->number, err))
			return false;
	}
	const struct version *then = credential_staged(&p->then, STAGE_CURRENT);
	if (then && !credential_numbered(&p->now, then->number) && credential_numbered(&p->result, then->number))
		return put_version(p, then, then->number, version_has_token(then), version_has_grant(then), err);
	return true;
}

/* Rows that the record before or after does not name. */
static bool drop_rows(struct patient *p, struct error *err)
{
	for (size_t at = 0; at < p->strays.len; at += KEY_TEXT_MAX)
		if (!change_drop_row(p->ch, (const char *)p->strays.at + at, err))
			return false;
	for (size_t i = 0; i < p->now.version_count; i++) {
		char key[KEY_TEXT_MAX];
		uint32_t number = p->now.versions[i].number;
		key_for_token(p->r->v->root.epoch, p->id, number, key);
		if (names_row(&p->now, 't', number) && !names_row(&p->result, 't', number) &&
		    !change_drop_row(p->ch, key, err))
			return false;
		key_for_grant(p->r->v->root.epoch, p->id, number, key);
		if (names_row(&p->now, 'g', number) && !names_row(&p->result, 'g', number) &&
		    !change_drop_row(p->ch, key, err))
			return false;
	}
	return true;
}

static bool treat(struct patient *p, bool has_damaged_health, struct error *err)
{
	bool is_return = p->found.kind == REPAIR_RETURNED;
	if (p->found.kind == REPAIR_NOTHING)
		return true;
	/* Strays first: among them may be names that are written anew. What was said of other tokens is no verdict of
	 * these. */
	if (!drop_rows(p, err) || !(is_return ? put_all_of_backup(p, err) : put_missing(p, err)) ||
	    ((is_return || has_damaged_health) && !change_drop_health(p->ch, p->pixel, err)))
		return false;
	change_note(p->ch, "restore", p->pixel, p->found.then);
	return change_store(p->ch, &p->result, err);
}

static bool examine(struct patient *p, bool *ret_has_damaged_health, struct error *err)
{
	memcpy(p->found.pixel, p->pixel, strlen(p->pixel) + 1);
	keys_pixel_id(p->r->v->keys, p->pixel, p->id);
	if (!look_at_backup(p, err) || !mend_path(p, err) || !look_at_vault(p, ret_has_damaged_health, err))
		return false;
	plan_patient(p);
	return true;
}

/* Member by member: what lies between them says nothing. */
static bool is_same_plan(const struct repair *a, const struct repair *b)
{
	return strcmp(a->pixel, b->pixel) == 0 && a->kind == b->kind && a->is_unreadable == b->is_unreadable &&
	       a->is_step_back == b->is_step_back && a->now == b->now && a->then == b->then && a->now_at == b->now_at &&
	       a->then_at == b->then_at && a->newer == b->newer && a->newer_at == b->newer_at &&
	       a->mended_count == b->mended_count && a->lost_count == b->lost_count &&
	       a->ending_count == b->ending_count && memcmp(a->ending, b->ending, sizeof a->ending) == 0 &&
	       memcmp(a->mended, b->mended, sizeof a->mended) == 0 && memcmp(a->lost, b->lost, sizeof a->lost) == 0 &&
	       a->others == b->others;
}

static bool repair_one(struct repairing *r, struct change *ch, const char *pixel, size_t which, struct error *err)
{
	bool has_damaged_health = false;
	struct patient *p = calloc(1, sizeof *p);
	if (!p)
		return fail_no_memory(err);
	p->r = r;
	p->ch = ch;
	p->pixel = pixel;
	p->strays.max = ROWS_MAX;
	bool ok = examine(p, &has_damaged_health, err);
	if (ok && r->plan && !is_same_plan(&p->found, &r->plan[which]))
		ok = fail(err, ERR_CONFLICT, TXT_REPAIR_MOVED);
	memcpy(&r->found[which], &p->found, sizeof p->found);
	if (ok && r->plan && p->found.is_step_back && !r->wish->may_step_back)
		ok = fail(err, ERR_CONFLICT, TXT_REPAIR_OLDER, pixel);
	ok = ok && (!r->plan || treat(p, has_damaged_health, err));
	buf_done(&p->strays);
	free(p);
	return ok;
}

/* ---- whom ---- */

struct search {
	const struct vault *v;
	uint8_t id[PIXEL_ID_LEN];
	char pixel[PIXEL_CODE_MAX + 1];
};

static bool compare_id(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct search *s = context;
	uint8_t id[PIXEL_ID_LEN];
	(void)h;
	(void)err;
	keys_pixel_id(s->v->keys, c->pixel, id);
	if (memcmp(id, s->id, sizeof id) == 0)
		memcpy(s->pixel, c->pixel, sizeof s->pixel);
	return true;
}

/* A Pixel by its code, or by the id that verify tells where the record with the code in it cannot be read. */
static bool name_pixel(const struct repairing *r, const char *given, char ret[PIXEL_CODE_MAX + 1], struct error *err)
{
	struct search s = { .v = r->v };
	size_t len = 0;
	struct buf lists = BUF_INIT(SIZE_MAX / 4);
	bool is_id = strlen(given) == (size_t)PIXEL_ID_LEN * 2 &&
		     strspn(given, "0123456789abcdef") == (size_t)PIXEL_ID_LEN * 2 &&
		     sodium_hex2bin(s.id, PIXEL_ID_LEN, given, (size_t)PIXEL_ID_LEN * 2, NULL, &len, NULL) == 0;
	if (!is_id) {
		bool is_list = strchr(given, ':') != NULL;
		if (is_list ? !list_check(given, err) : !pixel_check(given, err))
			return false;
		memcpy(ret, given, strlen(given) + 1);
		return true;
	}
	bool ok = vault_each(r->wish->from, false, true, compare_id, &s, err) &&
		  vault_list_names(r->wish->from, &lists, err);
	for (size_t at = 0; ok && at < lists.len; at += PIXEL_CODE_MAX + 1) {
		uint8_t id[PIXEL_ID_LEN];
		keys_pixel_id(r->v->keys, (const char *)lists.at + at, id);
		if (memcmp(id, s.id, sizeof id) == 0)
			memcpy(s.pixel, lists.at + at, sizeof s.pixel);
	}
	buf_done(&lists);
	if (ok && !s.pixel[0])
		return fail(err, ERR_NOT_FOUND, TXT_REPAIR_NOT_THERE, given);
	memcpy(ret, s.pixel, sizeof s.pixel);
	return ok;
}

static bool repair_all(void *context, struct change *ch, struct error *err)
{
	struct repairing *r = context;
	memset(r->found, 0, r->wish->count * sizeof *r->found);
	for (size_t i = 0; i < r->wish->count; i++) {
		char pixel[PIXEL_CODE_MAX + 1];
		if (!name_pixel(r, r->wish->pixels[i], pixel, err))
			return false;
		for (size_t k = 0; k < i; k++)
			if (strcmp(r->found[k].pixel, pixel) == 0)
				return fail(err, ERR_CONFLICT, TXT_REPAIR_TWICE, pixel);
		if (!repair_one(r, ch, pixel, i, err))
			return false;
	}
	return true;
}

static bool is_same_vault(const struct vault *v, const struct repair_wish *wish, struct error *err)
{
	return memcmp(v->root.vault_id, wish->from->root.vault_id, VAULT_ID_LEN) == 0 ? true
		: fail(err, ERR_CONFLICT, TXT_RESTORE_OTHER, v->path);
}

bool vault_plan_repair(struct vault *v, const struct repair_wish *wish, struct repair *ret, struct error *err)
{
	struct repairing r = { .v = v, .wish = wish, .found = ret };
	return is_same_vault(v, wish, err) && vault_change(v, repair_all, &r, err);
}

bool vault_repair(struct vault *v, const struct repair_wish *wish, const struct repair *plan, struct error *err)
{
	struct repairing r = { .v = v, .wish = wish, .plan = plan };
	r.found = calloc(wish->count, sizeof *r.found);
	if (!r.found)
		return fail_no_memory(err);
	bool ok = is_same_vault(v, wish, err) && vault_change(v, repair_all, &r, err);
	free(r.found);
	return ok;
}
