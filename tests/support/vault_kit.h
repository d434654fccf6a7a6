/* tests/support/vault_kit.h - a vault of its own for each test, changed through the real calls and attacked through a
 * connection of the test's own. Include cmocka.h (and what it needs) before this. */
#ifndef TESTS_SUPPORT_VAULT_KIT_H
#define TESTS_SUPPORT_VAULT_KIT_H

#include "tests/support/scratch.h"
#include "vault/anchor.h"
#include "vault/codec.h"
#include "vault/vault.h"

#include <sodium.h>
#include <sqlite3.h>

static char vault_file[PATH_MAX], state_dir[PATH_MAX], anchor_path[PATH_MAX];
static struct vault_place place;
#define KEY_SEED 7

UNUSED static bool create_at(const struct vault_place *where, struct error *err)
{
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	return vault_create(where, &holder, 1, err);
}

UNUSED static bool try_open(struct vault **ret, struct error *err)
{
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	scoped(vault_closep) struct vault *v = NULL;
	memset(err, 0, sizeof *err);
	if (!vault_open(&place, &v, err) || !vault_unlock(v, &holder, err))
		return false;
	*ret = take(v);
	return true;
}

UNUSED static struct vault *open_it(void)
{
	struct vault *v = NULL;
	struct error err;
	if (!try_open(&v, &err))
		fail_msg("the vault does not open: %s", err.message);
	return v;
}

UNUSED static void set_place(const char *folder)
{
	char name[80], path[PATH_MAX];
	in_scratch(path, folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(name, sizeof name, "%.60s/vault.db", folder);
	in_scratch(vault_file, name);
	in_scratch(state_dir, "state");
	place = (struct vault_place){ .path = vault_file, .state_dir = state_dir };
}

UNUSED static void find_anchor(void)
{
	struct anchor_file file;
	struct error err;
	assert_true(anchor_place(state_dir, vault_file, &file, &err));
	strcpy(anchor_path, file.path);
}

UNUSED static int vault_make_here(void)
{
	struct error err;
	set_place("home");
	if (!create_at(&place, &err))
		return -1;
	find_anchor();
	return 0;
}

UNUSED static int vault_make(void **state)
{
	return scratch_make(state) == 0 ? vault_make_here() : -1;
}

UNUSED static int vault_make_in_memory(void **state)
{
	return scratch_make_in_memory(state) == 0 ? vault_make_here() : -1;
}

/* ---- changing through the real calls ---- */

struct put_job {
	const char *pixel, *token, *label;
	bool is_promoted;
	int64_t now;
	uint32_t number;
};

UNUSED static bool put_one(void *context, struct change *ch, struct error *err)
{
	struct put_job *job = context;
	struct credential c;
	struct version v = { .number = 0 };
	bool exists;
	uint32_t dropped = 0;
	if (!change_find(ch, job->pixel, &c, &exists, err))
		return false;
	if (job->token) {
		scoped(secret_freep) struct secret *token = secret_of_text(job->token);
		if (!credential_add(&c, &v, job->now, &job->number, &dropped, err) ||
		    !change_put_token(ch, &c, job->number, token, err) ||
		    (dropped && !change_drop_token(ch, &c, dropped, err)))
			return false;
		if (job->is_promoted)
			assert_true(credential_promote(&c, job->number, job->now));
	}
	if (job->label) {
		struct label label;
		if (!label_parse(job->label, &label, err) || !credential_label(&c, &label, err))
			return false;
	}
	change_note(ch, job->token ? "put" : "label", job->pixel, job->number);
	return change_store(ch, &c, err);
}

/* Store and promote. */
UNUSED static void put_token(struct vault *v, const char *pixel, const char *token)
{
	struct put_job job = { .pixel = pixel, .token = token, .is_promoted = true, .now = 1700000000 };
	struct error err;
	if (!vault_change(v, put_one, &job, &err))
		fail_msg("put %s: %s", pixel, err.message);
}

UNUSED static void put_label(struct vault *v, const char *pixel, const char *label)
{
	struct put_job job = { .pixel = pixel, .label = label };
	struct error err;
	if (!vault_change(v, put_one, &job, &err))
		fail_msg("label %s: %s", pixel, err.message);
}

/* The token of this version (0: current), or false with the error. */
UNUSED static bool token_text(struct vault *v, const char *pixel, uint32_t number, char ret[TOKEN_MAX + 1],
			      struct error *err)
{
	struct credential c;
	scoped(secret_freep) struct secret *token = NULL;
	memset(err, 0, sizeof *err);
	if (!vault_find(v, pixel, false, &c, err))
		return false;
	const struct version *version = number ? credential_numbered(&c, number) : credential_staged(&c, STAGE_CURRENT);
	assert_non_null(version);
	if (!vault_token(v, &c, version, "get", &token, err))
		return false;
	memcpy(ret, secret_reveal(token).at, secret_len(token));
	ret[secret_len(token)] = '\0';
	return true;
}

UNUSED static void assert_token(struct vault *v, const char *pixel, uint32_t number, const char *expected)
{
	char text[TOKEN_MAX + 1];
	struct error err;
	if (!token_text(v, pixel, number, text, &err))
		fail_msg("%s: %s", pixel, err.message);
	assert_string_equal(text, expected);
}

UNUSED static bool is_class(const struct error *err, enum error_code code, const char *class)
{
	return err->code == code && (class ? err->class && strcmp(err->class, class) == 0 : true) && err->message[0] &&
	       err->hint[0];
}

#define assert_refused(err, code_, class_)                                                                             \
	do {                                                                                                           \
		if (!is_class(err, code_, class_))                                                                     \
			fail_msg("code %d class %s: %s", (err)->code, (err)->class ? (err)->class : "-",               \
				 (err)->message);                                                                      \
	} while (0)

/* ---- reaching into the file ---- */

UNUSED static sqlite3 *sql_open(void)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(vault_file, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL),
			 SQLITE_OK);
	return db;
}

