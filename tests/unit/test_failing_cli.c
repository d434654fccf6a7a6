/* Whole commands, each in a process of its own, while what they ask for fails: first the call stacks are noted from which
 * a command asks for memory, reads or writes; then each of them fails once. Who fails says why and prints nothing else;
 * who succeeds printed what is always printed; and whatever happened to a vault, it proves itself afterwards. Directly,
 * and through an agent that runs as a program of its own. */
#include "tests/support/failing.h"

#include "cli/whole.h"

#include "core/error.h"

#include <execinfo.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/kept.h"
#include "tests/support/scratch.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define C "C2U2T02IU8J6B9GC2B91"
#define GONE "C3U2T02IU8J6B9GC2B92"
#define FRESH "C4U2T02IU8J6B9GC2B93"
#define SECRET "0123456789abcdef0123456789abcdef0123456"
#define TOKEN(n) SECRET #n

#define WORDS_MAX 24
#define STACKS_MAX 65536
#define DEPTH_MAX 48
/* Of a stack so many calls count: what lies deeper is SQLite's, mostly, and the vault's, and both have tests of their own. */
#define DEPTH_OURS 9
#define DEPTH_SHALLOW 5
#define CODE_MAX 19

/* What the child tells: stacks of its calls, as one number each, and how many of its calls failed. */
static struct shared {
	size_t count, failed;
	uint64_t stacks[STACKS_MAX];
} *shared;

/* ---- one command in a child ---- */

static bool through_agent;

static int depth_around;

static void note_stack(void)
{
	void *frames[DEPTH_MAX];
	int depth = backtrace(frames, DEPTH_MAX), outer = depth - depth_around;
	uint64_t sum = 14695981039346656037U;
	for (int i = outer > 2 ? outer : 2; i < depth; i++)
		sum = (sum ^ (uintptr_t)frames[i]) * 1099511628211U;
	if (shared->count < STACKS_MAX)
		shared->stacks[shared->count++] = sum;
}

static void redirect(const char *name, int flags, int to)
{
	char path[PATH_MAX];
	in_scratch(path, name);
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, to) < 0)
		_exit(101);
	close(fd);
}

static size_t split(char *text, char **words)
{
	size_t count = 0;
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) {
		assert_true(count < WORDS_MAX);
		words[count++] = w;
	}
	words[count] = NULL;
	return count;
}

struct wish {
	enum failing_kind kind;
	int error;
	size_t first, last;
	size_t depth; /* of the stacks to note; 0: none */
};

/* ---- a terminal ---- */

/* Each begins what is typed: the first before the command starts, each further one at a prompt. When there is no more,
 * a prompt is answered with the end of input. */
#define TYPED "\t"

static size_t type_next(int master, const char **typed)
{
	const char *text = **typed ? *typed + 1 : "\004";
	size_t len = **typed ? strcspn(text, TYPED) : 1;
	*typed += **typed ? 1 + len : 0;
	return len == 0 || write(master, text, len) == (ssize_t)len;
}

static int terminal_with(const char **typed)
{
	struct winsize size = { .ws_row = 30, .ws_col = 100 };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	assert_true(type_next(master, typed));
	return master;
}

static void sit_at(int master)
{
	int slave = setsid() < 0 ? -1 : open(ptsname(master), O_RDWR | O_CLOEXEC); /* the first one opened is the session's own */
	if (slave < 0 || dup2(slave, STDIN_FILENO) < 0 || dup2(slave, STDOUT_FILENO) < 0)
		_exit(101);
	close(slave);
}

