/* The audit log: what is appended, what is noticed, and what happens when it cannot be written. */
#include "core/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/support/audit_kit.h"

static void entry__is_one_line_of_canonical_json_that_names_no_pixel_and_no_token(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	struct audit_entry e;
	size_t covered;
	must_append(a, 7);
	audit_free(a);
	struct lines *l = read_lines();
	assert_int_equal(l->count, 1);
	assert_null(memmem(l->bytes, l->len, PIXEL, strlen(PIXEL)));
	assert_true(audit_entry_decode(bytes_of(l->bytes, l->len), &e, &covered));
	uint8_t id[PIXEL_ID_LEN];
	keys_pixel_id(keys, PIXEL, id);
	assert_memory_equal(e.pixel, id, sizeof id);
	assert_int_equal(e.sequence, 1);
	assert_int_equal(e.uid, 1000);
	assert_int_equal(e.gid, 1001);
	assert_int_equal(e.pid, 42);
	assert_string_equal(e.as, "checkout");
	assert_string_equal(e.verb, "get");
	assert_int_equal(e.version, 7);
	assert_int_equal(strncmp(e.fingerprint, "tk-", 3), 0);
	assert_string_equal(e.result, "ok");
	assert_int_equal(e.segment, 1);
	free(l);
}

static void entry__escapes_what_is_not_printable_and_reads_it_back(void **state)
{
	(void)state;
	struct audit_entry e = { .sequence = UINT64_MAX,
				 .verb = "get",
				 .result = "ok",
				 .version = UINT32_MAX,
				 .generation = UINT64_MAX,
				 .boot_ms = UINT64_MAX,
				 .uid = UINT32_MAX },
			   back;
	char line[AUDIT_LINE_MAX];
	size_t covered;
	for (size_t i = 0; i < AUDIT_NAME_MAX; i++)
		e.as[i] = i + 1 < 32 ? (char)(i + 1) : i % 2 ? '"' : (char)0xff;
	size_t len = audit_entry_encode(&e, line, &covered);
	for (size_t i = 0; i + 1 < len; i++)
		assert_true(line[i] >= 0x20 && line[i] <= 0x7e);
	assert_true(audit_entry_decode(bytes_of(line, len), &back, &covered));
	assert_string_equal(back.as, e.as);
	assert_true(audit_entry_decode(bytes_of(line, len - 1), &back, &covered)); /* without its newline */
	assert_false(audit_entry_decode(bytes_of(line, len - 2), &back, &covered));
}

static void entry__without_a_who_is_of_this_process(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	struct audit_who nobody = { .is_known = false };
	struct audit_event event = { .verb = "stop", .result = "ok" };
	struct error err;
	struct audit_entry e;
	size_t covered;
	assert_true(audit_append(a, &nobody, &event, 1, AUDIT_RESERVE, true, &err));
	audit_free(a);
	struct lines *l = read_lines();
	assert_true(audit_entry_decode(bytes_of(l->bytes, l->len), &e, &covered));
	assert_int_equal(e.uid, getuid());
	assert_int_equal(e.pid, getpid());
	assert_false(e.has_pixel);
	assert_string_equal(e.as, "");
	assert_string_equal(e.fingerprint, "");
	free(l);
}

/* ---- what is noticed ---- */

