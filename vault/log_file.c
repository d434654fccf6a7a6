#include "vault/log_file.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#define ROOM (64 * 1024)
#define FRAME_HEADER_LEN 24
#define COMMIT_AT 4 /* in a frame's header: the database's size in pages, not 0 in the last frame of a commit */

struct log_file {
	sqlite3_file head;
	char *room; /* what is collected; NULL until the first write */
	sqlite3_int64 at;
	int len;
	bool is_collecting;
	bool has_more; /* what comes next is the page of a frame, and more frames follow */
};

static sqlite3_vfs vfs, *below;

/* SQLite keeps szOsFile bytes for a file: ours and, behind it, the one that it stands for. */
static sqlite3_file *file_below(sqlite3_file *file)
{
	return (sqlite3_file *)((struct log_file *)file + 1);
}

/* ---- writing ---- */

/* What cannot be written is given up: the COMMIT fails, and is taken back. */
static int write_out(sqlite3_file *file)
{
	struct log_file *f = (struct log_file *)file;
	sqlite3_file *real = file_below(file);
	int len = f->len;
	f->len = 0;
	return len ? real->pMethods->xWrite(real, f->room, len, f->at) : SQLITE_OK;
}

static bool has_room(struct log_file *f)
{
	if (!f->room)
		f->room = sqlite3_malloc(ROOM);
	return f->room != NULL;
}

/* A frame that others follow is held back, its header and then its page; and the header of a commit's last one where it goes
 * on with what is held, for its page comes next. By itself it is one that SQLite writes anew, behind all else. */
static bool may_wait(struct log_file *f, const void *from, int len, sqlite3_int64 at)
{
	static const char none[4];
	bool is_header = len == FRAME_HEADER_LEN, goes_on = f->len && at == f->at + f->len, has_more = f->has_more;
	f->has_more = is_header && memcmp((const char *)from + COMMIT_AT, none, sizeof none) == 0;
	return is_header ? f->has_more || goes_on : has_more;
}

static int log_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
	struct log_file *f = (struct log_file *)file;
	sqlite3_file *real = file_below(file);
	if (!f->is_collecting)
		return real->pMethods->xWrite(real, from, len, at);
	bool may = may_wait(f, from, len, at);
	if (f->len && (at != f->at + f->len || len > ROOM - f->len)) {
		int rc = write_out(file);
		if (rc != SQLITE_OK)
			return rc;
	}
	if (len > ROOM || !has_room(f))
		return real->pMethods->xWrite(real, from, len, at);
	if (!f->len)
		f->at = at;
	memcpy(f->room + f->len, from, (size_t)len);
	f->len += len;
	return may ? SQLITE_OK : write_out(file);
}

/* ---- all else is done by the file below, behind what was collected ---- */

static int log_close(sqlite3_file *file)
{
	struct log_file *f = (struct log_file *)file;
	sqlite3_file *real = file_below(file);
	sqlite3_free(f->room);
	return real->pMethods->xClose(real);
}

static int log_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
	sqlite3_file *real = file_below(file);
	int rc = write_out(file);
	return rc == SQLITE_OK ? real->pMethods->xRead(real, to, len, at) : rc;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	sqlite3_file *real = file_below(file);
	int rc = write_out(file);
	return rc == SQLITE_OK ? real->pMethods->xTruncate(real, size) : rc;
}

static int log_sync(sqlite3_file *file, int flags)
{
	sqlite3_file *real = file_below(file);
	int rc = write_out(file);
	return rc == SQLITE_OK ? real->pMethods->xSync(real, flags) : rc;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	sqlite3_file *real = file_below(file);
	int rc = write_out(file);
	return rc == SQLITE_OK ? real->pMethods->xFileSize(real, ret) : rc;
}

static int log_lock(sqlite3_file *file, int level)
{
	sqlite3_file *real = file_below(file);
	return real->pMethods->xLock(real, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *real = file_below(file);
	return real->pMethods->xUnlock(real, level);
}

static int log_is_reserved(sqlite3_file *file, int *ret)
{
	sqlite3_file *real = file_below(file);
	return real->pMethods->xCheckReservedLock(real, ret);
}

static int log_control(sqlite3_file *file, int which, void *what)
{
	sqlite3_file *real = file_below(file);
	return real->pMethods->xFileControl(real, which, what);
}

static int log_sector_size(sqlite3_file *file)
{
	sqlite3_file *real = file_below(file);
	return real->pMethods->xSectorSize(real);
}

static int log_device(sqlite3_file *file)
{
	sqlite3_file *real = file_below(file);
	return real->pMethods->xDeviceCharacteristics(real);
}

/* ---- opening ---- */

static const sqlite3_io_methods methods = {
	.iVersion = 1, /* no shared memory: SQLite asks the database's file for that */
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_is_reserved,
	.xFileControl = log_control,
	.xSectorSize = log_sector_size,
	.xDeviceCharacteristics = log_device,
};

static int open_log(sqlite3_vfs *unused, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)unused;
	if (!(flags & SQLITE_OPEN_WAL))
		return below->xOpen(below, name, file, flags, ret_flags);
	struct log_file *f = (struct log_file *)file;
	sqlite3_file *real = file_below(file);
	*f = (struct log_file){ .head.pMethods = NULL };
	real->pMethods = NULL;
	int rc = below->xOpen(below, name, real, flags, ret_flags);
	if (real->pMethods) /* closed by SQLite then, also when it failed */
		f->head.pMethods = &methods;
	return rc;
}

const char *log_file_vfs(void)
{
	if (below)
		return vfs.zName;
	sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
	if (!usual)
		return NULL;
	vfs = *usual;
	vfs.pNext = NULL;
	vfs.zName = "pixelvault";
	vfs.szOsFile += (int)sizeof(struct log_file);
	vfs.xOpen = open_log;
	if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
		return NULL;
	below = usual;
	return vfs.zName;
}

/* ---- a commit ---- */

/* NULL where there is no log, or it is SQLite's own file. */
static sqlite3_file *log_of(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK || !file)
		return NULL;
	return file->pMethods == &methods ? file : NULL;
}

void log_file_begin(sqlite3 *db)
{
	struct log_file *f = (struct log_file *)log_of(db);
	if (!f)
		return;
	f->len = 0;
	f->has_more = false;
	f->is_collecting = true;
}

int log_file_end(sqlite3 *db, int rc)
{
	sqlite3_file *file = log_of(db);
	struct log_file *f = (struct log_file *)file;
	if (!f)
		return rc;
	f->is_collecting = f->has_more = false;
	if (rc == SQLITE_OK)
		return write_out(file);
	f->len = 0;
	return rc;
}
