"""What agent and command line write to a real journald, as a service's output and as messages: no piece of a secret in what the
journal gives back, nor in its files (T27). The journal is one that only this test sees."""

import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import AGENT, PATIENCE, VAULT, descendants, direct_only
from running_agent import AgentCase
from swapping import search_file
from test_alert_sinks import JOURNALD, journal
import test_hygiene_verbs

TOOLS = (JOURNALD, shutil.which("journalctl"), shutil.which("unshare"), shutil.which("systemd-cat"))
SHOW = "journalctl -D /run/log/journal --no-pager -o export; cat /run/log/journal/*/*"


@unittest.skipUnless(os.geteuid() == 0 and all(t and os.path.exists(t) for t in TOOLS),
                     "NOT TESTED: needs root, systemd-journald, journalctl, systemd-cat and unshare")
class Journal:
    def in_journal(self, *words, **more):
        """What is run beside a journal of its own; what that holds comes out at its end."""
        return subprocess.Popen(["unshare", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-c", journal(SHOW), "sh", *words],
                                env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def nothing_of(self, secrets, p):
        out, err = p.communicate(timeout=60 * PATIENCE)
        if p.returncode == 77 or b"unshare" in err:
            self.skipTest("NOT TESTED: no mounts of its own: %r" % err)
        self.assertIn(b"exit 0", err)
        found = search_file(self.write(self.path("journal"), out), {"mark": self.mark.encode(), **secrets})
        self.assertIn(("mark", "raw"), found, "the search finds what a program writes there")
        self.assertEqual([], [f for f in found if f[0] != "mark"])
        return out


@direct_only("an agent of its own")
class OfAgent(Journal, AgentCase):
    def configure(self, more="", **sections):
        super().configure(more=more + "[alert log]\ntype = syslog\nmin-severity = info\n", **sections)

    def supervisor(self):
        """Not journald, nor what lies between."""
        for pid in descendants(self.agent.pid):
            words = self.read("/proc/%d/cmdline" % pid).split(b"\0")
            if words[0] == AGENT.encode() and not {b"--keeper", b"--courier"} & set(words):
                return pid

    def test_no_verb_of_the_agent_writes_a_secret_to_the_journal(self):
        pixel, first = self.pair()
        second = self.more_token(pixel)
        self.mark = harness.new_token()
        self.env["PIXELVAULT_VAULT"] = ""
        p = self.in_journal("systemd-cat", "-t", "agent", "sh", "-c", 'echo %s; exec "$@"' % self.mark, "sh", AGENT, "--config", self.config)
        self.children.append(p)
        self.agent, self.said = p, []
        self.until(lambda: self.health().get("ready"), 20, "the agent is ready")
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, first.encode())
        for what, do in self.verbs(pixel, second.encode()):
            do()
        self.emu.revoke(second)
        self.emu.fault("echo-token")
        self.http("POST", "/v1/pixels/%s/check" % pixel)
        self.emu.no_faults()
        self.http("POST", "/v1/pixels/%s/check" % pixel)
        self.asks(200, "POST", "/v1/lock")
        self.asks(500, "POST", "/v1/unlock", os.urandom(32))
        self.asks(200, "POST", "/v1/unlock", b"")
        self.http("PUT", "/%s" % second, second.encode())
        os.kill(self.supervisor(), signal.SIGTERM)
        out = self.nothing_of({"first": first.encode(), "second": second.encode(), "key": self.read(self.key)}, p)
        self.assertIn(b"locked", out, "its log is there")


@unittest.skipUnless(os.environ.get("HYGIENE") == "1", "make hygiene has it: each verb once")
@direct_only("each verb once")
class OfVerbs(Journal, test_hygiene_verbs.Verbs):
    test_every_verb = None

    def test_no_verb_of_the_command_line_writes_a_secret_to_the_journal(self):
        self.mark, lines = harness.new_token(), []
        lines.append("echo %s | systemd-cat -t mark" % self.mark)
        for verb, runs in self.rows().items():
            for n, (words, stdin, _) in enumerate(runs):
                for more in ([], ["--json"] if verb not in ("init", "run", "completion", "help") else None):
                    if more is None:
                        continue
                    given = self.write(self.path("in.%s.%d" % (verb, n)), stdin)
                    out = "/dev/null" if verb in test_hygiene_verbs.HANDS_OUT else "/dev/stdout"
                    env = " ".join("%s=%s" % e for e in self.new_env.items()) if verb == "init" else ""
                    lines.append("%s systemd-cat -t %s sh -c '\"$@\" >%s' sh %s <%s" % (
                        env, verb, out, " ".join([VAULT, verb, *more, *words]), given))
        script = self.write(self.path("script"), "\n".join(lines) + "\nexit 0\n")
        secrets = {"token%d" % i: s.encode() for i, s in enumerate(self.secrets)}
        p = self.in_journal("sh", script)
        out = self.nothing_of({**secrets, "key": self.read(self.key), "phrase": b"korrektes Pferd Batterie"}, p)
        for verb in self.rows():
            self.assertTrue(verb in test_hygiene_verbs.HANDS_OUT or b"SYSLOG_IDENTIFIER=%s\n" % verb.encode() in out, verb)


if __name__ == "__main__":
    unittest.main()
