#include "agent/worker.h"

#include "agent/alert_desk.h"
#include "agent/courier.h"
#include "agent/metrics.h"
#include "agent/plan.h"
#include "agent/renewals.h"
#include "agent/status.h"
#include "agent/sweep_note.h"
#include "agent/tend.h"
#include "agent/text.h"
#include "agent/unlock.h"
#include "core/clock.h"
#include "core/log.h"
#include "vault/codec.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200           /* what another process committed is seen after as long */
#define ANCHOR_MS 60000       /* the head of the audit log goes into the anchor */
#define HEAD_MS 3600000       /* and into the log, from where it can go to other machines */
#define MISSING_MS 1000       /* a vault that is not there */
#define RETRY_MS 5000         /* a sweep that could not begin */
#define RENEW_REST_MS 1000    /* between two renewals of a Pixel, however short a life TikTok gives */
#define DUE_AT_ONCE 512       /* Pixels of one scheduled sweep */
#define TENDED_AT_ONCE 8      /* Pixels with versions on their way out */
#define REPORT_CONTROLS 2     /* good tokens asked along with one that is reported: are they refused too, it is TikTok's trouble */
#define MARKS_AT_ONCE 512     /* who read what is stored in one commit, of as many ... */
#define MARKS_MS 1000         /* ... or as long after the first */
#define MARKS_BYTES_MAX ((size_t)4 << 20)
#define LIST_LOOK_MS 1000
#define RECORD_BYTES_MAX 65536
#define PIXELS_BYTES_MAX ((size_t)1 << 30)
#define ALONE_MS 2000         /* an agent that is ending is waited for as long */
#define STOP_MS 20000         /* what is on its way to TikTok when we are told to stop */
#define GATHER_MAX_US 20000   /* other writers are waited for, see gather_puts */
#define NEWS_AT_ONCE 64       /* the loop is woken once for so many */
#define SETTLE_MS 2000        /* what is found together is told together: a look for alerts waits for quiet as long ... */
#define SETTLE_MOST_MS 60000  /* ... but no longer than this */
#define ALERT_LOOK_MS 3600000 /* what only time brings: tokens that end soon */
#define ALERT_LOOK_LEAST_MS 60000
#define CLAIM_MS 5000         /* somebody else keeps the book of alerts: tried again after as long */
#define FAREWELL_MS 3000      /* for messages that are on their way when we are told to stop */
#define PING_LEAST_MS 60000
#define PING_MOST_MS 3600000

/* The [alert NAME] sections: the rest of the configuration is the loop's. */
struct sinks_copy {
	struct sink *at; /* malloced */
	size_t count;
};

/* ---- two queues ---- */

struct inbox {
	pthread_mutex_t lock;
	struct errand *first, *last;
	struct settings *settings; /* new ones, or NULL */
	struct sinks_copy sinks;   /* that came with them */
	int courier;               /* a new one's socket, or -1 */
	bool is_let_go, is_stopping;
	int fd;
};

struct outbox {
	pthread_mutex_t lock;
	struct news *first, *last;
	int fd;
};

struct worker {
	pthread_t thread;
	struct inbox in;
	struct outbox out;
	_Atomic int64_t later_clock; /* for the loop */
	/* the rest is the thread's own */
	struct settings settings; /* without the configuration, which is the loop's */
	struct settings *next_settings;
	struct vault *vault; /* NULL while locked */
	struct vault_lock *alone; /* no other agent on this vault; NULL where locks cannot be written */
	struct service *service;
	struct courier *courier;
	struct plan *plan;
	struct tend *tend;
	struct sinks_copy sinks, next_sinks;
	struct deliver *deliver;
	struct alert_desk *desk; /* NULL while locked */
	int64_t news_since_ms, news_ms; /* the first and the last thing that no look has seen yet; 0 = none */
	int64_t alert_look_ms, rest_ms, claim_ms, ping_ms, desk_ms; /* when: the next look, at the earliest; claim, ping, turn of the desk */
	bool has_swept; /* a good sweep since the last ping */
	size_t tended; /* jobs under way */
	struct renewals *renewals;
	struct vault_opener *opener; /* wraps for the loop; the loop's once it was told, NULL while closed */
	struct buf wrapped[2];       /* scratch: current, previous */
	struct vault_position at;
	size_t damaged; /* handed over with a damaged record */
	bool is_sweeping;   /* by the schedule */
	bool is_renewing;   /* likewise */
	bool is_listing;    /* likewise */
	int64_t list_ms;    /* when to look next whether a list is due */
	bool is_missing;    /* there is no vault, and the loop was told so */
	bool is_awaited;    /* as there was none at the start: it is opened when it is made, unless somebody says lock */
	bool is_closing;    /* the loop was told, and has not let go yet */
	bool has_new_key;   /* rotate-key was run: once closed, the vault is opened again with a key of ours, if one does */
	bool has_given_up;  /* told to stop: nothing new is begun */
	struct errand *locker; /* waits for the closing to be done */
	int64_t look_ms, anchor_ms, head_ms, retry_ms, relock_ms;
	uint64_t head_told; /* the sequence of the last head in the log */
	struct mark_update marks[MARKS_AT_ONCE]; /* not stored yet */
	size_t mark_count;
	int64_t marks_ms; /* when they are stored at the latest */
	struct errand *finished, *finished_last; /* told after what they changed */
	size_t puts, puts_before; /* begun in this turn; in the last turn that had any */
	int64_t puts_took_us, puts_ended_us; /* that turn */
	bool has_others;          /* errands of another kind were begun in this turn */
	struct news *news, *news_last; /* of this turn, not handed over yet */
	size_t news_count;
};

