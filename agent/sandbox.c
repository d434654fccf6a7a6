#include "agent/sandbox.h"

#include "agent/text.h"
#include "core/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The sanitizers trace, fork and map as no program of ours does; their builds go without seccomp, and say so. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* --- landlock, without the kernel's header: Debian 12's ends where ABI 2 does. Source: landlock(7), kernel 6.18 --- */

/* The newest ABI whose rights we know; a test makes us know less. */
#ifndef LANDLOCK_ABI_KNOWN
#define LANDLOCK_ABI_KNOWN 7
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#define ASK_VERSION 1u
#define RULE_PATH 1
#define RULE_PORT 2

enum {
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9,
	FS_REFER = 1 << 13,     /* ABI 2 */
	FS_TRUNCATE = 1 << 14,  /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	FS_OF_ABI_1 = (1 << 13) - 1,
	FS_OF_A_FILE = FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE,
	FS_READ = FS_READ_FILE | FS_READ_DIR,
	FS_WRITE = FS_READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK |
		   FS_REFER | FS_TRUNCATE,
	NET_BIND_TCP = 1 << 0, /* ABI 4 */
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_SOCKETS = 1 << 0, /* ABI 6 */
	SCOPE_SIGNALS = 1 << 1
};

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed, port;
};

/* 0 where the kernel was built or booted without it, or something around us keeps it away. */
static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
	return abi < 0 ? 0 : abi > LANDLOCK_ABI_KNOWN ? LANDLOCK_ABI_KNOWN : (int)abi;
}

/* Everything that this ABI can deny is denied; rules then allow. */
static struct ruleset ruleset_of(int abi)
{
	struct ruleset r = { .fs = FS_OF_ABI_1 };
	r.fs |= (abi >= 2 ? FS_REFER : 0u) | (abi >= 3 ? FS_TRUNCATE : 0u) | (abi >= 5 ? FS_IOCTL_DEV : 0u);
	r.net = abi >= 4 ? NET_BIND_TCP | NET_CONNECT_TCP : 0u;
	r.scoped = abi >= 6 ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0u;
	return r;
}

static bool allow_path(int rules, const struct ruleset *denied, const char *path, uint64_t rights)
{
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= FS_OF_A_FILE;
	struct path_rule rule = { .allowed = rights & denied->fs, .fd = fd };
	bool is_fine = syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0) == 0;
	int why = errno;
	close(fd);
	errno = why;
	return is_fine;
}

static bool allow_paths(int rules, const struct ruleset *denied, const char *const *paths, uint64_t rights)
{
	for (; paths && *paths; paths++)
		if (!allow_path(rules, denied, *paths, rights))
			return false;
	return true;
}

static bool allow_port(int rules, const struct ruleset *denied, uint16_t port)
{
	struct port_rule rule = { .allowed = NET_CONNECT_TCP, .port = port };
	return !denied->net || syscall(SYS_landlock_add_rule, rules, RULE_PORT, &rule, 0) == 0;
}

static bool allow_all(int rules, const struct ruleset *denied, const struct sandbox_plan *plan)
{
	/* SQLite draws from the one; the leak checker of sanitized builds reads the other. */
	static const char *const always[] = { "/dev/urandom", IS_SANITIZED ? "/proc" : NULL, NULL };
	if (!allow_paths(rules, denied, always, FS_READ) || !allow_paths(rules, denied, plan->readable, FS_READ) ||
	    !allow_paths(rules, denied, plan->writable, FS_WRITE))
		return false;
	/* Which service a caller is of (agent/consumer.h): the files of a process, and no list of them. */
	if (plan->role == SANDBOX_KEEPER)
		return allow_path(rules, denied, "/proc", FS_READ_FILE);
	return allow_port(rules, denied, plan->port) &&
	       (!plan->login_port || allow_port(rules, denied, plan->login_port)) &&
	       allow_port(rules, denied, SANDBOX_DNS_PORT);
}

