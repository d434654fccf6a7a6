/* tests/emulator/main.c - tiktok-emulator: TikTok's business API over TLS on 127.0.0.1, for our tests, demo and bench.
 * Made after our fact sheet of that API (tiktok-api.md §10): defaults are the most probable behaviour, knobs are what
 * nobody knows, faults are what goes wrong. Holds no real secret: it prints and logs tokens freely.
 * Modules: world (what it knows) <- api, listing, oauth (request to answer) <- server (sockets); control steers it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/emulator/call.h"
#include "tests/emulator/control.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/server.h"

struct options {
	const char *dir;
	uint16_t port;
	bool until_stdin_closes, die_with_parent;
};

static int help(void)
{
	scoped(text_free) struct text out = { 0 };

	text_puts(&out,
		"usage: tiktok-emulator --dir DIR [--port N] [--until-stdin-closes] [--die-with-parent]\n"
		"       tiktok-emulator ctl DIR COMMAND [ARG...]     one command; prints its answer; exit 1 on error\n"
		"       tiktok-emulator ctl DIR -                    one command a line from stdin\n\n"
		"Makes in DIR (0700): ca.pem, base-url, other-base-url (another host, same CA: answers code 0 to everything),\n"
		"control (socket); then prints 'ready'. Ends on SIGTERM, SIGINT or quit, and then removes control.\n"
		"The one app: id " EMULATOR_APP_ID ", secret " EMULATOR_APP_SECRET ".\n\nCommands:\n");
	control_help(&out);
	text_puts(&out, "\nLog line:\n  ms=N conn=N METHOD PATH http=STATUS|- code=CODE|- pixel=CODE|- kind=dry|test|live|other event=NAME|- event_id=ID|-"
			" token=VALUE|- fault=NAME|-\n  (blanks, control characters and \\ as \\xNN; ms since the start, taken when the answer was decided)\n"
			"\nKnobs (name, values, [default]):\n");
	for (int i = 0; i < KNOB_COUNT; i++)
		text_printf(&out, "  %-16s %s [%s]\n      %s\n", knob_rows[i].name, knob_rows[i].values, knob_rows[i].initial, knob_rows[i].help);
	text_puts(&out, "\nFaults:\n");
	for (const struct fault_row *row = fault_rows; row->name; row++)
		text_printf(&out, "  %-16s %s\n", row->name, row->help);
	return fputs(out.at, stdout) < 0 || fflush(stdout) ? 1 : 0;
}

static int usage(void)
{
	fputs("tiktok-emulator: needs --dir DIR, or ctl DIR COMMAND; see --help\n", stderr);
	return 2;
}

static bool read_port(const char *text, uint16_t *ret)
{
	unsigned long port = strspn(text, "0123456789") == strlen(text) && strlen(text) < 6 ? strtoul(text, NULL, 10) : 65536;

	*ret = (uint16_t)port;
	return port < 65536;
}

static bool read_options(int count, char **words, struct options *ret)
{
	for (int i = 1; i < count; i++) {
		if (!strcmp(words[i], "--dir") && i + 1 < count)
			ret->dir = words[++i];
		else if (!strcmp(words[i], "--port") && i + 1 < count && read_port(words[i + 1], &ret->port))
			i++;
		else if (!strcmp(words[i], "--until-stdin-closes"))
			ret->until_stdin_closes = true;
		else if (!strcmp(words[i], "--die-with-parent"))
			ret->die_with_parent = true;
		else
			return false;
	}
	return ret->dir;
}

/* DIR/name appears whole or not at all: whoever polls for it never reads half. */
static bool put_file(const char *dir, const char *name, const char *content)
{
	scoped(text_free) struct text path = { 0 };
	scoped(text_free) struct text temporary = { 0 };
	FILE *file;
	bool written;

	text_printf(&path, "%s/%s", dir, name);
	text_printf(&temporary, "%s/.%s.new", dir, name);
	file = fopen(temporary.at, "we");
	written = file && fputs(content, file) >= 0;
	if (file && fclose(file))
		written = false;
	if (written && !rename(temporary.at, path.at))
		return true;
	fprintf(stderr, "tiktok-emulator: cannot write '%s': %s\n", path.at, strerror(errno));
	return false;
}

static bool put_url(const char *dir, const char *name, uint16_t port, char ret[128])
{
	char line[129];

	(void)snprintf(ret, 128, "https://localhost:%u/open_api/v1.3", (unsigned)port);
	(void)snprintf(line, sizeof line, "%s\n", ret);
	return put_file(dir, name, line);
}

static bool prepare(const struct options *o, struct world *w, const struct tls *tls, const struct server *server)
{
	char base_url[128];

	if (mkdir(o->dir, 0700) && errno != EEXIST) {
		fprintf(stderr, "tiktok-emulator: cannot make '%s': %s\n", o->dir, strerror(errno));
		return false;
	}
	return put_file(o->dir, "ca.pem", tls_ca_pem(tls)) && put_url(o->dir, "other-base-url", server_other_port(server), w->other_base_url) &&
	       put_url(o->dir, "base-url", server_port(server), base_url);
}

static int serve(const struct options *o)
{
	pid_t parent = getppid();
	struct tls *tls = tls_new();
	struct world *world = world_new();
	struct server *server = tls ? server_new(world, tls, o->port) : NULL;
	scoped(text_free) struct text path = { 0 };
	bool ended = true;
	int control = -1;

	if (o->die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent))
		return 1;
	if (server && prepare(o, world, tls, server))
		control = control_listen(o->dir);
	if (control >= 0) {
		puts("ready");
		(void)fflush(stdout);
		ended = server_run(server, control, o->until_stdin_closes);
		text_printf(&path, "%s/control", o->dir);
		(void)unlink(path.at);
	}
	if (!ended) /* a connection still uses the world; the process ends without it */
		_exit(0);
	server_free(server);
	world_free(world);
	tls_free(tls);
	return control >= 0 ? 0 : 1;
}

int main(int count, char **words)
{
	struct options options = { 0 };

	for (int i = 1; i < count; i++)
		if (!strcmp(words[i], "--help") || !strcmp(words[i], "-h"))
			return help();
	if (count > 1 && !strcmp(words[1], "ctl"))
		return count > 3 ? control_client(words[2], count - 3, words + 3) : usage();
	if (!read_options(count, words, &options))
		return usage();
	return serve(&options);
}
