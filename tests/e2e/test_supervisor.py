"""The process that people start: what it starts, what it passes on, and how all of it ends. Keeper and courier are
stand-ins that write down what happens to them (tests/support/stand_in.c); the supervisor is the real one."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

from harness import BUILD, PATIENCE, Case

STAND_IN = os.path.join(BUILD, "tests", "stand_in")
ACTIVATE = ("import os, sys\n"
            "count = int(sys.argv[1])\n"
            "at = [os.dup(int(fd)) for fd in sys.argv[2:2 + count]]\n"
            "high = [os.dup2(fd, 100 + i) for i, fd in enumerate(at)]\n"
            "for i, fd in enumerate(high): os.dup2(fd, 3 + i)\n"
            "os.environ['LISTEN_PID'] = str(os.getpid() + int(os.environ.pop('PID_OFF', '0')))\n"
            "os.environ['LISTEN_FDS'] = str(count)\n"
            "os.execv(sys.argv[2 + count], sys.argv[2 + count:])\n")


@unittest.skipUnless(os.path.exists(STAND_IN), "no " + STAND_IN)
class Supervisor(Case):
    makes_vault = False
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.log_path = self.path("log")
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(self.path("notify"))
        self.systemd.settimeout(60 * PATIENCE)
        self.env["NOTIFY_SOCKET"] = self.path("notify")

    def supervise(self, *args, ready=True, **more):
        p = self.start(*args, program=STAND_IN, stdin=None, **more)
        p.stdin.close()
        p.stdin = None
        if ready:
            self.hear("READY=1\nSTATUS=3 Pixels")
        return p

    def hear(self, wanted):
        """The next message to systemd that is no ping."""
        while (text := self.systemd.recv(4096).decode()) == "WATCHDOG=1":
            pass
        self.assertEqual(wanted, text)

    def until(self, what, seconds=5):
        end = time.monotonic() + max(seconds, 30) * PATIENCE
        while not (got := what()):
            if time.monotonic() > end:
                self.fail("waited in vain; the log says %r" % self.log())
            time.sleep(0.01)
        return got

    def log(self):
        """[(milliseconds, what)]"""
        try:
            with open(self.log_path) as f:
                return [(int(line.split(" ", 1)[0]), line.split(" ", 1)[1].strip()) for line in f]
        except FileNotFoundError:
            return []

    def said(self):
        return [what for _, what in self.log()]

    @staticmethod
    def proc(pid, name):
        try:
            with open("/proc/%d/%s" % (pid, name), "rb") as f:
                return f.read()
        except (FileNotFoundError, ProcessLookupError):
            return b""

    def children_of(self, p):
        """{"--keeper": pid, "--courier": pid}"""
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                stat = self.proc(int(name), "stat").rsplit(b")", 1)[-1].split()
                words = self.proc(int(name), "cmdline").split(b"\0")
                if len(stat) > 1 and int(stat[1]) == p.pid and stat[0] != b"Z" and len(words) > 1:
                    found[words[1].decode()] = int(name)
        return found

    def both(self, p):
        found = self.until(lambda: (lambda c: c if len(c) == 2 else None)(self.children_of(p)))
        return found["--keeper"], found["--courier"]

    def ends(self, p, rc, says=None):
        """With this status; nothing of it is left."""
        _, err = p.communicate(timeout=60 * PATIENCE)
        self.assertEqual(rc, p.returncode, err)
        if says:
            self.assertIn(says, err.decode())
        return err.decode()

    def gone(self, *pids):
        for pid in pids:
            self.until(lambda: self.proc(pid, "stat").rsplit(b")", 1)[-1][1:2] in (b"", b"Z"), 2)

    # ---- starting ----

    def test_keeper_and_courier_are_started_and_told_to_go(self):
        p = self.supervise("--config", self.config)
        self.assertEqual(["courier hello", "go"], self.said())
        keeper, _ = self.both(p)
        self.assertEqual(["vault-agent", "--keeper", "--config", self.config],
                         self.proc(keeper, "cmdline").decode().split("\0")[:-1])

    def test_a_bad_configuration_is_said_before_anything_starts(self):
        self.configure(more="[agent]\nno-such-key = 1\n")
        p = self.supervise(ready=False)
        err = self.ends(p, 13)
        self.assertRegex(err, r"(?m)^vault-agent: \S.*no-such-key")
        self.assertRegex(err, r"(?m)^  hint: \S")
        self.assertEqual([], self.said())

    @unittest.skipUnless(os.geteuid() == 0, "only root reads the environment of undumpable processes")
    def test_the_environment_of_its_children(self):
        more = {"LD_PRELOAD": "", "SSLKEYLOGFILE": "/tmp/x", "https_proxy": "http://x", "WATCHDOG_USEC": "9000000",
                "LISTEN_FDNAMES": "agent", "XDG_STATE_HOME": "/x", "CREDENTIALS_DIRECTORY": "/y", "JOURNAL_STREAM": "1:2",
                "HOMELESS": "1", "PATH": "/evil"}
        p = self.supervise(env=more)
        keeper, courier = self.both(p)
        given = dict(v.split("=", 1) for v in self.proc(keeper, "environ").decode().split("\0") if v)
        self.assertEqual({"LANG": "C", "PATH": "/usr/bin:/bin", "HOME": self.env["HOME"], "XDG_STATE_HOME": "/x",
                          "CREDENTIALS_DIRECTORY": "/y", "JOURNAL_STREAM": "1:2", "PIXELVAULT_VAULT": self.file,
                          "PIXELVAULT_CONFIG": self.config}, given)
        self.assertEqual(b"", self.proc(courier, "environ"))

    @unittest.skipUnless(os.geteuid() == 0, "only root looks into undumpable processes")
    def test_its_children_hold_no_descriptor_of_its_own(self):
        leaked = os.open("/etc/hostname", os.O_RDONLY)
        self.addCleanup(os.close, leaked)
        p = self.supervise(pass_fds=(leaked,))
        for pid in self.both(p):
            held = {fd: os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
            self.assertEqual(["/dev/null"] * 2, [held["0"], held["1"]])
            self.assertTrue(held["3"].startswith("socket:"), held)
            self.assertFalse([t for t in held.values() if "hostname" in t or "signalfd" in t], held)
            self.assertLessEqual(len(held), 5, held)  # the keeper also has the courier's socket

    def test_it_cannot_gain_privileges(self):
        p = self.supervise()
        for pid in (p.pid, *self.both(p)):
            self.assertIn(b"NoNewPrivs:\t1", self.proc(pid, "status"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_is_warned_once(self):
        p = self.supervise()
        p.terminate()
        self.assertEqual(1, self.ends(p, 7).count("running as root"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_with_a_user_named_all_three_become_that_user(self):
        self.configure(more="[agent]\nuser = nobody\ngroup = daemon\nsocket = %s\n" % self.path("run", "agent.sock"))
        os.chmod(self.dir, 0o777)
        os.chmod(self.path("notify"), 0o777)
        p = self.supervise()
        pids = (p.pid, *self.both(p))
        for pid in pids:
            status = self.proc(pid, "status").decode()
            self.assertIn("Uid:\t65534\t65534\t65534\t65534", status)
            self.assertIn("Gid:\t1\t1\t1\t1", status)
            self.assertIn("Groups:\t \n", status)
            self.assertIn("CapPrm:\t0000000000000000", status)
        given = self.proc(pids[1], "environ").decode().split("\0")
        self.assertIn("PIXELVAULT_STATE=" + self.state, given)
        self.assertFalse([v for v in given if v.startswith("HOME=")])
        run = os.stat(self.path("run"))
        self.assertEqual((65534, 1, 0o40750), (run.st_uid, run.st_gid, run.st_mode))
        p.kill()
        self.gone(*pids[1:])

    # ---- the courier ----

    def test_a_dead_courier_is_started_again_at_once(self):
        p = self.supervise()
        keeper, courier = self.both(p)
        killed = time.monotonic()
        os.kill(courier, signal.SIGKILL)
        self.until(lambda: self.said().count("courier hello") == 2)
        self.assertSoon(time.monotonic() - killed, 1)
        again = self.both(p)
        self.assertEqual(keeper, again[0])
        self.assertNotEqual(courier, again[1])

    def test_one_that_dies_young_again_and_again_is_started_after_growing_pauses(self):
        self.write(self.path("courier-dies"), "")
        p = self.supervise(ready=False)
        self.until(lambda: self.said().count("dies") >= 6, 10)
        # Each writes its moment before it dies: one that writes late was not started early.
        at = [ms for ms, what in self.log() if what == "dies"][:6]
        gaps = [b - a for a, b in zip(at, at[1:])]
        for gap, least in zip(gaps, (0, 100, 200, 400, 800)):
            self.assertGreaterEqual(gap, least - 2, gaps)
            self.assertSoon((gap - least) / 1000, 1, gaps)
        os.unlink(self.path("courier-dies"))
        self.until(lambda: "courier hello" in self.said(), 10)
        self.assertIsNone(p.poll())

    def test_one_that_hangs_is_replaced_when_the_keeper_says_so(self):
        p = self.supervise()
        _, courier = self.both(p)
        os.kill(courier, signal.SIGSTOP)
        self.write(self.path("courier-hangs"), "")
        self.until(lambda: self.said().count("courier hello") == 2)
        self.gone(courier)

    # ---- systemd ----

    def test_reloading_is_told_to_both_sides(self):
        p = self.supervise()
        p.send_signal(signal.SIGHUP)
        self.assertRegex(self.systemd.recv(4096).decode(), r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.hear("READY=1\nSTATUS=3 Pixels, reloaded")
        self.assertEqual("reload", self.said()[-1])

    def test_the_keeper_is_told_what_the_names_in_the_rules_mean(self):
        rule = "[access %s]\n%s = %s\npixels = *\nverbs = meta\n"
        self.configure(more=rule % ("a", "user", "root") + rule % ("b", "user", "4711"))
        p = self.supervise()
        self.assertEqual(["accounts user root 0", "go"], self.said()[-2:])
        self.configure(more=rule % ("a", "group", "root") + rule % ("b", "user", "no-such-user"))
        p.send_signal(signal.SIGHUP)
        self.until(lambda: self.said()[-1] == "reload")
        self.assertEqual(["accounts group root 0", "reload"], self.said()[-2:])
        self.write(self.config, "no configuration")
        p.send_signal(signal.SIGHUP)
        self.until(lambda: self.said()[-2:] == ["reload", "reload"])

    def pings(self, seconds):
        count, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.systemd.settimeout(left)
            try:
                count += self.systemd.recv(4096) == b"WATCHDOG=1"
            except TimeoutError:
                break
        return count

    def test_the_watchdog_is_fed_until_the_keeper_hangs(self):
        p = self.supervise(env={"WATCHDOG_USEC": "800000"})
        keeper, _ = self.both(p)
        began = time.monotonic()
        for _ in range(4):
            self.assertEqual(b"WATCHDOG=1", self.systemd.recv(4096))
        self.assertSoon(time.monotonic() - began, 1.5)
        hung = time.monotonic()
        os.kill(keeper, signal.SIGUSR1)
        self.until(lambda: self.pings(1.0) == 0)
        self.assertSoon(time.monotonic() - hung, 2.5, "a second with the last pings in it, and a silent one")
        self.assertIsNone(p.poll())

    def test_without_a_watchdog_there_are_no_pings(self):
        self.supervise()
        self.assertEqual(0, self.pings(0.5))

    def listeners(self, *kinds):
        made = []
        for i, kind in enumerate(kinds):
            s = socket.socket(socket.AF_UNIX, kind)
            self.addCleanup(s.close)
            s.bind(self.path("listener%d" % i))
            if kind == socket.SOCK_STREAM:
                s.listen()
            made.append(s)
        return made

    def activated(self, sockets, names, ready=True, **env):
        fds = [s.fileno() for s in sockets]
        return self.supervise("-c", ACTIVATE, str(len(fds)), *map(str, fds), STAND_IN, prefix=(sys.executable,), ready=ready,
                              env=dict(env, LISTEN_FDNAMES=names), pass_fds=fds)

    def start(self, *args, prefix=(), program=None, **more):
        if prefix:
            return super().start(*args, program=prefix[0], **more)
        return super().start(*args, program=program, **more)

    def test_sockets_from_systemd_reach_the_keeper(self):
        self.activated(self.listeners(socket.SOCK_STREAM, socket.SOCK_STREAM), "agent:credentials")
        self.assertEqual(["courier hello", "socket agent", "socket credentials", "go"], self.said())

    def test_sockets_that_are_not_ours_are_named_and_not_used(self):
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)
        p = self.activated(self.listeners(*kinds), "http:agent:credentials")
        self.assertEqual(["courier hello", "socket credentials", "go"], self.said())
        p.terminate()
        err = self.ends(p, 7)
        self.assertRegex(err, "(?m)^vault-agent: a socket from systemd is not used: its name is 'http'")
        self.assertRegex(err, "(?m)^vault-agent: a socket from systemd is not used: its name is 'agent'.*stream")

    def test_sockets_for_another_process_are_left_alone(self):
        self.activated(self.listeners(socket.SOCK_STREAM), "agent", PID_OFF="1")
        self.assertEqual(["courier hello", "go"], self.said())

    # ---- a keeper that is silent from the start ----

    def later(self, p, seconds):
        """It is woken, to see the time that has passed. The file is mapped there: cut to nothing for a moment, as writing it anew
        would, it would end who looks then."""
        with open(self.path("clock"), "r+b") as f:
            f.write(struct.pack("=qq", 0, seconds))
        p.send_signal(signal.SIGHUP)

    def stopped(self, p):
        """The pid of a keeper that hangs where it starts."""
        return self.until(lambda: next((pid for name, pid in self.children_of(p).items() if name == "--keeper" and
                                        self.proc(pid, "stat").rsplit(b")", 1)[-1][1:2] == b"T"), None))

    def silent(self, sockets=()):
        self.write(self.path("clock"), bytes(16))
        self.write(self.path("keeper-stops"), "")
        env = {"PIXELVAULT_TEST_CLOCK": self.path("clock")}
        p = (self.activated(sockets, "agent:credentials", ready=False, **env) if sockets
             else self.supervise(ready=False, env=env))
        return p, self.stopped(p)

    def test_a_keeper_that_gives_no_sign_of_life_is_ended_and_started_again(self):
        p, keeper = self.silent(self.listeners(socket.SOCK_STREAM, socket.SOCK_STREAM))
        self.later(p, 30)
        self.assertIn("RELOADING=1", self.systemd.recv(4096).decode())
        self.assertEqual([], self.said(), "it may be slow")
        self.assertEqual(keeper, self.stopped(p))
        self.later(p, 60)
        self.until(lambda: "go" in self.said())
        self.assertEqual(["courier hello", "socket agent", "socket credentials", "go"], self.said())
        self.gone(keeper)
        self.both(p)
        p.terminate()
        self.assertRegex(self.ends(p, 7), "(?m)^vault-agent: the keeper gave no sign of life for 40 seconds .* is ended; another one is started$")

    def test_one_after_the_other_may_be_silent(self):
        p, keeper = self.silent()
        for seconds in (60, 120, 180):
            self.write(self.path("keeper-stops"), "")
            self.later(p, seconds)
            self.gone(keeper)
            keeper = self.stopped(p)
        self.later(p, 240)
        self.until(lambda: "go" in self.said())
        p.terminate()
        self.assertEqual(4, self.ends(p, 7).count("no sign of life"))

    def test_a_silent_one_is_not_waited_for_when_all_is_to_end(self):
        p, keeper = self.silent()
        p.terminate()
        self.hear("STOPPING=1")
        self.later(p, 41)
        self.ends(p, 1, "did not end and is killed")
        self.gone(keeper)

    # ---- the end ----

    def test_it_ends_with_the_keeper_and_its_status(self):
        p = self.supervise()
        keeper, courier = self.both(p)
        os.kill(keeper, signal.SIGUSR2)
        self.ends(p, 42)
        self.gone(keeper, courier)

    def test_a_keeper_that_was_killed_is_1_and_says_the_signal(self):
        p = self.supervise()
        keeper, courier = self.both(p)
        os.kill(keeper, signal.SIGKILL)
        self.ends(p, 1, "killed by signal 9 (status 137)")
        self.gone(courier)

    def test_term_and_int_stop_the_keeper_first(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                p = self.supervise()
                pids = self.both(p)
                p.send_signal(number)
                self.hear("STOPPING=1")
                self.ends(p, 7)
                self.assertEqual("stop", self.said()[-1])
                self.gone(*pids)

    def test_ctrl_c_of_a_whole_group_is_no_less_orderly(self):
        p = self.supervise(start_new_session=True)
        for number in (signal.SIGHUP, signal.SIGINT):
            os.killpg(p.pid, number)
            time.sleep(0.05)
        self.ends(p, 7)
        self.assertEqual(["reload", "stop"], self.said()[-2:])

    def test_a_stubborn_keeper_is_killed_by_the_second_term(self):
        p = self.supervise(env={"PIXELVAULT_TEST_STUBBORN": "1"})
        pids = self.both(p)
        p.terminate()
        self.until(lambda: "stop" in self.said())
        time.sleep(0.2)
        self.assertIsNone(p.poll(), "the first is a request")
        p.terminate()
        self.ends(p, 1, "did not end and is killed")
        self.gone(*pids)

    def test_told_twice_at_once_the_keeper_still_gets_a_second(self):
        p = self.supervise(env={"PIXELVAULT_TEST_STUBBORN": "1"})
        pids = self.both(p)
        begun = time.monotonic()
        p.terminate()
        self.until(lambda: "stop" in self.said())
        p.terminate()
        self.ends(p, 1, "did not end and is killed")
        self.assertGreater(time.monotonic() - begun, 1, "time for the commit in hand")
        self.gone(*pids)

    def test_a_keeper_that_talks_nonsense_is_heard_no_more(self):
        p = self.supervise(ready=False, env={"PIXELVAULT_TEST_NONSENSE": "1"})
        self.ends(p, 7)
        self.assertEqual("end", self.said()[-1])

    def test_killed_it_leaves_nothing_behind(self):
        p = self.supervise()
        pids = self.both(p)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # so that they cannot just see their sockets close
        p.kill()
        self.gone(*pids)


if __name__ == "__main__":
    unittest.main()
