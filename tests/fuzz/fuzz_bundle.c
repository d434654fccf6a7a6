/* Any bytes as an export file, and any bytes inside a good one: its head is put right and what stands behind it sealed
 * here, so that what stands behind commitment and MAC is reached too. Also the public key as people copy it. */
#include "tests/fuzz/common.h"
#include "vault/bundle.h"

#include <sodium.h>

#define HEAD_LEN 152
#define INNER_MAX 8192

/* As docs/format.md has it, not as vault/bundle.c does it. False: the key in the head is none. */
static bool put_right(uint8_t *file, size_t inner, bool does_fit)
{
	static const uint8_t zeros[ROOT_KEY_LEN];
	uint8_t private_key[32], shared[32], keys[64];
	uint64_t rest = inner + 16;
	crypto_generichash_state state;
	crypto_kdf_derive_from_key(private_key, 32, 1, "pxexport", zeros);
	memcpy(file, "pxexprt\n\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0", 24);
	crypto_scalarmult_base(file + 56, private_key);
	if (does_fit)
		memcpy(file + 112, &rest, 8);
	if (crypto_scalarmult(shared, private_key, file + 24) != 0)
		return false;
	crypto_generichash_init(&state, shared, 32, 64);
	crypto_generichash_update(&state, (const uint8_t *)"pxexpt01", 8);
	crypto_generichash_update(&state, file + 24, 64);
	crypto_generichash_final(&state, keys, 64);
	crypto_generichash(file + 120, 32, file, 120, keys + 32, 32);
	crypto_aead_xchacha20poly1305_ietf_encrypt(file + HEAD_LEN, NULL, file + HEAD_LEN, inner, file, HEAD_LEN, NULL,
						   file + 88, keys);
	return true;
}

static void open_it(struct bytes bytes, const char *passphrase, struct bytes inside)
{
	struct secret *file = NULL, *root = zero_key(), *typed = NULL;
	struct error err;
	enum bundle_kind kind;
	expect(secret_copy(bytes, &file, &err) && secret_copy(bytes_of_text(passphrase), &typed, &err));
	struct bundle_key key = { .passphrase = typed, .root_key = root };
	bool is_well_formed = bundle_check(bytes, &kind, &err);
	/* Argon2 at more than its least cost is too slow for here. */
	if (!is_well_formed || kind == BUNDLE_PUBLIC_KEY || memcmp(bytes.at + 16, "\1\0\0\0\0\40\0\0", 8) == 0) {
		bool is_open = bundle_open(file, &key, &err);
		expect(!is_open || is_well_formed);
		if (is_open) {
			struct bytes got = secret_reveal(file);
			expect(got.len < inside.len && memcmp(got.at, inside.at, got.len) == 0 &&
			       inside.at[got.len] == 0x80);
		} else {
			expect((err.code == ERR_DAMAGED || err.code == ERR_WRONG_KEY || err.code == ERR_USAGE) &&
			       err.hint[0]);
		}
	}
	secret_free(file);
	secret_free(root);
	secret_free(typed);
}

static void there_and_back(struct bytes plain)
{
	struct secret *room = NULL, *root = zero_key(), *file = NULL;
	struct buf sealed = BUF_INIT(BUNDLE_FILE_MAX);
	struct error err;
	uint8_t own[BUNDLE_KEY_LEN];
	expect(bundle_public_key(root, own, &err) && secret_new(2 * INNER_MAX, &room, &err));
	if (plain.len)
		memcpy(secret_room(room), plain.at, plain.len);
	struct bundle_lock lock = { .public_key = own };
	struct bundle_key key = { .root_key = root };
	expect(bundle_seal(room, plain.len, &lock, &sealed, &err) && secret_copy(buf_bytes(&sealed), &file, &err) &&
	       bundle_open(file, &key, &err) && bytes_equal(secret_reveal(file), plain));
	secret_free(room);
	secret_free(root);
	secret_free(file);
	buf_done(&sealed);
}

static void read_key(struct bytes typed)
{
	char text[2 * BUNDLE_KEY_TEXT_MAX], again[BUNDLE_KEY_TEXT_MAX];
	uint8_t key[BUNDLE_KEY_LEN];
	struct error err;
	size_t len = typed.len < sizeof text ? typed.len : sizeof text - 1;
	if (len)
		memcpy(text, typed.at, len);
	text[len] = '\0';
	if (bundle_key_decode(text, key, &err)) {
		bundle_key_encode(key, again);
		expect(strcmp(text, again) == 0);
	} else {
		expect(err.code == ERR_USAGE && err.hint[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t file[HEAD_LEN + INNER_MAX + 16], inside[INNER_MAX];
	struct bytes rest = bytes_of(data, len);
	uint8_t choice = take_byte(&rest);
	if (rest.len > HEAD_LEN + INNER_MAX)
		return 0;
	secret_free(zero_key());
	switch (choice) {
	case 'k':
		read_key(rest);
		break;
	case 's':
		there_and_back(rest.len <= INNER_MAX ? rest : bytes_of(rest.at, INNER_MAX));
		break;
	case 'r':
	case 'l':
		if (rest.len < HEAD_LEN)
			break;
		memcpy(file, rest.at, rest.len);
		memcpy(inside, file + HEAD_LEN, rest.len - HEAD_LEN);
		if (put_right(file, rest.len - HEAD_LEN, choice == 'r'))
			open_it(bytes_of(file, rest.len + 16), "-", bytes_of(inside, rest.len - HEAD_LEN));
		break;
	default:
		open_it(rest, "correct horse battery staple", bytes_of("", 0));
	}
	return 0;
}
