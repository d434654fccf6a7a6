#!/bin/sh
# make bench [ONLY=get|status|put|import|rotate-key|sweep|size|scan|agent]: what the README's figures come from. Every ratio is of interleaved
# runs on this machine; absolute times carry over to no other. Where a mark is missed, everything it was measured with runs
# once more; a mark that is missed again is printed as MISSED. The agent's parts also run alone: see bench/agent.sh.
set -eu
build=$(cd "${BUILD:-build}" && pwd) only=${1:-all}
sizes=${SIZES:-10 1000 10000 100000}
dir=$(mktemp -d)
emulator= servers=
cleanup() {
	for pid in $emulator $servers; do kill "$pid" 2>/dev/null || true; done
	for pid in $servers; do
		tries=0
		while kill -0 "$pid" 2>/dev/null && [ $tries -lt 50 ]; do
			tries=$((tries + 1))
			sleep 0.1
		done
		kill -9 "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
wants() { [ "$only" = all ] || [ "$only" = "$1" ]; }
# The timing program is static, or a child's peak memory would read as its own.
spawn=$dir/spawn
cc -O2 -std=c17 -D_GNU_SOURCE -I. -static -o "$spawn" bench/spawn.c 2>/dev/null || spawn=$build/bench/spawn
cc -O2 -o "$dir/empty" bench/empty.c

env_of() { echo "PIXELVAULT_VAULT=$dir/$1/vault/vault.db PIXELVAULT_STATE=$dir/$1/state PIXELVAULT_KEY_FILE=$dir/$1/key PIXELVAULT_CONFIG=$dir/config.ini"; }
make_vault() { # name, count
	mkdir -p "$dir/$1/vault"
	env $(env_of "$1") "$build/vault" init -q --key-file "$dir/$1/key" --no-recovery
	env $(env_of "$1") "$build/bench/fill" "$2" "$dir/$1/tokens"
}
pixel() { printf 'CB%016dG0' "$1"; }

printf '[check]\nrate = 100000\nin-flight = 64\n' >"$dir/config.ini"
chmod 600 "$dir/config.ini"
echo "$(uname -sr), $(nproc) cores, $(cc --version | head -1)"
for n in $sizes; do make_vault "n$n" "$n"; done

if wants get; then
	echo
	echo "get without an agent, key file, whole process (5 rounds of 20)"
	{
		printf 'empty process\t-\t-\t%s\n' "$dir/empty"
		first=
		for n in $sizes; do
			printf 'get, %s Pixels\tempty process\t3\t%s %s get %s\n' "$n" "$(env_of "n$n")" "$build/vault" "$(pixel $((n / 2)))"
			[ -z "$first" ] || printf 'get, %s Pixels again\tget, %s Pixels\t1.15\t%s %s get %s\n' "$n" "$first" "$(env_of "n$n")" "$build/vault" "$(pixel $((n / 2)))"
			first=${first:-$n}
		done
		n=${sizes%% *}
		printf 'run -- an empty process\tempty process\t4\t%s %s run --env T=%s -- %s\n' "$(env_of "n$n")" "$build/vault" "$(pixel 1)" "$dir/empty"
	} >"$dir/get"
	"$spawn" -r 5 -n 20 "$dir/get"
fi

if wants status; then
	echo
	echo "status, whole process, beside a bare program that reads, opens and hashes the same rows (5 rounds of 3)"
	for n in $sizes; do
		[ "$n" -ge 1000 ] || continue
		printf 'rows, %s Pixels\t-\t-\t%s %s\n' "$n" "$(env_of "n$n")" "$build/bench/rows"
		printf 'status, %s Pixels\trows, %s Pixels\t1.5\t%s %s status\n' "$n" "$n" "$(env_of "n$n")" "$build/vault"
		printf 'status --json, %s Pixels\trows, %s Pixels\t-\t%s %s status --json\n' "$n" "$n" "$(env_of "n$n")" "$build/vault"
		printf 'verify, %s Pixels\trows, %s Pixels\t-\t%s %s verify\n' "$n" "$n" "$(env_of "n$n")" "$build/vault"
	done >"$dir/status"
	"$spawn" -r 5 -n 3 "$dir/status"
fi

if wants put; then
	echo
	echo "durable put --no-check, whole process (5 rounds of 10), beside sqlite3 inserting one row (WAL, FULL) and three fdatasyncs"
	if command -v sqlite3 >/dev/null 2>&1; then
		sqlite3 "$dir/plain.db" 'PRAGMA journal_mode=WAL; CREATE TABLE s(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID' >/dev/null
		printf 'PRAGMA synchronous=FULL;\nINSERT OR REPLACE INTO s VALUES(hex(randomblob(8)), randomblob(80));\n' >"$dir/insert.sql"
		printf '0123456789abcdef0123456789abcdef01234567' >"$dir/token"
		{
			printf 'sqlite3, one row\t-\t-\tsqlite3 %s <%s\n' "$dir/plain.db" "$dir/insert.sql"
			for n in $sizes; do
				printf 'put, %s Pixels\tsqlite3, one row\t-\t%s %s put CBBENCH%%iX0 --no-check -q <%s\n' "$n" "$(env_of "n$n")" "$build/vault" "$dir/token"
			done
		} >"$dir/put"
		"$spawn" -r 5 -n 10 "$dir/put" | tee "$dir/put.out"
		set -- $("$build/bench/sync" "$dir" 300)
		echo "  one append + fdatasync: $1 us (lowest $2, p90 $3)"
		awk -v sync="$1" '/sqlite3, one row  /{base=$4+3*sync/1000} /put, /{for(i=1;i<=NF;i++) if($i=="ms"){r=$(i-1)/base; printf "  %-34s %5.2fx of sqlite3 + 3 fdatasyncs  mark 1.50x: %s\n", $1" "$2" "$3, r, r<=1.5?"kept":"MISSED"; break}}' "$dir/put.out"
	else
		echo "  skipped: the sqlite3 program is not installed"
	fi
fi

start_emulator() {
	[ -z "$emulator" ] || return 0
	mkdir -p "$dir/emulator"
	"$build/tests/tiktok-emulator" --dir "$dir/emulator" --die-with-parent >"$dir/emulator.out" &
	emulator=$!
	while ! grep -qs ready "$dir/emulator.out"; do sleep 0.05; done
}

# Three that take a message, and one that nobody listens for: it is tried again later.
alerting_config() {
	{
		cat "$dir/config.ini"
		for name in a b c; do printf '[alert %s]\ntype = exec\ncommand = /bin/true\nmin-severity = info\n' $name; done
		printf '[alert d]\ntype = webhook\nurl = https://127.0.0.1:9/\n'
	} >"$dir/alerting.ini"
	chmod 600 "$dir/alerting.ini"
}
# A vault in which each hundredth token is one that TikTok does not know, and a script that sweeps a copy that was never swept.
make_dying() { # count
	make_vault "dying$1" "$1"
	i=0
	while [ $i -lt "$1" ]; do
		printf 'dead%036d' $i | env $(env_of "dying$1") "$build/vault" put "$(pixel $i)" --no-check -q
		i=$((i + 100))
	done
	mkdir "$dir/kept$1"
	cp -a "$dir/dying$1/vault" "$dir/dying$1/state" "$dir/kept$1"
	cat >"$dir/again$1.sh" <<-END
		set -e
		rm -rf "$dir/dying$1/vault" "$dir/dying$1/state"
		cp -a "$dir/kept$1/vault" "$dir/kept$1/state" "$dir/dying$1"
		env $(env_of "dying$1") "$build/vault-agent" --once -q --config "\$1" || [ \$? = 10 ]
	END
}

if wants sweep; then
	echo
	echo "sweep over TLS against the emulator, storing the results, beside a bare curl_multi loop (64 in flight, 5 rounds of 1)"
	start_emulator
	printf '[check]\nrate = 100000\nin-flight = 64\nconfirm-delay = 0s\n[tiktok]\nbase-url = %s\nca-file = %s\n' \
		"$(cat "$dir/emulator/base-url")" "$dir/emulator/ca.pem" >"$dir/config.ini"
	for n in $sizes; do
		[ "$n" -ge 1000 ] && [ "$n" -le 10000 ] || continue
		make_vault "sweep$n" "$n"
		"$build/tests/tiktok-emulator" ctl "$dir/emulator" - <"$dir/sweep$n/tokens" >/dev/null
		printf 'curl_multi, %s requests\t-\t-\t%s %s %s %s %s 64\n' "$n" "$build/bench/multi" "$(cat "$dir/emulator/base-url")" "$dir/emulator/ca.pem" "$dir/sweep$n/tokens" "$n"
		printf 'sweep, %s Pixels\tcurl_multi, %s requests\t1.25\t%s %s --once -q\n' "$n" "$n" "$(env_of "sweep$n")" "$build/vault-agent"
		printf 'sweep with sinks, %s Pixels\tcurl_multi, %s requests\t1.25\t%s %s --once -q --config %s\n' "$n" "$n" "$(env_of "sweep$n")" "$build/vault-agent" "$dir/alerting.ini"
	done >"$dir/sweep"
	alerting_config
	"$spawn" -r 5 -n 1 "$dir/sweep"
	echo "one Pixel in 100 dead, each time for the first time: told to four sinks, beside the same without any (5 rounds of 1)"
	for n in $sizes; do
		[ "$n" -ge 1000 ] && [ "$n" -le 10000 ] || continue
		make_dying "$n"
		printf 'none told, %s Pixels\t-\t-\tsh %s %s\n' "$n" "$dir/again$n.sh" "$dir/config.ini"
		printf 'four told, %s Pixels\tnone told, %s Pixels\t1.1\tsh %s %s\n' "$n" "$n" "$dir/again$n.sh" "$dir/alerting.ini"
	done >"$dir/dying"
	"$spawn" -r 5 -n 1 "$dir/dying"
	for n in $sizes; do
		[ ! -d "$dir/kept$n" ] || echo "  $n Pixels, the last of these told: $(env $(env_of "dying$n") "$build/vault" alert --json --config "$dir/alerting.ini" |
			grep -o '"told":"alert"' | wc -l) messages taken, $(env $(env_of "dying$n") "$build/vault" alert --json --config "$dir/alerting.ini" |
			grep -o '"title":"[^"]*"' | head -1)"
	done
	echo "  The server works on this machine too. The bare loop leaves it a processor of its own; a sweep is two processes,"
	echo "  the one with the keys (proves, opens and seals each record) and the one on the network, so with two processors"
	echo "  three share them. Against TikTok, at 5 questions a second, none of this is felt."
