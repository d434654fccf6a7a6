"""Listing tokens: many Pixels proven with one call a page; what a list may conclude, and what it may not."""

import os
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import Case, PATIENCE, STEPPER, VAULT, VIA_AGENT, cases, direct_only, new_pixel, new_token, spread, traced

CENTER, ACCOUNT = "7100000000000000001", "7200000000000000001"
BC, ADVERTISER = "bc:" + CENTER, "advertiser:" + ACCOUNT
ASSETS, PIXELS, TRACK = ("/open_api/v1.3" + p for p in ("/bc/asset/get/", "/pixel/list/", "/event/track/"))


class Listing(Case):
    check = {"interval": "90d", "probe": "dry"}

    def pixels(self, count, *options, stored=5):
        """Pixels of our Business Center and ad account, the first of them stored with the one token that reaches them all."""
        codes, token = [new_pixel() for _ in range(count)], new_token()
        for code in codes:
            self.emu.ctl("pixel", code, "bc=" + CENTER, "advertiser=" + ACCOUNT)
        self.emu.ctl("token", token, "kind=marketing", "scopes=8,15", "pixels=" + ",".join(codes))
        for code in codes[:stored]:
            self.vault("put", code, "--no-check", *options, stdin=token)
        return codes, token

    def put_list(self, token, name=BC, **more):
        return self.object(self.vault("listing", "put", name, "--json", stdin=token, **more))

    def picked(self, doc, *keys):
        return tuple(doc[k] for k in keys)

    def listing(self, name=BC):
        return {l["listing"]: l for l in self.json("listing", "list")["listings"]}[name]

    def calls(self, path):
        return [l for l in self.emu.log() if l["path"] == path]

    def sight(self, pixel, name=BC):
        return {s["listing"]: s for s in self.status(pixel)["listings"]}.get(name)

    def says(self, pixel, name=BC):
        sight = self.sight(pixel, name)
        return sight and (sight["says"], sight["own"], sight["readings"])

    def verdict(self, pixel):
        return self.status(pixel)["verdict"]


