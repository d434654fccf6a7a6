/* What people type and paste: token_clean, and the checks of Pixel code, test code, label and consumer name. */
#include "core/secret.h"
#include "vault/credential.h"

#include <stdlib.h>

static void clean(struct bytes pasted)
{
	scoped(secret_freep) struct secret *in = NULL, *out = NULL, *again = NULL;
	unsigned removed = 0, more = 0;
	struct error err;
	if (!secret_copy(pasted, &in, &err) || !token_clean(in, &out, &removed, &err))
		return;
	struct bytes token = secret_reveal(out);
	if (token.len < TOKEN_MIN || token.len > TOKEN_MAX || token.len > pasted.len)
		abort();
	if ((removed == 0) != (token.len == pasted.len))
		abort();
	for (size_t i = 0; i < token.len; i++)
		if (token.at[i] <= 0x20 || token.at[i] >= 0x7f)
			abort();
	/* Nothing stands around a cleaned one but, at most, a second pair of quotes or prefix. */
	(void)!token_clean(out, &again, &more, &err);
	if (more & (REMOVED_BLANKS | REMOVED_LINE_ENDS | REMOVED_ZERO_WIDTH | REMOVED_BOM) && !(more & REMOVED_QUOTES))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct error err;
	struct label label;
	if (len > TOKEN_INPUT_MAX || !secret_arena_open(SECRET_ARENA_SMALL, &err))
		return 0;
	clean(bytes_of(data, len));
	char *text = malloc(len + 1);
	if (!text)
		return 0;
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	if (pixel_check(text, &err)) {
		if (strlen(text) < PIXEL_CODE_MIN || strlen(text) > PIXEL_CODE_MAX)
			abort();
		(void)pixel_has_known_shape(text);
	}
	if (test_code_check(text, &err) && strlen(text) > TEST_CODE_MAX)
		abort();
	if (label_parse(text, &label, &err) &&
	    (strlen(label.key) + 1 + strlen(label.value) != strlen(text) || strlen(label.value) > LABEL_VALUE_MAX))
		abort();
	if (consumer_name_check(text, &err) && strlen(text) > 64)
		abort();
	if (list_check(text, &err) && (strlen(text) > LIST_NAME_MAX || !name_is_list(text) || pixel_check(text, &err) ||
				       strlen(list_id(text)) < 4 || (list_is_center(text) && text[0] != 'b')))
		abort();
	free(text);
	return 0;
}
