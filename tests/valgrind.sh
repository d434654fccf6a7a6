#!/bin/sh
# Runs the unit programs and a short walk through the command line under valgrind's memcheck. The walk is of vault-whole:
# valgrind does not follow into what the front becomes. Fails on any error or leak,
# and on a descriptor that a command leaves open. BUILD names the build folder (not one with sanitizers).
#
# UNDER_VALGRIND=1 stands in the environment, so that tests which need 256 MiB for a passphrase may skip themselves; the
# walk opens its vault with a key file. --track-fds says "inherited from parent" of what was open before: no leak.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v valgrind >/dev/null 2>&1 || {
	echo "valgrind: not installed: passed over"
	exit 0
}
build=$(cd "${BUILD:-build}" 2>/dev/null && pwd) && [ -x "$build/vault" ] || {
	echo "valgrind: nothing is built in '${BUILD:-build}'; run: make valgrind" >&2
	exit 1
}
for name in $(env | sed -n 's/^\(PIXELVAULT_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pixelvault-valgrind.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export UNDER_VALGRIND=1
ERRORS=99
# "Still reachable" are blocks of libraries; "possibly lost" are those of core/wipe.c, whose pointers point behind a head.
quiet="valgrind -q --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect
	--child-silent-after-fork=yes"
memcheck="$quiet --error-exitcode=$ERRORS"
failed=0 passed=0

bad() {
	echo "valgrind: FAILED: $1"
	sed 's/^/  /' "$2" | head -60
	failed=$((failed + 1))
}

for program in "$build"/tests/unit/test_*; do
	case $program in *.d | *.o) continue ;; esac
	[ -x "$program" ] || continue
	name=$(basename "$program")
	# Children of a test end in the middle, with what they hold: their status must stay their own.
	BUILD=$build timeout 300 $quiet --log-file="$tmp/memcheck" "$program" >"$tmp/out" 2>&1
	status=$?
	if grep -q '^==' "$tmp/memcheck"; then
		bad "$name" "$tmp/memcheck"
	elif [ $status != 0 ]; then
		bad "$name ended with $status" "$tmp/out"
	else
		passed=$((passed + 1))
	fi
done
echo "valgrind: $passed unit programs"

# ---- the walk: status, standard input, command ----

export PIXELVAULT_VAULT="$tmp/vault/vault.db" PIXELVAULT_STATE="$tmp/state" PIXELVAULT_KEY_FILE="$tmp/key"
export PIXELVAULT_CONFIG="$tmp/pixelvault.ini" HOME="$tmp"
(umask 077 && printf '[check]\nrate = 100\n' >"$PIXELVAULT_CONFIG")
pixel=C0U2T02IU8J6B9GC2B90 other=CI55904931EPA3N8G4R0 token=0123456789abcdef0123456789abcdef01234567
# A descriptor that the command opened itself and left open is told with the place where it was opened.
left_open() {
	awk '/Open (file|AF_|socket)/ { line = $0; getline; if ($0 !~ /inherited from parent/) { print line; print; found = 1 } }
	     END { exit !found }' "$1"
}
walk() {
	wanted=$1 input=$2 && shift 2
	printf '%s' "$input" | timeout 120 $memcheck --track-fds=yes --log-file="$tmp/memcheck" "$build/vault-whole" "$@" >"$tmp/out" 2>&1
	status=$?
	if [ $status = $ERRORS ]; then
		bad "vault $*" "$tmp/memcheck"
	elif left_open "$tmp/memcheck" >"$tmp/open"; then
		bad "vault $* leaves a descriptor open" "$tmp/open"
	elif [ $status != "$wanted" ]; then
		bad "vault $* ended with $status, not with $wanted" "$tmp/out"
	else
		passed=$((passed + 1))
	fi
}
passed=0
walk 3 '' status
walk 0 '' init --no-recovery
walk 8 '' init --no-recovery
walk 0 "$token" put $pixel --no-check --label shop=berlin --test-code TEST12345
walk 0 " \"Bearer x$token\" " put $pixel --no-check
walk 0 "$token" put $other --no-check --expires 2030-01-01T00:00:00Z
walk 15 'two words' put $other --no-check
walk 0 '' get $pixel
walk 0 '' get $pixel --previous --json
walk 3 '' get DBJ82050INP0V4SLCK60
walk 0 '' run --env T=$pixel --file F=$other -- true
walk 0 '' list
walk 0 '' list --json -l shop=berlin
walk 0 '' status
walk 0 '' status $pixel --json
walk 0 '' verify
walk 0 '' label $pixel owner=ann shop=
walk 0 '' history $pixel
walk 0 '' rm $pixel
walk 3 '' get $pixel
walk 0 '' rm $pixel --restore
walk 0 '' rm $other --destroy --yes
walk 0 '' history $other
walk 0 '' completion bash
walk 0 '' completion zsh
walk 0 '' completion fish
walk 0 '' config show
walk 0 '' config check --json
walk 0 '' exit-codes
walk 0 '' help put
walk 0 '' --version
walk 2 '' get
walk 2 '' frobnicate
echo "valgrind: $passed steps of the command line"
[ $failed = 0 ] && echo "valgrind: no error, no leak"
[ $failed = 0 ]
