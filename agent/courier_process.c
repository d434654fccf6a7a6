#include "agent/courier.h"

#include "agent/courier_wire.h"
#include "agent/http.h"
#include "agent/sandbox.h"
#include "agent/text.h"
#include "agent/tiktok.h"
#include "agent/window.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/wipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBES_AT_ONCE 16 /* read in one go */
#define REST_AFTER_MS 50
#define ARENA_SLACK 16384 /* and what a refresh sends and brings */
#define HEAP_ROOM (4 << 20)
#define LOOK_MS 5000 /* how often an idle courier looks whether its files were replaced; and how long one with a fault stays at least, for
			the next is then started at once */

static const char *const reading[] = { SANDBOX_READING_OF_NETWORK };

/* A right that the sandbox gives is bound to a file, not to its name. What stood behind each name when the sandbox was
 * entered; a file put in its place since, such as a resolv.conf of another network, could not be read. */
struct shelf {
	const char *paths[COUNT_OF(reading) + 2]; /* a CA file of the configuration's, and the NULL at the end */
	struct {
		dev_t device;
		ino_t file;
	} was[COUNT_OF(reading) + 1];
	bool is_bound;
};

enum target { TARGET_EVENTS, TARGET_ACCOUNTS, TARGET_LOGIN, TARGET_ASSETS, TARGET_PIXELS, TARGET_COUNT };

/* The courier's desk: questions come in, exchanges run, answers go out. */
struct desk {
	struct http *http;
	struct window window; /* how many may be under way */
	struct secret *in; /* probes as read; the last may be incomplete */
	size_t in_len;
	struct courier_answer *out;
	size_t out_count, out_sent; /* answers waiting; bytes of them already written */
	struct buf request;
	/* The one refresh or list that is under way: what was sent with a refresh, and what it brought. */
	struct secret *grant, *pair; /* NULL: none; the pair is a struct courier_pair */
	struct courier_page page;
	bool is_listing;
	uint64_t list_id;
	uint32_t list_page;
	struct buf refresh;          /* its body */
	uint64_t refresh_id;
	enum family refresh_family;
	/* What goes out right behind its answer: the pair, or the page. */
	struct bytes tail;  /* len 0: nothing waits */
	size_t tail_behind; /* answers up to its own that are to be sent first */
	size_t tail_sent;
	int64_t began_ms;
	bool has_fault; /* the last answer failed in libcurl or TLS, not on its way */
	bool is_leaving; /* and the keeper was told so */
	uint64_t nonce; /* keeps the event ids of one courier apart from those of another */
	struct shelf shelf;
};

static void desk_done(struct desk *d)
{
	http_free(d->http);
	secret_free(d->in);
	free(d->out);
	secret_free(d->grant);
	secret_free(d->pair);
	buf_done(&d->request);
	buf_done(&d->refresh);
}

/* --- the sandbox --- */

static struct stat stat_or_nothing(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? st : (struct stat){ 0 };
}

static void shelf_fill(struct shelf *s, const char *ca_file)
{
	size_t count = COUNT_OF(reading);
	memcpy(s->paths, reading, sizeof reading);
	if (ca_file[0])
		s->paths[count++] = ca_file;
	s->paths[count] = NULL;
	for (size_t i = 0; i < count; i++) {
		struct stat st = stat_or_nothing(s->paths[i]);
		s->was[i].device = st.st_dev;
		s->was[i].file = st.st_ino;
	}
}

static bool shelf_was_replaced(const struct shelf *s)
{
	for (size_t i = 0; s->is_bound && s->paths[i]; i++) {
		struct stat st = stat_or_nothing(s->paths[i]);
		if (st.st_dev != s->was[i].device || st.st_ino != s->was[i].file)
			return true;
	}
	return false;
}

/* From here on a fault in a library is worth little to whoever finds it. What holds is said by the keeper: the kernel
 * is the same. */
