#include "agent/worker_inside.h"

#include "agent/text.h"
#include "core/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MISSING_MS 1000     /* a vault that is not there */
#define STOP_MS 20000       /* what is on its way to TikTok when we are told to stop */
#define GATHER_MAX_US 20000 /* other writers are waited for, see gather_puts */
#define FAREWELL_MS 3000    /* for messages that are on their way when we are told to stop */

/* ---- the turn ---- */

/* The plan, and what of a Pixel is told, follow from the settings, too. */
static void apply_to_all(struct worker *w)
{
	struct error err;
	w->damaged = 0;
	if (!vault_load(w->vault, worker_hand_over_item, w, &w->at, &err))
		worker_tell_trouble(w, &err);
}

/* The old couriers and sessions end with the old settings. */
static void adopt_settings(struct worker *w)
{
	struct courier *fresh;
	struct error err;
	if (!w->next_settings || (w->service && !service_is_idle(w->service)))
		return;
	w->settings = *w->next_settings;
	free(w->next_settings);
	w->next_settings = NULL;
	free(w->sinks.at);
	w->sinks = w->next_sinks;
	w->next_sinks = (struct sinks_copy){ NULL, 0 };
	if (w->desk && !alert_desk_set_sinks(w->desk, w->sinks.at, w->sinks.count, &err))
		worker_tell_trouble(w, &err);
	w->desk_ms = 0;
	/* The supervisor starts another courier when the socket of the old one closes. */
	if (!courier_new_given(&w->settings, &fresh, &err)) {
		worker_tell_trouble(w, &err);
		return;
	}
	service_freep(&w->service);
	courier_free(w->courier);
	w->courier = fresh;
	if (!w->vault || w->is_closing)
		return;
	if (!worker_begin_service(w, &err))
		worker_tell_trouble(w, &err);
	apply_to_all(w);
}

/* Before whoever waits for that write is answered. */
static void tell_loss(struct worker *w)
{
	struct error err;
	if (!w->vault || w->has_told_loss || !vault_has_lost(w->vault, &err))
		return;
	struct news *n = worker_news(NEWS_LOSS);
	n->err = err;
	w->has_told_loss = true;
	worker_tell(w, n);
}

/* The loop holds nothing of it any more, and nothing is on its way that would be lost. */
static void close_when_done(struct worker *w)
{
	if (!w->is_let_go || (w->service && !service_is_idle(w->service)))
		return;
	tell_loss(w);
	worker_close_vault(w);
}

