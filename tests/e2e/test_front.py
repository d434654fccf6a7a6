"""The program is in two pieces: a small front that serves `get` and `run` through an agent, and the whole, which it becomes
on first need. Each does its part, wherever they lie, and a missing piece is said well."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from harness import BUILD, IS_STATIC_FRONT, PATIENCE, VAULT, Case, direct_only, new_pixel

PIECE = os.path.join(BUILD, "vault-whole")


def told_by_readelf(*options):
    return subprocess.run(["readelf", "-W", *options], capture_output=True, text=True, check=True).stdout


@direct_only("it starts an agent of its own")
class Front(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.front = self.path("alone", "vault")
        os.mkdir(self.path("alone"))
        shutil.copy(VAULT, self.front)
        self.pixel, self.secret = new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--no-check")

    def with_agent(self):
        del self.env["PIXELVAULT_VAULT"]
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        self.addCleanup(self.stop_agent)
        self.start_agent()

    def alone(self, *args, **more):
        return self.run_program([self.front, *args], **more)

    def test_it_serves_get_and_run_through_an_agent_alone(self):
        self.with_agent()
        self.assertEqual(self.secret.encode(), self.alone("get", self.pixel, "--as", "shop", says_token=True).out)
        self.assertIn(self.secret.encode(), self.alone("get", self.pixel, "--json", says_token=True).out)
        r = self.alone("run", "--env", "T=" + self.pixel, "--file", "F=" + self.pixel, "--", "sh", "-c",
                       'umask; printf %s "$T"; cat "$F"; exit 7', rc=7, says_token=True)
        self.assertEqual(2, r.out.decode().count(self.secret))
        umask = subprocess.run(["sh", "-c", "umask"], capture_output=True, check=True).stdout
        self.assertTrue(r.out.startswith(umask), r.out)

    @unittest.skipUnless(IS_STATIC_FRONT and os.geteuid() == 0, "a program of its own libc, and a change of root, which is root's")
    def test_it_serves_where_there_is_nothing_but_itself_and_the_socket(self):
        """As in a container that holds one file."""
        self.with_agent()
        root = self.path("root")
        os.mkdir(root)
        shutil.copy(VAULT, root)
        os.link(self.socket, os.path.join(root, "agent.sock"))
        self.write(os.path.join(root, "pixelvault.ini"), "[agent]\nsocket = /agent.sock\nuser = %d\n" % os.geteuid())

        def enter():
            os.chroot(root)
            os.chdir("/")

        for words in (["get"], ["get", "--as", "shop"]):
            done = subprocess.run(["/vault", *words, self.pixel], env={"PIXELVAULT_CONFIG": "/pixelvault.ini"}, preexec_fn=enter, capture_output=True)
            self.assertEqual((0, self.secret.encode(), b""), (done.returncode, done.stdout, done.stderr))

    def test_it_tells_what_the_agent_refuses_and_what_cannot_start(self):
        self.with_agent()
        self.assertIn("hint: ", self.alone("get", new_pixel(), rc=3).err)
        self.assertIn(b'"not-found"', self.alone("get", new_pixel(), "--json", rc=3).out)
        self.assertIn("cannot be started", self.alone("run", "--env", "T=" + self.pixel, "--", "/nowhere", rc=127).err)

    def test_a_missing_piece_is_told_with_what_to_do(self):
        for args in (["status"], ["get", self.pixel], ["--help"], ["no-such-command"], []):
            r = self.alone(*args, rc=1)
            self.assertIn("a part of this program cannot be started: %s: No such file" % self.path("alone", "vault-whole"), r.err)
            self.assertIn("hint: install it again", r.err)
        self.assertIn(b'"exit":1', self.alone("get", self.pixel, "--json", rc=1).out.replace(b" ", b""))

    def test_the_piece_beside_it_is_found_and_no_other(self):
        for folder in (self.path(), self.path("alone", "lib")):
            os.makedirs(folder, exist_ok=True)
            shutil.copy(PIECE, os.path.join(folder, "vault-whole"))
        more = {"cwd": self.dir, "env": {"PATH": self.path() + ":" + self.path("alone", "lib") + ":" + os.environ["PATH"]}}
        self.alone("get", self.pixel, rc=1, **more)
        shutil.copy(PIECE, self.path("alone", "vault-whole"))
        self.assertEqual(self.secret.encode(), self.alone("get", self.pixel, says_token=True, **more).out)

    def both_ways(self):
        yield "directly"
        self.with_agent()
        yield "through an agent"

    def script(self, folder, text, mode=0o755):
        os.makedirs(self.path(folder), exist_ok=True)
        self.write(self.path(folder, "our-script"), text, mode)

    def started(self, path, rc=0, name="our-script"):
        r = self.run_program([VAULT, "run", "--env", "T=" + self.pixel, "--", name, "a b", "c"], cwd=self.path("here"),
                             env={"PATH": path}, rc=rc, says_token=True)
        return r.out.decode().strip() if rc == 0 else r.err

    def test_a_script_that_names_no_interpreter_is_read_by_the_shell(self):
        self.script("here", 'test "$T" = %s && echo here "$#" "$1"' % self.secret)
        for way in self.both_ways():
            for path, name in ((self.path("here"), "our-script"), ("/nowhere", "./our-script"), ("", self.path("here", "our-script"))):
                self.assertEqual("here 2 a b", self.started(path, name=name), way)

    def test_the_command_is_searched_for_as_posix_says(self):
        """The token goes to the file that was found first, whether it names an interpreter or not."""
        os.makedirs(self.path("folder", "our-script"))
        there, last, folder, refused = (self.path(n) for n in ("there", "last", "folder", "refused"))
        for way in self.both_ways():
            for begin in ("#!/bin/sh\n", ""):
                for name in ("here", "there", "last"):
                    self.script(name, begin + "echo " + name)
                self.script("refused", begin, 0o600)
                for path, found in (("", "here"), (":" + there, "here"), (there + ":", "there"), ("/nowhere::" + there, "here"), ("/nowhere:", "here"),
                                    ("%s:%s:%s" % (folder, refused, last), "last"), (there + "/our-script:" + last, "last"), ("x" * 5000 + ":" + last, "last")):
                    self.assertEqual(found, self.started(path), (way, path))
                self.assertIn("No such file", self.started(None, 127), way)  # not the current folder
                self.assertIn("No such file", self.started("/nowhere", 127), way)
                self.assertIn("No such file", self.started(there, 127, ""), way)
                self.started(there, 126, "n" * 5000)
                self.assertIn("Permission denied", self.started("%s:%s:/nowhere" % (refused, folder), 126), way)

    def test_who_cannot_be_told_what_is_missing_is_no_reason_to_die(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([self.front, "list", "--json"], env=self.env, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        self.assertIn(b"a part of this program cannot be started", done.stderr)
        self.assertEqual(1, done.returncode)

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody whom nobody knows")
    def test_who_has_a_home_that_only_the_whole_may_know_is_not_served_without_his_configuration(self):
        """As in /etc/passwd there is no such user: he may be known elsewhere, and have an agent of his own."""
        os.chmod(self.dir, 0o755)
        os.makedirs(self.path("run", "pixelvault"))
        with socket.socket(socket.AF_UNIX) as agent:
            agent.bind(self.path("run", "pixelvault", "agent.sock"))
            os.chmod(self.path("run", "pixelvault", "agent.sock"), 0o666)
            agent.listen()
            agent.settimeout(0)
            said = subprocess.run([self.front, "get", self.pixel], user=3456789, group=3456789, extra_groups=[], cwd="/", capture_output=True,
                                  env={"XDG_RUNTIME_DIR": self.path("run")}).stderr.decode()
            self.assertIn("a part of this program cannot be started", said)
            self.assertRaises(BlockingIOError, agent.accept)

    def test_the_whole_is_called_as_it_was_typed(self):
        """Not as its file is: whoever looks for `vault` among the processes finds it."""
        os.symlink(VAULT, self.path("alone", "other name"))
        with subprocess.Popen([self.path("alone", "other name"), "put", self.pixel, "--no-check"], env=self.env, stdin=subprocess.PIPE) as p:
            self.addCleanup(p.kill)
            end = time.monotonic() + 20 * PATIENCE
            while os.readlink("/proc/%d/exe" % p.pid) != os.path.realpath(PIECE) or self.read("/proc/%d/comm" % p.pid) != b"other name\n":
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            p.kill()

    def test_the_command_inherits_what_the_caller_had(self):
        # Both pieces harden the process; the command must see what was before the first of them.
        r = self.vault("run", "--env", "T=" + self.pixel, "--", "sh", "-c", "umask; grep SigIgn /proc/self/status")
        plain = subprocess.run(["sh", "-c", "umask; grep SigIgn /proc/self/status"], capture_output=True, check=True)
        self.assertEqual(plain.stdout, r.out)

    def test_a_closed_stdout_is_lost_data_in_both_pieces(self):
        self.run_program(["sh", "-c", 'exec "$0" get "$1" >&-', VAULT, self.pixel], rc=17)
        self.with_agent()
        self.run_program(["sh", "-c", 'exec "$0" get "$1" >&-', VAULT, self.pixel], rc=17)


@unittest.skipUnless(shutil.which("readelf"), "no readelf")
class Shape(Case):
    uses_emulator = False

    def test_both_pieces_are_hardened(self):
        for piece in (VAULT, PIECE):
            self.assertIn("GNU_RELRO", told_by_readelf("-l", piece))
            self.assertRegex(told_by_readelf("-d", piece), r"\bNOW\b")
            self.assertRegex(told_by_readelf("-d", piece), r"\bPIE\b")
            self.assertNotRegex(told_by_readelf("-d", piece), r"RPATH|RUNPATH|TEXTREL")
            self.assertNotRegex(told_by_readelf("-l", piece), r"LOAD.* RWE ")

    @unittest.skipIf(os.geteuid() != 0, "only root sees the memory of a process that hides it")
    def test_what_was_relocated_cannot_be_written_any_more(self):
        """Of a static program nobody's loader sees to it."""
        del self.env["PIXELVAULT_VAULT"]
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        with socket.socket(socket.AF_UNIX) as agent:
            agent.bind(self.socket)
            agent.listen()
            front = subprocess.Popen([VAULT, "get", new_pixel()], env=self.env)
            self.addCleanup(front.wait)
            self.addCleanup(front.send_signal, signal.SIGKILL)
            connection = agent.accept()[0]
            self.assertTrue(connection.recv(1))
            maps = [(int(a, 16), int(b, 16), rights) for a, b, rights in re.findall(
                r"(?m)^(\w+)-(\w+) (\S+) .*%s$" % re.escape(os.path.realpath(VAULT)), self.read("/proc/%d/maps" % front.pid).decode())]
            connection.close()
        start, size = (int(n, 16) for n in re.search(r"GNU_RELRO +\w+ (\w+) \w+ \w+ (\w+)", told_by_readelf("-l", VAULT)).groups())
        base = min(a for a, _, _ in maps)
        start, end = base + start // 4096 * 4096, base + (start + size) // 4096 * 4096
        found = [rights for a, b, rights in maps if a < end and b > start]
        self.assertTrue(found)
        self.assertEqual({"r--p"}, set(found), maps)


if __name__ == "__main__":
    unittest.main()
