#include "agent/unlock.h"

#include "agent/text.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- reading what opens ---- */

static bool key_file_unusable(const struct error *why, struct error *err)
{
	(void)!fail(err, why->code, TXT_KEY_FILE_UNUSABLE, why->message);
	snprintf(err->hint, sizeof err->hint, "%s", why->hint);
	return false;
}

static bool read_key(int fd, const char *path, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	struct error why;
	bool is_read = secret_read(fd, KEY_FILE_LEN, &key, &why);
	if (!is_read && why.code != ERR_USAGE)
		return key_file_unusable(&why, err);
	if (!is_read || secret_len(key) != KEY_FILE_LEN)
		return fail(err, ERR_LOCKED, TXT_KEY_FILE_LENGTH, path, KEY_FILE_LEN);
	*ret = take(key);
	return true;
}

bool unlock_read_key_file(const char *path, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	struct error why;
	if (!file_open_trusted(path, true, ERR_LOCKED, &fd, &why))
		return key_file_unusable(&why, err);
	return read_key(fd, path, ret, err);
}

/* systemd lets the service's user in by an access list, which shows as group bits: they are no fault here. */
static bool read_credential(const char *path, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	struct stat st;
	if (!file_open_trusted(path, false, ERR_LOCKED, &fd, err))
		return false;
	if (fstat(fd, &st) != 0 || st.st_mode & S_IRWXO)
		return fail(err, ERR_LOCKED, TXT_CREDENTIAL_TOO_OPEN, path);
	return read_key(fd, path, ret, err);
}

bool unlock_read_credential(const struct settings *settings, struct secret **ret, bool *ret_is_there, struct error *err)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];
	/* Not started by systemd (someone at a terminal, with the agent's configuration): there is another way in. */
	*ret_is_there = settings->credential[0] && folder && folder[0] == '/';
	if (!*ret_is_there)
		return fail(err, ERR_LOCKED, TXT_CREDENTIAL_NONE);
	int len = snprintf(path, sizeof path, "%s/%s", folder, settings->credential);
	if (len < 0 || (size_t)len >= sizeof path)
		return fail(err, ERR_LOCKED, TXT_CREDENTIAL_PATH, settings->credential);
	return read_credential(path, ret, err);
}

bool unlock_read_passphrase(int fd, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *typed = NULL;
	if (!secret_read(fd, PASSPHRASE_MAX + 2, &typed, err))
		return false;
	struct bytes text = secret_reveal(typed);
	size_t len = text.len;
	if (len && text.at[len - 1] == '\n')
		len -= len > 1 && text.at[len - 2] == '\r' ? 2 : 1;
	secret_cut(typed, len);
	*ret = take(typed);
	return true;
}

static bool read_passphrase_file(const char *path, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	struct error why;
	if (!file_open_trusted(path, true, ERR_LOCKED, &fd, err))
		return false;
	if (!unlock_read_passphrase(fd, ret, &why))
		return fail(err, ERR_LOCKED, TXT_PASSPHRASE_FILE, path);
	return true;
}

/* ---- trying it ---- */

enum attempt { OPENED, REFUSED, NO_SUCH_SLOT };

/* A vault, and who wants what opened it (NULL: nobody). */
struct door {
	struct vault *v;
	struct unlock_key *kept;
};

static enum attempt try_slot(const struct door *d, enum slot_kind kind, const struct secret *secret, struct error *err)
{
	struct slot_secret holder = { kind, secret };
	if (!vault_has_slot(d->v, kind))
		return NO_SUCH_SLOT;
	if (!vault_unlock(d->v, &holder, err))
		return REFUSED;
	if (!d->kept)
		return OPENED;
	d->kept->kind = kind;
	return secret_copy(secret_reveal(secret), &d->kept->secret, err) ? OPENED : REFUSED;
}

/* Slots of the first kind, then, unless something worse than a wrong key was found, of the second. */
static enum attempt try_slots(const struct door *d, enum slot_kind first, enum slot_kind second,
			      const struct secret *secret, struct error *err)
{
	enum attempt attempt = try_slot(d, first, secret, err);
	if (attempt == OPENED || (attempt == REFUSED && err->code != ERR_WRONG_KEY))
		return attempt;
	enum attempt other = try_slot(d, second, secret, err);
	return other == NO_SUCH_SLOT ? attempt : other;
}

static enum attempt try_typed(const struct door *d, const struct secret *typed, struct error *err)
{
	scoped(secret_freep) struct secret *recovery = NULL;
	struct error not_one;
	if (vault_has_slot(d->v, SLOT_RECOVERY) && recovery_decode(secret_reveal(typed), &recovery, &not_one)) {
		enum attempt attempt = try_slot(d, SLOT_RECOVERY, recovery, err);
		if (attempt == OPENED || err->code != ERR_WRONG_KEY)
			return attempt;
	}
	enum attempt attempt = try_slot(d, SLOT_PASSPHRASE, typed, err);
	if (attempt != NO_SUCH_SLOT || !vault_has_slot(d->v, SLOT_RECOVERY))
		return attempt;
	/* Only the recovery key would do, and this is none. */
	(void)!fail(err, ERR_WRONG_KEY, TXT_RECOVERY_ONLY);
	return REFUSED;
}

