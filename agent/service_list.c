/* Listing tokens: put, and read page by page. What a list says of Pixels is stored first, what is thought of its token
 * last: whoever is killed between the two reads the list once more. */
#include "agent/lists.h"
#include "agent/service_own.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_NAME "lists"
#define LOCK_WAIT_MS 60000 /* another process may be reading a long one */
#define LOCK_LOOK_MS 20
#define CONFIRM_DELAY_S 5
#define BATCH 128 /* Pixels in one commit: about as many as other work can wait for */
#define NAMES_BYTES_MAX ((size_t)64 << 20)
#define CODE_WRONG_TOKEN 40105
#define LIST_WALK_MS 10000

enum list_phase { LIST_STORE, LIST_LOCK, LIST_READ, LIST_WAIT, LIST_ALIVE, LIST_APPLY, LIST_SETTLE, LIST_END };

struct list_job {
	struct job job;
	char name[PIXEL_CODE_MAX + 1];
	enum list_phase phase;
	struct list_request request;
	struct secret *pasted; /* cleaned; NULL: nothing is put */
	uint8_t fingerprint[FINGERPRINT_LEN];
	struct vault_lock *lock;
	int64_t lock_until_ms, ask_again_ms;
	/* the version it is read with, and the one that is tried behind it; 0 = none */
	uint32_t version, next_version;
	struct secret *token;
	struct list_reading reading;
	struct question again; /* whose second look is due */
	bool is_second;
	struct asked asked; /* what the verdict rests on */
	char witness[PIXEL_CODE_MAX +
		     1];  /* a stored Pixel: TikTok is asked about it whether it knows the token at all */
	struct buf names; /* of the Pixels that are concerned */
	size_t applied;
	struct settlement settlement;
	enum verdict was;
	struct list_result result;
	list_done_fn *done;
	void *context;
};

static struct list_job *list_of(struct job *job)
{
	return (struct list_job *)job;
}

/* ---- put ---- */

/* Durable before it is judged, as any token. The list may have been removed: putting a token brings it back. */
static bool store_pending(void *context, struct change *change, struct error *err)
{
	struct list_job *r = context;
	struct credential c;
	struct version fresh = { .number = 0 };
	uint32_t dropped = 0;
	bool exists;
	int64_t now = clock_wall();
	if (!change_find(change, r->name, &c, &exists, err))
		return false;
	bool was_gone = c.deleted_at || c.is_destroyed;
	c.deleted_at = 0;
	c.is_destroyed = false;
	const struct version *known = credential_with_fingerprint(&c, r->fingerprint);
	r->result.is_unchanged = known && known->stage == STAGE_CURRENT && !was_gone;
	r->version = known && (known->stage == STAGE_CURRENT || known->stage == STAGE_PENDING) ? known->number : 0;
	if (r->version && !was_gone && !(r->request.no_check && known->stage == STAGE_PENDING))
		return true;
	if (!r->version && (!credential_add(&c, &fresh, now, &r->version, &dropped, err) ||
			    !change_put_token(change, &c, r->version, r->pasted, err)))
		return false;
	if (r->request.no_check)
		(void)!credential_promote(&c, r->version, now); /* current already: nothing to do */
	if ((dropped && !change_drop_token(change, &c, dropped, err)) || !change_store(change, &c, err))
		return false;
	change_note(change, "put", r->name, r->version);
	return true;
}

/* ---- whose turn is it ---- */

static void end(struct list_job *r)
{
	r->phase = LIST_END;
	r->job.is_done = true;
}

static bool is_open(const struct version *v, const struct health *h)
{
	return v && version_has_token(v) && !verdict_is_bad(h->pending.verdict);
}

