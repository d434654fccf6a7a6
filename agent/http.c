#include "agent/http.h"

#include "agent/text.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/secret.h"
#include "core/version.h"
#include "core/wipe.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX 65536
#define SENT_MAX 16384
#define URL_MAX 2048
#define HEAD_BYTES_MAX 32768
#define HEAD_LINES_MAX 100
#define EVENTS_MAX 64
#define LOOK_AGAIN_MS 100
#define SOCKETS_MAX 4096 /* descriptors from here on are simply added and removed each time */

#define HEADER_NAME "Access-Token: "
#define HEADER_NAME_LEN (sizeof HEADER_NAME - 1)
#define HEADER_ROOM (HEADER_NAME_LEN + HTTP_TOKEN_MAX + 1)
_Static_assert(HEADER_ROOM <= HTTP_SECRETS(1), "the arena must hold all header lines");

enum place { PLACE_FREE, PLACE_OPEN, PLACE_FINISHED };

/* One exchange. libcurl borrows the header list and the body until the transfer is done. */
struct exchange {
	struct http *http;
	CURL *easy; /* kept for the next exchange; NULL after a rest */
	enum place place;
	struct exchange *next; /* in the list of free or of finished ones */
	uint64_t id;
	struct secret *header;   /* room for the line with the longest token and a NUL */
	size_t header_len;       /* used of it, without the NUL */
	struct curl_slist first; /* points at header's bytes; the rest of the list is one of http's */
	struct buf sent, got;
	size_t head_bytes, head_lines;
	bool is_too_big, is_nameless;
	CURLcode result;
	char reason[CURL_ERROR_SIZE];
};

/* What we know of a connection's socket. libcurl says "watch" and "watch no more" around each request; one that is only
 * idle stays in the set, which saves two system calls a request. */
struct watch {
	bool is_ours;    /* made by on_open: on_close will tell of its end */
	bool is_wanted;  /* by libcurl, now */
	uint32_t events; /* as the kernel has them; 0 = not in the set */
};

struct http {
	CURLM *multi;
	struct curl_slist *headers, *form_headers; /* the lines every request has, with JSON or a form */
	char *urls[HTTP_TARGETS_MAX], *ca_file;
	uint16_t ports[HTTP_TARGETS_MAX];
	int64_t connect_timeout_ms, timeout_ms;
	size_t in_flight, open;
	struct exchange *exchanges, *free, *finished, **last_finished;
	int epoll, callers_fd;
	uint32_t callers_events;
	struct watch watches[SOCKETS_MAX]; /* by descriptor */
	int64_t due_ms;                    /* when libcurl wants to be called at the latest, -1 = never */
};

/* --- libcurl's callbacks --- */

static size_t on_body(char *at, size_t size, size_t count, void *context)
{
	struct exchange *e = context;
	size_t len = size * count;
	buf_append(&e->got, at, len);
	e->is_too_big = e->is_too_big || e->got.is_bad;
	return e->is_too_big ? 0 : len;
}

/* Counts what libcurl would take without end: header lines, and 100 Continue after 100 Continue. */
static size_t on_head(char *at, size_t size, size_t count, void *context)
{
	struct exchange *e = context;
	size_t len = size * count;
	(void)at;
	e->head_bytes += len;
	e->head_lines++;
	e->is_too_big = e->is_too_big || e->head_bytes > HEAD_BYTES_MAX || e->head_lines > HEAD_LINES_MAX;
	return e->is_too_big ? 0 : len;
}

static bool names_a_host(const char *alternatives)
{
	for (const char *at = alternatives; at; at = strstr(at, ", ")) {
		at += strncmp(at, ", ", 2) == 0 ? 2 : 0;
		if (strncmp(at, "DNS:", 4) == 0 || strncmp(at, "IP Address:", 11) == 0)
			return true;
	}
	return false;
}

