/* doctor: the machine, and the files that nobody looks at. */
#include "cli/doctor.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "vault/backup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SPACE_WANTED ((uint64_t)64 << 20) /* a log that cannot be written hands out no token */
#define FILES_WANTED 64
#define BACKUP_OLD_S ((int64_t)30 * 86400)
#define CIFS_MAGIC 0xff534d42
#define SMB2_MAGIC 0xfe534d42
#define NINEP_MAGIC 0x01021997

void find_open(struct doctor *d, const char *about, const char *command, const char *path, const struct stat *st)
{
	char fix[PATH_MAX + 32];
	snprintf(fix, sizeof fix, "%s '%s'", command, path);
	find(d, PROBLEM, about, DOC_OPEN, fix, path, (unsigned)st->st_mode & 07777);
}

/* ---- the machine ---- */

/* Of one line of /proc/swaps: memory itself, or what dm-crypt stands behind. */
static bool swap_is_safe(const char *line)
{
	char name[32], path[96], uuid[SMALL_FILE_MAX];
	if (strncmp(line, "/dev/zram", 9) == 0)
		return true;
	if (sscanf(line, "/dev/%31[a-z0-9-]", name) != 1)
		return false;
	snprintf(path, sizeof path, "/sys/block/%s/dm/uuid", name);
	return read_small(path, uuid) && strncmp(uuid, "CRYPT-", 6) == 0;
}

static void look_at_swap(struct doctor *d)
{
	char text[SMALL_FILE_MAX];
	bool is_safe = true;
	/* The first line names the columns. */
	const char *line = read_small("/proc/swaps", text) ? strchr(text, '\n') : NULL;
	if (!line || !line[1]) {
		find(d, FINE, "swap", "%s", NULL, "there is none");
		return;
	}
	for (; line && line[1]; line = strchr(line + 1, '\n'))
		is_safe = is_safe && swap_is_safe(line + 1);
	if (is_safe)
		find(d, FINE, "swap", "%s", NULL, "it is encrypted, or memory itself");
	else
		find(d, NOTE, "swap", DOC_SWAP);
}

static void look_at_ptrace(struct doctor *d)
{
	char text[SMALL_FILE_MAX];
	if (read_small("/proc/sys/kernel/yama/ptrace_scope", text) && text[0] == '0')
		find(d, NOTE, "ptrace", DOC_PTRACE);
	else
		find(d, FINE, "ptrace", "%s", NULL, "programs of one user cannot look into each other");
}

static void look_at_synchronisation(struct doctor *d)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);
	if (state == TIME_ERROR || t.status & STA_UNSYNC)
		find(d, NOTE, "time synchronisation", DOC_UNSYNCHRONISED);
	else
		find(d, FINE, "time synchronisation", "%s", NULL, "the clock is kept right");
}

void doctor_look_at_machine(struct doctor *d)
{
	look_at_swap(d);
	look_at_ptrace(d);
	look_at_synchronisation(d);
}

