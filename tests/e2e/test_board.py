"""The board's page in a real browser, a headless Chromium, started once for the module; what can be seen of it without one is
tried wherever there is none."""

import http.client
import os
import re
import socket
import stat
import subprocess
import time
import unittest

import browser
from harness import BUILD, Case, PATIENCE, VIA_AGENT, free_port, new_pixel, notes
from running_agent import AgentCase

MAKER = os.path.join(BUILD, "tests", "page_maker")
ROWS = 24
SHAPES = {"b": "\u2715", "t": "\u25b2", "u": "\u25cb", "g": "\u25cf"}

# Every element with text of its own: its colour against what lies behind it, as WCAG 2 has it.
CONTRASTS = """(function(){
function parts(c){var m=c.match(/[\\d.]+/g).map(Number);return m.length<4?m.concat(1):m}
function light(c){var v=c.slice(0,3).map(function(x){x/=255;return x<=.04045?x/12.92:Math.pow((x+.055)/1.055,2.4)});
return .2126*v[0]+.7152*v[1]+.0722*v[2]}
function behind(e){for(;e;e=e.parentElement){var c=parts(getComputedStyle(e).backgroundColor);if(c[3]===1)return c}
return [255,255,255]}
document.querySelectorAll('details').forEach(function(e){e.open=true});
return [].filter.call(document.querySelectorAll('body *'),function(e){
return e.checkVisibility()&&[].some.call(e.childNodes,function(n){return n.nodeType===3&&n.data.trim()})}).map(function(e){
var a=light(parts(getComputedStyle(e).color)),b=light(behind(e));
return {what:e.tagName+'.'+e.className+' '+e.textContent.slice(0,30),ratio:(Math.max(a,b)+.05)/(Math.min(a,b)+.05)}})})()"""

WIDEST = """Math.max.apply(null,[document.documentElement.scrollWidth].concat([].map.call(
document.querySelectorAll('body *'),function(e){return Math.ceil(e.getBoundingClientRect().right)})))"""

GUESSES = 10  # at once

chromium = None


def setUpModule():
    global chromium
    if VIA_AGENT:
        raise unittest.SkipTest("it starts agents of its own")
    if browser.PROGRAM:
        chromium = browser.Browser()


def new_page(case):
    if not chromium:
        case.skipTest("no chromium")
    page = chromium.page()
    case.addCleanup(page.close)
    return page


def tearDownModule():
    if chromium:
        chromium.close()


class PageCase(Case):
    uses_emulator = False
    makes_vault = False

    def setUp(self):
        super().setUp()
        self.page = new_page(self)

    def made(self, *args):
        path = self.path("page.html")
        with open(path, "wb") as f:
            subprocess.run([MAKER, *map(str, args)], stdout=f, check=True)
        return path

    def show(self, path):
        self.page.open("file://" + path)

    def type(self, text):
        self.page.value("document.getElementById('q').value=''")
        self.page.value("document.getElementById('q').focus()")
        self.page.type(text)

    def shown(self, of, seconds=30):
        """How many rows the filter left, once it has."""
        self.page.until("document.getElementById('n').textContent.indexOf('of %d shown')>0" % of, seconds)
        return int(self.page.value("document.getElementById('n').textContent").split()[0])

    def assertQuiet(self, path):
        """It asked for nothing but itself, and broke none of its own rules."""
        self.assertEqual(["file://" + path], [e["request"]["url"] for e in self.page.take("Network.requestWillBeSent")])
        self.assertEqual([], self.page.take("Log.entryAdded"))
        self.assertEqual([], self.page.take("Runtime.exceptionThrown"))


