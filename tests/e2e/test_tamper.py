"""The store is not trusted: whatever is done to the file, no changed content is ever accepted."""

import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import unittest

import harness
from harness import CODES, Case, VAULT, cases, new_pixel, rng, say, spread

DISPOSABLE = re.compile(rb"(e\d+/)?(h|c|a|d|agent|lock)/")
CLASSES = {"damaged", "format", "tampered", "limit", "rolled-back", "forked", "anchor", "anchor-missing", "audit"}


class Tamper(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.tokens = {}
        for i in range(4):
            pixel = new_pixel()
            for _ in range(i % 3 + 1):
                token = self.token()
                self.put(pixel, token, "--no-check", "--label", "n=%d" % i)
                self.tokens.setdefault(pixel, []).append(token)
        self.pixels = list(self.tokens)
        self.vault("verify")

    def rows(self):
        return [(bytes(k) if not isinstance(k, int) else str(k).encode(), v) for k, v in self.sql("SELECT k, v FROM kv ORDER BY k")]

    def keys(self, pattern):
        return [k for k, _ in self.rows() if re.match(rb"(e\d+/)?" + pattern, k)]

    def raw_key(self, key):
        """The key as it is stored, be it text or blob."""
        for how in (key, key.decode("latin-1")):
            if self.sql("SELECT 1 FROM kv WHERE k = ?", how):
                return how
        self.fail("no key %r" % key)

    def set_value(self, key, value):
        self.sql("UPDATE kv SET v = ? WHERE k = ?", value, self.raw_key(key))

    def value(self, key):
        return self.sql("SELECT v FROM kv WHERE k = ?", self.raw_key(key))[0][0]

    def damage(self, rc=7, classes=CLASSES, text=True):
        """verify must refuse, with class, sentence and hint."""
        e = self.error(rc, "verify")
        if rc == 7:
            self.assertIn(e.get("class"), classes, e)
        if text:
            r = self.refuses(rc, "verify")
        return e

    def content_is_right(self):
        """Whatever is handed out is what was put, or nothing with a reason. Returns how many were refused."""
        refused = 0
        for pixel, tokens in self.tokens.items():
            for words in ([pixel], [pixel, "--version", "1"]):
                r = self.vault("get", *words, rc=None)
                if r.rc == 0:
                    self.assertEqual(tokens[0] if len(words) > 1 else tokens[-1], r.out.decode(), say(r))
                else:
                    self.assertEqual(7, r.rc, "damage is 7" + say(r))
                    self.assertEqual(b"", r.out)
                    refused += 1
        return refused


@spread
class Rows(Tamper):
    def test_deleting_any_row_of_any_table_is_seen_unless_it_is_disposable(self):
        self.save("good")
        db = sqlite3.connect(self.file)
        db.text_factory = bytes
        tables = [t.decode() for t, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        victims = []
        for table in tables:
            first = db.execute("PRAGMA table_info(%s)" % table).fetchone()[1].decode()
            for key, in db.execute("SELECT %s FROM %s" % (first, table)):
                victims.append((table, first, key))
        db.close()
        self.assertGreater(len(victims), 15)
        self.assertIn("kv", tables)
        seen = spared = 0
        for table, first, key in victims:
            self.restore("good", "vault")
            how = key if self.sql("SELECT 1 FROM %s WHERE %s IS ?" % (table, first), key) else key.decode("latin-1")
            self.sql("DELETE FROM %s WHERE %s IS ?" % (table, first), how)
            printable = str(key).encode() if isinstance(key, int) else bytes(key)
            r = self.vault("verify", rc=None)
            with self.subTest(table=table, key=printable[:60]):
                if DISPOSABLE.match(printable):
                    self.assertEqual(0, r.rc, say(r))
                    spared += 1
                else:
                    self.assertEqual(7, r.rc, say(r))
                    seen += 1
                self.assertRegex(printable, rb"^[\x20-\x7e]+$", "the first column is printable")
        self.assertGreater(seen, 15)

    def test_adding_a_row_is_seen_or_harmless(self):
        key = self.keys(rb"t/")[0]
        self.sql("INSERT INTO kv(k, v, mod) VALUES (?, ?, 1)", self.raw_key(key)[:-1] + (b"9" if isinstance(self.raw_key(key), bytes) else "9"),
                 self.value(key))
        r = self.vault("verify", rc=(0, 7))
        self.assertEqual(0, self.content_is_right(), "a token that no metadata lists is rubbish, not content")

    @cases(tokens=(rb"t/", True), metadata=(rb"m/", True), nodes=(rb"n/", False))
    def test_two_values_swapped(self, kind, counts):
        self.save("good")
        keys = self.keys(kind)
        self.assertGreater(len(keys), 2)
        for a, b in [(keys[0], keys[1]), (keys[0], keys[-1]), (keys[1], keys[2])]:
            self.restore("good", "vault")
            va, vb = self.value(a), self.value(b)
            self.set_value(a, vb)
            self.set_value(b, va)
            self.damage(classes={"tampered", "format", "damaged", "limit"})
            self.assertGreater(self.content_is_right(), 0)

    def test_two_tokens_of_one_pixel_swapped(self):
        """Same Pixel, other version: the AAD holds the version."""
        pixel = next(p for p, t in self.tokens.items() if len(t) == 3)
        groups = {}
        for k in self.keys(rb"t/"):
            groups.setdefault(k.rsplit(b"/", 1)[0], []).append(k)
        a, b = next(g for g in groups.values() if len(g) == 3)[:2]
        va, vb = self.value(a), self.value(b)
        self.set_value(a, vb)
        self.set_value(b, va)
        self.damage(classes={"tampered"})
        self.vault("get", pixel, "--version", "1", rc=7)
        self.assertEqual(self.tokens[pixel][2], self.get(pixel), "damage stays local")

    @cases(token_under_metadata=(rb"t/", rb"m/"), metadata_under_token=(rb"m/", rb"t/"), node_under_metadata=(rb"n/", rb"m/"),
           metadata_under_node=(rb"m/", rb"n/"), root_under_slots=(rb"root", rb"slots"), slots_under_root=(rb"slots", rb"root"),
           root_under_metadata=(rb"root", rb"m/"))
    def test_a_value_under_a_key_of_another_kind(self, source, target):
        self.set_value(self.keys(target)[0], self.value(self.keys(source)[0]))
        self.damage()
        self.content_is_right()

    def test_a_record_moved_to_another_pixel(self):
        """Metadata and tokens of one Pixel under the keys of another, whole."""
        metadata = self.keys(rb"m/")
        a, b = metadata[0], metadata[1]
        self.set_value(a, self.value(b))
        ta = [k for k in self.keys(rb"t/") if k.split(b"t/")[1].startswith(a.split(b"m/")[1])]
        tb = [k for k in self.keys(rb"t/") if k.split(b"t/")[1].startswith(b.split(b"m/")[1])]
        for x, y in zip(ta, tb):
            self.set_value(x, self.value(y))
        self.damage(classes={"tampered"})
        self.content_is_right()

    @cases(metadata=rb"m/", node=rb"n/", root=rb"root")
    def test_an_older_copy_of_one_record_put_back(self, kind):
        pixel = self.pixels[0]
        old = {k: self.value(k) for k in self.keys(kind)}
        self.tokens[pixel].append(self.token())
        self.put(pixel, self.tokens[pixel][-1], "--no-check")
        changed = [k for k, v in old.items() if self.value(k) != v]
        self.assertTrue(changed)
        for k in changed[:1]:
            self.set_value(k, old[k])
        self.damage()
        r = self.vault("get", pixel, rc=7)
        self.assertEqual(b"", r.out)
        self.content_is_right()

    def test_all_records_of_one_pixel_put_back_together(self):
        """An older metadata with its leaf, its inner nodes and its tokens, under today's root."""
        pixel = self.pixels[0]
        old = dict(self.rows())
        self.tokens[pixel].append(self.token())
        self.put(pixel, self.tokens[pixel][-1], "--no-check")
        for k, v in old.items():
            if not re.match(rb"(e\d+/)?(root|slots|h/|d/|c/|a/)", k):
                self.set_value(k, v)
        self.damage(classes={"tampered"})
        self.vault("get", pixel, rc=7)
        self.content_is_right()

    def test_everything_put_back_but_the_file(self):
        """All rows of an older state, in today's file: a rollback, whatever SQLite thinks."""
        pixel = self.pixels[0]
        old = dict(self.rows())
        self.tokens[pixel].append(self.token())
        self.put(pixel, self.tokens[pixel][-1], "--no-check")
        for k, v in old.items():
            self.set_value(k, v)
        for k in set(dict(self.rows())) - set(old):
            self.sql("DELETE FROM kv WHERE k = ?", self.raw_key(k))
        self.damage(classes={"rolled-back"})
        self.vault("get", pixel, rc=7)

    def test_health_put_back_or_gone_changes_no_token(self):
        self.sql("DELETE FROM kv WHERE CAST(k AS TEXT) LIKE '%h/%' OR CAST(k AS TEXT) LIKE 'h/%'")
        self.vault("verify")
        self.assertEqual(0, self.content_is_right())
        self.assertEqual("unchecked", self.status(self.pixels[0])["verdict"])

    def flips(self, key, count):
        """One bit of sampled bytes of one value; each must be seen."""
        value, strangers = self.value(key), 0
        places = range(len(value)) if len(value) <= count else sorted(rng.sample(range(len(value)), count) + [0, len(value) - 1])
        for at in places:
            bad = bytearray(value)
            bad[at] ^= 1 << rng.randrange(8)
            self.set_value(key, bytes(bad))
            r = self.vault("verify", "--json", rc=None)
            with self.subTest(key=key, byte=at):
                # Another vault id makes every slot fail: "every slot well-formed, none opens" is 6 by the contract.
                self.assertIn(r.rc, (6, 7) if strangers < 16 and key.endswith(b"root") else (7,), say(r))
                strangers += r.rc == 6
                if r.rc == 7:
                    self.assertIn(json.loads(r.out)["error"].get("class"), CLASSES)
            r = self.vault("get", self.pixels[at % 4], rc=(0, r.rc))
            if r.rc == 0:
                self.assertEqual(self.tokens[self.pixels[at % 4]][-1], r.out.decode())
        self.set_value(key, value)

    def test_each_byte_of_the_root_counts(self):
        self.flips(self.keys(rb"root")[0], 220)
        self.vault("verify")

    def test_each_byte_of_the_slots_counts(self):
        self.flips(self.keys(rb"slots")[0], 164)
        self.vault("verify")

    def test_nodes_metadata_and_tokens_count(self):
        for kind in (rb"n/", rb"m/", rb"t/"):
            for key in self.keys(kind)[:3]:
                self.flips(key, 25)
        self.vault("verify")

    @cases(root=rb"root", slots=rb"slots", node=rb"n/", metadata=rb"m/", token=rb"t/")
    def test_cut_grown_or_emptied(self, kind):
        key = self.keys(kind)[0]
        value = self.value(key)
        for bad in (b"", value[:1], value[:len(value) // 2], value[:-1], value + b"\0", value + value, "text", 7):
            self.set_value(key, bad)
            r = self.vault("verify", rc=7)
            self.content_is_right()
        self.set_value(key, value)
        self.vault("verify")

    def test_slots_that_do_not_match_are_damage_not_a_wrong_key(self):
        key = self.keys(rb"slots")[0]
        value = bytearray(self.value(key))
        value[60] ^= 1
        self.set_value(key, bytes(value))
        for words in (["list"], ["get", self.pixels[0]], ["verify"], ["status"]):
            e = self.error(7, *words)
            self.assertIn(e["class"], CLASSES)

    def test_damage_stays_local_and_the_vault_becomes_read_only(self):
        """security.md §2.4: the Pixels under a bad record are refused, all others are served."""
        metadata = self.keys(rb"m/")
        value = bytearray(self.value(metadata[0]))
        value[40] ^= 1
        self.set_value(metadata[0], bytes(value))
        refused = [p for p in self.pixels if self.vault("get", p, rc=(0, 7)).rc == 7]
        self.assertEqual(1, len(refused))
        e = self.error(7, "get", refused[0])
        self.assertEqual("tampered", e["class"])
        for p in self.pixels:
            if p not in refused:
                self.assertEqual(self.tokens[p][-1], self.get(p))

    @cases(new_table="CREATE TABLE extra(a)", new_index="CREATE INDEX i2 ON kv(v)",
           trigger="CREATE TRIGGER t AFTER UPDATE ON kv BEGIN DELETE FROM kv; END", view="CREATE VIEW w AS SELECT * FROM kv",
           dropped="DROP TABLE kv", renamed="ALTER TABLE kv RENAME TO vk", column="ALTER TABLE kv ADD COLUMN x")
    def test_another_schema_is_refused(self, statement):
        self.sql(statement)
        self.damage()
        self.assertEqual(8, self.content_is_right())
        r = self.put(self.pixels[0], self.token(), "--no-check", rc=7)


class Files(Tamper):
    def replace(self, data):
        for name in ("-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.file + name)
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as f:
            f.truncate(0)
            f.write(data)

    def one_of(self, data, n, rcs=(0, 7)):
        """verify and a get on this file; nothing wrong may be accepted."""
        self.replace(data)
        r = self.vault("verify", rc=rcs)
        pixel = self.pixels[n % 4]
        g = self.vault("get", pixel, rc=(0, 7))
        if g.rc == 0:
            self.assertEqual(self.tokens[pixel][-1], g.out.decode(), say(g))
        return r.rc

    def test_cut_at_many_lengths(self):
        data = self.read(self.file)
        lengths = sorted({0, 1, 15, 16, 17, 99, 100, 511, 512, 4095, 4096, 4097, len(data) - 1, len(data) - 4096}
                         | set(range(0, len(data), 4096)) | {rng.randrange(len(data)) for _ in range(60)})
        for n in lengths:
            with self.subTest(length=n):
                self.assertEqual(7, self.one_of(data[:n], n), "a file cut to %d bytes" % n)
            self.content_is_right() if n % 7 == 0 else None
        self.replace(data)
        self.vault("verify")

    def test_appended_bytes_are_seen_or_harmless(self):
        data = self.read(self.file)
        for tail in (b"\0", b"\0" * 1024, os.urandom(1024), os.urandom(4096), data[:4096]):
            if self.one_of(data + tail, 0) == 0:
                self.assertEqual(0, self.content_is_right())

    def test_a_foreign_file_in_its_place(self):
        db = sqlite3.connect(self.path("foreign.db"))
        db.execute("CREATE TABLE t(a)")
        db.commit()
        db.close()
        for data in (b"", b"x", b"\0" * 4096, os.urandom(20000), b"#!/bin/sh\n" * 1000, self.read(self.path("foreign.db"))):
            self.replace(data)
            for words in (["list"], ["verify"], ["get", self.pixels[0]]):
                e = self.error(7, *words)
                self.assertIn(e["class"], CLASSES)
            self.put(self.pixels[0], self.token(), "--no-check", rc=7)
            self.assertEqual(data, self.read(self.file), "what is not ours is not touched")

    def test_something_that_is_no_file_in_its_place(self):
        os.remove(self.file)
        os.mkdir(self.file)
        self.vault("list", rc=(7, 13))
        os.rmdir(self.file)
        os.mkfifo(self.file, 0o600)
        self.vault("list", rc=7, timeout=30)

    def test_another_vault_with_the_same_key_in_its_place(self):
        mine = self.file
        self.file = self.env["PIXELVAULT_VAULT"] = self.path("vault2", "vault.db")
        state = self.state
        self.state = self.path("state2")
        self.configure()
        self.init()
        for p in self.pixels:
            self.put(p, self.token(), "--no-check")
        other = self.read(self.file)
        self.file = self.env["PIXELVAULT_VAULT"] = mine
        self.state = state
        self.configure()
        self.replace(other)
        e = self.error(7, "get", self.pixels[0])
        self.assertIn(e["class"], ("forked", "anchor-missing", "anchor", "tampered"))
        r = self.refuses(7, "list")

    def test_a_garbage_log_beside_the_file(self):
        for name, data in (("-wal", os.urandom(8192)), ("-wal", b"\x37\x7f\x06\x82" + bytes(28) + os.urandom(4120)), ("-journal", os.urandom(4096)),
                           ("-shm", os.urandom(32768))):
            self.write(self.file + name, data)
            self.vault("verify", rc=(0, 7))
            self.content_is_right()
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.file + name)

    def test_an_old_log_beside_the_file_is_no_way_back(self):
        """A writer killed before its checkpoint leaves a log; put beside a newer file it must not undo anything."""
        self.save("old")
        pixel = self.pixels[0]
        self.tokens[pixel].append(self.token())
        self.put(pixel, self.tokens[pixel][-1], "--no-check")
        for name in ("vault.db-wal", "vault.db-shm"):
            source = self.path("saved", "old", "vault", name)
            if os.path.exists(source):
                shutil.copy(source, self.home)
        self.vault("verify", rc=(0, 7))
        self.content_is_right()


class Bits(Tamper):
    """One bit in each 16th byte of the file."""

    def setUp(self):
        Case.setUp(self)
        self.tokens = {}
        for i in range(3):
            pixel = new_pixel()
            self.tokens[pixel] = [self.token()]
            self.put(pixel, self.tokens[pixel][0], "--no-check", "--label", "n=%d" % i)
        self.pixels = list(self.tokens)
        self.wanted = self.vault("list", "--json").out
        self.save("base")

    def worker(self, number, step, data, found):
        _, env, fill = self.twin("w%d" % number)
        fill()
        file = env["PIXELVAULT_VAULT"]

        def run(*words):
            done = subprocess.run([VAULT, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True)
            return done.returncode, done.stdout, done.stderr
        if run("verify")[0] != 0:
            found.append("the copy itself does not verify: %s" % run("verify")[2])
        for at in range(number * 16, len(data), 16 * step):
            bad = bytearray(data)
            place = at + (at // 16) % 16 if at + (at // 16) % 16 < len(data) else at
            bad[place] ^= 1 << (at // 16) % 8
            for name in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(file + name)
            with open(file, "r+b") as f:
                f.truncate(len(data))
                f.seek(0)
                f.write(bad)
            rc, out, err = run("verify")
            if rc not in (0, 6, 7):  # 6: the flip lay in the vault id, no slot opens
                found.append("byte %d: verify ended with %d: %s" % (place, rc, err))
            pixels = self.pixels if rc == 0 else [self.pixels[(at // 16) % 3]]
            for pixel in pixels:
                g, out, err = run("get", pixel)
                if g == 0 and out.decode() != self.tokens[pixel][0]:
                    found.append("byte %d: a wrong token was handed out" % place)
                if g not in (0, 7, rc):
                    found.append("byte %d: get ended with %d: %s" % (place, g, err))
                if rc == 0 and g != 0:
                    found.append("byte %d: verify is content, get is not: %s" % (place, err))
            if rc == 0:
                l, out, err = run("list", "--json")
                if l != 0 or out != self.wanted:
                    found.append("byte %d: the list differs: %d %r" % (place, l, out))
            found.count[rc != 0] += 1

    def test_no_wrong_content_is_ever_accepted(self):
        class Found(list):
            count = [0, 0]
        found, data = Found(), self.read(self.file)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self.worker, n, 2, data, found) for n in range(2)]:
                done.result()
        harness.notes.append("%d bit flips: %d refused, %d without effect" % (sum(found.count), found.count[1], found.count[0]))
        self.assertEqual([], list(found)[:10], "%d finds" % len(found))
        self.assertGreater(found.count[1], 100)


if __name__ == "__main__":
    unittest.main()
