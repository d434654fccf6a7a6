/* agent/api_own.h - the inside of the api: shared by api_*.c, included by nobody else. */
#ifndef AGENT_API_OWN_H
#define AGENT_API_OWN_H

#include "agent/alert_words.h"
#include "agent/api.h"
#include "core/json.h"

/* One row a request. A verb in each row, so that a forgotten check is seen. */
enum route_flags {
	ROUTE_UNLOCKED = 1 << 0, /* needs an open vault */
	ROUTE_ANYONE = 1 << 1,   /* no rule is asked */
	ROUTE_PIXELS = 1 << 2,   /* the Pixels named in the query are what is decided about */
	ROUTE_MANY = 1 << 3,     /* about no Pixel in particular: lists are filtered */
	ROUTE_LIST = 1 << 5,     /* "*" is the name of a list of Pixels: a right to it is a right to every Pixel */
	ROUTE_BODY = 1 << 4,     /* the body says which Pixels; who serves it asks for each */
};
struct route {
	const char *name; /* in metrics and the audit log */
	enum call_method method;
	const char *pattern[CALL_SEGMENTS_MAX + 1]; /* "*" = a Pixel code */
	enum access_verb verb;
	unsigned flags;
	const char *params; /* those it takes, blank-separated; the first with '+' may come more than once */
	size_t body_max;
	void (*serve)(struct api *api, struct call *call);
};
extern const struct route api_routes[];
extern const size_t api_route_count;

/* ---- held calls ---- */

struct read_request {
	bool has_number, is_previous, must_be_healthy, wants_json, is_look;
	uint32_t number;
	unsigned wait_s;
	char reader[AUDIT_NAME_MAX + 1]; /* "" = not named */
};

/* A call that is answered later. call is NULL once its peer is gone; the ticket then lives on until what it waits for is
 * over. */
struct ticket {
	struct ticket *prev, *next; /* in one of the api's lists */
	struct ticket **list;
	struct api *api;
	struct call *call;
	/* who waits for a version */
	char pixel[PIXEL_CODE_MAX + 1];
	struct read_request read;
	int64_t until_ms;
	/* whose token waits for the audit log */
	struct secret *token;
	const struct errand *errand;
	struct errand *unsent; /* an unlock that waits for its turn */
	/* who reads events: server-sent text on its way */
	bool is_stream, is_over;
	struct buf text;
	uint64_t next_id;
	int64_t spoke_ms;
};

struct ticket *ticket_new(struct api *api, struct call *call, struct ticket **list); /* NULL: answered with the error */
void ticket_free(struct ticket *t);
void ticket_move(struct ticket *t, struct ticket **list);
/* The call to answer, no longer kept; NULL when nobody waits. Frees the ticket. */
struct call *ticket_redeem(struct ticket *t);

/* ---- the rest ---- */

struct event {
	uint64_t id;
	bool is_verdict;
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t version; /* 0 = none any more */
	enum verdict verdict;
	int64_t at;
};
#define EVENTS_KEPT 4096

/* Whoever was noted for a version is noted again a day later. Each has NOTED_WAYS places side by side; the oldest of
 * them falls out and is noted once more. The table grows with the Pixels, so that a vault whose every Pixel has a few
 * readers does not note them in turn without end. */
struct noted {
	uint32_t hash[2]; /* halves, as a group is two and a half lines of the cache this way; both 0 = free */
	uint32_t version;
	uint32_t at, seen_at; /* seconds; only differences count, so that they may overflow */
};
#define NOTED_WAYS 8
#define NOTED_GROUPS 1024 /* at the start */
#define NOTED_PER_PIXEL 4
#define NOTES_UNDER_WAY 64

/* How a process is remembered that names itself nowhere. */
struct process_name {
	pid_t pid;
	uid_t uid;
	int64_t until_ms;
	char name[CONSUMER_NAME_MAX + 1];
};
#define PROCESSES_KEPT 64
#define PROCESS_KNOWN_MS 10000 /* by then its number may be another's: see consumer_name_of */

/* A read whose line in the audit log goes out together with those of others: it is answered when api_settle has seen the
 * line written. */
struct collected_read {
	struct call *call; /* NULL: the peer is gone */
	struct audit_who who;
	struct read_request read;
};
#define COLLECTED_MAX 64
#define TURN_MS 2     /* a turn of the audit log lasts so long */
#define STEADY_MS 2   /* where the one before ended no longer ago; what comes alone ends its turn at once */
#define SHORT_TURNS 4 /* behind each long one: in between, others find the log's lock free */

#define GUESSERS_KEPT 64
struct guesser {
	uid_t uid;
	unsigned failures;
	bool is_trying;
	int64_t next_ms;
};

