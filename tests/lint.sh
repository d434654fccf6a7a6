#!/bin/sh
# The proofs that need no run: no warning from gcc or clang, nothing from gcc's analyzer, clang-tidy and cppcheck, no
# banned function. A tool that is not installed is named and passed over. Fails on any finding that is not listed in
# `accepted` below (or, for whole checks, in .clang-tidy) with its reason. Builds in throw-away folders only.
set -u
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL
jobs=$(nproc 2>/dev/null || echo 2)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pixelvault-lint.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
missing=
echo 0 >"$tmp/findings"

# One line each: file, check, reason. A line accepts every finding of that check in that file, so it is a line per cause.
cat >"$tmp/accepted" <<'END'
agent/access.c         bugprone-sizeof-expression           an array of pointers is wanted there
agent/alert_desk.c     bugprone-sizeof-expression           an array of pointers is wanted there
agent/intake.c         bugprone-sizeof-expression           the same
agent/api_list.c       -Wanalyzer-malloc-leak               the listing hangs in the call, whose end frees it with listing_free
agent/holdings.c       bugprone-sizeof-expression           an array of pointers is sorted there
agent/pixel_map.c      -Wanalyzer-malloc-leak               what was made hangs in the map, which pixel_map_empty empties
agent/service_check.c  clang-analyzer-core.NullDereference  find_owner is called only for a pair that is_stray, and then call_detective has made d by the same test
agent/service_check.c  -Wanalyzer-null-dereference          the same
agent/service_check.c  bugprone-sizeof-expression           an array of pointers is wanted there
agent/status.c         clang-analyzer-core.NullDereference  a verdict other than unchecked implies that somebody speaks: status_of sets both
agent/supervisor.c     -Wanalyzer-malloc-leak               the copy hangs in the list; environment_freep frees it
agent/sweep_store.c    clang-analyzer-core.NonNullParamChecker  sweep_store_init made the array, or the sweep never began
agent/sweep_targets.c  -Wanalyzer-malloc-leak               the grown array is handed back, and the caller stores it
agent/worker_vault.c   clang-analyzer-core.NullDereference  an item without a credential always says its damage
cli/options.c          clang-analyzer-core.NullDereference  every entry below given_count was filled by add_given
cli/options.c          clang-analyzer-core.NonNullParamChecker  every entry below arg_count is one of argv
cli/table.c            -Wanalyzer-use-of-uninitialized-value  print_line reads no further than row->filled, which was just filled
core/bytes.h           bugprone-macro-parentheses           the argument is a type
core/bytes.h           clang-analyzer-core.NonNullParamChecker  bytes that have a length have an address
core/wipe.c            -Wanalyzer-malloc-leak               the pointer handed out lies behind the head that malloc returned
vault/change.c         -Wanalyzer-malloc-leak               the entry hangs in ch->at; forget_staged frees it
vault/change.c         -Wanalyzer-null-dereference          every node that is staged has its parent staged before it
vault/store_sqlite.c   bugprone-sizeof-expression           an array of pointers is sorted there
vault/store_sqlite.c   clang-analyzer-core.NullDereference  of() never returns NULL
vault/store_sqlite.c   clang-analyzer-core.uninitialized.Assign  meta_number fills the number whenever it answers SQLITE_OK
vault/verify.c         cert-err34-c                         the name is written anew from what was read, and compared
END

# The analyzers see one file at a time and cannot know that these three always return false: without that every
# `return fail(...)` is a path on which the result was not filled and the caller goes on.
cat >"$tmp/model.h" <<'END'
#include "core/error.h"
#define fail(...) ((void)!fail(__VA_ARGS__), 0)
#define fail_class(...) ((void)!fail_class(__VA_ARGS__), 0)
#define fail_no_memory(err) ((void)!fail_no_memory(err), 0)
END

