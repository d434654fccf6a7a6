/* Listings: status of many Pixels or one, history. Made piece by piece, so that 100,000 Pixels never hold up a read. */
#include "agent/api_own.h"

#include "agent/objects.h"
#include "agent/status.h"
#include "agent/text.h"
#include "core/clock.h"
#include "vault/codec.h"

#include <stdio.h>
#include <stdlib.h>

#define RECORDS "application/x-pixelvault-records"
#define RECORDS_MAGIC "PVREC\0\0\1"
#define RECORDS_END 0xffffffffu
/* A turn of one listing ends with the first of these: bytes made, Pixels looked at. */
#define PIECE_BYTES 4096u
#define PIECE_PIXELS 64u

struct listing {
	struct api *api;
	const struct peer *peer;
	int64_t now; /* what is due is judged by, in all of it */
	enum access_verb verb;
	bool is_records, has_begun, is_first_done;
	char after[PIXEL_CODE_MAX + 1];
	const char **pixels; /* malloced; none = all */
	size_t pixel_count;
	struct label labels[LABELS_MAX];
	size_t label_count;
	bool has_result;
	struct check_result result;
};

static void listing_free(void *context)
{
	struct listing *l = context;
	free(l->pixels);
	free(l);
}

/* One block: the pointers, then the codes they point to. */
static bool make_room_for_pixels(struct listing *l, size_t count)
{
	l->pixels = calloc(count + 1, sizeof *l->pixels + PIXEL_CODE_MAX + 1);
	char *room = l->pixels ? (char *)(l->pixels + count) : NULL;
	for (size_t i = 0; room && i < count; i++)
		l->pixels[i] = room + i * (PIXEL_CODE_MAX + 1);
	return room != NULL;
}

static void add_pixel(struct listing *l, const char *pixel)
{
	char *room = (char *)(uintptr_t)l->pixels[l->pixel_count++];
	snprintf(room, PIXEL_CODE_MAX + 1, "%s", pixel);
}

static bool take_pixels(struct listing *l, const struct call *call, struct error *err)
{
	if (!make_room_for_pixels(l, call_param_count(call, "pixel")))
		return fail_no_memory(err);
	for (size_t i = 0; i < call->param_count; i++)
		if (strcmp(call->params[i].name, "pixel") == 0)
			add_pixel(l, call->params[i].value);
	return true;
}

/* Which other Pixel a token belongs to is for those who may know of that one. */
static void hide_owners(const struct api *api, const struct peer *peer, struct health *health)
{
	struct judgement *both[] = { &health->current, &health->pending };
	for (size_t i = 0; i < COUNT_OF(both); i++)
		if (both[i]->belongs_to[0] && !api_may(api, peer, ACCESS_META, both[i]->belongs_to))
			both[i]->belongs_to[0] = '\0';
}

static void add_bytes(struct buf *out, struct bytes bytes)
{
	buf_append_uint(out, 4, bytes.len);
	buf_append(out, bytes.at, bytes.len);
}

static void add_record(const struct api *api, const struct peer *peer, struct buf *out, const struct holding *h)
{
	struct buf shown = BUF_INIT(65536);
	struct credential c;
	struct health health;
	struct error ignored;
	add_bytes(out, h->credential);
	if (!h->names_another || !holding_decode(h, &c, &health)) {
		add_bytes(out, h->health);
		return;
	}
	hide_owners(api, peer, &health);
	/* Without memory for it there is none: the Pixel shows as never asked about. */
	add_bytes(out, health_encode(&health, &shown, &ignored) ? buf_bytes(&shown) : bytes_of(NULL, 0));
	buf_done(&shown);
}

static void advise_on_owner(const struct api *api, struct status_row *row)
{
	const char *owner = status_owner(row);
	const struct holding *h = owner ? holdings_find(api->setup.holdings, owner) : NULL;
	struct credential c;
	struct health health;
	if (h && holding_decode(h, &c, &health))
		status_advise(row, &c, &health);
}

static void add_object(const struct api *api, const struct peer *peer, struct buf *out, const struct credential *c,
		       struct health *health, int64_t now, bool is_first)
{
	struct json j = JSON_INIT(out);
	struct status_row row;
	hide_owners(api, peer, health);
	status_of(c, health, api->setup.settings, now, &row);
	advise_on_owner(api, &row);
	if (!is_first)
		buf_append_text(out, ",");
	status_json(&j, &row);
}

static bool is_wanted(const struct listing *l, const struct holding *h, struct credential *c, struct health *health)
{
	struct access_subject subject = { .pixel = h->pixel, .has_label = holding_has_label, .context = h };
	if (!access_may(l->peer->view, l->verb, &subject))
		return false;
	/* Records go out as they are: decoded only where somebody asks for labels. */
	if (l->is_records && !l->pixel_count && !l->label_count)
		return true;
	return holding_decode(h, c, health) &&
	       status_matches(c, l->pixels, l->pixel_count, l->labels, l->label_count);
}

