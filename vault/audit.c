/* Appending to the audit log, and what must hold before: the open file is still the one at its path, its end is the end
 * we know or grew out of it, and there is room. The order is always the mutex, then the file lock, an OFD lock on a
 * file that is never renamed; a sync waits under neither. */
#include "vault/audit.h"

#include "core/file.h"
#include "vault/audit_own.h"
#include "vault/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE (4u << 20)      /* kept allocated ahead */
#define RESERVE_STEP (1u << 20) /* and so much more each time, so that it is seldom asked for */
#define WAIT_IN_TURN_MS 200
#define WAIT_MS 2000
#define SCAN_MAX (256u << 10) /* in which intents without an outcome are looked for */
#define OUT_MAX (64u << 20)

/* ---- life ---- */

bool audit_new(const char *anchor_path, const struct keys *keys, struct audit **ret, struct error *err)
{
	static const char ending[] = ".anchor";
	size_t len = strlen(anchor_path), stem = len - (sizeof ending - 1);
	struct audit *a = calloc(1, sizeof *a);
	if (!a)
		return fail_no_memory(err);
	a->fd = a->lock_fd = -1;
	a->at = INT64_MIN; /* no moment yet */
	a->out.max = OUT_MAX;
	a->self = (struct audit_who){ .uid = getuid(), .gid = getgid(), .pid = getpid() };
	if (len < sizeof ending || strcmp(anchor_path + stem, ending) != 0 ||
	    len + sizeof ".audit.log" > sizeof a->path) {
		free(a);
		return fail(err, ERR_CONFIG, "the state folder's path is too long", "use a shorter path");
	}
	snprintf(a->path, sizeof a->path, "%.*s.audit.log", (int)stem, anchor_path);
	snprintf(a->lock_path, sizeof a->lock_path, "%s.lock", a->path);
	if (!audit_mac_start(keys, &a->mac_start, err) || !keys_copy_some(keys, 1u << KEY_INDEX, &a->keys, err)) {
		secret_free(a->mac_start);
		free(a);
		return false;
	}
	pthread_mutex_init(&a->mutex, NULL);
	a->segment = 1;
	*ret = a;
	return true;
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	file_closep(&a->fd);
	file_closep(&a->lock_fd);
	secret_free(a->mac_start);
	keys_free(a->keys);
	buf_done(&a->out);
	for (size_t i = 0; i < COUNT_OF(a->ids); i++)
		free(a->ids[i]);
	pthread_mutex_destroy(&a->mutex);
	free(a);
}

const char *audit_path(const struct audit *a)
{
	return a->path;
}

void audit_refuse(struct audit *a, const struct error *why)
{
	pthread_mutex_lock(&a->mutex);
	a->is_refusing = true;
	a->refusal = *why;
	pthread_mutex_unlock(&a->mutex);
}

void audit_set_generation(struct audit *a, uint64_t generation)
{
	atomic_store_explicit(&a->generation, generation, memory_order_relaxed);
}

void audit_durable(struct audit *a, struct audit_position *ret)
{
	pthread_mutex_lock(&a->mutex);
	*ret = a->durable.sequence > a->anchored.sequence ? a->durable : a->anchored;
	pthread_mutex_unlock(&a->mutex);
}

/* ---- the chain ---- */

bool audit_follows(const struct audit *a, const struct audit_entry *e, struct bytes covered,
		   const struct audit_position *before, uint64_t segment)
{
	static const uint8_t none[DIGEST_LEN];
	uint8_t mac[DIGEST_LEN];
	bool is_scar = e->extra == AUDIT_SCAR;
	audit_entry_mac(a->mac_start, e->segment, covered, is_scar ? none : before->mac, mac);
	if (sodium_memcmp(mac, e->mac, DIGEST_LEN) != 0)
		return false;
	return is_scar ? e->sequence > before->sequence : e->sequence == before->sequence + 1 && e->segment == segment;
}

/* ---- intents that wait for their outcome ---- */

static size_t place_of_open(const struct audit *a, const uint8_t id[16])
{
	size_t i = 0;
	while (i < a->open_count && memcmp(a->open[i].id, id, sizeof a->open[i].id) != 0)
		i++;
	return i;
}

static bool is_open(const struct audit *a, const uint8_t id[16])
{
	return place_of_open(a, id) < a->open_count;
}

