#include "cli/source.h"

#include "agent/alert_round.h"
#include "agent/consumer.h"
#include "agent/objects.h"
#include "agent/text.h"
#include "agent/sweep_note.h"
#include "cli/output.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool source_connect(struct invocation *inv, struct error *err)
{
	const struct settings *s = inv->settings;
	return s->vault_is_explicit || client_open(s->socket, s->user, s->socket_is_told, &inv->agent, err);
}

bool source_demand_agent(struct invocation *inv, struct error *err)
{
	const struct settings *s = inv->settings;
	if (!inv->agent && !client_open(s->socket, s->user, s->socket_is_told, &inv->agent, err))
		return false;
	return inv->agent ? true : fail(err, ERR_UNEXPECTED, TXT_NO_AGENT, s->socket);
}

bool source_renew(struct invocation *inv, struct error *err)
{
	if (!inv->agent)
		return true;
	client_freep(&inv->agent);
	return source_demand_agent(inv, err);
}

/* ---- reading ---- */

bool source_find(struct invocation *inv, const char *pixel, bool want_removed, struct credential *ret,
		 struct health *ret_health, struct error *err)
{
	if (inv->agent)
		return remote_find(inv->agent, pixel, want_removed, ret, ret_health, err);
	return vault_find(inv->vault, pixel, want_removed, ret, err) &&
	       (!ret_health || vault_health(inv->vault, ret, ret_health, err));
}

/* A few names cost a few records, not the whole vault. */
static bool each_named(struct vault *v, const char *const *pixels, size_t count, bool with_health, vault_each_fn *fn,
		       void *context, struct error *err)
{
	struct credential c;
	struct health h;
	for (size_t i = 0; i < count; i++) {
		if (!vault_find(v, pixels[i], false, &c, err) || (with_health && !vault_health(v, &c, &h, err)))
			return false;
		if (!fn(context, &c, with_health ? &h : NULL, err))
			return false;
	}
	return true;
}

bool source_each(struct invocation *inv, const char *const *pixels, size_t count, bool with_health, vault_each_fn *fn,
		 void *context, struct error *err)
{
	if (inv->agent)
		return remote_each(inv->agent, pixels, count, fn, context, &inv->clock, err);
	inv->clock = vault_later_clock(inv->vault);
	if (count)
		return each_named(inv->vault, pixels, count, with_health, fn, context, err);
	return vault_each(inv->vault, with_health, false, fn, context, err);
}

bool source_each_list(struct invocation *inv, vault_each_fn *fn, void *context, struct error *err)
{
	if (inv->agent)
		return remote_each_list(inv->agent, fn, context, &inv->clock, err);
	inv->clock = vault_later_clock(inv->vault);
	return vault_each_list(inv->vault, fn, context, err);
}

/* ---- asking TikTok ---- */

bool source_check(struct invocation *inv, const struct check_request *r, struct remote_check *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	if (inv->agent)
		return remote_check(inv->agent, r, ret, err);
	return service_new(inv->vault, inv->settings, &service, err) && service_check(service, r, &ret->result, err);
}

bool source_put(struct invocation *inv, const struct put_request *r, put_notice_fn *notice, void *context,
		struct remote_put *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	if (inv->agent)
		return remote_put(inv->agent, r, ret, err);
	return service_new(inv->vault, inv->settings, &service, err) &&
	       service_put(service, r, notice, context, &ret->result, err);
}

bool source_list_put(struct invocation *inv, const struct list_request *r, struct remote_list *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	if (inv->agent)
		return remote_list_put(inv->agent, r, ret, err);
	return service_new(inv->vault, inv->settings, &service, err) && service_list(service, r, &ret->result, err);
}

bool source_rollback(struct invocation *inv, const char *pixel, struct remote_put *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	if (inv->agent)
		return remote_rollback(inv->agent, pixel, ret, err);
	return service_new(inv->vault, inv->settings, &service, err) &&
	       service_rollback(service, pixel, &ret->result, err);
}

