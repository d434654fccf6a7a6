#include "agent/worker_inside.h"

#include "agent/text.h"
#include "core/clock.h"
#include "core/log.h"
#include "vault/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_CONTROLS 2 /* good tokens asked along with one that is reported: are they refused too, it is TikTok's trouble */
#define MARKS_BYTES_MAX ((size_t)4 << 20)
#define RECORD_BYTES_MAX 65536
#define PIXELS_BYTES_MAX ((size_t)1 << 30)

/* ---- errands that take a while ---- */

/* A callback of a job gets this, so that it can reach both. */
struct carried {
	struct worker *worker;
	struct errand *errand;
};

static struct carried *carry(struct worker *w, struct errand *e, struct error *err)
{
	struct carried *c = malloc(sizeof *c);
	if (!c)
		(void)!fail_no_memory(err);
	else
		*c = (struct carried){ w, e };
	return c;
}

static void put_is_done(void *context, const struct put_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->put = *result;
	worker_finish_with(c->worker, c->errand, err);
	free(c);
}

static bool start_put(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	struct put_request request = { .pixel = e->pixel,
				       .pasted = e->secret,
				       .labels = e->labels,
				       .label_count = e->label_count,
				       .expires_at = e->expires_at,
				       .test_code = e->has_test_code ? e->test_code : NULL,
				       .no_check = e->no_check,
				       .family = e->family,
				       .is_standby = e->is_standby,
				       .must_be_own = e->must_be_own,
				       .hides_others = e->hides_others,
				       .has_if_version = e->has_if_version,
				       .if_version = e->if_version };
	return service_start_put(w->service, &request, &e->who, put_is_done, c, err);
}

static bool start_rollback(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	return service_start_rollback(w->service, e->pixel, &e->who, put_is_done, c, err);
}

static void swap_is_done(void *context, const struct swap_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->swap = *result;
	worker_finish_with(c->worker, c->errand, err);
	free(c);
}

static bool start_swap(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	struct swap_request request = {
		.pixel = e->pixel, .other = e->other, .is_move = e->kind == ERRAND_MOVE, .no_check = e->no_check
	};
	return service_start_swap(w->service, &request, &e->who, swap_is_done, c, err);
}

static void show_progress(void *context, size_t done, size_t total, const char *pixel, enum verdict outcome)
{
	struct carried *c = context;
	if (!c->errand->wants_progress)
		return;
	struct news *n = worker_news(NEWS_PROGRESS);
	n->errand = c->errand;
	n->done = done;
	n->total = total;
	n->outcome = outcome;
	snprintf(n->pixel, sizeof n->pixel, "%s", pixel ? pixel : "");
	worker_tell(c->worker, n);
}

static void check_is_done(void *context, const struct check_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->check = *result;
	worker_finish_with(c->worker, c->errand, err);
	free(c);
}

static const char **names_of(const struct errand *e, struct error *err)
{
	const char **pixels = calloc(e->pixel_count + 1, sizeof *pixels);
	for (size_t i = 0; pixels && i < e->pixel_count; i++)
		pixels[i] = e->pixels[i];
	if (!pixels)
		(void)!fail_no_memory(err);
	return pixels;
}

static bool start_check(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	const char **pixels = names_of(e, err);
	if (!pixels)
		return false;
	struct check_request request = { .pixels = pixels,
					 .pixel_count = e->pixel_count,
					 .labels = e->labels,
					 .label_count = e->label_count,
					 .probe = e->probe,
					 .progress = show_progress,
					 .context = c };
	/* Somebody waits for this one; what the schedule has left undone is still due. */
	if (w->is_sweeping)
		service_stop_sweeps(w->service);
	bool ok = service_start_check(w->service, &request, &e->who, check_is_done, c, err);
	free(pixels);
	return ok;
}

static void list_is_put(void *context, const struct list_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->list = *result;
	worker_finish_with(c->worker, c->errand, err);
	free(c);
}

static bool start_list_put(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	struct list_request request = { .name = e->pixel, .pasted = e->secret, .no_check = e->no_check };
	return service_start_list(w->service, &request, &e->who, list_is_put, c, err);
}

static void test_is_done(void *context, const struct delivery_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->delivery = *result;
	worker_finish_with(c->worker, c->errand, err);
	free(c);
}

static bool start_test(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	(void)err;
	w->desk_ms = 0;
	alert_desk_test(w->desk, e->name, test_is_done, c);
	return true;
}

/* ---- errands that are done at once ---- */

