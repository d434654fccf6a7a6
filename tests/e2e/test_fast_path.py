"""The usual read without the HTTP library: it answers like the library does, byte for byte, and whatever clients do with
such connections, they and the others are served."""

import array
import contextlib
import glob
import json
import os
import re
import signal
import socket
import time
import unittest

import harness
from agent_harness import AgentCase, GoodClient, ask, is_closed

OTHER = b"X-Other: 1\r\n"  # a header that only the library takes
READER, NOBODY = 20401, 20999
P99_S = 0.05


def take_answer(s, rest=b""):
    """(one whole answer, what came behind it). ConnectionError when there is none."""
    while True:
        end = rest.find(b"\r\n\r\n")
        if end >= 0:
            length = int(re.search(rb"\r\nContent-Length: (\d+)\r\n", rest[:end + 4]).group(1))
            if len(rest) >= end + 4 + length:
                return rest[:end + 4 + length], rest[end + 4 + length:]
        more = s.recv(65536)
        if not more:
            raise ConnectionError("closed behind %r" % rest)
        rest += more


def until_closed(s):
    data = b""
    while more := s.recv(65536):
        data += more
    return data


class FastCase(AgentCase):
    rules = "[access reader]\nuser = %d\npixels = {0}\nverbs = read\n" % READER

    def setUp(self):
        super().setUp()
        self.target = b"/v1/pixels/%s/token" % self.codes[0].encode()

    def request(self, more=b"", code=None):
        target = b"/v1/pixels/%s/token" % code.encode() if code else self.target
        return b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (target, more)

    def put(self, code, token):
        self.assertEqual(200, self.http("PUT", "/v1/pixels/%s/token?check=no" % code, body=token)[0])

    def put_request(self, token):
        return b"PUT %s?check=no HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
            self.target, len(token), token.encode())

    def dial_as(self, uid):
        """A connection that somebody else made."""
        if uid is None:
            return self.dial()
        ours, theirs = socket.socketpair()
        path = self.socket

        def connect_and_hand_on():
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
        self.as_user(uid, uid, [], connect_and_hand_on)
        _, extra, _, _ = ours.recvmsg(1, socket.CMSG_LEN(4))
        ours.close()
        theirs.close()
        s = socket.socket(fileno=array.array("i", extra[0][2][:4])[0])
        self.addCleanup(s.close)
        s.settimeout(60)
        return s

    def exchange(self, request, uid=None):
        """All that comes until the agent closes; our half is closed right behind the request."""
        s = self.dial_as(uid)
        s.sendall(request)
        s.shutdown(socket.SHUT_WR)
        answer = until_closed(s)
        s.close()
        return answer

    def sets_of_new_connections(self):
        """In how many of the keeper's epoll sets each of its connections is: one on the fast path, two with the library."""
        folder, counts = "/proc/%d" % self.keeper_pid(), {}
        for name in os.listdir(folder + "/fd"):
            with contextlib.suppress(OSError):
                if "eventpoll" in os.readlink(folder + "/fd/" + name):
                    for fd in re.findall(rb"tfd:\s*(\d+)", self.read(folder + "/fdinfo/" + name)):
                        counts[int(fd)] = counts.get(int(fd), 0) + 1
        return [counts[fd] for fd in sorted(counts) if fd not in self.quiet]

    def note_quiet(self):
        self.quiet = ()
        folder = "/proc/%d" % self.keeper_pid()
        self.quiet = {int(fd) for name in os.listdir(folder + "/fd") if "eventpoll" in os.readlink(folder + "/fd/" + name)
                      for fd in re.findall(rb"tfd:\s*(\d+)", self.read(folder + "/fdinfo/" + name))}

    def settles_at(self, descriptors):
        """Connections that are over cost nothing any more."""
        end = time.monotonic() + 30 * harness.PATIENCE
        while self.descriptors() > descriptors and time.monotonic() < end:
            time.sleep(0.02)
        self.assertLessEqual(self.descriptors(), descriptors, self.open_files())

    def audit_lines(self):
        return sum(self.read(p).count(b"\n") for p in glob.glob(os.path.join(self.state, "*.audit.log")))


