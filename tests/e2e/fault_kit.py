"""What fault injection stands on: a small vault, a table of verbs, and the judgement of what is left after a verb ran while
something failed. tests/faults.py (`make faults`) goes over all of it, test_fault_sweep.py over a sample.

A point is one run of one verb with one fault. After it: no signal, no hang, a documented exit code with an error and a hint;
the old state or the new one, acknowledged means the new one, at most one generation further; no file that does not belong
there, modes as they were; vault and log prove themselves, twice with the same result; the next change works. What the
figures of a point are is in its name, and SEED=n makes the same points again."""

import concurrent.futures
import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import threading

from harness import BUILD, Case, IS_SANITIZED, STEPPER, VAULT, new_pixel, new_token, traced

FAILER = os.path.join(BUILD, "tests", "failer")
OOM = os.path.join(BUILD, "tests", "oom.so")
# Our malloc hands on to the sanitizer's; and its own exit code must be none of ours.
OF_THE_SANITIZER = {"ASAN_OPTIONS": "verify_asan_link_order=0:exitcode=99"} if IS_SANITIZED else {}
EVER = 10 ** 9
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
WORKERS = 2
PATIENCE_S = 60

WRITING = "openat,open,write,writev,pwrite64,fsync,fdatasync,ftruncate,fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,fchmod"
LOCKS = "flock,fcntl"
OTHERS = "openat,open,read,write,writev,pread64,pwrite64,fsync,fdatasync,ftruncate,fallocate,close,rename,renameat,renameat2,link,linkat," \
         "unlink,unlinkat,mkdir,fchmod,fstat,newfstatat,getdents64"
# name: (error, which calls may give it, for how many calls in a row besides once). EINTR for ever is no disk that exists;
# a lock that fails for ever is one that somebody holds: waited for, 5 s each time, so tried once.
ERRORS = {
    "EIO": ("EIO", OTHERS, EVER), "EIO of locks": ("EIO", LOCKS, 1), "ENOSPC": ("ENOSPC", WRITING, EVER), "EROFS": ("EROFS", WRITING, EVER), "EDQUOT": ("EDQUOT", WRITING + ",close", EVER),
    "EINTR": ("EINTR", "openat,open,read,write,pread64,pwrite64,fsync,fdatasync,ftruncate,fallocate,flock,fcntl,close", 20),
    "short": ("short", "read,write,pread64,pwrite64", EVER),
}


class Broken(AssertionError):
    """Something that must hold does not."""


class Verb:
    """A command line; "{copy}" and the like are files of the place, "{a}" a Pixel. stdin and gives_token name tokens of the
    Lab; makes: a file it makes, besides the vault; repeats: half done, it says so and is done again."""

    def __init__(self, name, words, stdin="", makes=None, gives_token=None, repeats=False):
        self.name, self.words, self.stdin, self.makes, self.gives_token = name, words.split(), stdin, makes, gives_token
        self.repeats = repeats


class Run:
    def __init__(self, rc, out, err, hits=(), seen=0):
        self.rc, self.out, self.err, self.hits, self.seen = rc, out, err, list(hits), seen


def excused(hits):
    """The exit codes that say what failed, by the files concerned: all else of the disk is 17."""
    codes = {0, 17}
    for call, _, path in (h.partition(" ") for h in hits):
        name = os.path.basename(path)
        codes |= {13} if name == "pixelvault.ini" else {4} if name in ("key", "key2", "new-key") else {2, 3, 12, 13} if "/work" in path else set()
        codes |= {8} if call in ("fcntl", "flock") else set()
    return codes


def content_of(top):
    """{path below top: (mode, digest)}; what SQLite keeps beside the vault in memory is nobody's state."""
    found = {}
    for where, folders, names in os.walk(top):
        for n in folders + names:
            path = os.path.join(where, n)
            at = os.lstat(path)
            digest = ""
            if stat.S_ISREG(at.st_mode):
                with open(path, "rb") as f:
                    digest = hashlib.blake2b(f.read(), digest_size=16).hexdigest()
            found[os.path.relpath(path, top)] = (stat.S_IMODE(at.st_mode), digest)
    return found


