"""How fast and how many at once, as TikTok sees it. Runs alone: it measures time."""

import threading
import time
import unittest

from harness import Case, TooLate, say


class Pace(Case):
    def many(self, n):
        self.pixels = []
        for _ in range(n):
            pixel, token = self.pair()
            self.put(pixel, token, "--no-check", "--test-code", "T1")
            self.pixels.append(pixel)

    def sweep(self, rc=0):
        """The requests of one sweep and the time it took."""
        self.emu.reset()
        return self.emu, self.vault("check", rc=rc)

    def test_no_more_than_in_flight_at_once(self):
        self.many(12)
        for limit in (1, 3):
            self.configure(check={"in-flight": limit})
            self.emu.reset()
            self.emu.knob("delay-ms", 150)
            self.vault("check")
            self.assertEqual(12, self.emu.requests())
            at_once = self.emu.totals()["max-in-flight"]
            self.assertLessEqual(at_once, limit)
            if at_once < limit:
                raise TooLate("%d at once, and %d should be" % (at_once, limit))

    def at_once(self, *pixels, away_ms=12):
        """As many were under way at once in a check, of TikTok so far away: 12 ms are too few for one answer to tell."""
        self.emu.reset()
        self.emu.knob("delay-ms", away_ms)
        self.vault("check", *pixels)
        return self.emu.totals()["max-in-flight"]

    def test_connections_are_made_while_answers_let_us_wait(self):
        self.many(100)
        self.configure(check={"rate": 10000, "in-flight": 30})
        at_once = self.at_once()
        if at_once < 30:
            raise TooLate("%d at once, and 30 may be" % at_once)

    def test_of_one_that_is_far_away_the_first_answer_tells(self):
        """Were they made by and by, those that are left would never be thirty."""
        self.many(31)
        self.configure(check={"rate": 10000, "in-flight": 30})
        at_once = self.at_once(away_ms=90)  # less than what silence tells
        if at_once < 30:
            raise TooLate("%d at once, and 30 may be" % at_once)

    def test_connections_are_made_while_nobody_answers(self):
        self.many(31)
        self.configure(check={"rate": 10000, "in-flight": 30}, tiktok={"timeout": "4s"})
        self.emu.reset()
        self.emu.fault("silence", after=1)
        self.vault("check", rc=9)
        self.assertEqual(31, self.emu.requests())
        at_once = self.emu.totals()["max-in-flight"]
        if at_once < 30:
            raise TooLate("%d at once, and nobody answers" % at_once)

    def test_after_a_rest_a_few_are_enough_again(self):
        self.many(120)
        self.configure(check={"rate": 10000, "in-flight": 60}, more="[agent]\nsocket = %s\n" % self.socket)
        self.start_agent()
        self.addCleanup(self.stop_agent)
        file = self.env.pop("PIXELVAULT_VAULT")
        at_once = self.at_once()
        if at_once <= 24:
            raise TooLate("%d at once, and answers let us wait" % at_once)
        time.sleep(0.5)
        # The canary, twenty-four, and fifteen in the places of those that are answered.
        at_once = self.at_once(*self.pixels[:40], away_ms=5)
        if at_once > 24:
            raise TooLate("%d at once, and there was a rest" % at_once)
        self.env["PIXELVAULT_VAULT"] = file

    def test_several_at_once_save_time(self):
        self.many(13)
        self.configure(check={"in-flight": 6})
        self.emu.reset()
        self.emu.knob("delay-ms", 300)
        took = self.vault("check").took
        self.assertSoon(took, 13 * 0.3 * 0.7)

    def keeps_to_the_rate(self, at):
        """By when they came: what is held up on its way comes together with what was sent after it."""
        for i, first in enumerate(at):
            if len([t for t in at[i:] if t < first + 900]) > 5 + 1:
                raise TooLate("more than 6 came within 0.9 s of %d: %s" % (first, at))

    def test_no_more_than_rate_in_any_second(self):
        self.many(16)
        self.configure(check={"rate": 5, "in-flight": 8})
        self.emu.reset()
        self.vault("check")
        at = [l["ms"] for l in self.emu.log()]
        self.assertEqual(16, len(at))
        self.keeps_to_the_rate(at)
        if at[-1] - at[0] <= 2000:
            raise TooLate("all within %d ms" % (at[-1] - at[0]))

    def test_confirmations_keep_to_the_rate_too(self):
        self.many(8)
        for line in self.json("status")["pixels"][:3]:
            self.emu.revoke(self.get(line["pixel"]))
        self.configure(check={"rate": 5})
        self.emu.reset()
        self.vault("check", rc=10)
        self.keeps_to_the_rate([l["ms"] for l in self.emu.log()])

    def test_connections_are_reused(self):
        self.many(12)
        self.configure(check={"in-flight": 2})
        self.emu.reset()
        self.vault("check")
        self.assertLessEqual(self.emu.totals()["connections"], 4)

    def test_one_sweep_at_a_time(self):
        self.many(4)
        self.configure(check={"in-flight": 1})
        self.emu.reset()
        self.emu.knob("delay-ms", 400)
        first = self.start("check")
        end = time.monotonic() + 30
        while self.emu.totals()["connections"] == 0 and time.monotonic() < end:
            time.sleep(0.01)
        second = self.vault("check", rc=(0, 8))
        third = self.agent("--once", rc=(0, 8))
        self.assertEqual(0, first.wait(60))
        self.assertEqual(1, self.emu.totals()["max-in-flight"], "two sweeps never overlap" + say(second) + say(third))

    def test_a_put_need_not_wait_for_a_sweep(self):
        self.many(5)
        pixel, token = self.pair()
        self.configure(check={"in-flight": 1})
        self.emu.knob("delay-ms", 600)
        asked = self.emu.requests()
        sweep = self.start("check")
        while self.emu.requests() == asked and sweep.poll() is None:
            time.sleep(0.02)
        r = self.put(pixel, token)
        if sweep.poll() is not None:
            raise TooLate("the sweep is over" + say(r))
        self.assertEqual(0, sweep.wait(60))
        self.assertEqual(token, self.get(pixel))
        self.vault("verify")

    def test_a_put_during_a_sweep_is_not_lost(self):
        self.many(6)
        pixels = [p["pixel"] for p in self.json("status")["pixels"]]
        self.configure(check={"in-flight": 1})
        self.emu.knob("delay-ms", 200)
        sweep = self.start("check")
        new = {}
        for pixel in pixels:
            new[pixel] = self.token()
            self.put(pixel, new[pixel], "--no-check")
        sweep.wait(60)
        for pixel in pixels:
            self.assertEqual(new[pixel], self.get(pixel))
            self.assertEqual(2, self.status(pixel)["current"]["version"])
        self.vault("verify")

    def test_interrupted_it_keeps_what_was_learnt_and_frees_the_lock(self):
        self.many(6)
        self.configure(check={"in-flight": 1})
        self.emu.knob("delay-ms", 400)
        sweep = self.start("check")
        time.sleep(1.2)
        sweep.terminate()
        sweep.wait(60)
        self.emu.knob("delay-ms", 0)
        self.vault("check", rc=0)
        self.vault("verify")


if __name__ == "__main__":
    unittest.main()
