"""Each verb of the command line, once: no secret in what it prints, in files, or left in a file of its own. A command
without a row here fails."""

import os
import re
import subprocess
import unittest

from harness import Case, VAULT, new_pixel, say

HANDS_OUT = {"get", "run", "render"}  # tokens, to stdout and nowhere else


class Verbs(Case):
    uses_emulator = False

    def rows(self):
        """{verb: [(words, stdin, exit codes)]}; nobody answers for TikTok."""
        p, q, token, other = self.pixel, self.other, self.token(), self.token()
        csv = "pixel,token\n%s,%s\n" % (new_pixel(), self.token())
        template = self.write(self.path("template"), b"T={{ %s }}\n" % p.encode())
        passphrase = self.write(self.path("phrase"), b"korrektes Pferd Batterie\n")
        report = [p, "--code", "40105"]
        copy, new = self.path("copy"), {"PIXELVAULT_VAULT": self.path("new", "vault.db"), "PIXELVAULT_STATE": self.path("new-s")}
        self.new_env = new
        return {
            "init": [(["--key-file", self.path("new-key"), "--no-recovery"], "", 0)],
            "put": [([p, "--no-check"], token, 0), ([p, "--no-check"], "not " + other, 15), ([p], other, (0, 9, 13))],
            "get": [([p], "", 0), ([p, "--json"], "", 0)],
            "run": [(["--env", "T=" + p, "--", "true"], "", 0)],
            "list": [([], "", 0)], "status": [([], "", 0), ([p], "", 0)],
            "check": [([p], "", None)], "plan": [([], "", 0)], "levels": [([], "", 0)], "label": [([p, "a=b"], "", 0)],
            "history": [([p], "", 0)], "verify": [([], "", 0)],
            "audit": [(["show"], "", 0), (["verify"], "", 0), (["accept-loss"], "", 8)],
            "config": [(["show"], "", 0), (["check"], "", 0)],
            "completion": [(["bash"], "", 0)], "exit-codes": [([], "", 0)], "help": [(["put"], "", 0)],
            "report": [(report, "", None)], "ack": [([p, "--version", "1", "--as", "x"], "", None)],
            "rotate": [([], token, None)], "rollback": [([p], "", None)], "swap": [([p, q], "", None)],
            "move": [([p, q], "", None)], "retire": [([p, "--force"], "", None)], "rollout": [([p], "", 0)],
            "unlock": [([], "", None)], "lock": [([], "", None)], "access": [(["explain", "--user", "root", p], "", None)],
            "doctor": [([], "", None)], "match": [([], token, None)],
            "render": [([template], "", None), ([template, "--to", self.path("rendered")], "", None)],
            "scan": [([self.path("template")], "", None)],
            "import": [(["-", "--dry-run"], csv, None), (["-", "--no-check"], csv, None)],
            "export": [(["--to-file", self.path("out.pxe"), "--passphrase-file", passphrase], "", None)],
            "listing": [([], "", None)], "alert": [(["list"], "", None), (["test"], "", None)],
            "slot": [(["list"], "", 0), (["test", "--key-file", self.key], "", 0), (["add", "--passphrase-file", passphrase], "", 0)],
            "checkpoint": [([], "", 0)], "backup": [([copy, "--force"], "", 0)], "restore": [(["--only", p, copy, "--older", "--yes"], "", 0), ([copy, "--yes"], "", 0)],
            "adopt": [(["--first-use"], "", 0)], "rotate-key": [(["--passphrase-file", passphrase], "", 0)],
            "rm": [([q], "", 0), ([q, "--destroy", "--yes"], "", 0)],
            "rekey": [(["--key-file", self.path("key3")], "", 0)],  # from here on the first key opens nothing
        }

    def setUp(self):
        super().setUp()
        self.pixel, self.other = new_pixel(), new_pixel()
        self.secrets = []
        for pixel in (self.pixel, self.other):
            self.secrets.append(super().token())
            self.put(pixel, self.secrets[-1], "--no-check")

    def token(self):
        self.secrets.append(super().token())
        return self.secrets[-1]

    def all_secrets(self):
        keys = [self.read(self.path(n)) for n in os.listdir(self.path()) if "key" in n and os.path.isfile(self.path(n))]
        keys = [k for k in keys if len(k) == 32]
        return [s.encode() for s in self.secrets] + keys + [k.hex().encode() for k in keys] + [b"korrektes Pferd"]

    def look(self, verb, words, stdin, rc):
        env = dict(self.env, **(self.new_env if verb == "init" else {}))
        r = self.run_program([VAULT, verb, *words], stdin=stdin, rc=None, env=env, says_token=verb in HANDS_OUT)
        if rc is not None:
            self.assertIn(r.rc, rc if isinstance(rc, tuple) else (rc,), say(r))
        for secret in self.all_secrets():
            self.assertNotIn(secret, r.err.encode(), verb)
            if verb not in HANDS_OUT:
                self.assertNotIn(secret, r.out, verb)
        files = dict(self.files())
        for name in ("copy", "out.pxe"):
            if os.path.exists(self.path(name)):
                files[name] = self.read(self.path(name))
        for name, data in files.items():
            for secret in self.all_secrets():
                self.assertNotIn(secret, data, (verb, name))

    def test_every_verb(self):
        table = self.rows()
        help_text = subprocess.run([VAULT, "--help"], capture_output=True, text=True, env=self.env).stdout
        known = re.findall(r"(?m)^  ([a-z-]+) {2,}\S", help_text)
        self.assertEqual(sorted(known), sorted(table), "each command has its row")
        for verb, runs in table.items():
            for words, stdin, rc in runs:
                with self.subTest(verb, words=words):
                    self.look(verb, words, stdin, rc)
                    self.look(verb, ["--json"] + words if verb not in ("init", "run", "completion", "help") else words, stdin, None)


if __name__ == "__main__":
    unittest.main()
