/* alert: what stands open, somebody sees to it, does a sink take what it is sent. */
#include "agent/alert_round.h"
#include "agent/alert_words.h"
#include "agent/deliver.h"
#include "agent/problem.h"
#include "agent/text.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)64 << 20)
#define CLAIM_MS 5000
#define TEST_MOST_MS (DELIVER_MOST_MS + 5000) /* so that the outcome is heard */

/* ---- the vault opened here ---- */

struct desk {
	struct deliver *deliver;
	struct alert_desk *at;
};

static void desk_done(struct desk *d)
{
	alert_desk_freep(&d->at);
	deliver_freep(&d->deliver);
}

static bool desk_open(struct invocation *inv, struct desk *ret, struct error *err)
{
	log_open("vault", LOG_WARNING);
	return alert_round_open(inv->vault, inv->settings, inv->globals.config, &ret->deliver, &ret->at, err);
}

/* ---- list ---- */

static bool read_list(struct invocation *inv, struct buf *ret, struct error *err)
{
	scoped(desk_done) struct desk desk = { NULL, NULL };
	struct buf target = BUF_INIT(TARGET_BYTES_MAX);
	struct json j = JSON_INIT(ret);
	if (inv->agent) {
		buf_append_text(&target, "/v1/alerts");
		return remote_order(inv->agent, "GET", &target, NULL, ret, err);
	}
	if (!desk_open(inv, &desk, err))
		return false;
	output_json_begin(&j);
	bool is_done = alert_desk_json(desk.at, &j, err);
	json_end_object(&j);
	buf_append_text(ret, "\n");
	return is_done && buf_ok(ret, err);
}

/* The next object of an array in a checked document, whatever its texts hold. */
static bool next_object(struct bytes *from, struct bytes *ret)
{
	const uint8_t *start = from->len ? memchr(from->at, '{', from->len) : NULL;
	size_t depth = 0, at = start ? (size_t)(start - from->at) : from->len;
	for (bool is_text = false; at < from->len; at++) {
		uint8_t c = from->at[at];
		if (is_text && c == '\\')
			at++;
		else if (c == '"')
			is_text = !is_text;
		else if (!is_text && (c == '{' || c == '['))
			depth++;
		else if (!is_text && (c == '}' || c == ']') && --depth == 0)
			break;
	}
	if (at >= from->len)
		return false;
	*ret = bytes_of(start, (size_t)(from->at + at + 1 - start));
	*from = bytes_of(from->at + at + 1, from->len - at - 1);
	return true;
}

static int64_t member_time(struct bytes object, const char *key)
{
	char text[CLOCK_TEXT_MAX];
	int64_t ret;
	struct error unused;
	member_text(object, key, text, sizeof text);
	return text[0] && clock_parse(text, &ret, &unused) ? ret : 0;
}

static enum tint tint_of(const char *severity, const char *state)
{
	bool is_open = strcmp(state, "open") == 0;
	return !is_open ? TINT_DIM : strcmp(severity, "critical") == 0 ? TINT_BAD : TINT_WARN;
}

static void add_row(struct table *table, struct bytes alert, int64_t now)
{
	char id[ALERT_ID_MAX], severity[16], state[16], title[ALERT_TITLE_MAX + 1], ago[2 * CLOCK_TEXT_MAX];
	member_text(alert, "id", id, sizeof id);
	member_text(alert, "severity", severity, sizeof severity);
	member_text(alert, "state", state, sizeof state);
	member_text(alert, "title", title, sizeof title);
	bool is_over = strcmp(state, "recovered") == 0, is_open = strcmp(state, "open") == 0;
	table_row(table, is_over ? 3 : is_open ? strcmp(severity, "critical") != 0 : 2);
	table_cell(table, id, TINT_NONE);
	table_cell(table, severity, tint_of(severity, state));
	table_cell(table, state, TINT_NONE);
	table_cell(table, problem_ago(member_time(alert, "since"), now, ago, sizeof ago), TINT_NONE);
	table_cell(table, title, TINT_NONE);
}

