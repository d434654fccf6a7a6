/* render: a template with its placeholders replaced by tokens. All tokens are fetched before the first byte is written,
 * so that one that is missing leaves everything as it was. */
#include "cli/front.h"
#include "cli/output.h"
#include "cli/own_file.h"
#include "cli/private_file.h"
#include "cli/template.h"
#include "cli/text.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE_BYTES_MAX ((size_t)1 << 20)

struct rendering {
	struct invocation *inv;
	const char *path;
	struct template template;
	struct secret *
		*tokens; /* one for each part, NULL where text stands; borrowed from an earlier one: see first_like */
};

static void rendering_done(struct rendering *r)
{
	for (size_t i = 0; r->tokens && i < r->template.count; i++)
		secret_free(r->tokens[i]);
	free(r->tokens);
	template_done(&r->template);
}

/* The first part that asks for the same: a Pixel that stands twice is read once, and shows the same token twice. */
static size_t first_like(const struct rendering *r, size_t i)
{
	const struct part *part = &r->template.parts[i];
	for (size_t j = 0; j < i; j++) {
		const struct part *other = &r->template.parts[j];
		if (!other->text.len && other->is_previous == part->is_previous &&
		    strcmp(other->pixel, part->pixel) == 0)
			return j;
	}
	return i;
}

static bool take_token(struct invocation *inv, const struct handout_request *request, struct secret **ret,
		       struct error *err)
{
	scoped(handout_done) struct handout h = { .token = NULL };
	if (inv->agent)
		return handout_fetch(inv, request, false, ret, err);
	if (!handout_take(inv, request, &h, err))
		return false;
	*ret = take(h.token);
	return true;
}

/* The same failure with the place in front of it. */
static bool fail_at(const struct rendering *r, const struct part *part, struct error *err)
{
	char message[sizeof err->message];
	memcpy(message, err->message, sizeof message);
	snprintf(err->message, sizeof err->message, "%.120s:%u:%u: %.160s", r->path, part->line, part->column, message);
	return false;
}

static bool fetch_tokens(struct rendering *r, struct error *err)
{
	r->tokens = calloc(r->template.count + 1, sizeof(struct secret *));
	if (!r->tokens)
		return fail_no_memory(err);
	for (size_t i = 0; i < r->template.count; i++) {
		const struct part *part = &r->template.parts[i];
		struct handout_request request = { .pixel = part->pixel,
						   .is_previous = part->is_previous,
						   .must_be_healthy = option_is_given(r->inv, "healthy"),
						   .reader = option_text(r->inv, "as"),
						   .verb = "render" };
		if (part->text.len || first_like(r, i) != i)
			continue;
		if (!take_token(r->inv, &request, &r->tokens[i], err))
			return fail_at(r, part, err);
	}
	return true;
}

/* ---- out ---- */

static bool give_pieces(void *context, piece_fn *take_piece, void *sink, struct error *err)
{
	const struct rendering *r = context;
	for (size_t i = 0; i < r->template.count; i++) {
		const struct part *part = &r->template.parts[i];
		scoped(secret_freep) struct secret *filtered = NULL;
		if (part->text.len) {
			if (!take_piece(sink, part->text, err))
				return false;
			continue;
		}
		if (!template_filter(part->filter, r->tokens[first_like(r, i)], &filtered, err) ||
		    !take_piece(sink, secret_reveal(filtered), err))
			return false;
	}
	return true;
}

static bool print_piece(void *sink, struct bytes piece, struct error *err)
{
	return output_write(sink, piece, err);
}

static bool put_file(struct rendering *r, const char *to, struct error *err)
{
	struct invocation *inv = r->inv;
	struct json j = JSON_INIT(&inv->out);
	const char *owner = option_text(inv, "owner");
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	bool is_changed;
	if ((owner && !private_file_owner(owner, &uid, &gid, err)) ||
	    !private_file_put(to, uid, gid, give_pieces, r, &is_changed, err))
		return false;
	if (inv->globals.json) {
		output_json_begin(&j);
		json_text(&j, "file", to);
		json_bool(&j, "changed", is_changed);
		output_json_end(inv, &j);
	} else if (is_changed) {
		say(inv, SAY_RENDERED, to);
	}
	return true;
}

static bool read_template(const char *path, struct buf *ret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	return file_open_trusted(path, false, ERR_CONFIG, &fd, err) &&
	       file_read(fd, path, TEMPLATE_BYTES_MAX, ERR_CONFIG, ret, err);
}

bool cmd_render(struct invocation *inv, struct error *err)
{
	const char *to = option_text(inv, "to");
	scoped(buf_done) struct buf text = BUF_INIT(TEMPLATE_BYTES_MAX + 2);
	scoped(rendering_done) struct rendering r = { .inv = inv, .path = inv->args[0] };
	if (!to && (inv->globals.json || option_is_given(inv, "owner")))
		return fail(err, ERR_USAGE, TXT_RENDER_NEEDS_TO);
	if (to && file_is_same(to, r.path))
		return fail(err, ERR_CONFLICT, TXT_RENDER_TEMPLATE, to);
	if (to && !own_file_spare(inv->settings, to, err))
		return false;
	if (!read_template(r.path, &text, err) || !template_parse(buf_bytes(&text), r.path, &r.template, err) ||
	    !fetch_tokens(&r, err))
		return false;
	return to ? put_file(&r, to, err) : give_pieces(&r, print_piece, inv, err);
}
