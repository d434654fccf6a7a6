/* Each row of what can be seen at opening: as a judgement, and through real vaults. */
#include "vault/anchor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define TOKEN "0123456789abcdef0123456789abcdef01234567"

static struct keys *some_keys(uint8_t seed)
{
	struct keys *k = NULL;
	struct error err;
	scoped(secret_freep) struct secret *key = key_of(seed);
	assert_true(keys_derive(key, &k, &err));
	return k;
}

static struct anchor some_anchor(uint64_t generation)
{
	struct anchor a = { .epoch = 1, .generation = generation, .audit_sequence = 7, .wall_clock = 1700000000 };
	memset(a.vault_id, 1, sizeof a.vault_id);
	memset(a.lineage, 2, sizeof a.lineage);
	memset(a.root_mac, 3, sizeof a.root_mac);
	memset(a.audit_head, 4, sizeof a.audit_head);
	a.root_mac[0] = (uint8_t)generation;
	return a;
}

static void assert_anchor(const struct anchor *a, const struct anchor *b)
{
	assert_memory_equal(a->vault_id, b->vault_id, VAULT_ID_LEN);
	assert_memory_equal(a->lineage, b->lineage, 16);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->generation, b->generation);
	assert_memory_equal(a->root_mac, b->root_mac, DIGEST_LEN);
	assert_int_equal(a->audit_sequence, b->audit_sequence);
	assert_memory_equal(a->audit_head, b->audit_head, DIGEST_LEN);
	assert_int_equal(a->wall_clock, b->wall_clock);
}

/* ---- the judgement ---- */

/* A root at this generation whose past holds the MACs that some_anchor() has. */
static struct root root_at(uint64_t generation)
{
	struct root r;
	memset(&r, 0, sizeof r);
	struct anchor now = some_anchor(generation);
	memcpy(r.vault_id, now.vault_id, sizeof r.vault_id);
	memcpy(r.lineage, now.lineage, sizeof r.lineage);
	r.epoch = 1;
	r.generation = generation;
	memcpy(r.mac, now.root_mac, DIGEST_LEN);
	for (uint64_t i = 0; i < ROOT_PAST && i + 1 < generation; i++) {
		struct anchor then = some_anchor(generation - 1 - i);
		memcpy(r.past[i], then.root_mac, DIGEST_LEN);
	}
	return r;
}

static void judge__every_distance_of_the_same_history(void **state)
{
	(void)state;
	struct root now = root_at(100);
	for (uint64_t remembered = 1; remembered < 140; remembered++) {
		struct anchor a = some_anchor(remembered);
		enum descent expected = remembered > 100                ? DESCENT_OLDER
					: remembered == 100             ? DESCENT_SAME
					: remembered >= 100 - ROOT_PAST ? DESCENT_NEWER
									: DESCENT_TOO_FAR;
		assert_int_equal(anchor_judge(&a, &now), expected);
	}
	struct anchor last = some_anchor(UINT64_MAX), first = some_anchor(1);
	assert_int_equal(anchor_judge(&last, &now), DESCENT_OLDER);
	now = root_at(UINT64_MAX);
	assert_int_equal(anchor_judge(&first, &now), DESCENT_TOO_FAR);
}

static void judge__another_mac_at_any_remembered_place_is_a_fork(void **state)
{
	(void)state;
	struct root now = root_at(100);
	for (uint64_t remembered = 100 - ROOT_PAST; remembered <= 100; remembered++)
		for (size_t byte = 0; byte < DIGEST_LEN; byte++) {
			struct anchor a = some_anchor(remembered);
			a.root_mac[byte] ^= 0x40;
			assert_int_equal(anchor_judge(&a, &now), DESCENT_FORKED);
		}
	/* a MAC that stands in the past, but at another generation's place */
	struct anchor a = some_anchor(98), other = some_anchor(97);
	memcpy(a.root_mac, other.root_mac, DIGEST_LEN);
	assert_int_equal(anchor_judge(&a, &now), DESCENT_FORKED);
}

