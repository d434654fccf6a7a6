#include "vault/backup.h"

#include "core/clock.h"
#include "core/file.h"
#include "core/fresh.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void vault_checkpoint(const struct vault *v, char ret[CHECKPOINT_TEXT_MAX])
{
	char id[2 * VAULT_ID_LEN + 1], mac[2 * DIGEST_LEN + 1];
	sodium_bin2hex(id, sizeof id, v->root.vault_id, VAULT_ID_LEN);
	sodium_bin2hex(mac, sizeof mac, v->root.mac, DIGEST_LEN);
	snprintf(ret, CHECKPOINT_TEXT_MAX, "%s:%llu:%s", id, (unsigned long long)v->root.generation, mac);
}

/* ---- a vault whose anchor is lost, and a line that was kept elsewhere ---- */

struct checkpoint {
	uint8_t vault_id[VAULT_ID_LEN], mac[DIGEST_LEN];
	uint64_t generation;
};

static bool take_hex(const char **at, uint8_t *ret, size_t len, char end)
{
	size_t got = 0;
	if (sodium_hex2bin(ret, len, *at, strnlen(*at, 2 * len), NULL, &got, at) != 0 || got != len || **at != end)
		return false;
	*at += end != '\0';
	return true;
}

static bool read_checkpoint(const char *text, struct checkpoint *ret, struct error *err)
{
	static const char word[] = "checkpoint "; /* the whole line, as it was printed */
	const char *at = strncmp(text, word, sizeof word - 1) == 0 ? text + sizeof word - 1 : text;
	char *end;
	errno = 0;
	bool ok = take_hex(&at, ret->vault_id, VAULT_ID_LEN, ':') && *at >= '1' && *at <= '9';
	ret->generation = ok ? strtoull(at, &end, 10) : 0;
	at = ok ? end : at;
	ok = ok && !errno && *at++ == ':' && take_hex(&at, ret->mac, DIGEST_LEN, '\0');
	return ok ? true : fail(err, ERR_USAGE, TXT_CHECKPOINT_FORM);
}

/* The root remembers the MACs of 32 generations; what lies further back can only be counted. */
static bool judge_checkpoint(const struct root *now, const struct checkpoint *c, bool *ret_is_followed, struct error *err)
{
	if (memcmp(now->vault_id, c->vault_id, VAULT_ID_LEN) != 0)
		return fail(err, ERR_CONFLICT, TXT_CHECKPOINT_OTHER);
	if (now->generation < c->generation)
		return fail_class(err, ERR_DAMAGED, "rolled-back", TXT_CHECKPOINT_OLDER,
				  (unsigned long long)now->generation, (unsigned long long)c->generation);
	uint64_t back = now->generation - c->generation;
	const uint8_t *then = back == 0 ? now->mac : back <= ROOT_PAST ? now->past[back - 1] : NULL;
	*ret_is_followed = then != NULL;
	return !then || sodium_memcmp(then, c->mac, DIGEST_LEN) == 0 ||
	       fail_class(err, ERR_DAMAGED, "forked", TXT_CHECKPOINT_FORKED, (unsigned long long)c->generation);
}

static bool adopt_checkpoint_held(struct vault *v, const struct checkpoint *c, bool *ret_is_followed, struct error *err)
{
	static const char *const keys[] = { "root" };
	struct store_record found;
	struct root now;
	if (store_get_many(v->store, keys, 1, &v->room, &found, err) != STORE_OK)
		return false;
	if (!found.is_found)
		return fail_class(err, ERR_DAMAGED, "format", TXT_FORMAT, "root record", v->path);
	if (!root_prove(v, found.value, &now, err) || !judge_checkpoint(&now, c, ret_is_followed, err) ||
	    !vault_begin_log(v, "adopt", now.commit_id, err) || !vault_create_anchor(v, &now, err))
		return false;
	v->is_adopting = false;
	return true;
}

bool vault_adopt_checkpoint(struct vault *v, const char *text, bool *ret_is_followed, struct error *err)
{
	struct checkpoint c;
	if (!read_checkpoint(text, &c, err) || !vault_is_open(v, err) ||
	    store_hold(v->store, STORE_WAIT_MS, err) != STORE_OK)
		return false;
	bool ok = adopt_checkpoint_held(v, &c, ret_is_followed, err);
	store_release(v->store);
	return ok;
}

