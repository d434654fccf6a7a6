"""The keys that open a vault: added, tried, removed, changed, lost; and a new root key under which all is sealed anew."""

import os
import subprocess
import sys
import time

from harness import Case, ROOT, VAULT, needs, new_pixel, rng, say, traced
from running_agent import AgentCase

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import reader  # noqa: E402

PHRASE = "zwiebelring wolkenkuckuck heim"


class Keys(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.stored_token = new_pixel(), self.token()
        self.put(self.pixel, self.stored_token, "--no-check")

    def slots(self):
        return self.json("slot", "list")["slots"]

    def ids(self, kind=None):
        return [s["id"] for s in self.slots() if kind in (None, s["kind"])]

    def new_key(self, name):
        return self.write(self.path(name), os.urandom(32))

    def opens_with(self, key, rc=0):
        return self.vault("get", self.pixel, rc=rc, env={"PIXELVAULT_KEY_FILE": key}, says_token=rc == 0)

    def generation(self):
        return self.json("verify")["generation"]


class Slots(Keys):
    def test_a_key_file_is_added_tried_and_the_first_one_removed(self):
        (first,) = self.ids()
        doc = self.json("slot", "add", "--key-file", self.path("second"))
        self.assertEqual("key-file", doc["added"]["kind"])
        self.assertEqual(0o600, os.stat(self.path("second")).st_mode & 0o777)
        self.assertEqual([first, doc["added"]["id"]], self.ids())
        self.opens_with(self.path("second"))
        self.assertEqual(doc["added"]["id"], self.json("slot", "test", "--key-file", self.path("second"))["opened"]["id"])
        r = self.vault("slot", "remove", first[:6], "--with-key", self.path("second"), "--yes")
        self.assertIn("older copies", r.err)
        self.assertEqual([doc["added"]["id"]], self.ids())
        self.opens_with(self.key, rc=6)
        self.opens_with(self.path("second"))
        self.vault("verify", env={"PIXELVAULT_KEY_FILE": self.path("second")})
        r = self.vault("audit", "show", env={"PIXELVAULT_KEY_FILE": self.path("second")})
        self.assertRegex(r.out.decode(), r"slot-add .*\n.*slot-add .*\n(.*\n)*.*slot-remove ")

    def test_the_key_that_opened_and_the_last_one_stay(self):
        (first,) = self.ids()
        self.refuses(8, "slot", "remove", first, "--yes", says="only key")
        self.vault("slot", "add", "--key-file", self.new_key("second"))
        self.refuses(8, "slot", "remove", first, "--yes", says=["very key", "--with-key"])
        self.assertEqual(2, len(self.ids()))
        second = self.ids()[1]
        self.refuses(2, "slot", "remove", second, "--no-input", says="--yes")
        self.vault("slot", "remove", second, "--yes")
        self.assertEqual([first], self.ids())

    def test_what_is_wrong_changes_nothing(self):
        before = self.generation()
        for rc, words, says in ((8, ["add", "--key-file", self.key], "already"),
                                (4, ["add", "--recovery"], "terminal"),
                                (4, ["add", "--key-file", self.write(self.path("short"), b"x" * 31)], "32"),
                                (2, ["add", "--passphrase-file", self.write(self.path("weak"), "short")], "15"),
                                (3, ["remove", "ffffffff", "--yes"], "slot list"), (2, ["remove", "--yes"], "id"),
                                (3, ["remove", "a", "--yes"], "slot list"),
                                (2, ["frobnicate"], "list, add"), (2, ["list", "--yes"], "no '--yes'"),
                                (2, ["test", "--ask"], "no '--ask'"), (2, ["add", "x"], "behind"),
                                (8, ["repair"], "whole"), (6, ["add", "--with-key", self.new_key("foreign")], "open")):
            self.refuses(rc, "slot", *words, "--no-input", says=says)
        self.assertEqual(before, self.generation())
        self.assertEqual(1, len(self.ids()))

    def test_sixteen_keys_and_no_more(self):
        for i in range(15):
            self.vault("slot", "add", "--key-file", self.path("k%d" % i))
        self.refuses(8, "slot", "add", "--key-file", self.path("one too many"), says="16")
        self.assertFalse(os.path.exists(self.path("one too many")), "no key file is left of what was not added")
        self.opens_with(self.path("k14"))

    def test_list_needs_no_key(self):
        os.unlink(self.key)
        self.assertEqual(["key-file"], [s["kind"] for s in self.slots()])
        self.assertRegex(self.vault("slot", "list").out.decode(), r"(?m)^[0-9a-f]{16}\s+key file")

    def test_a_passphrase_its_wrong_neighbours_and_a_dearer_guess(self):
        phrase = self.write(self.path("phrase"), PHRASE + "\n")
        added = self.json("slot", "add", "--passphrase-file", phrase)["added"]
        self.assertGreaterEqual(added["passes"], 3)
        self.assertLessEqual(added["passes"], 10)
        self.assertEqual((262144, False), (added["memory_kib"], added["below_policy"]))
        self.assertEqual(added["id"], self.json("slot", "test", "--passphrase-file", phrase)["opened"]["id"])
        for wrong in (PHRASE + " ", PHRASE[:-1], "x" * 4096):
            r = self.refuses(6, "slot", "test", "--passphrase-file", self.write(self.path("wrong"), wrong))
            self.assertNotIn(added["id"], r.err)
            self.assertNotIn(wrong.strip(), r.err)
        r = self.vault("list")
        self.assertIn("3 wrong keys tried", r.err)
        self.assertNotIn("wrong key", self.vault("list").err, "told once")
        self.assertRegex(self.vault("audit", "show").out.decode(), r"3-tries\s+wrong-key\s.*denied")
        self.configure(vault={"key-file": None})
        self.env["PIXELVAULT_PASSPHRASE_FILE"] = phrase
        self.assertEqual({"schema": 1, "id": added["id"], "kind": "passphrase"}, self.json("rekey", "--same"))
        self.assertEqual(self.stored_token, self.get(self.pixel))

    def test_a_recovery_key_is_added_on_a_terminal_and_replaces_a_lost_key(self):
        t = self.terminal("slot", "add", "--recovery")
        shown = t.expect(r"(?:[0-9A-Z]{7}-){7}[0-9A-Z]{7}").group(0)
        t.expect("Type it back")
        t.send(shown.lower() + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertEqual(1, len(self.ids("recovery")))
        for where in self.files().values():
            self.assertNotIn(shown.encode(), where)
        lost = self.ids("key-file")[0]
        os.unlink(self.key)
        t = self.terminal("slot", "test")
        t.expect("Passphrase")
        t.send(shown + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertIn("recovery key", t.text())
        t = self.terminal("rekey", "--ask", "--key-file", self.key)
        t.expect("Passphrase")
        t.send(shown + "\n")
        self.assertEqual(2, t.wait(), "which one is to be replaced is asked back: " + t.text())
        self.assertFalse(os.path.exists(self.key))
        t = self.terminal("rekey", lost, "--ask", "--key-file", self.key)
        t.expect("Passphrase")
        t.send(shown + "\n")
        self.assertEqual(0, t.wait(), t.text())
        self.assertEqual([lost], self.ids("key-file"), "a key that is replaced keeps its id")
        self.opens_with(self.key)

    def test_rekey_puts_a_new_key_file_in_the_place_of_the_old_one(self):
        (first,) = self.ids()
        doc = self.json("rekey", "--key-file", self.path("new"))
        self.assertEqual((first, "key-file"), (doc["id"], doc["kind"]))
        self.opens_with(self.key, rc=6)
        self.opens_with(self.path("new"))
        self.refuses(6, "rekey", "--key-file", self.path("newer"))
        self.assertFalse(os.path.exists(self.path("newer")))

    def test_one_key_is_not_taken_for_two_places(self):
        self.vault("slot", "add", "--key-file", self.path("second"))
        self.refuses(8, "rekey", "--key-file", self.path("second"), says="already")

    @needs("systemd-creds")
    def test_a_credential_is_sealed_by_systemd_and_opens_the_vault_for_a_unit(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        sealed, folder = self.path("sealed"), self.path("creds")
        r = self.vault("slot", "add", "--credential", sealed, rc=(0, 1))
        if r.rc:
            self.skipTest("systemd-creds does not work here" + say(r))
        self.assertIn("LoadCredentialEncrypted=pixelvault.key:", r.err)
        os.mkdir(folder, 0o700)
        opened = subprocess.run(["systemd-creds", "decrypt", "--name=pixelvault.key", sealed, os.path.join(folder, "pixelvault.key")],
                                capture_output=True)
        self.assertEqual(0, opened.returncode, opened.stderr)
        other = subprocess.run(["systemd-creds", "decrypt", "--name=other.key", sealed, "-"], capture_output=True)
        self.assertNotEqual(0, other.returncode, "sealed to its name")
        os.chmod(os.path.join(folder, "pixelvault.key"), 0o400)
        self.assertNotIn(self.read(os.path.join(folder, "pixelvault.key")), self.read(sealed))
        os.unlink(self.key)
        self.configure(vault={"key-file": None, "credential": "pixelvault.key"})
        self.vault("verify", env={"CREDENTIALS_DIRECTORY": folder})
        os.rename(os.path.join(folder, "pixelvault.key"), os.path.join(folder, "other.key"))
        self.refuses(4, "verify", env={"CREDENTIALS_DIRECTORY": folder})
        os.rename(os.path.join(folder, "other.key"), os.path.join(folder, "pixelvault.key"))
        self.refuses(8, "slot", "add", "--credential", sealed, env={"CREDENTIALS_DIRECTORY": folder}, says="already")


class Cheap(AgentCase):
    """A passphrase whose slot was made when guessing was dearer than it is."""
    uses_emulator = False
    CHEAPER = "guessing the passphrase [0-9a-f]{16} is cheaper than it should be; to change that: vault rekey --same"

    def setUp(self):
        super().setUp()
        self.pixel, self.stored_token = new_pixel(), self.token()
        self.put(self.pixel, self.stored_token, "--no-check")
        self.add_a_cheap_slot()
        self.configure(vault={"key-file": None})
        self.phrase = {"PIXELVAULT_PASSPHRASE_FILE": self.write(self.path("phrase"), PHRASE)}

    def add_a_cheap_slot(self):
        v = reader.open_vault(self.file, self.key)
        slots = b"\2" + v.rows["slots"][1:] + reader.passphrase_slot(PHRASE.encode(), v.root["vault_id"], v.root_key, os.urandom(8),
                                                                    os.urandom(16), os.urandom(24), 1, 8192)
        head = v.rows["root"][:-32].replace(v.root["slots_digest"], reader.blake2b(32, slots))
        root = head + reader.blake2b(32, b"pxroot01", head, key=v.keys[reader.MAC])
        for key, value in (("slots", slots), ("root", root)):
            self.sql("UPDATE kv SET v = ? WHERE k = ?", value, key)
        self.vault("adopt", "--first-use")

    def offers(self, *words, **more):
        self.assertRegex(self.vault(*words, **more).err, self.CHEAPER)

    def test_who_opens_by_it_is_offered_a_dearer_one(self):
        self.offers("slot", "list")
        self.offers("slot", "test", "--passphrase-file", self.path("phrase"))
        self.offers("get", self.pixel, env=self.phrase)
        self.assertNotRegex(self.vault("get", self.pixel, env={"PIXELVAULT_KEY_FILE": self.key}).err, self.CHEAPER, "not by this one")
        self.start_agent(ready=False)
        self.until(lambda: "locked" in self.log(), 10, "it has no key of its own")
        self.offers("unlock", env={"PIXELVAULT_VAULT": None, **self.phrase})
        self.assertEqual((200, self.stored_token.encode()), self.http("GET", "/v1/pixels/%s/token" % self.pixel)[::2])
        self.vault("rekey", "--same", env=self.phrase)
        self.assertEqual([False], [s["below_policy"] for s in self.json("slot", "list")["slots"] if s["kind"] == "passphrase"])
        self.assertNotRegex(self.vault("get", self.pixel, env=self.phrase).err, self.CHEAPER)


class Hygiene(Keys):
    @needs("strace")
    def test_no_key_lies_in_a_file_of_ours_and_a_passphrase_is_only_ever_read(self):
        phrase = self.write(self.path("phrase"), PHRASE + "\n")
        trace = self.path("trace")
        secrets = [PHRASE.encode(), self.read(self.key)]
        steps = [["slot", "add", "--key-file", self.path("second")], ["slot", "add", "--passphrase-file", phrase],
                 ["rekey", "--key-file", self.path("third")],
                 ["rotate-key", "--with-key", self.path("third"), "--key-file", self.path("second"), "--passphrase-file", phrase]]
        for words in steps:
            p = subprocess.run(["strace", "-f", "-xx", "-s", "4096", "-o", trace, "-e", "trace=%desc,execve", VAULT, *words],
                               capture_output=True, env=traced(self.env), timeout=120)
            self.assertEqual(0, p.returncode, p.stderr)
            seen = 0
            secrets += [self.read(self.path(n)) for n in ("second", "third") if os.path.exists(self.path(n))]
            for line in self.read(trace).decode().splitlines():
                for secret in secrets:
                    pieces = ["".join("\\x%02x" % b for b in secret[i:i + 8]) for i in range(0, len(secret) - 7, 4)]
                    if any(piece in line for piece in pieces):
                        seen += 1
                        self.assertRegex(line, r"read\(|write\(.* = 32$", line[:80])
            self.assertGreater(seen, 0, "the key was read somehow")
            for name, data in self.files().items():
                for secret in secrets:
                    for i in range(len(secret) - 7):
                        self.assertNotIn(secret[i:i + 8], data, name)
                    self.assertNotIn(secret.hex().encode(), data.lower(), name)
            for secret in secrets:
                self.assertNotIn(secret, p.stdout + p.stderr)


class Damage(Keys):
    def test_each_part_of_a_slot_is_proven(self):
        """One bit in each field of each of three slots, also with the digest unmended: never a token, never another class."""
        for name in ("second", "third"):
            self.vault("slot", "add", "--key-file", self.path(name))
        ((slots,),) = self.sql("SELECT v FROM kv WHERE k = 'slots'")
        for number in range(3):
            for at in (0, 8, 9, 10, 12, 16, 20, 36, 60, 92, 139, 140, 159):
                bad = bytearray(slots)
                bad[4 + 160 * number + at] ^= 1 << rng.randrange(8)
                self.sql("UPDATE kv SET v = ? WHERE k = 'slots'", bytes(bad))
                e = self.error(7, "get", self.pixel)
                self.assertEqual("tampered", e["class"])
        self.sql("UPDATE kv SET v = ? WHERE k = 'slots'", slots)
        self.opens_with(self.path("third"))

    def test_repair_keeps_what_still_opens(self):
        self.vault("slot", "add", "--key-file", self.path("second"))
        ((slots,),) = self.sql("SELECT v FROM kv WHERE k = 'slots'")
        bad = bytearray(slots)
        bad[4 + 160 + 8] = 99
        self.sql("UPDATE kv SET v = ? WHERE k = 'slots'", bytes(bad))
        self.refuses(7, "get", self.pixel)
        self.refuses(6, "slot", "repair", "--with-key", self.path("second"))
        r = self.vault("slot", "repair")
        self.assertIn("1 key kept", r.err)
        self.assertEqual(1, len(self.ids()))
        self.opens_with(self.key)
        self.vault("verify")
        self.vault("audit", "verify")

    def test_slots_of_another_vault_open_nothing(self):
        ((slots,),) = self.sql("SELECT v FROM kv WHERE k = 'slots'")
        other = self.path("other", "vault.db")
        self.vault("init", "--key-file", self.key, "--no-recovery", env={"PIXELVAULT_VAULT": other, "PIXELVAULT_STATE": self.path("s2")})
        ((foreign,),) = self.sql("SELECT v FROM kv WHERE k = 'slots'", path=other)
        self.sql("UPDATE kv SET v = ? WHERE k = 'slots'", foreign)
        self.assertEqual("tampered", self.error(7, "list")["class"])
        self.refuses(6, "slot", "repair")

    def test_an_old_set_of_slots_put_back_is_refused(self):
        ((old,),) = self.sql("SELECT v FROM kv WHERE k = 'slots'")
        self.vault("rekey", "--key-file", self.path("new"))
        self.sql("UPDATE kv SET v = ? WHERE k = 'slots'", old)
        self.assertEqual("tampered", self.error(7, "list")["class"])


class RotateKey(Keys):
    def keys_of_store(self):
        return {k.decode() for k, in self.sql("SELECT CAST(k AS BLOB) FROM kv")}

    def test_everything_is_there_under_a_new_key_and_nothing_of_the_old_epoch(self):
        more = {new_pixel(): [self.token(), self.token()] for _ in range(40)}
        for pixel, tokens in more.items():
            for token in tokens:
                self.put(pixel, token, "--no-check", "--label", "n=1")
        self.vault("get", self.pixel, "--as", "checkout")
        gone = min(more)
        self.vault("rm", gone)
        before = reader.open_vault(self.file, self.key)
        status = self.json("status")
        history = self.json("history", gone)
        doc = self.json("rotate-key")
        self.assertEqual((2, 41, 81, []), (doc["epoch"], doc["pixels"], doc["tokens"], doc["dropped"]))
        self.assertEqual({"e2"}, {k.split("/")[0] for k in self.keys_of_store()} - {"root", "slots"})
        self.vault("verify")
        self.vault("audit", "verify")
        for pixel, tokens in more.items():
            if pixel != gone:
                self.assertEqual(tokens[1], self.get(pixel))
                self.assertEqual(tokens[0], self.get(pixel, "--previous"))
        now = self.json("status")
        for doc in (status, now):
            for p in doc["pixels"]:
                for stage in ("current", "previous"):
                    if p[stage]:
                        p[stage].pop("fingerprint")
        self.assertEqual(status, now)
        self.assertIn("checkout", self.vault("rollout", self.pixel).out.decode())
        self.assertEqual([v["version"] for v in history["versions"]], [v["version"] for v in self.json("history", gone)["versions"]])
        self.vault("rm", gone, "--restore")
        after = reader.open_vault(self.file, self.key)
        log = [n for n in os.listdir(self.state) if n.endswith(".audit.log")]
        entries = reader.parse_audit(self.read(os.path.join(self.state, log[0])), after.log_keys)
        self.assertEqual({p: after.log_id(p).hex() for p in more}, {p: before.pixel_id(p).hex() for p in more})
        self.assertEqual(("rotate-key", "done"), [(e["verb"], e["result"]) for e in entries if e["verb"] == "rotate-key"][-1])
        anchor = self.read(os.path.join(self.state, log[0].replace("audit.log", "anchor")))
        blocks = [reader.parse_anchor(anchor[i:i + 512], after.keys) for i in (0, 512)]
        self.assertEqual(after.root["mac"], max(blocks, key=lambda a: a["generation"])["root_mac"])
        self.assertNotEqual(before.root_key, after.root_key)
        self.assertEqual({c["pixel"] for c in before.credentials()}, {c["pixel"] for c in after.credentials()})
        self.assertEqual(set(), after.expected_keys() - set(after.rows))
        self.assertFalse({k.split("/")[2] for k in before.rows if "/m/" in k} & {k.split("/")[2] for k in after.rows if "/m/" in k})
        twice, tokens = sorted(more.items())[1]
        e = self.vault("put", new_pixel(), "--no-check", stdin=tokens[1])
        self.assertIn(twice, e.err, "the same token under another Pixel is still found")

    def test_the_old_key_opens_the_old_copy_and_not_the_new_vault(self):
        self.save("base")
        self.vault("rotate-key")
        self.vault("rotate-key")
        self.assertEqual("e3", sorted(self.keys_of_store())[0].split("/")[0])
        self.vault("audit", "verify")
        self.restore("base", "vault")
        e = self.error(7, "get", self.pixel)
        self.assertEqual("rolled-back", e["class"])
        self.assertIn("rotate-key", e["message"])

    def test_keys_that_are_not_at_hand_are_named_and_must_be_given_or_given_up(self):
        second = self.json("slot", "add", "--key-file", self.path("second"))["added"]["id"]
        third = self.json("slot", "add", "--key-file", self.path("third"))["added"]["id"]
        before = self.generation()
        e = self.refuses(2, "rotate-key", "--no-input", says=[second, third, "--drop-others"])
        self.refuses(6, "rotate-key", "--key-file", self.new_key("foreign"), "--drop-others")
        self.assertEqual(before, self.generation())
        doc = self.json("rotate-key", "--key-file", self.path("second"), "--drop-others")
        self.assertEqual([third], doc["dropped"])
        self.assertIn(second, doc["slots"])
        self.opens_with(self.path("second"))
        self.opens_with(self.key)
        self.opens_with(self.path("third"), rc=6)
        self.assertEqual(2, len(self.ids()), e.err)

    def test_a_damaged_record_stops_it_and_nothing_changes(self):
        self.put(new_pixel(), self.token(), "--no-check")
        ((key, value),) = self.sql("SELECT k, v FROM kv WHERE k LIKE 'e1/t/%' LIMIT 1")
        self.sql("UPDATE kv SET v = ? WHERE k = ?", bytes([value[0] ^ 1]) + value[1:], key.decode())
        rows = self.sql("SELECT k, v FROM kv ORDER BY k")
        self.refuses(7, "rotate-key", says="verify")
        self.assertEqual(rows, self.sql("SELECT k, v FROM kv ORDER BY k"))
        self.sql("UPDATE kv SET v = ? WHERE k = ?", value, key.decode())
        self.vault("rotate-key")

    def test_records_of_the_old_epoch_under_new_names_do_not_open(self):
        self.save("base")
        old = dict(self.sql("SELECT k, v FROM kv"))
        self.vault("rotate-key")
        new = dict(self.sql("SELECT k, v FROM kv"))
        for kind in "mtd":
            name = next(k for k in new if k.startswith(b"e2/%c/" % ord(kind)))
            value = next(v for k, v in old.items() if k.startswith(b"e1/%c/" % ord(kind)))
            self.sql("UPDATE kv SET v = ? WHERE k = ?", value, name.decode())
            self.refuses(7, "verify")
            self.sql("UPDATE kv SET v = ? WHERE k = ?", new[name], name.decode())
        self.vault("verify")
        log = next(k for k in new if k.startswith(b"e2/k/"))
        self.sql("DELETE FROM kv WHERE k = ?", log.decode())
        self.assertEqual("tampered", self.error(7, "get", self.pixel)["class"])

    def test_a_command_that_was_under_way_is_told(self):
        """A put that waits for its token while the key is changed."""
        p = self.start("put", new_pixel(), "--no-check", stdin=None)
        folder = "/proc/%d/fd" % p.pid
        end = time.monotonic() + 30
        def has_log(fd):
            try:
                return os.readlink(os.path.join(folder, fd)).endswith("audit.log")
            except FileNotFoundError:
                return False
        while not any(has_log(fd) for fd in os.listdir(folder)):
            self.assertLess(time.monotonic(), end, "the vault was never opened")
            time.sleep(0.01)
        self.vault("rotate-key")
        out, said = p.communicate(self.token().encode())
        self.assertEqual((4, b""), (p.returncode, out), said)
        self.assertIn(b"rotate-key", said)
        self.assertEqual([self.pixel], [c["pixel"] for c in self.json("list")["pixels"]])
        self.vault("verify")


class WithAnAgent(AgentCase):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.stored_token = new_pixel(), self.token()
        self.put(self.pixel, self.stored_token, "--no-check")

    def read_token(self):
        return self.http("GET", "/v1/pixels/%s/token" % self.pixel)

    def test_it_opens_the_vault_again_by_its_key_file(self):
        self.start_agent()
        self.vault("rotate-key")
        self.until(lambda: self.vault("audit", "show").out.decode().count(" unlock ") >= 2, 10, "the agent opened the vault again")
        self.until(lambda: self.health().get("ready"), 10, "the agent is ready again")
        self.assertEqual((200, self.stored_token.encode()), (self.read_token()[0], self.read_token()[2]))
        self.vault("slot", "add", "--key-file", self.path("second"))
        self.assertEqual(200, self.read_token()[0])
        other, token = new_pixel(), self.token()
        self.put(other, token, "--no-check", env={"PIXELVAULT_VAULT": None})
        self.vault("verify")

    def test_wrong_keys_are_counted_for_the_agent_and_by_it(self):
        wrong = self.write(self.path("wrong"), os.urandom(32))
        for _ in range(2):
            self.vault("slot", "test", "--key-file", wrong, rc=6)
        self.start_agent()
        self.until(lambda: "wrong keys were tried since the vault was last opened: 2" in self.log(), 10, "it says so")
        self.assertRegex(self.vault("audit", "show").out.decode(), r"2-tries\s+wrong-key")
        self.end_agent()
        mine = self.read(self.key)
        self.write(self.key, os.urandom(32))
        self.start_agent(ready=False)
        self.until(lambda: "does not open" in self.log(), 10, "it is locked")
        self.end_agent()
        self.write(self.key, mine)
        self.assertIn("1 wrong key tried", self.vault("list").err)

    def test_without_a_key_of_its_own_it_is_locked_and_says_why(self):
        self.vault("slot", "add", "--key-file", self.path("second"))
        self.start_agent()
        self.vault("rotate-key", "--with-key", self.path("second"), "--drop-others",
                   env={"PIXELVAULT_KEY_FILE": self.path("second")})
        self.until(lambda: not self.health().get("ready"), 10, "the agent is locked")
        self.until(lambda: "rotate-key" in self.log(), 10, "it says why")
        self.assertEqual(503, self.read_token()[0])
        self.vault("unlock", env={"PIXELVAULT_KEY_FILE": self.path("second"), "PIXELVAULT_VAULT": None})
        self.assertEqual(200, self.read_token()[0])


if __name__ == "__main__":
    import unittest
    unittest.main()