static bool do_mark(struct worker *w, struct errand *e, struct error *err)
{
	struct mark_update *m = &w->marks[w->mark_count++];
	*m = (struct mark_update){
		.mark = { .version = e->number, .at = clock_wall(), .has_uid = true, .uid = e->who.uid }
	};
	snprintf(m->pixel, sizeof m->pixel, "%s", e->pixel);
	snprintf(m->mark.name, sizeof m->mark.name, "%s", e->who.as);
	if (w->mark_count == 1)
		w->marks_ms = clock_boot_ms() + MARKS_MS;
	return w->mark_count < MARKS_AT_ONCE || worker_store_marks(w, err);
}

static bool do_alerts(struct worker *w, struct errand *e, struct error *err)
{
	struct json j = JSON_INIT(&e->text);
	e->text.max = PIXELS_BYTES_MAX;
	json_object(&j, NULL);
	json_int(&j, "schema", 1);
	bool is_done = alert_desk_json(w->desk, &j, err);
	json_end_object(&j);
	buf_append_text(&e->text, "\n");
	return is_done && buf_ok(&e->text, err);
}

static bool do_alert_ack(struct worker *w, struct errand *e, struct error *err)
{
	w->desk_ms = 0;
	return alert_desk_ack(w->desk, e->name, e->span_s, err);
}

static bool do_remove(struct worker *w, struct errand *e, struct error *err)
{
	enum service_removal what = e->kind == ERRAND_REMOVE    ? REMOVAL_SOFT
			    : e->kind == ERRAND_RESTORE ? REMOVAL_UNDO
							: REMOVAL_DESTROY;
	return service_remove(w->service, e->pixel, what, &e->was_nothing, err);
}

static bool do_label(struct worker *w, struct errand *e, struct error *err)
{
	return service_label(w->service, e->pixel, e->labels, e->label_count, &e->credential, err);
}

static bool do_token(struct worker *w, struct errand *e, struct error *err)
{
	const struct version *v;
	if (!vault_find(w->vault, e->pixel, false, &e->credential, err) ||
	    !vault_health(w->vault, &e->credential, &e->health, err))
		return false;
	v = credential_numbered(&e->credential, e->number);
	if (!v)
		return fail(err, ERR_NOT_FOUND, TXT_ACK_NO_VERSION, e->number, e->pixel);
	if (vault_is_withheld(w->vault, &e->credential, v))
		return fail(err, ERR_NOT_FOUND, TXT_GET_TAKEN, e->number, e->pixel);
	return vault_token(w->vault, &e->credential, v, "get", &e->secret, err);
}

static bool do_history(struct worker *w, struct errand *e, struct error *err)
{
	return vault_find(w->vault, e->pixel, true, &e->credential, err) &&
	       vault_health(w->vault, &e->credential, &e->health, err);
}

/* The vault itself tells a Pixel that is damaged from one that is not stored, in the words of a direct read. */
static bool do_look(struct worker *w, struct errand *e, struct error *err)
{
	if (vault_find(w->vault, e->pixel, false, &e->credential, err) || err->code == ERR_NOT_FOUND)
		return fail(err, ERR_NOT_FOUND, TXT_API_NO_PIXEL, e->pixel);
	return false;
}

static bool do_ack(struct worker *w, struct errand *e, struct error *err)
{
	tend_hurry(w->tend, e->pixel);
	return worker_store_marks(w, err) && service_ack(w->service, e->pixel, e->number, &e->who, err);
}

static bool do_retire(struct worker *w, struct errand *e, struct error *err)
{
	return worker_store_marks(w, err) && service_retire(w->service, e->pixel, e->is_forced, &e->retired, err);
}

static bool keep_pixels(struct errand *e, const struct buf *found, struct error *err)
{
	size_t count = found->len / sizeof *e->pixels;
	char(*pixels)[PIXEL_CODE_MAX + 1] = calloc(count + 1, sizeof *pixels);
	if (!pixels)
		return fail_no_memory(err);
	if (count)
		memcpy(pixels, found->at, found->len);
	free(e->pixels);
	e->pixels = pixels;
	e->pixel_count = count;
	return true;
}

static bool do_rotate(struct worker *w, struct errand *e, struct error *err)
{
	struct buf found = BUF_INIT(PIXELS_BYTES_MAX);
	size_t changed = 0;
	const char **pixels = names_of(e, err);
	struct rotate_request request = { .pixels = pixels,
					  .pixel_count = e->pixel_count,
					  .labels = e->labels,
					  .label_count = e->label_count,
					  .max_age_s = e->span_s,
					  .is_cancel = e->is_cancel };
	bool is_done = pixels && (e->kind == ERRAND_SELECT ? service_rotate_select(w->service, &request, &found, err)
							   : service_rotate(w->service, &request, &found, &changed, err));
	is_done = is_done && keep_pixels(e, &found, err);
	e->number = (uint32_t)changed;
	buf_done(&found);
	free(pixels);
	return is_done;
}