static void tamper__a_whole_log_is_whole(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	struct audit_report r = walk(&end);
	struct stat st;
	assert_int_equal(r.entries, ENTRIES);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, 0);
	assert_int_equal(stat(log_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	audit_free(open_log(&end));
}

/* Every bit by the functions that prove a line, a sample of them through the file. */
static void tamper__every_bit_of_every_entry_counts(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	scoped(secret_freep) struct secret *start = NULL;
	struct error err;
	struct lines *l = read_lines();
	uint8_t before[DIGEST_LEN] = { 0 };
	size_t sampled = 0;
	assert_true(audit_mac_start(keys, &start, &err));
	for (size_t i = 0; i < ENTRIES; i++) {
		struct audit_entry e, changed;
		uint8_t mac[DIGEST_LEN];
		size_t covered, len = l->at[i + 1] - l->at[i];
		uint8_t *line = l->bytes + l->at[i];
		assert_true(audit_entry_decode(bytes_of(line, len), &e, &covered));
		for (size_t bit = 0; bit < len * 8; bit++) {
			line[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (audit_entry_decode(bytes_of(line, len), &changed, &covered)) {
				audit_entry_mac(start, changed.segment, bytes_of(line, covered), before, mac);
				if (memcmp(mac, changed.mac, DIGEST_LEN) == 0)
					fail_msg("bit %zu of entry %zu may be changed", bit, i + 1);
			}
			if ((bit / 8 == len - 1 && i % 20 == 0) || (i * 3001 + bit) % 997 == 0) {
				write_bytes(log_path, l->bytes, l->len);
				struct audit_report r = walk(&end);
				if (!r.faults || (r.first_bad != i + 1 && r.first_bad != i + 2))
					fail_msg("bit %zu of entry %zu: first bad %llu", bit, i + 1,
						 (unsigned long long)r.first_bad);
				sampled++;
			}
			line[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		memcpy(before, e.mac, DIGEST_LEN);
	}
	assert_true(sampled > 400);
	free(l);
}

static void write_edited(const struct lines *l, const size_t *order, size_t count)
{
	static uint8_t bytes[LOG_MAX];
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		size_t n = l->at[order[i] + 1] - l->at[order[i]];
		memcpy(bytes + len, l->bytes + l->at[order[i]], n);
		len += n;
	}
	write_bytes(log_path, bytes, len);
}

static void tamper__dropped_swapped_and_repeated_entries_are_named(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	struct lines *l = read_lines();
	size_t order[ENTRIES + 1];
	for (size_t i = 0; i < ENTRIES - 1; i++) {
		size_t n = 0;
		for (size_t k = 0; k < ENTRIES; k++) /* dropped */
			if (k != i)
				order[n++] = k;
		write_edited(l, order, n);
		assert_int_equal(walk(&end).first_bad, i + 1);
		for (size_t k = 0; k < ENTRIES; k++) /* swapped with the next */
			order[k] = k == i ? i + 1 : k == i + 1 ? i : k;
		write_edited(l, order, ENTRIES);
		assert_int_equal(walk(&end).first_bad, i + 1);
		n = 0;
		for (size_t k = 0; k < ENTRIES; k++) { /* repeated */
			order[n++] = k;
			if (k == i)
				order[n++] = k;
		}
		write_edited(l, order, n);
		assert_int_equal(walk(&end).first_bad, i + 2);
	}
	free(l);
}

static void tamper__a_tail_that_was_cut_off_below_the_anchor_is_noticed_when_it_is_opened(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	struct lines *l = read_lines();
	for (size_t cut = 1; cut <= ENTRIES; cut++) {
		write_bytes(log_path, l->bytes, l->at[ENTRIES - cut]);
		assert_refused(&end);
		struct audit_report r = walk(&end);
		assert_true(r.faults > 0);
		assert_int_equal(r.first_bad, ENTRIES - cut + 1);
	}
	for (size_t bytes = 1; bytes < l->at[1]; bytes += 7) { /* in the middle of a line too */
		write_bytes(log_path, l->bytes, l->len - bytes);
		assert_refused(&end);
	}
	free(l);
}

static void tamper__another_log_of_the_same_length_is_noticed_when_it_is_opened(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	assert_int_equal(unlink(log_path), 0);
	struct audit_position other = fill_log();
	assert_memory_not_equal(end.mac, other.mac, DIGEST_LEN); /* another time, or another boot time */
	assert_refused(&end);
	struct audit *a = open_log(&other);
	for (uint32_t i = 0; i < 5; i++)
		must_append(a, i);
	audit_free(a);
	assert_refused(&end); /* also when it went on since, as far as the end is read */
	assert_int_equal(walk(&end).first_bad, ENTRIES);
}

static void tamper__a_missing_log_is_noticed_when_the_anchor_knows_of_one(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	assert_int_equal(unlink(log_path), 0);
	assert_refused(&end);
	struct audit_report r = walk(&end);
	assert_int_equal(r.first_bad, 1);
	audit_free(open_log(NULL)); /* nothing known: it begins */
}

static void place__a_log_that_was_removed_renamed_replaced_or_linked_is_refused_at_once(void **state)
{
	(void)state;
	char aside[PATH_MAX];
	struct error err;
	struct lines *l;
	in_scratch(aside, "aside");
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	l = read_lines();
	assert_int_equal(rename(log_path, aside), 0);
	refused_as(a, ERR_DAMAGED);
	write_bytes(log_path, l->bytes, l->len); /* a copy, byte for byte */
	refused_as(a, ERR_DAMAGED);
	assert_int_equal(rename(aside, log_path), 0);
	must_append(a, 2); /* put back: goes on */
	assert_int_equal(link(log_path, aside), 0);
	refused_as(a, ERR_DAMAGED);
	assert_int_equal(unlink(aside), 0);
	must_append(a, 3);
	assert_int_equal(chmod(log_path, 0644), 0);
	refused_as(a, ERR_DAMAGED);
	assert_int_equal(chmod(log_path, 0600), 0);
	must_append(a, 4);
	assert_int_equal(rename(log_path, aside), 0);
	assert_int_equal(symlink(aside, log_path), 0);
	refused_as(a, ERR_DAMAGED);
	assert_int_equal(rename(aside, log_path), 0);
	assert_int_equal(truncate(log_path, (off_t)l->len), 0);
	refused_as(a, ERR_DAMAGED);
	assert_int_equal(unlink(log_path), 0);
	refused_as(a, ERR_DAMAGED);
	assert_false(append(a, 1, AUDIT_RESERVE, &err));
	audit_free(a);
	free(l);
}

static void place__somebody_elses_line_in_between_is_noticed_by_the_next_append(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	must_append(a, 2);
	struct lines *l = read_lines();
	int fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, l->bytes, l->at[1]), l->at[1]); /* the first entry again */
	close(fd);
	refused_as(a, ERR_DAMAGED);
	audit_free(a);
	free(l);
}

/* ---- torn ---- */

static void torn__bytes_behind_the_last_line_are_moved_aside_and_an_entry_says_so(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	char aside[PATH_MAX];
	uint8_t left[64];
	struct lines *l = read_lines();
	snprintf(aside, sizeof aside, "%.300s.torn-%d", log_path, ENTRIES);
	int fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"seq\":201,\"at\"", 15), 15);
	close(fd);
	struct audit *a = open_log(&end);
	must_append(a, 9);
	audit_free(a);
	assert_int_equal(file_bytes(aside, left, sizeof left), 15);
	assert_memory_equal(left, "{\"seq\":201,\"at\"", 15);
	struct audit_report r = walk(&end);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.entries, ENTRIES + 2); /* that it was torn, and the new one */
	free(l);
}

/* The torn bytes of an earlier time stay: the log may have lost the entry that told of them, and be torn there again. */
static void torn__bytes_do_not_take_the_place_of_earlier_ones(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	char aside[PATH_MAX], second[PATH_MAX + 4];
	uint8_t left[64];
	snprintf(aside, sizeof aside, "%.300s.torn-%d", log_path, ENTRIES);
	snprintf(second, sizeof second, "%s-2", aside);
	int fd = open(aside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "earlier", 7), 7);
	close(fd);
	fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"seq\":201", 10), 10);
	close(fd);
	struct audit *a = open_log(&end);
	must_append(a, 9);
	audit_free(a);
	assert_int_equal(file_bytes(aside, left, sizeof left), 7);
	assert_memory_equal(left, "earlier", 7);
	assert_int_equal(file_bytes(second, left, sizeof left), 10);
	assert_memory_equal(left, "{\"seq\":201", 10);
	assert_int_equal(walk(&end).faults, 0);
}

