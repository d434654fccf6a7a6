"""Wall clocks that are wrong or jump (T32): nothing stops, nothing storms, nothing is granted by a clock that went back."""

import datetime
import glob
import os
import re
import unittest

from agent_harness import AgentCase
from harness import Case, IS_SANITIZED, VAULT, cases, say, spread

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1") + glob.glob("/usr/lib/faketime/libfaketime.so.1")), None)
YEAR = 365 * 86400
# FAKETIME's words: an offset, or a moment from which the clock ticks on
CLOCKS = dict(ten_years_back=("-%d" % (10 * YEAR),), ten_years_on=("+%d" % (10 * YEAR),), year_1970=("@1970-01-01 00:10:00",),
              before_2038=("@2038-01-19 03:14:06",), after_2038=("@2038-01-19 03:15:00",), year_2106=("@2106-02-07 06:28:14",),
              year_2200=("@2200-01-01 00:00:00",))


def says_clock_suspect():
    with open(VAULT + "-whole", "rb") as f:
        return re.search(rb"clock[^\0]{0,80}suspect|suspect[^\0]{0,80}clock", f.read())


@unittest.skipUnless(LIBRARY, "NOT TESTED: faketime is not installed (apt-get install faketime)")
@unittest.skipIf(IS_SANITIZED, "the sanitizers do not live with faketime")
class Faked(Case):
    def at(self, clock):
        """The environment of a program that sees that wall clock; boot time is left alone. The courier's environment is
        empty, so certificates are judged by the true clock."""
        return {"LD_PRELOAD": LIBRARY, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}

    def moment(self, text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


@spread
class OneShot(Faked):
    def test_the_clock_is_faked_at_all(self):
        """Else the tests below would prove nothing."""
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check", env=self.at("@2106-02-07 06:28:14"))
        self.assertEqual(2106, self.moment(self.status(pixel)["current"]["stored_at"]).year)

    @cases(**CLOCKS)
    def test_every_command_works(self, clock):
        pixel, token = self.stored()
        env = self.at(clock)
        before = self.emu.requests()
        for words in (["check"], ["status"], ["list"], ["verify"], ["history", pixel], ["get", pixel], ["label", pixel, "a=b"]):
            r = self.vault(*words, env=env)
            self.assertSoon(r.took, 10, say(r))
        self.agent("--once", env=env)
        self.assertEqual(before + 2, self.emu.requests(), "check and --once ask once each")
        second = self.more_token(pixel)
        self.put(pixel, second, env=env)
        self.assertEqual(second, self.vault("get", pixel, env=env).out.decode())
        self.assertEqual(second, self.get(pixel), "and for who has the true clock")
        self.vault("check")
        self.vault("verify")

    @cases(in_spring=("2026-03-29T01:00:00Z",), in_autumn=("2026-10-25T01:00:00Z",))
    def test_summer_time_has_no_say(self, change):
        """The hour that is not there, and the one that is there twice: what is said and stored is the same in every zone."""
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1", "--expires", change)
        for second in (-1, 0, 1800, 3600):
            moment = int(self.moment(change).timestamp()) + second
            said = {}
            for zone in ("UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1"):
                env = dict(self.at("%d" % moment), FAKETIME_FMT="%s", TZ=zone)
                said[zone] = [self.vault(*words, "--json", env=env).out for words in (["status"], ["history", pixel], ["plan"], ["list"])]
            self.assertEqual(1, len({tuple(s) for s in said.values()}), said)

    @cases(**CLOCKS)
    def test_after_a_jump_each_pixel_is_asked_once_a_sweep(self, clock):
        """Neither stop nor storm: forward, back, and forward again."""
        for _ in range(3):
            self.stored()
        for env in ({}, self.at(clock), {}, self.at(clock)):
            before = self.emu.requests()
            self.agent("--once", env=env)
            self.assertEqual(3, self.emu.requests() - before)
        for line in self.json("status")["pixels"]:
            self.assertEqual("healthy", line["verdict"])

    @cases(ten_years_on=CLOCKS["ten_years_on"], after_2038=CLOCKS["after_2038"], year_2106=CLOCKS["year_2106"])
    def test_a_pause_from_a_clock_that_was_ahead_is_not_prolonged(self, clock):
        pixel, token = self.stored()
        self.emu.knob("throttle", "0/60000:40100")
        self.vault("check", rc=9, env=self.at(clock))
        self.emu.reset()
        self.emu.token(token, pixel)
        r = self.vault("check", rc=0, timeout=30)
        self.assertSoon(r.took, 10, say(r))

    @cases(**CLOCKS)
    def test_a_refused_token_is_refused_by_any_clock(self, clock):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", rc=10, env=self.at(clock))
        self.assertEqual("revoked", self.status(pixel)["verdict"])
        self.vault("get", "--healthy", pixel, rc=10, env=self.at(clock))
        self.vault("get", "--healthy", pixel, rc=10)

    def test_an_expiry_is_due_when_it_is(self):
        pixel, token = self.pair()
        on = (datetime.datetime.utcnow() + datetime.timedelta(days=400)).strftime("%Y-%m-%dT00:00:00Z")
        self.put(pixel, token, "--test-code", "T1", "--expires", on)
        self.vault("check")
        self.vault("check", rc=14, env=self.at("+%d" % (395 * 86400)))
        self.vault("check")

    @cases(ten_years_back=CLOCKS["ten_years_back"], year_1970=CLOCKS["year_1970"])
    def test_an_expiry_that_passed_is_not_taken_back_by_a_clock_that_went_back(self, clock):
        if not says_clock_suspect():
            self.skipTest("NOT TESTED: nothing reads anchor.wall_clock yet")
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1", "--expires", "2024-06-01T00:00:00Z", env=self.at("@2024-01-01 00:00:00"))
        due = self.vault("check", rc=14)  # written, and remembered, today
        r = self.vault("check", rc=14, env=self.at(clock))
        self.assertRegex(r.err, "(?i)clock", say(r))

    @cases(ten_years_back=CLOCKS["ten_years_back"], year_1970=CLOCKS["year_1970"])
    def test_a_clock_behind_what_the_anchor_remembers_is_called_suspect(self, clock):
        if not says_clock_suspect():
            self.skipTest("NOT TESTED: nothing reads anchor.wall_clock yet")
        pixel, token = self.stored()
        for words in (["check"], ["status"]):
            r = self.vault(*words, env=self.at(clock))
            self.assertRegex(r.err + r.out.decode(), "(?i)clock[^\n]*suspect|suspect[^\n]*clock", say(r))
        # a write by the wrong clock must not make it the right one
        self.vault("label", pixel, "a=b", env=self.at(clock))
        self.assertRegex(self.vault("status", env=self.at(clock)).err, "(?i)clock")
        self.assertNotRegex(self.vault("status").err, "(?i)suspect")


class BothWays(AgentCase, Faked):
    """What is due is the same with an agent and without, also where the clock is behind what this host remembers."""
    pixels = 1

    def setUp(self):
        super().setUp()
        self.code = self.codes[0]
        on = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=60)  # warned of 30 days before
        self.vault("put", self.code, "--no-check", "--expires", on.strftime("%Y-%m-%dT%H:%M:%SZ"), stdin=self.tokens[0])
        self.stop_agent()

    def both(self, *words):
        direct, through = self.vault(*words), self.vault(*words, env={"PIXELVAULT_VAULT": None})
        self.assertEqual(direct.out, through.out)
        self.assertEqual(direct.err, through.err)
        return direct

    def test_by_a_good_clock(self):
        self.agent_up()
        self.assertNotIn("expires", self.both("status", "--json").out.decode().split('"advice"')[1])
        self.assertEqual("", self.both("status").err)

    def test_by_one_that_is_behind(self):
        self.vault("label", self.code, "a=b", env=self.at("+%d" % (50 * 86400 + 43200)))  # half a day from where its words change
        self.agent_up()
        for words in (["status"], ["status", self.code]):
            r = self.both(*words, "--json")
            self.assertIn("expires", self.object(r)["pixels"][0]["advice"])
            self.assertIn("clock is suspect", r.err)
            self.assertIn("due", self.both(*words).out.decode())
        self.both("list", "--json")
        direct = self.vault("status", "--json").out
        for target in ("/v1/pixels", "/v1/pixels/" + self.code):
            status, head, body = self.http("GET", target)
            self.assertEqual((200, direct), (status, body))
            ahead = self.moment(head["x-judged-at"]) - datetime.datetime.now(datetime.timezone.utc)
            self.assertEqual(50, ahead.days)


if __name__ == "__main__":
    unittest.main()
