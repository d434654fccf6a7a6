"""A sample of what `make faults` goes over: allocations and file calls that fail, at points by SEED. The points of mistakes
that were found once are all tried. Built with address sanitizer, what is not freed behind a failed allocation shows too."""

import os
import tempfile
import unittest

import fault_kit
import harness
from fault_kit import BY_NAME, Lab
from fault_labs import INIT, ONLINE, InitLab, OnlineLab
from harness import IS_SANITIZED, rng

tempfile.tempdir = fault_kit.SHM  # a disk would be waited for
SAMPLE = 3  # points of a verb
VERBS = {**BY_NAME, **{v.name: v for v in [INIT, *ONLINE]}}


WITHOUT_SANITIZER = unittest.skipIf(IS_SANITIZED, "the sanitizer's own calls would be hit")


class Sweep:
    def setUp(self):
        super().setUp()
        self.build()

    def holds(self, part, name, points):
        broken = self.sweep(part, VERBS[name], points)
        self.assertEqual([], broken[:3], "%s: %d of %d points" % (name, len(broken), len(points)))
        return len(points)


class FaultSweep(Sweep, Lab):
    def test_an_allocation_fails(self):
        tried = 0
        for name in ("put", "get", "status", "verify", "backup", "import", "swap", "slot-add", "rotate-key", "restore"):
            points = self.points_of("memory", BY_NAME[name])
            tried += self.holds("memory", name, rng.sample(points, SAMPLE))
        harness.notes.append("allocations that failed: %d points (make faults: all that there is time for)" % tried)

    def test_a_record_that_no_memory_was_found_for_is_no_damage(self):
        for name in ("scan", "import"):
            points = [p for p in self.points_of("memory", BY_NAME[name]) if p[0] > 400 and p[0] == p[1]]
            self.holds("memory", name, points[::25])

    @WITHOUT_SANITIZER
    def test_a_file_call_fails(self):
        tried = 0
        for name in ("put", "put-first", "get", "backup", "import", "rm-destroy", "rekey", "rotate-key", "adopt", "restore"):
            points = self.points_of("calls", BY_NAME[name])
            tried += self.holds("calls", name, rng.sample(points, SAMPLE))
        harness.notes.append("file calls that failed: %d points" % tried)

    @WITHOUT_SANITIZER
    def test_a_disk_that_does_not_answer_is_no_damage_and_no_wrong_input(self):
        """The look at the audit log, reading the key and the token, the pages of the vault in verify."""
        for name, of_files in (("get", "audit.log"), ("put", "pipe:"), ("put", "/key"), ("verify", "vault.db")):
            points = [("EIO", n, n) for n in self.calls_on(BY_NAME[name], "EIO", of_files)]
            self.assertTrue(points, of_files)
            self.holds("calls", name, points[-8:])

    @WITHOUT_SANITIZER
    def test_a_copy_whose_log_cannot_be_looked_for_is_not_called_a_vault_in_use(self):
        for name in ("restore", "backup"):
            points = [("EIO", n, fault_kit.EVER) for n in self.calls_on(BY_NAME[name], "EIO", "-wal", "newfstatat")]
            self.assertTrue(points, name)
            self.holds("calls", name, points)

    @WITHOUT_SANITIZER
    def test_restore_puts_nothing_in_place_that_it_could_not_see_whole(self):
        """The vault that is there, and what SQLite left beside the new one when it closed it."""
        points = [("EIO", n, n) for n in self.calls_on(BY_NAME["restore"], "EIO", "vault.db", "newfstatat")]
        self.holds("calls", "restore", points[-16:])


@WITHOUT_SANITIZER
class Elsewhere(Sweep):
    def some(self, verbs):
        for verb in verbs:
            for part in ("memory", "calls"):
                self.holds(part, verb.name, rng.sample(self.points_of(part, verb), SAMPLE))


class Online(Elsewhere, OnlineLab):
    def test_what_asks_tiktok_with_its_courier_fails_without_a_verdict(self):
        self.some(ONLINE)


class Made(Elsewhere, InitLab):
    def test_a_vault_is_made_whole_or_not_at_all(self):
        self.some([INIT] * 3)


if __name__ == "__main__":
    unittest.main()
