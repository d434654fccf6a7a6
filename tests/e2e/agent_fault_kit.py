"""Memory that a running agent does not get: a vault, a keeper whose N-th allocation from now on fails, a list of requests, and
what must hold after each. tests/faults.py goes over all points, test_agent_faults.py over a sample.

After each point: the answer is the one of a clean run, or a problem with a documented status, or none at all; no process of
the agent died by a signal, but for the courier, which may; the agent that ends said why, and starts again; the vault proves
itself; what the agent hands out is what the vault holds; the next request is answered as ever."""

import http.client
import json
import os
import signal
import struct
import subprocess
import time

import harness
from fault_kit import Broken, EVER, OOM
from harness import AGENT, new_pixel, new_token
from running_agent import AgentCase

REFUSALS = {408, 413, 500, 503}  # what a request that lacks memory may be answered with
ENDING = "no memory left: ending"
# What an agent makes of sockets, descriptors and its own rights while it starts, and how each may fail. Where the library of
# its HTTP cannot take a descriptor out of its set, that ends the process itself.
ENDED_BY_LIBRARY = "Fatal error in GNU libmicrohttpd"
START_CALLS = {"socket": "EMFILE", "socketpair": "EMFILE", "bind": "EADDRINUSE", "listen": "EADDRINUSE", "connect": "EAGAIN", "accept4": "EMFILE",
               "getsockopt": "EINVAL", "setsockopt": "EINVAL", "epoll_create1": "EMFILE", "epoll_ctl": "ENOMEM",
               "eventfd2": "EMFILE", "timerfd_create": "EMFILE", "signalfd4": "EMFILE", "memfd_create": "EMFILE", "pipe2": "EMFILE", "lseek": "EIO",
               "prctl": "EPERM", "capget": "EPERM", "capset": "EPERM", "landlock_create_ruleset": "EPERM", "landlock_add_rule": "EPERM",
               "landlock_restrict_self": "EPERM", "seccomp": "EPERM", "setrlimit": "EPERM", "prlimit64": "EPERM", "mlock": "ENOMEM",
               "clone": "EAGAIN", "clone3": "EAGAIN", "vfork": "EAGAIN", "chmod": "EPERM", "fchmod": "EPERM", "mkdir": "ENOSPC",
               "unlink": "EPERM", "rename": "EPERM", "link": "EPERM", "getpeername": "EINVAL", "getsockname": "EINVAL", "umask": "EPERM"}


class Request:
    """ask: (status, method, path, body, headers), anew for each try; undo: the like, whatever it answers."""

    def __init__(self, name, ask, undo=None):
        self.name, self.ask, self.undo = name, ask, undo


