"""Pairs of tokens that a refresh token renews (`put --family`): stored, renewed on time and once, never shown."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import unittest

import harness
from harness import Case, PATIENCE, STEPPER, VAULT, VIA_AGENT, cases, direct_only, new_pixel, new_token, say, spread, traced

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "support"))
import reader  # noqa: E402

APP, APP_SECRET = "7012345678901234567", "emulator-app-secret"
PATHS = {"accounts": "/open_api/v1.3/tt_user/oauth2/refresh_token/", "login": "/v2/oauth/token/"}
KINDS = {"accounts": "tt_user", "login": "login"}


class Refreshing(Case):
    check = {"interval": "90d"}  # what is due is due by the pair's own life
    family = "accounts"

    def configure(self, **changes):
        tiktok = dict(changes.pop("tiktok", None) or {})
        tiktok.setdefault("login-url", self.emu.base_url.replace("/open_api/v1.3", "/v2"))
        super().configure(tiktok=tiktok, **changes)

    def setUp(self):
        super().setUp()
        self.hidden = [APP_SECRET]

    def document(self, life=None, with_access=True, family=None, **more):
        """(Pixel, access token, refresh token, the document as a person would give it)."""
        family = family or self.family
        pixel, access, refresh = new_pixel(), "act." + new_token(), "rft." + new_token()
        self.hidden.append(refresh)
        self.emu.pixel(pixel)
        self.emu.ctl("token", access, "pixels=" + pixel, "kind=" + KINDS[family], "scopes=8", "refresh=" + refresh)
        doc = {"client_key" if family == "login" else "client_id": APP, "client_secret": APP_SECRET, "refresh_token": refresh}
        if with_access:
            doc["access_token"] = access
        if life:
            doc["expires_in"] = life
        doc.update(more)
        return pixel, access, refresh, doc

    def put_pair(self, pixel, doc, *options, family=None, **more):
        return self.vault("put", pixel, "--family", family or self.family, *options, stdin=json.dumps(doc), **more)

    def stored_pair(self, life=86400, family=None, **more):
        """Its life begins when it is stored, however long that takes: a put of one that is over renews it at once."""
        pixel, access, refresh, doc = self.document(life, family=family, **more)
        self.stored_at = time.monotonic()
        self.put_pair(pixel, doc, "--test-code", "TEST12345", family=family)
        self.emu.ctl("token", access, "pixels=" + pixel, "kind=" + KINDS[family or self.family], "scopes=8",
                     "expires=%d" % (time.time() + life))
        return pixel, access, refresh, doc

    def assertNotDue(self, seconds):
        """What is looked at below is not due before so long after it was stored."""
        self.assertStill(time.monotonic() - self.stored_at, seconds, "it is due by now")

    def refreshes(self, family=None):
        return [l for l in self.emu.log() if l["path"] == PATHS[family or self.family]]

    def asked_at(self):
        """A moment before TikTok was asked to renew, by its own log: however late that is looked at."""
        return self.emu.started + self.refreshes()[-1]["ms"] / 1000

    def once(self, *words, rc=0, **more):
        if VIA_AGENT:
            self.skipTest("direct only: --once beside a running agent, which renews by itself")
        return self.agent("--once", "--config", self.config, *words, rc=rc, **more)

    def renewal(self, pixel):
        return self.status(pixel)["renewal"]

    def until(self, what, timeout=30):
        end = time.monotonic() + timeout * PATIENCE
        while not what():
            if time.monotonic() > end:
                said = self.read(self.path("agent.log")).decode("utf-8", "replace") if self.keeper else "nothing"
                self.fail("it never came to that; %s; the agent said: %s" % (self.vault("status").out.decode(), said))
            time.sleep(0.05)


@spread
class Stored(Refreshing):
    @cases(accounts="accounts", login="login")
    def test_a_pair_is_stored_proven_and_current(self, family):
        pixel, access, refresh, doc = self.document(86400, family=family)
        r = self.put_pair(pixel, doc, "--test-code", "TEST12345", family=family)
        self.assertEqual(access, self.get(pixel))
        row = self.status(pixel)
        self.assertEqual(("healthy", 1, family), (row["verdict"], row["current"]["version"], row["renewal"]["family"]))
        self.assertMoment(row["current"]["expires_at"])
        self.assertMoment(row["renewal"]["next_at"])
        self.assertEqual([None, None], [row["renewal"][k] for k in ("unanswered_since", "refused_at")])
        self.assertEqual([], self.refreshes(family), say(r))
        self.vault("verify")

    @cases(accounts="accounts", login="login")
    def test_without_an_access_token_one_is_fetched(self, family):
        pixel, access, refresh, doc = self.document(with_access=False, family=family)
        doc_out = self.object(self.put_pair(pixel, doc, "--test-code", "TEST12345", "--json", family=family))
        self.assertEqual((1, "current", "healthy"), (doc_out["version"], doc_out["stage"], doc_out["verdict"]))
        self.assertRegex(self.get(pixel), r"^act\.[0-9a-f]{40}$")
        self.assertNotEqual(access, self.get(pixel))
        self.assertEqual(1, len(self.refreshes(family)))
        self.vault("verify")

    def test_what_cannot_be_fetched_waits_and_is_fetched_later(self):
        pixel, _, _, doc = self.document(with_access=False)
        self.emu.fault("code-50000", path="/tt_user/oauth2/refresh_token/")
        self.assertRegex(self.put_pair(pixel, doc, rc=9).err, "unreachable")
        row = self.status(pixel)
        self.assertEqual((None, 1, None), (row["current"], row["pending"]["version"], row["pending"]["fingerprint"]))
        self.refuses(3, "get", pixel)
        self.refuses(3, "get", pixel, "--version", "1", says="no access token yet")
        self.vault("check", pixel, rc=9)
        self.vault("verify")
        self.emu.no_faults()
        self.vault("check", pixel)
        self.assertRegex(self.get(pixel), r"^act\.[0-9a-f]{40}$")
        self.assertEqual(1, self.status(pixel)["current"]["version"])

    def test_an_access_token_that_has_run_out_is_replaced_at_once(self):
        pixel, access, _, doc = self.document(86400)
        self.emu.expire(access)
        out = self.object(self.put_pair(pixel, doc, "--test-code", "TEST12345", "--json"))
        self.assertEqual((1, "current", "healthy"), (out["version"], out["stage"], out["verdict"]))
        self.assertNotEqual(access, self.get(pixel))
        self.assertEqual(1, len(self.refreshes()))
        self.vault("verify")

    def test_a_pair_is_not_stored_for_two_pixels(self):
        pixel, _, refresh, doc = self.stored_pair()
        other = new_pixel()
        self.emu.pixel(other)
        for words in ((), ("--no-check",)):
            r = self.refuses(8, "put", other, "--family", "accounts", *words, stdin=json.dumps(doc), says="for another Pixel already")
            self.assertNotIn(pixel, r.err)
        self.refuses(3, "history", other)
        self.vault("rm", pixel, "--destroy", "--yes")
        self.emu.grant(doc["access_token"], other)
        self.put_pair(other, doc)
        self.vault("verify")

    def test_a_pair_put_under_the_wrong_pixel_is_put_under_the_right_one(self):
        pixel, access, refresh, doc = self.document(86400)
        wrong = new_pixel()
        self.emu.pixel(wrong)
        self.put(pixel, self.more_token(pixel), "--test-code", "T2")
        r = self.put_pair(wrong, doc, "--test-code", "T1", rc=11)
        self.assertIn("belongs to " + pixel, r.err)
        self.put_pair(pixel, doc)
        self.assertEqual(access, self.get(pixel))
        self.assertEqual("accounts", self.renewal(pixel)["family"])
        self.refuses(8, "put", wrong, "--family", "accounts", stdin=json.dumps(doc), says="for another Pixel already")
        self.vault("verify")

    def test_one_that_was_removed_does_not_come_back_to_a_pair_that_another_has(self):
        pixel, access, refresh, doc = self.stored_pair()
        other = new_pixel()
        self.emu.pixel(other)
        self.emu.grant(access, other)
        self.vault("rm", pixel, "--yes")
        self.put_pair(other, doc)
        self.refuses(8, "rm", pixel, "--restore", says="stored for another Pixel since then")
        self.vault("rm", other, "--yes")
        self.vault("rm", pixel, "--restore")
        self.assertEqual(access, self.get(pixel))
        self.refuses(8, "rm", other, "--restore", says="stored for another Pixel since then")

    @cases(plain=True, family=False)
    def test_one_without_an_access_token_is_put_over_another(self, is_plain):
        if is_plain:
            pixel, old = self.stored()
        else:
            pixel, old, _, _ = self.stored_pair(86400)
        _, more, refresh, doc = self.document(with_access=False)
        self.emu.ctl("token", more, "pixels=" + pixel, "kind=tt_user", "scopes=8", "refresh=" + refresh)
        self.emu.fault("code-50000", path="/tt_user/oauth2/refresh_token/")
        self.put_pair(pixel, doc, rc=9)
        self.assertEqual((old, 2), (self.get(pixel), self.status(pixel)["pending"]["version"]))
        self.emu.no_faults()
        self.until(lambda: self.vault("check", pixel, rc=(0, 9)) and self.status(pixel)["current"]["version"] == 2)
        self.assertNotEqual(old, self.get(pixel))
        self.assertEqual("accounts", self.renewal(pixel)["family"])
        self.vault("verify")

    def test_from_a_file_and_with_what_else_tiktok_answers(self):
        pixel, access, refresh, doc = self.document(86400, refresh_token_expires_in="31536000", open_id="o", scope="a,b",
                                                    token_type="Bearer")
        path = self.write(self.path("pair.json"), json.dumps(doc, indent=1))
        self.vault("put", pixel, "--family", "accounts", "--from-file", path)
        self.assertEqual(access, self.get(pixel))
        self.assertMoment(self.renewal(pixel)["refresh_token_expires_at"])

    def test_pasted_dirt_is_taken_off_each_field(self):
        pixel, access, refresh, doc = self.document(86400)
        doc.update(refresh_token=' "%s"\n' % refresh, client_secret="\u201c" + APP_SECRET + "\u201d", access_token="Bearer " + access)
        out = self.object(self.put_pair(pixel, doc, "--json"))
        self.assertEqual({"quotes", "blanks", "line-ends", "bearer"}, set(out["removed"]))
        self.assertEqual(access, self.get(pixel))

    @cases(nothing=("", "no JSON object"), a_token=("act." + "a" * 40, "no JSON object"), a_list=("[]", "no JSON object"),
           cut=('{"client_id":"1"', "no JSON object"), twice=('{"client_id":"1","client_id":"2"}', "no JSON object"))
    def test_what_is_no_document_is_refused(self, text, says):
        pixel = new_pixel()
        r = self.refuses(15, "put", pixel, "--family", "accounts", stdin=text, says=says)
        self.assertNotIn("a" * 8, r.err)
        self.refuses(3, "status", pixel)

    @cases(no_id=({"client_id": None}, "client_id"), no_secret=({"client_secret": None}, "client_secret"),
           no_refresh=({"refresh_token": None}, "refresh_token"), empty=({"client_secret": "  "}, "client_secret is empty"),
           blanks=({"client_secret": "a b"}, "client_secret has blanks"), beyond_ascii=({"client_secret": "gehe\u00efm"}, "client_secret"),
           swapped=({"refresh_token": "act." + "b" * 40}, "begins like an access token"),
           swapped_too=({"access_token": "rft." + "b" * 40}, "begins like a refresh token"),
           in_the_secret=({"client_secret": "rft." + "b" * 40}, "begins like a refresh token"),
           number=({"client_secret": 5}, "no text in quotes"), key_for_id=({"client_id": "awabcdefgh"}, "is a number"),
           life=({"expires_in": "soon"}, "number of seconds"), other=({"refreshtoken": "x"}, "refreshtoken"),
           short=({"refresh_token": "rft.1"}, "refresh_token has 5"), a_pixel=({"access_token": "D0123456789ABCDEFG0G"}, "Pixel"))
    def test_a_field_that_cannot_be_right_is_named(self, change, says):
        pixel, _, refresh, doc = self.document(86400)
        doc.update(change)
        doc = {k: v for k, v in doc.items() if v is not None}
        r = self.refuses(15, "put", pixel, "--family", "accounts", stdin=json.dumps(doc), says=says)
        for value in [refresh, APP_SECRET, "b" * 8]:
            self.assertNotIn(value, r.err, say(r))
        self.refuses(3, "status", pixel)

    def test_a_refresh_token_alone_is_refused_as_before(self):
        pixel, _, refresh, _ = self.document()
        self.refuses(15, "put", pixel, stdin=refresh, says="refresh token")

    def test_an_unknown_family_is_a_mistake(self):
        self.refuses(2, "put", new_pixel(), "--family", "plain", stdin="{}")

    def test_without_a_check_a_token_is_needed(self):
        pixel, access, _, doc = self.document(with_access=False)
        self.refuses(2, "put", pixel, "--family", "accounts", "--no-check", stdin=json.dumps(doc), says="access_token")
        self.put_pair(pixel, dict(doc, access_token=access), "--no-check")
        self.assertEqual(access, self.get(pixel))

    def test_a_plain_token_put_over_it_ends_the_renewing(self):
        pixel, access, _, _ = self.stored_pair()
        plain = self.more_token(pixel)
        self.put(pixel, plain)
        self.assertIsNone(self.renewal(pixel))

    def test_destroyed_with_its_pixel(self):
        pixel, _, _, _ = self.stored_pair()
        self.vault("rm", pixel, "--destroy", "--yes")
        self.assertEqual([(0,)], self.sql("select count(*) from kv where k like '%/g/%'"))
        self.vault("verify")


class Moved(Refreshing):
    """A pair under the wrong Pixel goes where it belongs as a whole, and is renewed there alone."""

    def needy(self):
        """A Pixel whose token is dead and known to be."""
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        return pixel

    def pair_of(self, pixel, life=86400):
        """(access token, the document of a pair for it)."""
        _, access, refresh, doc = self.document(life)
        self.emu.ctl("token", access, "pixels=" + pixel, "kind=tt_user", "scopes=8", "refresh=" + refresh)
        return access, doc

    def grants(self):
        return self.sql("select count(*) from kv where k like '%/g/%'")[0][0]

    def renewed_there_only(self, right, wrong, access):
        """Half of its life of four seconds is over soon."""
        time.sleep(2.1)
        if not VIA_AGENT:
            self.once(rc=(0, 9, 10, 11))
        self.until(lambda: self.get(right) != access)
        self.assertEqual(1, len(self.refreshes()))
        self.assertEqual(1, self.grants())
        self.assertEqual("accounts", self.renewal(right)["family"])
        self.vault("verify")

    def test_from_beside_the_own_token_of_the_wrong_one(self):
        right = self.needy()
        wrong, own = self.stored()
        access, doc = self.pair_of(right, 4)
        r = self.put_pair(wrong, doc, rc=11)
        self.assertIn("vault move %s %s" % (wrong, right), r.err, say(r))
        self.vault("move", wrong, right)
        self.assertEqual([access, own], [self.get(right), self.get(wrong)])
        self.assertEqual(("healthy", "healthy"), (self.status(right)["verdict"], self.status(wrong)["verdict"]))
        self.assertIsNone(self.renewal(wrong))
        self.renewed_there_only(right, wrong, access)
        self.assertEqual(own, self.get(wrong))

    def test_from_the_place_of_the_current_one(self):
        right, wrong = self.needy(), new_pixel()
        self.emu.pixel(wrong)
        access, doc = self.pair_of(right, 4)
        self.put_pair(wrong, doc, "--no-check", "--test-code", "T1")
        self.vault("check", wrong, rc=11)
        self.vault("move", wrong, right)
        self.assertEqual("healthy", self.status(right)["verdict"])
        self.assertEqual(access, self.get(right))
        self.renewed_there_only(right, wrong, access)
        self.refuses(8, "put", wrong, "--family", "accounts", stdin=json.dumps(doc), says="already")

    def test_two_pairs_are_exchanged(self):
        (one, of_one, _, doc_one), (two, of_two, _, doc_two) = self.document(86400), self.document(86400)
        self.put_pair(one, doc_two, "--no-check", "--test-code", "T1")
        self.put_pair(two, doc_one, "--no-check", "--test-code", "T2")
        self.vault("check", rc=11)
        self.vault("swap", one, two)
        self.assertEqual([of_one, of_two], [self.get(one), self.get(two)])
        self.assertEqual(["accounts", "accounts"], [self.renewal(p)["family"] for p in (one, two)])
        self.assertEqual(2, self.grants())
        self.vault("verify")
        for pixel, refresh in ((one, doc_one), (two, doc_two)):
            held = self.json("match", stdin=refresh["refresh_token"])["matches"]
            self.assertIn(pixel, [m["pixel"] for m in held if m["stage"] == "current"])

    def test_one_whose_renewal_is_open_stays_where_it_is(self):
        right, wrong = self.needy(), new_pixel()
        self.emu.pixel(wrong)
        access, doc = self.pair_of(right, 2)
        self.put_pair(wrong, doc, "--no-check", "--test-code", "T1")
        self.vault("check", wrong, rc=11)
        self.emu.knob("refresh-lost", "on")
        time.sleep(2.1)
        self.until(lambda: self.vault("check", wrong, rc=None) and self.renewal(wrong)["unanswered_since"])
        before = self.get(wrong)
        self.refuses(8, "move", wrong, right, says="being renewed|nothing was moved")
        self.assertEqual((before, 1), (self.get(wrong), self.grants()))


@direct_only("a terminal of the command's own")
class Asked(Refreshing):
    def test_a_person_is_asked_for_one_after_the_other(self):
        pixel, access, refresh, doc = self.document(86400)
        t = self.terminal("put", pixel, "--family", "accounts")
        for prompt, answer in (("Client id for", APP), ("Client secret for", APP_SECRET), ("Refresh token for", refresh),
                               ("Access token for", access)):
            t.expect(prompt)
            t.send(answer + "\n")
        self.assertEqual(0, t.wait(), t.text())
        for secret in (APP_SECRET, refresh, access):
            self.assertNotIn(secret, t.text())
        self.assertEqual(access, self.get(pixel))

    def test_no_access_token_is_an_answer_too(self):
        pixel, access, refresh, doc = self.document(86400)
        t = self.terminal("put", pixel, "--family", "accounts")
        for prompt, answer in (("Client id for", APP), ("Client secret for", APP_SECRET), ("Refresh token for", refresh),
                               ("Access token for", "")):
            t.expect(prompt)
            t.send(answer + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertEqual(1, len(self.refreshes()))


@spread
class Renewed(Refreshing):
    @cases(accounts="accounts", login="login")
    def test_at_half_of_its_life_and_once_a_life(self, family):
        pixel, access, refresh, doc = self.stored_pair(4, family=family)
        self.once()
        self.assertNotDue(2)
        self.assertEqual([], self.refreshes(family))
        time.sleep(2.1)
        self.once()
        self.assertEqual(1, len(self.refreshes(family)))
        row = self.status(pixel)
        self.assertEqual((2, 1, "healthy"), (row["current"]["version"], row["previous"]["version"], row["verdict"]))
        self.assertNotEqual(access, self.get(pixel))
        self.assertEqual(access, self.get(pixel, "--previous"))
        self.once()
        self.assertEqual(1, len(self.refreshes(family)))
        self.vault("verify")
        self.assertEqual([(1,)], self.sql("select count(*) from kv where k like '%/g/%'"))

    def test_an_agent_does_it_by_itself_and_wakes_who_waits(self):
        pixel, access, _, _ = self.stored_pair(4)
        if not VIA_AGENT:
            del self.env["PIXELVAULT_VAULT"]
            self.configure(more="[agent]\nsocket = %s\n" % self.socket)
            self.start_agent()
            self.addCleanup(self.stop_agent)
        with harness.contextlib.closing(harness.UnixConnection(self.socket, timeout=30)) as c:
            c.request("GET", "/v1/pixels/%s/token" % pixel, headers={"If-None-Match": '"1"', "Prefer": "wait=20"})
            answer = c.getresponse()
            self.assertEqual((200, '"2"'), (answer.status, answer.getheader("ETag")))
            token = answer.read().decode()
        self.assertNotEqual(access, token)
        self.until(lambda: self.status(pixel)["verdict"] == "healthy")
        self.assertEqual(1, len(self.refreshes()))
        self.assertEqual(token, self.get(pixel))

    @cases(rotates="rotates", keeps="keeps")
    def test_whatever_refresh_token_comes_back_is_used_next(self, way):
        self.emu.knob("refresh", way)
        self.emu.knob("access-life", 3)
        pixel, _, refresh, _ = self.stored_pair(3)
        for version in (2, 3, 4):
            time.sleep(3.1)
            self.vault("check", pixel)
            self.assertGreaterEqual(self.status(pixel)["current"]["version"], version)
        self.assertTrue(all(l["code"] == "0" for l in self.refreshes()))

    def test_a_life_may_come_as_text(self):
        self.emu.knob("expires-in", "quoted")
        pixel, _, _, _ = self.document_fetched()
        row = self.status(pixel)
        self.assertMoment(row["current"]["expires_at"])

    def document_fetched(self):
        pixel, access, refresh, doc = self.document(with_access=False)
        self.stored_at = time.monotonic()
        self.put_pair(pixel, doc, "--test-code", "TEST12345")
        return pixel, access, refresh, doc

    def test_without_a_life_it_is_asked_each_interval(self):
        self.emu.knob("expires-in", "off")
        self.configure(check={"interval": "3s"})
        pixel, _, _, _ = self.document_fetched()
        self.assertIsNone(self.status(pixel)["current"]["expires_at"])
        if VIA_AGENT:
            self.until(lambda: len(self.refreshes()) > 1)
            return
        self.once()
        self.assertNotDue(3)
        self.assertEqual(1, len(self.refreshes()))
        time.sleep(3.1)
        self.once()
        self.assertEqual(2, len(self.refreshes()))

    def test_a_check_renews_what_has_run_out_and_nothing_else(self):
        pixel, access, _, _ = self.stored_pair(2)
        other, _, _, _ = self.stored_pair(86400)
        time.sleep(2.1)
        self.vault("check")
        self.assertEqual(1, len(self.refreshes()))
        self.assertEqual((2, 1), (self.status(pixel)["current"]["version"], self.status(other)["current"]["version"]))

    def test_a_token_found_expired_is_renewed_by_the_next_check(self):
        pixel, access, _, _ = self.stored_pair(86400)
        self.emu.expire(access)
        self.vault("check", pixel, rc=(10, 0))
        self.vault("check", pixel)
        row = self.status(pixel)
        self.assertEqual((2, "healthy"), (row["current"]["version"], row["verdict"]))

    def test_a_token_that_came_back_by_rollback_is_renewed_by_the_newest_pair(self):
        pixel, access, _, _ = self.stored_pair(2)
        self.emu.ctl("restore", access)
        time.sleep(1.1)
        self.until(lambda: (VIA_AGENT or self.once()) and self.status(pixel)["current"]["version"] == 2)
        self.vault("rollback", pixel)
        if not VIA_AGENT:  # which renews it by itself, and soon
            self.assertEqual(access, self.get(pixel))
        time.sleep(1.1)
        self.vault("check", pixel)
        row = self.status(pixel)
        self.assertEqual((3, 1), (row["current"]["version"], row["previous"]["version"]))
        self.vault("verify")


@spread
class Refused(Refreshing):
    def dead(self, how, family="accounts"):
        pixel, access, refresh, doc = self.document(2, family=family)
        self.emu.ctl(how, refresh)
        self.put_pair(pixel, doc, "--test-code", "TEST12345", family=family)
        return pixel, access, refresh, doc

    @cases(wrong=("revoke", "accounts", 40107), ended=("expire", "accounts", 40103), login=("revoke", "login", None))
    def test_a_dead_refresh_token_needs_a_person(self, how, family, code):
        pixel, access, _, doc = self.dead(how, family)
        time.sleep(2.1)
        self.until(lambda: self.vault("check", pixel, rc=(0, 10)).rc == 10)
        row = self.status(pixel)
        self.assertEqual(("expired", "refresh", code), (row["verdict"], row["evidence"]["probe"], row["evidence"]["code"]))
        self.assertRegex(row["advice"], "renews this token no more.*authorise the app again")
        self.assertMoment(row["renewal"]["refused_at"])
        self.assertIsNone(row["renewal"]["next_at"])
        asked = len(self.refreshes(family))
        self.assertEqual(2, asked)  # a second look decides
        # The token works for a while yet: senders get it, and nobody is told that all is well.
        self.assertEqual(access, self.get(pixel))
        self.vault("check", pixel, rc=10)
        self.assertEqual((asked, "expired"), (len(self.refreshes(family)), self.status(pixel)["verdict"]))
        self.vault("verify")

    def test_no_failover_to_a_pair_that_was_replaced(self):
        """It is older than the one that TikTok renews no more, and ends before it."""
        self.emu.knob("refresh", "keeps")
        pixel, access, refresh, _ = self.dead("restore")
        time.sleep(2.1)
        self.until(lambda: self.vault("check", pixel) and self.status(pixel)["current"]["version"] == 2)
        renewed = self.get(pixel)
        self.emu.revoke(renewed)
        self.emu.revoke(refresh)
        self.vault("check", pixel, rc=10)
        time.sleep(0.5)
        self.assertEqual(renewed, self.get(pixel))

    def test_what_a_person_brings_then_heals_it(self):
        pixel, access, refresh, doc = self.dead("revoke")
        time.sleep(2.1)
        self.until(lambda: self.vault("check", pixel, rc=(0, 10)).rc == 10)
        _, second, other, more = self.document(86400)
        self.emu.grant(second, pixel)
        self.put_pair(pixel, more)
        row = self.status(pixel)
        self.assertEqual((2, "healthy", None), (row["current"]["version"], row["verdict"], row["renewal"]["refused_at"]))

    def test_the_same_pair_put_again_is_tried_again(self):
        pixel, access, refresh, doc = self.dead("revoke")
        time.sleep(2.1)
        self.until(lambda: self.vault("check", pixel, rc=(0, 10)).rc == 10)
        self.emu.works_again(refresh)
        self.put_pair(pixel, dict(doc, expires_in=1))
        time.sleep(1.1)
        self.vault("check", pixel)
        self.assertEqual((2, "healthy"), (self.status(pixel)["current"]["version"], self.status(pixel)["verdict"]))

    @cases(accounts=("accounts", "client_secret"), login=("login", "client_secret"))
    def test_wrong_credentials_of_the_app_condemn_no_token(self, family, what):
        pixel, access, refresh, doc = self.document(2, family=family)
        self.put_pair(pixel, dict(doc, **{what: "another-secret"}), "--test-code", "TEST12345", family=family)
        time.sleep(2.1)
        checked = self.vault("check", pixel)
        row = self.status(pixel)
        self.assertEqual(("healthy", None, 1), (row["verdict"], row["renewal"]["refused_at"], row["current"]["version"]))
        self.assertIsNone(row["renewal"]["unanswered_since"])
        self.assertGreater(len(self.refreshes(family)), 0)
        if not VIA_AGENT:
            self.assertRegex(checked.err, "app id, secret")
        self.put_pair(pixel, dict(doc, expires_in=1), family=family)
        time.sleep(1.1)
        self.vault("check", pixel)
        self.assertEqual(2, self.status(pixel)["current"]["version"])

    def test_an_answer_that_was_lost_is_reported_for_what_it_is(self):
        pixel, access, refresh, doc = self.document(2)
        self.emu.knob("refresh-lost", "on")
        self.put_pair(pixel, doc, "--test-code", "TEST12345")
        time.sleep(2.1)
        if not VIA_AGENT:
            self.vault("check", pixel)
            row = self.status(pixel)
            self.assertEqual(("healthy", None), (row["verdict"], row["renewal"]["refused_at"]))
            self.assertMoment(row["renewal"]["unanswered_since"])
        else:
            self.until(lambda: self.renewal(pixel)["unanswered_since"])
        self.emu.knob("refresh-lost", "off")
        r = self.vault("check", pixel, rc=10)
        self.assertRegex(r.err + r.out.decode(), "TikTok may have changed the pair, and its answer was lost: authorise the app again")
        row = self.status(pixel)
        self.assertEqual(("expired", 40107), (row["verdict"], row["evidence"]["code"]))
        self.assertIn("its answer was lost", row["advice"])

    def test_a_lost_answer_does_no_harm_where_the_refresh_token_stays(self):
        self.emu.knob("refresh", "keeps")
        pixel, access, _, _ = self.stored_pair(2)
        self.emu.ctl("restore", access)
        self.emu.knob("refresh-lost", "on")
        time.sleep(2.1)
        self.vault("check", pixel)
        self.emu.knob("refresh-lost", "off")
        self.vault("check", pixel)
        row = self.status(pixel)
        self.assertEqual((2, "healthy", None), (row["current"]["version"], row["verdict"], row["renewal"]["unanswered_since"]))

    @cases(refused_connection=("refuse", False), server_trouble=("code-50002", True), html=("502-html", True), throttled=("code-40100", False))
    def test_what_passes_is_tried_again(self, fault, may_be_lost):
        if VIA_AGENT and fault == "code-40100":
            self.skipTest("direct only: an agent asks before the check does, and the second throttle pauses for five minutes")
        pixel, access, _, _ = self.stored_pair(4)
        self.emu.ctl("restore", access)
        options = {} if fault == "refuse" else {"path": "/tt_user/oauth2/refresh_token/"}
        self.emu.fault(fault, **options)
        self.assertNotDue(2)
        time.sleep(4.1)
        self.vault("check", pixel, rc=(0, 9))
        row = self.status(pixel)
        self.assertEqual(("healthy", 1, None), (row["verdict"], row["current"]["version"], row["renewal"]["refused_at"]))
        self.assertEqual(may_be_lost, row["renewal"]["unanswered_since"] is not None)
        self.emu.no_faults()
        time.sleep(1.1)
        self.vault("check", pixel)
        self.assertEqual((2, None), (self.status(pixel)["current"]["version"], self.renewal(pixel)["unanswered_since"]))

    def test_the_end_of_the_refresh_token_is_told_in_time(self):
        pixel, _, _, _ = self.stored_pair(86400, refresh_token_expires_in=20 * 86400)
        self.vault("check", pixel, rc=14)
        self.assertRegex(self.status(pixel)["advice"], "refresh token ends on .*authorise the app again")


class Once(Refreshing):
    """Single flight, and never an old pair over a new one."""

    def test_many_at_once_ask_once(self):
        pixel, access, _, _ = self.stored_pair(2)
        time.sleep(2.1)
        self.emu.knob("delay-ms", 300)
        running = [self.start("check", pixel) for _ in range(6)]
        ended = [(p.communicate(timeout=120), p.returncode) for p in running]
        self.assertEqual({0}, {rc for _, rc in ended} - {8}, ended)
        self.assertEqual(1, len(self.refreshes()))
        self.assertEqual(2, self.status(pixel)["current"]["version"])

    @direct_only("starts an agent of its own")
    def test_an_agent_and_commands_beside_it_ask_once(self):
        """All of them find it due at the same moment, and TikTok takes its time."""
        pixel, access, _, _ = self.stored_pair(2)
        time.sleep(2.1)
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        self.emu.knob("delay-ms", 1000)
        self.start_agent()
        self.addCleanup(self.stop_agent)
        running = [self.start("check", pixel) for _ in range(3)]  # PIXELVAULT_VAULT: the file itself
        for p in running:
            p.communicate(timeout=120)
        self.assertEqual(1, len(self.refreshes()))
        self.assertEqual(2, self.status(pixel)["current"]["version"])

    def agent_asks(self, check=None, **tiktok):
        """(Pixel, old token) of a refresh of an agent's, which is at TikTok."""
        pixel, access, _, _ = self.stored_pair(2)
        time.sleep(2.1)
        self.configure(more="[agent]\nsocket = %s\n" % self.socket, tiktok=tiktok, check={**self.check, **(check or {})})
        self.start_agent()
        self.addCleanup(self.stop_agent)
        self.until(self.refreshes)
        return pixel, access

    def lock_while_it_is_asked(self, later=0, **more):
        """The same, and a lock of that agent under way: the environment leads to the agent."""
        pixel, access = self.agent_asks(**more)
        asked = self.asked_at()
        self.env.pop("PIXELVAULT_VAULT")
        time.sleep(later)
        return pixel, access, self.start("lock"), asked

    @direct_only("starts an agent of its own")
    def test_an_agent_that_is_locked_meanwhile_stores_the_pair_and_hands_out_nothing(self):
        self.emu.knob("delay-ms", 2500)
        pixel, access, locking, asked = self.lock_while_it_is_asked()
        self.until(lambda: self.vault("get", pixel, rc=None).rc == 4)
        is_waiting = locking.poll() is None
        self.assertStill(time.monotonic() - asked, 2.4, "TikTok has answered")
        self.assertTrue(is_waiting, "it waits for the pair")
        out, err = locking.communicate(timeout=60)
        self.assertEqual(0, locking.returncode, err)
        self.emu.knob("delay-ms", 0)
        self.vault("get", pixel, rc=4)
        self.env["PIXELVAULT_VAULT"] = self.file
        self.assertEqual((2, None), (self.status(pixel)["current"]["version"], self.renewal(pixel)["unanswered_since"]))
        self.assertNotEqual(access, self.get(pixel))
        self.assertEqual(1, len(self.refreshes()))
        self.vault("audit", "verify")

    @direct_only("starts an agent of its own")
    def test_an_agent_that_is_locked_does_not_wait_without_end(self):
        self.emu.fault("silence", path=PATHS[self.family])
        pixel, access, locking, _ = self.lock_while_it_is_asked(timeout="2s")
        begun = time.monotonic()
        out, err = locking.communicate(timeout=60)
        self.assertEqual(0, locking.returncode, err)
        self.assertSoon(time.monotonic() - begun, 6)
        self.emu.no_faults()
        self.env["PIXELVAULT_VAULT"] = self.file
        self.assertEqual(access, self.get(pixel))
        self.assertMoment(self.renewal(pixel)["unanswered_since"])

    def assertStored(self, pixel, access):
        self.emu.knob("delay-ms", 0)
        self.env["PIXELVAULT_VAULT"] = self.file
        self.assertEqual((2, None), (self.status(pixel)["current"]["version"], self.renewal(pixel)["unanswered_since"]))
        self.assertNotEqual(access, self.get(pixel))
        self.assertEqual(1, len(self.refreshes()))

    @direct_only("starts an agent of its own")
    def test_an_agent_that_is_told_to_end_while_it_locks_ends_when_the_pair_is_stored(self):
        self.emu.knob("delay-ms", 2500)
        pixel, access, locking, asked = self.lock_while_it_is_asked()
        self.until(lambda: self.vault("get", pixel, rc=None).rc == 4)
        self.stop_agent()
        self.assertSoon(time.monotonic() - asked, 6)
        locking.communicate(timeout=60)
        self.assertStored(pixel, access)

    @direct_only("starts an agent of its own")
    def test_who_locks_or_unlocks_meanwhile_waits_too(self):
        self.emu.knob("delay-ms", 2500)
        pixel, access, locking, asked = self.lock_while_it_is_asked()
        self.until(lambda: self.vault("get", pixel, rc=None).rc == 4)
        self.assertStill(time.monotonic() - asked, 2, "TikTok has answered")
        others = [self.start(word) for word in ("unlock", "lock")]  # whichever is first there
        for p in others:
            self.assertEqual(0, p.wait(60))
            self.assertGreater(time.monotonic() - asked, 2.4, "the pair is not yet stored")
        self.assertEqual(0, locking.wait(60))
        self.vault("unlock")
        self.emu.knob("delay-ms", 0)
        self.assertNotEqual(access, self.get(pixel))
        self.assertStored(pixel, access)

    def hold_the_store(self):
        holder = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("begin immediate")
        return holder

    @direct_only("starts an agent of its own")
    def test_an_agent_that_is_locked_tries_again_to_store_the_pair(self):
        self.emu.knob("delay-ms", 2500)
        pixel, access, locking, asked = self.lock_while_it_is_asked()
        holder = self.hold_the_store()
        self.assertStill(time.monotonic() - asked, 2.4, "TikTok has answered")
        time.sleep(2.5 + 6)
        self.assertIsNone(locking.poll(), "it tries again")
        holder.execute("rollback")
        self.assertEqual(0, locking.wait(60))
        self.assertStored(pixel, access)

    @direct_only("starts an agent of its own")
    def test_a_pair_that_could_not_be_stored_is_told(self):
        self.emu.knob("delay-ms", 1500)
        pixel, access, locking, asked = self.lock_while_it_is_asked()
        holder = self.hold_the_store()
        self.assertStill(time.monotonic() - asked, 1.4, "TikTok has answered")
        self.assertEqual(0, locking.wait(60))
        holder.execute("rollback")
        with open(self.path("agent.log")) as f:
            self.assertRegex(f.read(), pixel + ": the new pair of tokens .* is lost: .*authorise the app again")

    @direct_only("starts an agent of its own")
    def test_a_refusal_that_was_not_confirmed_before_a_lock_leaves_nothing_open(self):
        self.emu.fault("code-40103", path=PATHS[self.family])
        pixel, access, locking, asked = self.lock_while_it_is_asked(later=1, check={"confirm-delay": "5s"})
        self.assertEqual(0, locking.wait(60))
        self.assertStill(time.monotonic() - asked, 4.9, "it was asked a second time")
        self.emu.no_faults()
        self.env["PIXELVAULT_VAULT"] = self.file
        self.assertEqual((1, None), (self.status(pixel)["current"]["version"], self.renewal(pixel)["unanswered_since"]))

    @direct_only("starts an agent of its own")
    def test_a_refresh_that_was_not_sent_before_a_lock_leaves_nothing_open(self):
        """It waits for a list that TikTok does not give: one of both is under way at a time."""
        self.emu.fault("silence", path="/bc/asset/get/")
        self.configure(more="[agent]\nsocket = %s\n" % self.socket, tiktok={"timeout": "60s"})
        pixel, access, _, _ = self.stored_pair(12)
        self.start_agent()
        self.addCleanup(self.stop_agent)
        self.env.pop("PIXELVAULT_VAULT")
        listing = self.start("listing", "put", "bc:7100000000000000001", stdin=self.token())
        self.until(lambda: any("/bc/asset/get/" in l["path"] for l in self.emu.log()))
        self.assertNotDue(6)
        self.until(lambda: self.renewal(pixel)["unanswered_since"])
        self.vault("lock")
        listing.communicate(timeout=60)
        self.env["PIXELVAULT_VAULT"] = self.file
        self.assertEqual([], self.refreshes())
        self.assertIsNone(self.renewal(pixel)["unanswered_since"])
        self.assertEqual((access, "unreachable"), (self.get(pixel), self.status(pixel)["last_attempt"]["outcome"]))

    @direct_only("starts an agent of its own")
    def test_the_root_key_is_not_changed_before_the_pair_is_stored(self):
        self.emu.knob("delay-ms", 3500)
        pixel, access = self.agent_asks()
        self.assertStill(time.monotonic() - self.asked_at(), 1.5, "TikTok may answer before it is asked for")
        self.assertIn("waiting, for a minute at most: TikTok is renewing", self.vault("rotate-key").err)
        self.assertStored(pixel, access)
        self.env.pop("PIXELVAULT_VAULT")
        self.until(lambda: self.vault("get", pixel, rc=None).out.decode() not in ("", access))

    @direct_only("starts agents of its own")
    def test_two_agents_ask_once(self):
        """The second is refused the vault; what it would do at the same time, --once does."""
        pixel, access, _, _ = self.stored_pair(2)
        time.sleep(2.1)
        self.emu.knob("delay-ms", 500)
        running = [self.start("--once", "--config", self.config, program=harness.AGENT) for _ in range(4)]
        for p in running:
            p.communicate(timeout=120)
        self.assertEqual(1, len(self.refreshes()))

    def slow_check(self, pixel, seconds=1.5):
        """A check whose refresh is at TikTok for so long."""
        self.emu.knob("delay-ms", int(seconds * 1000))
        running = self.start("check", pixel)
        self.until(lambda: self.refreshes())
        return running

    def test_what_a_person_put_meanwhile_stays(self):
        pixel, access, _, _ = self.stored_pair(2)
        _, second, _, doc = self.document(86400)
        self.emu.grant(second, pixel)
        time.sleep(2.1)
        running = self.slow_check(pixel, 3)
        asked = self.asked_at()
        self.put_pair(pixel, doc, "--no-check")
        self.assertStill(time.monotonic() - asked, 2.9, "TikTok has answered")
        running.communicate(timeout=60)
        self.emu.knob("delay-ms", 0)
        row = self.status(pixel)
        self.assertEqual(second, self.get(pixel))
        if not VIA_AGENT:  # an agent has renewed it once before, at half of its life
            self.assertEqual((2, 1), (row["current"]["version"], len(self.refreshes())))
        self.vault("check", pixel)
        self.assertEqual(second, self.get(pixel))

    def test_a_pending_token_stays_pending(self):
        pixel, access, _, _ = self.stored_pair(4)
        stranger = self.token()
        self.put(pixel, stranger, rc=10)
        if VIA_AGENT:  # which renews it at half of its life, and by itself
            self.assertNotDue(2)
        time.sleep(4.1)
        self.vault("check", pixel)
        row = self.status(pixel)
        self.assertEqual((3, 2, 1), (row["current"]["version"], row["pending"]["version"], row["previous"]["version"]))

    def test_the_old_pair_put_again_is_refused(self):
        pixel, access, refresh, doc = self.stored_pair(2)
        time.sleep(2.1)
        self.vault("check", pixel)
        token = self.get(pixel)
        for again in (doc, {k: v for k, v in doc.items() if k != "access_token"}):
            self.refuses(8, "put", pixel, "--family", "accounts", stdin=json.dumps(again), says="replaced by a refresh")
        self.assertEqual(token, self.get(pixel))

    def test_killed_while_tiktok_answers(self):
        """The next run knows that an answer may have been lost."""
        if VIA_AGENT:
            self.skipTest("direct only: it kills the command that asks")
        pixel, access, _, _ = self.stored_pair(2)
        self.emu.ctl("restore", access)
        time.sleep(2.1)
        running = self.slow_check(pixel)
        running.kill()
        running.communicate()
        self.emu.knob("delay-ms", 0)
        self.assertMoment(self.renewal(pixel)["unanswered_since"])
        self.assertEqual(access, self.get(pixel))
        time.sleep(1.6)
        r = self.vault("check", pixel, rc=10)
        self.assertIn("its answer was lost", self.status(pixel)["advice"], say(r))


