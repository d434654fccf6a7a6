/* Completions, made from the command table. They never read the vault: completing must not ask for a passphrase. */
#include "cli/command.h"
#include "cli/text.h"

#include <string.h>

typedef void option_fn(struct buf *out, const struct command *c, const struct option *o);

static void each_option(struct buf *out, const struct command *c, option_fn *fn)
{
	for (size_t i = 0; i < c->option_count; i++)
		fn(out, c, &c->options[i]);
	for (size_t i = 0; i < global_option_count; i++)
		fn(out, c, &global_options[i]);
}

/* "a|b|c" with another separator. */
static void append_choices(struct buf *out, const char *choices, char separator)
{
	for (const char *p = choices; *p; p++)
		buf_append(out, *p == '|' ? &separator : p, 1);
}

/* Arguments that are words of a fixed set: config check|show. */
static bool has_word_argument(const struct command *c)
{
	return strchr(c->synopsis, '|') && c->synopsis[0] >= 'a' && c->synopsis[0] <= 'z';
}

/* The first word of each of "show [-n N] | verify [--head SEQ:MAC]". */
static void append_words(struct buf *out, const char *synopsis, char separator)
{
	for (const char *p = synopsis; p; p = strchr(p, '|')) {
		p += strspn(p, "| ");
		buf_append(out, &separator, p == synopsis ? 0 : 1);
		buf_append(out, p, strspn(p, "abcdefghijklmnopqrstuvwxyz-"));
	}
}

static void append_command_names(struct buf *out)
{
	for (size_t i = 0; i < command_count; i++)
		buf_printf(out, "%s%s", i ? " " : "", commands[i].name);
}

/* ---- bash ---- */

static void bash_option(struct buf *out, const struct command *c, const struct option *o)
{
	(void)c;
	buf_printf(out, " --%s", o->name);
}

static void bash_value(struct buf *out, const struct command *c, const struct option *o)
{
	if (o->kind == OPTION_PATH) {
		buf_printf(out, "\t\t%s:--%s) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", c->name, o->name);
	} else if (o->kind == OPTION_CHOICE) {
		buf_printf(out, "\t\t%s:--%s) COMPREPLY=($(compgen -W '", c->name, o->name);
		append_choices(out, o->argument, ' ');
		buf_append_text(out, "' -- \"$word\")); return ;;\n");
	} else if (o->kind != OPTION_FLAG) {
		buf_printf(out, "\t\t%s:--%s) return ;;\n", c->name, o->name);
	}
}

static void print_bash(struct buf *out)
{
	buf_append_text(out,
			"# bash completion for pixelvault, made by 'vault completion bash'\n"
			"_pixelvault()\n{\n"
			"\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= w i\n"
			"\tCOMPREPLY=()\n"
			"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			"\t\tw=${COMP_WORDS[i]}\n"
			"\t\tcase $w in --vault|--config|--color) ((i++)) ;; -*|=) ;; *) command=$w; break ;; esac\n"
			"\tdone\n"
			"\t[[ $word == = ]] && word=\n"
			"\t[[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
			"\tcase $command:$before in\n");
	for (size_t i = 0; i < command_count; i++)
		each_option(out, &commands[i], bash_value);
	buf_append_text(out, "\tesac\n\tcase $command in\n\t\t'') COMPREPLY=($(compgen -W '");
	append_command_names(out);
	for (size_t i = 0; i < global_option_count; i++)
		buf_printf(out, " --%s", global_options[i].name);
	buf_append_text(out, "' -- \"$word\")) ;;\n");
	for (size_t i = 0; i < command_count; i++) {
		buf_printf(out, "\t\t%s) COMPREPLY=($(compgen -W '", commands[i].name);
		if (has_word_argument(&commands[i]))
			append_words(out, commands[i].synopsis, ' ');
		if (commands[i].run == cmd_help)
			append_command_names(out);
		each_option(out, &commands[i], bash_option);
		buf_append_text(out, "' -- \"$word\")) ;;\n");
	}
	buf_append_text(out, "\tesac\n}\n"
			     "complete -F _pixelvault pixelvault\n"
			     "# Another program may own the name vault.\n"
			     "case $(readlink -f \"$(command -v vault 2>/dev/null)\" 2>/dev/null) in\n"
			     "*/pixelvault) complete -F _pixelvault vault ;;\n"
			     "esac\n");
}

/* ---- zsh ---- */

