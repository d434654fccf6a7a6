#include "tests/emulator/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/fault.h"

const char *const token_kind_names[TOKEN_KIND_COUNT] = { "events", "marketing", "tt_user", "login", "refresh", "auth-code" };

int64_t monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct world *world_new(void)
{
	struct world *w = must_alloc(sizeof *w);

	(void)pthread_mutex_init(&w->mutex, NULL);
	w->journal = must_alloc(JOURNAL_MAX * sizeof *w->journal);
	w->started_ms = monotonic_ms();
	atomic_init(&w->ids, (uint64_t)time(NULL) << 20 ^ (uint64_t)w->started_ms);
	knobs_reset(w->knobs);
	text_clear(&w->last_head);
	text_clear(&w->last_body);
	return w;
}

static void forget_journal(struct world *w)
{
	for (size_t i = 0; i < JOURNAL_MAX; i++) {
		free(w->journal[i]);
		w->journal[i] = NULL;
	}
	w->journal_count = 0;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	forget_journal(w);
	free(w->journal);
	for (size_t i = 0; i < w->pixel_count; i++) {
		free(w->pixels[i]->code);
		free(w->pixels[i]);
	}
	free(w->pixels);
	for (size_t i = 0; i < w->tokens.cap; i++) {
		struct token *t = w->tokens.slots[i].value;

		if (t) {
			free(t->value);
			free(t->pixels);
			free(t);
		}
	}
	table_free(&w->pixels_by_code);
	table_free(&w->tokens);
	text_free(&w->line);
	text_free(&w->last_head);
	text_free(&w->last_body);
	(void)pthread_mutex_destroy(&w->mutex);
	free(w);
}

void world_lock(struct world *w)
{
	(void)pthread_mutex_lock(&w->mutex);
}

void world_unlock(struct world *w)
{
	(void)pthread_mutex_unlock(&w->mutex);
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U; /* splitmix64 */
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

void world_hex(struct world *w, char *ret, size_t digits)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < digits; i++) {
		if (i % 16 == 0)
			bits = mix(atomic_fetch_add(&w->ids, 0x9e3779b97f4a7c15U));
		ret[i] = "0123456789ABCDEF"[bits & 15];
		bits >>= 4;
	}
	ret[digits] = '\0';
}

/* 19 digits that look like TikTok's and depend on the code only. */
static void derive_id(const char *code, char ret[ID_MAX])
{
	uint64_t hash = 0;

	for (; *code; code++)
		hash = mix(hash + (unsigned char)*code + 1);
	(void)snprintf(ret, ID_MAX, "76%017llu", (unsigned long long)(hash % 100000000000000000U));
}

struct pixel *world_pixel(struct world *w, const char *code, bool real)
{
	struct pixel *p = table_get(&w->pixels_by_code, code);

	if (!p) {
		p = must_alloc(sizeof *p);
		p->code = must_copy(code);
		derive_id(code, p->id);
		(void)snprintf(p->advertiser, ID_MAX, "%s", "7000000000000000001");
		(void)snprintf(p->bc, ID_MAX, "%s", "7000000000000000002");
		(void)snprintf(p->relation, ID_MAX, "%s", "BOUND");
		(void)snprintf(p->status, ID_MAX, "%s", "null");
		if (w->pixel_count == w->pixel_cap) {
			w->pixel_cap = w->pixel_cap ? w->pixel_cap * 2 : 64;
			w->pixels = must_grow(w->pixels, w->pixel_cap * sizeof(struct pixel *));
		}
		p->number = (uint32_t)w->pixel_count;
		w->pixels[w->pixel_count++] = p;
		table_put(&w->pixels_by_code, p->code, p);
	}
	p->exists |= real;
	return p;
}

struct pixel *world_find_pixel(struct world *w, const char *code)
{
	struct pixel *p = table_get(&w->pixels_by_code, code);

	return p && p->exists ? p : NULL;
}

struct token *world_token(struct world *w, const char *value, enum token_kind kind)
{
	struct token *t = table_get(&w->tokens, value);

	if (!t) {
		t = must_alloc(sizeof *t);
		t->value = must_copy(value);
		table_put(&w->tokens, t->value, t);
	}
	t->kind = t->mints = kind;
	t->expires_at = 0;
	t->is_revoked = t->is_expired = false;
	t->pixel_count = 0;
	(void)snprintf(t->scopes, sizeof t->scopes, "%s", kind == TOKEN_MARKETING ? "1,2,3,4,5,6,7,8,9,15" : "");
	return t;
}