static void judge__another_lineage_or_vault_is_a_fork_at_any_generation(void **state)
{
	(void)state;
	struct root now = root_at(100);
	static const uint64_t generations[] = { 1, 99, 100, 101 };
	for (size_t i = 0; i < COUNT_OF(generations); i++) {
		struct anchor a = some_anchor(generations[i]);
		a.lineage[15] ^= 1;
		assert_int_equal(anchor_judge(&a, &now), DESCENT_FORKED);
		a = some_anchor(generations[i]);
		a.vault_id[0] ^= 1;
		assert_int_equal(anchor_judge(&a, &now), DESCENT_FORKED);
	}
}

static void judge__a_young_vault_has_a_past_of_zeros_that_nothing_matches(void **state)
{
	(void)state;
	struct root now = root_at(3);
	struct anchor a = some_anchor(1);
	assert_int_equal(anchor_judge(&a, &now), DESCENT_NEWER);
	struct root without = now;
	memset(without.past, 0, sizeof without.past);
	assert_int_equal(anchor_judge(&a, &without), DESCENT_FORKED);
}

/* ---- the file ---- */

static struct anchor_file file_at(const char *name)
{
	struct anchor_file file = { .is_there = false };
	in_scratch(file.path, name);
	return file;
}

static void file__comes_back_as_it_was_and_advances_in_turn(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = some_keys(1);
	struct anchor_file file = file_at("a.anchor");
	struct anchor a = some_anchor(1), found;
	struct stat st;
	unsigned block = 9, before;
	assert_true(anchor_create(&file, k, &a, &err));
	assert_int_equal(stat(file.path, &st), 0);
	assert_int_equal(st.st_size, 2 * ANCHOR_BLOCK);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(anchor_read(&file, &err));
	assert_true(file.is_there);
	assert_true(anchor_prove(&file, k, &found, &block));
	assert_anchor(&found, &a);
	for (uint64_t generation = 2; generation < 12; generation++) {
		uint8_t old[2 * ANCHOR_BLOCK], new[2 * ANCHOR_BLOCK];
		before = block;
		a = some_anchor(generation);
		assert_int_equal(file_bytes(file.path, old, sizeof old), sizeof old);
		assert_true(anchor_advance(&file, k, &a, block, &err));
		assert_int_equal(file_bytes(file.path, new, sizeof new), sizeof new);
		/* the block that counted is not touched, so that a torn write leaves it */
		assert_memory_equal(old + before * ANCHOR_BLOCK, new + before *ANCHOR_BLOCK, ANCHOR_BLOCK);
		assert_true(anchor_read(&file, &err));
		assert_true(anchor_prove(&file, k, &found, &block));
		assert_int_equal(block, 1 - before);
		assert_anchor(&found, &a);
	}
	keys_free(k);
}

static void file__missing_empty_or_short_proves_nothing_and_is_no_error(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = some_keys(1);
	struct anchor_file file = file_at("a.anchor");
	struct anchor a = some_anchor(1), found = some_anchor(5), untouched = found;
	uint8_t bytes[2 * ANCHOR_BLOCK];
	unsigned block = 9;
	assert_true(anchor_read(&file, &err));
	assert_false(file.is_there);
	assert_false(anchor_prove(&file, k, &found, &block));
	assert_true(anchor_create(&file, k, &a, &err));
	assert_int_equal(file_bytes(file.path, bytes, sizeof bytes), sizeof bytes);
	for (size_t len = 0; len < ANCHOR_BLOCK; len += 37) {
		write_bytes(file.path, bytes, len);
		assert_true(anchor_read(&file, &err));
		assert_false(anchor_prove(&file, k, &found, &block));
	}
	assert_anchor(&found, &untouched);
	assert_int_equal(block, 9);
	write_bytes(file.path, bytes, ANCHOR_BLOCK); /* cut behind the valid block: it still counts */
	assert_true(anchor_read(&file, &err));
	assert_true(anchor_prove(&file, k, &found, &block));
	keys_free(k);
}