static void say_sinks(struct invocation *inv, struct bytes list, int64_t now)
{
	struct bytes sinks, one;
	char name[SINK_NAME_MAX + 1], trouble[200], when[2 * CLOCK_TEXT_MAX];
	if (!json_find_raw(list, "sinks", &sinks))
		return;
	while (next_object(&sinks, &one)) {
		int64_t waits = member_int(one, "waits"), tries = member_int(one, "tries");
		member_text(one, "sink", name, sizeof name);
		member_text(one, "trouble", trouble, sizeof trouble);
		if (trouble[0] && !waits)
			say(inv, SAY_ALERT_REFUSED, name, trouble);
		if (!waits || !tries)
			continue;
		say(inv, SAY_ALERT_WAITS, name, (long long)waits, waits == 1 ? "" : "s", (long long)tries,
		    tries == 1 ? "" : "s", trouble[0] ? ": " : "", trouble,
		    problem_ago(member_time(one, "next_at"), now, when, sizeof when));
	}
}

static bool print_list(struct invocation *inv, struct bytes list, struct error *err)
{
	static const char *const headings[] = { "ALERT", "SEVERITY", "STATE", "SINCE", "WHAT" };
	unsigned width = term_width(STDOUT_FILENO);
	int64_t now = clock_wall();
	struct table table;
	struct bytes alerts, one;
	if (!json_find_raw(list, "alerts", &alerts))
		return fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
	table_init(&table, width ? headings : NULL, COUNT_OF(headings));
	while (next_object(&alerts, &one))
		add_row(&table, one, now);
	if (!table.count && isatty(STDERR_FILENO))
		say(inv, SAY_ALERT_NONE);
	table_sort(&table);
	bool is_done = buf_ok(&table.cells, err) &&
		       (!table.count || table_print(&table, term_wants_colour(inv->globals.colour, STDOUT_FILENO),
						    width, &inv->out, err));
	table_done(&table);
	say_sinks(inv, list, now);
	return is_done;
}

static bool list(struct invocation *inv, struct error *err)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	bool is_done = read_list(inv, &answer, err);
	if (is_done && inv->globals.json)
		buf_append(&inv->out, answer.at, answer.len);
	else if (is_done)
		is_done = print_list(inv, buf_bytes(&answer), err);
	buf_done(&answer);
	return is_done;
}

/* ---- orders ---- */

static bool order(struct invocation *inv, const char *path, const char *key, const char *value, int64_t for_s,
		  struct buf *ret, struct error *err)
{
	struct buf target = BUF_INIT(TARGET_BYTES_MAX), body = BUF_INIT(TARGET_BYTES_MAX);
	struct json j = JSON_INIT(&body);
	buf_append_text(&target, path);
	json_object(&j, NULL);
	json_text(&j, key, value);
	if (for_s)
		json_int(&j, "for", for_s);
	json_end_object(&j);
	const char *text = target_text(&body);
	bool is_done = text ? remote_order(inv->agent, "POST", &target, text, ret, err) : fail_no_memory(err);
	buf_done(&body);
	return is_done;
}

static bool ack_directly(struct invocation *inv, const char *id, int64_t for_s, struct error *err)
{
	scoped(desk_done) struct desk desk = { NULL, NULL };
	bool is_ours;
	return desk_open(inv, &desk, err) && alert_desk_claim(desk.at, CLAIM_MS, &is_ours, err) &&
	       alert_desk_ack(desk.at, id, for_s, err);
}

static bool acknowledge(struct invocation *inv, struct error *err)
{
	const struct given *span = option_find(inv, "for");
	const char *id = inv->args[1];
	int64_t for_s = span ? span->number : 0;
	char shown[ALERT_ID_MAX], time[CLOCK_TEXT_MAX];
	uint64_t key;
	struct buf answer = BUF_INIT(TARGET_BYTES_MAX);
	struct json j = JSON_INIT(&inv->out);
	if (!alert_id_parse(id, &key))
		return fail(err, ERR_USAGE, TXT_ALERT_ID, id);
	(void)alert_id(key, shown);
	bool is_done = inv->agent ? order(inv, "/v1/alerts/ack", "id", shown, for_s, &answer, err)
				  : ack_directly(inv, shown, for_s, err);
	buf_done(&answer);
	if (!is_done)
		return false;
	if (!inv->globals.json) {
		say(inv, SAY_ALERT_ACKED, shown, for_s ? "for " : "until it ends",
		    for_s ? clock_format_span(for_s, time) : "");
		return true;
	}
	output_json_begin(&j);
	alert_ack_json(&j, shown, for_s);
	output_json_end(inv, &j);
	return true;
}

