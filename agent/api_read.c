/* Tokens: the one thing that is asked for all the time. */
#include "agent/api_own.h"

#include "agent/consumer.h"
#include "agent/objects.h"
#include "agent/text.h"
#include "core/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define WAIT_MAX_S 300u
#define NOTED_S (24 * 3600)
#define TOKEN_TYPE "text/plain; charset=us-ascii"

/* ---- what is asked ---- */

static bool is_one(const char *value)
{
	return strcmp(value, "1") == 0;
}

static bool read_params(const struct call *call, struct read_request *r, struct error *err)
{
	if (!call->param_count)
		return true;
	const char *version = call_param(call, "version"), *previous = call_param(call, "previous");
	const char *healthy = call_param(call, "healthy");
	if ((version && (!api_number(version, &r->number) || !r->number)) || (previous && !is_one(previous)) ||
	    (healthy && !is_one(healthy)))
		return fail(err, ERR_USAGE, TXT_API_READ_PARAM);
	if (version && previous)
		return fail(err, ERR_USAGE, TXT_API_READ_BOTH);
	r->has_number = version != NULL;
	r->is_previous = previous != NULL;
	r->must_be_healthy = healthy != NULL;
	return true;
}

/* "wait=30" among other preferences; 0 = none. */
static unsigned wanted_wait(const char *prefer)
{
	while (prefer && *prefer) {
		prefer += strspn(prefer, " \t,");
		if (strncmp(prefer, "wait=", 5) == 0) {
			if (prefer[5] < '0' || prefer[5] > '9')
				return 0; /* a preference that is not understood is ignored: RFC 7240 */
			unsigned long seconds = strtoul(prefer + 5, NULL, 10);
			return seconds > WAIT_MAX_S ? WAIT_MAX_S : (unsigned)seconds;
		}
		prefer += strcspn(prefer, ",");
	}
	return 0;
}

/* A person who looks is no consumer, unless under a name. */
static bool wants_no_note(const char *prefer)
{
	while (prefer && *prefer) {
		prefer += strspn(prefer, " \t,");
		size_t len = strcspn(prefer, " \t,;");
		if (len == strlen("unnoted") && strncmp(prefer, "unnoted", len) == 0)
			return true;
		prefer += strcspn(prefer, ",");
	}
	return false;
}

static bool read_head(const struct call *call, struct read_request *r, struct error *err)
{
	const char *reader = call->header(call, "X-Consumer");
	r->wants_json = api_prefers(call, API_JSON, "text/plain");
	const char *prefer = call->header(call, "Prefer");
	r->wait_s = wanted_wait(prefer);
	r->is_look = !reader && wants_no_note(prefer);
	if (!reader)
		return true;
	if (!consumer_name_check(reader, err))
		return false;
	text_copy(r->reader, sizeof r->reader, reader);
	return true;
}

/* Is the version among the tags of If-None-Match? */
static bool is_known(const struct call *call, uint32_t number)
{
	const char *tags = call->header(call, "If-None-Match");
	char tag[16];
	if (!tags)
		return false;
	int len = snprintf(tag, sizeof tag, "\"%u\"", number);
	for (; *tags; tags += strcspn(tags, ",")) {
		tags += strspn(tags, " \t,");
		if (*tags == '*')
			return true;
		if (strncmp(tags, "W/", 2) == 0)
			tags += 2;
		if (strncmp(tags, tag, (size_t)len) == 0)
			return true;
	}
	return false;
}

/* ---- who reads what ---- */

static uint64_t hash_of(const struct api *api, const char *name, const char *pixel)
{
	struct {
		char pixel[PIXEL_CODE_MAX + 1], name[CONSUMER_NAME_MAX + 1];
	} reader = { .pixel = "" };
	uint64_t hash;
	memcpy(reader.pixel, pixel, strlen(pixel));
	memcpy(reader.name, name, strlen(name));
	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&reader, sizeof reader, api->noted_key);
	return hash;
}

static uint64_t hash_in(const struct noted *n)
{
	return (uint64_t)n->hash[1] << 32 | n->hash[0];
}

/* How long ago in seconds, below 0 when the clock went back. */
static int64_t age_of(uint32_t at, int64_t now)
{
	return (int32_t)((uint32_t)now - at);
}

