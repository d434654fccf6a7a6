/* agent/service.h - the verbs of the product that need TikTok's word, once for both faces: command line and socket.
 *
 * A verb that must ask TikTok is a job: started, then finished by the courier's answers. The agent's worker lets many run
 * side by side (service_step in its loop); the command line drives one to its end (service_put, service_check ...). All
 * jobs of a service share one pace, one breaker and one courier; what several of them want to commit at the same time
 * goes into one commit.
 *
 * A token comes in (service_put): clean, refuse, store as pending, probe, promote. Tokens are proven (service_check):
 * one sweep with a canary, a pace, a confirmation of every bad answer and the outage rule. Everything is durable before
 * it is reported; nothing TikTok says in passing (throttled, unreachable, unknown) changes what consumers get. */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

#include "agent/forecast.h"
#include "agent/mend.h"
#include "agent/settings.h"
#include "agent/verdict.h"
#include "vault/vault.h"

struct service;
struct courier;
struct plan;

/* Borrows both. The courier is started when a verb first needs it. */
must_check bool service_new(struct vault *v, const struct settings *settings, struct service **ret, struct error *err);
/* The same with couriers that somebody else starts; borrows the courier too (agent/courier.h). */
must_check bool service_new_with(struct vault *v, const struct settings *settings, struct courier *courier,
				 struct service **ret, struct error *err);
/* For whoever starts a courier while the vault is opened, and lets it end while the vault is closed. The service of
 * service_new owns the one that is brought (before the service was asked to do anything); nothing more is asked of one that is
 * dismissed (NULL: the service has none), which is the caller's then, to free. */
void service_bring_courier(struct service *s, struct courier *courier);
must_check struct courier *service_dismiss_courier(struct service *s);
void service_free(struct service *s); /* jobs under way end with ERR_CONFLICT */
void service_freep(struct service **s);

/* ---- running jobs ---- */

/* Takes in answers, does all that can be done now, tells who is done. Returns the milliseconds after which it wants to be
 * called again at the latest; earlier when service_fd is readable. */
int64_t service_step(struct service *s);
int service_fd(const struct service *s); /* to poll for reading; -1 = nothing to wait for but time */
bool service_is_idle(const struct service *s);
/* What runs shall end soon and keep what it learnt: sweeps ask nothing more. */
void service_stop_sweeps(struct service *s);
/* What runs ends now, and nothing more is asked. But a refresh that was begun is let finish: TikTok's answer to it is a pair of
 * tokens that exists nowhere else, and the old pair may be worth nothing then. True: nothing runs; else step on until
 * service_is_idle. */
must_check bool service_wind_up(struct service *s);
bool service_is_sweeping(const struct service *s);

struct put_request {
	const char *pixel;
	const struct secret *pasted; /* as it came; cleaned here */
	const struct label *labels;  /* set or (empty value) removed with the put */
	size_t label_count;
	int64_t expires_at;    /* 0 = unknown */
	const char *test_code; /* NULL = keep what is stored, "" = remove */
	bool no_check;
	bool is_standby; /* not current but standby, where there is a current one */
	bool is_judged_later; /* no_check only where there is no current token; else it waits as pending */
	bool must_be_own; /* ERR_CONFLICT, and nothing stored, when it is another Pixel's token */
	bool hides_others; /* which Pixel's is not said then */
	bool has_if_version;
	uint32_t if_version; /* the current number expected; 0 = none */
	enum family family;  /* other than plain: pasted is a document (vault/grant.h) */
};

struct put_result {
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t version;
	enum stage stage;
	bool is_unchanged;    /* this token was `current` already: nothing to do */
	enum verdict verdict; /* unchecked when not judged */
	bool was_asked;       /* a probe was due: outcome is what became of it */
	enum verdict outcome;
	struct evidence evidence;
	const char *advice; /* NULL or one sentence */
	uint8_t fingerprint[FINGERPRINT_LEN];
	unsigned removed;                     /* enum removed bits */
	char belongs_to[PIXEL_CODE_MAX + 1];  /* refuted here, known to work there; "" */
	enum mend mend;                       /* what puts that right, where belongs_to is known */
	size_t tried;                         /* with so many other Pixels it was tried, in vain */
	char also_stored[PIXEL_CODE_MAX + 1]; /* the same token lies under this Pixel too; "" */
	enum error_code exit; /* ERR_NONE, ERR_UNREACHABLE, ERR_EXPIRED, ERR_MISMATCHED, ERR_MALFORMED, ERR_UNCLEAR */
};

