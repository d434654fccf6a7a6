#include "cli/bundle_passphrase.h"

#include "agent/unlock.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/file.h"
#include "core/utf8.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

static bool check_length(const struct secret *passphrase, struct error *err)
{
	struct bytes rest = secret_reveal(passphrase);
	size_t count = 0;
	for (uint32_t unused; rest.len; count++)
		if (!utf8_take(&rest, &unused))
			rest = bytes_of(rest.at + 1, rest.len - 1);
	return count >= PASSPHRASE_MIN_CHARS || fail(err, ERR_USAGE, TXT_PASSPHRASE_SHORT, count, PASSPHRASE_MIN_CHARS);
}

static bool read_descriptor(int64_t fd, struct secret **ret, struct error *err)
{
	int mode = fd <= INT_MAX ? fcntl((int)fd, F_GETFL) : -1;
	if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
		return fail(err, ERR_USAGE, TXT_FD_NOT_OPEN, (long long)fd);
	return unlock_read_passphrase((int)fd, ret, err);
}

static bool read_file(const char *path, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	return file_open_trusted(path, true, ERR_LOCKED, &fd, err) && unlock_read_passphrase(fd, ret, err);
}

static bool ask(const char *prompt, struct secret **ret, struct error *err)
{
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	return term_ask(&q, ret, err);
}

static bool ask_new(struct secret **ret, struct error *err)
{
	char prompt[sizeof ASK_BUNDLE_NEW + 16];
	scoped(secret_freep) struct secret *first = NULL, *again = NULL;
	snprintf(prompt, sizeof prompt, ASK_BUNDLE_NEW, PASSPHRASE_MIN_CHARS);
	if (!ask(prompt, &first, err) || !check_length(first, err) || !ask(ASK_AGAIN, &again, err))
		return false;
	if (!secret_equal(first, again))
		return fail(err, ERR_USAGE, TXT_PASSPHRASE_DIFFERS);
	*ret = take(first);
	return true;
}

bool bundle_passphrase(struct invocation *inv, bool is_new, struct secret **ret, struct error *err)
{
	const char *file = option_text(inv, "passphrase-file");
	const struct given *fd = option_find(inv, "passphrase-fd");
	scoped(secret_freep) struct secret *passphrase = NULL;
	if (!fd && !file && !term_may_ask(&inv->globals))
		return fail(err, ERR_LOCKED, TXT_BUNDLE_NO_ASKING);
	if (!fd && !file)
		return is_new ? ask_new(ret, err) : ask(ASK_BUNDLE, ret, err);
	if (!(fd ? read_descriptor(fd->number, &passphrase, err) : read_file(file, &passphrase, err)) ||
	    (is_new && !check_length(passphrase, err)))
		return false;
	*ret = take(passphrase);
	return true;
}
