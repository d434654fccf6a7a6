"""Secrets stay where they belong: not in files, arguments, environments, logs, error texts, cores."""

import base64
import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import time
import unittest

from harness import AGENT, Case, IS_COUNTED, VAULT, cases, descendants, needs, new_pixel, say, spread, traced


def forms(secret):
    """The secret as it could lie about: as it is, UTF-16, hex, base64 at each alignment."""
    raw = secret.encode()
    yield "clear", raw
    yield "reversed", raw[::-1]
    yield "utf-16le", secret.encode("utf-16-le")
    yield "utf-16be", secret.encode("utf-16-be")
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    for shift in range(3):
        padded = base64.b64encode(b"\0" * shift + raw)
        whole = padded[(4 if shift else 0):len(padded) // 4 * 4 - 4]
        if len(whole) >= 8:
            yield "base64+%d" % shift, whole
            yield "base64url+%d" % shift, whole.replace(b"+", b"-").replace(b"/", b"_")


class AtRest(Case):
    def search(self, secrets):
        hits = []
        for name, data in self.files().items():
            lower = data.lower()
            for what, secret in secrets.items():
                for form, needle in forms(secret):
                    if needle in data or (what in ("pixel", "label") and needle.lower() in lower):
                        hits.append((name, what, form))
                if what == "token":
                    for i in range(len(secret) - 7):
                        if secret[i:i + 8].encode() in data:
                            hits.append((name, what, "a piece of it"))
                            break
        return hits

    def test_no_file_holds_token_pixel_label_or_test_code_in_clear(self):
        pixel, token = self.pair()
        secrets = {"token": token, "pixel": pixel, "label": "Kn0rrigesHuhn", "label key": "zwiebelring", "test code": "TEST98Q7X5Z",
                   "key": self.read(self.key).hex()}
        found = []
        self.put(pixel, token, "--label", "zwiebelring=Kn0rrigesHuhn", "--test-code", "TEST98Q7X5Z", "--expires", "2031-01-01T00:00:00Z")
        found += self.search(secrets)
        steps = [["get", pixel, "--as", "checkout"], ["check"], ["status"], ["list"], ["verify"], ["history", pixel],
                 ["label", pixel, "zwiebelring=Kn0rrigesHuhn2"], ["plan"], ["scan", self.config], ["rm", pixel], ["rm", pixel, "--restore"]]
        for words in steps:
            self.vault(*words)
            found += [(words[0],) + f for f in self.search(secrets)]
        second = self.more_token(pixel)
        self.emu.fault("echo-token")
        self.put(pixel, second, rc=10)
        self.emu.no_faults()
        found += [("refused",) + f for f in self.search(dict(secrets, token=second))]
        self.emu.fault("code-40001")
        self.vault("check", rc=11)  # TikTok's text names the Pixel
        self.emu.no_faults()
        found += [("mismatch",) + f for f in self.search(secrets)]
        self.agent("--once", rc=None)
        found += [("agent",) + f for f in self.search(secrets)]
        self.vault("rm", pixel, "--destroy", "--yes")
        found += [("destroy",) + f for f in self.search(secrets)]
        self.assertEqual([], found)

    def test_no_log_is_left_with_it_while_a_writer_is_killed(self):
        self.configure(tiktok={"timeout": "60s"})
        pixel, token = self.pair()
        self.emu.fault("silence")
        p = self.start("put", pixel, stdin=token)
        end = time.monotonic() + 30
        while self.emu.requests() < 1 and time.monotonic() < end:
            time.sleep(0.02)
        p.kill()
        p.wait()
        self.assertEqual([], self.search({"token": token, "pixel": pixel}))

    def test_names_of_rows_say_nothing_and_are_not_plain_hashes(self):
        import hashlib
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        text = b"\n".join(bytes(k) for k, in self.sql("SELECT CAST(k AS BLOB) FROM kv"))
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256"):
            for value in (pixel, token):
                self.assertNotIn(hashlib.new(name, value.encode()).hexdigest()[:16].encode(), text.lower())
        for size in (16, 32):
            self.assertNotIn(hashlib.blake2b(pixel.encode(), digest_size=size).hexdigest()[:16].encode(), text.lower())

    def test_the_size_of_a_record_does_not_tell_the_length_of_a_token(self):
        sizes = set()
        for n in (8, 40, 100, 300, 500):
            self.put(new_pixel(), "t" * n, "--no-check")
        for v, in self.sql("SELECT length(v) FROM kv WHERE CAST(k AS TEXT) LIKE '%t/%'"):
            sizes.add(v)
        self.assertEqual(1, len(sizes), "tokens are padded: %s" % sizes)

    def test_the_same_token_twice_gives_two_ciphertexts(self):
        token = self.token()
        self.put(new_pixel(), token, "--no-check")
        self.put(new_pixel(), token, "--no-check")
        values = [v for v, in self.sql("SELECT v FROM kv WHERE CAST(k AS TEXT) LIKE '%t/%'")]
        self.assertEqual(2, len(set(values)))
        self.assertEqual(2, len({bytes(v[:24]) for v in values}), "a nonce of its own each")

    def test_no_nonce_comes_twice(self):
        pixel = new_pixel()
        nonces = set()
        count = 0
        for _ in range(30):
            self.put(pixel, self.token(), "--no-check")
            for v, in self.sql("SELECT v FROM kv WHERE CAST(k AS TEXT) LIKE '%t/%' OR CAST(k AS TEXT) LIKE '%m/%'"):
                nonces.add(bytes(v)[:24])
        total = 30 + 30  # tokens and metadata, each sealed once per put
        self.assertGreaterEqual(len(nonces), total - 2)


class Waiting(Case):
    """What can be seen from outside while the courier waits for an answer that does not come."""
    tiktok = {"timeout": "60s"}  # as long as anybody looks

    def waiting(self, env=None, **more):
        pixel, token = self.pair()
        self.emu.fault("silence")
        p = self.start("put", pixel, "--test-code", "T1", stdin=token, env={"MARK": "zwiebelring", **(env or {})}, **more)
        end = time.monotonic() + 30
        while self.emu.requests() < 1:
            if time.monotonic() > end or p.poll() is not None:
                self.fail("TikTok was not asked; exit %s" % p.poll())
            time.sleep(0.02)
        pids = descendants(p.pid)
        self.assertGreaterEqual(len(pids), 2, "vault and its courier")
        return pixel, token, p, pids

    def proc(self, pid, name):
        with contextlib.suppress(OSError):
            with open("/proc/%d/%s" % (pid, name), "rb") as f:
                return f.read()
        return b""

    def courier(self, pids):
        found = [p for p in pids if b"--courier" in self.proc(p, "cmdline")]
        self.assertEqual(1, len(found), [self.proc(p, "cmdline") for p in pids])
        return found[0]

    def test_token_neither_in_arguments_nor_in_environments(self):
        pixel, token, p, pids = self.waiting()
        key = self.read(self.key)
        for pid in pids:
            for name in ("cmdline", "environ", "comm"):
                data = self.proc(pid, name)
                self.assertNotIn(token.encode(), data, "%s of %d" % (name, pid))
                self.assertNotIn(key, data)
        self.courier(pids)

    def test_the_couriers_environment_is_empty_of_ours(self):
        pixel, token, p, pids = self.waiting(env={"SSLKEYLOGFILE": self.path("keys"), "LD_LIBRARY_PATH": "/nowhere"})
        env = self.proc(self.courier(pids), "environ")
        for name in (b"MARK", b"SSLKEYLOGFILE", b"PIXELVAULT", b"LD_LIBRARY_PATH", b"HOME"):
            self.assertNotIn(name, env)
        self.assertFalse(os.path.exists(self.path("keys")))

    def test_the_courier_holds_no_descriptor_of_the_vault(self):
        pixel, token, p, pids = self.waiting()
        pid = self.courier(pids)
        held = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
        for target in held:
            self.assertNotIn(self.dir, target, held)

    def test_no_descriptor_of_the_caller_reaches_the_courier(self):
        r, w = os.pipe()
        os.set_inheritable(r, True)
        try:
            pixel, token, p, pids = self.waiting(pass_fds=(r,))
            held = [os.readlink("/proc/%d/fd/%s" % (self.courier(pids), fd)) for fd in os.listdir("/proc/%d/fd" % self.courier(pids))]
            self.assertNotIn(os.readlink("/proc/self/fd/%d" % r), held)
        finally:
            os.close(r)
            os.close(w)

    def test_no_process_may_dump_core(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        more = {}
        if hard == resource.RLIM_INFINITY:
            more["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        pixel, token, p, pids = self.waiting(**more)
        for pid in pids:
            line = re.search(rb"(?m)^Max core file size\s+(\S+)", self.proc(pid, "limits"))
            self.assertEqual(b"0", line.group(1), self.proc(pid, "cmdline"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_processes_are_undumpable_so_the_same_user_cannot_look_inside(self):
        uid = 12345
        for path in [self.dir, self.path("home"), self.config, self.key]:
            os.chown(path, uid, uid)
        for top in (self.home, self.state):
            for where, folders, names in os.walk(top):
                for n in [""] + names:
                    os.chown(os.path.join(where, n), uid, uid)
        ca = self.write(self.path("ca.pem"), self.read(self.emu.ca_file), 0o644)
        self.configure(tiktok={"ca-file": ca})
        os.chown(self.config, uid, uid)
        pixel, token, p, pids = self.waiting(user=uid, group=uid, extra_groups=[])
        for pid in pids:
            self.assertEqual(0, os.stat("/proc/%d/mem" % pid).st_uid, "undumpable processes' files belong to root")
            r = subprocess.run(["cat", "/proc/%d/environ" % pid], user=uid, group=uid, extra_groups=[], capture_output=True)
            self.assertNotEqual(0, r.returncode)
            self.assertIn(b"ermission", r.stderr)

    def test_the_couriers_memory_is_the_only_one_beside_the_cli_that_holds_the_token(self):
        pixel, token, p, pids = self.waiting()
        p.kill()
        end = time.monotonic() + 30
        left = [pid for pid in pids if pid != p.pid]
        while any(os.path.exists("/proc/%d" % pid) and b"--courier" in self.proc(pid, "cmdline") for pid in left) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertFalse([pid for pid in left if b"--courier" in self.proc(pid, "cmdline")], "the courier ends with its owner")

    def test_a_passphrase_is_nowhere(self):
        phrase = "zwiebelring-wolkenkuckuck"
        file, key = self.path("p2", "vault.db"), self.path("phrase")
        self.write(key, phrase + "\n")
        self.configure(vault={"key-file": None, "path": file, "state-dir": self.path("s2")})
        self.env["PIXELVAULT_VAULT"] = file
        self.vault("init", "--passphrase-file", key, "--no-recovery")
        pixel, token, p, pids = self.waiting(env={"PIXELVAULT_PASSPHRASE_FILE": key})
        for pid in pids:
            for name in ("cmdline", "environ"):
                self.assertNotIn(phrase.encode(), self.proc(pid, name))
        for top in (self.path("p2"), self.path("s2")):
            for where, _, names in os.walk(top):
                for name in names:
                    data = self.read(os.path.join(where, name))
                    for form, needle in forms(phrase):
                        self.assertNotIn(needle, data, name)


class Traced(Case):
    """Every write of every process of ours, seen by strace."""

    def trace(self, *words, stdin=b"", rc=0):
        out = self.path("trace")
        p = subprocess.run(["strace", "-f", "-yy", "-s", "8192", "-o", out, "-e",
                            "trace=write,pwrite64,writev,pwritev,sendto,sendmsg,sendmmsg,read,recvfrom,recvmsg,execve,open,openat,link,rename,unlink",
                            VAULT, *words], input=stdin.encode() if isinstance(stdin, str) else stdin, capture_output=True, env=traced(self.env), timeout=90)
        text = self.read(out).decode("latin-1")
        if "ptrace" in p.stderr.decode("latin-1") and not text:
            self.skipTest("strace may not trace here")
        self.assertEqual(rc, p.returncode, p.stderr.decode("latin-1"))
        return text.splitlines(), p

    @needs("strace")
    def test_put_hands_the_token_to_the_courier_only(self):
        pixel, token = self.pair()
        lines, p = self.trace("put", pixel, "--test-code", "T1", stdin=token)
        carrying = [l for l in lines if token in l or token[:20] in l or token[-20:] in l]
        for line in carrying:
            call = re.match(r"\d+\s+(?:<\.\.\. )?(\w+)", line).group(1)
            if call in ("read", "recvfrom", "recvmsg"):
                continue  # stdin, and the courier's end
            self.assertIn(call, ("write", "sendto", "sendmsg", "writev"), line[:200])
            self.assertRegex(line, r"\(\d+<UNIX", "to the courier's socket and nowhere else: " + line[:160])
        self.assertTrue([l for l in carrying if "<UNIX" in l], "the courier got it")
        self.assertNotIn(token, (p.stdout + p.stderr).decode())

    @needs("strace")
    def test_get_writes_the_token_to_stdout_and_nowhere_else(self):
        pixel, token = self.pair()
        self.put(pixel, token, "--no-check")
        lines, p = self.trace("get", pixel)
        carrying = [l for l in lines if token[:20] in l or token[-20:] in l]
        self.assertEqual(1, len(carrying), [l[:200] for l in carrying])
        self.assertRegex(carrying[0], r"\bwrite\(1<")

    @needs("strace")
    def test_check_hands_tokens_to_the_courier_only(self):
        pixel, token = self.stored()
        lines, p = self.trace("check", pixel)
        for line in [l for l in lines if token[:20] in l]:
            self.assertRegex(line, r"(UNIX|recv|read)", line[:200])

    @needs("strace")
    @unittest.skipIf(IS_COUNTED, "the counters are written elsewhere")
    def test_nothing_outside_the_two_folders_is_written(self):
        pixel, token = self.pair()
        lines, p = self.trace("put", pixel, stdin=token)
        for line in lines:
            found = re.search(r'openat\([^,]+, "([^"]+)", ([A-Z_|]+)', line)
            if found and re.search("O_WRONLY|O_RDWR|O_CREAT", found.group(2)) and "= -1" not in line:
                self.assertTrue(found.group(1).startswith((self.home, self.state, "/dev/", "/proc/self")) or not found.group(1).startswith("/"), line)


class NeverPrinted(Case):
    def test_json_of_everything_but_get(self):
        pixel, token = self.stored()
        for words in (["list"], ["status"], ["check"], ["plan"], ["history", pixel], ["verify"], ["config", "show"], ["scan", self.config]):
            r = self.vault(*words, "--json")
            self.assertNotIn(token, r.out.decode())
            self.assertNotIn(self.read(self.key).hex(), r.out.decode().lower())

    def test_errors_of_every_kind_with_a_token_where_it_does_not_belong(self):
        token = self.token()
        for words in (["get", token], ["status", token], ["check", token], [token], ["put", token], ["label", token, "a=b"],
                      ["history", token], ["rm", token], ["put", new_pixel(), token], ["--vault", token, "list"],
                      ["get", new_pixel(), "--version", token], ["config", token], ["completion", token]):
            r = self.vault(*words, rc=None, stdin=token, says_token=True)
            self.assertNotEqual(0, r.rc)
            if words[0] != "--vault":  # a path is named in errors, whatever it is
                self.assertNotIn(token.lower(), (r.out.decode() + r.err).lower(), say(r))

    def test_logs_of_the_agent(self):
        pixel, token = self.stored()
        self.emu.fault("echo-token")
        r = self.agent("--once", rc=None)
        self.assertNotIn(token, r.out.decode("latin-1") + r.err)


if __name__ == "__main__":
    unittest.main()
