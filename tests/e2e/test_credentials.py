"""Tokens for systemd units (LoadCredential=), asked for as systemd does: from an address that names unit and Pixel."""

import os
import socket
import subprocess
import sys
import unittest

from harness import VIA_AGENT, new_pixel
from running_agent import AgentCase

ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.settimeout(60)
s.bind(b"\\0" + sys.argv[2].encode())
s.connect(sys.argv[1])
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
"""


@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED without root: only systemd, which is root, is given any")
@unittest.skipIf(VIA_AGENT, "it starts agents of its own")
class Credentials(AgentCase):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.secret = new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--no-check")
        self.place = os.path.join(os.path.dirname(self.socket), "credentials.sock")

    def given(self, address):
        """All that comes until the agent closes; None: from no address at all."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(60)
            if address is not None:
                s.bind(address)
            s.connect(self.place)
            found = b""
            while True:
                more = s.recv(65536)
                if not more:
                    return found
                found += more

    def lines(self):
        return self.vault("audit", "show").out.decode()

    def test_a_unit_gets_its_token_and_is_written_down(self):
        self.start_agent()
        self.assertEqual(0o600, os.stat(self.place).st_mode & 0o777)
        self.assertEqual(self.secret.encode(), self.given(b"\0a1b2c3/unit/shop@1.service/" + self.pixel.encode()))
        self.assertEqual(self.secret.encode(), self.given(b"\0d4/unit/" + b"x" * 60 + b"\\x2d.service/" + self.pixel.encode()))
        self.assertEqual(self.secret.encode(), self.given(b"\0e5/unit/a\\x2db.service/" + self.pixel.encode()))
        said = self.lines()
        self.assertIn("unit:shop@1.service", said)
        self.assertIn("unit:" + "x" * 59, said)
        self.assertIn("unit:a_x2db.service", said)
        self.until(lambda: "unit:shop@1.service" in str(self.json("rollout", self.pixel)), 20, "it is among the readers")

    def test_every_other_address_gets_nothing(self):
        self.start_agent()
        pixel = self.pixel.encode()
        wrong = [None, b"\0x", b"\0/unit/a.service/" + pixel, b"\0r/", b"\0r/unit", b"\0r/unit/a.service", b"\0r/user/a.service/" + pixel,
                 b"\0r/unit//" + pixel, b"\0r/unit/a b/" + pixel, b"\0r/unit/\x7f/" + pixel, b"\0r/unit/a.service/" + pixel.lower(),
                 b"\0r/unit/a.service/" + pixel + b"/more", b"\0r/unit/a.service/" + new_pixel().encode(), b"\0r/unit/a.service/",
                 self.path("named").encode()]
        for address in wrong:
            self.assertEqual(b"", self.given(address), address)
        self.assertIn("denied", self.lines())
        self.assertEqual(self.secret.encode(), self.given(b"\0r/unit/a.service/" + pixel), "it serves on")

    def test_another_user_gets_nothing_even_where_the_socket_lets_it_in(self):
        self.start_agent()
        os.chmod(self.place, 0o666)
        for folder in (os.path.dirname(self.place), self.dir):
            os.chmod(folder, 0o755)
        words = [sys.executable, "-c", ASK, self.place, "r/unit/a.service/" + self.pixel]
        self.assertEqual(self.secret.encode(), subprocess.run(words, capture_output=True, check=True).stdout)
        r = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", *words], capture_output=True)
        self.assertEqual((0, b""), (r.returncode, r.stdout), r.stderr)

    def test_a_locked_vault_gives_none(self):
        self.start_agent()
        self.vault("lock")
        self.assertEqual(b"", self.given(b"\0r/unit/a.service/" + self.pixel.encode()))
        self.vault("unlock")
        self.assertEqual(self.secret.encode(), self.given(b"\0r/unit/a.service/" + self.pixel.encode()))


if __name__ == "__main__":
    unittest.main()
