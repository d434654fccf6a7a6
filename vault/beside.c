/* What lies beside the inventory: health, notes and locks; read marks are in marks.c. Sealed and disposable: losing or replaying any
 * of it changes no token, so it is committed without a condition on the root. */
#include "core/clock.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct store_op *)a)->key, ((const struct store_op *)b)->key);
}

void ops_sort(struct store_op *ops, size_t count)
{
	qsort(ops, count, sizeof *ops, by_key);
}

bool health_seal(struct vault *v, const uint8_t id[PIXEL_ID_LEN], const struct health *h, struct buf *sealed,
		 struct error *err)
{
	struct seal_context context = vault_context(v, 'h', bytes_of(id, PIXEL_ID_LEN), 0);
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	bool ok = health_encode(h, &plain, err) && seal(v->keys, &context, buf_bytes(&plain), sealed, err);
	buf_done(&plain);
	return ok;
}

bool vault_hold(struct vault *v, struct error *err)
{
	return vault_is_open(v, err) && store_hold(v->store, STORE_WAIT_MS, err) == STORE_OK;
}

void vault_release(struct vault *v)
{
	store_release(v->store);
}

bool commit_sides(struct vault *v, const struct store_op *ops, size_t count, struct error *err)
{
	v->is_in_step = false; /* a follower is not given these */
	return store_commit(v->store, NULL, 0, ops, count, NULL, NULL, err) == STORE_OK;
}

/* Many sealed values for one commit. */
struct sealed_batch {
	char (*keys)[KEY_TEXT_MAX];
	struct store_op *ops;
	struct buf *sealed;
};

static void batch_done(struct sealed_batch *b, size_t count)
{
	for (size_t i = 0; b->sealed && i < count; i++)
		buf_done(&b->sealed[i]);
	free(b->keys);
	free(b->ops);
	free(b->sealed);
}

static bool batch_new(struct sealed_batch *b, size_t count, struct error *err)
{
	size_t room = count ? count : 1;
	*b = (struct sealed_batch){ calloc(room, sizeof *b->keys), calloc(room, sizeof *b->ops),
				    calloc(room, sizeof *b->sealed) };
	for (size_t i = 0; b->sealed && i < count; i++)
		b->sealed[i].max = STORE_VALUE_MAX;
	return b->keys && b->ops && b->sealed ? true : fail_no_memory(err);
}

