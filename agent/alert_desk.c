#include "agent/alert_desk.h"

#include "agent/alert_words.h"
#include "agent/decoy.h"
#include "agent/metrics.h"
#include "agent/status.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/log.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define LOCK_NAME "alerts"
#define BOOK_CAUSES "alerts"
#define BOOK_MEMBERS "alert-pixels"
#define CLOCK_SLACK_S 300 /* a clock that was a little ahead and was put right is no trouble */
#define BLIND_FAILURES 3
#define OPEN_MAX (DELIVER_OPEN_MAX + ALERT_PINGS_MAX)
#define SLICE_MS 200

enum open_kind { OPEN_NONE, OPEN_MESSAGE, OPEN_PING, OPEN_TEST, OPEN_FORGOTTEN };
struct open_delivery {
	enum open_kind kind;
	uint64_t id;
	char sink[SINK_NAME_MAX + 1];
	struct alert_due due;
	alert_test_fn *done;
	void *context;
};

struct page {
	const char *name;
	struct buf stored; /* as it lies in the vault */
	size_t parts;
};

struct alert_desk {
	struct vault *vault;
	const struct settings *settings;
	struct deliver *deliver;
	struct vault_lock *lock;
	struct alerts *alerts;
	struct page causes, members;
	struct sink *sinks;
	size_t sink_count;
	size_t line_sink[ALERT_SINKS_MAX]; /* which of sinks a line is */
	bool owes_ping[ALERT_SINKS_MAX + ALERT_PINGS_MAX];
	struct open_delivery open[OPEN_MAX];
	char (*decoys)[PIXEL_CODE_MAX + 1]; /* as the last look found them */
	size_t decoy_count, decoy_room;
	bool is_unstored, is_doubting;
	struct error trouble;
};

static void note_trouble(struct alert_desk *d, const struct error *err)
{
	if (!d->trouble.code)
		d->trouble = *err;
}

bool alert_desk_trouble(struct alert_desk *d, struct error *ret)
{
	*ret = d->trouble;
	d->trouble.code = ERR_NONE;
	return ret->code != ERR_NONE;
}

/* ---- the book ---- */

static bool read_book(struct alert_desk *d, struct error *err)
{
	bool is_read = vault_book(d->vault, BOOK_CAUSES, &d->causes.stored, &d->causes.parts, err) &&
		       vault_book(d->vault, BOOK_MEMBERS, &d->members.stored, &d->members.parts, err);
	/* A book that is missing or damaged is begun anew: what is wrong is then told once more. */
	if (is_read)
		(void)!alerts_decode(d->alerts, buf_bytes(&d->causes.stored), buf_bytes(&d->members.stored));
	return is_read;
}

static bool store_pages(struct alert_desk *d, struct buf *causes, struct buf *members, struct error *err)
{
	struct page *const pages[] = { &d->causes, &d->members };
	struct buf *const now[] = { causes, members };
	struct book books[COUNT_OF(pages)];
	size_t count = 0;
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		if (!bytes_equal(buf_bytes(now[i]), buf_bytes(&pages[i]->stored)))
			books[count++] = (struct book){ pages[i]->name, buf_bytes(now[i]), pages[i]->parts };
	if (count && !vault_store_books(d->vault, books, count, err))
		return false;
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		struct buf old = pages[i]->stored;
		pages[i]->stored = *now[i];
		pages[i]->parts = vault_book_parts(now[i]->len);
		*now[i] = old;
	}
	return true;
}

/* What cannot be stored is told all the same, perhaps twice: a full disk is a bad time for silence. */
static void store_book(struct alert_desk *d)
{
	struct buf causes = BUF_INIT(BOOK_MAX), members = BUF_INIT(BOOK_MAX);
	struct error err;
	bool is_stored = alerts_encode(d->alerts, &causes, &members, &err) && store_pages(d, &causes, &members, &err);
	buf_done(&causes);
	buf_done(&members);
	if (!is_stored && !d->is_unstored)
		note_trouble(d, &err);
	d->is_unstored = !is_stored;
}

