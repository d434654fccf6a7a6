/* Versions on their way out: failover to the previous one, the end of a retirement, and what becomes of a token that
 * nobody is given any more (agent/upkeep.h says what is due). One Pixel a job; each step of it is one commit, so whoever
 * comes next goes on where this one was killed. */
#include "agent/service_own.h"
#include "agent/text.h"
#include "agent/upkeep.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

struct upkeep {
	struct job job;
	char pixel[PIXEL_CODE_MAX + 1];
	service_told_fn *told;
	upkeep_done_fn *done;
	void *context;
	struct credential credential;
	struct health health;
	uint32_t version;      /* the one that is asked about, or moved */
	uint32_t dead;         /* failover: the current one */
	enum verdict verdict;  /* its verdict */
	uint32_t tried; /* the last version that was asked whether it can stand in */
	struct secret *token;
	struct asked asked;
	struct upkeep_news news; /* what the commit in hand will have done; what = UPKEEP_NOTHING: nothing to tell */
};

static struct upkeep *upkeep_of(struct job *job)
{
	return (struct upkeep *)job;
}

/* ---- commits: all of it is read again, as somebody may have been faster ---- */

static bool read_again(struct upkeep *u, struct change *ch, bool *ret_exists, struct error *err)
{
	u->news.what = UPKEEP_NOTHING;
	if (!change_find(ch, u->pixel, &u->credential, ret_exists, err) ||
	    (*ret_exists && !change_health(ch, &u->credential, &u->health, err)))
		return false;
	*ret_exists = *ret_exists && !u->credential.deleted_at;
	return true;
}

static void will_tell(struct upkeep *u, enum upkeep_what what, uint32_t version, uint32_t instead_of, enum verdict verdict)
{
	u->news = (struct upkeep_news){ .what = what, .version = version, .instead_of = instead_of, .verdict = verdict };
	memcpy(u->news.pixel, u->pixel, sizeof u->news.pixel);
}

static bool fail_over(void *context, struct change *ch, struct error *err)
{
	struct upkeep *u = context;
	struct credential *c = &u->credential;
	bool exists;
	if (!read_again(u, ch, &exists, err))
		return false;
	const struct version *current = exists ? credential_staged(c, STAGE_CURRENT) : NULL;
	const struct version *stand_in = exists ? upkeep_stand_in(c, &u->health) : NULL;
	if (!current || current->number != u->dead || !stand_in || stand_in->number != u->version ||
	    !credential_bring_in(c, u->version, clock_wall()))
		return true;
	/* A stand-in has none behind it. */
	if (!c->rotate_since)
		credential_want_new(c, true, clock_wall());
	health_align(&u->health, c);
	(void)ruling_write(&u->health, c, u->version, RULING_VERDICT, u->asked.finding.outcome, &u->asked.evidence,
			   u->job.service->settings);
	health_remember_in_force(&u->health, &u->health.current);
	change_note(ch, "failover", u->pixel, u->version);
	will_tell(u, UPKEEP_FAILED_OVER, u->version, u->dead, u->verdict);
	return change_store(ch, c, err) && change_store_health(ch, u->pixel, &u->health, err);
}

static bool take_away(void *context, struct change *ch, struct error *err)
{
	struct upkeep *u = context;
	bool exists;
	if (!read_again(u, ch, &exists, err))
		return false;
	const struct version *v = exists ? credential_numbered(&u->credential, u->version) : NULL;
	if (!v || !v->retire_by || upkeep_is_needed(&u->credential, &u->health))
		return true;
	will_tell(u, UPKEEP_TAKEN, u->version, 0, VERDICT_UNCHECKED);
	return service_take_away(u->job.service, ch, &u->credential, u->version, u->news.in_use_by, err);
}

static bool forget(struct upkeep *u, struct change *ch, bool is_dead, struct error *err)
{
	if (!credential_forget(&u->credential, u->version, is_dead, clock_wall()))
		return true;
	health_align(&u->health, &u->credential);
	change_note(ch, "purge", u->pixel, u->version);
	will_tell(u, is_dead ? UPKEEP_FOUND_DEAD : UPKEEP_PURGED, u->version, 0, VERDICT_UNCHECKED);
	return change_drop_token(ch, &u->credential, u->version, err) && change_store(ch, &u->credential, err) &&
	       change_store_health(ch, u->pixel, &u->health, err);
}

static bool purge(void *context, struct change *ch, struct error *err)
{
	struct upkeep *u = context;
	char in_use_by[PIXEL_CODE_MAX + 1] = "";
	bool exists;
	if (!read_again(u, ch, &exists, err))
		return false;
	if (!exists)
		return true;
	const struct version *v = credential_numbered(&u->credential, u->version);
	if (v)
		service_find_user(u->job.service, v->fingerprint, u->pixel, in_use_by);
	if (!forget(u, ch, false, err))
		return false;
	memcpy(u->news.in_use_by, in_use_by, sizeof in_use_by);
	return true;
}

