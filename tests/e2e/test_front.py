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

from harness import BUILD, PATIENCE, VAULT, Case, direct_only, new_pixel

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

    def test_a_script_that_names_no_interpreter_is_read_by_the_shell(self):
        self.write(self.path("alone", "script"), 'printf "%s %s " "$T" "$#"; cat <<END\n$1\nEND\n')
        os.chmod(self.path("alone", "script"), 0o755)
        for _ in ("directly", "through an agent"):
            for name, path in ((self.path("alone", "script"), os.environ["PATH"]), ("script", "/nowhere::" + self.path("alone")), ("./alone/script", "")):
                r = self.run_program([VAULT, "run", "--env", "T=" + self.pixel, "--", name, "a b", "c"], cwd=self.dir,
                                     env={"PATH": path + ":" + os.environ["PATH"]}, says_token=True)
                self.assertEqual(self.secret.encode() + b" 2 a b\n", r.out)
            self.with_agent() if "PIXELVAULT_VAULT" in self.env else None

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
