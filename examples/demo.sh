#!/bin/sh
# demo.sh [BUILD]: the main job of pixelvault, against an emulator of TikTok's API on this machine.
# `make demo` builds and then runs this. Nothing leaves the machine, nothing stays behind.
#
# Every line after a $ is run exactly as it is shown. Ends with 0 only if each step went as announced.
set -u
unset CDPATH $(env | sed -n 's/^\(PIXELVAULT_[A-Z_]*\)=.*/\1/p')
umask 077

build=$(cd "${1:-build}" 2>/dev/null && pwd) || {
	echo "demo: there is no folder '${1:-build}'; build first: make demo" >&2
	exit 1
}
vault() { "$build/vault" "$@"; }
emulator=$build/tests/tiktok-emulator
for program in "$build/vault" "$build/vault-agent" "$emulator"; do
	[ -x "$program" ] || {
		echo "demo: $program is missing; build first: make demo" >&2
		exit 1
	}
done

# ---- how it looks ----

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi
step=0
heading() { step=$((step + 1)) && printf '\n%s%s. %s%s\n' "$bold" $step "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
broken() {
	printf '\ndemo: FAILED in step %s: %s\n' $step "$*" >&2
	exit 1
}

# ---- a private folder, and nothing left of it ----

dir=$(mktemp -d "${TMPDIR:-/tmp}/pixelvault-demo.XXXXXX") || exit 1
emulator_pid= agent_pid=
clean_up() {
	trap '' INT TERM HUP
	[ -z "$agent_pid" ] || { kill "$agent_pid" && wait "$agent_pid"; } 2>/dev/null
	[ -z "$emulator_pid" ] || { kill "$emulator_pid" && wait "$emulator_pid"; } 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
cd "$dir" || exit 1

# show STATUS WORD 'command line': print it, run it, and demand its exit status and, where WORD is not empty, that WORD
# stands in what it printed.
show() {
	printf '\n%s$ %s%s\n' "$bold" "$3" "$plain"
	eval "$3" >out 2>&1
	status=$?
	cat out
	note "  [exit status $status]"
	[ $status -ne 130 ] || exit 130 # Ctrl-C reached the command before it reached us
	[ $status -eq "$1" ] || broken "'$3' ended with $status, not with $1"
	case $(cat out) in *"$2"*) ;; *) broken "'$3' did not say '$2'" ;; esac
}

tiktok() { "$emulator" ctl "$dir/tiktok" - >/dev/null || broken "the emulator refused a command"; } # commands on stdin
new_token() { od -An -N20 -tx1 /dev/urandom | tr -d ' \n'; }

# ---- TikTok, five Pixels and what people pasted for them; all made up ----

"$emulator" --dir "$dir/tiktok" --die-with-parent >emulator.log 2>&1 </dev/null &
emulator_pid=$!
tries=0
until grep -q '^ready' emulator.log 2>/dev/null; do
	tries=$((tries + 1))
	[ $tries -le 200 ] && kill -0 "$emulator_pid" 2>/dev/null || broken "the emulator did not start: $(cat emulator.log)"
	sleep 0.05
done

berlin=C0U2T02IU8J6B9GC2B90 paris=CI55904931EPA3N8G4R0 madrid=D023I0092PNMM49T2U6G
rome=D5ARI03C1V9P07VI76GG oslo=DBJ82050INP0V4SLCK60
for shop in berlin paris madrid rome madrid-new berlin-new; do
	new_token >$shop.txt
done
tiktok <<-END
	token $(cat berlin.txt) pixels=$berlin
	token $(cat paris.txt) pixels=$paris
	token $(cat madrid.txt) pixels=$madrid
	token $(cat rome.txt) pixels=$rome
	token $(cat madrid-new.txt) pixels=$madrid
	token $(cat berlin-new.txt) pixels=$berlin
	pixel $oslo
	revoke $(cat madrid.txt)
	expire $(cat rome.txt)
END
# What comes out of chats and spreadsheets: typographic quotes, "Bearer ", a no-break space, a Windows line end.
printf '\302\240\342\200\234Bearer \302\240%s\342\200\235\302\240\r\n' "$(cat paris.txt)" >paris-pasted.txt

cat >pixelvault.ini <<-END
	[vault]
	path = $dir/vault/vault.db
	state-dir = $dir/state
	key-file = $dir/key

	[check]
	confirm-delay = 0s

	[agent]
	socket = $dir/agent/agent.sock
	require-locked-memory = no

	[tiktok]
	base-url = $(cat tiktok/base-url)
	ca-file = $dir/tiktok/ca.pem