@spread
class Storing(Listing):
    def test_a_token_is_stored_and_its_list_read_at_once(self):
        codes, token = self.pixels(3)
        self.emu.ctl("pixel", new_pixel(), "bc=" + CENTER)  # not the token's
        doc = self.put_list(token)
        self.assertEqual((BC, 1, "current", "healthy", 1, 3, 3), tuple(
            doc[k] for k in ("listing", "version", "stage", "verdict", "pages", "listed", "stored")))
        for code in codes:
            row = self.status(code)
            self.assertEqual(("healthy", "listing", 0), (row["verdict"], row["evidence"]["probe"], row["evidence"]["code"]))
            self.assertEqual(("listed", True, 1), self.says(code))
        self.assertEqual([], self.calls(TRACK))
        self.assertRegex(self.listing()["evidence"]["message"], "3 Pixels on 1 page, 3 of them stored")
        self.assertEqual("GET", self.calls(ASSETS)[0]["method"])
        self.vault("verify")

    def test_it_is_no_pixel_anywhere(self):
        codes, token = self.pixels(1)
        self.put_list(token)
        self.assertEqual(codes, [p["pixel"] for p in self.json("list")["pixels"]])
        board = self.json("status")
        self.assertEqual((codes, [BC]), ([p["pixel"] for p in board["pixels"]], [l["listing"] for l in board["listings"]]))
        self.assertNotIn("listings", self.json("status", codes[0]).keys())
        for words in (("get", BC), ("status", BC), ("history", BC), ("rm", BC), ("check", BC)):
            self.refuses(15, *words)
        self.refuses(15, "put", BC)
        self.assertRegex(self.vault("status").out.decode(), BC)

    @cases(a_pixel="C9ABCDEFGHIJKLMNOPQR", bare=CENTER, kind="shop:7100000000001")
    def test_other_names_are_refused(self, name):
        self.refuses(15, "listing", "put", name, stdin=new_token(), says="bc:ID or advertiser:ID")

    def test_words_that_make_no_sense(self):
        self.refuses(2, "listing", "show", says="listing put")
        self.refuses(2, "listing", "put", says="name of a list")
        self.refuses(2, "listing", "list", BC, says="no name")
        self.assertNotIn("xyzzyxyzzyxyzzyxyzzyxyzzyxyzzyxyzzyxyzzy", self.vault("listing", "x" * 20 + "yzzy" * 5, rc=(2, 15)).err)

    def test_a_token_that_is_none_stores_nothing(self):
        self.refuses(15, "listing", "put", BC, stdin="two words of it")
        self.assertEqual([], self.json("listing", "list")["listings"])

    def test_the_same_token_again_is_nothing_to_do(self):
        codes, token = self.pixels(1)
        self.put_list(token)
        before = self.emu.requests()
        doc = self.put_list("  Bearer %s\n" % token)
        self.assertEqual((True, 1, ["blanks", "line-ends", "bearer"]), (doc["unchanged"], doc["version"], sorted(doc["removed"], key=["blanks", "line-ends", "bearer"].index)))
        self.assertEqual(before, self.emu.requests())

    def test_a_new_token_takes_over_when_it_reads_the_list(self):
        codes, token = self.pixels(1)
        self.put_list(token)
        dead, good = new_token(), new_token()
        self.emu.ctl("token", good, "kind=marketing", "scopes=15", "pixels=" + codes[0])
        doc = self.put_list(dead, rc=10)
        self.assertEqual(("pending", "revoked"), (doc["stage"], doc["verdict"]))
        self.assertRegex(self.vault("listing", "put", BC, stdin=new_token(), rc=10).err, r"waits as version 3: revoked.*\n.*authorise the app")
        self.vault("check")
        self.assertEqual(1, self.listing()["current"]["version"])
        self.assertEqual("current", self.put_list(good)["stage"])
        self.vault("verify")

    def test_no_answer_keeps_the_first_token_and_leaves_the_next_waiting(self):
        codes, token = self.pixels(1)
        self.emu.fault("code-50000", path="/bc/asset/get/")
        self.assertEqual(("current", "unchecked"), self.picked(self.put_list(token), "stage", "verdict"))
        other = new_token()
        self.emu.ctl("token", other, "kind=marketing", "scopes=15", "pixels=" + codes[0])
        self.assertEqual("pending", self.put_list(other, rc=9)["stage"])
        self.emu.no_faults()
        self.vault("check")
        self.assertEqual((2, "healthy"), (self.listing()["current"]["version"], self.listing()["verdict"]))

    def test_removed_it_says_nothing_any_more(self):
        codes, token = self.pixels(2)
        self.put_list(token)
        self.assertEqual("removed", self.json("listing", "rm", BC)["state"])
        self.assertEqual(([], None), (self.json("listing", "list")["listings"], self.sight(codes[0])))
        before = len(self.calls(ASSETS))
        self.vault("check")
        self.assertEqual(before, len(self.calls(ASSETS)))
        self.put_list(token)
        self.refuses(2, "listing", "rm", BC, "--destroy", "--no-input", says="--yes")
        self.assertEqual("destroyed", self.json("listing", "rm", BC, "--destroy", "--yes")["state"])
        self.assertEqual(("current", 2), self.picked(self.put_list(token), "stage", "version"))
        self.refuses(3, "listing", "rm", ADVERTISER, says="no listing token is stored")
        self.vault("verify")

    def test_for_people_it_is_told_in_a_line(self):
        codes, token = self.pixels(1)
        self.assertIn("no listing token is stored", self.vault("listing", "list").err)
        t = self.terminal("listing", "list")
        self.assertEqual(0, t.wait(), t.text())
        self.assertNotIn("LISTING", t.text())
        self.emu.fault("code-50000", path="/bc/asset/get/")
        self.assertRegex(self.vault("listing", "put", BC, stdin=token).err, "version 1 is stored, but the list could not be read")
        self.emu.no_faults()
        self.assertIn("this token is in use already, as version 1", self.vault("listing", "put", BC, stdin=token).err)
        self.assertRegex(self.vault("listing", "put", ADVERTISER, "--no-check", stdin=token).err, "unread as you asked")
        r = self.vault("listing", "list")
        self.assertRegex(r.out.decode(), r"(?m)^%s +unchecked +2\S+Z +2\S+Z +-$" % BC)
        self.assertRegex(r.out.decode(), r"(?m)^%s +unchecked +- " % ADVERTISER)
        # One that TikTok refuses comes first, in red, and with what to do about it.
        self.emu.revoke(token)
        self.vault("check", rc=None)
        t = self.terminal("listing", "list")
        self.assertEqual(0, t.wait(), t.text())
        self.assertRegex(t.text(), r"LISTING.*VERDICT.*READ.*NEXT.*EVIDENCE")
        self.assertIn("\033[1;31mrevoked", t.text())
        self.assertRegex(t.text(), r"\n\n(.*\n)*%s  \w+" % BC)
        self.vault("listing", "rm", BC)
        self.assertIn("is removed already; nothing to do", self.vault("listing", "rm", BC).err)

    def test_its_tokens_are_destroyed_when_that_is_typed(self):
        codes, token = self.pixels(1)
        self.vault("listing", "put", BC, "--no-check", stdin=token)
        for answer, rc, says in (("no\n", 1, "not confirmed"), ("\x04", 1, "not confirmed"), ("yes\n", 0, "destroyed")):
            t = self.terminal("listing", "rm", BC, "--destroy")
            t.expect("Destroy every token of %s for good" % BC)
            t.send(answer)
            self.assertEqual(rc, t.wait(), t.text())
            self.assertIn(says, t.text())
            self.assertEqual(1 if rc else 0, len(self.json("listing", "list")["listings"]))
        self.vault("verify")


