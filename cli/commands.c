/* The commands, one row each. Order is the order of the help. */
#include "cli/rows.h"

#include <string.h>

#define LABEL_FILTER                                                                                                   \
	{                                                                                                              \
		"label", 'l', OPTION_LABEL, "K=V", "only Pixels with this label; may be repeated", 0, true             \
	}

static const struct option init_options[] = {
	{ "key-file", 0, OPTION_PATH, "F", "open with the 32 bytes in F; made (0600) when F does not exist", 1, false },
	{ "passphrase-fd", 0, OPTION_NUMBER, "N", "read the passphrase from this descriptor", 1, false },
	{ "passphrase-file", 0, OPTION_PATH, "F", "read the passphrase from F (0600)", 1, false },
	{ "no-recovery", 0, OPTION_FLAG, NULL, "make no recovery key", 0, false },
};

static const struct option put_options[] = {
	{ "from-file", 0, OPTION_PATH, "F", "read the token from F; - is standard input", 0, false },
	{ "label", 'l', OPTION_LABEL, "K=V", "label the Pixel (K= takes a label away); may be repeated", 0, true },
	{ "expires", 0, OPTION_TIME, "RFC3339", "when the token ends, as far as you know", 0, false },
	{ "test-code", 0, OPTION_TEST_CODE, "C", "the Pixel's test event code, for proof; \"\" takes it away", 0,
	  false },
	{ "no-check", 0, OPTION_FLAG, NULL, "promote at once, without asking TikTok", 0, false },
	{ "standby", 0, OPTION_FLAG, NULL, "keep it proven beside the current one, for failover", 0, false },
	{ "if-version", 0, OPTION_NUMBER, "N", "only if the current version is N (0 = none), else 8", 0, false },
	{ "family", 0, OPTION_CHOICE, "accounts|login", "a pair of tokens that is renewed by itself; see above", 0, false },
};

static const struct option filter_options[] = { LABEL_FILTER };

static const struct option status_options[] = {
	LABEL_FILTER,
	{ "html", 0, OPTION_PATH, "FILE", "write the board as one page for a browser; - is stdout", 1, false },
	{ "watch", 0, OPTION_FLAG, NULL, "draw the board again as it changes, until q or Ctrl-C", 1, false },
	{ "url", 0, OPTION_FLAG, NULL, "print the address of the agent's own page (status-listen), with its token", 1,
	  false },
};

static const struct option check_options[] = {
	LABEL_FILTER,
	{ "probe", 0, OPTION_CHOICE, "dry|test|live", "what kind of question to ask", 0, false },
	{ "nagios", 0, OPTION_FLAG, NULL, "answer as a Nagios plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN", 0,
	  false },
};

static const struct option rm_options[] = {
	{ "restore", 0, OPTION_FLAG, NULL, "bring a removed Pixel back", 1, false },
	{ "destroy", 0, OPTION_FLAG, NULL, "delete its tokens for good", 1, false },
	{ "yes", 0, OPTION_FLAG, NULL, "do not ask whether this is meant", 0, false },
};

static const struct option listing_options[] = {
	{ "from-file", 0, OPTION_PATH, "F", "put: read the token from F; - is standard input", 0, false },
	{ "no-check", 0, OPTION_FLAG, NULL, "put: use it at once, without asking TikTok", 0, false },
	{ "destroy", 0, OPTION_FLAG, NULL, "rm: delete its tokens for good", 0, false },
	{ "yes", 0, OPTION_FLAG, NULL, "rm: do not ask whether this is meant", 0, false },
};

static const struct option swap_options[] = {
	{ "no-check", 0, OPTION_FLAG, NULL, "move at once, without asking TikTok", 0, false },
};

static const struct option rotate_options[] = {
	LABEL_FILTER,
	{ "max-age", 0, OPTION_SPAN, "T", "only Pixels whose current token is older than T, such as 90d", 0, false },
	{ "list", 0, OPTION_FLAG, NULL, "show who needs a new token, and why; ask and change nothing", 1, false },
	{ "later", 0, OPTION_FLAG, NULL, "only note that new tokens are wanted; ask for none now", 1, false },
	{ "cancel", 0, OPTION_FLAG, NULL, "no new token is wanted any more", 1, false },
	{ "retire", 0, OPTION_FLAG, NULL, "retire each old token as soon as no consumer uses it", 1, false },
};

static const struct option retire_options[] = {
	{ "force", 0, OPTION_FLAG, NULL, "now, although a consumer was last seen with it", 0, false },
};

static const struct option ack_options[] = {
	{ "version", 0, OPTION_NUMBER, "N", "the version that is used from now on", 0, false },
	{ "as", 0, OPTION_CONSUMER, "NAME", "who uses it", 0, false },
};

static const struct option report_options[] = {
	{ "code", 0, OPTION_CODE, "N", "the code in TikTok's answer", 0, false },
	{ "request-id", 0, OPTION_TEXT, "R", "the request_id in TikTok's answer", 0, false },
};

