"""Who may do what: every cell of user x verb x Pixel, as the rules say and not by accident."""

import array
import contextlib
import grp
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness
import running_agent
from agent_harness import AgentCase, UnixConnection, ask, ask_once

ALLOWED, GROUP, EXTRA, DENIED, NOBODY, LABELLED, TIED = 20101, 20102, 20103, 20104, 65534, 20105, 20106
TEAM, OTHER_TEAM = 20201, 20202
VERBS = ("meta", "read", "report", "put", "admin")

RULES = """
[access allowed]
user = %d
pixels = {0}
verbs = meta read
[access team]
group = %d
pixels = {0} {1}
verbs = meta report
[access wide]
user = %d
pixels = *
verbs = meta
[access narrow]
user = %d
pixels = {1}
verbs = read put
[access labelled]
user = %d
pixels = *
labels = shop=berlin
verbs = meta read
[access tie-one]
user = %d
pixels = {0}
verbs = meta read
[access tie-two]
user = %d
pixels = {0}
verbs = meta
""" % (ALLOWED, TEAM, DENIED, DENIED, LABELLED, TIED, TIED)


def attempts(code):
    """One request for each verb, with what a caller who may would get."""
    return {
        "meta": ("GET", "/v1/pixels/%s" % code, None, (200, 404)),
        "read": ("GET", "/v1/pixels/%s/token" % code, None, (200, 404)),
        "report": ("POST", "/v1/pixels/%s/ack" % code, b'{"version":1,"as":"somebody"}', (200, 404)),
        "put": ("POST", "/v1/pixels/%s/labels?label=a%%3Db" % code, None, (200, 404)),
        "admin": ("POST", "/v1/pixels/%s/restore" % code, None, (200, 404)),
    }


