/* Reading the whole audit log: one pass proves each entry by the one before it, names the first that is wrong, and goes
 * on behind it as well as it can. */
#include "vault/audit.h"

#include "core/file.h"
#include "vault/audit_own.h"
#include "vault/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEFT_OPEN_MAX 256

struct pass {
	struct audit *a;
	int fd;
	const struct audit_position *anchored;
	const struct audit_reader *reader;
	struct audit_report *report;
	struct audit_position before;
	uint64_t segment;
	char at[CLOCK_TEXT_MAX];
	char boot[37]; /* of the entry before */
	bool is_cut;   /* by a power cut: what follows, up to a scar, only counts for report->torn */
	bool is_lost; /* the entry before could not be read: the next one cannot be proven */
	bool has_met_anchor, has_met_noted, has_met_other; /* other: of the noted sequence, and not the noted entry */
	crypto_generichash_state digest; /* of all bytes so far */
	size_t open_count;
	uint8_t open[LEFT_OPEN_MAX][16];
};

static void fault(struct pass *p, uint64_t sequence, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct pass *p, uint64_t sequence, const char *format, ...)
{
	char sentence[sizeof p->report->first];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (p->report->faults++ == 0) {
		memcpy(p->report->first, sentence, sizeof sentence);
		p->report->first_bad = sequence;
	}
	if (p->reader->fault)
		p->reader->fault(p->reader->context, sentence);
}

static void note_intent(struct pass *p, const struct audit_entry *e)
{
	size_t i = 0;
	if (e->extra != AUDIT_OF_COMMIT || strcmp(e->result, "unknown") == 0)
		return;
	while (i < p->open_count && memcmp(p->open[i], e->commit, 16) != 0)
		i++;
	if (strcmp(e->result, "intent") != 0) {
		if (i < p->open_count)
			memcpy(p->open[i], p->open[--p->open_count], 16);
	} else if (i == p->open_count && i < LEFT_OPEN_MAX) {
		memcpy(p->open[p->open_count++], e->commit, 16);
	}
}

/* Does the past that was accepted lie there as it did then? */
static void meet_scar(struct pass *p, const struct audit_entry *e)
{
	crypto_generichash_state so_far = p->digest;
	uint8_t digest[DIGEST_LEN];
	crypto_generichash_final(&so_far, digest, sizeof digest);
	if (sodium_memcmp(digest, e->digest, DIGEST_LEN) != 0) {
		fault(p, e->sequence, "what stands before entry %llu was changed after its loss had been accepted",
		      (unsigned long long)e->sequence);
		return;
	}
	p->report->accepted += p->report->faults;
	p->report->faults = 0;
	p->report->first_bad = 0;
	p->report->first[0] = '\0';
	p->open_count = 0;
}

static void explain_break(struct pass *p, const struct audit_entry *e)
{
	unsigned long long expected = p->before.sequence + 1, found = e->sequence;
	if (found > expected)
		fault(p, expected, "entries %llu to %llu are missing", expected, found - 1);
	else if (found < expected)
		fault(p, expected, "behind entry %llu stands entry %llu: again, or moved there", expected - 1, found);
	else
		fault(p, expected, "entry %llu was changed, or the one before it", found);
}

static bool meet_entry(struct pass *p, const struct audit_entry *e, struct bytes covered, struct error *err)
{
	/* A scar need not fit to what stands before it, which may claim anything. */
	struct audit_position best = { .sequence = p->report->best };
	bool is_proven = audit_follows(p->a, e, covered, e->extra == AUDIT_SCAR ? &best : &p->before, p->segment);
	if (is_proven && e->extra == AUDIT_SCAR)
		meet_scar(p, e);
	else if (!is_proven && !p->is_lost)
		explain_break(p, e);
	if (is_proven && e->sequence > p->report->best) {
		p->report->best = e->sequence;
		p->report->best_segment = e->segment;
	}
	if (is_proven && e->extra == AUDIT_SCAR)
		p->report->segments++;
	if (e->sequence == p->anchored->sequence) {
		p->has_met_anchor = true;
		if (sodium_memcmp(e->mac, p->anchored->mac, DIGEST_LEN) != 0)
			fault(p, e->sequence, "entry %llu is not the one this host remembers",
			      (unsigned long long)e->sequence);
	}
	if (p->reader->noted && e->sequence == p->reader->noted->sequence) {
		bool is_noted = sodium_memcmp(e->mac, p->reader->noted->mac, DIGEST_LEN) == 0;
		p->has_met_noted |= is_noted;
		p->has_met_other |= !is_noted;
	}
	if (p->at[0] && strcmp(e->at, p->at) < 0)
		p->report->clock_reversals++;
	memcpy(p->at, e->at, sizeof p->at);
	note_intent(p, e);
	p->report->entries++;
	p->report->last = e->sequence;
	p->before.sequence = e->sequence;
	memcpy(p->before.mac, e->mac, DIGEST_LEN);
	memcpy(p->boot, e->boot, sizeof p->boot);
	p->segment = e->segment;
	p->is_lost = false;
	return !p->reader->entry || p->reader->entry(p->reader->context, e, is_proven, err);
}

