/* Moves of tokens that are stored already: rollback (which proves first), retire, and what consumers tell us. */
#include "agent/mend.h"
#include "agent/service_own.h"
#include "agent/text.h"
#include "agent/upkeep.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_PAUSE_S 60 /* a Pixel is not asked about more often than that because somebody reports */
#define READERS_NAMED 3   /* of those whom a retirement waits for */

/* ---- rollback ---- */

struct rollback {
	struct job job;
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t version; /* the previous one */
	struct secret *token;
	struct credential credential;
	struct asked asked;
	struct put_result result;
	put_done_fn *done;
	void *context;
	bool is_asked;
};

static bool swap_stages(void *context, struct change *change, struct error *err)
{
	struct rollback *r = context;
	struct credential c;
	struct health h;
	bool exists;
	if (!change_find(change, r->pixel, &c, &exists, err))
		return false;
	const struct version *previous = exists && !c.deleted_at ? credential_staged(&c, STAGE_PREVIOUS) : NULL;
	if (!previous || previous->number != r->version || !credential_rollback(&c, clock_wall()))
		return fail(err, ERR_CONFLICT, TXT_ROLLBACK_MOVED, r->pixel);
	if (!change_store(change, &c, err) || !change_health(change, &c, &h, err))
		return false;
	health_align(&h, &c);
	(void)ruling_write(&h, &c, r->version, RULING_VERDICT, r->asked.finding.outcome, &r->asked.evidence,
			   r->job.service->settings);
	health_remember_in_force(&h, &h.current);
	if (!change_store_health(change, r->pixel, &h, err))
		return false;
	change_note(change, "rollback", r->pixel, r->version);
	r->credential = c;
	return true;
}

static void report_rollback(struct rollback *r)
{
	enum verdict outcome = r->asked.finding.outcome;
	const struct version *v = credential_numbered(&r->credential, r->version);
	struct put_result *ret = &r->result;
	memcpy(ret->pixel, r->pixel, sizeof ret->pixel);
	ret->version = r->version;
	ret->stage = credential_stage_of(&r->credential, r->version);
	ret->verdict = verdict_is_transient(outcome) ? VERDICT_UNCHECKED : outcome;
	ret->was_asked = true;
	ret->outcome = outcome;
	ret->evidence = r->asked.evidence;
	ret->advice = r->asked.finding.advice;
	if (v)
		memcpy(ret->fingerprint, v->fingerprint, FINGERPRINT_LEN);
	ret->exit = verdict_exit(outcome);
	if (ret->exit == ERR_UNCLEAR)
		ret->exit = ERR_UNREACHABLE;
}

static bool rollback_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct rollback *r = (struct rollback *)job;
	struct vault *v = job->service->vault;
	(void)ret_wait_ms;
	if (r->is_asked)
		return true;
	if (!vault_find(v, r->pixel, false, &r->credential, err) || !service_ready(job->service, err))
		return false;
	const struct version *previous = credential_staged(&r->credential, STAGE_PREVIOUS);
	if (!previous)
		return fail(err, ERR_NOT_FOUND, TXT_NO_PREVIOUS_VERSION, r->pixel);
	if (!vault_token(v, &r->credential, previous, "probe", &r->token, err))
		return false;
	r->version = previous->number;
	r->is_asked = true;
	const char *test_code = r->credential.test_code;
	enum probe_kind kind = service_probe_kind(job->service->settings, PROBE_CHOICE_AUTO, test_code);
	job_ask(job, &(struct question){ .kind = kind, .pixel = r->pixel, .test_code = test_code, .token = r->token },
		false);
	return true;
}

static bool rollback_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct rollback *r = (struct rollback *)job;
	enum verdict outcome = asked->finding.outcome;
	(void)err;
	r->asked = *asked;
	if (verdict_is_bad(outcome) || verdict_is_transient(outcome)) {
		report_rollback(r);
		job->is_done = true;
	} else {
		job_commit(job, swap_stages, r);
	}
	return true;
}

static bool rollback_committed(struct job *job, struct error *err)
{
	(void)err;
	report_rollback((struct rollback *)job);
	job->is_done = true;
	return true;
}

static void rollback_end(struct job *job, const struct error *err)
{
	struct rollback *r = (struct rollback *)job;
	r->done(r->context, err ? NULL : &r->result, err);
	secret_free(r->token);
	free(r);
}

static const struct job_ops rollback_ops = {
	.step = rollback_step, .asked = rollback_asked, .committed = rollback_committed, .end = rollback_end
};

