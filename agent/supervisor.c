#include "agent/supervisor.h"

#include "agent/accounts.h"
#include "agent/board_listen.h"
#include "agent/link.h"
#include "agent/notify.h"
#include "agent/sandbox.h"
#include "agent/settings.h"
#include "agent/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Our own file, also after a package replaced it: processes of two versions never meet. */
#define OURSELVES "/proc/self/exe"
#define STOP_MS 90000
/* Some tell us and then our group, or tell twice: the commit in hand is finished all the same. */
#define HURRY_MS 1500
/* A keeper that gives no sign of life for as long after it was told to go gives none any more: libseccomp 2.5.4 turns in
 * circles where an allocation of its own fails. Less than TimeoutStartSec= of the unit. */
#define KEEPER_SILENT_MS 40000
#define COURIER_END_MS 200
#define COURIER_LIVED_MS 5000 /* one that dies sooner is no accident: the next but one is started after a pause */
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000
#define LISTEN_FIRST_FD 3
#define SOCKETS_MAX 8
#define MESSENGERS_MAX 16 /* the keeper has fewer open; one that it gave up may still be ending */
#define NEVER INT64_MAX

struct supervisor {
	struct notify notify;
	const char *config; /* --config */
	char **environment; /* the keeper's, and ours */
	int signals;
	int board;             /* listens at status-listen, until a keeper lives that has it; or -1 */
	int sockets;           /* as many from LISTEN_FIRST_FD on are systemd's, until a keeper lives that has them */
	char socket_names[256];
	int link;              /* -1 when the keeper has closed its end */
	pid_t keeper, courier; /* courier 0: none runs */
	pid_t messengers[MESSENGERS_MAX]; /* 0: none */
	int keeper_status;     /* as waitpid gave it, once has_ended */
	bool has_ended, is_stopping;
	bool is_alive;  /* the keeper said something */
	bool is_silent; /* it did not, and was ended for that */
	int64_t keeper_due_ms, keeper_pause_ms; /* when another one is started, in place of one that was silent */
	int64_t silent_ms;                      /* when one that has said nothing is ended */
	int64_t courier_began_ms, courier_due_ms, pause_ms;
	int64_t kill_ms; /* when our patience with the keeper ends */
	int64_t hurry_ms; /* what being told to stop again shortens it to */
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* --- the keeper's environment --- */

static bool is_passed(const char *variable, bool is_dropped)
{
	static const struct {
		const char *begins;
		bool is_personal; /* says where the files of the user are who started us */
	} passed[] = {
		{ "PIXELVAULT_", false },
		{ "CREDENTIALS_DIRECTORY=", false },
		{ "JOURNAL_STREAM=", false },
		{ "HOME=", true },
		{ "XDG_", true },
	};
	for (size_t i = 0; i < COUNT_OF(passed); i++)
		if (strncmp(variable, passed[i].begins, strlen(passed[i].begins)) == 0)
			return !(is_dropped && passed[i].is_personal);
	return false;
}

static void environment_freep(char ***list)
{
	for (size_t i = 0; *list && (*list)[i]; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
}

static char *variable_of(const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 2;
	char *variable = malloc(size);
	if (variable)
		snprintf(variable, size, "%s=%s", name, value);
	return variable;
}

/* What the settings and the log read, and nothing that systemd or a shell meant for somebody else. Once we are another
 * user, what root's defaults were must be said; the first of two equal names counts. */
static bool environment_make(const struct settings *s, bool is_dropped, char ***ret, struct error *err)
{
	const char *const fixed[][2] = { { "LANG", "C" },
					 { "PATH", "/usr/bin:/bin" },
					 { "PIXELVAULT_VAULT", s->vault_path },
					 { "PIXELVAULT_STATE", s->state_dir },
					 { "PIXELVAULT_SOCKET", s->socket } };
	size_t fixed_count = is_dropped ? COUNT_OF(fixed) : 2, most = fixed_count + 1, count = 0;
	for (char **at = environ; at && *at; at++)
		most++;
	scoped(environment_freep) char **list = calloc(most, sizeof *list);
	if (!list)
		return fail_no_memory(err);
	for (size_t i = 0; i < fixed_count; i++)
		if (!(list[count++] = variable_of(fixed[i][0], fixed[i][1])))
			return fail_no_memory(err);
	for (char **at = environ; at && *at; at++)
		if (is_passed(*at, is_dropped) && !(list[count++] = strdup(*at)))
			return fail_no_memory(err);
	*ret = take(list);
	return true;
}

/* --- sockets from systemd --- */

/* A Unix stream socket that listens; from now on without waiting, which systemd leaves to us (NonBlocking=): the
 * keeper's loop accepts until there is nothing left. */
static bool is_listener(int fd)
{
	int domain = 0, type = 0, listens = 0;
	socklen_t len = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
	       fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* How many descriptors from 3 on are meant for us. Source: sd_listen_fds(3). */
static int count_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	long fds = strtol(count, NULL, 10);
	return fds < 0 ? 0 : fds > SOCKETS_MAX ? SOCKETS_MAX : (int)fds;
}

/* Each one that has a name of ours. */
static void pass_sockets(int link, int count, const char *names)
{
	for (int fd = LISTEN_FIRST_FD; fd < LISTEN_FIRST_FD + count; fd++) {
		size_t len = strcspn(names, ":");
		char name[32];
		snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 0, names);
		names += len + (names[len] == ':');
		bool is_ours = strcmp(name, "agent") == 0 || strcmp(name, "credentials") == 0;
		if (!is_ours || !is_listener(fd))
			log_line(LOG_WARNING, "a socket from systemd is not used: its name is '%s', and %s", name,
				 is_ours ? "it is no listening Unix stream socket"
					 : "FileDescriptorName= must be agent or credentials");
		else if (!link_send(link, LINK_SOCKET, name, fd))
			log_line(LOG_WARNING, "the socket '%s' from systemd could not be passed to the keeper", name);
	}
}

/* Nobody but the keeper listens there. */
static void close_sockets(struct supervisor *s)
{
	for (; s->sockets; s->sockets--)
		close(LISTEN_FIRST_FD + s->sockets - 1);
	file_closep(&s->board);
}

/* --- the courier --- */

/* The next one: at once after one that lived, and after growing pauses when they die young. */
static void courier_plan(struct supervisor *s, int64_t now)
{
	if (now - s->courier_began_ms >= COURIER_LIVED_MS)
		s->pause_ms = 0;
	s->courier_due_ms = now + s->pause_ms;
	s->pause_ms = s->pause_ms == 0 ? PAUSE_FIRST_MS : earlier(s->pause_ms * 2, PAUSE_MAX_MS);
}

/* A fresh courier, and its socket to the keeper. What fails is tried again after a pause. */
static void courier_start(struct supervisor *s, int64_t now)
{
	static const char *const argv[] = { "vault-agent", "--courier", NULL };
	struct error err;
	int pair[2];
	s->courier_began_ms = now;
	s->courier_due_ms = NEVER;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		log_line(LOG_ERROR, "the courier could not be started: %s", strerror(errno));
		courier_plan(s, now);
		return;
	}
	struct process_plan plan = { .path = OURSELVES, .argv = argv, .fd = pair[0], .is_deaf = true };
	if (!process_spawn(&plan, &s->courier, &err)) {
		log_error(&err);
		courier_plan(s, now);
	} else if (!link_send(s->link, LINK_COURIER, NULL, pair[1])) {
		kill(s->courier, SIGKILL); /* its end is seen like any other's */
	}
	close(pair[0]);
	close(pair[1]);
}

