"""The program is in two pieces: a small front that serves `get` and `run` through an agent, and the rest, which it loads
on first need. Each does its part, wherever they lie, and a missing piece is said well."""

import os
import shutil
import subprocess
import unittest

from harness import BUILD, IS_COUNTED, IS_SANITIZED, VAULT, Case, direct_only, new_pixel

PIECE = os.path.join(BUILD, "vault.so")


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
            self.assertIn("a part of this program cannot be loaded", r.err)
            self.assertIn(self.path("alone", "vault.so"), r.err)
            self.assertIn("hint: install it again", r.err)
        self.assertIn(b'"exit":1', self.alone("get", self.pixel, "--json", rc=1).out.replace(b" ", b""))

    def test_the_piece_beside_it_is_found_and_no_other(self):
        for folder in (self.path(), self.path("alone", "lib")):
            os.makedirs(folder, exist_ok=True)
            shutil.copy(PIECE, os.path.join(folder, "vault.so"))
        more = {"cwd": self.dir, "env": {"LD_LIBRARY_PATH": self.path() + ":" + self.path("alone", "lib")}}
        self.alone("get", self.pixel, rc=1, **more)
        shutil.copy(PIECE, self.path("alone", "vault.so"))
        self.assertEqual(self.secret.encode(), self.alone("get", self.pixel, says_token=True, **more).out)

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
class Shape(unittest.TestCase):
    @unittest.skipIf(IS_COUNTED, "its counters show names of their own")
    def test_both_pieces_are_hardened_and_the_larger_shows_one_name(self):
        for piece in (VAULT, PIECE):
            self.assertIn("GNU_RELRO", told_by_readelf("-l", piece))
            self.assertRegex(told_by_readelf("-d", piece), r"\bNOW\b")
            self.assertNotRegex(told_by_readelf("-d", piece), r"RPATH|RUNPATH|TEXTREL")
            self.assertNotRegex(told_by_readelf("-l", piece), r"LOAD.* RWE ")
        self.assertRegex(told_by_readelf("-d", VAULT), r"\bPIE\b")
        if not IS_SANITIZED:
            names = [line.split()[-1] for line in told_by_readelf("--dyn-syms", PIECE).splitlines()
                     if " GLOBAL " in line and " UND " not in line]
            self.assertEqual(["vault_main"], names)


if __name__ == "__main__":
    unittest.main()
