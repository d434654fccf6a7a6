/* What changes something or asks TikTok: an errand for the worker, and its answer when it comes back. */
#include "agent/api_own.h"

#include "agent/objects.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define FEW_NODES 32

static void refuse(struct call *call, struct errand *e, const struct error *err)
{
	errand_free(e);
	call_answer_problem(call, 0, err);
}

static void send_plain(struct api *api, struct call *call, enum errand_kind kind)
{
	struct errand *e = api_errand(api, call, kind);
	if (e)
		api_send(api, call, e);
}

bool api_flag(const struct call *call, const char *name, bool *ret, struct error *err)
{
	const char *value = call_param(call, name);
	*ret = value != NULL;
	return !value || strcmp(value, "1") == 0 ? true : fail(err, ERR_USAGE, TXT_API_FLAG, name);
}

/* ---- put ---- */

bool api_no_check(const struct call *call, bool *ret, struct error *err)
{
	const char *check = call_param(call, "check");
	*ret = check != NULL;
	return !check || strcmp(check, "no") == 0 ? true : fail(err, ERR_USAGE, TXT_API_CHECK_PARAM);
}

/* May this caller know of every Pixel there is? */
static bool sees_all(const struct api *api, const struct peer *peer)
{
	const struct holding *h = holdings_after(api->setup.holdings, "");
	while (h && api_may(api, peer, ACCESS_META, h->pixel))
		h = holdings_after(api->setup.holdings, h->pixel);
	return !h;
}

static bool take_put_params(const struct call *call, struct errand *e, struct error *err)
{
	const char *test_code = call_param(call, "test-code");
	const char *expires = call_param(call, "expires"), *as = call_param(call, "as");
	const char *family = call_param(call, "family");
	if (family && (!family_by_name(family, &e->family) || e->family == FAMILY_PLAIN))
		return fail(err, ERR_USAGE, TXT_API_FAMILY);
	if (!api_no_check(call, &e->no_check, err) || !api_flag(call, "standby", &e->is_standby, err) ||
	    !api_flag(call, "own", &e->must_be_own, err))
		return false;
	if (test_code && test_code[0] && !test_code_check(test_code, err))
		return false;
	e->has_test_code = test_code != NULL;
	if (test_code)
		snprintf(e->test_code, sizeof e->test_code, "%s", test_code);
	if ((expires && !clock_parse(expires, &e->expires_at, err)) || (as && !consumer_name_check(as, err)))
		return false;
	if (as)
		snprintf(e->who.as, sizeof e->who.as, "%s", as);
	return api_labels(call, e->labels, COUNT_OF(e->labels), &e->label_count, err);
}

static bool take_if_match(const struct call *call, struct errand *e, struct error *err)
{
	const char *tag = call->header(call, "If-Match");
	e->has_if_version = tag != NULL;
	return !tag || api_etag(tag, &e->if_version) ? true : fail(err, ERR_USAGE, TXT_API_IF_MATCH);
}

void api_serve_put(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_PUT);
	if (!e)
		return;
	e->secret = take(call->body);
	if (!take_put_params(call, e, &err) || !take_if_match(call, e, &err) ||
	    (!e->secret && !secret_new(0, &e->secret, &err))) {
		refuse(call, e, &err);
		return;
	}
	e->hides_others = e->must_be_own && !sees_all(api, call->peer);
	api_send(api, call, e);
}

static void put_members(struct json *j, const struct put_result *r)
{
	put_json(j, r);
	json_text(j, "outcome", r->was_asked ? verdict_name(r->outcome) : NULL);
	json_text(j, "message", r->evidence.text[0] ? r->evidence.text : NULL);
	json_text(j, "advice", r->advice);
	json_text(j, "also_stored", r->also_stored[0] ? r->also_stored : NULL);
	json_text(j, "mend", mend_name(r->mend));
	json_int(j, "tried", (int64_t)r->tried);
	json_bool(j, "unchanged", r->is_unchanged);
}

