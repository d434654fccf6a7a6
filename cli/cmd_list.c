#include "cli/output.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_BYTES_MAX ((size_t)1 << 30)

struct listing {
	struct table table;
	struct buf objects, index;
};

struct entry {
	char pixel[PIXEL_CODE_MAX + 1];
	size_t at, len;
};

static void listing_done(struct listing *l)
{
	table_done(&l->table);
	buf_done(&l->objects);
	buf_done(&l->index);
}

static bool add_object(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct listing *l = context;
	struct json j = JSON_INIT(&l->objects);
	struct entry entry = { .at = l->objects.len };
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	(void)h;
	json_object(&j, NULL);
	json_text(&j, "pixel", c->pixel);
	json_object(&j, "labels");
	for (size_t i = 0; i < c->label_count; i++)
		json_text(&j, c->labels[i].key, c->labels[i].value);
	json_end_object(&j);
	if (current)
		json_int(&j, "version", current->number);
	else
		json_null(&j, "version");
	json_end_object(&j);
	memcpy(entry.pixel, c->pixel, sizeof entry.pixel);
	entry.len = l->objects.len - entry.at;
	buf_append(&l->index, &entry, sizeof entry);
	return buf_ok(&l->objects, err) && buf_ok(&l->index, err);
}

static bool add_row(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct listing *l = context;
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	char text[LABEL_WORDS_MAX];
	(void)h;
	table_row(&l->table, 0);
	table_cell(&l->table, c->pixel, TINT_NONE);
	snprintf(text, sizeof text, current ? "v%u" : "-", current ? current->number : 0);
	table_cell(&l->table, text, TINT_NONE);
	select_label_words(c, text);
	table_cell(&l->table, text, TINT_NONE);
	return buf_ok(&l->table.cells, err);
}

static int by_pixel(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return strcmp(x->pixel, y->pixel);
}

static void print_objects(struct invocation *inv, struct listing *l)
{
	size_t count = l->index.len / sizeof(struct entry);
	struct entry *entries = (struct entry *)(void *)l->index.at;
	if (count > 1)
		qsort(entries, count, sizeof *entries, by_pixel);
	buf_append_text(&inv->out, "{\"schema\":1,\"pixels\":[");
	for (size_t i = 0; i < count; i++) {
		buf_append(&inv->out, ",", i ? 1 : 0);
		buf_append(&inv->out, l->objects.at + entries[i].at, entries[i].len);
	}
	buf_append_text(&inv->out, "]}\n");
}

bool cmd_list(struct invocation *inv, struct error *err)
{
	/* Headings only for people: a script counts lines. */
	static const char *const headings[] = { "PIXEL", "VERSION", "LABELS" };
	unsigned width = term_width(STDOUT_FILENO);
	scoped(listing_done) struct listing l = { .objects = BUF_INIT(LIST_BYTES_MAX),
						  .index = BUF_INIT(LIST_BYTES_MAX) };
	struct selection which;
	table_init(&l.table, width ? headings : NULL, COUNT_OF(headings));
	if (!select_read(inv, &which, err) ||
	    !select_each(inv, &which, false, inv->globals.json ? add_object : add_row, &l, err))
		return false;
	if (inv->globals.json) {
		print_objects(inv, &l);
		return true;
	}
	if (!l.table.count) {
		say(inv, "%s", which.label_count ? SAY_NONE_MATCH : SAY_EMPTY);
		return true;
	}
	table_sort(&l.table);
	return table_print(&l.table, term_wants_colour(inv->globals.colour, STDOUT_FILENO), width, &inv->out, err);
}
