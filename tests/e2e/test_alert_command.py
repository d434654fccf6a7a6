"""vault alert: list, ack, test; the same through an agent and without one."""

import time
import unittest

import test_alerts
from harness import PATIENCE


class ByHand(test_alerts.Alerts):
    """The commands, directly and through an agent."""

    def bad_one(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", rc=10)
        end = time.monotonic() + 20 * PATIENCE
        while not self.json("alert")["alerts"] and time.monotonic() < end:
            time.sleep(0.1)
        return pixel, token

    def test_list_and_acknowledge(self):
        self.assertEqual(([], 1), (self.json("alert")["alerts"], len(self.json("alert")["sinks"])))
        pixel, token = self.bad_one()
        [a] = self.json("alert", "list")["alerts"]
        self.assertEqual(("open", "critical", [pixel], None), (a["state"], a["severity"], a["pixels"], a["acknowledged_at"]))
        text = self.vault("alert").out.decode()
        self.assertIn(a["id"], text)
        self.assertIn("1 Pixel: revoked", text)
        self.assertEqual(3600, self.json("alert", "ack", a["id"].lower(), "--for", "1h")["for"])
        [a] = self.json("alert")["alerts"]
        self.assertEqual("acknowledged", a["state"])
        self.assertMoment(a["acknowledged_until"])
        self.assertIsNone(self.json("alert", "ack", a["id"])["for"])
        self.assertIsNone(self.json("alert")["alerts"][0]["acknowledged_until"])

    def test_a_sink_that_refuses_for_good_is_named(self):
        """Directly by the check that sent, through an agent by the list."""
        self.hook.status = "404 no"
        _, token = self.stored()
        self.emu.revoke(token)
        said = self.vault("check", rc=10).err
        end = time.monotonic() + 20 * PATIENCE
        while "HTTP 404" not in said and time.monotonic() < end:
            time.sleep(0.1)
            said = self.vault("alert").err
        self.assertRegex(said, r"\bops\b.*HTTP 404")

    def test_what_is_no_alert(self):
        self.refuses(2, "alert", "ack", "tk-7Q2M-9FKD")
        self.refuses(3, "alert", "ack", "7Q2M-9FKD")
        self.refuses(2, "alert", "ack")
        self.refuses(2, "alert", "dance")
        self.refuses(2, "alert", "test", "ops", "--for", "1h")
        self.refuses(3, "alert", "test", "nobody")

    def test_a_test_says_what_became_of_it(self):
        self.assertEqual({"schema": 1, "sink": "ops", "outcome": "delivered", "reason": None}, self.json("alert", "test", "ops"))
        [m] = self.told()
        self.assertEqual("test", m["event"])
        r = self.vault("alert", "test", "ops")
        self.assertIn("[alert ops] took the message", r.err)
        self.hook.status = "503 no"
        self.assertEqual("later", self.json("alert", "test", "ops", rc=9)["outcome"])
        self.hook.status = "404 no"
        r = self.vault("alert", "test", "ops", "-q", rc=13)
        self.assertIn("404", r.err)


if __name__ == "__main__":
    unittest.main()
