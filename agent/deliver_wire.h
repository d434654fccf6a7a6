/* agent/deliver_wire.h - what is said to a messenger, and what it says. Structs as they lie in memory, as in
 * agent/courier_wire.h; one parcel in, one receipt out, on descriptor 3.
 *
 * The parcel names a sink and says nothing else of where to go: address, command and secrets the messenger reads in the
 * configuration. */
#ifndef AGENT_DELIVER_WIRE_H
#define AGENT_DELIVER_WIRE_H

#include "agent/deliver.h"

#define PARCEL_VERSION (0x706d0000u ^ (uint32_t)sizeof(struct alert_message))
#define MESSENGER_FD 3
/* A messenger ends by itself when its sink's time is over; one that has not done so this much later is ended. */
#define MESSENGER_GUARD_S 5

struct parcel {
	uint32_t version, has_message;
	int32_t type; /* enum sink_type */
	uint32_t zero;
	char sink[SINK_NAME_MAX + 1];
	struct alert_message message;
};

struct receipt {
	uint32_t version;
	int32_t outcome; /* enum delivery_outcome */
	int64_t retry_after_s;
	char reason[DELIVERY_REASON_MAX + 1];
};

#endif
