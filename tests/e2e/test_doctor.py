"""doctor: each finding appears when its cause does, says what to do, and goes with it. What it is about: see test_moves for
the rest."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import Case, say


class Doctor(Case):
    check = {"interval": "6h"}

    def setUp(self):
        super().setUp()
        self.pixel, _ = self.stored()

    def found(self, about):
        """The findings about this, worst last."""
        order = {"ok": 0, "note": 1, "problem": 2}
        all_of_it = [f for f in self.json("doctor", rc=(0, 1))["findings"] if f["about"] == about]
        for f in all_of_it:
            self.assertEqual(f["state"] == "ok", f["fix"] is None, f)
        return sorted(all_of_it, key=lambda f: order[f["state"]])

    def worst(self, about):
        found = self.found(about)
        return found[-1]["state"] if found else None

    def test_a_file_that_is_open_to_others(self):
        self.assertEqual("ok", self.worst("files"))
        for folder, name, about in ((self.state, ".audit.log", "state file"), (self.home, "vault.db.lock", "vault's file")):
            path = next(os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.endswith(name))
            mode = os.stat(path).st_mode & 0o7777
            os.chmod(path, 0o644)
            finding, = self.found(about)
            self.assertEqual(("problem", "chmod 600 '%s'" % path), (finding["state"], finding["fix"]))
            subprocess.run(finding["fix"], shell=True, check=True)
            self.assertIsNone(self.worst(about), mode)

    def test_every_fix_of_a_permission_can_be_pasted(self):
        for path, about in ((self.file, "vault"), (self.home, "folder of the vault"), (self.state, "state folder")):
            os.chmod(path, 0o777)
            fix = self.found(about)[-1]["fix"]
            self.assertTrue(fix.startswith("chmod "), fix)
            subprocess.run(fix, shell=True, check=True)
            self.assertEqual("ok", self.worst(about))

    def test_that_nobody_is_told_is_said(self):
        [f] = self.found("alerts")
        self.assertEqual("note", f["state"])
        self.assertIn("[alert NAME]", f["fix"])
        self.configure(more="[alert log]\ntype = syslog\n")
        self.assertEqual([], self.found("alerts"))

    def test_tiktok_is_reached_without_a_token(self):
        before = len(self.emu.log())
        self.assertEqual("ok", self.worst("TikTok"))
        asked = self.emu.log()[before:]
        self.assertEqual([None], [l["pixel"] for l in asked][:1], asked)
        self.assertEqual({}, {k: v for l in asked for k, v in l.items() if k == "token" and v})

    def test_tiktok_that_cannot_be_reached_or_proven(self):
        for change, words in (({"base-url": "https://127.0.0.1:1/open_api/v1.3"}, "connect"),
                              ({"ca-file": "/etc/ssl/certs/ca-certificates.crt"}, "certificate|TLS")):
            if not os.path.exists(change.get("ca-file", "/")):
                continue
            self.configure(tiktok=change)
            finding = self.found("TikTok")[-1]
            self.assertEqual("problem", finding["state"])
            self.assertRegex(finding["message"], "(?i)" + words)
            self.assertIn("curl", finding["fix"])
        self.configure()
        self.assertEqual("ok", self.worst("TikTok"))

    def test_a_breaker_that_is_open(self):
        self.assertEqual("ok", self.worst("breaker"))
        self.emu.fault("code-40100")
        self.vault("check", rc=None)
        time.sleep(1.1)
        self.vault("check", rc=None)
        self.emu.no_faults()
        finding, = self.found("breaker")
        self.assertEqual("problem", finding["state"])
        self.assertIn("vault plan", finding["fix"])

    def test_tokens_that_nobody_checked_for_long(self):
        self.assertEqual("ok", self.worst("last check"))
        self.configure(check={"interval": "1s"})
        time.sleep(4.1)
        self.assertEqual("problem", self.worst("last check"))
        checked = time.monotonic()
        self.vault("check")
        state = self.worst("last check")
        self.assertSoon(time.monotonic() - checked, 1.9, "the next is overdue by now")
        self.assertEqual("ok", state)

    def test_the_last_backup_and_its_age(self):
        self.assertEqual(("note", "none was made from here"), tuple(self.found("last backup")[-1][k] for k in ("state", "message")))
        copy = self.path("copy")
        line = self.vault("backup", copy).out.decode()
        fine = self.found("last backup")[-1]
        self.assertEqual("ok", fine["state"])
        self.assertIn(line.strip(), fine["message"])
        self.vault("backup", copy, rc=8)  # one that failed is none
        os.rename(self.key, self.key + "-away")
        self.vault("backup", copy, "--force")
        self.assertIn("without a key", self.found("last backup")[-1]["message"])
        os.rename(self.key + "-away", self.key)
        note, = [n for n in os.listdir(self.state) if n.endswith(".backup")]
        self.assertEqual(0o600, os.stat(os.path.join(self.state, note)).st_mode & 0o7777)
        long_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 31 * 86400))
        text = self.read(os.path.join(self.state, note)).decode()
        self.write(os.path.join(self.state, note), long_ago + text[20:])
        old = self.found("last backup")[-1]
        self.assertEqual("note", old["state"])
        self.assertRegex(old["message"], "made 31d ago, at " + long_ago)
        for rubbish in ("", "\n", "yesterday -\n", long_ago, "2026-11-01T00:00:00Z \x1b[31m\n", "x" * 5000):
            self.write(os.path.join(self.state, note), rubbish)
            self.assertEqual("none was made from here", self.found("last backup")[-1]["message"], rubbish)
        self.vault("verify")

    def test_a_vault_in_memory(self):
        shm = "/dev/shm"
        if not os.path.ismount(shm):
            self.skipTest("no tmpfs")
        folder = tempfile.mkdtemp(dir=shm)
        self.addCleanup(shutil.rmtree, folder)
        self.assertEqual("ok", self.worst("file system of the state folder"))
        self.configure(vault={"state-dir": folder})
        finding = self.found("file system of the state folder")[-1]
        self.assertEqual("problem", finding["state"])
        self.assertIn("memory", finding["message"])

    def test_a_vault_that_cannot_be_opened_is_no_guess(self):
        os.rename(self.key, self.key + "-away")
        self.assertIsNone(self.worst("breaker"))
        self.assertEqual("ok", self.worst("inside the vault"))

    def test_quiet_shows_what_is_to_be_done_only(self):
        r = self.vault("doctor", "-q", rc=(0, 1))
        self.assertNotRegex(r.out.decode(), r"(?m)^ok ", say(r))


if __name__ == "__main__":
    unittest.main()
