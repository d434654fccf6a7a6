#include "agent/accept.h"

#include <string.h>
#include <strings.h>

#define WEIGHT_FULL 1000 /* q has three digits behind the point */

enum closeness { CLOSE_NOT, CLOSE_ANY, CLOSE_KIND, CLOSE_SAME }; /* no match, any type, type/any, the very type */

struct range {
	const char *at;
	size_t len; /* of "type/subtype" */
	int weight;
};

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* Up to one of these marks, or the end; what is quoted holds none. */
static const char *find_mark(const char *at, const char *marks)
{
	bool is_quoted = false;
	for (; *at && (is_quoted || !strchr(marks, *at)); at++) {
		if (*at == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && *at == '\\' && at[1])
			at++;
	}
	return at;
}

/* "0", "0.25", "1.000". What is no weight counts as 0: such a range is not to be relied on. */
static int read_weight(const char *at)
{
	int weight = *at == '1' ? WEIGHT_FULL : 0, digit = WEIGHT_FULL / 10;
	if (*at != '0' && *at != '1')
		return 0;
	if (*++at == '.')
		for (at++; *at >= '0' && *at <= '9' && digit; at++, digit /= 10)
			weight += (*at - '0') * digit;
	at = skip_blanks(at);
	return weight > WEIGHT_FULL || (*at && !strchr(",;", *at)) ? 0 : weight;
}

/* The next range of the list, and what it weighs; false at the end. */
static bool take_range(const char **from, struct range *ret)
{
	const char *at = *from + strspn(*from, " \t,");
	if (!*at)
		return false;
	const char *end = find_mark(at, ",;");
	*ret = (struct range){ .at = at, .len = (size_t)(end - at), .weight = WEIGHT_FULL };
	while (ret->len && strchr(" \t", at[ret->len - 1]))
		ret->len--;
	while (*end == ';') {
		at = skip_blanks(end + 1);
		if ((*at == 'q' || *at == 'Q') && at[1] == '=')
			ret->weight = read_weight(at + 2);
		end = find_mark(at, ",;");
	}
	*from = end;
	return true;
}

static enum closeness closeness_of(const struct range *r, const char *type)
{
	size_t kind = strcspn(type, "/") + 1; /* with the slash */
	if (r->len == strlen(type) && strncasecmp(r->at, type, r->len) == 0)
		return CLOSE_SAME;
	if (r->len == kind + 1 && r->at[kind] == '*' && strncasecmp(r->at, type, kind) == 0)
		return CLOSE_KIND;
	return r->len == 3 && memcmp(r->at, "*/*", 3) == 0 ? CLOSE_ANY : CLOSE_NOT;
}

/* The closest range decides, also when a wider one weighs more. */
static int weight_of(const char *accept, const char *type, enum closeness *ret_closest)
{
	struct range r;
	int weight = 0;
	*ret_closest = CLOSE_NOT;
	while (take_range(&accept, &r)) {
		enum closeness closeness = closeness_of(&r, type);
		if (closeness <= *ret_closest)
			continue;
		*ret_closest = closeness;
		weight = r.weight;
	}
	return weight;
}

bool accept_prefers(const char *accept, const char *type, const char *usual)
{
	enum closeness of_type, of_usual;
	if (!accept)
		return false;
	int weight = weight_of(accept, type, &of_type), other = weight_of(accept, usual, &of_usual);
	return weight > other || (weight && weight == other && of_type == CLOSE_SAME);
}