/* With the lock held. A new token first: it may be the better one. */
static bool look(struct list_job *r, struct error *err)
{
	struct vault *v = r->job.service->vault;
	struct credential c;
	struct health h;
	if (!service_ready(r->job.service, err))
		return false;
	if (!vault_find(v, r->name, false, &c, err) || !vault_health(v, &c, &h, err))
		return false;
	const struct version *current = credential_staged(&c, STAGE_CURRENT),
			     *pending = credential_staged(&c, STAGE_PENDING);
	const struct judgement *speaking = health_speaking(&h, &c);
	r->was = r->result.verdict = speaking ? speaking->verdict : VERDICT_UNCHECKED;
	if (r->request.is_due_only && h.next_check_at > clock_wall()) {
		end(r); /* another process did it while we waited */
		return true;
	}
	/* Once: where the new one could not be judged it is as open as before, and the one in use comes next. */
	if (!r->pasted && !r->version) {
		r->version = is_open(pending, &h) ? pending->number : current ? current->number : 0;
		r->next_version = is_open(pending, &h) && current ? current->number : 0;
	}
	const struct version *version = r->version ? credential_numbered(&c, r->version) : NULL;
	if (!version) {
		end(r);
		return true;
	}
	secret_freep(&r->token);
	lists_done(&r->reading);
	lists_begin(&r->reading, r->name, version->fingerprint);
	r->is_second = false;
	r->phase = LIST_READ;
	return vault_token(v, &c, version, "probe", &r->token, err);
}

static bool lock(struct list_job *r, int64_t *ret_wait_ms, struct error *err)
{
	if (r->lock || vault_lock(r->job.service->vault, LOCK_NAME, 0, &r->lock, err))
		return look(r, err);
	if (err->code != ERR_CONFLICT)
		return false;
	if (clock_boot_ms() >= r->lock_until_ms)
		return fail(err, ERR_CONFLICT, TXT_LIST_BUSY, r->name);
	*ret_wait_ms = LOCK_LOOK_MS;
	return true;
}

/* ---- reading ---- */

static void ask_page(struct list_job *r, uint32_t page, bool is_fresh)
{
	r->again = (struct question){ .kind = PROBE_LISTING,
				      .pixel = r->name,
				      .page = page,
				      .test_code = "",
				      .is_fresh = is_fresh,
				      .token = r->token };
	r->phase = LIST_READ;
	job_ask(&r->job, &r->again, false);
}

static bool settle_change(void *context, struct change *change, struct error *err)
{
	struct list_job *r = context;
	return service_settle(&r->settlement, change, err);
}

static void settle(struct list_job *r, enum ruling ruling, enum verdict outcome, const struct asked *asked)
{
	r->asked = *asked;
	r->asked.pair = NULL;
	r->asked.page = NULL;
	r->asked.finding.outcome = outcome;
	r->settlement = (struct settlement){ .pixel = r->name,
					     .version = r->version,
					     .ruling = ruling,
					     .outcome = outcome,
					     .evidence = &r->asked.evidence,
					     .promote_unjudged = r->pasted != NULL,
					     .settings = r->job.service->settings };
	r->phase = LIST_SETTLE;
	job_commit(&r->job, settle_change, r);
}

/* With what was asked last. */
static void settle_same(struct list_job *r, enum ruling ruling, enum verdict outcome)
{
	struct asked same = r->asked;
	settle(r, ruling, outcome, &same);
}

static bool find_witness(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct list_job *r = context;
	(void)h, (void)err;
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	bool is_own = current && memcmp(current->fingerprint, r->reading.fingerprint, FINGERPRINT_LEN) == 0;
	if (!r->witness[0] || is_own)
		memcpy(r->witness, c->pixel, sizeof r->witness);
	return true;
}

/* Refused with 40105, which elsewhere than at event/track alone condemns nobody: there it is asked about too. */
static bool ask_whether_alive(struct list_job *r, const struct asked *asked, struct error *err)
{
	if (!vault_each(r->job.service->vault, false, false, find_witness, r, err))
		return false;
	if (!r->witness[0]) {
		settle(r, RULING_TRANSIENT, OUTCOME_UNKNOWN, asked);
		return true;
	}
	r->asked = *asked;
	r->phase = LIST_ALIVE;
	job_ask(&r->job,
		&(struct question){
			.kind = PROBE_DRY, .pixel = r->witness, .test_code = "", .is_fresh = true, .token = r->token },
		false);
	return true;
}

