"""The systemd units as `make install` puts them: whole, proven by systemd's own tools as far as those work without a
running systemd, and as closed as we promise (exposure 1.2 or less)."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT

ANALYZE = shutil.which("systemd-analyze")
UNITS = ["pixelvault-credentials.socket", "pixelvault-once.service", "pixelvault-once.timer", "pixelvault.service",
         "pixelvault.socket"]


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="units-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.make("install")
        cls.units = os.path.join(cls.root, "usr/lib/systemd/system")

    @classmethod
    def make(cls, goal):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(["make", "-s", goal, "BUILD=" + BUILD, "PREFIX=/usr", "DESTDIR=" + cls.root, "LINK_VAULT=0"],
                              cwd=ROOT, env=env, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)

    def unit(self, name):
        with open(os.path.join(self.units, name)) as f:
            return f.read()

    def value(self, name, key):
        return re.findall(r"(?m)^%s=(.*)$" % key, self.unit(name))

    def analyze(self, *args):
        if not ANALYZE:
            self.skipTest("systemd-analyze is not installed")
        return subprocess.run([ANALYZE, *args], capture_output=True, text=True, env=dict(os.environ, SYSTEMD_COLORS="0"))

    def test_all_are_installed_and_name_the_installed_program(self):
        self.assertEqual(UNITS, sorted(os.listdir(self.units)))
        for name in UNITS:
            self.assertNotIn("@", re.sub(r"@[a-z][a-z-]*", "", self.unit(name)), name)
        self.assertEqual(["/usr/bin/pixelvault-agent"], self.value("pixelvault.service", "ExecStart"))
        self.assertEqual(["/usr/bin/pixelvault-agent --once -q"], self.value("pixelvault-once.service", "ExecStart"))

    def test_what_was_installed_is_uninstalled(self):
        root, self.__class__.root = self.root, tempfile.mkdtemp(prefix="units-")
        try:
            self.make("install")
            self.make("uninstall")
            left = [p for p in glob.glob(self.root + "/**", recursive=True) if os.path.isfile(p)]
            self.assertEqual([], left)
        finally:
            shutil.rmtree(self.root)
            self.__class__.root = root

    def test_exposure_is_at_most_1_2(self):
        for name in ("pixelvault.service", "pixelvault-once.service"):
            done = self.analyze("security", "--offline=true", "--threshold=12", "--no-pager",
                                os.path.join(self.units, name))
            self.assertEqual(0, done.returncode, done.stdout[-200:] + done.stderr)
            self.assertNotRegex(done.stderr, "(?i)unknown|ignoring")

    def test_systemd_understands_every_line(self):
        for name in UNITS:
            done = self.analyze("verify", "--root=" + self.root, "--man=no", "--recursive-errors=no",
                                os.path.join(self.units, name))
            if "Failed to" in done.stderr and "bus" in done.stderr:
                self.skipTest("systemd-analyze verify needs a running systemd here: " + done.stderr.strip())
            ours = [line for line in done.stderr.splitlines() if "pixelvault" in line]
            self.assertFalse([line for line in ours if re.search("(?i)unknown|invalid|ignoring|failed to parse", line)], ours)

    def test_callers_are_told_apart(self):
        """Inside a user namespace every caller's uid reads 65534, and no rule matches."""
        for name in ("pixelvault.service", "pixelvault-once.service"):
            self.assertNotIn("yes", self.value(name, "PrivateUsers"))

    def test_sockets_are_of_the_kinds_that_talking_to_tiktok_needs(self):
        for name in ("pixelvault.service", "pixelvault-once.service"):
            self.assertEqual({"AF_UNIX", "AF_INET", "AF_INET6"},
                             set(self.value(name, "RestrictAddressFamilies")[0].split()))

    def test_our_own_sandbox_can_still_be_put_on(self):
        for name in ("pixelvault.service", "pixelvault-once.service"):
            allowed = " ".join(self.value(name, "SystemCallFilter")).split()
            for call in ("seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "mlock"):
                self.assertIn(call, allowed)

    def test_sockets_have_the_names_the_supervisor_knows_and_belong_to_whom_they_should(self):
        self.assertEqual((["agent"], ["0660"], ["pixelvault-clients"]),
                         tuple(self.value("pixelvault.socket", k) for k in ("FileDescriptorName", "SocketMode", "SocketGroup")))
        self.assertEqual((["credentials"], ["0600"], ["root"]),
                         tuple(self.value("pixelvault-credentials.socket", k)
                               for k in ("FileDescriptorName", "SocketMode", "SocketUser")))
        for name in ("pixelvault.socket", "pixelvault-credentials.socket"):
            self.assertEqual(["pixelvault.service"], self.value(name, "Service"))

    def test_user_and_group_of_the_units_are_made(self):
        with open(os.path.join(self.root, "usr/lib/sysusers.d/pixelvault.conf")) as f:
            made = {(line.split()[0], line.split()[1]) for line in f if line.strip() and line[0] != "#"}
        self.assertLessEqual({("u", self.value("pixelvault.service", "User")[0]),
                              ("g", self.value("pixelvault.service", "Group")[0])}, made)
        if shutil.which("systemd-sysusers"):
            root = tempfile.mkdtemp(prefix="sysusers-")
            self.addCleanup(shutil.rmtree, root)
            os.mkdir(os.path.join(root, "etc"))
            done = subprocess.run(["systemd-sysusers", "--root=" + root,
                                   os.path.join(self.root, "usr/lib/sysusers.d/pixelvault.conf")], capture_output=True, text=True)
            self.assertEqual(0, done.returncode, done.stderr)
            with open(os.path.join(root, "etc/passwd")) as f:
                self.assertIn("pixelvault:", f.read())


if __name__ == "__main__":
    unittest.main()
