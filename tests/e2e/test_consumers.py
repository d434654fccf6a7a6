"""The examples that fetch tokens, each against an agent played from a script: what a consumer asks, what it does while
the agent is away or locked, and that it never shows the token."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import tempfile
import threading
import time
import unittest

from harness import Case, PATIENCE, ROOT, cases, descendants, new_pixel, spread
from running_agent import AgentCase

FOLDER = os.path.join(ROOT, "examples", "consumers")
# What it takes to run each; Go is compiled once.
RUNTIMES = dict(sh=("curl", "fetch.sh", ["sh"]), py=("python3", "fetch.py", ["python3"]), mjs=("node", "fetch.mjs", ["node"]),
                php=("php", "fetch.php", ["php"]), go=("go", "fetch.go", None))
_built = {}


def command(name):
    """How to start that example; the test is skipped where its language is not installed."""
    program, file, words = RUNTIMES[name]
    if not shutil.which(program):
        raise unittest.SkipTest("NOT TESTED: %s, because %s is not installed" % (file, program))
    if words:
        return [*words, os.path.join(FOLDER, file)]
    if name not in _built:
        _built[name] = tempfile.mkdtemp(prefix="consumer-")
        unittest.addModuleCleanup(shutil.rmtree, _built[name], ignore_errors=True)
        os.spawnvpe(os.P_WAIT, "go", ["go", "build", "-o", _built[name] + "/fetch", os.path.join(FOLDER, file)],
                    dict(os.environ, GOCACHE=_built[name] + "/cache", GOFLAGS="-mod=mod", HOME=_built[name], GO111MODULE="off"))
    return [_built[name] + "/fetch"]


class Played(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The agent's part of the protocol that consumers use. Change `version` and `token` with `rotate`."""
    daemon_threads, block_on_close = True, False
    request_queue_size = 64

    def __init__(self, path, pixel, token):
        self.pixel, self.token, self.version = pixel, token, 3
        self.is_locked, self.waits, self.asked, self.reports = False, True, [], []
        self.changed, self.peers = threading.Condition(), []
        super().__init__(path, Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def get_request(self):
        peer = super().get_request()
        self.peers.append(peer[0])
        return peer

    def handle_error(self, request, address):
        pass  # a consumer that was ended in the middle

    def rotate(self, token):
        with self.changed:
            self.token, self.version = token, self.version + 1
            self.changed.notify_all()

    def end(self):
        """As when the process ends: open connections break too."""
        self.shutdown()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self.server_close()
        os.unlink(self.server_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def address_string(self):
        return "unix"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Cache-Control": "no-store", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def do_GET(self):
        agent = self.server
        agent.asked.append((time.monotonic(), self.path, dict(self.headers)))
        if self.path != "/v1/pixels/%s/token" % agent.pixel:
            return self.answer(403, b'{"type":"denied"}')
        if agent.is_locked:
            return self.answer(503, b'{"type":"locked"}', Content_Type="application/problem+json")
        known, wait = self.headers.get("If-None-Match"), self.headers.get("Prefer", "")
        with agent.changed:
            applied = {}
            if known == '"%d"' % agent.version and wait.startswith("wait=") and agent.waits:
                applied["Preference_Applied"] = wait
                agent.changed.wait(min(int(wait[5:]), 3))
            if known == '"%d"' % agent.version:
                return self.answer(304, **applied)
            return self.answer(200, agent.token.encode(), Content_Type="text/plain", ETag='"%d"' % agent.version,
                               X_Version=str(agent.version), X_Verdict="healthy", **applied)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.reports.append((self.path, json.loads(body), dict(self.headers)))
        self.answer(202, b'{"schema":1,"probe":"started"}')


LANGUAGES = {name: (name,) for name in RUNTIMES}


class Consumer:
    """Runs an example and reads its lines."""
    more_env = {}

    def follow(self, name, pixel, socket_path):
        words = command(name)
        p = self.start(*words[1:], pixel, program=words[0], stdin=None,
                       env={"PIXELVAULT_SOCKET": socket_path, "CONSUMER": "till-7", "HOME": self.path("home"), **self.more_env})
        p.lines, p.errors = [], []
        p.readers = [threading.Thread(target=lambda s=s, i=i: [i.append(line.decode()) for line in s])
                     for s, i in ((p.stdout, p.lines), (p.stderr, p.errors))]
        for reader in p.readers:
            reader.start()
        return p

    def end_children(self):
        for p in self.children:
            if p.poll() is None:
                p.kill()
            p.wait()
            for reader in getattr(p, "readers", ()):
                reader.join()
        super().end_children()

    def until(self, condition, seconds, what):
        end = time.monotonic() + max(seconds, 30) * PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail("never: " + what)
            time.sleep(0.02)


@spread
class Examples(Consumer, Case):
    uses_emulator = False
    makes_vault = False

    def setUp(self):
        super().setUp()
        self.pixel, self.socket = new_pixel(), self.path("agent.sock")
        self.first, self.second = self.token(), self.token() + "abcd"
        self.agent_played = Played(self.socket, self.pixel, self.first)
        self.addCleanup(lambda: self.agent_played.end())

    def said(self, p, version, length):
        line = '%s: version "%d", a token of %d characters\n' % (self.pixel, version, length)
        self.until(lambda: line in p.lines, 10, "%r in %r, %r" % (line, p.lines, p.errors))

    def silent(self, p):
        for token in (self.first, self.second):
            for i in range(len(token) - 7):
                self.assertNotIn(token[i:i + 8], "".join(p.lines + p.errors))

    @cases(**LANGUAGES)
    def test_takes_the_token_then_waits_for_the_next(self, name):
        p = self.follow(name, self.pixel, self.socket)
        self.said(p, 3, 40)
        self.until(lambda: len(self.agent_played.asked) >= 2, 5, "a second question")
        (_, path, first), (_, _, second) = self.agent_played.asked[:2]
        self.assertEqual("/v1/pixels/%s/token" % self.pixel, path)
        self.assertEqual("till-7", first["X-Consumer"])
        self.assertNotIn("If-None-Match", first)
        self.assertEqual(('"3"', "wait=30", "till-7"), (second["If-None-Match"], second["Prefer"], second["X-Consumer"]))
        time.sleep(0.5)
        self.assertEqual(2, len(self.agent_played.asked), "it waits for the answer")
        at = time.monotonic()
        self.agent_played.rotate(self.second)
        self.said(p, 4, 44)
        self.assertSoon(time.monotonic() - at, 1.5, "a new token is taken at once")
        self.until(lambda: len(self.agent_played.asked) >= 3, 5, "a third question")
        self.assertEqual('"4"', self.agent_played.asked[-1][2]["If-None-Match"])
        self.assertEqual(2, len(p.lines), p.lines)
        self.assertIsNone(p.poll())
        self.silent(p)

    @cases(**LANGUAGES)
    def test_a_304_is_no_news_and_asked_again(self, name):
        p = self.follow(name, self.pixel, self.socket)
        self.said(p, 3, 40)
        self.until(lambda: len(self.agent_played.asked) >= 3, 8, "a question after the 304")
        self.assertEqual((1, []), (len(p.lines), p.errors))

    @cases(**LANGUAGES)
    def test_keeps_what_it_has_while_the_agent_is_locked_and_does_not_hammer(self, name):
        p = self.follow(name, self.pixel, self.socket)
        self.said(p, 3, 40)
        self.agent_played.is_locked = True
        with self.agent_played.changed:
            self.agent_played.changed.notify_all()
        before = len(self.agent_played.asked)
        time.sleep(3)
        asked = self.agent_played.asked[before:]
        self.assertLessEqual(len(asked), 5, "it rests longer and longer")
        self.assertIsNone(p.poll(), "it goes on")
        self.assertTrue(p.errors, "and says so")
        self.agent_played.is_locked = False
        self.agent_played.rotate(self.second)
        self.said(p, 4, 44)
        self.assertEqual('"3"', self.agent_played.asked[-1][2].get("If-None-Match") if len(p.lines) == 1 else '"3"')
        self.silent(p)

    @cases(**LANGUAGES)
    def test_survives_an_agent_that_is_away_at_first_and_one_that_starts_again(self, name):
        command(name)  # is its language here?
        self.agent_played.end()
        p = self.follow(name, self.pixel, self.socket)
        self.until(lambda: p.errors, 5, "a word about the agent being away")
        self.assertIsNone(p.poll())
        self.agent_played = Played(self.socket, self.pixel, self.first)
        self.said(p, 3, 40)
        self.agent_played.end()
        self.agent_played = Played(self.socket, self.pixel, self.second)
        self.agent_played.version = 4
        self.said(p, 4, 44)
        self.silent(p)

    @cases(**LANGUAGES)
    def test_does_not_spin_where_the_agent_does_not_wait(self, name):
        self.agent_played.waits = False
        p = self.follow(name, self.pixel, self.socket)
        self.said(p, 3, 40)
        before = len(self.agent_played.asked)
        time.sleep(2)
        self.assertLessEqual(len(self.agent_played.asked) - before, 5)
        self.assertEqual([], p.errors)

    @cases(**LANGUAGES)
    def test_reports_a_refused_token(self, name):
        words = command(name)
        r = self.run_program([*words, self.pixel, "report", "40105", "20260728ABCDEF"],
                             env={"PIXELVAULT_SOCKET": self.socket, "CONSUMER": "till-7"})
        self.assertEqual("", r.err)
        self.assertEqual(1, len(self.agent_played.reports))
        path, body, headers = self.agent_played.reports[0]
        self.assertEqual(("/v1/pixels/%s/report" % self.pixel, {"code": 40105, "request_id": "20260728ABCDEF"}), (path, body))
        self.assertEqual(("application/json", "till-7"), (headers["Content-Type"], headers["X-Consumer"]))

    @cases(**LANGUAGES)
    def test_says_when_a_report_did_not_arrive(self, name):
        words = command(name)
        self.agent_played.end()
        r = self.run_program([*words, self.pixel, "report", "40105", "X"], rc=None,
                             env={"PIXELVAULT_SOCKET": self.socket})
        self.assertNotEqual(0, r.rc)
        self.agent_played = Played(self.socket, self.pixel, self.first)

    @cases(**LANGUAGES)
    def test_the_token_is_in_no_argument_and_no_file(self, name):
        real, log = shutil.which("curl"), self.path("arguments")
        os.mkdir(self.path("bin"))
        for program in ("curl", "sleep", "awk"):
            self.write(self.path("bin", program), '#!/bin/sh\nprintf "%%s\\n" "$0 $*" >>%s\nenv >>%s\nexec %s "$@"\n' %
                       (log, log, shutil.which(program) or real), 0o755)
        self.write(log, "")
        self.more_env = {"PATH": self.path("bin") + ":" + self.env["PATH"]}
        p = self.follow(name, self.pixel, self.socket)
        self.said(p, 3, 40)
        seen = b""
        self.agent_played.rotate(self.second)
        self.said(p, 4, 44)
        for pid in descendants(p.pid):
            for file in ("cmdline", "environ"):
                try:
                    seen += self.read("/proc/%d/%s" % (pid, file))
                except OSError:
                    pass
        seen += self.read(log)
        for top, _, names in os.walk(self.dir):
            for n in names:
                if not os.path.join(top, n).endswith(".sock"):
                    seen += self.read(os.path.join(top, n))
        for token in (self.first, self.second):
            self.assertNotIn(token.encode(), seen)
        if name == "sh":
            self.assertIn(b"--unix-socket", self.read(log), "curl was watched")

    def test_a_traced_shell_shows_nothing(self):
        words = command("sh")
        p = self.start("-x", *words[1:], self.pixel, program="sh", stdin=None, env={"PIXELVAULT_SOCKET": self.socket})
        self.until(lambda: len(self.agent_played.asked) >= 2, 5, "a second question")
        p.kill()
        out, err = p.communicate()
        self.assertIn(b"characters", out)
        self.assertNotIn(self.first.encode(), out + err)

    def test_every_example_has_a_test(self):
        self.assertEqual({row[1] for row in RUNTIMES.values()}, {n for n in os.listdir(FOLDER) if n.startswith("fetch.")})


@spread
class WithAnAgent(Consumer, AgentCase):
    """The same, with the agent itself."""

    def has(self, p, version):
        end = time.monotonic() + 20 * PATIENCE
        while not any('version "%d"' % version in line for line in p.lines):
            if time.monotonic() > end or p.poll() is not None:
                self.fail("no version %d in %r, %r, exit %s; the agent: %s" % (version, p.lines, p.errors, p.poll(), self.log()))
            time.sleep(0.02)

    @cases(**LANGUAGES)
    def test_follows_a_token_through_rotation_lock_and_restart(self, name):
        command(name)
        pixel, first = self.pair()
        second, third = self.more_token(pixel), self.more_token(pixel)
        self.start_agent()
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, first)
        p = self.follow(name, pixel, self.socket)
        for version, token in ((1, None), (2, second)):
            if token:
                self.asks(200, "PUT", "/v1/pixels/%s/token" % pixel, token)
            self.has(p, version)
        self.asks(200, "POST", "/v1/lock")
        self.until(lambda: p.errors, 10, "a word about the lock")
        self.asks(200, "POST", "/v1/unlock", b"")
        self.assertEqual(0, self.end_agent())
        self.start_agent()
        self.asks(200, "PUT", "/v1/pixels/%s/token" % pixel, third)
        self.has(p, 3)
        self.assertIsNone(p.poll())
        for token in (first, second, third):
            self.assertNotIn(token, "".join(p.lines + p.errors))
        self.assertEqual(3, len(p.lines), p.lines)

    @cases(**LANGUAGES)
    def test_reports(self, name):
        words = command(name)
        pixel, token = self.pair()
        self.start_agent()
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, token)
        self.emu.revoke(token)
        self.run_program([*words, pixel, "report", "40105", "20260728ABC"], env={"PIXELVAULT_SOCKET": self.socket})
        self.run_program([*words, new_pixel(), "report", "40105", "X"], rc=None, env={"PIXELVAULT_SOCKET": self.socket})


if __name__ == "__main__":
    unittest.main()