static void set_lines(struct alert_desk *d)
{
	struct alert_sink lines[ALERT_SINKS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < d->sink_count; i++) {
		const struct sink *s = &d->sinks[i];
		if (s->type == SINK_PING || count == ALERT_SINKS_MAX)
			continue;
		lines[count] = (struct alert_sink){ .least = s->min_severity, .remind_s = s->remind_s };
		text_copy(lines[count].name, sizeof lines[count].name, s->name);
		d->line_sink[count++] = i;
	}
	alerts_set_sinks(d->alerts, lines, count);
}

bool alert_desk_new(struct vault *v, const struct settings *settings, struct deliver *deliver, struct alert_desk **ret,
		    struct error *err)
{
	struct alert_desk *d = calloc(1, sizeof *d);
	if (!d)
		return fail_no_memory(err);
	d->vault = v;
	d->settings = settings;
	d->deliver = deliver;
	d->causes = (struct page){ BOOK_CAUSES, BUF_INIT(BOOK_MAX), 0 };
	d->members = (struct page){ BOOK_MEMBERS, BUF_INIT(BOOK_MAX), 0 };
	if (!alerts_new(&d->alerts, err)) {
		alert_desk_free(d);
		return false;
	}
	*ret = d;
	return true;
}

void alert_desk_free(struct alert_desk *d)
{
	struct error err;
	if (!d)
		return;
	(void)!fail(&err, ERR_CONFLICT, TXT_ALERT_BROKEN);
	for (size_t i = 0; i < OPEN_MAX; i++)
		if (d->open[i].kind == OPEN_TEST)
			d->open[i].done(d->open[i].context, NULL, &err);
	vault_unlockp(&d->lock);
	alerts_free(d->alerts);
	buf_done(&d->causes.stored);
	buf_done(&d->members.stored);
	free(d->sinks);
	free(d->decoys);
	free(d);
}

void alert_desk_freep(struct alert_desk **d)
{
	alert_desk_free(*d);
	*d = NULL;
}

bool alert_desk_is_ours(const struct alert_desk *d)
{
	return d->lock != NULL;
}

bool alert_desk_claim(struct alert_desk *d, int64_t wait_ms, bool *ret, struct error *err)
{
	*ret = d->lock != NULL;
	if (d->lock)
		return true;
	if (!vault_lock(d->vault, LOCK_NAME, wait_ms, &d->lock, err))
		return err->code == ERR_CONFLICT;
	if (!read_book(d, err)) {
		vault_unlockp(&d->lock);
		return false;
	}
	set_lines(d);
	*ret = true;
	return true;
}

/* What is on its way belongs to the sink of that name, wherever that stands now. */
static void find_open_lines(struct alert_desk *d)
{
	struct alerts *a = d->alerts;
	for (size_t i = 0; i < OPEN_MAX; i++) {
		struct open_delivery *o = &d->open[i];
		if (o->kind != OPEN_MESSAGE)
			continue;
		size_t line = 0;
		while (line < a->line_count && strcmp(a->lines[line].sink.name, o->sink) != 0)
			line++;
		if (line == a->line_count) {
			o->kind = OPEN_FORGOTTEN;
			continue;
		}
		o->due.line = line;
		a->lines[line].is_busy = true;
	}
}

/* A ping that is owed is owed to the sink of that name. */
static void move_owed_pings(struct alert_desk *d, const struct sink *sinks, size_t count)
{
	bool owes[COUNT_OF(d->owes_ping)] = { false };
	for (size_t i = 0; i < count; i++)
		for (size_t old = 0; old < d->sink_count; old++)
			if (d->owes_ping[old] && sinks[i].type == SINK_PING && strcmp(sinks[i].name, d->sinks[old].name) == 0)
				owes[i] = true;
	memcpy(d->owes_ping, owes, sizeof owes);
}

bool alert_desk_set_sinks(struct alert_desk *d, const struct sink *sinks, size_t count, struct error *err)
{
	struct sink *copy = calloc(count + 1, sizeof *copy);
	assert(count <= COUNT_OF(d->owes_ping)); /* a configuration has no more */
	if (!copy)
		return fail_no_memory(err);
	if (count)
		memcpy(copy, sinks, count * sizeof *copy);
	move_owed_pings(d, copy, count);
	free(d->sinks);
	d->sinks = copy;
	d->sink_count = count;
	set_lines(d);
	find_open_lines(d);
	return true;
}