@spread
class Reading(Listing):
    def test_pages_of_an_ad_account_are_read_to_the_last(self):
        codes, token = self.pixels(41)
        self.assertEqual((3, 41, 5), self.picked(self.put_list(token, ADVERTISER), "pages", "listed", "stored"))
        self.assertEqual({"healthy"}, {p["verdict"] for p in self.json("status")["pixels"]})
        self.assertEqual(3, len(self.calls(PIXELS)))
        self.vault("check")
        self.assertEqual((6, 0), (len(self.calls(PIXELS)), len(self.calls(TRACK))))

    def test_beside_another_token_it_is_only_a_note(self):
        codes, token = self.pixels(1)
        other, stray = new_pixel(), new_pixel()
        own = new_token()
        self.emu.ctl("pixel", other, "bc=" + CENTER)
        self.emu.grant(token, other)
        self.emu.pixel(stray)
        self.emu.token(own, other, stray)
        for pixel in (other, stray):
            self.put(pixel, own)
        self.put_list(token)
        self.vault("check")
        self.assertEqual(("unproven", ("listed", False, 2)), (self.verdict(other), self.says(other)))
        self.assertIsNone(self.sight(stray))
        self.assertLessEqual({other, stray}, set(l["pixel"] for l in self.calls(TRACK)))
        self.assertNotIn(codes[0], [l["pixel"] for l in self.calls(TRACK)])
        self.emu.ctl("pixel", other, "relation=UNBOUND")
        for _ in range(3):
            self.vault("check")
        self.assertEqual(("unproven", ("unbound", False, 3)), (self.verdict(other), self.says(other)))
        self.assertRegex(self.status(other)["advice"], BC + "' tells this Pixel as unbound since")

    @cases(second=1, third=2)
    def test_a_page_that_is_lost_concludes_nothing(self, after):
        codes, token = self.pixels(42)
        self.put_list(token, ADVERTISER)
        before = self.json("status")["pixels"]
        self.emu.ctl("pixel", codes[0], "advertiser=" + "73" + "0" * 16)
        self.emu.fault("code-50000", path="/pixel/list/", after=after)
        r = self.vault("check", rc=9)
        self.assertRegex(r.err, ADVERTISER + ": no answer of TikTok's")
        self.assertEqual(after + 1, len(self.calls(PIXELS)) - 3)
        self.assertEqual(5, len(self.calls(TRACK)))
        for was, now in zip(before, self.json("status")["pixels"]):
            self.assertEqual((was["verdict"], was["listings"]), (now["verdict"], now["listings"]))
        self.assertEqual("healthy", self.listing(ADVERTISER)["verdict"])

    @cases(bc=(BC, "8"), advertiser=(ADVERTISER, "15"))
    def test_a_missing_scope_is_the_tokens_own_affair(self, name, scopes):
        codes, token = self.pixels(2)
        lister = new_token()
        self.emu.ctl("token", lister, "kind=marketing", "scopes=" + scopes, "pixels=" + ",".join(codes))
        doc = self.put_list(lister, name, rc=11)
        self.assertEqual(("pending", "no-permission"), (doc["stage"], doc["verdict"]))
        self.vault("listing", "put", name, "--no-check", stdin=lister)
        r = self.vault("check", rc=11)
        self.assertRegex(r.err, name + ": no-permission.*does not grant you")
        self.assertRegex(r.err, "listing put " + name)
        for code in codes:
            self.assertEqual(("unproven", []), (self.verdict(code), self.status(code)["listings"]))
        self.assertEqual("no-permission", self.listing(name)["verdict"])

    def test_a_dead_listing_token_has_its_own_line(self):
        codes, token = self.pixels(1)
        lister = new_token()
        self.emu.ctl("token", lister, "kind=marketing", "scopes=8,15", "pixels=" + codes[0])
        self.put_list(lister)
        self.emu.revoke(lister)
        r = self.vault("check", rc=10)
        self.assertRegex(r.err, BC + ": revoked: TikTok answered 40105")
        self.assertRegex(r.err, "authorise the app again, then 'vault listing put " + BC)
        self.assertEqual(("revoked", 40105), (self.listing()["verdict"], self.listing()["evidence"]["code"]))
        self.assertEqual(("unproven", ("listed", False, 1)), (self.verdict(codes[0]), self.says(codes[0])))
        self.assertRegex(self.vault("status").out.decode(), BC + r"\s+revoked")
        self.assertIn(BC, self.vault("check", "--nagios", rc=2).out.decode())
        self.emu.works_again(lister)
        self.put_list(new_token(), ADVERTISER, rc=10)  # one that was never any use counts as well
        self.vault("check", rc=10)
        self.vault("listing", "rm", ADVERTISER)
        self.vault("check")
        self.assertEqual("healthy", self.listing()["verdict"])

    def test_a_dead_listing_token_stands_on_the_page(self):
        codes, token = self.pixels(2)
        lister = new_token()
        self.emu.ctl("token", lister, "kind=marketing", "scopes=8,15", "pixels=" + codes[0])
        self.put_list(lister)
        page = lambda *options: self.vault("status", "--html", "-", *options).out.decode()
        self.assertRegex(page(), "<h1>pixelvault: 0 of 2 Pixels and 0 of 1 listing token need you</h1>")
        self.emu.revoke(lister)
        self.vault("check", rc=10)
        self.assertIn("<title>0 of 2 Pixels and 1 of 1 listing token need you - pixelvault</title>", page())
        self.assertRegex(page(), "<details class=b>.*<code>%s</code>.*listing put %s.*reads the Pixels of a Business Center" % (BC, BC))
        self.assertNotIn(BC, page("-l", "brand=none"))

    def test_refused_for_the_list_alone_it_is_not_called_dead(self):
        codes, token = self.pixels(1)
        self.put_list(token)
        self.emu.fault("code-40105", path="/bc/asset/get/")
        r = self.vault("check", rc=16)
        self.assertEqual(("healthy", "unknown"), (self.listing()["verdict"], self.listing()["last_attempt"]["outcome"]))
        self.assertRegex(r.err, BC)