void audit_remember_intent(struct audit *a, const struct audit_entry *e)
{
	bool is_intent = strcmp(e->result, "intent") == 0;
	if (e->extra != AUDIT_OF_COMMIT || strcmp(e->result, "unknown") == 0)
		return;
	size_t i = place_of_open(a, e->commit);
	if (is_intent && i == a->open_count && a->open_count < AUDIT_OPEN_MAX) {
		memcpy(a->open[i].id, e->commit, sizeof e->commit);
		a->open[i].base = e->base;
		a->open_count++;
	} else if (!is_intent && i < a->open_count) {
		memmove(&a->open[i], &a->open[i + 1], (a->open_count - i - 1) * sizeof a->open[0]);
		a->open_count--;
	}
}

/* ---- the file ---- */

static bool check_file(const struct audit *a, const struct stat *st, struct error *err)
{
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_NOT_PLAIN, a->path);
	if (st->st_uid != 0 && st->st_uid != geteuid() && geteuid() != 0)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_OWNER, a->path, (unsigned)st->st_uid);
	if (st->st_mode & (S_IRWXG | S_IRWXO))
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_MODE, a->path, (unsigned)(st->st_mode & 07777));
	return true;
}

static bool create_file(struct audit *a, struct error *err)
{
	a->fd = open(a->path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (a->fd < 0 || fstat(a->fd, &a->opened) != 0)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->path, strerror(errno));
	return file_sync_folder_of(a->path, err);
}

/* A file that may only be read is enough to compare it with the anchor. */
bool audit_open_file(struct audit *a, bool may_create, struct error *err)
{
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	a->denied = 0;
	a->fd = open(a->path, O_RDWR | O_APPEND | flags);
	if (a->fd < 0 && errno == ENOENT)
		return !may_create || create_file(a, err);
	if (a->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		a->denied = errno;
		a->fd = open(a->path, O_RDONLY | flags);
	}
	if (a->fd < 0 && errno == ELOOP)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_NOT_PLAIN, a->path);
	if (a->fd < 0)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, a->path, strerror(errno));
	bool ok = fstat(a->fd, &a->opened) == 0
			  ? check_file(a, &a->opened, err)
			  : fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNREADABLE, a->path, strerror(errno));
	if (!ok)
		file_closep(&a->fd);
	return ok;
}

/* What was followed up to the damage is no part of the log that begins. */
static void begin_anew(struct audit *a)
{
	a->last = (struct audit_position){ .sequence = 0 };
	a->size = a->allocated = 0;
	a->segment = 1;
	a->open_count = 0;
	a->is_scanned = false;
}

bool audit_take_over(struct audit *a, const char *name, struct error *err)
{
	char aside[PATH_MAX + 64];
	struct audit_position none = { 0 };
	struct error why;
	file_closep(&a->fd);
	if (!audit_prove(a, &none, &why)) {
		if (why.code != ERR_DAMAGED) {
			*err = why;
			return false;
		}
		snprintf(aside, sizeof aside, "%s.%s", a->path, name);
		if (rename(a->path, aside) != 0)
			return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->path, strerror(errno));
		begin_anew(a);
	}
	a->is_refusing = false;
	return true;
}

void audit_expect(struct audit *a, const struct audit_position *anchored)
{
	pthread_mutex_lock(&a->mutex);
	if (anchored->sequence > a->anchored.sequence)
		a->anchored = *anchored;
	pthread_mutex_unlock(&a->mutex);
}

/* ---- lock and place ---- */

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool prove_place(struct audit *a, struct error *err)
{
	struct stat st;
	uint64_t torn = 0;
	if (a->fd < 0 && !audit_open_file(a, a->anchored.sequence == 0 && a->last.sequence == 0, err))
		return false;
	if (a->fd < 0)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_MISSING, a->path,
				  (unsigned long long)a->anchored.sequence);
	/* The file at the path, which is the open one: one look tells both. */
	if (lstat(a->path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_GONE, a->path)
			       : fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_UNSEEN, a->path, strerror(errno));
	if (!is_same(&st, &a->opened))
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_REPLACED, a->path);
	if (!check_file(a, &st, err))
		return false;
	if (a->denied)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->path, strerror(a->denied));
	if ((uint64_t)st.st_size < a->size)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_SHRUNK, a->path);
	a->allocated = (uint64_t)st.st_blocks * 512;
	if ((uint64_t)st.st_size > a->size && !audit_catch_up(a, (uint64_t)st.st_size, &torn, err))
		return false;
	if (a->last.sequence < a->anchored.sequence)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_CUT, a->path,
				  (unsigned long long)a->last.sequence, (unsigned long long)a->anchored.sequence);
	return torn == 0 || audit_mend_torn(a, torn, err);
}

