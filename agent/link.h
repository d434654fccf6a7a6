/* agent/link.h - what supervisor and keeper say to each other: fixed-size messages on a SOCK_SEQPACKET pair, each with
 * at most one descriptor. This is the only place where a process of ours accepts a descriptor. */
#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include "core/error.h"

#include <stdint.h>

#define LINK_FD 3 /* the keeper's end, as it is started */
#define LINK_TEXT_MAX 240

enum link_kind {
	/* supervisor to keeper */
	LINK_COURIER = 1, /* with a descriptor: the keeper's end of a stream socketpair to a fresh courier */
	LINK_SOCKET, /* with a descriptor: a listening socket from systemd; text is its name: agent or
		      * credentials; or board: ours, of status-listen */
	LINK_ACCOUNTS, /* with a descriptor: a file that says what the names in the rules mean; see agent/accounts.h */
	LINK_GO,     /* everything was passed */
	LINK_RELOAD, /* SIGHUP; LINK_ACCOUNTS came before it */
	LINK_STOP,   /* SIGTERM, SIGINT */
	/* keeper to supervisor */
	LINK_READY,  /* text is the status line; also the answer to each LINK_RELOAD, carried out or refused */
	LINK_STATUS, /* text is a new status line */
	LINK_ALIVE,  /* the keeper's loop turns: at least every second */
	LINK_HANGS,  /* the courier does not answer in time: kill it and pass another */
	/* with a descriptor: start a messenger (agent/deliver.h) on it. What it carries names the sink, and where that is
	   and which command it runs the messenger reads in the configuration. */
	LINK_MESSENGER,
	LINK_KIND_COUNT
};

struct link_message {
	uint32_t version, kind;
	char text[LINK_TEXT_MAX];
};

/* fd -1 = none; LINK_COURIER, LINK_SOCKET, LINK_ACCOUNTS and LINK_MESSENGER carry one, no other kind does. Longer text is cut. False when the other
 * side is gone or does not read. */
must_check bool link_send(int link, enum link_kind kind, const char *text, int fd);

enum link_got { LINK_GOT_MESSAGE, LINK_GOT_NOTHING, LINK_GOT_END };
/* Without waiting. *ret_fd is -1 or the caller's to close. A message of another version or shape is LINK_GOT_END,
 * and every descriptor that came with it is closed. */
enum link_got link_receive(int link, struct link_message *ret, int *ret_fd);

#endif
