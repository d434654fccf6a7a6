/* The keeper's event loop: everything a client waits for is answered from here, from memory. What waits for a disk or for
 * TikTok is the worker's (agent/worker.h). */
#include "agent/keeper.h"

#include "agent/access.h"
#include "agent/accounts.h"
#include "agent/api.h"
#include "agent/board_listen.h"
#include "agent/credentials.h"
#include "agent/holdings.h"
#include "agent/link.h"
#include "agent/listener.h"
#include "agent/sandbox.h"
#include "agent/settings.h"
#include "agent/socket_path.h"
#include "agent/text.h"
#include "agent/worker.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG_LINK 1
#define TAG_WORKER 2
#define TAG_LISTENER 64 /* and the 63 behind it */
#define EVENTS_AT_ONCE 64
#define TURN_MS 250
#define ALIVE_MS 1000
#define PATH_LOOK_MS 60000
#define START_MS 60000   /* until the supervisor has passed everything: it may have to ask a slow name service */
#define FAREWELL_MS 1000 /* for the last answers to be read */
#define WRITABLE_MAX 4
#define READABLE_MAX 16

struct keeper {
	const char *config; /* --config */
	struct settings settings;
	int link, epoll;
	struct buf accounts; /* what the names in the rules mean, from the supervisor */
	struct access *access;
	struct holdings *holdings;
	struct worker *worker;
	struct api *api;
	struct listener *listener;
	int agent_fd; /* the listening socket that we made, or -1; socket_path_leads_to looks at it */
	bool is_passed; /* systemd's: its path is systemd's business */
	char credentials_path[PATH_MAX]; /* of the one that we made; "" = none */
	int passed_agent, passed_credentials; /* systemd's, or -1 */
	int passed_board;                     /* of status-listen, which the supervisor opened; or -1 */
	struct secret *board_token;
	struct sandbox_report report;
	char layers[SANDBOX_TEXT_MAX];
	bool is_ready, is_stopping, has_lost;
	int64_t alive_ms, path_ms;
};

/* ---- news from the worker ---- */

static void say_status(struct keeper *k, const char *text)
{
	/* A supervisor that is gone takes us with it: nothing to do about a message that cannot be sent. */
	(void)!link_send(k->link, k->is_ready ? LINK_STATUS : LINK_READY, text, -1);
	if (!k->is_ready)
		log_line(LOG_INFO, "ready on %s: %s; %s", k->settings.socket, text, k->layers);
	else
		log_line(LOG_INFO, "%s", text);
	k->is_ready = true;
}

static void say_opened(struct keeper *k, size_t damaged)
{
	char text[80];
	size_t count = holdings_count(k->holdings);
	snprintf(text, sizeof text, "unlocked, %zu Pixel%s", count, count == 1 ? "" : "s");
	say_status(k, text);
	if (damaged)
		log_line(LOG_ERROR, LOG_DAMAGED, damaged, damaged == 1 ? " is" : "s are");
}

static void say_closed(struct keeper *k, const struct error *why)
{
	char text[LINK_TEXT_MAX];
	snprintf(text, sizeof text, "locked%s%.220s", why->code ? ": " : "", why->code ? why->message : "");
	say_status(k, text);
}

static void take_holding(struct keeper *k, struct news *n)
{
	struct holding *before = NULL;
	struct error err;
	/* An acknowledged token that is not handed out, or an old one that is, would be worse than a new start. */
	if (!holdings_put(k->holdings, n->holding, &before, &err))
		worker_end_without_memory();
	holdings_forget_damage(k->holdings, n->holding->id);
	api_on_change(k->api, before, n->holding);
	holding_free(before);
}

static void take_damage(struct keeper *k, const struct news *n)
{
	struct holding *before = NULL;
	struct error err;
	if (!holdings_note_damage(k->holdings, n->id, &n->err, &before, &err))
		worker_end_without_memory();
	log_error(&n->err);
	if (before)
		api_on_change(k->api, before, NULL);
	holding_free(before);
}

