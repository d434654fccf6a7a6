"""One message to each kind of sink, as its receiver sees it, and what becomes of it when the receiver misbehaves. The
message is made up by tests/support/send_alert.c, with labels that try to break out of what they are written into."""

import email
import email.policy
import hashlib
import hmac
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import receivers
from harness import AGENT, BUILD, VAULT, Timed, TooLate

LABEL = 'Zoë <!channel> & "co"'
TITLE = "%d Pixels: revoked; all have the label minted-by=" + LABEL
HMAC_KEY = "correct-horse-battery-staple-4711"
PASSWORD = "smtp-password-4711-horse"
HIDDEN_PATH = "/services/T0/B0/hidden-4711-path"


class Delivery(Timed):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="delivery-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.sections = []
        # Messengers are started from beside whoever wants one.
        for program in (AGENT, os.path.join(BUILD, "tests", "send_alert")):
            self.put_beside(program)

    def put_beside(self, program):
        to = self.path(os.path.basename(program))
        try:
            os.link(program, to)
        except OSError:
            shutil.copy2(program, to)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def sink(self, name, **keys):
        keys.setdefault("ca_file", receivers.ca_file())
        lines = ["%s = %s" % (k.replace("_", "-"), v) for k, v in keys.items() if v is not None]
        self.sections.append("[alert %s]\n%s\n" % (name, "\n".join(lines)))

    def send(self, *sinks, event="alert", pixels=2, within=10):
        """{sink: (outcome, pause, reason)}"""
        config = self.write("pixelvault.ini", "\n".join(self.sections))
        began = time.monotonic()
        done = subprocess.run([self.path("send_alert"), config, event, str(pixels), *sinks], capture_output=True, text=True,
                              timeout=90, env={"PATH": "/usr/bin:/bin", "HOME": self.dir, "SECRET": "x"})
        self.took = time.monotonic() - began
        self.assertSoon(self.took, within)
        self.assertEqual(done.returncode, 0, done.stderr)
        for secret in (HMAC_KEY, PASSWORD, HIDDEN_PATH):
            self.assertNotIn(secret, done.stdout + done.stderr)
        self.said = done.stderr
        found = {}
        for line in done.stdout.splitlines():
            m = re.fullmatch(r"(\S+) (done|later|refused)(?: (\d+): (.*))?", line)
            found[m[1]] = (m[2], int(m[3] or 0), m[4] or "")
        self.assertEqual(set(found), set(sinks))
        return found

    def send_one(self, sink, **options):
        return self.send(sink, **options)[sink]

    def https(self, *args):
        server = receivers.Https(*args)
        self.addCleanup(server.close)
        return server

    def smtp(self, *args, **options):
        server = receivers.Smtp(*args, **options)
        self.addCleanup(server.close)
        return server