/* What came to status-listen without the token. */
struct web_guesses {
	int guesses; /* of late */
	int64_t guessed_ms, told_ms;
	uint64_t refused;
};

#define SILENCE_MS 1000 /* between two tries whether the audit log takes lines again */

#define STATUSES_COUNTED 16

struct api {
	struct api_setup setup;
	struct vault_opener *opener; /* both NULL while locked */
	struct audit *audit;
	bool is_stopping;
	bool is_in_turn; /* of the audit log */
	int64_t turn_ms; /* when it began */
	int64_t turn_lasts_ms, turn_ended_ms;
	unsigned short_turns; /* still to come */
	bool is_silent;  /* the log takes no lines: no token is handed out */
	struct error silence;
	int64_t silence_ms; /* when it last took none */
	bool is_degraded;
	bool has_lost; /* nothing is written any more, until the vault is opened anew */
	struct error loss;
	struct error why_closed, trouble;
	int64_t now_ms;
	/* held calls */
	struct ticket *erranders, *waiters, *readers, *syncing, *unlockers;
	/* events */
	struct event *events; /* a ring */
	uint64_t first_id, next_id;
	/* consumers */
	struct noted *noted;
	size_t noted_groups;
	uint8_t noted_key[16];
	size_t notes_under_way;
	struct process_name processes[PROCESSES_KEPT];
	struct collected_read collected[COLLECTED_MAX];
	size_t collected_count;
	struct guesser guessers[GUESSERS_KEPT];
	struct web_guesses web;
	/* denials that the audit log has room for */
	double denial_lines;
	int64_t denial_ms;
	/* numbers */
	uint64_t reads, denied, audit_failures;
	uint64_t *requests; /* route x status */
	struct check_result swept;
	int64_t swept_at;
	struct buf alert_metrics;
	struct buf level_metrics; /* as they were at level_metrics_ms */
	int64_t level_metrics_ms;
	struct buf lists; /* records of every listing token, for the page and the numbers */
};

/* Can the vault be used? false: why not. */
must_check bool api_is_open(const struct api *api, struct error *err);
/* The answer to who came, or waits, in vain: 503. */
void api_answer_closed(const struct api *api, struct call *call);

/* The peer as the audit log has it. */
struct audit_who api_who(const struct call *call, const char *as);
struct access_subject api_subject(const struct api *api, const char *pixel);
bool api_may(const struct api *api, const struct peer *peer, enum access_verb verb, const char *pixel);
/* One line; counts its failure. */
must_check bool api_audit(struct api *api, const struct audit_who *who, const struct audit_event *event,
			  enum audit_weight weight, struct error *err);
/* The same for a line that counts as written when api_audit_settle said so: many of them go out in one write. */
must_check bool api_audit_collect(struct api *api, const struct audit_who *who, const struct audit_event *event,
				  struct error *err);
must_check bool api_audit_settle(struct api *api, struct error *err);
void api_deny(struct api *api, struct call *call, const char *pixel);

/* A new errand on behalf of the call, NULL when there is no memory (then answered). */
struct errand *api_errand(struct api *api, struct call *call, enum errand_kind kind);
/* Off to the worker; the call waits. Takes the errand over. */
void api_send(struct api *api, struct call *call, struct errand *e);
/* Without anybody who waits. */
void api_post(struct api *api, struct errand *e);

/* {"schema":1, ... }\n around an answer. */
void api_json_begin(struct json *j);
void api_json_end(struct json *j);
#define API_JSON "application/json"
#define API_BODY_MAX ((size_t)1 << 20)

must_check bool api_labels(const struct call *call, struct label *ret, size_t max, size_t *ret_count, struct error *err);
must_check bool api_number(const char *text, uint32_t *ret);
/* "3" in quotes, as If-Match has it. */
must_check bool api_etag(const char *text, uint32_t *ret);
/* Is this type of answer asked for rather than the usual one? */
bool api_prefers(const struct call *call, const char *type, const char *usual);

/* handlers, by file */
void api_serve_token(struct api *api, struct call *call);
void api_read_changed(struct api *api, const char *pixel); /* waiters for this Pixel */
void api_read_finish(struct api *api, struct ticket *t, struct errand *e);
void api_read_synced(struct api *api, const struct errand *e);
void api_read_tick(struct api *api);
void api_read_closed(struct api *api);
void api_read_settle(struct api *api);
void api_read_stop(struct api *api);
/* The name that was given, else the one made of user and unit, which is then left in unnamed. Lives as long as those two,
 * or (unnamed NULL) until the next call. */
const char *api_reader_name(struct api *api, const struct audit_who *who, char *unnamed);
/* The mark as of today, where its consumer was here since it was written. */
void api_forget_reader(struct api *api, const char *name, const char *pixel);
/* Somebody asks for this Pixel's token, or was refused it: noted where it is a decoy (agent/decoy.h). unnamed: as in struct call, or NULL. */
void api_note_asking(struct api *api, const struct audit_who *who, char *unnamed, const char *pixel);
void api_freshen(const struct api *api, const char *pixel, struct read_mark *mark);

