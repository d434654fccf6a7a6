/* The audit log where it lies wrongly, after power cuts that took much, and among calls that fail. */
#include "tests/support/failing.h"

#include "vault/audit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/audit_kit.h"

#define OTHER_UID 65534

#ifdef IS_SANITIZED
#define NEEDS_FAILING()                                                                                                \
	do {                                                                                                           \
		print_message("SKIPPED: under a sanitizer nothing can be made to fail\n");                             \
		skip();                                                                                                \
	} while (0)
#else
#define NEEDS_FAILING() (void)0
#endif

static void lock_path_of(char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%.300s.lock", log_path);
}

static void assert_is(const struct error *err, enum error_code code, const char *words)
{
	if (err->code != code || !strstr(err->message, words) || !err->hint[0])
		fail_msg("code %d: %s", err->code, err->message);
	assert_string_equal(err->class, "audit");
}

static void refuses_to_open(enum error_code code, const char *words)
{
	struct audit *a = NULL;
	struct error err;
	assert_false(try_log(NULL, &a, &err));
	assert_is(&err, code, words);
}

static void refuses_to_walk(enum error_code code, const char *words)
{
	struct audit_position none = { 0 };
	struct audit_reader reader = { .entry = NULL };
	struct audit_report report;
	struct audit *a = NULL;
	struct error err;
	assert_true(audit_new(anchor_path, keys, &a, &err));
	memset(&err, 0, sizeof err);
	assert_false(audit_walk(a, &none, &reader, &report, &err));
	assert_is(&err, code, words);
	audit_free(a);
}

/* ---- what lies at its path ---- */

static void place__what_is_no_anchor_has_no_log(void **state)
{
	(void)state;
	char longest[PATH_MAX + 16];
	memset(longest, 'x', sizeof longest);
	strcpy(longest + PATH_MAX - 17, ".anchor");
	const char *const wrong[] = { "", ".anchor", "vault.anker", "vault", longest };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct audit *a = NULL;
		struct error err;
		assert_false(audit_new(wrong[i], keys, &a, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_null(a);
	}
}

static void place__what_is_no_plain_file_with_one_name_is_neither_written_nor_read(void **state)
{
	(void)state;
	char aside[PATH_MAX];
	in_scratch(aside, "aside");
	fill_log();
	assert_int_equal(link(log_path, aside), 0);
	refuses_to_open(ERR_DAMAGED, "plain file");
	refuses_to_walk(ERR_DAMAGED, "plain file");
	assert_int_equal(unlink(log_path), 0);
	assert_int_equal(symlink(aside, log_path), 0);
	refuses_to_open(ERR_DAMAGED, "plain file");
	refuses_to_walk(ERR_DAMAGED, "plain file");
	assert_int_equal(unlink(log_path), 0);
	assert_int_equal(mkfifo(log_path, 0600), 0);
	refuses_to_open(ERR_DAMAGED, "plain file");
	refuses_to_walk(ERR_DAMAGED, "plain file");
	assert_int_equal(unlink(log_path), 0);
	assert_int_equal(mkdir(log_path, 0700), 0);
	refuses_to_open(ERR_STORAGE, "cannot be read");
	refuses_to_walk(ERR_DAMAGED, "plain file");
}

/* In a child of another account, which has its own arena: a forked one sees none of our secrets. */
static void as_other_user(int (*work)(void))
{
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root to become somebody else\n");
		skip();
	}
	pid_t pid = fork_child();
	if (pid == 0) {
		struct error err;
		scoped(secret_freep) struct secret *root = key_of(9);
		if (setresgid(65533, 65533, 65533) != 0 || setresuid(65533, 65533, 65533) != 0 ||
		    !keys_derive(root, &keys, &err))
			_exit(99);
		_exit(work());
	}
	assert_int_equal(ended(pid), 0);
}

static int refuse_foreign(void)
{
	struct audit_position none = { 0 };
	struct audit *a = NULL;
	struct error err;
	if (try_log(NULL, &a, &err) || err.code != ERR_DAMAGED || !strstr(err.message, "belongs to uid 65534"))
		return 1;
	/* Nor is a loss accepted in it: its mode cannot be set right. */
	if (!audit_new(anchor_path, keys, &a, &err) || audit_accept_loss(a, &none, &someone, &err) ||
	    err.code != ERR_STORAGE || !strstr(err.message, "cannot be written"))
		return 2;
	audit_free(a);
	return 0;
}

static void place__a_file_of_somebody_else_is_refused_by_all_but_root(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	off_t size = log_size();
	if (chown(log_path, OTHER_UID, OTHER_UID) == 0) {
		struct audit *a = open_log(&end); /* root reads what is its user's */
		must_append(a, 1);
		audit_free(a);
		size = log_size();
	}
	char lock[PATH_MAX];
	lock_path_of(lock);
	assert_int_equal(chmod(scratch, 0777), 0);
	assert_int_equal(chmod(lock, 0666), 0);
	assert_int_equal(chmod(log_path, 0666), 0);
	as_other_user(refuse_foreign);
	assert_int_equal(log_size(), size);
}

static struct audit_position known;

static int compare_only(void)
{
	struct audit *a = NULL;
	struct error err;
	if (!try_log(&known, &a, &err) || append(a, 1, AUDIT_ORDINARY, &err) || err.code != ERR_STORAGE ||
	    !strstr(err.message, "cannot be written"))
		return 1;
	audit_free(a);
	known.mac[0] ^= 1;
	return try_log(&known, &a, &err) || err.code != ERR_DAMAGED ? 2 : 0;
}