/* What TikTok said of a version that is not current; of a retired one perhaps the last word. */
static bool note_answer(void *context, struct change *ch, struct error *err)
{
	struct upkeep *u = context;
	bool exists;
	if (!read_again(u, ch, &exists, err))
		return false;
	const struct version *v = exists ? credential_numbered(&u->credential, u->version) : NULL;
	if (!v || v->stage == STAGE_CURRENT || v->stage == STAGE_PENDING)
		return true;
	bool is_dead = upkeep_note_answer(&u->health, v, u->asked.finding.outcome, u->job.service->settings,
					  clock_wall());
	if (is_dead && v->stage == STAGE_RETIRED)
		return forget(u, ch, true, err);
	change_note(ch, "verdict", u->pixel, u->version);
	return change_store_health(ch, u->pixel, &u->health, err);
}

/* ---- steps ---- */

static bool ask_about(struct upkeep *u, const struct version *v, struct error *err)
{
	const char *test_code = u->credential.test_code;
	enum probe_kind kind = service_probe_kind(u->job.service->settings, PROBE_CHOICE_AUTO, test_code);
	u->version = v->number;
	secret_freep(&u->token);
	if (!service_ready(u->job.service, err) ||
	    !vault_token(u->job.service->vault, &u->credential, v, "probe", &u->token, err))
		return false;
	job_ask(&u->job,
		&(struct question){
			.kind = kind, .is_fresh = true, .pixel = u->pixel, .test_code = test_code, .token = u->token },
		false);
	return true;
}

/* True: a question is on its way. */
static bool begin_failover(struct upkeep *u, bool *ret_asks, struct error *err)
{
	const struct version *stand_in = upkeep_stand_in(&u->credential, &u->health);
	const struct settings *settings = u->job.service->settings;
	*ret_asks = stand_in && settings->failover && stand_in->number != u->tried &&
		    upkeep_stand_in_at(stand_in, &u->health, settings, clock_wall()) <= clock_wall();
	if (!*ret_asks)
		return true;
	u->tried = stand_in->number;
	u->dead = u->health.current.version;
	u->verdict = u->health.current.verdict;
	return ask_about(u, stand_in, err);
}

/* Has everybody moved on, or is the time over? */
static bool may_take_away(struct upkeep *u, bool *ret, struct error *err)
{
	char names[SERVICE_READERS_MAX];
	*ret = false;
	if (upkeep_is_needed(&u->credential, &u->health))
		return true;
	for (size_t i = 0; i < u->credential.version_count && !*ret; i++) {
		const struct version *v = &u->credential.versions[i];
		if (!v->retire_by)
			continue;
		u->version = v->number;
		if (!service_readers_of(u->job.service, u->pixel, v->number, names, err))
			return false;
		*ret = !names[0] || service_sure_now(u->job.service) >= v->retire_by;
	}
	return true;
}

/* Given to another Pixel since it was taken away here: it will not die, and must not. */
static bool is_of_another(struct upkeep *u, const struct version *v)
{
	char other[PIXEL_CODE_MAX + 1];
	service_find_user(u->job.service, v->fingerprint, u->pixel, other);
	return other[0];
}

static bool step_idle(struct upkeep *u, struct error *err)
{
	int64_t sure_now = service_sure_now(u->job.service);
	for (size_t i = 0; i < u->credential.version_count; i++) {
		const struct version *v = &u->credential.versions[i];
		enum upkeep_end due = upkeep_of_idle(v, &u->health, u->job.service->settings, clock_wall(), sure_now);
		bool is_elsewhere = due == UPKEEP_ASK && v->stage == STAGE_RETIRED && is_of_another(u, v);
		switch (is_elsewhere ? UPKEEP_DELETE : due) {
		case UPKEEP_DELETE:
			u->version = v->number;
			job_commit(&u->job, purge, u);
			return true;
		case UPKEEP_ASK:
			return ask_about(u, v, err);
		case UPKEEP_LEAVE:
			break;
		}
	}
	u->job.is_done = true;
	return true;
}

static bool upkeep_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct upkeep *u = upkeep_of(job);
	struct vault *v = job->service->vault;
	bool goes_on;
	(void)ret_wait_ms;
	u->dead = 0;
	if (!vault_find(v, u->pixel, false, &u->credential, err) ||
	    !vault_health(v, &u->credential, &u->health, err) || !begin_failover(u, &goes_on, err))
		return false;
	if (goes_on)
		return true;
	if (!may_take_away(u, &goes_on, err))
		return false;
	if (goes_on) {
		job_commit(job, take_away, u);
		return true;
	}
	return step_idle(u, err);
}

