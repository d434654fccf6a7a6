/* vault/text.h - every sentence of this layer: message, then what to do next. */
#ifndef VAULT_TEXT_H
#define VAULT_TEXT_H

/* what a person typed */
#define TXT_PIXEL_EMPTY                                                                                                \
	"a Pixel code is missing", "copy it from Events Manager: the 20 characters under the Pixel's name"
#define TXT_PIXEL_NUMERIC                                                                                              \
	"'%.40s' is the numeric Pixel ID, the Events API wants the Pixel code",                                        \
		"in Events Manager the code stands beside the ID: 20 characters such as C0U2T02IU8J6B9GC2B90"
#define TXT_PIXEL_LOWER                                                                                                \
	"the Pixel code '%.40s' is in lower case; did you mean '%.40s'?", "Pixel codes are written in capitals"
#define TXT_PIXEL_BAD                                                                                                  \
	"'%s' is not a Pixel code", "a Pixel code is 8 to 40 capitals and digits; TikTok shows it in Events Manager"
#define TXT_PIXEL_LONG                                                                                                 \
	"what stands in the place of the Pixel code is %zu characters long and not one",                               \
		"a Pixel code is 8 to 40 capitals and digits; a token goes to standard input, never on the command "   \
		"line"
#define TXT_LIST_NAME                                                                                                  \
	"'%.40s' names no list of Pixels",                                                                             \
		"write bc:ID or advertiser:ID, with the numeric id of the Business Center or ad account"
#define TXT_TEST_CODE_BAD                                                                                              \
	"the test code must be 1 to 64 printable characters without blanks",                                           \
		"copy it from the Test events tab of the Pixel; it looks like TEST12345"
#define TXT_LABEL_BAD                                                                                                  \
	"'%.80s' is not a label of the form KEY=VALUE",                                                                \
		"a key is 1 to 32 of a-z 0-9 _ . -, a value at most 64 bytes of UTF-8 text"
#define TXT_LABELS_MANY "more than 16 labels for Pixel '%s'", "remove one with: vault label PIXEL KEY="
#define TXT_NAME_BAD "'%.80s' is not a name for a consumer", "use 1 to 64 letters, digits and _ . @ : / -"
#define TXT_NAME_RESERVED                                                                                              \
	"'%.80s' is no name to choose: uid: and unit: begin the names of consumers that chose none",                   \
		"leave the name out, or choose another one"
#define TXT_TOKEN_EMPTY                                                                                                \
	"the token is empty", "copy it again from Events Manager: Settings, Events API, Generate access token"
#define TXT_TOKEN_SHORT                                                                                                \
	"the token is too short: %zu characters, at least 8 are needed",                                               \
		"the copy was cut off; copy the whole token again"
#define TXT_TOKEN_LONG "the token is longer than 4095 characters", "this is not an access token; check what was pasted"
#define TXT_TOKEN_BLANK                                                                                                \
	"the token has a blank, line break or control character inside",                                               \
		"copy it again in one piece; two values were pasted?"
#define TXT_TOKEN_ASCII                                                                                                \
	"the token has a character that is not plain ASCII",                                                           \
		"an editor or chat changed it; copy it again from Events Manager"
#define TXT_TOKEN_IS_PIXEL                                                                                             \
	"this is a Pixel code, not a token", "the Pixel code goes on the command line, the token here"
#define TXT_TOKEN_IS_ID                                                                                                \
	"this is a number such as a Pixel ID or advertiser ID, not a token",                                           \
		"copy the access token: Events Manager, Settings, Events API, Generate access token"
#define TXT_TOKEN_IS_REFRESH                                                                                           \
	"this is a refresh token (it begins with rft.), not an access token", "store the access token that came with " \
									      "it"
#define TXT_PASTE_EMPTY "%s is empty", "copy it again, all of it"
#define TXT_PASTE_CHARACTERS                                                                                           \
	"%s has blanks, line ends or letters beyond ASCII inside", "copy it again, alone and as it is shown"
