/* agent/worker.h - the keeper's second thread. It owns the vault file: every change, every question to TikTok, the
 * schedule, and the watch for what other processes changed. So nothing that waits for a disk or for TikTok ever stands in
 * the way of a read, which the event loop answers from memory.
 *
 * The loop gives errands and takes back finished errands and news, both by queues with a descriptor to poll. An errand
 * goes to the worker whole and comes back whole: never touched by two threads at once. Many are under way together; puts
 * that wait at the same time share one commit. */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include "agent/deliver.h"
#include "agent/holdings.h"
#include "agent/service.h"
#include "agent/settings.h"
#include "vault/audit.h"

enum errand_kind {
	ERRAND_UNLOCK,   /* secret: the 32-byte root key, or NULL = by key file or credential; span_s: lock again after (0 = never) */
	ERRAND_LOCK,
	ERRAND_PUT,      /* secret, put fields */
	ERRAND_CHECK,    /* pixels (none = all), labels, probe; progress comes as news */
	ERRAND_TOKEN,    /* number: a version that is not in memory; the token comes back in secret */
	ERRAND_REMOVE,   /* soft */
	ERRAND_RESTORE,
	ERRAND_DESTROY,
	ERRAND_LABEL,    /* labels to set or (empty value) remove */
	ERRAND_REPORT,   /* code, request_id: what a consumer was told; a probe follows */
	ERRAND_ACK,      /* number, who.as */
	ERRAND_ROLLBACK, /* proves the previous token first */
	ERRAND_SWAP,     /* other; proves first unless no_check */
	ERRAND_MOVE,     /* the same */
	ERRAND_RETIRE,   /* force */
	ERRAND_SELECT,   /* pixels (none = all), labels, span_s: who is to be asked for a new token; comes back in pixels */
	ERRAND_ROTATE,   /* the same, and they are asked, or (is_cancel) no longer; number: how many were not before */
	ERRAND_HISTORY,  /* credential and health, also of a removed Pixel */
	ERRAND_ROLLOUT,  /* marks: who was last seen with which version */
	ERRAND_LOOK,     /* a Pixel that is not in memory while some are damaged: comes back with why it is not, always */
	ERRAND_PLAN,     /* pixels (none = all), labels, span_s: what is asked when, in forecast */
	ERRAND_MATCH,    /* secret: whose token it is, in marks (struct match) */
	ERRAND_LIST_PUT,    /* pixel: the list's name; secret; no_check */
	ERRAND_LIST_REMOVE, /* the same name; is_forced: its tokens are destroyed */
	ERRAND_LISTINGS,    /* records: all listing tokens, one behind the other as remote reads them */
	ERRAND_VERIFY,
	ERRAND_MARK,     /* who.as reads version number: remembered for `rollout`; nobody waits for it */
	ERRAND_ALERTS,   /* as JSON in text */
	ERRAND_ALERT_ACK, /* name: the alert's id; span_s: for so long, 0 = until it ends */
	ERRAND_ALERT_TEST, /* name: of the sink; what became of it comes back in delivery */
	ERRAND_SYNC,     /* the audit log made durable: reads wait for it when audit-reads = durable */
	ERRAND_KIND_COUNT
};

struct errand {
	enum errand_kind kind;
	struct audit_who who;
	char pixel[PIXEL_CODE_MAX + 1]; /* checked by the caller: pixel_check */
	/* what is asked */
	char other[PIXEL_CODE_MAX + 1]; /* checked too */
	struct secret *secret; /* belongs to the errand */
	uint32_t number;
	int64_t span_s;
	enum family family;
	bool no_check, is_standby, has_if_version, has_test_code, is_forced, is_cancel, must_be_own, hides_others;
	uint32_t if_version;
	int64_t expires_at;
	char test_code[TEST_CODE_MAX + 1];
	struct label labels[LABELS_MAX * 2];
	size_t label_count;
	char (*pixels)[PIXEL_CODE_MAX + 1]; /* malloced; belongs to the errand */
	size_t pixel_count;
	enum probe_choice probe;
	int32_t code;
	char request_id[REQUEST_ID_MAX + 1];
	bool wants_progress;
	/* what came of it; err.code ERR_NONE = it was done (a put that TikTok refused was done: see put.exit) */
	struct error err;
	struct put_result put;
	struct swap_result swap;
	struct check_result check;
	struct credential credential; /* HISTORY, LABEL */
	struct health health;
	struct verify_report verify;
	struct buf marks; /* struct read_mark, one behind the other; ROLLOUT. struct match; MATCH */
	struct forecast forecast; /* PLAN */
	struct list_result list;
	struct buf records;
	struct buf text;
	char name[SINK_NAME_MAX + 1];
	struct delivery_result delivery;
	struct retire_result retired;
	bool was_nothing; /* REMOVE, RESTORE, DESTROY: it was like this already; REPORT: asked a moment ago */
	void *context; /* the giver's */
	struct errand *next; /* the queue's */
};

