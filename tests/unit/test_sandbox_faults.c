/* What becomes of the sandbox where the kernel is older or newer, refuses, or has no memory: a layer that is there is
 * put on or its failure is told, one that is not there is said to be missing. The kernel's answers are put in the place
 * of its own in a child of its own for each. */
#include "tests/support/failing.h"

#include "agent/sandbox.h"

#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#ifndef IS_SANITIZED
/* ---- the kernel ---- */

static struct {
	long number; /* of a system call; 0: none is answered for */
	size_t at;   /* from this one on */
	int error;
	int option; /* of prctl; 0: none */
	bool has_no_mdwe; /* nor PR_SET_MDWE, of Linux 6.3 */
	size_t option_at; /* how many of them are let through before */
	int abi;    /* of landlock; 0: as it is, -1: there is none */
	bool has_high_powers, has_idle_powers; /* what capget says */
	const char *account; /* "setgroups", ...: fails; "setuid", "seteuid": there is a way back */
} faked;

static size_t calls, options;

#define ASK_VERSION 1 /* LANDLOCK_CREATE_RULESET_VERSION */

static long fake_capget(struct __user_cap_data_struct *ret)
{
	memset(ret, 0, 2 * sizeof *ret);
	ret[1].permitted = faked.has_high_powers;
	ret[0].effective = faked.has_idle_powers ? 1u << CAP_CHOWN : 0;
	return 0;
}

#pragma GCC visibility push(default) /* these stand in for the C library's */
long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	long arg[6];
	va_list args;
	va_start(args, number);
	for (size_t i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (faked.abi && number == SYS_landlock_create_ruleset && arg[2] == ASK_VERSION) {
		errno = EOPNOTSUPP;
		return faked.abi;
	}
	if ((faked.has_high_powers || faked.has_idle_powers) && number == SYS_capget)
		return fake_capget((struct __user_cap_data_struct *)arg[1]);
	if (faked.number && number == faked.number && ++calls >= faked.at) {
		errno = faked.error;
		return -1;
	}
	return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

int prctl(int option, ...)
{
	va_list args;
	unsigned long arg[4];
	va_start(args, option);
	for (size_t i = 0; i < 4; i++)
		arg[i] = va_arg(args, unsigned long);
	va_end(args);
	if (faked.has_no_mdwe && option == 65) {
		errno = EINVAL;
		return -1;
	}
	if (faked.option && option == faked.option && options++ >= faked.option_at) {
		errno = faked.error;
		return -1;
	}
	return (int)syscall(SYS_prctl, option, arg[0], arg[1], arg[2], arg[3]);
}

static bool is_faked(const char *account)
{
	errno = EPERM;
	return faked.account && strcmp(faked.account, account) == 0;
}

int setgroups(size_t count, const gid_t *list)
{
	return is_faked("setgroups") ? -1 : (int)syscall(SYS_setgroups, count, list);
}

int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	return is_faked("setresgid") ? -1 : (int)syscall(SYS_setresgid, real, effective, saved);
}

int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	if (real == (uid_t)-1 && is_faked("saved"))
		return 0;
	return is_faked("setresuid") ? -1 : (int)syscall(SYS_setresuid, real, effective, saved);
}

int setuid(uid_t uid)
{
	return is_faked("setuid") ? 0 : (int)syscall(SYS_setuid, uid);
}

int seteuid(uid_t uid)
{
	return is_faked("seteuid") ? 0 : (int)syscall(SYS_setresuid, -1, uid, -1);
}
#pragma GCC visibility pop

/* ---- what a child of ours met ---- */

struct met {
	bool is_in, has_died;
	size_t failed; /* allocations */
	struct sandbox_report report;
	struct error err;
};

typedef bool enter_fn(struct sandbox_report *ret, struct error *err);
static struct met *met; /* shared with the child */

static bool enter_as_courier(struct sandbox_report *ret, struct error *err)
{
	static const char *const readable[] = { "/etc/hosts", "/etc/hosts/nothing", "/nonexistent/nothing", "/etc/ssl/certs", NULL };
	struct sandbox_plan plan = { .role = SANDBOX_COURIER, .readable = readable, .port = 443, .login_port = 444 };
	return sandbox_enter(&plan, ret, err);
}

static bool enter_as_keeper(struct sandbox_report *ret, struct error *err)
{
	static const char *const writable[] = { "/tmp", NULL };
	struct sandbox_plan plan = { .role = SANDBOX_KEEPER, .writable = writable };
	return sandbox_enter(&plan, ret, err);
}

static bool supervise(struct sandbox_report *ret, struct error *err)
{
	(void)ret;
	return sandbox_supervise(err);
}