static void ring(int fd)
{
	uint64_t one = 1;
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void hush(int fd)
{
	uint64_t count;
	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

bool errand_new(enum errand_kind kind, struct errand **ret, struct error *err)
{
	struct errand *e = calloc(1, sizeof *e);
	if (!e)
		return fail_no_memory(err);
	e->kind = kind;
	*ret = e;
	return true;
}

void errand_free(struct errand *e)
{
	if (!e)
		return;
	secret_free(e->secret);
	buf_done(&e->records);
	buf_done(&e->marks);
	forecast_done(&e->forecast);
	buf_done(&e->text);
	free(e->pixels);
	free(e);
}

void news_free(struct news *n)
{
	buf_done(&n->metrics);
	free(n);
}

/* Without memory for a piece of news the process cannot go on telling the truth: it ends, and is started again. */
static struct news *make_news(enum news_kind kind)
{
	struct news *n = calloc(1, sizeof *n);
	if (!n) {
		log_line(LOG_ERROR, "no memory left: ending");
		_exit((int)ERR_UNEXPECTED);
	}
	n->kind = kind;
	return n;
}

static void hand_over_news(struct worker *w)
{
	if (!w->news)
		return;
	pthread_mutex_lock(&w->out.lock);
	bool is_first = !w->out.first;
	if (w->out.last)
		w->out.last->next = w->news;
	else
		w->out.first = w->news;
	w->out.last = w->news_last;
	pthread_mutex_unlock(&w->out.lock);
	w->news = w->news_last = NULL;
	w->news_count = 0;
	if (is_first)
		ring(w->out.fd);
}

/* Kept until the end of the turn: a loop that is woken for the first piece takes the lock from us for the second, and
 * sleeps again before the third. */
static void tell(struct worker *w, struct news *n)
{
	if (w->news_last)
		w->news_last->next = n;
	else
		w->news = n;
	w->news_last = n;
	if (++w->news_count == NEWS_AT_ONCE)
		hand_over_news(w);
}

struct news *worker_take(struct worker *w)
{
	pthread_mutex_lock(&w->out.lock);
	struct news *n = w->out.first;
	if (n) {
		w->out.first = n->next;
		if (!w->out.first)
			w->out.last = NULL;
		n->next = NULL;
	} else {
		/* Under the lock: whoever adds the next piece rings again. */
		hush(w->out.fd);
	}
	pthread_mutex_unlock(&w->out.lock);
	return n;
}

int worker_fd(const struct worker *w)
{
	return w->out.fd;
}

int64_t worker_clock(const struct worker *w)
{
	int64_t now = clock_wall(), later = atomic_load_explicit(&w->later_clock, memory_order_relaxed);
	return later > now ? later : now;
}

static void note_clock(struct worker *w)
{
	if (w->vault)
		atomic_store_explicit(&w->later_clock, vault_later_clock(w->vault), memory_order_relaxed);
}

void worker_give(struct worker *w, struct errand *e)
{
	e->next = NULL;
	pthread_mutex_lock(&w->in.lock);
	bool is_first = !w->in.first;
	if (w->in.last)
		w->in.last->next = e;
	else
		w->in.first = e;
	w->in.last = e;
	pthread_mutex_unlock(&w->in.lock);
	if (is_first)
		ring(w->in.fd);
}

void worker_give_courier(struct worker *w, int fd)
{
	pthread_mutex_lock(&w->in.lock);
	int old = w->in.courier;
	w->in.courier = fd;
	pthread_mutex_unlock(&w->in.lock);
	if (old >= 0)
		close(old);
	ring(w->in.fd);
}

void worker_let_go(struct worker *w)
{
	pthread_mutex_lock(&w->in.lock);
	w->in.is_let_go = true;
	pthread_mutex_unlock(&w->in.lock);
	ring(w->in.fd);
}

void worker_reload(struct worker *w, const struct settings *settings)
{
	struct settings *copy = malloc(sizeof *copy);
	if (!copy)
		return; /* the old ones stay in force, as after any reload that fails */
	struct sinks_copy sinks = { NULL, 0 };
	struct error err;
	if (!sinks_load(settings->config, &sinks.at, &sinks.count, &err)) {
		free(copy);
		return;
	}
	*copy = *settings;
	copy->config = NULL;
	pthread_mutex_lock(&w->in.lock);
	free(w->in.settings);
	free(w->in.sinks.at);
	w->in.settings = copy;
	w->in.sinks = sinks;
	pthread_mutex_unlock(&w->in.lock);
	ring(w->in.fd);
}

/* ---- done ---- */

/* Told at the end of the turn, behind the news of what it changed: whoever gets the answer finds it true. */
static void finish(struct worker *w, struct errand *e)
{
	e->next = NULL;
	if (w->finished_last)
		w->finished_last->next = e;
	else
		w->finished = e;
	w->finished_last = e;
}

static void finish_with(struct worker *w, struct errand *e, const struct error *err)
{
	if (err)
		e->err = *err;
	finish(w, e);
}

static void tell_finished(struct worker *w)
{
	while (w->finished) {
		struct news *n = make_news(NEWS_DONE);
		n->errand = w->finished;
		w->finished = w->finished->next;
		n->errand->next = NULL;
		tell(w, n);
	}
	w->finished_last = NULL;
}

static void tell_trouble(struct worker *w, const struct error *err)
{
	struct news *n = make_news(NEWS_TROUBLE);
	n->err = *err;
	tell(w, n);
}

/* ---- what is held ---- */

static bool wrap(struct worker *w, const struct credential *c, enum stage stage, struct bytes sealed, struct buf *ret,
		 struct error *err)
{
	const struct version *v = credential_staged(c, stage);
	buf_clear(ret);
	return !v || !sealed.len || vault_opener_wrap(w->opener, c->pixel, v->number, sealed, ret, err);
}

struct sought {
	const struct vault *vault;
	const uint8_t *id;
};

static bool is_sought(void *context, const char *pixel)
{
	const struct sought *s = context;
	uint8_t id[PIXEL_ID_LEN];
	vault_pixel_id(s->vault, pixel, id);
	return memcmp(id, s->id, sizeof id) == 0;
}

/* Alerts are made by looks at the whole vault, and those wait until what is found together has been found. */
static void note_news(struct worker *w)
{
	w->news_ms = clock_boot_ms();
	if (!w->news_since_ms)
		w->news_since_ms = w->news_ms;
}

static void note_damage(struct worker *w)
{
	if (w->desk)
		alert_desk_doubt(w->desk);
	note_news(w);
}

/* Not asked about any more: a sweep ends at what it cannot read, and the others of it with it. */
static void hand_over_damaged(struct worker *w, const struct vault_item *item)
{
	struct sought sought = { w->vault, item->id };
	struct news *n = make_news(NEWS_DAMAGED);
	memcpy(n->id, item->id, sizeof n->id);
	n->err = *item->damage;
	plan_forget_one(w->plan, is_sought, &sought);
	note_damage(w);
	tell(w, n);
}

static void unplan(struct worker *w, const char *pixel)
{
	plan_forget(w->plan, pixel);
	tend_forget(w->tend, pixel);
	renewals_forget(w->renewals, pixel);
}

static bool plan_item(struct worker *w, const struct vault_item *item, struct error *err)
{
	int64_t now = clock_wall(), now_ms = clock_boot_ms();
	if (!item->damage)
		return plan_note(w->plan, item->credential, item->health, &w->settings, now, now_ms, err) &&
		       tend_note(w->tend, item->credential, item->health, &w->settings, now, now_ms, err) &&
		       renewals_note(w->renewals, item->credential, item->health, &w->settings, now, now_ms, err);
	unplan(w, item->credential->pixel);
	return true;
}

static bool hand_over(void *context, const struct vault_item *item, struct error *err)
{
	struct worker *w = context;
	const struct credential *c = item->credential;
	w->damaged += item->damage != NULL;
	if (!c) {
		hand_over_damaged(w, item);
		return true;
	}
	if (c->deleted_at || c->is_destroyed) {
		struct news *gone = make_news(NEWS_GONE);
		memcpy(gone->pixel, c->pixel, sizeof gone->pixel);
		memcpy(gone->id, item->id, sizeof gone->id);
		unplan(w, c->pixel);
		if (w->desk && alert_desk_knows(w->desk, c->pixel))
			note_news(w);
		tell(w, gone);
		return true;
	}
	struct holding *h;
	if (!wrap(w, c, STAGE_CURRENT, item->sealed_current, &w->wrapped[0], err) ||
	    !wrap(w, c, STAGE_PREVIOUS, item->sealed_previous, &w->wrapped[1], err) ||
	    !holding_new(c, item->health, status_is_due(c, &w->settings, vault_later_clock(w->vault)), buf_bytes(&w->wrapped[0]),
			 buf_bytes(&w->wrapped[1]), &h, err))
		return false;
	memcpy(h->id, item->id, sizeof h->id);
	if (!plan_item(w, item, err)) {
		holding_free(h);
		return false;
	}
	if (item->damage)
		note_damage(w);
	else if (w->desk && alert_desk_is_news(w->desk, c, item->health))
		note_news(w);
	struct news *n = make_news(NEWS_HOLDING);
	n->holding = h;
	tell(w, n);
	return true;
}

/* ---- who reads what ---- */

/* A commit waits for the disk, and after a restart each consumer's first read of each Pixel is one to be noted: together
 * they cost no more than one. A crash loses a second of them, and the next reads bring them again. */
static bool store_marks(struct worker *w, struct error *err)
{
	size_t count = w->mark_count;
	w->mark_count = 0;
	for (size_t i = 0; i < count; i++)
		tend_hurry(w->tend, w->marks[i].pixel); /* a retirement may have waited for this one */
	return count == 0 || vault_mark_reads(w->vault, w->marks, count, err);
}

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
	return w->mark_count < MARKS_AT_ONCE || store_marks(w, err);
}

/* ---- closing ---- */

static void tell_closed(struct worker *w, const struct error *why)
{
	struct news *n = make_news(NEWS_CLOSED);
	if (why)
		n->err = *why;
	w->is_missing = n->err.code == ERR_NOT_FOUND;
	tell(w, n);
}

static void begin_closing(struct worker *w, const struct error *why)
{
	w->is_closing = true;
	w->opener = NULL;
	vault_follow(w->vault, NULL, NULL, NULL);
	w->relock_ms = INT64_MAX;
	service_freep(&w->service); /* what runs ends here */
	alert_desk_freep(&w->desk);
	w->is_sweeping = w->is_renewing = w->is_listing = false;
	tell_closed(w, why);
}

/* Whoever can edit the audit log can put an older anchor beside it, too; the journal, and where it is sent to, is out of
 * their reach. Of what is durable only: a head must never be ahead of what a crash leaves. */
static void tell_head(struct worker *w)
{
	struct audit_position head;
	char text[AUDIT_HEAD_TEXT_MAX];
	audit_durable(vault_audit(w->vault), &head);
	w->head_ms = clock_boot_ms() + HEAD_MS;
	if (head.sequence == w->head_told)
		return;
	w->head_told = head.sequence;
	log_line(LOG_INFO, LOG_AUDIT_HEAD, audit_head_text(&head, text));
}

static void close_vault(struct worker *w)
{
	struct error ignored;
	alert_desk_freep(&w->desk);
	if (w->vault) {
		(void)!store_marks(w, &ignored);
		if (vault_anchor_audit(w->vault, &ignored))
			tell_head(w);
	}
	vault_unlockp(&w->alone);
	vault_closep(&w->vault);
	plan_clear(w->plan);
	tend_clear(w->tend);
	renewals_clear(w->renewals);
	w->is_closing = false;
	if (w->locker)
		finish(w, take(w->locker));
}

/* ---- opening ---- */

static bool begin_service(struct worker *w, struct error *err)
{
	if (!w->courier && !courier_new_given(&w->settings, &w->courier, err))
		return false;
	return service_new_with(w->vault, &w->settings, w->courier, &w->service, err);
}

static void note_in_audit(struct worker *w, const struct audit_who *who, const char *verb)
{
	struct audit_event event = { .verb = verb, .result = "ok" };
	struct error err;
	if (!audit_append(vault_audit(w->vault), who, &event, 1, AUDIT_RESERVE, false, &err))
		tell_trouble(w, &err);
}

/* Where somebody else keeps the book, it is claimed again later. */
static void claim_book(struct worker *w)
{
	bool is_ours;
	struct error err;
	w->claim_ms = clock_boot_ms() + CLAIM_MS;
	if (!alert_desk_claim(w->desk, 0, &is_ours, &err))
		tell_trouble(w, &err);
	else if (is_ours)
		note_news(w); /* what changed while nobody looked */
}

static bool begin_alerts(struct worker *w, struct error *err)
{
	if (!alert_desk_new(w->vault, &w->settings, w->deliver, &w->desk, err) ||
	    !alert_desk_set_sinks(w->desk, w->sinks.at, w->sinks.count, err))
		return false;
	w->news_since_ms = w->news_ms = w->desk_ms = w->ping_ms = 0;
	claim_book(w);
	return true;
}

/* The vault is open: everything is proven and handed over. */
static bool take_stock(struct worker *w, struct error *err)
{
	w->damaged = 0;
	if (!begin_service(w, err) || !begin_alerts(w, err) || !vault_opener_new(w->vault, &w->opener, err) ||
	    !vault_load(w->vault, hand_over, w, &w->at, err))
		return false;
	vault_follow(w->vault, hand_over, w, &w->at);
	struct news *n = make_news(NEWS_OPENED);
	n->opener = w->opener;
	n->damaged = w->damaged;
	n->audit = vault_audit(w->vault);
	w->look_ms = clock_boot_ms() + LOOK_MS;
	w->anchor_ms = clock_boot_ms() + ANCHOR_MS;
	w->retry_ms = 0;
	note_clock(w);
	tell(w, n);
	return true;
}

static bool open_with(struct worker *w, const struct secret *root_key, struct error *err)
{
	struct vault_place place = { .path = w->settings.vault_path, .state_dir = w->settings.state_dir };
	if (!root_key)
		return unlock_open(&w->settings, NULL, NULL, &w->vault, err);
	return vault_open(&place, &w->vault, err) && vault_unlock_root(w->vault, root_key, err);
}

/* Two would each keep a budget, a breaker and a schedule of their own, and TikTok would be asked twice as often. */
static bool be_alone(struct worker *w, struct error *err)
{
	struct error why;
	if (vault_lock(w->vault, "agent", ALONE_MS, &w->alone, &why) || why.code != ERR_CONFLICT)
		return true;
	return fail(err, ERR_CONFLICT, TXT_AGENT_TWICE, w->settings.vault_path);
}

static void warn_of_clock(const struct worker *w)
{
	char text[CLOCK_TEXT_MAX];
	int64_t behind_s = vault_clock_suspect(w->vault);
	if (behind_s)
		log_line(LOG_WARNING, LOG_CLOCK_SUSPECT, clock_format_span(behind_s, text));
}

static void warn_of_wrong_keys(const struct worker *w)
{
	char text[CLOCK_TEXT_MAX];
	uint32_t count;
	int64_t last;
	vault_tell_wrong_keys(w->vault, &count, &last);
	if (count)
		log_line(LOG_WARNING, LOG_WRONG_KEYS, count, clock_format(last, text));
}

static bool open_vault(struct worker *w, const struct secret *root_key, const struct audit_who *who, struct error *err)
{
	if (w->vault)
		return true;
	if (open_with(w, root_key, err) && be_alone(w, err) && take_stock(w, err)) {
		w->is_missing = w->is_awaited = false;
		note_in_audit(w, who, "unlock");
		warn_of_clock(w);
		warn_of_wrong_keys(w);
		return true;
	}
	service_freep(&w->service);
	alert_desk_freep(&w->desk);
	vault_opener_free(take(w->opener));
	vault_unlockp(&w->alone);
	vault_closep(&w->vault);
	plan_clear(w->plan);
	tend_clear(w->tend);
	renewals_clear(w->renewals);
	tell_closed(w, err); /* what was handed over before it went wrong is stale */
	return false;
}

/* ---- errands that TikTok has a word in ---- */

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
	finish_with(c->worker, c->errand, err);
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
	finish_with(c->worker, c->errand, err);
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
	struct news *n = make_news(NEWS_PROGRESS);
	n->errand = c->errand;
	n->done = done;
	n->total = total;
	n->outcome = outcome;
	snprintf(n->pixel, sizeof n->pixel, "%s", pixel ? pixel : "");
	tell(c->worker, n);
}

