#include "vault/codec.h"

#include <stdio.h>

#define ROOT_MAGIC "pxvault\n"

enum root_fault root_decode(struct bytes from, struct root *ret)
{
	uint32_t format, min_reader;
	uint64_t features;
	uint8_t magic[8];
	struct root r;
	if (!bytes_take_copy(&from, magic, 8) || memcmp(magic, ROOT_MAGIC, 8) != 0 || !bytes_take_u32(&from, &format) ||
	    !bytes_take_u32(&from, &min_reader) || !bytes_take_u64(&from, &features))
		return ROOT_MALFORMED;
	if (min_reader > FORMAT_VERSION || features != 0)
		return ROOT_TOO_NEW;
	if (format != FORMAT_VERSION || min_reader != FORMAT_VERSION)
		return ROOT_MALFORMED;
	if (!bytes_take_copy(&from, r.vault_id, sizeof r.vault_id) ||
	    !bytes_take_copy(&from, r.lineage, sizeof r.lineage) || !bytes_take_u32(&from, &r.epoch) ||
	    !bytes_take_u64(&from, &r.generation) || !bytes_take_copy(&from, r.commit_id, sizeof r.commit_id) ||
	    !bytes_take_copy(&from, r.past, sizeof r.past) ||
	    !bytes_take_copy(&from, r.slots_digest, sizeof r.slots_digest) ||
	    !bytes_take_copy(&from, r.log_keys_digest, sizeof r.log_keys_digest) ||
	    !bytes_take_copy(&from, r.top, sizeof r.top) || !bytes_take_copy(&from, r.mac, sizeof r.mac) ||
	    from.len != 0 || r.epoch == 0 || r.generation == 0)
		return ROOT_MALFORMED;
	*ret = r;
	return ROOT_FINE;
}

void root_encode(const struct root *r, struct buf *out)
{
	buf_append(out, ROOT_MAGIC, 8);
	buf_append_uint(out, 4, FORMAT_VERSION);
	buf_append_uint(out, 4, FORMAT_VERSION);
	buf_append_uint(out, 8, 0);
	buf_append(out, r->vault_id, sizeof r->vault_id);
	buf_append(out, r->lineage, sizeof r->lineage);
	buf_append_uint(out, 4, r->epoch);
	buf_append_uint(out, 8, r->generation);
	buf_append(out, r->commit_id, sizeof r->commit_id);
	buf_append(out, r->past, sizeof r->past);
	buf_append(out, r->slots_digest, sizeof r->slots_digest);
	buf_append(out, r->log_keys_digest, sizeof r->log_keys_digest);
	buf_append(out, r->top, sizeof r->top);
}

/* Blocks behind the versions, each with a tag, ascending. One whose state is all zero is left out. */
enum block { BLOCK_LIFECYCLE = 1, BLOCK_FAMILIES };

static bool has_lifecycle(const struct credential *c)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].retire_by || c->versions[i].taken_at || c->versions[i].is_aside)
			return true;
	return c->rotate_from || c->rotate_since || c->gone_count;
}

static void put_lifecycle(const struct credential *c, struct buf *out)
{
	buf_append_uint(out, 1, BLOCK_LIFECYCLE);
	buf_append_uint(out, 4, c->rotate_from);
	buf_append_uint(out, 8, (uint64_t)c->rotate_since);
	for (size_t i = 0; i < c->version_count; i++) {
		buf_append_uint(out, 8, (uint64_t)c->versions[i].retire_by);
		buf_append_uint(out, 8, (uint64_t)c->versions[i].taken_at);
		buf_append_uint(out, 1, c->versions[i].is_aside);
	}
	buf_append_uint(out, 1, c->gone_count);
	for (size_t i = 0; i < c->gone_count; i++) {
		const struct gone *g = &c->gone[i];
		buf_append_uint(out, 4, g->number);
		buf_append_uint(out, 8, (uint64_t)g->stored_at);
		buf_append_uint(out, 8, (uint64_t)g->taken_at);
		buf_append_uint(out, 8, (uint64_t)g->gone_at);
		buf_append_uint(out, 1, g->is_dead);
		buf_append(out, g->fingerprint, FINGERPRINT_LEN);
	}
}

static bool take_gone(struct bytes *from, struct gone *g)
{
	uint8_t is_dead;
	if (!bytes_take_u32(from, &g->number) || !bytes_take_i64(from, &g->stored_at) ||
	    !bytes_take_i64(from, &g->taken_at) || !bytes_take_i64(from, &g->gone_at) || !bytes_take_u8(from, &is_dead) ||
	    is_dead > 1 || !bytes_take_copy(from, g->fingerprint, FINGERPRINT_LEN))
		return false;
	g->is_dead = is_dead;
	return g->number != 0;
}