class Place:
    """A copy of vault and state folder with the files that the verbs work on, to be wrecked by one worker."""

    def __init__(self, lab, name):
        self.lab = lab
        self.dir, self.env, self.fill = lab.twin(name)
        self.tally, self.report = os.path.join(self.dir, "tally"), os.path.join(self.dir, "report")
        self.is_fresh = False

    def fresh(self):
        if self.is_fresh:
            return
        self.fill()
        work = os.path.join(self.dir, "work")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.lab.path("work"), work)
        self.is_fresh = True
        self.base = {top: content_of(os.path.join(self.dir, top)) for top in ("vault", "state", "work")}

    def words(self, verb):
        names = {n: os.path.join(self.dir, "work", n) for n in ("key2", "key3", "copy", "out", "page", "sheet.csv", "clear", "new-key")}
        return [w.format(a=self.lab.a, b=self.lab.b, c=self.lab.c, gone=self.lab.gone, fresh=self.lab.fresh_pixel, later=self.lab.later, to=self.lab.public_key,
                         slot=self.lab.second_slot, **{k.replace(".", "_").replace("-", "_"): v for k, v in names.items()})
                for w in verb.words]

    def stdin(self, verb):
        return getattr(self.lab, verb.stdin).encode() if verb.stdin else b""

    def start(self, prefix, words, stdin, env=None):
        """Any end but a hang; 128 + signal as a shell would say."""
        try:
            done = subprocess.run([*prefix, VAULT, *words], input=stdin, capture_output=True, env=env or self.env, timeout=PATIENCE_S, cwd=self.dir)
        except subprocess.TimeoutExpired as e:
            raise Broken("hangs: %s" % (e.stderr or b"")[-300:]) from None
        rc = done.returncode
        return Run(128 - rc if rc < 0 else rc, done.stdout, done.stderr.decode("utf-8", "replace"))

    def run(self, *words, stdin=b""):
        return self.start((), words, stdin)

    def clean(self, verb):
        return self.start((), self.words(verb), self.stdin(verb))

    # ---- the three faults ----

    def without_memory(self, verb, first, last, env=None):
        with open(self.tally, "wb") as f:
            f.write(struct.pack("QQQQ", 0, 0, first, last))
        env = dict(env or self.env, LD_PRELOAD=OOM, OOM_COUNT=self.tally, **OF_THE_SANITIZER)
        r = self.start((), self.words(verb), self.stdin(verb), env)
        with open(self.tally, "rb") as f:
            r.seen, failed = struct.unpack("QQ", f.read(16))
        r.hits = ["allocation %d" % first] * min(failed, 1)
        return r

    def with_failing_calls(self, verb, error, first, last):
        prefix = (FAILER, self.report, ERRORS[error][1], ERRORS[error][0], str(first), str(last))
        r = self.start(prefix, self.words(verb), self.stdin(verb), traced(self.env))
        with open(self.report) as f:
            lines = f.read().splitlines()
        if r.rc == 125 or not lines:
            raise RuntimeError("failer itself failed: %s" % r.err)
        r.seen, r.hits = int(lines[-1]), lines[:-1]
        return r

    def calls(self, verb, error):
        """[(call, file)] of what could fail so."""
        prefix = (FAILER, self.report, ERRORS[error][1], "none", "1", str(EVER))
        self.start(prefix, self.words(verb), self.stdin(verb), traced(self.env))
        with open(self.report) as f:
            return [tuple(line.split(" ", 1)) for line in f.read().splitlines()[:-1]]

    def killed(self, verb, at):
        r = self.start((STEPPER, self.report, str(at)), self.words(verb), self.stdin(verb), traced(self.env))
        with open(self.report) as f:
            r.seen = int(f.read())
        return r

    # ---- what is there now ----

    def is_touched(self):
        now = {top: content_of(os.path.join(self.dir, top)) for top in ("vault", "state", "work")}
        passing = ("-shm", "-wal", ".lock")
        keep = {t: {p: c for p, c in now[t].items() if not p.endswith(passing)} for t in now}
        base = {t: {p: c for p, c in self.base[t].items() if not p.endswith(passing)} for t in self.base}
        return keep != base or any(p.endswith("-wal") and c[1] != self.lab.nothing for p, c in now["vault"].items())

    def look(self, *words):
        r = self.run(*words)
        if r.rc:
            raise Broken("%s afterwards: %d %s" % (" ".join(words[:2]), r.rc, r.err))
        return r

    def view(self):
        """(generation, all else that a person sees of the vault)."""
        proven = json.loads(self.look("verify", "--json").out)
        if proven["faults"]:
            raise Broken("verify finds faults: %s" % proven)
        seen = []
        for p in json.loads(self.look("status", "--json").out)["pixels"]:
            if p["pixel"] == self.lab.later:
                continue
            stages = {s: p[s] and p[s]["version"] for s in ("current", "pending", "previous", "standby")}
            seen.append((p["pixel"], sorted(p["labels"].items()), p["verdict"], sorted(stages.items(), key=str)))
        tokens = []
        for pixel in (self.lab.a, self.lab.b, self.lab.c, self.lab.gone, self.lab.fresh_pixel):
            r = self.run("get", pixel)
            if r.rc not in (0, 3):
                raise Broken("get afterwards: %d %s" % (r.rc, r.err))
            tokens.append(r.out.decode() if r.rc == 0 else None)
        return proven["generation"], (sorted(seen, key=str), tokens)

    def strays(self):
        """Files and modes that do not belong; the verb's own file is looked at by its name."""
        found = []
        for top in ("vault", "state"):
            for path, (mode, _) in content_of(os.path.join(self.dir, top)).items():
                if mode & 0o077:
                    found.append("%s has mode %o" % (path, mode))
                if not path.endswith((".db", "-wal", "-shm", ".lock", ".anchor", ".audit.log", ".backup")) and ".before-" not in path:
                    found.append(path)
        return [f for f in found if f not in self.lab.usual]

    def holds_clear(self):
        """A token in clear in any file of the vault's or state folder."""
        tokens = [t.encode() for t in self.lab.all_tokens()]
        for top in ("vault", "state"):
            for where, _, names in os.walk(os.path.join(self.dir, top)):
                for n in names:
                    with open(os.path.join(where, n), "rb") as f:
                        data = f.read()
                    if any(t in data for t in tokens):
                        return n
        return None


