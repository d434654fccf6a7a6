"""The numbers that vault-agent --once leaves for a collector."""

import os
import re
import unittest

from harness import Case


class Metrics(Case):
    def numbers(self):
        text = self.read(os.path.join(self.state, "metrics.prom")).decode()
        self.assertTrue(text.endswith("\n"))
        return dict(re.findall(r"(?m)^(pixelvault_\S+) (\S+)$", text)), text

    def test_a_sweep_of_all_leaves_counts_and_no_names(self):
        good, _ = self.stored()
        dead, token = self.stored()
        self.emu.revoke(token)
        self.agent("--once", "-q", rc=10)
        numbers, text = self.numbers()
        self.assertEqual("1", numbers['pixelvault_pixels{verdict="healthy"}'])
        self.assertEqual("1", numbers['pixelvault_pixels{verdict="revoked"}'])
        self.assertEqual("10", numbers["pixelvault_sweep_exit_code"])
        self.assertGreater(int(numbers["pixelvault_sweep_timestamp_seconds"]), 1700000000)
        for secret in (good, dead, token):
            self.assertNotIn(secret, text)

    def test_a_sweep_of_some_leaves_the_file_alone(self):
        pixel, _ = self.stored()
        self.agent("--once", pixel)
        self.assertFalse(os.path.exists(os.path.join(self.state, "metrics.prom")))

    def test_a_folder_that_cannot_be_written_is_said_and_does_not_change_the_verdict(self):
        self.stored()
        os.mkdir(os.path.join(self.state, "metrics.prom"))
        r = self.agent("--once", "-q", rc=0)
        self.assertIn("metrics.prom", r.err)


if __name__ == "__main__":
    unittest.main()
