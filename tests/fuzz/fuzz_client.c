/* Any bytes as an agent's answer: head, body in chunks however they are cut, events, problem, records. Cutting the body
 * elsewhere must change nothing. */
#include "agent/reply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void decode(struct bytes body, size_t piece, struct buf *out, bool *ret_good)
{
	struct chunks chunks = { .left = 0 };
	struct bytes part;
	*ret_good = true;
	while (*ret_good && body.len && chunks.state != CHUNK_DONE) {
		if (!bytes_take(&body, piece < body.len ? piece : body.len, &part))
			abort();
		*ret_good = chunks_take(&chunks, &part, out);
		if (*ret_good && part.len && chunks.state != CHUNK_DONE)
			abort();
	}
}

static void check_chunks(struct bytes body)
{
	struct buf whole = BUF_INIT(1u << 20), pieces = BUF_INIT(1u << 20);
	bool is_good, is_good_too;
	decode(body, body.len ? body.len : 1, &whole, &is_good);
	decode(body, 3, &pieces, &is_good_too);
	if (is_good != is_good_too || (is_good && !bytes_equal(buf_bytes(&whole), buf_bytes(&pieces))))
		abort();
	buf_done(&whole);
	buf_done(&pieces);
}

static void check_records(struct bytes from)
{
	struct credential c;
	struct health h;
	bool is_end = false;
	if (!records_begin(&from))
		return;
	while (!is_end && records_take(&from, &c, &h, &is_end))
		if (!is_end && memchr(c.pixel, 0, sizeof c.pixel) == NULL)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes all = bytes_of(data, len), rest = all, value;
	struct reply reply;
	struct event event;
	struct error err;
	size_t head_len = 0;
	if (reply_head(all, &reply, &head_len) == REPLY_WHOLE) {
		if (head_len > len || head_len > REPLY_HEAD_MAX)
			abort();
		(void)!reply_header(&reply, "X-Verdict", &value);
		check_chunks(bytes_of(data + head_len, len - head_len));
	}
	check_chunks(all);
	check_records(all);
	while (event_take(&rest, &event))
		if (event.data.len == 0)
			abort();
	if (reply_fail(500, all, &err) || err.code == ERR_NONE || !err.message[0])
		abort();
	return 0;
}