static void check_is_done(void *context, const struct check_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->check = *result;
	finish_with(c->worker, c->errand, err);
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
	finish_with(c->worker, c->errand, err);
	free(c);
}

static bool start_list_put(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	struct list_request request = { .name = e->pixel, .pasted = e->secret, .no_check = e->no_check };
	return service_start_list(w->service, &request, &e->who, list_is_put, c, err);
}

/* ---- a sweep nobody waits for ---- */

static void log_change(void *context, const char *pixel, enum verdict was, const struct judgement *now)
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
		tell_trouble(w, err);
	if (err)
		w->retry_ms = clock_boot_ms() + RETRY_MS;
	if (!result)
		return;
	struct news *n = make_news(NEWS_CHECKED);
	n->check = *result;
	w->has_swept = w->has_swept || (result->end == SWEEP_COMPLETE && result->transient < result->pixels);
	/* Cut short: the same trouble would meet the next one at once. */
	if (result->end == SWEEP_BREAKER || result->end == SWEEP_CANARY)
		w->retry_ms = clock_boot_ms() + RETRY_MS;
	tell(w, n);
}

static void sweep_what_is_due(struct worker *w)
{
	const char *pixels[DUE_AT_ONCE];
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!w->service || w->is_sweeping || w->has_given_up || w->next_settings || now_ms < w->retry_ms ||
	    service_is_sweeping(w->service) || plan_next_ms(w->plan) > now_ms)
		return;
	size_t count = plan_due(w->plan, now_ms, pixels, COUNT_OF(pixels));
	if (!count)
		return;
	struct check_request request = { .pixels = pixels,
					 .pixel_count = count,
					 .is_scheduled = true,
					 .changed = log_change,
					 .context = w };
	w->is_sweeping = service_start_check(w->service, &request, NULL, sweep_is_done, w, &err);
	if (!w->is_sweeping)
		tell_trouble(w, &err);
	/* What is answered is planned anew when it is stored; the rest comes again after a while. */
	plan_postpone(w->plan, pixels, count, now_ms + RETRY_MS);
}

