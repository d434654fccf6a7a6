/* An anchor file as it lies there; the two MACs are put right first when the last input byte asks for it, so that what
 * stands behind them is reached too. */
#include "core/secret.h"
#include "vault/anchor.h"

#include <stdlib.h>

static struct keys *fixed_keys(void)
{
	static const uint8_t zeros[ROOT_KEY_LEN];
	struct keys *k = NULL;
	struct error err;
	struct secret *root_key = NULL;
	if (!secret_arena_open(SECRET_ARENA_SMALL, &err) ||
	    !secret_copy(bytes_of(zeros, sizeof zeros), &root_key, &err) || !keys_derive(root_key, &k, &err))
		abort();
	secret_free(root_key);
	return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct keys *keys;
	struct anchor_file file = { .is_there = true };
	struct anchor a;
	struct root now;
	unsigned block;
	if (!keys)
		keys = fixed_keys();
	memcpy(file.blocks, data, len < sizeof file.blocks ? len : sizeof file.blocks);
	for (size_t i = 0; len && data[len - 1] & 1 && i < 2; i++)
		keys_mac(keys, KEY_ANCHOR, "pxanch01", bytes_of(file.blocks[i], ANCHOR_BLOCK - DIGEST_LEN),
			 bytes_of("", 0), file.blocks[i] + ANCHOR_BLOCK - DIGEST_LEN);
	memset(&now, 0, sizeof now);
	if (anchor_glance_at_clock(&file) < 0)
		abort();
	(void)anchor_is_of_later_epoch(&file, now.vault_id, 0);
	(void)anchor_is_of_another_vault(&file, now.vault_id);
	if (!anchor_prove(&file, keys, &a, &block))
		return 0;
	if (anchor_glance_at_clock(&file) < a.wall_clock || anchor_is_of_later_epoch(&file, a.vault_id, UINT32_MAX))
		abort();
	if (block > 1)
		abort();
	memcpy(now.vault_id, a.vault_id, sizeof now.vault_id);
	memcpy(now.lineage, a.lineage, sizeof now.lineage);
	memcpy(&now.generation, data, len < 8 ? len : 8);
	switch (anchor_judge(&a, &now)) {
	case DESCENT_OLDER:
		if (now.generation >= a.generation)
			abort();
		break;
	case DESCENT_NEWER:
		if (now.generation <= a.generation)
			abort();
		break;
	case DESCENT_TOO_FAR:
		if (now.generation - a.generation <= ROOT_PAST)
			abort();
		break;
	default:
		break;
	}
	return 0;
}