static bool become_somebody(struct sandbox_report *ret, struct error *err)
{
	(void)ret;
	return sandbox_drop_to("12345", "12345", err);
}

static const struct met *entered(enter_fn *fn, size_t no_memory_from)
{
	memset(met, 0, sizeof *met);
	pid_t pid = fork_child();
	if (pid == 0) {
		calls = options = 0;
		(void)signal(SIGSEGV, SIG_DFL); /* cmocka's is not for it */
		alarm(60);			/* libseccomp may turn in circles without memory */
		if (no_memory_from)
			failing_from(FAIL_MEMORY, ENOMEM, no_memory_from, FAIL_EVER);
		met->is_in = fn(&met->report, &met->err);
		met->failed = failing_stop();
		_exit(0);
	}
	int code = ended(pid);
	met->has_died = no_memory_from && code != 0; /* as libseccomp and the loader do without memory: nobody goes on then */
	if (code != 0 && !met->has_died)
		fail_msg("ended with %d", code);
	return met;
}

static void assert_told(enter_fn *fn, const char *what)
{
	const struct met *m = entered(fn, 0);
	if (m->is_in || m->err.code != ERR_UNEXPECTED || !strstr(m->err.message, what))
		fail_msg("where %s was to be told: %s \"%s\"", what, m->is_in ? "in" : "not in", m->err.message);
}

static int begin(void **state)
{
	(void)state;
	memset(&faked, 0, sizeof faked);
	return 0;
}

static int forget(void **state)
{
	return begin(state);
}

/* ---- landlock ---- */

static void landlock__of_any_age_holds_as_much_as_it_can(void **state)
{
	static const struct {
		int abi;
		bool has_ports, has_scopes;
	} ages[] = { { 1, false, false }, { 2, false, false }, { 3, false, false }, { 4, true, false }, { 5, true, false }, { 6, true, true } };
	char text[SANDBOX_TEXT_MAX], wanted[40];
	int newest = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
	(void)state;
	for (size_t i = 0; i < sizeof ages / sizeof *ages && ages[i].abi <= newest; i++) {
		faked.abi = ages[i].abi;
		const struct met *m = entered(enter_as_courier, 0);
		if (!m->is_in)
			fail_msg("ABI %d: %s", ages[i].abi, m->err.message);
		assert_int_equal(m->report.landlock_abi, ages[i].abi);
		assert_int_equal(m->report.has_ports, ages[i].has_ports);
		assert_int_equal(m->report.has_scopes, ages[i].has_scopes);
		sandbox_text(&m->report, text);
		snprintf(wanted, sizeof wanted, "landlock %d (files", ages[i].abi);
		assert_non_null(strstr(text, wanted));
	}
	faked.abi = -1;
	const struct met *m = entered(enter_as_keeper, 0);
	assert_true(m->is_in);
	assert_int_equal(m->report.landlock_abi, 0);
	sandbox_text(&m->report, text);
	assert_non_null(strstr(text, "no landlock (this kernel has none)"));
	if (newest < 7)
		skip();
	faked.abi = 1000; /* of a kernel to come: what is known of it holds */
	m = entered(enter_as_keeper, 0);
	assert_true(m->is_in && m->report.has_scopes);
	assert_in_range(m->report.landlock_abi, 7, 999);
}

static void landlock__that_refuses_a_rule_is_told(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION) < 4)
		skip();
	faked.error = ENOMEM;
	faked.number = SYS_landlock_add_rule;
	bool is_in = false;
	size_t n = 0;
	while (!is_in) {
		faked.at = ++n;
		is_in = entered(enter_as_courier, 0)->is_in;
		if (!is_in)
			assert_told(enter_as_courier, "(landlock)");
	}
	assert_true(n >= 6); /* /dev/urandom, two names and three ports */
	for (faked.at = 1; faked.at <= 3; faked.at++)
		assert_told(enter_as_keeper, "(landlock)");
	faked.number = SYS_landlock_restrict_self;
	faked.at = 1;
	assert_told(enter_as_keeper, "(landlock)");
	faked.number = SYS_landlock_create_ruleset;
	faked.at = 2; /* the first asks for its version */
	assert_told(enter_as_courier, "(landlock)");
}

/* Its parts cannot be bound: so it is not entered, rather than entered without. */
static bool enter_with_a_loop(struct sandbox_report *ret, struct error *err)
{
	char loop[PATH_MAX];
	in_scratch(loop, "loop");
	const char *const readable[] = { loop, NULL };
	struct sandbox_plan plan = { .role = SANDBOX_COURIER, .readable = readable };
	return symlink("loop", loop) == 0 && sandbox_enter(&plan, ret, err);
}