/* libcurl falls back to the common name when a certificate has no alternative names, which no authority issues any more
 * and RFC 9525 forbids to believe. Called between handshake and request; a reused connection was looked at when it was
 * made. */
static int on_connected(void *context, char *their_ip, char *our_ip, int their_port, int our_port)
{
	static const char alternatives[] = "X509v3 Subject Alternative Name:";
	struct exchange *e = context;
	struct curl_certinfo *certs = NULL;
	long made = 1;
	(void)their_ip, (void)our_ip, (void)their_port, (void)our_port;
	(void)curl_easy_getinfo(e->easy, CURLINFO_NUM_CONNECTS, &made);
	if (made == 0)
		return CURL_PREREQFUNC_OK;
	(void)curl_easy_getinfo(e->easy, CURLINFO_CERTINFO, &certs);
	if (certs && certs->num_of_certs > 0)
		for (const struct curl_slist *line = certs->certinfo[0]; line; line = line->next)
			if (strncmp(line->data, alternatives, sizeof alternatives - 1) == 0 &&
			    names_a_host(line->data + sizeof alternatives - 1))
				return CURL_PREREQFUNC_OK;
	e->is_nameless = true;
	return CURL_PREREQFUNC_ABORT;
}

static struct watch *watch_of(struct http *h, int fd)
{
	return (unsigned)fd < SOCKETS_MAX && h->watches[fd].is_ours ? &h->watches[fd] : NULL;
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *h = context;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	(void)purpose;
	if ((unsigned)fd < SOCKETS_MAX)
		h->watches[fd] = (struct watch){ .is_ours = true };
	return fd; /* -1 is what it calls CURL_SOCKET_BAD */
}

static int on_close(void *context, curl_socket_t fd)
{
	struct watch *w = watch_of(context, fd);
	if (w)
		*w = (struct watch){ 0 };
	return close(fd); /* takes it out of the set as well */
}

