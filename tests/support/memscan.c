/* memscan PID|/FILE: searches the memory of a process, or a file, for secrets, for the tests. Reads the needles from
 * standard input, one a line: NAME HEX. Prints one line per place: NAME ADDRESS MAPPING, where a mapping that is locked
 * and kept out of dumps ("lo" and "dd" in VmFlags: our arena) is called "arena"; then "searched BYTES in MAPPINGS".
 * Needs root.
 *
 * All its memory is static and it prints no needle, so that it leaves no copies where a later search would find them. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEEDLES_MAX 4096
#define NEEDLE_MAX 64
#define CHUNK (1 << 20)
#define MAPPINGS_MAX 4096
#define FOUND_MAX 200

struct needle {
	char name[48];
	uint8_t bytes[NEEDLE_MAX];
	size_t len;
};

struct mapping {
	uint64_t from, to;
	char name[128];
	int is_arena, is_readable;
};

static struct needle needles[NEEDLES_MAX];
static int first_with[65536]; /* 1 + the first needle that begins with these two bytes */
static int next_alike[NEEDLES_MAX];
static struct mapping mappings[MAPPINGS_MAX];
static uint8_t chunk[CHUNK + NEEDLE_MAX];
static size_t needle_count, mapping_count;

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_needles(void)
{
	static char line[512];
	while (needle_count < NEEDLES_MAX && fgets(line, sizeof line, stdin)) {
		struct needle *n = &needles[needle_count];
		char *hex = strchr(line, ' ');
		if (!hex || hex - line >= (long)sizeof n->name)
			return 0;
		memcpy(n->name, line, (size_t)(hex - line));
		for (hex++; n->len < NEEDLE_MAX && digit(hex[0]) >= 0 && digit(hex[1]) >= 0; hex += 2)
			n->bytes[n->len++] = (uint8_t)(digit(hex[0]) * 16 + digit(hex[1]));
		if (n->len < 4)
			return 0;
		int *first = &first_with[n->bytes[0] << 8 | n->bytes[1]];
		next_alike[needle_count] = *first;
		*first = (int)++needle_count;
	}
	memset(line, 0, sizeof line);
	return needle_count > 0;
}

static int read_mappings(const char *pid)
{
	static char line[8192];
	snprintf(line, sizeof line, "/proc/%s/smaps", pid);
	FILE *f = fopen(line, "r");
	struct mapping *m = NULL;
	while (f && fgets(line, sizeof line, f)) {
		unsigned long from, to;
		char access[8], name[sizeof mappings->name] = "";
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %127[^\n]", &from, &to, access, name) >= 3 && strchr(line, '-')) {
			if (mapping_count == MAPPINGS_MAX)
				return 0;
			m = &mappings[mapping_count++];
			m->from = from;
			m->to = to;
			m->is_readable = access[0] == 'r' && strncmp(name, "[v", 2) != 0;
			snprintf(m->name, sizeof m->name, "%s", *name ? name : "anonymous");
		} else if (m && strncmp(line, "VmFlags:", 8) == 0) {
			m->is_arena = strstr(line, " lo") && strstr(line, " dd");
		}
	}
	if (f)
		fclose(f);
	return mapping_count > 0;
}

static int map_file(const char *path)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fseek(f, 0, SEEK_END) == 0 && ftell(f) > 0)
		mappings[mapping_count++] = (struct mapping){ .to = (uint64_t)ftell(f), .name = "file", .is_readable = 1 };
	fclose(f);
	return mapping_count > 0;
}

static void search(const struct mapping *m, uint64_t at, size_t len, int *found)
{
	for (size_t i = 0; i + 1 < len; i++)
		for (int n = first_with[chunk[i] << 8 | chunk[i + 1]]; n; n = next_alike[n - 1]) {
			const struct needle *needle = &needles[n - 1];
			if (i + needle->len > len || memcmp(chunk + i, needle->bytes, needle->len) != 0 || ++*found > FOUND_MAX)
				continue;
			printf("%s %llx %s\n", needle->name, (unsigned long long)(at + i), m->is_arena ? "arena" : m->name);
		}
}

int main(int argc, char **argv)
{
	static char path[64];
	uint64_t searched = 0;
	int found = 0;
	if (argc != 2 || !read_needles() || !(argv[1][0] == '/' ? map_file(argv[1]) : read_mappings(argv[1])))
		return 2;
	snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
	int fd = open(argv[1][0] == '/' ? argv[1] : path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 3;
	for (size_t i = 0; i < mapping_count; i++) {
		const struct mapping *m = &mappings[i];
		for (uint64_t at = m->from; m->is_readable && at < m->to; at += CHUNK) {
			uint64_t rest = m->to - at;
			size_t want = rest < sizeof chunk ? (size_t)rest : sizeof chunk;
			ssize_t got = pread(fd, chunk, want, (off_t)at);
			if (got <= 0)
				continue;
			searched += (uint64_t)got;
			search(m, at, (size_t)got, &found);
		}
	}
	memset(chunk, 0, sizeof chunk);
	memset(needles, 0, sizeof needles);
	printf("searched %llu in %zu\n", (unsigned long long)searched, mapping_count);
	return 0;
}
