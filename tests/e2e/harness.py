"""What every end-to-end test stands on: a fresh folder with a vault, a state folder outside it and a configuration;
the real programs; TikTok's emulator, one per test module.

A test class derives from Case. `self.vault("put", pixel, stdin=token)` runs the program and demands exit code 0;
`rc=10` demands another one; `rc=None` takes any. Every token made with `token()` is a known secret: whatever a program
prints is searched for all of them, and a test fails where one shows up in a place that is not its own."""

import atexit
import collections
import contextlib
import fcntl
import functools
import http.client
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
VAULT = os.path.join(BUILD, "vault")
AGENT = os.path.join(BUILD, "vault-agent")


def is_sanitized():
    try:
        with open(VAULT, "rb") as f:
            return b"__asan_init" in f.read()
    except OSError:
        return False



EMULATOR = os.path.join(BUILD, "tests", "tiktok-emulator")
STEPPER = os.path.join(BUILD, "tests", "stepper")

def traced(env):
    """For what runs under a tracer, which the leak checker of sanitized builds cannot."""
    return dict(env, ASAN_OPTIONS="detect_leaks=0") if IS_SANITIZED else env


# The same tests once more, with a running agent between the command line and the vault.
VIA_AGENT = os.environ.get("VIA_AGENT") == "1"
IS_SANITIZED = is_sanitized()  # slower, and no memory locks
with open(VAULT, "rb") as f:
    IS_STATIC_FRONT = b"/ld-linux" not in f.read(4096)  # on musl: what is preloaded goes by it
# With counters of what ran (make coverage): each start holds a lock on the file that they lie in, for a moment.
IS_COUNTED = os.environ.get("COUNTERS") == "1"
PATIENCE = 6 if IS_SANITIZED else 1
SEED = int(os.environ.get("SEED", "0")) or int.from_bytes(os.urandom(4), "big")
rng = random.Random(SEED)

# The names and numbers of design.md §5.
CODES = dict(enumerate("ok unexpected usage not-found locked denied wrong-key damaged conflict unreachable expired "
                       "mismatched partial bad-config due malformed unclear storage".split()))
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
FINGERPRINT = re.compile(r"tk-[0-9A-Z]{4}-[0-9A-Z]{4}")
VERDICTS = "unchecked healthy unproven expired revoked mismatched no-permission malformed".split()

notes = []  # lines that run.py prints: counts of crash points and the like


