/* Slots that come, go and change: another way to wrap the same root key, in one ordinary commit. */
#include "core/file.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define STACK_OF_A_KDF 4096

static size_t count_in(struct bytes value)
{
	return (value.len - 4) / SLOT_LEN;
}

/* SIZE_MAX when there is none. */
static size_t place_of(struct bytes value, const uint8_t id[SLOT_ID_LEN])
{
	struct slot_info info;
	for (size_t i = 0; i < count_in(value); i++) {
		slots_info(value, i, &info);
		if (memcmp(info.id, id, SLOT_ID_LEN) == 0)
			return i;
	}
	return SIZE_MAX;
}

size_t vault_slots(const struct vault *v, struct slot_info *ret)
{
	size_t count = count_in(buf_bytes(&v->slots));
	for (size_t i = 0; i < count; i++)
		slots_info(buf_bytes(&v->slots), i, &ret[i]);
	return count;
}

const uint8_t *vault_opened_by(const struct vault *v)
{
	return v->is_opener_known ? v->opened_by : NULL;
}

bool vault_try_secret(const struct vault *v, const struct slot_secret *secret, struct slot_info *ret, struct error *err)
{
	scoped(secret_freep) struct secret *root_key = NULL;
	size_t which = 0;
	bool is_opened = slots_open_at(buf_bytes(&v->slots), v->root.vault_id, secret, &root_key, &which, err);
	sodium_stackzero(STACK_OF_A_KDF);
	if (is_opened)
		slots_info(buf_bytes(&v->slots), which, ret);
	return is_opened;
}

/* ---- the commit ---- */

struct edit {
	struct vault *v;
	const char *verb;
	const uint8_t *out; /* id of the one that goes; NULL: none */
	const uint8_t *in;  /* the new one, SLOT_LEN; NULL: none */
	struct buf value;   /* as committed */
};

/* The value `slots` that the root names, borrowed until the next read. */
static bool read_slots(struct vault *v, struct change *ch, struct bytes *ret, struct error *err)
{
	static const char *const keys[] = { "slots" };
	struct store_record found;
	uint8_t digest[DIGEST_LEN];
	size_t count;
	if (!change_read(ch, keys, 1, &found, err))
		return false;
	seal_digest(found.is_found ? found.value : bytes_of("", 0), digest);
	if (!found.is_found || sodium_memcmp(digest, v->root.slots_digest, DIGEST_LEN) != 0)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_SLOTS_TAMPERED, v->path);
	*ret = found.value;
	return slots_check(found.value, &count, err);
}

static bool may_go(const struct edit *e, struct bytes now, size_t place, struct error *err)
{
	if (place == SIZE_MAX)
		return fail(err, ERR_NOT_FOUND, TXT_SLOT_UNKNOWN);
	if (e->in)
		return true;
	if (count_in(now) == 1)
		return fail(err, ERR_CONFLICT, TXT_SLOT_LAST);
	/* A slot that nobody tried proves nothing; the one that opened the vault does, so that one stays. */
	bool is_unproven = !e->v->is_opener_known || memcmp(e->v->opened_by, e->out, SLOT_ID_LEN) == 0;
	if (is_unproven)
		return fail(err, ERR_CONFLICT, TXT_SLOT_IN_USE);
	return place_of(now, e->v->opened_by) != SIZE_MAX ? true : fail(err, ERR_CONFLICT, TXT_SLOT_OPENER_GONE);
}

static bool apply(void *context, struct change *ch, struct error *err)
{
	struct edit *e = context;
	struct bytes now;
	if (!read_slots(e->v, ch, &now, err))
		return false;
	size_t count = count_in(now), place = e->out ? place_of(now, e->out) : SIZE_MAX;
	if (e->out && !may_go(e, now, place, err))
		return false;
	if (!e->out && count == SLOTS_MAX)
		return fail(err, ERR_CONFLICT, TXT_SLOTS_FULL, SLOTS_MAX);
	buf_clear(&e->value);
	buf_append_uint(&e->value, 4, count + (e->out ? 0 : 1) - (e->in ? 0 : 1));
	for (size_t i = 0; i < count; i++)
		if (i != place)
			buf_append(&e->value, now.at + 4 + i * SLOT_LEN, SLOT_LEN);
		else if (e->in)
			buf_append(&e->value, e->in, SLOT_LEN);
	if (!e->out)
		buf_append(&e->value, e->in, SLOT_LEN);
	change_note(ch, e->verb, "", 0);
	return buf_ok(&e->value, err) && change_slots(ch, buf_bytes(&e->value), err);
}

static bool commit(struct edit *e, struct error *err)
{
	e->value = (struct buf)BUF_INIT(SLOTS_VALUE_MAX);
	bool ok = vault_is_open(e->v, err) && vault_change(e->v, apply, e, err);
	if (ok) {
		buf_clear(&e->v->slots);
		buf_append(&e->v->slots, e->value.at, e->value.len);
		ok = buf_ok(&e->v->slots, err);
	}
	buf_done(&e->value);
	return ok;
}