/* ---- backup ---- */

static bool copy_instant(struct vault *v, const char *path, struct error *err)
{
	struct store_view *view;
	if (v->keys ? !view_open(v, &view, err) : store_view_open(v->store, &view, err) != STORE_OK)
		return false;
	bool ok = store_copy(v->store, view, path, err) == STORE_OK;
	store_view_close(v->store, view);
	return ok;
}

static bool prove_copy(const struct vault *v, const char *path, struct backup_report *ret, struct error *err)
{
	struct vault_place place = { .path = path, .state_dir = "", .is_copy = true, .is_still = true };
	scoped(vault_closep) struct vault *copy = NULL;
	if (!v->keys)
		return true;
	if (!vault_open(&place, &copy, err) || !vault_unlock_root(copy, v->root_key, err) ||
	    !vault_verify(copy, NULL, NULL, &ret->proof, err))
		return false;
	ret->is_proven = true;
	vault_checkpoint(copy, ret->checkpoint);
	return true;
}

/* With room for the endings of SQLite's own files. */
static bool name_beside(const char *path, const char *what, char ret[PATH_MAX], struct error *err)
{
	return fresh_name(path, what, ret, PATH_MAX - 16, err);
}

/* ---- what is remembered of it ---- */

#define NO_CHECKPOINT "-"

static bool note_path(const struct anchor_file *anchor, char ret[PATH_MAX])
{
	static const char ending[] = ".anchor";
	size_t stem = strlen(anchor->path) - (sizeof ending - 1);
	int put = snprintf(ret, PATH_MAX, "%.*s.backup", (int)stem, anchor->path);
	return put > 0 && put < PATH_MAX;
}

/* The backup is made, whether or not this can be written. */
static void note_backup(const struct vault *v, const struct backup_report *r)
{
	char path[PATH_MAX], at[CLOCK_TEXT_MAX], line[CLOCK_TEXT_MAX + CHECKPOINT_TEXT_MAX];
	struct error ignored;
	snprintf(line, sizeof line, "%s %s\n", clock_format(clock_wall(), at),
		 r->is_proven ? r->checkpoint : NO_CHECKPOINT);
	if (note_path(&v->anchor_file, path))
		(void)!file_replace(path, bytes_of_text(line), 0600, &ignored);
}

static bool read_note(const char *path, char *line, size_t size)
{
	scoped(file_closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, line, size - 1);
	line[got > 0 ? got : 0] = '\0';
	return got > 0 && line[got - 1] == '\n';
}

bool vault_last_backup(const struct vault_place *place, struct backup_note *ret)
{
	char vault[PATH_MAX], path[PATH_MAX], line[CLOCK_TEXT_MAX + CHECKPOINT_TEXT_MAX];
	struct anchor_file anchor;
	struct checkpoint parsed;
	struct error ignored;
	*ret = (struct backup_note){ .at = 0 };
	if (!file_absolute(place->path, vault, sizeof vault, &ignored) ||
	    !anchor_place(place->state_dir, vault, &anchor, &ignored) || !note_path(&anchor, path) ||
	    !read_note(path, line, sizeof line))
		return false;
	char *checkpoint = strchr(line, ' ');
	if (!checkpoint)
		return false;
	*checkpoint++ = '\0';
	checkpoint[strcspn(checkpoint, "\n")] = '\0';
	bool is_proven = strcmp(checkpoint, NO_CHECKPOINT) != 0;
	if (is_proven && !read_checkpoint(checkpoint, &parsed, &ignored))
		return false;
	if (is_proven)
		text_copy(ret->checkpoint, sizeof ret->checkpoint, checkpoint);
	return clock_parse(line, &ret->at, &ignored);
}

