#include "vault/health.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum error_code exit;
} verdicts[OUTCOME_COUNT] = {
	[VERDICT_UNCHECKED] = { "unchecked", ERR_NONE },
	[VERDICT_HEALTHY] = { "healthy", ERR_NONE },
	[VERDICT_UNPROVEN] = { "unproven", ERR_NONE },
	[VERDICT_EXPIRED] = { "expired", ERR_EXPIRED },
	[VERDICT_REVOKED] = { "revoked", ERR_EXPIRED },
	[VERDICT_MISMATCHED] = { "mismatched", ERR_MISMATCHED },
	[VERDICT_NO_PERMISSION] = { "no-permission", ERR_MISMATCHED },
	[VERDICT_MALFORMED] = { "malformed", ERR_MALFORMED },
	[OUTCOME_THROTTLED] = { "throttled", ERR_UNREACHABLE },
	[OUTCOME_UNREACHABLE] = { "unreachable", ERR_UNREACHABLE },
	[OUTCOME_UNKNOWN] = { "unknown", ERR_UNCLEAR },
};

const char *verdict_name(enum verdict v)
{
	return (unsigned)v < OUTCOME_COUNT ? verdicts[v].name : "unknown";
}

bool verdict_is_bad(enum verdict v)
{
	return v >= VERDICT_EXPIRED && v <= VERDICT_MALFORMED;
}

bool verdict_is_transient(enum verdict v)
{
	return v >= OUTCOME_THROTTLED;
}

enum error_code verdict_exit(enum verdict v)
{
	return (unsigned)v < OUTCOME_COUNT ? verdicts[v].exit : ERR_UNCLEAR;
}

const char *probe_name(enum probe_kind kind)
{
	static const char *const names[] = { NULL, "dry", "test", "live", "listing", "report", "refresh" };
	return (unsigned)kind < COUNT_OF(names) ? names[kind] : NULL;
}

static void forget(struct judgement *j)
{
	*j = (struct judgement){ .evidence.code = NO_CODE };
}

const struct fading *health_fading(const struct health *h, uint32_t version)
{
	for (size_t i = 0; i < h->fading_count; i++)
		if (h->fading[i].version == version)
			return &h->fading[i];
	return NULL;
}

static void remove_fading(struct health *h, size_t i)
{
	memmove(&h->fading[i], &h->fading[i + 1], (h->fading_count - i - 1) * sizeof h->fading[0]);
	h->fading_count--;
}

struct fading *health_fade(struct health *h, uint32_t version)
{
	const struct fading *known = health_fading(h, version);
	if (known)
		return &h->fading[known - h->fading];
	if (h->fading_count == FADING_MAX)
		remove_fading(h, 0);
	struct fading *f = &h->fading[h->fading_count++];
	*f = (struct fading){ .version = version };
	return f;
}

/* ---- what lists say ---- */

const char *sight_name(enum sight_kind kind)
{
	static const char *const names[] = { NULL, "listed", "unbound", "pending", "rejected", "absent" };
	return (unsigned)kind < COUNT_OF(names) ? names[kind] : NULL;
}

const struct sight *health_sight(const struct health *h, const char *list)
{
	for (size_t i = 0; i < h->sight_count; i++)
		if (strcmp(h->sights[i].list, list) == 0)
			return &h->sights[i];
	return NULL;
}

static void remove_sight(struct health *h, size_t i)
{
	memmove(&h->sights[i], &h->sights[i + 1], (h->sight_count - i - 1) * sizeof h->sights[0]);
	h->sight_count--;
}

void health_unsee(struct health *h, const char *list)
{
	const struct sight *s = health_sight(h, list);
	if (s)
		remove_sight(h, (size_t)(s - h->sights));
}

static size_t oldest_sight(const struct health *h)
{
	size_t oldest = 0;
	for (size_t i = 1; i < h->sight_count; i++)
		if (h->sights[i].at < h->sights[oldest].at)
			oldest = i;
	return oldest;
}

