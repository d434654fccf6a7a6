"""`check`: probes, verdicts, confirmation, canary, outage, breaker, exit codes."""

import datetime
import json
import time
import unittest

from harness import Case, cases, direct_only, new_pixel, say, spread, today
from test_status import prove_shape


class Check(Case):
    def check_doc(self, *words, rc=0):
        doc = self.json("check", *words, rc=rc)
        self.assertEqual({"schema", "pixels", "exit"}, set(doc))
        self.assertEqual(rc, doc["exit"])
        for p in doc["pixels"]:
            prove_shape(self, p)
        return {p["pixel"]: p for p in doc["pixels"]}


class Probes(Check):
    def test_dry_leaves_no_event(self):
        pixel, _ = self.stored(test_code=None)
        for _ in range(3):
            self.vault("check", pixel)
        self.vault("check", pixel, "--probe", "dry")
        count = self.emu.count(pixel)
        self.assertEqual((0, 0), (count["events"], count["test"]))
        self.assertGreaterEqual(count["dry"], 5)

    def test_test_leaves_only_events_marked_as_test(self):
        pixel, _ = self.stored()
        self.vault("check", pixel)
        self.vault("check", pixel, "--probe", "test")
        self.assertEqual((0, 3, 0), tuple(self.emu.count(pixel)[k] for k in ("events", "test", "dry")))

    def test_live_leaves_exactly_one(self):
        pixel, _ = self.stored(test_code=None)
        p = self.check_doc(pixel, "--probe", "live")[pixel]
        self.assertEqual((1, 0), tuple(self.emu.count(pixel)[k] for k in ("events", "test")))
        self.assertEqual(("healthy", "live"), (p["verdict"], p["evidence"]["probe"]))

    def test_live_has_a_fixed_id_per_day_so_that_repeats_fall_together(self):
        pixel, _ = self.stored(test_code=None)
        other, _ = self.stored(test_code=None)
        ids, day = [], today()
        for at in (pixel, pixel, other):
            self.vault("check", at, "--probe", "live")
            body = self.emu.last_body()
            self.assertNotIn("test_event_code", body)
            self.assertEqual(at, body["event_source_id"])
            ids.append((body["event_source_id"], body["data"][0]["event"], body["data"][0]["event_id"]))
        self.assertSameDay(day)
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(ids[1], ids[2])

    @direct_only("with a configuration that is refused no agent starts")
    def test_live_never_happens_unless_asked_for(self):
        pixel, _ = self.stored()
        self.configure(check={"probe": "live"})
        self.vault("check", rc=None)
        # design.md §7: "only on explicit request"; a setting is not that, a refused setting is fine
        self.assertEqual(0, self.emu.count(pixel)["events"])

    def test_test_without_a_test_code_sends_no_event(self):
        pixel, _ = self.stored(test_code=None)
        self.vault("check", pixel, "--probe", "test", rc=None)
        self.assertEqual((0, 0), tuple(self.emu.count(pixel)[k] for k in ("events", "test")))

    def test_an_unknown_probe_is_2(self):
        self.refuses(2, "check", "--probe", "wet")

    def test_dry_proves_nothing_and_takes_nothing_away(self):
        pixel, _ = self.stored()
        before = self.status(pixel)
        time.sleep(1.1)
        p = self.check_doc(pixel, "--probe", "dry")[pixel]
        self.assertEqual(("healthy", before["proven_at"], before["evidence"]), (p["verdict"], p["proven_at"], p["evidence"]))
        self.assertGreater(p["checked_at"], before["checked_at"])

    def test_dry_of_an_unchecked_token_is_unproven_never_healthy(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        p = self.check_doc(pixel)[pixel]
        self.assertEqual(("unproven", None), (p["verdict"], p["proven_at"]))
        self.assertMoment(p["checked_at"])

    def test_dry_with_code_0_is_unproven_too(self):
        self.emu.knob("empty-data", "0")
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        self.assertEqual("unproven", self.check_doc(pixel)[pixel]["verdict"])
        self.assertEqual((0, 0), tuple(self.emu.count(pixel)[k] for k in ("events", "test")))

    def test_all_pixels_are_asked_once(self):
        pixels = {self.stored()[0] for _ in range(5)}
        before = len(self.emu.asked())
        found = self.check_doc()
        self.assertEqual(pixels, set(found))
        self.assertEqual(sorted(pixels), sorted(self.emu.asked()[before:]))

    def test_the_longest_tokens_are_asked_about_though_not_all_fit_into_locked_memory_together(self):
        pixels = []
        for n in range(24):
            pixel, token = new_pixel(), ("t%02d-" % n).ljust(4095, "k")
            self.emu.token(token, pixel)
            self.put(pixel, token, "--no-check", "--test-code", "TEST12345")
            pixels.append(pixel)
        self.configure(check={"rate": 10000, "in-flight": 64})
        found = self.check_doc()
        self.assertEqual({p: "healthy" for p in pixels}, {p: found[p]["verdict"] for p in found})

    def test_labels_choose(self):
        a, _ = self.stored()
        b, _ = self.stored()
        self.vault("label", a, "brand=x")
        before = len(self.emu.asked())
        self.assertEqual({a}, set(self.check_doc("-l", "brand=x")))
        self.assertEqual([a], self.emu.asked()[before:])

    def test_a_named_pixel_that_is_not_stored_is_3_and_nobody_is_asked(self):
        pixel, _ = self.stored()
        before = self.emu.requests()
        missing = new_pixel()
        self.refuses(3, "check", pixel, missing, says=missing)
        self.assertEqual(before, self.emu.requests())

    def test_an_empty_vault_is_0(self):
        self.assertEqual({}, self.check_doc())
        self.assertEqual(0, self.emu.totals()["connections"])

    def test_silent_when_all_is_well(self):
        self.stored()
        r = self.vault("check")
        self.assertEqual((b"", ""), (r.out, r.err), "cron mails every word")
        r = self.vault("check", "-q")
        self.assertEqual((b"", ""), (r.out, r.err))

    def test_a_bad_one_is_named_also_with_q(self):
        pixel, token = self.stored()
        good, _ = self.stored()
        self.emu.revoke(token)
        for words in (["check"], ["check", "-q"]):
            r = self.vault(*words, rc=10)
            text = r.out.decode() + r.err
            self.assertIn(pixel, text, say(r))
            self.assertIn("revoked", text, say(r))
            if words[-1] == "-q":
                self.assertNotIn(good, text, say(r))

    def test_progress_on_a_terminal(self):
        for _ in range(3):
            self.stored()
        self.emu.knob("delay-ms", 300)
        t = self.terminal("check")
        self.assertEqual(0, t.wait(), t.text())
        self.assertTrue(t.text().strip(), "a person sees that something happens")


@spread
class Verdicts(Check):
    @cases(
        revoked=("40105", "revoked", 10),
        expired=("40102", "expired", 10),
        refresh_expired=("40103", "expired", 10),
        refresh_invalid=("40107", "expired", 10),
        nothing_usable=("40104", "malformed", 15),
        scope=("40130", "no-permission", 11),
        allow_list=("40118", "no-permission", 11),
        developer=("40125", "no-permission", 11),
        advertiser_core_user=("40106", "mismatched", 11),
        advertiser_logged_out=("40114", "mismatched", 11),
        company=("40119", "mismatched", 11),
        advertiser_missing=("40300", "mismatched", 11),
        advertiser_no_match=("40301", "mismatched", 11),
        pixel_pair_after_healthy=("40001", "no-permission", 11),
    )
    def test_verdict(self, code, verdict, rc):
        pixel, token = self.stored()
        proven_at = self.status(pixel)["proven_at"]
        self.emu.fault("code-" + code)
        p = self.check_doc(pixel, rc=rc)[pixel]
        if verdict == "mismatched":  # row 18, "mismatched or lost advertiser": this pair worked before, so it may be called lost
            self.assertIn(p["verdict"], ("mismatched", "no-permission"))
            verdict = p["verdict"]
        self.assertEqual((verdict, int(code), verdict, proven_at),
                         (p["verdict"], p["evidence"]["code"], p["last_attempt"]["outcome"], p["proven_at"]))
        self.assertTrue(p["advice"])
        self.assertEqual(token, self.get(pixel), "whatever its verdict")
        self.emu.no_faults()
        p = self.check_doc(pixel)[pixel]
        self.assertEqual("healthy", p["verdict"], "and back")

    def test_pixel_pair_never_healthy_is_mismatched(self):
        for code in ("40001", "40002"):
            self.emu.knob("mismatch-code", code)
            pixel, token = self.pair()
            self.put(pixel, token, "--no-check", "--test-code", "T1")
            self.emu.ungrant(token, pixel)
            p = self.check_doc(pixel, rc=11)[pixel]
            self.assertEqual(("mismatched", int(code)), (p["verdict"], p["evidence"]["code"]))
            self.assertIn(pixel, p["evidence"]["message"])

    def test_partly_ok_counts_as_ok(self):
        pixel, _ = self.stored()
        self.emu.fault("code-20001")
        self.assertEqual("healthy", self.check_doc(pixel)[pixel]["verdict"])

    def test_the_gravest_decides_10_then_11_15_16_9_14(self):
        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
        anchor, _ = self.stored()  # proven last of all below, so the canary is a good one
        rows = [(10, "code-40105"), (11, "code-40130"), (15, "code-40104"), (16, "unknown-code"), (9, "503"), (14, None)]
        pixels = []
        for rc, fault in rows:
            pixel, token = self.pair()
            options = ["--expires", soon] if rc == 14 else []
            self.put(pixel, token, "--test-code", "T1", *options)
            pixels.append(pixel)
        self.configure(check={"in-flight": 1})
        for i, (rc, fault) in enumerate(rows):
            self.emu.no_faults()
            for pixel, (_, f) in list(zip(pixels, rows))[i:]:
                if f:
                    self.emu.fault(f, pixel=pixel)
            time.sleep(1.1)
            self.vault("check", anchor)  # the pair proven last is the canary
            r = self.vault("check", anchor, *pixels[i:], rc=None)
            self.assertEqual(rc, r.rc, "with %s" % rows[i:] + say(r))

    def test_due_soon_is_14(self):
        pixel, token = self.pair()

        def put(days):
            at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days, hours=1)
            self.put(pixel, self.more_token(pixel), "--test-code", "T1", "--expires", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        put(40)
        self.check_doc(pixel, rc=0)
        put(20)
        p = self.check_doc(pixel, rc=14)[pixel]
        self.assertEqual("healthy", p["verdict"])
        self.assertTrue(p["advice"])
        r = self.vault("check", rc=14)
        self.assertIn(pixel, r.out.decode() + r.err)

    def test_past_its_expiry_it_is_still_asked(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1", "--expires", "2020-01-01T00:00:00Z")
        self.assertEqual("healthy", self.check_doc(pixel, rc=14)[pixel]["verdict"])

    def test_max_age_makes_an_old_token_due(self):
        pixel, _ = self.stored()
        self.configure(check={"max-age": "1s"})
        time.sleep(2.1)
        self.vault("check", rc=14)
        self.configure(check={"max-age": "0"})
        self.vault("check", rc=0)


class Pending(Check):
    def waiting(self):
        """A Pixel with a healthy current and a pending token that was not judged."""
        pixel, good = self.stored()
        token = self.more_token(pixel)
        self.emu.fault("503")
        self.put(pixel, token, rc=9)
        self.emu.no_faults()
        return pixel, good, token

    def test_not_judged_it_is_promoted_by_a_later_check(self):
        pixel, good, token = self.waiting()
        self.check_doc()
        self.assertEqual((token, good), (self.get(pixel), self.get(pixel, "--previous")))

    def test_not_judged_it_is_promoted_by_a_dry_probe_too(self):
        pixel, good = self.stored(test_code=None)
        token = self.more_token(pixel)
        self.emu.fault("503")
        self.put(pixel, token, rc=9)
        self.emu.no_faults()
        self.vault("check", pixel)
        self.assertEqual(token, self.get(pixel))

    def test_not_judged_it_is_probed_in_each_sweep(self):
        pixel, good, token = self.waiting()
        for _ in range(2):
            self.emu.fault("unknown-code", after=1)  # the canary is answered: an unclear one would end the sweep
            before = len(self.emu.log(pixel))
            self.vault("check", pixel, rc=None)
            self.assertIn(token, [l["token"] for l in self.emu.log(pixel)[before:]])
        self.assertEqual(good, self.get(pixel))

    def test_refuted_by_the_check_it_stays_pending(self):
        pixel, good, token = self.waiting()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=0)  # check's exit code speaks of current
        self.assertEqual(good, self.get(pixel))
        self.assertEqual(2, self.status(pixel)["pending"]["version"])
        before = len(self.emu.log(pixel))
        self.vault("check", pixel)
        self.assertNotIn(token, [l["token"] for l in self.emu.log(pixel)[before:]], "refuted: not probed again")

    def test_refuted_at_the_put_it_is_not_probed_again(self):
        pixel, good = self.stored()
        token = self.more_token(pixel)
        self.emu.revoke(token)
        self.put(pixel, token, rc=10)
        self.emu.works_again(token)
        before = len(self.emu.log(pixel))
        self.vault("check", pixel)
        self.vault("check")
        self.assertEqual({good}, {l["token"] for l in self.emu.log(pixel)[before:]})
        self.assertEqual(good, self.get(pixel))

    def test_without_current_the_pixel_speaks_of_the_pending_one(self):
        pixel, token = self.pair()
        self.emu.revoke(token)
        self.put(pixel, token, rc=10)
        p = self.check_doc(rc=10)[pixel]
        self.assertEqual(("revoked", None, 1), (p["verdict"], p["current"], p["pending"]["version"]))


class Confirmation(Check):
    def test_a_bad_verdict_is_asked_twice_on_two_connections(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        before = len(self.emu.log(pixel))
        self.vault("check", pixel, rc=10)
        asked = self.emu.log(pixel)[before:]
        self.assertEqual(2, len(asked))
        self.assertEqual(2, len({l["conn"] for l in asked}), "the second on a fresh connection")

    def test_a_good_verdict_is_asked_once(self):
        pixel, _ = self.stored()
        before = len(self.emu.log(pixel))
        self.vault("check", pixel)
        self.assertEqual(1, len(self.emu.log(pixel)) - before)

    def test_one_bad_answer_changes_nothing(self):
        pixel, _ = self.stored()
        self.emu.fault("code-40105", times=1)
        p = self.check_doc(pixel, rc=0)[pixel]
        self.assertEqual("healthy", p["verdict"])
        self.assertEqual(2 + 1, len(self.emu.log(pixel)))
        self.assertEqual("", self.vault("get", pixel).err)

    def test_bad_then_unreachable_changes_nothing(self):
        pixel, _ = self.stored()
        self.emu.fault("503")
        self.emu.fault("code-40105", times=1, pixel=pixel)
        p = self.check_doc(pixel, rc=9)[pixel]
        self.assertEqual("healthy", p["verdict"])

    def test_the_second_probe_waits_for_confirm_delay(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.configure(check={"confirm-delay": "2s"})
        before = len(self.emu.log(pixel))
        self.vault("check", pixel, rc=10)
        first, second = self.emu.log(pixel)[before:]
        self.assertGreaterEqual(second["ms"] - first["ms"], 1900)
        self.assertSoon((second["ms"] - first["ms"]) / 1000, 4)

    def test_unset_it_waits_5_s_by_hand(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.configure(check={"confirm-delay": None})
        before = len(self.emu.log(pixel))
        self.vault("check", pixel, rc=10)
        first, second = self.emu.log(pixel)[before:]
        self.assertGreaterEqual(second["ms"] - first["ms"], 4900)
        self.assertSoon((second["ms"] - first["ms"]) / 1000, 7)

    def test_until_it_is_confirmed_the_verdict_stays_as_it_was(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.configure(check={"confirm-delay": "3s"})
        before = self.emu.requests()
        p = self.start("check", pixel)
        end = time.monotonic() + 30
        while self.emu.requests() == before and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.3)
        self.assertEqual("healthy", self.status(pixel)["verdict"])
        self.assertEqual(10, p.wait(60))
        self.assertEqual("revoked", self.status(pixel)["verdict"])

    def test_a_verdict_already_bad_needs_no_second_word(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        self.vault("check", pixel, rc=10)
        self.assertEqual("revoked", self.status(pixel)["verdict"])


class Sweep(Check):
    check = {"in-flight": 1}

    def many(self, n):
        made = []
        for _ in range(n):
            made.append(self.stored())
        return made

    def latest(self, pixel):
        """Make it the pair proven last."""
        time.sleep(1.1)
        self.vault("check", pixel)

    def test_the_pair_proven_last_is_asked_first(self):
        made = self.many(5)
        for pixel, _ in (made[2], made[4]):
            self.latest(pixel)
            before = len(self.emu.asked())
            self.vault("check")
            self.assertEqual(pixel, self.emu.asked()[before])

    def order(self, rc=0):
        """Of a check of everything: whom it asked about, one after the other."""
        before = len(self.emu.asked())
        self.vault("check", rc=rc)
        return self.emu.asked()[before:]

    def test_of_a_vault_that_is_known_the_canary_is_asked_about_while_the_others_are_read(self):
        _, stored = self.known(6)
        last, other = stored[-1], stored[2]
        self.latest(last)
        self.latest(other)
        early = self.order()
        self.assertEqual((other, sorted(stored)), (early[0], sorted(early)))
        self.vault("label", last, "shop=rome")
        self.latest(last)
        self.latest(other)
        self.assertEqual([other, last], self.order()[:2], "it was changed, and is read first")

    def test_a_check_that_reads_on_the_way_says_the_same(self):
        made = self.many(6)
        self.emu.revoke(made[0][1])
        self.vault("check", rc=10)
        self.vault("label", made[1][0], "shop=rome")

        def told(doc):
            return {code: (p["verdict"], p["labels"], p["current"]["version"]) for code, p in doc.items()}
        whole = told(self.check_doc(rc=10))
        self.assertEqual(whole, told(self.check_doc(rc=10)))
        self.emu.fault("503")
        self.assertEqual(whole, told(self.check_doc(rc=10)), "cut short at its canary, and all are counted")
        self.emu.no_faults()
        self.assertEqual(whole, told(self.check_doc(rc=10)))

    def known(self, n, **more):
        """As many Pixels, and a check that need not read them first; in the order in which they lie, but for the canary."""
        made = dict(self.stored(**more) for _ in range(n))
        self.order()
        return made, self.order()

    def test_where_the_canary_is_refused_the_next_best_is_looked_for_among_all(self):
        """Not whoever comes next, whom TikTok has never answered well."""
        made, stored = self.known(6)
        odd, dead = stored[1], stored[3]
        self.emu.fault("unknown-code", pixel=odd, times=100)
        self.vault("check", odd, rc=16)
        self.latest(dead)
        self.emu.revoke(made[dead])
        before = len(self.emu.asked())
        self.vault("check", rc=10)
        self.assertEqual(set(made), set(self.emu.asked()[before:]))
        self.assertEqual("revoked", self.status(dead)["verdict"])

    @direct_only("an agent finds the damage by itself")
    def test_another_canary_is_found_for_one_that_died(self):
        made, stored = self.known(6, test_code=None)  # nobody is proven, so that nobody takes its place by that
        self.emu.revoke(made[stored[0]])
        for _ in range(2):
            self.vault("check", rc=10)
        before = len(self.emu.asked())
        self.damage(stored[-1])
        self.vault("check", rc=7)
        asked = self.emu.asked()[before:]
        self.assertEqual((1, False), (len(asked), stored[0] in asked), "it was asked before the damage was met")

    def test_a_canary_that_is_not_understood_is_none_the_next_time(self):
        made, stored = self.known(6)
        self.latest(stored[0])
        self.emu.fault("unknown-code", pixel=stored[0], times=100)
        self.assertEqual([stored[0]], self.order(16))
        self.assertEqual(set(made), set(self.order(16)))

    def damage(self, pixel):
        """Its metadata; the name that they have in the store."""
        for key, value in self.sql("SELECT k, v FROM kv WHERE k LIKE 'e1/m/%'"):
            key = key.decode()
            self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k = ?", key)
            if self.vault("status", pixel, rc=None).rc == 7:
                return key.split("/")[-1]
            self.sql("UPDATE kv SET v = ? WHERE k = ?", value, key)
        self.fail("nothing is read of " + pixel)

    @direct_only("an agent finds the damage by itself")
    def test_damage_that_is_met_on_the_way_ends_it_when_what_was_asked_is_stored(self):
        _, stored = self.known(6)
        canary = stored[0]
        self.latest(canary)
        before = self.status(canary)["last_attempt"]["at"]
        time.sleep(1.1)
        damaged = self.damage(stored[3])
        asked = len(self.emu.asked())
        self.assertIn(damaged, self.vault("check", rc=7).err)
        self.assertEqual([canary], self.emu.asked()[asked:])
        self.assertGreater(self.status(canary)["last_attempt"]["at"], before)

    def test_a_transient_canary_ends_the_sweep(self):
        made = self.many(5)
        self.latest(made[3][0])
        for fault, rc in (("503", 9), ("unknown-code", 16)):
            self.emu.fault(fault)
            before = len(self.emu.asked())
            found = self.check_doc(rc=rc)
            self.assertEqual([made[3][0]], self.emu.asked()[before:], "one question is enough to know that TikTok is down")
            self.assertEqual({"healthy"}, {p["verdict"] for p in found.values()})
            self.emu.no_faults()

    def test_a_bad_canary_moves_on_to_the_next_pair(self):
        made = self.many(4)
        pixel, token = made[1]
        self.latest(pixel)
        self.emu.revoke(token)
        before = len(self.emu.asked())
        self.vault("check", rc=10)
        asked = self.emu.asked()[before:]
        self.assertEqual({p for p, _ in made}, set(asked))
        self.assertEqual("revoked", self.status(pixel)["verdict"])

    def test_more_than_half_and_three_newly_bad_is_an_outage(self):
        made = self.many(4)
        self.emu.knob("all", "40105")
        r = self.vault("check", rc=None)
        self.assertNotIn(r.rc, (10, 11), "verdicts are kept" + say(r))
        self.assertEqual(["healthy"] * 4, [p["verdict"] for p in self.json("status")["pixels"]])
        for pixel, token in made:
            r = self.vault("get", pixel, "--healthy")
            self.assertEqual((token, ""), (r.out.decode(), r.err))
        self.emu.knob("all", "off")
        self.vault("check", rc=0)
        self.assertEqual(["healthy"] * 4, [p["verdict"] for p in self.json("status")["pixels"]])

    def test_three_sweeps_that_agree_stand(self):
        self.many(4)
        self.emu.knob("all", "40105")
        for _ in range(2):
            r = self.vault("check", rc=None)
            self.assertNotEqual(10, r.rc, say(r))
            self.assertEqual(["healthy"] * 4, [p["verdict"] for p in self.json("status")["pixels"]])
        self.vault("check", rc=10)
        self.assertEqual(["revoked"] * 4, [p["verdict"] for p in self.json("status")["pixels"]])

    def test_two_newly_bad_are_no_outage(self):
        made = self.many(2)
        for _, token in made:
            self.emu.revoke(token)
        self.vault("check", rc=10)
        self.assertEqual(["revoked"] * 2, [p["verdict"] for p in self.json("status")["pixels"]])

    def test_three_of_six_are_no_outage(self):
        made = self.many(6)
        for _, token in made[:3]:
            self.emu.revoke(token)
        self.vault("check", rc=10)
        self.assertEqual(3, [p["verdict"] for p in self.json("status")["pixels"]].count("revoked"))

    def test_those_bad_before_do_not_make_an_outage(self):
        made = self.many(5)
        for _, token in made[:2]:
            self.emu.revoke(token)
        self.vault("check", rc=10)
        for _, token in made[2:4]:
            self.emu.revoke(token)
        self.vault("check", rc=10)  # four bad of five, but two of them newly
        self.assertEqual(4, [p["verdict"] for p in self.json("status")["pixels"]].count("revoked"))

    def test_another_pair_proven_meanwhile_ends_the_outage(self):
        made = self.many(4)
        for _, token in made:
            self.emu.revoke(token)
        r = self.vault("check", rc=None)
        self.assertNotEqual(10, r.rc, say(r))
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1")
        self.vault("check", rc=10)
        self.assertEqual(4, [p["verdict"] for p in self.json("status")["pixels"]].count("revoked"))


@spread
class Breaker(Check):
    @cases(app="40100", endpoint="40016", advertiser="40133", new="61000", internal="51021", pixel="40132")
    def test_a_throttle_keeps_the_verdict_and_exits_9(self, code):
        pixel, _ = self.stored()
        self.emu.fault("code-" + code, times=1)
        p = self.check_doc(pixel, rc=9)[pixel]
        self.assertEqual(("healthy", "throttled"), (p["verdict"], p["last_attempt"]["outcome"]))
        time.sleep(1.1)
        self.assertEqual("healthy", self.check_doc(pixel)[pixel]["last_attempt"]["outcome"])

    def test_a_throttled_pixel_may_mean_a_leak(self):
        pixel, _ = self.stored()
        self.emu.fault("code-40132", times=1)
        r = self.vault("check", pixel, rc=9)
        self.assertRegex((r.out.decode() + r.err + (self.status(pixel)["advice"] or "")).lower(), "leak|abuse|stranger|other hands|someone else", say(r))

    def test_a_throttle_is_never_tried_again_at_once(self):
        pixel, _ = self.stored()
        self.emu.fault("code-40100")
        before = self.emu.requests()
        self.vault("check", pixel, rc=9)
        self.assertEqual(1, self.emu.requests() - before)

    def test_a_throttle_ends_the_sweep(self):
        for _ in range(5):
            self.stored()
        self.configure(check={"in-flight": 1})
        self.emu.fault("code-40100")
        before = self.emu.requests()
        self.vault("check", rc=9)
        self.assertEqual(1, self.emu.requests() - before)

    def test_the_first_pause_is_a_second_and_other_processes_wait_it_out(self):
        pixel, _ = self.stored()
        self.emu.fault("code-40100", times=1)
        self.vault("check", pixel, rc=9)
        before = len(self.emu.log())
        self.vault("check", pixel, rc=0)
        log = self.emu.log()
        self.assertGreaterEqual(log[before]["ms"] - log[before - 1]["ms"], 900)

    def test_the_second_pause_is_five_minutes_across_processes(self):
        pixel, good = self.stored()
        self.emu.fault("code-40100", times=2)
        self.vault("check", pixel, rc=9)
        self.vault("check", pixel, rc=9)
        before = self.emu.requests()
        r = self.vault("check", pixel, rc=9)
        self.assertSoon(r.took, 4, "a pause over 5 s is not waited out")
        self.assertEqual(before, self.emu.requests(), "exit 9 without a call")
        self.assertRegex(r.err + r.out.decode(), "(?i)throttl|too many|pause|until", say(r))
        self.check_doc(pixel, rc=9)
        r = self.agent("--once", rc=9)
        self.assertEqual(before, self.emu.requests(), "the agent keeps to it too")
        fresh, token = self.pair()
        self.put(fresh, token)
        self.assertEqual(before, self.emu.requests(), "and so does put")
        self.assertEqual("unchecked", self.status(fresh)["verdict"])
        self.assertEqual(9, self.put(pixel, self.more_token(pixel), rc=9).rc)
        self.assertEqual(good, self.get(pixel))

    def test_another_answer_closes_it(self):
        pixel, _ = self.stored()
        for _ in range(3):  # throttled, answered, throttled, answered: always the first pause
            self.emu.fault("code-40100", times=1)
            self.vault("check", pixel, rc=9)
            self.vault("check", pixel, rc=0)

    def test_an_edge_throttle_with_429_opens_it(self):
        pixel, _ = self.stored()
        self.emu.knob("throttle-edge", "429")
        self.emu.knob("throttle", "0/60000:40100")
        p = self.check_doc(pixel, rc=9)[pixel]
        self.assertEqual(("healthy", "throttled"), (p["verdict"], p["last_attempt"]["outcome"]))

    def test_back_off_after_unreachable_never_holds_a_check_by_hand(self):
        pixel, _ = self.stored()
        self.emu.fault("503")
        for _ in range(4):
            before = self.emu.requests()
            r = self.vault("check", pixel, rc=9)
            self.assertEqual(1, self.emu.requests() - before)
            self.assertSoon(r.took, 3)


if __name__ == "__main__":
    unittest.main()
