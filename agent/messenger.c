#include "agent/messenger.h"

#include "agent/deliver_wire.h"
#include "agent/hook.h"
#include "agent/post.h"
#include "agent/render.h"
#include "agent/sandbox.h"
#include "agent/settings.h"
#include "agent/syslog.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/secret.h"
#include "core/utf8.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECRET_FILE_MAX 4096
#define SIGNING_KEY_MIN 16
#define HOST_MAX 256
#define HEADER_MAX 160

struct errand {
	const struct alert_message *message; /* NULL of a ping */
	struct sink sink;
	char host[HOST_MAX];
	struct secret *secret, *url; /* what the sink's files hold; the url ended by NUL */
	struct buf body;
	char headers[POST_HEADERS_MAX][HEADER_MAX];
	size_t header_count;
};

static void errand_done(struct errand *e)
{
	secret_free(e->secret);
	secret_free(e->url);
	buf_done(&e->body);
}

/* --- secrets --- */

/* One line end at the close is not part of it. With room for a NUL, which stands behind it. */
static bool read_secret_file(const char *path, struct secret **ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	scoped(secret_freep) struct secret *read = NULL, *whole = NULL;
	if (!file_open_trusted(path, true, ERR_CONFIG, &fd, err))
		return false;
	if (!secret_read(fd, SECRET_FILE_MAX, &read, err))
		return fail(err, ERR_CONFIG, TXT_MESSENGER_SECRET, path);
	struct bytes text = secret_reveal(read);
	if (text.len && text.at[text.len - 1] == '\n')
		text.len -= text.len > 1 && text.at[text.len - 2] == '\r' ? 2 : 1;
	if (!text.len)
		return fail(err, ERR_CONFIG, TXT_MESSENGER_SECRET, path);
	if (!secret_new(text.len + 1, &whole, err))
		return false;
	memcpy(secret_room(whole), text.at, text.len);
	*ret = take(whole);
	return true;
}

static const char *text_of(const struct secret *s)
{
	return (const char *)secret_reveal(s).at;
}

static struct bytes key_of(const struct secret *s)
{
	return bytes_of(secret_reveal(s).at, secret_len(s) - 1);
}

static bool read_secrets(struct errand *e, struct error *err)
{
	const struct sink *s = &e->sink;
	const char *file = s->type == SINK_EMAIL ? s->password_file : s->secret_file;
	if (file[0] && !read_secret_file(file, &e->secret, err))
		return false;
	if (file[0] && s->type == SINK_EMAIL && memchr(text_of(e->secret), '\0', key_of(e->secret).len))
		return fail(err, ERR_CONFIG, TXT_MESSENGER_SECRET, file);
	if (s->type == SINK_WEBHOOK && e->secret && key_of(e->secret).len < SIGNING_KEY_MIN)
		return fail(err, ERR_CONFIG, TXT_MESSENGER_SHORT_KEY, file, SIGNING_KEY_MIN);
	if (!s->url_file[0])
		return true;
	if (!read_secret_file(s->url_file, &e->url, err))
		return false;
	bool is_good = strlen(text_of(e->url)) == key_of(e->url).len && settings_url_is_good(text_of(e->url)) &&
		       strncmp(text_of(e->url), "https:", 6) == 0;
	return is_good ? true : fail(err, ERR_CONFIG, TXT_MESSENGER_URL_FILE, s->url_file);
}

static const char *url_of(const struct errand *e)
{
	return e->url ? text_of(e->url) : e->sink.url;
}

/* --- requests and mails --- */

__attribute__((format(printf, 2, 3))) static void add_header(struct errand *e, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(e->headers[e->header_count++], HEADER_MAX, format, args);
	va_end(args);
}

/* "t=TIME,v1=HEX": HEX is HMAC-SHA256 with the key over TIME, a dot and the body. The time is part of what is signed,
 * so that a receiver can refuse what somebody recorded and sends again. */
