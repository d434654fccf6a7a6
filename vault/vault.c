#include "vault/vault.h"

#include "core/clock.h"
#include "core/file.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define READS_MAX 5 /* of one instant that other writers outran, before it is an error */
#define STACK_OF_A_KDF 4096 /* what key derivation may have left on the stack */
#define ROOM_MAX (32u << 20)
#define PROMISES_MAX (64u << 20)
/* A time service may step a clock back this far after a boot or a long sleep; nothing that expires is told closer. */
#define CLOCK_TOLERANCE_S 300

/* ---- small things ---- */

bool digest_is_zero(const uint8_t digest[DIGEST_LEN])
{
	return sodium_is_zero(digest, DIGEST_LEN) == 1;
}

struct seal_context vault_context(const struct vault *v, char kind, struct bytes what, uint32_t version)
{
	return (struct seal_context){
		.vault_id = v->root.vault_id, .epoch = v->root.epoch, .kind = kind, .what = what, .version = version
	};
}

void prefix_of(const uint8_t id[PIXEL_ID_LEN], size_t depth, char ret[NODE_DEPTH + 1])
{
	for (size_t i = 0; i < depth; i++)
		ret[i] = "0123456789abcdef"[id_nibble(id, i)];
	ret[depth] = '\0';
}

void node_mac(const struct keys *keys, const char *prefix, struct bytes node, uint8_t ret[DIGEST_LEN])
{
	keys_mac(keys, KEY_MAC, "pxnode01", bytes_of_text(prefix), node, ret);
}

bool vault_is_open(const struct vault *v, struct error *err)
{
	return v->keys ? true : fail(err, ERR_LOCKED, TXT_SEALED);
}

