#include "agent/access.h"
#include "agent/accounts.h"
#include "agent/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define AGENT_UID 990

static const char rules[] = "[access one]\nuser = 1001\npixels = " A "\nverbs = meta read\n"
			    "[access team]\ngroup = 2001\npixels = " A " " B "\nverbs = meta report\n"
			    "[access all]\nuser = 1002\npixels = *\nverbs = meta read put admin\n"
			    "[access not-b]\nuser = 1002\npixels = " B "\nverbs = meta\n"
			    "[access shop]\nuser = 1003\nlabels = shop=berlin team=eu\nverbs = read\n"
			    "[access shop-b]\nuser = 1003\npixels = " B "\nlabels = shop=berlin\nverbs = put\n"
			    "[access tie-1]\nuser = 1004\npixels = *\nverbs = meta read\n"
			    "[access tie-2]\nuser = 1004\npixels = *\nverbs = meta put\n"
			    "[access mates]\ngroup = 2002\npixels = " A "\nverbs = read put\n"
			    "[access in-mates]\nuser = 1005\npixels = *\nverbs = meta\n";

static struct config *parse(const char *text)
{
	struct config_key known[SETTINGS_KEYS_MAX];
	struct config *c = NULL;
	struct error err;
	assert_true(config_parse(&c, bytes_of_text(text), "test.ini", known, settings_keys(known), &err));
	assert_true(settings_check(c, &err));
	return c;
}

/* Which of these labels a Pixel carries: "shop=berlin" and so on, blank-separated. */
static bool carries(const void *context, const struct label *label)
{
	char text[LABEL_KEY_MAX + LABEL_VALUE_MAX + 2];
	snprintf(text, sizeof text, "%s=%s", label->key, label->value);
	return strstr(context, text) != NULL;
}

static struct access_view *view_of(const struct access *a, uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	struct access_caller caller = { .uid = uid, .gid = gid, .groups = groups, .group_count = count };
	struct access_view *view;
	struct error err;
	assert_true(access_view_new(a, &caller, &view, &err));
	return view;
}

static void verbs_of(const struct access_view *view, const char *pixel, const char *labels, char ret[64])
{
	struct access_subject subject = { .pixel = pixel, .has_label = labels ? carries : NULL, .context = labels };
	ret[0] = '\0';
	for (int verb = 0; verb < ACCESS_VERB_COUNT; verb++)
		if (access_may(view, (enum access_verb)verb, &subject))
			snprintf(ret + strlen(ret), 64 - strlen(ret), "%s%s", ret[0] ? " " : "",
				 access_verb_name((enum access_verb)verb));
}

#define ALL "meta read report put admin"

