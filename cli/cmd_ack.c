#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

bool cmd_ack(struct invocation *inv, struct error *err)
{
	const char *pixel = inv->args[0], *as = option_text(inv, "as");
	char name[CONSUMER_NAME_MAX + 1];
	const struct given *number = option_find(inv, "version");
	struct json j = JSON_INIT(&inv->out);
	if (!number)
		return fail(err, ERR_USAGE, TXT_ACK_INCOMPLETE);
	uint32_t version = (uint32_t)number->number;
	if (!source_ack(inv, pixel, version, as, name, err))
		return false;
	if (!inv->globals.json)
		return true;
	output_json_begin(&j);
	json_text(&j, "pixel", pixel);
	json_int(&j, "version", version);
	json_text(&j, "as", name);
	output_json_end(inv, &j);
	return true;
}