/* As the next writer will see it. */
static bool is_cut_here(const struct pass *p, struct bytes line)
{
	bool has_met = p->has_met_anchor || !p->anchored->sequence;
	const char *boot = audit_boot(p->a);
	bool may_be = strcmp(p->boot, boot) != 0 || strcmp(boot, AUDIT_NO_BOOT) == 0;
	return has_met && may_be && !p->is_lost && !p->report->faults && audit_is_cut(line);
}

/* Somebody went on behind it without mending it, with leave. */
static bool is_scar(const struct pass *p, const struct audit_entry *e, struct bytes covered)
{
	struct audit_position best = { .sequence = p->report->best };
	return e->extra == AUDIT_SCAR && audit_follows(p->a, e, covered, &best, p->segment);
}

/* A line that is no entry, or a piece of one that is longer than any of ours. */
static void meet_other(struct pass *p, struct bytes line)
{
	p->is_cut = p->is_cut || is_cut_here(p, line);
	crypto_generichash_update(&p->digest, line.at, line.len);
	if (p->is_cut) {
		p->report->torn += line.len;
		return;
	}
	fault(p, p->before.sequence + 1, "entry %llu cannot be read: the line was changed",
	      (unsigned long long)p->before.sequence + 1);
	p->is_lost = true;
	p->before.sequence++;
}

static bool meet_line(struct pass *p, struct bytes line, struct error *err)
{
	struct audit_entry e;
	size_t covered;
	bool ok = true;
	if (!audit_entry_decode(line, &e, &covered)) {
		meet_other(p, line);
		return true;
	}
	p->is_cut = p->is_cut && !is_scar(p, &e, bytes_of(line.at, covered));
	p->report->torn = p->is_cut ? p->report->torn + line.len : 0;
	if (!p->is_cut)
		ok = meet_entry(p, &e, bytes_of(line.at, covered), err);
	crypto_generichash_update(&p->digest, line.at, line.len);
	return ok;
}

/* Lines from the front of pending; what has no newline yet stays. */
static bool meet_lines(struct pass *p, struct buf *pending, struct error *err)
{
	size_t at = 0;
	const uint8_t *newline;
	while (at < pending->len && (newline = memchr(pending->at + at, '\n', pending->len - at))) {
		size_t end = (size_t)(newline - pending->at) + 1;
		if (!meet_line(p, bytes_of(pending->at + at, end - at), err))
			return false;
		at = end;
	}
	if (at)
		memmove(pending->at, pending->at + at, pending->len - at);
	pending->len -= at;
	return true;
}

static bool read_piece(struct pass *p, uint64_t at, uint64_t end, struct buf *pending, size_t *ret_got,
		       struct error *err)
{
	size_t want = end - at < AUDIT_PIECE ? (size_t)(end - at) : AUDIT_PIECE;
	uint8_t *room = buf_room(pending, want);
	if (!room)
		return buf_ok(pending, err);
	ssize_t got;
	do
		got = pread(p->fd, room, want, (off_t)at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, p->a->path, strerror(errno));
	*ret_got = (size_t)got;
	pending->len += (size_t)got;
	return true;
}

/* A line longer than any of ours is handed over as a bad one in pieces, so that it needs no memory of its size. */
static void cut_long(struct pass *p, struct buf *pending)
{
	if (pending->len < AUDIT_PIECE)
		return;
	if (p->is_lost && !p->is_cut)
		crypto_generichash_update(&p->digest, pending->at, pending->len);
	else
		meet_other(p, buf_bytes(pending));
	pending->len = 0;
}

static bool read_all(struct pass *p, uint64_t end, struct error *err)
{
	struct buf pending = BUF_INIT(3 * AUDIT_PIECE);
	size_t got = 1;
	bool ok = true;
	for (uint64_t at = 0; ok && got && at < end; at += got) {
		ok = read_piece(p, at, end, &pending, &got, err) && meet_lines(p, &pending, err);
		if (ok)
			cut_long(p, &pending);
	}
	p->report->torn += pending.len;
	crypto_generichash_update(&p->digest, pending.at ? pending.at : (const uint8_t *)"", pending.len);
	buf_done(&pending);
	return ok;
}

static void compare_end(struct pass *p)
{
	unsigned long long anchored = p->anchored->sequence, last = p->report->last;
	if (anchored > last)
		fault(p, last + 1, "entries %llu to %llu were cut off", last + 1, anchored);
	else if (anchored && !p->has_met_anchor && !p->report->accepted)
		fault(p, anchored, "entry %llu, which this host remembers, is missing", anchored);
	p->report->unexplained = p->open_count;
}

/* What this host remembers can be rolled back together with the log, and a loss be accepted by whoever holds the key; a
 * head that lies elsewhere knows of neither. */
