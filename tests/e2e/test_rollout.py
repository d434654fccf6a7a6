"""Who reads which version: consumers with a name and without, seen by user and systemd service, directly and through an
agent; acknowledgements; what `rollout` says of it, and that names and marks cannot be made up without bounds."""

import contextlib
import glob
import json
import os
import re
import subprocess
import time
import unittest

import harness
from agent_harness import AgentCase, UnixConnection, ask
from harness import Case, direct_only, new_pixel, say

SHOP = "pixelvault-test-shop.service"
NOBODY = re.compile(r"^(unit:\S+\.service@)?uid:%d$" % os.getuid())


def systemds_tree():
    """Where a process can be put so that /proc/PID/cgroup shows it as systemd's services are shown; None: nowhere."""
    with open("/proc/mounts") as f:
        mounts = [line.split() for line in f]
    for _, where, kind, options, *_ in mounts:
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            if os.access(where, os.W_OK) and "ro" not in options.split(","):
                return where
    return None


@contextlib.contextmanager
def service(test, unit=SHOP):
    """A function for preexec_fn: from then on the process is in that service."""
    tree = systemds_tree()
    folder = os.path.join(tree or "/nowhere", "pixelvault-test.slice", unit)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        test.skipTest("NOT TESTED: a process in a service, because no cgroup can be made here: %s" % e)
    procs = os.path.join(folder, "cgroup.procs")

    def enter():
        with open(procs, "w") as f:
            f.write(str(os.getpid()))
    try:
        yield enter
    finally:
        for _ in range(200):  # a process that has ended leaves a little later
            with contextlib.suppress(OSError):
                os.rmdir(folder)
                break
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(folder))