UNUSED static void sql_do(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

struct row {
	char key[128];
	uint8_t *value;
	size_t len;
	int64_t mod;
};

struct rows {
	size_t count;
	struct row *at;
};

/* All rows of kv, in key order. */
UNUSED static struct rows rows_read(sqlite3 *db)
{
	struct rows rows = { 0 };
	sqlite3_stmt *stmt;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT k, v, mod FROM kv ORDER BY k", -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		rows.at = realloc(rows.at, (rows.count + 1) * sizeof *rows.at);
		assert_non_null(rows.at);
		struct row *row = &rows.at[rows.count++];
		snprintf(row->key, sizeof row->key, "%s", (const char *)sqlite3_column_text(stmt, 0));
		row->len = (size_t)sqlite3_column_bytes(stmt, 1);
		row->value = malloc(row->len + 1);
		assert_non_null(row->value);
		memcpy(row->value, sqlite3_column_blob(stmt, 1), row->len);
		row->mod = sqlite3_column_int64(stmt, 2);
	}
	sqlite3_finalize(stmt);
	return rows;
}

UNUSED static void rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->at[i].value);
	free(rows->at);
	*rows = (struct rows){ 0 };
}

UNUSED static struct row *row_of(const struct rows *rows, const char *key)
{
	for (size_t i = 0; i < rows->count; i++)
		if (strcmp(rows->at[i].key, key) == 0)
			return &rows->at[i];
	fail_msg("no row %s", key);
	return NULL;
}

UNUSED static void row_set(sqlite3 *db, const char *key, struct bytes value, int64_t mod)
{
	sqlite3_stmt *stmt;
	assert_int_equal(
		sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO kv(k, v, mod) VALUES(?1, ?2, ?3)", -1, &stmt, NULL),
		SQLITE_OK);
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	if (value.len)
		sqlite3_bind_blob(stmt, 2, value.at, (int)value.len, SQLITE_STATIC);
	else
		sqlite3_bind_zeroblob(stmt, 2, 0);
	sqlite3_bind_int64(stmt, 3, mod);
	assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
}

UNUSED static void row_delete(sqlite3 *db, const char *key)
{
	sqlite3_stmt *stmt;
	assert_int_equal(sqlite3_prepare_v2(db, "DELETE FROM kv WHERE k = ?1", -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_finalize(stmt);
}

UNUSED static void row_put_back(sqlite3 *db, const struct row *row)
{
	row_set(db, row->key, bytes_of(row->value, row->len), row->mod);
}

/* The store holds exactly these rows again. */
UNUSED static void rows_put_back(sqlite3 *db, const struct rows *rows)
{
	sql_do(db, "BEGIN; DELETE FROM kv");
	for (size_t i = 0; i < rows->count; i++)
		row_put_back(db, &rows->at[i]);
	sql_do(db, "COMMIT");
}

UNUSED static bool rows_are_equal(const struct rows *a, const struct rows *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->at[i].key, b->at[i].key) != 0 || a->at[i].len != b->at[i].len ||
		    memcmp(a->at[i].value, b->at[i].value, a->at[i].len) != 0)
			return false;
	return true;
}

