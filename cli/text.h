/* cli/text.h - every sentence of the command line program.
 *
 * TXT_: a failure, message and what to do next. SAY_: one line on stderr that is no failure. ASK_: a prompt. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <inttypes.h>

/* ---- command line ---- */
#define TXT_NO_COMMAND "no command was given", "see: vault help"
#define TXT_DOCTOR_CA_FILE "the ca-file '%s' cannot be read: %s", "check the path and its permissions"
#define TXT_COMMAND_UNKNOWN "there is no command '%s'"
#define TXT_COMMAND_NO_WORD                                                                                            \
	"what stands in the place of the command is not one",                                                          \
		"say what to do first, such as: vault get PIXEL; all commands: vault help"
#define TXT_COMMAND_FOREIGN                                                                                            \
	"'%s' is a command of HashiCorp Vault; this is pixelvault, which keeps TikTok access tokens",                  \
		"'type -a vault' lists every program of this name; the commands of this one: vault help"
#define TXT_OPTION_UNKNOWN "there is no option '--%s'"
#define TXT_OPTION_SECRET                                                                                              \
	"there is no option '--%s': a secret on the command line is seen by others and kept by the shell",             \
		"give the token on standard input or when asked: vault put PIXEL < FILE; replace one that was typed "  \
		"here"
#define TXT_LETTER_UNKNOWN "there is no option '-%c'", "see: vault help"
#define TXT_OPTION_NEEDS_VALUE "'--%s' needs a value: --%s %s", "add the value, or leave the option out"
#define TXT_OPTION_NO_VALUE "'--%s' takes no value", "leave out what stands behind the equals sign"
#define TXT_OPTION_EMPTY "the value of '--%s' is empty", "is a variable of the script unset?"
#define TXT_OPTION_NOT_NUMBER "'--%s' takes a whole number", "such as 3"
#define TXT_OPTION_NOT_CODE "'--%s' takes the number that TikTok calls code", "such as 40105"
#define TXT_OPTION_NOT_SPAN "'--%s' takes a length of time", "write an integer with s, m, h or d behind it, such as 8h"
#define TXT_OPTION_NOT_CHOICE "'--%s' takes one of %s", "write one of these words"
#define TXT_OPTION_TWICE "'--%s' is given twice", "give it once"
#define TXT_OPTIONS_EXCLUDE "'--%s' and '--%s' exclude each other", "leave one of them out"
#define TXT_PIXEL_MISSING "'%s' needs a Pixel code"
#define TXT_ARGUMENTS_MISSING "'%s' needs another argument"
#define TXT_ARGUMENTS_SURPLUS "'%s' takes %u argument(s), %zu were given"
#define TXT_TOKEN_IN_ARGUMENT                                                                                          \
	"'%s' takes a token from standard input only: on the command line others see it, and the shell keeps it",      \
		"run it without the token and paste it when asked, or add '< FILE'; replace a token typed "    \
		"here"
#define TXT_PIXEL_IS_TOKEN                                                                                             \
	"what stands in the place of the Pixel code is no Pixel code, and perhaps a token; it is not repeated here",   \
		"the Pixel code has 20 capitals and digits; a token goes to standard input: vault put PIXEL < FILE"
#define TXT_TOO_MANY_LABELS "more than %zu labels", "a Pixel carries at most 16; leave some out"
#define TXT_BINDING_FORM "the value is not of the form NAME=PIXEL", "such as --env TIKTOK_TOKEN=C0U2T02IU8J6B9GC2B90"
#define TXT_BINDING_NAME                                                                                               \
	"'%s' is not a name for a token in the environment",                                                           \
		"use letters, digits and _, no digit first; PATH and LD_* are not taken"
#define TXT_BINDING_TWICE "two tokens for the variable '%.*s'", "give each its own name"
#define TXT_HELP_UNKNOWN "there is no command of that name to explain", "all commands: vault help"

/* ---- output ---- */
#define TXT_OUTPUT_FAILED                                                                                              \
	"the output could not be written: %s",                                                                         \
		"what was printed is not complete; check free space, or the program that reads it"
#define TXT_OUTPUT_CLOSED "standard output is closed", "open it or send it to a file; nothing was printed"

/* ---- asking ---- */
#define TXT_NO_TERMINAL_ANSWER "there is no terminal to ask on, or --no-input forbids it", "run it on a terminal"
#define TXT_LOCKED_NO_ASKING                                                                                           \
	"the vault is locked, and there is nobody to ask for its passphrase",                                          \
		"set PIXELVAULT_KEY_FILE or PIXELVAULT_PASSPHRASE_FILE, or run it on a terminal without --no-input"
#define TXT_ANSWER_UNREADABLE "the terminal could not be read: %s", "is it still there? run the command again"
#define TXT_ANSWER_NONE "nothing was entered", "run the command again"
#define TXT_ANSWER_TOO_LONG "more than %zu characters were entered", "is this the right text? run the command again"
#define ASK_PASSPHRASE "Passphrase (or recovery key) of %s: "
#define ASK_NEW_PASSPHRASE "New passphrase, at least %u characters: "
#define ASK_AGAIN "The same once more: "
#define ASK_CLIENT_ID "Client id"
#define ASK_CLIENT_SECRET "Client secret"
#define ASK_REFRESH_TOKEN "Refresh token"
#define ASK_ACCESS_TOKEN "Access token"
#define ASK_TOKEN "Access token of %s (not shown while you paste): "

/* ---- init ---- */
#define TXT_VAULT_EXISTS                                                                                               \
	"there is something at '%s' already",                                                                          \
		"use it as it is, give another place with --vault, or move it away first; nothing was changed"
#define TXT_PASSPHRASE_SHORT                                                                                           \
	"the passphrase has %zu characters; at least %u are needed where it is the only key",                          \
		"take four or five random words; or use --key-file"
#define TXT_PASSPHRASE_DIFFERS "the two passphrases differ", "run the command again; nothing was changed"
#define TXT_INIT_NO_KEY                                                                                                \
	"no key was given, and there is no terminal to ask for a passphrase",                                          \
		"add --key-file FILE (made when it does not exist), --passphrase-file or --passphrase-fd"
