#include "core/utf8.h"

/* Lead bytes by class: how many follow, and the smallest value that needs so many. */
static size_t followers_of(uint8_t lead, uint32_t *ret_bits, uint32_t *ret_least)
{
	if (lead < 0x80) {
		*ret_bits = lead;
		*ret_least = 0;
		return 0;
	}
	if (lead >= 0xc2 && lead <= 0xdf) {
		*ret_bits = lead & 0x1f;
		*ret_least = 0x80;
		return 1;
	}
	if (lead >= 0xe0 && lead <= 0xef) {
		*ret_bits = lead & 0x0f;
		*ret_least = 0x800;
		return 2;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		*ret_bits = lead & 0x07;
		*ret_least = 0x10000;
		return 3;
	}
	return SIZE_MAX;
}

bool utf8_take(struct bytes *from, uint32_t *ret)
{
	uint32_t value, least;
	size_t count = from->len ? followers_of(from->at[0], &value, &least) : SIZE_MAX;
	if (count == SIZE_MAX || count >= from->len)
		return false;
	for (size_t i = 1; i <= count; i++) {
		if ((from->at[i] & 0xc0) != 0x80)
			return false;
		value = value << 6 | (from->at[i] & 0x3fu);
	}
	if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return false;
	*ret = value;
	from->at += count + 1;
	from->len -= count + 1;
	return true;
}

size_t utf8_put(uint32_t c, char ret[4])
{
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = count - 1; i > 0; i--, c >>= 6)
		ret[i] = (char)(0x80 | (c & 0x3f));
	ret[0] = (char)(leads[count] | c);
	return count;
}

bool utf8_is_valid(struct bytes text)
{
	uint32_t ignored;
	while (text.len)
		if (!utf8_take(&text, &ignored))
			return false;
	return true;
}

bool utf8_is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       c == 0x2028 || c == 0x2029 || c == 0xfeff;
}

void utf8_defang(char *text)
{
	struct bytes rest = bytes_of_text(text);
	while (rest.len) {
		uint32_t c;
		size_t was = rest.len;
		bool is_fine = utf8_take(&rest, &c) && c >= 0x20 && (c < 0x7f || c > 0x9f);
		if (rest.len == was)
			rest = bytes_of(rest.at + 1, rest.len - 1);
		if (!is_fine)
			memset(text, '?', was - rest.len);
		text += was - rest.len;
	}
}
