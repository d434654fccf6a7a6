#include "cli/remote.h"

#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

#define WAIT_READ_MS 15000
#define WAIT_LIST_MS 120000
#define WAIT_PUT_MS 300000 /* TikTok is asked, and others may be before us */
#define NAMES_AT_ONCE 100
#define CODES_AT_ONCE 300 /* in a body of 16 KiB */
#define BODY_BYTES_MAX ((size_t)1 << 30)
#define ANSWER_BYTES_MAX ((size_t)1 << 20)

/* ---- members of objects ---- */

void member_text(struct bytes object, const char *key, char *ret, size_t size)
{
	struct bytes raw;
	if (!json_find_raw(object, key, &raw) || !json_as_text(raw, ret, size))
		ret[0] = '\0';
}

int64_t member_int(struct bytes object, const char *key)
{
	struct bytes raw;
	int64_t value;
	return json_find_raw(object, key, &raw) && json_as_int(raw, &value) ? value : 0;
}

bool member_bool(struct bytes object, const char *key)
{
	struct bytes raw;
	bool value;
	return json_find_raw(object, key, &raw) && json_as_bool(raw, &value) && value;
}

bool member_next(struct bytes *from, struct bytes *ret)
{
	const uint8_t *start = from->len ? memchr(from->at, '{', from->len) : NULL;
	const uint8_t *end = start ? memchr(start, '}', from->len - (size_t)(start - from->at)) : NULL;
	if (!end)
		return false;
	*ret = bytes_of(start, (size_t)(end - start) + 1);
	*from = bytes_of(end + 1, from->len - (size_t)(end + 1 - from->at));
	return true;
}

static bool is_object(struct bytes text, struct error *err)
{
	static const struct json_limits limits = { .depth = 16, .nodes = 1000000 };
	const char *why;
	if (text.len && text.at[0] == '{' && json_check(text, limits, &why))
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
}

/* ---- targets ---- */

void target_of_pixel(struct buf *target, const char *pixel, const char *rest)
{
	buf_append_text(target, "/v1/pixels/");
	buf_append_text(target, pixel);
	buf_append_text(target, rest);
}

static void query_number(struct buf *target, const char *key, int64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)number);
	target_query(target, key, text);
}

static void query_labels(struct buf *target, const struct label *labels, size_t count)
{
	char text[LABEL_KEY_MAX + LABEL_VALUE_MAX + 2];
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof text, "%s=%s", labels[i].key, labels[i].value);
		target_query(target, "label", text);
	}
}

/* Ask with this target; whatever is wrong comes back as error. */
static bool demand(struct client *c, struct buf *target, struct client_request *r, struct reply *ret,
		   struct error *err)
{
	r->target = target_text(target);
	bool is_done = r->target ? client_demand(c, r, ret, err) : fail_no_memory(err);
	buf_done(target);
	return is_done;
}

/* ---- tokens ---- */

static enum verdict verdict_of(const struct reply *reply)
{
	struct bytes text;
	int verdict = reply_header(reply, "X-Verdict", &text) ? verdict_by_name(text) : 0;
	return verdict < 0 ? VERDICT_UNCHECKED : (enum verdict)verdict;
}

static void token_target(struct buf *target, const struct handout_request *r)
{
	target_of_pixel(target, r->pixel, "/token");
	if (r->has_number)
		query_number(target, "version", r->number);
	if (r->is_previous)
		target_query(target, "previous", "1");
	if (r->must_be_healthy)
		target_query(target, "healthy", "1");
}

bool remote_get(struct client *c, const struct handout_request *r, bool as_json, struct remote_token *ret,
		struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), headers = BUF_INIT(TARGET_BYTES_MAX);
	struct client_request request = { .method = "GET", .is_last = r->is_last, .wait_ms = WAIT_READ_MS };
	struct reply reply;
	token_target(&target, r);
	if (r->reader) {
		buf_append_text(&headers, "X-Consumer: ");
		buf_append_text(&headers, r->reader);
		buf_append_text(&headers, "\r\n");
	}
	if (r->is_look)
		buf_append_text(&headers, "Prefer: unnoted\r\n");
	if (as_json)
		buf_append_text(&headers, "Accept: application/json\r\n");
	request.headers = headers.len ? target_text(&headers) : NULL;
	bool is_done = demand(c, &target, &request, &reply, err);
	buf_done(&headers);
	if (!is_done)
		return false;
	ret->version = (uint32_t)reply_number(&reply, "X-Version");
	ret->verdict = verdict_of(&reply);
	if (!client_secret(c, TOKEN_INPUT_MAX, &ret->body, err))
		return false;
	/* No token is empty: who asks in a script would go on with nothing. */
	return secret_len(ret->body) ? true : fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
}