static bool open_lock(struct audit *a, struct error *err)
{
	if (a->lock_fd >= 0)
		return true;
	a->lock_fd = open(a->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	return a->lock_fd >= 0 && fstat(a->lock_fd, &a->lock_opened) == 0
		       ? true
		       : fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->lock_path, strerror(errno));
}

static int lock_file(int fd, short type)
{
	struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };
	return fcntl(fd, F_OFD_SETLK, &range);
}

/* The lock file must still be the one that others lock when we have it. */
static bool try_lock(struct audit *a, bool *ret_got, struct error *err)
{
	*ret_got = false;
	for (unsigned tries = 0; tries < 8; tries++) {
		struct stat st;
		if (!open_lock(a, err))
			return false;
		bool is_got = lock_file(a->lock_fd, F_WRLCK) == 0;
		bool is_taken = !is_got && (errno == EAGAIN || errno == EACCES || errno == EINTR);
		if (!is_got && !is_taken)
			return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_DENIED, a->lock_path, strerror(errno));
		if (lstat(a->lock_path, &st) == 0 && is_same(&st, &a->lock_opened)) {
			*ret_got = is_got;
			return true;
		}
		file_closep(&a->lock_fd);
	}
	return true;
}

bool audit_lock(struct audit *a, struct error *err)
{
	int64_t until = 0;
	bool got;
	for (;;) {
		if (a->is_locked)
			return true;
		if (!try_lock(a, &got, err))
			return false;
		if (got) {
			a->is_locked = true;
			a->is_proven = false;
			return true;
		}
		int64_t now = clock_boot_ms();
		if (!until)
			until = now + (a->is_in_turn ? WAIT_IN_TURN_MS : WAIT_MS);
		if (now >= until)
			return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_BUSY, a->path);
		/* Waiting holds up no other thread of ours. A busy agent lets go for moments only: look often. */
		pthread_mutex_unlock(&a->mutex);
		usleep(20 + randombytes_uniform(80));
		pthread_mutex_lock(&a->mutex);
	}
}

static void unlock(struct audit *a)
{
	if (a->is_locked)
		(void)lock_file(a->lock_fd, F_UNLCK);
	a->is_locked = false;
	/* Lines wait only for as long as nobody else can write. */
	assert(a->is_in_turn || !a->collected);
}

static bool refuse_for_turn(struct audit *a, const struct error *err)
{
	unlock(a);
	if (a->is_in_turn) {
		a->has_turn_error = true;
		a->turn_error = *err;
	}
	pthread_mutex_unlock(&a->mutex);
	return false;
}

bool audit_enter(struct audit *a, struct error *err)
{
	pthread_mutex_lock(&a->mutex);
	bool is_refused = a->is_refusing || (a->is_in_turn && a->has_turn_error);
	if (is_refused)
		*err = a->is_refusing ? a->refusal : a->turn_error;
	else if (atomic_load(&a->is_failed))
		is_refused = !fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_FAILED, a->path);
	if (is_refused) {
		pthread_mutex_unlock(&a->mutex);
		return false;
	}
	/* While we waited for it, another thread may have taken the lock: then the place is proven, and its lines may lie
	 * collected. */
	if (!audit_lock(a, err))
		return refuse_for_turn(a, err);
	if (a->is_proven)
		return true;
	a->is_proven = prove_place(a, err);
	return a->is_proven ? true : refuse_for_turn(a, err);
}

void audit_leave(struct audit *a)
{
	if (!a->is_in_turn)
		unlock(a);
	pthread_mutex_unlock(&a->mutex);
}

void audit_begin_turn(struct audit *a)
{
	pthread_mutex_lock(&a->mutex);
	a->is_in_turn = true;
	a->has_turn_error = false;
	pthread_mutex_unlock(&a->mutex);
}

void audit_end_turn(struct audit *a)
{
	pthread_mutex_lock(&a->mutex);
	a->is_in_turn = false;
	unlock(a);
	pthread_mutex_unlock(&a->mutex);
}

/* ---- building an entry ---- */

void audit_begin(struct audit *a)
{
	a->out.len = 0;
	a->out.is_bad = false;
}

