#include "agent/courier.h"

#include "agent/courier_wire.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/process.h"
#include "core/wipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* The courier ends an exchange by itself when its time is over; one that has not done so this much later hangs. */
#define GUARD_MS 3000
#define END_MS 300
#define ABSENCE_MS 5000 /* a courier that is started again is there in a moment: so long nobody is told that there is none */
#define ANSWERS_AT_ONCE 64
#define BATCH_MAX 16 /* questions that wait to be written in one go */
#define SHORT_LEN (sizeof(struct courier_probe) + COURIER_ROOM_SHORT)
#define TOOK_MAX_MS 3600000
#define QUICK_MS 20 /* answers that take no longer would leave the courier idle while the caller stores them */
#define CODE_MAX 999999999

struct open_question {
	uint64_t id;
	int64_t guard_ms; /* when it must be answered; 0 while it waits in the batch */
};

struct courier {
	struct courier_config config;
	size_t in_flight, most; /* asked of TikTok at once; and what may be unanswered here */
	bool is_quick;          /* so was the last answer */
	pid_t pid;
	int fd;                     /* -1: not running */
	bool is_given;              /* started by somebody else */
	bool was_stuck;
	bool was_asked;             /* this process, anything */
	bool is_dismissed;
	bool is_leaving;            /* this process: it would make room for another */
	int64_t gone_since_ms;      /* is_given and fd -1 */
	struct open_question *open; /* asked and not answered */
	struct reply *ready;        /* answered and not fetched: a ring */
	size_t open_count, ready_first, ready_count;
	/* While others are unanswered, questions with short tokens are gathered here, in locked memory, and written
	 * when half of those in flight are gathered or the caller waits: a system call and a wake-up for many. */
	struct secret *batch; /* NULL: there was no room; every question is written at once */
	size_t batch_len, batch_max;
	/* The refresh or list that is open, and what it brings behind its answer. A pair of tokens is read straight into locked
	 * memory. */
	enum courier_behind awaited, coming;
	uint64_t awaited_id;
	uint32_t awaited_page;
	struct reply answered; /* its answer, once something follows */
	struct secret *pair;   /* a struct courier_pair; NULL until first needed */
	struct courier_page page;
	size_t coming_len; /* read of what is coming */
	size_t in_len;
	uint8_t in[ANSWERS_AT_ONCE * sizeof(struct courier_answer)];
};

static bool new_courier(const struct settings *settings, bool is_given, struct courier **ret, struct error *err)
{
	scoped(courier_freep) struct courier *c = calloc(1, sizeof *c);
	if (!c)
		return fail_no_memory(err);
	c->fd = -1;
	c->is_given = is_given;
	c->gone_since_ms = clock_boot_ms();
	c->in_flight = settings->in_flight;
	c->batch_max = c->in_flight / 2 < BATCH_MAX ? c->in_flight / 2 * SHORT_LEN : BATCH_MAX * SHORT_LEN;
	struct error no_room;
	if (c->batch_max && !secret_new(c->batch_max, &c->batch, &no_room))
		c->batch = NULL;
	c->most = (is_given ? COURIER_AHEAD_GIVEN : COURIER_AHEAD) * c->in_flight;
	c->open = calloc(c->most, sizeof *c->open);
	c->ready = calloc(c->most, sizeof *c->ready);
	if (!c->open || !c->ready)
		return fail_no_memory(err);
	c->config.version = COURIER_VERSION;
	c->config.in_flight = settings->in_flight;
	c->config.connect_timeout_ms = settings->connect_timeout_ms;
	c->config.timeout_ms = settings->timeout_ms;
	snprintf(c->config.base_url, sizeof c->config.base_url, "%s", settings->base_url);
	snprintf(c->config.login_url, sizeof c->config.login_url, "%s", settings->login_url);
	snprintf(c->config.ca_file, sizeof c->config.ca_file, "%s", settings->ca_file);
	*ret = take(c);
	return true;
}

bool courier_new(const struct settings *settings, struct courier **ret, struct error *err)
{
	return new_courier(settings, false, ret, err);
}

bool courier_new_given(const struct settings *settings, struct courier **ret, struct error *err)
{
	return new_courier(settings, true, ret, err);
}