/* ---- records ---- */

/* The later of the agent's and ours, as vault_later_clock is without an agent. */
static int64_t clock_of(const struct reply *reply)
{
	struct bytes value;
	struct error unused;
	char text[CLOCK_TEXT_MAX];
	int64_t now = clock_wall(), told = 0;
	if (!reply_header(reply, "X-Judged-At", &value) || value.len >= sizeof text)
		return now;
	memcpy(text, value.at, value.len);
	text[value.len] = '\0';
	return clock_parse(text, &told, &unused) && told > now ? told : now;
}

static bool get_records(struct client *c, struct buf *target, struct buf *ret, int64_t *ret_clock, struct error *err)
{
	struct client_request request = { .method = "GET",
					  .headers = "Accept: " RECORDS_TYPE "\r\n",
					  .wait_ms = WAIT_LIST_MS };
	struct reply reply;
	if (!demand(c, target, &request, &reply, err))
		return false;
	*ret_clock = clock_of(&reply);
	return client_body(c, ret, err);
}

static bool each_record(struct bytes from, vault_each_fn *fn, void *context, size_t *ret_count, struct error *err)
{
	struct credential credential;
	struct health health;
	bool is_end = false;
	*ret_count = 0;
	if (!records_begin(&from))
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
	for (;;) {
		if (!records_take(&from, &credential, &health, &is_end))
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
		if (is_end)
			return true;
		if (!fn(context, &credential, &health, err))
			return false;
		(*ret_count)++;
	}
}

struct single {
	struct credential *credential;
	struct health *health; /* NULL: not wanted */
};

static bool keep_single(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	const struct single *s = context;
	(void)err;
	*s->credential = *c;
	if (s->health)
		*s->health = *h;
	return true;
}

bool remote_find(struct client *c, const char *pixel, bool with_past, struct credential *ret, struct health *ret_health,
		 struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(BODY_BYTES_MAX);
	struct single single = { ret, ret_health };
	size_t count;
	int64_t unused;
	target_of_pixel(&target, pixel, with_past ? "/history" : "");
	bool is_done = get_records(c, &target, &body, &unused, err) &&
		       each_record(buf_bytes(&body), keep_single, &single, &count, err);
	buf_done(&body);
	return is_done && (count == 1 ? true : fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE));
}

/* What the agent leaves out of a list, for one who may not see it or because it is not there, a single question tells. */
static bool ask_singly(struct client *c, const char *const *pixels, size_t count, vault_each_fn *fn, void *context,
		       struct error *err)
{
	struct credential credential;
	struct health health;
	for (size_t i = 0; i < count; i++)
		if (!remote_find(c, pixels[i], false, &credential, &health, err) ||
		    !fn(context, &credential, &health, err))
			return false;
	return true;
}

static bool ignore_one(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	(void)context, (void)c, (void)h, (void)err;
	return true;
}

static bool each_of(struct client *c, const char *const *pixels, size_t count, vault_each_fn *fn, void *context,
		    int64_t *ret_clock, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(BODY_BYTES_MAX);
	size_t found;
	buf_append_text(&target, "/v1/pixels");
	for (size_t i = 0; i < count; i++)
		target_query(&target, "pixel", pixels[i]);
	bool is_done = get_records(c, &target, &body, ret_clock, err) &&
		       each_record(buf_bytes(&body), count ? ignore_one : fn, context, &found, err);
	if (is_done && count && found != count)
		is_done = ask_singly(c, pixels, count, fn, context, err);
	else if (is_done && count)
		is_done = each_record(buf_bytes(&body), fn, context, &found, err);
	buf_done(&body);
	return is_done;
}

