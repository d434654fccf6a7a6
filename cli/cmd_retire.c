#include "cli/output.h"
#include "cli/put_words.h"
#include "cli/source.h"
#include "cli/text.h"

bool cmd_retire(struct invocation *inv, struct error *err)
{
	const char *pixel = inv->args[0];
	struct json j = JSON_INIT(&inv->out);
	struct retire_result retired;
	char words[RETIRE_WORDS_MAX];
	if (!source_retire(inv, pixel, option_is_given(inv, "force"), &retired, err))
		return false;
	if (!inv->globals.json) {
		say(inv, "%s", retire_words(pixel, &retired, words));
		return true;
	}
	output_json_begin(&j);
	json_text(&j, "pixel", pixel);
	json_int(&j, "version", retired.version);
	json_text(&j, "stage", stage_name(STAGE_RETIRED));
	json_text(&j, "in_use_by", retired.in_use_by[0] ? retired.in_use_by : NULL);
	output_json_end(inv, &j);
	return true;
}
