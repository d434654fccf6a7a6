/* agent/text.h - every sentence of this layer: message, then what to do next. */
#ifndef AGENT_TEXT_H
#define AGENT_TEXT_H

#define LOG_DAMAGED                                                                                                    \
	"%zu Pixel%s damaged in the vault, the others are served; to see what and where: vault verify"
#define LOG_AUDIT_HEAD "audit head %s"
#define LOG_CHECKPOINT "checkpoint %s"
#define LOG_WRONG_KEYS "wrong keys were tried since the vault was last opened: %u, the last one at %s"
#define LOG_CLOCK_SUSPECT                                                                                              \
	"the clock is suspect: it is %s earlier than the latest this host remembers; set it, or if it is right now and " \
	"was ahead before: vault adopt --first-use, then restart the agent"

/* settings: what a value must be, and how to write it; the rows of agent/settings.c hold these */
#define TXT_SET_FILE                                                                                                   \
	"an absolute path of a file", "begin it with '/' and end it with a name; '~' and variables are not expanded"
#define TXT_SET_FOLDER "an absolute path of a folder", "begin it with '/'; '~' and variables are not expanded"
#define TXT_SET_SOCKET                                                                                                 \
	"an absolute path of at most 107 bytes", "a Unix socket's path has no more room; use a shorter one"
#define TXT_SET_CREDENTIAL "the name of a systemd credential", "give the name only, as in LoadCredential=NAME:PATH"
#define TXT_SET_AUDIT_READS "written or durable", "written survives a crash of the agent, durable one of the machine"
#define TXT_SET_ACCOUNT "a user's or group's name or number", "see 'getent passwd' and 'getent group'"
#define TXT_SET_YES_NO "yes, no, true or false", "write it in lower case, such as: require-locked-memory = yes"
#define TXT_SET_LISTEN                                                                                                 \
	"127.0.0.1, [::1] or localhost with a port",                                                                   \
		"write it like 127.0.0.1:9187; to read it from elsewhere use ssh -L, or write status --html to a web server"
#define TXT_SET_INTERVAL "from 1s to 90d", "write an integer with s, m, h or d behind it, such as 6h"
#define TXT_SET_RATE "from 1 to 100000", "write an integer: requests per second, such as 5"
#define TXT_SET_IN_FLIGHT "from 1 to 256", "write an integer: requests at a time, such as 4"
#define TXT_SET_CONFIRM_DELAY "from 0s to 1d", "write an integer with s, m, h or d behind it, such as 10m"
#define TXT_SET_EXPIRY_WARNING                                                                                         \
	"at most 8 different times from 1s to 3650d, or 0 for none",                                                   \
		"separate them by blanks, such as: 30d 14d 7d 3d 1d"
#define TXT_SET_MAX_AGE                                                                                                \
	"from 1s to 3650d, or 0 for no limit", "write an integer with s, m, h or d behind it, such as 90d"
#define TXT_SET_GRACE                                                                                                  \
	"from 1s to 3650d, or 0 to wait for nobody", "write an integer with s, m, h or d behind it, such as 7d"
#define TXT_SET_PURGE_AFTER                                                                                            \
	"from 1s to 3650d, or 0 for never", "write an integer with s, m, h or d behind it, such as 30d"
#define TXT_SET_PROBE                                                                                                  \
	"dry or test", "leave it out to use test where a test code is stored, else dry; live only by hand: check "     \
		       "--probe live"
#define TXT_SET_BASE_URL                                                                                               \
	"an https address that ends in the version", "write it like https://business-api.tiktok.com/open_api/v1.3"
#define TXT_SET_LOGIN_URL                                                                                              \
	"an https address that ends in the version", "write it like https://open.tiktokapis.com/v2"
#define TXT_SET_TIMEOUT "from 1s to 60s", "write an integer with s or m behind it, such as 5s"
#define TXT_SET_ALERT_TYPE "webhook, slack, email, exec, syslog or ping", "write it like: type = webhook"
#define TXT_SET_ALERT_URL                                                                                              \
	"an address with https, smtp or smtps",                                                                        \
		"write it like https://HOST/PATH; user names and '#' have no place in it"
#define TXT_SET_ALERT_TO "e-mail addresses", "separate them by blanks, such as: ops@example.com lead@example.com"
#define TXT_SET_ALERT_COMMAND "an absolute path, and arguments", "no shell reads it: /usr/local/bin/page --team ops"
#define TXT_SET_ALERT_FROM "one e-mail address", "write it like: from = pixelvault@example.com"
#define TXT_SET_ALERT_USER "a name without blanks", "it is what the mail server knows us as, such as: user = pixelvault"
#define TXT_SET_ALERT_TLS                                                                                              \
	"starttls or none", "none is for a mail server on this host only; anywhere else mail goes encrypted or not at all"
#define TXT_SET_ALERT_TIME_LIMIT "from 1s to 60s", "write an integer with s behind it, such as 20s"
#define TXT_SET_SEVERITY "info, warning or critical", "write it like: min-severity = warning"
#define TXT_SET_REMIND "from 1m to 90d, or 0 for never", "write an integer with m, h or d behind it, such as 1d"
#define TXT_SET_PIXELS "Pixel codes, or *", "separate them by blanks, in upper case, such as: C9ABCDEFGHIJKLMNOPQR"
#define TXT_SET_LABELS                                                                                                 \
	"labels like brand=acme", "separate them by blanks; keys have at most 32 of a-z 0-9 _ . -, values 64 bytes"
#define TXT_SET_VERBS "any of meta read report put admin", "separate them by blanks, such as: meta read"

/* settings: sentences */
#define TXT_WHAT_SET_VALUE "'%s' in [%s] must be %s"
#define TXT_WHAT_SET_VALUE_HERE "must be %s"
#define TXT_SET_FLAG_EMPTY "'%s' got no value", "give it a path, or leave it out"
#define TXT_SET_VAULT_IS_FOLDER "the vault's path names a folder", "add a file name, such as vault.db"
#define TXT_SET_NO_HOME                                                                                                \
	"no home folder is known for uid %u", "set HOME, or say where with PIXELVAULT_VAULT and PIXELVAULT_STATE"
#define TXT_SET_NO_CURRENT_FOLDER                                                                                      \
	"the current folder is not known: %s", "use an absolute path, or change to a folder that exists"
