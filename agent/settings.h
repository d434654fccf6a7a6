/* agent/settings.h - what the configuration, the environment and the flags come to.
 *
 * Strength: flag, environment (PIXELVAULT_VAULT, _CONFIG, _SOCKET, _STATE, _PASSPHRASE_FILE, _KEY_FILE), user
 * configuration, system configuration, default; key by key. With --config or PIXELVAULT_CONFIG that file alone is read.
 * One table of keys serves the reader, `config show` and the manual. */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

#include "core/config.h"
#include "core/error.h"
#include "core/json.h"

#include <limits.h>
#include <stdint.h>

#define SETTINGS_EXPIRY_STEPS 8
#define SETTINGS_DEFAULT_BASE_URL "https://business-api.tiktok.com/open_api/v1.3"
#define SETTINGS_DEFAULT_LOGIN_URL "https://open.tiktokapis.com/v2"

enum probe_choice { PROBE_CHOICE_AUTO, PROBE_CHOICE_DRY, PROBE_CHOICE_TEST, PROBE_CHOICE_LIVE };

/* What the flags said; NULL where not given. */
struct settings_flags {
	const char *vault, *config;
};

struct settings {
	/* What settings_begin fills stands together at the front: one page for who needs no more. */
	struct config *config;            /* NULL when there is no file; [alert NAME] and [access NAME] stay rows of it */
	uint64_t by_flag, by_environment; /* bit i: row i of settings_rows got its value there */
	bool vault_is_explicit;           /* --vault or PIXELVAULT_VAULT: never ask a running agent */
	bool socket_is_told;              /* by environment or configuration; else a guess where one would be */
	char user[64];                    /* [agent] */
	char socket[PATH_MAX];
	/* [vault] */
	char vault_path[PATH_MAX];
	char state_dir[PATH_MAX];
	char key_file[PATH_MAX]; /* "" when none */
	char credential[256];    /* name inside $CREDENTIALS_DIRECTORY; "" when none */
	char passphrase_file[PATH_MAX];
	bool audit_reads_durable;
	/* [agent] */
	char group[64];
	bool require_locked_memory; /* default true */
	char status_listen[128];
	/* [check] */
	int64_t interval_s;      /* 6h */
	unsigned rate;           /* requests per second, 5 */
	unsigned in_flight;      /* 4 */
	int64_t confirm_delay_s; /* -1 = not set: 10 min in the agent, 5 s in one-shot commands */
	int64_t expiry_warning_s[SETTINGS_EXPIRY_STEPS]; /* descending, 0-terminated if fewer */
	int64_t max_age_s;                               /* 0 = off */
	bool failover;         /* the previous token takes the place of one that is dead */
	int64_t grace_s;       /* retire waits for consumers no longer than this */
	int64_t purge_after_s; /* a token taken from everybody is deleted after it; 0 = only when TikTok takes it no longer */
	enum probe_choice probe;                         /* auto: test where a test code is stored, else dry */
	/* [tiktok] */
	char base_url[512];
	char login_url[512];     /* of Login Kit */
	char ca_file[PATH_MAX]; /* "" = the system's bundle */
	int64_t connect_timeout_ms, timeout_ms;
};

/* One row a key: how it is read, what it is when nobody says, and what to tell who wrote it wrong. */
struct settings_row {
	const char *section, *key;
	bool is_named;
	/* Store value in field, or only check it when field is NULL. */
	bool (*parse)(const struct settings_row *row, const char *value, void *field);
	size_t field;         /* offset in struct settings; unused where is_named */
	int64_t least, most;  /* in the unit of the field */
	const char *fallback; /* parsed like any value; NULL = none, or computed (paths) */
	const char *environment;
	bool is_never_in_file;
	const char *wanted, *hint; /* "'interval' in [check] must be WANTED" */
};

const struct settings_row *settings_rows(size_t *ret_count);

/* The same keys for config_parse; ret has room for SETTINGS_KEYS_MAX. Returns how many there are. */
#define SETTINGS_KEYS_MAX 64
size_t settings_keys(struct config_key ret[SETTINGS_KEYS_MAX]);

/* An address as 'url' of an alert must be: https, smtp or smtps, and no user name. */
bool settings_url_is_good(const char *url);

/* Every value against its row, and each [alert] and [access] as a whole. Looks at nothing else. */
must_check bool settings_check(const struct config *c, struct error *err);

/* Reads everything there is to read. ERR_CONFIG names file and line; environment values are checked the same way; an
 * empty environment variable counts as unset. ERR_USAGE for a flag that is empty or a --vault that names a folder. The
 * state folder inside the vault's folder is refused (ERR_CONFIG): whoever can put back an old vault there could put
 * back the anchor too. Relative paths in flags and environment are taken from the current folder. Nothing is created.
 */
must_check bool settings_load(const struct settings_flags *flags, struct settings *ret, struct error *err);

/* Is it known where a file of the user's own would lie, if one is to be read? A static program sees only the users of
 * /etc/passwd (and of nscd), and must not take who it does not know for one without a home. */
must_check bool settings_knows_home(const struct settings_flags *flags);

/* The same in two steps, for commands that need little when an agent answers. The first reads the configuration, refuses
 * what is wrong in it, and fills config, socket, socket_is_told, user and vault_is_explicit; the second does the rest.
 * s starts zeroed; settings_done whatever happened. */
must_check bool settings_begin(const struct settings_flags *flags, struct settings *s, struct error *err);
must_check bool settings_finish(const struct settings_flags *flags, struct settings *s, struct error *err);
/* What vault_is_explicit will be. */
bool settings_name_vault(const struct settings_flags *flags);
void settings_done(struct settings *s);

/* Effective values, one "section.key = value  # where it came from" line each; or as the member "settings" of
 * an open JSON object. What stands behind the host of an alert's url is hidden: it often is as good as a password. */
void settings_show(const struct settings *s, struct buf *out);
void settings_show_json(const struct settings *s, struct json *j);

#endif