#define TXT_PASTE_LENGTH                                                                                               \
	"%s has %zu characters, which cannot be right: %zu to %zu are expected", "copy it again, all of it and nothing else"
#define TXT_GRANT_JSON                                                                                                 \
	"what was given for a family is no JSON object: %s",                                                           \
		"{\"client_id\":\"...\",\"client_secret\":\"...\",\"refresh_token\":\"...\"}, and \"access_token\" if there is one"
#define TXT_GRANT_MEMBER                                                                                               \
	"'%s' is none of the members of a family's document",                                                          \
		"client_id, client_secret, refresh_token; and if known access_token, expires_in, refresh_token_expires_in"
#define TXT_GRANT_MISSING "the document has no %s", "client_id, client_secret and refresh_token are needed, each a text"
#define TXT_GRANT_NO_TEXT "%s is no text in quotes", "client_id, client_secret, refresh_token and access_token are texts"
#define TXT_GRANT_SECONDS "%s is no number of seconds", "take it from TikTok's answer, or leave it out"
#define TXT_GRANT_SWAPPED                                                                                              \
	"%s begins like %s",                                                                                           \
		"access tokens of TikTok begin with act. and refresh tokens with rft.: look which goes where"
#define TXT_GRANT_SAME "access_token and refresh_token are the same", "copy both from TikTok's answer again"
#define TXT_GRANT_CLIENT                                                                                               \
	"the client id of the Accounts API is a number, and this one is none",                                         \
		"it is the app's id in the developer portal; a client key belongs to --family login"
#define TXT_NO_TOKEN_YET                                                                                               \
	"version %u of Pixel '%s' has no access token yet", "vault check asks TikTok for one with its refresh token"
#define TXT_GRANT_TAMPERED                                                                                             \
	"what renews version %u of Pixel '%s' is not what the vault's inventory names", HINT_TAMPERED
#define TXT_GRANT_GONE                                                                                                 \
	"version %u of Pixel '%s' is not renewed any more", "a newer version is; see: vault history"
#define TXT_TOKEN_IS_URL "this is a web address, not a token", "copy the access token itself"
#define TXT_TOKEN_IS_JSON "this is JSON, not a token", "copy only the value of access_token, without braces and quotes"
#define TXT_VERSIONS_FULL                                                                                              \
	"Pixel '%s' has no place for another version", "this cannot happen with retired versions; run: vault verify"

/* the vault and its keys */
#define TXT_NO_VAULT "there is no vault at '%s'", "make one with: vault init; or name another with --vault"
#define TXT_VAULT_EXISTS "there is a vault at '%s' already", "use it, or name another place with --vault"
#define TXT_NO_PIXEL                                                                                                   \
	"no token is stored for Pixel '%s'", "see what is stored with: vault list; store one with: vault put"
#define TXT_PIXEL_DELETED "Pixel '%s' was deleted", "bring it back with: vault rm --restore PIXEL"
#define TXT_NO_VERSION "Pixel '%s' has no version %u", "see its versions with: vault history PIXEL"
#define TXT_WRONG_KEY "the %s does not open this vault", "check that it belongs to this vault; nothing was changed"
#define TXT_NO_SLOT "this vault cannot be opened by a %s", "use what it was made with: key file or passphrase"
#define TXT_SEALED "the vault is sealed", "unlock it first"
#define TXT_KEY_LENGTH "the key is %zu bytes long, it must be 32", "use the key file that vault init wrote"
#define TXT_PASSPHRASE_LENGTH "the passphrase is empty or longer than 4096 bytes", "type the passphrase of this vault"
#define TXT_KDF_FAILED                                                                                                 \
	"there is not enough memory to try the passphrase: %u MiB are needed", "free some memory and try again"
#define TXT_RECOVERY_TYPO                                                                                              \
	"this is not a recovery key, or a character of it is wrong", "type the eight groups as they were shown"
