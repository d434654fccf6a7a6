/* echo SOCKET REQUEST REPLY [FOLDER | line=FILE]: the yardstick of the agent: one thread, epoll, a Unix socket. Whenever REQUEST
 * bytes have come it answers REPLY bytes; it reads nothing out of them and does nothing else. With line=FILE it first
 * appends a line as long as one of an audit log to FILE, unsynced.
 *
 * With FOLDER, which holds a copy of a vault as vault.db, it first does what no durable put can do without, and nothing
 * more: a line appended and synced (who wants what), one WAL commit with synchronous=FULL of rows as many and as long as
 * a put's, and 512 bytes written and synced (the anchor). Nothing in the copy makes sense afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SIZE_MAX_HERE 65536

struct peer {
	int fd;
	size_t got;
};

static size_t request_size, reply_size;
static char reply[SIZE_MAX_HERE];

/* ---- what makes a put durable ---- */

#define LINE_LEN 320
static char line[LINE_LEN];
#define LINES_MAX 100000 /* then the file begins anew */
#define ROW_LEN 552 /* a sealed token, a Pixel's metadata, its health */

static sqlite3 *db;
static sqlite3_stmt *begin, *commit, *put, *pick;
static int log_fd = -1, anchor_fd = -1;

static int prepare(const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK;
}

static int open_folder(const char *folder)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/log", folder);
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	snprintf(path, sizeof path, "%s/anchor", folder);
	anchor_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	snprintf(path, sizeof path, "%s/vault.db", folder);
	return log_fd >= 0 && anchor_fd >= 0 && sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	       sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL, NULL, NULL) == SQLITE_OK &&
	       prepare("BEGIN IMMEDIATE", &begin) && prepare("COMMIT", &commit) &&
	       prepare("INSERT OR REPLACE INTO kv(k, v, mod) VALUES(?1, zeroblob(?2), ?3)", &put) &&
	       prepare("SELECT k FROM kv WHERE k >= ?1 LIMIT 1", &pick);
}

static int step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);
	sqlite3_reset(s);
	return rc == SQLITE_DONE;
}

/* A row named PREFIX, the first id_len digits of the Pixel's id, and the number unless it is 0. */
static int put_row(const char *prefix, const char *id, int id_len, long long number, int value_len)
{
	static long long mod = 1000000;
	char key[96];
	int len = number ? snprintf(key, sizeof key, "%s%.*s/%lld", prefix, id_len, id, number)
			 : snprintf(key, sizeof key, "%s%.*s", prefix, id_len, id);
	sqlite3_bind_text(put, 1, key, len, SQLITE_TRANSIENT);
	sqlite3_bind_int(put, 2, value_len);
	sqlite3_bind_int64(put, 3, mod++);
	return step(put);
}

/* The rows of one put, by the names they have in a vault. */
static int put_rows(const char *id)
{
	static long long number = 1000;
	number++;
	return put_row("e1/d/", id, 32, number, 232) &&     /* the token's fingerprint */
	       put_row("e1/h/", id, 32, 0, ROW_LEN) &&      /* health */
	       put_row("e1/m/", id, 32, 0, ROW_LEN) &&      /* metadata */
	       put_row("e1/n/", id, 1, 0, 512) &&           /* the inventory's nodes above it */
	       put_row("e1/n/", id, 2, 0, 512) && put_row("e1/n/", id, 3, 0, 48) &&
	       put_row("e1/t/", id, 32, number, ROW_LEN) && /* the token */
	       put_row("root", id, 0, 0, 1716);
}

static int make_durable(void)
{
	static char block[512];
	char id[64] = "", from[16];
	snprintf(from, sizeof from, "e1/m/%03lx", random() & 0xfff);
	sqlite3_bind_text(pick, 1, from, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(pick) == SQLITE_ROW)
		snprintf(id, sizeof id, "%.32s", (const char *)sqlite3_column_text(pick, 0) + 5);
	sqlite3_reset(pick);
	return fdatasync(log_fd) == 0 && step(begin) &&
	       put_rows(id) && step(commit) && pwrite(anchor_fd, block, sizeof block, 0) == sizeof block &&
	       fdatasync(anchor_fd) == 0;
}

/* ---- the server ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(path) >= sizeof at.sun_path)
		return -1;
	memcpy(at.sun_path, path, strlen(path));
	unlink(path);
	return bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 512) == 0 ? fd : -1;
}

static void welcome(int epoll, int listener)
{
	struct peer *p = calloc(1, sizeof *p);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };
	if (!p || (p->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &event) != 0)
		free(p);
}

static int write_line(void)
{
	static unsigned long lines;
	if (++lines % LINES_MAX == 0 && ftruncate(log_fd, 0) != 0)
		return 0;
	return write(log_fd, line, sizeof line) == sizeof line;
}

/* 0 when the peer is gone. */
static int serve(struct peer *p)
{
	static char request[SIZE_MAX_HERE];
	ssize_t n = read(p->fd, request, sizeof request);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	for (p->got += (size_t)n; p->got >= request_size; p->got -= request_size)
		if ((log_fd >= 0 && !write_line()) || (db && !make_durable()) || write(p->fd, reply, reply_size) != (ssize_t)reply_size)
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	int listener = argc == 4 || argc == 5 ? listen_at(argv[1]) : -1, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN }, events[64];
	request_size = listener < 0 ? 0 : strtoul(argv[2], NULL, 10);
	reply_size = listener < 0 ? 0 : strtoul(argv[3], NULL, 10);
	bool is_lined = argc == 5 && strncmp(argv[4], "line=", 5) == 0;
	if (is_lined)
		log_fd = open(argv[4] + 5, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (argc == 5 && (is_lined ? log_fd < 0 : !open_folder(argv[4])))
		return 2;
	if (!request_size || reply_size > sizeof reply || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	memset(reply, 'x', sizeof reply);
	memset(line, 'x', sizeof line);
	for (;;) {
		int count = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < count; i++) {
			struct peer *p = events[i].data.ptr;
			if (!p) {
				welcome(epoll, listener);
			} else if (!serve(p)) {
				close(p->fd);
				free(p);
			}
		}
	}
}