void alert_desk_set_settings(struct alert_desk *d, const struct settings *settings)
{
	d->settings = settings;
}

bool alert_desk_is_decoy(const struct alert_desk *d, const char *pixel)
{
	for (size_t i = 0; i < d->decoy_count; i++)
		if (strcmp(d->decoys[i], pixel) == 0)
			return true;
	return false;
}

bool alert_desk_is_news(const struct alert_desk *d, const struct credential *c, const struct health *h)
{
	struct alert_fact fact;
	if (decoy_is(c) || alert_desk_is_decoy(d, c->pixel))
		return true; /* there are few, and whoever read one is known from a look only */
	alert_fact_of(c, h, d->settings, vault_later_clock(d->vault), &fact);
	return alerts_is_news(d->alerts, &fact);
}

bool alert_desk_knows(const struct alert_desk *d, const char *pixel)
{
	struct alert_fact well = { .pixel = pixel };
	return alerts_is_news(d->alerts, &well);
}

bool alert_desk_is_quiet(const struct alert_desk *d)
{
	return alerts_is_quiet(d->alerts) && alerts_next_at(d->alerts, clock_wall()) > clock_wall();
}

struct search {
	const struct alert_desk *desk;
	bool has_news;
};

static bool search_list(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct search *s = context;
	(void)err;
	s->has_news = s->has_news || alert_desk_is_news(s->desk, c, h);
	return true;
}

bool alert_desk_has_list_news(const struct alert_desk *d)
{
	struct search s = { .desk = d };
	struct error ignored;
	return !vault_each_list(d->vault, search_list, &s, &ignored) || s.has_news;
}

/* ---- a look ---- */

struct pass {
	struct alert_desk *desk;
	int64_t now, checked_at, attempted_at, damaged_at;
	uint32_t failures;
};

static bool remember_decoy(struct alert_desk *d, const char *pixel, struct error *err)
{
	if (d->decoy_count == d->decoy_room) {
		size_t room = d->decoy_room + d->decoy_room / 2 + 8;
		void *moved = reallocarray(d->decoys, room, sizeof *d->decoys);
		if (!moved)
			return fail_no_memory(err);
		d->decoys = moved;
		d->decoy_room = room;
	}
	memcpy(d->decoys[d->decoy_count++], pixel, sizeof *d->decoys);
	return true;
}

static bool note_fact(struct pass *pass, const struct alert_fact *fact, struct error *err)
{
	if (fact->checked_at > pass->checked_at)
		pass->checked_at = fact->checked_at;
	if (fact->attempted_at > pass->attempted_at)
		pass->attempted_at = fact->attempted_at;
	if (fact->failures > pass->failures)
		pass->failures = fact->failures;
	return alerts_note(pass->desk->alerts, fact, err);
}

static bool note_sound(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct pass *pass = context;
	struct alert_fact fact;
	if (decoy_is(c))
		return remember_decoy(pass->desk, c->pixel, err);
	alert_fact_of(c, h, pass->desk->settings, pass->now, &fact);
	return note_fact(pass, &fact, err);
}

static bool note_item(void *context, const struct vault_item *item, struct error *err)
{
	struct pass *pass = context;
	struct alert_fact fact;
	if (!item->credential) {
		pass->damaged_at = pass->now;
		return true;
	}
	if (item->credential->deleted_at || item->credential->is_destroyed)
		return true;
	if (decoy_is(item->credential) && !item->damage)
		return remember_decoy(pass->desk, item->credential->pixel, err);
	alert_fact_of(item->credential, item->health, pass->desk->settings, pass->now, &fact);
	if (item->damage) {
		fact.kind = ALERT_KIND_DAMAGED;
		fact.since = pass->now;
	}
	return note_fact(pass, &fact, err);
}