/* Where it is noted, else where it would be: a free place or the oldest of its group. */
static struct noted *place_of(struct noted *all, size_t groups, uint64_t hash)
{
	struct noted *group = &all[hash % groups * NOTED_WAYS], *ret = group;
	for (struct noted *n = group; n < group + NOTED_WAYS; n++) {
		uint64_t other = hash_in(n);
		if (other == hash)
			return n;
		if (hash_in(ret) && (!other || age_of(n->at, ret->at) > 0))
			ret = n;
	}
	return ret;
}

static void grow_noted(struct api *api)
{
	size_t groups = api->noted_groups;
	size_t wanted = holdings_count(api->setup.holdings) * NOTED_PER_PIXEL / NOTED_WAYS;
	if (groups >= wanted)
		return;
	while (groups < wanted)
		groups *= 2;
	struct noted *noted = calloc(groups * NOTED_WAYS, sizeof *noted);
	if (!noted)
		return; /* the smaller table only notes more often than it must */
	for (size_t i = 0; i < api->noted_groups * NOTED_WAYS; i++)
		if (hash_in(&api->noted[i]))
			*place_of(noted, groups, hash_in(&api->noted[i])) = api->noted[i];
	free(api->noted);
	api->noted = noted;
	api->noted_groups = groups;
}

/* Some connect anew for each read, and a look at /proc costs more than the read. */
static const char *name_of_process(struct api *api, uid_t uid, pid_t pid)
{
	struct process_name *p = &api->processes[(unsigned)pid % PROCESSES_KEPT];
	if (p->pid != pid || p->uid != uid || api->now_ms >= p->until_ms) {
		p->pid = pid;
		p->uid = uid;
		p->until_ms = api->now_ms + PROCESS_KNOWN_MS;
		consumer_name_of(uid, pid, p->name);
	}
	return p->name;
}

/* The process is looked up once a connection, before it has its first answer: who asks but once is gone with it. */
const char *api_reader_name(struct api *api, const struct audit_who *who, char *unnamed)
{
	if (who->as[0])
		return who->as;
	if (!unnamed)
		return name_of_process(api, who->uid, who->pid);
	if (!unnamed[0])
		text_copy(unnamed, CONSUMER_NAME_MAX + 1, name_of_process(api, who->uid, who->pid));
	return unnamed;
}

/* A decoy is asked for once: whoever comes through many Pixels at a time must not get by it unnoted. */
static bool has_room_for_note(const struct api *api, const char *pixel)
{
	if (api->notes_under_way < NOTES_UNDER_WAY)
		return true;
	const struct holding *h = holdings_find(api->setup.holdings, pixel);
	return h && h->is_decoy && api->notes_under_way < 2 * NOTES_UNDER_WAY;
}

/* unnamed: as in struct call. */
static void note_reader(struct api *api, const struct audit_who *who, char *unnamed, const char *pixel, uint32_t version)
{
	struct error unused;
	struct errand *e;
	if (api->is_stopping)
		return; /* nobody would store it */
	int64_t now = clock_wall();
	const char *name = api_reader_name(api, who, unnamed);
	uint64_t hash = hash_of(api, name, pixel);
	struct noted *noted = place_of(api->noted, api->noted_groups, hash);
	if (hash_in(noted) == hash && noted->version == version && age_of(noted->at, now) < NOTED_S) {
		noted->seen_at = (uint32_t)now;
		return;
	}
	if (!has_room_for_note(api, pixel) || !errand_new(ERRAND_MARK, &e, &unused))
		return; /* at the next read */
	grow_noted(api);
	*place_of(api->noted, api->noted_groups, hash) = (struct noted){ .hash = { (uint32_t)hash, (uint32_t)(hash >> 32) },
									   .version = version,
									   .at = (uint32_t)now,
									   .seen_at = (uint32_t)now };
	e->who = *who;
	text_copy(e->who.as, sizeof e->who.as, name);
	snprintf(e->pixel, sizeof e->pixel, "%s", pixel);
	e->number = version;
	api->notes_under_way++;
	api_post(api, e);
}

