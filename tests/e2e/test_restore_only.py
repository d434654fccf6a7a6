"""restore --only: what is damaged of single Pixels comes from a backup; a newer token never gives way unsaid; everything else
stays as it is, byte for byte."""

import json
import os
import re
import time
import unittest

import harness
from harness import new_pixel, new_token, rng


class RestoreOnly(harness.Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.copy = self.path("copy.backup")
        self.pixel, self.other = new_pixel(), new_pixel()
        self.first, self.others = self.token(), self.token()
        self.put(self.pixel, self.first, "--no-check")
        self.rid = next(r[0] for r in self.rows("m")).split(b"/")[2].decode()
        self.put(self.other, self.others, "--no-check")
        self.vault("backup", self.copy)

    def rows(self, kind):
        return self.sql("SELECT CAST(k AS BLOB), v FROM kv WHERE k LIKE ?", "e1/%s/%%" % kind)

    def another(self, pixel=None):
        token = self.token()
        self.put(pixel or self.pixel, token, "--no-check")
        return token

    def damage(self, key):
        self.assertTrue(self.sql("SELECT 1 FROM kv WHERE k = ?", key), key)
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k = ?", key)

    def damage_record(self):
        self.damage("e1/m/" + self.rid)
        self.vault("get", self.pixel, rc=7)

    def damage_token(self, number):
        self.damage("e1/t/%s/%d" % (self.rid, number))

    def version(self):
        return {p["pixel"]: p["version"] for p in self.json("list")["pixels"]}[self.pixel]

    def rest(self):
        """All rows but the Pixel's own, the root, and the nodes above the Pixel."""
        return {k: v for k, v in self.sql("SELECT CAST(k AS BLOB), v FROM kv") if self.rid.encode() not in k and k != b"root" and
                not k.startswith(b"e1/d/") and not (k.startswith(b"e1/n/") and self.rid.startswith(k.split(b"/")[2].decode()))}

    def only(self, *more, rc=0, **kwargs):
        return self.vault("restore", "--only", self.pixel, self.copy, *more, rc=rc, **kwargs)

    def mend(self, *more):
        """What it says of the Pixel; nobody else's record has changed, and everything is proven."""
        rest = self.rest()
        doc = json.loads(self.only("--yes", "--json", *more).out)
        self.assertTrue(rest == self.rest(), "another record was changed")
        self.vault("verify")
        self.vault("audit", "verify")
        self.assertEqual(self.others, self.get(self.other))
        return next(p for p in doc["pixels"] if p["pixel"] == self.pixel)

    def left_as_it_was(self, rc, *more, says=()):
        before = self.sql("SELECT * FROM kv")
        r = self.refuses(rc, "restore", "--only", self.pixel, self.copy, "--yes", *more, says=says)
        self.assertTrue(before == self.sql("SELECT * FROM kv"), "something was changed")
        self.assertEqual([], [n for n in os.listdir(self.path("vault")) if ".restoring-" in n])
        return r

    # ---- what is damaged comes back

    def test_a_damaged_record_that_verify_names_by_id_comes_back_and_the_history_goes_on(self):
        checkpoint = self.vault("checkpoint").out.decode().split()[1]
        self.damage_record()
        r = self.vault("verify", rc=7)
        self.assertIn("restore --only", r.err)
        named = re.search(r"Pixel '([0-9a-f]{32})'", r.err).group(1)
        r = self.vault("restore", "--only", named, self.copy, rc=2)
        self.assertIn("--yes", r.err)
        self.vault("get", self.pixel, rc=7)
        r = self.vault("restore", "--only", named, self.copy, "--yes")
        self.assertRegex(r.err, "Pixel %s: current is and stays version 1 of 20" % self.pixel)
        self.assertEqual(self.first, self.get(self.pixel))
        self.assertEqual("whole", self.mend()["was"])
        self.assertRegex(self.vault("audit", "show").out.decode(), r"restore +id:\w+ +v1 +done|restore +%s +v1 +done" % self.pixel)
        # no new lineage: what was kept of the history before still is its past
        self.vault("adopt", "--checkpoint", checkpoint)

    def test_a_damaged_token_comes_back_and_what_else_changed_since_stays(self):
        second = self.another()
        self.vault("label", self.pixel, "shop=north")
        self.vault("label", self.other, "shop=south")
        self.damage_token(1)
        p = self.mend()
        self.assertEqual(("mended", 2, [1], []), (p["was"], p["version"], p["from_backup"], p["given_up"]))
        self.assertEqual((second, self.first), (self.get(self.pixel), self.get(self.pixel, "--previous")))
        self.assertEqual({"shop": "north"}, self.status(self.pixel)["labels"])

    def test_a_token_that_is_gone_comes_back(self):
        self.sql("DELETE FROM kv WHERE k LIKE 'e1/t/%s/%%'" % self.rid)
        self.vault("get", self.pixel, rc=7)
        self.assertEqual([1], self.mend()["from_backup"])
        self.assertEqual(self.first, self.get(self.pixel))

    def test_a_token_that_the_backup_has_not_is_given_up_and_the_one_before_goes_on(self):
        self.another()
        self.damage_token(2)
        r = self.only("--yes")
        self.assertRegex(r.err, "given up: version 2")
        self.assertRegex(r.err, "current becomes version 1 of .*; it was version 2 of ")
        self.vault("verify")
        self.assertEqual(self.first, self.get(self.pixel))
        third = self.another()
        self.assertEqual((3, third), (self.version(), self.get(self.pixel)), "no number is given twice")

    def test_of_two_damaged_ones_the_backup_brings_what_it_has(self):
        self.another()
        self.damage_token(1)
        self.damage_token(2)
        p = self.mend()
        self.assertEqual((1, [1], [2]), (p["version"], p["from_backup"], p["given_up"]))
        self.assertEqual(self.first, self.get(self.pixel))

    def test_where_nothing_of_it_is_left_in_the_vault_the_backups_current_one_comes_in(self):
        for _ in range(3):
            self.another()
        for number in range(1, 5):
            self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k = ?", "e1/t/%s/%d" % (self.rid, number))
        self.assertEqual(1, self.mend()["version"])
        self.assertEqual(self.first, self.get(self.pixel))

    def test_a_damaged_inventory_node_is_made_anew_from_what_lies_below(self):
        for depth in (1, 2, 3):
            with self.subTest(depth):
                self.another()
                newest = self.another(self.other)
                self.damage("e1/n/" + self.rid[:depth])
                self.vault("get", self.pixel, rc=7)
                self.others = newest
                self.only("--yes")
                self.vault("verify")
                self.assertEqual(newest, self.get(self.other))

    def test_a_whole_damaged_path_comes_from_a_backup_that_has_it(self):
        for depth in (1, 2, 3):
            self.damage("e1/n/" + self.rid[:depth])
        self.assertEqual("mended", self.mend()["was"])
        self.another()
        for depth in (1, 2, 3):
            self.damage("e1/n/" + self.rid[:depth])
        self.left_as_it_was(7, says="newer backup")

    def test_a_row_whose_name_no_node_has_is_no_part_of_one_that_is_made_anew(self):
        for depth in (1, 2):
            with self.subTest(depth):
                self.another()
                self.damage("e1/n/" + self.rid[:depth])
                odd = [("e1/n/" + self.rid[:depth]).encode() + bytes([c]) for c in b"\x01!/:@GZ`gz~\x80\xff"]
                for name in odd:
                    self.sql("INSERT INTO kv(k, v, mod) VALUES (CAST(? AS TEXT), x'00', 1)", name)
                self.only("--yes")
                self.get(self.pixel)
                for name in odd:
                    self.sql("DELETE FROM kv WHERE k = CAST(? AS TEXT)", name)
                self.vault("verify")

    def test_rows_that_somebody_added_under_its_id_go(self):
        self.sql("UPDATE kv SET k = ? WHERE k = ?", "e1/t/%s/7" % self.rid, "e1/t/%s/1" % self.rid)
        self.vault("verify", rc=7)
        self.assertEqual([1], self.mend()["from_backup"])

    def test_damaged_health_is_only_forgotten(self):
        self.damage("e1/h/" + self.rid)
        self.vault("verify", rc=7)
        self.mend()
        self.assertEqual((self.first, "unchecked"), (self.get(self.pixel), self.status(self.pixel)["verdict"]))

    def test_a_pair_and_a_list_come_back_too(self):
        doc = {"client_id": "7000000000000000001", "client_secret": new_token(), "refresh_token": "rft." + new_token(),
               "access_token": "act." + new_token()}
        self.vault("put", self.other, "--family", "accounts", "--no-check", stdin=json.dumps(doc))
        self.vault("listing", "put", "bc:7000000000000000002", "--no-check", stdin=new_token(), rc=None)
        lists = self.json("listing", "list")["listings"]
        self.vault("backup", self.copy, "--force")
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/g/%' OR k LIKE 'e1/t/%'")
        self.vault("verify", rc=7)
        names = [self.pixel, self.other] + [l["listing"] for l in lists]
        self.vault("restore", self.copy, "--yes", *sum((["--only", n] for n in names), []))
        self.vault("verify")
        self.assertEqual((self.first, doc["access_token"]), (self.get(self.pixel), self.get(self.other)))

    def test_what_renews_a_token_lost_alone_is_told_as_that_and_the_token_stays(self):
        doc = {"client_id": "7000000000000000001", "client_secret": new_token(), "refresh_token": "rft." + new_token(),
               "access_token": "act." + new_token()}
        self.vault("put", self.pixel, "--family", "accounts", "--no-check", stdin=json.dumps(doc))
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/g/%'")
        self.vault("verify", rc=7)
        r = self.only(rc=2)
        self.assertRegex(r.err, "what renews it is damaged and not in the backup either: version 2")
        self.assertNotIn("given up", r.err)
        p = self.mend()
        self.assertEqual((2, [], [], [2]), (p["version"], p["from_backup"], p["given_up"], p["not_renewable"]))
        self.assertEqual(doc["access_token"], self.get(self.pixel))

    def test_a_backup_of_before_rotate_key_brings_tokens_back(self):
        self.vault("rotate-key")
        epoch = self.sql("SELECT CAST(k AS TEXT) FROM kv WHERE k LIKE 'e%/t/%'")
        self.assertTrue(all(k[0].startswith(b"e2/") for k in epoch), epoch)
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e2/t/%'")
        self.vault("restore", "--only", self.pixel, "--only", self.other, self.copy, "--yes")
        self.vault("verify")
        self.assertEqual((self.first, self.others), (self.get(self.pixel), self.get(self.other)))

    # ---- nothing older in the place of something newer

    def test_a_whole_pixel_with_a_newer_token_is_refused_unless_told(self):
        second = self.another()
        r = self.left_as_it_was(8, says="older token")
        self.assertIn("--older", r.err)
        self.assertRegex(r.err, "version 2 of .* is whole in the vault, newer, and would give way")
        self.assertEqual(second, self.get(self.pixel))
        p = self.mend("--older")
        self.assertEqual(("returned", 1), (p["was"], p["version"]))
        self.assertEqual(self.first, self.get(self.pixel))
        third = self.another()
        self.assertEqual((3, third), (self.version(), self.get(self.pixel)))

    def test_a_record_that_was_changed_since_is_brought_back_only_when_told(self):
        self.another()
        self.damage_record()
        r = self.left_as_it_was(8, says="older token")
        self.assertRegex(r.err, "nobody can say which of its tokens was in force")
        self.assertRegex(r.err, "version 2 is whole in the vault, newer")
        self.assertEqual("returned", self.mend("--older")["was"])
        self.assertEqual(self.first, self.get(self.pixel))
        third = self.another()
        self.assertEqual((3, third), (self.version(), self.get(self.pixel)), "no number is given twice")

    def test_one_refusal_refuses_all(self):
        self.another(self.other)
        self.damage_token(1)
        self.left_as_it_was(8, "--only", self.other, says="older token")
        self.vault("get", self.pixel, rc=7)

    def test_a_newer_token_of_a_replaced_vault_comes_back(self):
        """A whole backup was restored, and what it cost is found out later."""
        time.sleep(1.1)  # times of day are whole seconds
        second = self.another()
        self.vault("restore", self.copy, "--yes")
        kept = next(n for n in os.listdir(self.path("vault")) if ".before-" in n)
        self.assertEqual(self.first, self.get(self.pixel))
        self.copy = self.path("vault", kept)
        self.assertEqual(("returned", 2), tuple(self.mend()[k] for k in ("was", "version")))
        self.assertEqual(second, self.get(self.pixel))

    # ---- wrong input, other writers, other programs

    def test_wrong_words_and_wrong_files_change_nothing(self):
        self.damage_token(1)
        stranger = new_pixel()
        for rc, words in ((2, ["--older", self.copy, "--yes"]), (15, ["--only", "pixel", self.copy, "--yes"]),
                          (3, ["--only", stranger, self.copy, "--yes"]), (3, ["--only", "0" * 32, self.copy, "--yes"]),
                          (8, ["--only", self.pixel, "--only", self.pixel, self.copy, "--yes"]),
                          (8, ["--only", self.pixel, "--only", self.rid, self.copy, "--yes"]),
                          (2, ["--only", self.pixel, "--yes"]), (2, ["--only", self.pixel, self.file, "--yes"]),
                          (3, ["--only", self.pixel, self.path("nothing"), "--yes"])):
            e = self.error(rc, "restore", *words)
            self.assertTrue(e["hint"], words)
        self.write(self.path("edited"), self.read(self.copy))
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/t/%'", path=self.path("edited"))
        self.error(7, "restore", "--only", self.pixel, self.path("edited"), "--yes")
        self.vault("get", self.pixel, rc=7)
        self.assertEqual([], [n for n in os.listdir(self.path("vault")) if ".restoring-" in n])
        foreign = dict(self.env, PIXELVAULT_VAULT=self.path("foreign", "vault.db"), PIXELVAULT_STATE=self.path("foreign-state"))
        self.vault("init", "--key-file", self.key, "--no-recovery", env=foreign)
        self.vault("backup", self.path("foreign.backup"), env=foreign)
        self.error(8, "restore", "--only", self.pixel, self.path("foreign.backup"), "--yes")
        self.mend()

    def asked(self, meanwhile):
        t = self.terminal("restore", "--only", self.pixel, self.copy)
        t.expect("Type yes")
        meanwhile()
        t.send("yes\n")
        return t.wait(), t.text()

    def test_what_was_shown_is_done_or_nothing(self):
        self.damage_token(1)
        rc, said = self.asked(lambda: self.another())
        self.assertEqual(8, rc, said)
        self.assertIn("changed meanwhile", said)
        self.vault("get", self.pixel, "--version", "1", rc=7)
        rc, said = self.asked(lambda: self.another(self.other))
        self.assertEqual(0, rc, said)
        self.assertEqual(self.first, self.get(self.pixel, "--version", "1"))

    def test_not_confirmed_it_changes_nothing(self):
        self.damage_token(1)
        t = self.terminal("restore", "--only", self.pixel, self.copy)
        t.expect("Type yes")
        t.send("no\n")
        self.assertEqual(1, t.wait(), t.text())
        self.vault("get", self.pixel, rc=7)

    def test_a_running_agent_takes_it_up_by_itself(self):
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        self.addCleanup(self.stop_agent)
        self.damage_record()
        self.start_agent()
        via = {"PIXELVAULT_VAULT": None}
        self.vault("get", self.pixel, env=via, rc=7)
        self.assertEqual(self.others, self.vault("get", self.other, env=via, says_token=True).out.decode())
        r = self.only("--yes", env=via)
        self.assertIn("agent takes it up", r.err)
        end = time.monotonic() + 30 * harness.PATIENCE
        while self.vault("get", self.pixel, env=via, rc=None, says_token=True).out.decode() != self.first:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.vault("label", self.pixel, "a=b", env=via)

    def test_killed_anywhere_it_is_done_or_can_be_done_again(self):
        self.damage_record()
        self.save("damaged")
        for _ in range(8):
            self.restore("damaged")
            p = self.start("restore", "--only", self.pixel, self.copy, "--yes")
            time.sleep(rng.random() * 0.06)
            p.kill()
            p.wait()
            r = self.vault("get", self.pixel, rc=(0, 7), says_token=True)
            self.assertEqual(self.others, self.get(self.other))
            if r.rc:
                self.only("--yes")
            self.assertEqual(self.first, self.get(self.pixel))
            self.vault("verify")


if __name__ == "__main__":
    unittest.main()