/* Damage is told apart Pixel by Pixel, at the price of reading the tokens too: only where there is some. */
static bool note_all(struct pass *pass, struct error *err)
{
	struct alert_desk *d = pass->desk;
	struct vault_position unused;
	d->decoy_count = 0;
	if (!d->is_doubting) {
		if (vault_each(d->vault, true, false, note_sound, pass, err))
			return true;
		if (err->code != ERR_DAMAGED)
			return false;
		d->is_doubting = true;
		d->decoy_count = 0;
		if (!alerts_begin(d->alerts, err))
			return false;
	}
	return vault_load(d->vault, note_item, pass, &unused, err);
}

void alert_desk_doubt(struct alert_desk *d)
{
	d->is_doubting = true;
}

struct asking {
	int64_t now, first_at; /* 0 = nobody asked within DECOY_ALARM_S */
};

static bool see_mark(void *context, const struct read_mark *mark, struct error *err)
{
	struct asking *a = context;
	(void)err;
	if (a->now - mark->at < DECOY_ALARM_S && (!a->first_at || mark->at < a->first_at))
		a->first_at = mark->at;
	return true;
}

/* Notes that cannot be read, damaged or on a bad part of the disk, must not silence all other alerts. */
static bool note_decoy(struct pass *pass, const char *pixel, struct error *err)
{
	struct vault *v = pass->desk->vault;
	struct asking asking = { .now = clock_wall() }; /* by which they were noted, though that clock may once have been ahead */
	struct credential c;
	struct health h = { .failures = 0 };
	struct alert_fact fact;
	if (!vault_find(v, pixel, false, &c, err))
		return err->code == ERR_NOT_FOUND; /* removed behind the walk */
	bool is_read = vault_health(v, &c, &h, err) && vault_each_mark(v, pixel, see_mark, &asking, err);
	if (!is_read && err->code != ERR_DAMAGED && err->code != ERR_STORAGE)
		return false;
	alert_fact_of(&c, &h, pass->desk->settings, pass->now, &fact);
	if (!is_read || asking.first_at) {
		fact.kind = is_read ? ALERT_KIND_DECOY : ALERT_KIND_DAMAGED;
		fact.since = is_read ? asking.first_at : pass->now;
	}
	return note_fact(pass, &fact, err);
}

/* Behind the walk: who asked for one is read from elsewhere. */
static bool note_decoys(struct pass *pass, struct error *err)
{
	bool ok = true;
	for (size_t i = 0; ok && i < pass->desk->decoy_count; i++)
		ok = note_decoy(pass, pass->desk->decoys[i], err);
	return ok;
}

static bool note_list(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	const struct pass *pass = context;
	struct alert_fact fact;
	alert_fact_of(c, h, pass->desk->settings, pass->now, &fact);
	return alerts_note(pass->desk->alerts, &fact, err);
}

/* Behind the Pixels, whose walk met the lists' names. One that is damaged hides those behind it. */
static bool note_lists(struct pass *pass, struct error *err)
{
	if (vault_each_list(pass->desk->vault, note_list, pass, err))
		return true;
	if (err->code != ERR_DAMAGED)
		return false;
	pass->damaged_at = pass->now;
	return true;
}

/* It was asked in vain, again and again, since the last verdict about anybody, and that is long ago. An agent that was
 * off asked nobody, and one that wakes up may find no network yet. */
static bool is_blind(const struct pass *pass)
{
	return pass->checked_at && pass->attempted_at > pass->checked_at && pass->failures >= BLIND_FAILURES &&
	       pass->now - pass->checked_at >= 2 * pass->desk->settings->interval_s;
}

static bool note_general(struct pass *pass, struct error *err)
{
	struct alerts *a = pass->desk->alerts;
	int64_t behind_s = vault_clock_suspect(pass->desk->vault);
	if (pass->damaged_at && !alerts_note_unreadable(a, pass->damaged_at, err))
		return false;
	if (is_blind(pass) && !alerts_note_general(a, ALERT_KIND_BLIND, pass->checked_at, err))
		return false;
	return behind_s <= CLOCK_SLACK_S || alerts_note_general(a, ALERT_KIND_CLOCK, clock_wall(), err);
}

static uint64_t draw(void)
{
	uint64_t ret;
	randombytes_buf(&ret, sizeof ret);
	return ret;
}

