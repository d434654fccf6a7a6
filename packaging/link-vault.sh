#!/bin/sh
# link-vault.sh BIN-FOLDER [1|0]: put a `vault` link beside pixelvault, unless some other `vault` is on PATH. 1 forces,
# 0 forbids.
set -eu
bin=$1 choice=${2:-}
other=
for folder in $(echo "$PATH" | tr ':' ' ') "$bin"; do
	if [ -e "$folder/vault" ] && [ "$(readlink "$folder/vault" || true)" != pixelvault ]; then
		other=$folder/vault
		break
	fi
done
if [ "$choice" = 0 ] || { [ -n "$other" ] && [ "$choice" != 1 ]; }; then
	[ -z "$other" ] || echo "not linking vault: $other is another program (LINK_VAULT=1 links all the same)"
	exit 0
fi
if [ -e "$bin/vault" ] && [ ! -L "$bin/vault" ]; then
	echo "not replacing $bin/vault: it is not a link" >&2
	exit 1
fi
ln -sf pixelvault "$bin/vault"
echo "linked $bin/vault -> pixelvault"
