"""The drills of docs/recovery.md: the trouble is made, the page's own commands are run, and every token is back."""

import os
import re
import shutil
import subprocess
import unittest

import harness
from harness import Case, VAULT, new_pixel, say

PAGE = os.path.join(harness.ROOT, "docs", "recovery.md")


def drills():
    with open(PAGE) as f:
        return dict(re.findall(r"<!-- drill: ([a-z-]+) -->\n```sh\n(.*?)```", f.read(), re.S))


class Recovery(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.tokens = {}
        for _ in range(3):
            pixel, token = new_pixel(), self.token()
            self.put(pixel, token, "--no-check")
            self.tokens[pixel] = token
        os.makedirs(self.path("bin"))
        os.symlink(VAULT, self.path("bin", "pixelvault"))

    def drill(self, name, typed=None):
        """The commands of the page, as they stand there, in this test's folder."""
        env = dict(self.env, PATH=self.path("bin") + ":" + os.environ["PATH"], TERM="xterm")
        words = ["sh", "-eu", "-c", drills()[name]]
        if typed:
            t = harness.Terminal(words, env, self.dir)
            t.expect("recovery key")
            t.send(typed)
            self.assertEqual(0, t.wait(), t.text())
            return t.text()
        r = subprocess.run(words, cwd=self.dir, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=120 * harness.PATIENCE)
        self.assertEqual(0, r.returncode, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def all_there(self, but=()):
        for pixel, token in self.tokens.items():
            if pixel not in but:
                r = self.vault("get", pixel, cwd=self.dir, says_token=True)
                self.assertEqual(token, r.out.decode())

    def backup(self):
        out = self.vault("backup", self.path("vault.backup")).out.decode()
        self.write(self.path("checkpoint.txt"), out)

    def refused(self, word):
        r = self.vault("get", next(iter(self.tokens)), "--json", rc=7)
        self.assertIn(word, r.out.decode())

    def test_lost_key(self):
        shown = self.recovery_key()
        os.remove(self.key)
        self.vault("get", next(iter(self.tokens)), rc=4)
        self.drill("lost-key", shown)
        self.configure(vault={"key-file": self.path("new-key")})
        self.all_there()

    def recovery_key(self):
        """As a person writes it down from the terminal, who types it back."""
        t = self.terminal("slot", "add", "--recovery")
        key = t.expect(r"[0-9A-Z]{7}(?:-[0-9A-Z]{7}){7}").group(0)
        t.expect("Type it back")
        t.send(key + "\n")
        self.assertEqual(0, t.wait(), t.text())
        return key + "\n"

    def test_damaged_file(self):
        self.backup()
        with open(self.file, "r+b") as f:
            f.truncate(os.path.getsize(self.file) // 2)
        self.vault("verify", rc=7)
        self.drill("damaged-file")
        self.all_there()

    def test_file_gone(self):
        self.backup()
        for name in os.listdir(self.path("vault")):
            os.remove(self.path("vault", name))
        self.vault("verify", rc=3)
        self.drill("damaged-file")
        self.all_there()

    def test_lost_state(self):
        self.backup()
        shutil.rmtree(self.state)
        self.refused("anchor-missing")
        self.drill("lost-state")
        self.all_there()

    def test_lost_state_and_an_old_copy(self):
        """What the checkpoint is for: nothing else would notice."""
        shutil.copytree(self.path("vault"), self.path("old"))
        self.put(next(iter(self.tokens)), self.token(), "--no-check")
        self.backup()
        shutil.rmtree(self.state)
        shutil.rmtree(self.path("vault"))
        shutil.move(self.path("old"), self.path("vault"))
        line = self.read(self.path("checkpoint.txt")).decode().split()[1]
        r = self.refuses(7, "adopt", "--checkpoint", line, says="older copy")
        self.assertIn("restore the latest backup", r.err)
        self.refuses(2, "adopt", "--checkpoint", line[:-1], says="not a checkpoint")
        self.refuses(8, "adopt", "--checkpoint", "0" * 32 + line[32:], says="another vault")
        self.refused("anchor-missing")

    def test_a_copy_that_was_written_elsewhere_is_not_what_the_checkpoint_stands_for(self):
        shutil.copytree(self.path("vault"), self.path("other"))
        self.put(next(iter(self.tokens)), self.token(), "--no-check")
        self.backup()
        line = self.read(self.path("checkpoint.txt")).decode().split()[1]
        shutil.rmtree(self.state)
        shutil.rmtree(self.path("vault"))
        shutil.move(self.path("other"), self.path("vault"))
        self.vault("adopt", "--first-use")
        self.put(next(iter(self.tokens)), self.token(), "--no-check")
        shutil.rmtree(self.state)
        self.refuses(7, "adopt", "--checkpoint", line, says="written separately")

    def test_a_checkpoint_of_long_ago_only_counts(self):
        self.backup()
        for _ in range(40):
            self.vault("label", next(iter(self.tokens)), "n=%d" % _)
        shutil.rmtree(self.state)
        self.assertIn("was not seen", self.drill("lost-state"))
        self.all_there()

    def test_old_copy(self):
        old = self.path("kept.db")
        shutil.copy(self.file, old)
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        for name in os.listdir(self.path("vault")):
            os.remove(self.path("vault", name))
        shutil.copy(old, self.file)
        self.refused("rolled-back")
        out = self.drill("old-copy")
        self.all_there()

    def test_damaged_log(self):
        log = next(n for n in os.listdir(self.state) if n.endswith(".audit.log"))
        with open(os.path.join(self.state, log), "r+b") as f:
            f.seek(200)
            f.write(b"X")
            f.truncate(900)
        self.vault("get", next(iter(self.tokens)), rc=(7, 17))
        self.drill("damaged-log")
        self.all_there()

    def test_every_drill_of_the_page_is_run_here(self):
        with open(__file__) as f:
            mine = set(re.findall(r'self\.drill\("([a-z-]+)"', f.read()))
        self.assertEqual(set(drills()), mine)


if __name__ == "__main__":
    unittest.main()
