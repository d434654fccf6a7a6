#include "cli/board.h"
#include "cli/output.h"
#include "cli/text.h"

bool cmd_status(struct invocation *inv, struct error *err)
{
	struct selection which;
	struct board_request request = { .face = inv->globals.json ? BOARD_JSON : BOARD_TABLE, .exit_member = -1 };
	size_t pixels = 0;
	if (!select_read(inv, &which, err) || !board_show(inv, &which, &request, &pixels, err))
		return false;
	if (!pixels && !inv->globals.json)
		say(inv, "%s", which.label_count ? SAY_NONE_MATCH : SAY_EMPTY);
	return true;
}
