/* agent/access.h - who may do what to which Pixel. Pure but for looking up names, unless it is given what they mean.
 *
 * The kernel says who calls: uid, gid and supplementary groups, once, at accept. Rules map a user or group x verbs x
 * Pixels or labels. Default deny. Of the rules that match caller and Pixel the most specific decide (a user before a
 * group; a named Pixel before a label before *); where equally specific ones disagree, the answer is no. A rule with
 * pixels and labels is for the Pixels named that carry all of the labels. The agent's own
 * user and root may do everything. uid and gid 65534 match no rule: they stand for everyone the kernel cannot name. */
#ifndef AGENT_ACCESS_H
#define AGENT_ACCESS_H

#include "core/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "vault/credential.h"

#include <sys/types.h>

enum access_verb { ACCESS_META, ACCESS_READ, ACCESS_REPORT, ACCESS_PUT, ACCESS_ADMIN, ACCESS_VERB_COUNT };
const char *access_verb_name(enum access_verb verb);

struct access; /* the rules; immutable */
/* ERR_CONFIG, with file and line, for a user or group that does not exist. config has passed settings_check; NULL = no
 * rules. accounts: what names mean (agent/accounts.h), only looked at here; NULL = the system is asked. */
must_check bool access_new(const struct config *config, uid_t agent_uid, const struct bytes *accounts,
			   struct access **ret, struct error *err);
void access_free(struct access *a);
void access_freep(struct access **a);

struct access_caller {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary */
	size_t group_count;
};

/* The rules that match one caller, found once. Borrows the access. */
struct access_view;
must_check bool access_view_new(const struct access *a, const struct access_caller *caller, struct access_view **ret,
				struct error *err);
void access_view_free(struct access_view *view);

/* What is to be decided about; labels are only looked at when a rule asks for one. pixel NULL: about no Pixel in
 * particular, allowed when any rule grants the verb for anything (lists are then filtered Pixel by Pixel), but for
 * ACCESS_ADMIN and ACCESS_PUT, which then need a rule for *. */
struct access_subject {
	const char *pixel;
	bool (*has_label)(const void *context, const struct label *label);
	const void *context;
};
bool access_may(const struct access_view *view, enum access_verb verb, const struct access_subject *subject);

/* Does any rule grant the verb for anything? For what is then decided Pixel by Pixel. */
bool access_may_some(const struct access_view *view, enum access_verb verb);

/* For `vault access explain`: one line per rule that matches, in the order of their weight, and the ruling per verb. */
void access_explain(const struct access_view *view, const struct access_subject *subject, struct buf *out);

#endif