static void access__every_case_of_the_table(void **state)
{
	static const struct {
		uid_t uid;
		gid_t gid, group; /* group: supplementary, 0 = none */
		const char *pixel, *labels, *verbs;
	} cases[] = {
		/* root and the agent's own user */
		{ 0, 0, 0, A, NULL, ALL },
		{ 0, 0, 0, NULL, NULL, ALL },
		{ AGENT_UID, 1, 0, B, NULL, ALL },
		/* one Pixel */
		{ 1001, 1001, 0, A, NULL, "meta read" },
		{ 1001, 1001, 0, B, NULL, "" },
		/* a group: primary, supplementary, another */
		{ 1500, 2001, 0, A, NULL, "meta report" },
		{ 1500, 1500, 2001, B, NULL, "meta report" },
		{ 1500, 1500, 2009, A, NULL, "" },
		/* a user before a group, where both are for the Pixel; else the group */
		{ 1001, 2001, 0, A, NULL, "meta read" },
		{ 1001, 2001, 0, B, NULL, "meta report" },
		/* all of them before a group's named one */
		{ 1005, 2002, 0, A, NULL, "meta" },
		/* a named Pixel before * */
		{ 1002, 1002, 0, A, NULL, "meta read put admin" },
		{ 1002, 1002, 0, B, NULL, "meta" },
		/* labels: all of them; pixels and labels together; a named one with a label before a label */
		{ 1003, 1003, 0, A, "shop=berlin team=eu", "read" },
		{ 1003, 1003, 0, A, "shop=berlin", "" },
		{ 1003, 1003, 0, A, NULL, "" },
		{ 1003, 1003, 0, B, "shop=berlin team=eu", "put" },
		{ 1003, 1003, 0, B, "team=eu", "" },
		/* equally specific ones that disagree */
		{ 1004, 1004, 0, A, NULL, "meta" },
		/* nobody in particular */
		{ 1999, 1999, 0, A, NULL, "" },
		{ 65534, 65534, 0, A, NULL, "" },
		{ 65534, 2001, 0, A, NULL, "" },
		{ 1500, 65534, 65534, A, NULL, "" },
		/* about no Pixel in particular: any rule will do, but for put and admin */
		{ 1001, 1001, 0, NULL, NULL, "meta read" },
		{ 1003, 1003, 0, NULL, NULL, "read" },
		{ 1002, 1002, 0, NULL, NULL, "meta read put admin" },
		{ 1500, 2002, 0, NULL, NULL, "read" },
		{ 1004, 1004, 0, NULL, NULL, "meta read" },
		{ 1999, 1999, 0, NULL, NULL, "" },
	};
	struct config *config = parse(rules);
	struct access *a;
	struct error err;
	(void)state;
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char verbs[64];
		struct access_view *view =
			view_of(a, cases[i].uid, cases[i].gid, &cases[i].group, cases[i].group ? 1 : 0);
		verbs_of(view, cases[i].pixel, cases[i].labels, verbs);
		if (strcmp(verbs, cases[i].verbs) != 0)
			print_error("case %zu: uid %u\n", i, cases[i].uid);
		assert_string_equal(verbs, cases[i].verbs);
		access_view_free(view);
	}
	access_free(a);
	config_free(config);
}

static void access__without_rules_only_the_owner_may(void **state)
{
	struct access *a;
	struct error err;
	char verbs[64];
	(void)state;
	assert_true(access_new(NULL, AGENT_UID, NULL, &a, &err));
	struct access_view *owner = view_of(a, AGENT_UID, 1, NULL, 0), *other = view_of(a, 1001, 1, NULL, 0);
	verbs_of(owner, A, NULL, verbs);
	assert_string_equal(verbs, ALL);
	verbs_of(other, A, NULL, verbs);
	assert_string_equal(verbs, "");
	access_view_free(owner);
	access_view_free(other);
	access_free(a);
}

static void access__an_owner_that_is_nobody_owns_nothing(void **state)
{
	struct access *a;
	struct error err;
	char verbs[64];
	(void)state;
	assert_true(access_new(NULL, 65534, NULL, &a, &err));
	struct access_view *view = view_of(a, 65534, 65534, NULL, 0);
	verbs_of(view, A, NULL, verbs);
	assert_string_equal(verbs, "");
	access_view_free(view);
	access_free(a);
}

static void access__names_are_looked_up_and_unknown_ones_refused(void **state)
{
	struct config *config = parse("[access r]\nuser = root\npixels = *\nverbs = meta\n");
	struct access *a;
	struct error err;
	(void)state;
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	access_free(a);
	config_free(config);
	static const char *const wrong[] = { "[access r]\nuser = no-such-user\npixels = *\nverbs = meta\n",
					     "[access r]\ngroup = no-such-group\npixels = *\nverbs = meta\n" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		config = parse(wrong[i]);
		assert_false(access_new(config, AGENT_UID, NULL, &a, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.message, "test.ini:2"));
		assert_non_null(strstr(err.message, "no-such-"));
		assert_true(err.hint[0]);
		config_free(config);
	}
}

