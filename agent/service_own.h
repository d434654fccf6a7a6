/* agent/service_own.h - what the files of the service share; nobody else includes it. */
#ifndef AGENT_SERVICE_OWN_H
#define AGENT_SERVICE_OWN_H

#include "agent/courier.h"
#include "agent/pace.h"
#include "agent/ruling.h"
#include "agent/schedule.h"
#include "agent/service.h"

struct service {
	struct vault *vault;
	const struct settings *settings;
	struct courier *courier; /* NULL until first needed */
	struct breaker breaker, stored_breaker;
	bool is_unstored; /* something found could not be written down: the disk is full or read-only */
	struct pace pace; /* for the single questions of put and of the detective */
};

/* Before a verb asks anything: the courier, and the breaker as the last program left it. */
must_check bool service_ready(struct service *s, struct error *err);

/* For what is found, not asked for: a full disk must not end a check, which then says so. is_done with why as a write
 * returned them. */
must_check bool service_tolerate(struct service *s, bool is_done, const struct error *why, struct error *err);

/* Write the breaker down when it moved: a program that crashes and starts again must not hammer. */
must_check bool service_store_breaker(struct service *s, struct error *err);

/* The flag, else the setting, else test where there is a test code. A test without a code is a dry one. */
enum probe_kind service_probe_kind(const struct settings *settings, enum probe_choice choice, const char *test_code);

struct asked {
	struct answer answer;
	struct finding finding;
	struct evidence evidence;
	bool was_called; /* false: the breaker is open for longer than one waits, nothing was sent */
};

/* One question at the configured pace, with the breaker minded. Transient trouble is an answer, not an error. */
must_check bool service_ask(struct service *s, const struct question *q, bool was_healthy, struct asked *ret,
			    struct error *err);

/* One commit: what was found about a version, with its promotion when it may serve. */
struct settlement {
	const char *pixel;
	uint32_t version;
	enum ruling ruling;
	enum verdict outcome;
	const struct evidence *evidence;
	bool promote_unjudged; /* with no current token an unjudged one is better than none */
	/* filled by service_settle */
	const struct settings *settings;
	bool is_promoted;
	struct credential credential; /* as committed */
	struct health health;
};
must_check bool service_settle(struct service *s, struct settlement *settlement, struct error *err);

#endif
