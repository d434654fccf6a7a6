#!/usr/bin/env python3
"""Plants one known mistake into what each fuzz target feeds, in a copy of the sources, and lets the target look for it.

    tests/fuzz/planted.py [WORD...]    only targets whose name holds one of the words; --list shows the mistakes

It begins with the kept corpus, and has FUZZ_PLANTED seconds (60). One that the kept corpus itself shows is found in no
time, which is what the corpus is for. A mistake that is not found means that the target looks at nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = int(os.environ.get("FUZZ_PLANTED", "60"))
BUILT = os.environ.get("BUILD", "")
# What make fuzz built is copied and goes on from there, if its names are relative ones.
BUILD = BUILT if BUILT and not os.path.isabs(BUILT) and os.path.isdir(os.path.join(ROOT, BUILT)) and not BUILT.startswith("..") else "build"

# target, file, what stands there, what it becomes
MISTAKES = [
    ("alerts", "agent/alert_codec.c", "if (!take_below(from, 1, lines, &line) ||", "if (!take_below(from, 1, 256, &line) ||"),
    ("anchor", "vault/anchor.c", "return DESCENT_OLDER;", "return DESCENT_NEWER;"),
    ("answer", "agent/tiktok.c", "for (size_t i = 0; i < text.len && put + 1 < size;) {", "for (size_t i = 0; i < text.len && put < size;) {"),
    ("api", "agent/call.c", "call->segment_count == CALL_SEGMENTS_MAX || ", ""),
    ("audit", "vault/audit_entry.c", "\tif (from->len < len * 2)\n\t\treturn false;\n", ""),
    ("audit_log", "vault/audit_read.c", "else if (!is_proven && !p->is_lost)", "else if (!is_proven && p->is_lost)"),
    ("bundle", "vault/bundle.c", "return *len && at[--*len] == 0x80;", "return *len && at[--*len] != 0;"),
    ("client", "agent/reply.c", "c->line_len == sizeof c->line)", "c->line_len == sizeof c->line + 8)"),
    ("config", "core/config.c", "while (text.len && is_blank(text.at[text.len - 1]))", "while (is_blank(text.at[text.len - 1]))"),
    ("courier", "agent/courier.c", "return len < size;", "return true;"),
    ("deliver", "agent/deliver.c", "len < sizeof r->reason && ", ""),
    ("fast_path", "agent/fast_path.c", "\tif (fast_head_find(h, line))\n\t\treturn false;\n", ""),
    ("grant", "vault/grant.c", " && packed.len == 0;", ";"),
    ("import", "agent/sheet.c", "if (row->count == SHEET_COLUMNS_MAX) {", "if (row->count == 2 * SHEET_COLUMNS_MAX) {"),
    ("json", "core/json.c", "low < 0xdc00 || low > 0xdfff)", "low > 0xdfff)"),
    ("metadata", "vault/codec.c", " || from.len % ENTRY_LEN != 0", ""),
    ("options", "cli/options.c", "argv[i][0] == '-' && argv[i][1] != '-' ? strlen(argv[i]) : 1;", "1;"),
    ("recovery", "vault/slots.c", "sodium_memcmp(sum, raw + KEY_FILE_LEN, 3) != 0", "sodium_memcmp(sum, raw + KEY_FILE_LEN, 0) != 0"),
    ("root", "vault/slots.c", " || value.len != count * SLOT_LEN)", ")"),
    ("scan", "cli/scanner.c", "size_t keep = total < s->longest ? total : s->longest;", "size_t keep = total < s->longest / 4 ? total : s->longest / 4;"),
    ("seal", "vault/seal.c", "if (len == 0 || plain[len - 1] != 0x80)", "if (len == 0)"),
    ("template", "cli/template.c", "while (p->at < p->text.len && len < WORD_MAX - 1) {", "while (p->at < p->text.len) {"),
    ("token", "vault/credential.c", "if (!opens || !closes || in->len < open + close)", "if (!opens || !closes)"),
    ("words", "core/utf8.c", "if (count == SIZE_MAX || count >= from->len)", "if (count == SIZE_MAX || count > from->len)"),
]


def copy(tree):
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        to = os.path.join(tree, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), to)
    if BUILD == BUILT:
        shutil.copytree(os.path.join(ROOT, BUILT), os.path.join(tree, BUILD))


def build(tree, words, log):
    done = subprocess.run(["make", "-s", "-j2", "BUILD=" + BUILD, "CC=" + os.environ.get("FUZZ_CC", "clang"), "SAN=address,undefined",
                           "COVERAGE=", "CFLAGS=-O1 -g -fsanitize=fuzzer-no-link", "LIBFUZZER=-fsanitize=fuzzer", *words],
                          cwd=tree, stdout=log, stderr=log)
    return done.returncode == 0


def look(tree, target, corpora, seconds, log):
    """Seconds until it was found, or None."""
    started = time.monotonic()
    scratch = tempfile.mkdtemp(prefix="planted-")
    try:
        done = subprocess.run([BUILD + "/tests/fuzz/fuzz_" + target, "-max_total_time=%d" % seconds, "-timeout=5", "-artifact_prefix=%s/" % scratch,
                               scratch, *corpora], cwd=tree, stdout=log, stderr=log)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return time.monotonic() - started if done.returncode else None


def plant(tree, file, before, after):
    path = os.path.join(tree, file)
    with open(path) as f:
        text = f.read()
    if text.count(before) != 1:
        raise SystemExit("%s: what a mistake is planted in stands there %d times, not once:\n%s" % (file, text.count(before), before))
    with open(path, "w") as f:
        f.write(text.replace(before, after))
    return path, text


def main():
    words = [w for w in sys.argv[1:] if w != "--list"]
    chosen = [m for m in MISTAKES if not words or any(w in m[0] for w in words)]
    if "--list" in sys.argv:
        for target, file, before, after in chosen:
            print("%-12s %-22s %s  ->  %s" % (target, file, before.strip(), after.strip()))
        return 0
    tree, missed, longest = tempfile.mkdtemp(prefix="planted-tree-"), [], 0.0
    try:
        copy(tree)
        with open(os.path.join(tree, "log"), "w") as log:
            targets = [BUILD + "/tests/fuzz/fuzz_" + m[0] for m in chosen]
            if not build(tree, targets, log):
                raise SystemExit("the sources as they are do not build; see make fuzz")
            for target, file, before, after in chosen:
                corpus = "tests/fuzz/corpus/" + target
                if look(tree, target, [corpus], 1, log) is not None:
                    raise SystemExit("%s finds something without any mistake" % target)
                path, text = plant(tree, file, before, after)
                took = look(tree, target, [corpus], LIMIT, log) if build(tree, [BUILD + "/tests/fuzz/fuzz_" + target], log) else None
                if took is None:
                    missed.append(target)
                else:
                    longest = max(longest, took)
                print("%-8s %-12s %s" % ("MISSED" if took is None else "%.1f s" % took, target, file), flush=True)
                with open(path, "w") as f:
                    f.write(text)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    print("planted: %d of %d found, the longest search took %.1f s (mark: each within %d s)" % (
        len(chosen) - len(missed), len(chosen), longest, LIMIT))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