sources=$(ls core/*.c vault/*.c agent/*.c cli/*.c)
modelled=$(echo "$sources" | grep -vx core/error.c) # defines the three
flags="-std=c17 -I. -D_GNU_SOURCE"

has() {
	command -v "$1" >/dev/null 2>&1 && return
	echo "lint: $1 is not installed: passed over"
	missing="$missing $1"
	return 1
}

# judge NAME: findings on stdin, as FILE:LINE:COL: warning: TEXT [CHECK]. Prints those that are not accepted, and counts.
judge() {
	sed "s|^$PWD/||; s|^\./||" | sort -u | awk -v accepted="$tmp/accepted" '
		BEGIN { while ((getline line < accepted) > 0) { split(line, word, " +"); ok[word[1] " " word[2]] = 1 } }
		{
			file = $0; sub(/:.*/, "", file)
			check = $0; if (!sub(/.*\[/, "", check)) check = ""; sub(/[],=].*/, "", check)
			if ((file " " check) in ok) { kept++; next }
			print "  " $0; bad++
		}
		END { printf "%d %d\n", bad, kept > "/dev/stderr" }' 2>"$tmp/count"
	read -r bad kept <"$tmp/count"
	echo "lint: $1: $bad finding$([ "$bad" = 1 ] || echo s)$([ "$kept" = 0 ] || echo ", $kept accepted with a reason")"
	echo "$bad" >>"$tmp/findings" # we are in a pipe: a variable would be lost
}

# ---- both compilers, every program, warnings are errors ----

for cc in gcc clang; do
	has $cc || continue
	programs="all test-programs"
	for bench in bench/*.c; do
		[ -e "$bench" ] && programs="$programs $tmp/$cc/${bench%.c}"
	done
	if ! make -s -k -j"$jobs" BUILD="$tmp/$cc" WERROR=1 CC=$cc SAN= $programs >"$tmp/$cc.log" 2>&1; then
		grep -E '(error|warning): ' "$tmp/$cc.log" | sort -u | head -40 | sed 's/^/  /'
		echo 1 >>"$tmp/findings"
		echo "lint: $cc: does not build without warnings"
	else
		echo "lint: $cc: no warnings"
	fi
	rm -rf "${tmp:?}/$cc"
done

# ---- functions that have no place here ----

grep -nE '(^|[^a-zA-Z0-9_])(strcpy|strcat|sprintf|vsprintf|gets|strtok|system|popen|alloca|atoi)[[:space:]]*\(' \
	$sources core/*.h vault/*.h agent/*.h cli/*.h |
	sed -E 's/^([^:]*:[0-9]+):(.*)$/\1: \2 [banned-function]/' | judge "banned functions"

# ---- analyzers ----

if has gcc; then
	echo "$modelled" | xargs -P"$jobs" -I{} sh -c "gcc $flags -O2 -Wall -Wextra -fanalyzer -include $tmp/model.h -c {} -o /dev/null \
		2>$tmp/gcc-\$(echo {} | tr / -).log"
	cat "$tmp"/gcc-*.log | grep -E '(warning|error): ' | sed 's/ \[CWE-[0-9]*\]//' | judge "gcc -fanalyzer"
fi
if has clang-tidy; then
	echo "$modelled" | xargs -P"$jobs" -I{} sh -c "clang-tidy --quiet {} -- $flags -include $tmp/model.h \
		>$tmp/tidy-\$(echo {} | tr / -).log 2>/dev/null"
	cat "$tmp"/tidy-*.log | grep -E '(warning|error): ' | judge clang-tidy
fi
if has cppcheck; then
	# memleak: cppcheck does not know the cleanup attribute, so every scoped() is a leak to it.
	# Newer versions warn of checks they left out for time; that is no finding.
	cppcheck --std=c11 --enable=warning,performance,portability --suppress=memleak --suppress=normalCheckLevelMaxBranches \
		-I. -D_GNU_SOURCE -j"$jobs" --quiet --template='{file}:{line}:{column}: {severity}: {message} [{id}]' \
		core vault agent cli 2>&1 | judge cppcheck
fi

findings=$(awk '{ sum += $1 } END { print sum }' "$tmp/findings")
echo "lint: $findings finding$([ $findings = 1 ] || echo s)${missing:+ (not installed:$missing)}"
[ $findings = 0 ]
