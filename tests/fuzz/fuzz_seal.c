/* Any bytes as a sealed value, and any bytes as what lies inside one: sealed here under the right key, so that what
 * stands behind the MAC is reached too. What opens is what was put in before its padding, and it opens nowhere else. */
#include "tests/fuzz/common.h"

#include <sodium.h>

static const uint8_t vault_id[VAULT_ID_LEN] = { 7 };

/* As docs/format.md has it, not as vault/seal.c does it. */
static size_t aad_of(const struct seal_context *c, uint32_t size, uint8_t *ret)
{
	uint32_t what = (uint32_t)c->what.len, parts[] = { 1, c->epoch, what, c->version, size };
	uint8_t *at = ret;
	memcpy(at, &parts[0], 4), at += 4;
	memcpy(at, vault_id, sizeof vault_id), at += sizeof vault_id;
	memcpy(at, &parts[1], 4), at += 4;
	*at++ = (uint8_t)c->kind;
	memcpy(at, &parts[2], 4), at += 4;
	memcpy(at, c->what.at, what), at += what;
	memcpy(at, &parts[3], 4), at += 4;
	memcpy(at, &parts[4], 4), at += 4;
	return (size_t)(at - ret);
}

/* plain, filled up with zeros to one of the sizes. Returns the size, 0 when none fits. */
static size_t seal_as_it_is(const struct seal_context *c, struct bytes plain, uint8_t *ret_plain, uint8_t *ret)
{
	static const uint32_t sizes[] = { 192, 512, 1024, 2048, 4096, 8192, 16384 };
	static const uint8_t nonce[SEAL_NONCE_LEN] = { 1 }, zeros[ROOT_KEY_LEN];
	uint8_t key[32], aad[512];
	uint32_t size = 0;
	for (size_t i = 0; !size && i < COUNT_OF(sizes); i++)
		size = plain.len <= sizes[i] ? sizes[i] : 0;
	if (!size)
		return 0;
	memset(ret_plain, 0, size);
	if (plain.len)
		memcpy(ret_plain, plain.at, plain.len);
	bool is_token = c->kind == 't' || c->kind == 'g';
	crypto_kdf_derive_from_key(key, sizeof key, is_token ? KEY_TOKEN : KEY_META, "pxvault1", zeros);
	memcpy(ret, nonce, sizeof nonce);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret + sizeof nonce, NULL, ret_plain, size, aad, aad_of(c, size, aad),
						   NULL, nonce, key);
	return size;
}

static bool size_serves(size_t size, char kind)
{
	if (kind == 'd')
		return size == 192;
	return size >= 512 && size <= (kind == 't' || kind == 'g' ? 4096u : 16384u);
}

static void open_both_ways(const struct seal_context *c, struct bytes sealed, const uint8_t *plain, size_t size)
{
	struct buf out = BUF_INIT(1 << 20);
	struct secret *secret = NULL;
	struct error err;
	struct seal_context other = *c;
	size_t len = size;
	while (len && plain[len - 1] == 0)
		len--;
	bool shall_open = len && plain[len - 1] == 0x80 && size_serves(size, c->kind);
	bool is_open = unseal(zero_keys(), c, sealed, &out);
	expect(is_open == shall_open && is_open == unseal_secret(zero_keys(), c, sealed, &secret, &err));
	if (is_open) {
		expect(bytes_equal(buf_bytes(&out), bytes_of(plain, len - 1)));
		expect(bytes_equal(secret_reveal(secret), buf_bytes(&out)));
	} else {
		expect(out.len == 0 && err.message[0] && err.hint[0]);
	}
	secret_freep(&secret);
	other.version++;
	expect(!unseal(zero_keys(), &other, sealed, &out) &&
	       !unseal_secret(zero_keys(), &other, sealed, &secret, &err));
	buf_done(&out);
}

static void there_and_back(const struct seal_context *c, struct bytes plain)
{
	struct buf sealed = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct error err;
	if (seal(zero_keys(), c, plain, &sealed, &err))
		expect(unseal(zero_keys(), c, buf_bytes(&sealed), &out) && bytes_equal(buf_bytes(&out), plain));
	else
		expect(sealed.len == 0 && err.code == ERR_USAGE);
	buf_done(&sealed);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char kinds[] = "mtghcadk";
	static uint8_t plain[16384], sealed[SEAL_NONCE_LEN + 16384 + SEAL_TAG_LEN];
	struct bytes rest = bytes_of(data, len);
	uint8_t choice = take_byte(&rest);
	struct seal_context c = { vault_id, 3, kinds[choice % 8], bytes_of_text("e3/x/of-this"), choice / 32u };
	struct buf out = BUF_INIT(1 << 20);
	zero_keys();
	there_and_back(&c, rest);
	if (choice & 8) {
		expect(!unseal(zero_keys(), &c, rest, &out)); /* nobody guesses a MAC */
	} else {
		size_t size = seal_as_it_is(&c, rest, plain, sealed);
		if (size)
			open_both_ways(&c, bytes_of(sealed, SEAL_NONCE_LEN + size + SEAL_TAG_LEN), plain, size);
	}
	buf_done(&out);
	return 0;
}