#define TXT_SET_PATH_TOO_LONG "a path is too long: %.80s", "use a shorter one"
#define TXT_SET_STATE_INSIDE                                                                                           \
	"the state folder lies inside the folder of the vault",                                                        \
		"who can put back an old vault there could put back the anchor too: give the vault a folder of its "   \
		"own, or set "                                                                                         \
		"state-dir (PIXELVAULT_STATE)"
#define TXT_SET_ALERT_NO_TYPE "[alert %s] has no type", "add one: type = webhook, slack, email, exec, syslog or ping"
#define TXT_SET_ALERT_NEEDS "[alert %s] is of a type that needs '%s'", "add the key, or choose another type"
#define TXT_SET_ALERT_NEEDS_ONE                                                                                        \
	"[alert %s] is of a type that needs '%s' or '%s'",                                                             \
		"add one of them (an address that is a secret belongs into a file), or choose another type"
#define TXT_SET_ALERT_BOTH "[alert %s] has both '%s' and '%s'", "remove one of the two"
#define TXT_SET_ALERT_LOGIN                                                                                            \
	"[alert %s] has only one of 'user' and 'password-file'", "give both, or neither if the mail server asks for none"
#define TXT_SET_ALERT_LOGIN_WHERE                                                                                      \
	"[alert %s] has a password and does not say for which server", "add it, such as: url = smtp://mail.example.com:587"
#define TXT_SET_ALERT_PLAIN                                                                                            \
	"[alert %s] would send mail unencrypted to another host, or with a password",                                  \
		"remove 'tls = none': it is for smtp://localhost without 'user'"
#define TXT_SET_ALERT_UNUSED "[alert %s] is of a type that does not use '%s'", "remove the key, or choose another type"
#define TXT_SET_ALERT_SCHEME                                                                                           \
	"[alert %s] has a url of another type", "webhook, slack and ping use https, email uses smtp or smtps"
#define TXT_SET_ACCESS_WHO "[access %s] must name a user or a group, and not both", "make two rules of it"
#define TXT_SET_ACCESS_VERBS "[access %s] grants nothing", "add verbs, such as: verbs = meta read"
#define TXT_SET_ACCESS_WHAT "[access %s] names no Pixels", "add pixels (* for all) or labels"
#define TXT_SET_ACCESS_NOBODY                                                                                          \
	"[access %s] names nobody, nogroup or 65534", "these stand for everyone the system cannot tell apart; name "   \
						      "the user of the one service this rule is for"

/* listener */
#define TXT_LISTEN_FAILED "the socket could not be served: %s", "check the limits of descriptors and memory (ulimit -a)"

/* socket_path */
#define TXT_LISTEN_FOLDER "the folder '%s' of the socket cannot be used: %s", "make it, or set socket in [agent]"
#define TXT_LISTEN_FOLDER_OPEN                                                                                         \
	"the folder '%s' of the socket belongs to another user or may be written by others",                           \
		"use a folder of the agent's own, such as /run/pixelvault: others could put a socket of theirs there"
#define TXT_LISTEN_PATH "no socket can be made at '%s': %s", "check socket in [agent] and the rights on its folder"
#define TXT_LISTEN_NO_SOCKET "there is something at '%s' that is no socket", "move it away, or set socket in [agent]"
#define TXT_LISTEN_BUSY "another agent answers at '%s'", "stop it first; one vault has one agent"

/* api: requests */
#define TXT_API_TARGET "the address of the request cannot be read", "see the table of requests: docs/protocol.md"
#define TXT_API_BODY_LONG "the body is longer than %zu bytes", "this is more than the request needs: is it the right one?"
#define TXT_API_NO_ROUTE "there is no such request", "see the table of requests: docs/protocol.md"
#define TXT_API_METHOD "this address takes %s only", "see the table of requests: docs/protocol.md"
#define TXT_API_PARAM "this request takes no parameter '%.60s'", "see the table of requests: docs/protocol.md"
#define TXT_API_PARAM_TWICE "'%s' is given twice", "give it once"
#define TXT_API_FLAG "'%s' takes 1 and nothing else", "leave it out, or write it with =1"
#define TXT_API_STOPPING "the agent is ending", "it may be restarting: ask again in a moment"
#define TXT_API_LOCKED "the vault is locked", "unlock it: vault unlock"
#define TXT_API_DENIED_PIXEL                                                                                           \
	"no rule gives you '%s' for Pixel '%s'",                                                                       \
		"ask for a rule in [access ...] of the agent's configuration; see: vault access explain"
#define TXT_API_DENIED                                                                                                 \
	"no rule gives you '%s' here", "ask for a rule in [access ...] of the agent's configuration; see: vault access "   \
				       "explain"
#define TXT_API_NO_PIXEL                                                                                               \
	"no token is stored for Pixel '%s'", "see what is stored with: vault list; store one with: vault put"
#define TXT_API_READ_PARAM                                                                                             \
	"version takes a number from 1, previous and healthy take 1", "such as ?version=3, or ?previous=1"
#define TXT_API_READ_BOTH "version and previous exclude each other", "leave one of them out"
#define TXT_API_LABELS "more than %zu labels", "a Pixel carries at most 16; leave some out"
#define TXT_API_CHECK_PARAM "check takes no and nothing else", "leave it out, or write check=no"
#define TXT_API_IF_MATCH "If-Match takes one version in quotes", "such as If-Match: \"3\"; \"0\" is none yet"
#define TXT_API_PROBE "probe takes dry, test or live", "leave it out to get what the settings say"
#define TXT_API_JSON "the body is not the JSON object that is wanted: %s", "see the table of requests: docs/protocol.md"
#define TXT_API_MEMBER "the body takes no member '%s'", "see the table of requests: docs/protocol.md"
#define TXT_API_REPORT                                                                                                 \
	"a report is a JSON object with TikTok's code as a number",                                                    \
		"such as {\"code\":40105,\"request_id\":\"...\"}"
#define TXT_API_ACK                                                                                                    \
	"an acknowledgement is a JSON object with version, and as where the caller has a name", "such as {\"version\":3,\"as\":\"checkout\"}"
#define TXT_API_OTHER \
	"the body is a JSON object that names the other Pixel: %s", "such as {\"with\":\"PIXEL\"} for swap, {\"to\":\"PIXEL\"} for move"
#define TXT_API_ROTATE                                                                                                 \
	"who is to get a new token is said by pixels, labels (lists of texts), max_age (seconds) and cancel",          \
		"such as {\"labels\":[\"bc=acme\"],\"max_age\":7776000}"