/* ---- files ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), tail = strlen(end);
	return len >= tail && strcmp(name + len - tail, end) == 0;
}

/* metrics.prom is for others to read; the rest is for us. */
static bool is_private(const char *name)
{
	static const char *const ends[] = { ".anchor", ".audit.log", ".lock", "-wal", "-shm" };
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

/* Returns how many are open to others. */
static size_t look_into(struct doctor *d, const char *about, const char *folder, const char *begin)
{
	DIR *open = opendir(folder);
	size_t found = 0;
	for (const struct dirent *e; open && (e = readdir(open));) {
		char path[PATH_MAX];
		struct stat st;
		int len = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (strncmp(e->d_name, begin, strlen(begin)) != 0 || len < 0 || (size_t)len >= sizeof path ||
		    lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		bool is_open =
			st.st_mode & (S_IWGRP | S_IWOTH) || (is_private(e->d_name) && st.st_mode & (S_IRWXG | S_IRWXO));
		if (is_open)
			find_open(d, about, is_private(e->d_name) ? "chmod 600" : "chmod go-w", path, &st);
		found += is_open;
	}
	if (open)
		closedir(open);
	return found;
}

void doctor_look_at_files(struct doctor *d)
{
	char folder[PATH_MAX], begin[PATH_MAX];
	struct error unused;
	const char *slash = strrchr(d->settings->vault_path, '/');
	if (!file_folder_of(d->settings->vault_path, folder, sizeof folder, &unused))
		return;
	/* Of the vault's folder only what is the vault's: vault.db-wal, vault.db.lock. */
	snprintf(begin, sizeof begin, "%s", slash ? slash + 1 : d->settings->vault_path);
	size_t len = strlen(begin);
	size_t found = look_into(d, "state file", d->settings->state_dir, "");
	if (len + 1 < sizeof begin) {
		static const char joints[] = "-.";
		for (const char *joint = joints; *joint; joint++) {
			begin[len] = *joint;
			begin[len + 1] = '\0';
			found += look_into(d, "vault's file", folder, begin);
		}
	}
	if (!found)
		find(d, FINE, "files", "%s", NULL, "those of vault and state folder are closed to others");
}

/* A vault that is not there has nothing to lose; that is a finding of its own. */
void doctor_look_at_backup(struct doctor *d)
{
	const struct settings *s = d->settings;
	struct vault_place place = { .path = s->vault_path, .state_dir = s->state_dir };
	struct backup_note note;
	char span[CLOCK_TEXT_MAX], at[CLOCK_TEXT_MAX];
	if (access(s->vault_path, F_OK) != 0)
		return;
	if (!vault_last_backup(&place, &note)) {
		find(d, NOTE, "last backup", DOC_NO_BACKUP);
		return;
	}
	int64_t age_s = clock_wall() - note.at;
	clock_format_span(age_s > 0 ? age_s : 0, span);
	if (age_s > BACKUP_OLD_S)
		find(d, NOTE, "last backup", DOC_BACKUP_OLD, span, clock_format(note.at, at));
	else if (!note.checkpoint[0])
		find(d, NOTE, "last backup", DOC_BACKUP_UNPROVEN, span);
	else
		find(d, FINE, "last backup", "%s ago, checkpoint %s", NULL, span, note.checkpoint);
}

/* ---- disks ---- */

static const char *network_name(long type)
{
	switch ((unsigned long)type & 0xffffffffu) {
	case NFS_SUPER_MAGIC:
		return "NFS";
	case CIFS_MAGIC:
	case SMB2_MAGIC:
	case SMB_SUPER_MAGIC:
		return "SMB";
	case NINEP_MAGIC:
		return "9p";
	case FUSE_SUPER_MAGIC:
		return "FUSE";
	case CEPH_SUPER_MAGIC:
		return "Ceph";
	default:
		return NULL;
	}
}

static void look_at_kind(struct doctor *d, const char *about, const char *folder)
{
	struct statfs fs;
	if (statfs(folder, &fs) != 0)
		return;
	const char *network = network_name((long)fs.f_type);
	if (network)
		find(d, PROBLEM, about, DOC_NETWORK, folder, network);
	else if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		find(d, PROBLEM, about, DOC_TMPFS, folder);
	else
		find(d, FINE, about, "%s is on a disk of this machine", NULL, folder);
}

static void look_at_space(struct doctor *d, const char *about, const char *folder)
{
	struct statvfs fs;
	if (statvfs(folder, &fs) != 0)
		return;
	uint64_t space = (uint64_t)fs.f_bavail * fs.f_frsize;
	char fix[PATH_MAX + 64];
	snprintf(fix, sizeof fix, "df -h '%s'; df -i '%s'", folder, folder);
	if (fs.f_flag & ST_RDONLY)
		find(d, PROBLEM, about, DOC_READ_ONLY, folder);
	else if (space < SPACE_WANTED)
		find(d, PROBLEM, about, DOC_FULL, fix, (unsigned long long)(space >> 20), folder);
	else if (fs.f_files && fs.f_favail < FILES_WANTED)
		find(d, PROBLEM, about, DOC_NO_INODES, fix, folder);
	else
		find(d, FINE, about, "%llu MiB are free for '%s'", NULL, (unsigned long long)(space >> 20), folder);
}

void doctor_look_at_disks(struct doctor *d)
{
	char folder[PATH_MAX];
	struct error unused;
	if (file_folder_of(d->settings->vault_path, folder, sizeof folder, &unused)) {
		look_at_kind(d, "file system of the vault", folder);
		look_at_space(d, "space for the vault", folder);
	}
	look_at_kind(d, "file system of the state folder", d->settings->state_dir);
	look_at_space(d, "space for the audit log", d->settings->state_dir);
}
