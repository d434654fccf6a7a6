#!/usr/bin/env python3
"""make faults: every verb with its allocations and file calls failing, pairs of faults, the same of a running agent, full disks.

One line for each part with its points, those that broke something below it; the last line is `N passed, N failed`.
FAULTS=all tries all points and not as many as there is time for, FAULTS=n as many of each verb; SEED=n tries the same ones again; words pick parts."""

import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import agent_call_kit
import agent_fault_kit
import fault_kit
import fault_labs
from fault_kit import EVER, VERBS, Lab
from harness import BUILD, SEED, rng

EACH = os.environ.get("FAULTS", "")
EVERYTHING = os.environ.get("FAULTS") == "all"
PAIRS = 500


class Faults(Lab):
    def runTest(self):
        pass


def tell(part, verbs, tried, there_are, broken, started, kind="verbs"):
    print("%-22s %2d %s, %5d of %6d points, %d failed (%.0f s)" % (part, verbs, kind, tried, there_are, len(broken), time.monotonic() - started), flush=True)
    for verb, point, why in broken[:20]:
        print("  FAILED: %s at %s: %s" % (verb, point, why.strip()), flush=True)
    return tried - len(broken), len(broken)


def sweep(lab, part, each, verbs=VERBS):
    started, tried, there_are, broken = time.monotonic(), 0, 0, []
    for verb in verbs:
        points = lab.points_of(part, verb)
        there_are += len(points)
        if not EVERYTHING:
            points = rng.sample(points, min(int(EACH or each), len(points)))
        tried += len(points)
        broken += [(verb.name, point, why) for point, why in lab.sweep(part, verb, points)]
    return tell({"memory": "allocations fail", "calls": "file calls fail"}[part], len(verbs), tried, there_are, broken, started)


def pairs(lab):
    started, points = time.monotonic(), [lab.random_pair(rng) for _ in range(PAIRS * (10 if EVERYTHING else 1))]
    broken = [("%s, then %s" % (p[0].name, p[2].name), p[1:2] + p[3:], why) for p, why in lab.on_all(points, lab.try_pair)]
    return tell("killed, then a fault", len({p[0].name for p in points}), len(points), len(points), broken, started)


class Online(fault_labs.OnlineLab):
    def runTest(self):
        pass


class Init(fault_labs.InitLab):
    def runTest(self):
        pass


def elsewhere(kind, verbs):
    """Memory and calls of verbs that need a lab of their own."""
    lab = kind()
    try:
        lab.setUp()
        lab.build()
        found = [sweep(lab, "memory", 120, verbs), sweep(lab, "calls", 100, verbs)]
        return sum(f[0] for f in found), sum(f[1] for f in found)
    finally:
        lab.doCleanups()


class Agent(agent_fault_kit.AgentLab):
    def runTest(self):
        pass


class AgentCalls(agent_call_kit.AgentCallLab):
    def runTest(self):
        pass


def with_agent(only, starts, work, kind=Agent):
    """What work(lab) gives, in a lab of its own."""
    lab = kind()
    lab.starts = starts
    try:
        lab.setUp()
        lab.build(only)
        return work(lab)
    finally:
        lab.doCleanups()


def requests(lab, part="agent, requests", sweep_of="sweep"):
    started, tried, there_are, broken = time.monotonic(), 0, 0, []
    for request in lab.requests:
        points = lab.points_of(request)
        there_are += len(points)
        if not EVERYTHING:
            points = rng.sample(points, min(int(EACH or 20), len(points)))
        found = getattr(lab, sweep_of)(request, points)
        tried, broken = tried + found[0], broken + found[1]
    return tell(part, len(lab.requests), tried, there_are, broken, started, "requests")


def calls_of_requests(lab):
    return requests(lab, "agent, file calls", "sweep_calls")


def calls_of_courier(lab):
    started, tried, broken, points = time.monotonic(), 0, [], lab.courier_points()
    for point in points if EVERYTHING else rng.sample(points, min(int(EACH or 20), len(points))):  # a courier that died young is waited for
        try:
            tried += lab.try_courier_call(*point)
        except AssertionError as e:
            tried += 1
            broken.append(("check", point, str(e)))
    return tell("courier, file calls", 1, tried, len(points), broken, started, "program")