bool alert_desk_look(struct alert_desk *d, struct error *err)
{
	struct pass pass = { .desk = d, .now = vault_later_clock(d->vault) };
	bool has_changed;
	if (!d->lock)
		return true;
	if (!alerts_begin(d->alerts, err) || !note_all(&pass, err) || !note_decoys(&pass, err) ||
	    !note_lists(&pass, err) || !note_general(&pass, err) ||
	    !alerts_end(d->alerts, draw, clock_wall(), &has_changed, err)) {
		alerts_drop(d->alerts);
		return false;
	}
	if (has_changed || d->is_unstored)
		store_book(d);
	return true;
}

/* ---- messages ---- */

static int by_gravity(const void *a, const void *b)
{
	const struct member *x = *(const struct member *const *)a, *y = *(const struct member *const *)b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return x->since != y->since ? (x->since < y->since ? -1 : 1) : strcmp(x->pixel, y->pixel);
}

static void add_entry(struct alert_desk *d, const struct member *m, struct alert_message *message)
{
	struct credential c, owner;
	struct health h, of_owner;
	struct status_row row;
	struct error ignored;
	if (!vault_find(d->vault, m->pixel, true, &c, &ignored) || !vault_health(d->vault, &c, &h, &ignored)) {
		message->more++;
		return;
	}
	status_of(&c, &h, d->settings, vault_later_clock(d->vault), &row);
	const char *code = status_owner(&row);
	if (code && vault_find(d->vault, code, false, &owner, &ignored) &&
	    vault_health(d->vault, &owner, &of_owner, &ignored))
		status_advise(&row, &owner, &of_owner);
	alert_words_entry(&row, m, message->event, message);
}

/* Those in trouble now; of a recovery, those that were. */
static bool add_entries(struct alert_desk *d, const struct cause *c, struct alert_message *message, struct error *err)
{
	const struct alerts *a = d->alerts;
	size_t place = (size_t)(c - a->causes), count = 0;
	const struct member **chosen = calloc(a->member_count + 1, sizeof(*chosen));
	if (!chosen)
		return fail_no_memory(err);
	for (size_t i = 0; i < a->member_count; i++)
		if (a->members[i].cause == place && (a->members[i].is_bad || message->event == ALERT_RECOVERY))
			chosen[count++] = &a->members[i];
	qsort(chosen, count, sizeof(*chosen), by_gravity);
	for (size_t i = 0; i < count && i < ALERT_ENTRIES_MAX; i++)
		add_entry(d, chosen[i], message);
	message->more += count > ALERT_ENTRIES_MAX ? count - ALERT_ENTRIES_MAX : 0;
	free(chosen);
	return true;
}

static struct open_delivery *free_place(struct alert_desk *d)
{
	for (size_t i = 0; i < OPEN_MAX; i++)
		if (d->open[i].kind == OPEN_NONE)
			return &d->open[i];
	return NULL;
}

static bool can_send(struct alert_desk *d)
{
	return d->deliver && deliver_has_room(d->deliver) && free_place(d);
}

/* The process's: deliveries outlive a desk, and what became of one must not be taken for what became of the next desk's. */
static uint64_t last_id;

static struct open_delivery *send(struct alert_desk *d, enum open_kind kind, const struct sink *sink,
				  const struct alert_message *message)
{
	struct open_delivery *o = free_place(d);
	*o = (struct open_delivery){ .kind = kind, .id = ++last_id };
	text_copy(o->sink, sizeof o->sink, sink->name);
	deliver_send(d->deliver,
		     &(struct delivery){ .id = o->id, .type = sink->type, .sink = sink->name, .message = message });
	return o;
}

static void send_message(struct alert_desk *d, const struct alert_due *due)
{
	struct alert_message *message = malloc(sizeof *message);
	const struct cause *c = alerts_find(d->alerts, due->key);
	struct error err;
	if (message)
		alert_words(c, due->event, due->number, clock_wall(), message);
	if (!message || (cause_has_pixels(c) && !add_entries(d, c, message, &err))) {
		alerts_done(d->alerts, due, &(struct alert_answer){ ALERT_LATER, 0, "no memory" }, clock_wall());
		free(message);
		return;
	}
	send(d, OPEN_MESSAGE, &d->sinks[d->line_sink[due->line]], message)->due = *due;
	free(message);
}