/* --- replies --- */

static void add_reply(struct courier *c, const struct reply *reply)
{
	assert(c->ready_count < c->most);
	c->ready[(c->ready_first + c->ready_count++) % c->most] = *reply;
}

static void add_no_courier(struct courier *c, uint64_t id, const char *why)
{
	struct reply reply = { .id = id,
			       .answer = { .transport = TRANSPORT_NO_COURIER, .code = NO_CODE, .at = clock_wall() } };
	snprintf(reply.answer.text, sizeof reply.answer.text, "%s", why);
	add_reply(c, &reply);
}

/* Answer for the open questions of which this is so, and forget them. */
static void answer_for(struct courier *c, bool is_written, const char *why)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->open_count; i++) {
		if ((c->open[i].guard_ms != 0) != is_written) {
			c->open[kept++] = c->open[i];
			continue;
		}
		if (c->open[i].id == c->awaited_id)
			c->awaited = BEHIND_NOTHING;
		add_no_courier(c, c->open[i].id, why);
	}
	c->open_count = kept;
}

/* End the process, and answer for it. What it was not yet told goes to the next one. */
static void give_up(struct courier *c, const char *why)
{
	if (!c->is_given)
		kill(c->pid, SIGKILL);
	close(c->fd);
	if (!c->is_given)
		process_end(c->pid, END_MS);
	c->fd = -1;
	c->gone_since_ms = clock_boot_ms();
	c->in_len = 0;
	c->coming = BEHIND_NOTHING;
	c->is_leaving = false;
	answer_for(c, true, why);
}

static bool is_in_range(int32_t value, int32_t least, int32_t most)
{
	return value >= least && value <= most;
}

static bool is_printable(const char *text, size_t size)
{
	size_t len = strnlen(text, size);
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return len < size;
}

static bool answer_is_sound(const struct courier_answer *a)
{
	bool is_answered = a->transport == TRANSPORT_OK;
	return a->version == COURIER_VERSION && is_in_range(a->transport, TRANSPORT_OK, TRANSPORT_OTHER) &&
	       is_in_range(a->body, BODY_NONE, BODY_NAMED) && (is_answered || a->body == BODY_NONE) &&
	       is_in_range(a->http, 0, 999) && is_in_range(a->took_ms, 0, TOOK_MAX_MS) &&
	       (a->body == BODY_CODE ? is_in_range(a->code, -CODE_MAX, CODE_MAX) : a->code == NO_CODE) &&
	       is_printable(a->text, sizeof a->text) && is_printable(a->request_id, sizeof a->request_id);
}

static bool is_open(const struct courier *c, uint64_t id)
{
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i].id == id && c->open[i].guard_ms)
			return true;
	return false;
}

static bool close_question(struct courier *c, uint64_t id)
{
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i].id == id && c->open[i].guard_ms) {
			c->open[i] = c->open[--c->open_count];
			return true;
		}
	return false;
}

/* The time is ours: the courier could say any. */
static bool take_answer(struct courier *c, const struct courier_answer *from)
{
	struct reply reply = { .id = from->id };
	struct answer *a = &reply.answer;
	if (!answer_is_sound(from) || !is_open(c, from->id))
		return false;
	a->transport = (enum transport)from->transport;
	a->body = (enum body_kind)from->body;
	a->http = from->http;
	a->code = from->code;
	a->took_ms = from->took_ms;
	a->at = clock_wall();
	c->is_quick = a->transport == TRANSPORT_OK && a->took_ms <= QUICK_MS;
	memcpy(a->text, from->text, strlen(from->text) + 1);
	memcpy(a->request_id, from->request_id, strlen(from->request_id) + 1);
	bool is_awaited = c->awaited && from->id == c->awaited_id;
	if (from->behind) {
		c->answered = reply;
		c->coming = is_awaited && from->behind == c->awaited ? c->awaited : BEHIND_NOTHING;
		c->coming_len = 0;
		return c->coming != BEHIND_NOTHING;
	}
	if (is_awaited)
		c->awaited = BEHIND_NOTHING;
	add_reply(c, &reply);
	return close_question(c, from->id);
}

