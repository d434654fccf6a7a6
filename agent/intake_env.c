/* The variables of a .env: whose token each holds is said by its name, which has the Pixel code as one of its words, or
 * by
 * --map NAME=PIXEL. Its other words say whether it is a token, a test code or when the token ends. */
#include "agent/intake_own.h"

#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_word_end(char c)
{
	return !c || c == '_' || c == '-' || c == '.';
}

/* The word of the name that is a Pixel code. */
static bool pixel_in_name(const char *name, char ret[PIXEL_CODE_MAX + 1])
{
	for (const char *word = name; *word;) {
		size_t len = 0;
		while (!is_word_end(word[len]))
			len++;
		if (len == 20) {
			memcpy(ret, word, len);
			ret[len] = '\0';
			if (pixel_has_known_shape(ret))
				return true;
		}
		word += len + (word[len] != '\0');
	}
	return false;
}

static enum field field_of_name(const char *name)
{
	static const char *const test_words[] = { "TEST_CODE", "TEST_EVENT_CODE", "TESTCODE" };
	for (size_t i = 0; i < COUNT_OF(test_words); i++)
		if (strcasestr(name, test_words[i]))
			return FIELD_TEST_CODE;
	return strcasestr(name, "EXPIRES") || strcasestr(name, "EXPIRY") ? FIELD_EXPIRES : FIELD_TOKEN;
}

/* The last --map of this name; NULL = there is none. */
static const char *mapped_to(const struct reading *r, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);
	for (size_t i = 0; i < r->request->map_count; i++)
		if (strncmp(r->request->maps[i], name, len) == 0 && r->request->maps[i][len] == '=')
			found = r->request->maps[i] + len + 1;
	return found;
}

static bool name_of_row(const struct reading *r, size_t i, char ret[SHEET_NAME_MAX + 1])
{
	struct bytes name = sheet_cell(r->sheet, sheet_row(r->sheet, i), 0);
	if (sheet_row(r->sheet, i)->is_bad || name.len > SHEET_NAME_MAX)
		return false;
	memcpy(ret, name.at, name.len);
	ret[name.len] = '\0';
	return true;
}

/* Whose it is, and what; false: nobody's. */
static bool owner_of(const struct reading *r, size_t i, char ret[PIXEL_CODE_MAX + 1], enum field *ret_field)
{
	char name[SHEET_NAME_MAX + 1];
	if (!name_of_row(r, i, name))
		return false;
	const char *mapped = mapped_to(r, name);
	*ret_field = field_of_name(name);
	if (!mapped)
		return pixel_in_name(name, ret);
	if (strcmp(mapped, "none") == 0)
		return false;
	snprintf(ret, PIXEL_CODE_MAX + 1, "%s", mapped); /* checked by check_maps */
	return true;
}

static bool is_given_up(const struct reading *r, size_t i)
{
	char name[SHEET_NAME_MAX + 1];
	const char *mapped = name_of_row(r, i, name) ? mapped_to(r, name) : NULL;
	return mapped && strcmp(mapped, "none") == 0;
}

static bool has_variable(const struct reading *r, const char *name, size_t len)
{
	for (size_t i = 0; i < sheet_row_count(r->sheet); i++)
		if (bytes_equal(sheet_cell(r->sheet, sheet_row(r->sheet, i), 0), bytes_of(name, len)))
			return true;
	return false;
}

static bool check_maps(const struct reading *r, struct error *err)
{
	for (size_t i = 0; i < r->request->map_count; i++) {
		const char *map = r->request->maps[i], *equals = strchr(map, '=');
		if (!equals || equals == map || equals - map > SHEET_NAME_MAX)
			return fail(err, ERR_USAGE, TXT_INTAKE_MAP_FORM, error_repeatable(map));
		if (strcmp(equals + 1, "none") != 0 && !pixel_check(equals + 1, err))
			return false;
		if (!has_variable(r, map, (size_t)(equals - map)))
			return fail(err, ERR_USAGE, TXT_INTAKE_MAP_VARIABLE, error_repeatable(map));
	}
	return true;
}

static void take_variable(struct reading *r, size_t i, const char *pixel)
{
	const struct sheet_row *row = sheet_row(r->sheet, i);
	struct intake_entry e = { .row = row->number, .token_column = 2 };
	r->row = row->number;
	if (!take_token(r, 2, sheet_cell(r->sheet, row, 1), &e.token))
		return;
	snprintf(e.pixel, sizeof e.pixel, "%s", pixel);
	buf_append(&r->in->entries, &e, sizeof e);
}

static struct intake_entry *entry_of(struct reading *r, const char *pixel)
{
	struct intake_entry *e = (struct intake_entry *)(void *)r->in->entries.at;
	for (size_t i = 0; i < intake_count(r->in); i++)
		if (strcmp(e[i].pixel, pixel) == 0)
			return &e[i];
	return NULL;
}

/* What is said of a token that stands elsewhere in the file. */
static void take_extra(struct reading *r, size_t i, const char *pixel, enum field field)
{
	const struct sheet_row *row = sheet_row(r->sheet, i);
	struct bytes value = sheet_cell(r->sheet, row, 1);
	struct intake_entry *e = entry_of(r, pixel);
	r->row = row->number;
	if (!e)
		note_problem(r, 0, field, INTAKE_NO_TOKEN_FOR);
	else if (field == FIELD_TEST_CODE)
		(void)take_test_code(r, 2, value, e->test_code);
	else
		(void)take_expires(r, 2, value, &e->expires_at);
}

static void take_all(struct reading *r, bool of_tokens)
{
	for (size_t i = 0; i < sheet_row_count(r->sheet); i++) {
		char pixel[PIXEL_CODE_MAX + 1];
		enum field field;
		if (!owner_of(r, i, pixel, &field)) {
			r->in->untaken += of_tokens && !sheet_row(r->sheet, i)->is_bad;
			r->in->unused += of_tokens && !is_given_up(r, i);
			continue;
		}
		if ((field == FIELD_TOKEN) != of_tokens)
			continue;
		if (of_tokens)
			take_variable(r, i, pixel);
		else
			take_extra(r, i, pixel, field);
	}
}

bool read_variables(struct reading *r, struct error *err)
{
	if (!check_maps(r, err))
		return false;
	take_all(r, true);
	take_all(r, false);
	if (intake_count(r->in) == 0 && intake_problem_count(r->in) == 0)
		return fail(err, ERR_USAGE, TXT_INTAKE_NO_VARIABLE);
	return true;
}
