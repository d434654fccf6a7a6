"""Help, usage errors, JSON errors, colours, asking: the manners of the command line."""

import json
import os
import re
import subprocess
import unittest

from harness import AGENT, CODES, Case, VAULT, cases, direct_only, new_pixel, say, spread

# The commands of design.md §5 that the first release has; the others are proven where they are offered.
FIRST = "init put get run list status check history rm label verify config completion exit-codes".split()


@spread
class Manners(Case):
    uses_emulator = False

    def test_help_goes_to_stdout(self):
        for words in (["--help"], ["help"], ["-h"]):
            r = self.vault(*words)
            self.assertEqual("", r.err)
            for name in FIRST:
                self.assertRegex(r.out.decode(), r"(?m)^\s+%s\b" % name)

    @cases(**{n.replace("-", "_"): n for n in FIRST})
    def test_help_of(self, name):
        r = self.vault(name, "--help")
        self.assertEqual("", r.err)
        self.assertIn(name, r.out.decode())
        self.assertEqual(r.out, self.vault("help", name).out)
        self.assertNotIn(b"\x1b", r.out)

    def test_help_needs_neither_vault_nor_configuration(self):
        self.write(self.config, "nonsense\n")
        os.remove(self.file)
        self.vault("get", "--help")
        self.vault("--version")
        self.vault("exit-codes")

    def test_version(self):
        r = self.vault("--version")
        self.assertRegex(r.out.decode(), r"\b\d+\.\d+\.\d+")
        self.assertEqual(1, r.out.count(b"\n"))
        self.assertRegex(self.agent("--version").out.decode(), r"\b\d+\.\d+\.\d+")
        self.assertIn("--once", self.agent("--help").out.decode())

    def test_no_command_is_2(self):
        r = self.vault(rc=2)
        self.assertEqual(b"", r.out)
        self.assertTrue(r.err)

    @cases(staus=("staus", "status"), chekc=("chekc", "check"), ge=("ge", "get"), puts=("puts", "put"), lst=("lst", "list"))
    def test_did_you_mean(self, wrong, right):
        self.refuses(2, wrong, says="'?(vault )?%s" % right)
        self.assertIn(right, self.error(2, wrong)["hint"])

    def test_an_unknown_option_is_2_with_the_nearest(self):
        self.refuses(2, "get", new_pixel(), "--helthy", says="--healthy")
        self.refuses(2, "list", "--jsn")
        self.refuses(2, "list", "-Z")

    def test_options_stand_before_and_after(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        for words in (["--json", "get", pixel], ["get", "--json", pixel], ["get", pixel, "--json"]):
            self.assertEqual(token, self.object(self.vault(*words, says_token=True))["token"])
        self.assertEqual(token, self.vault("get", "--version=1", pixel).out.decode())
        self.vault("--vault", self.file, "list")
        self.vault("list", "--vault=" + self.file)

    def test_json_errors_are_one_object_on_stdout_and_nothing_on_stderr(self):
        for rc, words in ((3, ["get", new_pixel()]), (2, ["get"]), (2, ["nonsense"]), (15, ["get", "lower123"]), (2, ["get", "x", "--nope"]),
                          (3, ["status", new_pixel()])):
            r = self.vault("--json", *words, rc=rc)
            doc = json.loads(r.out)
            self.assertEqual({"schema", "error"}, set(doc))
            self.assertEqual((1, CODES[rc], rc), (doc["schema"], doc["error"]["code"], doc["error"]["exit"]))
            self.assertEqual("", r.err, say(r))
            self.assertEqual(1, r.out.count(b"\n"), "one line")

    def test_errors_for_people_have_a_hint(self):
        r = self.refuses(3, "get", new_pixel())
        lines = r.err.splitlines()
        self.assertRegex(lines[0], "^vault: ")
        self.assertRegex(lines[1], "^  hint: ")
        self.assertEqual(b"", r.out)

    def test_control_characters_in_arguments_do_not_reach_the_terminal(self):
        for words in (["get", "AB\x1b[31mCD\x07"], ["bad\x1b]0;x\x07"], ["--bad\x1b[2J"], ["put", "A\nvault: ok"]):
            r = self.vault(*words, rc=(2, 15))
            self.assertNotRegex(r.err, "[\x00-\x09\x0b-\x1f\x7f]", repr(r.err))
            self.assertNotRegex(r.err, "(?m)^vault: ok", repr(r.err))

    def test_no_colour_into_a_pipe(self):
        self.put(new_pixel(), self.token(), "--no-check")
        for words in (["status"], ["list"], ["get", new_pixel()]):
            r = self.vault(*words, rc=None)
            self.assertNotIn(b"\x1b", r.out + r.err.encode())

    def test_colour_always_never_and_NO_COLOR(self):
        self.put(new_pixel(), self.token(), "--no-check")
        self.assertIn(b"\x1b[", self.vault("status", "--color=always").out)
        self.assertNotIn(b"\x1b", self.vault("status", "--color=never").out)
        t = self.terminal("status", env={"NO_COLOR": "1"})
        t.wait()
        self.assertNotIn("\x1b", t.text())
        t = self.terminal("status", "--color=never")
        t.wait()
        self.assertNotIn("\x1b", t.text())
        t = self.terminal("status", env={"NO_COLOR": None})
        t.wait()
        self.assertIn("\x1b[", t.text())
        self.vault("status", "--color=sometimes", rc=2)

    def test_json_is_never_coloured(self):
        self.put(new_pixel(), self.token(), "--no-check")
        self.assertNotIn(b"\x1b", self.vault("status", "--json", "--color=always").out)

    def test_completion(self):
        for shell in ("bash", "zsh", "fish"):
            out = self.vault("completion", shell).out.decode()
            self.assertTrue(out.strip())
            for name in FIRST:
                self.assertIn(name, out, shell)
        self.refuses(2, "completion", "tcsh")
        self.refuses(2, "completion")

    def test_the_bash_completion_completes(self):
        script = self.write(self.path("completion"), self.vault("completion", "bash").out)
        done = subprocess.run(["bash", "-c", r'''
            . "$1"; spec=$(complete -p vault 2>/dev/null || complete -p pixelvault)
            f=$(printf %s "$spec" | sed -n "s/.*-F \([^ ]*\).*/\1/p"); name=${spec##* }
            COMP_WORDS=("$name" sta); COMP_CWORD=1; COMP_LINE="$name sta"; COMP_POINT=${#COMP_LINE}; $f "$name" sta "$name"
            printf "%s\n" "${COMPREPLY[@]}"''', "x", script], capture_output=True, text=True)
        self.assertIn("status", done.stdout.split(), done.stderr)

    def test_exit_codes(self):
        out = self.vault("exit-codes").out.decode()
        for number, name in CODES.items():
            if number:
                self.assertRegex(out, r"(?m)^\s*%d\b.*\b%s\b" % (number, re.escape(name)))

    def test_a_closed_stdout_is_an_error(self):
        self.put(new_pixel(), self.token(), "--no-check")
        for words in (["list", "--json"], ["status"], ["exit-codes"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([VAULT, *words], stdout=full, stderr=subprocess.PIPE, env=self.env, stdin=subprocess.DEVNULL)
            self.assertNotEqual(0, done.returncode, words)
            self.assertTrue(done.stderr)

    def test_a_reader_that_went_away_kills_nobody(self):
        done = subprocess.run(["sh", "-c", '"$0" exit-codes | true; "$0" status >&-; true', VAULT], env=self.env, capture_output=True)
        self.assertEqual(0, done.returncode)

    @direct_only("an agent notes who reads")
    def test_closed_standard_descriptors_are_no_trap(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        before = self.sql("SELECT k, v FROM kv WHERE k NOT LIKE 'e1/c/%' ORDER BY k")
        for redirect in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            subprocess.run(["sh", "-c", '"$0" status %s; "$0" get "$1" %s; true' % (redirect, redirect), VAULT, pixel], env=self.env,
                           capture_output=True)
        self.assertEqual(before, self.sql("SELECT k, v FROM kv WHERE k NOT LIKE 'e1/c/%' ORDER BY k"), "nothing was written into the vault's descriptor")
        self.vault("verify")

    def test_arguments_nobody_asked_for_are_2(self):
        self.refuses(2, "list", "x")
        self.refuses(2, "verify", "x", "y")
        self.refuses(2, "history")
        self.refuses(2, "rm")
        self.refuses(2, "put")

    def test_the_agents_own_usage_errors_are_2(self):
        r = self.agent("--nonsense", rc=2)
        self.assertTrue(r.err)
        self.agent("--once", "--nonsense", rc=2)

    def test_double_dash_ends_options(self):
        self.vault("get", "--", new_pixel(), rc=3)

    def test_verify_says_how_much_was_proven(self):
        self.put(new_pixel(), self.token(), "--no-check")
        r = self.vault("verify")
        self.vault("verify", "--json")
        self.assertEqual({"schema"}, {"schema"} & set(self.json("verify")))


if __name__ == "__main__":
    unittest.main()
