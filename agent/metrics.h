/* agent/metrics.h - the last sweep in numbers, for Prometheus' textfile collector.
 *
 * One file in the state folder, replaced whole after each sweep of all Pixels. Counts only: no Pixel code, label or
 * fingerprint leaves the vault this way. A timestamp that stops moving is the alarm that nothing is checked any more. */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "agent/service.h"

#define METRICS_FILE "metrics.prom"
#define METRICS_MAX 8192

/* One number without labels, with its head. */
void metrics_gauge(struct buf *out, const char *name, const char *help, int64_t value);
/* The verdict on a listing token is counted; a vault_each_fn. Without any, nothing is printed. */
struct metrics_lists {
	size_t verdicts[OUTCOME_COUNT], count;
};
must_check bool metrics_count_list(void *lists, const struct credential *c, const struct health *h, struct error *err);
void metrics_print_lists(const struct metrics_lists *lists, struct buf *out);
/* The two halves, for /metrics. */
void metrics_print_pixels(const size_t verdicts[OUTCOME_COUNT], size_t due, struct buf *out);
void metrics_print_sweep(const struct check_result *result, int64_t now, struct buf *out);

void metrics_print(const struct check_result *result, int64_t now, struct buf *out);
/* more: lines of others behind it. */
must_check bool metrics_write(const char *state_dir, const struct check_result *result, int64_t now, struct bytes more,
			      struct error *err);
must_check bool metrics_write_to(const char *path, const struct check_result *result, int64_t now, struct bytes more,
				 struct error *err);

#endif
