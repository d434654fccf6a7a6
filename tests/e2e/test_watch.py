"""`status --watch` on a terminal."""

import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
import unittest

from harness import Case, PATIENCE, direct_only, new_pixel
from running_agent import AgentCase

TIOCGPTN = 0x80045430
ENTER, LEAVE = "\033[?1049h", "\033[?1049l"


def in_days(days):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


class WatchCase(Case):
    uses_emulator = False

    def watch(self, *args, **more):
        t = self.terminal("status", "--watch", *args, **more)
        self.addCleanup(self.end, t)
        self.before = t.modes
        return t

    def end(self, t):
        if t.rc is None:
            t.send("q")
            t.wait()

    def forget(self, t):
        """All that has come so far, also what nobody has read yet."""
        while select.select([t.fd], [], [], 0)[0] and t.pump(0):
            pass
        t.seen = b""

    def assertAsBefore(self, t):
        """The terminal's modes, its page and its cursor."""
        self.assertEqual(1, t.text().count(LEAVE), t.text())
        self.assertTrue(t.text().rstrip("^C").rstrip().endswith("\033[?25h" + LEAVE), t.text()[-80:])

    def modes_after(self, t, key):
        """The modes once the program is gone: the terminal is held open meanwhile."""
        number, = struct.unpack("i", fcntl.ioctl(t.fd, TIOCGPTN, bytes(4)))
        slave = os.open("/dev/pts/%d" % number, os.O_RDWR | os.O_NOCTTY)
        try:
            t.send(key)
            end = time.monotonic() + 30 * PATIENCE
            while os.waitid(os.P_PID, t.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                self.assertLess(time.monotonic(), end, "it never ended")
                t.pump(0.02)
            return termios.tcgetattr(slave)
        finally:
            os.close(slave)


class Watch(WatchCase):
    def test_it_shows_what_changes_and_q_ends_it(self):
        a, b = sorted((new_pixel(), new_pixel()))
        self.put(a, self.token(), "--no-check", "--label", "shop=oslo")
        t = self.watch()
        t.expect(a)
        self.assertTrue(t.text().startswith(ENTER))
        t.expect("q ends")
        self.forget(t)
        self.put(b, self.token(), "--no-check")
        t.expect(b)
        self.assertEqual(self.before, self.modes_after(t, "q"))
        self.assertEqual(0, t.wait())
        self.assertAsBefore(t)

    def test_ctrl_c_ends_it_as_a_shell_expects_and_leaves_the_terminal_as_it_was(self):
        self.put(new_pixel(), self.token(), "--no-check")
        t = self.watch()
        t.expect("PIXEL")
        self.assertEqual(self.before, self.modes_after(t, "\x03"))
        self.assertEqual(-signal.SIGINT, t.wait())
        self.assertAsBefore(t)
        t = self.watch()
        t.expect("PIXEL")
        os.kill(t.pid, signal.SIGTERM)
        self.assertEqual(-signal.SIGTERM, t.wait())
        self.assertAsBefore(t)

    def first_that_fits(self, t, rows, columns, least):
        """What was under way when the size changed ends first, and the whole picture behind that may be of the old one, too;
        the next is not."""
        whole = "\033\\[H((?:(?!\033\\[H)[^\0])*?)\033\\[J"
        for pictures in (whole, whole + "[^\0]*?" + whole):
            picture = t.expect(pictures).groups()[-1].split("\n")
            if least <= len(picture) <= rows and all(len(re.sub("\033\\[[0-9;]*[a-zA-Z]", "", line)) <= columns for line in picture):
                return picture
        self.fail("%d rows and %d columns: %r" % (rows, columns, picture))

    def test_it_fits_the_terminal_as_that_grows_and_shrinks(self):
        for _ in range(30):
            self.put(new_pixel(), self.token(), "--no-check", "--expires", in_days(3))
        t = self.watch()
        t.expect("the token expires")
        for rows, columns, least in ((12, 60, 1), (5, 40, 1), (60, 200, 41)):
            self.forget(t)
            fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            self.first_that_fits(t, rows, columns, least)

    def test_colours_are_off_where_that_is_said(self):
        self.put(new_pixel(), self.token(), "--no-check")
        for args, env, is_coloured in (((), {}, True), ((), {"NO_COLOR": "1"}, False), (("--color=never",), {}, False)):
            t = self.watch(*args, env=env)
            t.expect("unchecked")
            t.expect("\033\\[J")
            self.assertEqual(is_coloured, "\033[33m" in t.text(), (args, env))
            t.send("q")
            self.assertEqual(0, t.wait())

    def test_stopped_it_gives_the_terminal_back_and_goes_on_later(self):
        self.put(new_pixel(), self.token(), "--no-check")
        t = self.watch()
        t.expect("PIXEL")
        os.kill(t.pid, signal.SIGTSTP)
        t.expect("\033\\[\\?1049l")
        os.waitpid(t.pid, os.WUNTRACED)
        self.forget(t)
        os.kill(t.pid, signal.SIGCONT)
        t.expect("PIXEL")
        self.assertIn(ENTER, t.text())

    def test_what_is_wrong_from_the_start_is_told_as_everywhere(self):
        self.put(new_pixel(), self.token(), "--no-check")
        self.refuses(2, "status", "--watch", says=("needs a terminal",))
        t = self.watch(new_pixel())
        self.assertEqual(3, t.wait())
        self.assertNotIn(ENTER, t.text())
        t = self.watch("--json")
        self.assertEqual(2, t.wait())
        t = self.watch(env={"TERM": "dumb"})
        self.assertEqual(2, t.wait())

    def test_a_strangers_label_does_nothing_to_the_terminal(self):
        self.put(new_pixel(), self.token(), "--no-check", "--label", "x=\u202eevil\u009b31m")
        t = self.watch()
        t.expect("x=\\?evil\\?31m")


@direct_only("has an agent of its own")
class Live(WatchCase, AgentCase):
    def test_it_outlives_the_agent_and_a_lock(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        self.start_agent()
        t = self.watch(env={"PIXELVAULT_VAULT": None})
        t.expect("live; q ends")
        self.forget(t)
        self.asks(200, "POST", "/v1/lock")
        t.send("r")
        t.expect("trying again: .*locked")
        self.end_agent()
        t.expect("trying again: no agent")
        self.assertIn(pixel, t.text(), "the last board stays")
        self.forget(t)
        self.start_agent()
        t.expect("live; q ends")

    def test_events_bring_news_at_once(self):
        first, second = new_pixel(), new_pixel()
        self.put(first, self.token(), "--no-check")
        self.start_agent()
        began = time.monotonic()
        t = self.watch(env={"PIXELVAULT_VAULT": None})
        for _ in range(2):  # the second look comes after two seconds, and the third 30 later
            t.expect("live; q ends")
            self.forget(t)
        self.asks(200, "PUT", "/v1/pixels/%s/token?check=no" % second, self.token())
        t.expect(second, timeout=60)
        self.assertStill(time.monotonic() - began, 30, "it is seen without events, too")


if __name__ == "__main__":
    unittest.main()
