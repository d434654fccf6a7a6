/* agent/worker_inside.h - what the files of the worker (agent/worker.h) share. All of it runs in its thread, but for what
 * agent/worker.h gives to the loop. */
#ifndef AGENT_WORKER_INSIDE_H
#define AGENT_WORKER_INSIDE_H

#include "agent/alert_desk.h"
#include "agent/courier.h"
#include "agent/plan.h"
#include "agent/renewals.h"
#include "agent/tend.h"
#include "agent/worker.h"

#include <pthread.h>

#define LOOK_MS 200       /* what another process committed is seen after as long */
#define ANCHOR_MS 60000   /* the head of the audit log goes into the anchor */
#define LISTS_BYTES_MAX ((size_t)64 << 20)
#define MARKS_AT_ONCE 512 /* who read what is stored in one commit, of as many ... */
#define MARKS_MS 1000     /* ... or as long after the first */

/* The [alert NAME] sections: the rest of the configuration is the loop's. */
struct sinks_copy {
	struct sink *at; /* malloced */
	size_t count;
};

struct inbox {
	pthread_mutex_t lock;
	struct errand *first, *last;
	struct settings *settings; /* new ones, or NULL */
	struct sinks_copy sinks;   /* that came with them */
	int courier;               /* a new one's socket, or -1 */
	bool is_stopping;
	uint64_t let_go; /* the last closing whose news was taken */
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
	bool has_told_lists;
	uint64_t list_changes; /* when they were told last */
	bool is_missing;    /* there is no vault, and the loop was told so */
	bool is_awaited;    /* as there was none at the start: it is opened when it is made, unless somebody says lock */
	bool is_closing;    /* the loop was told, and has not let go yet, or a refresh is under way */
	bool is_let_go;     /* by the loop */
	uint64_t closings;  /* that were told; also where nothing was open */
	bool has_new_key;   /* rotate-key was run: once closed, the vault is opened again with a key of ours, if one does */
	bool has_told_loss; /* of a write of this open vault */
	bool has_given_up;  /* told to stop: nothing new is begun */
	struct errand *waiting, **waiting_end; /* lock and unlock: for the closing to be done */
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

/* worker_queue.c: what passes between the loop and the thread */
void worker_ring(int fd);
void worker_hush(int fd);
struct news *worker_news(enum news_kind kind);
void worker_hand_over_news(struct worker *w);
void worker_tell(struct worker *w, struct news *n);
void worker_note_clock(struct worker *w);
void worker_finish(struct worker *w, struct errand *e);
void worker_finish_with(struct worker *w, struct errand *e, const struct error *err);
void worker_tell_finished(struct worker *w);
void worker_tell_trouble(struct worker *w, const struct error *err);

/* worker_vault.c: opening and closing, and handing over what is in it */
void worker_note_news(struct worker *w);
must_check bool worker_hand_over_item(void *context, const struct vault_item *item, struct error *err);
must_check bool worker_store_marks(struct worker *w, struct error *err);
void worker_store_marks_in_time(struct worker *w, int64_t now_ms);
void worker_tell_closed(struct worker *w, const struct error *why);
void worker_begin_closing(struct worker *w, const struct error *why);
void worker_tell_head(struct worker *w);
void worker_close_vault(struct worker *w);
must_check bool worker_begin_service(struct worker *w, struct error *err);
void worker_note_in_audit(struct worker *w, const struct audit_who *who, const char *verb);
void worker_claim_book(struct worker *w);
must_check bool worker_open_vault(struct worker *w, const struct secret *root_key, const struct audit_who *who,
				  struct error *err);

/* worker_rounds.c: what comes due by itself */
void worker_log_change(void *context, const char *pixel, enum verdict was, const struct judgement *now);
void worker_sweep_what_is_due(struct worker *w);
void worker_read_lists_that_are_due(struct worker *w);
void worker_tell_lists(struct worker *w);
void worker_tend_what_is_due(struct worker *w);
void worker_renew_what_is_due(struct worker *w);
void worker_see_to_alerts(struct worker *w);

/* worker_errands.c: what the loop asks for */
must_check bool worker_add_list(void *records, const struct credential *c, const struct health *h, struct error *err);
void worker_begin_errand(struct worker *w, struct errand *e);
void worker_end_waiting(struct worker *w); /* the vault is closed: those who waited for that are answered, in order */

#endif
