#include "agent/unlock.h"
#include "cli/output.h"
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

/* What the new vault will open with. */
struct keys {
	enum slot_kind kind; /* of main */
	struct secret *main, *recovery;
	const char *key_file;        /* NULL: none */
	bool is_key_file_new;        /* to be written */
	const char *passphrase_file; /* NULL: typed, or from a descriptor */
};

static void keys_done(struct keys *k)
{
	secret_freep(&k->main);
	secret_freep(&k->recovery);
}

static bool make_random(size_t len, struct secret **ret, struct error *err)
{
	if (!secret_new(len, ret, err))
		return false;
	randombytes_buf(secret_room(*ret), len);
	return true;
}

/* ---- the key ---- */

static bool use_key_file(const char *path, struct keys *k, struct error *err)
{
	struct stat st;
	k->kind = SLOT_KEY_FILE;
	k->key_file = path;
	k->is_key_file_new = lstat(path, &st) != 0 && errno == ENOENT;
	return k->is_key_file_new ? make_random(KEY_FILE_LEN, &k->main, err)
				  : unlock_read_key_file(path, &k->main, err);
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

static bool check_passphrase(const struct keys *k, struct error *err)
{
	size_t count = count_characters(k->main);
	if (count < PASSPHRASE_MIN_CHARS)
		return fail(err, ERR_USAGE, TXT_PASSPHRASE_SHORT, count, PASSPHRASE_MIN_CHARS);
	return true;
}

static bool use_passphrase_file(const char *path, struct keys *k, struct error *err)
{
	scoped(file_closep) int fd = -1;
	k->kind = SLOT_PASSPHRASE;
	k->passphrase_file = path;
	return file_open_trusted(path, true, ERR_LOCKED, &fd, err) && unlock_read_passphrase(fd, &k->main, err) &&
	       check_passphrase(k, err);
}

static bool use_passphrase_fd(int64_t fd, struct keys *k, struct error *err)
{
	int mode = fd <= INT_MAX ? fcntl((int)fd, F_GETFL) : -1;
	k->kind = SLOT_PASSPHRASE;
	if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
		return fail(err, ERR_USAGE, TXT_FD_NOT_OPEN, (long long)fd);
	return unlock_read_passphrase((int)fd, &k->main, err) && check_passphrase(k, err);
}

static bool ask_passphrase_twice(struct invocation *inv, struct keys *k, struct error *err)
{
	scoped(secret_freep) struct secret *again = NULL;
	char prompt[sizeof ASK_NEW_PASSPHRASE + 16];
	k->kind = SLOT_PASSPHRASE;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_LOCKED, TXT_INIT_NO_KEY);
	snprintf(prompt, sizeof prompt, ASK_NEW_PASSPHRASE, PASSPHRASE_MIN_CHARS);
	struct question_on_tty first = { .prompt = prompt, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	struct question_on_tty second = { .prompt = ASK_AGAIN, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	if (!term_ask(&first, &k->main, err) || !check_passphrase(k, err) || !term_ask(&second, &again, err))
		return false;
	return secret_equal(k->main, again) || fail(err, ERR_USAGE, TXT_PASSPHRASE_DIFFERS);
}

/* Flag before setting before question. */
static bool choose_key(struct invocation *inv, struct keys *k, struct error *err)
{
	const char *key_file = option_text(inv, "key-file"), *file = option_text(inv, "passphrase-file");
	const struct given *fd = option_find(inv, "passphrase-fd");
	if (key_file)
		return use_key_file(key_file, k, err);
	if (fd)
		return use_passphrase_fd(fd->number, k, err);
	if (file)
		return use_passphrase_file(file, k, err);
	if (inv->settings->key_file[0])
		return use_key_file(inv->settings->key_file, k, err);
	if (inv->settings->passphrase_file[0])
		return use_passphrase_file(inv->settings->passphrase_file, k, err);
	return ask_passphrase_twice(inv, k, err);
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

static bool make_recovery(struct invocation *inv, struct keys *k, struct error *err)
{
	bool matches = false;
	if (option_is_given(inv, "no-recovery"))
		return true;
	if (!term_may_ask(&inv->globals)) {
		say(inv, SAY_INIT_NO_RECOVERY);
		return true;
	}
	if (!make_random(KEY_FILE_LEN, &k->recovery, err) || !show_recovery(k->recovery, err))
		return false;
	for (int i = 0; i < RECOVERY_TRIES && !matches; i++) {
		if (!type_back(k->recovery, &matches, err))
			return false;
		if (!matches && !term_show(SHOW_RECOVERY_WRONG, err))
			return false;
	}
	return matches || fail(err, ERR_USAGE, TXT_RECOVERY_WRONG);
}

/* ---- making it ---- */

static bool make_folder_of(const char *path, bool must_be_private, struct error *err)
{
	char folder[PATH_MAX];
	struct stat st;
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	if (!must_be_private && stat(folder, &st) == 0)
		return true;
	return file_make_folder(folder, err);
}

static bool make_vault(struct invocation *inv, struct keys *k, struct error *err)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	struct slot_secret slots[2] = { { k->kind, k->main }, { SLOT_RECOVERY, k->recovery } };
	if (!make_folder_of(place.path, true, err) || !file_make_folder(place.state_dir, err))
		return false;
	if (k->is_key_file_new &&
	    (!make_folder_of(k->key_file, false, err) || !file_create(k->key_file, secret_reveal(k->main), 0600, err)))
		return false;
	if (vault_create(&place, slots, k->recovery ? 2 : 1, err))
		return true;
	if (k->is_key_file_new)
		unlink(k->key_file);
	return false;
}

/* ---- what is said about it ---- */

static const char *absolute(const char *path, char room[PATH_MAX])
{
	struct error unused;
	return file_absolute(path, room, PATH_MAX, &unused) ? room : path;
}

static bool lies_beside(const char *one, const char *other)
{
	const char *a = strrchr(one, '/'), *b = strrchr(other, '/');
	return a && b && a - one == b - other && strncmp(one, other, (size_t)(a - one)) == 0;
}

/* How later commands find what they need, unless the settings say it already. */
static void tell_done(struct invocation *inv, const struct keys *k)
{
	char key[PATH_MAX] = "", vault[PATH_MAX];
	const char *file = k->key_file ? k->key_file : k->passphrase_file;
	const char *configured = k->key_file ? inv->settings->key_file : inv->settings->passphrase_file;
	const char *variable = k->key_file ? " PIXELVAULT_KEY_FILE=" : " PIXELVAULT_PASSPHRASE_FILE=";
	absolute(inv->settings->vault_path, vault);
	say(inv, SAY_INIT_DONE, vault);
	if (file)
		absolute(file, key);
	bool names_vault = inv->globals.vault != NULL,
	     names_key = file && strcmp(file, configured) != 0 && strcmp(key, configured) != 0;
	if (k->is_key_file_new)
		say(inv, SAY_INIT_KEY_MADE, key);
	if (k->key_file && lies_beside(key, vault))
		say(inv, SAY_INIT_BESIDE);
	if (names_vault || names_key)
		say(inv, SAY_INIT_FIND, names_vault ? " PIXELVAULT_VAULT=" : "", names_vault ? vault : "",
		    names_key ? variable : "", names_key ? key : "");
}

static void print_json(struct invocation *inv, const struct keys *k)
{
	static const char *const kinds[] = { [SLOT_PASSPHRASE] = "passphrase", [SLOT_KEY_FILE] = "key-file" };
	char vault[PATH_MAX], key[PATH_MAX];
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_text(&j, "vault", absolute(inv->settings->vault_path, vault));
	json_text(&j, "key_file", k->key_file ? absolute(k->key_file, key) : NULL);
	json_array(&j, "slots");
	json_text(&j, NULL, kinds[k->kind]);
	if (k->recovery)
		json_text(&j, NULL, "recovery");
	json_end_array(&j);
	output_json_end(inv, &j);
}

bool cmd_init(struct invocation *inv, struct error *err)
{
	scoped(keys_done) struct keys keys = { .main = NULL };
	struct stat st;
	/* Before anything is asked or written. */
	if (lstat(inv->settings->vault_path, &st) == 0)
		return fail(err, ERR_CONFLICT, TXT_VAULT_EXISTS, inv->settings->vault_path);
	if (!choose_key(inv, &keys, err) || !make_recovery(inv, &keys, err) || !make_vault(inv, &keys, err))
		return false;
	tell_done(inv, &keys);
	if (inv->globals.json)
		print_json(inv, &keys);
	return true;
}