static void place__a_log_that_may_only_be_read_is_compared_and_gets_no_line(void **state)
{
	(void)state;
	known = fill_log();
	off_t size = log_size();
	char lock[PATH_MAX];
	lock_path_of(lock);
	bool is_given = chown(scratch, 65533, 65533) == 0 && chown(log_path, 65533, 65533) == 0 &&
			chown(lock, 65533, 65533) == 0 && chmod(log_path, 0400) == 0;
	(void)is_given; /* not by root: as_other_user skips */
	as_other_user(compare_only);
	assert_int_equal(log_size(), size);
}

static void place__the_lock_is_the_file_that_lies_there_now(void **state)
{
	(void)state;
	char lock[PATH_MAX], aside[PATH_MAX];
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	lock_path_of(lock);
	in_scratch(aside, "aside");
	assert_int_equal(rename(lock, aside), 0);
	write_bytes(lock, "", 0);
	int fd = open(lock, O_RDWR | O_CLOEXEC);
	audit_begin_turn(a);
	must_append(a, 2);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), -1); /* taken */
	audit_end_turn(a);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	close(fd);
	audit_free(a);
	assert_int_equal(walk(NULL).faults, 0);
}

static void place__a_log_that_vanished_before_its_first_use_is_not_begun_anew(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	char aside[PATH_MAX];
	struct error err;
	in_scratch(aside, "aside");
	assert_int_equal(rename(log_path, aside), 0);
	struct audit *a = open_log(NULL); /* an anchor that knows nothing yet */
	audit_expect(a, &end);            /* and then does */
	assert_false(append(a, 1, AUDIT_ORDINARY, &err));
	assert_is(&err, ERR_DAMAGED, "is missing");
	assert_int_equal(log_size(), 0);
	assert_int_equal(rename(aside, log_path), 0);
	audit_free(a);
}

/* ---- taken over from a vault that was there before ---- */

static bool take_over(struct error *err)
{
	struct audit *a = NULL;
	struct audit_event event = { .verb = "restore", .result = "ok" };
	assert_true(audit_new(anchor_path, keys, &a, err));
	memset(err, 0, sizeof *err);
	bool good = audit_take_over(a, "before-01", err) &&
		    audit_append(a, &someone, &event, 1, AUDIT_ORDINARY, true, err);
	audit_free(a);
	return good;
}

/* Of the same vault, say, as it was before: its lines prove themselves, up to the damage. */
static void takeover__of_a_log_that_is_damaged_at_its_end_begins_a_new_one(void **state)
{
	(void)state;
	struct error err;
	char aside[PATH_MAX];
	static uint8_t moved[LOG_MAX];
	fill_log();
	struct lines *l = read_lines();
	l->bytes[l->at[ENTRIES - 1] + 20] ^= 1;
	write_bytes(log_path, l->bytes, l->len);
	if (!take_over(&err))
		fail_msg("%s", err.message);
	snprintf(aside, sizeof aside, "%.300s.before-01", log_path);
	assert_int_equal(file_bytes(aside, moved, sizeof moved), l->len);
	assert_memory_equal(moved, l->bytes, l->len);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.entries, 1);
	assert_int_equal(r.last, 1);
	free(l);
}

static void takeover__of_a_sound_log_goes_on_in_it(void **state)
{
	(void)state;
	struct error err;
	fill_log();
	assert_true(take_over(&err));
	struct audit_report r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.last, ENTRIES + 1);
}

