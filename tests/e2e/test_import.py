"""Many tokens come in from a file, all or none; the current ones go out into an encrypted file and back in."""

import json
import os
import re
import subprocess
import sys
import time
import unittest

import harness
from harness import BUILD, Case, IS_SANITIZED, ROOT, STEPPER, VAULT, cases, direct_only, needs, new_pixel, spread, traced

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import reader  # noqa: E402

MEMSCAN = os.path.join(BUILD, "tests", "memscan")
PASSPHRASE = "vier rostige Gabeln im Fluss"


class Import(Case):
    uses_emulator = False

    def source(self, text, name="tokens.csv"):
        return self.write(self.path(name), text)

    def pairs(self, count):
        return [(new_pixel(), self.token()) for _ in range(count)]

    def csv(self, pairs, head="Pixel ID,Access Token\n", name="tokens.csv"):
        return self.source(head + "".join("%s,%s\n" % p for p in pairs), name)

    def stored(self):
        return [p["pixel"] for p in self.json("list")["pixels"]]

    def holds(self, pairs):
        self.assertEqual([t for _, t in pairs], [self.get(p) for p, _ in pairs])

    def wrong(self, rc, path, *options, **more):
        """Nothing is stored; the object, whose problems never show what stands in the file."""
        before = self.files()[os.path.relpath(self.file, self.dir)]
        told = self.vault("import", path, *options, rc=rc, **more)
        doc = self.json("import", path, *options, rc=rc, **more)
        self.assertEqual((False, rc, rc), (doc["stored"], doc["exit"], doc["error"]["exit"]))
        if not harness.VIA_AGENT:
            self.assertEqual(before, self.files()[os.path.relpath(self.file, self.dir)])
        self.assertRegex(told.err, r"(?m)^vault: \S")
        self.assertRegex(told.err, r"(?m)^  hint: \S")
        self.assertEqual(len(doc["problems"]), len(re.findall(r"(?m)^vault: (?:row|line) \d+", told.err)), told.err)
        return doc