static bool start_rollback(struct service *s, const char *pixel, const struct audit_who *who, put_done_fn *done,
			   void *context, struct rollback **ret, struct error *err)
{
	if (!pixel_check(pixel, err))
		return false;
	struct rollback *r = calloc(1, sizeof *r);
	if (!r)
		return fail_no_memory(err);
	memcpy(r->pixel, pixel, strlen(pixel) + 1); /* checked: it fits */
	r->done = done;
	r->context = context;
	job_start(s, &r->job, &rollback_ops, who);
	*ret = r;
	return true;
}

bool service_start_rollback(struct service *s, const char *pixel, const struct audit_who *who, put_done_fn *done,
			    void *context, struct error *err)
{
	struct rollback *unused;
	return start_rollback(s, pixel, who, done, context, &unused, err);
}

bool service_rollback(struct service *s, const char *pixel, struct put_result *ret, struct error *err)
{
	struct put_outcome outcome = { .result = ret, .err = err };
	struct rollback *r;
	if (!start_rollback(s, pixel, NULL, service_keep_outcome, &outcome, &r, err))
		return false;
	service_drive(s, &r->job);
	return outcome.is_done;
}

/* ---- retire ---- */

struct reader_search {
	uint32_t version;
	size_t count;
	char *names;
};

static bool find_reader(void *context, const struct read_mark *mark, struct error *err)
{
	struct reader_search *search = context;
	size_t len = strlen(search->names);
	(void)err;
	if (mark->version != search->version)
		return true;
	if (search->count++ < READERS_NAMED)
		snprintf(search->names + len, SERVICE_READERS_MAX - len, "%s%s", len ? ", " : "", mark->name);
	return true;
}

bool service_readers_of(struct service *s, const char *pixel, uint32_t version, char ret[SERVICE_READERS_MAX],
			struct error *err)
{
	struct reader_search search = { .version = version, .names = ret };
	ret[0] = '\0';
	if (!vault_each_mark(s->vault, pixel, find_reader, &search, err))
		return false;
	size_t len = strlen(ret);
	if (search.count > READERS_NAMED)
		snprintf(ret + len, SERVICE_READERS_MAX - len, " and %zu more", search.count - READERS_NAMED);
	return true;
}

void service_find_user(struct service *s, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel,
		       char ret_pixel[PIXEL_CODE_MAX + 1])
{
	struct credential c;
	struct health h;
	struct error ignored;
	/* The first that is known may hold it as a stray, the next for good. */
	for (size_t n = 0;; n++) {
		vault_nth_duplicate(s->vault, fingerprint, not_pixel, n, ret_pixel);
		if (!ret_pixel[0] ||
		    (vault_find(s->vault, ret_pixel, false, &c, &ignored) && vault_health(s->vault, &c, &h, &ignored) &&
		     mend_used(&(struct holder){ &c, &h }, fingerprint)))
			return;
	}
}

bool service_take_away(struct service *s, struct change *change, struct credential *c, uint32_t version,
		       char ret_in_use_by[PIXEL_CODE_MAX + 1], struct error *err)
{
	const struct version *v = credential_numbered(c, version);
	int64_t now = clock_wall();
	service_find_user(s, v->fingerprint, c->pixel, ret_in_use_by);
	change_note(change, "retire", c->pixel, version);
	if (!credential_retire(c, version, now))
		return fail(err, ERR_CONFLICT, TXT_ROLLBACK_MOVED, c->pixel);
	if (ret_in_use_by[0] && (!credential_forget(c, version, false, now) || !change_drop_token(change, c, version, err)))
		return false;
	return change_store(change, c, err);
}

struct retirement {
	struct service *service;
	const char *pixel;
	struct retire_result *result;
	int64_t retire_by; /* as stored; 0 = it is retired */
	bool is_at_once;
};

static bool retire(void *context, struct change *change, struct error *err)
{
	struct retirement *r = context;
	struct credential c;
	bool exists;
	if (!change_find(change, r->pixel, &c, &exists, err))
		return false;
	struct version *v = exists && !c.deleted_at ? credential_at_stage(&c, STAGE_PREVIOUS) : NULL;
	if (!v || v->number != r->result->version)
		return fail(err, ERR_CONFLICT, TXT_ROLLBACK_MOVED, r->pixel);
	if (r->is_at_once)
		return service_take_away(r->service, change, &c, v->number, r->result->in_use_by, err);
	/* Asking once more does not give more time. */
	r->retire_by = v->retire_by ? v->retire_by : clock_wall() + r->service->settings->grace_s;
	if (v->retire_by)
		return true;
	v->retire_by = r->retire_by;
	change_note(change, "retire-by", r->pixel, v->number);
	return change_store(change, &c, err);
}