def memory_of_courier(lab):
    """A sample, whatever FAULTS says: each point takes a courier of its own, and those that die young are started after a pause. All of
    the points of a courier are tried by the part online, where each command has its own."""
    started, tried, broken, there_are = time.monotonic(), 0, [], lab.ask_a_courier_without_memory(0, 0)[2]
    for first in sorted(rng.sample(range(1, there_are + 1), 400 if EVERYTHING else int(EACH or 20))):
        try:
            tried += lab.try_courier(first, rng.choice((first, EVER)))
        except AssertionError as e:
            tried += 1
            broken.append(("check", first, str(e)))
    return tell("agent, courier", 1, tried, 2 * there_are, broken, started, "program")


def numbered(part, what):
    """Points in the order of their number, until one is behind the last allocation; a sample leaves some out."""
    def work(lab):
        started, tried, broken, n, step = time.monotonic(), 0, [], 0, 1 if EVERYTHING else 40
        try_one = getattr(lab, "try_" + what)
        is_in_reach = True
        while is_in_reach:
            n += 1 if EVERYTHING else rng.randrange(1, step * 2)
            for last in (n, EVER):
                try:
                    is_in_reach = try_one(n, last)
                except AssertionError as e:
                    broken.append((what, (n, last), str(e)))
                tried += 1
        return tell(part, 1, tried, 2 * n, broken, started, "program")
    return work


def calls_of_start(lab):
    started, tried, broken, points = time.monotonic(), 0, [], lab.start_call_points()
    for point in points if EVERYTHING else rng.sample(points, min(2 * int(EACH or 20), len(points))):
        try:
            lab.try_start_call(*point)
        except Broken as e:
            broken.append(("start", point, str(e)))
        tried += 1
    return tell("agent, start, calls", 1, tried, len(points), broken, started, "program")


def modules(*names):
    """End-to-end tests that belong to it: on real full disks, and as strace injects faults."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "e2e", "run.py"), *names], capture_output=True, text=True,
                          env=dict(os.environ, FAULTS="all", BUILD=BUILD, SEED=str(SEED)))
    last = done.stdout.strip().splitlines()[-1:] or ["nothing"]
    if done.returncode or "skipped: " in done.stdout:
        print("\n".join(l for l in done.stdout.splitlines() if not l.startswith("  ")))
    print("%-22s %s (%.0f s)" % ("disks, strace", last[0], time.monotonic() - started), flush=True)
    counts = [int(w) for w in last[0].replace(",", " ").split() if w.isdigit()]
    return (counts[0], counts[1]) if len(counts) >= 2 else (0, 1)


def main():
    tempfile.tempdir = fault_kit.SHM
    print("SEED=%d%s" % (SEED, "" if EVERYTHING else " (FAULTS=all tries every point)"), flush=True)
    lab, words = Faults(), sys.argv[1:]
    parts = [("memory", lambda: sweep(lab, "memory", 120)), ("calls", lambda: sweep(lab, "calls", 100)), ("pairs", lambda: pairs(lab)),
             ("online", lambda: elsewhere(Online, fault_labs.ONLINE)),
             ("init", lambda: elsewhere(Init, [fault_labs.INIT])),
             ("agent", lambda: with_agent("--keeper", True, requests)),
             ("courier", lambda: with_agent("--courier", True, memory_of_courier)),
             ("agent-calls", lambda: with_agent("--keeper", True, calls_of_requests, AgentCalls)),
             ("courier-calls", lambda: with_agent("--courier", True, calls_of_courier, AgentCalls)),
             ("start", lambda: with_agent("vault-agent", False, numbered("agent, start", "start"))),
             ("start-calls", lambda: with_agent("vault-agent", False, calls_of_start)),
             ("once", lambda: with_agent("vault-agent", False, numbered("agent, --once", "once"))),
             ("disks", lambda: modules("test_agent_disk", "test_faults"))]
    passed = failed = 0
    try:
        lab.setUp()
        lab.build()
        for name, part in parts:
            if not words or name in words:
                good, bad = part()
                passed, failed = passed + good, failed + bad
    finally:
        lab.doCleanups()
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)


main()