static bool keep_mark(void *context, const struct read_mark *mark, struct error *err)
{
	struct buf *marks = context;
	buf_append(marks, mark, sizeof *mark);
	return buf_ok(marks, err);
}

static bool do_rollout(struct worker *w, struct errand *e, struct error *err)
{
	e->marks.max = MARKS_BYTES_MAX;
	return worker_store_marks(w, err) && vault_find(w->vault, e->pixel, false, &e->credential, err) &&
	       vault_each_mark(w->vault, e->pixel, keep_mark, &e->marks, err);
}

static bool do_plan(struct worker *w, struct errand *e, struct error *err)
{
	const char **pixels = names_of(e, err);
	struct plan_request request = { .pixels = pixels,
					.pixel_count = e->pixel_count,
					.labels = e->labels,
					.label_count = e->label_count,
					.span_s = e->span_s,
					.plan = w->plan,
					.not_before_ms = w->retry_ms };
	e->forecast = (struct forecast)FORECAST_INIT;
	bool is_done = pixels && service_forecast(w->service, &request, &e->forecast, err);
	free(pixels);
	return is_done;
}

static bool do_match(struct worker *w, struct errand *e, struct error *err)
{
	e->marks.max = MATCHES_BYTES_MAX;
	return service_match(w->service, e->secret, &e->marks, err);
}

static bool do_list_remove(struct worker *w, struct errand *e, struct error *err)
{
	return service_list_remove(w->service, e->pixel, e->is_forced, &e->was_nothing, err);
}

bool worker_add_list(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct buf *records = context, one = BUF_INIT(RECORD_BYTES_MAX);
	bool ok = credential_encode(c, &one, err);
	buf_append_uint(records, 4, one.len);
	buf_append(records, one.at, one.len);
	buf_clear(&one);
	ok = ok && health_encode(h, &one, err);
	buf_append_uint(records, 4, one.len);
	buf_append(records, one.at, one.len);
	buf_done(&one);
	return ok && buf_ok(records, err);
}

static bool do_listings(struct worker *w, struct errand *e, struct error *err)
{
	e->records.max = LISTS_BYTES_MAX;
	return vault_each_list(w->vault, worker_add_list, &e->records, err);
}

static bool do_verify(struct worker *w, struct errand *e, struct error *err)
{
	return vault_verify(w->vault, NULL, NULL, &e->verify, err);
}

static bool do_sync(struct worker *w, struct errand *e, struct error *err)
{
	(void)e;
	return audit_sync(vault_audit(w->vault), err);
}

static void report_is_checked(void *context, const struct check_result *result, const struct error *err)
{
	struct worker *w = context;
	(void)result;
	if (err && err->code != ERR_CONFLICT)
		worker_tell_trouble(w, err);
}

static bool do_report(struct worker *w, struct errand *e, struct error *err)
{
	const char *pixels[1 + REPORT_CONTROLS] = { e->pixel };
	struct audit_event event = { .verb = "report", .pixel = e->pixel, .result = "ok" };
	struct check_request request = {
		.pixels = pixels, .pixel_count = 1, .is_urgent = true, .changed = worker_log_change, .context = w
	};
	if (!audit_append(vault_audit(w->vault), &e->who, &event, 1, AUDIT_ORDINARY, false, err) ||
	    !service_report(w->service, e->pixel, &e->was_nothing, err))
		return false;
	log_line(LOG_INFO, "%s: a consumer reports code %d%s%s", e->pixel, (int)e->code,
		 e->request_id[0] ? ", request " : "", e->request_id);
	request.pixel_count = plan_controls(w->plan, pixels, 1, COUNT_OF(pixels));
	return e->was_nothing || service_start_check(w->service, &request, &e->who, report_is_checked, w, err);
}

/* ---- all errands: a row each ---- */