static bool enter_with_a_closed_folder(struct sandbox_report *ret, struct error *err)
{
	char inner[PATH_MAX];
	in_scratch(inner, "closed/inner");
	const char *const readable[] = { inner, NULL };
	struct sandbox_plan plan = { .role = SANDBOX_COURIER, .readable = readable };
	return setresuid(12345, 12345, 12345) == 0 && sandbox_enter(&plan, ret, err);
}

static void landlock__passes_over_what_cannot_be_reached_but_not_over_a_loop(void **state)
{
	char folder[PATH_MAX];
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION) < 1)
		skip();
	assert_int_equal(scratch_make(NULL), 0);
	assert_told(enter_with_a_loop, "(landlock)");
	in_scratch(folder, "closed");
	assert_int_equal(mkdir(folder, 0700), 0);
	if (geteuid() == 0) {
		const struct met *m = entered(enter_with_a_closed_folder, 0);
		assert_true(m->is_in && m->report.is_unprivileged);
	}
	assert_int_equal(scratch_remove(NULL), 0);
}

/* ---- seccomp ---- */

static void seccomp__that_the_kernel_lacks_is_said_to_be_missing(void **state)
{
	char text[SANDBOX_TEXT_MAX];
	(void)state;
	faked.option = PR_SET_SECCOMP;
	faked.error = EINVAL;
	const struct met *m = entered(enter_as_courier, 0);
	assert_true(m->is_in);
	assert_false(m->report.has_seccomp);
	sandbox_text(&m->report, text);
	assert_non_null(strstr(text, "no seccomp (this kernel has none)"));
	assert_true(entered(supervise, 0)->is_in);
}

static void seccomp__and_mdwe_each_keep_code_from_being_made(void **state)
{
	(void)state;
	faked.has_no_mdwe = true;
	const struct met *m = entered(enter_as_courier, 0);
	assert_true(m->is_in && m->report.has_seccomp && m->report.has_no_exec_memory);
	faked.option = PR_SET_SECCOMP;
	faked.error = EINVAL;
	m = entered(enter_as_courier, 0);
	assert_true(m->is_in && !m->report.has_seccomp);
	assert_false(m->report.has_no_exec_memory);
}

static void seccomp__that_does_not_take_its_filter_is_told(void **state)
{
	(void)state;
	faked.number = SYS_seccomp;
	faked.at = 1;
	faked.error = EFAULT;
	faked.option = PR_SET_SECCOMP;
	faked.option_at = 1; /* whether there is one is asked first */
	assert_told(enter_as_courier, "(seccomp)");
}

/* From the first allocation that fails to the last: it is told, and nobody goes on half inside. */
static void seccomp__without_memory_for_its_filter_is_told(void **state)
{
	enter_fn *const all[] = { enter_as_courier, enter_as_keeper, supervise };
	size_t step = failing_all() ? 1 : 61;
	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		size_t told = 0;
		for (size_t n = 1;; n += n < 8 ? 1 : step) {
			const struct met *m = entered(all[i], n);
			told += !m->is_in && !m->has_died;
			if (!m->is_in && !m->has_died && (m->err.code != ERR_UNEXPECTED || !strstr(m->err.message, "(seccomp)")))
				fail_msg("allocation %zu: \"%s\"", n, m->err.message);
			if (!m->failed && !m->has_died)
				break;
		}
		assert_true(told > 0);
	}
}

/* ---- the rest ---- */

static void powers__that_cannot_be_given_up_are_told(void **state)
{
	(void)state;
	faked.error = EPERM;
	faked.at = 1;
	faked.number = SYS_capget;
	assert_told(enter_as_keeper, "(capabilities)");
	faked.number = 0;
	faked.option = PR_SET_NO_NEW_PRIVS;
	assert_told(enter_as_keeper, "(no new privileges)");
	assert_told(supervise, "(no new privileges)");
	faked.option = PR_SET_DUMPABLE;
	assert_told(enter_as_courier, "(no new privileges)");
	faked.option = 0;
	faked.number = SYS_capset;
	faked.has_high_powers = true; /* beyond the first 32 */
	assert_told(enter_as_courier, "(capabilities)");
	faked.has_high_powers = false;
	faked.has_idle_powers = true; /* in use, and not to be had again */
	assert_told(enter_as_courier, "(capabilities)");
}

static bool enter_as_somebody(struct sandbox_report *ret, struct error *err)
{
	return setresgid(12345, 12345, 12345) == 0 && setresuid(12345, 12345, 12345) == 0 && enter_as_courier(ret, err);
}

static void powers__of_whoever_is_not_root_are_said_to_be_there(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(entered(enter_as_somebody, 0)->report.is_unprivileged);
	faked.has_high_powers = true;
	const struct met *m = entered(enter_as_somebody, 0);
	assert_true(m->is_in);
	assert_false(m->report.is_unprivileged);
}

