"""A token goes out: the exact bytes of `current`, whatever its verdict, and a word on stderr when it is bad."""

import os
import time
import unittest

from harness import Case, FINGERPRINT, cases, direct_only, new_pixel, say, spread, today

KEYS = {"schema", "pixel", "version", "token", "fingerprint", "verdict", "proven_at", "expires_at"}


class Get(Case):
    uses_emulator = False

    def test_exact_bytes_and_nothing_else_into_a_pipe(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        r = self.vault("get", pixel)
        self.assertEqual((token.encode(), ""), (r.out, r.err))

    def test_a_newline_on_a_terminal_only(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        t = self.terminal("get", pixel)
        self.assertEqual(0, t.wait(), t.text())
        self.assertEqual(token + "\n", t.text())

    def test_into_a_file(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        with open(self.path("out"), "wb") as f:
            import subprocess
            from harness import VAULT
            subprocess.run([VAULT, "get", pixel], stdout=f, env=self.env, check=True, stdin=subprocess.DEVNULL)
        self.assertEqual(token.encode(), self.read(self.path("out")))

    def test_a_full_disk_is_not_silent(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        import subprocess
        from harness import VAULT
        with open("/dev/full", "wb") as f:
            done = subprocess.run([VAULT, "get", pixel], stdout=f, stderr=subprocess.PIPE, env=self.env, stdin=subprocess.DEVNULL)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(b"vault: ", done.stderr)

    def test_versions_by_number_and_previous(self):
        pixel = new_pixel()
        tokens = [self.token() for _ in range(4)]
        for t in tokens:
            self.put(pixel, t, "--no-check")
        for i, t in enumerate(tokens, 1):
            self.assertEqual(t, self.get(pixel, "--version", str(i)))
        self.assertEqual((tokens[3], tokens[2]), (self.get(pixel), self.get(pixel, "--previous")))
        doc = self.json("get", pixel, "--version", "2")
        self.assertEqual((2, tokens[1]), (doc["version"], doc["token"]))

    def test_what_is_not_there_is_3(self):
        pixel = new_pixel()
        self.refuses(3, "get", pixel, says=pixel)
        self.put(pixel, self.token(), "--no-check")
        self.refuses(3, "get", pixel, "--version", "2", says=pixel)
        self.refuses(3, "get", pixel, "--version", "0", says=pixel)
        self.refuses(3, "get", pixel, "--previous", says=pixel)
        self.error(3, "get", pixel, "--version", "2")
        r = self.refuses(3, "get", new_pixel())
        self.assertEqual(b"", r.out)

    def test_wrong_use_is_2(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        for words in ([], [pixel, pixel], [pixel, "--version"], [pixel, "--version", "x"], [pixel, "--nonsense"],
                      [pixel, "--version", "1", "--previous"]):
            self.refuses(2, "get", *words)

    def test_json_has_exactly_the_promised_keys(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check", "--expires", "2031-02-03T04:05:06Z")
        doc = self.json("get", pixel)
        self.assertEqual(KEYS, set(doc))
        self.assertEqual((1, pixel, 1, token, "unchecked", None, "2031-02-03T04:05:06Z"),
                         tuple(doc[k] for k in ("schema", "pixel", "version", "token", "verdict", "proven_at", "expires_at")))
        self.assertRegex(doc["fingerprint"], "^" + FINGERPRINT.pattern + "$")

    def test_json_quotes_what_json_must_quote(self):
        pixel, token = new_pixel(), 'ab"cd\\ef/<>&\'gh'
        self.put(pixel, token, "--no-check")
        self.assertEqual(token, self.json("get", pixel)["token"])
        self.assertEqual(token, self.get(pixel))

    def test_a_vault_that_is_not_there_is_3(self):
        os.remove(self.file)
        self.refuses(3, "get", new_pixel())

    def test_as_takes_a_name(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        self.assertEqual(token, self.get(pixel, "--as", "shop@eu-1:sender/2_x.y"))
        self.vault("verify")

    @direct_only("an agent notes who reads")
    def test_get_changes_nothing_that_counts(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        before, day = self.sql("SELECT k, v FROM kv ORDER BY k"), today()
        self.get(pixel)
        after = self.sql("SELECT k, v FROM kv ORDER BY k")
        marks = [k for k, _ in after if k.startswith(b"e1/c/")]
        self.assertEqual((1, before), (len(marks), [row for row in after if row[0] not in marks]))
        for _ in range(3):
            self.get(pixel)
        later = self.sql("SELECT k, v FROM kv ORDER BY k")
        self.assertSameDay(day)
        self.assertEqual(after, later, "who reads is noted once a day")

    def test_get_is_quick(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        took = min(self.vault("get", pixel).took for _ in range(20))
        self.assertSoon(took, 0.1, "a direct get must not pay for the network or for a whole verify")


@spread
class GetJudged(Case):
    def bad(self, spoil, rc, verdict):
        pixel, token = self.stored()
        r = self.vault("get", pixel, "--healthy")
        self.assertEqual((token, ""), (r.out.decode(), r.err))
        spoil(pixel, token)
        self.vault("check", pixel, rc=rc)
        r = self.vault("get", pixel)
        self.assertEqual(token, r.out.decode(), "a false alarm never stops a sender")
        self.assertIn(verdict, r.err, say(r))
        r = self.refuses(rc, "get", pixel, "--healthy", says=[pixel, verdict])
        self.assertEqual(b"", r.out)
        e = self.error(rc, "get", pixel, "--healthy")
        self.assertEqual(verdict, e.get("class"), "the verdict pairs carry a finer class")
        doc = self.json("get", pixel)
        self.assertEqual((token, verdict), (doc["token"], doc["verdict"]))
        self.assertMoment(doc["proven_at"])

    def test_revoked(self):
        self.bad(lambda pixel, token: self.emu.revoke(token), 10, "revoked")

    def test_expired(self):
        self.bad(lambda pixel, token: self.emu.expire(token), 10, "expired")

    def test_no_permission_after_it_was_healthy(self):
        self.bad(lambda pixel, token: self.emu.ungrant(token, pixel), 11, "no-permission")

    def test_mismatched(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check", "--test-code", "T1")
        self.emu.ungrant(token, pixel)
        self.vault("check", pixel, rc=11)
        self.assertIn("mismatched", self.vault("get", pixel).err)
        self.vault("get", pixel, "--healthy", rc=11)

    def test_healthy_takes_unproven_and_unchecked(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        r = self.vault("get", pixel, "--healthy")
        self.assertEqual((token, ""), (r.out.decode(), r.err))
        self.vault("check", pixel)
        r = self.vault("get", pixel, "--healthy")
        self.assertEqual((token, ""), (r.out.decode(), r.err))

    def test_get_never_asks_tiktok(self):
        pixel, token = self.stored()
        self.emu.fault("silence")
        before = self.emu.totals()["connections"]
        self.assertSoon(self.vault("get", pixel).took, 2)
        self.vault("status", pixel)
        self.vault("list")
        self.assertEqual(before, self.emu.totals()["connections"])

    def test_without_current_the_message_names_the_pending_token_and_why_it_waits(self):
        pixel, token = self.pair()
        self.emu.revoke(token)
        self.put(pixel, token, rc=10)
        self.refuses(3, "get", pixel, says=[pixel, "pending", "revoked"])
        e = self.error(3, "get", pixel)
        self.assertIn("pending", e["message"])
        self.assertEqual(token, self.get(pixel, "--version", "1"))


if __name__ == "__main__":
    unittest.main()