static struct sight *place_sight(struct health *h, const char *list)
{
	size_t i = 0;
	if (h->sight_count == SIGHTS_MAX)
		remove_sight(h, oldest_sight(h));
	while (i < h->sight_count && strcmp(h->sights[i].list, list) < 0)
		i++;
	memmove(&h->sights[i + 1], &h->sights[i], (h->sight_count - i) * sizeof h->sights[0]);
	h->sight_count++;
	h->sights[i] = (struct sight){ .kind = SIGHT_ABSENT };
	snprintf(h->sights[i].list, sizeof h->sights[i].list, "%s", list);
	return &h->sights[i];
}

void health_see(struct health *h, const char *list, enum sight_kind kind, bool is_own, int64_t at)
{
	const struct sight *known = health_sight(h, list);
	struct sight *s = known ? &h->sights[known - h->sights] : place_sight(h, list);
	if (!s->times || s->kind != kind || s->is_own != is_own) {
		s->times = 0;
		s->since = at;
	}
	s->kind = kind;
	s->is_own = is_own;
	if (s->times < UINT8_MAX)
		s->times++;
	s->at = at;
}

/* Current gave way to another, or pending was put aside: what was found about it goes on to count. */
static void fade(struct health *h, const struct credential *c, const struct judgement *j)
{
	const struct version *v = credential_numbered(c, j->version);
	if (!v || v->stage == STAGE_CURRENT || v->stage == STAGE_PENDING)
		return;
	struct fading *f = health_fade(h, j->version);
	f->verdict = j->verdict;
	f->proven_at = j->proven_at;
	f->checked_at = j->checked_at;
	f->refused_at = verdict_is_bad(j->verdict) ? j->evidence.at : 0;
}

static void drop_unfaded(struct health *h, const struct credential *c)
{
	for (size_t i = h->fading_count; i-- > 0;) {
		const struct version *v = credential_numbered(c, h->fading[i].version);
		if (!v || v->stage == STAGE_CURRENT || v->stage == STAGE_PENDING)
			remove_fading(h, i);
	}
}

void health_align(struct health *h, const struct credential *c)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	uint32_t current_number = current ? current->number : 0, pending_number = pending ? pending->number : 0;
	if (h->current.version && h->current.version != current_number)
		fade(h, c, &h->current);
	const struct version *standby = credential_staged(c, STAGE_STANDBY);
	if (standby && h->pending.version == standby->number)
		fade(h, c, &h->pending);
	drop_unfaded(h, c);
	if (current_number && h->pending.version == current_number)
		h->current = h->pending;
	if (h->current.version != current_number) {
		forget(&h->current);
		h->current.version = current_number;
	}
	if (h->pending.version != pending_number) {
		forget(&h->pending);
		h->pending.version = pending_number;
	}
}

const struct judgement *health_speaking(const struct health *h, const struct credential *c)
{
	if (credential_staged(c, STAGE_CURRENT))
		return &h->current;
	return credential_staged(c, STAGE_PENDING) ? &h->pending : NULL;
}

static void add_change(struct health *h, const struct judgement *j)
{
	if (h->history_count == HEALTH_HISTORY_MAX) {
		memmove(h->history, h->history + 1, sizeof h->history - sizeof h->history[0]);
		h->history_count--;
	}
	h->history[h->history_count++] = (struct health_change){
		.at = j->evidence.at,
		.version = j->version,
		.verdict = j->verdict,
		.probe = j->evidence.probe,
		.code = j->evidence.code,
	};
}

void health_remember(struct health *h, const struct judgement *j)
{
	for (size_t i = h->history_count; i-- > 0;)
		if (h->history[i].version == j->version) {
			if (h->history[i].verdict == j->verdict)
				return;
			break;
		}
	add_change(h, j);
}

void health_remember_in_force(struct health *h, const struct judgement *j)
{
	const struct health_change *last = h->history_count ? &h->history[h->history_count - 1] : NULL;
	if (!last || last->version != j->version || last->verdict != j->verdict)
		add_change(h, j);
}

#define HEALTH_FORMAT 1