@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: becomes other users")
class Peers(AgentCase):
    rules = RULES

    def setUp(self):
        super().setUp()
        self.stored, self.other = self.codes
        self.absent = harness.new_pixel()
        self.assertEqual(200, self.http("POST", "/v1/pixels/%s/labels?label=shop%%3Dberlin" % self.other)[0])

    def verbs_of(self, uid, gid, groups, code):
        """The verbs this caller has for the Pixel, by trying each."""
        path = self.socket

        def try_all():
            found = []
            for verb, (method, target, body, fine) in attempts(code).items():
                answer = ask_once(path, method, target, body=body)
                if answer[0] in fine:
                    found.append(verb)
                elif answer[0] != 403 or json.loads(answer[2])["type"] != "denied":
                    raise AssertionError("%s %s: %r" % (method, target, answer))
            return " ".join(found)
        return self.as_user(uid, gid, groups, try_all)

    def test_every_cell_is_as_the_rules_say(self):
        everything = " ".join(VERBS)
        table = [  # who, uid, gid, groups; then for the first Pixel, the second (shop=berlin), one that is not stored
            ("root", 0, 0, [], everything, everything, everything),
            ("allowed", ALLOWED, ALLOWED, [], "meta read", "", ""),
            ("only by its group", GROUP, TEAM, [], "meta report", "meta report", ""),
            ("only by a supplementary group", EXTRA, EXTRA, [OTHER_TEAM, TEAM], "meta report", "meta report", ""),
            ("the last of very many", EXTRA, EXTRA, [*range(30000, 30200), TEAM], "meta report", "meta report", ""),
            ("in another group", EXTRA, EXTRA, [OTHER_TEAM], "", "", ""),
            ("user before group", ALLOWED, TEAM, [], "meta read", "meta report", ""),
            ("a named Pixel before *", DENIED, DENIED, [], "meta", "read put", "meta"),
            ("by label", LABELLED, LABELLED, [], "", "meta read", ""),
            ("two that disagree", TIED, TIED, [], "meta", "", ""),
            ("no rule", 20999, 20999, [], "", "", ""),
            ("nobody", NOBODY, NOBODY, [], "", "", ""),
            ("nobody in the team", NOBODY, TEAM, [], "", "", ""),
            ("in group 65534", EXTRA, NOBODY, [NOBODY], "", "", ""),
        ]
        cells = 0
        for who, uid, gid, groups, *expected in table:
            for code, verbs in zip((self.stored, self.other, self.absent), expected):
                with self.subTest(who=who, pixel=code):
                    self.assertEqual(verbs, self.verbs_of(uid, gid, groups, code))
                    cells += len(VERBS)
        harness.notes.append("peers: %d cells of user x verb x Pixel as the rules say" % cells)

    def test_what_a_request_says_of_its_sender_is_not_believed(self):
        """Only the kernel's word counts, whatever a header, the query or the body claims."""
        headers = dict.fromkeys(("Uid", "X-Uid", "X-Gid", "X-User", "X-Remote-User", "X-Forwarded-User", "Remote-User", "From"), "0")
        headers.update({"Authorization": "Basic cm9vdDo=", "X-Consumer": "root"})
        body = b'{"version":1,"as":"root","uid":0,"user":"root"}'
        path, code = self.socket, self.stored

        def ask_all():
            return [ask_once(path, method, target, body=data, headers=headers) for method, target, data in (
                ("GET", "/v1/pixels/%s/token" % code, None), ("GET", "/v1/pixels/%s/token?uid=0&user=root" % code, None),
                ("POST", "/v1/pixels/%s/ack" % code, body), ("POST", "/v1/pixels/%s/restore?uid=0" % code, None))]
        for answer in self.as_user(20999, 20999, [], ask_all):
            self.assertIn(answer[0], (400, 403), answer)
            self.assertIn(json.loads(answer[2])["type"], ("denied", "usage"), answer)

    def test_a_listing_token_needs_the_right_to_every_pixel(self):
        name, path = "bc:7100000000000000001", self.socket
        target = "/v1/listings/%s" % name
        self.assertEqual(200, self.http("PUT", target + "/token?check=no", body=b"x" * 40)[0])
        sees = lambda: [l["listing"] for l in json.loads(ask_once(path, "GET", "/v1/listings")[2])["listings"]]
        changes = lambda: [ask_once(path, method, t, body=body)[0] for method, t, body in (
            ("PUT", target + "/token?check=no", b"y" * 40), ("DELETE", target, None))]
        self.assertEqual(([name], []), (self.as_user(DENIED, DENIED, [], sees), self.as_user(ALLOWED, ALLOWED, [], sees)))
        for uid, gid in ((ALLOWED, ALLOWED), (DENIED, DENIED), (GROUP, TEAM)):
            self.assertEqual([403, 403], self.as_user(uid, gid, [], changes))
        self.assertEqual(400, self.http("PUT", "/v1/listings/%s/token" % self.stored, body=b"x" * 40)[0])
        self.assertEqual(400, self.http("PUT", "/v1/pixels/%s/token" % name, body=b"x" * 40)[0])
        self.assertEqual(200, self.http("DELETE", target + "?destroy=1")[0])
        self.assertEqual(404, self.http("DELETE", "/v1/listings/bc:7100000000000000002")[0])

    def test_the_agents_own_user_may_do_everything(self):
        """Here root; as another user when the agent runs as one: see the unit test of access."""
        doc = self.json_of(self.http("GET", "/v1/access"))
        self.assertEqual(list(VERBS), doc["allowed"])

    def test_a_pixel_one_may_not_see_looks_like_one_that_is_not_there(self):
        path, stored, absent = self.socket, self.other, self.absent

        def both():
            return [ask_once(path, "GET", "/v1/pixels/%s/token" % c) for c in (stored, absent)]
        there, nowhere = self.as_user(ALLOWED, ALLOWED, [], both)
        self.problem(there, 403, "denied")
        self.problem(nowhere, 403, "denied")
        self.assertEqual(there[2].replace(stored.encode(), b"X"), nowhere[2].replace(absent.encode(), b"X"))

    def test_lists_hold_only_what_the_caller_may_see(self):
        path = self.socket
        seen = self.as_user(ALLOWED, ALLOWED, [], lambda: ask_once(path, "GET", "/v1/pixels"))
        self.assertEqual([self.stored], [p["pixel"] for p in self.json_of(seen)["pixels"]])

    def test_a_connection_handed_on_stays_the_one_who_made_it(self):
        ours, theirs = socket.socketpair()
        path, code = self.socket, self.stored

        def connect_and_hand_on():
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
        self.as_user(ALLOWED, ALLOWED, [], connect_and_hand_on)
        _, extra, _, _ = ours.recvmsg(1, socket.CMSG_LEN(4))
        fd = array.array("i", extra[0][2][:4])[0]

        def use(connection_fd=fd):
            with contextlib.closing(UnixConnection(path)) as c:
                c.sock = socket.socket(fileno=os.dup(connection_fd))
                return [ask(c, "GET", "/v1/pixels/%s/token" % code), ask(c, "GET", "/v1/access")]
        token, access = self.as_user(20999, 20999, [], use)  # who would get nothing by a connection of its own
        os.close(fd)
        self.assertEqual((200, self.tokens[0].encode()), (token[0], token[2]))
        self.assertEqual(ALLOWED, self.json_of(access)["uid"])

    @harness.needs("unshare")
    def test_root_of_a_user_namespace_is_nobody_special(self):
        path, code = self.socket, self.stored
        script = ("import sys; sys.path.insert(0, %r); from agent_harness import ask_once; import os;"
                  "assert os.geteuid() == 0; print(ask_once(%r, 'GET', '/v1/pixels/%s/token')[0])"
                  % (os.path.dirname(os.path.abspath(__file__)), path, code))

        def unshared():
            return subprocess.run(["unshare", "-U", "-r", "python3", "-c", script], capture_output=True, timeout=30,
                                  env={"PATH": os.environ["PATH"], "BUILD": harness.BUILD, "PYTHONDONTWRITEBYTECODE": "1"})
        r = self.as_user(20999, 20999, [], unshared)
        if b"Operation not permitted" in r.stderr or b"unshare failed" in r.stderr:
            self.skipTest("no user namespaces here")
        self.assertEqual((b"403\n", 0), (r.stdout, r.returncode), r.stderr)

    def test_a_denial_stands_in_the_audit_log_and_in_the_numbers(self):
        path, code = self.socket, self.stored
        self.as_user(20999, 20999, [], lambda: ask_once(path, "GET", "/v1/pixels/%s/token" % code))
        log = b"".join(self.read(os.path.join(self.state, n)) for n in os.listdir(self.state) if n.endswith("audit.log"))
        lines = [json.loads(l) for l in log.splitlines()]
        self.assertTrue([l for l in lines if l.get("uid") == 20999 and l.get("result") == "denied"], lines[-3:])
        self.assertIn(b"pixelvault_denied_total 1\n", self.http("GET", "/metrics")[2])

    def test_rules_of_a_reload_hold_for_open_connections_too(self):
        path, code, config = self.socket, self.stored, self.config
        pid = self.keeper.pid
        text = self.read(config).decode()

        def before_and_after():
            with contextlib.closing(UnixConnection(path)) as c:
                first = ask(c, "GET", "/v1/pixels/%s/token" % code)[0]
                os.write(told[1], b"x")
                os.read(go[0], 1)
                return first, ask(c, "GET", "/v1/pixels/%s/token" % code)[0]
        told, go = os.pipe(), os.pipe()
        helper = os.fork()
        if helper == 0:
            os.read(told[0], 1)
            self.write(config, text.replace("[access allowed]\nuser = %d" % ALLOWED, "[access allowed]\nuser = 20998"))
            os.kill(pid, 1)
            for _ in range(1200):
                time.sleep(0.05)
                if b"configuration reloaded" in self.read(self.path("agent.log")):
                    break
            os.write(go[1], b"x")
            os._exit(0)
        result = self.as_user(ALLOWED, ALLOWED, [], before_and_after)
        os.waitpid(helper, 0)
        self.assertEqual((200, 403), result)