static bool was_alive(struct list_job *r, const struct asked *asked)
{
	enum verdict outcome = asked->finding.outcome;
	if (verdict_exit(outcome) == ERR_EXPIRED) {
		struct asked both = r->asked; /* the list's answer is what it is about; two endpoints agree */
		both.finding = asked->finding;
		settle(r, RULING_VERDICT, outcome, &both);
	} else {
		settle_same(r, RULING_TRANSIENT, verdict_is_transient(outcome) ? outcome : OUTCOME_UNKNOWN);
	}
	return true;
}

static bool note_concerned(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct list_job *r = context;
	if (lists_count(&r->reading, c, h))
		buf_append(&r->names, c->pixel, sizeof c->pixel);
	return buf_ok(&r->names, err);
}

/* The last page was read. */
static bool begin_applying(struct list_job *r, const struct asked *asked, struct error *err)
{
	r->asked = *asked;
	r->asked.page = NULL;
	r->names.max = NAMES_BYTES_MAX;
	buf_clear(&r->names);
	r->applied = 0;
	if (!vault_each(r->job.service->vault, true, false, note_concerned, r, err))
		return false;
	lists_describe(&r->reading, &asked->answer);
	r->asked.evidence = r->reading.evidence;
	r->phase = LIST_APPLY;
	return true;
}

static bool take_page(struct list_job *r, const struct asked *asked, struct error *err)
{
	if (!lists_take_page(&r->reading, asked->page, err))
		return false;
	r->result.pages++;
	r->is_second = false;
	return !lists_is_at_end(&r->reading) || begin_applying(r, asked, err);
}

static int64_t confirm_delay_ms(const struct settings *settings)
{
	int64_t delay_s = settings->confirm_delay_s;
	return (delay_s >= 0 && delay_s < CONFIRM_DELAY_S ? delay_s : CONFIRM_DELAY_S) * 1000;
}

static bool list_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct list_job *r = list_of(job);
	enum verdict outcome = asked->finding.outcome;
	if (r->phase == LIST_ALIVE)
		return was_alive(r, asked);
	if (asked->page && outcome == VERDICT_HEALTHY)
		return take_page(r, asked, err);
	if (outcome == VERDICT_HEALTHY)
		outcome = OUTCOME_UNKNOWN;
	if (asked->answer.code == CODE_WRONG_TOKEN)
		return ask_whether_alive(r, asked, err);
	/* One bad answer condemns nothing, but for a put, where nothing that works is lost by waiting. */
	if (verdict_is_bad(outcome) && !r->is_second && !r->pasted) {
		r->is_second = true;
		r->ask_again_ms = clock_boot_ms() + confirm_delay_ms(job->service->settings);
		r->phase = LIST_WAIT;
		return true;
	}
	settle(r, verdict_is_bad(outcome) ? RULING_VERDICT : RULING_TRANSIENT, outcome, asked);
	return true;
}

/* ---- what it says of Pixels ---- */

struct told {
	enum verdict was;
	struct judgement now;
};

static bool read_one(struct list_job *r, const char *pixel, struct health_update *to, struct told *told,
		     bool *ret_is_new, struct error *err)
{
	struct vault *v = r->job.service->vault;
	struct credential c;
	*ret_is_new = false;
	if (!vault_find(v, pixel, false, &c, err))
		return err->code == ERR_NOT_FOUND; /* removed meanwhile */
	if (!vault_health(v, &c, &to->health, err))
		return false;
	memcpy(to->pixel, c.pixel, sizeof to->pixel);
	told->was = to->health.current.verdict;
	*ret_is_new = lists_apply(&r->reading, &c, &to->health, r->job.service->settings);
	told->now = to->health.current;
	return true;
}