bool vault_backup(struct vault *v, const char *to, bool may_replace, struct backup_report *ret, struct error *err)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	struct stat st;
	*ret = (struct backup_report){ .is_proven = false };
	if (!file_absolute(to, path, sizeof path, err) || !name_beside(path, "new", fresh, err))
		return false;
	if (file_is_same(path, v->path))
		return fail(err, ERR_CONFLICT, TXT_BACKUP_SELF, path);
	if (lstat(path, &st) == 0 && !may_replace)
		return fail(err, ERR_CONFLICT, TXT_BACKUP_EXISTS, path);
	if (!copy_instant(v, fresh, err))
		return false;
	enum store_class class = STORE_CANCELLED;
	if (prove_copy(v, fresh, ret, err))
		class = store_publish(&store_sqlite, fresh, path, may_replace, err);
	if (class != STORE_OK && class != STORE_UNKNOWN)
		store_discard(&store_sqlite, fresh);
	if (class == STORE_OK)
		note_backup(v, ret);
	return class == STORE_CONFLICT ? fail(err, ERR_CONFLICT, TXT_BACKUP_EXISTS, path) : class == STORE_OK;
}

/* ---- restore ---- */

static bool copy_file(const char *from, const char *to, struct error *err)
{
	struct store *store;
	struct store_view *view;
	if (store_open_still(&store_sqlite, from, &store, err) != STORE_OK)
		return false;
	bool ok = store_view_open(store, &view, err) == STORE_OK;
	if (ok) {
		ok = store_copy(store, view, to, err) == STORE_OK;
		store_view_close(store, view);
	}
	store_close(store);
	return ok;
}

/* On a new machine there is none yet. */
static bool make_folder_for(const char *path, struct error *err)
{
	char folder[PATH_MAX];
	struct stat st;
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	return stat(folder, &st) == 0 || file_make_folder(folder, err);
}

bool vault_stage(const char *from, const struct vault_place *place, struct vault **ret, struct error *err)
{
	char source[PATH_MAX], path[PATH_MAX], fresh[PATH_MAX];
	struct vault_place there = { .path = fresh, .state_dir = place->state_dir, .is_copy = true };
	if (!file_absolute(from, source, sizeof source, err) || !make_folder_for(place->path, err) ||
	    !file_absolute(place->path, path, sizeof path, err) || !name_beside(path, "restoring", fresh, err))
		return false;
	if (file_is_same(source, path))
		return fail(err, ERR_USAGE, TXT_RESTORE_SELF, source);
	if (!copy_file(source, fresh, err))
		return false;
	if (vault_open(&there, ret, err))
		return true;
	store_discard(&store_sqlite, fresh);
	return false;
}

void vault_unstage(struct vault *staged)
{
	char path[PATH_MAX];
	if (!staged)
		return;
	memcpy(path, staged->path, sizeof path);
	vault_close(staged);
	store_discard(&store_sqlite, path);
}

void vault_unstagep(struct vault **staged)
{
	vault_unstage(*staged);
	*staged = NULL;
}

struct comparison {
	struct vault *with; /* NULL: only counted */
	struct holdings_count *count;
	struct restore_plan *plan;
	restore_loss_fn *on_loss;
	void *context;
};

static void count_losses(struct comparison *k, const struct credential *c, const struct credential *there)
{
	uint64_t lost = 0;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *other = there ? credential_numbered(there, c->versions[i].number) : NULL;
		if (!other || memcmp(other->fingerprint, c->versions[i].fingerprint, FINGERPRINT_LEN) != 0)
			lost++;
	}
	k->plan->lost_versions += lost;
	k->plan->lost_pixels += !there;
	if (k->on_loss && (lost || !there))
		k->on_loss(k->context, c->pixel, lost, !there);
}

static bool compare_one(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct comparison *k = context;
	struct credential there;
	(void)h;
	k->count->pixels++;
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].stored_at > k->count->newest_at)
			k->count->newest_at = c->versions[i].stored_at;
	if (!k->with)
		return true;
	bool is_there = vault_find(k->with, c->pixel, true, &there, err);
	if (!is_there && err->code != ERR_NOT_FOUND)
		return false;
	count_losses(k, c, is_there ? &there : NULL);
	return true;
}

static bool look_at_present(struct vault *staged, struct vault *now, struct comparison *k, struct error *err)
{
	k->plan->now.generation = now->root.generation;
	return vault_unlock_root(now, staged->root_key, err) && vault_each(now, false, false, compare_one, k, err);
}

