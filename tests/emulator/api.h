/* tests/emulator/api.h - one request in, one answer out: routes, order of checks, event/track, the log line.
 * No sockets and no waiting here. Takes the world's lock itself. */
#ifndef EMULATOR_API_H
#define EMULATOR_API_H

#include <stdint.h>

#include "tests/emulator/http.h"
#include "tests/emulator/world.h"

enum { REQUEST_ID_MAX = 40 };

struct reply {
	struct answer answer;           /* status 0: close the connection without a word */
	bool is_spoilt;                 /* send `fault` instead of `answer` */
	struct fault_rule fault;
	long delay_ms;                  /* to wait before either */
	char request_id[REQUEST_ID_MAX];
};

void api_handle(struct world *w, const struct request *request, uint64_t connection, struct reply *ret);
void reply_done(struct reply *r);

#endif
