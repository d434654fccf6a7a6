/* agent/gravity.h - what needs a person first: how grave a Pixel's state is, times what the Pixel is worth. Pure.
 *
 * Worth is the label `weight`, a number from 0 to 1000000 with at most three decimals; without it, or where it is no
 * such number, 1. States count as in gravity_points, so that a heavy Pixel whose token ends soon comes before a light
 * one that is dead already. A healthy one needs nobody, whatever its weight. */
#ifndef AGENT_GRAVITY_H
#define AGENT_GRAVITY_H

#include "agent/status.h"

enum gravity {
	GRAVITY_BAD,
	GRAVITY_SUSPECTED,
	GRAVITY_DUE,
	GRAVITY_WISHED,
	GRAVITY_TRANSIENT,
	GRAVITY_UNCHECKED,
	GRAVITY_UNPROVEN,
	GRAVITY_HEALTHY,
	GRAVITY_COUNT
};

#define WEIGHT_LABEL "weight"
#define WEIGHT_ONE 1000u /* thousandths */
#define WEIGHT_MAX 1000000u

enum gravity gravity_of(const struct status_row *row);
/* In thousandths. *ret_is_bad: there is a label, and it is no number of that kind. */
uint32_t gravity_weight(const struct credential *c, bool *ret_is_bad);
/* Its place on the board: lower ones come first, equal ones by their code. */
uint64_t gravity_place(enum gravity gravity, uint32_t weight);
/* Both at once. */
uint64_t gravity_place_of(const struct status_row *row);

#endif
