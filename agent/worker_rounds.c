#include "agent/worker_inside.h"

#include "agent/metrics.h"
#include "agent/sweep_note.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/log.h"

#include <poll.h>
#include <stdio.h>

#define RETRY_MS 5000         /* a sweep that could not begin */
#define RENEW_REST_MS 1000    /* between two renewals of a Pixel, however short a life TikTok gives */
#define DUE_AT_ONCE 512       /* Pixels of one scheduled sweep */
#define TENDED_AT_ONCE 8      /* Pixels with versions on their way out */
#define LIST_LOOK_MS 1000
#define SETTLE_MS 2000        /* what is found together is told together: a look for alerts waits for quiet as long ... */
#define SETTLE_MOST_MS 60000  /* ... but no longer than this */
#define ALERT_LOOK_MS 3600000 /* what only time brings: tokens that end soon */
#define ALERT_LOOK_LEAST_MS 60000
#define PING_LEAST_MS 60000
#define PING_MOST_MS 3600000

/* May something be begun that nobody asked for? */
static bool is_free(const struct worker *w)
{
	return w->service && !w->is_closing && !w->has_given_up && !w->next_settings;
}

/* ---- a sweep nobody waits for ---- */

void worker_log_change(void *context, const char *pixel, enum verdict was, const struct judgement *now)
{
	bool is_bad = verdict_is_bad(now->verdict);
	const struct evidence *e = &now->evidence;
	(void)context;
	log_line(is_bad ? LOG_WARNING : LOG_INFO, "%s: %s (was %s)%s%.160s%s%s", pixel, verdict_name(now->verdict),
		 verdict_name(was), e->text[0] ? ": " : "", e->text, now->belongs_to[0] ? "; the token belongs to " : "",
		 now->belongs_to);
}

static void sweep_is_done(void *context, const struct check_result *result, const struct error *err)
{
	struct worker *w = context;
	w->is_sweeping = false;
	if (err && err->code != ERR_CONFLICT)
		worker_tell_trouble(w, err);
	if (err)
		w->retry_ms = clock_boot_ms() + RETRY_MS;
	if (!result)
		return;
	struct news *n = worker_news(NEWS_CHECKED);
	n->check = *result;
	w->has_swept = w->has_swept || (result->end == SWEEP_COMPLETE && result->transient < result->pixels);
	/* Cut short: the same trouble would meet the next one at once. */
	if (result->end == SWEEP_BREAKER || result->end == SWEEP_CANARY)
		w->retry_ms = clock_boot_ms() + RETRY_MS;
	worker_tell(w, n);
}

void worker_sweep_what_is_due(struct worker *w)
{
	const char *pixels[DUE_AT_ONCE];
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!is_free(w) || w->is_sweeping || now_ms < w->retry_ms || service_is_sweeping(w->service) ||
	    plan_next_ms(w->plan) > now_ms)
		return;
	size_t count = plan_due(w->plan, now_ms, pixels, COUNT_OF(pixels));
	if (!count)
		return;
	struct check_request request = { .pixels = pixels,
					 .pixel_count = count,
					 .is_scheduled = true,
					 .changed = worker_log_change,
					 .context = w };
	w->is_sweeping = service_start_check(w->service, &request, NULL, sweep_is_done, w, &err);
	if (!w->is_sweeping)
		worker_tell_trouble(w, &err);
	/* What is answered is planned anew when it is stored; the rest comes again after a while. */
	plan_postpone(w->plan, pixels, count, now_ms + RETRY_MS);
}

/* ---- lists ---- */

static void list_is_read(void *context, const struct list_result *result, const struct error *err)
{
	struct worker *w = context;
	w->is_listing = false;
	if (err && err->code != ERR_CONFLICT && err->code != ERR_NOT_FOUND)
		worker_tell_trouble(w, err);
	if (result && result->was_read)
		log_line(LOG_INFO, "%s: %s", result->name, result->evidence.text);
	if (result && verdict_is_transient(result->outcome))
		log_line(LOG_WARNING, "%s: not read: %s%s%.160s", result->name, verdict_name(result->outcome),
			 result->evidence.text[0] ? ": " : "", result->evidence.text);
}