static void drop_holding(struct keeper *k, const struct news *n)
{
	struct holding *before = holdings_remove(k->holdings, n->pixel);
	holdings_forget_damage(k->holdings, n->id);
	if (before)
		api_on_change(k->api, before, NULL);
	holding_free(before);
}

static void take_news(struct keeper *k, struct news *n)
{
	switch (n->kind) {
	case NEWS_DONE:
		api_finish(k->api, n->errand);
		break;
	case NEWS_PROGRESS:
		api_progress(k->api, n);
		break;
	case NEWS_OPENED:
		api_opened(k->api, n->opener, n->audit);
		say_opened(k, n->damaged);
		break;
	case NEWS_CLOSED:
		api_closed(k->api, &n->err);
		holdings_clear(k->holdings);
		worker_let_go(k->worker, n->closing);
		say_closed(k, &n->err);
		break;
	case NEWS_HOLDING:
		take_holding(k, n);
		break;
	case NEWS_ALERTS:
		api_take_alert_metrics(k->api, &n->text);
		break;
	case NEWS_LISTS:
		api_take_lists(k->api, &n->text);
		break;
	case NEWS_GONE:
		drop_holding(k, n);
		break;
	case NEWS_DAMAGED:
		take_damage(k, n);
		break;
	case NEWS_TROUBLE:
		api_trouble(k->api, &n->err, n->err.code == ERR_STORAGE);
		log_error(&n->err);
		break;
	case NEWS_LOSS:
		api_lost(k->api, &n->err);
		log_error(&n->err);
		break;
	case NEWS_CHECKED:
		api_swept(k->api, &n->check, clock_wall());
		if (n->check.notice)
			log_line(LOG_WARNING, "%s", n->check.notice);
		break;
	case NEWS_COURIER_STUCK:
		(void)!link_send(k->link, LINK_HANGS, NULL, -1);
		break;
	}
	news_free(n);
}

static void take_all_news(struct keeper *k)
{
	struct news *n;
	while ((n = worker_take(k->worker)))
		take_news(k, n);
}

/* ---- reload ---- */

/* What is bound to the sandbox, the sockets or the open vault: a reload cannot change it. */
static bool needs_restart(const struct settings *was, const struct settings *now)
{
	return strcmp(was->vault_path, now->vault_path) != 0 || strcmp(was->state_dir, now->state_dir) != 0 ||
	       strcmp(was->socket, now->socket) != 0 || strcmp(was->user, now->user) != 0 ||
	       strcmp(was->group, now->group) != 0 || strcmp(was->key_file, now->key_file) != 0 ||
	       strcmp(was->status_listen, now->status_listen) != 0 ||
	       was->require_locked_memory != now->require_locked_memory;
}

static void keep_bound_settings(const struct settings *was, struct settings *now)
{
	memcpy(now->vault_path, was->vault_path, sizeof now->vault_path);
	memcpy(now->state_dir, was->state_dir, sizeof now->state_dir);
	memcpy(now->socket, was->socket, sizeof now->socket);
	memcpy(now->user, was->user, sizeof now->user);
	memcpy(now->group, was->group, sizeof now->group);
	memcpy(now->key_file, was->key_file, sizeof now->key_file);
	memcpy(now->status_listen, was->status_listen, sizeof now->status_listen);
	now->require_locked_memory = was->require_locked_memory;
}

static void take_accounts(struct keeper *k, int fd)
{
	struct error err;
	buf_clear(&k->accounts);
	if (!file_read(fd, "accounts", ACCOUNTS_BYTES_MAX, ERR_UNEXPECTED, &k->accounts, &err))
		log_error(&err);
}

static bool make_access(const struct keeper *k, const struct settings *settings, struct access **ret, struct error *err)
{
	struct bytes accounts = buf_bytes(&k->accounts);
	return access_new(settings->config, geteuid(), &accounts, ret, err);
}

