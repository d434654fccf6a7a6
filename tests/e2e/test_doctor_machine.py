"""doctor on machines that are otherwise: swap, limits, disks and files as they should not be. What the kernel says is laid over
by mounts that only the program sees."""

import os
import resource
import shutil
import subprocess
import time
import unittest

from harness import Case, VAULT, cases, new_pixel, say, spread


def may_mount():
    return os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/proc/sys/kernel"], capture_output=True).returncode == 0


class Doctor(Case):
    uses_emulator = False
    tiktok = {"base-url": "https://127.0.0.1:1/open_api/v1.3"}

    def setUp(self):
        super().setUp()
        self.put(new_pixel(), self.token(), "--no-check")

    def findings(self, before="", **more):
        """What is found where a shell has done this before, by what it is about; the worst of each."""
        args = [VAULT, "doctor", "--json"]
        if before:
            args = ["unshare", "-m", "sh", "-ec", before + '\nexec "$@"', "sh", *args]
        doc = self.object(self.run_program(args, rc=(0, 1), **more))
        order = ["ok", "note", "problem"]
        found = {}
        for f in sorted(doc["findings"], key=lambda f: order.index(f["state"])):
            found[f["about"]] = f
        return found


@unittest.skipUnless(may_mount(), "needs root and a mount namespace")
@spread
class Laid(Doctor):
    HEAD = "Filename\\tType\\tSize\\tUsed\\tPriority\n"

    @cases(none=("", "ok", "none"), empty=(HEAD, "ok", "none"),
           zram=(HEAD + "/dev/zram0 partition 1 0 1\n", "ok", "memory itself"),
           encrypted=(HEAD + "/dev/dm-1 partition 1 0 1\n/dev/zram1 partition 1 0 1\n", "ok", "encrypted"),
           plain=(HEAD + "/dev/dm-2 partition 1 0 1\n", "note", "not encrypted"),
           one_of_two=(HEAD + "/dev/dm-1 partition 1 0 1\n/dev/sda2 partition 1 0 1\n", "note", "not encrypted"),
           a_file=(HEAD + "/swapfile file 1 0 1\n", "note", "not encrypted"))
    def test_swap(self, swaps, state, says):
        self.write(self.path("swaps"), swaps)
        f = self.findings("mount --bind '%s' /proc/swaps\nmount -t tmpfs none /sys/block\nmkdir -p /sys/block/dm-1/dm /sys/block/dm-2/dm\n"
                          "echo CRYPT-LUKS2-1 > /sys/block/dm-1/dm/uuid\necho LVM-1 > /sys/block/dm-2/dm/uuid" % self.path("swaps"))["swap"]
        self.assertEqual(state, f["state"], f)
        self.assertIn(says, f["message"])

    @cases(open=("0", "|/usr/lib/systemd/systemd-coredump", "note", "note"), closed=("1", "core", "ok", "ok"))
    def test_the_kernels_settings(self, scope, pattern, ptrace, dumps):
        f = self.findings("mount -t tmpfs none /proc/sys/kernel\nmkdir /proc/sys/kernel/yama\necho '%s' > /proc/sys/kernel/yama/ptrace_scope\n"
                          "echo '%s' > /proc/sys/kernel/core_pattern" % (scope, pattern))
        self.assertEqual((ptrace, dumps), (f["ptrace"]["state"], f["core dumps"]["state"]))

    @cases(full=("size=1m", "mount -o remount,size=1m '%s'", "MiB are free"), inodes=("size=200m,nr_inodes=30", "", "no more files"),
           read_only=("size=200m", "mount -o remount,ro '%s'", "read-only"), room=("size=200m", "", "MiB are free"))
    def test_a_disk(self, options, then, says):
        found = self.findings("mount -t tmpfs -o %s none '%s'\n%s" % (options, self.state, then % self.state if then else ""))
        f = found["space for the audit log"]
        self.assertEqual("ok" if options == "size=200m" and not then else "problem", f["state"], f)
        self.assertIn(says, f["message"])
        self.assertEqual("problem", found["file system of the state folder"]["state"])
        self.assertIn("memory", found["file system of the state folder"]["message"])


