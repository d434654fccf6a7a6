"""Several processes on one vault: no lost update, no torn read, bounded waits."""

import json
import os
import subprocess
import threading
import time
import unittest

from harness import Case, VAULT, new_pixel


# Who did not get the lock in 5 s is told this, and nothing was stored. The 20th time in a row is one too many.
BUSY, TRIES = "another program is changing the vault", 20


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
                    for tried in range(1, TRIES + 1):
                        with lock:
                            token = self.token()
                        rc, doc = run("put", pixel, "--no-check", stdin=token.encode())
                        if rc == 0:
                            with lock:
                                if doc["version"] in acked:
                                    problems.append("version %d given twice" % doc["version"])
                                acked[doc["version"]] = token
                            break
                        if rc != 8 or BUSY not in doc["error"]["message"] or tried == TRIES:
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
        self.assertSoon(max(waits), 7, "waits are bounded")
        self.assertEqual(acked[8 * rounds + 1], self.get(pixel))
        self.vault("verify")

    def test_writers_of_different_pixels(self):
        pixels = [new_pixel() for _ in range(8)]
        tokens = {p: [self.token() for _ in range(12)] for p in pixels}
        problems = []

        def writer(pixel):
            for token in tokens[pixel]:
                for _ in range(TRIES):
                    done = subprocess.run([VAULT, "put", pixel, "--no-check"], input=token.encode(), env=self.env, capture_output=True)
                    if done.returncode != 8 or BUSY.encode() not in done.stderr:
                        break
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
