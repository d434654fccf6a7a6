# bench/peers.sh: the part of bench/run.sh that measures other keepers of secrets beside us (make bench-peers): the same
# values under the same names, in interleaved rounds. What is not installed is installed from Debian (root) and from npm,
# into BUILD; what cannot be had is named. PEER_SIZES="10 1000". Nothing here runs outside of the bench's own folders, but
# systemd-creds, which makes the host's key when there is none; that is removed again.
# "(no sync)": strace saw none while that program put a value.
peer_sizes=${PEER_SIZES:-10 1000}
peer_packages="sqlite3 redis-server memcached postgresql etcd-server etcd-client pass gnupg age libsecret-tools gnome-keyring dbus ansible-core keepassxc"
ours="pixelvault, through its agent"
host_key=/var/lib/systemd/credential.secret

lacks() { printf '{"missing":"%s","why":"%s"}\n' "$1" "$2" >>"$BENCH_RESULTS"; }
has() { # what it is called: each of the programs
	what=$1
	shift
	for each; do
		command -v "$each" >/dev/null 2>&1 && continue
		[ "$n" != "$(first_of "$peer_sizes")" ] || lacks "$what" "no program $each here, and it could not be installed"
		return 1
	done
}

install_peers() {
	missing=
	for each in $peer_packages; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$each" 2>/dev/null | grep -q '^ii' || missing="$missing $each"
	done
	if [ -n "$missing" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
		for each in $missing; do
			echo "  installing $each with apt-get, to measure beside it"
			RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$each" >/dev/null 2>&1 || true
		done
	fi
	dotenvx=$build/peers/node_modules/.bin/dotenvx
	if [ ! -x "$dotenvx" ] && command -v npm >/dev/null 2>&1; then
		echo "  installing dotenvx with npm, to measure beside it"
		npm install --silent --no-fund --no-audit --prefix "$build/peers" @dotenvx/dotenvx >/dev/null 2>&1 || true
	fi
}

name_the_absent() {
	lacks "HashiCorp Vault, OpenBao" "no package in Debian or npm: not available here"
	lacks "Bitwarden, 1Password, Doppler" "need an account on a server of theirs"
	lacks "oidc-agent" "needs a provider to log in at"
	lacks "gopass" "Debian's package of that name is another program"
	lacks "git-crypt" "opens a working tree, not one value"
	lacks "keytar" "gnome-keyring, which is measured, through Node"
}

# The tables: LABEL <tab> our label <tab> - <tab> words. A peer is in when what it gives is the token.
peer_row() { row "$2" "$ours" - "$3" >>"$there/$1"; }
peer_get() { # label, words
	wanted=$(awk -v code="$asked" '$3 == "pixels=" code { print $2 }' "$dir/p$n/tokens")
	if eval "env $2" 2>/dev/null </dev/null | grep -qF "$wanted"; then
		peer_row get "$1" "$2"
	else
		lacks "$1, $n values" "does not give the token here"
		return 1
	fi
}
peer_put() { peer_row put "$1" "$2 <$dir/peer-token"; }
peer_list() { peer_row list "$1" "$2"; }
serve() { # words: in the background, ended with the bench
	"$@" >>"$there/log" 2>&1 </dev/null &
	pid=$!
	servers="$servers $pid"
}
until_true() { # words; ten seconds
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || return 1
		sleep 0.05
	done
}
values() { sed 's/^token \([^ ]*\) pixels=\(.*\)$/\2 \1/' "$dir/p$n/tokens"; } # CODE VALUE
free_port() { "${PYTHON:-python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

peer_sqlite() {
	has "sqlite3" sqlite3 || return 0
	{
		echo 'PRAGMA journal_mode=WAL; CREATE TABLE s(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID; BEGIN;'
		values | sed "s/\(.*\) \(.*\)/INSERT INTO s VALUES('\1', '\2');/"
		echo 'COMMIT;'
	} | sqlite3 "$there/plain.db" >/dev/null
	echo "SELECT v FROM s WHERE k = '$asked';" >"$there/get.sql"
	echo 'SELECT k FROM s ORDER BY k;' >"$there/list.sql"
	echo 'PRAGMA synchronous=FULL; INSERT OR REPLACE INTO s VALUES(hex(randomblob(8)), hex(randomblob(20)));' >"$there/put.sql"
	peer_get "sqlite3, plain text" "sqlite3 $there/plain.db <$there/get.sql" || return 0
	peer_row put "sqlite3, plain text" "sqlite3 $there/plain.db <$there/put.sql"
	peer_list "sqlite3, plain text" "sqlite3 $there/plain.db <$there/list.sql"
}

peer_redis() {
	has "Redis" redis-server redis-cli || return 0
	serve redis-server --port 0 --unixsocket "$there/redis.sock" --save '' --appendonly yes --appendfsync always --dir "$there" --daemonize no
	redis_pid=$pid
	until_true redis-cli -s "$there/redis.sock" ping || return 0
	values | awk '{ printf "SET %s %s\r\n", $1, $2 }' | redis-cli -s "$there/redis.sock" --pipe >/dev/null
	peer_get "Redis, plain text" "redis-cli -s $there/redis.sock get $asked" || return 0
	peer_put "Redis, plain text" "redis-cli -s $there/redis.sock -x set bench%i"
	peer_list "Redis, plain text" "redis-cli -s $there/redis.sock --scan"
	peer_serves "Redis, plain text" "speak=redis socket=$there/redis.sock pid=$redis_pid"
}

peer_memcached() {
	has "memcached" memcached || return 0
	serve memcached -u root -s "$there/memcached.sock" -t 1
	until_true test -S "$there/memcached.sock" || return 0
	{ values | awk '{ printf "set %s 0 0 %d noreply\r\n%s\r\n", $1, length($2), $2 }' && printf 'quit\r\n'; } |
		"${PYTHON:-python3}" -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
s.recv(1)' "$there/memcached.sock"
	peer_serves "memcached, plain text" "speak=memcached socket=$there/memcached.sock pid=$pid"
}

peer_postgres() {
	bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
	[ "$(id -u)" -eq 0 ] && id postgres >/dev/null 2>&1 && as="setpriv --reuid postgres --regid postgres --clear-groups" || as=
	has "PostgreSQL" "$bin/initdb" "$bin/postgres" "$bin/psql" || return 0
	mkdir "$there/pg"
	[ -z "$as" ] || chown postgres "$there/pg"
	$as "$bin/initdb" -D "$there/pg/data" -U postgres -A trust >>"$there/log" 2>&1 || return 0
	serve $as "$bin/postgres" -D "$there/pg/data" -k "$there/pg" -c listen_addresses=
	postgres_pid=$pid
	psql="$bin/psql -X -q -A -t -h $there/pg -U postgres"
	until_true $psql -c 'SELECT 1' || return 0
	{
		echo 'CREATE TABLE s(k text PRIMARY KEY, v text); COPY s FROM stdin;'
		values | tr ' ' '\t'
		echo '\.'
	} | $psql >/dev/null
	echo "SELECT v FROM s WHERE k = '$asked'" >"$there/pg-get.sql"
	echo 'SELECT k FROM s ORDER BY k' >"$there/pg-list.sql"
	echo "INSERT INTO s VALUES(gen_random_uuid(), 'a value of forty characters, as tokens are')" >"$there/pg-put.sql"
	peer_get "PostgreSQL, plain text" "$psql -f $there/pg-get.sql" || return 0
	peer_row put "PostgreSQL, plain text" "$psql -f $there/pg-put.sql"
	peer_list "PostgreSQL, plain text" "$psql -f $there/pg-list.sql"
	peer_serves "PostgreSQL, plain text" "speak=postgres socket=$there/pg/.s.PGSQL.5432 pid=$postgres_pid"
}

peer_etcd() {
	has "etcd" etcd etcdctl || return 0
	client=http://127.0.0.1:$(free_port) peer=http://127.0.0.1:$(free_port)
	serve etcd --data-dir "$there/etcd" --listen-client-urls "$client" --advertise-client-urls "$client" \
		--listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
	etcdctl="ETCDCTL_API=3 etcdctl --endpoints $client"
	until_true env $etcdctl get x || return 0
	values >"$there/values"
	for first in $(seq 1 100 "$n"); do
		{ echo && sed -n "$first,$((first + 99))p" "$there/values" | sed 's/^/put /' && echo && echo; } | env $etcdctl txn >/dev/null || return 0
	done
	peer_get "etcd, plain text" "$etcdctl get $asked" || return 0
	peer_put "etcd, plain text" "$etcdctl put bench%i"
	peer_list "etcd, plain text" "$etcdctl get --prefix C --keys-only"
}

peer_age() {
	has "age" age age-keygen || return 0
	mkdir "$there/age"
	age-keygen -o "$there/age.key" 2>/dev/null
	recipient=$(age-keygen -y "$there/age.key")
	values | while read -r code value; do printf %s "$value" | age -r "$recipient" -o "$there/age/$code"; done
	peer_get "age, a file each" "age -d -i $there/age.key $there/age/$asked" || return 0
	peer_put "age, a file each (no sync)" "age -r $recipient -o $there/age/bench%i"
	peer_list "ls of a file each" "ls $there/age"
}

peer_systemd() {
	has "systemd-creds" systemd-creds || return 0
	if [ "$(id -u)" -ne 0 ]; then
		lacks "systemd-creds, $n values" "only root has the host's key"
		return 0
	fi
	[ -e $host_key ] || made_host_key=1
	mkdir "$there/creds"
	values | while read -r code value; do
		printf %s "$value" | systemd-creds encrypt --with-key=host --name="$code" - "$there/creds/$code" 2>/dev/null || exit 1
	done || {
		lacks "systemd-creds, $n values" "does not encrypt here"
		return 0
	}
	peer_get "systemd-creds" "systemd-creds decrypt --name=$asked $there/creds/$asked -" || return 0
	peer_put "systemd-creds (no sync)" "systemd-creds encrypt --with-key=host --name=bench%i - $there/creds/bench%i"
}

peer_pass() {
	has "pass" pass gpg gpgconf || return 0
	mkdir -m 700 "$there/gpg" "$there/store"
	pass="GNUPGHOME=$there/gpg PASSWORD_STORE_DIR=$there/store pass"
	env GNUPGHOME="$there/gpg" gpg --batch --quiet --passphrase '' --quick-generate-key bench future-default default never 2>>"$there/log" || return 0
	servers="$servers $(pgrep -f "gpg-agent --homedir $there/gpg " || true)"
	echo bench >"$there/store/.gpg-id"
	values | while read -r code value; do printf '%s\n' "$value" >"$there/store/$code"; done
	env GNUPGHOME="$there/gpg" gpg --batch --quiet --trust-model always -r bench --multifile --encrypt "$there"/store/C* 2>>"$there/log"
	find "$there/store" -name 'C*' ! -name '*.gpg' -delete
	peer_get "pass, key without a passphrase" "$pass show $asked" || return 0
	peer_put "pass (no sync)" "$pass insert -m -f bench%i"
	peer_list "pass" "$pass ls"
}

peer_keyring() {
	has "gnome-keyring" secret-tool gnome-keyring-daemon dbus-daemon || return 0
	mkdir -m 700 "$there/home"
	at="HOME=$there/home XDG_RUNTIME_DIR=$there/home XDG_DATA_HOME=$there/home DBUS_SESSION_BUS_ADDRESS=unix:path=$there/bus"
	serve env $at dbus-daemon --session "--address=unix:path=$there/bus" --nofork --nopidfile
	until_true test -S "$there/bus" || return 0
	printf 'bench' | env $at gnome-keyring-daemon --unlock --foreground --components=secrets >>"$there/log" 2>&1 &
	servers="$servers $!"
	until_true sh -c "printf x | env $at secret-tool store --label=first first value" || return 0
	values | while read -r code value; do printf %s "$value" | env $at secret-tool store --label="$code" kind bench pixel "$code"; done
	peer_get "gnome-keyring (secret-tool)" "$at secret-tool lookup pixel $asked" || return 0
	peer_put "gnome-keyring (secret-tool)" "$at secret-tool store --label=bench kind new pixel bench%i"
	peer_list "gnome-keyring (secret-tool)" "$at secret-tool search --all kind bench"
}

peer_keepassxc() {
	has "KeePassXC" keepassxc-cli || return 0
	head -c 32 /dev/urandom >"$there/kp.key"
	{
		echo '<?xml version="1.0" encoding="UTF-8"?><KeePassFile><Meta><Generator>bench</Generator></Meta><Root><Group><UUID>AAAAAAAAAAAAAAAAAAAAAQ==</UUID><Name>Root</Name>'
		values | awk '{ printf "<Entry><UUID>%s</UUID><String><Key>Title</Key><Value>%s</Value></String><String><Key>Password</Key><Value>%s</Value></String></Entry>\n", sprintf("AAAAAAAAAAAA%010dAA", NR) "==", $1, $2 }' |
			sed 's/<UUID>AAAAAAAAAAAA\([0-9]*\)AA==/<UUID>AAAAAAAAAA\1gA==/'
		echo '</Group></Root></KeePassFile>'
	} >"$there/kp.xml"
	kp="HOME=$there QT_QPA_PLATFORM=offscreen keepassxc-cli"
	env $kp import -q -k "$there/kp.key" "$there/kp.xml" "$there/kp.kdbx" >>"$there/log" 2>&1 || true
	peer_get "KeePassXC, key file" "$kp show -q --no-password -k $there/kp.key -s -a Password $there/kp.kdbx $asked" || return 0
	peer_put "KeePassXC, key file" "$kp add -q --no-password -k $there/kp.key -p $there/kp.kdbx bench%i"
	peer_list "KeePassXC, key file" "$kp ls -q --no-password -k $there/kp.key $there/kp.kdbx"
}

peer_ansible() {
	has "ansible-vault" ansible-vault || return 0
	echo 'a passphrase of the bench' >"$there/ansible.phrase"
	values | sed 's/ /: /' >"$there/secrets.yml"
	ansible="HOME=$there ansible-vault"
	env $ansible encrypt --vault-password-file "$there/ansible.phrase" "$there/secrets.yml" >>"$there/log" 2>&1 || return 0
	peer_get "ansible-vault view" "$ansible view --vault-password-file $there/ansible.phrase $there/secrets.yml" || return 0
}

peer_dotenvx() {
	has "dotenvx" "$dotenvx" || return 0
	mkdir "$there/dotenvx"
	values | sed 's/ /=/' >"$there/dotenvx/.env"
	files="-f $there/dotenvx/.env -fk $there/dotenvx/.env.keys"
	env HOME="$there" "$dotenvx" encrypt $files >>"$there/log" 2>&1 || true
	words="HOME=$there $dotenvx get $asked $files"
	if [ "$n" -gt 100 ]; then
		row "dotenvx" "$ours" - "$words" >>"$there/get-slow"
		return 0
	fi
	peer_get "dotenvx" "$words" || return 0
	peer_row put "dotenvx" "HOME=$there $dotenvx set BENCH%i 0123456789abcdef0123456789abcdef01234567 $files"
}

# A server that load.c can speak with over its Unix socket.
peer_serves() { row "$1" "$ours" - "$2 pixels=$dir/p$n/tokens clients=8 apart=1" >>"$there/serve"; }

first_rows() { # the floors and ourselves
	through="PIXELVAULT_CONFIG=$dir/p$n/agent.ini $build/vault"
	alone="$(env_of "alone$n") $build/vault"
	row "empty process" - - "$dir/empty" | tee "$there/get" >"$there/list"
	cp "$there/get" "$there/get-slow"
	row "append and sync 128 bytes" - - "$build/bench/sync $there 1" >"$there/put"
	peer_get "$ours" "$through get $asked"
	cat "$there/get" | sed 1d >>"$there/get-slow"
	peer_get "pixelvault, no agent" "$alone get $asked"
	peer_put "$ours" "$through put CBBENCH%iX0 --no-check -q"
	peer_put "pixelvault, no agent" "$alone put CBBENCI%iX0 --no-check -q"
	peer_list "$ours" "$through list"
	peer_list "pixelvault, no agent" "$alone list"
	start_echo "echo$n" $(cut -f 2,3 "$dir/p$n/sizes")
	row "bare epoll echo" - - "speak=echo socket=$dir/echo$n.sock request=$(cut -f 2 "$dir/p$n/sizes") reply=$(cut -f 3 "$dir/p$n/sizes") pid=$pid clients=8 apart=1" >"$there/serve"
	row "$ours" "bare epoll echo" - "socket=$dir/p$n/agent.sock pixels=$dir/p$n/tokens pid=$(cat "$dir/p$n/pid") clients=8 apart=1" >>"$there/serve"
}

measure_peers_of() {
	there=$dir/p$n/peers asked=$(pixel $((n / 2)))
	make_vault "p$n" "$n"
	make_vault "alone$n" "$n"
	mkdir "$there"
	chmod 711 "$dir" "$dir/p$n" "$there"
	configure_agent "p$n"
	start_agent "p$n" || return 0
	first_rows
	for each in sqlite redis memcached postgres etcd age systemd pass keyring keepassxc ansible dotenvx; do
		"peer_$each"
	done
	if [ "$(wc -l <"$there/get-slow")" -gt 2 ]; then
		BENCH_TABLE="peers: get one of $n, whole process, once (too slow for more)" "$spawn" -r 1 -n 1 "$there/get-slow" >/dev/null
	fi
	BENCH_TABLE="peers: get one of $n, whole process" "$spawn" -r 5 -n 5 "$there/get" >/dev/null
	BENCH_TABLE="peers: put one beside $n, whole process" "$spawn" -r 5 -n 4 "$there/put" >/dev/null
	BENCH_TABLE="peers: list the names of $n, whole process" "$spawn" -r 5 -n 2 "$there/list" >/dev/null
	BENCH_TABLE="peers: a server on a Unix socket, $n values, 8 clients, gets" "$build/bench/load" -s 0.5 "$there/serve" >/dev/null
	end_peers
}

# So that the next size has the machine for itself.
end_peers() {
	for each in $servers; do kill "$each" 2>/dev/null || true; done
	for each in $servers; do
		until_true sh -c "! kill -0 $each" || kill -9 "$each" 2>/dev/null || true
	done
	servers=
}

if wants peers; then
	echo
	echo "peers: the same values under the same names, interleaved (tables at the end; only we rotate, check and know whose a token is)"
	printf '0123456789abcdef0123456789abcdef01234567' >"$dir/peer-token"
	made_host_key=
	n=0
	install_peers
	name_the_absent
	for n in $peer_sizes; do measure_peers_of; done
	[ -z "$made_host_key" ] || rm -f $host_key
fi