/* ---- versions on their way out: an agent sees to them by itself ---- */

static void tell_upkeep(void *context, const struct upkeep_news *news)
{
	char text[256];
	bool is_warning;
	upkeep_sentence(news, text, sizeof text, &is_warning);
	if (is_warning)
		say_problem(context, NULL, "%s", text);
	else
		say(context, "%s", text);
}

bool source_upkeep(struct invocation *inv, const char *const *pixels, size_t count, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	return inv->agent || (service_new(inv->vault, inv->settings, &service, err) &&
			      service_upkeep(service, pixels, count, tell_upkeep, inv, err));
}

#define ALERTS_MOST_MS 10000 /* somebody waits; what did not arrive by then is sent with the next check */

bool source_alerts(struct invocation *inv, const struct check_request *r, const struct check_result *result,
		   struct error *err)
{
	bool is_whole = !r->pixel_count && !r->label_count;
	bool was_answered = result->end == SWEEP_COMPLETE && (result->transient < result->pixels || !result->pixels);
	struct alert_round round = { .config = inv->globals.config,
				     .has_news = result->bad || result->due || result->transient || result->decoys,
				     .pings = is_whole && was_answered,
				     .until_ms = clock_boot_ms() + ALERTS_MOST_MS };
	if (inv->agent)
		return true;
	log_open("vault", LOG_WARNING);
	return (!is_whole || sweep_note_done(inv->vault, clock_wall(), err)) &&
	       alert_round(inv->vault, inv->settings, &round, err);
}

bool source_swap(struct invocation *inv, const struct swap_request *r, struct remote_swap *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	if (inv->agent)
		return remote_swap(inv->agent, r, ret, err);
	return service_new(inv->vault, inv->settings, &service, err) && service_swap(service, r, &ret->result, err);
}

bool source_rotate(struct invocation *inv, const struct rotate_request *r, struct buf *ret, size_t *ret_changed,
		   struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	if (inv->agent)
		return remote_rotate(inv->agent, r, ret, ret_changed, err);
	return service_new(inv->vault, inv->settings, &service, err) &&
	       service_rotate(service, r, ret, ret_changed, err);
}

/* ---- orders that an agent answers with one object ---- */

typedef void look_fn(void *context, struct bytes object);

static bool order(struct invocation *inv, const char *method, struct buf *target, const char *json, look_fn *look,
		  void *context, struct error *err)
{
	struct buf body = BUF_INIT(TARGET_BYTES_MAX);
	bool is_done = remote_order(inv->agent, method, target, json, &body, err);
	if (is_done && look)
		look(context, buf_bytes(&body));
	buf_done(&body);
	return is_done;
}

bool source_label(struct invocation *inv, const char *pixel, const struct label *labels, size_t count,
		  struct credential *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	char text[LABEL_KEY_MAX + LABEL_VALUE_MAX + 2];
	if (!inv->agent)
		return service_new(inv->vault, inv->settings, &service, err) &&
		       service_label(service, pixel, labels, count, ret, err);
	target_of_pixel(&target, pixel, "/labels");
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof text, "%s=%s", labels[i].key, labels[i].value);
		target_query(&target, "label", text);
	}
	return order(inv, "POST", &target, NULL, NULL, NULL, err) &&
	       remote_find(inv->agent, pixel, false, ret, NULL, err);
}

static void look_unchanged(void *context, struct bytes object)
{
	*(bool *)context = member_bool(object, "unchanged");
}

bool source_remove(struct invocation *inv, const char *pixel, enum service_removal what, bool *ret_nothing,
		   struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	if (!inv->agent)
		return service_new(inv->vault, inv->settings, &service, err) &&
		       service_remove(service, pixel, what, ret_nothing, err);
	target_of_pixel(&target, pixel, what == REMOVAL_UNDO ? "/restore" : "");
	if (what == REMOVAL_DESTROY)
		target_query(&target, "destroy", "1");
	return order(inv, what == REMOVAL_UNDO ? "POST" : "DELETE", &target, NULL, look_unchanged, ret_nothing, err);
}

