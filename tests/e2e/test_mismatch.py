"""A token under the wrong Pixel: each case is named in plain words with the command that mends it, within the budget of
calls, and the command then mends it. And what swap and move refuse."""

import json
import re
import time
import unittest

from harness import VIA_AGENT, Case, UnixConnection, new_pixel, say

PUT_KEYS = {"schema", "pixel", "version", "stage", "verdict", "fingerprint", "removed", "belongs_to"}
BUDGET_PUT, BUDGET_SWEEP = 16, 64


class Mismatch(Case):
    def setUp(self):
        super().setUp()
        self.before = 0

    # ---- what all of these do ----

    def calls(self):
        """TikTok was asked so often since this was asked last."""
        now = self.emu.requests()
        passed, self.before = now - self.before, now
        return passed

    def commands(self, text):
        """The commands that a text names, as lists of words."""
        return [m.split() for m in re.findall(r"vault ((?:swap|move|put) [A-Z0-9]{20}(?: [A-Z0-9]{20})?)", text)]

    def obey(self, text, *own):
        """Run the first command named, and each `put` with the token that comes next in own."""
        commands, own = self.commands(text), list(own)
        self.assertTrue(commands, text)
        for words in commands[:1] + [w for w in commands[1:] if own and w[0] == "put"]:
            self.vault(*words, stdin=own.pop(0) if words[0] == "put" else b"")

    def healthy(self, **holds):
        for pixel, token in holds.items():
            s = self.status(pixel)
            self.assertEqual(("healthy", None, None), (s["verdict"], s["pending"], s["advice"]), s)
            self.assertEqual(token, self.get(pixel))
        self.vault("check", *holds)
        self.assertEqual(list(holds.values()), [self.get(p) for p in holds])
        self.vault("verify")

    def advice(self, pixel):
        return self.status(pixel)["advice"]

    def board(self, pixel):
        """What the board says below its rows about the Pixel."""
        return "\n".join(l for l in self.vault("status", pixel).out.decode().splitlines() if l.startswith(pixel + "  ")
                         and "vault " in l)

    def crossed(self):
        """Two Pixels that hold each other's token as current, known as such."""
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.put(a, of_b, "--no-check", "--test-code", "T1")
        self.put(b, of_a, "--no-check", "--test-code", "T2")
        self.vault("check", rc=11)
        return a, of_a, b, of_b