/* Whatever is answered. Of a Pixel that somebody uses, asking alone tells nothing; of a decoy it tells all. */
void api_note_asking(struct api *api, const struct audit_who *who, char *unnamed, const char *pixel)
{
	const struct holding *h = holdings_find(api->setup.holdings, pixel);
	if (h && h->is_decoy)
		note_reader(api, who, unnamed, pixel, h->current ? h->current : h->pending);
}

/* An acknowledgement was stored in place of what was noted: the next read is to be seen again. */
void api_forget_reader(struct api *api, const char *name, const char *pixel)
{
	uint64_t hash = hash_of(api, name, pixel);
	struct noted *noted = place_of(api->noted, api->noted_groups, hash);
	if (hash_in(noted) == hash)
		noted->at = (uint32_t)clock_wall() - NOTED_S;
}

/* A mark is written once a day; that its consumer was here since then only we know. */
void api_freshen(const struct api *api, const char *pixel, struct read_mark *mark)
{
	uint64_t hash = hash_of(api, mark->name, pixel);
	const struct noted *noted = place_of(api->noted, api->noted_groups, hash);
	int64_t now = clock_wall(), seen_at = now - age_of(noted->seen_at, now);
	if (hash_in(noted) == hash && noted->version == mark->version && seen_at > mark->at)
		mark->at = seen_at;
}

/* ---- which token ---- */

struct choice {
	const struct holding *holding;
	uint32_t number;
	struct bytes sealed; /* empty: not in memory */
	const uint8_t *fingerprint;
	enum verdict verdict;
	int64_t proven_at, expires_at;
	uint8_t room[FINGERPRINT_LEN]; /* for the fingerprint of another version than current */
};

static bool explain_no_current(const struct holding *h, struct error *err)
{
	struct credential c;
	struct health health;
	if (!h->pending || !holding_decode(h, &c, &health))
		return fail(err, ERR_NOT_FOUND, TXT_NO_TOKEN, h->pixel);
	const struct judgement *j = &health.pending;
	if (verdict_is_bad(j->verdict))
		return fail(err, ERR_NOT_FOUND, TXT_ONLY_PENDING_BAD, h->pixel, h->pending, verdict_name(j->verdict));
	return fail(err, ERR_NOT_FOUND, TXT_ONLY_PENDING, h->pixel, h->pending,
		    j->attempted_at ? verdict_name(j->last_outcome) : "never asked");
}

/* Of a version that is neither current nor pending only the history knows the verdict. */
static bool look_up(struct choice *ret, const struct holding *h, uint32_t number, struct error *err)
{
	struct credential c;
	struct health health;
	const struct version *v = holding_decode(h, &c, &health) ? credential_numbered(&c, number) : NULL;
	if (!v)
		return fail(err, ERR_NOT_FOUND, TXT_GET_NO_VERSION, h->pixel, number);
	if (v->taken_at)
		return fail(err, ERR_NOT_FOUND, TXT_GET_TAKEN, number, h->pixel);
	*ret = (struct choice){ .holding = h, .number = number, .expires_at = version_ends_at(v) };
	memcpy(ret->room, v->fingerprint, FINGERPRINT_LEN);
	ret->fingerprint = ret->room;
	if (number == h->previous)
		ret->sealed = h->previous_sealed;
	if (number == h->pending) {
		ret->verdict = health.pending.verdict;
		ret->proven_at = health.pending.proven_at;
	}
	for (size_t i = 0; number != h->pending && i < health.history_count; i++)
		if (health.history[i].version == number)
			ret->verdict = health.history[i].verdict;
	return true;
}

/* ret must not be copied: it may point into itself. */
static bool choose(const struct api *api, const char *pixel, const struct read_request *r, struct choice *ret,
		   struct error *err)
{
	const struct holding *h = holdings_find(api->setup.holdings, pixel);
	if (!h)
		return fail(err, ERR_NOT_FOUND, TXT_API_NO_PIXEL, pixel);
	if (r->is_previous && !h->previous)
		return fail(err, ERR_NOT_FOUND, TXT_NO_PREVIOUS, pixel);
	if (!r->has_number && !r->is_previous && !h->current)
		return explain_no_current(h, err);
	uint32_t number = r->has_number ? r->number : r->is_previous ? h->previous : h->current;
	if (number != h->current)
		return look_up(ret, h, number, err);
	*ret = (struct choice){ .holding = h,
				.number = number,
				.sealed = h->sealed,
				.fingerprint = h->fingerprint,
				.verdict = h->current_verdict,
				.proven_at = h->proven_at,
				.expires_at = h->expires_at };
	return true;
}

