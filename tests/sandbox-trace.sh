#!/bin/sh
# The system calls that keeper and courier make once inside their sandbox, from a traced run of end-to-end tests, held
# against the lists in agent/sandbox.c. Prints what was asked for and is on no list (with what it met), and what is on a list
# and was never asked for: such a name has another libc, kernel or occasion (SELDOM below says which), or is to go. Fails
# on the former, on more than a few of the latter, and where nothing was traced.
#
#   sh tests/sandbox-trace.sh              the walk of tests/e2e/test_sandbox_trace.py, as `make test` does
#   sh tests/sandbox-trace.sh WORD...      other tests, those that tests/e2e/run.py picks for these words; what they never
#                                          ask for is only printed
#
# Needs strace and root: what is traced has made itself undumpable. BUILD names the build folder (not one with
# sanitizers).
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(cd "${BUILD:-build}" 2>/dev/null && pwd) && [ -x "$build/vault-agent" ] || {
	echo "sandbox-trace: nothing is built in '${BUILD:-build}'" >&2
	exit 1
}
command -v strace >/dev/null 2>&1 || {
	echo "sandbox-trace: SKIPPED: strace is not installed"
	exit 0
}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pixelvault-trace.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
strict=
if [ $# -gt 0 ]; then
	set -- run.py "$@"
else
	strict=strict
	set -- -m unittest test_sandbox_trace.Walk # run.py would start a traced Python for each module
fi
if (cd tests/e2e && BUILD=$build exec strace -ff -qq -s 64 -o "$tmp/trace" "${PYTHON:-python3}" "$@") >"$tmp/out" 2>&1; then
	tail -1 "$tmp/out"
else
	echo "sandbox-trace: some of the tests failed while they were traced:"
	cat "$tmp/out"
fi

"${PYTHON:-python3}" - "$tmp" $strict <<'END'
import collections
import glob
import re
import sys

CALL = re.compile(r"^([a-z0-9_]+)\((.*?)(?:\)\s+= (-?\d+|\?)(?: (E[A-Z]+))?.*)?$")

source = open("agent/sandbox.c").read()


def names(array):
    return set(re.findall(r'"([a-z0-9_]+)"', re.search(array + r"\[\] = \{(.*?)\};", source, re.S).group(1)))


# Refused, and rightly: SQLite as root tries to give its files the owner of the folder, and goes on when it cannot.
REFUSED = {("KEEPER", "fchown")}

# On the lists, and not seen in the walk on Debian 12 and Linux 6.18, with a reason to be there all the same.
SELDOM = {
    "the vDSO answers these on most machines": "clock_gettime clock_getres gettimeofday time",
    "what another libc, kernel or library version calls for the same":
        "access faccessat faccessat2 stat lstat fstat statx readlink readlinkat link linkat rename renameat renameat2 unlink "
        "unlinkat mkdir mkdirat rmdir epoll_create1 epoll_pwait eventfd2 ppoll nanosleep clock_nanosleep mlock mlock2 readv "
        "writev write pread64 recvmsg sendmsg sendmmsg getsockname getpeername set_tid_address socketpair prlimit64",
    "who and where we are, as libraries ask now and then":
        "getuid geteuid getgid getegid getgroups getresuid getresgid getppid gettid uname sysinfo sched_getaffinity getcwd",
    "a crash, a signal, a stop": "restart_syscall rt_sigreturn sigaltstack tgkill shutdown",
    "threads that meet, memory that grows or is given back": "sched_yield membarrier mremap munlock clone clone3",
    "other file systems, and how SQLite looks at them": "lseek fadvise64 flock fstatfs getdents64",
    "how long a datagram is; addresses of our own": "ioctl bind",
}
SELDOM = {name for names_ in SELDOM.values() for name in names_.split()}
FEW = 3

# Rows of the table with conditions: {name, roles, ...}
rows = re.findall(r'\{ "([a-z0-9_]+)", ([A-Z |]+),', source)
lists = {role: names("allowed_to_both") | {n for n, r in rows if role in r} for role in ("KEEPER", "COURIER")}
lists["KEEPER"] |= names("allowed_to_keeper")
lists = {role: found | {"clone3"} for role, found in lists.items()}

# A file is a thread: begin with those that were executed as one of ours, then follow the threads they make.
files = {path.rsplit(".", 1)[1]: path for path in glob.glob(sys.argv[1] + "/trace.*")}
made = collections.defaultdict(collections.Counter)  # role -> (call, error)
main = []
for tid, path in files.items():
    text = open(path, errors="replace").read()
    at = text.rfind("\nexecve(")
    line = text[at + 1:].split("\n", 1)[0] if at >= 0 or text.startswith("execve(") else ""
    # A messenger is in the courier's sandbox.
    for role, option in (("KEEPER", "keeper"), ("COURIER", "courier"), ("COURIER", "messenger")):
        if '"--%s"' % option in line:
            lines = text[at + 1:].splitlines()
            inside = [i for i, l in enumerate(lines) if l.startswith("seccomp(SECCOMP_SET_MODE_FILTER") and l.endswith("= 0")]
            if inside:
                main.append((role, "\n".join(lines[inside[-1] + 1:])))
seen = collections.Counter()
while main:
    role, text = main.pop()
    seen[role] += 1
    for line in text.splitlines():
        call = CALL.match(line)
        if not call:
            continue
        made[role][call.group(1), call.group(4) if call.group(4) in ("EPERM", "EACCES", "ENOSYS") else None] += 1
        if call.group(1) in ("clone", "clone3") and "CLONE_THREAD" in line and call.group(3) in files:
            main.append((role, open(files[call.group(3)], errors="replace").read()))

bad = 0
for role in ("KEEPER", "COURIER"):
    who = role.lower()
    print("%s: %d threads and processes traced" % (who, seen[role]))
    if not seen[role]:
        bad += 1
        print("  nothing was traced of it")
        continue
    asked = {n for n, _ in made[role]}
    for name in sorted(n for n in asked - lists[role] if (role, n) not in REFUSED):
        bad += 1
        met = ", ".join("%s %d times" % (e or "done", n) for (c, e), n in sorted(made[role].items(), key=str) if c == name)
        print("  MISSING from the list: %s (%s)" % (name, met))
    for (name, error), count in sorted(made[role].items(), key=str):
        if error == "EPERM" and name in lists[role]:
            print("  refused by its condition: %s, %d times" % (name, count))
    unused = sorted(lists[role] - asked)
    needless = [name for name in unused if name not in SELDOM]
    if len(needless) > FEW and len(sys.argv) > 2:
        bad += 1
        print("  NEEDLESS on the list, or a reason is missing in SELDOM: " + " ".join(needless))
    print("  used: %d of %d; on the list, and not asked for: %s" % (len(asked & lists[role]), len(lists[role]), " ".join(unused)))
sys.exit(bad > 0)
END