bool source_list_remove(struct invocation *inv, const char *name, bool is_destroyed, bool *ret_nothing,
			struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	if (!inv->agent)
		return service_new(inv->vault, inv->settings, &service, err) &&
		       service_list_remove(service, name, is_destroyed, ret_nothing, err);
	buf_append_text(&target, "/v1/listings/");
	buf_append_text(&target, name);
	if (is_destroyed)
		target_query(&target, "destroy", "1");
	return order(inv, "DELETE", &target, NULL, look_unchanged, ret_nothing, err);
}

static void look_retired(void *context, struct bytes object)
{
	struct retire_result *ret = context;
	ret->version = (uint32_t)member_int(object, "version");
	member_text(object, "in_use_by", ret->in_use_by, sizeof ret->in_use_by);
}

bool source_retire(struct invocation *inv, const char *pixel, bool is_forced, struct retire_result *ret,
		   struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	if (!inv->agent)
		return service_new(inv->vault, inv->settings, &service, err) &&
		       service_retire(service, pixel, is_forced, ret, err);
	target_of_pixel(&target, pixel, "/retire");
	if (is_forced)
		target_query(&target, "force", "1");
	*ret = (struct retire_result){ .version = 0 };
	return order(inv, "POST", &target, NULL, look_retired, ret, err);
}

/* json: the body, put together in a buf that is done here. */
static bool tell(struct invocation *inv, const char *pixel, const char *what, struct buf *json, look_fn *look,
		 void *context, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	target_of_pixel(&target, pixel, what);
	const char *text = target_text(json);
	bool is_done = text ? order(inv, "POST", &target, text, look, context, err) : fail_no_memory(err);
	buf_done(json);
	return is_done;
}

struct audit_who source_who(const char *as)
{
	struct audit_who ret = { .is_known = true, .uid = getuid(), .gid = getgid(), .pid = getpid() };
	if (as)
		text_copy(ret.as, sizeof ret.as, as);
	else
		consumer_name_of(ret.uid, ret.pid, ret.as);
	return ret;
}

static void look_as(void *context, struct bytes object)
{
	member_text(object, "as", context, CONSUMER_NAME_MAX + 1);
}

bool source_ack(struct invocation *inv, const char *pixel, uint32_t version, const char *as,
		char ret_as[CONSUMER_NAME_MAX + 1], struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct buf body = BUF_INIT(TARGET_BYTES_MAX);
	struct json j = JSON_INIT(&body);
	struct audit_who who = source_who(as);
	text_copy(ret_as, CONSUMER_NAME_MAX + 1, who.as);
	if (!inv->agent)
		return service_new(inv->vault, inv->settings, &service, err) &&
		       service_ack(service, pixel, version, &who, err);
	json_object(&j, NULL);
	json_int(&j, "version", version);
	if (as)
		json_text(&j, "as", as);
	json_end_object(&j);
	return tell(inv, pixel, "/ack", &body, look_as, ret_as, err);
}

/* ---- reports ---- */

static void look_probe(void *context, struct bytes object)
{
	char probe[16];
	member_text(object, "probe", probe, sizeof probe);
	*(bool *)context = strcmp(probe, "recent") == 0;
}

/* Without an agent the question is asked here and now, and its answer awaited. */
static bool report_directly(struct invocation *inv, const struct report *r, bool *ret_is_recent, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	struct check_request check = {
		.pixels = &r->pixel, .pixel_count = 1, .probe = PROBE_CHOICE_AUTO, .is_urgent = true
	};
	struct check_result unused;
	return service_new(inv->vault, inv->settings, &service, err) &&
	       service_report(service, r->pixel, ret_is_recent, err) &&
	       (*ret_is_recent || (service_check(service, &check, &unused, err) &&
				   service_upkeep(service, &r->pixel, 1, tell_upkeep, inv, err)));
}

