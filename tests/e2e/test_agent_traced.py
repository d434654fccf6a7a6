"""Each system call of the agent's processes, seen by strace: where tokens and keys pass. And none of them dumps core."""

import glob
import os
import re
import resource
import signal
import subprocess
import unittest

from harness import IS_SANITIZED, needs
from running_agent import AgentCase
import test_hygiene

READS = {"read", "recvfrom", "recvmsg", "pread64", "readv", "preadv", "recvmmsg"}
WRITES = {"write", "sendto", "sendmsg", "writev", "sendmmsg"}


@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root traces what has a sandbox of its own")
@unittest.skipIf(IS_SANITIZED, "a sanitized program does not run under a tracer")
class Traced(AgentCase):
    def end_agent(self):
        """The agent is told, not strace, which would leave it behind."""
        if self.agent.poll() is None:
            for pid in self.processes_below(self.agent.pid):
                os.kill(pid, signal.SIGTERM)
            self.agent.wait(60)
        return self.agent.returncode

    @staticmethod
    def processes_below(pid):
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(word) for word in f.read().split()]

    def pieces(self, secret):
        """As strace prints them: the beginning, the middle and the end."""
        text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else "\\%o" % b for b in secret) if isinstance(secret, bytes) else secret
        return [text[:16], text[12:28], text[-16:]]

    def whole_calls(self):
        """The lines of the trace. A call that another process's call cut in two is one line again: its first half names the descriptor,
        its second what was read."""
        begun = {}
        with open(self.path("trace"), encoding="latin-1") as f:
            for line in f:
                pid = line.split(None, 1)[0]
                if line.endswith("<unfinished ...>\n"):
                    begun[pid] = line[: -len("<unfinished ...>\n")]
                    continue
                resumed = re.match(r"\d+\s+<\.\.\. \w+ resumed>", line)
                yield begun.pop(pid, "") + line[resumed.end():] if resumed else line
        yield from begun.values()

    def calls_with(self, pieces):
        """[(call, descriptor, line)]"""
        found = []
        for line in self.whole_calls():
            if any(p in line for p in pieces):
                call = re.match(r"\d+\s+(\w+)", line).group(1)
                descriptor = re.match(r"\d+\s+\w+\((\d+<[^>]*>?[^,]*)", line)
                found.append((call, descriptor.group(1) if descriptor else "", line[:300]))
        return found

    @needs("strace")
    def test_tokens_pass_between_local_sockets_only(self):
        pixel, first = self.pair()
        second = self.more_token(pixel)
        self.start_agent(prefix=("strace", "-f", "-yy", "-s", "4096", "-o", self.path("trace"), "-e", "trace=%network,read,write,readv,"
                                 "writev,pread64,pwrite64,preadv,pwritev,openat,execve,rename,link,unlink"))
        self.asks(200, "PUT", "/v1/pixels/%s/token?test-code=T1" % pixel, first.encode())
        for what, do in self.verbs(pixel, second.encode()):
            do()
        self.asks(200, "POST", "/v1/lock")
        self.end_agent()
        for token in (first, second):
            seen = self.calls_with(self.pieces(token))
            self.assertTrue([c for c, d, l in seen if c in READS], "it came in")
            self.assertTrue([c for c, d, l in seen if c in WRITES], "it went out")
            for call, descriptor, line in seen:
                self.assertIn(call, READS | WRITES, line)
                self.assertRegex(descriptor, r"UNIX|socket|pipe", line)
                self.assertNotRegex(line, r"TCP|UDP|NETLINK", line)

    @needs("strace")
    def test_the_key_file_is_read_and_never_written(self):
        self.start_agent(prefix=("strace", "-f", "-yy", "-s", "4096", "-o", self.path("trace"), "-e", "trace=%network,read,write,readv,"
                                 "writev,pread64,pwrite64,openat"))
        self.asks(200, "POST", "/v1/lock")
        self.asks(200, "POST", "/v1/unlock", b"")
        self.end_agent()
        seen = self.calls_with(self.pieces(self.read(self.key)))
        for call, descriptor, line in seen:
            self.assertIn(call, READS, line)
            self.assertIn("/key>", descriptor, line)


class Cores(test_hygiene.Waiting):
    """Where the caller allows core files of any size, a fault still leaves none."""

    def endings(self):
        return [n for n in glob.glob(self.path("**", "core*"), recursive=True)]

    def unlimited(self):
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        if hard != resource.RLIM_INFINITY:
            self.skipTest("core files are forbidden here from outside")
        return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)}

    def test_a_program_that_is_hit_by_a_fault_dumps_none(self):
        """What this looks for is there where a program does not forbid it."""
        p = subprocess.Popen(["sleep", "60"], cwd=self.dir, **self.unlimited())
        os.kill(p.pid, signal.SIGSEGV)
        _, status = os.waitpid(p.pid, 0)
        p.returncode = -signal.SIGSEGV
        if not os.WCOREDUMP(status):
            self.skipTest("NOT TESTED: this machine writes no core files at all")
        for path in self.endings():
            os.remove(path)
        pixel, token, p, pids = self.waiting(**self.unlimited())
        courier = self.courier(pids)
        os.kill(courier, signal.SIGSEGV)
        os.kill(p.pid, signal.SIGABRT)
        _, status = os.waitpid(p.pid, 0)
        p.returncode = -signal.SIGABRT
        self.assertTrue(os.WIFSIGNALED(status))
        self.assertFalse(os.WCOREDUMP(status))
        self.assertEqual([], self.endings())

    for _name in [n for n in vars(test_hygiene.Waiting) if n.startswith("test_")]:
        locals()[_name] = None
    del _name


@unittest.skipIf(IS_SANITIZED, "a sanitizer handles faults itself")
class AgentCores(AgentCase):
    def test_no_process_of_the_agent_dumps_core(self):
        self.start_agent(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2))
        processes = self.processes()
        for name in ("courier", "keeper"):  # without its keeper an agent ends, and its service manager starts another one
            os.kill(processes[name], signal.SIGSEGV)
        self.assertEqual(1, self.agent.wait(60))
        self.assertEqual([], glob.glob(self.path("**", "core*"), recursive=True))


if __name__ == "__main__":
    unittest.main()
