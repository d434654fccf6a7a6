#include "agent/gravity.h"

#include "agent/problem.h"

#include <string.h>

static const unsigned gravity_points[GRAVITY_COUNT] = {
	[GRAVITY_BAD] = 1000,     [GRAVITY_SUSPECTED] = 300, [GRAVITY_DUE] = 100,    [GRAVITY_WISHED] = 40,
	[GRAVITY_TRANSIENT] = 30, [GRAVITY_UNCHECKED] = 10,  [GRAVITY_UNPROVEN] = 3,
};

enum gravity gravity_of(const struct status_row *row)
{
	if (verdict_is_bad(row->verdict))
		return GRAVITY_BAD;
	if (row->speaking && row->speaking->suspected != VERDICT_UNCHECKED)
		return GRAVITY_SUSPECTED;
	if (row->is_due)
		return GRAVITY_DUE;
	if (problem_is_transient(row, 1))
		return GRAVITY_TRANSIENT;
	if (row->credential->rotate_since)
		return GRAVITY_WISHED;
	if (row->verdict == VERDICT_HEALTHY)
		return GRAVITY_HEALTHY;
	return row->verdict == VERDICT_UNPROVEN ? GRAVITY_UNPROVEN : GRAVITY_UNCHECKED;
}

static bool take_digits(const char **at, unsigned max, uint32_t *ret, unsigned *ret_count)
{
	unsigned count = 0;
	for (*ret = 0; **at >= '0' && **at <= '9'; (*at)++, count++) {
		if (count == max)
			return false;
		*ret = *ret * 10 + (uint32_t)(**at - '0');
	}
	*ret_count = count;
	return count > 0;
}

static bool parse_weight(const char *text, uint32_t *ret)
{
	uint32_t whole, part = 0;
	unsigned digits, decimals = 0;
	if (!take_digits(&text, 7, &whole, &digits))
		return false;
	if (*text == '.') {
		text++;
		if (!take_digits(&text, 3, &part, &decimals))
			return false;
	}
	for (; decimals && decimals < 3; decimals++)
		part *= 10;
	if (*text || whole > WEIGHT_MAX || (whole == WEIGHT_MAX && part))
		return false;
	*ret = whole * WEIGHT_ONE + part;
	return true;
}

uint32_t gravity_weight(const struct credential *c, bool *ret_is_bad)
{
	uint32_t weight = WEIGHT_ONE;
	*ret_is_bad = false;
	for (size_t i = 0; i < c->label_count; i++)
		if (strcmp(c->labels[i].key, WEIGHT_LABEL) == 0)
			*ret_is_bad = !parse_weight(c->labels[i].value, &weight);
	return *ret_is_bad ? WEIGHT_ONE : weight;
}

uint64_t gravity_place(enum gravity gravity, uint32_t weight)
{
	uint64_t most = (uint64_t)gravity_points[GRAVITY_BAD] * WEIGHT_MAX * WEIGHT_ONE;
	return (most - (uint64_t)gravity_points[gravity] * weight) * GRAVITY_COUNT + gravity;
}

uint64_t gravity_place_of(const struct status_row *row)
{
	bool is_bad;
	return gravity_place(gravity_of(row), gravity_weight(row->credential, &is_bad));
}
