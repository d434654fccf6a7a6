/* agent/sheet_own.h - the inside of the sheet: shared by sheet*.c, included by nobody else. */
#ifndef AGENT_SHEET_OWN_H
#define AGENT_SHEET_OWN_H

#include "agent/sheet.h"

/* The file as it is read: what was taken is before `at`. */
struct scan {
	struct sheet *sheet;
	uint8_t *bytes;
	size_t len, at;
};

/* A row that begins; its cells follow. False: too many rows. */
must_check bool scan_row(struct scan *s, size_t number, struct error *err);
/* One more cell of the last row; more than SHEET_COLUMNS_MAX is a fault. */
void scan_cell(struct scan *s, struct bytes cell);
void scan_fault(struct scan *s, size_t row, size_t column, const char *what, const char *hint);
/* The last row is taken back: there is nothing in it. */
void scan_drop_row(struct scan *s);

must_check bool sheet_scan_csv(struct scan *s, struct error *err);
must_check bool sheet_scan_env(struct scan *s, struct error *err);
must_check bool sheet_scan_json(struct scan *s, struct error *err);

#endif
