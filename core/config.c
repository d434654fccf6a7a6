#include "core/config.h"

#include "core/file.h"
#include "core/text.h"
#include "core/utf8.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)64 * 1024)
#define LINE_MAX_LEN 190   /* inih cuts at 199 and reads the rest as a line of its own */
#define SECTION_MAX_LEN 49 /* where inih cuts a section */
#define SECTIONS_MAX 512   /* bounds the search for sections given twice */
#define QUOTED_MAX_LEN 31  /* what is longer than any name of ours might be a token pasted here: not repeated */

struct section_seen {
	char name[SECTION_MAX_LEN + 1];
};

struct config {
	struct config_entry *entries;
	size_t count, cap;
	char **files;
	size_t file_count;
};

/* One file on its way in. */
struct reading {
	const char *file;
	const struct config_key *known;
	size_t known_count;
	struct error *err;
	/* pre-check */
	struct section_seen *sections;
	size_t section_count, section_cap;
	size_t keys_in_section, key_lines;
	unsigned line;
	/* inih */
	struct bytes rest;
	unsigned section_line;
	struct config *config;
	bool has_failed;
};

/* --- the container --- */

static void config_clear(struct config *c)
{
	for (size_t i = 0; i < c->file_count; i++)
		free(c->files[i]);
	free(c->files);
	free(c->entries);
	*c = (struct config){ 0 };
}

void config_free(struct config *c)
{
	if (!c)
		return;
	config_clear(c);
	free(c);
}

void config_freep(struct config **c)
{
	config_free(*c);
	*c = NULL;
}

size_t config_count(const struct config *c)
{
	return c ? c->count : 0;
}

const struct config_entry *config_at(const struct config *c, size_t i)
{
	return &c->entries[i];
}

const struct config_entry *config_find(const struct config *c, const char *section, const char *name, const char *key)
{
	for (size_t i = 0; i < config_count(c); i++) {
		const struct config_entry *e = &c->entries[i];
		if (strcmp(e->key, key) == 0 && strcmp(e->section, section) == 0 &&
		    strcmp(e->name, name ? name : "") == 0)
			return e;
	}
	return NULL;
}

static bool reserve(struct config *c, size_t count, struct error *err)
{
	if (count <= c->cap)
		return true;
	size_t cap = count > c->cap * 2 ? count : c->cap * 2;
	struct config_entry *entries = realloc(c->entries, cap * sizeof *entries);
	if (!entries)
		return fail_no_memory(err);
	c->entries = entries;
	c->cap = cap;
	return true;
}

static bool add_file(struct config *c, const char *file, const char **ret, struct error *err)
{
	char **files = realloc(c->files, (c->file_count + 1) * sizeof *files);
	if (!files)
		return fail_no_memory(err);
	c->files = files;
	files[c->file_count] = strdup(file);
	if (!files[c->file_count])
		return fail_no_memory(err);
	*ret = files[c->file_count++];
	return true;
}

/* --- refusals --- */

/* A message has room for what is wrong only when the path leaves some. */
static const char *short_path(const char *file)
{
	size_t len = strlen(file);
	return len > 160 ? file + len - 160 : file;
}

static bool refuse_at(const char *file, unsigned line, const char *what, const char *hint, struct error *err)
{
	return fail(err, ERR_CONFIG, "%s:%u: %s", hint, short_path(file), line, what);
}

static bool refuse(struct reading *r, const char *what, const char *hint)
{
	r->has_failed = true;
	return refuse_at(r->file, r->line, what, hint, r->err);
}

__attribute__((format(printf, 2, 4))) static bool refuse_with(struct reading *r, const char *format, const char *hint,
							      ...)
{
	char what[200];
	va_list args;
	va_start(args, hint);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return refuse(r, what, hint);
}

bool config_refuse(const struct config_entry *entry, const char *what, const char *hint, struct error *err)
{
	return refuse_at(entry->file, entry->line, what, hint, err);
}

