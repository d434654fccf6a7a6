/* Service levels, read from what the keeper has in memory: the answer for one caller, and the numbers for /metrics. Made
 * piece by piece, as other listings are. */
#include "agent/api_own.h"

#include "agent/levels.h"
#include "agent/metrics.h"
#include "agent/status.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 4096u
#define PIECE_PIXELS 64u
#define METRICS_FRESH_MS 60000 /* a scrape within this time costs no walk */

struct survey {
	struct api *api;
	const struct peer *peer;
	struct levels_period period;
	struct levels_sums sums;
	const char **pixels; /* malloced, the codes are behind; none = all */
	size_t pixel_count;
	struct label labels[LABELS_MAX];
	size_t label_count;
	struct json json;
	bool has_begun;
	char after[PIXEL_CODE_MAX + 1];
	struct buf head; /* of /metrics: what stands before */
};

static void survey_free(void *context)
{
	struct survey *s = context;
	levels_sums_done(&s->sums);
	buf_done(&s->head);
	free(s->pixels);
	free(s);
}

static struct survey *survey_new(struct api *api, const struct call *call)
{
	struct survey *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct survey){ .api = api, .peer = call->peer, .sums = LEVELS_SUMS_INIT };
	return s;
}

static bool may_see(const struct survey *s, const struct holding *h)
{
	struct access_subject subject = { .pixel = h->pixel, .has_label = holding_has_label, .context = h };
	return access_may(s->peer->view, ACCESS_META, &subject);
}

/* The next Pixel, or NULL. *ret_counts: it is one of those asked for. */
static const struct holding *step(struct survey *s, struct levels *ret, bool *ret_counts)
{
	struct credential c;
	struct health health;
	const struct holding *h = holdings_after(s->api->setup.holdings, s->after);
	*ret_counts = false;
	if (!h)
		return NULL;
	memcpy(s->after, h->pixel, sizeof s->after);
	*ret_counts = holding_decode(h, &c, &health) &&
		      status_matches(&c, s->pixels, s->pixel_count, s->labels, s->label_count) &&
		      levels_of(&c, &health, &s->period, ret);
	return h;
}

/* ---- GET /v1/levels ---- */

static enum stream_step end_levels(struct survey *s)
{
	levels_json_end(&s->json, &s->sums);
	api_json_end(&s->json);
	return STREAM_END;
}

static enum stream_step tell_levels(void *context, struct buf *out)
{
	struct survey *s = context;
	struct levels l;
	struct error unused;
	bool counts;
	/* A half answer must not look like a whole one. */
	if (!s->api->opener)
		return STREAM_FAIL;
	s->json.out = out;
	if (!s->has_begun) {
		api_json_begin(&s->json);
		levels_json_begin(&s->json, &s->period);
	}
	s->has_begun = true;
	for (unsigned i = 0; i < PIECE_PIXELS && out->len < PIECE_BYTES; i++) {
		const struct holding *h = step(s, &l, &counts);
		if (!h)
			return end_levels(s);
		if (!counts || !may_see(s, h))
			continue;
		if (!levels_add(&s->sums, &l, &s->period, &unused))
			return STREAM_FAIL;
		levels_json_add(&s->json, &l, &s->period);
	}
	return STREAM_MORE;
}

static bool take_pixels(struct survey *s, const struct call *call, struct error *err)
{
	s->pixels = calloc(call_param_count(call, "pixel") + 1, sizeof *s->pixels + PIXEL_CODE_MAX + 1);
	if (!s->pixels)
		return fail_no_memory(err);
	char *room = (char *)(s->pixels + call_param_count(call, "pixel"));
	for (size_t i = 0; i < call->param_count; i++)
		if (strcmp(call->params[i].name, "pixel") == 0) {
			snprintf(room, PIXEL_CODE_MAX + 1, "%s", call->params[i].value);
			s->pixels[s->pixel_count++] = room;
			room += PIXEL_CODE_MAX + 1;
		}
	return true;
}

