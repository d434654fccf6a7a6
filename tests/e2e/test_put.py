"""A token comes in: cleaned, refused or stored as pending, judged by one probe, promoted."""

import json
import os
import re
import select
import time
import unittest

from harness import Case, FINGERPRINT, PATIENCE, VERDICTS, VIA_AGENT, cases, direct_only, new_pixel, say, spread

KEYS = {"schema", "pixel", "version", "stage", "verdict", "fingerprint", "removed", "belongs_to"}


@spread
class Shape(Case):
    """What is cleaned, what is refused. No network is needed: --no-check."""
    uses_emulator = False

    T = "0f" * 20

    @cases(
        plain=(b"%s", []),
        line_end=(b"%s\n", ["line-ends"]),
        crlf=(b"%s\r\n", ["line-ends"]),
        several_line_ends=(b"\n\n%s\r\n\n", ["line-ends"]),
        blanks=(b"  \t%s  ", ["blanks"]),
        no_break_space=("\u00a0%s\u00a0".encode(), ["blanks"]),
        narrow_no_break_space=("\u202f%s".encode(), ["blanks"]),
        ideographic_space=("%s\u3000".encode(), ["blanks"]),
        zero_width_space=("\u200b%s\u200b".encode(), ["zero-width"]),
        zero_width_joiner=("%s\u200d".encode(), ["zero-width"]),
        byte_order_mark=(b"\xef\xbb\xbf%s", ["byte-order-mark"]),
        double_quotes=(b'"%s"', ["quotes"]),
        single_quotes=(b"'%s'", ["quotes"]),
        english_quotes=("\u201c%s\u201d".encode(), ["quotes"]),
        german_quotes=("\u201e%s\u201c".encode(), ["quotes"]),
        single_typographic_quotes=("\u2018%s\u2019".encode(), ["quotes"]),
        french_quotes=("\u00ab%s\u00bb".encode(), ["quotes"]),
        bearer=(b"Bearer %s", ["bearer"]),
        header=(b"Access-Token: %s", ["header-name"]),
        header_without_blank=(b"Access-Token:%s", ["header-name"]),
        all_at_once=(b'\xef\xbb\xbf "%s"\r\n', ["byte-order-mark", "blanks", "quotes", "line-ends"]),
        header_line=(b"Access-Token: %s\r\n", ["header-name", "line-ends"]),
    )
    def test_cleaned(self, pattern, removed):
        pixel, token = new_pixel(), self.token()
        pasted = pattern.replace(b"%s", token.encode())
        r = self.vault("put", pixel, "--no-check", "--json", stdin=pasted)
        doc = self.object(r)
        self.assertLessEqual(set(removed), set(doc["removed"]), say(r))
        extra = set(doc["removed"]) - set(removed) - {"blanks"}  # the blank behind "Bearer" may be named or not
        self.assertEqual(set(), extra, say(r))
        self.assertEqual(token, self.get(pixel))
        r = self.put(new_pixel(), pasted, "--no-check")
        for name in removed:
            self.assertRegex(r.err.lower(), name.replace("-", "[- ]"), "what was removed is said on stderr" + say(r))

    def test_two_pairs_of_quotes_lose_one_pair_only(self):
        r = self.put(new_pixel(), b"''%s''" % self.token().encode(), "--no-check", rc=None)
        if r.rc == 0:
            self.assertRegex(self.get(r.args[2]), r"^'[0-9a-f]{40}'$")

    def test_what_was_not_removed_is_not_said(self):
        r = self.put(new_pixel(), self.token(), "--no-check")
        self.assertNotIn("removed", r.err)

    @cases(
        empty=b"",
        only_blanks=b"  \n\t ",
        only_quotes=b'""',
        only_bearer=b"Bearer ",
        inner_blank=b"0123456789 0123456789",
        inner_tab=b"0123456789\t0123456789",
        inner_line_end=b"0123456789\n0123456789",
        inner_no_break_space="0123456789\u00a00123456789".encode(),
        inner_zero_width="0123456789\u200b0123456789".encode(),
        control=b"0123456789\x010123456789",
        escape=b"0123456789\x1b[31m0123456789",
        delete=b"0123456789\x7f0123456789",
        nul=b"0123456789\x000123456789",
        non_ascii="0123456789\u00e90123456789".encode(),
        not_utf8=b"0123456789\xff0123456789",
        seven_bytes=b"1234abc",
        too_long=b"a" * 4096,
        far_too_long=b"a" * 100000,
        pixel_code=b"DBJ82050INP0V4SLCK60",
        older_pixel_code=b"C0U2T02IU8J6B9GC2B90",
        numeric_id=b"7644201699552690194",
        refresh_token=b"rft.0123456789abcdef0123456789abcdef",
        refresh_token_in_quotes=b'"rft.0123456789abcdef0123456789abcdef"',
        url=b"https://business-api.tiktok.com/portal/auth?code=0123456789",
        plain_http_url=b"http://example.com/0123456789",
        json_object=b'{"access_token":"0123456789abcdef"}',
        json_array=b'["0123456789abcdef"]',
    )
    def test_refused(self, pasted):
        pixel = new_pixel()
        e = self.error(15, "put", pixel, "--no-check", stdin=pasted)
        visible = pasted.strip(b'" \n\t').decode("latin-1")
        if len(visible) > 8:
            self.assertNotIn(visible[:12], e["message"] + e["hint"], "the text shows what was pasted")
        self.refuses(15, "put", pixel, "--no-check", stdin=pasted)
        self.vault("status", pixel, rc=3)
        self.vault("get", pixel, rc=3)
        self.assertEqual([], self.json("list")["pixels"])
        self.put(pixel, self.token(), "--no-check")
        self.assertEqual(1, self.json("get", pixel)["version"], "a refused put uses up no number")

    @cases(eight=b"12ab-_.~", longest=b"x" * 4095, printable=bytes(b for b in range(0x23, 0x7f) if b not in b"{[\"'`"))
    def test_taken(self, token):
        pixel = new_pixel()
        self.put(pixel, token, "--no-check")
        self.assertEqual(token, self.vault("get", pixel).out)

    @cases(lengths=tuple(range(1)))
    def test_every_padding_length_comes_back_exactly(self, _):
        pixel = new_pixel()
        for n in (9, 40, 510, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049, 4094, 4095):
            token = ("t%d-" % n).ljust(n, "k")
            self.put(pixel, token, "--no-check")
            self.assertEqual(token, self.get(pixel), n)

    @cases(
        lower_case=("dbj82050inp0v4slck60", "DBJ82050INP0V4SLCK60"),
        numeric_id_19=("7644201699552690194", r"Pixel code|numeric"),
        numeric_id_17=("76442016995526901", r"Pixel code|numeric"),
        numeric_id_20=("76442016995526901940", r"Pixel code|numeric"),
        seven=("DBJ8205", ""),
        forty_one=("D" * 41, ""),
        empty=("", ""),
        dash=("DBJ82050-NP0V4SLCK60", ""),
        blank=("DBJ82050 NP0V4SLCK60", ""),
        accent=("DBJ82050\u00c9NP0V4SLCK60", ""),
        path=("../../etc/passwd", ""),
    )
    def test_pixel_refused(self, pixel, says):
        for command in (["put", pixel, "--no-check"], ["get", pixel], ["status", pixel], ["check", pixel]):
            r = self.refuses(15, *command, stdin=self.T)
            if says:
                self.assertRegex(r.err, says, say(r))

    @cases(eight="ABCDEFGH", forty="Z9" * 20, fixture="A1T8T4UYGVIQA8ORZMX9", placeholder="C0ABCDEFGH12345")
    def test_pixel_outside_the_strict_shape_is_taken_with_a_warning(self, pixel):
        r = self.put(pixel, self.T, "--no-check")
        self.assertIn(pixel, r.err, say(r))
        self.assertRegex(r.err.lower(), "shape|look|unusual|form", say(r))
        self.assertEqual(self.T, self.get(pixel))

    def test_pixel_of_the_strict_shape_is_taken_without_a_warning(self):
        r = self.put(new_pixel(), self.T, "--no-check")
        self.assertNotRegex(r.err.lower(), "shape", say(r))

    @cases(no_equals="brand", upper_key="Brand=x", empty_key="=x", long_key="k" * 33 + "=x", blank_key="my key=x",
           long_value="k=" + "v" * 65, long_utf8_value="k=" + "\u00e9" * 33, not_utf8=b"k=\xff\xfe")
    def test_label_refused(self, label):
        r = self.vault("put", new_pixel(), "--no-check", "--label", label, stdin=self.T, rc=(2, 15))
        self.assertEqual([], self.json("list")["pixels"])

    @cases(longest_key=("k" * 32, "v"), longest_value=("k", "v" * 64), longest_utf8_value=("k", "\u00e9" * 32),
           all_signs=("a-z.0_9", "x"), equals_in_value=("k", "a=b=c"), blanks_in_value=("k", "two words"))
    def test_label_taken(self, key, value):
        pixel = new_pixel()
        self.put(pixel, self.T, "--no-check", "--label", key + "=" + value)
        self.assertEqual({key: value}, self.json("list")["pixels"][0]["labels"])

    def test_sixteen_labels_are_taken_and_seventeen_are_not(self):
        pixel = new_pixel()
        labels = [w for i in range(17) for w in ("--label", "k%d=v" % i)]
        self.vault("put", pixel, "--no-check", *labels, stdin=self.T, rc=2)
        self.vault("status", pixel, rc=3)
        self.put(pixel, self.T, "--no-check", *labels[:32])
        self.assertEqual(16, len(self.json("list")["pixels"][0]["labels"]))
        self.vault("label", pixel, "k99=v", rc=2)

    @cases(blank="TEST 1", long="T" * 65, umlaut="T\u00c4ST", control="T\x01ST")
    def test_test_code_refused(self, code):
        self.vault("put", new_pixel(), "--no-check", "--test-code", code, stdin=self.T, rc=(2, 15))
        self.assertEqual([], self.json("list")["pixels"])

    @cases(word="tomorrow", no_zone="2027-01-02T03:04:05", month="2027-13-01T00:00:00Z", day="2027-02-30T00:00:00Z",
           hour="2027-01-01T25:00:00Z", trailing="2027-01-01T00:00:00Zx", number="1798761600")
    def test_expires_refused(self, text):
        self.refuses(2, "put", new_pixel(), "--no-check", "--expires", text, stdin=self.T)

    @cases(utc=("2031-02-03T04:05:06Z", "2031-02-03T04:05:06Z"), offset=("2031-02-03T06:05:06+02:00", "2031-02-03T04:05:06Z"),
           fraction=("2031-02-03T04:05:06.75Z", "2031-02-03T04:05:06Z"))
    def test_expires_taken(self, given, shown):
        pixel = new_pixel()
        self.put(pixel, self.T, "--no-check", "--expires", given)
        self.assertEqual(shown, self.status(pixel)["current"]["expires_at"])
        self.assertEqual(shown, self.json("get", pixel)["expires_at"])

    @cases(token_option=("--token", "S3cretS3cret99"), token_equals=("--token=S3cretS3cret99",), argument=("S3cretS3cret99",))
    def test_a_token_on_the_command_line_is_refused_and_not_echoed(self, *words):
        r = self.refuses(2, "put", new_pixel(), "--no-check", *words, stdin=self.T)
        self.assertNotIn("S3cretS3cret99", r.err)
        e = self.error(2, "put", new_pixel(), *words)
        self.assertNotIn("S3cretS3cret99", str(e))
        self.assertEqual([], self.json("list")["pixels"])

    def test_from_file(self):
        pixel, token = new_pixel(), self.token()
        path = self.write(self.path("token"), token + "\n")
        doc = self.json("put", pixel, "--from-file", path, "--no-check")
        self.assertEqual(["line-ends"], doc["removed"])
        self.assertEqual(token, self.get(pixel))

    def test_from_a_file_that_is_not_there(self):
        r = self.vault("put", new_pixel(), "--from-file", self.path("none"), "--no-check", rc=None)
        self.assertNotIn(r.rc, (0, 15), say(r))
        self.assertIn(self.path("none"), r.err)

    def test_json_has_exactly_the_promised_keys(self):
        pixel = new_pixel()
        r = self.vault("put", pixel, "--no-check", "--json", stdin=self.token())
        doc = self.object(r)
        self.assertEqual(KEYS, set(doc))
        self.assertEqual((pixel, 1, "current", "unchecked", [], None),
                         tuple(doc[k] for k in ("pixel", "version", "stage", "verdict", "removed", "belongs_to")))
        self.assertRegex(doc["fingerprint"], "^" + FINGERPRINT.pattern + "$")
        self.assertIs(int, type(doc["version"]))

    def test_stdout_is_data_only(self):
        r = self.put(new_pixel(), self.token(), "--no-check")
        self.assertEqual(b"", r.out, "without --json put has no data; what it says is for stderr")

    def test_the_same_token_has_the_same_fingerprint_and_another_has_another(self):
        a, b, token = new_pixel(), new_pixel(), self.token()
        one, two = self.put_json(a, token, "--no-check"), self.put_json(b, token, "--no-check")
        three = self.put_json(new_pixel(), self.token(), "--no-check")
        self.assertEqual(one["fingerprint"], two["fingerprint"])
        self.assertNotEqual(one["fingerprint"], three["fingerprint"])

    @direct_only("it takes two vaults")
    def test_the_fingerprint_is_keyed(self):
        pixel, token = new_pixel(), self.token()
        one = self.put_json(pixel, token, "--no-check")["fingerprint"]
        self.file, self.key, self.state = self.path("vault2", "vault.db"), self.path("key2"), self.path("state2")
        self.env["PIXELVAULT_VAULT"] = self.file
        self.configure()
        self.init()
        self.assertNotEqual(one, self.put_json(pixel, token, "--no-check")["fingerprint"])

    def test_from_a_terminal_without_echo(self):
        pixel, token = new_pixel(), self.token()
        t = self.terminal("put", pixel, "--no-check")
        t.expect("(?i)token")
        time.sleep(0.1)
        t.send(token + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertNotIn(token, t.text())
        self.assertEqual(token, self.get(pixel))

    def test_no_input_never_prompts(self):
        started = time.monotonic()
        t = self.terminal("put", new_pixel(), "--no-check", "--no-input")
        self.assertNotEqual(0, t.wait(60), t.text())
        self.assertSoon(time.monotonic() - started, 5)

    def test_quiet_says_nothing_when_all_is_well(self):
        r = self.put(new_pixel(), self.token(), "--no-check", "-q")
        self.assertEqual((b"", ""), (r.out, r.err))


class Versions(Case):
    """Numbers, stages, and tokens we have seen before. --no-check where TikTok has no part in it."""
    uses_emulator = False

    def version(self, pixel, *options, **more):
        return self.put_json(pixel, self.token(), "--no-check", *options, **more)["version"]

    def test_count_from_one(self):
        pixel = new_pixel()
        self.assertEqual([1, 2, 3], [self.version(pixel) for _ in range(3)])

    def test_no_check_promotes_at_once_as_unchecked(self):
        pixel, first, second = new_pixel(), self.token(), self.token()
        self.put(pixel, first, "--no-check")
        doc = self.put_json(pixel, second, "--no-check")
        self.assertEqual(("current", "unchecked", 2), (doc["stage"], doc["verdict"], doc["version"]))
        s = self.status(pixel)
        self.assertEqual((2, 1, None), (s["current"]["version"], s["previous"]["version"], s["pending"]))
        self.assertEqual((second, first), (self.get(pixel), self.get(pixel, "--previous")))

    def test_the_current_token_again_is_nothing_to_do(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        doc = self.put_json(pixel, token, "--no-check")
        self.assertEqual((1, "current"), (doc["version"], doc["stage"]))
        r = self.put(pixel, " " + token + "\n", "--no-check")
        self.assertRegex(r.err, "nothing to do", say(r))
        self.assertEqual(2, self.version(pixel))

    def test_the_previous_token_again_is_refused_with_the_hint_rollback(self):
        pixel, first = new_pixel(), self.token()
        self.put(pixel, first, "--no-check")
        self.version(pixel)
        self.assertRegex(self.error(8, "put", pixel, "--no-check", stdin=first)["hint"], "rollback")
        self.refuses(8, "put", pixel, "--no-check", stdin=first, says="rollback")
        self.assertEqual(3, self.version(pixel), "a refused put uses up no number")

    def test_a_retired_token_again_is_a_new_version(self):
        pixel, first = new_pixel(), self.token()
        self.put(pixel, first, "--no-check")
        self.version(pixel), self.version(pixel)
        r = self.put(pixel, first, "--no-check", "--json", rc=None)
        if r.rc == 0:  # the contract names current, pending and previous only
            self.assertEqual(4, self.object(r)["version"])

    def test_numbers_are_not_used_again_after_rm(self):
        pixel = new_pixel()
        self.version(pixel), self.version(pixel)
        self.vault("rm", pixel)
        self.vault("rm", pixel, "--restore")
        self.assertEqual(3, self.version(pixel))

    def test_numbers_are_not_used_again_after_destroy(self):
        pixel, first = new_pixel(), self.token()
        self.put(pixel, first, "--no-check")
        self.version(pixel)
        self.vault("rm", pixel, "--destroy", "--yes")
        self.vault("get", pixel, rc=3)
        self.vault("get", pixel, "--version", "1", rc=3)
        self.assertEqual(3, self.version(pixel))
        self.vault("get", pixel, "--version", "1", rc=3)
        self.vault("verify")

    def test_the_seventeenth_version_drops_the_oldest_retired_one(self):
        pixel = new_pixel()
        tokens = [self.token() for _ in range(20)]
        for i, token in enumerate(tokens, 1):
            self.put(pixel, token, "--no-check")
            if i == 16:
                self.assertEqual(tokens[0], self.get(pixel, "--version", "1"))
            if i >= 17:
                self.vault("get", pixel, "--version", str(i - 16), rc=3)
                self.assertEqual(tokens[i - 16], self.get(pixel, "--version", str(i - 15)))
        self.assertEqual(tokens[-1], self.get(pixel))
        rows = [k for k, in self.sql("SELECT CAST(k AS BLOB) FROM kv") if re.match(rb"(e\d+/)?t/", k)]
        self.assertEqual(16, len(rows), "its sealed token goes with it")
        self.vault("verify")

    def test_if_version_names_the_current_number(self):
        pixel = new_pixel()
        self.vault("put", pixel, "--no-check", "--if-version", "1", stdin=self.token(), rc=8)
        self.vault("status", pixel, rc=3)
        self.assertEqual(1, self.version(pixel, "--if-version", "0"))
        self.error(8, "put", pixel, "--no-check", "--if-version", "0", stdin=self.token())
        self.refuses(8, "put", pixel, "--no-check", "--if-version", "2", stdin=self.token())
        self.assertEqual(2, self.version(pixel, "--if-version", "1"), "a refused put uses up no number")

    def test_if_version_takes_a_number_only(self):
        for text in ("x", "-1", "1.0", "", "99999999999999999999"):
            self.vault("put", new_pixel(), "--no-check", "--if-version", text, stdin=self.token(), rc=2)

    def test_a_put_keeps_labels_test_code_and_other_pixels(self):
        a, b, other = new_pixel(), new_pixel(), self.token()
        self.put(b, other, "--no-check", "--label", "brand=b")
        self.put(a, self.token(), "--no-check", "--label", "brand=a")
        self.put(a, self.token(), "--no-check", "--label", "country=de")
        found = {p["pixel"]: p["labels"] for p in self.json("list")["pixels"]}
        self.assertEqual({a: {"brand": "a", "country": "de"}, b: {"brand": "b"}}, found)
        self.assertEqual(other, self.get(b))


class Judged(Case):
    """put with TikTok's word."""

    def put_doc(self, pixel, token, *options, rc=0):
        doc = self.put_json(pixel, token, *options, rc=rc)
        self.assertEqual(KEYS, set(doc))
        self.assertIn(doc["verdict"], VERDICTS)
        return doc

    def test_not_refuted_by_a_dry_probe_becomes_current_as_unproven(self):
        pixel, token = self.pair()
        doc = self.put_doc(pixel, token)
        self.assertEqual((1, "current", "unproven"), (doc["version"], doc["stage"], doc["verdict"]))
        self.assertEqual(token, self.get(pixel))
        s = self.status(pixel)
        self.assertEqual(("dry", None), (s["evidence"]["probe"], s["proven_at"]))
        self.assertEqual({"events": 0, "test": 0, "dry": 1, "refused": 0}, self.emu.count(pixel))

    def test_proven_by_its_test_code_becomes_current_as_healthy(self):
        pixel, token = self.pair()
        doc = self.put_doc(pixel, token, "--test-code", "TEST12345")
        self.assertEqual(("current", "healthy"), (doc["stage"], doc["verdict"]))
        self.assertEqual({"events": 0, "test": 1, "dry": 0, "refused": 0}, self.emu.count(pixel))
        self.assertEqual("TEST12345", self.emu.last_body()["test_event_code"])
        s = self.status(pixel)
        self.assertEqual(("test", 0), (s["evidence"]["probe"], s["evidence"]["code"]))
        self.assertMoment(s["proven_at"])

    def test_the_same_token_again_is_as_it_was_judged_and_not_asked_about(self):
        pixel, token = self.stored()
        for verdict, change in (("healthy", lambda: None), ("revoked", lambda: self.emu.revoke(token))):
            change()
            self.vault("check", pixel, rc=0 if verdict == "healthy" else 10)
            before = self.emu.requests()
            doc = self.put_json(pixel, token)
            self.assertEqual((1, "current", verdict), (doc["version"], doc["stage"], doc["verdict"]))
            said = self.put(pixel, token).err
            for words in (verdict, "current already", "nothing to do", "not asked"):
                self.assertIn(words, said)
            self.assertEqual(before, self.emu.requests())

    def test_the_test_code_is_kept_for_the_next_put(self):
        pixel, _ = self.stored()
        self.assertEqual("healthy", self.put_doc(pixel, self.more_token(pixel))["verdict"])
        self.assertEqual(2, self.emu.count(pixel)["test"])

    def test_put_judges_by_one_probe(self):
        pixel, token = self.pair()
        self.emu.revoke(token)
        self.put_doc(pixel, token, rc=10)
        self.assertEqual(1, self.emu.requests())

    def refuted(self, spoil, rc, verdict, *options):
        """Without a current token, then with one: stays pending, current is untouched."""
        pixel, token = self.pair()
        spoil(pixel, token)
        doc = self.put_doc(pixel, token, *options, rc=rc)
        self.assertEqual((1, "pending", verdict), (doc["version"], doc["stage"], doc["verdict"]))
        r = self.refuses(3, "get", pixel, says=["pending", verdict])
        s = self.status(pixel)
        self.assertEqual((None, 1, verdict), (s["current"], s["pending"]["version"], s["verdict"]))

        pixel, good = self.stored()
        before = self.status(pixel)
        bad = self.more_token(pixel)
        spoil(pixel, bad)
        r = self.put(pixel, bad, rc=rc)
        self.assertIn(pixel, r.err, say(r))
        self.assertRegex(r.err, verdict.replace("-", "[- ]"), say(r))
        self.assertEqual(good, self.get(pixel))
        s = self.status(pixel)
        self.assertEqual((1, 2, "healthy"), (s["current"]["version"], s["pending"]["version"], s["verdict"]),
                         "the Pixel's verdict speaks of current")
        self.assertEqual(before["evidence"], s["evidence"])
        self.assertEqual(bad, self.get(pixel, "--version", "2"))

    def test_revoked_stays_pending_and_exits_10(self):
        self.refuted(lambda pixel, token: self.emu.revoke(token), 10, "revoked")

    def test_expired_stays_pending_and_exits_10(self):
        self.refuted(lambda pixel, token: self.emu.expire(token), 10, "expired")

    def test_mismatched_stays_pending_and_exits_11(self):
        self.refuted(lambda pixel, token: self.emu.ungrant(token, pixel), 11, "mismatched", "--test-code", "T1")

    def test_no_permission_stays_pending_and_exits_11(self):
        self.refuted(lambda pixel, token: self.emu.fault("code-40130", times=1), 11, "no-permission")

    def test_refuted_with_a_test_code_when_parameters_are_looked_at_first(self):
        self.emu.knob("order", "params-first")
        pixel, token = self.pair()
        self.emu.revoke(token)
        self.assertEqual("pending", self.put_doc(pixel, token, "--test-code", "T1", rc=10)["stage"])

    def test_a_dry_probe_refutes_nothing_when_parameters_are_looked_at_first(self):
        self.emu.knob("order", "params-first")
        pixel, token = self.pair()
        self.emu.revoke(token)
        self.assertEqual(("current", "unproven"), tuple(self.put_doc(pixel, token)[k] for k in ("stage", "verdict")))

    def test_the_message_names_the_pixel_it_belongs_to(self):
        a, token = self.stored()
        b, _ = self.stored()
        stray = self.more_token(a)  # of a, stored there, and put under b by mistake
        self.put(a, stray)
        doc = self.put_doc(b, stray, rc=11)
        self.assertEqual(("pending", "mismatched", a), (doc["stage"], doc["verdict"], doc["belongs_to"]))
        r = self.put(b, stray, rc=11)
        self.assertIn(a, r.err, say(r))

    def test_a_token_stored_under_another_pixel_is_named_with_tiktok_down(self):
        a, token = self.stored()
        self.emu.fault("refuse")
        r = self.put(new_pixel(), token)
        self.assertIn(a, r.err, say(r))

    @direct_only("an agent answers once, when all is known")
    def test_a_token_stored_under_another_pixel_is_named_before_any_network_call(self):
        a, token = self.stored()
        b = new_pixel()
        self.configure(tiktok={"timeout": "60s"})
        self.emu.fault("silence")
        p = self.start("put", b, stdin=token)
        seen, end = b"", time.monotonic() + 30 * PATIENCE
        while a.encode() not in seen and time.monotonic() < end:
            if select.select([p.stderr], [], [], 0.1)[0]:
                data = os.read(p.stderr.fileno(), 4096)
                if not data:
                    break
                seen += data
        self.assertIn(a.encode(), seen, "named while TikTok is silent")
        self.assertIsNone(p.poll(), "still waiting for TikTok")

    def unjudged(self, rc_name, **fault):
        """Without a current token: current as unchecked, exit 0, a warning. With one: pending, exit 9, proven later."""
        name = fault.pop("name")
        pixel, token = self.pair()
        self.emu.fault(name, **fault)
        r = self.put(pixel, token)
        self.assertRegex(r.err.lower(), "warn|unchecked", say(r))
        s = self.status(pixel)
        self.assertEqual((1, "unchecked", None, rc_name),
                         (s["current"]["version"], s["verdict"], s["evidence"], s["last_attempt"]["outcome"]))
        self.emu.no_faults()

        pixel, good = self.stored()
        better = self.more_token(pixel)
        self.emu.fault(name, **fault)
        doc = self.put_doc(pixel, better, rc=9)
        self.assertEqual((2, "pending", "unchecked"), (doc["version"], doc["stage"], doc["verdict"]))
        self.assertEqual(good, self.get(pixel))
        self.assertEqual("healthy", self.status(pixel)["verdict"])
        self.emu.no_faults()
        self.vault("check", pixel)
        self.assertEqual(better, self.get(pixel), "promoted once proven")
        s = self.status(pixel)
        self.assertEqual((2, 1, None, "healthy"), (s["current"]["version"], s["previous"]["version"], s["pending"], s["verdict"]))

    def test_unreachable_is_not_judged(self):
        self.unjudged("unreachable", name="503")

    def test_no_answer_at_all_is_not_judged(self):
        self.unjudged("unreachable", name="close")

    def test_an_answer_that_makes_no_sense_is_not_judged(self):
        self.unjudged("unknown", name="unknown-code")

    def test_a_throttled_put_is_not_judged(self):
        self.unjudged("throttled", name="code-40133", times=1)

    def test_pending_again_is_probed_again_and_keeps_its_number(self):
        pixel, good = self.stored()
        token = self.more_token(pixel)
        self.emu.revoke(token)
        self.assertEqual(2, self.put_doc(pixel, token, rc=10)["version"])
        before = self.emu.requests()
        self.assertEqual(2, self.put_doc(pixel, token, rc=10)["version"])
        self.assertGreater(self.emu.requests(), before)
        self.emu.works_again(token)
        doc = self.put_doc(pixel, token)
        self.assertEqual((2, "current", "healthy"), (doc["version"], doc["stage"], doc["verdict"]))
        self.assertEqual((token, good), (self.get(pixel), self.get(pixel, "--previous")))

    def test_a_new_put_retires_an_earlier_pending_one(self):
        pixel, good = self.stored()
        first, second = self.more_token(pixel), self.more_token(pixel)
        self.emu.revoke(first)
        self.emu.revoke(second)
        self.put(pixel, first, rc=10)
        self.put(pixel, second, rc=10)
        s = self.status(pixel)
        self.assertEqual((1, 3, None), (s["current"]["version"], s["pending"]["version"], s["previous"]))
        third = self.more_token(pixel)
        self.put(pixel, third)
        s = self.status(pixel)
        self.assertEqual((4, None, 1), (s["current"]["version"], s["pending"], s["previous"]["version"]))

    def test_consumers_keep_the_healthy_token_until_the_new_one_is_judged(self):
        pixel, good = self.stored()
        better = self.more_token(pixel)
        self.emu.knob("delay-ms", 2500)
        started = time.monotonic()
        p = self.start("put", pixel, stdin=better)

        def before_the_answer(*found):
            self.assertStill(time.monotonic() - started, 2.4, "TikTok has answered")
            return found[0]
        while not before_the_answer(self.status(pixel)["pending"]):
            self.assertEqual(good, before_the_answer(self.get(pixel)))
        self.assertEqual(2, self.status(pixel)["pending"]["version"], "stored before TikTok answered")
        for _ in range(4):
            self.assertEqual(good, before_the_answer(self.get(pixel)))
        self.assertEqual(0, p.wait(60))
        self.assertEqual(better, self.get(pixel))

    def test_a_put_overtaken_by_another_does_not_promote_its_own(self):
        pixel, good = self.stored()
        slow, quick = self.more_token(pixel), self.token()
        self.emu.knob("delay-ms", 2500)
        started = time.monotonic()
        p = self.start("put", pixel, stdin=slow)
        end = started + 30
        while not self.status(pixel)["pending"] and time.monotonic() < end:
            time.sleep(0.02)
        self.put(pixel, quick, "--no-check")
        self.assertStill(time.monotonic() - started, 2.4, "TikTok has answered")
        p.wait(60)
        self.assertEqual(quick, self.get(pixel))
        s = self.status(pixel)
        self.assertEqual((3, None, 1), (s["current"]["version"], s["pending"], s["previous"]["version"]))

    def test_killed_while_it_waits_leaves_the_new_one_pending(self):
        pixel, good = self.stored()
        token = self.more_token(pixel)
        if not VIA_AGENT:  # which waits for the answer before it ends
            self.configure(tiktok={"timeout": "60s"})
        self.emu.fault("silence")
        p = self.start("put", pixel, stdin=token)
        end = time.monotonic() + 30
        while self.emu.requests() < 2 and time.monotonic() < end:
            time.sleep(0.02)
        p.kill()
        p.wait()
        self.emu.no_faults()
        self.assertEqual(good, self.get(pixel))
        self.assertEqual(2, self.status(pixel)["pending"]["version"])
        self.vault("check", pixel)
        self.assertEqual(token, self.get(pixel))

    def test_no_check_makes_no_network_call(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        self.assertEqual(0, self.emu.totals()["connections"])

    def test_a_refused_shape_makes_no_network_call(self):
        self.put(new_pixel(), "rft.0123456789abcdef", rc=15)
        self.assertEqual(0, self.emu.totals()["connections"])

    def test_the_token_goes_in_the_header_and_nowhere_else(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1")
        head = self.emu.last_head()
        self.assertRegex(head, "(?im)^access-token: " + token + "\r?$")
        self.assertNotIn(token, head.splitlines()[0])
        self.assertNotIn(token, json.dumps(self.emu.last_body()))
        self.assertNotRegex(head, "(?im)^authorization:")
        self.assertRegex(head.splitlines()[0], r"^POST /open_api/v1.3/event/track/ HTTP/1\.1$")

    def test_a_test_event_harms_nothing(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "T1")
        body = self.emu.last_body()
        self.assertEqual(("web", pixel, "T1", 1), (body["event_source"], body["event_source_id"], body["test_event_code"], len(body["data"])))
        standard = ("ViewContent ClickButton Search AddToWishlist AddToCart InitiateCheckout AddPaymentInfo CompletePayment "
                    "PlaceAnOrder Contact Download SubmitForm CompleteRegistration Subscribe Purchase Pageview Lead").lower().split()
        self.assertNotIn(body["data"][0]["event"].lower(), standard, "a custom name, so that no optimisation goal can use it")
        self.assertIn("example.com", json.dumps(body["data"][0]))

    def test_json_with_exit_9_has_the_same_shape(self):
        pixel, _ = self.stored()
        self.emu.fault("refuse")
        doc = self.put_doc(pixel, self.more_token(pixel), rc=9)
        self.assertEqual("pending", doc["stage"])


if __name__ == "__main__":
    unittest.main()
