/* agent/sweep_note.h - when all Pixels were last asked about, by whomever: a cron job that does not run any more is
 * noticed at the next use of the command line. */
#ifndef AGENT_SWEEP_NOTE_H
#define AGENT_SWEEP_NOTE_H

#include "vault/vault.h"

must_check bool sweep_note_done(struct vault *v, int64_t now, struct error *err);
/* 0 = it is not known. */
must_check bool sweep_note_last(struct vault *v, int64_t *ret, struct error *err);
/* Was one missed? Only when another one should have been over by now. */
bool sweep_is_missed(int64_t last, int64_t interval_s, int64_t now);

#endif
