"""vault rotate: who needs a new token, and the sitting at a terminal in which they get one."""

import json
import os
import re
import signal
import termios
import time
import unittest

from harness import Case, PATIENCE, VIA_AGENT, cases, direct_only, new_pixel, say, spread

PROMPT = r"New token of (\w+) \(not shown; s skips, q leaves\): "


def echoes(fd):
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


class Sitting:
    """One person at one terminal. What was seen is read once, in order."""

    def __init__(self, case, *words, **more):
        self.case, self.at = case, 0
        self.terminal = case.terminal("rotate", *words, **more)

    def expect(self, pattern):
        end = time.monotonic() + 20 * PATIENCE
        while True:
            text = self.terminal.text()
            found = re.search(pattern, text[self.at:])
            if found:
                self.at += found.end()
                return found
            if time.monotonic() > end or not self.terminal.pump(0.1):
                found = re.search(pattern, self.terminal.text()[self.at:])
                if found:
                    self.at += found.end()
                    return found
                raise AssertionError("never saw %r; saw %r" % (pattern, self.terminal.text()[self.at:]))

    def asked(self):
        """The Pixel that is asked about; no question was put when this returns None."""
        return self.expect(PROMPT).group(1)

    def answer(self, text):
        self.terminal.send(text + "\n")

    def give(self, pixel, token):
        self.case.assertEqual(pixel, self.asked())
        self.answer(token)

    def end(self, rc=0):
        self.case.assertEqual(rc, self.terminal.wait(), self.terminal.text())
        return self.terminal.text()

    def kill(self, number=signal.SIGKILL):
        os.kill(self.terminal.pid, number)
        return self.terminal.wait()


class RotateCase(Case):
    def sit(self, *words, **more):
        return Sitting(self, *words, **more)

    def wanted(self, *words):
        """Who needs a new token, in the order of the sitting, and why."""
        return [(p["pixel"], p["need"]) for p in self.json("rotate", "--list", *words)["pixels"]]

    def rotation(self, pixel):
        from_status, from_history = self.status(pixel)["rotation"], self.json("history", pixel)["rotation"]
        self.assertEqual(from_status, from_history)
        return from_status and from_status["step"]

    def assertShowsNoToken(self, text, *tokens):
        for t in tokens:
            self.assertNotIn(t, text, "a token was echoed")


