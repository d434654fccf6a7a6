#include "cli/scanner.h"

#include "cli/template.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MAX 16
#define FORM_MIN 8 /* the shortest token, and the shortest base64 of it */
#define ROOM ((size_t)1 << 20)
#define MAC_LEN 16
#define BITMAP_BITS_MIN 16
#define BITMAP_BITS_MAX 24
#define BITS_PER_PATTERN 64
#define SPREAD UINT64_C(0x9e3779b97f4a7c15) /* the top bits of the product depend on all bits of the hash */

struct pattern {
	uint64_t hash; /* of its last `window` bytes */
	uint8_t mac[MAC_LEN];
	uint64_t hashes[WINDOW_MAX - FORM_MIN + 1]; /* of its last FORM_MIN bytes and more: which it is, the shortest says */
	uint32_t tag;
	uint16_t len;
	uint8_t form;
};

struct scanner {
	uint64_t base, leaving; /* of the rolling hash; leaving = base^window */
	uint8_t key[crypto_generichash_KEYBYTES];
	struct pattern *patterns; /* sorted by hash */
	size_t count, room;
	size_t window, longest;
	uint64_t *bitmap;
	unsigned shift;
	uint8_t *at; /* what is left of the stream, then room for more */
	size_t kept;
	/* the stream */
	uint64_t hash, offset, lines, line_at; /* line_at: up to this offset lines are counted */
	size_t seen;
};

bool scanner_new(struct scanner **ret, struct error *err)
{
	struct scanner *s = calloc(1, sizeof *s);
	if (!s)
		return fail_no_memory(err);
	randombytes_buf(s->key, sizeof s->key);
	randombytes_buf(&s->base, sizeof s->base);
	s->base |= 1;
	s->window = WINDOW_MAX;
	*ret = s;
	return true;
}

void scanner_freep(struct scanner **s)
{
	struct scanner *old = *s;
	*s = NULL;
	if (!old)
		return;
	if (old->at)
		sodium_memzero(old->at, old->longest + ROOM);
	if (old->patterns)
		sodium_memzero(old->patterns, old->room * sizeof *old->patterns);
	free(old->at);
	free(old->patterns);
	free(old->bitmap);
	sodium_memzero(old, sizeof *old);
	free(old);
}

/* ---- what is looked for ---- */

static void mac_of(const struct scanner *s, struct bytes text, uint8_t ret[MAC_LEN])
{
	crypto_generichash(ret, MAC_LEN, text.at, text.len, s->key, sizeof s->key);
}

static uint64_t hash_of(const struct scanner *s, const uint8_t *at, size_t len)
{
	uint64_t hash = 0;
	for (size_t i = 0; i < len; i++)
		hash = hash * s->base + at[i];
	return hash;
}

/* Larger by half each time. */
static bool make_room(struct scanner *s, struct error *err)
{
	if (s->count < s->room)
		return true;
	size_t room = s->room + s->room / 2 + 64;
	struct pattern *grown = calloc(room, sizeof *grown);
	if (!grown)
		return fail_no_memory(err);
	if (s->count) {
		memcpy(grown, s->patterns, s->count * sizeof *grown);
		sodium_memzero(s->patterns, s->room * sizeof *grown);
	}
	free(s->patterns);
	s->patterns = grown;
	s->room = room;
	return true;
}

static bool add_form(struct scanner *s, struct bytes text, enum scan_form form, uint32_t tag, struct error *err)
{
	if (text.len < FORM_MIN || text.len > UINT16_MAX)
		return true;
	if (!make_room(s, err))
		return false;
	struct pattern *p = &s->patterns[s->count++];
	*p = (struct pattern){ .tag = tag, .len = (uint16_t)text.len, .form = (uint8_t)form };
	for (size_t window = FORM_MIN; window <= WINDOW_MAX && window <= text.len; window++)
		p->hashes[window - FORM_MIN] = hash_of(s, text.at + text.len - window, window);
	mac_of(s, text, p->mac);
	if (text.len < s->window)
		s->window = text.len;
	if (text.len > s->longest)
		s->longest = text.len;
	return true;
}