static void file__every_byte_changed_makes_its_block_worth_nothing(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = some_keys(1), *foreign = some_keys(2);
	struct anchor_file file = file_at("a.anchor");
	struct anchor a = some_anchor(1), b = some_anchor(2), found;
	unsigned block;
	assert_true(anchor_create(&file, k, &a, &err));
	assert_true(anchor_read(&file, &err));
	assert_false(anchor_prove(&file, foreign, &found, &block));
	assert_true(anchor_advance(&file, k, &b, 0, &err));
	assert_true(anchor_read(&file, &err));
	for (size_t i = 0; i < ANCHOR_BLOCK; i++) { /* the newer block torn: the older one counts */
		file.blocks[1][i] ^= 1;
		assert_true(anchor_prove(&file, k, &found, &block));
		assert_int_equal(found.generation, 1);
		assert_int_equal(block, 0);
		file.blocks[0][ANCHOR_BLOCK - 1 - i] ^= 0x80; /* both */
		assert_false(anchor_prove(&file, k, &found, &block));
		file.blocks[0][ANCHOR_BLOCK - 1 - i] ^= 0x80;
		file.blocks[1][i] ^= 1;
	}
	assert_true(anchor_prove(&file, k, &found, &block));
	assert_int_equal(found.generation, 2);
	uint8_t swapped[2][ANCHOR_BLOCK]; /* the generation decides, not the place */
	memcpy(swapped[0], file.blocks[1], ANCHOR_BLOCK);
	memcpy(swapped[1], file.blocks[0], ANCHOR_BLOCK);
	memcpy(file.blocks, swapped, sizeof swapped);
	assert_true(anchor_prove(&file, k, &found, &block));
	assert_int_equal(found.generation, 2);
	assert_int_equal(block, 0);
	keys_free(k);
	keys_free(foreign);
}

/* As while a restore is under way. */
static void file__of_two_histories_the_one_that_is_asked_for_counts(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = some_keys(1);
	struct anchor_file file = file_at("a.anchor");
	struct anchor old = some_anchor(9), older = some_anchor(8), restored = some_anchor(5), found;
	struct root root = root_at(9);
	uint8_t other[16] = { 77 };
	unsigned block;
	memset(restored.lineage, 6, sizeof restored.lineage);
	assert_true(anchor_create(&file, k, &older, &err) && anchor_read(&file, &err));
	assert_true(anchor_advance(&file, k, &old, 0, &err) && anchor_read(&file, &err));
	const uint8_t *kept = anchor_block_of(&file, &root);
	assert_ptr_equal(kept, file.blocks[1]); /* the newer of the two */
	assert_true(anchor_create_beside(&file, k, &restored, kept, &err) && anchor_read(&file, &err));
	assert_true(anchor_prove_for(&file, k, restored.lineage, &found, &block));
	assert_anchor(&found, &restored);
	assert_true(anchor_prove_for(&file, k, old.lineage, &found, &block));
	assert_anchor(&found, &old);
	assert_true(anchor_prove_for(&file, k, other, &found, &block)); /* to be judged as a fork */
	assert_anchor(&found, &old);
	assert_true(anchor_advance(&file, k, &restored, 0, &err) && anchor_read(&file, &err)); /* the old one goes */
	assert_true(anchor_prove_for(&file, k, old.lineage, &found, &block));
	assert_anchor(&found, &restored);
	keys_free(k);
}

static void file__gives_no_block_of_another_history_key_or_vault(void **state)
{
	(void)state;
	struct error err;
	struct keys *k = some_keys(1);
	struct anchor_file file = file_at("a.anchor");
	struct anchor a = some_anchor(9);
	struct root root = root_at(9), other = root;
	assert_null(anchor_block_of(&file, &root)); /* there is no file */
	assert_true(anchor_create(&file, k, &a, &err) && anchor_read(&file, &err));
	assert_ptr_equal(anchor_block_of(&file, &root), file.blocks[0]);
	other.lineage[15] ^= 1;
	assert_null(anchor_block_of(&file, &other));
	other = root;
	other.epoch++;
	assert_null(anchor_block_of(&file, &other));
	other = root;
	other.vault_id[0] ^= 1;
	assert_null(anchor_block_of(&file, &other));
	keys_free(k);
}

