#include "agent/access.h"

#include "agent/accounts.h"
#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY 65534u /* what the kernel shows for every identity it cannot map */

/* What a rule says of the Pixels it is for, the less specific first. */
enum aim { AIM_ALL, AIM_LABEL, AIM_PIXEL };

struct rule {
	char name[50];
	bool is_group;
	uint32_t id;
	char account[64];
	unsigned verbs; /* bit per enum access_verb */
	enum aim aim;
	/* malloced; a Pixel must be one of the first (none = any) and carry all of the second */
	char (*pixels)[PIXEL_CODE_MAX + 1];
	size_t pixel_count;
	struct label *labels;
	size_t label_count;
};

struct access {
	uid_t agent_uid;
	struct rule *rules;
	size_t count;
};

struct access_view {
	bool is_owner;
	size_t count;
	const struct rule *rules[]; /* those that match the caller */
};

static const char *const verb_names[ACCESS_VERB_COUNT] = {
	[ACCESS_META] = "meta", [ACCESS_READ] = "read",   [ACCESS_REPORT] = "report",
	[ACCESS_PUT] = "put",   [ACCESS_ADMIN] = "admin",
};

const char *access_verb_name(enum access_verb verb)
{
	return verb_names[verb];
}

/* ---- reading the rules ---- */

/* The next word of a list; false at its end. Words fit: settings_check has looked at each before. */
static bool take_word(const char **from, char *ret, size_t size)
{
	*from += strspn(*from, " \t");
	size_t len = strcspn(*from, " \t");
	if (len == 0 || len >= size)
		return false;
	memcpy(ret, *from, len);
	ret[len] = '\0';
	*from += len;
	return true;
}

static bool read_who(struct rule *rule, const struct config *config, const struct bytes *accounts, struct error *err)
{
	const struct config_entry *user = config_find(config, "access", rule->name, "user");
	const struct config_entry *e = user ? user : config_find(config, "access", rule->name, "group");
	char what[160];
	rule->is_group = !user;
	snprintf(rule->account, sizeof rule->account, "%.63s", e->value);
	if (!accounts_find(accounts, rule->is_group, e->value, &rule->id)) {
		snprintf(what, sizeof what, user ? TXT_WHAT_ACCESS_USER : TXT_WHAT_ACCESS_GROUP, rule->account);
		return config_refuse(e, what, TXT_HINT_ACCESS_ACCOUNT, err);
	}
	/* By name it may be nobody too. */
	if (rule->id == NOBODY) {
		snprintf(what, sizeof what, TXT_WHAT_ACCESS_NOBODY, rule->account);
		return config_refuse(e, what, TXT_HINT_ACCESS_NOBODY, err);
	}
	return true;
}

static bool read_pixels(struct rule *rule, const char *value, struct error *err)
{
	char word[PIXEL_CODE_MAX + 1];
	rule->pixels = calloc(strlen(value), sizeof *rule->pixels);
	if (!rule->pixels)
		return fail_no_memory(err);
	while (take_word(&value, word, sizeof word)) {
		if (strcmp(word, "*") == 0) {
			rule->pixel_count = 0;
			return true;
		}
		memcpy(rule->pixels[rule->pixel_count++], word, sizeof word);
	}
	return true;
}

static bool read_labels(struct rule *rule, const char *value, struct error *err)
{
	char word[LABEL_KEY_MAX + LABEL_VALUE_MAX + 2];
	rule->labels = calloc(strlen(value), sizeof *rule->labels);
	if (!rule->labels)
		return fail_no_memory(err);
	while (take_word(&value, word, sizeof word))
		if (!label_parse(word, &rule->labels[rule->label_count++], err))
			return false;
	return true;
}

static void read_verbs(struct rule *rule, const char *value)
{
	char word[16];
	while (take_word(&value, word, sizeof word))
		for (unsigned i = 0; i < ACCESS_VERB_COUNT; i++)
			if (strcmp(word, verb_names[i]) == 0)
				rule->verbs |= 1u << i;
}

static bool read_rule(struct rule *rule, const struct config *config, const struct bytes *accounts, const char *name,
		      struct error *err)
{
	snprintf(rule->name, sizeof rule->name, "%s", name);
	const struct config_entry *pixels = config_find(config, "access", name, "pixels");
	const struct config_entry *labels = config_find(config, "access", name, "labels");
	if (!read_who(rule, config, accounts, err) || (pixels && !read_pixels(rule, pixels->value, err)) ||
	    (labels && !read_labels(rule, labels->value, err)))
		return false;
	read_verbs(rule, config_find(config, "access", name, "verbs")->value);
	rule->aim = rule->pixel_count ? AIM_PIXEL : rule->label_count ? AIM_LABEL : AIM_ALL;
	return true;
}

static bool has_rule(const struct access *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->rules[i].name, name) == 0)
			return true;
	return false;
}

static bool read_rules(struct access *a, const struct config *config, const struct bytes *accounts, struct error *err)
{
	size_t entries = config_count(config);
	a->rules = calloc(entries ? entries : 1, sizeof *a->rules);
	if (!a->rules)
		return fail_no_memory(err);
	for (size_t i = 0; i < entries; i++) {
		const struct config_entry *e = config_at(config, i);
		if (strcmp(e->section, "access") != 0 || has_rule(a, e->name))
			continue;
		if (!read_rule(&a->rules[a->count++], config, accounts, e->name, err))
			return false;
	}
	return true;
}