class Files(Import):
    def test_csv_stores_all_in_one_commit(self):
        pairs = self.pairs(20)
        before = self.json("verify")["generation"]
        doc = self.json("import", self.csv(pairs))
        self.assertEqual(before + 1, self.json("verify")["generation"])
        self.holds(pairs[:3])
        self.assertEqual({p for p, _ in pairs}, set(self.stored()))
        self.assertEqual({"current"}, {r["stage"] for r in doc["rows"]})
        self.assertEqual(["pixel", "token"], [c["field"] for c in doc["columns"]])
        self.assertEqual("unchecked", self.status(pairs[0][0])["verdict"])
        self.vault("audit", "verify")

    def test_env_with_names_and_a_map(self):
        (a, x), (b, y) = self.pairs(2)
        path = self.source("# tokens\nexport TIKTOK_TOKEN_%s=\"%s\"\nOTHER='%s' # by map\nPORT=80\n" % (a, x, y), "x.env")
        self.vault("import", path, "--map", "OTHER=" + b)
        self.holds([(a, x), (b, y)])

    def test_json_map_from_standard_input(self):
        pairs = self.pairs(2)
        r = self.vault("import", "-", stdin=json.dumps(dict(pairs)))
        self.holds(pairs)
        self.assertNotIn("still holds", r.err)

    def test_what_comes_along_and_foreign_names(self):
        (pixel, token), = self.pairs(1)
        self.vault("import", self.source("Kennung;Geheimnis;Ende;Marke;Labels\r\n%s;\"%s\";2031-02-03;Caf\u00e9;\"a=1; b=2\"\r\n" % (pixel, token)),
                   "--map", "Kennung=pixel", "--map", "2=token", "--map", "Ende=expires", "--map", "Marke=label.brand")
        s = self.status(pixel)
        self.assertEqual({"a": "1", "b": "2", "brand": "Caf\u00e9"}, s["labels"])
        self.assertEqual("2031-02-03T00:00:00Z", s["current"]["expires_at"])

    def test_a_dry_run_stores_nothing_and_says_the_same(self):
        pairs = self.pairs(3)
        path = self.csv(pairs)
        dry = self.json("import", path, "--dry-run")
        self.assertEqual([], self.stored())
        wet = self.json("import", path)
        self.assertEqual(dry["rows"], wet["rows"])
        self.assertEqual((True, False, False, True), (dry["dry_run"], dry["stored"], wet["dry_run"], wet["stored"]))

    def test_what_is_stored_already_is_left_and_another_token_waits(self):
        (a, x), (b, y), (c, z) = self.pairs(3)
        self.put(a, x, "--no-check")
        self.put(b, self.token(), "--no-check")
        doc = self.json("import", self.csv([(a, x), (b, y), (c, z)]))
        self.assertEqual([("current", 1, True), ("pending", 2, False), ("current", 1, False)],
                         [(r["stage"], r["version"], r["unchanged"]) for r in doc["rows"]])
        self.assertNotEqual(y, self.get(b))
        doc = self.json("import", self.csv([(b, y)]), "--no-check")
        self.assertEqual("current", doc["rows"][0]["stage"])
        self.assertEqual(y, self.get(b))

    def test_what_the_vault_holds_in_the_way_is_8_for_each_row(self):
        (a, x), (b, y), (c, z) = self.pairs(3)
        self.put(a, x, "--no-check")
        self.vault("rm", a)
        self.put(b, y, "--no-check")
        self.put(b, self.token(), "--no-check")
        doc = self.wrong(8, self.csv([(a, x), (c, z), (b, y)]))
        self.assertEqual([2, 4], [p["row"] for p in doc["problems"]])
        self.refuses(3, "get", c)

    def test_shred(self):
        pairs = self.pairs(2)
        path = self.csv(pairs)
        other = self.path("other-name")
        os.link(path, other)
        r = self.vault("import", path, "--shred", rc=12)
        self.assertIn("delete them all by hand", r.err)
        self.assertTrue(os.path.exists(path))
        self.holds(pairs)
        os.unlink(other)
        r = self.vault("import", path, "--shred")
        self.assertFalse(os.path.exists(path))
        self.assertRegex(r.err, "SSD")
        self.refuses(2, "import", "-", "--shred")
        self.refuses(2, "import", path, "--shred", "--dry-run")

    def test_what_waits_and_what_was_asked_for_wrongly_is_told(self):
        (a, x), (b, y) = self.pairs(2)
        self.put(a, self.token(), "--no-check")
        path = self.csv([(a, x), (b, y)])
        dry = self.vault("import", path, "--dry-run").err
        r = self.vault("import", path)
        self.assertRegex(r.err, r"current now: 1; that wait: 1")
        self.assertNotEqual(x, self.get(a))
        self.assertNotIn("imported:", dry)
        r = self.vault("import", path, "-q")
        self.assertEqual("", r.err)

    def test_a_strange_first_row_and_a_long_name(self):
        (a, x), (b, y) = self.pairs(2)
        r = self.vault("import", self.csv([(a, x)], head="what it is,what it says\n"))
        self.assertIn("first row is taken for a header", r.err)
        self.assertNotIn("what it says", r.err)
        long = "n" * 200
        doc = self.json("import", self.source("Pixel,Token,%s,\n%s,%s,,\n" % (long, b, y)), "--dry-run")
        self.assertEqual(["Pixel", "Token", "(long name)", None], [c["name"] for c in doc["columns"]])
        self.assertEqual([None, None], [c["field"] for c in doc["columns"]][2:])

    def test_the_same_token_under_another_pixel_is_told(self):
        (a, x), (b, _) = self.pairs(2)
        self.put(a, x, "--no-check")
        path = self.csv([(b, x)])
        warning, = self.json("import", path, "--dry-run", "--allow-shared")["warnings"]
        self.assertEqual((2, "token"), (warning["row"], warning["field"]))
        self.assertIn(a, self.vault("import", path, "--allow-shared").err)

    def test_lines_of_env_files_are_named(self):
        (a, x), = self.pairs(1)
        path = self.source("TOKEN_%s=%s\nTOKEN_%s=no token...\n" % (a, x, new_pixel()), "x.env")
        doc = self.wrong(15, path)
        self.assertEqual([2], [p["row"] for p in doc["problems"]])
        self.assertRegex(self.vault("import", path, rc=15).err, r"(?m)^vault: line 2")

    def test_a_link_is_not_shredded_and_columns_are_mapped_so_often(self):
        path = self.csv(self.pairs(1))
        link = self.path("link.csv")
        os.symlink(path, link)
        self.error(2, "import", link, "--shred")
        self.assertEqual([], self.stored())
        self.error(2, "import", path, *(w for n in range(65) for w in ("--map", "%d=none" % (n + 3))))
        more = self.source("Pixel,Token,A,B\n%s,%s,x,y\n" % self.pairs(1)[0], "more.csv")
        self.assertIn("2 columns", self.vault("import", more, "--shred", rc=2).err)
        self.assertTrue(os.path.exists(more))

    def test_a_terminal_is_no_file(self):
        t = self.terminal("import", "-")
        self.assertEqual(2, t.wait())

    def test_a_terminal_is_asked_about_guesses_and_about_the_source(self):
        pairs = self.pairs(2)
        path = self.csv(pairs, head="")
        t = self.terminal("import", path)
        t.expect("column 1: pixel")
        t.expect("Type yes: ")
        t.send("no\n")
        self.assertEqual(1, t.wait())
        self.assertEqual([], self.stored())
        t = self.terminal("import", path)
        t.expect("tokens be stored")
        t.send("yes\n")
        t.expect("Overwrite and delete")
        t.send("yes\n")
        self.assertEqual(0, t.wait())
        self.assertFalse(os.path.exists(path))
        self.holds(pairs)


