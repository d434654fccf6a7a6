#include "agent/head_start.h"

#define NOTE "start"

bool head_start_read(struct vault *v, struct head_start *ret, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_read = vault_note(v, NOTE, &note, err);
	struct bytes from = buf_bytes(&note);
	*ret = (struct head_start){ 0 };
	if (!bytes_take_u64(&from, &ret->generation) || !bytes_take_u32(&from, &ret->pairs))
		*ret = (struct head_start){ 0 };
	buf_done(&note);
	return is_read;
}

bool head_start_store(struct vault *v, const struct head_start *h, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	buf_append_uint(&note, 8, h->generation);
	buf_append_uint(&note, 4, h->pairs);
	bool is_stored = buf_ok(&note, err) && vault_store_note(v, NOTE, buf_bytes(&note), err);
	buf_done(&note);
	return is_stored;
}
