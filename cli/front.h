/* cli/front.h - get and run through an agent: all that cli/main.c does by itself. The whole program, which also works
 * on a vault of its own, stands on the same functions. */
#ifndef CLI_FRONT_H
#define CLI_FRONT_H

#include "cli/handout.h"

/* The options of `get` as a request. */
struct handout_request get_request(const struct invocation *inv);
/* The token itself to stdout; a line end follows on a terminal. */
must_check bool get_print(struct invocation *inv, const struct secret *token, struct error *err);
/* All of `get`. */
must_check bool get_fetch(struct invocation *inv, struct error *err);

#define BINDING_NAME_ROOM 128

/* One variable of the child: "NAME=token" in locked memory, or "NAME=/proc/self/fd/N". */
struct binding {
	char name[BINDING_NAME_ROOM];
	struct secret *line;
	int fd; /* -1: the token itself is in line */
};

struct bindings {
	struct binding *at;
	size_t count;
};

typedef bool token_fn(struct invocation *inv, const struct handout_request *request, struct secret **ret,
		      struct error *err);

/* Each --env and --file of `run` with its token, as take_token finds it; bindings_done whatever happened. */
must_check bool run_bind(struct invocation *inv, token_fn *take_token, struct bindings *ret, struct error *err);
void bindings_done(struct bindings *b);
/* A token_fn that asks the agent. */
must_check bool run_fetch(struct invocation *inv, const struct handout_request *request, struct secret **ret,
			  struct error *err);
/* This process becomes the command; comes back only when that failed. */
must_check bool run_become(struct invocation *inv, const struct bindings *bound, struct error *err);

#endif