/* audit verify says of bytes without an end what the next writer will make of them. */
static void torn__however_long_is_seen_by_a_reader_as_by_the_writer(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	const size_t sizes[] = { 60000, 100000, 200000 };
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		char *bytes = calloc(1, sizes[i]);
		assert_non_null(bytes);
		memset(bytes, 'x', sizes[i]);
		int fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
		assert_int_equal(write(fd, bytes, sizes[i]), sizes[i]);
		close(fd);
		free(bytes);
		struct audit_report r = walk(&end);
		assert_int_equal(r.faults, 0);
		assert_int_equal(r.torn, sizes[i]);
		struct audit *a = open_log(&end);
		must_append(a, 9);
		audit_free(a);
		r = walk(&end);
		assert_int_equal(r.faults, 0);
		assert_int_equal(r.torn, 0);
	}
}

static void torn__a_lost_sector_behind_the_anchored_entry_ends_the_log_there_after_a_boot(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(earlier_boot);
	zero_line(7);
	struct audit_report r = walk_with(&anchored, NULL, NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.last, 6);
	assert_true(r.torn > 3 * 200);
	struct audit *a = open_log(&anchored);
	assert_int_equal(a->last.sequence, 6);
	must_append(a, 11);
	audit_free(a);
	r = walk_with(&anchored, NULL, NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, 0);
	assert_int_equal(r.last, 8); /* that it was torn, and the new one */
	audit_free(open_log(&anchored));
}

static void torn__a_lost_sector_in_this_boot_is_a_change(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(NULL);
	zero_line(9);
	assert_refused(&anchored);
	assert_int_equal(walk_with(&anchored, NULL, NULL).first_bad, 9);
}

static void torn__nor_may_the_first_line_behind_the_anchored_entry_be_lost_in_this_boot(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(NULL);
	struct lines *l = read_lines();
	write_bytes(log_path, l->bytes, l->at[5]); /* the fifth entry is the last */
	free(l);
	zero_line(5);
	assert_refused(&anchored);
	assert_int_equal(walk_with(&anchored, NULL, NULL).first_bad, 5);
}

static void torn__what_is_not_zero_was_changed_also_after_a_boot(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(earlier_boot);
	struct lines *l = read_lines();
	uint8_t *version = memmem(l->bytes, l->len, "\"version\":7", 11);
	assert_non_null(version);
	overwrite((size_t)(version + 10 - l->bytes), "8", 1);
	free(l);
	assert_refused(&anchored);
	assert_int_equal(walk_with(&anchored, NULL, NULL).first_bad, 7);
}

static void torn__no_power_cut_loses_what_the_anchor_remembers(void **state)
{
	(void)state;
	struct audit_position anchored = log_of_boot(earlier_boot);
	zero_line(4);
	assert_refused(&anchored);
	assert_true(walk_with(&anchored, NULL, NULL).faults > 0);
}

static void torn__is_not_mended_when_the_anchor_knows_more(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	struct lines *l = read_lines();
	assert_int_equal(truncate(log_path, (off_t)(l->len - 10)), 0);
	assert_refused(&end);
	free(l);
}

/* ---- several at once ---- */

#define WRITERS 4
#define EACH 300

static void *append_many(void *context)
{
	struct audit *a = context;
	struct error err;
	for (uint32_t i = 0; i < EACH; i++) {
		bool in_turn = i % 32 == 0;
		if (in_turn)
			audit_begin_turn(a);
		if (!append(a, i, AUDIT_ORDINARY, &err)) {
			print_message("refused: %s\n", err.message);
			return "refused";
		}
		if (in_turn)
			audit_end_turn(a);
	}
	return NULL;
}

/* A forked child sees none of our secrets. */
static int append_in_child(void)
{
	struct audit *own = NULL;
	struct error err;
	scoped(secret_freep) struct secret *root = key_of(9);
	return keys_derive(root, &keys, &err) && try_log(NULL, &own, &err) && !append_many(own) ? 0 : 1;
}

static void together__processes_and_threads_keep_one_chain_without_a_gap(void **state)
{
	(void)state;
	pid_t children[WRITERS];
	pthread_t threads[WRITERS];
	for (size_t i = 0; i < WRITERS; i++)
		if ((children[i] = fork()) == 0)
			_exit(append_in_child());
	struct audit *a = open_log(NULL);
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, a), 0);
	for (size_t i = 0; i < WRITERS; i++) {
		void *problem;
		int status;
		pthread_join(threads[i], &problem);
		assert_null(problem);
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	audit_free(a);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.entries, 2 * WRITERS * EACH);
}

static void together__a_holder_that_hangs_stops_a_turn_only_for_a_moment(void **state)
{
	(void)state;
	char lock[PATH_MAX];
	struct error err;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	snprintf(lock, sizeof lock, "%.300s.lock", log_path);
	int fd = open(lock, O_RDWR | O_CLOEXEC);
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	int64_t began = clock_boot_ms();
	audit_begin_turn(a);
	for (int i = 0; i < 50; i++) {
		assert_false(append(a, 2, AUDIT_ORDINARY, &err));
		assert_int_equal(err.code, ERR_STORAGE);
	}
	audit_end_turn(a);
	assert_in_range(clock_boot_ms() - began, 150, 1500);
	close(fd);
	audit_begin_turn(a);
	must_append(a, 2);
	audit_end_turn(a);
	audit_free(a);
	assert_int_equal(walk(NULL).entries, 2);
}

