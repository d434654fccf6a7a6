"""What lies in a swap file after the agent and the command line were made to use it: no piece of a secret (T27). Only
with HYGIENE=1 (make hygiene): it switches on a swap file, which is a matter of the whole machine."""

import contextlib
import os
import socket
import string
import subprocess
import threading
import time
import unittest
import unittest.mock

import harness
from harness import IS_SANITIZED, STEPPER, VAULT, rng, traced
from running_agent import AgentCase
from swapping import Group, Swap, Unable, MIB, page_out, swapped, swapped_out
from test_agent_hygiene import Passphrase, PairsOfTokens
import test_hygiene_memory

ALPHABET = string.ascii_letters + string.digits
PHRASE = "zwiebelring-wolkenkuckuck-marmelade"
# Walks over more memory than there is, forever; nothing in it looks like a token or a key.
HOG = "import mmap\nm = mmap.mmap(-1, %d)\nn = 0\nwhile 1:\n\tn = n %% 127 + 1\n\tfor i in range(0, len(m), 4096): m[i] = n\n"


@unittest.skipUnless(os.environ.get("HYGIENE") == "1", "make hygiene has it: a swap file is switched on")
@unittest.skipIf(IS_SANITIZED, "the sanitizers keep copies of their own")
class Swapping:
    """Brings self.swap, self.group and a process that keeps a mark of its own, which must be found."""
    size, memory = 96 * MIB, 24 * MIB

    def setUp(self):
        # A token of hexadecimal digits shares eight of them with some digest sooner or later.
        wide = unittest.mock.patch.object(harness, "new_token", lambda: "".join(rng.choice(ALPHABET) for _ in range(40)))
        wide.start()
        self.addCleanup(wide.stop)
        super().setUp()
        self.children_in_group = []
        try:
            self.swap = Swap(self.size)
            self.addCleanup(self.swap.off)
            self.group = Group(self.memory)
        except Unable as e:
            self.skipTest("NOT TESTED: %s" % e)
        self.swap.ends_with(self.group)
        self.addCleanup(self.group.close)
        self.addCleanup(self.end_those_in_group)
        self.mark, self.out_before = harness.new_token(), swapped_out()
        self.holder = self.in_group("sh", "-c", "read -r x; echo; read -r y", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdin.write(self.mark.encode() + b"\n")
        self.holder.stdin.flush()
        self.holder.stdout.readline()

    def in_group(self, *words, **more):
        p = subprocess.Popen([*self.group.words, *words], **more)
        self.children_in_group.append(p)
        return p

    def end_those_in_group(self):
        for p in self.children_in_group:
            p.kill()
            p.communicate()

    @contextlib.contextmanager
    def pressed(self):
        """All memory is taken away all the time."""
        over = threading.Event()

        def press():
            while not over.is_set():
                self.group.reclaim()
                time.sleep(0.001)
        presser = threading.Thread(target=press)
        presser.start()
        try:
            yield
        finally:
            over.set()
            presser.join()

    @contextlib.contextmanager
    def hog(self):
        """And more is wanted than there is."""
        hog = self.in_group("python3", "-c", HOG % (2 * self.memory))
        try:
            with self.pressed():
                yield
            self.assertIsNone(hog.poll(), "the hog went on until the end")
        finally:
            hog.kill()
            hog.communicate()

    def pieces_of(self, secrets):
        """[(which, form)] of what lies in the file; what should be found there is."""
        self.group.reclaim()
        found = self.swap.search({"mark": self.mark.encode(), **secrets})
        self.assertIn(("mark", "raw"), found, "the search finds what a process let be swapped out")
        self.assertGreater(swapped_out(), self.out_before)
        return {f for f in found if f[0] != "mark"}


class OfAgent(Swapping, AgentCase):
    def start_agent(self, **more):
        return super().start_agent(prefix=self.group.words, **more)

    def all_are_swapped(self):
        """While it runs: the agent has pages in the file, and its courier, whose libraries have tokens in memory of their own, has none."""
        self.group.reclaim()
        found = {name: swapped(pid) for name, pid in self.processes().items()}
        self.assertEqual({"supervisor": True, "keeper": True, "courier": False}, {name: kib > 0 for name, kib in found.items()}, found)

    def test_no_verb_lets_a_secret_be_swapped_out(self):
        pixel, first = self.pair()
        second = self.more_token(pixel)
        self.start_agent()
        secrets = {"first": first.encode(), "second": second.encode(), "key": self.read(self.key)}
        with self.hog():
            self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, first.encode())
            for what, do in self.verbs(pixel, second.encode()):
                do()
            self.asks(200, "POST", "/v1/lock")
            self.asks(200, "POST", "/v1/unlock", b"")
            self.asks(200, "GET", "/v1/pixels/%s/token" % pixel)
            self.all_are_swapped()
        self.assertEqual(set(), self.pieces_of(secrets))

    def test_a_courier_that_waits_for_tiktok_does_not_let_its_token_be_swapped_out(self):
        pixel, token = self.pair()
        self.start_agent()
        self.asks(200, "PUT", "/v1/pixels/%s/token?check=no" % pixel, token.encode())
        self.emu.fault("silence")
        asked = threading.Thread(target=lambda: self.http("POST", "/v1/pixels/%s/check" % pixel))
        before = self.emu.requests()
        asked.start()
        self.until(lambda: self.emu.requests() > before, 5, "TikTok was asked")
        self.all_are_swapped()
        self.emu.no_faults()
        asked.join()
        self.assertEqual(set(), self.pieces_of({"token": token.encode()}))


