#include "agent/post.h"

#include "agent/text.h"
#include "core/version.h"
#include "core/wipe.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define CONNECT_MS 5000
#define PAUSE_MAX_S 3600

/* --- what has no say --- */

struct option {
	CURLoption name;
	long number;
	const char *text;
};

#define NUMBER(name, number)                                                                                           \
	{                                                                                                              \
		CURLOPT_##name, (number), NULL                                                                         \
	}
#define TEXT(name, text)                                                                                               \
	{                                                                                                              \
		CURLOPT_##name, 0, (text)                                                                              \
	}

/* Why each is there: agent/http.c. */
static const struct option options[] = {
	NUMBER(FOLLOWLOCATION, 0),
	NUMBER(MAXREDIRS, 0),
	NUMBER(UNRESTRICTED_AUTH, 0),
	TEXT(PROXY, ""),
	TEXT(NOPROXY, "*"),
	NUMBER(NETRC, CURL_NETRC_IGNORED),
	NUMBER(SSL_VERIFYPEER, 1),
	NUMBER(SSL_VERIFYHOST, 2),
	NUMBER(SSLVERSION, CURL_SSLVERSION_TLSv1_2),
	NUMBER(SSL_SESSIONID_CACHE, 0),
	NUMBER(HTTP_VERSION, CURL_HTTP_VERSION_1_1),
	NUMBER(HTTP09_ALLOWED, 0),
	NUMBER(CONNECTTIMEOUT_MS, CONNECT_MS),
	NUMBER(NOSIGNAL, 1),
	NUMBER(NOPROGRESS, 1),
	NUMBER(VERBOSE, 0),
	NUMBER(FAILONERROR, 0),
	TEXT(USERAGENT, "pixelvault/" PIXELVAULT_VERSION),
};

bool post_open(struct error *err)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc, wipe_strdup, wipe_calloc) ==
	    CURLE_OK)
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_HTTP_OPTION, "curl_global_init_mem");
}

bool post_port(const char *address, uint16_t *ret, struct error *err)
{
	CURLU *url = curl_url();
	char *text = NULL;
	bool is_good = url && curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK &&
		       curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK;
	unsigned long port = is_good ? strtoul(text, NULL, 10) : 0;
	curl_free(text);
	curl_url_cleanup(url);
	if (port < 1 || port > UINT16_MAX)
		return fail(err, ERR_CONFIG, TXT_MESSENGER_URL);
	*ret = (uint16_t)port;
	return true;
}

/* --- the exchange --- */

struct sending {
	const struct post *post;
	struct bytes left; /* of a mail */
	size_t got;
	bool has_head; /* all of it came */
	CURL *easy;
	struct curl_slist *headers, *recipients;
	char reason[CURL_ERROR_SIZE];
};

static void sending_done(struct sending *s)
{
	curl_easy_cleanup(s->easy);
	curl_slist_free_all(s->headers);
	curl_slist_free_all(s->recipients);
	wipe(s->reason, sizeof s->reason);
}

/* Body and head of the answer alike: counted, and thrown away. */
static size_t on_answer(char *at, size_t size, size_t count, void *context)
{
	struct sending *s = context;
	(void)at;
	s->got += size * count;
	return s->got > ANSWER_MAX ? 0 : size * count;
}

/* Behind a 1xx another head begins. */
static size_t on_head(char *at, size_t size, size_t count, void *context)
{
	struct sending *s = context;
	size_t len = size * count;
	s->has_head = len > 0 && (*at == '\r' || *at == '\n');
	return on_answer(at, size, count, context);
}

static size_t on_mail(char *to, size_t size, size_t count, void *context)
{
	struct sending *s = context;
	struct bytes part;
	size_t len = size * count < s->left.len ? size * count : s->left.len;
	if (!bytes_take(&s->left, len, &part))
		return 0;
	memcpy(to, part.at, part.len);
	return part.len;
}

static bool add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (longer)
		*list = longer;
	return longer != NULL;
}

static bool add_recipients(struct sending *s)
{
	char word[SINK_VALUE_SIZE];
	for (const char *at = s->post->to; *at;) {
		size_t len = strcspn(at, " \t");
		snprintf(word, sizeof word, "%.*s", (int)len, at);
		if (!add_line(&s->recipients, word))
			return false;
		at += len + strspn(at + len, " \t");
	}
	return true;
}

static bool add_headers(struct sending *s)
{
	for (const char *const *line = s->post->headers; *line; line++)
		if (!add_line(&s->headers, *line))
			return false;
	/* libcurl would wait a second for a leave to send the body that few servers give. */
	return add_line(&s->headers, "Expect:");
}