static void reload(struct keeper *k)
{
	struct settings_flags flags = { .config = k->config };
	struct settings fresh = { 0 };
	struct access *access = NULL;
	struct error err;
	if (!settings_load(&flags, &fresh, &err) || !make_access(k, &fresh, &access, &err)) {
		log_error(&err);
		log_line(LOG_ERROR, "the configuration was not reloaded: the old one stays in force");
		settings_done(&fresh);
		(void)!link_send(k->link, LINK_READY, "reload refused: the old configuration stays in force", -1);
		return;
	}
	if (needs_restart(&k->settings, &fresh))
		log_line(LOG_WARNING, "some new settings (paths, socket, user, group, locked memory) need a restart");
	keep_bound_settings(&k->settings, &fresh);
	listener_reload(k->listener, access);
	struct settings old = k->settings;
	struct access *old_access = k->access;
	k->settings = fresh;
	k->access = access;
	api_reload(k->api, &k->settings, k->access);
	worker_reload(k->worker, &k->settings);
	access_free(old_access);
	settings_done(&old);
	log_line(LOG_INFO, "configuration reloaded");
	(void)!link_send(k->link, LINK_READY, "configuration reloaded", -1);
}

/* ---- the supervisor's messages ---- */

static void take_message(struct keeper *k, const struct link_message *m, int fd)
{
	switch ((enum link_kind)m->kind) {
	case LINK_COURIER:
		worker_give_courier(k->worker, fd);
		return;
	case LINK_ACCOUNTS:
		take_accounts(k, fd);
		break;
	case LINK_RELOAD:
		reload(k);
		break;
	case LINK_STOP:
		k->is_stopping = true;
		break;
	default:
		break;
	}
	file_closep(&fd);
}

static void read_link(struct keeper *k)
{
	struct link_message m;
	int fd;
	enum link_got got;
	while ((got = link_receive(k->link, &m, &fd)) == LINK_GOT_MESSAGE)
		take_message(k, &m, fd);
	if (got == LINK_GOT_END)
		k->is_stopping = true;
}

/* ---- the loop ---- */

static void keep_time(struct keeper *k, int64_t now_ms)
{
	if (now_ms >= k->alive_ms) {
		(void)!link_send(k->link, LINK_ALIVE, NULL, -1);
		k->alive_ms = now_ms + ALIVE_MS;
	}
	if (now_ms < k->path_ms)
		return;
	k->path_ms = now_ms + PATH_LOOK_MS;
	if (!k->is_passed && !socket_path_leads_to(k->settings.socket, k->agent_fd)) {
		log_line(LOG_ERROR, "%s no longer leads to this agent: somebody put another socket in its place; ending",
			 k->settings.socket);
		k->is_stopping = k->has_lost = true;
	}
}

static void handle(struct keeper *k, const struct epoll_event *event)
{
	if (event->data.u64 == TAG_LINK)
		read_link(k);
	else if (event->data.u64 == TAG_WORKER)
		take_all_news(k);
	else
		listener_event(k->listener, event->data.u64, event->events);
}

static void turn(struct keeper *k, int wait_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	wait_ms = listener_has_more(k->listener) ? 0 : api_wait_ms(k->api, wait_ms);
	int count = epoll_wait(k->epoll, events, EVENTS_AT_ONCE, wait_ms);
	int64_t now_ms = clock_boot_ms();
	api_begin_turn(k->api, now_ms);
	for (int i = 0; i < count; i++)
		handle(k, &events[i]);
	listener_turn(k->listener, now_ms);
	api_end_turn(k->api, clock_boot_ms()); /* the round itself counts as the log's turn, too */
	if (listener_has_more(k->listener))
		listener_turn(k->listener, now_ms);
	keep_time(k, now_ms);
}