static void take_in(struct worker *w)
{
	pthread_mutex_lock(&w->in.lock);
	struct errand *first = w->in.first;
	struct settings *settings = w->in.settings;
	struct sinks_copy sinks = w->in.sinks;
	int courier = w->in.courier;
	uint64_t let_go = w->in.let_go;
	w->has_given_up = w->has_given_up || w->in.is_stopping;
	w->in.first = w->in.last = NULL;
	w->in.settings = NULL;
	w->in.sinks = (struct sinks_copy){ NULL, 0 };
	w->in.courier = -1;
	worker_hush(w->in.fd);
	pthread_mutex_unlock(&w->in.lock);
	if (settings) {
		free(w->next_settings);
		free(w->next_sinks.at);
		w->next_settings = settings;
		w->next_sinks = sinks;
		if (w->is_sweeping)
			service_stop_sweeps(w->service);
	}
	if (courier >= 0)
		courier_give(w->courier, courier);
	w->is_let_go = w->is_closing && let_go == w->closings;
	close_when_done(w);
	adopt_settings(w); /* before what was asked for after them */
	while (first) {
		struct errand *e = first;
		first = e->next;
		worker_begin_errand(w, e);
	}
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Those who wait for one commit are answered together, and put again together: but the first of them would be committed
 * alone, while the others wait out that commit. So as many as were together the last time are waited for; no longer than
 * half of what that commit took, as the wait must cost less than the commit it saves. One writer never waits. */
static void gather_puts(struct worker *w)
{
	int64_t limit_us = w->puts_took_us / 2, left_us;
	if (now_us() - w->puts_ended_us > w->puts_took_us)
		return; /* they have gone */
	int64_t until_us = now_us() + (limit_us < GATHER_MAX_US ? limit_us : GATHER_MAX_US);
	struct pollfd event = { .fd = w->in.fd, .events = POLLIN };
	while (w->puts && w->puts < w->puts_before && (left_us = until_us - now_us()) > 0) {
		struct timespec left = { .tv_nsec = (long)(left_us * 1000) };
		(void)ppoll(&event, 1, &left, NULL);
		take_in(w);
	}
}

/* What is wrong with the store itself ends the service of it; what may pass is tried again with the next look. */
static void look_for_changes(struct worker *w)
{
	struct error err;
	if (!w->vault || w->is_closing)
		return;
	w->look_ms = clock_boot_ms() + LOOK_MS;
	if (vault_catch_up(w->vault, worker_hand_over_item, w, &w->at, &err))
		return;
	if (err.code == ERR_LOCKED) {
		/* Where it was opened for a time only, it is not opened again unasked. */
		w->has_new_key = w->relock_ms == INT64_MAX;
		(void)!fail(&err, ERR_LOCKED, TXT_AGENT_NEW_KEY);
		worker_begin_closing(w, &err);
	} else if (err.code == ERR_DAMAGED || err.code == ERR_NOT_FOUND)
		worker_begin_closing(w, &err);
	else
		worker_tell_trouble(w, &err);
}

static void open_with_new_key(struct worker *w)
{
	static const struct audit_who us = { .is_known = false };
	struct error err;
	if (!w->has_new_key || w->vault || w->has_given_up)
		return;
	w->has_new_key = false;
	if (worker_open_vault(w, NULL, &us, &err))
		return;
	(void)!fail(&err, ERR_LOCKED, TXT_AGENT_NEW_KEY);
	worker_tell_closed(w, &err);
}

/* A vault that was away may have been locked before, and is not opened unasked; but it is no longer missing. */
static void look_for_vault(struct worker *w)
{
	static const struct audit_who us = { .is_known = false };
	struct error err;
	if (!w->is_missing || w->vault || w->has_given_up || clock_boot_ms() < w->look_ms)
		return;
	w->look_ms = clock_boot_ms() + MISSING_MS;
	if (access(w->settings.vault_path, F_OK) != 0)
		return;
	if (!w->is_awaited) {
		(void)!fail(&err, ERR_LOCKED, TXT_AGENT_LOCKED);
		worker_tell_closed(w, &err);
	} else if (!worker_open_vault(w, NULL, &us, &err)) {
		worker_tell_trouble(w, &err);
	}
}

static void keep_time(struct worker *w)
{
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!w->vault || w->is_closing)
		return;
	if (now_ms >= w->anchor_ms) {
		w->anchor_ms = now_ms + ANCHOR_MS;
		if (!vault_anchor_audit(w->vault, &err))
			worker_tell_trouble(w, &err);
		else if (now_ms >= w->head_ms)
			worker_tell_head(w);
	}
	worker_store_marks_in_time(w, now_ms);
	if (now_ms >= w->relock_ms)
		worker_begin_closing(w, NULL);
}

/* Who puts is not kept waiting for what others do, when all that his put read and changed was given on: the next look is
 * near. */