#define TXT_FD_NOT_OPEN "descriptor %lld is not open for reading", "open it in the shell: --passphrase-fd 3 3< FILE"
#define TXT_RECOVERY_WRONG                                                                                             \
	"the recovery key was not typed back as shown",                                                                \
		"run it again and write the key down first (init --no-recovery makes none); nothing was changed"
#define SAY_INIT_DONE "made the vault %s"
#define SAY_INIT_KEY_MADE "wrote a new key to %s; keep a copy of it elsewhere: without it the tokens are lost"
#define SAY_INIT_NO_RECOVERY                                                                                           \
	"no recovery key was made: there is no terminal to show one on (--no-recovery says this is meant)"
#define SAY_INIT_FIND "later commands find it with: export%s%s%s%s"
#define SAY_INIT_BESIDE "the key lies in the vault's own folder: whoever copies that folder has both"
#define SHOW_RECOVERY                                                                                                  \
	"\nThis recovery key opens the vault when every other key is lost. It is shown once, now.\n"                   \
	"Write it on paper and keep it away from this machine.\n\n    %s\n\n"
#define ASK_RECOVERY "Type it back, all of it: "
#define SHOW_RECOVERY_WRONG "That is not the key shown above.\n"

/* ---- slot, rekey, rotate-key ---- */
#define TXT_SLOT_ACTION "there is no 'slot %s'", "it is one of: list, add, remove ID, test, repair"
#define TXT_SLOT_OPTION "'slot %s' takes no '--%s'", "see: vault help slot"
#define TXT_SLOT_SURPLUS "'slot %s' takes nothing behind it", "see: vault help slot"
#define TXT_SLOT_WHICH "which key is to be removed is missing", "see their ids with: vault slot list"
#define TXT_SLOT_NO_ID                                                                                                 \
	"no key of this vault has an id that begins with '%s'", "see them with: vault slot list; 4 digits are enough"
#define TXT_SLOT_ID_SHORT "several keys have an id that begins with '%s'", "write more of its digits"
#define TXT_SLOT_NOT_REMOVED "nothing was removed", "answer with the word yes if you mean it"
#define TXT_NEEDS_YES "there is no terminal to ask whether this is meant", "add --yes if it is"
#define TXT_PATH_LONG "the path is too long", "use a shorter one"
#define TXT_RECOVERY_NO_TERMINAL                                                                                       \
	"a recovery key is only shown on a terminal, and there is none", "run it on a terminal without --no-input"
#define TXT_TYPED_NO_RECOVERY                                                                                          \
	"this vault has no passphrase, and what was given is not its recovery key", "type the recovery key group by group"
#define TXT_REKEY_WHICH                                                                                                \
	"the vault was opened with the recovery key: which key is to be replaced?",                                    \
		"name it: vault rekey ID --ask (ids: vault slot list); a new recovery key: vault rekey --recovery --ask"
#define TXT_REKEY_SAME                                                                                                 \
	"--same is for the key that opens the vault, and that was another one", "open it with that key: --ask or --with-key"
#define TXT_REKEY_TAKEN "this %s opens the vault already", "take a new one; nothing was changed"
#define TXT_ROTATE_LOST                                                                                                \
	"these keys would not open the vault any more: %s",                                                            \
		"give them too (--key-file, --passphrase-file, or on a terminal), or give them up with --drop-others"
#define TXT_CREDENTIAL_ALONE                                                                                           \
	"only system credentials open this vault, and a new mainboard or firmware would end that",                     \
		"add a recovery key first: vault slot add --recovery"
#define TXT_CREDENTIAL_EXISTS "there is something at '%s' already", "give another place; nothing was changed"
#define TXT_CREDS_NONE "there is no %s on this machine", "install systemd, or use --key-file"
#define TXT_CREDS_FAILED "%s did not seal the credential", "its own words stand above; most need root"
#define SAY_SLOT_CHEAP "guessing the %s is cheaper than it should be; to change that: vault rekey --same"
#define SAY_SLOT_ONLY "only one key opens this vault: when it is lost, so are the tokens; add one: vault slot add --recovery"
#define SAY_SLOT_ADDED "added: %s; it was tried and opens the vault"
#define SAY_SLOT_REMOVED "removed: %s"
#define SAY_SLOT_NOT_UNDONE                                                                                            \
	"whoever has the old key can still open older copies and backups of the vault; if it leaked: vault rotate-key"
#define SAY_KEY_STAYS "the new key in '%s' stays: the vault may open with it already"
#define HINT_KEY_STAYS "keep it and the old one, then find out which works: vault slot test --key-file F"
#define SAY_SLOT_WORKS "it opens the vault: %s; nothing was changed"
#define SAY_SLOT_REPAIRED "%zu key%s kept as found; only the one used now is proven: try the others with vault slot test"
#define SAY_CREDENTIAL_TPM "sealed with this machine's TPM: %s"
#define SAY_CREDENTIAL_HOST                                                                                            \
	"sealed without a TPM (systemd-creds says why): %s; whoever has this disk has the key too, so this is "        \
	"convenience, not protection"
#define SAY_CREDENTIAL_USE "for the agent's unit: LoadCredentialEncrypted=%s:%s and in the configuration credential = %s"
#define SAY_REKEYED "another key is in place: %s; it was tried and opens the vault"
#define SAY_REKEYED_SAME "wrapped anew: %s"
#define SAY_ROTATE_DROPS "these keys open the vault no more: %s"
#define SAY_ROTATE_WAITS "waiting, for a minute at most: TikTok is renewing a pair of tokens, and it is stored first"
#define SAY_ROTATED_KEY                                                                                                \
	"the root key is a new one: %" PRIu64 " Pixel%s and %" PRIu64 " token%s sealed anew, %zu key%s the vault"
#define SAY_ROTATE_NOT_UNDONE                                                                                          \
	"older copies and backups still open with the old keys; if one leaked, get new tokens too: vault rotate"