static void takeover__that_cannot_move_what_lies_there_moves_nothing(void **state)
{
	(void)state;
	struct error err;
	char aside[PATH_MAX];
	struct stat st;
	snprintf(aside, sizeof aside, "%.300s.before-01", log_path);
	assert_int_equal(mkdir(aside, 0700), 0);
	fill_log();
	struct lines *l = read_lines();
	l->bytes[l->at[ENTRIES - 1] + 20] ^= 1;
	write_bytes(log_path, l->bytes, l->len);
	assert_false(take_over(&err));
	assert_is(&err, ERR_STORAGE, "cannot be written");
	assert_int_equal(log_size(), l->len);
	free(l);
	assert_int_equal(unlink(log_path), 0);
	assert_int_equal(mkdir(log_path, 0700), 0); /* what cannot be read is not called damaged */
	assert_int_equal(rmdir(aside), 0);
	assert_false(take_over(&err));
	assert_is(&err, ERR_STORAGE, "cannot be read");
	assert_int_equal(stat(log_path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
}

/* ---- refused ---- */

static void refused__log_takes_no_line_of_any_kind(void **state)
{
	(void)state;
	struct error why, err;
	struct audit_event event = { .verb = "get", .result = "ok" };
	struct audit_commit commit = { .base = 1 };
	struct audit_line line = { &someone, { .verb = "put", .result = "intent" } };
	uint8_t root[16] = { 0 };
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	off_t size = log_size();
	(void)!fail_class(&why, ERR_DAMAGED, "audit", "of the reason that was given%s", "and what to do", "");
	audit_refuse(a, &why);
	refused_as(a, ERR_DAMAGED);
	bool refused[] = { !audit_append(a, &someone, &event, 1, AUDIT_RESERVE, true, &err),
			   !audit_explain(a, root, 1, &err), !audit_intend(a, root, 1, &line, 1, &commit, &err),
			   !audit_conclude(a, &line, 1, &commit, &err) };
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		assert_true(refused[i]);
	assert_is(&err, ERR_DAMAGED, "of the reason that was given");
	audit_begin_turn(a);
	memset(&err, 0, sizeof err);
	assert_false(audit_collect(a, &someone, &event, &err));
	audit_end_turn(a);
	assert_is(&err, ERR_DAMAGED, "of the reason that was given");
	audit_free(a);
	assert_int_equal(log_size(), size);
}

static void sync__that_failed_lets_no_line_follow(void **state)
{
	(void)state;
	struct audit_event event = { .verb = "get", .result = "ok" };
	struct error err;
	NEEDS_FAILING();
	struct audit *a = open_log(NULL);
	assert_true(audit_sync(a, &err)); /* nothing was appended */
	must_append(a, 1);
	failing_from(FAIL_SYNCS, EIO, 1, 1);
	bool good = audit_append(a, &someone, &event, 1, AUDIT_ORDINARY, true, &err);
	assert_int_equal(failing_stop(), 1);
	assert_false(good);
	assert_is(&err, ERR_STORAGE, "the disk lost a part");
	assert_false(append(a, 2, AUDIT_RESERVE, &err));
	assert_is(&err, ERR_STORAGE, "could not be made durable before");
	assert_false(audit_sync(a, &err));
	audit_free(a);
	assert_int_equal(walk(NULL).faults, 0);
}

static void entry__of_an_empty_name_is_of_no_pixel(void **state)
{
	(void)state;
	struct audit_event event = { .verb = "get", .pixel = "", .result = "ok" };
	struct error err;
	struct audit_entry e;
	size_t covered;
	struct audit *a = open_log(NULL);
	assert_true(audit_append(a, &someone, &event, 1, AUDIT_ORDINARY, false, &err));
	audit_free(a);
	struct lines *l = read_lines();
	assert_true(audit_entry_decode(bytes_of(l->bytes, l->len), &e, &covered));
	assert_false(e.has_pixel);
	free(l);
}

/* ---- room that is asked for ahead ---- */

static void room__that_a_file_system_cannot_give_ahead_is_asked_for_once(void **state)
{
	(void)state;
	static const int errors[] = { EOPNOTSUPP, ENOSYS, EINVAL, ENODEV, EPERM, EFBIG };
	struct error err;
	NEEDS_FAILING();
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		struct audit *a = open_log(NULL);
		failing_from(FAIL_ROOM, errors[i], 1, FAIL_EVER);
		bool good = append(a, 1, AUDIT_ORDINARY, &err) && append(a, 2, AUDIT_ORDINARY, &err);
		assert_int_equal(failing_stop(), 1);
		assert_true(good);
		audit_free(a);
		assert_int_equal(walk(NULL).entries, 2);
		assert_int_equal(unlink(log_path), 0);
	}
}

static void room__that_is_refused_leaves_some_for_refusals(void **state)
{
	(void)state;
	static const struct {
		int error;
		const char *words;
	} rows[] = { { ENOSPC, "no space left" }, { EDQUOT, "no space left" }, { EIO, "the disk lost a part" } };
	struct error err;
	NEEDS_FAILING();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct audit *a = open_log(NULL);
		failing_from(FAIL_ROOM, rows[i].error, 1, FAIL_EVER);
		bool good = append(a, 1, AUDIT_ORDINARY, &err);
		struct error ignored;
		bool is_noted = append(a, 2, AUDIT_RESERVE, &ignored);
		assert_int_equal(failing_stop(), 2);
		assert_false(good);
		assert_is(&err, ERR_STORAGE, rows[i].words);
		assert_true(is_noted);
		audit_free(a);
		assert_int_equal(walk(NULL).entries, 1);
		assert_int_equal(unlink(log_path), 0);
	}
	struct audit *a = open_log(NULL);
	failing_from(FAIL_ROOM, EINTR, 1, 3); /* a signal came */
	bool good = append(a, 1, AUDIT_ORDINARY, &err);
	assert_int_equal(failing_stop(), 3);
	assert_true(good);
	audit_free(a);
}

/* ---- power cuts that took much ---- */

/* Behind it len bytes, all the same, without an end. */
static void append_bytes(int byte, size_t len)
{
	uint8_t *bytes = malloc(len);
	assert_non_null(bytes);
	memset(bytes, byte, len);
	int fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	free(bytes);
}

#define LONG_LEN (600u << 10) /* more than two pieces */

static void torn__zero_bytes_of_any_length_end_the_log_after_a_boot(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(earlier_boot);
	char aside[PATH_MAX];
	struct stat st;
	append_bytes(0, LONG_LEN);
	struct audit_report r = walk(&anchored);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, LONG_LEN);
	struct audit *a = open_log(&anchored);
	must_append(a, 11);
	audit_free(a);
	snprintf(aside, sizeof aside, "%.300s.torn-10", log_path);
	assert_int_equal(stat(aside, &st), 0);
	assert_int_equal(st.st_size, LONG_LEN);
	r = walk(&anchored);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.last, 12);
}