static void file__made_by_an_independent_program_is_proven(void **state)
{
	(void)state;
	static const char head[] = "7078616e6368720a01000000101112131415161718191a1b1c1d1e1f303132333435363738393a3b3c3"
				   "d3e3f010000002a0000000000"
				   "0000808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f070000000000000"
				   "0c0c1c2c3c4c5c6c7c8c9cacb"
				   "cccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf00f15365000000000000000000000000";
	uint8_t bytes[32];
	struct anchor_file file = { .is_there = true };
	struct anchor found;
	struct keys *k = NULL;
	struct error err;
	unsigned block;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	scoped(secret_freep) struct secret *root_key = secret_of(bytes_of(bytes, sizeof bytes));
	assert_true(keys_derive(root_key, &k, &err));
	hex_to(head, file.blocks[1], strlen(head) / 2);
	hex_to("959ef9263fbf337ddbbfd583d43135c65d2cd90a1be989b9181e5df7f8806dbc", file.blocks[1] + 480, 32);
	assert_true(anchor_prove(&file, k, &found, &block));
	assert_int_equal(block, 1);
	assert_int_equal(found.generation, 42);
	assert_int_equal(found.epoch, 1);
	assert_int_equal(found.audit_sequence, 7);
	assert_int_equal(found.wall_clock, 1700000000);
	assert_int_equal(found.root_mac[31], 0x9f);
	assert_int_equal(found.audit_head[0], 0xc0);
	keys_free(k);
}

static void file__what_is_not_a_plain_file_is_an_error_not_a_missing_anchor(void **state)
{
	(void)state;
	struct error err = { 0 };
	struct anchor_file file = file_at("folder"), link = file_at("link"), fifo = file_at("fifo");
	assert_int_equal(mkdir(file.path, 0700), 0);
	assert_false(anchor_read(&file, &err));
	assert_int_equal(err.code, ERR_STORAGE);
	assert_int_equal(symlink("/etc/passwd", link.path), 0);
	assert_false(anchor_read(&link, &err));
	assert_int_equal(mkfifo(fifo.path, 0600), 0);
	assert_false(anchor_read(&fifo, &err));
	assert_false(file.is_there);
}

static void place__depends_on_the_whole_path_of_the_vault(void **state)
{
	(void)state;
	static const char *const paths[] = { "/a/vault.db", "/b/vault.db", "/a/vault.db2", "/a/b/vault.db",
					     "/avault.db" };
	struct anchor_file files[COUNT_OF(paths)], again;
	struct error err;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		assert_true(anchor_place("/state", paths[i], &files[i], &err));
		assert_int_equal(strncmp(files[i].path, "/state/", 7), 0);
		assert_null(strchr(files[i].path + 7, '/'));
		assert_true(anchor_place("/state", paths[i], &again, &err));
		assert_string_equal(files[i].path, again.path);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(files[i].path, files[k].path);
	}
	char longest[PATH_MAX];
	memset(longest, 's', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	assert_false(anchor_place(longest, "/a/vault.db", &again, &err));
	assert_int_equal(err.code, ERR_CONFIG);
}

/* ---- through real vaults ---- */

static char saved_vault[4][PATH_MAX], saved_anchor[4][PATH_MAX];

static void save(unsigned which)
{
	snprintf(saved_vault[which], PATH_MAX, "%s/saved-%u.db", scratch, which);
	snprintf(saved_anchor[which], PATH_MAX, "%s/saved-%u.anchor", scratch, which);
	copy_file(vault_file, saved_vault[which]);
	copy_file(anchor_path, saved_anchor[which]);
}

static void put_back_vault(unsigned which)
{
	static const char *const endings[] = { "-wal", "-shm" };
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		char beside[PATH_MAX + 8];
		snprintf(beside, sizeof beside, "%s%s", vault_file, endings[i]);
		unlink(beside);
	}
	copy_file(saved_vault[which], vault_file);
}

static void put_back_anchor(unsigned which)
{
	copy_file(saved_anchor[which], anchor_path);
}

static void change_times(unsigned times, const char *name)
{
	struct vault *v = open_it();
	for (unsigned i = 0; i < times; i++) {
		char label[64];
		snprintf(label, sizeof label, "k=%s-%u", name, i);
		put_label(v, A, label);
	}
	vault_close(v);
}