uint64_t vault_generation(const struct vault *v)
{
	return v->root.generation;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t vault_clock_behind(int64_t later_clock)
{
	int64_t now = clock_wall();
	return later_clock > now && later_clock - CLOCK_TOLERANCE_S > now ? later_clock - now : 0;
}

int64_t vault_clock_suspect(const struct vault *v)
{
	return vault_clock_behind(v->latest_wall);
}

int64_t vault_later_clock(const struct vault *v)
{
	return later(v->latest_wall, clock_wall());
}

const char *vault_path(const struct vault *v)
{
	return v->path;
}

void vault_pixel_id(const struct vault *v, const char *pixel, uint8_t ret[PIXEL_ID_LEN])
{
	keys_pixel_id(v->keys, pixel, ret);
}

void vault_log_id(const struct vault *v, const char *pixel, uint8_t ret[PIXEL_ID_LEN])
{
	keys_pixel_id(v->log_keys, pixel, ret);
}

static bool remember_bytes(struct buf *b, struct bytes value, struct error *err)
{
	buf_clear(b);
	buf_append(b, value.at, value.len);
	return buf_ok(b, err);
}

bool vault_take_root(struct vault *v, const struct root *root, struct bytes bytes, struct error *err)
{
	v->root = *root;
	if (v->audit)
		audit_set_generation(v->audit, root->generation);
	return remember_bytes(&v->root_bytes, bytes, err);
}

struct audit_position anchored_position(const struct anchor *a)
{
	struct audit_position p = { .sequence = a->audit_sequence };
	memcpy(p.mac, a->audit_head, DIGEST_LEN);
	return p;
}

struct anchor anchor_of_root(const struct root *r)
{
	struct anchor a = { .epoch = r->epoch, .generation = r->generation, .wall_clock = clock_wall() };
	memcpy(a.vault_id, r->vault_id, VAULT_ID_LEN);
	memcpy(a.lineage, r->lineage, 16);
	memcpy(a.root_mac, r->mac, DIGEST_LEN);
	return a;
}

/* ---- making a vault ---- */

static bool build_slots(struct vault *v, const struct slot_secret *secrets, size_t count, struct error *err)
{
	buf_append_uint(&v->slots, 4, count);
	for (size_t i = 0; i < count; i++) {
		uint8_t slot[SLOT_LEN];
		uint32_t passes = 0;
		if ((secrets[i].kind == SLOT_PASSPHRASE && !slot_calibrate(&passes, err)) ||
		    !slot_make_as(v->root.vault_id, &secrets[i], v->root_key, passes, NULL, slot, err))
			return false;
		buf_append(&v->slots, slot, SLOT_LEN);
	}
	seal_digest(buf_bytes(&v->slots), v->root.slots_digest);
	return buf_ok(&v->slots, err);
}

bool root_seal(const struct keys *keys, struct root *r, struct buf *out, struct error *err)
{
	buf_clear(out);
	root_encode(r, out);
	if (!buf_ok(out, err))
		return false;
	keys_mac(keys, KEY_MAC, "pxroot01", buf_bytes(out), bytes_of("", 0), r->mac);
	buf_append(out, r->mac, DIGEST_LEN);
	return buf_ok(out, err);
}

/* The log begins with the vault, so that a missing one is always noticed. A vault that was at this place before has left
 * its own, which stays under another name. */
bool vault_begin_log(struct vault *v, const char *verb, const uint8_t name_from[8], struct error *err)
{
	char name[32] = "before-";
	struct audit_event event = { .verb = verb, .result = "ok" };
	sodium_bin2hex(name + 7, sizeof name - 7, name_from, 8);
	audit_set_generation(v->audit, v->root.generation);
	return audit_take_over(v->audit, name, err) &&
	       audit_append(v->audit, &v->who, &event, 1, AUDIT_ORDINARY, true, err);
}

bool vault_create_anchor_beside(struct vault *v, const struct root *root, const uint8_t *kept, struct error *err)
{
	struct anchor a = anchor_of_root(root);
	struct audit_position at;
	audit_durable(v->audit, &at);
	a.audit_sequence = at.sequence;
	memcpy(a.audit_head, at.mac, DIGEST_LEN);
	/* Also the way back for a clock that once was far ahead: adopting remembers the clock as it is now. */
	v->latest_wall = a.wall_clock;
	return kept ? anchor_create_beside(&v->anchor_file, v->keys, &a, kept, err)
		    : anchor_create(&v->anchor_file, v->keys, &a, err);
}

bool vault_create_anchor(struct vault *v, const struct root *root, struct error *err)
{
	return vault_create_anchor_beside(v, root, NULL, err);
}

/* The anchor lies there before the vault does: a vault that can be seen can be opened. */
static bool drop_anchor(void *context, struct error *err)
{
	struct vault *v = context;
	return vault_begin_log(v, "init", v->root.vault_id, err) && vault_create_anchor(v, &v->root, err);
}

struct vault *vault_new(void)
{
	struct vault *v = calloc(1, sizeof *v);
	if (!v)
		return NULL;
	v->root_bytes.max = v->slots.max = STORE_VALUE_MAX;
	v->room.max = ROOM_MAX;
	v->plain.max = STORE_VALUE_MAX;
	v->promises.max = PROMISES_MAX;
	/* From the start: later, a record that memory is short for would look like one that does not open, which is damage
	 * where it is metadata, and taken for none where it is health or a note. */
	if (buf_room(&v->plain, SEAL_PLAIN_MAX))
		return v;
	free(v);
	return NULL;
}

static bool find_place(struct vault *v, const struct vault_place *place, struct error *err)
{
	if (!file_absolute(place->path, v->path, sizeof v->path, err)) {
		if (err->code == ERR_NOT_FOUND)
			return fail(err, ERR_NOT_FOUND, TXT_NO_VAULT, place->path);
		return false;
	}
	return anchor_place(place->state_dir, v->path, &v->anchor_file, err);
}

bool vault_create(const struct vault_place *place, const struct slot_secret *secrets, size_t count, struct error *err)
{
	scoped(vault_closep) struct vault *v = vault_new();
	if (!v)
		return fail_no_memory(err);
	if (count < 1 || count > SLOTS_MAX)
		return fail(err, ERR_USAGE, "a vault needs 1 to 16 keys", "give a key file or a passphrase");
	if (!find_place(v, place, err) || !file_make_folder(place->state_dir, err) ||
	    !secret_new(ROOT_KEY_LEN, &v->root_key, err))
		return false;
	crypto_kdf_keygen(secret_room(v->root_key));
	randombytes_buf(v->root.vault_id, sizeof v->root.vault_id);
	randombytes_buf(v->root.lineage, sizeof v->root.lineage);
	randombytes_buf(v->root.commit_id, sizeof v->root.commit_id);
	v->root.epoch = 1;
	v->root.generation = 1;
	if (!keys_derive(v->root_key, &v->keys, err) || !build_slots(v, secrets, count, err) ||
	    !root_seal(v->keys, &v->root, &v->root_bytes, err))
		return false;
	struct store_op ops[] = { { .key = "root", .value = buf_bytes(&v->root_bytes) },
				  { .key = "slots", .value = buf_bytes(&v->slots) } };
	return audit_new(v->anchor_file.path, v->keys, &v->audit, err) &&
	       store_create(&store_sqlite, v->path, ops, COUNT_OF(ops), drop_anchor, v, err) == STORE_OK;
}

/* ---- opening and unlocking ---- */

static bool decode_root(const struct vault *v, struct bytes bytes, struct root *ret, struct error *err)
{
	switch (root_decode(bytes, ret)) {
	case ROOT_FINE:
		return true;
	case ROOT_TOO_NEW:
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT_NEWER, v->path);
	default:
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	}
}