static void courier_ended(struct supervisor *s, int status, int64_t now)
{
	s->courier = 0;
	if (s->is_stopping || s->link < 0)
		return;
	if (WIFSIGNALED(status))
		log_line(LOG_WARNING, "the courier was killed by signal %d; another one is started", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_line(LOG_WARNING, "the courier ended with status %d; another one is started", WEXITSTATUS(status));
	courier_plan(s, now);
}

/* --- messengers --- */

/* One that cannot be started closes its descriptor, by which the keeper knows. */
static void messenger_start(struct supervisor *s, int fd)
{
	const char *const argv[] = { "vault-agent", "--messenger", s->config ? "--config" : NULL, s->config, NULL };
	struct process_plan plan = {
		.path = OURSELVES, .argv = argv, .environment = s->environment, .fd = fd, .is_deaf = true
	};
	struct error err;
	size_t i = 0;
	while (i < MESSENGERS_MAX && s->messengers[i])
		i++;
	if (i == MESSENGERS_MAX)
		log_line(LOG_WARNING, "an alert waits: %d messengers are under way", MESSENGERS_MAX);
	else if (!s->is_stopping && !process_spawn(&plan, &s->messengers[i], &err))
		log_error(&err);
}

static void messenger_ended(struct supervisor *s, pid_t pid, int status)
{
	for (size_t i = 0; i < MESSENGERS_MAX; i++) {
		if (s->messengers[i] != pid)
			continue;
		s->messengers[i] = 0;
		if (WIFSIGNALED(status))
			log_line(LOG_WARNING, "a messenger was killed by signal %d", WTERMSIG(status));
	}
}

/* --- what the keeper says --- */

static void note_life(struct supervisor *s)
{
	if (!s->is_alive)
		close_sockets(s);
	s->is_alive = true;
	s->silent_ms = NEVER;
}

static void take_message(struct supervisor *s, const struct link_message *m, int fd, int64_t now)
{
	switch (m->kind) {
	case LINK_READY:
		notify_ready(&s->notify, m->text);
		break;
	case LINK_STATUS:
		notify_status(&s->notify, m->text);
		break;
	case LINK_ALIVE:
		notify_alive(&s->notify, now);
		break;
	case LINK_HANGS:
		if (s->courier)
			kill(s->courier, SIGKILL);
		break;
	case LINK_MESSENGER:
		messenger_start(s, fd);
		break;
	default:
		break;
	}
}

static void take_messages(struct supervisor *s, int64_t now)
{
	struct link_message message;
	int fd;
	enum link_got got;
	while ((got = link_receive(s->link, &message, &fd)) == LINK_GOT_MESSAGE) {
		note_life(s);
		take_message(s, &message, fd, now);
		if (fd >= 0)
			close(fd);
	}
	if (got == LINK_GOT_NOTHING)
		return;
	close(s->link); /* to the keeper this is the end too, should it have said nonsense and still live */
	s->link = -1;
	s->silent_ms = NEVER;
	s->kill_ms = earlier(s->kill_ms, now + STOP_MS);
}

/* --- the end of a keeper --- */

/* Another one, when it was we who ended it for its silence. */
static void keeper_ended(struct supervisor *s, int status, int64_t now)
{
	bool was_silent = s->is_silent && !s->is_stopping;
	s->keeper = 0;
	s->keeper_status = status;
	s->has_ended = !was_silent;
	if (!was_silent)
		return;
	close(s->link);
	s->link = -1;
	if (s->courier)
		process_end(s->courier, COURIER_END_MS);
	s->courier = 0;
	s->courier_due_ms = s->kill_ms = NEVER;
	s->keeper_due_ms = now + s->keeper_pause_ms;
	s->keeper_pause_ms = earlier(s->keeper_pause_ms * 2, PAUSE_MAX_MS);
}

static void end_silent_keeper(struct supervisor *s)
{
	log_line(LOG_ERROR, "the keeper gave no sign of life for %d seconds after its start and is ended; another one is started",
		 KEEPER_SILENT_MS / 1000);
	s->is_silent = true;
	s->silent_ms = NEVER;
	kill(s->keeper, SIGKILL);
}

/* --- signals --- */

/* By the clock as it is now: a pause is never shorter because we came late to what we did before. */
static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;
	/* In a container we may be process 1, and get orphans that are none of ours. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->keeper) {
			keeper_ended(s, status, clock_boot_ms());
		} else if (pid == s->courier) {
			courier_ended(s, status, clock_boot_ms());
		} else {
			messenger_ended(s, pid, status);
		}
	}
}

static void tell_keeper(struct supervisor *s, enum link_kind kind)
{
	if (s->link >= 0 && !link_send(s->link, kind, NULL, -1))
		log_line(LOG_WARNING, "the keeper does not listen");
}

static bool pass_accounts(struct supervisor *s, struct bytes table, struct error *err)
{
	scoped(file_closep) int fd = memfd_create("accounts", MFD_CLOEXEC);
	if (fd < 0)
		return fail(err, ERR_UNEXPECTED, TXT_SUPERVISOR_FAILED, strerror(errno));
	if (!file_write_all(fd, table, "accounts", err))
		return false;
	bool is_sent = lseek(fd, 0, SEEK_SET) == 0 && link_send(s->link, LINK_ACCOUNTS, NULL, fd);
	return is_sent ? true : fail(err, ERR_UNEXPECTED, TXT_SUPERVISOR_FAILED, "the keeper does not listen");
}

/* What the names in the rules mean today. What is wrong with the configuration the keeper finds too, and says. */
static void tell_accounts(struct supervisor *s)
{
	struct settings_flags flags = { .config = s->config };
	scoped(settings_done) struct settings settings = { 0 };
	struct buf table = BUF_INIT(ACCOUNTS_BYTES_MAX);
	struct error err;
	if (s->link < 0 || !settings_load(&flags, &settings, &err))
		return;
	accounts_gather(settings.config, &table);
	if (!buf_ok(&table, &err) || !pass_accounts(s, buf_bytes(&table), &err))
		log_error(&err);
	buf_done(&table);
}

static void stop(struct supervisor *s, int64_t now)
{
	if (s->is_stopping) {
		s->kill_ms = earlier(s->kill_ms, s->hurry_ms > now ? s->hurry_ms : now);
		return;
	}
	s->is_stopping = true;
	s->courier_due_ms = NEVER;
	s->kill_ms = earlier(earlier(s->kill_ms, now + STOP_MS), s->silent_ms);
	s->silent_ms = NEVER;
	s->hurry_ms = now + HURRY_MS;
	notify_stopping(&s->notify);
	s->has_ended = !s->keeper; /* between two of them */
	s->keeper_due_ms = NEVER;
	tell_keeper(s, LINK_STOP);
}

static void take_signals(struct supervisor *s, int64_t now)
{
	struct signalfd_siginfo signal;
	while (read(s->signals, &signal, sizeof signal) == (ssize_t)sizeof signal) {
		if (signal.ssi_signo == SIGCHLD) {
			reap(s);
		} else if (signal.ssi_signo == SIGHUP) {
			notify_reloading(&s->notify);
			tell_accounts(s);
			tell_keeper(s, LINK_RELOAD);
		} else {
			stop(s, now);
		}
	}
}

static bool open_signals(struct supervisor *s, struct error *err)
{
	sigset_t ours;
	sigemptyset(&ours);
	for (const int *one = (const int[]){ SIGTERM, SIGINT, SIGHUP, SIGCHLD, 0 }; *one; one++)
		sigaddset(&ours, *one);
	/* Whoever started us may ignore it, and then the kernel keeps no child's status. */
	(void)signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &ours, NULL) != 0 ||
	    (s->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		return fail(err, ERR_UNEXPECTED, TXT_SUPERVISOR_FAILED, strerror(errno));
	return true;
}

static bool keeper_start(struct supervisor *s, struct error *err)
{
	const char *const argv[] = { "vault-agent", "--keeper", s->config ? "--config" : NULL, s->config, NULL };
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_SUPERVISOR_FAILED, strerror(errno));
	struct process_plan plan = {
		.path = OURSELVES, .argv = argv, .environment = s->environment, .fd = pair[1], .is_deaf = true
	};
	bool is_started = process_spawn(&plan, &s->keeper, err);
	close(pair[1]);
	s->link = pair[0];
	return is_started;
}