/* No newcomers; what is under way is finished and answered, then the vault is closed. */
static void wind_up(struct keeper *k)
{
	listener_stop(k->listener);
	api_stop(k->api);
	turn(k, 0); /* who only waited need not wait for the worker's end too, which may take long */
	worker_stop(k->worker);
	/* That may have taken long: the listener's limits are not to count it against who was waiting for us. */
	listener_turn(k->listener, clock_boot_ms());
	take_all_news(k);
	int64_t until = clock_boot_ms() + FAREWELL_MS;
	while (listener_count(k->listener) && clock_boot_ms() < until)
		turn(k, 20);
}

/* ---- starting ---- */

static bool receive_sockets(struct keeper *k, int *ret_courier, struct error *err)
{
	int64_t until = clock_boot_ms() + START_MS;
	struct link_message m;
	int fd;
	for (;;) {
		struct pollfd event = { .fd = k->link, .events = POLLIN };
		int64_t left = until - clock_boot_ms();
		if (left <= 0 || (poll(&event, 1, (int)left) < 0 && errno != EINTR))
			return fail(err, ERR_UNEXPECTED, TXT_KEEPER_ALONE);
		enum link_got got = link_receive(k->link, &m, &fd);
		if (got == LINK_GOT_END)
			return fail(err, ERR_UNEXPECTED, TXT_KEEPER_ALONE);
		if (got == LINK_GOT_NOTHING)
			continue;
		if (m.kind == LINK_GO)
			return true;
		if (m.kind == LINK_ACCOUNTS)
			take_accounts(k, fd);
		int *place = m.kind == LINK_COURIER		     ? ret_courier
			     : m.kind != LINK_SOCKET		     ? NULL
			     : strcmp(m.text, "credentials") == 0 ? &k->passed_credentials
			     : strcmp(m.text, "board") == 0	     ? &k->passed_board
								     : &k->passed_agent;
		if (!place) {
			file_closep(&fd);
			continue;
		}
		file_closep(place);
		*place = fd;
	}
}

static bool find_group(const char *name, gid_t *ret, struct error *err)
{
	*ret = (gid_t)-1;
	if (!name[0])
		return true;
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	struct group *found = *end ? getgrnam(name) : NULL;
	if (*end && !found)
		return fail(err, ERR_CONFIG, TXT_KEEPER_NO_GROUP, name);
	*ret = found ? found->gr_gid : (gid_t)number;
	return true;
}

/* The socket's own folder; one that we make lets the group through to the socket. */
static bool make_socket_folder(const char *folder, gid_t group, struct error *err)
{
	struct stat st;
	if (stat(folder, &st) == 0)
		return true;
	if (!file_make_folder(folder, err))
		return false;
	bool is_fine = group == (gid_t)-1 || (chown(folder, (uid_t)-1, group) == 0 && chmod(folder, 0750) == 0);
	return is_fine ? true : fail(err, ERR_STORAGE, TXT_KEEPER_FOLDER, folder, strerror(errno));
}

static bool bind_sockets(struct keeper *k, struct error *err)
{
	char folder[PATH_MAX];
	gid_t group;
	k->is_passed = k->passed_agent >= 0;
	k->agent_fd = k->passed_agent;
	if (!find_group(k->settings.group, &group, err) ||
	    !file_folder_of(k->settings.socket, folder, sizeof folder, err))
		return false;
	int len = snprintf(k->credentials_path, sizeof k->credentials_path, "%s/credentials.sock", folder);
	if (len < 0 || (size_t)len >= sizeof k->credentials_path)
		return fail(err, ERR_CONFIG, TXT_SET_PATH_TOO_LONG, folder);
	if (k->agent_fd < 0 && (!make_socket_folder(folder, group, err) ||
				!socket_path_bind(k->settings.socket, 0660, group, &k->agent_fd, err)))
		return false;
	/* A path that is too long for a second socket beside the first only costs systemd's units their tokens. */
	struct error ignored;
	if (k->passed_credentials >= 0)
		k->credentials_path[0] = '\0';
	else if (!socket_path_bind(k->credentials_path, 0600, (gid_t)-1, &k->passed_credentials, &ignored)) {
		log_line(LOG_WARNING, "no socket for systemd's credentials: %s", ignored.message);
		k->credentials_path[0] = '\0';
	}
	return true;
}