#define SAY_WRONG_KEYS "%u wrong key%s tried since the vault was last opened, the last one at %s"
#define ASK_SLOT_REMOVE "Remove the %s? (yes/no) "
#define ASK_OTHER_KEY "Another passphrase or recovery key that shall go on opening it (Enter: no more): "
#define SHOW_OTHER_KEY_WRONG "That one does not open this vault.\n"
#define ASK_DROP "These keys will not open the vault any more: %s. Go on? (yes/no) "

/* ---- put ---- */
#define TXT_PUT_NO_TOKEN                                                                                               \
	"no token was given, and --no-input forbids asking for it", "give it on standard input: vault put PIXEL < "    \
								    "FILE"
#define TXT_FROM_FILE "'%s' cannot be read: %s", "check the path and its permissions"
#define TXT_TOKEN_INPUT "this is far too long to be one token", "give just the token: is this the right file?"
#define TXT_TOKEN_LINES "more than one line was pasted", "paste the token alone, in one piece; nothing was stored"
#define SAY_PIXEL_ODD                                                                                                  \
	"'%s' is not shaped like the Pixel codes TikTok gives out (20 characters, 0-9 and A-V); stored as it is"
#define SAY_EXPIRES_PAST "the expiry given, %s, has passed already"
#define SAY_REMOVED "removed from the pasted token: %s"
#define SAY_ALSO_STORED                                                                                                \
	"this very token is stored for %s too; a token belongs to one Pixel as a rule: the one it was not made for "   \
	"needs its own: vault put %s, or vault put %s"
#define SAY_ASKING "asking TikTok about %s ..."

/* What became of the token: message, then hint where it is a failure. */
#define SAY_PUT_UNCHANGED                                                                                              \
	"%s: this token is current already (version %u, %s); nothing to do, so TikTok was not asked"
#define SAY_PUT_STANDBY                                                                                                \
	"%s: version %u stands by (%s): with failover = yes it takes over when the current token is found dead"
#define SAY_PUT_HEALTHY "%s: version %u is current; TikTok accepts it for this Pixel"
#define SAY_PUT_UNPROVEN                                                                                               \
	"%s: version %u is current; TikTok did not refuse it, but only a test code proves it (--test-code)"
#define SAY_PUT_NOT_ASKED "%s: version %u is current, unchecked as you asked; 'vault check %s' asks TikTok"
#define SAY_PUT_NOT_JUDGED                                                                                             \
	"warning: %s: version %u is current but unchecked, TikTok gave no verdict (%s%s%s); run 'vault check %s' later"

/* ---- get, run ---- */
#define SAY_NOT_HEALTHY "warning: the token of %s (version %u) is %s; see 'vault status %s'"
#define SAY_MARK_FAILED "who read this version could not be noted: %s"
#define TXT_MEMFD "no memory file could be made for '%s': %s", "use --env instead"
#define TXT_EXEC "'%s' cannot be started: %s", "check the name and that it may be executed"

/* ---- list, status, check ---- */
#define SAY_EMPTY "no Pixel is stored yet; the first: vault put PIXEL"
#define SAY_NONE_MATCH "no Pixel carries these labels"
#define SAY_LIVE "a live probe sends one real event a day for each Pixel; it shows in the Events Manager"

/* ---- label, rm, history, verify, config ---- */

#define TXT_CONFIG_ACTION "config takes check or show", "vault config check, or vault config show"
#define TXT_SHELL_UNKNOWN "completions are made for bash, zsh and fish", "such as: vault completion bash"
#define SAY_HISTORY_REMOVED "%s was removed at %s; 'vault rm --restore' brings it back"
#define SAY_HISTORY_DESTROYED "the tokens of %s were destroyed; it was removed at %s"

#define TXT_DESTROY_NEEDS_YES                                                                                          \
	"destroying the tokens of '%s' cannot be undone",                                                              \
		"say so with --yes; 'vault rm PIXEL' alone can be undone with --restore"
#define TXT_DESTROY_NOT_CONFIRMED "not confirmed; '%s' is as it was", "type yes to destroy it"
#define ASK_DESTROY "Destroy every token of %s for good? Type yes: "
#define SAY_RM_ALREADY "%s is removed already"
#define SAY_RM_DONE "removed %s; 'vault rm %s --restore' brings it back"
#define SAY_RM_DESTROYED "destroyed every token of %s"
#define SAY_RM_RESTORED "%s is back"
#define SAY_RM_NOT_REMOVED "%s is not removed; nothing to do"
#define TXT_ADOPT_HOW                                                                                                  \
	"adopting gives up what this host remembers of the vault, so it must be said how",                             \
		"if you moved the vault here yourself, or lost the state folder: vault adopt --first-use"
#define SAY_ADOPTED_CHECKPOINT "this host now remembers the vault %s at generation %llu; its history goes on"
#define SAY_ADOPTED_COUNTED                                                                                            \
	"the checkpoint is more than 32 changes old: the vault is newer, but its way from there was not seen"
#define SAY_ADOPTED "this host now remembers the vault %s at generation %llu, with a history of its own"
/* ---- backup, restore ---- */
#define SAY_BACKUP_DONE "wrote %s: generation %llu, %llu Pixels, %llu tokens, each proven"
#define SAY_BACKUP_NOT_PROVEN "wrote %s, but without a key nothing in it could be proven; later: vault verify %s"
#define SAY_RESTORE_BACKUP "the backup: generation %llu, %llu Pixels, newest token of %s"
#define SAY_RESTORE_NOW "now stored: generation %llu, %llu Pixels, newest token of %s"
#define SAY_RESTORE_NONE "now stored: there is no vault at %s"
#define SAY_RESTORE_UNKNOWN "now stored: what is there cannot be read, so nobody can say what it has beyond the backup: %s"
#define SAY_RESTORE_LOSES_PIXEL "only in the present vault: Pixel %s with all its versions"
#define SAY_RESTORE_LOSES "only in the present vault: %llu of the versions of Pixel %s"
#define SAY_RESTORE_LOSES_MORE "and more of the kind, of %llu Pixels"
#define SAY_RESTORE_LOSES_NOTHING "the backup has every token that the present vault has"
#define ASK_RESTORE "Put the backup in place of the vault? Type yes: "
#define TXT_RESTORE_NEEDS_YES                                                                                          \
	"nobody can be asked whether this is meant", "read the lines above; then say so with --yes"
