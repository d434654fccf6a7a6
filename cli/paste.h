/* cli/paste.h - a token as somebody gives it: not cleaned yet. */
#ifndef CLI_PASTE_H
#define CLI_PASTE_H

#include "core/secret.h"

/* All of fd, at most TOKEN_INPUT_MAX; ERR_MALFORMED when it is more. */
must_check bool paste_read(int fd, struct secret **ret, struct error *err);

#endif
