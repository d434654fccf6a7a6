"""The board: `list` and `status`."""

import unittest

from harness import Case, FINGERPRINT, MOMENT, VERDICTS, new_pixel, say

PIXEL_KEYS = {"pixel", "labels", "verdict", "evidence", "last_attempt", "checked_at", "proven_at", "next_check_at",
              "current", "pending", "previous", "standby", "rotation", "renewal", "listings", "advice"}
EVIDENCE_KEYS = {"probe", "code", "message", "request_id", "at"}
VERSION_KEYS = {"version", "fingerprint", "stored_at", "expires_at"}


def prove_shape(test, p):
    """The object of `status`, key by key and type by type."""
    test.assertEqual(PIXEL_KEYS, set(p))
    test.assertIsInstance(p["labels"], dict)
    test.assertIn(p["verdict"], VERDICTS)
    for name in ("checked_at", "proven_at", "next_check_at"):
        if p[name] is not None:
            test.assertMoment(p[name])
    if p["evidence"] is not None:
        e = p["evidence"]
        test.assertEqual(EVIDENCE_KEYS, set(e))
        test.assertIn(e["probe"], ("dry", "test", "live", "listing", "report"))
        test.assertIn(type(e["code"]), (int, type(None)))
        test.assertIn(type(e["message"]), (str, type(None)))
        test.assertIn(type(e["request_id"]), (str, type(None)))
        test.assertMoment(e["at"])
    if p["last_attempt"] is not None:
        test.assertEqual({"outcome", "at"}, set(p["last_attempt"]))
        test.assertIn(p["last_attempt"]["outcome"], VERDICTS + ["throttled", "unreachable", "unknown"])
        test.assertMoment(p["last_attempt"]["at"])
    for name in ("current", "pending", "previous"):
        v = p[name]
        if v is not None:
            if name == "pending":  # the contract leaves its inside open
                test.assertLessEqual(VERSION_KEYS, set(v), name)
            else:
                test.assertEqual(VERSION_KEYS, set(v), name)
            test.assertIs(int, type(v["version"]))
            test.assertRegex(v["fingerprint"], "^" + FINGERPRINT.pattern + "$")
            test.assertMoment(v["stored_at"])
            if v["expires_at"] is not None:
                test.assertMoment(v["expires_at"])
    test.assertIn(type(p["advice"]), (str, type(None)))
    test.assertNotEqual("", p["advice"], "absent is null")