static void assert_opening(const char *class)
{
	struct vault *v = NULL;
	struct error err;
	bool ok = try_open(&v, &err);
	if (ok)
		vault_close(v);
	if (!class && !ok)
		fail_msg("refused as %s: %s", err.class ? err.class : "-", err.message);
	if (!class)
		return;
	if (ok)
		fail_msg("opened, where it should be refused as %s", class);
	assert_refused(&err, ERR_DAMAGED, class);
}

static void vault__and_anchor_as_they_were_left_open(void **state)
{
	(void)state;
	change_times(3, "a");
	assert_opening(NULL);
}

static void vault__an_older_copy_is_rolled_back(void **state)
{
	(void)state;
	save(0);
	change_times(1, "a");
	put_back_vault(0);
	assert_opening("rolled-back");
	assert_opening("rolled-back"); /* looking mends nothing */
	put_back_anchor(0);            /* file and anchor together: not to be seen, and documented so */
	assert_opening(NULL);
}

static void vault__another_history_of_the_same_length_is_forked(void **state)
{
	(void)state;
	save(0);
	change_times(1, "a");
	save(1);
	put_back_vault(0);
	put_back_anchor(0);
	change_times(1, "b");
	put_back_vault(1);
	assert_opening("forked");
}

static void vault__another_history_that_is_longer_is_forked(void **state)
{
	(void)state;
	save(0);
	change_times(5, "a");
	save(1);
	put_back_vault(0);
	put_back_anchor(0);
	change_times(2, "b");
	put_back_vault(1);
	assert_opening("forked");
}

static void vault__up_to_32_changes_ahead_of_its_anchor_opens_and_more_do_not(void **state)
{
	(void)state;
	uint8_t before[2 * ANCHOR_BLOCK], after[2 * ANCHOR_BLOCK];
	save(0);
	change_times(32, "a");
	put_back_anchor(0);
	assert_int_equal(file_bytes(anchor_path, before, sizeof before), sizeof before);
	assert_opening(NULL);
	assert_int_equal(file_bytes(anchor_path, after, sizeof after), sizeof after);
	assert_memory_equal(before, after, sizeof before); /* a reader never advances it */
	change_times(1, "b");                              /* a change does */
	save(1);
	assert_opening(NULL);
	put_back_anchor(0);
	assert_opening("anchor");
	put_back_anchor(1);
	assert_opening(NULL);
}

static void vault__without_an_anchor_is_refused(void **state)
{
	(void)state;
	uint8_t zeros[2 * ANCHOR_BLOCK] = { 0 };
	save(0);
	assert_int_equal(unlink(anchor_path), 0);
	assert_opening("anchor-missing");
	write_bytes(anchor_path, "", 0);
	assert_opening("anchor-missing");
	write_bytes(anchor_path, zeros, sizeof zeros);
	assert_opening("anchor-missing");
	memset(zeros, 0xff, sizeof zeros);
	write_bytes(anchor_path, zeros, sizeof zeros);
	assert_opening("anchor-missing");
	put_back_anchor(0);
	assert_opening(NULL);
}

static void vault__with_a_torn_anchor_block_opens_and_goes_on(void **state)
{
	(void)state;
	uint8_t blocks[2 * ANCHOR_BLOCK];
	struct error err;
	struct anchor found;
	unsigned newest;
	change_times(4, "a");
	save(0);
	sqlite3 *db = sql_open();
	struct keys *k = true_keys(db);
	sqlite3_close(db);
	struct anchor_file file = { .is_there = false };
	strcpy(file.path, anchor_path);
	assert_true(anchor_read(&file, &err) && anchor_prove(&file, k, &found, &newest));
	for (size_t torn_at = 0; torn_at < ANCHOR_BLOCK; torn_at += 51) {
		put_back_vault(0);
		memcpy(blocks, file.blocks, sizeof blocks);
		memset(blocks + newest * ANCHOR_BLOCK + torn_at, 0xee, ANCHOR_BLOCK - torn_at);
		write_bytes(anchor_path, blocks, sizeof blocks);
		assert_opening(NULL);
		change_times(1, "b");
		assert_opening(NULL);
	}
	put_back_vault(0);
	memset(blocks, 0xee, sizeof blocks);
	write_bytes(anchor_path, blocks, sizeof blocks);
	assert_opening("anchor-missing");
	keys_free(k);
}