#define TXT_RESTORE_NOT_CONFIRMED "not confirmed; the vault is as it was", "type yes where it is meant"
#define TXT_RESTORE_OLDER_ALONE "--older goes with --only", "a whole backup says what is lost, and asks: vault restore FILE"
#define HINT_VERIFY_MEND                                                                                               \
	"find out who wrote to the file; then mend single Pixels: vault restore --only PIXEL BACKUP (or the id above), "       \
	"or put all back: vault restore BACKUP"
#define SAY_ONLY_WHOLE "Pixel %s is whole, and stays as it is"
#define SAY_ONLY_MENDED "Pixel %s: the backup has what is damaged: version %s"
#define SAY_ONLY_LOST "Pixel %s: damaged, not in the backup either, and given up: version %s"
#define SAY_ONLY_ENDING                                                                                                \
	"Pixel %s: its token stays, but what renews it is damaged and not in the backup either: version %s; put it anew "  \
	"before it ends"
#define SAY_ONLY_OTHERS "Pixel %s: %zu damaged record%s beside its tokens put right"
#define SAY_ONLY_STAYS "Pixel %s: current is and stays %s"
#define SAY_ONLY_CURRENT "Pixel %s: current becomes %s; it was %s"
#define SAY_ONLY_UNREADABLE                                                                                            \
	"Pixel %s: its record is damaged and was changed after the backup: nobody can say which of its tokens was in force"
#define SAY_ONLY_RETURNED "Pixel %s becomes what it was in the backup: current becomes %s; now it is: %s"
#define SAY_ONLY_NEWER "Pixel %s: %s is whole in the vault, newer, and would give way"
#define ASK_ONLY "Change these Pixels so, and nothing else? Type yes: "
#define TXT_ONLY_OLDER                                                                                                 \
	"Pixel '%s' might get an older token than it has; nothing was changed",                                        \
		"try a newer backup; leave this Pixel out; or, where it is meant, say --older"
#define SAY_ONLY_DONE "the Pixels above are put right in %s, now at generation %llu; everything else is as it was"
#define SAY_ONLY_AGENT "the running agent takes it up by itself"
#define SAY_RESTORED "restored %s at generation %llu, with a history of its own"
#define SAY_RESTORE_KEPT "the vault that was there is kept as %s; delete it when you are sure"
#define SAY_RESTORE_AGENT_LOCKED "the agent is locked; go on with: vault unlock"
#define SAY_RESTORE_AGENT_OLD "a running agent still has the replaced vault, and could not be locked: %s"
#define SAY_CONFIG_FINE "the configuration is in order"

/* ---- rotate ---- */
#define TXT_ROTATE_NO_TERMINAL                                                                                         \
	"new tokens are asked for on a terminal, and there is none, or --no-input forbids it",                         \
		"see who needs one: vault rotate --list; store one without a terminal: vault put PIXEL < FILE"
#define SAY_ROTATE_NOTHING "no Pixel needs a new token"
#define SAY_ROTATE_LATER "a new token is asked for, for %zu Pixel%s: vault rotate"
#define SAY_ROTATE_CANCELLED "no new token is asked for any more, for %zu Pixel%s"
#define SAY_ROTATE_SUM "%zu rotated, %zu skipped, %zu refused, %zu not judged yet, %zu left%s"
#define SAY_ROTATE_GO_ON "; to go on: vault rotate"
#define ASK_ROTATE "New token of %s (not shown; s skips, q leaves): "
#define SHOW_ROTATE_WHICH "[%zu of %zu] %s%s%s"
#define SHOW_ROTATE_WHY "  why:   %s"
#define SHOW_ROTATE_WHO "  login: %s%s%s"
#define SHOW_ROTATE_WHO_UNKNOWN "  login: not noted; for the next time: vault label %s user=NAME"
#define SHOW_ROTATE_CENTER "  where: TikTok for Business, Business Center %s active (with another one the list is empty)"
#define SHOW_ROTATE_CENTER_UNKNOWN                                                                                     \
	"  where: TikTok for Business, this Pixel's Business Center active (with another one the list is empty)"
#define SHOW_ROTATE_CENTER_NOTE "         which one is not noted; for the next time: vault label %s bc=NAME"
#define SHOW_ROTATE_PATH                                                                                               \
	"         > Events Manager > data source %s > Settings > Events API > Generate access token"
#define SHOW_ROTATE_ONCE "         TikTok shows the token once: copy it before you leave that page"
#define SHOW_ROTATE_PENDING "  Version %u was pasted before and is not judged yet: asking TikTok about it ..."
#define SHOW_ROTATE_STILL_OPEN                                                                                         \
	"  TikTok gave no verdict; version %u waits, and takes over once it is proven: by vault-agent, or 'vault check %s'"
#define SHOW_ROTATE_ASKING "  Asking TikTok ..."
#define SHOW_ROTATE_MEANWHILE "  done meanwhile: version %u is current"
#define SHOW_ROTATE_SAME "  Nothing new: this is the token that is current already (version %u). Generate a new one."
#define SHOW_ROTATE_PREVIOUS                                                                                           \
	"  Version %u stays as previous; once 'vault rollout %s' shows nobody with it: vault retire %s"
#define SHOW_LINE "  %s"
#define SHOW_HINT "  hint: %s"
#define WHY_BAD "TikTok refuses its token (%s)"
#define WHY_BELONGS "its token is the one of %s"
#define WHY_EXPIRED "its token was to expire on %.10s"
#define WHY_EXPIRES "its token expires on %.10s"
#define WHY_OLD "its token was stored %s ago"
#define WHY_ASKED "a new token was asked for on %.10s"

/* ---- rollback, retire, ack, report, rollout ---- */
#define SAY_ROLLBACK_DONE "%s: version %u is current again (%s)"
#define SAY_SWAP_WAITS "%s: version %u waits as pending (%s), as the current one is proven; 'vault check %s' asks again"
#define SAY_MOVE_HELD "%s: it has this token already, as version %u"
#define SAY_MOVE_GONE "%s: version %u is retired here"
#define SAY_MOVE_KEPT "%s: version %u stays until its own token comes, from its own settings page: vault put %s"
#define SAY_RETIRED_SHARED                                                                                             \
	"%s: version %u is given to nobody any more and was deleted here; Pixel %s uses that token, so do not revoke it"
