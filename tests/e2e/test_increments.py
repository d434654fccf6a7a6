"""Compare-and-set increments by many at once, through the agent and beside it: no update is lost, no read is torn or goes
back. Every process writes down what it did; the judgement is made afterwards, from all of it.

    make concurrency    8 writers and 8 readers with 1,000 operations each; a sample in make test"""

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import threading
import time
import traceback
import unittest

import harness
from agent_harness import AgentCase, UnixConnection, ask
from harness import VAULT

OPERATIONS = int(os.environ.get("OPERATIONS", "0")) or 25
WRITERS, READERS = 8, 8
F_OFD_SETLK = 37


def counted(value, mark):
    """A token that says how often it was counted up."""
    return "%010x%s" % (value, mark)


class Increments(AgentCase):
    pixels = 2

    def setUp(self):
        super().setUp()
        self.reports, self.processes = self.path("reports"), []
        os.mkdir(self.reports)
        for code in self.codes:  # the second version of each counts from 2, so that count and version agree
            self.json_of(self.http("PUT", "/v1/pixels/%s/token?check=no" % code, body=counted(2, os.urandom(15).hex()).encode()))

    def start_one(self, work, *words):
        """A process of its own, which leaves what it did in a file."""
        pid = os.fork()
        if pid == 0:
            try:
                with open(os.path.join(self.reports, "%d" % os.getpid()), "w") as f:
                    try:
                        json.dump({"done": work(*words), "role": work.__name__}, f)
                    except BaseException:
                        json.dump({"problem": traceback.format_exc(), "role": work.__name__}, f)
            finally:
                os._exit(0)
        self.processes.append(pid)

    def is_over(self):
        return os.path.exists(self.path("over"))

    def writer(self, number):
        """[pixel, version, token] of each that was acknowledged; then how often another was first."""
        connection, done, late, mark = UnixConnection(self.socket, 60), [], 0, os.urandom(15).hex()
        while len(done) < OPERATIONS:
            pixel = self.codes[(number + len(done)) % len(self.codes)]
            status, head, body = ask(connection, "GET", "/v1/pixels/%s/token" % pixel)
            if status != 200:
                raise AssertionError("get: %d %r" % (status, body))
            version, token = int(head["x-version"]), counted(int(body[:10], 16) + 1, mark)
            status, _, body = ask(connection, "PUT", "/v1/pixels/%s/token?check=no" % pixel, {"If-Match": '"%d"' % version}, token.encode())
            if status == 200:
                done.append([pixel, json.loads(body)["version"], token])
            elif status in (409, 412):
                late += 1
            else:
                raise AssertionError("put: %d %r" % (status, body))
        return [done, late]

    def reader(self, number):
        connection, seen = UnixConnection(self.socket, 60), []
        while len(seen) < OPERATIONS or not self.is_over():
            status, head, body = ask(connection, "GET", "/v1/pixels/%s/token" % self.codes[len(seen) % len(self.codes)])
            if status != 200:
                raise AssertionError("get: %d %r" % (status, body))
            seen.append([self.codes[len(seen) % len(self.codes)], int(head["x-version"]), body.decode()])
            time.sleep(0.003)
        return seen

    def run_direct(self, *words, stdin=b""):
        done = subprocess.run([VAULT, *words, "--vault", self.file, "--json"], input=stdin, env=self.env, capture_output=True, timeout=60)
        return done.returncode, json.loads(done.stdout)

    def direct_writer(self):
        done, late, mark = [], 0, os.urandom(15).hex()
        while not self.is_over():
            pixel = self.codes[len(done) % len(self.codes)]
            rc, now = self.run_direct("get", pixel)
            if rc != 0:
                raise AssertionError("get: %d %s" % (rc, now))
            token = counted(int(now["token"][:10], 16) + 1, mark)
            rc, answer = self.run_direct("put", pixel, "--no-check", "--if-version", str(now["version"]), stdin=token.encode())
            if rc == 0:
                done.append([pixel, answer["version"], token])
            elif rc == 8:
                late += 1
            else:
                raise AssertionError("put: %d %s" % (rc, answer))
        return [done, late]

    def direct_reader(self):
        seen = []
        while not self.is_over():
            pixel = self.codes[len(seen) % len(self.codes)]
            rc, now = self.run_direct("get", pixel)
            if rc != 0:
                raise AssertionError("get: %d %s" % (rc, now))
            seen.append([pixel, now["version"], now["token"]])
        return seen

    def let_all_work(self):
        """{role: what each of it did}"""
        for n in range(WRITERS):
            self.start_one(self.writer, n)
        writers = list(self.processes)
        for n in range(READERS):
            self.start_one(self.reader, n)
        self.start_one(self.direct_writer)
        self.start_one(self.direct_reader)
        for pid in writers:
            os.waitpid(pid, 0)
        self.write(self.path("over"), b"")
        for pid in self.processes[len(writers):]:
            os.waitpid(pid, 0)
        found = {}
        for name in os.listdir(self.reports):
            report = json.loads(self.read(os.path.join(self.reports, name)))
            self.assertNotIn("problem", report, report.get("problem"))
            found.setdefault(report["role"], []).append(report["done"])
        return found

    def test_none_of_the_increments_is_lost_and_no_read_is_torn_or_goes_back(self):
        did = self.let_all_work()
        written, late = {}, 0
        for done, others in did["writer"] + did["direct_writer"]:
            late += others
            for pixel, version, token in done:
                self.assertNotIn((pixel, version), written, "a version that two were told is theirs")
                written[pixel, version] = token
        through_agent = sum(len(done) for done, _ in did["writer"])
        self.assertEqual(WRITERS * OPERATIONS, through_agent)
        for pixel in self.codes:
            versions = sorted(v for p, v in written if p == pixel)
            self.assertEqual(list(range(3, 3 + len(versions))), versions, "gapless")
            self.assertEqual([], [v for v in versions if int(written[pixel, v][:10], 16) != v], "each counted up what the one before it left")
            self.assertEqual((0, versions[-1]), (lambda rc, now: (rc, now["version"]))(*self.run_direct("get", pixel)))
        reads = 0
        for seen in did["reader"] + did["direct_reader"]:
            last = {}
            for pixel, version, token in seen:
                self.assertGreaterEqual(version, last.get(pixel, 0), "a reader went back")
                self.assertEqual(written.get((pixel, version), token), token, "a torn read")
                self.assertEqual(version, int(token[:10], 16), "a torn read")
                last[pixel] = version
            reads += len(seen)
        self.assertGreaterEqual(len(did["reader"]), READERS)
        self.assertGreater(late, 0, "they were in each other's way at all")
        self.assertTrue(did["direct_writer"][0][0] and did["direct_reader"][0], "the command line had its turns")
        self.vault("verify", "--vault", self.file)
        self.vault("audit", "verify", "--vault", self.file)
        harness.notes.append("0 of %d increments lost (%d through the agent, %d beside it; %d came too late and tried again), 0 of %d reads torn" % (
            len(written), through_agent, len(written) - through_agent, late, reads))

    def test_a_lock_that_somebody_keeps_is_busy_after_5_s_and_reads_go_on(self):
        fd = os.open(self.file + ".lock", os.O_RDWR)
        self.addCleanup(os.close, fd)
        while True:  # the agent may just have it
            with contextlib.suppress(BlockingIOError):
                fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
                break
        started = time.monotonic()
        answers = []
        put = threading.Thread(target=lambda: answers.append(
            self.http("PUT", "/v1/pixels/%s/token?check=no" % self.codes[0], body=self.token().encode())))
        put.start()
        while put.is_alive():
            asked = time.monotonic()
            self.assertEqual(200, self.http("GET", "/v1/pixels/%s/token" % self.codes[0])[0])
            self.assertSoon(time.monotonic() - asked, 2)
            time.sleep(0.05)
        took = time.monotonic() - started
        put.join()
        self.problem(answers[0], 409, "conflict")
        self.assertGreater(took, 4)
        self.assertSoon(took, 8)


if __name__ == "__main__":
    unittest.main()