def give_children_all_signals():
    """Who runs this in the background or under nohup has signals ignored, and programs hand that on: what a test starts must
    hear them all the same. A handler is no part of what is handed on."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP, signal.SIGALRM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


give_children_all_signals()

Result = collections.namedtuple("Result", "rc out err args took")


def say(result):
    return "\n$ %s\n  exit %s after %.2f s\n  stdout: %r\n  stderr: %s" % (
        " ".join(result.args), result.rc, result.took, result.out[:2000], result.err[:3000].replace("\n", "\n          "))


def new_pixel():
    """A Pixel code of the strict shape."""
    return "D" + "".join(rng.choice("0123456789ABCDEFGHIJKLMNOPQRSTUV") for _ in range(18)) + rng.choice("0G")


_tokens = set()


def new_token():
    """40 lower-case hex digits, like the ones seen in public; known as a secret from now on."""
    t = "".join(rng.choice("0123456789abcdef") for _ in range(40))
    _tokens.add(t)
    return t


class Emulator:
    """The emulator's life and its control program."""

    def __init__(self):
        if not os.path.exists(EMULATOR):
            raise unittest.SkipTest("no " + EMULATOR)
        self.dir = tempfile.mkdtemp(prefix="emulator-")
        self.log_file = open(os.path.join(self.dir, "stderr"), "wb")
        self.started = time.monotonic()  # before the zero of the moments in its log
        self.process = subprocess.Popen([EMULATOR, "--dir", self.dir, "--die-with-parent"], stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file)
        atexit.register(self.stop)
        end = time.monotonic() + 60 * PATIENCE
        while "ready" not in self.read("stderr"):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the emulator did not start: " + open(self.log_file.name).read())
            time.sleep(0.02)
        self.base_url = self.read("base-url")
        self.ca_file = os.path.join(self.dir, "ca.pem")

    def read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read().strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ctl(self, *words):
        """One command over the control socket; what came before its "ok"."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(os.path.join(self.dir, "control"))
            s.sendall((" ".join(map(str, words)) + "\n").encode())
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while data := s.recv(1 << 20):
                answer += data
        text = answer.decode("utf-8", "replace")
        if not text.endswith("ok\n"):
            raise RuntimeError("ctl %s: %s" % (" ".join(map(str, words)), text))
        return text[:-len("ok\n")]

    def pixel(self, code):
        self.ctl("pixel", code)

    def token(self, token, *pixels):
        self.ctl("token", token, *(["pixels=" + ",".join(pixels)] if pixels else []))

    def revoke(self, token):
        self.ctl("revoke", token)

    def expire(self, token):
        self.ctl("expire", token)

    def works_again(self, token):
        self.ctl("restore", token)

    def grant(self, token, pixel):
        self.ctl("grant", token, pixel)

    def ungrant(self, token, pixel):
        self.ctl("ungrant", token, pixel)

    def knob(self, name, value):
        self.ctl("knob", name, value)

    def fault(self, name, **options):
        self.ctl("fault", name, *("%s=%s" % o for o in options.items()))

    def no_faults(self):
        self.ctl("fault", "off")

    def totals(self):
        return {k: int(v) for k, v in (l.split("=") for l in self.ctl("totals").split())}

    def requests(self):
        return self.totals()["requests"]

    def count(self, pixel):
        """{"events", "test", "dry", "refused"}"""
        return {k: int(v) for k, v in (w.split("=") for w in self.ctl("count", pixel).split())}

    def log(self, pixel=None):
        """One dictionary per request seen, oldest first; None for what is absent."""
        lines = []
        for line in self.ctl("log", 100000).splitlines():
            words = line.split()
            entry = {k: None if v == "-" else v for k, v in (w.split("=", 1) for w in words if "=" in w)}
            entry["method"], entry["path"] = [w for w in words[:4] if "=" not in w or w.startswith("/")][:2]
            entry["ms"] = int(entry["ms"])
            if pixel in (None, entry["pixel"]):
                lines.append(entry)
        return lines

    def asked(self):
        """The Pixel codes of the requests, in the order they came."""
        return [l["pixel"] for l in self.log()]

    def last_body(self):
        return json.loads(self.ctl("last-body"))

    def last_head(self):
        return self.ctl("last-head")

    def reset(self):
        self.ctl("reset")


_emulator = None


def emulator():
    global _emulator
    if _emulator is None:
        _emulator = Emulator()
    return _emulator


class Terminal:
    """A program on a pseudo-terminal of its own: what a person sees and types."""

    def __init__(self, args, env, cwd=None):
        self.args, self.seen, self.rc = args, b"", None
        self.started = time.monotonic()
        held, release = os.pipe()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.close(release)
                os.read(held, 1)
                if cwd:
                    os.chdir(cwd)
                os.execvpe(args[0], args, env)
            finally:
                os._exit(127)
        # Before the program can look at its terminal and change it.
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.modes = termios.tcgetattr(self.fd)
        os.close(held)
        os.close(release)

    def pump(self, wait):
        ready, _, _ = select.select([self.fd], [], [], wait)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)

    def expect(self, pattern, timeout=30):
        end = time.monotonic() + timeout * PATIENCE
        while True:
            found = re.search(pattern, self.text())
            if found:
                return found
            if time.monotonic() > end or not self.pump(max(0, min(0.2, end - time.monotonic()))):
                found = re.search(pattern, self.text())
                if found:
                    return found
                raise AssertionError("never saw %r on the terminal; saw %r" % (pattern, self.text()))

    def send(self, text):
        os.write(self.fd, text.encode() if isinstance(text, str) else text)

    def wait(self, timeout=30):
        end = time.monotonic() + timeout * PATIENCE
        while self.pump(0.05):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.rc = -9
                raise AssertionError("still running on the terminal; saw %r" % self.text())
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.rc = os.waitstatus_to_exitcode(status)
        return self.rc

    def text(self):
        return self.seen.decode("utf-8", "replace").replace("\r\n", "\n")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class TooLate(AssertionError):
    """Something took longer than it may."""


class Timed(unittest.TestCase):
    """Tests with limits of time. What is slow is slow each time; what the machine was too busy for is not. So a test that
    was too late somewhere is begun again, from its setUp on, and fails when it was too late three times."""

    def assertSoon(self, seconds, limit, words=""):
        if not seconds < limit * PATIENCE:
            raise TooLate("%.2f s, and may take %g s: %s" % (seconds, limit * PATIENCE, words))

    def assertStill(self, seconds, window, words=""):
        """What comes by itself after `window` seconds, on any machine and with any patience, has not come yet."""
        if not seconds < window:
            raise TooLate("%.2f s, and only within %g s it says something: %s" % (seconds, window, words))

    @contextlib.contextmanager
    def subTest(self, *words, **more):
        """Being too late is for the whole test, which begins again; any other failure is the part's own."""
        late = None
        with super().subTest(*words, **more):
            try:
                yield
            except TooLate as e:
                late = e
        if late:
            raise late

    def assertSameDay(self, day):
        """What is done once a day is done again behind midnight: `day` is today() from before it was done."""
        if day != today():
            raise TooLate("another day has begun")

    def _callTestMethod(self, method):
        for is_last in (False, False, True):
            try:
                return method()  # unittest's own would hide the lines of the test from what is told of a failure
            except TooLate as e:
                if is_last:
                    raise
                notes.append("%s is measured again: %s" % (self.id(), str(e).split("\n")[0]))
            self.doCleanups()
            self.setUp()


