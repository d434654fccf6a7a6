#include "cli/sitting.h"

#include "agent/objects.h"
#include "agent/text.h"
#include "cli/output.h"
#include "cli/put_words.h"
#include "cli/select.h"
#include "cli/source.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES (LABEL_WORDS_MAX + 512)
#define EMPTY_ANSWERS 3 /* in a row: nobody is there */

struct sitting {
	struct invocation *inv;
	bool wants_retire, is_over;
	unsigned empty_answers;
};

/* The Pixel whose turn it is. */
struct turn {
	struct sitting *sitting;
	struct item *item;
	struct credential credential;
	struct health health;
	bool is_settled, was_refused;
};

/* A terminal that is gone says so at the next question. */
static void show(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void show(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	struct error unused;
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	utf8_defang(line);
	size_t len = strlen(line);
	line[len] = '\n'; /* room was left for it */
	line[len + 1] = '\0';
	(void)!term_show(line, &unused);
}

static void show_error(const struct error *err)
{
	show(SHOW_LINE, err->message);
	if (err->hint[0])
		show(SHOW_HINT, err->hint);
}

static void settle(struct turn *t, enum item_end end)
{
	t->item->end = end;
	t->is_settled = true;
}

static bool look(struct turn *t, struct error *err)
{
	return source_renew(t->sitting->inv, err) &&
	       source_find(t->sitting->inv, t->item->pixel, false, &t->credential, &t->health, err);
}

/* ---- who, why, where ---- */

static const char *label_of(const struct credential *c, const char *key)
{
	for (size_t i = 0; i < c->label_count; i++)
		if (strcmp(c->labels[i].key, key) == 0)
			return c->labels[i].value;
	return "";
}

static void introduce(const struct turn *t, size_t number, size_t count)
{
	const struct credential *c = &t->credential;
	const char *user = label_of(c, "user"), *role = label_of(c, "role"), *center = label_of(c, "bc");
	char labels[LABEL_WORDS_MAX];
	select_label_words(c, labels);
	show("%s", "");
	show(SHOW_ROTATE_WHICH, number, count, c->pixel, labels[0] ? "  " : "", labels);
	show(SHOW_ROTATE_WHY, t->item->why);
	if (user[0] || role[0])
		show(SHOW_ROTATE_WHO, user, user[0] && role[0] ? ", as " : "", role);
	else
		show(SHOW_ROTATE_WHO_UNKNOWN, c->pixel);
	if (center[0])
		show(SHOW_ROTATE_CENTER, center);
	else
		show("%s", SHOW_ROTATE_CENTER_UNKNOWN);
	show(SHOW_ROTATE_PATH, c->pixel);
	if (!center[0])
		show(SHOW_ROTATE_CENTER_NOTE, c->pixel);
	show("%s", SHOW_ROTATE_ONCE);
}

/* ---- after a promotion ---- */

/* Waiting for consumers is a good answer too: the wish is stored, and kept by who keeps it. */
static void retire(const struct turn *t)
{
	const char *pixel = t->item->pixel;
	struct error err;
	struct retire_result retired;
	char words[RETIRE_WORDS_MAX];
	if (source_retire(t->sitting->inv, pixel, false, &retired, &err))
		show("  %s", retire_words(pixel, &retired, words));
	else
		show_error(&err);
}

static bool tell_promoted(struct turn *t, const char *words, struct error *err)
{
	show(SHOW_LINE, words);
	settle(t, ITEM_ROTATED);
	if (!look(t, err))
		return false;
	const struct version *previous = credential_staged(&t->credential, STAGE_PREVIOUS);
	if (previous && t->sitting->wants_retire)
		retire(t);
	else if (previous)
		show(SHOW_ROTATE_PREVIOUS, previous->number, t->item->pixel, t->item->pixel);
	return true;
}

/* ---- a token pasted in an earlier sitting ---- */

static const struct version *unjudged(const struct turn *t)
{
	const struct version *v = credential_staged(&t->credential, STAGE_PENDING);
	bool is_refused = v && t->health.pending.version == v->number && verdict_is_bad(t->health.pending.verdict);
	return is_refused || (v && v->is_aside) ? NULL : v; /* one put aside for standby is no answer to a rotation */
}

static bool tell_proven(struct turn *t, uint32_t number, struct error *err)
{
	const struct version *v = credential_numbered(&t->credential, number);
	struct put_result r = { .version = number, .verdict = t->health.current.verdict };
	char words[PUT_WORDS_MAX];
	struct status_row row;
	if (v && v->stage == STAGE_CURRENT) {
		memcpy(r.pixel, t->item->pixel, sizeof r.pixel);
		return tell_promoted(t, put_words(&r, words), err);
	}
	if (unjudged(t)) {
		show(SHOW_ROTATE_STILL_OPEN, number, t->item->pixel);
		settle(t, ITEM_UNJUDGED);
		return true;
	}
	status_of(&t->credential, &t->health, t->sitting->inv->settings, t->sitting->inv->clock, &row);
	show(SHOW_LINE, row.advice);
	t->was_refused = true;
	return true;
}

static bool prove(struct turn *t, uint32_t number, struct error *err)
{
	const char *pixels[] = { t->item->pixel };
	struct check_request request = { .pixels = pixels, .pixel_count = 1, .probe = PROBE_CHOICE_AUTO };
	struct remote_check told = { .notice = "" };
	struct error why;
	show(SHOW_ROTATE_PENDING, number);
	if (!source_check(t->sitting->inv, &request, &told, &why)) {
		if (why.code != ERR_CONFLICT) {
			*err = why;
			return false;
		}
		show_error(&why); /* somebody else checks right now, this one too */
	}
	if (told.result.end == SWEEP_INTERRUPTED) {
		t->sitting->is_over = true;
		settle(t, ITEM_UNJUDGED);
		return true;
	}
	return look(t, err) && tell_proven(t, number, err);
}

/* ---- a new token ---- */

/* Is the answer, but for blanks, this word or its first letter? No token is as short. */
static bool is_word(const struct secret *answer, const char *word)
{
	struct bytes text = secret_reveal(answer);
	size_t len = strlen(word), seen = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (memchr(" \t\r", text.at[i], 3))
			continue;
		if (seen == len || (text.at[i] | 0x20) != word[seen])
			return false;
		seen++;
	}
	return seen == 1 || seen == len;
}

