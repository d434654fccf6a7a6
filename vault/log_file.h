/* vault/log_file.h - SQLite's write-ahead log, written in long pieces. SQLite writes each page of a commit in two calls, a
 * header of 24 bytes and the page; with these files they are collected and written in one call a commit, or one for each
 * 64 KiB. That spares a put some 25 system calls, and lets the kernel keep the log in larger units than a page, which its
 * sync then writes faster (Linux 6.16 and later on ext4, before that on XFS).
 *
 * What is durable, and when, does not change: SQLite tells other connections of a commit after it is written, and the page
 * that ends one is never held back. What is collected of a commit that does not come to its end was not visible to
 * anybody (sqlite.org/fileformat2.html, "The Write-Ahead Log", read 2026-11-30). */
#ifndef VAULT_LOG_FILE_H
#define VAULT_LOG_FILE_H

/* The name for sqlite3_open_v2's last argument; NULL = SQLite's own files, for it could not be had. Once sqlite3_initialize
 * succeeded; all else stays as the system's default VFS has it. */
const char *log_file_vfs(void);

#endif