static bool add_url(struct scanner *s, const struct secret *token, uint32_t tag, struct error *err)
{
	scoped(secret_freep) struct secret *encoded = NULL;
	if (!template_filter(FILTER_URL, token, &encoded, err))
		return false;
	return secret_len(encoded) == secret_len(token) || add_form(s, secret_reveal(encoded), SCAN_URL, tag, err);
}

/* As Windows writes text to files: a zero byte behind each, or before each. Between the first and the last both have. */
static bool add_utf16(struct scanner *s, struct bytes token, uint32_t tag, struct error *err)
{
	scoped(secret_freep) struct secret *wide = NULL;
	if (!secret_new(2 * token.len - 1, &wide, err))
		return false;
	for (size_t i = 0; i < token.len; i++)
		secret_room(wide)[2 * i] = token.at[i];
	return add_form(s, secret_reveal(wide), SCAN_UTF16, tag, err);
}

/* What follows from the token alone, wherever it begins: whole groups of three bytes behind the first `skipped`. */
static bool add_base64(struct scanner *s, struct bytes token, size_t skipped, int variant, struct secret *room,
		       uint32_t tag, struct error *err)
{
	size_t len = (token.len - skipped) / 3 * 3;
	sodium_bin2base64((char *)secret_room(room), secret_len(room), token.at + skipped, len, variant);
	return add_form(s, bytes_of(secret_room(room), len / 3 * 4), SCAN_BASE64, tag, err);
}

bool scanner_add(struct scanner *s, const struct secret *token, uint32_t tag, struct error *err)
{
	struct bytes text = secret_reveal(token);
	scoped(secret_freep) struct secret *room = NULL;
	if (text.len < FORM_MIN)
		return true;
	if (!secret_new(text.len * 2 + 8, &room, err) || !add_form(s, text, SCAN_PLAIN, tag, err) ||
	    !add_url(s, token, tag, err) || !add_utf16(s, text, tag, err))
		return false;
	for (size_t skipped = 0; skipped < 3; skipped++) {
		if (!add_base64(s, text, skipped, sodium_base64_VARIANT_ORIGINAL, room, tag, err))
			return false;
		bool is_same = !memchr(secret_room(room), '+', secret_len(room)) &&
			       !memchr(secret_room(room), '/', secret_len(room));
		if (!is_same && !add_base64(s, text, skipped, sodium_base64_VARIANT_URLSAFE, room, tag, err))
			return false;
	}
	return true;
}

/* ---- the tables ---- */