/* TikTok refused it. The token is stored, as pending: both are said. */
static void answer_refused(struct api *api, struct call *call, const struct put_result *r)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	struct error err;
	const struct holding *h = holdings_find(api->setup.holdings, r->pixel);
	(void)!put_refusal(r, h ? h->current : 0, &err);
	int status = call_status_of(err.code);
	api_json_begin(&j);
	call_problem_json(&j, status, &err);
	put_members(&j, r);
	api_json_end(&j);
	call_answer_buf(call, status, "application/problem+json", &out);
}

/* What it says of another Pixel is for those who may know of that one. */
static struct put_result put_for(const struct api *api, const struct call *call, const struct put_result *r)
{
	struct put_result told = *r;
	if (told.belongs_to[0] && !api_may(api, call->peer, ACCESS_META, told.belongs_to)) {
		told.belongs_to[0] = '\0';
		told.mend = MEND_NONE;
	}
	if (told.also_stored[0] && !api_may(api, call->peer, ACCESS_META, told.also_stored))
		told.also_stored[0] = '\0';
	return told;
}

static void finish_put(struct api *api, struct call *call, const struct errand *e)
{
	const struct put_result told = put_for(api, call, &e->put), *r = &told;
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	if (r->exit == ERR_EXPIRED || r->exit == ERR_MISMATCHED || r->exit == ERR_MALFORMED) {
		answer_refused(api, call, r);
		return;
	}
	api_json_begin(&j);
	put_members(&j, r);
	json_int(&j, "exit", r->exit);
	api_json_end(&j);
	call_answer_buf(call, r->stage == STAGE_PENDING ? 202 : 200, API_JSON, &out);
}

/* ---- check ---- */

static bool take_probe(const struct call *call, enum probe_choice *ret, struct error *err)
{
	static const char *const names[] = { [PROBE_CHOICE_DRY] = "dry",
					     [PROBE_CHOICE_TEST] = "test",
					     [PROBE_CHOICE_LIVE] = "live" };
	const char *wanted = call_param(call, "probe");
	*ret = PROBE_CHOICE_AUTO;
	for (size_t i = PROBE_CHOICE_DRY; wanted && i < COUNT_OF(names); i++)
		if (strcmp(wanted, names[i]) == 0)
			*ret = (enum probe_choice)i;
	return !wanted || *ret != PROBE_CHOICE_AUTO ? true : fail(err, ERR_USAGE, TXT_API_PROBE);
}

static bool take_check_pixels(const struct call *call, struct errand *e, struct error *err)
{
	size_t count = e->pixel[0] ? 1 : call_param_count(call, "pixel");
	if (!count)
		return true;
	e->pixels = calloc(count, sizeof *e->pixels);
	if (!e->pixels)
		return fail_no_memory(err);
	if (e->pixel[0])
		memcpy(e->pixels[e->pixel_count++], e->pixel, sizeof e->pixel);
	for (size_t i = 0; e->pixel_count < count; i++)
		if (strcmp(call->params[i].name, "pixel") == 0)
			snprintf(e->pixels[e->pixel_count++], sizeof *e->pixels, "%s", call->params[i].value);
	return true;
}

void api_serve_check(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_CHECK);
	if (!e)
		return;
	if (!take_probe(call, &e->probe, &err) || !take_check_pixels(call, e, &err) ||
	    !api_labels(call, e->labels, LABELS_MAX, &e->label_count, &err)) {
		refuse(call, e, &err);
		return;
	}
	if (!api_prefers(call, "text/event-stream", API_JSON)) {
		api_send(api, call, e);
		return;
	}
	e->wants_progress = true;
	struct ticket *t = api_stream(api, call);
	if (!t) {
		errand_free(e);
		return;
	}
	t->errand = e;
	e->context = t;
	api_post(api, e);
}

static const char *end_name(enum sweep_end end)
{
	static const char *const names[] = { [SWEEP_COMPLETE] = "complete",
					     [SWEEP_CANARY] = "canary",
					     [SWEEP_BREAKER] = "breaker",
					     [SWEEP_OUTAGE] = "outage",
					     [SWEEP_INTERRUPTED] = "interrupted" };
	return (unsigned)end < COUNT_OF(names) ? names[end] : "complete";
}

