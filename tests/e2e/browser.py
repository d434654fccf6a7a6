"""A headless Chromium, driven over a pipe of its own (the DevTools protocol: JSON messages, each ended by a zero byte).

    browser = Browser(); page = browser.page(); page.open("file:///..."); page.value("document.title")"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
         "--no-default-browser-check", "--mute-audio", "--remote-debugging-pipe"]
PATIENCE = float(os.environ.get("TEST_TIMEOUT_FACTOR", "1"))


def high(fd):
    """The same descriptor above those that the browser expects at 3 and 4."""
    got = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(fd)
    return got


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="chromium-")
        theirs_in, ours_out = (high(fd) for fd in os.pipe())
        ours_in, theirs_out = (high(fd) for fd in os.pipe())
        placeholders = [os.open("/dev/null", os.O_RDONLY) for _ in range(4)]  # so that nothing of Python's lies at 3 and 4

        def hand_over():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self.process = subprocess.Popen(
            [PROGRAM, *FLAGS, "--user-data-dir=" + self.folder, "about:blank"], pass_fds=(3, 4), preexec_fn=hand_over,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ, HOME=self.folder, LANG="C.UTF-8"))
        for fd in [theirs_in, theirs_out, *placeholders]:
            os.close(fd)
        self.out, self.inp, self.rest, self.last, self.events = ours_out, ours_in, b"", 0, []

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except Exception:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.inp)
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self, until):
        while b"\0" not in self.rest:
            if not select.select([self.inp], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser says nothing")
            part = os.read(self.inp, 1 << 20)
            if not part:
                raise EOFError("the browser has ended")
            self.rest += part
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, timeout=90, **params):
        self.last += 1
        order = {"id": self.last, "method": method, "params": params}
        if session:
            order["sessionId"] = session
        data, until = json.dumps(order).encode() + b"\0", time.monotonic() + timeout * PATIENCE
        while data:
            data = data[os.write(self.out, data):]
        while True:
            got = self.message(until)
            if got.get("id") != order["id"]:
                self.events.append(got)
            elif "error" in got:
                raise RuntimeError("%s: %s" % (method, got["error"]))
            else:
                return got["result"]

    def page(self):
        return Page(self)


class Page:
    def __init__(self, browser):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def take(self, method):
        """The events of that kind that came for this page since it was last asked."""
        mine = [e for e in self.browser.events if e.get("sessionId") == self.session and e["method"] == method]
        self.browser.events = [e for e in self.browser.events if e not in mine]
        return [e["params"] for e in mine]

    def open(self, url, timeout=90):
        self.browser.events = [e for e in self.browser.events if e.get("sessionId") != self.session]
        self.call("Page.navigate", url=url)
        until = time.monotonic() + timeout * PATIENCE
        while not any(e["method"] == "Page.loadEventFired" and e.get("sessionId") == self.session for e in self.browser.events):
            self.browser.events.append(self.browser.message(until))

    def value(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError("%s: %s" % (expression, got["exceptionDetails"]))
        return got["result"].get("value")

    def processor_s(self):
        """What the page's process has used of a processor."""
        self.call("Performance.enable")
        return next(m["value"] for m in self.call("Performance.getMetrics")["metrics"] if m["name"] == "ProcessTime")

    def until(self, expression, seconds=30):
        end = time.monotonic() + seconds * PATIENCE
        while self.value("!!(" + expression + ")") is not True:
            if time.monotonic() > end:
                raise TimeoutError("never: " + expression)
            time.sleep(0.02)

    def size(self, width, height=800):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def key(self, name):
        code = {"Tab": 9, "Enter": 13}[name]
        for kind in ("keyDown", "keyUp"):
            more = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **more)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
