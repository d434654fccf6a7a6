"""A sample of `make faults` for the agent: allocations and file calls that fail while it answers, while its courier asks, while
it starts."""

import http.client
import os
import unittest

import harness
from agent_call_kit import AgentCallLab
from agent_fault_kit import AgentLab
from fault_kit import EVER
from harness import IS_SANITIZED, new_pixel, new_token, rng

TABLE_FIRST = 64  # places, as agent/pixel_map.c has them
OF_A_REQUEST, OF_THE_COURIER, OF_A_START = 2, 4, 6  # points


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

    def test_a_token_that_no_memory_was_found_to_hand_out_ends_the_agent_or_was_not_acknowledged(self):
        """The 33rd Pixel, for which the table of what is handed out grows."""
        self.build()
        for _ in range(TABLE_FIRST // 2 - 5):
            self.put(new_pixel(), new_token(), "--no-check")
        tried = ended = 0
        is_in_reach = True
        while is_in_reach:
            tried += 1
            self.start_over()
            pixel, token = new_pixel(), new_token()
            self.set_failing(tried, tried, TABLE_FIRST * 2 * 8)
            try:
                answer, _, data = self.http("PUT", "/v1/pixels/%s/token?check=no" % pixel, token)
            except (OSError, http.client.HTTPException):
                answer, data = None, b""
            is_in_reach = self.set_failing(0, 0)[1] > 0
            before = self.broken_off
            self.restart_if_ended()
            ended += self.broken_off - before
            if answer == 200:
                self.assertEqual((200, token.encode()), self.http("GET", "/v1/pixels/%s/token" % pixel)[::2])
            self.vault("rm", "--destroy", "--yes", pixel, rc=None)
        self.assertGreater(ended, 0, "the table did not grow in any of %d" % tried)

    def test_a_courier_without_memory_is_started_again_and_nobody_is_condemned(self):
        self.build(only="--courier")
        for first in rng.sample(range(1, 16000), OF_THE_COURIER):
            self.try_courier(first, rng.choice((first, EVER)))

    def test_a_courier_whose_libraries_lacked_memory_when_they_began_makes_room_for_another(self):
        """What failed there once fails in that process for ever."""
        self.build(only="--courier")
        for first in rng.sample(range(1200, 2000), 2):
            self.try_courier(first, EVER)


@unittest.skipIf(IS_SANITIZED, "traced")
@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED without root: only root may look which file a process of the agent has open")
class Calls(AgentCallLab):
    def test_a_request_whose_file_call_fails_leaves_the_old_state_or_the_new(self):
        self.build()
        tried, broken = 0, []
        for request in self.requests:
            if request.name in ("put", "ack", "labels", "remove", "get", "verify"):
                points = self.points_of(request)
                found = self.sweep_calls(request, rng.sample(points, min(3, len(points))))
                tried, broken = tried + found[0], broken + found[1]
        self.assertEqual([], broken[:3], "%d of %d points" % (len(broken), tried))
        harness.notes.append("file calls that failed in a running agent: %d points" % tried)

    def test_a_disk_that_cannot_be_read_any_more_is_no_damaged_vault_and_who_asked_is_told(self):
        self.build()
        check = next(r for r in self.requests if r.name == "check")
        points = [p for p in self.points_of(check) if p[0] == "EIO" and p[2] == EVER]
        tried, broken = self.sweep_calls(check, points)
        self.assertGreater(tried, 10)
        self.assertEqual([], broken[:3], "%d of %d points" % (len(broken), tried))

    def test_after_a_lost_write_it_is_read_only_and_says_so_until_it_is_started_anew(self):
        self.build()
        put = next(r for r in self.requests if r.name == "put")
        calls = self.points_of(put)
        lost = 0
        for error, first, last in calls:
            if error == "EROFS" and first == last and first % 3 == 0 and lost < 2:
                before = self.read_only
                self.try_call(put, error, first, last)
                lost += self.read_only - before
        self.assertEqual(2, lost)

    def test_no_token_without_its_line(self):
        self.build()
        get = next(r for r in self.requests if r.name == "get")
        failed = set()
        for error, first, last in self.points_of(get):
            if first != last or error in failed or error in ("EINTR", "short"):
                continue
            answer, data, happened = self.exchange(get.ask(), error, first, last)
            if "write" in happened.calls and happened.file.endswith(".audit.log"):
                self.assertEqual(500, answer, str(happened))
                self.assertIn(b"audit log", data)
                failed.add(error)
            if self.exchange(get.ask())[0] != 200:
                self.start_over()
        self.assertEqual({"EIO", "ENOSPC", "EROFS", "EDQUOT"}, failed)
        self.clean(get.ask())
        self.vault("audit", "verify")

    def test_a_courier_whose_file_calls_fail_condemns_nobody(self):
        self.build(only="--courier")
        for point in rng.sample(self.courier_points(["EIO"]), 2):
            self.try_courier_call(*point)


@unittest.skipIf(IS_SANITIZED, "the sanitizer's own memory would be missing")
class Starting(AgentLab):
    starts = False

    def test_an_agent_that_lacks_memory_at_its_start_says_so_or_is_ready(self):
        self.build(only="vault-agent")
        for first in rng.sample(range(1, 1500), OF_A_START):
            self.try_start(first, rng.choice((first, EVER)))

    @harness.needs("strace")
    def test_an_agent_whose_calls_fail_while_it_starts_serves_or_says_why_not(self):
        self.build(only="vault-agent")
        points = self.start_call_points()
        for point in rng.sample(points, OF_A_START):
            self.try_start_call(*point)
        harness.notes.append("calls that failed while an agent started: %d of %d" % (OF_A_START, len(points)))

    def test_once_without_memory(self):
        self.build(only="vault-agent")
        for first in rng.sample(range(1, 4000), OF_A_START):
            self.try_once(first, rng.choice((first, EVER)))


if __name__ == "__main__":
    unittest.main()
