#include "cli/source.h"

#include "cli/output.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

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
	return inv->agent || fail(err, ERR_UNEXPECTED, TXT_NO_AGENT, s->socket);
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
		return remote_each(inv->agent, pixels, count, fn, context, err);
	if (count)
		return each_named(inv->vault, pixels, count, with_health, fn, context, err);
	return vault_each(inv->vault, with_health, false, fn, context, err);
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

/* ---- labels ---- */

struct edit {
	const char *pixel;
	const struct label *labels;
	size_t count;
	struct credential result;
};

static bool apply_labels(void *context, struct change *ch, struct error *err)
{
	struct edit *e = context;
	bool exists = false;
	if (!change_find(ch, e->pixel, &e->result, &exists, err))
		return false;
	if (!exists || e->result.deleted_at)
		return fail(err, ERR_NOT_FOUND, TXT_NOT_STORED, e->pixel);
	for (size_t i = 0; i < e->count; i++)
		if (!credential_label(&e->result, &e->labels[i], err))
			return false;
	change_note(ch, "label", e->pixel, 0);
	return change_store(ch, &e->result, err);
}

static bool remote_label(struct client *c, struct edit *e, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	char text[LABEL_KEY_MAX + LABEL_VALUE_MAX + 2];
	target_of_pixel(&target, e->pixel, "/labels");
	for (size_t i = 0; i < e->count; i++) {
		snprintf(text, sizeof text, "%s=%s", e->labels[i].key, e->labels[i].value);
		target_query(&target, "label", text);
	}
	bool is_done = remote_order(c, "POST", &target, NULL, &body, err) &&
		       remote_find(c, e->pixel, false, &e->result, NULL, err);
	buf_done(&body);
	return is_done;
}

bool source_label(struct invocation *inv, const char *pixel, const struct label *labels, size_t count,
		  struct credential *ret, struct error *err)
{
	struct edit e = { .pixel = pixel, .labels = labels, .count = count };
	if (inv->agent ? !remote_label(inv->agent, &e, err) : !vault_change(inv->vault, apply_labels, &e, err))
		return false;
	*ret = e.result;
	return true;
}

/* ---- removing ---- */

struct removal_job {
	const char *pixel;
	enum removal what;
	int64_t now;
	bool is_nothing; /* it was like this already */
};

static bool destroy(struct change *ch, struct credential *c, const struct removal_job *job, struct error *err)
{
	while (c->version_count) {
		uint32_t number = c->versions[--c->version_count].number;
		if (!change_drop_token(ch, c, number, err))
			return false;
	}
	c->label_count = 0;
	c->test_code[0] = '\0';
	c->is_destroyed = true;
	if (!c->deleted_at)
		c->deleted_at = job->now;
	return change_drop_health(ch, c->pixel, err) && change_store(ch, c, err);
}

static bool apply_removal(void *context, struct change *ch, struct error *err)
{
	static const char *const verbs[] = { [REMOVE] = "remove", [RESTORE] = "restore", [DESTROY] = "destroy" };
	struct removal_job *job = context;
	struct credential c;
	bool exists = false;
	if (!change_find(ch, job->pixel, &c, &exists, err))
		return false;
	if (!exists)
		return fail(err, ERR_NOT_FOUND, TXT_NOT_STORED, job->pixel);
	if (job->what == RESTORE && c.is_destroyed)
		return fail(err, ERR_NOT_FOUND, TXT_DESTROYED, job->pixel);
	bool is_already[] = { [REMOVE] = c.deleted_at != 0, [RESTORE] = c.deleted_at == 0, [DESTROY] = c.is_destroyed };
	job->is_nothing = is_already[job->what];
	if (job->is_nothing)
		return true;
	change_note(ch, verbs[job->what], job->pixel, 0);
	if (job->what == DESTROY)
		return destroy(ch, &c, job, err);
	c.deleted_at = job->what == REMOVE ? job->now : 0;
	return change_store(ch, &c, err);
}

static bool remote_remove(struct client *c, struct removal_job *job, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	target_of_pixel(&target, job->pixel, job->what == RESTORE ? "/restore" : "");
	if (job->what == DESTROY)
		target_query(&target, "destroy", "1");
	bool is_done =
		remote_order(c, job->what == RESTORE ? "POST" : "DELETE", &target, NULL, &body, err);
	if (is_done)
		job->is_nothing = member_bool(buf_bytes(&body), "unchanged");
	buf_done(&body);
	return is_done;
}

bool source_remove(struct invocation *inv, const char *pixel, enum removal what, bool *ret_nothing, struct error *err)
{
	struct removal_job job = { .pixel = pixel, .what = what, .now = clock_wall() };
	if (inv->agent ? !remote_remove(inv->agent, &job, err) : !vault_change(inv->vault, apply_removal, &job, err))
		return false;
	*ret_nothing = job.is_nothing;
	return true;
}

/* ---- proof ---- */

static bool remote_verify(struct client *c, struct verify_report *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	buf_append_text(&target, "/v1/verify");
	bool is_done = remote_order(c, "POST", &target, NULL, &body, err);
	struct bytes object = buf_bytes(&body);
	if (is_done)
		*ret = (struct verify_report){ .pixels = (uint64_t)member_int(object, "pixels"),
					       .tokens = (uint64_t)member_int(object, "tokens"),
					       .nodes = (uint64_t)member_int(object, "nodes"),
					       .disposable = (uint64_t)member_int(object, "disposable"),
					       .rubbish = (uint64_t)member_int(object, "rubbish"),
					       .generation = (uint64_t)member_int(object, "generation"),
					       .faults = (uint64_t)member_int(object, "faults") };
	buf_done(&body);
	return is_done;
}

bool source_verify(struct invocation *inv, verify_fault_fn *on_fault, void *context, struct verify_report *ret,
		   struct error *err)
{
	if (inv->agent)
		return remote_verify(inv->agent, ret, err);
	return vault_verify(inv->vault, on_fault, context, ret, err);
}