/* What can still be tried of slots that are not those that the root names. */
static bool take_salvaged(struct vault *v, const struct store_record *root, const struct store_record *slots,
			  struct error *err)
{
	uint8_t salvaged[SLOTS_VALUE_MAX];
	size_t len;
	v->has_foreign_slots = true;
	if (!slots->is_found || !slots_salvage(slots->value, salvaged, &len))
		return fail_class(err, ERR_DAMAGED, "format", TXT_SLOTS_LOST, v->path);
	return remember_bytes(&v->root_bytes, root->value, err) &&
	       remember_bytes(&v->slots, bytes_of(salvaged, len), err);
}

static bool read_head(struct vault *v, struct error *err)
{
	static const char *const keys[] = { "root", "slots" };
	struct store_record found[2];
	uint8_t digest[DIGEST_LEN];
	size_t count;
	if (store_get_many(v->store, keys, 2, &v->room, found, err) != STORE_OK)
		return false;
	if (!found[0].is_found)
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	if (!decode_root(v, found[0].value, &v->root, err))
		return false;
	seal_digest(found[1].is_found ? found[1].value : bytes_of("", 0), digest);
	bool is_foreign = !found[1].is_found || sodium_memcmp(digest, v->root.slots_digest, DIGEST_LEN) != 0;
	if (is_foreign && v->is_mending)
		return take_salvaged(v, &found[0], &found[1], err);
	if (is_foreign)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_SLOTS_TAMPERED, v->path);
	return slots_check(found[1].value, &count, err) && remember_bytes(&v->root_bytes, found[0].value, err) &&
	       remember_bytes(&v->slots, found[1].value, err);
}

bool vault_open(const struct vault_place *place, struct vault **ret, struct error *err)
{
	scoped(vault_closep) struct vault *v = vault_new();
	if (!v)
		return fail_no_memory(err);
	/* The anchor is read before the store: read after it, a commit in between would look like a rollback. */
	v->is_adopting = place->is_adopting;
	v->is_doubting = place->is_doubting;
	v->is_mending = place->is_mending;
	v->is_copy = place->is_copy;
	if (!find_place(v, place, err) || (!v->is_copy && !anchor_read(&v->anchor_file, err)))
		return false;
	/* Before it is opened, so that one put there meanwhile is noticed. */
	(void)!lstat(v->path, &v->opened);
	enum store_class class = place->is_still ? store_open_still(&store_sqlite, v->path, &v->store, err)
						 : store_open(&store_sqlite, v->path, &v->store, err);
	if (class != STORE_OK || !read_head(v, err))
		return false;
	*ret = take(v);
	return true;
}

bool vault_glance_at_clock(const struct vault_place *place, int64_t *ret_behind_s, struct error *err)
{
	char path[PATH_MAX];
	struct anchor_file file;
	if (!file_absolute(place->path, path, sizeof path, err) ||
	    !anchor_place(place->state_dir, path, &file, err) || !anchor_read(&file, err))
		return false;
	*ret_behind_s = vault_clock_behind(anchor_glance_at_clock(&file));
	return true;
}

bool vault_has_slot(const struct vault *v, enum slot_kind kind)
{
	size_t count = (v->slots.len - 4) / SLOT_LEN;
	for (size_t i = 0; i < count; i++)
		if (slots_kind(buf_bytes(&v->slots), i) == kind)
			return true;
	return false;
}

bool root_prove(const struct vault *v, struct bytes bytes, struct root *ret, struct error *err)
{
	uint8_t mac[DIGEST_LEN];
	if (!decode_root(v, bytes, ret, err))
		return false;
	if (v->is_proven && memcmp(ret->vault_id, v->root.vault_id, VAULT_ID_LEN) != 0)
		return fail_class(err, ERR_DAMAGED, "forked", TXT_FORKED, v->path);
	/* Unproven; but only the key of that epoch could prove it, and whoever unlocks again does. */
	if (v->is_proven && ret->epoch > v->root.epoch)
		return fail(err, ERR_LOCKED, TXT_ROOT_KEY_CHANGED, v->path);
	keys_mac(v->keys, KEY_MAC, "pxroot01", bytes_of(bytes.at, bytes.len - DIGEST_LEN), bytes_of("", 0), mac);
	if (sodium_memcmp(mac, ret->mac, DIGEST_LEN) != 0)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_ROOT_TAMPERED, v->path);
	return true;
}

