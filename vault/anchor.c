#include "vault/anchor.h"

#include "core/clock.h"
#include "core/file.h"
#include "core/fresh.h"
#include "vault/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "pxanchr\n"
#define MAC_AT (ANCHOR_BLOCK - DIGEST_LEN)

bool anchor_place(const char *state_dir, const char *vault_path, struct anchor_file *ret, struct error *err)
{
	uint8_t hash[16];
	char hex[17];
	const char *slash = strrchr(vault_path, '/');
	crypto_generichash(hash, sizeof hash, (const uint8_t *)vault_path, strlen(vault_path), NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, 8);
	int len = snprintf(ret->path, sizeof ret->path, "%s/%.64s-%s.anchor", state_dir, slash ? slash + 1 : vault_path,
			   hex);
	ret->is_there = false;
	if (len < 0 || (size_t)len >= sizeof ret->path)
		return fail(err, ERR_CONFIG, "the state folder's path is too long", "use a shorter path");
	return true;
}

static bool read_blocks(struct anchor_file *file, int fd, struct error *err)
{
	file->is_there = false;
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0)
		return fail(err, ERR_STORAGE, TXT_ANCHOR_UNREADABLE, file->path, strerror(errno));
	ssize_t got = TEMP_FAILURE_RETRY(pread(fd, file->blocks, sizeof file->blocks, 0));
	if (got < 0)
		return fail(err, ERR_STORAGE, "the anchor '%s' cannot be read: %s", "check the disk", file->path,
			    strerror(errno));
	memset((uint8_t *)file->blocks + got, 0, sizeof file->blocks - (size_t)got);
	file->is_there = got > 0;
	return true;
}