struct tried {
	bool is_done;
	struct delivery_result result;
	struct error *err;
};

static void keep_result(void *context, const struct delivery_result *result, const struct error *err)
{
	struct tried *t = context;
	t->is_done = true;
	if (err)
		*t->err = *err;
	else
		t->result = *result;
}

static bool try_directly(struct invocation *inv, const char *sink, struct delivery_result *ret, struct error *err)
{
	struct tried tried = { .err = err };
	scoped(desk_done) struct desk desk = { NULL, NULL };
	int64_t until_ms = clock_boot_ms() + TEST_MOST_MS;
	err->code = ERR_NONE;
	if (!desk_open(inv, &desk, err))
		return false;
	alert_desk_test(desk.at, sink, keep_result, &tried);
	alert_desk_drain(desk.at, until_ms);
	*ret = tried.result;
	return tried.is_done ? err->code == ERR_NONE : fail(err, ERR_UNREACHABLE, TXT_ALERT_SILENT, sink);
}

static bool read_result(struct bytes answer, struct delivery_result *ret, struct error *err)
{
	char outcome[16];
	member_text(answer, "outcome", outcome, sizeof outcome);
	member_text(answer, "reason", ret->reason, sizeof ret->reason);
	ret->outcome = strcmp(outcome, "delivered") == 0 ? DELIVERY_DONE
		       : strcmp(outcome, "refused") == 0 ? DELIVERY_REFUSED
							 : DELIVERY_LATER;
	return outcome[0] ? true : fail(err, ERR_UNEXPECTED, TXT_CLIENT_NONSENSE);
}

static bool try_through_agent(struct invocation *inv, const char *sink, struct delivery_result *ret, struct error *err)
{
	struct buf answer = BUF_INIT(TARGET_BYTES_MAX);
	bool is_done = order(inv, "/v1/alerts/test", "sink", sink, 0, &answer, err) &&
		       read_result(buf_bytes(&answer), ret, err);
	buf_done(&answer);
	return is_done;
}

/* What may be better in a minute is 9; what somebody has to put right, 13. */
static bool try_sink(struct invocation *inv, struct error *err)
{
	static const enum error_code exits[] = {
		[DELIVERY_DONE] = ERR_NONE, [DELIVERY_LATER] = ERR_UNREACHABLE, [DELIVERY_REFUSED] = ERR_CONFIG
	};
	const char *sink = inv->args[1];
	struct delivery_result r = { .outcome = DELIVERY_LATER };
	struct json j = JSON_INIT(&inv->out);
	if (!(inv->agent ? try_through_agent : try_directly)(inv, sink, &r, err))
		return false;
	inv->exit = (int)exits[r.outcome];
	if (inv->globals.json) {
		output_json_begin(&j);
		alert_test_json(&j, sink, &r);
		output_json_end(inv, &j);
		return true;
	}
	if (r.outcome == DELIVERY_DONE)
		say(inv, SAY_ALERT_ARRIVED, sink);
	else
		say_problem(inv, r.outcome == DELIVERY_LATER ? HINT_ALERT_LATER : HINT_ALERT_REFUSED, SAY_ALERT_FAILED,
			    sink, r.reason);
	return true;
}

/* ---- the command ---- */

bool cmd_alert(struct invocation *inv, struct error *err)
{
	static const struct {
		const char *name;
		size_t args;
		command_fn *run;
	} orders[] = { { "list", 1, list }, { "ack", 2, acknowledge }, { "test", 2, try_sink } };
	if (!inv->arg_count)
		return list(inv, err);
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		if (strcmp(inv->args[0], orders[i].name) != 0)
			continue;
		bool takes_time = orders[i].run == acknowledge;
		if (inv->arg_count != orders[i].args || (option_is_given(inv, "for") && !takes_time))
			break;
		return orders[i].run(inv, err);
	}
	return fail(err, ERR_USAGE, TXT_ALERT_USAGE);
}