#define TXT_ROOT_MOVED                                                                                                 \
	"the vault changed while it was being read", "try again; if this happens always, run: vault verify"

/* damage, tampering, rollback: what was seen; what was not done; what to do */
#define HINT_DAMAGED "nothing was changed and nothing handed out; put a good backup in place, or check the disk"
#define HINT_TAMPERED "nothing was handed out; find out who wrote to the file, then put a good copy in place"
#define TXT_FORMAT "the %s of vault '%s' is not in a form this program knows", HINT_DAMAGED
#define TXT_FORMAT_NEWER                                                                                               \
	"vault '%s' was written by a newer version of this program", "upgrade pixelvault; nothing was changed"
#define TXT_SLOT_LIMIT                                                                                                 \
	"a key slot demands a cost outside the allowed limits",                                                        \
		"the file was damaged or made by somebody else; put a good copy in place"
#define TXT_SLOTS_TAMPERED "the key slots of vault '%s' were damaged or changed by somebody else", HINT_TAMPERED
#define TXT_SLOTS_LOST "no key slot of vault '%s' is left in a form this program knows", HINT_DAMAGED
#define TXT_SLOTS_FULL "the vault has %u keys, and no room for more", "remove one that nobody needs: vault slot remove ID"
#define TXT_SLOT_UNKNOWN "no key of this vault has that id", "see which there are: vault slot list"
#define TXT_SLOT_TAKEN "this %s opens the vault already", "see what opens it: vault slot list; nothing was changed"
#define TXT_SLOT_LAST                                                                                                  \
	"this is the only key: without it nothing would open the vault", "add another one first: vault slot add"
#define TXT_SLOT_IN_USE                                                                                                \
	"the vault was opened with this very key, so nothing shows that another one still works",                      \
		"open it with one that stays: --ask asks for a passphrase or recovery key, --with-key takes a key file"
#define TXT_SLOT_OPENER_GONE                                                                                           \
	"the key that opened the vault was removed or changed meanwhile, so nothing shows that another one works",     \
		"look what is left: vault slot list; nothing was changed"
#define TXT_SLOT_UNPROVEN "the new key does not open the vault; nothing was changed", "try again; the memory may be faulty"
#define TXT_SLOTS_WHOLE "the key slots of vault '%s' are whole", "there is nothing to repair"
#define TXT_ROOT_KEY_CHANGED                                                                                           \
	"the root key of vault '%s' was changed meanwhile (rotate-key)",                                               \
		"run the command again; where an agent runs: vault unlock"
#define TXT_LOG_KEYS_TAMPERED                                                                                          \
	"the record with the audit log's keys in vault '%s' is missing, damaged or changed", HINT_TAMPERED
#define TXT_LEAF_FULL "the inventory has no room for so many Pixels", "no vault holds that many; please report it"
#define TXT_ROTATE_SLOTS                                                                                               \
	"a key of this vault was added, changed or removed meanwhile, so the root key was not changed",                \
		"look what opens it now: vault slot list; then do it again"
#define TXT_ROTATE_ANCHOR                                                                                              \
	"the anchor '%s' cannot be written, so the root key was not changed", "check owner, mode and space of the state folder"
#define TXT_ROLLED_BACK_KEY                                                                                            \
	"the vault at '%s' is older than the last change of its root key on this host (rotate-key)",                   \
		"an old copy was put in its place; put the newest back; the key in force is needed for that one"
#define TXT_ROTATE_DAMAGED "the root key cannot be changed while a record is damaged: %s", \
	"see all faults with: vault verify; mend them (put the token again, or rm --destroy); nothing was changed"
