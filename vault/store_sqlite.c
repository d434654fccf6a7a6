/* The embedded store: one SQLite file in WAL mode with synchronous=FULL.
 *
 * Tables: kv (key, value, seq of the commit that wrote it), meta (incarnation, seq, horizon), fence (one row per lock
 * name). None of this is trusted by the layer above; it orders, wakes and stores.
 *
 * Every write transaction and every checkpoint runs under one lock of ours, an OFD lock on <path>.lock, a file that is
 * never renamed or removed: with it SQLite's WAL-reset bug (a commit that resets the log during another connection's
 * checkpoint; fixed upstream in 3.51.3, open in Debian 12) cannot happen. The vault file itself is never opened beside
 * SQLite: closing such a descriptor would drop SQLite's own POSIX locks. */
#include "vault/store.h"

#include "core/clock.h"
#include "core/file.h"
#include "core/wipe.h"
#include "vault/log_file.h"
#include "vault/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define SCHEMA_KV "CREATE TABLE kv(k TEXT PRIMARY KEY, v BLOB NOT NULL, mod INTEGER NOT NULL) WITHOUT ROWID"
#define SCHEMA_META "CREATE TABLE meta(k TEXT PRIMARY KEY, v NOT NULL) WITHOUT ROWID"
#define SCHEMA_FENCE "CREATE TABLE fence(k TEXT PRIMARY KEY, n INTEGER NOT NULL, who BLOB NOT NULL) WITHOUT ROWID"
#define SCHEMA_INDEX "CREATE INDEX kv_mod ON kv(mod)"

/* A vault in use keeps its log below this; a command that ends empties it. */
#define WAL_PAGES_MAX 1024

enum statement {
	BEGIN,
	BEGIN_WRITE,
	COMMIT,
	ROLLBACK,
	GET,
	PUT,
	DELETE,
	META_GET,
	META_SET,
	FENCE_GET,
	FENCE_SET,
	SINCE,
	STATEMENT_COUNT
};
static const char *const sql[STATEMENT_COUNT] = {
	[BEGIN] = "BEGIN",
	[BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[GET] = "SELECT v, mod FROM kv WHERE k = ?1",
	[PUT] = "INSERT INTO kv(k, v, mod) VALUES(?1, ?2, ?3) ON CONFLICT(k) DO UPDATE SET v = ?2, mod = ?3",
	[DELETE] = "DELETE FROM kv WHERE k = ?1",
	[META_GET] = "SELECT v FROM meta WHERE k = ?1",
	[META_SET] = "UPDATE meta SET v = ?2 WHERE k = ?1",
	[FENCE_GET] = "SELECT n, who FROM fence WHERE k = ?1",
	[FENCE_SET] = "INSERT INTO fence(k, n, who) VALUES(?1, ?2, ?3) ON CONFLICT(k) DO UPDATE SET n = ?2, who = ?3",
	[SINCE] = "SELECT k, v, mod FROM kv WHERE mod > ?1 AND k >= ?2 AND k < ?3 ORDER BY mod, k",
};

/* Statements of cursors; several of a kind may be open at once. */
enum rows { ROWS_ALL, ROWS_PREFIX, ROWS_SINCE, ROWS_COUNT };
static const char *const rows_sql[ROWS_COUNT] = {
	[ROWS_ALL] = "SELECT k, v, mod FROM kv ORDER BY k",
	[ROWS_PREFIX] = "SELECT k, v, mod FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k",
	/* The index is named: by itself SQLite would rather walk the whole prefix. */
	[ROWS_SINCE] = "SELECT k, v, mod FROM kv INDEXED BY kv_mod WHERE mod > ?3 AND k >= ?1 AND k < ?2 ORDER BY mod, k",
};

struct sqlite_store {
	struct store head;
	sqlite3 *db;
	char path[PATH_MAX];
	sqlite3_stmt *prepared[STATEMENT_COUNT];
	sqlite3_stmt *spare[ROWS_COUNT]; /* of the last cursor that was closed: making one takes longer than its rows */
	uint8_t incarnation[16];
	int lock_fd;
	unsigned held;
	bool is_reading; /* a transaction is open for all that is read while we hold: nobody can commit meanwhile */
	int wal_pages;
	bool is_writer; /* has written: the log is emptied when it closes */
	bool is_failed; /* a sync failed: final, nothing is written any more */
};

struct store_view {
	struct sqlite_store *s;
};

struct store_cursor {
	struct sqlite_store *s;
	enum rows kind;
	sqlite3_stmt *rows;
	bool is_at_end; /* stepping on would begin again */
};

struct store_lock {
	int fd;
	off_t place;
};

/* ---- SQLite, configured once ---- */

static void *sqlite_malloc(int len)
{
	return wipe_malloc((size_t)len);
}

static void *sqlite_realloc(void *at, int len)
{
	return wipe_realloc(at, (size_t)len);
}

static int sqlite_size(void *at)
{
	return (int)wipe_size(at);
}

static int sqlite_roundup(int len)
{
	return (len + 7) & ~7;
}

static int sqlite_allocator_start(void *unused)
{
	(void)unused;
	return SQLITE_OK;
}

static void sqlite_allocator_stop(void *unused)
{
	(void)unused;
}

static bool start_sqlite(struct error *err)
{
	static const sqlite3_mem_methods wiping = { sqlite_malloc,         wipe_free,
						    sqlite_realloc,        sqlite_size,
						    sqlite_roundup,        sqlite_allocator_start,
						    sqlite_allocator_stop, NULL };
	static bool is_started;
	if (is_started)
		return true;
	/* These fail only when SQLite was initialised before us, in a test program that uses it itself. */
	(void)sqlite3_config(SQLITE_CONFIG_MALLOC, &wiping);
	(void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	/* No room for 20 pages ahead: a `get` needs eight, and would touch, and wipe, them all. */
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	if (sqlite3_initialize() != SQLITE_OK)
		return fail_no_memory(err);
	is_started = true;
	return true;
}

/* ---- classes ---- */

static enum store_class answer(enum store_class class, bool unused)
{
	(void)unused;
	return class;
}

#define INDEX_WAIT_S 10 /* SQLite's own patience, which no setting changes */
#define refuse(class, ...) answer((class), fail(__VA_ARGS__))

static enum store_class corrupt(struct sqlite_store *s, const char *what, struct error *err)
{
	return answer(STORE_CORRUPT, fail_class(err, ERR_DAMAGED, "damaged", TXT_STORE_CORRUPT, s->path, what));
}

/* A page that could not be read at all is SQLite's "corrupt", too; the disk's own word is the better one. It is kept with
 * each file: the vault's, and the log of what was written to it. */
static bool is_unreadable(struct sqlite_store *s)
{
	int of_vault = 0, of_log = 0;
	sqlite3_file *log = NULL;
	if (!s->db)
		return false;
	sqlite3_file_control(s->db, "main", SQLITE_FCNTL_LAST_ERRNO, &of_vault);
	if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &of_log);
	return of_vault == EIO || of_log == EIO;
}

static enum store_class classify(struct sqlite_store *s, int rc, struct error *err)
{
	const char *what = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
	if ((rc & 0xff) == SQLITE_CORRUPT && is_unreadable(s))
		return refuse(STORE_UNAVAILABLE, err, ERR_STORAGE, TXT_STORE_IO, s->path, strerror(EIO));
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return refuse(STORE_UNAVAILABLE, err, ERR_CONFLICT, TXT_STORE_BUSY, STORE_WAIT_MS / 1000);
	case SQLITE_PROTOCOL: /* somebody is making the index, or was stopped while he made it */
		return refuse(STORE_UNAVAILABLE, err, ERR_CONFLICT, TXT_STORE_BUSY, INDEX_WAIT_S);
	case SQLITE_FULL:
		return refuse(STORE_FULL, err, ERR_STORAGE, TXT_STORE_FULL, s->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, s->path, what);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: /* a table that is not there: the schema is not ours */
		return corrupt(s, what, err);
	case SQLITE_TOOBIG: /* ours are checked before they are written */
		return corrupt(s, "a value is larger than any of a vault's", err);
	case SQLITE_NOMEM:
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	default:
		return refuse(STORE_UNAVAILABLE, err, ERR_STORAGE, TXT_STORE_IO, s->path, what);
	}
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct store_op *const *)a)->key, (*(const struct store_op *const *)b)->key);
}

