"""One program held still at each of its system calls (tests/support/stepper.c), and what another one then finds."""

import contextlib
import fcntl
import glob
import itertools
import os
import socket
import sqlite3
import struct
import subprocess
import unittest

import harness
from harness import Case, IS_COUNTED, IS_SANITIZED, STEPPER, VAULT, new_pixel, traced

F_OFD_GETLK, F_OFD_SETLK = 36, 37
ROOT_GENERATION, ANCHOR_GENERATION, ANCHOR_BLOCK = 60, 48, 512  # docs/format.md


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
@unittest.skipIf(IS_COUNTED, "held still where it holds its counters' lock, a program holds up all others")
class Stepped(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.first = new_pixel(), self.token()
        self.put(self.pixel, self.first, "--no-check")
        self.anchor, = glob.glob(os.path.join(self.state, "*.anchor"))

    def lock(self, operation, path):
        """A lock of the program's, asked for or taken by a description of the file that is the test's own: (it, was free)."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            answer = fcntl.fcntl(fd, operation, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
        except OSError:
            os.close(fd)
            raise
        return fd, struct.unpack("hhqqi4x", answer)[0] == fcntl.F_UNLCK

    def is_locked(self, path):
        fd, is_free = self.lock(F_OFD_GETLK, path)
        os.close(fd)
        return not is_free

    def stops(self, *words, stdin=b""):
        """Yields at each stop, with the program standing still; send(False) lets it run on. Last its Popen, ended."""
        ours, theirs = socket.socketpair()
        with ours:
            stepper = subprocess.Popen([STEPPER, self.path("count"), "ask=%d" % theirs.fileno(), VAULT, *words], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=traced(self.env), pass_fds=[theirs.fileno()])
            self.children.append(stepper)
            theirs.close()
            stepper.stdin.write(stdin)
            stepper.stdin.close()
            stepper.stdin = None
            while ours.recv(1):
                go_on = yield stepper
                with contextlib.suppress(BrokenPipeError):
                    ours.sendall(b"q" if go_on is False else b"g")
            stepper.output = stepper.communicate(timeout=60)
            yield stepper

    def anchored(self):
        """The latest generation that the anchor's blocks name."""
        blocks = self.read(self.anchor)
        return max(struct.unpack_from("<Q", blocks, at + ANCHOR_GENERATION)[0] for at in (0, ANCHOR_BLOCK))

    def test_the_lock_is_held_from_before_the_commit_until_the_anchor_has_it(self):
        """Without it an anchor that comes late is written over a later one, and what that one had seen may be rolled back."""
        db = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(db.close)

        def generation():
            return struct.unpack_from("<Q", db.execute("SELECT v FROM kv WHERE k = 'root'").fetchone()[0], ROOT_GENERATION)[0]

        before, new = generation(), self.token()
        self.assertEqual(before, self.anchored())
        between, free = 0, []
        for stop, done in enumerate(self.stops("put", self.pixel, "--no-check", stdin=new.encode())):
            stored, remembered = generation(), self.anchored()
            self.assertLessEqual(remembered, stored, "at stop %d the anchor is ahead of the vault" % stop)
            if stored != remembered:
                between += 1
                free += [] if self.is_locked(self.file + ".lock") else [stop]
        self.assertEqual(0, done.returncode, done.output)
        self.assertEqual((before + 1, before + 1), (generation(), self.anchored()))
        self.assertGreater(between, 2)
        self.assertEqual([], free, "stops between commit and anchor at which another writer may have come in")
        harness.notes.append("put: the lock is held at all %d stops between commit and anchor, of %d" % (between, stop))

    def test_a_reader_that_a_commit_overtakes_anywhere_needs_no_second_look(self):
        """The anchor is read before the vault: so a commit in between is only news. Read behind it, it would look like a
        rollback until somebody looks again with all writers held out, which is not to be had here."""
        db = sqlite3.connect(self.file)  # somebody else has it open, as ever: nobody has to make SQLite's index
        self.addCleanup(db.close)
        db.execute("SELECT count(*) FROM kv").fetchone()
        counted, overtaken, slow = sum(1 for _ in self.stops("get", self.pixel)), 0, []
        tokens = [self.first]
        for at in range(0, counted - 1, 12 if IS_SANITIZED else 4):
            stops = self.stops("get", self.pixel)
            *_, reader = itertools.islice(stops, at + 1)
            if reader.returncode is not None:
                break
            if self.is_locked(self.file + ".lock") or self.is_locked(self.anchor[:-len("anchor")] + "audit.log.lock"):
                list(self.rest(stops))
                continue
            tokens.append(self.token())
            self.put(self.pixel, tokens[-1], "--no-check")
            fd, _ = self.lock(F_OFD_SETLK, self.file + ".lock")
            *_, reader = self.rest(stops)
            os.close(fd)
            overtaken += 1
            if reader.returncode != 0 or reader.output[0].decode() not in tokens:
                slow.append((at, reader.returncode, reader.output[1]))
        self.assertEqual([], slow[:2], "%d of the stops" % len(slow))
        self.assertGreater(overtaken, 20)
        harness.notes.append("get: overtaken by a put at %d of %d stops" % (overtaken, counted))

    @staticmethod
    def rest(stops):
        yield stops.send(False)
        yield from stops


@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class Restored(Stepped):
    """A restore that is killed where the anchor is new and the vault is not yet, or the other way round."""
    test_the_lock_is_held_from_before_the_commit_until_the_anchor_has_it = None
    test_a_reader_that_a_commit_overtakes_anywhere_needs_no_second_look = None

    def setUp(self):
        super().setUp()
        self.copy, self.second = self.path("copy"), self.token()
        self.vault("backup", self.copy)
        self.put(self.pixel, self.second, "--no-check")

    def killed_when(self, moment):
        """At the first stop that it is true of: (the anchor is another one, the vault is another one, histories in the anchor)."""
        anchor, vault = self.read(self.anchor), os.stat(self.file).st_ino
        for stepper in self.stops("restore", self.copy, "--yes"):
            self.assertIsNone(stepper.poll(), "there was such a moment")
            now = self.read(self.anchor)
            lineages = {now[at + 28:at + 44] for at in (0, ANCHOR_BLOCK)}
            if moment(now != anchor, os.stat(self.file).st_ino != vault, len(lineages)):
                stepper.kill()  # and with it what it traces
                stepper.wait()
                return

    def holds(self, token):
        """It is open, whole, and can be written."""
        self.assertEqual(token, self.get(self.pixel))
        for words in (["verify"], ["label", self.pixel, "a=b"], ["verify"], ["audit", "verify"]):
            self.vault(*words)
        self.assertEqual(token, self.get(self.pixel))

    def put_back(self):
        kept = [n for n in os.listdir(self.home) if ".before-" in n]
        os.replace(self.path("vault", kept[0]), self.file)

    def test_before_the_vault_is_there_the_old_one_goes_on(self):
        self.killed_when(lambda is_anchored, is_there, _: is_anchored and not is_there)
        self.holds(self.second)
        self.vault("restore", self.copy, "--yes")
        self.holds(self.first)

    def test_killed_there_twice_the_old_one_goes_on(self):
        for _ in range(2):
            self.killed_when(lambda is_anchored, is_there, _: is_anchored and not is_there)
        self.holds(self.second)

    def test_when_the_vault_is_there_it_is_the_restored_one_and_its_next_change_refuses_the_old(self):
        self.killed_when(lambda _, is_there, histories: is_there and histories == 2)
        self.holds(self.first)
        self.put_back()
        self.assertEqual("forked", self.error(7, "get", self.pixel)["class"])

    def test_a_restore_that_ended_refuses_the_old(self):
        self.vault("restore", self.copy, "--yes")
        self.put_back()
        self.assertEqual("forked", self.error(7, "get", self.pixel)["class"])

    def test_across_a_new_root_key_too(self):
        self.vault("rotate-key")
        self.killed_when(lambda is_anchored, is_there, _: is_anchored and not is_there)
        self.holds(self.second)
        self.killed_when(lambda _, is_there, histories: is_there and histories == 2)
        self.holds(self.first)
        self.put_back()
        self.error(7, "get", self.pixel)


if __name__ == "__main__":
    unittest.main()