VERBS = [
    Verb("put", "put {a} --no-check", "third"),
    Verb("put-first", "put {fresh} --no-check --label shop=x", "third"),
    Verb("get", "get {a}", gives_token="second"),
    Verb("list", "list"),
    Verb("status", "status --json"),
    Verb("history", "history {a}"),
    Verb("verify", "verify"),
    Verb("audit-verify", "audit verify"),
    Verb("plan", "plan"),
    Verb("levels", "levels"),
    Verb("slot-list", "slot list"),
    Verb("checkpoint", "checkpoint"),
    Verb("scan", "scan {clear}"),
    Verb("render", "render {page} --to {out}", makes="out"),
    Verb("export", "export --to-file {out} --to {to}", makes="out"),
    Verb("backup", "backup {out}", makes="out"),
    Verb("import", "import {sheet_csv} --no-check --yes"),
    Verb("label", "label {a} shop=paris"),
        Verb("swap", "swap {a} {b} --no-check"),
    Verb("retire", "retire {a} --force"),
    Verb("rm", "rm {b}"),
    Verb("rm-restore", "rm {gone} --restore"),
    Verb("rm-destroy", "rm {b} --destroy --yes"),
    Verb("slot-add", "slot add --key-file {new_key}", makes="new-key"),
    Verb("slot-remove", "slot remove {slot} --yes"),
    Verb("rekey", "rekey --same"),
    Verb("rotate-key", "rotate-key --key-file {key2}"),
    Verb("adopt", "adopt --first-use", repeats=True),
    Verb("restore", "restore {copy} --yes"),
    Verb("restore-only", "restore --only {a} {copy} --older --yes"),
]
READS = {"get", "list", "status", "history", "verify", "audit-verify", "plan", "levels", "slot-list", "checkpoint", "scan", "render", "export", "backup"}
PUT_LATER = Verb("put-later", "put {later} --no-check", "first")
BY_NAME = {v.name: v for v in VERBS}