@harness.direct_only("compares both ways")
class Explained(AgentCase):
    rules = ("[access d]\nuser = daemon\npixels = {0}\nverbs = meta read\n"
             "[access g]\ngroup = daemon\npixels = *\nverbs = report\n")

    def test_who_may_what_is_the_same_with_an_agent_and_without(self):
        """The command finds out who is meant; the agent knows no names."""
        for user, allowed in (("daemon", "meta read"), ("0", " ".join(VERBS)), ("20999", ""), ("bin", "")):
            words = ("access", "explain", "--user", user, self.codes[0])
            through = self.json(*words, env={"PIXELVAULT_VAULT": None})
            self.assertEqual(self.json(*words), through)
            self.assertEqual(allowed, " ".join(through["allowed"]))
            self.assertEqual(self.vault(*words).out, self.vault(*words, env={"PIXELVAULT_VAULT": None}).out)
        words = ("access", "explain", "--user", "daemon", self.codes[1])
        self.assertEqual(["report"], self.json(*words, env={"PIXELVAULT_VAULT": None})["allowed"], "by its group")
        self.vault("access", "explain", "--user", "no-such-user", self.codes[0], rc=3, env={"PIXELVAULT_VAULT": None})

    def test_numbers_are_asked_for(self):
        base = "/v1/access?pixel=%s" % self.codes[0]
        for more in ("&uid=daemon", "&uid=-1", "&gid=1", "&uid=1&gid=x", "&uid=1&group=x", "&group=1", "&user=daemon"):
            self.problem(self.http("GET", base + more), 400, "usage")
        doc = self.json_of(self.http("GET", base + "&uid=20999&gid=20999&group=4&group=%d" % grp.getgrnam("daemon").gr_gid))
        self.assertEqual((20999, ["report"]), (doc["uid"], doc["allowed"]))


