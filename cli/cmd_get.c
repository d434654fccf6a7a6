#include "agent/objects.h"
#include "cli/front.h"
#include "cli/output.h"

static bool print_json(struct invocation *inv, const struct handout *h, struct error *err)
{
	struct json j = JSON_INIT(&inv->out);
	struct token_facts facts = { .pixel = h->credential.pixel,
				     .version = h->version->number,
				     .fingerprint = h->version->fingerprint,
				     .verdict = h->verdict,
				     .proven_at = h->proven_at,
				     .expires_at = version_ends_at(h->version) };
	output_json_begin(&j);
	token_json(&j, &facts, h->token);
	output_json_end(inv, &j);
	return buf_ok(&inv->out, err);
}

static bool hand_out(struct invocation *inv, const struct handout_request *request, struct error *err)
{
	scoped(handout_done) struct handout h = { .token = NULL };
	if (!handout_take(inv, request, &h, err))
		return false;
	return inv->globals.json ? print_json(inv, &h, err) : get_print(inv, h.token, err);
}

bool cmd_get(struct invocation *inv, struct error *err)
{
	struct handout_request request = get_request(inv);
	return inv->agent ? get_fetch(inv, err) : hand_out(inv, &request, err);
}