/* Held from reading to writing: a put between the two would lose its proof. */
static bool apply_batch(struct list_job *r, struct health_update *updates, struct told *told, size_t *ret_count,
			struct error *err)
{
	struct service *s = r->job.service;
	size_t end_at = r->names.len / (PIXEL_CODE_MAX + 1), count = 0;
	struct error why;
	bool is_new, ok = true;
	if (!vault_hold(s->vault, err))
		return false;
	for (; ok && r->applied < end_at && count < BATCH; r->applied++) {
		const char *pixel = (const char *)r->names.at + r->applied * (PIXEL_CODE_MAX + 1);
		ok = read_one(r, pixel, &updates[count], &told[count], &is_new, err);
		count += ok && is_new;
	}
	if (ok && count)
		ok = service_tolerate(s, vault_store_health(s->vault, updates, count, &why), &why, err);
	vault_release(s->vault);
	*ret_count = count;
	return ok;
}

static void tell(const struct list_job *r, const char *name, enum verdict was, const struct judgement *now)
{
	if (r->request.changed && now->verdict != was && (verdict_is_bad(was) || verdict_is_bad(now->verdict)))
		r->request.changed(r->request.context, name, was, now);
}

static bool apply(struct list_job *r, int64_t *ret_wait_ms, struct error *err)
{
	struct health_update *updates = calloc(BATCH, sizeof *updates);
	struct told *told = calloc(BATCH, sizeof *told);
	size_t count = 0;
	bool ok = updates && told ? apply_batch(r, updates, told, &count, err) : fail_no_memory(err);
	for (size_t i = 0; ok && i < count; i++)
		tell(r, updates[i].pixel, told[i].was, &told[i].now);
	free(updates);
	free(told);
	*ret_wait_ms = 0;
	if (ok && r->applied == r->names.len / (PIXEL_CODE_MAX + 1))
		settle_same(r, RULING_VERDICT, VERDICT_HEALTHY);
	return ok;
}

/* ---- the job ---- */

static bool read_or_wait(struct list_job *r, int64_t *ret_wait_ms)
{
	int64_t left_ms = r->phase == LIST_WAIT ? r->ask_again_ms - clock_boot_ms() : 0;
	if (r->job.service->is_stopping && !r->pasted) { /* half a list concludes nothing */
		end(r);
	} else if (left_ms > 0) {
		*ret_wait_ms = left_ms;
	} else {
		ask_page(r, r->reading.page + 1, r->is_second);
	}
	return true;
}

static bool list_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct list_job *r = list_of(job);
	switch (r->phase) {
	case LIST_STORE:
		job_commit(job, store_pending, r);
		return true;
	case LIST_LOCK:
		if (!lock(r, ret_wait_ms, err))
			return false;
		return r->phase == LIST_READ ? read_or_wait(r, ret_wait_ms) : true;
	case LIST_READ:
	case LIST_WAIT:
		return read_or_wait(r, ret_wait_ms);
	case LIST_APPLY:
		return apply(r, ret_wait_ms, err);
	case LIST_ALIVE:
	case LIST_SETTLE:
	case LIST_END:
		return true;
	}
	return true;
}

static bool list_committed(struct job *job, struct error *err)
{
	struct list_job *r = list_of(job);
	(void)err;
	if (r->phase == LIST_STORE) {
		r->phase = LIST_LOCK;
		if (r->result.is_unchanged || r->request.no_check)
			end(r);
		return true;
	}
	const struct judgement *j = health_speaking(&r->settlement.health, &r->settlement.credential);
	r->result.was_read = r->asked.finding.outcome == VERDICT_HEALTHY;
	r->result.outcome = r->asked.finding.outcome;
	r->result.verdict = j ? j->verdict : VERDICT_UNCHECKED;
	if (j)
		tell(r, r->name, r->was, j);
	/* A new token that cannot be judged, or was refused: the one in use reads the list. */
	if (!r->result.was_read && r->next_version) {
		r->version = r->next_version;
		r->next_version = 0;
		r->request.is_due_only = false;
		r->phase = LIST_LOCK;
		return true;
	}
	end(r);
	return true;
}

