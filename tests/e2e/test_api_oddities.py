"""Whatever the Internet answers: the verdict is kept, the exit code is right, the sentence names the cause."""

import os
import time
import unittest

from harness import Case, cases, emulator, new_pixel, say, spread


# fault, exit code of check, words that name the cause
KEPT = dict(
    refuse=("refuse", 9, "connect|reach|closed|answer"),
    close=("close", 9, "closed|ended|empty|cut|answer|connection"),
    reset=("reset", 9, "reset|ended|cut|connection|answer"),
    silence=("silence", 9, "time|too long|in time|slow"),
    slow_head=("slow-head", 9, "time|too long|in time|slow"),
    slow_body=("slow-body", 9, "time|too long|in time|slow"),
    half_body=("half-body", 9, "cut|ended|incomplete|transfer|inside"),
    cut_body=("cut-body", 9, "cut|ended|incomplete|transfer|inside"),
    chunked_cut=("chunked-cut", 9, "cut|ended|incomplete|transfer|inside"),
    chunked_lie=("chunked-lie", 9, ""),
    empty=("empty", 9, "empty|no answer|nothing|without"),
    bad_gateway=("502-html", 9, "502"),
    unavailable=("503", 9, "503"),
    server_error=("500-json", 9, "500|server|timed out"),
    pixel_service=("51012", 9, "51012|server|service"),
    auth_service=("51039", 9, "51039|server|service"),
    maintenance=("60001", 9, "60001|maintenance"),
    barred_country=("41000", 9, "41000|country|region"),
    page=("html-200", 9, "JSON|HTML|text|page|not"),
    garbage=("garbage", 9, ""),
    http09=("http09", 9, ""),
    endless_head=("endless-head", 9, ""),
    gzip=("gzip", (9, 16), ""),
    huge=("huge", (9, 16), "large|big|long|64|more than"),
    huge_chunked=("huge-chunked", (9, 16), "large|big|long|64|more than"),
    deep=("deep", (9, 16), ""),
    nodes=("nodes", (9, 16), ""),
    gzip_bomb=("gzip-bomb", (9, 16), ""),
    bom=("bom", (9, 16), ""),
    bad_utf8=("bad-utf8", (9, 16), ""),
    redirect=("redirect", 9, "302|redirect"),
    redirect_307=("redirect-307", 9, "307|redirect"),
    redirect_http=("redirect-http", 9, "302|redirect"),
    redirect_file=("redirect-file", 9, "302|redirect"),
    not_found=("404-text", 16, "404|not found|version|no longer knows"),
    wrong_method=("405-html", 16, "405|method|version|no longer knows"),
    unknown_code=("unknown-code", 16, "49999"),
    bad_parameters=("code-40000", 16, "40000"),
    other_parameter_error=("code-40002", 16, "40002"),
    api_version=("code-40006", 16, "40006|version|no longer knows"),
    bad_version=("code-40051", 16, "40051|version|no longer knows"),
    wrong_domain=("code-40010", 16, "40010|domain|no longer knows"),
    no_route=("code-40400", 16, "40400|route|no longer knows"),
    offline=("code-41001", 16, "41001|offline|no longer knows"),
    app_credentials=("code-40101", 16, "40101|app"),
    app_unknown=("code-40113", 16, "40113|app"),
    object_missing=("code-40007", 16, "40007|exist|deleted"),
    database=("code-52001", 9, "52001|server"),
    processing=("code-50002", 9, "50002|server"),
    array=("array", 16, ""),
    nul_key=("nul-key", 16, ""),
    code_string=("code-string", 16, ""),
    code_float=("code-float", 16, ""),
    code_float_bad=("code-float-bad", 16, ""),
    code_exponent=("code-exp", 16, ""),
    code_infinite=("code-huge", 16, ""),
    code_beyond_int=("code-big", 16, ""),
    code_missing=("code-missing", 16, ""),
    code_null=("code-null", 16, ""),
    code_twice=("code-twice", 16, ""),
    code_in_capitals=("case-only", 16, ""),
)