static const struct option alert_options[] = {
	{ "for", 0, OPTION_SPAN, "T", "ack: only for this time, such as 8h; then it is reminded of again", 0, false },
};

static const struct option unlock_options[] = {
	{ "for", 0, OPTION_SPAN, "T", "lock it again after this time, such as 8h", 0, false },
};

static const struct option access_options[] = {
	{ "user", 0, OPTION_TEXT, "U", "whose rights: a name or a number", 0, false },
};

static const struct option audit_options[] = {
	{ "last", 'n', OPTION_NUMBER, "N", "show: the last N entries instead of 50; 0 = all of them", 0, false },
	{ "head", 0, OPTION_TEXT, "SEQ:MAC", "verify: a head that the agent told its log, which must be in this log", 0,
	  false },
};

static const struct option import_options[] = {
	{ "format", 0, OPTION_CHOICE, "env|csv|json", "what the file is, where its content does not tell", 0, false },
	{ "map", 0, OPTION_TEXT, "COLUMN=FIELD", "what a column holds; of .env: NAME=PIXEL; may be repeated", 0, true },
	{ "dry-run", 0, OPTION_FLAG, NULL, "look for all that is wrong, and store nothing", 2, false },
	{ "check", 0, OPTION_FLAG, NULL, "ask TikTok about every token first; store nothing if it refuses one", 1, false },
	{ "no-check", 0, OPTION_FLAG, NULL, "make every token current at once, over others too", 1, false },
	{ "allow-shared", 0, OPTION_FLAG, NULL, "one token may stand for several Pixels", 0, false },
	{ "shred", 0, OPTION_FLAG, NULL, "overwrite and delete the file afterwards", 2, false },
	{ "yes", 0, OPTION_FLAG, NULL, "do not ask whether guessed columns are right", 0, false },
	{ "passphrase-fd", 0, OPTION_NUMBER, "N", "an export file's passphrase, from this descriptor", 3, false },
	{ "passphrase-file", 0, OPTION_PATH, "F", "an export file's passphrase, from F (0600)", 3, false },
};

static const struct option export_options[] = {
	LABEL_FILTER,
	{ "to-file", 0, OPTION_PATH, "F", "the file to write (0600); never over one that is there", 1, false },
	{ "to", 0, OPTION_TEXT, "KEY", "seal it to this public key of another vault", 2, false },
	{ "passphrase-fd", 0, OPTION_NUMBER, "N", "seal it with the passphrase from this descriptor", 2, false },
	{ "passphrase-file", 0, OPTION_PATH, "F", "seal it with the passphrase in F (0600)", 2, false },
	{ "force", 0, OPTION_FLAG, NULL, "put it in the place of a file that is there", 0, false },
	{ "show-key", 0, OPTION_FLAG, NULL, "only print this vault's public key, for others to seal to", 1, false },
};

#define OPEN_WITH                                                                                                      \
	{ "ask", 0, OPTION_FLAG, NULL, "open with a passphrase or recovery key that is asked for", 2, false },          \
	{                                                                                                              \
		"with-key", 0, OPTION_PATH, "F", "open with the key file F", 2, false                                  \
	}

static const struct option slot_options[] = {
	{ "key-file", 0, OPTION_PATH, "F", "add, test: the 32 bytes in F; add makes F (0600) when it does not exist", 1,
	  false },
	{ "passphrase-fd", 0, OPTION_NUMBER, "N", "add, test: the passphrase from this descriptor", 1, false },
	{ "passphrase-file", 0, OPTION_PATH, "F", "add, test: the passphrase from F (0600)", 1, false },
	{ "credential", 0, OPTION_PATH, "F", "add: a new key, sealed into F for systemd (TPM where there is one)", 1, false },
	{ "recovery", 0, OPTION_FLAG, NULL, "add: a recovery key, shown once", 1, false },
	OPEN_WITH,
	{ "yes", 0, OPTION_FLAG, NULL, "remove: do not ask whether this is meant", 0, false },
};

static const struct option rekey_options[] = {
	{ "key-file", 0, OPTION_PATH, "F", "from now on the 32 bytes in F; made (0600) when F does not exist", 1, false },
	{ "passphrase-fd", 0, OPTION_NUMBER, "N", "from now on the passphrase from this descriptor", 1, false },
	{ "passphrase-file", 0, OPTION_PATH, "F", "from now on the passphrase from F (0600)", 1, false },
	{ "recovery", 0, OPTION_FLAG, NULL, "from now on a new recovery key, shown once", 1, false },
	{ "same", 0, OPTION_FLAG, NULL, "keep the key that opened; make a guess as dear as it should be", 1, false },
	OPEN_WITH,
};