static void log_outcome(const struct open_delivery *o, const struct delivery_result *r, int64_t wait_s)
{
	char id[ALERT_ID_MAX], span[CLOCK_TEXT_MAX];
	if (o->kind == OPEN_PING && r->outcome != DELIVERY_DONE)
		log_line(LOG_WARNING, LOG_PING_FAILED, o->sink, r->reason);
	if (o->kind != OPEN_MESSAGE)
		return;
	(void)alert_id(o->due.key, id);
	if (r->outcome == DELIVERY_DONE)
		log_line(LOG_INFO, LOG_ALERT_SENT, id, o->sink, alert_event_name(o->due.event));
	else if (r->outcome == DELIVERY_LATER)
		log_line(LOG_WARNING, LOG_ALERT_LATER, id, o->sink, r->reason, clock_format_span(wait_s, span));
	else
		log_line(LOG_WARNING, LOG_ALERT_REFUSED, id, o->sink, r->reason);
}

static void take_outcome(struct alert_desk *d, struct open_delivery *o, const struct delivery_result *r)
{
	static const enum alert_outcome outcomes[] = {
		[DELIVERY_DONE] = ALERT_DELIVERED, [DELIVERY_LATER] = ALERT_LATER, [DELIVERY_REFUSED] = ALERT_REFUSED
	};
	int64_t now = clock_wall(), wait_s = 0;
	if (o->kind == OPEN_TEST)
		o->done(o->context, r, NULL);
	if (o->kind == OPEN_MESSAGE) {
		alerts_done(d->alerts, &o->due,
			    &(struct alert_answer){ outcomes[r->outcome], r->retry_after_s, r->reason }, now);
		wait_s = d->alerts->lines[o->due.line].next_at - now;
	}
	log_outcome(o, r, wait_s);
	o->kind = OPEN_NONE;
}

/* *ret_changed: the book is another one now. */
static void take_outcomes(struct alert_desk *d, int64_t wait_ms, bool *ret_changed)
{
	struct delivery_result r;
	while (d->deliver && deliver_open(d->deliver) && deliver_next(d->deliver, wait_ms, &r)) {
		wait_ms = 0;
		for (size_t i = 0; i < OPEN_MAX; i++)
			if (d->open[i].kind != OPEN_NONE && d->open[i].id == r.id) {
				*ret_changed = *ret_changed || d->open[i].kind == OPEN_MESSAGE;
				take_outcome(d, &d->open[i], &r);
			}
	}
}

static void send_pings(struct alert_desk *d)
{
	for (size_t i = 0; i < d->sink_count; i++)
		if (d->owes_ping[i] && can_send(d)) {
			d->owes_ping[i] = false;
			(void)send(d, OPEN_PING, &d->sinks[i], NULL);
		}
}

static int64_t turn(struct alert_desk *d, int64_t wait_ms)
{
	struct alert_due due;
	bool has_changed = false;
	take_outcomes(d, wait_ms, &has_changed);
	int64_t now = clock_wall();
	has_changed |= d->lock && alerts_tick(d->alerts, now);
	/* Stored before it is sent: who takes over after us sends it under the same number. */
	if (has_changed)
		store_book(d);
	while (d->lock && can_send(d) && alerts_next(d->alerts, now, &due))
		send_message(d, &due);
	send_pings(d);
	int64_t next_at = d->lock ? alerts_next_at(d->alerts, now) : INT64_MAX;
	int64_t left_ms = next_at == INT64_MAX ? INT64_MAX : next_at > now ? (next_at - now) * 1000 : SLICE_MS;
	int64_t open_ms = d->deliver ? deliver_wait_ms(d->deliver) : INT64_MAX;
	return left_ms < open_ms ? left_ms : open_ms;
}

int64_t alert_desk_turn(struct alert_desk *d)
{
	return turn(d, 0);
}

void alert_desk_drain(struct alert_desk *d, int64_t until_ms)
{
	(void)turn(d, 0);
	while (d->deliver && deliver_open(d->deliver) && clock_boot_ms() < until_ms)
		(void)turn(d, SLICE_MS);
}

