"""Histories of tokens and of TikTok, and what people are told of them: verdicts as the table says, few messages, none of
them lost, and nothing taken from consumers by a single bad answer (T34)."""

import datetime
import json
import os
import re
import signal
import subprocess
import time
import unittest

import receivers
from harness import AGENT, PATIENCE, Case, _tokens, direct_only, new_token, say


class Alerts(Case):
    """One webhook, `self.hook`, that is told everything."""

    sinks = {"ops": {"min-severity": "info"}}

    def setUp(self):
        super().setUp()
        self.hook = receivers.Https()
        self.addCleanup(self.hook.close)
        self.set_sinks()
        self.taken, self.known = 0, set()

    def set_sinks(self, more="", **keys):
        text = ""
        for name, given in self.sinks.items():
            full = {"type": "webhook", "url": self.hook.url("/hook"), "ca-file": receivers.ca_file(), "time-limit": "20s",
                    **given, **keys}
            text += "[alert %s]\n" % name + "".join("%s = %s\n" % (k, v) for k, v in full.items())
        self.configure(more=text + more)

    def told(self):
        """The messages since the last call, each once: one whose answer came too late is sent again under its number."""
        found = [m for m in self.received() if m["message_id"] not in self.known]
        self.known.update(m["message_id"] for m in found)
        return found

    def received(self):
        with self.hook.lock:
            new = self.hook.requests[self.taken:]
            self.taken += len(new)
        for r in new:
            for word in re.findall(rb"[0-9a-f]{40}", r.body):
                self.assertNotIn(word.decode(), _tokens, "a token in a message")
        return [json.loads(r.body) for r in new if r.body]

    def once(self, *args, rc=0):
        return self.agent("--once", "-q", *args, rc=rc)

    def events(self):
        return [m["event"] for m in self.told()]

    def store_many(self, count, *options):
        return [self.stored_with(*options) for _ in range(count)]

    def stored_with(self, *options):
        pixel, token = self.pair()
        self.put(pixel, token, "--test-code", "TEST12345", *options)
        return pixel, token


