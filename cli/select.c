#include "cli/select.h"

#include "agent/status.h"

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

/* A few names cost a few records, not the whole vault. */
static bool each_named(struct invocation *inv, struct filter *f, bool with_health, struct error *err)
{
	struct credential c;
	struct health h;
	for (size_t i = 0; i < f->which->pixel_count; i++) {
		if (!vault_find(inv->vault, f->which->pixels[i], false, &c, err))
			return false;
		if (with_health && !vault_health(inv->vault, &c, &h, err))
			return false;
		if (!each_matching(f, &c, with_health ? &h : NULL, err))
			return false;
	}
	return true;
}

bool select_each(struct invocation *inv, const struct selection *which, bool with_health, vault_each_fn *fn,
		 void *context, struct error *err)
{
	struct filter f = { .which = which, .fn = fn, .context = context };
	if (which->pixel_count)
		return each_named(inv, &f, with_health, err);
	return vault_each(inv->vault, with_health, false, each_matching, &f, err);
}

void select_label_words(const struct credential *c, char ret[LABEL_WORDS_MAX])
{
	size_t at = 0;
	ret[0] = '\0';
	for (size_t i = 0; i < c->label_count && at < LABEL_WORDS_MAX; i++)
		at += (size_t)snprintf(ret + at, LABEL_WORDS_MAX - at, "%s%s=%s", i ? " " : "", c->labels[i].key,
				       c->labels[i].value);
}