@direct_only("the agent's vault lies on the same disk for all tests")
@unittest.skipUnless(os.geteuid() == 0, "needs root")
class OnAFullDisk(Refreshing):
    """TikTok has made a new pair, and the disk has no room for it: the old one is worth nothing any more."""

    def renewing(self):
        """A check whose refresh is at TikTok, while the vault's disk fills up."""
        small = self.path("small")
        os.mkdir(small, 0o700)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small], capture_output=True, text=True)
        if r.returncode:
            self.skipTest("mount is not possible here: " + r.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", small], capture_output=True)
        self.file = self.env["PIXELVAULT_VAULT"] = os.path.join(small, "v", "vault.db")
        self.key, self.state = self.path("key2"), self.path("state2")
        self.configure()
        self.init()
        pixel, access, _, _ = self.stored_pair(2)
        time.sleep(2.1)
        self.emu.knob("delay-ms", 3000)
        running = self.start("check", pixel)
        self.until(self.refreshes)
        self.filler = os.path.join(small, "filler")
        with contextlib.suppress(OSError), open(self.filler, "wb", buffering=0) as f:
            while True:
                f.write(b"x" * 512)
        return pixel, access, running

    def test_the_pair_is_kept_until_there_is_room(self):
        pixel, access, running = self.renewing()
        time.sleep(5)
        self.assertIsNone(running.poll(), "it holds the pair, and tries again")
        os.remove(self.filler)
        out, err = running.communicate(timeout=60)
        self.assertEqual(0, running.returncode, err)
        self.emu.knob("delay-ms", 0)
        self.assertEqual((2, None), (self.status(pixel)["current"]["version"], self.renewal(pixel)["unanswered_since"]))
        self.assertNotEqual(access, self.get(pixel))
        self.assertEqual(1, len(self.refreshes()))
        self.vault("verify")

    def test_a_command_does_not_wait_for_it_without_end(self):
        pixel, access, running = self.renewing()
        out, err = running.communicate(timeout=60)
        self.assertEqual(10, running.returncode, err)  # the token has run out, whatever else
        self.assertIn(b"could not be stored", err)
        os.remove(self.filler)
        self.emu.knob("delay-ms", 0)
        self.assertEqual(access, self.get(pixel))
        self.assertMoment(self.renewal(pixel)["unanswered_since"])


@direct_only("it kills the command at its system calls")
@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class Killed(Refreshing):
    """kill -9 at every system call of a check that renews a pair, courier and all."""
    POINTS = 60

    def test_a_whole_pair_or_the_note_that_an_answer_may_be_lost(self):
        pixel, access, refresh, _ = self.stored_pair(2)
        self.emu.ctl("restore", access)
        time.sleep(2.1)
        self.save("base")
        folder, env, fill = self.twin("killed")
        counter = os.path.join(folder, "count")

        def step(n):
            fill()
            # TikTok as it was then: the old refresh token is good, and whatever it made since is forgotten.
            self.emu.works_again(refresh)
            self.emu.reset()
            done = subprocess.run([STEPPER, counter, str(n), VAULT, "check", pixel, "--json"], env=traced(env), capture_output=True,
                                  timeout=120)
            self.assertNotEqual(125, done.returncode, done.stderr)
            with open(counter) as f:
                return done.returncode, int(f.read())
        rc, stops = step(0)
        self.assertEqual(0, rc)
        points = list(range(1, stops + 1))
        if not os.environ.get("SOAK"):
            points = sorted(harness.rng.sample(points, min(self.POINTS, stops)))
        seen = {"before": 0, "whole": 0, "lost": 0}
        for n in points:
            rc, _ = step(n)
            self.vault("verify", env=env)
            row = self.json("status", pixel, env=env)["pixels"][0]
            asked = len(self.refreshes())  # who was killed behind sending it was so before TikTok had it
            self.assertLessEqual(asked, 1)
            version, is_open = row["current"]["version"], row["renewal"]["unanswered_since"] is not None
            token = self.vault("get", pixel, env=env).out.decode()
            at = "killed at %d of %d" % (n, stops)
            if version == 2:
                seen["whole"] += 1
                self.assertEqual((1, False), (asked, is_open), at)
                self.assertNotEqual(access, token, at)
            else:
                self.assertEqual((1, access), (version, token), at)
                seen["lost" if asked else "before"] += 1
                self.assertLessEqual(asked, is_open, at + ": TikTok was asked, and nothing is known of it")
            # The next run ends well, or says what happened.
            self.emu.no_faults()
            end = self.vault("check", pixel, rc=None, env=env)
            row = self.json("status", pixel, env=env)["pixels"][0]
            if asked and version == 1:
                self.assertEqual((10, "expired"), (end.rc, row["verdict"]), at)
                self.assertIn("its answer was lost", row["advice"], at)
            else:
                self.assertEqual((0, 2, "healthy"), (end.rc, row["current"]["version"], row["verdict"]), at + say(end))
            self.vault("verify", env=env)
        harness.notes.append("a check that renews: killed at %d of %d syscall stops: %s" % (len(points), stops, seen))
        self.assertGreater(seen["before"], 0)
        self.assertGreater(seen["whole"] + seen["lost"], 0)


@direct_only("it looks into the file")
class Hidden(Refreshing):
    def test_no_way_out(self):
        """Refresh token and client secret stand in no output and in no file, and no command hands them out."""
        pixel, access, refresh, _ = self.stored_pair(2)
        time.sleep(2.1)
        outputs = [self.vault("check", pixel), self.vault("check", pixel, "--json"), self.vault("status", "--json"),
                   self.vault("history", pixel, "--json"), self.vault("list", "--json"), self.vault("get", pixel, "--json"),
                   self.vault("get", pixel, "--version", "1"), self.vault("audit", "show", "--json"), self.vault("config", "show"),
                   self.vault("verify", "--json"), self.vault("run", "--env", "X=" + pixel, "--", "env")]
        hidden = [s.encode() for s in self.hidden]
        for r in outputs:
            for secret in hidden:
                self.assertNotIn(secret, r.out + r.err.encode(), say(r))
                self.assertNotIn(secret[4:], r.out, say(r))
        for name, data in self.files().items():
            for secret in hidden + [access.encode()]:
                self.assertNotIn(secret, data, name)

    def test_a_reader_of_the_format_finds_it_and_nobody_else_does(self):
        pixel, access, refresh, _ = self.stored_pair(2)
        plain, _ = self.stored()
        time.sleep(2.1)
        vault = reader.open_vault(self.file, self.key)
        (v,) = vault.credential(pixel)["versions"]
        self.assertEqual((APP, APP_SECRET, refresh), vault.grant(vault.credential(pixel), v))
        self.assertEqual(1, v["family"])
        self.vault("check", pixel)
        vault = reader.open_vault(self.file, self.key)
        c = vault.credential(pixel)
        old, new = c["versions"]
        self.assertIsNone(vault.grant(c, old))
        self.assertEqual((APP, APP_SECRET), vault.grant(c, new)[:2])
        self.assertNotEqual(refresh, vault.grant(c, new)[2])
        self.assertEqual(self.get(pixel), vault.token(c, new))
        rest = set(vault.rows) - vault.expected_keys()
        self.assertEqual(set(), vault.expected_keys() - set(vault.rows))
        self.assertEqual(set(), {k for k in rest if k.split("/")[1] not in "hcad"})
        self.assertNotIn("grant_fingerprint", vault.credential(plain)["versions"][0])

    def rows(self):
        return [k.decode() for (k,) in self.sql("select k from kv where k like '%/g/%' order by k")]

    def test_a_record_that_was_exchanged_is_noticed(self):
        one, _, _, _ = self.stored_pair(2)
        other, _, _, _ = self.stored_pair(2)
        a, b = self.rows()
        (va,), (vb,) = (self.sql("select v from kv where k = ?", k)[0] for k in (a, b))
        self.sql("update kv set v = ? where k = ?", vb, a)
        self.sql("update kv set v = ? where k = ?", va, b)
        self.refuses(7, "verify", says="what renews version 1")
        time.sleep(2.1)
        asked = len(self.refreshes())
        self.vault("check", rc=None)
        self.assertEqual(asked, len(self.refreshes()))

    def test_one_that_was_deleted_or_added_is_noticed(self):
        pixel, _, _, _ = self.stored_pair(86400)
        (row,) = self.rows()
        (value,) = self.sql("select v from kv where k = ?", row)[0]
        self.sql("delete from kv where k = ?", row)
        self.refuses(7, "verify", says="is missing")
        self.sql("insert into kv values (?, ?, 1)", row, value)
        self.vault("verify")
        self.sql("insert into kv values (?, ?, 1)", row[:-1] + "2", value)
        self.refuses(7, "verify", says="added")


if __name__ == "__main__":
    unittest.main()
