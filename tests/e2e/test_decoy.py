"""Decoys: a Pixel with the label decoy holds a token that nobody has a reason to read. TikTok is never asked about it, and whoever asks
for its token, given it or not, raises an alert and sees nothing of it."""

import fcntl
import json
import os
import struct
import threading
import time
import unittest

import agent_harness
import test_alerts
import test_alerts_agent
from harness import TooLate, direct_only, new_pixel, new_token
from test_agent_clocks import DAY

STRANGER = 20999
F_OFD_SETLK = 37


class Decoys:
    def decoy(self, *options):
        """(code, token): TikTok knows neither."""
        pixel, token = new_pixel(), new_token()
        self.put(pixel, token, "--no-check", "--label", "decoy=till", *options)
        return pixel, token

    def is_about(self, m, event, pixel):
        self.assertEqual((event, "critical", "decoy", None, [pixel]),
                         (m["event"], m["severity"], m["kind"], m["verdict"], [e["pixel"] for e in m["pixels"]]), m)


@direct_only("cron's way: no agent")
class WithoutAnAgent(Decoys, test_alerts.Alerts):
    for _name in [n for n in vars(test_alerts.Alerts) if n.startswith("test_")]:
        locals()[_name] = None

    def test_tiktok_is_not_asked_and_nothing_is_wrong(self):
        pixel, _ = self.decoy()
        other, _ = self.stored_with("--label", "decoys=none")
        self.once()
        self.vault("check")
        self.vault("check", "-l", "decoy=till")
        self.assertEqual({other}, set(self.emu.asked()))
        plan = json.loads(self.vault("plan", "--json").out)
        self.assertNotIn(pixel, json.dumps(plan))
        self.assertIn(other, json.dumps(plan))
        row, = [p for p in json.loads(self.vault("status", "--json").out)["pixels"] if p["pixel"] == pixel]
        self.assertRegex(row["advice"], "^a decoy")
        self.assertIsNone(row["next_check_at"])
        self.assertEqual([], self.told())

    def test_nor_about_what_stands_by_or_was_taken_out_and_it_has_no_part_in_service_levels(self):
        self.configure(check={"grace": "1s", "interval": "1s", "failover": "yes"})
        pixel, _ = self.decoy()
        self.put(pixel, new_token(), "--no-check")
        self.put(pixel, new_token(), "--no-check", "--standby")
        self.vault("retire", pixel, "--force", rc=None)
        for _ in range(3):
            time.sleep(1.1)
            self.once()
        self.assertEqual([], self.emu.asked())
        self.vault("check", pixel, rc=None)
        self.assertNotIn(pixel, self.vault("levels", "--since", "2020-01-01", "--json", rc=None).out.decode())

    def test_who_names_it_has_it_asked_about_and_the_answer_alerts_nobody(self):
        pixel, _ = self.decoy()
        self.vault("check", pixel, rc=None)
        self.assertEqual({pixel}, set(self.emu.asked()))
        self.once()
        self.assertEqual([], self.told())

    def test_a_read_is_one_alert_and_the_reader_sees_no_difference(self):
        pixel, token = self.decoy()
        plain, other = self.pair()
        self.put(plain, other, "--no-check")
        r, s = self.vault("get", pixel), self.vault("get", plain)
        self.assertEqual((token, r.err.replace(pixel, "P")), (r.out.decode().strip(), s.err.replace(plain, "P")))
        self.once()
        m, = self.told()
        self.is_about(m, "alert", pixel)
        self.assertIn("somebody asked for the token of a decoy", m["title"])
        self.assertIn("vault audit show", m["advice"])
        self.vault("run", "-e", "T=" + pixel, "--", "true", rc=None)
        self.once()
        self.assertEqual([], self.told())

    def test_one_that_is_no_decoy_any_more_is_well(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check", "--label", "decoy=till")
        self.vault("get", pixel)
        self.once()
        self.is_about(self.told()[0], "alert", pixel)
        self.vault("label", pixel, "decoy=")
        self.once()
        self.assertEqual([("recovery", "decoy")], [(m["event"], m["kind"]) for m in self.told()])


class WithAnAgent(Decoys, test_alerts_agent.Running):
    for _name in [n for n in vars(test_alerts_agent.Running) if n.startswith("test_")]:
        locals()[_name] = None

    def test_a_read_alerts_within_seconds_and_two_days_later_all_is_well(self):
        pixel, token = self.decoy()
        (other, _), = self.many(1)
        self.start_agent()
        self.check_all()
        self.assertEqual({other}, set(self.emu.asked()))
        got = self.http("GET", "/v1/pixels/%s/token" % pixel, X_Consumer="till-7")
        self.assertEqual((200, token.encode()), (got[0], got[2]))
        m, = self.waits_for(1)
        self.is_about(m, "alert", pixel)
        self.assertIn(b"till-7", self.vault("rollout", pixel).out)
        self.settled()
        self.assertEqual([], self.told())
        self.pass_by(DAY + 3600)
        self.settled()
        self.assertEqual([], [m for m in self.told() if m["event"] == "recovery"])
        self.pass_by(DAY)
        found = []

        def recovers():
            self.settled()
            found.extend(m for m in self.told() if m["event"] == "recovery")
            return found
        self.until(recovers, 30, "a recovery")
        m2, = found
        self.assertEqual((m["id"], "decoy"), (m2["id"], m2["kind"]))

    def test_a_read_past_the_agent_is_found_by_its_next_look(self):
        pixel, _ = self.decoy()
        self.start_agent()
        self.vault("get", pixel, env={"PIXELVAULT_SOCKET": "none"})
        self.pass_by(3600)
        self.settled()
        self.is_about(self.waits_for(1)[0], "alert", pixel)

    def test_who_wants_to_be_remembered_as_nobody_is_remembered(self):
        pixel, _ = self.decoy()
        (other, _), = self.many(1)
        self.start_agent()
        for code in (other, pixel):
            self.assertEqual(200, self.http("GET", "/v1/pixels/%s/token" % code, Prefer="unnoted")[0])
        self.is_about(self.waits_for(1)[0], "alert", pixel)
        self.assertIn(b"uid:%d" % os.getuid(), self.vault("rollout", pixel).out)
        self.assertNotIn(b"uid:", self.vault("rollout", other).out)

    def test_one_who_gets_nothing_for_his_asking_alerts_too(self):
        pixel, _ = self.decoy()
        self.start_agent()
        self.vault("check", pixel, rc=None)
        self.assertNotEqual(200, self.http("GET", "/v1/pixels/%s/token?healthy=1" % pixel)[0])
        self.is_about(self.waits_for(1)[0], "alert", pixel)

    def test_in_a_crowd_of_readers_one_is_seen(self):
        """While a commit waits for another process, more readers come than notes of those who use their Pixels are kept."""
        (other, _), = self.many(1)
        pixel, _ = self.decoy()
        self.start_agent()
        fd = os.open(self.file + ".lock", os.O_RDWR)
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
        put = threading.Thread(target=self.http, args=("PUT", "/v1/pixels/%s/token?check=no" % other, self.more_token(other)))
        put.start()
        try:
            time.sleep(0.5)
            for n in range(100):
                code = pixel if n == 99 else other
                self.assertEqual(200, self.http("GET", "/v1/pixels/%s/token" % code, X_Consumer="c%d" % n)[0])
            if not put.is_alive():
                raise TooLate("the commit waits no longer")
        finally:
            os.close(fd)
            put.join()
        self.is_about(self.waits_for(1)[0], "alert", pixel)

    def test_an_acknowledged_one_is_silent(self):
        pixel, _ = self.decoy()
        self.start_agent()
        self.assertEqual(200, self.http("GET", "/v1/pixels/%s/token" % pixel)[0])
        m, = self.waits_for(1)
        self.vault("alert", "ack", m["id"], env={"PIXELVAULT_VAULT": None})
        self.assertEqual(200, self.http("GET", "/v1/pixels/%s/token" % pixel, X_Consumer="another")[0])
        self.settled()
        self.assertEqual([], self.told())

    @unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: becomes another user")
    def test_one_who_is_refused_alerts_too_and_sees_what_everybody_sees(self):
        pixel, _ = self.decoy()
        (other, _), = self.many(1)
        self.start_agent()
        os.chmod(self.dir, 0o711)
        os.chmod(self.socket, 0o666)

        def asks():
            return [agent_harness.ask_once(self.socket, "GET", "/v1/pixels/%s/token" % p) for p in (other, pixel)]
        plain, refused = agent_harness.AgentCase.as_user(self, STRANGER, STRANGER, [], asks)
        self.assertEqual(403, refused[0])
        self.assertEqual((plain[0], plain[1], plain[2].replace(other.encode(), b"P")), (refused[0], refused[1], refused[2].replace(pixel.encode(), b"P")))
        m, = self.waits_for(1)
        self.is_about(m, "alert", pixel)
        self.assertIn(b"uid:%d" % STRANGER, self.vault("rollout", pixel).out)
        self.assertNotIn(b"uid:%d" % STRANGER, self.vault("rollout", other).out)


if __name__ == "__main__":
    unittest.main()
