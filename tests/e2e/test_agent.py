"""The agent that stays: what it does by itself (schedule, watching, restarting) and what happens when it is hurt."""

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import harness
from harness import PATIENCE, Case, UnixConnection, cases, descendants, is_there, new_pixel, new_token, spread


class AgentCase(Case):
    check = {"confirm-delay": "1s", "interval": "90d"}
    starts = True

    def setUp(self):
        super().setUp()
        self.addCleanup(self.stop_agent)
        if self.starts:
            self.start_agent()

    def configure(self, more="", **sections):
        if not harness.VIA_AGENT:
            more = "[agent]\nsocket = %s\n" % self.socket + more
        super().configure(more=more, **sections)

    def start_agent(self):
        # What is tested with the command line here goes through the agent; `direct` does not.
        self.env.pop("PIXELVAULT_VAULT", None)
        super().start_agent()

    def ask(self, method, path, body=None, headers=None, timeout=30):
        connection = UnixConnection(self.socket, timeout * PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def token_of(self, pixel):
        status, body = self.ask("GET", "/v1/pixels/%s/token" % pixel)
        return body.decode() if status == 200 else None

    def row(self, pixel):
        status, body = self.ask("GET", "/v1/pixels/" + pixel)
        self.assertEqual(200, status, body)
        return json.loads(body)["pixels"][0]

    def direct(self, *args, **more):
        more["env"] = {**more.get("env", {}), "PIXELVAULT_VAULT": self.file}
        return self.vault(*args, **more)

    def process(self, word):
        for pid in descendants(self.keeper.pid):
            with contextlib.suppress(OSError):
                if word.encode() in self.read("/proc/%d/cmdline" % pid).split(b"\0"):
                    return pid
        return None

    def log(self):
        return self.read(self.path("agent.log")).decode("utf-8", "replace")

    def until(self, what, condition, seconds=30):
        end = time.monotonic() + max(seconds, 30) * PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail("never: %s\n%s" % (what, self.log()))
            time.sleep(0.02)

    def crash(self, *words):
        """Ends processes the hard way; all of the agent ends with them (but for the courier, which comes again)."""
        for pid in [p for p in map(self.process, words) if p]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def is_gone(self):
        self.keeper.wait(60 * PATIENCE)
        self.keeper = None


class Watching(AgentCase):
    def write_over(self, path, data):
        """Never cut to nothing, not for a moment: who has a file mapped and looks then is ended by the kernel."""
        with open(path, "r+b") as f:
            f.write(data)
            f.truncate()

    def test_a_direct_put_is_seen_within_a_second(self):
        pixel = new_pixel()
        for _ in range(8):
            token = new_token()
            self.direct("put", pixel, "--no-check", stdin=token)
            done = time.monotonic()
            self.until("the new token", lambda: self.token_of(pixel) == token, 1)
            self.assertSoon(time.monotonic() - done, 1)

    def test_who_put_through_the_agent_reads_his_own_token_at_once(self):
        pixel = new_pixel()
        for _ in range(50):
            token = new_token()
            status, body = self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, token)
            self.assertEqual(200, status, body)
            self.assertEqual(token, self.token_of(pixel))

    def test_a_put_that_asks_nothing_has_no_outcome(self):
        pixel, token = self.stored()
        for target, outcome, verdict in (("", None, "healthy"), ("?check=no", None, "healthy")):
            status, body = self.ask("PUT", "/v1/pixels/%s/token%s" % (pixel, target), token)
            doc = json.loads(body)
            self.assertEqual((200, True, outcome, verdict), (status, doc["unchanged"], doc["outcome"], doc["verdict"]), doc)
        status, body = self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, self.more_token(pixel))
        self.assertEqual((None, "unchecked"), (json.loads(body)["outcome"], json.loads(body)["verdict"]), body)
        status, body = self.ask("PUT", "/v1/pixels/%s/token" % pixel, self.more_token(pixel))
        self.assertEqual(("healthy", "healthy"), (json.loads(body)["outcome"], json.loads(body)["verdict"]), body)

    def test_a_direct_rm_and_restore_are_seen(self):
        pixel, token = new_pixel(), new_token()
        self.direct("put", pixel, "--no-check", stdin=token)
        self.until("there", lambda: self.token_of(pixel) == token, 1)
        self.direct("rm", pixel)
        self.until("gone", lambda: self.token_of(pixel) is None, 1)
        self.direct("rm", pixel, "--restore")
        self.until("back", lambda: self.token_of(pixel) == token, 1)

    def test_an_older_vault_put_in_its_place_locks_it_and_says_why(self):
        pixel = new_pixel()
        self.direct("put", pixel, "--no-check", stdin=new_token())
        self.stop_agent()
        self.save("old")
        self.start_agent()
        self.direct("put", pixel, "--no-check", stdin=new_token())
        self.stop_agent()
        self.start_agent()
        for name in os.listdir(self.path("saved", "old", "vault")):
            if not name.endswith(".lock"):
                self.write_over(self.path("vault", name), self.read(self.path("saved", "old", "vault", name)))
        self.until("locked, for that reason", lambda: "older" in ((self.health() or {}).get("reason") or ""), 5)
        self.assertTrue(self.health()["locked"])
        self.assertEqual(503, self.ask("GET", "/v1/pixels/%s/token" % pixel)[0])