static void together__many_entries_of_another_process_are_caught_up_with(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL), *other;
	must_append(a, 1);
	other = open_log(NULL);
	for (uint32_t i = 0; i < 1000; i++)
		must_append(other, i);
	must_append(a, 2);
	must_append(other, 3);
	audit_free(a);
	audit_free(other);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.entries, 1003);
}

/* ---- no room ---- */

static void mount_small(const char *options)
{
	if (mount("none", scratch, "tmpfs", 0, options) != 0) {
		print_message("SKIPPED: a small file system cannot be mounted here: %s\n", strerror(errno));
		skip();
	}
}

static void fill_disk(const char *name)
{
	static char filler[4096];
	char path[PATH_MAX];
	in_scratch(path, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, filler, sizeof filler) > 0)
		continue;
	close(fd);
}

static void room__a_full_disk_refuses_what_is_ordinary_and_keeps_room_for_refusals(void **state)
{
	(void)state;
	char filler[PATH_MAX];
	struct error err;
	unsigned noted = 0;
	mount_small("size=12m,mode=0700");
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	fill_disk("filler");
	unsigned ordinary = 0;
	while (append(a, 2, AUDIT_ORDINARY, &err) && ordinary < 20000)
		ordinary++;
	assert_true(ordinary < 20000);
	assert_int_equal(err.code, ERR_STORAGE);
	assert_string_equal(err.class, "audit");
	while (append(a, 3, AUDIT_RESERVE, &err) && noted < 100000)
		noted++;
	assert_int_equal(err.code, ERR_STORAGE);
	assert_true(noted > 4000000 / 400); /* 4 MiB of them */
	struct audit_report full = walk(NULL);
	assert_int_equal(full.faults, 0);
	assert_int_equal(full.torn, 0); /* no half a line */
	assert_int_equal(full.entries, 1 + ordinary + noted);
	in_scratch(filler, "filler");
	assert_int_equal(unlink(filler), 0);
	must_append(a, 4); /* room made: goes on, by the same process */
	audit_free(a);
	assert_int_equal(walk(NULL).entries, 2 + ordinary + noted);
	assert_int_equal(walk(NULL).faults, 0);
}

static void room__a_file_that_may_not_be_written_is_refused_and_still_compared(void **state)
{
	(void)state;
	struct audit_position end;
	mount_small("size=12m,mode=0700");
	end = fill_log();
	assert_int_equal(mount("none", scratch, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	struct audit *a = open_log(&end);
	refused_as(a, ERR_STORAGE);
	assert_int_equal(mount("none", scratch, "tmpfs", MS_REMOUNT, NULL), 0);
	audit_free(a);
}

/* ---- collected in a turn ---- */

static bool collect(struct audit *a, uint32_t version, struct error *err)
{
	struct audit_event e = { .verb = "get", .pixel = PIXEL, .version = version, .fingerprint = fingerprint, .result = "ok" };
	memset(err, 0, sizeof *err);
	return audit_collect(a, &someone, &e, err);
}

static void must_collect(struct audit *a, uint32_t version)
{
	struct error err;
	if (!collect(a, version, &err))
		fail_msg("%s", err.message);
}

static void must_settle(struct audit *a)
{
	struct error err = { .code = ERR_NONE };
	if (!audit_settle(a, &err))
		fail_msg("%s", err.message);
	assert_int_equal(err.code, ERR_NONE);
}

static void does_not_settle(struct audit *a)
{
	struct error err = { .code = ERR_NONE };
	assert_false(audit_settle(a, &err));
	assert_int_equal(err.code, ERR_STORAGE);
	assert_string_equal(err.class, "audit");
}

/* Writing system calls of this process so far; 0 where the kernel does not count, or a valgrind around us writes as well. */
static unsigned long writes_so_far(void)
{
	uint8_t text[512] = { 0 };
	unsigned long count = 0;
	size_t len = getenv("UNDER_VALGRIND") ? 0 : file_bytes("/proc/self/io", text, sizeof text - 1);
	const char *at = len ? strstr((const char *)text, "syscw: ") : NULL;
	if (at)
		count = strtoul(at + strlen("syscw: "), NULL, 10);
	return count;
}

struct versions {
	uint32_t at[16];
	size_t count;
};

static bool keep_version(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	struct versions *v = context;
	(void)err;
	assert_true(is_proven);
	assert_true(v->count < COUNT_OF(v->at));
	v->at[v->count++] = e->version;
	return true;
}

/* The log holds these and no others, in this order, and nothing is wrong with it. */
static void assert_versions(const uint32_t *expected, size_t count)
{
	struct versions v = { .count = 0 };
	struct audit_report r = walk_with(NULL, keep_version, &v);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, 0);
	assert_int_equal(v.count, count);
	assert_memory_equal(v.at, expected, count * sizeof *expected);
}
#define ASSERT_VERSIONS(...) assert_versions((const uint32_t[]){ __VA_ARGS__ }, COUNT_OF(((const uint32_t[]){ __VA_ARGS__ })))

static void collected__lines_go_out_in_one_write_and_one_chain(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	off_t before = log_size();
	audit_begin_turn(a);
	unsigned long writes = writes_so_far();
	for (uint32_t i = 2; i <= 6; i++)
		must_collect(a, i);
	assert_int_equal(log_size(), before); /* not a byte before that is asked for */
	must_settle(a);
	if (writes)
		assert_int_equal(writes_so_far() - writes, 1);
	must_collect(a, 7);
	must_settle(a);
	audit_end_turn(a);
	must_append(a, 8);
	audit_free(a);
	ASSERT_VERSIONS(1, 2, 3, 4, 5, 6, 7, 8);
}

static void collected__nothing_settles_and_writes_nothing(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	must_settle(a); /* no turn, no file yet */
	audit_begin_turn(a);
	must_settle(a);
	audit_end_turn(a);
	assert_int_equal(log_size(), 0);
	must_append(a, 1);
	off_t size = log_size();
	audit_begin_turn(a);
	must_settle(a);
	must_append(a, 2);
	must_settle(a); /* what was appended is not written once more */
	must_collect(a, 3);
	must_settle(a);
	must_settle(a);
	audit_end_turn(a);
	must_settle(a);
	assert_int_equal(log_size() / size, 3);
	audit_free(a);
	ASSERT_VERSIONS(1, 2, 3);
}

static void *append_one(void *context)
{
	must_append(context, 70);
	return NULL;
}

static void *append_durable(void *context)
{
	struct audit_event e = { .verb = "get", .pixel = PIXEL, .version = 71, .fingerprint = fingerprint, .result = "ok" };
	struct error err;
	assert_true(audit_append(context, &someone, &e, 1, AUDIT_ORDINARY, true, &err));
	return NULL;
}

static void in_a_thread(void *(*run)(void *), struct audit *a)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run, a), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void collected__what_another_thread_appends_comes_behind_in_the_same_chain(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	struct audit_position durable;
	audit_begin_turn(a);
	must_collect(a, 1);
	must_collect(a, 2);
	in_a_thread(append_one, a);
	must_collect(a, 3);
	must_append(a, 4);
	must_append(a, 5);
	must_collect(a, 6);
	in_a_thread(append_durable, a);
	audit_durable(a, &durable);
	assert_int_equal(durable.sequence, 8); /* with all that came before it */
	must_collect(a, 7);
	must_settle(a);
	audit_end_turn(a);
	audit_free(a);
	ASSERT_VERSIONS(1, 2, 70, 3, 4, 5, 6, 71, 7);
}

