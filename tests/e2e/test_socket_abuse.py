"""The socket under clients that misbehave: others are served in time, the abuser is closed in time, and afterwards the
agent holds no more descriptors and memory than before."""

import array
import contextlib
import os
import resource
import signal
import socket
import time
import unittest

import harness
from agent_harness import AgentCase, GoodClient, ask, is_closed

HEAD_S, REQUEST_S, WRITE_S, IDLE_S = 2, 5, 5, 30
SLACK_S = 2.5
P99_S = 0.05
PER_USER, IN_ALL = 256, 1024
GOOD = 20301


class Abusers(AgentCase):
    rules = "[access good]\nuser = %d\npixels = *\nverbs = meta read\n" % GOOD

    def setUp(self):
        super().setUp()
        # Whatever is opened at first use is open now.
        for method, path in (("GET", "/v1/pixels"), ("GET", "/v1/pixels/%s/token" % self.codes[0]), ("POST", "/v1/verify"),
                             ("POST", "/v1/pixels/%s/restore" % self.codes[0])):
            self.assertEqual(200, self.http(method, path)[0])
        time.sleep(0.6)
        self.base_fds, self.base_kib = self.descriptors(), self.memory_kib()

    def good_client(self):
        """Another user where we may be one: the limits are by user."""
        return GoodClient(self.socket, self.codes[0], self.tokens[0], self.keeper_pid(), GOOD if os.geteuid() == 0 else None)

    @contextlib.contextmanager
    def served_in_time(self):
        good = self.good_client()
        yield
        p99, count, wrong = good.finish(21)
        self.assertEqual([], wrong[:3], "of %d reads" % count)
        self.assertGreater(count, 20)
        self.assertSoon(p99, P99_S, "p99 of a good client, %d reads" % count)

    def all_is_as_before(self, extra_kib=16384):
        # Answered behind all who stood in the queue: only then is there nobody left to be let in.
        self.assertEqual(200, self.http("GET", "/v1/pixels/%s/token" % self.codes[0])[0])
        end = time.monotonic() + 30 * harness.PATIENCE
        while self.descriptors() > self.base_fds and time.monotonic() < end:
            time.sleep(0.05)
        self.assertLessEqual(self.descriptors(), self.base_fds, self.open_files())
        self.assertLess(self.memory_kib(), self.base_kib + extra_kib)

    def request(self, path=None):
        return b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % (path or "/v1/pixels/%s/token" % self.codes[0]).encode()

    def abuser(self, sends, drips=None, gap=0.1):
        """A socket that has sent something, and then perhaps goes on byte by byte."""
        s = self.dial()
        s.sendall(sends)
        return {"socket": s, "drips": drips, "gap": gap, "next": time.monotonic() + gap, "at": 0, "since": time.monotonic(),
                "closed": None}

    def run_abusers(self, abusers, until):
        """Drips, and notes when each is closed."""
        end = time.monotonic() + until
        while time.monotonic() < end and any(a["closed"] is None for a in abusers):
            for a in abusers:
                if a["closed"] is not None:
                    continue
                s = a["socket"]
                s.setblocking(False)
                try:
                    now = time.monotonic()
                    if a["drips"] and now >= a["next"] and a["at"] < len(a["drips"]):
                        s.send(a["drips"][a["at"]:a["at"] + 1])
                        a["at"] += 1
                        a["next"] = now + a["gap"]
                    if not s.recv(4096):
                        a["closed"] = time.monotonic() - a["since"]
                except BlockingIOError:
                    pass
                except OSError:
                    a["closed"] = time.monotonic() - a["since"]
            time.sleep(0.01)

    def all_are_closed_in_time(self, kinds):
        """{what: (after so many seconds, abuser, or at once)}"""
        for what, (limit, a, *at_once) in kinds.items():
            with self.subTest(what):
                self.assertIsNotNone(a["closed"], "still open after %d s" % (time.monotonic() - a["since"]))
                if not at_once:
                    self.assertGreaterEqual(a["closed"], limit - 0.6)
        for what, (limit, a, *_) in kinds.items():
            self.assertSoon(a["closed"] - limit, SLACK_S, what)
        self.all_is_as_before()