class Status(Case):
    def test_an_empty_vault(self):
        self.assertEqual({"schema": 1, "pixels": []}, self.json("status"))
        self.assertEqual({"schema": 1, "pixels": []}, self.json("list"))
        self.assertEqual(b"", self.vault("list").out)
        self.vault("status")

    def test_never_asked(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        p = self.status(pixel)
        prove_shape(self, p)
        self.assertEqual(("unchecked", None, None, None, None, {}, None, None),
                         tuple(p[k] for k in ("verdict", "evidence", "last_attempt", "checked_at", "proven_at", "labels",
                                              "pending", "previous")))
        self.assertIsNone(p["current"]["expires_at"])

    def test_proven(self):
        pixel, _ = self.stored()
        p = self.status(pixel)
        prove_shape(self, p)
        self.assertEqual(("healthy", "test", 0), (p["verdict"], p["evidence"]["probe"], p["evidence"]["code"]))
        self.assertEqual("healthy", p["last_attempt"]["outcome"])
        self.assertTrue(p["evidence"]["request_id"])
        self.assertMoment(p["checked_at"])
        self.assertMoment(p["proven_at"])

    def test_evidence_carries_tiktoks_own_words(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        p = self.status(pixel)
        prove_shape(self, p)
        self.assertEqual(("revoked", 40105), (p["verdict"], p["evidence"]["code"]))
        self.assertIn("incorrect or has been revoked", p["evidence"]["message"])
        self.assertRegex(p["evidence"]["request_id"], "^[0-9]{14}[0-9A-F]{20}$")
        self.assertTrue(p["advice"])

    def test_every_stage(self):
        pixel, _ = self.stored()
        self.put(pixel, self.more_token(pixel), "--expires", "2031-01-01T00:00:00Z")
        bad = self.more_token(pixel)
        self.emu.revoke(bad)
        self.put(pixel, bad, rc=10)
        p = self.status(pixel)
        prove_shape(self, p)
        self.assertEqual((2, 3, 1), tuple(p[k]["version"] for k in ("current", "pending", "previous")))
        self.assertEqual("2031-01-01T00:00:00Z", p["current"]["expires_at"])

    def test_exit_0_whatever_the_verdicts(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        for words in (["status"], ["status", pixel], ["list"], ["history", pixel]):
            self.vault(*words)
            self.vault(*words, "--json")

    def test_a_named_pixel_that_is_not_stored_is_3(self):
        pixel, _ = self.stored()
        self.refuses(3, "status", new_pixel())
        missing = new_pixel()
        self.refuses(3, "status", pixel, missing, says=missing)
        self.error(3, "status", missing)
        self.refuses(3, "history", missing)

    def test_labels_choose(self):
        a, b, c = new_pixel(), new_pixel(), new_pixel()
        self.put(a, self.token(), "--no-check", "--label", "brand=x", "--label", "country=de")
        self.put(b, self.token(), "--no-check", "--label", "brand=x", "--label", "country=fr")
        self.put(c, self.token(), "--no-check")

        def found(*words):
            return {p["pixel"] for p in self.json(*words)["pixels"]}
        for command in ("status", "list"):
            self.assertEqual({a, b, c}, found(command))
            self.assertEqual({a, b}, found(command, "-l", "brand=x"))
            self.assertEqual({a}, found(command, "-l", "brand=x", "-l", "country=de"))
            self.assertEqual(set(), found(command, "-l", "brand=y"))
        self.assertEqual({a}, found("status", a, c, "-l", "brand=x"))

    def test_list_has_exactly_the_promised_keys(self):
        a, b = new_pixel(), new_pixel()
        self.put(a, self.token(), "--no-check", "--label", "brand=x")
        self.put(b, self.token(), "--no-check")
        self.put(b, self.token(), "--no-check")
        doc = self.json("list")
        self.assertEqual({"schema", "pixels"}, set(doc))
        for p in doc["pixels"]:
            self.assertEqual({"pixel", "labels", "version"}, set(p))
        self.assertEqual([(p["pixel"], p["version"], p["labels"]) for p in sorted(doc["pixels"], key=lambda p: p["pixel"])],
                         sorted([(a, 1, {"brand": "x"}), (b, 2, {})]))

    def test_list_of_a_pixel_without_current_says_null(self):
        pixel, token = self.pair()
        self.emu.revoke(token)
        self.put(pixel, token, rc=10)
        self.assertIsNone(self.json("list")["pixels"][0]["version"])

    def test_the_board_for_people_names_pixel_verdict_and_label(self):
        pixel, token = self.stored()
        self.vault("label", pixel, "brand=Caf\u00e9 Nord")
        other, _ = self.pair()
        self.put(other, self.token(), "--no-check")
        out = self.vault("status").out.decode()
        for word in (pixel, other, "healthy", "unchecked"):
            self.assertIn(word, out)
        self.assertIn(pixel, self.vault("list").out.decode())
        self.assertRegex(self.vault("status", pixel).out.decode(), pixel)

    def test_pixels_come_in_a_steady_order(self):
        for _ in range(8):
            self.put(new_pixel(), self.token(), "--no-check")
        one = [p["pixel"] for p in self.json("status")["pixels"]]
        self.assertEqual(one, [p["pixel"] for p in self.json("status")["pixels"]])
        self.assertEqual(sorted(one), [p["pixel"] for p in self.json("list")["pixels"]], "people read them sorted")

    def test_status_writes_nothing(self):
        pixel, _ = self.stored()
        before = self.sql("SELECT k, v FROM kv ORDER BY k")
        self.vault("status")
        self.vault("list")
        self.assertEqual(before, self.sql("SELECT k, v FROM kv ORDER BY k"))


if __name__ == "__main__":
    unittest.main()