static bool take_lifecycle(struct bytes *from, struct credential *c)
{
	uint8_t gone;
	if (!bytes_take_u32(from, &c->rotate_from) || !bytes_take_i64(from, &c->rotate_since))
		return false;
	for (size_t i = 0; i < c->version_count; i++) {
		uint8_t is_aside;
		if (!bytes_take_i64(from, &c->versions[i].retire_by) ||
		    !bytes_take_i64(from, &c->versions[i].taken_at) || !bytes_take_u8(from, &is_aside) || is_aside > 1)
			return false;
		c->versions[i].is_aside = is_aside;
	}
	if (!bytes_take_u8(from, &gone) || gone > GONE_MAX)
		return false;
	for (c->gone_count = 0; c->gone_count < gone; c->gone_count++)
		if (!take_gone(from, &c->gone[c->gone_count]))
			return false;
	return has_lifecycle(c);
}

static bool has_families(const struct credential *c)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].renewal.family != FAMILY_PLAIN)
			return true;
	return false;
}

static void put_families(const struct credential *c, struct buf *out)
{
	buf_append_uint(out, 1, BLOCK_FAMILIES);
	for (size_t i = 0; i < c->version_count; i++) {
		const struct renewal *r = &c->versions[i].renewal;
		buf_append_uint(out, 1, r->family);
		if (r->family == FAMILY_PLAIN)
			continue;
		buf_append_uint(out, 8, (uint64_t)r->issued_at);
		buf_append_uint(out, 8, (uint64_t)r->access_until);
		buf_append_uint(out, 8, (uint64_t)r->refresh_until);
		buf_append_uint(out, 8, (uint64_t)r->asked_at);
		buf_append_uint(out, 8, (uint64_t)r->refused_at);
		buf_append(out, r->fingerprint, FINGERPRINT_LEN);
		buf_append(out, r->digest, DIGEST_LEN);
	}
}

static bool take_renewal(struct bytes *from, struct renewal *r)
{
	uint8_t family;
	if (!bytes_take_u8(from, &family) || family >= FAMILY_COUNT)
		return false;
	r->family = (enum family)family;
	return family == FAMILY_PLAIN ||
	       (bytes_take_i64(from, &r->issued_at) && bytes_take_i64(from, &r->access_until) &&
		bytes_take_i64(from, &r->refresh_until) && bytes_take_i64(from, &r->asked_at) &&
		bytes_take_i64(from, &r->refused_at) && bytes_take_copy(from, r->fingerprint, FINGERPRINT_LEN) &&
		bytes_take_copy(from, r->digest, DIGEST_LEN));
}

static bool take_families(struct bytes *from, struct credential *c)
{
	for (size_t i = 0; i < c->version_count; i++)
		if (!take_renewal(from, &c->versions[i].renewal))
			return false;
	return has_families(c);
}

static bool take_block(struct bytes *from, uint8_t tag, struct credential *c)
{
	switch (tag) {
	case BLOCK_LIFECYCLE:
		return take_lifecycle(from, c);
	case BLOCK_FAMILIES:
		return take_families(from, c);
	default:
		return false;
	}
}

static bool take_blocks(struct bytes *from, struct credential *c)
{
	uint8_t tag, last = 0;
	while (bytes_take_u8(from, &tag)) {
		if (tag <= last || !take_block(from, tag, c))
			return false;
		last = tag;
	}
	return true;
}

bool credential_encode(const struct credential *c, struct buf *out, struct error *err)
{
	buf_append_counted(out, 1, c->pixel);
	buf_append_uint(out, 8, (uint64_t)c->created_at);
	buf_append_uint(out, 8, (uint64_t)c->deleted_at);
	buf_append_uint(out, 1, c->is_destroyed);
	buf_append_counted(out, 1, c->test_code);
	buf_append_uint(out, 4, c->last_number);
	buf_append_uint(out, 1, c->label_count);
	for (size_t i = 0; i < c->label_count; i++) {
		buf_append_counted(out, 1, c->labels[i].key);
		buf_append_counted(out, 1, c->labels[i].value);
	}
	buf_append_uint(out, 1, c->version_count);
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		buf_append_uint(out, 4, v->number);
		buf_append_uint(out, 1, v->stage);
		buf_append_uint(out, 8, (uint64_t)v->stored_at);
		buf_append_uint(out, 8, (uint64_t)v->staged_at);
		buf_append_uint(out, 8, (uint64_t)v->expires_at);
		buf_append(out, v->fingerprint, FINGERPRINT_LEN);
		buf_append(out, v->digest, DIGEST_LEN);
	}
	if (has_lifecycle(c))
		put_lifecycle(c, out);
	if (has_families(c))
		put_families(c, out);
	return buf_ok(out, err);
}