static bool enter_landlock(const struct sandbox_plan *plan, struct sandbox_report *r, struct error *err)
{
	r->landlock_abi = landlock_abi();
	if (r->landlock_abi == 0)
		return true;
	struct ruleset denied = ruleset_of(r->landlock_abi);
	int rules = (int)syscall(SYS_landlock_create_ruleset, &denied, sizeof denied, 0);
	bool is_in =
		rules >= 0 && allow_all(rules, &denied, plan) && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	int why = errno;
	if (rules >= 0)
		close(rules);
	if (!is_in)
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "landlock", strerror(why));
	r->has_ports = denied.net != 0;
	r->has_scopes = denied.scoped != 0;
	return true;
}

/* --- seccomp --- */

static const char *const allowed_to_both[] = {
	/* files that are open, and looking at names */
	"read", "write", "readv", "writev", "pread64", "close", "fstat", "newfstatat", "stat", "lstat", "statx",
	"lseek", "fcntl", "getdents64", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd",
	/* memory; mmap and mprotect have conditions */
	"munmap", "mremap", "brk", "madvise", "mlock", "mlock2", "munlock",
	/* threads, signals, time */
	"exit", "exit_group", "futex", "rseq", "set_robust_list", "set_tid_address", "membarrier", "sched_yield",
	"sched_getaffinity", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	/* who and where we are */
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid",
	"getrandom", "sysinfo", "uname",
	/* sockets that are open, and waiting */
	"connect", "recvfrom", "recvmsg", "sendto", "sendmsg", "sendmmsg", "shutdown", "getsockopt",
	"getsockname", "getpeername", "poll", "ppoll", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"eventfd2"
};

static const char *const allowed_to_keeper[] = { "openat",    "pwrite64", "fsync",     "fdatasync", "ftruncate",
						 "fallocate", "flock",    "fchmod",    "link",      "linkat",
						 "rename",    "renameat", "renameat2", "unlink",    "unlinkat",
						 "mkdir",     "mkdirat",  "rmdir",     "fadvise64", "statfs",
						 "fstatfs",   "accept4" };

/* A program of ours that comes to these is not ours any more. execve stands apart: the supervisor lives by it. */
static const char *const deadly[] = { "ptrace",       "process_vm_readv", "process_vm_writev", "pidfd_getfd",
				      "mount",        "umount2",          "move_mount",        "fsopen",
				      "fsmount",      "open_tree",        "mount_setattr",     "pivot_root",
				      "bpf",          "io_uring_setup",   "userfaultfd",       "keyctl",
				      "add_key",      "request_key",      "perf_event_open",   "init_module",
				      "finit_module", "kexec_load",       "kexec_file_load" };
static const char *const deadly_exec[] = { "execve", "execveat" };

/* A call that this libseccomp does not know, or this machine does not have, needs no rule. */
static int number_of(const char *name)
{
	return seccomp_syscall_resolve_name(name);
}

static bool add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int number = number_of(names[i]);
		if (number >= 0 && seccomp_rule_add(filter, action, number, 0) != 0)
			return false;
	}
	return true;
}

#define IS(argument, value)                                                                                            \
	{                                                                                                              \
		.arg = (argument), .op = SCMP_CMP_EQ, .datum_a = (value)                                               \
	}
#define IS_NOT(argument, value)                                                                                        \
	{                                                                                                              \
		.arg = (argument), .op = SCMP_CMP_NE, .datum_a = (value)                                               \
	}
#define BITS(argument, mask, value)                                                                                    \
	{                                                                                                              \
		.arg = (argument), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value)                     \
	}

struct conditional {
	const char *name;
	unsigned roles; /* bit i: enum sandbox_role i */
	unsigned count;
	struct scmp_arg_cmp when[2];
};

#define KEEPER (1u << SANDBOX_KEEPER)
#define COURIER (1u << SANDBOX_COURIER)
#define TYPE_MASK 0xfu /* the rest of a socket's type are flags */
#define READ_ONLY_MASK (O_ACCMODE | O_CREAT | O_TRUNC)