/* Called before any network call when the token is already stored under another Pixel, and before the probe: what a
 * person wants to read while waiting. May be NULL. */
typedef void put_notice_fn(void *context, const struct put_result *so_far);

/* True when the put took place: result->exit says how it was judged, and result->stage where the token is now. False
 * (nothing stored): ERR_MALFORMED, ERR_CONFLICT (previous again, --if-version, deleted Pixel, busy), ERR_STORAGE ... */
must_check bool service_put(struct service *s, const struct put_request *request, put_notice_fn *notice, void *context,
			    struct put_result *ret, struct error *err);

/* err NULL: it took place. The request is copied at the start, so only `context` must live on. */
typedef void put_done_fn(void *context, const struct put_result *result, const struct error *err);
must_check bool service_start_put(struct service *s, const struct put_request *request, const struct audit_who *who,
				  put_done_fn *done, void *context, struct error *err);

/* Many tokens come in, all in one commit or none (agent/service_import.c). Each as by a put of its own: with
 * IMPORT_NO_CHECK current at once; with IMPORT_LATER as one that TikTok gave no verdict on, current where there is no
 * current one, else pending until a check has proven it; with IMPORT_CHECK TikTok is asked about all of them first, and
 * nothing is stored when it refuses one. */
enum import_mode { IMPORT_LATER, IMPORT_NO_CHECK, IMPORT_CHECK };
struct import_row {
	const char *pixel;
	struct bytes token; /* cleaned, in locked memory */
	const struct label *labels;
	size_t label_count;
	int64_t expires_at;
	const char *test_code; /* NULL = keep what is stored */
	/* what came of it, or would have */
	struct error err; /* it cannot be stored: ERR_CONFLICT ...; ERR_NONE = it can */
	uint32_t version;
	enum stage stage;
	bool is_unchanged; /* this token was current already */
	bool has_current;  /* there was another current one */
	bool was_asked;
	enum verdict outcome;
	struct evidence evidence;
	char stored_test_code[TEST_CODE_MAX + 1];
	char also_stored[PIXEL_CODE_MAX + 1]; /* the same token lies under this Pixel too; "" */
	uint8_t fingerprint[FINGERPRINT_LEN];
};
struct import_request {
	struct import_row *rows;
	size_t count;
	enum import_mode mode;
	bool is_dry_run; /* all but the commit */
	void (*asked)(void *context, size_t done, size_t total, const struct import_row *row); /* may be NULL */
	void *context;
};
struct import_result {
	size_t wrong;    /* rows whose err says why */
	size_t refused;  /* by TikTok */
	size_t unjudged; /* the index of a row that TikTok gave no verdict on, from 1; 0 = none */
	bool is_stored;
};
/* False: all of it failed (storage, busy ...). Whatever it was, is_stored says whether the rows are in the vault. */
must_check bool service_import(struct service *s, struct import_request *r, struct import_result *ret,
			       struct error *err);

/* The previous token is asked about; if TikTok does not refuse it, it becomes current and the current one previous. The
 * result speaks of the version that was previous. result->exit: nothing was moved (10, 11, 15, 9). */
must_check bool service_rollback(struct service *s, const char *pixel, struct put_result *ret, struct error *err);
must_check bool service_start_rollback(struct service *s, const char *pixel, const struct audit_who *who,
				       put_done_fn *done, void *context, struct error *err);

/* The pair of tokens that a family's refresh token renews is renewed, when it is time: one question at a time across
 * processes. The new pair is a version of its own, durable and current before anybody is given it; what a person put
 * meanwhile is never replaced. Refused twice, the old one is `expired`: a person must authorise the app again. */
