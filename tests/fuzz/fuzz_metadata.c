/* What lies inside a seal or a node, by the first input byte: metadata, health, hint, read mark, leaf. What decodes
 * must encode to the same bytes. */
#include "vault/codec.h"
#include "vault/health.h"

#include <stdlib.h>

static void must_be(struct buf *again, struct bytes from)
{
	if (!bytes_equal(buf_bytes(again), from))
		abort();
	buf_done(again);
}

static void read_leaf(struct bytes from)
{
	static const uint8_t digest[DIGEST_LEN] = { 1 };
	struct buf with = BUF_INIT(1 << 20);
	char prefix[] = "abc";
	if (from.len >= 2)
		for (size_t i = 0; i < 3; i++)
			prefix[i] = "0123456789abcdef"[id_nibble(from.at, i)];
	if (!leaf_check(from, prefix))
		return;
	const uint8_t *last = from.at + from.len - ENTRY_LEN;
	if (leaf_find(from, last) != last + PIXEL_ID_LEN)
		abort();
	leaf_with(from, last, digest, &with);
	if (with.len != from.len || !leaf_check(buf_bytes(&with), prefix))
		abort();
	buf_done(&with);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes from = len ? bytes_of(data + 1, len - 1) : bytes_of(data, 0);
	struct buf again = BUF_INIT(1 << 20);
	struct credential c;
	struct health h;
	struct hint hint;
	struct error err;
	struct read_mark mark;
	switch (len ? data[0] : 0) {
	case 'm':
		if (credential_decode(from, &c) && credential_encode(&c, &again, &err))
			must_be(&again, from);
		break;
	case 'h':
		if (health_decode(from, &h) && health_encode(&h, &again, &err))
			must_be(&again, from);
		break;
	case 'd':
		if (hint_decode(from, &hint)) {
			hint_encode(&hint, &again);
			must_be(&again, from);
		}
		break;
	case 'c':
		if (read_mark_decode(from, &mark)) {
			read_mark_encode(&mark, &again);
			must_be(&again, from);
		}
		break;
	case 'n':
		read_leaf(from);
		break;
	}
	return 0;
}
