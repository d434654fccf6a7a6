/* cli/remote.h - the agent's requests as functions: one for each thing the command line asks of it. The protocol stands
 * in docs/protocol.md. Errors are the agent's own, in its words. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "agent/client.h"
#include "agent/service.h"
#include "cli/handout.h"

/* The token itself, or (as_json) the object of `get --json` as the agent wrote it. Of the reply version, verdict and
 * the like are copied. */
struct remote_token {
	struct secret *body;
	uint32_t version;
	enum verdict verdict;
};
must_check bool remote_get(struct client *c, const struct handout_request *r, bool as_json, struct remote_token *ret,
			   struct error *err);

/* One Pixel; with its past also a removed one. */
must_check bool remote_find(struct client *c, const char *pixel, bool with_past, struct credential *ret,
			    struct health *ret_health, struct error *err);
/* Those named, or (count 0) all that we may see. ERR_NOT_FOUND for a named one that is not stored. ret_clock: what expiry
 * is judged by, set before fn is called. */
must_check bool remote_each(struct client *c, const char *const *pixels, size_t count, vault_each_fn *fn, void *context,
			    int64_t *ret_clock, struct error *err);

/* body: the agent's object; result's texts point into advice. */
struct remote_put {
	struct put_result result;
	char advice[240];
	struct buf body;
};
must_check bool remote_put(struct client *c, const struct put_request *r, struct remote_put *ret, struct error *err);
must_check bool remote_rollback(struct client *c, const char *pixel, struct remote_put *ret, struct error *err);
/* body: the object of `swap --json`, as the agent wrote it. */
struct remote_swap {
	struct swap_result result;
	struct buf body;
};
must_check bool remote_swap(struct client *c, const struct swap_request *r, struct remote_swap *ret, struct error *err);
/* The same as service_rotate; many names go in several requests. */
must_check bool remote_rotate(struct client *c, const struct rotate_request *r, struct buf *ret, size_t *ret_changed,
			      struct error *err);
/* The object of `put --json`: the same members, as the agent wrote them. */
void remote_put_json(const struct remote_put *told, struct buf *out);

/* body: the agent's object; result's texts point into advice. */
struct remote_list {
	struct list_result result;
	char advice[400];
	struct buf body;
};
must_check bool remote_list_put(struct client *c, const struct list_request *r, struct remote_list *ret,
				struct error *err);
/* The object of `listing put --json`, as the agent wrote it. */
void remote_list_json(const struct remote_list *told, struct buf *out);
must_check bool remote_each_list(struct client *c, vault_each_fn *fn, void *context, int64_t *ret_clock,
				 struct error *err);

struct remote_check {
	struct check_result result; /* but for the counts of verdicts and Pixels */
	char notice[320];
};
must_check bool remote_check(struct client *c, const struct check_request *r, struct remote_check *ret,
			     struct error *err);

/* The objects of `plan --json` and `match --json`, as the agent wrote them. */
must_check bool remote_plan(struct client *c, const struct plan_request *r, struct buf *ret, struct error *err);
must_check bool remote_match(struct client *c, const struct secret *pasted, struct buf *ret, struct error *err);

/* The objects of an array in a checked document, one after another, as far as they hold no brackets inside. */
bool member_next(struct bytes *from, struct bytes *ret);

/* A POST or DELETE that is answered with one object, in *ret. target as target_query made it; json NULL = no body. */
must_check bool remote_order(struct client *c, const char *method, struct buf *target, const char *json,
			     struct buf *ret, struct error *err);

/* A 32-byte root key, or NULL: the agent tries its own key file or credential. for_s 0 = until it is locked. */
must_check bool remote_unlock(struct client *c, const struct secret *root_key, int64_t for_s, struct error *err);

/* Members of an object of the agent's. Missing or of another type: "", 0, false. */
void member_text(struct bytes object, const char *key, char *ret, size_t size);
int64_t member_int(struct bytes object, const char *key);
bool member_bool(struct bytes object, const char *key);

/* The readers of a rollout object, one after another. */
must_check bool remote_marks(struct bytes object, vault_mark_fn *fn, void *context, struct error *err);

/* "/v1/pixels/PIXEL" and what follows. */
#define TARGET_BYTES_MAX ((size_t)1 << 20)
void target_of_pixel(struct buf *target, const char *pixel, const char *rest);

#endif