fi

if wants size; then
	echo
	echo "store size beside a plain SQLite file whose rows have the same padded lengths"
	if command -v sqlite3 >/dev/null 2>&1; then
		for n in $sizes; do
			[ "$n" -ge 1000 ] || continue
			make_vault "size$n" "$n"
			vault=$dir/size$n/vault/vault.db
			rm -f "$dir/plain-size.db"
			sqlite3 "$dir/plain-size.db" "CREATE TABLE s(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID; ATTACH '$vault' AS v;
				INSERT INTO s SELECT k, zeroblob(length(v)) FROM v.kv WHERE k LIKE 'e1/m/%' OR k LIKE 'e1/t/%' OR k LIKE 'e1/h/%' ORDER BY mod, k; DETACH v;"
			a=$(stat -c %s "$vault") b=$(stat -c %s "$dir/plain-size.db")
			awk -v n="$n" -v a="$a" -v b="$b" 'BEGIN{printf "  %s Pixels: %.2f MB, plain %.2f MB: %.2fx  mark 1.35x: %s\n", n, a/1e6, b/1e6, a/b, a/b<=1.35?"kept":"MISSED"}'
			rm -rf "$dir/size$n"
		done
	else
		echo "  skipped: the sqlite3 program is not installed"
	fi
fi

