"""What a slip of the hand or a failing disk must not destroy: keys, the vault itself, and files of others."""

import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import Case, IS_SANITIZED, VAULT, needs, new_pixel, traced


class Keys(Case):
    uses_emulator = False

    def faulty(self, call, error, when, *words):
        """The command with its calls of this kind failing; what strace saw."""
        done = subprocess.run(["strace", "-f", "-o", self.path("trace"), "-e", "trace=" + call, "-e", "inject=%s:error=%s:when=%s" % (call, error, when),
                               VAULT, *words], stdin=subprocess.DEVNULL, capture_output=True, env=traced(self.env), timeout=60)
        return done, "(INJECTED)" in self.read(self.path("trace")).decode("latin-1")

    @unittest.skipIf(IS_SANITIZED, "the sanitizer's own calls would be hit")
    @needs("strace")
    def test_no_failure_of_rekey_takes_the_only_key_away(self):
        """Each write and each sync of it fails once, also those behind the commit: a key that is left opens the vault."""
        for folder in (self.home, self.state):
            shutil.copytree(folder, folder + ".kept")
        shutil.copy2(self.key, self.key + ".kept")
        failed = 0
        for call in ("fdatasync", "fsync", "pwrite64"):
            for n in range(1, 40):
                for folder in (self.home, self.state):
                    shutil.rmtree(folder)
                    shutil.copytree(folder + ".kept", folder)
                new = self.path("new-key")
                if os.path.exists(new):
                    os.unlink(new)
                done, was_hit = self.faulty(call, "EIO", "%d+" % n, "rekey", "--key-file", new)
                if not was_hit:
                    break
                failed += done.returncode != 0
                opened = [k for k in (self.key, new) if os.path.exists(k) and
                          self.vault("verify", env={"PIXELVAULT_KEY_FILE": k}, rc=None).rc == 0]
                self.assertTrue(opened, "%s %d: exit %d, nothing opens the vault any more: %s" % (call, n, done.returncode, done.stderr.decode()))
        self.assertGreater(failed, 5)

    @unittest.skipIf(IS_SANITIZED, "the sanitizer's own calls would be hit")
    @needs("strace")
    def test_no_failure_of_init_leaves_a_vault_without_its_key(self):
        for n in range(1, 30):
            for folder in (self.home, self.state):
                shutil.rmtree(folder, ignore_errors=True)
            if os.path.exists(self.key):
                os.unlink(self.key)
            done, was_hit = self.faulty("fsync", "EIO", "%d+" % n, "init", "--key-file", self.key, "--no-recovery")
            if not was_hit:
                break
            if os.path.exists(self.file):
                self.assertTrue(os.path.exists(self.key), "fsync %d: %s" % (n, done.stderr.decode()))
                self.vault("verify")
        self.assertGreater(n, 3)

    def test_nothing_is_written_over_vault_key_or_configuration(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        passphrase = self.write(self.path("pass"), "correct horse battery staple")
        template = self.write(self.path("t.tpl"), "{{ token %s }}\n" % pixel)
        anchor = next(n for n in sorted(os.listdir(self.state)) if n.endswith(".anchor"))
        os.symlink(self.home, self.path("link"))
        own = [self.file, self.file + "-wal", self.file + ".lock", self.key, self.config, os.path.join(self.state, anchor),
               self.path("link", "vault.db"), self.path("vault", "..", "key")]
        before = {p: os.stat(p).st_ino for p in own if os.path.exists(p)}
        for path in own:
            for words in (["export", "--to-file", path, "--force", "--passphrase-file", passphrase], ["backup", path, "--force"],
                          ["render", template, "--to", path]):
                e = self.error(8, *words)
                self.assertIn("vault", e["message"], words)
        self.assertEqual(before, {p: os.stat(p).st_ino for p in before})
        self.error(8, "render", template, "--to", template)
        self.assertIn(b"{{ token", self.read(template))
        self.assertEqual(token, self.get(pixel))


class Shredding(Case):
    uses_emulator = False

    def test_what_was_not_taken_is_not_shredded(self):
        pixel, token = new_pixel(), self.token()
        env = self.write(self.path("my.env"), "DATABASE_PASSWORD=hunter2\nTIKTOK_TOKEN_%s=%s\n" % (pixel, token))
        e = self.error(2, "import", env, "--shred", "--no-check")
        self.assertIn("1", e["message"])
        self.assertTrue(os.path.exists(env))
        self.vault("get", pixel, rc=3)
        self.vault("import", env, "--shred", "--no-check", "--map", "DATABASE_PASSWORD=none")
        self.assertFalse(os.path.exists(env))

    def test_a_column_that_was_not_taken_keeps_the_file_unless_it_is_given_up(self):
        pixel, token = new_pixel(), self.token()
        text = "pixel,token,client_secret,empty\n%s,%s,of-use,\n" % (pixel, token)
        csv = self.write(self.path("my.csv"), text)
        e = self.error(2, "import", csv, "--shred", "--no-check")
        self.assertIn("--map", e["hint"])
        self.assertNotIn("of-use", e["message"] + e["hint"])
        self.assertEqual(text.encode(), self.read(csv))
        self.vault("get", pixel, rc=3)
        self.vault("import", csv, "--shred", "--no-check", "--map", "client_secret=none")
        self.assertFalse(os.path.exists(csv))
        self.assertEqual(token, self.get(pixel))

    def test_a_link_is_refused_before_anything_is_stored(self):
        pixel = new_pixel()
        csv = self.write(self.path("my.csv"), "pixel,token\n%s,%s\n" % (pixel, self.token()))
        os.symlink("my.csv", self.path("link.csv"))
        e = self.error(2, "import", self.path("link.csv"), "--shred", "--no-check")
        self.assertIn("link", e["message"])
        self.vault("get", pixel, rc=3)
        self.assertTrue(os.path.exists(csv))

    @needs("strace")
    def test_a_file_that_was_put_there_while_it_was_shredded_stays(self):
        text = "pixel,token\n%s,%s\n" % (new_pixel(), self.token())
        csv, fresh = self.write(self.path("my.csv"), text), self.write(self.path("fresh"), "saved anew")
        child = subprocess.Popen(["strace", "-f", "-o", self.path("trace"), "-e", "trace=fsync", "-e", "inject=fsync:delay_exit=600000", VAULT,
                                  "import", csv, "--shred", "--no-check"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=traced(self.env))
        while self.read(csv) == text.encode() and child.poll() is None:
            time.sleep(0.005)
        changed = time.monotonic()
        os.rename(fresh, csv)
        self.assertStill(time.monotonic() - changed, 0.5, "it is shredded by now")
        self.assertEqual(12, child.wait(60))
        self.assertEqual(b"saved anew", self.read(csv))


class Leftovers(Case):
    uses_emulator = False

    def leftovers(self, folder, word):
        return [n for n in os.listdir(folder) if word in n]

    def kill_at_fsync(self, *words):
        out = self.path("trace")
        child = subprocess.Popen(["strace", "-f", "-o", out, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:signal=KILL:when=3", VAULT, *words],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=traced(self.env))
        child.wait(60)

    @needs("strace")
    def test_what_a_killed_backup_left_goes_with_the_next(self):
        self.put(new_pixel(), self.token(), "--no-check")
        target = self.path("copy.backup")
        self.kill_at_fsync("backup", target)
        left = self.leftovers(self.dir, "copy.backup.new-")
        self.assertTrue(left)
        other = self.write(self.path("copy.backup.new-notes"), "mine")
        for name in left:
            os.utime(self.path(name), (time.time() - 3600,) * 2)
        self.vault("backup", target)
        self.assertEqual(["copy.backup.new-notes"], self.leftovers(self.dir, "copy.backup.new-"))
        self.assertEqual(b"mine", self.read(other))

    @needs("strace")
    def test_what_a_killed_restore_left_goes_with_the_next(self):
        self.put(new_pixel(), self.token(), "--no-check")
        target = self.path("copy.backup")
        self.vault("backup", target)
        self.kill_at_fsync("restore", target, "--yes")
        left = self.leftovers(self.home, ".restoring-")
        self.assertTrue(left)
        for name in left:
            os.utime(os.path.join(self.home, name), (time.time() - 3600,) * 2)
        self.vault("restore", target, "--yes")
        self.assertEqual([], self.leftovers(self.home, ".restoring-"))

    def test_one_that_is_at_work_is_left_alone(self):
        self.put(new_pixel(), self.token(), "--no-check")
        busy = self.write(self.path("copy.backup.new-%d" % os.getpid()), "at work")
        young = self.write(self.path("copy.backup.new-999999999"), "just begun")
        os.utime(busy, (time.time() - 3600,) * 2)
        self.vault("backup", self.path("copy.backup"))
        self.assertEqual((b"at work", b"just begun"), (self.read(busy), self.read(young)))


class Words(Case):
    uses_emulator = False

    def test_the_line_that_backup_prints_is_a_checkpoint(self):
        self.put(new_pixel(), self.token(), "--no-check")
        line = self.vault("backup", self.path("copy")).out.decode().strip()
        self.assertTrue(line.startswith("checkpoint "))
        shutil.rmtree(self.state)
        self.vault("adopt", "--checkpoint", line)
        self.vault("verify")

    def test_what_is_no_code_of_tiktoks_is_answered_with_one_that_is(self):
        for code in ("x", "", "99999999999"):
            e = self.error(2, "report", new_pixel(), "--code", code)
            self.assertIn("40105", e["hint"], code)

    def test_an_export_is_not_taken_for_a_damaged_vault(self):
        self.put(new_pixel(), self.token(), "--no-check")
        passphrase = self.write(self.path("pass"), "correct horse battery staple")
        self.vault("export", "--to-file", self.path("x"), "--passphrase-file", passphrase)
        for words in (["restore", self.path("x")], ["verify", self.path("x")]):
            e = self.error(2, *words)
            self.assertIn("import", e["hint"], words)


if __name__ == "__main__":
    unittest.main()