void alert_desk_finish(struct alert_desk *d, int64_t until_ms)
{
	bool has_changed = false;
	while (d->deliver && deliver_open(d->deliver) && clock_boot_ms() < until_ms)
		take_outcomes(d, SLICE_MS, &has_changed);
	if (has_changed)
		store_book(d);
}

void alert_desk_ping(struct alert_desk *d)
{
	for (size_t i = 0; i < d->sink_count; i++)
		d->owes_ping[i] = d->sinks[i].type == SINK_PING;
}

/* ---- by hand ---- */

static const struct sink *sink_named(const struct alert_desk *d, const char *name)
{
	for (size_t i = 0; i < d->sink_count; i++)
		if (strcmp(d->sinks[i].name, name) == 0)
			return &d->sinks[i];
	return NULL;
}

static bool may_test(struct alert_desk *d, const struct sink *sink, const char *name, struct error *err)
{
	if (!sink)
		return fail(err, ERR_NOT_FOUND, TXT_ALERT_NO_SINK, name);
	return can_send(d) ? true : fail(err, ERR_CONFLICT, TXT_ALERT_BUSY);
}

void alert_desk_test(struct alert_desk *d, const char *name, alert_test_fn *done, void *context)
{
	const struct sink *sink = sink_named(d, name);
	struct alert_message *message = malloc(sizeof *message);
	struct error err;
	if (!message || !may_test(d, sink, name, &err)) {
		if (!message)
			(void)!fail_no_memory(&err);
		free(message);
		done(context, NULL, &err);
		return;
	}
	alert_words_test(name, clock_wall(), message);
	struct open_delivery *o = send(d, OPEN_TEST, sink, sink->type == SINK_PING ? NULL : message);
	o->done = done;
	o->context = context;
	free(message);
}

bool alert_desk_ack(struct alert_desk *d, const char *id, int64_t for_s, struct error *err)
{
	uint64_t key;
	int64_t now = clock_wall();
	if (!alert_id_parse(id, &key))
		return fail(err, ERR_USAGE, TXT_ALERT_ID, id);
	if (!d->lock)
		return fail(err, ERR_CONFLICT, TXT_ALERT_KEPT);
	struct cause *c = alerts_find(d->alerts, key);
	if (!c || c->ended_at)
		return fail(err, ERR_NOT_FOUND, TXT_ALERT_UNKNOWN, id);
	alerts_ack(c, now, for_s ? now + for_s : INT64_MAX);
	store_book(d);
	if (!d->is_unstored)
		return true;
	return !alert_desk_trouble(d, err);
}

/* ---- for people and programs ---- */

static void pixels_json(const struct alerts *a, size_t place, struct json *j)
{
	size_t count = 0;
	json_array(j, "pixels");
	for (size_t i = 0; i < a->member_count && count < ALERT_ENTRIES_MAX; i++) {
		const struct member *m = &a->members[i];
		if (m->cause != place || !m->is_bad || m->pixel[0] == '*')
			continue;
		json_text(j, NULL, m->pixel);
		count++;
	}
	json_end_array(j);
}

static void told_json(const struct alerts *a, const struct cause *c, struct json *j)
{
	json_array(j, "sinks");
	for (size_t i = 0; i < a->line_count; i++) {
		const struct alert_slot *s = &c->slots[i];
		if (!s->was_told && !s->is_owed)
			continue;
		json_object(j, NULL);
		json_text(j, "sink", a->lines[i].sink.name);
		json_text(j, "told", s->was_told ? alert_event_name(s->told) : NULL);
		json_time(j, "told_at", s->was_told ? s->told_at : 0);
		json_text(j, "waits", s->is_owed ? alert_event_name(s->owed) : NULL);
		json_end_object(j);
	}
	json_end_array(j);
}

static const char *state_of(const struct cause *c, int64_t now)
{
	if (c->ended_at)
		return "recovered";
	if (!c->bad)
		return "recovering";
	return cause_is_acked(c, now) ? "acknowledged" : "open";
}