#define TXT_ROOT_TAMPERED "the root record of vault '%s' was damaged or changed by somebody else", HINT_TAMPERED
#define TXT_NODE_TAMPERED "the inventory of vault '%s' was damaged or changed (node %s)", HINT_TAMPERED
#define TXT_RECORD_MISSING "a record of Pixel '%s' is missing from the vault: somebody deleted it", HINT_TAMPERED
#define TXT_RECORD_TAMPERED "a record of Pixel '%s' is not the one the vault's inventory names", HINT_TAMPERED
#define TXT_TOKEN_MISSING "version %u of Pixel '%s' is missing from the vault: somebody deleted it", HINT_TAMPERED
#define TXT_TOKEN_TAMPERED "version %u of Pixel '%s' is not the token the vault's inventory names", HINT_TAMPERED
#define TXT_VERIFY_FAULTS "the vault is damaged or was changed: %s", HINT_TAMPERED
#define TXT_ROLLED_BACK                                                                                                \
	"vault '%s' is older than this host remembers (generation %llu, expected at least %llu): an old copy was put " \
	"back",                                                                                                        \
		"put the newest copy in place; nothing was handed out"
#define TXT_FORKED                                                                                                     \
	"vault '%s' is not the one this host remembers: another vault or another history lies at its place",           \
		"put the right file in place; two copies must not be written separately"
#define TXT_REPLACED                                                                                                   \
	"another file was put in place of the vault '%s' while it was open",                                           \
		"if it was restored or moved there on purpose: vault unlock; else find out who did it"
#define TXT_NO_FILE "there is no file '%s'", "look at the path"
#define TXT_COPY_ODD "'%s' is not a regular file", "name the file that 'vault backup' wrote"
#define TXT_COPY_UNREADABLE "'%s' cannot be read: %s", "look at its path, its owner and its mode"
#define TXT_COPY_LIVE                                                                                                  \
	"'%s' has a log '%s-wal' beside it: it is a vault in use, or a copy of one made by other means",               \
		"make a backup with: vault --vault FILE backup NAME"
#define TXT_CHECKPOINT_FORM "this is not a checkpoint", "give the line that 'vault checkpoint' or 'vault backup' printed"
#define TXT_CHECKPOINT_OTHER                                                                                           \
	"the checkpoint is of another vault", "name the right vault with --vault, or find its own checkpoint"
#define TXT_CHECKPOINT_OLDER                                                                                           \
	"the vault is at generation %llu, and the checkpoint was taken at generation %llu: this is an older copy",     \
		"find the newer one, or restore the latest backup; if there is none: vault adopt --first-use"
#define TXT_CHECKPOINT_FORKED                                                                                          \
	"the vault did not come out of generation %llu as the checkpoint has it: two copies were written separately",  \
		"find the right copy; to go on with this one all the same: vault adopt --first-use"
#define TXT_BACKUP_EXISTS "'%s' exists already", "give another name; or replace it with --force"
#define TXT_BACKUP_SELF "'%s' is the vault itself", "give another name for the backup"
#define TXT_RESTORE_SELF "'%s' is the vault itself", "name the file that 'vault backup' wrote"
#define TXT_RESTORE_OTHER                                                                                              \
	"this is a backup of another vault than '%s'",                                                                 \
		"look at the names; to have it here all the same, move the present vault away first"
#define TXT_REPAIR_NOT_THERE                                                                                           \
	"this backup has no token of Pixel '%s'", "try an older backup; or make a new token at TikTok: vault put"
#define TXT_REPAIR_TWICE "Pixel '%s' is named twice", "name each Pixel once; nothing was changed"
#define TXT_REPAIR_NODE                                                                                                \
	"the inventory above Pixel '%s' is damaged (node %s), and was changed since this backup",                      \
		"try a newer backup; or put all of it back: vault restore FILE; nothing was changed"
#define TXT_REPAIR_OLDER                                                                                               \
	"Pixel '%s' might get an older token than it has; nothing was changed",                                        \
		"try a newer backup; or leave the Pixel out"
