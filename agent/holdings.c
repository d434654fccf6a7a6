#include "agent/holdings.h"

#include "agent/decoy.h"
#include "agent/pixel_map.h"
#include "vault/codec.h"

#include <stdlib.h>
#include <string.h>

struct damaged {
	uint8_t id[PIXEL_ID_LEN];
	struct error damage;
};

struct holdings {
	struct damaged *damaged; /* in order of id */
	size_t damaged_count, damaged_room;
	struct pixel_map map;
	struct holding **sorted; /* by code; appended to while unsorted, put in order when first walked */
	size_t count, room;
	bool is_sorted;
	size_t verdicts[OUTCOME_COUNT], due;
};

/* ---- one holding ---- */

static uint8_t *lay_down(uint8_t *at, struct bytes from, struct bytes *ret)
{
	if (from.len)
		memcpy(at, from.at, from.len);
	*ret = bytes_of(at, from.len);
	return at + from.len;
}

static void fill_head(struct holding *h, const struct credential *c, const struct health *health)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	const struct judgement *speaking = health_speaking(health, c);
	memcpy(h->pixel, c->pixel, sizeof h->pixel);
	h->current = current ? current->number : 0;
	h->previous = previous ? previous->number : 0;
	h->pending = pending ? pending->number : 0;
	h->verdict = speaking ? speaking->verdict : VERDICT_UNCHECKED;
	h->current_verdict = current ? health->current.verdict : VERDICT_UNCHECKED;
	h->proven_at = current ? health->current.proven_at : 0;
	h->expires_at = current ? version_ends_at(current) : 0;
	h->is_decoy = decoy_is(c);
	h->names_another = health->current.belongs_to[0] || health->pending.belongs_to[0];
	if (current)
		memcpy(h->fingerprint, current->fingerprint, FINGERPRINT_LEN);
	if (previous)
		memcpy(h->previous_fingerprint, previous->fingerprint, FINGERPRINT_LEN);
}

bool holding_new(const struct credential *c, const struct health *h, bool is_due, struct bytes sealed,
		 struct bytes previous_sealed, struct holding **ret, struct error *err)
{
	struct buf credential = BUF_INIT(65536), health = BUF_INIT(65536);
	struct holding *fresh = NULL;
	bool ok = credential_encode(c, &credential, err) && health_encode(h, &health, err);
	if (ok) {
		fresh = malloc(sizeof *fresh + credential.len + health.len + sealed.len + previous_sealed.len);
		ok = fresh ? true : fail_no_memory(err);
	}
	if (ok) {
		*fresh = (struct holding){ .is_due = is_due };
		fill_head(fresh, c, h);
		uint8_t *at = (uint8_t *)(fresh + 1);
		at = lay_down(at, sealed, &fresh->sealed);
		at = lay_down(at, buf_bytes(&credential), &fresh->credential);
		at = lay_down(at, buf_bytes(&health), &fresh->health);
		(void)lay_down(at, previous_sealed, &fresh->previous_sealed);
		*ret = fresh;
	}
	buf_done(&credential);
	buf_done(&health);
	return ok;
}

void holding_free(struct holding *h)
{
	free(h);
}

bool holding_decode(const struct holding *h, struct credential *ret_credential, struct health *ret_health)
{
	return credential_decode(h->credential, ret_credential) && health_decode(h->health, ret_health);
}

bool holding_has_label(const void *holding, const struct label *label)
{
	const struct holding *h = holding;
	struct credential c;
	return credential_decode(h->credential, &c) && credential_has_label(&c, label);
}

/* ---- all of them ---- */

bool holdings_new(struct holdings **ret, struct error *err)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? true : fail_no_memory(err);
}

void holdings_clear(struct holdings *hs)
{
	for (size_t i = 0; i < hs->count; i++)
		holding_free(hs->sorted[i]);
	free(hs->sorted);
	free(hs->damaged);
	pixel_map_done(&hs->map);
	*hs = (struct holdings){ .is_sorted = true };
}

void holdings_free(struct holdings *hs)
{
	if (hs)
		holdings_clear(hs);
	free(hs);
}

static int by_code(const void *a, const void *b)
{
	return strcmp((*(struct holding *const *)a)->pixel, (*(struct holding *const *)b)->pixel);
}

static void sort(struct holdings *hs)
{
	if (!hs->is_sorted && hs->count)
		qsort(hs->sorted, hs->count, sizeof *hs->sorted, by_code);
	hs->is_sorted = true;
}

