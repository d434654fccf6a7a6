"""Disks that fail, fill up or are read-only, limits that are too small: old or new state, the right exit code."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import unittest

import harness
from harness import AGENT, Case, IS_SANITIZED, VAULT, cases, needs, new_pixel, say, spread, traced


@unittest.skipIf(IS_SANITIZED, "the sanitizer's own calls would be hit")
@spread
class Injected(Case):
    """strace makes the N-th call of a kind fail, for every N."""
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.old = new_pixel(), self.token()
        self.put(self.pixel, self.old, "--no-check")
        self.vault("verify")
        self.save("base")

    def inject(self, call, error, when, *words, stdin=b""):
        out = self.path("trace")
        done = subprocess.run(["strace", "-f", "-o", out, "-e", "trace=" + call, "-e", "inject=%s:error=%s:when=%s" % (call, error, when), VAULT, *words],
                              input=stdin, capture_output=True, env=traced(self.env), timeout=90)
        text = self.read(out).decode("latin-1")
        lines = [l for l in text.splitlines() if "(INJECTED)" in l]
        return done, lines

    def each(self, call, error, words, stdin, judge, most=60, persistent=False):
        points, problems = 0, []
        for n in range(1, most):
            self.restore("base")
            done, lines = self.inject(call, error, "%d+" % n if persistent else n, *words, stdin=stdin)
            if not lines:
                break
            points += 1
            if done.returncode == 127:
                continue  # the loader's own call: the program never ran
            try:
                self.assertGreaterEqual(done.returncode, 0, "died: %s" % done.stderr)
                judge(done, lines)
                self.assertEqual(0, self.vault("verify", rc=None).rc, "after it the vault verifies: %d %s" % (done.returncode, done.stderr))
            except AssertionError as e:
                problems.append("call %d, %s: %s" % (n, lines[0][-100:], e))
        self.assertGreater(points, 0, "no such call was made")
        self.assertEqual([], problems[:2], "%d of %d points" % (len(problems), points))

    @needs("strace")
    @cases(fdatasync_eio=("fdatasync", "EIO"), pwrite_enospc=("pwrite64", "ENOSPC"), pwrite_eio=("pwrite64", "EIO"),
           ftruncate_eio=("ftruncate", "EIO"), pread_eio=("pread64", "EIO"))
    def test_put(self, call, error):
        new = self.token()

        def judge(done, lines):
            self.assertIn(done.returncode, (0, 17), done.stderr)
            if done.returncode:
                self.assertRegex(done.stderr.decode(), r"(?m)^vault: .*\n  hint: ")
            token = self.get(self.pixel)
            self.assertIn(token, (new,) if done.returncode == 0 else (self.old, new), done.stderr)
        for persistent in (False, True):
            if call == "ftruncate" and not self.makes("ftruncate"):
                self.skipTest("put makes no ftruncate")
            self.each(call, error, ["put", self.pixel, "--no-check"], new.encode(), judge, persistent=persistent)

    def makes(self, call):
        out = self.path("trace")
        subprocess.run(["strace", "-f", "-o", out, "-e", "trace=" + call, VAULT, "put", self.pixel, "--no-check"], input=self.token().encode(),
                       capture_output=True, env=traced(self.env))
        found = call + "(" in self.read(out).decode("latin-1")
        self.restore("base")
        return found

    @needs("strace")
    @cases(emfile="EMFILE", eio="EIO", enospc="ENOSPC")
    def test_a_file_that_cannot_be_opened(self, error):
        new = self.token()

        def judge(done, lines):
            self.assertNotIn(done.returncode, (6, 7) if self.dir in lines[0] else (), "a failing disk is not tampering: %s" % done.stderr)
            token = self.get(self.pixel)
            self.assertIn(token, (new,) if done.returncode == 0 else (self.old, new))
        self.each("openat", error, ["put", self.pixel, "--no-check"], new.encode(), judge)

    @needs("strace")
    @cases(pread=("pread64", "EIO"), opening=("openat", "EIO"), read=("read", "EIO"))
    def test_get(self, call, error):
        def judge(done, lines):
            if done.returncode == 0:
                self.assertEqual(self.old.encode(), done.stdout)
            else:
                self.assertEqual(b"", done.stdout)
                self.assertNotIn(done.returncode, (6, 7) if call == "pread64" or self.dir in lines[0] else (), done.stderr)
        self.each(call, error, ["get", self.pixel], b"", judge)

    @needs("strace")
    def test_a_failed_sync_is_not_tried_again(self):
        """After a failed fsync the pages are marked clean: a second one 'succeeds' over lost data."""
        self.restore("base")
        done, lines = self.inject("fdatasync,fsync", "EIO", 1, "put", self.pixel, "--no-check", stdin=self.token().encode())
        self.assertEqual(17, done.returncode, done.stderr)


class Limits(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.secret = new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--no-check")

    def test_a_file_size_limit_kills_nobody(self):
        for size in (0, 4096, 20000, os.path.getsize(self.file)):
            r = self.vault("put", self.pixel, "--no-check", stdin=self.token(), rc=(0, 17),
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
            self.vault("verify")
            if r.rc:
                self.assertEqual(self.secret, self.get(self.pixel))
            else:
                break

    def test_few_descriptors(self):
        for n in range(3, 14):
            r = self.vault("put", self.pixel, "--no-check", stdin=self.token(), rc=None,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
            self.assertNotIn(r.rc, (6, 7), say(r))
            self.vault("verify")

    def test_little_memory_is_an_ordinary_failure(self):
        if IS_SANITIZED:
            self.skipTest("the sanitizer needs its memory")
        for mib in (6, 8, 10, 12, 16, 24, 64):
            limit = mib * 1024 * 1024
            r = self.vault("get", self.pixel, rc=None, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            if r.rc == 0:
                self.assertEqual(self.secret, r.out.decode())
            self.assertNotIn(r.rc, (6, 7), say(r))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_memory_that_cannot_be_locked_is_said(self):
        """`require-locked-memory` binds the agent; the CLI warns."""
        if IS_SANITIZED:
            self.skipTest("lock checks only in plain builds")
        for top in (self.dir, self.home, self.state):
            for where, _, names in os.walk(top):
                for n in [""] + names:
                    os.chown(os.path.join(where, n), 12345, 12345)
        who = {"user": 12345, "group": 12345, "extra_groups": []}
        r = self.vault("get", self.pixel, **who, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0)))
        self.assertEqual(self.secret, r.out.decode())
        self.assertRegex(r.err, "(?i)lock", say(r))
        r = self.vault("get", self.pixel, **who)
        self.assertEqual((self.secret, ""), (r.out.decode(), r.err))

    def mount(self, *words):
        r = subprocess.run(["mount", *words], capture_output=True, text=True)
        if r.returncode:
            self.skipTest("mount is not possible here: " + r.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", words[-1]], capture_output=True)

    def fill(self, folder):
        with contextlib.suppress(OSError):
            with open(os.path.join(folder, "filler"), "wb", buffering=0) as f:
                while True:
                    f.write(b"x" * 512)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_full_disk(self):
        small = self.path("small")
        os.mkdir(small, 0o700)
        self.mount("-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small)
        self.file = self.env["PIXELVAULT_VAULT"] = os.path.join(small, "v", "vault.db")
        self.key = self.path("key2")
        self.state = self.path("state2")
        self.configure()
        self.init()
        self.put(self.pixel, self.secret, "--no-check")
        self.fill(small)
        for _ in range(2):
            r = self.refuses(17, "put", self.pixel, "--no-check", stdin=self.token())
            self.assertRegex(r.err, "(?i)full|space", say(r))
            self.error(17, "put", self.pixel, "--no-check", stdin=self.token())
            self.assertEqual(self.secret, self.get(self.pixel), "reading goes on")
            self.vault("status")
            self.vault("list")
            self.vault("verify")
        os.remove(os.path.join(small, "filler"))
        self.assertEqual(2, self.put_json(self.pixel, self.token(), "--no-check")["version"], "normal again, and no number was used up")
        self.vault("verify")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_backup_to_another_file_system_that_fills_up(self):
        stick = self.path("stick")
        os.mkdir(stick, 0o700)
        self.mount("-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", stick)
        copy = os.path.join(stick, "copy")
        self.vault("backup", copy)
        whole = self.read(copy)
        self.fill(stick)
        r = self.refuses(17, "backup", copy, "--force")
        self.assertRegex(r.err, "(?i)full|space", say(r))
        self.error(17, "backup", copy + "2")
        self.assertEqual(whole, self.read(copy), "the older backup is as it was")
        self.assertEqual({"copy", "filler"}, set(os.listdir(stick)))
        subprocess.run(["mount", "-o", "remount,ro", stick], capture_output=True)
        self.error(17, "backup", copy, "--force")
        self.vault("verify", copy)
        self.vault("restore", copy, "--yes")
        self.assertEqual(self.secret, self.get(self.pixel))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_restore_where_the_vaults_disk_is_full(self):
        small, copy = self.path("small"), self.path("copy")
        os.mkdir(small, 0o700)
        self.mount("-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small)
        self.file = self.env["PIXELVAULT_VAULT"] = os.path.join(small, "v", "vault.db")
        self.key, self.state = self.path("key2"), self.path("state2")
        self.configure()
        self.init()
        self.put(self.pixel, self.secret, "--no-check")
        self.vault("backup", copy)
        self.fill(small)
        before = sorted(os.listdir(os.path.join(small, "v")))
        r = self.refuses(17, "restore", copy, "--yes")
        self.assertRegex(r.err, "(?i)full|space", say(r))
        self.assertEqual(before, sorted(os.listdir(os.path.join(small, "v"))))
        self.assertEqual(self.secret, self.get(self.pixel))
        os.remove(os.path.join(small, "filler"))
        self.vault("restore", copy, "--yes")
        self.assertEqual(self.secret, self.get(self.pixel))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_read_only_disk(self):
        self.mount("--bind", self.home, self.home)
        r = subprocess.run(["mount", "-o", "remount,ro,bind", self.home], capture_output=True)
        if r.returncode:
            self.skipTest("no read-only remount here")
        r = self.refuses(17, "put", self.pixel, "--no-check", stdin=self.token())
        self.assertEqual(self.secret, self.get(self.pixel), "old state stays readable")
        self.vault("status")
        subprocess.run(["mount", "-o", "remount,rw,bind", self.home], capture_output=True)
        self.put(self.pixel, self.token(), "--no-check")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_full_state_folder(self):
        small = self.path("smallstate")
        os.mkdir(small, 0o700)
        self.mount("-t", "tmpfs", "-o", "size=9m,mode=0700", "tmpfs", small)
        self.file = self.env["PIXELVAULT_VAULT"] = self.path("v3", "vault.db")
        self.state, self.key = os.path.join(small, "s"), self.path("key3")
        self.configure()
        self.init()
        self.put(self.pixel, self.secret, "--no-check")
        self.fill(small)
        r = self.put(self.pixel, self.token(), "--no-check", rc=(0, 17))
        self.vault("get", self.pixel, rc=(0, 17))
        self.vault("status")
        self.vault("verify")


if __name__ == "__main__":
    unittest.main()
