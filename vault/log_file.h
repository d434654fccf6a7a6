/* vault/log_file.h - SQLite's write-ahead log, written in long pieces. SQLite writes each page of a commit in two calls, a
 * header of 24 bytes and the page; with these files they are collected and written in one call a commit, or one for each
 * 64 KiB. That spares a put some 25 system calls, and lets the kernel keep the log in larger units than a page, which its
 * sync then writes faster (Linux 6.16 and later on ext4, before that on XFS).
 *
 * Only what one COMMIT writes is collected, between log_file_begin and log_file_end, under the lock of whoever commits: what
 * SQLite writes before, as its cache is full, goes to the file at once. So nothing waits that a rollback would leave behind,
 * to be written over somebody else's commit. What is durable, and when, does not change: SQLite tells other connections of a
 * commit after it is written, and what ends one is never held back (sqlite.org/fileformat2.html, "The Write-Ahead
 * Log", read 2026-11-30). */
#ifndef VAULT_LOG_FILE_H
#define VAULT_LOG_FILE_H

struct sqlite3;

/* The name for sqlite3_open_v2's last argument; NULL = SQLite's own files, for it could not be had. Once sqlite3_initialize
 * succeeded; by one thread the first time. All else stays as the system's default VFS has it. */
const char *log_file_vfs(void);

/* Around a COMMIT in a database with such files; rc is what became of it. When it failed, what is left is forgotten, and the
 * transaction must be rolled back. The answer is rc, or why what was left could not be written. */
void log_file_begin(struct sqlite3 *db);
int log_file_end(struct sqlite3 *db, int rc);

#endif