static bool key_is_allowed(const char *key)
{
	size_t len = strlen(key);
	return len > 0 && len <= STORE_KEY_MAX && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789/_-") == len;
}

/* Every key and value within bounds, and no key twice. */
static enum store_class check_ops(const struct store_op *ops, size_t count, struct error *err)
{
	scoped(wipe_freep) const struct store_op **sorted = wipe_calloc(count + 1, sizeof *sorted);
	if (!sorted)
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	for (size_t i = 0; i < count; i++) {
		sorted[i] = &ops[i];
		if (!key_is_allowed(ops[i].key))
			return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_KEY, ops[i].key);
		if (ops[i].value.len > STORE_VALUE_MAX)
			return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_KEY, ops[i].key);
	}
	qsort(sorted, count, sizeof *sorted, by_key);
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_KEY, sorted[i]->key);
	return STORE_OK;
}

/* ---- statements ---- */

static int statement(struct sqlite_store *s, enum statement which, sqlite3_stmt **ret)
{
	if (!s->prepared[which]) {
		int rc =
			sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &s->prepared[which], NULL);
		if (rc != SQLITE_OK)
			return rc;
	}
	*ret = s->prepared[which];
	return SQLITE_OK;
}

static void done(sqlite3_stmt **stmt)
{
	if (*stmt) {
		sqlite3_reset(*stmt);
		sqlite3_clear_bindings(*stmt);
	}
}

static int run(struct sqlite_store *s, const char *text)
{
	return sqlite3_exec(s->db, text, NULL, NULL, NULL);
}

static int run_prepared(struct sqlite_store *s, enum statement which)
{
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, which, &stmt);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What takes it back is made ready first: where memory runs out in between, none can be had for that either, and an open
 * transaction would hold off all others, and us, for good. */
static int begin_write(struct sqlite_store *s)
{
	sqlite3_stmt *unused;
	int rc = statement(s, ROLLBACK, &unused);
	return rc == SQLITE_OK ? run_prepared(s, BEGIN_WRITE) : rc;
}

static void roll_back(struct sqlite_store *s)
{
	if (sqlite3_get_autocommit(s->db) == 0)
		(void)run_prepared(s, ROLLBACK);
}

static int bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	return sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

static int bind_bytes(sqlite3_stmt *stmt, int i, struct bytes value)
{
	return value.len ? sqlite3_bind_blob(stmt, i, value.at, (int)value.len, SQLITE_STATIC)
			 : sqlite3_bind_zeroblob(stmt, i, 0);
}

/* What SQLite found no memory for looks like a value that is not there; it tells when asked behind the columns of a row. */
static int columns_rc(sqlite3_stmt *stmt)
{
	return sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM ? SQLITE_NOMEM : SQLITE_OK;
}

static struct bytes column_bytes(sqlite3_stmt *stmt, int i)
{
	const void *at = sqlite3_column_blob(stmt, i);
	return bytes_of(at ? at : "", at ? (size_t)sqlite3_column_bytes(stmt, i) : 0);
}

static int meta_number(struct sqlite_store *s, const char *key, uint64_t *ret)
{
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, META_GET, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	bind_text(stmt, 1, key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER) {
		*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
		return SQLITE_OK;
	}
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static int set_meta_number(struct sqlite_store *s, const char *key, uint64_t value)
{
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, META_SET, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	bind_text(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)value);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE && sqlite3_changes(s->db) != 1)
		return SQLITE_CORRUPT;
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- opening ---- */

/* Root may look into somebody else's whole vault, but not at a file that somebody put into root's folder. */
static bool owners_are_trusted(uid_t file, uid_t folder)
{
	uid_t us = geteuid();
	bool is_file_ours = file == us || file == 0, is_folder_ours = folder == us || folder == 0;
	return (is_file_ours && is_folder_ours) || (us == 0 && file == folder);
}