static int append_one_in_child(void)
{
	struct audit *own = NULL;
	struct error err;
	scoped(secret_freep) struct secret *root = key_of(9);
	return keys_derive(root, &keys, &err) && try_log(NULL, &own, &err) && append(own, 80, AUDIT_ORDINARY, &err) ? 0 : 1;
}

static void collected__another_process_comes_before_or_behind_and_never_between(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	for (uint32_t round = 0; round < 2; round++) {
		audit_begin_turn(a);
		must_collect(a, 2);
		pid_t child = fork_child();
		if (child == 0)
			_exit(append_one_in_child());
		usleep(100000);
		assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* it waits for the lock */
		must_collect(a, 3);
		must_settle(a);
		audit_end_turn(a);
		assert_int_equal(ended(child), 0);
	}
	audit_begin_turn(a);
	must_collect(a, 4);
	must_settle(a);
	audit_end_turn(a);
	audit_free(a);
	ASSERT_VERSIONS(1, 2, 3, 80, 2, 3, 80, 4);
}

static void collected__go_behind_what_is_mended_first(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	int fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"seq\":2", 8), 8);
	close(fd);
	audit_begin_turn(a);
	must_collect(a, 2);
	must_collect(a, 3);
	must_settle(a);
	audit_end_turn(a);
	audit_free(a);
	ASSERT_VERSIONS(1, 0 /* that it was torn */, 2, 3);
}

static void collected__an_outcome_that_is_explained_in_between_keeps_the_chain(void **state)
{
	(void)state;
	static const uint8_t other[16] = { 9 };
	struct audit_commit commit = { .id = { 1 }, .base = 4 };
	struct audit_line line = { &someone, { .verb = "put", .pixel = PIXEL, .version = 50, .result = "intent" } };
	struct error err;
	struct audit *a = open_log(NULL);
	assert_true(audit_append_lines(a, &line, 1, &commit, AUDIT_ORDINARY, true, &err));
	audit_begin_turn(a);
	must_collect(a, 1);
	assert_true(audit_explain(a, other, 4, &err));
	must_collect(a, 2);
	must_settle(a);
	audit_end_turn(a);
	audit_free(a);
	ASSERT_VERSIONS(50, 1, 0 /* the outcome */, 2);
	assert_int_equal(walk(NULL).unexplained, 0);
}

static void collected__lines_are_not_durable_before_they_are_written(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	struct audit_position durable;
	struct error err;
	must_append(a, 1);
	must_append(a, 2);
	audit_begin_turn(a);
	must_collect(a, 3);
	must_collect(a, 4);
	assert_true(audit_sync(a, &err));
	audit_durable(a, &durable);
	assert_int_equal(durable.sequence, 2);
	must_collect(a, 5);
	must_settle(a);
	audit_durable(a, &durable);
	assert_int_equal(durable.sequence, 2); /* written is not synced */
	assert_true(audit_sync(a, &err));
	audit_durable(a, &durable);
	assert_int_equal(durable.sequence, 5);
	audit_end_turn(a);
	audit_free(a);
	audit_free(open_log(&durable)); /* what the anchor would remember is there */
}

static void collected__none_is_taken_in_a_turn_without_the_lock(void **state)
{
	(void)state;
	char lock[PATH_MAX];
	struct error err;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	snprintf(lock, sizeof lock, "%.300s.lock", log_path);
	int fd = open(lock, O_RDWR | O_CLOEXEC);
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	int64_t began = clock_boot_ms();
	audit_begin_turn(a);
	for (uint32_t i = 0; i < 50; i++) {
		assert_false(collect(a, 90, &err));
		assert_int_equal(err.code, ERR_STORAGE);
		assert_string_equal(err.class, "audit");
	}
	assert_in_range(clock_boot_ms() - began, 150, 1500); /* waited once */
	close(fd);
	assert_false(collect(a, 90, &err)); /* once said, said for the turn */
	must_settle(a);
	audit_end_turn(a);
	audit_begin_turn(a);
	must_collect(a, 2);
	must_settle(a);
	audit_end_turn(a);
	audit_free(a);
	ASSERT_VERSIONS(1, 2);
}

