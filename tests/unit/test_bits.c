/* Single bits of a vault's file and of each stored value, lengths it is cut to, bytes behind it: never is anything else
 * taken for content than what was stored. BITS_EVERY=1 tries all of them (make tamper), else every n-th is. */
#include "vault/seal.h"
#include "vault/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#include <dirent.h>

#define PIXELS 20
#define CONTENT_MAX 32768
#define STATE_FILES 8

struct file {
	char path[PATH_MAX];
	uint8_t *at;
	size_t len;
};

static struct {
	char pixel[PIXELS][24], token[PIXELS][48];
	uint8_t content[PIXELS][CONTENT_MAX];
	size_t content_len[PIXELS];
	struct file vault, state[STATE_FILES];
	size_t state_count;
} t;

static size_t every(size_t sample)
{
	const char *text = getenv("BITS_EVERY");
	return text && *text ? (size_t)strtoul(text, NULL, 10) : sample;
}

/* ---- a vault of 20 Pixels that three keys open, and its files as they lie on the disk ---- */

static void load(struct file *f, const char *path)
{
	struct stat st;
	snprintf(f->path, sizeof f->path, "%s", path);
	assert_int_equal(stat(path, &st), 0);
	f->at = malloc((size_t)st.st_size + 1);
	assert_non_null(f->at);
	f->len = file_bytes(path, f->at, (size_t)st.st_size);
	assert_int_equal(f->len, st.st_size);
}

static void load_state(void)
{
	DIR *folder = opendir(state_dir);
	assert_non_null(folder);
	for (const struct dirent *e; (e = readdir(folder));) {
		char path[PATH_MAX];
		if (e->d_name[0] == '.')
			continue;
		assert_true(t.state_count < STATE_FILES);
		assert_true(snprintf(path, sizeof path, "%s/%s", state_dir, e->d_name) < (int)sizeof path);
		load(&t.state[t.state_count++], path);
	}
	closedir(folder);
}

/* Each read adds a line to the log. */
static void put_state_back(void)
{
	for (size_t i = 0; i < t.state_count; i++)
		write_bytes(t.state[i].path, t.state[i].at, t.state[i].len);
}

static bool create_with_three_keys(struct error *err)
{
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED), *other = key_of(8), *paper = key_of(9);
	struct slot_secret holders[] = { { SLOT_KEY_FILE, key }, { SLOT_CREDENTIAL, other }, { SLOT_RECOVERY, paper } };
	return vault_create(&place, holders, COUNT_OF(holders), err);
}

static void encode(struct vault *v, size_t p, struct buf *out)
{
	struct credential c;
	struct error err;
	if (!vault_find(v, t.pixel[p], false, &c, &err) || !credential_encode(&c, out, &err))
		fail_msg("%s: %s", t.pixel[p], err.message);
}

static void fill(void)
{
	struct vault *v = open_it();
	for (unsigned p = 0; p < PIXELS; p++) {
		struct buf out = BUF_INIT(CONTENT_MAX);
		snprintf(t.pixel[p], sizeof t.pixel[p], "D0000000000000000%02u0", p);
		for (unsigned n = 0; n <= p % 3; n++) {
			snprintf(t.token[p], sizeof t.token[p], "token-%u-of-pixel-%u-0123456789", n, p);
			put_token(v, t.pixel[p], t.token[p]);
		}
		put_label(v, t.pixel[p], p % 2 ? "shop=berlin" : "shop=paris");
		encode(v, p, &out);
		memcpy(t.content[p], out.at, out.len);
		t.content_len[p] = out.len;
		buf_done(&out);
	}
	vault_close(v);
}

static int bits_make(void **state)
{
	struct error err;
	if (scratch_make(state) != 0)
		return -1;
	memset(&t, 0, sizeof t);
	set_place("home");
	if (!create_with_three_keys(&err))
		return -1;
	find_anchor();
	fill();
	sqlite3 *db = sql_open();
	sql_do(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(db);
	load(&t.vault, vault_file);
	load_state();
	return 0;
}

static int bits_remove(void **state)
{
	free(t.vault.at);
	for (size_t i = 0; i < t.state_count; i++)
		free(t.state[i].at);
	return scratch_remove(state);
}

/* ---- what may come of it ---- */

static bool is_refusal(const struct error *err)
{
	static const char *const classes[] = { "damaged",     "format", "tampered", "limit",
					       "rolled-back", "forked", "anchor" };
	if (err->code == ERR_WRONG_KEY) /* in the vault's id: no key is this other vault's */
		return true;
	for (size_t i = 0; i < COUNT_OF(classes); i++)
		if (is_class(err, ERR_DAMAGED, classes[i]))
			return true;
	return false;
}

static void assert_is_refusal(size_t p, const struct error *err)
{
	if (!is_refusal(err))
		fail_msg("%s: code %d class %s: %s", t.pixel[p], err->code, err->class ? err->class : "-",
			 err->message);
}

/* This Pixel is refused, or what it holds is what was stored. */
static bool is_found(struct vault *v, size_t p)
{
	struct buf out = BUF_INIT(CONTENT_MAX);
	struct error err = { 0 };
	struct credential c;
	bool is_there = vault_find(v, t.pixel[p], false, &c, &err) && credential_encode(&c, &out, &err);
	if (is_there) {
		assert_int_equal(out.len, t.content_len[p]);
		assert_memory_equal(out.at, t.content[p], out.len);
	} else {
		assert_is_refusal(p, &err);
	}
	buf_done(&out);
	return is_there;
}

/* The same of its token. */
static bool is_served(struct vault *v, size_t p)
{
	struct error err = { 0 };
	char text[TOKEN_MAX + 1];
	if (token_text(v, t.pixel[p], 0, text, &err)) {
		assert_string_equal(text, t.token[p]);
		return true;
	}
	assert_is_refusal(p, &err);
	return false;
}

/* Opened as it lies there. Where all of it is proven, all of it is served. */
static bool is_refused_or_whole(size_t p)
{
	struct vault *v = NULL;
	struct verify_report report;
	struct error err = { 0 };
	if (!try_open(&v, &err)) {
		assert_true(is_refusal(&err));
		return true;
	}
	bool is_proven = vault_verify(v, NULL, NULL, &report, &err);
	if (!is_proven)
		assert_true(is_refusal(&err));
	bool is_one_served = is_served(v, p % PIXELS);
	size_t found = 0;
	for (size_t i = 0; i < PIXELS; i++)
		found += is_found(v, i);
	vault_close(v);
	if (is_proven) {
		assert_true(is_one_served);
		assert_int_equal(found, PIXELS);
		assert_int_equal(report.pixels, PIXELS);
	}
	return !is_proven;
}

static void write_vault(const uint8_t *at, size_t len)
{
	static const char *const endings[] = { "-wal", "-shm" };
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		char path[PATH_MAX + 8];
		snprintf(path, sizeof path, "%s%s", vault_file, endings[i]);
		unlink(path);
	}
	write_bytes(vault_file, at, len);
}

