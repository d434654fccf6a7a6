"""Power cuts: what the programs did to their files is recorded call by call, and replayed up to each moment with any part of
what was not synced yet lost, torn or out of order. Afterwards the vault opens, proves itself and its log, and holds what was
acknowledged.

POWER_STATES=N tries N states instead of a sample (`make power-loss`: 50,000)."""

import json
import os
import shutil
import struct
import tempfile
import unittest

import harness
from harness import Case, IS_SANITIZED, VAULT, new_pixel, new_token, notes, rng

OPLOG = os.path.join(harness.BUILD, "tests", "oplog.so")
STATES = int(os.environ.get("POWER_STATES", "700"))
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
CREATE, WRITE, TRUNCATE, SYNC, UNLINK, RENAME, MKDIR = range(1, 8)
HEAD = struct.Struct("<IIIIQQ")
ALL_SUBSETS = 9  # of no more changes of names than this every subset is tried
AFTER = {"LD_PRELOAD": OPLOG, "OPLOG_BOOT": "11111111-2222-3333-4444-555555555555"}  # a power cut is followed by a boot


class Op:
    def __init__(self, kind, path, other=None, offset=0, data=b""):
        self.kind, self.path, self.other, self.offset, self.data = kind, path, other, offset, data


def read_log(path):
    with open(path, "rb") as f:
        raw = f.read()
    at, ops = 0, []
    while at < len(raw):
        kind, path_len, other_len, _, offset, length = HEAD.unpack_from(raw, at)
        at += HEAD.size
        name = raw[at:at + path_len].decode()
        other = raw[at + path_len:at + path_len + other_len].decode()
        at += path_len + other_len
        data = raw[at:at + length] if kind == WRITE else b""
        at += len(data)
        ops.append(Op(kind, name, other, offset, data))
    return ops


class File:
    def __init__(self, durable=b""):
        self.durable, self.pending = durable, []


def write(into, offset, data):
    if len(into) < offset + len(data):
        into.extend(bytes(offset + len(data) - len(into)))
    into[offset:offset + len(data)] = data


class Disk:
    """What is certain to be there after a cut, and what is not."""

    def __init__(self, top):
        self.top, self.names, self.pending = top, {}, []  # pending: changes of names, (folder, op, file)
        for where, folders, files in os.walk(top):
            for n in folders:
                self.names[os.path.join(where, n)] = None
            for n in files:
                with open(os.path.join(where, n), "rb") as f:
                    self.names[os.path.join(where, n)] = File(f.read())
        self.live = dict(self.names)

    def do(self, op):
        file = self.live.get(op.path)
        if op.kind in (CREATE, MKDIR):
            file = self.live[op.path] = File() if op.kind == CREATE else None
        elif op.kind == RENAME:
            self.live[op.other] = self.live.pop(op.path)
        elif op.kind == UNLINK:
            self.live.pop(op.path, None)
        elif op.kind == SYNC and file is None:  # a folder
            for _, done, its in [p for p in self.pending if p[0] == op.path]:
                self.rename(self.names, done, its)
            self.pending = [p for p in self.pending if p[0] != op.path]
            return
        elif op.kind == SYNC:
            file.durable = self.versions(file)[-1]
            file.pending = []
            return
        else:
            file.pending.append(op)
            return
        self.pending.append((os.path.dirname(op.path), op, file))

    @staticmethod
    def rename(names, op, file):
        if op.kind in (CREATE, MKDIR):
            names[op.path] = file
        else:
            names.pop(op.path, None)
            if op.kind == RENAME:
                names[op.other] = file

    @staticmethod
    def versions(file):
        """What the file held, from what is certain to what the program last saw."""
        out = [file.durable]
        for op in file.pending:
            now = bytearray(out[-1])
            if op.kind == TRUNCATE:
                del now[op.offset:]
                now.extend(bytes(op.offset - len(now)))
            else:
                write(now, op.offset, op.data)
            out.append(bytes(now))
        return out

    def files(self):
        found = {id(f): f for f in list(self.names.values()) + list(self.live.values()) if f}
        return [f for f in found.values() if f.pending]

    def cut(self, keeps, choose):
        """The disk after a cut: of each change of names, is it kept; choose(versions) for each file. {path: bytes or None}."""
        names = dict(self.names)
        contents = {id(f): choose(self.versions(f)) for f in self.files()}
        for keep, (_, op, file) in zip(keeps, self.pending):
            if keep:
                self.rename(names, op, file)
        out = {p: None if f is None else contents.get(id(f), f.durable) for p, f in names.items()}
        return {p: c for p, c in out.items() if self.is_reachable(p, out)}

    def is_reachable(self, path, names):
        folder = os.path.dirname(path)
        return len(folder) <= len(self.top) or (folder in names and self.is_reachable(folder, names))