must_check bool errand_new(enum errand_kind kind, struct errand **ret, struct error *err);
void errand_free(struct errand *e); /* wipes and frees what belongs to it */

enum news_kind {
	NEWS_DONE,     /* errand */
	NEWS_PROGRESS, /* errand (still the worker's: only its context may be looked at), done, total, pixel, outcome */
	NEWS_OPENED,   /* opener, audit: the vault is unlocked; NEWS_HOLDING for every Pixel came before */
	NEWS_CLOSED,   /* locked: err says why (ERR_NONE: somebody asked for it). Everything in memory is stale */
	NEWS_HOLDING,  /* holding: new or changed; belongs to the taker */
	NEWS_GONE,     /* pixel (id) was removed */
	NEWS_DAMAGED,  /* id, err: its metadata are damaged, so that its code is not known */
	NEWS_TROUBLE,  /* err: something that nobody waits for went wrong */
	NEWS_LOSS,     /* err: nothing is written any more until the vault is opened anew */
	NEWS_COURIER_STUCK, /* it should be ended and started again */
	NEWS_CHECKED,  /* a scheduled sweep ended: check */
	NEWS_ALERTS,   /* text: the lines about alerts, for /metrics */
	NEWS_LISTS,    /* text: every listing token, as ERRAND_LISTINGS has them; at the opening and after each change */
};

struct news {
	enum news_kind kind;
	struct errand *errand;
	size_t done, total;
	enum verdict outcome;
	char pixel[PIXEL_CODE_MAX + 1];
	uint8_t id[PIXEL_ID_LEN];
	size_t damaged; /* NEWS_OPENED: Pixels with a damaged record */
	struct vault_opener *opener; /* NEWS_OPENED: opens sealed tokens; belongs to the taker */
	struct audit *audit;         /* borrowed until the taker has said worker_let_go */
	struct holding *holding;
	struct error err;
	uint64_t closing; /* NEWS_CLOSED: its number */
	struct check_result check;
	struct buf text; /* belongs to the taker */
	struct news *next;
};

struct worker;
/* Starts the thread, with a copy of what it needs of the settings. Begins by unlocking with what they name. config: as
 * given by --config, or NULL; link: the supervisor's socket (agent/deliver.h). */
must_check bool worker_start(const struct settings *settings, const char *config, int link, struct worker **ret,
			     struct error *err);
/* The keeper's end of a socket to a fresh courier; the worker's from here on. */
void worker_give_courier(struct worker *w, int fd);
void worker_give(struct worker *w, struct errand *e);
int worker_fd(const struct worker *w);          /* readable when there is news */
/* What expiry is judged by: vault_later_clock, kept up to date by the thread. */
int64_t worker_clock(const struct worker *w);
struct news *worker_take(struct worker *w);     /* NULL = no more; free with news_free */
/* For both threads, where going on would mean to know less than the vault holds. Whoever starts us starts another one. */
void worker_end_without_memory(void) __attribute__((noreturn));
void news_free(struct news *n);
/* NEWS_CLOSED of this number was seen, and neither opener nor audit is used any more: only now the vault is closed. What
 * was said of an earlier one is not said of a vault that was opened since. */
void worker_let_go(struct worker *w, uint64_t closing);
/* Copied; in force as soon as the sweep that runs has ended, which it is told to. */
void worker_reload(struct worker *w, const struct settings *settings);
/* Finish the commit in hand, store what sweeps learned, close the vault, end the thread. Its last news can be taken
 * still (errands that were cut short come back with ERR_CONFLICT); then worker_free. The opener stays the taker's; the audit
 * must not be used any more. */
void worker_stop(struct worker *w);
void worker_free(struct worker *w);

#endif
