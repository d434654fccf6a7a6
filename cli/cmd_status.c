#include "agent/board_listen.h"
#include "cli/board.h"
#include "cli/output.h"
#include "cli/own_file.h"
#include "cli/text.h"
#include "cli/watch.h"
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
	if (strcmp(path, "-") != 0 && !own_file_spare(inv->settings, path, err))
		return false;
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

/* A file says it, so that whoever may read the state folder is the one who may know. */
static bool print_url(struct invocation *inv, const struct selection *which, struct error *err)
{
	const struct settings *s = inv->settings;
	scoped(secret_freep) struct secret *token = NULL;
	if (which->pixel_count || which->label_count)
		return fail(err, ERR_USAGE, TXT_URL_SURPLUS);
	if (!s->status_listen[0])
		return fail(err, ERR_CONFIG, TXT_URL_OFF);
	if (!board_token_read(s->state_dir, &token, err))
		return false;
	struct json j = JSON_INIT(&inv->out);
	struct buf url = BUF_INIT(1024);
	struct bytes text = secret_reveal(token);
	buf_printf(&url, "http://%s/#%.*s", s->status_listen, (int)text.len, (const char *)text.at);
	if (inv->globals.json) {
		output_json_begin(&j);
		json_text_n(&j, "url", buf_bytes(&url));
		output_json_end(inv, &j);
	} else {
		buf_append(&inv->out, url.at, url.len);
		buf_append_text(&inv->out, "\n");
	}
	bool is_fine = buf_ok(&url, err);
	buf_done(&url);
	return is_fine;
}

bool cmd_status(struct invocation *inv, struct error *err)
{
	struct selection which;
	struct board_request request = { .face = inv->globals.json ? BOARD_JSON : BOARD_TABLE, .exit_member = -1 };
	size_t pixels = 0;
	if (!select_read(inv, &which, err))
		return false;
	if (option_is_given(inv, "url"))
		return print_url(inv, &which, err);
	if (option_is_given(inv, "watch"))
		return watch_board(inv, &which, err);
	if (option_is_given(inv, "html"))
		return write_page(inv, &which, option_text(inv, "html"), err);
	if (!board_show(inv, &which, &request, &pixels, err))
		return false;
	if (!pixels && !inv->globals.json)
		say(inv, "%s", which.label_count ? SAY_NONE_MATCH : SAY_EMPTY);
	return true;
}
