"""Service levels: a token dies, is noticed and mended; the same numbers directly, through an agent, and by its requests."""

import json
import time
import unittest

from agent_harness import AgentCase, ask_once
from harness import Case, PATIENCE, direct_only, new_pixel, today


def utc(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Levels(Case):
    check = {"confirm-delay": "1s", "interval": "6h"}

    def levels(self, *args):
        return self.json("levels", "--since", utc(time.time() - 86400), *args)

    def wait_until_dead(self, pixel):
        end = time.monotonic() + 60 * PATIENCE
        while self.status(pixel)["verdict"] != "revoked":
            self.assertLess(time.monotonic(), end, "never found dead")
            self.vault("check", pixel, rc=None)
            time.sleep(0.3)

    def test_a_token_dies_is_noticed_and_mended(self):
        pixel, token = self.stored()
        well, _ = self.stored()
        self.vault("label", pixel, "weight=10")
        time.sleep(2.1)
        self.emu.revoke(token)
        self.wait_until_dead(pixel)
        doc = self.levels()
        row = next(p for p in doc["pixels"] if p["pixel"] == pixel)
        self.assertEqual((1, 1), (doc["incidents"], doc["open"]))
        [incident] = row["incidents"]
        self.assertEqual(("revoked", None, None), (incident["verdict"], incident["repaired_at"], incident["repair_s"]))
        self.assertLessEqual(incident["proven_at"], incident["refused_at"])
        self.assertLess(incident["refused_at"], incident["verdict_at"], "the second look came later")
        self.assertGreaterEqual(incident["detect_s"], 2)
        time.sleep(1.1)
        self.put(pixel, self.more_token(pixel))
        doc = self.levels()
        row, other = (next(p for p in doc["pixels"] if p["pixel"] == x) for x in (pixel, well))
        [incident] = row["incidents"]
        self.assertEqual((1, 0, 1, 1), (doc["incidents"], doc["open"], doc["detect"]["count"], doc["repair"]["count"]))
        self.assertGreaterEqual(incident["repair_s"], 1)
        self.assertMoment(incident["repaired_at"])
        self.assertEqual(10 * row["dead_s"], row["at_risk_s"])
        self.assertGreaterEqual(row["at_risk_most_s"], row["at_risk_s"])
        self.assertEqual((0, []), (other["dead_s"], other["incidents"]))
        for key in ("working_s", "dead_s", "unknown_s", "at_risk_s"):
            self.assertEqual(doc[key], row[key] + other[key], key)
        self.assertEqual(2, doc["token_ages"]["tokens"])
        out = self.vault("levels", "--since", utc(time.time() - 86400)).out.decode()
        self.assertRegex(out, r"(?m)^%s .* 1 +\d{4}-\S+Z \.\. \d{4}-\S+Z +\d{4}-\S+Z +\d{4}-\S+Z" % pixel)
        self.assertRegex(out, r"time to repair: +\d+s on average, \d+s at most \(1 known\)")
        self.assertNotIn(well, out, "nothing was wrong with it")
        self.assertIn("the other 1 Pixels", out)

    def test_some_pixels_only(self):
        a, _ = self.stored()
        b, _ = self.stored()
        self.vault("label", b, "shop=berlin")
        self.assertEqual([a], [p["pixel"] for p in self.levels(a)["pixels"]])
        self.assertEqual([b], [p["pixel"] for p in self.levels("-l", "shop=berlin")["pixels"]])
        self.assertIn(a, self.vault("levels", a, "--since", utc(time.time() - 60)).out.decode())
        self.refuses(3, "levels", new_pixel())

    def test_the_last_month_is_that_before_and_what_was_put_since_is_not_of_it(self):
        while time.gmtime()[2:6] == (1, 0, 0, 0):  # in this second the last month still lasts until now
            time.sleep(0.05)
        day = today()
        self.stored()
        doc = self.json("levels")
        text = self.vault("levels").out.decode()
        self.assertSameDay(day)
        self.assertRegex(doc["from"], r"^\d{4}-\d\d-01T00:00:00Z$")
        self.assertEqual(day[:-2] + "01T00:00:00Z", doc["until"])
        self.assertEqual([], doc["pixels"])
        self.assertRegex(text, r"^from \S+ until \S+: none of these Pixels was stored then")

    def test_since_1970_is_all_there_ever_was(self):
        pixel, _ = self.stored()
        self.assertEqual([pixel], [p["pixel"] for p in self.json("levels", "--since", "1970-01-01")["pixels"]])
        self.refuses(2, "levels", "--since", "1970-01-01", "--until", "1970-01-01", says="ends before")

    def test_a_rollback_and_a_failover_are_told_of_when_they_were(self):
        pixel, _ = self.stored()
        self.put(pixel, self.more_token(pixel))
        self.vault("rollback", pixel)
        self.put(pixel, self.more_token(pixel))
        self.assertEqual([1, 2, 1, 3], [c["version"] for c in self.json("history", pixel)["verdicts"]])

    def test_what_is_wrong_is_said(self):
        self.stored()
        self.refuses(2, "levels", "--month", "november", says="2026-10")
        self.refuses(2, "levels", "--month", "9000-01", says="future")
        self.refuses(2, "levels", "--until", "2026-01-01", says="--since")
        self.refuses(2, "levels", "--since", "2026-01-02", "--until", "2026-01-01", says="ends before")
        self.refuses(2, "levels", "--since", "2026-01-02", "--month", "2026-01", says="two periods")


class Cron(Case):
    @direct_only("an agent keeps the book")
    def test_the_numbers_are_in_the_file_of_a_check_from_cron(self):
        self.stored()
        file = self.path("numbers")
        self.agent("--once", "--metrics-file", file)
        text = self.read(file).decode()
        self.assertRegex(text, r"(?m)^pixelvault_levels_at_risk_hours 0$")
        self.assertRegex(text, r"(?m)^pixelvault_token_age_seconds_max \d+$")


class Rules(AgentCase):
    rules = "[access a]\nuser = 12345\nverbs = meta\npixels = {0}\n"

    @direct_only("it has an agent of its own")
    def setUp(self):
        super().setUp()

    def test_the_request_says_what_the_command_says_of_what_one_may_see(self):
        since = utc(time.time() - 3600)
        mine = json.loads(ask_once(self.socket, "GET", "/v1/levels?since=" + since)[2])
        direct = self.json("levels", "--since", since)
        self.assertEqual(sorted(self.codes), [p["pixel"] for p in mine["pixels"]])
        for doc in (mine, direct):
            for pixel in doc["pixels"]:
                del pixel["unknown_s"]
            for moving in ("until", "unknown_s", "token_ages"):
                del doc[moving]
        self.assertEqual(mine, direct)

        def ask(target):
            return self.as_user(12345, 12345, [], lambda: ask_once(self.socket, "GET", target))
        status, _, body = ask("/v1/levels?since=" + since)
        self.assertEqual((200, [self.codes[0]]), (status, [p["pixel"] for p in json.loads(body)["pixels"]]))
        self.assertNotIn(self.codes[1].encode(), body)
        self.assertEqual(403, ask("/v1/levels?pixel=" + self.codes[1])[0])
        self.assertEqual(400, ask("/v1/levels?month=13")[0])

    def test_the_numbers_are_among_the_metrics_and_name_no_pixel(self):
        for _ in range(2):
            status, _, body = ask_once(self.socket, "GET", "/metrics")
            text = body.decode()
            self.assertEqual(200, status)
            self.assertRegex(text, r"(?m)^pixelvault_levels_unknown_seconds \d+$")
            self.assertRegex(text, r"(?m)^pixelvault_levels_dead_seconds 0$")
            self.assertEqual(1, text.count("# TYPE pixelvault_token_age_seconds_max gauge"))
            self.assertFalse([c for c in self.codes if c in text])


if __name__ == "__main__":
    unittest.main()
