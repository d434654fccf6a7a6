#include "agent/metrics.h"

#include "core/file.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

void metrics_gauge(struct buf *out, const char *name, const char *help, int64_t value)
{
	buf_printf(out, "# HELP pixelvault_%s %s\n# TYPE pixelvault_%s gauge\npixelvault_%s %" PRId64 "\n", name, help,
		   name, name, value);
}

void metrics_print_sweep(const struct check_result *r, int64_t now, struct buf *out)
{
	metrics_gauge(out, "sweep_asked", "Questions TikTok was asked in the last sweep.", (int64_t)r->asked);
	metrics_gauge(out, "sweep_unjudged", "Pixels that were asked about in the last sweep and not judged.", (int64_t)r->transient);
	metrics_gauge(out, "sweep_exit_code", "Exit code of the last sweep, 0 when all is well.", (int64_t)r->exit);
	metrics_gauge(out, "sweep_timestamp_seconds", "When the last sweep ended, Unix time.", now);
}

static void print_verdicts(const char *name, const size_t verdicts[OUTCOME_COUNT], struct buf *out)
{
	for (enum verdict v = VERDICT_UNCHECKED; !verdict_is_transient(v); v++)
		buf_printf(out, "pixelvault_%s{verdict=\"%s\"} %zu\n", name, verdict_name(v), verdicts[v]);
}

bool metrics_count_list(void *lists, const struct credential *c, const struct health *h, struct error *err)
{
	struct metrics_lists *m = lists;
	const struct judgement *j = health_speaking(h, c);
	(void)err;
	m->count++;
	m->verdicts[j ? j->verdict : VERDICT_UNCHECKED]++;
	return true;
}

void metrics_print_lists(const struct metrics_lists *lists, struct buf *out)
{
	if (!lists->count)
		return;
	buf_append_text(out, "# HELP pixelvault_listings Listing tokens by the verdict on them.\n"
			     "# TYPE pixelvault_listings gauge\n");
	print_verdicts("listings", lists->verdicts, out);
}

void metrics_print_pixels(const size_t verdicts[OUTCOME_COUNT], size_t due, struct buf *out)
{
	buf_printf(out, "# HELP pixelvault_pixels Pixels by the verdict on their token.\n"
			"# TYPE pixelvault_pixels gauge\n");
	print_verdicts("pixels", verdicts, out);
	metrics_gauge(out, "pixels_due", "Pixels whose token is due for replacement soon.", (int64_t)due);
}

void metrics_print(const struct check_result *r, int64_t now, struct buf *out)
{
	metrics_print_pixels(r->verdicts, r->due, out);
	metrics_print_sweep(r, now, out);
}

bool metrics_write_to(const char *path, const struct check_result *result, int64_t now, struct bytes more,
		      struct error *err)
{
	struct buf text = BUF_INIT(2 * METRICS_MAX);
	metrics_print(result, now, &text);
	buf_append(&text, more.at, more.len);
	bool ok = buf_ok(&text, err) && file_replace(path, buf_bytes(&text), 0644, err);
	buf_done(&text);
	return ok;
}

bool metrics_write(const char *state_dir, const struct check_result *result, int64_t now, struct bytes more,
		   struct error *err)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/" METRICS_FILE, state_dir);
	return len > 0 && (size_t)len < sizeof path && metrics_write_to(path, result, now, more, err);
}
