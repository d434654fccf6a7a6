"""The drills of docs/recovery.md: the trouble is made, the page's own commands are run, and every token is back."""

import contextlib
import os
import re
import shutil
import subprocess
import time
import unittest

import harness
from harness import Case, VAULT, new_pixel, say

PAGE = os.path.join(harness.ROOT, "docs", "recovery.md")


def drills():
    with open(PAGE) as f:
        return dict(re.findall(r"<!-- drill: ([a-z-]+) -->\n```sh\n(.*?)```", f.read(), re.S))


class Drills(Case):
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

    within = ()  # the words that the commands of the page are started with

    def drill(self, name, *typed):
        """The commands of the page, as they stand there, in this test's folder; and what is typed, question by question."""
        env = dict(self.env, PATH=self.path("bin") + ":" + os.environ["PATH"], TERM="xterm")
        words = [*self.within, "sh", "-eu", "-c", drills()[name]]
        if typed:
            t = harness.Terminal(words, env, self.dir)
            for question, answer in typed:
                t.expect(question, 120)
                t.send(answer)
            self.assertEqual(0, t.wait(120), t.text())
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

    def recovery_key(self):
        """As a person writes it down from the terminal, who types it back."""
        t = self.terminal("slot", "add", "--recovery")
        key = t.expect(r"[0-9A-Z]{7}(?:-[0-9A-Z]{7}){7}").group(0)
        t.expect("Type it back")
        t.send(key + "\n")
        self.assertEqual(0, t.wait(), t.text())
        return key + "\n"

    def slots(self, kind):
        return [s["id"] for s in self.json("slot", "list")["slots"] if s["kind"] == kind]

    def started_with(self, name, creds="creds"):
        """As systemd starts a unit with it. False where it does not."""
        creds = self.path(creds)
        os.mkdir(creds, 0o700)
        done = subprocess.run([*self.within, "systemd-creds", "decrypt", "--name=pixelvault.key", self.path(name),
                               os.path.join(creds, "pixelvault.key")], capture_output=True)
        if done.returncode:
            return False
        os.chmod(os.path.join(creds, "pixelvault.key"), 0o400)
        self.env["CREDENTIALS_DIRECTORY"] = creds
        return True


class Recovery(Drills):
    def test_lost_key(self):
        shown = self.recovery_key()
        os.remove(self.key)
        self.vault("get", next(iter(self.tokens)), rc=4)
        self.drill("lost-key", ("recovery key", shown))
        self.configure(vault={"key-file": self.path("new-key")})
        self.all_there()

    def test_forgotten_passphrase(self):
        self.vault("slot", "add", "--passphrase-file", self.write(self.path("forgotten"), "nobody knows this one any more\n"))
        shown = self.recovery_key()
        os.remove(self.path("forgotten"))
        os.rename(self.key, self.path("elsewhere"))
        self.configure(vault={"key-file": None})
        new = "a new one that is remembered\n"
        self.drill("forgotten-passphrase", ("recovery key", shown), ("New passphrase", new), ("once more", new),
                   ("opens the vault(?s:.*)Passphrase", new))  # and verify proved all of it
        self.configure(vault={"key-file": self.path("elsewhere")})  # for the tokens one by one: a passphrase takes a second each time
        self.all_there()

    @harness.needs("systemd-creds")
    @unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: systemd-creds seals as root")
    def test_lost_credential(self):
        """What systemd had sealed is gone, or of no use."""
        r = self.vault("slot", "add", "--credential", self.path("old-credential"), rc=(0, 1))
        if r.rc:
            self.skipTest("systemd-creds does not work here" + say(r))
        shown = self.recovery_key()
        os.remove(self.key)
        os.remove(self.path("old-credential"))
        self.configure(vault={"key-file": None, "credential": "pixelvault.key"})
        self.refuses(4, "get", next(iter(self.tokens)))
        self.drill("lost-credential", ("recovery key", shown))
        self.started_with("new-credential")
        self.all_there()
        self.vault("slot", "remove", self.slots("credential")[0], "--yes")
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

    def test_damaged_anchor(self):
        """Which is as good as none: what is left of it proves nothing."""
        anchor, = (os.path.join(self.state, n) for n in os.listdir(self.state) if n.endswith(".anchor"))
        self.backup()
        whole = self.read(anchor)
        for bad in (bytes(512) + bytes([whole[512] ^ 1]) + whole[513:], whole[:700].replace(b"p", b"q"), os.urandom(1024), b""):
            with open(anchor, "wb") as f:
                f.write(bad)
            self.refused("anchor-missing")
            self.drill("lost-state")
            self.all_there()
            self.vault("audit", "verify")

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


