#include "cli/own_file.h"

#include "cli/text.h"
#include "core/file.h"
#include "vault/anchor.h"

#include <string.h>

/* Also names that nothing has at the moment: SQLite makes a log where there is none. */
static bool is_beside_vault(const char *vault, const char *path)
{
	size_t len = strlen(vault);
	return strncmp(path, vault, len) == 0 && file_is_companion(path + len);
}

/* Anchor, audit log and their like: their names begin alike. */
static bool is_of_state(const struct settings *s, const char *vault, const char *path)
{
	static const char ending[] = "anchor";
	struct anchor_file anchor;
	struct error ignored;
	char real[PATH_MAX];
	if (!anchor_place(s->state_dir, vault, &anchor, &ignored) ||
	    !file_absolute(anchor.path, real, sizeof real, &ignored))
		return false;
	return strncmp(path, real, strlen(real) - (sizeof ending - 1)) == 0;
}

static bool is_configuration(const struct settings *s, const char *path)
{
	for (size_t i = 0; i < config_count(s->config); i++)
		if (file_is_same(path, config_at(s->config, i)->file))
			return true;
	return false;
}

bool own_file_spare(const struct settings *s, const char *path, struct error *err)
{
	char real[PATH_MAX], vault[PATH_MAX];
	struct error ignored;
	bool is_own = (s->key_file[0] && file_is_same(path, s->key_file)) ||
		      (s->passphrase_file[0] && file_is_same(path, s->passphrase_file)) ||
		      file_is_same(path, s->vault_path) || is_configuration(s, path);
	if (!is_own && file_absolute(path, real, sizeof real, &ignored) &&
	    file_absolute(s->vault_path, vault, sizeof vault, &ignored))
		is_own = is_beside_vault(vault, real) || is_of_state(s, vault, real);
	return is_own ? fail(err, ERR_CONFLICT, TXT_OWN_FILE, path) : true;
}