class Later(Listing):
    def test_a_list_that_came_since_the_last_check_is_read_before_any_pixel_is_asked_about(self):
        _, token = self.pixels(5)
        for _ in range(2):  # the second one knows that there is none
            self.vault("check")
        self.put_list(token)
        for _ in range(2):
            self.emu.reset()
            self.vault("check")
            self.assertEqual((True, 0), (bool(self.calls(ASSETS)), len(self.calls(TRACK))))


@spread
class Losing(Listing):
    def lose(self, pixel, how):
        self.emu.ctl("pixel", pixel, *(["relation=" + how] if how.isupper() else ["bc=" + "74" + "0" * 16]))

    @cases(unbound="UNBOUND", absent="absent")
    def test_what_it_holds_no_more_is_suspected_then_refused(self, how):
        codes, token = self.pixels(2)
        self.put_list(token)
        self.lose(codes[0], how)
        self.vault("check")
        self.assertEqual(("healthy", (how.lower(), True, 1)), (self.verdict(codes[0]), self.says(codes[0])))
        self.assertEqual([codes[0]], [l["pixel"] for l in self.calls(TRACK)])
        r = self.vault("check", rc=11)
        row = self.status(codes[0])
        self.assertEqual(("mismatched" if how == "absent" else "no-permission", "listing"), (row["verdict"], row["evidence"]["probe"]))
        self.assertRegex(r.err, codes[0] + ": (mismatched|no-permission).*" + BC)
        self.assertRegex(row["advice"], BC)
        self.assertEqual("healthy", self.verdict(codes[1]))
        h = self.json("history", codes[0])
        self.assertEqual(("listing", how.lower()), (h["verdicts"][-1]["probe"], h["listings"][0]["says"]))
        self.assertRegex(self.vault("history", codes[0]).out.decode(), "listed by %s with this very token: %s" % (BC, how.lower()))
        self.vault("check", rc=11)
        self.emu.ctl("pixel", codes[0], "relation=BOUND", "bc=" + CENTER)
        self.vault("check")
        self.assertEqual("healthy", self.verdict(codes[0]))

    def test_a_proof_of_its_own_outweighs_any_number_of_readings(self):
        self.configure(check={"probe": None})
        codes, token = self.pixels(2, "--test-code", "TEST12345")
        self.put_list(token)
        self.lose(codes[0], "UNBOUND")
        for _ in range(3):
            self.vault("check")
        row = self.status(codes[0])
        self.assertEqual(("healthy", "test", ("unbound", True, 3)), (row["verdict"], row["evidence"]["probe"], self.says(codes[0])))
        self.assertRegex(row["advice"], "unbound")

    def test_refused_by_its_own_probe_too_it_is_sure_at_once(self):
        self.configure(check={"probe": None})
        codes, token = self.pixels(2, "--test-code", "TEST12345")
        self.put_list(token)
        self.emu.ungrant(token, codes[0])
        self.vault("check", rc=11)
        self.assertIn(self.verdict(codes[0]), ("mismatched", "no-permission"))

    def test_two_lists_that_see_it(self):
        codes, token = self.pixels(2)
        self.put_list(token)
        self.put_list(token, ADVERTISER)
        self.lose(codes[0], "UNBOUND")  # of the Business Center; the ad account has it still
        self.vault("check")
        time.sleep(1.1)  # so that what the ad account's list proves is newer than the other's first word
        self.vault("check")
        self.assertEqual(("healthy", "unbound", "listed"), (self.verdict(codes[0]), self.says(codes[0])[0], self.says(codes[0], ADVERTISER)[0]))
        self.emu.ctl("pixel", codes[0], "status=UNBOUND")
        self.vault("check")
        self.assertEqual("healthy", self.verdict(codes[0]))
        self.vault("check", rc=11)
        self.assertEqual("no-permission", self.verdict(codes[0]))

    def test_most_of_a_list_gone_at_once_takes_three_readings(self):
        codes, token = self.pixels(5)
        self.put_list(token)
        for code in codes[:4]:
            self.lose(code, "absent")
        for _ in range(2):
            self.vault("check")
            self.assertEqual({"healthy"}, {p["verdict"] for p in self.json("status")["pixels"]})
        self.vault("check", rc=11)
        self.assertEqual(4, [p["verdict"] for p in self.json("status")["pixels"]].count("mismatched"))


