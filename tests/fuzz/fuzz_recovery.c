/* A recovery key as somebody typed it. */
#include "core/secret.h"
#include "vault/slots.h"

#include <stdlib.h>

/* What was typed but for blanks, dashes, case and the letters that stand for digits. */
static bool is_same(struct bytes typed, const char *text)
{
	for (size_t i = 0; i < typed.len; i++) {
		char c = (char)typed.at[i];
		if (strchr("- \n", c))
			continue;
		c = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
		c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
		text += *text == '-';
		if (*text++ != c)
			return false;
	}
	return *text == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	scoped(secret_freep) struct secret *key = NULL, *again = NULL;
	char text[RECOVERY_TEXT_MAX];
	struct error err;
	if (!secret_arena_open(SECRET_ARENA_SMALL, &err) || !recovery_decode(bytes_of(data, len), &key, &err))
		return 0;
	recovery_encode(key, text);
	if (secret_len(key) != KEY_FILE_LEN || !is_same(bytes_of(data, len), text) || strlen(text) != 63 ||
	    !recovery_decode(bytes_of_text(text), &again, &err) || !secret_equal(key, again))
		abort();
	return 0;
}
