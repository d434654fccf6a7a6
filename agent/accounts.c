#include "agent/accounts.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool ask_system(bool is_group, const char *name, uint32_t *ret)
{
	const struct passwd *user = is_group ? NULL : getpwnam(name);
	const struct group *group = is_group ? getgrnam(name) : NULL;
	if (user)
		*ret = user->pw_uid;
	if (group)
		*ret = group->gr_gid;
	return user || group;
}

void accounts_gather(const struct config *config, struct buf *ret)
{
	for (size_t i = 0; config && i < config_count(config); i++) {
		const struct config_entry *e = config_at(config, i);
		bool is_group = strcmp(e->key, "group") == 0;
		uint32_t number;
		if (strcmp(e->section, "access") == 0 && (is_group || strcmp(e->key, "user") == 0) && !is_number(e->value) &&
		    ask_system(is_group, e->value, &number))
			buf_printf(ret, "%s %s %u\n", e->key, e->value, (unsigned)number);
	}
}

static bool take_text(struct bytes *from, const char *text)
{
	struct bytes wanted = bytes_of_text(text), part;
	struct bytes rest = *from;
	if (!bytes_take(&rest, wanted.len, &part) || !bytes_equal(part, wanted))
		return false;
	*from = rest;
	return true;
}

static bool take_number(struct bytes from, uint32_t *ret)
{
	uint64_t number = 0;
	size_t i = 0;
	for (; i < from.len && i < 10 && from.at[i] >= '0' && from.at[i] <= '9'; i++)
		number = number * 10 + (uint64_t)(from.at[i] - '0');
	if (i == 0 || i == from.len || from.at[i] != '\n' || number > UINT32_MAX)
		return false;
	*ret = (uint32_t)number;
	return true;
}

static bool find_in(struct bytes table, bool is_group, const char *name, uint32_t *ret)
{
	while (table.len) {
		struct bytes line = table;
		const uint8_t *end = memchr(table.at, '\n', table.len);
		if (take_text(&line, is_group ? "group " : "user ") && take_text(&line, name) && take_text(&line, " ") &&
		    take_number(line, ret))
			return true;
		if (!end)
			return false;
		table = bytes_of(end + 1, table.len - (size_t)(end + 1 - table.at));
	}
	return false;
}

bool accounts_find(const struct bytes *table, bool is_group, const char *name, uint32_t *ret)
{
	if (is_number(name)) {
		*ret = (uint32_t)strtoul(name, NULL, 10);
		return true;
	}
	return table ? find_in(*table, is_group, name, ret) : ask_system(is_group, name, ret);
}