class Requests(Delivery):
    def test_a_webhook_gets_json_signed_with_time_and_key(self):
        server = self.https()
        self.sink("webhook", type="webhook", url=server.url("/in?x=1"), secret_file=self.write("key", HMAC_KEY + "\n"))
        before = int(time.time())
        self.assertEqual(self.send_one("webhook")[0], "done")
        [request] = server.requests
        self.assertEqual((request.method, request.path), ("POST", "/in?x=1"))
        self.assertEqual(request.headers["content-type"], "application/json; charset=utf-8")
        self.assertEqual(request.headers["x-pixelvault-event"], "alert")
        self.assertEqual(request.headers["x-pixelvault-id"], "7Q2M-9FKD.3")
        m = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", request.headers["x-pixelvault-signature"])
        signed = hmac.new(HMAC_KEY.encode(), m[1].encode() + b"." + request.body, hashlib.sha256)
        self.assertEqual(m[2], signed.hexdigest())
        self.assertTrue(before - 1 <= int(m[1]) <= time.time() + 1)
        said = json.loads(request.body)
        self.assertEqual(said["schema"], 1)
        self.assertEqual((said["event"], said["severity"], said["kind"], said["verdict"]),
                         ("alert", "critical", "refused", "revoked"))
        self.assertEqual(said["title"], TITLE % 2)
        self.assertEqual(said["label"], {"key": "minted-by", "value": LABEL})
        self.assertEqual(len(said["pixels"]), 2)
        self.assertEqual(said["pixels"][1]["pixel"], "C9ABCDEFGHIJKLMN0001")
        self.assertEqual(said["pixels"][0]["labels"]["minted-by"], LABEL)
        self.assertEqual(said["pixels"][0]["fingerprint"], "tk-7Q2M-0000")
        self.assertEqual((said["count"], said["more"], said["ended_at"]), (2, 0, None))

    def test_without_a_key_there_is_no_signature_and_of_many_pixels_fifty_are_told(self):
        server = self.https()
        self.sink("webhook", type="webhook", url_file=self.write("url", server.url(HIDDEN_PATH) + "\n"))
        self.assertEqual(self.send_one("webhook", pixels=1000)[0], "done")
        [request] = server.requests
        self.assertEqual(request.path, HIDDEN_PATH)
        self.assertNotIn("x-pixelvault-signature", request.headers)
        said = json.loads(request.body)
        self.assertEqual((len(said["pixels"]), said["count"], said["more"]), (50, 1000, 950))

    def test_slack_gets_text_in_which_no_label_calls_anybody(self):
        server = self.https()
        self.sink("slack", type="slack", url_file=self.write("url", server.url(HIDDEN_PATH)))
        self.assertEqual(self.send_one("slack", pixels=30)[0], "done")
        said = json.loads(server.requests[0].body)
        self.assertEqual(list(said), ["text"])
        text = said["text"]
        self.assertNotIn("<", text)
        self.assertIn("Zoë &lt;!channel&gt; &amp; \"co\"", text)
        self.assertIn("C9ABCDEFGHIJKLMN0019", text)
        self.assertNotIn("C9ABCDEFGHIJKLMN0020", text)
        self.assertIn("and 10 more", text)
        self.assertIn("vault alert ack 7Q2M-9FKD", text)

    def test_a_ping_is_a_get_without_a_word(self):
        server = self.https()
        self.sink("ping", type="ping", url_file=self.write("url", server.url(HIDDEN_PATH)))
        self.assertEqual(self.send_one("ping")[0], "done")
        [request] = server.requests
        self.assertEqual((request.method, request.path, request.body), ("GET", HIDDEN_PATH, b""))

    def test_answers_are_told_apart(self):
        server = self.https()
        self.sink("webhook", type="webhook", url=server.url("/x"))
        for status, head, wanted in (("204 No Content", "", ("done", 0, "")),
                                     ("500 Oh", "", ("later", 0, "HTTP 500")),
                                     ("429 Slow", "Retry-After: 120\r\n", ("later", 120, "HTTP 429")),
                                     ("503 Busy", "Retry-After: 99999999\r\n", ("later", 3600, "HTTP 503")),
                                     ("408 Late", "", ("later", 0, "HTTP 408")),
                                     ("404 No", "", ("refused", 0, "HTTP 404")),
                                     ("410 Gone", "Retry-After: 5\r\n", ("refused", 0, "HTTP 410"))):
            with self.subTest(status):
                server.status, server.head = status, head
                self.assertEqual(self.send_one("webhook"), wanted)

    def test_a_redirect_is_not_followed(self):
        server, other = self.https(), self.https()
        server.status, server.head = "302 There", "Location: %s\r\n" % other.url("/y")
        self.sink("webhook", type="webhook", url=server.url("/x"))
        outcome, _, reason = self.send_one("webhook")
        self.assertEqual(outcome, "refused")
        self.assertIn("redirect", reason)
        self.assertEqual(other.seen, 0)

    def test_a_body_without_end_is_cut_off_and_what_was_taken_is_taken(self):
        server = self.https()
        server.mode = "huge"
        self.sink("webhook", type="webhook", url=server.url("/x"), time_limit="10s")
        self.assertEqual(self.send_one("webhook", within=5)[0], "done")

    def test_a_head_whose_body_never_comes_is_an_answer(self):
        server = self.https()
        server.mode = "head"
        self.sink("webhook", type="webhook", url=server.url("/x"), time_limit="2s")
        for status, wanted in (("200 OK", "done"), ("503 Busy", "later")):
            with self.subTest(status):
                server.status = status
                self.assertEqual(self.send_one("webhook")[0], wanted)

    def test_a_head_that_is_cut_is_no_answer(self):
        server = self.https()
        server.mode = "cut"
        self.sink("webhook", type="webhook", url=server.url("/x"))
        self.assertEqual(self.send_one("webhook")[0], "later")

    def test_who_hangs_delays_nobody_else(self):
        slow, fast = self.https(), self.https()
        slow.mode = "hang"
        self.sink("webhook-slow", type="webhook", url=slow.url(), time_limit="2s")
        self.sink("slack-fast", type="slack", url=fast.url())
        found = self.send("webhook-slow", "slack-fast", within=4)
        self.assertEqual(found["slack-fast"][0], "done")
        self.assertEqual(found["webhook-slow"][0], "later")
        self.assertIn("timed out", found["webhook-slow"][2])
        self.assertEqual(list(found), ["slack-fast", "webhook-slow"])

    def test_nothing_is_sent_to_whoever_cannot_prove_his_name(self):
        for certificate in ("other", "stranger"):
            with self.subTest(certificate):
                server = self.https(certificate)
                self.sections = []
                self.sink("webhook", type="webhook", url=server.url())
                outcome, _, reason = self.send_one("webhook")
                self.assertEqual(outcome, "later")
                self.assertRegex(reason, "(?i)certificate|ssl")
                self.assertEqual((server.seen, server.requests), (1, []))

    def test_nobody_there(self):
        server = receivers.Https()
        server.close()
        self.sink("webhook", type="webhook", url=server.url())
        outcome, _, reason = self.send_one("webhook")
        self.assertEqual(outcome, "later")
        self.assertIn("onnect", reason)