/* Its key file opens it, its anchor would be another: this host remembers nothing of it. */
static void vault__another_vault_at_its_place_is_a_fork(void **state)
{
	(void)state;
	char first[PATH_MAX];
	struct error err;
	strcpy(first, vault_file);
	change_times(1, "a");
	set_place("elsewhere");
	assert_true(create_at(&place, &err));
	copy_file(vault_file, first);
	strcpy(vault_file, first);
	assert_opening("forked");
}

static void vault__moved_to_another_path_is_refused_until_adopted(void **state)
{
	(void)state;
	char first[PATH_MAX], first_anchor[PATH_MAX];
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, TOKEN);
	vault_close(v);
	strcpy(first, vault_file);
	strcpy(first_anchor, anchor_path);
	set_place("elsewhere");
	find_anchor();
	copy_file(first, vault_file);
	assert_opening("anchor-missing");
	sqlite3 *db = sql_open();
	struct root before = root_of(db);
	place.is_adopting = true;
	v = open_it();
	assert_true(vault_adopt(v, &err));
	assert_token(v, A, 0, TOKEN);
	put_label(v, A, "k=adopted");
	vault_close(v);
	place.is_adopting = false;
	assert_opening(NULL);
	struct root after = root_of(db);
	sqlite3_close(db);
	assert_memory_not_equal(before.lineage, after.lineage, 16);
	assert_memory_equal(before.vault_id, after.vault_id, VAULT_ID_LEN);
	assert_int_equal(after.generation, before.generation + 2);
	save(0);
	copy_file(first, vault_file); /* no copy of the old history is ever taken for it again */
	assert_opening("forked");
	strcpy(vault_file, first);
	strcpy(anchor_path, first_anchor);
	put_back_vault(0); /* nor is the new one where the old one is remembered */
	assert_opening("forked");
}

static void adopting__does_not_let_a_change_pass_without_an_anchor(void **state)
{
	(void)state;
	struct put_job job = { .pixel = A, .label = "k=v" };
	struct error err;
	assert_int_equal(unlink(anchor_path), 0);
	place.is_adopting = true;
	struct vault *v = open_it();
	assert_false(vault_change(v, put_one, &job, &err));
	assert_refused(&err, ERR_DAMAGED, "anchor-missing");
	assert_true(vault_adopt(v, &err));
	assert_true(vault_change(v, put_one, &job, &err));
	vault_close(v);
}

