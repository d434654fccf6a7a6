#include "cli/output.h"
#include "cli/text.h"

#include <string.h>

/* The runner has read the settings already: whatever is wrong with them was said by then. */
static void check(struct invocation *inv)
{
	struct json j = JSON_INIT(&inv->out);
	say(inv, SAY_CONFIG_FINE);
	if (!inv->globals.json)
		return;
	output_json_begin(&j);
	json_bool(&j, "valid", true);
	output_json_end(inv, &j);
}

static void show(struct invocation *inv)
{
	struct json j = JSON_INIT(&inv->out);
	if (!inv->globals.json) {
		settings_show(inv->settings, &inv->out);
		return;
	}
	output_json_begin(&j);
	settings_show_json(inv->settings, &j);
	output_json_end(inv, &j);
}

bool cmd_config(struct invocation *inv, struct error *err)
{
	static const struct {
		const char *name;
		void (*run)(struct invocation *inv);
	} actions[] = { { "check", check }, { "show", show } };
	for (size_t i = 0; i < COUNT_OF(actions); i++)
		if (strcmp(inv->args[0], actions[i].name) == 0) {
			actions[i].run(inv);
			return true;
		}
	return fail(err, ERR_USAGE, TXT_CONFIG_ACTION);
}
