#!/usr/bin/env python3
"""make soak [SOAK_SECONDS=n]: one agent, everything at once, for hours.

Readers, writers, checks against the emulator and a board go on all the time. Every now and then one of: keys are changed
(rekey, rotate-key), the configuration is read again, the whole vault is verified, the disk is full for some seconds (root:
the vault lies on a tmpfs), and, in the first two fifths of the time, keeper or courier is killed with -9. The rest of the
time nobody is killed, so that the processes grow old; there memory, descriptors and p99 must not rise
(tests/soak_figures.py says how that is judged).

At all times: a token that is given is the current one of its Pixel, or one whose put got no answer; tokens are given while
the disk is full; no request fails outside of a disturbance, and 15 seconds after one all works again. At the end: the vault
verifies, the audit log verifies, each Pixel has its token, the agent ends with 0, and no token is in its log. The last line
has the figures; exit 1 when anything did not hold. The audit log takes some 400 MB in the temporary folder in six hours."""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "e2e")]

import harness  # noqa: E402
from agent_harness import ask  # noqa: E402
from harness import PATIENCE, UnixConnection  # noqa: E402
from running_agent import AgentCase  # noqa: E402
from soak_figures import MIB, judge  # noqa: E402

SECONDS = float(os.environ.get("SOAK_SECONDS") or 6 * 3600)
PIXELS, READERS, WRITERS = 200, 2, 2
STORM = 0.4  # the share of the time in which processes are killed
BACK_IN = 15 * PATIENCE
GAP = min(120, max(4, SECONDS / 30))  # between two disturbances
IS_ROOT = os.geteuid() == 0


class Book:
    """What must be true: per Pixel the current token, and those that may be it because their put got no answer."""

    def __init__(self):
        self.lock, self.current, self.perhaps = threading.Lock(), {}, {}

    def allowed(self, pixel):
        with self.lock:
            return {self.current[pixel]} | self.perhaps.get(pixel, set())

    def begin(self, pixel, token):
        with self.lock:
            self.perhaps.setdefault(pixel, set()).add(token)

    def done(self, pixel, token):
        with self.lock:
            self.current[pixel] = token
            self.perhaps.pop(pixel, None)

    def refused(self, pixel, token):
        with self.lock:
            self.perhaps[pixel].discard(token)


class Trouble:
    """Times in which requests may fail, by the kinds of answers that are then in order."""

    def __init__(self):
        self.lock, self.spans = threading.Lock(), []

    @contextlib.contextmanager
    def of(self, *kinds, rest=2):
        span = [time.monotonic(), float("inf"), kinds]
        with self.lock:
            self.spans.append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic() + rest * PATIENCE

    def excuses(self, begun, kind):
        with self.lock:
            self.spans = [s for s in self.spans if s[1] > begun - 120]
            return any(kind in kinds and begun < until and time.monotonic() > since for since, until, kinds in self.spans)


