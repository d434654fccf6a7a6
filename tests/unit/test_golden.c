/* The kept vaults of tests/vectors, value by value: what each holds decodes, and encodes to the same bytes. Run where
 * the sources lie. */
#include "vault/codec.h"
#include "vault/health.h"
#include "vault/seal.h"
#include "vault/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#include <dirent.h>

#define VECTORS "tests/vectors"
#define PLAIN_MAX 65536

static struct {
	struct root root;
	struct keys *keys;
	struct rows rows;
	size_t roots, documents, leaves, tokens;
} g;

static void open_kept(const char *name)
{
	char path[PATH_MAX];
	uint8_t key[KEY_FILE_LEN];
	sqlite3 *db;
	snprintf(path, sizeof path, VECTORS "/%s/key", name);
	assert_int_equal(file_bytes(path, key, sizeof key), sizeof key);
	snprintf(path, sizeof path, "file:" VECTORS "/%s/vault.db?immutable=1", name);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL), SQLITE_OK);
	g.rows = rows_read(db);
	sqlite3_close(db);
	const struct row *root = row_of(&g.rows, "root"), *slots = row_of(&g.rows, "slots");
	assert_int_equal(root_decode(bytes_of(root->value, root->len), &g.root), ROOT_FINE);
	scoped(secret_freep) struct secret *holder_key = secret_of(bytes_of(key, sizeof key)), *root_key = NULL;
	struct slot_secret holder = { SLOT_KEY_FILE, holder_key };
	struct error err;
	assert_true(slots_open(bytes_of(slots->value, slots->len), g.root.vault_id, &holder, &root_key, &err));
	assert_true(keys_derive(root_key, &g.keys, &err));
}

static void close_kept(void)
{
	keys_free(g.keys);
	rows_free(&g.rows);
}

static void assert_same(const struct row *row, struct bytes plain, const struct buf *again)
{
	if (plain.len != again->len || memcmp(plain.at, again->at, plain.len) != 0)
		fail_msg("%s encodes to other bytes", row->key);
}

static void root_is_same(const struct row *row)
{
	struct buf again = BUF_INIT(PLAIN_MAX);
	root_encode(&g.root, &again);
	buf_append(&again, g.root.mac, DIGEST_LEN);
	assert_same(row, bytes_of(row->value, row->len), &again);
	buf_done(&again);
	g.roots++;
}

/* A leaf that is built entry by entry, the last one first. */
static void node_is_same(const struct row *row, const char *prefix)
{
	if (strlen(prefix) < NODE_DEPTH) {
		assert_int_equal(row->len, NODE_FANOUT * DIGEST_LEN);
		return;
	}
	assert_true(leaf_check(bytes_of(row->value, row->len), prefix));
	struct buf built = BUF_INIT(PLAIN_MAX);
	for (size_t at = row->len; at >= ENTRY_LEN; at -= ENTRY_LEN) {
		struct buf next = BUF_INIT(PLAIN_MAX);
		const uint8_t *entry = row->value + at - ENTRY_LEN;
		leaf_with(buf_bytes(&built), entry, entry + PIXEL_ID_LEN, &next);
		buf_done(&built);
		built = next;
	}
	assert_same(row, bytes_of(row->value, row->len), &built);
	buf_done(&built);
	g.leaves++;
}

static void document_is_same(const struct row *row, char kind, struct bytes plain)
{
	struct buf again = BUF_INIT(PLAIN_MAX);
	struct error err;
	struct credential c;
	struct health h;
	struct hint hint;
	struct read_mark mark;
	if (kind == 'm')
		assert_true(credential_decode(plain, &c) && credential_encode(&c, &again, &err));
	else if (kind == 'h')
		assert_true(health_decode(plain, &h) && health_encode(&h, &again, &err));
	else if (kind == 'd' && hint_decode(plain, &hint))
		hint_encode(&hint, &again);
	else if (kind == 'c' && read_mark_decode(plain, &mark))
		read_mark_encode(&mark, &again);
	else
		fail_msg("%s does not decode", row->key);
	assert_same(row, plain, &again);
	buf_done(&again);
	g.documents++;
}

/* What the seal of a row is bound to, from its key: eEPOCH/KIND/ID or eEPOCH/KIND/ID/NUMBER. */
static void sealed_is_same(const struct row *row, char kind, const char *name)
{
	uint8_t id[PIXEL_ID_LEN];
	bool is_by_id = strchr("mth", kind) != NULL;
	struct seal_context context = { .vault_id = g.root.vault_id,
					.epoch = g.root.epoch,
					.kind = kind,
					.what = is_by_id ? bytes_of(id, sizeof id) : bytes_of_text(row->key) };
	struct buf plain = BUF_INIT(PLAIN_MAX);
	if (is_by_id)
		hex_to(name, id, sizeof id);
	if (kind == 't')
		context.version = (uint32_t)strtoul(name + 2 * sizeof id + 1, NULL, 10);
	if (!unseal(g.keys, &context, bytes_of(row->value, row->len), &plain))
		fail_msg("%s does not open", row->key);
	if (kind == 't')
		g.tokens++;
	else if (kind != 'k') /* two keys as they are */
		document_is_same(row, kind, buf_bytes(&plain));
	buf_done(&plain);
}

static void all_is_same(const char *name)
{
	char epoch[16];
	open_kept(name);
	snprintf(epoch, sizeof epoch, "e%u/", (unsigned)g.root.epoch);
	for (size_t i = 0; i < g.rows.count; i++) {
		const struct row *row = &g.rows.at[i];
		const char *rest = row->key + strlen(epoch);
		if (strcmp(row->key, "root") == 0)
			root_is_same(row);
		else if (strncmp(row->key, epoch, strlen(epoch)) != 0)
			assert_string_equal(row->key, "slots");
		else if (*rest == 'n')
			node_is_same(row, rest + 2);
		else
			sealed_is_same(row, *rest, rest + 2);
	}
	close_kept();
}

static void golden__every_value_encodes_to_the_bytes_it_was_decoded_from(void **state)
{
	(void)state;
	DIR *folder = opendir(VECTORS);
	assert_non_null(folder);
	for (const struct dirent *e; (e = readdir(folder));)
		if (e->d_name[0] != '.')
			all_is_same(e->d_name);
	closedir(folder);
	assert_true(g.roots >= 2);
	assert_true(g.documents >= 20);
	assert_true(g.leaves >= 6);
	assert_true(g.tokens >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden__every_value_encodes_to_the_bytes_it_was_decoded_from),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