def requests_of(lab):
    """Every request of the socket, each of which may be made again and again."""
    path, other, one = "/v1/pixels/" + lab.pixel, "/v1/pixels/" + lab.other, "/v1/pixels/" + lab.dull

    def just(status, method, where, body=None, **headers):
        return lambda: (status, method, where, body, headers)

    def put(where):
        return lambda: (200, "PUT", where, lab.next_token(), {})
    return [
        Request("get", just(200, "GET", path + "/token")),
        Request("get as JSON", just(200, "GET", path + "/token", Accept="application/json")),
        Request("get, named", lambda: (200, "GET", path + "/token", None, {"X-Consumer": "shop-%d" % lab.count()})),
        Request("get a former one", just(200, "GET", path + "/token?previous=1")),
        Request("list", just(200, "GET", "/v1/pixels")),
        Request("list as records", just(200, "GET", "/v1/pixels", Accept="application/x-pixelvault-records")),
        Request("show", just(200, "GET", path)),
        Request("history", just(200, "GET", path + "/history")),
        Request("rollout", just(200, "GET", path + "/rollout")),
        Request("put", put(one + "/token?check=no")),
        Request("put, checked", lambda: (200, "PUT", path + "/token?test-code=T1", lab.good_token(), {})),
        Request("put, first", lambda: (200, "PUT", "/v1/pixels/%s/token?check=no&label=shop=x" % new_pixel(), new_token(), {})),
        Request("put a pair that is renewed", lambda: (200, "PUT", "/v1/pixels/%s/token?check=no&family=accounts" % new_pixel(), lab.pair_to_renew(), {})),
        Request("check", just(200, "POST", path + "/check")),
        Request("check all", just(200, "POST", "/v1/check")),
        Request("report", lambda: (202, "POST", path + "/report", json.dumps({"code": 40105, "request_id": "R"}), {})),
        Request("ack", lambda: (200, "POST", path + "/ack", json.dumps({"version": lab.version_of(lab.pixel), "as": "shop"}), {})),
        Request("rollback", just(200, "POST", other + "/rollback")),
        Request("swap", lambda: (200, "POST", "/v1/pixels/%s/swap?check=no" % lab.left, json.dumps({"with": lab.right}), {})),
        Request("labels", lambda: (200, "POST", one + "/labels?label=n=%d" % lab.count(), None, {})),
        Request("rotate", just(200, "POST", "/v1/rotate", json.dumps({"pixels": [lab.dull]})),
                just(200, "POST", "/v1/rotate", json.dumps({"pixels": [lab.dull], "cancel": True}))),
        Request("listings", just(200, "GET", "/v1/listings")),
        Request("put a listing", lambda: (200, "PUT", "/v1/listings/bc:7012345678901234567/token?check=no", lab.next_token(), {})),
        Request("plan", just(200, "GET", "/v1/plan?for=3600")),
        Request("match", lambda: (200, "POST", "/v1/match", lab.token_of(lab.right), {})),
        Request("verify", just(200, "POST", "/v1/verify")),
        Request("alerts", just(200, "GET", "/v1/alerts")),
        Request("acknowledge none", just(404, "POST", "/v1/alerts/ack", json.dumps({"id": "7Q2M-9FKD"}))),
        Request("access", just(200, "GET", "/v1/access?uid=0&pixel=" + lab.pixel)),
        Request("board", just(200, "GET", "/v1/board")),
        Request("metrics", just(200, "GET", "/metrics")),
        Request("health", just(200, "GET", "/healthz")),
        Request("remove", just(200, "DELETE", one), just(200, "POST", one + "/restore")),
        Request("restore", just(200, "POST", one + "/restore"), just(200, "DELETE", one)),
        Request("lock", just(200, "POST", "/v1/lock"), just(200, "POST", "/v1/unlock", b"")),
        Request("unlock", just(200, "POST", "/v1/unlock", b""), just(200, "POST", "/v1/lock")),
    ]


