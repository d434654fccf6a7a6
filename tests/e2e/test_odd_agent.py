"""What listens at the agent's socket is no agent, or one of another build: whatever it answers, a command neither dies nor takes
it for success, and says what to do."""

import json
import socket
import threading

from harness import Case, cases, new_token, say, spread

A, B = "C0U2T02IU8J6B9GC2B90", "C1U2T02IU8J6B9GC2B90"
RECORDS_END = b"\xff\xff\xff\xff"
NONSENSE = "makes no sense to this program"


@spread
class OddAgent(Case):
    """It answers every request with the same bytes, but for paths that have some of their own."""
    uses_emulator, makes_vault = False, False

    def setUp(self):
        super().setUp()
        self.socket = self.path("odd.sock")
        self.configure(more="[agent]\nsocket = %s\n" % self.socket)
        self.env.pop("PIXELVAULT_VAULT", None)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(16)
        self.raw, self.raw_of = b"", {}
        self.server = threading.Thread(target=self.serve, daemon=True)
        self.server.start()
        self.addCleanup(self.stop)

    def stop(self):
        """Wholly: a thread left in accept() would answer in the next test, whose listener gets the same descriptor."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.server.join(20)
        self.listener.close()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                s.settimeout(20)
                try:
                    while path := self.take_request(s):
                        s.sendall(self.raw_of.get(path, self.raw))
                except OSError:
                    pass

    def take_request(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                return None
            data += more
        head, rest = data.split(b"\r\n\r\n", 1)
        left = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                left = int(line.split(b":")[1]) - len(rest)
        while left > 0:
            more = s.recv(65536)
            if not more:
                return None
            left -= len(more)
        return head.split()[1].decode().split("?")[0]

    def answer(self, body, status=200, kind="application/json", headers=""):
        body = body if isinstance(body, bytes) else body.encode()
        self.raw = ("HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (status, kind, len(body), headers)).encode() + body

    def asks(self, *words, rc=1, stdin=b"", says=NONSENSE):
        r = self.refuses(rc, *words, "--no-input", stdin=stdin, says=says)
        self.assertEqual(b"", r.out, say(r))
        return r

    def events(self, *events):
        self.answer("".join("event: %s\ndata: %s\n\n" % (name, data if isinstance(data, str) else json.dumps(data)) for name, data in events),
                    kind="text/event-stream")

    # ---- bodies that are nothing

    @cases(get=(["get", A], ""), list=(["list"], ""), status=(["status"], ""), one=(["status", A], ""), history=(["history", A], ""),
           swap=(["swap", A, B], ""), move=(["move", A, B], ""), rotate=(["rotate", "--later", A], ""), plan=(["plan"], ""),
           match=(["match"], "t"), listings=(["listing", "list"], ""), rollout=(["rollout", A], ""), alerts=(["alert"], ""),
           ack=(["alert", "ack", "7Q2M-9FKD"], ""), test=(["alert", "test", "x"], ""), label=(["label", A, "x=y"], ""), rm=(["rm", A], ""),
           retire=(["retire", A], ""), put=(["put", A], "t"), rollback=(["rollback", A], ""), listing=(["listing", "put", "bc:7100000000000000001"], "t"))
    def test_an_answer_without_a_meaning_is_no_success(self, words, stdin):
        # get hands on what it was given, as protocol.md says; but not nothing. put and rollback tell the status.
        bodies = [""] if words[0] == "get" else ["", "[]", "{", "{} x", "[" * 40, '{"a":' * 20 + "1" + "}" * 20]
        if words[0] in ("swap", "move", "rotate", "listing", "rollout", "alert", "put", "rollback", "history", "status", "list") and words[1:2] != ["ack"]:
            bodies.append("{}")
        for body in bodies:
            self.answer(body)
            self.asks(*words, stdin=new_token() if stdin else b"", says="%s|HTTP status 200 and no reason" % NONSENSE)

    def test_records_that_are_cut_or_none(self):
        head, end = b"PVREC\0\0\1", RECORDS_END
        for body in (b"PVREC\0\0\2" + end, head, head + b"\0\0", head + b"\0\0\0\5abc", head + b"\0\0\0\5abcde" + end, head + end + b"x"):
            self.answer(body, kind="application/octet-stream")
            for words in (["status"], ["list"], ["status", A], ["history", A], ["listing", "list"]):
                self.asks(*words)

    def test_no_record_where_one_was_asked_for(self):
        self.answer(b"PVREC\0\0\1" + RECORDS_END, kind="application/octet-stream")
        self.asks("history", A)
        self.asks("status", A)
        self.assertEqual([], self.json("status", "--no-input")["pixels"])
        # A moment of judgement that is none, or too long, or long ago: ours holds.
        for moment in ("x", "1" * 99, "2001-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
            self.answer(b"PVREC\0\0\1" + RECORDS_END, kind="application/octet-stream", headers="X-Judged-At: %s\r\n" % moment)
            self.assertEqual([], self.json("status", "--no-input")["pixels"])

    # ---- members that are missing or odd

    def test_a_put_whose_result_is_unknown_is_shown_as_pending_and_unchecked(self):
        self.answer('{"outcome":"splendid","verdict":"purple","stage":"sideways","exit":99,"version":"x","unchanged":7,"pixel":"%s"}' % A)
        doc = self.json("put", A, stdin=new_token())
        self.assertEqual((A, "purple", None), (doc["pixel"], doc["verdict"], doc["fingerprint"]))
        self.assertIn("version 0", self.vault("put", A, stdin=new_token()).err)
        self.answer('{"listed":0,"outcome":"splendid","stage":"sideways","exit":-3,"removed":["blanks"]}')
        r = self.vault("listing", "put", "bc:7100000000000000001", stdin=new_token())
        self.assertIn("blanks", r.err)

    def test_half_a_swap_or_move_is_no_success(self):
        for body in ('{"swapped":[]}', '{"swapped":[{"pixel":"%s"}]}' % A, '{"swapped":7}', '{"from":{}}', '{"moved":{}}'):
            self.answer(body)
            self.asks("swap", A, B)
            self.asks("move", A, B)

    def test_pixels_of_a_rotation_that_are_none(self):
        for pixels in ('["%s"]' % ("C" * 200), r'["\""]', '["%s","%s"]' % (A, "D" * 64)):
            self.answer('{"pixels":%s,"changed":1}' % pixels)
            self.asks("rotate", "--later", A)

    # ---- events

    def test_a_check_whose_events_are_odd(self):
        self.events()
        self.asks("check", says="hung up before its answer was complete")
        self.events(("progress", {"done": 1, "total": 2}))
        self.asks("check", says="hung up before its answer was complete")
        self.events(("progress", {"done": 1, "total": 2, "pixel": A, "outcome": "purple"}), ("unheard-of", {}), ("result", "[]"))
        self.asks("check")
        self.events(("error", {"code": "locked", "exit": 4, "message": "it is locked", "hint": "unlock it"}))
        self.asks("check", rc=(1, 4), says="")
        # One that is cut in the middle.
        self.answer("event: result\ndata: {", kind="text/event-stream")
        self.asks("check", says="hung up before its answer was complete")
        # An exit code and a moment that are none.
        self.events(("result", {"asked": 2, "exit": 99, "resume_at": "tomorrow"}))
        self.raw_of["/v1/check"] = self.raw
        self.answer(b"PVREC\0\0\1" + RECORDS_END, kind="application/octet-stream")
        self.vault("check", "--no-input")

    # ---- what doctor and alert say of it

    @cases(locked=({"locked": True, "reason": "no key"}, "problem", "locked: no key"), locked_without=({"locked": True}, "problem", "locked$"),
           degraded=({"degraded": True, "reason": "disk full"}, "problem", "cannot store anything: disk full"),
           degraded_without=({"degraded": True}, "problem", "cannot store anything$"),
           early=({"ready": False, "reason": "reading"}, "problem", "not ready: reading"), early_without=({}, "problem", "not ready$"),
           ready=({"ready": True, "version": "1.2", "pixels": 7, "layers": "landlock, no seccomp"}, "ok", "version 1.2 .* 7 Pixels"))
    def test_doctor_says_how_the_agent_is(self, health, state, says):
        self.answer(json.dumps(health))
        found = {f["about"]: f for f in self.json("doctor", rc=(0, 1))["findings"]}
        self.assertEqual(state, found["agent"]["state"], found)
        self.assertRegex(found["agent"]["message"], says)
        self.assertEqual(found["agent"]["fix"] is None, state == "ok")
        if "layers" in health:
            self.assertEqual(("note", health["layers"]), (found["agent's protection"]["state"], found["agent's protection"]["message"]))

    def test_doctor_says_that_it_is_no_agent(self):
        self.answer("[]")
        found = {f["about"]: f for f in self.json("doctor", rc=1)["findings"]}
        self.assertIn(NONSENSE, found["agent"]["message"])

    def test_alerts_are_a_table_with_the_worst_first_and_sinks_that_wait_are_named(self):
        def alert(n, severity, state, title):
            return {"id": "%04d-AAAA" % n, "severity": severity, "state": state, "since": "2026-01-02T03:04:05Z", "title": title}
        sink = {"sink": "mail", "waits": 1, "tries": 2, "trouble": "550 no", "next_at": "2099-01-01T00:00:00Z"}
        self.answer(json.dumps({"alerts": [alert(1, "critical", "recovered", "over"), alert(2, "warning", "acknowledged", "known"),
                                           alert(3, "warning", "open", 'a "quoted" {one} ]'), alert(4, "critical", "open", "worst")],
                                "sinks": [sink, dict(sink, sink="hook", waits=2, tries=1, trouble="", next_at="soon"),
                                          {"sink": "pager", "waits": 0, "tries": 0, "trouble": "403"}, {"sink": "fine", "waits": 3, "tries": 0}]}))
        r = self.vault("alert")
        self.assertEqual(["0004-AAAA", "0003-AAAA", "0002-AAAA", "0001-AAAA"], [l.split()[0] for l in r.out.decode().splitlines()])
        self.assertIn('a "quoted" {one} ]', r.out.decode())
        self.assertRegex(r.err, "mail.* 1 .*2 .*550 no")
        self.assertRegex(r.err, "hook.* 2 ")
        self.assertRegex(r.err, "pager.*403")
        self.assertNotIn("fine", r.err)
        t = self.terminal("alert")
        self.assertEqual(0, t.wait(), t.text())
        self.assertIn("SEVERITY", t.text())
        self.assertIn("\033[1;31mcritical", t.text())
        self.answer('{"alerts":[]}')
        t = self.terminal("alert")
        self.assertEqual(0, t.wait(), t.text())
        self.assertRegex(t.text(), "no alert|nothing|none")

    def test_readers_of_a_version_with_a_moment_that_is_none(self):
        self.answer(json.dumps({"readers": [{"as": "shop", "version": 1, "at": "yesterday"}]}))
        self.asks("rollout", A)  # no record came with it
