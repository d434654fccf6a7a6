"""What will be asked when (plan), and whose token somebody found (match): directly and through an agent."""

import datetime
import json
import time
import unittest

from agent_harness import AgentCase, ask_once
from harness import Case, VIA_AGENT, direct_only, new_pixel, new_token


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Plan(Case):
    check = {"interval": "6h", "rate": "5"}

    def plan(self, *args):
        return self.json("plan", *args)

    def row(self, pixel, *args):
        rows = self.plan(*args)["pixels"]
        return next((r for r in rows if r["pixel"] == pixel), None)

    def test_each_pixel_has_its_turn_within_the_interval_and_the_sums_are_those_of_the_rows(self):
        pixels = [self.stored()[0] for _ in range(3)]
        doc = self.plan("--for", "1d")
        self.assertEqual(set(pixels), {r["pixel"] for r in doc["pixels"]})
        start = moment(doc["from"])
        for r in doc["pixels"]:
            self.assertEqual("interval", r["why"])
            self.assertGreater(moment(r["at"]), start)
            self.assertLessEqual(moment(r["at"]), start + 6 * 3600)
            self.assertEqual(4, r["probes"], r)
        self.assertEqual(sorted(r["at"] for r in doc["pixels"]), [r["at"] for r in doc["pixels"]])
        self.assertEqual(sum(r["questions"] for r in doc["pixels"]), doc["questions"])
        self.assertEqual((12, 12, 12), (doc["probes"], doc["questions"], doc["first_day"]))
        self.assertEqual((5, 6 * 3600, "closed"), (doc["rate"], doc["interval_s"], doc["breaker"]["state"]))
        self.assertIn(doc["canary"], pixels)
        self.assertEqual(28, self.row(pixels[0], "--for", "7d")["probes"])
        self.assertEqual([pixels[0]], [r["pixel"] for r in self.plan(pixels[0])["pixels"]])

    def test_an_end_that_comes_nearer_adds_questions(self):
        pixel, token = self.pair()
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3.5 * 86400))
        self.put(pixel, token, "--test-code", "T", "--expires", end)
        doc = self.plan("--for", "3d")
        self.assertEqual(12 + 2, doc["pixels"][0]["probes"], "3 days and 1 day before it")
        self.assertEqual(end, doc["pixels"][0]["expires_at"])

    def test_a_throttled_vault_shows_its_breaker(self):
        pixel, _ = self.stored()
        self.emu.fault("code-40100")
        for _ in range(2):
            self.vault("check", rc=None)
            time.sleep(1.1)
        self.emu.no_faults()
        doc = self.plan()
        self.assertEqual("open", doc["breaker"]["state"], doc["breaker"])
        self.assertMoment(doc["breaker"]["open_until"])
        self.assertRegex(self.vault("plan").out.decode(), r"breaker: +open until \d{4}-")

    def test_words_for_people(self):
        pixel, _ = self.stored()
        before = self.emu.requests()
        out = self.vault("plan").out.decode()
        self.assertRegex(out, r"(?m)^\d{4}-\S+Z \(in \S+\) +%s +its turn +4" % pixel)
        self.assertRegex(out, r"4 questions to TikTok for 4 checks")
        self.assertRegex(out, r"4 of the 432000 questions")
        self.assertNotIn(pixel, self.vault("plan", "-q").out.decode().split("canary")[0])
        self.assertEqual(before, self.emu.requests(), "nobody is asked")

    def test_what_is_wrong_is_said(self):
        self.refuses(2, "plan", "--for", "0", says="length of time")
        self.refuses(2, "plan", "--for", "91d", says="90 days")
        self.refuses(3, "plan", new_pixel())
        self.assertEqual([], self.plan()["pixels"])
        self.stored()
        self.assertEqual([], self.plan("-l", "a=b")["pixels"])