/* ---- what only a holder of the root key can do ---- */

UNUSED static struct root root_of(sqlite3 *db)
{
	struct rows rows = rows_read(db);
	struct root r;
	const struct row *row = row_of(&rows, "root");
	assert_int_equal(root_decode(bytes_of(row->value, row->len), &r), ROOT_FINE);
	rows_free(&rows);
	return r;
}

UNUSED static struct keys *true_keys(sqlite3 *db)
{
	struct rows rows = rows_read(db);
	const struct row *slots = row_of(&rows, "slots");
	struct root r = root_of(db);
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED), *root_key = NULL;
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	struct keys *k = NULL;
	struct error err;
	assert_true(slots_open(bytes_of(slots->value, slots->len), r.vault_id, &holder, &root_key, &err));
	assert_true(keys_derive(root_key, &k, &err));
	rows_free(&rows);
	return k;
}

UNUSED static void kit_node_mac(const struct keys *k, const char *prefix, struct bytes node, uint8_t ret[DIGEST_LEN])
{
	keys_mac(k, KEY_MAC, "pxnode01", bytes_of_text(prefix), node, ret);
}

/* Write this root with a right MAC, and an anchor that remembers exactly it. */
UNUSED static void root_forge(sqlite3 *db, const struct keys *k, struct root *r)
{
	struct buf bytes = BUF_INIT(4096);
	struct error err;
	root_encode(r, &bytes);
	keys_mac(k, KEY_MAC, "pxroot01", buf_bytes(&bytes), bytes_of("", 0), r->mac);
	buf_append(&bytes, r->mac, DIGEST_LEN);
	row_set(db, "root", buf_bytes(&bytes), 1);
	buf_done(&bytes);
	struct anchor a = { .epoch = r->epoch, .generation = r->generation };
	memcpy(a.vault_id, r->vault_id, sizeof a.vault_id);
	memcpy(a.lineage, r->lineage, sizeof a.lineage);
	memcpy(a.root_mac, r->mac, sizeof a.root_mac);
	struct anchor_file file = { .is_there = false };
	strcpy(file.path, anchor_path);
	assert_true(anchor_create(&file, k, &a, &err));
}

/* Make inner nodes and root agree with the leaves as they lie there. */
UNUSED static void nodes_forge(sqlite3 *db, const struct keys *k)
{
	struct root r = root_of(db);
	for (size_t depth = 3; depth > 0; depth--) {
		struct rows rows = rows_read(db);
		for (size_t i = 0; i < rows.count; i++) {
			const char *prefix = rows.at[i].key + 5;
			if (strncmp(rows.at[i].key, "e1/n/", 5) != 0 || strlen(prefix) != depth)
				continue;
			uint8_t mac[DIGEST_LEN];
			unsigned nibble = (unsigned)strtoul(prefix + depth - 1, NULL, 16);
			kit_node_mac(k, prefix, bytes_of(rows.at[i].value, rows.at[i].len), mac);
			if (depth == 1) {
				memcpy(r.top[nibble], mac, DIGEST_LEN);
				continue;
			}
			char parent[16];
			snprintf(parent, sizeof parent, "e1/n/%.*s", (int)depth - 1, prefix);
			struct row *row = row_of(&rows, parent);
			memcpy(row->value + nibble * DIGEST_LEN, mac, DIGEST_LEN);
			row_put_back(db, row);
		}
		rows_free(&rows);
	}
	root_forge(db, k, &r);
}

/* The leaf of id names this sealed metadata; everything above it agrees. */
UNUSED static void leaf_forge(sqlite3 *db, const struct keys *k, const uint8_t id[PIXEL_ID_LEN], struct bytes metadata)
{
	char key[KEY_TEXT_MAX];
	uint8_t digest[DIGEST_LEN];
	struct rows rows = rows_read(db);
	struct buf leaf = BUF_INIT(65536);
	key_for_node(1, id, NODE_DEPTH, key);
	const struct row *row = row_of(&rows, key);
	seal_digest(metadata, digest);
	leaf_with(bytes_of(row->value, row->len), id, digest, &leaf);
	row_set(db, key, buf_bytes(&leaf), 1);
	buf_done(&leaf);
	rows_free(&rows);
	nodes_forge(db, k);
}

#endif