class Case(Timed):
    maxDiff = None
    uses_emulator = True
    makes_vault = True
    check = {}   # more of the section [check]
    tiktok = {}  # more of the section [tiktok]

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="e2e-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.home = self.path("vault")
        self.state = self.path("state")
        self.file = self.path("vault", "vault.db")
        self.key = self.path("key")
        self.config = self.path("pixelvault.ini")
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.path("home"), "LANG": "C.UTF-8",
                    "PIXELVAULT_CONFIG": self.config, "PIXELVAULT_VAULT": self.file}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.socket, self.keeper = self.path("agent.sock"), None
        if VIA_AGENT:
            del self.env["PIXELVAULT_VAULT"]
            self.addCleanup(self.stop_agent)
        os.mkdir(self.path("home"), 0o700)
        self.children = []
        self.addCleanup(self.end_children)
        self.emu = None
        if self.uses_emulator:
            self.emu = emulator()
            self.emu.reset()
        self.configure()
        if self.makes_vault:
            self.init()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def configure(self, vault=None, check=None, tiktok=None, more=""):
        """Write the configuration. None takes a key away."""
        sections = {"vault": {"path": self.file, "state-dir": self.state, "key-file": self.key},
                    "check": {"confirm-delay": "0s", "rate": "1000"},
                    "tiktok": {"timeout": "5s", "connect-timeout": "3s"}}
        if self.emu:
            sections["tiktok"].update({"base-url": self.emu.base_url, "ca-file": self.emu.ca_file})
        for name, changes in (("vault", vault), ("check", self.check), ("check", check), ("tiktok", self.tiktok),
                              ("tiktok", tiktok)):
            for key, value in (changes or {}).items():
                sections[name][key] = value
        text = ""
        for name, keys in sections.items():
            text += "[%s]\n" % name + "".join("%s = %s\n" % (k, v) for k, v in keys.items() if v is not None)
        if VIA_AGENT:
            text += "[agent]\nsocket = %s\n" % self.socket
        self.write(self.config, text + more)
        if self.keeper:
            self.stop_agent()
            self.start_agent()

    def write(self, path, data, mode=0o600):
        with open(path, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        os.chmod(path, mode)
        return path

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def init(self):
        made = self.vault("init", "--key-file", self.key, "--no-recovery")
        if VIA_AGENT:
            self.start_agent()
        return made

    # ---- the agent, when tests go through one ----

    def health(self):
        """The object of /healthz; None when nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(self.socket)
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = b""
                while data := s.recv(65536):
                    answer += data
            return json.loads(answer.split(b"\r\n\r\n", 1)[1])
        except (OSError, ValueError, IndexError):
            return None

    def start_agent(self):
        self.keeper_log = open(self.path("agent.log"), "ab")
        self.keeper = subprocess.Popen([AGENT, "--config", self.config], stdin=subprocess.DEVNULL, env=self.env,
                                       stdout=self.keeper_log, stderr=self.keeper_log, cwd=self.dir)
        end = time.monotonic() + 60 * PATIENCE
        while not (self.health() or {}).get("ready"):
            if self.keeper.poll() is not None or time.monotonic() > end:
                self.fail("the agent is not ready: " + self.read(self.path("agent.log")).decode("utf-8", "replace"))
            time.sleep(0.01)

    def stop_agent(self):
        """It must end when told to, and must not have logged a token."""
        if not self.keeper:
            return
        keeper, self.keeper = self.keeper, None
        keeper.terminate()
        try:
            keeper.wait(60 * PATIENCE)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
            self.fail("the agent did not end")
        finally:
            self.keeper_log.close()
        text = self.read(self.path("agent.log")).decode("utf-8", "replace")
        for word in re.findall(r"[0-9a-f]{40}", text):
            self.assertNotIn(word, _tokens, "a token in the agent's log")
        self.assertNotIn("Sanitizer", text)

    # ---- running ----

    def run_program(self, args, stdin=b"", rc=0, env=None, timeout=60, says_token=False, **more):
        full = dict(self.env)
        for name, value in (env or {}).items():
            if value is None:
                full.pop(name, None)
            else:
                full[name] = value
        if isinstance(stdin, str):
            stdin = stdin.encode()
        started = time.monotonic()
        try:
            done = subprocess.run(args, input=stdin, capture_output=True, env=full, timeout=timeout * PATIENCE,
                                  cwd=more.pop("cwd", self.dir), **more)
        except subprocess.TimeoutExpired as e:
            self.fail("did not end within %d s: %s\nstdout %r\nstderr %r" % (timeout, " ".join(args), e.stdout, e.stderr))
        r = Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"), args, time.monotonic() - started)
        if IS_SANITIZED and "Sanitizer" in r.err:
            self.fail("the sanitizer has something to say" + say(r))
        self.no_token_in(r, says_token)
        if r.rc < 0:
            self.fail("died of signal %d" % -r.rc + say(r))
        if rc is not None and r.rc not in (rc if isinstance(rc, (tuple, set, list)) else (rc,)):
            self.fail("expected exit %s" % (rc,) + say(r))
        return r

    def no_token_in(self, r, says_token):
        out = r.out.decode("latin-1")
        for text, what in ((r.err, "stderr"),) + (() if says_token else ((out, "stdout"),)):
            for word in re.findall(r"[0-9a-f]{40}", text):
                if word in _tokens:
                    self.fail("a token on " + what + say(r))

    def vault(self, *args, **more):
        more.setdefault("says_token", any(a in ("get", "run") for a in args[:3]))
        return self.run_program([VAULT, *args], **more)

    def agent(self, *args, **more):
        return self.run_program([AGENT, *args], **more)

    def json(self, *args, **more):
        """The one JSON object that the command prints with --json."""
        return self.object(self.vault(*args, "--json", **more))

    def object(self, r):
        try:
            doc = json.loads(r.out.decode())
        except ValueError as e:
            self.fail("not one JSON object: %s" % e + say(r))
        self.assertIsInstance(doc, dict)
        self.assertEqual(1, doc.get("schema"), say(r))
        return doc

    def error(self, rc, *args, **more):
        """The command must fail with rc; ["error"] of its JSON, its shape proven."""
        r = self.vault(*args, "--json", rc=rc, **more)
        doc = self.object(r)
        self.assertEqual({"schema", "error"}, set(doc), say(r))
        e = doc["error"]
        self.assertLessEqual({"code", "exit", "message", "hint"}, set(e), say(r))
        self.assertEqual((CODES[r.rc], r.rc), (e["code"], e["exit"]), say(r))
        self.assertTrue(e["message"] and e["hint"], say(r))
        return e

    def refuses(self, rc, *args, says=(), **more):
        """The command must fail with rc, and stderr must have an error line, a hint line, and the words of `says`."""
        r = self.vault(*args, rc=rc, **more)
        self.assertRegex(r.err, r"(?m)^vault: \S", say(r))
        self.assertRegex(r.err, r"(?m)^  hint: \S", say(r))
        for words in [says] if isinstance(says, str) else says:
            self.assertRegex(r.err, "(?i)" + words, say(r))
        return r

    def start(self, *args, env=None, stdin=b"", program=VAULT, prefix=(), **more):
        """A program left running; ended with the test."""
        p = subprocess.Popen([*prefix, program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env={**self.env, **(env or {})}, cwd=self.dir, **more)
        self.children.append(p)
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                p.stdin.write(stdin.encode() if isinstance(stdin, str) else stdin)
                p.stdin.close()
            p.stdin = None  # communicate() would write to it
        return p

    def end_children(self):
        for p in self.children:
            if p.poll() is None:
                p.kill()
            p.wait()
            for stream in (p.stdin, p.stdout, p.stderr):
                if stream:
                    stream.close()

    def terminal(self, *args, env=None, program=VAULT):
        full = dict(self.env, TERM="xterm")
        for name, value in (env or {}).items():
            if value is None:
                full.pop(name, None)
            else:
                full[name] = value
        return Terminal([program, *args], full, self.dir)

    # ---- what tests are made of ----

    def token(self):
        return new_token()

    def pair(self, **put):
        """A Pixel and a token that TikTok accepts for it."""
        pixel, token = new_pixel(), new_token()
        self.emu.pixel(pixel)
        self.emu.token(token, pixel)
        return pixel, token

    def more_token(self, pixel):
        """Another token that TikTok accepts for the Pixel."""
        token = new_token()
        self.emu.token(token, pixel)
        return token

    def stored(self, test_code="TEST12345"):
        """A pair already in the vault and, with a test code, proven healthy."""
        pixel, token = self.pair()
        self.put(pixel, token, *(["--test-code", test_code] if test_code else []))
        return pixel, token

    def put(self, pixel, token, *options, **more):
        return self.vault("put", pixel, *options, stdin=token, **more)

    def put_json(self, pixel, token, *options, **more):
        return self.json("put", pixel, *options, stdin=token, **more)

    def get(self, pixel, *options, **more):
        return self.vault("get", pixel, *options, **more).out.decode()

    def status(self, pixel):
        doc = self.json("status", pixel)
        self.assertEqual([pixel], [p["pixel"] for p in doc["pixels"]])
        return doc["pixels"][0]

    def files(self):
        """All files under the vault's and the state folder, with their content."""
        found = {}
        for top in (self.home, self.state):
            for where, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(where, name)
                    with contextlib.suppress(FileNotFoundError):
                        found[os.path.relpath(path, self.dir)] = self.read(path)
        return found

    def sql(self, statement, *values, path=None):
        db = sqlite3.connect(path or self.file, isolation_level=None)
        try:
            db.text_factory = bytes
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    def save(self, name):
        """A copy of vault and state folder, to be put back with `restore`."""
        for top in ("vault", "state"):
            shutil.rmtree(self.path("saved", name, top), ignore_errors=True)
            shutil.copytree(self.path(top), self.path("saved", name, top), symlinks=True)

    def restore(self, name, *tops):
        for top in tops or ("vault", "state"):
            shutil.rmtree(self.path(top), ignore_errors=True)
            shutil.copytree(self.path("saved", name, top), self.path(top), symlinks=True)

    def twin(self, name):
        """An own place for a copy of this vault, for work in parallel: (folder, environment, fill). fill() copies the
        vault and state folder saved as "base" there. An anchor belongs to a path, so the twin's is made by an init there."""
        folder = self.path(name)
        os.mkdir(folder, 0o700)
        file, state = os.path.join(folder, "vault", "vault.db"), os.path.join(folder, "state")
        env = dict(self.env, PIXELVAULT_VAULT=file, PIXELVAULT_STATE=state)
        self.vault("init", "--key-file", self.key, "--no-recovery", env=env)
        mine = {n for n in os.listdir(state) if n.endswith(".anchor")}
        theirs = {n for n in os.listdir(self.path("saved", "base", "state")) if n.endswith(".anchor")}
        self.assertEqual((1, 1), (len(mine), len(theirs)))
        old, new = theirs.pop()[:-len("anchor")], mine.pop()[:-len("anchor")]

        def fill(tops=("vault", "state")):
            for top in ("vault", "state"):
                shutil.rmtree(os.path.join(folder, top), ignore_errors=True)
            for top in tops:
                shutil.copytree(self.path("saved", "base", top), os.path.join(folder, top))
            if "state" in tops:
                for ending in ("anchor", "audit.log", "audit.log.lock"):
                    os.rename(os.path.join(state, old + ending), os.path.join(state, new + ending))
        return folder, env, fill

    def assertMoment(self, text):
        self.assertIsInstance(text, str)
        self.assertRegex(text, "^" + MOMENT.pattern + "$")


def cases(**table):
    """Make one test of each row: the method's name + the row's name, called with the row's values."""
    def mark(method):
        method.cases = table
        return method
    return mark


def spread(cls):
    """Class decorator that unfolds `cases`."""
    for name, method in list(vars(cls).items()):
        table = getattr(method, "cases", None)
        if table is None:
            continue
        delattr(cls, name)
        for row, values in table.items():
            def test(self, method=method, values=values):
                return method(self, *values) if isinstance(values, tuple) else method(self, values)
            test.__name__ = "%s__%s" % (name, row)
            test.__qualname__ = "%s.%s" % (cls.__name__, test.__name__)
            test.__doc__ = method.__doc__
            setattr(cls, test.__name__, test)
    return cls


def direct_only(reason):
    """For what makes sense only where the command opens the vault itself."""
    return unittest.skipIf(VIA_AGENT, "direct only: " + reason)


def needs(program):
    return unittest.skipUnless(shutil.which(program), "no " + program)


def today():
    """As the programs count days."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def is_there(pid):
    """A process that has ended and that nobody waits for is not."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def free_port():
    """A port for a program that is yet to be started: none of those that the kernel gives to whoever connects or lets it choose,
    as all other tests do."""
    first, last = 32768, 60999
    with contextlib.suppress(OSError), open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first, last = map(int, f.read().split())
    others = [*range(10000, first), *range(last + 1, 65000)] or [0]  # all may be the kernel's
    while True:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", random.SystemRandom().choice(others)))
            return s.getsockname()[1]


def descendants(pid):
    """pid and all processes below it."""
    children = collections.defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            with open("/proc/%s/stat" % name) as f:
                children[int(f.read().rsplit(")", 1)[1].split()[1])].append(int(name))
    found, rest = [], [pid]
    while rest:
        at = rest.pop()
        found.append(at)
        rest += children[at]
    return found