class Mail(Delivery):
    def mail_of(self, server):
        [(sender, recipients, text, is_encrypted, user)] = server.mails
        return sender, recipients, email.message_from_bytes(text, policy=email.policy.default), is_encrypted, user, text

    def test_a_mail_goes_by_starttls_with_user_and_password(self):
        server = self.smtp(user="pv", password=PASSWORD)
        self.sink("email", type="email", url=server.url(), to="ops@example.com lead@example.com", user="pv",
                  password_file=self.write("password", PASSWORD + "\n"), **{"from": "pixelvault@example.com"})
        self.assertEqual(self.send_one("email")[0], "done")
        sender, recipients, mail, is_encrypted, user, text = self.mail_of(server)
        self.assertTrue(is_encrypted)
        self.assertEqual(user, "pv")
        self.assertTrue(sender.startswith("MAIL FROM:<pixelvault@example.com>"))
        self.assertEqual(recipients, ["RCPT TO:<ops@example.com>", "RCPT TO:<lead@example.com>"])
        self.assertEqual(mail["To"], "ops@example.com, lead@example.com")
        self.assertEqual(mail["Subject"], "[pixelvault] critical: " + TITLE % 2)
        self.assertRegex(mail["Message-ID"], r"^<7Q2M-9FKD\.3@[A-Za-z0-9.-]+>$")
        self.assertRegex(mail["References"], r"^<7Q2M-9FKD@")
        self.assertEqual(mail["References"], mail["In-Reply-To"])
        self.assertLess(abs(mail["Date"].datetime.timestamp() - time.time()), 60)
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        body = mail.get_content()
        self.assertIn(TITLE % 2, body)
        self.assertIn("C9ABCDEFGHIJKLMN0001 minted-by=%s brand==?UTF-8?Q?x?=" % LABEL, body)
        self.assertEqual(mail.defects, [])
        self.assertLess(max(map(len, text.split(b"\r\n"))), 79)
        self.assertNotIn(b"\n", text.replace(b"\r\n", b""))
        self.assertNotIn(PASSWORD.encode(), server.raw)
        self.assertNotIn(b"AUTH", server.raw)

    def test_all_about_one_cause_stands_together_and_each_has_its_own_name(self):
        server = self.smtp()
        self.sink("email", type="email", url=server.url(), to="ops@example.com")
        for event in ("alert", "recovery", "test"):
            self.assertEqual(self.send_one("email", event=event)[0], "done")
        mails = [email.message_from_bytes(m[2], policy=email.policy.default) for m in server.mails]
        self.assertEqual(mails[0]["References"], mails[1]["References"])
        self.assertIsNone(mails[2]["References"])
        self.assertRegex(mails[2]["Message-ID"], r"^<test\.\d+@")
        self.assertEqual([m["Subject"].split(":")[0] for m in mails],
                         ["[pixelvault] critical", "[pixelvault] well again", "[pixelvault] test"])
        self.assertNotIn("alert ack", mails[1].get_content())
        self.assertRegex(mails[0]["From"], "^pixelvault@")

    def test_without_starttls_nothing_is_sent(self):
        server = self.smtp(user="pv", password=PASSWORD)
        server.offers = "nothing"
        self.sink("email", type="email", url=server.url(), to="ops@example.com", user="pv",
                  password_file=self.write("password", PASSWORD))
        self.sink("email-nobody", type="email", url=server.url(), to="ops@example.com")
        for sink, (outcome, _, reason) in self.send("email", "email-nobody").items():
            self.assertEqual(outcome, "later", sink)
            self.assertIn("no encryption", reason)
        self.assertEqual(server.mails, [])
        self.assertNotIn(b"AUTH", server.raw)
        self.assertNotIn(b"MAIL", server.raw)

    def test_nothing_is_sent_to_whoever_cannot_prove_his_name(self):
        server = self.smtp("stranger")
        self.sink("email", type="email", url=server.url(), to="ops@example.com")
        outcome, _, reason = self.send_one("email")
        self.assertEqual(outcome, "later")
        self.assertRegex(reason, "(?i)certificate")
        self.assertEqual(server.mails, [])
        self.assertNotIn(b"MAIL", server.raw)

    def test_a_mail_server_on_this_host_may_do_without(self):
        server = self.smtp()
        server.offers = "nothing"
        self.sink("email", type="email", url=server.url(), to="ops@example.com", tls="none")
        self.assertEqual(self.send_one("email")[0], "done")
        self.assertFalse(self.mail_of(server)[3])

    def test_refusals_are_told_apart(self):
        server = self.smtp()
        self.sink("email", type="email", url=server.url(), to="ops@example.com")
        for where, answer, wanted in (("RCPT", "450 later", "later"), ("RCPT", "550 nobody", "refused"),
                                      ("MAIL", "421 closing", "later"), ("MAIL", "553 not you", "refused"),
                                      ("TEXT", "452 full", "later"), ("TEXT", "554 spam", "refused"),
                                      ("CONNECT", "421 busy", "later"), ("STARTTLS", "454 not now", "later")):
            with self.subTest(where + " " + answer):
                server.refuse = {where: answer}
                self.assertEqual(self.send_one("email")[0], wanted)

    def test_one_recipient_who_is_unknown_keeps_nobody_elses_mail_back(self):
        server = self.smtp()
        server.refuse = {"RCPT TO:<gone": "550 nobody"}
        self.sink("email", type="email", url=server.url(), to="gone@example.com ops@example.com")
        self.assertEqual(self.send_one("email")[0], "done")
        self.assertEqual(self.mail_of(server)[1], ["RCPT TO:<ops@example.com>"])

    def test_a_wrong_password_is_said_and_may_be_put_right(self):
        server = self.smtp(user="pv", password=PASSWORD)
        self.sink("email", type="email", url=server.url(), to="ops@example.com", user="pv",
                  password_file=self.write("password", "wrong-one"))
        outcome, _, reason = self.send_one("email")
        self.assertEqual(outcome, "later")
        self.assertIn("password", reason)
        self.assertNotIn("wrong-one", reason)

    def test_a_mail_server_that_hangs(self):
        server = self.smtp()
        server.mode = "hang"
        self.sink("email", type="email", url=server.url(), to="ops@example.com", time_limit="1s")
        self.assertEqual(self.send_one("email", within=4)[0], "later")


