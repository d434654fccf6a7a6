/* restore: a backup becomes the vault, once a person has seen what that costs. */
#include "agent/unlock.h"
#include "cli/output.h"
#include "cli/restore_only.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "vault/backup.h"
#include "vault/bundle.h"

#define LOSSES_SHOWN 20

struct losses {
	struct invocation *inv;
	uint64_t pixels; /* that lose something */
};

static void say_fault(void *context, const char *sentence)
{
	say_problem(context, NULL, "%s", sentence);
}

static void say_loss(void *context, const char *pixel, uint64_t versions, bool is_whole)
{
	struct losses *l = context;
	if (l->pixels++ >= LOSSES_SHOWN)
		return;
	if (is_whole)
		say_problem(l->inv, NULL, SAY_RESTORE_LOSES_PIXEL, pixel);
	else
		say_problem(l->inv, NULL, SAY_RESTORE_LOSES, (unsigned long long)versions, pixel);
}

static void say_plan(struct invocation *inv, const struct restore_plan *plan, const struct losses *losses)
{
	char when[2][CLOCK_TEXT_MAX];
	(void)clock_format(plan->backup.newest_at, when[0]);
	(void)clock_format(plan->now.newest_at, when[1]);
	say_problem(inv, NULL, SAY_RESTORE_BACKUP, (unsigned long long)plan->backup.generation,
		    (unsigned long long)plan->backup.pixels, plan->backup.newest_at ? when[0] : "never");
	if (!plan->is_now_there)
		say_problem(inv, NULL, SAY_RESTORE_NONE, inv->settings->vault_path);
	else if (!plan->is_now_known)
		say_problem(inv, NULL, SAY_RESTORE_UNKNOWN, plan->why.message);
	else
		say_problem(inv, NULL, SAY_RESTORE_NOW, (unsigned long long)plan->now.generation,
			    (unsigned long long)plan->now.pixels, plan->now.newest_at ? when[1] : "never");
	if (losses->pixels > LOSSES_SHOWN)
		say_problem(inv, NULL, SAY_RESTORE_LOSES_MORE, (unsigned long long)losses->pixels - LOSSES_SHOWN);
	if (plan->is_now_known && !losses->pixels)
		say_problem(inv, NULL, SAY_RESTORE_LOSES_NOTHING);
}

bool restore_confirm(struct invocation *inv, const char *prompt, struct error *err)
{
	scoped(secret_freep) struct secret *answer = NULL;
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_ON, .max = 255 };
	if (option_is_given(inv, "yes"))
		return true;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_RESTORE_NEEDS_YES);
	if (term_ask(&q, &answer, err) && bytes_equal(secret_reveal(answer), bytes_of_text("yes")))
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_RESTORE_NOT_CONFIRMED);
}

/* It has the replaced file open and would hand out what is in that one. */
static void lock_agent(struct invocation *inv)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	struct error why;
	if (!source_connect(inv, &why) || !inv->agent)
		return;
	buf_append_text(&target, "/v1/lock");
	/* It may have noticed by itself already. */
	if (remote_order(inv->agent, "POST", &target, NULL, &body, &why) || why.code == ERR_LOCKED)
		say(inv, SAY_RESTORE_AGENT_LOCKED);
	else
		say_problem(inv, why.hint, SAY_RESTORE_AGENT_OLD, why.message);
	buf_done(&body);
}

static void tell(struct invocation *inv, const struct vault *v, const struct restore_plan *plan, const char *kept)
{
	struct json j = JSON_INIT(&inv->out);
	if (!inv->globals.json) {
		say(inv, SAY_RESTORED, inv->settings->vault_path, (unsigned long long)vault_generation(v));
		if (kept[0])
			say(inv, SAY_RESTORE_KEPT, kept);
		return;
	}
	output_json_begin(&j);
	json_text(&j, "vault", inv->settings->vault_path);
	json_int(&j, "generation", (int64_t)vault_generation(v));
	json_int(&j, "pixels", (int64_t)plan->backup.pixels);
	json_text(&j, "kept", kept[0] ? kept : NULL);
	json_int(&j, "lost_pixels", (int64_t)plan->lost_pixels);
	json_int(&j, "lost_versions", (int64_t)plan->lost_versions);
	output_json_end(inv, &j);
}

bool cmd_restore(struct invocation *inv, struct error *err)
{
	struct vault_place place = { .path = inv->settings->vault_path, .state_dir = inv->settings->state_dir };
	scoped(vault_unstagep) struct vault *staged = NULL;
	struct verify_report proof;
	struct restore_plan plan;
	struct losses losses = { .inv = inv };
	char kept[PATH_MAX] = "";
	bool is_only = option_is_given(inv, "only");
	if (option_is_given(inv, "older") && !is_only)
		return fail(err, ERR_USAGE, TXT_RESTORE_OLDER_ALONE);
	if (!bundle_refuse(inv->args[0], err) || !vault_stage(inv->args[0], &place, &staged, err) ||
	    !unlock_with_any(staged, inv->settings, term_ask_passphrase, inv, err) ||
	    !vault_verify(staged, say_fault, inv, &proof, err))
		return false;
	if (is_only)
		return restore_only(inv, staged, err);
	if (!vault_plan_restore(staged, &place, say_loss, &losses, &plan, err))
		return false;
	say_plan(inv, &plan, &losses);
	if (!restore_confirm(inv, ASK_RESTORE, err) || !vault_install(staged, &place, kept, err))
		return false;
	tell(inv, staged, &plan, kept);
	lock_agent(inv);
	return true;
}