static void collected__none_is_taken_for_a_log_that_is_not_ours(void **state)
{
	(void)state;
	char aside[PATH_MAX];
	struct error err;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	in_scratch(aside, "aside");
	assert_int_equal(rename(log_path, aside), 0);
	audit_begin_turn(a);
	assert_false(collect(a, 2, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_int_equal(rename(aside, log_path), 0);
	assert_false(collect(a, 2, &err));
	audit_end_turn(a);
	audit_begin_turn(a);
	must_collect(a, 3);
	must_settle(a);
	audit_end_turn(a);
	audit_free(a);
	ASSERT_VERSIONS(1, 3);
}

/* A limit in the middle of the second of three lines: the kernel writes what fits. */
static void collected__of_a_write_that_ends_early_nothing_stays(void **state)
{
	(void)state;
	struct rlimit before, limit;
	struct error err;
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	off_t size = log_size();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)(size * 5 / 2);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	audit_begin_turn(a);
	for (uint32_t i = 2; i <= 4; i++)
		must_collect(a, i);
	does_not_settle(a);
	off_t left = log_size();
	must_collect(a, 5); /* in the same turn: this one fits */
	must_settle(a);
	for (uint32_t i = 6; i <= 8; i++)
		must_collect(a, i);
	bool is_appended = append(a, 9, AUDIT_ORDINARY, &err); /* finds them there, and fails itself or not */
	does_not_settle(a);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(left, size);
	must_collect(a, 10);
	must_settle(a);
	audit_end_turn(a);
	must_append(a, 11);
	audit_free(a);
	if (is_appended)
		ASSERT_VERSIONS(1, 5, 9, 10, 11);
	else
		ASSERT_VERSIONS(1, 5, 10, 11);
}

static void collected__on_a_full_disk_none_stays_and_none_counts(void **state)
{
	(void)state;
	char filler[PATH_MAX];
	struct error err;
	uint64_t entries;
	mount_small("size=12m,mode=0700");
	struct audit *a = open_log(NULL);
	must_append(a, 1);
	fill_disk("filler");
	for (unsigned i = 0; append(a, 2, AUDIT_ORDINARY, &err); i++)
		assert_true(i < 20000);
	entries = walk(NULL).entries;
	off_t size = log_size();
	audit_begin_turn(a);
	for (uint32_t i = 0; i < 3; i++)
		must_collect(a, 3);
	does_not_settle(a);
	assert_int_equal(log_size(), size);
	must_settle(a); /* said once: there is nothing any more */
	/* A refusal that comes in between has its room, and does not make the lines before it count. */
	must_collect(a, 4);
	assert_true(append(a, 5, AUDIT_RESERVE, &err));
	does_not_settle(a);
	/* Nor does it help them that those taken in later find room. */
	must_collect(a, 6);
	assert_true(append(a, 7, AUDIT_RESERVE, &err));
	in_scratch(filler, "filler");
	assert_int_equal(unlink(filler), 0);
	must_collect(a, 8);
	does_not_settle(a);
	must_collect(a, 9);
	must_settle(a);
	audit_end_turn(a);
	must_append(a, 10);
	audit_free(a);
	struct audit_report r = walk(NULL);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.torn, 0);
	assert_int_equal(r.entries, entries + 2 /* refusals */ + 3);
}

/* ---- heads that were kept elsewhere ---- */

static void head__is_read_as_it_was_written_and_in_no_other_way(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", ":", "1", "1:", "x:", "-1:", "0:", " 1:", "18446744073709551616:" };
	struct audit_position at = { .sequence = UINT64_MAX }, again;
	char text[AUDIT_HEAD_TEXT_MAX], bad[2 * AUDIT_HEAD_TEXT_MAX];
	for (size_t i = 0; i < DIGEST_LEN; i++)
		at.mac[i] = (uint8_t)(i * 37);
	const char *mac = strchr(audit_head_text(&at, text), ':') + 1;
	assert_true(strlen(text) < sizeof text && strlen(mac) == DIGEST_LEN * 2);
	assert_true(audit_head_parse(text, &again));
	assert_int_equal(again.sequence, at.sequence);
	assert_memory_equal(again.mac, at.mac, DIGEST_LEN);
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_false(audit_head_parse(wrong[i], &again));
		snprintf(bad, sizeof bad, "%s%s", wrong[i], mac);
		if (i != 3) /* that one is right with a MAC behind it */
			assert_false(audit_head_parse(bad, &again));
	}
	snprintf(bad, sizeof bad, "%s ", text);
	assert_false(audit_head_parse(bad, &again));
	text[strlen(text) - 1] = '\0';
	assert_false(audit_head_parse(text, &again));
}

static void head__kept_elsewhere_tells_of_every_cut_that_this_host_forgot(void **state)
{
	(void)state;
	struct audit_position end = fill_log(), nothing = { 0 };
	struct lines *l = read_lines();
	struct audit_report r = walk_noted(&end, &end);
	assert_int_equal(r.faults, 0);
	assert_int_equal(r.head.sequence, end.sequence);
	assert_memory_equal(r.head.mac, end.mac, DIGEST_LEN);
	for (size_t left = 0; left < ENTRIES; left++) {
		write_bytes(log_path, l->bytes, l->at[left]);
		assert_int_equal(walk(&nothing).faults, 0);
		r = walk_noted(&nothing, &end);
		assert_int_equal(r.faults, 1);
		assert_true(r.lacks_noted);
		assert_int_equal(r.first_bad, left + 1);
	}
	assert_int_equal(unlink(log_path), 0);
	assert_true(walk_noted(&nothing, &end).lacks_noted);
	free(l);
}

static void head__kept_elsewhere_is_of_that_entry_and_no_other(void **state)
{
	(void)state;
	struct audit_position end = fill_log(), noted = end;
	noted.mac[DIGEST_LEN - 1] ^= 1;
	assert_true(walk_noted(&end, &noted).lacks_noted);
	noted = end;
	noted.sequence--;
	assert_true(walk_noted(&end, &noted).lacks_noted);
	struct audit *a = open_log(&end);
	must_append(a, 1);
	audit_free(a);
	assert_int_equal(walk_noted(&end, &end).faults, 0); /* more since then */
}