/* ---- lists ---- */

static void list_is_read(void *context, const struct list_result *result, const struct error *err)
{
	struct worker *w = context;
	w->is_listing = false;
	if (err && err->code != ERR_CONFLICT && err->code != ERR_NOT_FOUND)
		tell_trouble(w, err);
	if (result && result->was_read)
		log_line(LOG_INFO, "%s: %s", result->name, result->evidence.text);
	if (result && verdict_is_transient(result->outcome))
		log_line(LOG_WARNING, "%s: not read: %s%s%.160s", result->name, verdict_name(result->outcome),
			 result->evidence.text[0] ? ": " : "", result->evidence.text);
}

/* Before the Pixels on it are due, so that they need not be asked about one by one. */
static void read_lists_that_are_due(struct worker *w)
{
	char name[PIXEL_CODE_MAX + 1];
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!w->service || w->is_closing || w->is_listing || w->has_given_up || w->next_settings || now_ms < w->list_ms)
		return;
	w->list_ms = now_ms + LIST_LOOK_MS;
	if (!service_list_due(w->service, name))
		return;
	struct list_request request = { .name = name, .is_due_only = true, .changed = log_change, .context = w };
	w->is_listing = service_start_list(w->service, &request, NULL, list_is_read, w, &err);
	if (!w->is_listing)
		tell_trouble(w, &err);
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
		tell_trouble(w, err);
}