bool access_new(const struct config *config, uid_t agent_uid, const struct bytes *accounts, struct access **ret,
		struct error *err)
{
	scoped(access_freep) struct access *a = calloc(1, sizeof *a);
	if (!a)
		return fail_no_memory(err);
	a->agent_uid = agent_uid;
	if (config && !read_rules(a, config, accounts, err))
		return false;
	*ret = take(a);
	return true;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++) {
		free(a->rules[i].pixels);
		free(a->rules[i].labels);
	}
	free(a->rules);
	free(a);
}

void access_freep(struct access **a)
{
	access_free(*a);
	*a = NULL;
}

/* ---- one caller ---- */

/* No rule is for the group that is nobody's: read_who has refused it. */
static bool is_in_group(const struct access_caller *caller, gid_t gid)
{
	bool is_in = caller->gid == gid;
	for (size_t i = 0; i < caller->group_count && !is_in; i++)
		is_in = caller->groups[i] == gid;
	return is_in;
}

static bool is_for(const struct rule *rule, const struct access_caller *caller)
{
	if (caller->uid == NOBODY)
		return false;
	return rule->is_group ? is_in_group(caller, rule->id) : caller->uid == rule->id;
}

bool access_view_new(const struct access *a, const struct access_caller *caller, struct access_view **ret,
		     struct error *err)
{
	struct access_view *view = calloc(1, sizeof *view + a->count * sizeof view->rules[0]);
	if (!view)
		return fail_no_memory(err);
	view->is_owner = caller->uid != NOBODY && (caller->uid == 0 || caller->uid == a->agent_uid);
	for (size_t i = 0; i < a->count; i++)
		if (is_for(&a->rules[i], caller))
			view->rules[view->count++] = &a->rules[i];
	*ret = view;
	return true;
}

void access_view_free(struct access_view *view)
{
	free(view);
}

/* ---- the ruling ---- */

static bool names(const struct rule *rule, const char *pixel)
{
	for (size_t i = 0; i < rule->pixel_count; i++)
		if (strcmp(rule->pixels[i], pixel) == 0)
			return true;
	return rule->pixel_count == 0;
}

static bool covers(const struct rule *rule, const struct access_subject *subject)
{
	if (!subject->pixel)
		return rule->aim == AIM_ALL;
	if (!names(rule, subject->pixel))
		return false;
	for (size_t i = 0; i < rule->label_count; i++)
		if (!subject->has_label || !subject->has_label(subject->context, &rule->labels[i]))
			return false;
	return true;
}

/* A user before a group; then a named Pixel before a label before all. */
static int weight(const struct rule *rule)
{
	return (rule->is_group ? 0 : 3) + (int)rule->aim;
}

bool access_may_some(const struct access_view *view, enum access_verb verb)
{
	if (view->is_owner)
		return true;
	for (size_t i = 0; i < view->count; i++)
		if (view->rules[i]->verbs & 1u << verb)
			return true;
	return false;
}

bool access_may(const struct access_view *view, enum access_verb verb, const struct access_subject *subject)
{
	int heaviest = -1;
	bool is_granted = false;
	if (view->is_owner)
		return true;
	if (!subject->pixel && verb != ACCESS_ADMIN && verb != ACCESS_PUT)
		return access_may_some(view, verb);
	for (size_t i = 0; i < view->count; i++) {
		const struct rule *rule = view->rules[i];
		int heavy = weight(rule);
		if (heavy < heaviest || !covers(rule, subject))
			continue;
		bool grants = rule->verbs & 1u << verb;
		is_granted = heavy > heaviest ? grants : is_granted && grants;
		heaviest = heavy;
	}
	return is_granted;
}

/* ---- for people ---- */

static void explain_rule(const struct rule *rule, struct buf *out)
{
	const char *aim = rule->aim == AIM_PIXEL ? "named" : rule->aim == AIM_LABEL ? "a label" : "every Pixel";
	buf_printf(out, "[access %s] %s %s, %s:", rule->name, rule->is_group ? "group" : "user", rule->account, aim);
	for (unsigned i = 0; i < ACCESS_VERB_COUNT; i++)
		if (rule->verbs & 1u << i)
			buf_printf(out, " %s", verb_names[i]);
	buf_append_text(out, "\n");
}

static void explain_rules(const struct access_view *view, const struct access_subject *subject, struct buf *out)
{
	bool is_any = false;
	for (int heavy = 3 + AIM_PIXEL; heavy >= 0; heavy--)
		for (size_t i = 0; i < view->count; i++)
			if (weight(view->rules[i]) == heavy && (!subject->pixel || covers(view->rules[i], subject))) {
				explain_rule(view->rules[i], out);
				is_any = true;
			}
	if (!is_any)
		buf_append_text(out, "no rule matches: the answer is no\n");
}

void access_explain(const struct access_view *view, const struct access_subject *subject, struct buf *out)
{
	if (view->is_owner)
		buf_append_text(out, "root and the agent's own user may do everything\n");
	else
		explain_rules(view, subject, out);
	for (unsigned i = 0; i < ACCESS_VERB_COUNT; i++)
		buf_printf(out, "%-6s %s\n", verb_names[i],
			   access_may(view, (enum access_verb)i, subject) ? "allowed" : "denied");
}