@harness.needs("systemd-creds")
@harness.needs("swtpm")
@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: systemd-creds seals as root")
class WithATpm(Drills):
    """One in software, of which the real systemd-creds is told by a script in its place."""

    def setUp(self):
        super().setUp()
        self.socket_of_tpm, self.tpm = self.path("tpm"), None
        real = shutil.copy("/usr/bin/systemd-creds", self.path("systemd-creds"))
        script = self.write(self.path("script"), """#!/bin/sh
case " $* " in *" has-tpm2 "*) exit 0 ;; esac
SYSTEMD_TPM2_DEVICE=swtpm:path=%s exec %s "$@"
""" % (self.socket_of_tpm, real))
        os.chmod(script, 0o700)
        self.within = ("unshare", "--mount", "sh", "-c", "mount --bind %s /usr/bin/systemd-creds && exec \"$@\"" % script, "sh")
        self.mount_a_tpm()
        self.addCleanup(self.take_the_tpm_out)
        self.write(self.path("plain"), "x")
        if not self.creds("encrypt", "--with-key=tpm2", self.path("plain"), self.path("tried")):
            self.skipTest("NOT TESTED: systemd-creds does not reach a TPM in software here (libtss2-tcti-swtpm0?)")

    def mount_a_tpm(self):
        """A new one, with seeds of its own."""
        state = self.path("tpm-state")
        shutil.rmtree(state, ignore_errors=True)
        os.mkdir(state, 0o700)
        self.tpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state, "--flags",
                                     "not-need-init,startup-clear", "--server", "type=unixio,path=" + self.socket_of_tpm,
                                     "--ctrl", "type=unixio,path=" + self.socket_of_tpm + ".ctrl"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20 * harness.PATIENCE
        while not os.path.exists(self.socket_of_tpm + ".ctrl"):
            self.assertLess(time.monotonic(), end, "the TPM does not come up")
            time.sleep(0.02)

    def take_the_tpm_out(self):
        self.tpm.kill()
        self.tpm.wait()
        for name in (self.socket_of_tpm, self.socket_of_tpm + ".ctrl"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(name)

    def creds(self, *words):
        return subprocess.run([*self.within, "systemd-creds", *words], capture_output=True, timeout=120).returncode == 0

    def add(self, name):
        r = subprocess.run([*self.within, VAULT, "slot", "add", "--credential", self.path(name)], env=self.env, capture_output=True,
                           text=True, timeout=120)
        self.assertEqual(0, r.returncode, r.stderr)
        return r.stderr

    def test_lost_tpm(self):
        """A new mainboard: what the old one's had sealed opens no more."""
        self.assertIn("sealed with this machine's TPM", self.add("old-credential"))
        shown = self.recovery_key()
        os.remove(self.key)
        self.configure(vault={"key-file": None, "credential": "pixelvault.key"})
        self.assertTrue(self.started_with("old-credential"))
        self.all_there()
        del self.env["CREDENTIALS_DIRECTORY"]
        self.take_the_tpm_out()
        self.mount_a_tpm()
        self.assertFalse(self.started_with("old-credential", "on-the-new-one"))
        self.refuses(4, "get", next(iter(self.tokens)))
        self.assertIn("sealed with this machine's TPM", self.drill("lost-credential", ("recovery key", shown)))
        self.assertTrue(self.started_with("new-credential", "of-the-new-one"))
        self.all_there()
        self.vault("slot", "remove", self.slots("credential")[0], "--yes")
        self.all_there()

    def test_a_tpm_that_does_not_work_is_not_claimed(self):
        self.take_the_tpm_out()
        self.assertIn("sealed without a TPM", self.add("sealed"))
        self.assertTrue(self.started_with("sealed"))
        os.remove(self.key)
        self.configure(vault={"key-file": None, "credential": "pixelvault.key"})
        self.all_there()


if __name__ == "__main__":
    unittest.main()
