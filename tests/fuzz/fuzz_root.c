/* The first input byte says whether the root record or the slots follow. */
#include "core/secret.h"
#include "vault/codec.h"
#include "vault/slots.h"

#include <stdlib.h>

static void read_root(struct bytes from)
{
	struct root r;
	struct buf again = BUF_INIT(2 * ROOT_LEN);
	if (root_decode(from, &r) != ROOT_FINE)
		return;
	root_encode(&r, &again);
	buf_append(&again, r.mac, sizeof r.mac);
	if (!bytes_equal(buf_bytes(&again), from))
		abort(); /* a second encoding of one state */
	buf_done(&again);
}

/* What can be saved of damaged ones is well-formed; of well-formed ones all can. */
static void save_slots(struct bytes from, bool is_well_formed)
{
	uint8_t saved[SLOTS_VALUE_MAX];
	struct error err;
	size_t len, count;
	struct slot_info info;
	if (!slots_salvage(from, saved, &len)) {
		if (is_well_formed)
			abort();
		return;
	}
	if (!slots_check(bytes_of(saved, len), &count, &err) ||
	    (is_well_formed && !bytes_equal(bytes_of(saved, len), from)))
		abort();
	for (size_t i = 0; i < count; i++) {
		slots_info(bytes_of(saved, len), i, &info);
		if (!slot_kind_text(info.kind)[0] || (info.mem_kib == 0) != (info.kind != SLOT_PASSPHRASE))
			abort();
	}
}

static void read_slots(struct bytes from)
{
	static const uint8_t vault_id[VAULT_ID_LEN], zeros[KEY_FILE_LEN];
	static const enum slot_kind kinds[] = { SLOT_KEY_FILE, SLOT_CREDENTIAL, SLOT_RECOVERY }; /* no Argon2 here */
	struct error err;
	size_t count;
	bool is_well_formed = slots_check(from, &count, &err);
	save_slots(from, is_well_formed);
	if (!is_well_formed)
		return;
	if (count < 1 || count > SLOTS_MAX || from.len != 4 + count * SLOT_LEN)
		abort();
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		scoped(secret_freep) struct secret *key = NULL, *root_key = NULL;
		if (!secret_copy(bytes_of(zeros, sizeof zeros), &key, &err))
			abort();
		struct slot_secret holder = { kinds[i], key };
		if (!slots_open(from, vault_id, &holder, &root_key, &err) && err.code != ERR_WRONG_KEY)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct error err;
	if (len == 0 || !secret_arena_open(SECRET_ARENA_SMALL, &err))
		return 0;
	if (data[0] == 'r')
		read_root(bytes_of(data + 1, len - 1));
	else
		read_slots(bytes_of(data + 1, len - 1));
	return 0;
}