@spread
class Damaged(AgentCase):
    """One Pixel's own records: the agent does as the direct commands do, and the others never notice."""
    starts = False

    def setUp(self):
        super().setUp()
        self.tokens = {}
        known = set()
        for _ in range(3):
            pixel, token = new_pixel(), new_token()
            self.direct("put", pixel, "--no-check", stdin=token)
            self.tokens[pixel] = token
            fresh = set(self.ids()) - known
            known |= fresh
            self.bad, self.keyed = pixel, fresh.pop()
        self.others = [p for p in self.tokens if p != self.bad]

    def ids(self):
        return [k.split(b"/")[2].decode() for k, in self.sql("SELECT k FROM kv WHERE k LIKE 'e%/m/%'")]

    def damage(self, kind):
        rows = self.sql("SELECT k, v FROM kv WHERE k LIKE ?", "e%/" + kind + "/" + self.keyed + "%")
        self.assertEqual(1, len(rows))
        self.write_row(rows[0][0], bytes(len(rows[0][1])))
        return rows[0]

    def write_row(self, key, value):
        """As a writer would: what watches the store's own numbers sees it with the next commit."""
        self.sql("UPDATE kv SET v = ?, mod = (SELECT max(mod) + 1 FROM kv) WHERE k = ?", value, key.decode())

    def nudge(self):
        """A commit of somebody else's, seen by the agent."""
        pixel, token = self.others[0], new_token()
        self.direct("put", pixel, "--no-check", stdin=token)
        self.tokens[pixel] = token
        self.until("the new token", lambda: self.token_of(pixel) == token, 2)

    def both(self, rc, *words):
        """Through the agent and past it: the same end in the same words."""
        a, b = (run(*words, rc=rc) for run in (self.vault, self.direct))
        self.assertEqual(b.err, a.err, words)
        return a

    def is_local(self, metadata):
        for pixel in self.others:
            self.assertEqual(self.tokens[pixel], self.both(0, "get", pixel).out.decode())
            self.both(0, "status", pixel)
        self.both(7, "get", self.bad)
        status, body = self.ask("GET", "/v1/pixels/%s/token" % self.bad)
        answer = json.loads(body)
        self.assertEqual((500, "damaged", 7), (status, answer["type"], answer["exit"]), body)
        for words in (["status"], ["list"], ["status", self.bad], ["list", "--json"]):
            self.both(7 if metadata else 0, *words)
        self.both(3, "get", "C0U2T02IU8J6B9GC2B90")
        self.assertFalse(self.health()["locked"])

    def is_whole(self):
        for pixel, token in self.tokens.items():
            self.assertEqual(token, self.both(0, "get", pixel).out.decode())
        self.both(0, "status")

    @cases(metadata="m", token="t")
    def test_from_the_start(self, kind):
        key, value = self.damage(kind)
        self.start_agent()
        self.is_local(kind == "m")
        self.assertIn("1 Pixel is damaged", self.log())
        self.assertIn("vault verify", self.log())
        self.write_row(key, value)
        self.nudge()
        self.is_whole()

    @cases(metadata="m", token="t")
    def test_while_it_runs(self, kind):
        self.start_agent()
        self.is_whole()
        key, value = self.damage(kind)
        self.nudge()
        if kind == "t":
            # Tokens are written with metadata that name them: only then they are looked at again.
            self.direct("label", self.bad, "seen=yes")
            self.nudge()
        self.is_local(kind == "m")
        self.write_row(key, value)
        self.nudge()
        self.is_whole()


