#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

#define EDITS_MAX (LABELS_MAX * 2) /* some of them may take others away */

static bool read_labels(const struct invocation *inv, struct label ret[EDITS_MAX], size_t *ret_count, struct error *err)
{
	for (size_t i = 1; i < inv->arg_count; i++) {
		if (*ret_count == EDITS_MAX)
			return fail(err, ERR_USAGE, TXT_TOO_MANY_LABELS, (size_t)EDITS_MAX);
		if (!label_parse(inv->args[i], &ret[(*ret_count)++], err))
			return false;
	}
	return true;
}

static void print(struct invocation *inv, const struct credential *c)
{
	struct json j = JSON_INIT(&inv->out);
	if (!inv->globals.json) {
		for (size_t i = 0; i < c->label_count; i++)
			buf_printf(&inv->out, "%s=%s\n", c->labels[i].key, c->labels[i].value);
		return;
	}
	output_json_begin(&j);
	json_text(&j, "pixel", c->pixel);
	json_object(&j, "labels");
	for (size_t i = 0; i < c->label_count; i++)
		json_text(&j, c->labels[i].key, c->labels[i].value);
	json_end_object(&j);
	output_json_end(inv, &j);
}

bool cmd_label(struct invocation *inv, struct error *err)
{
	struct label labels[EDITS_MAX];
	struct credential c;
	size_t count = 0;
	if (!read_labels(inv, labels, &count, err))
		return false;
	if (count ? !source_label(inv, inv->args[0], labels, count, &c, err)
		  : !source_find(inv, inv->args[0], false, &c, NULL, err))
		return false;
	if (!count || inv->globals.json)
		print(inv, &c);
	return true;
}
