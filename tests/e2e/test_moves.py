"""rollback, retire, ack, report, rollout: moving between versions, and what consumers tell."""

import time
import unittest

import harness
from harness import Case, direct_only, new_pixel, say


class Moves(Case):
    def two_versions(self):
        pixel, old = self.stored()
        new = self.more_token(pixel)
        self.put(pixel, new)
        return pixel, old, new

    def test_a_rollback_proves_first_and_then_swaps(self):
        pixel, old, new = self.two_versions()
        asked = self.emu.requests()
        r = self.vault("rollback", pixel)
        self.assertIn("version 1 is current again", r.err, say(r))
        self.assertGreater(self.emu.requests(), asked)
        self.assertEqual((old, new), (self.get(pixel), self.get(pixel, "--previous")))
        self.vault("rollback", pixel)
        self.assertEqual(new, self.get(pixel))

    def test_its_json_is_that_of_put(self):
        pixel, _, _ = self.two_versions()
        doc = self.json("rollback", pixel)
        self.assertEqual({"schema", "pixel", "version", "stage", "verdict", "fingerprint", "removed", "belongs_to"}, set(doc))
        self.assertEqual((pixel, 1, "current", "healthy"), (doc["pixel"], doc["version"], doc["stage"], doc["verdict"]))

    def test_a_refused_previous_token_is_not_moved(self):
        pixel, old, new = self.two_versions()
        self.emu.revoke(old)
        r = self.refuses(10, "rollback", pixel, says="refuses the previous token")
        self.assertNotIn("too", r.err, "nobody asked about the current one, which may be healthy")
        self.assertIn("if the current one does not work either", r.err)
        self.assertIn("nothing was moved", r.err, say(r))
        self.assertEqual(new, self.get(pixel))

    def test_one_not_judged_is_not_moved_either(self):
        pixel, _, new = self.two_versions()
        self.emu.fault("refuse")
        self.refuses(9, "rollback", pixel, says="nothing was moved")
        self.assertEqual(new, self.get(pixel))

    def test_without_a_previous_one_it_is_3(self):
        pixel, _ = self.stored()
        self.refuses(3, "rollback", pixel)
        self.refuses(3, "rollback", new_pixel())

    def test_putting_the_previous_token_again_points_here(self):
        pixel, old, _ = self.two_versions()
        r = self.put(pixel, old, rc=8)
        self.assertIn("vault rollback", r.err, say(r))

    def test_retire_ends_the_previous_token(self):
        pixel, _, new = self.two_versions()
        r = self.vault("retire", pixel)
        self.assertIn("version 1", r.err, say(r))
        self.refuses(3, "get", pixel, "--previous")
        self.assertEqual(new, self.get(pixel))
        self.assertEqual((1, "retired"), tuple(self.json("retire", pixel)[k] for k in ("version", "stage")), "nothing to do")
        self.refuses(3, "retire", self.stored()[0])

    def test_retire_waits_for_consumers_unless_forced(self):
        pixel, _, _ = self.two_versions()
        self.vault("ack", pixel, "--version", "1", "--as", "checkout")
        self.refuses(8, "retire", pixel, says="checkout")
        self.vault("ack", pixel, "--version", "2", "--as", "checkout")
        self.vault("retire", pixel)

    def test_retire_with_force(self):
        pixel, _, _ = self.two_versions()
        self.vault("ack", pixel, "--version", "1", "--as", "checkout")
        doc = self.json("retire", pixel, "--force")
        self.assertEqual((pixel, 1, "retired"), (doc["pixel"], doc["version"], doc["stage"]))

    def test_ack_wants_a_version_that_is_there(self):
        pixel, _ = self.stored()
        self.refuses(2, "ack", pixel, "--as", "x")
        self.refuses(2, "ack", pixel, "--version", "1", "--as", "uid:0", says="no name to choose")
        self.refuses(3, "ack", pixel, "--version", "9", "--as", "x")
        self.assertEqual({"schema": 1, "pixel": pixel, "version": 1, "as": "x"},
                         self.json("ack", pixel, "--version", "1", "--as", "x"))

    def test_a_report_has_tiktok_asked_at_once(self):
        pixel, token = self.stored(test_code=None)
        self.emu.revoke(token)
        self.vault("report", pixel, "--code", "40105", "--request-id", "20261128abc")
        self.refuses(2, "report", pixel)
        self.refuses(2, "report", pixel, "--code", "x")
        self.refuses(2, "report", pixel, "--code", "1", "--request-id", "a b")
        self.refuses(3, "report", new_pixel(), "--code", "40105")

    def test_of_reports_within_a_minute_the_first_asks(self):
        """Not that the Pixel was checked a moment ago: whoever reports saw something newer."""
        pixel, _ = self.stored()
        asked = self.emu.requests()
        self.assertEqual("started", self.json("report", pixel, "--code", "-1")["probe"])
        end = time.monotonic() + 30 * harness.PATIENCE
        while self.emu.requests() == asked and time.monotonic() < end:
            time.sleep(0.05)
        asked = self.emu.requests()
        self.assertEqual("recent", self.json("report", pixel, "--code", "-1")["probe"])
        time.sleep(0.3)
        self.assertEqual(asked, self.emu.requests())

    def test_rollout_shows_who_is_behind_first(self):
        pixel, _, _ = self.two_versions()
        self.vault("ack", pixel, "--version", "1", "--as", "zebra")
        self.vault("ack", pixel, "--version", "2", "--as", "ant")
        lines = self.vault("rollout", pixel).out.decode().splitlines()
        self.assertEqual(["zebra", "ant"], [l.split()[0] for l in lines])
        doc = self.json("rollout", pixel)
        self.assertEqual(2, doc["current"])
        self.assertEqual({("zebra", 1), ("ant", 2)}, {(r["as"], r["version"]) for r in doc["readers"]})
        self.refuses(3, "rollout", new_pixel())