static void add_one(struct listing *l, struct buf *out, const struct holding *h)
{
	struct credential c;
	struct health health;
	if (!is_wanted(l, h, &c, &health))
		return;
	if (l->is_records)
		add_record(l->api, l->peer, out, h);
	else
		add_object(l->api, l->peer, out, &c, &health, l->now, !l->is_first_done);
	l->is_first_done = true;
}

static void begin_listing(struct listing *l, struct buf *out)
{
	if (l->is_records)
		buf_append(out, RECORDS_MAGIC, 8);
	else
		buf_append_text(out, "{\"schema\":1,\"pixels\":[");
	l->has_begun = true;
}

static void end_listing(const struct listing *l, struct buf *out)
{
	struct json j = JSON_INIT(out);
	if (l->is_records) {
		buf_append_uint(out, 4, RECORDS_END);
		return;
	}
	buf_append_text(out, "]");
	if (l->has_result) {
		j.needs_comma = true;
		api_check_json(&j, &l->result, true);
	}
	buf_append_text(out, "}\n");
}

static enum stream_step fill(void *context, struct buf *out)
{
	struct listing *l = context;
	/* A half listing must not look like a whole one. */
	if (!l->api->opener)
		return STREAM_FAIL;
	if (!l->has_begun)
		begin_listing(l, out);
	for (unsigned i = 0; i < PIECE_PIXELS && out->len < PIECE_BYTES; i++) {
		const struct holding *h = holdings_after(l->api->setup.holdings, l->after);
		if (!h) {
			end_listing(l, out);
			return STREAM_END;
		}
		memcpy(l->after, h->pixel, sizeof l->after);
		add_one(l, out, h);
	}
	return STREAM_MORE;
}

static int64_t clock_of(const struct api *api)
{
	return api->setup.clock(api->setup.worker);
}

/* Whoever shows records judges by it too; and sees whether this machine's clock is suspect. */
static void say_clock(struct call *call, int64_t now)
{
	char text[CLOCK_TEXT_MAX];
	call_header(call, "X-Judged-At", "%s", clock_format(now, text));
}

static struct listing *listing_new(struct api *api, const struct call *call)
{
	struct listing *l = calloc(1, sizeof *l);
	if (l) {
		l->api = api;
		l->peer = call->peer;
		l->now = clock_of(api);
		l->verb = ACCESS_META;
	}
	return l;
}

static void answer_listing(struct call *call, struct listing *l)
{
	struct call_stream stream = { .fill = fill, .free = listing_free, .context = l };
	say_clock(call, l->now);
	call_answer_stream(call, 200, l->is_records ? RECORDS : API_JSON, &stream);
}

/* While a Pixel is damaged, one that is not in memory may be it: the worker looks. */
bool api_look(struct api *api, struct call *call, const char *pixel)
{
	if (!holdings_damaged(api->setup.holdings) || holdings_find(api->setup.holdings, pixel))
		return false;
	struct errand *e = api_errand(api, call, ERRAND_LOOK);
	if (e) {
		snprintf(e->pixel, sizeof e->pixel, "%s", pixel);
		api_send(api, call, e);
	}
	return true;
}

/* As a direct read of the same would end: of all at the first damaged one, of some at the one that is not there. */
static bool ends_at_damage(struct listing *l, struct call *call)
{
	const struct error *damage = holdings_damage(l->api->setup.holdings);
	struct error unused;
	for (size_t i = 0; damage && i < l->pixel_count; i++)
		if (pixel_check(l->pixels[i], &unused) && api_look(l->api, call, l->pixels[i]))
			return true;
	if (!damage || l->pixel_count)
		return false;
	call_answer_problem(call, 0, damage);
	return true;
}

void api_serve_pixels(struct api *api, struct call *call)
{
	struct error err;
	struct listing *l = listing_new(api, call);
	if (!l || !take_pixels(l, call, &err) ||
	    !api_labels(call, l->labels, COUNT_OF(l->labels), &l->label_count, &err)) {
		if (l)
			listing_free(l);
		else
			(void)!fail_no_memory(&err);
		call_answer_problem(call, 0, &err);
		return;
	}
	if (ends_at_damage(l, call)) {
		listing_free(l);
		return;
	}
	l->is_records = api_prefers(call, RECORDS, API_JSON);
	answer_listing(call, l);
}