static int by_hash(const void *a, const void *b)
{
	const struct pattern *x = a, *y = b;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

static size_t bit_of(const struct scanner *s, uint64_t hash)
{
	return (size_t)(hash * SPREAD >> s->shift);
}

static bool make_bitmap(struct scanner *s, struct error *err)
{
	unsigned bits = BITMAP_BITS_MIN;
	while (bits < BITMAP_BITS_MAX && ((size_t)1 << bits) < s->count * BITS_PER_PATTERN)
		bits++;
	s->shift = 64 - bits;
	s->bitmap = calloc(((size_t)1 << bits) / 64, sizeof *s->bitmap);
	if (!s->bitmap)
		return fail_no_memory(err);
	for (size_t i = 0; i < s->count; i++) {
		size_t bit = bit_of(s, s->patterns[i].hash);
		s->bitmap[bit / 64] |= UINT64_C(1) << bit % 64;
	}
	return true;
}

bool scanner_prepare(struct scanner *s, struct error *err)
{
	s->leaving = 1;
	for (size_t i = 0; i < s->window; i++)
		s->leaving *= s->base;
	for (size_t i = 0; i < s->count; i++)
		s->patterns[i].hash = s->patterns[i].hashes[s->window - FORM_MIN];
	if (s->count)
		qsort(s->patterns, s->count, sizeof *s->patterns, by_hash);
	s->at = malloc(s->longest + ROOM);
	return s->at ? make_bitmap(s, err) : fail_no_memory(err);
}

/* ---- looking ---- */

void scanner_begin(struct scanner *s)
{
	s->kept = s->seen = 0;
	s->hash = s->offset = s->line_at = 0;
	s->lines = 1;
}

uint8_t *scanner_room(struct scanner *s, size_t *ret_len)
{
	*ret_len = ROOM;
	return s->at + s->kept;
}

static uint64_t count_lines(const uint8_t *at, size_t len)
{
	uint64_t count = 0;
	for (size_t i = 0; i < len; i++)
		count += at[i] == '\n';
	return count;
}

/* offset: of the first byte in s->at. */
static void count_lines_to(struct scanner *s, uint64_t offset, size_t index)
{
	size_t from = (size_t)(s->line_at - offset);
	if (from >= index)
		return;
	s->lines += count_lines(s->at + from, index - from);
	s->line_at = offset + index;
}

/* end: the index behind the last byte of what was found. Lines are counted forwards only, so a find that begins before
 * the last one counts back. */
static void tell(struct scanner *s, const struct pattern *p, uint64_t offset, size_t end, scan_found_fn *fn,
		 void *context)
{
	size_t start = end - p->len, counted = (size_t)(s->line_at - offset);
	uint64_t line;
	if (start >= counted) {
		count_lines_to(s, offset, start);
		line = s->lines;
	} else {
		line = s->lines - count_lines(s->at + start, counted - start);
	}
	struct scan_found found = { .tag = p->tag,
				    .form = (enum scan_form)p->form,
				    .offset = offset + start,
				    .line = line,
				    .before = bytes_of(s->at, start) };
	fn(context, &found);
}

static void look_closer(struct scanner *s, uint64_t hash, uint64_t offset, size_t end, scan_found_fn *fn, void *context)
{
	size_t low = 0, high = s->count;
	uint8_t mac[MAC_LEN];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->patterns[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < s->count && s->patterns[low].hash == hash; low++) {
		const struct pattern *p = &s->patterns[low];
		if (p->len > end)
			continue;
		mac_of(s, bytes_of(s->at + end - p->len, p->len), mac);
		if (memcmp(mac, p->mac, MAC_LEN) == 0)
			tell(s, p, offset, end, fn, context);
	}
}

/* The first window of a stream only fills the hash. */
static size_t warm_up(struct scanner *s, size_t i, size_t len)
{
	for (; i < len && s->seen < s->window - 1; i++, s->seen++)
		s->hash = s->hash * s->base + s->at[i];
	return i;
}

void scanner_take(struct scanner *s, size_t len, scan_found_fn *fn, void *context)
{
	size_t total = s->kept + len, window = s->window, i = warm_up(s, s->kept, total);
	uint64_t hash = s->hash, base = s->base, leaving = s->leaving, offset = s->offset;
	const uint8_t *at = s->at;
	for (; s->count && i < total; i++) {
		hash = hash * base + at[i];
		/* The byte that left the window: there is none before the first whole one. */
		if (s->seen >= window)
			hash -= leaving * at[i - window];
		else
			s->seen++;
		size_t bit = bit_of(s, hash);
		if (s->bitmap[bit / 64] >> bit % 64 & 1)
			look_closer(s, hash, offset, i + 1, fn, context);
	}
	s->hash = hash;
	/* Kept is as much as the longest form may reach back. */
	size_t keep = total < s->longest ? total : s->longest;
	count_lines_to(s, offset, total - keep);
	memmove(s->at, s->at + total - keep, keep);
	s->offset = offset + total - keep;
	s->kept = keep;
}