#define SAY_RETIRED "%s: version %u is retired and given to nobody any more; now revoke that token in Events Manager"
#define TXT_ACK_INCOMPLETE "ack needs to know which version", "such as: vault ack PIXEL --version 3 --as checkout"
#define TXT_REPORT_NO_CODE "report needs the code that TikTok answered", "such as: vault report PIXEL --code 40105"
#define TXT_REPORT_REQUEST_ID                                                                                          \
	"a request id has at most 64 plain characters and no blanks", "give it as TikTok's answer has it, or leave it out"
#define SAY_REPORT_STARTED "%s: noted; TikTok is asked about it: vault status %s"
#define SAY_REPORT_RECENT "%s: noted; TikTok was asked about it a moment ago: vault status %s"
#define SAY_ROLLOUT_NOBODY "nobody was seen with a token of %s yet; consumers can name themselves: vault get %s --as NAME"
#define SAY_ROLLOUT_NO_CURRENT "%s: no version is current"
#define SAY_ROLLOUT_ALL "%s: v%u is current, and so far all have it: %zu consumer%s"
#define SAY_ROLLOUT_SOME "%s: v%u is current: %zu of %zu consumer%s; %.*s"
#define SAY_ROLLOUT_BEHIND "%s%s still on v%u, %s%s"
#define SAY_ROLLOUT_MORE " and %zu more"

/* ---- unlock, lock, access ---- */
#define SAY_UNLOCKED "the agent is unlocked"
#define SAY_UNLOCKED_FOR "the agent is unlocked, and locks itself when the time is over"
#define SAY_LOCKED "the agent is locked: 'vault unlock' opens it"
#define TXT_ACCESS_ACTION "access takes explain", "such as: vault access explain --user web PIXEL"
#define TXT_ACCESS_WHOM "it must be said whose rights are meant", "such as: vault access explain --user web PIXEL"
#define TXT_ACCESS_NO_USER "there is no user '%s' on this machine", "see: getent passwd"
#define SAY_ACCESS_NO_LABELS                                                                                           \
	"without a running agent the Pixel's labels are not known: rules by label are taken as not matching"

/* ---- doctor: what was found, then what to do ---- */
#define DOC_FOLDER_MISSING "'%s' cannot be looked at: %s", "vault init makes it; or check the path and its permissions"
#define DOC_NO_FOLDER "'%s' is no folder", "check the path"
#define DOC_FOLDER_FOREIGN "'%s' belongs to uid %u", "that is as it should be where an agent has the vault and you have not"
#define DOC_NO_VAULT "there is none to be seen at '%s': %s", "make one with: vault init; or name another with --vault"
#define DOC_VAULT_NO_FILE "'%s' is not a plain file", "check the path"
#define DOC_OPEN "'%s' is open to others (mode %04o)"
#define DOC_VAULT_FOREIGN "'%s' belongs to uid %u", "that is as it should be where an agent has the vault and you have not"
#define DOC_VAULT_FUTURE "'%s' was changed in the future", "set the clock of this machine; checks and expiry go by it"
#define DOC_KEY_LENGTH "'%s' is not a key file: one holds exactly %d bytes", "give the file that 'vault init --key-file' wrote"
#define DOC_MEMLOCK                                                                                                    \
	"only %lu KiB may be locked; a token may reach swap, and the agent refuses to start",                          \
		"ulimit -l 8192, or LimitMEMLOCK=8M in the unit"
#define DOC_SWAP                                                                                                       \
	"there is swap that is not encrypted; locked memory never goes there, but hibernation writes all of it",       \
		"swapoff -a; or encrypt it: a line in /etc/crypttab with the options swap,cipher=aes-xts-plain64"
#define DOC_PTRACE                                                                                                     \
	"programs of one user may look into each other's memory; ours close themselves against it",                    \
		"sysctl -w kernel.yama.ptrace_scope=1"
#define DOC_UNSYNCHRONISED "nothing keeps this machine's clock right; checks and expiry go by it", "timedatectl set-ntp true"
#define DOC_NETWORK                                                                                                    \
	"'%s' is on a network file system, %s: locks cannot be trusted there", "move it to a local disk, and set path "    \
										"or state-dir in [vault]"
#define DOC_TMPFS                                                                                                      \
	"'%s' is in memory: it is gone when this machine starts again", "move it to a disk, and set path or state-dir in [vault]"
#define DOC_READ_ONLY "'%s' is read-only: nothing can be stored, and no token handed out", "mount -o remount,rw its file system"
#define DOC_FULL "only %llu MiB are free for '%s'; without room for its log no token is handed out"
#define DOC_NO_INODES "no more files can be made in '%s'"
#define DOC_BREAKER "open until %s: TikTok throttled us, and nothing is asked before", "lower rate in [check]; see: vault plan"
#define DOC_NEVER_CHECKED "no token was ever checked", "vault check; then run vault-agent, or 'vault-agent --once' from cron"
#define DOC_CHECKED_LATE                                                                                               \
	"no token was checked for %s, and each should be once in %s", "run vault-agent, or 'vault-agent --once' from cron"
#define DOC_NO_BACKUP                                                                                                  \
	"none was made from here", "pixelvault backup FILE, on another disk or for another machine; then from cron"
#define DOC_BACKUP_OLD                                                                                                 \
	"it was made %s ago, at %s: a token that was put since then is in no copy",                                    \
	"pixelvault backup FILE, on another disk or for another machine; then from cron"
#define DOC_BACKUP_UNPROVEN                                                                                            \
	"it was made %s ago without a key, so nothing in it was proven",                                               \
	"pixelvault verify FILE; or make the next backup where the vault can be opened"