static int set_events(const struct http *h, int fd, bool is_known, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	if (events == 0)
		return epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
	return epoll_ctl(h->epoll, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *is_known)
{
	struct http *h = context;
	struct watch *w = watch_of(h, fd);
	uint32_t events =
		(what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
	(void)easy;
	if (what == CURL_POLL_REMOVE)
		events = 0;
	if (w) {
		w->is_wanted = events != 0;
		if (events == 0 || w->events == events)
			return 0;
	}
	if (set_events(h, fd, w ? w->events != 0 : is_known != NULL, events) != 0)
		return events ? -1 : 0;
	if (w)
		w->events = events;
	else if (events)
		(void)curl_multi_assign(h->multi, fd, h);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct http *h = context;
	(void)multi;
	h->due_ms = timeout_ms < 0 ? -1 : timeout_ms == 0 ? 0 : clock_boot_ms() + timeout_ms;
	return 0;
}

/* --- options --- */

struct option {
	CURLoption name;
	const char *text;
	long number;
};

#define NUMBER(name, value)                                                                                            \
	{                                                                                                              \
		CURLOPT_##name, NULL, (value)                                                                          \
	}
#define TEXT(name, value)                                                                                              \
	{                                                                                                              \
		CURLOPT_##name, (value), 0                                                                             \
	}

/* What never changes. A libcurl that refuses one of these is not the libcurl we can trust with a token. There is no
 * LOW_SPEED_LIMIT: it would break off an answer that TikTok takes 6 s to begin, and the total time already ends a slow
 * one. ACCEPT_ENCODING is left off so that nothing is unpacked. */
static const struct option options[] = {
	TEXT(PROTOCOLS_STR, "https"),
	TEXT(REDIR_PROTOCOLS_STR, "https"), /* "" is refused by libcurl; redirects are never followed anyway */
	NUMBER(FOLLOWLOCATION, 0),
	NUMBER(MAXREDIRS, 0),
	NUMBER(AUTOREFERER, 0),
	NUMBER(UNRESTRICTED_AUTH, 0),
	TEXT(PROXY, ""), /* also keeps libcurl from looking at https_proxy */
	TEXT(NOPROXY, "*"),
	NUMBER(NETRC, CURL_NETRC_IGNORED),
	NUMBER(SSL_VERIFYPEER, 1),
	NUMBER(SSL_VERIFYHOST, 2),
	NUMBER(CERTINFO, 1), /* for on_connected */
	NUMBER(SSLVERSION, CURL_SSLVERSION_TLSv1_2),
	NUMBER(SSL_SESSIONID_CACHE, 0),              /* a resumed session would not show its certificate again */
	NUMBER(HTTP_VERSION, CURL_HTTP_VERSION_1_1), /* HTTP/2 would keep the token in its header table */
	NUMBER(HTTP09_ALLOWED, 0),
	NUMBER(MAXLIFETIME_CONN, 120),
	NUMBER(NOSIGNAL, 1),
	NUMBER(NOPROGRESS, 1),
	NUMBER(VERBOSE, 0),
	NUMBER(FAILONERROR, 0), /* the body decides, whatever the status */
	NUMBER(BUFFERSIZE, 2048), /* small ones: they are wiped after every exchange */
	NUMBER(UPLOAD_BUFFERSIZE, 16384),
	TEXT(USERAGENT, "pixelvault/" PIXELVAULT_VERSION),
};

static CURLcode set_fixed(CURL *easy)
{
	CURLcode rc = CURLE_OK;
	for (size_t i = 0; rc == CURLE_OK && i < COUNT_OF(options); i++)
		rc = options[i].text ? curl_easy_setopt(easy, options[i].name, options[i].text)
				     : curl_easy_setopt(easy, options[i].name, options[i].number);
	return rc;
}

#define SET(name, value) (rc = rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_##name, (value)) : rc)

/* CAPATH off is safety (one place that says whom we trust) and speed (libcurl caches the bundle only without it). */
static CURLcode set_own(CURL *easy, struct exchange *e)
{
	const struct http *h = e->http;
	CURLcode rc = CURLE_OK;
	SET(CAINFO, h->ca_file);
	SET(CAPATH, (char *)NULL);
	SET(CONNECTTIMEOUT_MS, (long)h->connect_timeout_ms);
	SET(TIMEOUT_MS, (long)h->timeout_ms);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, e);
	SET(HEADERFUNCTION, on_head);
	SET(HEADERDATA, e);
	SET(OPENSOCKETFUNCTION, on_open);
	SET(OPENSOCKETDATA, e->http);
	SET(CLOSESOCKETFUNCTION, on_close);
	SET(CLOSESOCKETDATA, e->http);
	SET(PREREQFUNCTION, on_connected);
	SET(PREREQDATA, e);
	SET(ERRORBUFFER, e->reason);
	SET(HTTPHEADER, &e->first);
	SET(PRIVATE, e);
	return rc;
}

/* libcurl copies the URL. No secret stands in a query. */
static CURLcode set_query(CURL *easy, const char *url, const char *query)
{
	char whole[URL_MAX];
	CURLcode rc = CURLE_OK;
	int put = snprintf(whole, sizeof whole, "%s?%s", url, query);
	if ((size_t)put >= sizeof whole)
		return CURLE_URL_MALFORMAT;
	SET(HTTPGET, 1L);
	SET(URL, whole);
	return rc;
}

static CURLcode set_post(CURL *easy, const struct exchange *e, const char *url)
{
	CURLcode rc = CURLE_OK;
	SET(POST, 1L);
	SET(URL, url);
	SET(POSTFIELDS, (const char *)e->sent.at);
	SET(POSTFIELDSIZE, (long)e->sent.len);
	return rc;
}

static CURLcode set_request(CURL *easy, const struct exchange *e, const struct http_request *request)
{
	const char *url = e->http->urls[request->target];
	CURLcode rc = request->query ? set_query(easy, url, request->query) : set_post(easy, e, url);
	SET(MAXFILESIZE, (long)e->got.max); /* by announced length; on_body counts what really comes */
	SET(FRESH_CONNECT, request->is_fresh ? 1L : 0L);
	SET(FORBID_REUSE, request->is_fresh ? 1L : 0L);
	return rc;
}

static CURLcode make_easy(struct exchange *e)
{
	CURL *easy = curl_easy_init();
	CURLcode rc = easy ? set_fixed(easy) : CURLE_OUT_OF_MEMORY;
	if (rc == CURLE_OK)
		rc = set_own(easy, e);
	if (rc == CURLE_OK)
		e->easy = easy;
	else
		curl_easy_cleanup(easy);
	return rc;
}

/* --- setting up --- */

static bool get_part(CURLU *url, CURLUPart part, char **ret)
{
	*ret = NULL;
	return curl_url_get(url, part, ret, 0) == CURLUE_OK;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text;
	bool is_there = get_part(url, part, &text);
	curl_free(text);
	return is_there;
}

static bool join_path(CURLU *url, const char *path, char **ret)
{
	char *base, joined[1024];
	if (!get_part(url, CURLUPART_PATH, &base))
		return false;
	size_t len = strlen(base);
	if (len && base[len - 1] == '/')
		len--;
	int put = snprintf(joined, sizeof joined, "%.*s%s", (int)len, base, path);
	curl_free(base);
	return put > 0 && (size_t)put < sizeof joined && curl_url_set(url, CURLUPART_PATH, joined, 0) == CURLUE_OK &&
	       get_part(url, CURLUPART_URL, ret);
}

static bool is_https(CURLU *url)
{
	char *scheme;
	bool is = get_part(url, CURLUPART_SCHEME, &scheme) && strcmp(scheme, "https") == 0;
	curl_free(scheme);
	return is;
}

static bool find_port(CURLU *url, uint16_t *ret)
{
	char *text = NULL;
	bool is_good = curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK;
	long port = is_good ? strtol(text, NULL, 10) : 0;
	curl_free(text);
	if (port != (uint16_t)port || port == 0)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static bool make_url(struct http *h, size_t i, const struct http_target *target, struct error *err)
{
	CURLU *url = curl_url();
	bool is_good = url && curl_url_set(url, CURLUPART_URL, target->base_url, 0) == CURLUE_OK && is_https(url) &&
		       !has_part(url, CURLUPART_QUERY) && !has_part(url, CURLUPART_FRAGMENT) &&
		       !has_part(url, CURLUPART_USER) && !has_part(url, CURLUPART_PASSWORD) &&
		       find_port(url, &h->ports[i]) && join_path(url, target->path, &h->urls[i]);
	curl_url_cleanup(url);
	return is_good ? true : fail(err, ERR_CONFIG, TXT_HTTP_BAD_URL, target->base_url);
}

static bool make_urls(struct http *h, const struct http_settings *settings, struct error *err)
{
	for (size_t i = 0; i < settings->target_count; i++)
		if (!make_url(h, i, &settings->targets[i], err))
			return false;
	return true;
}

static bool find_ca_file(struct http *h, const struct http_settings *settings, struct error *err)
{
	static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/cert.pem" };
	const char *found = settings->ca_file[0] ? settings->ca_file : NULL;
	for (size_t i = 0; !found && i < COUNT_OF(usual); i++)
		if (access(usual[i], R_OK) == 0)
			found = usual[i];
	if (!found)
		return fail(err, ERR_CONFIG, TXT_HTTP_NO_CA);
	if (access(found, R_OK) != 0)
		return fail(err, ERR_CONFIG, TXT_HTTP_BAD_CA, found);
	h->ca_file = wipe_strdup(found);
	return h->ca_file ? true : fail_no_memory(err);
}

static bool make_headers(struct http *h, struct error *err)
{
	h->headers = curl_slist_append(NULL, "Content-Type: application/json");
	h->form_headers = curl_slist_append(NULL, "Content-Type: application/x-www-form-urlencoded");
	return h->headers && h->form_headers ? true : fail_no_memory(err);
}

static bool make_exchanges(struct http *h, struct error *err)
{
	h->exchanges = calloc(h->in_flight, sizeof *h->exchanges);
	if (!h->exchanges)
		return fail_no_memory(err);
	for (size_t i = h->in_flight; i-- > 0;) {
		struct exchange *e = &h->exchanges[i];
		*e = (struct exchange){ .http = h, .next = h->free, .sent = BUF_INIT(SENT_MAX), .got = BUF_INIT(BODY_MAX) };
		h->free = e;
		if (!secret_new(HEADER_ROOM, &e->header, err))
			return false;
	}
	h->last_finished = &h->finished;
	return true;
}

static bool make_multi(struct http *h, struct error *err)
{
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->multi = curl_multi_init();
	if (h->epoll < 0 || !h->multi)
		return fail_no_memory(err);
	int wrong = (int)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket) |
		    (int)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) |
		    (int)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer) |
		    (int)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) |
		    (int)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) |
		    (int)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->in_flight);
	return wrong ? fail(err, ERR_UNEXPECTED, TXT_HTTP_OPTION, "curl_multi_setopt") : true;
}

