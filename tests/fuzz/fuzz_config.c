/* Any bytes as a configuration: read or refused with file and line, and what was read holds only known keys. */
#include "agent/settings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config_key known[SETTINGS_KEYS_MAX];
	size_t count = settings_keys(known);
	struct config *c = NULL;
	struct error err = { .code = ERR_NONE };
	bool is_good = config_parse(&c, bytes_of(data, len), "fuzz.ini", known, count, &err) && settings_check(c, &err);
	if (!is_good && (err.code != ERR_CONFIG || !err.message[0] || !err.hint[0]))
		abort();
	config_free(c);
	return 0;
}
