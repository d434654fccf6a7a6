"""`check --nagios`: one status line with perfdata, then one line per Pixel that is not healthy."""

import datetime
import os
import re
import unittest

from harness import Case, cases, direct_only, new_pixel, say, spread


@spread
class Nagios(Case):
    def monitor(self, rc, *words):
        r = self.vault("check", "--nagios", *words, rc=rc)
        lines = r.out.decode().splitlines()
        self.assertTrue(lines, say(r))
        self.assertRegex(lines[0], r"\b%s\b" % ["OK", "WARNING", "CRITICAL", "UNKNOWN"][rc], say(r))
        self.assertEqual("", r.err, "a monitor reads stdout" + say(r))
        return lines

    def perfdata(self, line):
        self.assertEqual(1, line.count("|"), line)
        found = {}
        for word in line.split("|")[1].split():
            self.assertRegex(word, r"^'?[^'=|]+'?=[0-9.]+(us|ms|s|%|B|c)?(;[^;]*){0,4}$")
            name, value = word.split("=", 1)
            found[name.strip("'")] = float(re.match("[0-9.]+", value).group())
        return found

    def test_ok(self):
        for _ in range(3):
            self.stored()
        pixel, _ = self.stored(test_code=None)
        lines = self.monitor(0)
        self.assertTrue(self.perfdata(lines[0]))
        self.assertLessEqual(len(lines), 2, "healthy Pixels have no line of their own")

    @cases(revoked=("code-40105", 2), expired=("code-40102", 2), scope=("code-40130", 2), nothing_usable=("code-40104", 2),
           unclear=("unknown-code", 3), unreachable=("503", 3), throttled=("code-40133", 3))
    def test_state(self, fault, rc):
        pixel, _ = self.stored()
        self.emu.fault(fault)
        lines = self.monitor(rc, pixel)
        self.perfdata(lines[0])
        if rc == 2:
            self.assertTrue([l for l in lines[1:] if pixel in l], lines)

    def test_warning_when_due(self):
        pixel, token = self.pair()
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
        self.put(pixel, token, "--test-code", "T1", "--expires", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.monitor(1)

    def test_critical_is_graver_than_warning_than_unknown(self):
        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        good, _ = self.stored()
        due, due_token = self.pair()
        self.put(due, due_token, "--test-code", "T1", "--expires", soon)
        bad, bad_token = self.stored()
        unclear, _ = self.stored()
        self.emu.fault("unknown-code", pixel=unclear)
        self.monitor(3, unclear)
        self.assertEqual(1, self.vault("check", "--nagios", due, unclear, rc=None).rc)
        self.emu.revoke(bad_token)
        lines = self.monitor(2, bad, due, unclear, good)
        self.assertFalse([l for l in lines[1:] if good in l], lines)
        self.assertTrue([l for l in lines[1:] if bad in l], lines)

    @direct_only("key and file are the business of the agent")
    def test_any_failure_is_unknown_and_still_a_status_line(self):
        self.monitor(3, new_pixel())
        key = self.read(self.key)
        os.remove(self.key)
        self.monitor(3)
        self.write(self.key, b"x" * 32)
        self.monitor(3)
        self.write(self.key, key)
        with open(self.file, "r+b") as f:
            f.write(b"x" * 4096)
        self.monitor(3)
        os.remove(self.file)
        self.monitor(3)
        self.write(self.config, "[nonsense]\n")
        self.monitor(3)

    def test_wrong_use_is_unknown_too(self):
        r = self.vault("check", "--nagios", "--nonsense", rc=3)
        self.assertIn("UNKNOWN", r.out.decode())

    def test_a_bar_or_line_end_in_tiktoks_text_does_not_break_the_format(self):
        pixel, _ = self.stored()
        self.vault("label", pixel, "k=a|b")
        self.emu.fault("echo-token")
        lines = self.monitor(2, pixel)
        self.perfdata(lines[0])
        for l in lines[1:]:
            self.assertNotIn("|", l, "a bar starts perfdata")


if __name__ == "__main__":
    unittest.main()