bool vault_plan_restore(struct vault *staged, const struct vault_place *place, restore_loss_fn *on_loss, void *context,
			struct restore_plan *ret, struct error *err)
{
	struct vault_place there = { .path = place->path, .state_dir = place->state_dir, .is_copy = true };
	struct stat st;
	scoped(vault_closep) struct vault *now = NULL;
	*ret = (struct restore_plan){ .backup = { .generation = staged->root.generation } };
	struct comparison own = { .count = &ret->backup, .plan = ret };
	struct comparison with = {
		.with = staged, .count = &ret->now, .plan = ret, .on_loss = on_loss, .context = context
	};
	if (!vault_each(staged, false, false, compare_one, &own, err))
		return false;
	ret->is_now_there = lstat(place->path, &st) == 0;
	if (!ret->is_now_there && errno != ENOENT && errno != ENOTDIR)
		return fail(err, ERR_STORAGE, TXT_STORE_READ_ONLY, place->path, strerror(errno));
	bool is_open = vault_open(&there, &now, &ret->why);
	if (is_open && memcmp(now->root.vault_id, staged->root.vault_id, VAULT_ID_LEN) != 0)
		return fail(err, ERR_CONFLICT, TXT_RESTORE_OTHER, now->path);
	ret->is_now_known = is_open && look_at_present(staged, now, &with, &ret->why);
	return true;
}

struct installing {
	struct vault *v;
	const char *path; /* where it goes */
	bool has_kept;    /* the anchor still has a block of the vault that is replaced */
	struct lineage next;
};

/* The anchor lies there before the vault does, so a vault that can be seen can be opened. Its second block is still of the
 * vault that is replaced: whoever dies in between leaves that one as it was, and its next change takes this one's block
 * out. */
static bool remember(void *context, struct error *err)
{
	struct installing *i = context;
	struct vault_place there = { .path = i->path, .state_dir = "", .is_copy = true };
	scoped(vault_closep) struct vault *now = NULL;
	struct error why;
	const uint8_t *kept = NULL;
	if (vault_open(&there, &now, &why) && anchor_read(&i->v->anchor_file, &why))
		kept = anchor_block_of(&i->v->anchor_file, &now->root);
	i->has_kept = kept != NULL;
	return vault_begin_log(i->v, "restore", i->next.root.lineage, err) &&
	       vault_create_anchor_beside(i->v, &i->next.root, kept, err);
}

/* From now on the vault that was replaced is refused. */
static bool forget(void *context, struct error *err)
{
	struct installing *i = context;
	struct anchor_file *file = &i->v->anchor_file;
	struct anchor a;
	unsigned block;
	if (!i->has_kept)
		return true;
	return anchor_read(file, err) &&
	       (anchor_prove_for(file, i->v->keys, i->next.root.lineage, &a, &block) ||
		fail_class(err, ERR_DAMAGED, "anchor-missing", TXT_ANCHOR_MISSING, i->path)) &&
	       anchor_advance(file, i->v->keys, &a, block, err);
}

bool vault_install(struct vault *staged, const struct vault_place *place, char ret_kept[PATH_MAX], struct error *err)
{
	char path[PATH_MAX], name[17];
	struct stat st;
	struct installing i = { .v = staged, .path = path, .next = LINEAGE_INIT };
	bool ok = file_absolute(place->path, path, sizeof path, err) &&
		  file_make_folder(place->state_dir, err) &&
		  anchor_place(place->state_dir, path, &staged->anchor_file, err) &&
		  vault_name_log(staged, err) &&
		  lineage_begin(staged, &i.next, err) && lineage_commit(staged, &i.next, err) &&
		  vault_take_root(staged, &i.next.root, buf_bytes(&i.next.bytes), err);
	if (ok) {
		sodium_bin2hex(name, sizeof name, i.next.root.lineage, 8);
		bool is_there = lstat(path, &st) == 0;
		snprintf(ret_kept, PATH_MAX, "%.4000s.before-%s", path, name);
		store_close(take(staged->store)); /* its log is emptied: the file is whole in itself */
		ok = store_install(&store_sqlite, staged->path, path, ret_kept, remember, forget, &i, err) ==
		     STORE_OK;
		if (!is_there)
			ret_kept[0] = '\0';
	}
	lineage_done(&i.next);
	return ok;
}