class Waiting(AgentCase):
    def test_reads_go_on_while_tiktok_is_silent(self):
        pixel, token = self.pair()
        self.assertEqual(200, self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, token)[0])
        self.emu.fault("silence")
        new = self.more_token(pixel)
        slow = threading.Thread(target=self.ask, args=("PUT", "/v1/pixels/%s/token" % pixel, new))
        check = threading.Thread(target=self.ask, args=("POST", "/v1/check"))
        slow.start()
        check.start()
        longest = 0
        while slow.is_alive():
            started = time.monotonic()
            self.assertEqual(token, self.token_of(pixel))
            longest = max(longest, time.monotonic() - started)
            time.sleep(0.01)
        check.join()
        self.emu.no_faults()
        self.assertSoon(longest, 1.5)
        self.assertStill(longest, 4, "TikTok is silent for 5 s")

    def test_a_reader_that_waits_is_woken_by_the_next_version(self):
        pixel = new_pixel()
        self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, new_token())
        answers = []
        waiters = [threading.Thread(target=lambda: answers.append(self.ask(
            "GET", "/v1/pixels/%s/token" % pixel, headers={"If-None-Match": '"1"', "Prefer": "wait=20"}))) for _ in range(5)]
        for w in waiters:
            w.start()
        time.sleep(0.3)
        self.assertEqual([], answers)
        token = new_token()
        self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, token)
        for w in waiters:
            w.join(30 * PATIENCE)
        self.assertEqual([(200, token.encode())] * 5, answers)

    def test_nothing_new_is_304_when_the_time_is_over(self):
        pixel = new_pixel()
        self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, new_token())
        started = time.monotonic()
        status, body = self.ask("GET", "/v1/pixels/%s/token" % pixel,
                                headers={"If-None-Match": '"1"', "Prefer": "wait=1"})
        self.assertEqual((304, b""), (status, body))
        self.assertGreater(time.monotonic() - started, 0.9)

    def test_who_read_is_known_at_once_and_after_a_restart(self):
        pixel = new_pixel()
        self.put(pixel, new_token(), "--no-check")
        readers = ["till-%d" % i for i in range(5)]
        for name in readers:
            self.ask("GET", "/v1/pixels/%s/token" % pixel, headers={"X-Consumer": name})
        self.assertLessEqual(set(readers), set(self.vault("rollout", pixel).out.decode().split()))
        # What was read just before the end is stored on the way out.
        self.ask("GET", "/v1/pixels/%s/token" % pixel, headers={"X-Consumer": "late"})
        self.stop_agent()
        self.assertIn("late", self.direct("rollout", pixel).out.decode().split())

    def test_nobody_asks_and_who_read_is_stored_within_two_seconds(self):
        pixel = new_pixel()
        self.put(pixel, new_token(), "--no-check")
        self.ask("GET", "/v1/pixels/%s/token" % pixel, headers={"X-Consumer": "quiet"})
        read = time.monotonic()
        self.until("it is in the file", lambda: "quiet" in self.direct("rollout", pixel).out.decode().split())
        self.assertSoon(time.monotonic() - read, 2)

    def test_eight_writers_and_a_reader_lose_nothing(self):
        pixels = [new_pixel() for _ in range(8)]
        problems = []

        def write(pixel):
            for _ in range(25):
                status, body = self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, new_token())
                if status != 200:
                    problems.append(body)

        writers = [threading.Thread(target=write, args=(p,)) for p in pixels]
        for w in writers:
            w.start()
        for w in writers:
            w.join()
        self.assertEqual([], problems)
        for pixel in pixels:
            self.assertEqual(25, self.row(pixel)["current"]["version"])
        self.stop_agent()
        self.direct("verify")


