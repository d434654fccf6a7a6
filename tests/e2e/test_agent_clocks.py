"""The clocks of an agent that runs: they jump, and hours pass in no time (tests/support/agent_by_clock.c)."""

import json
import mmap
import os
import re
import struct
import threading
import time
import unittest

from harness import BUILD, PATIENCE, UnixConnection, cases, new_pixel, say, spread
from running_agent import AgentCase

HOUR, DAY = 3600, 86400
YEAR = 365 * DAY
CHECKPOINT = re.compile(r"(?m)^(?:<6>)?vault-agent: checkpoint ([0-9a-f]{32}:\d+:[0-9a-f]{64})$")
HEAD = re.compile(r"(?m)^(?:<6>)?vault-agent: audit head (\d+:[0-9a-f]{64})$")


class Moved(AgentCase):
    """self.jump(wall=seconds, boot=seconds) moves the clocks of the running agent, by so much from where they are."""
    program = os.path.join(BUILD, "tests", "agent_by_clock")

    def setUp(self):
        super().setUp()
        with open(self.write(self.path("clock"), bytes(16)), "r+b") as f:
            self.clock = mmap.mmap(f.fileno(), 16)
        self.addCleanup(self.clock.close)
        self.ahead = [0, 0]

    def start_agent(self, **more):
        return super().start_agent(env={"PIXELVAULT_TEST_CLOCK": self.path("clock")}, **more)

    def jump(self, wall=0, boot=0):
        self.ahead = [self.ahead[0] + wall, self.ahead[1] + boot]
        self.clock[:] = struct.pack("=qq", *self.ahead)

    def pass_by(self, seconds):
        """As time does."""
        self.jump(wall=seconds, boot=seconds)

    def turn(self):
        """Until the agent's worker has seen what time it is: an errand that comes back twice."""
        for _ in range(2):
            self.asks(200, "POST", "/v1/verify", b"{}")


