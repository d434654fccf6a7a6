/* One entry of the audit log as a line of canonical JSON, and back. Pure. Members stand in one order, numbers without a
 * leading zero, everything beyond printable ASCII escaped one way: one encoding per entry. Written by hand, as it is on
 * the way of every read. */
#include "vault/audit.h"

#include <string.h>

static char *put(char *p, const char *text)
{
	size_t len = strlen(text);
	memcpy(p, text, len);
	return p + len;
}

static char *put_hex(char *p, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*p++ = "0123456789abcdef"[at[i] >> 4];
		*p++ = "0123456789abcdef"[at[i] & 15];
	}
	return p;
}

/* Quoted; what is not printable ASCII becomes \u00XX, byte for byte. */
static char *put_text(char *p, const char *text)
{
	*p++ = '"';
	for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\') {
			p = put(p, "\\u00");
			p = put_hex(p, c, 1);
		} else {
			*p++ = (char)*c;
		}
	}
	*p++ = '"';
	return p;
}

static char *put_text_or_null(char *p, const char *text)
{
	return text[0] ? put_text(p, text) : put(p, "null");
}

static char *put_extra(char *p, const struct audit_entry *e)
{
	switch (e->extra) {
	case AUDIT_PLAIN:
		break;
	case AUDIT_OF_COMMIT:
		p = put(put_hex(put(p, ",\"commit\":\""), e->commit, sizeof e->commit), "\",\"base\":");
		return text_number(p, e->base);
	case AUDIT_TORN:
		return text_number(put(p, ",\"moved\":"), e->moved);
	case AUDIT_SCAR:
		p = text_number(put(p, ",\"anchored\":"), e->anchored);
		return put(put_hex(put(p, ",\"digest\":\""), e->digest, DIGEST_LEN), "\"");
	}
	return p;
}

size_t audit_entry_encode(const struct audit_entry *e, char *ret, size_t *ret_covered)
{
	char *p = text_number(put(ret, "{\"seq\":"), e->sequence);
	p = put(put(put(p, ",\"at\":\""), e->at), "\"");
	p = put(put(put(p, ",\"boot\":\""), e->boot), "\"");
	p = text_number(put(p, ",\"ms\":"), e->boot_ms);
	p = text_number(put(p, ",\"uid\":"), e->uid);
	p = text_number(put(p, ",\"gid\":"), e->gid);
	p = text_number(put(p, ",\"pid\":"), e->pid);
	p = put_text_or_null(put(p, ",\"as\":"), e->as);
	p = put_text(put(p, ",\"verb\":"), e->verb);
	if (e->has_pixel)
		p = put(put_hex(put(p, ",\"pixel\":\""), e->pixel, PIXEL_ID_LEN), "\"");
	else
		p = put(p, ",\"pixel\":null");
	p = put(p, ",\"version\":");
	p = e->version ? text_number(p, e->version) : put(p, "null");
	p = put_text_or_null(put(p, ",\"fingerprint\":"), e->fingerprint);
	p = put_text(put(p, ",\"result\":"), e->result);
	p = text_number(put(p, ",\"generation\":"), e->generation);
	p = text_number(put(p, ",\"segment\":"), e->segment);
	p = put_extra(p, e);
	*ret_covered = (size_t)(p - ret);
	p = put(put_hex(put(p, ",\"mac\":\""), e->mac, DIGEST_LEN), "\"}\n");
	return (size_t)(p - ret);
}

/* ---- reading ---- */

static bool skip(struct bytes *from, const char *text)
{
	size_t len = strlen(text);
	if (from->len < len || memcmp(from->at, text, len) != 0)
		return false;
	*from = bytes_of(from->at + len, from->len - len);
	return true;
}

