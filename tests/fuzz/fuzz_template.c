/* A template of render: parts that cover what was given, or an error with its place. */
#include "cli/template.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	scoped(template_done) struct template t = { .parts = NULL };
	struct error err;
	size_t text = 0;
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