@spread
class Who(RotateCase):
    """Who needs a new token."""

    def test_nobody(self):
        self.stored()
        self.assertEqual([], self.wanted())
        r = self.vault("rotate")
        self.assertIn("no Pixel needs a new token", r.err)
        self.assertEqual([], self.json("rotate")["rotated"])

    def test_the_gravest_first(self):
        asked, _ = self.stored()
        old, old_token = self.pair()
        self.put(old, old_token)
        expires, token = self.pair()
        self.put(expires, token, "--expires", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400)))
        bad, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", bad, rc=10)
        self.vault("rotate", asked, "--later")
        self.assertEqual([(bad, "bad"), (expires, "expires"), (asked, "asked")], self.wanted())
        self.assertEqual([(asked, "asked")], self.wanted(asked))
        self.assertEqual([], self.wanted(old))
        time.sleep(2.1)
        self.assertEqual([(bad, "bad"), (expires, "expires")], self.wanted("--max-age", "1s")[:2])
        self.assertEqual({"old"}, {need for _, need in self.wanted("--max-age", "1s")[2:]})
        text = self.vault("rotate", "--list").out.decode()
        self.assertRegex(text, bad + r" +TikTok refuses its token \(revoked\)")
        self.assertRegex(text, asked + r" +a new token was asked for on 20")

    def test_max_age_of_the_settings(self):
        pixel, _ = self.stored()
        self.assertEqual([], self.wanted())
        self.configure(check={"max-age": "1s"})
        time.sleep(2.1)
        self.assertEqual([(pixel, "old")], self.wanted())
        self.assertEqual(None, self.rotation(pixel), "nobody asked")

    def test_those_of_one_login_come_together(self):
        pixels = [self.stored()[0] for _ in range(6)]
        for i, p in enumerate(pixels):
            self.vault("label", p, "user=" + "ab"[i % 2], "bc=" + "xy"[i // 3])
        self.vault("rotate", *pixels, "--later")
        doc = self.json("rotate", "--list")["pixels"]
        self.assertEqual(sorted((p["user"], p["bc"], p["pixel"]) for p in doc), [(p["user"], p["bc"], p["pixel"]) for p in doc])

    def test_asked_for_and_taken_back(self):
        a, b = self.stored()[0], self.stored()[0]
        doc = self.json("rotate", a, b, a, "--later")
        self.assertEqual(({a, b}, 2, False), (set(doc["pixels"]), doc["changed"], doc["cancel"]))
        self.assertEqual(0, self.json("rotate", a, "--later")["changed"], "it is asked for already")
        since = self.status(a)["rotation"]
        self.assertEqual(("due", 1, None), (since["step"], since["from"], since["to"]))
        self.assertMoment(since["since"])
        self.assertRegex(self.status(a)["advice"], r"a new token was asked for on \d{4}-\d\d-\d\d: vault rotate")
        self.assertIn("vault rotate", self.vault("status").out.decode())
        self.assertRegex(self.vault("history", a).out.decode(), r"rotation: due since 20\S+, from v1 to -")
        self.vault("check")  # a wish is no alarm
        self.assertEqual("", self.vault("check", "-q").err)
        self.assertEqual([a], self.json("rotate", a, "--cancel")["pixels"])
        self.assertEqual([(b, "asked")], self.wanted())
        self.assertEqual(None, self.status(a)["advice"])
        self.assertEqual([b], self.json("rotate", "--cancel")["pixels"])
        self.assertEqual([], self.wanted())
        self.assertEqual(["due", "due", "not-due", "not-due"],
                         [e["verb"] for e in self.audit() if "due" in e["verb"] and e["result"] == "intent"])

    def audit(self):
        if VIA_AGENT:
            self.stop_agent()
            self.env["PIXELVAULT_VAULT"] = self.file
        return [json.loads(line) for line in self.vault("audit", "show", "-n", "0", "--json").out.splitlines()]

    def test_by_label_and_by_age(self):
        acme, other = [self.stored()[0] for _ in range(3)], self.stored()[0]
        for p in acme:
            self.vault("label", p, "bc=acme")
        self.assertEqual(sorted(acme), sorted(self.json("rotate", "-l", "bc=acme", "--later")["pixels"]))
        self.assertEqual([], self.json("rotate", "-l", "bc=none", "--later")["pixels"])
        self.assertEqual([], self.json("rotate", other, "-l", "bc=acme", "--later")["pixels"])
        self.assertEqual([], self.json("rotate", "--max-age", "1h", "--later")["pixels"])
        self.assertEqual(sorted(acme), sorted(p for p, _ in self.wanted()))
        time.sleep(2.1)
        self.assertEqual(sorted(acme + [other]), sorted(self.json("rotate", "--max-age", "1s", "--later")["pixels"]))

    def test_whom_nobody_named(self):
        self.stored()
        self.refuses(2, "rotate", "--later", says="which Pixels")
        self.refuses(3, "rotate", new_pixel(), "--later", says="no token is stored")
        self.refuses(2, "rotate", "--list", "--cancel", says="exclude")
        self.refuses(2, "rotate", "--max-age", "soon", "--list", says="length of time")
        self.assertEqual([], self.wanted())

    def test_a_removed_one_needs_none(self):
        pixel, _ = self.stored()
        self.vault("rotate", pixel, "--later")
        self.vault("rm", pixel)
        self.assertEqual([], self.wanted())
        self.vault("rm", pixel, "--restore")
        self.assertEqual([(pixel, "asked")], self.wanted())

    def test_many_are_one_commit(self):
        pixels = [new_pixel() for _ in range(700)]
        for p in pixels[:20]:
            self.put(p, self.token(), "--no-check")
        doc = self.json("rotate", *pixels[:20], "--later")
        self.assertEqual(20, doc["changed"])
        self.refuses(3, "rotate", *pixels, "--cancel", says="no token is stored")

    def test_without_a_terminal(self):
        pixel, _ = self.stored()
        self.refuses(2, "rotate", pixel, says="--list", start_new_session=True)
        self.assertEqual([], self.wanted(), "nothing was asked for")
        self.vault("rotate", pixel, "--later")
        self.refuses(2, "rotate", says="--list", start_new_session=True)
        self.refuses(2, "rotate", "--no-input", says="--list")

    def test_what_is_put_answers_it(self):
        pixel, _ = self.stored()
        self.vault("rotate", pixel, "--later")
        self.put(pixel, self.more_token(pixel))
        self.assertEqual([], self.wanted())
        self.assertEqual("promoted", self.rotation(pixel))
        self.assertEqual((1, 2), (self.status(pixel)["rotation"]["from"], self.status(pixel)["rotation"]["to"]))
        self.vault("retire", pixel)
        self.assertEqual("retired", self.rotation(pixel))


class InOneSitting(RotateCase):
    def test_twenty(self):
        pixels = [self.stored()[0] for _ in range(20)]
        fresh = {p: self.more_token(p) for p in pixels}
        s = self.sit(*pixels)
        for i in range(20):
            s.expect(r"\[%d of 20\] " % (i + 1))
            pixel = s.asked()
            s.answer("  \"%s\" " % fresh[pixel])
            s.expect(r"removed from the pasted token: (blanks, quotes|quotes, blanks)")
            s.expect(pixel + r": version 2 is current; TikTok accepts it")
            s.expect("Version 1 stays as previous; .* vault retire " + pixel)
        text = s.end()
        self.assertIn("20 rotated, 0 skipped, 0 refused, 0 not judged yet, 0 left", text)
        self.assertShowsNoToken(text, *fresh.values())
        for p in pixels:
            self.assertEqual(fresh[p], self.get(p))
        self.assertEqual([], self.wanted())

    def test_what_is_shown_before_the_question(self):
        pixel, token = self.stored()
        self.vault("label", pixel, "user=ann@example.com", "role=operator", "bc=Acme")
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        s = self.sit()
        s.asked()
        text = s.terminal.text()
        for words in ("[1 of 1] " + pixel, "bc=Acme", "TikTok refuses its token (revoked)",
                      "login: ann@example.com, as operator", "Business Center Acme active",
                      "another one the list is empty", "data source " + pixel, "Generate access token", "once"):
            self.assertIn(words, text)
        s.answer("q")
        s.end()
        other, _ = self.stored()
        s = self.sit(other)
        s.asked()
        self.assertIn("vault label %s user=NAME" % other, s.terminal.text())
        self.assertIn("vault label %s bc=NAME" % other, s.terminal.text())
        s.answer("q")
        s.end()

    def test_skip_and_leave(self):
        pixels = sorted(self.stored()[0] for _ in range(4))
        fresh = self.more_token(pixels[1])
        s = self.sit(*pixels)
        s.give(pixels[0], " S ")
        s.give(pixels[1], fresh)
        s.give(pixels[2], "q")
        text = s.end()
        self.assertIn("1 rotated, 1 skipped, 0 refused, 0 not judged yet, 2 left; to go on: vault rotate", text)
        self.assertEqual(sorted([pixels[0], pixels[2], pixels[3]]), [p for p, _ in self.wanted()])
        s = self.sit("--json")
        s.give(pixels[0], "q")
        doc = json.loads(s.end()[s.at:].strip().splitlines()[-1])
        self.assertEqual(([], 3, 0), (doc["rotated"], len(doc["left"]), doc["exit"]))

    def test_whole_words_and_ctrl_d_are_understood(self):
        pixels = sorted(self.stored()[0] for _ in range(3))
        s = self.sit(*pixels)
        s.give(pixels[0], "Skip")
        s.give(pixels[1], " quit")
        self.assertIn("0 rotated, 1 skipped, 0 refused, 0 not judged yet, 2 left; to go on: vault rotate", s.end())
        s = self.sit()
        self.assertEqual(pixels[0], s.asked())
        s.terminal.send("\x04")
        text = s.end()
        self.assertIn("3 left; to go on: vault rotate", text)
        self.assertNotIn("nothing was entered", text)

    def test_tiktok_is_not_said_to_be_asked_about_what_is_no_token(self):
        pixel, _ = self.stored()
        s = self.sit(pixel)
        s.give(pixel, "help")
        s.expect("too short")
        self.assertEqual(pixel, s.asked())
        s.answer("q")
        self.assertNotIn("Asking TikTok", s.end())

    def test_wrong_pastes_of_every_kind(self):
        first, _ = self.stored()
        pixel, current = self.stored()
        others, others_token = self.stored()
        previous, current = current, self.more_token(pixel)
        self.put(pixel, current)
        good, first_good = self.more_token(pixel), self.more_token(first)
        stranger = self.token()  # TikTok does not know it
        self.vault("label", first, "user=a")
        self.vault("label", pixel, "user=b")
        self.vault("rotate", first, pixel, "--later")
        s = self.sit()
        s.give(first, first_good)
        s.expect("is current; TikTok accepts it")
        for paste, told in (("", "nothing was entered"),
                            ("short", r"token"),
                            (pixel, r"(?i)pixel code"),
                            (good[:20] + " " + good[20:], "blank|in the middle|inside|one piece"),
                            (current, "Nothing new: this is the token that is current already .version 2."),
                            (previous, "previous one of Pixel '%s'(.|\n)*vault rollback" % pixel),
                            (others_token, "this is the token of Pixel '%s' .version 1." % others),
                            (first_good, "this is the token of Pixel '%s' .version 2." % first)):
            before = self.emu.requests()
            s.give(pixel, paste)
            s.expect(told)
            self.assertEqual(before, self.emu.requests(), "TikTok was asked about %r" % told)
        s.give(pixel, stranger)
        s.expect(r"TikTok refused the new token \(revoked\)")
        s.expect("consumers still get version 2")
        s.expect("hint: .*generate a new token")
        s.give(pixel, good)
        s.expect("is current; TikTok accepts it")
        text = s.end()
        self.assertShowsNoToken(text, current, previous, others_token, first_good, stranger, good)
        self.assertIn("2 rotated", text)
        self.assertEqual((good, others_token), (self.get(pixel), self.get(others)))

    def test_two_lines_in_one_paste(self):
        pixel, _ = self.stored()
        a, b = self.more_token(pixel), self.more_token(pixel)
        s = self.sit(pixel)
        s.give(pixel, a + "\n" + b)
        s.expect("more than one line was pasted")
        s.give(pixel, b)
        self.assertShowsNoToken(s.end(), a, b)
        self.assertEqual(b, self.get(pixel))

    def test_a_stray_that_was_refused_elsewhere_is_taken_where_it_belongs(self):
        wrong, _ = self.stored()
        pixel, _ = self.stored()
        fresh = self.more_token(pixel)
        self.put(wrong, fresh, rc=11)
        s = self.sit(pixel)
        s.give(pixel, fresh)
        s.expect("is current; TikTok accepts it")
        s.end()
        self.assertEqual(fresh, self.get(pixel))

    def test_one_that_stays_refused_is_told_at_the_end(self):
        pixel, token = self.stored()
        s = self.sit(pixel)
        s.give(pixel, self.token())
        s.expect("TikTok refused the new token")
        s.give(pixel, "s")
        self.assertIn("0 rotated, 0 skipped, 1 refused", s.end(12))
        self.assertEqual("captured", self.rotation(pixel))
        self.assertEqual([(pixel, "asked")], self.wanted())
        self.assertEqual(token, self.get(pixel))

    def test_the_owner_of_a_strays_token_is_named(self):
        pixel, _ = self.stored()
        owner, _ = self.stored()
        strays = self.more_token(owner)
        s = self.sit(pixel)
        s.give(pixel, strays)
        s.expect(r"TikTok refused the new token \(mismatched\), it belongs to " + owner)
        s.give(pixel, "s")
        s.end(12)

    def test_tiktok_is_away(self):
        pixels = sorted(self.stored()[0] for _ in range(2))
        fresh = {p: self.more_token(p) for p in pixels}
        self.emu.fault("refuse")
        s = self.sit(*pixels)
        s.give(pixels[0], fresh[pixels[0]])
        s.expect("TikTok gave no verdict on the new token")
        s.give(pixels[1], "s")
        self.assertIn("0 rotated, 1 skipped, 0 refused, 1 not judged yet", s.end(12))
        self.assertEqual("captured", self.rotation(pixels[0]))
        self.emu.no_faults()
        self.vault("check", pixels[0])
        self.assertEqual(fresh[pixels[0]], self.get(pixels[0]))
        self.assertEqual([(pixels[1], "asked")], self.wanted())

    def test_retire(self):
        free, used = self.stored()[0], self.stored()[0]
        self.vault("label", free, "user=a")
        self.vault("label", used, "user=b")
        self.get(used, "--as", "checkout")
        s = self.sit(free, used, "--retire")
        s.give(free, self.more_token(free))
        s.expect(free + ": version 1 is retired")
        s.give(used, self.more_token(used))
        s.expect("checkout")
        s.end()
        self.assertEqual("promoted", self.rotation(used))
        self.assertEqual("retired", self.rotation(free))

    def test_somebody_else_was_faster(self):
        pixels = sorted(self.stored()[0] for _ in range(2))
        s = self.sit(*pixels)
        self.assertEqual(pixels[0], s.asked())
        self.put(pixels[1], self.more_token(pixels[1]))
        s.answer("s")
        s.expect("done meanwhile: version 2 is current")
        self.assertIn("1 rotated, 1 skipped", s.end())

    def test_what_is_pasted_too_early_is_no_answer_and_not_shown(self):
        pixels = sorted(self.stored()[0] for _ in range(2))
        fresh = {p: self.more_token(p) for p in pixels}
        early = self.token()
        self.emu.knob("delay-ms", 3000)
        s = self.sit(*pixels)
        s.give(pixels[0], fresh[pixels[0]])
        s.expect("Asking TikTok")
        asked = time.monotonic()
        time.sleep(0.2)
        self.assertFalse(echoes(s.terminal.fd), "between two questions nothing is shown either")
        s.answer(early)
        self.assertStill(time.monotonic() - asked, 2.5, "TikTok has answered")
        self.emu.knob("delay-ms", 0)
        s.expect("is current")
        s.give(pixels[1], fresh[pixels[1]])
        s.expect("is current")
        text = s.end()
        self.assertShowsNoToken(text, early, *fresh.values())
        self.assertEqual(fresh[pixels[1]], self.get(pixels[1]))

    def test_those_that_are_too_old(self):
        old, _ = self.stored()
        time.sleep(3.1)
        fresh, _ = self.stored()
        s = self.sit("--max-age", "2s")
        s.give(old, self.more_token(old))
        s.expect("is current")
        self.assertIn("1 rotated", s.end())
        self.assertEqual([], self.wanted(), fresh)

    def test_a_terminal_with_nobody_at_it(self):
        pixel, _ = self.stored()
        s = self.sit(pixel)
        for _ in range(3):
            s.expect(PROMPT)
            s.answer("")
        self.assertIn("1 left", s.end())


class BrokenOff(RotateCase):
    """Whatever ends a sitting, the next one goes on there."""

    def setUp(self):
        super().setUp()
        self.pixels = sorted(self.stored()[0] for _ in range(3))
        self.fresh = {p: self.more_token(p) for p in self.pixels}

    def left(self, *pixels):
        self.assertEqual([(p, "asked") for p in pixels], self.wanted())

    def go_on(self, *pixels):
        s = self.sit()
        for p in pixels:
            s.give(p, self.fresh[p])
            s.expect("is current; TikTok accepts it")
        text = s.end()
        for p in self.pixels:
            self.assertEqual(self.fresh[p], self.get(p))
            self.assertEqual("promoted", self.rotation(p))
        self.assertEqual([], self.wanted())
        self.assertShowsNoToken(text, *self.fresh.values())

    def test_before_the_first_paste(self):
        s = self.sit(*self.pixels)
        s.asked()
        self.assertEqual(-9, s.kill())
        self.left(*self.pixels)
        self.go_on(*self.pixels)

    def test_in_the_middle_of_a_paste(self):
        s = self.sit(*self.pixels)
        s.asked()
        s.terminal.send(self.fresh[self.pixels[0]][:20])
        time.sleep(0.1)
        self.assertEqual(-9, s.kill())
        self.left(*self.pixels)
        self.go_on(*self.pixels)

    def test_after_the_token_was_captured(self):
        first = self.pixels[0]
        self.emu.knob("delay-ms", 3000)
        s = self.sit(*self.pixels)
        s.give(first, self.fresh[first])
        self.until(lambda: self.status(first)["pending"], "it is stored")
        s.kill()
        self.emu.knob("delay-ms", 0)
        self.assertEqual("captured", self.rotation(first))
        if VIA_AGENT:  # which finishes what it was told
            self.until(lambda: not self.status(first)["pending"], "it is proven")
            self.left(*self.pixels[1:])
            self.go_on(*self.pixels[1:])
            return
        self.left(*self.pixels)
        asked = self.emu.requests()
        s = self.sit()
        s.expect("Version 2 was pasted before and is not judged yet")
        s.expect(first + ": version 2 is current")
        self.assertEqual(self.pixels[1], s.asked(), "it is proven, not asked for again")
        s.kill()
        self.assertGreater(self.emu.requests(), asked)
        self.go_on(*self.pixels[1:])

    @direct_only("an agent goes on with a put whose caller is gone")
    def test_captured_and_refused_afterwards(self):
        first = self.pixels[0]
        self.emu.knob("delay-ms", 3000)
        s = self.sit(*self.pixels)
        stranger = self.token()
        s.give(first, stranger)
        self.until(lambda: self.status(first)["pending"], "it is stored")
        s.kill()
        self.emu.knob("delay-ms", 0)
        s = self.sit()
        s.expect("Version 2 was pasted before and is not judged yet")
        s.expect(r"the new token \(version 2\) was refused as revoked")
        s.give(first, self.fresh[first])
        s.expect("is current")
        s.give(self.pixels[1], "q")
        s.end()
        self.go_on(*self.pixels[1:])

    @direct_only("an agent goes on with a put whose caller is gone")
    def test_captured_and_still_not_judged(self):
        first = self.pixels[0]
        self.emu.knob("delay-ms", 3000)
        s = self.sit(*self.pixels)
        s.give(first, self.fresh[first])
        self.until(lambda: self.status(first)["pending"], "it is stored")
        s.kill()
        self.emu.knob("delay-ms", 0)
        self.emu.fault("refuse")
        s = self.sit()
        s.expect("TikTok gave no verdict; version 2 waits")
        self.assertEqual(self.pixels[1], s.asked())
        s.answer("q")
        self.assertIn("1 not judged yet, 2 left", s.end(12))
        self.emu.no_faults()
        s = self.sit()
        s.expect(first + ": version 2 is current")
        s.asked()
        s.answer("q")
        s.end()
        self.go_on(*self.pixels[1:])

    def test_after_the_promotion(self):
        first = self.pixels[0]
        s = self.sit(*self.pixels)
        s.give(first, self.fresh[first])
        self.until(lambda: self.get(first) == self.fresh[first], "it is current")
        s.kill()
        self.left(*self.pixels[1:])
        self.go_on(*self.pixels[1:])

    def test_between_two_pixels(self):
        s = self.sit(*self.pixels)
        s.give(self.pixels[0], self.fresh[self.pixels[0]])
        s.give(self.pixels[1], self.fresh[self.pixels[1]])
        self.assertEqual(self.pixels[2], s.asked())
        s.kill()
        self.left(self.pixels[2])
        self.go_on(self.pixels[2])

    def test_twenty_killed_after_every_second(self):
        """Each sitting ends somewhere else; no Pixel is asked about twice once it has its token."""
        pixels = [self.stored()[0] for _ in range(17)] + self.pixels
        fresh = {p: self.fresh.get(p) or self.more_token(p) for p in pixels}
        self.vault("rotate", *pixels, "--later")
        done, sittings = [], 0
        while len(done) < 20:
            s = self.sit()
            sittings += 1
            for _ in range(2):
                pixel = s.asked()
                self.assertNotIn(pixel, done)
                s.answer(fresh[pixel])
                s.expect("version 2 is current")
                done.append(pixel)
            s.kill()
        self.assertEqual(10, sittings)
        self.assertEqual([], self.wanted())
        for p in pixels:
            self.assertEqual((fresh[p], 2), (self.get(p), self.status(p)["current"]["version"]))

    def until(self, condition, what):
        end = time.monotonic() + 30 * PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)


@spread
class Signals(RotateCase):
    """What a signal leaves of the terminal. The keeper of the pty sees its flags."""

    @cases(interrupt=signal.SIGINT, terminate=signal.SIGTERM, hang_up=signal.SIGHUP, quit=signal.SIGQUIT)
    def test_while_asking(self, number):
        pixel, _ = self.stored()
        s = self.sit(pixel)
        s.asked()
        self.assertFalse(echoes(s.terminal.fd))
        os.kill(s.terminal.pid, number)
        self.assertTrue(self.echoes_again(s))
        self.assertEqual(-number, s.terminal.wait())
        self.assertEqual([(pixel, "asked")], self.wanted())

    @cases(interrupt=signal.SIGINT, terminate=signal.SIGTERM)
    def test_while_tiktok_is_asked(self, number):
        pixel, _ = self.stored()
        fresh = self.more_token(pixel)
        self.emu.knob("delay-ms", 4000)
        s = self.sit(pixel)
        s.give(pixel, fresh)
        s.expect("Asking TikTok")
        time.sleep(0.3)
        self.assertFalse(echoes(s.terminal.fd))
        s.terminal.send(self.token())  # neither shown nor left for the shell
        os.kill(s.terminal.pid, number)
        self.assertTrue(self.echoes_again(s))
        self.assertEqual(-number, s.terminal.wait())
        self.assertEqual([], re.findall("[0-9a-f]{40}", s.terminal.text()))

    def echoes_again(self, s):
        """The pty lives as long as we hold it."""
        end = time.monotonic() + 30 * PATIENCE
        while time.monotonic() < end:
            s.terminal.pump(0.01)
            if echoes(s.terminal.fd):
                return True
        return False

    def test_stopped_and_gone_on(self):
        pixel, _ = self.stored()
        fresh = self.more_token(pixel)
        s = self.sit(pixel)
        s.asked()
        os.kill(s.terminal.pid, signal.SIGTSTP)
        _, status = os.waitpid(s.terminal.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        self.assertTrue(echoes(s.terminal.fd), "the shell has its terminal back")
        os.kill(s.terminal.pid, signal.SIGCONT)
        s.give(pixel, fresh)
        s.expect("is current")
        s.end()
        self.assertEqual(fresh, self.get(pixel))


if __name__ == "__main__":
    unittest.main()
