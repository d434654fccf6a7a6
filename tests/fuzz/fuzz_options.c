/* Any words as a command line, a line each: understood or refused with a reason and a hint, and what was understood
 * keeps within the table that help is made from. */
#include "cli/command.h"
#include "tests/fuzz/common.h"

#define WORDS_MAX 24
#define TEXT_MAX 4096

static bool is_option_of(const struct command *command, const struct option *option)
{
	for (size_t i = 0; command && i < command->option_count; i++)
		if (option == &command->options[i])
			return true;
	return option >= global_options && option < global_options + global_option_count;
}

static void look_at_values(const struct invocation *inv)
{
	struct label labels[LABELS_MAX];
	struct error err;
	size_t count = 0;
	for (size_t i = 0; i < inv->given_count; i++) {
		const struct given *g = &inv->given[i];
		expect(is_option_of(inv->command, g->option) && g->option->kind < OPTION_KIND_COUNT);
		expect((g->text == NULL) == (g->option->kind == OPTION_FLAG));
		expect(g->option->kind != OPTION_NUMBER || (g->number >= 0 && g->number <= UINT32_MAX));
		expect(option_find(inv, g->option->name) != NULL && option_is_given(inv, g->option->name));
		if (g->option->kind == OPTION_BINDING) {
			char name[65];
			const char *pixel;
			expect(option_split_binding(g->text, name, sizeof name, &pixel, &err) || err.hint[0]);
		}
	}
	(void)!option_labels(inv, labels, COUNT_OF(labels), &count, &err);
	expect(count <= COUNT_OF(labels));
	(void)option_text(inv, "label");
}

static void look_at(const struct invocation *inv)
{
	const struct command *c = inv->command;
	struct error unused;
	if (inv->globals.help || inv->globals.version)
		return;
	for (size_t i = 0; c && i < inv->arg_count; i++)
		expect(inv->args[i] != NULL);
	expect(!inv->args || inv->args[inv->arg_count] == NULL);
	if (!c)
		return;
	expect(inv->arg_count >= c->args_min && inv->arg_count <= c->args_max);
	for (size_t i = 0; i < c->pixel_args && i < inv->arg_count; i++)
		expect(pixel_check(inv->args[i], &unused) || list_check(inv->args[i], &unused));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[TEXT_MAX + 1], *words[WORDS_MAX + 2];
	static char name[] = "vault";
	struct invocation inv = { .style = STYLE_TEXT };
	struct error err = { .code = ERR_NONE };
	int count = 0;
	len = len < TEXT_MAX ? len : TEXT_MAX;
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	words[count++] = name;
	for (char *at = text, *end; len && at && count <= WORDS_MAX; at = end ? end + 1 : NULL) {
		end = strchr(at, '\n');
		if (end)
			*end = '\0';
		words[count++] = at;
	}
	words[count] = NULL;
	if (options_parse(&inv, commands, command_count, count, words, &err)) {
		look_at(&inv);
		look_at_values(&inv);
	} else {
		expect((err.code == ERR_USAGE || err.code == ERR_MALFORMED) && err.message[0] && err.hint[0]);
	}
	invocation_done(&inv);
	return 0;
}