static bool check_place(const char *path, bool *ret_exists, struct error *err)
{
	struct stat st;
	struct statfs fs;
	char folder[PATH_MAX];
	*ret_exists = lstat(path, &st) == 0;
	if (!*ret_exists && errno != ENOENT && errno != ENOTDIR)
		return fail(err, ERR_STORAGE, TXT_STORE_READ_ONLY, path, strerror(errno));
	if (!*ret_exists)
		return true;
	if (!S_ISREG(st.st_mode))
		return fail_class(err, ERR_DAMAGED, "damaged", "'%s' is not a regular file",
				  "a vault is a plain file; a link or folder at its place is refused", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fail_class(err, ERR_DAMAGED, "damaged", "the vault '%s' may be written by others (mode %04o)",
				  "find out who changed that, then take the right away: chmod go-w FILE", path,
				  (unsigned)(st.st_mode & 07777));
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	uid_t owner = st.st_uid;
	if (stat(folder, &st) == 0 && !owners_are_trusted(owner, st.st_uid))
		return fail_class(err, ERR_DAMAGED, "damaged", "the vault '%s' belongs to uid %u, its folder to uid %u",
				  "both must belong to you or root: find out who put it there, then chown it", path,
				  (unsigned)owner, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fail_class(
			err, ERR_DAMAGED, "damaged",
			"the folder '%s' of the vault may be written by others (mode %04o)",
			"others could put another file in its place: chmod go-w FOLDER, then look at what it holds",
			folder, (unsigned)(st.st_mode & 07777));
	if (statfs(folder, &fs) == 0) {
		unsigned type = (unsigned)fs.f_type;
		if (type == 0x6969 || type == 0x517b || type == 0xff534d42 || type == 0xfe534d42)
			return fail(err, ERR_STORAGE, TXT_STORE_SHARED, path);
	}
	return true;
}

static int note_wal_pages(void *context, sqlite3 *db, const char *schema, int pages)
{
	(void)db;
	(void)schema;
	((struct sqlite_store *)context)->wal_pages = pages;
	return SQLITE_OK;
}

static int configure(struct sqlite_store *s)
{
	sqlite3_busy_timeout(s->db, 2000);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 1 << 20);
	sqlite3_limit(s->db, SQLITE_LIMIT_SQL_LENGTH, 4096);
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(s->db, SQLITE_LIMIT_TRIGGER_DEPTH, 0);
	sqlite3_limit(s->db, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_wal_hook(s->db, note_wal_pages, s); /* replaces SQLite's own checkpoints */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	/* Checkpoints happen under our lock or not at all, so never while closing. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* A MiB of pages: an agent keeps them for good, and neither a put nor a walk is faster with more. */
	return run(s, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-1024");
}

/* What only matters to writing, so that a `get` does not pay for it. */
static int become_writer(struct sqlite_store *s)
{
	if (s->is_writer)
		return SQLITE_OK;
	int rc = run(s, "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;");
	s->is_writer = rc == SQLITE_OK;
	return rc;
}

static enum store_class check_schema(struct sqlite_store *s, struct error *err)
{
	static const char *const expected[] = { SCHEMA_KV, SCHEMA_META, SCHEMA_FENCE, SCHEMA_INDEX };
	sqlite3_stmt *rows = NULL;
	size_t found = 0;
	bool is_ours = true;
	int rc = sqlite3_prepare_v2(s->db, "SELECT sql FROM sqlite_schema ORDER BY rowid", -1, &rows, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(rows, 0);
		if (found >= COUNT_OF(expected) || !text || strcmp(text, expected[found]) != 0)
			is_ours = false;
		found++;
		rc = columns_rc(rows);
	}
	sqlite3_finalize(rows);
	if (rc != SQLITE_DONE)
		return classify(s, rc, err);
	if (!is_ours || found != COUNT_OF(expected))
		return corrupt(s, "its tables are not a vault's", err);
	return STORE_OK;
}

static enum store_class read_meta(struct sqlite_store *s, struct error *err)
{
	sqlite3_stmt *rows = NULL;
	unsigned seen = 0, odd = 0;
	int rc = sqlite3_prepare_v2(s->db, "SELECT k, v FROM meta", -1, &rows, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(rows, 0);
		struct bytes value = column_bytes(rows, 1);
		int type = sqlite3_column_type(rows, 1);
		if (key && strcmp(key, "incarnation") == 0 && type == SQLITE_BLOB && value.len == 16) {
			memcpy(s->incarnation, value.at, 16);
			seen |= 1;
		} else if (key && strcmp(key, "seq") == 0 && type == SQLITE_INTEGER) {
			seen |= 2;
		} else if (key && strcmp(key, "horizon") == 0 && type == SQLITE_INTEGER) {
			seen |= 4;
		} else {
			odd++;
		}
		rc = columns_rc(rows);
	}
	sqlite3_finalize(rows);
	if (rc != SQLITE_DONE)
		return classify(s, rc, err);
	return seen == 7 && !odd ? STORE_OK : corrupt(s, "a row of its own bookkeeping is missing or odd", err);
}

static void sqlite_close(struct store *store);

static void store_freep(struct sqlite_store **s)
{
	if (*s)
		sqlite_close(&(*s)->head);
}

static enum store_class open_db(const char *path, int flags, struct sqlite_store **ret, struct error *err)
{
	if (!start_sqlite(err))
		return STORE_UNAVAILABLE;
	scoped(store_freep) struct sqlite_store *s = calloc(1, sizeof *s);
	if (!s)
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	s->head.ops = &store_sqlite;
	s->lock_fd = -1;
	snprintf(s->path, sizeof s->path, "%s", path);
	flags |= SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, &s->db, flags, log_file_vfs());
	if (rc == SQLITE_OK)
		rc = configure(s);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	*ret = take(s);
	return STORE_OK;
}

static enum store_class sqlite_open(const char *path, struct store **ret, struct error *err)
{
	bool exists;
	if (!check_place(path, &exists, err))
		return err->code == ERR_DAMAGED ? STORE_CORRUPT : STORE_DENIED;
	if (!exists)
		return refuse(STORE_NOT_FOUND, err, ERR_NOT_FOUND, TXT_NO_VAULT, path);
	scoped(store_freep) struct sqlite_store *s = NULL;
	enum store_class class = open_db(path, SQLITE_OPEN_READWRITE, &s, err);
	int rc = class == STORE_OK ? run_prepared(s, BEGIN) : SQLITE_OK;
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	if (class == STORE_OK)
		class = check_schema(s, err);
	if (class == STORE_OK)
		class = read_meta(s, err);
	if (class != STORE_OK)
		return class;
	rc = run_prepared(s, COMMIT);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	*ret = &take(s)->head;
	return STORE_OK;
}

static struct sqlite_store *of(struct store *store)
{
	return (struct sqlite_store *)store;
}

static struct store_caps sqlite_caps(struct store *store)
{
	(void)store;
	return (struct store_caps){ .is_shared = false, .batch_max = 1u << 20 };
}

/* ---- the write lock ---- */

static int lock_range(int fd, short type, off_t start)
{
	struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1 };
	return fcntl(fd, F_OFD_SETLK, &range);
}

static int open_lock_file(const struct sqlite_store *s)
{
	char path[PATH_MAX + 8];
	snprintf(path, sizeof path, "%s.lock", s->path);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Waiting polls: a blocking OFD lock could only be bounded by signals, which are not a library's to use. The pause
 * grows and is drawn by chance, so that waiting writers do not march in step. */
static enum store_class sqlite_hold(struct store *store, int64_t wait_ms, struct error *err)
{
	struct sqlite_store *s = of(store);
	if (s->held++)
		return STORE_OK;
	s->held = 0;
	if (s->lock_fd < 0 && (s->lock_fd = open_lock_file(s)) < 0)
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, s->path, strerror(errno));
	int64_t until = clock_boot_ms() + wait_ms;
	for (unsigned pause_us = 200; lock_range(s->lock_fd, F_WRLCK, 0) != 0;) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return refuse(STORE_UNAVAILABLE, err, ERR_STORAGE, TXT_STORE_IO, s->path, strerror(errno));
		if (clock_boot_ms() >= until)
			return refuse(STORE_UNAVAILABLE, err, ERR_CONFLICT, TXT_STORE_BUSY, STORE_WAIT_MS / 1000);
		usleep(pause_us / 2 + randombytes_uniform(pause_us));
		if (pause_us < 4000)
			pause_us *= 2;
	}
	s->held = 1;
	return STORE_OK;
}

/* The log is kept small: emptied by a command that ends, and at 4 MB by a process that stays. */
static void checkpoint(struct sqlite_store *s, int mode)
{
	sqlite3_busy_timeout(s->db, 0);
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL) == SQLITE_IOERR_FSYNC)
		s->is_failed = true; /* as after a commit's */
	sqlite3_busy_timeout(s->db, 2000);
}

/* Before any other transaction, and before the lock is given back. */
static void end_reading(struct sqlite_store *s)
{
	if (s->is_reading)
		(void)run_prepared(s, COMMIT);
	s->is_reading = false;
}

static void sqlite_release(struct store *store)
{
	struct sqlite_store *s = of(store);
	if (s->held == 0 || --s->held)
		return;
	end_reading(s);
	(void)lock_range(s->lock_fd, F_UNLCK, 0);
}

static void empty_log(struct sqlite_store *s)
{
	struct error ignored;
	/* A file that nobody has open is then whole in itself: it can be copied, and opens without replaying a log. */
	if (s->is_writer && !s->is_failed && sqlite_hold(&s->head, 1000, &ignored) == STORE_OK) {
		checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
		sqlite_release(&s->head);
	}
}

static bool sqlite_has_lost(const struct store *store)
{
	return ((const struct sqlite_store *)store)->is_failed;
}

