"""What is left of a token in the keeper's memory once it was answered, or once it was stored: nothing."""

import os
import time
import unittest

import harness
from agent_harness import AgentCase, ask

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


@unittest.skipIf(harness.IS_SANITIZED, "a sanitizer keeps copies of its own")
@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: reads another process's memory")
class Memory(AgentCase):
    def setUp(self):
        super().setUp()
        self.pid, self.token_path = self.keeper_pid(), "/v1/pixels/%s/token" % self.codes[0]

    def head(self, length):
        return ("PUT %s?check=no HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (self.token_path, length)).encode()

    def test_the_search_finds_what_is_there(self):
        kept = harness.new_token()
        self.assertTrue(traces(os.getpid(), kept))

    def test_no_trace_behind_a_read(self):
        c = self.connect()
        for headers in ({}, {"Accept": "application/json"}, {"X-Consumer": "shop"}):
            status, _, body = ask(c, "GET", self.token_path, headers)
            self.assertEqual(200, status)
            self.assertIn(self.tokens[0].encode(), body)
            self.assertEqual([], traces(self.pid, self.tokens[0]), "the connection is still open")
        c.close()
        time.sleep(0.2)
        self.assertEqual([], traces(self.pid, self.tokens[0]))

    def test_no_trace_behind_a_put(self):
        c = self.connect()
        whole, pieces, refused = harness.new_token(), harness.new_token(), harness.new_token()
        self.assertEqual(200, ask(c, "PUT", self.token_path + "?check=no", body=whole)[0])
        self.assertEqual(200, ask(c, "PUT", self.token_path + "?check=no",
                                  body=(p.encode() for p in (pieces[:7], pieces[7:23], pieces[23:])))[0])
        self.assertEqual(400, ask(c, "PUT", self.token_path + "?check=perhaps", body=refused)[0])
        self.assertEqual(404, ask(c, "PUT", "/v1/nowhere", body=refused)[0])
        for token in (whole, pieces, refused):
            self.assertEqual([], traces(self.pid, token))

    def test_no_trace_of_a_put_that_was_broken_off(self):
        token = harness.new_token()
        s = self.dial()
        s.sendall(self.head(60) + token.encode())
        time.sleep(0.2)
        s.close()
        time.sleep(0.3)
        self.assertEqual([], traces(self.pid, token))

    def test_no_trace_of_a_put_that_came_with_another_request(self):
        token = harness.new_token()
        s = self.dial()
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + self.head(40) + token.encode())
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 2:
            answers += s.recv(4096)
        self.assertEqual([], traces(self.pid, token))

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
                answers += s.recv(4096)
            self.assertEqual([], traces(self.pid, token), "the connection is still open")
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
            time.sleep(0.3)
            self.assertEqual([], traces(self.pid, token), request)


if __name__ == "__main__":
    unittest.main()
