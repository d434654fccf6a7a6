#include "tests/emulator/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/emulator/fault.h"

enum { WORDS_MAX = 16, LINE_MAX_LEN = 16 * 1024 * 1024 };

struct command_call {
	struct world *world;
	const struct control_hooks *hooks;
	char *words[WORDS_MAX]; /* behind the command's name; the last may hold blanks if there are too many */
	int count;
	char *rest;             /* the same, uncut */
	bool quits;
	struct text *out;
};

struct command {
	const char *name, *args, *help;
	int least;              /* words needed */
	bool (*run)(struct command_call *c);
};

static bool refuse(struct command_call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct command_call *c, const char *format, ...)
{
	char message[300];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof message, format, args);
	va_end(args);
	text_printf(c->out, "error: %s\n", message);
	return false;
}

/* The value when `word` is "name=value". */
static char *option(char *word, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(word, name, len) && word[len] == '=' ? word + len + 1 : NULL;
}

static bool is_one_of(const char *value, const char *const *allowed)
{
	for (; *allowed; allowed++)
		if (!strcmp(value, *allowed))
			return true;
	return false;
}

static bool put_id(char to[ID_MAX], const char *value)
{
	if (strlen(value) >= ID_MAX || strspn(value, "0123456789") != strlen(value) || !*value)
		return false;
	(void)snprintf(to, ID_MAX, "%s", value);
	return true;
}

static bool put_choice(char to[ID_MAX], const char *value, const char *const *allowed)
{
	if (!is_one_of(value, allowed))
		return false;
	(void)snprintf(to, ID_MAX, "%s", value);
	return true;
}

static bool cmd_pixel(struct command_call *c)
{
	static const char *const relations[] = { "BOUND", "UNBOUND", "PENDING", "REJECTED", NULL };
	static const char *const statuses[] = { "null", "TRANSFERRED", "SHARED", "UNBOUND", NULL };
	struct pixel *p = world_pixel(c->world, c->words[0], true);

	for (int i = 1; i < c->count; i++) {
		char *word = c->words[i], *value;
		bool good = (value = option(word, "id")) ? put_id(p->id, value) : (value = option(word, "advertiser")) ? put_id(p->advertiser, value) :
			    (value = option(word, "bc")) ? put_id(p->bc, value) :
			    (value = option(word, "relation")) ? put_choice(p->relation, value, relations) :
			    (value = option(word, "status")) ? put_choice(p->status, value, statuses) : false;

		if (!good)
			return refuse(c, "pixel does not take '%.100s'", word);
	}
	return true;
}

static bool cmd_forget_pixel(struct command_call *c)
{
	struct pixel *p = world_find_pixel(c->world, c->words[0]);

	if (!p)
		return refuse(c, "no pixel '%.100s'", c->words[0]);
	p->exists = false;
	return true;
}

static int kind_of(const char *name, int limit)
{
	for (int i = 0; i < limit; i++)
		if (!strcmp(token_kind_names[i], name))
			return i;
	return -1;
}

static void grant_list(struct command_call *c, struct token *t, char *codes)
{
	char *save = NULL;

	for (char *code = strtok_r(codes, ",", &save); code; code = strtok_r(NULL, ",", &save))
		token_grant(t, world_pixel(c->world, code, true)->number);
}

struct token_options {
	char *pixels, *scopes, *refresh;
	int kind;
	int64_t expires_at, refresh_expires_at;
};

static bool read_token_options(struct command_call *c, struct token_options *ret)
{
	for (int i = 1; i < c->count; i++) {
		char *word = c->words[i], *value;

		if ((value = option(word, "pixels")))
			ret->pixels = value;
		else if ((value = option(word, "kind")))
			ret->kind = kind_of(value, TOKEN_REFRESH);
		else if ((value = option(word, "expires")))
			ret->expires_at = strtoll(value, NULL, 10);
		else if ((value = option(word, "scopes")) && strlen(value) < ID_MAX)
			ret->scopes = value;
		else if ((value = option(word, "refresh")))
			ret->refresh = value;
		else if ((value = option(word, "refresh-expires")))
			ret->refresh_expires_at = strtoll(value, NULL, 10);
		else
			return refuse(c, "token does not take '%.100s'", word);
		if (ret->kind < 0)
			return refuse(c, "no such kind: '%.100s'", word);
	}
	return true;
}

