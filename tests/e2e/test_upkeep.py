"""Versions on their way out: failover, a retirement with its deadline, and what becomes of a token that nobody is given
any more. Through an agent and by the command line alone."""

import signal
import time
import unittest

import harness
from harness import Case, VIA_AGENT, direct_only, say


class Leaving(Case):
    """Both ways. Without an agent `check` does what the agent does by itself."""
    check = {"grace": "2s", "interval": "1s", "failover": "yes"}

    def two_versions(self, **more):
        pixel, old = self.stored(**more)
        new = self.more_token(pixel)
        self.put(pixel, new)
        return pixel, old, new

    def until(self, condition, seconds, what):
        """Without an agent somebody has to look."""
        end = time.monotonic() + max(seconds, 30) * harness.PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail("never: " + what)
            time.sleep(0.1)
            if not VIA_AGENT:
                self.vault("check", "-q", rc=None)

    def history(self, pixel):
        return self.json("history", pixel)

    def version(self, pixel, number):
        return next((v for v in self.history(pixel)["versions"] if v["version"] == number), None)

    # ---- retire ----

    def test_a_retirement_waits_for_the_last_consumer(self):
        self.configure(check={"grace": "1h", "interval": "1h"})
        pixel, old, new = self.two_versions()
        for name in ("a", "b", "c", "d"):
            self.get(pixel, "--version", "1", "--as", name)
        r = self.refuses(8, "retire", pixel, says="still used by")
        self.assertRegex(r.err, r"(?s)at the latest at \d{4}-.*--force", say(r))
        self.assertEqual("previous", self.version(pixel, 1)["stage"])
        self.assertMoment(self.version(pixel, 1)["retire_by"])
        self.assertIn("taken away", self.status(pixel)["advice"])
        by = self.version(pixel, 1)["retire_by"]
        for name in ("a", "b", "c"):
            self.get(pixel, "--as", name)
        time.sleep(1.3)
        r = self.refuses(8, "retire", pixel, says="used by d")
        self.assertEqual(by, self.version(pixel, 1)["retire_by"], "asking once more gives no more time")
        self.assertEqual(old, self.get(pixel, "--previous", "--as", "d"))
        self.vault("ack", pixel, "--version", "2", "--as", "d")
        self.until(lambda: self.version(pixel, 1)["stage"] == "retired", 5, "it is retired")
        self.refuses(3, "get", pixel, "--previous")
        self.refuses(3, "get", pixel, "--version", "1", says="given to nobody")
        self.assertEqual(new, self.get(pixel))

    def test_the_deadline_takes_it_from_who_never_comes_back(self):
        self.configure(check={"grace": "5s"})  # there is time to look until then
        pixel, old, new = self.two_versions()
        for name in ("a", "b", "c", "gone-fishing"):
            self.get(pixel, "--version", "1", "--as", name)
        for name in ("a", "b", "c"):
            self.get(pixel, "--as", name)
        self.refuses(8, "retire", pixel, says="gone-fishing")
        behind = [r["as"] for r in self.json("rollout", pixel)["readers"] if r["version"] == 1]
        self.assertEqual(["gone-fishing"], behind)
        self.assertEqual(old, self.get(pixel, "--version", "1", "--as", "gone-fishing"), "until then it is given")
        self.until(lambda: self.version(pixel, 1)["stage"] == "retired", 30, "the deadline passes")
        self.refuses(3, "get", pixel, "--version", "1", "--as", "gone-fishing", says="given to nobody")
        self.assertIn("revoke", self.status(pixel)["advice"])
        # It lives on at TikTok, so it is kept; revoked there, it is found dead, said once, and only then deleted.
        time.sleep(1.5 if VIA_AGENT else 0.1)
        self.assertIsNotNone(self.version(pixel, 1))
        self.emu.revoke(old)
        self.until(lambda: self.version(pixel, 1) is None, 90 if VIA_AGENT else 6, "its death is found")
        gone = self.history(pixel)["gone"]
        self.assertEqual([(1, "dead")], [(g["version"], g["why"]) for g in gone])
        self.assertIsNone(self.status(pixel)["advice"])
        self.refuses(3, "get", pixel, "--version", "1")
        self.assertEqual(new, self.get(pixel))
        self.vault("verify")

    def test_a_newer_token_meanwhile_lets_nobody_keep_the_one_that_was_to_go(self):
        self.configure(check={"grace": "%ds" % (6 * harness.PATIENCE)})
        pixel, old, _ = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "slow")
        asked = time.monotonic()
        self.refuses(8, "retire", pixel, says="slow")
        newest = self.more_token(pixel)
        self.put(pixel, newest)
        first, advice = self.version(pixel, 1), self.status(pixel)["advice"]
        r = self.vault("get", pixel, "--version", "1", "--as", "slow", rc=None)
        self.assertSoon(time.monotonic() - asked, 5, "its deadline is over")
        self.assertMoment(first["retire_by"])
        self.assertIn("version 1", advice)
        self.assertEqual((0, old), (r.rc, r.out.decode()), "until its deadline")
        self.until(lambda: self.version(pixel, 1)["taken_at"], 6, "the deadline passes")
        self.refuses(3, "get", pixel, "--version", "1", says="given to nobody")
        self.assertEqual("previous", self.version(pixel, 2)["stage"], "of this one nobody said anything")
        self.assertEqual(newest, self.get(pixel))
        self.vault("verify")

    def test_the_token_that_was_to_go_put_again_stays(self):
        self.configure(check={"grace": "1s", "interval": "1h"})
        pixel, old, _ = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "slow")
        self.refuses(8, "retire", pixel, says="slow")
        self.put(pixel, self.more_token(pixel))
        self.put(pixel, old)
        time.sleep(1.3)
        self.vault("check", "-q", rc=None)
        self.assertEqual(old, self.get(pixel))
        self.assertNotIn("revoke", self.status(pixel)["advice"] or "")

    def test_nobody_is_waited_for_without_grace(self):
        self.configure(check={"grace": "0"})
        pixel, _, _ = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "a")
        r = self.vault("retire", pixel)
        self.assertIn("revoke", r.err, say(r))
        self.assertEqual("retired", self.version(pixel, 1)["stage"])

    def test_a_token_that_another_pixel_uses_is_not_called_to_be_revoked(self):
        self.configure(check={"grace": "0", "failover": "no"})
        mine, other = self.stored()[0], self.pair()[0]
        stray = self.more_token(other)
        self.put(mine, stray, "--no-check")
        self.put(mine, self.more_token(mine), "--no-check")
        self.put(other, stray)
        self.vault("check", mine)
        doc = self.json("retire", mine)
        self.assertEqual((2, other), (doc["version"], doc["in_use_by"]))
        self.assertIsNone(self.version(mine, 2))
        self.assertEqual([2], [g["version"] for g in self.history(mine)["gone"]])
        self.assertNotIn("revoke", self.status(mine)["advice"] or "")
        self.assertEqual(stray, self.get(other))
        self.vault("verify")

    def test_behind_a_token_that_nobody_asked_about_the_previous_one_is_kept(self):
        self.configure(check={"grace": "0", "interval": "90d"})
        pixel, old = self.stored()
        self.put(pixel, self.more_token(pixel), "--no-check")
        self.refuses(8, "retire", pixel, says="nobody knows yet")
        self.assertEqual(old, self.get(pixel, "--previous"))
        self.vault("check", pixel)
        self.vault("retire", pixel)

    def test_a_refused_stray_elsewhere_is_no_use_of_a_token(self):
        self.configure(check={"grace": "0", "failover": "no", "interval": "1h"})
        pixel, old, _ = self.two_versions()
        other = self.stored()[0]
        self.put(other, old, rc=11)
        self.assertIsNone(self.json("retire", pixel)["in_use_by"])
        self.assertIsNotNone(self.version(pixel, 1))
        self.assertIn("revoke", self.status(pixel)["advice"])

    def test_nor_does_one_hide_the_pixel_that_uses_it(self):
        self.configure(check={"grace": "0", "failover": "no", "interval": "1h"})
        pixel, old, _ = self.two_versions()
        refused, user = self.stored()[0], self.pair()[0]
        self.emu.grant(old, user)
        self.put(refused, old, rc=11)  # known before the other one
        self.put(user, old)
        self.assertEqual(user, self.json("retire", pixel)["in_use_by"])
        self.assertNotIn("revoke", self.status(pixel)["advice"] or "")

    def test_nor_one_that_another_pixel_was_given_afterwards(self):
        self.configure(check={"grace": "0", "failover": "no", "interval": "1s"})
        mine, other = self.stored()[0], self.pair()[0]
        stray = self.more_token(other)
        self.put(mine, stray, "--no-check")
        self.put(mine, self.more_token(mine), "--no-check")
        self.vault("retire", mine, "--force")
        self.put(other, stray)
        self.until(lambda: self.version(mine, 2) is None, 60, "it is let go of")
        self.assertEqual(stray, self.get(other))

    def test_while_the_current_one_is_refused_the_previous_one_is_kept(self):
        self.configure(check={"grace": "6s", "failover": "no"})
        pixel, old, new = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "a")
        self.emu.revoke(new)
        self.refuses(8, "retire", pixel, says="still used by")
        over = time.monotonic() + 6.5
        self.vault("check", pixel, rc=10)  # before grace is over
        time.sleep(max(0, over - time.monotonic()))
        self.vault("check", pixel, rc=10)
        self.assertEqual("previous", self.version(pixel, 1)["stage"])
        self.refuses(8, "retire", pixel, says="may be needed")
        self.assertTrue(self.status(pixel)["advice"].endswith("failover = yes would have"), self.status(pixel)["advice"])
        self.vault("rollback", pixel)
        self.assertEqual(old, self.get(pixel))

    def test_who_acknowledged_and_reads_the_old_one_again_is_waited_for(self):
        self.configure(check={"grace": "1h", "interval": "1h"})
        pixel, _, _ = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "shop")
        self.vault("ack", pixel, "--version", "2", "--as", "shop")
        self.get(pixel, "--version", "1", "--as", "shop")
        self.refuses(8, "retire", pixel, says="used by shop")

    def test_a_taken_token_that_was_put_again_is_not_called_to_be_revoked(self):
        self.configure(check={"grace": "0", "interval": "1h"})
        pixel, old, _ = self.two_versions()
        self.vault("retire", pixel)
        self.put(pixel, old)
        self.assertEqual(old, self.get(pixel))
        self.assertNotIn("revoke", self.status(pixel)["advice"] or "")

    def test_force_takes_it_although_somebody_was_waited_for(self):
        self.configure(check={"grace": "1h"})
        pixel, _, _ = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "a")
        self.refuses(8, "retire", pixel)
        self.vault("retire", pixel, "--force")
        self.refuses(3, "get", pixel, "--version", "1")

    def test_a_rollback_takes_the_wish_back(self):
        self.configure(check={"grace": "4s"})
        pixel, old, _ = self.two_versions()
        self.get(pixel, "--version", "1", "--as", "a")
        self.refuses(8, "retire", pixel)
        self.vault("rollback", pixel)
        time.sleep(4.5)
        self.vault("check", "-q", rc=None)
        self.assertEqual(old, self.get(pixel))
        self.assertIsNone(self.version(pixel, 1)["retire_by"])
        self.assertEqual("previous", self.version(pixel, 2)["stage"])

    def test_its_time_over_it_is_deleted_though_it_lives(self):
        self.configure(check={"grace": "0", "purge-after": "1s", "interval": "1h"})
        pixel, _, new = self.two_versions()
        self.vault("retire", pixel)
        self.until(lambda: self.version(pixel, 1) is None, 40 if VIA_AGENT else 5, "it is deleted")
        self.assertEqual([(1, "purged")], [(g["version"], g["why"]) for g in self.history(pixel)["gone"]])
        self.assertEqual(new, self.get(pixel))
        self.vault("verify")

    def test_a_dead_retired_token_is_no_alarm(self):
        self.configure(check={"grace": "0", "interval": "1h"})
        pixel, old, _ = self.two_versions()
        self.vault("retire", pixel)
        self.emu.revoke(old)
        self.vault("check", rc=0)
        self.assertEqual("healthy", self.status(pixel)["verdict"])

    def test_while_the_current_one_is_refused_too_nothing_is_deleted(self):
        """Then it may well be TikTok's trouble."""
        self.configure(check={"grace": "0", "interval": "1s", "failover": "no"})
        pixel, old, new = self.two_versions()
        self.vault("retire", pixel)
        self.emu.knob("all", "40105")
        for _ in range(3):
            self.vault("check", "-q", rc=None)
        self.assertEqual("revoked", self.status(pixel)["verdict"])
        self.assertIsNotNone(self.version(pixel, 1))

    # ---- failover ----

    def test_a_dead_current_one_is_replaced_by_the_previous_one_once(self):
        self.configure(check={"interval": "1h"})  # only this check finds it, not the agent a moment before
        pixel, old, new = self.two_versions()
        self.emu.revoke(new)
        self.vault("check", pixel, rc=10)
        self.until(lambda: self.get(pixel) == old, 5, "the previous one serves")
        s = self.status(pixel)
        self.assertEqual(("healthy", 1, 2), (s["verdict"], s["current"]["version"], s["previous"]["version"]))
        self.assertIn(pixel, self.vault("rotate", "--list").out.decode(), "it needs a new one")
        self.assertEqual("stands in for version 2, which is revoked: generate a new one in Events Manager: vault rotate",
                         s["advice"])
        # The first one dies as well, and the other lives again: what was taken out does not come back by itself.
        self.emu.works_again(new)
        self.emu.revoke(old)
        for _ in range(3):
            self.vault("check", pixel, rc=10)
            time.sleep(0.2)
        self.assertEqual(1, self.status(pixel)["current"]["version"])
        self.vault("rollback", pixel)
        self.assertEqual(new, self.get(pixel))

    def test_without_the_setting_nothing_moves_and_the_advice_says_what_would_have(self):
        self.configure(check={"failover": "no"})
        pixel, _, new = self.two_versions()
        self.emu.revoke(new)
        self.vault("check", pixel, rc=10)
        time.sleep(0.5)
        self.vault("check", pixel, rc=10)
        self.assertEqual(2, self.status(pixel)["current"]["version"])
        advice = self.status(pixel)["advice"]
        self.assertIn("vault rollback " + pixel, advice)
        self.assertIn("failover = yes", advice)

    def test_a_previous_one_that_is_refused_is_not_moved(self):
        pixel, old, new = self.two_versions()
        self.emu.revoke(old)
        self.emu.revoke(new)
        self.vault("check", pixel, rc=10)
        time.sleep(1)
        self.vault("check", pixel, rc=10)
        self.assertEqual(2, self.status(pixel)["current"]["version"])
        self.assertNotIn("rollback", self.status(pixel)["advice"])

    def test_a_bad_hour_bars_no_previous_token_for_good(self):
        """Too few Pixels for the outage rule: what was refused then and works again may stand in."""
        pixel, old, new = self.two_versions()
        self.emu.knob("all", "40105")
        self.vault("check", pixel, rc=10)
        self.until(lambda: self.emu.log(pixel)[-1] and len(self.emu.log(pixel)) >= 5, 5, "the previous one was asked about")
        self.emu.knob("all", "off")
        self.vault("check", pixel)
        self.assertEqual("healthy", self.status(pixel)["verdict"])
        time.sleep(1.1)  # an interval
        self.emu.revoke(new)
        self.vault("check", pixel, rc=10)
        self.until(lambda: self.get(pixel) == old, 40 if VIA_AGENT else 6, "the previous one serves")

    def test_where_the_standby_one_is_dead_too_the_previous_one_is_tried_at_once(self):
        self.configure(check={"failover": "yes", "interval": "1h"})
        pixel, old, new = self.two_versions()
        standby = self.more_token(pixel)
        self.put(pixel, standby, "--standby")
        self.emu.revoke(standby)
        self.emu.revoke(new)
        self.vault("check", pixel, rc=10)
        if not VIA_AGENT:
            self.assertEqual(old, self.get(pixel), "in the same run")
        self.until(lambda: self.get(pixel) == old, 5, "the previous one serves")

    # ---- standby ----

    def test_a_standby_token_is_given_to_nobody_until_the_current_one_is_dead(self):
        self.configure(check={"interval": "1h"})
        pixel, first = self.stored()
        second = self.more_token(pixel)
        doc = self.put_json(pixel, second, "--standby")
        self.assertEqual((2, "standby", "healthy"), (doc["version"], doc["stage"], doc["verdict"]))
        self.assertEqual(first, self.get(pixel))
        s = self.status(pixel)
        self.assertEqual((1, None, 2, "healthy"), (s["current"]["version"], s["pending"], s["standby"]["version"],
                                                   s["standby"]["verdict"]))
        self.vault("check")
        self.assertEqual(first, self.get(pixel), "no sweep promotes it")
        self.emu.revoke(first)
        self.vault("check", pixel, rc=10)
        self.until(lambda: self.get(pixel) == second, 5, "it takes over")
        s = self.status(pixel)
        self.assertEqual((2, 1, None), (s["current"]["version"], s["previous"]["version"], s["standby"]))
        self.vault("verify")

    def test_without_a_current_one_it_becomes_current(self):
        pixel, token = self.pair()
        self.assertEqual("current", self.put_json(pixel, token, "--standby")["stage"])

    def test_a_refused_one_does_not_stand_by(self):
        pixel, first = self.stored()
        bad = self.token()
        self.put(pixel, bad, "--standby", rc=10)
        s = self.status(pixel)
        self.assertEqual((2, None), (s["pending"]["version"], s["standby"]))
        self.assertEqual(first, self.get(pixel))

    def test_one_not_judged_stands_by_once_it_is(self):
        pixel, first = self.stored()
        second = self.more_token(pixel)
        self.emu.fault("refuse")
        self.put(pixel, second, "--standby", rc=9)
        self.emu.no_faults()
        self.vault("check", pixel)
        self.assertEqual(2, self.status(pixel)["standby"]["version"])
        self.assertEqual(first, self.get(pixel))

    def test_it_pushes_out_no_token_that_waits_to_be_judged(self):
        pixel, first = self.stored()
        second, third = self.more_token(pixel), self.more_token(pixel)
        self.emu.fault("refuse")
        self.put(pixel, second, rc=9)
        self.emu.no_faults()
        r = self.put(pixel, third, "--standby", rc=8)
        self.assertIn("version 2", r.err)
        self.assertEqual(2, self.status(pixel)["pending"]["version"])
        self.vault("check", pixel)
        self.assertEqual(second, self.get(pixel))
        self.put(pixel, third, "--standby")

    def test_put_without_the_option_makes_it_current(self):
        pixel, first = self.stored()
        second = self.more_token(pixel)
        self.put(pixel, second, "--standby")
        self.put(pixel, second, "--standby")
        self.assertEqual((2, "current"), tuple(self.put_json(pixel, second)[k] for k in ("version", "stage")))
        self.assertEqual(second, self.get(pixel))
        third = self.more_token(pixel)
        self.assertEqual("standby", self.put_json(pixel, third, "--standby", "--no-check")["stage"])
        self.vault("verify")

    def test_one_that_died_is_told_before_it_is_needed(self):
        pixel, first = self.stored()
        second = self.more_token(pixel)
        self.put(pixel, second, "--standby")
        self.emu.revoke(second)
        self.until(lambda: "standby token" in (self.status(pixel)["advice"] or ""), 40, "its death is told")
        self.emu.revoke(first)
        self.vault("check", pixel, rc=10)
        time.sleep(0.5)
        self.assertEqual(1, self.status(pixel)["current"]["version"])

    def test_while_tiktok_refuses_everybody_nothing_moves(self):
        pairs = [self.two_versions() for _ in range(4)]
        self.emu.knob("all", "40105")
        self.vault("check", "-q", rc=None)
        self.vault("report", pairs[0][0], "--code", "40105")
        time.sleep(1.5)
        self.emu.knob("all", "off")
        for pixel, _, _ in pairs:
            self.assertEqual(2, self.status(pixel)["current"]["version"])

    @direct_only("which process is killed has its own test there")
    def test_killed_anywhere_it_is_done_or_not_and_goes_on(self):
        self.configure(check={"grace": "0", "purge-after": "1s", "interval": "1h", "failover": "yes"})
        for delay in [i * 0.004 for i in range(0, 25)]:
            pixel, old, new = self.two_versions()
            self.vault("retire", pixel)
            third = self.more_token(pixel)
            self.put(pixel, third)
            self.emu.revoke(third)
            time.sleep(1.1 if delay == 0 else 0)
            p = self.start("check", pixel, stdin=None)
            time.sleep(0.05 + delay)
            p.send_signal(signal.SIGKILL)
            p.wait()
            self.vault("verify")
            self.vault("check", pixel, rc=None)
            self.vault("check", pixel, rc=None)
            self.assertEqual(new, self.get(pixel))
            self.assertEqual(2, self.status(pixel)["current"]["version"])
            self.assertEqual("previous", self.version(pixel, 3)["stage"])


if __name__ == "__main__":
    unittest.main()
