"""vault audit: what stands in the log, what is noticed, and going on after a loss."""

import glob
import json
import os
import unittest

import harness
from harness import Case, new_pixel, say


class Audit(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.secret = new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--no-check")

    @property
    def log(self):
        found = glob.glob(os.path.join(self.state, "*.audit.log"))
        self.assertEqual(1, len(found))
        return found[0]

    def lines(self):
        return self.read(self.log).splitlines(True)

    def rewrite(self, lines):
        with open(self.log, "r+b") as f:
            f.truncate(0)
            f.write(b"".join(lines))

    def entries(self, *words):
        out = self.vault("audit", "show", "--json", *words).out.decode()
        return [json.loads(line) for line in out.splitlines()]

    def assertDamaged(self, *words):
        r = self.vault(*words, "--json", rc=7)
        self.assertEqual("audit", json.loads(r.out)["error"]["class"], say(r))
        self.assertIn("accept-loss", json.loads(r.out)["error"]["hint"])

    def test_shows_who_did_what_to_which_pixel(self):
        other = new_pixel()
        self.put(other, self.token(), "--no-check")
        self.vault("get", self.pixel, "--as", "shop@eu")
        self.vault("label", self.pixel, "a=b")
        self.vault("rm", other)
        entries = self.entries("-n", "0")
        self.assertEqual(list(range(1, len(entries) + 1)), [e["seq"] for e in entries])
        self.assertTrue(all(e["proven"] and e["uid"] == os.getuid() for e in entries))
        self.assertEqual("init", entries[0]["verb"])
        self.assertEqual([("get", self.pixel, 1, "shop@eu", "ok")],
                         [(e["verb"], e["pixel"], e["version"], e["as"], e["result"]) for e in entries if e["verb"] == "get"])
        self.assertEqual(["intent", "done"], [e["result"] for e in entries if e["verb"] == "label"])
        self.assertEqual([other, other], [e["pixel"] for e in entries if e["verb"] == "remove"])
        self.assertEqual({self.pixel}, {e["pixel"] for e in self.entries("-n", "0", self.pixel)})
        self.assertEqual(entries[-3:], self.entries("-n", "3"))

    def test_the_table_names_pixels_and_no_token(self):
        self.vault("get", self.pixel)
        out = self.vault("audit", "show").out.decode()
        self.assertRegex(out, r"(?m)^SEQ +AT +UID +PID +AS +VERB +PIXEL +VERSION +RESULT")
        self.assertRegex(out, r"(?m) get +%s +v1 +ok" % self.pixel)
        self.assertNotIn(self.secret, out)
        for raw in self.lines():
            self.assertNotIn(self.pixel.encode(), raw)
            self.assertNotIn(self.secret.encode(), raw)

    def test_a_run_and_a_probe_are_in_it(self):
        self.vault("run", "--env", "T=" + self.pixel, "--", "true")
        self.assertEqual(["run"], [e["verb"] for e in self.entries("-n", "1")])

    def test_verify_is_content_with_a_whole_log(self):
        self.assertRegex(self.vault("audit", "verify").out.decode(), r"^proven: \d+ entries in 1 segment, up to entry \d+\n$")
        doc = self.json("audit", "verify")
        self.assertEqual((0, 0, 0, 0), (doc["faults"], doc["torn_bytes"], doc["unexplained"], doc["accepted_faults"]))

    def test_verify_names_the_first_bad_entry(self):
        self.vault("get", self.pixel)
        whole = self.lines()
        edited = {"changed": whole[:2] + [whole[2].replace(b'"uid":', b'"uid":1')] + whole[3:],
                  "dropped": whole[:2] + whole[3:], "swapped": whole[:2] + [whole[3], whole[2]] + whole[4:]}
        for how, lines in edited.items():
            with self.subTest(how):
                self.rewrite(lines)
                r = self.vault("audit", "verify", rc=7)
                self.assertRegex(r.err, r"(?m)^vault: entr(y|ies) 3 ")
        self.rewrite(whole)
        self.vault("audit", "verify")

    def test_a_cut_or_missing_log_stops_reading_and_changing_until_it_is_accepted(self):
        whole = self.lines()
        for how in ("cut", "missing"):
            with self.subTest(how):
                if how == "cut":
                    self.rewrite(whole[:1])  # the end that no anchor knows yet may be missing: a crash loses as much
                else:
                    os.remove(self.log)
                self.assertDamaged("get", self.pixel)
                self.assertDamaged("label", self.pixel, "a=b")
                self.vault("audit", "show")
                self.vault("audit", "verify", rc=7)
                self.vault("audit", "accept-loss")
                self.assertEqual(self.secret, self.get(self.pixel))
                self.put(self.pixel, self.token(), "--no-check")
                self.secret = self.get(self.pixel)
                self.vault("audit", "verify")
                self.assertIn("accept-loss", [e["verb"] for e in self.entries()])
        self.vault("audit", "accept-loss", rc=8)  # nothing is lost now

    def test_a_changed_entry_is_accepted_and_then_sealed(self):
        self.vault("get", self.pixel, "--as", "checkout")
        self.rewrite([line.replace(b"checkout", b"chickout") for line in self.lines()])
        self.vault("audit", "verify", rc=7)
        self.vault("audit", "accept-loss")
        r = self.vault("audit", "verify")
        self.assertEqual("", r.err)
        self.rewrite([line.replace(b"chickout", b"checkout") for line in self.lines()])
        self.vault("audit", "verify", rc=7)

    def test_bytes_of_a_torn_write_are_moved_aside(self):
        with open(self.log, "ab") as f:
            f.write(b'{"seq":99')
        self.vault("audit", "verify")
        self.vault("get", self.pixel)
        self.assertEqual("torn", self.entries("-n", "2")[0]["verb"])
        self.vault("audit", "verify")
        aside = glob.glob(self.log + ".torn-*")
        self.assertEqual([b'{"seq":99'], [self.read(a) for a in aside])

    def test_another_vault_at_the_same_place_begins_a_log_of_its_own(self):
        first = self.lines()
        os.remove(self.file)
        self.vault("init", "--key-file", self.key, "--no-recovery")
        self.put(self.pixel, self.secret, "--no-check")
        self.assertEqual("init", self.entries("-n", "0")[0]["verb"])
        kept = glob.glob(self.log + ".before-*")
        self.assertEqual([b"".join(first)], [self.read(k) for k in kept])
        self.vault("audit", "verify")

    def test_adopting_is_in_it(self):
        for name in os.listdir(self.state):
            os.remove(os.path.join(self.state, name))
        self.vault("adopt", "--first-use")
        self.assertEqual(["adopt"], [e["verb"] for e in self.entries()])
        self.assertEqual(self.secret, self.get(self.pixel))
        self.vault("audit", "verify")

    def test_wrong_words_are_usage(self):
        for words in (["look"], ["verify", self.pixel], ["accept-loss", "-n", "3"]):
            self.vault("audit", *words, rc=2)
        self.vault("audit", rc=2)
        self.vault("audit", "show", "not-a-pixel", rc=15)


if __name__ == "__main__":
    unittest.main()