bool remote_each(struct client *c, const char *const *pixels, size_t count, vault_each_fn *fn, void *context,
		 int64_t *ret_clock, struct error *err)
{
	if (!count)
		return each_of(c, NULL, 0, fn, context, ret_clock, err);
	for (size_t at = 0; at < count; at += NAMES_AT_ONCE)
		if (!each_of(c, pixels + at, count - at < NAMES_AT_ONCE ? count - at : NAMES_AT_ONCE, fn, context,
			     ret_clock, err))
			return false;
	return true;
}

/* ---- put ---- */

static void put_target(struct buf *target, const struct put_request *r)
{
	char text[CLOCK_TEXT_MAX];
	target_of_pixel(target, r->pixel, "/token");
	if (r->no_check)
		target_query(target, "check", "no");
	if (r->family != FAMILY_PLAIN)
		target_query(target, "family", family_name(r->family));
	if (r->is_standby)
		target_query(target, "standby", "1");
	if (r->must_be_own)
		target_query(target, "own", "1");
	if (r->test_code)
		target_query(target, "test-code", r->test_code);
	if (r->expires_at)
		target_query(target, "expires", clock_format(r->expires_at, text));
	query_labels(target, r->labels, r->label_count);
}

static unsigned removed_of(struct bytes object)
{
	struct bytes raw;
	char quoted[40];
	unsigned removed = 0;
	if (!json_find_raw(object, "removed", &raw))
		return 0;
	for (unsigned bit = 1; bit <= REMOVED_HEADER_NAME; bit <<= 1) {
		snprintf(quoted, sizeof quoted, "\"%s\"", removed_name((enum removed)bit));
		if (memmem(raw.at, raw.len, quoted, strlen(quoted)))
			removed |= bit;
	}
	return removed;
}

static enum verdict verdict_member(struct bytes object, const char *key)
{
	char name[32];
	member_text(object, key, name, sizeof name);
	int verdict = verdict_by_name(bytes_of_text(name));
	return verdict < 0 ? VERDICT_UNCHECKED : (enum verdict)verdict;
}

/* What an object of a put says; its texts are copied. */
static void read_object(struct bytes object, struct put_result *r)
{
	char stage[32], mend[16];
	struct bytes outcome;
	*r = (struct put_result){ .version = (uint32_t)member_int(object, "version"),
				  .is_unchanged = member_bool(object, "unchanged"),
				  .verdict = verdict_member(object, "verdict"),
				  .was_asked = json_find_raw(object, "outcome", &outcome) &&
					       !bytes_equal(outcome, bytes_of_text("null")),
				  .outcome = verdict_member(object, "outcome"),
				  .tried = (size_t)member_int(object, "tried"),
				  .removed = removed_of(object) };
	int64_t status = member_int(object, "exit");
	r->exit = status > 0 && status < ERR_COUNT ? (enum error_code)status : ERR_NONE;
	member_text(object, "stage", stage, sizeof stage);
	int number = stage_by_name(bytes_of_text(stage));
	r->stage = number < 0 ? STAGE_PENDING : (enum stage)number;
	member_text(object, "mend", mend, sizeof mend);
	r->mend = mend_by_name(mend);
	member_text(object, "pixel", r->pixel, sizeof r->pixel);
	member_text(object, "belongs_to", r->belongs_to, sizeof r->belongs_to);
	member_text(object, "also_stored", r->also_stored, sizeof r->also_stored);
	member_text(object, "message", r->evidence.text, sizeof r->evidence.text);
}

static void read_put(struct bytes object, struct remote_put *ret)
{
	read_object(object, &ret->result);
	member_text(object, "advice", ret->advice, sizeof ret->advice);
	ret->result.advice = ret->advice[0] ? ret->advice : NULL;
}

/* A token that TikTok refused is a problem to HTTP, and an ordinary result to us: the object tells. */
static bool ask_put(struct client *c, struct buf *target, struct client_request *request, struct remote_put *ret,
		    struct error *err)
{
	struct bytes outcome;
	struct reply reply;
	struct error unused;
	request->target = target_text(target);
	ret->body = (struct buf)BUF_INIT(ANSWER_BYTES_MAX);
	bool is_asked = request->target ? client_ask(c, request, &reply, err) : fail_no_memory(err);
	buf_done(target);
	int status = is_asked ? reply.status : 0;
	if (!is_asked || !client_body(c, &ret->body, err))
		return false;
	struct bytes object = buf_bytes(&ret->body);
	if (!is_object(object, &unused) || !json_find_raw(object, "outcome", &outcome))
		return reply_fail(status, object, err);
	read_put(object, ret);
	return true;
}

