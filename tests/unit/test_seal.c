/* Vectors marked so were computed by tests/support/reader.py, which shares no code with us. */
#include "vault/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "tests/support/scratch.h"

#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define TOKEN "0123456789abcdef0123456789abcdef01234567"

static uint8_t vault_id[VAULT_ID_LEN], pixel_id[PIXEL_ID_LEN];

/* The subkeys of the root key 00 01 .. 1f. */
static struct keys *new_keys(void)
{
	uint8_t bytes[32];
	struct keys *k = NULL;
	struct error err;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	scoped(secret_freep) struct secret *root_key = secret_of(bytes_of(bytes, sizeof bytes));
	assert_true(keys_derive(root_key, &k, &err));
	for (size_t i = 0; i < sizeof vault_id; i++)
		vault_id[i] = (uint8_t)(0x10 + i);
	keys_pixel_id(k, PIXEL, pixel_id);
	return k;
}

static struct seal_context context_of(char kind, uint32_t version)
{
	return (struct seal_context){ .vault_id = vault_id,
				      .epoch = 1,
				      .kind = kind,
				      .what = bytes_of(pixel_id, PIXEL_ID_LEN),
				      .version = version };
}

static bool opens(const struct keys *k, struct seal_context c, struct bytes sealed)
{
	struct buf plain = BUF_INIT(1 << 16);
	bool ok = unseal(k, &c, sealed, &plain);
	if (!ok)
		assert_int_equal(plain.len, 0);
	buf_done(&plain);
	return ok;
}

static void assert_hex(const uint8_t *at, size_t len, const char *hex)
{
	uint8_t expected[64];
	hex_to(hex, expected, len);
	assert_memory_equal(at, expected, len);
}

/* ---- keys ---- */

static void keys__give_what_an_independent_program_computes(void **state)
{
	(void)state;
	uint8_t mac[DIGEST_LEN], fingerprint[FINGERPRINT_LEN];
	struct keys *k = new_keys();
	assert_hex(pixel_id, sizeof pixel_id, "a4a10ba32234ac760e2c5971633ea17a");
	keys_fingerprint(k, bytes_of_text(TOKEN), fingerprint);
	assert_hex(fingerprint, sizeof fingerprint, "0e8e206a5119127ad0d3ccdd2675f406");
	keys_mac(k, KEY_MAC, "pxroot01", bytes_of_text("part a"), bytes_of_text("part b"), mac);
	assert_hex(mac, sizeof mac, "a830f40f5a6ae421f05d509afd61ce3837080c523c6a67e91b126fd1933d70a7");
	keys_mac(k, KEY_MAC, "pxroot01", bytes_of("", 0), bytes_of("", 0), mac);
	assert_hex(mac, sizeof mac, "57c2e2e707983d433cd9c31a4a40d89d43650d9665ad0968fd27e49a847b3f15");
	keys_free(k);
	keys_free(NULL);
}

static void keys__a_mac_depends_on_key_domain_and_parts(void **state)
{
	(void)state;
	uint8_t first[DIGEST_LEN], other[DIGEST_LEN];
	struct keys *k = new_keys();
	keys_mac(k, KEY_MAC, "pxroot01", bytes_of_text("ab"), bytes_of_text("c"), first);
	keys_mac(k, KEY_ANCHOR, "pxroot01", bytes_of_text("ab"), bytes_of_text("c"), other);
	assert_memory_not_equal(first, other, DIGEST_LEN);
	keys_mac(k, KEY_MAC, "pxnode01", bytes_of_text("ab"), bytes_of_text("c"), other);
	assert_memory_not_equal(first, other, DIGEST_LEN);
	keys_mac(k, KEY_MAC, "pxroot01", bytes_of_text("ab"), bytes_of_text("d"), other);
	assert_memory_not_equal(first, other, DIGEST_LEN);
	keys_free(k);
}

static void keys__all_seven_differ(void **state)
{
	(void)state;
	uint8_t macs[KEY_COUNT_PLUS_1][DIGEST_LEN];
	struct keys *k = new_keys();
	for (unsigned i = KEY_MAC; i < KEY_COUNT_PLUS_1; i++) {
		keys_mac(k, (enum subkey)i, "pxroot01", bytes_of_text("x"), bytes_of("", 0), macs[i]);
		for (unsigned j = KEY_MAC; j < i; j++)
			assert_memory_not_equal(macs[i], macs[j], DIGEST_LEN);
	}
	assert_int_equal(KEY_COUNT_PLUS_1, 8);
	keys_free(k);
}