static void account__that_cannot_be_taken_for_good_is_not_taken(void **state)
{
	static const char *const refused[] = { "setgroups", "setresgid", "setresuid" }, *const back[] = { "setuid", "seteuid", "saved" };
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(entered(become_somebody, 0)->is_in);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		faked.account = refused[i];
		const struct met *m = entered(become_somebody, 0);
		assert_false(m->is_in);
		assert_int_equal(m->err.code, ERR_DENIED);
	}
	for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
		faked.account = back[i];
		assert_told(become_somebody, "could not be given up for good");
	}
	faked.account = NULL;
	faked.has_high_powers = true;
	assert_told(become_somebody, "could not be given up for good");
	faked.has_high_powers = false;
	faked.option = PR_SET_DUMPABLE;
	faked.error = EINVAL;
	assert_told(become_somebody, "(undumpable)");
}

static bool stay_in_a_group(struct sandbox_report *ret, struct error *err)
{
	static const gid_t groups[] = { 777, 888 };
	bool is_in = setgroups(2, groups) == 0 && setresgid(12345, 12345, 12345) == 0 && setresuid(12345, 12345, 12345) == 0;
	(void)ret;
	return is_in && sandbox_drop_to("12345", "888", err) && sandbox_drop_to("12345", "12345", err) &&
	       !sandbox_drop_to("12345", "999", err) && err->code == ERR_DENIED;
}

static bool hide_behind_another(struct sandbox_report *ret, struct error *err)
{
	(void)ret; /* who is it, though with the rights of root in reserve, gives those up */
	return setresuid(0, 12345, 0) == 0 && !sandbox_drop_to("12345", "12345", err) && err->code == ERR_DENIED;
}

static void account__of_ours_needs_no_change(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(entered(stay_in_a_group, 0)->is_in);
	assert_true(entered(hide_behind_another, 0)->is_in);
}

static void account__is_a_name_or_a_whole_number(void **state)
{
	static const char *const wrong[] = { "12a", "1 ", "4294967295", "99999999999999999999", ":", "/1", "" };
	struct account a;
	struct error err;
	(void)state;
	for (size_t i = 0; wrong[i][0]; i++) {
		if (sandbox_find_account(wrong[i], "0", &a, &err))
			fail_msg("user %s is %u", wrong[i], (unsigned)a.uid);
		assert_int_equal(err.code, ERR_CONFIG);
		if (sandbox_find_account("", wrong[i], &a, &err))
			fail_msg("group %s is %u", wrong[i], (unsigned)a.gid);
		assert_int_equal(err.code, ERR_CONFIG);
	}
	assert_true(sandbox_find_account("4294967294", "7", &a, &err));
	assert_int_equal(a.uid, 4294967294u);
	assert_int_equal(a.gid, 7);
}

static void *wait_for_ever(void *context)
{
	while (pause() != 0)
		; /* which it never is */
	return context;
}

static bool enter_with_threads(struct sandbox_report *ret, struct error *err)
{
	pthread_t thread;
	return pthread_create(&thread, NULL, wait_for_ever, NULL) == 0 && enter_as_courier(ret, err);
}

static void sandbox__is_for_a_process_without_threads(void **state)
{
	(void)state;
	assert_told(enter_with_threads, "threads already ran");
}

int main(void)
{
#define TESTED(name) cmocka_unit_test_setup_teardown(name, begin, forget)
	const struct CMUnitTest tests[] = {
		TESTED(landlock__of_any_age_holds_as_much_as_it_can),
		TESTED(landlock__that_refuses_a_rule_is_told),
		TESTED(landlock__passes_over_what_cannot_be_reached_but_not_over_a_loop),
		TESTED(seccomp__that_the_kernel_lacks_is_said_to_be_missing),
		TESTED(seccomp__and_mdwe_each_keep_code_from_being_made),
		TESTED(seccomp__that_does_not_take_its_filter_is_told),
		TESTED(seccomp__without_memory_for_its_filter_is_told),
		TESTED(powers__that_cannot_be_given_up_are_told),
		TESTED(powers__of_whoever_is_not_root_are_said_to_be_there),
		TESTED(account__that_cannot_be_taken_for_good_is_not_taken),
		TESTED(account__of_ours_needs_no_change),
		TESTED(account__is_a_name_or_a_whole_number),
		TESTED(sandbox__is_for_a_process_without_threads),
	};
	if (getenv("UNDER_VALGRIND")) {
		puts("1..0 # SKIP valgrind's own system calls are on no list");
		return 0;
	}
	met = mmap(NULL, sizeof *met, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return met == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
	puts("1..0 # SKIP under a sanitizer nothing can be made to fail");
	return 0;
}
#endif