@unittest.skipUnless(os.geteuid() == 0, "NEEDS ROOT: mounts")
@unittest.skipUnless(shutil.which("unshare"), "no unshare")
@harness.direct_only("it is about an agent of its own")
class NewAccounts(running_agent.AgentCase):
    """An agent with an /etc of its own, where accounts are made as useradd makes them: by a new file in the old one's
    place."""
    uses_emulator = False
    ENTER = 'mount --bind "$1" /etc && shift && exec "$@"'

    def setUp(self):
        super().setUp()
        self.pixel = harness.new_pixel()
        self.vault("put", self.pixel, "--no-check", stdin=harness.new_token())
        self.etc = self.path("etc")
        shutil.copytree("/etc", self.etc, symlinks=True)
        enter = ("unshare", "-m", "--propagation", "private", "sh", "-c", self.ENTER, "sh", self.etc)
        if self.run_program([*enter, "true"], rc=None).rc:
            self.skipTest("no mount namespaces here")
        self.first = "[access old]\nuser = daemon\npixels = *\nverbs = meta\n"
        self.configure(more=self.first)
        self.start_agent(prefix=enter)

    def add(self, name, line):
        path = os.path.join(self.etc, name)
        self.write(path + "+", self.read(path) + line.encode(), mode=0o644)
        os.rename(path + "+", path)

    def reload(self, more):
        before = self.log().count("reloaded")
        self.configure(more=more)
        self.agent.send_signal(signal.SIGHUP)
        self.until(lambda: self.log().count("reloaded") > before, 5, "an answer to SIGHUP")

    def allowed(self, *who):
        return self.asks(200, "GET", "/v1/access?pixel=%s&%s" % (self.pixel, "&".join(who)))["allowed"]

    def test_are_known_after_a_reload(self):
        self.add("passwd", "pv-new:x:23456:23456::/:/bin/false\n")
        self.add("group", "pv-team:x:23457:\n")
        self.reload(self.first + "[access new]\nuser = pv-new\npixels = *\nverbs = read\n"
                                 "[access team]\ngroup = pv-team\npixels = *\nverbs = report\n")
        self.assertNotIn("not reloaded", self.log())
        self.assertEqual(["read"], self.allowed("uid=23456"))
        self.assertEqual(["report"], self.allowed("uid=23458", "gid=23457"))
        daemon = pwd.getpwnam("daemon").pw_uid
        self.assertEqual(["meta"], self.allowed("uid=%d" % daemon), "whom it knew it still knows")

    def test_one_that_is_not_made_yet_is_refused_until_it_is(self):
        rules = self.first + "[access new]\nuser = pv-new\npixels = *\nverbs = read\n"
        self.reload(rules)
        self.assertRegex(self.log(), r"pixelvault.ini:\d+: there is no user 'pv-new'")
        self.assertIn("reload the agent", self.log())
        self.assertEqual([], self.allowed("uid=23456"))
        self.add("passwd", "pv-new:x:23456:23456::/:/bin/false\n")
        self.reload(rules)
        self.assertEqual(["read"], self.allowed("uid=23456"))


class Strangers(AgentCase):
    """Whoever may know of one Pixel alone is told no other's code, whatever was found out about its tokens."""
    uses_emulator = True
    rules = "[access a]\nuser = %d\npixels = {0}\nverbs = meta read put report\n" % ALLOWED
    check = {"grace": "0"}

    def setUp(self):
        super().setUp()
        self.mine, self.other = self.codes
        for code, token in zip(self.codes, self.tokens):
            self.emu.pixel(code)
            self.emu.token(token, code)
            self.vault("put", code, "--test-code", "TEST1", stdin=token)
        self.vault("check")

    def asks(self, method, target, body=None, **headers):
        def ask_so():
            return ask_once(self.socket, method, "/v1/pixels" + target, {k.replace("_", "-"): v for k, v in headers.items()}, body)
        return self.as_user(ALLOWED, ALLOWED, [], lambda: ask_so()[::2])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_are_named_by_nothing(self):
        stray, mine = self.more_token(self.other), "/" + self.mine
        for status, method, target, body, headers in (
                (409, "PUT", mine + "/token?own=1", self.tokens[1].encode(), {}),
                (422, "PUT", mine + "/token", self.tokens[1].encode(), {}),
                (422, "PUT", mine + "/token", stray.encode(), {}),
                (200, "GET", mine, None, {}),
                (200, "GET", "", None, {}),
                (200, "GET", mine, None, {"Accept": "application/x-pixelvault-records"}),
                (200, "GET", "", None, {"Accept": "application/x-pixelvault-records"}),
                (200, "POST", mine + "/check", None, {}),
                (200, "GET", mine + "/history", None, {})):
            got, text = self.asks(method, target, body, **headers)
            self.assertEqual(status, got, (target, text))
            self.assertNotIn(self.other.encode(), text, target)
        row = json.loads(self.http("GET", "/v1/pixels" + mine)[2])["pixels"][0]
        self.assertIn("vault move %s %s" % (self.mine, self.other), row["advice"], "who may know of both is told")


if __name__ == "__main__":
    unittest.main()