void api_check_json(struct json *j, const struct check_result *r, bool with_exit)
{
	if (with_exit)
		json_int(j, "exit", r->exit);
	json_int(j, "asked", (int64_t)r->asked);
	json_int(j, "listed", (int64_t)r->listed);
	json_int(j, "bad", (int64_t)r->bad);
	json_int(j, "newly_bad", (int64_t)r->newly_bad);
	json_int(j, "transient", (int64_t)r->transient);
	json_int(j, "promoted", (int64_t)r->promoted);
	json_int(j, "due", (int64_t)r->due);
	json_text(j, "end", end_name(r->end));
	json_text(j, "notice", r->notice);
	json_time(j, "resume_at", r->resume_at);
}

void api_progress(struct api *api, const struct news *n)
{
	struct ticket *t = n->errand->context;
	struct buf data = BUF_INIT(1024);
	struct json j = JSON_INIT(&data);
	(void)api;
	if (!t || !t->is_stream || !t->call)
		return;
	json_object(&j, NULL);
	json_int(&j, "done", (int64_t)n->done);
	json_int(&j, "total", (int64_t)n->total);
	json_text(&j, "pixel", n->pixel[0] ? n->pixel : NULL);
	json_text(&j, "outcome", n->pixel[0] ? verdict_name(n->outcome) : NULL);
	json_end_object(&j);
	api_stream_say(t, "progress", buf_bytes(&data));
	buf_done(&data);
}

static void finish_stream(struct ticket *t, const struct errand *e)
{
	struct buf data = BUF_INIT(8192);
	struct json j = JSON_INIT(&data);
	json_object(&j, NULL);
	if (e->err.code)
		call_problem_json(&j, call_status_of(e->err.code), &e->err);
	else
		api_check_json(&j, &e->check, true);
	json_end_object(&j);
	api_stream_say(t, e->err.code ? "error" : "result", buf_bytes(&data));
	buf_done(&data);
	api_stream_end(t);
}

/* ---- report, ack ---- */

bool api_body(const struct call *call, const char *members, size_t nodes, struct bytes *ret, struct error *err)
{
	const char *why = "it is empty";
	struct bytes other;
	char name[64];
	*ret = call->body ? secret_reveal(call->body) : bytes_of("", 0);
	if (!ret->len || !json_check(*ret, (struct json_limits){ .depth = 4, .nodes = nodes }, &why))
		return why == json_no_memory ? fail_no_memory(err) : fail(err, ERR_USAGE, TXT_API_JSON, why);
	size_t first = 0;
	while (strchr(" \t\r\n", ret->at[first])) /* checked: a value follows */
		first++;
	if (ret->at[first] != '{')
		return fail(err, ERR_USAGE, TXT_API_JSON, "it is no object");
	if (!json_find_other(*ret, members, &other))
		return true;
	snprintf(name, sizeof name, "%.*s", (int)(other.len < sizeof name ? other.len : sizeof name), (const char *)other.at);
	return fail(err, ERR_USAGE, TXT_API_MEMBER, error_repeatable(name));
}

bool api_member_number(struct bytes body, const char *key, int64_t least, int64_t most, int64_t *ret)
{
	struct bytes raw;
	char text[24];
	char *end;
	if (!json_find_raw(body, key, &raw) || !raw.len || raw.len >= sizeof text)
		return false;
	memcpy(text, raw.at, raw.len);
	text[raw.len] = '\0';
	long long value = strtoll(text, &end, 10);
	if (*end || value < least || value > most)
		return false;
	*ret = value;
	return true;
}

