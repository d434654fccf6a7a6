"""packaging/libraries.py: what is inside the programs is told from the programs, and libraries that are too old are refused."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

import harness
from harness import BUILD, IS_SANITIZED, IS_STATIC_FRONT, ROOT, Case, needs

SCRIPT = os.path.join(ROOT, "packaging", "libraries.py")
PROGRAMS = ("vault", "vault-whole", "vault-agent")


def script(*words, **env):
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, env=dict(os.environ, SOURCE_DATE_EPOCH="1764374400", **env))


class Libraries(Case):
    def run_script(self, *words, rc=0, **env):
        done = script(*words, **env)
        self.assertEqual(rc, done.returncode, done.stdout + done.stderr)
        return done.stdout if rc == 0 else done.stderr

    def folder_with(self, **programs):
        """Copies of our programs, some replaced: name (with _ for . and -): path"""
        folder = self.path("programs")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        for name in PROGRAMS:
            shutil.copy(programs.get(re.sub("[.-]", "_", name), os.path.join(BUILD, name)), os.path.join(folder, name))
        return folder


class Bill(Libraries):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bill = json.loads(script("sbom", BUILD).stdout)
        cls.packages = {p["name"]: p for p in cls.bill["packages"]}

    def linked(self, program):
        """{library: "STATIC_LINK" or "DYNAMIC_LINK"}"""
        by_id = {p["SPDXID"]: p["name"] for p in self.bill["packages"]}
        return {by_id[r["relatedSpdxElement"]]: r["relationshipType"] for r in self.bill["relationships"]
                if r["spdxElementId"] == "SPDXRef-File-" + program}

    def test_it_has_what_spdx_demands_and_each_reference_leads_somewhere(self):
        self.assertEqual(("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"), tuple(self.bill[k] for k in ("spdxVersion", "dataLicense", "SPDXID")))
        self.assertRegex(self.bill["documentNamespace"], r"^https://[^#\s]+$")
        self.assertEqual("2025-11-29T00:00:00Z", self.bill["creationInfo"]["created"])
        known = {"SPDXRef-DOCUMENT"}
        for element in self.bill["packages"] + self.bill["files"]:
            self.assertRegex(element["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertNotIn(element["SPDXID"], known)
            known.add(element["SPDXID"])
        for p in self.bill["packages"]:
            for member in ("name", "versionInfo", "downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"):
                self.assertTrue(p[member], p)
        for r in self.bill["relationships"]:
            self.assertLessEqual({r["spdxElementId"], r["relatedSpdxElement"]}, known)

    def test_its_digests_are_those_of_the_programs(self):
        digests = []
        for f in self.bill["files"]:
            data = self.read(os.path.join(BUILD, f["fileName"]))
            for c in f["checksums"]:
                self.assertEqual(hashlib.new(c["algorithm"].lower(), data).hexdigest(), c["checksumValue"])
            digests.append(hashlib.sha1(data).hexdigest())
        self.assertEqual(len(PROGRAMS), len(digests))
        self.assertEqual(hashlib.sha1("".join(sorted(digests)).encode()).hexdigest(),
                         self.packages["pixelvault"]["packageVerificationCode"]["packageVerificationCodeValue"])

    def test_each_library_that_is_loaded_or_linked_in_is_named_with_its_version(self):
        agent = self.linked("vault-agent")
        for name in ("libcurl", "libcjson", "libmicrohttpd", "libseccomp"):
            self.assertEqual("DYNAMIC_LINK", agent[name])
            self.assertNotIn(name, self.linked("vault-whole"), "it asks nobody")
        self.assertIn("sqlite3", agent)
        self.assertNotIn("sqlite3", self.linked("vault"), "the front has no use for it")
        self.assertIn("glibc", agent)
        libc = {name: how for name, how in self.linked("vault").items() if name in ("musl", "glibc")}
        self.assertEqual({"musl": "STATIC_LINK"} if IS_STATIC_FRONT else {"glibc": "DYNAMIC_LINK"}, libc)

    @unittest.skipIf(IS_SANITIZED, "a sanitized program has its symbols from elsewhere")
    def test_the_version_of_sqlite_is_the_one_inside(self):
        if self.linked("vault-whole")["sqlite3"] != "STATIC_LINK":
            self.skipTest("this machine has no archive of it")
        self.assertIn(self.packages["sqlite3"]["versionInfo"].encode() + b"\0", self.read(os.path.join(BUILD, "vault-whole")))

    def test_the_same_programs_give_the_same_bill(self):
        self.assertEqual(self.bill, json.loads(self.run_script("sbom", BUILD)))

    def test_the_list_says_the_same(self):
        listed = self.run_script("list", BUILD)
        for name, p in self.packages.items():
            if name != "pixelvault":
                self.assertRegex(listed, r"(?m)^%s +%s " % (re.escape(name), re.escape(p["versionInfo"])))

    @needs("dpkg-query")
    def test_where_packages_are_debians_they_are_named_as_its_notices_name_them(self):
        purl = self.packages["libseccomp"]["externalRefs"][0]["referenceLocator"]
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libseccomp2"], capture_output=True, text=True).stdout
        self.assertRegex(purl, r"^pkg:deb/\w+/libseccomp2@%s\?arch=\w+$" % re.escape(version.replace("+", "%2B").replace(":", "%3A")))


class Refused(Libraries):
    def test_a_program_with_a_library_that_nobody_listed(self):
        said = self.run_script("sbom", self.folder_with(vault_agent=harness.EMULATOR), rc=1)
        self.assertRegex(said, r"vault-agent needs libgnutls\S+, which is not in the list")

    @needs("strip")
    def test_a_program_that_does_not_tell_any_more_what_was_linked_in(self):
        folder = self.folder_with()
        subprocess.run(["strip", "--strip-all", os.path.join(folder, "vault-agent")], check=True)
        self.assertIn("vault-agent has no table of symbols", self.run_script("sbom", folder, rc=1))

    def test_a_folder_without_the_programs(self):
        self.assertIn("run: make", self.run_script("list", self.path("nothing"), rc=1))

    def answered(self, answers, rc):
        """As if these were the versions here."""
        folder = self.path("bin")
        os.makedirs(folder, exist_ok=True)
        self.write(os.path.join(folder, "pkg-config"), "#!/bin/sh\ncase $2 in\n%s\n*) echo 99.0 ;;\nesac\n" % "\n".join(
            "%s) %s ;;" % (name, "echo " + version if version else "exit 1") for name, version in answers.items()))
        os.chmod(os.path.join(folder, "pkg-config"), 0o755)
        return self.run_script("check", rc=rc, PATH=folder + ":" + os.environ["PATH"])

    def test_libraries_that_are_too_old_or_not_there_are_all_named_with_what_is_needed(self):
        said = self.answered({"sqlite3": "3.9.2", "libcurl": "7.85.0", "inih": ""}, 1)
        self.assertIn("sqlite3 3.9.2 is too old: at least 3.40.1 is needed", said)
        self.assertIn("inih is not installed", said)
        self.assertIn("make deps", said)
        self.assertNotIn("libcurl", said)

    def test_newer_ones_are_taken(self):
        self.assertEqual("", self.answered({"sqlite3": "3.100.0", "libcurl": "8.0"}, 0))

    def test_nothing_is_compiled_with_one_that_is_too_old(self):
        self.answered({"libsodium": "1.0.3"}, 1)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        env["PATH"] = self.path("bin") + ":" + env["PATH"]
        done = subprocess.run(["make", "-C", ROOT, "BUILD=" + self.path("build"), "all"], capture_output=True, text=True, env=env)
        self.assertEqual(2, done.returncode)
        self.assertIn("libsodium 1.0.3 is too old", done.stderr)
        self.assertFalse(os.path.exists(self.path("build", "obj")))


if __name__ == "__main__":
    unittest.main()