/* Options are tried now, not at the first question: a libcurl that lacks one never gets a token. */
static bool try_options(struct http *h, struct error *err)
{
	CURLcode rc = make_easy(&h->exchanges[0]);
	return rc == CURLE_OK ? true : fail(err, ERR_UNEXPECTED, TXT_HTTP_OPTION, curl_easy_strerror(rc));
}

bool http_new(const struct http_settings *settings, struct http **ret, struct error *err)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc, wipe_strdup, wipe_calloc) !=
	    CURLE_OK)
		return fail(err, ERR_UNEXPECTED, TXT_HTTP_OPTION, "curl_global_init_mem");
	scoped(http_freep) struct http *h = calloc(1, sizeof *h);
	if (!h)
		return fail_no_memory(err);
	h->epoll = h->callers_fd = -1;
	h->due_ms = -1;
	h->in_flight = settings->in_flight;
	h->connect_timeout_ms = settings->connect_timeout_ms;
	h->timeout_ms = settings->timeout_ms;
	if (!make_urls(h, settings, err) || !find_ca_file(h, settings, err) || !make_headers(h, err) ||
	    !make_exchanges(h, err) || !make_multi(h, err) || !try_options(h, err))
		return false;
	*ret = take(h);
	return true;
}

uint16_t http_port(const struct http *h, size_t target)
{
	return h->ports[target];
}