static void torn__so_many_bytes_are_no_power_cut_in_this_boot_or_when_they_are_not_zero(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct audit_position anchored = log_of_boot(i ? earlier_boot : NULL);
		append_bytes(i ? 'x' : 0, LONG_LEN);
		struct audit_report r = walk(&anchored);
		assert_true(r.faults > 0);
		assert_int_equal(r.first_bad, 11);
		assert_refused(&anchored);
		assert_int_equal(unlink(log_path), 0);
	}
}

static void torn__several_lost_sectors_are_one_end(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(earlier_boot);
	zero_line(6);
	zero_line(7);
	zero_line(9);
	struct audit_report r = walk(&anchored);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.last, 5);
	struct audit *a = open_log(&anchored);
	must_append(a, 11);
	audit_free(a);
	assert_int_equal(walk(&anchored).last, 7);
}

static const char no_boot[37] = AUDIT_NO_BOOT;

/* Where the kernel tells no boot apart from another, each look may be the first after one. */
static void torn__a_lost_sector_ends_the_log_where_no_boot_is_told_apart(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(no_boot);
	struct audit_reader reader = { .entry = NULL };
	struct audit_report r;
	struct audit *a = NULL;
	struct error err;
	zero_line(8);
	assert_true(audit_new(anchor_path, keys, &a, &err));
	memcpy(a->boot, no_boot, sizeof a->boot);
	assert_true(audit_walk(a, &anchored, &reader, &r, &err));
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.last, 7);
	assert_true(audit_prove(a, &anchored, &err));
	assert_int_equal(a->last.sequence, 7);
	must_append(a, 11);
	audit_free(a);
}

static void boot__that_the_kernel_does_not_tell_is_none(void **state)
{
	(void)state;
	struct audit_entry e;
	struct error err;
	size_t covered;
	NEEDS_FAILING();
	struct audit *a = open_log(NULL);
	failing_from(FAIL_READS, EIO, 1, FAIL_EVER);
	bool good = append(a, 1, AUDIT_ORDINARY, &err);
	assert_int_equal(failing_stop(), 1);
	assert_true(good);
	audit_free(a);
	struct lines *l = read_lines();
	assert_true(audit_entry_decode(bytes_of(l->bytes, l->len), &e, &covered));
	assert_string_equal(e.boot, AUDIT_NO_BOOT);
	free(l);
}

#define MANY 1000 /* their lines are more than one piece */

/* The position of the 20th of MANY, all of an earlier boot. */
static struct audit_position long_log(void)
{
	struct audit_position at = { 0 };
	struct audit *a = open_log(NULL);
	memcpy(a->boot, earlier_boot, sizeof a->boot);
	for (uint32_t i = 1; i <= MANY; i++) {
		must_append(a, i);
		if (i == 20)
			at = a->last;
	}
	audit_free(a);
	assert_in_range(log_size(), AUDIT_PIECE + 1, LOG_MAX - 1);
	return at;
}

static void boot__a_long_log_is_followed_from_the_anchored_entry_to_its_end(void **state)
{
	(void)state;
	struct audit_position anchored = long_log();
	struct audit *a = open_log(&anchored);
	assert_int_equal(a->last.sequence, MANY);
	audit_free(a);
	anchored.mac[3] ^= 1;
	assert_refused(&anchored);
	anchored.mac[3] ^= 1;
	static uint8_t bytes[LOG_MAX];
	size_t len = file_bytes(log_path, bytes, sizeof bytes);
	uint8_t *version = memmem(bytes, len, "\"version\":900,", 14);
	assert_non_null(version);
	overwrite((size_t)(version + 12 - bytes), "1", 1);
	assert_refused(&anchored);
	overwrite((size_t)(version + 12 - bytes), "0", 1);
	audit_free(open_log(&anchored));
}

static void boot__what_many_wrote_since_is_followed_line_by_line(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(earlier_boot);
	struct audit *a = open_log(&anchored), *other = open_log(&anchored);
	off_t before = log_size();
	for (uint32_t i = 0; i < 400; i++)
		must_append(other, i);
	assert_true(log_size() - before > AUDIT_TAIL_MAX);
	must_append(a, 1);
	audit_free(a);
	audit_free(other);
	struct audit_report r = walk(&anchored);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.entries, 411);
}

/* Moved aside a thousand times, it finds no name any more: then the log takes no line, and loses none. */
static void torn__bytes_for_which_there_is_no_name_stay_where_they_are(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(NULL);
	char aside[PATH_MAX];
	struct error err;
	int len = snprintf(aside, sizeof aside, "%.300s.torn-10", log_path);
	for (unsigned i = 1; i <= 1000; i++) {
		if (i > 1)
			snprintf(aside + len, sizeof aside - (size_t)len, "-%u", i);
		write_bytes(aside, "", 0);
	}
	append_bytes('x', 40);
	off_t size = log_size();
	struct audit *a = open_log(&anchored);
	assert_false(append(a, 11, AUDIT_ORDINARY, &err));
	assert_is(&err, ERR_STORAGE, "cannot be written");
	assert_int_equal(log_size(), size);
	assert_int_equal(unlink(aside), 0);
	must_append(a, 11);
	audit_free(a);
	assert_int_equal(walk(&anchored).faults, 0);
}

