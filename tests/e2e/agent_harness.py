"""For tests of the running agent's socket: a vault, a few Pixels in it, the agent, and HTTP over its Unix socket.

`self.http("GET", "/v1/pixels")` gives (status, headers, body); `self.dial()` a connected socket to do worse with;
`self.as_user(uid, gid, groups, function)` runs a function in a child process that is somebody else."""

import contextlib
import ctypes
import http.client
import json
import mmap
import os
import pickle
import signal
import socket
import struct
import time
import traceback

import harness
from harness import UnixConnection


def ask(connection, method, path, headers=None, body=None):
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def ask_once(path, method, target, headers=None, body=None):
    with contextlib.closing(UnixConnection(path)) as connection:
        return ask(connection, method, target, headers, body)


class AgentCase(harness.Case):
    uses_emulator = False
    pixels = 2
    rules = ""  # [access ...] sections; {0} is the first Pixel's code
    agent = {}  # more of [agent]

    def setUp(self):
        self.codes = [harness.new_pixel() for _ in range(self.pixels)]
        self.tokens = [harness.new_token() for _ in self.codes]
        super().setUp()
        for code, token in zip(self.codes, self.tokens):
            self.vault("put", code, "--no-check", stdin=token)
        self.addCleanup(self.stop_agent)
        self.agent_up()

    def configure(self, **changes):
        more = changes.pop("more", "")
        if not harness.VIA_AGENT:
            more += "[agent]\nsocket = %s\n" % self.socket
        super().configure(more=more + self.rules.format(*self.codes), **changes)

    def agent_up(self):
        if not self.keeper:
            self.start_agent()
        # Other users may reach the socket: what they may do there is for the rules to say.
        os.chmod(self.dir, 0o711)
        os.chmod(self.socket, 0o666)

    # ---- the processes ----

    def keeper_pid(self):
        """The process with the vault in it."""
        for pid in harness.descendants(self.keeper.pid):
            with contextlib.suppress(OSError):
                if b"--keeper" in self.read("/proc/%d/cmdline" % pid).split(b"\0"):
                    return pid
        self.fail("no keeper runs")

    def descriptors(self):
        try:
            return len(os.listdir("/proc/%d/fd" % self.keeper_pid()))
        except PermissionError:  # it is undumpable
            self.skipTest("NOT TESTED without root: only root sees what the keeper has open")

    def open_files(self):
        folder = "/proc/%d/fd" % self.keeper_pid()
        found = []
        for name in sorted(os.listdir(folder), key=int):
            with contextlib.suppress(OSError):
                found.append(os.readlink(os.path.join(folder, name)))
        return found

    def memory_kib(self):
        for line in self.read("/proc/%d/status" % self.keeper_pid()).decode().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])

    def cpu_s(self):
        fields = self.read("/proc/%d/stat" % self.keeper_pid()).decode().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # ---- talking ----

    def dial(self, timeout=60):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.settimeout(timeout)
        s.connect(self.socket)
        return s

    def connect(self, timeout=60):
        c = UnixConnection(self.socket, timeout)
        self.addCleanup(c.close)
        return c

    def http(self, method, path, headers=None, body=None, connection=None):
        if connection:
            return ask(connection, method, path, headers, body)
        return ask_once(self.socket, method, path, headers, body)

    def json_of(self, answer, status=200):
        self.assertEqual(status, answer[0], answer)
        return json.loads(answer[2])

    def problem(self, answer, status, kind):
        self.assertEqual((status, "application/problem+json"), (answer[0], answer[1].get("content-type")), answer)
        doc = json.loads(answer[2])
        self.assertEqual(kind, doc["type"], doc)
        self.assertEqual(status, doc["status"])
        return doc

    # ---- being somebody else ----

    def as_user(self, uid, gid, groups, function):
        """What function gives, from a process of its own with these ids (root only)."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            result = None
            try:
                os.setgroups(groups)
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                result = ("fine", function())
            except BaseException:
                result = ("failed", traceback.format_exc())
            finally:
                with os.fdopen(writer, "wb") as f:
                    pickle.dump(result, f)
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as f:
            how, what = pickle.load(f)
        os.waitpid(pid, 0)
        if how != "fine":
            self.fail("as uid %d: %s" % (uid, what))
        return what


def is_closed(s, within):
    """Does the other side close within that many seconds? What comes before is thrown away."""
    end = time.monotonic() + within
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return False
        s.settimeout(left)
        try:
            if not s.recv(65536):
                return True
        except (ConnectionError, BrokenPipeError):
            return True
        except TimeoutError:
            return False


def opened(path):
    """-1 where there is no such file: a kernel may be built without."""
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return -1


class GoodClient:
    """A well-behaved reader in a process of its own, which measures while others misbehave. What is measured is how long the
    agent lets it wait: for how long a busy machine gave the two of them no processor is taken off, as the kernel counts it."""

    def __init__(self, path, pixel, token, keeper, uid=None, gap=0.002):
        self.reader, writer = os.pipe()
        self.is_told_to_stop = False
        self.count = mmap.mmap(-1, 8)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGTERM, self.stop)
                # The keeper's first thread is the one that serves; the other has jobs.
                self.schedules = list(map(opened, ("/proc/self/schedstat", "/proc/%d/task/%d/schedstat" % (keeper, keeper))))
                if uid is not None:
                    os.setgroups([])
                    os.setresgid(uid, uid, uid)
                    os.setresuid(uid, uid, uid)
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a test that fails leaves nobody behind
                with os.fdopen(writer, "wb") as f:
                    pickle.dump(self.measure(path, pixel, token, gap), f)
            finally:
                os._exit(0)
        os.close(writer)

    def stop(self, *_):
        self.is_told_to_stop = True

    def stood_in_line(self):
        """Seconds for which the two were ready to run, and others ran."""
        return sum(int(os.pread(fd, 100, 0).split()[1]) for fd in self.schedules if fd >= 0) / 1e9

    def measure(self, path, pixel, token, gap):
        took, wrong = [], []
        connection = UnixConnection(path)
        while not self.is_told_to_stop:
            started, before = time.monotonic(), self.stood_in_line()
            try:
                status, _, body = ask(connection, "GET", "/v1/pixels/%s/token" % pixel)
                if (status, body) != (200, token.encode()):
                    wrong.append((status, body))
            except (OSError, http.client.HTTPException) as e:
                wrong.append(repr(e))
                connection = UnixConnection(path)
            took.append(time.monotonic() - started - (self.stood_in_line() - before))
            self.count[:] = struct.pack("=q", len(took))
            time.sleep(gap)
        return took, wrong

    def finish(self, least=0):
        """(p99 in seconds, how many requests, what went wrong), when it has read so often."""
        end = time.monotonic() + 20
        while struct.unpack("=q", self.count[:])[0] < least and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(self.pid, signal.SIGTERM)
        with os.fdopen(self.reader, "rb") as f:
            took, wrong = pickle.load(f)
        os.waitpid(self.pid, 0)
        took.sort()
        return took[int(len(took) * 0.99)] if took else 0, len(took), wrong
