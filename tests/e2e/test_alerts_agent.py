"""Alerts of an agent that runs: what its sweeps, reports and puts find is told once, in order, by a process that may be
killed at any time; hours pass at once (tests/support/agent_by_clock.c)."""

import json
import os
import re
import unittest

import receivers
from harness import _tokens, new_token
from test_agent_clocks import DAY, HOUR, Moved


class Running(Moved):
    uses_emulator = True
    check = {"interval": "6h", "rate": "1000", "confirm-delay": "0s"}

    def setUp(self):
        self.hook = receivers.Https()
        super().setUp()
        self.addCleanup(self.hook.close)
        self.taken, self.known = 0, set()

    def configure(self, **sections):
        super().configure(more=self.sink("ops", "/hook", "type = webhook", "min-severity = info", "remind = 1d", "time-limit = 3s"),
                          **sections)

    def sink(self, name, path, *keys):
        return "[alert %s]\n%s\nurl = %s\nca-file = %s\n" % (name, "\n".join(keys), self.hook.url(path), receivers.ca_file())

    def told(self):
        """The messages since the last call, each once: while one is on its way an hour may pass here, and then it is sent once
        more, under the same number."""
        with self.hook.lock:
            new = self.hook.requests[self.taken:]
            self.taken += len(new)
        found = []
        for r in new:
            for word in re.findall(rb"[0-9a-f]{40}", r.body):
                self.assertNotIn(word.decode(), _tokens, "a token in a message")
            m = json.loads(r.body)
            if m["message_id"] not in self.known:
                self.known.add(m["message_id"])
                found.append(m)
        return found

    def waits_for(self, count, seconds=15):
        found = []

        def is_there():
            found.extend(self.told())
            return len(found) >= count
        self.until(is_there, seconds, "%d messages" % count)
        return found

    def settled(self):
        """All that was found so far was looked at."""
        self.turn()
        self.pass_by(61)
        self.turn()
        self.turn()

    def check_all(self):
        return self.asks(200, "POST", "/v1/check", b"{}")

    def many(self, count, *options):
        made = []
        for _ in range(count):
            pixel, token = self.pair()
            self.put(pixel, token, "--test-code", "TEST12345", *options)
            made.append((pixel, token))
        return made

    def test_a_person_leaving_is_one_alert_and_one_recovery(self):
        anna = self.many(6, "--label", "minted-by=anna")
        self.many(8, "--label", "minted-by=bert")
        self.start_agent()
        self.check_all()
        for _, token in anna:
            self.emu.revoke(token)
        self.check_all()
        [m] = self.waits_for(1)
        self.assertEqual(("alert", 6), (m["event"], m["count"]), m)
        self.assertIn("minted-by=anna", m["title"])
        self.check_all()
        self.settled()
        self.assertEqual([], self.told())
        for pixel, token in anna:
            self.emu.works_again(token)
            self.asks(200, "POST", "/v1/pixels/%s/check" % pixel, b"{}")
        [m2] = self.waits_for(1)
        self.assertEqual(("recovery", m["id"], 6), (m2["event"], m2["id"], m2["count"]), m2)
        self.assertRegex(self.asks(200, "GET", "/metrics").decode(), r'(?m)^pixelvault_alerts\{severity="critical"\} 0$')

    def test_a_listing_token_that_dies_is_told_stands_on_the_page_and_recovers(self):
        name = "bc:7100000000000000001"
        (pixel, token), = self.many(1)
        lister = new_token()
        self.emu.ctl("pixel", pixel, name.replace(":", "="))
        self.emu.ctl("token", lister, "kind=marketing", "scopes=8,15", "pixels=" + pixel)
        self.start_agent()
        self.asks(200, "PUT", "/v1/listings/%s/token" % name, lister.encode())
        self.assertIn("0 of 1 Pixel and 0 of 1 listing token need you", self.asks(200, "GET", "/v1/board").decode())
        self.emu.revoke(lister)
        self.check_all()
        [m] = self.waits_for(1)
        self.assertEqual(("alert", "listing", "revoked", [name]),
                         (m["event"], m["kind"], m["verdict"], [e["pixel"] for e in m["pixels"]]))
        board = self.asks(200, "GET", "/v1/board").decode()
        self.assertIn("0 of 1 Pixel and 1 of 1 listing token need you", board)
        self.assertRegex(board, "class=b.*<code>%s</code>.*listing put %s" % (name, name))
        self.assertIn('\npixelvault_listings{verdict="revoked"} 1\n', self.asks(200, "GET", "/metrics").decode())
        told = self.asks(200, "GET", "/v1/alerts")["alerts"]
        self.assertEqual([("open", [name])], [(a["state"], a["pixels"]) for a in told])
        self.end_agent()
        self.start_agent()
        self.settled()
        self.assertEqual([], self.told())
        self.emu.works_again(lister)
        self.vault("check")  # by another process: the agent sees what it stored
        self.assertEqual(["recovery"], [m["event"] for m in self.waits_for(1)])
        self.vault("listing", "rm", name)
        self.until(lambda: "listing" not in self.asks(200, "GET", "/v1/board").decode(), 15, "a page without the list")

    def test_a_report_is_told_and_a_restart_repeats_nothing(self):
        (pixel, token), *_ = self.many(4)
        self.start_agent()
        self.emu.revoke(token)
        self.asks(202, "POST", "/v1/pixels/%s/report" % pixel, json.dumps({"code": 40105}))
        [m] = self.waits_for(1)
        self.assertEqual([pixel], [e["pixel"] for e in m["pixels"]])
        self.end_agent()
        self.start_agent()
        self.settled()
        self.assertEqual([], self.told())
        self.pass_by(DAY)
        [m2] = self.waits_for(1)
        self.assertEqual(("reminder", m["id"]), (m2["event"], m2["id"]))
        self.vault("alert", "ack", m["id"], env={"PIXELVAULT_VAULT": None})
        for _ in range(3):
            self.pass_by(DAY)
            self.settled()
        self.assertEqual([], self.told())
        self.put_through_agent(pixel)
        self.assertEqual(["recovery"], [m["event"] for m in self.waits_for(1)])

    def put_through_agent(self, pixel):
        """Days that pass at once look like a courier that hangs: it may just be started again, and the token waits."""
        answer = self.http("PUT", "/v1/pixels/%s/token?test-code=TEST12345" % pixel, self.more_token(pixel).encode())
        self.assertIn(answer[0], (200, 202), answer)

        def is_healthy():
            return b'"verdict":"healthy"' in self.http("GET", "/v1/pixels/%s" % pixel)[2]
        self.until(lambda: is_healthy() or (self.check_all() and is_healthy()), 10, "%s is healthy" % pixel)

    def test_a_sink_that_fails_for_an_hour_is_told_the_end_and_delays_nobody(self):
        (pixel, token), *_ = self.many(4)
        other = receivers.Https()
        self.addCleanup(other.close)
        self.write(self.config, self.read(self.config).decode() + "[alert other]\ntype = webhook\nurl = %s\nca-file = %s\n" % (
            other.url(), receivers.ca_file()))
        self.hook.status = "500 no"
        self.start_agent()
        self.emu.revoke(token)
        self.check_all()

        def others():
            """What was on its way while minutes passed may have come twice, under its number."""
            return len({json.loads(r.body)["message_id"] for r in other.requests})

        self.until(lambda: others() == 1, 15, "the other one is told")
        for _ in range(20):
            self.pass_by(181)
            self.turn()
        self.until(lambda: len(self.hook.requests) >= 4, 15, "it is tried again")
        self.assertLess(len(self.hook.requests), 9, "ever more rarely")
        self.emu.works_again(token)
        self.check_all()
        self.until(lambda: others() == 2, 15, "the other one is told")
        self.told()
        self.hook.status = "200 OK"
        self.pass_by(HOUR + 1)
        self.assertEqual(["recovery"], [m["event"] for m in self.waits_for(1)])

    def test_killed_at_any_time_nothing_is_lost(self):
        (pixel, token), *_ = self.many(4)
        self.start_agent()
        seen = []
        for _ in range(2):
            self.emu.revoke(token)
            self.check_all()
            self.turn()
            self.agent.kill()
            self.agent.wait()
            self.start_agent()
            self.pass_by(61)  # what was under way is sent again after a minute
            seen += self.waits_for(1)
            self.assertEqual("alert", seen[-1]["event"])
            self.emu.works_again(token)
            self.check_all()
            self.pass_by(61)
            self.turn()
            self.agent.kill()
            self.agent.wait()
            self.start_agent()
            self.pass_by(HOUR)
            seen += self.waits_for(1)
            self.assertEqual("recovery", seen[-1]["event"], [m["event"] for m in seen])
        self.assertEqual(1, len({m["id"] for m in seen}))

    def test_nobody_can_be_judged_for_long_is_one_alert(self):
        self.many(3)
        self.start_agent()
        self.check_all()
        self.emu.fault("503")
        for _ in range(15):
            self.pass_by(HOUR)
            self.turn()
        [m] = self.waits_for(1, 20)
        self.assertEqual(("alert", "warning", "blind", []), (m["event"], m["severity"], m["kind"], m["pixels"]))
        self.emu.no_faults()
        self.check_all()
        self.pass_by(HOUR)
        self.assertEqual(["recovery"], [m["event"] for m in self.waits_for(1, 20)])


if __name__ == "__main__":
    unittest.main()