class Follows(Case):
    """The plan that is shown is the one that the agent follows."""
    check = {"interval": "4s", "rate": "100"}

    def test_the_agent_asks_when_the_plan_said(self):
        if not VIA_AGENT:
            self.skipTest("needs an agent: see --via-agent")
        pixels = [self.stored()[0] for _ in range(4)]
        doc = self.json("plan", "--for", "6s")
        asked_at = time.time()
        self.assertEqual(set(pixels), {r["pixel"] for r in doc["pixels"]})
        seen = len(self.emu.log())
        found = {}
        while time.time() < asked_at + 30 and len(found) < len(pixels):
            for l in self.emu.log()[seen:]:
                found.setdefault(l["pixel"], time.time())
            time.sleep(0.05)
        for r in doc["pixels"]:
            self.assertIn(r["pixel"], found)
            self.assertGreater(found[r["pixel"]] - moment(r["at"]), -1.5, r)
            self.assertSoon(found[r["pixel"]] - moment(r["at"]), 1.5, r)
        if len({r["at"] for r in doc["pixels"]}) == len(pixels):
            self.assertEqual([r["pixel"] for r in doc["pixels"]], sorted(found, key=found.get))


class Match(Case):
    uses_emulator = False

    def test_a_token_is_found_in_every_stage_and_never_shown(self):
        pixel, old, new = new_pixel(), new_token(), new_token()
        self.put(pixel, old, "--no-check")
        self.put(pixel, new, "--no-check")
        for token, version, stage in ((old, 1, "previous"), (new, 2, "current")):
            r = self.vault("match", stdin="  Bearer %s\n" % token)
            self.assertEqual("%s v%d %s\n" % (pixel, version, stage), r.out.decode())
            self.assertEqual([{"pixel": pixel, "listing": None, "what": "token", "version": version, "stage": stage, "deleted": False, "removed": False}],
                             self.json("match", stdin=token)["matches"])

    def test_one_token_of_two_pixels_and_a_removed_one(self):
        token, a, b = new_token(), new_pixel(), new_pixel()
        self.put(a, token, "--no-check")
        self.put(b, token, "--no-check")
        self.assertEqual({a, b}, {m["pixel"] for m in self.json("match", stdin=token)["matches"]})
        self.vault("rm", a)
        found = {m["pixel"]: m["removed"] for m in self.json("match", stdin=token)["matches"]}
        self.assertEqual({a: True, b: False}, found)

    def test_nobodys_token_is_3_and_no_token_is_15(self):
        self.put(new_pixel(), new_token(), "--no-check")
        self.refuses(3, "match", stdin=new_token(), says="no Pixel")
        self.assertEqual("not-found", self.error(3, "match", stdin=new_token())["code"])
        self.refuses(15, "match", stdin="")
        self.refuses(15, "match", stdin="x" * 20000)
        token = new_token()
        r = self.refuses(2, "match", token, stdin="")
        self.assertNotIn(token, r.err)


class MatchWithRules(AgentCase):
    rules = "[access a]\nuser = 12345\nverbs = meta\npixels = {0}\n"

    @direct_only("it has an agent of its own")
    def test_only_what_one_may_see_is_told(self):
        def ask(token):
            return self.as_user(12345, 12345, [], lambda: ask_once(self.socket, "POST", "/v1/match", body=token))
        status, _, body = ask(self.tokens[0])
        self.assertEqual((200, self.codes[0]), (status, json.loads(body)["matches"][0]["pixel"]))
        status, _, body = ask(self.tokens[1])
        self.assertEqual(404, status)
        self.assertNotIn(self.codes[1].encode(), body)

    @direct_only("it has an agent of its own")
    def test_the_plan_shows_what_one_may_see(self):
        def ask(target):
            return self.as_user(12345, 12345, [], lambda: ask_once(self.socket, "GET", target))
        status, _, body = ask("/v1/plan")
        doc = json.loads(body)
        self.assertEqual((200, [self.codes[0]]), (status, [r["pixel"] for r in doc["pixels"]]))
        self.assertEqual(doc["pixels"][0]["questions"], doc["questions"])
        self.assertEqual(403, ask("/v1/plan?pixel=" + self.codes[1])[0])
        self.assertEqual(400, ask("/v1/plan?for=99999999")[0])


if __name__ == "__main__":
    unittest.main()
