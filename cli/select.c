#include "cli/select.h"

#include "agent/status.h"
#include "cli/source.h"

#include <stdio.h>
#include <string.h>

static void drop_repetitions(struct invocation *inv)
{
	size_t kept = 0;
	for (size_t i = 0; i < inv->arg_count; i++) {
		size_t j = 0;
		while (j < kept && strcmp(inv->args[j], inv->args[i]) != 0)
			j++;
		if (j == kept)
			inv->args[kept++] = inv->args[i];
	}
	inv->arg_count = kept;
	inv->args[kept] = NULL;
}

bool select_read(struct invocation *inv, struct selection *ret, struct error *err)
{
	drop_repetitions(inv);
	ret->pixels = (const char *const *)inv->args;
	ret->pixel_count = inv->arg_count;
	return option_labels(inv, ret->labels, COUNT_OF(ret->labels), &ret->label_count, err);
}

struct filter {
	const struct selection *which;
	vault_each_fn *fn;
	void *context;
};

static bool each_matching(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	const struct filter *f = context;
	if (!status_matches(c, NULL, 0, f->which->labels, f->which->label_count))
		return true;
	return f->fn(f->context, c, h, err);
}

bool select_each(struct invocation *inv, const struct selection *which, bool with_health, vault_each_fn *fn,
		 void *context, struct error *err)
{
	struct filter f = { .which = which, .fn = fn, .context = context };
	return source_each(inv, which->pixels, which->pixel_count, with_health, each_matching, &f, err);
}

void select_label_words(const struct credential *c, char ret[LABEL_WORDS_MAX])
{
	size_t at = 0;
	ret[0] = '\0';
	for (size_t i = 0; i < c->label_count && at < LABEL_WORDS_MAX; i++)
		at += (size_t)snprintf(ret + at, LABEL_WORDS_MAX - at, "%s%s=%s", i ? " " : "", c->labels[i].key,
				       c->labels[i].value);
}