struct token *world_find_token(struct world *w, const char *value)
{
	return table_get(&w->tokens, value);
}

/* Where `pixel` is, or would go. */
static size_t place_of(const struct token *t, uint32_t pixel)
{
	size_t from = 0, to = t->pixel_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (t->pixels[middle] < pixel)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

bool token_reaches(const struct token *t, uint32_t pixel)
{
	size_t place = place_of(t, pixel);

	return place < t->pixel_count && t->pixels[place] == pixel;
}

void token_grant(struct token *t, uint32_t pixel)
{
	size_t place = place_of(t, pixel);

	if (token_reaches(t, pixel))
		return;
	if (t->pixel_count == t->pixel_cap) {
		t->pixel_cap = t->pixel_cap ? t->pixel_cap * 2 : 1;
		t->pixels = must_grow(t->pixels, t->pixel_cap * sizeof *t->pixels);
	}
	memmove(t->pixels + place + 1, t->pixels + place, (t->pixel_count - place) * sizeof *t->pixels);
	t->pixels[place] = pixel;
	t->pixel_count++;
}

void token_ungrant(struct token *t, uint32_t pixel)
{
	size_t place = place_of(t, pixel);

	if (!token_reaches(t, pixel))
		return;
	t->pixel_count--;
	memmove(t->pixels + place, t->pixels + place + 1, (t->pixel_count - place) * sizeof *t->pixels);
}

bool token_has_scope(const struct token *t, const char *scope)
{
	size_t len = strlen(scope);
	const char *at = t->scopes;

	while (*at) {
		size_t word = strcspn(at, ",");

		if (word == len && !memcmp(at, scope, len))
			return true;
		at += word + (at[word] == ',');
	}
	return false;
}

void token_copy_rights(struct token *to, const struct token *from)
{
	if (to == from)
		return;
	(void)snprintf(to->scopes, sizeof to->scopes, "%s", from->scopes);
	for (size_t i = 0; i < from->pixel_count; i++)
		token_grant(to, from->pixels[i]);
}

bool world_is_throttled(struct world *w, int *ret_code)
{
	long limit, window_ms;
	int64_t now;

	if (!knob_throttle(w->knobs[KNOB_THROTTLE].text, &limit, &window_ms, ret_code))
		return false;
	now = monotonic_ms();
	if (now - w->throttle_started_ms >= window_ms) {
		w->throttle_started_ms = now;
		w->throttle_seen = 0;
	}
	return ++w->throttle_seen > limit;
}

/* Is this rule about this request (path NULL: about a new connection)? */
static bool rule_fits(const struct fault_rule *rule, const char *path, const char *pixel)
{
	size_t len = path ? strlen(path) : 0, end = strlen(rule->path);

	if (!path)
		return rule->row->at_connect && !*rule->path && !*rule->pixel;
	if (end > len || strcmp(path + len - end, rule->path))
		return false;
	return !*rule->pixel || (pixel && !strcmp(pixel, rule->pixel));
}

bool world_take_fault(struct world *w, const char *path, const char *pixel, struct fault_rule *ret)
{
	for (size_t i = w->fault_count; i-- > 0;) {
		struct fault_rule *rule = &w->faults[i];

		if (!rule_fits(rule, path, pixel))
			continue;
		if (rule->after > 0) {
			rule->after--;
			continue;
		}
		*ret = *rule;
		if (rule->times > 0 && --rule->times == 0) {
			w->fault_count--;
			memmove(rule, rule + 1, (w->fault_count - i) * sizeof *rule);
		}
		return true;
	}
	return false;
}

void world_note(struct world *w, const char *line)
{
	char **place = &w->journal[w->journal_count++ % JOURNAL_MAX];

	free(*place);
	*place = must_copy(line);
}

void world_reset(struct world *w)
{
	long in_flight = w->totals.in_flight;

	knobs_reset(w->knobs);
	forget_journal(w);
	w->fault_count = 0;
	w->totals = (struct totals){ .in_flight = in_flight };
	w->throttle_started_ms = 0;
	w->throttle_seen = 0;
	for (size_t i = 0; i < w->pixel_count; i++)
		w->pixels[i]->events = w->pixels[i]->test = w->pixels[i]->dry = w->pixels[i]->refused = 0;
	text_clear(&w->last_head);
	text_clear(&w->last_body);
}