if wants scan; then
	echo
	echo "scan of random bytes in a file that is in memory, mark 1 GB a minute; what it takes to open the tokens is in it"
	mib=${SCAN_MIB:-512}
	head -c "${mib}M" /dev/urandom >"$dir/noise"
	for n in $sizes; do
		begun=$(date +%s%N)
		env $(env_of "n$n") "$build/vault" scan "$dir/noise"
		ended=$(date +%s%N)
		awk -v n="$n" -v m="$mib" -v ns=$((ended - begun)) 'BEGIN{r=m*1048576/1e9/(ns/6e10); printf "  %s Pixels: %.2f s for %d MiB, %.1f GB a minute: %s\n", n, ns/1e9, m, r, r>=1?"kept":"MISSED"}'
	done
	rm -f "$dir/noise"
fi

if wants import; then
	echo
	echo "import of 10,000 rows in one commit, export of them, whole processes, once each"
	make_vault import 0
	{
		echo 'Pixel,Token'
		awk 'BEGIN { for (i = 0; i < 10000; i++) printf "CI%016dG0,%08xabcdef0123456789abcdef%010d\n", i, i, i }'
	} >"$dir/import.csv"
	printf 'correct horse battery staple\n' >"$dir/phrase"
	chmod 600 "$dir/phrase"
	for words in "import $dir/import.csv --dry-run" "import $dir/import.csv" "import $dir/import.csv" \
		"export --to-file $dir/import.pxe --passphrase-file $dir/phrase"; do
		begun=$(date +%s%N)
		env $(env_of import) "$build/vault" $words -q
		printf '%-14s %d ms\n' "$(echo "$words" | sed "s| $dir/[^ ]*||; s| --to-file.*||")" $((($(date +%s%N) - begun) / 1000000))
	done
fi

if wants rotate-key; then
	echo
	echo "rotate-key of 10,000 Pixels with a key file, whole process, 5 times (to stay under 3,000 ms)"
	make_vault rotate 10000
	for i in 1 2 3 4 5; do
		begun=$(date +%s%N)
		env $(env_of rotate) "$build/vault" rotate-key -q
		echo "rotate-key     $((($(date +%s%N) - begun) / 1000000)) ms"
	done
fi

. bench/agent.sh
