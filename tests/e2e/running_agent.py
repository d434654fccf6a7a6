"""A running vault-agent for tests: started on the test's own vault, spoken to over its socket."""

import http.client
import json
import os
import threading
import time

from harness import AGENT, Case, PATIENCE, UnixConnection, descendants


class AgentCase(Case):
    """self.start_agent(), then self.http(...); the agent ends with the test. self.log() is what it said."""
    agent = None
    program = AGENT
    require_locked_memory = "no"
    more = ""  # more of the configuration

    def configure(self, more="", **sections):
        self.socket = self.path("agent.sock")
        super().configure(more="[agent]\nsocket = %s\nrequire-locked-memory = %s\n%s%s" % (
            self.socket, self.require_locked_memory, self.more, more), **sections)

    def start_agent(self, ready=True, prefix=(), **more):
        env = {"PIXELVAULT_VAULT": "", **more.pop("env", {})}
        self.agent = self.start("--config", self.config, program=self.program, stdin=None, prefix=prefix, env=env, **more)
        self.said = []
        self.reader = threading.Thread(target=lambda p=self.agent, said=self.said: [said.append(line.decode()) for line in p.stderr])
        self.reader.start()
        self.addCleanup(self.reader.join)
        self.addCleanup(self.end_agent)
        self.until(lambda: self.health().get("ready" if ready else "live"), 20, "the agent is ready")
        return self.agent

    def end_agent(self):
        """What a service manager does."""
        if self.agent.poll() is None:
            self.agent.terminate()
            try:
                self.agent.wait(60 * PATIENCE)
            except Exception:
                self.agent.kill()
                raise
        return self.agent.returncode

    def log(self):
        return "".join(self.said)

    def health(self):
        try:
            return json.loads(self.http("GET", "/healthz")[2])
        except (OSError, http.client.HTTPException, ValueError):
            if self.agent.poll() is not None:
                self.fail("the agent ended with %s: %s" % (self.agent.returncode, self.log()))
            return {}

    def until(self, condition, seconds, what):
        """For what may come as late as the machine likes; how soon it must come says assertSoon."""
        end = time.monotonic() + max(seconds, 30) * PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail("never: %s; the agent said: %s" % (what, self.log()))
            time.sleep(0.02)

    def http(self, method, path, body=None, timeout=30, **headers):
        """(status, headers, body)"""
        connection = UnixConnection(self.socket, timeout * PATIENCE)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def asks(self, status, method, path, body=None, **headers):
        """The exchange must end with this status; its JSON, or its bytes."""
        got, head, data = self.http(method, path, body, **headers)
        self.assertEqual(status, got, "%s %s: %r" % (method, path, data[:600] if b"schema" in data or b"type" in data else len(data)))
        return json.loads(data) if "json" in head.get("Content-Type", "") else data

    def processes(self):
        """{"supervisor": pid, "keeper": pid, "courier": pid}"""
        found = {}
        for pid in descendants(self.agent.pid):
            try:
                words = self.read("/proc/%d/cmdline" % pid).split(b"\0")
            except OSError:
                continue
            name = "keeper" if b"--keeper" in words else "courier" if b"--courier" in words else "supervisor"
            found[name] = pid
        return found

    def verbs(self, pixel, second):
        """Every verb of the socket, in an order that makes sense: (what, function)."""
        path = "/v1/pixels/" + pixel

        def ask(status, method, where, body=None, **headers):
            return lambda: self.asks(status, method, where, body, **headers)
        yield "get", ask(200, "GET", path + "/token", X_Consumer="hygiene")
        yield "get, head only", lambda: self.http("HEAD", path + "/token")
        yield "get as JSON", ask(200, "GET", path + "/token", Accept="application/json")
        yield "get, known", ask(304, "GET", path + "/token", If_None_Match='"1"')
        yield "get, known, waiting", ask(304, "GET", path + "/token", If_None_Match='"1"', Prefer="wait=1")
        yield "get, unknown version", ask(404, "GET", path + "/token?version=77")
        yield "list", ask(200, "GET", "/v1/pixels")
        yield "list as records", ask(200, "GET", "/v1/pixels", Accept="application/x-pixelvault-records")
        yield "show", ask(200, "GET", path)
        yield "history", ask(200, "GET", path + "/history")
        yield "check", ask(200, "POST", path + "/check")
        yield "check all", ask(200, "POST", "/v1/check")
        yield "report", ask(202, "POST", path + "/report", json.dumps({"code": 40105, "request_id": "R"}))
        yield "put a second", ask(200, "PUT", path + "/token?test-code=T1", second)
        yield "put it again", ask(200, "PUT", path + "/token", second)
        yield "ack", ask(200, "POST", path + "/ack", json.dumps({"version": 2, "as": "hygiene"}))
        yield "get the previous", ask(200, "GET", path + "/token?previous=1")
        yield "rollback", ask(200, "POST", path + "/rollback")
        yield "rollback again", ask(200, "POST", path + "/rollback")
        yield "labels", ask(200, "POST", path + "/labels?label=a=b")
        yield "rotate", ask(200, "POST", "/v1/rotate", json.dumps({"pixels": [pixel]}))
        yield "rotate by label", ask(200, "POST", "/v1/rotate", json.dumps({"labels": ["a=b"], "max_age": 1}))
        yield "rotate no more", ask(200, "POST", "/v1/rotate", json.dumps({"cancel": True}))
        yield "rotate whom", ask(400, "POST", "/v1/rotate", "{}")
        yield "put one's own", ask(200, "PUT", path + "/token?own=1", second)
        yield "alerts", ask(200, "GET", "/v1/alerts")
        yield "acknowledge none", ask(404, "POST", "/v1/alerts/ack", json.dumps({"id": "7Q2M-9FKD"}))
        yield "a test to nobody", ask(404, "POST", "/v1/alerts/test", json.dumps({"sink": "nobody"}))
        yield "metrics", ask(200, "GET", "/metrics")
        yield "plan", ask(200, "GET", "/v1/plan?for=3600&pixel=" + pixel)
        yield "levels", ask(200, "GET", "/v1/levels?since=2026-01-01&pixel=" + pixel)
        yield "match", ask(200, "POST", "/v1/match", second)
        yield "match nobody's", ask(404, "POST", "/v1/match", b"nobody's-token")
        yield "verify", ask(200, "POST", "/v1/verify")
        yield "access", ask(200, "GET", "/v1/access?uid=0&pixel=" + pixel)
        yield "a token as a malformed one", lambda: self.http("PUT", path + "/token", b"Bearer " + second + b" " + second)
        yield "remove", ask(200, "DELETE", path)
        yield "get the removed", lambda: self.http("GET", path + "/token")
        yield "restore", ask(200, "POST", path + "/restore")
        yield "get the restored", ask(200, "GET", path + "/token")
