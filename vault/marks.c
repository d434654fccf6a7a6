/* Read marks: who was last seen with which version. Sealed and disposable like all that lies beside the inventory, and
 * bounded: names are chosen by those who read. */
#include "core/clock.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

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

static bool open_mark(struct vault *v, const char *key, struct bytes sealed, struct read_mark *ret)
{
	struct seal_context context = vault_context(v, 'c', bytes_of_text(key), 0);
	buf_clear(&v->plain);
	return unseal(v->keys, &context, sealed, &v->plain) && read_mark_decode(buf_bytes(&v->plain), ret);
}

/* ---- those of one Pixel, and who has to go ---- */

struct row {
	struct read_mark mark;
	bool is_stored, is_changed, is_gone;
};

struct rows {
	struct row *at;
	size_t count, room;
};

static void rows_done(struct rows *rows)
{
	free(rows->at);
}

static struct row *add_row(struct rows *rows, const struct read_mark *mark, struct error *err)
{
	if (rows->count == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 16;
		struct row *grown = reallocarray(rows->at, room, sizeof *grown);
		if (!grown) {
			(void)!fail_no_memory(err);
			return NULL;
		}
		rows->at = grown;
		rows->room = room;
	}
	struct row *ret = &rows->at[rows->count++];
	*ret = (struct row){ .mark = *mark };
	return ret;
}

static struct row *row_named(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++)
		if (strcmp(rows->at[i].mark.name, name) == 0)
			return &rows->at[i];
	return NULL;
}

/* Those without a uid are as one user's. */
static bool is_same_user(const struct read_mark *a, const struct read_mark *b)
{
	return a->has_uid == b->has_uid && (!a->has_uid || a->uid == b->uid);
}

static size_t count_of_user(const struct rows *rows, const struct read_mark *mark)
{
	size_t count = 0;
	for (size_t i = 0; i < rows->count; i++)
		count += !rows->at[i].is_gone && is_same_user(&rows->at[i].mark, mark);
	return count;
}

/* Compared with the others, not with the clock alone: of a Pixel that nobody reads any more nobody is forgotten. A mark
 * out of the future, from a clock that was wrong, makes nobody old. */
static void forget_old(struct rows *rows, int64_t now)
{
	int64_t newest = INT64_MIN;
	for (size_t i = 0; i < rows->count; i++)
		newest = rows->at[i].mark.at > newest ? rows->at[i].mark.at : newest;
	int64_t since = (newest < now ? newest : now) - MARK_AGE_S;
	for (size_t i = 0; i < rows->count; i++)
		rows->at[i].is_gone = rows->at[i].mark.at < since;
}

/* Of equally old ones the newcomer stays. */
static struct row *oldest_of_user(const struct rows *rows, const struct read_mark *mark)
{
	struct row *ret = NULL;
	for (size_t i = 0; i < rows->count; i++) {
		struct row *row = &rows->at[i];
		if (!row->is_gone && is_same_user(&row->mark, mark) && (!ret || row->mark.at < ret->mark.at))
			ret = row;
	}
	return ret;
}

static const struct read_mark *user_with_most(const struct rows *rows)
{
	const struct read_mark *ret = NULL;
	size_t most = 0;
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->at[i];
		size_t count =
			row->is_gone || (ret && is_same_user(&row->mark, ret)) ? 0 : count_of_user(rows, &row->mark);
		if (count > most) {
			most = count;
			ret = &row->mark;
		}
	}
	return ret;
}

static void keep_bounds(struct rows *rows, int64_t now)
{
	size_t kept = 0;
	forget_old(rows, now);
	for (size_t i = 0; i < rows->count; i++) {
		const struct read_mark *mark = &rows->at[i].mark;
		if (rows->at[i].is_gone)
			continue;
		for (size_t count = count_of_user(rows, mark); count > MARKS_PER_UID; count--)
			oldest_of_user(rows, mark)->is_gone = true;
	}
	for (size_t i = 0; i < rows->count; i++)
		kept += !rows->at[i].is_gone;
	for (; kept > MARKS_PER_PIXEL; kept--)
		oldest_of_user(rows, user_with_most(rows))->is_gone = true;
}

