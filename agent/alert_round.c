#include "agent/alert_round.h"

#include <stdlib.h>

#define CLAIM_MS 200

bool alert_round_open(struct vault *v, const struct settings *settings, const char *config,
		      struct deliver **ret_deliver, struct alert_desk **ret, struct error *err)
{
	struct sink *sinks;
	size_t count;
	if (!sinks_load(settings->config, &sinks, &count, err))
		return false;
	bool is_open = deliver_new(config, -1, ret_deliver, err) &&
		       alert_desk_new(v, settings, *ret_deliver, ret, err) &&
		       alert_desk_set_sinks(*ret, sinks, count, err);
	free(sinks);
	return is_open;
}

bool alert_round(struct vault *v, const struct settings *settings, const struct alert_round *r, struct error *err)
{
	scoped(deliver_freep) struct deliver *deliver = NULL;
	scoped(alert_desk_freep) struct alert_desk *desk = NULL;
	bool is_ours;
	if (!alert_round_open(v, settings, r->config, &deliver, &desk, err) ||
	    !alert_desk_claim(desk, CLAIM_MS, &is_ours, err))
		return false;
	bool is_needed = is_ours && (r->has_news || vault_clock_suspect(v) || !alert_desk_is_quiet(desk) ||
				     alert_desk_has_list_news(desk));
	if (is_needed && !alert_desk_look(desk, err))
		return false;
	if (r->pings)
		alert_desk_ping(desk);
	if (is_needed || r->pings)
		alert_desk_drain(desk, r->until_ms);
	if (r->metrics)
		alert_desk_metrics(desk, r->metrics);
	return !alert_desk_trouble(desk, err);
}
