/* Argon2id takes 256 MiB and about half a second a run: there are few of them here. */
#include "vault/bundle.h"
#include "vault/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sodium.h>

#define PASSPHRASE "correct horse battery staple"
#define AT_PASSES 16
#define AT_MEM 20
#define AT_SALT 24
#define AT_NONCE 88
#define AT_LENGTH 112
#define AT_COMMITMENT 120
#define HEAD_LEN 152

static struct secret *make_secret(const void *at, size_t len)
{
	struct secret *s;
	struct error err;
	assert_true(secret_copy(bytes_of(at, len), &s, &err));
	return s;
}

static struct secret *make_root_key(uint8_t first)
{
	uint8_t key[32];
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)(first + i);
	return make_secret(key, sizeof key);
}

/* Of len bytes that can be told apart. */
static struct buf sealed_of(size_t len, const struct bundle_lock *lock)
{
	struct secret *plain;
	struct error err;
	struct buf file = BUF_INIT(BUNDLE_FILE_MAX);
	assert_true(secret_new(BUNDLE_ROOM, &plain, &err));
	for (size_t i = 0; i < len; i++)
		secret_room(plain)[i] = (uint8_t)(i * 7);
	assert_true(bundle_seal(plain, len, lock, &file, &err));
	secret_free(plain);
	return file;
}

/* ERR_NONE when it opens to what sealed_of put in. */
static enum error_code open_with(struct bytes file, const struct bundle_key *key, size_t len)
{
	struct error err = { .code = ERR_NONE };
	scoped(secret_freep) struct secret *copy = make_secret(file.at, file.len);
	if (!bundle_open(copy, key, &err)) {
		assert_true(err.code != ERR_NONE && err.message[0] && err.hint[0]);
		return err.code;
	}
	assert_int_equal(len, secret_len(copy));
	for (size_t i = 0; i < len; i++)
		assert_int_equal((uint8_t)(i * 7), secret_reveal(copy).at[i]);
	return ERR_NONE;
}

static void the_public_key_of_the_document(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *root_key = make_root_key(0);
	uint8_t key[BUNDLE_KEY_LEN], again[BUNDLE_KEY_LEN];
	char text[BUNDLE_KEY_TEXT_MAX];
	struct error err;
	assert_true(bundle_public_key(root_key, key, &err));
	bundle_key_encode(key, text);
	assert_string_equal("pxk1-8d3a865ee88e2c0e8378ec4b7fbd05b05118d1c5e7c8ffa25b5cae6c24793550-826ea3cd", text);
	assert_true(bundle_key_decode(text, again, &err));
	assert_memory_equal(key, again, sizeof key);
	for (size_t i = 0; text[i]; i++) {
		char was = text[i];
		text[i] = was == 'a' ? 'b' : 'a';
		assert_false(bundle_key_decode(text, again, &err));
		assert_int_equal(ERR_USAGE, err.code);
		text[i] = was;
	}
	text[20] = '\0';
	assert_false(bundle_key_decode(text, again, &err));
	assert_false(bundle_key_decode("", again, &err));
}

static void what_is_sealed_to_a_key_opens_with_that_key_only(void **state)
{
	(void)state;
	static const size_t lengths[] = { 0, 1, 511, 512, 1023, 65535, 65536, 131071, 131072 };
	scoped(secret_freep) struct secret *root_key = make_root_key(0), *other = make_root_key(1);
	uint8_t key[BUNDLE_KEY_LEN];
	struct error err;
	assert_true(bundle_public_key(root_key, key, &err));
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct buf file = sealed_of(lengths[i], &(struct bundle_lock){ .public_key = key });
		assert_int_equal(ERR_NONE,
				 open_with(buf_bytes(&file), &(struct bundle_key){ .root_key = root_key }, lengths[i]));
		assert_int_equal(ERR_WRONG_KEY,
				 open_with(buf_bytes(&file), &(struct bundle_key){ .root_key = other }, 0));
		buf_done(&file);
	}
}