static bool cmd_token(struct command_call *c)
{
	struct token_options o = { .kind = TOKEN_EVENTS };
	struct token *t, *refresh;

	if (!read_token_options(c, &o))
		return false;
	t = world_token(c->world, c->words[0], (enum token_kind)o.kind);
	t->expires_at = o.expires_at;
	if (o.pixels)
		grant_list(c, t, o.pixels);
	if (o.scopes)
		(void)snprintf(t->scopes, sizeof t->scopes, "%s", o.scopes);
	if (o.refresh && *o.refresh) {
		refresh = world_token(c->world, o.refresh, TOKEN_REFRESH);
		refresh->mints = (enum token_kind)o.kind;
		refresh->expires_at = o.refresh_expires_at;
		token_copy_rights(refresh, t);
	}
	return true;
}

static bool cmd_auth_code(struct command_call *c)
{
	struct token_options o = { .kind = TOKEN_MARKETING };
	struct token *t;

	if (!read_token_options(c, &o))
		return false;
	t = world_token(c->world, c->words[0], TOKEN_AUTH_CODE);
	t->mints = (enum token_kind)o.kind;
	t->expires_at = o.expires_at;
	(void)snprintf(t->scopes, sizeof t->scopes, "%s", o.scopes ? o.scopes : "1,2,3,4,5,6,7,8,9,15");
	if (o.pixels)
		grant_list(c, t, o.pixels);
	return true;
}

static struct token *need_token(struct command_call *c)
{
	struct token *t = world_find_token(c->world, c->words[0]);

	if (!t)
		(void)refuse(c, "no token '%.100s'", c->words[0]);
	return t;
}

static bool cmd_revoke(struct command_call *c)
{
	struct token *t = need_token(c);

	if (t)
		t->is_revoked = true;
	return t;
}

static bool cmd_expire(struct command_call *c)
{
	struct token *t = need_token(c);

	if (t)
		t->is_expired = true;
	return t;
}

static bool cmd_restore(struct command_call *c)
{
	struct token *t = need_token(c);

	if (t) {
		t->is_revoked = t->is_expired = false;
		t->expires_at = 0;
	}
	return t;
}

static bool cmd_grant(struct command_call *c)
{
	struct token *t = need_token(c);

	if (t)
		token_grant(t, world_pixel(c->world, c->words[1], true)->number);
	return t;
}

static bool cmd_ungrant(struct command_call *c)
{
	struct token *t = need_token(c);
	struct pixel *p = t ? world_find_pixel(c->world, c->words[1]) : NULL;

	if (!t)
		return false;
	if (!p)
		return refuse(c, "no pixel '%.100s'", c->words[1]);
	token_ungrant(t, p->number);
	return true;
}

static bool cmd_regenerate(struct command_call *c)
{
	struct token *old = need_token(c), *new;

	if (!old)
		return false;
	if (!strcmp(c->words[0], c->words[1]))
		return refuse(c, "regenerate needs a new value");
	new = world_token(c->world, c->words[1], old->kind);
	token_copy_rights(new, old);
	if (c->world->knobs[KNOB_OLD_TOKEN].choice == OLD_TOKEN_DIES)
		old->is_revoked = true;
	return true;
}

static bool cmd_knob(struct command_call *c)
{
	int id = knob_find(c->words[0]);
	const char *value = c->rest + strcspn(c->rest, " ");

	value += strspn(value, " ");
	if (id < 0)
		return refuse(c, "no knob '%.100s'", c->words[0]);
	if (c->count == 1)
		text_printf(c->out, "%s\n", c->world->knobs[id].text);
	else if (!knob_set(&c->world->knobs[id], (enum knob_id)id, value))
		return refuse(c, "knob %s takes %s, not '%.100s'", knob_rows[id].name, knob_rows[id].values, value);
	else if (id == KNOB_THROTTLE)
		c->world->throttle_started_ms = c->world->throttle_seen = 0;
	return true;
}