/* Edits between two short words: insert, delete, change, swap two neighbours. SIZE_MAX when one is too long to be a
 * word of ours. */
static size_t edits_between(const char *a, const char *b)
{
	enum { MAX = 40 };
	size_t rows[3][MAX + 1], a_len = strlen(a), b_len = strlen(b);
	if (a_len > MAX || b_len > MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[a_len % 3][b_len];
}

const char *config_nearest(const char *word, const char *const *candidates, size_t count)
{
	const char *nearest = NULL;
	size_t least = 3, len = strlen(word);
	for (size_t i = 0; i < count; i++) {
		size_t edits = edits_between(word, candidates[i]);
		/* A word that must change in every letter is no misspelling. */
		if (edits < least && edits < len && edits < strlen(candidates[i])) {
			least = edits;
			nearest = candidates[i];
		}
	}
	return nearest;
}

/* --- what is known --- */

static const struct config_key *known_section(const struct reading *r, const char *section)
{
	for (size_t i = 0; i < r->known_count; i++)
		if (strcmp(r->known[i].section, section) == 0)
			return &r->known[i];
	return NULL;
}

static const struct config_key *known_key(const struct reading *r, const char *section, const char *key)
{
	for (size_t i = 0; i < r->known_count; i++)
		if (strcmp(r->known[i].key, key) == 0 && (!section || strcmp(r->known[i].section, section) == 0))
			return &r->known[i];
	return NULL;
}

/* The distinct sections, or the keys of one, as candidates for config_nearest and for a list in a hint. */
static size_t names_of(const struct reading *r, const char *section, const char **ret, size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < r->known_count && count < max; i++) {
		const struct config_key *k = &r->known[i];
		if (section && strcmp(k->section, section) == 0)
			ret[count++] = k->key;
		if (!section && known_section(r, k->section) == k)
			ret[count++] = k->section;
	}
	return count;
}

static void list_names(const char *head, const char *const *names, size_t count, char *ret, size_t size)
{
	size_t len = (size_t)snprintf(ret, size, "%s", head);
	for (size_t i = 0; i < count && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? ", " : "", names[i]);
}

static bool refuse_section(struct reading *r, const char *section)
{
	const char *names[32];
	char hint[200];
	size_t count = names_of(r, NULL, names, COUNT_OF(names));
	const char *nearest = config_nearest(section, names, count);
	if (nearest)
		snprintf(hint, sizeof hint, TXT_HINT_CONFIG_MEANT_SECTION, nearest);
	else
		list_names(TXT_HINT_CONFIG_SECTIONS, names, count, hint, sizeof hint);
	if (strlen(section) > QUOTED_MAX_LEN)
		return refuse(r, TXT_WHAT_CONFIG_LONG_UNKNOWN_SECTION, hint);
	return refuse_with(r, TXT_WHAT_CONFIG_UNKNOWN_SECTION, hint, section);
}

static bool looks_secret(const char *key)
{
	static const char *const words[] = { "token", "secret", "password", "passwd", "passphrase" };
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strcasestr(key, words[i]))
			return true;
	return false;
}

static bool refuse_key(struct reading *r, const char *section, const char *key)
{
	const char *names[32];
	char hint[200];
	size_t count = names_of(r, section, names, COUNT_OF(names));
	const char *nearest = config_nearest(key, names, count);
	const struct config_key *elsewhere = known_key(r, NULL, key);
	if (strlen(key) > QUOTED_MAX_LEN)
		return refuse_with(r, TXT_WHAT_CONFIG_LONG_UNKNOWN_KEY, TXT_HINT_CONFIG_SECRET, section);
	if (looks_secret(key) && !(nearest && looks_secret(nearest)))
		return refuse_with(r, TXT_WHAT_CONFIG_UNKNOWN_KEY, TXT_HINT_CONFIG_SECRET, key, section);
	if (nearest)
		snprintf(hint, sizeof hint, TXT_HINT_CONFIG_MEANT, nearest);
	else if (elsewhere)
		snprintf(hint, sizeof hint, TXT_HINT_CONFIG_ELSEWHERE, elsewhere->key, elsewhere->section);
	else
		list_names(TXT_HINT_CONFIG_KEYS, names, count, hint, sizeof hint);
	return refuse_with(r, TXT_WHAT_CONFIG_UNKNOWN_KEY, hint, key, section);
}

