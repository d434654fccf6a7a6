#include "agent/deliver.h"

#include "agent/deliver_wire.h"
#include "agent/link.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define END_MS 50
#define PASSED_MAX 4

/* The longest a sink may take, and what its messenger may need for starting and ending. */
_Static_assert(DELIVER_MOST_MS >= (SINK_TIME_LIMIT_MAX_S + 2 * MESSENGER_GUARD_S) * 1000,
	       "a messenger ends by itself before it is ended");

struct open_delivery {
	bool is_open;
	uint64_t id;
	int fd;
	pid_t pid; /* 0: the supervisor's child */
	int64_t due_ms;
	struct parcel *parcel; /* NULL once it is written */
	size_t written, read;
	struct receipt receipt;
};

struct deliver {
	const char *config;
	int link, epoll;
	struct open_delivery open[DELIVER_OPEN_MAX];
	struct delivery_result ready[DELIVER_OPEN_MAX]; /* told by the next deliver_next */
	size_t ready_count;
};

bool deliver_new(const char *config, int link, struct deliver **ret, struct error *err)
{
	struct deliver *d = calloc(1, sizeof *d);
	if (!d)
		return fail_no_memory(err);
	d->config = config;
	d->link = link;
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll < 0) {
		free(d);
		return fail_no_memory(err);
	}
	*ret = d;
	return true;
}

/* Ends its process too, where that is ours; one of the supervisor's sees that nobody listens any more, or its own
 * time's end. */
static void close_delivery(struct deliver *d, struct open_delivery *o)
{
	/* A process that is just being started may have the descriptor too, and closing ours alone ends no watch. */
	if (o->fd >= 0) {
		(void)epoll_ctl(d->epoll, EPOLL_CTL_DEL, o->fd, NULL);
		close(o->fd);
	}
	if (o->pid)
		process_end(o->pid, END_MS);
	free(o->parcel);
	*o = (struct open_delivery){ .fd = -1 };
}

void deliver_free(struct deliver *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < DELIVER_OPEN_MAX; i++) {
		if (d->open[i].is_open && d->open[i].pid)
			kill(d->open[i].pid, SIGTERM);
		if (d->open[i].is_open)
			close_delivery(d, &d->open[i]);
	}
	close(d->epoll);
	free(d);
}

void deliver_freep(struct deliver **d)
{
	deliver_free(*d);
	*d = NULL;
}

size_t deliver_open(const struct deliver *d)
{
	size_t count = d->ready_count;
	for (size_t i = 0; i < DELIVER_OPEN_MAX; i++)
		count += d->open[i].is_open;
	return count;
}

bool deliver_has_room(const struct deliver *d)
{
	return deliver_open(d) < DELIVER_OPEN_MAX;
}

/* --- starting --- */

/* What says where the configuration is, and nothing else. ret has room for PASSED_MAX + 1. */
static void environment_of_messenger(char **ret)
{
	static const char *const passed[PASSED_MAX] = { "PIXELVAULT_CONFIG=", "HOME=", "XDG_CONFIG_HOME=",
							"JOURNAL_STREAM=" };
	size_t count = 0;
	for (char **at = environ; at && *at; at++)
		for (size_t i = 0; i < PASSED_MAX && count < PASSED_MAX; i++)
			if (strncmp(*at, passed[i], strlen(passed[i])) == 0)
				ret[count++] = *at;
	ret[count] = NULL;
}

static bool start_by_fork(struct deliver *d, int theirs, pid_t *ret_pid, struct error *err)
{
	const char *const argv[] = { "vault-agent", "--messenger", d->config ? "--config" : NULL, d->config, NULL };
	char path[PATH_MAX], *environment[PASSED_MAX + 1];
	environment_of_messenger(environment);
	struct process_plan plan = { .path = path, .argv = argv, .environment = environment, .fd = theirs };
	return process_sibling("vault-agent", path, sizeof path, err) && process_spawn(&plan, ret_pid, err);
}

static bool start(struct deliver *d, struct open_delivery *o, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_DELIVER_NOT_STARTED, strerror(errno));
	o->fd = pair[0];
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = o };
	bool is_started =
		fcntl(o->fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(d->epoll, EPOLL_CTL_ADD, o->fd, &event) == 0;
	if (!is_started)
		(void)!fail(err, ERR_UNEXPECTED, TXT_DELIVER_NOT_STARTED, strerror(errno));
	else if (d->link < 0)
		is_started = start_by_fork(d, pair[1], &o->pid, err);
	else if (!link_send(d->link, LINK_MESSENGER, o->parcel->sink, pair[1]))
		is_started = fail(err, ERR_UNEXPECTED, TXT_DELIVER_NOT_STARTED, "the supervisor does not listen");
	close(pair[1]);
	return is_started;
}

static struct parcel *pack(const struct delivery *what)
{
	struct parcel *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->version = PARCEL_VERSION;
	p->type = (int32_t)what->type;
	p->has_message = what->message != NULL;
	snprintf(p->sink, sizeof p->sink, "%s", what->sink);
	if (what->message)
		p->message = *what->message;
	return p;
}

