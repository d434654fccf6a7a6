/* tests/support/audit_kit.h - an audit log of its own for each test, without a vault. Include cmocka.h (and what it
 * needs) before this. */
#ifndef TESTS_SUPPORT_AUDIT_KIT_H
#define TESTS_SUPPORT_AUDIT_KIT_H

#include "tests/support/scratch.h"
#include "vault/audit.h"
#include "vault/audit_own.h"

#include <sys/mount.h>

#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define ENTRIES 200
#define LOG_MAX (1u << 20)

UNUSED static const struct audit_who someone = { .is_known = true, .uid = 1000, .gid = 1001, .pid = 42, .as = "checkout" };
UNUSED static const uint8_t fingerprint[FINGERPRINT_LEN] = { 1, 2, 3 };
static char log_path[PATH_MAX], anchor_path[PATH_MAX];
static struct keys *keys;

UNUSED static int make_log_place(void **state)
{
	struct error err;
	scoped(secret_freep) struct secret *root = NULL;
	if (scratch_make(state) != 0)
		return -1;
	root = key_of(9);
	in_scratch(anchor_path, "vault.db-0011.anchor");
	in_scratch(log_path, "vault.db-0011.audit.log");
	return keys_derive(root, &keys, &err) ? 0 : -1;
}

UNUSED static int remove_log_place(void **state)
{
	keys_freep(&keys);
	umount(scratch);
	return scratch_remove(state);
}

UNUSED static bool try_log(const struct audit_position *anchored, struct audit **ret, struct error *err)
{
	struct audit_position none = { 0 };
	struct audit *a = NULL;
	memset(err, 0, sizeof *err);
	if (!audit_new(anchor_path, keys, &a, err))
		return false;
	if (!audit_prove(a, anchored ? anchored : &none, err)) {
		audit_free(a);
		return false;
	}
	*ret = a;
	return true;
}

UNUSED static struct audit *open_log(const struct audit_position *anchored)
{
	struct audit *a = NULL;
	struct error err;
	if (!try_log(anchored, &a, &err))
		fail_msg("the log does not open: %s", err.message);
	return a;
}

UNUSED static void assert_refused(const struct audit_position *anchored)
{
	struct audit *a = NULL;
	struct error err;
	if (try_log(anchored, &a, &err)) {
		audit_free(a);
		fail_msg("a damaged log was opened");
	}
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "audit");
	assert_non_null(strstr(err.hint, "accept-loss"));
}

UNUSED static bool append(struct audit *a, uint32_t version, enum audit_weight weight, struct error *err)
{
	struct audit_event e = { .verb = "get", .pixel = PIXEL, .version = version, .fingerprint = fingerprint, .result = "ok" };
	memset(err, 0, sizeof *err);
	return audit_append(a, &someone, &e, 1, weight, false, err);
}

UNUSED static void must_append(struct audit *a, uint32_t version)
{
	struct error err;
	if (!append(a, version, AUDIT_ORDINARY, &err))
		fail_msg("%s", err.message);
}

UNUSED static void refused_as(struct audit *a, enum error_code code)
{
	struct error err;
	assert_false(append(a, 1, AUDIT_ORDINARY, &err));
	assert_int_equal(err.code, code);
	assert_string_equal(err.class, "audit");
}

/* A log of 200 entries, and where it ends. */
UNUSED static struct audit_position fill_log(void)
{
	struct audit_position end;
	struct error err;
	struct audit *a = open_log(NULL);
	audit_set_generation(a, 5);
	for (uint32_t i = 1; i <= ENTRIES; i++)
		must_append(a, i);
	assert_true(audit_sync(a, &err));
	audit_durable(a, &end);
	assert_int_equal(end.sequence, ENTRIES);
	audit_free(a);
	return end;
}

UNUSED static struct audit_report walk_as(const struct audit_position *anchored, const struct audit_reader *reader)
{
	struct audit_position none = { 0 };
	struct audit_report report;
	struct error err;
	struct audit *a = NULL;
	assert_true(audit_new(anchor_path, keys, &a, &err));
	if (!audit_walk(a, anchored ? anchored : &none, reader, &report, &err))
		fail_msg("%s", err.message);
	audit_free(a);
	return report;
}

UNUSED static struct audit_report walk_with(const struct audit_position *anchored, audit_entry_fn *entry, void *context)
{
	return walk_as(anchored, &(struct audit_reader){ .entry = entry, .context = context });
}

/* With a head that was kept outside of this host. */
UNUSED static struct audit_report walk_noted(const struct audit_position *anchored, const struct audit_position *noted)
{
	return walk_as(anchored, &(struct audit_reader){ .noted = noted });
}

UNUSED static struct audit_report walk(const struct audit_position *anchored)
{
	return walk_with(anchored, NULL, NULL);
}

struct lines {
	uint8_t bytes[LOG_MAX];
	size_t len, count;
	size_t at[ENTRIES + 1]; /* where each line begins, and the end */
};

UNUSED static struct lines *read_lines(void)
{
	struct lines *l = calloc(1, sizeof *l);
	assert_non_null(l);
	l->len = file_bytes(log_path, l->bytes, sizeof l->bytes);
	for (size_t i = 0; i < l->len && l->count < ENTRIES; i++)
		if (l->bytes[i] == '\n')
			l->at[++l->count] = i + 1;
	return l;
}

/* Entries 1 to 10 of an earlier boot, or of this one; the anchor knows the fourth. */
UNUSED static struct audit_position log_of_boot(const char *boot)
{
	struct audit_position fourth = { 0 };
	struct audit *a = open_log(NULL);
	if (boot)
		memcpy(a->boot, boot, sizeof a->boot);
	for (uint32_t i = 1; i <= 10; i++) {
		must_append(a, i);
		if (i == 4)
			fourth = a->last;
	}
	audit_free(a);
	return fourth;
}

UNUSED static void overwrite(size_t at, const void *bytes, size_t len)
{
	int fd = open(log_path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	close(fd);
}

/* As a sector reads that never reached the disk. */
UNUSED static void zero_line(size_t number)
{
	static const uint8_t zeros[64];
	struct lines *l = read_lines();
	overwrite(l->at[number - 1] + 20, zeros, sizeof zeros);
	free(l);
}

UNUSED static const char earlier_boot[37] = "11111111-2222-3333-4444-555555555555";

UNUSED static off_t log_size(void)
{
	struct stat st;
	return stat(log_path, &st) == 0 ? st.st_size : 0;
}

UNUSED static void accept(const struct audit_position *anchored, struct audit_position *ret)
{
	struct audit *a = NULL;
	struct error err;
	assert_true(audit_new(anchor_path, keys, &a, &err));
	if (!audit_accept_loss(a, anchored, &someone, &err))
		fail_msg("%s", err.message);
	audit_durable(a, ret);
	audit_free(a);
}

#endif
