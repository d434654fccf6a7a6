"""A running agent whose disk fills up, or does not take what it is told to keep: nothing is lost, what can go on goes on,
and with room all is normal again without a restart; only a lost write is final.

FAULTS=all tries every file system, place and rest of room (`make faults`)."""

import os
import subprocess
import unittest

import harness
from fault_kit import EVER, FAILER
from harness import IS_SANITIZED, cases, spread
from running_agent import AgentCase

EVERYTHING = os.environ.get("FAULTS") == "all"
READS_UNTIL_FULL = 60000


@unittest.skipUnless(os.geteuid() == 0, "needs root: mounts small file systems")
@unittest.skipIf(IS_SANITIZED, "thousands of reads")
@spread
class FullDisk(AgentCase):
    makes_vault = False
    check = {"interval": "1h"}

    def mounted(self, kind, name, size_kib):
        folder = self.path(name)
        os.mkdir(folder, 0o700)
        if kind == "tmpfs":
            words = ["-t", "tmpfs", "-o", "size=%dk,mode=0700" % size_kib, "tmpfs", folder]
        else:
            image = self.write(self.path(name + ".img"), b"")
            os.truncate(image, size_kib * 1024)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
            words = ["-o", "loop", image, folder]
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
        if done.returncode:
            self.skipTest("mount is not possible here: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", folder], capture_output=True)
        os.chmod(folder, 0o700)
        return folder

    def fill(self, folder, but_kib):
        """Until nothing goes in; then some KiB are given back."""
        path = os.path.join(folder, "filler")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for size in (65536, 4096, 512):
            try:
                while os.write(fd, b"x" * size) > 0:
                    pass
            except OSError:
                pass
        os.ftruncate(fd, os.fstat(fd).st_size - but_kib * 1024)
        os.close(fd)
        return path

    def secrets_end(self, pixel, token):
        """Reads go on while their lines go into the room that the log has in reserve; then they are denied, and it is said why."""
        for n in range(READS_UNTIL_FULL):
            status, _, body = self.http("GET", "/v1/pixels/%s/token" % pixel)
            if status != 200:
                self.assertNotIn(token.encode(), body)
                return status, body
            self.assertEqual(token.encode(), body)
        self.fail("the log never was full")

    @cases(tmpfs_same_0=("tmpfs", True, 0), tmpfs_same_1=("tmpfs", True, 1), tmpfs_same_4=("tmpfs", True, 4),
           tmpfs_other_0=("tmpfs", False, 0), tmpfs_other_1=("tmpfs", False, 1), tmpfs_other_4=("tmpfs", False, 4),
           ext4_same_0=("ext4", True, 0), ext4_same_1=("ext4", True, 1), ext4_same_4=("ext4", True, 4),
           ext4_other_0=("ext4", False, 0), ext4_other_1=("ext4", False, 1), ext4_other_4=("ext4", False, 4))
    def test_full(self, kind, log_is_on_it, but_kib):
        if not EVERYTHING and (kind, log_is_on_it, but_kib) not in (("tmpfs", False, 0), ("ext4", True, 4)):
            self.skipTest("direct only: a sample; make faults tries all")
        small = self.mounted(kind, "small", 24 * 1024 if log_is_on_it else 1024 if kind == "tmpfs" else 4096)
        self.file = self.env["PIXELVAULT_VAULT"] = os.path.join(small, "vault", "vault.db")
        if log_is_on_it:
            self.state = os.path.join(small, "state")
        self.configure()
        self.init()
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1")
        self.start_agent()
        filler = self.fill(small, but_kib)
        more = {"env": {"PIXELVAULT_VAULT": None}}
        for _ in range(12):  # with some KiB left the first ones may go in
            r = self.vault("put", pixel, "--no-check", stdin=self.token(), rc=(0, 17), **more)
            if r.rc == 17:
                break
            token = self.asks(200, "GET", "/v1/pixels/%s/token" % pixel).decode()
        self.assertEqual(17, r.rc, "a full disk takes no token")
        self.assertRegex(r.err, "(?i)full|space")
        self.assertIn("hint: ", r.err)
        self.vault("status", **more)
        self.vault("check", pixel, rc=(0, 10, 17), **more)
        self.assertEqual(token.encode(), self.asks(200, "GET", "/v1/pixels/%s/token" % pixel), "reading goes on")
        self.asks(200, "GET", "/v1/pixels")
        os.remove(filler)
        new = self.token()
        self.vault("put", pixel, "--no-check", stdin=new, **more)
        self.assertEqual(new.encode(), self.asks(200, "GET", "/v1/pixels/%s/token" % pixel))
        self.vault("verify")
        self.vault("audit", "verify")

    @cases(tmpfs="tmpfs", ext4="ext4")
    def test_no_line_no_token(self, kind):
        """The log's own file system is full to the last byte of the reserve."""
        if not EVERYTHING and kind == "ext4":
            self.skipTest("direct only: a sample; make faults tries all")
        small = self.mounted(kind, "small", 9 * 1024 if kind == "tmpfs" else 16 * 1024)
        self.state = os.path.join(small, "state")
        self.configure()
        self.init()
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1")
        self.start_agent()
        filler = self.fill(small, 0)
        status, body = self.secrets_end(pixel, token)
        self.assertEqual(500, status, body)
        self.assertIn(b"audit", body)
        more = {"env": {"PIXELVAULT_VAULT": None}}
        self.vault("status", **more)
        self.asks(200, "GET", "/v1/pixels")
        self.assertTrue(self.health()["degraded"])
        self.assertEqual("audit", self.error(17, "get", pixel, **more)["class"])
        self.error(17, "put", pixel, "--no-check", stdin=self.token(), **more)
        self.vault("lock", **more)
        self.vault("unlock", rc=(0, 17), **more)
        os.remove(filler)
        self.vault("unlock", **more)
        self.until(lambda: self.http("GET", "/v1/pixels/%s/token" % pixel)[0] == 200, 10, "tokens again, without a restart")
        self.vault("put", pixel, "--no-check", stdin=self.token(), **more)
        self.vault("audit", "verify")


@unittest.skipIf(IS_SANITIZED, "traced")
class LostWrites(AgentCase):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.old = harness.new_pixel(), self.token()
        self.put(self.pixel, self.old, "--no-check")
        self.failing = self.path("failing")
        self.start_agent(prefix=(FAILER, self.path("report"), "fsync,fdatasync", "EIO", "1", str(EVER)),
                         env={"FAILER_FILE": self.file, "FAILER_WHILE": self.failing})
        self.more = {"env": {"PIXELVAULT_VAULT": None}}

    def test_after_a_failed_sync_of_the_vault_nothing_is_tried_again(self):
        """The kernel calls the pages clean: a second sync would report success over lost data."""
        self.write(self.failing, "")
        self.error(17, "put", self.pixel, "--no-check", stdin=self.token(), **self.more)
        os.remove(self.failing)  # the disk is well again, as far as it says
        e = self.error(17, "put", self.pixel, "--no-check", stdin=self.token(), **self.more)
        self.assertRegex(e["message"] + e["hint"], "(?i)earlier|lost|restart|again")
        self.assertIn(self.asks(200, "GET", "/v1/pixels/%s/token" % self.pixel).decode(), harness._tokens)
        self.vault("status", **self.more)
        self.end_agent()
        self.vault("verify")
        self.vault("audit", "verify")
        self.put(self.pixel, self.token(), "--no-check")


if __name__ == "__main__":
    unittest.main()