#define TXT_REPAIR_MOVED                                                                                               \
	"the vault was changed meanwhile, so what was shown is not what would be done; nothing was changed",           \
		"run the command again"
#define TXT_ANCHOR_FAR                                                                                                 \
	"vault '%s' is more than 32 changes ahead of this host's anchor",                                              \
		"the state folder was put back from an older copy; see: vault adopt --help"
#define TXT_ANCHOR_MISSING                                                                                             \
	"this host has no anchor for vault '%s', so a rolled-back copy could not be noticed",                          \
		"if this vault was moved here on purpose: vault adopt --first-use; else find out who removed it"
#define TXT_ANCHOR_UNREADABLE "the anchor '%s' cannot be read: %s", "check owner and mode of the state folder"
#define TXT_ANCHOR_UNWRITABLE                                                                                          \
	"the anchor '%s' cannot be written: %s", "the change is stored; mend the state folder, then run: vault verify"

#define TXT_CHANGE_SILENT "a change was refused without a reason", "this is a mistake in pixelvault; please report it"

/* the audit log */
#define HINT_AUDIT_LOST                                                                                                \
	"find out who did that; look with: vault audit verify; to go on all the same: vault audit accept-loss"
#define TXT_AUDIT_MISSING "the audit log '%s' is missing, and there was one up to entry %llu", HINT_AUDIT_LOST
#define TXT_AUDIT_CUT "the audit log '%s' ends at entry %llu, and there was one up to entry %llu", HINT_AUDIT_LOST
#define TXT_AUDIT_OTHER                                                                                                \
	"the audit log '%s' is not the one this host remembers: entry %llu is another one", HINT_AUDIT_LOST
#define TXT_AUDIT_CHANGED "the audit log '%s' was changed near entry %llu", HINT_AUDIT_LOST
#define TXT_AUDIT_SHRUNK "the audit log '%s' became shorter while it was in use", HINT_AUDIT_LOST
#define TXT_AUDIT_GONE                                                                                                 \
	"the audit log '%s' was removed or renamed while it was in use",                                               \
		"put it back under its name; nothing is handed out without it"
#define TXT_AUDIT_UNSEEN                                                                                               \
	"the audit log '%s' cannot be looked at: %s",                                                                  \
		"check the disk and the rights of its folder; without the log nothing is handed out"
#define TXT_AUDIT_REPLACED                                                                                             \
	"another file was put in the place of the audit log '%s'",                                                     \
		"put the right one back; after vault audit accept-loss: lock and unlock the agent"
#define TXT_AUDIT_NOT_PLAIN                                                                                            \
	"the audit log '%s' is not a plain file with one name", "remove the link; nothing is handed out without it"
#define TXT_AUDIT_MODE                                                                                                 \
	"the audit log '%s' is open to others (mode %04o)", "make it private again: chmod 600 FILE"
#define TXT_AUDIT_OWNER                                                                                                \
	"the audit log '%s' belongs to uid %u, which is neither you nor root", "find out who put it there"
#define TXT_AUDIT_DENIED                                                                                               \
	"the audit log '%s' cannot be written: %s",                                                                    \
		"check owner, mode and that the file system is not read-only; without the log nothing is handed out"
#define TXT_AUDIT_FULL                                                                                                 \
	"there is no space left for the audit log '%s'",                                                               \
		"free some space: 4 MiB are kept for it; without the log nothing is handed out or changed"
#define TXT_AUDIT_BROKEN                                                                                               \
	"the disk lost a part of the audit log '%s': %s",                                                              \
		"check the disk, start the program again, then run: vault audit verify"
#define TXT_AUDIT_FAILED                                                                                               \
	"the audit log '%s' could not be made durable before",                                                         \
		"check the disk, start the program again, then run: vault audit verify"
#define TXT_AUDIT_BUSY                                                                                                 \
	"another program keeps the audit log '%s' locked",                                                             \
		"try again; if nothing else runs, look for a stopped pixelvault process"
