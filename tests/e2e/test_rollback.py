"""An old but genuine copy is noticed: the anchor remembers the last generation. The table of security.md §2.6."""

import os
import shutil
import unittest

from harness import Case, new_pixel, rng, say


class Rollback(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel = new_pixel()
        self.last = None
        self.step()

    def step(self, times=1):
        for _ in range(times):
            self.last = self.token()
            self.put(self.pixel, self.last, "--no-check")
        return self.last

    def refused(self, name):
        """Every way in is refused with this class, a sentence and a hint, and nothing is handed out or changed."""
        before = self.files()
        for words in (["get", self.pixel], ["list"], ["status"], ["verify"], ["history", self.pixel], ["check", "--probe", "dry"]):
            e = self.error(7, *words)
            self.assertEqual(name, e.get("class"), (words, e))
            r = self.refuses(7, *words)
            self.assertEqual(b"", r.out)
        e = self.error(7, "put", self.pixel, "--no-check", stdin=self.token())
        self.assertEqual(name, e.get("class"))
        self.error(7, "rm", self.pixel)
        self.error(7, "label", self.pixel, "a=b")
        return before

    def accepted(self, token):
        self.assertEqual(token, self.get(self.pixel))
        self.vault("verify")

    def anchors(self):
        """The files of the state folder but for logs and locks."""
        return [os.path.join(self.state, n) for n in os.listdir(self.state) if "audit" not in n and not n.endswith(".lock")]

    def test_the_vault_put_back_is_rolled_back(self):
        self.save("old")
        self.step()
        self.restore("old", "vault")
        self.refused("rolled-back")

    def test_one_generation_is_enough_and_labels_count_too(self):
        self.save("old")
        self.vault("label", self.pixel, "a=b")
        self.restore("old", "vault")
        self.refused("rolled-back")

    def test_many_generations(self):
        self.save("old")
        self.step(40)
        self.restore("old", "vault")
        self.refused("rolled-back")

    def test_the_file_alone_put_back_beside_its_newer_log(self):
        self.save("old")
        new = self.step()
        shutil.copyfile(self.path("saved", "old", "vault", "vault.db"), self.file)
        r = self.vault("get", self.pixel, rc=(0, 7))
        if r.rc == 0:
            self.assertEqual(new, r.out.decode())

    def test_the_newest_copy_put_back_is_fine(self):
        self.save("now")
        self.restore("now", "vault")
        self.accepted(self.last)
        self.step()
        self.accepted(self.last)

    def test_without_an_anchor_it_is_anchor_missing(self):
        for path in self.anchors():
            os.remove(path)
        self.refused("anchor-missing")

    def test_without_a_state_folder_it_is_anchor_missing(self):
        shutil.rmtree(self.state)
        self.refused("anchor-missing")
        r = self.vault("get", self.pixel, rc=7)
        self.assertRegex(r.err, "(?i)adopt|restore", "the hint says how to go on" + say(r))

    def test_an_anchor_with_no_right_mac_is_anchor_missing(self):
        for path in self.anchors():
            size = os.path.getsize(path)
            self.write(path, bytes(b ^ 0x55 for b in self.read(path)))
        self.refused("anchor-missing")

    def test_an_empty_anchor_is_anchor_missing(self):
        for path in self.anchors():
            self.write(path, b"")
        self.refused("anchor-missing")

    def test_the_anchor_of_another_vault_is_refused(self):
        good = {p: self.read(p) for p in self.anchors()}
        mine, state = self.file, self.state
        self.file = self.env["PIXELVAULT_VAULT"] = self.path("vault2", "vault.db")
        self.state = self.path("state2")
        self.configure()
        self.init()
        self.put(self.pixel, self.token(), "--no-check")
        foreign = self.read(self.anchors()[0])
        self.file, self.state = mine, state
        self.env["PIXELVAULT_VAULT"] = mine
        self.configure()
        for path in good:
            self.write(path, foreign)
        e = self.error(7, "get", self.pixel)
        self.assertIn(e["class"], ("anchor-missing", "forked"))

    def test_one_bit_of_the_anchor(self):
        """Two blocks: with one of them broken the other one counts, so the newest generation may be a step back, never wrong."""
        self.step(3)
        for path in self.anchors():
            data = self.read(path)
            for at in rng.sample(range(len(data)), min(60, len(data))):
                bad = bytearray(data)
                bad[at] ^= 1 << rng.randrange(8)
                self.write(path, bytes(bad))
                r = self.vault("get", self.pixel, rc=(0, 7))
                if r.rc == 0:
                    self.assertEqual(self.last, r.out.decode())
            self.write(path, data)
        self.accepted(self.last)

    def test_a_torn_anchor_is_no_lock_out(self):
        """After power loss one block may be half written: the other one must do."""
        self.step(2)
        for path in self.anchors():
            data = self.read(path)
            if len(data) < 1024:
                continue
            for start in (0, 512):
                bad = data[:start] + data[start:start + 200] + bytes(312) + data[start + 512:]
                self.write(path, bad)
                r = self.vault("get", self.pixel, rc=(0, 7))
                self.assertEqual((0, self.last), (r.rc, r.out.decode()), say(r))
            self.write(path, data)

    def test_two_copies_that_went_apart_are_a_fork(self):
        self.save("base")
        self.step()
        self.save("left")
        self.restore("base")
        self.step()
        self.restore("left", "state")
        self.refused("forked")

    def test_a_fork_is_seen_some_generations_later_too(self):
        self.save("base")
        self.step()
        self.save("left")
        self.restore("base")
        self.step(5)
        self.restore("left", "state")
        self.refused("forked")

    def test_the_vault_a_few_commits_ahead_of_its_anchor_is_fine(self):
        """Other writers, or a crash between commit and anchor."""
        for ahead in (1, 5, 30):
            self.save("base")
            self.step(ahead)
            self.restore("base", "state")
            self.accepted(self.last)
            self.step()
            self.accepted(self.last)

    def test_more_than_32_ahead_is_refused(self):
        self.save("base")
        self.step(35)
        self.restore("base", "state")
        self.refused("anchor")

    def test_a_reader_never_advances_the_anchor(self):
        self.save("base")
        self.step(2)
        self.restore("base", "state")
        before = {p: self.read(p) for p in self.anchors()}
        self.accepted(self.last)
        self.assertEqual(before, {p: self.read(p) for p in self.anchors()})
        self.step()
        self.assertNotEqual(before, {p: self.read(p) for p in self.anchors()})

    def test_after_an_advance_the_old_copy_is_refused(self):
        self.save("base")
        self.step()
        self.restore("base", "state")
        self.step()
        self.restore("base", "vault")
        self.refused("rolled-back")

    def test_both_put_back_together_is_not_noticed_and_still_consistent(self):
        """security.md §1.2 promises nothing here; the content must be whole all the same."""
        self.save("old")
        old = self.last
        self.step()
        self.restore("old")
        self.accepted(old)


if __name__ == "__main__":
    unittest.main()
