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
                self.agent.wait(10 * PATIENCE)
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
        end = time.monotonic() + seconds * PATIENCE
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
