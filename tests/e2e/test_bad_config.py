"""Hundreds of bad configuration files, made from every key there is: each is refused with its line, and an agent told to
read one goes on with what it had."""

import os
import re
import signal
import time
import unittest

import harness
from agent_harness import AgentCase, ask_once
from harness import ROOT, Case

LINE_MAX = 190
DAY = 86400
# The kinds of value, and what is no value of that kind.
WRONG = {
    "file": ("key", "./key", "/srv/"), "folder": ("state", "~/state"), "yes_no": ("on", "1", "YES", "yes no"),
    "number": ("five", "5.0", "-1", "0x5", "99999999999999999999"), "span": ("6", "6 h", "1.5h", "-1s", "often", "99999999999999999999d"),
    "choice": ("none of these", "X"), "url": ("http://localhost/v1.3", "localhost", "https://", "https://u:p@localhost/v1.3"),
    "account": ("-x", "a b", "a/b"), "mail": ("ops", "@example.com", "a@b,c@d"), "words": ("-", "a,b"), "name": ("a/b", "..", "a b"), "listen": ("9187", "0.0.0.0:9187", "127.0.0.1:0"),
}
# section, key, what holds, its kind, and the ends of its range: in seconds for a span.
KEYS = [
    ("vault", "path", "/srv/pv/v.db", "file", None), ("vault", "state-dir", "/srv/pv-state", "folder", None),
    ("vault", "key-file", "/srv/key", "file", None), ("vault", "credential", "vault-key", "name", None),
    ("vault", "audit-reads", "durable", "choice", None),
    ("agent", "socket", "/run/x/agent.sock", "file", None), ("agent", "user", "pixelvault", "account", None),
    ("agent", "group", "clients", "account", None), ("agent", "require-locked-memory", "no", "yes_no", None),
    ("agent", "status-listen", "127.0.0.1:9187", "listen", None),
    ("check", "interval", "1h", "span", (1, 90 * DAY)), ("check", "rate", "7", "number", (1, 100000)),
    ("check", "in-flight", "9", "number", (1, 256)), ("check", "confirm-delay", "10m", "span", (0, DAY)),
    ("check", "expiry-warning", "30d 1d", "span", (1, 3650 * DAY)), ("check", "max-age", "90d", "span", (0, 3650 * DAY)),
    ("check", "probe", "test", "choice", None), ("check", "failover", "yes", "yes_no", None),
    ("check", "grace", "7d", "span", (0, 3650 * DAY)), ("check", "purge-after", "30d", "span", (0, 3650 * DAY)),
    ("tiktok", "base-url", "https://localhost:8443/open_api/v1.3", "url", None), ("tiktok", "login-url", "https://localhost:8443/v2", "url", None),
    ("tiktok", "ca-file", "/srv/ca.pem", "file", None), ("tiktok", "connect-timeout", "2s", "span", (1, 60)),
    ("tiktok", "timeout", "9s", "span", (1, 60)),
    ("alert", "type", "webhook", "choice", None), ("alert", "url", "https://host/x", "url", None), ("alert", "to", "ops@example.com", "mail", None),
    ("alert", "command", "/usr/bin/page", "file", None), ("alert", "url-file", "/srv/url", "file", None),
    ("alert", "secret-file", "/srv/hmac", "file", None), ("alert", "ca-file", "/srv/ca.pem", "file", None),
    ("alert", "from", "pixelvault@example.com", "mail", None), ("alert", "user", "pixelvault", None, None),
    ("alert", "password-file", "/srv/password", "file", None), ("alert", "tls", "none", "choice", None),
    ("alert", "socket", "/dev/log", "file", None), ("alert", "time-limit", "30s", "span", (1, 60)),
    ("alert", "min-severity", "warning", "choice", None), ("alert", "remind", "1d", "span", (60, 90 * DAY)),
    ("access", "user", "app", "account", None), ("access", "group", "apps", "account", None), ("access", "pixels", "*", "words", None),
    ("access", "labels", "brand=acme", "words", None), ("access", "verbs", "read", "words", None),
]
# What a key needs beside it, so that nothing but its value can be wrong.
BESIDE = {
    "time-limit": "type = exec\ncommand = /bin/true\n", "remind": "type = exec\ncommand = /bin/true\n",
}
NEEDS = {  # section: what it must have, and a whole one
    "alert": (("type", "url"), {"type": "webhook", "url": "https://host/x"}),
    "access": (("user", "pixels", "verbs"), {"user": "app", "pixels": "*", "verbs": "read"}),
}