/* Until the child ends; what it showed is in "out" then. */
static int watched(int master, const char *typed, pid_t pid)
{
	static char shown[1 << 16];
	char path[PATH_MAX];
	size_t len = 0;
	int status = -1;
	for (bool is_over = false; !is_over;) {
		struct pollfd some = { .fd = master, .events = POLLIN };
		is_over = status < 0 && waitpid(pid, &status, WNOHANG) == pid;
		while (poll(&some, 1, is_over ? 0 : 2) == 1 && some.revents & POLLIN && len < sizeof shown) {
			ssize_t got = read(master, shown + len, sizeof shown - len);
			len += got > 0 ? (size_t)got : 0;
			if (got > 0 && len >= 2 && memcmp(shown + len - 2, ": ", 2) == 0)
				assert_true(type_next(master, &typed));
		}
		if (some.revents & POLLHUP && !is_over)
			is_over = waitpid(pid, &status, 0) == pid;
	}
	close(master);
	in_scratch(path, "out");
	write_bytes(path, shown, len);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- one command ---- */

/* Its exit status, or 1000 + the signal. */
static int run(const char *words, const char *input, const struct wish *w)
{
	char text[1024], *argv[WORDS_MAX + 2] = { "vault" }, path[PATH_MAX];
	bool is_typed = input && input[0] == TYPED[0];
	int master = is_typed ? terminal_with(&input) : -1;
	in_scratch(path, "in");
	write_bytes(path, input && !is_typed ? input : "", input && !is_typed ? strlen(input) : 0);
	pid_t pid = fork_child();
	if (pid == 0) {
		snprintf(text, sizeof text, "%s", words);
		size_t count = split(text, argv + 1);
		redirect("in", O_RDONLY, STDIN_FILENO);
		redirect("out", O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
		if (is_typed)
			sit_at(master);
		redirect("err", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
		if (chdir(scratch) != 0)
			_exit(101);
		static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
		void *frames[DEPTH_MAX];
		for (size_t i = 0; i < COUNT_OF(crashes); i++)
			signal(crashes[i], SIG_DFL); /* they are cmocka's otherwise, and no end */
		depth_around = backtrace(frames, DEPTH_MAX) + (w ? (int)w->depth : 0);
		failing.watch = w && w->depth ? note_stack : NULL;
		(void)alarm(60); /* nothing of it takes a second */
		if (w)
			failing_from(w->kind, w->error, w->first, w->last);
		int status = vault_main((int)count + 1, argv);
		shared->failed += failing_stop();
		_exit(status);
	}
	return is_typed ? watched(master, input, pid) : ended(pid);
}

static const char *said(const char *name)
{
	static char text[2][1 << 16];
	char path[PATH_MAX];
	size_t i = strcmp(name, "out") == 0;
	in_scratch(path, name);
	text[i][file_bytes(path, (uint8_t *)text[i], sizeof text[i] - 1)] = '\0';
	return text[i];
}

static void must(const char *words, const char *input)
{
	int status = run(words, input, NULL);
	if (status != 0)
		fail_msg("%s: %d: %s", words, status, said("err"));
}

/* ---- the vault that all of it is tried on ---- */

static void write_text(const char *name, const char *text)
{
	char path[PATH_MAX];
	in_scratch(path, name);
	write_bytes(path, text, strlen(text));
}

static void configure(void)
{
	char text[2048], path[PATH_MAX];
	snprintf(text, sizeof text,
		 "[vault]\npath = %s/home/vault.db\nstate-dir = %s/state\nkey-file = %s/key\n"
		 "[check]\nconfirm-delay = 0s\nrate = 1000\n[tiktok]\nbase-url = https://127.0.0.1:1/open_api/v1.3\n"
		 "timeout = 2s\nconnect-timeout = 1s\n[agent]\nsocket = %s/agent.sock\nrequire-locked-memory = no\n"
		 "[alert ops]\ntype = webhook\nurl = https://127.0.0.1:1/hook\n",
		 scratch, scratch, scratch, scratch);
	write_text("pixelvault.ini", text);
	in_scratch(path, "pixelvault.ini");
	setenv("PIXELVAULT_CONFIG", path, 1);
}

static void make_folder(const char *name)
{
	char path[PATH_MAX];
	in_scratch(path, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static char export_words[256];

static void build(void)
{
	static const uint8_t second[32] = "a key that opens it as well, 32";
	char path[PATH_MAX];
	unsetenv("PIXELVAULT_VAULT");
	configure();
	make_folder("user");
	in_scratch(path, "user");
	setenv("HOME", path, 1);
	must("init --key-file key --no-recovery", NULL);
	must("put " A " --no-check --label shop=rome --label who=ann", TOKEN(1));
	must("put " B " --no-check --label shop=rome --expires 2030-01-01", TOKEN(2));
	must("put " GONE " --no-check", TOKEN(3));
	must("rm " GONE, NULL);
	must("backup copy", NULL);
	must("put " A " --no-check", TOKEN(4));
	must("put " C " --no-check", TOKEN(5));
	must("put " C " --standby --no-check", TOKEN(6));
	must("listing put bc:7012345678901234567 --no-check", TOKEN(7));
	must("get " A " --as shop", NULL);
	in_scratch(path, "key2");
	write_bytes(path, second, sizeof second);
	must("slot add --key-file key2", NULL);
	write_text("page", "a = {{ token " A " }}\nb = {{ token " B " }}\n");
	write_text("sheet.csv", "pixel,token,shop\n" A "," TOKEN(8) ",oslo\n" FRESH "," TOKEN(9) ",bonn\n");
	write_text("odd.csv", "the pixel code,access token\n" A "," TOKEN(8) "\n");
	write_text("sheet.env", A "=" TOKEN(8) "\n" FRESH "=" TOKEN(9) "\n");
	must("export --show-key", NULL);
	snprintf(export_words, sizeof export_words, "export --to-file sealed --to %.*s", (int)strcspn(said("out"), "\n"), said("out"));
	make_folder("clear");
	write_text("clear/notes", "nothing to see\n\nhere lies " TOKEN(4) " in clear\n");
}

/* ---- what is tried ---- */

enum what { READS = 1, CHANGES = 2, VARIES = 4, DIRECT_ONLY = 8, SHALLOW = 16, REPEATS = 32 };

struct work {
	const char *words, *input; /* what begins with TYPED is typed on a terminal */
	unsigned is; /* VARIES: what is printed holds a moment, or something random; REPEATS: half done, it is done again */
};

static const struct work works[] = {
	{ "get " A, NULL, READS },
	{ "get " A " --json", NULL, READS | VARIES },
	{ "get " A " --previous --as shop", NULL, READS },
	{ "run --env X=" A " --file Y=" B " -- /bin/true", NULL, READS },
	{ "list", NULL, READS | VARIES },
	{ "list --json", NULL, READS | VARIES },
	{ "status", NULL, READS | VARIES },
	{ "status --json", NULL, READS | VARIES },
	{ "status -l shop=rome --html board.html", NULL, READS | VARIES },
	{ "check --nagios " A, NULL, READS | VARIES },
	{ "check --json " A, NULL, READS | VARIES },
	{ "status " A, NULL, READS | VARIES },
	{ "history " A, NULL, READS | VARIES },
	{ "history " A " --json", NULL, READS | VARIES },
	{ "rollout " A, NULL, READS | VARIES },
	{ "rollout " A " --json", NULL, READS | VARIES },
	{ "rotate --list", NULL, READS | VARIES },
	{ "rotate --list --json " A, NULL, READS | VARIES },
	{ "verify", NULL, READS | VARIES | SHALLOW },
	{ "verify --json", NULL, READS | VARIES },
	{ "audit show", NULL, READS | VARIES | DIRECT_ONLY },
	{ "audit show --json", NULL, READS | VARIES | DIRECT_ONLY },
	{ "audit verify", NULL, READS | VARIES | DIRECT_ONLY },
	{ "plan", NULL, READS | VARIES },
	{ "plan --json -l shop=rome", NULL, READS | VARIES },
	{ "levels", NULL, READS | VARIES },
	{ "levels --json", NULL, READS | VARIES },
	{ "match", TOKEN(4), READS | VARIES },
	{ "match --json", TOKEN(4), READS | VARIES },
	{ "slot list", NULL, READS | VARIES | DIRECT_ONLY },
	{ "slot list --json", NULL, READS | VARIES | DIRECT_ONLY },
	{ "slot test --key-file key2", NULL, READS | VARIES | DIRECT_ONLY },
	{ "checkpoint", NULL, READS | VARIES | DIRECT_ONLY },
	{ "scan clear", NULL, READS | VARIES | DIRECT_ONLY },
	{ "scan clear --json", NULL, READS | VARIES | DIRECT_ONLY },
	{ "alert", NULL, READS | VARIES },
	{ "alert --json", NULL, READS | VARIES },
	{ "listing list", NULL, READS | VARIES },
	{ "listing list --json", NULL, READS | VARIES },
	{ "access explain --user 0 " A, NULL, READS | VARIES },
	{ "access explain --user 0 --json " A, NULL, READS | VARIES },
	{ "config show", NULL, READS | DIRECT_ONLY },
	{ "config check", NULL, READS | DIRECT_ONLY },
	{ "doctor", NULL, READS | VARIES },
	{ "doctor --json", NULL, READS | VARIES },
	{ "completion bash", NULL, READS | DIRECT_ONLY },
	{ "exit-codes --json", NULL, READS | DIRECT_ONLY },
	{ "help put", NULL, READS | DIRECT_ONLY },
	{ "--help", NULL, READS | DIRECT_ONLY },
	{ "render page --to filled", NULL, CHANGES | VARIES },
	{ "render page", NULL, READS },
	{ export_words, NULL, CHANGES | VARIES | DIRECT_ONLY },
	{ "export --show-key", NULL, READS | DIRECT_ONLY },
	{ "backup stored", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "import sheet.csv --no-check --yes", NULL, CHANGES | VARIES },
	{ "import sheet.csv --dry-run --json --map shop=label:shop", NULL, READS | VARIES },
	{ "import sheet.env --dry-run", NULL, READS | VARIES },
	{ "put " FRESH " --no-check --label shop=bonn --test-code T1", TOKEN(9), CHANGES | VARIES },
	{ "put " A " --no-check --json", TOKEN(8), CHANGES | VARIES },
	{ "label " A " shop=paris who=", NULL, CHANGES | VARIES },
	{ "label " A, NULL, READS | VARIES },
	{ "swap " A " " B " --no-check", NULL, CHANGES | VARIES },
	{ "move " A " " FRESH " --no-check", NULL, CHANGES | VARIES },
	{ "rollback " A, NULL, CHANGES | VARIES },
	{ "ack " A " --as shop --version 2", NULL, CHANGES | VARIES },
	{ "report " A " --code 40105 --request-id R", NULL, CHANGES | VARIES },
	{ "retire " A " --force", NULL, CHANGES | VARIES },
	{ "rotate " A " --later", NULL, CHANGES | VARIES },
	{ "rm " B, NULL, CHANGES | VARIES },
	{ "rm " GONE " --restore", NULL, CHANGES | VARIES },
	{ "rm " B " --destroy --yes", NULL, CHANGES | VARIES },
	{ "listing put bc:7012345678901234568 --no-check", TOKEN(9), CHANGES | VARIES },
	{ "listing rm bc:7012345678901234567 --destroy --yes", NULL, CHANGES | VARIES },
	{ "slot add --key-file key3", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "slot add --recovery", NULL, CHANGES | VARIES | DIRECT_ONLY },
	{ "rekey --same", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "rotate-key --key-file key2", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "adopt --first-use", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW | REPEATS },
	{ "restore copy --yes", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "restore --only " A " copy --older --yes", NULL, CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "audit accept-loss", NULL, CHANGES | VARIES | DIRECT_ONLY },
	{ "get " A, TYPED, READS | VARIES },
	{ "status", TYPED, READS | VARIES },
	{ "status --watch", TYPED "q", READS | VARIES },
	{ "list --color always", TYPED, READS | VARIES },
	{ "plan", TYPED, READS | VARIES },
	{ "help", TYPED, READS | VARIES | DIRECT_ONLY },
	{ "doctor", TYPED, READS | VARIES },
	{ "match", TYPED TYPED TOKEN(4) "\n", READS | VARIES },
	{ "put " A " --no-check", TYPED TYPED TOKEN(8) "\n", CHANGES | VARIES },
	{ "put " B, TYPED TYPED TOKEN(9) "\n", CHANGES | VARIES },
	{ "listing put bc:7012345678901234569 --no-check", TYPED TYPED TOKEN(0) "\n", CHANGES | VARIES },
	{ "rotate " A " " C, TYPED TYPED TOKEN(8) "\n" TYPED "s\n", CHANGES | VARIES },
	{ "rotate " A " " B " " C, TYPED TYPED "non sense\n" TYPED TOKEN(4) "\n" TYPED "\n" TYPED "skip\n" TYPED "quit\n",
	  CHANGES | VARIES },
	{ "rotate -l shop=rome --retire", TYPED TYPED TOKEN(9) "\n", CHANGES | VARIES },
	{ "rm " C, TYPED TYPED "y\n", CHANGES | VARIES },
	{ "rm " A " --destroy", TYPED TYPED "yes\n", CHANGES | VARIES },
	{ "listing rm bc:7012345678901234567 --destroy", TYPED TYPED "yes\n", CHANGES | VARIES },
	{ "import sheet.csv --no-check --shred --map shop=none", TYPED TYPED "yes\n" TYPED "yes\n", CHANGES | VARIES },
	{ "import odd.csv --check", TYPED TYPED "no\n", CHANGES | VARIES },
	{ "slot add --recovery", TYPED TYPED "no\n", CHANGES | VARIES | DIRECT_ONLY },
	{ "restore copy", TYPED TYPED "yes\n", CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
	{ "restore --only " A " copy --older", TYPED TYPED "yes\n", CHANGES | VARIES | DIRECT_ONLY | SHALLOW },
};

/* ---- the sweep ---- */

struct fault {
	enum failing_kind kind;
	int error;
	const char *name;
};

static uint64_t known[1 << 18];
static size_t known_count; /* and of these every step-th is tried, across all commands: of some there is but a handful new */

/* Whether it is seen for the first time. */
static bool is_new(uint64_t stack)
{
	assert_true(known_count < COUNT_OF(known) / 2);
	for (size_t i = stack % COUNT_OF(known);; i = (i + 1) % COUNT_OF(known)) {
		if (known[i] == stack)
			return false;
		if (!known[i]) {
			known[i] = stack;
			known_count++;
			return true;
		}
	}
}

static size_t broken, crashes_of_fts;

/* What does not hold is named, and counted: the rest is tried all the same. */
#define COMPLAIN(...) (print_error("%s, %s %zu: ", w->words, f->name, n), print_error(__VA_ARGS__), print_error("\n"), broken++)

static bool is_told(const char *out, const char *err)
{
	static const char *const words[] = { "\n  hint: ", "not looked into", "\"unreadable\":[\"", "\"hint\":", "PIXELVAULT UNKNOWN - " };
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strstr(out, words[i]) || strstr(err, words[i]))
			return true;
	return false;
}

static void try_point(const struct work *w, const struct fault *f, size_t n, int usual, const char *usual_out)
{
	struct wish wish = { f->kind, f->error, n, n, 0 };
	if (w->is & CHANGES && !through_agent)
		put_all_back();
	int status = run(w->words, w->input, &wish);
	const char *out = said("out"), *err = said("err");
	/* glibc 2.36: fts_open writes to the entry that it got no memory for. */
	if (status == 1000 + SIGSEGV && strncmp(w->words, "scan ", 5) == 0 && f->kind == FAIL_MEMORY && !crashes_of_fts++)
		return;
	if (status > CODE_MAX)
		COMPLAIN("ended with %d: %s", status, err);
	if (strstr(err, SECRET))
		COMPLAIN("a token is told: %s", err);
	/* What an agent's vault holds moves on: there a command may do what it could not do before. */
	if (status != usual && (status != 0 || !through_agent) && !is_told(out, err))
		COMPLAIN("ended with %d and says only: %s%s", status, err, out);
	if (status == usual && !(w->is & VARIES) && strcmp(out, usual_out) != 0)
		COMPLAIN("printed other things than usual: %s", out);
	if (w->is & REPEATS && status != usual && run(w->words, w->input, NULL) != usual)
		COMPLAIN("once more: %s", said("err"));
	if (w->is & CHANGES && run("verify -q", NULL, NULL) != 0)
		COMPLAIN("then verify says: %s", said("err"));
}

static void sweep_one(const struct work *w, const struct fault *f, size_t step)
{
	static size_t points[STACKS_MAX];
	size_t from = failing_sample() % step;
	static char usual_out[1 << 16];
	struct wish look = { f->kind, f->error, FAIL_EVER, FAIL_EVER, w->is & SHALLOW ? DEPTH_SHALLOW : DEPTH_OURS };
	size_t count = 0;
	shared->count = 0;
	if (w->is & CHANGES && !through_agent)
		put_all_back();
	int usual = run(w->words, w->input, &look);
	if (usual > CODE_MAX)
		fail_msg("%s: ended with %d without any fault: %s", w->words, usual, said("err"));
	strcpy(usual_out, said("out"));
	for (size_t i = 0; i < shared->count; i++)
		if (is_new(shared->stacks[i]) && known_count % step == from)
			points[count++] = i + 1;
	for (size_t i = 0; i < count; i++)
		try_point(w, f, points[i], usual, usual_out);
}

/* A sample is of every fifth command. */
static void sweep(const struct fault *faults, size_t count, size_t step)
{
	size_t stride = failing_all() ? 1 : 5;
#ifdef IS_SANITIZED
	print_message("SKIPPED: under a sanitizer nothing can be made to fail\n");
	skip();
#endif
	if (getenv("UNDER_VALGRIND")) /* its allocator stands where ours would */
		skip();
	broken = crashes_of_fts = known_count = shared->failed = 0;
	memset(known, 0, sizeof known);
	for (size_t k = failing_sample() % stride; k < COUNT_OF(works); k += stride)
		for (size_t i = 0; i < count; i++)
			if (!through_agent || !(works[k].is & DIRECT_ONLY))
				sweep_one(&works[k], &faults[i], failing_all() ? 1 : step);
	assert_int_equal(broken, 0);
	assert_true(shared->failed > 0);
}

static const struct fault memory[] = { { FAIL_MEMORY, ENOMEM, "memory" } };
static const struct fault files[] = { { FAIL_READS, EIO, "reads" },
				      { FAIL_WRITES, ENOSPC, "writes" },
				      { FAIL_STATS, EIO, "stats" },
				      { FAIL_OPENS, EACCES, "opens" },
				      { FAIL_SYNCS, EIO, "syncs" },
				      { FAIL_MAPS, ENOMEM, "maps" } };

static void command__without_memory_says_so(void **state)
{
	(void)state;
	sweep(memory, COUNT_OF(memory), 12);
}

static void command__whose_files_fail_says_so(void **state)
{
	(void)state;
	sweep(files, COUNT_OF(files), 6);
}

/* ---- the agent ---- */

static pid_t agent = -1;

static void start_agent(void)
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
	assert_true(len > 0);
	program[len] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(program, '/') = '\0';
	strcat(program, "/vault-agent");
	agent = fork_child();
	if (agent == 0) {
		redirect("agent.log", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
		execl(program, program, (char *)NULL);
		_exit(101);
	}
	for (int i = 0; run("get " A, NULL, NULL) != 0; i++) {
		if (i == 3000 || waitpid(agent, NULL, WNOHANG) != 0)
			fail_msg("the agent does not come: %s", said("agent.log"));
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	assert_string_equal(said("out"), TOKEN(4));
}

static void agent__whose_caller_has_no_memory_serves_the_next(void **state)
{
	(void)state;
	sweep(memory, COUNT_OF(memory), 6);
}

static void agent__whose_caller_fails_at_files_serves_the_next(void **state)
{
	(void)state;
	sweep(files, COUNT_OF(files), 2);
}

/* ---- around it ---- */

static int make_place(void **state)
{
	if (scratch_make_in_memory(state) != 0)
		return -1;
	through_agent = false;
	build();
	keep_all();
	return 0;
}

static int make_place_with_agent(void **state)
{
	if (make_place(state) != 0)
		return -1;
	start_agent();
	through_agent = true;
	return 0;
}

static int remove_place(void **state)
{
	if (agent > 0) {
		(void)kill(agent, SIGTERM);
		(void)ended(agent);
		agent = -1;
	}
	forget_kept();
	return scratch_remove(state);
}

static int prepare(void **state)
{
	void *frames[2];
	(void)state;
	(void)backtrace(frames, 2); /* loads what it needs */
	(void)getpwuid(0);	    /* so does it; without memory for that, glibc's own assertions end the process */
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	setenv("LANG", "C.UTF-8", 1);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
#define T_AGENT(f) cmocka_unit_test_setup_teardown(f, make_place_with_agent, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(command__without_memory_says_so),
		T(command__whose_files_fail_says_so),
		T_AGENT(agent__whose_caller_has_no_memory_serves_the_next),
		T_AGENT(agent__whose_caller_fails_at_files_serves_the_next),
	};
	return cmocka_run_group_tests(tests, prepare, NULL);
}