#define DOC_TIKTOK "'%s' cannot be used: %s%s%s"
#define DOC_TIKTOK_FIX "curl -sS -o /dev/null -X POST %.512s; look at %s, ca-file, the firewall and name resolution"
#define DOC_CORE_PIPE "the kernel passes core dumps to a program; ours leave none", ""
#define DOC_CLOCK "it says %s", "set the clock of this machine; checks and expiry go by it"
#define CLOCK_SUSPECT_HINT \
	"set the clock of this machine; if it is right now and was ahead before: vault adopt --first-use, then restart " \
	"the agent"
#define DOC_CLOCK_SUSPECT                                                                                              \
	"suspect: it says %s, and that is %s earlier than the latest this host remembers", CLOCK_SUSPECT_HINT
#define SAY_CLOCK_SUSPECT                                                                                              \
	"the clock is suspect: it is %s earlier than the latest this host remembers; expiry is judged by that"
#define DOC_OTHER_VAULT "'%s' is another program called vault", "call ours pixelvault, or see 'type -a vault'"
#define DOC_NOBODY_TOLD                                                                                                \
	"none is configured: what is wrong is only said by the check that finds it (cron's mail, the agent's log)",    \
		"name a sink: [alert NAME] in the configuration; pixelvault alert test NAME tries it"
#define DOC_NO_AGENT "none listens at '%s'", "start vault-agent if commands are to go through one"
#define DOC_AGENT_LOCKED "it is locked%s%s", "vault unlock"
#define DOC_AGENT_DEGRADED "it cannot store anything%s%s", "look at its log, free space and permissions"
#define DOC_AGENT_NOT_READY "it is not ready%s%s", "wait a moment; its log says more"
#define DOC_AGENT_PASSED_OVER                                                                                          \
	"it is passed over: a vault is named by --vault or PIXELVAULT_VAULT", "unset PIXELVAULT_VAULT to go through it"

/* ---- status ---- */
#define SAY_BAD_WEIGHT "%zu label%s weight cannot be used and count as 1: %s%s"
#define BAD_WEIGHT_HINT "give a number from 0 to 1000000, such as weight=2.5: vault label PIXEL weight=2.5"
#define SAY_PAGE_WRITTEN "%zu Pixel%s on the page %s"
#define TXT_WATCH_NO_TERMINAL                                                                                          \
	"--watch needs a terminal that can be drawn on",                                                               \
		"for a script: vault status --json, or the agent's /v1/events"
#define TXT_WATCH_AND_JSON "--watch draws on a terminal, and --json writes an object", "give one of the two"
#define SAY_WATCH_HEAD "%s, %s; q ends%s"
#define SAY_WATCH_TROUBLE "%s, trying again: %s"
#define TXT_URL_OFF                                                                                                    \
	"status-listen is not set: the agent serves no page to browsers",                                              \
		"set it in [agent], such as status-listen = 127.0.0.1:9187, and restart vault-agent; or use --html FILE"
#define TXT_URL_SURPLUS "--url takes no Pixels and no labels", "the page has a filter"
#define TXT_PAGE_AND_JSON "--html writes a page, and --json an object", "give one of the two"
#define TXT_PAGE_PLACE "'%s' is no plain file that could be replaced: %s", "name another file, or - for stdout"

/* ---- everywhere ---- */
#define TXT_NO_AGENT                                                                                                   \
	"no agent listens at '%s'",                                                                                    \
		"start vault-agent, or name its socket with socket in [agent] or PIXELVAULT_SOCKET"
#define SAY_NOT_LOCKED                                                                                                 \
	"warning: this process's memory could not be locked, a token may reach swap; raise the limit (ulimit -l)"

/* ---- audit ---- */
#define TXT_AUDIT_ACTION                                                                                               \
	"'%.40s' is nothing 'audit' can do", "say one of: vault audit show, vault audit verify, vault audit accept-loss"
#define TXT_AUDIT_SURPLUS "'audit %s' takes no Pixel and no -n", "only 'audit show' does"
#define TXT_AUDIT_HEAD_SURPLUS "'audit %s' takes no --head", "only 'audit verify' does"
#define TXT_AUDIT_HEAD                                                                                                 \
	"--head is no head of an audit log",                                                                           \
		"take what stands behind 'audit head' in the agent's log: a number, a colon, 64 hexadecimal digits"
#define TXT_AUDIT_FAULTS "the audit log is damaged: %s",                                                               \
	"find out who did that; to go on all the same: vault audit accept-loss"
#define TXT_AUDIT_NOT_NOTED                                                                                            \
	"the audit log is not the one of that head: %s",                                                               \
		"is it a head of this vault, with all its digits? then whoever did that could change what this host remembers too"
#define TXT_AUDIT_SHOWN_BAD "the audit log is damaged: %s; see: vault audit verify"
#define SAY_AUDIT_TORN "%" PRIu64 " bytes behind the last entry: a write that was cut off; the next entry moves them aside"
#define SAY_AUDIT_CLOCK "the clock went back %" PRIu64 " times between entries"
#define SAY_AUDIT_UNEXPLAINED                                                                                          \
	"%" PRIu64 " changes have no outcome: under way, or their program died; the next change tells which"
#define SAY_AUDIT_ACCEPTED "what was lost of the audit log is accepted; the next entries follow in a new segment"

/* ---- plan ---- */
#define TXT_PLAN_SPAN "'--for' takes between one second and 90 days", "such as --for 7d"
#define PLAN_INTERVAL "its turn"
#define PLAN_FIRST "never asked yet"
#define PLAN_SECOND_LOOK "second look: refused once"
#define PLAN_RETRY "last time without an answer"
#define PLAN_EXPIRY "its end comes nearer"
#define PLAN_NO_PROBE "not asked about"
#define PLAN_TOTAL "in the next %s: %lld questions to TikTok for %lld checks, %lld renewals\n"
#define PLAN_DAY "the first day:    %lld of the %lld questions that the rate allows (%.2f %%)\n"
#define PLAN_PEAK "busiest hour:     from %s, %lld questions, which take %s\n"
#define PLAN_LIMITS "limits:           %lld questions a second, %lld at a time; each Pixel once in %s, and when its end comes nearer\n"
#define PLAN_CONFIRM "second looks:     %lld waiting; each refusal is asked about once more, %s later\n"
#define PLAN_CANARY "canary:           %s, proven last, is asked first, alone\n"
#define PLAN_BREAKER_OPEN "breaker:          open until %s, TikTok throttled us (%lld in a row): nothing is asked before\n"
#define PLAN_BREAKER_CLOSED "breaker:          closed, TikTok does not throttle us\n"