#define TXT_API_SPAN "for takes seconds, at most 7776000 (90 days)", "such as ?for=28800"
#define TXT_API_PLAN_SPAN "for takes seconds, at most 7776000 (90 days)", "such as ?for=86400"
#define TXT_MATCH_NONE                                                                                                 \
	"no Pixel that you may see holds this token", "a token that was replaced long ago is no longer known here"
#define TXT_API_UNLOCK_BODY "the key must be exactly 32 bytes", "send the root key as it is, or nothing at all"
#define TXT_API_UNLOCK_BUSY "two tries of yours are waiting already", "wait for their answers"
#define TXT_API_UNLOCK_OUT "%d wrong keys were tried by you: no more are taken", "restart the agent, or let another user"
#define TXT_API_WHO                                                                                                    \
	"who is meant is said by numbers: uid, and with it gid and each group",                                        \
		"such as ?uid=1001&gid=1001&group=27; see 'id NAME', or 'vault access explain'"
#define TXT_API_UPLOADS "too much is being sent at once", "try again in a moment"

/* access: what is wrong with a line (FILE:LINE: comes in front), and what to do */
#define TXT_WHAT_ACCESS_USER "there is no user '%s' on this system"
#define TXT_WHAT_ACCESS_GROUP "there is no group '%s' on this system"
#define TXT_HINT_ACCESS_ACCOUNT "see 'getent passwd' and 'getent group'; if it is new, reload the agent, or write the number"
#define TXT_WHAT_ACCESS_NOBODY "'%s' is the number 65534, which stands for everyone the system cannot tell apart"
#define TXT_HINT_ACCESS_NOBODY "name the user of the one service this rule is for"

/* courier */
#define TXT_HTTP_BAD_URL                                                                                               \
	"base-url '%s' is no https address to build on",                                                               \
		"write it like https://business-api.tiktok.com/open_api/v1.3, without query or user"
#define TXT_HTTP_NO_CA                                                                                                 \
	"this system has no bundle of CA certificates",                                                                \
		"install the package ca-certificates, or name a bundle with ca-file in [tiktok]"
#define TXT_HTTP_BAD_CA                                                                                                \
	"the CA certificates '%s' cannot be read", "check the path and its permissions (ca-file in [tiktok])"
#define TXT_HTTP_OPTION                                                                                                \
	"this libcurl lacks an option that keeps tokens safe: %s", "install libcurl 7.85 or newer, built with OpenSSL"
#define TXT_COURIER_NOT_BY_HAND                                                                                        \
	"--courier is not for people: it needs a descriptor 3 from the program that started it",                       \
		"use 'vault check' or 'vault-agent --once'"
#define TXT_COURIER_STRANGER                                                                                           \
	"the program that started this courier is of another version", "install vault and vault-agent from one build"

#define TXT_MESSENGER_NOT_BY_HAND                                                                                      \
	"--messenger is not for people: it needs a descriptor 3 from the program that started it",                     \
		"use 'vault alert test NAME'"
#define TXT_MESSENGER_URL "the url cannot be used", "write it like https://HOST/PATH or smtp://HOST:PORT"
#define TXT_MESSENGER_SECRET                                                                                           \
	"'%s' holds no secret that can be used", "put it there as one line of at most 4096 bytes"
#define TXT_MESSENGER_SHORT_KEY                                                                                        \
	"the key in '%s' is shorter than %d bytes", "make one: openssl rand -hex 32, into a file of mode 0600"
#define TXT_MESSENGER_URL_FILE                                                                                         \
	"'%s' does not hold one https address", "write it there like https://HOST/PATH, in one line and nothing else"
#define TXT_HOOK_MISSING                                                                                               \
	"the command '%.80s' cannot be run: %s", "give the absolute path of a program, and put it there"
#define TXT_HOOK_NO_PROGRAM "the command '%.80s' is no file that we may execute", "make it one: chmod 755 FILE"
#define TXT_HOOK_OPEN                                                                                                  \
	"the command '%.80s' is not run: others could have written it",                                                \
		"give it to root or the agent's user, and take it from others: chown root FILE; chmod go-w FILE"
#define TXT_HOOK_FOLDER_OPEN                                                                                           \
	"the command is not run: others could put one into '%.80s'",                                                   \
		"that folder and all above must belong to root or the agent's user, and be writable by nobody else"
#define TXT_DELIVER_NOT_STARTED                                                                                        \
	"no messenger could be started: %s", "check the limits of processes and open files"
#define TXT_COURIER_ABSENT                                                                                             \
	"there is no courier at the moment", "nothing to do: it is started again; see the agent's log if this stays"

/* main */
#define TXT_AGENT_ONLY_ONCE                                                                                            \
	"Pixels, -q, --splay, --deadline and --metrics-file are for --once",                                           \
		"say 'vault-agent --once ...', or 'vault-agent' alone to have it stay"
#define TXT_AGENT_BAD_OPTION "unknown option '%s'", "see 'vault-agent --help'"
#define TXT_AGENT_BAD_SPAN "the value of %s is not a time", "write it like 90s, 10m or 1h"
#define TXT_AGENT_NO_VALUE "'%s' needs a value", "see 'vault-agent --help'"
#define TXT_AGENT_STANDS_ALONE "'%s' stands alone on its command line", "see 'vault-agent --help'"
#define TXT_AGENT_NOT_LOCKED                                                                                           \
	"memory for secrets could not be locked",                                                                      \
		"raise the limit (ulimit -l 8192, or LimitMEMLOCK= in the unit), or set require-locked-memory = no"

/* supervisor, sandbox */
#define TXT_SUPERVISOR_FAILED                                                                                          \
	"the agent's processes could not be started: %s", "check the limits of processes and open files"
#define TXT_SUPERVISOR_FOLDER                                                                                          \
	"the folder '%s' could not be given to the agent's user: %s", "make it by hand, with mode 0750, for that user"
#define TXT_SANDBOX_NO_ACCOUNT "there is no %s '%s'", "see [agent] in the configuration, and 'getent passwd'"
#define TXT_SANDBOX_NOT_ALLOWED                                                                                        \
	"this process may not become user '%s', group '%s': %s", "start it as root or as that user"
#define TXT_SANDBOX_WAY_BACK                                                                                           \
	"the privileges of root could not be given up for good", "report this with 'uname -a'; start it as the user itself"
#define TXT_SANDBOX_THREADS "the sandbox was entered when threads already ran", "report this; it is a mistake of ours"
#define TXT_SANDBOX_FAILED                                                                                             \
	"the sandbox could not be put on (%s): %s", "report this with 'uname -a' and what runs around this program"

