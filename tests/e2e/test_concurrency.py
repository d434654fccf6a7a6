"""Several processes on one vault: no lost update, no torn read, bounded waits. Runs alone."""

import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import Case, PATIENCE, VAULT, new_pixel, say

F_OFD_SETLK = 37


class Concurrency(Case):
    uses_emulator = False

    def test_eight_writers_and_eight_readers(self):
        pixel, rounds = new_pixel(), 20
        first = self.token()
        self.put(pixel, first, "--no-check")
        acked, problems, waits, reads = {1: first}, [], [], [0]
        lock, writing = threading.Lock(), [8]

        def run(*words, stdin=b""):
            started = time.monotonic()
            done = subprocess.run([VAULT, *words, "--json"], input=stdin, env=self.env, capture_output=True)
            took = time.monotonic() - started
            with lock:
                waits.append(took)
            return done.returncode, json.loads(done.stdout)

        def writer():
            try:
                for _ in range(rounds):
                    while True:
                        with lock:
                            token = self.token()
                        rc, doc = run("put", pixel, "--no-check", stdin=token.encode())
                        if rc == 0:
                            with lock:
                                if doc["version"] in acked:
                                    problems.append("version %d given twice" % doc["version"])
                                acked[doc["version"]] = token
                            break
                        if rc != 8:
                            problems.append("put: %d %s" % (rc, doc))
                            break
            finally:
                with lock:
                    writing[0] -= 1

        seen = []

        def reader():
            last = 0
            while writing[0]:
                rc, doc = run("get", pixel)
                if rc != 0:
                    problems.append("get: %d %s" % (rc, doc))
                    continue
                if doc["version"] < last:
                    problems.append("a reader went back from version %d to %d" % (last, doc["version"]))
                last = doc["version"]
                with lock:
                    seen.append((doc["version"], doc["token"]))

        threads = [threading.Thread(target=f) for f in [writer] * 8 + [reader] * 8]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([], problems[:5])
        self.assertEqual(list(range(1, 8 * rounds + 2)), sorted(acked), "gapless: no update was lost")
        for version, token in seen:
            self.assertEqual(acked[version], token, "a torn read")
        self.assertGreater(len(seen), 50)
        self.assertLess(max(waits), 7 * PATIENCE, "waits are bounded")
        self.assertEqual(acked[8 * rounds + 1], self.get(pixel))
        self.vault("verify")

    def test_writers_of_different_pixels(self):
        pixels = [new_pixel() for _ in range(8)]
        tokens = {p: [self.token() for _ in range(12)] for p in pixels}
        problems = []

        def writer(pixel):
            for token in tokens[pixel]:
                done = subprocess.run([VAULT, "put", pixel, "--no-check"], input=token.encode(), env=self.env, capture_output=True)
                if done.returncode != 0:
                    problems.append(done.stderr)
        threads = [threading.Thread(target=writer, args=(p,)) for p in pixels]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([], problems)
        for p in pixels:
            self.assertEqual((tokens[p][-1], 12), (self.get(p), self.json("get", p)["version"]))
        self.vault("verify")

    def test_compare_and_set_increments(self):
        """Eight processes each add their share with --if-version; the counter is the version number."""
        pixel, share = new_pixel(), 8
        won, problems = [], []

        def worker():
            mine = 0
            while mine < share:
                r = subprocess.run([VAULT, "get", pixel, "--json"], env=self.env, capture_output=True, stdin=subprocess.DEVNULL)
                now = json.loads(r.stdout)["version"] if r.returncode == 0 else 0
                r = subprocess.run([VAULT, "put", pixel, "--no-check", "--if-version", str(now)], input=os.urandom(20).hex().encode(),
                                   env=self.env, capture_output=True)
                if r.returncode == 0:
                    won.append(now + 1)
                    mine += 1
                elif r.returncode != 8:
                    problems.append(r.stderr)
                    return
        threads = [threading.Thread(target=worker) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([], problems)
        self.assertEqual(list(range(1, 8 * share + 1)), sorted(won))

    def lock_file(self):
        found = [os.path.join(self.home, n) for n in os.listdir(self.home) if n.endswith(".lock")]
        self.assertEqual([self.file + ".lock"], found)
        return found[0]

    def hold_lock(self):
        """The write lock, taken by a process of ours that then does nothing: security.md §2.5, one OFD lock on <vault>.lock."""
        fd = os.open(self.lock_file(), os.O_RDWR)
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        return fd

    def test_a_lock_that_is_not_given_back_ends_in_8_after_5_s(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        fd = self.hold_lock()
        try:
            r = self.refuses(8, "put", pixel, "--no-check", stdin=self.token())
            self.assertGreater(r.took, 4)
            self.assertLess(r.took, 8 * PATIENCE)
            r = self.vault("get", pixel)
            self.assertEqual((token, True), (r.out.decode(), r.took < 1 * PATIENCE), "reading needs no lock" + say(r))
            self.vault("status")
            self.vault("list")
        finally:
            os.close(fd)
        self.assertEqual(2, self.put_json(pixel, self.token(), "--no-check")["version"], "a refused put uses up no number")

    def test_a_lock_given_back_in_time_is_only_a_wait(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        fd = self.hold_lock()
        timer = threading.Timer(1.5, os.close, (fd,))
        timer.start()
        r = self.put(pixel, self.token(), "--no-check")
        timer.join()
        self.assertGreater(r.took, 1.2)

    def test_one_stopped_while_it_opens_the_file_is_busy_not_broken(self):
        """SQLite's own lock on making its index; it waits 10 s for whoever has it, and no setting makes that less."""
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        fd = os.open(self.file + "-shm", os.O_RDWR | os.O_CREAT, 0o600)
        # A lock that is the test's alone: another description of the file, in another process.
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 128, 1, 0))
        try:
            for words, stdin in ((("put", pixel, "--no-check"), self.token()), (("get", pixel), None)):
                r = self.refuses(8, *words, says="stopped pixelvault process", **({"stdin": stdin} if stdin else {}))
                self.assertLess(r.took, 12 * PATIENCE)
        finally:
            os.close(fd)
        self.assertEqual(token, self.get(pixel))

    def test_a_stopped_writer(self):
        """SIGSTOP at random moments of a put: the others wait at most about 5 s, and when it goes on nothing is lost. Stopped
        in the very moment of writing to the audit log it keeps readers out too (17): no token without its line; and in
        that of making SQLite's index, all who open the file (8, after 10 s)."""
        import signal
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        version, busy = 1, 0
        for i in range(12):
            p = self.start("put", pixel, "--no-check", "--json", stdin=self.token())
            time.sleep(0.0007 * i)
            p.send_signal(signal.SIGSTOP)
            if busy < 2:
                r = self.put(pixel, self.token(), "--no-check", rc=(0, 8, 17))
                version += r.rc == 0
                busy += r.rc != 0
                self.assertLess(r.took, (12 if "within 10 seconds" in r.err else 8) * PATIENCE, say(r))
            self.vault("get", pixel, rc=(0, 8, 17))
            p.send_signal(signal.SIGCONT)
            self.assertIn(p.wait(20), (0, 8))
            version += p.returncode == 0
        self.assertEqual(version, self.json("get", pixel)["version"])
        self.vault("verify")

    def test_the_lock_file_is_neither_renamed_nor_removed(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        before = os.stat(self.lock_file()).st_ino
        for _ in range(3):
            self.put(pixel, self.token(), "--no-check")
        self.vault("verify")
        self.assertEqual(before, os.stat(self.lock_file()).st_ino)

    def test_reading_while_it_is_copied_and_verified(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        stop, problems = [], []

        def verifier():
            while not stop:
                r = subprocess.run([VAULT, "verify"], env=self.env, capture_output=True, stdin=subprocess.DEVNULL)
                if r.returncode not in (0, 8):
                    problems.append((r.returncode, r.stderr))
        t = threading.Thread(target=verifier)
        t.start()
        for _ in range(30):
            token = self.token()
            self.put(pixel, token, "--no-check")
            self.assertEqual(token, self.get(pixel))
        stop.append(1)
        t.join()
        self.assertEqual([], problems[:3], "a verify during writes must not cry wolf")

    def test_init_by_two_at_once_makes_one_vault(self):
        for _ in range(10):
            file = self.path("v%d" % _, "vault.db")
            env = dict(self.env, PIXELVAULT_VAULT=file, PIXELVAULT_STATE=self.path("s%d" % _))
            ps = [subprocess.Popen([VAULT, "init", "--key-file", self.key, "--no-recovery"], env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
            done = [p.communicate()[1] for p in ps]
            self.assertEqual([0, 8], sorted(p.returncode for p in ps), done)
            self.vault("verify", env=env)


if __name__ == "__main__":
    unittest.main()