static void exchange_done(struct exchange *e)
{
	if (e->header)
		wipe(secret_room(e->header), e->header_len);
	e->first = (struct curl_slist){ NULL, NULL };
	e->header_len = 0;
	buf_clear(&e->sent);
	if (e->got.cap > BODY_MAX) /* a list's: no other needs as much */
		buf_done(&e->got);
	else
		buf_clear(&e->got);
	wipe(e->reason, sizeof e->reason);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	for (size_t i = 0; h->exchanges && i < h->in_flight; i++) {
		struct exchange *e = &h->exchanges[i];
		if (e->easy && e->place == PLACE_OPEN)
			(void)curl_multi_remove_handle(h->multi, e->easy);
		curl_easy_cleanup(e->easy);
		exchange_done(e);
		buf_done(&e->sent);
		buf_done(&e->got);
		secret_free(e->header);
	}
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	if (h->epoll >= 0)
		close(h->epoll);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->form_headers);
	for (size_t i = 0; i < HTTP_TARGETS_MAX; i++)
		curl_free(h->urls[i]);
	wipe_free(h->ca_file);
	free(h->exchanges);
	free(h);
	curl_global_cleanup();
}

void http_freep(struct http **h)
{
	http_free(*h);
	*h = NULL;
}

/* --- asking --- */

