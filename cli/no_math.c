/* SQLite's archive refers to libm for the SQL functions sin(), pow() and their like, which no statement of ours calls.
 * Loading libm would cost each run of `vault` more than all that `vault get` does through an agent, so these stand in
 * its place; the linker still takes libm where an archive refers to anything else. Not for the agent: libcurl is a
 * guest there. */
#include <stdlib.h>

#define ONE(name)                                                                                                      \
	__attribute__((visibility("hidden"))) double name(double x);                                                   \
	double name(double x)                                                                                          \
	{                                                                                                              \
		(void)x;                                                                                               \
		abort();                                                                                               \
	}
#define TWO(name)                                                                                                      \
	__attribute__((visibility("hidden"))) double name(double x, double y);                                         \
	double name(double x, double y)                                                                                \
	{                                                                                                              \
		(void)x;                                                                                               \
		(void)y;                                                                                               \
		abort();                                                                                               \
	}

ONE(acos)
ONE(acosh)
ONE(asin)
ONE(asinh)
ONE(atan)
ONE(atanh)
ONE(ceil)
ONE(cos)
ONE(cosh)
ONE(exp)
ONE(floor)
ONE(log)
ONE(log10)
ONE(log2)
ONE(sin)
ONE(sinh)
ONE(sqrt)
ONE(tan)
ONE(tanh)
ONE(trunc)
TWO(atan2)
TWO(fmod)
TWO(pow)