static bool add_conditional(scmp_filter_ctx filter, enum sandbox_role role)
{
	const struct conditional rules[] = {
		{ "mmap", KEEPER | COURIER, 1, { BITS(2, PROT_EXEC, 0) } },
		/* getaddrinfo loads modules named in nsswitch.conf; the courier can write no file to load instead. */
		{ "mmap", COURIER, 1, { BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC) } },
		{ "mprotect", KEEPER | COURIER, 1, { BITS(2, PROT_EXEC, 0) } },
		{ "clone", KEEPER | COURIER, 1, { BITS(0, CLONE_THREAD, CLONE_THREAD) } },
		{ "prlimit64", KEEPER | COURIER, 1, { IS(2, 0) } }, /* asking only */
		{ "ioctl", KEEPER | COURIER, 1, { IS(1, FIONBIO) } },
		{ "ioctl", KEEPER | COURIER, 1, { IS(1, FIONREAD) } },
		{ "prctl", KEEPER | COURIER, 1, { IS(0, PR_SET_NAME) } },
		{ "prctl", KEEPER | COURIER, 1, { IS(0, PR_GET_DUMPABLE) } },
		{ "prctl", KEEPER | COURIER, 2, { IS(0, PR_SET_DUMPABLE), IS(1, 0) } },
		{ "tgkill", KEEPER | COURIER, 1, { IS(0, (scmp_datum_t)getpid()) } }, /* abort() */
		{ "socket", KEEPER | COURIER, 1, { IS(0, AF_UNIX) } },
		{ "socketpair", KEEPER | COURIER, 1, { IS(0, AF_UNIX) } },
		{ "socket", COURIER, 2, { IS(0, AF_INET), BITS(1, TYPE_MASK, SOCK_STREAM) } },
		{ "socket", COURIER, 2, { IS(0, AF_INET), BITS(1, TYPE_MASK, SOCK_DGRAM) } },
		{ "socket", COURIER, 2, { IS(0, AF_INET6), BITS(1, TYPE_MASK, SOCK_STREAM) } },
		{ "socket", COURIER, 2, { IS(0, AF_INET6), BITS(1, TYPE_MASK, SOCK_DGRAM) } },
		/* getaddrinfo asks the kernel for our addresses, from a bound netlink socket; no Internet address is
		   this short. */
		{ "socket", COURIER, 2, { IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE) } },
		{ "bind", COURIER, 1, { IS(2, sizeof(struct sockaddr_nl)) } },
		{ "openat", COURIER, 1, { BITS(2, READ_ONLY_MASK, 0) } },
		{ "setsockopt", COURIER, 0, { IS(0, 0) } },
		{ "setsockopt", KEEPER, 1, { IS_NOT(1, IPPROTO_TCP) } },
	};
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		int number = number_of(rules[i].name);
		if (number >= 0 && rules[i].roles >> role & 1 &&
		    seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, rules[i].count, rules[i].when) != 0)
			return false;
	}
	/* The keeper has no TCP. The kernel says EOPNOTSUPP for such an option of a Unix socket, which libmicrohttpd 0.9.75
	 * does not understand: it would try two of them with each answer. With this word it learns at the first. */
	static const struct scmp_arg_cmp is_tcp = IS(1, IPPROTO_TCP);
	if (role == SANDBOX_KEEPER && seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOPROTOOPT),
							     number_of("setsockopt"), 1, &is_tcp) != 0)
		return false;
	/* glibc then takes clone, whose flags a filter can see. */
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number_of("clone3"), 0) == 0;
}