/* service */
#define TXT_PUT_DELETED "Pixel '%s' was deleted", "bring it back first: vault rm --restore PIXEL"
#define TXT_PUT_IF_VERSION                                                                                             \
	"Pixel '%s' has version %u as current, not %u",                                                                \
		"someone was faster: look at 'status', then put with that number"
#define TXT_PUT_LABELS "more than %zu labels", "a Pixel has at most that many; give fewer"
#define TXT_PUT_PREVIOUS                                                                                               \
	"this token is the previous one of Pixel '%s' (version %u)",                                                   \
		"to make it current again: vault rollback PIXEL"
#define TXT_PUT_ANOTHERS                                                                                               \
	"this is the token of Pixel '%s' (version %u); nothing was stored for '%s'",                                   \
		"copy this Pixel's own token, from its own settings page; one that is for both: vault put PIXEL"
#define TXT_PUT_SOMEBODYS                                                                                              \
	"this is another Pixel's token; nothing was stored for '%s'",                                                  \
		"copy this Pixel's own token, from its own settings page; one that is for both: vault put PIXEL"
#define TXT_PUT_SHARED_PAIR                                                                                            \
	"this refresh token is stored for another Pixel already",                                                      \
		"a renewal for one would end it for the other: authorise the app once more, and put that pair here"
#define TXT_RESTORE_SHARED_PAIR                                                                                        \
	"the refresh token of Pixel '%s' was stored for another Pixel since then",                                     \
		"a renewal for one would end it for the other: remove it there first, or destroy this one (rm --destroy) and " \
		"put a new pair"
#define TXT_ROTATE_WHOM                                                                                                \
	"it must be said which Pixels shall get a new token", "name them, or say it by label or age"
#define TXT_PUT_OVERTAKEN                                                                                              \
	"version %u of Pixel '%s' was overtaken by a newer put before it was proven",                                  \
		"look at 'status'; the newer token counts"
#define TXT_NOT_STORED "'%s' is not stored", "see what is: vault list"
#define TXT_DESTROYED "the tokens of '%s' were destroyed", "put a new one: vault put PIXEL"
#define TXT_AGENT_TWICE                                                                                                \
	"another agent serves the vault '%s'", "stop one of them: one vault has one agent"
#define TXT_AGENT_LOCKED "the agent is locked", "open it: vault unlock"
#define TXT_AGENT_NEW_KEY                                                                                              \
	"the root key was changed (rotate-key), and the agent has no key that opens the vault", "open it: vault unlock"
#define TXT_KEEPER_NOT_BY_HAND                                                                                         \
	"--keeper is not for people: it needs a descriptor 3 from the supervisor", "start 'vault-agent' alone"
#define TXT_KEEPER_ALONE                                                                                               \
	"the supervisor did not hand over its sockets", "start 'vault-agent' again; both must be of one build"
#define TXT_KEEPER_NO_GROUP                                                                                            \
	"there is no group '%s' ([agent] group)", "make it (groupadd), or name another one"
#define TXT_KEEPER_FOLDER                                                                                              \
	"the socket's folder '%s' could not be given to the group: %s", "make it beforehand, or run with that group"
#define TXT_AGENT_RESOURCES "the agent could not be started: %s", "look at its limits (ulimit -a)"
#define TXT_API_FAMILY "'family' must be accounts or login", "leave it out for a token that only a person renews"
#define TXT_SWAP_NO_GRANT                                                                                              \
	"what renews version %u of Pixel '%s' is not kept with it any more; without that it would end in a day",       \
		"put the pair under the right Pixel: vault put OTHER --family accounts|login"
#define TXT_SWAP_RENEWING                                                                                              \
	"version %u of Pixel '%s' is being renewed, or what TikTok answered to that is not known; nothing was moved",  \
		"try again in a minute; where 'vault status' says that an answer was lost, put a new pair under the "  \
		"right Pixel"
#define TXT_PUT_OLD_PAIR                                                                                               \
	"this pair of tokens was stored for Pixel '%s' as version %u and replaced by a refresh since then",            \
		"a newer pair is in use already; to start over, authorise the app again and put what comes of it"
#define TXT_PUT_STANDBY_FAMILY                                                                                         \
	"a pair that is renewed cannot stand by", "it is renewed when it is current; keep a token that a person made as standby"
#define TXT_PUT_NO_CHECK_NO_TOKEN                                                                                      \
	"--no-check needs an access_token in the document", "without one TikTok must be asked for it: leave out --no-check"
#define TXT_REFRESH_BUSY                                                                                               \
	"another program has been renewing tokens for a minute", "wait for it, or end it; then try again"
/* a listing token: who brings it, and what it may */
#define HINT_LIST_DEAD "let the account's owner authorise the app again, and put the token that comes of it"
#define HINT_LIST_RIGHTS                                                                                               \
	"is the id right? Then the app needs Pixel management (of an ad account) or the Business Center's rights, and a " \
	"new consent"
#define TXT_LIST_REFUSED "%s: the new token waits as version %u: %s%s%.120s"
#define TXT_LIST_NOT_STORED "no listing token is stored for '%s'", "see which there are: vault listing list"
#define ADVISE_LIST_DEAD                                                                                               \
	"TikTok takes this listing token no longer: let the account's owner authorise the app again, then 'vault "      \
	"listing put %s'"
#define ADVISE_LIST_RIGHTS                                                                                             \
	"this listing token may not read the list: is the id right? Then give the app Pixel management (of an ad "      \
	"account) or the Business Center's rights, and 'vault listing put %s' the new token"
#define ADVISE_LIST_UNCLEAR                                                                                            \
	"TikTok did not give this list: is the id right, and is the token allowed to read it? If not, 'vault listing "  \
	"put %s' one that is"
#define ADVISE_SIGHT                                                                                                   \
	"'%s' tells this Pixel as %s since %s, %u time%s: look in Business Center whether it was moved or is shared no "  \
	"more"
#define ADVISE_LISTED_ABSENT                                                                                           \
	"the token works, but the list of '%s' holds this Pixel no more: check that id, then have the Pixel shared "      \
	"again, or 'vault put %s' a token of its own"
#define ADVISE_LISTED_UNBOUND                                                                                          \
	"the Pixel is no longer shared with '%s' (%s): have its owner share it again in Business Center, or 'vault put "  \
	"%s' a token of its own"
