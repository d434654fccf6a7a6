/* core/json.h - a JSON writer, and a strict check in front of any JSON reader.
 *
 * The writer prints straight into a buf, with no tree: `status` of 10,000 Pixels is a single pass, and the command line
 * program needs no JSON library at all. Commas and nesting are its business.
 *
 * The check is for text from strangers. JSON readers disagree about what they forgive (a case-insensitive look-up, the
 * first of two equal keys, "\u0000" that ends a key early, a thousand nested arrays); a document that passes here means
 * the same to every reader. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "core/buf.h"

#include <stdint.h>

struct json {
	struct buf *out;
	unsigned depth;
	bool needs_comma;
};

#define JSON_INIT(buf_pointer)                                                                                         \
	{                                                                                                              \
		.out = (buf_pointer)                                                                                   \
	}

/* key is NULL inside arrays and for the document itself. Text is escaped; NUL and bytes that are not UTF-8 become
 * U+FFFD, so that all we write passes json_check. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_text(struct json *j, const char *key, const char *text); /* NULL text is null */
void json_text_n(struct json *j, const char *key, struct bytes text);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
void json_time(struct json *j, const char *key, int64_t at); /* RFC 3339; 0 is null: times that never were */

#define JSON_DEPTH_MAX 128 /* larger limits are taken as this */

struct json_limits {
	size_t depth, nodes;
};

/* True when text is exactly one JSON value in valid UTF-8 without byte order mark, within the limits, with no "\u0000",
 * no unpaired surrogate, and no object that holds two keys equal but for ASCII case (at most 256 keys an object), and
 * no number over 63 bytes. Linear in the length of text. why is set to a literal such as "nested too deeply" otherwise.
 */
must_check bool json_check(struct bytes text, struct json_limits limits, const char **why);

extern const char json_no_memory[]; /* this is why, when it could not be looked at: the text may be good */

/* The same with so many keys an object: it takes time by their square. */
must_check bool json_check_wide(struct bytes text, struct json_limits limits, size_t keys, const char **why);

/* The raw text of a top-level member, exactly as written, from a document that passed json_check; false when it is not
 * an object or holds no such key. Key compared byte by byte; keys written with escapes are not found. */
must_check bool json_find_raw(struct bytes text, const char *key, struct bytes *ret);

/* The first top-level member whose key is none of `known` (blank-separated), as it is written between its quotes; false
 * when there is none, or text is not an object. A key written with escapes is never a known one. */
bool json_find_other(struct bytes text, const char *known, struct bytes *ret_key);

/* One after another, of a checked document: *walk is the object or array at first, and what is left of it then. False at
 * the end. ret_key as it is written between its quotes. */
must_check bool json_next_member(struct bytes *walk, struct bytes *ret_key, struct bytes *ret_value);
must_check bool json_next_element(struct bytes *walk, struct bytes *ret_value);

/* What a raw value says; from a checked document too. False when it is of another type, or does not fit: text ends with
 * a zero byte, and a whole number has at most 18 digits. ret may be where raw begins. */
must_check bool json_as_text(struct bytes raw, char *ret, size_t size);
must_check bool json_as_int(struct bytes raw, int64_t *ret);
must_check bool json_as_bool(struct bytes raw, bool *ret);

#endif
