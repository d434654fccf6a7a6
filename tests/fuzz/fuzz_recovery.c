/* A recovery key as somebody typed it. */
#include "core/secret.h"
#include "vault/slots.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	scoped(secret_freep) struct secret *key = NULL, *again = NULL;
	char text[RECOVERY_TEXT_MAX];
	struct error err;
	if (!secret_arena_open(SECRET_ARENA_SMALL, &err) || !recovery_decode(bytes_of(data, len), &key, &err))
		return 0;
	recovery_encode(key, text);
	if (secret_len(key) != KEY_FILE_LEN || strlen(text) != 63 ||
	    !recovery_decode(bytes_of_text(text), &again, &err) || !secret_equal(key, again))
		abort();
	return 0;
}