/* ---- going on after a loss ---- */

static void loss__accepted_leaves_a_scar_and_a_chain_that_goes_on(void **state)
{
	(void)state;
	struct audit_position end = fill_log(), scar;
	struct lines *l = read_lines();
	static uint8_t bytes[LOG_MAX];
	l->bytes[l->at[50] + 20] ^= 1;
	write_bytes(log_path, l->bytes, l->at[120] + 30); /* changed and cut, in the middle of a line */
	accept(&end, &scar);
	assert_int_equal(scar.sequence, ENTRIES + 1);
	struct audit *a = open_log(&scar);
	must_append(a, 1);
	audit_free(a);
	struct audit_report r = walk(&scar);
	assert_int_equal(r.faults, 0);
	assert_true(r.accepted > 0);
	assert_int_equal(r.last, ENTRIES + 2);
	assert_int_equal(r.segments, 2);
	assert_true(walk_noted(&scar, &end).lacks_noted); /* whoever has the head did not accept it */
	/* What was accepted is sealed as it is. */
	size_t len = file_bytes(log_path, bytes, sizeof bytes);
	bytes[l->at[60] + 20] ^= 1;
	write_bytes(log_path, bytes, len);
	r = walk(&scar);
	assert_true(r.faults > 0);
	free(l);
}

static void loss__of_the_whole_file_is_accepted_too(void **state)
{
	(void)state;
	struct audit_position end = fill_log(), scar;
	assert_int_equal(unlink(log_path), 0);
	accept(&end, &scar);
	assert_int_equal(scar.sequence, ENTRIES + 1);
	struct audit *a = open_log(&scar);
	must_append(a, 1);
	audit_free(a);
	assert_int_equal(walk(&scar).faults, 0);
}

/* Entries behind a scar, as far as `upto`; the position of the last. */
static struct audit_position extend(const struct audit_position *anchored, uint32_t from, uint32_t upto)
{
	struct audit *a = open_log(anchored);
	for (uint32_t i = from; i <= upto; i++)
		must_append(a, i);
	struct audit_position end = a->last;
	audit_free(a);
	return end;
}

static void loss__a_scar_does_not_excuse_what_was_cut_or_replaced_behind_it(void **state)
{
	(void)state;
	static uint8_t common[LOG_MAX], other[LOG_MAX];
	struct audit_position end = fill_log(), scar;
	assert_int_equal(unlink(log_path), 0);
	accept(&end, &scar);
	struct audit_position at = extend(&scar, 1, 5);
	size_t common_len = file_bytes(log_path, common, sizeof common);
	extend(&at, 11, 15);
	size_t other_len = file_bytes(log_path, other, sizeof other);
	/* Cut back to what the anchor knew; what is written then is anchored, and the other end put back. */
	write_bytes(log_path, common, common_len);
	at = extend(&at, 21, 23);
	write_bytes(log_path, other, other_len);
	assert_refused(&at);
	write_bytes(log_path, common, common_len);
	assert_refused(&at);
}

static void loss__a_scar_that_the_anchor_does_not_know_yet_is_gone_on_behind(void **state)
{
	(void)state;
	struct audit_position end = fill_log(), scar;
	assert_int_equal(unlink(log_path), 0);
	accept(&end, &scar);
	audit_free(open_log(&end)); /* killed before the anchor was written */
}