static bool upkeep_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct upkeep *u = upkeep_of(job);
	enum verdict outcome = asked->finding.outcome;
	(void)err;
	u->asked = *asked;
	secret_freep(&u->token);
	if (u->dead && !verdict_is_bad(outcome) && !verdict_is_transient(outcome))
		job_commit(job, fail_over, u);
	else if (asked->was_called)
		job_commit(job, note_answer, u);
	else
		job->is_done = true; /* TikTok wants to be left alone for now */
	return true;
}

static bool upkeep_committed(struct job *job, struct error *err)
{
	struct upkeep *u = upkeep_of(job);
	(void)err;
	if (u->news.what != UPKEEP_NOTHING && u->told)
		u->told(u->context, &u->news);
	/* Transient trouble would meet the next question as well. */
	job->is_done = u->news.what == UPKEEP_NOTHING && verdict_is_transient(u->asked.finding.outcome);
	return true;
}

static void upkeep_end(struct job *job, const struct error *err)
{
	struct upkeep *u = upkeep_of(job);
	u->done(u->context, u->pixel, err);
	secret_free(u->token);
	free(u);
}

static const struct job_ops upkeep_ops = {
	.step = upkeep_step, .asked = upkeep_asked, .committed = upkeep_committed, .end = upkeep_end
};

/* ---- starting ---- */

static bool start(struct service *s, const char *pixel, service_told_fn *told, upkeep_done_fn *done, void *context,
		  struct upkeep **ret, struct error *err)
{
	struct upkeep *u = calloc(1, sizeof *u);
	if (!u)
		return fail_no_memory(err);
	memcpy(u->pixel, pixel, strlen(pixel) + 1); /* a stored one: it fits */
	u->told = told;
	u->done = done;
	u->context = context;
	job_start(s, &u->job, &upkeep_ops, NULL);
	*ret = u;
	return true;
}

bool service_start_upkeep(struct service *s, const char *pixel, service_told_fn *told, upkeep_done_fn *done, void *context,
			  struct error *err)
{
	struct upkeep *unused;
	return start(s, pixel, told, done, context, &unused, err);
}

/* ---- one after the other: the command line ---- */

struct due {
	const struct settings *settings;
	int64_t now;
	char (*pixels)[PIXEL_CODE_MAX + 1];
	size_t count, room;
};

static bool collect(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct due *d = context;
	if (upkeep_at(c, h, d->settings, d->now) > d->now)
		return true;
	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 16;
		void *grown = reallocarray(d->pixels, room, sizeof *d->pixels);
		if (!grown)
			return fail_no_memory(err);
		d->pixels = grown;
		d->room = room;
	}
	memcpy(d->pixels[d->count++], c->pixel, sizeof c->pixel);
	return true;
}

static bool collect_named(struct service *s, const char *const *pixels, size_t count, struct due *d, struct error *err)
{
	struct credential c;
	struct health h;
	for (size_t i = 0; i < count; i++) {
		bool is_found = vault_find(s->vault, pixels[i], false, &c, err);
		if (!is_found && err->code == ERR_NOT_FOUND)
			continue;
		if (!is_found || !vault_health(s->vault, &c, &h, err) || !collect(d, &c, &h, err))
			return false;
	}
	return true;
}

struct one {
	service_told_fn *told;
	void *context;
	struct error *err;
	bool is_done;
};

static void tell_on(void *context, const struct upkeep_news *news)
{
	struct one *o = context;
	o->told(o->context, news);
}

static void keep_end(void *context, const char *pixel, const struct error *err)
{
	struct one *o = context;
	(void)pixel;
	o->is_done = !err;
	if (err)
		*o->err = *err;
}

static bool do_one(struct service *s, const char *pixel, service_told_fn *told, void *context, struct error *err)
{
	struct one one = { .told = told, .context = context, .err = err };
	struct upkeep *u;
	if (!start(s, pixel, tell_on, keep_end, &one, &u, err))
		return false;
	service_drive(s, &u->job);
	return one.is_done;
}

bool service_upkeep(struct service *s, const char *const *pixels, size_t count, service_told_fn *told, void *context,
		    struct error *err)
{
	struct due due = { .settings = s->settings, .now = clock_wall() };
	bool is_fine = count ? collect_named(s, pixels, count, &due, err)
			     : vault_each(s->vault, true, false, collect, &due, err);
	for (size_t i = 0; is_fine && i < due.count; i++)
		is_fine = do_one(s, due.pixels[i], told, context, err);
	free(due.pixels);
	return is_fine;
}
