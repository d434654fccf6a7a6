/* Any bytes as JSON: refused with a reason, or found in by us as cJSON reads it; and as text to be written, always
 * written as a document that passes the check. */
#include "core/json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_reading(struct bytes text, struct json_limits limits)
{
	const char *why = NULL;
	struct bytes raw;
	bool is_strict = json_check(text, limits, &why), is_found = json_find_raw(text, "code", &raw);
	if (is_strict == (why != NULL))
		abort();
	if (!is_strict)
		return;
	cJSON *tree = cJSON_ParseWithLength((const char *)text.at, text.len);
	if (!tree || (is_found && !cJSON_GetObjectItemCaseSensitive(tree, "code")))
		abort();
	if (is_found && !json_check(raw, limits, &why))
		abort();
	cJSON_Delete(tree);
}

static void check_writing(struct bytes text, struct json_limits limits)
{
	const char *why;
	struct buf out = BUF_INIT(1u << 20);
	struct json j = JSON_INIT(&out);
	json_object(&j, NULL);
	json_text_n(&j, "text", text);
	json_end_object(&j);
	if (!out.is_bad && !json_check(buf_bytes(&out), limits, &why))
		abort();
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct json_limits limits = { .depth = 32, .nodes = 100000 };
	check_reading(bytes_of(data, len), limits);
	check_writing(bytes_of(data, len), limits);
	return 0;
}