bool remote_put(struct client *c, const struct put_request *r, struct remote_put *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	char condition[40];
	struct client_request request = { .method = "PUT",
					  .body = secret_reveal(r->pasted),
					  .has_body = true,
					  .wait_ms = WAIT_PUT_MS };
	put_target(&target, r);
	snprintf(condition, sizeof condition, "If-Match: \"%u\"\r\n", (unsigned)r->if_version);
	request.headers = r->has_if_version ? condition : NULL;
	return ask_put(c, &target, &request, ret, err);
}

bool remote_rollback(struct client *c, const char *pixel, struct remote_put *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	struct client_request request = { .method = "POST", .has_body = true, .wait_ms = WAIT_PUT_MS };
	target_of_pixel(&target, pixel, "/rollback");
	return ask_put(c, &target, &request, ret, err);
}

static void copy_members(struct bytes object, const char *const *keys, size_t count, struct buf *out)
{
	struct bytes raw;
	buf_append_text(out, "{\"schema\":1");
	for (size_t i = 0; i < count; i++) {
		if (!json_find_raw(object, keys[i], &raw))
			raw = bytes_of_text("null");
		buf_printf(out, ",\"%s\":", keys[i]);
		buf_append(out, raw.at, raw.len);
	}
	buf_append_text(out, "}\n");
}

void remote_put_json(const struct remote_put *told, struct buf *out)
{
	static const char *const keys[] = { "pixel", "version", "stage", "verdict", "fingerprint", "removed", "belongs_to" };
	copy_members(buf_bytes(&told->body), keys, COUNT_OF(keys), out);
}

/* ---- listing tokens ---- */

void remote_list_json(const struct remote_list *told, struct buf *out)
{
	static const char *const keys[] = { "listing", "version", "stage",  "verdict", "fingerprint", "removed", "unchanged",
					    "pages",   "listed",  "stored", "outcome", "message",     "advice" };
	copy_members(buf_bytes(&told->body), keys, COUNT_OF(keys), out);
}

static void read_list(struct bytes object, struct remote_list *ret)
{
	struct list_result *r = &ret->result;
	*r = (struct list_result){ .version = (uint32_t)member_int(object, "version"),
				   .pages = (uint32_t)member_int(object, "pages"),
				   .listed = (uint32_t)member_int(object, "listed"),
				   .stored = (size_t)member_int(object, "stored"),
				   .is_unchanged = member_bool(object, "unchanged"),
				   .verdict = verdict_member(object, "verdict"),
				   .outcome = verdict_member(object, "outcome") };
	char stage[16];
	int64_t status = member_int(object, "exit");
	member_text(object, "listing", r->name, sizeof r->name);
	member_text(object, "stage", stage, sizeof stage);
	r->stage = strcmp(stage, stage_name(STAGE_CURRENT)) == 0 ? STAGE_CURRENT : STAGE_PENDING;
	r->was_read = r->outcome == VERDICT_HEALTHY;
	member_text(object, "message", r->evidence.text, sizeof r->evidence.text);
	member_text(object, "advice", ret->advice, sizeof ret->advice);
	r->advice = ret->advice[0] ? ret->advice : NULL;
	r->removed = removed_of(object);
	r->exit = status > 0 && status < ERR_COUNT ? (enum error_code)status : ERR_NONE;
}

bool remote_list_put(struct client *c, const struct list_request *r, struct remote_list *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	struct client_request request = {
		.method = "PUT", .body = secret_reveal(r->pasted), .has_body = true, .wait_ms = WAIT_PUT_MS
	};
	struct bytes listed;
	struct reply reply;
	struct error unused;
	buf_append_text(&target, "/v1/listings/");
	buf_append_text(&target, r->name);
	buf_append_text(&target, "/token");
	if (r->no_check)
		target_query(&target, "check", "no");
	request.target = target_text(&target);
	ret->body = (struct buf)BUF_INIT(ANSWER_BYTES_MAX);
	bool is_asked = request.target ? client_ask(c, &request, &reply, err) : fail_no_memory(err);
	buf_done(&target);
	if (!is_asked || !client_body(c, &ret->body, err))
		return false;
	struct bytes object = buf_bytes(&ret->body);
	if (!is_object(object, &unused) || !json_find_raw(object, "listed", &listed))
		return reply_fail(reply.status, object, err);
	read_list(object, ret);
	return true;
}

