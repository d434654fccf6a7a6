#include "cli/output.h"
#include "cli/table.h"

#include <stdio.h>

static void print_json(struct invocation *inv)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_array(&j, "exit_codes");
	for (int code = ERR_NONE; code < ERR_COUNT; code++) {
		json_object(&j, NULL);
		json_int(&j, "exit", code);
		json_text(&j, "code", error_name((enum error_code)code));
		json_text(&j, "meaning", error_meaning((enum error_code)code));
		json_end_object(&j);
	}
	json_end_array(&j);
	output_json_end(inv, &j);
}

bool cmd_exit_codes(struct invocation *inv, struct error *err)
{
	scoped(table_done) struct table t;
	char number[16];
	table_init(&t, NULL, 3);
	if (inv->globals.json) {
		print_json(inv);
		return true;
	}
	for (int code = ERR_NONE; code < ERR_COUNT; code++) {
		snprintf(number, sizeof number, "%d", code);
		table_row(&t, 0);
		table_cell(&t, number, TINT_NONE);
		table_cell(&t, error_name((enum error_code)code), TINT_NONE);
		table_cell(&t, error_meaning((enum error_code)code), TINT_NONE);
	}
	return table_print(&t, false, 0, &inv->out, err);
}
