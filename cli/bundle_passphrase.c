#include "cli/bundle_passphrase.h"

#include "agent/unlock.h"
#include "cli/new_key.h"
#include "cli/term.h"
#include "cli/text.h"

#include <stdio.h>

static bool ask(bool is_new, struct secret **ret, struct error *err)
{
	char prompt[sizeof ASK_BUNDLE_NEW + 16];
	struct question_on_tty q = { .prompt = ASK_BUNDLE, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	snprintf(prompt, sizeof prompt, ASK_BUNDLE_NEW, PASSPHRASE_MIN_CHARS);
	return is_new ? passphrase_ask_new(prompt, ret, err) : term_ask(&q, ret, err);
}

bool bundle_passphrase(struct invocation *inv, bool is_new, struct secret **ret, struct error *err)
{
	const char *file = option_text(inv, "passphrase-file");
	const struct given *fd = option_find(inv, "passphrase-fd");
	if (fd)
		return passphrase_fd(fd->number, is_new, ret, err);
	if (file)
		return passphrase_file(file, is_new, ret, err);
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_LOCKED, TXT_BUNDLE_NO_ASKING);
	return ask(is_new, ret, err);
}
