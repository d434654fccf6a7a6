#include "cli/output.h"
#include "cli/source.h"
#include "cli/text.h"

#include <string.h>

/* It goes into the log as it came: plain text without blanks, as all that TikTok gives out. */
static bool check_request_id(const char *id, struct error *err)
{
	size_t len = id ? strlen(id) : 1;
	if (len == 0 || len > REQUEST_ID_MAX)
		return fail(err, ERR_USAGE, TXT_REPORT_REQUEST_ID);
	for (const char *p = id; p && *p; p++)
		if (*p <= ' ' || *p > '~')
			return fail(err, ERR_USAGE, TXT_REPORT_REQUEST_ID);
	return true;
}

bool cmd_report(struct invocation *inv, struct error *err)
{
	const struct given *code = option_find(inv, "code");
	struct report report = { .pixel = inv->args[0], .request_id = option_text(inv, "request-id") };
	struct json j = JSON_INIT(&inv->out);
	bool is_recent = false;
	if (!code)
		return fail(err, ERR_USAGE, TXT_REPORT_NO_CODE);
	report.code = (int32_t)code->number;
	if (!check_request_id(report.request_id, err) || !source_report(inv, &report, &is_recent, err))
		return false;
	if (!inv->globals.json) {
		say(inv, is_recent ? SAY_REPORT_RECENT : SAY_REPORT_STARTED, report.pixel, report.pixel);
		return true;
	}
	output_json_begin(&j);
	json_text(&j, "pixel", report.pixel);
	json_text(&j, "probe", is_recent ? "recent" : "started");
	output_json_end(inv, &j);
	return true;
}
