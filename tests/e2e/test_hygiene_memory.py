"""What the memory of each verb of the command line holds in its last moment: no piece of a secret, in no form, not even in
locked memory. HYGIENE=1 (make hygiene) looks at every verb, without it at a few."""

import os
import subprocess
import sys
import unittest

import harness
from harness import BUILD, IS_SANITIZED, STEPPER, VAULT, traced
from test_agent_hygiene import MEMSCAN, needles
import test_hygiene_verbs

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "support"))
import reader

ALL = os.environ.get("HYGIENE") == "1"
SAMPLE = {"put", "get", "check"}
PHRASE = b"korrektes Pferd Batterie"


@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root may look into our memory")
@unittest.skipIf(IS_SANITIZED, "the sanitizers keep copies of their own")
class LastMoment(test_hygiene_verbs.Verbs):
    test_every_verb = None  # what it does is in test_hygiene_verbs

    def setUp(self):
        super().setUp()
        self.report = self.path("report")
        self.look = self.path("look")
        self.write(self.look, "#!/bin/sh\ncase $(readlink /proc/$1/exe) in %s/*) ;; *) exit 0 ;; esac\n%s $1 <%s >>%s\n" % (
            BUILD, MEMSCAN, self.path("needles"), self.report), 0o700)

    def root_key(self):
        """As docs/format.md says: the slot of the first key file."""
        rows = dict(self.sql("SELECT CAST(k AS BLOB), v FROM kv WHERE k IN ('root', 'slots')"))
        key, slots = self.read(self.key), rows[b"slots"][4:]
        vault_id = rows[b"root"][24:40]
        found = [reader.slot_open(key, vault_id, slots[i:i + 160]) for i in range(0, len(slots), 160)
                 if slots[i + 8] == reader.KEY_FILE]
        return next((k for k in found if k), None)

    def secrets_now(self, verb):
        found = {"token%d" % i: s.encode() for i, s in enumerate(self.secrets[:2] + self.secrets[-2:])}
        if os.path.exists(self.key):
            found["key"] = self.read(self.key)
            root_key = self.root_key()
            if root_key:
                found.update({"root": root_key, "token-subkey": reader.subkeys(root_key)[reader.TOKEN]})
        found["phrase"] = PHRASE
        return found

    def last_moment(self, verb, words, stdin):
        """[(which secret, in which form, in what mapping)], over all processes of the command."""
        lines = ["%s %s" % (name, value.hex()) for what, secret in self.secrets_now(verb).items()
                 for name, value in needles(what, secret).items()]
        self.write(self.path("needles"), "\n".join(lines) + "\n")
        self.write(self.report, "")
        env = traced(dict(self.env, **(self.new_env if verb == "init" else {})))
        p = subprocess.run([STEPPER, "-x", self.look, self.path("count"), "0", VAULT, verb, *words], env=env,
                           input=stdin.encode() if isinstance(stdin, str) else stdin, capture_output=True, cwd=self.dir, timeout=120)
        self.assertNotEqual(125, p.returncode, p.stderr)
        said = self.read(self.report).decode().splitlines()
        if verb != "run":  # its memory is gone with the exec of what it runs
            self.assertTrue([l for l in said if l.startswith("searched ")], "nothing was searched")
        return p.returncode, sorted({tuple([l.split(" ", 2)[0].rsplit("-", 1)[0], l.split(" ", 2)[2]]) for l in said
                                     if not l.startswith("searched ")})

    def test_no_verb_leaves_a_secret_in_memory(self):
        looked, found = 0, []
        for verb, runs in self.rows().items():
            for words, stdin, rc in runs if ALL or verb in SAMPLE else ():
                got, hits = self.last_moment(verb, words, stdin)
                if rc is not None:
                    self.assertIn(got, rc if isinstance(rc, tuple) else (rc,), (verb, words))
                looked += 1
                found += [(verb, *words[:1], *hit) for hit in hits]
        harness.notes.append("%d commands looked at in their last moment" % looked)
        self.assertEqual([], found)

    def test_the_search_finds_what_a_process_keeps(self):
        """A process that holds a token when it ends is found out; else the others would prove nothing."""
        token = self.secrets[0]
        self.write(self.look, "#!/bin/sh\n%s $1 <%s >>%s\n" % (MEMSCAN, self.path("needles"), self.report), 0o700)
        self.write(self.path("needles"), "".join("%s %s\n" % (n, v.hex()) for n, v in needles("token", token.encode()).items()))
        p = subprocess.run([STEPPER, "-x", self.look, self.path("count"), "0", "sh", "-c", "read x; exit 7"], input=token.encode() + b"\n",
                           capture_output=True)
        self.assertEqual(7, p.returncode, p.stderr)
        self.assertIn("token-raw-0 ", self.read(self.report).decode())
        self.assertIn("token-raw-32 ", self.read(self.report).decode())


if __name__ == "__main__":
    unittest.main()
