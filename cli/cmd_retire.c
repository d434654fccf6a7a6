#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

bool cmd_retire(struct invocation *inv, struct error *err)
{
	const char *pixel = inv->args[0];
	struct json j = JSON_INIT(&inv->out);
	uint32_t version = 0;
	if (!source_retire(inv, pixel, option_is_given(inv, "force"), &version, err))
		return false;
	if (!inv->globals.json) {
		say(inv, SAY_RETIRED, pixel, version);
		return true;
	}
	output_json_begin(&j);
	json_text(&j, "pixel", pixel);
	json_int(&j, "version", version);
	json_text(&j, "stage", stage_name(STAGE_RETIRED));
	output_json_end(inv, &j);
	return true;
}