static bool take_wish(struct courier *c, const struct courier_answer *from)
{
	static const struct courier_answer wish = { .version = COURIER_VERSION, .leaves = 1 };
	bool is_first = !c->is_leaving;
	c->is_leaving = true;
	return is_first && memcmp(from, &wish, sizeof wish) == 0;
}

static bool take_answers(struct courier *c)
{
	struct courier_answer one;
	size_t used = 0;
	bool is_sound = true;
	for (; is_sound && c->in_len - used >= sizeof one; used += sizeof one) {
		memcpy(&one, c->in + used, sizeof one);
		is_sound = one.leaves ? take_wish(c, &one) : take_answer(c, &one);
	}
	c->in_len -= used;
	memmove(c->in, c->in + used, c->in_len);
	return is_sound;
}

static bool is_token(const uint8_t *at, size_t len, size_t least, size_t most)
{
	for (size_t i = 0; i < len && len <= most; i++)
		if (at[i] <= 0x20 || at[i] > 0x7e)
			return false;
	return len >= least && len <= most;
}

static bool pair_is_sound(const struct courier *c, const struct courier_pair *p)
{
	const struct token_pair *t = &p->pair;
	return p->version == COURIER_VERSION && p->zero == 0 && p->id == c->awaited_id &&
	       is_token(t->access, t->access_len, TOKEN_MIN, TOKEN_MAX) &&
	       is_token(t->refresh, t->refresh_len, 0, REFRESH_TOKEN_MAX) && t->life_s >= 0 &&
	       t->life_s <= LIFE_MAX_S && t->refresh_life_s >= 0 && t->refresh_life_s <= LIFE_MAX_S;
}

static struct courier_pair *pair_of(const struct courier *c)
{
	return (struct courier_pair *)(void *)secret_room(c->pair); /* the arena's places are aligned */
}

static void end_awaited(struct courier *c)
{
	c->awaited = c->coming = BEHIND_NOTHING;
	if (close_question(c, c->awaited_id))
		add_reply(c, &c->answered);
}

/* All of it is there. */
static void take_pair(struct courier *c)
{
	const struct courier_pair *p = pair_of(c);
	if (!pair_is_sound(c, p)) {
		give_up(c, "the courier brought what no courier of ours brings");
		return;
	}
	c->answered.pair = &p->pair;
	end_awaited(c);
}

static bool page_is_sound(const struct courier *c, const struct courier_page *p)
{
	const struct list_page *l = &p->page;
	bool is_sound = p->version == COURIER_VERSION && p->zero == 0 && p->id == c->awaited_id &&
			l->page == c->awaited_page && l->pages <= LIST_PAGES_MAX &&
			l->total <= LIST_PAGES_MAX * LIST_ROWS_MAX && l->count <= LIST_ROWS_MAX;
	struct error unused;
	for (size_t i = 0; is_sound && i < l->count; i++)
		is_sound = memchr(l->rows[i].pixel, '\0', sizeof l->rows[i].pixel) &&
			   pixel_check(l->rows[i].pixel, &unused) && l->rows[i].kind < SIGHT_KIND_COUNT;
	return is_sound;
}

static void take_page(struct courier *c)
{
	if (!page_is_sound(c, &c->page)) {
		give_up(c, "the courier brought what no courier of ours brings");
		return;
	}
	c->answered.page = &c->page.page;
	end_awaited(c);
}

void courier_forget_pair(struct courier *c)
{
	if (c->pair)
		wipe(secret_room(c->pair), secret_len(c->pair));
}

static size_t coming_size(const struct courier *c)
{
	return c->coming == BEHIND_PAIR ? secret_len(c->pair) : sizeof c->page;
}

/* While something may follow an answer each is read alone, so that a pair goes into locked memory only. */
static ssize_t hear_some(struct courier *c)
{
	size_t room = c->awaited ? sizeof(struct courier_answer) - c->in_len : sizeof c->in - c->in_len;
	if (!c->coming)
		return recv(c->fd, c->in + c->in_len, room, MSG_DONTWAIT);
	uint8_t *to = c->coming == BEHIND_PAIR ? secret_room(c->pair) : (uint8_t *)&c->page;
	return recv(c->fd, to + c->coming_len, coming_size(c) - c->coming_len, MSG_DONTWAIT);
}