static void compare_noted(struct pass *p)
{
	const struct audit_position *noted = p->reader->noted;
	unsigned long long sequence = noted ? noted->sequence : 0, last = p->report->last;
	if (!noted || p->has_met_noted)
		return;
	p->report->lacks_noted = true;
	if (p->has_met_other)
		fault(p, sequence, "entry %llu is not the one whose head was noted", sequence);
	else if (last < sequence)
		fault(p, last + 1, "the log ends at entry %llu, and the head of entry %llu was noted: it was cut off", last,
		      sequence);
	else
		fault(p, sequence, "entry %llu, whose head was noted, is missing", sequence);
}

/* Opened for this pass alone, so that what lies at the path is read, whatever it is. */
static bool pass_open(struct audit *a, struct pass *p, uint64_t *ret_size, struct error *err)
{
	struct stat st;
	*ret_size = 0;
	p->fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (p->fd < 0 && errno == ENOENT)
		return true;
	if (p->fd < 0 && errno == ELOOP)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_NOT_PLAIN, a->path);
	if (p->fd < 0 || fstat(p->fd, &st) != 0)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, a->path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_NOT_PLAIN, a->path);
	*ret_size = (uint64_t)st.st_size;
	return true;
}

static bool walk(struct pass *p, struct error *err)
{
	uint64_t size;
	*p->report = (struct audit_report){ .segments = 1, .best_segment = 1 };
	p->fd = -1;
	p->segment = 1;
	crypto_generichash_init(&p->digest, NULL, 0, DIGEST_LEN);
	bool ok = pass_open(p->a, p, &size, err);
	if (ok && p->fd < 0 && p->anchored->sequence)
		fault(p, 1, "the log is missing: entries 1 to %llu", (unsigned long long)p->anchored->sequence);
	else if (ok && p->fd >= 0)
		ok = read_all(p, size, err);
	file_closep(&p->fd);
	if (ok && !p->report->faults)
		compare_end(p);
	if (ok)
		compare_noted(p);
	p->report->head = p->before;
	return ok;
}

bool audit_walk(struct audit *a, const struct audit_position *anchored, const struct audit_reader *reader,
		struct audit_report *ret, struct error *err)
{
	struct pass p = { .a = a, .anchored = anchored, .reader = reader, .report = ret };
	return walk(&p, err);
}

/* ---- going on with what is left ---- */

/* What is torn before the scar becomes a line. */
static void end_line(struct audit *a, struct pass *p)
{
	if (p->report->torn == 0)
		return;
	crypto_generichash_update(&p->digest, (const uint8_t *)"\n", 1);
	buf_append(&a->out, "\n", 1);
}

static bool open_for_scar(struct audit *a, struct error *err)
{
	file_closep(&a->fd);
	/* The rights may be among what went wrong; they are not what was lost. */
	if (chmod(a->path, 0600) != 0 && errno != ENOENT)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->path, strerror(errno));
	if (!audit_open_file(a, true, err))
		return false;
	return a->denied ? fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->path, strerror(a->denied)) : true;
}

static bool write_scar(struct audit *a, struct pass *p, const struct audit_who *who, struct error *err)
{
	static const uint8_t none[DIGEST_LEN];
	struct audit_event event = { .verb = "accept-loss", .result = "ok" };
	struct audit_entry e;
	struct stat st;
	uint64_t best = p->report->best > p->anchored->sequence ? p->report->best : p->anchored->sequence;
	/* Behind what the file claims, unless it claims more than it can hold. */
	if (p->report->last > best && p->report->last - best <= p->report->entries)
		best = p->report->last;
	if (fstat(a->fd, &st) != 0)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, a->path, strerror(errno));
	a->size = (uint64_t)st.st_size;
	a->allocated = (uint64_t)st.st_blocks * 512;
	audit_begin(a);
	end_line(a, p);
	audit_fill(a, who, &event, &e);
	e.extra = AUDIT_SCAR;
	e.sequence = best + 1;
	e.segment = p->report->best_segment + 1;
	e.anchored = p->anchored->sequence;
	crypto_generichash_final(&p->digest, e.digest, DIGEST_LEN);
	audit_chain(a, &e, none);
	return audit_write(a, AUDIT_RESERVE, err);
}

bool audit_accept_loss(struct audit *a, const struct audit_position *anchored, const struct audit_who *who,
		       struct error *err)
{
	static const struct audit_reader nobody;
	struct audit_report report = { 0 };
	struct pass p = { .a = a, .anchored = anchored, .reader = &nobody, .report = &report };
	pthread_mutex_lock(&a->mutex);
	bool ok = audit_lock(a, err) && open_for_scar(a, err) && walk(&p, err);
	if (ok && !report.faults)
		ok = fail(err, ERR_CONFLICT, TXT_AUDIT_WHOLE, a->path);
	ok = ok && write_scar(a, &p, who, err);
	if (ok) {
		a->is_refusing = false;
		a->anchored = a->last;
	}
	struct audit_position upto = a->last;
	audit_leave(a);
	return ok && audit_flush(a, &upto, err);
}
