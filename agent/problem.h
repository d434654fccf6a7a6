/* agent/problem.h - what is wrong with one Pixel, as a sentence for cron mails, Nagios and terminals. Pure.
 *
 * `vault check` and `vault-agent --once` say it in the same words. */
#ifndef AGENT_PROBLEM_H
#define AGENT_PROBLEM_H

#include "agent/status.h"

/* False when this Pixel has nothing to say. asked_since: an attempt that came to nothing is a problem of this run when
 * it is not older. */
must_check bool problem_of(const struct status_row *row, int64_t asked_since, int64_t now, char *text, size_t size);

/* What to do about it. */
const char *problem_hint(const struct status_row *row);

bool problem_is_transient(const struct status_row *row, int64_t since);

/* The version that speaks for the Pixel: current, else pending, else NULL. */
const struct version *problem_version(const struct credential *c);

/* What is held true, in the fewest words: "healthy, due, v4 pending", "revoked", "healthy, perhaps expired". */
void problem_words(const struct status_row *row, char *text, size_t size);
/* "test 40105", "dry http 502", "-" when TikTok was never asked. j may be NULL. */
const char *problem_evidence(const struct judgement *j, char *text, size_t size);

/* "3d ago", "in 2h", "-" for never. */
const char *problem_ago(int64_t at, int64_t now, char *text, size_t size);

#endif