bool remote_each_list(struct client *c, vault_each_fn *fn, void *context, int64_t *ret_clock, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(BODY_BYTES_MAX);
	size_t count;
	buf_append_text(&target, "/v1/listings");
	bool is_done = get_records(c, &target, &body, ret_clock, err) &&
		       each_record(buf_bytes(&body), fn, context, &count, err);
	buf_done(&body);
	return is_done;
}

/* ---- swap, move ---- */

static bool read_swap(struct bytes object, struct swap_result *ret)
{
	struct bytes from, to, both;
	if (ret->is_move ? !json_find_raw(object, "from", &from) || !json_find_raw(object, "moved", &to)
			 : !json_find_raw(object, "swapped", &both) || !member_next(&both, &from) ||
				   !member_next(&both, &to))
		return false;
	read_object(from, &ret->from);
	read_object(to, &ret->to);
	ret->to.is_unchanged = member_bool(object, "unchanged");
	return true;
}

bool remote_swap(struct client *c, const struct swap_request *r, struct remote_swap *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	char json[PIXEL_CODE_MAX + 16];
	target_of_pixel(&target, r->pixel, r->is_move ? "/move" : "/swap");
	if (r->no_check)
		target_query(&target, "check", "no");
	snprintf(json, sizeof json, "{\"%s\":\"%s\"}", r->is_move ? "to" : "with", r->other);
	ret->body = (struct buf)BUF_INIT(ANSWER_BYTES_MAX);
	ret->result.is_move = r->is_move;
	return remote_order(c, "POST", &target, json, &ret->body, err) &&
	       (read_swap(buf_bytes(&ret->body), &ret->result) ? true : fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE));
}

/* ---- rotate ---- */

static void rotate_body(struct json *j, const struct rotate_request *r, size_t from, size_t count)
{
	char text[LABEL_KEY_MAX + LABEL_VALUE_MAX + 2];
	json_object(j, NULL);
	json_array(j, "pixels");
	for (size_t i = from; i < from + count; i++)
		json_text(j, NULL, r->pixels[i]);
	json_end_array(j);
	json_array(j, "labels");
	for (size_t i = 0; i < r->label_count; i++) {
		snprintf(text, sizeof text, "%s=%s", r->labels[i].key, r->labels[i].value);
		json_text(j, NULL, text);
	}
	json_end_array(j);
	if (r->max_age_s)
		json_int(j, "max_age", r->max_age_s);
	json_bool(j, "cancel", r->is_cancel);
	json_end_object(j);
}

/* The codes of the answer: no text among them has an escape in it, or is longer than a code. */
static bool add_codes(struct bytes object, struct buf *ret, struct error *err)
{
	struct bytes raw;
	char pixel[PIXEL_CODE_MAX + 1];
	if (!json_find_raw(object, "pixels", &raw))
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
	for (const uint8_t *at = raw.at, *end = raw.at + raw.len; (at = memchr(at, '"', (size_t)(end - at)));) {
		const uint8_t *close = memchr(at + 1, '"', (size_t)(end - at - 1));
		size_t len = close ? (size_t)(close - at - 1) : sizeof pixel;
		if (len >= sizeof pixel)
			return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
		memset(pixel, 0, sizeof pixel);
		memcpy(pixel, at + 1, len);
		buf_append(ret, pixel, sizeof pixel);
		at = close + 1;
	}
	return buf_ok(ret, err);
}

