"""Answers that no web server would give, sent byte by byte over proper TLS: each has one exact class, is over in time,
takes little memory, and never condemns a token. (What the emulator can play itself is in test_api_oddities.py.)"""

import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from harness import Case, IS_SANITIZED, cases, descendants, new_pixel, say, spread

HEALTHY = b'{"code":0,"message":"OK","request_id":"R1","data":{}}'
JSON = b"Content-Type: application/json\r\n"
UNREACHABLE, UNCLEAR = 9, 16


def answer(body, head=b"", status=b"200 OK"):
    return b"HTTP/1.1 " + status + b"\r\n" + JSON + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def said(code, more=b""):
    return b'{"code":' + code + b',"message":"x","request_id":"R1","data":{}' + more + b"}"


_folder = None


def certificate():
    """A certificate for localhost that is its own authority: (certificate, key)."""
    global _folder
    if not shutil.which("openssl"):
        raise unittest.SkipTest("no openssl to make a certificate with")
    if not _folder:
        _folder = tempfile.mkdtemp(prefix="tls-")
        unittest.addModuleCleanup(shutil.rmtree, _folder, ignore_errors=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-keyout", _folder + "/key.pem", "-out", _folder + "/cert.pem", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return _folder + "/cert.pem", _folder + "/key.pem"


class Peer:
    """Plays TikTok with whatever bytes a test gives it: `reply` is bytes, or is called with the connection."""

    def __init__(self):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate())
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.base_url = "https://localhost:%d/open_api/v1.3" % self.listener.getsockname()[1]
        self.reply, self.heads, self.is_ended = answer(HEALTHY), [], False
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while not self.is_ended:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        peer.settimeout(30)
        try:
            with self.context.wrap_socket(peer, server_side=True) as s:
                while self.read_request(s):
                    if callable(self.reply):
                        self.reply(s)
                        return
                    s.sendall(self.reply)
                    if b"Content-Length" not in self.reply and b"chunked" not in self.reply:
                        return
        except OSError:
            pass
        finally:
            peer.close()

    def read_request(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = s.recv(65536)
            if not piece:
                return False
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        self.heads.append(head)
        length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
        while len(body) < length:
            body += s.recv(65536)
        return True

    def end(self):
        self.is_ended = True
        self.listener.shutdown(socket.SHUT_RDWR)  # or the thread would go on accepting
        self.thread.join()
        self.listener.close()


def without_end(start, piece, pause=0.0):
    def send(s):
        s.sendall(start)
        end = time.monotonic() + 40
        while time.monotonic() < end:
            s.sendall(piece)
            if pause:
                time.sleep(pause)
    return send


# what comes back, exit code of check
ANSWERS = dict(
    # heads
    one_head_line_of_a_mebibyte=(answer(HEALTHY, b"X-Filler: " + b"x" * (1 << 20) + b"\r\n"), UNREACHABLE),
    ten_thousand_head_lines=(answer(HEALTHY, b"".join(b"X-%d: y\r\n" % i for i in range(10000))), UNREACHABLE),
    head_line_without_end=(without_end(b"HTTP/1.1 200 OK\r\nX-Filler: ", b"x" * 65536), UNREACHABLE),
    status_line_without_end=(without_end(b"HTTP/1.1 200 ", b"x" * 65536), UNREACHABLE),
    a_byte_of_the_head_at_a_time=(without_end(b"HTTP/1.1 200 OK\r\nX-Filler: ", b"x", 0.3), UNREACHABLE),
    a_byte_of_the_body_at_a_time=(without_end(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 100000\r\n\r\n", b" ", 0.3), UNREACHABLE),
    status_of_four_digits=(answer(HEALTHY, status=b"2000 OK"), UNREACHABLE),
    http_2_unasked=(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff", UNREACHABLE),
    smtp=(b"220 mail.example.com ESMTP Postfix\r\n", UNREACHABLE),
    upgrade=(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", UNREACHABLE),
    nul_in_the_head=(answer(HEALTHY, b"X-A: b\0c\r\n"), UNREACHABLE),
    # lengths
    length_below_zero=(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: -1\r\n\r\n" + HEALTHY, UNREACHABLE),
    length_of_2_64=(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 18446744073709551616\r\n\r\n" + HEALTHY, UNREACHABLE),
    length_of_a_terabyte=(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 1099511627776\r\n\r\n" + HEALTHY, UNREACHABLE),
    chunk_of_2_64=(b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + HEALTHY, UNREACHABLE),
    chunk_below_zero=(b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + HEALTHY, UNREACHABLE),
    trailers_without_end=(without_end(b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(HEALTHY) + HEALTHY +
                                      b"\r\n0\r\n", b"X-A: b\r\n" * 1000), UNREACHABLE),
    cut_inside_the_body=(lambda s: s.sendall(answer(HEALTHY)[:-1]), UNREACHABLE),
    body_without_end=(without_end(b"HTTP/1.1 200 OK\r\n" + JSON + b"Connection: close\r\n\r\n" + HEALTHY[:-1], b" " * 65536), UNREACHABLE),
    # JSON
    nothing_but_blanks=(answer(b" \r\n\t "), UNREACHABLE),
    text_after_the_object=(answer(HEALTHY + b"x"), UNCLEAR),
    two_objects=(answer(HEALTHY + said(b"40105")), UNCLEAR),
    an_object_that_does_not_end=(answer(HEALTHY[:-1]), UNCLEAR),
    a_comment=(answer(b"/* */" + HEALTHY), UNREACHABLE),
    a_comma_too_many=(answer(HEALTHY[:-1] + b",}"), UNCLEAR),
    a_key_without_quotes=(answer(b"{code:0}"), UNCLEAR),
    a_raw_line_end_in_a_text=(answer(b'{"code":0,"message":"a\nb"}'), UNCLEAR),
    half_a_surrogate=(answer(b'{"code":0,"message":"\\ud800"}'), UNCLEAR),
    utf_16=(answer(HEALTHY.decode().encode("utf-16")), UNREACHABLE),
    overlong_utf_8=(answer(b'{"code":0,"message":"\xc0\xaf"}'), UNCLEAR),
    depth_a_million=(answer(b"[" * 30000 + b"]" * 30000), UNCLEAR),
    depth_inside=(answer(said(b"0", b',"x":' + b"[" * 20000 + b"]" * 20000)), UNCLEAR),
    leading_zero=(answer(said(b"00")), UNCLEAR),
    plus_sign=(answer(said(b"+0")), UNCLEAR),
    not_a_number=(answer(said(b"NaN")), UNCLEAR),
    hexadecimal=(answer(said(b"0x0")), UNCLEAR),
    minus_zero=(answer(said(b"-0")), UNCLEAR),
    zero_with_a_fraction=(answer(said(b"0.5")), UNCLEAR),
    zero_to_a_power=(answer(said(b"0e0")), UNCLEAR),
    too_small_for_a_double=(answer(said(b"1e-999")), UNCLEAR),
    code_true=(answer(said(b"true")), UNCLEAR),
    code_in_a_list=(answer(said(b"[0]")), UNCLEAR),
    code_in_an_object=(answer(said(b'{"code":0}')), UNCLEAR),
    code_within_data_only=(answer(b'{"message":"OK","data":{"code":0}}'), UNCLEAR),
    code_below_zero=(answer(said(b"-1")), UNCLEAR),
    code_2_32=(answer(said(b"4294967296")), UNCLEAR),
    code_2_32_and_40105=(answer(said(b"4295007401")), UNCLEAR),
    code_2_64=(answer(said(b"18446744073709551616")), UNCLEAR),
    code_of_19_digits=(answer(said(b"7644201699552690194")), UNCLEAR),
    code_escaped=(answer(b'{"\\u0063ode":0}'), UNCLEAR),
    code_twice_alike=(answer(b'{"code":0,"code":0}'), UNCLEAR),
    an_empty_object=(answer(b"{}"), UNCLEAR),
    a_bare_zero=(answer(b"0"), UNCLEAR),
    null=(answer(b"null"), UNCLEAR),
    a_text=(answer(b'"code"'), UNCLEAR),
    unknown_code_with_200=(answer(said(b"12345")), UNCLEAR),
    # statuses
    teapot=(answer(b"", status=b"418 I'm a teapot"), UNREACHABLE),
    moved_without_a_place=(answer(b"", status=b"301 Moved"), UNREACHABLE),
    no_content=(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", UNREACHABLE),
)


@spread
class Bytes(Case):
    uses_emulator = False
    tiktok = {"timeout": "4s", "connect-timeout": "2s"}

    def setUp(self):
        self.peer = Peer()
        self.addCleanup(self.peer.end)
        self.tiktok = dict(self.tiktok, **{"base-url": self.peer.base_url, "ca-file": certificate()[0]})
        super().setUp()
        self.pixel, self.secret = new_pixel(), self.token()
        self.put(self.pixel, self.secret, "--test-code", "T1")
        self.assertEqual("healthy", self.status(self.pixel)["verdict"])

    def ask(self, rc, **more):
        r = self.vault("check", self.pixel, "--json", rc=rc, **more)
        return r, self.object(r)["pixels"][0]

    @cases(**ANSWERS)
    def test_kept(self, reply, rc):
        before = self.status(self.pixel)
        self.peer.reply = reply
        r, p = self.ask((UNREACHABLE, UNCLEAR, 0, 10, 11, 15))
        self.assertEqual(("healthy", before["proven_at"]), (p["verdict"], p["proven_at"]), "the verdict is kept" + say(r))
        self.assertEqual((rc, "unreachable" if rc == UNREACHABLE else "unknown"), (r.rc, p["last_attempt"]["outcome"]), say(r))
        self.assertSoon(r.took, 16)
        self.peer.reply = answer(HEALTHY)
        self.vault("check", self.pixel)

    @cases(garbage=b"\x00\x01garbage", cut=answer(HEALTHY)[:-3], unknown=answer(said(b"49999")))
    def test_a_suspicion_is_not_confirmed_by(self, reply):
        """TikTok refuses once; the second look brings nothing that counts."""
        asked = []

        def first_refuse(s):
            asked.append(1)
            s.sendall(answer(said(b"40105")) if len(asked) == 1 else reply)
        self.peer.reply = first_refuse
        r, p = self.ask(None)
        self.assertGreaterEqual(len(asked), 2, "there was a second look")
        self.assertEqual("healthy", p["verdict"], say(r))
        self.assertEqual("", self.vault("get", self.pixel).err)

    @cases(id_of_19_digits=answer(said(b"0", b',"event_source_id":7644201699552690194')), a_long_text=answer(said(b"0", b',"x":"' + b"y" * 60000 + b'"')),
           two_lengths=b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 10\r\nContent-Length: %d\r\n\r\n" % len(HEALTHY) + HEALTHY,
           no_type=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(HEALTHY) + HEALTHY)
    def test_good_all_the_same(self, reply):
        self.peer.reply = reply
        self.ask(0)

    @unittest.skipIf(IS_SANITIZED, "sanitizers take memory of their own")
    @cases(good=answer(HEALTHY), head=ANSWERS["head_line_without_end"][0], body=ANSWERS["body_without_end"][0],
           status=ANSWERS["status_line_without_end"][0], trailers=ANSWERS["trailers_without_end"][0],
           lines=ANSWERS["ten_thousand_head_lines"][0], deep=ANSWERS["depth_inside"][0],
           nodes=answer(said(b"0", b',"x":[0' + b",0" * 30000 + b"]")))
    def test_memory(self, reply):
        """No process of ours grows by 16 MiB over what a plain answer takes."""
        plain = self.most_memory(answer(HEALTHY))
        taken = self.most_memory(reply)
        self.assertLess(taken - plain, 16 * 1024, "KiB; a plain answer took %d" % plain)

    def most_memory(self, reply):
        """Peak KiB of the largest process of one check; the answer waits until we have seen everybody."""
        gate, seen = threading.Event(), {}

        def slow(s):
            gate.wait(60)
            reply(s) if callable(reply) else s.sendall(reply)
        self.peer.reply = slow
        p = self.start("check", self.pixel, "-q")
        while p.poll() is None:
            for pid in descendants(p.pid):
                try:
                    with open("/proc/%d/status" % pid) as f:
                        found = re.search(r"VmHWM:\s+(\d+)", f.read())
                    if found:
                        seen[pid] = max(seen.get(pid, 0), int(found.group(1)))
                except OSError:
                    pass
            if len(seen) >= 2:
                gate.set()
            time.sleep(0.01)
        self.assertGreaterEqual(len(seen), 2, "vault and its courier")
        return max(seen.values())

    def test_nothing_but_the_token_says_who_asks(self):
        self.ask(0)
        head = self.peer.heads[-1].decode()
        self.assertNotRegex(head, "(?im)^(authorization|cookie|proxy-|referer|expect):?")
        self.assertEqual(1, len(re.findall(r"(?im)^access-token:", head)))

    def test_cookies_are_not_kept(self):
        self.peer.reply = answer(HEALTHY, b"Set-Cookie: a=b; Path=/\r\nStrict-Transport-Security: max-age=1\r\nAlt-Svc: h3=\":1\"\r\n")
        self.ask(0)
        self.ask(0)
        self.assertNotRegex(self.peer.heads[-1].decode(), "(?im)^cookie:")


@spread
class Handshakes(Case):
    """The token is sent only after the certificate has been proven, whoever asks."""

    @cases(expired="expired", not_yet="not-yet", wrong_host="wrong-host", self_signed="self-signed", foreign_ca="foreign-ca", name_only_in_cn="cn-only")
    def test_no_byte_of_a_token(self, kind):
        pixel, token = self.stored()
        self.emu.knob("cert", kind)
        for program, words, stdin in (("vault", ["check"], ""), ("agent", ["--once"], ""), ("vault", ["put", pixel], self.more_token(pixel)),
                                      ("vault", ["check", "--probe", "dry"], "")):
            r = (self.vault if program == "vault" else self.agent)(*words, rc=9, stdin=stdin)
            self.assertSoon(r.took, 16)
        totals = self.emu.totals()
        self.assertEqual(0, totals["app-bytes-with-bad-cert"])
        self.assertEqual("healthy", self.status(pixel)["verdict"])

    @cases(http_proxy="http_proxy", https_proxy="https_proxy", HTTPS_PROXY="HTTPS_PROXY", ALL_PROXY="ALL_PROXY", all_proxy="all_proxy")
    def test_a_proxy_variable_leads_nobody_astray(self, name):
        pixel, token = self.stored()
        with socket.create_server(("127.0.0.1", 0)) as trap:
            trap.settimeout(0.2)
            for scheme in ("http", "socks5"):
                self.vault("check", env={name: "%s://127.0.0.1:%d" % (scheme, trap.getsockname()[1])})
            self.assertRaises(OSError, trap.accept)

    def test_a_curlrc_and_a_netrc_are_not_read(self):
        pixel, token = self.stored()
        self.write(self.path("home", ".curlrc"), "insecure\nproxy = 127.0.0.1:1\n")
        self.write(self.path("home", ".netrc"), "machine localhost login x password y\n")
        self.vault("check", env={"CURL_HOME": self.path("home"), "NETRC": self.path("home", ".netrc")})
        self.assertNotRegex(self.emu.last_head(), "(?im)^authorization")


if __name__ == "__main__":
    unittest.main()
