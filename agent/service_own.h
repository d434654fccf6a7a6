/* agent/service_own.h - what the files of the service share; nobody else includes it. */
#ifndef AGENT_SERVICE_OWN_H
#define AGENT_SERVICE_OWN_H

#include "agent/courier.h"
#include "agent/pace.h"
#include "agent/ruling.h"
#include "agent/schedule.h"
#include "agent/service.h"
#include "agent/sure_clock.h"

struct job;

struct asked {
	struct answer answer;
	struct finding finding;
	struct evidence evidence;
	bool was_called; /* false: the breaker is open for longer than one waits, nothing was sent */
	const struct token_pair *pair; /* of a refresh: what it brought; only while `asked` runs */
	const struct list_page *page;  /* of a list: likewise */
};

/* What a kind of job does. Every function may end the job by returning false with err filled. */
struct job_ops {
	/* Do what can be done now: ask, request a commit, set is_done. *ret_wait_ms: call again after as long. */
	bool (*step)(struct job *job, int64_t *ret_wait_ms, struct error *err);
	/* The answer to job_ask. */
	bool (*asked)(struct job *job, const struct asked *asked, struct error *err);
	/* The answer to a question that the job put to the courier by itself; tag is what it gave job_question_id. */
	bool (*answered)(struct job *job, uint32_t tag, const struct answer *answer, struct error *err);
	/* The commit that the job requested is durable. */
	bool (*committed)(struct job *job, struct error *err);
	/* It could not be made. True: the job goes on with its next step; false, or NULL here: it ends with err. */
	bool (*uncommitted)(struct job *job, const struct error *err);
	/* It has, or may be given, what exists nowhere else: it is let finish where others are ended, but a question that was
	 * not sent yet is answered without. NULL: never. */
	bool (*is_irreplaceable)(const struct job *job);
	/* Tell whoever started it, and free all; err NULL: it was done. */
	void (*end)(struct job *job, const struct error *err);
};

/* One verb under way; the first member of each kind's own struct. */
struct job {
	const struct job_ops *ops;
	struct service *service;
	struct audit_who who;
	uint32_t number; /* stands in the ids of its questions */
	bool is_sweep, is_done, has_failed;
	/* the one question of job_ask */
	bool is_asking, is_sent, was_healthy;
	struct question question; /* its texts and token belong to the job */
	int64_t asked_at;
	/* the one commit of job_commit */
	change_fn *change;
	void *change_context;
	struct error err;
	struct job *next;
};

struct service {
	struct vault *vault;
	const struct settings *settings;
	struct courier *courier; /* NULL until first needed or brought */
	bool owns_courier;
	struct breaker breaker, stored_breaker;
	bool is_unstored;  /* something found could not be written down: the disk is full or read-only */
	bool is_stopping;  /* sweeps end */
	struct pace pace;
	struct sure_clock sure_clock;
	struct job *jobs; /* in the order they were started */
	/* what service_list_due knows */
	struct buf lists; /* names */
	bool has_lists;
	uint64_t lists_generation;
	int64_t lists_ms;
};

/* The time by which tokens are taken from everybody and deleted. */
int64_t service_sure_now(struct service *s);

/* The job belongs to the service from here on; its first step comes with the next service_step. */
void job_start(struct service *s, struct job *job, const struct job_ops *ops, const struct audit_who *who);
/* The same ahead of all others, which share their pace with it. */
void job_start_first(struct service *s, struct job *job, const struct job_ops *ops, const struct audit_who *who);
/* One question at the configured pace, with the breaker minded; q's texts and token must stay until `asked` is called.
 * Transient trouble is an answer, not an error. */
void job_ask(struct job *job, const struct question *q, bool was_healthy);
/* fn is run in the next commit, perhaps with those of other jobs. */
void job_commit(struct job *job, change_fn *fn, void *context);
/* For questions that a job hands to the courier by itself, minding pace and breaker of the service by itself. */
uint64_t job_question_id(const struct job *job, uint32_t tag);
/* How many such questions may be handed over now? Single questions go first. */
size_t service_room(const struct service *s);