static bool read_rows(struct vault *v, struct store_cursor *cursor, struct rows *ret, struct error *err)
{
	struct store_record found;
	struct read_mark mark;
	enum store_class class;
	while ((class = store_cursor_next(v->store, cursor, &found, err)) == STORE_OK) {
		if (!open_mark(v, found.key, found.value, &mark))
			continue;
		struct row *row = add_row(ret, &mark, err);
		if (!row)
			return false;
		row->is_stored = true;
	}
	return class == STORE_NOT_FOUND;
}

static bool load_rows(struct vault *v, const char *pixel, struct rows *ret, struct error *err)
{
	char prefix[KEY_TEXT_MAX];
	struct store_view *view;
	struct store_cursor *cursor;
	if (store_view_open(v->store, &view, err) != STORE_OK)
		return false;
	mark_key(v, pixel, NULL, prefix);
	bool ok = store_cursor_open(v->store, view, prefix, &cursor, err) == STORE_OK;
	if (ok) {
		ok = read_rows(v, cursor, ret, err);
		store_cursor_close(v->store, cursor);
	}
	store_view_close(v->store, view);
	return ok;
}

/* ---- storing ---- */

/* One that is to be written, or (nothing in sealed) deleted. */
struct change_of_mark {
	char key[KEY_TEXT_MAX];
	struct buf sealed;
};

struct changes {
	struct change_of_mark *at;
	size_t count, room;
};

static void changes_done(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		buf_done(&changes->at[i].sealed);
	free(changes->at);
}

static struct change_of_mark *add_change(struct changes *changes, struct error *err)
{
	if (changes->count == changes->room) {
		size_t room = changes->room ? changes->room * 2 : 16;
		struct change_of_mark *grown = reallocarray(changes->at, room, sizeof *grown);
		if (!grown) {
			(void)!fail_no_memory(err);
			return NULL;
		}
		changes->at = grown;
		changes->room = room;
	}
	struct change_of_mark *ret = &changes->at[changes->count++];
	*ret = (struct change_of_mark){ .sealed = BUF_INIT(STORE_VALUE_MAX) };
	return ret;
}

static bool seal_mark(struct vault *v, const struct read_mark *mark, struct change_of_mark *change, struct error *err)
{
	struct seal_context context = vault_context(v, 'c', bytes_of_text(change->key), 0);
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	read_mark_encode(mark, &plain);
	bool ok = buf_ok(&plain, err) && seal(v->keys, &context, buf_bytes(&plain), &change->sealed, err);
	buf_done(&plain);
	return ok;
}

bool mark_seal(struct vault *v, const char *pixel, const struct read_mark *mark, char ret_key[KEY_TEXT_MAX],
	       struct buf *ret_sealed, struct error *err)
{
	struct change_of_mark change = { .sealed = BUF_INIT(STORE_VALUE_MAX) };
	mark_key(v, pixel, mark->name, change.key);
	bool ok = seal_mark(v, mark, &change, err);
	memcpy(ret_key, change.key, KEY_TEXT_MAX);
	buf_append(ret_sealed, change.sealed.at, change.sealed.len);
	buf_done(&change.sealed);
	return ok && buf_ok(ret_sealed, err);
}

static bool add_row_changes(struct vault *v, const char *pixel, const struct rows *rows, struct changes *changes,
			    struct error *err)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->at[i];
		if (row->is_gone ? !row->is_stored : !row->is_changed)
			continue;
		struct change_of_mark *change = add_change(changes, err);
		if (!change)
			return false;
		mark_key(v, pixel, row->mark.name, change->key);
		if (!row->is_gone && !seal_mark(v, &row->mark, change, err))
			return false;
	}
	return true;
}

/* What it acknowledged it has still acknowledged when it reads that very version. */
static bool apply(struct rows *rows, const struct read_mark *mark, struct error *err)
{
	struct row *row = row_named(rows, mark->name);
	if (!row && !(row = add_row(rows, mark, err)))
		return false;
	bool was_acked = row->mark.is_acked && row->mark.version == mark->version;
	row->mark = *mark;
	row->mark.is_acked = mark->is_acked || was_acked;
	row->is_changed = true;
	return true;
}