@direct_only("cron's way: no agent")
class Once(Alerts):
    def test_a_person_leaving_is_one_alert_that_names_the_label(self):
        anna = self.store_many(6, "--label", "minted-by=anna", "--label", "env=prod")
        self.store_many(8, "--label", "minted-by=bert", "--label", "env=prod")
        self.once()
        self.assertEqual([], self.told())
        for _, token in anna:
            self.emu.revoke(token)
        r = self.once(rc=10)
        self.assertEqual(6, len([l for l in r.err.splitlines() if "vault-agent: " in l and "hint" not in l]), say(r))
        [m] = self.told()
        self.assertEqual(("alert", "critical", "refused", "revoked", 6), (m["event"], m["severity"], m["kind"], m["verdict"],
                                                                         m["count"]), m)
        self.assertIn("minted-by=anna", m["title"])
        self.assertEqual({p for p, _ in anna}, {e["pixel"] for e in m["pixels"]})
        self.once(rc=10)
        self.assertEqual([], self.told(), "known already")
        [a] = self.json("alert")["alerts"]
        self.assertEqual((m["id"], "open", 6), (a["id"], a["state"], a["count"]))
        for pixel, _ in anna:
            self.put(pixel, self.more_token(pixel), "--test-code", "TEST12345")
        self.once()
        [m2] = self.told()
        self.assertEqual(("recovery", m["id"], 6), (m2["event"], m2["id"], m2["count"]), m2)
        self.once()
        self.assertEqual([], self.told())

    def test_an_outage_and_throttling_and_an_answer_that_makes_no_sense_are_no_alerts(self):
        pixels = [self.stored()[0] for _ in range(4)]
        self.once()
        for fault, rc in (("503", 9), ("code-40133", 9), ("unknown-code", 16), ("code-40105", 9)):
            with self.subTest(fault):
                self.emu.fault(fault)
                self.once(rc=(9, 16) if rc == 16 else rc)
                self.emu.no_faults()
                self.assertEqual([], self.told())
                for p in pixels:
                    self.assertEqual("healthy", self.status(p)["verdict"])
                    self.get(p)
                if fault == "code-40133":
                    time.sleep(1.2)

    def test_most_of_them_refused_at_once_is_an_outage_until_three_sweeps_agree(self):
        pairs = self.store_many(4)
        self.once()
        for _, token in pairs:
            self.emu.revoke(token)
        for _ in range(2):
            self.once(rc=9)
            self.assertEqual([], self.told())
            self.assertEqual({"healthy"}, {p["verdict"] for p in self.json("status")["pixels"]})
        self.once(rc=10)
        [m] = self.told()
        self.assertEqual((4, "revoked"), (m["count"], m["verdict"]))

    def test_one_bad_answer_takes_nothing_from_anybody(self):
        pixel, token = self.stored()
        self.stored()
        self.once()
        self.emu.fault("code-40105", times=1)
        self.once(rc=(0, 9))
        self.assertEqual([], self.told())
        self.assertEqual("healthy", self.status(pixel)["verdict"])
        self.assertEqual(token, self.get(pixel))

    def test_flapping_is_few_messages_and_the_end_is_told(self):
        pixel, token = self.stored()
        self.stored()
        seen = []
        for _ in range(4):
            self.emu.revoke(token)
            self.once(rc=10)
            self.emu.works_again(token)
            self.once()
            seen += self.events()
        self.assertEqual(["alert", "recovery", "alert"], seen)
        [a] = self.json("alert")["alerts"]
        self.assertEqual("recovering", a["state"])

    def test_slow_recovery_is_told_when_the_last_one_is_well(self):
        pairs = self.store_many(3)
        self.stored()
        self.stored()
        self.stored()
        self.once()
        for _, token in pairs:
            self.emu.revoke(token)
        self.once(rc=10)
        self.assertEqual(["alert"], self.events())
        for pixel, token in pairs:
            self.assertEqual([], self.told())
            self.emu.works_again(token)
            self.once(rc=0 if pixel == pairs[-1][0] else 10)
        self.assertEqual(["recovery"], self.events())

    def test_what_ends_soon_is_told_once_a_step(self):
        pixel, token = self.pair()
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
        self.put(pixel, token, "--expires", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.once(rc=14)
        self.once(rc=14)
        [m] = self.told()
        self.assertEqual(("alert", "warning", "due"), (m["event"], m["severity"], m["kind"]))
        self.assertIn("expires within 7d", m["title"])

    def test_a_failover_is_one_alert_until_a_new_token_is_there(self):
        pixel, old = self.stored()
        new = self.more_token(pixel)
        self.put(pixel, new)
        self.stored()
        self.configure_failover()
        self.emu.revoke(new)
        self.once(rc=10)
        [m] = self.told()
        self.assertEqual(("alert", "warning", "stand-in", "revoked"), (m["event"], m["severity"], m["kind"], m["verdict"]))
        self.assertEqual(old, self.get(pixel))
        self.once()
        self.assertEqual([], self.told())
        self.put(pixel, self.more_token(pixel))
        self.once()
        self.assertEqual(["recovery"], self.events())

    def configure_failover(self):
        text = self.read(self.config).decode().replace("[check]\n", "[check]\nfailover = yes\n")
        self.write(self.config, text)

    # ---- delivery ----

    def stored_list(self, name="bc:7100000000000000001"):
        """A listing token of its own, and a Pixel that it lists and that works by itself."""
        pixel, _ = self.stored_with()
        lister = new_token()
        self.emu.ctl("pixel", pixel, name.replace("bc:", "bc="))
        self.emu.ctl("token", lister, "kind=marketing", "scopes=8,15", "pixels=" + pixel)
        self.vault("listing", "put", name, stdin=lister)
        return name, lister

    def test_a_listing_token_that_dies_is_told_and_so_is_its_recovery(self):
        name, lister = self.stored_list()
        self.store_many(2)
        self.once()
        self.emu.revoke(lister)
        self.once(rc=10)
        [m] = self.told()
        self.assertEqual(("alert", "warning", "listing", "revoked", 1, "1 listing token: revoked"), tuple(
            m[k] for k in ("event", "severity", "kind", "verdict", "count", "title")), m)
        [entry] = m["pixels"]
        self.assertEqual((name, "revoked"), (entry["pixel"], entry["verdict"]))
        self.assertIn("listing put " + name, entry["advice"])
        [a] = self.json("alert")["alerts"]
        self.assertEqual(("open", "listing", [name]), (a["state"], a["kind"], a["pixels"]))
        self.assertIn("1 listing token: revoked", self.vault("alert").out.decode())
        metrics = os.path.join(self.state, "metrics.prom")
        self.assertIn('pixelvault_listings{verdict="revoked"} 1\n', open(metrics).read())
        self.assertIn('pixelvault_alerts{severity="warning"} 1\n', open(metrics).read())
        self.once(rc=10)
        self.assertEqual([], self.told())
        self.emu.works_again(lister)
        self.once()
        [m2] = self.told()
        self.assertEqual(("recovery", m["id"], 1), (m2["event"], m2["id"], m2["count"]), m2)
        self.assertIn('pixelvault_listings{verdict="healthy"} 1\n', open(metrics).read())

    def test_a_dead_list_and_dead_pixels_are_two_causes_and_removing_the_list_ends_its_own(self):
        name, lister = self.stored_list()
        dead = self.store_many(2, "--label", "minted-by=anna")
        self.store_many(4)
        for token in [lister] + [t for _, t in dead]:
            self.emu.revoke(token)
        self.once(rc=10)
        self.assertEqual([("listing", 1), ("refused", 2)], sorted((m["kind"], m["count"]) for m in self.told()))
        self.vault("listing", "rm", name)
        self.once(rc=10)
        self.assertEqual([("recovery", "listing")], [(m["event"], m["kind"]) for m in self.told()])

    def test_a_listing_token_that_is_old_is_told(self):
        name, _ = self.stored_list()
        self.vault("rm", self.json("list")["pixels"][0]["pixel"])
        self.write(self.config, self.read(self.config).decode().replace("[check]\n", "[check]\nmax-age = 1s\n"))
        time.sleep(2.1)
        self.assertRegex(self.once(rc=14).err, name)
        [m] = self.told()
        self.assertEqual(("alert", "warning", "listing-due", None), tuple(m[k] for k in ("event", "severity", "kind", "verdict")))
        self.assertEqual("1 listing token: the token is older than max-age", m["title"])

    def test_a_sink_that_fails_is_told_later_and_only_the_newest(self):
        pixel, token = self.stored()
        self.stored()
        self.hook.status = "500 no"
        self.emu.revoke(token)
        r = self.once(rc=10)
        self.assertIn("did not arrive", r.err)
        [first] = self.told()
        [sink] = self.json("alert")["sinks"]
        self.assertEqual((1, 1), (sink["waits"], sink["tries"]))
        self.emu.works_again(token)
        self.once()
        self.hook.status = "200 OK"
        [a] = self.json("alert")["alerts"]
        self.assertEqual("recovery", a["sinks"][0]["waits"])
        self.assertEqual(first["id"], a["id"])

    def test_killed_behind_the_note_and_before_the_answer_it_is_sent_again_under_the_same_number(self):
        pixel, token = self.stored()
        self.stored()
        self.hook.mode = "hang"
        self.emu.revoke(token)
        child = subprocess.Popen([AGENT, "--once", "-q"], env=self.env, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20 * PATIENCE
        while not self.hook.requests and time.monotonic() < end:
            time.sleep(0.01)
        child.kill()
        child.wait()
        [first] = self.received()
        self.hook.mode = "answer"
        self.once(rc=10)
        again = self.received()
        self.assertEqual({first["message_id"]}, {m["message_id"] for m in again})

    def test_one_that_hangs_keeps_no_other_waiting(self):
        other = receivers.Https()
        self.addCleanup(other.close)
        self.hook.mode = "hang"
        self.set_sinks("[alert slow]\ntype = webhook\nurl = %s\nca-file = %s\n" % (other.url(), receivers.ca_file()),
                       **{"time-limit": "1s"})
        _, token = self.stored()
        self.emu.revoke(token)
        self.once(rc=10)
        self.assertEqual(1, len(other.requests))
        self.assertEqual({"ops": "alert", "slow": None}, {s["sink"]: s["waits"] for s in self.json("alert")["alerts"][0]["sinks"]})

    def test_check_by_hand_alerts_too_and_nobody_repeats_it(self):
        _, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", "-q", rc=10)
        self.assertEqual(["alert"], self.events())
        self.once(rc=10)
        self.assertEqual([], self.told())

    def test_a_book_that_is_lost_is_begun_anew(self):
        _, token = self.stored()
        self.emu.revoke(token)
        self.once(rc=10)
        self.assertEqual(["alert"], self.events())
        self.drop_book()
        self.vault("verify")
        self.once(rc=10)
        self.assertEqual(["alert"], self.events())

    def drop_book(self):
        before = self.sql("SELECT count(*) FROM kv WHERE k LIKE '%/a/alert%'")[0][0]
        self.assertGreaterEqual(before, 2)
        self.sql("DELETE FROM kv WHERE k LIKE '%/a/alert%'")

    # ---- one run of cron's ----

    def test_the_ping_comes_with_each_good_sweep_and_no_other(self):
        self.set_sinks("[alert alive]\ntype = ping\nurl = %s\nca-file = %s\n" % (self.hook.url("/ping"), receivers.ca_file()))
        pixel, token = self.stored()
        self.once()
        pings = lambda: len([r for r in self.hook.requests if r.path == "/ping"])
        self.assertEqual(1, pings())
        self.once(pixel)
        self.emu.fault("503")
        self.once(rc=9)
        self.assertEqual(1, pings())
        self.emu.no_faults()
        self.emu.revoke(token)
        self.once(rc=10)
        self.assertEqual(2, pings())
        self.assertEqual(["alert"], self.events())

    def test_numbers_for_prometheus(self):
        pixel, token = self.stored()
        self.vault("label", pixel, "weight=50")
        self.emu.revoke(token)
        file = self.path("textfile", "pixelvault.prom")
        os.mkdir(self.path("textfile"))
        self.once("--metrics-file", file, rc=10)
        text = self.read(file).decode()
        self.assertRegex(text, r'(?m)^pixelvault_alerts\{severity="critical"\} 1$')
        self.assertRegex(text, r"(?m)^pixelvault_alert_oldest_seconds \d+$")
        self.assertRegex(text, r"(?m)^pixelvault_conversion_hours_at_risk \d+$")
        self.assertRegex(text, r"(?m)^pixelvault_alert_messages_waiting 0$")
        self.assertEqual([os.path.basename(file)], os.listdir(self.path("textfile")), "replaced whole")
        r = self.agent("--once", "--metrics-file", "/nowhere/f", rc=10)
        self.assertIn("/nowhere", r.err)

    def test_the_deadline_ends_it_and_keeps_what_was_answered(self):
        for _ in range(12):
            self.stored()
        self.set_rate()
        began = time.monotonic()
        self.once("--deadline", "1s", rc=9)
        self.assertSoon(time.monotonic() - began, 3)
        asked = [p for p in self.json("status")["pixels"] if p["checked_at"]]
        self.assertTrue(asked)
        self.refuses_span()

    def set_rate(self):
        self.write(self.config, self.read(self.config).decode().replace("rate = 1000", "rate = 4"))

    def refuses_span(self):
        for option in ("--deadline", "--splay"):
            self.assertIn(option, self.agent("--once", option, "soon", rc=2).err)
            self.assertIn(option, self.agent("--once", option, rc=2).err)

    def test_a_run_that_was_missed_is_said_at_the_next_command(self):
        pixel, _ = self.stored()
        self.once()
        self.assertEqual("", self.vault("status").err)
        self.write(self.config, self.read(self.config).decode().replace("[check]\n", "[check]\ninterval = 1s\n"))
        time.sleep(3.1)
        for command in (("status",), ("list",), ("label", pixel)):
            self.assertRegex(self.vault(*command).err, r"^vault: the last check of all Pixels was \d+[sm] ago, 'interval' is 1s.*\n$")
        self.assertEqual("", self.vault("get", pixel).err)
        self.assertEqual("", self.vault("status", "-q").err)
        checked = time.monotonic()
        self.once()
        said = self.vault("status").err
        self.assertStill(time.monotonic() - checked, 1.9, "the next is overdue by now")
        self.assertEqual("", said)

    def test_splay_waits_and_silence_stays(self):
        self.stored()
        r = self.once("--splay", "1s")
        self.assertEqual((b"", ""), (r.out, r.err))


if __name__ == "__main__":
    unittest.main()
