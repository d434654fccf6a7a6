#include "cli/new_key.h"

#include "agent/unlock.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/file.h"
#include "core/utf8.h"
#include "core/wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECOVERY_TRIES 3

void new_key_done(struct new_key *k)
{
	secret_freep(&k->secret);
}

static bool make_random(size_t len, struct secret **ret, struct error *err)
{
	if (!secret_new(len, ret, err))
		return false;
	randombytes_buf(secret_room(*ret), len);
	return true;
}

bool new_key_file(const char *path, struct new_key *k, struct error *err)
{
	struct stat st;
	k->kind = SLOT_KEY_FILE;
	k->key_file = path;
	k->is_key_file_new = lstat(path, &st) != 0 && errno == ENOENT;
	return k->is_key_file_new ? make_random(KEY_FILE_LEN, &k->secret, err)
				  : unlock_read_key_file(path, &k->secret, err);
}

static size_t count_characters(const struct secret *s)
{
	struct bytes rest = secret_reveal(s);
	size_t count = 0;
	for (uint32_t unused; rest.len; count++)
		if (!utf8_take(&rest, &unused)) {
			rest.at++;
			rest.len--;
		}
	return count;
}

static bool check_passphrase(const struct secret *passphrase, struct error *err)
{
	size_t count = count_characters(passphrase);
	return count >= PASSPHRASE_MIN_CHARS ? true : fail(err, ERR_USAGE, TXT_PASSPHRASE_SHORT, count, PASSPHRASE_MIN_CHARS);
}

static bool read_passphrase(int fd, bool is_new, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *read = NULL;
	if (!unlock_read_passphrase(fd, &read, err) || (is_new && !check_passphrase(read, err)))
		return false;
	*ret = take(read);
	return true;
}

bool passphrase_file(const char *path, bool is_new, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	return file_open_trusted(path, true, ERR_LOCKED, &fd, err) && read_passphrase(fd, is_new, ret, err);
}

bool passphrase_fd(int64_t fd, bool is_new, struct secret **ret, struct error *err)
{
	int mode = fcntl((int)fd, F_GETFL); /* an option's number is less than 2^32: one that is no int is negative here */
	if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
		return fail(err, ERR_USAGE, TXT_FD_NOT_OPEN, (long long)fd);
	return read_passphrase((int)fd, is_new, ret, err);
}

bool passphrase_ask_new(const char *prompt, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *first = NULL, *again = NULL;
	struct question_on_tty once = { .prompt = prompt, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	struct question_on_tty twice = { .prompt = ASK_AGAIN, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	if (!term_ask(&once, &first, err) || !check_passphrase(first, err) || !term_ask(&twice, &again, err))
		return false;
	if (!secret_equal(first, again))
		return fail(err, ERR_USAGE, TXT_PASSPHRASE_DIFFERS);
	*ret = take(first);
	return true;
}

bool new_key_passphrase_file(const char *path, struct new_key *k, struct error *err)
{
	k->kind = SLOT_PASSPHRASE;
	k->passphrase_file = path;
	return passphrase_file(path, true, &k->secret, err);
}

bool new_key_passphrase_fd(int64_t fd, struct new_key *k, struct error *err)
{
	k->kind = SLOT_PASSPHRASE;
	return passphrase_fd(fd, true, &k->secret, err);
}

bool new_key_ask(struct invocation *inv, struct new_key *k, struct error *err)
{
	char prompt[sizeof ASK_NEW_PASSPHRASE + 16];
	k->kind = SLOT_PASSPHRASE;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_LOCKED, TXT_INIT_NO_KEY);
	snprintf(prompt, sizeof prompt, ASK_NEW_PASSPHRASE, PASSPHRASE_MIN_CHARS);
	return passphrase_ask_new(prompt, &k->secret, err);
}

bool new_key_from_options(const struct invocation *inv, struct new_key *k, bool *ret_is_given, struct error *err)
{
	const char *key_file = option_text(inv, "key-file"), *file = option_text(inv, "passphrase-file");
	const struct given *fd = option_find(inv, "passphrase-fd");
	*ret_is_given = key_file || file || fd;
	if (key_file)
		return new_key_file(key_file, k, err);
	if (fd)
		return new_key_passphrase_fd(fd->number, k, err);
	return !file || new_key_passphrase_file(file, k, err);
}

/* ---- the recovery key ---- */

/* Shown on the terminal only, never on stderr: that may be a log. */
static bool show_recovery(const struct secret *key, struct error *err)
{
	char text[RECOVERY_TEXT_MAX], shown[sizeof SHOW_RECOVERY + RECOVERY_TEXT_MAX];
	recovery_encode(key, text);
	snprintf(shown, sizeof shown, SHOW_RECOVERY, text);
	bool is_shown = term_show(shown, err);
	wipe(text, sizeof text);
	wipe(shown, sizeof shown);
	return is_shown;
}

static bool type_back(const struct secret *key, bool *ret_matches, struct error *err)
{
	scoped(secret_freep) struct secret *typed = NULL;
	scoped(secret_freep) struct secret *decoded = NULL;
	struct question_on_tty q = { .prompt = ASK_RECOVERY, .echo = ECHO_ON, .max = 255 };
	*ret_matches = false;
	if (!term_ask(&q, &typed, err))
		return err->code == ERR_USAGE;
	*ret_matches = recovery_decode(secret_reveal(typed), &decoded, err) && secret_equal(key, decoded);
	return true;
}

bool new_key_recovery(struct new_key *k, struct error *err)
{
	bool matches = false;
	k->kind = SLOT_RECOVERY;
	if (!make_random(KEY_FILE_LEN, &k->secret, err) || !show_recovery(k->secret, err))
		return false;
	for (int i = 0; i < RECOVERY_TRIES && !matches; i++) {
		if (!type_back(k->secret, &matches, err))
			return false;
		if (!matches && !term_show(SHOW_RECOVERY_WRONG, err))
			return false;
	}
	return matches ? true : fail(err, ERR_USAGE, TXT_RECOVERY_WRONG);
}

/* ---- files ---- */

bool make_folder_of(const char *path, bool must_be_private, struct error *err)
{
	char folder[PATH_MAX];
	struct stat st;
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	if (!must_be_private && stat(folder, &st) == 0)
		return true;
	return file_make_folder(folder, err);
}

bool new_key_write(const struct new_key *k, struct error *err)
{
	return !k->is_key_file_new || (make_folder_of(k->key_file, false, err) &&
				       file_create(k->key_file, secret_reveal(k->secret), 0600, err));
}

void new_key_undo(const struct new_key *k)
{
	if (k->is_key_file_new)
		unlink(k->key_file);
}

const char *absolute_path(const char *path, char room[PATH_MAX])
{
	struct error unused;
	return file_absolute(path, room, PATH_MAX, &unused) ? room : path;
}

bool lies_beside(const char *one, const char *other)
{
	const char *a = strrchr(one, '/'), *b = strrchr(other, '/');
	return a && b && a - one == b - other && strncmp(one, other, (size_t)(a - one)) == 0;
}
