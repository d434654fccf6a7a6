#include "cli/output.h"
#include "cli/text.h"

struct edit {
	const char *pixel;
	struct label labels[LABELS_MAX * 2]; /* some of them may take others away */
	size_t count;
	struct credential result;
};

static bool apply(void *context, struct change *ch, struct error *err)
{
	struct edit *e = context;
	bool exists = false;
	if (!change_find(ch, e->pixel, &e->result, &exists, err))
		return false;
	if (!exists || e->result.deleted_at)
		return fail(err, ERR_NOT_FOUND, TXT_NOT_STORED, e->pixel);
	for (size_t i = 0; i < e->count; i++)
		if (!credential_label(&e->result, &e->labels[i], err))
			return false;
	change_note(ch, "label", e->pixel, 0);
	return change_store(ch, &e->result, err);
}

static bool read_labels(const struct invocation *inv, struct edit *e, struct error *err)
{
	for (size_t i = 1; i < inv->arg_count; i++) {
		if (e->count == COUNT_OF(e->labels))
			return fail(err, ERR_USAGE, TXT_TOO_MANY_LABELS, COUNT_OF(e->labels));
		if (!label_parse(inv->args[i], &e->labels[e->count++], err))
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
	struct edit e = { .pixel = inv->args[0] };
	if (!read_labels(inv, &e, err))
		return false;
	bool is_done = e.count ? vault_change(inv->vault, apply, &e, err)
			       : vault_find(inv->vault, e.pixel, false, &e.result, err);
	if (!is_done)
		return false;
	if (!e.count || inv->globals.json)
		print(inv, &e.result);
	return true;
}
