/* cli/private_file.h - a file for one reader: 0400, its owner's from before the first byte is in it, put in place whole
 * and durable, and left alone when it holds already what it shall. What goes into it comes piece by piece, twice at most. */
#ifndef CLI_PRIVATE_FILE_H
#define CLI_PRIVATE_FILE_H

#include "core/bytes.h"
#include "core/error.h"

#include <sys/types.h>

typedef bool piece_fn(void *sink, struct bytes piece, struct error *err);
/* Gives every piece in its order; the same each time it is called. */
typedef bool pieces_fn(void *context, piece_fn *take, void *sink, struct error *err);

/* uid, gid: -1 = ours. ERR_DENIED when we may not give a file to them; ERR_USAGE when path is no plain file. */
must_check bool private_file_put(const char *path, uid_t uid, gid_t gid, pieces_fn *pieces, void *context,
				 bool *ret_changed, struct error *err);

/* "user", "user:group", ":group"; names or numbers. ERR_USAGE. Without a group it is the user's own. */
must_check bool private_file_owner(const char *text, uid_t *ret_uid, gid_t *ret_gid, struct error *err);

#endif