static void tend_what_is_due(struct worker *w)
{
	const char *pixel;
	struct error err;
	if (!w->service || w->has_given_up || w->next_settings)
		return;
	while (w->tended < TENDED_AT_ONCE && (pixel = tend_due(w->tend, clock_boot_ms()))) {
		if (!service_start_upkeep(w->service, pixel, log_upkeep, upkeep_is_done, w, &err)) {
			tell_trouble(w, &err);
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
		tell_trouble(w, err);
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

static void renew_what_is_due(struct worker *w)
{
	char pixel[PIXEL_CODE_MAX + 1];
	struct error err;
	int64_t now_ms = clock_boot_ms();
	const char *due = w->service && !w->is_renewing && !w->has_given_up && !w->next_settings
				  ? renewals_due(w->renewals, now_ms)
				  : NULL;
	if (!due)
		return;
	snprintf(pixel, sizeof pixel, "%s", due);
	renewals_postpone(w->renewals, pixel, now_ms + renewal_retry_s(&w->settings) * 1000);
	w->is_renewing = service_start_refresh(w->service, pixel, REFRESH_WHEN_DUE, refresh_is_done, w, &err);
	if (!w->is_renewing)
		tell_trouble(w, &err);
}

/* ---- alerts ---- */

static void tell_alert_metrics(struct worker *w)
{
	struct news *n = make_news(NEWS_ALERTS);
	n->metrics.max = METRICS_MAX;
	alert_desk_metrics(w->desk, &n->metrics);
	tell(w, n);
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
		tell_trouble(w, &err);
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
		tell_trouble(w, &err);
}

static void see_to_alerts(struct worker *w)
{
	int64_t now_ms = clock_boot_ms();
	struct error err;
	if (!w->desk || !w->service || w->is_closing || w->has_given_up)
		return;
	if (!alert_desk_is_ours(w->desk) && now_ms >= w->claim_ms)
		claim_book(w);
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
		tell_trouble(w, &err);
}

static void test_is_done(void *context, const struct delivery_result *result, const struct error *err)
{
	struct carried *c = context;
	if (result)
		c->errand->delivery = *result;
	finish_with(c->worker, c->errand, err);
	free(c);
}

static bool start_test(struct worker *w, struct errand *e, struct carried *c, struct error *err)
{
	(void)err;
	w->desk_ms = 0;
	alert_desk_test(w->desk, e->name, test_is_done, c);
	return true;
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

/* ---- errands that are done at once ---- */

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
	return store_marks(w, err) && service_ack(w->service, e->pixel, e->number, &e->who, err);
}

static bool do_retire(struct worker *w, struct errand *e, struct error *err)
{
	return store_marks(w, err) && service_retire(w->service, e->pixel, e->is_forced, &e->retired, err);
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
	return store_marks(w, err) && vault_find(w->vault, e->pixel, false, &e->credential, err) &&
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

static bool add_list(void *context, const struct credential *c, const struct health *h, struct error *err)
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
	e->records.max = PIXELS_BYTES_MAX;
	return vault_each_list(w->vault, add_list, &e->records, err);
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
		tell_trouble(w, err);
}

static bool do_report(struct worker *w, struct errand *e, struct error *err)
{
	const char *pixels[1 + REPORT_CONTROLS] = { e->pixel };
	struct audit_event event = { .verb = "report", .pixel = e->pixel, .result = "ok" };
	struct check_request request = {
		.pixels = pixels, .pixel_count = 1, .is_urgent = true, .changed = log_change, .context = w
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

static void unlock(struct worker *w, struct errand *e)
{
	struct error err;
	if (w->is_closing)
		(void)!fail(&err, ERR_CONFLICT, TXT_AGENT_CLOSING);
	else if (open_vault(w, e->secret, &e->who, &err)) {
		w->relock_ms = e->span_s ? clock_boot_ms() + e->span_s * 1000 : INT64_MAX;
		finish(w, e);
		return;
	}
	finish_with(w, e, &err);
}

static void lock(struct worker *w, struct errand *e)
{
	w->is_awaited = w->has_new_key = false;
	if (!w->vault || w->locker) {
		finish(w, e);
		return;
	}
	note_in_audit(w, &e->who, "lock");
	w->locker = e;
	if (!w->is_closing)
		begin_closing(w, NULL);
}

static void begin(struct worker *w, struct errand *e)
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
		finish_with(w, e, &err);
		return;
	}
	if (e->kind == ERRAND_PUT)
		w->puts++;
	else
		w->has_others = true;
	vault_set_who(w->vault, &e->who);
	if (errands[e->kind].at_once) {
		bool is_done = errands[e->kind].at_once(w, e, &err);
		finish_with(w, e, is_done ? NULL : &err);
		return;
	}
	struct carried *c = carry(w, e, &err);
	if (!c || !errands[e->kind].as_job(w, e, c, &err)) {
		free(c);
		finish_with(w, e, &err);
	}
}

/* ---- the turn ---- */

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
		tell_trouble(w, &err);
	w->desk_ms = 0;
	/* The supervisor starts another courier when the socket of the old one closes. */
	if (!courier_new_given(&w->settings, &fresh, &err)) {
		tell_trouble(w, &err);
		return;
	}
	service_freep(&w->service);
	courier_free(w->courier);
	w->courier = fresh;
	if (w->vault && !w->is_closing && !begin_service(w, &err))
		tell_trouble(w, &err);
}

static void take_in(struct worker *w)
{
	pthread_mutex_lock(&w->in.lock);
	struct errand *first = w->in.first;
	struct settings *settings = w->in.settings;
	struct sinks_copy sinks = w->in.sinks;
	int courier = w->in.courier;
	bool is_let_go = w->in.is_let_go;
	w->has_given_up = w->has_given_up || w->in.is_stopping;
	w->in.first = w->in.last = NULL;
	w->in.settings = NULL;
	w->in.sinks = (struct sinks_copy){ NULL, 0 };
	w->in.courier = -1;
	w->in.is_let_go = false;
	hush(w->in.fd);
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
	if (is_let_go && w->is_closing)
		close_vault(w);
	adopt_settings(w); /* before what was asked for after them */
	while (first) {
		struct errand *e = first;
		first = e->next;
		begin(w, e);
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
	if (vault_catch_up(w->vault, hand_over, w, &w->at, &err))
		return;
	if (err.code == ERR_LOCKED) {
		/* Where it was opened for a time only, it is not opened again unasked. */
		w->has_new_key = w->relock_ms == INT64_MAX;
		(void)!fail(&err, ERR_LOCKED, TXT_AGENT_NEW_KEY);
		begin_closing(w, &err);
	} else if (err.code == ERR_DAMAGED || err.code == ERR_NOT_FOUND)
		begin_closing(w, &err);
	else
		tell_trouble(w, &err);
}

static void open_with_new_key(struct worker *w)
{
	static const struct audit_who us = { .is_known = false };
	struct error err;
	if (!w->has_new_key || w->vault || w->has_given_up)
		return;
	w->has_new_key = false;
	if (open_vault(w, NULL, &us, &err))
		return;
	(void)!fail(&err, ERR_LOCKED, TXT_AGENT_NEW_KEY);
	tell_closed(w, &err);
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
		tell_closed(w, &err);
	} else if (!open_vault(w, NULL, &us, &err)) {
		tell_trouble(w, &err);
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
			tell_trouble(w, &err);
		else if (now_ms >= w->head_ms)
			tell_head(w);
	}
	if (w->mark_count && now_ms >= w->marks_ms && !store_marks(w, &err))
		tell_trouble(w, &err);
	if (now_ms >= w->relock_ms)
		begin_closing(w, NULL);
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
	read_lists_that_are_due(w);
	sweep_what_is_due(w);
	tend_what_is_due(w);
	renew_what_is_due(w);
	int64_t begun_us = now_us();
	if (w->service)
		wait_ms = service_step(w->service);
	if (w->puts) {
		w->puts_before = w->puts;
		w->puts_ended_us = now_us();
		w->puts_took_us = w->puts_ended_us - begun_us;
	}
	if (must_look(w))
		look_for_changes(w);
	see_to_alerts(w);
	if (w->vault)
		vault_settle(w->vault); /* what became of it stands in the audit log before anybody is answered */
	tell_finished(w);
	open_with_new_key(w);
	look_for_vault(w);
	keep_time(w);
	note_clock(w);
	if (w->courier && courier_was_stuck(w->courier))
		tell(w, make_news(NEWS_COURIER_STUCK));
	hand_over_news(w);
	return (int)earliest(wait_ms, until_look_ms(w));
}

static void wait_for_work(struct worker *w, int wait_ms)
{
	struct pollfd events[] = { { .fd = w->in.fd, .events = POLLIN },
				   { .fd = w->service ? service_fd(w->service) : -1, .events = POLLIN },
				   { .fd = deliver_fd(w->deliver), .events = POLLIN } };
	(void)poll(events, COUNT_OF(events), wait_ms);
}

/* What is on its way is waited for, so that its answer is stored; then the vault is closed as a whole file. */
static void wind_up(struct worker *w)
{
	int64_t until = clock_boot_ms() + STOP_MS;
	if (w->service)
		service_stop_sweeps(w->service);
	while (w->service && !service_is_idle(w->service) && clock_boot_ms() < until)
		wait_for_work(w, turn(w));
	service_freep(&w->service);
	if (w->desk)
		alert_desk_finish(w->desk, clock_boot_ms() + FAREWELL_MS);
	look_for_changes(w);
	tell_finished(w);
	close_vault(w);
	tell_finished(w);
	hand_over_news(w);
}

static void *run(void *context)
{
	static const struct audit_who us = { .is_known = false };
	struct worker *w = context;
	struct error err;
	if (!open_vault(w, NULL, &us, &err)) {
		w->is_awaited = err.code == ERR_NOT_FOUND;
		tell_trouble(w, &err);
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
	w->in.courier = -1;
	w->in.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->out.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->in.fd < 0 || w->out.fd < 0)
		return fail(err, ERR_UNEXPECTED, TXT_AGENT_RESOURCES, strerror(errno));
	return sinks_load(settings->config, &w->sinks.at, &w->sinks.count, err) &&
	       deliver_new(config, link, &w->deliver, err) && plan_new(&w->plan, err) && tend_new(&w->tend, err) && renewals_new(&w->renewals, err) &&
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
	ring(w->in.fd);
	pthread_join(w->thread, NULL);
}
