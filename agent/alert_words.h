/* agent/alert_words.h - a cause as people read it: title, advice, and the Pixels of it. Pure. */
#ifndef AGENT_ALERT_WORDS_H
#define AGENT_ALERT_WORDS_H

#include "agent/alert.h"
#include "agent/deliver.h"
#include "core/json.h"

/* All but the entries. now: when it is written. */
void alert_words(const struct cause *c, enum alert_event event, uint32_t number, int64_t now,
		 struct alert_message *ret);
/* One Pixel more; row's credential and health as they are now. */
struct status_row;
void alert_words_entry(const struct status_row *row, const struct member *m, enum alert_event event,
		       struct alert_message *ret);
void alert_words_test(const char *sink, int64_t now, struct alert_message *ret);
/* The members of what `alert ack` and `alert test` answer. */
void alert_ack_json(struct json *j, const char *id, int64_t for_s);
void alert_test_json(struct json *j, const char *sink, const struct delivery_result *r);
/* Does it concern Pixels, or all of them and none? */
bool cause_has_pixels(const struct cause *c);

#endif
