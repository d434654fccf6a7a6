/* cli/select.h - which Pixels a command speaks of: those named, or all, as far as they carry every label of -l. */
#ifndef CLI_SELECT_H
#define CLI_SELECT_H

#include "cli/command.h"

struct selection {
	const char *const *pixels; /* as the arguments name them, without repetitions; count 0 = all */
	size_t pixel_count;
	struct label labels[LABELS_MAX];
	size_t label_count;
};

/* Arguments and -l of the command line. Repetitions are taken out of inv->args. */
must_check bool select_read(struct invocation *inv, struct selection *ret, struct error *err);

/* ERR_NOT_FOUND for a named Pixel that is not stored. The callback must not call back into the vault. */
must_check bool select_each(struct invocation *inv, const struct selection *which, bool with_health, vault_each_fn *fn,
			    void *context, struct error *err);

/* "shop=berlin owner=ann": all labels as one cell. */
#define LABEL_WORDS_MAX (LABELS_MAX * (LABEL_KEY_MAX + LABEL_VALUE_MAX + 2) + 1)
void select_label_words(const struct credential *c, char ret[LABEL_WORDS_MAX]);

#endif