class Schedule(AgentCase):
    check = {"confirm-delay": "1s", "interval": "2s"}
    starts = False

    def prepared(self, count, test_code="TEST12345"):
        pairs = [self.stored(test_code) for _ in range(count)]
        return [p for p, _ in pairs], [t for _, t in pairs]

    def asked_times(self, pixel):
        return len(self.emu.log(pixel))

    def test_each_pixel_is_asked_about_once_per_interval(self):
        pixels, _ = self.prepared(3)
        before = {p: self.asked_times(p) for p in pixels}
        self.start_agent()
        started = time.monotonic()
        time.sleep(7)
        asked = [self.asked_times(p) - before[p] for p in pixels]
        self.assertStill(time.monotonic() - started, 9, "there was time for more")
        for n in asked:
            self.assertIn(n, range(2, 6), self.log())
        self.assertEqual("healthy", self.row(pixels[0])["verdict"])

    def test_a_revoked_token_is_believed_after_a_second_look_and_said_once(self):
        pixels, tokens = self.prepared(4)
        self.start_agent()
        self.emu.revoke(tokens[0])
        self.until("revoked", lambda: self.row(pixels[0])["verdict"] == "revoked", 15)
        self.assertEqual(tokens[0], self.token_of(pixels[0]), "a verdict takes no token away")
        for p in pixels[1:]:
            self.assertEqual("healthy", self.row(p)["verdict"])
        time.sleep(3)
        lines = [l for l in self.log().splitlines() if "revoked" in l]
        self.assertEqual(1, len(lines), self.log())
        self.assertIn(pixels[0], lines[0])
        self.emu.works_again(tokens[0])
        self.until("healthy", lambda: self.row(pixels[0])["verdict"] == "healthy", 15)

    def test_one_bad_answer_changes_nothing(self):
        pixels, tokens = self.prepared(3)
        self.start_agent()
        self.emu.fault("code-40105", times=1)
        time.sleep(5)
        for p in pixels:
            self.assertEqual("healthy", self.row(p)["verdict"], self.log())
        self.assertNotIn("revoked", self.log())

    def test_all_refused_at_once_is_taken_for_an_outage(self):
        pixels, tokens = self.prepared(6)
        # Far apart, so that two outages are not three: the gap is a sixth of the interval, here longer than the test.
        self.configure(check={"interval": "60s"})
        self.direct("check", rc=None)
        for t in tokens:
            self.emu.revoke(t)
        self.configure(check={"interval": "2s", "confirm-delay": "2s"})
        self.start_agent()
        # The second look at each agrees; the third agreeing sweep in a row would rightly be believed.
        self.until("a second look", lambda: self.log().count("looks like an outage") >= 2, 10)
        rows = [self.row(p)["verdict"] for p in pixels]
        for t in tokens:
            self.emu.works_again(t)
        self.assertGreaterEqual(rows.count("healthy"), 5, self.log())

    def test_a_token_that_could_not_be_judged_takes_over_when_it_is_proven(self):
        pixel, token = self.stored()
        new = self.more_token(pixel)
        self.emu.fault("code-50000")
        self.put(pixel, new, rc=9)
        self.emu.no_faults()
        self.start_agent()
        self.until("taken over", lambda: self.token_of(pixel) == new, 15)

    def test_a_restart_asks_nothing_that_is_not_due(self):
        pixels, _ = self.prepared(5)
        self.configure(check={"interval": "90d"})
        self.direct("check")
        before = self.emu.requests()
        for _ in range(4):
            self.start_agent()
            self.crash("--keeper")
            self.is_gone()
        self.start_agent()
        time.sleep(1)
        self.assertEqual(before, self.emu.requests())

    def test_throttled_it_stops_asking_also_after_a_crash(self):
        pixels, _ = self.prepared(4)
        self.start_agent()
        self.emu.fault("code-40100")
        self.until("throttled twice", lambda: sum(l["code"] == "40100" for l in self.emu.log()) >= 2, 15)
        time.sleep(0.5)
        before = self.emu.requests()
        self.crash("--keeper")
        self.is_gone()
        self.start_agent()
        time.sleep(4)
        self.assertLessEqual(self.emu.requests() - before, 1, self.log())


class WornOut(AgentCase):
    check = {"rate": 10000, "interval": "90d"}

    def test_a_courier_that_cannot_ask_makes_room_for_another_however_busy_it_is(self):
        pixel, _ = self.stored()

        def checked():
            return json.loads(self.ask("POST", "/v1/pixels/%s/check" % pixel)[1])["exit"]

        def is_another():
            for _ in range(20):  # without a pause
                checked()
            return self.process("--courier") not in (None, first)

        self.assertEqual(0, checked())
        first = self.process("--courier")
        self.emu.knob("cert", "expired")
        self.emu.ctl("drop")
        self.assertEqual(9, checked())
        self.until("another courier", is_another, 15)
        self.emu.knob("cert", "good")
        self.until("it asks", lambda: checked() == 0, 10)