class Lists(Moved):
    """The agent reads each list at nine tenths of the interval, so that whom it proves is not asked about."""
    check = {"interval": "6h", "probe": "dry"}
    name = "bc:7100000000000000001"

    def test_what_a_list_proves_is_asked_about_only_when_it_cannot_be_read(self):
        codes, token = [new_pixel() for _ in range(3)], self.token()
        for code in codes:
            self.emu.ctl("pixel", code, "bc=" + self.name[3:])
        self.emu.ctl("token", token, "kind=marketing", "scopes=15", "pixels=" + ",".join(codes))
        for code in codes:
            self.put(code, token, "--no-check")
        self.vault("listing", "put", self.name, stdin=token)
        self.start_agent()
        paths = lambda: [l["path"].split("v1.3", 1)[1] for l in self.emu.log()]
        checked = lambda: {p["checked_at"] for p in self.json("status")["pixels"]}
        for _ in range(3):
            before = checked()
            self.pass_by(6 * HOUR * 9 // 10 + 60)
            self.until(lambda: not checked() & before, 20, "what the list says is stored")  # TikTok was asked long before
            self.turn()
        self.assertEqual(["/bc/asset/get/"] * 4, paths())
        self.emu.fault("code-50000", path="/bc/asset/get/")
        self.pass_by(7 * HOUR)
        self.until(lambda: paths().count("/event/track/") >= 3, 20, "they are asked about one by one")
        self.assertEqual({"healthy"}, {p["verdict"] for p in self.json("status")["pixels"]})


class Heads(Moved):
    """Each hour the head of the audit log goes into the agent's log, which the journal keeps."""
    uses_emulator = False
    check = {"interval": "90d"}  # nobody is asked

    def setUp(self):
        super().setUp()
        self.pixel = "D0123456789ABCDEFG0G"
        self.put(self.pixel, self.token(), "--no-check")
        self.start_agent()

    def heads(self):
        return HEAD.findall(self.log())

    def reads(self, count=1):
        for _ in range(count):
            self.asks(200, "GET", "/v1/pixels/%s/token" % self.pixel)

    def an_hour(self, reads=True, told=1):
        """So many heads must be told in it by now. The agent looks in between, too."""
        before = len(self.heads())
        for _ in range(3):
            if reads:
                self.reads()
            self.pass_by(HOUR // 3 + 1)
            self.turn()
        self.until(lambda: len(self.heads()) >= before + told, 20, "a head is told")
        return self.heads()[-1]

    def log_file(self):
        return next(self.path("state", n) for n in os.listdir(self.state) if n.endswith(".audit.log"))

    def cut(self, path, lines):
        whole = self.read(path).splitlines(True)
        with open(path, "r+b") as f:
            f.truncate(len(b"".join(whole[:lines])))

    def verify(self, head, **more):
        return self.vault("audit", "verify", "--head", head, **more)

    def test_one_an_hour_while_something_is_written_and_one_at_the_end(self):
        self.an_hour()
        self.an_hour()
        self.an_hour(reads=False)  # of what was written behind the last head
        self.an_hour(reads=False, told=0)
        self.an_hour(reads=False, told=0)
        self.reads()
        self.end_agent()
        self.reader.join()
        self.assertEqual(4, len(self.heads()), self.log())
        last = self.heads()[-1]
        self.assertEqual(last, self.json("audit", "verify")["head"], "the head that is told is the end of the log")
        self.assertEqual(len(set(self.heads())), 4)
        for head in self.heads():
            self.verify(head)

    def test_a_log_that_was_cut_together_with_what_the_host_remembers_is_found(self):
        self.reads()
        self.end_agent()
        self.save("early")
        self.start_agent()
        self.reads(5)
        head = self.an_hour()
        self.end_agent()
        self.verify(head)
        self.restore("early", "state")
        self.vault("audit", "verify")  # this host knows of nothing
        r = self.verify(head, rc=7)
        self.assertRegex(r.err, r"(?m)^vault: .*the log ends at entry \d+, and the head of entry %s was noted: it was cut off"
                         % head.split(":")[0], say(r))
        self.vault("get", self.pixel)
        # Other entries where the noted one was.
        for _ in range(20):
            self.vault("get", self.pixel)
        r = self.verify(head, rc=7)
        self.assertIn("entry %s is not the one whose head was noted" % head.split(":")[0], r.err, say(r))

    def test_a_loss_that_was_accepted_is_still_one_for_whoever_has_the_head(self):
        self.reads(5)
        head = self.an_hour()
        self.end_agent()
        self.cut(self.log_file(), 4)
        self.assertEqual(7, self.vault("audit", "verify", rc=7).rc)
        self.vault("audit", "accept-loss")
        self.vault("audit", "verify")
        r = self.verify(head, rc=7)
        self.assertIn("entry %s, whose head was noted, is missing" % head.split(":")[0], r.err, say(r))

    def test_a_vault_put_back_together_with_what_the_host_remembers_is_found(self):
        self.end_agent()
        self.save("early")
        self.start_agent()
        self.vault("label", self.pixel, "a=b")
        self.an_hour()
        told = CHECKPOINT.findall(self.log())[-1]
        self.assertEqual(told, self.json("checkpoint")["checkpoint"])
        self.end_agent()
        self.restore("early")
        self.vault("verify")  # this host knows of nothing
        self.refuses(7, "adopt", "--checkpoint", told, says="older copy")

    def test_what_is_no_head_is_usage(self):
        head = self.json("audit", "verify")["head"]
        sequence, mac = head.split(":")
        for wrong in ("", "7", sequence + ":", ":" + mac, head + "0", head[:-1], "0:" + mac, head.upper(), "99999999999999999999:" + mac):
            self.vault("audit", "verify", "--head", wrong, rc=2)
        for action in ("show", "accept-loss"):
            self.vault("audit", action, "--head", head, rc=2)


@spread
class Jumps(Moved):
    """T32 while the agent runs: waiting is done by the boot clock, whatever the wall clock says."""
    check = {"interval": "6h"}

    def setUp(self):
        super().setUp()
        self.pixels = [self.stored()[0] for _ in range(3)]
        self.start_agent()

    def asked(self, doing, times):
        """Each Pixel must be asked about so many times because of that, and be served."""
        before = [len(self.emu.log(p)) for p in self.pixels]

        def since():
            return [len(self.emu.log(p)) - b for p, b in zip(self.pixels, before)]

        def checked():
            return [self.asks(200, "GET", "/v1/pixels/" + p)["pixels"][0]["checked_at"] for p in self.pixels]
        known = checked()
        doing()
        self.turn()
        self.until(lambda: all(n >= times for n in since()), 20, "each is asked")
        if times:
            self.until(lambda: not set(checked()) & set(known), 20, "what TikTok said is stored")
        time.sleep(0.25)  # more would come at once
        self.turn()
        self.assertEqual([times] * 3, since(), self.log())
        for pixel in self.pixels:
            row = self.asks(200, "GET", "/v1/pixels/" + pixel)["pixels"][0]
            self.assertEqual("healthy", row["verdict"])
            self.asks(200, "GET", "/v1/pixels/%s/token" % pixel)

    @cases(ten_years_back=-10 * YEAR, a_day_back=-DAY, a_day_on=DAY, ten_years_on=10 * YEAR, to_2106=80 * YEAR,
           to_1970=int(600 - time.time()), to_the_last_second_of_32_bits=int(2 ** 31 - 1 - time.time()))
    def test_a_wall_clock_that_jumps_neither_stops_the_checks_nor_makes_a_storm(self, seconds):
        self.asked(lambda: self.jump(wall=seconds), 0)
        self.asked(lambda: self.pass_by(6 * HOUR), 1)
        self.asked(lambda: self.jump(wall=-seconds), 0)
        self.asked(lambda: self.pass_by(6 * HOUR), 1)

    @cases(ten_years_back=-10 * YEAR, a_day_back=-DAY)
    def test_what_changes_while_the_wall_clock_is_behind_is_still_asked_about(self, seconds):
        self.jump(wall=seconds)
        for pixel in self.pixels:  # planned anew, by moments that are far in the future now
            self.vault("label", pixel, "a=b")
            self.until(lambda: b'"a":"b"' in self.http("GET", "/v1/pixels/" + pixel)[2], 20, "the label is seen")
        self.asked(lambda: self.pass_by(6 * HOUR), 1)

    def test_a_wall_clock_that_is_set_by_a_second_again_and_again_changes_nothing(self):
        def flap():
            for i in range(60):
                self.jump(wall=1 if i % 2 else -1)
                time.sleep(0.01)
        self.asked(flap, 0)
        self.asked(lambda: self.pass_by(6 * HOUR), 1)

    @cases(back=-10 * YEAR, on=10 * YEAR)
    def test_a_pause_that_tiktok_asked_for_ends_by_any_wall_clock_and_not_in_a_storm(self, seconds):
        self.emu.fault("code-40100")
        self.pass_by(6 * HOUR)
        while self.log().count("asked us to slow down") < 2:  # the second pause is one of minutes
            self.pass_by(5)
            self.turn()
        self.turn()
        self.emu.no_faults()
        before = self.emu.requests()
        self.jump(wall=seconds)
        self.turn()
        self.assertLessEqual(self.emu.requests() - before, 3, "at the most one more of each")
        self.pass_by(DAY)  # no pause is longer
        self.until(lambda: all(any(l["code"] == "0" for l in self.emu.log(p)[-1:]) for p in self.pixels), 20, "each is asked again")
        self.turn()
        self.assertLessEqual(self.emu.requests() - before, 7, "one a Pixel for the jump, one for the day, and who looked first")

    @cases(back=-10 * YEAR, on=10 * YEAR)
    def test_the_wait_behind_wrong_keys_is_not_shortened_by_the_wall_clock(self, seconds):
        self.asks(200, "POST", "/v1/lock")
        for _ in range(5):  # 0.1 s, 0.2 s, ... before the next
            self.asks(500, "POST", "/v1/unlock", bytes(32))
        self.jump(wall=seconds)
        started = time.monotonic()
        self.asks(200, "POST", "/v1/unlock")
        self.assertGreater(time.monotonic() - started, 0.4)

    def test_the_audit_log_is_in_the_order_in_which_things_happened(self):
        for wall in (-10 * YEAR, 20 * YEAR, -10 * YEAR - 5):
            self.jump(wall=wall)
            self.asks(200, "GET", "/v1/pixels/%s/token" % self.pixels[0])
            self.asks(200, "POST", "/v1/pixels/%s/labels?label=n=%d" % (self.pixels[0], abs(wall)))
        self.end_agent()
        self.vault("audit", "verify")
        log, = (self.path("state", n) for n in os.listdir(self.state) if n.endswith(".audit.log"))
        entries = [json.loads(line) for line in self.read(log).splitlines()]
        self.assertEqual(list(range(1, len(entries) + 1)), [e["seq"] for e in entries])
        self.assertNotEqual([e["at"] for e in entries], sorted(e["at"] for e in entries), "the wall clock did go back")
        started = [e for e in entries if e["boot"] == entries[-1]["boot"]]
        self.assertEqual([e["ms"] for e in started], sorted(e["ms"] for e in started), "and the machine's own did not")

    def test_a_machine_that_slept_for_a_month_asks_once(self):
        self.asked(lambda: self.pass_by(30 * DAY), 1)
        time.sleep(1.1)  # by the wall clock the next check is in another second
        self.asked(lambda: self.jump(boot=30 * DAY), 1)  # and its wall clock was not set yet

    @cases(back=-10 * YEAR, on=10 * YEAR)
    def test_the_vault_locks_again_when_its_time_is_over_and_not_by_the_wall_clock(self, seconds):
        self.asks(200, "POST", "/v1/lock")
        self.asks(200, "POST", "/v1/unlock?for=%d" % HOUR)
        self.jump(wall=seconds)
        self.turn()
        self.jump(boot=HOUR - 60)
        self.turn()
        self.jump(boot=60)
        self.until(lambda: self.http("GET", "/v1/pixels")[0] == 503, 20, "it is locked")

    @cases(back=-10 * YEAR, on=10 * YEAR)
    def test_a_reader_waits_as_long_as_it_said(self, seconds):
        path, got = "/v1/pixels/%s/token" % self.pixels[0], []
        c = UnixConnection(self.socket, 60 * PATIENCE)
        self.addCleanup(c.close)
        c.request("GET", path, headers={"If-None-Match": '"1"', "Prefer": "wait=60"})
        for _ in range(2):  # who comes later is answered later, and reads are taken up in turns
            self.asks(200, "GET", "/v1/pixels")
        reader = threading.Thread(target=lambda: got.append(c.getresponse().status))
        reader.start()
        self.jump(wall=seconds)
        self.jump(boot=50)
        time.sleep(0.6)  # the agent looks four times a second
        self.assertEqual([], got)
        self.jump(boot=11)
        reader.join(60 * PATIENCE)
        self.assertEqual([304], got)

    def test_a_clock_that_went_back_is_said(self):
        self.jump(wall=DAY + HOUR)
        self.asks(200, "POST", "/v1/pixels/%s/labels?label=a=b" % self.pixels[0])  # remembered with each change
        self.jump(wall=-DAY - HOUR)
        self.asks(200, "POST", "/v1/lock")
        self.asks(200, "POST", "/v1/unlock")
        self.until(lambda: "the clock is suspect: it is 1d earlier" in self.log(), 20, "it is said")


class Leaving(Moved):
    """What cannot be undone does not follow a wall clock that jumps (agent/sure_clock.h)."""
    check = {"grace": "7d", "purge-after": "30d", "interval": "6h"}

    def setUp(self):
        super().setUp()
        self.waits, self.taken = self.stored()[0], self.stored()[0]
        for pixel in (self.waits, self.taken):
            self.put(pixel, self.more_token(pixel))
        self.start_agent()
        self.asks(200, "POST", "/v1/pixels/%s/retire" % self.taken)
        self.asks(200, "GET", "/v1/pixels/%s/token?version=1" % self.waits, X_Consumer="slow")
        self.asks(409, "POST", "/v1/pixels/%s/retire" % self.waits)

    def stages(self):
        """Of the first versions; None: deleted."""
        def stage(pixel):
            doc = self.asks(200, "GET", "/v1/pixels/%s/history" % pixel)
            return next((v["stage"] for v in doc["versions"] if v["version"] == 1), None)
        return stage(self.waits), stage(self.taken)

    def looked(self):
        for _ in range(3):
            self.pass_by(60)  # longer than the pause between two looks at one Pixel
            self.turn()

    def test_nothing_is_taken_or_deleted_by_a_clock_that_is_ahead_for_a_while(self):
        self.jump(wall=40 * DAY)
        self.looked()
        self.assertEqual(("previous", "retired"), self.stages())
        self.asks(409, "POST", "/v1/pixels/%s/retire" % self.waits)
        self.jump(wall=-40 * DAY)
        self.pass_by(2 * HOUR)
        self.looked()
        self.assertEqual(("previous", "retired"), self.stages())

    def test_a_clock_that_stays_ahead_is_believed_after_an_hour(self):
        self.jump(wall=8 * DAY)
        self.looked()
        self.pass_by(HOUR)
        self.looked()
        self.until(lambda: self.stages() == ("retired", "retired"), 20, "the deadline is over")

    def test_as_time_passes_both_are_done(self):
        self.pass_by(8 * DAY)
        self.looked()
        self.until(lambda: self.stages() == ("retired", "retired"), 20, "the deadline is over")
        self.pass_by(31 * DAY)
        self.looked()
        self.until(lambda: self.stages()[1] is None, 20, "purge-after is over")


if __name__ == "__main__":
    unittest.main()