static bool check_health(const struct choice *c, const struct read_request *r, struct error *err)
{
	if (!r->must_be_healthy || !verdict_is_bad(c->verdict))
		return true;
	return fail_class(err, verdict_exit(c->verdict), verdict_name(c->verdict), TXT_NOT_HEALTHY, c->holding->pixel,
			  c->number, verdict_name(c->verdict));
}

/* ---- the answer ---- */

static void add_time(struct call *call, const char *name, int64_t at)
{
	char text[CLOCK_TEXT_MAX];
	if (at)
		call_header_copy(call, name, clock_format(at, text));
}

/* On the way of every read: nothing is formatted that can be copied. */
static void add_headers(struct call *call, const struct choice *c)
{
	char text[FINGERPRINT_TEXT_MAX], tag[24] = "\"";
	char *end = text_number(tag + 1, c->number);
	memcpy(end, "\"", 2);
	call_header_copy(call, "ETag", tag);
	*end = '\0';
	call_header_copy(call, "X-Version", tag + 1);
	call_header_text(call, "X-Verdict", verdict_name(c->verdict));
	call_header_copy(call, "X-Fingerprint", fingerprint_text(c->fingerprint, text));
	add_time(call, "X-Proven-At", c->proven_at);
	add_time(call, "X-Expires-At", c->expires_at);
}

static void answer_json(struct call *call, const struct choice *c, const struct secret *token)
{
	struct buf out = BUF_INIT(3 * TOKEN_MAX);
	struct json j = JSON_INIT(&out);
	struct secret *body = NULL;
	struct error err;
	struct token_facts facts = { .pixel = c->holding->pixel,
				     .version = c->number,
				     .fingerprint = c->fingerprint,
				     .verdict = c->verdict,
				     .proven_at = c->proven_at,
				     .expires_at = c->expires_at };
	api_json_begin(&j);
	token_json(&j, &facts, token);
	api_json_end(&j);
	if (buf_ok(&out, &err) && secret_copy(buf_bytes(&out), &body, &err))
		call_answer_secret(call, 200, API_JSON, body);
	else
		call_answer_problem(call, 0, &err);
	buf_done(&out); /* wipes */
}

/* Takes the token over. */
static void answer_token(struct call *call, const struct read_request *r, const struct choice *c, struct secret *token)
{
	add_headers(call, c);
	if (!r->wants_json) {
		call_answer_secret(call, 200, TOKEN_TYPE, token);
		return;
	}
	answer_json(call, c, token);
	secret_free(token);
}

/* With audit-reads = durable the token waits until the line about it is on the disk. */
static void hand_out(struct api *api, struct call *call, const struct read_request *r, const struct choice *c,
		     struct secret *token)
{
	struct ticket *t = api->setup.settings->audit_reads_durable ? ticket_new(api, call, &api->syncing) : NULL;
	if (!t) {
		if (call->is_answered)
			secret_free(token);
		else
			answer_token(call, r, c, token);
		return;
	}
	snprintf(t->pixel, sizeof t->pixel, "%s", c->holding->pixel);
	t->read = *r;
	t->read.has_number = true;
	t->read.number = c->number;
	t->token = token;
}

static void fetch(struct api *api, struct call *call, const struct read_request *r, const struct choice *c)
{
	struct errand *e = api_errand(api, call, ERRAND_TOKEN);
	if (!e)
		return;
	e->number = c->number;
	snprintf(e->who.as, sizeof e->who.as, "%s", r->reader);
	struct ticket *t = ticket_new(api, call, &api->erranders);
	if (!t) {
		errand_free(e);
		return;
	}
	snprintf(t->pixel, sizeof t->pixel, "%s", c->holding->pixel);
	t->read = *r;
	t->read.has_number = true;
	t->read.number = c->number;
	t->errand = e;
	e->context = t;
	api_post(api, e);
}

