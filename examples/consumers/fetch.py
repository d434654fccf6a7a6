#!/usr/bin/env python3
"""fetch.py PIXEL                             keep the token of a Pixel, and take a new one as soon as there is one
fetch.py PIXEL report CODE [REQUEST-ID]    tell the vault that TikTok refused the token (40105: it looks at once)

Python's standard library only. In a program of yours: keep one PixelToken for each Pixel, read `.token` whenever you
send, call `.report(40105, request_id)` when TikTok refuses."""

import http.client
import json
import os
import random
import socket
import sys
import threading
import time

SOCKET = os.environ.get("PIXELVAULT_SOCKET", "/run/pixelvault/agent.sock")
CONSUMER = os.environ.get("CONSUMER", "fetch.py")  # who you are; the audit log shows it


class AgentConnection(http.client.HTTPConnection):
    def __init__(self, timeout=40):
        super().__init__("localhost", timeout=timeout)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def ask(method, path, body=None, **headers):
    """One exchange with the agent: (response, body). OSError or HTTPException when it is away."""
    connection = AgentConnection()
    try:
        connection.request(method, path, body, {"X-Consumer": CONSUMER, **headers})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


class PixelToken(threading.Thread):
    """Follows the token of one Pixel in the background. `on_change(self)` is called with each new one."""

    def __init__(self, pixel, on_change=lambda token: None):
        super().__init__(daemon=True)
        self.path = "/v1/pixels/%s/" % pixel
        self.pixel, self.on_change = pixel, on_change
        self.token = self.etag = self.verdict = None
        self.ready = threading.Event()

    def __repr__(self):  # so that no log shows the token
        return "<PixelToken %s version %s>" % (self.pixel, self.etag)

    def run(self):
        delay = 1
        while True:
            try:
                pause = self.follow()
                delay = 1
            except (OSError, http.client.HTTPException) as e:
                # Away, locked, or none for us: keep the token that we have. 50-100% of the delay, so that a thousand
                # consumers do not come back in the same instant.
                print("%s: %s; using %s until there is an answer" % (self.pixel, e, self.etag or "nothing"), file=sys.stderr)
                pause, delay = delay * random.uniform(0.5, 1), min(delay * 2, 60)
            time.sleep(pause)

    def follow(self):
        """Ask once. With an ETag the agent holds its answer for up to 30 s: 200 at once when the version changes, else
        304. Returns how long to rest before the next question."""
        waiting = {"If-None-Match": self.etag, "Prefer": "wait=30"} if self.etag else {}
        response, body = ask("GET", self.path + "token", **waiting)
        if response.status == 304:
            return 0 if response.getheader("Preference-Applied") else random.uniform(0.5, 1)
        if response.status != 200:
            raise http.client.HTTPException("%d %s" % (response.status, response.reason))
        self.token, self.etag, self.verdict = body.decode("ascii"), response.getheader("ETag"), response.getheader("X-Verdict")
        self.ready.set()
        self.on_change(self)
        return 0

    def report(self, code, request_id=""):
        """TikTok answers HTTP 200 also when it refuses: read `code` in its answer, and report 40105 (revoked)."""
        response, _ = ask("POST", self.path + "report", json.dumps({"code": code, "request_id": request_id}),
                          **{"Content-Type": "application/json"})
        return response.status == 202


def main():
    pixel = PixelToken(sys.argv[1], lambda p: print("%s: version %s, a token of %d characters" % (p.pixel, p.etag, len(p.token)), flush=True))
    if sys.argv[2:3] == ["report"]:
        return 0 if pixel.report(int(sys.argv[3]), *sys.argv[4:5]) else 1
    pixel.start()
    pixel.ready.wait()  # your work: send with {"Access-Token": pixel.token}, read anew for each request
    pixel.join()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
