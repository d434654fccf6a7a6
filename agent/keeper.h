/* agent/keeper.h - the process that holds the key, the store and the socket; talks to nobody outside the machine.
 * Started by the supervisor alone (agent/supervisor.h). */
#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

/* config is --config or NULL. Returns the exit status. */
int keeper_main(const char *config);

#endif