static void sqlite_close(struct store *store)
{
	struct sqlite_store *s = of(store);
	empty_log(s);
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(s->prepared[i]);
	for (size_t i = 0; i < ROWS_COUNT; i++)
		sqlite3_finalize(s->spare[i]);
	sqlite3_close_v2(s->db);
	file_closep(&s->lock_fd);
	free(s);
}

/* SQLite's own closing is a tenth of a whole `get`, and does nothing that the end of the process does not. */
static void sqlite_leave(struct store *store)
{
	static struct store *volatile left; /* still reachable, so nothing leaked; volatile, or the compiler leaves it out */
	empty_log(of(store));
	left = store;
	(void)left;
}

/* ---- reading ---- */

static enum store_class sqlite_head(struct store *store, struct store_pos *ret, struct error *err)
{
	struct sqlite_store *s = of(store);
	uint64_t seq;
	int rc = meta_number(s, "seq", &seq);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	memcpy(ret->incarnation, s->incarnation, 16);
	ret->rev = seq;
	return STORE_OK;
}

static int get_one(struct sqlite_store *s, const char *key, struct buf *room, struct store_record *ret, size_t *ret_at)
{
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, GET, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	*ret = (struct store_record){ .key = key };
	bind_text(stmt, 1, key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE)
		return SQLITE_OK;
	if (rc != SQLITE_ROW)
		return rc;
	struct bytes value = column_bytes(stmt, 0);
	*ret_at = room->len;
	buf_append(room, value.at, value.len);
	ret->value.len = value.len;
	ret->mod = (uint64_t)sqlite3_column_int64(stmt, 1);
	ret->is_found = true;
	return columns_rc(stmt);
}

static int get_all(struct sqlite_store *s, const char *const *keys, size_t count, struct buf *room,
		   struct store_record *ret, size_t *offsets)
{
	for (size_t i = 0; i < count; i++) {
		int rc = get_one(s, keys[i], room, &ret[i], &offsets[i]);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

static enum store_class sqlite_get_many(struct store *store, const char *const *keys, size_t count, struct buf *room,
					struct store_record *ret, struct error *err)
{
	struct sqlite_store *s = of(store);
	scoped(wipe_freep) size_t *offsets = wipe_calloc(count, sizeof *offsets);
	if (!offsets)
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	buf_clear(room);
	/* A single statement is an instant of its own; but each begins and ends with the locks of a transaction, so while we
	 * hold, the first one stays open for the rest. */
	bool is_begun = sqlite3_get_autocommit(s->db) && (count > 1 || s->held);
	int rc = is_begun ? run_prepared(s, BEGIN) : SQLITE_OK;
	s->is_reading = s->is_reading || (is_begun && s->held && rc == SQLITE_OK);
	if (rc == SQLITE_OK)
		rc = get_all(s, keys, count, room, ret, offsets);
	if (is_begun && !s->is_reading)
		(void)run_prepared(s, COMMIT);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	if (!buf_ok(room, err))
		return STORE_UNAVAILABLE;
	for (size_t i = 0; i < count; i++)
		ret[i].value.at = room->at + offsets[i];
	return STORE_OK;
}

/* ---- committing ---- */

static enum store_class check_condition(struct sqlite_store *s, const struct store_condition *c, bool *ret_holds,
					struct store_record *now, struct buf *room, struct error *err)
{
	if (c->kind == STORE_IF_FENCE) {
		uint64_t fence;
		enum store_class class = s->head.ops->lock_peek(&s->head, c->key, NULL, &fence, err);
		*ret_holds = class == STORE_OK && fence == c->number;
		return class == STORE_NOT_FOUND ? STORE_OK : class;
	}
	size_t at = 0;
	buf_clear(room);
	int rc = get_one(s, c->key, room, now, &at);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	if (!buf_ok(room, err))
		return STORE_UNAVAILABLE;
	now->value.at = room->at + at;
	*ret_holds = c->kind == STORE_IF_ABSENT ? !now->is_found
		     : c->kind == STORE_IF_MOD  ? now->mod == c->number
						: now->is_found && bytes_equal(now->value, c->value);
	return STORE_OK;
}

static bool is_what_we_write(const struct store_record *now, const char *key, const struct store_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(ops[i].key, key) == 0)
			return ops[i].is_delete ? !now->is_found
						: now->is_found && bytes_equal(now->value, ops[i].value);
	return false;
}

static enum store_class check_conditions(struct sqlite_store *s, const struct store_condition *conditions, size_t count,
					 const struct store_op *ops, size_t op_count, struct store_why *why,
					 struct error *err)
{
	struct buf room = BUF_INIT(STORE_VALUE_MAX + 1);
	enum store_class class = STORE_OK;
	for (size_t i = 0; i < count && class == STORE_OK; i++) {
		struct store_record now = { 0 };
		bool holds = false;
		class = check_condition(s, &conditions[i], &holds, &now, &room, err);
		if (class != STORE_OK || holds)
			continue;
		bool is_fence = conditions[i].kind == STORE_IF_FENCE;
		if (why)
			*why = (struct store_why){ i, !is_fence && is_what_we_write(&now, conditions[i].key, ops,
										    op_count) };
		class = refuse(is_fence ? STORE_FENCED : STORE_CONFLICT, err, ERR_CONFLICT, TXT_STORE_CONDITION);
	}
	buf_done(&room);
	return class;
}

static int write_one(struct sqlite_store *s, const struct store_op *op, uint64_t seq)
{
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, op->is_delete ? DELETE : PUT, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	bind_text(stmt, 1, op->key);
	if (!op->is_delete) {
		bind_bytes(stmt, 2, op->value);
		sqlite3_bind_int64(stmt, 3, (sqlite3_int64)seq);
	}
	rc = sqlite3_step(stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What was written is read back through the ordinary path before it is committed. */
static int read_back(struct sqlite_store *s, const struct store_op *op)
{
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, GET, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	bind_text(stmt, 1, op->key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE)
		return op->is_delete ? SQLITE_OK : SQLITE_CORRUPT;
	if (rc != SQLITE_ROW)
		return rc;
	bool is_equal = !op->is_delete && bytes_equal(column_bytes(stmt, 0), op->value);
	rc = columns_rc(stmt);
	return rc != SQLITE_OK || is_equal ? rc : SQLITE_CORRUPT;
}

static int write_all(struct sqlite_store *s, const struct store_op *ops, size_t count, uint64_t *ret_seq)
{
	uint64_t seq = 0;
	bool deletes = false;
	int rc = meta_number(s, "seq", &seq);
	seq++;
	if (rc == SQLITE_OK)
		rc = set_meta_number(s, "seq", seq);
	for (size_t i = 0; i < count && rc == SQLITE_OK; i++) {
		rc = write_one(s, &ops[i], seq);
		deletes |= ops[i].is_delete;
	}
	for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
		rc = read_back(s, &ops[i]);
	/* A deletion leaves no row behind; whoever watches from before it is told to list again. */
	if (rc == SQLITE_OK && deletes)
		rc = set_meta_number(s, "horizon", seq);
	*ret_seq = seq;
	return rc;
}

static enum store_class finish(struct sqlite_store *s, struct error *err)
{
	log_file_begin(s->db);
	int rc = log_file_end(s->db, run_prepared(s, COMMIT));
	if (rc == SQLITE_OK)
		return STORE_OK;
	enum store_class class = classify(s, rc, err);
	if ((rc & 0xff) != SQLITE_IOERR)
		return class;
	/* After a failed sync the kernel calls the pages clean; trying again would report success over lost data. */
	s->is_failed = true;
	return refuse(STORE_UNKNOWN, err, ERR_STORAGE, TXT_STORE_UNKNOWN, s->path);
}

static enum store_class transact(struct sqlite_store *s, const struct store_condition *conditions,
				 size_t condition_count, const struct store_op *ops, size_t op_count,
				 struct store_pos *ret, struct store_why *why, struct error *err)
{
	uint64_t seq = 0;
	int rc = begin_write(s);
	enum store_class class = rc == SQLITE_OK ? STORE_OK : classify(s, rc, err);
	if (class == STORE_OK)
		class = check_conditions(s, conditions, condition_count, ops, op_count, why, err);
	if (class == STORE_OK) {
		rc = write_all(s, ops, op_count, &seq);
		class = rc == SQLITE_OK ? finish(s, err) : classify(s, rc, err);
	}
	if (class != STORE_OK)
		roll_back(s);
	if (class == STORE_OK && ret) {
		memcpy(ret->incarnation, s->incarnation, 16);
		ret->rev = seq;
	}
	return class;
}

static enum store_class sqlite_commit(struct store *store, const struct store_condition *conditions,
				      size_t condition_count, const struct store_op *ops, size_t op_count,
				      struct store_pos *ret, struct store_why *why, struct error *err)
{
	struct sqlite_store *s = of(store);
	enum store_class class = check_ops(ops, op_count, err);
	if (class != STORE_OK)
		return class;
	if (s->is_failed)
		return refuse(STORE_UNAVAILABLE, err, ERR_STORAGE, TXT_STORE_LOST, s->path);
	end_reading(s);
	if (sqlite3_get_autocommit(s->db) == 0)
		return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_NESTED);
	class = sqlite_hold(store, STORE_WAIT_MS, err);
	if (class != STORE_OK)
		return class;
	int rc = become_writer(s);
	class = rc != SQLITE_OK ? classify(s, rc, err) : STORE_OK;
	if (class == STORE_OK)
		class = transact(s, conditions, condition_count, ops, op_count, ret, why, err);
	if (class == STORE_OK && s->wal_pages > WAL_PAGES_MAX)
		checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
	sqlite_release(store);
	return class;
}

/* ---- views ---- */

static enum store_class sqlite_view_open(struct store *store, struct store_view **ret, struct error *err)
{
	struct sqlite_store *s = of(store);
	end_reading(s);
	if (sqlite3_get_autocommit(s->db) == 0)
		return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_NESTED);
	struct store_view *view = calloc(1, sizeof *view);
	if (!view)
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	int rc = run_prepared(s, BEGIN);
	if (rc != SQLITE_OK) {
		free(view);
		return classify(s, rc, err);
	}
	view->s = s;
	*ret = view;
	return STORE_OK;
}

static void sqlite_view_close(struct store_view *view)
{
	(void)run_prepared(view->s, COMMIT);
	free(view);
}

/* The keys that begin with prefix end before the prefix with its last byte raised; no allowed byte is 0xff. */
static void upper_bound(const char *prefix, char ret[STORE_KEY_MAX + 2])
{
	size_t len = strlen(prefix);
	memcpy(ret, prefix, len + 1);
	if (len)
		ret[len - 1]++;
	else
		memcpy(ret, "~", 2);
}

static void cursor_closep(struct store_cursor **cursor)
{
	if (!*cursor)
		return;
	sqlite3_stmt **spare = &(*cursor)->s->spare[(*cursor)->kind];
	if (*spare) {
		sqlite3_finalize((*cursor)->rows);
	} else {
		*spare = (*cursor)->rows;
		done(spare);
	}
	free(*cursor);
}

/* *ret is NULL unless all went well. */
static enum store_class open_cursor(struct sqlite_store *s, enum rows kind, const char *prefix, uint64_t after,
				    struct store_cursor **ret, struct error *err)
{
	char end[STORE_KEY_MAX + 2];
	if (strlen(prefix) > STORE_KEY_MAX)
		return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_KEY, prefix);
	scoped(cursor_closep) struct store_cursor *cursor = calloc(1, sizeof *cursor);
	if (!cursor)
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	cursor->s = s;
	cursor->kind = kind;
	cursor->rows = take(s->spare[kind]);
	upper_bound(prefix, end);
	int rc = cursor->rows ? SQLITE_OK
			      : sqlite3_prepare_v3(s->db, rows_sql[kind], -1, SQLITE_PREPARE_PERSISTENT, &cursor->rows, NULL);
	if (rc == SQLITE_OK && kind != ROWS_ALL)
		rc = sqlite3_bind_text(cursor->rows, 1, prefix, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK && kind != ROWS_ALL)
		rc = sqlite3_bind_text(cursor->rows, 2, end, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK && kind == ROWS_SINCE)
		rc = sqlite3_bind_int64(cursor->rows, 3, (sqlite3_int64)after);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	*ret = take(cursor);
	return STORE_OK;
}