void api_serve_pixel(struct api *api, struct call *call)
{
	const struct holding *h = holdings_find(api->setup.holdings, call->segments[2]);
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct credential c;
	struct health health;
	struct error err;
	bool is_records = api_prefers(call, RECORDS, API_JSON);
	int64_t now = clock_of(api);
	if (api_look(api, call, call->segments[2]))
		return;
	if (!h || !holding_decode(h, &c, &health)) {
		(void)!fail(&err, ERR_NOT_FOUND, TXT_API_NO_PIXEL, call->segments[2]);
		call_answer_problem(call, 0, &err);
		return;
	}
	if (is_records) {
		buf_append(&out, RECORDS_MAGIC, 8);
		add_record(api, call->peer, &out, h);
		buf_append_uint(&out, 4, RECORDS_END);
	} else {
		buf_append_text(&out, "{\"schema\":1,\"pixels\":[");
		add_object(api, call->peer, &out, &c, &health, now, true);
		buf_append_text(&out, "]}\n");
	}
	say_clock(call, now);
	call_answer_buf(call, 200, is_records ? RECORDS : API_JSON, &out);
}

/* ---- history: the worker reads it, also of a removed Pixel ---- */

void api_serve_history(struct api *api, struct call *call)
{
	struct errand *e = api_errand(api, call, ERRAND_HISTORY);
	if (e)
		api_send(api, call, e);
}

void api_serve_rollout(struct api *api, struct call *call)
{
	struct errand *e = api_errand(api, call, ERRAND_ROLLOUT);
	if (e)
		api_send(api, call, e);
}

void api_list_finish_rollout(const struct api *api, struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	const struct version *current = credential_staged(&e->credential, STAGE_CURRENT);
	api_json_begin(&j);
	json_text(&j, "pixel", e->pixel);
	if (current)
		json_int(&j, "current", current->number);
	else
		json_null(&j, "current");
	json_array(&j, "readers");
	for (size_t at = 0; at < e->marks.len; at += sizeof(struct read_mark)) {
		struct read_mark mark;
		memcpy(&mark, e->marks.at + at, sizeof mark);
		api_freshen(api, e->pixel, &mark);
		json_object(&j, NULL);
		json_text(&j, "as", mark.name);
		json_int(&j, "version", mark.version);
		json_time(&j, "at", mark.at);
		json_bool(&j, "acked", mark.is_acked);
		json_end_object(&j);
	}
	json_end_array(&j);
	api_json_end(&j);
	call_answer_buf(call, 200, API_JSON, &out);
}

static bool encode_history(const struct errand *e, struct buf *out, struct error *err)
{
	struct buf credential = BUF_INIT(65536), health = BUF_INIT(65536);
	bool ok = credential_encode(&e->credential, &credential, err) && health_encode(&e->health, &health, err);
	buf_append(out, RECORDS_MAGIC, 8);
	buf_append_uint(out, 4, credential.len);
	buf_append(out, credential.at, credential.len);
	buf_append_uint(out, 4, health.len);
	buf_append(out, health.at, health.len);
	buf_append_uint(out, 4, RECORDS_END);
	buf_done(&credential);
	buf_done(&health);
	return ok;
}

void api_list_finish_history(struct api *api, struct call *call, const struct errand *e)
{
	struct buf out = BUF_INIT(API_BODY_MAX);
	struct json j = JSON_INIT(&out);
	struct error err;
	(void)api;
	if (api_prefers(call, RECORDS, API_JSON)) {
		if (encode_history(e, &out, &err)) {
			call_answer_buf(call, 200, RECORDS, &out);
		} else {
			buf_done(&out);
			call_answer_problem(call, 0, &err);
		}
		return;
	}
	api_json_begin(&j);
	history_json(&j, &e->credential, &e->health);
	api_json_end(&j);
	call_answer_buf(call, 200, API_JSON, &out);
}

void api_list_checked(struct api *api, struct call *call, const struct errand *e)
{
	struct error err;
	/* It may have been closed in the turn in which the last verdict came. */
	if (!api->opener) {
		api_answer_closed(api, call);
		return;
	}
	struct listing *l = listing_new(api, call);
	if (!l || !make_room_for_pixels(l, e->pixel_count)) {
		if (l)
			listing_free(l);
		(void)!fail_no_memory(&err);
		call_answer_problem(call, 0, &err);
		return;
	}
	for (size_t i = 0; i < e->pixel_count; i++)
		add_pixel(l, e->pixels[i]);
	l->verb = ACCESS_PUT; /* who may check may read what came of it */
	l->label_count = e->label_count < LABELS_MAX ? e->label_count : LABELS_MAX;
	memcpy(l->labels, e->labels, l->label_count * sizeof *l->labels);
	l->has_result = true;
	l->result = e->check;
	answer_listing(call, l);
}