/* The first place whose code is not before pixel. */
static size_t place_of(const struct holdings *hs, const char *pixel)
{
	size_t low = 0, high = hs->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(hs->sorted[middle]->pixel, pixel) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void tally(struct holdings *hs, const struct holding *h, bool is_gone)
{
	size_t step = is_gone ? (size_t)-1 : 1;
	hs->verdicts[h->verdict] += step;
	if (h->is_due)
		hs->due += step;
}

static bool make_room(struct holdings *hs, struct error *err)
{
	if (hs->count < hs->room)
		return true;
	size_t room = hs->room ? hs->room * 2 : 64;
	struct holding **moved = reallocarray(hs->sorted, room, sizeof(struct holding *));
	if (!moved)
		return fail_no_memory(err);
	hs->sorted = moved;
	hs->room = room;
	return true;
}

/* In its place while few come, at the end while the whole vault is read in: sorting once is cheaper then. */
static void insert(struct holdings *hs, struct holding *h)
{
	bool goes_last = !hs->count || strcmp(hs->sorted[hs->count - 1]->pixel, h->pixel) < 0;
	if (!hs->is_sorted || goes_last) {
		hs->sorted[hs->count++] = h;
		return;
	}
	size_t at = place_of(hs, h->pixel);
	memmove(hs->sorted + at + 1, hs->sorted + at, (hs->count - at) * sizeof(struct holding *));
	hs->sorted[at] = h;
	hs->count++;
}

bool holdings_put(struct holdings *hs, struct holding *h, struct holding **ret_before, struct error *err)
{
	const char *before;
	if (!make_room(hs, err) || !pixel_map_put(&hs->map, h->pixel, &before, err))
		return false;
	*ret_before = (struct holding *)(uintptr_t)before;
	if (before) {
		sort(hs);
		hs->sorted[place_of(hs, h->pixel)] = h;
		tally(hs, *ret_before, true);
	} else {
		insert(hs, h);
	}
	tally(hs, h, false);
	return true;
}

void holdings_expect_many(struct holdings *hs)
{
	hs->is_sorted = false;
}

struct holding *holdings_remove(struct holdings *hs, const char *pixel)
{
	struct holding *h = (struct holding *)(uintptr_t)pixel_map_remove(&hs->map, pixel);
	if (!h)
		return NULL;
	sort(hs);
	size_t at = place_of(hs, pixel);
	memmove(hs->sorted + at, hs->sorted + at + 1, (hs->count - at - 1) * sizeof(struct holding *));
	hs->count--;
	tally(hs, h, true);
	return h;
}

const struct holding *holdings_find(const struct holdings *hs, const char *pixel)
{
	return (const struct holding *)pixel_map_find(&hs->map, pixel);
}

/* ---- the damaged ones ---- */

/* Where the id is or would be. */
static size_t damaged_place(const struct holdings *hs, const uint8_t id[PIXEL_ID_LEN], bool *ret_is_there)
{
	size_t low = 0, high = hs->damaged_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(hs->damaged[middle].id, id, PIXEL_ID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_is_there = low < hs->damaged_count && memcmp(hs->damaged[low].id, id, PIXEL_ID_LEN) == 0;
	return low;
}

static bool make_room_for_damage(struct holdings *hs, struct error *err)
{
	if (hs->damaged_count < hs->damaged_room)
		return true;
	size_t room = hs->damaged_room ? hs->damaged_room * 2 : 8;
	struct damaged *moved = reallocarray(hs->damaged, room, sizeof *moved);
	if (!moved)
		return fail_no_memory(err);
	hs->damaged = moved;
	hs->damaged_room = room;
	return true;
}

/* Rare enough to look at each. */
static struct holding *remove_by_id(struct holdings *hs, const uint8_t id[PIXEL_ID_LEN])
{
	for (size_t i = 0; i < hs->count; i++)
		if (memcmp(hs->sorted[i]->id, id, PIXEL_ID_LEN) == 0)
			return holdings_remove(hs, hs->sorted[i]->pixel);
	return NULL;
}

bool holdings_note_damage(struct holdings *hs, const uint8_t id[PIXEL_ID_LEN], const struct error *damage,
			  struct holding **ret_before, struct error *err)
{
	bool is_there;
	if (!make_room_for_damage(hs, err))
		return false;
	size_t at = damaged_place(hs, id, &is_there);
	if (!is_there) {
		memmove(hs->damaged + at + 1, hs->damaged + at, (hs->damaged_count - at) * sizeof *hs->damaged);
		hs->damaged_count++;
		memcpy(hs->damaged[at].id, id, PIXEL_ID_LEN);
	}
	hs->damaged[at].damage = *damage;
	*ret_before = remove_by_id(hs, id);
	return true;
}

void holdings_forget_damage(struct holdings *hs, const uint8_t id[PIXEL_ID_LEN])
{
	bool is_there;
	size_t at = damaged_place(hs, id, &is_there);
	if (!is_there)
		return;
	hs->damaged_count--;
	memmove(hs->damaged + at, hs->damaged + at + 1, (hs->damaged_count - at) * sizeof *hs->damaged);
}

size_t holdings_damaged(const struct holdings *hs)
{
	return hs->damaged_count;
}

const struct error *holdings_damage(const struct holdings *hs)
{
	return hs->damaged_count ? &hs->damaged[0].damage : NULL;
}

/* ---- counting and walking ---- */

size_t holdings_count(const struct holdings *hs)
{
	return hs->count;
}

size_t holdings_with_verdict(const struct holdings *hs, enum verdict v)
{
	return hs->verdicts[v];
}

size_t holdings_due(const struct holdings *hs)
{
	return hs->due;
}

const struct holding *holdings_after(struct holdings *hs, const char *after)
{
	sort(hs);
	size_t at = place_of(hs, after);
	if (at < hs->count && strcmp(hs->sorted[at]->pixel, after) == 0)
		at++;
	return at < hs->count ? hs->sorted[at] : NULL;
}