/* All updates of the Pixel that the first of them is about. */
static bool add_pixel(struct vault *v, const struct mark_update *updates, size_t count, struct changes *changes,
		      struct error *err)
{
	scoped(rows_done) struct rows rows = { .at = NULL };
	const char *pixel = updates[0].pixel;
	if (!load_rows(v, pixel, &rows, err))
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(updates[i].pixel, pixel) == 0 && !apply(&rows, &updates[i].mark, err))
			return false;
	keep_bounds(&rows, clock_wall());
	return add_row_changes(v, pixel, &rows, changes, err);
}

static bool is_first_of_pixel(const struct mark_update *updates, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(updates[j].pixel, updates[i].pixel) == 0)
			return false;
	return true;
}

static bool commit_changes(struct vault *v, const struct changes *changes, struct error *err)
{
	struct store_op *ops = calloc(changes->count, sizeof *ops);
	if (!ops)
		return fail_no_memory(err);
	for (size_t i = 0; i < changes->count; i++)
		ops[i] = (struct store_op){ .key = changes->at[i].key,
					    .value = buf_bytes(&changes->at[i].sealed),
					    .is_delete = !changes->at[i].sealed.len };
	ops_sort(ops, changes->count);
	bool is_done = commit_sides(v, ops, changes->count, err);
	free(ops);
	return is_done;
}

static bool store_marks(struct vault *v, const struct mark_update *updates, size_t count, struct error *err)
{
	scoped(changes_done) struct changes changes = { .at = NULL };
	for (size_t i = 0; i < count; i++)
		if (is_first_of_pixel(updates, i) && !add_pixel(v, updates + i, count - i, &changes, err))
			return false;
	return !changes.count || commit_changes(v, &changes, err);
}

/* Other writers are held out, or an acknowledgement that comes between would be lost. */
static bool mark_reads(struct vault *v, const struct mark_update *updates, size_t count, int64_t wait_ms,
		       struct error *err)
{
	if (!vault_is_open(v, err) || (count && store_hold(v->store, wait_ms, err) != STORE_OK))
		return false;
	if (count == 0)
		return true;
	bool is_done = store_marks(v, updates, count, err);
	store_release(v->store);
	return is_done;
}

bool vault_mark_reads(struct vault *v, const struct mark_update *updates, size_t count, struct error *err)
{
	return mark_reads(v, updates, count, STORE_WAIT_MS, err);
}

bool vault_try_marks(struct vault *v, const struct mark_update *updates, size_t count, struct error *err)
{
	return mark_reads(v, updates, count, 0, err);
}

static bool mark_read(struct vault *v, const char *pixel, const struct read_mark *mark, int64_t wait_ms,
		      struct error *err)
{
	struct mark_update update = { .mark = *mark };
	if (!pixel_check(pixel, err))
		return false;
	memcpy(update.pixel, pixel, strlen(pixel) + 1);
	return mark_reads(v, &update, 1, wait_ms, err);
}

bool vault_mark_read(struct vault *v, const char *pixel, const struct read_mark *mark, struct error *err)
{
	return mark_read(v, pixel, mark, STORE_WAIT_MS, err);
}

bool vault_try_mark(struct vault *v, const char *pixel, const struct read_mark *mark, struct error *err)
{
	return mark_read(v, pixel, mark, 0, err);
}

/* ---- reading ---- */

bool vault_find_mark(struct vault *v, const char *pixel, const char *name, struct read_mark *ret, bool *ret_is_found,
		     struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	if (!vault_is_open(v, err))
		return false;
	mark_key(v, pixel, name, key);
	const char *const keys[] = { key };
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	*ret_is_found = found.is_found && open_mark(v, key, found.value, ret);
	return true;
}

bool vault_each_mark(struct vault *v, const char *pixel, vault_mark_fn *fn, void *context, struct error *err)
{
	scoped(rows_done) struct rows rows = { .at = NULL };
	if (!vault_is_open(v, err) || !load_rows(v, pixel, &rows, err))
		return false;
	forget_old(&rows, clock_wall());
	for (size_t i = 0; i < rows.count; i++)
		if (!rows.at[i].is_gone && !fn(context, &rows.at[i].mark, err))
			return false;
	return true;
}
