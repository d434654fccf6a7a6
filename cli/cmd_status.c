#include "cli/board.h"
#include "cli/output.h"
#include "cli/text.h"
#include "core/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a link leads, and with the rights that the page had there: whoever was let in stays so. */
static bool replace_page(const char *path, struct bytes page, struct error *err)
{
	struct stat was;
	char real[PATH_MAX];
	if (stat(path, &was) != 0) {
		if (errno != ENOENT)
			return fail(err, ERR_USAGE, TXT_PAGE_PLACE, path, strerror(errno));
		return file_replace(path, page, 0600, err);
	}
	if (!S_ISREG(was.st_mode))
		return fail(err, ERR_USAGE, TXT_PAGE_PLACE, path, "it is something else");
	if (!realpath(path, real))
		return fail(err, ERR_USAGE, TXT_PAGE_PLACE, path, strerror(errno));
	if (!file_replace(real, page, was.st_mode & 0777, err))
		return false;
	if (was.st_uid != geteuid() || was.st_gid != getegid())
		(void)!chown(real, was.st_uid, was.st_gid);
	return true;
}

static bool write_page(struct invocation *inv, const struct selection *which, const char *path, struct error *err)
{
	struct board_request request = { .face = BOARD_PAGE, .exit_member = -1 };
	size_t pixels = 0;
	if (inv->globals.json)
		return fail(err, ERR_USAGE, TXT_PAGE_AND_JSON);
	if (!board_show(inv, which, &request, &pixels, err) || !buf_ok(&inv->out, err))
		return false;
	if (strcmp(path, "-") == 0)
		return true;
	if (!replace_page(path, buf_bytes(&inv->out), err))
		return false;
	buf_clear(&inv->out);
	if (isatty(STDERR_FILENO))
		say(inv, SAY_PAGE_WRITTEN, pixels, pixels == 1 ? "" : "s", path);
	return true;
}

bool cmd_status(struct invocation *inv, struct error *err)
{
	struct selection which;
	struct board_request request = { .face = inv->globals.json ? BOARD_JSON : BOARD_TABLE, .exit_member = -1 };
	size_t pixels = 0;
	if (!select_read(inv, &which, err))
		return false;
	if (option_is_given(inv, "html"))
		return write_page(inv, &which, option_text(inv, "html"), err);
	if (!board_show(inv, &which, &request, &pixels, err))
		return false;
	if (!pixels && !inv->globals.json)
		say(inv, "%s", which.label_count ? SAY_NONE_MATCH : SAY_EMPTY);
	return true;
}
