#include "vault/slots.h"

#include "core/wipe.h"
#include "vault/text.h"

#include <sodium.h>
#include <time.h>

/* One slot, 160 bytes: id 8, kind u8, algorithm u8, reserved 2, ops u32, mem KiB u32, salt 16, nonce 24, commitment 32,
 * wrapped root key 48, reserved 20 (zero). The associated data is everything before the nonce, bound to the vault. */
#define AT_KIND 8
#define AT_ALGORITHM 9
#define AT_OPS 12
#define AT_MEM 16
#define AT_SALT 20
#define AT_NONCE 36
#define AT_COMMITMENT 60
#define AT_WRAPPED 92
#define AT_RESERVED 140
#define SALT_LEN 16
#define COMMITMENT_LEN 32

#define ALGORITHM_ARGON2ID13 1
#define ALGORITHM_BLAKE2B 2 /* for secrets that are 256 random bits already */
#define TARGET_NS 1000000000
#define OPS_MAX 10u
#define MEM_KIB_MIN (8u * 1024)
#define MEM_KIB_MAX (1024u * 1024)

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (size_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

const char *slot_kind_text(enum slot_kind kind)
{
	switch (kind) {
	case SLOT_PASSPHRASE:
		return "passphrase";
	case SLOT_CREDENTIAL:
		return "system credential";
	case SLOT_RECOVERY:
		return "recovery key";
	default:
		return "key file";
	}
}

static bool is_zero(const uint8_t *at, size_t len)
{
	return sodium_is_zero(at, len) == 1;
}

static bool check_one(const uint8_t *slot, struct error *err)
{
	uint8_t kind = slot[AT_KIND], algorithm = slot[AT_ALGORITHM];
	uint32_t ops = get_u32(slot + AT_OPS), mem = get_u32(slot + AT_MEM);
	if (kind < SLOT_PASSPHRASE || kind > SLOT_RECOVERY || !is_zero(slot + 10, 2) ||
	    !is_zero(slot + AT_RESERVED, SLOT_LEN - AT_RESERVED) ||
	    algorithm != (kind == SLOT_PASSPHRASE ? ALGORITHM_ARGON2ID13 : ALGORITHM_BLAKE2B))
		return fail_class(err, ERR_DAMAGED, "format", "a key slot is not in a form this program knows",
				  HINT_DAMAGED);
	if (algorithm == ALGORITHM_BLAKE2B ? ops != 0 || mem != 0
					   : ops < 1 || ops > OPS_MAX || mem < MEM_KIB_MIN || mem > MEM_KIB_MAX)
		return fail_class(err, ERR_DAMAGED, "limit", TXT_SLOT_LIMIT);
	return true;
}

bool slots_check(struct bytes value, size_t *ret_count, struct error *err)
{
	uint32_t count;
	if (!bytes_take_u32(&value, &count) || count < 1 || count > SLOTS_MAX || value.len != count * SLOT_LEN)
		return fail_class(err, ERR_DAMAGED, "format", "the key slots are not in a form this program knows",
				  HINT_DAMAGED);
	for (size_t i = 0; i < count; i++)
		if (!check_one(value.at + i * SLOT_LEN, err))
			return false;
	*ret_count = count;
	return true;
}

static const uint8_t *slot_at(struct bytes value, size_t i)
{
	return value.at + 4 + i * SLOT_LEN;
}

enum slot_kind slots_kind(struct bytes value, size_t i)
{
	return (enum slot_kind)slot_at(value, i)[AT_KIND];
}

void slots_info(struct bytes value, size_t i, struct slot_info *ret)
{
	const uint8_t *slot = slot_at(value, i);
	*ret = (struct slot_info){ .kind = slots_kind(value, i),
				   .passes = get_u32(slot + AT_OPS),
				   .mem_kib = get_u32(slot + AT_MEM) };
	memcpy(ret->id, slot, SLOT_ID_LEN);
	ret->is_below_policy =
		ret->kind == SLOT_PASSPHRASE && (ret->passes < SLOT_DEFAULT_OPS || ret->mem_kib < SLOT_DEFAULT_MEM_KIB);
}

bool slots_salvage(struct bytes value, uint8_t ret[SLOTS_VALUE_MAX], size_t *ret_len)
{
	struct error ignored;
	uint32_t count = 0;
	size_t len = 4;
	for (size_t at = 4; at + SLOT_LEN <= value.len && count < SLOTS_MAX; at += SLOT_LEN) {
		if (!check_one(value.at + at, &ignored))
			continue;
		memcpy(ret + len, value.at + at, SLOT_LEN);
		len += SLOT_LEN;
		count++;
	}
	put_u32(ret, count);
	*ret_len = len;
	return count > 0;
}

/* 64 bytes: what encrypts, then what commits. */
static bool derive(const uint8_t vault_id[VAULT_ID_LEN], const uint8_t *slot, const struct secret *secret,
		   struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *out = NULL;
	struct bytes in = secret_reveal(secret);
	if (!secret_new(64, &out, err))
		return false;
	if (slot[AT_ALGORITHM] == ALGORITHM_ARGON2ID13) {
		uint32_t mem = get_u32(slot + AT_MEM);
		if (in.len == 0 || in.len > PASSPHRASE_MAX)
			return fail(err, ERR_WRONG_KEY, TXT_PASSPHRASE_LENGTH);
		if (crypto_pwhash(secret_room(out), 64, (const char *)in.at, in.len, slot + AT_SALT,
				  get_u32(slot + AT_OPS), (size_t)mem * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
			return fail(err, ERR_UNEXPECTED, TXT_KDF_FAILED, mem / 1024);
	} else {
		if (in.len != KEY_FILE_LEN)
			return fail(err, ERR_WRONG_KEY, TXT_KEY_LENGTH, in.len);
		crypto_generichash_state state;
		crypto_generichash_init(&state, in.at, in.len, 64);
		crypto_generichash_update(&state, (const uint8_t *)"pxslot01", 8);
		crypto_generichash_update(&state, vault_id, VAULT_ID_LEN);
		crypto_generichash_update(&state, slot, 9); /* id, kind */
		crypto_generichash_update(&state, slot + AT_SALT, SALT_LEN);
		crypto_generichash_final(&state, secret_room(out), 64);
		wipe(&state, sizeof state);
	}
	wipe_stack();
	*ret = take(out);
	return true;
}

#define HEAD_LEN (8 + 4 + VAULT_ID_LEN + AT_NONCE)

static void build_head(const uint8_t vault_id[VAULT_ID_LEN], const uint8_t *slot, uint8_t ret[HEAD_LEN])
{
	memcpy(ret, "pxslot01", 8);
	put_u32(ret + 8, 1);
	memcpy(ret + 12, vault_id, VAULT_ID_LEN);
	memcpy(ret + 12 + VAULT_ID_LEN, slot, AT_NONCE);
}

static void commit_to(const uint8_t *derived, const uint8_t head[HEAD_LEN], const uint8_t *slot,
		      uint8_t ret[COMMITMENT_LEN])
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, derived + 32, 32, COMMITMENT_LEN);
	crypto_generichash_update(&state, head, HEAD_LEN);
	crypto_generichash_update(&state, slot + AT_NONCE, 24);
	crypto_generichash_update(&state, slot + AT_WRAPPED, ROOT_KEY_LEN + 16);
	crypto_generichash_final(&state, ret, COMMITMENT_LEN);
	wipe(&state, sizeof state);
}

/* Processor time, so that a busy machine does not make a cheap slot. */
static int64_t spent_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bool slot_calibrate(uint32_t *ret_passes, struct error *err)
{
	uint8_t out[64], salt[SALT_LEN] = { 0 };
	int64_t began = spent_ns();
	if (crypto_pwhash(out, sizeof out, "calibration", 11, salt, SLOT_DEFAULT_OPS,
			  (size_t)SLOT_DEFAULT_MEM_KIB * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_KDF_FAILED, SLOT_DEFAULT_MEM_KIB / 1024);
	int64_t took = spent_ns() - began + 1, passes = SLOT_DEFAULT_OPS * (int64_t)TARGET_NS / took;
	*ret_passes = passes < SLOT_DEFAULT_OPS ? SLOT_DEFAULT_OPS : passes > OPS_MAX ? OPS_MAX : (uint32_t)passes;
	return true;
}

bool slot_make_as(const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder, const struct secret *root_key,
		  uint32_t passes, const uint8_t *id, uint8_t ret[SLOT_LEN], struct error *err)
{
	scoped(secret_freep) struct secret *derived = NULL;
	uint8_t slot[SLOT_LEN] = { 0 }, head[HEAD_LEN];
	bool is_passphrase = holder->kind == SLOT_PASSPHRASE;
	if (id)
		memcpy(slot, id, SLOT_ID_LEN);
	else
		randombytes_buf(slot, SLOT_ID_LEN);
	slot[AT_KIND] = (uint8_t)holder->kind;
	slot[AT_ALGORITHM] = is_passphrase ? ALGORITHM_ARGON2ID13 : ALGORITHM_BLAKE2B;
	put_u32(slot + AT_OPS, !is_passphrase ? 0 : passes < SLOT_DEFAULT_OPS ? SLOT_DEFAULT_OPS : passes);
	put_u32(slot + AT_MEM, is_passphrase ? SLOT_DEFAULT_MEM_KIB : 0);
	randombytes_buf(slot + AT_SALT, SALT_LEN);
	randombytes_buf(slot + AT_NONCE, 24);
	if (!derive(vault_id, slot, holder->secret, &derived, err))
		return false;
	const uint8_t *key = secret_reveal(derived).at;
	build_head(vault_id, slot, head);
	crypto_aead_xchacha20poly1305_ietf_encrypt(slot + AT_WRAPPED, NULL, secret_reveal(root_key).at, ROOT_KEY_LEN,
						   head, HEAD_LEN, NULL, slot + AT_NONCE, key);
	commit_to(key, head, slot, slot + AT_COMMITMENT);
	memcpy(ret, slot, SLOT_LEN);
	return true;
}

bool slot_make(const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder, const struct secret *root_key,
	       uint8_t ret[SLOT_LEN], struct error *err)
{
	return slot_make_as(vault_id, holder, root_key, 0, NULL, ret, err);
}

/* Commitment first: only the one key that made the slot gets as far as the cipher. */
static bool open_one(const uint8_t vault_id[VAULT_ID_LEN], const uint8_t *slot, const struct secret *secret,
		     struct secret **ret_root_key, bool *ret_opened, struct error *err)
{
	scoped(secret_freep) struct secret *derived = NULL, *root_key = NULL;
	uint8_t head[HEAD_LEN], commitment[COMMITMENT_LEN];
	*ret_opened = false;
	if (!derive(vault_id, slot, secret, &derived, err) || !secret_new(ROOT_KEY_LEN, &root_key, err))
		return false;
	const uint8_t *key = secret_reveal(derived).at;
	build_head(vault_id, slot, head);
	commit_to(key, head, slot, commitment);
	if (sodium_memcmp(commitment, slot + AT_COMMITMENT, COMMITMENT_LEN) != 0 ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(secret_room(root_key), NULL, NULL, slot + AT_WRAPPED,
						       ROOT_KEY_LEN + 16, head, HEAD_LEN, slot + AT_NONCE, key) != 0)
		return true;
	*ret_root_key = take(root_key);
	*ret_opened = true;
	return true;
}

bool slots_open_at(struct bytes value, const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder,
		   struct secret **ret_root_key, size_t *ret_index, struct error *err)
{
	size_t count, tried = 0;
	bool is_opened = false;
	if (!slots_check(value, &count, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (slots_kind(value, i) != holder->kind)
			continue;
		tried++;
		if (!open_one(vault_id, slot_at(value, i), holder->secret, ret_root_key, &is_opened, err))
			return false;
		if (is_opened) {
			*ret_index = i;
			return true;
		}
	}
	if (tried == 0)
		return fail(err, ERR_WRONG_KEY, TXT_NO_SLOT, slot_kind_text(holder->kind));
	return fail(err, ERR_WRONG_KEY, TXT_WRONG_KEY, slot_kind_text(holder->kind));
}

bool slots_open(struct bytes value, const uint8_t vault_id[VAULT_ID_LEN], const struct slot_secret *holder,
		struct secret **ret_root_key, struct error *err)
{
	size_t index;
	return slots_open_at(value, vault_id, holder, ret_root_key, &index, err);
}

/* Crockford's base 32: no I, L, O or U to mistake; 280 bits = 256 of key and 24 of checksum = 56 characters. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
#define RECOVERY_BYTES 35
#define RECOVERY_CHARS 56

static void recovery_checksum(const uint8_t *key, uint8_t ret[3])
{
	uint8_t hash[16];
	crypto_generichash(hash, sizeof hash, key, KEY_FILE_LEN, (const uint8_t *)"pixelvault recovery key 1", 25);
	wipe_stack();
	memcpy(ret, hash, 3);
}

void recovery_encode(const struct secret *key, char ret[RECOVERY_TEXT_MAX])
{
	uint8_t raw[RECOVERY_BYTES];
	memcpy(raw, secret_reveal(key).at, KEY_FILE_LEN);
	recovery_checksum(raw, raw + KEY_FILE_LEN);
	char *p = ret;
	for (size_t i = 0; i < RECOVERY_CHARS; i++) {
		size_t bit = i * 5, value = 0;
		for (size_t b = bit; b < bit + 5; b++)
			value = value << 1 | ((size_t)raw[b / 8] >> (7 - b % 8) & 1u);
		if (i && i % 7 == 0)
			*p++ = '-';
		*p++ = alphabet[value];
	}
	*p = '\0';
	wipe(raw, sizeof raw);
}

static int digit_of(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	const char *found = c ? strchr(alphabet, c) : NULL;
	return found ? (int)(found - alphabet) : -1;
}

bool recovery_decode(struct bytes typed, struct secret **ret, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	uint8_t sum[3];
	size_t chars = 0;
	if (!secret_new(RECOVERY_BYTES, &key, err))
		return false;
	uint8_t *raw = secret_room(key);
	for (size_t i = 0; i < typed.len; i++) {
		if (typed.at[i] == '-' || typed.at[i] == ' ' || typed.at[i] == '\n')
			continue;
		int digit = digit_of(typed.at[i]);
		if (digit < 0 || chars == RECOVERY_CHARS)
			return fail(err, ERR_WRONG_KEY, TXT_RECOVERY_TYPO);
		for (size_t b = 0; b < 5; b++)
			if (digit >> (4 - b) & 1)
				raw[(chars * 5 + b) / 8] |= (uint8_t)(0x80 >> ((chars * 5 + b) % 8));
		chars++;
	}
	recovery_checksum(raw, sum);
	if (chars != RECOVERY_CHARS || sodium_memcmp(sum, raw + KEY_FILE_LEN, 3) != 0)
		return fail(err, ERR_WRONG_KEY, TXT_RECOVERY_TYPO);
	secret_cut(key, KEY_FILE_LEN);
	*ret = take(key);
	return true;
}