def at(number):
    """The writes arrived in order, up to one of them."""
    return lambda versions: versions[min(number, len(versions) - 1)]


def torn(size, random):
    """Each sector is of any age, and so is the length: one that grew before its bytes came has zeros at its end."""
    def choose(versions):
        length = len(random.choice(versions))
        pieces = [random.choice(versions)[n:n + size] for n in range(0, length, size)]
        return b"".join(p.ljust(size, b"\0") for p in pieces)[:length]
    return choose


def choices(disk, room, random):
    """(which changes of names are kept, how the content of files is chosen), at most `room` of them."""
    count, deepest = len(disk.pending), max([len(f.pending) for f in disk.files()], default=0)
    every = 2 ** count if count <= ALL_SUBSETS else 0
    subsets = [[bool(n >> i & 1) for i in range(count)] for n in range(every)]
    subsets = subsets or [[random.random() < 0.5 for _ in range(count)] for _ in range(64)]
    ordered = [(keeps, at(n)) for keeps in subsets for n in range(deepest + 1)]
    random.shuffle(ordered)
    ordered.insert(0, ([False] * count, at(0)))
    out = ordered[:max(2, room // 2)]
    while deepest and len(out) < room:
        out.append((random.choice(subsets), torn(random.choice((512, 4096)), random)))
    return out


@unittest.skipIf(IS_SANITIZED, "records by a preloaded library, which the sanitizer's own does not bear")
class PowerLoss(Case):
    uses_emulator = False

    def setUp(self):
        super().setUp()
        self.random = rng
        self.top = tempfile.mkdtemp(prefix="pv-power-", dir=SHM)
        self.addCleanup(shutil.rmtree, self.top, True)
        self.tree, self.log = os.path.join(self.top, "disk"), os.path.join(self.top, "log")
        os.mkdir(self.tree, 0o700)
        folder = os.path.join(self.tree, "vault")
        self.settings = {"PIXELVAULT_VAULT": os.path.join(folder, "vault.db"), "PIXELVAULT_STATE": os.path.join(self.tree, "state"),
                         "PIXELVAULT_KEY_FILE": os.path.join(self.tree, "key"), "PIXELVAULT_CONFIG": None}
        self.states, self.seen = 0, set()

    def on_disk(self, *words, stdin=b"", rc=0, **more):
        return self.vault(*words, stdin=stdin, rc=rc, env=dict(self.settings, **more), says_token=True)

    def recorded(self, *words, stdin=b""):
        """What the command does to the disk, until it says that it is done."""
        if os.path.exists(self.log):
            os.remove(self.log)
        self.on_disk(*words, stdin=stdin, LD_PRELOAD=OPLOG, OPLOG=self.log, OPLOG_UNDER=self.tree)
        return read_log(self.log) if os.path.exists(self.log) else []

    def lay(self, state):
        shutil.rmtree(self.tree, ignore_errors=True)
        os.mkdir(self.tree, 0o700)
        for path in sorted(state):
            if state[path] is None:
                os.mkdir(path, 0o700)
            elif not path.endswith("-shm"):
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
                    f.write(state[path])

    def fresh_states(self, disk, room):
        """Up to `room` states that were not seen yet; of many draws, as a short write leaves few."""
        for keeps, choose in choices(disk, 4 * room, self.random):
            state = disk.cut(keeps, choose)
            key = hash(tuple(sorted((p, c) for p, c in state.items() if c is not None and not p.endswith("-shm"))))
            if key not in self.seen:
                self.seen.add(key)
                yield state
                room -= 1
                if not room:
                    return

    def replay(self, disk, ops, target, judge):
        """Every moment within ops, the one behind the last of them too; what one has no states for the later ones try."""
        target += self.states
        for n, op in enumerate([None] + ops):
            if op:
                disk.do(op)
            for state in self.fresh_states(disk, max(1, (target - self.states) // (len(ops) + 1 - n))):
                self.lay(state)
                self.states += 1
                judge(n == len(ops), "cut behind operation %d of %d" % (n, len(ops)))

    # ---- what must hold ----

    def afterwards(self, *words, **more):
        return self.on_disk(*words, **AFTER, **more)

    def tokens(self, pixels):
        """{pixel: what get says}; None where nothing is handed out."""
        out = {}
        for p in pixels:
            r = self.afterwards("get", p, rc=(0, 3))
            out[p] = r.out.decode() if r.rc == 0 else None
        return out

    def sound(self, where):
        for words in (("verify",), ("audit", "verify")):
            r = self.afterwards(*words, rc=None)
            self.assertEqual(0, r.rc, "%s: %s\n%s" % (where, " ".join(words), r.err))

    def again_if_between(self, words):
        """A new lineage that the anchor does not know yet is another history: whoever was adopting adopts again."""
        r = self.afterwards("verify", rc=None)
        if r.rc:
            self.assertIn("another history", r.err)
            self.afterwards(*words)

    def test_what_was_acknowledged_is_there_and_nothing_is_ever_damaged(self):
        a, b = new_pixel(), new_pixel()
        t = [new_token() for _ in range(5)]
        steps = [  # the command, its input, and what changes in the answers of `get`
            (("put", a, "--no-check"), t[0], {a: t[0]}),
            (("put", a, "--no-check", "--label", "shop=berlin"), t[1], {a: t[1]}),
            (("put", b, "--no-check"), t[2], {b: t[2]}),
            (("label", a, "shop=paris"), "", {}),
            (("get", a), "", {}),
            (("swap", a, b, "--no-check"), "", {a: t[2], b: t[1]}),
            (("rm", b), "", {b: None}),
            (("rm", b, "--restore"), "", {b: t[1]}),
            (("rm", b, "--destroy", "--yes"), "", {b: None}),
            (("put", a, "--no-check"), t[3], {a: t[3]}),
            (("retire", a, "--force"), "", {}),
            (("rekey", "--same"), "", {}),
            (("rotate-key",), "", {}),
            (("adopt", "--first-use"), "", {}),
        ]
        self.on_disk("init", "--no-recovery", "--key-file", self.settings["PIXELVAULT_KEY_FILE"])
        now = {a: None, b: None}
        for n, (words, stdin, changes) in enumerate(steps):
            disk, before, after = Disk(self.tree), dict(now), dict(now, **changes)
            ops = self.recorded(*words, stdin=stdin)
            later = Disk(self.tree)

            def judge(is_acknowledged, where):
                where = "%s, %s" % (" ".join(words), where)
                if words[0] == "adopt" and not is_acknowledged:
                    self.again_if_between(words)
                self.sound(where)
                found = self.tokens((a, b))
                self.assertIn(found, (after,) if is_acknowledged else (before, after), where)

            self.replay(disk, ops, (STATES - self.states) // (len(steps) - n), judge)
            self.lay({p: f.durable if f else None for p, f in later.names.items()})
            now = after
        notes.append("%d states after power cuts in %d commands" % (self.states, len(steps)))

    def test_init(self):
        key = self.settings["PIXELVAULT_KEY_FILE"]
        words = ("init", "--no-recovery", "--key-file", key)
        disk = Disk(self.tree)
        ops = self.recorded(*words)
        pixel = new_pixel()

        def judge(is_acknowledged, where):
            r = self.afterwards("list", rc=(0, 3))
            if r.rc == 3:
                self.assertFalse(is_acknowledged, where)
                self.afterwards(*words)
            self.afterwards("put", pixel, "--no-check", stdin=new_token())
            self.sound(where)

        self.replay(disk, ops, STATES // 20, judge)
        notes.append("%d states after power cuts in init" % self.states)


if __name__ == "__main__":
    unittest.main()
