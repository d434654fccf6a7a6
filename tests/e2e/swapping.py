"""A swap file that is searched, and a memory limit under which programs are swapped out to it: for test_swap_file.py.

    swap = Swap(directory)          switched on, else Unable with the reason
    group = Group()                 a control group with a limit of memory; group.words are put before a command
    group.reclaim()                 whatever of its pages may go to the swap file goes there, now
    swap.search({name: secret})     which pieces of which secrets lie in the file

What was written to the file stays there until something else is written over it, also when it was read back long since.
"""

import contextlib
import ctypes
import os
import re
import subprocess
import time

from harness import BUILD
from test_agent_hygiene import MEMSCAN, needles

NEEDLES_AT_A_TIME = 4000  # what memscan takes
MIB = 1 << 20
# It cleans up when its standard input ends: also when the test is killed, and then those in the group with it.
KEEPER = """
trap '' INT TERM HUP
end() { [ ! -d "$group" ] || { kill -9 $(cat "$group/cgroup.procs"); sleep 1; rmdir "$group"; }
[ -z "$on" ] || swapoff "$on" || { sleep 1; swapoff "$on"; }; [ -z "$loop" ] || losetup -d "$loop"; rm -f "$1"; }
dd if=/dev/zero of="$1" bs=1M count="$2" status=none && chmod 600 "$1" && mkswap "$1" >/dev/null || { end "$1"; exit 1; }
if swapon "$1"; then on=$1
elif loop=$(losetup -f --show "$1") && swapon "$loop"; then on=$loop
else end "$1"; exit 1; fi
echo ready; read -r group; read -r _; end "$1"
"""


class Unable(Exception):
    """Why nothing can be swapped here."""


def search_file(path, secrets):
    """[(secret, form)], sorted."""
    lines = ["%s %s\n" % (name, value.hex()) for what, secret in secrets.items() for name, value in needles(what, secret).items()]
    hits = set()
    for at in range(0, len(lines), NEEDLES_AT_A_TIME):
        r = subprocess.run([MEMSCAN, path], input="".join(lines[at:at + NEEDLES_AT_A_TIME]).encode(), capture_output=True)
        said = r.stdout.decode().splitlines() or [""]
        if r.returncode != 0 or int(said[-1].split()[1]) < os.path.getsize(path):
            raise RuntimeError("memscan of %s: exit %d, %r" % (path, r.returncode, said[-1]))
        hits |= {tuple(line.split(" ", 1)[0].rsplit("-", 1)[0].split("-", 1)) for line in said[:-1]}
    return sorted(hits)