/* While it runs, what the process saw last counts too: file and anchor put back together are noticed. */
static void running__a_rollback_of_file_and_anchor_together_is_noticed(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct put_job job = { .pixel = A, .label = "k=late" };
	struct vault *v = open_it();
	put_token(v, A, TOKEN);
	copy_file(anchor_path, (snprintf(saved_anchor[0], PATH_MAX, "%s/a", scratch), saved_anchor[0]));
	sqlite3 *db = sql_open();
	struct rows old = rows_read(db);
	put_label(v, A, "k=new");
	rows_put_back(db, &old);
	put_back_anchor(0);
	assert_false(vault_find(v, A, false, &c, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
	bool changed = vault_change(v, put_one, &job, &err);
	rows_free(&old);
	sqlite3_close(db);
	vault_close(v);
	assert_false(changed);
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
}

static void running__a_fork_is_noticed(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct vault *v = open_it(), *w = open_it();
	put_token(v, A, TOKEN);
	copy_file(anchor_path, (snprintf(saved_anchor[0], PATH_MAX, "%s/a", scratch), saved_anchor[0]));
	sqlite3 *db = sql_open();
	struct rows old = rows_read(db);
	put_label(v, A, "k=one");
	rows_put_back(db, &old);
	put_back_anchor(0);
	put_label(w, A, "k=two"); /* a process that did not see "one" goes on */
	assert_false(vault_find(v, A, false, &c, &err));
	assert_refused(&err, ERR_DAMAGED, "forked");
	rows_free(&old);
	sqlite3_close(db);
	vault_close(v);
	vault_close(w);
}

static void running__more_than_32_changes_of_others_are_met(void **state)
{
	(void)state;
	struct vault *v = open_it();
	put_token(v, A, TOKEN);
	change_times(40, "a");
	assert_token(v, A, 0, TOKEN);
	put_label(v, A, "k=last");
	vault_close(v);
}

/* One who makes an anchor and is killed leaves a file beside it, and perhaps no other is ever made. */
static void change__takes_away_what_a_dead_maker_of_anchors_left(void **state)
{
	(void)state;
	char left[PATH_MAX + 64], others[PATH_MAX + 64];
	pid_t ended = fork();
	if (ended == 0)
		_exit(0);
	assert_int_equal(waitpid(ended, NULL, 0), ended);
	snprintf(left, sizeof left, "%s.new-%ld-01a46833", anchor_path, (long)ended);
	snprintf(others, sizeof others, "%s.new-%ld-01a46833", anchor_path, (long)getppid());
	copy_file(anchor_path, left);
	copy_file(anchor_path, others);
	struct vault *v = open_it();
	put_label(v, A, "k=v");
	vault_close(v);
	assert_int_not_equal(access(left, F_OK), 0);
	assert_int_equal(access(others, F_OK), 0);
}

static void change__keeps_the_anchor_at_the_generation_of_the_store(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = open_it();
	sqlite3 *db = sql_open();
	struct keys *k = true_keys(db);
	for (unsigned i = 0; i < 5; i++) {
		struct anchor_file file = { .is_there = false };
		struct anchor found;
		unsigned block;
		char label[16];
		snprintf(label, sizeof label, "k=%u", i);
		put_label(v, A, label);
		strcpy(file.path, anchor_path);
		assert_true(anchor_read(&file, &err) && anchor_prove(&file, k, &found, &block));
		struct root r = root_of(db);
		assert_int_equal(found.generation, r.generation);
		assert_int_equal(found.generation, vault_generation(v));
		assert_memory_equal(found.root_mac, r.mac, DIGEST_LEN);
		assert_memory_equal(found.lineage, r.lineage, 16);
	}
	keys_free(k);
	sqlite3_close(db);
	vault_close(v);
}

#define S(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)
#define V(f) cmocka_unit_test_setup_teardown(f, vault_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judge__every_distance_of_the_same_history),
		cmocka_unit_test(judge__another_mac_at_any_remembered_place_is_a_fork),
		cmocka_unit_test(judge__another_lineage_or_vault_is_a_fork_at_any_generation),
		cmocka_unit_test(judge__a_young_vault_has_a_past_of_zeros_that_nothing_matches),
		S(file__comes_back_as_it_was_and_advances_in_turn),
		S(file__missing_empty_or_short_proves_nothing_and_is_no_error),
		S(file__every_byte_changed_makes_its_block_worth_nothing),
		S(file__of_two_histories_the_one_that_is_asked_for_counts),
		S(file__gives_no_block_of_another_history_key_or_vault),
		S(file__made_by_an_independent_program_is_proven),
		S(file__what_is_not_a_plain_file_is_an_error_not_a_missing_anchor),
		cmocka_unit_test(place__depends_on_the_whole_path_of_the_vault),
		V(vault__and_anchor_as_they_were_left_open),
		V(vault__an_older_copy_is_rolled_back),
		V(vault__another_history_of_the_same_length_is_forked),
		V(vault__another_history_that_is_longer_is_forked),
		V(vault__up_to_32_changes_ahead_of_its_anchor_opens_and_more_do_not),
		V(vault__without_an_anchor_is_refused),
		V(vault__with_a_torn_anchor_block_opens_and_goes_on),
		V(vault__another_vault_at_its_place_is_a_fork),
		V(vault__moved_to_another_path_is_refused_until_adopted),
		V(adopting__does_not_let_a_change_pass_without_an_anchor),
		V(running__a_rollback_of_file_and_anchor_together_is_noticed),
		V(running__a_fork_is_noticed),
		V(running__more_than_32_changes_of_others_are_met),
		V(change__takes_away_what_a_dead_maker_of_anchors_left),
		V(change__keeps_the_anchor_at_the_generation_of_the_store),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
