/* agent/plan.h - which Pixels are due when, for the worker of a long-lived agent. Pure: the time comes in as an argument.
 *
 * When a Pixel is due is decided where its health is written (agent/ruling.h) and stored with it, in wall time; here it is
 * remembered in boot time, and never further off than one interval. So a restart changes nothing, a wall clock that jumps
 * neither stops the checks nor makes a storm of them, and a machine that slept asks in the order of what is due, at the
 * configured rate. */
#ifndef AGENT_PLAN_H
#define AGENT_PLAN_H

#include "vault/vault.h"

struct plan;
must_check bool plan_new(struct plan **ret, struct error *err);
void plan_free(struct plan *p);
void plan_clear(struct plan *p);

/* What is known of a Pixel now. One that was never planned is due within the interval, at its own moment. */
struct settings;
must_check bool plan_note(struct plan *p, const struct credential *c, const struct health *h,
			  const struct settings *settings, int64_t now, int64_t now_ms, struct error *err);
/* The same for one of which only the id is known: is says which it is. */
void plan_forget_one(struct plan *p, bool (*is)(void *context, const char *pixel), void *context);
void plan_forget(struct plan *p, const char *pixel);

/* When this one is due, in boot time; false: never. */
bool plan_look(const struct plan *p, const char *pixel, int64_t *ret_at_ms);

/* When the next one is due, in boot time; INT64_MAX = never. */
int64_t plan_next_ms(struct plan *p);

/* At most max Pixels that are due, the longest overdue first. Where one of them is under suspicion, up to PLAN_CONTROLS
 * that work are put behind them: should these be refused too, it is TikTok's trouble. Returns how many. */
#define PLAN_CONTROLS 4
size_t plan_due(struct plan *p, int64_t now_ms, const char **ret, size_t max);

/* Puts up to max - count more behind the count in ret, that work and are none of them: first such as nothing was said
 * against, then such as were refused once. Returns how many there are then. */
size_t plan_controls(struct plan *p, const char **ret, size_t count, size_t max);

/* They were taken up; due again not before `not_before_ms`, whatever becomes of the sweep. */
void plan_postpone(struct plan *p, const char *const *pixels, size_t count, int64_t not_before_ms);

#endif
