"""Backups are of one instant, proven, and never half; restoring shows what it costs and loses nothing unsaid."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
import unittest

from harness import AGENT, Case, VAULT, new_pixel, new_token, rng, say


class Backup(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.pixel, self.last = new_pixel(), self.token()
        self.put(self.pixel, self.last, "--no-check")
        self.copy = self.path("copy.backup")

    def step(self, pixel=None):
        token = self.token()
        self.put(pixel or self.pixel, token, "--no-check")
        return token

    def left_over(self, *folders):
        names = [n for f in folders for n in os.listdir(f)]
        return [n for n in names if ".new-" in n or ".restoring-" in n]

    def kept(self):
        return sorted(n for n in os.listdir(self.path("vault")) if ".before-" in n)

    # ---- backup

    def test_a_backup_is_proven_private_and_says_what_it_is(self):
        r = self.vault("backup", self.copy)
        self.assertRegex(r.err, "generation 3, 1 Pixels, 1 tokens|generation 2, 1 Pixels, 1 tokens")
        self.assertRegex(r.out.decode(), r"^checkpoint [0-9a-f]{32}:\d+:[0-9a-f]{64}\n$")
        self.assertEqual(r.out, self.vault("checkpoint").out)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.copy).st_mode))
        self.assertEqual([], [n for n in os.listdir(self.path()) if n.startswith("copy.backup") and n != "copy.backup"])
        self.vault("verify", self.copy)
        self.assertEqual(["copy.backup"], [n for n in os.listdir(self.path()) if n.startswith("copy.backup")])

    def test_json(self):
        b = self.json("backup", self.copy)
        self.assertEqual((True, 1, 1), (b["proven"], b["pixels"], b["tokens"]))
        self.assertEqual(self.json("checkpoint")["checkpoint"], b["checkpoint"])
        j = self.json("restore", self.copy, "--yes")
        self.assertEqual((b["generation"] + 1, 0, 0), (j["generation"], j["lost_pixels"], j["lost_versions"]))
        self.assertTrue(os.path.exists(j["kept"]))

    def test_an_existing_file_is_not_replaced_without_force(self):
        self.write(self.copy, b"mine")
        self.error(8, "backup", self.copy)
        self.assertEqual(b"mine", self.read(self.copy))
        self.vault("backup", self.copy, "--force")
        self.vault("verify", self.copy)

    def test_the_vault_itself_is_never_the_target(self):
        before = self.read(self.file)
        self.error(8, "backup", self.file, "--force")
        self.assertEqual(before, self.read(self.file))
        self.error(2, "restore", self.file, "--yes")
        self.accepted(self.last)

    def test_without_a_key_it_is_copied_and_says_that_nothing_was_proven(self):
        os.rename(self.key, self.key + ".away")
        r = self.vault("backup", self.copy)
        self.assertIn("proven", r.err)
        self.assertEqual(b"", r.out)
        self.assertFalse(self.json("backup", self.copy, "--force")["proven"])
        os.rename(self.key + ".away", self.key)
        self.vault("verify", self.copy)

    def test_a_damaged_vault_gives_no_backup(self):
        with self.damaged():
            pass
        self.error(7, "backup", self.copy)
        self.assertFalse(os.path.exists(self.copy))
        self.assertEqual([], self.left_over(self.path(), self.path("vault")))

    def test_a_folder_that_is_missing_or_read_only(self):
        self.error(3, "backup", self.path("nowhere", "x"))
        self.error(17, "backup", "/proc/x")

    def damaged(self):
        class Nothing:
            def __enter__(self):
                return self

            def __exit__(self, *args):
                return False
        self.sql("UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/t/%'")
        return Nothing()

    # ---- restore

    def accepted(self, token, pixel=None):
        self.assertEqual(token, self.get(pixel or self.pixel))
        self.vault("verify")
        self.vault("audit", "verify")

    def test_restoring_says_what_is_lost_and_keeps_what_was_there(self):
        self.vault("backup", self.copy)
        newer, other = self.step(), new_pixel()
        token = self.step(other)
        r = self.refuses(2, "restore", self.copy)
        self.assertIn("--yes", r.err)
        self.assertEqual(newer, self.get(self.pixel))
        r = self.vault("restore", self.copy, "--yes")
        self.assertIn("Pixel %s with all its versions" % other, r.err)
        self.assertIn("1 of the versions of Pixel %s" % self.pixel, r.err)
        self.accepted(self.last)
        self.error(3, "get", other)
        kept = self.kept()
        self.assertEqual(1, len(kept))
        self.assertIn(kept[0], r.err)
        self.assertIn("restore", self.vault("audit", "show").out.decode())
        # the replaced vault comes back by the same way, with all it had
        self.vault("restore", self.path("vault", kept[0]), "--yes")
        self.accepted(newer)
        self.assertEqual(token, self.get(other))

    def test_a_vault_whose_root_key_was_rotated_is_restored_and_its_log_goes_on(self):
        self.vault("rotate-key")
        self.vault("backup", self.copy)
        self.step()
        self.vault("restore", self.copy, "--yes")
        self.accepted(self.last)
        self.vault("rotate-key")
        self.vault("restore", self.copy, "--yes")  # of the root key before
        self.accepted(self.last)
        self.accepted(self.step())

    def test_the_replaced_file_put_back_by_hand_is_a_fork(self):
        self.vault("backup", self.copy)
        self.step()
        self.vault("restore", self.copy, "--yes")
        kept = self.path("vault", self.kept()[0])
        shutil.copyfile(kept, self.file)
        self.assertEqual("forked", self.error(7, "get", self.pixel)["class"])

    def test_a_backup_put_back_by_hand_is_rolled_back(self):
        self.vault("backup", self.copy)
        self.step()
        shutil.copyfile(self.copy, self.file)
        self.assertEqual("rolled-back", self.error(7, "get", self.pixel)["class"])
        self.vault("restore", self.copy, "--yes")
        self.accepted(self.last)

    def test_a_vault_that_is_gone_damaged_or_without_anchor_is_restored(self):
        self.vault("backup", self.copy)

        def gone():
            shutil.rmtree(self.path("vault"))
            os.mkdir(self.path("vault"), 0o700)

        def rubbish():
            self.write(self.file, b"rubbish" * 1000)

        def records():
            self.sql("DELETE FROM kv WHERE k LIKE 'e1/n/%'")

        def host():
            shutil.rmtree(self.state)
        for harm in (gone, rubbish, records, host):
            harm()
            r = self.vault("restore", self.copy, "--yes")
            with self.subTest(harm.__name__, said=r.err):
                self.accepted(self.last)
        self.step()

    def test_a_file_that_is_no_backup_changes_nothing(self):
        self.vault("backup", self.copy)
        data = self.read(self.copy)
        page = data.index(b"e1/t/")
        cut, edited, text = self.path("cut"), self.path("edited"), self.path("text")
        self.write(cut, data[:len(data) // 2])
        self.write(edited, data[:page - 600] + bytes(b ^ 1 for b in data[page - 600:page - 300]) + data[page - 300:])
        self.write(text, b"hello")
        before = self.files()
        for bad in (cut, edited, text, self.path("vault")):
            for words in (["restore", bad, "--yes"], ["verify", bad]):
                e = self.error(7, *words)
                self.assertTrue(e["hint"], (words, e))
        self.error(3, "restore", self.path("nothing"), "--yes")
        self.assertEqual([], self.left_over(self.path(), self.path("vault")))
        self.assertEqual(before, self.files())
        self.accepted(self.last)

    def test_a_backup_of_another_vault_is_refused(self):
        foreign = self.path("foreign", "vault.db")
        env = dict(self.env, PIXELVAULT_VAULT=foreign, PIXELVAULT_STATE=self.path("foreign-state"))
        self.vault("init", "--key-file", self.key, "--no-recovery", env=env)
        self.vault("backup", self.copy, env=env)
        self.error(8, "restore", self.copy, "--yes")
        self.accepted(self.last)
        other_key = self.path("other.key")
        self.write(other_key, os.urandom(32))
        self.error(6, "restore", self.copy, "--yes", env=dict(self.env, PIXELVAULT_KEY_FILE=other_key))
        self.accepted(self.last)

    # ---- under load, and killed

    def test_a_backup_in_a_storm_of_puts_is_a_state_that_a_reader_could_have_seen(self):
        """Each writer goes on to its next Pixel only when the one before is stored. So in any one instant the versions
        of its two Pixels are equal, or the first is one ahead."""
        pairs = [(new_pixel(), new_pixel()) for _ in range(4)]
        stop = threading.Event()
        broken = []

        def write(pair):
            while not stop.is_set():
                for pixel in pair:
                    r = self.vault("put", pixel, "--no-check", stdin=new_token(), rc=(0, 8))
                    while r.rc:
                        r = self.vault("put", pixel, "--no-check", stdin=new_token(), rc=(0, 8))
        threads = [threading.Thread(target=write, args=(p,)) for p in pairs]
        for t in threads:
            t.start()
        checkpoints = []
        for i in range(20):
            checkpoints.append(self.json("backup", self.path("b%d" % i))["checkpoint"])
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual([], broken)
        generations = [int(c.split(":")[1]) for c in checkpoints]
        self.assertEqual(sorted(generations), generations)
        self.assertGreater(len(set(generations)), 5)
        for i in (0, 7, 13, 19):
            self.vault("restore", self.path("b%d" % i), "--yes")
            self.vault("verify")
            versions = {p["pixel"]: p["version"] for p in self.json("list")["pixels"]}
            for first, second in pairs:
                ahead = (versions.get(first) or 0) - (versions.get(second) or 0)
                self.assertIn(ahead, (0, 1), (i, versions))

    def test_killed_anywhere_a_backup_is_whole_or_not_there(self):
        for _ in range(6):
            self.step(new_pixel())
        for _ in range(12):
            p = self.start("backup", self.copy, "--force")
            time.sleep(rng.random() * 0.06)
            p.kill()
            p.wait()
            if os.path.exists(self.copy):
                self.vault("verify", self.copy)
            self.accepted(self.last)

    def test_killed_anywhere_a_restore_is_done_or_can_be_done_again(self):
        self.vault("backup", self.copy)
        newer = self.step()
        self.save("newer")
        for _ in range(15):
            self.restore("newer")
            p = self.start("restore", self.copy, "--yes")
            time.sleep(rng.random() * 0.06)
            p.kill()
            p.wait()
            r = self.vault("get", self.pixel, rc=(0, 7))
            if r.rc == 0:
                self.assertIn(r.out.decode(), (newer, self.last))
                self.vault("verify")
            else:
                self.assertIn("restore", r.err)
            self.vault("restore", self.copy, "--yes")
            self.accepted(self.last)

    def test_a_running_agent_is_locked_and_opens_the_restored_vault(self):
        self.vault("backup", self.copy)
        newer = self.step()
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        self.start_agent()
        via = {"PIXELVAULT_VAULT": None}
        self.assertEqual(newer, self.vault("get", self.pixel, env=via, says_token=True).out.decode())
        r = self.vault("restore", self.copy, "--yes", env=via)
        self.assertIn("vault unlock", r.err)
        self.vault("get", self.pixel, env=via, rc=4)
        self.vault("unlock", env=via)
        self.assertEqual(self.last, self.vault("get", self.pixel, env=via, says_token=True).out.decode())
        token = self.token()
        self.vault("put", self.pixel, "--no-check", stdin=token, env=via)
        self.stop_agent()
        self.accepted(token)

    def test_a_running_agent_that_nobody_told_notices_and_hands_out_nothing_of_the_replaced_vault(self):
        self.vault("backup", self.copy)
        newer = self.step()
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        self.addCleanup(self.stop_agent)
        self.start_agent()
        via = {"PIXELVAULT_VAULT": None}
        self.assertEqual(newer, self.vault("get", self.pixel, env=via, says_token=True).out.decode())
        self.vault("restore", self.copy, "--yes")  # --vault is given: no agent is asked
        end = time.monotonic() + 30
        while self.vault("get", self.pixel, env=via, rc=None, says_token=True).rc == 0:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.assertIn("unlock", self.error(4, "get", self.pixel, env=via)["hint"])
        self.assertIn(b"another file was put in place", self.read(self.path("agent.log")))
        self.vault("unlock", env=via)
        self.assertEqual(self.last, self.vault("get", self.pixel, env=via, says_token=True).out.decode())

    def test_on_a_new_machine_the_folders_are_made(self):
        self.vault("backup", self.copy)
        shutil.rmtree(self.path("vault"))
        shutil.rmtree(self.state)
        self.vault("restore", self.copy, "--yes")
        self.assertEqual(0o700, stat.S_IMODE(os.stat(self.path("vault")).st_mode))
        self.accepted(self.last)


if __name__ == "__main__":
    unittest.main()