@direct_only("what is wrong with a file is found before the vault is looked at")
@spread
class Damage(Import):
    """Each row is (line behind a good one, column of the fault, words)."""

    GOOD = "D0U2T02IU8J6B9GC2B90,%s\n"

    @cases(scientific_code=("6.91235E+18,{token}", 1, "rounded"),
           scientific_token=("{pixel},1.23457E+39", 2, "rounded"),
           numeric_id=("6912345678901234567,{token}", 1, "numeric Pixel ID"),
           swapped=("{token},{pixel}", 1, "swapped"),
           cut=("{pixel},0123456789abcdef...", 2, "cut off"),
           half_a_smart_quote=("{pixel},\u201c{token}", 2, "typographic"),
           lower_case=("{lower},{token}", 1, "lower case"),
           refresh_token=("{pixel},rft.0123456789abcdef", 2, "refresh"),
           nothing=("{pixel},", 2, "empty"),
           two_values=("{pixel},{token} {token}", 2, "blank"),
           surplus_cell=("{pixel},{token},x", 3, "more cells"),
           stray_quote=("{pixel},x\"y", 2, "quote"),
           same_token=("{pixel},{good}", 2, "same token as in row 2"),
           same_pixel=("D0U2T02IU8J6B9GC2B90,{token}", 1, "same Pixel as in row 2"))
    def test_is_named_with_row_and_column(self, line, column, words):
        pixel, token, good = new_pixel(), self.token(), self.token()
        text = line.format(pixel=pixel, token=token, good=good, lower=pixel.lower())
        doc = self.wrong(15, self.source("Pixel,Token\n" + self.GOOD % good + text + "\n"))
        problem, = doc["problems"]
        self.assertEqual((3, column), (problem["row"], problem["column"]), problem)
        self.assertRegex(problem["what"], words)
        self.assertEqual([], self.stored())

    def test_leading_apostrophes_and_paired_quotes_are_taken_away(self):
        (a, x), (b, y) = self.pairs(2)
        r = self.vault("import", self.source("Pixel,Token\n'%s,'%s\n\u201c%s\u201d,\u201c%s\u201d\n" % (a, x, b, y)))
        self.assertRegex(r.err, r"row 2, column 2 \(token\).*apostrophe")
        self.holds([(a, x), (b, y)])

    def test_a_shared_token_is_taken_when_that_is_said(self):
        (a, x), (b, _) = self.pairs(2)
        self.vault("import", self.csv([(a, x), (b, x)]), "--allow-shared")
        self.holds([(a, x), (b, x)])

    @cases(utf16=b"\xff\xfeP\0i\0", workbook=b"PK\x03\x04xx", nothing=b"", no_columns=b"a,b\nc,d\n", header_only=b"Pixel,Token\n",
           two_tokens=b"Pixel,Token,Access Token\nD0U2T02IU8J6B9GC2B90,aaaaaaaaaaaa,bbbbbbbbbbbb\n")
    def test_another_kind_of_file_is_2(self, data):
        self.error(2, "import", self.source(data))
        self.refuses(2, "import", self.path("tokens.csv"))

    def test_files_that_cannot_be_read(self):
        self.error(2, "import", self.path("nowhere"))
        self.error(2, "import", self.dir)
        self.error(2, "import", self.source(b"x" * (4 << 20) + b"x" * 200000))
        self.error(15, "import", self.source('{"a":'))
        self.error(2, "import", self.csv(self.pairs(1)), "--map", "Nothing=token")
        self.error(2, "import", self.csv(self.pairs(1)), "--map", "Pixel ID=secret")


