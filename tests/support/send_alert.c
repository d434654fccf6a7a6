/* tests/support/send_alert.c - one made-up message to sinks of a configuration, and what became of it.
 *
 *     send_alert CONFIG EVENT PIXELS SINK...
 *     send_alert --supervised CONFIG
 *
 * EVENT is alert, reminder, recovery or test. All sinks at the same time; prints a line each, as they come:
 * "SINK done", "SINK later 30: reason", "SINK refused 0: reason". Lies beside vault-agent, which it starts. The message
 * has labels and a title made to break what renders them.
 *
 * --supervised: the real supervisor, and in the keeper's place and sandbox this program, which sends an alert about two
 * Pixels to every sink there is; the lines come on standard error. */
#include "agent/deliver.h"
#include "agent/link.h"
#include "agent/messenger.h"
#include "agent/sandbox.h"
#include "agent/settings.h"
#include "agent/supervisor.h"
#include "core/clock.h"
#include "core/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct alert_message message;

static void put_label(struct label *to, const char *key, const char *value)
{
	snprintf(to->key, sizeof to->key, "%s", key);
	snprintf(to->value, sizeof to->value, "%s", value);
}

static void fill_entry(struct alert_entry *e, unsigned i)
{
	snprintf(e->pixel, sizeof e->pixel, "C9ABCDEFGHIJKLMN%04u", i);
	e->verdict = VERDICT_REVOKED;
	e->since = message.since;
	snprintf(e->fingerprint, sizeof e->fingerprint, "tk-7Q2M-%04u", i);
	snprintf(e->advice, sizeof e->advice, "put a new token for number %u", i);
	e->label_count = 3;
	put_label(&e->labels[0], "minted-by", "Zo\xc3\xab <!channel> & \"co\"");
	put_label(&e->labels[1], "brand", "=?UTF-8?Q?x?=");
	put_label(&e->labels[2], "shop", ".");
}

static bool fill(const char *event, unsigned pixels)
{
	message.event = ALERT_EVENT_COUNT;
	for (unsigned i = 0; i < ALERT_EVENT_COUNT; i++)
		if (strcmp(alert_event_name((enum alert_event)i), event) == 0)
			message.event = (enum alert_event)i;
	bool is_test = message.event == ALERT_TEST;
	message.severity = SEVERITY_CRITICAL;
	message.kind = is_test ? ALERT_KIND_NONE : ALERT_KIND_REFUSED;
	message.verdict = is_test ? VERDICT_UNCHECKED : VERDICT_REVOKED;
	message.at = clock_wall();
	message.since = is_test ? 0 : message.at - 600;
	message.ended_at = message.event == ALERT_RECOVERY ? message.at : 0;
	message.number = 3;
	if (!is_test)
		snprintf(message.id, sizeof message.id, "7Q2M-9FKD");
	snprintf(message.title, sizeof message.title,
		 "%u Pixels: revoked; all have the label minted-by=Zo\xc3\xab <!channel> & \"co\"", pixels);
	snprintf(message.advice, sizeof message.advice, "put new tokens: vault rotate -l minted-by=Zo\xc3\xab");
	message.count = message.ever = message.added = pixels;
	message.has_label = !is_test;
	put_label(&message.label, "minted-by", "Zo\xc3\xab <!channel> & \"co\"");
	message.entry_count = pixels < ALERT_ENTRIES_MAX ? pixels : ALERT_ENTRIES_MAX;
	message.more = pixels - message.entry_count;
	for (unsigned i = 0; i < message.entry_count; i++)
		fill_entry(&message.entries[i], i);
	return message.event != ALERT_EVENT_COUNT;
}

static void print_result(FILE *to, const char *sink, const struct delivery_result *r)
{
	if (r->outcome == DELIVERY_DONE)
		fprintf(to, "%s done\n", sink);
	else
		fprintf(to, "%s %s %lld: %s\n", sink, r->outcome == DELIVERY_LATER ? "later" : "refused",
			(long long)r->retry_after_s, r->reason);
	fflush(to);
}

/* "ping" and what begins so is a ping. */
static enum sink_type type_of(const char *sink)
{
	for (unsigned i = 0; i < SINK_TYPE_COUNT; i++)
		if (strncmp(sink_type_name((enum sink_type)i), sink, strlen(sink_type_name((enum sink_type)i))) == 0)
			return (enum sink_type)i;
	return SINK_WEBHOOK;
}

static void send_to(struct deliver *d, uint64_t id, enum sink_type type, const char *sink)
{
	struct delivery one = { .id = id, .type = type, .sink = sink, .message = type == SINK_PING ? NULL : &message };
	deliver_send(d, &one);
}

static int be_keeper(const char *config)
{
	struct settings_flags flags = { .config = config };
	scoped(settings_done) struct settings settings = { 0 };
	scoped(deliver_freep) struct deliver *d = NULL;
	struct sandbox_plan plan = { .role = SANDBOX_KEEPER };
	struct sandbox_report report;
	struct delivery_result result;
	struct sink *sinks;
	size_t count, next = 0;
	struct error err;
	if (!fill("alert", 2) || !settings_begin(&flags, &settings, &err) ||
	    !sinks_load(settings.config, &sinks, &count, &err) || !sandbox_enter(&plan, &report, &err) ||
	    !deliver_new(config, LINK_FD, &d, &err))
		return 2;
	while (next < count || deliver_open(d) > 0) {
		while (next < count && deliver_has_room(d)) {
			send_to(d, next, sinks[next].type, sinks[next].name);
			next++;
		}
		if (deliver_next(d, 1000, &result))
			print_result(stderr, sinks[result.id].name, &result);
	}
	free(sinks);
	return 0;
}

/* As main of vault-agent. */
static int be_part(const char *part, const char *config)
{
	char some[64];
	if (strcmp(part, "--supervised") == 0)
		return supervisor_main(config);
	if (strcmp(part, "--messenger") == 0)
		return messenger_main(config);
	if (strcmp(part, "--keeper") == 0)
		return be_keeper(config);
	while (read(LINK_FD, some, sizeof some) > 0) /* a courier that nobody asks */
		;
	return 0;
}

int main(int argc, char *argv[])
{
	scoped(deliver_freep) struct deliver *d = NULL;
	struct delivery_result result;
	struct error err;
	if (argc >= 2 && argv[1][0] == '-')
		return process_harden(&err) ? be_part(argv[1], argv[argc - 1]) : 2;
	if (argc < 5 || !fill(argv[2], (unsigned)strtoul(argv[3], NULL, 10)) || !process_harden(&err) ||
	    !deliver_new(argv[1], -1, &d, &err))
		return 2;
	for (int i = 4; i < argc; i++)
		send_to(d, (uint64_t)i, type_of(argv[i]), argv[i]);
	while (deliver_open(d) > 0)
		if (deliver_next(d, 1000, &result))
			print_result(stdout, argv[result.id], &result);
	return 0;
}