static const struct option rotate_key_options[] = {
	{ "key-file", 0, OPTION_PATH, "F", "keep the key file F as well; may be repeated", 0, true },
	{ "passphrase-fd", 0, OPTION_NUMBER, "N", "keep the passphrase or recovery key from this descriptor as well", 0, false },
	{ "passphrase-file", 0, OPTION_PATH, "F", "keep the passphrase or recovery key in F as well", 0, false },
	{ "drop-others", 0, OPTION_FLAG, NULL, "keys that are not at hand need not open the vault any more", 0, false },
	OPEN_WITH,
};

static const struct option adopt_options[] = {
	{ "first-use", 0, OPTION_FLAG, NULL, "take the vault as it is and remember it from now on", 1, false },
	{ "checkpoint", 0, OPTION_TEXT, "C", "only if it is what this line stands for, or came out of it", 1, false },
};

static const struct option plan_options[] = {
	LABEL_FILTER,
	{ "for", 0, OPTION_SPAN, "T", "how far to look ahead, such as 7d; a day where nothing is said, at most 90d", 0, false },
};

static const struct option levels_options[] = {
	LABEL_FILTER,
	{ "month", 0, OPTION_TEXT, "YYYY-MM", "this month, in UTC; the last whole one where nothing is said", 0, false },
	{ "since", 0, OPTION_TIME, "T", "from then on, such as 2026-10-01", 0, false },
	{ "until", 0, OPTION_TIME, "T", "with --since: until then, instead of now", 0, false },
};

static const struct option render_options[] = {
	{ "to", 0, OPTION_PATH, "FILE", "write it there (0400, whole, only when it changed) instead of to stdout", 0, false },
	{ "owner", 0, OPTION_TEXT, "U[:G]", "with --to: whose file it is", 0, false },
	{ "healthy", 0, OPTION_FLAG, NULL, "refuse a token that TikTok refuses (10, 11 or 15)", 0, false },
	{ "as", 0, OPTION_CONSUMER, "NAME", "note who reads which version", 0, false },
};

static const struct option scan_options[] = {
	{ "environ", 0, OPTION_FLAG, NULL, "look into the environments of all processes that you may read", 0, false },
	{ "exclude", 0, OPTION_TEXT, "GLOB", "pass over names or paths like this; may be repeated", 0, true },
};

static const struct option backup_options[] = {
	{ "force", 0, OPTION_FLAG, NULL, "replace a file of that name", 0, false },
};

static const struct option restore_options[] = {
	{ "only", 0, OPTION_TEXT, "PIXEL", "bring back what is damaged of this Pixel; may be repeated", 0, true },
	{ "older", 0, OPTION_FLAG, NULL, "with --only: also where a newer token might give way", 0, false },
	{ "yes", 0, OPTION_FLAG, NULL, "do not ask whether this is meant", 0, false },
};