class UnderTheWrongPixel(Mismatch):
    def needy(self):
        """A Pixel whose token is dead and known to be."""
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        return pixel

    def test_a_move_pushes_out_no_token_that_waits_to_be_judged(self):
        a, own = self.stored()
        b = self.needy()
        stray, waiting = self.more_token(b), self.more_token(b)
        self.put(a, stray, rc=11)
        self.emu.fault("refuse")
        self.put(b, waiting, rc=9)
        self.emu.no_faults()
        self.refuses(8, "move", a, b, says="waits to be judged")
        self.vault("check", b)
        self.assertEqual(waiting, self.get(b))

    def test_a_new_token_of_one_that_needs_it_put_under_one_that_is_well(self):
        a, own = self.stored()
        b = self.needy()
        for _ in range(3):
            self.stored()
        stray = self.more_token(b)
        self.calls()
        r = self.refuses(11, "put", a, stdin=stray, says="belongs to " + b)
        self.assertEqual(2, self.calls(), "one for the put, one for whoever needs a token most")
        self.assertEqual([["move", a, b]], self.commands(r.err)[:1], say(r))
        self.assertIn("consumers still get version 1", r.err)
        self.assertIn("vault move %s %s" % (a, b), self.advice(a))
        self.assertIn("vault move %s %s" % (a, b), self.board(a))
        self.obey(r.err)
        self.assertEqual(1, self.calls(), "the pair is proven before it counts")
        self.healthy(**{a: own, b: stray})

    def test_the_json_says_whose_it_is(self):
        a, _ = self.stored()
        b = self.needy()
        doc = self.put_json(a, self.more_token(b), rc=11)
        self.assertEqual(PUT_KEYS, set(doc))
        self.assertEqual((a, 2, "pending", "mismatched", b),
                         tuple(doc[k] for k in ("pixel", "version", "stage", "verdict", "belongs_to")))

    def test_put_under_one_that_has_none_of_its_own(self):
        (a, own), b = self.pair(), self.needy()
        stray = self.more_token(b)
        r = self.refuses(11, "put", a, "--test-code", "T1", stdin=stray, says="belongs to " + b)
        self.assertEqual([["move", a, b], ["put", a]], self.commands(r.err), say(r))
        self.assertEqual(self.commands(r.err), self.commands(self.advice(a)))
        self.obey(r.err)
        s = self.status(a)
        self.assertEqual(("mismatched", 1), (s["verdict"], s["pending"]["version"]), "the need for a token is not hidden")
        self.assertEqual([["put", a]], self.commands(s["advice"]), "what is left to do")
        self.obey(s["advice"], own)
        self.healthy(**{a: own, b: stray})

    def test_found_by_a_check(self):
        (a, own), b = self.pair(), self.needy()
        stray = self.more_token(b)
        self.put(a, stray, "--no-check", "--test-code", "T1")
        self.calls()
        r = self.vault("check", a, rc=11)
        self.assertRegex(r.err, "belongs to " + b, say(r))
        self.assertEqual([["move", a, b], ["put", a]], self.commands(r.err), say(r))
        self.assertEqual(3, self.calls(), "two looks and one try")
        self.obey(r.err, own)
        self.healthy(**{a: own, b: stray})

    def test_a_second_good_token_of_one_that_is_well(self):
        (a, own), (b, _) = self.stored(), self.stored()
        better = self.more_token(b)
        r = self.refuses(11, "put", a, stdin=better, says="belongs to " + b)
        self.obey(r.err)
        self.healthy(**{a: own, b: better})
        self.assertEqual(1, self.status(b)["previous"]["version"])

    def test_a_proven_token_gives_way_only_to_a_proven_one(self):
        self.emu.knob("empty-data", "0")
        a, _ = self.stored(test_code=None)
        b, of_b = self.stored()
        self.vault("put", b, "--test-code", "", stdin=of_b)
        self.assertEqual("healthy", self.status(b)["verdict"])
        r = self.refuses(11, "put", a, stdin=self.more_token(b))
        self.obey(r.err)
        s = self.status(b)
        self.assertEqual((1, 2, "unproven"), (s["current"]["version"], s["pending"]["version"], s["pending"]["verdict"]))
        self.assertEqual(of_b, self.get(b))

    def test_it_takes_its_expiry_and_its_age_along(self):
        a, _ = self.stored()
        b = self.needy()
        self.put(a, self.more_token(b), "--expires", "2099-01-02T03:04:05Z", rc=11)
        was = self.status(a)["pending"]
        self.vault("move", a, b)
        now = self.status(b)["current"]
        self.assertEqual((2, "2099-01-02T03:04:05Z", was["stored_at"], was["fingerprint"]),
                         (now["version"], now["expires_at"], now["stored_at"], now["fingerprint"]))

    def test_the_json_of_move(self):
        a, _ = self.stored()
        b = self.needy()
        self.put(a, self.more_token(b), rc=11)
        doc = self.json("move", a, b)
        self.assertEqual({"schema", "from", "moved", "unchanged"}, set(doc))
        self.assertEqual(({"pixel": a, "version": 2, "stage": "retired"}, False), (doc["from"], doc["unchanged"]))
        self.assertEqual(PUT_KEYS - {"schema"}, set(doc["moved"]))
        self.assertEqual((b, 2, "current", "healthy"), tuple(doc["moved"][k] for k in ("pixel", "version", "stage", "verdict")))

    def test_move_refuses_what_is_not_known_to_be_a_stray(self):
        (a, _), (b, _) = self.stored(), self.stored()
        self.calls()
        for words in ((a, b), (b, a), (a, b, "--no-check")):
            self.refuses(8, "move", *words, says="vault check")
        self.refuses(2, "move", a, a)
        self.refuses(2, "move", a)
        self.refuses(15, "move", a, "x")
        self.refuses(3, "move", a, new_pixel())
        self.refuses(3, "move", new_pixel(), a)
        self.assertEqual(0, self.calls())

    def test_move_asks_before_it_moves(self):
        a, _ = self.stored()
        b = self.needy()
        stray = self.more_token(b)
        self.put(a, stray, rc=11)
        self.emu.revoke(stray)
        before = self.json("status", a, b)["pixels"]
        e = self.error(10, "move", a, b)
        self.assertIn("nothing was moved", e["message"])
        self.assertEqual("revoked", e["class"])
        self.emu.fault("refuse")
        self.refuses(9, "move", a, b, says="nothing was moved")
        self.assertEqual(before, self.json("status", a, b)["pixels"])
        self.vault("move", a, b, "--no-check")
        self.assertEqual("unchecked", self.status(b)["verdict"])
        self.assertEqual(stray, self.get(b))