/* ---- vectors ---- */

static const char sealed_token[] = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7748b6ef1f01015f960bb16f147c7f6cbb33"
				   "cb1ac04c91e3d83e3c66ef0c896ee3327"
				   "c335c1734d341bddfef80a01b6b7fb35f926676ea705833b8df20b5e2348aaba3795c6e7a2d55c9884b"
				   "272d6b9069f87a7e7e525e282ae8f5b37"
				   "ee031216691b4ac363668936e601b4abbefaf23130218301f4b14971c88a991b921a05fe7bb770b245c"
				   "68c1686285e2aa19a611cf1080dd38e71"
				   "0bbb4bc539633899a06cb18c64192e1fad05448f04e889bc9f792886c89d697c4583993af2b5f867091"
				   "658e42f5f400fa92c4e66ab0aee99ec6e"
				   "23346d3e0ca5c496d08c30613dae6d9f31d0de011d2e519ed5b6073df68760bb3b918a1879b8247fff2"
				   "00c1bd85b1d759031b2635eeb27cbf288"
				   "c1bc6e0b8a26d64d152ea8f5142ee17e535313371f399bde2ed90004400d86987328edca44aaa54a7b0"
				   "bd254498ab686f605495a0be1bf3ebc05"
				   "a404640e0407e452ca51012c245dab67ee4af02b912763ce58c82632f74ab100b1cd33e88b7720d4f49"
				   "c354c1102b40ec7ac6a55cc69b2cde847"
				   "0ef2c154df092d01b976a59bd3f30e577f85a356268c40384d25e3ee300a1657fef9d032de1ad415610"
				   "4e6c1c8d33eca86b54218630189d1b864"
				   "337ca40d8438b3450a150db047af3fe240b097d43ae5a88cf37759cfb80d9a1c2711937811c2e21ed68"
				   "e25e5bd78bf46b9cd6ca195e4cb794ea2"
				   "a4482b2bcbe3e28a887779a954ea204184746eb3fb7199af03433950b8c8";

static const char sealed_hint[] = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7f642740e344a540df0e9b60466c5cfcaece2"
				  "a9d6598aa62c4050386fb7cc6c41de7b"
				  "51704c9e5e68a0e24c34b7ed9d484e0036b2faa3e08233e63111e809ea182a09d4fe5b4bbb343e78410d"
				  "523f12e8072ab089a5abd91e0a1de216"
				  "7ae6207236368158ae1f132dbf72a37cfe625284af5642efcbce2cd574941f17b101ebde663152828826"
				  "5c5515a4a5a8282e7842fda5b01a7b16"
				  "fb171719695708a46cc035e83ddfb03e166605f5cb1bcf48420af90223d2cf6f7e21fa6c6e490717a1cf"
				  "b1fd34d0289e0a0aea74fdfcf2375893";

static void unseal__opens_what_an_independent_program_sealed(void **state)
{
	(void)state;
	uint8_t sealed[552], hint[232], digest[DIGEST_LEN];
	struct error err;
	struct keys *k = new_keys();
	scoped(secret_freep) struct secret *token = NULL;
	struct seal_context c = context_of('t', 3);
	assert_int_equal(strlen(sealed_token), 2 * sizeof sealed);
	hex_to(sealed_token, sealed, sizeof sealed);
	seal_digest(bytes_of(sealed, sizeof sealed), digest);
	assert_hex(digest, sizeof digest, "5ad2942f12bb6cc6bd06cf5604864c3e5cae71e2e4d9a50ec997f8ce7cded254");
	assert_true(unseal_secret(k, &c, bytes_of(sealed, sizeof sealed), &token, &err));
	assert_true(bytes_equal(secret_reveal(token), bytes_of_text(TOKEN)));
	assert_int_equal(strlen(sealed_hint), 2 * sizeof hint);
	hex_to(sealed_hint, hint, sizeof hint);
	struct seal_context d = { .vault_id = vault_id,
				  .epoch = 7,
				  .kind = 'd',
				  .what = bytes_of_text("e7/d/00112233445566778899aabbccddeeff") };
	struct buf plain = BUF_INIT(4096);
	assert_true(unseal(k, &d, bytes_of(hint, sizeof hint), &plain));
	assert_true(bytes_equal(buf_bytes(&plain), bytes_of("", 1)));
	buf_done(&plain);
	keys_free(k);
}

