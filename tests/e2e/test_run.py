"""`run` becomes the command, with the token where only the command sees it."""

import os
import signal
import sys
import unittest

from harness import Case, VAULT, new_pixel, say

PY = sys.executable


class Run(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.secret = new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--no-check")

    def run_it(self, *args, **more):
        return self.vault("run", *args, **more)

    def test_the_token_is_in_the_environment(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", 'printf %s "$TT"')
        self.assertEqual((self.secret, ""), (r.out.decode(), r.err))

    def test_the_token_is_in_a_file_named_by_the_variable(self):
        r = self.run_it("--file", "TT=" + self.pixel, "--", "sh", "-c", 'cat "$TT"')
        self.assertEqual(self.secret, r.out.decode())

    def test_the_file_lies_on_no_disk(self):
        r = self.run_it("--file", "TT=" + self.pixel, "--", PY, "-c",
                        "import os; print(os.environ['TT']); print(os.readlink(os.environ['TT'].replace('/dev/fd', '/proc/self/fd')))")
        self.assertRegex(r.out.decode(), r"memfd:", say(r))

    def test_the_file_cannot_be_written(self):
        r = self.run_it("--file", "TT=" + self.pixel, "--", PY, "-c",
                        "import os\ntry:\n f = open(os.environ['TT'], 'r+b'); f.write(b'x'); f.flush(); print('written')\n"
                        "except OSError: print('refused')\nprint(open(os.environ['TT']).read())")
        self.assertIn("refused", r.out.decode(), say(r))
        self.assertIn(self.secret, r.out.decode())

    def test_several_tokens(self):
        other, secret = new_pixel(), self.token()
        self.put(other, secret, "--no-check")
        r = self.run_it("--env", "A=" + self.pixel, "--env", "B=" + other, "--file", "C=" + other, "--",
                        "sh", "-c", 'printf "%s %s " "$A" "$B"; cat "$C"')
        self.assertEqual("%s %s %s" % (self.secret, secret, secret), r.out.decode())

    def test_it_really_becomes_the_command(self):
        p = self.start("run", "--env", "TT=" + self.pixel, "--", "sh", "-c", "echo $$", stdin=b"")
        out, _ = p.communicate(timeout=60)
        self.assertEqual(p.pid, int(out))

    def test_the_childs_status_passes(self):
        for status in (0, 1, 7, 125, 255):
            self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", "exit %d" % status, rc=status)

    def test_a_signal_is_the_childs_own(self):
        p = self.start("run", "--env", "TT=" + self.pixel, "--", "sh", "-c", "kill -TERM $$", stdin=b"")
        self.assertEqual(-signal.SIGTERM, p.wait(60))

    def test_not_found_is_127(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "no-such-program-here", rc=127)
        self.assertIn("no-such-program-here", r.err)
        self.run_it("--env", "TT=" + self.pixel, "--", self.path("nothing", "here"), rc=127)

    def test_not_executable_is_126(self):
        path = self.write(self.path("plain"), "x", 0o644)
        self.run_it("--env", "TT=" + self.pixel, "--", path, rc=126)
        self.run_it("--env", "TT=" + self.pixel, "--", self.dir, rc=126)

    def test_a_missing_pixel_is_3_and_nothing_runs(self):
        mark = self.path("ran")
        r = self.run_it("--env", "TT=" + new_pixel(), "--", "touch", mark, rc=3)
        self.assertFalse(os.path.exists(mark))
        self.assertIn("vault: ", r.err)
        self.run_it("--env", "A=" + self.pixel, "--env", "TT=" + new_pixel(), "--", "touch", mark, rc=3)
        self.assertFalse(os.path.exists(mark))

    def test_arguments_and_streams_pass_untouched(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", 'cat; printf "[%s]" "$@"; echo err >&2', "x", "a b", "--env", "-q", "",
                        stdin=b"in")
        self.assertEqual(("in[a b][--env][-q][]", "err\n"), (r.out.decode(), r.err))

    def test_the_token_is_not_in_the_arguments(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline")
        self.assertNotIn(self.secret, r.out.decode())

    def test_foreign_variables_are_left_alone(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", 'printf "%s %s" "$VAULT_ADDR" "$MINE"',
                        env={"VAULT_ADDR": "http://x", "MINE": "1"})
        self.assertEqual("http://x 1", r.out.decode())

    def test_ways_to_our_own_keys_do_not_reach_the_child(self):
        show = ("--", "sh", "-c", 'printf "%s|%s|%s" "$PIXELVAULT_KEY_FILE" "$PIXELVAULT_PASSPHRASE_FILE" "$TT"')
        phrase = self.write(self.path("phrase"), "zwiebelring-wolkenkuckuck-marmelade\n")
        self.vault("slot", "add", "--passphrase-file", phrase, env={"PIXELVAULT_VAULT": self.file})
        for way in ({"PIXELVAULT_KEY_FILE": self.key}, {"PIXELVAULT_PASSPHRASE_FILE": phrase}):
            r = self.run_it("--env", "TT=" + self.pixel, *show, env=dict(way, TT="what it was before"))
            self.assertEqual("||" + self.secret, r.out.decode(), way)

    def test_a_variable_is_bound_once(self):
        for words in (("--env", "TT=" + self.pixel, "--env", "TT=" + self.pixel), ("--env", "TT=" + self.pixel, "--file", "TT=" + self.pixel)):
            self.assertIn("TT", self.run_it(*words, "--", "true", rc=2).err)
        r = self.run_it("--env", "TT=" + self.pixel, "--env", "TU=" + self.pixel, "--", "sh", "-c", 'printf "%s%s" "$TT" "$TU"')
        self.assertEqual(2 * self.secret, r.out.decode())

    def test_the_child_may_dump_core_and_be_traced_as_ever(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", "ulimit -c")
        import resource
        soft = resource.getrlimit(resource.RLIMIT_CORE)[0]
        wanted = "unlimited" if soft == resource.RLIM_INFINITY else str(soft // 512 if soft else 0)
        self.assertIn(r.out.decode().strip(), (wanted, "0"))

    def test_no_descriptor_of_ours_reaches_the_child(self):
        r = self.run_it("--env", "TT=" + self.pixel, "--", "sh", "-c", "ls -l /proc/self/fd")
        self.assertNotRegex(r.out.decode(), r"vault\.db|anchor|\.lock|audit|key\b", say(r))

    def test_without_a_binding_it_is_just_the_command(self):
        self.run_it("--", "sh", "-c", "exit 7", rc=7)

    def test_wrong_use_is_2(self):
        for words in ([], ["--"], ["--env", "TT=" + self.pixel], ["--env", "TT", "--", "true"],
                      ["--env", "1T=" + self.pixel, "--", "true"], ["--env", "=" + self.pixel, "--", "true"]):
            self.run_it(*words, rc=2)
        self.run_it("--env", "TT=lower", "--", "true", rc=15)


if __name__ == "__main__":
    unittest.main()