class AgentLab(AgentCase):
    check = {"interval": "1h", "probe": "test"}
    starts = True

    def build(self, only="--keeper"):
        self.tally, self.only, self.numbers, self.broken_off = self.path("tally"), only, 0, 0
        self.set_failing(0, 0)
        self.pixel, first = self.pair()
        self.other, old = self.pair()
        self.left, self.right, self.dull = (new_pixel() for _ in range(3))
        for pixel, token in ((self.pixel, first), (self.other, old)):
            self.put(pixel, token, "--test-code", "T1")
            self.put(pixel, self.more_token(pixel))
        for pixel in (self.left, self.right, self.dull):
            self.emu.pixel(pixel)
            token = new_token()
            self.emu.token(token, self.left, self.right, self.dull)
            self.put(pixel, token, "--no-check")
        if self.starts:
            self.run_agent()
        self.requests = requests_of(self)

    def run_agent(self):
        self.start_agent(env={"LD_PRELOAD": OOM, "OOM_COUNT": self.tally, "OOM_ONLY": self.only, "OOM_ALONG": "1"})

    # ---- what requests are made of ----

    def count(self):
        self.numbers += 1
        return self.numbers

    def next_token(self):
        return new_token()

    def good_token(self):
        return self.more_token(self.pixel)

    def pair_to_renew(self):
        return json.dumps({"client_id": "7012345678901234567", "client_secret": new_token(), "refresh_token": new_token(), "access_token": new_token(),
                           "expires_in": 86400, "refresh_token_expires_in": 31536000})

    def token_of(self, pixel):
        return self.http("GET", "/v1/pixels/%s/token" % pixel)[2]

    def version_of(self, pixel):
        return int(self.http("GET", "/v1/pixels/%s/token" % pixel)[1]["X-Version"])

    # ---- the fault ----

    def set_failing(self, first, last, length=0):
        """From now on, of those of this length (0: of any); gives how many were asked for and failed since the last time."""
        if not os.path.exists(self.tally):
            self.write(self.tally, bytes(40))
        with open(self.tally, "r+b", 0) as f:
            seen = struct.unpack("QQQQ", f.read(32))
            os.pwrite(f.fileno(), struct.pack("Q", 0), 16)
            os.pwrite(f.fileno(), struct.pack("Q", length), 32)
            os.pwrite(f.fileno(), struct.pack("QQ", 0, 0), 0)
            os.pwrite(f.fileno(), struct.pack("Q", last), 24)
            os.pwrite(f.fileno(), struct.pack("Q", first), 16)
        return seen[:2]

    def is_running(self):
        return self.agent.poll() is None

    def run_once(self, ask, first=0, last=0):
        """(status or None, body, allocations asked for, failed)"""
        status, method, path, body, headers = ask
        self.set_failing(first, last)
        try:
            answer, _, data = self.http(method, path, body, timeout=60, **{k.replace("-", "_"): v for k, v in headers.items()})
        except (OSError, http.client.HTTPException):
            answer, data = None, b""
        asked, failed = self.set_failing(0, 0)
        return answer, data, asked, failed

    def clean(self, ask):
        answer, data, _, _ = self.run_once(ask)
        if answer != ask[0]:
            raise Broken("without a fault it is %s: %r" % (answer, data[:300]))

    def restart_if_ended(self):
        end = time.monotonic() + 30 * harness.PATIENCE  # it may be about to
        while self.is_running() and not self.is_well() and time.monotonic() < end:
            time.sleep(0.02)
        if self.is_running():
            return
        code, said = self.end_agent(), self.log()
        if code != 1 or ENDING not in said or "killed by signal" in said:
            raise Broken("the agent ended with %s: %s" % (code, said[-500:]))
        self.broken_off += 1
        self.run_agent()

    def is_well(self):
        try:
            return self.http("GET", "/healthz", timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    # ---- judgement ----

    def judge(self, request, ask, answer, data, first, last):
        if answer in (None, ask[0]):
            return
        if answer not in REFUSALS and not (answer in (202,) and "check" in request.name):
            raise Broken("answered %s: %r" % (answer, data[:300]))
        if answer == 500 and not data and last != first:
            return  # there was no memory for the words either
        if answer >= 400 and not ("type" in json.loads(data) and json.loads(data).get("title")):
            raise Broken("no problem object: %r" % data[:300])

    def judge_state(self, request, ask, answer):
        """What the agent hands out is what the vault holds, and an acknowledged token is there."""
        if self.http("GET", "/healthz")[0] != 200:
            raise Broken("not live afterwards")
        if json.loads(self.http("GET", "/healthz")[2])["locked"]:
            self.http("POST", "/v1/unlock", b"")
        for pixel in (self.pixel, self.other, self.left, self.right, self.dull):
            status, _, body = self.http("GET", "/v1/pixels/%s/token" % pixel)
            r = subprocess.run([harness.VAULT, "get", pixel], capture_output=True, env=self.env)
            if (status == 200) != (r.returncode == 0) or (status == 200 and body != r.stdout):
                raise Broken("the agent says %s %r of %s, the vault %d %s" % (status, body[:200] if status != 200 else "another token", pixel,
                                                                              r.returncode, r.stderr.decode()))
        if ask[1] == "PUT" and answer == 200 and "/v1/pixels/" in ask[2] and "family" not in ask[2]:
            pixel = ask[2].split("/")[3]
            if self.token_of(pixel) != ask[3].encode():
                raise Broken("an acknowledged token is not there")
        if self.http("POST", "/v1/verify")[0] != 200:
            raise Broken("verify finds faults")

    def try_point(self, request, first, last):
        """False: so many allocations the request does not need."""
        if request.undo:
            self.run_once(request.undo())
        ask = request.ask()
        answer, data, asked, failed = self.run_once(ask, first, last)
        if not failed:
            return False
        where = "%s, allocation %d%s" % (request.name, first, "" if first == last else " and on")
        try:
            self.judge(request, ask, answer, data, first, last)
            self.restart_if_ended()
            if "killed by signal" in self.log():
                raise Broken("a process died: " + self.log()[-400:])
            try:
                self.judge_state(request, ask, answer)
            except (OSError, http.client.HTTPException):
                # It had answered, and was about to end, when it was asked whether it is well.
                ended = self.broken_off
                self.restart_if_ended()
                if self.broken_off == ended:
                    raise
                self.judge_state(request, ask, answer)
            if request.undo:
                self.run_once(request.undo())
            self.clean(request.ask())
        except (Broken, OSError, http.client.HTTPException, ValueError, KeyError) as e:
            raise Broken("%s: %s (answer %s %r; the agent said %s)" % (where, e, answer, data[:200], self.log()[-600:])) from None
        return True

    def sweep(self, request, points):
        """Points tried, and what broke: [(request, point, why)]."""
        tried, broken = 0, []
        for first, last in points:
            try:
                tried += self.try_point(request, first, last)
            except Broken as e:
                tried += 1
                broken.append((request.name, (first, last), str(e)))
                self.start_over()
        return tried, broken

    def points_of(self, request):
        """As many as the second of two clean runs asks for: the first one fills what is kept."""
        for _ in range(2):
            if request.undo:
                self.run_once(request.undo())
            answer, data, asked, _ = self.run_once(request.ask())
            if answer != request.ask()[0]:
                raise AssertionError("%s does not work without any fault: %s %r" % (request.name, answer, data[:300]))
        return [(n, last) for n in range(1, asked + 1) for last in (n, EVER)]

    def start_over(self):
        self.set_failing(0, 0)
        if self.is_running():
            self.agent.kill()
            self.agent.wait()
        self.run_agent()

    # ---- the courier, which may even die: then nobody knows ----

    def wait_for_courier(self, seconds, other_than):
        end = time.monotonic() + seconds * harness.PATIENCE
        while (pid := self.processes().get("courier")) in (None, other_than) and time.monotonic() < end:
            time.sleep(0.02)
        return pid

    def ask_a_courier_without_memory(self, first, last):
        """A new one: its start, its connection to TikTok and its question. What becomes of a check, and what was asked for and failed."""
        old = self.wait_for_courier(20, None)
        self.set_failing(first, last)
        os.kill(old, signal.SIGKILL)
        self.wait_for_courier(6, old)  # one that ends at once may never be seen
        answer, _, data = self.http("POST", "/v1/pixels/%s/check" % self.pixel, timeout=60)
        return answer, data, *self.set_failing(0, 0)

    def try_courier(self, first, last):
        """False: it needs less."""
        keeper = self.processes()["keeper"]
        answer, data, _, failed = self.ask_a_courier_without_memory(first, last)
        where = "courier, allocation %d%s: " % (first, "" if first == last else " and on")
        result = json.loads(data) if answer in (200, 503) else {}
        if answer == 200 and result["exit"] not in (0, 9, 16) or answer == 503 and result.get("class") not in ("unreachable", "conflict"):
            raise Broken("%sanswered %s %r" % (where, answer, data[:400]))
        if answer not in (200, 503):
            raise Broken("%sanswered %s %r" % (where, answer, data[:400]))
        if self.processes().get("keeper") != keeper:
            raise Broken(where + "the keeper did not live on: " + self.log()[-300:])
        shown = self.asks(200, "GET", "/v1/pixels/" + self.pixel)["pixels"][0]
        if shown["verdict"] != "healthy":
            raise Broken("%sthe verdict is %s now" % (where, shown["verdict"]))
        self.until(lambda: self.asks(200, "POST", "/v1/pixels/%s/check" % self.pixel)["exit"] == 0, 40, where + "a check that works again")
        return failed > 0

    # ---- the start, of an agent and of --once ----

    def try_start(self, first, last):
        """The whole family begins with an allocation failing: it is ready, or has ended and said why."""
        self.set_failing(first, last)
        self.agent = agent = subprocess.Popen([AGENT, "--config", self.config], env=self.oom_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                              stderr=subprocess.PIPE)
        try:
            self.wait_for_start(3)
            _, failed = self.set_failing(0, 0)
            self.wait_for_start(20)
            code = agent.poll() or 0
            if self.is_running() and not self.is_well():
                if self.is_in_libseccomp():
                    self.set_failing(0, 0)
                    self.wait_for_start(60)
                if not self.is_well():
                    raise Broken("start, allocation %d: neither ready nor ended" % first)
        finally:
            agent.terminate() if self.is_well() else agent.kill()
            said = agent.communicate(timeout=30)[1].decode("utf-8", "replace")
        self.judge_end("start", first, last, code, said)
        return failed > 0

    def is_in_libseccomp(self):
        """libseccomp 2.5.4 may turn in circles where an allocation of its own fails; the supervisor starts another keeper then."""
        status = self.read("/proc/%d/status" % self.processes()["keeper"]).decode()
        return "NoNewPrivs:\t1" in status and "Seccomp:\t0" in status

    def wait_for_start(self, seconds):
        end = time.monotonic() + seconds * harness.PATIENCE
        while self.is_running() and not self.is_well() and time.monotonic() < end:
            time.sleep(0.01)

    def oom_env(self):
        return dict(self.env, PIXELVAULT_VAULT="", LD_PRELOAD=OOM, OOM_COUNT=self.tally, OOM_ONLY=self.only, OOM_ALONG="1")

    def try_once(self, first, last):
        self.set_failing(first, last)
        r = subprocess.run([AGENT, "--once", "--config", self.config], env=self.oom_env(), capture_output=True, timeout=90)
        _, failed = self.set_failing(0, 0)
        self.judge_end("--once", first, last, r.returncode, r.stderr.decode("utf-8", "replace"))
        return failed > 0

    # ---- the start, of which a system call fails in each of its processes ----

    def strace(self, *options):
        # In a group of its own: what is left of it is ended whole.
        self.agent = subprocess.Popen(["strace", "-f", "--seccomp-bpf", "-o", self.path("trace"), *options, AGENT, "--config", self.config],
                                      env=dict(self.env, PIXELVAULT_VAULT="", ASAN_OPTIONS="detect_leaks=0"), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

    def start_call_points(self):
        """(call, error, n), up to the most that one process makes of them until it is ready."""
        self.strace("-e", "trace=" + ",".join(START_CALLS))
        self.finish_start("without a fault")
        most = {}
        for line in self.read(self.path("trace")).decode("utf-8", "replace").splitlines():
            pid, call = line.split(None, 1)
            call = call.split("(")[0]
            if call in START_CALLS:
                most[pid, call] = most.get((pid, call), 0) + 1
        return [(call, error, n) for call, error in START_CALLS.items() for n in range(1, max([0] + [c for (_, k), c in most.items() if k == call]) + 1)]

    def finish_start(self, where):
        """Ready, and then it hands out and ends as asked; or it has ended and said why."""
        agent = self.agent
        self.wait_for_start(20)
        ready = self.is_well() or self.is_well()  # the first one's connection may be what fails
        try:
            if ready:
                given = self.read_when_open()
                if given not in (None, subprocess.run([harness.VAULT, "get", self.pixel], capture_output=True, env=self.env).stdout):
                    raise Broken(where + ": another token")
                os.kill(min(pid for pid in harness.descendants(agent.pid) if pid != agent.pid), signal.SIGTERM)
            said = agent.communicate(timeout=30 * harness.PATIENCE)[1].decode("utf-8", "replace")
        except (Broken, OSError, http.client.HTTPException, subprocess.TimeoutExpired) as e:
            os.killpg(agent.pid, signal.SIGKILL)
            said = agent.communicate()[1].decode("utf-8", "replace")
            if ENDED_BY_LIBRARY in said:
                return said
            raise Broken("%s: %r; it said %s" % (where, e, said[-1400:])) from None
        if ENDED_BY_LIBRARY in said:
            return said
        if agent.returncode < 0 or "killed by signal" in said or (not ready and agent.returncode == 0) or (agent.returncode and "hint: " not in said and "; ending" not in said):
            raise Broken("%s: ended with %d: %s" % (where, agent.returncode, said[-400:]))
        return said

    def read_when_open(self):
        """The token, as soon as it is given; None: it could not be unlocked, and says so. A connection whose own call fails is
        dropped, and the next one served."""
        end = time.monotonic() + 5 * harness.PATIENCE
        dropped = 0
        while time.monotonic() < end:
            try:
                status, _, data = self.http("GET", "/v1/pixels/%s/token" % self.pixel)
            except (OSError, http.client.HTTPException):
                dropped += 1
                if dropped > 2:
                    raise
                continue
            if status == 200:
                return data
            if status != 503:
                raise Broken("answered %d: %r" % (status, data[:300]))
            time.sleep(0.02)
        return None

    def try_start_call(self, call, error, n):
        self.strace("-e", "trace=" + call, "-e", "inject=%s:error=%s:when=%d" % (call, error, n))
        self.finish_start("%s %d of each process failed with %s" % (call, n, error))
        r = subprocess.run([harness.VAULT, "verify"], capture_output=True, env=self.env)
        if r.returncode:
            raise Broken("%s %d: verify afterwards: %s" % (call, n, r.stderr))

    def judge_end(self, what, first, last, code, said):
        where = "%s, allocation %d%s: ended with %d: %s" % (what, first, "" if first == last else " and on", code, said[-400:])
        if code == 127 and "error while loading shared libraries" in said:
            return  # the loader's: the program never ran
        if code not in (0, 1, 9, 16, 17) or (code in (1, 17) and "hint: " not in said and ENDING not in said):
            raise Broken(where)
        if "keeper was killed" in said:
            raise Broken(where)
        r = subprocess.run([harness.VAULT, "verify"], capture_output=True, env=self.env)
        if r.returncode:
            raise Broken("%s; verify afterwards: %s" % (where, r.stderr))