/* ---- what it is bound to ---- */

static void seal__does_not_open_when_any_part_of_the_context_differs(void **state)
{
	(void)state;
	static const char kinds[] = "mthca";
	struct error err;
	struct keys *k = new_keys();
	for (const char *kind = kinds; *kind; kind++) {
		struct buf sealed = BUF_INIT(1 << 16);
		struct seal_context c = context_of(*kind, 3), other;
		assert_true(seal(k, &c, bytes_of_text("content"), &sealed, &err));
		assert_true(opens(k, c, buf_bytes(&sealed)));
		for (size_t bit = 0; bit < VAULT_ID_LEN * 8; bit++) {
			uint8_t id[VAULT_ID_LEN];
			memcpy(id, vault_id, sizeof id);
			id[bit / 8] ^= (uint8_t)(1 << bit % 8);
			other = c;
			other.vault_id = id;
			assert_false(opens(k, other, buf_bytes(&sealed)));
		}
		for (unsigned bit = 0; bit < 32; bit++) {
			other = c;
			other.epoch ^= 1u << bit;
			assert_false(opens(k, other, buf_bytes(&sealed)));
			other = c;
			other.version ^= 1u << bit;
			assert_false(opens(k, other, buf_bytes(&sealed)));
		}
		for (const char *foreign = "mthcadz"; *foreign; foreign++) {
			other = c;
			other.kind = *foreign;
			assert_int_equal(opens(k, other, buf_bytes(&sealed)), *foreign == *kind);
		}
		for (size_t bit = 0; bit < PIXEL_ID_LEN * 8; bit++) {
			uint8_t id[PIXEL_ID_LEN];
			memcpy(id, pixel_id, sizeof id);
			id[bit / 8] ^= (uint8_t)(1 << bit % 8);
			other = c;
			other.what = bytes_of(id, sizeof id);
			assert_false(opens(k, other, buf_bytes(&sealed)));
		}
		other = c;
		other.what.len--;
		assert_false(opens(k, other, buf_bytes(&sealed)));
		other.what.len = 0;
		assert_false(opens(k, other, buf_bytes(&sealed)));
		buf_done(&sealed);
	}
	keys_free(k);
}

static void seal__does_not_open_with_another_key(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = new_keys(), *foreign = NULL;
	scoped(secret_freep) struct secret *other = key_of(99);
	struct seal_context c = context_of('m', 0);
	struct buf sealed = BUF_INIT(1 << 16);
	assert_true(keys_derive(other, &foreign, &err));
	assert_true(seal(k, &c, bytes_of_text("content"), &sealed, &err));
	assert_false(opens(foreign, c, buf_bytes(&sealed)));
	buf_done(&sealed);
	keys_free(k);
	keys_free(foreign);
}

static void seal__every_bit_changed_every_cut_and_every_byte_more_is_refused(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = new_keys();
	struct buf sealed = BUF_INIT(1 << 16);
	struct seal_context c = context_of('t', 1);
	assert_true(seal(k, &c, bytes_of_text(TOKEN), &sealed, &err));
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		sealed.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(opens(k, c, buf_bytes(&sealed)));
		sealed.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < sealed.len; len++)
		assert_false(opens(k, c, bytes_of(sealed.at, len)));
	buf_append(&sealed, "", 1);
	assert_false(opens(k, c, buf_bytes(&sealed)));
	buf_done(&sealed);
	keys_free(k);
}

static void unseal_secret__failing_leaves_the_result_alone_and_says_tampered(void **state)
{
	(void)state;
	struct error err = { 0 };
	struct keys *k = new_keys();
	struct secret *ret = NULL;
	struct buf sealed = BUF_INIT(1 << 16);
	struct seal_context c = context_of('t', 1);
	assert_true(seal(k, &c, bytes_of_text(TOKEN), &sealed, &err));
	sealed.at[100] ^= 1;
	assert_false(unseal_secret(k, &c, buf_bytes(&sealed), &ret, &err));
	assert_null(ret);
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "tampered");
	assert_false(unseal_secret(k, &c, bytes_of(sealed.at, 17), &ret, &err));
	assert_false(unseal_secret(k, &c, bytes_of("", 0), &ret, &err));
	buf_done(&sealed);
	keys_free(k);
}

