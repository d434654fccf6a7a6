/* What lies beside the inventory: health, notes and locks; read marks are in marks.c. Sealed and disposable: losing or replaying any
 * of it changes no token, so it is committed without a condition on the root. */
#include "core/clock.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
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
	*b = (struct sealed_batch){ calloc(count, sizeof *b->keys), calloc(count, sizeof *b->ops),
				    calloc(count, sizeof *b->sealed) };
	for (size_t i = 0; b->sealed && i < count; i++)
		b->sealed[i].max = STORE_VALUE_MAX;
	return b->keys && b->ops && b->sealed ? true : fail_no_memory(err);
}

static bool batch_commit(struct vault *v, struct sealed_batch *b, size_t count, struct error *err)
{
	ops_sort(b->ops, count);
	return commit_sides(v, b->ops, count, err);
}

bool vault_store_health(struct vault *v, const struct health_update *updates, size_t count, struct error *err)
{
	struct sealed_batch b;
	if (!vault_is_open(v, err))
		return false;
	if (count == 0)
		return true;
	bool ok = batch_new(&b, count, err);
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
	ok = ok && batch_commit(v, &b, count, err);
	batch_done(&b, count);
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
