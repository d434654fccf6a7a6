"""The format as documented, and not as one program happens to write it: a reader written from docs/format.md reads what
the program stored, and agrees with it on every token; and the known answers of the ciphers it stands on hold."""

import os
import shutil
import sys
import time

from harness import Case, ROOT, new_pixel, notes, rng

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import reader  # noqa: E402


class KnownAnswers(Case):
    uses_emulator = False
    makes_vault = False

    def test_chacha20_block_of_rfc_8439(self):
        block = reader.chacha20_block(bytes(range(32)), 1, bytes.fromhex("000000090000004a00000000"))
        self.assertEqual("10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
                         "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e", block.hex())

    def test_poly1305_of_rfc_8439(self):
        key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
        self.assertEqual("a8061dc1305136c6c22b8baf0c0127a9",
                         reader.poly1305(key, b"Cryptographic Forum Research Group").hex())

    def test_hchacha20_of_the_xchacha_draft(self):
        out = reader.hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))
        self.assertEqual("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc", out.hex())

    def test_xchacha20_poly1305_of_the_xchacha_draft(self):
        key, nonce = bytes(range(0x80, 0xa0)), bytes(range(0x40, 0x58))
        aad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
        plain = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                 b"sunscreen would be it.")
        sealed = reader.aead_seal(key, nonce, plain, aad)
        self.assertEqual(("bd6d179d3e83d43b", "c0875924c1c7987947deafd8780acf49"),
                         (sealed[:8].hex(), sealed[-16:].hex()))
        self.assertEqual(plain, reader.aead_open(key, nonce, sealed, aad))
        self.assertIsNone(reader.aead_open(key, nonce, sealed, aad + b"x"))