class SameAnswers(FastCase):
    pixels = 3

    def same(self, status, more=b"", code=None, uid=None, holds=b""):
        fast = self.exchange(self.request(more, code), uid)
        library = self.exchange(self.request(more + OTHER, code), uid)
        self.assertEqual(library, fast)
        if status:
            self.assertEqual(b"HTTP/1.1 %d " % status, fast[:13])
        self.assertIn(holds, fast)
        # Again on one connection that goes on, and is handed to the library in the middle.
        s = self.dial_as(uid)
        rest = b""
        for request in (self.request(more, code), self.request(more, code), self.request(more + OTHER, code),
                        self.request(more, code)):
            s.sendall(request)
            answer, rest = take_answer(s, rest)
            self.assertEqual((fast, b""), (answer, rest))
        s.close()

    def test_to_every_kind_of_read(self):
        a, b, c = self.codes
        token = self.tokens[0].encode()
        unknown = harness.new_pixel()
        # Letters at both ends: quotes there are taken off, and a brace in front is refused as JSON.
        long_token = "a%sz" % "".join(harness.rng.choice("\"\\abc{}%&+/<>") for _ in range(4093))
        harness._tokens.add(long_token)
        self.put(b, long_token)
        table = {
            "plain": (200, b"", a, None, b"\r\n\r\n" + token),
            "with a name": (200, b"X-Consumer: shop@eu\r\n", a, None, token),
            "with all headers": (200, b"User-Agent: t/1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nAccept-Language: de\r\n"
                                 b"Connection: keep-alive\r\nX-Consumer: s\r\nIf-None-Match: \"9\"\r\n", a, None, token),
            "JSON": (200, b"Accept: application/json\r\n", a, None, b"application/json"),
            "JSON among others": (200, b"Accept: text/html, application/json;q=0.5\r\n", a, None, b"application/json"),
            "JSON of a long token": (200, b"accept:application/json\r\n", b, None, b"\\\""),
            "a long token": (200, b"", b, None, long_token.encode()),
            "not modified": (304, b"If-None-Match: \"1\"\r\n", a, None, b"ETag: \"1\""),
            "not modified, weak": (304, b"If-None-Match: \"7\", W/\"1\"\r\n", a, None, b""),
            "not modified, any": (304, b"If-None-Match: *\r\n", a, None, b""),
            "not modified, JSON": (304, b"If-None-Match: \"1\"\r\nAccept: application/json\r\n", a, None, b""),
            "modified": (200, b"If-None-Match: \"10\"\r\n", a, None, token),
            "unknown": (404, b"", unknown, None, b"not-found"),
            "no code": (400, b"", "x", None, b""),
            "a code in small letters": (400, b"", a.lower(), None, b""),
            "a name that is none": (400, b"X-Consumer: a b\r\n", a, None, b"application/problem+json"),
            "a name that is too long": (400, b"X-Consumer: %s\r\n" % (b"n" * 65), a, None, b"usage"),
        }
        if os.geteuid() == 0:
            table.update({
                "somebody else who may": (200, b"", a, READER, token),
                "somebody else who may not": (403, b"", b, READER, b"denied"),
                "somebody without a rule": (403, b"", a, NOBODY, b"denied"),
                "somebody without a rule, unknown": (403, b"", unknown, NOBODY, b"denied"),
            })
        for what, (status, more, code, uid, holds) in table.items():
            with self.subTest(what):
                self.same(status, more, code, uid, holds)
        self.assertEqual(200, self.http("DELETE", "/v1/pixels/%s?destroy=1" % c)[0])
        self.same(404, code=c)

    def test_to_the_last_read_of_a_connection(self):
        """Connection: close. The agent closes by itself, and takes nothing that stands behind it."""
        last = b"Connection: close\r\n"

        def all_of(request, *behind):
            s = self.dial()
            s.sendall(request)
            with contextlib.suppress(ConnectionError):  # it may be gone already
                for more in behind:
                    s.sendall(more)
            got = b""
            with contextlib.suppress(ConnectionError):  # said behind the answer, for what was not taken
                while more := s.recv(65536):
                    got += more
            s.close()
            return got
        for status, more, code in ((200, b"", None), (200, b"Accept: application/json\r\n", None), (304, b"If-None-Match: *\r\n", None),
                                   (404, b"", harness.new_pixel()), (400, b"X-Consumer: a b\r\n", None)):
            request, other = self.request(more + last, code), self.request(code=self.codes[1])
            expected = all_of(self.request(more + last + OTHER, code))
            self.assertEqual((b"HTTP/1.1 %d " % status, 1), (expected[:13], expected.count(b"HTTP/1.1 ")))
            self.assertIn(b"\r\nConnection: close\r\n", expected)
            self.assertEqual(expected, all_of(request))
            self.assertEqual(expected, self.exchange(request))
            self.assertEqual(expected, all_of(request + other))
            self.assertEqual(expected, all_of(request, other))
        full = self.request(last + b"User-Agent: %s\r\n" % (b"u" * (512 - len(self.request(last + b"User-Agent: \r\n")))))
        expected = all_of(self.request(last + OTHER))
        self.assertEqual(512, len(full))
        self.assertEqual(expected, all_of(full + self.request()))
        s = self.dial()  # behind others
        s.sendall(self.request())
        take_answer(s)
        s.sendall(self.request(last))
        self.assertEqual(expected, until_closed(s))

    def test_while_a_pixel_is_damaged(self):
        """Whoever is not in memory is looked for by the worker: the read is held meanwhile."""
        self.stop_agent()
        key, value = self.sql("SELECT k, v FROM kv WHERE k LIKE 'e%/m/%'")[0]
        self.sql("UPDATE kv SET v = ?, mod = (SELECT max(mod) + 1 FROM kv) WHERE k = ?", bytes(len(value)), key.decode())
        self.agent_up()
        statuses = sorted(self.http("GET", "/v1/pixels/%s/token" % code)[0] for code in self.codes)
        self.assertEqual([200, 200, 500], statuses)
        for code in self.codes:
            self.same(None, code=code)
            self.same(None, b"If-None-Match: \"1\"\r\nAccept: application/json\r\n", code=code)
        self.same(404, code=harness.new_pixel())

    def test_while_the_vault_is_locked(self):
        self.same(200)
        self.assertEqual(200, self.http("POST", "/v1/lock")[0])
        self.same(503, holds=b"locked")
        self.same(503, b"Accept: application/json\r\n", harness.new_pixel())

    def test_while_the_audit_log_takes_no_lines(self):
        log, = glob.glob(os.path.join(self.state, "*.audit.log"))
        turn = 0.1  # of the log, for which its place is proven once: it lasts 2 ms
        self.same(200)
        os.rename(log, log + ".aside")
        time.sleep(turn)
        self.same(500, holds=b"audit")
        self.same(500, b"If-None-Match: \"1\"\r\n")
        os.rename(log + ".aside", log)
        self.same(200)
        os.chmod(log, 0o644)
        time.sleep(turn)
        self.same(500, holds=b"audit")
        os.chmod(log, 0o600)
        self.same(200)
        self.vault("audit", "verify")

    def test_when_reads_are_durable(self):
        self.configure(vault={"audit-reads": "durable"})  # starts it anew
        self.agent_up()
        self.same(200, holds=self.tokens[0].encode())
        self.same(200, b"Accept: application/json\r\n")
        self.same(304, b"If-None-Match: \"1\"\r\n")
        self.same(404, code=harness.new_pixel())

    def test_a_read_is_noted_alike(self):
        self.exchange(self.request(b"X-Consumer: noted@eu\r\n"))
        self.exchange(self.request(OTHER + b"X-Consumer: noted@eu\r\n"))
        log, = glob.glob(os.path.join(self.state, "*.audit.log"))
        lines = [json.loads(line) for line in self.read(log).splitlines()]
        fast, library = [e for e in lines if e["as"] == "noted@eu" and e["verb"] == "get"]
        self.assertEqual((self.fingerprint(), 1, "ok"), (fast["fingerprint"], fast["version"], fast["result"]))
        for name in ("seq", "at", "ms", "mac"):
            fast.pop(name), library.pop(name)
        self.assertEqual(library, fast)
        self.vault("audit", "verify")

    def fingerprint(self):
        return self.http("GET", self.target.decode())[1]["x-fingerprint"]