#define TXT_LIST_BUSY                                                                                                  \
	"'%s' was not read: another program has been reading lists for a minute",                                      \
		"wait for it, or end it; then try again"
#define TXT_REFRESH_NO_PLACE "Pixel '%s' has no place for its new token", "this cannot happen; run: vault verify"
#define ADVISE_CONSENT                                                                                                 \
	"TikTok renews this token no more: let the account's owner authorise the app again, and 'put --family' what "  \
	"comes of it"
#define ADVISE_CONSENT_ENDS                                                                                            \
	"its refresh token ends on %.10s: let the account's owner authorise the app again, and 'put --family' what "   \
	"comes of it"
#define ADVISE_PAIR_LOST                                                                                               \
	"TikTok may have changed the pair, and its answer was lost: authorise the app again, and 'put --family' what " \
	"comes of it"
#define TXT_JOB_CUT_SHORT "the agent was locked or ended before this was done", "look at 'status', then try again"
#define TXT_NOT_ASKED "not asked: the agent is being locked"
#define LOG_PAIR_LOST "%s: the new pair of tokens that TikTok gave could not be stored and is lost: %s; authorise the app again"
#define TXT_NO_PREVIOUS_VERSION                                                                                        \
	"Pixel '%s' has no previous token", "only a token that was current before can come back; see 'history'"
#define TXT_ROLLBACK_MOVED "Pixel '%s' was changed meanwhile", "look at 'status', then try again if it is still needed"
/* swap, move: where no hint stands here, it is the command that fits the two Pixels */
#define TXT_SWAP_ITSELF "'%s' cannot change places with itself", "name two Pixels: vault swap PIXEL PIXEL"
#define TXT_SWAP_PROVEN "the token of '%s' is proven for it and is not given away; nothing was moved"
#define TXT_SWAP_ACCEPTED                                                                                              \
	"TikTok takes the tokens of '%s' and '%s' where they lie; nothing was moved",                                   \
		"if you know that they are crossed all the same: vault swap --no-check"
#define TXT_SWAP_UNKNOWN                                                                                               \
	"nothing says that '%s' and '%s' hold each other's token; nothing was moved",                                  \
		"have TikTok asked first: vault check; if you know that they are crossed: vault swap --no-check"
#define TXT_PENDING_OPEN                                                                                               \
	"version %u of Pixel '%s' waits to be judged and would be pushed out; nothing was changed",                    \
		"have TikTok asked about it first: vault check PIXEL"
#define TXT_SWAP_SAME                                                                                                  \
	"'%s' and '%s' hold the same token; there is nothing to swap",                                                 \
		"the one it was not made for needs its own: vault put PIXEL"
#define TXT_SWAP_REFUSED "%s: TikTok refuses the token that lies under %s (%s); nothing was moved"
#define TXT_SWAP_OPEN                                                                                                  \
	"%s: TikTok gave no verdict on the token that lies under %s (%s%s%.120s); nothing was moved",                  \
		"try again later; --no-check does not wait"
#define TXT_MOVE_NO_STRAY "no token of '%s' is known to belong to '%s'"
#define TXT_MOVE_CROSSED "'%s' and '%s' hold each other's token"
#define TXT_MOVE_HELD "'%s' holds this token already, and '%s' has no other; nothing was moved"
#define HINT_ONE_SIDED "they do not simply hold each other's token: "
#define HINT_LOOK_AT_BOTH "see what is known of the two: vault status %.40s %.40s"
#define HINT_ASK_WHOSE "have TikTok asked whose it is: vault check %s"
#define HINT_TAKE_OWN "take its own token from its own settings page: "
#define TXT_RETIRE_NEEDED                                                                                              \
	"version %u of Pixel '%s' may be needed: TikTok refuses the current token, or its word on it is not sure yet",  \
		"bring it back: vault rollback; or put a new token first; take it away all the same: vault retire --force"
#define TXT_RETIRE_UNJUDGED                                                                                            \
	"nobody knows yet whether the current token of Pixel '%s' works; version %u is kept",                          \
		"have TikTok asked first: vault check; take it away all the same: vault retire --force"
#define TXT_RETIRE_WAITS                                                                                               \
	"version %u of Pixel '%s' is still used by %s; it is taken away when all have moved on, at the latest at %s",  \
		"see who has: vault rollout; take it away now: vault retire --force"
#define UPKEEP_SAYS_FAILED_OVER                                                                                        \
	"%s: version %u is current again instead of version %u, which TikTok refuses (%s); make a new token: vault rotate"
#define UPKEEP_SAYS_TAKEN                                                                                              \
	"%s: version %u is given to nobody any more: revoke that token in TikTok's Events Manager"
#define UPKEEP_SAYS_SHARED                                                                                             \
	"%s: version %u is given to nobody any more and was deleted here; Pixel %s uses that token, so do not revoke it"
#define UPKEEP_SAYS_DEAD "%s: TikTok takes version %u no longer; its token was deleted"
#define UPKEEP_SAYS_PURGED                                                                                             \
	"%s: the token of version %u was deleted, as purge-after is over; TikTok may still take it: revoke it there"
#define TXT_ACK_NO_VERSION "version %u of Pixel '%s' is not kept", "see 'history' for the versions there are"
/* The hint of these follows the verdict: table in objects.c. */
#define TXT_PUT_REFUSED "%s: TikTok refused the new token (%s)%s; it waits as version %u, %s"
#define TXT_ROLLBACK_REFUSED "%s: TikTok refuses the previous token (%s)%s; nothing was moved, %s"
#define HINT_NEITHER_WORKS "if the current one does not work either: %s"
#define HINT_SWAP "the two hold each other's token; exchange them: vault swap %s %s"
#define HINT_MOVE "put it where it belongs: vault move %s %s; then this Pixel's own: vault put %s"
#define HINT_HELD "leave it with %s; take this Pixel's own token from its own settings page: vault put %s"
#define HINT_NOBODYS                                                                                                   \
	"generate one on the settings page of this very Pixel: vault put %s; if you know whose the other is, put it "  \
	"under that Pixel"
#define TXT_ROLLBACK_OPEN                                                                                              \
	"%s: TikTok gave no verdict on the previous token (%s%s%.150s); nothing was moved, %s", "try again later"
#define TXT_PUT_PENDING                                                                                                \
	"%s: TikTok gave no verdict on the new token (%s%s%.150s); it waits as version %u, %s",                                \
		"it takes over once proven: run 'vault check' later, or let vault-agent; --no-check does not wait"