class Swapped(Mismatch):
    def swaps(self, text, a, b):
        self.assertIn(self.commands(text)[:1], ([["swap", a, b]], [["swap", b, a]]), text)
        self.obey(text)

    def test_put_one_after_the_other(self):
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.put(a, of_b, "--test-code", "T1", rc=11)
        self.calls()
        r = self.refuses(11, "put", b, "--test-code", "T2", stdin=of_a, says="belongs to " + a)
        self.assertEqual(3, self.calls(), "the put, whose it is, and whose the other's is")
        self.assertEqual([["swap", b, a]], self.commands(r.err), say(r))
        self.assertEqual([["swap", a, b]], self.commands(self.advice(a)))
        self.swaps(r.err, a, b)
        self.assertEqual(2, self.calls(), "both pairs are proven")
        self.healthy(**{a: of_a, b: of_b})
        self.assertEqual([2, 2], [self.status(p)["current"]["version"] for p in (a, b)], "numbers are never used again")

    def test_found_by_a_check(self):
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        for _ in range(4):
            self.stored()
        self.put(a, of_b, "--no-check", "--test-code", "T1")
        self.put(b, of_a, "--no-check", "--test-code", "T2")
        self.calls()
        r = self.vault("check", rc=11)
        self.assertLessEqual(self.calls(), 6 + 2 + 2, "six, two second looks, and one try each")
        self.assertEqual({("swap", a, b), ("swap", b, a)}, {tuple(c) for c in self.commands(r.err)}, say(r))
        self.assertEqual({("swap", a, b)}, {tuple(c) for c in self.commands(self.board(a))})
        self.swaps(r.err, a, b)
        self.healthy(**{a: of_a, b: of_b})
        for pixel in (a, b):
            self.refuses(3, "get", pixel, "--version", "1", says="given to nobody")

    def test_new_tokens_swapped_beside_current_ones_that_work(self):
        (a, old_a), (b, old_b) = self.stored(), self.stored()
        of_a, of_b = self.more_token(a), self.more_token(b)
        self.put(a, of_b, rc=11)
        r = self.put(b, of_a, rc=11)
        self.swaps(self.advice(a), a, b)
        self.healthy(**{a: of_a, b: of_b})
        self.assertEqual([old_a, old_b], [self.get(p, "--previous") for p in (a, b)])
        self.assertEqual([3, 3], [self.status(p)["current"]["version"] for p in (a, b)])

    def test_one_as_current_and_one_that_waits(self):
        (a, of_a), (b, of_b) = self.pair(), self.stored()
        newer = self.more_token(b)
        self.put(a, newer, "--no-check", "--test-code", "T1")
        self.put(b, of_a, rc=11)
        r = self.vault("check", rc=11)
        self.swaps(r.err, a, b)
        self.healthy(**{a: of_a, b: newer})
        self.assertEqual(of_b, self.get(b, "--previous"))

    def test_without_test_codes_where_tiktok_looks_at_the_pair_first(self):
        self.emu.knob("empty-data", "0")
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.put(a, of_b, rc=11)
        r = self.put(b, of_a, rc=11)
        self.swaps(r.err, a, b)
        self.assertEqual([("unproven", None)] * 2, [(s["verdict"], s["pending"]) for s in map(self.status, (a, b))])
        self.assertEqual([of_a, of_b], [self.get(p) for p in (a, b)])

    def test_what_was_given_away_is_retired_and_a_good_previous_one_stays(self):
        a, old = self.stored()
        b, of_b = self.pair()
        of_a = self.more_token(a)
        self.put(a, of_b, "--no-check")
        self.put(b, of_a, "--no-check", "--test-code", "T2")
        self.vault("check", rc=11)
        self.vault("swap", a, b)
        self.assertEqual((of_a, old), (self.get(a), self.get(a, "--previous")))
        stages = {v["version"]: v["stage"] for v in self.json("history", a)["versions"]}
        self.assertEqual({1: "previous", 2: "retired", 3: "current"}, stages)
        self.assertEqual({1: "retired", 2: "current"},
                         {v["version"]: v["stage"] for v in self.json("history", b)["versions"]})
        r = self.put(a, self.more_token(a))
        self.assertNotIn("stored for", r.err, "no token lies under two Pixels any more")
        self.vault("rollback", a)
        self.assertEqual(of_a, self.get(a))

    def test_its_json(self):
        a, of_a, b, of_b = self.crossed()
        doc = self.json("swap", a, b)
        self.assertEqual({"schema", "swapped"}, set(doc))
        self.assertEqual([PUT_KEYS - {"schema"}] * 2, [set(p) for p in doc["swapped"]])
        self.assertEqual([(a, 2, "current", "healthy", None), (b, 2, "current", "healthy", None)],
                         [(p["pixel"], p["version"], p["stage"], p["verdict"], p["belongs_to"]) for p in doc["swapped"]])

    def test_it_is_proven_first(self):
        a, of_a, b, of_b = self.crossed()
        self.emu.revoke(of_b)
        before = self.json("status")["pixels"]
        self.calls()
        e = self.error(10, "swap", a, b)
        self.assertIn(b + ":", e["message"])
        self.assertIn("nothing was moved", e["message"])
        self.assertLessEqual(self.calls(), 2)
        self.refuses(10, "swap", b, a, says=b + ": TikTok refuses")
        self.assertEqual(1, self.calls(), "the first refusal is enough")
        self.assertEqual(before, self.json("status")["pixels"])

    def test_when_one_belongs_to_neither(self):
        (a, of_a), (b, _) = self.pair(), self.pair()
        _, foreign = self.pair()
        self.put(a, foreign, "--no-check", "--test-code", "T1")
        self.put(b, of_a, "--no-check", "--test-code", "T2")
        self.vault("check", rc=11)
        self.refuses(11, "swap", a, b, says=b + ": TikTok refuses the token that lies under " + a)
        self.assertEqual([foreign, of_a], [self.get(p) for p in (a, b)])
        self.vault("move", b, a)
        self.assertEqual(of_a, self.get(a))

    def test_not_judged_is_not_moved(self):
        a, of_a, b, of_b = self.crossed()
        before = self.json("status")["pixels"]
        for fault in ("refuse", "silence"):
            self.emu.fault(fault)
            self.refuses(9, "swap", a, b, says="nothing was moved")
            self.emu.no_faults()
        self.assertEqual(before, self.json("status")["pixels"])

    def test_no_check_moves_at_once(self):
        a, of_a, b, of_b = self.crossed()
        self.calls()
        r = self.vault("swap", a, b, "--no-check")
        self.assertEqual(0, self.calls())
        self.assertEqual(["unchecked"] * 2, [self.status(p)["verdict"] for p in (a, b)], say(r))
        self.healthy_after_check(a, of_a, b, of_b)

    def healthy_after_check(self, a, of_a, b, of_b):
        self.vault("check")
        self.healthy(**{a: of_a, b: of_b})

    def test_a_proven_token_is_never_given_away(self):
        (a, own), (b, _) = self.stored(), self.pair()
        stray = self.more_token(a)
        self.put(b, stray, "--test-code", "T2", rc=11)
        self.calls()
        for words in ((a, b), (b, a), (a, b, "--no-check")):
            r = self.refuses(8, "swap", *words, says="proven")
            self.assertEqual([["move", b, a]], self.commands(r.err), say(r))
        self.assertEqual(0, self.calls())
        self.assertEqual(own, self.get(a))
        self.obey(r.err)
        self.assertEqual(stray, self.get(a))

    def test_tokens_that_were_put_aside_stay_aside(self):
        (a, old_a), (b, old_b) = self.stored(), self.stored()
        of_a, of_b = self.more_token(a), self.more_token(b)
        self.put(a, of_b, "--standby", rc=11)
        r = self.put(b, of_a, "--standby", rc=11)
        r = self.vault(*self.commands(r.err)[0])
        self.assertEqual(2, r.err.count("version 3 stands by (healthy)"), say(r))
        self.healthy(**{a: old_a, b: old_b})
        for pixel in (a, b):
            stages = {v["version"]: v["stage"] for v in self.json("history", pixel)["versions"]}
            self.assertEqual({1: "current", 2: "retired", 3: "standby"}, stages)
        self.assertEqual(of_a, self.get(a, "--version", "3"))

    def test_no_check_takes_no_proven_token_from_consumers(self):
        (a, own), (b, _) = self.stored(), self.pair()
        of_b, of_a = self.more_token(b), self.more_token(a)
        self.put(a, of_b, rc=11)
        self.put(b, of_a, "--test-code", "T2", rc=11)
        r = self.vault("swap", a, b, "--no-check")
        self.assertIn("waits as pending", r.err)
        s = self.status(a)
        self.assertEqual((1, 3, "unchecked"), (s["current"]["version"], s["pending"]["version"], s["pending"]["verdict"]))
        self.assertEqual([own, of_b], [self.get(p) for p in (a, b)])
        self.vault("check")
        self.healthy(**{a: of_a, b: of_b})

    def test_of_two_at_once_one_swaps(self):
        a, of_a, b, of_b = self.crossed()
        self.emu.knob("delay-ms", "300")
        runs = [self.start("swap", *words) for words in ((a, b), (b, a), (a, b))]
        self.assertEqual([0, 8, 8], sorted(p.wait() for p in runs))
        self.emu.knob("delay-ms", "0")
        self.healthy(**{a: of_a, b: of_b})
        self.assertEqual([2, 2], [self.status(p)["current"]["version"] for p in (a, b)])

    def test_two_that_tiktok_takes_where_they_lie_stay(self):
        (a, of_a), (b, of_b) = self.stored(test_code=None), self.stored(test_code=None)
        self.refuses(8, "swap", a, b, says="where they lie")
        self.assertEqual([of_a, of_b], [self.get(p) for p in (a, b)])

    def test_two_that_nobody_asked_about_are_not_exchanged_by_dry_probes(self):
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.put(a, of_a, "--no-check")
        self.put(b, of_b, "--no-check")
        self.refuses(8, "swap", a, b, says="nothing says")
        self.assertEqual([of_a, of_b], [self.get(p) for p in (a, b)])

    def test_two_that_nobody_asked_about_are_exchanged_by_proof(self):
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.put(a, of_b, "--no-check", "--test-code", "T1")
        self.put(b, of_a, "--no-check", "--test-code", "T2")
        self.vault("swap", a, b)
        self.healthy(**{a: of_a, b: of_b})

    def test_done_twice_it_is_done_once(self):
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.emu.knob("empty-data", "0")  # dry probes tell, and prove nothing
        self.put(a, of_b, "--no-check")
        self.put(b, of_a, "--no-check")
        self.vault("check", rc=11)
        self.vault("swap", a, b)
        self.assertEqual("unproven", self.status(a)["verdict"])
        self.refuses(8, "swap", a, b, says="where they lie")
        self.assertEqual([of_a, of_b], [self.get(p) for p in (a, b)])

    def test_a_put_meanwhile_counts(self):
        a, of_a, b, of_b = self.crossed()
        better = self.more_token(b)
        self.emu.knob("delay-ms", "2000")
        asked = self.emu.requests()
        run = self.start("swap", a, b)
        while self.emu.requests() == asked and run.poll() is None:  # it has chosen, and asks
            time.sleep(0.02)
        self.put(b, better, "--no-check")
        self.assertEqual(8, run.wait(), run.stderr.read())
        self.emu.knob("delay-ms", "0")
        self.assertEqual([of_b, better], [self.get(p) for p in (a, b)])

    def test_nagios_and_cron_name_the_command(self):
        a, of_a, b, of_b = self.crossed()
        lines = self.vault("check", "--nagios", rc=2).out.decode().splitlines()
        self.assertIn(["swap", a, b], self.commands("\n".join(lines)))
        self.assertEqual(3, len(lines))
        if not VIA_AGENT:
            r = self.agent("--once", rc=11)
            self.assertEqual({("swap", a, b), ("swap", b, a)}, {tuple(c) for c in self.commands(r.err)}, say(r))

    def test_what_makes_no_sense(self):
        a, of_a = self.stored(test_code=None)
        b = new_pixel()
        self.emu.pixel(b)
        self.refuses(2, "swap", a, a, says="itself")
        self.refuses(2, "swap", a)
        self.refuses(15, "swap", a, "abc")
        self.refuses(3, "swap", a, b)
        self.refuses(3, "swap", b, a)
        self.put(b, of_a, "--no-check")
        self.refuses(8, "swap", a, b, says="the same token")
        self.vault("rm", b)
        self.refuses(3, "swap", a, b)

    def test_expiry_and_age_go_along(self):
        (a, of_a), (b, of_b) = self.pair(), self.pair()
        self.put(a, of_b, "--no-check", "--test-code", "T1", "--expires", "2098-01-02T03:04:05Z")
        self.put(b, of_a, "--no-check", "--test-code", "T2")
        was = {p: self.status(p)["current"] for p in (a, b)}
        self.vault("check", rc=11)
        self.vault("swap", a, b)
        now = {p: self.status(p)["current"] for p in (a, b)}
        for here, there in ((a, b), (b, a)):
            for key in ("fingerprint", "stored_at", "expires_at"):
                self.assertEqual(was[there][key], now[here][key], key)

    def test_both_stand_in_the_audit_log(self):
        a, of_a, b, of_b = self.crossed()
        self.vault("swap", a, b)
        entries = [json.loads(l) for l in self.vault("audit", "show", "--json", "-n", "0").out.decode().splitlines() if l]
        text = json.dumps(entries)
        for pixel in (a, b):
            self.assertRegex(text, r'"verb": "swap"[^{}]*"%s"' % pixel)
        self.vault("audit", "verify")


