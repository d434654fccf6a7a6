/* core/file.h - the few things we do with files, done once and right.
 *
 * Every file we write is private (0600 in a 0700 folder), opened close-on-exec and without following a link in its last
 * component. Files are replaced, never rewritten: temporary beside, write, fsync, rename, fsync of the folder. */
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include "core/buf.h"
#include "core/error.h"
#include "core/secret.h"

#include <sys/types.h>

/* A regular file of ours or root's, refused (false, err filled with code) when others could change it: group- or
 * world-writable, a link, a fifo. With is_secret also when group or others may read it. */
must_check bool file_open_trusted(const char *path, bool is_secret, enum error_code code, int *ret_fd,
				  struct error *err);

/* Read at most max bytes; more is an error with the given code. */
must_check bool file_read(int fd, const char *path, size_t max, enum error_code code, struct buf *ret,
			  struct error *err);

must_check bool file_write_all(int fd, struct bytes data, const char *path, struct error *err); /* ERR_STORAGE */

/* Put data in place of path, atomically and durably. */
must_check bool file_replace(const char *path, struct bytes data, mode_t mode, struct error *err);

/* Make path new, atomically and durably, never touching an existing file (ERR_CONFLICT). */
must_check bool file_create(const char *path, struct bytes data, mode_t mode, struct error *err);

/* Make a folder and its missing parents, durable, 0700; an existing one must belong to us or root and must not be writable by
 * others (a sticky folder such as /tmp is not good enough). */
must_check bool file_make_folder(const char *path, struct error *err);

/* fsync of the folder that holds path. */
must_check bool file_sync_folder_of(const char *path, struct error *err);

/* The folder of path in ret ("." for a bare name), and path with its folder resolved to an absolute one without links;
 * the last component is left as it is and need not exist. */
must_check bool file_folder_of(const char *path, char *ret, size_t size, struct error *err);
must_check bool file_absolute(const char *path, char *ret, size_t size, struct error *err);

/* Do both paths lead to one file? False where one is not there. */
bool file_is_same(const char *a, const char *b);
/* What stands behind the name of a database in those of its files: nothing, SQLite's endings, that of a vault's lock. */
bool file_is_companion(const char *ending);

void file_closep(int *fd); /* for scoped(): closes unless -1 */

#endif