/* ---- levels ---- */
#define LEVELS_NONE "from %s until %s: none of these Pixels was stored then; look at another time with --month or --since\n"
#define LEVELS_HEAD "from %s until %s, %llu Pixels\n\n"
#define LEVELS_WORKING "working token:            %s of the time\n"
#define LEVELS_DEAD "dead token:               %s\n"
#define LEVELS_UNKNOWN "not known:                %s\n"
#define LEVELS_AT_RISK "conversion hours at risk: %s, at most %s (weight times hours with a dead token)\n"
#define LEVELS_INCIDENTS "incidents:                %llu, of which %llu went on at the end\n"
#define LEVELS_DETECT "time to detect:          "
#define LEVELS_REPAIR "time to repair:          "
#define LEVELS_TIMES "%s %s on average, %s at most (%llu known)\n"
#define LEVELS_NO_TIMES "%s none is known\n"
#define LEVELS_AGES                                                                                                    \
	"tokens in use now:        half are older than %s, the oldest is %s old; %llu over 90 days, %llu over 180, %llu "    \
	"over 365\n"
#define LEVELS_CUT                                                                                                     \
	"of %llu Pixels the verdicts that are kept do not reach back to the beginning: what was before counts as not known\n"
#define LEVELS_CLOCK "of %llu Pixels the times are unsure: the clock was set back\n"
#define LEVELS_BY "by %s"
#define LEVELS_NOT_YET "not yet"
#define LEVELS_REST "the other %zu Pixels: %s hours at risk\n"

/* ---- match ---- */
#define ASK_MATCH "Token to look for (not shown): "
#define TXT_MATCH_NO_TOKEN "there is no token to look for", "give it on standard input: vault match < FILE"

/* ---- render ---- */
#define TXT_TEMPLATE_WORD                                                                                              \
	"%.160s:%u:%u: there is no placeholder '%s'",                                                                  \
		"write {{ token PIXEL }} or {{ previous PIXEL }}; two braces themselves are {{ \"{{\" }}"
#define TXT_TEMPLATE_PIXEL "%.120s:%u:%u: %.160s", "a placeholder names its Pixel: {{ token PIXEL }}"
#define TXT_TEMPLATE_FILTER                                                                                            \
	"%.160s:%u:%u: there is no filter '%s'", "the filters are json, shell, env, url and base64: {{ token PIXEL | json }}"
#define TXT_TEMPLATE_OPEN                                                                                              \
	"%.160s:%u:%u: the placeholder that begins at %u:%u should end here with }}", "such as {{ token PIXEL | json }}"
#define TXT_RENDER_NEEDS_TO "'--json' and '--owner' speak of a file, and none is named", "add --to FILE"
#define TXT_OWN_FILE                                                                                                   \
	"'%s' belongs to the vault: the vault itself, what lies beside it, its key, its configuration or its state",   \
		"name another file; nothing was written"
#define TXT_RENDER_TEMPLATE "'%s' is the template itself", "name another file with --to; nothing was written"
#define TXT_RENDER_NO_FILE "'%s' is there, and is no plain file", "name another file with --to, or take that away"
#define TXT_RENDER_UNWRITABLE "'%.200s' cannot be written: %s", "check its folder's permissions and free space; nothing was changed"
#define TXT_RENDER_OWNER                                                                                               \
	"'%.200s' cannot be given to %u:%u: %s", "run as root to write files for others; nothing was changed"
#define TXT_OWNER_NO_USER "'--owner' names no user of this machine: '%s'", "write USER or USER:GROUP, names or numbers"
#define TXT_OWNER_NO_GROUP "'--owner' names no group of this machine: '%s'", "write USER or USER:GROUP, names or numbers"
#define SAY_RENDERED "'%s' was written"

/* ---- scan ---- */
#define TXT_SCAN_NOTHING "nothing to look into was named", "name files and folders, '-' for standard input, or --environ"
#define TXT_SCAN_PROC "the processes of this machine cannot be listed: %s", "is /proc mounted?"
#define SAY_SCAN_UNREAD "not looked into: '%s': %s"
#define SAY_SCAN_MORE "'%s' holds tokens in %zu more places"
#define SAY_SCAN_GIT                                                                                                   \
	"not looked into: '%s' is compressed by git; to do it: git -C '%s' cat-file --batch-all-objects --batch "      \
	"--unordered | vault scan -"
#define SAY_SCAN_FOREIGN "%llu process%s of others could not be looked into: %s"
#define SAY_SCAN_AS_ROOT "root may"
#define SAY_SCAN_NOT_ROOT_EITHER "this system lets not even root"
#define SAY_SCAN_FOUND "%llu place%s with a token in clear"
#define HINT_SCAN_FOUND "replace each of these tokens (vault rotate PIXEL), revoke the old one, then take it away there"
/* alert */
#define TXT_ALERT_USAGE "alert takes list, ack ALERT or test NAME", "see: vault alert --help"
#define TXT_ALERT_SILENT "nothing was heard of the message to [alert %.49s]", "see whether vault-agent lies beside this program"
#define SAY_ALERT_NONE "no alert is open"
#define SAY_ALERT_ACKED "alert %s is acknowledged %s%s"
#define SAY_ALERT_ARRIVED "[alert %s] took the message"
#define SAY_ALERT_FAILED "[alert %s] did not take the message: %s"
#define HINT_ALERT_LATER "alerts wait and are sent again; this test is not"
#define HINT_ALERT_REFUSED "put right what [alert NAME] says in the configuration, and test again"
#define SAY_ALERT_WAITS "[alert %s]: %lld message%s wait, tried %lld time%s in vain%s%s; next try %s"
#define SAY_ALERT_REFUSED "[alert %s] did not take its last message: %s"
#define SAY_MISSED "the last check of all Pixels was %s ago, 'interval' is %s: does cron still run it?"