#define TXT_CHECK_BUSY "another program is checking tokens right now", "wait until it has finished, then try again"

/* get: by CLI and socket */
#define TXT_GET_NO_VERSION "'%s' has no version %u", "see: vault history PIXEL"
#define TXT_GET_TAKEN                                                                                                  \
	"version %u of '%s' was retired: it is given to nobody any more", "take the current one: vault get PIXEL"
#define TXT_NO_PREVIOUS "'%s' has no previous version", "see: vault history PIXEL"
#define TXT_NO_TOKEN "'%s' holds no token", "store one: vault put PIXEL"
#define TXT_ONLY_PENDING_BAD                                                                                           \
	"'%s' has no current token; version %u waits as pending: TikTok refused it (%s)",                              \
		"put the right token: vault put PIXEL"
#define TXT_ONLY_PENDING                                                                                               \
	"'%s' has no current token; version %u waits as pending: TikTok has not judged it yet (%s)",                   \
		"ask again: vault check PIXEL; or take it unproven: vault get PIXEL --version N"
#define TXT_NOT_HEALTHY                                                                                                \
	"the token of '%s' (version %u) is %s",                                                                        \
		"put a new one: vault put PIXEL; without --healthy it is handed out as it is"

#define NOTICE_CANARY "the first answer was no verdict, so the others were not asked: every verdict stays as it was"
#define NOTICE_SILENCE "TikTok stopped answering, so the rest was not asked: every verdict stays as it was"
#define NOTICE_BREAKER "TikTok asked us to slow down, so the rest was not asked: every verdict stays as it was"
#define NOTICE_OUTAGE                                                                                                  \
	"most tokens were refused at once, which looks like an outage at TikTok: the verdicts stay until other "       \
	"checks "                                                                                                      \
	"agree"
#define NOTICE_UNSTORED "the results could not be stored (disk full or read-only?): they count for this check only"
#define NOTICE_INTERRUPTED "interrupted: what was answered is stored, the rest was not asked"

/* status: what to do, in one sentence */
/* arguments: the owner, this Pixel, as often as they are named */
#define ADVISE_SWAP "this Pixel and '%s' hold each other's token: vault swap %s %s"
#define ADVISE_MOVE "this token works for Pixel '%s', not for this one: vault move %s %s; then its own: vault put %s"
#define ADVISE_OWN "this token works for Pixel '%s', not for this one: take its own from its settings page: vault put %s"
#define ADVISE_NOBODYS                                                                                                 \
	"the token works, but not for this Pixel, and no other stored one is known to fit: generate its own in "      \
	"Events Manager: vault put %s"
/* what is said of the version that waits, beside a current one */
#define ADVISE_PENDING_SWAP "the new token (version %u) and one of '%s' lie under each other's name: vault swap %s %s"
#define ADVISE_PENDING_MOVE "the new token (version %u) works for Pixel '%s', not for this one: vault move %s %s"
#define ADVISE_SHARED "'%s' holds the same token: one of them needs its own: vault put %s, or vault put %s"
#define ADVISE_PENDING_REFUSED                                                                                         \
	"the new token (version %u) was refused as %s: 'put' another; version %u is still handed out"
#define ADVISE_PENDING_BELONGS                                                                                         \
	"the new token (version %u) works for Pixel '%s', not for this one: put this Pixel's own: vault put %s"
#define ADVISE_PENDING_OPEN "the new token (version %u) waits to be proven: run 'check'; version %u is still handed out"
#define ADVISE_DECOY "a decoy: nobody has a reason to read it, and TikTok is not asked; whoever asks for its token raises an alert"
#define ADVISE_SUSPECTED "TikTok refused the token once (%s): run 'check' for the second look that decides"
#define ADVISE_EXPIRED "the token was to expire on %.10s: generate a new one in Events Manager and 'put' it"
#define ADVISE_EXPIRES "the token expires on %.10s: generate a new one in Events Manager and 'put' it"
#define ADVISE_RETIRING "version %u is taken away when all consumers have moved on, at the latest at %s: vault rollout"
#define ADVISE_REVOKE "version %u was retired: revoke that token in Events Manager, TikTok still takes it"
#define ADVISE_REVOKE_UNKNOWN "version %u was retired: revoke that token in Events Manager"
#define ADVISE_STANDBY_DEAD "the standby token, version %u, is %s: put another one with vault put %s --standby"
#define ADVISE_STANDS_BY "%s; version %u stands by: set failover = yes in [check], then: vault check %s"
#define ADVISE_STAND_IN "%s; version %u was good when it was replaced: 'vault rollback %s' tries it, failover = yes would have"
#define ADVISE_STANDS_IN "stands in for version %u, which is %s: generate a new one in Events Manager: vault rotate"
#define ADVISE_WISHED "a new token was asked for on %.10s: vault rotate"
#define ADVISE_OLD "the token is older than max-age: generate a new one in Events Manager and 'put' it"

/* unlock */
#define TXT_KEY_FILE_UNUSABLE "the key file that opens the vault: %.260s", ""
#define TXT_KEY_FILE_LENGTH                                                                                            \
	"'%s' is not a key file: one holds exactly %d bytes", "give the file that 'vault init --key-file' wrote"
#define TXT_CREDENTIAL_TOO_OPEN                                                                                        \
	"the credential '%s' is open to everybody", "let systemd pass it: LoadCredential= or LoadCredentialEncrypted="
#define TXT_CREDENTIAL_NONE "no system credential was given to this process", "systemd gives one to the agent's unit"
#define TXT_CREDENTIAL_PATH "the path of credential '%s' is too long", "give it a shorter name in LoadCredential="
#define TXT_PASSPHRASE_FILE                                                                                            \
	"no passphrase could be read from '%s'",                                                                       \
		"it holds the passphrase alone, at most 4096 bytes; one line end is fine"
#define TXT_RECOVERY_ONLY                                                                                              \
	"this vault has no passphrase, and what was typed is not its recovery key",                                    \
		"type the recovery key group by group"
#define TXT_NO_SUCH_SLOT                                                                                               \
	"what the settings name opens no slot of vault '%s'", "see how it was made: key file, credential or "          \
							      "passphrase"
#define TXT_NOTHING_OPENS                                                                                              \
	"vault '%s' is locked, and there is nobody to ask",                                                            \
		"name a key file with PIXELVAULT_KEY_FILE or key-file in [vault], or PIXELVAULT_PASSPHRASE_FILE"