const char *audit_boot(struct audit *a)
{
	if (a->boot[0])
		return a->boot;
	scoped(file_closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, a->boot, 36);
	if (got != 36)
		memcpy(a->boot, AUDIT_NO_BOOT, sizeof AUDIT_NO_BOOT);
	return a->boot;
}

static const uint8_t *id_of(struct audit *a, const char *pixel)
{
	uint32_t hash = 0x811c9dc5u;
	for (const char *p = pixel; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x01000193u;
	struct audit_id **row = &a->ids[hash % AUDIT_IDS_CACHED / AUDIT_IDS_ROW];
	if (!*row)
		*row = calloc(AUDIT_IDS_ROW, sizeof **row);
	struct audit_id *known = *row ? &(*row)[hash % AUDIT_IDS_ROW] : &a->spare_id;
	if (strcmp(known->pixel, pixel) != 0) {
		text_copy(known->pixel, sizeof known->pixel, pixel);
		keys_pixel_id(a->keys, pixel, known->id);
	}
	return known->id;
}

static void put_word(char ret[AUDIT_WORD_MAX + 1], const char *word)
{
	size_t len = strnlen(word, AUDIT_WORD_MAX);
	memcpy(ret, word, len);
	ret[len] = '\0';
}

void audit_fill(struct audit *a, const struct audit_who *who, const struct audit_event *event, struct audit_entry *ret)
{
	int64_t now = clock_wall();
	if (now != a->at) {
		a->at = now;
		clock_format(now, a->at_text);
	}
	ret->extra = AUDIT_PLAIN;
	memcpy(ret->at, a->at_text, sizeof ret->at);
	memcpy(ret->boot, audit_boot(a), sizeof ret->boot);
	ret->boot_ms = (uint64_t)clock_boot_ms();
	const struct audit_who *process = who->is_known ? who : &a->self;
	ret->uid = process->uid;
	ret->gid = process->gid;
	ret->pid = (uint32_t)process->pid;
	memcpy(ret->as, who->as, sizeof ret->as);
	put_word(ret->verb, event->verb);
	put_word(ret->result, event->result);
	ret->has_pixel = event->pixel && event->pixel[0];
	if (ret->has_pixel)
		memcpy(ret->pixel, event->pixel_id ? event->pixel_id : id_of(a, event->pixel), PIXEL_ID_LEN);
	ret->version = event->version;
	ret->fingerprint[0] = '\0';
	if (event->fingerprint)
		fingerprint_text(event->fingerprint, ret->fingerprint);
	ret->generation = atomic_load_explicit(&a->generation, memory_order_relaxed);
}

void audit_chain(struct audit *a, struct audit_entry *e, const uint8_t before[DIGEST_LEN])
{
	size_t covered;
	char *room = (char *)buf_room(&a->out, AUDIT_LINE_MAX);
	if (!room)
		return;
	if (e->extra != AUDIT_SCAR) {
		e->sequence = a->last.sequence + 1;
		e->segment = a->segment;
	}
	size_t len = audit_entry_encode(e, room, &covered);
	audit_entry_mac(a->mac_start, e->segment, bytes_of(room, covered), before, e->mac);
	sodium_bin2hex(room + covered + 8, DIGEST_LEN * 2 + 1, e->mac, DIGEST_LEN);
	room[covered + 8 + DIGEST_LEN * 2] = '"';
	a->out.len += len;
	a->last.sequence = e->sequence;
	memcpy(a->last.mac, e->mac, DIGEST_LEN);
	a->segment = e->segment;
}

/* ---- writing ---- */

static bool cannot_allocate(int why)
{
	return why == EOPNOTSUPP || why == ENOSYS || why == EINVAL || why == ENODEV || why == EPERM || why == EFBIG;
}

/* 4 MiB stay allocated behind what is written now, so that a full disk is noticed while refusals can still be noted. */
static bool make_room(struct audit *a, enum audit_weight weight, struct error *err)
{
	uint64_t end = a->size + a->out.len;
	if (a->has_no_room || a->allocated >= end + RESERVE)
		return true;
	while (fallocate(a->fd, FALLOC_FL_KEEP_SIZE, (off_t)a->size, (off_t)(a->out.len + RESERVE + RESERVE_STEP)) !=
	       0) {
		if (errno == EINTR)
			continue;
		a->has_no_room = cannot_allocate(errno);
		if (a->has_no_room || weight == AUDIT_RESERVE)
			return true;
		if (errno == ENOSPC || errno == EDQUOT)
			return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_FULL, a->path);
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_BROKEN, a->path, strerror(errno));
	}
	a->allocated = end + RESERVE + RESERVE_STEP;
	return true;
}

