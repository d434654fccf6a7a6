/* bench/postgres.h - as much of PostgreSQL's protocol as one prepared SELECT takes, for a server that trusts its
 * socket. */
#ifndef BENCH_POSTGRES_H
#define BENCH_POSTGRES_H

#include <stdint.h>
#include <string.h>
#include <unistd.h>

static inline uint32_t postgres_number(const char *at)
{
	const unsigned char *u = (const unsigned char *)at;
	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static inline char *postgres_put(char *out, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		out[i] = (char)(number >> (24 - 8 * i));
	return out + 4;
}

/* A message: its letter (0: none), its length, its content. */
static inline char *postgres_message(char *out, char letter, const char *content, size_t len)
{
	if (letter)
		*out++ = letter;
	out = postgres_put(out, (uint32_t)len + 4);
	memcpy(out, content, len);
	return out + len;
}

/* Where the reply ends, that is behind its ReadyForQuery; 0 while that has not come. *ret_at is 0 when no row came. */
static inline size_t postgres_reply(const char *text, size_t got, size_t *ret_at, size_t *ret_len)
{
	size_t at = 0;
	*ret_at = *ret_len = 0;
	while (at + 5 <= got) {
		char letter = text[at];
		size_t end = at + 1 + postgres_number(text + at + 1);
		if (end > got)
			return 0;
		if (letter == 'D' && end >= at + 11) {
			*ret_at = at + 11;
			*ret_len = end - at - 11;
		}
		if (letter == 'Z')
			return end;
		at = end;
	}
	return 0;
}

/* The row of one key, by the statement that was prepared: Bind, Execute, Sync. */
static inline size_t postgres_request(char *out, const char *key)
{
	static const char head[] = "\0get\0\0\0\0\1"; /* no portal, the statement, no formats, one value */
	char bind[128], *to = out;
	size_t len = strlen(key), n = sizeof head - 1;
	memcpy(bind, head, n);
	postgres_put(bind + n, (uint32_t)len);
	memcpy(bind + n + 4, key, len);
	memset(bind + n + 4 + len, 0, 2);
	to = postgres_message(to, 'B', bind, n + len + 6);
	to = postgres_message(to, 'E', "\0\0\0\0", 5);
	to = postgres_message(to, 'S', "", 0);
	return (size_t)(to - out);
}

static inline int postgres_exchange(int fd, const char *request, size_t len)
{
	char reply[4096];
	size_t got = 0, at, row_len;
	if (write(fd, request, len) != (ssize_t)len)
		return 0;
	while (!postgres_reply(reply, got, &at, &row_len)) {
		ssize_t n = read(fd, reply + got, sizeof reply - got);
		if (n <= 0)
			return 0;
		got += (size_t)n;
	}
	return *reply != 'E';
}

/* Says who we are and prepares the statement. */
static inline int postgres_greet(int fd)
{
	static const char who[] = "\0\3\0\0user\0postgres\0database\0postgres\0";
	static const char statement[] = "get\0SELECT v FROM s WHERE k = $1\0\0\1\0\0\0\x19"; /* one text */
	char out[256];
	char *end = postgres_message(out, 0, who, sizeof who);
	if (!postgres_exchange(fd, out, (size_t)(end - out)))
		return 0;
	end = postgres_message(out, 'P', statement, sizeof statement - 1);
	end = postgres_message(end, 'S', "", 0);
	return postgres_exchange(fd, out, (size_t)(end - out));
}

#endif
