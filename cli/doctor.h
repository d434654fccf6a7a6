/* cli/doctor.h - the findings of `doctor`, and the parts of the body it looks at. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/command.h"
#include "core/json.h"

#include <sys/stat.h>

enum weight { FINE, NOTE, PROBLEM };

struct doctor {
	struct invocation *inv;
	struct settings *settings;
	struct json json;
	size_t problems;
};

/* One finding; fix NULL where there is nothing to do. A fix is printed as it is: where it can be, a command. */
void find(struct doctor *d, enum weight state, const char *about, const char *format, const char *fix, ...)
	__attribute__((format(printf, 4, 6)));
void find_error(struct doctor *d, const char *about, const struct error *err);
/* Open to others: the command that takes their rights away. */
void find_open(struct doctor *d, const char *about, const char *command, const char *path, const struct stat *st);

#define SMALL_FILE_MAX 4096
/* What /proc and /sys say; "" and false where they say nothing. */
bool read_small(const char *path, char ret[SMALL_FILE_MAX]);

void doctor_look_at_machine(struct doctor *d); /* swap, ptrace, time synchronisation */
void doctor_look_at_files(struct doctor *d);   /* what lies beside the vault, and in the state folder */
void doctor_look_at_backup(struct doctor *d);  /* when the last one was made */
void doctor_look_at_disks(struct doctor *d);   /* free space, and what kind of file system it is */
void doctor_look_at_plan(struct doctor *d);    /* breaker, and when TikTok was last asked */
void doctor_look_at_tiktok(struct doctor *d);  /* can it be reached, without a token */

#endif
