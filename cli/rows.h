/* cli/rows.h - the rows of the two commands that cli/main.c serves by itself, so that its table and the whole one hold
 * the same. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/command.h"

#define OPTIONS(array) (array), COUNT_OF(array)
#define NO_OPTIONS NULL, 0
#define ALL_ARGS ARGS_MANY

/* Pixel codes for examples, made up. */
#define PX "C0U2T02IU8J6B9GC2B90"
#define PX2 "C1U2T02IU8J6B9GC2B9G"

static const struct option get_options[] = {
	{ "version", 0, OPTION_NUMBER, "N", "this version instead of the current one", 1, false },
	{ "previous", 0, OPTION_FLAG, NULL, "the version before the current one", 1, false },
	{ "healthy", 0, OPTION_FLAG, NULL, "refuse a token that TikTok refuses (10, 11 or 15)", 0, false },
	{ "as", 0, OPTION_CONSUMER, "NAME", "note who reads which version", 0, false },
};

static const struct option run_options[] = {
	{ "env", 0, OPTION_BINDING, "NAME=PIXEL", "put the Pixel's token into the variable NAME; may be repeated", 0,
	  true },
	{ "file", 0, OPTION_BINDING, "NAME=PIXEL",
	  "put it into a sealed memory file whose path is in NAME; may be repeated", 0, true },
};

#define ROW_GET(run_)                                                                                                  \
	{                                                                                                              \
		"get", GROUP_TOKENS, NEEDS_UNLOCK | BARE_WITH_AGENT, 1, 1, 1,                                          \
			"PIXEL [--version N | --previous] [--healthy] [--as NAME] [--json]", "print a token",          \
			"Prints exactly the token; a line end follows only on a terminal. The current token is "       \
			"handed out\n"                                                                                 \
			"whatever TikTok last said of it, so that a false alarm never stops a sender; if TikTok "      \
			"refuses it,\n"                                                                                \
			"that is said on stderr. With --healthy such a token is refused instead.\n",                   \
			"TOKEN=$(vault get " PX " --as checkout)", OPTIONS(get_options), (run_)                        \
	}

#define ROW_RUN(run_)                                                                                                  \
	{                                                                                                              \
		"run", GROUP_TOKENS, NEEDS_UNLOCK | BARE_WITH_AGENT | FIRST_ARGUMENT_ENDS_OPTIONS, 1, ALL_ARGS, 0,     \
			"[--env NAME=PIXEL]... [--file NAME=PIXEL]... -- CMD...",                                      \
			"start a program that is given tokens",                                                        \
			"Becomes CMD, with the tokens in its environment, or in sealed memory files whose paths are "  \
			"in its\n"                                                                                     \
			"environment. Nothing of pixelvault stays behind: signals and the exit status are CMD's "      \
			"own.\n"                                                                                       \
			"126 and 127 mean what they mean for env(1): cannot be started, not found.\n",                 \
			"vault run --env TIKTOK_TOKEN=" PX " -- ./send-events", OPTIONS(run_options), (run_)           \
	}

#endif
