"""Locks that somebody else has: how long one waits for them, and what still works meanwhile."""

import fcntl
import os
import signal
import struct
import threading
import time
import unittest

from harness import Case, IS_COUNTED, new_pixel, say

F_OFD_SETLK = 37


class Locks(Case):
    uses_emulator = False

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
            self.assertSoon(r.took, 8)
            r = self.vault("get", pixel)
            self.assertEqual(token, r.out.decode())
            self.assertSoon(r.took, 3, say(r))
            self.assertStill(r.took, 4.9, "reading needs no lock, which is waited for 5 s" + say(r))
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
                self.assertSoon(r.took, 12)
        finally:
            os.close(fd)
        self.assertEqual(token, self.get(pixel))

    @unittest.skipIf(IS_COUNTED, "stopped where it holds its counters' lock, a program holds up all others")
    def test_a_stopped_writer(self):
        """SIGSTOP at random moments of a put: the others wait at most about 5 s, and when it goes on nothing is lost. Stopped
        in the very moment of writing to the audit log it keeps readers out too (17): no token without its line; and in
        that of making SQLite's index, all who open the file (8, after 10 s)."""
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
                self.assertSoon(r.took, (12 if "within 10 seconds" in r.err else 8), say(r))
            self.vault("get", pixel, rc=(0, 8, 17))
            p.send_signal(signal.SIGCONT)
            self.assertIn(p.wait(60), (0, 8))
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


if __name__ == "__main__":
    unittest.main()
