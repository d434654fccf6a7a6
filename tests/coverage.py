#!/usr/bin/env python3
"""Which lines and branches of the sources ran, measured on programs built for that (make coverage, make fuzz-coverage).

    tests/coverage.py corpora         the kept fuzz corpora alone: lines of each file with a parser, at least 90 %
    tests/coverage.py units           and the unit programs: all files
    tests/coverage.py all [WORD...]   and the end-to-end tests, both ways, and the faults (with WORD only those tests, and no faults)
    tests/coverage.py report [PATH]   once more from what was counted; with PATH what was missed of that file

What fails is named, and the figures are printed all the same; the exit code is then 1. FAULTS=n: points of each verb.
The counters lie in files that each program maps at its start, so that neither kill -9 nor the sandbox loses them."""

import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD", "build-cover"))
PROFILES, MERGED = os.path.join(BUILD, "profiles"), os.path.join(BUILD, "coverage.profdata")
FOLDERS = ("core", "vault", "agent", "cli")

# What parses. Where a file does more than that, those of its functions that do.
PARSERS = {
    "agent/accounts.c": "is_word|accounts_find|.*take.*|find_.*|.*number.*",
    "agent/alert_codec.c": ".*",
    "agent/call.c": "call_parse_target|.*decode.*|.*take.*|.*param.*|.*hex.*",
    "agent/courier.c": "is_.*|.*_is_sound|take_.*|close_question|end_awaited|coming_size|hear.*",
    "agent/credentials.c": "take_until|copy_name|credentials_parse",
    "agent/deliver.c": "is_sound|take_receipt|read_some|go_on|look|deliver_next",
    "agent/fast_path.c": "is_.*|take_.*|fast_head_.*",
    "agent/intake.c": ".*", "agent/intake_cells.c": ".*", "agent/intake_columns.c": ".*", "agent/intake_env.c": ".*",
    "agent/link.c": ".*",
    "agent/reply.c": ".*",
    "agent/schedule.c": "breaker_decode|breaker_encode",
    "agent/settings.c": "next_word|each_word|only_of|index_of|parse_.*|insert_step|take_.*|is_(version|mail_address|pixel|label|verb|key|among|"
                        "loopback_url|nobody|first_of_section)|check_(mail|alert.*|access)|uses_key|settings_(url_is_good|check)",
    "agent/sheet.c": ".*", "agent/sheet_csv.c": ".*", "agent/sheet_env.c": ".*", "agent/sheet_json.c": ".*",
    "agent/tiktok.c": "(?!tiktok_request|tiktok_list_query|tiktok_refresh_request|put_|add_).*",
    "agent/verdict.c": "(?!verdict_row_|verdict_advice|transport_text).*",
    "cli/options.c": "(?!option_text|foresee_style).*",
    "cli/scanner.c": "scanner_(begin|room|take)|count_lines.*|tell|look_closer|warm_up|.*_of",
    "cli/template.c": "(?!template_done).*",
    "core/clock.c": "take_.*|clock_parse.*|unit_of",
    "core/config.c": "(?!config_read|merge|config_freep|config_find|config_refuse).*",
    "core/json.c": ".*",
    "core/utf8.c": ".*",
    "vault/anchor.c": "take_fields|decode|anchor_(prove|judge|glance_at_clock|is_of_.*)",
    "vault/audit_end.c": ".*", "vault/audit_entry.c": ".*", "vault/audit_read.c": ".*",
    "vault/bundle.c": "(?!bundle_refuse).*",  # which looks at a file, and asks bundle_is
    "vault/codec.c": "(?!key_for_|put_hex|put_prefix).*",
    "vault/credential.c": "pixel_.*|list_.*|name_is_list|test_code_check|is_plain_text|label_parse|consumer_name_check|starts_with|ends_with|"
                          "strip.*|clean|is_all|contains|paste_clean|check_.*|token_clean",
    "vault/grant.c": ".*",
    "vault/health.c": "take_.*|put_.*|health_(en|de)code",
    "vault/seal.c": "bucket_.*|build_aad|key_for|open_into|unseal.*|seal|seal_digest",
    "vault/slots.c": "get_u32|is_zero|check_one|slots_.*|slot_at|slot_kind.*|digit_of|recovery_.*|open_one|build_head|commit_to|derive",
}

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