#define TXT_AUDIT_UNREADABLE "the audit log '%s' cannot be read: %s", "check owner and mode of the state folder"
#define TXT_AUDIT_DOUBTED                                                                                              \
	"the vault was only opened to look at its audit log", "this is a mistake in pixelvault; please report it"
#define TXT_AUDIT_WHOLE "the audit log '%s' is whole", "there is no loss to accept"

/* the store */
#define TXT_STORE_BUSY                                                                                                 \
	"another program is changing the vault and did not finish within %d seconds",                                  \
		"try again; if nothing else runs, look for a stopped pixelvault process"
#define TXT_STORE_FULL                                                                                                 \
	"there is no space left for the vault '%s'", "free some space; what was stored before is still there"
#define TXT_STORE_READ_ONLY                                                                                            \
	"the vault '%s' cannot be written here: %s", "check owner, mode and that the file system is not read-only"
#define TXT_STORE_IO                                                                                                   \
	"the storage of vault '%s' failed: %s",                                                                        \
		"check the disk; what was stored before is still there; then run: vault verify"
#define TXT_STORE_LOST                                                                                                 \
	"an earlier write to the vault '%s' was lost: nothing is written any more",                                    \
		"check the disk, start the program (or the agent) again, then run: vault verify"
#define TXT_STORE_UNKNOWN "the storage of vault '%s' failed while a change was being stored: it may be there or not", \
	"check the disk, then look what is stored: vault status, vault verify"
#define TXT_STORE_CORRUPT "the vault file '%s' is damaged: %s", HINT_DAMAGED
#define TXT_STORE_SHARED                                                                                               \
	"the vault '%s' lies on a network file system, where locks cannot be trusted", "keep it on a local disk"
#define TXT_STORE_CONDITION "the vault changed meanwhile", "try again in a moment; nothing was changed"
#define TXT_STORE_KEY                                                                                                  \
	"the key '%.80s' or its value is not allowed in the store", "this is a mistake in pixelvault; please report "  \
								    "it"
#define TXT_STORE_NESTED                                                                                               \
	"the store was asked to change while it was being read", "this is a mistake in pixelvault; please report it"
#define TXT_STORE_LOCKED "'%s' is being done by another program right now", "wait until it has finished"

/* ---- export files ---- */
#define TXT_BUNDLE_KEY_FORM                                                                                            \
	"this is not the public key of a vault", "copy what 'vault export --show-key' prints there: it begins with pxk1-"
#define TXT_BUNDLE_KEY_SUM                                                                                             \
	"the public key was mistyped or cut off: its checksum does not fit",                                           \
		"copy all of what 'vault export --show-key' prints there"
#define TXT_BUNDLE_KEY_WEAK "this public key is none that a vault could have", "ask for it again; nothing was written"
#define TXT_BUNDLE_LARGE                                                                                               \
	"this is more than %zu bytes of tokens and labels", "export it in parts: name Pixels, or select by label with -l"
#define TXT_BUNDLE_NO_VAULT "'%s' is an export file, no vault and no backup", "take its tokens in with: vault import"
#define TXT_BUNDLE_FORM                                                                                                \
	"the export file is cut off, or not in a form this program knows",                                             \
		"copy it again; if a newer pixelvault wrote it, install that one here"
#define TXT_BUNDLE_LIMIT                                                                                               \
	"the export file asks for more work to open it than any that pixelvault writes", "it was changed: copy it again"
#define TXT_BUNDLE_TAMPERED "the export file was changed since it was written", "copy it again from where it was made"
#define TXT_BUNDLE_PASSPHRASE                                                                                          \
	"this passphrase does not open the export file", "it is the one that was chosen at the export, not the vault's"
#define TXT_BUNDLE_OTHER_VAULT                                                                                         \
	"the export file is sealed to another vault's key",                                                            \
		"import it there; or export again to this one: its key is what 'vault export --show-key' prints"

#endif