static void loss__none_is_accepted_where_there_is_none(void **state)
{
	(void)state;
	struct audit_position end = fill_log();
	struct audit *a = NULL;
	struct error err;
	assert_true(audit_new(anchor_path, keys, &a, &err));
	assert_false(audit_accept_loss(a, &end, &someone, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	audit_free(a);
	assert_int_equal(walk(&end).entries, ENTRIES);
}

/* ---- intents ---- */

static bool keep_last(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	(void)is_proven, (void)err;
	*(struct audit_entry *)context = *e;
	return true;
}

/* The kernel calls the pages clean after a failed sync: a second one would report success over lost entries. */
static void sync__that_failed_is_final(void **state)
{
	(void)state;
	struct audit *a = open_log(NULL);
	struct error err;
	must_append(a, 1);
	int ends[2], log = a->fd;
	assert_int_equal(pipe(ends), 0);
	a->fd = ends[0]; /* what cannot be synced */
	assert_false(audit_flush(a, &a->last, &err));
	assert_int_equal(err.code, ERR_STORAGE);
	a->fd = log;
	assert_false(audit_flush(a, &a->last, &err));
	assert_int_equal(err.code, ERR_STORAGE);
	close(ends[0]);
	close(ends[1]);
	audit_free(a);
}

static void intents__without_an_outcome_are_explained_once(void **state)
{
	(void)state;
	static const struct {
		uint64_t base;
		const char *id, *expected;
		uint32_t reads; /* before anybody looks */
	} cases[] = { { 4, "done", "done", 0 }, { 5, "not", "not-done", 30 }, { 3, "other", "superseded", 300 } };
	struct error err;
	uint64_t entries = 0;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct audit_commit commit = { .base = cases[i].base };
		struct audit_line line = { &someone, { .verb = "put", .pixel = PIXEL, .result = "intent" } };
		struct audit *a = open_log(NULL);
		memcpy(commit.id, cases[i].id, strlen(cases[i].id));
		assert_true(audit_append_lines(a, &line, 1, &commit, AUDIT_ORDINARY, true, &err));
		line.event.result = "unknown"; /* explains nothing */
		assert_true(audit_append_lines(a, &line, 1, &commit, AUDIT_ORDINARY, true, &err));
		for (uint32_t k = 0; k < cases[i].reads; k++)
			must_append(a, k);
		audit_free(a);
		assert_int_equal(walk(NULL).unexplained, 1);
		for (int again = 0; again < 2; again++) {
			a = open_log(NULL);
			assert_true(audit_explain(a, (const uint8_t *)"done\0\0\0\0\0\0\0\0\0\0\0", 5, &err));
			audit_free(a);
			assert_int_equal(walk(NULL).entries, entries + 3 + cases[i].reads);
			assert_int_equal(walk(NULL).unexplained, 0);
		}
		entries += 3 + cases[i].reads;
		struct audit_entry last = { 0 };
		walk_with(NULL, keep_last, &last);
		assert_string_equal(last.verb, "outcome");
		assert_string_equal(last.result, cases[i].expected);
		assert_memory_equal(last.commit, commit.id, sizeof commit.id);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_log_place, remove_log_place)

/* Cut anywhere, an entry of any kind is none; and a byte that is another one is another entry or none. */
static void entry__of_each_kind_cut_short_is_none(void **state)
{
	(void)state;
	static const enum audit_extra kinds[] = { AUDIT_PLAIN, AUDIT_OF_COMMIT, AUDIT_TORN, AUDIT_SCAR };
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		struct audit_entry e = { .sequence = 7,
					 .verb = "put",
					 .result = "ok",
					 .as = "shop",
					 .has_pixel = k % 2 == 0,
					 .version = (uint32_t)k,
					 .extra = kinds[k] },
				   back;
		char line[AUDIT_LINE_MAX], again[AUDIT_LINE_MAX];
		size_t covered, len = audit_entry_encode(&e, line, &covered);
		assert_true(audit_entry_decode(bytes_of(line, len), &back, &covered));
		assert_int_equal(back.extra, kinds[k]);
		for (size_t cut = 0; cut + 1 < len; cut++)
			assert_false(audit_entry_decode(bytes_of(line, cut), &back, &covered));
		for (size_t i = 0; i < len; i++) {
			char before = line[i];
			line[i] = '~';
			if (audit_entry_decode(bytes_of(line, len), &back, &covered)) {
				assert_int_equal(audit_entry_encode(&back, again, &covered), len);
				assert_memory_equal(line, again, len);
			}
			line[i] = before;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry__of_each_kind_cut_short_is_none),
		T(entry__is_one_line_of_canonical_json_that_names_no_pixel_and_no_token),
		T(entry__escapes_what_is_not_printable_and_reads_it_back),
		T(entry__without_a_who_is_of_this_process),
		T(tamper__a_whole_log_is_whole),
		T(tamper__every_bit_of_every_entry_counts),
		T(tamper__dropped_swapped_and_repeated_entries_are_named),
		T(tamper__a_tail_that_was_cut_off_below_the_anchor_is_noticed_when_it_is_opened),
		T(tamper__another_log_of_the_same_length_is_noticed_when_it_is_opened),
		T(tamper__a_missing_log_is_noticed_when_the_anchor_knows_of_one),
		T(place__a_log_that_was_removed_renamed_replaced_or_linked_is_refused_at_once),
		T(place__somebody_elses_line_in_between_is_noticed_by_the_next_append),
		T(torn__bytes_behind_the_last_line_are_moved_aside_and_an_entry_says_so),
		T(torn__bytes_do_not_take_the_place_of_earlier_ones),
		T(torn__however_long_is_seen_by_a_reader_as_by_the_writer),
		T(torn__is_not_mended_when_the_anchor_knows_more),
		T(torn__a_lost_sector_behind_the_anchored_entry_ends_the_log_there_after_a_boot),
		T(torn__a_lost_sector_in_this_boot_is_a_change),
		T(torn__nor_may_the_first_line_behind_the_anchored_entry_be_lost_in_this_boot),
		T(torn__what_is_not_zero_was_changed_also_after_a_boot),
		T(torn__no_power_cut_loses_what_the_anchor_remembers),
		T(together__processes_and_threads_keep_one_chain_without_a_gap),
		T(together__a_holder_that_hangs_stops_a_turn_only_for_a_moment),
		T(together__many_entries_of_another_process_are_caught_up_with),
		T(room__a_full_disk_refuses_what_is_ordinary_and_keeps_room_for_refusals),
		T(room__a_file_that_may_not_be_written_is_refused_and_still_compared),
		T(collected__lines_go_out_in_one_write_and_one_chain),
		T(collected__nothing_settles_and_writes_nothing),
		T(collected__what_another_thread_appends_comes_behind_in_the_same_chain),
		T(collected__another_process_comes_before_or_behind_and_never_between),
		T(collected__go_behind_what_is_mended_first),
		T(collected__an_outcome_that_is_explained_in_between_keeps_the_chain),
		T(collected__lines_are_not_durable_before_they_are_written),
		T(collected__none_is_taken_in_a_turn_without_the_lock),
		T(collected__none_is_taken_for_a_log_that_is_not_ours),
		T(collected__of_a_write_that_ends_early_nothing_stays),
		T(collected__on_a_full_disk_none_stays_and_none_counts),

		T(head__is_read_as_it_was_written_and_in_no_other_way),
		T(head__kept_elsewhere_tells_of_every_cut_that_this_host_forgot),
		T(head__kept_elsewhere_is_of_that_entry_and_no_other),
		T(loss__accepted_leaves_a_scar_and_a_chain_that_goes_on),
		T(loss__of_the_whole_file_is_accepted_too),
		T(loss__a_scar_does_not_excuse_what_was_cut_or_replaced_behind_it),
		T(loss__a_scar_that_the_anchor_does_not_know_yet_is_gone_on_behind),
		T(loss__none_is_accepted_where_there_is_none),
		T(sync__that_failed_is_final),
		T(intents__without_an_outcome_are_explained_once),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
