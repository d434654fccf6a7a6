/* cli/screen.h - the whole terminal for a picture that is drawn again and again: --watch.
 *
 * The picture has the terminal's second page, so that what stood there before comes back at the end, whichever way it
 * comes: a key, a signal, or an error. One at a time. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "core/buf.h"

enum screen_event {
	SCREEN_TIME,  /* nothing happened */
	SCREEN_DRAW,  /* another size, or we were stopped and go on */
	SCREEN_OTHER, /* other_fd has something to read */
	SCREEN_LEAVE, /* q, or a signal: screen_close says what becomes of it */
};

/* ERR_USAGE where stdout is no terminal that can do it, or there is no keyboard. */
must_check bool screen_open(struct error *err);
/* A signal that ended it ends the process now. */
void screen_close(void);

/* other_fd -1 = none. */
enum screen_event screen_wait(int other_fd, int64_t timeout_ms);

unsigned screen_height(void);
/* Lines with their ends, no more than fit; what stood there before is gone. */
void screen_draw(struct bytes lines);

#endif
