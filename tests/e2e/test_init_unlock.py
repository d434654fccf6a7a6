"""A vault is made and opened: key files, passphrases, recovery key, modes and owners."""

import os
import re
import stat
import subprocess
import time
import unittest

from harness import Case, IS_SANITIZED, VAULT, cases, new_pixel, say, spread

PHRASE = "correct horse battery staple"


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@spread
class KeyFile(Case):
    uses_emulator = False
    makes_vault = False

    def test_init_makes_a_key_of_32_random_bytes(self):
        r = self.init()
        self.assertEqual(b"", r.out)
        self.assertEqual((32, 0o600), (os.path.getsize(self.key), mode(self.key)))
        one = self.read(self.key)
        self.assertGreater(len(set(one)), 15)
        os.remove(self.key)
        self.file = self.env["PIXELVAULT_VAULT"] = self.path("vault2", "vault.db")
        self.configure(vault={"state-dir": self.path("state2")})
        self.init()
        self.assertNotEqual(one, self.read(self.key))

    def test_init_uses_a_key_that_is_there(self):
        self.write(self.key, bytes(range(32)))
        self.init()
        self.assertEqual(bytes(range(32)), self.read(self.key))
        self.vault("list")

    def test_init_prints_no_key(self):
        r = self.init()
        key = self.read(self.key)
        self.assertNotIn(key.hex(), r.err.lower())

    def test_init_on_an_existing_vault_is_8_and_changes_nothing(self):
        self.init()
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        before = self.read(self.file)
        for words in (["--key-file", self.key], ["--key-file", self.path("other-key")]):
            self.refuses(8, "init", *words, "--no-recovery")
            self.error(8, "init", *words, "--no-recovery")
        self.assertEqual(before, self.read(self.file))
        self.assertFalse(os.path.exists(self.path("other-key")), "no key for a vault that was not made")
        self.assertEqual(token, self.get(pixel))

    def test_init_over_something_else_is_8_and_leaves_it(self):
        os.mkdir(self.home, 0o700)
        self.write(self.file, "precious")
        self.vault("init", "--key-file", self.key, "--no-recovery", rc=8)
        self.assertEqual(b"precious", self.read(self.file))

    @cases(nothing=0, usual=0o022, all=0o777)
    def test_modes_do_not_depend_on_the_umask(self, umask):
        self.vault("init", "--key-file", self.key, "--no-recovery", preexec_fn=lambda: os.umask(umask))
        pixel = new_pixel()
        self.vault("put", pixel, "--no-check", stdin=self.token(), preexec_fn=lambda: os.umask(umask))
        self.vault("get", pixel, preexec_fn=lambda: os.umask(umask))
        for top in (self.home, self.state):
            self.assertEqual(0o700, mode(top), top)
            for where, folders, names in os.walk(top):
                for name in names:
                    self.assertEqual(0o600, mode(os.path.join(where, name)), name)
                for name in folders:
                    self.assertEqual(0o700, mode(os.path.join(where, name)), name)
        self.assertEqual(0o600, mode(self.key))

    @cases(group_readable=0o640, world_readable=0o604, group_writable=0o620)
    def test_a_key_file_that_is_too_open_is_4(self, bits):
        self.init()
        os.chmod(self.key, bits)
        self.refuses(4, "list", says="key")
        self.error(4, "list")
        os.chmod(self.key, 0o400)
        self.vault("list")

    def test_a_missing_key_file_is_4(self):
        self.init()
        os.remove(self.key)
        self.refuses(4, "list", says=re.escape(self.key))

    @cases(empty=0, short=31, long=33, far_too_long=4096)
    def test_a_key_file_of_another_length_is_4(self, length):
        self.init()
        self.write(self.key, b"k" * length)
        self.refuses(4, "list", says="32")
        self.assertEqual(4, self.vault("get", new_pixel(), rc=4).rc)

    def test_a_key_file_that_is_a_link_or_no_file_is_4(self):
        self.init()
        os.rename(self.key, self.path("real"))
        os.symlink(self.path("real"), self.key)
        self.vault("list", rc=4)
        os.remove(self.key)
        os.mkdir(self.key)
        self.vault("list", rc=4)
        os.rmdir(self.key)
        os.mkfifo(self.key, 0o600)
        self.vault("list", rc=4, timeout=30)

    def test_a_wrong_key_is_6(self):
        self.init()
        right = self.read(self.key)
        for wrong in (bytes(32), bytes([right[0] ^ 1]) + right[1:], right[:-1] + bytes([right[-1] ^ 128]), os.urandom(32)):
            self.write(self.key, wrong)
            self.refuses(6, "list")
            self.error(6, "verify")
            self.vault("put", new_pixel(), "--no-check", stdin=self.token(), rc=6)
        self.write(self.key, right)
        self.vault("list")

    def test_the_key_file_of_another_vault_is_6(self):
        self.init()
        one = self.key
        self.key = self.path("key2")
        self.file = self.env["PIXELVAULT_VAULT"] = self.path("vault2", "vault.db")
        self.state = self.path("state2")
        self.configure()
        self.init()
        self.write(self.key, self.read(one))
        self.refuses(6, "list")

    def test_the_environment_names_the_key_file(self):
        self.init()
        os.rename(self.key, self.path("elsewhere"))
        self.vault("list", rc=4)
        self.vault("list", env={"PIXELVAULT_KEY_FILE": self.path("elsewhere")})

    def test_a_key_file_given_to_init_that_cannot_be_used_makes_no_vault(self):
        for length, bits in ((16, 0o600), (32, 0o644)):
            self.write(self.key, b"k" * length, bits)
            r = self.vault("init", "--key-file", self.key, "--no-recovery", rc=None)
            self.assertNotEqual(0, r.rc, say(r))
            self.assertFalse(os.path.exists(self.file))

    def test_no_vault_is_3_for_every_command(self):
        self.write(self.key, bytes(32))
        for words in (["list"], ["status"], ["check"], ["get", new_pixel()], ["verify"], ["history", new_pixel()],
                      ["put", new_pixel(), "--no-check"], ["rm", new_pixel()], ["label", new_pixel(), "a=b"]):
            self.refuses(3, *words, stdin=self.token(), says="init")
        self.assertFalse(os.path.exists(self.file))

    def test_a_symbolic_link_to_the_vault_is_refused(self):
        self.init()
        os.mkdir(self.path("links"), 0o700)
        os.symlink(self.file, self.path("links", "vault.db"))
        for words in (["list"], ["verify"], ["get", new_pixel()]):
            r = self.vault(*words, env={"PIXELVAULT_VAULT": self.path("links", "vault.db")}, rc=None)
            self.assertIn(r.rc, (5, 7, 13), say(r))
        r = self.vault("init", "--key-file", self.key, "--no-recovery", env={"PIXELVAULT_VAULT": self.path("links", "new.db")}, rc=None)

    def test_a_dangling_link_is_not_followed_by_init(self):
        os.mkdir(self.path("links"), 0o700)
        os.symlink(self.path("target.db"), self.path("links", "vault.db"))
        r = self.vault("init", "--key-file", self.key, "--no-recovery", env={"PIXELVAULT_VAULT": self.path("links", "vault.db")}, rc=None)
        self.assertNotEqual(0, r.rc, say(r))
        self.assertFalse(os.path.exists(self.path("target.db")))

    @cases(same=("vault",), below=("vault", "state"), deep=("vault", "a", "b"), dots=("state", "..", "vault", "s"))
    def test_a_state_folder_inside_the_vaults_folder_is_13(self, *parts):
        self.configure(vault={"state-dir": self.path(*parts)})
        self.refuses(13, "init", "--key-file", self.key, "--no-recovery")
        self.assertFalse(os.path.exists(self.file))
        self.configure()
        self.init()
        self.configure(vault={"state-dir": self.path(*parts)})
        self.refuses(13, "list")
        self.configure(vault={"state-dir": None})
        self.refuses(13, "list", env={"PIXELVAULT_STATE": self.path(*parts)})

    def test_a_state_folder_through_a_link_into_the_vaults_folder_is_13(self):
        self.init()
        os.symlink(self.home, self.path("link"))
        self.configure(vault={"state-dir": self.path("link", "state")})
        self.refuses(13, "list")

    def test_a_vault_file_others_can_write_is_refused(self):
        self.init()
        os.chmod(self.file, 0o666)
        r = self.vault("list", rc=None)
        self.assertNotEqual(0, r.rc, "security.md §2.4: owner and mode are looked at" + say(r))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_user_gets_nothing(self):
        self.init()
        self.put(new_pixel(), self.token(), "--no-check")
        os.chmod(self.dir, 0o755)
        os.chmod(self.path("home"), 0o755)
        os.chmod(self.config, 0o644)
        r = self.vault("list", user=12345, group=12345, extra_groups=[], rc=None)
        self.assertIn(r.rc, (3, 4, 5, 7, 17), say(r))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_plain_user_has_the_vault_where_xdg_says(self):
        os.chmod(self.dir, 0o755)
        home = self.path("user")
        os.mkdir(home, 0o700)
        os.chown(home, 12345, 12345)
        env = {"PIXELVAULT_CONFIG": None, "PIXELVAULT_VAULT": None, "HOME": home, "XDG_DATA_HOME": home + "/d", "XDG_STATE_HOME": home + "/s",
               "XDG_CONFIG_HOME": home + "/c", "PIXELVAULT_KEY_FILE": home + "/key"}
        who = {"user": 12345, "group": 12345, "extra_groups": [], "cwd": "/", "env": env}
        self.vault("init", "--key-file", home + "/key", "--no-recovery", **who)
        self.assertTrue(os.path.exists(home + "/d/pixelvault/vault.db"))
        self.assertTrue(os.listdir(home + "/s/pixelvault"))
        pixel, token = new_pixel(), self.token()
        self.vault("put", pixel, "--no-check", stdin=token, **who)
        self.assertEqual(token, self.vault("get", pixel, **who).out.decode())
        env.update({"XDG_DATA_HOME": None, "XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None})
        self.vault("init", "--key-file", home + "/key", "--no-recovery", **who)
        self.assertTrue(os.path.exists(home + "/.local/share/pixelvault/vault.db"))
        self.assertTrue(os.path.isdir(home + "/.local/state/pixelvault"))


class Passphrase(Case):
    """Argon2id with 256 MiB: half a second each, so few of them."""
    uses_emulator = False
    makes_vault = False

    def setUp(self):
        super().setUp()
        self.configure(vault={"key-file": None})
        self.phrase = self.write(self.path("phrase"), PHRASE + "\n")

    def with_phrase(self, phrase=None):
        return {"PIXELVAULT_PASSPHRASE_FILE": self.phrase if phrase is None else self.write(self.path("other"), phrase)}

    def init_fd(self, phrase):
        r, w = os.pipe()
        os.write(w, phrase)
        os.close(w)
        try:
            return self.vault("init", "--passphrase-fd", str(r), "--no-recovery", pass_fds=(r,), rc=None)
        finally:
            os.close(r)

    def test_from_a_descriptor_and_from_a_file(self):
        self.assertEqual(0, self.init_fd(PHRASE.encode() + b"\n").rc)
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check", env=self.with_phrase())
        self.assertEqual(token, self.get(pixel, env=self.with_phrase(PHRASE)), "a line end at the close is not part of it")

    def test_a_wrong_passphrase_is_6(self):
        self.vault("init", "--passphrase-file", self.phrase, "--no-recovery")
        for wrong in (PHRASE[:-1], PHRASE + " ", PHRASE.upper(), ""):
            r = self.vault("list", env=self.with_phrase(wrong), rc=6 if wrong else (4, 6))
            self.assertNotIn(PHRASE[:-1], r.err)
            self.assertRegex(r.err, "(?m)^vault: ")

    def test_nobody_to_ask_is_4(self):
        self.vault("init", "--passphrase-file", self.phrase, "--no-recovery")
        r = self.refuses(4, "list", start_new_session=True)
        self.assertSoon(r.took, 3)
        self.error(4, "get", new_pixel(), start_new_session=True)
        t = self.terminal("list", "--no-input")
        self.assertEqual(4, t.wait(60), t.text())

    def test_asked_on_the_terminal_without_echo(self):
        self.vault("init", "--passphrase-file", self.phrase, "--no-recovery")
        t = self.terminal("list")
        t.expect("(?i)passphrase")
        time.sleep(0.1)
        t.send(PHRASE + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertNotIn("horse", t.text())

    def test_asked_on_the_terminal_also_when_stdin_is_the_token(self):
        self.vault("init", "--passphrase-file", self.phrase, "--no-recovery")
        pixel, token = new_pixel(), self.token()
        path = self.write(self.path("token"), token)
        from harness import Terminal
        t = Terminal(["sh", "-c", '"$0" put "$1" --no-check < "$2"', VAULT, pixel, path], self.env, self.dir)
        t.expect("(?i)passphrase")
        time.sleep(0.1)
        t.send(PHRASE + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertEqual(token, self.get(pixel, env=self.with_phrase()))

    def test_the_terminal_is_as_it_was_after_a_break(self):
        self.vault("init", "--passphrase-file", self.phrase, "--no-recovery")
        from harness import Terminal
        t = Terminal(["sh", "-c", 'trap "" INT; "$0" list; stty -a', VAULT], dict(self.env, TERM="xterm"), self.dir)
        t.expect("(?i)passphrase")
        time.sleep(0.2)
        t.send(b"\x03")
        time.sleep(0.2)
        t.send("\n")
        t.wait()
        self.assertRegex(t.text(), r"[^-]\becho\b", t.text())

    def test_a_short_one_is_refused(self):
        for phrase in (b"", b"\n", b"fourteen chars"):
            r = self.init_fd(phrase)
            self.assertNotEqual(0, r.rc, say(r))
            self.assertFalse(os.path.exists(self.file))

    def test_fifteen_characters_are_enough(self):
        r = self.init_fd(b"fifteen chars!!")
        self.assertEqual(0, r.rc, say(r))

    def test_long_and_strange_ones_are_taken_as_they_are(self):
        phrase = ("p\u00e4ss \u2603 " * 60).strip()
        self.write(self.phrase, phrase)
        self.vault("init", "--passphrase-file", self.phrase, "--no-recovery")
        self.vault("list", env=self.with_phrase(phrase))
        self.vault("list", env=self.with_phrase(phrase[:-1]), rc=6)

    def test_init_asks_twice_on_a_terminal(self):
        t = self.terminal("init", "--no-recovery")
        t.expect("(?i)passphrase")
        time.sleep(0.1)
        t.send(PHRASE + "\n")
        t.expect("(?i)again|once more|repeat|confirm")
        time.sleep(0.1)
        t.send(PHRASE + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertNotIn("horse", t.text())
        self.vault("list", env=self.with_phrase())

    def test_init_refuses_two_different_ones(self):
        t = self.terminal("init", "--no-recovery")
        t.expect("(?i)passphrase")
        time.sleep(0.1)
        t.send(PHRASE + "\n")
        t.expect("(?i)again|once more|repeat|confirm")
        time.sleep(0.1)
        t.send(PHRASE + "x\n")
        self.assertNotEqual(0, t.wait(), t.text())
        self.assertFalse(os.path.exists(self.file))

    def test_init_without_any_key_and_nobody_to_ask_makes_nothing(self):
        r = self.vault("init", "--no-recovery", start_new_session=True, rc=None)
        self.assertIn(r.rc, (2, 4), say(r))
        self.assertFalse(os.path.exists(self.file))

    def test_both_kinds_of_key_exclude_each_other(self):
        self.vault("init", "--key-file", self.key, "--passphrase-file", self.phrase, "--no-recovery", rc=2)
        self.assertFalse(os.path.exists(self.file))

    def test_the_recovery_key_is_shown_once_typed_back_and_opens_the_vault(self):
        self.configure()
        t = self.terminal("init", "--key-file", self.key)
        shown = t.expect(r"(?m)^\s*((?:[0-9A-Za-z]{4,}[- ]){7,}[0-9A-Za-z]{4,})\s*$").group(1).strip()
        self.assertEqual(8, len(re.split("[- ]+", shown)), "eight groups: " + shown)
        time.sleep(0.2)
        t.send(shown + "\n")
        self.assertEqual(0, t.wait(), t.text())
        os.rename(self.key, self.path("lost"))
        self.configure(vault={"key-file": None})
        self.vault("list", env=self.with_phrase(shown))
        swapped = shown[:-1] + ("A" if shown[-1] != "A" else "B")
        self.vault("list", env=self.with_phrase(swapped), rc=6)

    def test_the_recovery_key_typed_wrong_makes_no_vault(self):
        self.configure()
        t = self.terminal("init", "--key-file", self.key)
        t.expect(r"(?m)^\s*((?:[0-9A-Za-z]{4,}[- ]){7,}[0-9A-Za-z]{4,})\s*$")
        for _ in range(5):
            time.sleep(0.2)
            try:
                t.send("not what was shown\n")
            except OSError:
                break
            if not t.pump(0.3):
                break
        t.send(b"\x04") if t.rc is None and t.pump(0) else None
        self.assertNotEqual(0, t.wait(), t.text())
        self.assertFalse(os.path.exists(self.file))

    def test_a_passphrase_is_no_option(self):
        for words in (["--passphrase", PHRASE], ["--password=" + PHRASE]):
            r = self.vault("init", *words, rc=2)
            self.assertNotIn("horse", r.err)


if __name__ == "__main__":
    unittest.main()
