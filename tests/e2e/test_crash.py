"""kill -9 at every syscall: afterwards the old state or the new one, acknowledged means new. Runs alone."""

import concurrent.futures
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

import harness
from harness import Case, IS_SANITIZED, STEPPER, VAULT, new_pixel, rng, traced

# What may lie in the two folders.
EXPECTED = {"vault.db", "vault.db-wal", "vault.db-shm", "vault.db.lock"}
EXPECTED_ENDINGS = (".anchor", ".audit.log", ".audit.log.lock")


class Place:
    """A copy of vault and state folder, to be wrecked."""

    def __init__(self, case, name):
        self.dir, self.env, self.fresh = case.twin(name)

    def run(self, *words, stdin=b""):
        return subprocess.run([VAULT, *words], input=stdin, env=self.env, capture_output=True, timeout=60)

    def step(self, n, *words, stdin=b""):
        """Killed at the n-th stop; (exit status, stdout, stops seen)."""
        counter = os.path.join(self.dir, "count")
        done = subprocess.run([STEPPER, counter, str(n), VAULT, *words], input=stdin, env=traced(self.env), capture_output=True, timeout=120)
        if done.returncode == 125:
            raise RuntimeError("the stepper failed: %r" % done.stderr)
        with open(counter) as f:
            return done.returncode, done.stdout, int(f.read())

    def sql(self, statement):
        db = sqlite3.connect(os.path.join(self.dir, "vault", "vault.db"))
        try:
            return db.execute(statement).fetchall()
        finally:
            db.close()

    def strays(self):
        found = []
        for top in ("vault", "state"):
            for where, _, names in os.walk(os.path.join(self.dir, top)):
                found += [os.path.relpath(os.path.join(where, n), self.dir) for n in names]
        return set(found)


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class Crash(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.old = new_pixel(), self.token()
        self.put(self.pixel, self.old, "--no-check")
        self.vault("verify")
        self.save("base")

    def everywhere(self, words, stdin, judge, most=None, tops=("vault", "state"), only_main=True, span=(0, 1)):
        """Kill `words` at every stop (or `most` of them) and judge(place, acknowledged) each time; the count is printed."""
        place = Place(self, "count" + words[0])
        place.fresh(tops)
        rc, out, stops = place.step(0, *words, stdin=stdin)
        self.assertEqual(0, rc, out)
        clean = place.strays()
        points = list(range(1 + int(span[0] * stops), 1 + int(span[1] * stops)))
        if most and len(points) > most and not os.environ.get("SOAK"):
            points = sorted(rng.sample(points, most))
        problems, killed = [], [0]

        def work(number):
            mine = Place(self, "w%d%s" % (number, words[0]))
            for n in points[number::2]:
                mine.fresh(tops)
                rc, out, _ = mine.step(n, *words, stdin=stdin)
                acknowledged = rc == 0 or b'"schema"' in out and out.endswith(b"}\n")
                killed[0] += rc == 137
                try:
                    judge(mine, acknowledged)
                    for _ in range(2):  # the second look must change nothing
                        v = mine.run("verify")
                        if v.returncode != 0:
                            raise AssertionError("verify: %d %s" % (v.returncode, v.stderr.decode()))
                    v = mine.run("audit", "verify")
                    if v.returncode != 0:
                        raise AssertionError("audit verify: %d %s" % (v.returncode, v.stderr.decode()))
                    extra = {s for s in mine.strays() if os.path.basename(s) not in EXPECTED and not s.endswith(EXPECTED_ENDINGS)} - clean
                    if extra:
                        raise AssertionError("stray files: %s" % extra)
                except AssertionError as e:
                    problems.append("killed at stop %d of %d (status %d, stdout %r): %s" % (n, stops, rc, out, e))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work, n) for n in range(2)]:
                done.result()
        harness.notes.append("%s: killed at %d of %d syscall stops" % (" ".join(words[:1] + words[2:]), killed[0], stops))
        self.assertEqual([], problems[:3], "%d problems" % len(problems))
        self.assertGreater(killed[0], 20)

    def get_is(self, place, *allowed, words=()):
        r = place.run("get", self.pixel, *words)
        if r.returncode != 0:
            raise AssertionError("get: %d %s" % (r.returncode, r.stderr.decode()))
        if r.stdout.decode() not in allowed:
            raise AssertionError("get: neither the old nor the new token")

    def test_put_without_a_check(self):
        new = self.token()

        def judge(place, acknowledged):
            self.get_is(place, *([new] if acknowledged else [self.old, new]))
        self.everywhere(["put", self.pixel, "--no-check", "--json"], new.encode(), judge, most=150 if IS_SANITIZED else None)

    def test_the_first_put_of_a_pixel(self):
        pixel, new = new_pixel(), self.token()

        def judge(place, acknowledged):
            self.get_is(place, self.old)
            r = place.run("get", pixel)
            if r.returncode == 0 and r.stdout.decode() == new or r.returncode == 3 and not acknowledged:
                return
            raise AssertionError("get: %d %r %s" % (r.returncode, r.stdout, r.stderr))
        self.everywhere(["put", pixel, "--no-check", "--json", "--label", "a=b"], new.encode(), judge, most=100 if IS_SANITIZED else None)

    def test_rm_destroy(self):
        def judge(place, acknowledged):
            r = place.run("get", self.pixel)
            if r.returncode == 3 or r.returncode == 0 and r.stdout.decode() == self.old and not acknowledged:
                return
            raise AssertionError("get: %d %r %s" % (r.returncode, r.stdout, r.stderr))
        self.everywhere(["rm", self.pixel, "--destroy", "--yes"], b"", judge, most=80 if IS_SANITIZED else None)

    def test_get_and_verify_disturb_nothing(self):
        def judge(place, acknowledged):
            self.get_is(place, self.old)
        self.everywhere(["get", self.pixel], b"", judge, most=60)
        self.everywhere(["verify"], b"", judge, most=60)

    def test_killed_again_while_it_recovers(self):
        new, third = self.token(), self.token()
        place = Place(self, "twice")
        place.fresh()
        _, _, stops = place.step(0, "put", self.pixel, "--no-check", stdin=new.encode())
        for n in sorted(rng.sample(range(1, stops), min(stops - 1, 40))):
            place.fresh()
            place.step(n, "put", self.pixel, "--no-check", stdin=new.encode())
            place.step(rng.randrange(1, stops), "put", self.pixel, "--no-check", stdin=third.encode())
            place.step(rng.randrange(1, stops), "get", self.pixel)
            self.get_is(place, self.old, new, third)
            self.assertEqual(0, place.run("verify").returncode)
            r = place.run("put", self.pixel, "--no-check", stdin=self.token().encode())
            self.assertEqual(0, r.returncode, r.stderr)

    def test_init(self):
        """Killed anywhere it leaves a vault that works, or one more init makes it so."""
        place = Place(self, "init")
        words = ["init", "--key-file", self.key, "--no-recovery"]
        place.fresh(())
        rc, _, stops = place.step(0, *words)
        self.assertEqual(0, rc)
        points = sorted(rng.sample(range(1, stops), min(stops - 1, 60 if IS_SANITIZED else 200)))
        whole = again = 0
        for n in points:
            place.fresh(())
            rc, _, _ = place.step(n, *words)
            r = place.run("list")
            if r.returncode == 0:
                whole += 1
            else:
                self.assertIn(r.returncode, (3, 7), "stop %d: %s" % (n, r.stderr))
                self.assertNotEqual(0, rc, "acknowledged means made")
                if r.returncode == 7:
                    self.assertIn(b"hint", r.stderr)
                r = place.run(*words)
                self.assertIn(r.returncode, (0, 8), "stop %d: %s" % (n, r.stderr))
                if r.returncode == 8:
                    self.fail("killed at stop %d init leaves something that neither opens nor lets init start again: %s"
                              % (n, place.run("list").stderr.decode()))
                again += 1
            self.assertEqual(0, place.run("verify").returncode)
        harness.notes.append("init: killed at %d of %d stops: %d times whole, %d times made anew" % (len(points), stops, whole, again))


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class CrashChecked(Crash):
    """A put with its probe: the courier is part of the tree."""
    uses_emulator = True

    def setUp(self):
        Case.setUp(self)
        self.pixel, self.old = self.stored()
        self.vault("verify")
        self.save("base")

    def test_put_with_a_check(self):
        new = self.more_token(self.pixel)

        def judge(place, acknowledged):
            self.get_is(place, *([new] if acknowledged else [self.old, new]))
            s = json.loads(place.run("status", self.pixel, "--json").stdout)["pixels"][0]
            numbers = {k: s[k]["version"] for k in ("previous", "current", "pending") if s[k]}
            if numbers not in ({"current": 1}, {"current": 1, "pending": 2}, {"previous": 1, "current": 2}):
                raise AssertionError("neither before, between nor after: %s" % numbers)
        self.everywhere(["put", self.pixel, "--json"], new.encode(), judge, most=100 if IS_SANITIZED else 700)

    def test_check(self):
        def judge(place, acknowledged):
            self.get_is(place, self.old)
        self.everywhere(["check", self.pixel], b"", judge, most=60 if IS_SANITIZED else 250)

    for _name in [n for n in vars(Crash) if n.startswith("test_")]:
        locals()[_name] = None
    del _name


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class CrashKeys(Crash):
    """The key file opens the vault before and after; in between there is nothing."""

    def keys(self, words, most=None, **more):
        def judge(place, acknowledged):
            self.get_is(place, self.old)
            rows = {k.split("/")[0] for k, in place.sql("SELECT k FROM kv") if "/" in k}
            if len(rows) != 1 or acknowledged and words[0] == "rotate-key" and rows != {"e2"}:
                raise AssertionError("rows of the epochs %s" % rows)
        self.everywhere([*words, "--json"], b"", judge, most, **more)

    def test_rotate_key(self):
        # Where the anchor for the new key, the commit and the anchor behind it are: a handful of stops, so each is tried.
        self.keys(["rotate-key"], 80 if IS_SANITIZED else None, span=(0 if os.environ.get("SOAK") else 0.7, 1))

    def test_slot_add(self):
        second = self.write(self.path("second"), os.urandom(32))
        self.keys(["slot", "add", "--key-file", second], 25)

    def test_rekey_with_the_same_key(self):
        self.keys(["rekey", "--same"], 25)

    for _name in [n for n in vars(Crash) if n.startswith("test_")]:
        locals()[_name] = None
    del _name


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class CrashSwap(Crash):
    """Two Pixels change in one commit: both are old or both are new."""
    uses_emulator = True

    def setUp(self):
        Case.setUp(self)
        (self.pixel, self.of_a), (self.other, self.of_b) = self.pair(), self.pair()
        self.put(self.pixel, self.of_b, "--no-check", "--test-code", "T1")
        self.put(self.other, self.of_a, "--no-check", "--test-code", "T2")

    def ready(self):
        self.vault("verify")
        self.save("base")

    def both(self, place):
        found = []
        for pixel in (self.pixel, self.other):
            s = json.loads(place.run("status", pixel, "--json").stdout)["pixels"][0]
            r = place.run("get", pixel)
            found.append((s["current"]["version"], s["pending"] and s["pending"]["version"], r.stdout.decode()))
        return found

    def judge(self, old, new):
        def judge(place, acknowledged):
            found = self.both(place)
            if found != new and (acknowledged or found != old):
                raise AssertionError("neither both old nor both new: %s" % [f[:2] for f in found])
        return judge

    def swap(self, most, *options):
        self.ready()
        old, new = [(1, None, self.of_b), (1, None, self.of_a)], [(2, None, self.of_a), (2, None, self.of_b)]
        self.everywhere(["swap", self.pixel, self.other, "--json", *options], b"", self.judge(old, new), most)

    def test_swap_at_once(self):
        self.swap(80 if IS_SANITIZED else 300, "--no-check")

    def test_swap_with_its_proof(self):
        self.swap(60 if IS_SANITIZED else 200)

    def test_move(self):
        self.vault("swap", self.pixel, self.other, "--no-check")
        stray = self.more_token(self.other)
        self.put(self.pixel, stray, rc=11)
        self.ready()
        old, new = [(2, 3, self.of_a), (2, None, self.of_b)], [(2, None, self.of_a), (3, None, stray)]
        self.everywhere(["move", self.pixel, self.other, "--json", "--no-check"], b"", self.judge(old, new),
                        most=60 if IS_SANITIZED else 200)

    for _name in [n for n in vars(Crash) if n.startswith("test_")]:
        locals()[_name] = None
    del _name


if __name__ == "__main__":
    unittest.main()