static bool has_answered_all(const struct courier *c)
{
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i].guard_ms)
			return false;
	return true;
}

static void take_some(struct courier *c)
{
	ssize_t got = hear_some(c);
	if (got < 0 && error_is_passing(errno))
		return;
	if (got <= 0) {
		give_up(c, "the courier ended before it answered");
		return;
	}
	if (c->coming) {
		c->coming_len += (size_t)got;
		if (c->coming_len == coming_size(c))
			(c->coming == BEHIND_PAIR ? take_pair : take_page)(c);
		return;
	}
	c->in_len += (size_t)got;
	if (!take_answers(c))
		give_up(c, "the courier answered what no courier of ours answers");
}

/* Take what has come, without waiting. Afterwards the courier may be gone. */
static void hear(struct courier *c)
{
	take_some(c);
	if (c->is_leaving && has_answered_all(c))
		give_up(c, "the courier made room for another");
}

/* --- questions --- */

static int64_t guard_of(const struct courier *c)
{
	return c->config.timeout_ms + GUARD_MS;
}

/* Something to write, in up to three parts. By value: writing uses it up. */
struct parcel {
	struct iovec parts[3];
	size_t len;
};

static struct iovec part_of(const void *at, size_t len)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)at, .iov_len = len };
}

static void parcel_skip(struct parcel *p, size_t written)
{
	p->len -= written;
	for (size_t i = 0; i < COUNT_OF(p->parts); i++) {
		size_t here = written < p->parts[i].iov_len ? written : p->parts[i].iov_len;
		if (!here) /* a part that is not there has no address to add to */
			continue;
		p->parts[i].iov_base = (char *)p->parts[i].iov_base + here;
		p->parts[i].iov_len -= here;
		written -= here;
	}
}

/* Write all of it, listening meanwhile: a courier that waits for us to read its answers does not read. */
static bool say(struct courier *c, struct parcel p)
{
	int64_t until = clock_boot_ms() + guard_of(c);
	while (p.len) {
		struct msghdr message = { .msg_iov = p.parts, .msg_iovlen = COUNT_OF(p.parts) };
		ssize_t written = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (written >= 0) {
			parcel_skip(&p, (size_t)written);
			continue;
		}
		int64_t left = until - clock_boot_ms();
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || left <= 0)
			return false;
		struct pollfd event = { .fd = c->fd, .events = POLLIN | POLLOUT };
		if (poll(&event, 1, (int)left) > 0 && event.revents & POLLIN)
			hear(c);
		if (c->fd < 0)
			return false;
	}
	return true;
}

/* Should this fail, so will what follows, and that is where it is answered. */
static void introduce(struct courier *c)
{
	(void)say(c, (struct parcel){ { part_of(&c->config, sizeof c->config) }, sizeof c->config });
}

static bool start(struct courier *c, struct error *err)
{
	char path[PATH_MAX];
	const char *const argv[] = { "vault-agent", "--courier", NULL };
	if (c->fd >= 0)
		return true;
	if (c->is_given)
		return fail(err, ERR_UNEXPECTED, TXT_COURIER_ABSENT);
	if (!process_sibling("vault-agent", path, sizeof path, err) || !process_start(path, argv, &c->pid, &c->fd, err))
		return false;
	c->was_asked = false;
	introduce(c);
	return true;
}

/* One that is written ahead waits for the end of those before it, in_flight at a time, before its own time begins. */
static void set_guards(struct courier *c)
{
	int64_t until = clock_boot_ms() + guard_of(c);
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i].guard_ms == 0)
			c->open[i].guard_ms = until + (int64_t)(i / c->in_flight) * c->config.timeout_ms;
}

/* Bring to the courier what the questions not yet written come to. One that had nothing to do may have said that it would make
 * room; a given one, which cannot be replaced here and now, answers this as well. Twice: the first may find that the courier died
 * meanwhile. */
