/* agent/consumer.h - how a consumer that names itself nowhere is remembered: by its user and its systemd service.
 *
 *     uid:1001
 *     unit:shop.service@uid:1001
 *
 * consumer_name_check refuses both to whoever chooses a name, so that nobody passes for another. What the user chose is
 * only the unit's name, and the user stands behind it. A service is recognised when it comes again; a scope is not, as
 * each login and each container has a new one: its processes are known by their user. */
#ifndef AGENT_CONSUMER_H
#define AGENT_CONSUMER_H

#include "core/bytes.h"
#include "vault/credential.h"

#include <sys/types.h>

/* The innermost service in a text such as /proc/PID/cgroup holds, "user@1000.service" left out. False: there is none.
 */
#define CONSUMER_UNIT_MAX 255
must_check bool consumer_find_unit(struct bytes cgroup, char ret[CONSUMER_UNIT_MAX + 1]);

/* unit "" = none. A unit whose name is too long, or has other characters than a consumer's name, is cut and changed,
 * and told from its like by a hash at its end: "unit:a-long-na..5f0c1a2b@uid:1001". */
void consumer_name(uid_t uid, const char *unit, char ret[CONSUMER_NAME_MAX + 1]);

/* The same for a process that runs, which is looked up in /proc. Where that shows nothing of it, as with
 * ProtectProc=invisible or when it is not of our PID namespace (0), its unit is not known. */
void consumer_name_of(uid_t uid, pid_t pid, char ret[CONSUMER_NAME_MAX + 1]);

#endif
