"""Makes the kept vaults of tests/vectors: one folder per format and kind, once, with the release that introduces it.

    BUILD=build python3 tests/support/make_vectors.py FOLDER [--rotated]

FOLDER gets vault.db, its key file, what is in it (content.json) and single faults with what `verify` says to each
(faults.json). What lies there is never made anew: later releases must read it as it is (tests/e2e/test_vectors.py)."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VAULT = os.path.join(ROOT, os.environ.get("BUILD", "build"), "vault")


def is_disposable(row):
    return row.startswith("e") and row.split("/")[1] in "hcad"


def apply(path, fault):
    """One fault in the values as the store has them: the database itself stays sound."""
    db = sqlite3.connect(path)
    row, what = fault["row"], fault["fault"]
    value = bytearray(db.execute("SELECT v FROM kv WHERE k = ?", (row,)).fetchone()[0])
    if what == "delete":
        db.execute("DELETE FROM kv WHERE k = ?", (row,))
    elif what == "rename":
        db.execute("UPDATE kv SET k = ? WHERE k = ?", (fault["other"], row))
    elif what == "value-of":
        db.execute("UPDATE kv SET v = (SELECT v FROM kv WHERE k = ?) WHERE k = ?", (fault["other"], row))
    else:
        if what == "bit":
            value[fault["at"]] ^= fault["mask"]
        elif what == "cut":
            value = value[:-1]
        elif what == "longer":
            value += b"\0"
        else:
            value = b""
        db.execute("UPDATE kv SET v = ? WHERE k = ?", (bytes(value), row))
    db.commit()
    db.close()
    for ending in ("-wal", "-shm"):
        if os.path.exists(path + ending):
            os.unlink(path + ending)


def faults_of(path):
    db = sqlite3.connect(path)
    rows = dict(db.execute("SELECT k, v FROM kv ORDER BY k"))
    db.close()
    for row, value in rows.items():
        size = len(value)
        places = {0, size // 3, size - 40, size - 1}
        if row == "root":
            places |= {9, 12, 16, 30, 45, 57, 60, 80, 1100, 1200}
        for at in sorted(p for p in places if 0 <= p < size):
            yield {"row": row, "fault": "bit", "at": at, "mask": 1 << at % 8}
        for what in ("cut", "empty") if is_disposable(row) else ("cut", "longer", "empty", "delete"):
            yield {"row": row, "fault": what}
        free = [row[:-1] + digit for digit in "0123456789abcdef" if row[:-1] + digit not in rows]
        if "/" in row and free:
            yield {"row": row, "fault": "rename", "other": free[0]}
        kin = [n for n in rows if rows[n] != value and n.split("/")[1:2] == row.split("/")[1:2]]
        if kin:
            yield {"row": row, "fault": "value-of", "other": kin[0]}


def verify(path, key, scratch):
    """(exit, class) of the program."""
    env = {"HOME": scratch, "PIXELVAULT_KEY_FILE": key, "PIXELVAULT_STATE": os.path.join(scratch, "state")}
    r = subprocess.run([VAULT, "verify", path, "--json"], capture_output=True, env=env, timeout=60)
    error = json.loads(r.stdout).get("error") or {}
    return r.returncode, error.get("class")


def token(n):
    return "%040x" % (0x1234567 * 16 ** 30 + n)


def fill(run, is_rotated):
    """Pixels of several kinds, with tokens that are nobody's. Returns {pixel: {version: token}} of those that stay."""
    content = {}
    plain, full, many, gone = ("C%019d" % n for n in range(4))

    def put(pixel, n, *options):
        run("put", pixel, "--no-check", *options, stdin=token(n))
        content.setdefault(pixel, {})[str(len(content.get(pixel, {})) + 1)] = token(n)
    put(plain, 1)
    put(full, 2, "--label", "shop=berlin", "--label", "owner=ann", "--test-code", "TEST123", "--expires", "2031-01-01T00:00:00Z")
    for n in range(3, 6):
        put(many, n)
    run("ack", many, "--version", "3", "--as", "checkout")
    put(gone, 8)
    if is_rotated:
        run("rotate-key")
        put(plain, 9)
    run("rm", gone, "--destroy", "--yes")
    del content[gone]
    return content


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def main():
    folder = os.path.abspath(sys.argv[1])
    os.makedirs(folder)
    with tempfile.TemporaryDirectory() as scratch:
        key, bad, copy = (os.path.join(scratch, "key"), os.path.join(scratch, "bad"), os.path.join(folder, "vault.db"))
        env = {"HOME": scratch, "PIXELVAULT_VAULT": os.path.join(scratch, "vault", "vault.db"), "PIXELVAULT_KEY_FILE": key,
               "PIXELVAULT_STATE": os.path.join(scratch, "state")}

        def run(*words, stdin=""):
            return subprocess.run([VAULT, *words], input=stdin.encode(), env=env, check=True, capture_output=True)
        run("init", "--key-file", key, "--no-recovery")
        content = fill(run, "--rotated" in sys.argv)
        run("backup", copy)
        shutil.copyfile(key, os.path.join(folder, "key"))
        faults = list(faults_of(copy))
        for fault in faults:
            shutil.copyfile(copy, bad)
            apply(bad, fault)
            fault["exit"], fault["class"] = verify(bad, key, scratch)
    write(folder, "content.json", json.dumps(content, indent=1, sort_keys=True) + "\n")
    write(folder, "faults.json", "[\n" + ",\n".join(json.dumps(f) for f in faults) + "\n]\n")


if __name__ == "__main__":
    main()