bool source_report(struct invocation *inv, const struct report *r, bool *ret_is_recent, struct error *err)
{
	struct buf body = BUF_INIT(TARGET_BYTES_MAX);
	struct json j = JSON_INIT(&body);
	if (!inv->agent)
		return report_directly(inv, r, ret_is_recent, err);
	json_object(&j, NULL);
	json_int(&j, "code", r->code);
	json_text(&j, "request_id", r->request_id);
	json_end_object(&j);
	return tell(inv, r->pixel, "/report", &body, look_probe, ret_is_recent, err);
}

/* ---- who reads what ---- */

bool source_marks(struct invocation *inv, const char *pixel, vault_mark_fn *fn, void *context, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	if (!inv->agent)
		return vault_each_mark(inv->vault, pixel, fn, context, err);
	target_of_pixel(&target, pixel, "/rollout");
	bool is_done = remote_order(inv->agent, "GET", &target, NULL, &body, err) &&
		       remote_marks(buf_bytes(&body), fn, context, err);
	buf_done(&body);
	return is_done;
}

/* ---- what is only looked at ---- */

static bool plan_directly(struct invocation *inv, const struct plan_request *r, struct buf *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	scoped(forecast_done) struct forecast forecast = FORECAST_INIT;
	struct forecast_sums sums = { .probes = 0 };
	struct json j = JSON_INIT(ret);
	if (!service_new(inv->vault, inv->settings, &service, err) || !service_forecast(service, r, &forecast, err))
		return false;
	forecast_json_begin(&j, &forecast);
	for (size_t i = 0; i < forecast_count(&forecast); i++)
		forecast_json_add(&j, &forecast, forecast_at(&forecast, i), &sums);
	forecast_json_end(&j, &forecast, &sums);
	return buf_ok(ret, err);
}

bool source_plan(struct invocation *inv, const struct plan_request *r, struct buf *ret, struct error *err)
{
	return inv->agent ? remote_plan(inv->agent, r, ret, err) : plan_directly(inv, r, ret, err);
}

static bool match_directly(struct invocation *inv, const struct secret *pasted, struct buf *ret, struct error *err)
{
	scoped(service_freep) struct service *service = NULL;
	scoped(buf_done) struct buf matches = BUF_INIT(MATCHES_BYTES_MAX);
	struct json j = JSON_INIT(ret);
	if (!service_new(inv->vault, inv->settings, &service, err) || !service_match(service, pasted, &matches, err))
		return false;
	if (!matches.len)
		return fail(err, ERR_NOT_FOUND, TXT_MATCH_NONE);
	matches_json(&j, buf_bytes(&matches));
	return buf_ok(ret, err);
}

bool source_match(struct invocation *inv, const struct secret *pasted, struct buf *ret, struct error *err)
{
	return inv->agent ? remote_match(inv->agent, pasted, ret, err) : match_directly(inv, pasted, ret, err);
}

/* ---- proof ---- */

static void look_verified(void *context, struct bytes object)
{
	struct verify_report *ret = context;
	*ret = (struct verify_report){ .pixels = (uint64_t)member_int(object, "pixels"),
				       .tokens = (uint64_t)member_int(object, "tokens"),
				       .nodes = (uint64_t)member_int(object, "nodes"),
				       .disposable = (uint64_t)member_int(object, "disposable"),
				       .rubbish = (uint64_t)member_int(object, "rubbish"),
				       .generation = (uint64_t)member_int(object, "generation"),
				       .faults = (uint64_t)member_int(object, "faults") };
}

bool source_verify(struct invocation *inv, verify_fault_fn *on_fault, void *context, struct verify_report *ret,
		   struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	if (inv->agent) {
		buf_append_text(&target, "/v1/verify");
		return order(inv, "POST", &target, NULL, look_verified, ret, err);
	}
	return vault_verify(inv->vault, on_fault, context, ret, err);
}