class Crashing(AgentCase):
    def test_a_dead_courier_is_replaced_and_its_question_answered_as_unreachable(self):
        pixel, token = self.stored()
        self.emu.fault("silence")
        answers = []
        check = threading.Thread(target=lambda: answers.append(self.ask("POST", "/v1/pixels/%s/check" % pixel)))
        check.start()
        time.sleep(0.7)
        first = self.process("--courier")
        self.crash("--courier")
        check.join(60 * PATIENCE)
        self.emu.no_faults()
        doc = json.loads(answers[0][1])
        self.assertEqual(("healthy", "unreachable"), (doc["pixels"][0]["verdict"],
                                                      doc["pixels"][0]["last_attempt"]["outcome"]), doc)
        self.until("another courier", lambda: self.process("--courier") not in (None, first), 5)
        status, body = self.ask("POST", "/v1/pixels/%s/check" % pixel)
        self.assertEqual((200, 0), (status, json.loads(body)["exit"]), body)

    def test_no_acknowledged_write_is_lost_whenever_it_is_killed(self):
        pixel = new_pixel()
        acknowledged, tried = None, set()
        rounds = 12
        for _ in range(rounds):
            if not self.keeper:
                self.start_agent()
            stop = threading.Event()
            state = {"ack": acknowledged}

            def write():
                while not stop.is_set():
                    token = new_token()
                    tried.add(token)
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        if self.ask("PUT", "/v1/pixels/%s/token?check=no" % pixel, token)[0] == 200:
                            state["ack"] = token
                            continue
                    return state.update(open=token)

            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(random.uniform(0.01, 0.25))
            self.crash(*random.choice([("--keeper",), ("--keeper", "--courier")]))
            stop.set()
            writer.join(60 * PATIENCE)
            self.is_gone()
            self.start_agent()
            now = self.token_of(pixel)
            self.assertIn(now, {state["ack"], state.get("open")}, "neither the last acknowledged nor the open one")
            acknowledged = now
        self.stop_agent()
        self.direct("verify")
        self.direct("audit", "verify")
        harness.notes.append("killed %d times among %d puts, nothing acknowledged lost" % (rounds, len(tried)))

    def test_killed_it_leaves_no_process_behind_and_its_socket_is_taken_over(self):
        pids = descendants(self.keeper.pid)
        self.assertGreaterEqual(len(pids), 3)
        os.kill(self.keeper.pid, signal.SIGKILL)
        self.is_gone()
        self.until("all gone", lambda: not any(map(is_there, pids)), 5)
        self.assertTrue(os.path.exists(self.socket), "nobody could take it away")
        self.start_agent()
        self.assertEqual(200, self.ask("GET", "/healthz")[0])

    def test_a_second_agent_refuses_and_harms_nothing(self):
        second = subprocess.run([harness.AGENT, "--config", self.config], env=self.env, capture_output=True,
                                timeout=20 * PATIENCE)
        self.assertEqual(8, second.returncode, second.stderr)
        self.assertIn(b"hint:", second.stderr)
        self.assertEqual(200, self.ask("GET", "/healthz")[0])


    def test_a_second_agent_behind_another_socket_serves_nothing(self):
        second = self.path("second.ini")
        os.mkdir(self.path("second"), 0o700)
        self.write(second, self.read(self.config).decode().replace(self.socket, self.path("second/agent.sock")))
        os.chmod(second, 0o600)
        log = open(self.path("second.log"), "w+")
        self.addCleanup(log.close)
        p = subprocess.Popen([harness.AGENT, "--config", second], env=self.env, cwd=self.dir, stdout=log, stderr=log)
        self.addCleanup(lambda: (p.kill(), p.wait()))
        self.until("the second says why it is locked", lambda: "another agent serves" in self.read(self.path("second.log")).decode())
        self.assertTrue(self.health()["ready"], "the first goes on")
        p.terminate()
        self.assertEqual(0, p.wait(60 * PATIENCE))


