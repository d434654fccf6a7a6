#include "cli/output.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

enum removal { REMOVE, RESTORE, DESTROY };

struct job {
	const char *pixel;
	enum removal what;
	int64_t now;
	bool is_nothing; /* it was like this already */
};

static bool destroy(struct change *ch, struct credential *c, const struct job *job, struct error *err)
{
	while (c->version_count) {
		uint32_t number = c->versions[--c->version_count].number;
		if (!change_drop_token(ch, c, number, err))
			return false;
	}
	c->label_count = 0;
	c->test_code[0] = '\0';
	c->is_destroyed = true;
	if (!c->deleted_at)
		c->deleted_at = job->now;
	return change_drop_health(ch, c->pixel, err) && change_store(ch, c, err);
}

static bool apply(void *context, struct change *ch, struct error *err)
{
	static const char *const verbs[] = { [REMOVE] = "remove", [RESTORE] = "restore", [DESTROY] = "destroy" };
	struct job *job = context;
	struct credential c;
	bool exists = false;
	if (!change_find(ch, job->pixel, &c, &exists, err))
		return false;
	if (!exists)
		return fail(err, ERR_NOT_FOUND, TXT_NOT_STORED, job->pixel);
	if (job->what == RESTORE && c.is_destroyed)
		return fail(err, ERR_NOT_FOUND, TXT_DESTROYED, job->pixel);
	bool is_already[] = { [REMOVE] = c.deleted_at != 0, [RESTORE] = c.deleted_at == 0, [DESTROY] = c.is_destroyed };
	job->is_nothing = is_already[job->what];
	if (job->is_nothing)
		return true;
	change_note(ch, verbs[job->what], job->pixel, 0);
	if (job->what == DESTROY)
		return destroy(ch, &c, job, err);
	c.deleted_at = job->what == REMOVE ? job->now : 0;
	return change_store(ch, &c, err);
}

static bool confirm(struct invocation *inv, const char *pixel, struct error *err)
{
	scoped(secret_freep) struct secret *answer = NULL;
	char prompt[sizeof ASK_DESTROY + PIXEL_CODE_MAX];
	if (option_is_given(inv, "yes"))
		return true;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_DESTROY_NEEDS_YES, pixel);
	snprintf(prompt, sizeof prompt, ASK_DESTROY, pixel);
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_ON, .max = 255 };
	if (term_ask(&q, &answer, err) && bytes_equal(secret_reveal(answer), bytes_of_text("yes")))
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_DESTROY_NOT_CONFIRMED, pixel);
}

static void tell(struct invocation *inv, const struct job *job)
{
	switch (job->what) {
	case REMOVE:
		if (job->is_nothing)
			say(inv, SAY_RM_ALREADY, job->pixel);
		else
			say(inv, SAY_RM_DONE, job->pixel, job->pixel);
		break;
	case RESTORE:
		if (job->is_nothing)
			say(inv, SAY_RM_NOT_REMOVED, job->pixel);
		else
			say(inv, SAY_RM_RESTORED, job->pixel);
		break;
	case DESTROY:
		say(inv, SAY_RM_DESTROYED, job->pixel);
		break;
	}
}

bool cmd_rm(struct invocation *inv, struct error *err)
{
	static const char *const states[] = { [REMOVE] = "removed", [RESTORE] = "stored", [DESTROY] = "destroyed" };
	struct job job = { .pixel = inv->args[0], .what = REMOVE, .now = clock_wall() };
	struct credential unused;
	if (option_is_given(inv, "restore"))
		job.what = RESTORE;
	if (option_is_given(inv, "destroy"))
		job.what = DESTROY;
	if (job.what == DESTROY &&
	    (!vault_find(inv->vault, job.pixel, true, &unused, err) || !confirm(inv, job.pixel, err)))
		return false;
	if (!vault_change(inv->vault, apply, &job, err))
		return false;
	tell(inv, &job);
	if (inv->globals.json) {
		struct json j = JSON_INIT(&inv->out);
		output_json_begin(&j);
		json_text(&j, "pixel", job.pixel);
		json_text(&j, "state", states[job.what]);
		output_json_end(inv, &j);
	}
	return true;
}