static void read__ends_where_the_file_does(void **state)
{
	(void)state;
	struct audit_tail t = { .bytes = BUF_INIT(4096) };
	struct error err;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	off_t size = log_size();
	assert_true(audit_tail_read(a, (uint64_t)size + 100, (size_t)size, &t, &err)); /* it became shorter meanwhile */
	assert_int_equal(t.at, 100);
	assert_int_equal(t.bytes.len, size - 100);
	buf_done(&t.bytes);
	audit_free(a);
}

/* ---- scars ---- */

static void loss__a_scar_newer_than_the_anchor_stands_for_it_after_a_boot(void **state)
{
	(void)state;
	struct audit_position end = fill_log(), scar;
	assert_int_equal(unlink(log_path), 0);
	accept(&end, &scar);
	struct audit *a = open_log(&scar);
	memcpy(a->boot, earlier_boot, sizeof a->boot);
	for (uint32_t i = 1; i <= 5; i++)
		must_append(a, i);
	audit_free(a);
	a = open_log(&end); /* killed before the anchor was written */
	assert_int_equal(a->last.sequence, ENTRIES + 6);
	audit_free(a);
	/* Until then a reader names what is gone. */
	assert_int_equal(walk(&end).first_bad, ENTRIES);
	assert_int_equal(walk(&scar).faults, 0);
	/* One that nobody with the key made excuses nothing. */
	struct lines *l = read_lines();
	uint8_t *digest = memmem(l->bytes, l->at[1], "\"digest\":\"", 10);
	assert_non_null(digest);
	overwrite((size_t)(digest + 10 - l->bytes), digest[10] == 'a' ? "b" : "a", 1);
	free(l);
	assert_refused(&end);
}

static void loss__accepted_behind_lost_sectors_goes_on_behind_the_scar(void **state)
{
	(void)state;
	struct audit_position tenth, scar;
	(void)log_of_boot(earlier_boot);
	struct audit *a = open_log(NULL);
	tenth = a->last;
	audit_free(a);
	zero_line(7);
	zero_line(8);
	accept(&tenth, &scar);
	assert_int_equal(scar.sequence, 11);
	struct audit_report r = walk(NULL); /* who knows of no anchor sees a cut, and the scar */
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, 0);
	assert_int_equal(r.last, 11);
	struct lines *l = read_lines();
	assert_int_equal(l->count, 11);
	size_t mac = l->at[11] - 10;
	overwrite(mac, l->bytes[mac] == 'a' ? "b" : "a", 1);
	r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, l->len - l->at[6]); /* another one's scar is part of what is torn */
	assert_int_equal(r.last, 6);
	free(l);
}

/* Its number is behind all that the log holds or claims, so that no two entries have the same. */
static void loss__accepted_goes_on_behind_what_the_log_claims_within_reason(void **state)
{
	(void)state;
	struct audit_position none = { 0 }, scar;
	fill_log();
	struct lines *l = read_lines();
	uint8_t *last = l->bytes + l->at[ENTRIES - 1], *version = memmem(last, l->at[ENTRIES] - l->at[ENTRIES - 1], "\"version\":", 10);
	assert_non_null(version);
	overwrite((size_t)(version + 10 - l->bytes), version[10] == '1' ? "3" : "1", 1); /* the last one is not proven */
	accept(&none, &scar);
	assert_int_equal(scar.sequence, ENTRIES + 1);
	assert_int_equal(walk(&scar).faults, 0);
	static const char claim[] = "{\"seq\":999999999999";
	static uint8_t bytes[LOG_MAX];
	size_t kept = l->at[ENTRIES - 1], rest = l->len - kept - strlen("{\"seq\":200");
	memcpy(bytes, l->bytes, kept);
	memcpy(bytes + kept, claim, sizeof claim - 1);
	memcpy(bytes + kept + sizeof claim - 1, last + strlen("{\"seq\":200"), rest);
	write_bytes(log_path, bytes, kept + sizeof claim - 1 + rest);
	accept(&none, &scar);
	assert_int_equal(scar.sequence, ENTRIES); /* behind the 199 that are proven */
	assert_int_equal(walk(&scar).faults, 0);
	free(l);
}

/* ---- reading all of it ---- */

struct counted {
	unsigned seen, last;
};

static bool stop_at(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	struct counted *c = context;
	(void)e, (void)is_proven;
	return ++c->seen < c->last || fail_class(err, ERR_STORAGE, "audit", "enough%s", "none", "");
}

static void read__a_reader_that_stops_is_handed_no_more(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	struct counted c = { .last = 3 };
	struct audit_reader reader = { .entry = stop_at, .context = &c };
	struct audit_report r;
	struct audit *a = NULL;
	struct error err;
	assert_true(audit_new(anchor_path, keys, &a, &err));
	assert_false(audit_walk(a, &end, &reader, &r, &err));
	assert_is(&err, ERR_STORAGE, "enough");
	assert_int_equal(c.seen, 3);
	audit_free(a);
}

static void read__a_line_longer_than_any_is_named_and_what_follows_is_read(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	static uint8_t bytes[2 * LOG_MAX];
	const size_t longer = 4 * AUDIT_PIECE; /* several that are cut */
	struct lines *l = read_lines();
	size_t at = l->at[50];
	memcpy(bytes, l->bytes, at);
	memset(bytes + at, 'x', longer);
	bytes[at + longer] = '\n';
	memcpy(bytes + at + longer + 1, l->bytes + at, l->len - at);
	write_bytes(log_path, bytes, l->len + longer + 1);
	struct audit_report r = walk(&end);
	assert_int_equal(r.first_bad, 51);
	assert_int_equal(r.entries, ENTRIES);
	assert_int_equal(r.last, ENTRIES);
	free(l);
}