static enum store_class sqlite_cursor_open(struct store_view *view, const char *prefix, struct store_cursor **ret,
					   struct error *err)
{
	/* Without a prefix everything is meant, also what sorts behind every allowed key. */
	return open_cursor(view->s, *prefix ? ROWS_PREFIX : ROWS_ALL, prefix, 0, ret, err);
}

static enum store_class sqlite_cursor_since(struct store_view *view, const char *prefix, const struct store_pos *after,
					    struct store_cursor **ret, struct error *err)
{
	struct sqlite_store *s = view->s;
	uint64_t seq = 0;
	int rc = meta_number(s, "seq", &seq);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	if (seq < after->rev || memcmp(after->incarnation, s->incarnation, 16) != 0)
		return answer(STORE_ROLLBACK, fail_class(err, ERR_DAMAGED, "forked", TXT_FORKED, s->path));
	return open_cursor(s, ROWS_SINCE, prefix, after->rev, ret, err);
}

static int record_of_row(sqlite3_stmt *rows, struct store_record *ret)
{
	const char *key = (const char *)sqlite3_column_text(rows, 0);
	*ret = (struct store_record){ .key = key ? key : "",
				      .value = column_bytes(rows, 1),
				      .mod = (uint64_t)sqlite3_column_int64(rows, 2),
				      .is_found = true };
	return columns_rc(rows);
}

static enum store_class sqlite_cursor_next(struct store_cursor *cursor, struct store_record *ret, struct error *err)
{
	int rc = cursor->is_at_end ? SQLITE_DONE : sqlite3_step(cursor->rows);
	cursor->is_at_end = rc == SQLITE_DONE;
	if (rc == SQLITE_DONE)
		return STORE_NOT_FOUND;
	if (rc != SQLITE_ROW)
		return classify(cursor->s, rc, err);
	rc = record_of_row(cursor->rows, ret);
	return rc == SQLITE_OK ? STORE_OK : classify(cursor->s, rc, err);
}

static void sqlite_cursor_close(struct store_cursor *cursor)
{
	cursor_closep(&cursor);
}

/* ---- watching ---- */

#define WATCH_PAUSE_MS 200
#define WATCH_IDLE_MS 60000

struct watcher {
	const char *prefix;
	struct store_pos at;
	store_watch_fn *fn;
	void *context;
	bool goes_on;
};