static void describe_put(struct list_job *r)
{
	struct list_result *ret = &r->result;
	struct credential c;
	struct health h;
	struct error ignored;
	memcpy(ret->fingerprint, r->fingerprint, FINGERPRINT_LEN);
	ret->version = r->version;
	if (!vault_find(r->job.service->vault, r->name, false, &c, &ignored) ||
	    !vault_health(r->job.service->vault, &c, &h, &ignored))
		return;
	ret->stage = credential_stage_of(&c, r->version);
	const struct judgement *j = ret->stage == STAGE_CURRENT ? &h.current : &h.pending;
	ret->verdict = j->version == r->version ? j->verdict : VERDICT_UNCHECKED;
	ret->exit = r->request.no_check            ? ERR_NONE
		    : verdict_is_bad(ret->verdict) ? verdict_exit(ret->verdict)
		    : ret->stage == STAGE_CURRENT  ? ERR_NONE
						   : verdict_exit(ret->outcome);
}

static void list_end(struct job *job, const struct error *err)
{
	struct list_job *r = list_of(job);
	struct list_result *ret = &r->result;
	vault_unlockp(&r->lock);
	memcpy(ret->name, r->name, sizeof ret->name);
	ret->listed = r->reading.rows;
	ret->stored = r->reading.stored;
	ret->evidence = r->asked.evidence;
	ret->advice = r->asked.finding.advice;
	if (r->pasted && !err)
		describe_put(r);
	if (r->done)
		r->done(r->context, err ? NULL : ret, err);
	secret_free(r->pasted);
	secret_free(r->token);
	lists_done(&r->reading);
	buf_done(&r->names);
	free(r);
}

static const struct job_ops list_ops = {
	.step = list_step, .asked = list_asked, .committed = list_committed, .end = list_end
};

bool list_start(struct service *s, const struct list_request *request, const struct audit_who *who, list_done_fn *done,
		void *context, struct job **ret, struct error *err)
{
	if (!list_check(request->name, err))
		return false;
	struct list_job *r = calloc(1, sizeof *r);
	if (!r)
		return fail_no_memory(err);
	memcpy(r->name, request->name, strlen(request->name) + 1); /* checked: it fits */
	r->request = *request;
	r->request.name = r->name;
	if (request->pasted) {
		if (!token_clean(request->pasted, &r->pasted, &r->result.removed, err)) {
			free(r);
			return false;
		}
		vault_fingerprint(s->vault, r->pasted, r->fingerprint);
	}
	r->request.pasted = NULL;
	r->phase = r->pasted ? LIST_STORE : LIST_LOCK;
	r->lock_until_ms = clock_boot_ms() + LOCK_WAIT_MS;
	r->done = done;
	r->context = context;
	job_start(s, &r->job, &list_ops, who);
	*ret = &r->job;
	return true;
}

void list_detach(struct job *job)
{
	if (!job)
		return;
	list_of(job)->done = NULL;
	list_of(job)->request.changed = NULL;
}

bool service_start_list(struct service *s, const struct list_request *request, const struct audit_who *who,
			list_done_fn *done, void *context, struct error *err)
{
	struct job *unused;
	return list_start(s, request, who, done, context, &unused, err);
}

/* ---- the command line ---- */

struct outcome {
	struct list_result *result;
	struct error *err;
	bool is_done;
};

static void keep_outcome(void *context, const struct list_result *result, const struct error *err)
{
	struct outcome *o = context;
	o->is_done = !err;
	if (err)
		*o->err = *err;
	else
		*o->result = *result;
}

bool service_list(struct service *s, const struct list_request *request, struct list_result *ret, struct error *err)
{
	struct outcome outcome = { .result = ret, .err = err };
	struct job *job = NULL;
	if (!list_start(s, request, NULL, keep_outcome, &outcome, &job, err))
		return false;
	service_drive(s, job);
	return outcome.is_done;
}

