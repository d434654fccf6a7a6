# bench/agent.sh: the part of bench/run.sh that measures a running agent. ONLY=agent runs all of it; by themselves:
#   gets          requests a second and processor time of 8 clients, latency of 1 and 8, beside a bare echo and Redis
#   cli           `vault get` and `vault run` through the agent as whole processes
#   durable       puts, beside the bare sum of what makes one durable
#   interference  a reader while a sweep, a storm of puts and hostile clients go on
#   memory        what the agent's processes hold
#   restart       from start to the first token
agent_parts="gets cli durable interference memory restart"
agent_program=${AGENT:-$build/vault-agent}
part() { [ "$only" = all ] || [ "$only" = agent ] || [ "$only" = "$1" ]; }
part_any() { for each in $agent_parts; do ! part "$each" || return 0; done; return 1; }
tab=$(printf '\t')
row() { printf '%s\t%s\t%s\t%s\n' "$@"; }
first_of() { echo "${1%% *}"; }
last_of() { echo "${1##* }"; }

# name [more lines for the section check [more sections]]: a configuration that names the vault and its socket
configure_agent() {
	cat >"$dir/$1/agent.ini" <<-END
		[vault]
		path = $dir/$1/vault/vault.db
		state-dir = $dir/$1/state
		key-file = $dir/$1/key
		[agent]
		socket = $dir/$1/agent.sock
		require-locked-memory = no
		[check]
		interval = 90d
		${2:-rate = 1}
		[tiktok]
		${3:-base-url = https://127.0.0.1:9/open_api/v1.3}
	END
	chmod 600 "$dir/$1/agent.ini"
}

# name: sets $pid. Answers 1 when it does not come to serve.
start_agent() {
	env -i PATH="$PATH" "$agent_program" --config "$dir/$1/agent.ini" >"$dir/$1/agent.log" 2>&1 &
	pid=$!
	servers="$servers $pid"
	row ready - - "socket=$dir/$1/agent.sock pixels=$dir/$1/tokens" >"$dir/$1/ready"
	tries=0
	until "$build/bench/load" -z "$dir/$1/ready" >"$dir/$1/sizes" 2>/dev/null; do
		tries=$((tries + 1))
		if [ $tries -gt 600 ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "  skipped: the agent does not serve: $(tail -n 1 "$dir/$1/agent.log")"
			return 1
		fi
		sleep 0.05
	done
	echo "$pid" >"$dir/$1/pid"
}

start_echo() { # name, bytes of a request, of a reply [folder of a copy of a vault, or line=file]
	name=$1
	shift
	"$build/bench/echo" "$dir/$name.sock" "$@" &
	pid=$!
	servers="$servers $pid"
	until [ -S "$dir/$name.sock" ]; do sleep 0.02; done
}

find_redis() {
	command -v redis-server >/dev/null 2>&1 && return 0
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "  installing redis-server with apt-get, to measure beside it"
		RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1 || true
	fi
	command -v redis-server >/dev/null 2>&1
}

start_redis() { # name of a vault, whose tokens it holds in plain text
	redis-server --port 0 --unixsocket "$dir/$1/redis.sock" --save '' --appendonly no --dir "$dir/$1" \
		--daemonize no >/dev/null 2>&1 &
	pid=$!
	servers="$servers $pid"
	until redis-cli -s "$dir/$1/redis.sock" ping >/dev/null 2>&1; do sleep 0.05; done
	awk '{ sub("pixels=", "", $3); printf "SET %s %s\r\n", $3, $2 }' "$dir/$1/tokens" |
		redis-cli -s "$dir/$1/redis.sock" --pipe >/dev/null
}

measure_gets() {
	n=$(first_of "$sizes")
	start_echo echo $(cut -f 2,3 "$dir/n$n/sizes")
	echo_words="speak=echo socket=$dir/echo.sock request=$(cut -f 2 "$dir/n$n/sizes") reply=$(cut -f 3 "$dir/n$n/sizes") pid=$pid"
	start_echo lined $(cut -f 2,3 "$dir/n$n/sizes") "line=$dir/lines"
	lined_words="speak=echo socket=$dir/lined.sock request=$(cut -f 2 "$dir/n$n/sizes") reply=$(cut -f 3 "$dir/n$n/sizes") pid=$pid"
	with_redis=
	if find_redis; then
		with_redis=1
	else
		echo "  without Redis: redis-server is not installed, and only root can install it"
	fi
	for clients in 8 1; do
		# One client's latency is the scheduler's choice unless both sides share a processor.
		pinned= pin_words=
		[ $clients -eq 8 ] || pinned=", both sides on one processor" pin_words=cpu=0
		echo
		echo "gets through the agent, an audit line each, $clients at once$pinned (5 rounds of 1 s, closed loop, each client a process)"
		{
			row "echo, $clients" - - "$echo_words clients=$clients apart=1 $pin_words"
			row "echo that writes a line, $clients" "echo, $clients" - "$lined_words clients=$clients apart=1 $pin_words"
			for n in $sizes; do
				marks=-
				[ $clients -ne 1 ] || marks='T2:p50<=1.35'
				[ $clients -ne 8 ] || marks='T1:rate>=0.75,T1:p99<=1.3,T2:cpu<=1.6'
				row "agent, $clients, $n Pixels" "echo, $clients" "$marks" "socket=$dir/n$n/agent.sock pixels=$dir/n$n/tokens pid=$(cat "$dir/n$n/pid") clients=$clients apart=1 $pin_words"
			done
		} >"$dir/gets"
		if [ -n "$with_redis" ]; then
			for n in $sizes; do
				[ -S "$dir/n$n/redis.sock" ] || { start_redis "n$n" && echo "$pid" >"$dir/n$n/redis.pid"; }
				row "Redis, $clients, $n values" "echo, $clients" - "speak=redis socket=$dir/n$n/redis.sock pixels=$dir/n$n/tokens pid=$(cat "$dir/n$n/redis.pid") clients=$clients apart=1 $pin_words"
			done >>"$dir/gets"
		fi
		"$build/bench/load" "$dir/gets"
	done
	low=$(first_of "$sizes") high=$(last_of "$sizes")
	[ "$low" != "$high" ] || return 0
	echo
	echo "flat: $low beside $high Pixels, one client, both sides on one processor (7 rounds of 1 s), after the first reads of the day"
	for n in $low $high; do
		base=- marks=-
		[ "$n" = "$low" ] || base="agent, $low Pixels" marks='T6:p50<=1.1,T6:cpu<=1.3'
		row "agent, $n Pixels" "$base" "$marks" "socket=$dir/n$n/agent.sock pixels=$dir/n$n/tokens pid=$(cat "$dir/n$n/pid") cpu=0"
	done >"$dir/flat"
	"$build/bench/load" -e "$dir/flat"
	"$build/bench/load" -r 7 "$dir/flat"
}

measure_cli() {
	n=$(first_of "$sizes")
	start_echo least $(cut -f 2,3 "$dir/n$n/sizes")
	least="$build/bench/ask $dir/least.sock $(cut -f 2,3 "$dir/n$n/sizes" | tr '\t' ' ')"
	echo
	echo "the vault program through the agent, whole processes (5 rounds of 20)"
	{
		row "empty process" - - "$dir/empty"
		row /bin/true - - /bin/true
		row "least client, bare echo" "empty process" - "$least"
		row "least client -- /bin/true" "/bin/true + empty process" - "$least /bin/true"
		first=
		for n in $sizes; do
			through="PIXELVAULT_CONFIG=$dir/n$n/agent.ini $build/vault"
			row "get, agent, $n Pixels" "empty process" "T3:ms<=1.25,T3:mib<=2" "$through get $(pixel $((n / 2)))"
			[ -z "$first" ] || row "again, $n Pixels" "get, agent, $first Pixels" "T6:ms<=1.1" "$through get $(pixel $((n / 2)))"
			first=${first:-$n}
		done
		row "run -- /bin/true" "/bin/true + empty process" "T4:ms<=1" "$through run --env T=$(pixel 1) -- /bin/true"
	} >"$dir/cli"
	"$spawn" -r 5 -n 20 "$dir/cli"
}

measure_durable() {
	low=$(first_of "$sizes") high=$(last_of "$sizes")
	row put - - "speak=put loose=1 socket=$dir/n$low/agent.sock pixels=$dir/n$low/tokens" >"$dir/put-one"
	if ! "$build/bench/load" -z "$dir/put-one" >"$dir/put-sizes"; then
		echo "  skipped: the agent takes no put"
		return 0
	fi
	start_echo bare $(cut -f 2,3 "$dir/put-sizes") "$dir/bare"
	echo
	echo "PUT ?check=no through the agent, durable, beside a server that only writes and syncs what a put must (5 rounds of 1 s)"
	{
		row "bare sum, 1 writer" - - "speak=echo socket=$dir/bare.sock request=$(cut -f 2 "$dir/put-sizes") reply=$(cut -f 3 "$dir/put-sizes") pid=$pid"
		for n in $low $high; do
			base="put, 1 writer, $low Pixels" marks='T6:p50<=1.2'
			[ "$n" != "$low" ] || base="bare sum, 1 writer" marks='T7:p50<=1.3'
			row "put, 1 writer, $n Pixels" "$base" "$marks" "speak=put socket=$dir/n$n/agent.sock pixels=$dir/n$n/tokens pid=$(cat "$dir/n$n/pid")"
			[ "$low" != "$high" ] || break
		done
		row "put, 8 writers, $n Pixels" "put, 1 writer, $n Pixels" 'T7:rate>=3' "speak=put clients=8 socket=$dir/n$n/agent.sock pixels=$dir/n$n/tokens pid=$(cat "$dir/n$n/pid")"
	} >"$dir/durable"
	"$build/bench/load" "$dir/durable"
}

# A sweep of 10,000 Pixels at 20 a second, puts as fast as 8 writers get them in, 1,000 connections that say nothing and
# 200 that send a byte at a time, beside one reader that asks 500 times a second.
measure_interference() {
	start_emulator
	make_vault storm 10000
	configure_agent storm 'rate = 20' "base-url = $(cat "$dir/emulator/base-url")
ca-file = $dir/emulator/ca.pem"
	chmod 711 "$dir" "$dir/storm" # others may reach the socket
	"$build/tests/tiktok-emulator" ctl "$dir/emulator" - <"$dir/storm/tokens" >/dev/null
	start_agent storm || return 0
	[ "$(id -u)" -eq 0 ] || echo "  not root: the hostile clients are this user's, not others'"
	row puts - - "speak=put clients=8 socket=$dir/storm/agent.sock pixels=$dir/storm/tokens" >"$dir/storm/puts"
	cat >"$dir/storm/storm.sh" <<-END
		PIXELVAULT_CONFIG=$dir/storm/agent.ini $build/vault check -q >/dev/null 2>&1 &
		$build/bench/load -r 1 -s 60 $dir/storm/puts >/dev/null 2>&1 &
		$build/bench/hostile $dir/storm/agent.sock 1000 200 2>>$dir/storm/hostile.log &
		wait
	END
	echo
	echo "a reader, 500 gets a second, while a sweep, 8 writers and 1,200 hostile connections of other users go on (5 rounds of 3 s)"
	reader="socket=$dir/storm/agent.sock pixels=$dir/storm/tokens loose=1 pace=500 pid=$pid"
	row get - - "$reader" >"$dir/storm/one"
	"$build/bench/load" -z "$dir/storm/one" >"$dir/storm/sizes"
	start_echo calm $(cut -f 2,3 "$dir/storm/sizes")
	bystander="speak=echo socket=$dir/calm.sock request=$(cut -f 2 "$dir/storm/sizes") reply=$(cut -f 3 "$dir/storm/sizes") pace=500 pid=$pid"
	{
		row "reader, idle" - - "$reader settle=1"
		row "reader, in the storm" "reader, idle" 'T8:p99<=3' "$reader settle=1 while='sh $dir/storm/storm.sh'"
		row "echo that nobody else asks, idle" - - "$bystander settle=1"
		row "the same echo, in the storm" "echo that nobody else asks, idle" - "$bystander settle=1 while='sh $dir/storm/storm.sh'"
	} >"$dir/storm/rows"
	"$build/bench/load" -s 3 "$dir/storm/rows" || tail -n 3 "$dir/storm/agent.log"
	echo "  What the echo loses in the storm is what waiting for a processor costs here, whoever serves."
	echo "  of the hostile connections: $(sort "$dir/storm/hostile.log" | uniq -c | sort -rn | sed -n '1s/^ *[0-9]* //p')"
}

# pid: MiB the process holds, then of these: libraries (mapped from *.so files)
memory_of() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { is_library = $6 ~ /\.so/ } /^Rss:/ { all += $2; if (is_library) libraries += $2 }
		END { printf "%.2f %.2f\n", all / 1024, libraries / 1024 }' "/proc/$1/smaps"
}

family() { # pid: it and all below it
	echo "$1"
	for child in $(ps -o pid= --ppid "$1" 2>/dev/null); do family "$child"; done
}

measure_memory() {
	echo
	echo "memory of the agent's processes after use, in MiB; pages mapped from shared libraries (*.so) are taken out"
	if [ "$(id -u)" -ne 0 ]; then
		echo "  skipped: only root may look at an agent's memory map"
		return 0
	fi
	for n in $sizes; do
		all=0
		row get - - "clients=8 loose=1 socket=$dir/n$n/agent.sock pixels=$dir/n$n/tokens" >"$dir/touch"
		"$build/bench/load" -r 1 -s 0.5 "$dir/touch" >/dev/null
		for each in $(family "$(cat "$dir/n$n/pid")"); do
			set -- $(memory_of "$each")
			what=$(tr '\0' '\n' <"/proc/$each/cmdline" | sed -n 's/^--\(keeper\|courier\)$/\1/p' | head -n 1)
			printf '  %7s Pixels, %-10s %8s, of it libraries %s\n' "$n" "${what:-supervisor}" "$1" "$2"
			all=$(echo "$all $1 $2" | awk '{ print $1 + $2 - $3 }')
		done
		limit=$(awk -v n="$n" 'BEGIN { printf "%.2f", 8 + 1.5 * n / 1024 }')
		printf '  %7d Pixels, without libraries %.2f MiB  mark %s (8 MiB + 1.5 KiB a Pixel): ' "$n" "$all" "$limit"
		judge T12 "memory, $n Pixels, MiB" "$all" '<=' "$limit"
	done
}

measure_restart() {
	echo
	echo "from starting the agent to the first token it serves (5 rounds)"
	for n in $sizes; do
		limit=1000
		[ "$n" -le 10000 ] || limit=60000
		kill "$(cat "$dir/n$n/pid")" 2>/dev/null || true
		while kill -0 "$(cat "$dir/n$n/pid")" 2>/dev/null; do sleep 0.05; done
		printf '  %7s Pixels: ' "$n"
		BENCH_TABLE="start to first token, $n Pixels" "$build/bench/first" 5 "$limit" "$dir/n$n/agent.sock" "$(pixel 1)" env -i PATH="$PATH" "$agent_program" \
			--config "$dir/n$n/agent.ini" 2>"$dir/n$n/agent.log" || tail -n 1 "$dir/n$n/agent.log"
	done
}

if part_any; then
	if part durable; then
		mkdir -p "$dir/bare"
		cp "$dir/n$(first_of "$sizes")/vault/vault.db"* "$dir/bare/"
	fi
	echo
	echo "a running agent"
	is_running=1
	for n in $sizes; do
		configure_agent "n$n"
		[ -z "$is_running" ] || start_agent "n$n" || is_running=
	done
	if [ -n "$is_running" ]; then
		for each in $agent_parts; do
			! part "$each" || "measure_$each"
		done
	fi
fi