/* A slot that was never opened is a promise; one that does not open would be found out when it is the last. */
static bool make_proven(struct vault *v, const struct slot_secret *holder, uint32_t passes, const uint8_t *id,
			uint8_t ret[SLOT_LEN], struct slot_info *ret_info, struct error *err)
{
	scoped(secret_freep) struct secret *found = NULL;
	uint8_t value[4 + SLOT_LEN] = { 1 };
	if (!vault_is_open(v, err) || !slot_make_as(v->root.vault_id, holder, v->root_key, passes, id, ret, err))
		return false;
	memcpy(value + 4, ret, SLOT_LEN);
	bool is_proven = slots_open(bytes_of(value, sizeof value), v->root.vault_id, holder, &found, err) &&
			 secret_equal(found, v->root_key);
	sodium_stackzero(STACK_OF_A_KDF);
	slots_info(bytes_of(value, sizeof value), 0, ret_info);
	return is_proven ? true : fail(err, ERR_UNEXPECTED, TXT_SLOT_UNPROVEN);
}

bool vault_add_slot(struct vault *v, const struct slot_secret *holder, uint32_t passes, struct slot_info *ret,
		    struct error *err)
{
	uint8_t slot[SLOT_LEN];
	struct slot_info taken;
	struct error why = { .code = ERR_NONE };
	/* One key in two slots would outlive the removal of one of them. Passphrases are salted and slow; it is tried
	 * all the same. */
	if (vault_try_secret(v, holder, &taken, &why))
		return fail(err, ERR_CONFLICT, TXT_SLOT_TAKEN, slot_kind_text(holder->kind));
	if (why.code != ERR_WRONG_KEY) {
		*err = why;
		return false;
	}
	return make_proven(v, holder, passes, NULL, slot, ret, err) &&
	       commit(&(struct edit){ .v = v, .verb = "slot-add", .in = slot }, err);
}

bool vault_remove_slot(struct vault *v, const uint8_t id[SLOT_ID_LEN], struct error *err)
{
	return commit(&(struct edit){ .v = v, .verb = "slot-remove", .out = id }, err);
}

bool vault_replace_slot(struct vault *v, const uint8_t id[SLOT_ID_LEN], const struct slot_secret *holder,
			uint32_t passes, struct slot_info *ret, struct error *err)
{
	uint8_t slot[SLOT_LEN];
	return make_proven(v, holder, passes, id, slot, ret, err) &&
	       commit(&(struct edit){ .v = v, .verb = "rekey", .out = id, .in = slot }, err);
}

/* ---- slots that are not those that the root names ---- */

static bool keep_salvaged(void *context, struct change *ch, struct error *err)
{
	struct vault *v = context;
	change_note(ch, "slot-repair", "", 0);
	return change_slots(ch, buf_bytes(&v->slots), err);
}

bool vault_mend_slots(struct vault *v, struct error *err)
{
	if (!vault_is_open(v, err))
		return false;
	if (!v->has_foreign_slots)
		return fail(err, ERR_CONFLICT, TXT_SLOTS_WHOLE, v->path);
	if (!vault_change(v, keep_salvaged, v, err))
		return false;
	v->has_foreign_slots = v->is_mending = false;
	return true;
}

/* ---- keys that opened nothing ---- */

#define WRONG_MAX 1000000 /* counted no further */

/* One byte each: the size is how many, the time of the last change when. */
static bool wrong_path(const struct vault *v, char ret[PATH_MAX])
{
	static const char ending[] = ".anchor";
	size_t stem = strlen(v->anchor_file.path) - (sizeof ending - 1);
	int put = snprintf(ret, PATH_MAX, "%.*s.wrong-keys", (int)stem, v->anchor_file.path);
	return put > 0 && put < PATH_MAX;
}

void vault_note_wrong_key(const struct vault *v)
{
	char path[PATH_MAX];
	struct stat st;
	if (!wrong_path(v, path))
		return;
	scoped(file_closep) int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < WRONG_MAX)
		(void)!write(fd, "x", 1);
}

void vault_tell_wrong_keys(struct vault *v, uint32_t *ret_count, int64_t *ret_last)
{
	char path[PATH_MAX];
	struct stat st;
	struct error ignored;
	*ret_count = 0;
	if (!wrong_path(v, path) || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return;
	uint32_t count = st.st_size < WRONG_MAX ? (uint32_t)st.st_size : WRONG_MAX;
	struct audit_event event = { .verb = "wrong-key", .result = "denied" };
	struct audit_who who = v->who;
	snprintf(who.as, sizeof who.as, "%u-tries", (unsigned)count);
	/* Forgotten only once they stand in the log. */
	if (!v->audit || !audit_append(v->audit, &who, &event, 1, AUDIT_RESERVE, true, &ignored) || unlink(path) != 0)
		return;
	*ret_count = count;
	*ret_last = st.st_mtime;
}
