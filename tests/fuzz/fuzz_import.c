/* Any bytes as a file of many tokens, in each of the formats: read or refused with a reason, and what was read are
 * Pixel codes and tokens that a put would take, each of a row of its own. No word of a fault holds anything of a row:
 * it says the same whatever stands there, which is seen to by its type being a literal. The last byte chooses the
 * format. */
#include "agent/intake.h"
#include "vault/bundle.h"

#include <stdlib.h>

static void look_at(const struct intake *in, struct secret *file)
{
	struct error err;
	const uint8_t *start = secret_room(file), *end = start + secret_len(file);
	for (size_t i = 0; i < intake_count(in); i++) {
		const struct intake_entry *e = intake_entry_at(in, i);
		scoped(secret_freep) struct secret *token = NULL, *clean = NULL;
		unsigned removed = 0;
		if (!pixel_check(e->pixel, &err) || e->token.at < start || e->token.at + e->token.len > end ||
		    e->label_count > LABELS_MAX)
			abort();
		if (!secret_copy(e->token, &token, &err) || !token_clean(token, &clean, &removed, &err) || removed)
			abort();
	}
	for (size_t i = 0; i < intake_problem_count(in); i++) {
		const struct intake_problem *p = intake_problem_at(in, i);
		if (!p->row || !p->what[0] || p->column > secret_len(file) + 1)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const columns[] = { "1=pixel", "2=token" };
	static const char *const variables[] = { "A=C0U2T02IU8J6B9GC2B90", "B=none", "A1" };
	struct error err = { .code = ERR_NONE };
	struct sheet sheet;
	struct intake in;
	struct secret *file;
	enum bundle_kind kind;
	if (len == 0 || !secret_arena_open(SECRET_ARENA_BULK, &err))
		return 0;
	uint8_t choice = data[len - 1];
	if (!secret_copy(bytes_of(data, len - 1), &file, &err))
		return 0;
	bool is_bundle = bundle_check(bytes_of(data, len), &kind, &err);
	enum sheet_format format = choice % 4 == 3 ? sheet_guess(secret_reveal(file)) : (enum sheet_format)(choice % 4);
	struct intake_request request = { .maps = format == SHEET_ENV ? variables : columns,
					  .map_count = choice & 4 ? 2u + (format == SHEET_ENV && choice & 16) : 0,
					  .allow_shared = choice & 8 };
	if (!is_bundle && sheet_read(file, format, &sheet, &err)) {
		if (intake_read(&sheet, &request, &in, &err)) {
			look_at(&in, file);
			intake_done(&in);
		} else if (!err.message[0] || !err.hint[0]) {
			abort();
		}
		sheet_done(&sheet);
	}
	secret_free(file);
	return 0;
}