class Soak(AgentCase):
    def setUp(self):
        super().setUp()
        self.over = threading.Event()
        self.book, self.trouble = Book(), Trouble()
        self.count, self.broken, self.lock = {}, [], threading.Lock()
        self.took, self.samples = [], []
        self.dice = random.Random(harness.SEED)

    def configure(self, **more):
        if not os.path.isdir(self.path("small")):
            os.mkdir(self.path("small"), 0o700)
            if IS_ROOT:
                done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", self.path("small")])
                self.is_small = done.returncode == 0
                if self.is_small:
                    self.addCleanup(subprocess.run, ["umount", "-l", self.path("small")])
            else:
                self.is_small = False
            self.file = self.env["PIXELVAULT_VAULT"] = self.path("small", "v", "vault.db")
        super().configure(**more)

    # ---- noting ----

    def add(self, what, by=1):
        with self.lock:
            self.count[what] = self.count.get(what, 0) + by

    def breaks(self, text):
        with self.lock:
            self.broken.append("%6.1f s: %s" % (time.monotonic() - self.begun, text))
            if len(self.broken) <= 20:
                print("  BROKEN: " + self.broken[-1], flush=True)

    # ---- the load ----

    def exchange(self, held, method, path, body=None):
        """(status, kind of problem or None, body); ("gone", ...) when the connection broke"""
        try:
            held[0] = held[0] or UnixConnection(self.socket, 60 * PATIENCE)
            status, _, data = ask(held[0], method, path, {"X-Consumer": "soak"}, body)
            kind = json.loads(data)["type"] if status >= 400 else None
            return status, kind, data
        except (OSError, http.client.HTTPException) as e:
            if held[0]:
                held[0].close()
            held[0] = None
            return "gone", "gone", repr(e).encode()

    def judged(self, begun, what, got):
        """Was the answer fine? A bad one must have an excuse."""
        status, kind, data = got
        if status in (200, 202):
            self.add(what)
            return True
        self.add("excused")
        if not self.trouble.excuses(begun, kind) or (what == "gets" and kind == "storage"):
            self.breaks("%s: %s %s %s" % (what, status, kind, data[:200]))
        if status == "gone":
            time.sleep(0.05)
        return False

    def get_all_the_time(self, number):
        dice, held = random.Random(number), [None]
        while not self.over.wait(0.025):
            pixel = dice.choice(self.pixels)
            before, begun = self.book.allowed(pixel), time.monotonic()
            got = self.exchange(held, "GET", "/v1/pixels/%s/token" % pixel)
            if self.judged(begun, "gets", got):
                self.took.append(time.monotonic() - begun)
                if got[2].decode() not in before | self.book.allowed(pixel):
                    self.breaks("a get of %s gave a token that is not its own, or an old one" % pixel)

    def put_all_the_time(self, number):
        dice, held, mine = random.Random(-number), [None], self.pixels[number::WRITERS]
        while not self.over.wait(0.3):
            pixel = dice.choice(mine)
            token = self.more_token(pixel)
            begun = time.monotonic()
            self.book.begin(pixel, token)
            got = self.exchange(held, "PUT", "/v1/pixels/%s/token?check=no" % pixel, token)
            if self.judged(begun, "puts", got):
                self.book.done(pixel, token)
            elif got[0] != "gone":
                self.book.refused(pixel, token)

    def ask_tiktok(self, number):
        dice, held = random.Random(number), [None]
        while not self.over.wait(0.2):
            pixel, begun = dice.choice(self.pixels), time.monotonic()
            got = self.exchange(held, "POST", "/v1/pixels/%s/check" % pixel)
            if self.judged(begun, "checks", got):
                told = json.loads(got[2])
                if told["bad"]:
                    self.breaks("a good token of %s was judged bad" % pixel)
                elif told["exit"] and not self.trouble.excuses(begun, "unclear"):
                    self.breaks("a check of %s ended with %d: %s" % (pixel, told["exit"], got[2][:300]))

    def look(self, number):
        held = [None]
        while not self.over.wait(2):
            for path in ("/v1/pixels", "/metrics", "/v1/plan?for=3600", "/v1/alerts"):
                begun = time.monotonic()
                self.judged(begun, "looks", self.exchange(held, "GET", path))

    # ---- disturbances ----

    def is_up(self):
        told = self.health()
        return told.get("ready") and not told.get("locked")

    def wait_until_up(self, what):
        end = time.monotonic() + BACK_IN
        while not self.is_up():
            if time.monotonic() > end:
                self.breaks("%.0f s after %s the agent is not ready: %s" % (BACK_IN, what, self.health()))
                return
            time.sleep(0.05)

    def start_agent(self, **more):
        super().start_agent(**more)
        self.logs.append(self.said)

    def kill(self, name, *kinds):
        """When the keeper goes all go; then this is the service manager, and starts the agent again."""
        pid = self.processes().get(name)
        with self.trouble.of(*kinds):
            self.is_killing = True
            if pid:
                os.kill(pid, signal.SIGKILL)
                self.add("kills")
            time.sleep(0.5)
            if name == "keeper":
                self.agent.wait(BACK_IN)
                self.start_agent()
            self.wait_until_up("kill -9 of the " + name)
            self.is_killing = False

    def kill_keeper(self):
        self.kill("keeper", "gone", "locked", "unexpected", "unreachable", "unclear")

    def kill_courier(self):
        self.kill("courier", "unexpected", "unreachable", "unclear")

    def reload(self):
        with open(self.config) as f:
            text = f.read()
        self.write(self.config, text.replace("rate = 1000", "rate = 999") if "rate = 1000" in text else text.replace("rate = 999", "rate = 1000"))
        os.kill(self.agent.pid, signal.SIGHUP)
        self.add("reloads")

    def fill_the_disk(self):
        if not self.is_small:
            return
        filler = self.path("small", "filler")
        with self.trouble.of("storage"):
            with contextlib.suppress(OSError), open(filler, "wb", 0) as f:
                while f.write(bytes(1 << 16)):
                    pass
            self.over.wait(min(10, GAP / 2))
            os.remove(filler)
        self.add("full disks")

    def rekey(self):
        with self.trouble.of("locked", "conflict"):
            self.vault("rekey", "--key-file", self.path("next-key"), timeout=120)
            os.rename(self.path("next-key"), self.key)
            self.wait_until_up("rekey")
        self.add("rekeys")

    def rotate_key(self):
        with self.trouble.of("locked", "conflict"):
            self.vault("rotate-key", timeout=120)
            self.wait_until_up("rotate-key")
        self.add("rotate-keys")

    def prove(self):
        self.vault("verify", timeout=300)
        self.add("verifies")

    def disturb(self):
        calm_from = self.begun + SECONDS * STORM
        always = [self.reload, self.fill_the_disk, self.rekey, self.prove, self.rotate_key]
        turn = 0
        while not self.over.wait(GAP):
            self.is_calm = time.monotonic() > calm_from
            what = always[turn // 2 % len(always)]
            if not self.is_calm and turn % 2 == 0:
                what = [self.kill_keeper, self.kill_courier][turn // 2 % 2]
            elif self.is_calm:
                what = always[turn % len(always)]
            turn += 1
            try:
                what()
            except AssertionError as e:
                self.breaks("%s: %s" % (what.__name__, e))

    # ---- samples ----

    def sample_one(self, pid):
        try:
            with open("/proc/%d/status" % pid) as f:
                memory = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
            return memory, len(os.listdir("/proc/%d/fd" % pid))
        except (OSError, StopIteration):
            return None

    def sample(self):
        """Once a second: {"at", "calm", "p99" in ms, role: (pid, KiB, descriptors)}"""
        found = {"at": time.monotonic() - self.begun, "calm": self.is_calm}
        for role, pid in self.processes().items():
            if got := self.sample_one(pid):
                found[role] = (pid, *got)
        took, self.took = sorted(self.took), []
        if took:
            found["p99"] = took[int((len(took) - 1) * 0.99)] * 1e3
        self.samples.append(found)

    def figures(self):
        """{what: judgement} of the calm part; a courier has several lives in it, as a reload begins a new one"""
        calm = [s for s in self.samples if s["calm"]]
        judged = {"p99": judge("p99", [(s["at"], s["p99"]) for s in calm if "p99" in s])}
        for role in ("keeper", "courier", "supervisor"):
            mine = [s for s in calm if role in s]
            judged[role + " memory"] = judge("memory", [(s["at"], s[role][1]) for s in mine])
            judged[role + " descriptors"] = judge("descriptors", [(s["at"], s[role][2]) for s in mine])
        return judged

    # ---- the whole ----

    def begin(self):
        pairs = [self.pair() for _ in range(PIXELS)]
        self.pixels = [pixel for pixel, _ in pairs]
        self.write(self.path("tokens.csv"), "Pixel,Token\n" + "".join("%s,%s\n" % pair for pair in pairs))
        self.vault("import", self.path("tokens.csv"), "--no-check")
        self.book.current = dict(pairs)
        self.start_agent()

    def end(self):
        """What must be true afterwards."""
        held = [None]
        for pixel in self.pixels:
            status, _, data = self.exchange(held, "GET", "/v1/pixels/%s/token" % pixel)
            if status != 200 or data.decode() not in self.book.allowed(pixel):
                self.breaks("at the end %s has not its token: %s" % (pixel, status))
        if (rc := self.end_agent()) != 0:
            self.breaks("the agent ended with %s" % rc)
        for words in (["verify"], ["audit", "verify"]):
            r = self.vault(*words, rc=None, timeout=900)
            if r.rc != 0:
                self.breaks("%s ends with %d: %s" % (" ".join(words), r.rc, r.err[:500]))
        said = set(re.findall("[0-9a-f]{40}", "".join(line for log in self.logs for line in log)))
        if said & harness._tokens:
            self.breaks("a token is in the agent's log")

    def runTest(self):
        self.is_calm = self.is_killing = False
        self.logs = []
        self.begin()
        self.begun = time.monotonic()
        print("soak: %.0f s, SEED=%d%s" % (SECONDS, harness.SEED, "" if self.is_small else
                                           "; without full disks, which only root can make"), flush=True)
        load = [(self.get_all_the_time, i + 1) for i in range(READERS)] + [(self.put_all_the_time, i) for i in range(WRITERS)]
        load += [(self.ask_tiktok, 77), (self.look, 1)]
        threads = [threading.Thread(target=f, args=(number,)) for f, number in load] + [threading.Thread(target=self.disturb)]
        for t in threads:
            t.start()
        told = self.begun
        while time.monotonic() < self.begun + SECONDS:
            time.sleep(1)
            if not self.is_killing and self.agent.poll() is not None:
                self.breaks("the agent ended with %s: %s" % (self.agent.returncode, self.log()[-2000:]))
                break
            self.sample()
            if time.monotonic() - told > max(60, SECONDS / 24):
                told = time.monotonic()
                print("  %6.0f s: %s" % (told - self.begun, self.tell()), flush=True)
        self.over.set()
        for t in threads:
            t.join()
        self.end()
        self.report()

    def tell(self):
        with self.lock:
            return ", ".join("%d %s" % (n, what) for what, n in sorted(self.count.items())) + ", %d broken" % len(self.broken)

    def report(self):
        judged = self.figures()
        for what, j in judged.items():
            unit, by = ("MiB", MIB) if "memory" in what else ("ms", 1) if what == "p99" else ("", 1)
            print("  %-24s median %8.2f %-3s drift %+.3f, at most %.2f; %+.3f an hour: %s" % (
                what, j["median"] / by, unit, j["drift"] / by, j["limit"] / by, j["an_hour"] / by, "flat" if j["ok"] else "RISES"))
        flat = sum(j["ok"] for j in judged.values())
        print("soak: %.0f s, %s; %d of %d figures flat: %s" % (SECONDS, self.tell(), flat, len(judged),
              "passed" if flat == len(judged) and not self.broken else "FAILED"), flush=True)
        self.assertEqual([], self.broken[:20])
        self.assertEqual(len(judged), flat)


if __name__ == "__main__":
    done = unittest.TextTestRunner(verbosity=0).run(Soak())
    sys.exit(0 if done.wasSuccessful() else 1)