static bool judge(const struct vault *v, const struct anchor *remembered, const struct root *now, struct error *err)
{
	switch (anchor_judge(remembered, now)) {
	case DESCENT_SAME:
	case DESCENT_NEWER:
		return true;
	case DESCENT_OLDER:
		return fail_class(err, ERR_DAMAGED, "rolled-back", TXT_ROLLED_BACK, v->path,
				  (unsigned long long)now->generation, (unsigned long long)remembered->generation);
	case DESCENT_TOO_FAR:
		return fail_class(err, ERR_DAMAGED, "anchor", TXT_ANCHOR_FAR, v->path);
	default:
		return fail_class(err, ERR_DAMAGED, "forked", TXT_FORKED, v->path);
	}
}

static bool judge_anchor(struct vault *v, const struct root *now, struct anchor *ret, unsigned *ret_block,
			 struct error *err)
{
	if (!anchor_prove_for(&v->anchor_file, v->keys, now->lineage, ret, ret_block)) {
		if (anchor_is_of_later_epoch(&v->anchor_file, now->vault_id, now->epoch))
			return fail_class(err, ERR_DAMAGED, "rolled-back", TXT_ROLLED_BACK_KEY, v->path);
		if (anchor_is_of_another_vault(&v->anchor_file, now->vault_id))
			return fail_class(err, ERR_DAMAGED, "forked", TXT_FORKED, v->path);
		return fail_class(err, ERR_DAMAGED, "anchor-missing", TXT_ANCHOR_MISSING, v->path);
	}
	v->latest_wall = later(v->latest_wall, ret->wall_clock);
	return judge(v, ret, now, err);
}

