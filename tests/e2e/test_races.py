"""Two programs at once, the one held still by strace at the worst moment. Runs alone."""

import glob
import os
import subprocess
import threading
import time
import unittest

from harness import Case, VAULT, needs, traced


class Races(Case):
    def delayed(self, path, call, when, seconds, *words, stdin=b""):
        """Started, to be waited for: the when-th such call on path begins so many seconds late."""
        return subprocess.Popen(["strace", "-f", "-o", self.path("trace"), "-P", path, "-e", "trace=" + call, "-e",
                                 "inject=%s:delay_enter=%d:when=%d" % (call, seconds * 1000000, when), VAULT, *words],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=traced(self.env))

    @needs("strace")
    def test_a_check_that_waits_for_the_lock_does_not_take_a_proof_away(self):
        for when in (2, 4, 6):
            with self.subTest(when=when):
                pixel, _ = self.stored()
                check = self.delayed(self.lock_path(), "fcntl", when, 3, "check", pixel)
                time.sleep(1.2)
                self.put(pixel, self.more_token(pixel))
                proof = self.status(pixel)
                self.assertEqual("healthy", proof["verdict"])
                check.communicate(timeout=60)
                after = self.status(pixel)
                self.assertEqual(("healthy", 2), (after["verdict"], after["current"]["version"]))
                self.assertIsNotNone(after["proven_at"])

    @needs("strace")
    def test_a_put_that_waits_for_the_lock_does_not_undo_a_refusal(self):
        pixel, token = self.stored()
        put = self.delayed(self.lock_path(), "fcntl", 1, 3, "put", pixel, "--expires", "2099-01-01T00:00:00Z")
        put.stdin.write(token.encode())
        put.stdin.close()
        put.stdin = None
        time.sleep(0.7)
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        put.communicate(timeout=60)
        self.assertEqual("revoked", self.status(pixel)["verdict"])
        self.assertEqual(b"", self.vault("get", pixel, "--healthy", rc=10).out)

    @needs("strace")
    def test_many_foreign_changes_during_a_check_are_no_rollback(self):
        pixel, _ = self.stored()
        other, _ = self.stored()
        self.emu.knob("delay-ms", 1500)
        anchors = glob.glob(os.path.join(self.state, "*.anchor"))
        self.assertEqual(1, len(anchors))
        check = self.delayed(anchors[0], "openat", 2, 2, "check", pixel)
        stop = threading.Event()

        def change():
            n = 0
            while not stop.is_set():
                n += 1
                self.vault("label", other, "n=%d" % n)

        busy = threading.Thread(target=change)
        busy.start()
        try:
            out, err = check.communicate(timeout=60)
        finally:
            stop.set()
            busy.join()
        self.assertEqual(0, check.returncode, err)
        self.assertNotIn(b"older than", err)

    def lock_path(self):
        return self.file + ".lock"


if __name__ == "__main__":
    unittest.main()