const struct command commands[] = {
	{ "init", GROUP_TOKENS, NEEDS_SETTINGS, 0, 0, 0,
	  "[--key-file F | --passphrase-fd N | --passphrase-file F] [--no-recovery]", "make the vault",
	  "Makes an empty vault and the one key that opens it: a key file (best for machines), or a\n"
	  "passphrase of at least 15 characters. Without an option the configured key file is taken, then\n"
	  "the configured passphrase file; else a passphrase is asked for.\n"
	  "On a terminal a recovery key is shown once and must be typed back: it opens the vault when every\n"
	  "other key is lost. An existing vault is never touched.\n",
	  "vault init --key-file ~/.config/pixelvault/key", OPTIONS(init_options), cmd_init },

	{ "put", GROUP_TOKENS, NEEDS_UNLOCK | THROUGH_AGENT | ARGUMENTS_MAY_BE_SECRET, 1, 1, 1,
	  "PIXEL [--from-file F] [--label K=V]... [--expires RFC3339] [--test-code C] [--no-check] [--standby] [--if-version N] "
	  "[--family accounts|login]",
	  "store a token, prove it, make it current",
	  "The token comes from standard input, from a file, or is asked for without being shown; never from\n"
	  "the command line. It is cleaned of what pasting adds (quotes, line ends, \"Bearer \"), stored as\n"
	  "pending, and TikTok is asked whether it works for this Pixel. If TikTok does not refuse it, it\n"
	  "becomes current and the old one previous; if it does, consumers keep getting the old one.\n"
	  "With --family what comes is a JSON object with client_id, client_secret, refresh_token, and if you\n"
	  "have them access_token and expires_in (on a terminal each is asked for): the pair of TikTok's\n"
	  "Accounts API or Login Kit is renewed at half of its life, and the refresh token is never shown.\n",
	  "vault put " PX " --label shop=berlin --test-code TEST12345 < token.txt", OPTIONS(put_options), cmd_put },

	ROW_GET(cmd_get),

	ROW_RUN(cmd_run),

	{ "render", GROUP_TOKENS, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 0, "TEMPLATE [--to FILE [--owner U[:G]]] [--healthy] [--as NAME]",
	  "fill tokens into a configuration file",
	  "Prints TEMPLATE with {{ token PIXEL }} replaced by that Pixel's token, {{ previous PIXEL }} by the one\n"
	  "before it. Behind a bar stands what it is written into: {{ token PIXEL | json }} and env are \"...\",\n"
	  "shell is '...', url and base64 have no quotes; {{ \"{{\" }} are the braces themselves. What cannot be\n"
	  "filled in is told with line and column (13; 3 for a Pixel without a token), and nothing is written.\n"
	  "With --to the file is made 0400, its owner's from the start, put in place whole, and left alone when\n"
	  "nothing changed. The template must be yours or root's, and not writable by others.\n",
	  "vault render relay.ini.tpl --to /run/relay/relay.ini --as relay", OPTIONS(render_options), cmd_render },

	{ "list", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 0, 0, 0, "[-l K=V]", "which Pixels are stored",
	  "One line a Pixel: code, current version, labels. Never a token.\n", "vault list -l shop=berlin",
	  OPTIONS(filter_options), cmd_list },

	{ "status", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 0, ALL_ARGS, ARGS_MANY,
	  "[PIXEL...] [-l K=V] [--watch | --html FILE | --url]",
	  "the board: what is known of each token, and what to do",
	  "Verdict, the evidence for it, when the token was last proven, when it ends, the last and the next\n"
	  "check. What needs you comes first: how grave it is, times the Pixel's label weight (a number from 0\n"
	  "to 1000000, else 1). Asks nobody, shows no token; exits 0 whatever the verdicts ('check' is for\n"
	  "scripts that want to know).\n"
	  "With --html the board is one page that needs nothing else: it opens from the disk, in a mail or on a\n"
	  "web server. A file that exists keeps its mode, a new one is yours alone (0600).\n"
	  "--url prints where the agent shows the same page to browsers of this machine. Who has that address sees\n"
	  "the board, so only who may read the agent's state folder can print it.\n",
	  "vault status --html board.html", OPTIONS(status_options), cmd_status },

	{ "check", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 0, ALL_ARGS, ARGS_MANY,
	  "[PIXEL...] [-l K=V] [--probe dry|test|live] [--nagios]", "ask TikTok now whether the tokens work",
	  "Asks for each Pixel, and once more where the answer is bad. Silent in cron when all is well; one\n"
	  "line for each problem otherwise, also with -q. Exits with the gravest of 10 expired or revoked,\n"
	  "11 of another Pixel, 15 malformed, 16 not judged, 9 unreachable, 14 due soon, 0 all well.\n"
	  "A dry probe can refute a token but not prove it; a stored test code (put --test-code) proves it;\n"
	  "a live probe proves it too, by one real event that shows in the Events Manager.\n",
	  "vault check -q -l shop=berlin", OPTIONS(check_options), cmd_check },

	{ "plan", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 0, ALL_ARGS, ARGS_MANY, "[PIXEL...] [-l K=V] [--for T]",
	  "what will be asked when, and what it costs",
	  "When each Pixel is asked about next, and why then; how many questions to TikTok that makes, in the\n"
	  "busiest hour too, and how much of the configured rate; what waits for a second look; whether TikTok\n"
	  "throttles us. With an agent it is the plan that the agent follows, else that of one that starts now.\n"
	  "Good answers are assumed: each refusal costs one question more. Asks nobody; with -q only the sums.\n",
	  "vault plan --for 7d", OPTIONS(plan_options), cmd_plan },

	{ "levels", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 0, ALL_ARGS, ARGS_MANY,
	  "[PIXEL...] [-l K=V] [--month YYYY-MM | --since T [--until T]]",
	  "how long tokens worked, how soon dead ones were mended",
	  "For a period, of all Pixels together: the share of time with a working and with a dead token; time from\n"
	  "the last proof to the verdict (to detect), from there to the next proof (to repair); conversion hours at\n"
	  "risk, which is the label weight (else 1) times hours with a dead token; and the ten that were worst.\n"
	  "Read from the last 16 verdicts of each Pixel. What they do not tell counts as not known, and so does the\n"
	  "time since a good token was last asked about. Asks nobody; with -q only the sums.\n",
	  "vault levels --month 2026-10", OPTIONS(levels_options), cmd_levels },

	{ "match", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT | ARGUMENTS_MAY_BE_SECRET, 0, 0, 0, "",
	  "which Pixel a token belongs to",
	  "The token comes from standard input, or is asked for without being shown. One line for each version\n"
	  "that holds it: Pixel, version, stage; also where it was replaced, deleted or removed. 3 when nobody\n"
	  "has it. Asks nobody, stores nothing.\n",
	  "vault match < found.txt", NO_OPTIONS, cmd_match },

	{ "scan", GROUP_WATCH, NEEDS_UNLOCK, 0, ALL_ARGS, 0, "[PATH...] [--environ] [--exclude GLOB]...",
	  "find tokens of this vault that lie somewhere in clear",
	  "Reads the files and folders (- is standard input) and says file, line, Pixel, version and stage of each\n"
	  "token of this vault found there: Pixels' and listing tokens, and what renews them; as it is, percent-encoded,\n"
	  "in base64 or UTF-16; never the token. Exits 14 when there is one, 12 when nothing was found but something\n"
	  "could not be read, else 0. Links, devices, fifos, /proc and /sys within a folder are passed over; one that is\n"
	  "named and is no file is told of. What is compressed is not looked into, as what git keeps: it says how.\n"
	  "Opens the vault itself, also where an agent runs, which does not give all tokens to anybody.\n",
	  "vault scan --environ /etc /home /srv", OPTIONS(scan_options), cmd_scan },

	{ "history", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL", "versions and verdicts of a Pixel so far",
	  "Shows each version with its stage and fingerprint, and each change of verdict. Also for a Pixel\n"
	  "that was removed.\n",
	  "vault history " PX, NO_OPTIONS, cmd_history },

	{ "rollout", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL", "who uses which version",
	  "Lists the consumers that fetched a token, the version each was last seen with, whether it read or\n"
	  "acknowledged that, and when; those that are behind the current one first. A consumer goes by the\n"
	  "name it gave (get --as, X-Consumer), else by its user and systemd service. A person who looks at a\n"
	  "token on a terminal is none.\n",
	  "vault rollout " PX, NO_OPTIONS, cmd_rollout },

	{ "alert", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 0, 2, 0, "[list] | ack ALERT [--for T] | test NAME",
	  "alerts: what is open, who sees to it, do they arrive",
	  "list shows each cause that is open, and those that ended within a day: what it is, since when, how many\n"
	  "Pixels. ack says that somebody sees to it: no more reminders until it ends, or for T. test sends a\n"
	  "message through [alert NAME] of the configuration now, and says what became of it: exits 9 when the\n"
	  "sink did not take it this time, 13 when it never will as it is set up.\n",
	  "vault alert test ops", OPTIONS(alert_options), cmd_alert },

	{ "report", GROUP_WATCH, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL --code N [--request-id R]",
	  "tell what TikTok answered a consumer",
	  "For programs that send events and were refused: TikTok is asked about the token at once, for\n"
	  "reports at most once a minute. A report alone changes no verdict. With failover = yes a token\n"
	  "found dead gives way to the previous one, if that still works.\n",
	  "vault report " PX " --code 40105", OPTIONS(report_options), cmd_report },

	{ "rotate", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 0, ALL_ARGS, ARGS_MANY,
	  "[PIXEL...] [-l K=V] [--max-age T] [--list | --later | --cancel | --retire]",
	  "replace tokens, Pixel by Pixel, with guidance",
	  "One sitting on a terminal for all Pixels that need a new token: those whose token is refused,\n"
	  "expires, is older than max-age, or that somebody asked for. For each: why, which login and Business\n"
	  "Center (labels user, role, bc), where to click; then the token is pasted without being shown, proven,\n"
	  "and made current, as by put. s skips one, q or Ctrl-D leaves; whatever ends it, 'vault rotate' goes on.\n"
	  "Pixels, -l and --max-age ask for new tokens of those, and the sitting is about them. Exits 12 when a\n"
	  "token was refused or not judged.\n",
	  "vault rotate -l bc=acme", OPTIONS(rotate_options), cmd_rotate },

	{ "rollback", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL", "make the previous token current again",
	  "TikTok is asked about the previous token first; unless it is refused, the two change places.\n"
	  "Nothing is moved when it is refused (10, 11, 15) or not judged (9).\n",
	  "vault rollback " PX, NO_OPTIONS, cmd_rollback },

	{ "swap", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 2, 2, 2, "PIXEL PIXEL [--no-check]",
	  "exchange the tokens of two Pixels that hold each other's",
	  "For two tokens that were pasted the wrong way round: each Pixel gets the other's as a new version, in\n"
	  "one step. TikTok is asked about both new pairs first; nothing is moved when it refuses one (10, 11,\n"
	  "15) or gives no verdict (9). A token that is proven for its Pixel is never given away (8); two that\n"
	  "TikTok takes where they lie, or that it neither refused there nor proves to be crossed, only with\n"
	  "--no-check. What renews a token goes along. 'status' and 'check' name two that are crossed.\n",
	  "vault swap " PX " " PX2, OPTIONS(swap_options), cmd_swap },

	{ "move", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 2, 2, 2, "PIXEL OTHER [--no-check]",
	  "give OTHER its token that lies under PIXEL by mistake",
	  "For a token that was found to belong to another stored Pixel: it becomes that Pixel's new version once\n"
	  "TikTok accepts it there (else 9, 10, 11 or 15, and nothing is moved). PIXEL lets go of it, but keeps\n"
	  "its only token until it gets its own. What renews the token goes along, and stays with OTHER alone.\n"
	  "'status' and 'check' name the two.\n",
	  "vault move " PX " " PX2, OPTIONS(swap_options), cmd_move },

	{ "listing", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT | ARGUMENTS_MAY_BE_SECRET, 1, 2, 0,
	  "put NAME [--from-file F] [--no-check] | list | rm NAME [--destroy] [--yes]",
	  "tokens that prove many Pixels with one call",
	  "A long-term token of the Marketing API lists the Pixels of one Business Center (bc:ID) or ad account\n"
	  "(advertiser:ID). Each check of all Pixels, and the agent before they are due, reads the list, 50 or 20\n"
	  "Pixels with one call: where a Pixel's own token is that very token, the list proves it, and it is not\n"
	  "asked about by itself; beside any other token it is shown what the list says. put takes the token as\n"
	  "put does, stores it, and reads the list once; list shows them; rm ends the reading, and --destroy\n"
	  "deletes the tokens too.\n",
	  "vault listing put bc:7012345678901234567 < token.txt", OPTIONS(listing_options), cmd_listing },

	{ "ack", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL --version N [--as NAME]",
	  "tell that a consumer uses a version",
	  "For consumers that keep a token for long: rollout shows it, and retire waits for it. Without --as\n"
	  "the consumer is who asks: its user and systemd service.\n",
	  "vault ack " PX " --version 3 --as checkout", OPTIONS(ack_options), cmd_ack },

	{ "retire", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL [--force]",
	  "give the previous token to nobody any more",
	  "While consumers were last seen with it, they are named (8), and it is taken away when the last of\n"
	  "them has moved on, at the latest when 'grace' is over; --force does it now. While TikTok refuses the\n"
	  "current token, or was never asked about it, the previous one is kept (8). Revoke the token in\n"
	  "TikTok's Events Manager afterwards: once TikTok takes it no longer, it is deleted here too.\n",
	  "vault retire " PX, OPTIONS(retire_options), cmd_retire },

	{ "label", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 1, ALL_ARGS, 1, "PIXEL [K=V...]", "show or change labels",
	  "Without K=V the labels are printed. K= with nothing behind it takes the label away. At most 16.\n",
	  "vault label " PX " shop=berlin owner=ann", NO_OPTIONS, cmd_label },

	{ "rm", GROUP_UPKEEP, NEEDS_UNLOCK | THROUGH_AGENT, 1, 1, 1, "PIXEL [--restore | --destroy] [--yes]",
	  "remove a Pixel, or bring it back",
	  "A removed Pixel is handed out and checked no more, and comes back whole with --restore. --destroy\n"
	  "deletes its tokens for good; it asks first, and needs --yes where there is no terminal.\n",
	  "vault rm " PX, OPTIONS(rm_options), cmd_rm },

	{ "import", GROUP_UPKEEP, NEEDS_UNLOCK | MANY_SECRETS, 1, 1, 0,
	  "FILE [--format env|csv|json] [--map COLUMN=FIELD]... [--dry-run | --shred] [--check | --no-check]",
	  "store the tokens of a .env, CSV, JSON or export file",
	  "All of them in one step, or none. FILE is - for standard input. Columns are known by their header, or\n"
	  "by what stands in them, and shown first; --map says what cannot be told: pixel, token, expires,\n"
	  "test-code, labels, label.KEY or none. In a .env the name of a variable has the Pixel code in it.\n"
	  "Every row is looked at for wrong codes, repetitions and what spreadsheets do to numbers and quotes;\n"
	  "each fault is told with row and column, never with what stands there, and then nothing is stored (15;\n"
	  "8 where the vault holds something that is in the way).\n"
	  "A token becomes current where its Pixel has none. Where it has one, the new token waits until the next\n"
	  "check has proven it; --check asks TikTok now (9, 10 or 11: nothing is stored), --no-check nobody.\n"
	  "Works on the vault itself, also beside a running agent, which notices at once.\n",
	  "vault import tokens.csv --dry-run", OPTIONS(import_options), cmd_import },

	{ "export", GROUP_UPKEEP, NEEDS_UNLOCK | MANY_SECRETS, 0, ALL_ARGS, ARGS_MANY,
	  "[PIXEL...] [-l K=V] --to-file F [--to KEY | --passphrase-fd N | --passphrase-file F] [--force] | --show-key",
	  "write the current tokens into one encrypted file",
	  "For another vault, which takes it in with 'vault import F'. It is sealed to that vault's public key\n"
	  "(what 'vault export --show-key' prints there), or with a passphrase of at least 15 characters, asked\n"
	  "for where none is given. Labels, test codes and expiry go along; older versions, history and what\n"
	  "renews a token do not (a copy of all is a backup). Each token is a line in the audit log. Needs the\n"
	  "vault's own key: an agent hands out no exports.\n",
	  "vault export --to-file tokens.pxe --to pxk1-...", OPTIONS(export_options), cmd_export },

	{ "verify", GROUP_UPKEEP, NEEDS_SETTINGS | THROUGH_AGENT, 0, 1, 0, "[FILE]", "prove the whole vault, or a backup",
	  "Reads every record and proves it against the key, the exact set of them, and the database itself.\n"
	  "Each fault is a line on stderr; exits 7 when there is one. FILE is a backup: it is only read.\n",
	  "vault verify", NO_OPTIONS, cmd_verify },

	{ "backup", GROUP_UPKEEP, NEEDS_SETTINGS, 1, 1, 0, "FILE [--force]", "write a copy of the vault, sealed as it is",
	  "The copy is of one instant, whoever reads and writes meanwhile, and has its name only when it is\n"
	  "whole and on the disk. With the key at hand every record of it is proven first, and its checkpoint is\n"
	  "printed; without, it is only copied, and a line says so. It opens with the vault's own keys: keep one of\n"
	  "these elsewhere too. The audit log is not in it.\n",
	  "vault backup /mnt/stick/vault-2026-08-01.backup", OPTIONS(backup_options), cmd_backup },

	{ "restore", GROUP_UPKEEP, NEEDS_SETTINGS, 1, 1, 0, "[--only PIXEL ... [--older]] FILE [--yes]",
	  "put a backup, or single Pixels of it, in place",
	  "Every record is proven on a copy first. Then it says what is stored now, what is in the backup, and\n"
	  "which tokens only the present vault has, and asks. The vault gets a history of its own; the replaced one\n"
	  "is kept beside it, under a name that is told. Works when the present vault is damaged or gone. A running\n"
	  "agent is locked: unlock it afterwards.\n"
	  "With --only it mends single Pixels, those that 'vault verify' names by code or by id, and everything\n"
	  "else stays as it is, history too: a record or token that is damaged comes from the backup, if that has\n"
	  "the same one; what nobody has any more is given up. A newer token never gives way to an older one\n"
	  "unless you say --older (refused with 8). One commit; a running agent takes it up by itself.\n",
	  "vault restore /mnt/stick/vault-2026-08-01.backup", OPTIONS(restore_options), cmd_restore },

	{ "checkpoint", GROUP_UPKEEP, NEEDS_UNLOCK, 0, 0, 0, "", "print a line that stands for the vault as it is now",
	  "Vault, generation and MAC of the root. It tells nothing of what is stored. Keep it on another machine:\n"
	  "a copy of the vault with a lower generation is older.\n",
	  "vault checkpoint", NO_OPTIONS, cmd_checkpoint },

	{ "audit", GROUP_UPKEEP, NEEDS_DOUBT, 1, 2, 0, "show [-n N] [PIXEL] | verify [--head SEQ:MAC] | accept-loss",
	  "who got, changed or was denied what",
	  "show prints the last entries of this host's audit log, of one Pixel or all; with --json one object a\n"
	  "line. verify reads all of it and proves that no entry was changed, dropped, repeated or moved, and\n"
	  "that its end was not cut off; each fault is a line on stderr, and it exits 7 when there is one.\n"
	  "The agent writes the head of the log (\"audit head SEQ:MAC\") into its own log each hour: with one that\n"
	  "was kept on another machine, verify --head also finds what was cut together with this host's memory.\n"
	  "While the log is damaged or lost no token is handed out and nothing is changed. accept-loss goes on\n"
	  "all the same: what is left of it stays, and an entry says that its loss was accepted. Afterwards\n"
	  "lock and unlock the agent, if one runs.\n",
	  "vault audit show -n 20 " PX, OPTIONS(audit_options), cmd_audit },

	{ "adopt", GROUP_UPKEEP, NEEDS_ADOPTION, 0, 0, 0, "--first-use | --checkpoint C",
	  "let this host remember a vault that was moved here",
	  "A host remembers the last generation of its vault, so that an older copy put in its place is\n"
	  "noticed. A vault that was moved, or restored on purpose, or whose state folder was lost, is refused\n"
	  "until it is adopted: it gets a history of its own, and this host a new memory of it. Copies of the\n"
	  "old history are refused from then on. Look at 'vault list' afterwards: nobody but you can tell\n"
	  "whether this is the newest copy. With --checkpoint a line that 'vault checkpoint' printed tells it: a\n"
	  "copy that is older, or another, is refused (7, 8), and the history goes on as it was.\n",
	  "vault adopt --first-use", OPTIONS(adopt_options), cmd_adopt },

	{ "slot", GROUP_UPKEEP, NEEDS_SETTINGS, 1, 2, 0,
	  "list | add [--key-file F | --credential F | --recovery] | remove ID | test [--key-file F] | repair",
	  "the keys that open the vault",
	  "Up to 16 keys open a vault, each with full power: passphrases, key files, credentials that systemd\n"
	  "keeps (with the TPM where that works), recovery keys. list needs no key. add asks for a passphrase\n"
	  "unless an option says otherwise; a new key is opened once before it counts. test says which key\n"
	  "opens, and changes nothing: try your recovery key today, not on the day you need it. The key that\n"
	  "opened the vault cannot be removed with it: so one that is known to work always stays. A key that\n"
	  "is removed still opens older copies and backups; after a leak also run rotate-key. repair keeps what\n"
	  "is left of keys that were damaged, when one of them still opens.\n",
	  "vault slot add --recovery", OPTIONS(slot_options), cmd_slot },

	{ "rekey", GROUP_UPKEEP, NEEDS_SETTINGS, 0, 1, 0,
	  "[ID] [--key-file F | --passphrase-fd N | --passphrase-file F | --recovery | --same]",
	  "put another key in the place of one",
	  "The key that opened the vault, or the one with this ID (vault slot list), is replaced by another: a\n"
	  "passphrase that is asked for, or what the option says. The tokens are not touched. With --same the\n"
	  "key stays, and guessing it becomes as dear as for a new one. The old key still opens older copies.\n",
	  "vault rekey --passphrase-file new", OPTIONS(rekey_options), cmd_rekey },

	{ "rotate-key", GROUP_UPKEEP, NEEDS_SETTINGS, 0, 0, 0,
	  "[--key-file F]... [--passphrase-fd N] [--passphrase-file F] [--drop-others]",
	  "seal everything anew under a new root key",
	  "For when the key may have leaked, or somebody who had it leaves. All is sealed anew in one commit;\n"
	  "killed anywhere, the vault is the old one or the new one. Keys that are at hand go on opening it:\n"
	  "the one that opened now, those of the configuration, those given here or asked for. Others are named,\n"
	  "and must be given or given up. A running agent opens the vault again by itself where it has a key\n"
	  "file or credential, else it is locked. Older copies and backups stay readable with the old key: after\n"
	  "a leak also get new tokens (vault rotate). The vault's public key for exports is a new one as well.\n",
	  "vault rotate-key --key-file /root/spare.key", OPTIONS(rotate_key_options), cmd_rotate_key },

	{ "unlock", GROUP_UPKEEP, NEEDS_SETTINGS, 0, 0, 0, "[--for T]", "open the vault for the running agent",
	  "Tries the key file, the systemd credential and the passphrase file, then asks. The key work is done\n"
	  "here; the agent is given the key alone and proves it. Where the vault cannot be read from here, the\n"
	  "agent tries its own key file or credential.\n",
	  "vault unlock --for 8h", OPTIONS(unlock_options), cmd_unlock },

	{ "lock", GROUP_UPKEEP, NEEDS_SETTINGS, 0, 0, 0, "", "have the running agent forget the key",
	  "Until the next unlock it hands out nothing (4). Where TikTok is renewing a pair of tokens in that moment, the\n"
	  "key is forgotten once the new pair is stored.\n", "vault lock", NO_OPTIONS, cmd_lock },

	{ "access", GROUP_UPKEEP, NEEDS_SETTINGS | THROUGH_AGENT, 2, 2, 0, "explain --user U PIXEL",
	  "what an account may do with a Pixel, and why",
	  "Shows the rules of the configuration that match, in the order of their weight, and what comes of\n"
	  "them. A running agent answers for the rules it has loaded; others than yourself need admin.\n",
	  "vault access explain --user web " PX, OPTIONS(access_options), cmd_access },

	{ "doctor", GROUP_UPKEEP, 0, 0, 0, 0, "", "look for what commonly goes wrong",
	  "Configuration, permissions, key file, disks, locked memory, swap, ptrace, clock, other programs called\n"
	  "vault, the agent and its protection, TikTok's throttling, the last check, and whether TikTok can be\n"
	  "reached (without a token). Each finding is ok, a note or a problem, with what to do. Changes nothing,\n"
	  "asks for no passphrase. Exits 1 when there is a problem; with -q only notes and problems are shown.\n",
	  "vault doctor", NO_OPTIONS, cmd_doctor },

	{ "config", GROUP_UPKEEP, NEEDS_SETTINGS, 1, 1, 0, "check|show", "prove or print the configuration",
	  "check reads all there is to read and exits 13 with file and line if something is wrong. show prints\n"
	  "every setting and where its value came from.\n",
	  "vault config show", NO_OPTIONS, cmd_config },

	{ "completion", GROUP_ABOUT, 0, 1, 1, 0, "bash|zsh|fish", "completions for your shell",
	  "Prints a script for the shell to read. It completes commands, options and their values.\n",
	  "vault completion bash > ~/.local/share/bash-completion/completions/pixelvault", NO_OPTIONS, cmd_completion },

	{ "exit-codes", GROUP_ABOUT, 0, 0, 0, 0, "", "what each exit code means",
	  "The numbers never change; scripts may rely on them.\n", "vault exit-codes", NO_OPTIONS, cmd_exit_codes },

	{ "help", GROUP_ABOUT, 0, 0, 1, 0, "[COMMAND]", "this, or the manual of one command",
	  "The same as --help behind a command.\n", "vault help put", NO_OPTIONS, cmd_help },
};
const size_t command_count = COUNT_OF(commands);

const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}