/* Inside '...' and [...]: what would end them is written otherwise. */
static void append_zsh_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			buf_append_text(out, "'\\''");
		else if (strchr("[]:\\", *text))
			buf_printf(out, "\\%c", *text);
		else
			buf_append(out, text, 1);
	}
}

static void zsh_option(struct buf *out, const struct command *c, const struct option *o)
{
	(void)c;
	buf_printf(out, "\t\t\t'%s--%s%s[", o->is_repeatable ? "*" : "", o->name, o->kind == OPTION_FLAG ? "" : "=");
	append_zsh_text(out, o->summary);
	buf_append_text(out, "]");
	if (o->kind == OPTION_PATH) {
		buf_append_text(out, ":file:_files");
	} else if (o->kind == OPTION_CHOICE) {
		buf_append_text(out, ":value:(");
		append_choices(out, o->argument, ' ');
		buf_append_text(out, ")");
	} else if (o->kind != OPTION_FLAG) {
		buf_append_text(out, ":");
		append_zsh_text(out, o->argument);
		buf_append_text(out, ":");
	}
	buf_append_text(out, "' \\\n");
}

static void print_zsh(struct buf *out)
{
	buf_append_text(out, "#compdef pixelvault\n# zsh completion for pixelvault, made by 'vault completion zsh'\n"
			     "_pixelvault()\n{\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < command_count; i++) {
		buf_printf(out, "\t\t'%s:", commands[i].name);
		append_zsh_text(out, commands[i].summary);
		buf_append_text(out, "'\n");
	}
	buf_append_text(out, "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
			     "\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];
		buf_printf(out, "\t%s)\n\t\t_arguments \\\n", c->name);
		each_option(out, c, zsh_option);
		if (has_word_argument(c) || c->run == cmd_help) {
			buf_append_text(out, "\t\t\t'1:word:(");
			if (c->run == cmd_help)
				append_command_names(out);
			else
				append_words(out, c->synopsis, ' ');
			buf_append_text(out, ")' ;;\n");
		} else {
			buf_append_text(out, "\t\t\t'*:argument:' ;;\n");
		}
	}
	buf_append_text(out, "\tesac\n}\n_pixelvault \"$@\"\n");
}

/* ---- fish ---- */

static void append_fish_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_append_text(out, "\\");
		buf_append(out, text, 1);
	}
}

static void fish_line(struct buf *out, const struct option *o)
{
	buf_printf(out, " -l %s", o->name);
	if (o->letter)
		buf_printf(out, " -s %c", o->letter);
	if (o->kind == OPTION_PATH)
		buf_append_text(out, " -r -F");
	else if (o->kind == OPTION_CHOICE) {
		buf_append_text(out, " -x -a '");
		append_choices(out, o->argument, ' ');
		buf_append_text(out, "'");
	} else if (o->kind != OPTION_FLAG)
		buf_append_text(out, " -x");
	buf_append_text(out, " -d '");
	append_fish_text(out, o->summary);
	buf_append_text(out, "'\n");
}

static void print_fish(struct buf *out)
{
	buf_append_text(out, "# fish completion for pixelvault, made by 'vault completion fish'\n"
			     "complete -c pixelvault -f\n");
	for (size_t i = 0; i < global_option_count; i++) {
		buf_append_text(out, "complete -c pixelvault");
		fish_line(out, &global_options[i]);
	}
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];
		buf_printf(out, "complete -c pixelvault -n __fish_use_subcommand -a %s -d '", c->name);
		append_fish_text(out, c->summary);
		buf_append_text(out, "'\n");
		for (size_t k = 0; k < c->option_count; k++) {
			buf_printf(out, "complete -c pixelvault -n '__fish_seen_subcommand_from %s'", c->name);
			fish_line(out, &c->options[k]);
		}
		if (!has_word_argument(c) && c->run != cmd_help)
			continue;
		buf_printf(out, "complete -c pixelvault -n '__fish_seen_subcommand_from %s' -a '", c->name);
		if (c->run == cmd_help)
			append_command_names(out);
		else
			append_words(out, c->synopsis, ' ');
		buf_append_text(out, "'\n");
	}
}

bool cmd_completion(struct invocation *inv, struct error *err)
{
	static const struct {
		const char *name;
		void (*print)(struct buf *out);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
	for (size_t i = 0; i < COUNT_OF(shells); i++)
		if (strcmp(inv->args[0], shells[i].name) == 0) {
			shells[i].print(&inv->out);
			return true;
		}
	return fail(err, ERR_USAGE, TXT_SHELL_UNKNOWN);
}