END
export PIXELVAULT_CONFIG="$dir/pixelvault.ini"

printf '%spixelvault: five Pixels, five tokens, and which of them work%s\n' "$bold" "$plain"
note "An emulator of TikTok's API answers on this machine; TikTok itself is not asked. Pixels and tokens are made up."

heading "Make a vault"
note "The key file, the vault and the emulator's address stand in a configuration made for this demo."
show 0 "made the vault" 'vault init --no-recovery'

heading "Put a token: it is proven for its Pixel before anybody gets it"
show 0 'TikTok accepts it' "vault put $berlin --label shop=berlin --test-code TEST10001 < berlin.txt"

heading "A dirty paste: typographic quotes, 'Bearer', a no-break space and a line end around the token"
show 0 "removed" "vault put $paris --label shop=paris --test-code TEST10002 < paris-pasted.txt"

heading "A token that was revoked at TikTok"
note "TikTok answers this with HTTP 200, so a sender that looks at the status alone never notices."
show 10 "revoked" "vault put $madrid --label shop=madrid --test-code TEST10003 < madrid.txt"

heading "A token that has run out"
show 10 "expired" "vault put $rome --label shop=rome --test-code TEST10004 < rome.txt"

heading "A good token, pasted under the wrong Pixel"
note "madrid-new.txt is a fresh token of Madrid's Pixel ($madrid); it is put under Oslo's by mistake."
show 11 "belongs to $madrid" "vault put $oslo --label shop=oslo --test-code TEST10005 < madrid-new.txt"

heading "The board: what needs you stands first"
show 0 "mismatched" 'vault status'

heading "Months later: Berlin's token is revoked at TikTok, and the next check finds it"
echo "revoke $(cat berlin.txt)" | tiktok
show 10 "$berlin: revoked" "vault check $berlin $paris"
note "A new token is made in Events Manager and put. Until it is proven, nothing changes for the senders."
show 0 "version 2 is current" "vault put $berlin < berlin-new.txt"

heading "Hand it to a program: in its environment, never on a command line"
show 0 "a token of 40 characters" \
	"vault run --env TIKTOK_TOKEN=$berlin -- sh -c 'echo \"the child has a token of \${#TIKTOK_TOKEN} characters\"'"

heading "The agent: it opens the vault once, and services ask its socket"
mkdir agent
"$build/vault-agent" >agent.log 2>&1 </dev/null &
agent_pid=$!
tries=0
until grep -q ': ready on' agent.log; do
	tries=$((tries + 1))
	[ $tries -le 200 ] && kill -0 "$agent_pid" 2>/dev/null || broken "the agent did not start: $(cat agent.log)"
	sleep 0.05
done
show 0 "" 'cat agent.log'
if command -v curl >/dev/null; then
	show 0 'ETag: "2"' "curl -sS -D - -o /dev/null --unix-socket agent/agent.sock http://localhost/v1/pixels/$berlin/token"
else
	show 0 "" "vault get $berlin >/dev/null"
fi
note "Who may do what stands in rules; without one the answer is no. Here is what decides for the user 'daemon':"
show 0 "" "vault access explain --user daemon $berlin"

heading "Paris's token is revoked: while the agent runs, the same commands ask it, with the same answers"
echo "revoke $(cat paris.txt)" | tiktok
show 10 "$paris: revoked" "vault check $paris"

heading "Who got what? Every read, change, question and denial is a line that nobody can take out unnoticed"
show 0 "" 'vault audit show | tail -n 4'
show 0 "" 'vault audit verify'

heading "Is everything in the vault as it was put there?"
show 0 "" 'vault verify'

echo
cat <<-END
	${bold}All steps went as announced.${plain} The folder, the vault and the emulator of this demo are gone now.

	With a Pixel of your own, after 'make install' (README.md, "The first five minutes"):
	  1. Events Manager > your Pixel > Settings > Events API > Generate access token. Copy it; it is shown once.
	  2. Events Manager > your Pixel > Test events: copy the test code. With it a token is proven, not only not refuted.
	  3. pixelvault init --key-file ~/.config/pixelvault/key
	     export PIXELVAULT_KEY_FILE=~/.config/pixelvault/key
	  4. pixelvault put PIXEL-CODE --test-code TEST-CODE        (paste the token when asked)
	  5. pixelvault status
END