static int deliver_rows(struct sqlite_store *s, struct watcher *w)
{
	char end[STORE_KEY_MAX + 2];
	scoped(done) sqlite3_stmt *rows = NULL;
	int rc = statement(s, SINCE, &rows);
	if (rc != SQLITE_OK)
		return rc;
	upper_bound(w->prefix, end);
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)w->at.rev);
	bind_text(rows, 2, w->prefix);
	bind_text(rows, 3, end);
	while (w->goes_on && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
		struct store_event event = { .kind = STORE_EVENT_PUT, .at = w->at };
		rc = record_of_row(rows, &event.record);
		if (rc != SQLITE_OK)
			return rc;
		event.at.rev = event.record.mod;
		w->goes_on = w->fn(w->context, &event);
	}
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* One look, at one instant: what was committed since, or a RESYNC where a deletion could be among it. */
static enum store_class deliver(struct sqlite_store *s, struct watcher *w, bool *ret_any, struct error *err)
{
	uint64_t seq = 0, horizon = 0;
	end_reading(s);
	int rc = run_prepared(s, BEGIN);
	if (rc == SQLITE_OK)
		rc = meta_number(s, "seq", &seq);
	if (rc == SQLITE_OK)
		rc = meta_number(s, "horizon", &horizon);
	bool is_back = rc == SQLITE_OK && (seq < w->at.rev || memcmp(w->at.incarnation, s->incarnation, 16) != 0);
	*ret_any = seq != w->at.rev;
	if (rc == SQLITE_OK && !is_back && *ret_any && horizon > w->at.rev) {
		struct store_event resync = { .kind = STORE_EVENT_RESYNC, .at = w->at };
		resync.at.rev = seq;
		w->goes_on = w->fn(w->context, &resync);
	} else if (rc == SQLITE_OK && !is_back && *ret_any) {
		rc = deliver_rows(s, w);
	}
	(void)run_prepared(s, COMMIT);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	if (is_back)
		return answer(STORE_ROLLBACK, fail_class(err, ERR_DAMAGED, "forked", TXT_FORKED, s->path));
	w->at.rev = seq;
	return STORE_OK;
}

static enum store_class sqlite_watch(struct store *store, const char *prefix, const struct store_pos *after,
				     store_watch_fn *fn, void *context, const atomic_bool *stop, struct error *err)
{
	struct sqlite_store *s = of(store);
	struct watcher w = { .prefix = prefix, .at = *after, .fn = fn, .context = context, .goes_on = true };
	int64_t said_at = clock_boot_ms();
	while (w.goes_on && !atomic_load(stop)) {
		bool any = false;
		enum store_class class = deliver(s, &w, &any, err);
		if (class != STORE_OK)
			return class;
		if (any)
			said_at = clock_boot_ms();
		if (w.goes_on && clock_boot_ms() - said_at >= WATCH_IDLE_MS) {
			w.goes_on = fn(context, &(struct store_event){ .kind = STORE_EVENT_IDLE, .at = w.at });
			said_at = clock_boot_ms();
		}
		if (w.goes_on && !atomic_load(stop))
			clock_sleep_ms(WATCH_PAUSE_MS);
	}
	return STORE_CANCELLED;
}

/* ---- named locks: one byte each of the lock file, far apart by hash; byte 0 is the write lock ---- */

static off_t lock_place(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (const char *p = name; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
	return (off_t)(1 + (hash >> 2));
}

static void fence_key(const char *name, char ret[STORE_KEY_MAX + 1])
{
	snprintf(ret, STORE_KEY_MAX + 1, "lock/%s", name);
}

static int read_fence(struct sqlite_store *s, const char *name, struct buf *ret_who, uint64_t *ret_fence)
{
	char key[STORE_KEY_MAX + 1];
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, FENCE_GET, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	fence_key(name, key);
	bind_text(stmt, 1, key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		struct bytes who = column_bytes(stmt, 1);
		*ret_fence = (uint64_t)sqlite3_column_int64(stmt, 0);
		if (ret_who)
			buf_append(ret_who, who.at, who.len);
		if (columns_rc(stmt) != SQLITE_OK)
			return SQLITE_NOMEM;
	}
	return rc;
}

static enum store_class sqlite_lock_peek(struct store *store, const char *name, struct buf *ret_who,
					 uint64_t *ret_fence, struct error *err)
{
	int rc = read_fence(of(store), name, ret_who, ret_fence);
	if (rc == SQLITE_DONE)
		return STORE_NOT_FOUND;
	if (rc != SQLITE_ROW)
		return classify(of(store), rc, err);
	return !ret_who || buf_ok(ret_who, err) ? STORE_OK : STORE_UNAVAILABLE;
}

static int write_fence(struct sqlite_store *s, const char *name, struct bytes who, uint64_t fence)
{
	char key[STORE_KEY_MAX + 1];
	scoped(done) sqlite3_stmt *stmt = NULL;
	int rc = statement(s, FENCE_SET, &stmt);
	if (rc != SQLITE_OK)
		return rc;
	fence_key(name, key);
	bind_text(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)fence);
	bind_bytes(stmt, 3, who);
	rc = sqlite3_step(stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum store_class next_fence(struct sqlite_store *s, const char *name, struct bytes who, uint64_t *ret_fence,
				   struct error *err)
{
	uint64_t fence = 0;
	enum store_class class = sqlite_hold(&s->head, STORE_WAIT_MS, err);
	if (class != STORE_OK)
		return class;
	end_reading(s);
	int rc = become_writer(s);
	if (rc == SQLITE_OK)
		rc = begin_write(s);
	if (rc == SQLITE_OK)
		rc = read_fence(s, name, NULL, &fence);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		rc = write_fence(s, name, who, fence + 1);
	class = rc == SQLITE_OK ? finish(s, err) : classify(s, rc, err);
	if (class != STORE_OK)
		roll_back(s);
	sqlite_release(&s->head);
	*ret_fence = fence + 1;
	return class;
}

static void sqlite_lock_release(struct store_lock *lock)
{
	/* Said, not only closed: a child forked meanwhile holds the same description. */
	if (lock->fd >= 0)
		(void)lock_range(lock->fd, F_UNLCK, lock->place);
	file_closep(&lock->fd);
	free(lock);
}

static void lock_releasep(struct store_lock **lock)
{
	if (*lock)
		sqlite_lock_release(*lock);
}

static enum store_class sqlite_lock_try(struct store *store, const char *name, struct bytes who,
					struct store_lock **ret, uint64_t *ret_fence, struct error *err)
{
	struct sqlite_store *s = of(store);
	char key[STORE_KEY_MAX + 1];
	fence_key(name, key);
	if (!key_is_allowed(name) || !key_is_allowed(key))
		return refuse(STORE_INVALID, err, ERR_UNEXPECTED, TXT_STORE_KEY, name);
	scoped(lock_releasep) struct store_lock *lock = calloc(1, sizeof *lock);
	if (!lock)
		return answer(STORE_UNAVAILABLE, fail_no_memory(err));
	/* A description of its own for each lock: OFD locks exclude descriptions, not processes. */
	lock->place = lock_place(name);
	lock->fd = open_lock_file(s);
	if (lock->fd < 0)
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, s->path, strerror(errno));
	if (lock_range(lock->fd, F_WRLCK, lock->place) != 0)
		return refuse(STORE_CONFLICT, err, ERR_CONFLICT, TXT_STORE_LOCKED, name);
	enum store_class class = next_fence(s, name, who, ret_fence, err);
	if (class == STORE_OK)
		*ret = take(lock);
	return class;
}

/* ---- proof of the file's own structure ---- */

/* What SQLite's own look at every page says: "ok", or what is wrong. A page that the disk does not give is no damage. */
static int integrity(struct sqlite_store *s, char ret[200])
{
	static const char unread[] = "unable to get the page. error code=";
	sqlite3_stmt *rows = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &rows, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(rows);
	const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(rows, 0) : NULL;
	const char *code = text ? strstr(text, unread) : NULL;
	snprintf(ret, 200, "%s", text ? text : "");
	if (rc == SQLITE_ROW)
		rc = text ? SQLITE_OK : SQLITE_NOMEM;
	if (code)
		rc = (int)strtol(code + strlen(unread), NULL, 10);
	sqlite3_finalize(rows);
	return rc;
}

static enum store_class sqlite_check(struct store *store, struct error *err)
{
	struct sqlite_store *s = of(store);
	enum store_class class = check_schema(s, err);
	if (class == STORE_OK)
		class = read_meta(s, err);
	if (class != STORE_OK)
		return class;
	char what[200];
	int rc = integrity(s, what);
	if (rc != SQLITE_OK)
		return classify(s, rc, err);
	if (strcmp(what, "ok") != 0)
		return corrupt(s, what, err);
	sqlite3_stmt *rows = NULL;
	rc = sqlite3_prepare_v2(s->db, "SELECT count(*) FROM fence WHERE k NOT LIKE 'lock/_%'", -1, &rows, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(rows);
	bool is_odd = rc == SQLITE_ROW && sqlite3_column_int(rows, 0) != 0;
	sqlite3_finalize(rows);
	if (rc != SQLITE_ROW)
		return classify(s, rc, err);
	return is_odd ? corrupt(s, "a lock row has an odd name", err) : STORE_OK;
}

/* ---- making one ---- */

static int begin_new(struct sqlite_store *s)
{
	return run(s, "PRAGMA journal_mode=DELETE; BEGIN IMMEDIATE;" SCHEMA_KV ";" SCHEMA_META ";" SCHEMA_FENCE
		      ";" SCHEMA_INDEX ";"
		      "INSERT INTO meta(k, v) VALUES('incarnation', randomblob(16)), ('seq', 1), ('horizon', 0);");
}

static int end_new(struct sqlite_store *s)
{
	return run(s, "COMMIT; PRAGMA journal_mode=WAL;");
}

static int lay_out(struct sqlite_store *s, const struct store_op *ops, size_t count)
{
	int rc = begin_new(s);
	for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
		rc = write_one(s, &ops[i], 1);
	return rc == SQLITE_OK ? end_new(s) : rc;
}

static void remove_beside(const char *path)
{
	static const char *const endings[] = { "", "-journal", "-wal", "-shm", ".lock" };
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		char beside[PATH_MAX + 16];
		snprintf(beside, sizeof beside, "%s%s", path, endings[i]);
		unlink(beside);
	}
}

static enum store_class open_new(const char *path, struct sqlite_store **ret, struct error *err)
{
	scoped(store_freep) struct sqlite_store *s = NULL;
	remove_beside(path); /* an earlier one that was killed left it */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, path, strerror(errno));
	close(fd); /* SQLite has not opened it yet, so no lock of its can be lost */
	enum store_class class = open_db(path, SQLITE_OPEN_READWRITE, &s, err);
	if (class != STORE_OK)
		return class;
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL); /* nobody else knows this file yet */
	*ret = take(s);
	return STORE_OK;
}