class Killed(Listing):
    def in_the_middle(self, *words, stdin=b"", pages=1):
        """The command, stopped for good while it waits for the page behind these."""
        self.emu.fault("silence", path="/pixel/list/", after=pages)
        child = self.start(*words, stdin=stdin)
        end = time.monotonic() + 30 * PATIENCE
        while len(self.calls(PIXELS)) < pages:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        time.sleep(0.1)
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.emu.no_faults()

    @direct_only("kills the program that reads")
    def test_between_two_pages_of_a_check(self):
        codes, token = self.pixels(41)
        self.vault("listing", "put", ADVERTISER, "--no-check", stdin=token)
        self.in_the_middle("check")
        self.assertEqual({("unchecked", 0)}, {(p["verdict"], len(p["listings"])) for p in self.json("status")["pixels"]})
        self.vault("verify")
        self.vault("check")
        self.assertEqual({"healthy"}, {p["verdict"] for p in self.json("status")["pixels"]})
        self.assertEqual([], self.calls(TRACK))

    @direct_only("kills the program that puts")
    def test_between_two_pages_of_a_put_the_token_is_not_lost(self):
        codes, token = self.pixels(41)
        self.in_the_middle("listing", "put", ADVERTISER, stdin=token.encode(), pages=2)
        self.assertEqual((None, 1), (self.listing(ADVERTISER)["current"], self.listing(ADVERTISER)["pending"]["version"]))
        self.vault("verify")
        self.vault("check")
        self.assertEqual((1, "healthy"), (self.listing(ADVERTISER)["current"]["version"], self.listing(ADVERTISER)["verdict"]))


    @unittest.skipUnless(VIA_AGENT, "kills the agent that reads")
    def test_an_agent_between_two_pages(self):
        codes, token = self.pixels(41)
        self.put_list(token, ADVERTISER)
        before = self.json("status")["pixels"]
        read = len(self.calls(PIXELS))
        self.emu.fault("silence", path="/pixel/list/", after=1)
        child = self.start("check")
        end = time.monotonic() + 30 * PATIENCE
        while len(self.calls(PIXELS)) <= read:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        keeper, self.keeper = self.keeper, None
        keeper.kill()
        keeper.wait()
        child.wait()
        self.keeper_log.close()
        self.emu.no_faults()
        self.start_agent()
        self.assertEqual(before, self.json("status")["pixels"])
        self.vault("check")
        self.vault("verify")
        self.assertEqual({("listed", True, 2)}, {self.says(code, ADVERTISER) for code in codes[:5]})


