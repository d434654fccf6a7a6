/* agent/messenger.h - the process that takes one alert to one sink: vault-agent started with a parcel
 * (agent/deliver_wire.h) on descriptor 3. It holds no key and no store, reads the sink and its secrets itself, and
 * before it meets a stranger's byte it is in the courier's sandbox, with the sink's port and no other. One that runs a
 * command is not: the command is the administrator's own (agent/hook.h). */
#ifndef AGENT_MESSENGER_H
#define AGENT_MESSENGER_H

/* config is --config or NULL. Returns the exit status. */
int messenger_main(const char *config);

#endif