/* client */
#define TXT_CLIENT_STRANGER                                                                                            \
	"the agent's socket '%s' belongs to uid %u, which is neither you nor root nor the agent's user",               \
		"find out who listens there; if it is the agent, name its user in [agent]; nothing was sent"
#define TXT_CLIENT_CLOSED_TO_US                                                                                        \
	"the agent's socket '%s' is not open to you",                                                                  \
		"join the group that may use it (group in [agent]), or name another one with PIXELVAULT_SOCKET"
#define TXT_CLIENT_FAILED "the agent's socket '%s' cannot be used: %s", "look at 'vault doctor'"
#define TXT_CLIENT_BROKEN "the connection to the agent broke: %s", "run the command again; 'vault doctor' looks closer"
#define TXT_CLIENT_GONE                                                                                                \
	"the agent hung up before its answer was complete",                                                            \
		"it may be restarting: run the command again; its log says more"
#define TXT_CLIENT_SILENT "the agent did not answer in time", "try again later; 'vault doctor' and its log say more"
#define TXT_CLIENT_NONSENSE                                                                                            \
	"what answers at the agent's socket makes no sense to this program",                                           \
		"install vault and vault-agent from one build, and restart the agent"
#define TXT_CLIENT_STATUS                                                                                              \
	"the agent answered with HTTP status %d and no reason", "install vault and vault-agent from one build"

/* ---- import: a file of many tokens ---- */
#define TXT_SHEET_ROWS "the file has more than %d rows", "split it; each part is imported as a whole"
#define TXT_SHEET_UTF16 "the file is UTF-16 text", "save it again as 'CSV UTF-8'"
#define TXT_SHEET_XLSX "the file is a workbook or an archive, no text", "open it and save the sheet as 'CSV UTF-8'"
#define TXT_SHEET_BINARY "the file has zero bytes: it is no text", "give a .env, CSV or JSON file, or what 'vault export' wrote"
#define TXT_SHEET_QUOTE_OPEN                                                                                           \
	"row %zu, column %zu: a quote is opened and never closed", "nothing was stored; mend the row and run it again"
#define TXT_SHEET_JSON "the file is not sound JSON: %s", "nothing was stored; was it cut off, or edited by hand?"
#define TXT_SHEET_JSON_SHAPE                                                                                           \
	"the JSON is of no shape that can be imported",                                                                \
		"give {\"PIXEL\":\"token\"}, or an array of objects with pixel and token"
#define TXT_SHEET_EMPTY "there is no row in the file", "is it the right one?"
#define SHEET_MANY_CELLS "more than 64 cells", "is this the right file, and the right --format?"
#define SHEET_BEHIND_QUOTE "something stands behind a closing quote", "a quote inside quotes is written twice"
#define SHEET_STRAY_QUOTE "a quote in the middle of a cell", "put the whole cell into quotes, and write its quotes twice"
#define SHEET_ENV_QUOTE "a quote that does not end, or something behind it", "one value a line, in one pair of quotes"
#define SHEET_ENV_LINE "this is no NAME=VALUE", "comments begin with #"
#define SHEET_JSON_ELEMENT "this is no object", "each element is an object with pixel and token"

#define TXT_INTAKE_MAP_FORM                                                                                            \
	"'%s' is not of the form COLUMN=FIELD",                                                                        \
		"fields are pixel, token, expires, test-code, labels, label.KEY and none; of .env a Pixel code"
#define TXT_INTAKE_MAP_COLUMN "--map names '%s', and there is no such column among %zu", "give the column's name as it is written, or its number from 1"
#define TXT_INTAKE_MAP_VARIABLE "--map names '%s', and the file has no such variable", "see what it holds; names are told apart by case"
#define TXT_INTAKE_NO_COLUMN                                                                                           \
	"no column is known to hold the %s", "say which: --map COLUMN=FIELD, with the column's name or number"
#define TXT_INTAKE_TWO_COLUMNS                                                                                         \
	"columns %zu and %zu both look like the %s", "say which to take: --map COLUMN=FIELD, and --map OTHER=none"
#define TXT_INTAKE_NO_VARIABLE                                                                                         \
	"no variable has a Pixel code in its name",                                                                    \
		"name them like TIKTOK_TOKEN_C0U2T02IU8J6B9GC2B90, or say whose each is: --map NAME=PIXEL"
#define INTAKE_SCIENTIFIC                                                                                              \
	"a spreadsheet turned it into a rounded number", "its digits are lost here: take it from where it came; format the column as text"
#define INTAKE_SHEET_ERROR "the error value of a spreadsheet", "take it from where it came"
#define INTAKE_FORMULA "a formula of a spreadsheet", "save the value itself, as text"
#define INTAKE_CUT "it ends in dots or hashes: the cell was cut off", "take the whole value from where it came"
#define INTAKE_QUOTE "a typographic quote, or a mark that a spreadsheet put there", "type the value as plain text, without quotes"
#define INTAKE_REFERENCE "this refers to another variable", "write the token itself; nothing is expanded"
#define INTAKE_PIXEL_NUMERIC                                                                                           \
	"this is the numeric Pixel ID; what is needed is the Pixel code",                                              \
		"in Events Manager the code stands beside the ID: 20 characters such as C0U2T02IU8J6B9GC2B90"
#define INTAKE_PIXEL_LOWER "the Pixel code is in lower case", "write it in capitals, as Events Manager shows it"
#define INTAKE_PIXEL_BAD "this is no Pixel code", "a Pixel code is 8 to 40 capitals and digits"
#define INTAKE_PIXEL_EMPTY "there is no Pixel code", "fill it in, or delete the row"
#define INTAKE_SWAPPED                                                                                                 \
	"here stands the token, and in the token's place the Pixel code: columns are swapped",                         \
		"put the two right; when it is so in every row: --map COLUMN=pixel --map COLUMN=token"
#define INTAKE_PIXEL_IS_TOKEN "this looks like a token, not like a Pixel code", "are columns swapped or shifted?"
#define INTAKE_EXPIRES                                                                                                 \
	"this is no time that has one meaning", "write it like 2027-01-31 or 2027-01-31T12:00:00Z"
#define INTAKE_TEST_CODE "this is no test code", "1 to 64 printable characters without blanks, such as TEST12345"
#define INTAKE_LABEL "this is no label", "labels are KEY=VALUE, several with ; between; a key is of a-z 0-9 _ . -"
#define INTAKE_LABELS_MANY "more than 16 labels", "a Pixel has at most that many"
#define INTAKE_SURPLUS                                                                                                 \
	"the row has more cells than the header", "put a value that has the separator in it into quotes"
