#!/bin/sh
# Builds the programs twice, from two folders of different names, and compares them byte for byte; then looks in them for
# the hardening that the compiler was asked for. Says what differs, what is not there, and
# what of the tests is.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for folder in one another-folder; do
	mkdir "$work/$folder"
	(cd "$root" && git ls-files -z | xargs -0 tar cf -) | tar xf - -C "$work/$folder"
	make -s -j2 -C "$work/$folder" BUILD=build all
done
bad=0
say() {
	echo "$*" >&2
	bad=1
}
for program in vault vault.so vault-agent; do
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
echo "both builds are equal, byte for byte: $(cd "$work/one/build" && sha256sum vault vault.so vault-agent | cut -c1-16 | tr '\n' ' ')"