class Commands(Delivery):
    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)

    def hook(self, text, mode=0o755):
        return self.write("hook", "#!/bin/sh\n" + text, mode)

    def run_hook(self, command, **options):
        self.sections = []
        limit = options.pop("time_limit", None)
        self.sink("exec", type="exec", command=command, ca_file=None, time_limit=limit)
        return self.send_one("exec", **options)

    def test_it_gets_its_words_the_event_and_nothing_else(self):
        out = self.path("out")
        hook = self.hook('printf "%%s\\n" "$@" > %s; env >> %s; ls /proc/self/fd >> %s; cat > %s.json\n' % (out, out, out, out))
        self.assertEqual(self.run_hook(hook + " --team 'ops $HOME *", pixels=50)[0], "done")
        with open(out) as f:
            lines = f.read().splitlines()
        self.assertEqual(lines[:4], ["--team", "'ops", "$HOME", "*"])
        names = {l.split("=")[0] for l in lines[4:] if "=" in l}
        self.assertLessEqual(names, {"PATH", "LANG", "PWD", "SHLVL", "_", "OLDPWD"})
        self.assertLessEqual({l for l in lines[4:] if "=" not in l}, {"0", "1", "2", "3"})  # 3 is ls's own
        with open(out + ".json") as f:
            said = json.load(f)
        self.assertEqual((said["event"], len(said["pixels"])), ("alert", 50))

    def test_it_fails(self):
        self.assertEqual(self.run_hook(self.hook("echo 'no pager' >&2; echo more >&2; exit 3\n")),
                         ("later", 0, "the command ended with status 3: no pager"))
        self.assertEqual(self.run_hook(self.hook("kill -9 $$\n"))[2], "the command was killed by signal 9")

    def test_it_may_leave_the_event_unread_and_say_a_lot(self):
        self.assertEqual(self.run_hook(self.hook("exec <&-; head -c 1000000 /dev/zero >&2; exit 0\n"), pixels=50)[0], "done")

    def test_it_hangs_and_ends_with_all_it_started(self):
        pids = self.path("pids")
        hook = self.hook("echo $$ > %s; sleep 300 & echo $! >> %s; wait\n" % (pids, pids))
        outcome, _, reason = self.run_hook(hook, time_limit="2s", within=5)
        self.assertEqual(outcome, "later")
        self.assertIn("time-limit", reason)
        with open(pids) as f:
            for pid in map(int, f.read().split()):
                self.assertFalse(self.lives(pid))

    def lives(self, pid):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                with open("/proc/%d/stat" % pid) as f:
                    if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                        return False
            except OSError:
                return False
            time.sleep(0.02)
        return True

    def test_what_others_could_have_put_there_is_not_run(self):
        ran = self.path("ran")
        hook = self.hook("touch %s\n" % ran)
        for doing, undoing, word in (
                (lambda: os.chmod(hook, 0o775), lambda: os.chmod(hook, 0o755), "others could have written it"),
                (lambda: os.chmod(hook, 0o644), lambda: os.chmod(hook, 0o755), "no file that we may execute"),
                (lambda: os.chmod(self.dir, 0o1777), lambda: os.chmod(self.dir, 0o755), "could put one into"),
                (lambda: os.rename(hook, hook + "x"), lambda: os.rename(hook + "x", hook), "No such file")):
            doing()
            outcome, _, reason = self.run_hook(hook)
            undoing()
            self.assertEqual(outcome, "later")
            self.assertIn(word, reason)
        self.assertFalse(os.path.exists(ran))
        self.assertEqual(self.run_hook(hook)[0], "done")
        self.assertTrue(os.path.exists(ran))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to give a file away")
    def test_somebody_elses_command_is_not_run(self):
        hook = self.hook("exit 0\n")
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(hook, nobody, -1)
        self.assertIn("others could have written it", self.run_hook(hook)[2])
        os.chown(hook, 0, -1)
        os.chown(self.dir, nobody, -1)
        self.assertIn("could put one into", self.run_hook(hook)[2])
        os.chown(self.dir, 0, -1)


