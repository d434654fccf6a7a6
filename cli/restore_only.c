#include "cli/restore_only.h"

#include "agent/unlock.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "vault/repair.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST_TEXT_MAX (VERSIONS_MAX * 12)

static const char *list_text(const uint32_t *numbers, size_t count, char ret[LIST_TEXT_MAX])
{
	size_t len = 0;
	ret[0] = '\0';
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(ret + len, LIST_TEXT_MAX - len, i ? ", %u" : "%u", (unsigned)numbers[i]);
	return ret;
}

/* "version 4 of 2026-11-28T10:00:00Z" */
#define VERSION_TEXT_MAX (32 + CLOCK_TEXT_MAX)
static const char *version_text(uint32_t number, int64_t at, char ret[VERSION_TEXT_MAX])
{
	char when[CLOCK_TEXT_MAX];
	if (!number)
		snprintf(ret, VERSION_TEXT_MAX, "no token");
	else if (at)
		snprintf(ret, VERSION_TEXT_MAX, "version %u of %s", (unsigned)number, clock_format(at, when));
	else
		snprintf(ret, VERSION_TEXT_MAX, "version %u", (unsigned)number);
	return ret;
}

static void say_mended(struct invocation *inv, const struct repair *r)
{
	char list[LIST_TEXT_MAX], now[VERSION_TEXT_MAX], then[VERSION_TEXT_MAX];
	if (r->mended_count)
		say_problem(inv, NULL, SAY_ONLY_MENDED, r->pixel, list_text(r->mended, r->mended_count, list));
	if (r->lost_count)
		say_problem(inv, NULL, SAY_ONLY_LOST, r->pixel, list_text(r->lost, r->lost_count, list));
	if (r->ending_count)
		say_problem(inv, NULL, SAY_ONLY_ENDING, r->pixel, list_text(r->ending, r->ending_count, list));
	if (r->others)
		say_problem(inv, NULL, SAY_ONLY_OTHERS, r->pixel, r->others, r->others == 1 ? "" : "s");
	if (r->now == r->then)
		say_problem(inv, NULL, SAY_ONLY_STAYS, r->pixel, version_text(r->now, r->now_at, now));
	else
		say_problem(inv, NULL, SAY_ONLY_CURRENT, r->pixel, version_text(r->then, r->then_at, then),
			    version_text(r->now, r->now_at, now));
}

static void say_returned(struct invocation *inv, const struct repair *r)
{
	char now[VERSION_TEXT_MAX], then[VERSION_TEXT_MAX], newer[VERSION_TEXT_MAX];
	if (r->is_unreadable)
		say_problem(inv, NULL, SAY_ONLY_UNREADABLE, r->pixel);
	say_problem(inv, NULL, SAY_ONLY_RETURNED, r->pixel, version_text(r->then, r->then_at, then),
		    r->is_unreadable ? "unknown" : version_text(r->now, r->now_at, now));
	if (r->newer)
		say_problem(inv, NULL, SAY_ONLY_NEWER, r->pixel, version_text(r->newer, r->newer_at, newer));
}

/* Is there anything to do? */
static bool say_plan(struct invocation *inv, const struct repair *plan, size_t count)
{
	bool has_work = false;
	for (size_t i = 0; i < count; i++) {
		has_work |= plan[i].kind != REPAIR_NOTHING;
		if (plan[i].kind == REPAIR_NOTHING)
			say(inv, SAY_ONLY_WHOLE, plan[i].pixel);
		else if (plan[i].kind == REPAIR_MENDED)
			say_mended(inv, &plan[i]);
		else
			say_returned(inv, &plan[i]);
	}
	return has_work;
}

static void numbers_json(struct json *j, const char *key, const uint32_t *numbers, size_t count)
{
	json_array(j, key);
	for (size_t i = 0; i < count; i++)
		json_int(j, NULL, numbers[i]);
	json_end_array(j);
}

static void tell(struct invocation *inv, const struct vault *v, const struct repair *plan, size_t count, bool is_done)
{
	struct json j = JSON_INIT(&inv->out);
	if (!inv->globals.json) {
		if (is_done)
			say(inv, SAY_ONLY_DONE, inv->settings->vault_path, (unsigned long long)vault_generation(v));
		return;
	}
	output_json_begin(&j);
	json_text(&j, "vault", inv->settings->vault_path);
	json_int(&j, "generation", (int64_t)vault_generation(v));
	json_array(&j, "pixels");
	for (size_t i = 0; i < count; i++) {
		json_object(&j, NULL);
		json_text(&j, "pixel", plan[i].pixel);
		json_text(&j, "was", repair_kind_name(plan[i].kind));
		json_int(&j, "version", plan[i].then);
		json_time(&j, "stored_at", plan[i].then_at);
		numbers_json(&j, "from_backup", plan[i].mended, plan[i].mended_count);
		numbers_json(&j, "given_up", plan[i].lost, plan[i].lost_count);
		numbers_json(&j, "not_renewable", plan[i].ending, plan[i].ending_count);
		json_end_object(&j);
	}
	json_end_array(&j);
	output_json_end(inv, &j);
}

/* Whoever follows the vault takes up what was committed. */
static void tell_of_agent(struct invocation *inv)
{
	struct error ignored;
	if (source_connect(inv, &ignored) && inv->agent)
		say(inv, SAY_ONLY_AGENT);
}

/* The key of the backup mostly is that of the vault; after rotate-key it is not. */
static bool open_present(struct invocation *inv, const struct vault *backup, struct vault **ret, struct error *err)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	scoped(vault_closep) struct vault *v = NULL;
	if (!vault_open(&place, &v, err))
		return false;
	if (vault_unlock_root(v, vault_root_key(backup), err)) {
		*ret = take(v);
		return true;
	}
	return err->code == ERR_WRONG_KEY && unlock_open(inv->settings, term_ask_passphrase, inv, ret, err);
}

static bool do_only(struct invocation *inv, struct vault *v, const struct repair_wish *wish, struct repair *plan,
		    struct error *err)
{
	if (!vault_plan_repair(v, wish, plan, err))
		return false;
	bool has_work = say_plan(inv, plan, wish->count);
	for (size_t i = 0; i < wish->count; i++)
		if (plan[i].is_step_back && !wish->may_step_back)
			return fail(err, ERR_CONFLICT, TXT_ONLY_OLDER, plan[i].pixel);
	if (has_work && (!restore_confirm(inv, ASK_ONLY, err) || !vault_repair(v, wish, plan, err)))
		return false;
	tell(inv, v, plan, wish->count, has_work);
	if (has_work)
		tell_of_agent(inv);
	return true;
}

bool restore_only(struct invocation *inv, struct vault *backup, struct error *err)
{
	scoped(vault_closep) struct vault *v = NULL;
	const struct given *given;
	struct repair_wish wish = { .from = backup, .may_step_back = option_is_given(inv, "older") };
	const char **pixels = calloc(inv->given_count, sizeof *pixels);
	struct repair *plan = calloc(inv->given_count, sizeof *plan);
	bool ok = false;
	wish.pixels = pixels;
	if (!pixels || !plan) {
		(void)!fail_no_memory(err);
	} else {
		for (size_t i = 0; (given = option_next(inv, "only", &i));)
			pixels[wish.count++] = given->text;
		ok = open_present(inv, backup, &v, err) && do_only(inv, v, &wish, plan, err);
	}
	free(pixels);
	free(plan);
	return ok;
}
