#!/bin/sh
# Installs what is missing to build and test pixelvault on Debian and its relatives; says what to install elsewhere.
#
#   deps.sh            what building and testing need
#   deps.sh browser    a browser for the tests that look at the board's page; without one they are skipped
#   deps.sh tpm        a TPM in software for the tests of system credentials; without one they are skipped
#   deps.sh clocks     faketime, for the tests of wrong clocks; without it they are skipped
#   deps.sh afl        AFL++, for make afl
#   deps.sh clang      clang with its runtimes and llvm, for make fuzz and make coverage
set -eu
get() { # packages
	as_root=
	[ "$(id -u)" = 0 ] || as_root=sudo
	DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1
}
for_tests() { # what it is, which tests are skipped without it, packages
	echo "installing: $1 (for tests)"
	what=$1 without=$2
	shift 2
	get "$@" || echo "$what could not be installed: $without are skipped"
	exit 0
}
case ${1:-} in
browser)
	for name in chromium chromium-browser google-chrome; do
		if command -v "$name" >/dev/null 2>&1; then exit 0; fi
	done
	for_tests chromium "the tests that need a browser" chromium
	;;
tpm)
	if command -v swtpm >/dev/null 2>&1 || ! command -v systemd-creds >/dev/null 2>&1; then exit 0; fi
	for_tests swtpm "the tests that need a TPM" swtpm libtss2-esys-3.0.2-0 libtss2-rc0 libtss2-mu0 libtss2-tcti-swtpm0
	;;
clocks)
	if command -v faketime >/dev/null 2>&1; then exit 0; fi
	for_tests faketime "the tests of wrong clocks" faketime
	;;
afl)
	if command -v afl-fuzz >/dev/null 2>&1 && command -v afl-clang-fast >/dev/null 2>&1; then exit 0; fi
	echo "installing: afl++"
	get afl++ && exit 0
	echo "AFL++ could not be installed: see https://github.com/AFLplusplus/AFLplusplus" >&2
	exit 1
	;;
clang)
	if command -v clang >/dev/null 2>&1 && ls /usr/bin/llvm-profdata* >/dev/null 2>&1; then exit 0; fi
	echo "installing: clang llvm"
	# With what they recommend: the runtimes of the sanitizers.
	get --install-recommends clang llvm && exit 0
	echo "clang and llvm could not be installed: fuzzing and coverage need them" >&2
	exit 1
	;;
esac
packages="gcc make pkg-config python3 ca-certificates libsodium-dev libsqlite3-dev libcurl4-openssl-dev libcjson-dev
	libinih-dev libmicrohttpd-dev libseccomp-dev libgnutls28-dev libcmocka-dev musl-tools"
if command -v dpkg-query >/dev/null 2>&1; then
	missing=
	for package in $packages; do
		case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
		ii*) ;;
		*) missing="$missing $package" ;;
		esac
	done
	# A compiler or interpreter that did not come from a package is as good.
	[ -n "$missing" ] || exit 0
	echo "installing:$missing"
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 || {
			echo "run as root: apt-get install$missing" >&2
			exit 1
		}
		as_root=sudo
	fi
	log=$(mktemp)
	if ! { $as_root apt-get update && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		echo "the packages above could not be installed" >&2
		exit 1
	fi
	rm -f "$log"
	exit 0
fi
for library in libsodium sqlite3 libcurl libcjson inih libmicrohttpd libseccomp gnutls cmocka; do
	pkg-config --exists "$library" || missing="${missing:-} $library"
done
[ -z "${missing:-}" ] || {
	echo "install the development files of:$missing" >&2
	exit 1
}
