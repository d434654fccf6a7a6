#include "cli/front.h"

static bool take_token(struct invocation *inv, const struct handout_request *request, struct secret **ret,
		       struct error *err)
{
	scoped(handout_done) struct handout h = { .token = NULL };
	if (inv->agent)
		return run_fetch(inv, request, ret, err);
	if (!handout_take(inv, request, &h, err))
		return false;
	*ret = take(h.token);
	return true;
}

bool cmd_run(struct invocation *inv, struct error *err)
{
	scoped(bindings_done) struct bindings bound = { .at = NULL };
	if (!run_bind(inv, take_token, &bound, err))
		return false;
	/* From here on this process holds only the tokens asked for: no key, no store. */
	vault_leavep(&inv->vault);
	return run_become(inv, &bound, err);
}
