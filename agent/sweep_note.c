#include "agent/sweep_note.h"

#define NOTE "swept"
#define SLACK_MOST_S 600 /* a sweep takes a while, and cron is not exact */

bool sweep_note_done(struct vault *v, int64_t now, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	buf_append_uint(&note, 8, (uint64_t)now);
	bool is_stored = buf_ok(&note, err) && vault_store_note(v, NOTE, buf_bytes(&note), err);
	buf_done(&note);
	return is_stored;
}

bool sweep_note_last(struct vault *v, int64_t *ret, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_read = vault_note(v, NOTE, &note, err);
	struct bytes from = buf_bytes(&note);
	if (!is_read || !bytes_take_i64(&from, ret))
		*ret = 0;
	buf_done(&note);
	return is_read;
}

bool sweep_is_missed(int64_t last, int64_t interval_s, int64_t now)
{
	int64_t slack_s = interval_s < SLACK_MOST_S ? interval_s : SLACK_MOST_S;
	return last && now - last > interval_s + interval_s / 4 + slack_s;
}
