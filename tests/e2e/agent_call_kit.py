"""File calls of a running agent that fail: a vault, an agent under `failer`, the requests of agent_fault_kit, and what must hold
after each. tests/faults.py goes over all points, test_agent_faults.py over a sample.

A point is a request during which the N-th file call of the keeper (or of the courier) fails, or all from the N-th on. The
answer is that of a clean run, or a problem with a documented status; what the agent hands out is what the vault holds, and that
is the old or the new token; the vault and its log prove themselves. After it the next request is answered as ever: but where
what failed was to make a write durable, nothing is written any more until the agent is started anew, the health says so,
and with the new start all is there."""

import http.client
import json
import mmap
import os
import signal
import struct
import subprocess
import time

import harness
from agent_fault_kit import AgentLab
from fault_kit import Broken, ERRORS, EVER, FAILER

# The order of the table in tests/support/failer.c, and what its struct control is.
CALLS = ("open", "openat", "read", "pread64", "write", "writev", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "close", "flock", "fcntl",
         "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "fchmod", "fstat", "newfstatat", "getdents64")
ERRNO = {"EIO": 5, "ENOSPC": 28, "EROFS": 30, "EDQUOT": 122, "EINTR": 4, "short": -1}
CONTROL = struct.Struct("=qqqqqQQ256s256s")
PROBLEMS = {409, 500, 503}


class Happened:
    """Since the last fault was chosen."""

    def __init__(self, data):
        self.seen, self.failed, _, _, _, _, calls, file, synced = CONTROL.unpack(data)
        self.calls = [name for n, name in enumerate(CALLS) if calls >> n & 1]
        self.file, self.synced = (os.path.basename(f.split(b"\0")[0].decode()) for f in (file, synced))

    def __str__(self):
        return "%s of %s" % (" ".join(self.calls), self.file)


class AgentCallLab(AgentLab):
    def build(self, only="--keeper"):
        with open(self.write(self.path("control"), bytes(CONTROL.size)), "r+b") as f:
            self.control = mmap.mmap(f.fileno(), CONTROL.size)
        self.addCleanup(self.control.close)
        self.read_only = 0
        super().build(only)

    def run_agent(self):
        """What it opens outside its own folders is no file of ours, but for the courier, which has none of its own."""
        more = {"FAILER_FILE": self.dir} if self.only == "--keeper" else {}
        self.fault("none", 0, 0)
        self.start_agent(prefix=(FAILER, self.path("report"), "all", "none", "0", "0"),
                         env=harness.traced(dict(more, FAILER_CONTROL=self.path("control"), FAILER_ONLY=self.only)))

    def end_agent(self):
        """failer is what we started."""
        if self.agent.poll() is None:
            os.kill(self.processes()["supervisor"], signal.SIGTERM)
            self.agent.wait(30 * harness.PATIENCE)
        return self.agent.returncode

    # ---- the fault ----

    def fault(self, error, first, last):
        """From now on; gives what happened until now."""
        self.control[24:32] = struct.pack("=q", 0)
        happened = Happened(self.control[:])
        if error == "none":
            return happened
        name, calls, _ = ERRORS[error]
        which = sum(1 << CALLS.index(c) for c in calls.split(","))
        self.control[:] = CONTROL.pack(0, 0, ERRNO[name], 0, last, which, 0, b"", b"")
        self.control[24:32] = struct.pack("=q", first)
        return happened

    def exchange(self, ask, error="none", first=0, last=0):
        """(status or None, body, what happened)"""
        status, method, path, body, headers = ask
        self.fault(error, first, last)
        try:
            answer, _, data = self.http(method, path, body, timeout=60, **{k.replace("-", "_"): v for k, v in headers.items()})
        except (OSError, http.client.HTTPException):
            answer, data = None, b""
        return answer, data, self.fault("none", 0, 0)

    def run_once(self, ask, first=0, last=0):
        answer, data, _ = self.exchange(ask)
        return answer, data, 0, 0

    def points_of(self, request):
        points = []
        for error, (_, _, row) in ERRORS.items():
            if request.undo:
                self.exchange(request.undo())
            self.exchange(request.ask())
            if request.undo:
                self.exchange(request.undo())
            answer, data, happened = self.exchange(request.ask(), error, EVER, EVER)
            if answer != request.ask()[0]:
                raise AssertionError("%s does not work without any fault: %s %r" % (request.name, answer, data[:300]))
            points += [(error, n, last) for n in range(1, happened.seen + 1) for last in ((n, EVER) if row == EVER else (n, n + row - 1))]
        return points

    # ---- judgement ----

    def judge_call(self, ask, answer, data):
        if answer == ask[0] or answer == 202:
            return
        if answer not in PROBLEMS:
            raise Broken("answered %s: %r" % (answer, data[:300]))
        problem = json.loads(data)
        if not problem.get("title") or not problem.get("type"):
            raise Broken("no problem object: %r" % data[:300])

    def judge_is_read_only(self):
        """Until it is started anew: no write, and nobody is told that there was one."""
        health = self.health()
        if not health["degraded"] or not health["reason"]:
            raise Broken("a write was lost, and the health says %s" % health)
        token = self.next_token()
        status, _, data = self.http("PUT", "/v1/pixels/%s/token?check=no" % self.left, token)
        if status != 500 or json.loads(data)["type"].rsplit("/")[-1] != "storage":
            raise Broken("a write was lost, and the next is answered %s %r" % (status, data[:300]))
        self.read_only += 1
        if self.end_agent() != 0:
            raise Broken("it ended with %d" % self.agent.returncode)
        self.run_agent()
        if self.health()["degraded"]:
            raise Broken("started anew it is still degraded: %s" % self.health())

    def tokens(self):
        return {p: subprocess.run([harness.VAULT, "get", p], capture_output=True, env=self.env).stdout for p in
                (self.pixel, self.other, self.left, self.right, self.dull)}

    def judge_old_or_new(self, request, ask, answer, before):
        """No Pixel has a token that it did not have, but for the one that is put, rolled back or swapped."""
        known = set(before.values()) | {(ask[3] or "").encode() if isinstance(ask[3], str) else ask[3] or b""}
        for pixel, token in self.tokens().items():
            if request.name not in ("rollback", "remove", "restore") and token not in known:
                raise Broken("%s has neither the old nor the new token" % pixel)

    def try_call(self, request, error, first, last):
        """False: so many calls the request does not make."""
        if request.undo:
            self.exchange(request.undo())
        ask, before, told = request.ask(), self.tokens(), len(self.log())
        answer, data, happened = self.exchange(ask, error, first, last)
        if not happened.failed:
            return False
        try:
            if error.startswith("EIO") and "damaged" in data.decode("latin-1") + self.log()[told:]:
                raise Broken("a file that could not be read is called damaged")
            self.judge_call(ask, answer, data)
            if not self.is_running() or "killed by signal" in self.log():
                raise Broken("a process died")
            if self.must_be_read_only(happened):
                self.judge_is_read_only()
            self.judge_state(request, ask, answer)
            if self.says_lost():  # by what it did unasked, behind the answer
                self.judge_is_read_only()
            self.judge_old_or_new(request, ask, answer, before)
            if request.undo:
                self.exchange(request.undo())
            self.clean(request.ask())
        except (Broken, OSError, http.client.HTTPException, ValueError, KeyError) as e:
            raise Broken("%s, %s: %s (answer %s %r; the agent said %s)" % (request.name, happened, e, answer, data[:200], self.log()[-600:])) from None
        return True

    def must_be_read_only(self, happened):
        """Locked, it has closed what it did not know of; and SQLite does not say what of a commit it was that failed."""
        is_synced = happened.synced.endswith(("-wal", ".audit.log")) and not self.health()["locked"]
        return is_synced or self.says_lost()

    def says_lost(self):
        health = self.health()
        return not health["locked"] and "nothing is written any more" in (health["reason"] or "")

    def sweep_calls(self, request, points):
        """Points tried, and what broke: [(request, point, why)]."""
        tried, broken = 0, []
        for point in points:
            try:
                tried += self.try_call(request, *point)
            except Broken as e:
                tried += 1
                broken.append((request.name, point, str(e)))
                self.start_over()
        return tried, broken

    # ---- the courier, which may even die: then nobody knows ----

    def courier_points(self, errors=tuple(ERRORS)):
        """Its calls are those of its start: what it keeps, it has then."""
        points = []
        for error in errors:
            row = ERRORS[error][2]
            _, _, happened = self.ask_a_new_courier(error, EVER, EVER)
            points += [(error, n, last) for n in range(1, happened.seen + 1) for last in ((n, EVER) if row == EVER else (n, n + row - 1))]
        return points

    def ask_a_new_courier(self, error, first, last):
        """What becomes of a check; the next courier is well again."""
        old = self.wait_for_courier(20, None)
        self.fault(error, first, last)
        os.kill(old, signal.SIGKILL)
        self.wait_for_courier(6, old)  # one that ends at once may never be seen
        status, _, data = self.http("POST", "/v1/pixels/%s/check" % self.pixel)
        return status, data, self.fault("none", 0, 0)

    def try_courier_call(self, error, first, last):
        keeper = self.processes()["keeper"]
        answer, data, happened = self.ask_a_new_courier(error, first, last)
        if not happened.failed:
            return False
        where = "courier, %s: " % happened
        result = json.loads(data) if answer in (200, 503) else {}
        if (answer == 200 and result["exit"] not in (0, 9, 16)) or (answer == 503 and result.get("class") not in ("unreachable", "conflict")) or \
           answer not in (200, 503):
            raise Broken("%sanswered %s %r" % (where, answer, data[:400]))
        if self.processes().get("keeper") != keeper:
            raise Broken(where + "the keeper did not live on: " + self.log()[-300:])
        shown = self.asks(200, "GET", "/v1/pixels/" + self.pixel)["pixels"][0]
        if shown["verdict"] != "healthy":
            raise Broken("%sthe verdict is %s now" % (where, shown["verdict"]))
        self.until(lambda: self.asks(200, "POST", "/v1/pixels/%s/check" % self.pixel)["exit"] == 0, 20, where + "a check that works again")
        return True

    def start_over(self):
        self.fault("none", 0, 0)
        if self.is_running():
            self.agent.kill()
            self.agent.wait()
        self.run_agent()

    def set_failing(self, first, last):
        return 0, 0
