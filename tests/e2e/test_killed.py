"""kill -9 at system calls of each command that touches keys, backups and logs, and once more while the next command mends
what that left: the old state or the new one, acknowledged means new, and the log explains it. A few of the
stops; every second one with CRASH_EVERY=2 (make crash), all with SOAK=1."""

import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import unittest

import harness
from harness import Case, IS_SANITIZED, STEPPER, VAULT, new_pixel, rng, traced

EVERY = 1 if os.environ.get("SOAK") else int(os.environ.get("CRASH_EVERY") or 0)
SAMPLE = 2 if IS_SANITIZED else 3
EXPECTED = {"vault.db", "vault.db-wal", "vault.db-shm", "vault.db.lock"}
EXPECTED_ENDINGS = (".anchor", ".audit.log", ".audit.log.lock", ".wrong-keys", ".backup")
KEPT = re.compile(r"\.before-[0-9a-f]{16}$")  # what restore and init put aside and tell of


class Place:
    """A copy of the prepared folders, to be wrecked; commands run in it, so that they name files shortly."""

    def __init__(self, case, name):
        self.dir, self.env, self.fill = case.twin(name)
        self.counter = os.path.join(case.dir, name + ".count")

    def fresh(self, tops):
        for name in os.listdir(self.dir):
            path = os.path.join(self.dir, name)
            if os.path.isfile(path):
                os.remove(path)
        self.fill(tops)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def run(self, *words, stdin=b"", key=None, rc=None):
        env = dict(self.env, **({"PIXELVAULT_KEY_FILE": key} if key else {}))
        r = subprocess.run([VAULT, *words], input=stdin, env=env, cwd=self.dir, capture_output=True, timeout=120)
        if rc is not None and r.returncode not in (rc if isinstance(rc, tuple) else (rc,)):
            raise AssertionError("%s: %d %r %s" % (" ".join(words), r.returncode, r.stdout[:300], r.stderr.decode()))
        return r

    def step(self, n, *words, stdin=b""):
        """Killed at the n-th stop; (exit status, stdout, stops seen)."""
        done = subprocess.run([STEPPER, self.counter, str(n), VAULT, *words], input=stdin, env=traced(self.env), cwd=self.dir,
                              capture_output=True, timeout=180)
        if done.returncode == 125:
            raise RuntimeError("the stepper failed: %r" % done.stderr)
        with open(self.counter) as f:
            return done.returncode, done.stdout, int(f.read())

    def files(self):
        return {os.path.relpath(os.path.join(where, n), self.dir) for where, _, names in os.walk(self.dir) for n in names}


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class Killed(Case):
    """What a test gives: the words of the command, how it is judged, and what goes on from there and is killed again."""
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.old = new_pixel(), self.token()
        self.put(self.pixel, self.old, "--no-check")
        self.other, self.others = new_pixel(), self.token()
        self.put(self.other, self.others, "--no-check")

    def ready(self):
        """The state that each kill begins with."""
        self.vault("verify")
        self.save("base")

    def everywhere(self, words, judge, mend=None, tops=("vault", "state"), stdin=b"", key=None):
        self.words, self.judge, self.mend, self.tops, self.stdin, self.last_key = words, judge, mend or words, tops, stdin, key
        self.allowed = set()
        place = Place(self, "count")
        place.fresh(tops)
        rc, out, stops = place.step(0, *words, stdin=stdin)
        self.assertEqual(0, rc, out)
        self.allowed = place.files()
        points = list(range(1 + rng.randrange(EVERY), stops + 1, EVERY)) if EVERY else sorted(rng.sample(range(1, stops + 1), SAMPLE))
        self.problems, self.killed, self.twice = [], [0, 0], [0, 0]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self.work, n, points[n::2], stops) for n in range(2)]:
                done.result()
        harness.notes.append("%s: killed at %d of %d syscall stops, again at %d" % (
            " ".join(w for w in words if not w.startswith("/")), sum(self.killed), stops, sum(self.twice)))
        self.assertEqual([], self.problems[:3], "%d problems" % len(self.problems))
        self.assertGreater(sum(self.killed), len(points) // 2)

    def work(self, number, points, stops):
        place, dice = Place(self, "w%d" % number), random.Random(harness.SEED + number)
        for n in points:
            place.fresh(self.tops)
            rc, out, _ = place.step(n, *self.words, stdin=self.stdin)
            self.killed[number] += rc == 137
            acknowledged = rc == 0 or b'"schema"' in out and out.endswith(b"}\n")
            again = dice.randrange(1, stops + 1) if dice.random() < 0.5 else 0
            try:
                if again:
                    got, out, _ = place.step(again, *self.mend, stdin=self.stdin)
                    self.twice[number] += got == 137
                    acknowledged = acknowledged or self.mend == self.words and got == 0
                self.judge(place, acknowledged)
                self.whole(place)
            except (AssertionError, subprocess.TimeoutExpired) as e:
                self.problems.append("killed at stop %d of %d, again at %d (status %d): %s" % (n, stops, again, rc, e))

    def whole(self, place):
        """The invariants behind every fault; a second look changes nothing."""
        key = self.last_key
        for words in (["verify"], ["verify"], ["audit", "verify"]):
            place.run(*words, key=key and key(place), rc=0)
        place.run("label", self.other, "x=y", key=key and key(place), rc=0)
        strays = {f for f in place.files() if os.path.basename(f) not in EXPECTED and not f.endswith(EXPECTED_ENDINGS)
                  and not KEPT.search(f)}
        if strays - self.allowed:
            raise AssertionError("stray files: %s" % sorted(strays - self.allowed))
        for f in place.files():
            mode = os.stat(place.path(f)).st_mode & 0o777
            if mode & 0o077:
                raise AssertionError("%s has mode %o" % (f, mode))
        held = b"".join(open(place.path(f), "rb").read() for f in place.files())
        for token in (self.old, self.others):
            if token.encode() in held:
                raise AssertionError("a token lies in clear")

    def tokens_are(self, place, *allowed, key=None):
        """The first Pixel has one of these, the other one is as it was."""
        r = place.run("get", self.pixel, key=key, rc=0)
        if r.stdout.decode() not in allowed:
            raise AssertionError("get: neither the old nor the new token")
        if place.run("get", self.other, key=key, rc=0).stdout.decode() != self.others:
            raise AssertionError("the other Pixel's token is another one")


class Keys(Killed):
    """Whatever happens, a key that is at hand opens the vault."""

    def setUp(self):
        super().setUp()
        self.second = self.write(self.path("second"), os.urandom(32))

    def second_slot(self):
        return self.json("slot", "list")["slots"][1]["id"]

    def test_slot_add(self):
        def judge(place, acknowledged):
            self.tokens_are(place, self.old)
            place.run("get", self.pixel, key=self.second, rc=0 if acknowledged else (0, 6))
        self.ready()
        self.everywhere(["slot", "add", "--key-file", self.second], judge, mend=["label", self.pixel, "a=b"])

    def test_slot_add_that_makes_its_key(self):
        def judge(place, acknowledged):
            self.tokens_are(place, self.old)
            if acknowledged:
                place.run("get", self.pixel, key=place.path("made"), rc=0)
            else:  # it clears away what the killed one left
                place.run("slot", "add", "--key-file", "made", rc=(0, 8))
        self.ready()
        self.everywhere(["slot", "add", "--key-file", "made"], judge, mend=["label", self.pixel, "a=b"])

    def test_slot_remove(self):
        def judge(place, acknowledged):
            self.tokens_are(place, self.old)
            place.run("get", self.pixel, key=self.second, rc=6 if acknowledged else (0, 6))
        self.vault("slot", "add", "--key-file", self.second)
        self.ready()
        self.everywhere(["slot", "remove", self.second_slot(), "--yes"], judge, mend=["label", self.pixel, "a=b"])

    def test_slot_repair(self):
        """Damaged slots stay damaged or are mended; another repair does it."""
        def judge(place, acknowledged):
            r = place.run("get", self.pixel, rc=0 if acknowledged else (0, 7))
            if r.returncode:
                place.run("slot", "repair", rc=0)
            self.tokens_are(place, self.old)
            place.run("slot", "repair", rc=8)
        self.vault("slot", "add", "--key-file", self.second)
        self.vault("verify")
        value, = self.sql("SELECT v FROM kv WHERE k = 'slots'")[0]
        bad = bytearray(value)
        bad[4 + 160 + 8] = 77  # the second slot is of no kind that there is
        self.sql("UPDATE kv SET v = ? WHERE k = 'slots'", bytes(bad))
        self.save("base")
        self.everywhere(["slot", "repair"], judge)

    def opens(self, place):
        """The key that does: the old one until the new one counts."""
        for key in (self.key, place.path("new")):
            if os.path.exists(key) and place.run("list", key=key, rc=(0, 6)).returncode == 0:
                return key
        raise AssertionError("no key opens the vault")

    def test_rekey_to_a_new_key_file(self):
        def judge(place, acknowledged):
            key = self.opens(place)
            if acknowledged and key == self.key:
                raise AssertionError("acknowledged, and the old key still opens it")
            if key == self.key:
                place.run("rekey", "--key-file", "new", key=key, rc=0)
                key = place.path("new")
            self.tokens_are(place, self.old, key=key)
        self.ready()
        self.everywhere(["rekey", "--key-file", "new"], judge, key=self.opens)

    def test_rotate_key(self):
        def judge(place, acknowledged):
            self.tokens_are(place, self.old)
        self.ready()
        self.everywhere(["rotate-key"], judge)


class Copies(Killed):
    """Backup, restore and adopt."""

    def test_backup(self):
        """There is a whole copy, or none; the vault is as it was."""
        def judge(place, acknowledged):
            self.tokens_are(place, self.old)
            there = os.path.exists(place.path("copy"))
            if there:
                place.run("verify", "copy", rc=0)
            elif acknowledged:
                raise AssertionError("acknowledged, and there is no copy")
            place.run("backup", "copy", "--force", rc=0)  # it clears away what the killed one left
            place.run("verify", "copy", rc=0)
        self.ready()
        self.everywhere(["backup", "copy", "--force"], judge)

    def test_backup_over_another_one(self):
        """The copy of before is there until the new one is."""
        self.vault("backup", self.path("before"))
        new = self.token()
        self.put(self.pixel, new, "--no-check")

        def judge(place, acknowledged):
            self.tokens_are(place, new)
            place.run("verify", "copy", rc=0)
            place.run("backup", "copy", "--force", rc=0)
        self.ready()
        fill, before = Place.fresh, self.path("before")

        def with_copy(place, tops):
            fill(place, tops)
            shutil.copy(before, place.path("copy"))
        Place.fresh = with_copy
        try:
            self.everywhere(["backup", "copy", "--force"], judge)
        finally:
            Place.fresh = fill

    def restoring(self, tops, lost):
        copy = self.path("copy")
        self.vault("backup", copy)
        new = self.token()
        self.put(self.pixel, new, "--no-check")
        words = ["restore", copy, "--yes"]

        def judge(place, acknowledged):
            """The vault of before or the restored one, without anybody's help, and it can be written; none where there was none."""
            r = place.run("get", self.pixel, rc=0 if acknowledged or not lost else (0, 3))
            if r.returncode:
                place.run(*words, rc=0)
                acknowledged = True
            self.tokens_are(place, *([self.old] if acknowledged or lost else [self.old, new]))
            held = place.run("get", self.pixel).stdout.decode()
            place.run("verify", rc=0)
            place.run("label", self.other, "held=1", rc=0)
            self.tokens_are(place, held)
            place.run("audit", "verify", rc=0)
            place.run(*words, rc=0)  # it clears away what the killed one left
            self.tokens_are(place, self.old)
        self.ready()
        self.everywhere(words, judge, tops=tops)

    def test_restore(self):
        self.restoring(("vault", "state"), False)

    def test_restore_only(self):
        copy, new = self.path("copy"), self.token()
        self.vault("backup", copy)
        self.put(self.other, new, "--no-check")
        self.others = new
        two = "SELECT substr(k, 1, 38) FROM kv WHERE k LIKE 'e1/t/%/2'"  # the other Pixel's has a second version
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/t/%/1' AND substr(k, 1, 38) NOT IN (" + two + ")")
        self.vault("get", self.pixel, rc=7)
        words = ["restore", "--only", self.pixel, copy, "--yes"]

        def judge(place, acknowledged):
            """Refused as it was, or mended; the other Pixel never is another one."""
            if place.run("get", self.pixel, rc=0 if acknowledged else (0, 7)).returncode:
                place.run(*words, rc=0)
            self.tokens_are(place, self.old)
            place.run(*words, rc=0)  # it clears away what the killed one left
        self.save("base")
        self.everywhere(words, judge)

    def test_restore_without_a_vault(self):
        self.restoring(("state",), True)

    def test_restore_on_a_new_machine(self):
        self.restoring((), True)

    def test_adopt(self):
        def judge(place, acknowledged):
            r = place.run("get", self.pixel, rc=0 if acknowledged else (0, 7))
            if r.returncode:
                place.run("adopt", "--first-use", rc=0)
            self.tokens_are(place, self.old)
        self.ready()
        self.everywhere(["adopt", "--first-use"], judge, tops=("vault",))

    def test_adopt_with_a_checkpoint(self):
        line = self.vault("checkpoint").out.decode().split()[-1]

        def judge(place, acknowledged):
            r = place.run("get", self.pixel, rc=0 if acknowledged else (0, 7))
            if r.returncode:
                place.run("adopt", "--checkpoint", line, rc=0)
            self.tokens_are(place, self.old)
        self.ready()
        self.everywhere(["adopt", "--checkpoint", line], judge, tops=("vault",))


class Others(Killed):
    def test_init(self):
        """It leaves a vault that works, or one more init makes it so."""
        def judge(place, acknowledged):
            if place.run("list", rc=0 if acknowledged else (0, 3, 7)).returncode:
                place.run("init", "--key-file", self.key, "--no-recovery", rc=0)
            place.run("put", self.other, "--no-check", stdin=self.others.encode(), rc=0)
        self.ready()
        self.everywhere(["init", "--key-file", self.key, "--no-recovery"], judge, mend=["list"], tops=())

    def test_accept_loss(self):
        def judge(place, acknowledged):
            r = place.run("get", self.pixel, rc=0 if acknowledged else (0, 7, 17))
            if r.returncode:
                place.run("audit", "accept-loss", rc=0)
            self.tokens_are(place, self.old)
        self.ready()
        log, = [n for n in os.listdir(self.path("saved", "base", "state")) if n.endswith(".audit.log")]
        with open(self.path("saved", "base", "state", log), "r+b") as f:
            f.truncate(os.path.getsize(f.name) // 2)
        self.everywhere(["audit", "accept-loss"], judge)

    def test_put_that_replaces(self):
        new = self.token()

        def judge(place, acknowledged):
            self.tokens_are(place, *([new] if acknowledged else [self.old, new]))
        self.ready()
        self.everywhere(["put", self.pixel, "--no-check", "--json"], judge, mend=["get", self.pixel], stdin=new.encode())

    def test_rm_destroy(self):
        def judge(place, acknowledged):
            r = place.run("get", self.pixel, rc=3 if acknowledged else (0, 3))
            if r.returncode == 0 and r.stdout.decode() != self.old:
                raise AssertionError("get: another token")
            if place.run("get", self.other, rc=0).stdout.decode() != self.others:
                raise AssertionError("the other Pixel's token is another one")
        self.ready()
        self.everywhere(["rm", self.pixel, "--destroy", "--yes"], judge, mend=["label", self.other, "a=b"])


class Proven(Killed):
    """With TikTok's word: the courier is part of what is killed."""
    uses_emulator = True

    def setUp(self):
        Case.setUp(self)
        self.pixel, self.old = self.stored()
        self.other, self.others = self.stored()
        self.new = self.more_token(self.pixel)

    def judge_both(self, place, acknowledged):
        self.tokens_are(place, *([self.wanted] if acknowledged else [self.old, self.new]))

    def test_rollback(self):
        self.put(self.pixel, self.new)
        self.old, self.new, self.wanted = self.new, self.old, self.old
        self.ready()
        self.everywhere(["rollback", self.pixel, "--json"], self.judge_both, mend=["get", self.pixel])

    def test_put_with_promotion(self):
        self.wanted = self.new
        self.ready()
        self.everywhere(["put", self.pixel, "--json"], self.judge_both, mend=["get", self.pixel], stdin=self.new.encode())


if __name__ == "__main__":
    unittest.main()