class UnderTwoPixels(Mismatch):
    def test_named_before_any_call(self):
        a, token = self.stored()
        b, own = self.pair()
        self.calls()
        r = self.put(b, token, "--test-code", "T2", rc=11)
        self.assertEqual(1, self.calls(), "the put's own: whose it is costs none")
        first, rest = r.err.split("TikTok refused", 1)
        self.assertRegex(first, "(?s)stored for %s too.*vault put %s, or vault put %s" % (a, b, a))
        self.assertEqual([["put", b]], self.commands(rest), say(r))
        self.assertIn("leave it with " + a, rest)
        self.assertEqual([["put", b]], self.commands(self.advice(b)))
        self.obey(rest, own)
        self.healthy(**{a: token, b: own})

    def test_the_json_names_the_other(self):
        a, token = self.stored()
        b, _ = self.pair()
        self.assertEqual(a, self.put_json(b, token, "--test-code", "T2", rc=11)["belongs_to"])

    def test_beside_a_current_one_that_works_it_is_taken_away(self):
        (a, of_a), (b, of_b) = self.stored(), self.stored()
        r = self.put(b, of_a, rc=11)
        self.calls()
        self.assertEqual([["move", b, a]], self.commands(self.advice(b)))
        self.obey(self.advice(b))
        self.assertEqual(0, self.calls(), "it lies there already")
        self.healthy(**{a: of_a, b: of_b})

    def test_two_that_are_stored_so_and_one_is_refused(self):
        a, token = self.stored()
        b, own = self.pair()
        self.put(b, token, "--no-check", "--test-code", "T2")
        doc = {p["pixel"]: p for p in self.json("status")["pixels"]}
        self.assertIn(b, doc[a]["advice"])
        self.assertIn(a, doc[b]["advice"])
        self.calls()
        r = self.vault("check", rc=11)
        self.assertEqual(3, self.calls(), "two, and a second look")
        self.assertEqual([["put", b]], self.commands(r.err), say(r))
        self.obey(r.err, own)
        self.healthy(**{a: token, b: own})
        self.assertEqual({None}, {p["advice"] for p in self.json("status")["pixels"]})

    def test_a_token_that_works_for_both_is_told_and_is_no_problem(self):
        a, token = self.stored()
        b = new_pixel()
        self.emu.pixel(b)
        self.emu.grant(token, b)
        self.put(b, token, "--test-code", "T2")
        r = self.vault("check")
        self.assertEqual("", r.err, "cron is not told")
        out = self.vault("status").out.decode()
        self.assertIn("%s  '%s' holds the same token" % (a, b), out)
        self.assertIn("%s  '%s' holds the same token" % (b, a), out)
        doc = self.json("check")
        self.assertEqual([2, 2], [len(self.commands(p["advice"])) for p in doc["pixels"]])
        self.put(b, self.more_token(b))
        self.assertEqual({None}, {p["advice"] for p in self.json("status")["pixels"]})