/* ---- import and export ---- */
#define ASK_BUNDLE "Passphrase of the export file: "
#define ASK_BUNDLE_NEW "Passphrase for the export file, at least %u characters: "
#define ASK_IMPORT "Are the columns right, and shall %zu tokens be stored? Type yes: "
#define ASK_SHRED                                                                                                      \
	"'%s' still holds the tokens in clear. Overwrite and delete it now? Type yes: "
#define TXT_BUNDLE_NO_ASKING                                                                                           \
	"the export file needs a passphrase, and there is nobody to ask",                                              \
		"--passphrase-fd N or --passphrase-file F; or seal to a vault's public key with --to"
#define TXT_IMPORT_TERMINAL "the file to import is standard input, and that is a terminal", "vault import FILE; or: vault import - < FILE"
#define TXT_IMPORT_LARGE "'%s' is longer than %zu bytes", "split it; each part is imported as a whole"
#define TXT_IMPORT_MAPS "more than %d times --map", "name only the columns that are not known by their header"
#define TXT_IMPORT_NOT_CONFIRMED "nothing was stored", "say what the columns hold with --map COLUMN=FIELD"
#define TXT_SHRED_STDIN "standard input cannot be shredded", "give the file by its name: vault import FILE --shred"
#define TXT_SHRED_LINK "'%s' is a link: it cannot be shredded", "name the file that it leads to; nothing was stored"
#define TXT_SHRED_REST                                                                                                 \
	"'%s' holds %zu %s%s that would not be taken, and --shred would destroy all of it",                            \
		"leave --shred away; or give each up: --map NAME=none; nothing was stored"
#define TXT_SHRED_FAILED                                                                                               \
	"the tokens are stored, but '%s' could not be shredded: %s", "it may still hold them in clear: delete it by hand"
#define TXT_SHRED_NOT_PLAIN                                                                                            \
	"the tokens are stored, but '%s' is no plain file with one name and was left alone",                           \
		"find its other names and delete them all by hand"
#define TXT_SHRED_CHANGED                                                                                              \
	"the tokens are stored, but '%s' was changed since it was read and was left alone",                            \
		"look at what is in it now; then import it again, or delete it by hand"
#define SAY_SHREDDED                                                                                                   \
	"'%s' was overwritten and deleted. Copies of it are not: backups, snapshots, spare blocks of an SSD, git, mail "   \
	"and the spreadsheet that it came from"
#define SAY_SOURCE_STAYS "'%s' still holds the tokens in clear: delete it, or use --shred"
#define SAY_IMPORT_COLUMN_NAMED "column %zu, '%s': %s"
#define SAY_IMPORT_COLUMN "column %zu: %s"
#define SAY_IMPORT_VARIABLES "variables that hold a token: %zu; others, which are not taken: %zu"
#define SAY_IMPORT_STRANGE_HEADER "the first row is taken for a header; its names are not known"
#define SAY_IMPORT_REMOVED "taken away around tokens: %s"
#define SAY_IMPORT_ASKING "asking TikTok about %zu tokens, at most %u a second; nothing is stored before the last answer"
#define SAY_IMPORT_REFUSED "row %zu, %s: %s"
#define SAY_IMPORT_ALSO "row %zu, %s: this very token is stored for %s too"
#define SAY_IMPORT_ALSO_JSON "this very token is stored for another Pixel too"
#define SAY_IMPORT_DONE "imported: tokens that are current now: %zu; that wait: %zu; that were current already: %zu"
#define SAY_IMPORT_WOULD                                                                                               \
	"all is well, nothing was stored: tokens that would be current: %zu; that would wait: %zu; that are current "  \
	"already: %zu"
#define SAY_IMPORT_WAITING                                                                                             \
	"those that wait have a Pixel with another current token; the next check proves them: vault check"
#define TXT_EXPORT_NO_FILE "no file was named for the export", "vault export --to-file F; nothing goes to standard output in clear"
#define TXT_EXPORT_SHOW_ALONE "--show-key takes no Pixels and no other options", "it prints the vault's public key, and nothing else"
#define TXT_EXPORT_EXISTS "'%s' is there already", "name another file; or put the export in its place with --force"
#define TXT_EXPORT_TARGET "'%s' cannot be looked at: %s", "check the path and its permissions"
#define TXT_EXPORT_NOT_PLAIN "'%s' is no plain file", "name another one"
#define TXT_EXPORT_LARGE "this is more than %zu bytes of tokens and labels", "export it in parts: name Pixels, or select by label with -l"
#define TXT_EXPORT_NOTHING "there is no current token to export", "see what is stored with: vault status"
#define SAY_EXPORT_NO_CURRENT "%s has no current token and is left out"
#define SAY_EXPORT_FAMILY "%zu of them are renewed by themselves here: the copy goes without what renews it, and runs out"
#define SAY_EXPORT_DONE "%zu token%s written to '%s', sealed"

/* ---- listing ---- */
#define TXT_LISTING_WORD "'%s' is nothing that listing can do", "one of: listing put, listing list, listing rm"
#define TXT_LISTING_LIST "listing list takes no name", "it shows all: vault listing list"
#define TXT_LISTING_NAME                                                                                               \
	"listing %s needs the name of a list",                                                                         \
		"write bc:ID or advertiser:ID, with the numeric id of the Business Center or ad account"
#define SAY_LISTING_UNCHANGED "%s: this token is in use already, as version %u; nothing to do"
#define SAY_LISTING_READ "%s: version %u is in use; %s"
#define SAY_LISTING_NOT_READ                                                                                           \
	"%s: version %u is stored, but the list could not be read (%s%s%.120s); the next check of all tries again"
#define SAY_LISTING_NOT_ASKED "%s: version %u is in use, unread as you asked; the next check of all reads the list"
#define SAY_NO_LISTING "no listing token is stored; the first: vault listing put bc:ID"
#define SAY_LISTING_REMOVED "%s lists no more; the next 'vault listing put' brings it back"
#define SAY_LISTING_GONE "%s is removed already; nothing to do"

#endif