static void leave(struct turn *t)
{
	t->sitting->is_over = true;
	settle(t, t->was_refused ? ITEM_REFUSED : ITEM_LEFT);
}

/* True with *ret NULL: no token, but perhaps the end. */
static void ask(struct turn *t, struct secret **ret)
{
	char prompt[PIXEL_CODE_MAX + sizeof ASK_ROTATE];
	bool has_left = false;
	struct question_on_tty q = { .prompt = prompt,
				     .echo = ECHO_OFF,
				     .max = TOKEN_INPUT_MAX,
				     .is_only_line = true,
				     .is_fresh = true,
				     .ret_has_left = &has_left };
	struct error err;
	snprintf(prompt, sizeof prompt, ASK_ROTATE, t->item->pixel);
	if (term_ask(&q, ret, &err)) {
		t->sitting->empty_answers = 0;
		return;
	}
	*ret = NULL;
	bool is_gone = err.code == ERR_LOCKED || err.code == ERR_UNEXPECTED;
	t->sitting->empty_answers += err.code == ERR_USAGE;
	if (is_gone)
		show_error(&err); /* a terminal that is gone shows it to nobody; but memory may be what was lacking */
	if (is_gone || has_left || t->sitting->empty_answers == EMPTY_ANSWERS)
		leave(t);
	else
		show(SHOW_LINE, err.message);
}

/* What went wrong with this one, and not with everything. */
static bool is_about_token(const struct error *err)
{
	return err->code == ERR_MALFORMED || err->code == ERR_CONFLICT || err->code == ERR_USAGE;
}