/* Before the Pixels on it are due, so that they need not be asked about one by one. */
void worker_read_lists_that_are_due(struct worker *w)
{
	char name[PIXEL_CODE_MAX + 1];
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!is_free(w) || w->is_listing || now_ms < w->list_ms)
		return;
	w->list_ms = now_ms + LIST_LOOK_MS;
	if (!service_list_due(w->service, name))
		return;
	struct list_request request = { .name = name, .is_due_only = true, .changed = worker_log_change, .context = w };
	w->is_listing = service_start_list(w->service, &request, NULL, list_is_read, w, &err);
	if (!w->is_listing)
		worker_tell_trouble(w, &err);
}

/* Whoever read or changed one. They are few and change seldom, so all are told together. */
void worker_tell_lists(struct worker *w)
{
	struct error err;
	if (!w->service || w->is_closing || (w->has_told_lists && w->list_changes == vault_list_changes(w->vault)))
		return;
	w->has_told_lists = true;
	w->list_changes = vault_list_changes(w->vault);
	struct news *n = worker_news(NEWS_LISTS);
	n->text.max = LISTS_BYTES_MAX;
	if (!vault_each_list(w->vault, worker_add_list, &n->text, &err))
		worker_tell_trouble(w, &err);
	worker_tell(w, n);
	worker_note_news(w);
}

/* ---- versions on their way out ---- */

static void log_upkeep(void *context, const struct upkeep_news *news)
{
	char text[256];
	bool is_warning;
	(void)context;
	upkeep_sentence(news, text, sizeof text, &is_warning);
	log_line(is_warning ? LOG_WARNING : LOG_INFO, "%s", text);
}

static void upkeep_is_done(void *context, const char *pixel, const struct error *err)
{
	struct worker *w = context;
	(void)pixel;
	w->tended--;
	/* Removed meanwhile, or changed by somebody else: it is looked at again. */
	if (err && err->code != ERR_CONFLICT && err->code != ERR_NOT_FOUND)
		worker_tell_trouble(w, err);
}

void worker_tend_what_is_due(struct worker *w)
{
	const char *pixel;
	struct error err;
	if (!is_free(w))
		return;
	while (w->tended < TENDED_AT_ONCE && (pixel = tend_due(w->tend, clock_boot_ms()))) {
		if (!service_start_upkeep(w->service, pixel, log_upkeep, upkeep_is_done, w, &err)) {
			worker_tell_trouble(w, &err);
			return;
		}
		w->tended++;
	}
}

/* ---- pairs that are renewed on time ---- */

/* Not due after all: somebody else was at it, or it was planned too far ahead to be sure. */
static void plan_renewal_anew(struct worker *w, const char *pixel)
{
	struct credential c;
	struct health h;
	struct error ignored;
	if (vault_find(w->vault, pixel, false, &c, &ignored) && vault_health(w->vault, &c, &h, &ignored))
		(void)!renewals_note(w->renewals, &c, &h, &w->settings, clock_wall(), clock_boot_ms(), &ignored);
	else
		renewals_forget(w->renewals, pixel);
}

/* Planned anew by what was stored of it; what was not asked, or in vain, comes again after a while. */
static void refresh_is_done(void *context, const struct refresh_result *result, const struct error *err)
{
	struct worker *w = context;
	w->is_renewing = false;
	if (err && err->code != ERR_CONFLICT)
		worker_tell_trouble(w, err);
	if (!result)
		return;
	if (result->was_needless || result->is_overtaken)
		plan_renewal_anew(w, result->pixel);
	if (result->is_renewed || result->was_needless)
		renewals_postpone(w->renewals, result->pixel, clock_boot_ms() + RENEW_REST_MS);
	if (result->is_renewed)
		log_line(LOG_INFO, "%s: version %u, its pair of tokens was renewed", result->pixel, result->version);
	else if (result->was_asked)
		log_line(LOG_WARNING, "%s: not renewed: %s%s%.160s%s%s", result->pixel, verdict_name(result->outcome),
			 result->evidence.text[0] ? ": " : "", result->evidence.text, result->advice ? "; " : "",
			 result->advice ? result->advice : "");
}

