"""Vaults that earlier builds wrote, kept in tests/vectors: each opens and goes on, and each single fault in one is found,
with the class it always had."""

import json
import os
import shutil
import sys
import unittest

from harness import Case, new_pixel

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "..", "vectors")
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import make_vectors  # noqa: E402
import reader  # noqa: E402

NAMES = sorted(os.listdir(VECTORS))


class Vectors(Case):
    uses_emulator = False
    makes_vault = False

    def take(self, name):
        """The kept vault and its key in this test's folder; {pixel: {version: token}}."""
        self.folder = os.path.join(VECTORS, name)
        for made in ("vault", "state"):
            shutil.rmtree(self.path(made), ignore_errors=True)
        self.write(self.key, self.read(os.path.join(self.folder, "key")))
        self.kept = self.write(self.path("kept"), self.read(os.path.join(self.folder, "vault.db")))
        with open(os.path.join(self.folder, "content.json"), encoding="utf-8") as f:
            return json.load(f)

    def holds(self, content):
        self.vault("verify")
        self.assertEqual(sorted(content), sorted(p["pixel"] for p in self.json("list")["pixels"]))
        for pixel, versions in content.items():
            newest = max(versions, key=int)
            self.assertEqual(versions[newest], self.get(pixel))
            if newest != "1":
                self.assertEqual(versions[str(int(newest) - 1)], self.get(pixel, "--previous"))

    def test_there_is_one_of_each_format(self):
        self.assertIn("format-%d" % reader.FORMAT, NAMES)

    def test_each_is_restored_and_goes_on(self):
        for name in NAMES:
            with self.subTest(name):
                content = self.take(name)
                before = self.read(self.kept)
                self.vault("verify", self.kept)
                self.vault("restore", self.kept, "--yes")
                self.assertEqual(before, self.read(self.kept), "it was only read")
                self.holds(content)
                pixel, token = sorted(content)[0], self.token()
                self.put(pixel, token, "--no-check")
                self.put(new_pixel(), self.token(), "--no-check")
                self.vault("rotate-key")
                self.vault("verify")
                self.assertEqual(token, self.get(pixel))

    def test_each_is_taken_as_it_lies(self):
        for name in NAMES:
            with self.subTest(name):
                content = self.take(name)
                os.mkdir(self.path("vault"), 0o700)
                self.write(self.file, self.read(self.kept))
                self.assertEqual("anchor-missing", self.error(7, "list")["class"])
                self.vault("adopt", "--first-use")
                self.holds(content)

    def test_the_independent_reader_agrees(self):
        for name in NAMES:
            with self.subTest(name):
                content = self.take(name)
                vault = reader.open_vault(self.kept, self.key)
                for pixel, versions in content.items():
                    c = vault.credential(pixel)
                    held = {str(v["number"]): vault.token(c, v) for v in c["versions"] if reader.has_token(v)}
                    self.assertEqual({n: versions[n] for n in held}, held)
                    self.assertIn(max(versions, key=int), held)

    def test_each_single_fault_is_found_with_its_class(self):
        for name in NAMES:
            with self.subTest(name):
                self.take(name)
                with open(os.path.join(self.folder, "faults.json"), encoding="utf-8") as f:
                    faults = json.load(f)
                self.assertGreaterEqual(len(faults), 150)
                wrong = []
                for fault in faults:
                    bad = self.write(self.path("bad"), self.read(self.kept))
                    make_vectors.apply(bad, fault)
                    said = make_vectors.verify(bad, self.key, self.dir)
                    if said != (fault["exit"], fault["class"]):
                        wrong.append((fault, said))
                    self.assertTrue(fault["exit"] or make_vectors.is_disposable(fault["row"]), fault)
                self.assertEqual([], wrong)


if __name__ == "__main__":
    unittest.main()