class OfPairs(Swapping, PairsOfTokens):
    test_a_refresh_leaves_its_secrets_in_locked_memory_only = test_between_refreshes_only_tokens_are_held = None

    def start_agent(self, **more):
        return super().start_agent(prefix=self.group.words, **more)

    def test_what_renews_a_token_is_not_swapped_out(self):
        self.start_agent()
        secrets = {}
        with self.hog():
            for family, kind in (("accounts", "tt_user"), ("login", "login")):
                secrets.update(("%s.%s" % (family, k), v) for k, v in self.renewed(family, kind, 2).items())
        self.assertEqual(set(), self.pieces_of(secrets))


class OfVerbs(Swapping, test_hygiene_memory.LastMoment):
    """Each verb stands still at each of its system calls, and goes to the swap file."""
    test_no_verb_leaves_a_secret_in_memory = test_the_search_finds_what_a_process_keeps = None
    memory = 1024 * MIB  # what makes a key out of a passphrase takes 256

    def all_out(self, stop):
        """False once `run` has become its command, whose memory is its own business."""
        for pid in self.group.processes():
            with contextlib.suppress(OSError):
                program = os.path.basename(os.readlink("/proc/%d/exe" % pid))
                if program == "true":
                    return False
                if program.startswith("vault"):
                    page_out(pid)
        if stop % 50 == 0:
            self.group.reclaim()
        return True

    def stepped(self, words, stdin, env):
        """Exit status, and at how many stops it was swapped out."""
        ours, theirs = socket.socketpair()
        stepper = self.in_group(STEPPER, self.path("count"), "ask=%d" % theirs.fileno(), VAULT, *words, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=traced(env), cwd=self.dir, pass_fds=[theirs.fileno()])
        stops = 0
        with ours:
            theirs.close()
            stepper.stdin.write(stdin.encode() if isinstance(stdin, str) else stdin)
            stepper.stdin.close()
            stepper.stdin = None
            while ours.recv(1) and self.all_out(stops):
                stops += 1
                ours.sendall(b"g")
        stepper.communicate(timeout=60)
        return stepper.returncode, stops

    def test_no_verb_lets_a_secret_be_swapped_out(self):
        rows = self.rows()
        rows["run"].append((["--file", "T=" + self.pixel, "--", "true"], "", 0))
        looked, stops, found = 0, 0, {}
        for verb, runs in rows.items():
            secrets = self.secrets_now(verb)
            for words, stdin, rc in runs:
                got, count = self.stepped([verb, *words], stdin, dict(self.env, **(self.new_env if verb == "init" else {})))
                if rc is not None:
                    self.assertIn(got, rc if isinstance(rc, tuple) else (rc,), (verb, words))
                looked, stops = looked + 1, stops + count
            for piece in self.pieces_of({**secrets, **self.secrets_now(verb)}):
                found.setdefault(piece, verb)
        harness.notes.append("%d commands were swapped out at %d stops" % (looked, stops))
        self.assertEqual({}, found, "which secret in which form, and the command that let it")


class OfPassphrase(Swapping, harness.Case):
    """What opens the vault is typed, and 256 MiB are filled with what comes of it, while all of that is taken away a few times."""
    size, memory = 384 * MIB, 1024 * MIB
    uses_emulator = False

    def init(self):
        self.configure(vault={"key-file": None})
        self.vault("init", "--passphrase-file", self.write(self.path("phrase"), PHRASE + "\n"), "--no-recovery")

    def test_one_that_is_typed_is_not_swapped_out(self):
        t = harness.Terminal([*self.group.words, VAULT, "list"], dict(self.env, TERM="xterm"), self.dir)
        t.expect("(?i)passphrase")
        t.send(PHRASE[:20])
        time.sleep(0.2)
        self.group.reclaim()
        t.send(PHRASE[20:] + "\n")
        for _ in range(5):
            time.sleep(0.2)
            self.group.reclaim()
        self.assertEqual(0, t.wait(120), t.text())
        self.assertEqual(set(), self.pieces_of({"phrase": PHRASE.encode()}))


if __name__ == "__main__":
    unittest.main()
