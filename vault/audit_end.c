/* The end of the log: proven when it is opened, followed while others append, and mended where a write was torn. A kill
 * tears the last line only. A power cut may lose any sector that was not synced yet, also one with later lines behind it;
 * such a place reads as zero bytes, which no line of ours has, and it lies behind the anchored entry, which was synced. So
 * in the first look after a boot all from the anchored entry on is followed, and a line with a zero byte ends the log
 * there. Any other line that does not follow was changed by somebody. */
#include "vault/audit_own.h"

#include "core/file.h"
#include "vault/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_at(struct audit *a, uint64_t at, size_t len, struct buf *ret, struct error *err)
{
	buf_clear(ret);
	uint8_t *room = buf_room(ret, len + 1);
	if (!room)
		return buf_ok(ret, err);
	while (ret->len < len) {
		ssize_t got = pread(a->fd, room + ret->len, len - ret->len, (off_t)(at + ret->len));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, a->path, strerror(errno));
		if (got == 0)
			break;
		ret->len += (size_t)got;
	}
	return true;
}

/* ---- a piece of its end ---- */

size_t audit_tail_line(const struct audit_tail *t, size_t end)
{
	size_t at = end - 1; /* its own newline */
	while (at > 0 && t->bytes.at[at - 1] != '\n')
		at--;
	return at > 0 || t->at == 0 ? at : SIZE_MAX;
}

/* The bytes from `at` on. */
static bool read_piece(struct audit *a, uint64_t at, size_t len, struct audit_tail *t, struct error *err)
{
	t->at = at;
	if (!read_at(a, at, len, &t->bytes, err))
		return false;
	t->whole = t->bytes.len;
	while (t->whole > 0 && t->bytes.at[t->whole - 1] != '\n')
		t->whole--;
	return true;
}

bool audit_tail_read(struct audit *a, uint64_t size, size_t len, struct audit_tail *t, struct error *err)
{
	if (len > size)
		len = (size_t)size;
	return read_piece(a, size - len, len, t, err);
}

bool audit_tail_decode(const struct audit_tail *t, size_t from, size_t end, struct audit_entry *ret,
		       struct bytes *ret_covered)
{
	size_t covered;
	if (!audit_entry_decode(bytes_of(t->bytes.at + from, end - from), ret, &covered))
		return false;
	*ret_covered = bytes_of(t->bytes.at + from, covered);
	return true;
}

static void take_end(struct audit *a, uint64_t size, const struct audit_entry *last)
{
	const char *boot = audit_boot(a);
	a->size = size;
	a->segment = last->segment;
	a->last.sequence = last->sequence;
	memcpy(a->last.mac, last->mac, DIGEST_LEN);
	a->may_be_cut = strcmp(last->boot, boot) != 0 || strcmp(boot, AUDIT_NO_BOOT) == 0;
}

bool audit_is_cut(struct bytes line)
{
	return line.len && memchr(line.at, '\0', line.len);
}

static bool has_changed(const struct audit *a, uint64_t near, struct error *err)
{
	return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_CHANGED, a->path, (unsigned long long)near);
}

/* ---- followed line by line ---- */

/* Entries in order from where we know the log. Stops at a line that a power cut tore; *ret_end is behind the last good one.
 */
static bool follow(struct audit *a, const struct audit_tail *t, size_t at, bool *ret_is_cut, struct error *err)
{
	*ret_is_cut = false;
	while (at < t->whole) {
		const uint8_t *newline = memchr(t->bytes.at + at, '\n', t->whole - at);
		size_t end = (size_t)(newline - t->bytes.at) + 1;
		struct audit_entry e;
		struct bytes covered;
		if (!audit_tail_decode(t, at, end, &e, &covered) ||
		    !audit_follows(a, &e, covered, &a->last, a->segment)) {
			*ret_is_cut = a->may_be_cut && audit_is_cut(bytes_of(t->bytes.at + at, end - at));
			return *ret_is_cut ? true : has_changed(a, a->last.sequence + 1, err);
		}
		take_end(a, t->at + end, &e);
		audit_remember_intent(a, &e);
		at = end;
	}
	return true;
}

