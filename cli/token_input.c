#include "cli/token_input.h"

#include "cli/paste.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_token_file(const char *path, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	if (fd < 0)
		return fail(err, ERR_USAGE, TXT_FROM_FILE, path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return fail(err, ERR_USAGE, TXT_FROM_FILE, path, strerror(EISDIR));
	return paste_read(fd, ret, err);
}

bool token_input(const struct invocation *inv, const char *whose, struct secret **ret, struct error *err)
{
	const char *path = option_text(inv, "from-file");
	char prompt[PIXEL_CODE_MAX + sizeof ASK_TOKEN];
	if (path && strcmp(path, "-") != 0)
		return read_token_file(path, ret, err);
	if (path || !isatty(STDIN_FILENO))
		return paste_read(STDIN_FILENO, ret, err);
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_PUT_NO_TOKEN);
	snprintf(prompt, sizeof prompt, ASK_TOKEN, whose);
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_OFF, .max = TOKEN_INPUT_MAX, .is_only_line = true };
	return term_ask(&q, ret, err);
}