static enum store_class fill_new(const char *path, const struct store_op *ops, size_t count, struct error *err)
{
	scoped(store_freep) struct sqlite_store *s = NULL;
	enum store_class class = open_new(path, &s, err);
	if (class != STORE_OK)
		return class;
	int rc = lay_out(s, ops, count);
	return rc == SQLITE_OK ? STORE_OK : classify(s, rc, err);
}

/* Not every file system of a stick or a share can move without replacing. */
static bool move_to_place(const char *fresh, const char *path, bool may_replace)
{
	struct stat st;
	if (may_replace)
		return rename(fresh, path) == 0;
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL)
		return false;
	errno = EEXIST;
	return lstat(path, &st) != 0 && rename(fresh, path) == 0;
}

/* What a vault keeps in its log would be missing where its file alone is taken. True, with errno as the reason, also where
 * that cannot be known; errno 0: it is there. */
static bool has_log(const char *path)
{
	char log[PATH_MAX + 8];
	struct stat st;
	snprintf(log, sizeof log, "%s-wal", path);
	if (lstat(log, &st) != 0)
		return errno != ENOENT && errno != ENOTDIR;
	errno = 0;
	return st.st_size > 0;
}

static enum store_class sqlite_publish(const char *fresh, const char *path, bool may_replace, struct error *err)
{
	scoped(file_closep) int fd = open(fresh, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd) != 0 || !move_to_place(fresh, path, may_replace)) {
		int why = errno;
		if (why == EEXIST)
			return refuse(STORE_CONFLICT, err, ERR_CONFLICT, TXT_VAULT_EXISTS, path);
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, path, strerror(why));
	}
	return file_sync_folder_of(path, err) ? STORE_OK : STORE_UNKNOWN;
}

/* It was closed, which empties its log; but closing cannot say that it failed. */
static bool is_whole(const char *fresh, struct error *err)
{
	return has_log(fresh) ? fail(err, ERR_STORAGE, TXT_STORE_IO, fresh, strerror(EIO)) : true;
}

static enum store_class create_locked(const char *path, const struct store_op *ops, size_t count,
				      store_before_fn *before, void *context, struct error *err)
{
	char fresh[PATH_MAX + 8];
	struct stat st;
	if (lstat(path, &st) == 0)
		return refuse(STORE_CONFLICT, err, ERR_CONFLICT, TXT_VAULT_EXISTS, path);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	enum store_class class = fill_new(fresh, ops, count, err);
	if (class == STORE_OK && !is_whole(fresh, err))
		class = STORE_UNAVAILABLE;
	if (class == STORE_OK && !before(context, err))
		class = STORE_CANCELLED;
	if (class == STORE_OK)
		class = sqlite_publish(fresh, path, false, err);
	if (class != STORE_OK && class != STORE_UNKNOWN)
		remove_beside(fresh);
	return class;
}

/* Whole or not at all: laid out beside under another name, then moved to a place that must be empty. */
static enum store_class sqlite_create(const char *path, const struct store_op *ops, size_t count,
				      store_before_fn *before, void *context, struct error *err)
{
	struct sqlite_store lock = { .lock_fd = -1 };
	enum store_class class = check_ops(ops, count, err);
	if (class != STORE_OK)
		return class;
	snprintf(lock.path, sizeof lock.path, "%s", path);
	class = sqlite_hold(&lock.head, STORE_WAIT_MS, err);
	if (class == STORE_OK)
		class = create_locked(path, ops, count, before, context, err);
	file_closep(&lock.lock_fd);
	return class;
}

/* ---- copies ---- */