bool vault_judge_held(struct vault *v, struct anchor *ret, unsigned *ret_block, struct error *err)
{
	static const char *const keys[] = { "root" };
	struct store_record found;
	struct root now;
	if (!anchor_hold(&v->anchor_file, err) || store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	if (!found.is_found)
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	if (!root_prove(v, found.value, &now, err) || !judge_anchor(v, &now, ret, ret_block, err))
		return false;
	/* File and anchor put back together fool the anchor, but not a process that saw more. */
	struct anchor seen = anchor_of_root(&v->root);
	if (v->is_proven && anchor_judge(&seen, &now) != DESCENT_TOO_FAR && !judge(v, &seen, &now, err))
		return false;
	return vault_take_root(v, &now, found.value, err);
}

/* A difference may be a change caught half-way by our own reading; it is only believed with other writers held out. */
static bool judge_again(struct vault *v, struct error *err)
{
	struct anchor ignored;
	unsigned block;
	if (store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return false;
	bool ok = vault_judge_held(v, &ignored, &block, err);
	store_release(v->store);
	return ok;
}

/* Those of the root record: the root key's own, or those of an earlier one. */
static bool open_log_keys(struct vault *v, struct keys **ret, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	uint8_t digest[DIGEST_LEN];
	scoped(secret_freep) struct secret *saved = NULL;
	struct error why = { .code = ERR_DAMAGED };
	if (digest_is_zero(v->root.log_keys_digest))
		return keys_copy_some(v->keys, 1u << KEY_INDEX | 1u << KEY_AUDIT, ret, err);
	key_for_log_keys(v->root.epoch, key);
	const char *const names[] = { key };
	if (store_get_many(v->store, names, 1, &v->room, &found, err) != STORE_OK)
		return false;
	struct seal_context context = vault_context(v, 'k', bytes_of_text(key), 0);
	if (found.is_found)
		seal_digest(found.value, digest);
	if (found.is_found && sodium_memcmp(digest, v->root.log_keys_digest, DIGEST_LEN) == 0 &&
	    unseal_secret(v->keys, &context, found.value, &saved, &why) && secret_len(saved) == LOG_KEYS_LEN)
		return keys_load_log(saved, ret, err);
	if (why.code == ERR_DAMAGED)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_LOG_KEYS_TAMPERED, v->path);
	*err = why;
	return false;
}

bool vault_name_log(struct vault *v, struct error *err)
{
	return open_log_keys(v, &v->log_keys, err) && audit_new(v->anchor_file.path, v->log_keys, &v->audit, err);
}

/* Only the end of the log is looked at. */
static bool prove_log(struct vault *v, struct error *err)
{
	struct anchor remembered;
	unsigned block;
	struct error why;
	struct audit_position at = { 0 };
	if (anchor_prove_for(&v->anchor_file, v->keys, v->root.lineage, &remembered, &block))
		at = anchored_position(&remembered);
	if (!vault_name_log(v, err))
		return false;
	audit_set_generation(v->audit, v->root.generation);
	if (audit_prove(v->audit, &at, &why)) {
		if (v->is_doubting && !fail_class(&why, ERR_DAMAGED, "audit", TXT_AUDIT_DOUBTED))
			audit_refuse(v->audit, &why);
		return true;
	}
	audit_refuse(v->audit, &why);
	if (!v->is_doubting && !v->is_adopting)
		*err = why;
	return v->is_doubting || v->is_adopting;
}

static bool prove_start(struct vault *v, struct error *err)
{
	struct root now;
	struct anchor ignored;
	unsigned block;
	if (!root_prove(v, buf_bytes(&v->root_bytes), &now, err))
		return false;
	if (v->is_copy)
		return true;
	bool ok = v->is_adopting || judge_anchor(v, &now, &ignored, &block, err) || judge_again(v, err);
	return ok && prove_log(v, err);
}

/* With the root key in place. Taken back when the vault is not what it should be. */
static bool unlock_with_key(struct vault *v, struct error *err)
{
	if (keys_derive(v->root_key, &v->keys, err) && prove_start(v, err)) {
		v->is_proven = true;
		return true;
	}
	audit_free(v->audit);
	v->audit = NULL;
	keys_freep(&v->log_keys);
	keys_freep(&v->keys);
	secret_free(take(v->root_key));
	return false;
}

bool vault_unlock(struct vault *v, const struct slot_secret *secret, struct error *err)
{
	if (v->keys)
		return true;
	size_t which = 0;
	struct slot_info info;
	bool is_opened = slots_open_at(buf_bytes(&v->slots), v->root.vault_id, secret, &v->root_key, &which, err);
	sodium_stackzero(STACK_OF_A_KDF);
	if (!is_opened || !unlock_with_key(v, err))
		return false;
	slots_info(buf_bytes(&v->slots), which, &info);
	memcpy(v->opened_by, info.id, SLOT_ID_LEN);
	v->is_opener_known = true;
	return true;
}

/* No slot says whether the key is right. A root record that it does not prove is a wrong key, unless this host's anchor
 * knows the key: then it is the record that was changed. */
bool vault_unlock_root(struct vault *v, const struct secret *root_key, struct error *err)
{
	struct root root;
	struct anchor ignored;
	unsigned block;
	struct error why;
	if (v->keys)
		return true;
	if (secret_len(root_key) != ROOT_KEY_LEN)
		return fail(err, ERR_WRONG_KEY, TXT_WRONG_KEY, "key");
	if (!secret_copy(secret_reveal(root_key), &v->root_key, err))
		return false;
	scoped(keys_freep) struct keys *keys = NULL;
	bool ok = keys_derive(v->root_key, &keys, err);
	if (ok) {
		v->keys = keys;
		bool is_ours = root_prove(v, buf_bytes(&v->root_bytes), &root, &why) ||
			       anchor_prove(&v->anchor_file, keys, &ignored, &block);
		v->keys = NULL;
		ok = is_ours ? true : fail(err, ERR_WRONG_KEY, TXT_WRONG_KEY, "key");
	}
	if (!ok) {
		secret_free(take(v->root_key));
		return false;
	}
	return unlock_with_key(v, err);
}

const struct secret *vault_root_key(const struct vault *v)
{
	return v->root_key;
}

/* ---- closing ---- */

static void end(struct vault *v, void (*end_store)(struct store *))
{
	if (!v)
		return;
	vault_settle(v);
	audit_free(v->audit);
	keys_free(v->log_keys);
	keys_free(v->keys);
	secret_free(v->root_key);
	end_store(v->store);
	anchor_let_go(&v->anchor_file);
	buf_done(&v->root_bytes);
	buf_done(&v->slots);
	buf_done(&v->room);
	buf_done(&v->plain);
	buf_done(&v->promises);
	buf_done(&v->list_names);
	free(v);
}

void vault_close(struct vault *v)
{
	end(v, store_close);
}

void vault_closep(struct vault **v)
{
	vault_close(*v);
	*v = NULL;
}

void vault_leavep(struct vault **v)
{
	end(*v, store_leave);
	*v = NULL;
}

/* ---- what others committed ---- */

bool vault_meet_root(struct vault *v, const struct store_record *record, struct error *err)
{
	struct root now;
	if (!record->is_found)
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	if (bytes_equal(record->value, buf_bytes(&v->root_bytes)))
		return true;
	if (!root_prove(v, record->value, &now, err))
		return false;
	struct anchor remembered = anchor_of_root(&v->root);
	enum descent descent = anchor_judge(&remembered, &now);
	unsigned block;
	if (descent == DESCENT_TOO_FAR) /* more changes than the head remembers since we last looked: ask the anchor */
		v->is_suspect = !anchor_read(&v->anchor_file, err) ||
				!judge_anchor(v, &now, &remembered, &block, err);
	else
		v->is_suspect = !judge(v, &remembered, &now, err);
	if (v->is_suspect)
		return false;
	return vault_take_root(v, &now, record->value, err);
}

bool vault_clear_suspicion(struct vault *v, struct error *err)
{
	if (!v->is_suspect)
		return false;
	v->is_suspect = false;
	return judge_again(v, err);
}

/* ---- taking a vault as it is found ---- */

bool lineage_begin(struct vault *v, struct lineage *ret, struct error *err)
{
	static const char *const keys[] = { "root" };
	struct store_record found;
	struct root *next = &ret->root;
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	if (!found.is_found)
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	if (!root_prove(v, found.value, next, err))
		return false;
	buf_append(&ret->base, found.value.at, found.value.len);
	randombytes_buf(next->lineage, sizeof next->lineage);
	randombytes_buf(next->commit_id, sizeof next->commit_id);
	memmove(next->past[1], next->past[0], sizeof next->past - sizeof next->past[0]);
	memcpy(next->past[0], next->mac, DIGEST_LEN);
	next->generation++;
	return buf_ok(&ret->base, err) && root_seal(v->keys, next, &ret->bytes, err);
}

bool lineage_commit(struct vault *v, const struct lineage *l, struct error *err)
{
	struct store_condition unmoved = { .kind = STORE_IF_VALUE, .key = "root", .value = buf_bytes(&l->base) };
	struct store_op op = { .key = "root", .value = buf_bytes(&l->bytes) };
	return store_commit(v->store, &unmoved, 1, &op, 1, NULL, NULL, err) == STORE_OK;
}

void lineage_done(struct lineage *l)
{
	buf_done(&l->base);
	buf_done(&l->bytes);
}

static bool adopt_held(struct vault *v, struct error *err)
{
	scoped(lineage_done) struct lineage next = LINEAGE_INIT;
	bool ok = lineage_begin(v, &next, err) && vault_begin_log(v, "adopt", next.root.lineage, err) &&
		  lineage_commit(v, &next, err) && vault_create_anchor(v, &next.root, err) &&
		  vault_take_root(v, &next.root, buf_bytes(&next.bytes), err);
	if (ok)
		v->is_adopting = false;
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

/* ---- the audit log ---- */

bool vault_advance_anchor(struct vault *v, const struct anchor *last, unsigned block, struct error *err)
{
	struct anchor a = *last;
	struct audit_position at;
	audit_durable(v->audit, &at);
	if (at.sequence > a.audit_sequence) {
		a.audit_sequence = at.sequence;
		memcpy(a.audit_head, at.mac, DIGEST_LEN);
	}
	a.generation = v->root.generation;
	a.epoch = v->root.epoch;
	memcpy(a.lineage, v->root.lineage, sizeof a.lineage);
	memcpy(a.root_mac, v->root.mac, DIGEST_LEN);
	/* A clock that went back must not become the right one by writing. */
	a.wall_clock = v->latest_wall = later(later(v->latest_wall, last->wall_clock), clock_wall());
	return anchor_advance(&v->anchor_file, v->keys, &a, block, err);
}

static bool anchor_audit_held(struct vault *v, struct error *err)
{
	struct anchor remembered;
	struct audit_position at;
	unsigned block;
	vault_settle(v);
	if (!vault_judge_held(v, &remembered, &block, err))
		return false;
	at = anchored_position(&remembered);
	audit_expect(v->audit, &at);
	if (!audit_explain(v->audit, v->root.commit_id, v->root.generation, err) || !audit_sync(v->audit, err))
		return false;
	audit_durable(v->audit, &at);
	return at.sequence <= remembered.audit_sequence || vault_advance_anchor(v, &remembered, block, err);
}

bool vault_has_lost(const struct vault *v, struct error *err)
{
	if (!store_has_lost(v->store))
		return v->audit && audit_has_lost(v->audit, err);
	(void)!fail(err, ERR_STORAGE, TXT_STORE_LOST, v->path);
	return true;
}

bool vault_anchor_audit(struct vault *v, struct error *err)
{
	if (!vault_is_open(v, err) || store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return false;
	bool ok = anchor_audit_held(v, err);
	store_release(v->store);
	return ok;
}

bool vault_audit_walk(struct vault *v, const struct audit_reader *reader, struct audit_report *ret, struct error *err)
{
	struct anchor remembered;
	unsigned block;
	struct audit_position at = { 0 };
	if (!vault_is_open(v, err) || !anchor_read(&v->anchor_file, err))
		return false;
	vault_settle(v);
	if (anchor_prove_for(&v->anchor_file, v->keys, v->root.lineage, &remembered, &block))
		at = anchored_position(&remembered);
	return audit_walk(v->audit, &at, reader, ret, err);
}

static bool accept_loss_held(struct vault *v, struct error *err)
{
	struct anchor remembered;
	struct audit_position at;
	unsigned block;
	if (!vault_judge_held(v, &remembered, &block, err))
		return false;
	at = anchored_position(&remembered);
	return audit_accept_loss(v->audit, &at, &v->who, err) && vault_advance_anchor(v, &remembered, block, err);
}

bool vault_accept_loss(struct vault *v, struct error *err)
{
	if (!vault_is_open(v, err) || store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return false;
	bool ok = accept_loss_held(v, err);
	store_release(v->store);
	return ok;
}

/* ---- proving a path ---- */

bool node_is_sound(const struct vault *v, const char *prefix, size_t depth, const struct store_record *record,
			  const uint8_t *expected, struct error *err)
{
	uint8_t mac[DIGEST_LEN];
	if (record->is_found) {
		node_mac(v->keys, prefix, record->value, mac);
		bool is_shaped = depth == NODE_DEPTH ? leaf_check(record->value, prefix)
						     : record->value.len == NODE_FANOUT * DIGEST_LEN;
		if (sodium_memcmp(mac, expected, DIGEST_LEN) == 0 && is_shaped)
			return true;
	}
	return fail_class(err, ERR_DAMAGED, "tampered", TXT_NODE_TAMPERED, v->path, prefix);
}

bool path_prove(const struct vault *v, const struct root *root, const uint8_t id[PIXEL_ID_LEN],
		const struct store_record nodes[NODE_DEPTH], struct path_proof *ret, struct error *err)
{
	const uint8_t *expected = root->top[id_nibble(id, 0)];
	*ret = (struct path_proof){ .digest = NULL };
	for (size_t i = 0; i < NODE_DEPTH; i++) {
		char prefix[NODE_DEPTH + 1];
		if (digest_is_zero(expected))
			return true;
		prefix_of(id, i + 1, prefix);
		if (!node_is_sound(v, prefix, i + 1, &nodes[i], expected, err))
			return false;
		ret->node[ret->depth++] = nodes[i].value;
		if (i + 1 < NODE_DEPTH)
			expected = nodes[i].value.at + (size_t)id_nibble(id, i + 1) * DIGEST_LEN;
	}
	ret->digest = leaf_find(ret->node[NODE_DEPTH - 1], id);
	return true;
}

bool metadata_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct store_record *record,
		   const uint8_t *digest, const char *name, struct credential *ret, struct error *err)
{
	uint8_t found[DIGEST_LEN];
	struct seal_context context = vault_context(v, 'm', bytes_of(id, PIXEL_ID_LEN), 0);
	if (!record->is_found)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_RECORD_MISSING, name);
	seal_digest(record->value, found);
	buf_clear(&v->plain);
	if (sodium_memcmp(found, digest, DIGEST_LEN) != 0 || !unseal(v->keys, &context, record->value, &v->plain) ||
	    !credential_decode(buf_bytes(&v->plain), ret))
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_RECORD_TAMPERED, name);
	return true;
}

/* ---- reading one Pixel ---- */

/* name is for messages. */
static bool find_by_id(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const char *name, struct credential *ret,
		       struct error *err)
{
	char node[NODE_DEPTH][KEY_TEXT_MAX], meta[KEY_TEXT_MAX];
	struct store_record found[2 + NODE_DEPTH];
	struct path_proof proof;
	unsigned tries = 0;
	bool is_met;
	for (size_t i = 0; i < NODE_DEPTH; i++)
		key_for_node(v->root.epoch, id, i + 1, node[i]);
	key_for_pixel(v->root.epoch, 'm', id, meta);
	const char *const keys[] = { "root", meta, node[0], node[1], node[2] };
	do {
		if (store_get_many(v->store, keys, COUNT_OF(keys), &v->room, found, err) != STORE_OK)
			return false;
		is_met = vault_meet_root(v, &found[0], err);
	} while (!is_met && ++tries < READS_MAX && vault_clear_suspicion(v, err));
	if (!is_met || !path_prove(v, &v->root, id, &found[2], &proof, err))
		return false;
	if (!proof.digest)
		return fail(err, ERR_NOT_FOUND, TXT_NO_PIXEL, name);
	return metadata_open(v, id, &found[1], proof.digest, name, ret, err);
}

bool vault_find(struct vault *v, const char *pixel, bool want_deleted, struct credential *ret, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	struct credential c;
	if (!vault_is_open(v, err))
		return false;
	keys_pixel_id(v->keys, pixel, id);
	if (!find_by_id(v, id, pixel, &c, err))
		return false;
	if (strcmp(c.pixel, pixel) != 0)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_RECORD_TAMPERED, pixel);
	if (c.is_destroyed && !want_deleted)
		return fail(err, ERR_NOT_FOUND, TXT_NO_PIXEL, pixel);
	if (c.deleted_at && !want_deleted)
		return fail(err, ERR_NOT_FOUND, TXT_PIXEL_DELETED, pixel);
	*ret = c;
	return true;
}

