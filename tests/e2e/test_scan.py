"""scan: tokens of the vault that lie in clear are found wherever they are, named by place and Pixel, and never shown."""

import base64
import json
import os
import socket
import subprocess
import unittest
import urllib.parse

from harness import Case, VAULT, new_pixel, new_token, rng


class Kit(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.text = new_pixel(), new_token()
        self.put(self.pixel, self.text, "--no-check")
        self.tree = self.path("tree")
        os.mkdir(self.tree)

    def lay(self, name, data):
        return self.write(os.path.join(self.tree, name), data)

    def scan(self, *args, rc=14, **more):
        return self.json("scan", *(args or (self.tree,)), rc=rc, **more)

    def places(self, *args, **more):
        return [(os.path.relpath(f["path"], self.tree), f["line"]) for f in self.scan(*args, **more)["found"]]


class Scan(Kit):
    def test_file_line_pixel_and_stage_are_told_and_the_token_is_not(self):
        path = self.lay("app.env", "A=1\nB=2\nTOKEN=%s\n" % self.text)
        r = self.vault("scan", self.tree, rc=14)
        self.assertEqual("%s:3: %s v1 current\n" % (path, self.pixel), r.out.decode())
        self.assertIn("1 place with a token in clear", r.err)
        self.put(self.pixel, new_token(), "--no-check")
        self.assertEqual("previous", self.scan()["found"][0]["stage"])
        self.vault("rm", self.pixel)
        self.assertEqual(1, len(self.scan()["found"]), "a removed Pixel's token works still")

    def test_nothing_found_is_0_and_silent(self):
        self.lay("a", "x" * 100 + new_token())
        r = self.vault("scan", self.tree)
        self.assertEqual((b"", ""), (r.out, r.err))
        doc = self.scan(rc=0)
        self.assertEqual(([], 1, 140), (doc["found"], doc["files"], doc["bytes"]))
        self.refuses(2, "scan", says="--environ")

    def test_a_token_is_found_wherever_it_lies_in_the_file(self):
        """At the front, at the end, across the pieces in which a file is read, in a line without an end, among zeros."""
        size = 3 << 20
        for i, at in enumerate([0, 1, 15, (1 << 20) - 41, (1 << 20) - 40, (1 << 20) - 1, (1 << 20) + 1, (2 << 20) - 7, size - 40]):
            data = bytearray(size)
            data[at:at + 40] = self.text.encode()
            self.lay("f%d" % i, bytes(data))
            found = self.scan(os.path.join(self.tree, "f%d" % i))["found"]
            self.assertEqual([at], [f["offset"] for f in found])
            os.unlink(os.path.join(self.tree, "f%d" % i))
        lines = "\n" * 70000 + "%s\n" % self.text + "x" * (1 << 20) + "\n" + self.text + self.text
        self.lay("lines", lines)
        self.assertEqual([("lines", 70001), ("lines", 70003), ("lines", 70003)], self.places())

    def test_other_forms_are_found(self):
        odd, pixel = "a+b/c=d?e&f gh".replace(" ", "%"), new_pixel()
        self.put(pixel, odd, "--no-check")
        for before in ("", "x", "xy", "xyz"):
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                for token, of in ((self.text, self.pixel), (odd, pixel)):
                    self.lay("f", encode(("%s%s more" % (before, token)).encode()))
                    found = self.scan()["found"]
                    self.assertEqual([(of, "base64")], [(f["pixel"], f["form"]) for f in found])
        self.lay("f", urllib.parse.quote(odd, safe=""))
        self.assertEqual([(pixel, "url")], [(f["pixel"], f["form"]) for f in self.scan()["found"]])

    def test_what_is_cut_short_is_no_token(self):
        self.lay("f", "%s\n%s\n%s" % (self.text[:-1], self.text[1:], self.text[:20] + "\n" + self.text[20:]))
        self.scan(rc=0)

    def test_links_and_special_files_are_passed_over(self):
        self.lay("outside", self.text)
        os.rename(os.path.join(self.tree, "outside"), self.path("outside"))
        os.symlink(self.path("outside"), os.path.join(self.tree, "link"))
        os.symlink("/", os.path.join(self.tree, "root"))
        os.mkfifo(os.path.join(self.tree, "fifo"))
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(os.path.join(self.tree, "socket"))
        self.assertEqual(0, self.scan(rc=0)["files"])
        self.assertEqual(1, len(self.scan(os.path.join(self.tree, "link"))["found"]), "but one that is named is meant")

    def test_what_cannot_be_read_is_named_and_counted(self):
        r = self.vault("scan", self.path("absent"), rc=12)
        self.assertRegex(r.err, "not looked into: '.*absent'")
        self.assertEqual([self.path("absent")], self.scan(self.path("absent"), rc=12)["unreadable"])
        self.lay("f", self.text)
        self.assertEqual(1, len(self.scan(self.path("absent"), self.tree)["unreadable"]), "what is found weighs more")

    def test_what_is_excluded_is_left_out(self):
        os.makedirs(os.path.join(self.tree, "node_modules", "x"))
        self.lay("node_modules/x/y", self.text)
        self.lay("a.log", self.text)
        self.lay("b", self.text)
        self.assertEqual([("b", 1)], self.places(self.tree, "--exclude", "node_modules", "--exclude", "*.log"))

    def test_git_is_named_and_its_own_pipe_finds_what_it_keeps(self):
        def git(*args):
            return subprocess.run(["git", "-C", self.tree, "-c", "user.name=t", "-c", "user.email=t@t", *args],
                                  capture_output=True, check=True).stdout
        try:
            git("init", "-q")
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("no git")
        self.lay("f", self.text)
        git("add", "f")
        git("commit", "-qm", "a")
        git("rm", "-q", "f")
        git("commit", "-qm", "b")
        r = self.vault("scan", self.tree, rc=0)
        self.assertRegex(r.err, r"\.git/objects' is compressed by git.*cat-file --batch-all-objects")
        objects = git("cat-file", "--batch-all-objects", "--batch", "--unordered")
        self.assertEqual(["-"], [f["path"] for f in self.scan("-", stdin=objects)["found"]])

    def test_environments(self):
        p = subprocess.Popen(["sleep", "60"], env={"A": "b", "TIKTOK_TOKEN": self.text, "Z": "1"})
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        found = [f for f in self.scan("--environ")["found"] if f["path"] == "/proc/%d/environ" % p.pid]
        self.assertEqual([("TIKTOK_TOKEN", self.pixel, None)], [(f["variable"], f["pixel"], f["line"]) for f in found])
        r = self.vault("scan", "--environ", rc=14)
        self.assertIn("/proc/%d/environ:TIKTOK_TOKEN: %s v1 current" % (p.pid, self.pixel), r.out.decode())

    def test_of_an_environment_only_what_is_a_name_is_told(self):
        variables = ["-S=%s" % self.text, "A-B=x%s" % self.text, "%s=%s" % ("N" * 300, self.text), "GOOD=a=%s" % self.text]
        for variable in variables:
            p = subprocess.Popen(["sleep", "60"], env={variable.split("=")[0]: variable.split("=", 1)[1]})
            self.addCleanup(p.wait)
            self.addCleanup(p.kill)
            place = "/proc/%d/environ" % p.pid
            found = [f["variable"] for f in self.scan("--environ")["found"] if f["path"] == place]
            self.assertEqual(["GOOD"] if variable.startswith("GOOD") else [None], found, variable)
            self.assertIn(place + (":GOOD: " if variable.startswith("GOOD") else ": "), self.vault("scan", "--environ", rc=14).out.decode())

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_users_environments_and_files_are_counted_as_not_looked_into(self):
        p = subprocess.Popen(["sleep", "60"], env={"TIKTOK_TOKEN": self.text})
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.lay("closed", self.text)
        os.makedirs(os.path.join(self.tree, "shut"), mode=0o700)
        for top, _, names in os.walk(self.dir):
            for name in [top] + [os.path.join(top, n) for n in names]:
                if not name.startswith(self.tree + "/"):
                    os.chown(name, 4002, 4002)
        r = self.run_program(["setpriv", "--reuid=4002", "--regid=4002", "--clear-groups", VAULT, "scan", self.tree, "--environ"], rc=12)
        self.assertRegex(r.err, "not looked into: '.*/closed'")
        self.assertRegex(r.err, "not looked into: '.*/shut'")
        self.assertRegex(r.err, "process(es)? of others could not be looked into: root may")
        self.assertNotIn("/proc/%d/environ" % p.pid, r.out.decode())

    def test_standard_input_that_cannot_be_read_is_told(self):
        folder = os.open(self.tree, os.O_RDONLY)
        try:
            r = subprocess.run([VAULT, "scan", "-"], stdin=folder, capture_output=True, env=self.env, cwd=self.dir)
        finally:
            os.close(folder)
        self.assertEqual(12, r.returncode, r.stderr)
        self.assertIn(b"not looked into: '-'", r.stderr)

    def test_the_kernels_own_files_and_what_is_named_a_pipe_are_passed_over(self):
        self.assertEqual(0, self.scan("/proc/self", rc=0)["files"])
        self.assertEqual(0, self.scan("/sys", rc=0)["files"])

    def test_objects_that_are_not_gits_are_looked_into(self):
        os.mkdir(os.path.join(self.tree, "objects"))
        self.lay("objects/f", self.text)
        self.lay("other", self.text)
        self.assertEqual([("objects/f", 1), ("other", 1)], self.places())
        # One may be left out by its whole path as well.
        self.assertEqual([("other", 1)], self.places(self.tree, "--exclude", os.path.join(self.tree, "objects")))

    def test_a_file_full_of_tokens_does_not_fill_the_terminal(self):
        self.lay("f", (self.text + "\n") * 500)
        r = self.vault("scan", self.tree, rc=14)
        self.assertEqual(100, r.out.count(b"\n"))
        self.assertIn("400 more places", r.err)
        self.assertEqual(500, self.scan()["places"])

    def test_each_token_that_is_opened_stands_in_the_audit_log(self):
        self.scan(rc=0)
        self.assertIn(b"scan", self.vault("audit", "show", self.pixel).out)

    def test_many_tokens_and_random_bytes_make_no_false_find(self):
        for _ in range(20):
            self.put(new_pixel(), new_token(), "--no-check")
        self.lay("noise", rng.randbytes(8 << 20))
        self.assertEqual([], self.scan(rc=0)["found"])


class ScanForMore(Kit):
    """Listing tokens, what renews a token, other ways to write one down, and what is named but is no file."""

    def pair(self):
        pixel, access, refresh, secret = new_pixel(), "act." + new_token(), "rft." + new_token(), "app-" + new_token()
        self.vault("put", pixel, "--family", "accounts", "--no-check", stdin=json.dumps(
            {"client_id": "7012345678901234567", "client_secret": secret, "refresh_token": refresh, "access_token": access, "expires_in": 86400}))
        return pixel, access, refresh, secret

    def found(self, *args, **more):
        return sorted((f["pixel"], f["listing"], f["what"]) for f in self.scan(*args, **more)["found"])

    def test_what_renews_a_token_is_found_and_an_apps_secret_once(self):
        pixel, access, refresh, secret = self.pair()
        self.lay("f", "%s\n%s\n%s\n" % (access, refresh, secret))
        self.assertEqual([(pixel, None, w) for w in ("client-secret", "refresh-token", "token")], self.found())
        out = self.vault("scan", self.tree, rc=14).out.decode()
        self.assertIn(":2: %s v1 current, its refresh token\n" % pixel, out)
        self.assertIn(":3: %s v1 current, its client secret\n" % pixel, out)
        log = [json.loads(l) for l in self.vault("audit", "show", "--json").out.splitlines()]
        self.assertEqual(4, sum((e["verb"], e["pixel"]) == ("scan", pixel) for e in log), "token and pair, at each of two scans")

    def test_a_listing_token_is_found_also_when_it_was_removed(self):
        token, name = new_token(), "bc:7100000000000000001"
        self.vault("listing", "put", name, "--no-check", stdin=token)
        self.lay("f", token)
        self.assertEqual([(None, name, "token")], self.found())
        self.assertIn(": %s v1 current\n" % name, self.vault("scan", self.tree, rc=14).out.decode())
        self.vault("listing", "rm", name)
        self.assertEqual([(None, name, "token")], self.found())

    def test_what_windows_writes_is_found(self):
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            self.lay("f", ("a\n%s\n" % self.text).encode(encoding))
            self.assertEqual([(self.pixel, "utf-16")], [(f["pixel"], f["form"]) for f in self.scan()["found"]], encoding)

    def test_what_is_named_and_is_no_file_is_not_passed_over(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("nowhere", self.path("dangling"))
        os.symlink("/dev/null", self.path("device"))
        for name in ("fifo", "dangling", "device"):
            self.assertEqual([self.path(name)], self.scan(self.path(name), rc=12)["unreadable"])

    def test_no_name_of_a_file_reaches_the_terminal_as_it_is(self):
        r = self.vault("scan", self.path("a\x1b[31mb"), rc=12)
        self.assertNotIn("\x1b", r.err)

    def test_match_knows_them_too(self):
        pixel, access, refresh, _ = self.pair()
        token, name = new_token(), "bc:7100000000000000001"
        self.vault("listing", "put", name, "--no-check", stdin=token)
        self.assertEqual("%s v1 current, its refresh token\n" % pixel, self.vault("match", stdin=refresh + "\n").out.decode())
        self.assertEqual("%s v1 current\n" % name, self.vault("match", stdin=token).out.decode())
        self.assertEqual([(pixel, None, "refresh-token", False)],
                         [(m["pixel"], m["listing"], m["what"], m["deleted"]) for m in self.json("match", stdin=refresh)["matches"]])
        self.assertEqual([(None, name, "token")], [(m["pixel"], m["listing"], m["what"]) for m in self.json("match", stdin=token)["matches"]])
        self.assertEqual(pixel, self.json("match", stdin=access)["matches"][0]["pixel"])
        self.refuses(3, "match", stdin="rft." + new_token(), says="no Pixel")
        r = self.refuses(2, "match", token, says="'match' takes a token from standard input only")
        self.assertNotIn("put PIXEL", r.err, "this is another command")
        self.vault("listing", "rm", name)
        self.assertTrue(self.json("match", stdin=token)["matches"][0]["removed"])


if __name__ == "__main__":
    unittest.main()