def head(section):
    return "[%s a]\n" % section if section in ("alert", "access") else "[%s]\n" % section


def spelled(kind, value):
    return "%ds" % value if kind == "span" else "%d" % value


def bad_files():
    """(what, text, the line that is wrong)"""
    for section, key, good, kind, ends in KEYS:
        top, line, beside = "# one\n\n" + head(section), "%s = %s\n" % (key, good), BESIDE.get(key, "")
        at = top.count("\n") + 1
        for what, text, where in (
                ("twice", top + line + line, at + 1),
                ("twice in a second section", top + line + "[%s]\n" % ("check" if section != "check" else "tiktok") + head(section) + line, at + 2),
                ("misspelled", top + line.replace(key, key + "z", 1), at),
                ("in capitals", top + line.replace(key, key.upper(), 1), at),
                ("outside a section", line + top, 1),
                ("in another section", "[nowhere]\n" + line, 1),
                ("without a value", top + key + " =\n", at),
                ("without =", top + key + "\n", at),
                ("indented", top + " " + line, at),
                ("a comment behind it", top + line.replace("\n", " ; why\n"), at),
                ("a comment behind it, by #", top + line.replace("\n", "\t# why\n"), at),
                ("a carriage return", top + line.replace("\n", "\r\n"), at),
                ("a NUL", top + line.replace("\n", "\0\n"), at),
                ("a control character", top + line.replace("\n", "\x1b[1m\n"), at),
                ("a byte order mark", "\ufeff" + top + line, 1),
                ("not UTF-8", (top + line.replace("\n", "")).encode() + b"\xff\n", at),
                ("a long line", top + line.replace("\n", "x" * (LINE_MAX + 1 - len(line) + 1) + "\n"), at),
                ("a long section", top + line + "[alert " + "n" * 45 + "]\n" + line, at + 1)):
            yield "%s.%s: %s" % (section, key, what), text, where
        for wrong in WRONG.get(kind, ()):
            yield "%s.%s = %s" % (section, key, wrong), top + "%s = %s\n" % (key, wrong), at
        if ends:
            at += beside.count("\n")
            for value in [ends[1] + 1] + ([ends[0] - 1] if ends[0] else []):
                if (key, value) != ("remind", 0):
                    yield "%s.%s: past the end" % (section, key), top + beside + "%s = %s\n" % (key, spelled(kind, value)), at
    for section, (needed, whole) in NEEDS.items():
        for missing in needed:
            yield "%s without %s" % (section, missing), head(section) + "".join("%s = %s\n" % i for i in whole.items() if i[0] != missing), None