class OfNobody(Mismatch):
    def test_says_with_how_many_it_was_tried(self):
        a, own = self.stored()
        for _ in range(3):
            self.stored()
        _, foreign = self.pair()
        self.calls()
        r = self.refuses(11, "put", a, stdin=foreign, says="none of the 3 other stored Pixels tried")
        self.assertEqual(1 + 3, self.calls())
        self.assertEqual([["put", a]], self.commands(r.err), say(r))
        better = self.more_token(a)
        self.obey(r.err, better)
        self.healthy(**{a: better})

    def test_the_budget_of_a_put_holds(self):
        pixels = [self.stored()[0] for _ in range(BUDGET_PUT + 4)]
        _, foreign = self.pair()
        self.calls()
        r = self.put(pixels[0], foreign, rc=11)
        self.assertEqual(1 + BUDGET_PUT, self.calls())
        self.assertIn("none of the %d other stored Pixels tried" % BUDGET_PUT, r.err)

    def test_the_budget_of_a_check_holds(self):
        for _ in range(20):
            self.stored()
        for _ in range(6):
            pixel, _ = self.pair()
            _, foreign = self.pair()
            self.put(pixel, foreign, "--no-check", "--test-code", "T1")
        self.calls()
        r = self.vault("check", rc=11)
        calls = self.calls()
        self.assertLessEqual(calls, 26 + 6 + BUDGET_SWEEP)
        self.assertGreater(calls, 26 + 6, "it was tried")
        self.assertEqual(6, len(self.commands(r.err)), say(r))

    def test_found_by_a_check(self):
        a, own = self.pair()
        _, foreign = self.pair()
        self.put(a, foreign, "--no-check", "--test-code", "T1")
        self.stored()
        r = self.vault("check", rc=11)
        self.assertIn("no other stored one is known to fit", r.err)
        self.assertEqual([["put", a]], self.commands(r.err), say(r))
        self.assertIsNone(self.status(a)["pending"])
        self.obey(r.err, own)
        self.healthy(**{a: own})

    def test_alone_in_the_vault_nobody_is_tried(self):
        a, _ = self.pair()
        _, foreign = self.pair()
        r = self.put(a, foreign, "--test-code", "T1", rc=11)
        self.assertNotIn("tried", r.err)
        self.assertIn("vault put " + a, r.err)
        self.assertIsNone(self.put_json(a, foreign, rc=11)["belongs_to"])

    def test_it_is_put_under_its_own_pixel_once_that_is_known(self):
        a, own = self.stored()
        c, foreign = self.pair()
        self.put(a, foreign, rc=11)
        r = self.put(c, foreign, "--test-code", "T3")
        self.assertIn(a, r.err, "named: it lies there too")
        self.assertEqual("healthy", self.status(c)["verdict"])


