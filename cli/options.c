#include "cli/command.h"

#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	GLOBAL_VAULT,
	GLOBAL_CONFIG,
	GLOBAL_JSON,
	GLOBAL_QUIET,
	GLOBAL_NO_INPUT,
	GLOBAL_COLOUR,
	GLOBAL_HELP,
	GLOBAL_VERSION
};

const struct option global_options[] = {
	[GLOBAL_VAULT] = { "vault", 0, OPTION_PATH, "PATH", "the vault file", 0, false },
	[GLOBAL_CONFIG] = { "config", 0, OPTION_PATH, "FILE", "read this configuration and no other", 0, false },
	[GLOBAL_JSON] = { "json", 0, OPTION_FLAG, NULL, "print one JSON object, errors included", 0, false },
	[GLOBAL_QUIET] = { "quiet", 'q', OPTION_FLAG, NULL, "say nothing but errors", 0, false },
	[GLOBAL_NO_INPUT] = { "no-input", 0, OPTION_FLAG, NULL, "never ask; fail instead", 0, false },
	[GLOBAL_COLOUR] = { "color", 0, OPTION_CHOICE, "auto|always|never", "colours (NO_COLOR is honoured)", 0,
			    false },
	[GLOBAL_HELP] = { "help", 'h', OPTION_FLAG, NULL, "what a command does, with an example", 0, false },
	[GLOBAL_VERSION] = { "version", 0, OPTION_FLAG, NULL, "the version of this program", 0, false },
};
const size_t global_option_count = COUNT_OF(global_options);

/* Options people expect of programs like this one, and that must not exist: an argument is seen by every user of the
 * machine and stays in the shell's history. */
static const char *const secret_names[] = { "token",    "access-token", "secret",           "value", "data",
					    "password", "passphrase",   "passphrase-stdin", "key" };

struct parser {
	struct invocation *inv;
	const struct command *commands;
	size_t command_count;
	int argc, at;
	char **argv;
	bool is_past_options;
};

/* ---- what was given ---- */

const struct given *option_next(const struct invocation *inv, const char *name, size_t *i)
{
	while (*i < inv->given_count) {
		const struct given *g = &inv->given[(*i)++];
		if (strcmp(g->option->name, name) == 0)
			return g;
	}
	return NULL;
}

const struct given *option_find(const struct invocation *inv, const char *name)
{
	size_t i = 0;
	return option_next(inv, name, &i);
}

bool option_is_given(const struct invocation *inv, const char *name)
{
	return option_find(inv, name) != NULL;
}

const char *option_text(const struct invocation *inv, const char *name)
{
	const struct given *g = option_find(inv, name);
	return g ? g->text : NULL;
}

bool option_labels(const struct invocation *inv, struct label *ret, size_t max, size_t *ret_count, struct error *err)
{
	size_t count = 0, i = 0;
	for (const struct given *g; (g = option_next(inv, "label", &i));) {
		if (count == max)
			return fail(err, ERR_USAGE, TXT_TOO_MANY_LABELS, max);
		if (!label_parse(g->text, &ret[count], err))
			return false;
		count++;
	}
	*ret_count = count;
	return true;
}

/* ---- the form of values ---- */

static bool read_any(struct given *g, struct error *err)
{
	(void)g;
	(void)err;
	return true;
}

static bool read_path(struct given *g, struct error *err)
{
	if (!*g->text)
		return fail(err, ERR_USAGE, TXT_OPTION_EMPTY, g->option->name);
	return true;
}

static bool read_number(struct given *g, struct error *err)
{
	int64_t value = 0;
	const char *p = g->text;
	for (; *p >= '0' && *p <= '9' && value <= UINT32_MAX; p++)
		value = value * 10 + (*p - '0');
	if (p == g->text || *p || value > UINT32_MAX)
		return fail(err, ERR_USAGE, TXT_OPTION_NOT_NUMBER, g->option->name);
	g->number = value;
	return true;
}

static bool read_time(struct given *g, struct error *err)
{
	return clock_parse(g->text, &g->number, err);
}

static bool read_label(struct given *g, struct error *err)
{
	struct label unused;
	return label_parse(g->text, &unused, err);
}

static bool read_test_code(struct given *g, struct error *err)
{
	return !*g->text || test_code_check(g->text, err);
}

static bool read_consumer(struct given *g, struct error *err)
{
	return consumer_name_check(g->text, err);
}

static bool read_choice(struct given *g, struct error *err)
{
	size_t len = strlen(g->text);
	int64_t which = 0;
	for (const char *p = g->option->argument;; p++, which++) {
		size_t word = text_until(p, '|');
		if (len && word == len && strncmp(p, g->text, len) == 0) {
			g->number = which;
			return true;
		}
		p += word;
		if (!*p)
			return fail(err, ERR_USAGE, TXT_OPTION_NOT_CHOICE, g->option->name, g->option->argument);
	}
}