static void no_byte_can_be_changed_cut_or_added(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *root_key = make_root_key(0);
	uint8_t key[BUNDLE_KEY_LEN];
	struct error err;
	assert_true(bundle_public_key(root_key, key, &err));
	struct buf file = sealed_of(100, &(struct bundle_lock){ .public_key = key });
	struct bundle_key with = { .root_key = root_key };
	for (size_t i = 8; i < file.len; i++) {
		file.at[i] ^= 1;
		enum error_code code = open_with(buf_bytes(&file), &with, 100);
		assert_true(code == ERR_DAMAGED || (code == ERR_WRONG_KEY && i >= 56 && i < 88));
		file.at[i] ^= 1;
	}
	for (size_t len = 0; len < file.len; len += 1 + len / 8)
		assert_int_equal(ERR_DAMAGED, open_with(bytes_of(file.at, len), &with, 0));
	buf_append(&file, "x", 1);
	assert_int_equal(ERR_DAMAGED, open_with(buf_bytes(&file), &with, 0));
	buf_done(&file);
}

/* Refused before a key is asked for: the length in the head is one that sealing makes, and there is no other. */
static void a_length_that_no_sealing_makes_is_no_bundle(void **state)
{
	(void)state;
	static const size_t rests[] = { 0, 15, 16, 17, 16 + 511, 16 + 513, 16 + BUNDLE_ROOM + 1, 16 + BUNDLE_ROOM + 65536 };
	scoped(secret_freep) struct secret *root_key = make_root_key(0);
	uint8_t key[BUNDLE_KEY_LEN];
	struct error err;
	enum bundle_kind kind;
	assert_true(bundle_public_key(root_key, key, &err));
	struct buf file = sealed_of(100, &(struct bundle_lock){ .public_key = key });
	assert_true(bundle_check(buf_bytes(&file), &kind, &err));
	uint8_t *longer = calloc(1, HEAD_LEN + 16 + BUNDLE_ROOM + 65536);
	assert_non_null(longer);
	for (size_t i = 0; i < COUNT_OF(rests); i++) {
		memcpy(longer, file.at, file.len < HEAD_LEN + rests[i] ? file.len : HEAD_LEN + rests[i]);
		for (size_t b = 0; b < 8; b++)
			longer[AT_LENGTH + b] = (uint8_t)((uint64_t)rests[i] >> (8 * b));
		assert_false(bundle_check(bytes_of(longer, HEAD_LEN + rests[i]), &kind, &err));
		assert_string_equal("format", err.class);
	}
	free(longer);
	buf_done(&file);
}

/* As docs/format.md has it, beside the code: what the holder of root_key opens file with. */
static void keys_of(const struct secret *root_key, const uint8_t *file, uint8_t ret[64])
{
	uint8_t private_key[32], shared[32];
	crypto_generichash_state state;
	crypto_kdf_derive_from_key(private_key, sizeof private_key, 1, "pxexport", secret_reveal(root_key).at);
	assert_int_equal(crypto_scalarmult(shared, private_key, file + AT_SALT), 0);
	crypto_generichash_init(&state, shared, sizeof shared, 64);
	crypto_generichash_update(&state, (const uint8_t *)"pxexpt01", 8);
	crypto_generichash_update(&state, file + AT_SALT, 64); /* and the recipient behind it */
	crypto_generichash_final(&state, ret, 64);
}

/* By one who can seal: what is in it ends where our padding begins, or it is no bundle. */
static void a_padding_that_no_sealing_makes_is_refused(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *root_key = make_root_key(0);
	uint8_t key[BUNDLE_KEY_LEN], keys[64], plain[512];
	struct error err;
	assert_true(bundle_public_key(root_key, key, &err));
	struct buf file = sealed_of(100, &(struct bundle_lock){ .public_key = key });
	struct bundle_key with = { .root_key = root_key };
	uint8_t *body = file.at + HEAD_LEN;
	keys_of(root_key, file.at, keys);
	assert_int_equal(file.len, HEAD_LEN + sizeof plain + 16);
	assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, body, sizeof plain + 16, file.at,
								    HEAD_LEN, file.at + AT_NONCE, keys),
			 0);
	assert_int_equal(plain[100], 0x80);
	static const uint8_t ends[] = { 0x80, 0, 0x81, 1, 0xff };
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		memset(plain + 100, 0, sizeof plain - 100);
		plain[100] = ends[i];
		if (!ends[i])
			memset(plain, 0, sizeof plain);
		else
			for (size_t k = 0; k < 100; k++)
				plain[k] = (uint8_t)(k * 7);
		crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, plain, sizeof plain, file.at, HEAD_LEN, NULL,
							   file.at + AT_NONCE, keys);
		assert_int_equal(open_with(buf_bytes(&file), &with, 100), ends[i] == 0x80 ? ERR_NONE : ERR_DAMAGED);
	}
	buf_done(&file);
}