static size_t add_path(const char **list, size_t count, const char *path)
{
	if (path && path[0])
		list[count++] = path;
	return count;
}

static bool enter_sandbox(struct keeper *k, struct error *err)
{
	const char *writable[WRITABLE_MAX + 1] = { NULL }, *readable[READABLE_MAX + 1] = { NULL };
	char vault_folder[PATH_MAX], socket_folder[PATH_MAX], config_folder[PATH_MAX], user_config[PATH_MAX];
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	const char *config = k->config ? k->config : getenv("PIXELVAULT_CONFIG");
	if (!file_folder_of(k->settings.vault_path, vault_folder, sizeof vault_folder, err) ||
	    !file_folder_of(k->settings.socket, socket_folder, sizeof socket_folder, err) ||
	    !file_folder_of(config ? config : "/etc/pixelvault/pixelvault.ini", config_folder, sizeof config_folder, err))
		return false;
	snprintf(user_config, sizeof user_config, "%s%s/pixelvault", xdg ? xdg : home ? home : "", xdg ? "" : "/.config");
	size_t count = add_path(writable, 0, vault_folder);
	count = add_path(writable, count, k->settings.state_dir);
	(void)add_path(writable, count, socket_folder);
	count = add_path(readable, 0, config_folder);
	count = add_path(readable, count, config ? NULL : user_config);
	count = add_path(readable, count, k->settings.key_file);
	count = add_path(readable, count, k->settings.passphrase_file);
	count = add_path(readable, count, getenv("CREDENTIALS_DIRECTORY"));
	/* A reload looks for our own home where the environment does not name it. All of /etc would be more than an agent
	 * that runs as root should see. */
	count = add_path(readable, count, "/etc/passwd");
	count = add_path(readable, count, "/etc/nsswitch.conf");
	count = add_path(readable, count, "/proc/sys/kernel/random/boot_id");
	(void)add_path(readable, count, "/dev/urandom");
	struct sandbox_plan plan = { .role = SANDBOX_KEEPER, .writable = writable, .readable = readable };
	if (!sandbox_enter(&plan, &k->report, err))
		return false;
	sandbox_text(&k->report, k->layers);
	return true;
}

static bool make_folders(const struct settings *settings, struct error *err)
{
	char folder[PATH_MAX];
	return file_make_folder(settings->state_dir, err) &&
	       file_folder_of(settings->vault_path, folder, sizeof folder, err) && file_make_folder(folder, err);
}

/* Everything that needs rights we are about to give up, then the giving up. */
static bool settle_in(struct keeper *k, struct error *err)
{
	if (!secret_arena_open(SECRET_ARENA_LARGE, err))
		return false;
	process_is_quick();
	if (k->settings.require_locked_memory && !secret_arena_is_locked())
		return fail(err, ERR_UNEXPECTED, TXT_AGENT_NOT_LOCKED);
	return bind_sockets(k, err) && sandbox_drop_to(k->settings.user, k->settings.group, err) &&
	       make_folders(&k->settings, err) && make_access(k, &k->settings, &k->access, err) &&
	       enter_sandbox(k, err);
}

static void give_to_worker(void *context, struct errand *e)
{
	worker_give(context, e);
}

static int64_t ask_clock(void *context)
{
	return worker_clock(context);
}

static size_t count_connections(void *context)
{
	const struct keeper *k = context;
	return k->listener ? listener_count(k->listener) : 0;
}

static void serve_credential(void *context, int fd, const struct peer *peer)
{
	credentials_serve(context, fd, peer);
}

static bool watch(struct keeper *k, int fd, uint64_t tag, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };
	if (epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_AGENT_RESOURCES, strerror(errno));
}

