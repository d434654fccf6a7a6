/* cli/source.h - where a command gets its records from: the agent that answered, or the vault opened here.
 *
 * Commands do not know which. What they are told, and how it fails, is the same both ways. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "cli/remote.h"

/* The agent hangs up on whoever is silent for long: the way to it anew, before each request of a long conversation. */
must_check bool source_renew(struct invocation *inv, struct error *err);
/* Sets inv->agent when one listens, and the person did not name a vault to be opened. */
must_check bool source_connect(struct invocation *inv, struct error *err);
/* For commands that make no sense without one. */
must_check bool source_demand_agent(struct invocation *inv, struct error *err);

/* want_removed: also a Pixel that was removed. ret_health NULL = not wanted. */
must_check bool source_find(struct invocation *inv, const char *pixel, bool want_removed, struct credential *ret,
			    struct health *ret_health, struct error *err);

/* The Pixels named, in that order, or (count 0) all, in any. ERR_NOT_FOUND for a named one that is not stored. Health
 * may be NULL unless with_health. The callback must not call back. Sets inv->clock before its first call. */
must_check bool source_each(struct invocation *inv, const char *const *pixels, size_t count, bool with_health,
			    vault_each_fn *fn, void *context, struct error *err);

/* The listing tokens that we may see. */
must_check bool source_each_list(struct invocation *inv, vault_each_fn *fn, void *context, struct error *err);
/* r->pasted is given. ret->body stays empty without an agent. */
must_check bool source_list_put(struct invocation *inv, const struct list_request *r, struct remote_list *ret,
				struct error *err);
must_check bool source_list_remove(struct invocation *inv, const char *name, bool is_destroyed, bool *ret_nothing,
				   struct error *err);

must_check bool source_check(struct invocation *inv, const struct check_request *r, struct remote_check *ret,
			     struct error *err);
/* Behind whatever may have found a token dead; a running agent does it by itself. */
must_check bool source_upkeep(struct invocation *inv, const char *const *pixels, size_t count, struct error *err);
/* Behind a check: the alerts that are due, and the note that all were asked. A running agent does it by itself. */
must_check bool source_alerts(struct invocation *inv, const struct check_request *r, const struct check_result *result,
			      struct error *err);
/* ret->body stays empty without an agent. */
must_check bool source_put(struct invocation *inv, const struct put_request *r, put_notice_fn *notice, void *context,
			   struct remote_put *ret, struct error *err);

/* As service_rotate. */
must_check bool source_rotate(struct invocation *inv, const struct rotate_request *r, struct buf *ret,
			      size_t *ret_changed, struct error *err);

/* Labels set or (empty value) removed. */
must_check bool source_label(struct invocation *inv, const char *pixel, const struct label *labels, size_t count,
			     struct credential *ret, struct error *err);

must_check bool source_remove(struct invocation *inv, const char *pixel, enum service_removal what, bool *ret_nothing,
			      struct error *err);

must_check bool source_rollback(struct invocation *inv, const char *pixel, struct remote_put *ret, struct error *err);
/* ret->body stays empty without an agent. */
must_check bool source_swap(struct invocation *inv, const struct swap_request *r, struct remote_swap *ret,
			    struct error *err);
must_check bool source_retire(struct invocation *inv, const char *pixel, bool is_forced, struct retire_result *ret,
			      struct error *err);
/* Who we are to those who take notes: as = the name that was given, or NULL. */
struct audit_who source_who(const char *as);
/* as NULL = ourselves. ret_as: under which name. */
must_check bool source_ack(struct invocation *inv, const char *pixel, uint32_t version, const char *as,
			   char ret_as[CONSUMER_NAME_MAX + 1], struct error *err);
#define SOURCE_MARKS_BYTES_MAX ((size_t)4 << 20)

/* What TikTok answered a consumer. *ret_is_recent: TikTok was asked a moment ago, and is not asked again. */
struct report {
	const char *pixel;
	int32_t code;
	const char *request_id; /* NULL = unknown */
};
must_check bool source_report(struct invocation *inv, const struct report *r, bool *ret_is_recent, struct error *err);

/* Who was last seen with which version. */
must_check bool source_marks(struct invocation *inv, const char *pixel, vault_mark_fn *fn, void *context,
			     struct error *err);

/* What is asked when, as the object of `plan --json`. Only pixels, labels and span of the request count. */
must_check bool source_plan(struct invocation *inv, const struct plan_request *r, struct buf *ret, struct error *err);
#define SOURCE_PLAN_BYTES_MAX ((size_t)1 << 30)
/* Whose token this is, as the object of `match --json`. ERR_NOT_FOUND when nobody's. */
must_check bool source_match(struct invocation *inv, const struct secret *pasted, struct buf *ret, struct error *err);

must_check bool source_verify(struct invocation *inv, verify_fault_fn *on_fault, void *context,
			      struct verify_report *ret, struct error *err);

#endif
