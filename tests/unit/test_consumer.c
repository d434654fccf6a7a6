/* Who a consumer is that names itself nowhere: texts of /proc/PID/cgroup, and the names made of what they say. */
#include "agent/consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void unit__is_the_innermost_service_of_systemds_line(void **state)
{
	static const struct {
		const char *cgroup, *unit; /* NULL = none */
	} rows[] = {
		{ "0::/system.slice/shop.service\n", "shop.service" },
		{ "0::/system.slice/shop.service", "shop.service" },
		{ "0::/system.slice/system-shop.slice/shop@eu.service\n", "shop@eu.service" },
		{ "0::/system.slice/shop.service/workers/3\n", "shop.service" },
		{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/relay.service\n", "relay.service" },
		{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-term-12.scope\n", NULL },
		{ "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", NULL },
		{ "0::/user.slice/user-1000.slice/session-3.scope\n", NULL },
		{ "0::/system.slice/docker-0a1b2c.scope\n", NULL },
		{ "0::/system.slice/a.service/b.service\n", "b.service" },
		{ "0::/../../system.slice/shop.service\n", "shop.service" }, /* seen from inside a namespace */
		{ "0::/system.slice/cron.service\n", "cron.service" },
		{ "0::/\n", NULL },
		{ "0::/.service\n", NULL },
		{ "0::/system.slice/shop.service.d\n", NULL },
		{ "", NULL },
		{ "\n\n", NULL },
		{ ":", NULL },
		{ "nonsense", NULL },
		/* cgroup v1, and both at once */
		{ "9:name=systemd:/system.slice/shop.service\n8:pids:/system.slice/other.service\n0::/\n", "shop.service" },
		{ "8:pids:/system.slice/other.service\n9:name=systemd:/\n0::/system.slice/shop.service\n", "shop.service" },
		{ "8:pids:/system.slice/other.service\n4:memory:/x.service\n", NULL },
		{ "1:name=other:/system.slice/other.service\n", NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char unit[CONSUMER_UNIT_MAX + 1] = "";
		bool is_found = consumer_find_unit(bytes_of_text(rows[i].cgroup), unit);
		if (is_found != (rows[i].unit != NULL) || (is_found && strcmp(unit, rows[i].unit) != 0))
			fail_msg("%s: %s", rows[i].cgroup, is_found ? unit : "none");
	}
}

static void unit__is_never_longer_than_its_room(void **state)
{
	(void)state;
	char text[600], unit[CONSUMER_UNIT_MAX + 1] = "";
	for (int len = 240; len < 260; len++) {
		snprintf(text, sizeof text, "0::/%0*d.service\n", len, 7);
		bool is_found = consumer_find_unit(bytes_of_text(text), unit);
		assert_int_equal(is_found, len + 8 <= CONSUMER_UNIT_MAX);
	}
}

static void expect_name(uid_t uid, const char *unit, const char *wanted)
{
	char name[CONSUMER_NAME_MAX + 1];
	struct error err;
	consumer_name(uid, unit, name);
	assert_string_equal(name, wanted);
	assert_false(consumer_name_check(name, &err)); /* nobody can choose it */
}

static void name__is_user_and_unit(void **state)
{
	(void)state;
	expect_name(0, "", "uid:0");
	expect_name(1001, "", "uid:1001");
	expect_name(1001, "shop.service", "unit:shop.service@uid:1001");
	expect_name(4294967294u, "shop@eu.service", "unit:shop@eu.service@uid:4294967294");
}

static void name__that_does_not_fit_is_cut_and_told_from_its_like(void **state)
{
	(void)state;
	char one[CONSUMER_NAME_MAX + 1], other[CONSUMER_NAME_MAX + 1], unit[CONSUMER_UNIT_MAX + 1];
	for (int len = 1; len <= CONSUMER_UNIT_MAX - 8; len++) {
		snprintf(unit, sizeof unit, "%0*d.service", len, 1);
		consumer_name(4294967294u, unit, one);
		assert_true(strlen(one) <= CONSUMER_NAME_MAX);
		assert_string_equal(one + strlen(one) - strlen("@uid:4294967294"), "@uid:4294967294");
		assert_int_equal(strstr(one, "..") != NULL, len + 8 > 44);
		unit[len - 1] = '2';
		consumer_name(4294967294u, unit, other);
		assert_string_not_equal(one, other);
	}
	consumer_name(7, "a\\x2db.service", one);
	consumer_name(7, "a_x2db.service", other);
	assert_string_equal(other, "unit:a_x2db.service@uid:7");
	assert_memory_equal(one, "unit:a_x2db.service..", strlen("unit:a_x2db.service.."));
	consumer_name(7, "a\nb\"\x1b\xc3\xa4.service", one);
	assert_int_equal(strspn(one, "abcdefghijklmnopqrstuvwxyz0123456789_.@:"), strlen(one));
}

/* Whatever this machine says of us, it is of this form; of a process that is not there only the user is known. */
static void name__of_a_process(void **state)
{
	(void)state;
	char name[CONSUMER_NAME_MAX + 1];
	consumer_name_of(7, getpid(), name);
	assert_true(strcmp(name, "uid:7") == 0 || strstr(name, ".service@uid:7"));
	consumer_name_of(7, 0, name);
	assert_string_equal(name, "uid:7");
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	consumer_name_of(7, child, name);
	assert_string_equal(name, "uid:7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unit__is_the_innermost_service_of_systemds_line),
		cmocka_unit_test(unit__is_never_longer_than_its_room),
		cmocka_unit_test(name__is_user_and_unit),
		cmocka_unit_test(name__that_does_not_fit_is_cut_and_told_from_its_like),
		cmocka_unit_test(name__of_a_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
