/* CMOCKA_ONLY=pattern in the environment: of a unit program only the tests of that name, * and ? as in a shell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose(void)
{
	const char *only = getenv("CMOCKA_ONLY");
	if (only)
		cmocka_set_test_filter(only);
}