static bool enter_sandbox(struct desk *d, const char *ca_file, struct error *err)
{
	struct sandbox_report report;
	shelf_fill(&d->shelf, ca_file);
	struct sandbox_plan plan = { .role = SANDBOX_COURIER, .readable = d->shelf.paths, .port = http_port(d->http, TARGET_EVENTS), .login_port = http_port(d->http, TARGET_LOGIN) };
	if (!sandbox_enter(&plan, &report, err))
		return false;
	d->shelf.is_bound = report.landlock_abi > 0;
	return true;
}

/* --- messages --- */

static bool is_terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool probe_is_sound(const struct courier_probe *p)
{
	struct error unused;
	if (p->version != COURIER_VERSION || p->token_len > TOKEN_MAX || !is_terminated(p->pixel, sizeof p->pixel) ||
	    !is_terminated(p->test_code, sizeof p->test_code))
		return false;
	if (p->kind == PROBE_REFRESH)
		return p->family == FAMILY_ACCOUNTS || p->family == FAMILY_LOGIN;
	if (p->kind == PROBE_NONE)
		return p->token_len == 0;
	if (p->kind == PROBE_LISTING)
		return list_check(p->pixel, &unused) && p->page >= 1 && p->page <= LIST_PAGES_MAX;
	return p->kind >= PROBE_DRY && p->kind <= PROBE_LIVE;
}

static bool config_is_sound(const struct courier_config *c)
{
	return c->version == COURIER_VERSION && c->in_flight >= 1 && c->in_flight <= COURIER_IN_FLIGHT_MAX &&
	       c->timeout_ms > 0 && c->connect_timeout_ms > 0 && is_terminated(c->base_url, sizeof c->base_url) &&
	       is_terminated(c->login_url, sizeof c->login_url) &&
	       is_terminated(c->ca_file, sizeof c->ca_file);
}