enum refresh_when { REFRESH_WHEN_OVER, REFRESH_WHEN_DUE }; /* only a token of no use any more; also at half of its life */
struct refresh_result {
	char pixel[PIXEL_CODE_MAX + 1];
	bool is_renewed;   /* version holds the new token */
	bool was_needless; /* somebody else did it meanwhile, or it was not due */
	bool is_overtaken; /* another token was put meanwhile */
	bool was_asked;
	uint32_t version;
	enum verdict outcome; /* of what was asked in vain: expired, or transient */
	struct evidence evidence;
	const char *advice;
};
typedef void refresh_done_fn(void *context, const struct refresh_result *result, const struct error *err);
must_check bool service_start_refresh(struct service *s, const char *pixel, enum refresh_when when,
				      refresh_done_fn *done, void *context, struct error *err);

/* Listing tokens (vault/credential.h: list_check). Reading a list asks TikTok page by page; what it says of Pixels is stored
 * when it was read whole (agent/lists.h), then what is thought of its token. A token that is put is stored as pending
 * first, then the list is read with it. One process reads lists at a time. */
struct list_request {
	const char *name;
	const struct secret *pasted; /* a token to be put, as it came; NULL = none, it is read with what is stored */
	bool no_check;               /* of a put: it is not read now */
	bool is_due_only;            /* nothing is asked when it was read since */
	/* Once for each Pixel, and the list itself, whose verdict turned bad or good again; may be NULL. */
	void (*changed)(void *context, const char *name, enum verdict was, const struct judgement *now);
	void *context;
};
struct list_result {
	char name[PIXEL_CODE_MAX + 1];
	bool was_read;     /* to its end */
	bool is_unchanged; /* of a put: this token was current already */
	uint32_t pages, listed;
	size_t stored;        /* of those listed */
	enum verdict verdict; /* of its token */
	enum verdict outcome;
	struct evidence evidence;
	const char *advice;
	/* of a put */
	uint32_t version;
	enum stage stage;
	uint8_t fingerprint[FINGERPRINT_LEN];
	unsigned removed;
	enum error_code exit; /* as of put_result */
};
typedef void list_done_fn(void *context, const struct list_result *result, const struct error *err);
must_check bool service_start_list(struct service *s, const struct list_request *request, const struct audit_who *who,
				   list_done_fn *done, void *context, struct error *err);
must_check bool service_list(struct service *s, const struct list_request *request, struct list_result *ret,
			     struct error *err);
/* A list whose time has come, or false; known without a walk over the vault while nobody changes it. */
bool service_list_due(struct service *s, char ret_name[PIXEL_CODE_MAX + 1]);
/* The names of all, PIXEL_CODE_MAX + 1 bytes each. */
must_check bool service_list_names(struct service *s, struct buf *ret, struct error *err);
/* It lists no more, and what it said of Pixels is forgotten. Its tokens come back with the next put, unless they are
 * destroyed. *ret_was_nothing: it was like this. */
must_check bool service_list_remove(struct service *s, const char *name, bool is_destroyed, bool *ret_was_nothing,
				    struct error *err);

/* A token that lies under the wrong Pixel. A swap: each of the two gets the other's, the stray one where it is known,
 * else the one that speaks for it. A move: `other` gets the one of `pixel` that was found to be its own. What is given
 * away is retired where it was, but for the last token of a Pixel in a move: get hands out a wrong token rather than none.
 * TikTok is asked about each new pair first (with no_check nobody is); a refusal is an error (10, 11, 15), no verdict too
 * (9), and then nothing was moved. A current token that is proven for its Pixel is not given away (ERR_CONFLICT), and
 * gives way only to one that is proven too: else that one waits as pending. */
struct swap_request {
	const char *pixel, *other;
	bool is_move, no_check;
};
struct swap_result {
	bool is_move;
	struct put_result from, to; /* `pixel` and `other` as they are then; of a move `from` is what it gave: pixel,
				     * version and stage alone */
};
must_check bool service_swap(struct service *s, const struct swap_request *request, struct swap_result *ret,
			     struct error *err);
typedef void swap_done_fn(void *context, const struct swap_result *result, const struct error *err);
must_check bool service_start_swap(struct service *s, const struct swap_request *request, const struct audit_who *who,
				   swap_done_fn *done, void *context, struct error *err);

