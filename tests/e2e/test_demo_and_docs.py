"""What is written down is true: the demo goes as announced, README and man pages name what is there, the examples are
taken as they are, docs/tiktok.md is the table of agent/verdict.c, and what `make install` puts down works and goes
away again."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
from harness import AGENT, BUILD, PATIENCE, ROOT, VAULT, Case, emulator, new_pixel, new_token

DEMO = os.path.join(ROOT, "examples", "demo.sh")
MANUALS = {"pixelvault.1": VAULT, "pixelvault-agent.8": AGENT, "pixelvault.ini.5": None}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def printed(*args):
    return subprocess.run(args, capture_output=True, text=True, check=True).stdout


def clean_environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PIXELVAULT_", "MAKE", "MFLAGS"))}
    env.update(more)
    return env


def commands():
    """The rows of the help: two blanks, a name, its summary in a column."""
    return re.findall(r"(?m)^  ([a-z-]+) {2,}\S", printed(VAULT, "--help"))


def all_help():
    """What the program says of itself: the help of the program and of each command."""
    return {"": printed(VAULT, "--help"), **{c: printed(VAULT, c, "--help") for c in commands()}}


@unittest.skipUnless(os.path.exists(harness.EMULATOR), "no emulator")
class Demo(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="demo-")
        self.addCleanup(shutil.rmtree, self.tmp, ignore_errors=True)
        self.env = clean_environment(TMPDIR=self.tmp)

    def test_it_goes_as_announced_in_under_a_minute_and_leaves_nothing(self):
        started = time.monotonic()
        done = subprocess.run(["sh", DEMO, BUILD], capture_output=True, text=True, env=self.env, timeout=60 * PATIENCE,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertLess(time.monotonic() - started, 60 * PATIENCE)
        self.assertEqual([], os.listdir(self.tmp))
        self.assertNotIn("\033", done.stdout, "colours into a pipe")
        for status in (0, 10, 11):
            self.assertIn("[exit status %d]" % status, done.stdout)

    def test_settings_of_the_caller_do_not_reach_it(self):
        env = dict(self.env, PIXELVAULT_VAULT="/nowhere/vault.db", PIXELVAULT_KEY_FILE="/nowhere/key")
        done = subprocess.run(["sh", DEMO, BUILD], capture_output=True, text=True, env=env, timeout=60 * PATIENCE,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_ctrl_c_leaves_nothing(self):
        demo = subprocess.Popen(["sh", DEMO, BUILD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=self.env, stdin=subprocess.DEVNULL, start_new_session=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # ours may be ignored
        for line in demo.stdout:
            if line.startswith("$ vault put"):
                break
        below = harness.descendants(demo.pid)
        os.killpg(demo.pid, signal.SIGINT)
        demo.stdout.read()
        self.assertEqual(130, demo.wait(60 * PATIENCE))
        demo.stdout.close()
        self.assertEqual([], os.listdir(self.tmp))
        end = time.monotonic() + 30 * PATIENCE
        while any(map(harness.is_there, below)):
            self.assertLess(time.monotonic(), end, [pid for pid in below if harness.is_there(pid)])
            time.sleep(0.02)

    def test_without_a_build_it_says_what_to_do(self):
        done = subprocess.run(["sh", DEMO, self.tmp], capture_output=True, text=True, env=self.env)
        self.assertEqual(1, done.returncode)
        self.assertIn("make demo", done.stderr)


class Readme(unittest.TestCase):
    def blocks(self):
        return re.findall(r"(?ms)^```[a-z]*\n(.*?)^```", text_of("README.md"))

    def test_each_command_and_option_in_a_code_block_exists(self):
        help_texts, agent_help, named = all_help(), printed(AGENT, "--help"), 0
        for line in "\n".join(self.blocks()).splitlines():
            line = line.split(" #")[0]
            for program, rest in re.findall(r"\b(pixelvault|pixelvault-agent)(?=\s)\s+(\S.*)", line):
                if not rest[0].isalpha() and rest[0] != "-":
                    continue
                named += 1
                ours = rest.split(" -- ")[0]
                if program == "pixelvault-agent":
                    known = agent_help
                else:
                    command = rest.split()[0].rstrip(")")
                    self.assertIn(command, help_texts, line)
                    known = help_texts[command] + help_texts[""]
                for option in OPTION.findall(ours):
                    self.assertIn(option, known, line)
        self.assertGreaterEqual(named, 6)

    def test_each_command_named_between_the_lines_exists(self):
        known = commands()
        prose = re.sub(r"(?ms)^```.*?^```", "", text_of("README.md"))
        for command in re.findall(r"`pixelvault ([a-z-]+)", prose):
            self.assertIn(command, known)

    def test_each_target_of_make_exists(self):
        makefile = text_of("Makefile")
        for line in "\n".join(self.blocks()).splitlines():
            found = re.match(r"\s*(?:sudo )?make\b(.*)", line.split("#")[0])
            for word in found.group(1).split() if found else []:
                if "=" not in word:
                    self.assertRegex(makefile, r"(?m)^%s:" % re.escape(word), line)

    def test_each_verdict_and_exit_code_has_its_line(self):
        readme = text_of("README.md")
        for verdict in harness.VERDICTS:
            self.assertRegex(readme, r"(?m)^\| `%s` \|" % verdict)
        table = readme.split("## What an exit code asks of you")[1].split("\n\n", 2)[1]
        told = {int(n) for row in table.splitlines()[2:] for n in re.findall(r"\d+", row.split("|")[1])}
        self.assertEqual(set(harness.CODES), told)

    def test_each_page_that_is_named_is_there(self):
        for page in ["README.md"] + ["docs/" + n for n in os.listdir(os.path.join(ROOT, "docs")) if n.endswith(".md")]:
            for name in re.findall(r"\b[a-z]+\.md\b", text_of(page)):
                self.assertTrue(os.path.exists(os.path.join(ROOT, "docs", name)), "%s names %s" % (page, name))


class Manuals(unittest.TestCase):
    def source(self, name):
        text = re.sub(r"\\f[BIRP]", "", text_of("packaging", "man", name).replace(r"\-", "-"))
        return re.sub(r"(?m)^\.\w+ ", "", text)

    def options_in(self, text):
        return set(OPTION.findall(text))

    def test_options_of_pixelvault_are_those_of_its_help(self):
        known = set().union(*map(self.options_in, all_help().values()))
        self.assertEqual(known, self.options_in(self.source("pixelvault.1")))

    def test_commands_of_pixelvault_are_those_of_its_help(self):
        page = self.source("pixelvault.1").split("\nCOMMANDS\n")[1].split("\nOPTIONS\n")[0]
        for command in commands():
            self.assertRegex(page, r"(?m)^%s\b" % re.escape(command))

    def test_options_of_the_agent_are_those_of_its_help(self):
        self.assertEqual(self.options_in(printed(AGENT, "--help")), self.options_in(self.source("pixelvault-agent.8")))

    def test_exit_codes_are_those_the_program_prints(self):
        page = self.source("pixelvault.1").split("\nEXIT STATUS\n")[1].split("\nENVIRONMENT\n")[0]
        for line in printed(VAULT, "exit-codes").splitlines():
            number, _, meaning = line.split(None, 2)
            self.assertIn("\n%s@%s" % (number, meaning.split(";")[0]), page)

    def test_settings_are_those_the_program_knows(self):
        page = self.source("pixelvault.ini.5")
        shown = printed(VAULT, "config", "show", "--config", os.path.join(ROOT, "examples", "pixelvault.ini"))
        for key in re.findall(r"(?m)^[a-z]+\.([a-z-]+) =", shown):
            if key != "passphrase-file":  # the environment's alone
                self.assertRegex(page, r'(?m)(^|[ ,"])%s\b' % re.escape(key))

    @harness.needs("man")
    def test_they_render_without_a_warning(self):
        for name in MANUALS:
            path = os.path.join(ROOT, "packaging", "man", name)
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", path], capture_output=True, text=True,
                                  env=clean_environment(LC_ALL="C.UTF-8", MANWIDTH="80", MANPAGER="cat"))
            self.assertEqual((0, ""), (done.returncode, done.stderr), name)
            self.assertIn("NAME", done.stdout)


class Examples(Case):
    uses_emulator = False
    makes_vault = False

    def checked(self, text):
        path = self.write(self.path("example.ini"), text)
        return self.vault("config", "check", "--config", path), path

    def test_the_configuration_is_taken_as_it_is(self):
        self.checked(text_of("examples", "pixelvault.ini"))

    def test_each_commented_setting_is_taken_too_and_none_is_missing(self):
        bare = re.sub(r"(?m)^#([a-z-]+ = |\[)", r"\1", text_of("examples", "pixelvault.ini"))
        _, path = self.checked(bare)
        env = {n: None for n in ("PIXELVAULT_VAULT", "PIXELVAULT_CONFIG")}
        shown = self.vault("config", "show", "--config", path, env=env).out.decode()
        missing = [l for l in shown.splitlines() if path not in l]
        self.assertEqual(["vault.passphrase-file"], [l.split(" =")[0] for l in missing])

    def test_defaults_in_it_are_the_defaults(self):
        _, path = self.checked("")
        shown = self.vault("config", "show", "--config", path).out.decode()
        written = dict(re.findall(r"(?m)^#([a-z-]+) = (.*)$", text_of("examples", "pixelvault.ini")))
        for key, value in re.findall(r"(?m)^[a-z]+\.([a-z-]+) = (.*?)  # default$", shown):
            if key not in ("path", "state-dir", "socket"):
                self.assertEqual(value, written[key], key)

    def test_the_cron_lines_call_what_is_installed(self):
        for line in text_of("examples", "pixelvault.cron").splitlines():
            if re.match(r"[\d*]", line):
                self.assertRegex(line, r"^\S+( \S+){4}\s+pixelvault-agent --once -q$")


class DecisionTable(unittest.TestCase):
    def test_the_page_and_the_code_have_the_same_rows(self):
        code = text_of("agent", "verdict.c").split("static const struct row rows[] = {")[1].split("\n};")[0]
        rows = []
        for name, body in re.findall(r'(?s)\n\t\{ "(\w+)",(.*?)(?=\n\t\{ "|\Z)', code):
            codes = re.findall(r"ONE\((\d{5}|0)\)|FROM_TO\((\d{5}), (\d{5})\)", body)
            numbers = " ".join(one or "%s-%s" % (first, last) for one, first, last in codes)
            outcome = re.search(r"\.outcome = (?:VERDICT|OUTCOME)_(\w+)", body).group(1).lower().replace("_", "-")
            rows.append((name, numbers, outcome))
        page = text_of("docs", "tiktok.md").split("| row | signal | outcome |")[1].split("\n\n")[0]
        told = []
        for line in page.splitlines()[2:]:
            _, name, signal, outcome, _ = [cell.strip() for cell in line.split("|")]
            numbers = " ".join(re.findall(r"\b(?:\d{5}-\d{5}|\d{5}|0)\b", signal))
            told.append((name, numbers, re.match(r"`([a-z-]+)`", outcome).group(1)))
        # Four rows of the code are one line of the page: ways in which no answer came.
        folded = [r for i, r in enumerate(rows) if i == 0 or r != rows[i - 1] or r[1]]
        folded_page = [r for i, r in enumerate(told) if i == 0 or r != told[i - 1] or r[1]]
        self.assertEqual(folded, folded_page)
        self.assertGreater(len(rows), 30)


@harness.needs("make")
class Install(Case):
    makes_vault = False

    def make(self, target, **variables):
        words = ["%s=%s" % w for w in {"BUILD": os.path.relpath(BUILD, ROOT), "DESTDIR": self.path("root"),
                                       "PREFIX": "/usr/local", **variables}.items()]
        if harness.IS_SANITIZED:
            words.append("SAN=" + os.path.basename(BUILD).split("-", 1)[1].replace("-", ","))
        done = subprocess.run(["make", "-s", "--no-print-directory", target, *words], cwd=ROOT, capture_output=True,
                              text=True, env=clean_environment(), timeout=600)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def files(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.path("root", "usr", "local"))
                      for folder, _, names in os.walk(self.path("root")) for name in names)

    def test_what_is_installed_works_and_goes_away_again(self):
        self.make("install", LINK_VAULT="1")
        for name in ("bin/pixelvault", "bin/pixelvault-agent", "bin/vault", "lib/pixelvault/pixelvault-whole",
                     "share/man/man1/pixelvault.1", "share/man/man8/pixelvault-agent.8", "share/man/man5/pixelvault.ini.5",
                     "share/doc/pixelvault/pixelvault.ini", "share/doc/pixelvault/pixelvault.spdx.json"):
            self.assertIn(name, self.files())
        installed = [self.path("root", "usr", "local", "bin", n) for n in ("pixelvault", "pixelvault-agent", "vault")]
        pixel, token = new_pixel(), new_token()
        emulator().token(token, pixel)
        # Away from the build folder, with nothing of it on PATH: each finds its courier beside itself.
        more = {"env": {"PATH": "/usr/bin:/bin"}, "cwd": self.dir}
        self.run_program([installed[0], "init", "--key-file", self.key, "--no-recovery"], **more)
        r = self.run_program([installed[0], "put", pixel, "--test-code", "TEST12345"], stdin=token, **more)
        self.assertIn("TikTok accepts it", r.err)
        for program in (installed[0], installed[2]):
            self.run_program([program, "check"], **more)
        emulator().revoke(token)
        self.run_program([installed[0], "check", pixel], rc=10, **more)
        self.run_program([installed[1], "--once", "-q"], rc=10, **more)
        whole = self.path("root", "usr", "local", "lib", "pixelvault", "pixelvault-whole")
        self.assertNotIn("asked again in vain", self.run_program([whole, "check", pixel], rc=10, **more).err)
        # Where lib leads to another folder, its programs are beside the one that was called all the same.
        os.rename(self.path("root", "usr", "local", "lib"), self.path("elsewhere"))
        os.symlink(self.path("elsewhere"), self.path("root", "usr", "local", "lib"))
        self.assertNotIn("asked again in vain", self.run_program([installed[0], "check", pixel], rc=10, **more).err)
        self.assertIn("no other 'vault' on PATH", self.run_program([installed[2], "doctor"], cwd=self.dir, env={
            "PATH": os.path.dirname(installed[0])}, rc=None).out.decode())
        self.make("uninstall")
        os.unlink(self.path("root", "usr", "local", "lib"))
        self.assertEqual([], self.files())
        self.assertFalse(os.path.exists(self.path("elsewhere", "pixelvault")))

    def test_the_link_is_made_as_asked(self):
        self.make("install", LINK_VAULT="0")
        self.assertNotIn("bin/vault", self.files())
        self.make("install", LINK_VAULT="1")
        self.assertEqual("pixelvault", os.readlink(self.path("root", "usr", "local", "bin", "vault")))

    def test_somebody_elses_vault_stays(self):
        other = self.path("root", "usr", "local", "bin", "vault")
        os.makedirs(os.path.dirname(other))
        self.write(other, "#!/bin/sh\n", 0o755)
        self.assertIn("another program", self.make("install"))
        self.make("uninstall")
        self.assertEqual(["bin/vault"], self.files())


if __name__ == "__main__":
    unittest.main()