/* Before descriptor 3 is made non-blocking. */
static bool read_whole(void *at, size_t len)
{
	uint8_t *to = at;
	while (len) {
		ssize_t got = read(COURIER_FD, to, len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		len -= (size_t)got;
	}
	return true;
}

static void put_answer(struct desk *d, uint64_t id, const struct answer *a)
{
	d->has_fault = a->transport == TRANSPORT_TLS || a->transport == TRANSPORT_OTHER;
	struct courier_answer *to = &d->out[d->out_count++];
	*to = (struct courier_answer){ .version = COURIER_VERSION,
				       .transport = (int32_t)a->transport,
				       .body = (int32_t)a->body,
				       .http = a->http,
				       .code = a->code,
				       .took_ms = a->took_ms,
				       .id = id };
	memcpy(to->text, a->text, sizeof to->text);
	memcpy(to->request_id, a->request_id, sizeof to->request_id);
}

static void put_failure(struct desk *d, uint64_t id, const char *why)
{
	struct answer a = { .transport = TRANSPORT_OTHER, .code = NO_CODE };
	tiktok_clean(bytes_of_text(why), bytes_of("", 0), a.text, sizeof a.text);
	put_answer(d, id, &a);
}

/* --- the work --- */

static void start_probe(struct desk *d, const struct courier_probe *p, struct bytes token)
{
	struct probe probe = {
		.kind = (enum probe_kind)p->kind, .pixel = p->pixel, .test_code = p->test_code, .id = p->id
	};
	buf_clear(&d->request);
	tiktok_request(&probe, clock_wall(), &d->request);
	struct http_request request = {
		.id = p->id, .body = buf_bytes(&d->request), .token = token, .is_fresh = p->is_fresh != 0
	};
	if (!tiktok_token_is_sendable(token))
		put_failure(d, p->id, "not sent: the token holds bytes that no header may carry");
	else if (d->request.is_bad || !http_start(d->http, &request))
		put_failure(d, p->id, "not sent: no memory for one more request");
}

/* Nothing is asked for and no token goes along: whatever is answered, the host was reached and proven. */
static void start_knock(struct desk *d, const struct courier_probe *p, struct bytes token)
{
	struct http_request request = { .id = p->id,
					.target = p->family == FAMILY_LOGIN ? TARGET_LOGIN : TARGET_EVENTS,
					.body = bytes_of_text("{}"),
					.token = token,
					.is_fresh = p->is_fresh != 0 };
	if (!http_start(d->http, &request))
		put_failure(d, p->id, "not sent: no memory for one more request");
}

static void start_list(struct desk *d, const struct courier_probe *p, struct bytes token)
{
	if (d->is_listing || !tiktok_token_is_sendable(token)) {
		put_failure(d, p->id, "not sent: it could not be taken up");
		return;
	}
	buf_clear(&d->request);
	tiktok_list_query(p->pixel, p->page, &d->request);
	buf_append(&d->request, "", 1);
	struct http_request request = { .id = p->id,
					.target = list_is_center(p->pixel) ? TARGET_ASSETS : TARGET_PIXELS,
					.query = (const char *)d->request.at,
					.answer_max = TIKTOK_PAGE_MAX,
					.token = token,
					.is_fresh = p->is_fresh != 0 };
	if (d->request.is_bad || !http_start(d->http, &request)) {
		put_failure(d, p->id, "not sent: no memory for one more request");
		return;
	}
	d->is_listing = true;
	d->list_id = p->id;
	d->list_page = p->page;
}

static void end_refresh(struct desk *d)
{
	secret_freep(&d->grant);
	buf_clear(&d->refresh);
}

static void start_refresh(struct desk *d, const struct courier_probe *p, struct bytes packed)
{
	struct grant grant;
	struct error ignored;
	if (d->grant || d->pair || !grant_open(packed, &grant) || !secret_copy(packed, &d->grant, &ignored)) {
		put_failure(d, p->id, "not sent: it could not be taken up");
		return;
	}
	d->refresh_id = p->id;
	d->refresh_family = (enum family)p->family;
	tiktok_refresh_request(d->refresh_family, &grant, &d->refresh);
	struct http_request request = { .id = p->id,
					.target = d->refresh_family == FAMILY_LOGIN ? TARGET_LOGIN : TARGET_ACCOUNTS,
					.is_form = d->refresh_family == FAMILY_LOGIN,
					.body = buf_bytes(&d->refresh),
					.is_fresh = p->is_fresh != 0 };
	if (d->refresh.is_bad || !http_start(d->http, &request)) {
		put_failure(d, p->id, "not sent: no memory for one more request");
		end_refresh(d);
	}
}

/* How many more questions may be taken up: each needs a place among the answers. Never less than none: the window becomes
 * smaller only while nothing is open or waits to be sent. */
static size_t room(const struct desk *d)
{
	assert(http_open(d->http) + d->out_count <= d->window.size);
	return d->window.size - http_open(d->http) - d->out_count;
}

/* A whole probe at the front of `from`: its length, head and token; 0 when it is not complete. */
static size_t next_probe(struct bytes from, struct courier_probe *ret, struct bytes *ret_token)
{
	if (!bytes_take_copy(&from, ret, sizeof *ret))
		return 0;
	size_t room = courier_token_room(ret->token_len);
	if (!bytes_take(&from, room, ret_token))
		return 0;
	ret_token->len = ret->token_len;
	return sizeof *ret + room;
}

/* False when what came is no probe. */
static bool take_probes(struct desk *d)
{
	uint8_t *in = secret_room(d->in);
	struct courier_probe p;
	struct bytes token;
	size_t used = 0, len;
	while (room(d) > 0 && (len = next_probe(bytes_of(in + used, d->in_len - used), &p, &token)) > 0) {
		if (!probe_is_sound(&p))
			return false;
		if (p.kind == PROBE_LISTING)
			start_list(d, &p, token);
		else
			(p.kind == PROBE_REFRESH ? start_refresh : p.kind == PROBE_NONE ? start_knock : start_probe)(d, &p, token);
		used += len;
	}
	if (used == 0)
		return true;
	memmove(in, in + used, d->in_len - used);
	wipe(in + d->in_len - used, used);
	d->in_len -= used;
	return true;
}

/* False at the end: the keeper has gone. */
static bool read_probes(struct desk *d)
{
	size_t free_len = secret_len(d->in) - d->in_len;
	if (free_len == 0)
		return true;
	ssize_t got = recv(COURIER_FD, secret_room(d->in) + d->in_len, free_len, MSG_DONTWAIT);
	if (got > 0)
		d->in_len += (size_t)got;
	return got > 0 || (got < 0 && error_is_passing(errno));
}

/* True: a pair waits to be sent behind the answer that is put next. */
static bool read_pair(struct desk *d, const struct http_answer *from, struct answer *ret)
{
	struct grant grant;
	struct error why;
	if (!grant_open(secret_reveal(d->grant), &grant) || !secret_new(sizeof(struct courier_pair), &d->pair, &why)) {
		ret->transport = TRANSPORT_OTHER; /* it is lost */
		return false;
	}
	struct courier_pair *to = (struct courier_pair *)(void *)secret_room(d->pair);
	to->version = COURIER_VERSION;
	to->id = from->id;
	if (tiktok_read_pair(d->refresh_family, from->body, &grant, ret, &to->pair))
		return true;
	secret_freep(&d->pair);
	return false;
}

/* Right behind the answer that was put last. */
static void put_tail(struct desk *d, enum courier_behind what, struct bytes tail)
{
	d->out[d->out_count - 1].behind = (uint8_t)what;
	d->tail = tail;
	d->tail_behind = d->out_count;
	d->tail_sent = 0;
}

static void collect_page(struct desk *d, const struct http_answer *from)
{
	struct answer a = {
		.transport = from->transport, .http = from->status, .code = NO_CODE, .took_ms = from->took_ms
	};
	d->is_listing = false;
	d->page = (struct courier_page){ .version = COURIER_VERSION, .id = from->id };
	bool has_page = from->transport == TRANSPORT_OK &&
			tiktok_read_page(from->body, from->token, d->list_page, &a, &d->page.page);
	if (from->transport != TRANSPORT_OK)
		tiktok_clean(bytes_of_text(from->reason), from->token, a.text, sizeof a.text);
	put_answer(d, from->id, &a);
	if (has_page)
		put_tail(d, BEHIND_PAGE, bytes_of(&d->page, sizeof d->page));
}

static void collect_refresh(struct desk *d, const struct http_answer *from)
{
	struct answer a = {
		.transport = from->transport, .http = from->status, .code = NO_CODE, .took_ms = from->took_ms
	};
	bool has_pair = from->transport == TRANSPORT_OK && read_pair(d, from, &a);
	if (from->transport != TRANSPORT_OK)
		tiktok_clean(bytes_of_text(from->reason), bytes_of("", 0), a.text, sizeof a.text);
	put_answer(d, from->id, &a);
	if (has_pair)
		put_tail(d, BEHIND_PAIR, secret_reveal(d->pair));
	end_refresh(d);
}

static void collect_answers(struct desk *d)
{
	struct http_answer from;
	while (http_next(d->http, &from)) {
		window_answered(&d->window, from.waited_us, http_open(d->http) == 1);
		struct answer a = {
			.transport = from.transport, .http = from.status, .code = NO_CODE, .took_ms = from.took_ms
		};
		bool is_refresh = d->grant && from.id == d->refresh_id;
		if (is_refresh || (d->is_listing && from.id == d->list_id)) {
			(is_refresh ? collect_refresh : collect_page)(d, &from);
			http_done(d->http, &from);
			continue;
		}
		if (from.transport == TRANSPORT_OK)
			tiktok_read(from.body, from.token, &a);
		else
			tiktok_clean(bytes_of_text(from.reason), from.token, a.text, sizeof a.text);
		put_answer(d, from.id, &a);
		http_done(d->http, &from);
	}
}

/* The answer it belongs to has gone. */
static bool write_tail(struct desk *d)
{
	ssize_t sent = send(COURIER_FD, d->tail.at + d->tail_sent, d->tail.len - d->tail_sent,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return error_is_passing(errno);
	d->tail_sent += (size_t)sent;
	if (d->tail_sent == d->tail.len) {
		secret_freep(&d->pair);
		d->tail = bytes_of("", 0);
	}
	return true;
}

static bool write_answers(struct desk *d)
{
	if (d->tail.len && d->tail_behind == 0)
		return write_tail(d);
	size_t len = (d->tail.len ? d->tail_behind : d->out_count) * sizeof *d->out - d->out_sent;
	if (len == 0)
		return true;
	ssize_t sent = send(COURIER_FD, (const uint8_t *)d->out + d->out_sent, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return error_is_passing(errno);
	size_t gone = (d->out_sent + (size_t)sent) / sizeof *d->out;
	d->out_sent = (d->out_sent + (size_t)sent) % sizeof *d->out;
	d->out_count -= gone;
	d->tail_behind -= d->tail.len ? gone : 0;
	memmove(d->out, d->out + gone, d->out_count * sizeof *d->out);
	return true;
}

/* Where memory was short while a library set itself up, that library may fail in this process for ever, though there is
 * memory again: whoever cannot ask makes room for another courier. So does one whose files were replaced. */
static bool is_worn_out(const struct desk *d)
{
	return !d->is_leaving && d->has_fault && clock_boot_ms() - d->began_ms >= LOOK_MS;
}

/* Tell the keeper, which lets us go once nothing is open. To end here and now would lose a question that is on its way. */
static void put_wish(struct desk *d)
{
	d->is_leaving = true;
	d->out[d->out_count++] = (struct courier_answer){ .version = COURIER_VERSION, .leaves = 1 };
}

/* Without end while there is something to do. (Where answers that wait to be sent fill the window, sending them goes on.) One
 * that is to make room says so in the first moment in which nothing was asked: who is asked all the time has no longer one. */
static int64_t patience(struct desk *d, bool is_idle, bool has_rested)
{
	if (is_idle)
		return is_worn_out(d) ? 0 : has_rested ? LOOK_MS : REST_AFTER_MS;
	return http_open(d->http) == d->window.size ? window_full(&d->window, clock_boot_ms()) : -1;
}

/* Until the keeper closes its end (true), or says something that makes no sense (false). */
static bool work(struct desk *d)
{
	bool has_rested = true;
	for (;;) {
		bool has_news = d->out_count > 0 || d->tail.len;
		bool is_idle = http_open(d->http) == 0 && !has_news;
		int64_t wait_ms = patience(d, is_idle, has_rested);
		http_watch(d->http, COURIER_FD,
			   (room(d) ? (uint32_t)EPOLLIN : 0) | (has_news ? (uint32_t)EPOLLOUT : 0));
		uint32_t ready = http_work(d->http, wait_ms);
		if (is_idle && !ready) {
			bool is_to_leave = is_worn_out(d) || (!d->is_leaving && has_rested && shelf_was_replaced(&d->shelf));
			http_rest(d->http);
			window_reset(&d->window);
			has_rested = true;
			if (is_to_leave)
				put_wish(d);
		}
		collect_answers(d);
		if (!write_answers(d) || (ready & (EPOLLIN | EPOLLHUP | EPOLLERR) && !read_probes(d)))
			return true;
		if (!take_probes(d))
			return false;
		has_rested = has_rested && http_open(d->http) == 0;
	}
}

/* Nothing can be asked: say so to every question, since that is where a person will look. The next courier may be able to. */
static void apologise(struct desk *d, const char *why)
{
	struct courier_probe p;
	bool is_said = true;
	while (is_said && read_whole(&p, sizeof p) && probe_is_sound(&p) &&
	       read_whole(secret_room(d->in), courier_token_room(p.token_len))) {
		d->out_count = 0;
		put_failure(d, p.id, why);
		if (is_worn_out(d))
			put_wish(d);
		ssize_t len = (ssize_t)(d->out_count * sizeof *d->out);
		is_said = send(COURIER_FD, d->out, (size_t)len, MSG_NOSIGNAL) == len;
	}
}

static bool desk_open(struct desk *d, const struct courier_config *config, struct error *err)
{
	size_t probes = config->in_flight < PROBES_AT_ONCE ? config->in_flight : PROBES_AT_ONCE;
	window_init(&d->window, config->in_flight);
	d->began_ms = clock_boot_ms();
	if (getrandom(&d->nonce, sizeof d->nonce, 0) != sizeof d->nonce)
		d->nonce = (uint64_t)clock_boot_ms() << 20;
	d->out = calloc(config->in_flight + 1, sizeof *d->out); /* and a wish */
	if (!d->out)
		return fail_no_memory(err);
	return secret_arena_open(HTTP_SECRETS(config->in_flight) + probes * COURIER_PROBE_MAX + ARENA_SLACK, err) &&
	       secret_new(probes * COURIER_PROBE_MAX, &d->in, err);
}

static void aim(struct http_settings *settings, const struct courier_config *config)
{
	static const char *const paths[TARGET_COUNT] = { [TARGET_EVENTS] = TIKTOK_EVENT_TRACK,
							 [TARGET_ACCOUNTS] = TIKTOK_ACCOUNTS_REFRESH,
							 [TARGET_LOGIN] = TIKTOK_LOGIN_TOKEN,
							 [TARGET_ASSETS] = TIKTOK_ASSETS,
							 [TARGET_PIXELS] = TIKTOK_PIXELS };
	for (size_t i = 0; i < TARGET_COUNT; i++)
		settings->targets[i] = (struct http_target){
			.base_url = i == TARGET_LOGIN ? config->login_url : config->base_url, .path = paths[i]
		};
	settings->target_count = TARGET_COUNT;
}

static bool serve(const struct courier_config *config, struct error *err)
{
	scoped(desk_done) struct desk desk = { .request = BUF_INIT(TIKTOK_REQUEST_MAX),
					       .refresh = BUF_INIT(TIKTOK_REFRESH_MAX) };
	struct http_settings settings = { .ca_file = config->ca_file,
					  .connect_timeout_ms = config->connect_timeout_ms,
					  .timeout_ms = config->timeout_ms,
					  .in_flight = config->in_flight };
	aim(&settings, config);
	struct error why;
	if (!desk_open(&desk, config, err))
		return false;
	if (!http_new(&settings, &desk.http, &why)) {
		apologise(&desk, why.message);
		return true;
	}
	if (!enter_sandbox(&desk, config->ca_file, err))
		return false;
	return work(&desk) ? true : fail(err, ERR_UNEXPECTED, TXT_COURIER_STRANGER);
}

/* Pages that this process has mapped; 0 = not known. */
static unsigned long pages_mapped(void)
{
	char text[64] = "";
	scoped(file_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof text - 1) > 0 ? strtoul(text, NULL, 10) : 0;
}

/* While a question is open, libcurl, the TLS library and cJSON hold what is asked and answered in blocks of their own. They
 * all come from one heap, with room, and that is locked as far as it is touched, like all else that is mapped now. What is
 * mapped later is not: at the limit of locked memory allocations would fail. Without the right to lock so much, only the
 * arena is locked. */
static void lock_heap(void)
{
	struct rlimit limit;
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, 2 * HEAP_ROOM);
	(void)mallopt(M_TRIM_THRESHOLD, 4 * HEAP_ROOM);
	volatile uint8_t *room = malloc(HEAP_ROOM);
	if (room)
		room[0] = 0;
	free((void *)room);
	unsigned long pages = pages_mapped();
	if (pages && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	    (geteuid() == 0 || pages * (unsigned long)getpagesize() + HEAP_ROOM < limit.rlim_cur)) /* stacks grow */
		(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
}

int courier_main(void)
{
	struct courier_config config;
	struct error err;
	int type;
	socklen_t len = sizeof type;
	log_open("vault-agent (courier)", LOG_INFO);
	(void)prctl(PR_SET_NAME, "vault-agent"); /* one started through /proc/self/exe would be called "exe" */
	if (getsockopt(COURIER_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM) {
		(void)!fail(&err, ERR_USAGE, TXT_COURIER_NOT_BY_HAND);
		log_error(&err);
		return (int)err.code;
	}
	(void)fcntl(COURIER_FD, F_SETFD, FD_CLOEXEC);
	if (!read_whole(&config, sizeof config))
		return 0; /* ended before it began */
	lock_heap();
	if (!config_is_sound(&config))
		(void)!fail(&err, ERR_UNEXPECTED, TXT_COURIER_STRANGER);
	else if (serve(&config, &err))
		return 0;
	log_error(&err);
	return (int)err.code;
}