/* --- the life of it --- */

/* What a keeper needs, then the word to go. */
static void equip_keeper(struct supervisor *s, int64_t now)
{
	courier_start(s, now);
	pass_sockets(s->link, s->sockets, s->socket_names);
	if (s->board >= 0 && !link_send(s->link, LINK_SOCKET, "board", s->board))
		log_line(LOG_WARNING, "the socket of status-listen could not be passed to the keeper");
	tell_accounts(s);
	tell_keeper(s, LINK_GO);
	s->silent_ms = clock_boot_ms() + KEEPER_SILENT_MS;
}

static void keeper_start_again(struct supervisor *s, int64_t now)
{
	struct error err;
	s->is_silent = false;
	s->keeper_due_ms = NEVER;
	if (keeper_start(s, &err)) {
		equip_keeper(s, now);
		return;
	}
	log_error(&err);
	s->keeper_status = W_EXITCODE((int)err.code, 0);
	s->has_ended = true;
}

static void wait_for_something(struct supervisor *s, int64_t now)
{
	struct pollfd events[] = { { .fd = s->signals, .events = POLLIN }, { .fd = s->link, .events = POLLIN } };
	int64_t until = earlier(earlier(s->courier_due_ms, s->kill_ms), earlier(s->keeper_due_ms, s->silent_ms));
	int64_t left = until - now;
	(void)poll(events, COUNT_OF(events), until == NEVER ? -1 : left > INT_MAX ? INT_MAX : (int)left);
}