@unittest.skipUnless(VIA_AGENT, "of the agent only")
class OverTheSocket(Mismatch):
    def post(self, target, body, status):
        c = UnixConnection(self.socket)
        self.addCleanup(c.close)
        c.request("POST", target, body)
        r = c.getresponse()
        doc = json.loads(r.read())
        self.assertEqual(status, r.status, doc)
        return doc

    def test_swap_and_move(self):
        a, of_a, b, of_b = self.crossed()
        path = "/v1/pixels/%s/" % a
        for body in ("", "{}", '{"with":1}', '{"with":"%s","x":1}' % b, '{"with":"abc"}', '{"to":"%s"}' % b):
            self.assertIn(self.post(path + "swap", body, 400)["type"], ("usage", "malformed"))
        self.assertEqual("usage", self.post(path + "swap?check=yes", '{"with":"%s"}' % b, 400)["type"])
        self.assertEqual("not-found", self.post(path + "swap", '{"with":"%s"}' % new_pixel(), 404)["type"])
        self.assertEqual("conflict", self.post(path + "move", '{"to":"%s"}' % b, 409)["type"])
        doc = self.post(path + "swap", '{"with":"%s"}' % b, 200)
        self.assertEqual([a, b], [p["pixel"] for p in doc["swapped"]])
        self.assertEqual(of_a, self.get(a))
        self.assertEqual("conflict", self.post(path + "swap", '{"with":"%s"}' % b, 409)["type"])

    def test_the_list_names_the_command_too(self):
        a, of_a, b, of_b = self.crossed()
        c = UnixConnection(self.socket)
        self.addCleanup(c.close)
        c.request("GET", "/v1/pixels/" + a)
        doc = json.loads(c.getresponse().read())
        self.assertEqual([["swap", a, b]], self.commands(doc["pixels"][0]["advice"]))


if __name__ == "__main__":
    unittest.main()