void vault_set_who(struct vault *v, const struct audit_who *who)
{
	v->who = *who;
}

struct audit *vault_audit(struct vault *v)
{
	return v->audit;
}

void vault_fingerprint_bytes(const struct vault *v, struct bytes secret, uint8_t ret[FINGERPRINT_LEN])
{
	keys_fingerprint(v->keys, secret, ret);
}

void health_open(struct vault *v, const uint8_t id[PIXEL_ID_LEN], struct bytes sealed, const struct credential *c,
		 struct health *ret)
{
	struct seal_context context = vault_context(v, 'h', bytes_of(id, PIXEL_ID_LEN), 0);
	buf_clear(&v->plain);
	if (!unseal(v->keys, &context, sealed, &v->plain) || !health_decode(buf_bytes(&v->plain), ret))
		memset(ret, 0, sizeof *ret);
	health_align(ret, c);
}

bool vault_health(struct vault *v, const struct credential *c, struct health *ret, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	char key[KEY_TEXT_MAX];
	struct store_record found;
	if (!vault_is_open(v, err))
		return false;
	keys_pixel_id(v->keys, c->pixel, id);
	key_for_pixel(v->root.epoch, 'h', id, key);
	const char *const keys[] = { key };
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	health_open(v, id, found.is_found ? found.value : bytes_of("", 0), c, ret);
	return true;
}

