"""render: templates filled with tokens, all or nothing, into a file for one reader. Directly and through an agent."""

import base64
import json
import os
import shlex
import stat
import subprocess
import unittest

from harness import Case, new_pixel, new_token, say


class Render(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.text = new_pixel(), new_token()
        self.put(self.pixel, self.text, "--no-check")
        self.out = self.path("out")

    def template(self, text, mode=0o600):
        return self.write(self.path("t.tpl"), text.replace("PIXEL", self.pixel), mode)

    def render(self, text, *options, **more):
        return self.vault("render", self.template(text), *options, says_token=True, **more)

    def test_a_token_stands_in_the_place_of_its_name(self):
        r = self.render("a = {{ token PIXEL }}\n{{token PIXEL}}{ {{ \"{{\" }} }} x")
        self.assertEqual("a = %s\n%s{ {{ }} x" % (self.text, self.text), r.out.decode())
        self.assertEqual(b"", self.render("").out)
        self.assertEqual(b"no token at all\n", self.render("no token at all\n").out)

    def test_filters_bring_their_quotes(self):
        odd = "a'b\"c$d`e\\f+g/h"
        pixel = new_pixel()
        self.put(pixel, odd, "--no-check")
        out = {f: self.render("{{ token %s | %s }}" % (pixel, f)).out.decode() for f in
               ("json", "shell", "env", "url", "base64")}
        self.assertEqual(odd, json.loads(out["json"]))
        self.assertEqual([odd], shlex.split(out["shell"]))
        self.assertEqual(odd, subprocess.run(["sh", "-c", "X=%s; printf %%s \"$X\"" % out["env"]],
                                             capture_output=True).stdout.decode())
        self.assertEqual("a%27b%22c%24d%60e%5Cf%2Bg%2Fh", out["url"])
        self.assertEqual(odd.encode(), base64.b64decode(out["base64"]))

    def test_the_previous_token(self):
        new = new_token()
        self.put(self.pixel, new, "--no-check")
        self.assertEqual("%s %s" % (new, self.text), self.render("{{ token PIXEL }} {{ previous PIXEL }}").out.decode())

    def test_a_file_is_private_and_only_written_when_it_changed(self):
        self.render("x={{ token PIXEL }}\n", "--to", self.out)
        before = os.stat(self.out)
        self.assertEqual(0o400, stat.S_IMODE(before.st_mode))
        self.assertEqual("x=%s\n" % self.text, self.read(self.out).decode())
        r = self.render("x={{ token PIXEL }}\n", "--to", self.out)
        self.assertEqual(("", before.st_ino, before.st_mtime_ns),
                         (r.err, os.stat(self.out).st_ino, os.stat(self.out).st_mtime_ns))
        self.assertIs(False, self.object(self.render("x={{ token PIXEL }}\n", "--to", self.out, "--json"))["changed"])
        for text in ("x={{ token PIXEL }}\n\n", "x={{ token PIXEL }}", "y={{ token PIXEL }}"):
            self.assertIs(True, self.object(self.render(text, "--to", self.out, "--json"))["changed"])
            self.assertEqual(text.replace("{{ token PIXEL }}", self.text), self.read(self.out).decode())
        os.chmod(self.out, 0o644)
        self.render("y={{ token PIXEL }}", "--to", self.out)
        self.assertEqual(0o400, stat.S_IMODE(os.stat(self.out).st_mode))
        self.assertEqual([], [n for n in os.listdir(self.dir) if ".new-" in n])

    def test_root_gives_it_to_its_reader(self):
        if os.getuid() != 0:
            self.skipTest("needs root")
        self.render("{{ token PIXEL }}", "--to", self.out, "--owner", "12345:23456")
        self.assertEqual((12345, 23456), (os.stat(self.out).st_uid, os.stat(self.out).st_gid))
        self.assertIs(False, self.object(self.render("{{ token PIXEL }}", "--to", self.out, "--owner", "12345:23456",
                                                     "--json"))["changed"])
        self.refuses(2, "render", self.template("x"), "--to", self.out, "--owner", "nobody-of-that-name", says="no user")
        self.refuses(2, "render", self.template("x"), "--owner", "0", says="--to")

    def test_what_is_wrong_is_said_with_its_place_and_nothing_is_written(self):
        other = new_pixel()
        for text, rc, place, words in (
                ("\n  {{ tokn PIXEL }}", 13, "2:6", "no placeholder 'tokn'"),
                ("é {{ token PIXEL | yaml }}", 13, "1:34|1:\\d+", "no filter 'yaml'"),
                ("{{ token PIXEL ", 13, "1:\\d+", "begins at 1:1"),
                ("{{ token PIXEL } }", 13, "1:\\d+", "}}"),
                ("{{ token }}", 13, "1:\\d+", "Pixel"),
                ("{{ token 7000000000000000000 }}", 13, "1:\\d+", "numeric"),
                ("ok {{ token PIXEL }}\n{{ token %s }}" % other, 3, "2:1", other),
                ("{{ previous PIXEL }}", 3, "1:1", "previous")):
            r = self.refuses(rc, "render", self.template(text), "--to", self.out)
            self.assertRegex(r.err, r"t\.tpl:(%s): " % place, say(r))
            self.assertIn(words, r.err)
            self.assertFalse(os.path.exists(self.out))
            self.assertEqual(b"", self.vault("render", self.template(text), rc=rc).out)

    def test_a_template_that_others_may_write_is_refused(self):
        self.refuses(13, "render", self.template("{{ token PIXEL }}", 0o666), says="changed by others")
        self.refuses(13, "render", self.path("absent"))
        os.symlink(self.template("x"), self.path("link"))
        self.refuses(13, "render", self.path("link"))

    def test_what_stands_in_the_way_stays(self):
        os.mkdir(self.out)
        self.refuses(2, "render", self.template("{{ token PIXEL }}"), "--to", self.out, says="no plain file")
        os.symlink("/etc/passwd", self.path("link"))
        self.refuses(2, "render", self.template("{{ token PIXEL }}"), "--to", self.path("link"), says="no plain file")
        self.refuses(17, "render", self.template("{{ token PIXEL }}"), "--to", self.path("absent", "x"))

    def test_its_reader_is_remembered(self):
        self.render("{{ token PIXEL }}", "--to", self.out, "--as", "relay")
        self.assertEqual(["relay"], [r["as"] for r in self.json("rollout", self.pixel)["readers"]])


if __name__ == "__main__":
    unittest.main()
