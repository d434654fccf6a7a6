/* cli/scanner.h - finds known tokens in any bytes, at the speed of a disk. Pure: no file, no vault.
 *
 * No token is kept: of each form that is looked for, the scanner knows rolling hashes of its last bytes and a keyed hash of
 * the whole, both under keys of this one run. A bitmap says quickly where the first cannot be; where it may be, the second
 * decides. So a find is certain, and nobody learns a token from the scanner's memory.
 *
 * Looked for are the token as it is, percent-encoded, and as it lies in a base64 text at each of the three places it may
 * begin (both alphabets). Not found is what was compressed, encrypted, cut by a line end, or encoded otherwise. */
#ifndef CLI_SCANNER_H
#define CLI_SCANNER_H

#include "core/secret.h"

struct scanner;
must_check bool scanner_new(struct scanner **ret, struct error *err);
void scanner_freep(struct scanner **s);

enum scan_form { SCAN_PLAIN, SCAN_URL, SCAN_BASE64, SCAN_UTF16 };
/* tag comes back with each find. */
must_check bool scanner_add(struct scanner *s, const struct secret *token, uint32_t tag, struct error *err);
/* Behind the last scanner_add. */
must_check bool scanner_prepare(struct scanner *s, struct error *err);

struct scan_found {
	uint32_t tag;
	enum scan_form form;
	uint64_t offset, line; /* of its first byte; lines count from 1 */
	struct bytes before;   /* what of the stream stands before it, as far as it is still there */
};
typedef void scan_found_fn(void *context, const struct scan_found *found);

/* One stream after another: its bytes are read into scanner_room, scanner_take looks at them. */
void scanner_begin(struct scanner *s);
uint8_t *scanner_room(struct scanner *s, size_t *ret_len);
void scanner_take(struct scanner *s, size_t len, scan_found_fn *fn, void *context);

#endif
