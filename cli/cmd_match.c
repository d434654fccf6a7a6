/* match: whose token is this? Shows Pixel, version and stage; never a token. */
#include "cli/output.h"
#include "cli/paste.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"

#include <string.h>
#include <unistd.h>

static bool take_token(struct invocation *inv, struct secret **ret, struct error *err)
{
	struct question_on_tty q = {
		.prompt = ASK_MATCH, .echo = ECHO_OFF, .max = TOKEN_INPUT_MAX, .is_only_line = true
	};
	if (!isatty(STDIN_FILENO))
		return paste_read(STDIN_FILENO, ret, err);
	return term_may_ask(&inv->globals) ? term_ask(&q, ret, err) : fail(err, ERR_USAGE, TXT_MATCH_NO_TOKEN);
}

/* "PIXEL v3 current", and what is odd about it. */
static void print_lines(struct invocation *inv, struct bytes object)
{
	char pixel[PIXEL_CODE_MAX + 1], what[16], stage[16];
	struct bytes matches = object, one;
	if (!json_find_raw(object, "matches", &matches))
		return;
	while (member_next(&matches, &one)) {
		member_text(one, "pixel", pixel, sizeof pixel);
		if (!pixel[0])
			member_text(one, "listing", pixel, sizeof pixel);
		member_text(one, "what", what, sizeof what);
		member_text(one, "stage", stage, sizeof stage);
		buf_printf(&inv->out, "%s v%lld %s%s%s%s\n", pixel, (long long)member_int(one, "version"), stage,
			   strcmp(what, "refresh-token") == 0 ? ", its refresh token" : "",
			   member_bool(one, "deleted") ? ", token deleted" : "",
			   member_bool(one, "removed") ? ", Pixel removed" : "");
	}
}

bool cmd_match(struct invocation *inv, struct error *err)
{
	scoped(secret_freep) struct secret *pasted = NULL;
	scoped(buf_done) struct buf object = BUF_INIT(MATCHES_BYTES_MAX);
	if (!take_token(inv, &pasted, err) || !source_match(inv, pasted, &object, err))
		return false;
	if (inv->globals.json)
		buf_append(&inv->out, object.at, object.len);
	else
		print_lines(inv, buf_bytes(&object));
	return true;
}