class Page(PageCase):
    def test_it_opens_from_a_file_and_asks_nobody_for_anything(self):
        path = self.made(ROWS, 7)
        self.show(path)
        self.assertEqual(ROWS, self.page.value("document.querySelectorAll('#r>details').length"))
        self.assertIn("of %d Pixels need you" % ROWS, self.page.value("document.title"))
        self.page.key("Tab")
        self.type("berlin")
        self.assertGreater(self.shown(ROWS), 0)
        self.assertQuiet(path)

    def test_the_pages_own_rules_forbid_what_it_does_not_need(self):
        self.show(self.made(3))
        tried = self.page.value("""Promise.all([
            fetch('https://127.0.0.1:9/').then(function(){return 'asked'},function(){return 'refused'}),
            new Promise(function(done){var s=document.createElement('script');s.textContent='window.ran=1';
                document.body.appendChild(s);setTimeout(function(){done(window.ran?'ran':'refused')},50)})])""")
        self.assertEqual(["refused", "refused"], tried)
        self.assertGreaterEqual(len(self.page.take("Log.entryAdded")), 1)

    def test_a_state_is_told_by_a_shape_and_a_word_not_by_colour_alone(self):
        self.show(self.made(200, 3))
        seen = {}
        for state, words, strip in self.page.value("""[].map.call(document.querySelectorAll('#r>details'),function(e){
                return [e.className,e.querySelector('b').textContent,e.querySelector('svg').getAttribute('aria-label')]})"""):
            self.assertRegex(words, "^%s [a-z]" % SHAPES[state])
            self.assertRegex(strip, "^Last 30 days: .*[0-9]+d")
            seen[state] = words
        self.assertEqual(set("btug"), set(seen))
        self.assertEqual(4, len(set(SHAPES.values())))
        heights = self.page.value("""[].reduce.call(document.querySelectorAll('svg path'),function(all,p){
            all[p.className.baseVal]=p.getBBox().height;return all},{})""")
        self.assertEqual(["b", "u", "g"], sorted(heights, key=heights.get))
        self.assertEqual(3, len(set(heights.values())))

    def test_the_tab_key_reaches_everything_and_enter_opens_a_row(self):
        self.show(self.made(ROWS, 7))
        stops = []
        for _ in range(ROWS + 2):
            self.page.key("Tab")
            stops.append(self.page.value("""(function(e){return e.id||e.name||(e.tagName==='SUMMARY'?
                e.querySelector('code').textContent:e.tagName)})(document.activeElement)"""))
        rows = self.page.value("[].map.call(document.querySelectorAll('#r code'),function(e){return e.textContent})")
        self.assertEqual(["q", "s"] + rows, stops)
        self.assertNotEqual("none", self.page.value("getComputedStyle(document.activeElement).outlineStyle"))
        self.page.key("Enter")
        self.assertTrue(self.page.value("document.activeElement.parentElement.open"))
        self.assertIn("Last checked", self.page.value("document.activeElement.parentElement.innerText"))

    def test_it_fits_a_phone(self):
        self.page.size(360)
        for args in ((ROWS, 7), (ROWS, 7, "hostile"), (0,)):
            self.show(self.made(*args))
            self.page.value("document.querySelectorAll('details').forEach(function(e){e.open=true})")
            self.assertEqual(360, self.page.value("innerWidth"))
            self.assertLessEqual(self.page.value(WIDEST), 360, args)

    def test_text_stands_out_in_both_schemes(self):
        backs = set()
        for scheme in ("light", "dark"):
            self.page.scheme(scheme)
            self.show(self.made(60, 3))
            backs.add(self.page.value("getComputedStyle(document.body).backgroundColor"))
            found = self.page.value(CONTRASTS)
            self.assertGreater(len(found), 300)
            self.assertEqual([], [f for f in found if f["ratio"] < 4.5], scheme)
        self.assertEqual(2, len(backs))

    def test_ten_thousand_pixels_take_less_than_two_seconds_to_open(self):
        """Of a processor: for how long a busy machine gives none is not the page's doing."""
        path = self.made(10000)
        self.show(path)  # by a process of its own, in which it opens again
        times, used = [], []
        for _ in range(3):
            started, before = time.monotonic(), self.page.processor_s()
            self.show(path)
            times.append(time.monotonic() - started)
            used.append(self.page.processor_s() - before)
        notes.append("10,000 Pixels open in %s s, %s s of a processor, first paint %.2f s" % (
            " ".join("%.2f" % t for t in times), " ".join("%.2f" % t for t in used),
            self.page.value("performance.getEntriesByType('paint')[0].startTime") / 1000))
        self.assertGreater(min(used), 0)
        self.assertSoon(min(used), 2)
        self.type("berlin revoked")
        hits = self.shown(10000)
        with open(path, encoding="utf-8") as f:
            wanted = sum("<details" in line and "berlin" in line and "revoked" in line.lower() for line in f)
        self.assertEqual(wanted, hits)
        self.page.until("document.querySelectorAll('#r>details').length===%d" % hits, 20)

    def test_the_filter_takes_words_and_states_together(self):
        self.show(self.made(300, 5))
        self.page.until("document.querySelectorAll('#r>details').length===300", 20)
        texts = self.page.value("[].map.call(document.querySelectorAll('#r>details'),function(e){return [e.className,e.textContent]})")
        self.type("owner=anna REVOKED")
        self.assertEqual(sum("owner=anna" in t and "revoked" in t.lower() for _, t in texts), self.shown(300))
        self.type("")
        self.page.value("document.querySelector('input[value=b]').click()")
        bad = [t for s, t in texts if s == "b"]
        self.page.until("document.getElementById('n').textContent.indexOf('%d of')===0" % len(bad))
        self.assertEqual(len(bad), self.page.value("document.querySelectorAll('#r>details.b').length"))
        self.assertEqual(len(bad), self.page.value("document.querySelectorAll('#r>details').length"))

    def test_a_strangers_label_stays_text(self):
        path = self.made(300, 5, "hostile")
        self.show(path)
        self.page.until("document.querySelectorAll('#r>details').length===300", 20)
        self.type("onerror")
        self.assertEqual(300, self.shown(300))
        self.page.until("document.querySelectorAll('#r>details').length===300", 20)
        self.assertEqual([None, 0, 0], self.page.value(
            "[window.pwned,document.images.length,document.querySelectorAll('[onfocus],[onerror],#r script').length]"))
        self.assertIn('x=<img src=x onerror="pwned=1">', self.page.value("document.querySelector('.l').textContent"))
        self.assertIn("</script><script>pwned=1</script>", self.page.value("document.querySelector('#r>details:last-child .l').textContent"))
        self.assertQuiet(path)

    def test_an_old_page_says_so(self):
        path = self.made(3)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('datetime="20', 'datetime="19'))
        self.show(path)
        self.assertRegex(self.page.value("document.getElementById('o').textContent"), "^This page is [0-9]+ days old")
        self.show(self.made(3))
        self.assertEqual("", self.page.value("document.getElementById('o').textContent"))