class Refused(Case):
    uses_emulator = False

    def test_each_with_its_file_and_line(self):
        path, wrong, count = self.path("bad.ini"), [], 0
        every = 1 if os.environ.get("SOAK") else 3
        for what, text, line in list(bad_files())[harness.SEED % every::every]:
            count += 1
            self.write(path, text if isinstance(text, bytes) else text.encode())
            r = self.vault("config", "check", "--config", path, rc=None)
            found = re.search(r"^vault: %s:(\d+): \S" % re.escape(path), r.err)
            if r.rc != 13 or r.out or not found or line not in (None, int(found.group(1))) or "\n  hint: " not in r.err:
                wrong.append((what, line, r.rc, r.err))
        self.assertEqual([], wrong[:5], "%d of %d" % (len(wrong), count))
        self.assertGreater(count, 300)
        harness.notes.append("%d bad configuration files refused, each with its line%s" % (count, "" if every == 1 else ": every third of them"))

    def test_the_ends_themselves_are_taken(self):
        path = self.path("good.ini")
        for section, key, good, kind, ends in KEYS:
            for value in [spelled(kind, end) for end in ends or ()]:
                if (key, value) == ("time-limit", "0s"):
                    continue
                self.write(path, head(section) + BESIDE.get(key, "") + "%s = %s\n" % (key, value))
                self.vault("config", "check", "--config", path)

    def test_no_key_is_left_out(self):
        """The table above follows the program's: the example names every key."""
        named, section = set(), None
        with open(os.path.join(ROOT, "examples", "pixelvault.ini")) as f:
            for line in f:
                if m := re.fullmatch(r"#?\[(\w+)( [\w-]+)?\]\n", line):
                    section = m.group(1)
                elif m := re.match(r"#([a-z-]+) = ", line):
                    named.add((section, m.group(1)))
        self.assertEqual(named, {k[:2] for k in KEYS} & named)
        self.assertEqual(set(), {k[:2] for k in KEYS} - named - {("access", "group")})

    @unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: gives files away")
    def test_files_that_others_could_change_or_that_are_none(self):
        path = self.path("odd.ini")
        for mode in (0o620, 0o602, 0o622, 0o666, 0o777):
            self.write(path, "[check]\n", mode)
            self.refuses(13, "config", "check", "--config", path, says=re.escape(path))
        self.write(path, "[check]\n")
        for uid in (1, 65534):
            os.chown(path, uid, uid)
            self.refuses(13, "config", "check", "--config", path, says=re.escape(path))
        os.unlink(path)
        for make in (lambda: os.symlink(path, path), lambda: os.symlink("/nowhere", path), lambda: os.mkfifo(path, 0o600),
                     lambda: os.mkdir(path), lambda: None):
            make()
            r = self.refuses(13, "config", "check", "--config", path, says=re.escape(path))
            self.assertSoon(r.took, 5)
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif os.path.lexists(path):
                os.unlink(path)


@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: becomes another user")
class Reloaded(AgentCase):
    STRANGER = 20998

    def log(self):
        return self.read(self.path("agent.log")).decode("utf-8", "replace")

    def hup(self):
        before = self.log().count("reloaded")
        self.keeper.send_signal(signal.SIGHUP)
        self.until(lambda: self.log().count("reloaded") > before, 10, "an answer to SIGHUP")

    def until(self, holds, seconds, what):
        end = time.monotonic() + max(seconds, 30) * harness.PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.002)

    def strangers_answer(self):
        path, code = self.socket, self.codes[0]
        return self.as_user(self.STRANGER, self.STRANGER, [], lambda: ask_once(path, "GET", "/v1/pixels/%s/token" % code)[0])

    def test_a_bad_file_changes_nothing_not_even_what_stands_before_the_mistake(self):
        good = self.read(self.config)
        admitting = b"[access stranger]\nuser = %d\npixels = *\nverbs = meta read\n" % self.STRANGER
        some = [f for f in bad_files() if f[2] != 1 and not f[0].startswith("vault.")][::7]
        for what, text, _ in some:
            self.write(self.config, good + admitting + (text if isinstance(text, bytes) else text.encode()))
            self.hup()
            self.assertEqual(0, self.log().count("configuration reloaded"), what)
        self.assertEqual(403, self.strangers_answer())
        said = re.findall(r"(?m)^\S+: %s:\d+: \S.*\n  hint: .*\n\S+: the configuration was not reloaded" % re.escape(self.config), self.log())
        self.assertEqual(len(some), len(said))
        self.write(self.config, good + admitting)
        self.hup()
        self.assertEqual(200, self.strangers_answer())
        for mistake in (b"[check]\nrate = 0\n", b"[bogus]\n"):
            self.write(self.config, good + mistake)
            self.hup()
            self.assertEqual(200, self.strangers_answer(), "the rules that hold go on holding")
        harness.notes.append("%d reloads of bad files, none of which changed anything" % (len(some) + 2))


if __name__ == "__main__":
    unittest.main()