/* No half a line stays. When even that fails, what is left has no newline behind it, and the next one here mends it. */
static bool take_back(struct audit *a, int why, struct error *err)
{
	(void)!ftruncate(a->fd, (off_t)a->size);
	a->allocated = a->size;
	if (why == ENOSPC || why == EDQUOT)
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_FULL, a->path);
	return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_BROKEN, a->path, strerror(why));
}

bool audit_write(struct audit *a, enum audit_weight weight, struct error *err)
{
	size_t done = 0;
	if (!buf_ok(&a->out, err) || !make_room(a, weight, err))
		return false;
	while (done < a->out.len) {
		ssize_t put = write(a->fd, a->out.at + done, a->out.len - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return take_back(a, put < 0 ? errno : ENOSPC, err);
		done += (size_t)put;
	}
	a->size += done;
	a->may_be_cut = false;
	return true;
}

bool audit_has_lost(const struct audit *a, struct error *err)
{
	if (!atomic_load(&a->is_failed))
		return false;
	return !fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_FAILED, a->path);
}

bool audit_flush(struct audit *a, const struct audit_position *upto, struct error *err)
{
	if (audit_has_lost(a, err))
		return false;
	if (fdatasync(a->fd) != 0) {
		/* The kernel calls the pages clean from now on: trying again would report success over lost entries. */
		int why = errno;
		atomic_store(&a->is_failed, true);
		return fail_class(err, ERR_STORAGE, "audit", TXT_AUDIT_BROKEN, a->path, strerror(why));
	}
	pthread_mutex_lock(&a->mutex);
	if (upto->sequence > a->durable.sequence)
		a->durable = *upto;
	pthread_mutex_unlock(&a->mutex);
	return true;
}

static void write_collected(struct audit *a)
{
	if (!a->collected)
		return;
	a->collected = 0;
	if (audit_write(a, AUDIT_ORDINARY, &a->lost))
		return;
	a->has_lost = true;
	a->last = a->before_collected;
}

bool audit_collect(struct audit *a, const struct audit_who *who, const struct audit_event *event, struct error *err)
{
	struct audit_entry e;
	if (!audit_enter(a, err))
		return false;
	assert(a->is_in_turn);
	if (!a->collected) {
		a->before_collected = a->last;
		audit_begin(a);
	}
	audit_fill(a, who, event, &e);
	audit_chain(a, &e, a->last.mac);
	a->collected++;
	audit_leave(a);
	return true;
}

bool audit_settle(struct audit *a, struct error *err)
{
	pthread_mutex_lock(&a->mutex);
	write_collected(a);
	bool is_written = !a->has_lost;
	a->has_lost = false;
	if (!is_written)
		*err = a->lost;
	pthread_mutex_unlock(&a->mutex);
	return is_written;
}

static bool append_entered(struct audit *a, const struct audit_line *lines, size_t count,
			   const struct audit_commit *commit, enum audit_weight weight, struct error *err)
{
	write_collected(a);
	struct audit_position before = a->last;
	struct audit_entry e;
	audit_begin(a);
	for (size_t i = 0; i < count; i++) {
		audit_fill(a, lines[i].who, &lines[i].event, &e);
		if (commit) {
			e.extra = AUDIT_OF_COMMIT;
			memcpy(e.commit, commit->id, sizeof e.commit);
			e.base = commit->base;
		}
		audit_chain(a, &e, a->last.mac);
	}
	if (!audit_write(a, weight, err)) {
		a->last = before;
		return false;
	}
	if (commit && count)
		audit_remember_intent(a, &e);
	return true;
}

bool audit_append_lines(struct audit *a, const struct audit_line *lines, size_t count,
			const struct audit_commit *commit, enum audit_weight weight, bool is_durable, struct error *err)
{
	if (!audit_enter(a, err))
		return false;
	bool ok = append_entered(a, lines, count, commit, weight, err);
	struct audit_position upto = a->last;
	audit_leave(a);
	return ok && (!is_durable || audit_flush(a, &upto, err));
}

