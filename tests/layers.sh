#!/bin/sh
# core <- vault <- agent <- cli: a folder includes itself and what stands left of it, and every include of ours is
# written from the root.
set -eu
bad=0
refuse() { # folder, forbidden includes
	if grep -nE "#include \"($2)/" "$1"/*.[ch]; then
		echo "layers: $1/ must not include the lines above" >&2
		bad=1
	fi
}
refuse core 'vault|agent|cli|tests|bench'
refuse vault 'agent|cli|tests|bench'
refuse agent 'cli|tests|bench'
refuse cli 'tests|bench'
if grep -nE '#include "[^/"]+"' core/*.[ch] vault/*.[ch] agent/*.[ch] cli/*.[ch]; then
	echo "layers: write includes from the root" >&2
	bad=1
fi
for pair in curl/curl.h:agent/http.c+agent/post.c cjson/cJSON.h:agent/tiktok.c sqlite3.h:vault/store_sqlite.c+vault/log_file.c ini.h:core/config.c microhttpd.h:agent/listener.c \
	seccomp.h:agent/sandbox.c; do
	header=${pair%%:*} owner=${pair#*:}
	if grep -lE "#include <$header>" core/*.[ch] vault/*.[ch] agent/*.[ch] cli/*.[ch] | grep -vxF "$(echo "$owner" | tr + '\n')"; then
		echo "layers: <$header> belongs to $owner alone" >&2
		bad=1
	fi
done
[ $bad = 0 ] && echo "layers: core <- vault <- agent <- cli holds"
exit $bad
