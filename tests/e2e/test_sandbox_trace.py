"""The lists of system calls in agent/sandbox.c are what keeper and courier need: all of it, and little else (T29)."""

import os
import shutil
import signal
import subprocess
import sys
import unittest

from harness import BUILD, IS_SANITIZED, ROOT, new_pixel, new_token
from running_agent import AgentCase


class Walk(AgentCase):
    """What an agent does in its life, in a few seconds. Traced below, and no worse a test without."""

    def test_all_that_an_agent_does(self):
        pixel, first = self.pair()
        second = self.more_token(pixel)
        other, _ = self.stored()
        self.start_agent()
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, first.encode())
        for what, do in self.verbs(pixel, second.encode()):
            do()
        self.asks(200, "POST", "/v1/check", Accept="text/event-stream")
        self.what_goes_wrong(pixel, first)
        self.what_others_do(other)
        self.a_name_to_look_up(pixel)
        self.asks(200, "POST", "/v1/lock")
        self.asks(200, "POST", "/v1/unlock")
        self.asks(200, "POST", "/v1/pixels/%s/retire?force=1" % pixel)
        self.asks(200, "DELETE", "/v1/pixels/%s?destroy=1" % other)
        self.assertEqual(0, self.end_agent())

    def what_goes_wrong(self, pixel, token):
        """A dead courier, a TikTok that breaks off, a torn audit log, too long a body."""
        os.kill(self.processes()["courier"], signal.SIGKILL)
        self.until(lambda: "another one is started" in self.log(), 20, "there is another courier")
        self.emu.ctl("drop")
        self.emu.fault("503", times=1)
        self.http("POST", "/v1/pixels/%s/check" % pixel)
        with open(next(self.path("state", n) for n in os.listdir(self.state) if n.endswith(".audit.log")), "ab") as f:
            f.write(b'{"seq":99')
        self.asks(200, "GET", "/v1/pixels/%s/token" % pixel)
        self.http("PUT", "/v1/pixels/%s/token" % pixel, b"x" * 20000)

    def a_name_to_look_up(self, pixel):
        """Nobody has it, and name servers know that (RFC 6761). "localhost" is never looked up."""
        self.configure(tiktok={"base-url": "https://pixelvault.invalid/open_api/v1.3"})
        self.agent.send_signal(signal.SIGHUP)
        self.until(lambda: "configuration reloaded" in self.log(), 20, "it is reloaded")
        checked = self.asks(200, "POST", "/v1/pixels/%s/check" % pixel)["pixels"][0]
        self.assertEqual("unreachable", checked["last_attempt"]["outcome"])

    def what_others_do(self, pixel):
        """Other programs at the same vault, and a reader that waits for them."""
        self.vault("label", pixel, "a=b")
        self.vault("put", new_pixel(), "--no-check", stdin=new_token())
        self.until(lambda: b'"a"' in self.http("GET", "/v1/pixels/" + pixel)[2], 20, "the label is seen")


def cannot_trace():
    """Why not; None = it can."""
    if os.geteuid() != 0:
        return "NOT TESTED, NEEDS ROOT: what is traced has made itself undumpable"
    if not shutil.which("strace"):
        return "NOT TESTED: strace is not installed (apt-get install strace)"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return "NOT TESTED: nothing may be traced here: " + tried.stderr.strip() if tried.returncode else None


@unittest.skipIf(IS_SANITIZED, "builds with sanitizers have no seccomp")
class Traced(unittest.TestCase):
    def test_the_lists_hold_what_is_needed_and_little_else(self):
        why = cannot_trace()
        if why:
            self.skipTest(why)
        p = subprocess.Popen(["sh", os.path.join(ROOT, "tests", "sandbox-trace.sh")], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env={**os.environ, "BUILD": BUILD, "PYTHON": sys.executable},
                             start_new_session=True)
        try:
            out, _ = p.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGTERM)  # the script cleans up; its programs go with their tests
            out, _ = p.communicate(timeout=60)
            self.fail("not done within five minutes:\n" + out)
        self.assertEqual(0, p.returncode, out)
        self.assertNotIn("tests failed while", out)
        for role in ("keeper", "courier"):
            self.assertRegex(out, r"(?m)^%s: [1-9]\d* threads and processes traced$" % role)


if __name__ == "__main__":
    unittest.main()
