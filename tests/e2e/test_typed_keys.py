"""Keys that a person types on a terminal, or that come through a descriptor: rekey, rotate-key and files of export. What is
mistyped, given up or broken off changes nothing."""

import os
import signal
import time

from harness import Case, new_pixel

PHRASE, OTHER = "zwiebelring wolkenkuckuck heim", "ganz andere lange worte hier"
RECOVERY = r"(?:[0-9A-Z]{7}-){7}[0-9A-Z]{7}"


class Typed(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.stored_token = new_pixel(), self.token()
        self.put(self.pixel, self.stored_token, "--no-check")

    def kinds(self):
        return sorted(s["kind"] for s in self.json("slot", "list")["slots"])

    def generation(self):
        return self.json("verify")["generation"]

    def opens(self, key=None, phrase=None, rc=0):
        """Whether this alone opens the vault."""
        env = {"PIXELVAULT_KEY_FILE": key or "", "PIXELVAULT_PASSPHRASE_FILE": phrase and self.write(self.path("tried"), phrase) or ""}
        return self.vault("get", self.pixel, rc=rc, env={k: v or None for k, v in env.items()}, says_token=rc == 0)

    def dialogue(self, words, *steps, rc=0):
        """On a terminal: to each prompt its answer."""
        t = self.terminal(*words)
        at = 0
        for prompt, answer in steps:
            end = time.monotonic() + 30
            while True:
                found = t.text().find(prompt, at)
                if found >= 0:
                    break
                if time.monotonic() > end or not t.pump(0.2):
                    self.fail("never saw %r; saw %r" % (prompt, t.text()))
            at = found + len(prompt)
            t.send(answer)
        self.assertEqual(rc, t.wait(60), t.text())
        for _, answer in steps:
            if isinstance(answer, str) and len(answer) > 12:
                self.assertNotIn(answer.strip(), t.text(), "what is typed is not shown")
        return t.text()

    def add_recovery(self):
        t = self.terminal("slot", "add", "--recovery")
        shown = t.expect(RECOVERY).group(0)
        t.expect("Type it back")
        t.send(shown + "\n")
        self.assertEqual(0, t.wait(), t.text())
        return shown


class Rekey(Typed):
    def test_a_typed_passphrase_takes_the_place_of_the_key_file(self):
        before = self.generation()
        new, again = "New passphrase, at least 15 characters: ", "The same once more: "
        self.assertIn("at least 15", self.dialogue(["rekey"], (new, "too short\n"), rc=2))
        # Bytes that are no UTF-8 count one by one.
        self.assertIn("has 14 characters", self.dialogue(["rekey"], (new, b"\xff" * 14 + b"\n"), rc=2))
        self.assertIn("differ", self.dialogue(["rekey"], (new, PHRASE + "\n"), (again, PHRASE + "x\n"), rc=2))
        self.assertIn("nothing was entered", self.dialogue(["rekey"], (new, PHRASE + "\n"), (again, "\n"), rc=2))
        self.assertIn("nothing was entered", self.dialogue(["rekey"], (new, "\x04"), rc=2))
        self.dialogue(["rekey"], (new, PHRASE + "\n"), (again, "\x03"), rc=-signal.SIGINT)
        self.refuses(4, "rekey", "--no-input", says="terminal")
        self.assertEqual((before, ["key-file"]), (self.generation(), self.kinds()))
        self.opens(self.key)
        self.assertIn("another key is in place", self.dialogue(["rekey"], (new, PHRASE + "\n"), (again, PHRASE + "\n")))
        self.opens(self.key, rc=6)
        self.opens(phrase=PHRASE)

    def test_a_recovery_key_takes_the_place_of_the_key_file(self):
        self.refuses(4, "rekey", "--recovery", "--no-input", says="only shown on a terminal")
        t = self.terminal("rekey", "--recovery")
        wrong = t.expect(RECOVERY).group(0)
        for n in range(1, 4):
            t.expect("(?:Type it back[^$]*){%d}" % n)
            # Of the same shape and sound, and another one; or nothing.
            t.send("\n" if n == 2 else wrong[:-1] + ("0" if wrong[-1] != "0" else "1") + "\n")
            t.expect("(?:not the key shown[^$]*){%d}" % n)
        self.assertEqual(2, t.wait(), t.text())
        self.opens(self.key)
        self.assertEqual(["key-file"], self.kinds())
        t = self.terminal("rekey", "--recovery")
        shown = t.expect(RECOVERY).group(0)
        self.assertNotEqual(wrong, shown)
        t.expect("Type it back")
        t.send(shown + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.opens(self.key, rc=6)
        self.assertEqual(["recovery"], self.kinds())
        self.dialogue(["slot", "test"], ("Passphrase (or recovery key)", shown + "\n"))

    def test_the_same_key_is_for_the_slot_that_it_opens(self):
        self.write(self.path("second"), os.urandom(32))
        second = self.json("slot", "add", "--key-file", self.path("second"))["added"]["id"]
        before = self.generation()
        self.refuses(2, "rekey", second, "--same", says="another one")
        self.refuses(3, "rekey", "ffffffff", "--same", says="slot list")
        self.assertEqual(before, self.generation())
        # The key that is there already, in its own slot: wrapped anew.
        self.assertEqual(second, self.json("rekey", second, "--key-file", self.path("second"))["id"])
        self.opens(self.path("second"))
        self.opens(self.key)


class RotateKey(Typed):
    ask = "shall go on opening it (Enter: no more): "

    def test_keys_that_are_typed_open_it_under_the_new_root_key(self):
        self.vault("slot", "add", "--passphrase-file", self.write(self.path("phrase"), PHRASE))
        recovery = self.add_recovery()
        text = self.dialogue(["rotate-key"], (self.ask, OTHER + "\n"), ("That one does not open this vault.", ""),
                             (self.ask, recovery.lower() + "\n"), (self.ask, PHRASE + "\n"))
        self.assertIn("3 keys open the vault", text)
        self.assertEqual(["key-file", "passphrase", "recovery"], self.kinds())
        self.opens(self.key)
        self.opens(phrase=PHRASE)
        self.assertIn("wrong key", self.vault("audit", "show").out.decode().replace("-", " "), "a wrong one is noted as anywhere else")

    def test_who_is_not_given_is_named_and_lost_only_when_that_is_meant(self):
        self.add_recovery()
        before = self.generation()
        drop = "These keys will not open the vault any more: recovery key "
        self.assertIn("--drop-others", self.dialogue(["rotate-key"], (self.ask, "\n"), (drop, "no\n"), rc=2))
        self.dialogue(["rotate-key"], (self.ask, "\x03"), rc=-signal.SIGINT)
        self.dialogue(["rotate-key"], (self.ask, "\n"), (drop, "\x03"), rc=-signal.SIGINT)
        self.assertEqual((before, ["key-file", "recovery"]), (self.generation(), self.kinds()))
        # No vault opens by a passphrase here, so a typed text that is no recovery key is simply wrong.
        text = self.dialogue(["rotate-key"], (self.ask, OTHER + "\n"), (self.ask, "\n"), (drop, "yes\n"))
        self.assertIn("does not open this vault", text)
        self.assertIn("these keys open the vault no more: recovery key", text)
        self.assertEqual(["key-file"], self.kinds())
        self.opens(self.key)

    def test_a_passphrase_through_a_descriptor(self):
        self.vault("slot", "add", "--passphrase-file", self.write(self.path("phrase"), PHRASE))
        before = self.generation()

        def by_descriptor(text, *more, **kwargs):
            read_end, write_end = os.pipe()
            os.write(write_end, text.encode())
            os.close(write_end)
            try:
                return self.vault("rotate-key", "--passphrase-fd", str(read_end), *more, pass_fds=(read_end,), **kwargs)
            finally:
                os.close(read_end)
        self.assertIn("15", by_descriptor("short\n", rc=2).err)
        self.assertIn("does not open", by_descriptor(OTHER + "\n", rc=6).err)
        self.refuses(2, "rotate-key", "--passphrase-fd", "77", says="not open for reading")
        self.refuses(2, "rotate-key", "--passphrase-fd", "4294967295", says="not open for reading")
        with open(self.path("out"), "w") as out:
            self.refuses(2, "rotate-key", "--passphrase-fd", str(out.fileno()), pass_fds=(out.fileno(),), says="not open for reading")
        self.refuses(4, "rotate-key", "--passphrase-file", self.path("none"))
        self.assertEqual(before, self.generation())
        self.assertIn("2 keys open", by_descriptor(PHRASE + "\n").err)
        self.assertEqual(["key-file", "passphrase"], self.kinds())
        self.opens(self.key)


class ExportFile(Typed):
    new, again, old = "Passphrase for the export file, at least 15 characters: ", "The same once more: ", "Passphrase of the export file: "

    def test_its_passphrase_is_typed_twice_and_asked_for_on_import(self):
        words = ["export", "--to-file", self.path("x")]
        for steps, rc, says in ((((self.new, "too short\n"),), 2, "at least 15"),
                                (((self.new, b"\xff" * 14 + b"\n"),), 2, "has 14 characters"),
                                (((self.new, PHRASE + "\n"), (self.again, OTHER + "\n")), 2, "differ"),
                                (((self.new, PHRASE + "\n"), (self.again, "\x04")), 2, "nothing was entered"),
                                (((self.new, "\x03"),), -signal.SIGINT, "")):
            self.assertIn(says, self.dialogue(words, *steps, rc=rc))
            self.assertFalse(os.path.exists(self.path("x")), "nothing is written")
        self.refuses(4, *words, "--no-input", says="needs a passphrase")
        self.dialogue(words, (self.new, PHRASE + "\n"), (self.again, PHRASE + "\n"))
        self.assertNotIn(self.stored_token.encode(), self.read(self.path("x")))
        self.vault("rm", self.pixel, "--destroy", "--yes")
        self.dialogue(["import", self.path("x"), "--no-check"], (self.old, OTHER + "\n"), rc=6)
        self.dialogue(["import", self.path("x"), "--no-check"], (self.old, "\x04"), rc=2)
        self.refuses(3, "get", self.pixel)
        with open(self.write(self.path("phrase"), PHRASE)) as f:
            self.vault("import", self.path("x"), "--no-check", "--passphrase-fd", str(f.fileno()), pass_fds=(f.fileno(),))
        self.assertEqual(self.stored_token, self.get(self.pixel))

    def test_a_descriptor_or_a_file_without_a_good_passphrase_makes_no_export(self):
        self.refuses(2, "export", "--to-file", self.path("y"), "--passphrase-fd", "77", says="not open for reading")
        with open(self.path("out"), "w") as out:
            self.refuses(2, "export", "--to-file", self.path("y"), "--passphrase-fd", str(out.fileno()), pass_fds=(out.fileno(),),
                         says="not open for reading")
        self.refuses(4, "export", "--to-file", self.path("y"), "--passphrase-file", self.path("none"))
        self.refuses(2, "export", "--to-file", self.path("y"), "--passphrase-file", self.write(self.path("weak"), "short"), says="15")
        self.assertFalse(os.path.exists(self.path("y")))