class Written(PageCase):
    makes_vault = True

    def test_the_page_of_a_real_vault(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check", "--label", "shop=<b>Caf\u00e9</b> \u202egnp.exe", "--label", "owner=anna&\"'")
        self.vault("status", "--html", self.path("board.html"))
        self.show(self.path("board.html"))
        self.assertEqual(pixel, self.page.value("document.querySelector('#r code').textContent"))
        self.assertEqual("owner=anna&\"' shop=<b>Caf\u00e9</b> \ufffdgnp.exe", self.page.value("document.querySelector('.l').textContent"))
        self.assertIn("unchecked", self.page.value("document.querySelector('b').textContent"))
        self.assertQuiet(self.path("board.html"))
        self.assertNotIn(token, self.page.value("document.documentElement.outerHTML"))


class Served(AgentCase):
    """The agent's own page: on its socket, and with status-listen on loopback."""
    uses_emulator = False

    def setUp(self):
        self.port = free_port()
        self.more = "status-listen = 127.0.0.1:%d\n" % self.port
        super().setUp()

    def web(self, method="GET", path="/v1/board", host=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30 * PATIENCE)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in [("Host", host or "127.0.0.1:%d" % self.port), *headers.items()]:
                if value:
                    connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def url(self):
        return self.vault("status", "--url").out.decode().strip()

    def bearer(self):
        return "Bearer " + self.url().split("#")[1]

    def test_the_socket_has_the_page_in_order_of_gravity_and_weight(self):
        pixels = sorted(new_pixel() for _ in range(3))
        for pixel, weight in zip(pixels, "132"):
            self.put(pixel, self.token(), "--no-check", "--label", "weight=" + weight)
        self.start_agent()
        status, head, page = self.http("GET", "/v1/board")
        self.assertEqual((200, "text/html; charset=utf-8", "no-store"), (status, head["Content-Type"], head["Cache-Control"]))
        self.assertEqual([pixels[1], pixels[2], pixels[0]], re.findall("</b> <code>([^<]*)", page.decode()))
        self.assertEqual([pixels[2]], re.findall("</b> <code>([^<]*)", self.http("GET", "/v1/board?label=weight%3D2")[2].decode()))
        written = self.vault("status", "--html", "-").out
        self.assertEqual([line for line in written.splitlines() if line.startswith(b"<details")],
                         [line for line in page.splitlines() if line.startswith(b"<details")], "one page, two ways to it")
        self.asks(400, "GET", "/v1/board?pixel=" + pixels[0])
        self.asks(405, "POST", "/v1/board")

    def test_a_browser_gets_the_board_with_the_address_that_is_printed(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        self.start_agent()
        page = new_page(self)
        page.open(self.url())
        page.until("!!document.querySelector('#r code')")
        self.assertEqual(pixel, page.value("document.querySelector('#r code').textContent"))
        self.assertEqual("http://127.0.0.1:%d/" % self.port, page.value("location.href"), "no token is left in the address")
        page.value("document.getElementById('q').value='nothing like it'")
        page.value("document.getElementById('q').dispatchEvent(new Event('input'))")
        page.until("document.getElementById('n').textContent==='0 of 1 shown'")
        page.call("Page.reload")
        page.until("!!document.querySelector('#r code')")
        asked = {e["request"]["url"].split("#")[0] for e in page.take("Network.requestWillBeSent")}
        self.assertLessEqual(asked, {"http://127.0.0.1:%d%s" % (self.port, p) for p in ("/", "/v1/board", "/favicon.ico")})
        self.assertEqual([], page.take("Runtime.exceptionThrown"))
        self.vault("lock")
        page.call("Page.reload")
        page.until("document.getElementById('s')&&document.getElementById('s').textContent.indexOf('locked')>0")

    def test_without_the_token_nothing_is_told(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        self.start_agent()
        status, head, loader = self.web(path="/")
        self.assertEqual((200, "no-store", "DENY"), (status, head["Cache-Control"], head["X-Frame-Options"]))
        self.assertNotIn(pixel.encode(), loader)
        right, refused, began = self.bearer(), 0, time.monotonic()
        for wrong in (None, "", right[:-1], right + "0", right.replace("Bearer", "Basic"), "Bearer " + right[7:].upper()):
            status, head, data = self.web(Authorization=wrong)
            self.assertEqual((401, "Bearer"), (status, head["WWW-Authenticate"]), wrong)
            self.assertNotIn(pixel.encode(), data)
            refused += 1
        for _ in range(200):
            status, head, data = self.web(Authorization="Bearer " + "0" * 64)
            if status == 429:
                break
            refused += 1
        self.assertEqual((429, "1"), (status, head["Retry-After"]))
        self.assertGreaterEqual(refused, GUESSES)
        self.assertLessEqual(refused, GUESSES + (time.monotonic() - began) + 1, "each second allows one more")
        self.assertEqual(200, self.web(Authorization=right)[0], "nobody who guesses keeps out who knows")
        self.assertIn(pixel.encode(), self.web(Authorization=right)[2])
        self.assertIn("asked for without its token", self.log())
        self.assertNotIn(right[7:], self.log())

    def test_a_browser_without_the_token_is_told_what_it_lacks(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        self.start_agent()
        page = new_page(self)
        page.open("http://127.0.0.1:%d/" % self.port)
        for where, words in (("", "needs its token"), ("0" * 64, "not the right one")):
            page.value("location.hash='%s'" % where)  # as a person does who pastes another address
            page.until("document.readyState==='complete'&&document.getElementById('s').textContent.indexOf('%s')>0" % words)
            self.assertNotIn(pixel, page.value("document.documentElement.outerHTML"))

    def test_it_is_a_page_and_nothing_else(self):
        pixel = new_pixel()
        self.put(pixel, self.token(), "--no-check")
        self.start_agent()
        right = self.bearer()
        for host in ("evil.example", "evil.example:%d" % self.port, "127.0.0.1", "127.0.0.1:1", "localhost.evil:%d" % self.port):
            status, head, data = self.web(host=host, Authorization=right)
            self.assertEqual(421, status, host)
            self.assertNotIn(pixel.encode(), data)
        self.assertEqual(200, self.web(host="localhost:%d" % self.port, Authorization=right)[0])
        for path in ("/v1/pixels", "/v1/pixels/%s/token" % pixel, "/v1/events", "/metrics", "/healthz", "/v1/board/", "//v1/board"):
            self.assertEqual(404, self.web(path=path, Authorization=right)[0], path)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            status, head, _ = self.web(method, Authorization=right)
            self.assertEqual(405, status, method)
            self.assertIsNone(head["Access-Control-Allow-Origin"])
        self.assertEqual(404, self.web("DELETE", "/v1/pixels/" + pixel, Authorization=right)[0])
        self.assertEqual(400, self.web(path="/v1/board?pixel=" + pixel, Authorization=right)[0])
        self.vault("get", pixel)

    def test_its_token_is_in_a_file_of_the_agents_alone_and_survives_a_restart(self):
        self.refuses(3, "status", "--url", says=("no '.*board-token' yet",))
        self.start_agent()
        path = os.path.join(self.state, "board-token")
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        url = self.url()
        self.assertRegex(url, "^http://127.0.0.1:%d/#[0-9a-f]{64}$" % self.port)
        self.assertEqual(url, self.json("status", "--url")["url"])
        secret = url.split("#")[1].encode()
        for pid in self.processes().values():
            for name in ("cmdline", "environ"):
                with open("/proc/%s/%s" % (pid, name), "rb") as f:
                    self.assertNotIn(secret, f.read())
        self.end_agent()
        self.start_agent()
        self.assertEqual(url, self.url())
        self.assertEqual(200, self.web(Authorization=self.bearer())[0])
        self.end_agent()
        os.unlink(path)
        self.start_agent()
        self.assertNotEqual(url, self.url())

    def test_many_browsers_do_not_keep_out_the_services(self):
        pixel, token = new_pixel(), self.token()
        self.put(pixel, token, "--no-check")
        self.start_agent()
        idle = [socket.create_connection(("127.0.0.1", self.port), 5) for _ in range(100)]
        try:
            for _ in range(20):
                self.assertEqual(token.encode(), self.http("GET", "/v1/pixels/%s/token" % pixel)[2])
            self.assertEqual(200, self.web(Authorization=self.bearer())[0])
        finally:
            for s in idle:
                s.close()

    def test_only_this_machine_may_be_listened_on(self):
        for where in ("0.0.0.0:9187", "[::]:9187", "192.168.1.5:9187", "example.org:9187", "127.0.0.1", "127.0.0.1:0"):
            self.more = "status-listen = %s\n" % where
            self.configure()
            self.refuses(13, "config", "check", says=("status-listen",))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            self.more = "status-listen = 127.0.0.1:%d\n" % s.getsockname()[1]
            self.configure()
            r = self.agent_program("--config", self.config)
            self.assertEqual(13, r.returncode, r.stderr)
            self.assertIn(b"cannot be listened on", r.stderr)
        self.more = ""
        self.configure()
        self.refuses(13, "status", "--url", says=("status-listen is not set",))
        self.start_agent()
        self.assertFalse(os.path.exists(os.path.join(self.state, "board-token")))

    def agent_program(self, *args):
        return subprocess.run([self.program, *args], env=dict(self.env, PIXELVAULT_VAULT=""), capture_output=True, timeout=60 * PATIENCE)


if __name__ == "__main__":
    unittest.main()