/* ---- intents ---- */

static void note_intent(struct audit *a, uint8_t id, const char *result)
{
	struct audit_commit commit = { .base = id };
	struct audit_line line = { &someone, { .verb = "put", .pixel = PIXEL, .result = result } };
	struct error err;
	commit.id[0] = id;
	commit.id[1] = 1;
	assert_true(audit_append_lines(a, &line, 1, &commit, AUDIT_ORDINARY, false, &err));
}

static bool conclude(struct audit *a, uint8_t id)
{
	struct audit_commit commit = { .base = id };
	struct audit_line line = { &someone, { .verb = "put", .pixel = PIXEL, .result = "done" } };
	struct error err;
	commit.id[0] = id;
	commit.id[1] = 1;
	return audit_conclude(a, &line, 1, &commit, &err);
}

static void intents__several_are_told_apart(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	note_intent(a, 1, "intent");
	note_intent(a, 2, "intent");
	note_intent(a, 3, "intent");
	assert_int_equal(walk(NULL).unexplained, 3);
	assert_true(conclude(a, 2));
	assert_true(conclude(a, 2)); /* said once */
	assert_int_equal(walk(NULL).unexplained, 2);
	assert_true(conclude(a, 3));
	assert_true(conclude(a, 1));
	audit_free(a);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.unexplained, 0);
	assert_int_equal(r.entries, 6);
}

/* Nobody makes so many; somebody else's program might, and a bound is a bound. */
static void intents__more_than_are_remembered_do_no_harm(void **state)
{
	(void)state;
	static const uint8_t root[16] = { 200, 9 };
	struct error err;
	struct audit *a = open_log(NULL);
	for (unsigned i = 0; i < 300; i++) {
		struct audit_commit commit = { .base = 7, .id = { (uint8_t)i, (uint8_t)(i >> 8), 3 } };
		struct audit_line line = { &someone, { .verb = "put", .result = "intent" } };
		assert_true(audit_append_lines(a, &line, 1, &commit, AUDIT_ORDINARY, false, &err));
	}
	assert_int_equal(a->open_count, AUDIT_OPEN_MAX);
	assert_int_equal(walk(NULL).unexplained, 256);
	assert_true(audit_explain(a, root, 7, &err));
	assert_int_equal(a->open_count, 0);
	audit_free(a);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.entries, 300 + AUDIT_OPEN_MAX);
	assert_int_equal(r.unexplained, 256 - AUDIT_OPEN_MAX);
}

static void intents__in_a_line_that_cannot_be_read_get_no_outcome(void **state)
{
	(void)state;
	static const uint8_t root[16] = { 9 };
	struct error err;
	struct audit *a = open_log(NULL);
	note_intent(a, 1, "intent");
	must_append(a, 1);
	must_append(a, 2);
	audit_free(a);
	overwrite(0, "[", 1);
	a = open_log(NULL); /* its end is sound */
	assert_true(audit_explain(a, root, 1, &err));
	audit_free(a);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.first_bad, 1);
	assert_int_equal(r.last, 3);
}

/* ---- calls that fail ---- */

/* The log as it lies before a work, in bytes. */
static uint8_t before_bytes[LOG_MAX];
static size_t before_len;
static struct audit_position before_end;

struct work {
	const char *name;
	void (*prepare)(void); /* once */
	struct audit *(*begin)(void); /* before each point, not failing */
	bool (*run)(struct audit *a, struct error *err);
	uint64_t least; /* entries when it said that it worked */
	bool is_accepting;
};

static void keep_state(void)
{
	before_len = file_bytes(log_path, before_bytes, sizeof before_bytes);
}

static void prepare_nothing(void)
{
	before_len = 0;
	before_end = (struct audit_position){ 0 };
}

static void prepare_log(void)
{
	before_end = fill_log();
	keep_state();
}

static void prepare_torn(void)
{
	before_end = fill_log();
	append_bytes('x', 400u << 10 >> 1); /* below a piece */
	keep_state();
}

static void prepare_torn_long(void)
{
	before_end = log_of_boot(earlier_boot);
	append_bytes(0, LONG_LEN);
	keep_state();
}

static void prepare_intent(void)
{
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	note_intent(a, 1, "intent");
	must_append(a, 2);
	audit_free(a);
	before_end = (struct audit_position){ 0 };
	keep_state();
}

static void prepare_damaged(void)
{
	before_end = fill_log();
	struct lines *l = read_lines();
	l->bytes[l->at[50] + 20] ^= 1;
	write_bytes(log_path, l->bytes, l->at[120] + 30);
	free(l);
	keep_state();
}

/* Of the earlier boot, in several pieces. */
static void prepare_long(void)
{
	before_end = long_log();
	keep_state();
}

static struct audit *begin_new(void)
{
	struct audit *a = NULL;
	struct error err;
	assert_true(audit_new(anchor_path, keys, &a, &err));
	return a;
}

/* Opened when only the first hundred were there. */
static struct audit *begin_early(void)
{
	struct lines *l = read_lines();
	write_bytes(log_path, l->bytes, l->at[10]);
	struct audit *a = open_log(NULL);
	write_bytes(log_path, l->bytes, l->len);
	assert_int_equal(fstat(a->fd, &a->opened), 0);
	free(l);
	return a;
}