/* --- pre-check: everything inih would forgive --- */

static bool check_characters(struct reading *r, struct bytes line)
{
	uint32_t c;
	if (line.len > LINE_MAX_LEN)
		return refuse(r, TXT_CONFIG_LONG_LINE);
	if (r->line == 1 && line.len >= 3 && memcmp(line.at, "\xef\xbb\xbf", 3) == 0)
		return refuse(r, TXT_CONFIG_BOM);
	while (line.len) {
		if (!utf8_take(&line, &c))
			return refuse(r, TXT_CONFIG_NOT_UTF8);
		if (c == '\r')
			return refuse(r, TXT_CONFIG_CR);
		if ((c < 0x20 && c != '\t') || (c >= 0x7f && c <= 0x9f))
			return refuse(r, TXT_CONFIG_CONTROL);
	}
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct bytes without_blanks_behind(struct bytes text)
{
	while (text.len && is_blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

/* inih would cut the line there. */
static bool has_inline_comment(struct bytes line)
{
	for (size_t i = 1; i < line.len; i++)
		if (is_blank(line.at[i - 1]) && (line.at[i] == ';' || line.at[i] == '#'))
			return true;
	return false;
}

/* [check] or [alert NAME]: section and name apart; name is "" without one. */
static void split_section(const char *whole, char *ret_section, char *ret_name)
{
	const char *blank = strchr(whole, ' ');
	size_t len = blank ? (size_t)(blank - whole) : strlen(whole);
	memcpy(ret_section, whole, len);
	ret_section[len] = '\0';
	text_copy(ret_name, SECTION_MAX_LEN + 1, blank ? blank + 1 : "");
}

static bool is_good_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	return name[0] && !strchr("_.-", name[0]) && text_is_only_of(name, letters);
}

static bool leave_section(struct reading *r)
{
	const char *last = r->section_count ? r->sections[r->section_count - 1].name : "";
	if (!strchr(last, ' ') || r->keys_in_section)
		return true;
	r->line = r->section_line;
	return refuse_with(r, TXT_CONFIG_EMPTY_SECTION, last);
}

static bool reserve_section(struct reading *r)
{
	size_t cap = r->section_cap ? r->section_cap * 2 : 8;
	if (r->section_count < r->section_cap)
		return true;
	struct section_seen *sections = realloc(r->sections, cap * sizeof *sections);
	if (!sections)
		return fail_no_memory(r->err);
	r->sections = sections;
	r->section_cap = cap;
	return true;
}

static bool enter_section(struct reading *r, const char *whole)
{
	char section[SECTION_MAX_LEN + 1], name[SECTION_MAX_LEN + 1];
	split_section(whole, section, name);
	const struct config_key *known = known_section(r, section);
	if (!known)
		return refuse_section(r, section);
	if (known->is_named && !is_good_name(name))
		return refuse_with(r, TXT_CONFIG_NEEDS_NAME, section);
	if (!known->is_named && strchr(whole, ' '))
		return refuse_with(r, TXT_CONFIG_TAKES_NO_NAME, section);
	for (size_t i = 0; i < r->section_count; i++)
		if (strcmp(r->sections[i].name, whole) == 0)
			return refuse_with(r, TXT_CONFIG_SECTION_TWICE, whole);
	if (r->section_count == SECTIONS_MAX)
		return refuse(r, TXT_CONFIG_MANY_SECTIONS);
	if (!reserve_section(r))
		return false;
	text_copy(r->sections[r->section_count++].name, sizeof r->sections->name, whole);
	r->keys_in_section = 0;
	r->section_line = r->line;
	return true;
}

static bool check_section_line(struct reading *r, struct bytes line)
{
	char whole[SECTION_MAX_LEN + 1];
	const uint8_t *end = memchr(line.at, ']', line.len);
	if (!end)
		return refuse(r, TXT_CONFIG_NO_BRACKET);
	size_t len = (size_t)(end - line.at) - 1;
	if (len + 2 != line.len)
		return refuse(r, TXT_CONFIG_BEHIND_BRACKET);
	if (len > SECTION_MAX_LEN)
		return refuse(r, TXT_CONFIG_LONG_SECTION);
	memcpy(whole, line.at + 1, len);
	whole[len] = '\0';
	return leave_section(r) && enter_section(r, whole);
}

static bool check_key_line(struct reading *r, struct bytes line)
{
	if (r->section_count == 0)
		return refuse(r, TXT_CONFIG_OUTSIDE);
	const uint8_t *equals = memchr(line.at, '=', line.len);
	size_t key_len = equals ? (size_t)(equals - line.at) : 0;
	if (!equals || memchr(line.at, ':', key_len))
		return refuse(r, TXT_CONFIG_NO_EQUALS);
	if (key_len == 0)
		return refuse(r, TXT_CONFIG_NO_KEY);
	if (equals + 1 == line.at + line.len)
		return refuse(r, TXT_CONFIG_NO_VALUE);
	r->keys_in_section++;
	r->key_lines++;
	return true;
}

static bool check_line(struct reading *r, struct bytes line)
{
	if (!check_characters(r, line))
		return false;
	bool is_indented = line.len && is_blank(line.at[0]);
	line = without_blanks_behind(line);
	if (line.len == 0)
		return true;
	if (is_indented)
		return refuse(r, TXT_CONFIG_INDENTED);
	if (line.at[0] == ';' || line.at[0] == '#')
		return true;
	if (has_inline_comment(line))
		return refuse(r, TXT_CONFIG_INLINE_COMMENT);
	return line.at[0] == '[' ? check_section_line(r, line) : check_key_line(r, line);
}

static struct bytes take_line(struct bytes *rest)
{
	const uint8_t *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
	struct bytes line = bytes_of(rest->at, end ? (size_t)(end - rest->at) : rest->len);
	size_t used = line.len + (end != NULL);
	*rest = bytes_of(used ? rest->at + used : rest->at, rest->len - used);
	return line;
}

static bool check_text(struct reading *r, struct bytes text)
{
	if (text.len > FILE_MAX)
		return fail(r->err, ERR_CONFIG, TXT_FILE_TOO_LONG, short_path(r->file), FILE_MAX);
	while (text.len) {
		r->line++;
		if (!check_line(r, take_line(&text)))
			return false;
	}
	return leave_section(r);
}

/* --- reading: inih over lines that passed --- */

static char *next_line(char *to, int room, void *context)
{
	struct reading *r = context;
	if (r->rest.len == 0)
		return NULL;
	struct bytes line = take_line(&r->rest);
	r->line++;
	if (line.len + 2 > (size_t)room) /* the pre-check keeps lines far shorter */
		line.len = (size_t)room - 2;
	memcpy(to, line.at, line.len);
	memcpy(to + line.len, "\n", 2);
	return to;
}

static bool same_section(const struct config_entry *a, const struct config_entry *b)
{
	return strcmp(a->section, b->section) == 0 && strcmp(a->name, b->name) == 0;
}

static bool check_new(struct reading *r, const struct config_entry *new)
{
	/* A section stands in one piece, so its keys are the last entries. */
	for (size_t i = r->config->count; i-- > 0;) {
		const struct config_entry *old = &r->config->entries[i];
		if (!same_section(old, new))
			return true;
		if (strcmp(old->key, new->key) == 0)
			return refuse_with(r, TXT_CONFIG_KEY_TWICE, new->key, new->section);
	}
	return true;
}

static bool add_entry(struct reading *r, const char *whole, const char *key, const char *value)
{
	char section[SECTION_MAX_LEN + 1], name[SECTION_MAX_LEN + 1];
	split_section(whole, section, name);
	const struct config_key *known = known_key(r, section, key);
	if (!known)
		return refuse_key(r, section, key);
	if (!*value)
		return refuse(r, TXT_CONFIG_NO_VALUE);
	struct config_entry new = { .file = r->config->files[0], .line = r->line };
	text_copy(new.section, sizeof new.section, known->section);
	text_copy(new.name, sizeof new.name, name);
	text_copy(new.key, sizeof new.key, known->key);
	text_copy(new.value, sizeof new.value, value);
	if (!check_new(r, &new))
		return false;
	if (!reserve(r->config, r->config->count + 1, r->err)) {
		r->has_failed = true;
		return false;
	}
	r->config->entries[r->config->count++] = new;
	return true;
}

static int on_entry(void *context, const char *section, const char *key, const char *value)
{
	struct reading *r = context;
	/* inih goes on after an error; the first one is the one to tell. */
	return !r->has_failed && add_entry(r, section, key, value);
}

static bool read_entries(struct reading *r, struct bytes text)
{
	r->rest = text;
	r->line = 0;
	int trouble = ini_parse_stream(next_line, r, on_entry, r);
	if (r->has_failed)
		return false;
	/* Two readers of one text must have seen the same lines. */
	if (trouble != 0 || r->config->count != r->key_lines) {
		r->line = trouble > 0 ? (unsigned)trouble : r->line;
		return refuse(r, TXT_CONFIG_NOT_INI);
	}
	return true;
}

/* --- together --- */

/* Nothing is added before everything is known to fit: no half of a file ever counts. */
static bool merge(struct config *to, struct config *from, struct error *err)
{
	const char *file = NULL;
	if (!reserve(to, to->count + from->count, err) || !add_file(to, from->files[0], &file, err))
		return false;
	size_t earlier = to->count;
	for (size_t i = 0; i < from->count; i++) {
		const struct config_entry *e = &from->entries[i];
		struct config stronger = { .entries = to->entries, .count = earlier };
		if (config_find(&stronger, e->section, e->name, e->key))
			continue;
		to->entries[to->count] = *e;
		to->entries[to->count++].file = file;
	}
	return true;
}

static bool parse_into(struct reading *r, struct bytes text, struct config **c)
{
	const char *file;
	if (!add_file(r->config, r->file, &file, r->err) || !check_text(r, text) || !read_entries(r, text))
		return false;
	if (*c)
		return merge(*c, r->config, r->err);
	*c = take(r->config);
	return true;
}

bool config_parse(struct config **c, struct bytes text, const char *file, const struct config_key *known,
		  size_t known_count, struct error *err)
{
	scoped(config_freep) struct config *fresh = calloc(1, sizeof *fresh);
	if (!fresh)
		return fail_no_memory(err);
	struct reading r = { .file = file, .known = known, .known_count = known_count, .err = err, .config = fresh };
	bool is_good = parse_into(&r, text, c);
	free(r.sections);
	fresh = r.config;
	return is_good;
}

bool config_read(struct config **c, const char *path, bool is_optional, const struct config_key *known,
		 size_t known_count, struct error *err)
{
	struct stat st;
	if (is_optional && lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return true;
	scoped(file_closep) int fd = -1;
	scoped(buf_done) struct buf text = BUF_INIT(FILE_MAX + 1);
	if (!file_open_trusted(path, false, ERR_CONFIG, &fd, err) ||
	    !file_read(fd, path, FILE_MAX, ERR_CONFIG, &text, err))
		return false;
	return config_parse(c, buf_bytes(&text), path, known, known_count, err);
}
