"""What is left of a token in the keeper's memory once it was answered, or once it was stored: nothing. And that memory
is locked, or the agent does not start (T28)."""

import os
import re
import time
import unittest

import harness
import running_agent
from agent_harness import AgentCase, ask
from harness import AGENT, cases, needs, say, spread

WINDOW = 12  # bytes of a token in a row that count as a trace of it


def traces(pid, token):
    """Where the token begins, in every readable page."""
    found, needle = [], token.encode()[:WINDOW]
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            low, high = (int(part, 16) for part in span.split("-"))
            if rights[0] != "r":
                continue
            try:
                memory.seek(low)
                data = memory.read(high - low)
            except (OSError, ValueError, OverflowError):
                continue
            at = data.find(needle)
            while at >= 0:
                found.append("%x %s" % (low + at, line.split()[-1]))
                at = data.find(needle, at + 1)
    return found


def more_of(s):
    data = s.recv(4096)
    if not data:
        raise ConnectionError("closed")
    return data


@unittest.skipIf(harness.IS_SANITIZED, "a sanitizer keeps copies of its own")
@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: reads another process's memory")
class Memory(AgentCase):
    def setUp(self):
        super().setUp()
        self.pid, self.token_path = self.keeper_pid(), "/v1/pixels/%s/token" % self.codes[0]

    def head(self, length):
        return ("PUT %s?check=no HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (self.token_path, length)).encode()

    def traces_left(self, token):
        """Those that stay: whoever has the answer may look before the keeper has taken its next step, or seen that we are gone.
        That it does soon: what only a deadline of two seconds or more wipes has stayed."""
        began = looked = time.monotonic()
        while (found := traces(self.pid, token)) and looked - began < 10:
            time.sleep(0.05)
            looked = time.monotonic()
        if not found and looked > began:
            self.assertSoon(looked - began, 1, "until it was gone")
        return found

    def test_the_search_finds_what_is_there(self):
        kept = harness.new_token()
        self.assertTrue(traces(os.getpid(), kept))

    def test_no_trace_behind_a_read(self):
        c = self.connect()
        for headers in ({}, {"Accept": "application/json"}, {"X-Consumer": "shop"}):
            status, _, body = ask(c, "GET", self.token_path, headers)
            self.assertEqual(200, status)
            self.assertIn(self.tokens[0].encode(), body)
            self.assertEqual([], self.traces_left(self.tokens[0]), "the connection is still open")
        c.close()
        self.assertEqual([], self.traces_left(self.tokens[0]))

    def test_no_trace_behind_a_put(self):
        c = self.connect()
        whole, pieces, refused = harness.new_token(), harness.new_token(), harness.new_token()
        self.assertEqual(200, ask(c, "PUT", self.token_path + "?check=no", body=whole)[0])
        self.assertEqual(200, ask(c, "PUT", self.token_path + "?check=no",
                                  body=(p.encode() for p in (pieces[:7], pieces[7:23], pieces[23:])))[0])
        self.assertEqual(400, ask(c, "PUT", self.token_path + "?check=perhaps", body=refused)[0])
        self.assertEqual(404, ask(c, "PUT", "/v1/nowhere", body=refused)[0])
        for token in (whole, pieces, refused):
            self.assertEqual([], self.traces_left(token))

    def test_no_trace_of_a_put_that_was_broken_off(self):
        token = harness.new_token()
        s = self.dial()
        s.sendall(self.head(60) + token.encode())
        time.sleep(0.2)
        s.close()
        self.assertEqual(200, self.http("GET", "/healthz")[0])  # what we sent is read by now
        self.assertEqual([], self.traces_left(token))

    def test_no_trace_of_a_put_that_came_with_another_request(self):
        token = harness.new_token()
        s = self.dial()
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + self.head(40) + token.encode())
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 2:
            answers += more_of(s)
        self.assertEqual([], self.traces_left(token))

    def test_no_trace_of_a_put_that_came_with_a_read(self):
        """They are looked at as one, for the read may be of the usual kind."""
        read = ("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.token_path).encode()
        for first, second in ((read, b""), (read + read, b""), (b"", read), (read, read)):
            token = harness.new_token()
            s = self.dial()
            s.sendall(read)
            self.assertIn(b" 200 OK", s.recv(4096))
            requests = first + self.head(40) + token.encode() + second
            s.sendall(requests)
            answers = b""
            while answers.count(b"HTTP/1.1 200") < requests.count(b" HTTP/1.1"):
                answers += more_of(s)
            self.assertEqual([], self.traces_left(token), "the connection is still open")
            s.close()

    def test_no_trace_of_a_put_behind_a_read_that_is_broken_off(self):
        """Neither while the put is not whole, nor when it never will be, nor when the read has a body that it may not have."""
        for request in ("GET %s HTTP/1.1\r\nHost: x\r\n\r\nPUT %s?check=no HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n%s",
                        "GET %s HTTP/1.1\r\nHost: x\r\nX-Not: %s\r\nContent-Length: 40\r\n\r\n%s\r\n\r\n",
                        "GET %s HTTP/1.1\r\nHost: x\r\nX-Not: %s\r\nContent-Length: 60\r\n\r\n%s"):
            token = harness.new_token()
            s = self.dial()
            s.sendall((request % (self.token_path, self.token_path, token)).encode())
            time.sleep(0.2)
            s.close()
            self.assertEqual(200, self.http("GET", "/healthz")[0])  # what we sent is read by now
            self.assertEqual([], self.traces_left(token), request)


KIB, MIB = 1 << 10, 1 << 20
ARENA = MIB  # SECRET_ARENA_LARGE in core/secret.h
SOMEBODY = 23456  # without CAP_IPC_LOCK, which no limit holds back


@spread
@unittest.skipIf(harness.IS_SANITIZED, "a sanitizer takes no memory locks")
@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: sets limits of locked memory, also higher ones, for another user")
@needs("setpriv")
@needs("prlimit")
class Locking(running_agent.AgentCase):
    """The agent of an ordinary user at different limits of locked memory."""
    uses_emulator = False

    def prepare(self, required):
        self.require_locked_memory = required
        self.configure()
        self.pixel, self.secret = harness.new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--no-check")
        for where, folders, files in os.walk(self.dir):
            for name in [where, *folders, *files]:
                os.chown(os.path.join(where, name), SOMEBODY, SOMEBODY)

    def limited(self, limit):
        return ["prlimit", "--memlock=%d:%d" % (limit, limit), "setpriv", "--reuid=%d" % SOMEBODY, "--regid=%d" % SOMEBODY,
                "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]

    def locked_bytes(self):
        status = self.read("/proc/%d/status" % self.processes()["keeper"]).decode()
        self.assertRegex(status, r"(?m)^Uid:\t%d\t" % SOMEBODY)
        self.assertRegex(status, r"(?m)^CapEff:\t0+$")
        return int(re.search(r"(?m)^VmLck:\s*(\d+) kB", status).group(1)) * KIB

    def hands_out(self):
        self.assertEqual(self.secret.encode(), self.asks(200, "GET", "/v1/pixels/%s/token" % self.pixel))

    @cases(none=(0,), of_64_kib=(64 * KIB,))
    def test_where_too_little_can_be_locked_it_refuses_and_says_what_to_do(self, limit):
        self.prepare("yes")
        for program in ([AGENT], [AGENT, "--once"]):
            r = self.run_program([*self.limited(limit), *program, "--config", self.config], rc=1, timeout=60)
            self.assertRegex(r.err, r"(?m)^vault-agent: memory for secrets could not be locked$", say(r))
            self.assertRegex(r.err, r"(?m)^  hint: .*ulimit -l.*require-locked-memory", say(r))
        self.assertFalse(os.path.exists(self.socket), "it served nobody")

    @cases(none=(0,), of_64_kib=(64 * KIB,))
    def test_it_runs_there_when_that_is_allowed_and_says_so(self, limit):
        self.prepare("no")
        self.start_agent(prefix=self.limited(limit))
        self.hands_out()
        self.until(lambda: "memory not locked" in self.log(), 20, "it is said")
        self.assertEqual(0, self.locked_bytes())

    def test_it_runs_with_8_mib_and_all_of_the_arena_is_locked(self):
        self.prepare("yes")
        self.start_agent(prefix=self.limited(8 * MIB))
        self.hands_out()
        self.until(lambda: ", memory locked," in self.log(), 20, "it is said")
        self.assertGreaterEqual(self.locked_bytes(), ARENA)


if __name__ == "__main__":
    unittest.main()