static bool run_prove_and_append(struct audit *a, struct error *err)
{
	struct audit_event e = { .verb = "get", .pixel = PIXEL, .version = 1, .fingerprint = fingerprint, .result = "ok" }, events[5] = { e, e, e, e, e };
	return audit_prove(a, &before_end, err) &&
	       audit_append(a, &someone, events, 5, AUDIT_ORDINARY, true, err);
}

static bool run_append(struct audit *a, struct error *err)
{
	struct audit_event e = { .verb = "get", .pixel = PIXEL, .version = 1, .fingerprint = fingerprint, .result = "ok" };
	return audit_append(a, &someone, &e, 1, AUDIT_ORDINARY, true, err) && audit_sync(a, err);
}

static bool run_collect(struct audit *a, struct error *err)
{
	struct audit_event e = { .verb = "get", .pixel = PIXEL, .version = 1, .fingerprint = fingerprint, .result = "ok" };
	if (!audit_prove(a, &before_end, err))
		return false;
	audit_begin_turn(a);
	bool good = audit_collect(a, &someone, &e, err) && audit_collect(a, &someone, &e, err);
	struct error settled;
	if (!audit_settle(a, &settled) && good) {
		*err = settled;
		good = false;
	}
	audit_end_turn(a);
	return good;
}

static bool run_explain(struct audit *a, struct error *err)
{
	static const uint8_t root[16] = { 9 };
	struct audit_commit commit = { .id = { 5 }, .base = 1 };
	struct audit_line line = { &someone, { .verb = "put", .pixel = PIXEL, .result = "intent" } };
	return audit_prove(a, &before_end, err) && audit_explain(a, root, 1, err) &&
	       audit_intend(a, root, 1, &line, 1, &commit, err) && audit_conclude(a, &line, 1, &commit, err);
}

static bool run_accept(struct audit *a, struct error *err)
{
	return audit_accept_loss(a, &before_end, &someone, err);
}

static bool run_walk(struct audit *a, struct error *err)
{
	struct audit_reader reader = { .entry = NULL };
	struct audit_report r;
	return audit_walk(a, &before_end, &reader, &r, err);
}

static bool run_take_over(struct audit *a, struct error *err)
{
	return audit_take_over(a, "before-01", err) && run_append(a, err);
}

static const struct work works[] = {
	{ "begin", prepare_nothing, begin_new, run_prove_and_append, 5, false },
	{ "append", prepare_log, begin_new, run_prove_and_append, ENTRIES + 5, false },
	{ "mend", prepare_torn, begin_new, run_prove_and_append, ENTRIES + 6, false },
	{ "mend much", prepare_torn_long, begin_new, run_prove_and_append, 16, false },
	{ "follow", prepare_log, begin_early, run_append, ENTRIES + 1, false },
	{ "follow all", prepare_long, begin_new, run_prove_and_append, MANY + 5, false },
	{ "collect", prepare_log, begin_new, run_collect, ENTRIES + 2, false },
	{ "explain", prepare_intent, begin_new, run_explain, 6, false },
	{ "walk", prepare_log, begin_new, run_walk, ENTRIES, false },
	{ "take over", prepare_log, begin_new, run_take_over, ENTRIES + 1, false },
	{ "accept", prepare_damaged, begin_new, run_accept, 0, true },
};

/* What was whole before is whole, the next one can write, and what was said to be written is there. */
static void assert_whole(const struct work *w, size_t n, bool good)
{
	struct error err;
	struct audit_position at = before_end;
	if (w->is_accepting) {
		struct audit *a = begin_new();
		if (!audit_accept_loss(a, &before_end, &someone, &err) && err.code != ERR_CONFLICT)
			fail_msg("%s, point %zu: not to be accepted afterwards: %s", w->name, n, err.message);
		audit_free(a);
		at = walk(NULL).head; /* what the anchor knows then */
	}
	struct audit_report r = walk(&at);
	if (r.faults || (good && r.entries < w->least))
		fail_msg("%s, point %zu: %llu entries, %s", w->name, n, (unsigned long long)r.entries, r.first);
	struct audit *a = NULL;
	if (!try_log(&at, &a, &err) || !append(a, 9, AUDIT_ORDINARY, &err))
		fail_msg("%s, point %zu: goes on no more: %s", w->name, n, err.message);
	audit_free(a);
	r = walk(&at);
	if (r.faults || r.torn)
		fail_msg("%s, point %zu: afterwards: %s", w->name, n, r.first);
}