static bool cmd_knobs(struct command_call *c)
{
	for (int i = 0; i < KNOB_COUNT; i++)
		text_printf(c->out, "%s %s\n", knob_rows[i].name, c->world->knobs[i].text);
	return true;
}

static bool cmd_reset(struct command_call *c)
{
	world_reset(c->world);
	return true;
}

static void put_rules(struct command_call *c)
{
	for (size_t i = 0; i < c->world->fault_count; i++) {
		const struct fault_rule *rule = &c->world->faults[i];

		if (strcmp(rule->row->name, "code-NNNNN"))
			text_puts(c->out, rule->row->name);
		else
			text_printf(c->out, "code-%d", rule->code);
		text_printf(c->out, " times=%ld after=%ld path=%s pixel=%s work=%s\n", rule->times, rule->after, rule->path, rule->pixel,
			    rule->works ? "yes" : "no");
	}
}

static bool read_count(const char *text, long *ret)
{
	if (!*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		return false;
	*ret = strtol(text, NULL, 10);
	return true;
}

static bool read_rule(struct command_call *c, struct fault_rule *rule)
{
	rule->row = fault_find(c->words[0], &rule->code);
	if (!rule->row)
		return refuse(c, "no fault '%.100s'", c->words[0]);
	for (int i = 1; i < c->count; i++) {
		char *word = c->words[i], *value;
		bool good = true;

		if ((value = option(word, "times")))
			good = read_count(value, &rule->times) && rule->times > 0;
		else if ((value = option(word, "after")))
			good = read_count(value, &rule->after);
		else if ((value = option(word, "path")) && strlen(value) < NAME_MAX_SEEN)
			(void)snprintf(rule->path, sizeof rule->path, "%s", value);
		else if ((value = option(word, "pixel")) && strlen(value) < NAME_MAX_SEEN)
			(void)snprintf(rule->pixel, sizeof rule->pixel, "%s", value);
		else if ((value = option(word, "work")))
			rule->works = !strcmp(value, "yes");
		else
			good = false;
		if (!good)
			return refuse(c, "fault does not take '%.100s'", word);
	}
	return true;
}

static bool cmd_fault(struct command_call *c)
{
	struct world *w = c->world;
	struct fault_rule rule = { .times = -1 };

	if (!c->count) {
		put_rules(c);
		return true;
	}
	if (!strcmp(c->words[0], "off")) {
		w->fault_count = 0;
		return true;
	}
	if (!read_rule(c, &rule))
		return false;
	for (size_t i = 0; i < w->fault_count; i++)
		if (!strcmp(w->faults[i].path, rule.path) && !strcmp(w->faults[i].pixel, rule.pixel)) {
			w->fault_count--;
			memmove(&w->faults[i], &w->faults[i + 1], (w->fault_count - i) * sizeof rule);
			break;
		}
	if (w->fault_count == FAULT_RULE_MAX)
		return refuse(c, "no more than %d faults at a time", FAULT_RULE_MAX);
	w->faults[w->fault_count++] = rule;
	return true;
}

static bool cmd_count(struct command_call *c)
{
	static const struct pixel none;
	const struct pixel *p = table_get(&c->world->pixels_by_code, c->words[0]);

	p = p ? p : &none;
	text_printf(c->out, "events=%llu test=%llu dry=%llu refused=%llu\n", (unsigned long long)p->events, (unsigned long long)p->test,
		    (unsigned long long)p->dry, (unsigned long long)p->refused);
	return true;
}

static bool cmd_totals(struct command_call *c)
{
	const struct totals *t = &c->world->totals;

	text_printf(c->out, "requests=%llu\nconnections=%llu\nmax-in-flight=%ld\napp-bytes-with-bad-cert=%llu\nhandshakes-failed=%llu\n"
		    "other-host-connections=%llu\nother-host-requests=%llu\nother-host-tokens=%llu\n",
		    (unsigned long long)t->requests, (unsigned long long)t->connections, t->max_in_flight, (unsigned long long)t->bad_cert_bytes,
		    (unsigned long long)t->handshakes_failed, (unsigned long long)t->other_connections, (unsigned long long)t->other_requests,
		    (unsigned long long)t->other_tokens);
	return true;
}

static bool cmd_log(struct command_call *c)
{
	const struct world *w = c->world;
	uint64_t kept = w->journal_count < JOURNAL_MAX ? w->journal_count : JOURNAL_MAX, wanted = 1000;
	long asked;

	if (c->count) {
		if (!read_count(c->words[0], &asked))
			return refuse(c, "log takes a number of lines");
		wanted = (uint64_t)asked;
	}
	for (uint64_t i = w->journal_count - (wanted < kept ? wanted : kept); i < w->journal_count; i++) {
		text_puts(c->out, w->journal[i % JOURNAL_MAX]);
		text_puts(c->out, "\n");
	}
	return true;
}

/* Bytes of a request; an end of line is added when there is none, so that "ok" stands alone. */
static bool put_raw(struct command_call *c, const struct text *t)
{
	text_add(c->out, t->at, t->len);
	if (t->len && t->at[t->len - 1] != '\n')
		text_puts(c->out, "\n");
	return true;
}

static bool cmd_last_body(struct command_call *c)
{
	return put_raw(c, &c->world->last_body);
}

static bool cmd_last_head(struct command_call *c)
{
	return put_raw(c, &c->world->last_head);
}

static bool cmd_drop(struct command_call *c)
{
	c->hooks->drop(c->hooks->context);
	return true;
}

static bool cmd_quit(struct command_call *c)
{
	c->quits = true;
	return true;
}

static const struct command commands[] = {
	{ "pixel", "CODE [id=DIGITS] [advertiser=DIGITS] [bc=DIGITS] [relation=BOUND|UNBOUND|PENDING|REJECTED] [status=null|TRANSFERRED|SHARED|UNBOUND]",
	  "make or change a pixel; without options: an id made from the code, advertiser 7000000000000000001, bc 7000000000000000002, BOUND, null",
	  1, cmd_pixel },
	{ "forget-pixel", "CODE", "the pixel does not exist any more (its counters stay)", 1, cmd_forget_pixel },
	{ "token",
	  "VALUE [pixels=CODE,CODE...] [kind=events|marketing|tt_user|login] [expires=UNIXSECONDS] [scopes=N,N] "
	  "[refresh=VALUE] [refresh-expires=UNIXSECONDS]",
	  "make or replace a token that may operate these pixels (made if missing); kind events unless said;\n"
	  "      scopes: 5 or 8 open event/track (not needed by kind=events), 8 pixel/*, 15 bc/*; kind=marketing has all unless said", 1, cmd_token },
	{ "auth-code", "VALUE [pixels=CODE,CODE...] [kind=marketing|tt_user|login] [expires=UNIXSECONDS]",
	  "make an auth code, good for one exchange", 1, cmd_auth_code },
	{ "revoke", "VALUE", "40105 from now on", 1, cmd_revoke },
	{ "expire", "VALUE", "40102 (refresh token: 40103) from now on", 1, cmd_expire },
	{ "restore", "VALUE", "undo revoke, expire and expires=", 1, cmd_restore },
	{ "grant", "VALUE CODE", "the token may operate this pixel (made if missing)", 2, cmd_grant },
	{ "ungrant", "VALUE CODE", "the token may not any more", 2, cmd_ungrant },
	{ "regenerate", "OLD NEW", "NEW gets the rights of OLD; the knob old-token says whether OLD dies", 2, cmd_regenerate },
	{ "knob", "NAME [VALUE]", "set a knob (the rest of the line is the value), or print it", 1, cmd_knob },
	{ "knobs", "", "print all knobs", 0, cmd_knobs },
	{ "reset", "", "knobs to defaults; counters, log and faults forgotten; pixels and tokens stay", 0, cmd_reset },
	{ "fault", "[NAME [times=N] [after=N] [path=/event/track/] [pixel=CODE] [work=yes|no] | off]",
	  "spoil the next N (default: all) matching requests, after letting through the first `after`; path matches the end of the path;\n"
	  "      work=yes: the request takes effect, only its answer is spoilt. A fault replaces one with the same path and pixel;\n"
	  "      of several that match the newest wins. Without arguments: print the faults in force", 0, cmd_fault },
	{ "count", "CODE", "events=N test=M dry=K refused=R: accepted live events, accepted events with test_event_code,\n"
			   "      requests with empty or absent data, other event/track requests that recorded nothing", 1, cmd_count },
	{ "totals", "",
	  "one name=number a line; app-bytes-with-bad-cert counts from clients whose handshake fell under a bad cert= or tls=", 0, cmd_totals },
	{ "log", "[N]", "the last N (default 1000, at most 100000) requests", 0, cmd_log },
	{ "last-body", "", "the body of the last request", 0, cmd_last_body },
	{ "last-head", "", "its raw head", 0, cmd_last_head },
	{ "drop", "", "close all open API connections (cert= and tls= act on new connections only)", 0, cmd_drop },
	{ "quit", "", "end", 0, cmd_quit },
};

static void cut(struct command_call *c, char *at)
{
	while (*at && c->count < WORDS_MAX) {
		c->words[c->count++] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = '\0';
		at += strspn(at, " ");
	}
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

bool control_run(struct world *w, const struct control_hooks *hooks, char *line, struct text *out)
{
	scoped(text_free) struct text words = { 0 };
	struct command_call c = { .world = w, .hooks = hooks, .out = out };
	const struct command *command;
	char *name = line + strspn(line, " ");

	c.rest = name + strcspn(name, " ");
	if (*c.rest)
		*c.rest++ = '\0';
	c.rest += strspn(c.rest, " ");
	text_puts(&words, c.rest);
	cut(&c, words.at);
	command = find_command(name);
	if (!command) {
		text_printf(out, "error: no command '%.100s' (see --help)\n", name);
	} else if (c.count < command->least) {
		text_printf(out, "error: usage: %s %s\n", command->name, command->args);
	} else {
		world_lock(w);
		if (command->run(&c))
			text_puts(out, "ok\n");
		world_unlock(w);
	}
	return !c.quits;
}

static bool send_all(int fd, const char *at, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += sent;
		len -= (size_t)sent;
	}
	return true;
}

/* Run the whole lines at the start of `in`, and drop them from it. False: the end. */
static bool serve_lines(int fd, struct world *w, const struct control_hooks *hooks, struct text *in)
{
	scoped(text_free) struct text out = { 0 };
	char *line = in->at, *end;
	bool goes_on = true, is_sent;
	size_t used;

	while (goes_on && (end = memchr(line, '\n', in->len - (size_t)(line - in->at)))) {
		*end = '\0';
		if (*line)
			goes_on = control_run(w, hooks, line, &out);
		else
			text_puts(&out, "ok\n");
		line = end + 1;
	}
	used = (size_t)(line - in->at);
	memmove(in->at, line, in->len - used);
	in->len -= used;
	is_sent = send_all(fd, out.at, out.len);
	if (!goes_on)
		hooks->stop(hooks->context);
	return goes_on && is_sent;
}

void control_serve(int fd, struct world *w, const struct control_hooks *hooks)
{
	scoped(text_free) struct text in = { 0 };
	char buffer[64 * 1024];
	ssize_t got;

	while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0 || (got < 0 && errno == EINTR)) {
		if (got < 0)
			continue;
		text_add(&in, buffer, (size_t)got);
		if (memchr(buffer, '\n', (size_t)got) && !serve_lines(fd, w, hooks, &in))
			return;
		if (in.len > LINE_MAX_LEN)
			return;
	}
}

