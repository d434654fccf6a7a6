/* tests/emulator/fault.h - the ways an answer can be spoilt, one row each; --help prints the rows.
 * A fault with a `code` is an ordinary JSON answer (api.c makes it); one with only a `body` is sent as it stands;
 * one with `send` does its own talking. Unless the rule says work=yes the request has no effect in the world. */
#ifndef EMULATOR_FAULT_H
#define EMULATOR_FAULT_H

#include <stdbool.h>

#include "tests/emulator/http.h"

struct fault_talk {
	struct stream *stream;
	const struct fault_row *row;
	const char *logid;          /* also the request_id */
	const char *token;          /* what the client sent; "" = nothing */
	const char *other_base_url;
	bool *keep_alive;           /* may be cleared */
};

struct fault_row {
	const char *name, *help;
	int status;                 /* for the log and for `body`; 0 = none */
	int code;                   /* -1 = not an answer with a return code */
	bool at_connect;            /* also works on a new connection, before any request */
	const char *type, *body;    /* {id} becomes the request id */
	bool (*send)(struct fault_talk *talk); /* false = close the connection */
};

extern const struct fault_row fault_rows[]; /* ends with a row whose name is NULL */

/* The row for a name, "code-NNNNN" included (ret_code); NULL = no such fault. */
const struct fault_row *fault_find(const char *name, int *ret_code);

/* Send the spoilt answer; false = close the connection. */
bool fault_send(struct fault_talk *talk);

#endif
