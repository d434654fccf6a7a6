/* unlock and lock: the key work is done here, in the process of the one who knows the passphrase; the agent is given the
 * root key and proves it. */
#include "agent/unlock.h"
#include "cli/key_work.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"

static void print_json(struct invocation *inv, bool is_locked)
{
	struct json j = JSON_INIT(&inv->out);
	if (!inv->globals.json)
		return;
	output_json_begin(&j);
	json_bool(&j, "locked", is_locked);
	output_json_end(inv, &j);
}

/* Where this account may not even read the vault, the agent can still try its own key file or credential. */
static bool is_for_the_agent(const struct error *why)
{
	return why->code == ERR_LOCKED || why->code == ERR_NOT_FOUND || why->code == ERR_DENIED ||
	       why->code == ERR_STORAGE;
}

bool cmd_unlock(struct invocation *inv, struct error *err)
{
	const struct given *span = option_find(inv, "for");
	int64_t for_s = span ? span->number : 0;
	struct error why = { .code = ERR_NONE }, its = { .code = ERR_NONE };
	if (!source_demand_agent(inv, err))
		return false;
	if (unlock_open(inv->settings, term_ask_passphrase, inv, &inv->vault, &why)) {
		if (!remote_unlock(inv->agent, vault_root_key(inv->vault), for_s, err))
			return false;
		say_cheap_key(inv);
	} else if (!is_for_the_agent(&why) || !remote_unlock(inv->agent, NULL, for_s, &its)) {
		*err = its.code == ERR_NONE || its.code == ERR_LOCKED ? why : its;
		return false;
	}
	print_json(inv, false);
	if (!inv->globals.json)
		say(inv, "%s", for_s ? SAY_UNLOCKED_FOR : SAY_UNLOCKED);
	return true;
}

bool cmd_lock(struct invocation *inv, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	if (!source_demand_agent(inv, err))
		return false;
	buf_append_text(&target, "/v1/lock");
	bool is_done = remote_order(inv->agent, "POST", &target, NULL, &body, err);
	buf_done(&body);
	if (!is_done)
		return false;
	print_json(inv, true);
	if (!inv->globals.json)
		say(inv, "%s", SAY_LOCKED);
	return true;
}