static void wait_for_news(struct api *api, struct call *call, const struct read_request *r, const struct choice *c)
{
	struct ticket *t = ticket_new(api, call, &api->waiters);
	if (!t)
		return;
	snprintf(t->pixel, sizeof t->pixel, "%s", c->holding->pixel);
	t->read = *r;
	t->until_ms = api->now_ms + (int64_t)r->wait_s * 1000;
}

static void forget_collected(void *keeper)
{
	struct collected_read *read = keeper;
	read->call = NULL;
}

/* First the line, then the token: who cannot be written down gets none. */
static void collect(struct api *api, struct call *call, const struct read_request *r, const struct choice *c,
		    const char *result)
{
	struct error err;
	struct audit_event event = { .verb = "get",
				     .pixel = c->holding->pixel,
				     .pixel_id = c->holding->has_log_id ? c->holding->log_id : NULL,
				     .version = c->number,
				     .fingerprint = c->fingerprint,
				     .result = result };
	if (api->collected_count == COLLECTED_MAX)
		api_read_settle(api);
	struct collected_read *read = &api->collected[api->collected_count];
	read->who = api_who(call, r->reader);
	if (!api_audit_collect(api, &read->who, &event, &err)) {
		call_answer_problem(call, 0, &err);
		return;
	}
	read->call = call;
	read->read = *r;
	api->collected_count++;
	call_keep(call, read, forget_collected);
}

static void answer_collected(struct api *api, const struct collected_read *read)
{
	struct error err;
	struct choice c;
	struct secret *token;
	struct call *call = read->call;
	const char *pixel = call->segments[2];
	if (!choose(api, pixel, &read->read, &c, &err)) {
		call_answer_problem(call, 0, &err);
		return;
	}
	if (is_known(call, c.number)) {
		add_headers(call, &c);
		call_answer(call, 304);
	} else if (vault_opener_open(api->opener, pixel, c.number, c.sealed, &token, &err)) {
		api->reads++;
		hand_out(api, call, &read->read, &c, token);
	} else {
		call_answer_problem(call, 0, &err);
		return;
	}
	if (!read->read.is_look)
		note_reader(api, &read->who, call->unnamed, pixel, c.number);
}

void api_read_settle(struct api *api)
{
	struct error err;
	if (!api->collected_count)
		return;
	bool is_written = api_audit_settle(api, &err);
	for (size_t i = 0; i < api->collected_count; i++) {
		const struct collected_read *read = &api->collected[i];
		if (!read->call)
			continue;
		call_keep(read->call, NULL, NULL);
		if (is_written)
			answer_collected(api, read);
		else
			call_answer_problem(read->call, 0, &err);
	}
	api->collected_count = 0;
}

static void serve_read(struct api *api, struct call *call, const struct read_request *r, const char *pixel)
{
	struct error err;
	struct choice c;
	if (api_look(api, call, pixel))
		return;
	struct audit_who who = api_who(call, r->reader);
	api_note_asking(api, &who, call->unnamed, pixel);
	if (!choose(api, pixel, r, &c, &err) || !check_health(&c, r, &err)) {
		call_answer_problem(call, 0, &err);
		return;
	}
	bool is_unchanged = is_known(call, c.number);
	if (is_unchanged && r->wait_s && !r->has_number && !r->is_previous) {
		wait_for_news(api, call, r, &c);
	} else if (is_unchanged || c.sealed.len) {
		collect(api, call, r, &c, is_unchanged ? "unchanged" : "ok");
	} else {
		fetch(api, call, r, &c);
	}
}

void api_serve_token(struct api *api, struct call *call)
{
	struct error err;
	struct read_request r = { .has_number = false };
	if (!read_params(call, &r, &err) || !read_head(call, &r, &err))
		call_answer_problem(call, 0, &err);
	else
		serve_read(api, call, &r, call->segments[2]);
}

/* ---- later ---- */

/* The waiting is over, for a new version or because the time is: now it is a read like any other. */
static void end_wait(struct api *api, struct ticket *t)
{
	struct read_request r = t->read;
	char pixel[PIXEL_CODE_MAX + 1];
	memcpy(pixel, t->pixel, sizeof pixel);
	struct call *call = ticket_redeem(t);
	call_header(call, "Preference-Applied", "wait=%u", r.wait_s);
	r.wait_s = 0;
	if (!api_may(api, call->peer, ACCESS_READ, pixel))
		api_deny(api, call, pixel); /* the rules may have changed meanwhile */
	else
		serve_read(api, call, &r, pixel);
}