class Audited(AgentCase):
    def test_an_agent_whose_log_is_gone_is_not_ready_until_it_is_back(self):
        pixel = new_pixel()
        self.put(pixel, new_token(), "--no-check")
        log = [os.path.join(self.state, n) for n in os.listdir(self.state) if n.endswith(".audit.log")][0]
        os.rename(log, log + ".away")
        self.assertIsNone(self.token_of(pixel))
        self.assertEqual(503, self.ask("GET", "/healthz?ready=1")[0])
        self.assertTrue(self.health()["degraded"])
        os.rename(log + ".away", log)
        self.until("it is ready again by itself", lambda: self.ask("GET", "/healthz?ready=1")[0] == 200)
        self.assertIsNotNone(self.token_of(pixel))


class Signals(AgentCase):
    def hup(self):
        before = self.log().count("reloaded")
        self.keeper.send_signal(signal.SIGHUP)
        self.until("an answer to SIGHUP", lambda: self.log().count("reloaded") > before, 5)

    def test_a_bad_configuration_keeps_the_old_one(self):
        good = self.read(self.config)
        self.write(self.config, good + b"[bogus]\nkey = 1\n")
        self.hup()
        self.assertIn("unknown section", self.log())
        self.assertIn("not reloaded", self.log())
        self.assertEqual(200, self.ask("GET", "/v1/pixels")[0])
        self.write(self.config, good)
        self.hup()
        self.assertIn("configuration reloaded", self.log())

    def test_told_twice_at_once_it_ends_in_order(self):
        for _ in range(3):
            self.keeper.terminate()
            self.keeper.terminate()
            self.assertEqual(0, self.keeper.wait(60 * PATIENCE), self.log())
            self.start_agent()

    def test_many_at_once_are_harmless(self):
        for _ in range(20):
            self.keeper.send_signal(signal.SIGHUP)
        self.until("reloaded", lambda: "configuration reloaded" in self.log(), 5)
        self.assertEqual(200, self.ask("GET", "/healthz")[0])

    def test_a_new_interval_is_kept(self):
        pixel, _ = self.stored()
        before = len(self.emu.log(pixel))
        self.write(self.config, self.read(self.config).replace(b"interval = 90d", b"interval = 1s"))
        self.hup()
        self.ask("POST", "/v1/pixels/%s/check" % pixel)
        self.until("asked by the schedule", lambda: len(self.emu.log(pixel)) >= before + 3, 10)

    def test_a_shorter_interval_counts_for_what_was_planned_before(self):
        pixel, _ = self.stored()
        before = len(self.emu.log(pixel))
        self.write(self.config, self.read(self.config).replace(b"interval = 90d", b"interval = 1s"))
        self.hup()
        self.until("asked by the schedule", lambda: len(self.emu.log(pixel)) >= before + 2, 10)

    def test_told_to_stop_it_answers_what_it_began(self):
        pixel, token = self.pair()
        self.emu.fault("slow-body")
        answers = []
        put = threading.Thread(target=lambda: answers.append(self.ask("PUT", "/v1/pixels/%s/token" % pixel, token)))
        put.start()
        self.until("TikTok is asked", lambda: self.emu.log(pixel))
        self.keeper.terminate()
        put.join(60 * PATIENCE)
        self.assertEqual(0, self.keeper.wait(60 * PATIENCE))
        self.keeper = None
        self.emu.no_faults()
        self.assertIn(answers[0][0], (200, 202, 409), answers)
        self.assertFalse(os.path.exists(self.socket))
        self.direct("verify")


    def waiter(self, pixel, answers):
        """A reader that waits for the version after the first; its answer, and when it came."""
        c = UnixConnection(self.socket, 30 * PATIENCE)
        c.request("GET", "/v1/pixels/%s/token" % pixel, headers={"If-None-Match": '"1"', "Prefer": "wait=60"})

        def read():
            with contextlib.closing(c):
                answer = c.getresponse()
                head = {k.lower(): v for k, v in answer.getheaders()}
                answers.append((answer.status, head, json.loads(answer.read() or b"null"), time.monotonic()))
        thread = threading.Thread(target=read)
        thread.start()
        return thread

    def wait_until_they_wait(self, count):
        """No call of theirs can be seen from outside but for the numbers: all are connected, and what they have sent is read
        before the second question behind it is answered."""
        def connected():
            text = self.ask("GET", "/metrics")[1].decode()
            return int(re.search(r"^pixelvault_connections (\d+)", text, re.M).group(1)) > count
        self.until("they are connected", connected)
        for _ in range(2):
            self.assertTrue(connected())

    def test_told_to_stop_it_tells_who_waits_to_come_back(self):
        pixel, _ = self.stored()
        answers = []
        threads = [self.waiter(pixel, answers) for _ in range(3)]
        self.wait_until_they_wait(3)
        self.keeper.terminate()
        for t in threads:
            t.join(60 * PATIENCE)
        self.assertEqual(3, len(answers), self.log())
        for status, head, problem, _ in answers:
            self.assertEqual((503, "application/problem+json", "no-store", "1"),
                             (status, head["content-type"], head["cache-control"], head["retry-after"]))
            self.assertEqual(("conflict", 8, 503), (problem["type"], problem["exit"], problem["status"]))
            self.assertIn("again", problem["hint"])
        self.assertEqual(0, self.keeper.wait(60 * PATIENCE))
        self.keeper = None

    def test_who_waits_is_told_at_once_also_while_tiktok_is_waited_for(self):
        pixel, _ = self.stored()
        other, token = self.pair()
        self.emu.fault("silence")
        puts, answers = [], []
        put = threading.Thread(target=lambda: puts.append(self.ask("PUT", "/v1/pixels/%s/token" % other, token)))
        put.start()
        self.until("TikTok is asked", lambda: self.emu.log(other))
        reader = self.waiter(pixel, answers)
        self.wait_until_they_wait(2)
        told = time.monotonic()
        self.keeper.terminate()
        reader.join(60 * PATIENCE)
        put.join(60 * PATIENCE)
        self.emu.no_faults()
        self.assertEqual(503, answers[0][0])
        self.assertSoon(answers[0][3] - told, 2)
        self.assertStill(answers[0][3] - told, 4, "the put alone waits for 5 s")
        self.assertIn(puts[0][0], (200, 202, 409), puts)
        self.assertEqual(0, self.keeper.wait(60 * PATIENCE))
        self.keeper = None

    def test_locking_tells_who_waits(self):
        pixel, _ = self.stored()
        answers = []
        reader = self.waiter(pixel, answers)
        self.wait_until_they_wait(1)
        self.assertEqual(200, self.ask("POST", "/v1/lock")[0])
        reader.join(60 * PATIENCE)
        self.assertEqual((503, "locked"), (answers[0][0], answers[0][2]["type"]))