static void add_signature(struct errand *e)
{
	crypto_auth_hmacsha256_state state;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	char time[32], hex[2 * sizeof mac + 1];
	struct bytes key = key_of(e->secret);
	int len = snprintf(time, sizeof time, "%lld.", (long long)clock_wall());
	crypto_auth_hmacsha256_init(&state, key.at, key.len);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)time, (unsigned)len);
	crypto_auth_hmacsha256_update(&state, e->body.at, e->body.len);
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof state);
	add_header(e, "X-Pixelvault-Signature: t=%.*s,v1=%s", len - 1, time,
		   sodium_bin2hex(hex, sizeof hex, mac, sizeof mac));
}

static void compose_request(struct errand *e)
{
	char id[RENDER_ID_MAX];
	if (e->sink.type == SINK_PING)
		return;
	add_header(e, "Content-Type: application/json; charset=utf-8");
	if (e->sink.type == SINK_SLACK) {
		render_slack(e->message, e->host, &e->body);
		return;
	}
	render_json(e->message, e->host, &e->body);
	render_id(e->message, id);
	add_header(e, "X-Pixelvault-Event: %s", alert_event_name(e->message->event));
	add_header(e, "X-Pixelvault-Id: %s", id);
	if (e->secret)
		add_signature(e);
}

static bool has_mail(const struct errand *e)
{
	return e->sink.type == SINK_EMAIL;
}

static void compose_mail(struct errand *e)
{
	if (!e->sink.from[0])
		snprintf(e->sink.from, sizeof e->sink.from, "pixelvault@%.180s", e->host);
	struct mail_ends ends = { e->sink.from, e->sink.to };
	render_mail(e->message, e->host, &ends, &e->body);
}

/* From here on a fault in a library is worth little to whoever finds it. */
static bool enter_sandbox(const struct errand *e, struct error *err)
{
	const char *const readable[] = { SANDBOX_READING_OF_NETWORK, e->sink.ca_file[0] ? e->sink.ca_file : NULL,
					 NULL };
	struct sandbox_plan plan = { .role = SANDBOX_COURIER, .readable = readable };
	struct sandbox_report report;
	return post_port(url_of(e), &plan.port, err) && sandbox_enter(&plan, &report, err);
}

static bool send_out(struct errand *e, struct delivery_result *ret, struct error *err)
{
	struct post post = { .url = url_of(e),
			     .ca_file = e->sink.ca_file,
			     .time_limit_s = e->sink.time_limit_s,
			     .is_plain = e->sink.is_plain_mail };
	(has_mail(e) ? compose_mail : compose_request)(e);
	if (!buf_ok(&e->body, err) || !post_open(err) || !enter_sandbox(e, err))
		return false;
	post.body = buf_bytes(&e->body);
	for (size_t i = 0; i < e->header_count; i++)
		post.headers[i] = e->headers[i];
	if (has_mail(e)) {
		post.from = e->sink.from;
		post.to = e->sink.to;
		post.user = e->sink.user[0] ? e->sink.user : NULL;
		post.password = e->secret ? text_of(e->secret) : NULL;
	}
	post_send(&post, ret);
	return true;
}

static bool run_command(struct errand *e, struct delivery_result *ret, struct error *err)
{
	render_json(e->message, e->host, &e->body);
	buf_append_text(&e->body, "\n");
	if (!buf_ok(&e->body, err))
		return false;
	hook_run(e->sink.command, e->sink.time_limit_s, buf_bytes(&e->body), ret);
	return true;
}

/* --- the errand --- */

/* Only what may stand in a header or behind an @. */
static void find_host(char host[HOST_MAX])
{
	(void)!gethostname(host, HOST_MAX); /* no machine's is longer */
	host[HOST_MAX - 1] = '\0';
	for (char *at = host; *at; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
		      *at == '.' || *at == '-'))
			*at = '-';
	if (!host[0])
		snprintf(host, HOST_MAX, "localhost");
}

static bool carry_out(struct errand *e, struct delivery_result *ret, struct error *err)
{
	if (!secret_arena_open(SECRET_ARENA_SMALL, err) || !read_secrets(e, err))
		return false;
	find_host(e->host);
	(void)alarm((unsigned)e->sink.time_limit_s + MESSENGER_GUARD_S);
	if (e->sink.type == SINK_EXEC)
		return run_command(e, ret, err);
	if (e->sink.type != SINK_SYSLOG)
		return send_out(e, ret, err);
	syslog_send(e->sink.socket, e->sink.time_limit_s, e->message, ret);
	return true;
}