static bool open_for_business(struct keeper *k, struct error *err)
{
	if (k->passed_board >= 0 && !board_token_make(k->settings.state_dir, &k->board_token, err))
		return false;
	struct api_setup api = { .holdings = k->holdings,
				 .settings = &k->settings,
				 .access = k->access,
				 .layers = k->layers,
				 .board_token = k->board_token,
				 .give = give_to_worker,
				 .clock = ask_clock,
				 .worker = k->worker,
				 .connections = count_connections,
				 .listener = k };
	if (!api_new(&api, &k->api, err))
		return false;
	struct listener_setup listener = { .epoll_fd = k->epoll,
					   .tag = TAG_LISTENER,
					   .access = k->access,
					   .begin = api_begin,
					   .serve = api_serve,
					   .settle = api_settle,
					   .raw = serve_credential,
					   .context = k->api };
	if (!listener_new(&listener, &k->listener, err) || !listener_add(k->listener, k->agent_fd, err))
		return false;
	int credentials = k->passed_credentials, board = k->passed_board;
	k->passed_credentials = k->passed_board = -1;
	return (credentials < 0 || listener_add_raw(k->listener, credentials, err)) &&
	       (board < 0 || listener_add_web(k->listener, board, err)) &&
	       watch(k, k->link, TAG_LINK, err) && watch(k, worker_fd(k->worker), TAG_WORKER, err);
}

static bool start(struct keeper *k, struct error *err)
{
	struct settings_flags flags = { .config = k->config };
	int courier = -1;
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll < 0)
		return fail(err, ERR_UNEXPECTED, TXT_AGENT_RESOURCES, strerror(errno));
	if (!receive_sockets(k, &courier, err) || !settings_load(&flags, &k->settings, err) || !settle_in(k, err) ||
	    !holdings_new(&k->holdings, err) || !worker_start(&k->settings, k->config, k->link, &k->worker, err)) {
		file_closep(&courier);
		return false;
	}
	if (courier >= 0)
		worker_give_courier(k->worker, courier);
	holdings_expect_many(k->holdings);
	return open_for_business(k, err);
}

/* The sockets that we made go; systemd's stay. */
static void leave(struct keeper *k)
{
	if (k->listener)
		listener_free(k->listener);
	if (k->worker && !k->is_stopping)
		worker_stop(k->worker);
	if (k->api)
		api_free(k->api);
	worker_free(k->worker);
	holdings_free(k->holdings);
	access_free(k->access);
	if (!k->is_passed && k->agent_fd >= 0 && !k->has_lost)
		unlink(k->settings.socket);
	if (k->credentials_path[0] && !k->has_lost)
		unlink(k->credentials_path);
	secret_freep(&k->board_token);
	settings_done(&k->settings);
	buf_done(&k->accounts);
	file_closep(&k->epoll);
	secret_arena_close();
}

static int work(struct keeper *k)
{
	struct error err;
	if (!start(k, &err)) {
		log_error(&err);
		return (int)err.code;
	}
	while (!k->is_stopping)
		turn(k, TURN_MS);
	wind_up(k);
	return k->has_lost ? (int)ERR_UNEXPECTED : 0;
}

int keeper_main(const char *config)
{
	struct keeper k = { .config = config,
			    .link = LINK_FD,
			    .epoll = -1,
			    .accounts = BUF_INIT(ACCOUNTS_BYTES_MAX),
			    .agent_fd = -1,
			    .passed_agent = -1,
			    .passed_credentials = -1,
			    .passed_board = -1 };
	int type;
	socklen_t len = sizeof type;
	log_open("vault-agent", LOG_INFO);
	if (getsockopt(LINK_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET) {
		struct error err;
		(void)!fail(&err, ERR_USAGE, TXT_KEEPER_NOT_BY_HAND);
		log_error(&err);
		return (int)err.code;
	}
	(void)fcntl(LINK_FD, F_SETFD, FD_CLOEXEC);
	int status = work(&k);
	leave(&k);
	return status;
}
