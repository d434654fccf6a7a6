/* cli/template.h - the templates of `render`. Pure: no vault, no file.
 *
 * Text goes out as it stands, but for what stands between two braces and two braces:
 *
 *     {{ token PIXEL }}           the current token          {{ token PIXEL | json }}   with a filter
 *     {{ previous PIXEL }}        the one before it          {{ "{{" }}                 the braces themselves
 *
 * Filters say what the token is written into, and bring the quotes along:
 *
 *     json    "..." as JSON has it            shell   '...' for sh
 *     env     "..." for dotenv and systemd's EnvironmentFile=
 *     url     percent-encoded, no quotes      base64  standard, padded, no quotes */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "core/secret.h"
#include "vault/credential.h"

enum filter { FILTER_NONE, FILTER_JSON, FILTER_SHELL, FILTER_ENV, FILTER_URL, FILTER_BASE64, FILTER_COUNT };

struct part {
	struct bytes text; /* borrowed from the template; empty where a token belongs */
	char pixel[PIXEL_CODE_MAX + 1];
	bool is_previous;
	enum filter filter;
	unsigned line, column; /* of the braces */
};

struct template {
	struct part *parts;
	size_t count, room;
};
void template_done(struct template *t);

/* name stands in messages: "NAME:line:column: what is wrong" (ERR_CONFIG). */
must_check bool template_parse(struct bytes text, const char *name, struct template *ret, struct error *err);

must_check bool template_filter(enum filter filter, const struct secret *token, struct secret **ret, struct error *err);

#endif
