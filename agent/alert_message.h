/* agent/alert_message.h - one message about one cause, as plain data, for whoever renders and sends it
 * (agent/deliver.h).
 *
 * There is no place in it for a token, a key or an address of a sink. All texts are UTF-8 without control characters
 * and ended by NUL; labels are what people stored, so each sink still escapes them in its own way. */
#ifndef AGENT_ALERT_MESSAGE_H
#define AGENT_ALERT_MESSAGE_H

#include "vault/health.h"

enum alert_event {
	ALERT_RAISED,   /* a cause is there, or has grown since the last message */
	ALERT_REMINDER, /* it still is */
	ALERT_RECOVERY, /* all of it is well again */
	ALERT_TEST,     /* somebody tries the sink */
	ALERT_EVENT_COUNT
};
enum alert_severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL, SEVERITY_COUNT };
/* What kind of trouble. Numbers are stored: only add. */
enum alert_kind {
	ALERT_KIND_NONE = 0, /* of a test */
	ALERT_KIND_REFUSED,  /* TikTok refuses the token: verdict says how */
	ALERT_KIND_DUE,      /* it ends soon, or is older than max-age */
	ALERT_KIND_STAND_IN, /* the newest token is refused, an older one serves in its place (failover, rollback) */
	ALERT_KIND_DAMAGED,  /* its record in the vault does not open */
	ALERT_KIND_BLIND,    /* TikTok has given no verdict about any Pixel for long; no entries */
	ALERT_KIND_CLOCK,    /* this machine's clock lies behind what it was; no entries */
	ALERT_KIND_LISTING,  /* a listing token is refused: the entries are lists, no Pixels */
	ALERT_KIND_LISTING_DUE, /* one ends soon, or is older than max-age */
	ALERT_KIND_DECOY,       /* somebody asked for the token of a decoy (agent/decoy.h) */
	ALERT_KIND_COUNT
};

const char *alert_event_name(enum alert_event event);          /* "alert", "reminder", "recovery", "test" */
const char *alert_severity_name(enum alert_severity severity); /* "info", "warning", "critical" */
must_check bool alert_severity_by_name(const char *name, enum alert_severity *ret);
const char *alert_kind_name(enum alert_kind kind); /* "refused", "due", "stand-in", ...; "test" for none */
bool alert_kind_has_verdict(enum alert_kind kind); /* a token was refused, and the verdict says how */
bool alert_kind_is_due(enum alert_kind kind);      /* a token ends, and it has steps */
bool alert_kind_is_of_lists(enum alert_kind kind);

#define ALERT_SINKS_MAX 16 /* sections [alert NAME] of a configuration, beside ... */
#define ALERT_PINGS_MAX 8
#define ALERT_ID_MAX 12 /* "7Q2M-9FKD" */
#define ALERT_TITLE_MAX 240
#define ALERT_ADVICE_MAX 400
#define ALERT_ENTRIES_MAX 50

/* One Pixel of it, as it is now. */
struct alert_entry {
	char pixel[PIXEL_CODE_MAX + 1];
	enum verdict verdict;
	int64_t since;                          /* when it began to be so; 0 = unknown */
	int64_t expires_at;                     /* 0 = unknown */
	char fingerprint[FINGERPRINT_TEXT_MAX]; /* "tk-7Q2M-9FKD"; "" = there is no token */
	char advice[ALERT_ADVICE_MAX + 1];      /* "" = nothing to do */
	size_t label_count;
	struct label labels[LABELS_MAX];
};

struct alert_message {
	enum alert_event event;
	enum alert_severity severity;
	enum alert_kind kind;
	char id[ALERT_ID_MAX]; /* of the cause, the same in all messages about it; what `vault alert ack` takes. "" of a
				  test */
	uint32_t number;       /* of this message, rising within the cause: with id it names the message for good */
	enum verdict verdict;  /* of those that alert_kind_has_verdict; else unchecked */
	int64_t at;            /* when it was written */
	int64_t since;         /* when the cause began */
	int64_t ended_at;      /* ALERT_RECOVERY; else 0 */
	uint32_t again;        /* so many times it was well in between; 0 = never */
	char title[ALERT_TITLE_MAX + 1];   /* one line: "40 Pixels: revoked; all have the label minted-by=anna" */
	char advice[ALERT_ADVICE_MAX + 1]; /* what to do about all of it; "" = nothing */
	size_t count;                      /* Pixels that are in trouble now; of a recovery: that were */
	size_t ever;                       /* Pixels that were in it at any time */
	size_t added; /* ALERT_RAISED: so many came since the last message; equals count in the first */
	bool has_label;
	struct label label; /* what they have in common */
	size_t entry_count;
	struct alert_entry
		entries[ALERT_ENTRIES_MAX]; /* the first of `count` (of a recovery: of `ever`), heaviest first */
	size_t more;                        /* so many Pixels have no entry */
};

#endif
