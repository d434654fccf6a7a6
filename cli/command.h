/* cli/command.h - what a command is, and what it is given when it runs.
 *
 * The table in commands.c is the manual: the parser, the help, the completion and the tests read the same rows. A new
 * command is one file, one row there and one name in the list below. What a row says is checked before a vault is
 * opened or a person asked anything: number and form of arguments, form of every option, options that exclude each
 * other. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "agent/client.h"
#include "agent/settings.h"
#include "core/buf.h"
#include "core/error.h"
#include "core/version.h"
#include "vault/vault.h"

/* What the value of an option must look like; a row of readers in options.c each. */
enum option_kind {
	OPTION_FLAG, /* takes no value */
	OPTION_TEXT,
	OPTION_PATH,
	OPTION_NUMBER,    /* 0 to 2^32-1 */
	OPTION_TIME,      /* RFC 3339 */
	OPTION_LABEL,     /* K=V */
	OPTION_TEST_CODE, /* "" is allowed: none */
	OPTION_CONSUMER,  /* who reads: --as */
	OPTION_CHOICE,    /* one of `argument`, split at | */
	OPTION_BINDING,   /* NAME=PIXEL, NAME fit for an environment variable */
	OPTION_SPAN,      /* 45s, 8h, 12d */
	OPTION_CODE,      /* an integer, perhaps negative */
	OPTION_KIND_COUNT
};

struct option {
	const char *name;
	char letter; /* '\0' = only the long name */
	enum option_kind kind;
	const char *argument; /* as help shows it: "N"; NULL for a flag */
	const char *summary;
	unsigned group; /* options of the same group exclude each other; 0 = none */
	bool is_repeatable;
};

/* One option as it stood on the command line. */
struct given {
	const struct option *option;
	const char *text; /* NULL for a flag */
	int64_t number;   /* OPTION_NUMBER, OPTION_TIME, OPTION_SPAN, OPTION_CODE; OPTION_CHOICE: which one, from 0 */
};

enum command_flag {
	NEEDS_SETTINGS = 1 << 0,                /* configuration and environment are read */
	NEEDS_UNLOCK = 1 << 1 | NEEDS_SETTINGS, /* invocation.vault is open and unlocked */
	FIRST_ARGUMENT_ENDS_OPTIONS = 1 << 2,   /* what follows belongs to somebody else's command */
	NEEDS_ADOPTION = 1 << 4 | NEEDS_UNLOCK, /* the same without this host's anchor */
	NEEDS_DOUBT = 1 << 7 | NEEDS_UNLOCK,    /* the same whatever the audit log is like */
	ARGUMENTS_MAY_BE_SECRET = 1 << 3,       /* a surplus argument is probably a pasted token: explain, never echo */
	THROUGH_AGENT = 1 << 5,                 /* a running agent serves it as well: then there is nothing to unlock */
	MANY_SECRETS = 1 << 8,                  /* a whole file of tokens is in memory at once */
	BARE_WITH_AGENT = 1 << 6 | THROUGH_AGENT, /* and no setting is looked at but the way to the agent */
};

enum command_group { GROUP_TOKENS, GROUP_WATCH, GROUP_UPKEEP, GROUP_ABOUT, GROUP_COUNT };

#define ARGS_MANY 0xffffffffu

struct invocation;
typedef bool command_fn(struct invocation *inv, struct error *err);

struct command {
	const char *name;
	enum command_group group;
	unsigned flags;
	unsigned args_min, args_max;
	unsigned pixel_args;  /* so many leading arguments are Pixel codes */
	const char *synopsis; /* what follows the name */
	const char *summary;  /* one line */
	const char *help;     /* the rest of the manual, before the options */
	const char *example;
	const struct option *options;
	size_t option_count;
	command_fn *run;
};

enum colour_choice { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

struct globals {
	const char *vault, *config;
	bool json, quiet, no_input, help, version;
	enum colour_choice colour;
};

enum error_style { STYLE_TEXT, STYLE_JSON, STYLE_NAGIOS };

/* One run of the program. */
struct invocation {
	const struct command *command; /* NULL: none was named */
	struct globals globals;
	enum error_style style; /* how a failure is told; known even when parsing failed half-way */
	struct given *given;
	size_t given_count;
	char **args; /* NULL-terminated */
	size_t arg_count;

	struct settings *settings; /* NULL unless the command needs them */
	struct client *agent;      /* the one that answered; NULL: the command works on the vault itself */
	struct vault *vault;
	int64_t clock; /* what expiry is judged by; known once records were read (source_each) */
	struct buf out;  /* goes to stdout in one piece when the command succeeded */
	struct buf held; /* notes kept back until the end, see output.h */
	int exit;        /* the status when the command returns true; when it fails, 0 = the error's code */
	bool is_stdout_closed;
	bool is_output_begun; /* something went to stdout already */
};

/* The options of the command as given. */
const struct given *option_find(const struct invocation *inv, const char *name); /* NULL when not given; the first */
bool option_is_given(const struct invocation *inv, const char *name);
const char *option_text(const struct invocation *inv, const char *name);
/* The next one of this name at or after *i, which moves behind it. */
const struct given *option_next(const struct invocation *inv, const char *name, size_t *i);

/* Every --label or -l of the command. They were checked by the parser. ret holds max of them; more is ERR_USAGE. */
must_check bool option_labels(const struct invocation *inv, struct label *ret, size_t max, size_t *ret_count,
			      struct error *err);

/* NAME=PIXEL split; false is explained. */
must_check bool option_split_binding(const char *text, char *ret_name, size_t size, const char **ret_pixel,
				     struct error *err);

extern const struct option global_options[];
extern const size_t global_option_count;

/* Fill inv from argv. Everything that can be wrong without looking at a vault is ERR_USAGE or ERR_MALFORMED here. inv
 * starts zeroed; release with invocation_done whatever happened, the vault apart. */
must_check bool options_parse(struct invocation *inv, const struct command *commands, size_t command_count, int argc,
			      char **argv, struct error *err);
void invocation_done(struct invocation *inv);

extern const struct command commands[];
extern const size_t command_count;
const struct command *command_named(const char *name); /* NULL when there is none */

/* Help as text: the whole program, or one command. */
void help_program(struct buf *out, bool is_short);
void help_command(const struct command *command, struct buf *out);

command_fn cmd_init, cmd_put, cmd_get, cmd_run, cmd_list, cmd_status, cmd_check, cmd_label, cmd_rm, cmd_history,
	cmd_verify, cmd_audit, cmd_adopt, cmd_config, cmd_completion, cmd_exit_codes, cmd_help, cmd_report, cmd_ack, cmd_rollback,
	cmd_rotate, cmd_swap, cmd_move, cmd_retire, cmd_rollout, cmd_unlock, cmd_lock, cmd_access, cmd_doctor, cmd_plan,
	cmd_match, cmd_render, cmd_scan, cmd_import, cmd_export, cmd_listing, cmd_alert, cmd_slot, cmd_rekey,
	cmd_rotate_key, cmd_backup, cmd_restore, cmd_checkpoint, cmd_levels;

#endif