/* People swap the two things they have in the clipboard. TikTok's tokens are long and mostly hex digits; what may be
 * one is refused without being repeated, since an error ends up in logs. */
static bool may_be_token(const char *text)
{
	size_t len = strlen(text);
	bool is_hex = text_is_only_of(text, "0123456789abcdef");
	bool is_word = text_is_only_of(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
	return len > PIXEL_CODE_MAX || (len >= 32 && is_hex) || (len > 20 && !is_word);
}

static bool check_pixel(const char *text, struct error *err)
{
	return may_be_token(text) ? fail(err, ERR_MALFORMED, TXT_PIXEL_IS_TOKEN) : pixel_check(text, err);
}

/* What the dynamic linker obeys or the shell lives on is not a place for a token. */
static bool name_is_allowed(const char *name)
{
	if (!*name || (*name >= '0' && *name <= '9') || strncmp(name, "LD_", 3) == 0 || strcmp(name, "PATH") == 0)
		return false;
	for (const char *p = name; *p; p++)
		if (!(*p == '_' || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')))
			return false;
	return true;
}

bool option_split_binding(const char *text, char *ret_name, size_t size, const char **ret_pixel, struct error *err)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : 0;
	if (!equals || !len || len >= size)
		return fail(err, ERR_USAGE, TXT_BINDING_FORM);
	memcpy(ret_name, text, len);
	ret_name[len] = '\0';
	if (!name_is_allowed(ret_name))
		return fail(err, ERR_USAGE, TXT_BINDING_NAME, ret_name);
	if (!check_pixel(equals + 1, err))
		return false;
	*ret_pixel = equals + 1;
	return true;
}

static bool read_binding(struct given *g, struct error *err)
{
	char name[128];
	const char *pixel;
	return option_split_binding(g->text, name, sizeof name, &pixel, err);
}

static bool read_span(struct given *g, struct error *err)
{
	if (!clock_parse_span(g->text, &g->number) || g->number == 0)
		return fail(err, ERR_USAGE, TXT_OPTION_NOT_SPAN, g->option->name);
	return true;
}

/* What TikTok calls `code`: it fits 32 bits. */
static bool read_code(struct given *g, struct error *err)
{
	bool is_negative = g->text[0] == '-';
	struct given digits = { .option = g->option, .text = g->text + is_negative };
	if (!read_number(&digits, err) || digits.number > INT32_MAX)
		return fail(err, ERR_USAGE, TXT_OPTION_NOT_CODE, g->option->name);
	g->number = is_negative ? -digits.number : digits.number;
	return true;
}

static bool (*const readers[OPTION_KIND_COUNT])(struct given *, struct error *) = {
	[OPTION_FLAG] = read_any,
	[OPTION_TEXT] = read_any,
	[OPTION_PATH] = read_path,
	[OPTION_NUMBER] = read_number,
	[OPTION_TIME] = read_time,
	[OPTION_LABEL] = read_label,
	[OPTION_TEST_CODE] = read_test_code,
	[OPTION_CONSUMER] = read_consumer,
	[OPTION_CHOICE] = read_choice,
	[OPTION_BINDING] = read_binding,
	[OPTION_SPAN] = read_span,
	[OPTION_CODE] = read_code,
};

/* ---- finding names ---- */

static const struct option *find_in(const struct option *options, size_t count, const char *name, size_t len,
				    char letter)
{
	for (size_t i = 0; i < count; i++) {
		if (letter && options[i].letter == letter)
			return &options[i];
		if (name && strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0)
			return &options[i];
	}
	return NULL;
}

/* The command's own options win: `get --version 3` is not `--version`. */
static const struct option *find_option(const struct invocation *inv, const char *name, size_t len, char letter)
{
	const struct option *found = NULL;
	if (inv->command)
		found = find_in(inv->command->options, inv->command->option_count, name, len, letter);
	return found ? found : find_in(global_options, global_option_count, name, len, letter);
}

static bool is_global(const struct option *option)
{
	return option >= global_options && option < global_options + global_option_count;
}

static bool refuse_option(const struct parser *p, const char *name, struct error *err)
{
	const char *candidates[64];
	char hint[160];
	size_t count = 0;
	const struct command *command = p->inv->command;
	for (size_t i = 0; i < COUNT_OF(secret_names); i++)
		if (strcmp(name, secret_names[i]) == 0)
			return fail(err, ERR_USAGE, TXT_OPTION_SECRET, name);
	for (size_t i = 0; command && i < command->option_count && count < COUNT_OF(candidates); i++)
		candidates[count++] = command->options[i].name;
	for (size_t i = 0; i < global_option_count && count < COUNT_OF(candidates); i++)
		candidates[count++] = global_options[i].name;
	const char *nearest = config_nearest(name, candidates, count);
	if (nearest)
		snprintf(hint, sizeof hint, "did you mean --%s?", nearest);
	else
		snprintf(hint, sizeof hint, "see: vault %s%s--help", command ? command->name : "", command ? " " : "");
	return fail(err, ERR_USAGE, TXT_OPTION_UNKNOWN, hint, name);
}

static bool refuse_command(const struct parser *p, const char *name, struct error *err)
{
	static const char *const foreign[] = {
		"kv",     "server", "operator", "secrets", "login", "read",   "write",
		"unseal", "seal",   "auth",     "policy",  "lease", "plugin", "namespace"
	};
	const char *candidates[64];
	char hint[160];
	size_t count = 0;
	for (size_t i = 0; i < COUNT_OF(foreign); i++)
		if (strcmp(name, foreign[i]) == 0)
			return fail(err, ERR_USAGE, TXT_COMMAND_FOREIGN, name);
	/* What looks like no word at all may be a pasted token: never echo it. */
	if (strlen(name) > 20 || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")])
		return fail(err, ERR_USAGE, TXT_COMMAND_NO_WORD);
	for (size_t i = 0; i < p->command_count && count < COUNT_OF(candidates); i++)
		candidates[count++] = p->commands[i].name;
	const char *nearest = config_nearest(name, candidates, count);
	if (nearest)
		snprintf(hint, sizeof hint, "did you mean 'vault %s'? All commands: vault help", nearest);
	else
		snprintf(hint, sizeof hint, "all commands: vault help");
	return fail(err, ERR_USAGE, TXT_COMMAND_UNKNOWN, hint, name);
}

/* ---- parsing ---- */

static void apply_global(struct globals *g, const struct given *given)
{
	switch (given->option - global_options) {
	case GLOBAL_VAULT:
		g->vault = given->text;
		break;
	case GLOBAL_CONFIG:
		g->config = given->text;
		break;
	case GLOBAL_JSON:
		g->json = true;
		break;
	case GLOBAL_QUIET:
		g->quiet = true;
		break;
	case GLOBAL_NO_INPUT:
		g->no_input = true;
		break;
	case GLOBAL_COLOUR:
		g->colour = (enum colour_choice)given->number;
		break;
	case GLOBAL_HELP:
		g->help = true;
		break;
	case GLOBAL_VERSION:
		g->version = true;
		break;
	default:
		break;
	}
}

static bool add_given(struct parser *p, const struct option *option, const char *text, struct error *err)
{
	struct given g = { .option = option, .text = text };
	for (size_t i = 0; i < p->inv->given_count; i++) {
		const struct option *earlier = p->inv->given[i].option;
		if (earlier == option && option->kind != OPTION_FLAG && !option->is_repeatable)
			return fail(err, ERR_USAGE, TXT_OPTION_TWICE, option->name);
		if (earlier != option && option->group && earlier->group == option->group)
			return fail(err, ERR_USAGE, TXT_OPTIONS_EXCLUDE, earlier->name, option->name);
	}
	if (!readers[option->kind](&g, err))
		return false;
	if (is_global(option))
		apply_global(&p->inv->globals, &g);
	p->inv->given[p->inv->given_count++] = g;
	return true;
}

/* value is what stood behind '=' or the letter, or NULL: then the next argument is it. */
static bool take_option(struct parser *p, const struct option *option, const char *value, struct error *err)
{
	if (option->kind == OPTION_FLAG && value)
		return fail(err, ERR_USAGE, TXT_OPTION_NO_VALUE, option->name);
	if (option->kind != OPTION_FLAG && !value) {
		if (p->at + 1 >= p->argc)
			return fail(err, ERR_USAGE, TXT_OPTION_NEEDS_VALUE, option->name, option->name,
				    option->argument);
		value = p->argv[++p->at];
	}
	return add_given(p, option, value, err);
}

static bool parse_long(struct parser *p, const char *text, struct error *err)
{
	char name[64];
	size_t len = text_until(text, '=');
	const struct option *option = find_option(p->inv, text, len, '\0');
	if (option)
		return take_option(p, option, text[len] ? text + len + 1 : NULL, err);
	/* Only the name is shown, never what stands behind the equals sign; an overlong one not at all. */
	snprintf(name, sizeof name, "%.*s", len < 32 ? (int)len : 0, text);
	return refuse_option(p, name, err);
}

static bool parse_short(struct parser *p, const char *letters, struct error *err)
{
	for (; *letters; letters++) {
		const struct option *option = find_option(p->inv, NULL, 0, *letters);
		if (!option)
			return fail(err, ERR_USAGE, TXT_LETTER_UNKNOWN, *letters);
		if (option->kind != OPTION_FLAG)
			return take_option(p, option, letters[1] ? letters + 1 : NULL, err);
		if (!take_option(p, option, NULL, err))
			return false;
	}
	return true;
}

static bool parse_plain(struct parser *p, char *text, struct error *err)
{
	struct invocation *inv = p->inv;
	if (!inv->command) {
		for (size_t i = 0; i < p->command_count; i++)
			if (strcmp(p->commands[i].name, text) == 0)
				inv->command = &p->commands[i];
		return inv->command ? true : refuse_command(p, text, err);
	}
	inv->args[inv->arg_count++] = text;
	if (inv->command->flags & FIRST_ARGUMENT_ENDS_OPTIONS)
		p->is_past_options = true;
	return true;
}

static bool parse_one(struct parser *p, char *text, struct error *err)
{
	if (p->is_past_options || text[0] != '-' || !text[1])
		return parse_plain(p, text, err);
	if (strcmp(text, "--") == 0) {
		p->is_past_options = true;
		return true;
	}
	return text[1] == '-' ? parse_long(p, text + 2, err) : parse_short(p, text + 1, err);
}

static bool refuse_count(const struct invocation *inv, struct error *err)
{
	const struct command *c = inv->command;
	char hint[240];
	snprintf(hint, sizeof hint, "vault %s %s", c->name, c->synopsis);
	if (inv->arg_count > c->args_max)
		return fail(err, ERR_USAGE, TXT_ARGUMENTS_SURPLUS, hint, c->name, c->args_max, inv->arg_count);
	if (inv->arg_count < c->pixel_args)
		return fail(err, ERR_USAGE, TXT_PIXEL_MISSING, hint, c->name);
	return fail(err, ERR_USAGE, TXT_ARGUMENTS_MISSING, hint, c->name);
}

static bool check_arguments(const struct invocation *inv, struct error *err)
{
	const struct command *c = inv->command;
	if (inv->arg_count > c->args_max && c->flags & ARGUMENTS_MAY_BE_SECRET)
		return fail(err, ERR_USAGE, TXT_TOKEN_IN_ARGUMENT, c->name);
	if (inv->arg_count < c->args_min || inv->arg_count > c->args_max)
		return refuse_count(inv, err);
	for (size_t i = 0; i < inv->arg_count && i < c->pixel_args; i++)
		if (!check_pixel(inv->args[i], err))
			return false;
	return true;
}

/* A failure half-way must still be told in the form that was asked for further on. */
static void foresee_style(struct invocation *inv, int argc, char **argv)
{
	bool is_check = false;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		is_check = is_check || strcmp(argv[i], "check") == 0;
		if (strcmp(argv[i], "--json") == 0)
			inv->style = STYLE_JSON;
		if (is_check && strcmp(argv[i], "--nagios") == 0) {
			inv->style = STYLE_NAGIOS;
			return;
		}
	}
}

/* How many options these words may be at the most: one word of letters, as -qh, is one for each. */
static size_t most_given(int argc, char **argv)
{
	size_t most = 1;
	for (int i = 0; i < argc; i++)
		most += argv[i][0] == '-' && argv[i][1] != '-' ? strlen(argv[i]) : 1;
	return most;
}

bool options_parse(struct invocation *inv, const struct command *table, size_t count, int argc, char **argv,
		   struct error *err)
{
	struct parser p = { .inv = inv, .commands = table, .command_count = count, .argc = argc, .argv = argv };
	foresee_style(inv, argc, argv);
	inv->given = calloc(most_given(argc, argv), sizeof *inv->given);
	inv->args = calloc((size_t)argc + 1, sizeof *inv->args);
	if (!inv->given || !inv->args)
		return fail_no_memory(err);
	for (p.at = 1; p.at < argc; p.at++)
		if (!parse_one(&p, argv[p.at], err))
			return false;
	inv->style = inv->globals.json ? STYLE_JSON : STYLE_TEXT;
	if (option_is_given(inv, "nagios"))
		inv->style = STYLE_NAGIOS;
	if (!inv->command || inv->globals.help || inv->globals.version)
		return true;
	return check_arguments(inv, err);
}

void invocation_done(struct invocation *inv)
{
	client_freep(&inv->agent);
	if (inv->settings)
		settings_done(inv->settings);
	buf_done(&inv->out);
	buf_done(&inv->held);
	free(inv->given);
	free(inv->args);
	inv->given = NULL;
	inv->args = NULL;
	inv->given_count = inv->arg_count = 0;
}