bool audit_append(struct audit *a, const struct audit_who *who, const struct audit_event *events, size_t count,
		  enum audit_weight weight, bool is_durable, struct error *err)
{
	struct audit_line few[4] = { 0 }, *lines = few;
	if (count > COUNT_OF(few) && !(lines = calloc(count, sizeof *lines)))
		return fail_no_memory(err);
	for (size_t i = 0; i < count; i++)
		lines[i] = (struct audit_line){ who, events[i] };
	bool ok = audit_append_lines(a, lines, count, NULL, weight, is_durable, err);
	if (lines != few)
		free(lines);
	return ok;
}

bool audit_sync(struct audit *a, struct error *err)
{
	pthread_mutex_lock(&a->mutex);
	struct audit_position upto = a->collected ? a->before_collected : a->last;
	bool is_needed = a->fd >= 0 && upto.sequence > a->durable.sequence;
	pthread_mutex_unlock(&a->mutex);
	return !is_needed || audit_flush(a, &upto, err);
}

/* ---- what became of intents ---- */

/* The last entry of a change among what was read; false when there is none. */
static bool last_of_commit(const struct audit_tail *t, struct audit_entry *ret)
{
	static const char mark[] = ",\"commit\":";
	struct bytes ignored;
	for (size_t end = t->whole, from; end > 0; end = from) {
		from = audit_tail_line(t, end);
		if (from == SIZE_MAX)
			return false;
		if (memmem(t->bytes.at + from, end - from, mark, sizeof mark - 1) &&
		    audit_tail_decode(t, from, end, ret, &ignored))
			return true;
	}
	return false;
}

/* Whoever changes something explains first what was left. So only the last change that stands in the log can be without
 * an outcome, and that is looked for once, from the end; from then on every entry passes by. */
static bool scan(struct audit *a, struct error *err)
{
	static const size_t lengths[] = { AUDIT_TAIL, AUDIT_TAIL_MAX, SCAN_MAX };
	struct audit_tail t = { .bytes = BUF_INIT(SCAN_MAX + 1) };
	struct audit_entry e;
	bool ok = true, is_found = false;
	for (size_t i = 0; ok && !is_found && !a->is_scanned && i < COUNT_OF(lengths); i++) {
		ok = audit_tail_read(a, a->size, lengths[i], &t, err);
		is_found = ok && last_of_commit(&t, &e);
		if (t.at == 0)
			break;
	}
	if (is_found) {
		/* What is unknown has the same commit and base as its intent. */
		if (strcmp(e.result, "unknown") == 0)
			put_word(e.result, "intent");
		audit_remember_intent(a, &e);
	}
	a->is_scanned = ok;
	buf_done(&t.bytes);
	return ok;
}

static const char *outcome_of(const struct audit_commit *c, const uint8_t root_commit[16], uint64_t generation)
{
	if (memcmp(c->id, root_commit, sizeof c->id) == 0)
		return "done";
	return c->base == generation ? "not-done" : "superseded";
}

static bool explain_entered(struct audit *a, const uint8_t root_commit[16], uint64_t generation, struct error *err)
{
	if (!scan(a, err))
		return false;
	while (a->open_count) {
		struct audit_commit c = a->open[0];
		struct audit_who us = { .is_known = false };
		struct audit_line line = { &us,
					   { .verb = "outcome", .result = outcome_of(&c, root_commit, generation) } };
		if (!append_entered(a, &line, 1, &c, AUDIT_RESERVE, err))
			return false;
	}
	return true;
}

bool audit_explain(struct audit *a, const uint8_t root_commit[16], uint64_t generation, struct error *err)
{
	if (!audit_enter(a, err))
		return false;
	bool ok = explain_entered(a, root_commit, generation, err);
	audit_leave(a);
	return ok;
}

bool audit_intend(struct audit *a, const uint8_t root_commit[16], uint64_t generation, const struct audit_line *lines,
		  size_t count, const struct audit_commit *commit, struct error *err)
{
	if (!audit_enter(a, err))
		return false;
	bool ok = explain_entered(a, root_commit, generation, err) &&
		  append_entered(a, lines, count, commit, AUDIT_ORDINARY, err);
	struct audit_position upto = a->last;
	audit_leave(a);
	return ok && audit_flush(a, &upto, err);
}

bool audit_conclude(struct audit *a, const struct audit_line *lines, size_t count, const struct audit_commit *commit,
		    struct error *err)
{
	if (!audit_enter(a, err))
		return false;
	bool ok = !is_open(a, commit->id) || append_entered(a, lines, count, commit, AUDIT_RESERVE, err);
	audit_leave(a);
	return ok;
}