/* ---- which lists there are ---- */

static bool add_name(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct buf *names = context;
	(void)h;
	buf_append(names, c->pixel, sizeof c->pixel);
	return buf_ok(names, err);
}

bool service_list_names(struct service *s, struct buf *ret, struct error *err)
{
	buf_clear(ret);
	return vault_each_list(s->vault, add_name, ret, err);
}

/* While others change the vault all the time a walk over all metadata follows each change: not more often than this. */
static bool know_names(struct service *s)
{
	struct error ignored;
	uint64_t generation = vault_generation(s->vault);
	int64_t now_ms = clock_boot_ms();
	if (s->lists_ms && (s->lists_generation == generation || now_ms < s->lists_ms + LIST_WALK_MS))
		return s->has_lists;
	s->lists.max = NAMES_BYTES_MAX;
	s->lists_ms = now_ms;
	s->lists_generation = generation;
	s->has_lists = service_list_names(s, &s->lists, &ignored);
	return s->has_lists;
}

static bool is_due(struct service *s, const char *name)
{
	struct credential c;
	struct health h;
	struct error ignored;
	if (!vault_find(s->vault, name, false, &c, &ignored) || !vault_health(s->vault, &c, &h, &ignored))
		return false;
	bool is_readable = credential_staged(&c, STAGE_CURRENT) || is_open(credential_staged(&c, STAGE_PENDING), &h);
	return is_readable && h.next_check_at <= clock_wall();
}

bool service_list_due(struct service *s, char ret_name[PIXEL_CODE_MAX + 1])
{
	if (!know_names(s))
		return false;
	for (size_t at = 0; at < s->lists.len; at += PIXEL_CODE_MAX + 1)
		if (is_due(s, (const char *)s->lists.at + at)) {
			memcpy(ret_name, s->lists.at + at, PIXEL_CODE_MAX + 1);
			return true;
		}
	return false;
}

/* ---- a list goes ---- */

struct forgetting {
	const char *list;
	struct buf pixels;
};

static bool note_seen(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct forgetting *f = context;
	if (health_sight(h, f->list))
		buf_append(&f->pixels, c->pixel, sizeof c->pixel);
	return buf_ok(&f->pixels, err);
}

static bool unsee_one(struct vault *v, const char *pixel, const char *list, struct error *err)
{
	struct health_update update = { .pixel = "" };
	struct credential c;
	struct error why;
	if (!vault_hold(v, err))
		return false;
	bool is_found = vault_find(v, pixel, false, &c, &why), ok = is_found || why.code == ERR_NOT_FOUND;
	if (is_found) {
		memcpy(update.pixel, c.pixel, sizeof update.pixel);
		ok = vault_health(v, &c, &update.health, &why);
		health_unsee(&update.health, list);
		ok = ok && vault_store_health(v, &update, 1, &why);
	}
	vault_release(v);
	if (!ok)
		*err = why;
	return ok;
}

bool service_list_remove(struct service *s, const char *name, bool is_destroyed, bool *ret_was_nothing,
			 struct error *err)
{
	struct forgetting f = { .list = name, .pixels = BUF_INIT(NAMES_BYTES_MAX) };
	struct credential c;
	if (!vault_find(s->vault, name, true, &c, err))
		return err->code == ERR_NOT_FOUND ? fail(err, ERR_NOT_FOUND, TXT_LIST_NOT_STORED, name) : false;
	bool ok = service_remove(s, name, is_destroyed ? REMOVAL_DESTROY : REMOVAL_SOFT, ret_was_nothing, err) &&
		  vault_each(s->vault, true, false, note_seen, &f, err);
	for (size_t at = 0; ok && at < f.pixels.len; at += PIXEL_CODE_MAX + 1)
		ok = unsee_one(s->vault, (const char *)f.pixels.at + at, name, err);
	buf_done(&f.pixels);
	return ok;
}