static bool rotate_some(struct client *c, const struct rotate_request *r, size_t from, size_t count, struct buf *ret,
			size_t *ret_changed, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	struct buf answer = BUF_INIT(BODY_BYTES_MAX);
	struct json j = JSON_INIT(&body);
	rotate_body(&j, r, from, count);
	buf_append_text(&target, "/v1/rotate");
	const char *text = target_text(&body);
	bool is_done = text ? remote_order(c, "POST", &target, text, &answer, err) : fail_no_memory(err);
	is_done = is_done && add_codes(buf_bytes(&answer), ret, err);
	if (is_done)
		*ret_changed += (size_t)member_int(buf_bytes(&answer), "changed");
	buf_done(&body);
	buf_done(&answer);
	return is_done;
}

bool remote_rotate(struct client *c, const struct rotate_request *r, struct buf *ret, size_t *ret_changed,
		   struct error *err)
{
	*ret_changed = 0;
	if (!r->pixel_count)
		return rotate_some(c, r, 0, 0, ret, ret_changed, err);
	for (size_t at = 0; at < r->pixel_count; at += CODES_AT_ONCE) {
		size_t left = r->pixel_count - at;
		if (!rotate_some(c, r, at, left < CODES_AT_ONCE ? left : CODES_AT_ONCE, ret, ret_changed, err))
			return false;
	}
	return true;
}

/* ---- check ---- */

static void check_target(struct buf *target, const struct check_request *r)
{
	static const char *const probes[] = { [PROBE_CHOICE_DRY] = "dry",
					      [PROBE_CHOICE_TEST] = "test",
					      [PROBE_CHOICE_LIVE] = "live" };
	buf_append_text(target, "/v1/check");
	if (r->probe != PROBE_CHOICE_AUTO)
		target_query(target, "probe", probes[r->probe]);
	for (size_t i = 0; i < r->pixel_count; i++)
		target_query(target, "pixel", r->pixels[i]);
	query_labels(target, r->labels, r->label_count);
}

static void read_check(struct bytes object, struct remote_check *ret)
{
	struct check_result *r = &ret->result;
	char moment[CLOCK_TEXT_MAX];
	struct error unused;
	int64_t status = member_int(object, "exit");
	*r = (struct check_result){ .asked = (size_t)member_int(object, "asked"),
				    .bad = (size_t)member_int(object, "bad"),
				    .newly_bad = (size_t)member_int(object, "newly_bad"),
				    .transient = (size_t)member_int(object, "transient"),
				    .promoted = (size_t)member_int(object, "promoted"),
				    .due = (size_t)member_int(object, "due"),
				    .exit = status > 0 && status < ERR_COUNT ? (enum error_code)status : ERR_NONE };
	member_text(object, "resume_at", moment, sizeof moment);
	if (moment[0] && clock_parse(moment, &r->resume_at, &unused))
		r->end = SWEEP_BREAKER;
	member_text(object, "notice", ret->notice, sizeof ret->notice);
	r->notice = ret->notice[0] ? ret->notice : NULL;
}

static void tell_progress(struct bytes object, const struct check_request *r)
{
	char pixel[PIXEL_CODE_MAX + 1];
	if (!r->progress)
		return;
	member_text(object, "pixel", pixel, sizeof pixel);
	r->progress(r->context, (size_t)member_int(object, "done"), (size_t)member_int(object, "total"),
		    pixel[0] ? pixel : NULL, verdict_member(object, "outcome"));
}

/* *ret_done: the result was among the events. */
static bool take_events(struct bytes *from, const struct check_request *r, struct remote_check *ret, bool *ret_done,
			struct error *err)
{
	struct event event;
	while (event_take(from, &event)) {
		if (!is_object(event.data, err))
			return false;
		if (bytes_equal(event.name, bytes_of_text("error")))
			return reply_fail(0, event.data, err);
		if (bytes_equal(event.name, bytes_of_text("progress")))
			tell_progress(event.data, r);
		if (bytes_equal(event.name, bytes_of_text("result"))) {
			read_check(event.data, ret);
			*ret_done = true;
		}
	}
	return true;
}

/* Events are looked at as they come; what was looked at is dropped. */
static bool follow(struct client *c, const struct check_request *r, struct buf *text, struct remote_check *ret,
		   struct error *err)
{
	bool is_end = false, is_done = false;
	while (!is_end) {
		if (!client_some(c, text, &is_end, err))
			return false;
		struct bytes rest = buf_bytes(text);
		if (!take_events(&rest, r, ret, &is_done, err))
			return false;
		if (rest.len)
			memmove(text->at, rest.at, rest.len);
		text->len = rest.len;
	}
	return is_done ? true : fail(err, ERR_UNEXPECTED, TXT_CLIENT_GONE);
}