static void a_key_of_low_order_is_refused(void **state)
{
	(void)state;
	static const uint8_t zero[BUNDLE_KEY_LEN];
	struct buf file = BUF_INIT(BUNDLE_FILE_MAX);
	struct error err;
	struct secret *plain;
	assert_true(secret_new(BUNDLE_ROOM, &plain, &err));
	assert_false(bundle_seal(plain, 10, &(struct bundle_lock){ .public_key = zero }, &file, &err));
	assert_int_equal(ERR_USAGE, err.code);
	assert_int_equal(0, file.len);
	secret_free(plain);
	buf_done(&file);
}

static void a_passphrase_opens_what_it_sealed(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *passphrase = make_secret(PASSPHRASE, sizeof PASSPHRASE - 1);
	scoped(secret_freep) struct secret *other = make_secret(PASSPHRASE, sizeof PASSPHRASE - 2);
	struct buf file = sealed_of(1000, &(struct bundle_lock){ .passphrase = passphrase });
	assert_int_equal(ERR_NONE, open_with(buf_bytes(&file), &(struct bundle_key){ .passphrase = passphrase }, 1000));
	assert_int_equal(ERR_WRONG_KEY, open_with(buf_bytes(&file), &(struct bundle_key){ .passphrase = other }, 0));
	buf_done(&file);
}

/* Nobody can make us work for an hour: refused before any key is derived. */
static void the_cost_is_limited(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *passphrase = make_secret(PASSPHRASE, sizeof PASSPHRASE - 1);
	struct buf file = sealed_of(10, &(struct bundle_lock){ .passphrase = passphrase });
	static const uint32_t costs[][2] = {
		{ 0, 8192 }, { 11, 8192 }, { 1, 8191 }, { 1, 1048577 }, { UINT32_MAX, UINT32_MAX }
	};
	enum bundle_kind kind;
	for (size_t i = 0; i < COUNT_OF(costs); i++) {
		struct error err;
		for (size_t b = 0; b < 4; b++) {
			file.at[AT_PASSES + b] = (uint8_t)(costs[i][0] >> (8 * b));
			file.at[AT_MEM + b] = (uint8_t)(costs[i][1] >> (8 * b));
		}
		assert_false(bundle_check(buf_bytes(&file), &kind, &err));
		assert_string_equal("limit", err.class);
	}
	buf_done(&file);
}

static int open_arena(void **state)
{
	struct error err;
	(void)state;
	return secret_arena_open(2 * SECRET_ARENA_BULK, &err) ? 0 : -1;
}

/* Both before Argon2 runs. */
static void a_passphrase_of_no_or_of_too_many_bytes_is_none(void **state)
{
	(void)state;
	static char long_one[PASSPHRASE_MAX + 1];
	struct error err;
	struct buf file = BUF_INIT(BUNDLE_FILE_MAX);
	struct secret *plain;
	memset(long_one, 'x', sizeof long_one);
	struct secret *typed[] = { make_secret("", 0), make_secret(long_one, sizeof long_one) };
	assert_true(secret_new(BUNDLE_ROOM, &plain, &err));
	for (size_t i = 0; i < 2; i++) {
		struct bundle_lock lock = { .passphrase = typed[i] };
		memset(&err, 0, sizeof err);
		assert_false(bundle_seal(plain, 8, &lock, &file, &err));
		assert_int_equal(err.code, ERR_WRONG_KEY);
		assert_true(err.hint[0]);
		secret_free(typed[i]);
	}
	assert_int_equal(file.len, 0);
	secret_free(plain);
}