class Reader(Case):
    uses_emulator = False

    def fill(self):
        """Pixel -> its tokens, oldest first; of every length class, with labels, dates and marks."""
        tokens = {}
        for i, length in enumerate((8, 40, 511, 512, 1023, 1024, 2047, 2048, 4094, 4095)):
            pixel = new_pixel()
            for n in range(1 + i % 3):
                token = (self.token() + "x" * length)[:length] if length > 8 else "tok%05d" % (i * 10 + n)
                self.put(pixel, token, "--no-check", "--label", "n=%d" % i, "--expires", "2031-02-03T04:05:06Z")
                tokens.setdefault(pixel, []).append(token)
        return tokens

    def open(self):
        return reader.open_vault(self.file, self.key)

    def test_agrees_with_the_program_on_everything(self):
        tokens = self.fill()
        vault = self.open()
        self.assertEqual(set(tokens), {c["pixel"] for c in vault.credentials()})
        for pixel, expected in tokens.items():
            c = vault.credential(pixel)
            self.assertEqual(expected, [vault.token(c, v) for v in c["versions"]])
            self.assertEqual(["n"], [k for k, _ in c["labels"]])
            for v, token in zip(c["versions"], expected):
                doc = self.json("get", pixel, "--version", str(v["number"]))
                self.assertEqual((v["number"], token, reader.fingerprint_text(v["fingerprint"])),
                                 (doc["version"], doc["token"], doc["fingerprint"]))
                self.assertEqual(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(v["expires_at"])), doc["expires_at"])
                self.assertIn(vault.pixel_id(pixel), vault.hint(v["fingerprint"]))
            current = [v for v in c["versions"] if v["stage"] == "current"]
            doc = self.json("get", pixel)
            self.assertEqual([doc["version"]], [v["number"] for v in current])

    def test_the_set_of_keys_is_exactly_what_the_root_reaches(self):
        self.fill()
        vault = self.open()
        rest = set(vault.rows) - vault.expected_keys()
        self.assertEqual(set(), vault.expected_keys() - set(vault.rows))
        self.assertEqual(set(), {k for k in rest if k.split("/")[1] not in "hcad"})

    def test_generation_counts_the_changes_and_the_head_remembers_them(self):
        macs = [self.open().root["mac"]]
        pixel = new_pixel()
        while len(macs) < 36:
            self.vault("label", pixel, "n=%d" % len(macs)) if len(macs) > 2 else self.put(pixel, self.token(), "--no-check")
            vault = self.open()
            before = vault.root["past"]
            steps = before.index(macs[-1]) + 1  # a put may be two commits: stored, then promoted
            macs += [m for m in reversed(before[:steps - 1])] + [vault.root["mac"]]
            self.assertEqual(len(macs), vault.root["generation"])
            self.assertEqual(macs[-2:-34:-1], [m for m in before if m != bytes(32)])

    def test_anchor_names_the_last_generation(self):
        self.fill()
        vault = self.open()
        names = [n for n in os.listdir(self.state) if n.endswith(".anchor")]
        self.assertEqual(1, len(names))
        data = self.read(os.path.join(self.state, names[0]))
        self.assertEqual(1024, len(data))
        blocks = [reader.parse_anchor(data[i:i + 512], vault.keys) for i in (0, 512)]
        self.assertNotIn(None, blocks)
        newest, other = sorted(blocks, key=lambda a: -a["generation"])
        for name in ("vault_id", "lineage", "epoch", "generation"):
            self.assertEqual(vault.root[name], newest[name])
        self.assertEqual(vault.root["mac"], newest["root_mac"])
        self.assertEqual(newest["generation"] - 1, other["generation"])
        self.assertEqual(vault.root["past"][0], other["root_mac"])

    def test_audit_log_is_one_chain_that_the_anchor_knows(self):
        tokens = self.fill()
        self.get(min(tokens), "--as", "shop/1")
        vault = self.open()
        log, anchor = ([os.path.join(self.state, n) for n in os.listdir(self.state) if n.endswith(e)] for e in (".audit.log", ".anchor"))
        data = self.read(log[0])
        entries = reader.parse_audit(data, vault.keys)
        self.assertEqual(list(range(1, len(entries) + 1)), [e["seq"] for e in entries])
        self.assertEqual({vault.pixel_id(p).hex() for p in tokens}, {e["pixel"] for e in entries if e["pixel"]})
        self.assertEqual(("get", "shop/1", "ok"), tuple(entries[-1][k] for k in ("verb", "as", "result")))
        version = [v for v in vault.credential(min(tokens))["versions"] if v["number"] == entries[-1]["version"]][0]
        self.assertEqual(reader.fingerprint_text(version["fingerprint"]), entries[-1]["fingerprint"])
        intents, done = ([e["commit"] for e in entries if e["result"] == r] for r in ("intent", "done"))
        self.assertEqual(intents, done)
        self.assertEqual(vault.root["commit_id"].hex(), done[-1])
        blocks = [reader.parse_anchor(self.read(anchor[0])[i:i + 512], vault.keys) for i in (0, 512)]
        newest = max(blocks, key=lambda a: (a["generation"], a["audit_sequence"]))
        self.assertEqual(newest["audit_head"], entries[newest["audit_sequence"] - 1]["mac"])
        self.assertEqual("intent", entries[newest["audit_sequence"] - 1]["result"])
        for at in range(0, len(data), 97):
            with self.assertRaises(reader.Bad):
                reader.parse_audit(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], vault.keys)
        os.remove(log[0])
        self.vault("audit", "accept-loss")
        scar = reader.parse_audit(self.read(log[0]), vault.keys)
        self.assertEqual([("accept-loss", newest["audit_sequence"] + 1, 2)], [(e["verb"], e["seq"], e["segment"]) for e in scar])

    def test_read_marks_are_read(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        self.get(pixel, "--as", "shop@eu-1")
        self.get(pixel, "--as", "sender/2")
        self.vault("ack", pixel, "--version", "1", "--as", "sender/2")
        self.assertEqual({("shop@eu-1", 1, False, os.getuid()), ("sender/2", 1, True, os.getuid())},
                         {m[:2] + m[3:] for m in self.open().marks(pixel)})

    def test_another_key_file_opens_nothing(self):
        with self.assertRaises(reader.Bad) as caught:
            reader.Vault(reader.rows_of(self.file), os.urandom(32))
        self.assertEqual("wrong-key", caught.exception.kind)

    def test_the_reader_itself_refuses_what_was_changed(self):
        """It agrees because it proves, not because it looks away."""
        pixel = new_pixel()
        for _ in range(2):
            self.put(pixel, self.token(), "--no-check")
        rows, secret = reader.rows_of(self.file), self.read(self.key)

        def everything(rows):
            vault = reader.Vault(rows, secret)
            for c in vault.credentials():
                for v in c["versions"]:
                    vault.token(c, v)

        everything(rows)
        refused = 0
        for key in sorted(k for k in rows if k in ("root", "slots") or k.split("/")[1] in "mnt"):
            for at in sorted({0, 7, len(rows[key]) // 2, len(rows[key]) - 1}):
                changed = bytearray(rows[key])
                changed[at] ^= 1
                with self.assertRaises(reader.Bad, msg="%s at %d" % (key, at)):
                    everything({**rows, key: bytes(changed)})
                refused += 1
            with self.assertRaises(reader.Bad, msg="without " + key):
                everything({k: v for k, v in rows.items() if k != key})
        self.assertGreater(refused, 20)


class Twenty(Case):
    """Vaults of many kinds. The reader opens each with each of its key files, and what it seals anew, with the same keys and
    nonces, is byte for byte what the program stored."""
    uses_emulator = False
    makes_vault = False
    maxDiff = 2000

    def start_anew(self):
        for top in (self.home, self.state):
            shutil.rmtree(top, ignore_errors=True)
        self.configure(vault={"key-file": self.key})
        self.init()
        self.tokens, self.keys = {}, [self.key]

    def put_some(self, count):
        for _ in range(count):
            pixel = new_pixel()
            for _ in range(rng.choice((1, 1, 2, 4))):
                token = (self.token() + "x" * 4095)[:rng.choice((64, 64, 300, 511, 512, 1500, 4095))]
                options = rng.sample(("--label=shop=berlin", "--test-code=TEST12345", "--expires=2031-01-02"), rng.randrange(4))
                self.put(pixel, token, "--no-check", *options)
                self.tokens.setdefault(pixel, []).append(token)

    def add_a_key(self, name):
        self.vault("slot", "add", "--key-file", self.path(name))
        self.keys.append(self.path(name))

    def replace_the_key(self, name):
        self.vault("rekey", "--key-file", self.path(name))
        self.keys[self.keys.index(self.key_in_use)] = self.path(name)
        self.configure(vault={"key-file": self.path(name)})

    @property
    def key_in_use(self):
        with open(self.env["PIXELVAULT_CONFIG"], encoding="utf-8") as f:
            return next(line.split(" = ")[1].strip() for line in f if line.startswith("key-file"))

    def rotate(self):
        self.vault("rotate-key", *sum((["--key-file", key] for key in self.keys if key != self.key_in_use), []))

    def adopt(self):
        shutil.rmtree(self.state)
        self.vault("adopt", "--first-use")

    def forget_one(self):
        if self.tokens:
            pixel = rng.choice(sorted(self.tokens))
            self.tokens[pixel] = []
            self.vault("rm", pixel, "--destroy", "--yes")

    def make(self, number):
        self.start_anew()
        self.put_some(number % 4)
        steps = [lambda: self.add_a_key("added%d" % number), lambda: self.replace_the_key("replaced%d" % number), self.rotate, self.adopt,
                 self.forget_one, lambda: self.put_some(1)]
        for step in rng.sample(steps, min(number, 3)):
            step()

    def log_is_proven(self, vault):
        log, = (os.path.join(self.state, n) for n in os.listdir(self.state) if n.endswith(".audit.log"))
        entries = reader.parse_audit(self.read(log), vault.log_keys)
        done = [e["commit"] for e in entries if e["result"] == "done"]
        self.assertIn(vault.root["commit_id"].hex(), done[-1:] or [vault.root["commit_id"].hex()])
        return len(entries)

    def slots_are_equal(self, vault, secrets):
        slots, v = vault.rows["slots"], vault.root["vault_id"]
        self.assertEqual(4 + 160 * len(secrets), len(slots))
        opened = set()
        for at in range(4, len(slots), 160):
            slot = slots[at:at + 160]
            mine, = (s for s in secrets if reader.slot_open(s, v, slot))
            self.assertEqual(slot, reader.slot_make(mine, v, vault.root_key, slot[:8], slot[20:36], slot[36:60]))
            opened.add(mine)
        self.assertEqual(set(secrets), opened)

    def records_are_equal(self, vault):
        count = 0
        for key, sealed in vault.rows.items():
            _, kind, *names = key.split("/") if "/" in key else ("", "", "")
            if kind not in ("m", "t"):
                continue
            what, version = bytes.fromhex(names[0]), int(names[1]) if kind == "t" else 0
            plain = vault.unseal(kind, what, version, sealed)
            self.assertEqual(sealed, reader.seal(vault.keys, vault.root["vault_id"], vault.root["epoch"], kind, what, version, plain,
                                                 sealed[:24]), key)
            count += 1
        return count

    def test_vaults_of_every_kind_are_read_and_sealed_alike(self):
        records = lines = epochs = 0
        for number in range(20):
            self.make(number)
            secrets = [self.read(key) for key in self.keys]
            for secret in secrets:
                vault = reader.Vault(reader.rows_of(self.file), secret)
                found = {c["pixel"]: [vault.token(c, v) for v in c["versions"] if reader.has_token(v)] for c in vault.credentials()}
                self.assertEqual(self.tokens, found)
            self.slots_are_equal(vault, secrets)
            records += self.records_are_equal(vault)
            lines += self.log_is_proven(vault)
            epochs += vault.root["epoch"] > 1
            for secret in (os.urandom(32), secrets[0][:-1] + bytes([secrets[0][-1] ^ 1])):
                with self.assertRaises(reader.Bad):
                    reader.Vault(vault.rows, secret)
        notes.append("20 vaults, %d of them with a later root key: %d records and %d lines of their logs are equal" % (epochs, records, lines))
        self.assertGreater(records, 50)


class Health(Case):
    """The verdicts as stored, against `get --json` and `status --json`."""

    def test_health_records_are_read(self):
        pixel, token = self.stored()
        health_of = lambda v: v.health(v.credential(pixel))  # noqa: E731
        vault = reader.open_vault(self.file, self.key)
        h = health_of(vault)
        self.assertEqual((1, 1), (h["current"]["version"], h["current"]["verdict"]))  # healthy
        doc = self.json("get", pixel)
        self.assertEqual("healthy", doc["verdict"])
        self.assertEqual(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(h["current"]["proven_at"])), doc["proven_at"])
        self.emu.revoke(token)
        self.vault("check", pixel, rc=10)
        later = health_of(reader.open_vault(self.file, self.key))
        self.assertGreater(later["counter"], h["counter"])
        self.assertEqual(4, later["current"]["verdict"])  # revoked
        self.assertEqual([1, 4], [e["verdict"] for e in later["history"]])
