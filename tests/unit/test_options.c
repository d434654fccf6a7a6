#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define TOKEN "f3b1c9d07e6a5b4c3d2e1f00112233445566778899"

struct run {
	struct invocation inv;
	struct error err;
	bool is_done;
};

static void run_done(struct run *r)
{
	invocation_done(&r->inv);
}

/* The real table, the real parser; the words end with NULL. */
static struct run parse(const char *const *words)
{
	struct run r = { .inv.style = STYLE_TEXT };
	int argc = 0;
	while (words[argc])
		argc++;
	r.is_done = options_parse(&r.inv, commands, command_count, argc, (char **)(uintptr_t)words, &r.err);
	return r;
}

#define PARSE(...) parse((const char *const[]){ "vault", __VA_ARGS__, NULL })

static void assert_refused(const char *const *words, enum error_code code, const char *says, const char *hints)
{
	scoped(run_done) struct run r = parse(words);
	assert_false(r.is_done);
	assert_int_equal(r.err.code, code);
	assert_non_null(strstr(r.err.message, says));
	assert_non_null(strstr(r.err.hint, hints));
	assert_true(r.err.hint[0]);
}

#define REFUSED(code, says, hints, ...)                                                                                \
	assert_refused((const char *const[]){ "vault", __VA_ARGS__, NULL }, code, says, hints)

static void options__one_word_may_hold_any_number_of_letters(void **state)
{
	(void)state;
	char letters[4000] = "-";
	memset(letters + 1, 'q', sizeof letters - 2);
	letters[sizeof letters - 1] = '\0';
	scoped(run_done) struct run r = PARSE(letters, "get", PIXEL);
	assert_true(r.is_done && r.inv.globals.quiet);
	assert_int_equal(r.inv.given_count, sizeof letters - 2);
	assert_int_equal(r.inv.arg_count, 1);
}

static void options__values_come_behind_a_blank_or_an_equals_sign(void **state)
{
	(void)state;
	scoped(run_done) struct run r = PARSE("put", PIXEL, "--label=shop=a=b", "-l", "x=1", "-ly=2", "--if-version",
					      "7", "--expires=2030-01-01");
	assert_true(r.is_done);
	struct label labels[4];
	size_t count = 0;
	assert_true(option_labels(&r.inv, labels, 4, &count, &r.err));
	assert_int_equal(count, 3);
	assert_string_equal(labels[0].key, "shop");
	assert_string_equal(labels[0].value, "a=b");
	assert_string_equal(labels[2].value, "2");
	assert_int_equal(option_find(&r.inv, "if-version")->number, 7);
	assert_int_equal(option_find(&r.inv, "expires")->number, 1893456000);
	assert_int_equal(r.inv.arg_count, 1);
	assert_null(r.inv.args[1]);
}

static void options__global_ones_stand_anywhere(void **state)
{
	(void)state;
	scoped(run_done) struct run r =
		PARSE("-q", "--vault", "a.db", "get", "--json", PIXEL, "--no-input", "--color=never");
	assert_true(r.is_done);
	assert_true(r.inv.globals.json && r.inv.globals.quiet && r.inv.globals.no_input);
	assert_string_equal(r.inv.globals.vault, "a.db");
	assert_int_equal(r.inv.globals.colour, COLOUR_NEVER);
	assert_int_equal(r.inv.style, STYLE_JSON);
	assert_string_equal(r.inv.args[0], PIXEL);
}

static void options__a_commands_own_option_wins_over_a_global_one(void **state)
{
	(void)state;
	scoped(run_done) struct run own = PARSE("get", PIXEL, "--version", "3");
	scoped(run_done) struct run global = PARSE("--version", "get", PIXEL);
	assert_true(own.is_done && !own.inv.globals.version);
	assert_int_equal(option_find(&own.inv, "version")->number, 3);
	assert_true(global.is_done && global.inv.globals.version);
}

static void options__two_dashes_end_them(void **state)
{
	(void)state;
	scoped(run_done) struct run r = PARSE("run", "--env", "T=" PIXEL, "--", "prog", "--json", "--", "-q");
	assert_true(r.is_done);
	assert_false(r.inv.globals.json);
	assert_int_equal(r.inv.arg_count, 4);
	assert_string_equal(r.inv.args[1], "--json");
	assert_string_equal(r.inv.args[2], "--");
}

static void options__the_program_that_run_starts_keeps_its_own(void **state)
{
	(void)state;
	scoped(run_done) struct run r = PARSE("run", "--env", "T=" PIXEL, "--json", "ls", "-l", "--no-such");
	assert_true(r.is_done);
	assert_true(r.inv.globals.json);
	assert_int_equal(r.inv.arg_count, 3);
}