void vault_fingerprint(const struct vault *v, const struct secret *token, uint8_t ret[FINGERPRINT_LEN])
{
	keys_fingerprint(v->keys, secret_reveal(token), ret);
}

static bool holds(const struct credential *c, const uint8_t fingerprint[FINGERPRINT_LEN])
{
	if (c->deleted_at || c->is_destroyed)
		return false;
	const struct version *found = credential_with_fingerprint(c, fingerprint);
	if (found && found->stage != STAGE_RETIRED)
		return true;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		if (version_has_grant(v) && memcmp(v->renewal.fingerprint, fingerprint, FINGERPRINT_LEN) == 0)
			return true;
	}
	return false;
}

void vault_nth_duplicate(struct vault *v, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel, size_t skipped,
			 char ret_pixel[PIXEL_CODE_MAX + 1])
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	struct hint hint;
	struct error ignored;
	ret_pixel[0] = '\0';
	key_for_hint(v->root.epoch, fingerprint, key);
	const char *const keys[] = { key };
	struct seal_context context = vault_context(v, 'd', bytes_of_text(key), 0);
	if (store_get_many(v->store, keys, 1, &v->room, &found, &ignored) != STORE_OK || !found.is_found)
		return;
	buf_clear(&v->plain);
	if (!unseal(v->keys, &context, found.value, &v->plain) || !hint_decode(buf_bytes(&v->plain), &hint))
		return;
	for (size_t i = 0; i < hint.count; i++) {
		struct credential c;
		if (find_by_id(v, hint.ids[i], "?", &c, &ignored) && strcmp(c.pixel, not_pixel) != 0 &&
		    !name_is_list(c.pixel) && holds(&c, fingerprint) && skipped-- == 0) {
			memcpy(ret_pixel, c.pixel, sizeof c.pixel);
			return;
		}
	}
}

void vault_find_duplicate(struct vault *v, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel,
			  char ret_pixel[PIXEL_CODE_MAX + 1])
{
	vault_nth_duplicate(v, fingerprint, not_pixel, 0, ret_pixel);
}

bool vault_is_withheld(struct vault *v, const struct credential *c, const struct version *version)
{
	char other[PIXEL_CODE_MAX + 1];
	if (version->stage != STAGE_RETIRED || version->taken_at)
		return version->taken_at != 0;
	vault_find_duplicate(v, version->fingerprint, c->pixel, other);
	return other[0] != '\0';
}
