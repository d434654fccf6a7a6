/* agent/intake_own.h - the inside of the intake: shared by intake*.c, included by nobody else. */
#ifndef AGENT_INTAKE_OWN_H
#define AGENT_INTAKE_OWN_H

#include "agent/intake.h"

/* One read of a sheet. */
struct reading {
	struct sheet *sheet;
	const struct intake_request *request;
	struct intake *in;
	size_t row; /* at hand, for people */
	struct error trouble; /* ours and no fault of the file: no memory. ERR_NONE: none */
};

/* ---- what is wrong (intake.c) ---- */
void note_problem(struct reading *r, size_t column, enum field field, const char *what, const char *hint);
void note_warning(struct reading *r, size_t column, enum field field, const char *what);

/* ---- which column is what (intake_columns.c) ---- */
must_check bool find_columns(struct reading *r, struct error *err);

/* ---- the cells (intake_cells.c); column is for people. False: it is wrong, and noted ---- */
bool take_pixel(struct reading *r, size_t column, struct bytes cell, struct bytes token, char ret[PIXEL_CODE_MAX + 1]);
bool take_token(struct reading *r, size_t column, struct bytes cell, struct bytes *ret);
bool take_expires(struct reading *r, size_t column, struct bytes cell, int64_t *ret);
bool take_test_code(struct reading *r, size_t column, struct bytes cell, char ret[TEST_CODE_MAX + 1]);
bool take_labels(struct reading *r, size_t column, struct bytes cell);
bool take_label(struct reading *r, size_t column, const char *key, struct bytes cell);

/* Without the blanks around it. */
struct bytes trimmed(struct bytes cell);
bool looks_like_pixel(struct bytes cell);
bool looks_like_token(struct bytes cell);

/* ---- .env (intake_env.c) ---- */
must_check bool read_variables(struct reading *r, struct error *err);

#endif