static enum store_class copy_rows(struct sqlite_store *to, struct store_view *view, struct error *err)
{
	struct store_cursor *cursor = NULL;
	struct store_record record = { .key = "" };
	int rc = begin_new(to);
	if (rc != SQLITE_OK)
		return classify(to, rc, err);
	enum store_class class = sqlite_cursor_open(view, "", &cursor, err);
	if (class != STORE_OK)
		return class;
	while (rc == SQLITE_OK && (class = sqlite_cursor_next(cursor, &record, err)) == STORE_OK) {
		struct store_op op = { .key = record.key, .value = record.value };
		rc = write_one(to, &op, 1);
	}
	sqlite_cursor_close(cursor);
	if (rc == SQLITE_OK && class != STORE_NOT_FOUND)
		return class;
	if (rc == SQLITE_OK)
		rc = end_new(to);
	return rc == SQLITE_OK ? STORE_OK : classify(to, rc, err);
}

static enum store_class copy_to(struct store_view *view, const char *path, struct error *err)
{
	scoped(store_freep) struct sqlite_store *to = NULL;
	enum store_class class = open_new(path, &to, err);
	return class == STORE_OK ? copy_rows(to, view, err) : class;
}

static enum store_class sqlite_copy(struct store_view *view, const char *path, struct error *err)
{
	enum store_class class = copy_to(view, path, err);
	if (class != STORE_OK)
		remove_beside(path);
	return class;
}

/* The path as a URI, in which SQLite would take these for its own; "immutable": no lock, no log, nothing beside. */
static bool uri_of(const char *path, char *ret, size_t size)
{
	int len = snprintf(ret, size, "file:");
	for (; *path && len >= 0 && (size_t)len + 32 < size; path++) {
		bool is_special = *path == '%' || *path == '?' || *path == '#';
		len += snprintf(ret + len, size - (size_t)len, is_special ? "%%%02X" : "%c", (unsigned char)*path);
	}
	snprintf(ret + len, size - (size_t)len, "?immutable=1");
	return *path == '\0';
}

static enum store_class sqlite_open_still(const char *path, struct store **ret, struct error *err)
{
	char uri[3 * PATH_MAX];
	struct stat st;
	scoped(store_freep) struct sqlite_store *s = NULL;
	if (lstat(path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? refuse(STORE_NOT_FOUND, err, ERR_NOT_FOUND, TXT_NO_FILE, path)
			       : refuse(STORE_DENIED, err, ERR_STORAGE, TXT_COPY_UNREADABLE, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return answer(STORE_CORRUPT, fail_class(err, ERR_DAMAGED, "format", TXT_COPY_ODD, path));
	if (access(path, R_OK) != 0)
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_COPY_UNREADABLE, path, strerror(errno));
	if (has_log(path))
		return errno ? refuse(STORE_DENIED, err, ERR_STORAGE, TXT_COPY_UNREADABLE, path, strerror(errno))
			     : answer(STORE_CORRUPT, fail_class(err, ERR_DAMAGED, "format", TXT_COPY_LIVE, path, path));
	if (!uri_of(path, uri, sizeof uri))
		return refuse(STORE_INVALID, err, ERR_USAGE, TXT_COPY_UNREADABLE, path, strerror(ENAMETOOLONG));
	enum store_class class = open_db(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &s, err);
	if (class == STORE_OK)
		snprintf(s->path, sizeof s->path, "%s", path);
	if (class == STORE_OK)
		class = check_schema(s, err);
	if (class == STORE_OK)
		class = read_meta(s, err);
	if (class == STORE_OK)
		*ret = &take(s)->head;
	return class;
}

/* What the store at path has in its log goes into its file, if it can still be opened. */
static void gather(const char *path)
{
	struct error ignored;
	scoped(store_freep) struct sqlite_store *s = NULL;
	if (open_db(path, SQLITE_OPEN_READWRITE, &s, &ignored) == STORE_OK && become_writer(s) == SQLITE_OK)
		(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (s)
		s->is_writer = false; /* the lock is not its own to take */
}

/* A log that could not be gathered stays with its store; an empty one, and SQLite's shared memory, would be taken for
 * the new store's. */
static bool set_log_aside(const char *path, const char *aside)
{
	char from[PATH_MAX + 8], to[PATH_MAX + 8];
	snprintf(from, sizeof from, "%s-wal", path);
	snprintf(to, sizeof to, "%s-wal", aside);
	bool ok = has_log(path) ? rename(from, to) == 0 : unlink(from) == 0 || errno == ENOENT;
	snprintf(from, sizeof from, "%s-shm", path);
	return ok && (unlink(from) == 0 || errno == ENOENT);
}

static enum store_class install_locked(const char *fresh, const char *path, const char *aside, store_before_fn *before,
				       store_before_fn *after, void *context, struct error *err)
{
	struct stat st;
	bool is_there = lstat(path, &st) == 0;
	/* One that cannot be seen would be replaced and not kept. */
	if (!is_there && errno != ENOENT)
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, path, strerror(errno));
	if (!is_whole(fresh, err))
		return STORE_UNAVAILABLE;
	if (is_there)
		gather(path);
	if (is_there && (link(path, aside) != 0 || !file_sync_folder_of(aside, err)))
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, aside, strerror(errno));
	if (!before(context, err))
		return STORE_CANCELLED;
	if (!set_log_aside(path, aside))
		return refuse(STORE_DENIED, err, ERR_STORAGE, TXT_STORE_READ_ONLY, path, strerror(errno));
	enum store_class class = sqlite_publish(fresh, path, true, err);
	/* A reader may have made them anew for the old file. */
	if (class == STORE_OK && !set_log_aside(path, aside))
		return refuse(STORE_UNKNOWN, err, ERR_STORAGE, TXT_STORE_READ_ONLY, path, strerror(errno));
	return class != STORE_OK || after(context, err) ? class : STORE_UNKNOWN;
}

static enum store_class sqlite_install(const char *fresh, const char *path, const char *aside, store_before_fn *before,
				       store_before_fn *after, void *context, struct error *err)
{
	struct sqlite_store lock = { .lock_fd = -1 };
	snprintf(lock.path, sizeof lock.path, "%s", path);
	enum store_class class = sqlite_hold(&lock.head, STORE_WAIT_MS, err);
	if (class == STORE_OK)
		class = install_locked(fresh, path, aside, before, after, context, err);
	file_closep(&lock.lock_fd);
	return class;
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.create = sqlite_create,
	.open = sqlite_open,
	.close = sqlite_close,
	.leave = sqlite_leave,
	.caps = sqlite_caps,
	.head = sqlite_head,
	.get_many = sqlite_get_many,
	.hold = sqlite_hold,
	.release = sqlite_release,
	.commit = sqlite_commit,
	.view_open = sqlite_view_open,
	.view_close = sqlite_view_close,
	.cursor_open = sqlite_cursor_open,
	.cursor_since = sqlite_cursor_since,
	.cursor_next = sqlite_cursor_next,
	.cursor_close = sqlite_cursor_close,
	.watch = sqlite_watch,
	.lock_try = sqlite_lock_try,
	.lock_peek = sqlite_lock_peek,
	.lock_release = sqlite_lock_release,
	.check = sqlite_check,
	.open_still = sqlite_open_still,
	.copy = sqlite_copy,
	.publish = sqlite_publish,
	.install = sqlite_install,
	.discard = remove_beside,
	.has_lost = sqlite_has_lost,
};

const char *store_class_name(enum store_class class)
{
	static const char *const names[STORE_CLASS_COUNT] = {
		"ok",      "not-found", "conflict",  "fenced",    "unavailable", "denied",   "full",
		"too-big", "invalid",   "compacted", "cancelled", "unknown",     "rollback", "corrupt",
	};
	return (unsigned)class < STORE_CLASS_COUNT ? names[class] : "?";
}
