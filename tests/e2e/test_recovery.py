"""The drills of docs/recovery.md: the trouble is made, the page's own commands are run, and every token is back."""

import contextlib
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

    @harness.needs("systemd-creds")
    @unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: systemd-creds seals as root")
    def test_lost_credential(self):
        """As after a new TPM or mainboard: what systemd had sealed is of no use."""
        r = self.vault("slot", "add", "--credential", self.path("old-credential"), rc=(0, 1))
        if r.rc:
            self.skipTest("systemd-creds does not work here" + say(r))
        shown = self.recovery_key()
        os.remove(self.key)
        os.remove(self.path("old-credential"))
        self.configure(vault={"key-file": None, "credential": "pixelvault.key"})
        r = self.refuses(4, "get", next(iter(self.tokens)))
        self.drill("lost-credential", shown)
        creds = self.path("creds")
        os.mkdir(creds, 0o700)
        subprocess.run(["systemd-creds", "decrypt", "--name=pixelvault.key", self.path("new-credential"),
                        os.path.join(creds, "pixelvault.key")], check=True, capture_output=True)
        os.chmod(os.path.join(creds, "pixelvault.key"), 0o400)
        self.env["CREDENTIALS_DIRECTORY"] = creds
        self.all_there()
        slots = self.json("slot", "list")["slots"]
        old = [s["id"] for s in slots if s["kind"] == "credential"][0]
        self.vault("slot", "remove", old, "--yes")
        self.all_there()

    @unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root mounts a small disk")
    def test_full_disk(self):
        self.small_state_folder()
        self.addCleanup(self.stop_agent)
        self.configure(more="[agent]\nsocket = %s\nrequire-locked-memory = no\n" % self.socket)
        self.start_agent()
        via = {"PIXELVAULT_VAULT": None}
        pixel = next(iter(self.tokens))
        self.assertEqual(self.tokens[pixel], self.vault("get", pixel, env=via).out.decode())
        before = self.read(self.file)
        self.fill_up()
        self.until_refused(pixel, via)
        self.refuses(17, "put", pixel, "--no-check", stdin=self.token(), says="space|full")
        self.assertEqual(before, self.read(self.file))
        self.vault("status")
        self.vault("list", env=via)
        self.drill("full-disk")
        self.all_there()
        self.assertEqual(self.tokens[pixel], self.vault("get", pixel, env=via).out.decode())
        self.vault("label", pixel, "a=b", env=via)

    def small_state_folder(self):
        aside = self.path("aside")
        shutil.move(self.state, aside)
        os.mkdir(self.state, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", self.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=False)
        shutil.copytree(aside, self.state, dirs_exist_ok=True)

    def fill_up(self):
        with open(os.path.join(self.state, "something-large"), "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(4096))

    def until_refused(self, pixel, via):
        """Lines go into what is kept for the log, up to its last part, which is for what must be told; then each way is refused."""
        connection = harness.UnixConnection(self.socket)
        for _ in range(20000):
            connection.request("GET", "/v1/pixels/%s/token" % pixel)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                break
        connection.close()
        self.assertNotEqual(200, answer.status)
        for more in ({}, {"env": via}):
            r = self.refuses(17, "get", pixel, says="space|full", **more)
            self.assertEqual(b"", r.out)

    def test_damaged_pixel(self):
        """In its record, then in a token; what was changed since the backup stays."""
        self.backup()
        newer = next(iter(self.tokens))
        self.tokens[newer] = self.token()
        self.put(newer, self.tokens[newer], "--no-check")
        record = self.sql("SELECT CAST(k AS BLOB) FROM kv WHERE k LIKE 'e1/m/%' ORDER BY mod LIMIT 1")[0][0].decode()
        for row in (record, record.replace("/m/", "/t/") + "/1"):
            self.sql("UPDATE kv SET v = randomblob(length(v)) WHERE k = ?", row)
            refused = [p for p in self.tokens if self.vault("get", p, rc=(0, 7)).rc]
            self.assertEqual(1, len(refused))
            self.all_there(but=refused)
            self.assertIn("restore --only", self.vault("verify", rc=7).err)
            self.drill("damaged-pixel")
            self.all_there()

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