/* The list node is ours and points into locked memory: curl_slist_append would make a copy that is not. */
static void put_header(struct exchange *e, const struct http_request *request)
{
	struct curl_slist *rest = request->is_form ? e->http->form_headers : e->http->headers;
	struct bytes token = request->token;
	uint8_t *line = secret_room(e->header);
	if (!token.len) {
		e->first = *rest;
		return;
	}
	memcpy(line, HEADER_NAME, HEADER_NAME_LEN);
	memcpy(line + HEADER_NAME_LEN, token.at, token.len);
	line[HEADER_NAME_LEN + token.len] = '\0';
	e->header_len = HEADER_NAME_LEN + token.len;
	e->first = (struct curl_slist){ .data = (char *)line, .next = rest };
}

static struct bytes token_of(const struct exchange *e)
{
	struct bytes line = secret_reveal(e->header);
	if (!e->header_len)
		return bytes_of("", 0);
	return bytes_of(line.at + HEADER_NAME_LEN, e->header_len - HEADER_NAME_LEN);
}

bool http_start(struct http *h, const struct http_request *request)
{
	struct exchange *e = h->free;
	if (!e || request->token.len > HTTP_TOKEN_MAX)
		return false;
	e->id = request->id;
	e->head_bytes = e->head_lines = 0;
	e->is_too_big = e->is_nameless = false;
	e->got.max = request->answer_max ? request->answer_max : BODY_MAX;
	buf_append(&e->sent, request->body.at, request->body.len);
	put_header(e, request);
	if (e->sent.is_bad || (!e->easy && make_easy(e) != CURLE_OK) ||
	    set_request(e->easy, e, request) != CURLE_OK ||
	    curl_multi_add_handle(h->multi, e->easy) != CURLM_OK) {
		exchange_done(e);
		return false;
	}
	h->free = e->next;
	e->place = PLACE_OPEN;
	h->open++;
	return true;
}

/* --- letting it happen --- */

void http_watch(struct http *h, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	if (h->callers_fd == fd && h->callers_events == events)
		return;
	(void)epoll_ctl(h->epoll, h->callers_fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	h->callers_fd = fd;
	h->callers_events = events;
}

static void collect_finished(struct http *h)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(h->multi, &left))) {
		struct exchange *e = NULL;
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result; /* the message dies with the next call */
		if (message->msg != CURLMSG_DONE || curl_easy_getinfo(easy, CURLINFO_PRIVATE, &e) != CURLE_OK)
			continue;
		(void)curl_multi_remove_handle(h->multi, easy);
		e->result = result;
		e->place = PLACE_FINISHED;
		e->next = NULL;
		*h->last_finished = e;
		h->last_finished = &e->next;
	}
}

/* A libcurl that runs out of memory may set no timer: without one, nobody would ever look whether the time of what is under
 * way is over. */
static void let_libcurl(struct http *h, curl_socket_t fd, int action)
{
	int running;
	if (curl_multi_socket_action(h->multi, fd, action, &running) != CURLM_OK && h->due_ms < 0)
		h->due_ms = clock_boot_ms() + LOOK_AGAIN_MS;
}

static void run_timer(struct http *h)
{
	if (h->due_ms < 0 || (h->due_ms > 0 && h->due_ms > clock_boot_ms()))
		return;
	h->due_ms = -1;
	let_libcurl(h, CURL_SOCKET_TIMEOUT, 0);
}

