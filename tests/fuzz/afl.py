#!/usr/bin/env python3
"""The fuzz targets under AFL++ (afl-fuzz), in persistent mode: other mutators than libFuzzer's on the same code.

    tests/fuzz/afl.py [WORD...]    all, or those with one of the words in their name; AFL_SECONDS (60) each

Built by `make afl` in $BUILD with afl-clang-fast. Prints runs, crashes, what took longer than a second, and the edges
reached; the last line counts. What was found lies in $BUILD/afl-out."""

import glob
import os
import re
import shutil
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD", "build-afl")
SECONDS = int(os.environ.get("AFL_SECONDS", "60"))
ENVIRONMENT = dict({k: v for k, v in os.environ.items() if not k.startswith("AFL_")}, AFL_NO_UI="1", AFL_NO_AFFINITY="1",
                   AFL_SKIP_CPUFREQ="1", AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1")


def names(words):
    known = sorted(os.path.basename(p)[5:-2] for p in glob.glob(os.path.join(HERE, "fuzz_*.c")))
    return [n for n in known if not words or any(w in n for w in words)]


def stats(folder):
    with open(os.path.join(folder, "default/fuzzer_stats")) as f:
        return dict(line.replace(" ", "").rstrip("\n").split(":", 1) for line in f if ":" in line)


def fuzz(name):
    """(runs, crashes, hangs, edges as text), or None with what went wrong printed."""
    program, out = os.path.join(BUILD, "tests/fuzz/fuzz_" + name), os.path.join(BUILD, "afl-out", name)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    done = subprocess.run(["afl-fuzz", "-i", os.path.join(HERE, "corpus", name), "-o", out, "-V", str(SECONDS), "-t", "1000", "-m", "none",
                           "--", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT)
    try:
        s = stats(out)
    except OSError:
        print(done.stdout.decode("utf-8", "replace")[-3000:])
        return None
    seen = subprocess.run(["afl-showmap", "-C", "-m", "none", "-i", os.path.join(out, "default/queue"), "-o", "/dev/null", "--", program],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT).stdout.decode("utf-8", "replace")
    edges = re.search(r"A coverage of (\d+) edges were achieved out of (\d+)", seen)
    return int(s["execs_done"]), int(s["saved_crashes"]), int(s["saved_hangs"]), "%s of %s edges" % edges.groups() if edges else "edges unknown"


def main():
    todo, lock, sums, failed = names(sys.argv[1:]), threading.Lock(), [0, 0, 0], []
    queue = list(todo)

    def work():
        while True:
            with lock:
                if not queue:
                    return
                name = queue.pop(0)
            found = fuzz(name)
            with lock:
                if not found:
                    failed.append(name)
                    continue
                for i in range(3):
                    sums[i] += found[i]
                print("  %-12s %10d runs, %d crashes, %d hangs, %s" % (name, *found), flush=True)

    threads = [threading.Thread(target=work) for _ in range(os.cpu_count() or 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("afl: %d targets of %d s, %d runs, %d crashes, %d hangs%s" % (
        len(todo), SECONDS, *sums, "; did not run: " + ", ".join(failed) if failed else ""))
    return 1 if failed or sums[1] or sums[2] else 0


if __name__ == "__main__":
    sys.exit(main())