void api_read_changed(struct api *api, const char *pixel)
{
	const struct holding *h = holdings_find(api->setup.holdings, pixel);
	struct ticket *next;
	for (struct ticket *t = api->waiters; t; t = next) {
		next = t->next;
		if (strcmp(t->pixel, pixel) == 0 && (!h || !is_known(t->call, h->current)))
			end_wait(api, t);
	}
	api_read_settle(api); /* before the Pixel changes again */
}

void api_read_finish(struct api *api, struct ticket *t, struct errand *e)
{
	struct choice c;
	struct error err;
	struct read_request r = t->read;
	struct call *call = ticket_redeem(t);
	if (!call)
		return;
	if (e->err.code) {
		call_answer_problem(call, 0, &e->err);
		return;
	}
	if (!choose(api, e->pixel, &r, &c, &err)) {
		call_answer_problem(call, 0, &err);
		return;
	}
	api->reads++;
	if (!r.is_look)
		note_reader(api, &e->who, call->unnamed, e->pixel, e->number);
	hand_out(api, call, &r, &c, take(e->secret));
}

static void answer_synced(struct api *api, struct ticket *t, const struct error *failure)
{
	struct choice c;
	struct error err = *failure;
	struct read_request r = t->read;
	struct secret *token = take(t->token);
	bool is_fine = !failure->code && choose(api, t->pixel, &r, &c, &err);
	struct call *call = ticket_redeem(t);
	if (is_fine) {
		answer_token(call, &r, &c, token);
		return;
	}
	secret_free(token);
	call_answer_problem(call, 0, &err);
}

void api_read_synced(struct api *api, const struct errand *e)
{
	struct ticket *next;
	for (struct ticket *t = api->syncing; t; t = next) {
		next = t->next;
		if (t->errand == e)
			answer_synced(api, t, &e->err);
	}
}

/* One sync for all reads of this turn. */
static void sync_reads(struct api *api)
{
	struct errand *e = NULL;
	struct error err;
	struct ticket *next;
	for (struct ticket *t = api->syncing; t; t = next) {
		next = t->next;
		if (t->errand)
			continue;
		if (!api_is_open(api, &err) || (!e && !errand_new(ERRAND_SYNC, &e, &err))) {
			answer_synced(api, t, &err);
			continue;
		}
		t->errand = e;
	}
	if (e)
		api_post(api, e);
}

void api_read_tick(struct api *api)
{
	struct ticket *next;
	for (struct ticket *t = api->waiters; t; t = next) {
		next = t->next;
		if (api->now_ms >= t->until_ms)
			end_wait(api, t);
	}
	api_read_settle(api);
	if (api->syncing)
		sync_reads(api);
}

void api_read_stop(struct api *api)
{
	while (api->waiters)
		api_answer_closed(api, ticket_redeem(api->waiters));
}

void api_read_closed(struct api *api)
{
	api_read_stop(api);
	while (api->syncing)
		api_answer_closed(api, ticket_redeem(api->syncing));
}

bool api_credential(struct api *api, const struct peer *peer, const char *pixel, const char *reader, struct secret **ret,
		    struct error *err)
{
	struct choice c;
	struct read_request r = { .has_number = false };
	struct audit_who who = { .is_known = true, .uid = peer->uid, .gid = peer->gid, .pid = peer->pid };
	if (!api_is_open(api, err))
		return false;
	if (!choose(api, pixel, &r, &c, err))
		return false;
	snprintf(who.as, sizeof who.as, "%s", reader);
	struct audit_event event = {
		.verb = "get", .pixel = pixel, .version = c.number, .fingerprint = c.fingerprint, .result = "ok"
	};
	if (!api_audit(api, &who, &event, AUDIT_ORDINARY, err) ||
	    !vault_opener_open(api->opener, pixel, c.number, c.sealed, ret, err))
		return false;
	api->reads++;
	note_reader(api, &who, NULL, pixel, c.number);
	return true;
}
