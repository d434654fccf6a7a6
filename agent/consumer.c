#include "agent/consumer.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_BYTES_MAX 4096
#define ALLOWED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@:/-"

/* ---- the unit ---- */

static bool ends_in(struct bytes text, const char *end)
{
	size_t len = strlen(end);
	return text.len > len && memcmp(text.at + text.len - len, end, len) == 0;
}

static bool begins_with(struct bytes text, const char *begin)
{
	size_t len = strlen(begin);
	return text.len >= len && memcmp(text.at, begin, len) == 0;
}

/* A user's own systemd: whatever runs below it is that user's. */
static bool is_service(struct bytes part)
{
	return ends_in(part, ".service") && !begins_with(part, "user@") && part.len <= CONSUMER_UNIT_MAX;
}

static struct bytes take_to(struct bytes *from, uint8_t mark)
{
	const uint8_t *end = from->len ? memchr(from->at, mark, from->len) : NULL;
	size_t len = end ? (size_t)(end - from->at) : from->len;
	struct bytes ret = bytes_of(from->at, len);
	*from = bytes_of(from->at + len + (end != NULL), from->len - len - (end != NULL));
	return ret;
}

static bool find_in_path(struct bytes path, char ret[CONSUMER_UNIT_MAX + 1])
{
	bool is_found = false;
	while (path.len) {
		struct bytes part = take_to(&path, '/');
		if (!is_service(part))
			continue;
		memcpy(ret, part.at, part.len);
		ret[part.len] = '\0';
		is_found = true;
	}
	return is_found;
}

/* Lines "number:controllers:path". systemd's is the one without controllers (cgroup v2), or of the hierarchy with its
 * name. Source: cgroups(7). */
bool consumer_find_unit(struct bytes cgroup, char ret[CONSUMER_UNIT_MAX + 1])
{
	while (cgroup.len) {
		struct bytes line = take_to(&cgroup, '\n');
		(void)take_to(&line, ':');
		struct bytes controllers = take_to(&line, ':');
		bool is_ours = !controllers.len || bytes_equal(controllers, bytes_of_text("name=systemd"));
		if (is_ours && find_in_path(line, ret))
			return true;
	}
	return false;
}

/* ---- the name ---- */

/* "aaaa..hash", where only what there is room for of `text` is kept. */
static void shorten(const char *text, size_t room, char *ret)
{
	uint8_t hash[16];
	char hex[2 * sizeof hash + 1];
	(void)crypto_generichash(hash, sizeof hash, (const uint8_t *)text, strlen(text), NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	snprintf(ret, room + 1, "%.*s..%.8s", (int)(room - 10), text, hex);
	for (char *at = ret; *at; at++)
		if (!strchr(ALLOWED, *at))
			*at = '_';
}

void consumer_name(uid_t uid, const char *unit, char ret[CONSUMER_NAME_MAX + 1])
{
	const size_t begin = strlen("unit:");
	char user[16];
	snprintf(user, sizeof user, "uid:%u", (unsigned)uid);
	if (!unit[0]) {
		snprintf(ret, CONSUMER_NAME_MAX + 1, "%s", user);
		return;
	}
	size_t room = CONSUMER_NAME_MAX - begin - 1 - strlen(user);
	memcpy(ret, "unit:", begin);
	if (strlen(unit) <= room && text_is_only_of(unit, ALLOWED))
		text_copy(ret + begin, room + 1, unit);
	else
		shorten(unit, room, ret + begin);
	size_t len = strlen(ret);
	ret[len] = '@';
	text_copy(ret + len + 1, CONSUMER_NAME_MAX - len, user);
}

/* Between connect and this look the process may have ended and its number been given away: then the unit is another's.
 * That harms nobody: the user comes from the socket, a mark decides nothing about who may read, and at worst `retire`
 * waits for a service that does not come. */
void consumer_name_of(uid_t uid, pid_t pid, char ret[CONSUMER_NAME_MAX + 1])
{
	char path[40], unit[CONSUMER_UNIT_MAX + 1] = "";
	uint8_t text[CGROUP_BYTES_MAX];
	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	if (len <= 0 || !consumer_find_unit(bytes_of(text, (size_t)len), unit))
		unit[0] = '\0';
	consumer_name(uid, unit, ret);
}