static void watch(struct supervisor *s)
{
	while (!s->has_ended) {
		int64_t now = clock_boot_ms();
		if (s->keeper_due_ms <= now)
			keeper_start_again(s, now);
		if (s->courier_due_ms <= now)
			courier_start(s, now);
		if (s->silent_ms <= now)
			end_silent_keeper(s);
		if (s->kill_ms <= now) {
			log_line(LOG_WARNING, "the keeper did not end and is killed");
			kill(s->keeper, SIGKILL);
			s->kill_ms = NEVER;
		}
		wait_for_something(s, now);
		now = clock_boot_ms();
		if (s->link >= 0)
			take_messages(s, now);
		take_signals(s, now);
	}
}

static int end_with_keeper(struct supervisor *s)
{
	if (s->courier) {
		if (s->link >= 0)
			close(s->link); /* with it the socket of a courier that the keeper never took */
		process_end(s->courier, COURIER_END_MS);
	}
	if (WIFEXITED(s->keeper_status))
		return WEXITSTATUS(s->keeper_status);
	log_line(LOG_ERROR, "the keeper was killed by signal %d (status %d)", WTERMSIG(s->keeper_status),
		 128 + WTERMSIG(s->keeper_status));
	return ERR_UNEXPECTED;
}

/* /run is root's and empty after each boot: the folder for the socket can only be made before we are somebody else. */
static bool make_socket_folder(const struct settings *settings, struct error *err)
{
	char folder[PATH_MAX];
	struct account account;
	if (!sandbox_find_account(settings->user, settings->group, &account, err) ||
	    !file_folder_of(settings->socket, folder, sizeof folder, err))
		return false;
	if (access(folder, F_OK) == 0)
		return true;
	if (!file_make_folder(folder, err))
		return false;
	bool is_theirs = chown(folder, account.uid, account.gid) == 0 && chmod(folder, 0750) == 0;
	return is_theirs ? true : fail(err, ERR_STORAGE, TXT_SUPERVISOR_FOLDER, folder, strerror(errno));
}