static void finish(struct deliver *d, struct open_delivery *o, const struct delivery_result *result)
{
	assert(d->ready_count < DELIVER_OPEN_MAX);
	d->ready[d->ready_count] = *result;
	d->ready[d->ready_count++].id = o->id;
	close_delivery(d, o);
}

static void finish_later(struct deliver *d, struct open_delivery *o, const char *why)
{
	struct delivery_result result = { .outcome = DELIVERY_LATER };
	snprintf(result.reason, sizeof result.reason, "%s", why);
	finish(d, o, &result);
}

void deliver_send(struct deliver *d, const struct delivery *what)
{
	struct open_delivery *o = d->open;
	struct error err;
	assert(deliver_has_room(d));
	while (o->is_open)
		o++;
	*o = (struct open_delivery){
		.is_open = true, .id = what->id, .fd = -1, .due_ms = clock_boot_ms() + DELIVER_MOST_MS, .parcel = pack(what)
	};
	if (!o->parcel)
		finish_later(d, o, "no memory for one more message");
	else if (!start(d, o, &err))
		finish_later(d, o, err.message);
}

/* --- letting it happen --- */

/* Of a messenger that is ours only by its build; a fault of it shall not reach further than its own delivery. */
static bool is_sound(const struct receipt *r)
{
	size_t len = strnlen(r->reason, sizeof r->reason);
	for (size_t i = 0; i < len; i++)
		if (r->reason[i] < 0x20 || r->reason[i] > 0x7e)
			return false;
	return r->version == PARCEL_VERSION && len < sizeof r->reason && r->outcome >= DELIVERY_DONE &&
	       r->outcome <= DELIVERY_REFUSED && r->retry_after_s >= 0 && r->retry_after_s <= INT32_MAX;
}

static void take_receipt(struct deliver *d, struct open_delivery *o)
{
	const struct receipt *r = &o->receipt;
	if (!is_sound(r)) {
		finish_later(d, o, "the messenger is of another version, or broken");
		return;
	}
	struct delivery_result result = { .outcome = (enum delivery_outcome)r->outcome,
					  .retry_after_s = r->retry_after_s };
	memcpy(result.reason, r->reason, sizeof result.reason);
	finish(d, o, &result);
}

/* False when the messenger has gone. */
static bool write_some(struct deliver *d, struct open_delivery *o)
{
	ssize_t sent = send(o->fd, (const uint8_t *)o->parcel + o->written, sizeof *o->parcel - o->written,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return error_is_passing(errno);
	o->written += (size_t)sent;
	if (o->written == sizeof *o->parcel) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = o };
		(void)epoll_ctl(d->epoll, EPOLL_CTL_MOD, o->fd, &event);
		free(take(o->parcel));
	}
	return true;
}

static bool read_some(struct open_delivery *o)
{
	ssize_t got =
		recv(o->fd, (uint8_t *)&o->receipt + o->read, sizeof o->receipt - o->read, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (got > 0)
		o->read += (size_t)got;
	return got > 0 || (got < 0 && error_is_passing(errno));
}

static void go_on(struct deliver *d, struct open_delivery *o, uint32_t events)
{
	bool is_there = !(events & EPOLLOUT) || !o->parcel || write_some(d, o);
	if (is_there && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		is_there = read_some(o);
	if (o->read == sizeof o->receipt)
		take_receipt(d, o);
	else if (!is_there)
		finish_later(d, o, "the messenger ended without a word; see the agent's log");
}

static void end_overdue(struct deliver *d)
{
	int64_t now = clock_boot_ms();
	for (size_t i = 0; i < DELIVER_OPEN_MAX; i++)
		if (d->open[i].is_open && d->open[i].due_ms <= now)
			finish_later(d, &d->open[i], "the messenger did not come back in time");
}

static void look(struct deliver *d, int64_t wait_ms)
{
	struct epoll_event events[DELIVER_OPEN_MAX];
	int count = epoll_wait(d->epoll, events, DELIVER_OPEN_MAX, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
	for (int i = 0; i < count; i++)
		go_on(d, events[i].data.ptr, events[i].events);
	end_overdue(d);
}

bool deliver_next(struct deliver *d, int64_t wait_ms, struct delivery_result *ret)
{
	int64_t until = clock_boot_ms() + wait_ms, left = wait_ms;
	while (!d->ready_count && deliver_open(d) > 0) {
		int64_t due = deliver_wait_ms(d);
		look(d, due < left ? due : left);
		left = until - clock_boot_ms();
		if (left <= 0)
			break;
	}
	if (!d->ready_count)
		return false;
	*ret = d->ready[0];
	memmove(d->ready, d->ready + 1, --d->ready_count * sizeof *d->ready);
	return true;
}

int deliver_fd(const struct deliver *d)
{
	return d->epoll;
}

int64_t deliver_wait_ms(const struct deliver *d)
{
	int64_t now = clock_boot_ms(), least = d->ready_count ? 0 : INT64_MAX;
	for (size_t i = 0; i < DELIVER_OPEN_MAX; i++)
		if (d->open[i].is_open && d->open[i].due_ms - now < least)
			least = d->open[i].due_ms - now;
	return least < 0 ? 0 : least;
}