static int open_file(const struct anchor_file *file, int flags)
{
	return open(file->path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

bool anchor_read(struct anchor_file *file, struct error *err)
{
	scoped(file_closep) int fd = open_file(file, O_RDONLY);
	return read_blocks(file, fd, err);
}

static bool is_in_place(const struct anchor_file *file)
{
	struct stat st;
	return lstat(file->path, &st) == 0 && st.st_dev == file->opened.st_dev && st.st_ino == file->opened.st_ino;
}

bool anchor_hold(struct anchor_file *file, struct error *err)
{
	if (file->is_open && is_in_place(file))
		return read_blocks(file, file->fd, err);
	anchor_let_go(file);
	file->fd = open_file(file, O_RDWR);
	if (file->fd < 0)
		return anchor_read(file, err);
	file->is_open = true;
	fresh_sweep(file->path, "new"); /* of an adopt that was killed: no other may ever come */
	if (fstat(file->fd, &file->opened) != 0)
		return fail(err, ERR_STORAGE, TXT_ANCHOR_UNREADABLE, file->path, strerror(errno));
	return read_blocks(file, file->fd, err);
}

void anchor_let_go(struct anchor_file *file)
{
	if (file->is_open)
		close(file->fd);
	file->is_open = false;
}

static bool take_fields(struct bytes from, struct anchor *ret)
{
	uint8_t magic[8];
	uint32_t format;
	return bytes_take_copy(&from, magic, 8) && memcmp(magic, MAGIC, 8) == 0 && bytes_take_u32(&from, &format) &&
	       format == FORMAT_VERSION && bytes_take_copy(&from, ret->vault_id, VAULT_ID_LEN) &&
	       bytes_take_copy(&from, ret->lineage, 16) && bytes_take_u32(&from, &ret->epoch) &&
	       bytes_take_u64(&from, &ret->generation) && bytes_take_copy(&from, ret->root_mac, DIGEST_LEN) &&
	       bytes_take_u64(&from, &ret->audit_sequence) && bytes_take_copy(&from, ret->audit_head, DIGEST_LEN) &&
	       bytes_take_i64(&from, &ret->wall_clock);
}

static bool decode(const uint8_t block[ANCHOR_BLOCK], const struct keys *keys, struct anchor *ret)
{
	uint8_t mac[DIGEST_LEN];
	struct bytes from = bytes_of(block, MAC_AT);
	keys_mac(keys, KEY_ANCHOR, "pxanch01", from, bytes_of("", 0), mac);
	if (sodium_memcmp(mac, block + MAC_AT, DIGEST_LEN) != 0)
		return false;
	return take_fields(from, ret);
}

static bool encode(const struct anchor *a, const struct keys *keys, uint8_t ret[ANCHOR_BLOCK], struct error *err)
{
	struct buf b = BUF_INIT(ANCHOR_BLOCK);
	buf_append(&b, MAGIC, 8);
	buf_append_uint(&b, 4, FORMAT_VERSION);
	buf_append(&b, a->vault_id, VAULT_ID_LEN);
	buf_append(&b, a->lineage, 16);
	buf_append_uint(&b, 4, a->epoch);
	buf_append_uint(&b, 8, a->generation);
	buf_append(&b, a->root_mac, DIGEST_LEN);
	buf_append_uint(&b, 8, a->audit_sequence);
	buf_append(&b, a->audit_head, DIGEST_LEN);
	buf_append_uint(&b, 8, (uint64_t)a->wall_clock);
	buf_append_zeros(&b, MAC_AT - b.len);
	bool ok = buf_ok(&b, err);
	if (ok) {
		memcpy(ret, b.at, MAC_AT);
		keys_mac(keys, KEY_ANCHOR, "pxanch01", buf_bytes(&b), bytes_of("", 0), ret + MAC_AT);
	}
	buf_done(&b);
	return ok;
}

int64_t anchor_glance_at_clock(const struct anchor_file *file)
{
	int64_t latest = 0;
	for (unsigned i = 0; file->is_there && i < 2; i++) {
		struct anchor a;
		if (take_fields(bytes_of(file->blocks[i], MAC_AT), &a) && a.wall_clock > latest)
			latest = a.wall_clock;
	}
	return latest;
}

bool anchor_is_of_later_epoch(const struct anchor_file *file, const uint8_t vault_id[VAULT_ID_LEN], uint32_t epoch)
{
	for (unsigned i = 0; file->is_there && i < 2; i++) {
		struct anchor a;
		if (take_fields(bytes_of(file->blocks[i], MAC_AT), &a) && a.epoch > epoch &&
		    memcmp(a.vault_id, vault_id, VAULT_ID_LEN) == 0)
			return true;
	}
	return false;
}

bool anchor_is_of_another_vault(const struct anchor_file *file, const uint8_t vault_id[VAULT_ID_LEN])
{
	bool is_other = false;
	for (unsigned i = 0; file->is_there && i < 2; i++) {
		struct anchor a;
		if (!take_fields(bytes_of(file->blocks[i], MAC_AT), &a))
			continue;
		if (memcmp(a.vault_id, vault_id, VAULT_ID_LEN) == 0)
			return false;
		is_other = true;
	}
	return is_other;
}

/* Of one generation the block that remembers more of the audit log is the newer one. */
static bool is_older(const struct anchor *a, const struct anchor *b)
{
	return a->generation != b->generation ? a->generation < b->generation : a->audit_sequence < b->audit_sequence;
}

static bool is_better(const struct anchor *a, const struct anchor *b, const uint8_t *lineage)
{
	bool is_of = lineage && memcmp(a->lineage, lineage, sizeof a->lineage) == 0;
	bool is_other_of = lineage && memcmp(b->lineage, lineage, sizeof b->lineage) == 0;
	return is_of != is_other_of ? is_of : !is_older(a, b);
}

static bool prove(const struct anchor_file *file, const struct keys *keys, const uint8_t *lineage, struct anchor *ret,
		  unsigned *ret_block)
{
	struct anchor found[2] = { 0 };
	bool is_valid[2];
	if (!file->is_there)
		return false;
	for (unsigned i = 0; i < 2; i++)
		is_valid[i] = decode(file->blocks[i], keys, &found[i]);
	if (!is_valid[0] && !is_valid[1])
		return false;
	unsigned best = is_valid[0] && (!is_valid[1] || is_better(&found[0], &found[1], lineage)) ? 0 : 1;
	*ret = found[best];
	*ret_block = best;
	return true;
}

bool anchor_prove(const struct anchor_file *file, const struct keys *keys, struct anchor *ret, unsigned *ret_block)
{
	return prove(file, keys, NULL, ret, ret_block);
}

bool anchor_prove_for(const struct anchor_file *file, const struct keys *keys, const uint8_t lineage[16],
		      struct anchor *ret, unsigned *ret_block)
{
	return prove(file, keys, lineage, ret, ret_block);
}

const uint8_t *anchor_block_of(const struct anchor_file *file, const struct root *root)
{
	const uint8_t *found = NULL;
	struct anchor best = { 0 };
	for (unsigned i = 0; file->is_there && i < 2; i++) {
		struct anchor a;
		if (!take_fields(bytes_of(file->blocks[i], MAC_AT), &a) || a.epoch != root->epoch ||
		    memcmp(a.vault_id, root->vault_id, VAULT_ID_LEN) != 0 ||
		    memcmp(a.lineage, root->lineage, sizeof a.lineage) != 0 || (found && is_older(&a, &best)))
			continue;
		best = a;
		found = file->blocks[i];
	}
	return found;
}

bool anchor_create(const struct anchor_file *file, const struct keys *keys, const struct anchor *a, struct error *err)
{
	static const uint8_t nothing[ANCHOR_BLOCK];
	return anchor_create_beside(file, keys, a, nothing, err);
}

bool anchor_create_beside(const struct anchor_file *file, const struct keys *keys, const struct anchor *a,
			  const uint8_t kept[ANCHOR_BLOCK], struct error *err)
{
	uint8_t blocks[2][ANCHOR_BLOCK];
	memcpy(blocks[1], kept, ANCHOR_BLOCK);
	return encode(a, keys, blocks[0], err) && file_replace(file->path, bytes_of(blocks, sizeof blocks), 0600, err);
}

bool anchor_advance(struct anchor_file *file, const struct keys *keys, const struct anchor *a, unsigned valid_block,
		    struct error *err)
{
	unsigned other = 1 - valid_block;
	if (!encode(a, keys, file->blocks[other], err))
		return false;
	scoped(file_closep) int own = file->is_open ? -1 : open_file(file, O_WRONLY);
	int fd = file->is_open ? file->fd : own;
	off_t at = (off_t)other * ANCHOR_BLOCK;
	ssize_t put = fd < 0 ? -1 : TEMP_FAILURE_RETRY(pwrite(fd, file->blocks[other], ANCHOR_BLOCK, at));
	if (put != ANCHOR_BLOCK || fdatasync(fd) != 0)
		return fail(err, ERR_STORAGE, TXT_ANCHOR_UNWRITABLE, file->path,
			    strerror(put >= 0 && put < ANCHOR_BLOCK ? ENOSPC : errno));
	return true;
}

enum descent anchor_judge(const struct anchor *remembered, const struct root *now)
{
	if (memcmp(remembered->vault_id, now->vault_id, VAULT_ID_LEN) != 0 ||
	    memcmp(remembered->lineage, now->lineage, 16) != 0)
		return DESCENT_FORKED;
	if (now->generation < remembered->generation)
		return DESCENT_OLDER;
	if (now->generation == remembered->generation)
		return sodium_memcmp(now->mac, remembered->root_mac, DIGEST_LEN) == 0 ? DESCENT_SAME : DESCENT_FORKED;
	uint64_t back = now->generation - remembered->generation;
	if (back > ROOT_PAST)
		return DESCENT_TOO_FAR;
	return sodium_memcmp(now->past[back - 1], remembered->root_mac, DIGEST_LEN) == 0 ? DESCENT_NEWER
											 : DESCENT_FORKED;
}
