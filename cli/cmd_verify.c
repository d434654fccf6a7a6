#include "agent/objects.h"
#include "cli/output.h"
#include "cli/source.h"

#include <inttypes.h>

static void say_fault(void *context, const char *sentence)
{
	struct invocation *inv = context;
	say_problem(inv, NULL, "%s", sentence);
}

static void print_json(struct invocation *inv, const struct verify_report *r)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	verify_json(&j, r);
	output_json_end(inv, &j);
}

bool cmd_verify(struct invocation *inv, struct error *err)
{
	struct verify_report report = { .faults = 0 };
	if (!source_verify(inv, say_fault, inv, &report, err))
		return false;
	if (inv->globals.json) {
		print_json(inv, &report);
		return true;
	}
	if (!inv->globals.quiet)
		buf_printf(&inv->out,
			   "proven: %" PRIu64 " Pixels, %" PRIu64 " tokens, %" PRIu64 " nodes, %" PRIu64
			   " disposable records, at generation %" PRIu64 "\n",
			   report.pixels, report.tokens, report.nodes, report.disposable, report.generation);
	return true;
}