static bool take_version(struct bytes *from, struct version *v)
{
	uint8_t stage;
	if (!bytes_take_u32(from, &v->number) || !bytes_take_u8(from, &stage) || !bytes_take_i64(from, &v->stored_at) ||
	    !bytes_take_i64(from, &v->staged_at) || !bytes_take_i64(from, &v->expires_at) ||
	    !bytes_take_copy(from, v->fingerprint, FINGERPRINT_LEN) || !bytes_take_copy(from, v->digest, DIGEST_LEN) ||
	    stage < STAGE_PENDING || stage > STAGE_STANDBY)
		return false;
	v->stage = (enum stage)stage;
	return true;
}

/* Numbers ascend, none above the highest ever given, and no live stage is held twice. */
static bool versions_are_sound(const struct credential *c)
{
	unsigned held[STAGE_STANDBY + 1] = { 0 };
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		if (v->number == 0 || v->number > c->last_number || (i && v->number <= c->versions[i - 1].number))
			return false;
		if (v->stage != STAGE_RETIRED && held[v->stage]++)
			return false;
		bool may_wait = v->stage == STAGE_PREVIOUS || (v->stage == STAGE_RETIRED && !v->taken_at);
		if ((v->retire_by && !may_wait) || (v->taken_at && v->stage != STAGE_RETIRED) ||
		    (v->is_aside && v->stage != STAGE_PENDING))
			return false;
	}
	return true;
}

/* One encoding per state: labels ascend by key and none is empty. */
static bool labels_are_sound(const struct credential *c)
{
	for (size_t i = 0; i < c->label_count; i++)
		if (!c->labels[i].key[0] || !c->labels[i].value[0] ||
		    (i && strcmp(c->labels[i - 1].key, c->labels[i].key) >= 0))
			return false;
	return true;
}

bool credential_decode(struct bytes from, struct credential *ret)
{
	struct credential c = { 0 };
	uint8_t labels, versions, destroyed;
	if (!bytes_take_counted(&from, 1, c.pixel, sizeof c.pixel) || !bytes_take_i64(&from, &c.created_at) ||
	    !bytes_take_i64(&from, &c.deleted_at) || !bytes_take_u8(&from, &destroyed) || destroyed > 1 ||
	    !bytes_take_counted(&from, 1, c.test_code, sizeof c.test_code) || !bytes_take_u32(&from, &c.last_number) ||
	    !bytes_take_u8(&from, &labels) || labels > LABELS_MAX)
		return false;
	c.is_destroyed = destroyed;
	for (c.label_count = 0; c.label_count < labels; c.label_count++)
		if (!bytes_take_counted(&from, 1, c.labels[c.label_count].key, sizeof c.labels[0].key) ||
		    !bytes_take_counted(&from, 1, c.labels[c.label_count].value, sizeof c.labels[0].value))
			return false;
	if (!bytes_take_u8(&from, &versions) || versions > VERSIONS_MAX)
		return false;
	for (c.version_count = 0; c.version_count < versions; c.version_count++)
		if (!take_version(&from, &c.versions[c.version_count]))
			return false;
	if (!take_blocks(&from, &c) || !labels_are_sound(&c) || !versions_are_sound(&c))
		return false;
	*ret = c;
	return true;
}

unsigned id_nibble(const uint8_t id[PIXEL_ID_LEN], size_t i)
{
	return i % 2 ? id[i / 2] & 15u : id[i / 2] >> 4;
}

bool leaf_check(struct bytes from, const char *prefix)
{
	if (from.len == 0 || from.len % ENTRY_LEN != 0 || from.len / ENTRY_LEN > LEAF_ENTRIES_MAX)
		return false;
	for (size_t at = 0; at < from.len; at += ENTRY_LEN) {
		for (size_t i = 0; i < NODE_DEPTH; i++)
			if ("0123456789abcdef"[id_nibble(from.at + at, i)] != prefix[i])
				return false;
		if (at && memcmp(from.at + at - ENTRY_LEN, from.at + at, PIXEL_ID_LEN) >= 0)
			return false;
	}
	return true;
}