/* ---- the file ---- */

static void file__a_bit_of_it_changes_no_content(void **state)
{
	(void)state;
	size_t step = every(149), cases = 0, refused = 0;
	for (size_t at = 0; at < t.vault.len; at += step) {
		uint8_t bit = (uint8_t)(1 << (at / step) % 8);
		t.vault.at[at] ^= bit;
		write_vault(t.vault.at, t.vault.len);
		if (cases % 256 == 0)
			put_state_back();
		refused += is_refused_or_whole(cases++);
		t.vault.at[at] ^= bit;
	}
	print_message("bits of the file: %zu, %zu of them refused, %zu without effect\n", cases, refused,
		      cases - refused);
	assert_true(refused > cases / 10);
}

static void file__cut_to_any_length_is_refused(void **state)
{
	(void)state;
	size_t step = every(37), cases = 0;
	for (size_t i = 0; i < t.vault.len / 512 + 1000; i += step) {
		size_t pages = t.vault.len / 512;
		size_t len = i < pages ? i * 512 : randombytes_uniform((uint32_t)t.vault.len);
		write_vault(t.vault.at, len);
		put_state_back();
		if (!is_refused_or_whole(cases++))
			fail_msg("cut to %zu of %zu bytes, and taken for whole", len, t.vault.len);
	}
	print_message("lengths: %zu, all refused\n", cases);
}

static void file__with_bytes_behind_it_is_refused_or_what_it_was(void **state)
{
	(void)state;
	uint8_t *longer = malloc(t.vault.len + 4096);
	assert_non_null(longer);
	memcpy(longer, t.vault.at, t.vault.len);
	for (size_t i = 0; i < 3 * 7; i++) {
		static const size_t counts[] = { 1, 16, 511, 512, 1024, 4095, 4096 };
		uint8_t *end = longer + t.vault.len;
		if (i % 3 == 0)
			memset(end, 0, 4096);
		else if (i % 3 == 1)
			randombytes_buf(end, 4096);
		else
			memcpy(end, longer, 4096);
		write_vault(longer, t.vault.len + counts[i / 3]);
		put_state_back();
		(void)is_refused_or_whole(i);
	}
	free(longer);
}

/* ---- values ---- */

static void assert_bit_is_refused(const struct row *row, size_t bit)
{
	struct vault *v = NULL;
	struct verify_report report;
	struct error err = { 0 };
	bool is_opened = try_open(&v, &err);
	if (is_opened && vault_verify(v, NULL, NULL, &report, &err))
		fail_msg("bit %zu of %s may be changed", bit, row->key);
	if (!is_refusal(&err))
		fail_msg("bit %zu of %s: code %d class %s: %s", bit, row->key, err.code, err.class ? err.class : "-",
			 err.message);
	if (is_opened)
		(void)is_served(v, bit % PIXELS);
	vault_close(v);
}

static void value__every_bit_of_each_is_under_the_root(void **state)
{
	(void)state;
	size_t step = every(997), cases = 0, all = 0;
	write_vault(t.vault.at, t.vault.len);
	put_state_back();
	sqlite3 *db = sql_open();
	struct rows rows = rows_read(db);
	for (size_t i = 0; i < rows.count; i++)
		for (size_t bit = 0; bit < rows.at[i].len * 8; bit++) {
			struct row *row = &rows.at[i];
			if (all++ % step != 0)
				continue;
			row->value[bit / 8] ^= (uint8_t)(1 << bit % 8);
			row_put_back(db, row);
			assert_bit_is_refused(row, bit);
			row->value[bit / 8] ^= (uint8_t)(1 << bit % 8);
			row_put_back(db, row);
			if (cases++ % 256 == 0) {
				sql_do(db, "PRAGMA wal_checkpoint(TRUNCATE)");
				put_state_back();
			}
		}
	print_message("bits of the %zu values: %zu of %zu, all refused\n", rows.count, cases, all);
	rows_free(&rows);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(file__a_bit_of_it_changes_no_content, bits_make, bits_remove),
		cmocka_unit_test_setup_teardown(file__cut_to_any_length_is_refused, bits_make, bits_remove),
		cmocka_unit_test_setup_teardown(file__with_bytes_behind_it_is_refused_or_what_it_was, bits_make,
						bits_remove),
		cmocka_unit_test_setup_teardown(value__every_bit_of_each_is_under_the_root, bits_make, bits_remove),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