/* ---- where it comes from; each source answers NO_SUCH_SLOT when it has nothing for this vault ---- */

static enum attempt from_key_file(const struct door *d, const struct settings *settings, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	if (!settings->key_file[0])
		return NO_SUCH_SLOT;
	if (!unlock_read_key_file(settings->key_file, &key, err))
		return REFUSED;
	return try_slots(d, SLOT_KEY_FILE, SLOT_CREDENTIAL, key, err);
}

static enum attempt from_credential(const struct door *d, const struct settings *settings, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	bool is_there = false;
	if (!unlock_read_credential(settings, &key, &is_there, err))
		return is_there ? REFUSED : NO_SUCH_SLOT;
	return try_slots(d, SLOT_CREDENTIAL, SLOT_KEY_FILE, key, err);
}

static enum attempt from_passphrase_file(const struct door *d, const struct settings *settings, struct error *err)
{
	scoped(secret_freep) struct secret *typed = NULL;
	if (!settings->passphrase_file[0])
		return NO_SUCH_SLOT;
	if (!read_passphrase_file(settings->passphrase_file, &typed, err))
		return REFUSED;
	return try_typed(d, typed, err);
}

static enum attempt from_person(const struct door *d, ask_passphrase_fn *ask, void *context, struct error *err)
{
	scoped(secret_freep) struct secret *typed = NULL;
	if (!ask || (!vault_has_slot(d->v, SLOT_PASSPHRASE) && !vault_has_slot(d->v, SLOT_RECOVERY)))
		return NO_SUCH_SLOT;
	return ask(context, &typed, err) ? try_typed(d, typed, err) : REFUSED;
}

static bool nothing_opened(const struct vault *v, const struct settings *settings, struct error *err)
{
	bool has_source = settings->key_file[0] || settings->passphrase_file[0];
	if (has_source)
		return fail(err, ERR_WRONG_KEY, TXT_NO_SUCH_SLOT, vault_path(v));
	return fail(err, ERR_LOCKED, TXT_NOTHING_OPENS, vault_path(v));
}

static bool open_with_any(const struct door *d, const struct settings *settings, ask_passphrase_fn *ask, void *context,
			  struct error *err)
{
	enum attempt attempt = from_key_file(d, settings, err);
	if (attempt == NO_SUCH_SLOT)
		attempt = from_credential(d, settings, err);
	if (attempt == NO_SUCH_SLOT)
		attempt = from_passphrase_file(d, settings, err);
	bool has_asked = attempt == NO_SUCH_SLOT;
	if (has_asked)
		attempt = from_person(d, ask, context, err);
	/* A key that opens no slot is a wrong key, also where a passphrase might have done but nobody is there to type
	 * it. */
	bool is_nobody_there = attempt == REFUSED && err->code == ERR_LOCKED && settings->key_file[0];
	if (attempt == NO_SUCH_SLOT || (is_nobody_there && has_asked))
		return nothing_opened(d->v, settings, err);
	return attempt == OPENED;
}

bool unlock_with_any(struct vault *v, const struct settings *settings, ask_passphrase_fn *ask, void *context,
		     struct error *err)
{
	return open_with_any(&(struct door){ v, NULL }, settings, ask, context, err);
}

static bool open_place(const struct settings *settings, struct vault_place place, ask_passphrase_fn *ask, void *context,
		       struct unlock_key *kept, struct vault **ret, struct error *err)
{
	scoped(vault_closep) struct vault *v = NULL;
	place.path = settings->vault_path;
	place.state_dir = settings->state_dir;
	if (!vault_open(&place, &v, err))
		return false;
	if (!open_with_any(&(struct door){ v, kept }, settings, ask, context, err)) {
		if (err->code == ERR_WRONG_KEY)
			vault_note_wrong_key(v);
		return false;
	}
	*ret = take(v);
	return true;
}

bool unlock_open(const struct settings *settings, ask_passphrase_fn *ask, void *context, struct vault **ret,
		 struct error *err)
{
	return open_place(settings, (struct vault_place){ 0 }, ask, context, NULL, ret, err);
}

bool unlock_adopting(const struct settings *settings, ask_passphrase_fn *ask, void *context, struct vault **ret,
		     struct error *err)
{
	return open_place(settings, (struct vault_place){ .is_adopting = true }, ask, context, NULL, ret, err);
}

bool unlock_doubting(const struct settings *settings, ask_passphrase_fn *ask, void *context, struct vault **ret,
		     struct error *err)
{
	return open_place(settings, (struct vault_place){ .is_doubting = true }, ask, context, NULL, ret, err);
}

bool unlock_keeping(const struct settings *settings, bool is_mending, ask_passphrase_fn *ask, void *context,
		    struct unlock_key *kept, struct vault **ret, struct error *err)
{
	return open_place(settings, (struct vault_place){ .is_mending = is_mending }, ask, context, kept, ret, err);
}

void unlock_key_done(struct unlock_key *key)
{
	secret_freep(&key->secret);
}
