/* cli/board.h - the board of status and check: a row a Pixel, for people, for scripts, for cron and for Nagios. */
#ifndef CLI_BOARD_H
#define CLI_BOARD_H

#include "cli/select.h"

enum board_face {
	BOARD_TABLE,   /* columns, what needs a person first; then what to do about it */
	BOARD_JSON,    /* the object of `status`, sorted by code */
	BOARD_PROBLEM, /* on stderr, also with -q: a line for each Pixel with a problem, and what to do */
	BOARD_NAGIOS,  /* a line for each Pixel that is not healthy */
	BOARD_PAGE,    /* agent/page.h */
};

struct board_request {
	enum board_face face;
	int64_t asked_since; /* an attempt that came to nothing is a problem of this run when it is not older */
	int exit_member;     /* BOARD_JSON: "exit"; -1 = there is none */
	bool is_silent;      /* nothing on stderr */
};

/* Read the Pixels selected, in one pass, and append this face of them to inv->out. */
must_check bool board_show(struct invocation *inv, const struct selection *which, const struct board_request *request,
			   size_t *ret_pixels, struct error *err);

#endif