static const struct {
	bool (*at_once)(struct worker *w, struct errand *e, struct error *err);
	bool (*as_job)(struct worker *w, struct errand *e, struct carried *c, struct error *err);
} errands[ERRAND_KIND_COUNT] = {
	[ERRAND_PUT] = { .as_job = start_put },
	[ERRAND_CHECK] = { .as_job = start_check },
	[ERRAND_ROLLBACK] = { .as_job = start_rollback },
	[ERRAND_SWAP] = { .as_job = start_swap },
	[ERRAND_MOVE] = { .as_job = start_swap },
	[ERRAND_TOKEN] = { .at_once = do_token },
	[ERRAND_REMOVE] = { .at_once = do_remove },
	[ERRAND_RESTORE] = { .at_once = do_remove },
	[ERRAND_DESTROY] = { .at_once = do_remove },
	[ERRAND_LABEL] = { .at_once = do_label },
	[ERRAND_REPORT] = { .at_once = do_report },
	[ERRAND_ACK] = { .at_once = do_ack },
	[ERRAND_RETIRE] = { .at_once = do_retire },
	[ERRAND_SELECT] = { .at_once = do_rotate },
	[ERRAND_ROTATE] = { .at_once = do_rotate },
	[ERRAND_HISTORY] = { .at_once = do_history },
	[ERRAND_ROLLOUT] = { .at_once = do_rollout },
	[ERRAND_LOOK] = { .at_once = do_look },
	[ERRAND_PLAN] = { .at_once = do_plan },
	[ERRAND_MATCH] = { .at_once = do_match },
	[ERRAND_LIST_PUT] = { .as_job = start_list_put },
	[ERRAND_LIST_REMOVE] = { .at_once = do_list_remove },
	[ERRAND_LISTINGS] = { .at_once = do_listings },
	[ERRAND_VERIFY] = { .at_once = do_verify },
	[ERRAND_MARK] = { .at_once = do_mark },
	[ERRAND_SYNC] = { .at_once = do_sync },
	[ERRAND_ALERTS] = { .at_once = do_alerts },
	[ERRAND_ALERT_ACK] = { .at_once = do_alert_ack },
	[ERRAND_ALERT_TEST] = { .as_job = start_test },
};

static void wait_for_closing(struct worker *w, struct errand *e)
{
	e->next = NULL;
	*w->waiting_end = e;
	w->waiting_end = &e->next;
}

static void unlock(struct worker *w, struct errand *e)
{
	struct error err;
	if (w->is_closing) {
		wait_for_closing(w, e);
		return;
	}
	if (w->has_given_up)
		(void)!fail(&err, ERR_CONFLICT, TXT_JOB_CUT_SHORT);
	else if (worker_open_vault(w, e->secret, &e->who, &err)) {
		w->relock_ms = e->span_s ? clock_boot_ms() + e->span_s * 1000 : INT64_MAX;
		worker_finish(w, e);
		return;
	}
	worker_finish_with(w, e, &err);
}

static void lock(struct worker *w, struct errand *e)
{
	w->is_awaited = w->has_new_key = false;
	if (!w->vault) {
		worker_finish(w, e);
		return;
	}
	worker_note_in_audit(w, &e->who, "lock");
	wait_for_closing(w, e);
	if (!w->is_closing)
		worker_begin_closing(w, NULL);
}

void worker_end_waiting(struct worker *w)
{
	struct errand *e = w->waiting;
	w->waiting = NULL;
	w->waiting_end = &w->waiting;
	for (struct errand *next; e; e = next) {
		next = e->next;
		worker_begin_errand(w, e);
	}
}

void worker_begin_errand(struct worker *w, struct errand *e)
{
	struct error err;
	if (e->kind == ERRAND_UNLOCK || e->kind == ERRAND_LOCK) {
		(e->kind == ERRAND_UNLOCK ? unlock : lock)(w, e);
		return;
	}
	/* What takes no time is still done: who was told of its token before we were told to stop is noted. */
	bool is_too_late = w->has_given_up && !errands[e->kind].at_once;
	if (!w->vault || w->is_closing || is_too_late) {
		(void)!(is_too_late ? fail(&err, ERR_CONFLICT, TXT_JOB_CUT_SHORT)
					: fail(&err, ERR_LOCKED, TXT_AGENT_LOCKED));
		worker_finish_with(w, e, &err);
		return;
	}
	if (e->kind == ERRAND_PUT)
		w->puts++;
	else
		w->has_others = true;
	vault_set_who(w->vault, &e->who);
	if (errands[e->kind].at_once) {
		bool is_done = errands[e->kind].at_once(w, e, &err);
		worker_finish_with(w, e, is_done ? NULL : &err);
		return;
	}
	struct carried *c = carry(w, e, &err);
	if (!c || !errands[e->kind].as_job(w, e, c, &err)) {
		free(c);
		worker_finish_with(w, e, &err);
	}
}