class Here(Doctor):
    def test_what_is_no_folder_or_no_file(self):
        key, file, state = self.key, self.write(self.path("plain"), "x"), self.path("none")
        self.configure(vault={"state-dir": file})
        self.assertEqual("'%s' is no folder" % file, self.findings()["state folder"]["message"])
        self.configure(vault={"state-dir": state})
        self.assertEqual("note", self.findings()["state folder"]["state"])
        self.configure(vault={"state-dir": file + "/below"})
        self.assertEqual("problem", self.findings()["state folder"]["state"])
        self.configure()
        os.unlink(self.file)
        self.assertIn("none to be seen", self.findings()["vault"]["message"])
        os.mkfifo(self.file)
        self.assertIn("not a plain file", self.findings()["vault"]["message"])
        self.assertEqual("ok", self.findings()["key file"]["state"])
        self.write(key, b"x" * 31)
        self.assertIn("exactly 32 bytes", self.findings()["key file"]["message"])
        os.chmod(key, 0o644)
        self.assertEqual("problem", self.findings()["key file"]["state"])
        self.configure(vault={"key-file": None})
        self.assertEqual("none is configured", self.findings()["key file"]["message"])

    def test_a_vault_of_the_future(self):
        later = time.time() + 3600
        os.utime(self.file, (later, later))
        f = self.findings()["vault"]
        self.assertEqual(("problem", True), (f["state"], "in the future" in f["message"]))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_what_belongs_to_somebody_else(self):
        for path, about in ((self.home, "folder of the vault"), (self.file, "vault"), (self.state, "state folder")):
            os.chown(path, 4001, -1)
            f = self.findings()[about]
            self.assertEqual(("note", True), (f["state"], "belongs to uid 4001" in f["message"]), f)
            os.chown(path, 0, -1)

    def test_little_memory_may_be_locked(self):
        def few():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (64 << 10, 64 << 10))
        f = self.findings(preexec_fn=few)["locked memory"]
        self.assertEqual(("note" if os.geteuid() == 0 else "problem", True), (f["state"], "only 64 KiB" in f["message"]))

    def test_another_program_of_that_name(self):
        os.mkdir(self.path("bin"))
        other = self.write(self.path("bin", "vault"), "#!/bin/sh\n", 0o755)
        os.mkdir(self.path("ours"))
        os.symlink(VAULT, self.path("ours", "vault"))
        self.assertEqual("ok", self.findings(env={"PATH": ":%s::%s/none" % (self.path("ours"), self.dir)})["other program"]["state"])
        f = self.findings(env={"PATH": "%s:%s" % (self.path("ours"), self.path("bin"))})["other program"]
        self.assertEqual(("note", True), (f["state"], other in f["message"]))
        self.assertEqual("ok", self.findings(env={"PATH": None})["other program"]["state"])
        self.assertEqual("ok", self.findings(env={"PATH": "/" + "x" * 5000})["other program"]["state"])

    def test_sinks_whose_files_are_missing(self):
        self.configure(more="[alert a]\ntype = webhook\nurl-file = %s\n" % self.path("none"))
        self.assertEqual("problem", self.findings()["alert a"]["state"])
        self.configure(more="[alert a]\ntype = webhook\nurl-file = %s\nca-file = %s\n" % (self.write(self.path("url"), "https://127.0.0.1:1/x\n"), self.path("none")))
        self.assertIn(self.path("none"), self.findings()["alert a"]["message"])
        self.configure(more="[alert a]\ntype = webhook\n")
        self.assertEqual("problem", self.findings()["configuration"]["state"], "a section that is not whole")

    def test_for_people(self):
        r = self.vault("doctor", rc=(0, 1))
        self.assertRegex(r.out.decode(), r"(?m)^ok +configuration: in order$", say(r))
        self.assertRegex(r.out.decode(), r"(?m)^note +last backup: .*\n +fix: ", say(r))