class Readers(Case):
    uses_emulator = False

    def one(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        return pixel

    def readers(self, pixel):
        """{name: (version, acknowledged)}"""
        doc = self.json("rollout", pixel)
        for r in doc["readers"]:
            self.assertEqual({"as", "version", "at", "acked"}, set(r))
            self.assertMoment(r["at"])
        return {r["as"]: (r["version"], r["acked"]) for r in doc["readers"]}

    def test_who_names_itself_nowhere_is_known_by_its_user(self):
        pixel = self.one()
        self.assertEqual({}, self.readers(pixel))
        self.get(pixel)
        (name, seen), = self.readers(pixel).items()
        self.assertRegex(name, NOBODY)
        self.assertEqual((1, False), seen)
        self.put(pixel, self.token(), "--no-check")
        self.assertEqual({name: (1, False)}, self.readers(pixel))
        self.get(pixel)
        self.assertEqual({name: (2, False)}, self.readers(pixel))

    def test_run_is_noted_too(self):
        pixel = self.one()
        self.vault("run", "--env", "TOKEN=" + pixel, "--", "true")
        (name, seen), = self.readers(pixel).items()
        self.assertRegex(name, NOBODY)
        self.assertEqual((1, False), seen)

    def test_a_service_is_known_by_its_unit(self):
        pixel = self.one()
        wanted = "unit:%s@uid:%d" % (SHOP, os.getuid())
        with service(self) as enter:
            self.vault("get", pixel, preexec_fn=enter)
            self.assertEqual({wanted: (1, False)}, self.readers(pixel))
            self.put(pixel, self.token(), "--no-check")
            self.vault("run", "--env", "TOKEN=" + pixel, "--", "true", preexec_fn=enter)
            self.assertEqual({wanted: (2, False)}, self.readers(pixel))
            self.vault("get", pixel, "--as", "shop", preexec_fn=enter)
        self.get(pixel)
        self.assertEqual(3, len(self.readers(pixel)))
        self.assertEqual((2, False), self.readers(pixel)["shop"])

    def test_a_service_with_a_long_name_is_cut_and_told_from_its_like(self):
        pixel = self.one()
        names = ["pixelvault-test-%s-%s.service" % ("x" * 60, end) for end in "ab"]
        for name in names:
            with service(self, name) as enter:
                self.vault("get", pixel, preexec_fn=enter)
        seen = self.readers(pixel)
        self.assertEqual(2, len(seen))
        for name in seen:
            self.assertRegex(name, r"^unit:pixelvault-test-x+\.\.[0-9a-f]{8}@uid:%d$" % os.getuid())
            self.assertLessEqual(len(name), 64)

    def test_a_login_session_is_no_unit(self):
        """It comes once, and the next one has another number."""
        pixel = self.one()
        with service(self, "session-17.scope") as enter:
            self.vault("get", pixel, preexec_fn=enter)
        self.assertEqual({"uid:%d" % os.getuid(): (1, False)}, self.readers(pixel))

    def test_a_person_who_looks_is_no_consumer(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        for options in ([], ["--json"], ["--version", "1"]):
            t = self.terminal("get", pixel, *options)
            t.expect(token)
            self.assertEqual(0, t.wait())
        self.assertEqual({}, self.readers(pixel))
        t = self.terminal("get", pixel, "--as", "shop")
        t.expect(token)
        t.wait()
        self.assertEqual({"shop": (1, False)}, self.readers(pixel))

    def test_nobody_passes_for_another(self):
        pixel = self.one()
        for name in ("uid:0", "uid:", "UID:5", "unit:shop.service@uid:0", "Unit:x"):
            self.refuses(2, "get", pixel, "--as", name, says="no name to choose")
            self.refuses(2, "ack", pixel, "--version", "1", "--as", name, says="no name to choose")
        self.assertEqual({}, self.readers(pixel))

    def test_an_acknowledgement_is_more_than_a_read(self):
        pixel = self.one()
        self.vault("ack", pixel, "--version", "1", "--as", "shop")
        self.get(pixel, "--as", "shop")
        self.get(pixel, "--as", "relay")
        self.assertEqual({"shop": (1, True), "relay": (1, False)}, self.readers(pixel))
        self.put(pixel, self.token(), "--no-check")
        self.get(pixel, "--as", "shop")
        self.assertEqual({"shop": (2, False), "relay": (1, False)}, self.readers(pixel))
        self.vault("ack", pixel, "--version", "2", "--as", "shop")
        self.assertEqual((2, True), self.readers(pixel)["shop"])

    def test_an_acknowledgement_without_a_name_is_ones_own(self):
        pixel = self.one()
        doc = self.json("ack", pixel, "--version", "1")
        self.assertRegex(doc["as"], NOBODY)
        self.assertEqual({doc["as"]: (1, True)}, self.readers(pixel))
        self.get(pixel)
        self.assertEqual({doc["as"]: (1, True)}, self.readers(pixel))

    def test_rollout_says_in_words_who_is_behind(self):
        pixel = self.one()
        r = self.vault("rollout", pixel)
        self.assertEqual(b"", r.out)
        self.assertIn("nobody was seen", r.err)
        for name in ("ant", "bee", "relay"):
            self.get(pixel, "--as", name)
        self.vault("ack", pixel, "--version", "1", "--as", "relay")
        self.assertIn("v1 is current, and so far all have it: 3 consumers", self.vault("rollout", pixel).err)
        self.put(pixel, self.token(), "--no-check")
        self.get(pixel, "--as", "ant")
        self.get(pixel, "--as", "zoo")
        r = self.vault("rollout", pixel)
        lines = [l.split() for l in r.out.decode().splitlines()]
        self.assertEqual([["bee", "v1", "read"], ["relay", "v1", "ack"], ["ant", "v2", "read"], ["zoo", "v2", "read"]],
                         [l[:3] for l in lines], say(r))
        self.assertRegex(r.err, r"v2 is current: 2 of 4 consumers; bee still on v1, last read \d+s ago; "
                                r"relay still on v1, acknowledged \d+s ago\n", say(r))
        self.assertEqual(["bee", "relay", "ant", "zoo"], [x["as"] for x in self.json("rollout", pixel)["readers"]])
        for name in ("cow", "dog", "emu"):
            self.vault("ack", pixel, "--version", "1", "--as", name)
        self.assertRegex(self.vault("rollout", pixel).err, r"2 of 7 consumers; bee .*; cow .*; dog .* and 2 more\n")

    def test_made_up_names_push_out_only_ones_own(self):
        pixel = self.one()
        self.get(pixel)
        if harness.VIA_AGENT:  # many reads of a connection; the command line would take a minute
            with contextlib.closing(UnixConnection(self.socket)) as c:
                for i in range(100):
                    self.assertEqual(200, ask(c, "GET", "/v1/pixels/%s/token" % pixel, {"X-Consumer": "made-up-%d" % i})[0])
                    if i % 40 == 39:
                        self.vault("rollout", pixel)  # the agent has stored them then
        else:
            for i in range(70):
                self.vault("ack", pixel, "--version", "1", "--as", "made-up-%d" % i)
        self.assertEqual(64, len(self.readers(pixel)))
        self.assertEqual(64, len(self.sql("SELECT k FROM kv WHERE k LIKE 'e1/c/%'")))
        self.vault("verify")


class Direct(Case):
    """What there is without an agent only."""
    uses_emulator = False

    @direct_only("the file is the agent's")
    def test_a_note_that_cannot_be_written_costs_nobody_his_token(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        lock = next(p for p in glob.glob(self.home + "/*") if p.endswith("lock"))
        script = "import fcntl, os, sys, time; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
        holder = subprocess.Popen(["python3", "-c", script, lock], stdout=subprocess.PIPE)
        try:
            self.assertEqual(b"held\n", holder.stdout.readline())
            r = self.vault("get", pixel)
            self.assertEqual((token, ""), (r.out.decode(), r.err), say(r))
            self.assertSoon(r.took, 2)
            self.assertStill(r.took, 4.9, "it waits for no other writer, as one who writes does for 5 s")
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
        self.assertEqual([], self.json("rollout", pixel)["readers"])

    @direct_only("an agent counts by its own clock")
    @unittest.skipIf(harness.IS_SANITIZED, "the sanitizers do not live with faketime")
    @harness.needs("faketime")
    def test_who_was_not_seen_for_long_is_said_to_be(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        self.get(pixel, "--as", "relay")
        r = self.run_program(["faketime", "-f", "+12d", harness.VAULT, "rollout", pixel])
        self.assertRegex(r.out.decode(), r"relay +v1 +read +not seen for 12d\n", say(r))


CONSUMER, OTHER = 20501, 20502


@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: becomes other users")
class Others(AgentCase):
    """Other users at the socket, each on both ways through the listener: with a header that only the library takes."""
    rules = "[access one]\nuser = %d\npixels = {0}\nverbs = read report\n[access two]\nuser = %d\npixels = {0}\nverbs = read\n" % (CONSUMER, OTHER)
    WAYS = {"fast": {}, "library": {"X-Other": "1"}}

    def seen(self):
        doc = self.json_of(self.http("GET", "/v1/pixels/%s/rollout" % self.codes[0]))
        return {r["as"]: r["version"] for r in doc["readers"]}

    def read_as(self, uid, headers=None, enter=None):
        path, code = self.socket, self.codes[0]

        def read():
            with contextlib.closing(UnixConnection(path)) as c:
                return ask(c, "GET", "/v1/pixels/%s/token" % code, headers or {})
        if enter:
            # as root, which may move itself; the service's own user comes next
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    enter()
                    os.setgroups([])
                    os.setresgid(uid, uid, uid)
                    os.setresuid(uid, uid, uid)
                    status = read()[0] != 200
                finally:
                    os._exit(status)
            self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return
        self.assertEqual(200, self.as_user(uid, uid, [], read)[0])

    def test_each_user_is_a_consumer_of_his_own(self):
        for way, headers in self.WAYS.items():
            with self.subTest(way=way):
                self.read_as(CONSUMER, headers)
                self.read_as(OTHER, headers)
                names = {n.rsplit("@", 1)[-1] for n in self.seen()}
                self.assertEqual({"uid:%d" % CONSUMER, "uid:%d" % OTHER}, names)
                self.assertEqual(200, self.http("PUT", "/v1/pixels/%s/token?check=no" % self.codes[0], body=harness.new_token())[0])

    def test_two_services_of_one_user_are_two_consumers(self):
        for way, headers in self.WAYS.items():
            with self.subTest(way=way):
                with service(self, "pixelvault-test-%s-a.service" % way) as enter:
                    self.read_as(CONSUMER, headers, enter)
                with service(self, "pixelvault-test-%s-b.service" % way) as enter:
                    self.read_as(CONSUMER, headers, enter)
                for end in "ab":
                    self.assertEqual(1, self.seen()["unit:pixelvault-test-%s-%s.service@uid:%d" % (way, end, CONSUMER)])

    def test_the_keeper_looks_once_a_connection(self):
        """What a process is by then does not matter: it is whom it was when it was noted first."""
        path, code = self.socket, self.codes[0]
        put = lambda: self.assertEqual(200, self.http("PUT", "/v1/pixels/%s/token?check=no" % code, body=harness.new_token())[0])
        with service(self) as enter:
            told, tells = os.pipe(), os.pipe()
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    c = UnixConnection(path)
                    ask(c, "GET", "/v1/pixels/%s/token" % code)
                    enter()
                    os.write(tells[1], b"x")
                    os.read(told[0], 1)
                    status = ask(c, "GET", "/v1/pixels/%s/token" % code)[0] != 200
                finally:
                    os._exit(status)
            os.read(tells[0], 1)
            first = self.seen()
            put()
            os.write(told[1], b"x")
            self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            for fd in told + tells:
                os.close(fd)
        self.assertEqual({name: 2 for name in first}, self.seen())

    def test_a_name_that_was_made_for_those_without_cannot_be_given(self):
        for name in ("uid:%d" % OTHER, "unit:%s@uid:%d" % (SHOP, OTHER)):
            for way, headers in self.WAYS.items():
                answer = self.http("GET", "/v1/pixels/%s/token" % self.codes[0], dict(headers, **{"X-Consumer": name}))
                self.problem(answer, 400, "usage")
            body = json.dumps({"version": 1, "as": name})
            self.problem(self.http("POST", "/v1/pixels/%s/ack" % self.codes[0], body=body), 400, "usage")
        self.assertEqual({}, self.seen())

    def test_who_may_report_acknowledges_as_itself(self):
        path, code = self.socket, self.codes[0]

        def acknowledge():
            with contextlib.closing(UnixConnection(path)) as c:
                return ask(c, "POST", "/v1/pixels/%s/ack" % code, {}, b'{"version":1}')
        doc = self.json_of(self.as_user(CONSUMER, CONSUMER, [], acknowledge))
        self.assertRegex(doc["as"], r"(^|@)uid:%d$" % CONSUMER)
        self.assertEqual({doc["as"]: 1}, self.seen())

    def test_the_audit_log_has_the_uid_and_no_name_that_was_not_given(self):
        self.read_as(CONSUMER)
        log = b"".join(self.read(p) for p in glob.glob(self.state + "/*.audit.log"))
        line = [l for l in map(json.loads, log.splitlines()) if l.get("verb") == "get"][-1]
        self.assertEqual((CONSUMER, None), (line["uid"], line["as"]))
