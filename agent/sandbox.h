/* agent/sandbox.h - what a process of ours gives up before it meets a stranger's byte: landlock for files and ports,
 * seccomp for system calls, no new privileges, no memory that is writable and executable.
 *
 * What the kernel lacks is left out and said so: struct sandbox_report tells which layers hold. The lists were taken
 * from traced runs of the end-to-end tests (tests/sandbox-trace.sh makes them anew); a call that is on none of them
 * fails with EPERM, so that a new libc fails softly, and the few that only an intruder makes kill. */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include "core/error.h"

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

enum sandbox_role { SANDBOX_KEEPER, SANDBOX_COURIER };

#define SANDBOX_DNS_PORT 53

/* What resolving a name and proving a certificate read. */
#define SANDBOX_READING_OF_NETWORK \
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf", \
	"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls", \
	"/etc/pki/ca-trust", "/etc/ca-certificates", "/etc/crypto-policies", \
	"/usr/share/ca-certificates", "/usr/local/share/ca-certificates", \
	"/usr/share/crypto-policies", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64", \
	"/usr/local/lib"

/* A right is bound to the file or folder that a path names now: where a file is replaced rather than written to (an
 * editor, useradd), name its folder. */
struct sandbox_plan {
	enum sandbox_role role;
	/* folders and files, NULL-terminated; what does not exist is passed over */
	const char *const *writable; /* read, write, make, remove, rename below these */
	const char *const *readable;
	/* Courier: the TCP ports it may connect to (login_port 0 = none of its own), besides the resolver's: a long answer
	 * comes by TCP, and UDP is free. */
	uint16_t port, login_port;
};

struct sandbox_report {
	bool is_undumpable, is_locked; /* process memory; arena */
	int landlock_abi;              /* 0 = this kernel has none */
	bool has_ports, has_scopes;    /* landlock ABI 4, 6 */
	bool has_seccomp, has_no_exec_memory;
	bool is_unprivileged; /* no capabilities and not root */
};

/* Gives up all capabilities too, except the keeper's right to lock memory: what needs one (a socket's group) comes
 * first. Once a process, before its first thread and before the vault is unlocked; every thread made later is inside.
 * ERR_UNEXPECTED only when a layer that this kernel has could not be put on: never silently without. */
must_check bool sandbox_enter(const struct sandbox_plan *plan, struct sandbox_report *ret, struct error *err);

/* What the supervisor gives up: new privileges, and the calls that only an intruder makes. Its children inherit both.
 */
must_check bool sandbox_supervise(struct error *err);

struct account {
	uid_t uid;
	gid_t gid;
};

/* Names or numbers, as in [agent]; "" = who we are, or the user's own group. ERR_CONFIG for one that does not exist. */
must_check bool sandbox_find_account(const char *user, const char *group, struct account *ret, struct error *err);

/* Become user and group (names or numbers; "" = stay), drop all other groups, and prove that there is no way back.
 * ERR_CONFIG for an account that does not exist, ERR_DENIED when we may not. */
must_check bool sandbox_drop_to(const char *user, const char *group, struct error *err);

/* "undumpable, memory locked, landlock 6 (files, ports, scopes), seccomp, no exec memory"; what is missing is said:
 * "no landlock (this kernel has none)". */
#define SANDBOX_TEXT_MAX 200
void sandbox_text(const struct sandbox_report *r, char ret[SANDBOX_TEXT_MAX]);

#endif