/* ---- size classes and padding ---- */

static void seal__lengths_fall_into_size_classes_with_at_least_one_byte_of_padding(void **state)
{
	(void)state;
	static const struct {
		char kind;
		size_t len, class;
	} rows[] = {
		{ 'm', 0, 512 },       { 'm', 1, 512 },       { 'm', 511, 512 },   { 'm', 512, 1024 },
		{ 'm', 1023, 1024 },   { 'm', 1024, 2048 },   { 'm', 2047, 2048 }, { 'm', 2048, 4096 },
		{ 'm', 4095, 4096 },   { 'm', 4096, 8192 },   { 'm', 8191, 8192 }, { 'm', 8192, 16384 },
		{ 'm', 16383, 16384 }, { 'm', 16384, 0 },     { 'm', 20000, 0 },   { 't', 0, 512 },
		{ 't', 511, 512 },     { 't', 512, 1024 },    { 't', 4095, 4096 }, { 't', 4096, 0 },
		{ 'h', 511, 512 },     { 'h', 16383, 16384 }, { 'd', 0, 192 },     { 'd', 191, 192 },
		{ 'd', 192, 0 },       { 'a', 191, 512 },     { 'c', 5, 512 },
	};
	static uint8_t plain[20000];
	struct keys *k = new_keys();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		/* A plaintext of zeros or of padding marks must come back as long as it was. */
		static const int fillers[] = { 'x', 0, 0x80 };
		for (size_t f = 0; f < COUNT_OF(fillers); f++) {
			struct error err = { 0 };
			struct buf sealed = BUF_INIT(1 << 16), back = BUF_INIT(1 << 16);
			struct seal_context c = context_of(rows[i].kind, 1);
			memset(plain, fillers[f], sizeof plain);
			bool ok = seal(k, &c, bytes_of(plain, rows[i].len), &sealed, &err);
			assert_int_equal(ok, rows[i].class != 0);
			if (ok) {
				assert_int_equal(sealed.len, SEAL_NONCE_LEN + rows[i].class + SEAL_TAG_LEN);
				assert_true(unseal(k, &c, buf_bytes(&sealed), &back));
				assert_true(bytes_equal(buf_bytes(&back), bytes_of(plain, rows[i].len)));
			} else {
				assert_int_equal(err.code, ERR_USAGE);
				assert_int_equal(sealed.len, 0);
			}
			buf_done(&sealed);
			buf_done(&back);
		}
	}
	keys_free(k);
}

/* What only a holder of the key can make: a right tag over wrong padding, or over a length no value has. */
static void unseal__refuses_an_authentic_value_with_wrong_padding(void **state)
{
	(void)state;
	uint8_t root_key[32], meta[32], nonce[24] = { 1 };
	struct keys *k = new_keys();
	for (size_t i = 0; i < sizeof root_key; i++)
		root_key[i] = (uint8_t)i;
	crypto_kdf_derive_from_key(meta, 32, KEY_META, "pxvault1", root_key);
	static const struct {
		size_t len;
		int last; /* at the end of the padded text; the rest is zero */
		bool opens;
	} rows[] = { { 512, 0x80, true },  { 512, 0, false },    { 512, 0x81, false },
		     { 512, 1, false },    { 256, 0x80, false }, { 513, 0x80, false },
		     { 1024, 0x80, true }, { 192, 0x80, false }, { 0, 0, false } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t padded[1024] = { 0 }, sealed[24 + 1024 + 16], aad[64], *p = aad;
		struct seal_context c = context_of('m', 0);
		if (rows[i].len)
			padded[rows[i].len - 1] = (uint8_t)rows[i].last;
		memcpy(p, "\1\0\0\0", 4), p += 4;
		memcpy(p, vault_id, 16), p += 16;
		memcpy(p, "\1\0\0\0m\20\0\0\0", 9), p += 9;
		memcpy(p, pixel_id, 16), p += 16;
		memset(p, 0, 4), p += 4;
		p[0] = (uint8_t)rows[i].len, p[1] = (uint8_t)(rows[i].len >> 8), p[2] = p[3] = 0, p += 4;
		memcpy(sealed, nonce, 24);
		crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 24, NULL, padded, rows[i].len, aad,
							   (size_t)(p - aad), NULL, nonce, meta);
		assert_int_equal(opens(k, c, bytes_of(sealed, 24 + rows[i].len + 16)), rows[i].opens);
	}
	keys_free(k);
}