static int until_due(const struct http *h, int64_t wait_ms)
{
	if (h->finished)
		return 0;
	if (h->due_ms >= 0) {
		int64_t left = h->due_ms - clock_boot_ms();
		if (wait_ms < 0 || left < wait_ms)
			wait_ms = left < 0 ? 0 : left;
	}
	return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

static void tell_libcurl(struct http *h, int fd, uint32_t got)
{
	struct watch *w = watch_of(h, fd);
	int action = (got & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (got & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		     (got & EPOLLERR ? CURL_CSELECT_ERR : 0);
	if (!w || w->is_wanted) {
		let_libcurl(h, fd, action);
		return;
	}
	/* An idle connection that speaks or ends: libcurl sees it when it next wants to use it. */
	(void)set_events(h, fd, true, 0);
	w->events = 0;
}

uint32_t http_work(struct http *h, int64_t wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	uint32_t ready = 0;
	run_timer(h); /* sends what was started since the last call */
	collect_finished(h);
	int count = epoll_wait(h->epoll, events, EVENTS_MAX, until_due(h, wait_ms));
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == h->callers_fd)
			ready = events[i].events;
		else
			tell_libcurl(h, events[i].data.fd, events[i].events);
	}
	run_timer(h);
	collect_finished(h);
	return ready;
}

/* --- answers --- */

static enum transport transport_of(const struct exchange *e)
{
	if (e->is_too_big)
		return TRANSPORT_TOO_BIG;
	if (e->is_nameless)
		return TRANSPORT_TLS;
	switch (e->result) {
	case CURLE_OK:
		return TRANSPORT_OK;
	case CURLE_COULDNT_RESOLVE_HOST:
		return TRANSPORT_NAME;
	case CURLE_COULDNT_CONNECT:
		return TRANSPORT_CONNECT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return TRANSPORT_TLS;
	case CURLE_OPERATION_TIMEDOUT:
		return TRANSPORT_TIMEOUT;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return TRANSPORT_CUT;
	case CURLE_FILESIZE_EXCEEDED:
		return TRANSPORT_TOO_BIG;
	default:
		return TRANSPORT_OTHER;
	}
}

static const char *reason_of(const struct exchange *e)
{
	if (e->is_too_big || e->result == CURLE_FILESIZE_EXCEEDED)
		return "the answer is longer than one of its kind can be, or its head over 32 KiB or 100 lines";
	if (e->is_nameless)
		return "the certificate names no host but in its common name";
	return e->reason[0] ? e->reason : curl_easy_strerror(e->result);
}

bool http_next(struct http *h, struct http_answer *ret)
{
	struct exchange *e = h->finished;
	long status = 0;
	curl_off_t took_us = 0, asked_us = 0;
	if (!e)
		return false;
	h->finished = e->next;
	if (!h->finished)
		h->last_finished = &h->finished;
	(void)curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(e->easy, CURLINFO_TOTAL_TIME_T, &took_us);
	(void)curl_easy_getinfo(e->easy, CURLINFO_PRETRANSFER_TIME_T, &asked_us);
	*ret = (struct http_answer){
		.exchange = e,
		.id = e->id,
		.transport = transport_of(e),
		.status = (int32_t)status,
		.took_ms = (int32_t)(took_us / 1000),
		.waited_us = took_us - asked_us,
		.token = token_of(e),
		.reason = reason_of(e),
	};
	/* A body that was cut off may have looked whole: it counts only when the exchange ended well. */
	if (ret->transport == TRANSPORT_OK)
		ret->body = buf_bytes(&e->got);
	return true;
}

void http_done(struct http *h, const struct http_answer *answer)
{
	struct exchange *e = answer->exchange;
	assert(e->place == PLACE_FINISHED);
	exchange_done(e);
	e->place = PLACE_FREE;
	e->next = h->free;
	h->free = e;
	h->open--;
}

size_t http_open(const struct http *h)
{
	return h->open;
}

void http_rest(struct http *h)
{
	assert(h->open == 0);
	for (size_t i = 0; i < h->in_flight; i++)
		curl_easy_cleanup(take(h->exchanges[i].easy));
}
