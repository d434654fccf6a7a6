#include "cli/command.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

static const char *const group_titles[GROUP_COUNT] = {
	[GROUP_TOKENS] = "Tokens",
	[GROUP_WATCH] = "Watching them",
	[GROUP_UPKEEP] = "Upkeep",
	[GROUP_ABOUT] = "About",
};

static void append_option(struct buf *out, const struct option *o)
{
	char left[48];
	char letter[] = "-x, ";
	letter[1] = o->letter;
	snprintf(left, sizeof left, "%s--%s%s%s", o->letter ? letter : "    ", o->name, o->argument ? " " : "",
		 o->argument ? o->argument : "");
	buf_printf(out, "  %-30s %s\n", left, o->summary);
}

static void append_commands(struct buf *out)
{
	for (int group = 0; group < GROUP_COUNT; group++) {
		buf_printf(out, "\n%s:\n", group_titles[group]);
		for (size_t i = 0; i < command_count; i++)
			if ((int)commands[i].group == group)
				buf_printf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
	}
}

void help_program(struct buf *out, bool is_short)
{
	buf_append_text(out,
			"Usage: vault COMMAND [ARGUMENTS]\n\n"
			"pixelvault keeps TikTok access tokens, one for each Pixel, and knows whether they work.\n");
	append_commands(out);
	if (!is_short) {
		buf_append_text(out, "\nOptions of every command:\n");
		for (size_t i = 0; i < global_option_count; i++)
			append_option(out, &global_options[i]);
		buf_append_text(out, "\nA first walk:\n"
				     "  export PIXELVAULT_KEY_FILE=~/.config/pixelvault/key\n"
				     "  vault init\n"
				     "  vault put C0U2T02IU8J6B9GC2B90\n"
				     "  vault status\n");
	}
	buf_append_text(out, "\nMore of a command: vault help COMMAND\n");
}

void help_command(const struct command *c, struct buf *out)
{
	buf_printf(out, "Usage: vault %s%s%s\n\n%c%s.\n\n%s", c->name, *c->synopsis ? " " : "", c->synopsis,
		   c->summary[0] >= 'a' && c->summary[0] <= 'z' ? c->summary[0] - 'a' + 'A' : c->summary[0],
		   c->summary + 1, c->help);
	if (c->option_count)
		buf_append_text(out, "\nOptions:\n");
	for (size_t i = 0; i < c->option_count; i++)
		append_option(out, &c->options[i]);
	buf_printf(out, "\nExample:\n  %s\n\nOptions of every command: vault help\n", c->example);
}

bool cmd_help(struct invocation *inv, struct error *err)
{
	if (!inv->arg_count) {
		help_program(&inv->out, false);
		return true;
	}
	const struct command *c = command_named(inv->args[0]);
	if (!c)
		return fail(err, ERR_USAGE, TXT_HELP_UNKNOWN);
	help_command(c, &inv->out);
	return true;
}