/* A refresh on behalf of another job: of this pending version, or (wanted 0) of what is due. Whoever ends before it detaches it: it goes on, and tells nobody. *ret is gone once
 * done was called. */
must_check bool refresh_start(struct service *s, const char *pixel, enum refresh_when when, uint32_t wanted,
			      const struct audit_who *who, refresh_done_fn *done, void *context, struct job **ret,
			      struct error *err);
void refresh_detach(struct job *job); /* NULL is fine */

/* The same for a list. */
must_check bool list_start(struct service *s, const struct list_request *request, const struct audit_who *who,
			   list_done_fn *done, void *context, struct job **ret, struct error *err);
void list_detach(struct job *job);

/* Steps until this job is done; interrupts (Ctrl-C) stop sweeps. The result is where its `end` put it. */
void service_drive(struct service *s, const struct job *job);

/* Before a verb asks anything: the courier, and the breaker as the last program left it. */
must_check bool service_ready(struct service *s, struct error *err);
/* The breaker as it was written down, for who asks nothing. */
must_check bool service_read_breaker(struct service *s, struct breaker *ret, struct error *err);

/* For what is found, not asked for: a full disk must not end a check, which then says so. is_done with why as a write
 * returned them. */
must_check bool service_tolerate(struct service *s, bool is_done, const struct error *why, struct error *err);

/* Write the breaker down when it moved: a program that crashes and starts again must not hammer. */
must_check bool service_store_breaker(struct service *s, struct error *err);

/* The flag, else the setting, else test where there is a test code. A test without a code is a dry one. */
enum probe_kind service_probe_kind(const struct settings *settings, enum probe_choice choice, const char *test_code);

/* One commit: what was found about a version, with its promotion when it may serve. */
struct settlement {
	const char *pixel;
	uint32_t version;
	enum ruling ruling;
	enum verdict outcome;
	const struct evidence *evidence;
	bool promote_unjudged; /* with no current token an unjudged one is better than none */
	const struct settings *settings;
	/* filled by service_settle */
	bool is_promoted;
	struct credential credential; /* as committed */
	struct health health;
};
bool service_settle(void *settlement, struct change *change, struct error *err); /* a change_fn */

/* The names of consumers last seen with this version, as people read them: "a, b and 3 others"; "" = none. */
#define SERVICE_READERS_MAX 256
must_check bool service_readers_of(struct service *s, const char *pixel, uint32_t version, char ret[SERVICE_READERS_MAX],
				   struct error *err);

/* Another Pixel that holds this token and was not refused with it: there it may be in use. "" = none is known. */
void service_find_user(struct service *s, const uint8_t fingerprint[FINGERPRINT_LEN], const char *not_pixel,
		       char ret_pixel[PIXEL_CODE_MAX + 1]);

/* Inside a change: does another Pixel renew its token with this refresh token? Where it is but a stray that TikTok refused,
 * or retired, nobody does. */
must_check bool service_renewed_elsewhere(struct service *s, struct change *change,
					  const uint8_t grant_fingerprint[FINGERPRINT_LEN], const char *not_pixel, bool *ret,
					  struct error *err);

/* Inside a change: the previous version of c is taken from everybody; where another Pixel uses its token, ret_in_use_by
 * says which, and it is deleted here. */
must_check bool service_take_away(struct service *s, struct change *change, struct credential *c, uint32_t version,
				  char ret_in_use_by[PIXEL_CODE_MAX + 1], struct error *err);

/* The first commit of a put, as a part of a larger change: nothing is asked, and what came of it is in *ret. */
must_check bool put_stage(struct service *s, const struct put_request *request, struct change *change,
			  struct put_result *ret, struct error *err);

/* What the command line waits for: a put_done_fn that keeps what came of it, and its context. */
struct put_outcome {
	struct put_result *result;
	struct error *err;
	bool is_done;
};
void service_keep_outcome(void *context, const struct put_result *result, const struct error *err);

#endif