static void put_judgement(struct buf *out, const struct judgement *j)
{
	buf_append_uint(out, 4, j->version);
	buf_append_uint(out, 1, j->verdict);
	buf_append_uint(out, 1, j->evidence.probe);
	buf_append_uint(out, 4, (uint32_t)j->evidence.code);
	buf_append_uint(out, 4, (uint32_t)j->evidence.http);
	buf_append_uint(out, 8, (uint64_t)j->evidence.at);
	buf_append_counted(out, 2, j->evidence.text);
	buf_append_counted(out, 2, j->evidence.request_id);
	buf_append_uint(out, 1, j->last_outcome);
	buf_append_uint(out, 8, (uint64_t)j->attempted_at);
	buf_append_counted(out, 2, j->attempt_text);
	buf_append_uint(out, 8, (uint64_t)j->checked_at);
	buf_append_uint(out, 8, (uint64_t)j->proven_at);
	buf_append_uint(out, 1, j->suspected);
	buf_append_uint(out, 8, (uint64_t)j->suspected_at);
	buf_append_counted(out, 2, j->belongs_to);
}

static bool take_verdict(struct bytes *from, enum verdict *ret)
{
	uint8_t value;
	if (!bytes_take_u8(from, &value) || value >= OUTCOME_COUNT)
		return false;
	*ret = (enum verdict)value;
	return true;
}

static bool take_probe(struct bytes *from, enum probe_kind *ret)
{
	uint8_t value;
	if (!bytes_take_u8(from, &value) || value > PROBE_REFRESH)
		return false;
	*ret = (enum probe_kind)value;
	return true;
}

static bool take_i32(struct bytes *from, int32_t *ret)
{
	uint32_t value;
	if (!bytes_take_u32(from, &value))
		return false;
	*ret = (int32_t)value;
	return true;
}

static bool take_judgement(struct bytes *from, struct judgement *j)
{
	return bytes_take_u32(from, &j->version) && take_verdict(from, &j->verdict) &&
	       take_probe(from, &j->evidence.probe) && take_i32(from, &j->evidence.code) &&
	       take_i32(from, &j->evidence.http) && bytes_take_i64(from, &j->evidence.at) &&
	       bytes_take_counted(from, 2, j->evidence.text, sizeof j->evidence.text) &&
	       bytes_take_counted(from, 2, j->evidence.request_id, sizeof j->evidence.request_id) &&
	       take_verdict(from, &j->last_outcome) && bytes_take_i64(from, &j->attempted_at) &&
	       bytes_take_counted(from, 2, j->attempt_text, sizeof j->attempt_text) &&
	       bytes_take_i64(from, &j->checked_at) && bytes_take_i64(from, &j->proven_at) &&
	       take_verdict(from, &j->suspected) && bytes_take_i64(from, &j->suspected_at) &&
	       bytes_take_counted(from, 2, j->belongs_to, sizeof j->belongs_to);
}

static void put_sights(struct buf *out, const struct health *h)
{
	buf_append_uint(out, 1, h->sight_count);
	for (size_t i = 0; i < h->sight_count; i++) {
		const struct sight *s = &h->sights[i];
		buf_append_counted(out, 1, s->list);
		buf_append_uint(out, 1, s->kind);
		buf_append_uint(out, 1, s->is_own);
		buf_append_uint(out, 1, s->times);
		buf_append_uint(out, 8, (uint64_t)s->since);
		buf_append_uint(out, 8, (uint64_t)s->at);
	}
}