static void options__unknown_ones_name_the_nearest(void **state)
{
	(void)state;
	REFUSED(ERR_USAGE, "'--heathy'", "--healthy", "get", PIXEL, "--heathy");
	REFUSED(ERR_USAGE, "'--jsn'", "--json", "list", "--jsn");
	REFUSED(ERR_USAGE, "'--frobnicate'", "--help", "list", "--frobnicate");
	REFUSED(ERR_USAGE, "'-x'", "help", "list", "-x");
	REFUSED(ERR_USAGE, "'lst'", "vault list", "lst");
	REFUSED(ERR_USAGE, "'frobnicate'", "vault help", "frobnicate");
}

static void options__other_vaults_verbs_say_which_program_this_is(void **state)
{
	(void)state;
	static const char *const verbs[] = {
		"kv", "server", "operator", "secrets", "login", "read", "write", "unseal"
	};
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		REFUSED(ERR_USAGE, "pixelvault", "help", verbs[i], "x");
}

static void options__what_is_missing_twice_or_too_much_is_refused(void **state)
{
	(void)state;
	REFUSED(ERR_USAGE, "--if-version", "value", "put", PIXEL, "--if-version");
	REFUSED(ERR_USAGE, "twice", "once", "get", PIXEL, "--as", "a", "--as", "b");
	REFUSED(ERR_USAGE, "exclude", "one of them", "get", PIXEL, "--version", "1", "--previous");
	REFUSED(ERR_USAGE, "exclude", "one of them", "init", "--key-file", "a", "--passphrase-fd", "3");
	REFUSED(ERR_USAGE, "takes no value", "equals", "get", PIXEL, "--healthy=yes");
	REFUSED(ERR_USAGE, "'get'", "vault get PIXEL", "get");
	REFUSED(ERR_USAGE, "'get'", "vault get PIXEL", "get", PIXEL, PIXEL);
	REFUSED(ERR_USAGE, "'run'", "vault run", "run", "--env", "T=" PIXEL);
	REFUSED(ERR_USAGE, "empty", "unset", "--vault", "", "list");
}

static void options__values_of_the_wrong_form_are_refused(void **state)
{
	(void)state;
	static const char *const numbers[] = { "", "-1", "+1", " 1", "1x", "4294967296", "99999999999999999999" };
#define NAME_OF_32 "ABCDEFGHIJKLMNOPQRSTUVWXYZ_01234"
#define NAME_OF_128 NAME_OF_32 NAME_OF_32 NAME_OF_32 NAME_OF_32
	static const char *const bindings[] = { "T",          "=" PIXEL,     "1T=" PIXEL, "LD_PRELOAD=" PIXEL,
						"A-B=" PIXEL, "PATH=" PIXEL, "A B=" PIXEL,
						"A:B=" PIXEL, "A[B=" PIXEL,  "A{B=" PIXEL,
						NAME_OF_128 "=" PIXEL };
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		REFUSED(ERR_USAGE, "--version", "3", "get", PIXEL, "--version", numbers[i]);
	for (size_t i = 0; i < COUNT_OF(bindings); i++)
		REFUSED(ERR_USAGE, "", "", "run", "--env", bindings[i], "--", "true");
	REFUSED(ERR_USAGE, "--code", "", "report", PIXEL, "--code", "2147483648");
	REFUSED(ERR_USAGE, "dry|test|live", "one of", "check", "--probe", "auto");
	REFUSED(ERR_USAGE, "dry|test|live", "one of", "check", "--probe", "dry|test");
	REFUSED(ERR_USAGE, "dry|test|live", "one of", "check", "--probe", "");
	REFUSED(ERR_USAGE, "", "2026", "put", PIXEL, "--expires", "tomorrow");
	REFUSED(ERR_USAGE, "", "", "list", "-l", "novalue");
	REFUSED(ERR_MALFORMED, "lower case", "", "get", "c0u2t02iu8j6b9gc2b90");
	REFUSED(ERR_MALFORMED, "numeric", "", "get", "7644201699552690194");
	REFUSED(ERR_MALFORMED, "", "", "run", "--env", "T=bad", "--", "true");
}

static void options__choices_are_numbered_from_zero(void **state)
{
	(void)state;
	scoped(run_done) struct run r = PARSE("check", "--probe", "live");
	assert_true(r.is_done);
	assert_int_equal(option_find(&r.inv, "probe")->number, 2);
}