static bool must_look(const struct worker *w)
{
	return !w->puts || w->has_others || !w->vault || !vault_is_in_step(w->vault) || clock_boot_ms() >= w->look_ms;
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t until_look_ms(const struct worker *w)
{
	int64_t left_ms = w->look_ms - clock_boot_ms();
	if (!w->vault)
		return w->is_missing ? MISSING_MS : 60000;
	return w->is_closing || left_ms > LOOK_MS ? LOOK_MS : left_ms < 0 ? 0 : left_ms;
}

static int turn(struct worker *w)
{
	int64_t wait_ms = INT64_MAX;
	w->puts = 0;
	w->has_others = false;
	take_in(w);
	gather_puts(w);
	worker_read_lists_that_are_due(w);
	worker_sweep_what_is_due(w);
	worker_tend_what_is_due(w);
	worker_renew_what_is_due(w);
	int64_t begun_us = now_us();
	if (w->service)
		wait_ms = service_step(w->service);
	close_when_done(w);
	if (w->puts) {
		w->puts_before = w->puts;
		w->puts_ended_us = now_us();
		w->puts_took_us = w->puts_ended_us - begun_us;
	}
	if (must_look(w))
		look_for_changes(w);
	worker_tell_lists(w);
	worker_see_to_alerts(w);
	if (w->vault)
		vault_settle(w->vault); /* what became of it stands in the audit log before anybody is answered */
	tell_loss(w);
	worker_tell_finished(w);
	open_with_new_key(w);
	look_for_vault(w);
	keep_time(w);
	worker_note_clock(w);
	if (w->courier && courier_was_stuck(w->courier))
		worker_tell(w, worker_news(NEWS_COURIER_STUCK));
	worker_hand_over_news(w);
	return (int)earliest(wait_ms, until_look_ms(w));
}

static void wait_for_work(struct worker *w, int wait_ms)
{
	struct pollfd events[] = { { .fd = w->in.fd, .events = POLLIN },
				   { .fd = w->service ? service_fd(w->service) : -1, .events = POLLIN },
				   { .fd = w->desk ? deliver_fd(w->deliver) : -1, .events = POLLIN } };
	(void)poll(events, COUNT_OF(events), wait_ms);
}

/* What is on its way is waited for, so that its answer is stored; then the vault is closed as a whole file. */
static void wind_up(struct worker *w)
{
	int64_t until = clock_boot_ms() + STOP_MS;
	if (w->service)
		service_stop_sweeps(w->service);
	while (w->service && !service_is_idle(w->service) && clock_boot_ms() < until) {
		int wait_ms = turn(w);
		if (w->service) /* else there is nothing to wait for */
			wait_for_work(w, wait_ms);
	}
	service_freep(&w->service);
	if (w->desk)
		alert_desk_finish(w->desk, clock_boot_ms() + FAREWELL_MS);
	look_for_changes(w);
	worker_tell_finished(w);
	worker_close_vault(w);
	worker_tell_finished(w);
	worker_hand_over_news(w);
}

static void *run(void *context)
{
	static const struct audit_who us = { .is_known = false };
	struct worker *w = context;
	struct error err;
	if (!worker_open_vault(w, NULL, &us, &err)) {
		w->is_awaited = err.code == ERR_NOT_FOUND;
		worker_tell_trouble(w, &err);
	}
	for (int wait_ms = turn(w); !w->has_given_up; wait_ms = turn(w))
		wait_for_work(w, wait_ms);
	wind_up(w);
	return NULL;
}

/* ---- starting and stopping ---- */

void worker_free(struct worker *w)
{
	struct news *n;
	if (!w)
		return;
	while (w->out.fd >= 0 && (n = worker_take(w))) {
		if (n->kind == NEWS_DONE)
			errand_free(n->errand);
		if (n->kind == NEWS_HOLDING)
			holding_free(n->holding);
		if (n->kind == NEWS_OPENED)
			vault_opener_free(n->opener);
		news_free(n);
	}
	courier_free(w->courier);
	deliver_free(w->deliver);
	free(w->sinks.at);
	free(w->next_sinks.at);
	free(w->in.sinks.at);
	plan_free(w->plan);
	tend_free(w->tend);
	renewals_free(w->renewals);
	buf_done(&w->wrapped[0]);
	buf_done(&w->wrapped[1]);
	free(w->next_settings);
	free(w->in.settings);
	if (w->in.fd >= 0)
		close(w->in.fd);
	if (w->out.fd >= 0)
		close(w->out.fd);
	free(w);
}

static bool prepare(struct worker *w, const struct settings *settings, const char *config, int link, struct error *err)
{
	w->settings = *settings;
	w->settings.config = NULL;
	w->relock_ms = INT64_MAX;
	w->wrapped[0].max = w->wrapped[1].max = TOKEN_MAX + 64;
	w->waiting_end = &w->waiting;
	w->in.courier = -1;
	w->in.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->out.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->in.fd < 0 || w->out.fd < 0)
		return fail(err, ERR_UNEXPECTED, TXT_AGENT_RESOURCES, strerror(errno));
	return sinks_load(settings->config, &w->sinks.at, &w->sinks.count, err) &&
	       deliver_new(config, link, &w->deliver, err) && plan_new(&w->plan, err) &&
	       tend_new(&w->tend, err) && renewals_new(&w->renewals, err) &&
	       courier_new_given(&w->settings, &w->courier, err);
}

bool worker_start(const struct settings *settings, const char *config, int link, struct worker **ret, struct error *err)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return fail_no_memory(err);
	pthread_mutex_init(&w->in.lock, NULL);
	pthread_mutex_init(&w->out.lock, NULL);
	w->in.fd = w->out.fd = -1;
	bool ok = prepare(w, settings, config, link, err);
	int why = ok ? pthread_create(&w->thread, NULL, run, w) : 0;
	if (ok && why)
		ok = fail(err, ERR_UNEXPECTED, TXT_AGENT_RESOURCES, strerror(why));
	if (!ok) {
		worker_free(w);
		return false;
	}
	*ret = w;
	return true;
}

void worker_stop(struct worker *w)
{
	pthread_mutex_lock(&w->in.lock);
	w->in.is_stopping = true;
	pthread_mutex_unlock(&w->in.lock);
	worker_ring(w->in.fd);
	pthread_join(w->thread, NULL);
}