/* The previous token shall be given to nobody any more. At once when no consumer was last seen with it, or is_forced;
 * else the wish is stored (durable), ERR_CONFLICT says who is waited for and until when (`grace`), and service_upkeep ends
 * it. A token that another Pixel uses is deleted here at once: it must not be revoked, and its death is not waited for. */
struct retire_result {
	uint32_t version;
	char in_use_by[PIXEL_CODE_MAX + 1]; /* the token lives on under this Pixel; "" */
};
must_check bool service_retire(struct service *s, const char *pixel, bool is_forced, struct retire_result *ret,
			       struct error *err);

/* What was done about versions on their way out (agent/upkeep.h), told once it is durable. */
enum upkeep_what {
	UPKEEP_NOTHING,
	UPKEEP_FAILED_OVER, /* version is current instead_of one that is refused (verdict) */
	UPKEEP_TAKEN,       /* version is given to nobody any more: it can be revoked at TikTok */
	UPKEEP_FOUND_DEAD,  /* TikTok takes version no longer: its token was deleted */
	UPKEEP_PURGED,      /* deleted as its time was over; TikTok may still take it */
};
struct upkeep_news {
	enum upkeep_what what;
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t version, instead_of;
	enum verdict verdict;
	char in_use_by[PIXEL_CODE_MAX + 1]; /* UPKEEP_TAKEN, UPKEEP_PURGED: the token is this Pixel's; "" */
};
typedef void service_told_fn(void *context, const struct upkeep_news *news);
/* One sentence for people, at most 256 bytes; *ret_is_warning: somebody should read it. */
void upkeep_sentence(const struct upkeep_news *news, char *ret, size_t size, bool *ret_is_warning);
/* What is due, of these Pixels (none = all; one that is not stored is passed over), one after the other. */
must_check bool service_upkeep(struct service *s, const char *const *pixels, size_t count, service_told_fn *told,
			       void *context, struct error *err);
typedef void upkeep_done_fn(void *context, const char *pixel, const struct error *err);
must_check bool service_start_upkeep(struct service *s, const char *pixel, service_told_fn *told, upkeep_done_fn *done,
				     void *context, struct error *err);

/* Set or (empty value) remove labels; ret is the Pixel as it is then. */
must_check bool service_label(struct service *s, const char *pixel, const struct label *labels, size_t count,
			      struct credential *ret, struct error *err);

/* Who shall get a new token: asked for, durably, or (is_cancel) no longer. A put that makes another token current answers
 * it. What is selected but was like this already counts as done. */
struct rotate_request {
	const char *const *pixels; /* none = all, as far as the rest says */
	size_t pixel_count;
	const struct label *labels; /* all must match */
	size_t label_count;
	int64_t max_age_s; /* only where the current token is older; 0 = whatever its age */
	bool is_cancel;
};
/* Those it speaks of, PIXEL_CODE_MAX + 1 bytes each. ERR_NOT_FOUND for a named one that is not stored. */
must_check bool service_rotate_select(struct service *s, const struct rotate_request *r, struct buf *ret,
				      struct error *err);
/* The same, and all of them marked in one commit. ERR_USAGE when it says nothing but "all": a slip of the hand. */
must_check bool service_rotate(struct service *s, const struct rotate_request *r, struct buf *ret, size_t *ret_changed,
			       struct error *err);

/* Out of sight and not checked; back again; its tokens and labels gone for good. *ret_was_nothing: it was like this. */
enum service_removal { REMOVAL_SOFT, REMOVAL_UNDO, REMOVAL_DESTROY };
must_check bool service_remove(struct service *s, const char *pixel, enum service_removal what, bool *ret_was_nothing,
			       struct error *err);

/* A consumer (who->as, of user who->uid) says which version it uses from now on. ERR_NOT_FOUND for a version that is not
 * kept. */
must_check bool service_ack(struct service *s, const char *pixel, uint32_t version, const struct audit_who *who,
			    struct error *err);
/* A consumer says that TikTok refused it. Is a probe due? *ret_is_recent: one was, for a report less than a minute ago. */
must_check bool service_report(struct service *s, const char *pixel, bool *ret_is_recent, struct error *err);