bool health_encode(const struct health *h, struct buf *out, struct error *err)
{
	buf_append_uint(out, 1, HEALTH_FORMAT);
	buf_append_uint(out, 8, h->counter);
	put_judgement(out, &h->current);
	put_judgement(out, &h->pending);
	buf_append_uint(out, 4, h->failures);
	buf_append_uint(out, 8, (uint64_t)h->next_check_at);
	buf_append_uint(out, 1, h->history_count);
	for (size_t i = 0; i < h->history_count; i++) {
		buf_append_uint(out, 8, (uint64_t)h->history[i].at);
		buf_append_uint(out, 4, h->history[i].version);
		buf_append_uint(out, 1, h->history[i].verdict);
		buf_append_uint(out, 1, h->history[i].probe);
		buf_append_uint(out, 4, (uint32_t)h->history[i].code);
	}
	if (!h->fading_count && !h->reported_at && !h->sight_count)
		return buf_ok(out, err);
	buf_append_uint(out, 8, (uint64_t)h->reported_at);
	buf_append_uint(out, 1, h->fading_count);
	for (size_t i = 0; i < h->fading_count; i++) {
		buf_append_uint(out, 4, h->fading[i].version);
		buf_append_uint(out, 1, h->fading[i].verdict);
		buf_append_uint(out, 8, (uint64_t)h->fading[i].proven_at);
		buf_append_uint(out, 8, (uint64_t)h->fading[i].checked_at);
		buf_append_uint(out, 8, (uint64_t)h->fading[i].refused_at);
	}
	if (h->sight_count)
		put_sights(out, h);
	return buf_ok(out, err);
}

static bool take_sight(struct bytes *from, struct sight *s)
{
	uint8_t kind, own;
	struct error unused;
	if (!bytes_take_counted(from, 1, s->list, sizeof s->list) || !bytes_take_u8(from, &kind) ||
	    !bytes_take_u8(from, &own) || !bytes_take_u8(from, &s->times) || !bytes_take_i64(from, &s->since) ||
	    !bytes_take_i64(from, &s->at) || !list_check(s->list, &unused))
		return false;
	s->kind = (enum sight_kind)kind;
	s->is_own = own != 0;
	return kind >= SIGHT_LISTED && kind < SIGHT_KIND_COUNT && own <= 1 && s->times;
}

static bool take_sights(struct bytes *from, struct health *h)
{
	uint8_t count;
	if (!bytes_take_u8(from, &count) || !count || count > SIGHTS_MAX)
		return false;
	for (; h->sight_count < count; h->sight_count++) {
		struct sight *s = &h->sights[h->sight_count];
		if (!take_sight(from, s) || (h->sight_count && strcmp(s[-1].list, s->list) >= 0))
			return false;
	}
	return true;
}

/* Behind the history, when there is any. */
static bool take_fading(struct bytes *from, struct health *h)
{
	uint8_t count;
	if (!from->len)
		return true;
	if (!bytes_take_i64(from, &h->reported_at) || !bytes_take_u8(from, &count) || count > FADING_MAX)
		return false;
	for (; h->fading_count < count; h->fading_count++) {
		struct fading *f = &h->fading[h->fading_count];
		if (!bytes_take_u32(from, &f->version) || !take_verdict(from, &f->verdict) ||
		    !bytes_take_i64(from, &f->proven_at) || !bytes_take_i64(from, &f->checked_at) ||
		    !bytes_take_i64(from, &f->refused_at))
			return false;
	}
	return from->len ? take_sights(from, h) : h->fading_count || h->reported_at;
}

bool health_decode(struct bytes from, struct health *ret)
{
	struct health h;
	uint8_t format, count;
	memset(&h, 0, sizeof h);
	if (!bytes_take_u8(&from, &format) || format != HEALTH_FORMAT || !bytes_take_u64(&from, &h.counter) ||
	    !take_judgement(&from, &h.current) || !take_judgement(&from, &h.pending) ||
	    !bytes_take_u32(&from, &h.failures) || !bytes_take_i64(&from, &h.next_check_at) ||
	    !bytes_take_u8(&from, &count) || count > HEALTH_HISTORY_MAX)
		return false;
	for (; h.history_count < count; h.history_count++) {
		struct health_change *change = &h.history[h.history_count];
		if (!bytes_take_i64(&from, &change->at) || !bytes_take_u32(&from, &change->version) ||
		    !take_verdict(&from, &change->verdict) || !take_probe(&from, &change->probe) ||
		    !take_i32(&from, &change->code))
			return false;
	}
	if (!take_fading(&from, &h) || from.len != 0)
		return false;
	*ret = h;
	return true;
}
