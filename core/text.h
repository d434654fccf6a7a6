/* core/text.h - every sentence of this layer: message, then what to do next. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#define TXT_FILE_NOT_REGULAR                                                                                           \
	"'%s' is not a regular file", "give the path of a plain file, not of a link, pipe or folder"
#define TXT_FILE_FOREIGN                                                                                               \
	"'%s' belongs to uid %u, which is neither you nor root",                                                       \
		"change its owner with chown, or use a file of your own"
#define TXT_FILE_WRITABLE                                                                                              \
	"'%s' may be changed by others (mode %04o)", "take the right away: chmod go-w FILE; then check what it holds"
#define TXT_FILE_TOO_OPEN                                                                                              \
	"'%s' is open to others (mode %04o)",                                                                          \
		"make it private with chmod 600 FILE; if others may have read it, replace it"
#define TXT_FILE_UNREADABLE "'%s' cannot be read: %s", "check the path and its permissions"
#define TXT_FILE_TOO_LONG "'%s' is longer than %zu bytes", "is this the right file?"
#define TXT_FILE_UNWRITABLE                                                                                            \
	"'%s' cannot be written: %s", "check free space, quota and permissions; what was stored before is still there"
#define TXT_PATH_TOO_LONG "the path '%s' is empty or too long", "use a shorter path"
#define TXT_PATH_IS_FOLDER "'%s' names a folder, not a file", "add a file name, such as vault.db"
#define TXT_FOLDER_UNREADABLE "the folder '%s' cannot be opened: %s", "check the path; vault init makes it"
#define TXT_FOLDER_UNWRITABLE "the folder '%s' cannot be made: %s", "check the path and the permissions of its parents"
#define TXT_FOLDER_TOO_OPEN                                                                                            \
	"the folder '%s' belongs to another user or may be written by others", "use a private folder: chmod 700 "      \
									       "FOLDER"
#define TXT_SIBLING_MISSING                                                                                            \
	"the program '%s' is not beside this one", "install both programs in one folder (make install does)"
#define TXT_PIECE_MISSING "'%s', a part of this program, cannot be found", "is /proc mounted?"
#define TXT_PIECE_FAILED                                                                                               \
	"a part of this program cannot be started: %s: %s", "install it again with both its files (make install does)"
#define TXT_START_FAILED                                                                                               \
	"'%s' could not be started: %s", "check that it is installed, executable and that memory is left"
#define TXT_HARDEN_FAILED                                                                                              \
	"this process could not be protected: %s", "a sandbox around it forbids prctl or setrlimit; allow them"

/* clock */
#define TXT_TIME_NOT_A_DATE "'%s' does not begin with a date", "write it like 2026-11-23 or 2026-11-23T04:05:06Z"
#define TXT_TIME_NOT_A_TIME "'%s' has no time of day behind its date", "write it like 2026-11-23T04:05:06Z"
#define TXT_TIME_NO_OFFSET                                                                                             \
	"'%s' does not end in Z or an offset from UTC",                                                                \
		"write it like 2026-11-23T04:05:06Z or 2026-11-23T05:05:06+01:00"
#define TXT_TIME_OUT_OF_RANGE "'%s' lies outside the years 1970 to 9999", "is the year right?"

/* config: what is wrong with a line (FILE:LINE: comes in front), and what to do; hints of sentences with arguments */
#define TXT_CONFIG_LONG_LINE "line longer than 190 bytes", "shorten it; a long list may be split over several sections"
#define TXT_CONFIG_BOM "the file begins with a byte order mark", "save it as plain UTF-8 without byte order mark"
#define TXT_CONFIG_NOT_UTF8 "text that is not UTF-8", "save the file as UTF-8"
#define TXT_CONFIG_CR "a carriage return", "save the file with Unix line ends: sed -i 's/\\r$//' FILE"
#define TXT_CONFIG_CONTROL "a control character", "remove it; tab is the only one allowed"
#define TXT_CONFIG_INDENTED "a blank before the text", "begin the line in its first column; values cannot be continued"
#define TXT_CONFIG_INLINE_COMMENT                                                                                      \
	"a blank and then ';' or '#' behind text", "put the comment on a line of its own; no value may hold these"
#define TXT_CONFIG_NO_BRACKET "a section without ']'", "write it like [check]"
#define TXT_CONFIG_BEHIND_BRACKET "text behind ']'", "put it on a line of its own"
#define TXT_CONFIG_LONG_SECTION "a section longer than 49 bytes", "use a shorter name"
#define TXT_CONFIG_MANY_SECTIONS "more than 512 sections", "join rules that say the same"
#define TXT_CONFIG_OUTSIDE "text outside a section", "put it below a section such as [check]"
#define TXT_CONFIG_NO_EQUALS "a line without '='", "write it like: interval = 6h"
#define TXT_CONFIG_NO_KEY "a line without a key before '='", "write it like: interval = 6h"
#define TXT_CONFIG_NO_VALUE "a key without a value", "give it a value, or remove the line to get the default"
#define TXT_CONFIG_NOT_INI "a line that cannot be read", "write sections like [check] and keys like: interval = 6h"
#define TXT_HINT_CONFIG_SECRET                                                                                         \
	"no secret belongs into this file: give tokens to 'vault put', and name the vault's key with key-file or "     \
	"credential"
#define TXT_HINT_CONFIG_MEANT "did you mean '%s'?"
#define TXT_HINT_CONFIG_MEANT_SECTION "did you mean [%s]?"
#define TXT_HINT_CONFIG_ELSEWHERE "'%s' belongs into [%s]"
#define TXT_HINT_CONFIG_SECTIONS "sections are: "
#define TXT_HINT_CONFIG_KEYS "its keys are: "
#define TXT_WHAT_CONFIG_UNKNOWN_SECTION "unknown section [%s]"
#define TXT_WHAT_CONFIG_LONG_UNKNOWN_SECTION "unknown section"
#define TXT_WHAT_CONFIG_UNKNOWN_KEY "unknown key '%s' in [%s]"
#define TXT_WHAT_CONFIG_LONG_UNKNOWN_KEY "unknown key in [%s]"
#define TXT_CONFIG_KEY_TWICE "key '%s' given twice in [%s]", "remove one of the two"
#define TXT_CONFIG_SECTION_TWICE "section [%s] given twice", "join the two"
#define TXT_CONFIG_EMPTY_SECTION "[%s] holds no key", "give it keys, or remove it"
#define TXT_CONFIG_NEEDS_NAME                                                                                          \
	"[%s] needs a name", "write it like [alert ops]: one blank, then letters, digits, '_', '.' or '-'"
#define TXT_CONFIG_TAKES_NO_NAME "[%s] takes no name", "leave the name out"

#endif
