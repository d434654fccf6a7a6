/* core/process.h - what a process owes its secrets, and how helpers of ours are started. */
#ifndef CORE_PROCESS_H
#define CORE_PROCESS_H

#include "core/error.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

/* First thing in main: undumpable, no core files, umask 077, descriptors 0-2 open, SIGPIPE and SIGXFSZ ignored (a write
 * then fails with an error we report instead of killing us half-way). */
must_check bool process_harden(struct error *err);

/* The calling thread, and not those it starts, does little at a time and is waited for: where a processor is busy, it goes
 * in front of who computes for long, for at most 0.1 ms at a time. It gets no larger share. Linux 6.12 and later; before
 * that, and where it is forbidden, nothing changes. */
void process_is_quick(void);

/* Undo what a command started by us must not inherit: signal dispositions and umask as they were at start. */
void process_restore(void);

/* The program of ours named `name`: build/vault finds build/vault-agent beside itself, and an installed pixelvault finds
 * pixelvault-agent; so does the piece of either that lies elsewhere (process_become_piece). PATH is never searched. */
must_check bool process_sibling(const char *name, char *ret, size_t size, struct error *err);

/* Become the piece of this program named `name`, with the same arguments and environment, and as the caller of this process
 * left it, before process_harden. It lies beside build/vault, or as pixel`name` in the folder lib/pixelvault that stands
 * beside the one of an installed pixelvault; nothing else is searched. Returns only when that fails. */
must_check bool process_become_piece(const char *name, char **argv, struct error *err);

struct process_plan {
	const char *path;
	const char *const *argv;
	char *const *environment; /* NULL = empty */
	int fd;                   /* the child's descriptor 3; stays open here, and the caller's */
	bool is_deaf; /* ignores SIGHUP, SIGINT and SIGTERM: we say when it ends, not a terminal or a whole group's kill
		       */
};

/* Start by fork and exec with fd as descriptor 3, /dev/null as 0 and 1, our stderr as 2 and nothing else of ours. The
 * child dies with the thread that calls this (PDEATHSIG). */
must_check bool process_spawn(const struct process_plan *plan, pid_t *ret_pid, struct error *err);

/* The same with an empty environment, on one end of a fresh Unix stream socketpair; the other end is ret_fd. */
must_check bool process_start(const char *path, const char *const argv[], pid_t *ret_pid, int *ret_fd,
			      struct error *err);

/* Close our end first. Waits up to wait_ms for the child to end by itself, then kills it. */
void process_end(pid_t pid, int wait_ms);

#endif