static void deliver(struct courier *c, const struct parcel *p)
{
	struct error err = { .message = "the courier died as soon as it was started" };
	if (c->fd >= 0 && !c->is_given && has_answered_all(c))
		hear(c);
	for (int attempt = 0; attempt < 2 && start(c, &err); attempt++) {
		if (!say(c, *p)) {
			if (c->fd >= 0)
				give_up(c, "the courier ended before it answered");
			continue;
		}
		c->was_asked = true;
		set_guards(c);
		return;
	}
	answer_for(c, false, err.message);
}

static void send_batch(struct courier *c)
{
	if (c->batch_len == 0)
		return;
	struct bytes all = bytes_of(secret_reveal(c->batch).at, c->batch_len);
	deliver(c, &(struct parcel){ { part_of(all.at, all.len) }, all.len });
	wipe(secret_room(c->batch), c->batch_len);
	c->batch_len = 0;
}

static struct courier_probe head_of(const struct question *q)
{
	struct courier_probe head = { .version = COURIER_VERSION,
				      .token_len = (uint16_t)secret_len(q->token),
				      .id = q->id,
				      .kind = (int32_t)q->kind,
				      .family = (uint8_t)q->family,
				      .page = q->page,
				      .is_fresh = q->is_fresh };
	snprintf(head.pixel, sizeof head.pixel, "%s", q->pixel);
	snprintf(head.test_code, sizeof head.test_code, "%s", q->test_code);
	return head;
}

static void add_to_batch(struct courier *c, const struct courier_probe *head, struct bytes token)
{
	uint8_t *at = secret_room(c->batch) + c->batch_len; /* zero: wiped after each sending */
	memcpy(at, head, sizeof *head);
	if (token.len)
		memcpy(at + sizeof *head, token.at, token.len);
	c->batch_len += SHORT_LEN;
}

/* The token goes from its locked place into the socket, without a copy of ours. */
static void send_alone(struct courier *c, const struct courier_probe *head, struct bytes token)
{
	static const uint8_t zeros[COURIER_ROOM_LONG];
	size_t room = courier_token_room(token.len);
	deliver(c, &(struct parcel){ { part_of(head, sizeof *head), part_of(token.at, token.len),
				       part_of(zeros, room - token.len) },
				     sizeof *head + room });
}

static enum courier_behind behind_of(enum probe_kind kind)
{
	return kind == PROBE_REFRESH ? BEHIND_PAIR : kind == PROBE_LISTING ? BEHIND_PAGE : BEHIND_NOTHING;
}

bool courier_takes(const struct courier *c, enum probe_kind kind)
{
	return !behind_of(kind) || !c->awaited;
}

/* False: it was answered, as it cannot be asked now. */
static bool prepare_awaited(struct courier *c, const struct question *q)
{
	struct error ignored;
	bool is_refresh = q->kind == PROBE_REFRESH;
	const char *why = c->awaited ? "not asked: another refresh or list is under way" : NULL;
	if (!why && is_refresh && !c->pair && !secret_new(sizeof(struct courier_pair), &c->pair, &ignored))
		why = "not asked: no locked memory for what it would bring";
	if (why) {
		add_no_courier(c, q->id, why);
		return false;
	}
	if (is_refresh)
		courier_forget_pair(c);
	c->awaited = behind_of(q->kind);
	c->awaited_id = q->id;
	c->awaited_page = q->page;
	return true;
}

void courier_ask(struct courier *c, const struct question *q)
{
	if (behind_of(q->kind) && !prepare_awaited(c, q))
		return;
	struct courier_probe head = head_of(q);
	struct bytes token = secret_reveal(q->token);
	bool is_first = courier_unanswered(c) == 0, is_short = token.len <= COURIER_ROOM_SHORT;
	assert(courier_unanswered(c) < c->most && token.len <= TOKEN_MAX && !c->is_dismissed);
	bool goes_alone = is_first || !is_short || !c->batch;
	if (goes_alone)
		send_batch(c);
	c->open[c->open_count++] = (struct open_question){ q->id, 0 };
	if (goes_alone)
		send_alone(c, &head, token);
	else
		add_to_batch(c, &head, token);
	if (c->batch_len == c->batch_max)
		send_batch(c);
}