class Doctor(Case):
    uses_emulator = False

    def findings(self, rc=0):
        return {f["about"]: f for f in self.json("doctor", rc=rc)["findings"]}

    def test_a_fresh_vault_has_no_problem(self):
        found = self.findings(rc=(0, 1))
        for about in ("configuration", "vault", "folder of the vault", "state folder", "key file", "clock"):
            self.assertEqual("ok", found[about]["state"], found[about])

    def test_each_problem_comes_with_what_to_do(self):
        import os
        os.chmod(self.file, 0o644)
        os.chmod(self.key, 0o640)
        found = self.findings(rc=1)
        for about in ("vault", "key file"):
            self.assertEqual("problem", found[about]["state"], found[about])
            self.assertTrue(found[about]["fix"], found[about])

    def test_a_broken_configuration_is_a_finding(self):
        self.write(self.config, "[nonsense]\n")
        found = self.findings(rc=1)
        self.assertEqual("problem", found["configuration"]["state"])
        self.assertIn("nonsense", found["configuration"]["message"])

    def test_it_tells_of_another_program_called_vault(self):
        import os
        os.mkdir(self.path("bin"))
        self.write(self.path("bin", "vault"), "#!/bin/sh\n", mode=0o755)
        self.env["PATH"] = self.path("bin") + ":" + self.env["PATH"]
        self.assertEqual("note", self.findings(rc=(0, 1))["other program"]["state"])


class WithoutAgent(Case):
    uses_emulator = False

    @unittest.skipIf(harness.VIA_AGENT, "direct only: it is about no agent")
    def test_unlock_and_lock_say_that_there_is_none(self):
        self.refuses(1, "unlock", says="no agent")
        self.refuses(1, "lock", says="no agent")
        self.refuses(2, "unlock", "--for", "tomorrow")

    def test_access_explain_reads_the_configuration(self):
        pixel = new_pixel()
        self.configure(more="[access web]\nuser = 4711\npixels = %s\nverbs = meta read\n" % pixel)
        doc = self.json("access", "explain", "--user", "4711", pixel)
        self.assertEqual((4711, ["meta", "read"]), (doc["uid"], doc["allowed"]))
        self.assertEqual([], self.json("access", "explain", "--user", "4711", new_pixel())["allowed"])
        self.refuses(3, "access", "explain", "--user", "nobody-of-this-name", pixel)
        self.refuses(2, "access", "explain", pixel)
        self.refuses(2, "access", "tell", pixel, "--user", "0")


class LockedAgent(Case):
    uses_emulator = False

    @unittest.skipUnless(harness.VIA_AGENT, "direct only: it is about a running agent")
    def test_locked_is_4_until_unlocked(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        self.vault("lock")
        self.refuses(4, "get", pixel, says="vault unlock")
        self.assertEqual("locked", self.error(4, "status")["code"])
        self.assertEqual({"schema": 1, "locked": False}, self.json("unlock"))
        self.assertEqual(token, self.get(pixel))


if __name__ == "__main__":
    unittest.main()