static void seal__appends_and_fails_whole_where_there_is_no_room(void **state)
{
	(void)state;
	struct error err = { 0 };
	struct keys *k = new_keys();
	struct buf out = BUF_INIT(600);
	struct seal_context c = context_of('m', 0);
	buf_append(&out, "before", 6);
	assert_true(seal(k, &c, bytes_of_text("x"), &out, &err));
	assert_int_equal(out.len, 6 + 552);
	assert_memory_equal(out.at, "before", 6);
	assert_true(opens(k, c, bytes_of(out.at + 6, 552)));
	assert_false(seal(k, &c, bytes_of_text("x"), &out, &err));
	buf_done(&out);
	keys_free(k);
}

/* ---- randomness ---- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_NONCE_LEN);
}

static void seal__no_nonce_comes_twice_in_ten_thousand(void **state)
{
	(void)state;
	const size_t count = 10000;
	uint8_t(*nonces)[SEAL_NONCE_LEN] = calloc(count, SEAL_NONCE_LEN);
	struct error err;
	struct keys *k = new_keys();
	assert_non_null(nonces);
	struct buf sealed = BUF_INIT(4096);
	struct seal_context c = context_of('t', 1);
	for (size_t i = 0; i < count; i++) {
		buf_clear(&sealed);
		assert_true(seal(k, &c, bytes_of_text(TOKEN), &sealed, &err));
		memcpy(nonces[i], sealed.at, SEAL_NONCE_LEN);
	}
	qsort(nonces, count, SEAL_NONCE_LEN, by_bytes);
	for (size_t i = 1; i < count; i++)
		assert_memory_not_equal(nonces[i - 1], nonces[i], SEAL_NONCE_LEN);
	buf_done(&sealed);
	free(nonces);
	keys_free(k);
}

static void *make_fingerprint(void *keys)
{
	uint8_t fingerprint[FINGERPRINT_LEN];
	keys_fingerprint(keys, bytes_of_text(TOKEN), fingerprint);
	return NULL;
}

/* On a stack of its own, so that it can be searched. */
static void fingerprint__leaves_no_word_of_the_token_on_the_stack(void **state)
{
	(void)state;
	static uint8_t stack[256 * 1024] __attribute__((aligned(4096)));
	static const char token[] = TOKEN;
	struct keys *k = new_keys();
	pthread_attr_t attributes;
	pthread_t thread;
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
	assert_int_equal(pthread_create(&thread, &attributes, make_fingerprint, k), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i + 8 < sizeof token; i++)
		assert_null(memmem(stack, sizeof stack, token + i, 8));
	(void)pthread_attr_destroy(&attributes);
	keys_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys__give_what_an_independent_program_computes),
		cmocka_unit_test(keys__a_mac_depends_on_key_domain_and_parts),
		cmocka_unit_test(keys__all_seven_differ),
		cmocka_unit_test(fingerprint__leaves_no_word_of_the_token_on_the_stack),
		cmocka_unit_test(unseal__opens_what_an_independent_program_sealed),
		cmocka_unit_test(seal__does_not_open_when_any_part_of_the_context_differs),
		cmocka_unit_test(seal__does_not_open_with_another_key),
		cmocka_unit_test(seal__every_bit_changed_every_cut_and_every_byte_more_is_refused),
		cmocka_unit_test(unseal_secret__failing_leaves_the_result_alone_and_says_tampered),
		cmocka_unit_test(seal__lengths_fall_into_size_classes_with_at_least_one_byte_of_padding),
		cmocka_unit_test(unseal__refuses_an_authentic_value_with_wrong_padding),
		cmocka_unit_test(seal__appends_and_fails_whole_where_there_is_no_room),
		cmocka_unit_test(seal__no_nonce_comes_twice_in_ten_thousand),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
