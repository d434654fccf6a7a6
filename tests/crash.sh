#!/bin/sh
# Kills each command at its system calls and prints at how many: tests/e2e/test_killed.py and test_crash.py, with every
# CRASH_EVERY-th stop of the first (2; 1 = all). Fails where a test does, and where there were too few to mean anything.
set -u
build=${BUILD:-build} every=${CRASH_EVERY:-2} least=${CRASH_LEAST:-8000}
log=$build/test-logs/crash.log
mkdir -p "$build/test-logs"
BUILD=$build CRASH_EVERY=$every "${PYTHON:-python3}" tests/e2e/run.py test_killed. test_crash. 2>&1 | tee "$log"
points=$(sed -n 's/.*: killed at \([0-9]*\) of .*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
again=$(sed -n 's/.*syscall stops, again at \([0-9]*\)$/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
echo "crash: killed at $points points, at $again of them once more while that was mended"
grep -q '^e2e: [1-9][0-9]* passed, 0 failed' "$log" && [ "$points" -ge "$least" ]