@direct_only("it kills the command at its system calls")
@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
@spread
class KilledAnywhere(Listing):
    """kill -9 at system calls of a put, and of a check that reads a list; all of them with SOAK."""
    POINTS = 6

    @cases(put=True, check=False)
    def test_nothing_is_lost_and_the_next_check_finishes_it(self, is_put):
        codes, token = self.pixels(21, stored=2)
        if not is_put:
            self.vault("listing", "put", ADVERTISER, "--no-check", stdin=token)
        words = ["listing", "put", ADVERTISER] if is_put else ["check"]
        self.save("base")
        folder, env, fill = self.twin("killed")
        counter = os.path.join(folder, "count")

        def step(n):
            fill()
            done = subprocess.run([STEPPER, counter, str(n), VAULT, *words], input=token.encode(), env=traced(env),
                                  capture_output=True, timeout=120)
            self.assertNotEqual(125, done.returncode, done.stderr)
            with open(counter) as f:
                return done.returncode, int(f.read())
        rc, stops = step(0)
        self.assertEqual(0, rc)
        points = list(range(1, stops + 1))
        if not os.environ.get("SOAK"):
            points = sorted(harness.rng.sample(points, min(self.POINTS, stops)))
        for n in points:
            step(n)
            at = "killed at %d of %d" % (n, stops)
            self.vault("verify", env=env)
            for row in self.json("status", env=env)["pixels"]:
                self.assertIn((row["verdict"], len(row["listings"])), (("unchecked", 0), ("healthy", 1)), at)
            lists = self.json("listing", "list", env=env)["listings"]
            self.assertTrue(is_put or lists, at)
            self.vault("check", env=env)
            for l in self.json("listing", "list", env=env)["listings"]:
                self.assertEqual((1, "healthy", None), (l["current"]["version"], l["verdict"], l["pending"]), at)
            verdicts = {row["verdict"] for row in self.json("status", env=env)["pixels"]}
            self.assertEqual({"healthy"} if lists else {"unproven"}, verdicts, at)


@unittest.skipUnless(VIA_AGENT, "an agent takes a thousand tokens quickly; it and a direct check then read the list")
class Thousand(Listing):
    def put_all(self, codes, token):
        def some(part):
            c = harness.UnixConnection(self.socket)
            for code in part:
                c.request("PUT", "/v1/pixels/%s/token?check=no" % code, body=token)
                r = c.getresponse()
                r.read()
                self.assertEqual(200, r.status)
            c.close()
        threads = [threading.Thread(target=some, args=(codes[i::16],)) for i in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def test_a_thousand_pixels_are_proven_in_twenty_calls(self):
        codes, token = [new_pixel() for _ in range(1000)], new_token()
        for code in codes:
            self.emu.ctl("pixel", code, "bc=" + CENTER)
        self.emu.ctl("token", token, "kind=marketing", "scopes=15", "pixels=" + ",".join(codes))
        self.put_all(codes, token)
        self.assertEqual((20, 1000, 1000), self.picked(self.put_list(token), "pages", "listed", "stored"))
        self.assertEqual(20, self.emu.requests())
        self.vault("check")
        self.assertEqual(40, self.emu.requests())
        self.vault("--vault", self.file, "check")
        self.assertEqual((60, []), (self.emu.requests(), self.calls(TRACK)))
        rows = self.json("status")["pixels"]
        self.assertEqual((1000, {("healthy", "listing")}), (len(rows), {(p["verdict"], p["evidence"]["probe"]) for p in rows}))


if __name__ == "__main__":
    unittest.main()
