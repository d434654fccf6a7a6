/* agent/render.h - an alert message as the words each kind of sink takes. Pure: host and time come as arguments.
 *
 * What people typed (labels) stands in these texts, and each is escaped for where it goes: no label ends a header,
 * names a person in a chat, or begins a line of a log. */
#ifndef AGENT_RENDER_H
#define AGENT_RENDER_H

#include "agent/alert_message.h"
#include "core/buf.h"

#define RENDER_MAX (512u * 1024) /* nothing rendered is longer */
#define RENDER_ID_MAX 64

/* What names a message for good ("7Q2M-9FKD.3"): a message that is sent again after a doubtful end has the same. */
void render_id(const struct alert_message *m, char ret[RENDER_ID_MAX]);

/* One JSON object in one line; docs/protocol.md has its members. For webhooks and programs. */
void render_json(const struct alert_message *m, const char *host, struct buf *out);

/* {"text": ...} as Slack and those who copied it take it. */
void render_slack(const struct alert_message *m, const char *host, struct buf *out);

/* A whole mail, lines ended by CR LF. All messages about one cause refer to one id, so that they stand together. */
struct mail_ends {
	const char *from, *to; /* to: blank-separated */
};
void render_mail(const struct alert_message *m, const char *host, const struct mail_ends *ends, struct buf *out);

/* Lines for a log: the message, then one a Pixel. Each is ended by a line end, and begins with no blank. */
void render_log(const struct alert_message *m, struct buf *out);

#endif
