#include "agent/objects.h"
#include "cli/handout.h"
#include "cli/output.h"

#include <unistd.h>

static bool print_json(struct invocation *inv, const struct handout *h, struct error *err)
{
	struct json j = JSON_INIT(&inv->out);
	struct token_facts facts = { .pixel = h->credential.pixel,
				     .version = h->version->number,
				     .fingerprint = h->version->fingerprint,
				     .verdict = h->verdict,
				     .proven_at = h->proven_at,
				     .expires_at = h->version->expires_at };
	output_json_begin(&j);
	token_json(&j, &facts, h->token);
	output_json_end(inv, &j);
	return buf_ok(&inv->out, err);
}

static bool print_token(struct invocation *inv, const struct secret *token, struct error *err)
{
	return output_write(inv, secret_reveal(token), err) &&
	       (!isatty(STDOUT_FILENO) || output_write(inv, bytes_of("\n", 1), err));
}

static bool hand_out(struct invocation *inv, const struct handout_request *request, struct error *err)
{
	scoped(handout_done) struct handout h = { .token = NULL };
	if (!handout_take(inv, request, &h, err))
		return false;
	return inv->globals.json ? print_json(inv, &h, err) : print_token(inv, h.token, err);
}

/* An object goes out as the agent wrote it, ended as all of ours are. */
static bool fetch(struct invocation *inv, const struct handout_request *request, struct error *err)
{
	scoped(secret_freep) struct secret *body = NULL;
	if (!handout_fetch(inv, request, inv->globals.json, &body, err))
		return false;
	if (!inv->globals.json)
		return print_token(inv, body, err);
	struct bytes text = secret_reveal(body);
	bool is_ended = text.len && text.at[text.len - 1] == '\n';
	return output_write(inv, text, err) && (is_ended || output_write(inv, bytes_of("\n", 1), err));
}

bool cmd_get(struct invocation *inv, struct error *err)
{
	const struct given *number = option_find(inv, "version");
	struct handout_request request = { .pixel = inv->args[0],
					   .has_number = number != NULL,
					   .number = number ? (uint32_t)number->number : 0,
					   .is_previous = option_is_given(inv, "previous"),
					   .must_be_healthy = option_is_given(inv, "healthy"),
					   .reader = option_text(inv, "as"),
					   .verb = "get" };
	return inv->agent ? fetch(inv, &request, err) : hand_out(inv, &request, err);
}