bool service_retire(struct service *s, const char *pixel, bool is_forced, struct retire_result *ret, struct error *err)
{
	struct credential c;
	char names[SERVICE_READERS_MAX], text[CLOCK_TEXT_MAX];
	if (!vault_find(s->vault, pixel, false, &c, err))
		return false;
	const struct version *previous = credential_staged(&c, STAGE_PREVIOUS);
	*ret = (struct retire_result){ .version = previous ? previous->number : 0 };
	if (!previous && credential_taken(&c)) {
		ret->version = credential_taken(&c)->number; /* done already, perhaps by the agent a moment ago */
		return true;
	}
	if (!previous)
		return fail(err, ERR_NOT_FOUND, TXT_NO_PREVIOUS_VERSION, pixel);
	struct health h;
	if (!vault_health(s->vault, &c, &h, err))
		return false;
	if (!is_forced && upkeep_is_needed(&c, &h))
		return fail(err, ERR_CONFLICT, TXT_RETIRE_NEEDED, previous->number, pixel);
	if (!is_forced && upkeep_is_unjudged(&c, &h))
		return fail(err, ERR_CONFLICT, TXT_RETIRE_UNJUDGED, pixel, previous->number);
	struct retirement r = { .service = s, .pixel = pixel, .result = ret };
	if (!service_readers_of(s, pixel, ret->version, names, err))
		return false;
	bool is_over = previous->retire_by && service_sure_now(s) >= previous->retire_by;
	r.is_at_once = is_forced || !names[0] || !s->settings->grace_s || is_over;
	if (!vault_change(s->vault, retire, &r, err))
		return false;
	return r.is_at_once ? true : fail(err, ERR_CONFLICT, TXT_RETIRE_WAITS, ret->version, pixel, names,
				    clock_format(r.retire_by, text));
}

/* ---- what upkeep did, in words ---- */

void upkeep_sentence(const struct upkeep_news *n, char *ret, size_t size, bool *ret_is_warning)
{
	bool is_shared = n->in_use_by[0];
	*ret_is_warning = !is_shared && n->what != UPKEEP_FOUND_DEAD;
	if (is_shared) {
		snprintf(ret, size, UPKEEP_SAYS_SHARED, n->pixel, n->version, n->in_use_by);
		return;
	}
	switch (n->what) {
	case UPKEEP_FAILED_OVER:
		snprintf(ret, size, UPKEEP_SAYS_FAILED_OVER, n->pixel, n->version, n->instead_of, verdict_name(n->verdict));
		break;
	case UPKEEP_TAKEN:
		snprintf(ret, size, UPKEEP_SAYS_TAKEN, n->pixel, n->version);
		break;
	case UPKEEP_FOUND_DEAD:
		snprintf(ret, size, UPKEEP_SAYS_DEAD, n->pixel, n->version);
		break;
	case UPKEEP_PURGED:
		snprintf(ret, size, UPKEEP_SAYS_PURGED, n->pixel, n->version);
		break;
	case UPKEEP_NOTHING:
		ret[0] = '\0';
	}
}

/* ---- labels ---- */

struct labelling {
	const char *pixel;
	const struct label *labels;
	size_t count;
	struct credential *ret;
};

static bool set_labels(void *context, struct change *ch, struct error *err)
{
	struct labelling *l = context;
	bool exists;
	if (!change_find(ch, l->pixel, l->ret, &exists, err))
		return false;
	if (!exists || l->ret->deleted_at)
		return fail(err, ERR_NOT_FOUND, TXT_NOT_STORED, l->pixel);
	for (size_t i = 0; i < l->count; i++)
		if (!credential_label(l->ret, &l->labels[i], err))
			return false;
	change_note(ch, "label", l->pixel, 0);
	return change_store(ch, l->ret, err);
}

bool service_label(struct service *s, const char *pixel, const struct label *labels, size_t count,
		   struct credential *ret, struct error *err)
{
	struct labelling l = { pixel, labels, count, ret };
	return vault_change(s->vault, set_labels, &l, err);
}

/* ---- removal ---- */

struct removing {
	struct service *service;
	const char *pixel;
	enum service_removal what;
	bool is_nothing;
};

