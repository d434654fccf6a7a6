/* A template of render: parts that cover what was given, or an error with its place. */
#include "cli/template.h"

#include <stdlib.h>

/* Any printable text through each filter: nothing of a quote that could end it early is left bare. */
static void filter_all(struct bytes text)
{
	static const char ends[FILTER_COUNT] = { [FILTER_JSON] = '"', [FILTER_ENV] = '"', [FILTER_SHELL] = '\'' };
	struct error err;
	for (int f = FILTER_NONE; f < FILTER_COUNT; f++) {
		scoped(secret_freep) struct secret *token = NULL, *out = NULL;
		if (!secret_copy(text, &token, &err) || !template_filter((enum filter)f, token, &out, &err))
			abort();
		struct bytes got = secret_reveal(out);
		if (f == FILTER_NONE ? !bytes_equal(got, text) : got.len < text.len)
			abort();
		if (ends[f] && (got.len < 2 || got.at[0] != ends[f] || got.at[got.len - 1] != ends[f]))
			abort();
		for (size_t i = 1; f == FILTER_JSON && i + 1 < got.len; i++)
			if (got.at[i] == '"' || (got.at[i] == '\\' && ++i + 1 >= got.len))
				abort();
		for (size_t i = 0; f >= FILTER_URL && i < got.len; i++)
			if (got.at[i] <= ' ' || strchr("\"'`$\\<>&", got.at[i]))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	scoped(template_done) struct template t = { .parts = NULL };
	struct error err;
	size_t text = 0, printable = 0;
	if (!secret_arena_open(SECRET_ARENA_LARGE, &err))
		return 0;
	while (printable < len && data[printable] > 0x20 && data[printable] < 0x7f)
		printable++;
	if (printable && printable <= TOKEN_MAX)
		filter_all(bytes_of(data, printable));
	if (!template_parse(bytes_of(data, len), "t", &t, &err)) {
		if (err.code != ERR_CONFIG || memcmp(err.message, "t:", 2) != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < t.count; i++) {
		const struct part *part = &t.parts[i];
		if (part->text.len ? part->text.at < data || part->text.at + part->text.len > data + len
				   : !pixel_check(part->pixel, &err) || part->filter >= FILTER_COUNT)
			abort();
		text += part->text.len;
	}
	if (text > len)
		abort();
	return 0;
}