class Lab(Case):
    """The vault that all of it is tried on: a with two versions, b with a label, c, one removed; two keys."""
    uses_emulator = False

    def build(self):
        self.a, self.b, self.c, self.gone, self.fresh_pixel, self.later = (new_pixel() for _ in range(6))
        self.first, self.second, self.third, self.of_b, self.of_c, self.of_gone, self.by_sheet = (new_token() for _ in range(7))
        self.put(self.a, self.first, "--no-check")
        self.put(self.b, self.of_b, "--no-check", "--label", "shop=rome")
        self.put(self.gone, self.of_gone, "--no-check")
        self.vault("rm", self.gone)
        os.mkdir(self.path("work"), 0o700)
        self.vault("backup", self.path("work", "copy"))
        self.put(self.a, self.second, "--no-check")
        self.put(self.c, self.of_c, "--no-check")
        self.write(self.path("work", "key2"), os.urandom(32))
        self.vault("slot", "add", "--key-file", self.path("work", "key2"))
        slots = self.json("slot", "list")["slots"]
        self.second_slot = slots[-1]["id"]
        self.public_key = self.vault("export", "--show-key").out.decode().split()[-1]
        self.write(self.path("work", "page"), "a = {{ token %s }}\n" % self.a)
        self.write(self.path("work", "sheet.csv"), "pixel,token\n%s,%s\n%s,%s\n" % (self.a, self.by_sheet, self.fresh_pixel, self.third))
        os.mkdir(self.path("work", "clear"), 0o700)
        self.write(self.path("work", "clear", "notes"), "nothing to see\n" * 50)
        self.vault("verify")
        self.save("base")
        self.nothing = hashlib.blake2b(b"", digest_size=16).hexdigest()
        self.usual = set()
        self.places = [Place(self, "w%d" % n) for n in range(WORKERS)]
        self.expected, self.crashes_of_fts, self.stops, self.counts = {}, set(), {}, {}

    def all_tokens(self):
        return (self.first, self.second, self.third, self.of_b, self.of_c, self.of_gone, self.by_sheet)

    def prepare(self, verb):
        """What a clean run leads to: (exit code, old view, new view)."""
        if verb.name in self.expected:
            return self.expected[verb.name]
        place = self.places[0]
        place.is_fresh = False
        place.fresh()
        old = place.view()
        place.is_fresh = False
        place.fresh()
        r = place.clean(verb)
        if r.rc != 0:
            raise AssertionError("%s does not work without any fault: %d %s" % (verb.name, r.rc, r.err))
        new = place.view()
        place.is_fresh = False
        self.expected[verb.name] = (r.rc, old, new)
        return self.expected[verb.name]

    # ---- judgement ----

    def judge_answer(self, verb, r, errors_allowed):
        if r.rc == 139 and verb.name == "scan" and r.hits and r.hits[0].startswith("allocation"):
            self.crashes_of_fts.add(r.hits[0])
            if len(self.crashes_of_fts) == 1:
                return  # glibc 2.36: fts_open writes to the entry that it got no memory for
        if r.rc >= 128:
            raise Broken("died of signal %d" % (r.rc - 128))
        if "Sanitizer" in r.err or "runtime error" in r.err:
            raise Broken("the sanitizer: " + r.err[-1500:])
        if r.rc == 127 and "error while loading shared libraries" in r.err:
            return  # the loader's: the program never ran
        if r.rc not in errors_allowed:
            raise Broken("exit %d" % r.rc)
        if r.rc and not ("vault: " in r.err and "\n  hint: " in r.err) and not (b'"hint":' in r.out) and "not looked into" not in r.err:
            raise Broken("exit %d without an error and a hint" % r.rc)
        if any(t in r.err for t in self.all_tokens()):
            raise Broken("a token on stderr")
        if verb.gives_token and r.rc == 0 and r.out.decode() != getattr(self, verb.gives_token):
            raise Broken("exit 0, and stdout is not the token")
        if not verb.gives_token and any(t.encode() in r.out for t in self.all_tokens()):
            raise Broken("a token on stdout")

    def judge_state(self, place, verb, r):
        _, old, new = self.prepare(verb)
        is_touched = place.is_touched()
        if not is_touched and old[1] in self.states_of(verb, r, old[1], new[1]):
            return  # byte for byte the old state
        place.is_fresh = False
        if verb.repeats and r.rc:
            self.repeat_if_between(place, verb)
        found = place.view()
        if place.view() != found:
            raise Broken("a second look finds another state")
        if found[1] not in self.states_of(verb, r, old[1], new[1]):
            raise Broken("neither the old nor the new state, or an acknowledged change is lost: %s" % (found,))
        if not verb.repeats and not min(old[0], new[0]) <= found[0] <= max(old[0], new[0]):
            raise Broken("generation %d, was %d, would be %d" % (found[0], old[0], new[0]))
        place.look("audit", "verify")
        strays = place.strays()
        if strays and not any(h.startswith("unlink") for h in r.hits):  # else it could not tidy up
            raise Broken("stray: %s" % strays)
        clear = place.holds_clear()
        if clear:
            raise Broken("a token in clear in " + clear)
        self.judge_made(place, verb, r)
        r = place.run("put", self.later, "--no-check", stdin=self.first.encode())
        if r.rc:
            raise Broken("the next change fails: %d %s" % (r.rc, r.err))

    def states_of(self, verb, r, old, new):
        return [new] if r.rc == 0 else [old, new]

    def repeat_if_between(self, place, verb):
        """A lineage that the anchor knows and the vault does not yet, or the other way round, is another history: whoever was
        about it does it again."""
        r = place.run("verify")
        if r.rc:
            if "another history" not in r.err:
                raise Broken("verify afterwards: %d %s" % (r.rc, r.err))
            again = place.clean(verb)
            if again.rc:
                raise Broken("once more: %d %s" % (again.rc, again.err))

    def judge_made(self, place, verb, r):
        """The file that a verb makes is whole or not there; and no other one."""
        work = os.path.join(place.dir, "work")
        before = set(os.listdir(self.path("work")))
        extra = set(os.listdir(work)) - before - {verb.makes}
        if any(h.startswith("unlink ") for h in r.hits):
            extra = {}  # it could not tidy up
        if extra:
            raise Broken("left lying: %s" % extra)
        path = verb.makes and os.path.join(work, verb.makes)
        if not path or not os.path.exists(path):
            if path and r.rc == 0:
                raise Broken("exit 0, and no file")
            return
        if os.stat(path).st_mode & 0o077:
            raise Broken("others may read %s" % verb.makes)
        data = self.read(path)
        if verb.name == "render" and data != ("a = %s\n" % self.second).encode():
            raise Broken("half a rendered file")
        if verb.name == "slot-add" and len(data) != 32:
            raise Broken("a key file of %d bytes" % len(data))
        if verb.name == "backup":
            place.look("verify", path)

    # ---- points ----

    def points_of(self, part, verb):
        """Each fault of the part that the verb can meet: ("memory": first, last), ("calls": error, first, last)."""
        self.prepare(verb)
        place = self.places[0]
        place.fresh()
        place.is_fresh = False
        if part == "memory":
            count = place.without_memory(verb, 0, 0).seen
            return [(n, last) for n in range(1, count + 1) for last in (n, EVER)]
        points = []
        for error, (_, _, row) in ERRORS.items():
            place.fresh()
            place.is_fresh = False
            count = place.with_failing_calls(verb, error, 0, 0).seen
            points += [(error, n, last) for n in range(1, count + 1) for last in ((n, min(EVER, n + row)) if row > 1 else (n,))]
        return points

    def calls_on(self, verb, error, file, call=""):
        """The numbers of the calls that are about a file of this name."""
        self.prepare(verb)
        place = self.places[0]
        place.fresh()
        place.is_fresh = False
        seen = place.calls(verb, error)
        return [n for n, (made, path) in enumerate(seen, 1) if file in path and made.startswith(call)]

    def codes_of(self, part, verb, r):
        """The exit codes that may be."""
        if part != "memory":
            return excused(r.hits)
        return {0, 1} | ({4, 12, 17} if verb.name in READS else {17})

    def try_one(self, part, place, verb, point):
        r = place.without_memory(verb, *point) if part == "memory" else place.with_failing_calls(verb, *point)
        try:
            self.judge_answer(verb, r, self.codes_of(part, verb, r))
            self.judge_state(place, verb, r)
        except Broken as e:
            raise Broken("%s (exit %d; %s; stderr %s)" % (e, r.rc, ", ".join(r.hits[:2]), r.err[-400:])) from None

    def sweep(self, part, verb, points):
        self.prepare(verb)
        return self.on_all(points, lambda place, point: self.try_one(part, place, verb, point))

    # ---- pairs ----

    def stops_of(self, verb):
        if verb.name not in self.stops:
            self.prepare(verb)
            place = self.places[0]
            place.fresh()
            place.is_fresh = False
            self.stops[verb.name] = place.killed(verb, 0).seen
        return self.stops[verb.name]

    def count_of(self, verb, kind):
        key = verb.name, kind
        if key not in self.counts:
            place = self.places[0]
            place.fresh()
            place.is_fresh = False
            self.counts[key] = (place.without_memory(verb, 0, 0).seen if kind == "memory" else place.killed(verb, 0).seen if kind == "kill"
                                else place.with_failing_calls(verb, kind, 0, 0).seen)
        return self.counts[key]

    def random_pair(self, rng):
        """(verb, where it is killed, what runs then, its fault, from which on, to which): a file call that fails while it
        recovers, no memory while what rotate-key left is tidied up, killed while the anchor is put right."""
        kind = rng.choice(("calls", "calls", "memory", "kill"))
        first = BY_NAME["rotate-key"] if kind == "memory" and rng.random() < 0.5 else rng.choice([v for v in VERBS if v.name not in READS])
        stops = self.stops_of(first)
        at = rng.randrange(1 if kind == "calls" else int(stops * 0.6), stops + 1)
        again = PUT_LATER if first.name == "swap" else first  # twice it is no swap
        second = rng.choice((again, BY_NAME["get"], BY_NAME["verify"], BY_NAME["status"], PUT_LATER))
        fault = rng.choice(list(ERRORS)) if kind == "calls" else kind
        n = rng.randrange(1, max(2, self.count_of(second, fault)))
        row = 1 if fault == "kill" else ERRORS[fault][2] if kind == "calls" else EVER
        return first, at, second, fault, n, rng.choice((n, min(EVER, n + row)))

    def try_pair(self, place, pair):
        first, at, second, fault, n, last = pair
        _, old, new = self.prepare(first)
        place.is_fresh = False
        killed = place.killed(first, at)
        r = (place.killed(second, n) if fault == "kill" else place.without_memory(second, n, last) if fault == "memory"
             else place.with_failing_calls(second, fault, n, last))
        try:
            if fault != "kill":
                self.judge_second(first, second, fault, r)
            if first.repeats:
                self.repeat_if_between(place, first)
            found = place.view()
            if place.view() != found:
                raise Broken("a second look finds another state")
            if found[1] not in ([new[1]] if killed.rc == 0 and first is not second else [old[1], new[1]]):
                raise Broken("neither the old nor the new state: %s" % (found,))
            place.look("audit", "verify")
            clear = place.holds_clear()
            if clear:
                raise Broken("a token in clear in " + clear)
            put = place.run("put", self.later, "--no-check", stdin=self.second.encode())
            if put.rc:
                raise Broken("the next change fails: %d %s" % (put.rc, put.err))
        except Broken as e:
            raise Broken("%s (exit %d; %s; stderr %s)" % (e, r.rc, ", ".join(r.hits[:2]), r.err[-400:])) from None

    def judge_second(self, first, second, fault, r):
        """As alone; but that a thing is done already, or half done and to be done again, may be said too."""
        codes = excused(r.hits) if not r.hits or not r.hits[0].startswith("allocation") else {0, 1, 4, 12, 17}
        if first is second:
            codes |= {2, 3, 8}
        told = r.err + r.out.decode("utf-8", "replace")
        if first.repeats and "another history" in told:
            codes |= {7}
        # A log that reads short ends there, for SQLite: what lies behind it is another vault, and is taken for one.
        if fault == "short" and "no anchor for vault" in told:
            codes |= {7}
        if second.gives_token:
            second = Verb(second.name, "")  # either token
        if second.name == "get" and r.out and r.out.decode() not in self.all_tokens():
            raise Broken("get gives no token")
        if second.name != "get":
            self.judge_answer(second, r, codes)
        elif r.rc not in codes and r.rc != 3:
            raise Broken("get: exit %d" % r.rc)

    def on_all(self, points, work):
        """work(place, point) for all, on two places at a time: the list of (point, what broke)."""
        broken, queue = [], iter(list(points))
        lock = threading.Lock()

        def worker(place):
            while True:
                with lock:
                    point = next(queue, None)
                if point is None:
                    return
                place.fresh()
                try:
                    work(place, point)
                except Broken as e:
                    place.is_fresh = False
                    broken.append((point, str(e)))
        with concurrent.futures.ThreadPoolExecutor(len(self.places)) as pool:
            for done in [pool.submit(worker, p) for p in self.places]:
                done.result()
        return broken