@spread
class Oddities(Case):
    tiktok = {"timeout": "2s", "connect-timeout": "2s"}

    def healthy_then(self, rc, *words):
        """A healthy Pixel is checked once more; what became of it."""
        before = self.status(self.pixel)
        r = self.vault("check", self.pixel, "--json", rc=rc)
        p = self.object(r)["pixels"][0]
        self.assertEqual(("healthy", before["proven_at"], before["evidence"], before["checked_at"]),
                         (p["verdict"], p["proven_at"], p["evidence"], p["checked_at"]), "the verdict is kept" + say(r))
        self.assertEqual("", self.vault("get", self.pixel).err)
        return r, p

    def setUp(self):
        super().setUp()
        self.pixel, self.secret = self.stored()

    @cases(**KEPT)
    def test_kept(self, fault, rc, cause):
        self.emu.fault(fault)
        r, p = self.healthy_then(rc)
        outcome = p["last_attempt"]["outcome"]
        self.assertEqual(outcome, "unreachable" if r.rc == 9 else "unknown", say(r))
        self.assertSoon(r.took, 8, "nothing may hang" + say(r))
        totals = self.emu.totals()
        self.assertEqual((0, 0, 0), (totals["other-host-connections"], totals["other-host-requests"], totals["other-host-tokens"]))
        text = self.vault("check", self.pixel, rc=r.rc)
        sentence = text.out.decode() + text.err
        self.assertIn(self.pixel, sentence, say(text))
        self.assertRegex(sentence.replace(self.pixel, ""), "(?i)" + cause, "the sentence names the cause" + say(text))
        self.emu.no_faults()
        self.vault("check", self.pixel, rc=0)
        self.vault("verify")

    @cases(**{k: KEPT[k][0] for k in ("silence", "half_body", "bad_gateway", "array", "code_string", "code_twice", "deep",
                                             "redirect", "unknown_code", "code_float", "nul_key", "huge", "page")})
    def test_of_a_fresh_token(self, fault):
        """The same answers to the first put: unchecked, never healthy, never refuted."""
        pixel, token = self.pair()
        self.emu.fault(fault)
        doc = self.put_json(pixel, token, "--test-code", "T1")
        self.assertEqual(("current", "unchecked"), (doc["stage"], doc["verdict"]))
        doc = self.put_json(self.pixel, self.more_token(self.pixel), rc=9)
        self.assertEqual(("pending", "unchecked"), (doc["stage"], doc["verdict"]))

    def test_code_in_capitals_beside_the_real_one_is_not_read(self):
        self.emu.fault("code-case")
        r = self.vault("check", self.pixel, "--json", rc=(10, 16))  # read exactly: revoked; refused as odd: unclear
        p = self.object(r)["pixels"][0]
        self.assertEqual((p["last_attempt"]["outcome"], p["verdict"]), ("revoked", "revoked") if r.rc == 10 else ("unknown", "healthy"))

    def test_a_flood_of_100_continue_harms_nothing(self):
        self.emu.fault("continue-flood")
        r = self.vault("check", self.pixel, rc=(0, 9))
        self.assertSoon(r.took, 8)
        self.assertEqual("healthy", self.status(self.pixel)["verdict"])

    def test_an_answer_that_echoes_the_token_is_cleaned(self):
        self.emu.fault("echo-token")
        r = self.vault("check", self.pixel, rc=10)
        r2 = self.vault("status", self.pixel, "--json")
        message = self.object(r2)["pixels"][0]["evidence"]["message"]
        self.assertIn("incorrect or has been revoked", message)
        for text in (message, r.err, r.out.decode("utf-8", "replace"), self.vault("status", self.pixel).out.decode("utf-8", "replace"),
                     self.vault("history", self.pixel).out.decode("utf-8", "replace")):
            self.assertNotIn(self.secret, text)
            for i in range(0, 33):
                self.assertNotIn(self.secret[i:i + 8], text, "not a piece of it either")
            self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202e\u202c]", repr(text))
        self.assertNotIn("\n", message)
        for name, data in self.files().items():
            self.assertNotIn(self.secret.encode(), data, name)

    @cases(expired="expired", not_yet="not-yet", wrong_host="wrong-host", self_signed="self-signed", foreign_ca="foreign-ca", name_only_in_cn="cn-only")
    def test_certificate(self, kind):
        self.emu.knob("cert", kind)
        r, p = self.healthy_then(9)
        self.assertEqual("unreachable", p["last_attempt"]["outcome"])
        text = self.vault("check", self.pixel, rc=9)
        self.assertRegex(text.out.decode() + text.err, "(?i)certificate", say(text))
        totals = self.emu.totals()
        self.assertEqual(0, totals["app-bytes-with-bad-cert"], "no byte of the token may be sent")
        self.assertGreater(totals["connections"], 1)
        pixel, token = self.pair()
        doc = self.put_json(pixel, token, "--test-code", "T1")
        self.assertEqual("unchecked", doc["verdict"])
        self.assertEqual(0, self.emu.totals()["app-bytes-with-bad-cert"])

    def test_an_old_tls_is_refused(self):
        self.emu.knob("tls", "1.1-only")
        self.healthy_then(9)
        self.assertEqual(0, self.emu.totals()["app-bytes-with-bad-cert"])

    def test_plain_text_is_refused(self):
        self.emu.knob("tls", "plaintext")
        self.healthy_then(9)
        self.assertEqual(0, self.emu.totals()["app-bytes-with-bad-cert"])

    def test_without_its_ca_the_emulator_is_a_stranger(self):
        self.configure(tiktok={"ca-file": None})
        r, p = self.healthy_then(9)
        self.assertEqual("unreachable", p["last_attempt"]["outcome"])

    def test_no_host_of_that_name(self):
        self.configure(tiktok={"base-url": "https://no-such-host.invalid/open_api/v1.3"})
        r, p = self.healthy_then(9)
        text = self.vault("check", self.pixel, rc=9)
        self.assertRegex(text.out.decode() + text.err, "(?i)host|name|address|resolve", say(text))

    def test_nobody_listens(self):
        self.configure(tiktok={"base-url": "https://localhost:1/open_api/v1.3"})
        r, p = self.healthy_then(9)
        self.assertSoon(r.took, 3)

    @cases(null="null", absent="absent")
    def test_data(self, value):
        self.emu.knob("data", value)
        self.vault("check", self.pixel)
        self.emu.revoke(self.secret)
        self.vault("check", self.pixel, rc=10)

    def test_without_a_request_id(self):
        self.emu.knob("request-id", "off")
        self.emu.revoke(self.secret)
        self.vault("check", self.pixel, rc=10)
        self.assertIsNone(self.status(self.pixel)["evidence"]["request_id"])

    @cases(bad_request="400", unauthorized="401")
    def test_http_error_with_a_json_code(self, status):
        self.emu.knob("error-status", status)
        self.emu.revoke(self.secret)
        self.vault("check", self.pixel, rc=10)
        self.assertEqual(("revoked", 40105), (self.status(self.pixel)["verdict"], self.status(self.pixel)["evidence"]["code"]))

    @cases(bad_request="400", unauthorized="401")
    def test_http_error_with_a_json_code_on_a_dry_probe(self, status):
        self.emu.knob("error-status", status)
        pixel, token = self.pair()
        self.assertEqual("unproven", self.put_json(pixel, token)["verdict"])

    def test_revoked_is_seen_by_a_test_probe_in_both_orders(self):
        self.emu.revoke(self.secret)
        self.emu.knob("order", "params-first")
        self.vault("check", self.pixel, rc=10)

    def test_a_dry_probe_is_silent_on_a_dead_token_when_parameters_come_first(self):
        self.emu.knob("order", "params-first")
        self.emu.revoke(self.secret)
        p = self.object(self.vault("check", self.pixel, "--probe", "dry", "--json", rc=0))["pixels"][0]
        self.assertEqual("healthy", p["verdict"], "40002 neither proves nor refutes")

    def test_the_numeric_id_is_not_sent_where_the_code_belongs(self):
        self.vault("check", self.pixel)
        self.assertEqual(self.pixel, self.emu.last_body()["event_source_id"])

    def test_40002_about_something_else_is_unclear(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        self.emu.knob("empty-data-text", "Invalid value for event_source: must be web, app or offline.")
        p = self.object(self.vault("check", pixel, "--json", rc=16))["pixels"][0]
        self.assertEqual(("unchecked", "unknown"), (p["verdict"], p["last_attempt"]["outcome"]))

    def test_a_refused_test_code_condemns_nobody(self):
        for value, rcs in (("refused-40002", (16,)), ("refused-40001", (16,))):
            self.emu.knob("test-code", value)
            p = self.object(self.vault("check", self.pixel, "--json", rc=None))["pixels"][0]
            self.assertEqual("healthy", p["verdict"], "the token is not to blame for a stale test code (%s)" % value)

    def test_a_pixel_that_does_not_exist(self):
        self.emu.knob("unknown-pixel", "40007")
        pixel, token = new_pixel(), self.token()
        self.emu.token(token, self.pixel)
        doc = self.put_json(pixel, token, "--test-code", "T1")
        self.assertEqual("unchecked", doc["verdict"])

    def test_slower_than_the_time_out(self):
        self.emu.knob("delay-ms", 4000)
        r, p = self.healthy_then(9)
        self.assertSoon(r.took, 3.8)

    def test_the_15_s_limit(self):
        self.configure(tiktok={"timeout": None, "connect-timeout": None})
        self.emu.fault("silence")
        r, p = self.healthy_then(9)
        self.assertGreater(r.took, 14)
        self.assertSoon(r.took, 17)

    def test_the_environment_is_not_obeyed(self):
        log = self.path("keys")
        env = {"SSLKEYLOGFILE": log, "https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1",
               "SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/nowhere", "CURL_CA_BUNDLE": "/dev/null", "OPENSSL_CONF": self.path("none")}
        self.vault("check", self.pixel, rc=0, env=env)
        self.agent("--once", rc=0, env=env)
        self.assertFalse(os.path.exists(log), "TLS secrets were written")

    def test_netrc_is_not_obeyed(self):
        self.write(self.path("home", ".netrc"), "default login x password y\n")
        self.vault("check", self.pixel)
        self.assertNotRegex(self.emu.last_head(), "(?im)^authorization")

    def test_throttled_by_a_page_with_200(self):
        self.emu.knob("throttle-edge", "200")
        self.emu.knob("throttle", "0/60000:40100")
        self.healthy_then(9)

    def test_gzip_is_not_asked_for(self):
        self.vault("check", self.pixel)
        self.assertNotRegex(self.emu.last_head(), "(?im)^accept-encoding:.*gzip")


if __name__ == "__main__":
    unittest.main()
