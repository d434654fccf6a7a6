#!/bin/sh
# Builds the programs twice, from two folders of different names, the second time without any network, and compares them
# byte for byte, and their bills of materials; then looks in them for the hardening that the compiler was asked for. Says
# what differs, what is not there, and what of the tests is.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
offline="unshare -rn"
$offline true 2>/dev/null || offline=
[ -n "$offline" ] || echo "NOT TESTED: a build without a network, as unshare -rn does not work here"
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
build() { # folder [words before make]
	folder=$1
	shift
	mkdir "$work/$folder"
	(cd "$root" && git ls-files -z | xargs -0 tar cf -) | tar xf - -C "$work/$folder"
	"$@" make -s -j2 -C "$work/$folder" BUILD=build all build/pixelvault.spdx.json
}
build one
# shellcheck disable=SC2086 # none or two words
build another-folder $offline
bad=0
say() {
	echo "$*" >&2
	bad=1
}
bill=build/pixelvault.spdx.json
cmp "$work/one/$bill" "$work/another-folder/$bill" >&2 || say "the two bills of materials differ"
for program in vault vault-whole vault-agent; do
	file=$work/one/build/$program
	cmp "$file" "$work/another-folder/build/$program" >&2 || say "$program: the two builds differ"
	elf=$(readelf -Wlds "$file")
	for wanted in GNU_RELRO BIND_NOW __stack_chk_fail; do
		case $elf in *"$wanted"*) ;; *) say "$program: no $wanted" ;; esac
	done
	case $(readelf -Wh "$file") in *"DYN ("*) ;; *) say "$program: not position-independent" ;; esac
	readelf -Wl "$file" | grep 'GNU_STACK' | grep -q 'RW ' || say "$program: its stack is executable"
	readelf -Wl "$file" | grep 'LOAD' | grep -q 'RWE' && say "$program: a segment is writable and executable"
	grep -aqE 'PIXELVAULT_TEST|LLVMFuzzer|__afl_|__asan_' "$file" && say "$program: it has a switch or a hook of the tests in it"
	readelf -Wd "$file" | grep -qE 'RPATH|RUNPATH' && say "$program: it looks for libraries in a folder of its own"
done
[ $bad = 0 ] || exit 1
[ -z "$offline" ] || echo "the second was built without a network"
echo "both builds and their bills of materials are equal, byte for byte: $(cd "$work/one/build" && sha256sum vault vault-whole vault-agent | cut -c1-16 | tr '\n' ' ')"