static void set_out(void)
{
	assert_int_equal(nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(mkdir(scratch, 0700), 0);
	if (before_len)
		write_bytes(log_path, before_bytes, before_len);
}

struct fault {
	enum failing_kind kind;
	int error;
	bool is_once, is_nothing; /* only alone, not from there on; and then as if nothing had been */
};

static size_t try_point(const struct fault *f, const struct work *w, size_t n, size_t last)
{
	struct error err;
	set_out();
	struct audit *a = w->begin();
	memset(&err, 0, sizeof err);
	failing_from(f->kind, f->error, n, last);
	bool good = w->run(a, &err);
	size_t failed = failing_stop();
	audit_free(a);
	if (!good && (!failed || f->is_nothing))
		fail_msg("%s, point %zu of kind %d, error %d, does not work: %s", w->name, n, (int)f->kind, f->error,
			 err.message);
	if (!good && (err.code == ERR_NONE || !err.message[0] || !err.hint[0]))
		fail_msg("%s, point %zu of kind %d is not told", w->name, n, (int)f->kind);
	assert_whole(w, n, good);
	return failed;
}

static void wreck(const struct fault *faults, size_t count)
{
	size_t hit[16] = { 0 }, step = getenv("UNDER_VALGRIND") ? 7 : 1;
	NEEDS_FAILING();
	for (size_t k = 0; k < COUNT_OF(works); k++) {
		before_len = 0;
		set_out();
		works[k].prepare();
		for (size_t i = 0; i < count; i++)
			for (size_t n = 1, failed = 1; failed; n += step) {
				failed = try_point(&faults[i], &works[k], n, n);
				hit[i] += failed;
				if (failed && !faults[i].is_once)
					(void)try_point(&faults[i], &works[k], n, FAIL_EVER);
			}
	}
	for (size_t i = 0; i < count; i++)
		assert_true(hit[i] > 0);
}

static void calls__that_fail_lose_nothing_and_are_told(void **state)
{
	(void)state;
	static const struct fault faults[] = {
		{ FAIL_MEMORY, ENOMEM, false, false }, { FAIL_READS, EIO, false, false },  { FAIL_STATS, EIO, true, false },
		{ FAIL_OPENS, EIO, false, false },     { FAIL_OPENS, EACCES, true, false }, { FAIL_WRITES, EIO, false, false },
		{ FAIL_WRITES, ENOSPC, true, false },  { FAIL_SYNCS, EIO, false, false },  { FAIL_ROOM, EIO, false, false },
		{ FAIL_LOCKS, EIO, true, false },
	};
	wreck(faults, COUNT_OF(faults));
}

static void calls__that_are_interrupted_or_find_the_lock_taken_are_made_again(void **state)
{
	(void)state;
	static const struct fault faults[] = {
		{ FAIL_READS, EINTR, true, true },  { FAIL_WRITES, EINTR, true, true },  { FAIL_ROOM, EINTR, true, true },
		{ FAIL_LOCKS, EAGAIN, true, true }, { FAIL_LOCKS, EACCES, true, true }, { FAIL_LOCKS, EINTR, true, true },
		{ FAIL_ROOM, EOPNOTSUPP, true, true },
	};
	wreck(faults, COUNT_OF(faults));
}

static int make_fast_place(void **state)
{
	struct error err;
	if (scratch_make_in_memory(state) != 0)
		return -1;
	scoped(secret_freep) struct secret *root = key_of(9);
	in_scratch(anchor_path, "vault.db-0011.anchor");
	in_scratch(log_path, "vault.db-0011.audit.log");
	return keys_derive(root, &keys, &err) ? 0 : -1;
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_log_place, remove_log_place)
#define F(f) cmocka_unit_test_setup_teardown(f, make_fast_place, remove_log_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(place__what_is_no_anchor_has_no_log),
		T(place__what_is_no_plain_file_with_one_name_is_neither_written_nor_read),
		T(place__a_file_of_somebody_else_is_refused_by_all_but_root),
		T(place__a_log_that_may_only_be_read_is_compared_and_gets_no_line),
		T(place__the_lock_is_the_file_that_lies_there_now),
		T(place__a_log_that_vanished_before_its_first_use_is_not_begun_anew),
		T(takeover__of_a_log_that_is_damaged_at_its_end_begins_a_new_one),
		T(takeover__of_a_sound_log_goes_on_in_it),
		T(takeover__that_cannot_move_what_lies_there_moves_nothing),
		T(refused__log_takes_no_line_of_any_kind),
		T(sync__that_failed_lets_no_line_follow),
		T(entry__of_an_empty_name_is_of_no_pixel),
		T(room__that_a_file_system_cannot_give_ahead_is_asked_for_once),
		T(room__that_is_refused_leaves_some_for_refusals),
		T(torn__zero_bytes_of_any_length_end_the_log_after_a_boot),
		T(torn__so_many_bytes_are_no_power_cut_in_this_boot_or_when_they_are_not_zero),
		T(torn__several_lost_sectors_are_one_end),
		T(torn__a_lost_sector_ends_the_log_where_no_boot_is_told_apart),
		T(boot__that_the_kernel_does_not_tell_is_none),
		F(boot__a_long_log_is_followed_from_the_anchored_entry_to_its_end),
		F(boot__what_many_wrote_since_is_followed_line_by_line),
		F(torn__bytes_for_which_there_is_no_name_stay_where_they_are),
		T(read__ends_where_the_file_does),
		T(loss__a_scar_newer_than_the_anchor_stands_for_it_after_a_boot),
		T(loss__accepted_behind_lost_sectors_goes_on_behind_the_scar),
		T(loss__accepted_goes_on_behind_what_the_log_claims_within_reason),
		T(read__a_reader_that_stops_is_handed_no_more),
		T(read__a_line_longer_than_any_is_named_and_what_follows_is_read),
		T(intents__several_are_told_apart),
		T(intents__more_than_are_remembered_do_no_harm),
		T(intents__in_a_line_that_cannot_be_read_get_no_outcome),
		F(calls__that_fail_lose_nothing_and_are_told),
		F(calls__that_are_interrupted_or_find_the_lock_taken_are_made_again),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