class Swap:
    def __init__(self, size):
        if os.geteuid() != 0:
            raise Unable("only root may switch on a swap file")
        zswap = "/sys/module/zswap/parameters/enabled"
        if os.path.exists(zswap) and lines_of(zswap) == ["Y"]:
            raise Unable("zswap is on: what is swapped out stays in memory, compressed")
        said = []
        for directory in (BUILD, "/var/tmp"):
            self.path = os.path.join(directory, "swap-%d" % os.getpid())
            self.keeper = subprocess.Popen(["sh", "-c", KEEPER, "sh", self.path, str(size // MIB)], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
            if self.keeper.stdout.readline() == "ready\n":
                return
            said.append(self.keeper.communicate()[1].strip().replace("\n", "; "))
        raise Unable("no swap file can be switched on: " + " / ".join(said))

    def ends_with(self, group):
        self.keeper.stdin.write(group.path + "\n")
        self.keeper.stdin.flush()

    def off(self):
        _, said = self.keeper.communicate()
        if os.path.exists(self.path) or [l for l in lines_of("/proc/swaps") if l.startswith(self.path)]:
            raise RuntimeError("the swap file is still on: " + said)

    def search(self, secrets):
        """[(secret, form)], sorted."""
        fd = os.open(self.path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # the kernel swaps past the pages it keeps of files
        os.close(fd)
        return search_file(self.path, secrets)


def lines_of(path):
    with open(path) as f:
        return f.read().splitlines()


def groups_v1():
    for line in lines_of("/proc/self/mountinfo"):
        words = line.split()
        kind, options = words[words.index("-") + 1], words[words.index("-") + 3].split(",")
        if kind == "cgroup" and "memory" in options:
            own = next(l.split(":", 2)[2].strip() for l in lines_of("/proc/self/cgroup") if ":memory:" in l)
            yield os.path.normpath(words[4] + "/" + os.path.relpath(own, words[3]))
            yield words[4]


def groups_v2():
    """From our own one up: where processes are, none that limits memory may be made."""
    for line in lines_of("/proc/self/mountinfo"):
        words = line.split()
        if words[words.index("-") + 1] == "cgroup2":
            own = next(l.split(":", 2)[2].strip() for l in lines_of("/proc/self/cgroup") if l.startswith("0::"))
            at = os.path.normpath(words[4] + "/" + os.path.relpath(own, words[3]))
            while at.startswith(words[4]):
                yield at
                at = os.path.dirname(at)


class Group:
    def __init__(self, limit):
        self.is_v1, said = True, "no hierarchy of control groups with a memory limit"
        for is_v1, places in ((True, groups_v1()), (False, groups_v2())):
            for place in places:
                self.path, self.is_v1 = os.path.join(place, "pixelvault-swap-%d" % os.getpid()), is_v1
                try:
                    if not is_v1 and "memory" not in self.read_at(place, "cgroup.subtree_control").split():
                        self.write_at(place, "cgroup.subtree_control", "+memory")
                    os.mkdir(self.path)
                except OSError as e:
                    said = str(e)
                    continue
                try:
                    self.limit(limit)
                    return
                except OSError as e:
                    said = str(e)
                    os.rmdir(self.path)
        raise Unable("no control group with a memory limit can be made: " + said)

    @staticmethod
    def read_at(place, name):
        with open(os.path.join(place, name)) as f:
            return f.read()

    @staticmethod
    def write_at(place, name, text):
        with open(os.path.join(place, name), "w") as f:
            f.write(text)

    @property
    def words(self):
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', os.path.join(self.path, "cgroup.procs")]

    def processes(self):
        return [int(pid) for pid in self.read_at(self.path, "cgroup.procs").split()]

    def limit(self, size):
        if self.is_v1:
            self.write_at(self.path, "memory.swappiness", "100")
        self.write_at(self.path, "memory.limit_in_bytes" if self.is_v1 else "memory.max", str(size))

    def reclaim(self):
        try:
            self.write_at(self.path, *(("memory.force_empty", "1") if self.is_v1 else ("memory.reclaim", "1G")))
        except OSError:
            pass  # what could not go, like locked pages, stayed

    def close(self):
        for _ in range(200):
            try:
                return os.rmdir(self.path)
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("somebody is left in " + self.path)


class Range(ctypes.Structure):
    _fields_ = [("at", ctypes.c_size_t), ("len", ctypes.c_size_t)]


PROCESS_MADVISE, MADV_PAGEOUT, LARGE = 440, 21, 64 * MIB
libc = ctypes.CDLL(None, use_errno=True)


def page_out(pid):
    """What is the process's own and may be swapped out is, at once: faster than reclaim(), but leaves what it shares with a
    child, and what would fill the file: the work space of Argon2. The kernel refuses it for locked memory."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        try:
            with open("/proc/%d/maps" % pid) as f:
                for line in f:
                    if " rw-p " in line:
                        at, end = (int(n, 16) for n in line.split(" ", 1)[0].split("-"))
                        if end - at < LARGE:
                            libc.syscall(PROCESS_MADVISE, pidfd, ctypes.byref(Range(at, end - at)), ctypes.c_size_t(1), MADV_PAGEOUT,
                                         ctypes.c_size_t(0))
        finally:
            os.close(pidfd)


def swapped(pid):
    """How many KiB of a process are in swap."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmSwap:\s+(\d+) kB", f.read()).group(1))


def swapped_out():
    """Pages, by the whole machine, since it was started."""
    with open("/proc/vmstat") as f:
        return int(re.search(r"(?m)^pswpout (\d+)", f.read()).group(1))