bool remote_check(struct client *c, const struct check_request *r, struct remote_check *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), text = BUF_INIT(ANSWER_BYTES_MAX);
	struct client_request request = { .method = "POST",
					  .headers = "Accept: text/event-stream\r\n",
					  .has_body = true };
	struct reply reply;
	check_target(&target, r);
	bool is_done = demand(c, &target, &request, &reply, err) && follow(c, r, &text, ret, err);
	buf_done(&text);
	return is_done;
}

/* ---- plan, match ---- */

/* With a hundred thousand Pixels it is longer than what is_object looks through. */
static bool is_long_object(struct bytes text, struct error *err)
{
	static const struct json_limits limits = { .depth = 16, .nodes = (size_t)1 << 24 };
	const char *why;
	return text.len && text.at[0] == '{' && json_check(text, limits, &why) ? true
		: fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
}

bool remote_plan(struct client *c, const struct plan_request *r, struct buf *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	struct client_request request = { .method = "GET", .wait_ms = WAIT_LIST_MS };
	struct reply reply;
	buf_append_text(&target, "/v1/plan");
	query_number(&target, "for", r->span_s);
	for (size_t i = 0; i < r->pixel_count; i++)
		target_query(&target, "pixel", r->pixels[i]);
	query_labels(&target, r->labels, r->label_count);
	return demand(c, &target, &request, &reply, err) && client_body(c, ret, err) &&
	       is_long_object(buf_bytes(ret), err);
}

bool remote_match(struct client *c, const struct secret *pasted, struct buf *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	struct client_request request = {
		.method = "POST", .body = secret_reveal(pasted), .has_body = true, .wait_ms = WAIT_LIST_MS
	};
	struct reply reply;
	buf_append_text(&target, "/v1/match");
	return demand(c, &target, &request, &reply, err) && client_body(c, ret, err) &&
	       is_object(buf_bytes(ret), err);
}

/* ---- the rest ---- */

bool remote_order(struct client *c, const char *method, struct buf *target, const char *json, struct buf *ret,
		  struct error *err)
{
	bool is_get = strcmp(method, "GET") == 0;
	struct client_request request = { .method = method,
					  .headers = json ? "Content-Type: application/json\r\n" : NULL,
					  .body = bytes_of_text(json ? json : ""),
					  .has_body = !is_get,
					  .wait_ms = WAIT_PUT_MS };
	struct reply reply;
	return demand(c, target, &request, &reply, err) && client_body(c, ret, err) && is_object(buf_bytes(ret), err);
}

bool remote_unlock(struct client *c, const struct secret *root_key, int64_t for_s, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(ANSWER_BYTES_MAX);
	struct client_request request = { .method = "POST",
					  .headers = "Content-Type: application/octet-stream\r\n",
					  .has_body = true,
					  .wait_ms = WAIT_LIST_MS };
	struct reply reply;
	buf_append_text(&target, "/v1/unlock");
	if (for_s)
		query_number(&target, "for", for_s);
	if (root_key)
		request.body = secret_reveal(root_key);
	bool is_done = demand(c, &target, &request, &reply, err) && client_body(c, &body, err);
	buf_done(&body);
	return is_done;
}

/* ---- who reads what ---- */

bool remote_marks(struct bytes object, vault_mark_fn *fn, void *context, struct error *err)
{
	struct bytes readers, one;
	char moment[CLOCK_TEXT_MAX];
	struct error unused;
	if (!json_find_raw(object, "readers", &readers))
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
	while (member_next(&readers, &one)) {
		struct read_mark mark = {
			.version = (uint32_t)member_int(one, "version"), .is_acked = member_bool(one, "acked")
		};
		member_text(one, "as", mark.name, sizeof mark.name);
		member_text(one, "at", moment, sizeof moment);
		if (moment[0] && !clock_parse(moment, &mark.at, &unused))
			mark.at = 0;
		if (!fn(context, &mark, err))
			return false;
	}
	return true;
}