struct check_request {
	const char *const *pixels; /* none = all */
	size_t pixel_count;
	const struct label *labels; /* all must match */
	size_t label_count;
	enum probe_choice probe; /* auto = the setting, then test where there is a test code, else dry */
	/* A sweep of the schedule: a refused token is looked at again in a later sweep, after confirm-delay, and a few
	 * tokens known to work are asked along with it, so that an outage shows. Otherwise the second look is made here. */
	bool is_scheduled;
	/* Because a consumer reports: ahead of all sweeps and beside them, with the second look right behind the first, as
	 * the report was one already. Counts for no outage in a row. */
	bool is_urgent;
	/* Pairs whose half life is over are renewed first, not only those whose token has run out. Not when scheduled. */
	bool renews_early;
	int64_t until_ms; /* boot clock: nothing more is asked from then on; 0 = whenever it is done */
	/* Called after each answer, for progress; may be NULL. */
	void (*progress)(void *context, size_t done, size_t total, const char *pixel, enum verdict outcome);
	/* Called once for each Pixel that changed to a bad verdict or recovered in this sweep; may be NULL. */
	void (*changed)(void *context, const char *pixel, enum verdict was, const struct judgement *now);
	void *context;
	/* At the end the codes (PIXEL_CODE_MAX + 1 bytes each) of those that are worth a second look are appended: not well, due,
	 * or with versions that service_upkeep may have something to do about. So that nobody has to walk over all once
	 * more for the few. NULL = not wanted. */
	struct buf *notable;
	/* The check's own: what a list judged since then is not asked; 0 = all is. */
	int64_t listed_since;
};

enum sweep_end { SWEEP_COMPLETE, SWEEP_CANARY, SWEEP_BREAKER, SWEEP_OUTAGE, SWEEP_INTERRUPTED };

struct check_result {
	size_t listed; /* proven or refuted by a list, so that they were not asked */
	size_t decoys; /* passed over; somebody may have asked for their tokens */
	size_t pixels, asked, bad, newly_bad, transient, promoted, due;
	size_t verdicts[OUTCOME_COUNT]; /* Pixels by the verdict that speaks for them */
	enum sweep_end end;
	int64_t resume_at;    /* SWEEP_BREAKER: when TikTok may be asked again */
	const char *notice;   /* one sentence on why the sweep ended early, or what concerns no Pixel; NULL */
	enum error_code exit; /* the gravest of 10, 11, 15, 16, 9, 14, 0 */
};

/* One sweep, or probes of the Pixels named. ERR_NOT_FOUND for a named Pixel that is not stored, ERR_CONFLICT while
 * another process sweeps, ERR_STORAGE ... */
must_check bool service_check(struct service *s, const struct check_request *request, struct check_result *ret,
			      struct error *err);
typedef void check_done_fn(void *context, const struct check_result *result, const struct error *err);
/* The request is copied, its context and callbacks must live on. */
must_check bool service_start_check(struct service *s, const struct check_request *request,
				    const struct audit_who *who, check_done_fn *done, void *context,
				    struct error *err);

/* ---- what is asked when ---- */

struct plan_request {
	const char *const *pixels; /* none = all */
	size_t pixel_count;
	const struct label *labels;
	size_t label_count;
	int64_t span_s;
	const struct plan *plan; /* the one that an agent follows; NULL = as one that started now would */
	int64_t not_before_ms;   /* boot time: nothing is asked before */
};
/* Asks nobody. ERR_NOT_FOUND for a named Pixel that is not stored. */
must_check bool service_forecast(struct service *s, const struct plan_request *request, struct forecast *ret,
				 struct error *err);

/* ---- whose token is this? ---- */

/* A version that holds a token, or held it until it was deleted; of a Pixel, or of a listing. */
struct match {
	char pixel[PIXEL_CODE_MAX + 1]; /* or "bc:ID" */
	uint32_t version;
	enum stage stage;
	bool is_refresh_token; /* that is what was found, and not the token it renews */
	bool is_deleted;       /* it is known by its fingerprint only */
	bool is_removed; /* the Pixel was */
};
/* Appends a struct match for each. pasted is cleaned as a put would, or is a refresh token: ERR_MALFORMED. */
must_check bool service_match(struct service *s, const struct secret *pasted, struct buf *ret, struct error *err);
#define MATCHES_BYTES_MAX ((size_t)16 << 20)

#endif