class Connections(FastCase):
    def setUp(self):
        super().setUp()
        self.exchange(self.request())
        self.exchange(self.request(OTHER))
        time.sleep(0.1)
        self.base = self.descriptors()
        self.expected = self.exchange(self.request())
        self.assertIn(self.tokens[0].encode(), self.expected)

    @contextlib.contextmanager
    def served_in_time(self, p99_s=P99_S):
        good = GoodClient(self.socket, self.codes[0], self.tokens[0], self.keeper_pid(), READER if os.geteuid() == 0 else None)
        yield
        p99, count, wrong = good.finish(6)
        self.assertEqual([], wrong[:3], "of %d reads" % count)
        self.assertGreater(count, 5)
        self.assertSoon(p99, p99_s, "p99 of a good client, %d reads" % count)

    def test_the_usual_read_is_not_given_to_the_library(self):
        """What the other tests here compare would be the same thing twice otherwise."""
        self.note_quiet()
        s = self.dial()
        for _ in range(2):
            s.sendall(self.request(b"X-Consumer: a\r\n"))
            take_answer(s)
            self.assertEqual([1], self.sets_of_new_connections())
        s.sendall(self.request(OTHER))
        take_answer(s)
        self.assertEqual([2], self.sets_of_new_connections())

    def test_one_that_does_everything(self):
        c = self.connect()
        path = self.target.decode()
        first, second, third = self.tokens[0], harness.new_token(), harness.new_token()
        self.assertEqual((200, first.encode()), ask(c, "GET", path)[::2])
        self.assertEqual((304, b""), ask(c, "GET", path, {"If-None-Match": '"1"'})[::2])
        self.assertEqual(200, ask(c, "PUT", path + "?check=no", body=second)[0])
        self.assertEqual((200, second.encode()), ask(c, "GET", path)[::2])
        started = time.monotonic()
        status, head, _ = ask(c, "GET", path, {"If-None-Match": '"2"', "Prefer": "wait=1"})
        self.assertEqual((304, "wait=1"), (status, head.get("preference-applied")))
        self.assertGreater(time.monotonic() - started, 0.9)
        c.request("GET", path, headers={"If-None-Match": '"2"', "Prefer": "wait=20"})
        time.sleep(0.05)
        self.put(self.codes[0], third)
        answer = c.getresponse()
        self.assertEqual((200, third.encode()), (answer.status, answer.read()))
        self.assertEqual((200, third.encode()), ask(c, "GET", path)[::2])
        self.assertEqual(200, ask(c, "GET", "/healthz")[0])
        fresh = self.connect()
        for expected in (third, harness.new_token()):
            if expected != third:
                self.put(self.codes[0], expected)
            self.assertEqual((200, expected.encode()), ask(fresh, "GET", path)[::2])

    def test_a_request_that_is_cut_anywhere(self):
        request = self.request(b"X-Consumer: cut\r\n")
        lines = self.audit_lines()
        for cut in range(1, len(request)):
            s = self.dial()
            if cut % 2:  # on a connection that was served before, too
                s.sendall(self.request())
                self.assertEqual((self.expected, b""), take_answer(s))
            s.sendall(request[:cut])
            time.sleep(0.002)
            s.sendall(request[cut:])
            self.assertEqual((self.expected, b""), take_answer(s), "cut behind byte %d" % cut)
            s.sendall(request)
            self.assertEqual((self.expected, b""), take_answer(s))
            s.close()
        self.assertEqual(2 * (len(request) - 1) + len(request) // 2, self.audit_lines() - lines)
        self.settles_at(self.base)

    def test_a_request_that_comes_byte_by_byte(self):
        s = self.dial()
        for _ in range(2):
            for byte in self.request():
                s.sendall(bytes([byte]))
                time.sleep(0.001)
            self.assertEqual((self.expected, b""), take_answer(s))

    def test_other_requests_that_come_byte_by_byte(self):
        token = harness.new_token().encode()
        put = (b"PUT %s?check=no HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (self.target, len(token))) + token
        health = b"GET /healthz HTTP/1.1\nHost: x\n\n"
        s = self.dial()
        for request, status in ((self.request(), b"200"), (self.request(), b"200"), (put, b"200"), (health, b"200"),
                                (self.request(OTHER), b"200")):
            for byte in request:
                s.sendall(bytes([byte]))
                time.sleep(0.001)
            self.assertEqual(status, take_answer(s)[0][9:12])
        self.assertIn(token, self.exchange(self.request()))

    def test_several_in_one_go(self):
        other = self.exchange(self.request(code=self.codes[1]))
        self.assertIn(self.tokens[1].encode(), other)
        one, two = self.request(), self.request(code=self.codes[1])
        padded = {n: self.request(b"User-Agent: %s\r\n" % (b"u" * (n - len(self.request(b"User-Agent: \r\n")))))
                  for n in (510, 511, 512, 513, 514)}
        for requests, answers in (((one, two), (self.expected, other)), ((one, one, two, one), None),
                                  *(((padded[n], two, one), (self.expected, other, self.expected)) for n in padded),
                                  ((padded[512],) * 5 + (two,), None)):
            answers = answers or [other if r is two else self.expected for r in requests]
            s = self.dial()
            s.sendall(b"".join(requests))
            rest = b""
            for answer in answers:
                got, rest = take_answer(s, rest)
                self.assertEqual(answer, got)
            self.assertEqual(b"", rest)
            self.assertEqual(b"".join(answers), self.exchange(b"".join(requests)))
        self.assertEqual(512, len(padded[512]))

    def test_reads_around_a_put_in_one_go(self):
        new = harness.new_token()
        got = self.exchange(self.request() + self.put_request(new) + self.request())
        self.assertEqual(3, got.count(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(got.startswith(self.expected))
        self.assertTrue(got.endswith(b"\r\n\r\n" + new.encode()))

    def test_a_client_that_closes_its_half_gets_its_answer(self):
        for i in range(100):
            for request, times in ((self.request(), 1), (self.request() * 3, 3), (self.request(OTHER), 1)):
                self.assertEqual(self.expected * times, self.exchange(request))
        s = self.dial()  # also later, and behind an answer
        s.sendall(self.request())
        self.assertEqual((self.expected, b""), take_answer(s))
        s.sendall(self.request())
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(self.expected, until_closed(s))
        self.settles_at(self.base)

    def test_one_that_asks_and_never_reads(self):
        sent = 0
        with self.served_in_time():
            s = self.dial()
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                while sent < 20000:
                    s.sendall(self.request())
                    sent += 1
                    time.sleep(0.001)  # so that each comes alone, on the fast path
            self.assertLess(sent, 20000, "nobody stopped it")
            flood = self.dial(0.5)
            with contextlib.suppress(OSError):
                for _ in range(5000):
                    flood.sendall(self.request())
            self.settles_at(self.base + 3)
            got = b""
            with contextlib.suppress(ConnectionError):
                while more := s.recv(65536):
                    got += more
            whole = len(got) // len(self.expected)
            self.assertGreater(whole, 20)
            self.assertEqual(self.expected * whole, got[:whole * len(self.expected)])
            flood.close()
            time.sleep(0.2)
        s.close()
        self.settles_at(self.base)
        self.assertEqual(self.expected, self.exchange(self.request()))

    def test_a_thousand_short_ones(self):
        lines = self.audit_lines()
        for i in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(60)
            s.connect(self.socket)
            s.sendall(self.request())
            if i % 10 < 7:
                self.assertEqual((self.expected, b""), take_answer(s))
            s.close()
        self.settles_at(self.base)
        self.assertEqual(self.expected, self.exchange(self.request()))
        self.assertGreater(self.audit_lines() - lines, 700)

    def test_many_at_once_are_all_answered_and_all_noted(self):
        lines = self.audit_lines()
        many = [self.dial() for _ in range(200)]
        for _ in range(5):
            for s in many:
                s.sendall(self.request())
            for s in many:
                self.assertEqual((self.expected, b""), take_answer(s))
        self.assertEqual(1000, self.audit_lines() - lines)
        for s in many[::2]:
            s.sendall(self.request())
            s.close()  # in the middle of what is collected
        for s in many[1::2]:
            s.sendall(self.request())
        for s in many[1::2]:
            self.assertEqual((self.expected, b""), take_answer(s))
            s.close()
        self.settles_at(self.base)
        self.vault("audit", "verify")

    def test_peers_that_vanish_while_their_read_is_held(self):
        self.configure(vault={"audit-reads": "durable"})  # starts it anew
        self.agent_up()
        self.exchange(self.request())
        base = self.descriptors()
        with self.served_in_time(1):  # each read waits for the disk
            for i in range(400):
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(60)
                s.connect(self.socket)
                s.sendall(self.request())
                time.sleep((0, 0.0003, 0.001, 0.003)[i % 4])
                if i % 3 == 0:
                    s.shutdown(socket.SHUT_RDWR)
                elif i % 3 == 1:
                    s.sendall(self.request()[:i % 40])  # something behind it
                s.close()
        self.settles_at(base)
        self.assertEqual(self.expected, self.exchange(self.request()))
        many = [self.dial() for _ in range(100)]
        for s in many:
            s.sendall(self.request())
        for s in many[::2]:
            s.close()
        for s in many[1::2]:
            self.assertEqual((self.expected, b""), take_answer(s))
            s.sendall(self.request())
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(self.expected, until_closed(s))
        self.settles_at(base)

    def test_sigterm_ends_idle_ones_at_once(self):
        idle = [self.dial() for _ in range(20)]
        for s in idle[:15]:
            s.sendall(self.request())
            self.assertEqual((self.expected, b""), take_answer(s))
        started = time.monotonic()
        self.keeper.send_signal(signal.SIGTERM)
        for s in idle:
            self.assertTrue(is_closed(s, 5 * harness.PATIENCE))
        self.assertSoon(time.monotonic() - started, 0.8, "they were waited for")
        self.assertEqual(0, self.keeper.wait(60 * harness.PATIENCE))

    def test_sigterm_leaves_no_half_an_answer(self):
        """Readers that are at it: each answer they see is whole."""
        busy = [self.dial() for _ in range(8)]
        for s in busy:
            s.sendall(self.request())
        self.keeper.send_signal(signal.SIGTERM)
        for s in busy:
            s.settimeout(60)
            rest = b""
            with contextlib.suppress(ConnectionError):
                while True:
                    answer, rest = take_answer(s, rest)
                    self.assertEqual((self.expected, b""), (answer, rest))
                    s.sendall(self.request())
            self.assertEqual(b"", rest)
        self.assertEqual(0, self.keeper.wait(60 * harness.PATIENCE))

    @unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: becomes another user")
    def test_rules_of_a_reload_hold_for_open_ones(self):
        rules = self.read(self.config)
        s, nobody = self.dial_as(READER), self.dial_as(NOBODY)

        def status(who):
            who.sendall(self.request())
            return take_answer(who)[0][9:12]

        def reload(text):
            said = self.read(self.path("agent.log")).count(b"configuration reloaded")
            self.write(self.config, text)
            self.keeper.send_signal(signal.SIGHUP)
            end = time.monotonic() + 30 * harness.PATIENCE
            while self.read(self.path("agent.log")).count(b"configuration reloaded") == said:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
        self.assertEqual((b"200", b"403"), (status(s), status(nobody)))
        reload(rules.replace(b"user = %d" % READER, b"user = %d" % NOBODY))
        self.assertEqual((b"403", b"200"), (status(s), status(nobody)))
        reload(rules)
        self.assertEqual((b"200", b"403"), (status(s), status(nobody)))

    @harness.direct_only("the commands beside the agent")
    def test_a_command_beside_busy_readers_is_done_soon(self):
        pids = []
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                try:
                    # Several each, so that the agent always finds one that asks: a turn is then ended by time alone.
                    many, request = [socket.socket(socket.AF_UNIX) for _ in range(16)], self.request()
                    for s in many:
                        s.connect(self.socket)
                        s.sendall(request)
                    while True:
                        for s in many:
                            s.recv(4096)
                            s.sendall(request)
                finally:
                    os._exit(0)
            pids.append(pid)
        try:
            time.sleep(0.3)
            for _ in range(5):
                token = harness.new_token()
                done = self.vault("put", self.codes[1], "--no-check", stdin=token)
                self.assertSoon(done.took, 4)  # who waits for a lock that is never free gives up after 5
                self.assertSoon(self.vault("get", self.codes[1]).took, 4)
            for pid in pids:
                self.assertEqual((0, 0), os.waitpid(pid, os.WNOHANG), "a reader ended")
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        end = time.monotonic() + 30 * harness.PATIENCE
        while not self.exchange(self.request(code=self.codes[1])).endswith(token.encode()):
            self.assertLess(time.monotonic(), end, "the agent never saw the last put")
            time.sleep(0.05)
        self.vault("audit", "verify")


if __name__ == "__main__":
    unittest.main()