static bool fill_filter(scmp_filter_ctx filter, enum sandbox_role role)
{
	return add_names(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT_OF(deadly)) &&
	       add_names(filter, SCMP_ACT_KILL_PROCESS, deadly_exec, COUNT_OF(deadly_exec)) &&
	       add_names(filter, SCMP_ACT_ALLOW, allowed_to_both, COUNT_OF(allowed_to_both)) &&
	       (role != SANDBOX_KEEPER ||
		add_names(filter, SCMP_ACT_ALLOW, allowed_to_keeper, COUNT_OF(allowed_to_keeper))) &&
	       add_conditional(filter, role);
}

static void filter_free(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static bool kernel_has_seccomp(void)
{
	return prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, NULL) == 0 || errno == EFAULT;
}

static bool load_filter(scmp_filter_ctx filter, struct error *err)
{
	/* Another machine's calls are no use to us; the tree costs less than a list of 130. */
	int answer = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (answer == 0)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (answer == 0)
		answer = seccomp_load(filter);
	return answer == 0 ? true : fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "seccomp", strerror(-answer));
}

static bool enter_seccomp(enum sandbox_role role, struct sandbox_report *r, struct error *err)
{
	if (IS_SANITIZED || !kernel_has_seccomp())
		return true;
	scoped(filter_free) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter || !fill_filter(filter, role))
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "seccomp", "its filter could not be made");
	r->has_seccomp = load_filter(filter, err);
	return r->has_seccomp;
}

/* --- the rest --- */

#define MDWE 65 /* PR_SET_MDWE, Linux 6.3: memory that was writable never becomes executable */
#define MDWE_REFUSE_EXEC_GAIN 1

static bool no_new_privileges(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0)
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "no new privileges", strerror(errno));
}

static bool get_capabilities(struct __user_cap_data_struct ret[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &head, ret) == 0;
}

static bool has_capabilities(void)
{
	struct __user_cap_data_struct now[2] = { 0 };
	return !get_capabilities(now) || now[0].permitted || now[1].permitted;
}

/* Also root goes on without its powers; the keeper may go on locking memory beyond the limit. */
static bool drop_capabilities(enum sandbox_role role, struct error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	if (!get_capabilities(caps))
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "capabilities", strerror(errno));
	uint32_t kept = role == SANDBOX_KEEPER ? caps[0].permitted & 1u << CAP_IPC_LOCK : 0;
	struct __user_cap_data_struct fewer[2] = { { .effective = kept, .permitted = kept } };
	/* A filter around us, such as systemd's, may well refuse capset to whom it leaves nothing to give up. */
	if (caps[0].permitted == kept && caps[0].effective == kept && !caps[1].permitted && !caps[1].effective)
		return true;
	if (syscall(SYS_capset, &head, fewer) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "capabilities", strerror(errno));
	return true;
}

/* The folder has two links of its own and one for each thread; where /proc is missing nothing can be told. */
static bool is_single_thread(void)
{
	struct stat st;
	return stat("/proc/self/task", &st) != 0 || st.st_nlink <= 3;
}

/* A name that nobody has takes glibc through every source of users: the modules it loads for that could not be loaded
 * later, when a reload looks for our home. */
static void load_name_services(void)
{
	(void)getpwnam("pixelvault-nobody");
}

bool sandbox_enter(const struct sandbox_plan *plan, struct sandbox_report *ret, struct error *err)
{
	struct sandbox_report r = { .is_locked = secret_arena_is_locked() };
	if (!is_single_thread())
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_THREADS);
	if (plan->role == SANDBOX_KEEPER)
		load_name_services();
	if (!drop_capabilities(plan->role, err) || !no_new_privileges(err))
		return false;
	r.is_unprivileged = geteuid() != 0 && !has_capabilities(); /* once inside, nobody answers */
	bool has_mdwe = prctl(MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
	if (!enter_landlock(plan, &r, err) || !enter_seccomp(plan->role, &r, err))
		return false;
	r.is_undumpable = prctl(PR_GET_DUMPABLE) == 0;
	r.has_no_exec_memory = has_mdwe || r.has_seccomp;
	*ret = r;
	return true;
}

