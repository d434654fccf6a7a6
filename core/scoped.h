/* core/scoped.h - release is written where the thing is born.
 *
 * scoped(f) runs f(&variable) when the variable leaves its scope, on every way out of the function but exit, longjmp
 * and signals; so nothing below main calls exit. A pointer changes owner only through take(), which leaves NULL behind.
 * must_check makes ignoring a result a compile error under -Werror=unused-result. */
#ifndef CORE_SCOPED_H
#define CORE_SCOPED_H

#define scoped(f) __attribute__((cleanup(f)))
#define must_check __attribute__((warn_unused_result))
#define take(p)                                                                                                        \
	__extension__({                                                                                                \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
