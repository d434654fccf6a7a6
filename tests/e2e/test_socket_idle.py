"""Connections on which nothing happens."""

import unittest

import test_socket_abuse
from test_socket_abuse import IDLE_S, SLACK_S


class Idle(test_socket_abuse.Abusers):
    def test_silent_ones_are_closed_in_time(self):
        kinds = {"never a byte": (IDLE_S, self.abuser(b"")), "idle behind an answer": (IDLE_S, self.abuser(self.request()))}
        self.run_abusers([a for _, a in kinds.values()], IDLE_S + SLACK_S)
        self.all_are_closed_in_time(kinds)


if __name__ == "__main__":
    unittest.main()