static bool is_about_pixel(const struct error *err)
{
	return err->code == ERR_DENIED || err->code == ERR_NOT_FOUND;
}

static bool take_refusal(struct turn *t, const struct put_result *r)
{
	const struct version *current = credential_staged(&t->credential, STAGE_CURRENT);
	struct error why;
	(void)!put_refusal(r, current ? current->number : 0, &why);
	show_error(&why);
	t->was_refused = verdict_is_bad(r->outcome);
	if (!t->was_refused)
		settle(t, ITEM_UNJUDGED);
	return true;
}

static bool take_result(struct turn *t, const struct put_result *r, struct error *err)
{
	char words[PUT_WORDS_MAX], list[REMOVED_WORDS_MAX];
	if (r->removed)
		show("  " SAY_REMOVED, removed_words(r->removed, list));
	if (r->is_unchanged) {
		show(SHOW_ROTATE_SAME, r->version);
		return true;
	}
	if (r->exit != ERR_NONE)
		return take_refusal(t, r);
	return tell_promoted(t, put_words(r, words), err);
}

static void told_done(struct remote_put *told)
{
	buf_done(&told->body);
}

static bool put(struct turn *t, const struct secret *pasted, struct error *err)
{
	scoped(told_done) struct remote_put told = { .advice = "" };
	struct put_request request = { .pixel = t->item->pixel, .pasted = pasted, .must_be_own = true };
	scoped(secret_freep) struct secret *cleaned = NULL;
	unsigned unused;
	struct error why;
	if (!token_clean(pasted, &cleaned, &unused, &why)) {
		*err = why;
		if (why.code != ERR_MALFORMED)
			return false;
		show_error(&why);
		return true;
	}
	show("%s", SHOW_ROTATE_ASKING);
	if (!source_renew(t->sitting->inv, err))
		return false;
	if (source_put(t->sitting->inv, &request, NULL, NULL, &told, &why))
		return take_result(t, &told.result, err);
	*err = why;
	if (!is_about_token(&why) && !is_about_pixel(&why))
		return false;
	show_error(&why);
	if (is_about_pixel(&why))
		settle(t, ITEM_REFUSED);
	return true;
}

static bool ask_until_settled(struct turn *t, struct error *err)
{
	while (!t->is_settled) {
		scoped(secret_freep) struct secret *answer = NULL;
		ask(t, &answer);
		if (!answer)
			continue;
		if (is_word(answer, "quit"))
			leave(t);
		else if (is_word(answer, "skip"))
			settle(t, t->was_refused ? ITEM_REFUSED : ITEM_SKIPPED);
		else if (!put(t, answer, err))
			return false;
	}
	return true;
}

/* ---- one after the other ---- */

static bool take_turn(struct turn *t, size_t number, size_t count, struct error *err)
{
	struct error why;
	if (!look(t, &why)) {
		*err = why;
		if (!is_about_pixel(&why))
			return false;
		show_error(&why);
		settle(t, ITEM_SKIPPED);
		return true;
	}
	const struct version *current = credential_staged(&t->credential, STAGE_CURRENT);
	introduce(t, number, count);
	if (current && current->number != t->item->current) {
		show(SHOW_ROTATE_MEANWHILE, current->number);
		settle(t, ITEM_ROTATED);
		return true;
	}
	const struct version *pending = unjudged(t);
	if (pending && !prove(t, pending->number, err))
		return false;
	return ask_until_settled(t, err);
}

bool sitting_hold(struct invocation *inv, struct item *items, size_t count, bool wants_retire, struct error *err)
{
	struct sitting s = { .inv = inv, .wants_retire = wants_retire };
	bool is_fine = true;
	if (!term_sit_down(err))
		return false;
	for (size_t i = 0; i < count && is_fine && !s.is_over; i++) {
		struct turn t = { .sitting = &s, .item = &items[i] };
		is_fine = take_turn(&t, i + 1, count, err);
	}
	term_get_up();
	return is_fine;
}
