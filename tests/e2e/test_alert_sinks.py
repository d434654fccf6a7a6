"""A token that is revoked, as each kind of sink hears of it: from vault and --once, and from a running agent, whose keeper
has the supervisor start what takes messages out."""

import email
import email.policy
import json
import os
import shutil
import subprocess
import time
import unittest

import receivers
from harness import AGENT, PATIENCE, Case, direct_only

PASSWORD, KEY = "mail-password-4711-horse", "signing-key-4711-battery"


JOURNALD = "/lib/systemd/systemd-journald"
# A /run and a /var/log of their own: the real one, if there is any, is neither asked nor written.
REAL_JOURNAL = """
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mkdir -p /run/systemd/journal /run/log/journal || exit 77
%s >/dev/null 2>&1 & journald=$!
tries=0; while [ ! -S /run/systemd/journal/socket ]; do tries=$((tries + 1)); [ $tries -lt 100 ] || exit 77; sleep 0.1; done
"$@"; echo "exit $?" >&2
journalctl --sync; %s
kill $journald; wait
"""


def journal(show):
    return REAL_JOURNAL % (JOURNALD, show)


@direct_only("cron's way, beside a journal that only this process sees")
class RealJournal(Case):
    def test_an_alert_stands_in_a_real_journal_with_its_fields(self):
        tools = (JOURNALD, shutil.which("journalctl"), shutil.which("unshare"))
        if os.geteuid() != 0 or not all(t and os.path.exists(t) for t in tools):
            self.skipTest("needs root, systemd-journald, journalctl and unshare")
        self.configure(more="[alert log]\ntype = syslog\nmin-severity = info\n")
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "TEST12345", "--label", "brand=M\u00fcller | 100%")
        self.emu.revoke(token)
        r = subprocess.run(["unshare", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                            journal("journalctl -D /run/log/journal --no-pager -o json SYSLOG_IDENTIFIER=pixelvault"), "sh", AGENT, "--once", "-q"],
                           env=self.env, capture_output=True, timeout=60 * PATIENCE)
        if r.returncode == 77 or b"unshare" in r.stderr:
            self.skipTest("no mounts of its own: %r" % r.stderr)
        self.assertIn(b"exit 10", r.stderr)
        self.assertNotIn(token.encode(), r.stdout + r.stderr)
        entries = [json.loads(line) for line in r.stdout.splitlines()]
        first = entries[0]
        self.assertEqual(("alert", "critical", "2"), tuple(first[k] for k in ("PIXELVAULT_EVENT", "PIXELVAULT_SEVERITY", "PRIORITY")))
        self.assertRegex(first["PIXELVAULT_ID"], "^[0-9A-Z]{4}-[0-9A-Z]{4}$")
        self.assertIn("1 Pixel: revoked", first["MESSAGE"])
        self.assertTrue(any(pixel in e["MESSAGE"] and "brand=M\u00fcller | 100%" in e["MESSAGE"] for e in entries), entries)


class AllSinks(Case):
    check = {"interval": "1h"}

    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.web, self.mail = receivers.Https(), receivers.Smtp(user="pv", password=PASSWORD)
        self.log = receivers.Log(self.path("log"))
        for receiver in (self.web, self.mail, self.log):
            self.addCleanup(receiver.close)
        self.out = self.path("hook.out")
        ca = "ca-file = %s\n" % receivers.ca_file()
        self.sections = {
            "web": "type = webhook\nurl = %s\nsecret-file = %s\n" % (self.web.url("/web"), self.private("key", KEY)) + ca,
            "chat": "type = slack\nurl-file = %s\n" % self.private("url", self.web.url("/chat")) + ca,
            "mail": "type = email\nurl = %s\nto = ops@example.com\nuser = pv\npassword-file = %s\n" % (
                self.mail.url(), self.private("password", PASSWORD)) + ca,
            "page": "type = exec\ncommand = %s --loud\n" % self.hook(),
            "log": "type = syslog\nsocket = %s\n" % self.log.path,
            "alive": "type = ping\nurl-file = %s\n" % self.private("ping", self.web.url("/ping")) + ca,
        }
        self.configure(more="".join("[alert %s]\n%s" % s for s in self.sections.items()))

    def private(self, name, text):
        with open(self.path(name + ".secret"), "w") as f:
            f.write(text + "\n")
        os.chmod(self.path(name + ".secret"), 0o600)
        return self.path(name + ".secret")

    def hook(self):
        with open(self.path("hook"), "w") as f:
            f.write("#!/bin/sh\ncat >> %s\n" % self.out)
        os.chmod(self.path("hook"), 0o755)
        return self.path("hook")

    def at(self, path):
        return [r.body for r in self.web.requests if r.path == path]

    def paged(self):
        if not os.path.exists(self.out):
            return []
        with open(self.out, "rb") as f:
            return f.read().split(b"\n")[:-1]  # the last may be half a line yet

    def heard(self):
        return [self.at("/web"), self.at("/chat"), self.mail.mails, self.paged()]

    def test_each_takes_a_test(self):
        for name in self.sections:
            with self.subTest(name):
                r = self.json("alert", "test", name)
                self.assertEqual((r["outcome"], r["reason"]), ("delivered", None))
        self.assertEqual([len(h) for h in self.heard()], [1, 1, 1, 1])
        self.assertEqual(len(self.log.take(1)), 1)
        self.assertEqual(self.at("/ping"), [b""])
        self.assertEqual(json.loads(self.paged()[0])["event"], "test")

    def test_each_hears_of_a_token_that_was_revoked_and_gets_no_token(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "TEST12345", "--label", "shop=Zürich")
        self.emu.revoke(token)
        self.vault("check", rc=10)
        end = time.monotonic() + 20 * PATIENCE
        while not all(self.heard()) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([len(h) for h in self.heard()], [1, 1, 1, 1])
        lines = self.log.take(2)
        mail = email.message_from_bytes(self.mail.mails[0][2], policy=email.policy.default)
        self.assertTrue(self.mail.mails[0][3], "encrypted")
        texts = [self.at("/web")[0].decode(), json.loads(self.at("/chat")[0])["text"], mail.get_content(),
                 self.paged()[0].decode(), "\n".join(lines)]
        for text in texts:
            self.assertIn(pixel, text)
            self.assertIn("revoked", text)
            self.assertIn("Zürich", text)
            for secret in (token, PASSWORD, KEY):
                self.assertNotIn(secret, text)
        said = json.loads(texts[0])
        paged = json.loads(texts[3])
        # Each is written when its sink's turn comes, and the second may turn in between.
        self.assertMoment(said.get("at"))
        self.assertMoment(paged.get("at"))
        self.assertEqual(dict(said, at=""), dict(paged, at=""))
        self.assertEqual((said["event"], said["count"], said["pixels"][0]["pixel"]), ("alert", 1, pixel))
        self.assertIn(said["message_id"], mail["Message-ID"])
        self.assertIn(said["id"], lines[0])


if __name__ == "__main__":
    unittest.main()