/* The same for any length, up to the end of the file or a torn line. */
static bool follow_all(struct audit *a, uint64_t size, struct error *err)
{
	struct audit_tail t = { .bytes = BUF_INIT(AUDIT_PIECE + 1) };
	bool ok = true, is_cut = false;
	uint64_t before = UINT64_MAX;
	while (ok && !is_cut && a->size < size && a->size != before) {
		before = a->size;
		size_t len = size - a->size < AUDIT_PIECE ? (size_t)(size - a->size) : AUDIT_PIECE;
		ok = read_piece(a, a->size, len, &t, err) && follow(a, &t, 0, &is_cut, err);
	}
	/* Longer than any line: zero bytes without an end, or something else. */
	if (ok && !is_cut && size - a->size >= AUDIT_PIECE && !(a->may_be_cut && audit_is_cut(buf_bytes(&t.bytes))))
		ok = has_changed(a, a->last.sequence + 1, err);
	buf_done(&t.bytes);
	return ok;
}

/* ---- proven at opening ---- */

/* The last whole entry, proven by the one before it. */
static bool tail_last(struct audit *a, const struct audit_tail *t, struct audit_entry *ret, bool *ret_enough)
{
	struct audit_entry before = { 0 };
	struct bytes covered, ignored;
	size_t last = t->whole ? audit_tail_line(t, t->whole) : SIZE_MAX;
	*ret_enough = last != SIZE_MAX && (last == 0 || audit_tail_line(t, last) != SIZE_MAX);
	if (!*ret_enough || !audit_tail_decode(t, last, t->whole, ret, &covered))
		return false;
	if (last == 0 || ret->extra == AUDIT_SCAR) {
		struct audit_position none = { .sequence = ret->extra == AUDIT_SCAR ? ret->sequence - 1 : 0 };
		return audit_follows(a, ret, covered, &none, ret->segment);
	}
	if (!audit_tail_decode(t, audit_tail_line(t, last), last, &before, &ignored))
		return false;
	struct audit_position from = { .sequence = before.sequence };
	memcpy(from.mac, before.mac, DIGEST_LEN);
	return audit_follows(a, ret, covered, &from, before.segment);
}

/* The anchored entry, when it is among those read: compared. */
static bool tail_agrees(const struct audit_tail *t, const struct audit_position *anchored)
{
	struct audit_entry e = { .sequence = UINT64_MAX };
	struct bytes ignored;
	for (size_t end = t->whole; end > 0 && e.sequence > anchored->sequence;) {
		size_t from = audit_tail_line(t, end);
		if (from == SIZE_MAX || !audit_tail_decode(t, from, end, &e, &ignored))
			return true; /* older than what was read */
		end = from;
	}
	return e.sequence != anchored->sequence || sodium_memcmp(e.mac, anchored->mac, DIGEST_LEN) == 0;
}

/* What the last lines tell. *ret_is_sound: they are ours, and all that the anchor remembers is there. */
static bool prove_tail(struct audit *a, struct audit_tail *t, uint64_t size, const struct audit_position *anchored,
		       bool *ret_is_sound, struct error *err)
{
	struct audit_entry last = { 0 };
	bool is_enough = false, is_sound = false;
	*ret_is_sound = false;
	for (size_t len = AUDIT_TAIL; !is_enough && len <= AUDIT_TAIL_MAX;
	     len = len == AUDIT_TAIL ? AUDIT_TAIL_MAX : AUDIT_TAIL_MAX + 1) {
		if (!audit_tail_read(a, size, len, t, err))
			return false;
		if (t->whole == 0 && t->at == 0) {
			/* Nothing whole: empty, or torn before the first entry was done. */
			if (anchored->sequence)
				return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_CUT, a->path, 0ull,
						  (unsigned long long)anchored->sequence);
			*ret_is_sound = true;
			return true;
		}
		is_sound = tail_last(a, t, &last, &is_enough);
	}
	if (!is_sound)
		return has_changed(a, last.sequence ? last.sequence : anchored->sequence, err);
	if (last.sequence < anchored->sequence)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_CUT, a->path, (unsigned long long)last.sequence,
				  (unsigned long long)anchored->sequence);
	if (!tail_agrees(t, anchored))
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_OTHER, a->path,
				  (unsigned long long)anchored->sequence);
	take_end(a, t->at + t->whole, &last);
	*ret_is_sound = true;
	return true;
}

