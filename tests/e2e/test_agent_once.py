"""`vault-agent --once`: one sweep without a daemon, for cron."""

import contextlib
import datetime
import os
import subprocess
import time
import unittest

from harness import AGENT, Case, TooLate, cases, descendants, new_pixel, say, spread


@spread
class Once(Case):
    def test_all_is_well(self):
        made = [self.stored()[0] for _ in range(3)]
        before = len(self.emu.asked())
        r = self.agent("--once")
        self.assertEqual(sorted(made), sorted(self.emu.asked()[before:]))
        self.assertEqual((b"", ""), (r.out, r.err), "cron mails every word")

    def test_a_token_that_is_well_again_is_no_reason_for_a_mail(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.agent("--once", rc=10)
        self.emu.works_again(token)
        r = self.agent("--once")
        self.assertEqual("healthy", self.status(pixel)["verdict"])
        self.assertEqual((b"", ""), (r.out, r.err))

    def test_quiet_and_well_is_silent(self):
        self.stored()
        r = self.agent("--once", "-q")
        self.assertEqual((b"", ""), (r.out, r.err), "cron mails every word")

    def test_quiet_names_the_bad_one(self):
        pixel, token = self.stored()
        good, _ = self.stored()
        self.emu.revoke(token)
        r = self.agent("--once", "-q", rc=10)
        text = r.out.decode() + r.err
        self.assertIn(pixel, text, say(r))
        self.assertNotIn(good, text, say(r))
        [line] = r.err.splitlines()  # one line a problem: what it is, and what to do
        self.assertIn("40105", line)
        self.assertIn("'put' it", line)

    def test_an_outage_is_one_problem_and_one_line(self):
        pairs = [self.stored() for _ in range(4)]
        for _, token in pairs:
            self.emu.revoke(token)
        r = self.agent("--once", "-q", rc=9)
        [line] = r.err.splitlines()
        self.assertIn("outage at TikTok", line)

    def test_what_is_for_a_sweep_only_is_said_by_its_name(self):
        for option in (["--deadline", "1m"], ["--splay", "1m"], ["--metrics-file", "x"], ["-q"]):
            self.assertIn(option[0], self.agent(*option, rc=2).err)

    def test_on_a_terminal_good_news_is_told(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.agent("--once", rc=10)
        self.emu.works_again(token)
        t = self.terminal("--once", "--config=" + self.config, program=AGENT)
        self.assertEqual(0, t.wait(), t.text())
        self.assertIn("%s: healthy (was revoked)" % pixel, t.text())
        self.assertIn("1 Pixel, all is well", t.text())
        other, _ = self.stored()
        t = self.terminal("--once", "--", pixel, other, program=AGENT)
        self.assertEqual(0, t.wait(), t.text())
        self.assertIn("2 Pixels, all is well", t.text())
        t = self.terminal("--once", "-q", program=AGENT)
        self.assertEqual((0, ""), (t.wait(), t.text()))

    def test_one_bad_one_among_many_is_named_alone(self):
        pairs = [self.stored() for _ in range(10)]
        self.emu.revoke(pairs[3][1])
        r = self.agent("--once", rc=10)
        [line] = r.err.splitlines()
        self.assertIn(pairs[3][0], line)

    def test_a_line_said_wrong_is_told_and_nothing_is_asked(self):
        self.stored()
        before = len(self.emu.asked())
        for words, said in ((["--config"], "--config"), (["--once", "--splay"], "--splay"), (["--once", "--deadline=soon"], "--deadline"),
                            (["--once", "--metrics-file"], "--metrics-file"), (["--once", "--metrics-file="], "--metrics-file"),
                            (["--once", "--keeper"], "--keeper"), (["--once", "--courier"], "--courier"), (["--once", "--messenger"], "--messenger"),
                            (["--once", "--colour"], "--colour"), (["--oncemore"], "--oncemore"), (["--configs=x"], "--configs"),
                            ([new_pixel()], "--once")):
            r = self.agent(*words, rc=2)
            self.assertIn(said, r.err, say(r))
            self.assertIn("hint: ", r.err, say(r))
        self.agent("--once", "--", "--version", rc=15)  # behind it everything is a Pixel
        self.agent("--once", "c0u2t02iu8j6b9gc2b90", rc=15)
        self.assertEqual(before, len(self.emu.asked()))

    def test_help_and_version_that_cannot_be_written_are_told_by_the_exit_code(self):
        for option in ("--help", "--version", "-h", "-V"):
            with open("/dev/full", "w") as full:
                self.assertEqual(1, subprocess.run([AGENT, option], stdout=full, stderr=subprocess.DEVNULL).returncode)
            self.assertEqual(0, subprocess.run([AGENT, "--once", option, "--nonsense"], stdout=subprocess.DEVNULL).returncode)

    def test_what_only_we_start_is_not_for_hands(self):
        for option in ("--keeper", "--courier", "--messenger"):
            r = subprocess.run([AGENT, option], capture_output=True, stdin=subprocess.DEVNULL)
            self.assertEqual(2, r.returncode, option)
            self.assertIn(b"hint: ", r.stderr)

    @cases(revoked=("code-40105", 10), expired=("code-40102", 10), scope=("code-40130", 11), nothing_usable=("code-40104", 15),
           unclear=("unknown-code", 16), unreachable=("503", 9), throttled=("code-40133", 9))
    def test_exits_as_check_does(self, fault, rc):
        pixel, _ = self.stored()
        self.emu.fault(fault)
        self.agent("--once", rc=rc)
        p = self.status(pixel)
        self.assertEqual(p["last_attempt"]["outcome"] in ("throttled", "unreachable", "unknown"), rc in (9, 16))
        self.assertEqual("healthy" == p["verdict"], rc in (9, 16))

    def test_due_is_14(self):
        pixel, token = self.pair()
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
        self.put(pixel, token, "--expires", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.agent("--once", rc=14)

    def test_only_the_pixels_named(self):
        a, b = self.stored()[0], self.stored()[0]
        before = len(self.emu.asked())
        self.agent("--once", a)
        self.assertEqual([a], self.emu.asked()[before:])

    def test_a_pixel_that_is_not_stored_is_3(self):
        pixel = new_pixel()
        r = self.agent("--once", pixel, rc=3)
        self.assertIn(pixel, r.err)
        self.assertEqual(0, self.emu.totals()["connections"])
        self.agent("--once", "lower", rc=15)

    def test_an_empty_vault_is_0(self):
        self.agent("--once")

    def test_it_promotes_what_was_not_judged(self):
        pixel, good = self.stored()
        token = self.more_token(pixel)
        self.emu.fault("503")
        self.put(pixel, token, rc=9)
        self.emu.no_faults()
        self.agent("--once")
        self.assertEqual(token, self.get(pixel))

    def test_it_confirms_a_bad_answer(self):
        pixel, _ = self.stored()
        self.emu.fault("code-40105", times=1)
        self.agent("--once", rc=0)
        self.assertEqual("healthy", self.status(pixel)["verdict"])

    def test_locked_is_4_and_a_wrong_key_6(self):
        key = self.read(self.key)
        self.write(self.key, b"x" * 32)
        self.agent("--once", rc=6)
        os.remove(self.key)
        self.agent("--once", rc=4)
        self.write(self.key, key)
        self.agent("--once", rc=0)

    def couriers_of(self, p):
        found = []
        for pid in descendants(p.pid):
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, "rb") as f:
                found += [pid] if b"--courier" in f.read() else []
        return found

    def test_the_courier_gets_ready_while_the_vault_is_opened(self):
        """With a passphrase that takes its time."""
        self.stored()
        phrase = self.write(self.path("phrase"), "correct horse battery staple\n")
        os.chmod(phrase, 0o600)
        self.vault("slot", "add", "--passphrase-file", phrase)
        self.configure(vault={"key-file": None})
        began, seen = time.monotonic(), None
        p = self.start("--once", program=AGENT, env={"PIXELVAULT_PASSPHRASE_FILE": phrase})
        while p.poll() is None:
            if seen is None and self.couriers_of(p):
                seen = time.monotonic() - began
            time.sleep(0.005)
        took = time.monotonic() - began
        self.assertEqual(0, p.returncode)
        if seen is None or seen > took / 2:
            raise TooLate("seen after %s of %.3f s" % (seen, took))

    def test_the_courier_ends_while_others_are_told(self):
        os.chmod(self.dir, 0o755)
        hook, told = self.path("hook"), self.path("told")
        self.write(hook, "#!/bin/sh\ncat >/dev/null\n: >%s\nsleep 2\n" % told)
        os.chmod(hook, 0o755)
        self.configure(more="[alert slow]\ntype = exec\ncommand = %s\n" % hook)
        pixel, token = self.stored()
        self.agent("--once")
        self.emu.revoke(token)
        p = self.start("--once", program=AGENT)
        while p.poll() is None and not os.path.exists(told):
            time.sleep(0.01)
        until = time.monotonic() + 1.5
        while self.couriers_of(p) and time.monotonic() < until:
            time.sleep(0.01)
        left, is_over = self.couriers_of(p), p.poll() is not None
        self.assertEqual(10, p.wait())
        if left or is_over:
            raise TooLate("couriers %s; over: %s" % (left, is_over))

    def test_no_vault_is_3_and_a_bad_configuration_13(self):
        os.remove(self.file)
        self.agent("--once", rc=3)
        self.write(self.config, "[nonsense]\n")
        self.agent("--once", rc=13)

    def test_a_damaged_vault_is_7(self):
        self.stored()
        with open(self.file, "r+b") as f:
            f.write(b"x" * 4096)
        self.agent("--once", rc=7)

    def test_config_option(self):
        other = self.path("other.ini")
        os.rename(self.config, other)
        self.stored_pixel = None
        self.agent("--once", "--config", other)

    def test_its_log_lines_name_the_program(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        r = self.agent("--once", rc=10)
        self.assertRegex(r.err, "(?m)^(<\\d>)?vault-agent: ", say(r))

    def test_it_stops_when_told(self):
        for _ in range(4):
            self.stored()
        self.configure(check={"in-flight": 1})
        self.emu.fault("silence")
        from harness import AGENT
        p = self.start("--once", program=AGENT)
        end = time.monotonic() + 30
        while not self.emu.totals()["requests"] > 4 and time.monotonic() < end:
            time.sleep(0.02)
        p.terminate()
        p.wait(60)
        self.emu.no_faults()
        self.vault("check")
        self.vault("verify")


if __name__ == "__main__":
    unittest.main()
