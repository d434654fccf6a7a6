/* vault/leftover.h - copies of a vault that somebody who was killed left half made: PATH.WORD-PID and what SQLite had
 * beside it. Sealed like the vault, but of use to nobody. */
#ifndef VAULT_LEFTOVER_H
#define VAULT_LEFTOVER_H

/* Takes away those whose process is gone and which nobody wrote to for ten minutes: a process of another machine or
 * container has a number that means nothing here. What cannot be looked at stays. */
void leftover_sweep(const char *path, const char *word);

#endif
