/* cli/import_words.h - what an import found and did, in words and as JSON. Never what stands in the file, but for names
 * of columns and Pixel codes that are some. */
#ifndef CLI_IMPORT_WORDS_H
#define CLI_IMPORT_WORDS_H

#include "agent/intake.h"
#include "agent/service.h"
#include "cli/command.h"

#include <sys/stat.h>

/* One import under way. */
struct import_work {
	struct invocation *inv;
	const char *path;
	bool is_dry_run, is_sealed, is_shredded;
	struct stat as_read;
	struct secret *file;
	struct sheet sheet;
	struct intake intake;
	struct import_row *rows; /* one for each entry of the intake */
	size_t count;
	struct import_result result;
};

/* Before anything is done. */
void import_show_columns(const struct import_work *w);
/* Rows of the file are wrong. */
must_check bool import_tell_wrong(const struct import_work *w, struct error *err);
/* What became of the rows, or why none is stored. */
must_check bool import_tell(const struct import_work *w, struct error *err);

#endif
