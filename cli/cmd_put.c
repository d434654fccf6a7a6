#include "agent/objects.h"
#include "cli/output.h"
#include "cli/paste.h"
#include "cli/put_words.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "cli/token_input.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- a family's document ---- */

/* One field of a family's document, with its comma; nothing where none was given. */
static bool ask_field(const char *pixel, const char *what, const char *key, enum echo echo, bool may_be_empty,
		      struct json *document, struct error *err)
{
	char prompt[128];
	scoped(secret_freep) struct secret *field = NULL;
	snprintf(prompt, sizeof prompt, "%s for %s%s: ", what, pixel, may_be_empty ? " (empty: none)" : "");
	struct question_on_tty q = { .prompt = prompt,
				     .echo = echo,
				     .max = TOKEN_MAX,
				     .is_only_line = true,
				     .may_be_empty = may_be_empty };
	if (!term_ask(&q, &field, err))
		return false;
	if (secret_len(field))
		json_text_n(document, key, secret_reveal(field));
	return true;
}

static bool ask_document(const char *pixel, struct secret **ret, struct error *err)
{
	struct buf text = BUF_INIT(TOKEN_INPUT_MAX);
	struct json j = JSON_INIT(&text);
	json_object(&j, NULL);
	bool ok = ask_field(pixel, ASK_CLIENT_ID, "client_id", ECHO_ON, false, &j, err) &&
		  ask_field(pixel, ASK_CLIENT_SECRET, "client_secret", ECHO_OFF, false, &j, err) &&
		  ask_field(pixel, ASK_REFRESH_TOKEN, "refresh_token", ECHO_OFF, false, &j, err) &&
		  ask_field(pixel, ASK_ACCESS_TOKEN, "access_token", ECHO_OFF, true, &j, err);
	json_end_object(&j);
	ok = ok && buf_ok(&text, err) && secret_copy(buf_bytes(&text), ret, err);
	buf_done(&text);
	return ok;
}

static bool take_token(struct invocation *inv, const char *pixel, enum family family, struct secret **ret,
		       struct error *err)
{
	bool is_asked_for = !option_text(inv, "from-file") && isatty(STDIN_FILENO) && term_may_ask(&inv->globals);
	if (family != FAMILY_PLAIN && is_asked_for)
		return ask_document(pixel, ret, err);
	return token_input(inv, pixel, ret, err);
}

/* ---- what is said before and after ---- */

struct teller {
	struct invocation *inv;
	bool has_told_removed, has_told_also, has_told_asking;
};

static void tell_removed(struct teller *t, const struct put_result *r)
{
	char list[REMOVED_WORDS_MAX];
	if (!r->removed || t->has_told_removed)
		return;
	say(t->inv, SAY_REMOVED, removed_words(r->removed, list));
	t->has_told_removed = true;
}

static void tell_found(struct teller *t, const struct put_result *r)
{
	tell_removed(t, r);
	if (r->also_stored[0] && !t->has_told_also)
		say(t->inv, SAY_ALSO_STORED, r->also_stored, r->pixel, r->also_stored);
	t->has_told_also = t->has_told_also || r->also_stored[0];
}

static void tell_asking(struct teller *t, const char *pixel, bool is_asking)
{
	if (is_asking && !t->has_told_asking && t->inv->style == STYLE_TEXT && isatty(STDERR_FILENO)) {
		say(t->inv, SAY_ASKING, pixel);
		t->has_told_asking = true;
	}
}

static void tell_so_far(void *context, const struct put_result *so_far)
{
	struct teller *t = context;
	tell_found(t, so_far);
	tell_asking(t, so_far->pixel, so_far->version != 0);
}

static bool tell_pending(struct invocation *inv, const struct put_result *r, struct error *err)
{
	struct error unused;
	struct credential c;
	const struct version *current =
		source_find(inv, r->pixel, false, &c, NULL, &unused) ? credential_staged(&c, STAGE_CURRENT) : NULL;
	return put_refusal(r, current ? current->number : 0, err);
}

static void print_json(struct invocation *inv, const struct put_result *r)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	put_json(&j, r);
	output_json_end(inv, &j);
}

/* ---- the command ---- */

static void warn_about(struct invocation *inv, const struct put_request *r)
{
	char text[CLOCK_TEXT_MAX];
	if (!pixel_has_known_shape(r->pixel))
		say(inv, SAY_PIXEL_ODD, r->pixel);
	if (r->expires_at && r->expires_at <= clock_wall())
		say(inv, SAY_EXPIRES_PAST, clock_format(r->expires_at, text));
}

static bool tell_result(struct invocation *inv, const struct remote_put *told, struct error *err)
{
	const struct put_result *r = &told->result;
	char words[PUT_WORDS_MAX];
	if (!inv->globals.json && r->exit != ERR_NONE)
		return tell_pending(inv, r, err);
	if (!inv->globals.json) {
		say(inv, "%s", put_words(r, words));
		return true;
	}
	if (inv->agent)
		remote_put_json(told, &inv->out);
	else
		print_json(inv, r);
	inv->exit = (int)r->exit;
	return true;
}

static void told_done(struct remote_put *told)
{
	buf_done(&told->body);
}

bool cmd_put(struct invocation *inv, struct error *err)
{
	struct label labels[LABELS_MAX];
	scoped(told_done) struct remote_put told = { .advice = "" };
	struct teller teller = { .inv = inv };
	scoped(secret_freep) struct secret *pasted = NULL;
	const struct given *expires = option_find(inv, "expires"), *number = option_find(inv, "if-version"),
			   *family = option_find(inv, "family");
	struct put_request request = { .pixel = inv->args[0],
				       .labels = labels,
				       .expires_at = expires ? expires->number : 0,
				       .test_code = option_text(inv, "test-code"),
				       .no_check = option_is_given(inv, "no-check"),
				       .is_standby = option_is_given(inv, "standby"),
				       .has_if_version = number != NULL,
				       .if_version = number ? (uint32_t)number->number : 0,
				       .family = family ? FAMILY_ACCOUNTS + (enum family)family->number : FAMILY_PLAIN };
	if (!option_labels(inv, labels, COUNT_OF(labels), &request.label_count, err))
		return false;
	warn_about(inv, &request);
	if (!take_token(inv, request.pixel, request.family, &pasted, err))
		return false;
	request.pasted = pasted;
	if (inv->agent)
		tell_asking(&teller, request.pixel, !request.no_check);
	if (!source_put(inv, &request, tell_so_far, &teller, &told, err))
		return false;
	/* What an agent found on the way is told afterwards. */
	tell_found(&teller, &told.result);
	return tell_result(inv, &told, err);
}
