#include "agent/worker_inside.h"

#include "agent/status.h"
#include "agent/text.h"
#include "agent/unlock.h"
#include "core/clock.h"
#include "core/log.h"
#include "vault/backup.h"

#include <string.h>

#define HEAD_MS 3600000 /* the head of the audit log goes into the log, from where it can go to other machines */
#define ALONE_MS 2000   /* an agent that is ending is waited for as long */
#define DECOYS_KEPT 64  /* notes of who asked for a decoy that wait for a disk: they are the same alert */
#define CLAIM_MS 5000   /* somebody else keeps the book of alerts: tried again after as long */

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
void worker_note_news(struct worker *w)
{
	w->news_ms = clock_boot_ms();
	if (!w->news_since_ms)
		w->news_since_ms = w->news_ms;
}

static void note_damage(struct worker *w)
{
	if (w->desk)
		alert_desk_doubt(w->desk);
	worker_note_news(w);
}

/* Not asked about any more: a sweep ends at what it cannot read, and the others of it with it. */
static void hand_over_damaged(struct worker *w, const struct vault_item *item)
{
	struct sought sought = { w->vault, item->id };
	struct news *n = worker_news(NEWS_DAMAGED);
	memcpy(n->id, item->id, sizeof n->id);
	n->err = *item->damage;
	plan_forget_one(w->plan, is_sought, &sought);
	note_damage(w);
	worker_tell(w, n);
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

bool worker_hand_over_item(void *context, const struct vault_item *item, struct error *err)
{
	struct worker *w = context;
	const struct credential *c = item->credential;
	w->damaged += item->damage != NULL;
	if (!c) {
		hand_over_damaged(w, item);
		return true;
	}
	if (c->deleted_at || c->is_destroyed) {
		struct news *gone = worker_news(NEWS_GONE);
		memcpy(gone->pixel, c->pixel, sizeof gone->pixel);
		memcpy(gone->id, item->id, sizeof gone->id);
		unplan(w, c->pixel);
		if (w->desk && alert_desk_knows(w->desk, c->pixel))
			worker_note_news(w);
		worker_tell(w, gone);
		return true;
	}
	struct holding *h;
	if (!wrap(w, c, STAGE_CURRENT, item->sealed_current, &w->wrapped[0], err) ||
	    !wrap(w, c, STAGE_PREVIOUS, item->sealed_previous, &w->wrapped[1], err) ||
	    !holding_new(c, item->health, status_is_due(c, &w->settings, vault_later_clock(w->vault)), buf_bytes(&w->wrapped[0]),
			 buf_bytes(&w->wrapped[1]), &h, err))
		return false;
	memcpy(h->id, item->id, sizeof h->id);
	vault_log_id(w->vault, h->pixel, h->log_id);
	h->has_log_id = true;
	if (!plan_item(w, item, err)) {
		holding_free(h);
		return false;
	}
	if (item->damage)
		note_damage(w);
	else if (w->desk && alert_desk_is_news(w->desk, c, item->health))
		worker_note_news(w);
	struct news *n = worker_news(NEWS_HOLDING);
	n->holding = h;
	worker_tell(w, n);
	return true;
}

/* ---- who reads what ---- */

static void marks_are_seen_to(struct worker *w)
{
	for (size_t i = 0; i < w->mark_count; i++) {
		tend_hurry(w->tend, w->marks[i].pixel); /* a retirement may have waited for this one */
		if (w->desk && alert_desk_is_decoy(w->desk, w->marks[i].pixel))
			worker_note_news(w);
	}
	w->mark_count = 0;
}

/* They could not be stored. Who reads again is noted again, a day later; but nobody reads a decoy twice. */
static void keep_decoys(struct worker *w)
{
	size_t kept = 0;
	for (size_t i = 0; i < w->mark_count && kept < DECOYS_KEPT; i++)
		if (w->desk && alert_desk_is_decoy(w->desk, w->marks[i].pixel))
			w->marks[kept++] = w->marks[i];
	w->mark_count = kept;
	w->marks_ms = clock_boot_ms() + MARKS_MS;
}

/* A commit waits for the disk, and after a restart each consumer's first read of each Pixel is one to be noted: together
 * they cost no more than one. A crash loses a second of them, and the next reads bring them again. */
bool worker_store_marks(struct worker *w, struct error *err)
{
	bool is_done = w->mark_count == 0 || vault_mark_reads(w->vault, w->marks, w->mark_count, err);
	if (!is_done)
		keep_decoys(w);
	else
		marks_are_seen_to(w);
	return is_done;
}

/* Nobody waits for these: while another process keeps the vault's lock, whoever puts is not to wait for them, too. */
void worker_store_marks_in_time(struct worker *w, int64_t now_ms)
{
	struct error err;
	if (!w->mark_count || now_ms < w->marks_ms)
		return;
	bool is_done = vault_try_marks(w->vault, w->marks, w->mark_count, &err);
	if (!is_done && err.code == ERR_CONFLICT) {
		w->marks_ms = now_ms + MARKS_MS;
		return;
	}
	if (is_done) {
		marks_are_seen_to(w);
		return;
	}
	keep_decoys(w);
	worker_tell_trouble(w, &err);
}

/* ---- closing ---- */

void worker_tell_closed(struct worker *w, const struct error *why)
{
	struct news *n = worker_news(NEWS_CLOSED);
	if (why)
		n->err = *why;
	n->closing = ++w->closings;
	w->is_missing = n->err.code == ERR_NOT_FOUND;
	worker_tell(w, n);
}

void worker_begin_closing(struct worker *w, const struct error *why)
{
	w->is_closing = true;
	w->opener = NULL;
	vault_follow(w->vault, NULL, NULL, NULL);
	w->relock_ms = INT64_MAX;
	/* What runs ends here. A pair of tokens that TikTok gives in this moment is stored first, where the vault is sound. */
	if (why || !w->service || service_wind_up(w->service))
		service_freep(&w->service);
	alert_desk_freep(&w->desk);
	w->is_sweeping = w->is_renewing = w->is_listing = false;
	if (why && why->code == ERR_DAMAGED)
		w->mark_count = 0; /* what lies there now may be another vault: nothing is written to it */
	worker_tell_closed(w, why);
}

/* Whoever can edit the audit log, or put an older vault back, can put an older anchor beside it, too; the journal, and
 * where it is sent to, is out of their reach. Of what is durable only: neither must ever be ahead of what a crash leaves. */
void worker_tell_head(struct worker *w)
{
	struct audit_position head;
	char text[AUDIT_HEAD_TEXT_MAX], checkpoint[CHECKPOINT_TEXT_MAX];
	audit_durable(vault_audit(w->vault), &head);
	w->head_ms = clock_boot_ms() + HEAD_MS;
	if (head.sequence == w->head_told)
		return;
	w->head_told = head.sequence;
	log_line(LOG_INFO, LOG_AUDIT_HEAD, audit_head_text(&head, text));
	vault_checkpoint(w->vault, checkpoint);
	log_line(LOG_INFO, LOG_CHECKPOINT, checkpoint);
}

void worker_close_vault(struct worker *w)
{
	struct error ignored;
	service_freep(&w->service);
	alert_desk_freep(&w->desk);
	if (w->vault) {
		(void)!worker_store_marks(w, &ignored);
		w->mark_count = 0; /* the next one may be another vault */
		if (vault_anchor_audit(w->vault, &ignored))
			worker_tell_head(w);
	}
	vault_unlockp(&w->alone);
	vault_closep(&w->vault);
	plan_clear(w->plan);
	tend_clear(w->tend);
	renewals_clear(w->renewals);
	w->is_closing = w->is_let_go = false;
	worker_end_waiting(w);
}

/* ---- opening ---- */

bool worker_begin_service(struct worker *w, struct error *err)
{
	if (!w->courier && !courier_new_given(&w->settings, &w->courier, err))
		return false;
	return service_new_with(w->vault, &w->settings, w->courier, &w->service, err);
}

void worker_note_in_audit(struct worker *w, const struct audit_who *who, const char *verb)
{
	struct audit_event event = { .verb = verb, .result = "ok" };
	struct error err;
	if (!audit_append(vault_audit(w->vault), who, &event, 1, AUDIT_RESERVE, false, &err))
		worker_tell_trouble(w, &err);
}

/* Where somebody else keeps the book, it is claimed again later. */
void worker_claim_book(struct worker *w)
{
	bool is_ours;
	struct error err;
	w->claim_ms = clock_boot_ms() + CLAIM_MS;
	if (!alert_desk_claim(w->desk, 0, &is_ours, &err))
		worker_tell_trouble(w, &err);
	else if (is_ours)
		worker_note_news(w); /* what changed while nobody looked */
}

static bool begin_alerts(struct worker *w, struct error *err)
{
	if (!alert_desk_new(w->vault, &w->settings, w->deliver, &w->desk, err) ||
	    !alert_desk_set_sinks(w->desk, w->sinks.at, w->sinks.count, err))
		return false;
	w->news_since_ms = w->news_ms = w->desk_ms = w->ping_ms = 0;
	w->has_told_lists = false;
	worker_claim_book(w);
	return true;
}

/* The vault is open: everything is proven and handed over. */
static bool take_stock(struct worker *w, struct error *err)
{
	w->damaged = 0;
	if (!worker_begin_service(w, err) || !begin_alerts(w, err) || !vault_opener_new(w->vault, &w->opener, err) ||
	    !vault_load(w->vault, worker_hand_over_item, w, &w->at, err))
		return false;
	vault_follow(w->vault, worker_hand_over_item, w, &w->at);
	struct news *n = worker_news(NEWS_OPENED);
	n->opener = w->opener;
	n->damaged = w->damaged;
	n->audit = vault_audit(w->vault);
	w->look_ms = clock_boot_ms() + LOOK_MS;
	w->anchor_ms = clock_boot_ms() + ANCHOR_MS;
	w->retry_ms = 0;
	worker_note_clock(w);
	worker_tell(w, n);
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

bool worker_open_vault(struct worker *w, const struct secret *root_key, const struct audit_who *who, struct error *err)
{
	if (w->vault)
		return true;
	if (open_with(w, root_key, err) && be_alone(w, err) && take_stock(w, err)) {
		w->is_missing = w->is_awaited = w->has_told_loss = false;
		worker_note_in_audit(w, who, "unlock");
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
	worker_tell_closed(w, err); /* what was handed over before it went wrong is stale */
	return false;
}