static void accounts__a_table_says_what_names_mean(void **state)
{
	static const char text[] = "user web 1001\ngroup web 2001\nuser web-2 1002\nuser a b 7\nuser big 4294967296\n"
				   "user odd 12x\nuser none \nuser last 9";
	static const struct {
		const char *name;
		bool is_group, is_there;
		uint32_t number;
	} rows[] = {
		{ "web", false, true, 1001 }, { "web", true, true, 2001 },    { "web-2", false, true, 1002 },
		{ "web-2", true, false, 0 },  { "a b", false, true, 7 },      { "a", false, false, 0 },
		{ "we", false, false, 0 },    { "big", false, false, 0 },     { "odd", false, false, 0 },
		{ "none", false, false, 0 },  { "last", false, false, 0 },    { "root", false, false, 0 },
		{ "", false, false, 0 },      { "1001", false, true, 1001 }, { "77", true, true, 77 },
	};
	struct bytes table = bytes_of_text(text);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t number = 0;
		assert_int_equal(accounts_find(&table, rows[i].is_group, rows[i].name, &number), rows[i].is_there);
		assert_int_equal(number, rows[i].number);
	}
}

static void accounts__those_of_the_rules_are_gathered(void **state)
{
	struct config *config = parse("[access a]\nuser = root\npixels = *\nverbs = meta\n"
				      "[access b]\ngroup = root\npixels = *\nverbs = meta\n"
				      "[access c]\nuser = 1001\npixels = *\nverbs = meta\n"
				      "[access d]\nuser = no-such-user\npixels = *\nverbs = meta\n"
				      "[agent]\nuser = daemon\n");
	struct buf table = BUF_INIT(ACCOUNTS_BYTES_MAX);
	(void)state;
	accounts_gather(config, &table);
	assert_true(bytes_equal(buf_bytes(&table), bytes_of_text("user root 0\ngroup root 0\n")));
	accounts_gather(NULL, &table);
	struct bytes given = buf_bytes(&table);
	struct access *a;
	struct error err;
	assert_false(access_new(config, AGENT_UID, &given, &a, &err));
	assert_non_null(strstr(err.message, "no-such-user"));
	buf_done(&table);
	config_free(config);
}

static void access__explains_by_weight_and_ends_with_the_ruling(void **state)
{
	struct config *config = parse(rules);
	struct access *a;
	struct error err;
	struct buf out = BUF_INIT(8192);
	struct access_subject subject = { .pixel = B };
	(void)state;
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	struct access_view *view = view_of(a, 1002, 2001, NULL, 0);
	access_explain(view, &subject, &out);
	buf_append(&out, "", 1);
	const char *text = (const char *)out.at;
	const char *named = strstr(text, "not-b"), *all = strstr(text, "[access all]"), *team = strstr(text, "team");
	assert_true(named && all && team && named < all && all < team);
	assert_non_null(strstr(text, "read   denied"));
	assert_non_null(strstr(text, "meta   allowed"));
	access_view_free(view);
	access_free(a);
	config_free(config);
	buf_done(&out);
}

/* By the table that the starter reads, a name may mean the account that is nobody. */
static void access__an_account_that_is_nobody_is_refused(void **state)
{
	struct config *config = parse("[access r]\nuser = ghost\npixels = *\nverbs = meta\n");
	struct bytes table = bytes_of_text("user ghost 65534\n");
	struct access *a;
	struct error err;
	(void)state;
	assert_false(access_new(config, AGENT_UID, &table, &a, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "ghost"));
	assert_true(err.hint[0]);
	config_free(config);
}

static void access__explains_to_the_owner_and_where_no_rule_matches(void **state)
{
	struct config *config = parse(rules);
	struct access *a;
	struct error err;
	struct access_subject subject = { .pixel = A, .has_label = carries, .context = "shop=berlin team=eu" },
			      all = { .pixel = NULL };
	const struct {
		uid_t uid;
		const struct access_subject *subject;
		const char *says;
	} rows[] = { { AGENT_UID, &subject, "may do everything" },
		     { 4711, &subject, "no rule matches" },
		     { 1003, &subject, "[access shop] user 1003, a label" },
		     { 1002, &all, "[access all] user 1002, every Pixel" } };
	(void)state;
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf out = BUF_INIT(8192);
		struct access_view *view = view_of(a, rows[i].uid, 1, NULL, 0);
		access_explain(view, rows[i].subject, &out);
		buf_append(&out, "", 1);
		if (!strstr((const char *)out.at, rows[i].says))
			fail_msg("%s", (const char *)out.at);
		access_view_free(view);
		buf_done(&out);
	}
	access_free(a);
	config_free(config);
}

