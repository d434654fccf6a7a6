"""Secrets of a running agent stay in its locked memory, and are gone from there after `lock` (T27)."""

import json
import os
import re
import socket
import subprocess
import threading
import time
import unittest

from harness import BUILD, IS_SANITIZED, TooLate, cases, new_pixel, spread
from running_agent import AgentCase
from test_hygiene import forms

MEMSCAN = os.path.join(BUILD, "tests", "memscan")
WINDOW = 8


def needles(name, secret):
    """Every 8-byte window of the secret, in each form it could lie about: {name: bytes}."""
    found = {}
    for way, text in (("", secret), ("reversed-", secret[::-1])):
        for i in range(len(text) - WINDOW + 1):
            piece = text[i:i + WINDOW]
            found["%s-%sraw-%d" % (name, way, i)] = piece
            found["%s-%shex-%d" % (name, way, i)] = piece.hex().encode()
            found["%s-%sHEX-%d" % (name, way, i)] = piece.hex().upper().encode()
            found["%s-%sutf16le-%d" % (name, way, i)] = b"".join(bytes([b, 0]) for b in piece)
    try:
        text = secret.decode("ascii")
    except UnicodeDecodeError:
        return found
    for form, whole in forms(text):
        if form.startswith("base64"):
            for i in range(0, len(whole) - 11, 4):
                found["%s-%s-%d" % (name, form, i)] = whole[i:i + 12]
    return found


@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root may look into the agent's memory")
@unittest.skipIf(IS_SANITIZED, "the sanitizers keep copies of their own")
class Searched(AgentCase):
    def setUp(self):
        super().setUp()
        if not os.path.exists(MEMSCAN):
            self.skipTest("no " + MEMSCAN)

    def scan(self, secrets, allowed=("arena",)):
        """Where in the memory of the agent's processes a piece of one of the secrets lies: {(process, what, mapping)}."""
        text = "".join("%s %s\n" % (name, value.hex()) for what, secret in secrets.items() for name, value in needles(what, secret).items())
        hits = set()
        for process, pid in self.processes().items():
            r = subprocess.run([MEMSCAN, str(pid)], input=text.encode(), capture_output=True)
            self.assertEqual(0, r.returncode, "memscan of the " + process)
            lines = r.stdout.decode().splitlines()
            self.assertRegex(lines[-1], r"^searched \d{6,} in \d+$")
            for line in lines[:-1]:
                name, _, mapping = line.split(" ", 2)
                if mapping not in allowed:
                    hits.add((process, name.rsplit("-", 1)[0], mapping))
        return sorted(hits)

    def left(self, secrets, outside=(), **how):
        """Hits that stay, in other processes than these: whoever has the answer may look before the agent has taken its next
        step, or seen that a peer is gone. That it does soon: what only a deadline of two seconds or more wipes has stayed."""
        began = looked = time.monotonic()
        while (found := [h for h in self.scan(secrets, **how) if h[0] not in outside]) and looked - began < 10:
            time.sleep(0.05)
            looked = time.monotonic()
        if not found and looked > began:
            self.assertSoon(looked - began, 1, "until it was gone")
        return found