/* A text of plain characters: what has an escape in it is none of ours. */
static bool raw_text(struct bytes body, const char *key, char *ret, size_t size)
{
	struct bytes raw;
	if (!json_find_raw(body, key, &raw) || raw.len < 2 || raw.at[0] != '"' || raw.len - 2 >= size ||
	    memchr(raw.at, '\\', raw.len))
		return false;
	memcpy(ret, raw.at + 1, raw.len - 2);
	ret[raw.len - 2] = '\0';
	return true;
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static bool take_report(const struct call *call, struct errand *e, struct error *err)
{
	struct bytes body, raw;
	int64_t code;
	if (!api_body(call, "code request_id", FEW_NODES, &body, err))
		return false;
	if (!api_member_number(body, "code", INT32_MIN + 1, INT32_MAX, &code))
		return fail(err, ERR_USAGE, TXT_API_REPORT);
	e->code = (int32_t)code;
	if (json_find_raw(body, "request_id", &raw) && !bytes_equal(raw, bytes_of_text("null")) &&
	    (!raw_text(body, "request_id", e->request_id, sizeof e->request_id) || !is_plain(e->request_id)))
		return fail(err, ERR_USAGE, TXT_API_REPORT);
	const char *reader = call->header(call, "X-Consumer");
	if (reader && !consumer_name_check(reader, err))
		return false;
	snprintf(e->who.as, sizeof e->who.as, "%s", reader ? reader : "");
	return true;
}

void api_serve_report(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_REPORT);
	if (!e)
		return;
	if (take_report(call, e, &err))
		api_send(api, call, e);
	else
		refuse(call, e, &err);
}

static bool take_ack(struct api *api, const struct call *call, struct errand *e, struct error *err)
{
	struct bytes body, raw;
	int64_t version;
	char as[AUDIT_NAME_MAX + 1];
	if (!api_body(call, "version as", FEW_NODES, &body, err))
		return false;
	if (!api_member_number(body, "version", 1, UINT32_MAX, &version))
		return fail(err, ERR_USAGE, TXT_API_ACK);
	e->number = (uint32_t)version;
	if (!json_find_raw(body, "as", &raw) || bytes_equal(raw, bytes_of_text("null"))) {
		text_copy(e->who.as, sizeof e->who.as, api_reader_name(api, &e->who, call->unnamed));
		return true;
	}
	if (!raw_text(body, "as", as, sizeof as))
		return fail(err, ERR_USAGE, TXT_API_ACK);
	if (!consumer_name_check(as, err))
		return false;
	text_copy(e->who.as, sizeof e->who.as, as);
	return true;
}

void api_serve_ack(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_ACK);
	if (!e)
		return;
	if (take_ack(api, call, e, &err))
		api_send(api, call, e);
	else
		refuse(call, e, &err);
}

/* ---- the others ---- */

void api_serve_rollback(struct api *api, struct call *call)
{
	send_plain(api, call, ERRAND_ROLLBACK);
}

/* Whoever changes two Pixels needs the right to both: the route has asked about the one in the path. */
static void serve_pair(struct api *api, struct call *call, enum errand_kind kind, const char *member)
{
	struct error err;
	struct bytes body;
	struct errand *e = api_errand(api, call, kind);
	if (!e)
		return;
	bool is_fine = api_no_check(call, &e->no_check, &err) && api_body(call, member, FEW_NODES, &body, &err) &&
		       (raw_text(body, member, e->other, sizeof e->other) ||
			fail(&err, ERR_USAGE, TXT_API_OTHER, member)) &&
		       pixel_check(e->other, &err);
	if (!is_fine) {
		refuse(call, e, &err);
	} else if (!api_may(api, call->peer, ACCESS_PUT, e->other)) {
		api_deny(api, call, e->other);
		errand_free(e);
	} else {
		api_send(api, call, e);
	}
}

void api_serve_swap(struct api *api, struct call *call)
{
	serve_pair(api, call, ERRAND_SWAP, "with");
}

void api_serve_move(struct api *api, struct call *call)
{
	serve_pair(api, call, ERRAND_MOVE, "to");
}

void api_serve_retire(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_RETIRE);
	if (!e)
		return;
	if (api_flag(call, "force", &e->is_forced, &err))
		api_send(api, call, e);
	else
		refuse(call, e, &err);
}

void api_serve_labels(struct api *api, struct call *call)
{
	struct error err;
	struct errand *e = api_errand(api, call, ERRAND_LABEL);
	if (!e)
		return;
	if (!api_labels(call, e->labels, COUNT_OF(e->labels), &e->label_count, &err))
		refuse(call, e, &err);
	else
		api_send(api, call, e);
}

void api_serve_delete(struct api *api, struct call *call)
{
	struct error err;
	bool is_for_good;
	if (api_flag(call, "destroy", &is_for_good, &err))
		send_plain(api, call, is_for_good ? ERRAND_DESTROY : ERRAND_REMOVE);
	else
		call_answer_problem(call, 0, &err);
}