static const char *ca_file_of(const struct post *p)
{
	static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/cert.pem" };
	for (size_t i = 0; !p->ca_file[0] && i < COUNT_OF(usual); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
	return p->ca_file[0] && access(p->ca_file, R_OK) == 0 ? p->ca_file : NULL;
}

#define SET(name, value) (rc = rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_##name, (value)) : rc)

static CURLcode set_request(CURL *easy, struct sending *s)
{
	CURLcode rc = add_headers(s) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
	SET(PROTOCOLS_STR, "https");
	SET(HTTPHEADER, s->headers);
	if (!s->post->body.len) {
		SET(HTTPGET, 1L);
		return rc;
	}
	SET(POST, 1L);
	SET(POSTFIELDS, (const char *)s->post->body.at);
	SET(POSTFIELDSIZE, (long)s->post->body.len);
	return rc;
}

/* One recipient that is not taken keeps nobody else's mail back. */
static CURLcode set_mail(CURL *easy, struct sending *s)
{
	const struct post *p = s->post;
	CURLcode rc = add_recipients(s) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
	SET(PROTOCOLS_STR, "smtp,smtps");
	SET(USE_SSL, (long)(p->is_plain ? CURLUSESSL_NONE : CURLUSESSL_ALL));
	SET(MAIL_FROM, p->from);
	SET(MAIL_RCPT, s->recipients);
	SET(MAIL_RCPT_ALLLOWFAILS, 1L);
	SET(UPLOAD, 1L);
	SET(READFUNCTION, on_mail);
	SET(READDATA, s);
	SET(INFILESIZE_LARGE, (curl_off_t)p->body.len);
	if (p->user) {
		SET(USERNAME, p->user);
		SET(PASSWORD, p->password);
	}
	return rc;
}

static CURLcode set_all(struct sending *s, const char *ca_file)
{
	CURL *easy = s->easy;
	CURLcode rc = easy ? CURLE_OK : CURLE_OUT_OF_MEMORY;
	for (size_t i = 0; rc == CURLE_OK && i < COUNT_OF(options); i++)
		rc = options[i].text ? curl_easy_setopt(easy, options[i].name, options[i].text)
				     : curl_easy_setopt(easy, options[i].name, options[i].number);
	SET(URL, s->post->url);
	SET(CAINFO, ca_file);
	SET(CAPATH, (char *)NULL);
	SET(TIMEOUT_MS, (long)s->post->time_limit_s * 1000);
	SET(WRITEFUNCTION, on_answer);
	SET(WRITEDATA, s);
	SET(HEADERFUNCTION, on_head);
	SET(HEADERDATA, s);
	SET(ERRORBUFFER, s->reason);
	if (rc == CURLE_OK)
		rc = s->post->from ? set_mail(easy, s) : set_request(easy, s);
	return rc;
}

/* --- what came of it --- */

static void tell(struct delivery_result *ret, enum delivery_outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(struct delivery_result *ret, enum delivery_outcome outcome, const char *format, ...)
{
	va_list args;
	ret->outcome = outcome;
	va_start(args, format);
	vsnprintf(ret->reason, sizeof ret->reason, format, args);
	va_end(args);
}

/* An answer's number is all that is believed of it. 4xx will be the same the next time, but for those that speak of
 * time. An answer that is too long, or whose end does not come, has been given all the same. */
static void judge_request(long status, struct delivery_result *ret)
{
	bool is_about_time = status == 408 || status == 425 || status == 429 || status >= 500;
	if (status >= 200 && status < 300)
		ret->outcome = DELIVERY_DONE;
	else if (status >= 300 && status < 400)
		tell(ret, DELIVERY_REFUSED, "HTTP %ld: it sends us elsewhere, and redirects are not followed", status);
	else
		tell(ret, is_about_time ? DELIVERY_LATER : DELIVERY_REFUSED, "HTTP %ld", status);
}

static void judge_mail(const struct sending *s, CURLcode rc, long code, struct delivery_result *ret)
{
	if (rc == CURLE_OK)
		ret->outcome = DELIVERY_DONE;
	else if (rc == CURLE_LOGIN_DENIED)
		tell(ret, DELIVERY_LATER, "the mail server does not take user and password (%ld)", code);
	else if (rc == CURLE_USE_SSL_FAILED)
		tell(ret, DELIVERY_LATER, "the mail server offers no encryption (STARTTLS): nothing was sent");
	else
		tell(ret, code >= 500 && code < 600 ? DELIVERY_REFUSED : DELIVERY_LATER, "%s",
		     s->reason[0] ? s->reason : curl_easy_strerror(rc));
}

static void judge(const struct sending *s, CURLcode rc, struct delivery_result *ret)
{
	long status = 0;
	curl_off_t pause = 0;
	(void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (s->post->from)
		judge_mail(s, rc, status, ret);
	else if (rc == CURLE_OK || (s->has_head && status >= 200))
		judge_request(status, ret);
	else
		tell(ret, DELIVERY_LATER, "%s", s->reason[0] ? s->reason : curl_easy_strerror(rc));
	if (ret->outcome == DELIVERY_LATER && curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &pause) == CURLE_OK)
		ret->retry_after_s = pause > PAUSE_MAX_S ? PAUSE_MAX_S : pause < 0 ? 0 : (int64_t)pause;
}

void post_send(const struct post *p, struct delivery_result *ret)
{
	scoped(sending_done) struct sending s = { .post = p, .left = p->body, .easy = curl_easy_init() };
	const char *ca_file = ca_file_of(p);
	if (!ca_file) {
		tell(ret, DELIVERY_LATER, "there is no file of CA certificates: see ca-file");
		return;
	}
	CURLcode rc = set_all(&s, ca_file);
	if (rc == CURLE_OK)
		judge(&s, curl_easy_perform(s.easy), ret);
	else
		tell(ret, DELIVERY_LATER, "libcurl: %s", curl_easy_strerror(rc));
}