static bool take_number(struct bytes *from, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	size_t len = 0;
	for (; len < from->len && from->at[len] >= '0' && from->at[len] <= '9'; len++) {
		unsigned digit = from->at[len] - (unsigned)'0';
		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (!len)
		return false;
	*from = bytes_of(from->at + len, from->len - len);
	*ret = n;
	return true;
}

static bool take_u32(struct bytes *from, uint32_t *ret)
{
	uint64_t n;
	if (!take_number(from, UINT32_MAX, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

static int hex_value(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct bytes *from, uint8_t *ret, size_t len)
{
	if (from->len < len * 2)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(from->at[2 * i]), low = hex_value(from->at[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	*from = bytes_of(from->at + len * 2, from->len - len * 2);
	return true;
}

/* Behind the opening quote, up to and with the closing one. */
static bool take_text(struct bytes *from, char *ret, size_t size)
{
	size_t len = 0;
	while (from->len && from->at[0] != '"') {
		uint8_t c = from->at[0];
		if (skip(from, "\\u00")) {
			if (!take_hex(from, &c, 1))
				return false;
		} else {
			*from = bytes_of(from->at + 1, from->len - 1);
		}
		if (c == '\0' || len + 1 >= size)
			return false;
		ret[len++] = (char)c;
	}
	ret[len] = '\0';
	return skip(from, "\"");
}

static bool take_text_or_null(struct bytes *from, char *ret, size_t size)
{
	ret[0] = '\0';
	if (skip(from, "null"))
		return true;
	return skip(from, "\"") && take_text(from, ret, size);
}

static bool take_extra(struct bytes *from, struct audit_entry *e)
{
	if (skip(from, ",\"commit\":\"")) {
		e->extra = AUDIT_OF_COMMIT;
		return take_hex(from, e->commit, sizeof e->commit) && skip(from, "\",\"base\":") &&
		       take_number(from, UINT64_MAX, &e->base);
	}
	if (skip(from, ",\"moved\":")) {
		e->extra = AUDIT_TORN;
		return take_number(from, UINT64_MAX, &e->moved);
	}
	if (skip(from, ",\"anchored\":")) {
		e->extra = AUDIT_SCAR;
		return take_number(from, UINT64_MAX, &e->anchored) && skip(from, ",\"digest\":\"") &&
		       take_hex(from, e->digest, DIGEST_LEN) && skip(from, "\"");
	}
	return true;
}

static bool take_entry(struct bytes *from, struct audit_entry *e)
{
	if (!skip(from, "{\"seq\":") || !take_number(from, UINT64_MAX, &e->sequence) || !skip(from, ",\"at\":\"") ||
	    !take_text(from, e->at, sizeof e->at) || !skip(from, ",\"boot\":\"") ||
	    !take_text(from, e->boot, sizeof e->boot) || !skip(from, ",\"ms\":") ||
	    !take_number(from, UINT64_MAX, &e->boot_ms) || !skip(from, ",\"uid\":") || !take_u32(from, &e->uid) ||
	    !skip(from, ",\"gid\":") || !take_u32(from, &e->gid) || !skip(from, ",\"pid\":") ||
	    !take_u32(from, &e->pid) || !skip(from, ",\"as\":") || !take_text_or_null(from, e->as, sizeof e->as) ||
	    !skip(from, ",\"verb\":\"") || !take_text(from, e->verb, sizeof e->verb))
		return false;
	e->has_pixel = skip(from, ",\"pixel\":\"");
	if (e->has_pixel ? !take_hex(from, e->pixel, PIXEL_ID_LEN) || !skip(from, "\"")
			 : !skip(from, ",\"pixel\":null"))
		return false;
	if (!skip(from, ",\"version\":") || (!skip(from, "null") && !take_u32(from, &e->version)))
		return false;
	return skip(from, ",\"fingerprint\":") && take_text_or_null(from, e->fingerprint, sizeof e->fingerprint) &&
	       skip(from, ",\"result\":\"") && take_text(from, e->result, sizeof e->result) &&
	       skip(from, ",\"generation\":") && take_number(from, UINT64_MAX, &e->generation) &&
	       skip(from, ",\"segment\":") && take_number(from, UINT64_MAX, &e->segment) && take_extra(from, e) &&
	       skip(from, ",\"mac\":\"") && take_hex(from, e->mac, DIGEST_LEN) && skip(from, "\"}");
}

bool audit_entry_decode(struct bytes line, struct audit_entry *ret, size_t *ret_covered)
{
	char again[AUDIT_LINE_MAX];
	size_t covered;
	struct audit_entry e = { 0 };
	struct bytes from = line;
	if (line.len >= AUDIT_LINE_MAX || !take_entry(&from, &e))
		return false;
	bool has_newline = skip(&from, "\n");
	if (from.len || e.sequence == 0)
		return false;
	/* What decodes encodes to the same bytes: no second spelling of an entry passes. */
	size_t len = audit_entry_encode(&e, again, &covered);
	if (!bytes_equal(bytes_of(again, len - !has_newline), line))
		return false;
	*ret = e;
	*ret_covered = covered;
	return true;
}

const char *audit_head_text(const struct audit_position *at, char ret[AUDIT_HEAD_TEXT_MAX])
{
	char *p = put(text_number(ret, at->sequence), ":");
	*put_hex(p, at->mac, DIGEST_LEN) = '\0';
	return ret;
}

bool audit_head_parse(const char *text, struct audit_position *ret)
{
	struct audit_position at;
	struct bytes from = bytes_of(text, strlen(text));
	if (!take_number(&from, UINT64_MAX, &at.sequence) || at.sequence == 0 || !skip(&from, ":") ||
	    !take_hex(&from, at.mac, DIGEST_LEN) || from.len)
		return false;
	*ret = at;
	return true;
}

bool audit_mac_start(const struct keys *keys, struct secret **ret, struct error *err)
{
	return keys_mac_start(keys, KEY_AUDIT, "pxaudit1", ret, err);
}

void audit_entry_mac(const struct secret *start, uint64_t segment, struct bytes covered,
		     const uint8_t before[DIGEST_LEN], uint8_t ret[DIGEST_LEN])
{
	uint8_t over[12 + AUDIT_LINE_MAX + DIGEST_LEN];
	for (size_t i = 0; i < 8; i++)
		over[i] = (uint8_t)(segment >> (8 * i));
	for (size_t i = 0; i < 4; i++)
		over[8 + i] = (uint8_t)(covered.len >> (8 * i));
	memcpy(over + 12, covered.at, covered.len);
	memcpy(over + 12 + covered.len, before, DIGEST_LEN);
	keys_mac_finish(start, bytes_of(over, 12 + covered.len + DIGEST_LEN), ret);
}
