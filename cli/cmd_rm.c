#include "cli/output.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

static bool confirm(struct invocation *inv, const char *pixel, struct error *err)
{
	scoped(secret_freep) struct secret *answer = NULL;
	char prompt[sizeof ASK_DESTROY + PIXEL_CODE_MAX];
	if (option_is_given(inv, "yes"))
		return true;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_DESTROY_NEEDS_YES, pixel);
	snprintf(prompt, sizeof prompt, ASK_DESTROY, pixel);
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_ON, .max = 255 };
	if (term_ask(&q, &answer, err) && bytes_equal(secret_reveal(answer), bytes_of_text("yes")))
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_DESTROY_NOT_CONFIRMED, pixel);
}

static void tell(struct invocation *inv, const char *pixel, enum service_removal what, bool is_nothing)
{
	switch (what) {
	case REMOVAL_SOFT:
		if (is_nothing)
			say(inv, SAY_RM_ALREADY, pixel);
		else
			say(inv, SAY_RM_DONE, pixel, pixel);
		break;
	case REMOVAL_UNDO:
		if (is_nothing)
			say(inv, SAY_RM_NOT_REMOVED, pixel);
		else
			say(inv, SAY_RM_RESTORED, pixel);
		break;
	case REMOVAL_DESTROY:
		say(inv, SAY_RM_DESTROYED, pixel);
		break;
	}
}

bool cmd_rm(struct invocation *inv, struct error *err)
{
	static const char *const states[] = { [REMOVAL_SOFT] = "removed", [REMOVAL_UNDO] = "stored", [REMOVAL_DESTROY] = "destroyed" };
	const char *pixel = inv->args[0];
	enum service_removal what = option_is_given(inv, "restore") ? REMOVAL_UNDO : option_is_given(inv, "destroy") ? REMOVAL_DESTROY : REMOVAL_SOFT;
	struct credential unused;
	bool is_nothing = false;
	if (what == REMOVAL_DESTROY && (!source_find(inv, pixel, true, &unused, NULL, err) || !confirm(inv, pixel, err)))
		return false;
	if (!source_remove(inv, pixel, what, &is_nothing, err))
		return false;
	tell(inv, pixel, what, is_nothing);
	if (inv->globals.json) {
		struct json j = JSON_INIT(&inv->out);
		output_json_begin(&j);
		json_text(&j, "pixel", pixel);
		json_text(&j, "state", states[what]);
		output_json_end(inv, &j);
	}
	return true;
}
