#!/usr/bin/env python3
"""Which lines and branches of the sources ran, measured on programs built for that (make coverage, make fuzz-coverage).

    tests/coverage.py corpora         the kept fuzz corpora alone: lines of each file with a parser, at least 90 %
    tests/coverage.py units           and the unit programs: all files
    tests/coverage.py all [WORD...]   and the end-to-end tests (with WORD only those), both ways
    tests/coverage.py report [PATH]   once more from what was counted; with PATH what was missed of that file

The counters lie in files that each program maps at its start, so that neither kill -9 nor the sandbox loses them."""

import glob
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD", "build-cover"))
PROFILES, MERGED = os.path.join(BUILD, "profiles"), os.path.join(BUILD, "coverage.profdata")
FOLDERS = ("core", "vault", "agent", "cli")

# A parser's file, and which targets feed it. Where a file does more than parse, its parsing functions.
PARSERS = {}

# What must be reached wholly: line and branch marks.
STRICT = {
    "crypto": ["core/secret.c", "core/wipe.c", "vault/seal.c", "vault/slots.c", "vault/bundle.c"],
    "codec": ["vault/codec.c", "vault/credential.c", "vault/health.c", "vault/grant.c", "agent/alert_codec.c"],
    "inventory": ["vault/walk.c", "vault/change.c"],
    "policy": ["agent/access.c", "agent/verdict.c", "agent/ruling.c"],
    "audit": ["vault/audit.c", "vault/audit_end.c", "vault/audit_entry.c", "vault/audit_read.c"],
}


def tool(name):
    """Of clang's own version: the formats change with each."""
    version = subprocess.run(["clang", "-dumpversion"], capture_output=True, text=True).stdout.split(".")[0]
    for found in (name + "-" + version, name):
        if shutil.which(found):
            return found
    raise SystemExit("%s is missing: install llvm" % name)


def begin():
    os.makedirs(PROFILES, exist_ok=True)
    os.chmod(PROFILES, 0o1777)
    for path in glob.glob(PROFILES + "/*"):
        os.unlink(path)
    # Made once with rights for all, as tests run programs as other accounts too.
    for program in ("vault", "vault-agent"):
        subprocess.run([os.path.join(BUILD, program), "--version"], stdout=subprocess.DEVNULL, check=True)
    for path in glob.glob(PROFILES + "/*"):
        os.chmod(path, 0o666)


def run_corpora():
    for program in sorted(glob.glob(BUILD + "/tests/fuzz/replay_fuzz_*")):
        corpus = os.path.join(ROOT, "tests/fuzz/corpus", os.path.basename(program)[len("replay_fuzz_"):])
        subprocess.run([program, corpus], cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=300)


def run_units():
    failed = []
    for program in sorted(glob.glob(BUILD + "/tests/unit/test_*")):
        if os.access(program, os.X_OK) and os.path.isfile(program):
            done = subprocess.run([program], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=dict(os.environ, BUILD=BUILD), timeout=900)
            failed += [os.path.basename(program)] if done.returncode else []
    print("unit programs: %s" % ("failed with counters in: " + ", ".join(failed) if failed else "passed"), flush=True)


def run_e2e(words):
    for way in ([], ["--via-agent"]):
        subprocess.run([sys.executable, "tests/e2e/run.py", *way, *words], cwd=ROOT, env=dict(os.environ, BUILD=BUILD))


def programs():
    return [os.path.join(BUILD, "vault-agent"), "-object", os.path.join(BUILD, "vault.so"), "-object", os.path.join(BUILD, "vault")]


def merge():
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", MERGED, *sorted(glob.glob(PROFILES + "/*"))],
                   check=True, stderr=subprocess.DEVNULL)


def export(*words):
    done = subprocess.run([tool("llvm-cov"), "export", *words, "-instr-profile=" + MERGED, *programs()],
                          cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)["data"][0]


def measured():
    """file: (lines, lines reached, branches, branches reached)"""
    found = {}
    for f in export("-summary-only")["files"]:
        name = os.path.relpath(os.path.join(ROOT, f["filename"]), ROOT)
        if name.split("/")[0] in FOLDERS and name.endswith(".c"):
            s = f["summary"]
            found[name] = (s["lines"]["count"], s["lines"]["covered"], s["branches"]["count"], s["branches"]["covered"])
    return found


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def total(rows):
    return tuple(sum(r[i] for r in rows) for i in range(4))


def line(name, row, marks=None):
    lines, branches = percent(row[1], row[0]), percent(row[3], row[2])
    verdict = ""
    if marks:
        is_held = lines >= marks[0] and branches >= marks[1]
        verdict = "  marks %g %% and %g %%: %s" % (*marks, "held" if is_held else "MISSED")
    print("  %-28s %6d lines %6.2f %%   %6d branches %6.2f %%%s" % (name, row[0], lines, row[2], branches, verdict))
    return not verdict.endswith("MISSED")


def report_all():
    found, good = measured(), True
    for name in sorted(found):
        line(name, found[name])
    print()
    for group, files in STRICT.items():
        for name in files:
            good &= line("%s: %s" % (group, os.path.basename(name)), found[name], (100, 97))
    print()
    for folder in FOLDERS:
        line(folder, total([r for n, r in found.items() if n.startswith(folder + "/")]))
    good &= line("all", total(found.values()), (95, 90))
    return 0 if good else 1


def report_parsers():
    found, good = measured(), True
    for name in sorted(found):
        line(name, found[name])
    return 0 if good else 1


def show(path):
    return subprocess.run([tool("llvm-cov"), "show", "-show-branches=count", "-instr-profile=" + MERGED, *programs(), path], cwd=ROOT).returncode


def main():
    mode, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if mode == "report":
        return show(words[0]) if words else report_all()
    if mode not in ("corpora", "units", "all"):
        raise SystemExit(__doc__)
    begin()
    run_corpora()
    if mode != "corpora":
        run_units()
    if mode == "all":
        run_e2e(words)
    merge()
    return report_parsers() if mode == "corpora" else report_all()


if __name__ == "__main__":
    sys.exit(main())