/* Its own group is nobody's, and so is one of those it was given besides. */
static void access__a_group_that_is_nobodys_gives_nothing(void **state)
{
	struct config *config = parse("");
	struct access *a;
	struct error err;
	char verbs[64];
	const gid_t groups[] = { 65534, 1 };
	(void)state;
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	struct access_view *view = view_of(a, 1001, 65534, groups, 2);
	verbs_of(view, A, NULL, verbs);
	assert_string_equal(verbs, "");
	access_view_free(view);
	access_free(a);
	config_free(config);
}

/* The first of several that fits is enough, and other sections of the file are no rules. */
static void access__any_of_the_callers_groups_will_do(void **state)
{
	struct config *config = parse("[agent]\nuser = daemon\n[access team]\ngroup = 2001\npixels = *\nverbs = read\n");
	static const gid_t first[] = { 2001, 7, 8 }, last[] = { 7, 8, 2001 }, none[] = { 7, 8, 9 };
	static const struct {
		const gid_t *groups;
		const char *verbs;
	} rows[] = { { first, "read" }, { last, "read" }, { none, "" } };
	struct access *a;
	struct error err;
	char verbs[64];
	(void)state;
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct access_view *view = view_of(a, 1500, 1500, rows[i].groups, 3);
		verbs_of(view, A, NULL, verbs);
		assert_string_equal(verbs, rows[i].verbs);
		access_view_free(view);
	}
	access_free(a);
	config_free(config);
}

/* settings_check refuses such files before: here is what holds without it. */
static void access__rules_that_nobody_has_looked_at_give_no_more_than_they_say(void **state)
{
	static const char long_verb[] = "[access r]\nuser = 1001\npixels = " A "\nverbs = meta readreadreadreadread put\n",
			  no_label[] = "[access r]\nuser = 1001\nlabels = shop\nverbs = meta\n";
	struct config_key known[SETTINGS_KEYS_MAX];
	struct config *config = NULL;
	struct access *a = NULL;
	struct error err;
	char verbs[64];
	(void)state;
	size_t count = settings_keys(known);
	assert_true(config_parse(&config, bytes_of_text(long_verb), "test.ini", known, count, &err));
	assert_false(settings_check(config, &err));
	assert_true(access_new(config, AGENT_UID, NULL, &a, &err));
	struct access_view *view = view_of(a, 1001, 1, NULL, 0);
	verbs_of(view, A, NULL, verbs);
	assert_string_equal(verbs, "meta");
	access_view_free(view);
	access_free(a);
	config_free(config);
	config = NULL;
	a = NULL;
	assert_true(config_parse(&config, bytes_of_text(no_label), "test.ini", known, count, &err));
	assert_false(settings_check(config, &err));
	assert_false(access_new(config, AGENT_UID, NULL, &a, &err));
	assert_null(a);
	assert_true(err.message[0] && err.hint[0]);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access__any_of_the_callers_groups_will_do),
		cmocka_unit_test(access__rules_that_nobody_has_looked_at_give_no_more_than_they_say),
		cmocka_unit_test(access__an_account_that_is_nobody_is_refused),
		cmocka_unit_test(access__explains_to_the_owner_and_where_no_rule_matches),
		cmocka_unit_test(access__a_group_that_is_nobodys_gives_nothing),
		cmocka_unit_test(access__every_case_of_the_table),
		cmocka_unit_test(access__without_rules_only_the_owner_may),
		cmocka_unit_test(access__an_owner_that_is_nobody_owns_nothing),
		cmocka_unit_test(access__names_are_looked_up_and_unknown_ones_refused),
		cmocka_unit_test(accounts__a_table_says_what_names_mean),
		cmocka_unit_test(accounts__those_of_the_rules_are_gathered),
		cmocka_unit_test(access__explains_by_weight_and_ends_with_the_ruling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