class Logs(Delivery):
    def test_a_log_daemon_gets_a_line_for_the_message_and_one_a_pixel(self):
        log = receivers.Log(self.path("log"))
        self.addCleanup(log.close)
        self.sink("syslog", type="syslog", socket=log.path, ca_file=None)
        self.assertEqual(self.send_one("syslog")[0], "done")
        lines = log.take(3)
        self.assertTrue(lines[0].startswith("<26>pixelvault: critical: " + TITLE % 2))
        self.assertIn("Pixel C9ABCDEFGHIJKLMN0001 minted-by=", lines[2])
        self.assertNotIn("\n", "".join(lines))
        self.assertEqual(self.send_one("syslog", event="recovery")[0], "done")
        self.assertTrue(log.take(1)[0].startswith("<29>pixelvault: well again: "))

    def test_the_journal_gets_fields(self):
        os.mkdir(self.path("journal"))
        log = receivers.Log(self.path("journal/socket"))
        self.addCleanup(log.close)
        self.sink("syslog", type="syslog", socket=log.path, ca_file=None)
        self.assertEqual(self.send_one("syslog", pixels=0)[0], "done")
        fields = dict(l.split("=", 1) for l in log.take(1)[0].splitlines())
        self.assertEqual((fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"], fields["PIXELVAULT_ID"]),
                         ("2", "pixelvault", "7Q2M-9FKD"))
        self.assertTrue(fields["MESSAGE"].startswith("critical: "))

    def test_a_log_that_is_slower_than_we_write_gets_each_line_once(self):
        log = receivers.Log(self.path("log"))
        self.addCleanup(log.close)
        self.sink("syslog", type="syslog", socket=log.path, ca_file=None)
        taken = []
        reader = threading.Thread(target=lambda: [(time.sleep(0.02), taken.extend(log.take(1))) for _ in range(51)])
        reader.start()
        self.assertEqual(self.send_one("syslog", pixels=50), ("done", 0, ""))
        reader.join()
        self.assertEqual(len({line for line in taken}), 51)

    def test_no_log_and_one_that_does_not_read(self):
        self.sink("syslog", type="syslog", socket=self.path("log"), time_limit="1s", ca_file=None)
        self.assertEqual(self.send_one("syslog")[0], "later")
        log = receivers.Log(self.path("log"))
        self.addCleanup(log.close)
        self.assertEqual(self.send_one("syslog", pixels=50, within=4)[0:1], ("later",))


class Supervised(Delivery):
    """The same where the keeper, inside its sandbox, has the supervisor start the messengers."""

    def test_all_kinds_of_sinks_more_than_go_at_a_time_and_one_that_hangs(self):
        os.chmod(self.dir, 0o755)
        server, slow, mail = self.https(), self.https(), self.smtp()
        slow.mode = "hang"
        log = receivers.Log(self.path("log"))
        self.addCleanup(log.close)
        out = self.path("out")
        hook = self.write("hook", "#!/bin/sh\ncat > %s\nenv | grep -c PIXELVAULT >> %s; true\n" % (out, out), 0o755)
        self.sink("slow", type="webhook", url=slow.url(), time_limit="2s")
        self.sink("webhook", type="webhook", url=server.url("/webhook"))
        self.sink("slack", type="slack", url=server.url("/slack"))
        self.sink("ping", type="ping", url=server.url("/ping"))
        self.sink("email", type="email", url=mail.url(), to="ops@example.com")
        self.sink("exec", type="exec", command=hook, ca_file=None)
        self.sink("syslog", type="syslog", socket=log.path, ca_file=None)
        for i in range(6):
            self.sink("more%d" % i, type="webhook", url=server.url("/more"))
        config = self.write("pixelvault.ini", "[agent]\nrequire-locked-memory = no\n" + "\n".join(self.sections))
        done = subprocess.run([self.path("send_alert"), "--supervised", config], capture_output=True, text=True, timeout=60,
                              env={"HOME": self.dir, "PIXELVAULT_STATE": self.path("state")})
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [l for l in done.stderr.splitlines() if re.match(r"\S+ (done|later|refused)", l)]
        self.assertEqual(len(lines), 13, done.stderr)
        self.assertEqual(("slow", "later"), tuple([l.split(" ")[:2] for l in lines if l.startswith("slow ")][0]), done.stderr)
        if not lines[-1].startswith("slow "):
            raise TooLate("its time was over before all others were told: " + done.stderr)
        self.assertEqual({l.split(" ")[1] for l in lines[:-1]}, {"done"}, done.stderr)
        self.assertEqual(sorted(r.path for r in server.requests), sorted(["/webhook", "/slack", "/ping"] + ["/more"] * 6))
        self.assertEqual(len(mail.mails), 1)
        self.assertEqual(len(log.take(3)), 3)
        with open(out) as f:
            event, count = f.read().splitlines()
        self.assertEqual((json.loads(event)["event"], count), ("alert", "0"))


class Doctor(Delivery):
    def test_what_would_only_be_found_with_an_alert_in_hand_is_found_before(self):
        os.chmod(self.dir, 0o755)
        self.sink("good", type="slack", url_file=self.write("url", "https://localhost/"))
        self.sink("open", type="webhook", url="https://localhost/", secret_file=self.write("key", HMAC_KEY, 0o644))
        self.sink("gone", type="email", url="smtp://localhost", to="a@b.c", user="u", password_file=self.path("none"))
        self.sink("ca", type="ping", url="https://localhost/", ca_file=self.path("none"))
        self.sink("page", type="exec", command=self.write("hook", "#!/bin/sh\n", 0o777), ca_file=None)
        config = self.write("pixelvault.ini", "\n".join(self.sections))
        done = subprocess.run([VAULT, "--config", config, "--json", "doctor"], capture_output=True, text=True, timeout=30,
                              env={"HOME": self.dir, "PATH": "/usr/bin:/bin"})
        found = {f["about"]: f for f in json.loads(done.stdout)["findings"]}
        self.assertEqual(found["alert good"]["state"], "ok")
        for name, word in (("open", "open to others"), ("gone", "cannot be read"), ("ca", "ca-file"),
                           ("page", "others could have written it")):
            self.assertEqual(found["alert " + name]["state"], "problem")
            self.assertIn(word, found["alert " + name]["message"])
            self.assertTrue(found["alert " + name]["fix"])


class Secrets(Delivery):
    def test_a_file_that_others_may_read_is_not_used(self):
        server = self.https()
        self.sink("webhook", type="webhook", url=server.url(), secret_file=self.write("key", HMAC_KEY, 0o640))
        self.sink("slack", type="slack", url_file=self.write("url", server.url(HIDDEN_PATH), 0o604))
        for outcome, _, reason in self.send("webhook", "slack").values():
            self.assertEqual(outcome, "later")
            self.assertIn("open to others", reason)
        self.assertEqual(server.seen, 0)

    def test_a_file_that_does_not_hold_what_it_should(self):
        server = self.https()
        for keys, word in (({"secret_file": self.path("none")}, "cannot be read"),
                           ({"secret_file": self.write("empty", "\n")}, "no secret"),
                           ({"secret_file": self.write("short", "abc\n")}, "shorter than 16")):
            self.sections = []
            self.sink("webhook", type="webhook", url=server.url(), **keys)
            outcome, _, reason = self.send_one("webhook")
            self.assertEqual(outcome, "later")
            self.assertIn(word, reason)
        for text in ("http://localhost/%s" % HIDDEN_PATH, server.url() + "\n" + server.url(), "not an address",
                     "smtp://localhost" + HIDDEN_PATH):
            self.sections = []
            self.sink("slack", type="slack", url_file=self.write("url", text))
            outcome, _, reason = self.send_one("slack")
            self.assertEqual(outcome, "later")
            self.assertIn("does not hold one https address", reason)
        self.assertEqual(server.seen, 0)

    def test_a_broken_configuration_keeps_the_message_for_later_and_a_removed_sink_does_not(self):
        self.sections = ["[alert webhook]\ntype = pager\n"]
        self.assertEqual(self.send_one("webhook")[0], "later")
        self.sections = ["[check]\nrate = 5\n"]
        self.assertEqual(self.send_one("webhook")[0], "refused")

    def test_a_sink_that_became_another_one_gets_the_message_once_the_agent_knows(self):
        server = self.https()
        self.sink("webhook", type="slack", url=server.url())
        outcome, _, reason = self.send_one("webhook")
        self.assertEqual(("later", 0), (outcome, server.seen))
        self.assertIn("reload", reason)


if __name__ == "__main__":
    unittest.main()
