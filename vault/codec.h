/* vault/codec.h - the format's documents as bytes. Pure: parse and serialise, no keys, no store.
 *
 * Little-endian, fixed width, one encoding per state, no ignored byte: what decodes encodes to the same bytes. Lengths
 * and counts are checked before they are used. Byte layout: docs/format.md. */
#ifndef VAULT_CODEC_H
#define VAULT_CODEC_H

#include "core/buf.h"
#include "vault/credential.h"
#include "vault/seal.h"

#define ROOT_PAST 32 /* generations whose MACs the head remembers */
#define NODE_FANOUT 16
#define NODE_DEPTH 3 /* hexadecimal digits of a leaf's prefix: 4,096 leaves */
#define ENTRY_LEN (PIXEL_ID_LEN + DIGEST_LEN)
#define LEAF_ENTRIES_MAX (65536 / ENTRY_LEN)

/* The root record: everything else is reached from it. */
struct root {
	uint8_t vault_id[VAULT_ID_LEN]; /* for life */
	uint8_t lineage[16];            /* new at init and at each deliberate break of history */
	uint32_t epoch;                 /* of the root key; part of every key name */
	uint64_t generation;            /* +1 per commit */
	uint8_t commit_id[16];
	uint8_t past[ROOT_PAST][DIGEST_LEN]; /* newest first: the MACs of the generations before this one */
	uint8_t slots_digest[DIGEST_LEN];
	uint8_t log_keys_digest[DIGEST_LEN]; /* of the record k/log; zero = the log's keys are of this root key */
	uint8_t top[NODE_FANOUT][DIGEST_LEN];
	uint8_t mac[DIGEST_LEN]; /* over all before it */
};
#define ROOT_LEN                                                                                                       \
	(8 + 4 + 4 + 8 + VAULT_ID_LEN + 16 + 4 + 8 + 16 + ROOT_PAST * DIGEST_LEN + DIGEST_LEN * 2 +                    \
	 NODE_FANOUT * DIGEST_LEN + DIGEST_LEN)

enum root_fault { ROOT_FINE, ROOT_MALFORMED, ROOT_TOO_NEW };

/* Fills ret->mac from the bytes without checking it. */
must_check enum root_fault root_decode(struct bytes from, struct root *ret);
/* All but the MAC, which the caller computes over these bytes and appends. */
void root_encode(const struct root *r, struct buf *out);

must_check bool credential_encode(const struct credential *c, struct buf *out, struct error *err);
must_check bool credential_decode(struct bytes from, struct credential *ret);

/* A leaf is a sorted list of entries; an inner node 16 digests, zero where there is no child. */
struct leaf {
	struct bytes entries; /* borrowed, ENTRY_LEN each */
};
must_check bool leaf_check(struct bytes from, const char *prefix);
const uint8_t *leaf_find(struct bytes leaf, const uint8_t id[PIXEL_ID_LEN]); /* the digest, or NULL */
/* leaf with id's digest set, in out. */
void leaf_with(struct bytes leaf, const uint8_t id[PIXEL_ID_LEN], const uint8_t digest[DIGEST_LEN], struct buf *out);

/* Names of keys in the store. */
#define KEY_TEXT_MAX 96
void key_for_node(uint32_t epoch, const uint8_t id[PIXEL_ID_LEN], size_t depth, char ret[KEY_TEXT_MAX]);
void key_for_pixel(uint32_t epoch, char kind, const uint8_t id[PIXEL_ID_LEN], char ret[KEY_TEXT_MAX]);
void key_for_token(uint32_t epoch, const uint8_t id[PIXEL_ID_LEN], uint32_t number, char ret[KEY_TEXT_MAX]);
void key_for_grant(uint32_t epoch, const uint8_t id[PIXEL_ID_LEN], uint32_t number, char ret[KEY_TEXT_MAX]);
void key_for_note(uint32_t epoch, const char *name, char ret[KEY_TEXT_MAX]);
void key_for_hint(uint32_t epoch, const uint8_t fingerprint[FINGERPRINT_LEN], char ret[KEY_TEXT_MAX]);
void key_for_log_keys(uint32_t epoch, char ret[KEY_TEXT_MAX]);
unsigned id_nibble(const uint8_t id[PIXEL_ID_LEN], size_t i);

/* Duplicate hints: the ids of Pixels that hold one token, oldest first. */
#define HINT_PIXELS_MAX 8
struct hint {
	size_t count;
	uint8_t ids[HINT_PIXELS_MAX][PIXEL_ID_LEN];
};
void hint_encode(const struct hint *h, struct buf *out);
must_check bool hint_decode(struct bytes from, struct hint *ret);

void read_mark_encode(const struct read_mark *mark, struct buf *out);
must_check bool read_mark_decode(struct bytes from, struct read_mark *ret);

#endif