/* The offset of the first entry that is not below id. */
static size_t leaf_position(struct bytes leaf, const uint8_t id[PIXEL_ID_LEN])
{
	size_t low = 0, high = leaf.len / ENTRY_LEN;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(leaf.at + middle * ENTRY_LEN, id, PIXEL_ID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low * ENTRY_LEN;
}

const uint8_t *leaf_find(struct bytes leaf, const uint8_t id[PIXEL_ID_LEN])
{
	size_t at = leaf_position(leaf, id);
	if (at == leaf.len || memcmp(leaf.at + at, id, PIXEL_ID_LEN) != 0)
		return NULL;
	return leaf.at + at + PIXEL_ID_LEN;
}

void leaf_with(struct bytes leaf, const uint8_t id[PIXEL_ID_LEN], const uint8_t digest[DIGEST_LEN], struct buf *out)
{
	size_t at = leaf_position(leaf, id), after = at;
	if (at < leaf.len && memcmp(leaf.at + at, id, PIXEL_ID_LEN) == 0)
		after += ENTRY_LEN;
	buf_append(out, leaf.at, at);
	buf_append(out, id, PIXEL_ID_LEN);
	buf_append(out, digest, DIGEST_LEN);
	buf_append(out, leaf.at + after, leaf.len - after);
}

static char *put_hex(char *p, const uint8_t *at, size_t nibbles)
{
	for (size_t i = 0; i < nibbles; i++)
		*p++ = "0123456789abcdef"[id_nibble(at, i)];
	*p = '\0';
	return p;
}

static char *put_prefix(char *p, uint32_t epoch, char kind)
{
	return p + snprintf(p, 20, "e%u/%c/", (unsigned)epoch, kind);
}

void key_for_node(uint32_t epoch, const uint8_t id[PIXEL_ID_LEN], size_t depth, char ret[KEY_TEXT_MAX])
{
	put_hex(put_prefix(ret, epoch, 'n'), id, depth);
}

void key_for_pixel(uint32_t epoch, char kind, const uint8_t id[PIXEL_ID_LEN], char ret[KEY_TEXT_MAX])
{
	put_hex(put_prefix(ret, epoch, kind), id, (size_t)PIXEL_ID_LEN * 2);
}

void key_for_token(uint32_t epoch, const uint8_t id[PIXEL_ID_LEN], uint32_t number, char ret[KEY_TEXT_MAX])
{
	char *p = put_hex(put_prefix(ret, epoch, 't'), id, (size_t)PIXEL_ID_LEN * 2);
	snprintf(p, 12, "/%u", (unsigned)number);
}

void key_for_grant(uint32_t epoch, const uint8_t id[PIXEL_ID_LEN], uint32_t number, char ret[KEY_TEXT_MAX])
{
	char *p = put_hex(put_prefix(ret, epoch, 'g'), id, (size_t)PIXEL_ID_LEN * 2);
	snprintf(p, 12, "/%u", (unsigned)number);
}

void key_for_note(uint32_t epoch, const char *name, char ret[KEY_TEXT_MAX])
{
	snprintf(put_prefix(ret, epoch, 'a'), 40, "%.32s", name);
}

void key_for_log_keys(uint32_t epoch, char ret[KEY_TEXT_MAX])
{
	snprintf(put_prefix(ret, epoch, 'k'), 4, "log");
}

void key_for_hint(uint32_t epoch, const uint8_t fingerprint[FINGERPRINT_LEN], char ret[KEY_TEXT_MAX])
{
	put_hex(put_prefix(ret, epoch, 'd'), fingerprint, (size_t)FINGERPRINT_LEN * 2);
}

void hint_encode(const struct hint *h, struct buf *out)
{
	buf_append_uint(out, 1, h->count);
	buf_append(out, h->ids, h->count * PIXEL_ID_LEN);
}

bool hint_decode(struct bytes from, struct hint *ret)
{
	struct hint h = { 0 };
	uint8_t count;
	if (!bytes_take_u8(&from, &count) || count > HINT_PIXELS_MAX ||
	    !bytes_take_copy(&from, h.ids, (size_t)count * PIXEL_ID_LEN) || from.len != 0)
		return false;
	h.count = count;
	*ret = h;
	return true;
}

enum { MARK_IS_ACKED = 1, MARK_HAS_UID = 2, MARK_FLAGS = 3 };

void read_mark_encode(const struct read_mark *mark, struct buf *out)
{
	uint8_t flags = (mark->is_acked ? MARK_IS_ACKED : 0) | (mark->has_uid ? MARK_HAS_UID : 0);
	buf_append_counted(out, 1, mark->name);
	buf_append_uint(out, 4, mark->version);
	buf_append_uint(out, 8, (uint64_t)mark->at);
	if (flags)
		buf_append_uint(out, 1, flags);
	if (mark->has_uid)
		buf_append_uint(out, 4, mark->uid);
}

bool read_mark_decode(struct bytes from, struct read_mark *ret)
{
	struct read_mark m = { 0 };
	uint8_t flags = 0;
	if (!bytes_take_counted(&from, 1, m.name, sizeof m.name) || !bytes_take_u32(&from, &m.version) ||
	    !bytes_take_i64(&from, &m.at))
		return false;
	if (bytes_take_u8(&from, &flags) && (!flags || flags > MARK_FLAGS))
		return false;
	m.is_acked = flags & MARK_IS_ACKED;
	m.has_uid = flags & MARK_HAS_UID;
	if ((m.has_uid && !bytes_take_u32(&from, &m.uid)) || from.len)
		return false;
	*ret = m;
	return true;
}