void api_serve_pixels(struct api *api, struct call *call);
void api_serve_board(struct api *api, struct call *call);
/* A browser's request: true = it has the token and is for the board. Otherwise it is answered. */
bool api_admit_web(struct api *api, struct call *call);
/* True: this Pixel is not in memory, and may be one that is damaged; the call is answered when the worker has looked. */
bool api_look(struct api *api, struct call *call, const char *pixel);
void api_serve_pixel(struct api *api, struct call *call);
void api_serve_history(struct api *api, struct call *call);
void api_serve_rollout(struct api *api, struct call *call);
void api_list_finish_rollout(const struct api *api, struct call *call, const struct errand *e);
void api_list_finish_history(struct api *api, struct call *call, const struct errand *e);
/* The status of what the errand checked, then its numbers. */
void api_list_checked(struct api *api, struct call *call, const struct errand *e);

void api_serve_put(struct api *api, struct call *call);
void api_serve_check(struct api *api, struct call *call);
void api_serve_report(struct api *api, struct call *call);
void api_serve_ack(struct api *api, struct call *call);
void api_serve_rollback(struct api *api, struct call *call);
void api_serve_swap(struct api *api, struct call *call);
void api_serve_move(struct api *api, struct call *call);
void api_serve_retire(struct api *api, struct call *call);
void api_serve_listings(struct api *api, struct call *call);
void api_serve_listing_put(struct api *api, struct call *call);
void api_serve_listing_delete(struct api *api, struct call *call);
/* Of these three. */
void api_listing_finish(struct api *api, struct call *call, struct errand *e);
/* One by one of api->lists, from buf_bytes of it. */
bool api_next_list(struct bytes *from, struct credential *c, struct health *h);
/* "1" or absent. */
must_check bool api_flag(const struct call *call, const char *name, bool *ret, struct error *err);
/* check: "no" or absent. */
must_check bool api_no_check(const struct call *call, bool *ret, struct error *err);
void api_serve_labels(struct api *api, struct call *call);
void api_serve_rotate(struct api *api, struct call *call);
/* What was selected, as far as the caller may put there, is asked for; or the answer. */
void api_rotate_finish(struct api *api, struct call *call, const struct errand *e);

/* One JSON object with these members (blank-separated) and no others: what is not understood is not passed over, as with
 * parameters. */
must_check bool api_body(const struct call *call, const char *members, size_t nodes, struct bytes *ret,
			 struct error *err);
must_check bool api_member_number(struct bytes body, const char *key, int64_t least, int64_t most, int64_t *ret);
void api_serve_delete(struct api *api, struct call *call);
void api_serve_restore(struct api *api, struct call *call);
void api_serve_plan(struct api *api, struct call *call);
void api_look_finish_plan(struct api *api, struct call *call, struct errand *e);
void api_serve_match(struct api *api, struct call *call);
void api_look_finish_match(const struct api *api, struct call *call, const struct errand *e);
void api_serve_verify(struct api *api, struct call *call);
void api_change_finish(struct api *api, struct ticket *t, struct errand *e);
void api_check_json(struct json *j, const struct check_result *r, bool with_exit);

void api_serve_alerts(struct api *api, struct call *call);
void api_serve_alert_ack(struct api *api, struct call *call);
void api_serve_alert_test(struct api *api, struct call *call);
void api_alert_finish(struct call *call, struct errand *e);

void api_serve_events(struct api *api, struct call *call);
void api_events_add(struct api *api, const struct holding *before, const struct holding *after);
void api_events_tick(struct api *api);
/* A stream of server-sent events of one's own; NULL = answered with the error. */
struct ticket *api_stream(struct api *api, struct call *call);
void api_stream_say(struct ticket *t, const char *event, struct bytes data);
void api_stream_end(struct ticket *t);

void api_serve_unlock(struct api *api, struct call *call);
void api_serve_lock(struct api *api, struct call *call);
void api_serve_access(struct api *api, struct call *call);
void api_serve_metrics(struct api *api, struct call *call);
void api_serve_levels(struct api *api, struct call *call);
/* The lines, and the service levels behind them; takes the lines over. */
void api_answer_metrics(struct api *api, struct call *call, struct buf *lines);
void api_serve_health(struct api *api, struct call *call);
void api_admin_unlocked(struct api *api, struct ticket *t, const struct errand *e);
void api_admin_tick(struct api *api);
void api_admin_stop(struct api *api);

/* for metrics */
size_t api_status_slot(int status);
int api_status_in(size_t slot); /* 0 = other */

#endif
