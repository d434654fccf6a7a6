/* access explain: what an account may do with a Pixel, and which rules say so. */
#include "agent/access.h"
#include "agent/text.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX 256

/* ---- who is meant ---- */

struct person {
	uid_t uid;
	gid_t gid, groups[GROUPS_MAX];
	int group_count;
};

static bool find_account(const char *name, struct person *ret, struct error *err)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	const struct passwd *found = *end ? getpwnam(name) : getpwuid((uid_t)number);
	if (!found && *end)
		return fail(err, ERR_NOT_FOUND, TXT_ACCESS_NO_USER, name);
	*ret = (struct person){ .uid = found ? found->pw_uid : (uid_t)number,
				.gid = found ? found->pw_gid : (gid_t)-1,
				.group_count = GROUPS_MAX };
	if (!found || getgrouplist(found->pw_name, found->pw_gid, ret->groups, &ret->group_count) < 0)
		ret->group_count = 0;
	return true;
}

/* allowed: a JSON array. */
static void print_json(struct invocation *inv, const struct person *p, const char *pixel, struct bytes allowed,
		       struct bytes text)
{
	struct json j = JSON_INIT(&inv->out);
	const struct passwd *account = getpwuid(p->uid);
	output_json_begin(&j);
	json_text(&j, "user", account ? account->pw_name : NULL);
	json_int(&j, "uid", p->uid);
	json_text(&j, "pixel", pixel);
	buf_append_text(&inv->out, ",\"allowed\":");
	buf_append(&inv->out, allowed.at, allowed.len);
	json_text_n(&j, "text", text);
	output_json_end(inv, &j);
}

/* ---- through the agent: it knows rules and labels, and no names ---- */

static void query_id(struct buf *target, const char *key, unsigned id)
{
	char text[12];
	snprintf(text, sizeof text, "%u", id);
	target_query(target, key, text);
}

static bool explain_by_agent(struct invocation *inv, const struct person *p, const char *pixel, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	static char text[32768];
	struct bytes allowed;
	buf_append_text(&target, "/v1/access");
	query_id(&target, "uid", p->uid);
	if (p->gid != (gid_t)-1)
		query_id(&target, "gid", p->gid);
	for (int i = 0; i < p->group_count; i++)
		query_id(&target, "group", p->groups[i]);
	target_query(&target, "pixel", pixel);
	bool is_done = remote_order(inv->agent, "GET", &target, NULL, &body, err);
	if (is_done && !json_find_raw(buf_bytes(&body), "allowed", &allowed))
		is_done = fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
	if (is_done) {
		member_text(buf_bytes(&body), "text", text, sizeof text);
		if (inv->globals.json)
			print_json(inv, p, pixel, allowed, bytes_of_text(text));
		else
			buf_append_text(&inv->out, text);
	}
	buf_done(&body);
	return is_done;
}

/* ---- from the configuration alone ---- */

static uid_t agent_uid(const struct settings *s)
{
	struct person agent;
	struct error unused;
	return s->user[0] && find_account(s->user, &agent, &unused) ? agent.uid : geteuid();
}

static bool has_no_label(const void *context, const struct label *label)
{
	(void)context, (void)label;
	return false;
}

static bool looks_at_labels(const struct config *c)
{
	for (size_t i = 0; i < config_count(c); i++)
		if (strcmp(config_at(c, i)->section, "access") == 0 && strcmp(config_at(c, i)->key, "labels") == 0)
			return true;
	return false;
}

static void list_allowed(const struct access_view *view, const struct access_subject *subject, struct buf *ret)
{
	struct json j = JSON_INIT(ret);
	json_array(&j, NULL);
	for (int verb = 0; verb < ACCESS_VERB_COUNT; verb++)
		if (access_may(view, (enum access_verb)verb, subject))
			json_text(&j, NULL, access_verb_name((enum access_verb)verb));
	json_end_array(&j);
}

static bool explain_here(struct invocation *inv, const struct person *p, const char *pixel, struct error *err)
{
	scoped(access_freep) struct access *access = NULL;
	struct access_view *view = NULL;
	struct access_subject subject = { .pixel = pixel, .has_label = has_no_label };
	struct buf text = BUF_INIT(TARGET_BYTES_MAX), allowed = BUF_INIT(TARGET_BYTES_MAX);
	if (!access_new(inv->settings->config, agent_uid(inv->settings), NULL, &access, err))
		return false;
	struct access_caller caller = { .uid = p->uid, .gid = p->gid, .groups = p->groups,
					.group_count = (size_t)p->group_count };
	if (!access_view_new(access, &caller, &view, err))
		return false;
	access_explain(view, &subject, &text);
	if (looks_at_labels(inv->settings->config))
		say(inv, SAY_ACCESS_NO_LABELS);
	list_allowed(view, &subject, &allowed);
	if (inv->globals.json)
		print_json(inv, p, pixel, buf_bytes(&allowed), buf_bytes(&text));
	else
		buf_append(&inv->out, text.at, text.len);
	buf_done(&text);
	buf_done(&allowed);
	access_view_free(view);
	return true;
}

bool cmd_access(struct invocation *inv, struct error *err)
{
	const char *user = option_text(inv, "user"), *pixel = inv->args[1];
	struct person p;
	if (strcmp(inv->args[0], "explain") != 0)
		return fail(err, ERR_USAGE, TXT_ACCESS_ACTION);
	if (!user)
		return fail(err, ERR_USAGE, TXT_ACCESS_WHOM);
	if (!pixel_check(pixel, err) || !find_account(user, &p, err))
		return false;
	return inv->agent ? explain_by_agent(inv, &p, pixel, err) : explain_here(inv, &p, pixel, err);
}