void worker_renew_what_is_due(struct worker *w)
{
	char pixel[PIXEL_CODE_MAX + 1];
	struct error err;
	int64_t now_ms = clock_boot_ms();
	const char *due = is_free(w) && !w->is_renewing ? renewals_due(w->renewals, now_ms) : NULL;
	if (!due)
		return;
	snprintf(pixel, sizeof pixel, "%s", due);
	renewals_postpone(w->renewals, pixel, now_ms + renewal_retry_s(&w->settings) * 1000);
	w->is_renewing = service_start_refresh(w->service, pixel, REFRESH_WHEN_DUE, refresh_is_done, w, &err);
	if (!w->is_renewing)
		worker_tell_trouble(w, &err);
}

/* ---- alerts ---- */

static void tell_alert_metrics(struct worker *w)
{
	struct news *n = worker_news(NEWS_ALERTS);
	n->text.max = METRICS_MAX;
	alert_desk_metrics(w->desk, &n->text);
	worker_tell(w, n);
}

static int64_t bounded(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* Those who ask and those who tidy up have their say first: what they find is one message then. */
static bool is_settled(const struct worker *w, int64_t now_ms)
{
	if (!w->news_since_ms)
		return now_ms >= w->alert_look_ms;
	bool is_busy = w->tended || service_is_sweeping(w->service);
	return now_ms - w->news_since_ms >= SETTLE_MOST_MS || (!is_busy && now_ms - w->news_ms >= SETTLE_MS);
}

static void look_for_alerts(struct worker *w, int64_t now_ms)
{
	struct error err;
	if (!alert_desk_look(w->desk, &err))
		worker_tell_trouble(w, &err);
	/* A pass over very many Pixels takes a while; the next one is not to follow on its heels. */
	int64_t took_ms = clock_boot_ms() - now_ms;
	w->news_since_ms = w->news_ms = 0;
	w->alert_look_ms = now_ms + bounded(w->settings.interval_s * 1000, ALERT_LOOK_LEAST_MS, ALERT_LOOK_MS);
	w->rest_ms = now_ms + 20 * took_ms;
	w->desk_ms = 0;
}

/* So often that its absence is noticed soon, and not for each of many small sweeps. */
static void ping_when_due(struct worker *w, int64_t now_ms)
{
	struct error err;
	if (!w->has_swept || now_ms < w->ping_ms)
		return;
	w->has_swept = false;
	w->ping_ms = now_ms + bounded(w->settings.interval_s * 250, PING_LEAST_MS, PING_MOST_MS);
	w->desk_ms = 0;
	alert_desk_ping(w->desk);
	if (!sweep_note_done(w->vault, clock_wall(), &err))
		worker_tell_trouble(w, &err);
}

void worker_see_to_alerts(struct worker *w)
{
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!w->desk || !w->service || w->is_closing || w->has_given_up)
		return;
	if (!alert_desk_is_ours(w->desk) && now_ms >= w->claim_ms)
		worker_claim_book(w);
	if (now_ms >= w->rest_ms && is_settled(w, now_ms))
		look_for_alerts(w, now_ms);
	ping_when_due(w, now_ms);
	struct pollfd event = { .fd = deliver_fd(w->deliver), .events = POLLIN };
	if (now_ms >= w->desk_ms || (deliver_open(w->deliver) && poll(&event, 1, 0) > 0)) {
		int64_t wait_ms = alert_desk_turn(w->desk);
		w->desk_ms = wait_ms == INT64_MAX ? INT64_MAX : now_ms + wait_ms;
		tell_alert_metrics(w);
	}
	if (alert_desk_trouble(w->desk, &err))
		worker_tell_trouble(w, &err);
}
