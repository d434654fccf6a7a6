#!/usr/bin/env python3
"""Runs the fuzz targets (tests/fuzz/fuzz_*.c, built with libFuzzer in $BUILD), beginning with the kept corpora.

    tests/fuzz/fuzz.py run [WORD...]     all, or those with one of the words in their name: FUZZ_TOTAL seconds (60) together
    tests/fuzz/fuzz.py each [WORD...]    each FUZZ_SECONDS (60), or FUZZ_RUNS runs; =NAME means that one exactly
    tests/fuzz/fuzz.py grow [WORD...]    the same, and what reached new code goes into tests/fuzz/corpus

FUZZ_SEED makes the same inputs of the same programs each time, as far as the time goes; without it every run is another.
Prints the runs of each and ends with a line that counts. What was found lies in $BUILD/finds; it belongs into the corpus."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD", "build-fuzz")
FINDS = os.path.join(BUILD, "finds")
JOBS = os.cpu_count() or 2
RUNS = int(os.environ.get("FUZZ_RUNS") or 0)
SEED = os.environ.get("FUZZ_SEED") or "0"  # libFuzzer's "any"
# Longest input, where the largest file of the corpus (at least 4,096 bytes) would be too little or too much.
LENGTHS = {"courier": 8192, "bundle": 2048, "audit_log": 4096, "seal": 1200, "token": 4200, "words": 300, "options": 600}


def names(words):
    known = sorted(os.path.basename(p)[5:-2] for p in glob.glob(os.path.join(HERE, "fuzz_*.c")))
    return [n for n in known if not words or any(w == "=" + n or (w[0] != "=" and w in n) for w in words)]


def fuzz(name, seconds, scratch):
    """One target, from its kept corpus; new inputs go into scratch. (passed, runs, seconds, what it said)"""
    started = time.monotonic()
    words = [os.path.join(BUILD, "tests/fuzz/fuzz_" + name), "-runs=%d" % RUNS if RUNS else "-max_total_time=%d" % seconds,
             "-seed=" + SEED, "-timeout=5", "-rss_limit_mb=2048", "-print_final_stats=1", "-artifact_prefix=%s/%s-" % (FINDS, name)]
    if name in LENGTHS:
        words.append("-max_len=%d" % LENGTHS[name])
    done = subprocess.run(words + [scratch, os.path.join(HERE, "corpus", name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode("utf-8", "replace")
    runs = re.search(r"stat::number_of_executed_units: (\d+)", text)
    return done.returncode == 0 and runs is not None, int(runs.group(1)) if runs else 0, time.monotonic() - started, text


def keep(name, scratch):
    """What of scratch reaches code that the corpus does not, by edges alone, so that few and small files do."""
    corpus = os.path.join(HERE, "corpus", name)
    before = len(os.listdir(corpus))
    words = [os.path.join(BUILD, "tests/fuzz/fuzz_" + name), "-merge=1", "-use_counters=0", "-timeout=5"]
    if name in LENGTHS:
        words.append("-max_len=%d" % LENGTHS[name])
    subprocess.run(words + [corpus, scratch], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return len(os.listdir(corpus)) - before


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("run", "each", "grow"):
        raise SystemExit(__doc__)
    mode, todo, lock, failed, total = sys.argv[1], names(sys.argv[2:]), threading.Lock(), [], [0]
    if not todo:
        raise SystemExit("no target has that in its name")
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    if mode == "run":
        seconds = max(1, int(os.environ.get("FUZZ_TOTAL", "60")) * JOBS // len(todo))
    os.makedirs(FINDS, exist_ok=True)
    queue, count, started = list(todo), len(todo), time.monotonic()

    def one(name):
        scratch = tempfile.mkdtemp(prefix="fuzz-%s-" % name)
        try:
            passed, runs, took, text = fuzz(name, seconds, scratch)
            new = ", %d new inputs kept" % keep(name, scratch) if mode == "grow" and passed else ""
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        with lock:
            total[0] += runs
            print("  %-12s %10d runs in %d s: %s%s" % (name, runs, took, "no find" if passed else "FOUND", new), flush=True)
            if not passed:
                failed.append(name)
                print(text[-6000:], flush=True)

    def work():
        while True:
            with lock:
                if not queue:
                    return
                name = queue.pop(0)
            one(name)

    threads = [threading.Thread(target=work) for _ in range(JOBS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("fuzz: %d targets, %d runs in %.0f s, %d found something%s" % (
        count, total[0], time.monotonic() - started, len(failed), ": " + ", ".join(sorted(failed)) if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
