"""A configuration read anew: what an agent cannot change while it runs is said, and the rest is in force."""

import signal
import unittest

from harness import VIA_AGENT, cases, new_pixel, spread
from running_agent import AgentCase


@spread
@unittest.skipIf(VIA_AGENT, "it starts agents of its own")
class Reload(AgentCase):
    uses_emulator = False

    def reload(self):
        before = self.log().count("reloaded")
        self.agent.send_signal(signal.SIGHUP)
        self.until(lambda: self.log().count("reloaded") > before, 10, "an answer to SIGHUP")

    @cases(socket=("agent", "socket", "/nowhere/agent.sock"), user=("agent", "user", "daemon"), group=("agent", "group", "daemon"),
           board=("agent", "status-listen", "127.0.0.1:9187"), vault=("vault", "path", "/nowhere/vault.db"), state=("vault", "state-dir", "/nowhere/state"),
           key=("vault", "key-file", "/nowhere/key"), memory=("agent", "require-locked-memory", "yes"))
    def test_what_needs_a_new_start_is_said_and_stays_as_it_was(self, section, key, value):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        self.start_agent()
        self.reload()
        self.assertNotIn("need a restart", self.log())
        lines = [line for line in self.read(self.config).decode().splitlines() if line.split("=")[0].strip() != key]
        at = lines.index("[%s]" % section) if "[%s]" % section in lines else None
        if at is None:
            lines += ["[%s]" % section, "%s = %s" % (key, value)]
        else:
            lines.insert(at + 1, "%s = %s" % (key, value))
        self.write(self.config, "\n".join(lines) + "\n")
        self.reload()
        self.assertIn("need a restart", self.log())
        self.assertEqual(token.encode(), self.http("GET", "/v1/pixels/%s/token" % pixel)[2])


if __name__ == "__main__":
    unittest.main()