@spread
class Memory(Searched):
    def secrets_at_work(self):
        """A Pixel with a proven token, its second token, and all the secrets there are."""
        pixel, first = self.pair()
        second = self.more_token(pixel)
        self.start_agent()
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, first.encode())
        return pixel, second.encode(), {"first": first.encode(), "second": second.encode(), "key": self.read(self.key)}

    def test_the_search_finds_what_lies_there(self):
        """Else the tests below would prove nothing: a process that holds a secret is found, in all forms."""
        pixel, first = self.pair()
        self.start_agent()
        secrets = {"first": first.encode()}
        self.asks(200, "PUT", "/v1/pixels/%s/token?check=no" % pixel, first.encode())
        marks = {"mark": b"vault-agent --keeper"[6:20]}
        self.assertTrue(self.scan(marks), "a text that stands in the program itself")
        held = subprocess.Popen(["sh", "-c", "x=$1; read y", "sh", first], stdin=subprocess.PIPE)
        try:
            r = subprocess.run([MEMSCAN, str(held.pid)], capture_output=True,
                               input="".join("%s %s\n" % (n, v.hex()) for n, v in needles("first", secrets["first"]).items()).encode())
            self.assertIn(b"first-raw-0 ", r.stdout)
            self.assertIn(b"first-raw-32 ", r.stdout)
        finally:
            held.communicate(b"\n")

    def test_every_verb_leaves_tokens_and_key_in_locked_memory_only(self):
        pixel, second, secrets = self.secrets_at_work()
        found = [("put",) + hit for hit in self.left(secrets)]
        for what, do in self.verbs(pixel, second):
            do()
            found += [(what,) + hit for hit in self.left(secrets)]
        self.assertEqual([], found)

    def test_after_lock_nothing_is_left_anywhere(self):
        pixel, second, secrets = self.secrets_at_work()
        for what, do in self.verbs(pixel, second):
            do()
        self.asks(200, "POST", "/v1/lock")
        self.assertEqual([], self.left(secrets, allowed=()))
        self.assertEqual("locked", self.asks(503, "GET", "/v1/pixels/%s/token" % pixel)["type"])
        self.assertEqual([], self.left(secrets, allowed=()))
        self.asks(200, "POST", "/v1/unlock", b"")
        self.asks(200, "GET", "/v1/pixels/%s/token" % pixel)
        self.assertEqual([], self.left(secrets))
        self.asks(200, "POST", "/v1/lock")
        self.assertEqual([], self.left(secrets, allowed=()))

    def test_a_wrong_key_leaves_nothing(self):
        pixel, second, secrets = self.secrets_at_work()
        self.asks(200, "POST", "/v1/lock")
        wrong = os.urandom(32)
        self.asks(500, "POST", "/v1/unlock", wrong)
        self.assertEqual([], self.left({"wrong": wrong}, allowed=()))
        self.assertEqual(400, self.http("POST", "/v1/unlock", wrong + b"longer than a key may be")[0])
        self.assertEqual([], self.left({"wrong": wrong}, allowed=()))

    @cases(cut_head=b"PUT /v1/pixels/%s/token HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n%s",
           chunked=b"PUT /v1/pixels/%s/token?check=no HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n%s")
    def test_a_connection_that_breaks_inside_a_put(self, request):
        """What a peer sent is gone with the peer."""
        pixel, second, secrets = self.secrets_at_work()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            s.sendall(request % (pixel.encode(), second[:36]))
            time.sleep(0.2)
        self.asks(200, "GET", "/healthz")
        self.assertEqual([], self.left({"second": second[:36]}))

    def test_a_token_where_it_does_not_belong_is_not_sent_back(self):
        pixel, second, secrets = self.secrets_at_work()
        for method, where in (("GET", "/v1/pixels/%s/token"), ("GET", "/v1/pixels/%s"), ("GET", "/v1/pixels/%s/history"),
                              ("POST", "/v1/pixels/%s/check"), ("DELETE", "/v1/pixels/%s"),
                              ("GET", "/v1/pixels/" + pixel + "/token?version=%s"), ("GET", "/%s"),
                              ("GET", "/v1/pixels?label=%s"), ("GET", "/v1/pixels?label=%s="),
                              ("GET", "/v1/pixels?%s=1"), ("GET", "/v1/access?user=%s&pixel=" + pixel),
                              ("PUT", "/v1/pixels/%s/token")):
            status, head, body = self.http(method, where % second.decode(), second if method == "PUT" else None)
            self.assertGreaterEqual(status, 400, where)
            self.assertNotIn(second, body + str(head).encode(), where)
        self.assertEqual(0, self.end_agent())
        for name, data in dict(self.files(), log=self.log().encode()).items():
            self.assertNotIn(second, data, name)

    def test_a_silent_tiktok(self):
        """While a probe hangs libcurl holds the token, in the courier; nobody else does, and nobody afterwards."""
        pixel, second, secrets = self.secrets_at_work()
        self.emu.fault("silence")
        t = threading.Thread(target=lambda: self.http("POST", "/v1/pixels/%s/check" % pixel))
        before = self.emu.requests()
        t.start()
        self.until(lambda: self.emu.requests() > before, 5, "TikTok was asked")
        hits = self.left(secrets, outside=("courier",))
        if not t.is_alive():
            raise TooLate("the probe is over")
        self.emu.no_faults()
        t.join()
        self.assertEqual([], hits)
        self.assertEqual([], self.left(secrets))

    def test_neither_arguments_nor_environments_nor_descriptors(self):
        pixel, second, secrets = self.secrets_at_work()
        for what, do in self.verbs(pixel, second):
            do()
        self.assertEqual({"supervisor", "keeper", "courier"}, set(self.processes()))
        for process, pid in self.processes().items():
            for name in ("cmdline", "environ", "comm"):
                data = self.read("/proc/%d/%s" % (pid, name))
                for secret in secrets.values():
                    self.assertNotIn(secret[:WINDOW], data, "%s of the %s" % (name, process))
            limits = self.read("/proc/%d/limits" % pid).decode()
            self.assertRegex(limits, r"Max core file size\s+0\s", process)
            if process == "courier":
                self.assertEqual(b"", self.read("/proc/%d/environ" % pid), "it is started with nothing of ours")
                for fd in os.listdir("/proc/%d/fd" % pid):
                    self.assertNotIn(self.home, os.readlink("/proc/%d/fd/%s" % (pid, fd)))

    def test_the_courier_is_locked_with_its_heap(self):
        """Its libraries have what is asked and answered in memory of their own; without the right to lock so much it works too."""
        pixel, second, secrets = self.secrets_at_work()
        size = {k: int(v) for k, v in re.findall(r"(VmSize|VmLck):\s+(\d+) kB", self.read("/proc/%d/status" % self.processes()["courier"]).decode())}
        self.assertGreater(size["VmLck"], size["VmSize"] * 0.9)
        self.end_agent()
        self.start_agent(prefix=["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "prlimit", "--memlock=8388608"])
        self.asks(200, "POST", "/v1/pixels/%s/check" % pixel)

    def test_log_audit_and_vault_folder(self):
        pixel, second, secrets = self.secrets_at_work()
        for what, do in self.verbs(pixel, second):
            do()
        self.emu.fault("echo-token")
        self.http("POST", "/v1/pixels/%s/check" % pixel)
        self.emu.no_faults()
        self.assertEqual(0, self.end_agent())
        places = dict(self.files(), log=self.log().encode())
        self.assertTrue([name for name in places if "audit" in name], "the audit log is among them")
        for name, data in places.items():
            for what, secret in secrets.items():
                for needle_name, needle in needles(what, secret).items():
                    self.assertNotIn(needle, data, "%s in %s" % (needle_name, name))
        self.assertNotIn(pixel.encode(), b"".join(data for name, data in places.items() if "audit" in name))

    def test_the_same_user_cannot_look(self):
        self.start_agent()
        for process, pid in self.processes().items():
            status = self.read("/proc/%d/status" % pid).decode()
            self.assertEqual(0, os.stat("/proc/%d/mem" % pid).st_uid, "undumpable: its files belong to root")
            self.assertNotRegex(status, r"TracerPid:\s+[1-9]")
            r = subprocess.run(["cat", "/proc/%d/environ" % pid], user=65534, group=65534, extra_groups=[], capture_output=True)
            self.assertIn(b"ermission", r.stderr, process)


class Passphrase(Searched):
    """On a vault that opens with a passphrase the agent starts locked, and the passphrase never reaches it."""
    phrase = "zwiebelring-wolkenkuckuck-marmelade"

    def init(self):
        self.write(self.path("phrase"), self.phrase + "\n")
        self.configure(vault={"key-file": None})
        self.vault("init", "--passphrase-file", self.path("phrase"), "--no-recovery")

    def test_it_never_gets_the_passphrase(self):
        self.start_agent(ready=False)
        secrets = {"phrase": self.phrase.encode()}
        self.assertTrue(self.health()["locked"])
        r = self.vault("unlock", rc=None, env={"PIXELVAULT_PASSPHRASE_FILE": self.path("phrase"), "PIXELVAULT_VAULT": None})
        if "no command" in r.err:
            self.skipTest("NOT TESTED: vault has no 'unlock' yet")
        self.assertEqual(0, r.rc, r.err)
        self.assertFalse(self.health()["locked"])
        self.assertEqual([], self.left(secrets, allowed=()))
        self.vault("lock", env={"PIXELVAULT_VAULT": None})
        self.assertTrue(self.health()["locked"])
        self.assertEqual([], self.left(secrets, allowed=()))


class PairsOfTokens(Searched):
    """What renews a token lies in locked memory only, in keeper and courier, and not for longer than it is needed."""
    check = {"interval": "90d"}

    def configure(self, **sections):
        tiktok = {"login-url": self.emu.base_url.replace("/open_api/v1.3", "/v2")}
        super().configure(tiktok=tiktok, **sections)

    def given(self, family, kind, life, how=""):
        """A pair that the agent will renew: its Pixel, and everything that is secret about it."""
        pixel, access, refresh = new_pixel(), "act." + self.token(), "rft." + self.token()
        self.emu.knob("refresh", "keeps")
        self.emu.pixel(pixel)
        self.emu.ctl("token", access, "pixels=" + pixel, "kind=" + kind, "scopes=8", "refresh=" + refresh)
        doc = {"client_id": "7012345678901234567", "client_secret": "emulator-app-secret", "refresh_token": refresh,
               "access_token": access, "expires_in": life}
        self.asks(200, "PUT", "/v1/pixels/%s/token?family=%s&test-code=T1%s" % (pixel, family, how), json.dumps(doc).encode())
        return pixel, {"access": access[4:].encode(), "refresh": refresh[4:].encode(), "client-secret": b"r-app-secret"}

    def renewed(self, family, kind, life):
        """One that it has renewed."""
        pixel, secrets = self.given(family, kind, life)
        self.until(lambda: self.asks(200, "GET", "/v1/pixels/" + pixel)["pixels"][0]["current"]["version"] == 2, 20, "renewed")
        return dict(secrets, new=self.asks(200, "GET", "/v1/pixels/%s/token" % pixel)[4:])

    def scan_each(self, secrets, **how):
        """One by one: the search takes so many pieces at a time."""
        return [hit for name, secret in secrets.items() for hit in self.left({name: secret}, **how)]

    def test_a_refresh_leaves_its_secrets_in_locked_memory_only(self):
        self.start_agent()
        found = []
        for family, kind in (("accounts", "tt_user"), ("login", "login")):
            secrets = self.renewed(family, kind, 2)
            found += [(family,) + hit for hit in self.scan_each(secrets)]
        self.assertEqual([], found)

    def test_between_refreshes_only_tokens_are_held(self):
        self.start_agent()
        secrets = self.renewed("accounts", "tt_user", 2)
        del secrets["access"], secrets["new"]  # handed out from memory, sealed
        time.sleep(1)
        self.assertEqual([], self.scan_each(secrets, allowed=()))

    def test_a_pair_that_came_when_its_vault_was_damaged_is_not_kept(self):
        self.start_agent()
        other, token = self.pair()
        self.put(other, token, "--no-check", "--test-code", "T1")
        self.emu.knob("delay-ms", 4000)
        pixel, secrets = self.given("accounts", "tt_user", 2, "&check=no")
        self.until(lambda: self.emu.requests() > 0, 20, "TikTok was asked to renew it")
        began = time.monotonic()
        # Or the next refresh wiped what the first brought.
        self.vault("rm", "--destroy", "--yes", pixel, env={"PIXELVAULT_SOCKET": "none"})
        [(root,)] = self.sql("select v from kv where k = 'root'")
        self.sql("update kv set v = zeroblob(length(v)) where k = 'root'")
        self.until(lambda: self.health()["locked"], 20, "it has seen that")
        self.sql("update kv set v = ? where k = 'root'", root)
        self.asks(200, "POST", "/v1/unlock", b"")
        self.assertStill(time.monotonic() - began, 3.8, "TikTok has answered")
        # By the time of this answer the agent has had that one.
        self.asks(200, "POST", "/v1/pixels/%s/check" % other)
        self.assertEqual([], self.scan_each({"refresh": secrets["refresh"]}, allowed=(), outside=("courier",)))


if __name__ == "__main__":
    unittest.main()