static bool batch_commit(struct vault *v, struct sealed_batch *b, size_t count, struct error *err)
{
	ops_sort(b->ops, count);
	return commit_sides(v, b->ops, count, err);
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

/* ---- health ---- */

#define PROVEN "proven"

static bool proven_encode(const struct proven *p, struct buf *ret, struct error *err)
{
	buf_append_uint(ret, 8, (uint64_t)p->at);
	buf_append(ret, p->pixel, PIXEL_CODE_MAX);
	return buf_ok(ret, err);
}

bool vault_proven_last(struct vault *v, struct proven *ret, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_read = vault_note(v, PROVEN, &note, err);
	struct bytes from = buf_bytes(&note);
	*ret = (struct proven){ 0 };
	if (!bytes_take_i64(&from, &ret->at) || !bytes_take_copy(&from, ret->pixel, PIXEL_CODE_MAX))
		*ret = (struct proven){ 0 };
	buf_done(&note);
	return is_read;
}

bool vault_store_proven(struct vault *v, const struct proven *p, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_stored = proven_encode(p, &note, err) && vault_store_note(v, PROVEN, buf_bytes(&note), err);
	buf_done(&note);
	return is_stored;
}

static void find_proven(const struct health_update *updates, size_t count, struct proven *ret)
{
	*ret = (struct proven){ 0 };
	for (size_t i = 0; i < count; i++) {
		const struct health *h = &updates[i].health;
		int64_t at = h->current.proven_at > h->pending.proven_at ? h->current.proven_at : h->pending.proven_at;
		if (at <= ret->at)
			continue;
		ret->at = at;
		memcpy(ret->pixel, updates[i].pixel, sizeof ret->pixel);
	}
}

/* One more operation, where one of the Pixels was proven later than all others. */
static bool batch_proven(struct vault *v, struct sealed_batch *b, const struct proven *p, size_t *count, struct error *err)
{
	struct proven noted;
	struct buf plain = BUF_INIT(NOTE_MAX);
	size_t i = *count;
	if (!p->at)
		return true;
	if (!vault_proven_last(v, &noted, err))
		return false;
	/* In the future lies what was noted while the clock was ahead. */
	if (p->at <= noted.at && noted.at <= vault_later_clock(v))
		return true;
	key_for_note(v->root.epoch, PROVEN, b->keys[i]);
	struct seal_context context = vault_context(v, 'a', bytes_of_text(b->keys[i]), 0);
	bool is_sealed = proven_encode(p, &plain, err) && seal(v->keys, &context, buf_bytes(&plain), &b->sealed[i], err);
	b->ops[i] = (struct store_op){ .key = b->keys[i], .value = buf_bytes(&b->sealed[i]) };
	++*count;
	buf_done(&plain);
	return is_sealed;
}

bool vault_store_health(struct vault *v, const struct health_update *updates, size_t count, struct error *err)
{
	struct sealed_batch b;
	struct proven last;
	if (!vault_is_open(v, err))
		return false;
	if (count == 0)
		return true;
	size_t op_count = count;
	find_proven(updates, count, &last);
	bool ok = batch_new(&b, count + 1, err);
	for (size_t i = 0; ok && i < count; i++) {
		uint8_t id[PIXEL_ID_LEN];
		struct health next = updates[i].health;
		/* Whoever saw a higher counter knows an older record that is put back. */
		next.counter++;
		keys_pixel_id(v->keys, updates[i].pixel, id);
		key_for_pixel(v->root.epoch, 'h', id, b.keys[i]);
		ok = health_seal(v, id, &next, &b.sealed[i], err);
		b.ops[i] = (struct store_op){ .key = b.keys[i], .value = buf_bytes(&b.sealed[i]) };
	}
	ok = ok && batch_proven(v, &b, &last, &op_count, err) && batch_commit(v, &b, op_count, err);
	batch_done(&b, count + 1);
	return ok;
}

/* ---- books: long notes ---- */

#define BOOK_PART 16000
#define BOOK_STAMP 8 /* random, the same in all parts: those of two writings are not taken for one */

static void key_for_part(const struct vault *v, const char *name, size_t i, char ret[KEY_TEXT_MAX])
{
	char part[48];
	snprintf(part, sizeof part, "%.24s-%zu", name, i);
	key_for_note(v->root.epoch, part, ret);
}

size_t vault_book_parts(size_t len)
{
	return len / BOOK_PART + 1;
}

static bool open_part(struct vault *v, const char *name, size_t i, struct buf *ret, bool *ret_is_there,
		      struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	key_for_part(v, name, i, key);
	const char *const keys[] = { key };
	struct seal_context context = vault_context(v, 'a', bytes_of_text(key), 0);
	buf_clear(ret);
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	*ret_is_there = found.is_found && unseal(v->keys, &context, found.value, ret) && ret->len >= BOOK_STAMP + 4;
	return buf_ok(ret, err);
}

/* Appends what the part holds; false: it is not the i-th of this writing. */
static bool take_part(const struct buf *part, size_t i, uint8_t stamp[BOOK_STAMP], uint32_t *count, struct buf *ret)
{
	struct bytes from = buf_bytes(part);
	uint8_t own[BOOK_STAMP];
	uint32_t parts;
	if (!bytes_take_copy(&from, own, sizeof own) || !bytes_take_u32(&from, &parts))
		return false;
	if (i == 0) {
		memcpy(stamp, own, BOOK_STAMP);
		*count = parts;
	} else if (memcmp(stamp, own, BOOK_STAMP) != 0) {
		return false;
	}
	buf_append(ret, from.at, from.len);
	return true;
}

bool vault_book(struct vault *v, const char *name, struct buf *ret, size_t *ret_parts, struct error *err)
{
	uint8_t stamp[BOOK_STAMP];
	uint32_t count = 1;
	bool is_there = true, is_read = vault_is_open(v, err);
	struct buf part = BUF_INIT(STORE_VALUE_MAX);
	buf_clear(ret);
	*ret_parts = 0;
	for (size_t i = 0; is_read && is_there && i < count; i++) {
		is_read = open_part(v, name, i, &part, &is_there, err);
		is_there = is_read && is_there && take_part(&part, i, stamp, &count, ret);
		*ret_parts += is_there;
	}
	buf_done(&part);
	if (!is_there)
		buf_clear(ret);
	return is_read && buf_ok(ret, err);
}

static bool seal_part(struct vault *v, const struct book *book, size_t i, size_t count, const uint8_t *stamp,
		      const char *key, struct buf *sealed, struct error *err)
{
	struct seal_context context = vault_context(v, 'a', bytes_of_text(key), 0);
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	size_t at = i * BOOK_PART, left = book->value.len - at;
	buf_append(&plain, stamp, BOOK_STAMP);
	buf_append_uint(&plain, 4, count);
	buf_append(&plain, book->value.at + at, left < BOOK_PART ? left : BOOK_PART);
	bool ok = buf_ok(&plain, err) && seal(v->keys, &context, buf_bytes(&plain), sealed, err);
	buf_done(&plain);
	return ok;
}

static size_t places_of(const struct book *book)
{
	size_t parts = vault_book_parts(book->value.len);
	return parts > book->parts_before ? parts : book->parts_before;
}

static bool add_book(struct vault *v, const struct book *book, struct sealed_batch *b, size_t from, struct error *err)
{
	uint8_t stamp[BOOK_STAMP];
	size_t parts = vault_book_parts(book->value.len);
	randombytes_buf(stamp, sizeof stamp);
	for (size_t i = 0; i < places_of(book); i++) {
		struct store_op *op = &b->ops[from + i];
		key_for_part(v, book->name, i, b->keys[from + i]);
		*op = (struct store_op){ .key = b->keys[from + i], .is_delete = i >= parts };
		if (op->is_delete)
			continue;
		if (!seal_part(v, book, i, parts, stamp, op->key, &b->sealed[from + i], err))
			return false;
		op->value = buf_bytes(&b->sealed[from + i]);
	}
	return true;
}

bool vault_store_books(struct vault *v, const struct book *books, size_t count, struct error *err)
{
	struct sealed_batch b;
	size_t places = 0, at = 0;
	if (!vault_is_open(v, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (books[i].value.len > BOOK_MAX)
			return fail(err, ERR_UNEXPECTED, TXT_STORE_KEY, books[i].name);
		places += places_of(&books[i]);
	}
	bool ok = batch_new(&b, places, err);
	for (size_t i = 0; ok && i < count; i++) {
		ok = add_book(v, &books[i], &b, at, err);
		at += places_of(&books[i]);
	}
	ok = ok && batch_commit(v, &b, places, err);
	batch_done(&b, places);
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
