"""A sample of `make faults` for the agent: allocations that fail while it answers, while its courier asks, while it starts."""

import unittest

import harness
from agent_fault_kit import AgentLab
from fault_kit import EVER
from harness import IS_SANITIZED, rng

OF_A_REQUEST, OF_THE_COURIER, OF_A_START = 2, 8, 6  # points


@unittest.skipIf(IS_SANITIZED, "the sanitizer's own memory would be missing")
class Answering(AgentLab):
    def test_a_request_without_memory_is_refused_and_nothing_is_lost(self):
        self.build()
        tried, broken = 0, []
        for request in self.requests:
            points = self.points_of(request)
            found = self.sweep(request, rng.sample(points, min(OF_A_REQUEST, len(points))))
            tried, broken = tried + found[0], broken + found[1]
        self.assertEqual([], broken[:3], "%d of %d points" % (len(broken), tried))
        harness.notes.append("allocations that failed in a running agent: %d points of %d requests" % (tried, len(self.requests)))

    def test_a_body_that_no_memory_was_found_for_is_no_wrong_usage(self):
        self.build()
        for request in self.requests:
            if request.name in ("ack", "put a pair that is renewed"):
                _, broken = self.sweep(request, [(n, n) for n in range(1, 25)])
                self.assertEqual([], broken[:2])

    def test_a_courier_without_memory_is_started_again_and_nobody_is_condemned(self):
        self.build(only="--courier")
        for first in rng.sample(range(1, 400), OF_THE_COURIER):
            self.try_courier(first, rng.choice((first, EVER)))


@unittest.skipIf(IS_SANITIZED, "the sanitizer's own memory would be missing")
class Starting(AgentLab):
    starts = False

    def test_an_agent_that_lacks_memory_at_its_start_says_so_or_is_ready(self):
        self.build(only="vault-agent")
        for first in rng.sample(range(1, 1500), OF_A_START):
            self.try_start(first, rng.choice((first, EVER)))

    def test_once_without_memory(self):
        self.build(only="vault-agent")
        for first in rng.sample(range(1, 4000), OF_A_START):
            self.try_once(first, rng.choice((first, EVER)))


if __name__ == "__main__":
    unittest.main()