#define INTAKE_SAME_PIXEL "the same Pixel as in row %zu"
#define INTAKE_SAME_PIXEL_HINT "keep one row for each Pixel"
#define INTAKE_SAME_TOKEN "the same token as in row %zu, which is for another Pixel"
#define INTAKE_SAME_TOKEN_HINT "find out whose it is; if it does work for both: --allow-shared"
#define INTAKE_SHORT "this token is shorter than the others: was the cell cut off?"
#define INTAKE_APOSTROPHE "a spreadsheet's leading apostrophe was taken away"
#define INTAKE_NO_TOKEN_FOR "no token for this Pixel stands in the file", "add it, or delete this line"
#define TXT_IMPORT_WRONG "%zu of %zu rows cannot be imported; nothing was stored", "each is named above; put them right, and import the file again"
#define TXT_IMPORT_REFUSED                                                                                             \
	"TikTok refused %zu of %zu tokens; nothing was stored", "each is named above; take those rows out, or get new tokens for them"
#define TXT_IMPORT_UNJUDGED                                                                                            \
	"TikTok gave no verdict on row %zu (%s); nothing was stored",                                                  \
		"run it again later; without --check the tokens are stored now and proven by the next check"
/* ---- alerts ---- */
#define SAY_ALERT_ENDS "the token expires within %s"
#define SAY_ALERT_ENDED "the token has expired"
#define SAY_ALERT_OLD "the token is older than max-age"
#define SAY_ALERT_STAND_IN "the newest token is %s, an older one stands in"
#define SAY_ALERT_DAMAGED "the record in the vault is damaged"
#define SAY_ALERT_DECOY "somebody asked for the token of a decoy"
#define SAY_ALERT_BLIND "TikTok gives no verdict about any Pixel"
#define SAY_ALERT_CLOCK "this machine's clock lies behind what it was"
#define SAY_ALERT_WELL "well again after %s: "
#define SAY_ALERT_STILL "still, after %s: "
#define SAY_ALERT_MORE "%zu more, now "
#define SAY_ALERT_LABEL "; all have the label %.32s=%.64s"
#define SAY_ALERT_AGAIN " (was well %u time%s in between)"
#define SAY_ALERT_TEST "a test of [alert %.49s]: if you read this, alerts arrive"
#define ADVISE_ALERT_LABEL "see first what they have in common, %.32s=%.64s: one cause may be behind all of them. "
#define ADVISE_ALERT_ROTATE "generate new tokens in Events Manager: 'vault rotate' goes through them one by one"
#define ADVISE_ALERT_LISTING                                                                                           \
	"Pixels that only this list proves are asked about one by one until then; see what each needs: 'vault listing " \
	"list'"
#define ADVISE_ALERT_DAMAGED "run 'vault verify' and restore what it names from a backup"
#define ADVISE_ALERT_DECOY                                                                                             \
	"nobody has a reason to: see who it was (vault audit show --pixel, vault rollout), what else that account read, "      \
	"and rotate that"
#define ADVISE_ALERT_BLIND "see what 'vault check' says: network, TikTok's status page, or too many questions from this host"
#define ADVISE_ALERT_CLOCK "set the clock right (timedatectl): what expires is judged by the later of the two"
#define TXT_API_ALERT "the body needs '%s', a text", "send {\"id\":\"7Q2M-9FKD\"} or {\"sink\":\"ops\"}"
#define TXT_API_ALERT_FOR "'for' must be a number of seconds", "leave it out: until the alert ends"
#define TXT_ALERT_SINKS "[alert NAME] names more than %d %s", "one can reach several people: put some together"
#define TXT_ALERT_NO_SINK "there is no [alert %.49s] in the configuration", "see 'vault config show' for those there are"
#define TXT_ALERT_ID "'%.20s' is not the id of an alert", "it looks like 7Q2M-9FKD; 'vault alert' lists them"
#define TXT_ALERT_UNKNOWN "no alert %.20s is open", "'vault alert' lists those that are"
#define TXT_ALERT_KEPT                                                                                                 \
	"an agent or another check keeps the book of alerts", "ask the agent: the same command without --vault"
#define TXT_ALERT_BUSY "too many messages are under way", "try again in a minute"
#define TXT_ALERT_BROKEN "the messages under way were given up", "run 'vault alert test' again"
#define LOG_ALERT_SENT "alert %s to %s: %s"
#define LOG_ALERT_LATER "alert %s to %s did not arrive: %s; it is tried again in %s"
#define LOG_ALERT_REFUSED "alert %s was refused by %s: %s"
#define LOG_PING_FAILED "ping %s: %s"

/* ---- status-listen ---- */
#define TXT_BOARD_LISTEN                                                                                               \
	"status-listen: '%s' cannot be listened on: %s", "choose another port, or find who has it: ss -ltnp"
#define TXT_BOARD_NO_TOKEN                                                                                             \
	"there is no '%s' yet", "set status-listen in [agent] and start vault-agent: it makes the token"
#define TXT_BOARD_BAD_TOKEN                                                                                            \
	"'%s' holds no token of ours", "delete the file and restart vault-agent: it makes a new one"
#define TXT_API_WEB_HOST                                                                                               \
	"that is not a name of ours", "open the address that this prints: vault status --url"
#define TXT_API_WEB_PLACE "there is nothing but the board here", "open the address that this prints: vault status --url"
#define TXT_API_WEB_TOKEN                                                                                              \
	"the board needs its token", "open the address that this prints, with all that stands behind #: vault status --url"
#define TXT_API_WEB_GUESSES "too many requests without the right token", "wait a minute, then try again"

/* ---- levels ---- */
#define TXT_LEVELS_BOTH "a month and --since or --until say two periods", "give --month 2026-10 alone, or --since and --until"
#define TXT_LEVELS_MONTH "that is not a month", "a month is a year and two digits: 2026-10"
#define TXT_LEVELS_NO_SINCE "--until does not say where the period begins", "add --since, or name a month: --month 2026-10"
#define TXT_LEVELS_FUTURE "the period lies in the future", "give one that has begun, such as --month 2026-10"
#define TXT_LEVELS_ORDER "the period ends before it begins", "--since comes before --until"

/* ---- problems ---- */
#define HINT_ASKED_AGAIN "nothing to do now; the next check asks again"

#endif