/* What is not as it should be on this host is for a person to put right: then it goes out. */
static void deliver_parcel(const char *config, const struct parcel *p, struct delivery_result *ret)
{
	struct settings_flags flags = { .config = config };
	scoped(settings_done) struct settings settings = { 0 };
	scoped(errand_done) struct errand e = { .message = p->has_message ? &p->message : NULL,
						.body = BUF_INIT(RENDER_MAX) };
	struct error err;
	if (!settings_begin(&flags, &settings, &err)) {
		ret->outcome = DELIVERY_LATER;
		snprintf(ret->reason, sizeof ret->reason, "%.*s", DELIVERY_REASON_MAX, err.message);
	} else if (!sink_find(settings.config, p->sink, &e.sink)) {
		ret->outcome = DELIVERY_REFUSED;
		snprintf(ret->reason, sizeof ret->reason, "there is no such [alert %s] in the configuration any more",
			 p->sink);
	} else if ((int32_t)e.sink.type != p->type) {
		ret->outcome = DELIVERY_LATER;
		snprintf(ret->reason, sizeof ret->reason,
			 "[alert %s] is of another type by now; the agent has to reload its configuration", p->sink);
	} else if (!carry_out(&e, ret, &err)) {
		ret->outcome = DELIVERY_LATER;
		snprintf(ret->reason, sizeof ret->reason, "%.*s", DELIVERY_REASON_MAX, err.message);
	}
}

/* No signal comes in between: none has a handler here. */
static bool read_parcel(struct parcel *ret)
{
	uint8_t *to = (uint8_t *)ret;
	for (size_t got = 0; got < sizeof *ret;) {
		ssize_t some = recv(MESSENGER_FD, to + got, sizeof *ret - got, MSG_WAITALL);
		if (some <= 0)
			return false;
		got += (size_t)some;
	}
	return true;
}

static bool parcel_is_sound(const struct parcel *p)
{
	const struct alert_message *m = &p->message;
	return p->version == PARCEL_VERSION && memchr(p->sink, '\0', sizeof p->sink) &&
	       (p->has_message != 0) == (p->type != SINK_PING) && m->entry_count <= ALERT_ENTRIES_MAX &&
	       (unsigned)m->event < ALERT_EVENT_COUNT && (unsigned)m->severity < SEVERITY_COUNT;
}

static void write_receipt(const struct delivery_result *result)
{
	struct receipt r = { .version = PARCEL_VERSION,
			     .outcome = (int32_t)result->outcome,
			     .retry_after_s = result->retry_after_s };
	memcpy(r.reason, result->reason, sizeof r.reason);
	utf8_defang(r.reason);
	for (char *at = r.reason; *at; at++)
		if (*at > '~' || *at < ' ')
			*at = '?';
	(void)!send(MESSENGER_FD, &r, sizeof r, MSG_NOSIGNAL);
}

int messenger_main(const char *config)
{
	struct error err;
	int type;
	socklen_t len = sizeof type;
	struct delivery_result result = { .outcome = DELIVERY_LATER };
	log_open("vault-agent (messenger)", LOG_INFO);
	(void)prctl(PR_SET_NAME, "vault-agent");
	if (getsockopt(MESSENGER_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM) {
		(void)!fail(&err, ERR_USAGE, TXT_MESSENGER_NOT_BY_HAND);
		log_error(&err);
		return (int)err.code;
	}
	(void)fcntl(MESSENGER_FD, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(MESSENGER_GUARD_S);
	struct parcel *parcel = calloc(1, sizeof *parcel);
	bool is_read = parcel && read_parcel(parcel);
	if (is_read && parcel_is_sound(parcel))
		deliver_parcel(config, parcel, &result);
	else
		snprintf(result.reason, sizeof result.reason, "the messenger and who started it are of two versions");
	if (is_read)
		write_receipt(&result);
	free(parcel);
	return 0;
}