class Locked(AgentCase):
    starts = False
    passphrase = "correct horse battery staple"

    def keeper_up_without_a_vault(self):
        shutil.rmtree(self.home)
        shutil.rmtree(self.state)
        self.keeper_up_locked()
        self.assertIn("no vault", self.health()["reason"])

    def test_it_starts_without_a_vault_and_takes_one_that_is_made_later(self):
        self.keeper_up_without_a_vault()
        self.direct("init", "--key-file", self.key, "--no-recovery")
        self.until("it has opened it by itself", lambda: not self.health()["locked"], 5)
        self.put(new_pixel(), new_token(), "--no-check")

    def test_without_a_vault_commands_fail_as_they_do_directly(self):
        self.keeper_up_without_a_vault()
        pixel = new_pixel()
        for words in (["get", pixel], ["list"], ["status"], ["put", pixel, "--no-check"], ["check"], ["history", pixel],
                      ["rollout", pixel], ["label", pixel, "a=b"], ["rm", pixel], ["verify"], ["unlock"],
                      ["run", "--env", "T=" + pixel, "--", "true"]):
            told = self.object(self.vault(*words, "--json", rc=None, stdin=new_token()) if words[0] != "run" else
                               self.vault(words[0], "--json", *words[1:], rc=None))["error"]
            self.assertEqual((3, "not-found"), (told["exit"], told["code"]), words)
            if words[0] == "unlock":  # there is no direct one
                continue
            directly = self.object(self.direct(*words, "--json", rc=3, stdin=new_token()) if words[0] != "run" else
                                   self.direct(words[0], "--json", *words[1:], rc=3))["error"]
            self.assertEqual(directly, told, words)
        status, body = self.ask("GET", "/v1/pixels/%s/token" % pixel)
        self.assertEqual((503, "not-found"), (status, json.loads(body)["type"]), "a server that has not what it serves")

    def test_one_that_is_made_after_lock_stays_locked(self):
        self.keeper_up_without_a_vault()
        self.vault("lock")
        self.direct("init", "--key-file", self.key, "--no-recovery")
        self.until("it is no longer missing", lambda: "no vault" not in self.health()["reason"], 5)
        time.sleep(1.2)
        self.vault("list", rc=4)
        self.vault("unlock")
        self.vault("list")

    def keeper_up_locked(self):
        self.env.pop("PIXELVAULT_VAULT", None)
        self.keeper_log = open(self.path("agent.log"), "ab")
        self.keeper = subprocess.Popen([harness.AGENT, "--config", self.config], stdin=subprocess.DEVNULL, env=self.env,
                                       stdout=self.keeper_log, stderr=self.keeper_log, cwd=self.dir)
        self.until("it lives", lambda: (self.health() or {}).get("live"), 10)
        self.until("it has tried", lambda: (self.health() or {}).get("reason"), 10)

    def test_a_missing_key_file_is_said_and_unlock_opens_it_when_it_is_there(self):
        pixel, token = new_pixel(), new_token()
        self.direct("put", pixel, "--no-check", stdin=token)
        os.rename(self.key, self.key + ".away")
        self.keeper_up_locked()
        self.assertIn("key", self.health()["reason"])
        r = self.vault("get", pixel, rc=4)
        self.assertIn("unlock", r.err)
        os.rename(self.key + ".away", self.key)
        self.vault("unlock")
        self.assertEqual(token, self.get(pixel))
        self.vault("lock")
        self.assertEqual(4, self.vault("get", pixel, rc=4).rc)
        unlocked = time.monotonic()
        self.vault("unlock", "--for", "%ds" % PATIENCE)
        r = self.vault("get", pixel, rc=None)
        self.assertSoon(time.monotonic() - unlocked, 0.9, "it is locked again")
        self.assertEqual((0, token), (r.rc, r.out.decode()))
        self.until("locked again", lambda: self.health()["locked"], 5)

    def test_it_rests_though_a_message_was_under_way(self):
        mute = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(mute.close)
        self.configure(more="[alert ops]\ntype = webhook\nurl = https://127.0.0.1:%d/\ntime-limit = 1s\n" % mute.getsockname()[1])
        self.start_agent()
        testing = self.start("alert", "test", "ops")
        mute.settimeout(60 * PATIENCE)
        peer, _ = mute.accept()
        self.addCleanup(peer.close)
        self.vault("lock")
        testing.communicate(timeout=60 * PATIENCE)
        time.sleep(1.5)  # the message's time is over
        before = self.processor_time()
        time.sleep(2)
        self.assertLess(self.processor_time() - before, 0.5)

    def processor_time(self):
        """The keeper's, in seconds."""
        with open("/proc/%d/stat" % self.process("--keeper")) as f:
            return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")

    def test_what_was_asked_before_it_was_locked_is_no_answer_to_what_is_asked_after(self):
        (dead, its), (sound, good) = self.pair(), self.pair()
        for pixel, token in ((dead, its), (sound, good)):
            self.direct("put", pixel, "--no-check", "--test-code", "T1", stdin=token)
        self.emu.revoke(its)
        self.keeper_up()
        self.emu.knob("delay-ms", 2000)
        started = time.monotonic()
        first = threading.Thread(target=self.ask, args=("POST", "/v1/pixels/%s/check" % dead))
        first.start()
        self.until("TikTok was asked", lambda: self.emu.requests() > 0, 2)
        self.vault("lock")
        self.vault("unlock")
        self.assertStill(time.monotonic() - started, 1.8, "TikTok has answered already")
        status, body = self.ask("POST", "/v1/pixels/%s/check" % sound)
        first.join()
        self.assertEqual((200, 0, "healthy"), (status, json.loads(body)["exit"], json.loads(body)["pixels"][0]["verdict"]), body)

    def test_a_wrong_key_opens_nothing(self):
        self.keeper_up()
        self.vault("lock")
        status, body = self.ask("POST", "/v1/unlock", b"x" * 32)
        self.assertEqual((500, "wrong-key"), (status, json.loads(body)["type"]), body)
        self.assertTrue(self.health()["locked"])

    def keeper_up(self):
        self.start_agent()
