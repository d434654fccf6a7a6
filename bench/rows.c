/* rows: the yardstick of `status`: reads the same rows of the vault from SQLite in one pass, opens and hashes each, and
 * does nothing else. No inventory, no anchor, no output. */
#include "agent/unlock.h"
#include "core/secret.h"
#include "vault/internal.h"

#include <sqlite3.h>
#include <stdio.h>

static bool open_rows(struct vault *v, sqlite3 *db, char kind, unsigned *ret_count)
{
	sqlite3_stmt *rows;
	char from[] = "e1/m/", to[] = "e1/m0";
	struct buf plain = BUF_INIT(STORE_VALUE_MAX);
	bool ok = true;
	from[3] = to[3] = kind;
	sqlite3_prepare_v2(db, "SELECT k, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k", -1, &rows, NULL);
	sqlite3_bind_text(rows, 1, from, -1, SQLITE_STATIC);
	sqlite3_bind_text(rows, 2, to, -1, SQLITE_STATIC);
	while (sqlite3_step(rows) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(rows, 0);
		struct bytes value = bytes_of(sqlite3_column_blob(rows, 1), (size_t)sqlite3_column_bytes(rows, 1));
		uint8_t id[PIXEL_ID_LEN], digest[DIGEST_LEN];
		for (size_t i = 0; i < PIXEL_ID_LEN; i++) {
			unsigned byte;
			ok &= sscanf(key + 5 + 2 * i, "%2x", &byte) == 1;
			id[i] = (uint8_t)byte;
		}
		struct seal_context context = vault_context(v, kind, bytes_of(id, sizeof id), 0);
		buf_clear(&plain);
		seal_digest(value, digest);
		ok &= unseal(v->keys, &context, value, &plain);
		++*ret_count;
	}
	sqlite3_finalize(rows);
	buf_done(&plain);
	return ok;
}

int main(void)
{
	struct error err;
	struct settings settings;
	struct vault *v = NULL;
	sqlite3 *db;
	unsigned count = 0;
	if (!secret_arena_open(SECRET_ARENA_SMALL, &err) ||
	    !settings_load(&(struct settings_flags){ 0 }, &settings, &err) ||
	    !unlock_open(&settings, NULL, NULL, &v, &err)) {
		fprintf(stderr, "rows: %s\n", err.message);
		return 1;
	}
	if (sqlite3_open_v2(settings.vault_path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		return 1;
	bool ok = open_rows(v, db, 'm', &count) && open_rows(v, db, 'h', &count);
	printf("%u\n", count);
	sqlite3_close(db);
	vault_close(v);
	settings_done(&settings);
	return ok ? 0 : 1;
}