@direct_only("it takes a while, and Files goes the same way")
class Many(Import):
    def test_ten_thousand_rows_are_one_commit_and_each_wrong_one_is_named(self):
        pairs = self.pairs(10000)
        bad = list(pairs)
        for i in (0, 4999, 9999):
            bad[i] = (bad[i][0].lower(), bad[i][1])
        doc = self.json("import", self.csv(bad, name="bad.csv"), rc=15)
        self.assertEqual([2, 5001, 10001], [p["row"] for p in doc["problems"]])
        self.assertEqual([], self.stored())
        before = self.json("verify")["generation"]
        r = self.vault("import", self.csv(pairs))
        harness.notes.append("import of 10,000 rows: %.2f s" % r.took)
        done = self.json("verify")
        self.assertEqual((before + 1, 10000), (done["generation"], done["pixels"]))
        self.holds([pairs[0], pairs[-1]])
        self.vault("audit", "verify")


@direct_only("the program that is killed is the one that has the vault")
@unittest.skipUnless(os.path.exists(STEPPER), "no " + STEPPER)
class Killed(Import):
    def test_killed_anywhere_all_rows_are_there_or_none(self):
        pairs = self.pairs(8)
        path = self.csv(pairs)
        self.save("base")
        folder, env, fresh = self.twin("k")

        def step(n):
            done = subprocess.run([STEPPER, os.path.join(folder, "count"), str(n), VAULT, "import", path, "--json"],
                                  env=traced(env), capture_output=True, timeout=120)
            with open(os.path.join(folder, "count")) as f:
                return done.returncode, int(f.read())
        fresh()
        rc, stops = step(0)
        self.assertEqual(0, rc)
        # Nothing of interest happens while libraries load.
        points = sorted({stops // 3, stops - 1, *harness.rng.sample(range(stops // 3, stops), 14)})
        seen = set()
        for n in points:
            fresh()
            rc, _ = step(n)
            self.vault("verify", env=env)
            count = len(self.json("list", env=env)["pixels"])
            self.assertIn(count, (0, 8), "killed at %d of %d" % (n, stops))
            self.assertTrue(rc == 137 or count == 8)
            self.vault("audit", "verify", env=env)
            seen.add(count)
        self.assertEqual({0, 8}, seen)


class Checked(Case):
    def csv(self, pairs):
        return self.write(self.path("tokens.csv"), "Pixel,Token\n" + "".join("%s,%s\n" % p for p in pairs))

    def test_all_good_are_current_with_their_verdict(self):
        pairs = [self.pair() for _ in range(6)]
        self.put(pairs[0][0], self.token(), "--no-check")
        doc = self.json("import", self.csv(pairs), "--check")
        self.assertEqual({"current"}, {r["stage"] for r in doc["rows"]})
        self.assertEqual({"unproven"}, {self.status(p)["verdict"] for p, _ in pairs[:2]})
        self.assertEqual(6, self.emu.requests())

    def test_one_that_is_refused_is_named_and_nothing_is_stored(self):
        pairs = [self.pair() for _ in range(4)]
        self.emu.revoke(pairs[2][1])
        doc = self.json("import", self.csv(pairs), "--check", rc=10)
        self.assertEqual([4], [p["row"] for p in doc["problems"]])
        self.assertEqual([], self.json("list")["pixels"])
        r = self.refuses(10, "import", self.csv(pairs), "--check", says="row 4")
        self.assertNotIn("row 3", r.err)

    def test_no_verdict_is_9_and_nothing_is_stored(self):
        pairs = [self.pair() for _ in range(3)]
        self.emu.fault("code-50000")
        self.json("import", self.csv(pairs), "--check", rc=9)
        self.assertEqual([], self.json("list")["pixels"])

    def test_a_terminal_sees_how_far_it_is(self):
        pairs = [self.pair() for _ in range(3)]
        self.emu.knob("delay-ms", 150)
        t = self.terminal("import", self.csv(pairs), "--check")
        t.expect("asking TikTok about 3 tokens")
        t.expect(r"\[#{6}\.{14}\] 1 of 3 ")
        t.expect(r"\[#{20}\] 3 of 3 ")
        t.expect("Overwrite and delete")
        self.assertEqual(3, len(self.json("list")["pixels"]), "stored before the file is asked about")
        t.send("no\n")
        self.assertEqual(0, t.wait(), t.text())

    def test_a_wrong_row_costs_no_call(self):
        pairs = [self.pair() for _ in range(2)]
        self.json("import", self.csv(pairs + [pairs[0]]), "--check", rc=15)
        self.assertEqual(0, self.emu.requests())


@direct_only("an agent hands out no exports: the vault's own key is needed")
class Export(Import):
    def second(self):
        """Another vault: the options that name it."""
        env = {"PIXELVAULT_VAULT": self.path("two", "vault.db"), "PIXELVAULT_STATE": self.path("state2"), "PIXELVAULT_KEY_FILE": self.path("key2")}
        self.vault("init", "--key-file", self.path("key2"), "--no-recovery", env=env)
        return env

    def root_key(self, env=None):
        return reader.open_vault(env["PIXELVAULT_VAULT"] if env else self.file, env["PIXELVAULT_KEY_FILE"] if env else self.key).root_key

    def fill(self):
        pairs = self.pairs(3)
        for i, (p, t) in enumerate(pairs):
            self.put(p, t, "--no-check", "--label", "n=%d" % i, "--label", "all=x", "--expires", "2031-02-03T04:05:06Z", "--test-code", "T%d" % i)
        return pairs

    def test_by_passphrase_and_back_and_as_the_document_says(self):
        pairs = self.fill()
        other = self.second()
        out = self.path("tokens.pxe")
        phrase = self.write(self.path("phrase"), PASSPHRASE + "\n")
        self.assertEqual(3, self.json("export", "--to-file", out, "--passphrase-file", phrase)["written"])
        self.assertEqual(0o600, os.stat(out).st_mode & 0o777)
        data = self.read(out)
        for p, t in pairs:
            self.assertNotIn(p.encode(), data)
            self.assertNotIn(t.encode(), data)
        try:
            inside = json.loads(reader.export_open(data, passphrase=PASSPHRASE.encode()))
        except (OSError, AttributeError):
            inside = None  # no libsodium for Python to load
        if inside:
            self.assertEqual(sorted(pairs), sorted((x["pixel"], x["token"]) for x in inside["pixels"]))
        self.vault("import", out, "--passphrase-file", phrase, env=other)
        for i, (p, t) in enumerate(pairs):
            self.assertEqual(t, self.get(p, env=other))
            s = self.json("status", p, env=other)["pixels"][0]
            self.assertEqual(({"n": str(i), "all": "x"}, "2031-02-03T04:05:06Z"), (s["labels"], s["current"]["expires_at"]))
        wrong = self.write(self.path("wrong"), PASSPHRASE + "!\n")
        self.error(6, "import", out, "--passphrase-file", wrong, env=other)
        self.error(4, "import", out, env=other)

    def test_to_another_vaults_key_which_alone_opens_it(self):
        pairs = self.fill()
        other = self.second()
        key = self.vault("export", "--show-key", env=other).out.decode().strip()
        self.assertEqual(reader.export_key_text(reader.export_public(self.root_key(other))), key)
        self.assertEqual(key, self.json("export", "--show-key", env=other)["public_key"])
        out = self.path("tokens.pxe")
        self.vault("export", "--to-file", out, "--to", key, "-l", "n=1")
        data = self.read(out)
        inside = json.loads(reader.export_open(data, root_key=self.root_key(other)))
        self.assertEqual([pairs[1]], [(x["pixel"], x["token"]) for x in inside["pixels"]])
        self.error(6, "import", out)
        self.vault("import", out, env=other)
        self.assertEqual(pairs[1][1], self.get(pairs[1][0], env=other))
        made = reader.export_seal(json.dumps({pairs[0][0]: pairs[0][1]}).encode(), reader.blake2b(
            64, b"pxexpt01", reader.x25519(b"\1" * 32, reader.BASE_POINT), reader.export_public(self.root_key(other)),
            key=reader.x25519(b"\1" * 32, reader.export_public(self.root_key(other)))),
            b"pxexprt\n" + bytes([1, 0, 0, 0, 2, 0, 0, 0]) + bytes(8) + reader.x25519(b"\1" * 32, reader.BASE_POINT) +
            reader.export_public(self.root_key(other)) + b"n" * 24)
        self.vault("import", self.write(self.path("made"), made), env=other)
        self.assertEqual(pairs[0][1], self.get(pairs[0][0], env=other))

    def test_a_file_that_was_changed_or_cut_is_damaged(self):
        self.fill()
        key = self.vault("export", "--show-key").out.decode().strip()
        out = self.path("x")
        self.vault("export", "--to-file", out, "--to", key)
        data = self.read(out)
        for at in (8, 90, 112, 125, 200, len(data) - 1):
            bad = bytearray(data)
            bad[at] ^= 1
            self.error(7, "import", self.write(self.path("bad"), bytes(bad)))
        for cut in (100, 152, len(data) - 1):
            self.error(7, "import", self.write(self.path("bad"), data[:cut]))

    def test_nothing_is_overwritten_and_no_half_file_is_left(self):
        self.fill()
        key = self.vault("export", "--show-key").out.decode().strip()
        out = self.write(self.path("there"), "precious")
        self.error(8, "export", "--to-file", out, "--to", key)
        self.assertEqual(b"precious", self.read(out))
        self.vault("export", "--to-file", out, "--to", key, "--force")
        self.assertEqual(b"pxexprt\n", self.read(out)[:8])
        os.symlink(out, self.path("link"))
        self.error(8, "export", "--to-file", self.path("link"), "--to", key, "--force")
        self.error(17, "export", "--to-file", self.path("no", "folder"), "--to", key)
        new = self.path("new")
        self.error(2, "export", "--to-file", new, "--to", key[:-1] + ("0" if key[-1] != "0" else "1"))
        self.error(2, "export", "--to-file", new, "--passphrase-file", self.write(self.path("short"), "kurz\n"))
        self.error(3, "export", "--to-file", new, "--to", key, new_pixel())
        self.error(2, "export")
        self.error(4, "export", "--to-file", new)
        self.assertFalse(os.path.exists(new))

    def test_each_token_is_a_line_in_the_audit_log(self):
        pairs = self.fill()
        key = self.vault("export", "--show-key").out.decode().strip()
        self.vault("export", "--to-file", self.path("x"), "--to", key)
        for pixel, _ in pairs:
            lines = [json.loads(l) for l in self.vault("audit", "show", pixel, "--json").out.splitlines()]
            self.assertIn("export", [l["verb"] for l in lines])


@direct_only("the agent's memory has tests of its own")
class Hygiene(Case):
    @needs("strace")
    def test_no_write_holds_a_token(self):
        pixel, token = new_pixel(), self.token()
        path = self.write(self.path("t.csv"), "Pixel,Token\n%s,%s\n" % (pixel, token))
        trace = self.path("trace")
        for words in (["import", path], ["export", "--to-file", self.path("x"), "--passphrase-file", self.write(self.path("p"), PASSPHRASE)]):
            p = subprocess.run(["strace", "-f", "-s", "8192", "-o", trace, "-e", "trace=write,pwrite64,writev,sendto,sendmsg,execve", VAULT, *words],
                               capture_output=True, env=traced(self.env), timeout=90)
            text = self.read(trace).decode("latin-1")
            if not text:
                self.skipTest("strace may not trace here")
            self.assertEqual(0, p.returncode, p.stderr)
            self.assertNotIn(token, text)
            self.assertNotIn(PASSPHRASE, text)

    @unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root may look into another program's memory")
    @unittest.skipIf(IS_SANITIZED, "the sanitizers keep copies of their own")
    def test_while_it_asks_tokens_lie_in_locked_memory_only(self):
        pairs = [self.pair() for _ in range(5)]
        doc = [{"pixel": p, "token": t, "labels": {"a": "b"}} for p, t in pairs]
        path = self.write(self.path("t.json"), json.dumps(doc))
        self.configure(tiktok={"timeout": "60s"})
        self.emu.fault("silence")
        p = self.start("import", path, "--check")
        end = time.monotonic() + 30
        while self.emu.requests() < 1:
            self.assertTrue(p.poll() is None and time.monotonic() < end)
            time.sleep(0.02)
        needles = "".join("t%d-%d %s\n" % (n, at, t[at:at + 16].encode().hex()) for n, (_, t) in enumerate(pairs) for at in (0, 12, 24))
        r = subprocess.run([MEMSCAN, str(p.pid)], input=needles.encode(), capture_output=True)
        self.assertEqual(0, r.returncode, r.stderr)
        lines = r.stdout.decode().splitlines()
        self.assertRegex(lines[-1], r"^searched \d{6,} in \d+$")
        self.assertTrue(lines[:-1], "the tokens are somewhere")
        self.assertEqual([], [l for l in lines[:-1] if l.split(" ", 2)[2] != "arena"])


if __name__ == "__main__":
    unittest.main()
