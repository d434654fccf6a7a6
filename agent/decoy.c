#include "agent/decoy.h"

#include <string.h>

bool decoy_is(const struct credential *c)
{
	for (size_t i = 0; i < c->label_count; i++)
		if (strcmp(c->labels[i].key, DECOY_LABEL) == 0)
			return true;
	return false;
}
