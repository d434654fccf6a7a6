/* swap and move: a token that lies under the wrong Pixel goes where it belongs. */
#include "agent/objects.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

static void tell_side(struct invocation *inv, const struct put_result *r)
{
	if (r->stage == STAGE_PENDING)
		say(inv, SAY_SWAP_WAITS, r->pixel, r->version, verdict_name(r->verdict), r->pixel);
	else if (r->stage == STAGE_STANDBY)
		say(inv, SAY_PUT_STANDBY, r->pixel, r->version, verdict_name(r->verdict));
	else if (r->verdict == VERDICT_HEALTHY)
		say(inv, SAY_PUT_HEALTHY, r->pixel, r->version);
	else if (r->verdict == VERDICT_UNPROVEN)
		say(inv, SAY_PUT_UNPROVEN, r->pixel, r->version);
	else
		say(inv, SAY_PUT_NOT_ASKED, r->pixel, r->version, r->pixel);
}

static void tell_moved(struct invocation *inv, const struct swap_result *r)
{
	const struct put_result *from = &r->from;
	if (r->to.is_unchanged)
		say(inv, SAY_MOVE_HELD, r->to.pixel, r->to.version);
	else
		tell_side(inv, &r->to);
	if (from->stage == STAGE_RETIRED)
		say(inv, SAY_MOVE_GONE, from->pixel, from->version);
	else
		say(inv, SAY_MOVE_KEPT, from->pixel, from->version, from->pixel);
}

static void print_json(struct invocation *inv, const struct remote_swap *told)
{
	struct json j = JSON_INIT(&inv->out);
	if (inv->agent) {
		buf_append(&inv->out, told->body.at, told->body.len);
		return;
	}
	output_json_begin(&j);
	swap_json(&j, &told->result);
	output_json_end(inv, &j);
}

static void told_done(struct remote_swap *told)
{
	buf_done(&told->body);
}

static bool swap(struct invocation *inv, bool is_move, struct error *err)
{
	struct swap_request request = { .pixel = inv->args[0],
					.other = inv->args[1],
					.is_move = is_move,
					.no_check = option_is_given(inv, "no-check") };
	scoped(told_done) struct remote_swap told = { .result = { 0 } };
	if (!source_swap(inv, &request, &told, err))
		return false;
	if (inv->globals.json) {
		print_json(inv, &told);
	} else if (is_move) {
		tell_moved(inv, &told.result);
	} else {
		tell_side(inv, &told.result.from);
		tell_side(inv, &told.result.to);
	}
	return true;
}

bool cmd_swap(struct invocation *inv, struct error *err)
{
	return swap(inv, false, err);
}

bool cmd_move(struct invocation *inv, struct error *err)
{
	return swap(inv, true, err);
}