static bool take_time(const struct call *call, const char *name, int64_t *ret, struct error *err)
{
	const char *text = call_param(call, name);
	if (!text)
		return true;
	if (!clock_parse(text, ret, err))
		return false;
	*ret = levels_said(*ret);
	return true;
}

static bool take_ask(struct survey *s, const struct call *call, struct error *err)
{
	struct levels_ask ask = { .month = call_param(call, "month") };
	return take_time(call, "since", &ask.since, err) && take_time(call, "until", &ask.until, err) &&
	       levels_period(&ask, s->api->setup.clock(s->api->setup.worker), &s->period, err) &&
	       take_pixels(s, call, err) && api_labels(call, s->labels, COUNT_OF(s->labels), &s->label_count, err);
}

/* As a direct read of the same would end: of all at the first damaged one, of some at the one that is not there. */
static bool ends_at_damage(const struct survey *s, struct call *call)
{
	const struct error *damage = holdings_damage(s->api->setup.holdings);
	struct error unused;
	for (size_t i = 0; damage && i < s->pixel_count; i++)
		if (pixel_check(s->pixels[i], &unused) && api_look(s->api, call, s->pixels[i]))
			return true;
	if (!damage || s->pixel_count)
		return false;
	call_answer_problem(call, 0, damage);
	return true;
}

void api_serve_levels(struct api *api, struct call *call)
{
	struct error err;
	struct survey *s = survey_new(api, call);
	if (!s || !take_ask(s, call, &err)) {
		if (!s)
			(void)!fail_no_memory(&err);
		else
			survey_free(s);
		call_answer_problem(call, 0, &err);
		return;
	}
	if (ends_at_damage(s, call)) {
		survey_free(s);
		return;
	}
	struct call_stream stream = { .fill = tell_levels, .free = survey_free, .context = s };
	call_answer_stream(call, 200, API_JSON, &stream);
}

/* ---- /metrics ---- */

static enum stream_step tell_metrics(void *context, struct buf *out)
{
	struct survey *s = context;
	struct levels l;
	struct error unused;
	bool counts;
	if (!s->api->opener)
		return STREAM_FAIL;
	if (s->head.len) {
		buf_append(out, s->head.at, s->head.len);
		buf_done(&s->head);
		return STREAM_MORE;
	}
	for (unsigned i = 0; i < PIECE_PIXELS; i++) {
		if (!step(s, &l, &counts)) {
			buf_done(&s->api->level_metrics);
			s->api->level_metrics = (struct buf)BUF_INIT(METRICS_MAX);
			levels_metrics(&s->sums, &s->api->level_metrics);
			s->api->level_metrics_ms = clock_boot_ms();
			buf_append(out, s->api->level_metrics.at, s->api->level_metrics.len);
			return STREAM_END;
		}
		if (counts && !levels_add(&s->sums, &l, &s->period, &unused))
			return STREAM_FAIL;
	}
	/* A comment: without a byte the walk would go on in this turn, and hold up the others. */
	buf_append_text(out, "#\n");
	return STREAM_MORE;
}

void api_answer_metrics(struct api *api, struct call *call, struct buf *lines)
{
	static const char type[] = "text/plain; version=0.0.4; charset=utf-8";
	bool is_fresh = api->level_metrics.len && clock_boot_ms() - api->level_metrics_ms < METRICS_FRESH_MS;
	struct survey *s = is_fresh || !api->opener ? NULL : survey_new(api, call);
	if (!s) {
		if (api->opener)
			buf_append(lines, api->level_metrics.at, api->level_metrics.len);
		call_answer_buf(call, 200, type, lines);
		return;
	}
	int64_t now = api->setup.clock(api->setup.worker);
	s->period = (struct levels_period){ .from = now - LEVELS_METRICS_S, .until = now, .now = now };
	s->head = *lines;
	struct call_stream stream = { .fill = tell_metrics, .free = survey_free, .context = s };
	call_answer_stream(call, 200, type, &stream);
}