size_t courier_unanswered(const struct courier *c)
{
	return c->open_count + c->ready_count;
}

size_t courier_room(const struct courier *c)
{
	size_t most = c->is_leaving ? 0 : c->is_quick ? c->most : c->in_flight, unanswered = courier_unanswered(c);
	return unanswered < most ? most - unanswered : 0;
}

void courier_wake(struct courier *c)
{
	struct error ignored; /* the first question meets it again, and answers with it */
	if (!c->is_given)
		(void)!start(c, &ignored);
}

/* --- waiting --- */

static int64_t first_guard_ends(const struct courier *c)
{
	int64_t first = INT64_MAX;
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i].guard_ms < first)
			first = c->open[i].guard_ms;
	return first;
}

static void wait_for_answer(struct courier *c, int64_t until)
{
	send_batch(c);
	int64_t guard = first_guard_ends(c), now = clock_boot_ms();
	int64_t left = (guard < until ? guard : until) - now;
	if (c->ready_count) /* the courier could not be told */
		return;
	struct pollfd event = { .fd = c->fd, .events = POLLIN }; /* -1 is passed over: then this only sleeps */
	int wait = left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
	if (poll(&event, 1, wait) > 0)
		hear(c);
	else if (guard <= clock_boot_ms()) {
		c->was_stuck = true;
		give_up(c, "the courier did not answer in time");
	}
}

bool courier_next(struct courier *c, int64_t wait_ms, struct reply *ret)
{
	int64_t until = clock_boot_ms() + wait_ms;
	while (c->ready_count == 0) {
		wait_for_answer(c, until);
		if (c->ready_count == 0 && clock_boot_ms() >= until)
			return false;
	}
	*ret = c->ready[c->ready_first];
	c->ready_first = (c->ready_first + 1) % c->most;
	c->ready_count--;
	return true;
}

void courier_give(struct courier *c, int fd)
{
	if (c->fd >= 0)
		give_up(c, "the courier was replaced before it answered");
	c->fd = fd;
	introduce(c);
}

bool courier_is_ready(const struct courier *c)
{
	return !c->is_given || c->fd >= 0 || clock_boot_ms() - c->gone_since_ms >= ABSENCE_MS;
}

bool courier_was_stuck(struct courier *c)
{
	bool was_stuck = c->was_stuck;
	c->was_stuck = false;
	return was_stuck;
}

int courier_fd(const struct courier *c)
{
	return c->fd;
}

void courier_flush(struct courier *c)
{
	send_batch(c);
}

int64_t courier_wait_ms(const struct courier *c)
{
	if (c->ready_count)
		return 0;
	if (!c->open_count)
		return INT64_MAX;
	int64_t left = first_guard_ends(c) - clock_boot_ms();
	return left > 0 ? left : 0;
}

void courier_ask_one(struct courier *c, const struct question *q, struct answer *ret)
{
	struct reply reply;
	assert(courier_unanswered(c) == 0);
	courier_ask(c, q);
	while (!courier_next(c, guard_of(c), &reply))
		;
	*ret = reply.answer;
}

/* It ends when it reads our end. One that was asked nothing has nothing to put away, and may still be getting ready: nobody is
 * to wait for that, nor to read what it says when it cannot. */
void courier_dismiss(struct courier *c)
{
	c->is_dismissed = true;
	if (c->fd < 0 || c->is_given)
		return;
	shutdown(c->fd, SHUT_WR);
	if (!c->was_asked)
		kill(c->pid, SIGKILL);
}

void courier_free(struct courier *c)
{
	if (!c)
		return;
	courier_dismiss(c);
	if (c->fd >= 0 && c->is_given)
		close(c->fd);
	if (c->fd >= 0 && !c->is_given) {
		/* Seeing its own end close is quicker than asking for its death. */
		struct pollfd event = { .fd = c->fd };
		(void)poll(&event, 1, END_MS);
		close(c->fd);
		process_end(c->pid, END_MS);
	}
	secret_free(c->batch);
	secret_free(c->pair);
	free(c->open);
	free(c->ready);
	free(c);
}

void courier_freep(struct courier **c)
{
	courier_free(*c);
	*c = NULL;
}
