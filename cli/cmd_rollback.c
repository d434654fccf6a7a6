#include "agent/objects.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

static void print_json(struct invocation *inv, const struct remote_put *told)
{
	struct json j = JSON_INIT(&inv->out);
	if (inv->agent) {
		remote_put_json(told, &inv->out);
		return;
	}
	output_json_begin(&j);
	put_json(&j, &told->result);
	output_json_end(inv, &j);
}

static bool tell_refused(struct invocation *inv, const struct put_result *r, struct error *err)
{
	struct error unused;
	struct credential c;
	const struct version *current =
		source_find(inv, r->pixel, false, &c, NULL, &unused) ? credential_staged(&c, STAGE_CURRENT) : NULL;
	return put_refusal(r, current ? current->number : 0, err);
}

static void told_done(struct remote_put *told)
{
	buf_done(&told->body);
}

bool cmd_rollback(struct invocation *inv, struct error *err)
{
	scoped(told_done) struct remote_put told = { .advice = "" };
	if (!source_rollback(inv, inv->args[0], &told, err))
		return false;
	const struct put_result *r = &told.result;
	if (inv->globals.json) {
		print_json(inv, &told);
		inv->exit = (int)r->exit;
		return true;
	}
	if (r->exit != ERR_NONE)
		return tell_refused(inv, r, err);
	say(inv, SAY_ROLLBACK_DONE, r->pixel, r->version, verdict_name(r->verdict));
	return true;
}
