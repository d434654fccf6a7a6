"""Labels, soft delete, destroy, restore, history."""

import contextlib
import json
import sqlite3
import unittest

from harness import Case, cases, new_pixel, say, spread


@spread
class Labels(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel = new_pixel()
        self.put(self.pixel, self.token(), "--no-check")

    def labels(self):
        return self.json("list")["pixels"][0]["labels"]

    def test_set_change_and_remove(self):
        self.vault("label", self.pixel, "brand=a", "country=de")
        self.assertEqual({"brand": "a", "country": "de"}, self.labels())
        self.vault("label", self.pixel, "brand=b")
        self.assertEqual({"brand": "b", "country": "de"}, self.labels())
        self.vault("label", self.pixel, "brand=")
        self.assertEqual({"country": "de"}, self.labels())

    def test_all_or_none(self):
        self.vault("label", self.pixel, "a=1", "B=2", "c=3", rc=(2, 15))
        self.assertEqual({}, self.labels())

    def test_a_pixel_that_is_not_stored_is_3(self):
        self.refuses(3, "label", new_pixel(), "a=b")

    def test_labels_do_not_touch_tokens(self):
        before = self.status(self.pixel)["current"]
        self.vault("label", self.pixel, "brand=a")
        self.assertEqual(before, self.status(self.pixel)["current"])

    @cases(escape="\x1b[31mred", newline="a\nb", nul_like="\x01", delete="\x7f")
    def test_a_value_never_drives_the_terminal(self, value):
        r = self.vault("label", self.pixel, "k=" + value, rc=None)
        if r.rc == 0:
            out = self.vault("status").out + self.vault("list").out
            self.assertNotIn(value.encode(), out)
        else:
            self.assertIn(r.rc, (2, 15))

    def test_utf8_comes_back(self):
        for value in ("Caf\u00e9 \u2603", "\U0001f984", 'q"\\/<>&'):
            self.vault("label", self.pixel, "k=" + value)
            self.assertEqual({"k": value}, self.labels())


class Rm(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.secret, self.other = new_pixel(), self.token(), new_pixel()
        self.put(self.pixel, self.secret, "--no-check", "--label", "brand=a")
        self.put(self.other, self.token(), "--no-check")

    def test_removed_it_is_gone_for_all_commands(self):
        self.vault("rm", self.pixel)
        for words in (["get", self.pixel], ["get", self.pixel, "--version", "1"], ["status", self.pixel], ["check", self.pixel],
                      ["label", self.pixel, "a=b"]):
            self.refuses(3, *words)
        self.assertEqual([self.other], [p["pixel"] for p in self.json("list")["pixels"]])
        self.assertEqual([self.other], [p["pixel"] for p in self.json("status")["pixels"]])
        self.vault("verify")

    def test_restored_it_is_as_it_was(self):
        before = self.status(self.pixel)
        self.vault("rm", self.pixel)
        self.vault("rm", self.pixel, "--restore")
        after = self.status(self.pixel)
        for name in ("labels", "current", "previous", "pending", "verdict"):
            self.assertEqual(before[name], after[name])
        self.assertEqual(self.secret, self.get(self.pixel))

    def test_destroyed_its_tokens_are_gone_for_good(self):
        rows = len(self.sql("SELECT k FROM kv WHERE CAST(k AS TEXT) LIKE '%t/%'"))
        self.vault("rm", self.pixel, "--destroy", "--yes")
        self.assertEqual(rows - 1, len(self.sql("SELECT k FROM kv WHERE CAST(k AS TEXT) LIKE '%t/%'")))
        r = self.vault("rm", self.pixel, "--restore", rc=None)
        self.assertNotEqual(0, r.rc, say(r))
        self.vault("get", self.pixel, rc=3)
        self.assertEqual([self.other], [p["pixel"] for p in self.json("list")["pixels"]])
        self.vault("verify")

    def test_destroyed_leaves_no_trace_of_its_tokens(self):
        """Also of one that was put twice: no token and no duplicate hint stays in the file."""
        def rows():
            with contextlib.closing(sqlite3.connect(self.file)) as db:
                return {k for k, in db.execute("SELECT k FROM kv") if k.split("/")[1:2] in (["t"], ["d"], ["h"])}

        pixel, first, before = new_pixel(), self.token(), rows()
        for token in (first, self.token(), self.token(), first):
            self.put(pixel, token, "--no-check")
        self.assertGreater(len(rows()), len(before) + 7)
        self.vault("rm", pixel, "--destroy", "--yes")
        self.assertEqual(before, rows())

    def test_destroyed_after_it_was_removed(self):
        self.vault("rm", self.pixel)
        self.vault("rm", self.pixel, "--destroy", "--yes")
        r = self.vault("rm", self.pixel, "--restore", rc=None)
        self.assertNotEqual(0, r.rc, say(r))
        self.vault("verify")

    def test_destroy_is_not_done_without_a_word(self):
        r = self.vault("rm", self.pixel, "--destroy", "--no-input", rc=None)
        if r.rc != 0:
            self.assertEqual(self.secret, self.get(self.pixel))

    def test_what_is_not_stored_is_3(self):
        for words in (["rm", new_pixel()], ["rm", new_pixel(), "--restore"], ["rm", new_pixel(), "--destroy", "--yes"]):
            self.refuses(3, *words)

    def test_restore_and_destroy_exclude_each_other(self):
        self.refuses(2, "rm", self.pixel, "--restore", "--destroy")

    def test_a_deleted_pixel_put_again_never_reuses_a_number(self):
        self.vault("rm", self.pixel)
        r = self.put(self.pixel, self.token(), "--no-check", "--json", rc=None)
        if r.rc == 0:
            self.assertEqual(2, self.object(r)["version"])
        else:
            self.assertEqual(8, r.rc, say(r))
            self.vault("rm", self.pixel, "--restore")
            self.assertEqual(2, self.put_json(self.pixel, self.token(), "--no-check")["version"])


class History(Case):
    def test_versions_and_verdicts_without_tokens(self):
        pixel, token = self.stored()
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        new = self.more_token(pixel)
        self.put(pixel, new)
        r = self.vault("history", pixel)
        text = r.out.decode()
        for word in ("healthy", "revoked"):
            self.assertIn(word, text, say(r))
        self.assertRegex(text, r"tk-[0-9A-Z]{4}-[0-9A-Z]{4}")
        self.assertNotIn(token, text)
        doc = self.json("history", pixel)
        self.assertNotIn(token, json.dumps(doc))

    def test_what_is_not_stored_is_3(self):
        self.refuses(3, "history", new_pixel())
        self.error(3, "history", new_pixel())

    def test_it_does_not_grow_without_end(self):
        pixel, token = self.stored(test_code=None)
        for _ in range(20):
            self.emu.revoke(token)
            self.vault("check", pixel, rc=10)
            self.emu.works_again(token)
            self.vault("check", pixel, rc=0)
        self.vault("history", pixel)
        self.vault("verify")



if __name__ == "__main__":
    unittest.main()
