#!/bin/sh
# fetch.sh PIXEL                              keep the token of a Pixel, and take a new one as soon as there is one
# fetch.sh PIXEL report CODE [REQUEST-ID]     tell the vault that TikTok refused the token (40105: it looks at once)
#
# Needs curl 7.84 or newer. The token stays in a variable of this shell: never in an argument, a file or a message.
set -eu
set +x # whoever traces this script must not see tokens
socket=${PIXELVAULT_SOCKET:-/run/pixelvault/agent.sock}
consumer=${CONSUMER:-fetch.sh} # who you are; the audit log shows it
pixel=$1

# Your work. The token is in $token; hand it on by standard input, as here, or `export` it for the one program that
# needs it. An argument would be readable by every user of the machine.
use_token() {
	echo "$pixel: version $1, a token of ${#token} characters"
	# printf 'Access-Token: %s\n' "$token" | curl -sS -H @- -H 'Content-Type: application/json' -d @events.json \
	#	https://business-api.tiktok.com/open_api/v1.3/event/track/
	# TikTok answers HTTP 200 also when it refuses: read `code` in the answer. 40105: fetch.sh PIXEL report 40105 ID
}

agent() { curl -q -sS --noproxy "*" --max-time 40 --unix-socket "$socket" -H "X-Consumer: $consumer" "$@"; }

if [ "${2:-}" = report ]; then
	agent --fail -o /dev/null -H 'Content-Type: application/json' -d "{\"code\":$3,\"request_id\":\"${4:-}\"}" \
		"http://localhost/v1/pixels/$pixel/report"
	exit
fi

# Sleep for 50-100% of $delay seconds, so that a thousand consumers do not come back in the same instant.
rest() { sleep "$(awk -v d="$delay" -v s="$(od -An -N4 -tu4 /dev/urandom)" 'BEGIN { srand(s); print d * (0.5 + rand() / 2) }')"; }

newline='
'
token='' etag='' delay=1
while :; do
	# With an ETag the agent holds the answer for up to 30 s: 200 at once when the version changes, else 304.
	answer=$(agent -w '\n%{http_code} %header{etag} %header{preference-applied}' ${etag:+-H "If-None-Match: $etag" -H 'Prefer: wait=30'} \
		"http://localhost/v1/pixels/$pixel/token") || answer="${newline}000"
	end=${answer##*"$newline"}
	case $end in
	200*)
		token=${answer%"$newline"*} etag=${end#200 } etag=${etag%% *} delay=1
		use_token "$etag"
		;;
	304*wait=*) delay=1 ;;
	304*) delay=1 && rest ;; # it did not wait: so we do
	*) # away, locked, or it has none for us: keep the token that we have, and come back
		echo "$pixel: no answer we can use ($end); using ${etag:-nothing} until there is" >&2
		rest
		delay=$((delay < 32 ? delay * 2 : 60))
		;;
	esac
done