static bool cause_json(const struct alerts *a, size_t place, int64_t now, struct json *j, struct error *err)
{
	const struct cause *c = &a->causes[place];
	struct alert_message *m = malloc(sizeof *m);
	if (!m)
		return fail_no_memory(err);
	alert_words(c, c->ended_at ? ALERT_RECOVERY : ALERT_RAISED, c->number, now, m);
	json_object(j, NULL);
	json_text(j, "id", m->id);
	json_text(j, "state", state_of(c, now));
	json_text(j, "kind", alert_kind_name(c->kind));
	json_text(j, "severity", alert_severity_name(m->severity));
	json_text(j, "verdict", alert_kind_has_verdict(c->kind) ? verdict_name(c->verdict) : NULL);
	json_text(j, "title", m->title);
	json_text(j, "advice", m->advice[0] ? m->advice : NULL);
	json_time(j, "since", c->since);
	json_time(j, "ended_at", c->ended_at);
	json_time(j, "acknowledged_at", cause_is_acked(c, now) ? c->acked_at : 0);
	json_time(j, "acknowledged_until", cause_is_acked(c, now) && c->acked_until != INT64_MAX ? c->acked_until : 0);
	json_int(j, "count", (int64_t)m->count);
	json_int(j, "ever", (int64_t)m->ever);
	json_text(j, "label_key", c->has_label ? c->label.key : NULL);
	json_text(j, "label_value", c->has_label ? c->label.value : NULL);
	pixels_json(a, place, j);
	told_json(a, c, j);
	json_end_object(j);
	free(m);
	return true;
}

static void lines_json(const struct alerts *a, struct json *j)
{
	json_array(j, "sinks");
	for (size_t i = 0; i < a->line_count; i++) {
		const struct alert_line *line = &a->lines[i];
		int64_t waits = 0;
		if (line->is_absent)
			continue;
		for (size_t k = 0; k < a->cause_count; k++)
			waits += a->causes[k].slots[i].is_owed;
		json_object(j, NULL);
		json_text(j, "sink", line->sink.name);
		json_int(j, "waits", waits);
		json_int(j, "tries", line->tries);
		json_time(j, "next_at", waits ? line->next_at : 0);
		json_text(j, "trouble", line->trouble[0] ? line->trouble : NULL);
		json_end_object(j);
	}
	json_end_array(j);
}

bool alert_desk_json(struct alert_desk *d, struct json *j, struct error *err)
{
	int64_t now = clock_wall();
	if (!d->lock) {
		if (!read_book(d, err))
			return false;
		set_lines(d);
	}
	json_array(j, "alerts");
	for (size_t i = 0; i < d->alerts->cause_count; i++)
		if (!cause_json(d->alerts, i, now, j, err))
			return false;
	json_end_array(j);
	lines_json(d->alerts, j);
	return true;
}

void alert_desk_metrics(const struct alert_desk *d, struct buf *out)
{
	const struct alerts *a = d->alerts;
	size_t open[SEVERITY_COUNT] = { 0 }, waits = 0, acked = 0;
	int64_t now = clock_wall(), oldest = 0;
	for (size_t i = 0; i < a->cause_count; i++) {
		const struct cause *c = &a->causes[i];
		for (size_t k = 0; k < a->line_count; k++)
			waits += c->slots[k].is_owed;
		if (c->ended_at)
			continue;
		open[alert_severity_of(c->kind, c->step)]++;
		acked += cause_is_acked(c, now);
		if (now - c->since > oldest)
			oldest = now - c->since;
	}
	buf_append_text(out, "# HELP pixelvault_alerts Alerts that are open.\n# TYPE pixelvault_alerts gauge\n");
	for (enum alert_severity s = SEVERITY_INFO; s < SEVERITY_COUNT; s++)
		buf_printf(out, "pixelvault_alerts{severity=\"%s\"} %zu\n", alert_severity_name(s), open[s]);
	metrics_gauge(out, "alerts_acknowledged", "Open alerts that somebody acknowledged.", (int64_t)acked);
	metrics_gauge(out, "alert_oldest_seconds", "Age of the oldest open alert.", oldest);
	metrics_gauge(out, "alert_messages_waiting", "Messages that no sink took yet.", (int64_t)waits);
	metrics_gauge(out, "conversion_hours_at_risk", "Label weight times hours, of Pixels whose token is refused.",
		      (int64_t)a->at_risk);
}