class Abuse(Abusers):
    def test_slow_and_silent_ones_are_closed_in_time(self):
        head, long_head = self.request(), b"X-Pad: " + b"a" * 500
        put = b"PUT /v1/pixels/%s/token?check=no HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" % self.codes[0].encode()
        chunked = put.replace(b"Content-Length: 40", b"Transfer-Encoding: chunked")
        kinds = {
            "half a request line": (HEAD_S, self.abuser(b"GET /v1/pi")),
            "half a head": (HEAD_S, self.abuser(head[:-2])),
            "a head byte by byte": (HEAD_S, self.abuser(head[:1], head[1:] * 30)),
            "a long head byte by byte": (HEAD_S, self.abuser(head[:-2] + b"X", long_head)),
            "blank lines": (HEAD_S, self.abuser(b"\r\n", b"\r\n" * 200)),
            "a second head byte by byte": (HEAD_S + 0.5, self.abuser(head, b"G" * 300)),
            "no body": (REQUEST_S, self.abuser(put)),
            "half a body": (REQUEST_S, self.abuser(put + b"abc")),
            "a body byte by byte": (REQUEST_S, self.abuser(put, b"abcdefghij", 1)),
            "chunks byte by byte": (REQUEST_S, self.abuser(chunked, b"1\r\na\r\n" * 50)),
        }
        half_closed = self.abuser(head[:-2])
        half_closed["socket"].shutdown(socket.SHUT_WR)
        kinds["half a head, half closed"] = (HEAD_S, half_closed, True)  # no end can come: at once is fine too
        with self.served_in_time():
            self.run_abusers([a for _, a, *_ in kinds.values()], 30 * harness.PATIENCE)
        self.all_are_closed_in_time(kinds)

    def test_thousands_of_idle_connections_cost_their_user_alone(self):
        count, opened = 5000, []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        most = 0
        with self.served_in_time():
            began = time.monotonic()
            for i in range(min(hard - 200, count)):
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.socket)  # with a time limit the kernel would not wait for room in its queue
                opened.append(s)
                if i % 250 == 0:
                    most = max(most, self.descriptors())
            self.assertLessEqual(most, self.base_fds + PER_USER + 64)
            # The newcomer is served, the oldest ones were closed for it.
            opened[-1].settimeout(30 * harness.PATIENCE)
            opened[-1].sendall(self.request())
            self.assertIn(b"200 OK", opened[-1].recv(4096))
            self.assertTrue(is_closed(opened[0], 30 * harness.PATIENCE))
            self.assertStill(time.monotonic() - began, IDLE_S - 5, "it is closed as idle by now")
            self.assertFalse(is_closed(opened[-2], 0.3))
        for s in opened:
            s.close()
        self.all_is_as_before()

    @unittest.skipUnless(os.geteuid() == 0, "NOT TESTED without root: many users")
    def test_a_crowd_of_users_takes_no_place_of_one_with_few(self):
        """All places are taken, and more are asked for: the one that has been idle longest of all keeps its own."""
        quiet = self.dial()
        quiet.sendall(self.request())
        self.assertIn(b"200 OK", quiet.recv(4096))
        groups = IN_ALL // PER_USER + 1
        told, tell = os.pipe()
        crowd = []
        for i in range(groups):
            pid = os.fork()
            if pid == 0:
                try:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
                    os.setgroups([])
                    os.setresgid(GOOD, GOOD, GOOD)
                    os.setresuid(GOOD + 1 + i, GOOD + 1 + i, GOOD + 1 + i)
                    mine = []
                    for _ in range(PER_USER + 40):
                        mine.append(socket.socket(socket.AF_UNIX))
                        mine[-1].connect(self.socket)
                    os.write(tell, b"x")
                    signal.pause()
                finally:
                    os._exit(1)
            crowd.append(pid)
        try:
            stood = b""
            while len(stood) < groups:
                stood += os.read(told, groups)
            end = time.monotonic() + 30 * harness.PATIENCE  # connect() returns before they are taken in
            while self.descriptors() < self.base_fds + IN_ALL - 8 and time.monotonic() < end:
                time.sleep(0.05)
            self.assertAlmostEqual(self.descriptors(), self.base_fds + IN_ALL, delta=8)
            time.sleep(0.3)
            quiet.sendall(self.request())
            self.assertIn(b"200 OK", quiet.recv(4096))
        finally:
            for pid in crowd:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(told)
            os.close(tell)
        quiet.close()
        self.all_is_as_before()

    def test_who_waits_counts_too(self):
        """Waiting and events have no time limit, so they must have one in number."""
        opened = []
        with self.served_in_time():
            for _ in range(PER_USER + 50):
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.socket)
                s.sendall(self.request("/v1/events"))
                opened.append(s)
            time.sleep(0.5)
            self.assertLessEqual(self.descriptors(), self.base_fds + PER_USER + 8)
        for s in opened:
            s.close()
        self.all_is_as_before()

    def test_lengths_that_lie(self):
        target = b"PUT /v1/pixels/%s/token?check=no HTTP/1.1\r\nHost: x\r\n" % self.codes[0].encode()
        with self.served_in_time():
            for length, status in ((b"999999999999999999", b"413"), (b"300000", b"413"), (b"18446744073709551615", b"4"),
                                   (b"99999999999999999999999", b"4"), (b"-1", b"4"), (b"abc", b"4"), (b"0", b"400")):
                with self.subTest(length):
                    s = self.dial()
                    s.sendall(target + b"Content-Length: " + length + b"\r\n\r\n")
                    answer = s.recv(4096)
                    # 2^64 - 1 means "unknown" to the library, which then closes without a word.
                    if answer or length != b"18446744073709551615":
                        self.assertIn(b"HTTP/1.1 " + status, answer[:20])
                    s.close()
            # Too long, but short enough to be read and refused: the connection stays.
            c = self.connect()
            self.assertEqual(413, ask(c, "PUT", "/v1/pixels/%s/token" % self.codes[0], body=b"a" * 20000)[0])
            self.assertEqual(200, ask(c, "GET", "/v1/pixels/%s/token" % self.codes[0])[0])
            c.close()
            # A chunked one that never ends.
            s = self.dial()
            s.sendall(target + b"Transfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(OSError):
                for _ in range(200):
                    s.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
            sent = time.monotonic()
            self.assertTrue(is_closed(s, 30 * harness.PATIENCE))
            self.assertSoon(time.monotonic() - sent, REQUEST_S + SLACK_S)
        self.all_is_as_before()

    def test_random_frames(self):
        count = 20000 // (10 if harness.IS_SANITIZED else 1)
        starts = [b"", b"GET ", b"PUT /v1/pixels/", b"GET /v1/pixels/%FF", b"POST /v1/check?probe=%zz HTTP/1.1\r\n",
                  b"GET /v1/pixels?" + b"label=a%3Db&" * 90 + b" HTTP/1.1\r\n\r\n", self.request(), self.request("/" * 400)]
        with self.served_in_time():
            for i in range(count):
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.socket)
                with contextlib.suppress(OSError):
                    s.sendall(harness.rng.choice(starts) + harness.rng.randbytes(harness.rng.randrange(200)))
                    if i % 50 == 0:
                        s.shutdown(socket.SHUT_WR)
                s.close()
        self.all_is_as_before()

    def test_a_client_that_half_closes_gets_its_answer(self):
        s = self.dial()
        s.sendall(self.request())
        s.shutdown(socket.SHUT_WR)
        answer, asked = b"", time.monotonic()
        while data := s.recv(4096):
            answer += data
        self.assertSoon(time.monotonic() - asked, 2, "an idle connection is closed after %d s" % IDLE_S)
        self.assertIn(self.tokens[0].encode(), answer)
        self.all_is_as_before()

    def test_readers_that_never_read(self):
        abusers = []
        with self.served_in_time():
            for path in ("/metrics", "/v1/pixels", None):
                a = self.abuser(b"")
                a["socket"].settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    for _ in range(3000):
                        a["socket"].sendall(self.request(path))
                a["since"] = time.monotonic()
                abusers.append(a)
            time.sleep(WRITE_S + SLACK_S)
            looked = time.monotonic()
            for a in abusers:
                # What was sent before it was given up can still be read, then comes the end.
                self.assertTrue(is_closed(a["socket"], 30 * harness.PATIENCE))
            self.assertStill(time.monotonic() - looked, 10, "before long they are closed as idle")
        self.all_is_as_before()

    def test_descriptors_that_are_passed_are_never_taken(self):
        held = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, held)
        with self.served_in_time():
            s = self.dial()
            for _ in range(200):
                s.sendmsg([self.request()],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [held] * 200))])
                self.assertIn(b"200 OK", s.recv(4096))
            self.assertLessEqual(self.descriptors(), self.base_fds + 2)
            targets = [os.readlink("/proc/%d/fd/%s" % (self.keeper_pid(), n))
                       for n in os.listdir("/proc/%d/fd" % self.keeper_pid())]
            self.assertLessEqual(targets.count("/dev/null"), 3)
        s.close()
        self.all_is_as_before()

    @unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: lowers another process's limit")
    def test_without_descriptors_the_agent_neither_spins_nor_forgets_its_clients(self):
        pid = self.keeper_pid()
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        good, opened = self.connect(), []
        self.assertEqual(200, ask(good, "GET", "/v1/pixels/%s/token" % self.codes[0])[0])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (self.descriptors() + 4, before[1]))
        try:
            for _ in range(60):
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.socket)  # the kernel's queue takes it
                opened.append(s)
            time.sleep(0.3)
            cpu, since = self.cpu_s(), time.monotonic()
            for _ in range(20):
                self.assertEqual(200, ask(good, "GET", "/v1/pixels/%s/token" % self.codes[0])[0])
                time.sleep(0.1)
            self.assertLess((self.cpu_s() - cpu) / (time.monotonic() - since), 0.3)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        opened[-1].settimeout(30 * harness.PATIENCE)
        opened[-1].sendall(self.request())
        self.assertIn(b"200 OK", opened[-1].recv(4096))
        for s in opened + [good]:
            s.close()
        self.all_is_as_before()

    def test_clients_that_are_stopped(self):
        """SIGSTOP in the middle of a wait, of events and of a download."""
        pids = []
        with self.served_in_time():
            for path in ("/v1/events", "/v1/pixels", "/metrics"):
                pid = os.fork()
                if pid == 0:
                    s = socket.socket(socket.AF_UNIX)
                    s.connect(self.socket)
                    s.sendall(self.request(path) * 100)
                    os.kill(os.getpid(), signal.SIGSTOP)
                    os._exit(0)
                pids.append(pid)
                os.waitpid(pid, os.WUNTRACED)
            time.sleep(1)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.all_is_as_before()

    def test_a_waiter_that_goes_away_is_forgotten(self):
        code = self.codes[0]
        with self.served_in_time():
            for _ in range(300):
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.socket)
                s.sendall(b"GET /v1/pixels/%s/token HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"1\"\r\nPrefer: wait=300\r\n\r\n"
                          % code.encode())
                s.close()
            end = time.monotonic() + 30 * harness.PATIENCE
            while self.descriptors() > self.base_fds + 2 and time.monotonic() < end:
                time.sleep(0.05)
            self.assertLessEqual(self.descriptors(), self.base_fds + 2)
        self.assertEqual(200, self.http("PUT", "/v1/pixels/%s/token?check=no" % code, body=harness.new_token())[0])
        self.tokens[0] = None


if __name__ == "__main__":
    unittest.main()