static bool is_anchored(const struct audit_entry *e, const struct audit_position *anchored)
{
	return e->sequence == anchored->sequence && sodium_memcmp(e->mac, anchored->mac, DIGEST_LEN) == 0;
}

static bool is_scar(const struct audit *a, const struct audit_entry *e, struct bytes covered)
{
	struct audit_position before = { .sequence = e->sequence - 1 };
	return e->extra == AUDIT_SCAR && audit_follows(a, e, covered, &before, e->segment);
}

/* In t, from its end: the anchored entry, or a scar newer than it, behind which all is sound again; an older one would
 * excuse what was cut or replaced since. *ret_end is where the next one begins. */
static bool find_in_piece(const struct audit *a, const struct audit_tail *t, const struct audit_position *anchored,
			  struct audit_entry *ret, size_t *ret_end)
{
	struct bytes covered;
	for (size_t end = t->whole; end > 0;) {
		size_t from = audit_tail_line(t, end);
		if (from == SIZE_MAX)
			return false;
		*ret_end = end;
		if (audit_tail_decode(t, from, end, ret, &covered) &&
		    (is_anchored(ret, anchored) ||
		     (ret->sequence > anchored->sequence && is_scar(a, ret, covered))))
			return true;
		end = from;
	}
	return false;
}

/* Piece by piece from the end of the file; a piece begins so early that the line at its front is whole in the next. */
static bool find_anchored(struct audit *a, uint64_t size, const struct audit_position *anchored, bool *ret_is_found,
			  struct error *err)
{
	struct audit_tail t = { .bytes = BUF_INIT(AUDIT_PIECE + 1) };
	struct audit_entry e;
	size_t end;
	bool ok = true;
	*ret_is_found = false;
	for (uint64_t upto = size; ok && !*ret_is_found && upto > 0;) {
		ok = audit_tail_read(a, upto, AUDIT_PIECE, &t, err);
		*ret_is_found = ok && find_in_piece(a, &t, anchored, &e, &end);
		if (t.at == 0)
			break;
		upto = t.at + AUDIT_LINE_MAX;
	}
	if (*ret_is_found)
		take_end(a, t.at + end, &e);
	buf_done(&t.bytes);
	return ok;
}

/* From the anchored entry on, or from the beginning where none is remembered. *ret_is_known: that entry is there. */
static bool prove_from_anchor(struct audit *a, uint64_t size, const struct audit_position *anchored, bool *ret_is_known,
			      struct error *err)
{
	bool is_found = false;
	if (anchored->sequence && !find_anchored(a, size, anchored, &is_found, err))
		return false;
	*ret_is_known = is_found || !anchored->sequence;
	if (!*ret_is_known)
		return true;
	if (!is_found) {
		a->size = 0;
		a->segment = 1;
		a->last = (struct audit_position){ .sequence = 0 };
		a->may_be_cut = true;
	}
	return follow_all(a, size, err);
}

static bool prove_end(struct audit *a, uint64_t size, const struct audit_position *anchored, struct error *err)
{
	struct audit_tail t = { .bytes = BUF_INIT(AUDIT_TAIL_MAX + 1) };
	struct error why;
	bool is_sound, is_known = false;
	bool ok = prove_tail(a, &t, size, anchored, &is_sound, &why);
	buf_done(&t.bytes);
	if (is_sound && !a->may_be_cut)
		return true;
	if (ok)
		(void)!has_changed(a, anchored->sequence, &why);
	if (why.code == ERR_DAMAGED && !prove_from_anchor(a, size, anchored, &is_known, err))
		return false;
	if (!is_known)
		*err = why;
	return is_known;
}