static bool destroy(struct change *ch, struct credential *c, struct error *err)
{
	while (c->version_count) {
		uint32_t number = c->versions[--c->version_count].number;
		if (!change_drop_token(ch, c, number, err))
			return false;
	}
	c->label_count = c->gone_count = 0;
	credential_want_new(c, false, 0);
	c->test_code[0] = '\0';
	c->is_destroyed = true;
	if (!c->deleted_at)
		c->deleted_at = clock_wall();
	return change_drop_health(ch, c->pixel, err) && change_store(ch, c, err);
}

/* Its pair may have been put under another Pixel while it was away: each renewal for one would end that of the other. */
static bool may_come_back(struct service *s, struct change *ch, const struct credential *c, struct error *err)
{
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		bool is_shared;
		if (v->stage == STAGE_RETIRED || !version_has_grant(v))
			continue;
		if (!service_renewed_elsewhere(s, ch, v->renewal.fingerprint, c->pixel, &is_shared, err))
			return false;
		if (is_shared)
			return fail(err, ERR_CONFLICT, TXT_RESTORE_SHARED_PAIR, c->pixel);
	}
	return true;
}

static bool apply_removal(void *context, struct change *ch, struct error *err)
{
	static const char *const verbs[] = { [REMOVAL_SOFT] = "remove",
					     [REMOVAL_UNDO] = "restore",
					     [REMOVAL_DESTROY] = "destroy" };
	struct removing *r = context;
	struct credential c;
	bool exists;
	if (!change_find(ch, r->pixel, &c, &exists, err))
		return false;
	if (!exists)
		return fail(err, ERR_NOT_FOUND, TXT_NOT_STORED, r->pixel);
	if (r->what == REMOVAL_UNDO && c.is_destroyed)
		return fail(err, ERR_NOT_FOUND, TXT_DESTROYED, r->pixel);
	r->is_nothing = r->what == REMOVAL_SOFT   ? c.deleted_at != 0
			: r->what == REMOVAL_UNDO ? c.deleted_at == 0
						  : c.is_destroyed;
	if (r->is_nothing)
		return true;
	if (r->what == REMOVAL_UNDO && !may_come_back(r->service, ch, &c, err))
		return false;
	change_note(ch, verbs[r->what], r->pixel, 0);
	if (r->what == REMOVAL_DESTROY)
		return destroy(ch, &c, err);
	c.deleted_at = r->what == REMOVAL_SOFT ? clock_wall() : 0;
	return change_store(ch, &c, err);
}

bool service_remove(struct service *s, const char *pixel, enum service_removal what, bool *ret_was_nothing, struct error *err)
{
	struct removing r = { .service = s, .pixel = pixel, .what = what };
	if (!vault_change(s->vault, apply_removal, &r, err))
		return false;
	*ret_was_nothing = r.is_nothing;
	return true;
}

/* ---- what consumers tell us ---- */

bool service_ack(struct service *s, const char *pixel, uint32_t version, const struct audit_who *who, struct error *err)
{
	struct credential c;
	struct read_mark mark = {
		.version = version, .at = clock_wall(), .is_acked = true, .has_uid = true, .uid = who->uid
	};
	if (!vault_find(s->vault, pixel, false, &c, err))
		return false;
	if (!credential_numbered(&c, version))
		return fail(err, ERR_NOT_FOUND, TXT_ACK_NO_VERSION, version, pixel);
	text_copy(mark.name, sizeof mark.name, who->as);
	return vault_mark_read(s->vault, pixel, &mark, err);
}

/* Whether the Pixel was checked a moment ago for another reason does not count: whoever reports saw something newer. */
static bool note_report(struct service *s, const char *pixel, bool *ret_is_recent, struct error *err)
{
	struct health_update update = { 0 };
	struct credential c;
	int64_t now = clock_wall();
	if (!vault_find(s->vault, pixel, false, &c, err) || !vault_health(s->vault, &c, &update.health, err))
		return false;
	int64_t passed_s = now - update.health.reported_at;
	*ret_is_recent = passed_s >= 0 && passed_s < REPORT_PAUSE_S;
	if (*ret_is_recent)
		return true;
	memcpy(update.pixel, c.pixel, sizeof update.pixel);
	update.health.reported_at = now;
	struct error why;
	return service_tolerate(s, vault_store_health(s->vault, &update, 1, &why), &why, err);
}

bool service_report(struct service *s, const char *pixel, bool *ret_is_recent, struct error *err)
{
	if (!vault_hold(s->vault, err))
		return false;
	bool is_done = note_report(s, pixel, ret_is_recent, err);
	vault_release(s->vault);
	return is_done;
}
