#!/usr/bin/env python3
"""Runs the end-to-end tests: modules two at a time, beside them three of those that mostly wait, and the ones that
measure time alone and last.

    tests/e2e/run.py [WORD...]     only tests whose "module.Class.test" holds one of the words
    tests/e2e/run.py --via-agent   the modules that hold both ways, through a running agent
    tests/e2e/run.py --list        the names

Prints each failing test with what it saw, and how that ended once more below; the last line is `e2e: N passed, N failed, N skipped`."""

import glob
import json
import os
import resource
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ALONE = ["test_check_pace", "test_socket_abuse"]  # they measure time
BOTH_WAYS = ["test_put", "test_get", "test_check", "test_status", "test_labels_rm_history", "test_run", "test_nagios",
             "test_cli_manners", "test_moves", "test_upkeep", "test_mismatch", "test_rollout", "test_rotate", "test_refresh",
             "test_plan", "test_render", "test_alert_sinks", "test_import", "test_listing", "test_alert_command", "test_page",
             "test_watch", "test_levels"]
# They use a tenth of a processor: for time to pass, for TikTok, for an agent. The longest first, as in the next list.
WAITING = ["test_refresh", "test_upkeep", "test_consumers", "test_agent", "test_api_oddities", "test_check", "test_rotate", "test_tls",
           "test_locks", "test_socket_idle", "test_agent_clocks", "test_alerts_agent", "test_races", "test_alerts", "test_reports",
           "test_supervisor", "test_watch"]
LONG_FIRST = ["test_crash", "test_killed", "test_tamper", "test_agent_hygiene", "test_init_unlock", "test_power_loss",
              "test_concurrency", "test_slots", "test_put", "test_mismatch", "test_listing", "test_board"]


def modules():
    names = [os.path.basename(p)[:-3] for p in sorted(glob.glob(os.path.join(HERE, "test_*.py")))]
    if os.environ.get("VIA_AGENT") == "1":
        names = [n for n in names if n in BOTH_WAYS]
    side = sorted((n for n in names if n not in ALONE + WAITING), key=lambda n: (LONG_FIRST.index(n) if n in LONG_FIRST else 99, n))
    return [n for n in WAITING if n in names], side, [n for n in ALONE if n in names]


def tests_of(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from tests_of(t)
        else:
            yield t


def may_have(name, words):
    """Without loading it: a word with a dot that begins as modules do names its module."""
    return not words or any("." not in w or not w.startswith("test_") or name == w.split(".")[0] for w in words)


def chosen(name, words):
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    return [t for t in tests_of(suite) if not words or any(w in t.id() for w in words)]


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.failed, self.skips, self.times, self.passed = [], [], {}, 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test):
        self.times[test.id()] = round(time.monotonic() - self.started, 2)

    def addSuccess(self, test):
        self.passed += 1

    def addFailure(self, test, err):
        self.failed.append((test.id(), self._exc_info_to_string(err, test)))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err:
            self.failed.append((subtest.id(), self._exc_info_to_string(err, test)))

    def addSkip(self, test, reason):
        self.skips.append((test.id(), reason))


def run_module(name, words):
    """In a process of its own: one module, its result as JSON on descriptor 1."""
    suite, result = unittest.TestSuite(chosen(name, words)), Result()
    suite.run(result)
    import harness
    used = sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    json.dump({"passed": result.passed, "used": used, "failed": result.failed, "skipped": result.skips, "times": result.times,
               "seed": harness.SEED, "notes": harness.notes}, sys.stdout)


class Run:
    def __init__(self, words):
        self.words, self.lock = words, threading.Lock()
        self.passed, self.failed, self.skipped, self.times = 0, [], [], {}

    def one(self, name):
        started = time.monotonic()
        done = subprocess.run([sys.executable, __file__, "--module", name, *self.words], capture_output=True, cwd=HERE)
        try:
            got = json.loads(done.stdout)
        except ValueError:
            got = {"passed": 0, "failed": [[name, "the module broke off\n" + done.stderr.decode("utf-8", "replace")]],
                   "skipped": [], "times": {}, "seed": 0, "notes": [], "used": 0}
        with self.lock:
            self.passed += got["passed"]
            self.failed += got["failed"]
            self.skipped += [s for s in got["skipped"] if not s[1].startswith("direct only")]
            self.times.update(got["times"])
            for test, text in got["failed"]:
                print("FAILED: %s (SEED=%s)\n%s" % (test, got["seed"], text), flush=True)
            for note in got["notes"]:
                print("  %s: %s" % (name, note))
            if got["passed"] or got["failed"] or got["skipped"]:
                print("  %-22s %3d passed, %d failed, %d skipped in %.1f s, %.1f s of a processor" % (
                    name, got["passed"], len(got["failed"]), len(got["skipped"]), time.monotonic() - started, got["used"]), flush=True)

    def all(self):
        waiting, side, alone = ([n for n in names if may_have(n, self.words)] for names in modules())

        def work(*queues):
            for queue in queues:
                while True:
                    with self.lock:
                        if not queue:
                            break
                        name = queue.pop(0)
                    self.one(name)

        threads = [threading.Thread(target=work, args=queues) for queues in 3 * [(waiting,)] + 2 * [(side, waiting)]]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for name in alone:
            self.one(name)


def main():
    sys.path.insert(0, HERE)
    args = sys.argv[1:]
    if args[:1] == ["--module"]:
        return run_module(args[1], args[2:])
    if args[:1] == ["--list"]:
        for name in sum(modules(), []):
            for t in chosen(name, args[1:]):
                print(t.id())
        return
    if "--via-agent" in args:
        os.environ["VIA_AGENT"] = "1"
    started = time.monotonic()
    run = Run([a for a in args if not a.startswith("--")])
    run.all()
    for test, reason in run.skipped:
        print("skipped: %s: %s" % (test, reason))
    if "--times" in args:
        for test, took in sorted(run.times.items(), key=lambda i: -i[1])[:25]:
            print("  %6.2f s  %s" % (took, test))
    for test, text in run.failed:
        print("not ok - %s\n%s" % (test, "\n".join(line[:400] for line in text.strip().split("\n")[:20])))
    print("  (%.0f s)" % (time.monotonic() - started))
    print("e2e: %d passed, %d failed, %d skipped" % (run.passed, len(run.failed), len(run.skipped)), flush=True)
    sys.exit(1 if run.failed else 0)


main()
