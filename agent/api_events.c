/* Server-sent events: what changed, for whoever listens; and the progress of a check, for who asked for it. */
#include "agent/api_own.h"

#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMENT_MS 15000
#define PIECE_BYTES 4096u

/* ---- one stream ---- */

static void on_stream_freed(void *context)
{
	struct ticket *t = context;
	t->call = NULL;
	/* An errand under way still knows the ticket. */
	if (t->errand)
		ticket_move(t, &t->api->erranders);
	else
		ticket_free(t);
}

static void wake(struct ticket *t)
{
	if (t->call)
		t->call->wake(t->call);
}

static void say_event(struct ticket *t, const struct event *e)
{
	char at[CLOCK_TEXT_MAX];
	buf_printf(&t->text, "id: %llu\nevent: %s\ndata: {\"pixel\":\"%s\",\"version\":", (unsigned long long)e->id,
		   e->is_verdict ? "verdict" : "version", e->pixel);
	if (e->version)
		buf_printf(&t->text, "%u", e->version);
	else
		buf_append_text(&t->text, "null");
	buf_printf(&t->text, ",\"verdict\":\"%s\",\"at\":\"%s\"}\n\n", verdict_name(e->verdict),
		   clock_format(e->at, at));
}

/* Some of what the ring holds and this reader has not seen; only what it may see. */
static void take_events(struct ticket *t)
{
	struct api *api = t->api;
	if (t->next_id < api->first_id) {
		buf_append_text(&t->text, "event: reset\ndata: {}\n\n");
		t->next_id = api->first_id;
	}
	while (t->next_id < api->next_id && t->text.len < PIECE_BYTES) {
		const struct event *e = &api->events[t->next_id++ % EVENTS_KEPT];
		if (api_may(api, t->call->peer, ACCESS_META, e->pixel))
			say_event(t, e);
	}
}

static enum stream_step fill(void *context, struct buf *out)
{
	struct ticket *t = context;
	if (t->list == &t->api->readers && !t->is_over && t->next_id)
		take_events(t);
	if (!t->text.len)
		return t->is_over ? STREAM_END : STREAM_WAIT;
	if (t->text.is_bad)
		return STREAM_FAIL;
	buf_append(out, t->text.at, t->text.len);
	buf_clear(&t->text);
	t->spoke_ms = t->api->now_ms;
	return STREAM_MORE;
}

struct ticket *api_stream(struct api *api, struct call *call)
{
	struct ticket *t = ticket_new(api, call, &api->readers);
	if (!t)
		return NULL;
	struct call_stream stream = { .fill = fill, .free = on_stream_freed, .context = t };
	t->is_stream = true;
	t->spoke_ms = api->now_ms;
	call_answer_stream(call, 200, "text/event-stream", &stream);
	return t;
}

void api_stream_say(struct ticket *t, const char *event, struct bytes data)
{
	/* Who reads too slowly loses steps of a progress, never its end. */
	if (t->text.len > API_BODY_MAX / 2 && strcmp(event, "progress") == 0)
		return;
	buf_printf(&t->text, "event: %s\ndata: %.*s\n\n", event, (int)data.len, (const char *)data.at);
	wake(t);
}

void api_stream_end(struct ticket *t)
{
	t->is_over = true;
	if (t->call)
		wake(t);
	else
		ticket_free(t);
}

/* ---- what changed ---- */

static void add(struct api *api, bool is_verdict, const struct holding *h, uint32_t version, enum verdict verdict)
{
	struct event *e = &api->events[api->next_id % EVENTS_KEPT];
	*e = (struct event){ .id = api->next_id++,
			     .is_verdict = is_verdict,
			     .version = version,
			     .verdict = verdict,
			     .at = clock_wall() };
	memcpy(e->pixel, h->pixel, sizeof e->pixel);
	if (api->next_id - api->first_id > EVENTS_KEPT)
		api->first_id = api->next_id - EVENTS_KEPT;
}

void api_events_add(struct api *api, const struct holding *before, const struct holding *after)
{
	uint32_t was = before ? before->current : 0, is = after ? after->current : 0;
	const struct holding *any = after ? after : before;
	if (!any)
		return;
	enum verdict verdict = any->verdict;
	if (was != is)
		add(api, false, any, is, verdict);
	if (before && after && before->verdict != after->verdict)
		add(api, true, any, is ? is : any->pending, verdict);
	for (struct ticket *t = api->readers; t; t = t->next)
		if (t->next_id)
			wake(t);
}

void api_events_tick(struct api *api)
{
	for (struct ticket *t = api->readers; t; t = t->next) {
		if (api->now_ms - t->spoke_ms < COMMENT_MS || t->text.len)
			continue;
		buf_append_text(&t->text, ": still here\n\n");
		t->spoke_ms = api->now_ms;
		wake(t);
	}
}

void api_serve_events(struct api *api, struct call *call)
{
	const char *last = call->header(call, "Last-Event-ID");
	unsigned long long id = api->next_id;
	if (last) {
		size_t digits = strspn(last, "0123456789");
		/* One that we never gave is of another life. */
		id = digits && digits < 20 && !last[digits] ? strtoull(last, NULL, 10) + 1 : 1;
		if (id > api->next_id || id == 0)
			id = 1;
	}
	struct ticket *t = api_stream(api, call);
	if (t)
		t->next_id = id;
}
