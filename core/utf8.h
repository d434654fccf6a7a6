/* core/utf8.h - UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing above U+10FFFF. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include "core/bytes.h"

/* One character from the front; false, with from untouched, when it is empty or what stands there is not UTF-8. */
must_check bool utf8_take(struct bytes *from, uint32_t *ret);

/* The bytes of one character (at most U+10FFFF); how many there are. */
size_t utf8_put(uint32_t c, char ret[4]);

bool utf8_is_valid(struct bytes text);

/* Control characters, and those that turn the direction of text around or take no room: a stranger's text has no use for
 * them. */
bool utf8_is_harmful(uint32_t c);

/* Make text that strangers had a hand in safe to print: control characters (those of U+0080-U+009F too, which some
 * terminals obey) and bytes that are not UTF-8 become '?', in place. */
void utf8_defang(char *text);

#endif