/* An error goes to terminals, logs and tickets. */
static void options__a_token_in_the_wrong_place_is_never_repeated(void **state)
{
	(void)state;
	static const char *const lines[][6] = {
		{ "vault", "put", PIXEL, TOKEN, NULL },
		{ "vault", "put", TOKEN, NULL },
		{ "vault", "get", TOKEN, NULL },
		{ "vault", "put", PIXEL, "--token", TOKEN, NULL },
		{ "vault", "put", PIXEL, "--token=" TOKEN, NULL },
		{ "vault", "put", PIXEL, "--no-such=" TOKEN, NULL },
		{ "vault", "put", PIXEL, "--" TOKEN, NULL },
		{ "vault", "put", PIXEL, "--healthy=" TOKEN, NULL },
		{ "vault", TOKEN, NULL },
		{ "vault", "get", PIXEL, TOKEN, NULL },
		{ "vault", "run", "--env", "T=" TOKEN, "true", NULL },
		{ "vault", "get", "act." TOKEN, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		scoped(run_done) struct run r = parse(lines[i]);
		assert_false(r.is_done);
		for (size_t at = 0; at + 8 <= sizeof TOKEN - 1; at++) {
			char part[9] = { 0 };
			memcpy(part, &TOKEN[at], 8);
			assert_null(strcasestr(r.err.message, part));
			assert_null(strcasestr(r.err.hint, part));
		}
	}
	REFUSED(ERR_USAGE, "'put' takes a token from standard input only", "replace a token typed here", "put", PIXEL, TOKEN);
	REFUSED(ERR_USAGE, "'match' takes a token from standard input only", "replace a token typed here", "match", TOKEN);
	REFUSED(ERR_USAGE, "'--token'", "vault put PIXEL", "put", PIXEL, "--token", TOKEN);
}

static void options__the_style_of_errors_is_known_before_the_parse_fails(void **state)
{
	(void)state;
	scoped(run_done) struct run json = PARSE("get", "--no-such", PIXEL, "--json");
	scoped(run_done) struct run nagios = PARSE("check", "--no-such", "--nagios");
	scoped(run_done) struct run neither = PARSE("run", "--no-such", "--", "x", "--json");
	assert_int_equal(json.inv.style, STYLE_JSON);
	assert_int_equal(nagios.inv.style, STYLE_NAGIOS);
	assert_int_equal(neither.inv.style, STYLE_TEXT);
}

static void options__help_needs_no_arguments(void **state)
{
	(void)state;
	scoped(run_done) struct run r = PARSE("get", "--help");
	assert_true(r.is_done && r.inv.globals.help);
}

static void commands__every_row_has_a_whole_manual(void **state)
{
	(void)state;
	for (size_t i = 0; i < command_count; i++) {
		struct buf help = BUF_INIT(65536);
		const struct command *c = &commands[i];
		assert_ptr_equal(command_named(c->name), c);
		assert_non_null(c->run);
		assert_true(strlen(c->summary) > 8 && strlen(c->help) > 30);
		assert_true(c->args_min <= c->args_max);
		/* The example must be a line this very parser takes, up to a redirection. */
		assert_non_null(strstr(c->example, c->name));
		for (size_t k = 0; k < c->option_count; k++) {
			assert_true((c->options[k].kind == OPTION_FLAG) == (c->options[k].argument == NULL));
			assert_non_null(c->options[k].summary);
		}
		help_command(c, &help);
		buf_append(&help, "", 1);
		assert_false(help.is_bad);
		assert_non_null(strstr((const char *)help.at, "Example:"));
		buf_done(&help);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options__one_word_may_hold_any_number_of_letters),
		cmocka_unit_test(options__values_come_behind_a_blank_or_an_equals_sign),
		cmocka_unit_test(options__global_ones_stand_anywhere),
		cmocka_unit_test(options__a_commands_own_option_wins_over_a_global_one),
		cmocka_unit_test(options__two_dashes_end_them),
		cmocka_unit_test(options__the_program_that_run_starts_keeps_its_own),
		cmocka_unit_test(options__unknown_ones_name_the_nearest),
		cmocka_unit_test(options__other_vaults_verbs_say_which_program_this_is),
		cmocka_unit_test(options__what_is_missing_twice_or_too_much_is_refused),
		cmocka_unit_test(options__values_of_the_wrong_form_are_refused),
		cmocka_unit_test(options__choices_are_numbered_from_zero),
		cmocka_unit_test(options__a_token_in_the_wrong_place_is_never_repeated),
		cmocka_unit_test(options__the_style_of_errors_is_known_before_the_parse_fails),
		cmocka_unit_test(options__help_needs_no_arguments),
		cmocka_unit_test(commands__every_row_has_a_whole_manual),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
