#!/bin/sh
# Runs what `make test` built: unit programs, the kept fuzz corpora, then the end-to-end tests; prints what failed, once
# more at the end, where whoever keeps but the last lines has it, and ends with one line. ONLY=word picks programs and
# tests by name; UNIT_ONLY=1 leaves the end-to-end tests out.
set -u
build=${BUILD:-build} only=${1:-}
logs=$build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
: >"$logs/failed"

finish() {
	cat "$logs/failed"
	echo "$passed passed, $failed failed$([ $skipped -gt 0 ] && echo ", $skipped skipped")"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

# Two programs at a time: what each said goes to its log, how it ended to a file beside it.
work=$(
	for program in "$build"/tests/unit/test_* "$build"/tests/fuzz/replay_fuzz_*; do
		case $program in *.o | *.d) continue ;; *"$only"*) ;; *) continue ;; esac
		[ -x "$program" ] && echo "$program"
	done
)
export BUILD=$build logs
echo "$work" | xargs -P 2 -I PROGRAM sh -c '
	name=$(basename "$1") log=$logs/$(basename "$1").log
	case $name in
	test_*) CMOCKA_MESSAGE_OUTPUT=tap timeout 600 "$1" >"$log" 2>&1 ;;
	*) timeout 600 "$1" tests/fuzz/corpus/"${name#replay_fuzz_}" >"$log" 2>&1 ;;
	esac
	echo $? >"$log.status"' one PROGRAM

for program in $work; do
	name=$(basename "$program") log=$logs/$(basename "$program").log
	status=$(cat "$log.status")
	if [ "${name#test_}" = "$name" ]; then
		if [ "$status" -eq 0 ]; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			{
				echo "not ok - $name"
				tail -30 "$log"
			} | tee -a "$logs/failed"
		fi
		continue
	fi
	# cmocka calls a skipped test "not ok N # SKIP".
	ok=$(grep '^ok ' "$log" | grep -vc '# *SKIP')
	bad=$(grep '^not ok ' "$log" | grep -vc '# *SKIP')
	skip=$(grep -c '# *SKIP' "$log")
	[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	if [ "$bad" -ne 0 ]; then
		{
			echo "FAILED: $name (status $status)"
			grep -v -e '^ok ' -e '# *SKIP' "$log" | head -60
		} | tee -a "$logs/failed"
	fi
done
echo "unit and corpus: $passed passed, $failed failed, $skipped skipped"

[ -z "${UNIT_ONLY:-}" ] || finish

# Twice: the command line on the vault itself, then the modules that must hold both ways through a running agent.
for way in "" --via-agent; do
	[ -z "$way" ] || echo "the same through a running agent:"
	BUILD=$build "${PYTHON:-python3}" tests/e2e/run.py $way ${only:+"$only"} 2>&1 | tee "$logs/e2e$way.log"
	line=$(grep -E '^e2e: [0-9]+ passed, [0-9]+ failed' "$logs/e2e$way.log" | tail -1)
	if [ -n "$line" ]; then
		set -- x $(echo "${line#e2e:}" | tr -cd "0-9 ")
		passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + ${4:-0}))
	else
		failed=$((failed + 1))
		echo "not ok - the end-to-end tests did not finish" | tee -a "$logs/failed"
	fi
	sed -n '/^not ok - /,/^  ([0-9]* s)$/p' "$logs/e2e$way.log" >>"$logs/failed"
done
finish
