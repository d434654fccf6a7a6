"""A consumer reports that TikTok refused its token: what the agent does about it, and how soon."""

import contextlib
import http.client
import os
import signal
import threading
import time
import unittest

import harness
from running_agent import AgentCase


class Reports(AgentCase):
    check = {"failover": "yes", "confirm-delay": "10m", "interval": "1h"}

    def setUp(self):
        super().setUp()
        self.start_agent()

    def put_through(self, pixel, token):
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=TEST1" % pixel, token)

    def test_waiting_consumers_have_the_working_token_within_two_seconds(self):
        (pixel, old), other = self.pair(), self.pair()
        new = self.more_token(pixel)
        for token in (old, new):
            self.put_through(pixel, token)
        self.put_through(*other)
        got = []

        def wait():
            started = time.monotonic()
            status, head, body = self.http("GET", "/v1/pixels/%s/token" % pixel, If_None_Match='"2"', Prefer="wait=30")
            got.append((status, body.decode(), head["ETag"], time.monotonic() - started))

        waiting = [threading.Thread(target=wait) for _ in range(4)]
        for t in waiting:
            t.start()
        self.emu.revoke(new)
        time.sleep(0.3)
        reported = time.monotonic()
        self.asks(202, "POST", "/v1/pixels/%s/report" % pixel, '{"code":40105}')
        for t in waiting:
            t.join(60 * harness.PATIENCE)
        self.assertSoon(time.monotonic() - reported, 2)
        self.assertEqual({(200, old, '"1"')}, {g[:3] for g in got})
        # Many more reports: one failover, no flapping back.
        self.emu.works_again(new)
        for _ in range(5):
            self.asks(202, "POST", "/v1/pixels/%s/report" % pixel, '{"code":40105}')
        time.sleep(1)
        self.assertEqual(old.encode(), self.asks(200, "GET", "/v1/pixels/%s/token" % pixel))
        self.assertEqual(1, self.log().count("is current again instead of"))

    def test_a_report_does_not_wait_for_a_sweep(self):
        pixel, old = self.pair()
        new = self.more_token(pixel)
        for token in (old, new):
            self.put_through(pixel, token)
        for _ in range(40):
            self.put_through(*self.pair())
        self.emu.knob("delay-ms", "300")
        # Asked about behind its death, the Pixel is looked at again by the sweep after ten minutes: nobody waits for that.
        def check():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.http("POST", "/v1/check", timeout=60)

        sweep = threading.Thread(target=check, daemon=True)
        sweep.start()
        time.sleep(0.5)
        self.emu.revoke(new)
        started = time.monotonic()
        self.asks(202, "POST", "/v1/pixels/%s/report" % pixel, '{"code":40105}')
        self.until(lambda: self.asks(200, "GET", "/v1/pixels/%s/token" % pixel) == old.encode(), 5, "failover")
        if not sweep.is_alive():
            self.assertStill(time.monotonic() - started, 3, "the sweep is over")
        self.emu.knob("delay-ms", "0")

    def test_the_keeper_killed_between_report_and_failover_ends_in_one(self):
        self.end_agent()
        self.configure(check={"confirm-delay": "0s"})
        self.start_agent()
        for delay in (0.0, 0.2, 0.5, 0.55, 0.6, 0.8):
            pixel, old = self.pair()
            new = self.more_token(pixel)
            for token in (old, new):
                self.put_through(pixel, token)
            self.emu.revoke(new)
            self.asks(202, "POST", "/v1/pixels/%s/report" % pixel, '{"code":40105}')
            time.sleep(delay)
            for pid in harness.descendants(self.agent.pid):
                with contextlib.suppress(ProcessLookupError):  # they end with their parent
                    os.kill(pid, signal.SIGKILL)
            self.agent.wait()
            self.reader.join()
            self.start_agent()
            if self.asks(200, "GET", "/v1/pixels/%s/token" % pixel) != old.encode():
                self.asks(200, "POST", "/v1/pixels/%s/check" % pixel)
            self.until(lambda: self.asks(200, "GET", "/v1/pixels/%s/token" % pixel) == old.encode(), 8, "failover")


if __name__ == "__main__":
    unittest.main()