static void more_than_fits_is_refused_and_nothing_is_written(void **state)
{
	(void)state;
	struct secret *root = make_root_key(1), *plain = NULL;
	struct buf file = BUF_INIT(BUNDLE_FILE_MAX);
	struct error err;
	uint8_t key[BUNDLE_KEY_LEN];
	assert_true(bundle_public_key(root, key, &err) && secret_new(1024, &plain, &err));
	struct bundle_lock lock = { .public_key = key };
	assert_false(bundle_seal(plain, BUNDLE_PLAIN_MAX + 1, &lock, &file, &err)); /* more than any file holds */
	assert_int_equal(err.code, ERR_USAGE);
	assert_false(bundle_seal(plain, 1024, &lock, &file, &err)); /* no room for the padding */
	assert_int_equal(file.len, 0);
	secret_free(plain);
	secret_free(root);
}

static void what_is_no_public_key_is_refused(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *root = make_root_key(3);
	uint8_t key[BUNDLE_KEY_LEN], again[BUNDLE_KEY_LEN];
	char text[BUNDLE_KEY_TEXT_MAX], wrong[BUNDLE_KEY_TEXT_MAX];
	struct error err;
	assert_true(bundle_public_key(root, key, &err));
	bundle_key_encode(key, text);
	assert_true(bundle_key_decode(text, again, &err));
	assert_memory_equal(key, again, sizeof key);
	static const struct {
		size_t at;
		char c;
	} rows[] = { { 0, 'q' }, { 5, 'g' }, { 20, '\0' }, { 69, 'x' }, { 75, '-' } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		strcpy(wrong, text);
		wrong[rows[i].at] = rows[i].c;
		memset(&err, 0, sizeof err);
		assert_false(bundle_key_decode(wrong, again, &err));
		assert_int_equal(err.code, ERR_USAGE);
		assert_true(err.hint[0]);
	}
}

static void a_bundle_where_a_vault_is_wanted_is_named(void **state)
{
	(void)state;
	char path[] = "/tmp/pixelvault-bundle-XXXXXX";
	struct error err = { .code = ERR_NONE };
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_true(bundle_refuse("/tmp/no such file", &err));
	assert_true(bundle_refuse(path, &err)); /* empty */
	assert_int_equal(write(fd, "something else", 14), 14);
	assert_true(bundle_refuse(path, &err));
	scoped(secret_freep) struct secret *root = make_root_key(3);
	uint8_t key[BUNDLE_KEY_LEN];
	assert_true(bundle_public_key(root, key, &err));
	struct bundle_lock lock = { .public_key = key };
	struct buf file = sealed_of(8, &lock);
	assert_int_equal(pwrite(fd, file.at, file.len, 0), file.len);
	assert_false(bundle_refuse(path, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_non_null(strstr(err.message, path));
	assert_false(bundle_is(bytes_of(file.at, 7)));
	buf_done(&file);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_public_key_is_refused),
		cmocka_unit_test(a_bundle_where_a_vault_is_wanted_is_named),
		cmocka_unit_test(the_public_key_of_the_document),
		cmocka_unit_test(what_is_sealed_to_a_key_opens_with_that_key_only),
		cmocka_unit_test(no_byte_can_be_changed_cut_or_added),
		cmocka_unit_test(a_length_that_no_sealing_makes_is_no_bundle),
		cmocka_unit_test(a_padding_that_no_sealing_makes_is_refused),
		cmocka_unit_test(a_key_of_low_order_is_refused),
		cmocka_unit_test(a_passphrase_opens_what_it_sealed),
		cmocka_unit_test(the_cost_is_limited),
		cmocka_unit_test(a_passphrase_of_no_or_of_too_many_bytes_is_none),
		cmocka_unit_test(more_than_fits_is_refused_and_nothing_is_written),
	};
	return cmocka_run_group_tests(tests, open_arena, NULL);
}