bool sandbox_supervise(struct error *err)
{
	if (!no_new_privileges(err))
		return false;
	if (IS_SANITIZED || !kernel_has_seccomp())
		return true;
	scoped(filter_free) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter || !add_names(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT_OF(deadly)))
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "seccomp", "its filter could not be made");
	return load_filter(filter, err);
}

/* --- becoming another user --- */

static bool is_number(const char *text, unsigned *ret)
{
	char *end;
	errno = 0;
	unsigned long value = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
	if (*text < '0' || *text > '9' || *end || errno || value >= UINT32_MAX)
		return false;
	*ret = (unsigned)value;
	return true;
}

bool sandbox_find_account(const char *user, const char *group, struct account *ret, struct error *err)
{
	unsigned number;
	*ret = (struct account){ geteuid(), getegid() };
	if (*user) {
		bool is_uid = is_number(user, &number);
		const struct passwd *found = is_uid ? getpwuid(number) : getpwnam(user);
		/* A bare number is an account too, as in a container, if the group is said. */
		if (!found && !(is_uid && *group))
			return fail(err, ERR_CONFIG, TXT_SANDBOX_NO_ACCOUNT, "user", user);
		*ret = found ? (struct account){ found->pw_uid, found->pw_gid } : (struct account){ number, getegid() };
	}
	if (*group) {
		const struct group *found = is_number(group, &number) ? NULL : getgrnam(group);
		if (!found && !is_number(group, &number))
			return fail(err, ERR_CONFIG, TXT_SANDBOX_NO_ACCOUNT, "group", group);
		ret->gid = found ? found->gr_gid : number;
	}
	return true;
}

static bool is_in_group(gid_t gid)
{
	gid_t groups[256];
	int count = getgroups(COUNT_OF(groups), groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return getegid() == gid;
}

static bool has_way_back(void)
{
	return setuid(0) == 0 || seteuid(0) == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || has_capabilities();
}

bool sandbox_drop_to(const char *user, const char *group, struct error *err)
{
	struct account to;
	if (!sandbox_find_account(user, group, &to, err))
		return false;
	bool is_there = geteuid() == to.uid && getuid() == to.uid;
	if (is_there && (to.uid == 0 || !*group || is_in_group(to.gid)))
		return true;
	if (setgroups(0, NULL) != 0 || setresgid(to.gid, to.gid, to.gid) != 0 || setresuid(to.uid, to.uid, to.uid) != 0)
		return fail(err, ERR_DENIED, TXT_SANDBOX_NOT_ALLOWED, user, group, strerror(errno));
	if (to.uid != 0 && has_way_back())
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_WAY_BACK);
	/* A change of user makes a process dumpable again where fs.suid_dumpable says so. */
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_SANDBOX_FAILED, "undumpable", strerror(errno));
	return true;
}

/* --- what holds --- */

static const char *landlock_text(const struct sandbox_report *r, char *ret, size_t size)
{
	if (r->landlock_abi == 0)
		return "no landlock (this kernel has none)";
	snprintf(ret, size, "landlock %d (files%s%s)", r->landlock_abi, r->has_ports ? ", ports" : "",
		 r->has_scopes ? ", scopes" : "");
	return ret;
}

void sandbox_text(const struct sandbox_report *r, char ret[SANDBOX_TEXT_MAX])
{
	char landlock[64];
	const char *no_seccomp =
		IS_SANITIZED ? "no seccomp (built with a sanitizer)" : "no seccomp (this kernel has none)";
	snprintf(ret, SANDBOX_TEXT_MAX, "%s, %s, %s, %s, %s%s", r->is_undumpable ? "undumpable" : "dumpable",
		 r->is_locked ? "memory locked" : "memory not locked", landlock_text(r, landlock, sizeof landlock),
		 r->has_seccomp ? "seccomp" : no_seccomp,
		 r->has_no_exec_memory ? "no exec memory" : "exec memory possible",
		 r->is_unprivileged ? "" : ", still root or with capabilities");
}