bool audit_prove(struct audit *a, const struct audit_position *anchored, struct error *err)
{
	struct stat st;
	a->anchored = *anchored;
	if (!audit_open_file(a, false, err))
		return false;
	if (a->fd < 0 && anchored->sequence)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_MISSING, a->path,
				  (unsigned long long)anchored->sequence);
	if (a->fd < 0)
		return true; /* begins with its first entry */
	bool ok = fstat(a->fd, &st) == 0
			  ? prove_end(a, (uint64_t)st.st_size, anchored, err)
			  : fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, a->path, strerror(errno));
	if (!ok)
		file_closep(&a->fd);
	return ok;
}

/* Few entries are followed one by one; of many, by somebody who writes much, the end is proven as at opening. */
bool audit_catch_up(struct audit *a, uint64_t size, uint64_t *ret_torn, struct error *err)
{
	struct audit_position floor = a->last.sequence > a->anchored.sequence ? a->last : a->anchored;
	bool is_short = size - a->size <= AUDIT_TAIL_MAX;
	bool ok = is_short || a->may_be_cut ? follow_all(a, size, err) : prove_end(a, size, &floor, err);
	if (!is_short)
		a->is_scanned = false;
	*ret_torn = ok ? size - a->size : 0;
	return ok;
}

/* ---- a write that a power cut, or a kill, tore ---- */

#define ASIDE_MAX 1000

static bool copy_aside(struct audit *a, uint64_t len, int to, const char *path, struct error *err)
{
	struct buf piece = BUF_INIT(AUDIT_PIECE + 1);
	bool ok = true, is_more = true;
	for (uint64_t at = 0; ok && is_more && at < len; at += piece.len) {
		size_t want = len - at < AUDIT_PIECE ? (size_t)(len - at) : AUDIT_PIECE;
		ok = read_at(a, a->size + at, want, &piece, err) && file_write_all(to, buf_bytes(&piece), path, err);
		is_more = piece.len > 0;
	}
	buf_done(&piece);
	return ok;
}

/* A name that is free: what was moved there before may be told of by no entry any more. */
static int open_aside(const struct audit *a, char *ret_path, size_t size)
{
	int to = -1;
	for (unsigned i = 1; to < 0 && i <= ASIDE_MAX; i++) {
		int len = snprintf(ret_path, size, "%s.torn-%llu", a->path, (unsigned long long)a->last.sequence);
		if (i > 1)
			snprintf(ret_path + len, size - (size_t)len, "-%u", i);
		to = open(ret_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (to < 0 && errno != EEXIST)
			break;
	}
	return to;
}

/* They are whole under their own name, durably, before the log loses them. */
static bool move_aside(struct audit *a, uint64_t len, struct error *err)
{
	char aside[PATH_MAX + 48];
	scoped(file_closep) int to = open_aside(a, aside, sizeof aside);
	if (to < 0)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, aside, strerror(errno));
	bool ok = copy_aside(a, len, to, aside, err);
	if (ok && fsync(to) != 0)
		ok = fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, aside, strerror(errno));
	if (!ok || !file_sync_folder_of(aside, err)) {
		unlink(aside);
		return false;
	}
	return ftruncate(a->fd, (off_t)a->size) == 0
		       ? true
		       : fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->path, strerror(errno));
}

/* All that the anchor remembers is there. */
bool audit_mend_torn(struct audit *a, uint64_t len, struct error *err)
{
	struct audit_entry e;
	struct audit_event event = { .verb = "torn", .result = "ok" };
	struct audit_who us = { .is_known = false };
	struct audit_position before = a->last;
	if (!move_aside(a, len, err))
		return false;
	a->allocated = a->size;
	audit_fill(a, &us, &event, &e);
	e.extra = AUDIT_TORN;
	e.moved = len;
	audit_begin(a);
	audit_chain(a, &e, a->last.mac);
	if (audit_write(a, AUDIT_RESERVE, err))
		return true;
	a->last = before;
	return false;
}