void api_serve_restore(struct api *api, struct call *call)
{
	send_plain(api, call, ERRAND_RESTORE);
}

void api_serve_verify(struct api *api, struct call *call)
{
	send_plain(api, call, ERRAND_VERIFY);
}

static void state_members(struct json *j, const struct errand *e)
{
	json_text(j, "state",
		  e->kind == ERRAND_REMOVE ? "removed" : e->kind == ERRAND_DESTROY ? "destroyed" : "stored");
	json_bool(j, "unchanged", e->was_nothing);
}

static void label_members(struct json *j, const struct errand *e)
{
	json_object(j, "labels");
	for (size_t i = 0; i < e->credential.label_count; i++)
		json_text(j, e->credential.labels[i].key, e->credential.labels[i].value);
	json_end_object(j);
}

/* Which other Pixel the token belongs to is for those who may know of that one. */
static void retire_members(struct api *api, const struct call *call, struct json *j, const struct retire_result *r)
{
	bool may_know = r->in_use_by[0] && api_may(api, call->peer, ACCESS_META, r->in_use_by);
	json_int(j, "version", r->version);
	json_text(j, "stage", stage_name(STAGE_RETIRED));
	json_text(j, "in_use_by", may_know ? r->in_use_by : NULL);
}

static void finish_simple(struct api *api, struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	api_json_begin(&j);
	bool is_of_two = e->kind == ERRAND_SWAP || e->kind == ERRAND_MOVE;
	if (e->pixel[0] && !is_of_two)
		json_text(&j, "pixel", e->pixel);
	switch (e->kind) {
	case ERRAND_SWAP:
	case ERRAND_MOVE:
		swap_json(&j, &e->swap);
		break;
	case ERRAND_REPORT:
		json_text(&j, "probe", e->was_nothing ? "recent" : "started");
		break;
	case ERRAND_ACK:
		api_forget_reader(api, e->who.as, e->pixel);
		json_int(&j, "version", e->number);
		json_text(&j, "as", e->who.as);
		break;
	case ERRAND_RETIRE:
		retire_members(api, call, &j, &e->retired);
		break;
	case ERRAND_LABEL:
		label_members(&j, e);
		break;
	case ERRAND_VERIFY:
		verify_json(&j, &e->verify);
		break;
	case ERRAND_LOCK:
		json_bool(&j, "locked", true);
		break;
	default:
		state_members(&j, e);
	}
	api_json_end(&j);
	call_answer_buf(call, e->kind == ERRAND_REPORT ? 202 : 200, API_JSON, &out);
}

void api_change_finish(struct api *api, struct ticket *t, struct errand *e)
{
	if (t->is_stream) {
		t->errand = NULL;
		finish_stream(t, e);
		return;
	}
	struct call *call = ticket_redeem(t);
	if (!call)
		return;
	if (e->err.code)
		call_answer_problem(call, 0, &e->err);
	else if (e->kind == ERRAND_PUT || e->kind == ERRAND_ROLLBACK)
		finish_put(api, call, e);
	else if (e->kind == ERRAND_CHECK)
		api_list_checked(api, call, e);
	else if (e->kind == ERRAND_LIST_PUT || e->kind == ERRAND_LIST_REMOVE || e->kind == ERRAND_LISTINGS)
		api_listing_finish(api, call, e);
	else if (e->kind == ERRAND_SELECT || e->kind == ERRAND_ROTATE)
		api_rotate_finish(api, call, e);
	else if (e->kind == ERRAND_HISTORY)
		api_list_finish_history(api, call, e);
	else if (e->kind == ERRAND_PLAN)
		api_look_finish_plan(api, call, e);
	else if (e->kind == ERRAND_MATCH)
		api_look_finish_match(api, call, e);
	else if (e->kind == ERRAND_ROLLOUT)
		api_list_finish_rollout(api, call, e);
	else if (e->kind == ERRAND_ALERTS || e->kind == ERRAND_ALERT_ACK || e->kind == ERRAND_ALERT_TEST)
		api_alert_finish(call, e);
	else
		finish_simple(api, call, e);
}