class Steps:
    """What was run, and which of it failed: the figure is printed all the same, and the end is 1."""

    def __init__(self):
        self.failed, self.env = [], dict(os.environ, BUILD=BUILD, COUNTERS="1", FAILING="all")

    def run(self, name, words, limit, quiet=False):
        sink = subprocess.DEVNULL if quiet else None
        try:
            good = subprocess.run(words, cwd=ROOT, env=self.env, stdout=sink, stderr=sink, timeout=limit).returncode == 0
        except (OSError, subprocess.TimeoutExpired) as e:
            print("%s: %s" % (name, e), flush=True)
            good = False
        if not good:
            self.failed.append(name)

    def all_of(self, what, work):
        """Programs two at a time: [(name, words)]."""
        started, before = time.monotonic(), len(self.failed)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda w: self.run(w[0], w[1], 2400, quiet=True), work))
        print("%s: %d run, %d failed (%.0f s)%s" % (what, len(work), len(self.failed) - before, time.monotonic() - started,
                                                    "".join("\n  FAILED: " + f for f in self.failed[before:])), flush=True)

    def corpora(self):
        self.all_of("corpora", [(os.path.basename(p), [p, os.path.join(ROOT, "tests/fuzz/corpus", os.path.basename(p)[len("replay_fuzz_"):])])
                                for p in sorted(glob.glob(BUILD + "/tests/fuzz/replay_fuzz_*"))])

    def units(self):
        self.all_of("unit programs", [(os.path.basename(p), [p]) for p in sorted(glob.glob(BUILD + "/tests/unit/test_*"))
                                      if os.access(p, os.X_OK) and os.path.isfile(p)])

    def e2e(self, words):
        for way in ([], ["--via-agent"]):
            self.run("end-to-end tests " + " ".join(way), [sys.executable, "tests/e2e/run.py", *way, *words], 3600)

    def faults(self):
        """Of each verb and request a few points; those of full disks and of strace are among the end-to-end tests."""
        self.env["FAULTS"] = os.environ.get("FAULTS") or "60"
        self.run("faults", [sys.executable, "tests/faults.py", *"memory calls pairs online init agent courier agent-calls courier-calls start".split(),
                            "start-calls", "once"], 5400)

    def ended(self, rc):
        for name in self.failed:
            print("failed with counters in: " + name)
        return 1 if self.failed else rc


def programs():
    return [os.path.join(BUILD, "vault-agent"), "-object", os.path.join(BUILD, "vault-whole"), "-object", os.path.join(BUILD, "vault")]


def merge():
    # Of a program that was killed while it made its file there may be half a one: that one is left out.
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-failure-mode=all", "-o", MERGED, *sorted(glob.glob(PROFILES + "/*"))],
                   check=True, stderr=subprocess.DEVNULL)


def export(*words):
    done = subprocess.run([tool("llvm-cov"), "export", *words, "-instr-profile=" + MERGED, *programs()],
                          cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)["data"][0]


def name_of(filename):
    return os.path.relpath(os.path.join(ROOT, filename), ROOT)


def measured():
    """file: (lines, lines reached, branches, branches reached)"""
    found = {}
    for f in export("-summary-only")["files"]:
        name = name_of(f["filename"])
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


def lines_of(data, name):
    """Of the file, from the segments that llvm-cov gives: line number: how often it ran."""
    segments = next(f["segments"] for f in data["files"] if name_of(f["filename"]) == name)
    count, wrapped, at = {}, None, 0
    for number in range(segments[0][0], segments[-1][0] + 1):
        here = []
        while at < len(segments) and segments[at][0] == number:
            here.append(segments[at])
            at += 1
        entries = [s for s in here if s[3] and s[4] and not s[5]]
        starts_skipped = here and not here[0][3] and here[0][4]
        if not starts_skipped and ((wrapped and wrapped[3]) or entries):
            count[number] = max(([wrapped[2]] if wrapped and wrapped[3] else []) + [s[2] for s in entries])
        if here:
            wrapped = here[-1]
    return count


def report_parsers():
    data, good, rows = export(), True, []
    for name, pattern in PARSERS.items():
        lines, within = lines_of(data, name), set()
        for f in data["functions"]:
            if name_of(f["filenames"][0]) == name and re.fullmatch(pattern, f["name"].split(":")[-1]):
                within.update(range(f["regions"][0][0], f["regions"][0][2] + 1))
        all_of_it = [n for n in lines if n in within]
        reached = [n for n in all_of_it if lines[n]]
        is_held = percent(len(reached), len(all_of_it)) >= 90 and all_of_it
        good &= bool(is_held)
        rows.append((len(all_of_it), len(reached)))
        print("  %-24s %4d of %4d lines %6.2f %%  %s%s" % (
            name, len(reached), len(all_of_it), percent(len(reached), len(all_of_it)), "held" if is_held else "MISSED",
            "" if pattern == ".*" else "  (its parsing functions)"))
        if os.environ.get("MISSING"):
            print("      not reached: %s" % " ".join(str(n) for n in all_of_it if not lines[n]))
    print("corpora: %d parsers, %d lines of %d reached (%.2f %%), mark 90 %% each: %s" % (
        len(rows), sum(r[1] for r in rows), sum(r[0] for r in rows), percent(sum(r[1] for r in rows), sum(r[0] for r in rows)),
        "held" if good else "MISSED"))
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
    steps = Steps()
    steps.corpora()
    if mode != "corpora":
        steps.units()
    if mode == "all":
        steps.e2e(words)
    if mode == "all" and not words:
        steps.faults()
    merge()
    return steps.ended(report_parsers() if mode == "corpora" else report_all())


if __name__ == "__main__":
    sys.exit(main())
