"""What is made of a vault that is not the one remembered: each state it may be found in, by a command, by an agent that
starts on it and by an agent that runs while it comes about; each ends with its own class."""

import atexit
import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

import harness
from harness import Case, new_pixel, say, spread, cases

# The sentence by which a person knows the class.
SENTENCE = {"rolled-back": "is older than this host remembers", "forked": "another vault or another history lies at its place",
            "anchor": "more than 32 changes ahead of this host's anchor", "anchor-missing": "this host has no anchor",
            "replaced": "another file was put in place of the vault"}


class States(Case):
    """The states are made once, by the first test: each is a copy of vault and state folder."""
    uses_emulator = False
    makes_vault = False
    made = {}  # folder, prefix of the names in the state folder, key, Pixel, tokens

    def setUp(self):
        super().setUp()
        self.addCleanup(self.stop_agent)
        if self.made:
            self.take_states()
        else:
            self.init()
            self.made.update(pixel=new_pixel(), tokens={}, key=self.read(self.key), prefix=self.prefix())
        self.pixel, self.tokens = self.made["pixel"], self.made["tokens"]
        if "folder" not in self.made:
            self.make_states()
            self.made["folder"] = tempfile.mkdtemp(prefix="states-")
            atexit.register(shutil.rmtree, self.made["folder"], ignore_errors=True)
            shutil.copytree(self.path("saved"), os.path.join(self.made["folder"], "saved"))
        self.restore("now")

    def prefix(self):
        """The names in the state folder begin with it: they belong to the vault's path."""
        return "vault.db-" + hashlib.blake2b(self.file.encode(), digest_size=16).hexdigest()[:16]

    def take_states(self):
        self.write(self.key, self.made["key"])
        shutil.copytree(os.path.join(self.made["folder"], "saved"), self.path("saved"))
        for where, _, names in os.walk(self.path("saved")):
            for n in names:
                if n.startswith(self.made["prefix"]):
                    os.rename(os.path.join(where, n), os.path.join(where, n.replace(self.made["prefix"], self.prefix())))

    def configure(self, **sections):
        more = sections.pop("more", "") + "[agent]\nsocket = %s\nrequire-locked-memory = no\n" % self.socket
        super().configure(more=more, **sections)

    def step(self, name, times=1):
        for _ in range(times):
            self.tokens[name] = self.token()
            self.put(self.pixel, self.tokens[name], "--no-check")
        self.save(name)

    def make_states(self):
        """base - now - next - next32 (32 behind now) - next33: the one history. base - sibling - nephew: another one."""
        self.step("base")
        self.step("now")
        self.step("next")
        self.step("next32", 31)
        self.step("next33")
        self.restore("base")
        self.step("sibling")
        self.step("nephew")
        self.restore("base")
        self.vault("backup", self.path("copy"))
        self.vault("restore", self.path("copy"), "--yes")
        self.step("lineage")
        self.make_foreign()

    def make_foreign(self):
        """Another vault, which the same key file opens."""
        env = dict(self.env, PIXELVAULT_VAULT=self.path("foreign", "vault.db"), PIXELVAULT_STATE=self.path("foreign-state"))
        self.vault("init", "--key-file", self.key, "--no-recovery", env=env)
        self.vault("put", self.pixel, "--no-check", stdin=self.token(), env=env)
        shutil.copytree(self.path("foreign"), self.path("saved", "foreign", "vault"))
        mine, = self.anchors(self.path("saved", "now", "state"))
        theirs, = self.anchors(self.path("foreign-state"))
        os.mkdir(self.path("saved", "foreign", "state"))
        shutil.copy(self.path("foreign-state", theirs), self.path("saved", "foreign", "state", mine))

    @staticmethod
    def anchors(folder):
        return [n for n in os.listdir(folder) if n.endswith(".anchor")]

    # ---- how a state comes about

    def anchor_of(self, name):
        """Only the anchor is put back, into the same file: a running agent has it open."""
        for n in self.anchors(self.path("saved", name, "state")):
            with open(os.path.join(self.state, n), "r+b") as f:
                f.write(self.read(self.path("saved", name, "state", n)))

    def no_anchor(self):
        for n in self.anchors(self.state):
            os.remove(os.path.join(self.state, n))

    def blank_anchor(self):
        for n in self.anchors(self.state):
            self.write(os.path.join(self.state, n), bytes(1024))

    def renamed(self, name):
        """Another file takes the name."""
        shutil.copy(self.path("saved", name, "vault", "vault.db"), self.path("vault", "arriving"))
        for n in ("vault.db-wal", "vault.db-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path("vault", n))
        os.rename(self.path("vault", "arriving"), self.file)

    def rewritten(self, name):
        """The same file, with all that was in another one: by a program that knows SQLite, or below it."""
        shutil.copy(self.path("saved", name, "vault", "vault.db"), self.path("source.db"))
        db = sqlite3.connect(self.file, isolation_level=None)
        db.execute("ATTACH ? AS source", (self.path("source.db"),))
        db.execute("BEGIN IMMEDIATE")
        for table, in db.execute("SELECT name FROM source.sqlite_master WHERE type = 'table'").fetchall():
            db.execute("DELETE FROM main.%s" % table)
            db.execute("INSERT INTO main.%s SELECT * FROM source.%s" % (table, table))
        db.execute("COMMIT")
        db.close()

    # ---- what is made of it

    def told(self, kind):
        """What the agent says to anybody who asks how it is."""
        end = time.monotonic() + 30 * harness.PATIENCE
        while SENTENCE[kind] not in str((self.health() or {}).get("reason")):
            self.assertLess(time.monotonic(), end, "the agent says: %s" % self.health())
            time.sleep(0.02)

    def via(self, *words, **more):
        return self.vault(*words, env={"PIXELVAULT_VAULT": None}, **more)

    def nothing_is_given(self, kind):
        """Neither at once nor later; and nothing is stored."""
        before = self.rows()
        self.told(kind)
        for words in (["get", self.pixel], ["list"], ["history", self.pixel], ["verify"], ["status"]):
            r = self.via(*words, rc=4)
            self.assertEqual(b"", r.out, say(r))
        self.via("put", self.pixel, "--no-check", stdin=self.token(), rc=4)
        self.assertEqual(before, self.rows())

    def rows(self):
        return {k: hashlib.sha256(v).hexdigest()[:8] for k, v in self.sql("SELECT CAST(k AS BLOB), v FROM kv")}

    def refused_by_command(self, kind):
        for words in (["get", self.pixel], ["list"], ["verify"]):
            r = self.vault(*words, "--json", rc=7)
            self.assertIn('"class":"%s"' % kind, r.out.decode().replace(" ", ""), say(r))
            self.assertNotIn(self.tokens["now"].encode(), r.out)
        r = self.refuses(7, "put", self.pixel, "--no-check", stdin=self.token())
        self.assertIn(SENTENCE[kind], r.err)

    def start_on_it(self, is_open):
        """The agent may be locked; it must say why, and not end."""
        self.start_process()
        end = time.monotonic() + 30 * harness.PATIENCE
        while (self.health() or {}).get("ready") is not is_open:
            self.assertLess(time.monotonic(), end, self.health())
            time.sleep(0.02)

    def start_process(self):
        self.keeper_log = open(self.path("agent.log"), "ab")
        self.keeper = subprocess.Popen([harness.AGENT, "--config", self.config], stdin=subprocess.DEVNULL, env=self.env,
                                       stdout=self.keeper_log, stderr=self.keeper_log, cwd=self.dir)

    def given(self, name):
        """The agent looks for what others wrote many times a second; it goes on from there."""
        end = time.monotonic() + 30 * harness.PATIENCE
        while self.via("get", self.pixel).out.decode() != self.tokens[name]:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        newer = self.token()
        self.via("put", self.pixel, "--no-check", stdin=newer)
        self.assertEqual(newer, self.via("get", self.pixel).out.decode())


@spread
class Found(States):
    """By a command, and by an agent that starts on it."""

    @cases(the_same="now", one_ahead="next", as_far_ahead_as_is_remembered="next32")
    def test_it_goes_on(self, store):
        self.restore(store)
        self.anchor_of("now")
        self.assertEqual(self.tokens[store], self.get(self.pixel))
        self.start_on_it(True)
        self.given(store)
        self.stop_agent()
        self.vault("verify")
        self.renamed("now")  # and the anchor has learned of it
        self.refused_by_command("rolled-back")

    @cases(rolled_back=("base", "now", "rolled-back"), rolled_back_far=("base", "next33", "rolled-back"),
           fork_at_the_same_generation=("sibling", "now", "forked"), fork_further_on=("nephew", "now", "forked"),
           fork_that_is_behind=("sibling", "next", "rolled-back"), another_lineage=("lineage", "now", "forked"),
           the_old_lineage=("now", "lineage", "forked"), another_vault=("foreign", "now", "forked"),
           too_far_ahead=("next33", "now", "anchor"))
    def test_it_is_refused(self, store, anchor, kind):
        self.restore(anchor, "state") if anchor != "now" else None
        self.renamed(store)
        self.refused_by_command(kind)
        self.start_on_it(False)
        self.nothing_is_given(kind)
        self.via("unlock", rc=7)
        self.nothing_is_given(kind)

    @cases(no_anchor="no_anchor", one_of_zeros="blank_anchor")
    def test_without_an_anchor(self, loss):
        getattr(self, loss)()
        self.refused_by_command("anchor-missing")
        self.start_on_it(False)
        self.nothing_is_given("anchor-missing")
        self.via("unlock", rc=7)
        self.stop_agent()
        self.vault("adopt", "--first-use")
        self.assertEqual(self.tokens["now"], self.get(self.pixel))

    def test_both_put_back_together_is_not_noticed_without_an_agent(self):
        """A snapshot of the whole machine: not promised, and docs/security.md says so. What is given is whole."""
        self.restore("next")
        self.restore("now")
        self.assertEqual(self.tokens["now"], self.get(self.pixel))
        self.vault("verify")
        self.start_on_it(True)
        self.given("now")


@spread
class Running(States):
    """By an agent that has the vault open."""

    def setUp(self):
        super().setUp()
        self.start_agent()
        self.assertEqual(self.tokens["now"], self.via("get", self.pixel).out.decode())

    @cases(one_ahead="next", as_far_as_is_remembered="next32")
    def test_what_others_wrote_is_followed(self, store):
        self.rewritten(store)
        self.given(store)
        self.stop_agent()
        self.renamed("now")
        self.refused_by_command("rolled-back")

    @cases(rolled_back=("base", "rolled-back"), fork_at_the_same_generation=("sibling", "forked"),
           fork_further_on=("nephew", "forked"), another_lineage=("lineage", "forked"), another_vault=("foreign", "forked"),
           too_far_ahead=("next33", "anchor"))
    def test_written_over(self, store, kind):
        self.rewritten(store)
        self.nothing_is_given(kind)
        self.via("unlock", rc=7)
        self.nothing_is_given(kind)
        self.assertIn(SENTENCE[kind], self.read(self.path("agent.log")).decode())
        self.stop_agent()
        self.refused_by_command(kind)

    @cases(rolled_back="base", another_lineage="lineage", another_vault="foreign", the_very_same="now", ahead="next")
    def test_another_file_renamed_onto_it(self, store):
        self.renamed(store)
        self.nothing_is_given("replaced")
        self.assertIn(SENTENCE["replaced"], self.read(self.path("agent.log")).decode())
        self.via("unlock", rc=0 if store in ("now", "next") else 7)
        if store in ("now", "next"):
            self.given(store)

    @cases(rolled_back=("base", "rolled-back"), fork=("sibling", "forked"), fork_further_on=("nephew", "forked"),
           another_lineage=("lineage", "forked"), another_vault=("foreign", "forked"))
    def test_vault_and_anchor_written_over_together(self, store, kind):
        """What no command can notice, a process that has seen more does."""
        self.rewritten(store)
        self.anchor_of(store)
        self.nothing_is_given(kind)
        self.assertIn(SENTENCE[kind], self.read(self.path("agent.log")).decode())

    @cases(removed="no_anchor", of_zeros="blank_anchor")
    def test_its_anchor_is_lost(self, loss):
        """What it has seen it may still give; nothing is written that could not be remembered."""
        getattr(self, loss)()
        self.assertEqual(self.tokens["now"], self.via("get", self.pixel).out.decode())
        before = self.rows()
        e = self.via("put", self.pixel, "--no-check", "--json", stdin=self.token(), rc=7)
        self.assertIn("anchor-missing", e.out.decode())
        self.assertEqual(before, self.rows())
        self.stop_agent()
        self.refused_by_command("anchor-missing")

    def test_its_anchor_is_put_back(self):
        """Behind the vault by less than is remembered is where a crash leaves it: the next change mends that."""
        self.stop_agent()
        self.restore("next")
        self.start_agent()
        self.anchor_of("now")
        self.given("next")
        self.stop_agent()
        self.renamed("next")
        self.refused_by_command("rolled-back")


if __name__ == "__main__":
    unittest.main()
