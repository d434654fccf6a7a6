/* core/musl.h - what musl 1.2.3 has no function for, seen by whatever is compiled for the front (Makefile). The front itself
 * calls none of these: they stand in files of which it takes a part. Macros, as a later musl declares the functions. */
#ifndef CORE_MUSL_H
#define CORE_MUSL_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#endif
#define renameat2(from_at, from, to_at, to, flags) ((int)syscall(SYS_renameat2, from_at, from, to_at, to, flags))
#define close_range(first, last, flags) ((int)syscall(SYS_close_range, first, last, flags))

#endif