/* Read the configuration, so that what is wrong with it is said before anything starts; become who it names; and keep
 * of the environment what the keeper gets. What listens to browsers is opened here: the keeper makes no Internet
 * socket. */
static bool prepare(struct supervisor *s, struct error *err)
{
	struct settings_flags flags = { .config = s->config };
	scoped(settings_done) struct settings settings = { 0 };
	if (!settings_load(&flags, &settings, err))
		return false;
	bool is_dropped = geteuid() == 0 && settings.user[0];
	if (geteuid() == 0 && !settings.user[0])
		log_line(LOG_WARNING, "running as root: set user in [agent], or let systemd do it");
	if (is_dropped && !make_socket_folder(&settings, err))
		return false;
	if (settings.user[0] && !sandbox_drop_to(settings.user, settings.group, err))
		return false;
	if (settings.status_listen[0] && !board_listen(settings.status_listen, &s->board, err))
		return false;
	return environment_make(&settings, is_dropped, &s->environment, err);
}

static bool run(struct supervisor *s, struct error *err)
{
	if (!prepare(s, err))
		return false;
	const char *names = getenv("LISTEN_FDNAMES");
	snprintf(s->socket_names, sizeof s->socket_names, "%s", names ? names : "");
	s->sockets = count_sockets();
	notify_open(&s->notify);
	environ = s->environment; /* so that we find the configuration where the keeper does */
	if (!sandbox_supervise(err) || !open_signals(s, err) || !keeper_start(s, err))
		return false;
	equip_keeper(s, clock_boot_ms());
	watch(s);
	return true;
}

int supervisor_main(const char *config)
{
	struct supervisor s = { .notify.fd = -1, .config = config, .signals = -1, .link = -1, .board = -1, .courier_due_ms = NEVER,
				.kill_ms = NEVER, .keeper_due_ms = NEVER, .keeper_pause_ms = PAUSE_FIRST_MS, .silent_ms = NEVER };
	struct error err;
	int status;
	log_open("vault-agent", LOG_INFO);
	if (run(&s, &err)) {
		status = end_with_keeper(&s);
	} else {
		log_error(&err);
		status = (int)err.code;
	}
	notify_close(&s.notify);
	environ = NULL;
	environment_freep(&s.environment);
	return status;
}