/* Through /proc, because a socket's path may have 107 bytes only and test folders are deep. */
static int open_address(const char *dir, struct sockaddr_un *ret)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/control", fd);
	return fd;
}

int control_listen(const char *dir)
{
	struct sockaddr_un address;
	int at = open_address(dir, &address), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (at >= 0)
		(void)unlinkat(at, "control", 0);
	if (at < 0 || fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64)) {
		perror("tiktok-emulator: cannot make the control socket");
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
	}
	if (at >= 0)
		(void)close(at);
	return fd;
}

/* Commands go out in a thread of their own, so that long answers and many commands cannot wait for each other. */
struct sender {
	int fd;
	const struct text *line; /* NULL = copy stdin */
};

static void *send_commands(void *at)
{
	const struct sender *s = at;
	char buffer[64 * 1024];
	ssize_t got;

	if (s->line)
		(void)send_all(s->fd, s->line->at, s->line->len);
	while (!s->line && ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)))
		if (got > 0 && !send_all(s->fd, buffer, (size_t)got))
			break;
	if (!s->line)
		(void)send_all(s->fd, "\n", 1); /* a last line without its end; costs one "ok" otherwise */
	(void)shutdown(s->fd, SHUT_WR);
	return NULL;
}

/* Print what is not "ok". `last-body` may hold any line, "ok" too: with one command only the last line is the verdict. */
static int print_answers(FILE *in, bool is_one)
{
	char *line = NULL, *held = NULL;
	size_t line_cap = 0, held_cap = 0;
	ssize_t len, held_len = -1;
	int status = 0, verdicts = 0;

	while ((len = getline(&line, &line_cap, in)) > 0) {
		char *other = held;
		size_t other_cap = held_cap;

		if (is_one && held_len >= 0)
			(void)fwrite(held, 1, (size_t)held_len, stdout);
		held = line, held_cap = line_cap, held_len = len;
		line = other, line_cap = other_cap;
		if (is_one)
			continue;
		verdicts++;
		if (!strncmp(held, "error: ", 7)) {
			fputs(held, stderr);
			status = 1;
		} else if (strcmp(held, "ok\n")) {
			(void)fwrite(held, 1, (size_t)held_len, stdout);
		}
	}
	if (is_one && (held_len < 0 || strcmp(held, "ok\n"))) {
		fputs(held_len >= 0 ? held : "error: the emulator left without an answer\n", stderr);
		status = 1;
	}
	if (!is_one && !verdicts) {
		fputs("error: the emulator left without an answer\n", stderr);
		status = 1;
	}
	free(line);
	free(held);
	return fflush(stdout) ? 1 : status;
}

int control_client(const char *dir, int count, char **words)
{
	struct sockaddr_un address;
	int at = open_address(dir, &address), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
	bool is_one = strcmp(words[0], "-");
	scoped(text_free) struct text line = { 0 };
	struct sender sender = { .fd = fd, .line = is_one ? &line : NULL };
	pthread_t thread;
	FILE *in;

	if (at < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
		fprintf(stderr, "error: no emulator in '%s': %s\n", dir, strerror(errno));
		if (at >= 0)
			(void)close(at);
		if (fd >= 0)
			(void)close(fd);
		return 1;
	}
	(void)close(at);
	for (int i = 0; i < count; i++)
		text_printf(&line, "%s%s", words[i], i + 1 < count ? " " : "\n");
	in = fdopen(fd, "r");
	if (!in || pthread_create(&thread, NULL, send_commands, &sender)) {
		perror("error: cannot send commands");
		return 1;
	}
	status = print_answers(in, is_one);
	(void)pthread_join(thread, NULL);
	(void)fclose(in);
	return status;
}

void control_help(struct text *out)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		text_printf(out, "  %s %s\n      %s\n", commands[i].name, commands[i].args, commands[i].help);
}
